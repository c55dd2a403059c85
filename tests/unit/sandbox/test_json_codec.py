"""JSON of port 5036: what is written, what is accepted, and where a fault is named."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi._pb.OpenApiModelMessages_pb2 import MARKET, SELL
from cmam.sandbox.wire import json_codec
from cmam.sandbox.wire.envelopes import Envelope, Garbage


def test_an_empty_answer_is_written_without_payload_and_without_an_id_nobody_sent() -> None:
    """Application authorisation answers exactly what was recorded."""
    assert json_codec.encode(2101, b"", None) == '{"payloadType":2101}'


def test_enums_and_long_integers_are_written_as_numbers() -> None:
    """A client reads ids and enums as plain JSON numbers."""
    order = oa.ProtoOANewOrderReq(
        ctidTraderAccountId=2**53 + 1, symbolId=1, orderType=MARKET, tradeSide=SELL, volume=100_000
    )
    written = json.loads(json_codec.encode(2106, order.SerializeToString(), "x"))
    assert written == {
        "payloadType": 2106,
        "clientMsgId": "x",
        "payload": {"ctidTraderAccountId": 2**53 + 1, "symbolId": 1, "orderType": 1, "tradeSide": 2, "volume": 100_000},
    }


def test_repeated_and_nested_messages_keep_their_shape() -> None:
    """Lists of messages come out as lists of objects."""
    answer = oa.ProtoOASymbolsListRes(ctidTraderAccountId=1)
    answer.symbol.add(symbolId=1, symbolName="EURUSD")
    answer.symbol.add(symbolId=2, symbolName="GBPUSD", enabled=False)
    payload = json.loads(json_codec.encode(2115, answer.SerializeToString(), None))["payload"]
    assert payload["symbol"] == [
        {"symbolId": 1, "symbolName": "EURUSD"},
        {"symbolId": 2, "symbolName": "GBPUSD", "enabled": False},
    ]


@pytest.mark.parametrize(
    "fields",
    [
        '{"ctidTraderAccountId":7,"symbolId":1,"orderType":1,"tradeSide":2,"volume":100000}',
        '{"ctidTraderAccountId":"7","symbolId":"1","orderType":"MARKET","tradeSide":"SELL","volume":"100000"}',
        '{"ctidTraderAccountId":7,"symbolId":1,"orderType":1,"tradeSide":2,"volume":100000,"unknown":{"a":[1]}}',
    ],
)
def test_names_strings_and_unknown_fields_are_accepted(fields: str) -> None:
    """Clients in the wild write enums as numbers or names, int64 as numbers or strings."""
    envelope = json_codec.decode(f'{{"clientMsgId":"a","payloadType":2106,"payload":{fields}}}')
    order = oa.ProtoOANewOrderReq.FromString(envelope.payload)
    assert (order.ctidTraderAccountId, order.orderType, order.tradeSide, order.volume) == (7, MARKET, SELL, 100_000)


@pytest.mark.parametrize("payload_type", ["2100", '"2100"', '"PROTO_OA_APPLICATION_AUTH_REQ"'])
def test_a_payload_type_is_a_number_or_a_name(payload_type: str) -> None:
    """The payload type too may come as a name or in quotes."""
    assert json_codec.decode(f'{{"payloadType":{payload_type}}}') == Envelope(2100, b"", None)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("hello", "1:1"),
        ('{"a":}', "1:6"),
        ('{"payloadType":2100,\n "payload":{]', "2:13"),
        ("[1]", "1:1"),
        ("", "1:1"),
        ('{"payloadType":51,"payload":NaN}', "1:1"),
        ("[" * 100_000, "1:1"),
        ('{"payloadType":' + "9" * 5_000 + "}", "1:1"),
        (b"\xff\xfe\xfa", "1:1"),
    ],
)
def test_malformed_json_names_line_and_column(text: str | bytes, place: str) -> None:
    """The description says where the first fault is, as the real server does."""
    with pytest.raises(Garbage, match=f"^Malformed JSON message at {place}$"):
        json_codec.decode(text)


@pytest.mark.parametrize(
    "text", ["{}", '{"payloadType":true}', '{"payloadType":-1}', '{"payloadType":"NOPE"}', '{"payloadType":1.5}']
)
def test_a_message_without_a_readable_type_is_garbage(text: str) -> None:
    """Without a payload type nobody can be asked."""
    with pytest.raises(Garbage, match="payloadType"):
        json_codec.decode(text)


def test_an_id_that_cannot_be_sent_back_is_garbage() -> None:
    """JSON can spell half of a character; an answer with it could not be written."""
    with pytest.raises(Garbage, match="clientMsgId"):
        json_codec.decode('{"payloadType":2104,"clientMsgId":"\\ud800"}')


@pytest.mark.parametrize(
    "payload", ['{"volume":"many"}', '{"orderType":"NOPE"}', "[1]", '"text"', "5", '{"volume":1e400}']
)
def test_a_payload_that_does_not_fit_reaches_the_broker_as_unreadable(payload: str) -> None:
    """A wrong type inside the payload is the broker's to refuse, with the id of the request."""
    envelope = json_codec.decode(f'{{"clientMsgId":"a","payloadType":2106,"payload":{payload}}}')
    assert envelope == Envelope(2106, json_codec.UNREADABLE_PAYLOAD, "a")


@given(st.text(max_size=40), st.binary(max_size=80))
def test_any_input_gives_a_message_or_garbage(text: str, raw: bytes) -> None:
    """Nothing that is sent raises anything else."""
    for sent in (text, raw, f'{{"payloadType":2106,"payload":{{"label":{json.dumps(text)}}}}}'):
        with contextlib.suppress(Garbage):
            assert isinstance(json_codec.decode(sent), Envelope)


def test_every_message_of_the_schema_has_a_class() -> None:
    """Each payload type of the enums is found, but for the envelope itself."""
    numbers = {
        value.number for value in oa.ProtoOAApplicationAuthReq.DESCRIPTOR.fields_by_name["payloadType"].enum_type.values
    }
    assert numbers <= set(json_codec.message_classes())
    assert {50, 51} <= set(json_codec.message_classes())
