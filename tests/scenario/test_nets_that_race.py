"""Netted followers whose net moves while requests are on their way: what that gets refused is nobody's trouble."""

from __future__ import annotations

import pytest

from cmam.domain.events import AlertRaised, IntentSettled, Outcome
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from tests import wires
from tests.rulebook import SELL, UNIT, Case, Rulebook

UNITS = {"volume.basis": "units"}
FILL_MS, WAY_MS = 130, 160
ROUND_MS = 2 * WAY_MS + FILL_MS


@pytest.mark.parametrize(
    ("bought", "after_ms", "code"),
    [
        pytest.param(100_000, 60, "POSITION_NOT_OPEN", id="the net goes before the close fills"),
        pytest.param(100_000, 210, "POSITION_NOT_FOUND", id="the net goes before the close arrives"),
        pytest.param(40_000, 210, "TRADING_BAD_VOLUME", id="the net shrinks before the close arrives"),
    ],
)
def test_a_share_is_closed_at_once_though_its_net_moved_first(
    bought: int, after_ms: int, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A leader is short, buys, and closes what was short while the copy's purchase is still under way.

    The copy's close is refused, since the purchase has taken of the net what it was to close. That was told before the
    refusal, so nothing is waited for and nobody is called: what is left of the share is traded a round trip later, one
    for each request where what the net still has of it goes first.
    """
    monkeypatch.setattr(wires, "NETWORK_US", WAY_MS * 1_000)
    book = Rulebook([Case("net", "Same", UNITS, kind="netted")], fill_delay_ms=FILL_MS)
    book.begin()
    short = book.person.buy(100_000 * UNIT, side=SELL)
    book.go(3)
    book.person.buy(bought * UNIT)
    book.run(after_ms / 1_000)
    book.person.close(short, 100_000 * UNIT)
    book.run((FILL_MS + WAY_MS + 3 * ROUND_MS) / 1_000)
    net = [(p.side, p.volume) for p in book.broker.floor.accounts[book.ids["net"]].open_positions()]
    assert net == [(model.BUY, bought * UNIT)]
    book.let_record()
    refused = [e.reason for e in book.events(book.ids["net"], IntentSettled) if e.outcome is Outcome.REFUSED]
    assert refused == [code]
    assert book.events(book.ids["net"], AlertRaised) == []
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_a_common_target_that_is_reached_calls_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grid closes all its trades at one target. As the first closes are told one share is left, which alone may have
    its target; the market is past it, and the close of that share is told before the broker has refused it."""
    monkeypatch.setattr(wires, "NETWORK_US", WAY_MS * 1_000)
    book = Rulebook([Case("net", "Same", UNITS, kind="netted")], fill_delay_ms=FILL_MS)
    book.begin()
    for units in (10_000, 20_000, 40_000):
        book.person.buy(units * UNIT)
        book.go(2)
    for position in book.broker.floor.accounts[book.leader].open_positions():
        book.person.amend(position.position_id, target=1.0885)
    book.go(2)
    book.price("EURUSD", "1.08950")
    book.go(5)
    assert book.held("net") == book.person.holds(book.leader) == []
    book.let_record()
    refused = [e.reason for e in book.events(book.ids["net"], IntentSettled) if e.outcome is Outcome.REFUSED]
    assert refused == ["TRADING_BAD_STOPS"]
    assert book.events(book.ids["net"], AlertRaised) == []
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []
