"""Orders of a leader that fill in several deals: what follows is what the whole order would have brought at once."""

from __future__ import annotations

import pytest

from cmam.actors.accounts import account
from cmam.domain.values.reasons import Reason
from cmam.store.past.replay import verify
from tests.rulebook import LEAD, NETTED_LEAD, SELL, UNIT, Case, Rulebook

TENTH = {"volume.basis": "units", "volume.amount": "0.1"}
FIFTH = {"volume.basis": "units", "volume.amount": "0.2"}


def _in_two(book: Rulebook, leader: int, first: str) -> None:
    """The leader's next order fills by so much of it first, and then the rest."""
    fault = {"fraction": first, "rest": "fill", "account": str(leader), "count": "1"}
    book.broker.set_fault("partial-fill", fault)


def _units(book: Rulebook) -> list[list[int]]:
    return [[volume // UNIT for volume in book.volumes(case.name)] for case in book.cases]


@pytest.mark.parametrize("leader", [LEAD, NETTED_LEAD], ids=["hedged", "netted"])
def test_growth_in_parts_below_a_step_comes_to_the_leaders_whole(leader: int) -> None:
    """A tenth on a step of 1,000, and a fifth on a step of 700 where an order has 2,100 at least.

    20,000: 2,000, and 4,000 → 3,500. + 8,000 and 8,000 of one order: T = 2,800, then 3,600 → 3,000; and 4,900, of which
    1,400 are no order, then 6,300. + 4,000 three times: T = 4,000, 4,400, 4,800 → 4,000; and 7,000, 7,700, 8,400.
    − 12,000 and 12,000: T = 3,600, then 2,400 → 3,000; and 6,300, 4,200. A close leaves nothing.
    """
    cases = [
        Case(f"{name} {kind}", broker, settings, kind=kind, leader=leader)
        for name, broker, settings in (("tenth", "Same", TENTH), ("fifth", "Odd", FIFTH))
        for kind in ("hedged", "netted")
    ]
    book = Rulebook(cases)
    book.begin()
    position = book.person.buy(20_000 * UNIT, account=leader)
    book.go(2)
    assert _units(book) == [[2_000], [2_000], [3_500], [3_500]]
    there = {} if leader == NETTED_LEAD else {"positionId": position}
    _in_two(book, leader, "0.5")
    book.person.buy(16_000 * UNIT, account=leader, **there)
    book.go(2)
    assert _units(book) == [[3_000], [3_000], [6_300], [6_300]]
    for _ in range(3):
        book.person.buy(4_000 * UNIT, account=leader, **there)
        book.go(2)
    assert _units(book) == [[4_000], [4_000], [8_400], [8_400]]
    assert book.reason("tenth hedged", "grew") == Reason.BELOW_MINIMUM.value
    for expected in ([[3_000], [3_000], [4_200], [4_200]], [[], [], [], []]):
        _in_two(book, leader, "0.5")
        if leader == NETTED_LEAD:
            book.person.buy(24_000 * UNIT, account=leader, side=SELL)
        else:
            book.person.close(position, 24_000 * UNIT)
        book.go(2)
        assert _units(book) == expected
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


@pytest.mark.parametrize(("rules", "by_money", "by_formula"), [(7, 10_000, 100_000), (account.RULES, 19_000, 10_000)])
def test_an_open_in_parts_is_sized_as_a_whole_in_every_mode(
    rules: int, by_money: int, by_formula: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """19,000 of 190,000 fill first: a tenth of that is 1,900 → 1,000, and was taken ten times for the whole.

    50,000 USD against 100,000 with an amount of 0.2 is a tenth, too: 19,000. The formulas leave the leader's volume
    out: 0.1 lots are 10,000 units, and 50,000 ÷ 500,000 are as much, but less once the first part has filled.
    """
    monkeypatch.setattr(account, "RULES", rules)
    money = {"volume.basis": "units", "volume.amount": "0.2"}
    formula = {"volume.mode": "formula"}
    cases = [
        Case("balance", "Same", {**money, "volume.mode": "balance_ratio"}, by_money),
        Case("equity", "Same", {**money, "volume.mode": "equity_ratio"}, by_money),
        Case("net", "Same", {**money, "volume.mode": "equity_ratio"}, by_money, kind="netted"),
        Case("fixed", "Same", {**formula, "volume.formula": "0.1"}, by_formula),
        Case("free", "Same", {**formula, "volume.formula": "free_margin / 500000"}, by_formula),
    ]
    book = Rulebook(cases)
    book.begin()
    _in_two(book, LEAD, "0.1")
    book.person.buy(190_000 * UNIT)
    book.go(3)
    assert _units(book) == [[case.expected] for case in cases]
    assert verify(book.log.read_all()).is_identical
