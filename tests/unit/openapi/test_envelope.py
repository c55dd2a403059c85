"""Envelopes: what goes out, and how little an arriving one costs."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from cmam.openapi import catalogue, envelope
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi._pb.OpenApiCommonMessages_pb2 import ProtoErrorRes, ProtoHeartbeatEvent, ProtoMessage
from cmam.openapi._pb.OpenApiModelMessages_pb2 import PROTO_OA_TRADER_REQ
from cmam.openapi.errors import LocalError, RemoteError
from cmam.openapi.framing import FRAME_BYTES_MAX, Deframer


def body_of(frame: bytes) -> bytes:
    """The body of the one frame."""
    [body] = Deframer().receive_data(frame)
    return body


def test_an_empty_message_still_has_a_payload() -> None:
    """A payload stands in every envelope, because a client was seen that throws without one."""
    sent = ProtoMessage.FromString(body_of(envelope.encode(ProtoHeartbeatEvent())))
    assert sent.HasField("payload")
    assert sent.payload == b""
    assert sent.payloadType == 51
    assert not sent.HasField("clientMsgId")


def test_the_payload_type_inside_a_message_is_not_sent() -> None:
    """Set or not, the inner payload type stays at home, and the caller's message is not touched."""
    request = pb.ProtoOATraderReq(payloadType=PROTO_OA_TRADER_REQ, ctidTraderAccountId=5)
    assert envelope.encode(request) == envelope.encode(pb.ProtoOATraderReq(ctidTraderAccountId=5))
    assert request.HasField("payloadType")


def test_what_is_encoded_is_decoded() -> None:
    """Type, message and id come out as they went in."""
    request = pb.ProtoOAClosePositionReq(ctidTraderAccountId=1, positionId=2, volume=300)
    arrived = envelope.decode(body_of(envelope.encode(request, "cm1.x")))
    assert arrived.payload_type == catalogue.CLOSE_POSITION
    assert arrived.client_msg_id == "cm1.x"
    assert envelope.message(arrived) == request


def test_a_message_without_a_required_field_never_leaves() -> None:
    """What the server would refuse is our mistake, found before it is sent."""
    with pytest.raises(LocalError, match="NewOrderReq"):
        envelope.encode(pb.ProtoOANewOrderReq(ctidTraderAccountId=1))


def test_a_message_above_the_frame_limit_never_leaves() -> None:
    """A frame too long for the other side is our mistake."""
    with pytest.raises(LocalError, match="at most"):
        envelope.encode(pb.ProtoOAErrorRes(errorCode="X", description="y" * FRAME_BYTES_MAX))


@pytest.mark.parametrize("body", [b"", b"\xff\xff", b"\x12\x00", b"\x08", b"GET / HTTP/1.1\r\n"])
def test_garbage_is_a_remote_error(body: bytes) -> None:
    """Bytes that are no envelope, or one without a type, raise RemoteError and nothing else."""
    with pytest.raises(RemoteError):
        envelope.decode(body)


def test_a_payload_that_is_not_its_type_is_a_remote_error() -> None:
    """The envelope may be sound and its content not."""
    arrived = envelope.Envelope(catalogue.EXECUTION, b"\xff\xff\xff")
    with pytest.raises(RemoteError, match="ExecutionEvent"):
        envelope.message(arrived)


def test_an_unknown_type_is_no_error() -> None:
    """Servers send types that no published schema knows; they are passed over."""
    assert envelope.message(envelope.Envelope(2189, b"\x10\x01")) is None


def test_an_id_that_is_no_utf8_does_no_harm() -> None:
    """Another session's id may hold any bytes; it is a string here."""
    arrived = envelope.decode(b"\x08\x33\x1a\x02\xff\xfe")
    assert arrived.client_msg_id == "\ufffd\ufffd"


def test_a_payload_never_shows() -> None:
    """The answer to a refresh holds both tokens, so no repr prints a payload."""
    answer = pb.ProtoOARefreshTokenRes(accessToken="s3cret", tokenType="bearer", expiresIn=1, refreshToken="t0ken")
    shown = repr(envelope.decode(body_of(envelope.encode(answer))))
    assert "s3cret" not in shown
    assert "t0ken" not in shown


