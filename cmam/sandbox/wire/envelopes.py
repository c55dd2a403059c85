"""The envelope of port 5035: bytes to (payload type, payload, client message id), and back.

Knows `ProtoMessage` and nothing of what is inside a payload: that is the broker's.
"""

from __future__ import annotations

from dataclasses import dataclass

from google.protobuf.message import DecodeError

from cmam.openapi._pb.OpenApiCommonMessages_pb2 import ProtoMessage


@dataclass(frozen=True, slots=True)
class Envelope:
    """One message as it travels, whatever it was written in."""

    payload_type: int
    payload: bytes
    client_msg_id: str | None


class Garbage(Exception):
    """Bytes that are no message; the text says what is wrong with them."""


def decode(body: bytes) -> Envelope:
    """Read one serialised ProtoMessage; raises Garbage."""
    message = ProtoMessage()
    try:
        message.ParseFromString(body)
    except DecodeError:
        raise Garbage("Malformed message: expected a serialised ProtoMessage") from None
    if not message.HasField("payloadType"):  # the parser does not insist on required fields
        raise Garbage("Malformed message: expected a payloadType")
    return Envelope(
        payload_type=message.payloadType,
        payload=message.payload,
        client_msg_id=message.clientMsgId if message.HasField("clientMsgId") else None,
    )


def encode(payload_type: int, payload: bytes, client_msg_id: str | None) -> bytes:
    """Write one ProtoMessage. The payload is always set, if need be to nothing: some clients demand it."""
    message = ProtoMessage(payloadType=payload_type, payload=payload)
    if client_msg_id is not None:
        message.clientMsgId = client_msg_id
    return message.SerializeToString()
