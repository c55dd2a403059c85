"""Servers that lie: answers of nothing or about others, absurd quotes and times, lines that fall as soon as they stand.

The sandbox tells the truth; what it says is changed on its way out. A person's own terminal hears it unchanged.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import (
    ActorRestarted,
    ChangeDecided,
    ConnectionUp,
    HealthChanged,
    MessageUnreadable,
    TraderSeen,
)
from cmam.domain.values.reasons import Reason, Verdict
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.service.delivery import Send
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.scenario.lies import ACCOUNT_OPEN, DEALS, LOT, RECONCILED, SPOT, alerts, copies, recorded, say, tell
from tests.whole import ALPHA_TOO, SAME_BROKER, Whole


@pytest.fixture
def whole() -> Whole:
    """A leader who holds a lot, and two followers with their copies."""
    whole = Whole(seed=3, followers=(SAME_BROKER, ALPHA_TOO))
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(5)
    assert copies(whole) == [[LOT], [LOT]]
    return whole


@pytest.mark.parametrize("answer", [b"", pb.ProtoOAReconcileRes(ctidTraderAccountId=999).SerializeToString()])
def test_an_answer_of_nothing_or_about_another_account_closes_nothing(
    monkeypatch: pytest.MonkeyPatch, whole: Whole, answer: bytes
) -> None:
    """It would say that the leader holds nothing; it is said to be unreadable, and asked again until it can be read."""
    lies = [True]
    tell(
        monkeypatch,
        whole,
        lambda said: [replace(said, payload=answer)] if lies and said.payload_type == RECONCILED else [said],
    )
    whole.run(90)
    assert copies(whole) == [[LOT], [LOT]]
    assert any("expected ReconcileRes of account" in text for text in alerts(whole)), alerts(whole)
    assert len(recorded(whole, ConnectionUp)) == 1
    lies.clear()
    whole.run(90)
    assert alerts(whole) == []
    whole.person.buy(2 * LOT)
    whole.run(5)
    assert copies(whole) == [[LOT, 2 * LOT]] * 2
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("payload", [b"\xff\xff", pb.ProtoOASpotEvent(ctidTraderAccountId=1, symbolId=1, bid=2**63)])
def test_quotes_that_nobody_can_read_cost_nobody_the_line(
    monkeypatch: pytest.MonkeyPatch, whole: Whole, payload: bytes | pb.ProtoOASpotEvent
) -> None:
    """Closes leave over that line: an absurd quote of one symbol must not cut it again and again."""

    def absurd(said: Send) -> list[Send]:
        if said.payload_type != SPOT:
            return [said]
        if isinstance(payload, bytes):
            return [replace(said, payload=payload)]
        spot = pb.ProtoOASpotEvent.FromString(said.payload)
        spot.bid = payload.bid
        return [replace(said, payload=spot.SerializeToString())]

    tell(monkeypatch, whole, absurd)
    whole.run(20)
    (held,) = whole.person.holds(LEADER)
    whole.person.close(held.position, LOT)
    whole.run(5)
    assert copies(whole) == [[], []]
    assert len(recorded(whole, ConnectionUp)) == 1


@pytest.mark.parametrize("time_ms", [2**63 - 1, -(2**63), 1])
def test_a_time_that_no_clock_shows_makes_no_change_too_old(
    monkeypatch: pytest.MonkeyPatch, whole: Whole, time_ms: int
) -> None:
    """One such spot counted for two minutes, in which every open was skipped as too old."""
    lies = [True]

    def mistaken(said: Send) -> list[Send]:
        if said.payload_type != SPOT or not lies:
            return [said]
        spot = pb.ProtoOASpotEvent.FromString(said.payload)
        spot.timestamp = time_ms
        return [replace(said, payload=spot.SerializeToString())]

    tell(monkeypatch, whole, mistaken)
    whole.run(5)
    lies.clear()
    whole.run(1)
    whole.person.buy(2 * LOT)
    whole.run(5)
    assert copies(whole) == [[LOT, 2 * LOT]] * 2
    (decided,) = [event for event in whole.events(SAME_BROKER, ChangeDecided) if event.change.after == 2 * LOT][:1]
    assert abs(decided.inputs.clock_offset_ms) < 1_000


def test_a_line_that_falls_as_soon_as_it_stands_is_dialled_with_growing_pauses(
    monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    """At first after a second, later every ten; it was dialled, and put on record, three times in two seconds."""
    lies = [True]

    def closing(said: Send) -> list[Send]:
        if lies and said.payload_type == ACCOUNT_OPEN:
            for line in list(whole.stepper.network.lines.values()):
                line.closing = True
        return [said]

    tell(monkeypatch, whole, closing)
    whole.stepper.network.cut_all()
    whole.run(10)
    assert 4 <= len(recorded(whole, ConnectionUp)) <= 6
    whole.run(110)
    assert 13 <= len(recorded(whole, ConnectionUp)) <= 25
    (held,) = whole.person.holds(LEADER)
    whole.person.close(held.position, LOT)
    lies.clear()
    whole.run(15)
    assert copies(whole) == [[], []]
    whole.run(10)  # now it has stood for a while: the next loss is a first one
    ups = len(recorded(whole, ConnectionUp))
    whole.stepper.network.cut_all()
    whole.run(2)
    assert len(recorded(whole, ConnectionUp)) == ups + 1


def test_an_account_that_is_dropped_as_soon_as_it_is_open_is_asked_for_with_growing_pauses(
    monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    """The others copy on; when the server has stopped, the account is back within ten seconds."""
    lies = [True]

    def dropping(said: Send) -> list[Send]:
        opened = pb.ProtoOAAccountAuthRes.FromString(said.payload) if said.payload_type == ACCOUNT_OPEN else None
        if not lies or opened is None or opened.ctidTraderAccountId != SAME_BROKER:
            return [said]
        whole.broker.set_fault("disconnect-account", {"account": str(SAME_BROKER)})
        gone = pb.ProtoOAAccountDisconnectEvent(ctidTraderAccountId=SAME_BROKER).SerializeToString()
        return [said, Send(said.connection, 2164, gone, None)]

    tell(monkeypatch, whole, dropping)
    whole.stepper.network.cut_all()
    whole.run(120)
    states = [event.health.value for event in whole.events(SAME_BROKER, HealthChanged)]
    assert 13 <= states.count("authorised") <= 25
    whole.person.buy(2 * LOT)
    whole.run(5)
    assert copies(whole) == [[LOT], [LOT, 2 * LOT]]
    lies.clear()
    whole.run(12)
    (held, _) = whole.person.holds(LEADER)
    whole.person.close(held.position, LOT)
    whole.run(5)
    assert LOT not in copies(whole)[0]


def test_events_of_accounts_that_are_not_ours_are_passed_over(whole: Whole) -> None:
    """However many, readable or not: nothing of them goes on record, and nothing is asked because of them."""
    before = len(list(whole.log.read_all()))
    for account in range(1_000, 1_200):
        event = pb.ProtoOAExecutionEvent(ctidTraderAccountId=account, executionType="ORDER_FILLED")
        event.order.orderId = account
        say(whole, event)
    whole.run(2)
    assert len(list(whole.log.read_all())) == before
    assert alerts(whole) == []


def test_particulars_that_are_not_there_are_asked_for(whole: Whole) -> None:
    """A balance that was not sent would read as 0, and another account's particulars as this one's."""
    view = whole.view(SAME_BROKER)
    assert view is not None
    known = view.trader
    said = pb.ProtoOATraderUpdatedEvent(ctidTraderAccountId=SAME_BROKER)
    say(whole, said)
    said.trader.ctidTraderAccountId = SAME_BROKER
    said.trader.balance = 5
    said.trader.depositAssetId = 1
    said.trader.moneyDigits = 2**32 - 1
    say(whole, said)
    said.trader.ctidTraderAccountId, said.trader.moneyDigits = LEADER, 2
    say(whole, said)
    whole.run(5)
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert view.trader == known
    assert len(recorded(whole, MessageUnreadable)) == 3
    assert recorded(whole, ActorRestarted, "app") == []
    assert alerts(whole) == []
    whole.person.buy(2 * LOT)
    whole.run(5)
    assert copies(whole) == [[LOT, 2 * LOT]] * 2


def test_a_symbol_that_changes_while_another_is_read_is_read_too() -> None:
    """Brokers change a group of symbols and tell of them one by one; the second word was forgotten."""
    whole = Whole(seed=3, settings={"volume.amount": "0.5"})
    whole.start_ready()
    for name in ("USDJPY", "EURUSD"):
        changed = {"broker": "Alpha", "symbol": name, "set": f"min_volume={2 * LOT}"}
        whole.broker.set_fault("symbol", changed)
        whole.stepper.network.collect()
        whole.run(0.0003)
    whole.run(10)
    whole.person.buy(2 * LOT)
    whole.run(5)
    (decided,) = [event for event in whole.events(SAME_BROKER, ChangeDecided) if event.change.kind == "opened"]
    assert (decided.verdict, decided.reason) == (Verdict.SKIP, Reason.BELOW_MINIMUM)


@pytest.mark.parametrize("asked", ["2121", "2112"], ids=["trader", "assets"])
def test_particulars_that_are_refused_for_a_moment_are_read_a_moment_later(asked: str) -> None:
    """So far nothing ever opened on an account whose particulars were refused once, or came before its assets did."""
    whole = Whole(seed=3, followers=(SAME_BROKER, ALPHA_TOO))
    whole.broker.set_fault("error", {"code": "CH_SERVER_NOT_REACHABLE", "type": asked, "count": "3"})
    whole.start()
    whole.run(10)
    whole.person.buy(LOT)
    whole.run(5)
    assert copies(whole) == [[LOT], [LOT]]
    for account in whole.accounts:
        (seen,) = whole.events(account, TraderSeen)
        assert seen.currency
    assert alerts(whole) == []


def test_particulars_that_stay_away_hold_up_no_close(whole: Whole) -> None:
    """The account is ready two seconds later than else, says what it lacks, and opens again once it has them."""
    whole.broker.set_fault("error", {"code": "CH_SERVER_NOT_REACHABLE", "type": "2121", "account": str(SAME_BROKER)})
    (held,) = whole.person.holds(LEADER)
    whole.stepper.network.cut_all()
    whole.run(0.1)
    whole.person.close(held.position, LOT)
    whole.run(6)
    assert copies(whole) == [[], []]
    assert [text for text in alerts(whole) if "could not read what this account is worth" in text]
    whole.run(120)
    whole.broker.clear_fault("error")
    whole.run(65)
    assert alerts(whole) == []
    whole.person.buy(2 * LOT)
    whole.run(5)
    assert copies(whole) == [[2 * LOT], [2 * LOT]]


def test_a_history_that_has_always_more_ends_where_it_was_asked_from(
    monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    """Its next page would lie before its first, which is refused for ever, and the account would never be ready."""

    def endless(said: Send) -> list[Send]:
        if said.payload_type != DEALS:
            return [said]
        page = pb.ProtoOADealListRes.FromString(said.payload)
        page.hasMore = True
        deal = page.deal.add(
            dealId=10**6 + len(page.deal), orderId=1, positionId=1, symbolId=1, volume=1, filledVolume=1
        )
        deal.tradeSide, deal.dealStatus, deal.executionPrice = model.BUY, model.FILLED, 1.0
        deal.createTimestamp = deal.executionTimestamp = 5
        return [replace(said, payload=page.SerializePartialToString())]

    tell(monkeypatch, whole, endless)
    whole.stepper.network.cut_all()
    whole.run(20)
    assert whole.is_ready()
    whole.person.buy(2 * LOT)
    whole.run(5)
    assert copies(whole) == [[LOT, 2 * LOT]] * 2
