"""What a copy needs so that the broker shows what its goal wants: reductions and levels; its order by `resting.py`.

Level-triggered: asked for whenever goal and truth differ, no request of that kind is under way, and the delay after the
last refusal is over. Nothing here opens or adds anything, and nothing here passes a gate.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from cmam.domain.belief.copies import Applied, Copy, CopyKey, IntentState, LeftOut
from cmam.domain.belief.shares import cancelling, ending_with, is_untold, may_have_lost, pooled_excess, shares_of
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Health
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import PositionId, SymbolId
from cmam.domain.values.quantities import Distance, Price, Side, Volume, ceil_to
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.closes import CLOSES_APART, CLOSES_IN_PARTS
from cmam.domain.values.rules.levels import LEVELS_ON_TICKS, NO_LEVELS_BELOW, OWN_STOPS_TRAIL, PINS_TRAIL, ROUNDED_STAY
from cmam.domain.values.rules.nets import (
    APPLIED_TO_NETS,
    GIVEN_UP_GUARANTEED,
    LOSSES_ARE_TOLD,
    ONE_SHARE_TARGETS,
    TURNED_NETS,
)
from cmam.domain.values.rules.sight import PARTS_FILL_ON
from cmam.domain.values.symbols import SymbolSpec
from cmam.domain.values.trades import Position
from cmam.domain.wanted.levels import is_off, least_distance, tighter, towards_market, wanted_levels
from cmam.domain.wanted.resting import needed_of_order

TOO_LARGE = f"{CommandKind.CLOSE.value}: TRADING_BAD_VOLUME"
"""The trouble of a copy whose close the broker has refused for its size."""

OPENING_KINDS = frozenset({CommandKind.OPEN, CommandKind.ADD, CommandKind.PLACE})


def needed(view: AccountView, key: CopyKey, now_us: int, nets: Nets | None = None) -> Iterator[Command]:
    """What to ask of the broker for one copy now; what it has refused waits, a close for itself.

    `nets` are those of this view, from whoever asks for many of its copies.
    """
    nets = nets or Nets(view)
    assert nets.view is view
    copy = view.copies.get(key)
    if copy is None or view.health is not Health.RECONCILED:
        return
    is_held = now_us < copy.retry_at_us
    if is_held and view.rules < CLOSES_APART:
        return
    under_way = {intent.command.kind for intent in view.intents_of(key)}
    if not is_held:
        yield from needed_of_order(view, copy, under_way)
    may_close = now_us >= copy.close_at_us
    position = view.positions.get(copy.position) if copy.position is not None else None
    if position is None:
        if copy.share and copy.position is not None and not under_way and may_close:
            yield from _out_of_flat(nets, copy)
        return
    is_asked = CommandKind.CLOSE in under_way or _is_given_up(view, copy) or not may_close
    may_reduce = not is_asked and not _is_busy(nets, copy, position)
    may_amend = not is_held and CommandKind.AMEND_PROTECTION not in under_way
    if copy.share and not may_reduce and not (may_amend and _amendment(nets, copy, position)):
        return  # while one share is closed, what the close of each other one would be is dear to find out
    reduction = _reduction(nets, copy, position)
    if reduction is not None and may_reduce:
        yield reduction
    if may_amend and (reduction is None or not reduction.whole):
        amendment = _amendment(nets, copy, position)
        if amendment is not None and not _is_opening(view, key):
            yield amendment


def _is_opening(view: AccountView, key: CopyKey) -> bool:
    """Whether an open is under way; what is there already of one whose outcome is not known is protected meanwhile."""
    return any(
        intent.command.kind is CommandKind.OPEN
        and not (view.rules >= PARTS_FILL_ON and intent.state is IntentState.UNKNOWN)
        for intent in view.intents_of(key)
    )


def _is_given_up(view: AccountView, copy: Copy) -> bool:
    """Whether what a share gives up is on its way as an order already: the net may have turned since it was asked."""
    return copy.share and any(
        intent.command.kind is CommandKind.ADD and intent.command.side is not copy.side
        for intent in view.intents_of(copy.key)
    )


def _is_busy(nets: Nets, copy: Copy, position: Position) -> bool:
    """Whether another share's reduction of the same position is under way: one in flight per position."""
    return copy.share and position.position in nets.closing()


