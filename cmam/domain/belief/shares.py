"""Our ledger of a netted position: what its shares come to, what they may give up together, and whose a loss is.

The broker knows one net per symbol. Each share's volume is booked from the deals of its own requests; nothing here
knows requests or events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from cmam.domain.belief.asked import gone
from cmam.domain.belief.copies import Copy, CopyKey, Intent, IntentState
from cmam.domain.belief.view import AccountView, put
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import IntentId, LinkId, PositionId, SourceKey, StoreId, SymbolId
from cmam.domain.values.naming import label_of, read_label
from cmam.domain.values.quantities import Side, Volume, floor_fraction
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.nets import (
    GONE_WITH_ITS_POSITION,
    LACKS_CLOSE_NOTHING,
    LEVELS_OF_A_NET,
    LOSSES_REJOIN,
    OPENED_SINCE_ANEW,
    SHARES_AWAIT_RESTS,
    SHARES_CLOSE_TOGETHER,
    SIDES_CLOSE_TOGETHER,
)
from cmam.domain.values.symbols import SymbolSpec
from cmam.domain.values.trades import Position

MOVING = (CommandKind.OPEN, CommandKind.ADD, CommandKind.PLACE, CommandKind.CLOSE)
UNTOLD = (IntentState.UNKNOWN,)
_NOTHING = Fraction(0)

UNCLAIMED_US = 60_000_000
"""So long after the first look at a restored log's account what nobody has claimed of its nets may be a copy's."""


def shares_of(view: AccountView, symbol: SymbolId) -> tuple[Copy, ...]:
    """The shares of a symbol's net that have been filled."""
    return tuple(
        copy for copy in view.copies.values() if copy.share and copy.symbol == symbol and copy.position is not None
    )


def net_of_ledger(view: AccountView, symbol: SymbolId) -> int:
    """What the shares of a symbol come to by our own ledger, longs above zero."""
    return sum(share.volume * share.side.sign for share in shares_of(view, symbol))


def net_held(view: AccountView, symbol: SymbolId) -> int:
    """What the broker holds of a symbol, longs above zero."""
    held = (position for position in view.positions.values() if position.symbol == symbol)
    return sum(position.volume * position.side.sign for position in held)


def shows_less(view: AccountView, symbol: SymbolId, side: Side, volume: int) -> bool:
    """Whether the broker's net shows that `volume` was taken off a share of that side, which the ledger still has."""
    return (net_held(view, symbol) - net_of_ledger(view, symbol)) * side.sign <= -volume


def is_untold(view: AccountView, symbol: SymbolId, besides: IntentId | None = None) -> bool:
    """Whether requests of ours may have moved a symbol's net and nobody can say yet whether they did.

    While that is so the net against the ledger tells nothing: neither that a close went through, nor that a person was
    at it. An order is told by its id, in the broker's history at the latest.
    """
    is_asked = any(
        intent.command.symbol == symbol and intent.command.kind in MOVING and intent.intent != besides
        for intent in gone(view.intents)
        if intent.state in UNTOLD
    )
    return is_asked or any(view.in_doubt(share) for share in shares_of(view, symbol))


def moved(view: AccountView, share: Copy, position: PositionId) -> Copy:
    """A share whose net is another position now: what was confirmed of the old one's levels says nothing of it."""
    if view.rules < LEVELS_OF_A_NET:
        return replace(share, position=position)
    return replace(share, position=position, applied=None)


def turned(view: AccountView, position: PositionId) -> AccountView:
    """The shares of a net that has turned under its number: what was confirmed of its levels was of the other side."""
    for share in tuple(view.copies.values()):
        if share.share and share.position == position and share.applied is not None:
            view = put(view, replace(share, applied=None))
    return view


def rejoined(view: AccountView, symbol: SymbolId) -> AccountView:
    """Shares of a net that went through nothing while nobody looked, joined to the position that it is now.

    Only where ledger and net agree: otherwise somebody else was at it.
    """
    held = [position for position in view.positions.values() if position.symbol == symbol and position.volume > 0]
    left = [share for share in shares_of(view, symbol) if share.position not in view.positions]
    if len(held) != 1 or not left or net_of_ledger(view, symbol) != net_held(view, symbol):
        return view
    position = held[0].position
    for share in left:
        view = put(view, moved(view, share, position))
    known = view.by_position.get(position)
    if known is not None and (known in view.copies or view.rules < LOSSES_REJOIN):
        return view
    return replace(view, by_position={**view.by_position, position: left[0].key})


