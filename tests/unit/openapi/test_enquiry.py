"""Questions of commands, one at a time: which message is the answer, beside all else that a line carries."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from google.protobuf.message import Message

from cmam.config.settings import Endpoint
from cmam.domain.values.ids import AccountId, PositionId, SymbolId
from cmam.domain.values.quantities import Price, Side, Volume
from cmam.domain.values.trades import Position
from cmam.openapi import catalogue, enquiry
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.enquiry import Refused
from cmam.openapi.envelope import decode, encode, unpack
from cmam.openapi.errors import CannotConnect
from cmam.openapi.framing import HEADER_BYTES
from cmam.openapi.inspection import Inspection
from tests.shortages import no_threads

ME, OTHER = 41_000_001, 41_000_002
HELD = Position(
    position=PositionId(7), symbol=SymbolId(1), side=Side.BUY, volume=Volume(1_000), price=Price(1), label=""
)
Said = tuple[Message, bool]
"""A message, and whether it carries the name of what was asked."""


class Line:
    """A line on which each request meets what is to be said then, in order."""

    def __init__(self, *said: Said) -> None:
        self._said = said
        self._waiting = b""
        self.is_closed = False

    def send(self, data: bytes) -> None:
        name = decode(data[HEADER_BYTES:]).client_msg_id
        self._waiting = b"".join(encode(message, name if is_named else "") for message, is_named in self._said)

    def receive(self) -> bytes:
        waiting, self._waiting = self._waiting, b""
        return waiting

    def close(self, *, at_once: bool = False) -> None:
        self.is_closed = True


def a_desk(*said: Said) -> Inspection:
    """A desk on such a line."""
    return Inspection(cast(Any, Line(*said)), Endpoint("sandbox", 5035), lambda: 0, wait=lambda _: None)


def filled(account: int) -> pb.ProtoOAExecutionEvent:
    """What a stop that is hit brings, or the answer to a close."""
    return pb.ProtoOAExecutionEvent(ctidTraderAccountId=account, executionType=model.ORDER_FILLED)


def refused(account: int, code: str) -> pb.ProtoOAErrorRes:
    """A refusal that names an account."""
    return pb.ProtoOAErrorRes(ctidTraderAccountId=account, errorCode=code)


def close(desk: Inspection) -> None:
    """Ask for a whole close, as the emergency exit does."""
    desk.close(ME, HELD)


@pytest.mark.parametrize(
    "between",
    [filled(OTHER), filled(ME), refused(OTHER, "CH_ACCESS_TOKEN_INVALID"), refused(OTHER, "ACCOUNT_NOT_FOUND")],
    ids=["a stop of another account", "a stop of this one", "a token of another", "another that is unknown"],
)
def test_what_happens_by_itself_is_no_answer(between: Message) -> None:
    """The emergency exit lost its line at each stop of another account, or gave an account up for another's refusal."""
    close(a_desk((between, False), (filled(ME), True)))
    with pytest.raises(Refused, match="POSITION_NOT_FOUND"):
        close(a_desk((between, False), (refused(ME, "POSITION_NOT_FOUND"), True)))


@pytest.mark.parametrize("code", ["CH_CLIENT_NOT_AUTHENTICATED", "REQUEST_FREQUENCY_EXCEEDED"])
def test_a_refusal_without_a_name_is_one_where_it_may_be(code: str) -> None:
    """Of nobody, or of the account that was asked about."""
    for nameless in (pb.ProtoOAErrorRes(errorCode=code), refused(ME, code)):
        with pytest.raises(Refused, match=code):
            close(a_desk((nameless, False)))


@pytest.mark.parametrize("ask", [close, lambda desk: desk.held(AccountId(ME))], ids=["close", "held"])
def test_a_machine_without_a_thread_is_a_line_that_does_not_answer(ask: Callable[[Inspection], object]) -> None:
    """The emergency exit dials again, as for any other line."""
    with no_threads(), pytest.raises(CannotConnect, match="can't start new thread"):
        ask(a_desk((filled(ME), True)))


def test_a_port_that_hangs_up_is_not_called_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where we hung up the server was said to have closed; and no sentence named the port, which is soon mistaken."""
    with pytest.raises(CannotConnect, match=r"closed the connection, and gave no answer to .*protobuf, on port 5035"):
        close(a_desk())
    monkeypatch.setattr(enquiry, "ANSWER_S", 0.01)
    with pytest.raises(CannotConnect, match=r"gave no answer to .* within 0 s\. .*protobuf, on port 5035"):
        close(Inspection(cast(Any, Mute()), Endpoint("sandbox", 5035), lambda: 0, wait=lambda _: None))


class Mute(Line):
    """A line on which nothing is said until we hang up."""

    def __init__(self) -> None:
        super().__init__()
        self._is_over = threading.Event()

    def receive(self) -> bytes:
        assert self._is_over.wait(60)
        return b""

    def close(self, *, at_once: bool = False) -> None:
        self._is_over.set()


class Shelf(Line):
    """A line behind which an account's orders and deals lie, told newest first, `PAGE` at once."""

    PAGE = 2

    def __init__(self, moments_ms: Sequence[int]) -> None:
        super().__init__()
        self._rows = sorted(enumerate(moments_ms, 1), key=lambda row: (-row[1], -row[0]))

    def send(self, data: bytes) -> None:
        envelope = decode(data[HEADER_BYTES:])
        asked: Any = unpack(envelope, catalogue.MESSAGES[envelope.payload_type])
        within = [row for row in self._rows if asked.fromTimestamp <= row[1] <= asked.toTimestamp]
        page, more = within[: self.PAGE], len(within) > self.PAGE
        trade = model.ProtoOATradeData(symbolId=1, volume=1_000, tradeSide=model.BUY)
        said: Message
        if isinstance(asked, pb.ProtoOAOrderListReq):
            said = pb.ProtoOAOrderListRes(ctidTraderAccountId=ME, hasMore=more)
            for number, moment in page:
                said.order.add(
                    orderId=number, tradeData=trade, utcLastUpdateTimestamp=moment, orderType=1, orderStatus=2
                )
        else:
            said = pb.ProtoOADealListRes(ctidTraderAccountId=ME, hasMore=more)
            for number, moment in page:
                said.deal.add(
                    dealId=number, orderId=number, positionId=1, symbolId=1, tradeSide=1, dealStatus=2, volume=1_000,
                    filledVolume=1_000, createTimestamp=moment, executionTimestamp=moment,
                )  # fmt: skip
        self._waiting = encode(said, envelope.client_msg_id)


def test_a_history_is_read_to_its_last_page() -> None:
    """A survey saw the newest page of an account's orders only, and no deal behind a page of one millisecond."""
    line = cast(Any, Shelf([300, 500, 500, 700, 900]))
    desk = Inspection(line, Endpoint("sandbox", 5035), lambda: 0, wait=lambda _: None)
    assert [order.order for order in desk.past_orders(ME, 100, 1_000)] == [5, 4, 3, 2, 1]
    assert [deal.deal for deal in desk.deals(ME, 100, 1_000)] == [1, 2, 3, 4, 5]