# --- volume -------------------------------------------------------------------------------------------------------


def enforced_target(copy: Copy) -> Fraction:
    """The volume that is enforced: while a copy is ahead of its leader's order, all of it is held."""
    if copy.ahead_since_us and copy.is_wanted:
        return max(copy.target, Fraction(copy.goal.whole))
    return copy.target


def excess_of(spec: SymbolSpec, copy: Copy) -> Volume:
    """What of a copy lies above its target and can be closed: whole steps, at least the symbol's minimum."""
    target, parts = copy.goal.target_numerator, copy.goal.target_denominator
    if parts <= 0 or copy.ahead_since_us:
        exact = enforced_target(copy)
        target, parts = exact.numerator, exact.denominator
    over = copy.volume * parts - target  # in parts of 1/100 unit: most copies are looked at and left alone
    if over <= 0:
        return Volume(0)
    return Volume(min(spec.closable(over, parts, up=copy.goal.round_up), copy.volume))


def _reduction(nets: Nets, copy: Copy, position: Position) -> Command | None:
    view = nets.view
    if copy.doubt and position.position in view.doubted:
        return None  # its broker neither shows it nor closes it: the look that is due says which of them is wrong
    if not copy.is_wanted:
        if copy.share:
            return _close_share(view, copy, position)
        return _part_or_whole(view, copy, position, position.volume)
    if copy.refused_part:
        return None  # it may have been done all the same: the look that is due says so
    spec = view.specs.get(copy.symbol)
    excess = None if spec is None else _excess(nets, spec, copy)
    if not excess:
        return None
    if copy.share and position.side is not copy.side:
        return _give_up(view, copy, position, excess)
    return _part_or_whole(view, copy, position, Volume(min(excess, position.volume)))


def _part_or_whole(view: AccountView, copy: Copy, position: Position, volume: Volume) -> Command:
    """Close so much, or the first part of it: a part is an order; a whole goes as a whole unless that was refused."""
    is_whole = volume == position.volume
    if not is_whole or copy.trouble == TOO_LARGE:
        volume = _in_one_order(view, copy, volume)
    return _close(copy, position, volume, whole=volume == position.volume)


def _in_one_order(view: AccountView, copy: Copy, volume: Volume) -> Volume:
    spec = view.specs.get(copy.symbol)
    return volume if spec is None or view.rules < CLOSES_IN_PARTS else spec.in_one_order(volume)


def _excess(nets: Nets, spec: SymbolSpec, copy: Copy) -> Volume:
    """What a copy can give up: its own excess, or as a share what all shares of the net can give up together."""
    excess = excess_of(spec, copy)
    if excess > 0 or not copy.share or not copy.is_wanted:
        return excess
    pooled = nets.pooled(spec, copy.symbol)
    return pooled[1] if pooled is not None and pooled[0] == copy.key else Volume(0)


def _close(copy: Copy, position: Position, volume: Volume, *, whole: bool) -> Command:
    return Command(
        kind=CommandKind.CLOSE,
        symbol=copy.symbol,
        side=copy.side.opposite,
        volume=volume,
        whole=whole,
        position=position.position,
    )


def _against(view: AccountView, copy: Copy, volume: Volume) -> Command:
    """Trade what a share gives up the other way: the net moves, whatever it is."""
    side = copy.side.opposite
    given = Command(kind=CommandKind.ADD, symbol=copy.symbol, side=side, volume=volume, netted=True)
    is_limited = view.trader is not None and view.trader.limited_risk
    if not is_limited or view.rules < GIVEN_UP_GUARANTEED:
        return given
    return replace(given, relative_stop=_stop_of_order(view, copy, side), guaranteed=True)