# --- what a life that is forgotten has opened -----------------------------------------------------------------------


def opened_since(view: AccountView, symbol: SymbolId) -> Mapping[str, int]:
    """What orders under our name have opened in a net for sources that the restored log does not know, longs above
    zero. Some of it may have been closed since: that bears no name."""
    is_fresh = view.at_us - view.relooked_us <= UNCLAIMED_US
    if not view.relooked_us or view.reconciled_us != view.relooked_us or not is_fresh:
        return {}
    found: dict[str, int] = {}
    for order in view.past_orders:
        mark = read_label(order.client_order_id) if order.symbol == symbol else None
        if mark is None or LinkId(mark.link) not in view.cursors:
            continue
        if view.copy(view.key_of((LinkId(mark.link), SourceKey(mark.source)))) is None:
            label = label_of(StoreId(mark.store), LinkId(mark.link), SourceKey(mark.source))
            found[label] = found.get(label, 0) + order.executed_volume * order.side.sign
    return {label: volume for label, volume in found.items() if volume}


def unclaimed(view: AccountView, symbol: SymbolId) -> int:
    """How much of what a net holds beyond its ledger that may be, longs above zero."""
    opened = opened_since(view, symbol) if view.relooked_us else {}
    held = net_held(view, symbol) if opened else 0
    if not held:
        return 0
    shorts, longs = (sum(volume for volume in opened.values() if volume * sign > 0) for sign in (-1, 1))
    return max(shorts, min(longs, held - net_of_ledger(view, symbol)))


# --- residues -----------------------------------------------------------------------------------------------------


def pooled_excess(view: AccountView, spec: SymbolSpec, symbol: SymbolId) -> tuple[CopyKey, Volume] | None:
    """What the shares may give up together though none may alone: whose it is, and how much.

    The net moves by the rounded difference of the sum of shares; what one gives beyond its own residue it is owed. A
    share that is a step or more away from its target has no residue: it is being filled, or was filled in part. What
    shares of one side lack, growth that is kept till it makes an order, is bought by no close of the other.
    """
    least = max(spec.min_volume, spec.step_volume)
    shares = tuple(share for share in shares_of(view, symbol) if _is_near(share, least))
    if len(shares) < 2 or any(share.ahead_since_us or not share.is_wanted or share.goal.round_up for share in shares):
        return None
    residues = {share.key: _residue(share) for share in shares}
    total = sum(residues.values(), Fraction(0))
    sign = 1 if total > 0 else -1
    if view.rules >= LACKS_CLOSE_NOTHING:
        others = (residues[share.key] for share in shares if share.side.sign != sign)
        total -= sum(lack for lack in others if lack * sign > 0)
    excess = spec.floor_volume(floor_fraction(max(Fraction(0), total * sign)))
    if excess < max(spec.min_volume, 1):
        return None
    givers = [share for share in shares if share.side.sign == sign and share.volume > excess]
    giver = max(givers, key=lambda share: (residues[share.key] * sign, share.key), default=None)
    return None if giver is None else (giver.key, excess)


def _is_near(share: Copy, least: int) -> bool:
    """Whether a share is less than so much away from its target: all of a net are asked, so without a fraction."""
    parts = share.goal.target_denominator
    if parts <= 0:
        return abs(share.volume - share.target) < least
    return abs(share.volume * parts - share.goal.target_numerator) < least * parts


def _residue(share: Copy) -> Fraction:
    """What a share has above its target, longs above zero: most have nothing, which asks for no fraction either."""
    if share.volume * share.goal.target_denominator == share.goal.target_numerator:
        return _NOTHING
    return (share.volume - share.target) * share.side.sign


