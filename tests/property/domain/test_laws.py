"""Laws of copying, on days that nobody thought of: a leader who does anything, a broker that answers as it likes."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from cmam.domain.belief.copies import CopyState
from cmam.domain.events import ChangeDecided, IntentOverdue, IntentRecorded, IntentSettled, Outcome
from cmam.domain.folds.account import evolve
from cmam.domain.profiles.policy import policy_of
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Verdict
from cmam.domain.wanted.levels import plan
from cmam.domain.wanted.needs import enforced_target
from tests.factories import LOT, Pair, a_change, a_spec, a_view, price

STEP = 100_000
VOLUMES = st.integers(1, 400).map(lambda lots: lots * STEP)
AMOUNTS = st.sampled_from(["0.1", "0.333", "0.5", "1", "1.7", "2"])


@settings(max_examples=80)
@given(first=VOLUMES, second=VOLUMES, amount=AMOUNTS, cap=st.sampled_from(["off", "0.5", "1.23"]))
def test_a_larger_leader_never_means_a_smaller_copy(first: int, second: int, amount: str, cap: str) -> None:
    """Monotone in the leader's volume, always on the step, never above the cap."""
    sizes = []
    for volume in sorted((first, second)):
        pair = Pair({"volume.amount": amount, "volume.max": cap, "margin_reserve": "off"})
        sizes.append(pair.opens(volume).volume)
    assert sizes[0] <= sizes[1]
    for size in sizes:
        assert size % STEP == 0
        assert cap == "off" or size <= Fraction(cap) * LOT


@settings(max_examples=60)
@given(
    parts=st.lists(st.integers(1, 399), max_size=5, unique=True),
    amount=AMOUNTS,
    step=st.sampled_from([STEP, 3 * STEP, 1_000_000]),
    rounding=st.sampled_from(["carry", "up"]),
)
def test_the_residue_stays_below_a_step_and_returns_to_zero(
    parts: list[int], amount: str, step: int, rounding: str
) -> None:
    """Whatever parts the leader closes in, we hold less than a step (or minimum) too much, and nothing at the end."""
    view = a_view((a_spec(step_volume=step, min_volume=step),), balance=10_000_000_000)
    pair = Pair({"volume.amount": amount, "partial_rounding": rounding}, view=view)
    if pair.opens(400 * STEP).verdict is not Verdict.COPY:
        return
    pair.answer()
    whole, before = pair.copy.volume, 400 * STEP
    for part in sorted(parts, reverse=True):
        pair.passes(1_000)
        pair.reduces(before, part * STEP)
        pair.answer()
        before = part * STEP
        if pair.copy.state.is_end:
            break
        exact = Fraction(whole * before, 400 * STEP)
        assert pair.copy.target == exact
        assert -step < pair.copy.volume - exact < step
        assert pair.copy.volume % step == 0
        assert rounding == "carry" or pair.copy.volume <= exact
    pair.passes(1_000)
    pair.closes(before)
    pair.answer()
    assert pair.held == {}
    assert pair.copy.residue == 0


@given(
    side=st.sampled_from(Side),
    stop=st.integers(1, 900),
    target=st.integers(1, 900),
    has_stop=st.booleans(),
    has_target=st.booleans(),
)
def test_reversing_twice_is_the_original(side: Side, stop: int, target: int, has_stop: bool, has_target: bool) -> None:
    """Side, stop and target come back as they were."""
    entry, sign = price("1.1"), side.sign
    change = a_change(
        side=side,
        stop=entry - sign * stop * 10_000 if has_stop else None,
        target=entry + sign * target * 10_000 if has_target else None,
    )
    spec, reverse = a_spec(), policy_of({"reverse": "on"})
    once = plan(change, spec, reverse, side.opposite)
    twice = plan(a_change(side=once.side, stop=once.stop, target=once.target), spec, reverse, side)
    assert (twice.side, twice.stop, twice.target) == (change.side, change.stop, change.target)


# --- a day --------------------------------------------------------------------------------------------------------

ACTIONS = st.sampled_from(
    [
        "open", "grow", "reduce", "close", "protect", "place", "amend", "cancel", "fill", "reverse",
        "answer", "answer", "answer", "part", "refuse", "temporary", "lose", "drop", "trigger", "trigger_part",
        "human_close", "human_part", "human_cancel", "reconcile", "lookup", "again", "time", "time", "long_time",
    ]
)  # fmt: skip