@pytest.mark.parametrize("number", sorted(catalogue.MESSAGES))
def test_peeking_agrees_with_decoding(number: int) -> None:
    """The cheap look at a frame's type says the same as opening it."""
    body = ProtoMessage(payloadType=number, payload=b"").SerializeToString()
    assert envelope.seems_spot(body) == (number == catalogue.SPOT)


@pytest.mark.parametrize("body", [b"", b"\x08", b"\x08\xff\xff\xff\xff\xff\x01", b"\x12\x00\x08\x33"])
def test_peeking_at_anything_else_says_nothing(body: bytes) -> None:
    """A body that does not begin with its type is left to decode."""
    assert not envelope.seems_spot(body)


@pytest.mark.parametrize("is_repeated", [False, True])
@pytest.mark.parametrize("account", [1, 127, 128, 45_000_001, 2**63 - 1])
def test_peeking_at_an_account_agrees_with_opening_it(account: int, is_repeated: bool) -> None:
    """Whether the server repeats the payload type inside or not, the account at the front of the payload is found."""
    event = pb.ProtoOAExecutionEvent(ctidTraderAccountId=account, executionType="ORDER_FILLED")
    if is_repeated:
        event.payloadType = event.payloadType
    found = envelope.Envelope(catalogue.type_of(event), event.SerializePartialToString())
    assert envelope.peek_account(found) == account


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        (pb.ProtoOAExecutionEvent, b""),
        (pb.ProtoOAExecutionEvent, b"\x08"),
        (pb.ProtoOAExecutionEvent, b"\x08\xff\xff\xff\xff\xff\x01\x10\x07"),
        (pb.ProtoOAExecutionEvent, b"\x10"),
        (pb.ProtoOAExecutionEvent, b"\x10" + b"\xff" * 11),
        (pb.ProtoOAExecutionEvent, b"\x18\x07\x10\x07"),
        (ProtoErrorRes, b"\x10\x07"),
        (pb.ProtoOAAccountsTokenInvalidatedEvent, b"\x10\x07"),
    ],
)
def test_peeking_at_a_payload_without_an_account_in_front_says_nobody(kind: type[Message], payload: bytes) -> None:
    """It is a hint where a message waits: whatever is not clear counts as nobody's."""
    assert envelope.peek_account(envelope.Envelope(catalogue.type_of(kind), payload)) == 0


@pytest.mark.parametrize("payload", [b"", pb.ProtoOAReconcileRes(ctidTraderAccountId=8).SerializeToString()])
def test_an_answer_about_another_account_or_none_is_no_answer(payload: bytes) -> None:
    """Read as one it would say that the account holds nothing."""
    answer = envelope.Envelope(catalogue.type_of(pb.ProtoOAReconcileRes), payload)
    with pytest.raises(RemoteError, match=r"expected ReconcileRes of account 7, found one of (8|none)"):
        envelope.unpack_answer(answer, pb.ProtoOAReconcileRes, 7)
    assert envelope.unpack_answer(answer, pb.ProtoOAReconcileRes, 8 if payload else 0).position == []


@pytest.mark.parametrize(
    "name",
    [
        "ApplicationAuthRes",
        "VersionRes",
        "RefreshTokenRes",
        "GetAccountListByAccessTokenRes",
        "GetCtidProfileByTokenRes",
        "MarginCallListRes",
        "MarginCallUpdateRes",
    ],
)
def test_answers_that_never_name_an_account_are_taken_by_their_id(name: str) -> None:
    """wire.md#whose-an-answer-is lists them; all other answers name theirs."""
    message_class = getattr(pb, f"ProtoOA{name}")
    number = catalogue.type_of(message_class)
    assert not catalogue.names_account(number)
    envelope.unpack_answer(envelope.Envelope(number, b""), message_class, 7)
    others = set(catalogue.RESPONSE_OF.values()) - {
        number for number in catalogue.MESSAGES if catalogue.names_account(number)
    }
    assert number in others
    assert len(others) == 7
