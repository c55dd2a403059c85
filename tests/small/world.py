"""A small world: a leader's script, a follower's view, its broker's books, and what is on its way between them.

`moves` are all that may happen next. Whatever a request of the follower may meet is a fate of it, and each fate but the
plain one costs one of the world's faults, as do a line that is cut and a look that is told late, or of before. What is
on its way comes at any moment that makes a difference: between any two of the leader's changes, of a look's questions
and of the moments at which something falls due. The follower is the real one, its turns and what its account asks.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from cmam.actors.accounts.just_heard import QUIET_US, RESTLESS_MAX
from cmam.actors.accounts.lookups import KINDS, LOOKUP_US
from cmam.actors.asking.preparation import Kind
from cmam.domain.belief.copies import Copy, IntentState
from cmam.domain.belief.nameless import named
from cmam.domain.belief.proofs import looks_due
from cmam.domain.belief.view import AccountView
from cmam.domain.deciding.attempts import next_wake, wakes
from cmam.domain.deciding.inputs import gather
from cmam.domain.events import (
    Event,
    ExecutionSeen,
    Health,
    HealthChanged,
    Inputs,
    IntentDropped,
    IntentOverdue,
    IntentRecorded,
    IntentSent,
    Reconciled,
    RequestRefused,
)
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.turns import absences, snapshots
from cmam.domain.turns.making import Turn
from cmam.domain.turns.settling import SETTLE_US
from cmam.domain.turns.timing import due, next_due
from cmam.domain.turns.turn import decide_change, step
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import ChangeKey, LinkId, OrderId, PositionId, order_source, position_source
from cmam.domain.values.quantities import Price, Quote, Side, Volume
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.trades import AccountType, Order, OrderType, Position
from tests.factories import LOT, QUOTES, STORE, T0_US, a_change, a_quote, a_view, some_settings
from tests.small.books import Books
from tests.small.hands import Hand, Touch, requests

MINI = LOT // 10
SECOND_US = 1_000_000
UNDER_WAY_US = SETTLE_US - 500_000
"""How long a request may be on its way: less than the settling time, which is all that the copier rests on."""
TOLD_LATE_US = 3 * SECOND_US
"""By how much an event may come late."""
ANSWERED_LATE_US = 2 * SECOND_US
"""By how much an answer to a look may come late."""
BEHIND_US = 400_000
"""How far behind a snapshot or a history may be. With it a request still counts as done within the settling time."""
REMINDED_US = 300 * SECOND_US
"""What falls due later than this only says once more what was said."""
REFRESH_US = 60 * SECOND_US
Told = tuple[ExecutionSeen, ...] | str
"""The events of what a broker has done, or the code with which it is refused."""
TEMPORARY, FINAL = "CONCURRENT_MODIFICATION", "TRADING_DISABLED"


@dataclass(frozen=True)
class Act:
    """One thing that the leader does to one of his positions: `volume` of an open, an add or a part."""

    what: ChangeKind
    volume: int = 0
    position: int = 500
    side: Side = Side.BUY
    stop: int = 0
    """The stop of his position from now on, where it is not 0."""
    order: int = 0
    """Which of his orders that rest is placed, amended or ended, or is filled by so much; 0 where none is."""
    limit: int = 0
    """The price of a limit order that is placed or amended."""


@dataclass(frozen=True)
class Setting:
    """What a world is made of: what its leader does, who follows, and how many faults there are."""

    acts: tuple[Act, ...]
    netted: bool = False
    amounts: tuple[str, ...] = ("1",)
    faults: int = 1
    cuts: bool = True
    lies: tuple[CommandKind, ...] = ()
    """What may be refused and done all the same."""
    anywhere: bool = False
    """Whether the line may be cut, and the process end, between any two moments."""
    hands: tuple[Hand, ...] = ()
    """What a person does to the follower, one after the other, each at any moment."""
    fills: tuple[int, ...] = ()
    """What the market fills of orders of the follower that rest, one after the other: all of one, or a half of it."""
    rules: int = RULES
    tick_us: int = 1_000
    """By how much later each request is carried out than the one before: 0 is all in one millisecond."""


@dataclass(frozen=True)
class Late:
    """What is on its way: a request, or events that are told; until when at the latest."""

    request: IntentRecorded | None
    events: tuple[ExecutionSeen, ...]
    until_us: int
    name: str


@dataclass(frozen=True)
class Look:
    """A look on its way: the history is read first, then the snapshot is taken, then it is told."""

    kind: Kind
    begun_us: int
    orders: tuple[Order, ...] | None = None
    shown: tuple[Position, ...] | None = None
    resting: tuple[Order, ...] = ()
    asked_us: int = 0
    tells_from_us: int = 0
    restless: int = 0
    heard: tuple[tuple[Event, bool], ...] = ()


@dataclass(frozen=True)
class World:
    """One moment of a small world."""

    setting: Setting
    view: AccountView
    books: Books
    before: tuple[Books, ...] = ()
    now_us: int = T0_US
    told: int = 0
    unsent: tuple[IntentRecorded, ...] = ()
    late: tuple[Late, ...] = ()
    look: Look | None = None
    begun: tuple[tuple[Kind, int], ...] = ()
    executed_us: int = 0
    back_us: int = 0
    faults: int = 0
    quiet: int = 0
    past_from_us: int = 0
    touches: tuple[Touch, ...] = ()
    filled: int = 0
    asked: tuple[tuple[IntentRecorded, int], ...] = ()
    """What was recorded, each with how many of the leader's acts were told by then."""
    story: tuple[str, ...] = field(default=(), compare=False)

    @property
    def identity(self) -> bytes:
        """What tells two moments apart that differ in anything to come."""
        view = {name: value for name, value in vars_of(self.view).items() if name not in _STANDING}
        rest = (self.books, self.before, self.now_us, self.told, self.unsent, self.late, self.look, self.begun)
        more = (self.executed_us, self.back_us, self.faults, self.quiet, self.past_from_us, self.touches, self.filled)
        return pickle.dumps((view, rest, more))