def _stop_of_order(view: AccountView, copy: Copy, side: Side) -> Distance | None:
    """How far the stop of an order lies that moves a net of limited risk, counted from its average price
    (wire.md#orders-by-type): as far as the farthest that the shares of that side are to have. Where nothing is held its
    price is not known yet, and the least distance is added: what is guaranteed may be brought nearer afterwards, and
    never moved away."""
    spec, net = view.specs.get(copy.symbol), view.positions.get(copy.position) if copy.position is not None else None
    if spec is None:
        return None
    held = [share for share in shares_of(view, copy.symbol) if share.side is side and share.open_price is not None]
    stops = [(share.open_price, wanted_levels(spec, side, share.goal, share.open_price).stop) for share in held]
    if net is not None:
        stops = [(net.price, stop) for _, stop in stops if stop is not None] or [(net.price, net.stop)]
    away = max(((price - stop) * side.sign for price, stop in stops if price and stop), default=0)
    least = least_distance(spec, copy.open_price or 0, max(spec.sl_distance, spec.gsl_distance))
    away = ceil_to(away, spec.tick) if net is not None else ceil_to(away, spec.tick) + least
    return Distance(max(away, least, spec.tick))


def _give_up(view: AccountView, copy: Copy, position: Position, volume: Volume) -> Command | None:
    """What a share gives up while the net stands against it: the net grows, or goes flat where it may not grow."""
    cap = copy.goal.net_cap
    if cap and position.volume + volume > cap:
        return _close(copy, position, position.volume, whole=True)
    if view.rules >= LOSSES_ARE_TOLD and may_have_lost(view, copy):
        return None
    in_one = _in_one_order(view, copy, volume)
    return _against(view, copy, in_one) if volume > 0 and not view.intents_of(copy.key) else None


def _out_of_flat(nets: Nets, copy: Copy) -> Iterator[Command]:
    """Shares of both sides cancel out to no position at all: what one of them gives up is traded the other way."""
    view = nets.view
    spec = view.specs.get(copy.symbol)
    volume = copy.volume if not copy.is_wanted or spec is None else _excess(nets, spec, copy)
    if volume > 0 and not (view.rules >= LOSSES_ARE_TOLD and may_have_lost(view, copy)):
        yield _against(view, copy, _in_one_order(view, copy, volume))


def close_command(position: Position) -> Command:
    """The whole close of a position that is no copy."""
    return Command(
        kind=CommandKind.CLOSE,
        symbol=position.symbol,
        side=position.side.opposite,
        volume=position.volume,
        whole=True,
        position=position.position,
    )


def _close_share(view: AccountView, copy: Copy, position: Position) -> Command | None:
    """Take a share out of the net, and those that end with it. Where others hold the same way, it falls by no more."""
    if position.side is not copy.side:
        return _give_up(view, copy, position, copy.volume)
    spec, ending = view.specs.get(copy.symbol), ending_with(view, copy)
    taken = {copy.key, *(other.key for other in ending)}
    others = [other for other in shares_of(view, copy.symbol) if other.key not in taken and other.volume > 0]
    if view.rules >= TURNED_NETS and spec is not None and copy.volume < spec.min_volume:
        others = [other for other in others if other.is_wanted]  # none of them could be closed by itself
    is_alone = not others
    is_all = is_alone and not is_untold(view, copy.symbol)
    held = copy.volume + sum(other.volume for other in ending)
    volume = position.volume if is_all else Volume(min(held, position.volume))
    if volume <= 0:
        return None
    if ending:
        volume = _in_one_order(view, copy, volume)
    return _part_or_whole(view, copy, position, volume)


# --- levels -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wanted:
    """The levels to ask for, pins and trailing considered."""

    stop: Price | None
    target: Price | None
    trailing: bool


