"""The JSON of port 5036 (wire.md#json), to and from what the broker speaks: payload type, payload, client message id.

Out: enums and int64 as numbers, no empty payload, no `clientMsgId` that the client did not send. In: enums as numbers
or names, int64 as numbers or strings, unknown fields ignored. Knows the schema by its descriptors, no message by name.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from cmam.openapi._pb import OpenApiCommonMessages_pb2, OpenApiMessages_pb2
from cmam.sandbox.wire.envelopes import Envelope, Garbage

UNREADABLE_PAYLOAD = b"\xff"
"""Stands for a payload whose JSON does not fit its message: nothing parses from it, so the broker refuses it so."""


class _NotJson(ValueError):
    """Raised inside the JSON reader for the constants that JSON does not have (NaN, Infinity)."""


@cache
def message_classes() -> dict[int, type[Message]]:
    """List the class of each payload type of the schema, by the default of its `payloadType` field."""
    classes: dict[int, type[Message]] = {}
    for file in (OpenApiCommonMessages_pb2, OpenApiMessages_pb2):
        for descriptor in file.DESCRIPTOR.message_types_by_name.values():
            field = descriptor.fields_by_name.get("payloadType")
            if field is not None and field.has_default_value:
                classes[int(field.default_value)] = GetMessageClass(descriptor)
    return classes


@cache
def _payload_type_names() -> dict[str, int]:
    names: dict[str, int] = {}
    for message_class in message_classes().values():
        enum = message_class.DESCRIPTOR.fields_by_name["payloadType"].enum_type
        assert enum is not None
        names.update({value.name: value.number for value in enum.values})
    return names


def decode(text: str | bytes) -> Envelope:
    """Read one JSON message; raises Garbage with the line and column of the first fault (wire.md#garbage)."""
    document = _parse(text)
    payload_type = _payload_type(document.get("payloadType"))
    client_msg_id = document.get("clientMsgId")
    if client_msg_id is not None and not isinstance(client_msg_id, str):
        client_msg_id = json.dumps(client_msg_id)
    if client_msg_id is not None and not _is_text(client_msg_id):
        raise Garbage("Malformed JSON message: expected text as clientMsgId, found half of a surrogate pair")
    return Envelope(payload_type, _payload(payload_type, document.get("payload")), client_msg_id)


def encode(payload_type: int, payload: bytes, client_msg_id: str | None) -> str:
    """Write one message as compact JSON; an unknown type or an empty payload is written without a payload."""
    document: dict[str, Any] = {"payloadType": payload_type}
    if client_msg_id is not None:
        document["clientMsgId"] = client_msg_id
    message_class = message_classes().get(payload_type)
    if message_class is not None and payload and (fields := as_document(message_class.FromString(payload))):
        document["payload"] = fields
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def as_document(message: Message) -> dict[str, Any]:
    """Turn the fields that are set into JSON-able values, under their schema names; `payloadType` is left out."""
    document: dict[str, Any] = {}
    for field, value in message.ListFields():
        if field.name == "payloadType":
            continue
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            document[field.name] = [as_document(item) for item in value] if field.is_repeated else as_document(value)
        else:
            document[field.name] = list(value) if field.is_repeated else value
    return document


def _parse(text: str | bytes) -> dict[str, Any]:
    try:
        document = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise Garbage(f"Malformed JSON message at {error.lineno}:{error.colno}") from None
    except (ValueError, RecursionError):  # not UTF-8, NaN, a number of thousands of digits, thousands of brackets
        raise Garbage("Malformed JSON message at 1:1") from None
    if not isinstance(document, dict):
        raise Garbage("Malformed JSON message at 1:1")
    if "payloadType" not in document:
        raise Garbage("Malformed JSON message: expected the field payloadType")
    return document


def _refuse_constant(name: str) -> Any:
    raise _NotJson(name)


def _payload_type(value: object) -> int:
    if isinstance(value, str):
        value = (
            int(value) if value.isascii() and value.isdigit() and len(value) < 10 else _payload_type_names().get(value)
        )
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise Garbage("Malformed JSON message: expected a number as payloadType")
    return value


def _is_text(text: str) -> bool:
    """Tell whether it can be sent back: JSON can spell half a character, UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _payload(payload_type: int, document: object) -> bytes:
    message_class = message_classes().get(payload_type)
    if message_class is None or document is None:
        return b""
    if not isinstance(document, dict):
        return UNREADABLE_PAYLOAD
    message = message_class()
    try:
        json_format.ParseDict(_known(document, message_class.DESCRIPTOR), message)
        return message.SerializePartialToString()
    except (json_format.ParseError, DecodeError, ValueError, TypeError, AttributeError, RecursionError):
        return UNREADABLE_PAYLOAD


def _known(document: dict[str, Any], descriptor: Any) -> dict[str, Any]:
    """Leave out fields that the schema does not have; the JSON reader's own way to do so would ignore bad enums too."""
    known: dict[str, Any] = {}
    for name, value in document.items():
        field = descriptor.fields_by_name.get(name)
        if field is None:
            continue
        inner = field.message_type
        if inner is not None and isinstance(value, dict):
            value = _known(value, inner)
        elif inner is not None and isinstance(value, list):
            value = [_known(item, inner) if isinstance(item, dict) else item for item in value]
        known[name] = value
    return known
