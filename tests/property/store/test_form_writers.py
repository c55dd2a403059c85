"""Laws of the compiled writers: what they write is, byte for byte, what the form says."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmam.domain.events import AlertRaised, Checkpointed, Event, ExecutionSeen, QuotesSampled, Reconciled
from cmam.domain.values.quantities import Price, Quote, Side
from cmam.domain.values.trades import ExecutionKind
from cmam.store.records.envelope import GENESIS, Pending, ShortEnvelope, encode, encode_whole
from cmam.store.records.form_writers import Unusual, writer_of
from cmam.store.records.forms import FORM, SAID_TWICE, form_of
from tests.property.declared import any_of
from tests.property.store.test_envelope import KINDS


class Text(str):
    """Text that is not quite a str."""

    __slots__ = ()


ODD = (None, True, False, 0, 1, 257, -(2**63) - 1, 2**64, 2**70, 1.5, "", "x", "\ud800", Text("x"), b"x", (), [], {})
PARTS = ([1], (1,), ("x", 2), [("x", "y")], {"x": 1}, {1: "x"}, {"x": "y"}, Side.BUY, object())


def _said(event: Event) -> bytes:
    """What the form says of a fact, field by field, without any compiled writer."""
    pending = Pending("account:1", 1, 5, event, ("account:2", 3), 4)
    try:
        data = form_of(type(event)).pack(event)
    except msgspec.ValidationError:
        return encode_whole(pending, "1.0", GENESIS)
    envelope: ShortEnvelope[Any] = ShortEnvelope(
        form=FORM, at_us=5, cause=("account:2", 3), settings=4, code="1.0", prev=GENESIS, data=data
    )
    return msgspec.json.Encoder(order="deterministic").encode(envelope)


def _written(event: Event) -> bytes:
    return encode(Pending("account:1", 1, 5, event, ("account:2", 3), 4), "1.0", GENESIS)


def _bytes_or_error(write: Callable[[Event], bytes], event: Event) -> bytes | type[Exception]:
    try:
        return write(event)
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError) as error:
        return type(error)


def _repeating(event: Any, data: st.DataObject) -> Any:
    """The same fact where some of it says what another part says, as real ones do."""
    for part, other, pairs in SAID_TWICE.get(type(event), ()):
        owner, source = getattr(event, part) if part else event, getattr(event, other)
        if owner is None or source is None:
            continue
        known = [pair for pair in pairs if getattr(source, pair[1]) is not None]  # not every owner may be without it
        names = data.draw(st.lists(st.sampled_from(known), unique=True)) if known else []
        owner = dataclasses.replace(owner, **{name: getattr(source, told_by) for name, told_by in names})
        event = dataclasses.replace(event, **{part: owner}) if part else owner
    return event


def _spoilt(value: Any, data: st.DataObject) -> Any:
    """The same with one thing in it that its declaration does not know, or that is another thing than it is said."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type) and data.draw(st.integers(0, 7)):
        fields = dataclasses.fields(value)
        parts = [field.name for field in fields if isinstance(getattr(value, field.name), tuple | dict)]
        parts += [field.name for field in fields if dataclasses.is_dataclass(getattr(value, field.name))]
        name = data.draw(st.sampled_from(parts if parts and data.draw(st.booleans()) else [f.name for f in fields]))
        return dataclasses.replace(value, **{name: _spoilt(getattr(value, name), data)})
    if isinstance(value, tuple) and value and data.draw(st.booleans()):
        return (*value[:-1], _spoilt(value[-1], data))
    if isinstance(value, dict) and value and data.draw(st.booleans()):
        return {key: _spoilt(one, data) for key, one in value.items()}
    return data.draw(st.sampled_from((*ODD, *PARTS)))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.TOPIC)
@settings(max_examples=8)
@given(data=st.data())
def test_a_compiled_writer_writes_what_the_form_says(kind: type[Event], data: st.DataObject) -> None:
    """A fact of the declared types never needs the slow way; any other one gives the same bytes or the same error."""
    event = _repeating(data.draw(any_of(kind)), data)
    writer_of(kind)(event)
    assert _written(event) == _said(event)
    for _ in range(3):
        spoilt = _spoilt(event, data)
        if isinstance(spoilt, kind):
            assert _bytes_or_error(_written, spoilt) == _bytes_or_error(_said, spoilt)


QUOTE = Quote(Price(1), Price(2), 3, 4)


@pytest.mark.parametrize(
    "event",
    [
        Checkpointed(position=True, heads={}),
        Checkpointed(position=0, heads={1: "x"}),
        Checkpointed(position=0, heads={"x": Text("x")}),
        Checkpointed(position=0, heads=MappingProxyType({"x": "y"})),
        QuotesSampled(quotes={"x": (1, 2, 3, 4)}),
        QuotesSampled(quotes={"x": dataclasses.replace(QUOTE, seen_us=True)}),
        AlertRaised(kind=Text("x"), text=""),
        ExecutionSeen(kind="order_filled"),
        ExecutionSeen(kind=ExecutionKind.SWAP, is_server_event=0),
        ExecutionSeen(kind=ExecutionKind.SWAP, client_msg_id=None),
        Reconciled(positions=[], orders=()),
        Reconciled(positions=(QUOTE,), orders=()),
    ],
    ids=str,
)
def test_what_is_not_quite_what_it_declares_is_left_to_the_form(event: Event) -> None:
    """A truth value equals 1 and is another thing in the record: a compiled writer takes exact types only."""
    with pytest.raises(Unusual):
        writer_of(type(event))(event)
    assert _bytes_or_error(_written, event) == _bytes_or_error(_said, event)


def test_a_writer_is_compiled_once() -> None:
    """Compiling takes some ms: the second record of a kind must not wait for it again."""
    kind = KINDS[0]
    assert writer_of(kind) is writer_of(kind)
