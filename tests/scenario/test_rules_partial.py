"""Partial closes and growth in odd steps: what each follower really holds against another arithmetic."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from cmam.domain.events import IntentRecorded, RequestRefused
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.reasons import Reason
from cmam.store.past.replay import verify
from tests.rulebook import SELL, UNIT, Case, Rulebook

STEP, LEAST, MOST = (
    {"Same": 1_000, "Mini": 300, "Odd": 700},
    {"Same": 1_000, "Mini": 300, "Odd": 2_100},
    {"Same": 10_000_000, "Mini": 45_000, "Odd": 98_700},
)


def _floor(value: Fraction, step: int) -> int:
    return int(value // step) * step


def _ceil(value: Fraction, step: int) -> int:
    return -int(-value // step) * step


class _Expected:
    """One follower's position by the rules: the target is an exact fraction, the volume stands on the step."""

    def __init__(self, case: Case, units: int) -> None:
        self.case = case
        size = min(_floor(Fraction(case.settings["volume.amount"]) * units, STEP[case.broker]), MOST[case.broker])
        self.volume = size if size >= LEAST[case.broker] else 0
        self.target = Fraction(self.volume)

    def follow(self, before: int, after: int) -> None:
        """Carry one change of the leader's volume over."""
        step, least = STEP[self.case.broker], LEAST[self.case.broker]
        target = self.target * after / before
        if after > before:
            added, self.target = _floor(target - self.volume, step), target
            if added >= least:  # an add that is not made is a part of the next
                self.volume += added
            return
        self.target = target
        excess = self.volume - target
        if excess <= 0:
            return
        if self.case.settings["partial_rounding"] == "up":
            self.volume -= min(max(_ceil(excess, step), least), self.volume)
            assert self.volume <= target
        elif _floor(excess, step) >= least:
            self.volume -= _floor(excess, step)


