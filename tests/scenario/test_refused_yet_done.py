"""A server that refuses an open and executes it all the same: one copy stands at the end, whichever way it is told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import AlertRaised, CopyFinished, GuardTripped, IntentRecorded
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.service.delivery import Send
from cmam.sandbox.switches import Switches
from cmam.store.auditing.audit import Audit
from cmam.store.past.replay import verify
from tests.scenario.lies import LOT, alerts, copies, tell
from tests.whole import NETTED, SAME_BROKER, Whole

EXECUTION, ORDER_ERROR = 2126, 2132


class Mistaken:
    """Says of a follower's first order that it was refused, and tells of its executions when it is asked to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, whole: Whole, code: str = "NO_QUOTES") -> None:
        self._whole, self._code = whole, code
        self._kept: list[Send] = []
        self._order = 0
        self.is_keeping = True
        tell(monkeypatch, whole, self._pass)

    def _pass(self, said: Send) -> list[Send]:
        if said.payload_type != EXECUTION or not self.is_keeping:
            return [said]
        event = pb.ProtoOAExecutionEvent.FromString(said.payload)
        if event.ctidTraderAccountId == self._whole.leader:
            return [said]
        if event.order.orderId not in (self._order or event.order.orderId,):
            return [said]
        self._kept.append(said)
        if self._order:
            return []
        self._order = event.order.orderId
        refusal = pb.ProtoOAOrderErrorEvent(ctidTraderAccountId=event.ctidTraderAccountId, errorCode=self._code)
        return [replace(said, payload_type=ORDER_ERROR, payload=refusal.SerializeToString())]

    def release(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Tell what was kept."""
        self.is_keeping = False
        take = self._whole.broker.take_output
        with monkeypatch.context() as patch:
            patch.setattr(self._whole.broker, "take_output", lambda: [*take(), *self._kept])
            self._whole.stepper.network.collect()


def _resting(whole: Whole) -> list[int]:
    return [order.order_id for order in whole.orders(SAME_BROKER) if order.closed_us is None]


def _said(whole: Whole, follower: int) -> list[str]:
    return [raised.text for raised in whole.events(follower, AlertRaised) if raised.kind == "surplus"]


@pytest.mark.parametrize(
    ("follower", "code"), [(SAME_BROKER, "NO_QUOTES"), (NETTED, "NO_QUOTES"), (SAME_BROKER, "NOT_ENOUGH_MONEY")]
)
@pytest.mark.parametrize("late_s", [0.5, 1.1, 1.15, 1.2, 4])
def test_what_was_refused_and_is_done_all_the_same_stands_once(
    monkeypatch: pytest.MonkeyPatch, follower: int, code: str, late_s: float
) -> None:
    """Told before the next try it is the copy; after it one of the two is closed at once, and a person is told why."""
    whole = Whole(seed=4, followers=(follower,), switches=Switches(history_days=0))
    whole.start_ready()
    mistaken = Mistaken(monkeypatch, whole, code)
    position = whole.person.buy(LOT)
    whole.run(late_s)
    asked = len(whole.events(follower, IntentRecorded))
    mistaken.release(monkeypatch)
    whole.run(1.5)
    assert copies(whole) == [[LOT]]
    assert whole.events(follower, GuardTripped) == []
    opened = [deal for deal in whole.broker.floor.accounts[follower].deals.values() if deal.side == model.BUY]
    assert len(opened) == asked
    assert len(_said(whole, follower)) == (len(opened) > 1 and follower != NETTED)
    assert alerts(whole) == []
    whole.person.close(position, LOT)
    whole.run(3)
    assert copies(whole) == [[]]
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


@pytest.mark.parametrize("late_s", [0.5, 1.1, 4])
def test_a_pending_order_that_was_refused_and_rests_all_the_same_rests_once(
    monkeypatch: pytest.MonkeyPatch, late_s: float
) -> None:
    """As with a position: it is the copy's, or it is cancelled."""
    whole = Whole(seed=4, switches=Switches(history_days=0))
    whole.start_ready()
    mistaken = Mistaken(monkeypatch, whole, "NO_QUOTES")
    order = whole.person.place(model.LIMIT, LOT, price=1.0800)
    whole.run(late_s)
    mistaken.release(monkeypatch)
    whole.run(1.5)
    assert len(_resting(whole)) == 1
    assert alerts(whole) == []
    whole.person.cancel(order)
    whole.run(3)
    assert _resting(whole) == []
    assert verify(whole.log.read_all()).is_identical


def test_what_a_broker_will_not_let_go_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The alert stands until the one too many is closed."""
    whole = Whole(seed=4, switches=Switches(history_days=0))
    whole.start_ready()
    mistaken = Mistaken(monkeypatch, whole, "NO_QUOTES")
    whole.person.buy(LOT)
    whole.run(4)
    whole.broker.set_fault("error", {"account": str(SAME_BROKER), "type": "2111", "code": "NO_QUOTES", "count": "2"})
    mistaken.release(monkeypatch)
    whole.run(1)
    assert copies(whole) == [[LOT, LOT]]
    assert any("Of no copy" in text for text in alerts(whole)), alerts(whole)
    whole.run(40)
    assert copies(whole) == [[LOT]]
    assert alerts(whole) == []
    assert verify(whole.log.read_all()).is_identical


def test_a_rejection_is_no_reason_to_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that accepts the close of the one too many and rejects it then tells so by an execution."""
    whole = Whole(seed=4, switches=Switches(history_days=0))
    whole.start_ready()
    mistaken = Mistaken(monkeypatch, whole, "NO_QUOTES")
    whole.person.buy(LOT)
    whole.run(4)
    whole.broker.set_fault("reject", {"account": str(SAME_BROKER), "type": "2111", "code": "MARKET_CLOSED"})
    mistaken.release(monkeypatch)
    whole.run(20)
    tries = [one for one in whole.events(SAME_BROKER, IntentRecorded) if one.source.startswith("x")]
    assert 4 <= len(tries) <= 6, len(tries)
    whole.broker.clear_fault("reject")
    whole.run(20)
    assert copies(whole) == [[LOT]]
    assert alerts(whole) == []
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("fault", ["drop", "silence"])
@pytest.mark.parametrize("lost", ["drop", "error"])
def test_what_is_taken_back_never_becomes_the_copy(monkeypatch: pytest.MonkeyPatch, fault: str, lost: str) -> None:
    """The line is cut while nobody knows of the next try, and the first stands: by its label it might be either."""
    whole = Whole(seed=4, switches=Switches(history_days=0))
    whole.start_ready()
    mistaken = Mistaken(monkeypatch, whole)
    position = whole.person.buy(LOT)
    whole.run(0.5)
    whole.broker.set_fault(fault, {"account": str(SAME_BROKER), "type": "2106", "count": "1"})
    more = {"code": "NO_QUOTES"} if lost == "error" else {}
    whole.broker.set_fault(lost, {"account": str(SAME_BROKER), "type": "2111", "count": "1", **more})
    whole.stepper.run_until(lambda: len(whole.events(SAME_BROKER, IntentRecorded)) == 2, 2_000_000)
    whole.run(0.01)
    mistaken.release(monkeypatch)
    whole.run(0.05)
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert view.surplus
    whole.stepper.network.cut_all()
    whole.run(40)
    assert copies(whole) == [[LOT]]
    assert whole.events(SAME_BROKER, CopyFinished) == []
    assert alerts(whole) == []
    whole.person.close(position, LOT)
    whole.run(3)
    assert copies(whole) == [[]]
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("late_s", [0.5, 1.1, 3])
@pytest.mark.parametrize("is_pending", [False, True])
def test_what_was_refused_and_done_is_found_where_its_execution_was_lost(
    monkeypatch: pytest.MonkeyPatch, late_s: float, is_pending: bool
) -> None:
    """Its order tells whose it is: the copy's before the next try, one too many after it."""
    whole = Whole(seed=4, switches=Switches(history_days=0))
    whole.start_ready()
    mistaken = Mistaken(monkeypatch, whole)
    source = whole.person.place(model.LIMIT, LOT, price=1.0800) if is_pending else whole.person.buy(LOT)
    whole.run(late_s)
    mistaken.is_keeping = False
    whole.stepper.network.cut_all()
    whole.run(30)
    assert copies(whole) == [[] if is_pending else [LOT]]
    assert len(_resting(whole)) == is_pending
    assert alerts(whole) == []
    if is_pending:
        whole.person.cancel(source)
    else:
        whole.person.close(source, LOT)
    whole.run(3)
    assert (copies(whole), _resting(whole)) == ([[]], [])
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize(("turned_s", "late_s"), [(0.3, 0.2), (0.3, 1.5), (1.5, 1.5)])
def test_what_was_refused_before_a_turn_is_no_copy_of_the_other_side(
    monkeypatch: pytest.MonkeyPatch, turned_s: float, late_s: float
) -> None:
    """Nor is it another cmam's, which would stop all opens while both stood."""
    switches = Switches(history_days=0, netted_reversal="same_position")
    whole = Whole(seed=4, leader=NETTED, switches=switches)
    whole.start_ready()
    mistaken = Mistaken(monkeypatch, whole)
    whole.person.buy(LOT, account=NETTED, symbol=7001)
    whole.run(turned_s)
    whole.person.buy(3 * LOT, account=NETTED, symbol=7001, side=model.SELL)
    whole.run(late_s)
    mistaken.release(monkeypatch)
    whole.run(5)
    (held,) = whole.person.holds(SAME_BROKER)
    assert (held.side, held.volume) == (model.SELL, 2 * LOT)
    assert whole.events(SAME_BROKER, GuardTripped) == []
    assert alerts(whole) == []
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize(("code", "late_s"), [("NO_QUOTES", 0.5), ("NO_QUOTES", 1.2), ("NOT_ENOUGH_MONEY", 2)])
def test_what_fills_of_a_share_that_is_over_is_given_up(
    monkeypatch: pytest.MonkeyPatch, code: str, late_s: float
) -> None:
    """On a net its label tells nobody how much of it is ours; its order does."""
    whole = Whole(seed=4, followers=(NETTED,), switches=Switches(history_days=0))
    whole.start_ready()
    mistaken = Mistaken(monkeypatch, whole, code)
    position = whole.person.buy(LOT)
    whole.run(late_s)
    whole.person.close(position, LOT)
    whole.run(0.2)
    mistaken.release(monkeypatch)
    whole.run(3)
    assert copies(whole) == [[]]
    view = whole.view(NETTED)
    assert view is not None
    assert view.copies == {}
    assert alerts(whole) == []
    assert verify(whole.log.read_all()).is_identical
    assert all(one["held"] == "0.00" for one in Audit.of(whole.log).copies())
