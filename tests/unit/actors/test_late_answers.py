"""What a server answers late: to a question of a session that is gone, which its account has asked anew by then."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from google.protobuf.message import Message

from cmam.actors import messages as m
from cmam.actors.lines.delivery import Delivery
from cmam.actors.status import StatusBoard
from cmam.clock import ManualClock
from cmam.domain.events import Health
from cmam.domain.values.ids import AccountId
from cmam.openapi import answers, requests
from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi.envelope import encode
from cmam.openapi.framing import Deframer
from cmam.openapi.quotes import QuoteBoard
from cmam.openapi.session import AccountState, Say, State
from tests.unit.actors.handed import Connection

ACCOUNT = AccountId(7)
NAME = m.account_name(ACCOUNT)
DROPPED = oa.ProtoOAAccountDisconnectEvent(ctidTraderAccountId=ACCOUNT)
SNAPSHOT = oa.ProtoOAReconcileRes(ctidTraderAccountId=ACCOUNT)
REFUSAL = oa.ProtoOAErrorRes(ctidTraderAccountId=ACCOUNT, errorCode="INVALID_REQUEST", description="too late")


class Bench:
    """A connection with one account that is ready, on a line that takes all that is written."""

    def __init__(self) -> None:
        self.told: list[Any] = []
        self.clock = ManualClock()
        ports: Any = SimpleNamespace(
            directory=self,
            name="demo-1",
            prefix="q",
            board=QuoteBoard(),
            clock=self.clock,
            timer=SimpleNamespace(after=lambda *_: None),
            status=StatusBoard(),
            dial=id,
            chance=float,
            host="",
            port=1,
        )
        self.connection = Connection(ports, 0, (ACCOUNT,))
        self.connection.on_receive(m.Wake("dial"))
        self.connection._wire = SimpleNamespace(send=lambda _: None)
        self.connection._session.state = State.OPEN
        self.connection._session._accounts[ACCOUNT] = AccountState.READY

    def tell(self, name: str, message: object) -> bool:
        if name == NAME:
            self.told.append(message)
        return True

    def ask(self) -> None:
        """Let the account's snapshot be asked for."""
        self.clock.advance(1)
        ask = m.Ask(ACCOUNT, "snapshot", requests.ask_state(ACCOUNT), NAME, answers.read_snapshot)
        self.connection.on_receive(m.Write(1, (ask,)))

    def hear(self, message: Message, name: str = "") -> list[Any]:
        """Let the server say something; answers what the account is told of it."""
        self.told.clear()
        arrived: list[Any] = []
        reader: Any = SimpleNamespace(tell=lambda _, told: arrived.append(told))
        delivery = Delivery(1, "connection:demo-1", frozenset(), QuoteBoard(), self.clock, reader)
        delivery.deliver(Deframer().receive_data(encode(message, name)), self.clock.monotonic())
        for told in arrived:
            self.connection.on_receive(told)
        return list(self.told)


@pytest.mark.parametrize("late", [SNAPSHOT, REFUSAL])
@pytest.mark.parametrize("is_restarted", [False, True])
def test_what_was_asked_before_is_no_answer_to_what_is_asked_anew(late: Message, is_restarted: bool) -> None:
    """Who comes back asks under the same names: a snapshot from before would take back what happened since."""
    bench = Bench()
    bench.ask()
    if is_restarted:
        bench.connection.on_receive(m.AccountRestarted(ACCOUNT))
    else:
        bench.hear(DROPPED)
    bench.ask()
    assert bench.hear(late, "q1.1") == []
    assert bench.hear(SNAPSHOT, "q1.2") == [m.Answered("snapshot", ((), ()))]


def test_what_was_asked_before_is_no_answer_where_a_session_is_taken_anew_without_a_word_of_its_end() -> None:
    """A token is swapped, and the server opens the account again, which it had dropped without telling: the account
    asks for everything anew, and the look that was on its way is of before."""
    bench = Bench()
    bench.ask()
    (say,) = bench.connection._session.authorise(ACCOUNT, "fresh")
    assert isinstance(say, Say)
    bench.connection.on_receive(m.Write(1, (m.Urge(say.message, ACCOUNT),)))
    opened = oa.ProtoOAAccountAuthRes(ctidTraderAccountId=ACCOUNT)
    assert m.SessionMoved(Health.AUTHORISED) in bench.hear(opened, "q1.2")
    bench.ask()
    assert bench.hear(SNAPSHOT, "q1.1") == []
    assert bench.hear(SNAPSHOT, "q1.3") == [m.Answered("snapshot", ((), ()))]
