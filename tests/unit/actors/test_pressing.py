"""What goes before the decisions of a crowd: what leaders hear, and what takes risk from a follower."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cmam.actors import messages as m
from cmam.actors.accounts.account import AccountActor
from cmam.actors.lines.delivery import Delivery
from cmam.actors.status import StatusBoard
from cmam.clock import ManualClock
from cmam.domain.values.changes import ChangeKind
from cmam.openapi import catalogue
from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.envelope import encode
from cmam.openapi.framing import Deframer
from cmam.openapi.quotes import QuoteBoard
from cmam.openapi.session import State
from tests.unit.actors.handed import Connection

LEADER, FOLLOWER = 45_000_000, 45_000_001


def is_pressing(message: object, *, leads: bool) -> bool:
    """What an account says of a message."""
    account: Any = SimpleNamespace(_desk=SimpleNamespace(followers={"a link"} if leads else {}))
    return AccountActor.is_pressing(account, message)


@pytest.mark.parametrize("kind", ChangeKind)
def test_what_takes_risk_away_presses_and_what_adds_it_waits(kind: ChangeKind) -> None:
    """Closes, reductions, stops and cancels of one profile do not queue behind the opens of another."""
    told: Any = m.LeaderChanged.__new__(m.LeaderChanged)
    object.__setattr__(told, "change", SimpleNamespace(kind=kind))
    assert is_pressing(told, leads=False) != kind.adds_risk


def test_what_a_leader_hears_presses() -> None:
    """His followers can only be as quick as what he did is read; a follower's own report can wait."""
    assert is_pressing(m.Wake("look"), leads=True)
    assert not is_pressing(m.Wake("look"), leads=False)


class Heard:
    """A directory that keeps what is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def tell(self, _name: str, message: object) -> bool:
        self.told.append(message)
        return True


def delivered(heard: Any, generation: int) -> Delivery:
    """The delivery of a line on which one account leads."""
    return Delivery(generation, "connection:demo-1", frozenset({LEADER}), QuoteBoard(), ManualClock(), heard)


@pytest.mark.parametrize(("account", "kind"), [(LEADER, m.LeaderArrived), (FOLLOWER, m.Arrived)])
def test_a_reader_tells_whose_frames_go_first(account: int, kind: type) -> None:
    """The frames of an account that leads are in a lane of their own, so that it keeps their order."""
    event = oa.ProtoOAExecutionEvent(ctidTraderAccountId=account, executionType=model.ORDER_FILLED)
    heard: Any = Heard()
    bodies = Deframer().receive_data(encode(event))
    delivered(heard, 1).deliver(bodies, 0)
    assert [type(message) for message in heard.told] == [kind]
    assert m.CARRIER_LANES.get(m.LeaderArrived) == 1
    assert m.CARRIER_LANES[m.LeaderChanged] > 1


def test_that_answers_came_is_told_ahead_of_what_they_say() -> None:
    """One word for all that came together, in the first lane; a refusal is known before its slot is free.

    What a leader hears is in a lane of its own, where a word ahead of it would be in its way.
    """
    taken = oa.ProtoOAExecutionEvent(ctidTraderAccountId=FOLLOWER, executionType=model.ORDER_ACCEPTED)
    no = oa.ProtoOAErrorRes(ctidTraderAccountId=FOLLOWER, errorCode="REQUEST_FREQUENCY_EXCEEDED")
    heard: Any = Heard()
    led = oa.ProtoOAExecutionEvent(ctidTraderAccountId=LEADER, executionType=model.ORDER_ACCEPTED)
    said = (encode(one, name) for one, name in ((taken, "ours.1"), (taken, "ours.2"), (taken, ""), (no, "ours.3")))
    bodies = Deframer().receive_data(b"".join((*said, encode(led, "his"))))
    delivered(heard, 7).deliver(bodies, 11)
    kind = catalogue.type_of(taken)
    assert heard.told[-1] == m.AnswersSeen(7, (("ours.1", kind), ("ours.2", kind)), 11)
    assert [type(message) for message in heard.told[:-1]] == [m.Arrived] * 4 + [m.LeaderArrived]
    assert m.CARRIER_LANES[m.AnswersSeen] == m.CARRIER_LANES[m.Proved] == 0


def test_what_the_server_forbids_is_known_before_a_slot_is_free_by_what_it_answered_later() -> None:
    """Answers behind the word that blocks a kind of request are not read ahead of it, together with it or later."""
    heard: Any = Heard()
    board, clock = QuoteBoard(), ManualClock()
    ports: Any = SimpleNamespace(
        directory=heard,
        name="demo-1",
        prefix="q",
        board=board,
        clock=clock,
        status=StatusBoard(),
        dial=id,
        chance=float,
        host="",
        port=1,
    )
    connection = Connection(ports, 0, ())
    connection.on_receive(m.Wake("dial"))
    for name in ("cm1.1", "cm1.2", "cm1.3"):
        connection._session.sent(name, name, FOLLOWER, catalogue.NEW_ORDER, 0)
    connection._session.state = State.OPEN
    taken = oa.ProtoOAExecutionEvent(ctidTraderAccountId=FOLLOWER, executionType=model.ORDER_ACCEPTED)
    no = oa.ProtoOAErrorRes(ctidTraderAccountId=FOLLOWER, errorCode="REQUEST_FREQUENCY_EXCEEDED", retryAfter=3)
    delivery, kind = delivered(heard, 1), catalogue.type_of(taken)
    for told in (encode(no, "cm1.1") + encode(taken, "cm1.2"), encode(taken, "cm1.3")):
        delivery.deliver(Deframer().receive_data(told), 11)
    assert heard.told[-1] == m.AnswersSeen(1, (("cm1.3", kind),), 11, 1)
    waiting, heard.told = heard.told, []
    for message in sorted(waiting, key=lambda message: m.CARRIER_LANES.get(type(message), 3)):
        connection.on_receive(message)
    limiter = [message for message in heard.told if isinstance(message, m.Blocked | m.Proved)]
    assert [type(message) for message in limiter] == [m.Blocked, m.Proved, m.Proved, m.Proved]
    heard.told = []
    connection._session.sent("cm1.4", "cm1.4", FOLLOWER, catalogue.NEW_ORDER, 0)
    connection.on_receive(m.AnswersSeen(1, (("cm1.4", kind),), 12, 1))
    assert [type(message) for message in heard.told] == [m.Proved]  # known by now: read ahead again