_STANDING = ("specs", "names", "assets", "pairs", "asset_ids", "plain_names", "version", "trader")


def vars_of(view: AccountView) -> dict[str, object]:
    """The fields of a view."""
    return {name: getattr(view, name) for name in view.__dataclass_fields__}


def begin(setting: Setting) -> World:
    """A world before the leader does anything."""
    kind = AccountType.NETTED if setting.netted else AccountType.HEDGED
    view = replace(a_view(kind=kind), rules=setting.rules)
    return World(setting, view, Books(netted=setting.netted), faults=setting.faults)


def links_of(setting: Setting) -> dict[LinkId, LinkSettings]:
    """The links by which the follower follows, one of each profile."""
    found: dict[LinkId, LinkSettings] = {}
    for number, amount in enumerate(setting.amounts):
        name = LinkId(f"l1nk0{number + 1}")
        found[name] = some_settings({"volume.amount": amount}, link=name)
    return found


_LINKS: dict[tuple[str, ...], dict[LinkId, LinkSettings]] = {}


def _links(setting: Setting) -> dict[LinkId, LinkSettings]:
    if setting.amounts not in _LINKS:
        _LINKS[setting.amounts] = links_of(setting)
    return _LINKS[setting.amounts]


# --- what happens ---------------------------------------------------------------------------------------------------