class Day:
    """A leader with one position and one order at most, and everything that may happen around its follower."""

    def __init__(self, follows: dict[str, str]) -> None:
        self.pair = Pair(follows, view=a_view(balance=10_000_000_000))
        self.held = 0
        self.ordered = 0
        self.told = 0
        self.number = 500
        self.side = Side.BUY
        self.heard: list[object] = []
        self.tampered = False

    def act(self, action: str, size: int) -> None:
        """Let one thing happen."""
        self.pair.passes(1_000)
        before = len(self.pair.said)
        getattr(self, f"_{action}")(size * STEP)
        self.heard = [event for event, _ in self.pair.said[before:]]

    def _where(self) -> dict[str, object]:
        from cmam.domain.values.ids import PositionId, position_source

        number = PositionId(self.number)
        return {"source": position_source(number), "position": number, "side": self.side}

    def _tell(self, kind: ChangeKind, before: int, after: int, **others: object) -> None:
        self.told += 1
        volumes = {"before": Volume(before), "after": Volume(after), "volume": Volume(abs(after - before))}
        self.pair.tell(self.pair.change(kind, **{**self._where(), **volumes, **others}))

    def _open(self, size: int) -> None:
        if not self.held and not self.ordered:
            self.number += 1
            self.held = size
            self._tell(ChangeKind.OPENED, 0, size)

    def _grow(self, size: int) -> None:
        if self.held:
            self._tell(ChangeKind.GREW, self.held, self.held + size, origin=1)
            self.held += size

    def _reduce(self, size: int) -> None:
        if self.held > size:
            self._tell(ChangeKind.REDUCED, self.held, self.held - size)
            self.held -= size

    def _close(self, _size: int) -> None:
        if self.held:
            self._tell(ChangeKind.CLOSED, self.held, 0)
            self.held = 0

    def _reverse(self, size: int) -> None:
        if self.held:
            self.side = self.side.opposite
            self._tell(ChangeKind.REVERSED, self.held, size, volume=Volume(size))
            self.held = size

    def _protect(self, size: int) -> None:
        if self.held:
            stop = price("1.1") - self.side.sign * (size + 10_000_000)
            self._tell(ChangeKind.PROTECTED, self.held, self.held, stop=stop)

    def _order(self, kind: ChangeKind, size: int) -> None:
        from cmam.domain.values.ids import OrderId

        self.told += 1
        number = OrderId(self.number)
        self.pair.order(
            kind, order=number, origin=number, volume=Volume(size), side=Side.BUY,
            source=self._order_source(),
        )  # fmt: skip

    def _order_source(self) -> str:
        from cmam.domain.values.ids import OrderId, order_source

        return order_source(OrderId(self.number))

    def _place(self, size: int) -> None:
        if not self.held and not self.ordered:
            self.number += 1
            self.side = Side.BUY
            self.ordered = size
            self._order(ChangeKind.ORDER_PLACED, size)

    def _amend(self, size: int) -> None:
        if self.ordered:
            self.ordered = size
            self._order(ChangeKind.ORDER_AMENDED, size)

    def _cancel(self, _size: int) -> None:
        if self.ordered:
            self._order(ChangeKind.ORDER_CANCELLED, self.ordered)
            self.ordered = 0

    def _fill(self, _size: int) -> None:
        if self.ordered:
            self.held, self.ordered = self.ordered, 0
            from cmam.domain.values.trades import OrderType

            self._tell(
                ChangeKind.OPENED, 0, self.held, origin=self.number, origin_type=OrderType.LIMIT, is_opening=True
            )

    def _answer(self, _size: int) -> None:
        self.pair.answer()

    def _part(self, _size: int) -> None:
        self.pair.answer(part=STEP)

    def _refuse(self, _size: int) -> None:
        self.pair.refuse("NOT_ENOUGH_MONEY")

    def _temporary(self, _size: int) -> None:
        self.pair.refuse("MARKET_CLOSED", temporary=True)

    def _lose(self, _size: int) -> None:
        self.pair.send()
        for intent in self.pair.lose():
            if intent.intent in self.pair.view.intents:
                self.pair.fact(IntentOverdue(intent=intent.intent, why="cut"))

    def _drop(self, _size: int) -> None:
        opens = [intent for intent in self.pair.waiting if intent.command.kind.adds_risk]
        if len(opens) == len(self.pair.waiting):
            self.pair.drop("too late")

    def _trigger(self, _size: int) -> None:
        for number in list(self.pair.resting):
            self.pair.hears(self.pair.order_triggers(number))

    def _trigger_part(self, _size: int) -> None:
        for number, order in list(self.pair.resting.items()):
            if order.volume - order.executed_volume > STEP:
                self.pair.hears(self.pair.order_triggers(number, volume=STEP))

    def _human_close(self, _size: int) -> None:
        for number, held in list(self.pair.held.items()):
            self.tampered = True
            self.pair.hears(self.pair.close(number, held.volume))

    def _human_part(self, _size: int) -> None:
        for number, held in list(self.pair.held.items()):
            if held.volume > STEP:
                self.tampered = True
                self.pair.hears(self.pair.close(number, STEP))

    def _human_cancel(self, _size: int) -> None:
        from cmam.domain.values.trades import OrderStatus

        for number in list(self.pair.resting):
            self.tampered = True
            self.pair.hears(self.pair.order_ends(number, OrderStatus.CANCELLED))

    def _reconcile(self, _size: int) -> None:
        self.pair.fact(self.pair.reconciled())

    def _lookup(self, _size: int) -> None:
        self.pair.fact(self.pair.reconciled(looked_up=True))

    def _again(self, _size: int) -> None:
        from cmam.domain.events import ExecutionSeen

        self.pair.hears([event for event in self.heard if isinstance(event, ExecutionSeen)])

    def _time(self, _size: int) -> None:
        self.pair.passes(1_500_000)

    def _long_time(self, _size: int) -> None:
        self.pair.passes(61_000_000)

    def settle(self) -> None:
        """A quiet end: the broker answers everything, and is asked about everything that is unknown."""
        for _ in range(12):
            self.pair.answer()
            self.pair.passes(65_000_000)
            self.pair.answer()
            self.pair.fact(self.pair.reconciled(looked_up=True))


