"""The check before anything moves: a leader's history as trades, each judged at its own hour and today's prices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import SymbolListSeen, SymbolSpecSeen
from cmam.domain.folds.account import evolve
from cmam.domain.trials.feasibility import judge, leaders_trades, pairings, unconverted
from cmam.domain.trials.rehearsal import differences
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.ids import DealId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.trades import AccountType, CloseDetail, Deal, Order, OrderStatus, OrderType
from tests.factories import LOT, Pair, a_change, a_spec, a_view, price

HOUR_MS = 3_600_000
AT_MS = 1_600_000_000_000  # 2020-09-13 12:26:40 UTC, a Sunday


def _deal(number: int, position: int, volume: int, *, side: Side = Side.BUY, closes: bool = False) -> Deal:
    detail = CloseDetail(
        entry_price=price("1.1"), gross=0, swap=0, commission=0, balance=0, closed_volume=Volume(volume)
    )
    return Deal(
        deal=DealId(number),
        order=OrderId(number),
        position=PositionId(position),
        symbol=SymbolId(1),
        side=side,
        volume=Volume(volume),
        filled_volume=Volume(volume),
        price=price("1.2"),
        executed_ms=AT_MS + number,
        close=detail if closes else None,
    )


def _order(number: int, **more: object) -> Order:
    terms = {"status": OrderStatus.FILLED, "type": OrderType.MARKET, "label": "mine", **more}
    return Order(order=OrderId(number), symbol=SymbolId(1), side=Side.BUY, volume=Volume(LOT), **terms)


def test_a_history_becomes_opens_adds_and_resting_orders() -> None:
    """Opens and adds are told with the label of their order, closes are not told, and what still rests is placed."""
    view = Pair({}).view
    deals = [
        _deal(3, 7, LOT, side=Side.SELL, closes=True),
        _deal(1, 7, LOT),
        _deal(2, 7, LOT // 2),
        _deal(4, 9, LOT, side=Side.SELL, closes=True),
    ]
    resting = _order(8, status=OrderStatus.ACCEPTED, type=OrderType.LIMIT, limit_price=price("1.0"))
    found = leaders_trades(view, deals, [_order(1), _order(2), resting])
    assert [(c.kind, c.volume, c.label) for c in found] == [
        (ChangeKind.OPENED, LOT, "mine"),
        (ChangeKind.GREW, LOT // 2, "mine"),
        (ChangeKind.ORDER_PLACED, LOT, "mine"),
    ]


@pytest.mark.parametrize(
    ("settings", "reason", "volume"),
    [
        ({"volume.amount": "0.5"}, None, LOT // 2),
        ({"max_age": "1s"}, None, LOT),  # the trade was young when it happened
        ({"max_price_distance": "1"}, None, LOT),  # and today's prices say nothing of its own
        ({"volume.amount": "0.001"}, Reason.BELOW_MINIMUM, 0),
        ({"side": "sell"}, Reason.SIDE_EXCLUDED, 0),
        ({"days": "mon-fri"}, Reason.OUTSIDE_HOURS, 0),  # it was a Sunday, whatever today is
        ({"label": "exact:other"}, Reason.LABEL_EXCLUDED, 0),
        ({"require_stop": "on"}, Reason.STOP_REQUIRED, 0),
        ({"symbols.exclude": "EURUSD"}, Reason.SYMBOL_EXCLUDED, 0),
    ],
)
def test_a_trade_is_judged_by_the_rules_that_copy(settings: dict[str, str], reason: Reason | None, volume: int) -> None:
    """What the follower could not have copied is named with its reason, as the real decision would."""
    pair = Pair(settings)
    quotes = {"EURUSD": pair.quote("EURUSD")}
    (change,) = leaders_trades(pair.view, [_deal(1, 7, LOT)], [_order(1)])
    found = judge(pair.view, pair.view, pair.link, quotes, quotes, change).decision
    assert (found.verdict, found.reason) == (Verdict.COPY if reason is None else Verdict.SKIP, reason)
    assert found.volume == volume


def test_a_copy_that_is_there_already_hides_nothing() -> None:
    """A trade that was copied is judged as if it came now, not called a duplicate."""
    pair = Pair({})
    pair.opens()
    pair.answer()
    quotes = {"EURUSD": pair.quote("EURUSD")}
    (change,) = leaders_trades(pair.view, [_deal(1, 7, LOT)], [_order(1)])
    same = replace(change, source=next(iter(pair.view.copies.values())).source)
    assert judge(pair.view, pair.view, pair.link, quotes, quotes, same).decision.reason is not Reason.DUPLICATE


@pytest.mark.parametrize("kind", [AccountType.HEDGED, AccountType.NETTED])
def test_what_the_copy_of_a_trade_holds_is_not_held_against_the_trade(kind: AccountType) -> None:
    """A netted follower's own net was called another's: none of the trades that it had copied could be copied."""
    pair = Pair({}, view=a_view(kind=kind))
    pair.opens()
    pair.answer()
    quotes = {"EURUSD": pair.quote("EURUSD")}
    (change,) = leaders_trades(pair.view, [_deal(1, 7, LOT)], [_order(1)])
    same = replace(change, source=next(iter(pair.view.copies.values())).source)
    assert pair.view.positions
    judged = judge(pair.view, pair.view, pair.link, quotes, quotes, same)
    assert judged.decision.verdict is Verdict.COPY


def test_a_leaders_changed_lot_is_told_to_who_counts_in_lots() -> None:
    """Before anything moves: what he opens there is not copied until somebody has looked at it."""
    leader = evolve(a_view(), SymbolSpecSeen(spec=a_spec(lot_size=Volume(LOT // 10))), 0)
    for settings, remarks in (
        ({"volume.lots_confirmed": "EURUSD"}, ("its lot size at the leader's broker has changed: confirm it there",)),
        ({"volume.basis": "units"}, ()),
    ):
        pair = Pair(settings)
        (found,) = [one for one in pairings(leader, pair.view, pair.link, {}, {}, frozenset()) if one.name == "EURUSD"]
        assert found.remarks == remarks


@pytest.mark.parametrize("limited", [True, False])
def test_a_symbol_without_guaranteed_stops_is_told_of_at_limited_risk(limited: bool) -> None:
    """Before anything moves, and of each trade in it too."""
    pair = Pair(view=a_view((a_spec(guaranteed_stops=False),), limited_risk=limited))
    (found,) = pairings(a_view((a_spec(),)), pair.view, pair.link, {}, {}, frozenset())
    assert [remark.split(",")[0] for remark in found.remarks] == ["it has no guaranteed stops"] * limited
    judged = judge(a_view(), pair.view, pair.link, {}, {}, a_change(stop=price("1.09")))
    assert (judged.decision.reason is Reason.NO_GUARANTEED_STOP) == limited


def test_a_symbol_that_cannot_be_sold_short_is_told_of() -> None:
    """Before the leader sells it for the first time."""
    pair = Pair(view=a_view((a_spec(short_selling=False),)))
    (found,) = pairings(a_view((a_spec(),)), pair.view, pair.link, {}, {}, frozenset())
    assert found.remarks == ("it cannot be sold short",)


def test_an_unmapped_symbol_says_what_keeps_it_from_the_one_like_it() -> None:
    """A symbol of a like name and another lot is not taken, and the difference is told with its numbers."""
    pair = Pair({})
    view = pair.view
    spec = view.specs[view.names["EURUSD"].symbol]
    listed = tuple(replace(one, name="EURUSD.b") if one.name == "EURUSD" else one for one in view.names.values())
    assets = tuple(view.assets.values())
    other = evolve(view, SymbolListSeen(digest="b", symbols=listed, assets=assets), pair.now_us)
    theirs = replace(spec, name="EURUSD.b", lot_size=Volume(1_000_000))
    other = evolve(other, SymbolSpecSeen(spec=theirs), pair.now_us)
    (found,) = [one for one in pairings(view, other, pair.link, {}, {}, frozenset()) if one.name == "EURUSD"]
    assert found.follower is None
    assert "its lot is 10000.00" in found.remarks[0]


def test_a_position_that_is_gone_is_a_repair_that_changes_nothing() -> None:
    """The plan names the copy that the broker no longer shows; the view it was made from stays as it was."""
    pair = Pair({})
    pair.opens()
    pair.answer()
    before = pair.view
    books = replace(pair.reconciled(), positions=())
    found = differences(before, None, before, books, pair.link, (), {}, {}, pair.now_us)
    assert [one.repair for one in found.repairs] == ["noted as ended"]
    assert [one.kind.value for one in found.findings] == ["gone"]
    assert pair.view is before


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ({"volume.mode": "balance_ratio"}, "USC"),
        ({"volume.mode": "balance_ratio", "volume.currency": "raw"}, ""),
        ({"volume.mode": "formula", "volume.formula": "leader_lots * equity / leader_equity"}, "USC"),
        ({"volume.mode": "formula", "volume.formula": "leader_lots * equity / 1000"}, ""),
        ({"symbols.table": "leader_symbol,volume_mode\nEURUSD,equity_ratio\n"}, "USC"),
        ({}, ""),
    ],
)
def test_money_that_no_symbols_convert_is_told_by_the_currencies_alone(settings: dict[str, str], found: str) -> None:
    """A leader in cents who has not traded yet: what his followers would skip all the same is known by his currency."""
    pair = Pair(settings)
    leader = replace(a_view(), currency="USC")
    assert unconverted(leader, pair.view, pair.link.policy) == found
    assert unconverted(replace(leader, currency="USD"), pair.view, pair.link.policy) == ""
    assert unconverted(leader, replace(pair.view, names={}), pair.link.policy) == ""
