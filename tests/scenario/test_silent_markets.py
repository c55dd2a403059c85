"""A symbol that is held and silent: what the account is worth is asked of the broker, and other symbols are copied."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cmam.domain.events import AttemptDecided, ResultsSeen
from cmam.domain.values.reasons import Reason
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.answers import reads
from cmam.sandbox.books.ledger import Account
from cmam.sandbox.service import requests
from cmam.sandbox.trading.floor import Floor
from cmam.store.past.replay import verify
from tests.rulebook import GBPUSD, UNIT, Case, Rulebook

UNITS = {"volume.basis": "units"}


def _held_in_silence(book: Rulebook) -> None:
    """Everybody holds EURUSD, which has not ticked for a minute while its market is open; GBPUSD has just now."""
    book.begin()
    book.person.buy(10_000 * UNIT)
    book.go(2)
    book.run(60)
    book.price("GBPUSD", "1.25000")


def test_a_silent_symbol_keeps_no_other_from_being_copied() -> None:
    """Equity is the broker's to tell: it is asked for as an open needs it, not before, and the open waits for that."""
    book = Rulebook([Case("one", "Same", UNITS), Case("off", "Same", {**UNITS, "margin_reserve": "off"})])
    _held_in_silence(book)
    assert not book.events(book.ids["one"], ResultsSeen)
    book.person.buy(1_000 * UNIT, symbol=GBPUSD)
    book.run(1)
    assert [book.volumes(name) for name in ("one", "off")] == [[10_000 * UNIT, 1_000 * UNIT]] * 2
    assert [len(book.events(book.ids[name], ResultsSeen)) for name in ("one", "off")] == [1, 0]
    assert verify(book.log.read_all()).is_identical


def test_opens_in_a_row_wait_for_results_of_all_that_is_held() -> None:
    """The first fills, and is in no result that was told: the second waits until the broker may be asked once more."""
    book = Rulebook([Case("one", "Same", UNITS)])
    _held_in_silence(book)
    book.person.buy(1_000 * UNIT, symbol=GBPUSD)
    book.run(1)
    book.person.buy(2_000 * UNIT, symbol=GBPUSD)
    book.run(4)
    assert book.volumes("one") == [10_000 * UNIT, 1_000 * UNIT, 2_000 * UNIT]
    assert len(book.events(book.ids["one"], ResultsSeen)) == 2
    assert verify(book.log.read_all()).is_identical


def test_opens_in_a_row_wait_for_results_where_a_guard_must_know_equity() -> None:
    """The same where a guard is set, with free margin or without: equity is not unknown that is being told."""
    guarded = {**UNITS, "daily_loss": "5000"}
    book = Rulebook([Case("both", "Same", guarded), Case("guard", "Same", {**guarded, "margin_reserve": "off"})])
    _held_in_silence(book)
    book.person.buy(1_000 * UNIT, symbol=GBPUSD)
    book.run(1)
    book.person.buy(2_000 * UNIT, symbol=GBPUSD)
    book.run(4)
    for name in ("both", "guard"):
        assert book.volumes(name) == [10_000 * UNIT, 1_000 * UNIT, 2_000 * UNIT]
    assert verify(book.log.read_all()).is_identical


def test_where_the_broker_tells_no_results_the_open_is_skipped_at_once() -> None:
    """He has refused them: nothing is on its way that would be worth waiting for."""
    book = Rulebook([Case("one", "Same", UNITS)])
    _held_in_silence(book)
    told = {"type": "2187", "code": "CANT_ROUTE_REQUEST", "account": str(book.ids["one"])}
    book.broker.set_fault("error", told)
    book.person.buy(1_000 * UNIT, symbol=GBPUSD)
    book.run(1)
    assert book.volumes("one") == [10_000 * UNIT]
    [ended] = book.events(book.ids["one"], AttemptDecided)
    assert ended.reason is Reason.STALE_INPUT
    assert verify(book.log.read_all()).is_identical


def test_an_order_that_grows_waits_for_results_as_an_open_does() -> None:
    """Its leader makes it twice as large while another symbol is silent: ours is no smaller for that."""
    book = Rulebook([Case("one", "Same", UNITS)])
    book.begin()
    book.person.buy(10_000 * UNIT)
    order = book.person.place(model.LIMIT, 1_000 * UNIT, symbol=GBPUSD, price=1.2)
    book.go(2)
    book.run(60)
    book.price("GBPUSD", "1.25000")
    book.person.amend_order(order, volume=2_000 * UNIT, limitPrice=1.2)
    book.run(2)
    assert [resting.tradeData.volume for resting in book.person.rests(book.ids["one"])] == [2_000 * UNIT]
    assert verify(book.log.read_all()).is_identical


def test_a_broker_who_leaves_a_position_out_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """He would leave it out again: the open ends at once, and is not looked at forty times a second until it is old."""

    def short(floor: Floor, account: Account, request: Any) -> Any:
        answer = reads.unrealised(floor, account, request)
        del answer.positionUnrealizedPnL[:]
        return answer

    monkeypatch.setitem(requests.ROUTES, 2187, replace(requests.ROUTES[2187], handler=short))
    book = Rulebook([Case("one", "Same", UNITS)])
    _held_in_silence(book)
    book.person.buy(1_000 * UNIT, symbol=GBPUSD)
    book.run(1)
    [ended] = book.events(book.ids["one"], AttemptDecided)
    assert ended.reason is Reason.STALE_INPUT
    assert verify(book.log.read_all()).is_identical
