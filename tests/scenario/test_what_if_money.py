"""What-if held against a second day under the other settings, where its requests are answered by the model alone.

The same leader, broker and market both times: what the second day was is what the what-if of the first has to say.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import pytest

from cmam.domain.belief.view import AccountView
from cmam.domain.values.ids import AccountId
from cmam.openapi._pb.OpenApiModelMessages_pb2 import LIMIT, STOP
from cmam.store.what_if import Asked, what_if
from tests.reruns import run_again
from tests.rulebook import EURUSD, GBPUSD, SELL, TABLE_HEAD, UNIT, Case, Rulebook

CENT = 1
OPENS, CLOSES = "2106", "2111"
"""The messages whose answers are lost."""


def _day(case: Case, settings: Mapping[str, str], trades: Callable[[Rulebook], None]) -> Rulebook:
    """A day of one follower under these settings."""
    chosen = {"volume.basis": "units", **settings}
    book = Rulebook([Case(case.name, case.broker, chosen, currency=case.currency, kind=case.kind)])
    book.begin()
    trades(book)
    assert book.stepper.failures == []
    return book


def _truth(book: Rulebook, name: str) -> AccountView:
    return book.folded().accounts[AccountId(book.ids[name])]


def _held(view: AccountView) -> list[tuple[int, ...]]:
    positions = sorted(view.positions.values(), key=lambda held: held.symbol)
    return [(p.symbol, p.side.sign, p.volume, p.stop or 0, p.commission, p.used_margin) for p in positions]


def _asked(book: Rulebook, settings: Mapping[str, str]) -> dict[str, Any]:
    return what_if(book.log.read_all, Asked.of(book.folded().registry, settings))


def test_an_open_that_waits_is_looked_at_when_its_time_is_over() -> None:
    """As the running system looks: a price that does not come is named as the reason, and without a stop the lots that
    are set for that are opened. Each expired, as if nobody had looked."""

    def trades(book: Rulebook) -> None:
        book.person.buy(10_000 * UNIT)
        book.go(45)

    case = Case("f", "Mini", currency="EUR")
    book = _day(case, {}, trades)
    (late,) = _asked(book, {"wait_for_better": "2"})["differences"]
    assert (late["what_if"]["verdict"], late["what_if"]["reason"]) == ("skip", "not_better")
    by_risk = {"volume.mode": "risk_percent", "volume.without_stop": "0.6"}
    (bare,) = _asked(book, by_risk)["differences"]
    assert (bare["what_if"]["volume"], bare["what_if"]["state"]) == ("6000.00", "open")
    assert _day(case, by_risk, trades).volumes("f") == [6_000 * UNIT]


def test_the_least_commission_of_an_order_is_not_multiplied() -> None:
    """At least 4 pounds an order, else 0.05 %: a hundred times the volume of an order that paid the least costs what
    0.05 % of it are. It cost a hundred times the least, and twice what it would have."""

    def trades(book: Rulebook) -> None:
        position = book.person.buy(60_000 * UNIT)
        book.go(3)
        book.person.close(position, 60_000 * UNIT)
        book.go(3)

    case = Case("f", "Dear")
    small, large = {"volume.amount": "0.01"}, {"volume.amount": "1"}
    for then, now in ((small, large), (large, small)):
        book = _day(case, then, trades)
        run, _ = run_again(book, now)
        truth = _truth(_day(case, now, trades), "f")
        assert abs(run.books[truth.account].view.balance - truth.balance) <= 2 * CENT


def test_what_turns_a_net_pays_for_its_new_side_too() -> None:
    """Half the volume of a sale that closes what is bought and opens the rest: both sides of both parts are paid for,
    and the rest has its stop. The new side had cost nothing, bound no margin, and had no stop."""

    def trades(book: Rulebook) -> None:
        first = book.person.buy(40_000 * UNIT, symbol=EURUSD)
        book.go(3)
        second = book.person.buy(90_000 * UNIT, symbol=EURUSD, side=SELL, relativeStopLoss=500)
        book.person.buy(10_000 * UNIT, symbol=GBPUSD)
        book.go(3)
        book.person.close(first, 40_000 * UNIT)
        book.go(3)
        book.person.close(second, 60_000 * UNIT)
        book.go(3)

    case = Case("f", kind="netted")
    book = _day(case, {}, trades)
    run, _ = run_again(book, {"volume.amount": "0.5"})
    truth = _truth(_day(case, {"volume.amount": "0.5"}, trades), "f")
    view = run.books[truth.account].view
    assert _held(view) == _held(truth)
    assert abs(view.balance - truth.balance) <= CENT


@pytest.mark.parametrize(
    ("kind", "fault", "lost"),
    [
        ("hedged", "silence", OPENS),
        ("netted", "silence", OPENS),
        ("hedged", "cut-after", OPENS),
        ("netted", "cut-after", OPENS),
        ("hedged", "silence", CLOSES),
        ("hedged", "cut-after", CLOSES),
    ],
)
def test_a_lost_answer_is_lost_in_a_what_if_too(kind: str, fault: str, lost: str) -> None:
    """What was asked fills at its own price and is known when it was found, so that what the leader does meanwhile
    waits for that as it did. It filled at once at the newest quote, and the snapshot gave it the recorded position."""

    def trades(book: Rulebook) -> None:
        number = str(book.ids["f"])
        if lost == OPENS:
            book.broker.set_fault(fault, {"account": number, "type": lost, "count": "1"})
        position = book.person.buy(40_000 * UNIT)
        book.run(0.02)
        book.price("EURUSD", "1.08700")
        book.go(15)
        if lost == CLOSES:
            book.broker.set_fault(fault, {"account": number, "type": lost, "count": "1"})
        book.person.close(position, 15_000 * UNIT)
        book.run(0.02)
        book.price("EURUSD", "1.08900")
        book.go(15)
        book.person.close(position, 25_000 * UNIT)
        book.run(0.02)
        book.price("EURUSD", "1.08100")
        book.go(12)

    case, half = Case("f", kind=kind), {"volume.amount": "0.5"}
    book, truth = _day(case, {}, trades), _day(case, half, trades)
    found = _asked(book, half)
    (trade,) = found["differences"]
    money = sum(deal.net for deal in truth.broker.floor.accounts[truth.ids["f"]].deals.values())
    shown = trade["what_if"]
    assert (shown["volume"], shown["state"], shown["ended"]) == ("20000.00", "closed", "closed_by_leader")
    assert abs(Decimal(shown["result"]) * 100 - money) <= CENT
    assert found["model"]["at_recorded_fills"] == found["model"]["fills"] == 3


@pytest.mark.parametrize("fault", ["silence", "cut-after"])
def test_an_open_that_was_found_rejected_is_refused_in_a_what_if_too(fault: str) -> None:
    """Nobody was told of the rejection, the order history told it: nothing is held, and the copy has ended. It waited
    for its answer to the end of the record."""

    def trades(book: Rulebook) -> None:
        number = str(book.ids["f"])
        book.broker.set_fault("reject", {"account": number, "count": "1", "code": "NOT_ENOUGH_MONEY"})
        book.broker.set_fault(fault, {"account": number, "type": OPENS, "count": "1"})
        position = book.person.buy(40_000 * UNIT)
        book.go(25)
        book.person.close(position, 40_000 * UNIT)
        book.go(3)

    book = _day(Case("f"), {}, trades)
    (trade,) = _asked(book, {"volume.amount": "0.5"})["differences"]
    assert [(trade[day]["volume"], trade[day]["state"]) for day in ("recorded", "what_if")] == [("0.00", "refused")] * 2


def test_a_copy_in_another_symbol_has_that_symbols_price() -> None:
    """A table leads trades of one symbol to another: they fill at the quote of that, not at the recorded price."""

    def trades(book: Rulebook) -> None:
        book.person.buy(20_000 * UNIT, symbol=GBPUSD)
        book.go(12)
        book.person.buy(20_000 * UNIT, symbol=EURUSD)
        book.go(3)

    table = {"symbols.table": f"{TABLE_HEAD}\nEURUSD,GBPUSD,,,,,,,"}
    run, _ = run_again(book := _day(Case("f"), {}, trades), table)
    held = run.books[_truth(book, "f").account].view.positions.values()
    assert [(p.symbol, p.price) for p in held] == [(GBPUSD, 127_010_000)] * 2


def test_levels_that_another_request_had_set_are_set_where_there_is_none() -> None:
    """Shares of a net ask for its levels together: one request leaves, the others are merged with it or find nothing to
    amend. Without the share whose request left then, that of another one sets the levels."""

    def trades(book: Rulebook) -> None:
        levels = {"relativeTakeProfit": 900}
        book.person.buy(4_000 * UNIT, symbol=EURUSD, side=SELL, relativeStopLoss=800, **levels)
        book.go(3)
        book.person.buy(13_000 * UNIT, symbol=EURUSD, relativeTakeProfit=300)
        book.go(3)
        book.person.buy(21_000 * UNIT, symbol=EURUSD, side=SELL, relativeStopLoss=200, **levels)
        book.go(5)

    case, asked = Case("f", kind="netted"), {"side": "sell"}
    run, _ = run_again(book := _day(case, {}, trades), asked)
    lived = _truth(_day(case, asked, trades), "f")
    found = run.books[_truth(book, "f").account].view

    def levels_of(view: AccountView) -> list[tuple[int, ...]]:
        return [(held.volume, held.stop or 0, held.target or 0) for held in view.positions.values()]

    assert levels_of(found) == levels_of(lived)


def test_levels_that_the_market_is_too_near_to_are_refused_in_a_what_if_too() -> None:
    """A leader's levels are another pair for a copy that is reversed: it was asked for on no recorded day, and the
    distances of the follower's symbol let neither be set with the market where it is. All were taken."""

    def trades(book: Rulebook) -> None:
        position = book.person.buy(13_000 * UNIT, relativeStopLoss=400, relativeTakeProfit=900)
        book.go(12)
        book.price("EURUSD", "1.08340")
        book.go(12)
        book.person.amend(position, stop=1.08240)
        book.go(3)

    case, asked = Case("f", "Odd", currency="JPY"), {"reverse": "on"}
    run, _ = run_again(book := _day(case, {}, trades), asked)
    lived = _truth(_day(case, asked, trades), "f")
    found = run.books[_truth(book, "f").account].view
    levels = [[(held.volume, held.stop, held.target) for held in view.positions.values()] for view in (found, lived)]
    assert levels[0] == levels[1] == [(12_600 * UNIT, None, None)]