def moves(world: World) -> Iterator[tuple[str, World]]:
    """All that may happen next, each with its name; nothing where all is over."""
    if len(world.touches) < len(world.setting.hands) and not world.quiet:
        yield from _by_hand(world, world.setting.hands[len(world.touches)])
    if world.filled < len(world.setting.fills) and not world.quiet:
        yield from _by_market(world, world.setting.fills[world.filled])
    if world.unsent:
        yield from _fates(world)
        return
    if world.setting.anywhere and world.faults and world.told and _is_up(world):
        less = replace(world, faults=world.faults - 1)
        yield "the line is cut", _cut(less)
        yield "the process ends", _cut(less, restarted=True)
    if world.told < len(world.setting.acts) and _is_up(world):
        yield f"the leader: {world.setting.acts[world.told].what.value}", _act(world)
    seen = set()
    for item in world.late:
        if item not in seen:
            seen.add(item)
            yield from _come(world, item)
    if world.look is not None:
        yield from _look_goes_on(world, world.look)
    elif _is_up(world) and (kind := _look_due(world)) is not None:
        yield f"a {kind.value} begins", _begin_look(world, kind)
        return
    moment = _next_moment(world)
    if world.look is not None and world.look.tells_from_us <= world.now_us:
        return  # what can be answered is; else it is a fault
    if any(item.until_us <= world.now_us for item in world.late):
        return
    if moment is not None:
        yield f"time passes to {(moment - T0_US) / 1e6:.3f}", _passed(world, moment)
    elif moment is None and world.told == len(world.setting.acts) and world.quiet < 2:
        refresh_us = max(world.now_us, dict(world.begun).get(Kind.REFRESH, T0_US) + REFRESH_US)
        later = replace(world, now_us=refresh_us, quiet=world.quiet + 1)
        yield "a minute later", _begin_look(later, Kind.REFRESH)


def _by_hand(world: World, hand: Hand) -> Iterator[tuple[str, World]]:
    """A person does something at the broker: it is told at once, and for a fault late or never."""
    is_on_line = world.back_us == 0
    if any(item.request is None for item in world.late):
        return  # events of one account are told in the order of what they tell, but for those of one request
    for request in requests(world.books, hand, len(world.touches) + 1):
        command = request.command
        assert command.position is not None
        held = world.books.positions[command.position]
        left = held.volume - command.volume
        out = (item.request for item in world.late if item.request is not None)
        beside = tuple(asked.command.kind for asked in (*world.view.intents.values(), *out))
        done, told = _done(world, request)
        assert not isinstance(told, str)
        labels = _labels(world) if world.setting.netted else (held.label,)
        if world.setting.netted and is_on_line:  # the acceptance may be what sets another share in motion
            beside += tuple(asked.command.kind for asked in _heard(done, told[:1]).view.intents.values())
        touch = Touch(hand, labels, held.volume, left, beside, world.told, of_net=world.setting.netted)
        done = replace(done, touches=(*world.touches, touch))
        yield f"a person {hand.value}", _heard(done, told) if is_on_line else done
        if world.faults and is_on_line:
            untold = (*world.touches, replace(touch, is_told=False))
            less, name = replace(done, faults=world.faults - 1, touches=untold), f"a person {hand.value}"
            for word, changed in _tellings(less, told, request, name):
                yield f"{name}: {word}", changed


def _labels(world: World) -> tuple[str, ...]:
    """The names of the shares that are known."""
    return tuple(f"{copy.link}.{copy.source}" for copy in world.view.copies.values() if copy.volume)


