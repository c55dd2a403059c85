"""The envelope: one message in, the bytes of one frame out, and back.

The payload of an arriving envelope stays bytes until somebody asks for the message, so a flood of spots costs no more
than the look that sends them to the quote board. Knows no session, no socket and no meaning of a message.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, EncodeError, Message

from cmam.openapi import catalogue
from cmam.openapi._pb.OpenApiCommonMessages_pb2 import ProtoMessage
from cmam.openapi.errors import LocalError, RemoteError
from cmam.openapi.framing import FrameTooLong, frame

M = TypeVar("M", bound=Message)

_PAYLOAD_TYPE_TAG: Final = b"\x08"  # field 1, varint
_ACCOUNT_TAG: Final = b"\x10"  # field 2, varint
_VARINT_BYTES_MAX: Final = 5  # of a uint32
_LONG_VARINT_BYTES_MAX: Final = 10  # of an int64


@dataclass(frozen=True, slots=True)
class Envelope:
    """An arrived message that nobody has opened yet. Its payload may hold a token, so it never shows."""

    payload_type: int
    payload: bytes = field(repr=False)
    client_msg_id: str = ""


def encode(message: Message, client_msg_id: str = "") -> bytes:
    """Put `message` into the bytes of one frame; raises LocalError when a required field is missing or it is too long.

    The payload is always there, if empty, because a client was seen that throws without; the payload type inside the
    message is never sent, as no other side sends it.
    """
    payload_type = catalogue.type_of(message)
    if message.HasField("payloadType"):
        bare = type(message)()
        bare.CopyFrom(message)
        bare.ClearField("payloadType")
        message = bare
    try:
        envelope = ProtoMessage(payloadType=payload_type, payload=message.SerializeToString())
        if client_msg_id:
            envelope.clientMsgId = client_msg_id
        return frame(envelope.SerializeToString())
    except (EncodeError, FrameTooLong) as error:
        raise LocalError(f"cannot send {catalogue.name_of(payload_type)}: {error}") from None


def decode(body: bytes) -> Envelope:
    """Open a frame's body as far as the envelope; raises RemoteError on anything else."""
    try:
        envelope = ProtoMessage.FromString(body)
    except DecodeError as error:
        raise RemoteError(f"expected an envelope, found {len(body)} bytes that are none ({error})") from None
    if not envelope.HasField("payloadType"):
        raise RemoteError(f"expected an envelope with a payload type, found {len(body)} bytes without one")
    return Envelope(envelope.payloadType, envelope.payload, text(envelope.clientMsgId))


def text(value: object) -> str:
    """A string field as a string: the runtime hands out bytes where the other side sent what is not UTF-8."""
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def peek_account(envelope: Envelope) -> int:
    """The account that a payload begins with, without opening it; 0 where it begins with something else.

    A hint, not a verdict: it may say where a message waits, never whose it is.
    """
    payload, start = envelope.payload, 0
    if envelope.payload_type not in catalogue.ACCOUNT_IS_SECOND:
        return 0
    if payload[:1] == _PAYLOAD_TYPE_TAG:  # a server may repeat the type inside
        found = _varint(payload, 1, _VARINT_BYTES_MAX)
        start = len(payload) if found is None else found[1]
    if payload[start : start + 1] != _ACCOUNT_TAG:
        return 0
    found = _varint(payload, start + 1, _LONG_VARINT_BYTES_MAX)
    return 0 if found is None else found[0]


def _varint(data: bytes, start: int, most: int) -> tuple[int, int] | None:
    """The varint at a place, and where it ends; None where there is none of so many bytes at most."""
    number = 0
    for count, byte in enumerate(data[start : start + most]):
        number |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return number, start + count + 1
    return None


_SPOT_PREFIX: Final = _PAYLOAD_TYPE_TAG + bytes([catalogue.SPOT & 0x7F | 0x80, catalogue.SPOT >> 7])


def seems_spot(body: bytes) -> bool:
    """Whether a body begins as a spot does: a comparison of three bytes, for the reader's fast path."""
    return body.startswith(_SPOT_PREFIX)


def unpack(envelope: Envelope, cls: type[M]) -> M:
    """Open the payload as a message of `cls`; raises RemoteError when it is none.

    Fields that the schema calls required may be absent here: translation insists on those that it needs and on no
    others, so that a server which drops a field nobody reads does not cost the connection.
    """
    try:
        return cls.FromString(envelope.payload)
    except DecodeError as error:
        name = catalogue.name_of(envelope.payload_type)
        raise RemoteError(f"expected {name}, found {len(envelope.payload)} bytes that are none ({error})") from None


def unpack_answer(envelope: Envelope, cls: type[M], account: int) -> M:
    """Open an answer to a question about `account`; raises RemoteError when it is none, or is about another one.

    An answer of nothing at all would say that an account holds nothing, and everything that copies it would be closed.
    The account stands in every answer about one (wire.md#whose-an-answer-is), so one that does not name it was damaged
    on its way.
    """
    answer = unpack(envelope, cls)
    named = catalogue.account_of(answer)
    if named != account and catalogue.names_account(envelope.payload_type):
        name = catalogue.name_of(envelope.payload_type)
        raise RemoteError(f"expected {name} of account {account}, found one of {named or 'none'}")
    return answer


def message(envelope: Envelope) -> Message | None:
    """The message inside, or None for a type that the schema does not know; raises RemoteError on garbage."""
    cls = catalogue.MESSAGES.get(envelope.payload_type)
    return None if cls is None else unpack(envelope, cls)