def test_an_order_that_was_placed_at_the_second_try_rests_in_a_what_if_too() -> None:
    """The line is cut as it leaves, it has proven absent, and is placed then: other settings ended it as expired."""

    def trades(book: Rulebook) -> None:
        book.go(3)
        book.broker.set_fault("cut-before", {"account": str(book.ids["f"]), "type": OPENS, "count": "1"})
        book.person.place(STOP, 40_000 * UNIT, price=1.26950, symbol=GBPUSD, side=SELL, relativeStopLoss=400)
        book.go(20)

    book = _day(Case("f"), {}, trades)
    (trade,) = _asked(book, {"fixed_tp": "30"})["differences"]
    shown = [(trade[day]["state"], trade[day]["ended"]) for day in ("recorded", "what_if")]
    assert shown == [("resting", None)] * 2


def test_a_modelled_look_has_the_market_that_the_recorded_one_had() -> None:
    """A leader's order has filled, the copy's has not, and its grace is over: what opens then has its stop where a live
    run has it. The timer is late by less than a millisecond; the market before the fill had counted."""

    def day(settings: Mapping[str, str]) -> Rulebook:
        chosen = {"volume.basis": "units", **settings}
        book = Rulebook([Case("mini", "Mini", chosen, currency="EUR"), Case("dear", "Dear", chosen)], seed=2)
        book.begin()
        person = book.person
        person.buy(40_000 * UNIT, symbol=EURUSD, relativeTakeProfit=300)
        book.go(2)
        person.place(LIMIT, 40_000 * UNIT, price=1.26980, symbol=GBPUSD, relativeStopLoss=400)
        book.go(3)
        person.buy(4_000 * UNIT, symbol=EURUSD, side=SELL, relativeStopLoss=200, relativeTakeProfit=300)
        book.go(2)
        book.price("GBPUSD", "1.26970")
        book.go(12)
        return book

    asked = {"max_slippage": "5"}
    run, _ = run_again(book := day({}), asked)
    lived = day(asked)
    for name in ("mini", "dear"):
        found, truth = run.books[_truth(book, name).account].view, _truth(lived, name)
        at = [sorted((held.price, held.stop or 0) for held in view.positions.values()) for view in (found, truth)]
        assert at[0] == at[1], name


