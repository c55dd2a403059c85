"""What must hold of stops and targets under any policy: reversed, offset, fixed, not copied, and shared on a net.

Judged by the books of the two brokers, with the settings of the decision that told a copy its levels last.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from cmam.domain.belief.copies import Copy, CopyKey
from cmam.domain.belief.view import AccountView
from cmam.domain.events import (
    ChangeDecided,
    CopyTouched,
    Event,
    ExecutionSeen,
    IntentRecorded,
    IntentSettled,
    Outcome,
    Reconciled,
)
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import PositionId
from cmam.domain.values.quantities import Side
from cmam.domain.values.reasons import Reason, Verdict
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from tests.chaos.course import Taken, Terms, course, taken
from tests.chaos.level_checks import LEVELS, hands_of, is_outside
from tests.person import Held
from tests.whole import Whole

PRICE = 100_000_000
TELLING = (ChangeKind.OPENED, ChangeKind.REVERSED, ChangeKind.PROTECTED)
OFF_TICKS = 2
"""By less than so many ticks a level may be off: it is rounded to one, and what the opening request carried is amended
only where it is off by more than one after the fill."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What told a copy its levels: the settings of its last decision about them, and how it was opened."""

    terms: Terms
    copied: frozenset[str]
    """Which of stop and target were copied, or fixed, by each of these decisions."""
    uncopied: frozenset[str]
    """Which of them were not, by each."""
    opened: Taken | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A copy that nobody else touched, with its leader's position and its own as the brokers hold them."""

    view: AccountView
    copy: Copy
    told: Told
    theirs: Held
    ours: Held
    has_trailed: bool
    """Whether the stop of our position has ever trailed."""


def levels_as_set(whole: Whole, drawn: Sequence[str] = ()) -> None:
    """Each copy's stop and target are its leader's, moved, changed about or replaced as its settings say.

    Not one that a person had set before the copy's position came to light: nobody can tell that from what it carried.
    """
    hands = hands_of(drawn)
    for pair in _pairs(whole):
        if pair.copy.share:
            continue
        tick = pair.view.specs[pair.copy.symbol].tick
        for name in LEVELS:
            wanted = wanted_level(pair, name)
            is_touched = pair.ours.position in hands.get(pair.view.account, ())
            if wanted is not None and not (is_touched and _came_with(whole, pair, name)):
                found = _scaled(getattr(pair.ours, name))
                words = f"the {name} of {pair.copy.key} is {found}, {float(wanted)} by {dict(pair.told.terms.texts)}"
                assert bool(found) == bool(wanted), f"{words}: {pair.ours} of {pair.theirs}"
                assert abs(found - wanted) < OFF_TICKS * tick, f"{words}: {pair.ours} of {pair.theirs}"


def _came_with(whole: Whole, pair: Pair, name: str) -> bool:
    """Whether a copy's position had that level already when a snapshot first showed it."""
    for event in whole.events(pair.view.account, Event):
        shown = event.positions if isinstance(event, Reconciled) else ()
        if isinstance(event, ExecutionSeen) and event.position is not None:
            shown = (event.position,)
        for position in shown:
            if position.position == pair.ours.position and position.volume:
                return isinstance(event, Reconciled) and getattr(position, name) == _scaled(getattr(pair.ours, name))
    return False


def net_levels_as_set(whole: Whole, drawn: Sequence[str]) -> None:
    """A net has the farthest of its shares' stops, and a target only while it has one share.

    Not one that a person had his hands on: whose levels it shows then is not recorded.
    """
    hands = hands_of(drawn)
    nets: dict[tuple[int, int], list[Pair]] = defaultdict(list)
    for pair in _pairs(whole):
        is_its_side = pair.copy.share and _side(pair.ours) is pair.copy.side
        if is_its_side:
            nets[pair.view.account, pair.ours.position].append(pair)
    for (account, position), pairs in nets.items():
        view = pairs[0].view
        shares = [c for c in view.copies.values() if c.position == position and c.side is pairs[0].copy.side]
        if len(shares) != len(pairs) or position in hands.get(account, ()):
            continue
        stops = [wanted_level(pair, "stop") for pair in pairs]
        if any(stop is None for stop in stops):
            continue
        known = [stop for stop in stops if stop]
        best = (min if pairs[0].copy.side is Side.BUY else max)(known) if len(known) == len(stops) else Fraction(0)
        found, tick = _scaled(pairs[0].ours.stop), view.specs[pairs[0].copy.symbol].tick
        words = f"the net {position} of {account} has its stop at {found}, its shares' are {[*map(str, stops)]}"
        assert bool(found) == bool(best), words
        assert abs(found - best) < OFF_TICKS * tick, words
        assert len(pairs) == 1 or not pairs[0].ours.target, f"{len(pairs)} shares and a target: {pairs[0].ours}"


