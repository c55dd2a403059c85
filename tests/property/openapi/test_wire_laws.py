"""Laws of the codec: round trips, any chunking, and nothing but RemoteError from garbage."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from enum import Enum
from typing import Any

from google.protobuf.message import Message
from hypothesis import given
from hypothesis import strategies as st

from cmam.domain.values.ids import SymbolId
from cmam.domain.values.quantities import Price
from cmam.domain.values.symbols import SymbolName
from cmam.openapi import catalogue, envelope, fields, requests, translate
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.errors import RemoteError
from cmam.openapi.framing import Deframer, FrameTooLong
from cmam.openapi.quotes import QuoteBoard
from cmam.openapi.refusals import read_refusal
from cmam.openapi.session import Session

INT64_MAX = 2**63 - 1


def _value(field: Any) -> st.SearchStrategy[Any]:
    """Values that a field may hold, the absurd ones among them."""
    match field.type:
        case field.TYPE_DOUBLE:
            return st.floats() | st.floats(min_value=0, max_value=100_000)
        case field.TYPE_BOOL:
            return st.booleans()
        case field.TYPE_STRING:
            return st.text(max_size=20)
        case field.TYPE_BYTES:
            return st.binary(max_size=20)
        case field.TYPE_ENUM:
            return st.sampled_from([value.number for value in field.enum_type.values])
        case field.TYPE_UINT32:
            return st.integers(0, 2**32 - 1)
        case field.TYPE_INT32:
            return st.integers(-(2**31), 2**31 - 1)
        case field.TYPE_UINT64:
            return st.integers(0, 2**64 - 1)
        case _:
            return st.integers(-(2**63), INT64_MAX)


@st.composite
def wire_messages(draw: st.DrawFn, cls: type[Message], depth: int = 0) -> Any:
    """A message of `cls` with any of its fields set, required ones left out at times."""
    message = cls()
    for field in cls.DESCRIPTOR.fields:
        if field.name == "payloadType" or draw(st.integers(0, 9)) == 0:
            continue
        if field.type == field.TYPE_MESSAGE:
            inner = field.message_type._concrete_class
            if field.is_repeated:
                getattr(message, field.name).extend(draw(st.lists(wire_messages(inner, depth + 1), max_size=2)))
            else:
                getattr(message, field.name).CopyFrom(draw(wire_messages(inner, depth + 1)))
        elif field.is_repeated:
            getattr(message, field.name).extend(draw(st.lists(_value(field), max_size=2)))
        else:
            setattr(message, field.name, draw(_value(field)))
    return message


def mutated(data: bytes, places: list[tuple[int, int]]) -> bytes:
    """The bytes with some of them changed."""
    body = bytearray(data)
    for place, value in places:
        if body:
            body[place % len(body)] = value
    return bytes(body)


NAME = SymbolName(symbol=SymbolId(1), name="X")
READERS: list[tuple[type[Message], Callable[[Any], object]]] = [
    (model.ProtoOAPosition, translate.position),
    (model.ProtoOAOrder, translate.order),
    (model.ProtoOADeal, translate.deal),
    (model.ProtoOATrader, translate.trader),
    (model.ProtoOASymbol, lambda wire: translate.symbol_spec(wire, NAME, {})),
    (pb.ProtoOAExecutionEvent, lambda wire: translate.execution(wire, "x")),
    (pb.ProtoOATrailingSLChangedEvent, translate.trailing_stop),
    (pb.ProtoOASymbolsListRes, lambda wire: translate.symbol_names(wire.symbol)),
    (pb.ProtoOAAssetListRes, lambda wire: translate.asset_names(wire.asset)),
]


def storable(value: object) -> bool:
    """Whether a store can hold it: text, whole numbers of bounded length and their containers; no float, no bytes."""
    if dataclasses.is_dataclass(value):
        return all(storable(getattr(value, field.name)) for field in dataclasses.fields(value))
    if isinstance(value, tuple):
        return all(storable(inner) for inner in value)
    if isinstance(value, int) and not isinstance(value, bool | Enum):
        return abs(value) < 2**96
    return value is None or isinstance(value, bool | str | Enum)


@given(st.data(), st.sampled_from(READERS), st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4))
def test_whatever_a_server_sends_becomes_a_storable_fact_or_a_remote_error(
    data: st.DataObject, reader: tuple[type[Message], Callable[[Any], object]], places: list[tuple[int, int]]
) -> None:
    """Absurd values, missing fields and flipped bytes end in a fact that a store can hold, or in RemoteError."""
    cls, read = reader
    payload = mutated(data.draw(wire_messages(cls)).SerializePartialToString(), places)
    number = catalogue.EXECUTION if cls is pb.ProtoOAExecutionEvent else 0
    try:
        found = read(envelope.unpack(envelope.Envelope(number, payload), cls))
    except RemoteError:
        return
    assert storable(found)


@given(st.data(), st.sampled_from(sorted(catalogue.MESSAGES)), st.text(max_size=50))
def test_a_message_survives_its_envelope(data: st.DataObject, number: int, client_msg_id: str) -> None:
    """Whatever is encoded comes out of the deframed bytes as the same message with the same id."""
    message = data.draw(wire_messages(catalogue.MESSAGES[number]).filter(lambda m: m.IsInitialized()))
    [body] = Deframer().receive_data(envelope.encode(message, client_msg_id))
    arrived = envelope.decode(body)
    assert (arrived.payload_type, arrived.client_msg_id) == (number, client_msg_id)
    assert arrived.payload == message.SerializeToString()


@given(st.lists(st.binary(max_size=300), max_size=8), st.lists(st.integers(1, 50), min_size=1, max_size=20))
def test_any_chunking_gives_the_same_frames(bodies: list[bytes], sizes: list[int]) -> None:
    """However a stream is cut on its way, the same bodies come out, and the end is seen to be between frames."""
    stream = b"".join(len(body).to_bytes(4, "big") + body for body in bodies)
    deframer, found, place, turn = Deframer(), [], 0, 0
    while place < len(stream):
        size = sizes[turn % len(sizes)]
        found += deframer.receive_data(stream[place : place + size])
        place, turn = place + size, turn + 1
    assert found == bodies
    assert deframer.is_between_frames


@given(st.binary(max_size=400))
def test_garbage_on_the_line_is_a_remote_error(stream: bytes) -> None:
    """Random bytes through framing, envelope, refusals, quotes and session raise RemoteError and nothing else."""
    board, session = QuoteBoard(), Session("q")
    session.connected("id", "secret", 0)
    try:
        for body in Deframer().receive_data(stream):
            arrived = envelope.decode(body)
            read_refusal(arrived)
            if arrived.payload_type == catalogue.SPOT:
                board.receive(arrived, 0)
            else:
                session.received(arrived, 1)
    except (RemoteError, FrameTooLong):
        pass


@given(st.data(), st.sampled_from(sorted(catalogue.MESSAGES)), st.sampled_from(["", "q.1", "cm1.a.b.p1.1", "foreign"]))
def test_no_message_of_a_server_breaks_a_session(data: st.DataObject, number: int, client_msg_id: str) -> None:
    """Any message, complete or not, in any state, is taken or is a RemoteError."""
    session = Session("q")
    session.connected("id", "secret", 0)
    if data.draw(st.booleans()):
        session.sent("q.1", "q.1", 5, data.draw(st.sampled_from(sorted(catalogue.REQUESTS))), 0)
    if data.draw(st.booleans()):
        session.authorise(5, "token")
    message = data.draw(wire_messages(catalogue.MESSAGES[number]))
    with contextlib.suppress(RemoteError):
        session.received(envelope.Envelope(number, message.SerializePartialToString(), client_msg_id), 1)


@given(st.integers(0, 10**17))
def test_a_price_survives_the_way_to_the_broker_and_back(price: int) -> None:
    """Each integer price of at most fifteen digits is exact in a double; a longer one returns as its nearest double."""
    there = requests.real(Price(price))
    back = fields.price(there)
    assert requests.real(back) == there
    if price < 10**15:
        assert back == price
