"""At which price a share of a net was closed: that of what was dealt against it, whatever that made of the net."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.copies import Copy
from cmam.domain.events import Event, ExecutionSeen
from cmam.domain.values.ids import PositionId
from cmam.domain.values.quantities import Price, Side
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.trades import CloseDetail
from tests.factories import LOT, price
from tests.unit.domain.test_netting import Netted, key, netted

OLD = 14


def _against_each_other(rules: int) -> Netted:
    """A net of 2 lots bought at 1.1 and 1 sold at 1.2, of which the broker tells that it closed as much."""
    pair = netted()
    pair.view = replace(pair.view, rules=rules)
    pair.opens_at(1, 2 * LOT)
    pair.answer(at="1.10000")
    pair.passes(1_000)
    pair.opens_at(2, LOT, Side.SELL)
    for intent in pair.lose():
        for event in pair.events_of(intent, at="1.20000"):
            pair.fact(_as_close(pair, event, price("1.10000")))
    pair.passes(1_000)
    assert pair.net == LOT
    return pair


def _as_close(pair: Netted, event: Event, entry: Price) -> Event:
    """A fill against a net as brokers book it: with what it closed."""
    if not isinstance(event, ExecutionSeen) or event.deal is None:
        return event
    done = event.deal.filled_volume
    detail = CloseDetail(
        entry_price=entry,
        gross=0,
        swap=0,
        commission=0,
        balance=pair.view.balance,
        balance_version=pair.view.balance_version,
        closed_volume=done,
    )
    return replace(event, deal=replace(event.deal, close=detail))


def _share(pair: Netted, number: int) -> Copy:
    copy = pair.copy_of(key(number))
    assert copy is not None
    return copy


@pytest.mark.parametrize(("rules", "closed_at"), [(RULES, None), (OLD, price("1.20000"))])
def test_an_open_against_the_net_closes_nothing_of_its_share(rules: int, closed_at: Price | None) -> None:
    """The broker books it as a close of the net. `audit copies` showed an open
    copy with a close price, that of its own open."""
    pair = _against_each_other(rules)
    assert (_share(pair, 2).open_price, _share(pair, 2).close_price) == (price("1.20000"), closed_at)
    assert _share(pair, 1).close_price is None


@pytest.mark.parametrize(("rules", "closed_at"), [(RULES, "1.30000"), (OLD, "1.20000")])
def test_a_close_that_makes_the_net_larger_is_the_close_of_its_share(rules: int, closed_at: str) -> None:
    """The broker books it as an open. The copy kept the price of its open as that of its close, or had none."""
    pair = _against_each_other(rules)
    pair.ends(2, LOT)
    pair.answer(at="1.30000")
    assert (pair.net, _share(pair, 2).volume) == (2 * LOT, 0)
    assert _share(pair, 2).close_price == price(closed_at)
    assert _share(pair, 1).close_price is None


@pytest.mark.parametrize(("rules", "closed_at"), [(RULES, price("1.30000")), (OLD, None)])
def test_every_share_that_loses_by_a_persons_close_has_its_price(rules: int, closed_at: Price | None) -> None:
    """A person closes half of what two shares hold together, and of a third on the other side nothing: both were
    closed at his price. Only the one was by whose name the net is known."""
    pair = _against_each_other(rules)
    pair.opens_at(3, 2 * LOT)
    pair.answer(at="1.10000")
    (position,) = pair.held
    for event in pair.close(PositionId(position), LOT, at="1.30000"):
        pair.fact(event)
    assert [_share(pair, number).volume for number in (1, 2, 3)] == [3 * LOT // 2, LOT, 3 * LOT // 2]
    assert _share(pair, 3).close_price == closed_at
    assert _share(pair, 1).close_price == price("1.30000")
    if rules == RULES:
        assert _share(pair, 2).close_price is None


@pytest.mark.parametrize(("rules", "closed_at"), [(RULES, None), (OLD, price("1.30000"))])
def test_a_close_in_a_gap_is_none_of_shares_on_its_own_side(rules: int, closed_at: Price | None) -> None:
    """A person sells some of the net while the line is down: the share that was sold itself loses nothing by it."""
    pair = _against_each_other(rules)
    (position,) = pair.held
    told = pair.close(PositionId(position), LOT // 2, at="1.30000")
    deals = tuple(deal for event in told if (deal := getattr(event, "deal", None)) is not None)
    pair.fact(replace(pair.reconciled(), deals=deals))
    assert _share(pair, 1).close_price == price("1.30000")
    assert _share(pair, 2).close_price == closed_at
