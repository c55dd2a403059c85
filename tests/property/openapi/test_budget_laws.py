"""Laws of the request budget, whatever arrives and whenever somebody looks, on a line that carries and answers at once.

What a slow line and a slow server do to it stands in test_server_laws.py.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from cmam.openapi import catalogue
from cmam.openapi.budget import Budget
from cmam.openapi.lanes import Item, Lane, lane_of
from cmam.openapi.window import GUARD_US_MAX, MARGIN_US

SECOND = 1_000_000
HISTORICAL = sorted(catalogue.HISTORICAL)
KINDS = [
    catalogue.CLOSE_POSITION,
    catalogue.AMEND_PROTECTION,
    catalogue.CANCEL_ORDER,
    catalogue.NEW_ORDER,
    catalogue.TRADER,
    catalogue.HEARTBEAT,
    *HISTORICAL[:2],
]


@dataclass
class Run:
    """One history: what was put in, what left when, what came back."""

    budget: Budget
    now: int = 0
    number: int = 0
    submitted: dict[str, Item] = field(default_factory=dict)
    left: list[tuple[int, Item]] = field(default_factory=list)
    back: list[Item] = field(default_factory=list)

    def submit(self, kind: int, account: int, merge: str, life_us: int | None) -> Item:
        self.number += 1
        not_after = None if life_us is None else self.now + life_us
        item = Item(
            name=f"i{self.number}",
            lane=lane_of(kind),
            payload_type=kind,
            account=account,
            merge=merge,
            not_after_us=not_after,
        )
        self.submitted[item.name] = item
        self.back += [entry.item for entry in self.budget.submit(item)]
        return item

    def take(self) -> None:
        leaving, returned = self.budget.take(self.now)
        self.left += [(self.now, item) for item in leaving]
        self.budget.wrote(self.now, len(leaving))
        self.budget.proved(len(self.left), self.now)
        self.back += [entry.item for entry in returned]

    def drain(self) -> None:
        """Let time pass from wake to wake until nothing waits."""
        while (wake := self.budget.next_wake(self.now)) is not None:
            self.now = max(self.now, wake)
            before = len(self.left) + len(self.back)
            self.take()
            assert len(self.left) + len(self.back) > before, "a wake must have something to say"


STEPS = st.one_of(
    st.tuples(
        st.just("submit"),
        st.sampled_from(KINDS),
        st.integers(1, 4),
        st.sampled_from(["", "", "p1", "p2"]),
        st.none() | st.integers(0, 3 * SECOND),
    ),
    st.tuples(st.just("burst"), st.sampled_from(KINDS), st.integers(1, 4), st.integers(1, 120)),
    st.tuples(st.just("wait"), st.integers(0, 2 * SECOND)),
    st.tuples(st.just("wake")),
    st.tuples(st.just("block"), st.sampled_from(KINDS), st.integers(0, 3 * SECOND)),
    st.tuples(st.just("round trip"), st.integers(0, 80_000)),
    st.tuples(st.just("withdraw"), st.integers(1, 50)),
)


def play(steps: list[tuple[object, ...]], limit: int) -> Run:
    """Play a history and let it run out."""
    run = Run(Budget(limit))
    for step in steps:
        match step:
            case ("submit", int(kind), int(account), str(merge), life):
                is_amend = kind == catalogue.AMEND_PROTECTION
                run.submit(kind, account, merge if is_amend else "", life if isinstance(life, int) else None)
            case ("burst", int(kind), int(account), int(count)):
                for _ in range(count):
                    run.submit(kind, account, "", None)
            case ("wait", int(span)):
                run.now += span
            case ("wake",):
                run.now = max(run.now, run.budget.next_wake(run.now) or 0)
            case ("block", int(kind), int(span)):
                run.budget.block(kind, span, run.now)
            case ("round trip", int(span)):
                run.budget.measured(span)
            case ("withdraw", int(number)):
                returned = run.budget.withdraw(f"i{number}")
                run.back += [returned.item] if returned is not None else []
        run.take()
    run.drain()
    return run


def most_in_a_second(moments: list[int]) -> int:
    """The largest number of sorted moments within any one second."""
    return max((bisect_left(moments, start + SECOND) - place for place, start in enumerate(moments)), default=0)


@given(st.lists(STEPS, max_size=40), st.integers(2, 60))
def test_never_more_than_the_limit_in_any_second(steps: list[tuple[object, ...]], limit: int) -> None:
    """Whatever arrives and whenever somebody looks: no second has more than the limit, none more than 5 historical."""
    run = play(steps, limit)
    assert most_in_a_second([moment for moment, _ in run.left]) <= limit
    historical = [moment for moment, item in run.left if item.payload_type in catalogue.HISTORICAL]
    assert most_in_a_second(historical) <= 5
    assert run.budget.figures(run.now).busiest_second == most_in_a_second([moment for moment, _ in run.left])


@given(st.lists(STEPS, max_size=40), st.integers(2, 60))
def test_nothing_is_lost_and_nothing_leaves_twice(steps: list[tuple[object, ...]], limit: int) -> None:
    """Each item leaves once or comes back once, and in the end nothing waits."""
    run = play(steps, limit)
    fates = Counter([item.name for _, item in run.left] + [item.name for item in run.back])
    assert fates == Counter(run.submitted.keys())
    assert run.budget.figures(run.now).waiting == 0


@given(st.lists(STEPS, max_size=40), st.integers(2, 60))
def test_order_is_kept_inside_account_and_lane_for_each_kind(steps: list[tuple[object, ...]], limit: int) -> None:
    """What an account asked first of a kind leaves first; an amend may take the place of the one it replaces."""
    run = play(steps, limit)
    seen: dict[tuple[int, Lane, int], int] = {}
    for _, item in run.left:
        if item.merge:
            continue
        key, number = (item.account, item.lane, item.payload_type), int(item.name[1:])
        assert seen.get(key, 0) < number
        seen[key] = number


@given(st.lists(STEPS, max_size=40), st.integers(2, 60))
def test_what_lowers_risk_never_ages(steps: list[tuple[object, ...]], limit: int) -> None:
    """Only opens and questions come back for their age, and only when it has passed; others leave or were withdrawn."""
    run = play(steps, limit)
    names = {item.name for _, item in run.left}
    for item in run.submitted.values():
        if item.name in names and item.deadline_us is not None:
            [moment] = [moment for moment, left in run.left if left.name == item.name]
            assert moment <= item.deadline_us
        if item.lane < Lane.OPEN:
            assert item.deadline_us is None


@given(
    st.lists(st.tuples(st.integers(1, 8), st.integers(0, 60_000)), min_size=1, max_size=40),
    st.integers(2, 60),
    st.integers(0, 40),
    st.integers(0, 30_000),
)
def test_a_lone_close_finds_a_slot_within_twenty_milliseconds(
    bursts: list[tuple[int, int]], limit: int, wakes: int, later: int
) -> None:
    """In the middle of any burst of opens and questions, a close waits 20 ms at most."""
    run = Run(Budget(limit))
    for place, (count, span) in enumerate(bursts):
        for _ in range(count):
            run.submit(catalogue.NEW_ORDER if place % 3 else catalogue.TRADER, place % 4, "", None)
        run.take()
        run.now += span
    for _ in range(3 * limit):
        run.submit(catalogue.NEW_ORDER, 1, "", None)
    run.take()
    for _ in range(wakes):
        run.now = run.budget.next_wake(run.now) or run.now
        run.take()
    end = run.now + later
    while (wake := run.budget.next_wake(run.now)) is not None and wake <= end:
        run.now = wake
        run.take()
    run.now = end
    close = run.submit(catalogue.CLOSE_POSITION, 9, "", None)
    run.take()
    while all(item.name != close.name for _, item in run.left):
        run.now = run.budget.next_wake(run.now) or run.now
        run.take()
    assert run.now - end <= 20_000


@given(st.lists(STEPS, max_size=30), st.integers(2, 60))
@settings(max_examples=40)
def test_nothing_leaves_before_its_wake(steps: list[tuple[object, ...]], limit: int) -> None:
    """Looking a microsecond before the announced moment finds nothing, so no wake is too late."""
    run = play(steps, limit)
    for _ in range(3 * limit):
        run.submit(catalogue.NEW_ORDER, 1, "", None)
    run.take()
    while (wake := run.budget.next_wake(run.now)) is not None:
        if wake - 1 > run.now:
            run.now = wake - 1
            assert run.budget.take(run.now) == ((), ())
        run.now = wake
        run.take()


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), min_size=1, max_size=30))
def test_an_amend_leaves_in_the_place_of_the_one_it_replaces(amends: list[tuple[int, int]]) -> None:
    """Targets leave in the order in which each was first asked for, whatever replaced what meanwhile."""
    run = Run(Budget(50))
    run.budget.block(catalogue.AMEND_PROTECTION, 1, 0)
    for account, target in amends:
        run.submit(catalogue.AMEND_PROTECTION, account, f"p{target}", None)
    run.now = 1
    run.take()
    for account in (1, 2, 3):
        first_asked = list(dict.fromkeys(f"p{target}" for owner, target in amends if owner == account))
        assert [item.merge for _, item in run.left if item.account == account] == first_asked
    newest = {(owner, f"p{target}"): f"i{place + 1}" for place, (owner, target) in enumerate(amends)}
    assert {(item.account, item.merge): item.name for _, item in run.left} == newest


@given(st.integers(2, 50), st.integers(1, 6), st.integers(1, 60))
def test_turns_are_taken_between_accounts(limit: int, accounts: int, each: int) -> None:
    """While all of them have something waiting, no account gets more than one turn ahead of another."""
    run = Run(Budget(limit))
    for account in range(accounts):
        for _ in range(each):
            run.submit(catalogue.NEW_ORDER, account + 1, "", None)
    run.take()
    run.drain()
    for count in range(1, accounts * each + 1):
        turns = Counter(item.account for _, item in run.left[:count])
        assert max(turns.values()) - min(turns.get(a + 1, 0) for a in range(accounts)) <= 1


@given(st.integers(2, 60), st.integers(0, 300), st.sampled_from([Lane.OPEN, Lane.CLOSE]))
def test_the_forecast_comes_true(limit: int, waiting: int, lane: Lane) -> None:
    """What comes when a forecast is made leaves by then if nothing else comes, a guard (and 20 ms) a round before."""
    run = Run(Budget(limit))
    kind = catalogue.NEW_ORDER if lane is Lane.OPEN else catalogue.CLOSE_POSITION
    for _ in range(waiting):
        run.submit(kind, 1, "", None)
    run.take()
    forecast = run.budget.forecast_us(lane, run.now)
    last = run.submit(kind, 1, "", None)
    run.take()
    run.drain()
    [moment] = [moment for moment, item in run.left if item.name == last.name]
    rounds = 1 + (waiting + 1) // (limit - 1)
    slack = (GUARD_US_MAX - MARGIN_US + (0 if lane is Lane.CLOSE else 20_000)) * rounds
    assert forecast - slack <= moment <= forecast