def levels_of(spec: SymbolSpec, copy: Copy, position: Position, rules: int) -> Wanted:
    """The levels that a copy should show now."""
    goal = copy.goal
    found = wanted_levels(spec, copy.side, goal, copy.open_price)
    stop = position.stop if goal.keeps_stop else found.stop or copy.own_stop
    if stop is None and rules >= NO_LEVELS_BELOW and (goal.leader_stop is not None or goal.fixed_stop is not None):
        stop = position.stop  # what is asked for lies at 0 or below: no reason to be without any
    target = _kept_target(copy, position) if goal.keeps_target else found.target or copy.own_target
    is_pinned = goal.pins and copy.pinned_stop is not None
    if is_pinned:
        stop = copy.pinned_stop or None
    if goal.pins and copy.pinned_target is not None:
        target = copy.pinned_target or None
    if position.trailing and goal.trailing and stop is not None:
        is_new = goal.stop_set and (copy.applied is None or copy.applied.stop != stop)
        is_new = is_new and not (is_pinned and rules >= PINS_TRAIL)
        stop = stop if is_new else tighter(copy.side, stop, position.stop)
    trailing = position.trailing if goal.keeps_stop else goal.trailing
    is_own = found.stop is None and copy.own_stop is not None and not goal.keeps_stop
    if is_own and rules >= OWN_STOPS_TRAIL:
        trailing = position.trailing
        stop = tighter(copy.side, stop, position.stop) if trailing else stop
    if goal.pins and copy.pinned_trailing is not None:
        trailing = copy.pinned_trailing
        stop = tighter(copy.side, stop, position.stop) if trailing else stop
    if goal.close_only and stop is not None:
        stop = tighter(copy.side, stop, position.stop)
    if position.guaranteed:
        stop = tighter(copy.side, stop, position.stop)  # nobody may take a guaranteed stop away, or farther
    return Wanted(stop, target, trailing and stop is not None and not position.guaranteed)


def _kept_target(copy: Copy, position: Position) -> Price | None:
    """The target that a position shows, or showed until it was in the way of a stop."""
    left = copy.left_out
    return position.target if position.target is not None or left is None else left.level


def wanted_of(view: AccountView, spec: SymbolSpec, copy: Copy, position: Position) -> Wanted:
    """The levels that a copy's position should show now: on a net those of all its shares."""
    return Nets(view).levels(spec, copy, position) if copy.share else levels_of(spec, copy, position, view.rules)


def left_out_of(view: AccountView, copy: Copy, target: Price | None) -> LeftOut | None:
    """What is known of a wanted target that is left out, on a net by whichever of its shares."""
    if target is None:
        return None
    shares = view.copies.values() if copy.share else (copy,)
    found = (share.left_out for share in shares if share.left_out is not None and share.position == copy.position)
    return next((left for left in found if left.level == target), None)


def _beside(left: LeftOut, shown: Price | None, side: Side) -> Price | None:
    """The target that goes out beside a stop while the wanted one is left out: the one that is there, if farther."""
    is_farther = shown is not None and left.level is not None and (shown - left.level) * side.sign > 0
    return shown if is_farther and not left.is_bare else None


def _amendment(nets: Nets, copy: Copy, position: Position) -> Command | None:
    view = nets.view
    spec = view.specs.get(copy.symbol)
    if spec is None or not copy.goal.has_levels or copy.awaits_protection:
        return None
    wanted = nets.levels(spec, copy, position) if copy.share else levels_of(spec, copy, position, view.rules)
    if (wanted.stop, wanted.target, wanted.trailing) == (position.stop, position.target, position.trailing):
        return None
    tolerance = 0 if copy.goal.is_exact else spec.tick
    is_same = not is_off(wanted.stop, position.stop, tolerance) and position.trailing == wanted.trailing
    left = left_out_of(view, copy, wanted.target)
    if left is not None and not left.is_due:
        target = position.target if is_same else _beside(left, position.target, position.side)
        wanted = replace(wanted, target=target)
    if view.rules >= ROUNDED_STAY:
        wanted = _as_rounded(wanted, position, tolerance)
    if view.rules >= LEVELS_ON_TICKS:
        wanted = _on_ticks(spec, position.side, wanted)
    is_same = is_same and not is_off(wanted.target, position.target, tolerance)
    if is_same or copy.applied == Applied(wanted.stop, wanted.target, wanted.trailing):
        return None
    return Command(
        kind=CommandKind.AMEND_PROTECTION,
        symbol=copy.symbol,
        side=copy.side,
        position=position.position,
        stop=wanted.stop,
        target=wanted.target,
        trailing=wanted.trailing,
        guaranteed=position.guaranteed,
        trigger=position.trigger,
    )


def _as_rounded(wanted: Wanted, position: Position, tolerance: int) -> Wanted:
    """The levels to ask for, with those that are there as its opening has rounded them."""
    stop, target = position.stop, position.target
    return Wanted(
        stop=wanted.stop if is_off(wanted.stop, stop, tolerance) else stop,
        target=wanted.target if is_off(wanted.target, target, tolerance) else target,
        trailing=wanted.trailing,
    )