def _by_market(world: World, part: int) -> Iterator[tuple[str, World]]:
    """The market fills an order of the follower, or one `part`th of it: told at once, and for a fault late or never."""
    now_us = world.now_us + world.setting.tick_us
    for key, order in world.books.resting.items():
        volume = Volume((order.volume - order.executed_volume) // part)
        books, told = world.books.filled(key, volume, now_us)
        before = (*world.before, world.books)[-2:]
        done = replace(world, books=books, before=before, now_us=now_us, filled=world.filled + 1)
        yield f"the market fills {volume}", _heard(done, told) if world.back_us == 0 else done
        if world.faults and world.back_us == 0:
            late = Late(None, told, now_us + TOLD_LATE_US, "the fill")
            less = replace(done, faults=world.faults - 1)
            yield f"the market fills {volume}, untold", less
            yield f"the market fills {volume}, told late", replace(less, late=(*less.late, late))
            yield f"the market fills {volume}, told twice", _heard(_heard(less, told), told)


def _is_up(world: World) -> bool:
    return world.view.health is Health.RECONCILED


def _taken(world: World, turn: Turn) -> World:
    asked = tuple((intent, world.told) for intent in turn.intents)
    unsent = (*world.unsent, *turn.intents)
    return replace(world, view=turn.view, unsent=unsent, asked=(*world.asked, *asked))


def _fact(world: World, fact: Event) -> World:
    return _taken(world, step(world.view, fact, STORE, world.now_us))


def _quote(world: World, name: str) -> Quote | None:
    found = QUOTES.get(name)
    return a_quote(*found, at_us=world.now_us) if found is not None else None


def _act(world: World) -> World:
    """The leader does the next thing, and each link decides it."""
    act, had = world.setting.acts[world.told], held_before(world.setting.acts[: world.told], world.told)
    before = had.get(act.position, 0)
    after = {
        ChangeKind.OPENED: act.volume,
        ChangeKind.GREW: before + act.volume,
        ChangeKind.REDUCED: before - act.volume,
        ChangeKind.CLOSED: 0,
    }.get(act.what, before)
    change: Change = a_change(
        act.what,
        key=change_key(world.told + 1),
        at_ms=world.now_us // 1_000,
        source=position_source(PositionId(act.position)),
        position=PositionId(act.position),
        side=act.side,
        volume=Volume(abs(after - before)),
        before=Volume(before),
        after=Volume(after),
        stop=stop_of(world.setting.acts[: world.told + 1], act.position),
    )
    if act.order:
        change = of_order(change, act)
    world = replace(world, told=world.told + 1, now_us=world.now_us + 1_000)
    now = world
    for link in _links(world.setting).values():
        known = gather(world.view, change, link, lambda name: _quote(now, name), difference_of=lambda _: None)
        world = _taken(world, decide_change(world.view, link, change, (world.told, 0), known, world.now_us))
    return world


def of_order(change: Change, act: Act) -> Change:
    """The same where it is one of an order that rests: of that alone, or of a position that it fills."""
    order = OrderId(act.order)
    change = replace(change, origin=order, origin_type=OrderType.LIMIT, is_opening=True)
    if act.what in (ChangeKind.OPENED, ChangeKind.GREW):
        return change
    return replace(
        change,
        source=order_source(order),
        order=order,
        position=None,
        limit_price=Price(act.limit) if act.limit else None,
        volume=Volume(act.volume),
        origin_volume=Volume(act.volume),
        before=Volume(0),
        after=Volume(0),
        price=None,
    )


def change_key(told: int) -> ChangeKey:
    """The key of the leader's change of that number, from 1 on."""
    return ChangeKey(f"deal:{told}")


def stop_of(acts: tuple[Act, ...], position: int) -> Price | None:
    """The stop of one of the leader's positions after some acts: the last that he has set."""
    set_to = [act.stop for act in acts if act.position == position and act.stop]
    return Price(set_to[-1]) if set_to else None


def held_before(acts: tuple[Act, ...], count: int) -> dict[int, int]:
    """What the leader holds of each of his positions after so many acts."""
    held: dict[int, int] = {}
    for act in acts[:count]:
        had = held.get(act.position, 0)
        match act.what:
            case ChangeKind.OPENED | ChangeKind.GREW:
                held[act.position] = had + act.volume
            case ChangeKind.REDUCED:
                held[act.position] = had - act.volume
            case ChangeKind.CLOSED:
                held[act.position] = 0
    return held


# --- requests -------------------------------------------------------------------------------------------------------


def _fates(world: World) -> Iterator[tuple[str, World]]:
    """What may become of the next request that leaves."""
    intent, *rest = world.unsent
    here = replace(world, unsent=tuple(rest))
    name = f"{intent.command.kind.value} {intent.intent.rsplit('.', 2)[-2]}.{intent.seq} of {intent.command.volume}"
    if not _is_up(world):
        yield f"{name}: no line", _fact(here, IntentDropped(intent=intent.intent, reason="the connection is down"))
        return
    out = _fact(here, IntentSent(intent=intent.intent))
    done, told = _done(out, intent)
    yield f"{name}: done", _told(done, intent, told)
    if not world.faults:
        return
    out, done = replace(out, faults=out.faults - 1), replace(done, faults=done.faults - 1)
    late = Late(intent, (), world.now_us + UNDER_WAY_US, name)
    yield f"{name}: lost", out
    yield f"{name}: under way", replace(out, late=(*out.late, late))
    yield f"{name}: refused", _refused(out, intent, TEMPORARY)
    yield f"{name}: refused for good", _refused(out, intent, FINAL)
    for word, changed in _tellings(done, told, intent, name):
        yield f"{name}: {word}", changed
    if intent.command.kind in world.setting.lies:
        for word, changed in _tellings(done, told, intent, name):
            if word in ("done, told late", "done, untold"):
                yield f"{name}: refused, yet {word}", _refused(changed, intent, TEMPORARY)
    if world.setting.cuts:
        yield f"{name}: lost, and cut", _cut(out)
        yield f"{name}: done, and cut", _cut(done)
        yield f"{name}: under way, and cut", _cut(replace(out, late=(*out.late, late)))
        yield f"{name}: not sent, and ended", _cut(replace(world, faults=out.faults), restarted=True)
        yield f"{name}: done, and ended", _cut(done, restarted=True)
        yield f"{name}: under way, and ended", _cut(replace(out, late=(*out.late, late)), restarted=True)


def _refused(world: World, intent: IntentRecorded, code: str) -> World:
    """The broker says that it does not do a request."""
    refused = RequestRefused(intent=intent.intent, error_code=code, is_temporary=code == TEMPORARY)
    return _fact(replace(world, executed_us=world.now_us), refused)


def _tellings(done: World, told: Told, intent: IntentRecorded, name: str) -> Iterator[tuple[str, World]]:
    """How what a request has done may be told otherwise than at once and in its order."""
    until = done.now_us + TOLD_LATE_US

    def later(world: World, events: tuple[ExecutionSeen, ...]) -> World:
        return replace(world, late=(*world.late, Late(None, events, until, name)))

    yield "done, untold", done
    if isinstance(told, str):
        return
    yield "done, told late", later(done, told)
    yield "done, told twice", later(_told(done, intent, told), told)
    if len(told) > 1:
        yield "done, told backwards", _heard(done, told[::-1])
        yield "done, the rest told late", later(_heard(done, told[:1]), told[1:])
        yield "done, the first told late", later(_heard(done, told[1:]), told[:1])
        yield "done, only the first told", _heard(done, told[:1])
        yield "done, only the rest told", _heard(done, told[1:])


def _done(world: World, intent: IntentRecorded) -> tuple[World, Told]:
    now_us = world.now_us + world.setting.tick_us
    books, told = world.books.carried_out(intent, now_us)
    if books is world.books:
        return world, told
    return replace(world, books=books, before=(*world.before, world.books)[-2:], now_us=now_us), told


def _told(world: World, intent: IntentRecorded, told: Told) -> World:
    """The follower hears at once what became of a request."""
    return _refused(world, intent, told) if isinstance(told, str) else _heard(world, told)


def _heard(world: World, told: tuple[ExecutionSeen, ...]) -> World:
    """The follower hears events; while everything is asked, they are kept till that is answered."""
    for event in told:
        if world.look is not None:
            heard = (*world.look.heard, (event, world.look.shown is not None))
            world = replace(world, look=replace(world.look, heard=heard))
        world = replace(world, executed_us=world.now_us)
        if world.look is None or world.look.kind is not Kind.FULL:
            world = _fact(world, event)
    return world


def _come(world: World, item: Late) -> Iterator[tuple[str, World]]:
    left = list(world.late)
    left.remove(item)
    world = replace(world, late=tuple(left))
    is_on_line = world.back_us == 0
    if item.request is None:
        yield f"{item.name}: its events come", _heard(world, item.events)
        return
    done, told = _done(world, item.request)
    if not is_on_line:
        yield f"{item.name}: done, and nobody hears", done
        return
    yield f"{item.name}: done after all", _told(done, item.request, told)
    if world.faults:
        less = replace(done, faults=done.faults - 1)
        for word, changed in _tellings(less, told, item.request, item.name):
            yield f"{item.name}: after all {word}", changed


# --- the line -------------------------------------------------------------------------------------------------------


def _cut(world: World, *, restarted: bool = False) -> World:
    """The line is cut, or the process ends and begins anew: what was not told by then never is."""
    unsent, late = world.unsent, tuple(item for item in world.late if item.request is not None)
    world = replace(world, unsent=(), late=late, look=None, executed_us=0)
    if restarted:
        world = replace(world, begun=(), past_from_us=0)
    for intent in tuple(world.view.intents.values()):
        is_out = intent.state in (IntentState.SENT, IntentState.ACCEPTED)
        if is_out or restarted:
            why = "cmam was started again" if restarted else "the connection was lost"
            world = _fact(world, IntentOverdue(intent=intent.intent, why=why, ask_us=world.now_us + SETTLE_US))
    world = _fact(world, HealthChanged(health=Health.DOWN, reason="cut"))
    if not restarted:
        for intent in unsent:
            world = _fact(world, IntentDropped(intent=intent.intent, reason="the connection was lost"))
    return replace(world, back_us=world.now_us + SECOND_US)


# --- looks ----------------------------------------------------------------------------------------------------------


def _dues(world: World) -> Iterator[tuple[int, Kind]]:
    """As `Lookups.due`, and of what is doubted."""
    begun = dict(world.begun)
    for kind, moment in zip(KINDS, looks_due(world.view, SETTLE_US), strict=True):
        if moment is not None:
            at_us = max(moment, begun.get(kind, 0) + LOOKUP_US)
            yield max(at_us, world.past_from_us) if kind is Kind.LOOKUP else at_us, kind
    if (refresh_us := begun.get(Kind.REFRESH, T0_US) + REFRESH_US) <= world.now_us:
        yield refresh_us, Kind.REFRESH
    for since_us in absences.moments(world.view):
        last_us = begun.get(Kind.DOUBTS, 0)
        yield (since_us if since_us > last_us else last_us + absences.FOLLOWER_US), Kind.DOUBTS


def _look_due(world: World) -> Kind | None:
    return next((kind for moment, kind in _dues(world) if moment <= world.now_us), None)


def _begin_look(world: World, kind: Kind) -> World:
    begun = tuple(sorted({**dict(world.begun), kind: world.now_us}.items(), key=str))
    return replace(world, begun=begun, look=Look(kind, world.now_us))


def _of_before(world: World) -> Books | None:
    """The books before what was done last, where that is so short a time ago that an answer may be behind it."""
    is_fresh = world.before and world.now_us - world.books.changed_us <= BEHIND_US
    return world.before[-1] if is_fresh else None


def _look_goes_on(world: World, look: Look) -> Iterator[tuple[str, World]]:
    if look.tells_from_us > world.now_us:
        return
    if look.kind is Kind.LOOKUP and look.orders is None:
        yield "the history is read", replace(world, look=replace(look, orders=world.books.history))
        if world.faults:
            less = replace(world, faults=world.faults - 1)
            former = _of_before(world)
            if former is not None and former.history != world.books.history:
                yield "a history of before is read", replace(less, look=replace(look, orders=former.history))
            yield "the history is refused", replace(less, look=None, past_from_us=world.now_us + 500_000)
        return
    if look.shown is None:
        yield from _snapshots(world, look)
        return
    yield "it is told", _answered(world, look)
    if world.faults and look.tells_from_us == 0:
        tells_from_us = world.now_us + ANSWERED_LATE_US
        yield (
            "its answer is late",
            replace(world, faults=world.faults - 1, look=replace(look, tells_from_us=tells_from_us)),
        )


def _snapshots(world: World, look: Look) -> Iterator[tuple[str, World]]:
    asked = replace(look, asked_us=world.now_us)
    shown, resting = tuple(world.books.positions.values()), tuple(world.books.resting.values())
    yield "a snapshot is taken", replace(world, look=replace(asked, shown=shown, resting=resting))
    former = _of_before(world) if world.faults else None
    if former is not None and (former.positions, former.resting) != (world.books.positions, world.books.resting):
        was, rested = tuple(former.positions.values()), tuple(former.resting.values())
        of_before = replace(asked, shown=was, resting=rested)
        yield "a snapshot of before is taken", replace(world, faults=world.faults - 1, look=of_before)


def _answered(world: World, look: Look) -> World:
    assert look.shown is not None
    is_quiet = world.executed_us < look.asked_us - QUIET_US
    if not is_quiet and look.kind is not Kind.FULL and look.restless < RESTLESS_MAX:
        again = replace(look, shown=None, restless=look.restless + 1, tells_from_us=world.now_us + QUIET_US)
        return replace(world, look=again)
    view, shown = world.view, look.shown
    lives = {one: [deal for deal in world.books.deals if deal.position == one] for one in view.doubted}
    deals = list(absences.closing_deals(view, lives)) if look.kind is Kind.DOUBTS else []
    if look.kind is Kind.FULL:
        smaller = [key for key, held in view.positions.items() if _volume(shown, key) < held.volume]
        deals += [deal for deal in world.books.deals if deal.position in smaller and deal.close is not None]
        untold = snapshots.untold(look.heard, shown)
        deals = [deal for deal in deals if deal.deal not in untold]
    is_of_doubts = look.kind is Kind.DOUBTS
    told = (one for one in world.books.history if one.order in view.doubted_orders or one.position in view.doubted)
    past = named(view, look.orders or (tuple(told) if is_of_doubts else ()), 0)
    span_us = absences.span_us(SETTLE_US, leads=False)
    world = replace(world, look=None)
    resting = named(view, look.resting, 0)
    if look.kind is Kind.REFRESH and not snapshots.differs(view, shown, resting):
        return world
    fact = Reconciled(
        positions=shown,
        orders=resting,
        deals=tuple(deals),
        past_orders=past,
        looked_up=look.kind in (Kind.LOOKUP, Kind.READBACK),
        covers_from_ms=1 if look.kind is Kind.LOOKUP else 0,
        settle_us=SETTLE_US + (world.now_us - look.begun_us if look.kind is not Kind.FULL else 0),
        quiet=is_quiet,
        doubted=absences.doubted(
            view,
            shown,
            deals,
            lives if look.kind is Kind.DOUBTS else {},
            look.begun_us,
            span_us,
        ),
        doubted_orders=absences.doubted_orders(
            view, shown, resting, deals, past, look.begun_us, span_us, is_asked=is_of_doubts
        ),
    )
    world = _fact(world, fact)
    if look.kind is not Kind.FULL:
        return world
    for event in snapshots.news(look.heard, shown):
        world = _fact(world, event)
    return _fact(world, HealthChanged(health=Health.RECONCILED))


def _volume(shown: tuple[Position, ...], position: PositionId) -> int:
    return next((int(held.volume) for held in shown if held.position == position), 0)


# --- time -----------------------------------------------------------------------------------------------------------


def _next_moment(world: World) -> int | None:
    moments = [item.until_us for item in world.late if item.until_us > world.now_us]
    if world.back_us:
        moments.append(world.back_us)
    if world.look is not None and world.look.tells_from_us > world.now_us:
        moments.append(world.look.tells_from_us)
    for moment in (next_due(world.view), next_wake(world.view, world.now_us, lambda _: False)):
        if moment is not None and moment - world.now_us < REMINDED_US:
            moments.append(moment)
    if moments and _is_up(world):
        moments.append(dict(world.begun).get(Kind.REFRESH, T0_US) + REFRESH_US)
    if _is_up(world) and world.look is None:
        moments += [moment for moment, _ in _dues(world) if moment > world.now_us]
    return max(min(moments), world.now_us + 1) if moments else None


def _passed(world: World, moment: int) -> World:
    world = replace(world, now_us=moment)
    if world.back_us and world.back_us <= moment:
        world = replace(world, back_us=0)
        world = _fact(world, HealthChanged(health=Health.AUTHORISED))
        world = _begin_look(world, Kind.FULL)
    for fact in due(world.view, world.now_us):
        told = replace(fact, ask_us=moment + SETTLE_US) if isinstance(fact, IntentOverdue) else fact
        world = _fact(world, told)

    def look(copy: Copy, link: LinkSettings) -> Inputs:
        assert copy.change is not None
        found = _quote(world, "EURUSD")
        return gather(world.view, copy.change, link, lambda name: _quote(world, name), leader_quote=found)

    for woken in wakes(world.view, _links(world.setting), look, world.now_us):
        world = _fact(world, woken)
    return world