def test_up_closes_the_symbols_minimum_where_whole_steps_are_less() -> None:
    """An excess of exactly two steps below a minimum of three is closed as three with `up`, and carried with `carry`.

    76,000 units × 0.211 = 16,036, on the step of 700: 15,400. T is 15,400 × what the leader has left ÷ 76,000:
    70,000: 14,184.2, excess 1,215.8, least close 2,100, left 13,300. 56,000: 11,347.4, excess 1,952.6, left 11,200.
    53,000: 10,739.5, excess 460.5, left 9,100. 46,000: 9,321.1, nothing to do. 38,000: 7,700, excess 1,400, which is
    two whole steps and below the minimum: 2,100 are closed, 7,000 left; staying at 9,100 would be above the target.
    """
    up = Case("up", "Odd", {"volume.basis": "units", "volume.amount": "0.211", "partial_rounding": "up"})
    book = Rulebook([up])
    book.begin()
    position = book.person.buy(76_000 * UNIT)
    book.go()
    assert book.volumes("up") == [15_400 * UNIT]
    held = []
    for units in (6_000, 14_000, 3_000, 7_000, 8_000):
        book.person.close(position, units * UNIT)
        book.go()
        held.extend(volume // UNIT for volume in book.volumes("up"))
    assert held == [13_300, 11_200, 9_100, 9_100, 7_000]


@pytest.mark.parametrize("seed", [1, 4])
def test_odd_steps_are_followed_exactly_and_nothing_is_left_at_the_end(seed: int) -> None:
    """Growth and partial closes at random leave what the rules say, and a full close leaves nothing."""
    cases = [
        Case(
            f"{broker} {amount} {rounding}",
            broker,
            {"volume.basis": "units", "volume.amount": amount, "partial_rounding": rounding},
            balance="500000",
        )
        for broker in STEP
        for amount in ("0.37", "0.0731", "0.211")
        for rounding in ("carry", "up")
    ]
    book, chance = Rulebook(cases, seed=seed), random.Random(seed)
    book.begin()
    for _ in range(2):
        leader = chance.randrange(30_000, 120_000, 1_000)
        position = book.person.buy(leader * UNIT)
        book.go()
        expected = [_Expected(case, leader) for case in cases]
        told = [f"open {leader}"]
        for _ in range(7):
            before = leader
            if chance.random() < 0.3:
                leader += chance.randrange(1_000, 25_000, 1_000)
                book.person.buy((leader - before) * UNIT, positionId=position)
            else:
                leader -= min(leader - 1_000, chance.randrange(1_000, 20_000, 1_000))
                if leader == before:
                    continue
                book.person.close(position, (before - leader) * UNIT)
            book.go()
            told.append(f"{before} -> {leader}")
            for wanted in (wanted for wanted in expected if wanted.volume):
                wanted.follow(before, leader)
                assert sum(book.volumes(wanted.case.name)) == wanted.volume * UNIT, (wanted.case.name, told)
        book.person.close(position, leader * UNIT)
        book.go()
        assert all(not book.held(case.name) for case in cases)
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


SPLIT = {"volume.basis": "units", "volume.rounding": "skip,split", "margin_reserve": "off"}
RICH = {"balance": "500000"}


def _net(book: Rulebook, name: str) -> int:
    """The signed units that a follower holds, all positions together."""
    return sum(held.volume if held.side != SELL else -held.volume for held in book.held(name)) // UNIT


def test_a_part_that_is_larger_than_an_order_may_be_is_closed_in_several() -> None:
    """The broker takes 45,000 of Mini's units an order and 98,700 of Odd's, also of an order that closes a part.

    150,000 units are 150,000 on Mini and 149,800 on Odd. The leader closes 140,000: of Mini's 139,800 go, of Odd's
    139,300 (T = 9,986.7). On the nets the second trade of the leader takes 138,600 or so off the other way.
    """
    cases = [
        Case("mini", "Mini", SPLIT, **RICH),
        Case("net", "Mini", SPLIT, kind="netted", **RICH),
        Case("odd", "Odd", SPLIT, kind="netted", **RICH),
    ]
    book = Rulebook(cases)
    book.begin()
    long = book.person.buy(150_000 * UNIT)
    book.go(4)
    assert [_net(book, case.name) for case in cases] == [150_000, 150_000, 149_800]
    book.person.close(long, 140_000 * UNIT)
    book.go(4)
    assert [_net(book, case.name) for case in cases] == [10_200, 10_200, 10_500]
    short = book.person.buy(150_000 * UNIT, side=SELL)
    book.go(4)
    assert [_net(book, case.name) for case in cases] == [-139_800, -139_800, -139_300]
    book.person.close(short, 140_000 * UNIT)
    book.go(4)
    assert [_net(book, case.name) for case in cases] == [0, 0, 0]
    book.person.close(long, 10_000 * UNIT)
    book.person.close(short, 10_000 * UNIT)
    book.go(4)
    assert not any(book.held(case.name) for case in cases)
    assert not any(book.events(account, RequestRefused) for account in book.ids.values())
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_a_whole_that_is_refused_for_its_size_is_closed_in_parts() -> None:
    """Should a broker hold a whole of 150,000 to the 45,000 of an order, too: a part goes, then the rest as a whole."""
    book = Rulebook([Case("mini", "Mini", SPLIT, **RICH)])
    book.begin()
    position = book.person.buy(150_000 * UNIT)
    book.go(4)
    what = {"type": "2111", "code": "TRADING_BAD_VOLUME", "account": str(book.ids["mini"]), "count": "1"}
    book.broker.set_fault("error", what)
    book.person.close(position, 150_000 * UNIT)
    book.go(4)
    asked = [event.command for event in book.events(book.ids["mini"], IntentRecorded)]
    assert [one.volume // UNIT for one in asked if one.kind is CommandKind.CLOSE] == [150_000, 45_000, 105_000]
    assert book.held("mini") == []
    assert verify(book.log.read_all()).is_identical


@pytest.mark.parametrize(
    ("rounding", "grown", "halved"), [("skip,cap", 84_900, 42_600), ("skip,split", 149_400, 75_000)]
)
def test_growth_above_what_one_order_may_have_is_cut_off_or_made_in_parts(
    rounding: str, grown: int, halved: int
) -> None:
    """40,000 units are 39,900, and 45,000 are the most of an order. He grows to 150,000: T = 149,625.

    With `cap` one order of 45,000 is added, and that is the target: 84,900, and 42,450 once he has halved his. With
    `split` it is all of it; half of 149,625 is 74,812.5, and 74,400 go.
    """
    book = Rulebook([Case("mini", "Mini", {**SPLIT, "volume.rounding": rounding}, **RICH)])
    book.begin()
    position = book.person.buy(40_000 * UNIT)
    book.go(2)
    book.person.buy(110_000 * UNIT, positionId=position)
    book.go(4)
    assert book.volumes("mini") == [grown * UNIT]
    book.person.close(position, 75_000 * UNIT)
    book.go(4)
    assert book.volumes("mini") == [halved * UNIT]
    assert verify(book.log.read_all()).is_identical


def test_a_copy_that_lost_its_stop_does_not_grow_where_one_is_required() -> None:
    """The leader takes his stop away and adds: the copy has none either. With a stop again it grows again."""
    needs = {"volume.basis": "units", "require_stop": "on"}
    cases = [Case("needs", "Same", needs), Case("own", "Same", {**needs, "fixed_sl": "50"})]
    book = Rulebook(cases)
    book.begin()
    position = book.person.buy(10_000 * UNIT, relativeStopLoss=800)
    book.go(2)
    book.person.buy(2_000 * UNIT, positionId=position)
    book.go(2)
    book.person.amend(position, target=1.10)
    book.go(2)
    assert [stop > 0 for case in cases for _, stop, _, _ in book.levels(case.name)] == [False, True]
    book.person.buy(3_000 * UNIT, positionId=position)
    book.go(2)
    assert [book.volumes(case.name) for case in cases] == [[12_000 * UNIT], [15_000 * UNIT]]
    assert book.reason("needs", "grew") == Reason.STOP_REQUIRED.value
    book.person.amend(position, stop=1.07)
    book.go(2)
    book.person.buy(5_000 * UNIT, positionId=position)
    book.go(2)
    assert book.volumes("needs") == [16_000 * UNIT]  # 12,000 × 20 / 15
    assert verify(book.log.read_all()).is_identical