@pytest.mark.parametrize("then", [{}, {"daily_loss": "2000"}], ids=["nobody_asked", "a_guard_asked"])
def test_a_guard_that_is_asked_for_knows_the_balance_after_a_cut(then: Mapping[str, str]) -> None:
    """Closes that are modelled make no version of the balance. After the next cut each one that the broker had counted
    was taken for money that moved unseen: equity was unknown, and nothing was opened any more, for days."""

    def trades(book: Rulebook) -> None:
        bought = book.person.buy(10_000 * UNIT)
        book.go(3)
        book.person.close(bought, 10_000 * UNIT)
        book.go(3)
        book.stepper.network.cut_all()
        book.broker.set_fault("deposit", {"account": str(book.ids["f"]), "amount": "500"})
        book.go(12)
        book.person.buy(20_000 * UNIT)
        book.go(3)

    case, guarded = Case("f", "Mini", currency="EUR"), {"volume.amount": "0.5", "daily_loss": "200"}
    book = _day(case, then, trades)
    here = run_again(book, guarded)[0].books[AccountId(book.ids["f"])].view
    there = _truth(_day(case, guarded, trades), "f")
    assert _held(here) == _held(there) != []
    assert abs(here.balance - there.balance) <= CENT
    if then:  # what was paid in meanwhile is on record: it moves what the day's loss is counted from
        assert [day.anchor for day in here.days.values()] == [day.anchor for day in there.days.values()] == [5_050_000]


def test_what_was_asked_for_as_the_log_ends_is_answered() -> None:
    """His last act is the last record where nobody followed it: a copy's cancel got no answer, and it rested."""

    def trades(book: Rulebook) -> None:
        placed = book.person.place(LIMIT, 10_000 * UNIT, price=1.07)
        book.go(3)
        book.person.cancel(placed)
        book.go(15)

    (end,) = _asked(_day(Case("f", "Same"), {"order_types": "market"}, trades), {"order_types": "all"})["differences"]
    assert end["what_if"]["state"] == "closed"
