"""What leaves a connection in one write, and who is told of it."""

from __future__ import annotations

from typing import Any

from cmam.actors import messages as m
from cmam.actors.lines.outbox import Outbox
from cmam.clock import ManualClock
from cmam.domain.events import RequestRefused
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import AccountId, IntentId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.openapi._pb.OpenApiMessages_pb2 import ProtoOATraderReq
from cmam.openapi.framing import FRAME_BYTES_MAX
from cmam.openapi.lanes import Lane
from cmam.openapi.session import Session

ACCOUNT = AccountId(7)


class Line:
    """A socket that keeps what is written, or is gone."""

    def __init__(self, *, is_cut: bool = False) -> None:
        self.written: list[bytes] = []
        self.is_cut = is_cut

    def send(self, data: bytes) -> None:
        if self.is_cut:
            raise OSError("gone")
        self.written.append(data)


def order(name: str, label: str = "") -> m.Submit:
    """An open under this name."""
    command = Command(kind=CommandKind.OPEN, symbol=SymbolId(1), side=Side.BUY, volume=Volume(100_000), label=label)
    return m.Submit(ACCOUNT, command, IntentId(name), Lane.OPEN)


def told_of(line: Line, *orders: m.Submit) -> list[Any]:
    """What the account is told when these leave together."""
    told: list[Any] = []
    outbox = Outbox(ManualClock(), lambda _, message: told.append(message))
    outbox.write(orders, Session("x"), line)
    return told


def test_what_leaves_together_leaves_in_one_write_and_is_said_to_have_left() -> None:
    """Two orders are one write, and each is told as written."""
    line = Line()
    assert [(type(said), said.intent) for said in told_of(line, order("a"), order("b"))] == [
        (m.Written, "a"),
        (m.Written, "b"),
    ]
    assert len(line.written) == 1


def test_what_cannot_be_written_is_refused_and_never_said_to_have_left() -> None:
    """A request that is no frame is refused here; the other one leaves, and only that is told as written."""
    line = Line()
    refused, *written = told_of(line, order("a", "y" * FRAME_BYTES_MAX), order("b"))
    assert isinstance(refused, m.Reported)
    assert isinstance(refused.fact, RequestRefused)
    assert refused.fact.intent == "a"
    assert [said.intent for said in written] == ["b"]


def test_who_asked_what_cannot_be_written_hears_so() -> None:
    """A question that is no message is not answered, and its account asks again; it waited for ever."""
    told: list[Any] = []
    outbox = Outbox(ManualClock(), lambda name, message: told.append((name, message)))
    question = m.Ask(ACCOUNT, "trader", ProtoOATraderReq(), "account:7", lambda wire: wire)  # of no account
    outbox.write((question,), Session("x"), Line())
    ((name, unanswered),) = told
    assert (name, unanswered.question, unanswered.error_code) == ("account:7", "trader", m.NOT_SENT)
    assert outbox._asked == {}


def test_a_write_that_fails_counts_as_written() -> None:
    """Nobody knows how far it came: the outcome is unknown, not failed."""
    assert [type(said) for said in told_of(Line(is_cut=True), order("a"))] == [m.Written]


def test_what_meets_no_line_is_given_back_and_everybody_is_told() -> None:
    """The line went between the limiter and the socket: an order was never sent, a question is not answered."""
    told: list[tuple[str, Any]] = []
    outbox = Outbox(ManualClock(), lambda name, message: told.append((name, message)))
    outbox.give_back((order("a"), m.Ask(ACCOUNT, "snapshot", None, "account:7", lambda _: None)))
    ((account, dropped), (asker, unanswered)) = told
    assert (account, type(dropped), dropped.intent) == ("account:7", m.Dropped, "a")
    assert (asker, type(unanswered), unanswered.question) == ("account:7", m.Unanswered, "snapshot")