def cancelling(view: AccountView, symbol: SymbolId) -> tuple[Copy, ...]:
    """Shares that are all to end and come to nothing together: the net need not move for them, nor an order be sent.

    Traded one by one they would ask for margin that the account may not have, for nothing.
    """
    ending = tuple(share for share in shares_of(view, symbol) if share.volume > 0 and not share.is_wanted)
    if len(ending) < 2 or sum(share.volume * share.side.sign for share in ending) != 0:
        return ()
    is_asked = any(view.intents_of(share.key) for share in ending)
    if view.rules >= SHARES_AWAIT_RESTS:
        is_asked = is_asked or any(share.order in view.orders for share in ending)
    return () if is_asked or is_untold(view, symbol) else ending


# --- shares that are closed together ------------------------------------------------------------------------------


def ending_with(view: AccountView, share: Copy) -> tuple[Copy, ...]:
    """The other shares that the close of one may close with it: those on its side that end too, and wait for nothing.

    Only where the net lacks nothing of what all shares come to: then what is closed is theirs, whatever order of
    another share fills meanwhile.
    """
    if view.rules < SHARES_CLOSE_TOGETHER or share.is_wanted:
        return ()
    ending = tuple(other for other in _ending_of(view, share) if other.close_at_us <= view.at_us)
    if not ending or is_untold(view, share.symbol):
        return ()
    is_short = (net_of_ledger(view, share.symbol) - net_held(view, share.symbol)) * share.side.sign > 0
    if is_short or (view.rules < SIDES_CLOSE_TOGETHER and not _is_one_sided(view, share)):
        return ()
    return tuple(
        other for other in ending if not any(intent.command.kind in MOVING for intent in view.intents_of(other.key))
    )


def _is_one_sided(view: AccountView, share: Copy) -> bool:
    return all(other.side is share.side for other in shares_of(view, share.symbol) if other.volume > 0)


def _ending_of(view: AccountView, share: Copy) -> Iterator[Copy]:
    """The other shares of a net on the side of one that are not wanted any more, and hold something."""
    is_of_all = view.rules >= SIDES_CLOSE_TOGETHER
    for other in view.copies.values():
        is_of_net = other.share and other.position == share.position and other.side is share.side
        is_other = other.key != share.key and (is_of_all or other.link == share.link)
        if is_of_net and is_other and other.volume and not other.is_wanted:
            yield other


def with_its_net_first(view: AccountView, keys: tuple[CopyKey, ...]) -> tuple[CopyKey, ...]:
    """Copies in their order, but shares that stand against their net behind all others: what these close may leave them
    nothing to trade, and what they gave up before would make the net larger first."""
    if len(keys) < 2 or view.rules < SIDES_CLOSE_TOGETHER or not view.is_netted():
        return keys
    return tuple(sorted(keys, key=lambda key: _is_against(view, view.copies.get(key))))


def _is_against(view: AccountView, copy: Copy | None) -> bool:
    held = view.positions.get(copy.position) if copy is not None and copy.position is not None else None
    return copy is not None and held is not None and copy.share and held.side is not copy.side


def closed_by(view: AccountView, share: Copy, volume: int, left: int) -> Iterator[tuple[Copy, Volume]]:
    """What each share loses where the close of one has taken `volume` off the net, of which `left` is still under way.

    Those that end with it come first: whose request it is has a part in it until it is done.
    """
    own = volume
    if view.rules >= SHARES_CLOSE_TOGETHER and not share.is_wanted:
        own = min(volume, max(0, share.volume - left))
        rest = volume - own
        for other in _ending_of(view, share):
            part = min(rest, other.volume)
            rest -= part
            if part:
                yield other, Volume(part)
    yield share, Volume(min(own, share.volume))


def told_by_net(view: AccountView, share: Copy, close: Intent) -> AccountView:
    """The shares after a close of one of them was told by the net: what its deals had not told is gone, too."""
    for loser, volume in closed_by(view, share, max(0, close.command.volume - close.filled), 0):
        view = put(view, replace(loser, volume=Volume(loser.volume - volume)))
    return view


# --- what somebody else has put on the net, or took off it ----------------------------------------------------------