def _side(held: Held) -> Side:
    return Side.BUY if held.side == model.BUY else Side.SELL


def _scaled(price: float) -> int:
    return int(Fraction(str(price)) * PRICE)


# --- what a level shall be ------------------------------------------------------------------------------------------


def wanted_level(pair: Pair, name: str) -> Fraction | None:
    """Where a level shall be, 0 where there shall be none, None where its settings were changed on the way."""
    terms, spec, side = pair.told.terms, pair.view.specs[pair.copy.symbol], pair.copy.side
    away = side.sign * (-1 if name == "stop" else 1)
    fixed = terms.number("fixed_sl" if name == "stop" else "fixed_tp")
    if fixed is not None:
        set_at = None if pair.copy.open_price is None else pair.copy.open_price + away * fixed * spec.pip
        return _trailed_to(pair, set_at) if name == "stop" and pair.has_trailed else set_at
    if name not in pair.told.copied:
        return Fraction(0) if name in pair.told.uncopied else None
    is_turned = _side(pair.theirs) is not side
    source = {"stop": "target", "target": "stop"}[name] if is_turned else name
    level = _scaled(getattr(pair.theirs, source))
    shift = _shift(pair)
    if not level or shift is None:
        return Fraction(0) if not level else None
    offset = terms.number("sl_offset" if source == "stop" else "tp_offset") or 0
    outwards = _side(pair.theirs).sign * (-1 if source == "stop" else 1)
    return level + outwards * offset * spec.pip + shift


def _trailed_to(pair: Pair, set_at: Fraction | None) -> Fraction | None:
    """A fixed stop that has trailed stays where it has come to, never farther than it was set; None of a net's share,
    whose own place is not in the books."""
    found, side = Fraction(_scaled(pair.ours.stop)), pair.copy.side
    if set_at is None or pair.copy.share:
        return None
    return found if found and (found - set_at) * side.sign > 0 else set_at


def _shift(pair: Pair) -> int | None:
    """How far apart the two entries are: for life where it was opened at once, by the quotes of then where late."""
    if pair.told.terms.text("levels") == "price":
        return 0
    opened, copy = pair.told.opened, pair.copy
    is_at_once = opened is not None and not opened.is_attempt and not opened.change.late and not opened.change.synced
    if opened is not None and is_at_once and opened.request is not None and copy.open_price is not None:
        is_open = opened.request.command.kind is CommandKind.OPEN and opened.terms.text("levels") == "shift"
        if is_open and opened.change.price is not None:
            return copy.open_price - opened.change.price
    return copy.goal.shift


# --- which copies ---------------------------------------------------------------------------------------------------


def _pairs(whole: Whole) -> Iterator[Pair]:
    for link in whole.folded().registry.links():
        view = whole.view(link.follower)
        assert view is not None
        theirs = {held.position: held for held in whole.person.holds(link.leader)}
        ours = {held.position: held for held in whole.person.holds(link.follower)}
        touched, trailed = _touched(whole, link), _trailed(whole, link)
        told = _told(list(taken(whole, link.follower)), view)
        for copy in view.copies.values():
            source, own = theirs.get(copy.leader_position or 0), ours.get(copy.position or 0)
            if copy.link != link.link or source is None or own is None or copy.key not in told:
                continue
            is_moving = source.trailing or own.trailing or bool(copy.trouble)
            if not is_moving and copy.key not in touched and not is_outside(whole, link, copy):
                has_trailed = own.position in trailed
                yield Pair(view=view, copy=copy, told=told[copy.key], theirs=source, ours=own, has_trailed=has_trailed)