def _on_ticks(spec: SymbolSpec, side: Side, wanted: Wanted) -> Wanted:
    """The levels to ask for, though what stays of them has more digits at the broker than an amendment may have."""
    if not ((wanted.stop or 0) % spec.tick or (wanted.target or 0) % spec.tick):
        return wanted
    stop = towards_market(spec, wanted.stop, from_below=side is Side.BUY) if wanted.stop else wanted.stop
    target = towards_market(spec, wanted.target, from_below=side is Side.SELL) if wanted.target else wanted.target
    return replace(wanted, stop=stop, target=target)


def _net_levels(
    view: AccountView, spec: SymbolSpec, symbol: SymbolId, shares: list[Copy], position: Position
) -> Wanted:
    """On a net position the farthest of the shares' stops, and a target only while there is one share."""
    if view.rules >= APPLIED_TO_NETS:  # one that is closing has levels only where nothing else is held
        shares = [share for share in shares if share.is_wanted] or shares
    found = [levels_of(spec, share, position, view.rules) for share in shares]
    stops = [levels.stop for levels in found if levels.stop is not None]
    stop = None
    if len(stops) == len(found):
        stop = min(stops) if position.side is Side.BUY else max(stops)
    is_only = len(found) == 1
    if view.rules >= ONE_SHARE_TARGETS:
        # A target that closes the net would close the shares of the other side too, which have reached none.
        is_only = is_only and not any(
            share.volume > 0 and share.side is not position.side and (share.is_wanted or view.rules < APPLIED_TO_NETS)
            for share in shares_of(view, symbol)
        )
    target = found[0].target if is_only else None
    trails = found[0].trailing if len(found) == 1 else all(share.pinned_trailing for share in shares)
    return Wanted(stop, target, trails)


class Nets:
    """What concerns a whole net, worked out once for all its shares. Of one view, which nothing ever changes."""

    __slots__ = ("_cancelling", "_closing", "_levels", "_pooled", "view")

    def __init__(self, view: AccountView) -> None:
        self.view = view
        self._cancelling: dict[SymbolId, tuple[Copy, ...]] = {}
        self._pooled: dict[SymbolId, tuple[CopyKey, Volume] | None] = {}
        self._levels: dict[tuple[PositionId, SymbolId], Wanted] = {}
        self._closing: frozenset[PositionId | None] | None = None

    def of(self, view: AccountView) -> Nets:
        """The nets of a view: these, as long as it is the same one."""
        return self if view is self.view else Nets(view)

    def closing(self) -> frozenset[PositionId | None]:
        """The positions of which a close is under way."""
        if self._closing is None:
            asked = (intent.command for intent in self.view.intents.values())
            self._closing = frozenset(command.position for command in asked if command.kind is CommandKind.CLOSE)
        return self._closing

    def cancelling(self, symbol: SymbolId) -> tuple[Copy, ...]:
        """The shares of a symbol that cancel each other out."""
        if symbol not in self._cancelling:
            self._cancelling[symbol] = cancelling(self.view, symbol)
        return self._cancelling[symbol]

    def pooled(self, spec: SymbolSpec, symbol: SymbolId) -> tuple[CopyKey, Volume] | None:
        """What the shares of a symbol may give up together, and whose it is."""
        if symbol not in self._pooled:
            self._pooled[symbol] = pooled_excess(self.view, spec, symbol)
        return self._pooled[symbol]

    def levels(self, spec: SymbolSpec, share: Copy, position: Position) -> Wanted:
        """The levels of a net; while no share holds anything on its side, those of the one that asks."""
        which = (position.position, share.symbol)
        if which not in self._levels:
            view, number, side = self.view, position.position, position.side
            held = [one for one in view.copies.values() if one.position == number and one.volume > 0]
            held = [one for one in held if one.side is side]
            if not held:
                return _net_levels(view, spec, share.symbol, [share], position)
            self._levels[which] = _net_levels(view, spec, share.symbol, held, position)
        return self._levels[which]