def beside(view: AccountView, position: Position) -> Volume:
    """What a net holds on its own side beyond all of its shares: somebody else has added it. Nothing where it has no
    share at all: then all of it is somebody else's."""
    if not any(share.volume > 0 for share in shares_of(view, position.symbol)):
        return Volume(0)
    more = position.volume - net_of_ledger(view, position.symbol) * position.side.sign
    return Volume(max(0, min(more, position.volume)))


def losses(view: AccountView, symbol: SymbolId) -> Iterator[tuple[Copy, Volume]]:
    """The shares that lose by what somebody else took off the net, each with what is left of it.

    It comes off the shares on the side that was reduced: first off those whose position is gone, for they had it there.
    A net that was turned around leaves nothing of them, unless an order of ours turned it.
    """
    ledger, held = net_of_ledger(view, symbol), net_held(view, symbol) - unclaimed(view, symbol)
    is_ours = _is_ours_anew(view, symbol)
    side = 1 if ledger > (held if is_ours else 0) else -1
    missing = (ledger - held) * side
    if missing <= 0 or not (ledger or is_ours):
        return
    losing = [share for share in shares_of(view, symbol) if share.side.sign == side and share.volume > 0]
    for group in _in_turn(view, losing):
        lost = min(missing, sum(share.volume for share in group))
        missing -= lost
        if lost:
            yield from _in_proportion(view.specs.get(symbol), group, lost)


def _is_ours_anew(view: AccountView, symbol: SymbolId) -> bool:
    """Whether an order of a share, be it one that a restored log does not know, has opened the net that stands now, and
    shares of the one before have not joined it: then what it holds beyond them the other side had lost before."""
    if view.rules < LOSSES_REJOIN or all(share.position in view.positions for share in shares_of(view, symbol)):
        return False
    held = [position for position in view.positions.values() if position.symbol == symbol and position.volume > 0]
    mark = read_label(held[0].label) if len(held) == 1 else None
    if mark is not None and any(share.key == (mark.link, mark.source) for share in shares_of(view, symbol)):
        return True
    return view.rules >= OPENED_SINCE_ANEW and len(held) == 1 and held[0].label in opened_since(view, symbol)


def may_have_lost(view: AccountView, share: Copy) -> bool:
    """Whether a net lacks volume that may be a share's while requests are under way: whose it is tells their outcome,
    or the look that is due. Until then the broker may hold nothing any more of what the share would give up.

    Where an order is of unknown outcome the ledger does not tell on which side something is missing.
    """
    if is_untold(view, share.symbol):
        return net_of_ledger(view, share.symbol) != net_held(view, share.symbol)
    asked = (intent.command for intent in view.intents.values())
    is_moving = any(command.symbol == share.symbol and command.kind in MOVING for command in asked)
    return is_moving and any(loser.key == share.key for loser, _ in losses(view, share.symbol))


def _in_turn(view: AccountView, losing: list[Copy]) -> tuple[list[Copy], list[Copy]]:
    """Who loses first: shares of a position that is gone, then the others."""
    if view.rules < GONE_WITH_ITS_POSITION:
        return [], losing
    gone = [share for share in losing if share.position not in view.positions]
    return gone, [share for share in losing if share not in gone]


def _in_proportion(spec: SymbolSpec | None, losing: list[Copy], lost: int) -> Iterator[tuple[Copy, Volume]]:
    """What is left to each of some shares that have lost so much together, on the step.

    What that leaves over goes to the largest; none gets more than it had.
    """
    losing = sorted(losing, key=lambda share: (-share.volume, share.key))
    whole = sum(share.volume for share in losing)
    left = whole - lost
    parts = [share.volume * left // whole for share in losing]
    if spec is not None:
        parts = [spec.floor_volume(part) for part in parts]
    rest = left - sum(parts)
    for share, part in zip(losing, parts, strict=True):
        part, rest = _filled_up(share, part, rest)
        if part != share.volume:
            yield share, Volume(part)


def _filled_up(share: Copy, part: int, rest: int) -> tuple[int, int]:
    """What is left to a share once it has of the rest what it can hold, and what remains of that."""
    more = min(rest, share.volume - part)
    return part + more, rest - more