def _trailed(whole: Whole, link: LinkSettings) -> set[int]:
    """Positions of a follower that were shown with a stop that trails."""
    found: set[int] = set()
    for event in whole.events(link.follower, Event):
        shown = event.positions if isinstance(event, Reconciled) else ()
        if isinstance(event, ExecutionSeen) and event.position is not None:
            shown = (event.position,)
        found.update(position.position for position in shown if position.trailing)
    return found


def _touched(whole: Whole, link: LinkSettings) -> set[CopyKey]:
    """Copies whose levels somebody else has moved; of a net, where it was one share's, all."""
    found = {(e.link, e.source) for e in whole.events(link.follower, CopyTouched) if e.what in LEVELS}
    view = whole.view(link.follower)
    assert view is not None
    return set(view.copies) if found and view.is_netted() else found


def _told(decisions: Sequence[Taken], view: AccountView) -> dict[CopyKey, Told]:
    """By copy, what told it its levels. A filled order's copy is found under the order's name."""
    found: dict[CopyKey, Told] = {}
    for one in decisions:
        key = view.chains.get(one.key, one.key)
        is_told = one.verdict is Verdict.COPY or one.reason is Reason.ALREADY_THERE
        opens = one.request is not None and one.request.command.kind in (CommandKind.OPEN, CommandKind.PLACE)
        if not is_told or not (one.change.kind in TELLING or opens) or one.change.trailed:
            continue
        copied = frozenset(
            name
            for name, copies, fixed in (("stop", "copy_sl", "fixed_sl"), ("target", "copy_tp", "fixed_tp"))
            if one.terms.is_on(copies) or one.terms.number(fixed) is not None
        )
        past = found.get(key)
        if past is None or opens:
            found[key] = Told(terms=one.terms, copied=copied, uncopied=frozenset(LEVELS) - copied, opened=one)
        else:
            found[key] = Told(
                terms=one.terms,
                copied=past.copied & copied,
                uncopied=past.uncopied - copied,
                opened=past.opened,
            )
    return found


# --- every moment ---------------------------------------------------------------------------------------------------


def _is_shared(view: AccountView, position: PositionId | None) -> bool:
    """Whether a position is a net of several shares."""
    return sum(copy.share and copy.volume > 0 and copy.position == position for copy in view.copies.values()) > 1


def never_loosened(whole: Whole) -> None:
    """No amend gives a trailing copy a stop that risks more than it has, unless its leader has set one since the last
    that was confirmed.

    A net of several shares is not judged: its stop is the farthest of theirs, and none where one has none.
    """
    for account in {link.follower for link in whole.folded().registry.links()}:
        by_leader: set[CopyKey] = set()
        by_hand: set[CopyKey] = set()
        asked_for: dict[str, CopyKey] = {}
        for moment in course(whole, account):
            match moment.event:
                case ChangeDecided(change=change) as decided if change.kind in TELLING and not change.trailed:
                    key = (decided.link, change.source)
                    by_leader.add(moment.before.chains.get(key, key))
                case CopyTouched(link=link, source=source):
                    by_hand.add((link, source))
                case IntentRecorded(command=command) as asked if command.kind is CommandKind.AMEND_PROTECTION:
                    key = (asked.link, asked.source)
                    held = moment.before.positions.get(command.position) if command.position is not None else None
                    is_free = key in by_hand | by_leader or _is_shared(moment.before, command.position)
                    if held is not None and held.trailing and held.stop is not None and not is_free:
                        tighter = command.stop is not None and (command.stop - held.stop) * held.side.sign >= 0
                        assert tighter, f"{key}: a trailing stop at {held.stop} loosened to {command.stop}"
                    asked_for[asked.intent] = key
                case IntentSettled(intent=name, outcome=Outcome.CONFIRMED) if name in asked_for:
                    by_leader.discard(asked_for[name])
                case _:
                    pass