POLICIES = st.sampled_from(
    [
        {},
        {"volume.amount": "0.5"},
        {"reverse": "on", "reverse_without_stop": "on"},
        {"partial_rounding": "up", "volume.amount": "0.3"},
        {"scale_in": "off", "max_positions": "1"},
        {"max_lots_symbol": "1.5"},
        {"wait_for_better": "0.1"},
    ]
)
DAYS = st.lists(st.tuples(ACTIONS, st.integers(1, 60)), min_size=1, max_size=25)


def held(day: Day) -> int:
    """What the follower's broker holds."""
    return sum(position.volume for position in day.pair.held.values())


@settings(max_examples=300)
@given(actions=DAYS, follows=POLICIES)
def test_any_day_ends_with_what_the_leader_has(actions: list[tuple[str, int]], follows: dict[str, str]) -> None:
    """After any day and a quiet end: flat where the leader is flat, never above the target by a step, nothing rests.

    On the way every change met exactly one decision, no name was sent twice without proof of absence, and no close was
    ever more than the position held.
    """
    day = Day(follows)
    for action, size in actions:
        day.act(action, size)
    day.act("cancel", 1)
    day.settle()
    for copy in day.pair.view.copies.values():
        assert copy.state in (CopyState.OPEN, CopyState.CLOSING)
        assert copy.volume - enforced_target(copy) < STEP
    if not day.held:
        assert day.pair.held == {}
        assert day.pair.view.copies == {}
    assert day.pair.resting == {}
    assert day.pair.view.intents == {}
    _check_record(day)


def _check_record(day: Day) -> None:
    decided = [event for event, _ in day.pair.said if isinstance(event, ChangeDecided)]
    assert len(decided) == day.told
    absent: set[str] = set()
    named: set[str] = set()
    for event, _ in day.pair.said:
        if isinstance(event, IntentSettled) and event.outcome is Outcome.ABSENT:
            absent.add(event.intent)
        if isinstance(event, IntentRecorded):
            assert event.intent not in named or event.intent in absent
            named.add(event.intent)
            assert event.command.volume % STEP == 0
            if event.command.kind is CommandKind.CLOSE:
                assert 0 < event.command.volume <= event.volume_before


@settings(max_examples=100)
@given(actions=DAYS, follows=POLICIES)
def test_a_copy_never_exceeds_what_its_policy_allows(actions: list[tuple[str, int]], follows: dict[str, str]) -> None:
    """With `max_lots_symbol`, whatever happens, what is held and what may still fill never lie above the cap."""
    day = Day({**follows, "max_lots_symbol": "0.4"})
    for action, size in actions:
        day.act(action, size)
        may_fill = sum(order.volume - order.executed_volume for order in day.pair.resting.values())
        assert held(day) + may_fill <= 4_000_000


@settings(max_examples=100)
@given(actions=DAYS, follows=POLICIES, data=st.data())
def test_the_record_alone_gives_the_view(
    actions: list[tuple[str, int]], follows: dict[str, str], data: st.DataObject
) -> None:
    """Folding what was recorded, in two parts cut anywhere, gives the view that was lived."""
    day = Day(follows)
    start = day.pair.view
    for action, size in actions:
        day.act(action, size)
    said = day.pair.said
    cut = data.draw(st.integers(0, len(said)))
    view = start
    for event, at_us in said[:cut]:
        view = evolve(view, event, at_us)
    for event, at_us in said[cut:]:
        view = evolve(view, event, at_us)
    assert view == day.pair.view
