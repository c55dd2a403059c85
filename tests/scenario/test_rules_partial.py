"""Partial closes and growth in odd steps: what each follower really holds against another arithmetic."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from cmam.store.replay import verify
from tests.rulebook import UNIT, Case, Rulebook

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
            if target <= self.volume:  # what is carried covers the growth already
                self.target = target
                return
            added = _floor(target - self.volume, step)
            if added >= least:  # an add that is not made leaves the target where it was
                self.volume, self.target = self.volume + added, target
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
