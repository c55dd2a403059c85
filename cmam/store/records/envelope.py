"""How a fact becomes bytes and bytes a fact: the envelope, its encoding, and the topics.

The bytes are what the chain is made of, so they are the same for the same record in every process: fields in the order
of their declaration, keys of mappings sorted, no float. What is left out of them is told by `forms.py`. It must not
know SQLite.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from cmam.domain import events
from cmam.domain.events import Event
from cmam.store.records.form_writers import packed
from cmam.store.records.forms import FORM, LATER, form_of, without_later
from cmam.store.records.upcasts import UPCASTS, Upcast

GENESIS = "0" * 64
"""What stands as `prev` in the first record of a stream."""

_Data = TypeVar("_Data")

Cause = tuple[str, int]
"""The record that led to this one: its stream and version."""

Fact = tuple[int, str, int, int, Event]
"""Position, stream, version, moment in us and what it says: all that a fold asks of a record, and cheaper than one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownEvent(Event):
    """A record whose topic or data this cmam cannot read: kept as it is, so that no fold stumbles over it."""

    TOPIC: ClassVar[str] = "unknown"
    topic: str
    data: str
    why: str = ""


class Pending(msgspec.Struct, frozen=True):
    """A fact that is to be recorded: the writer of its stream gives the version, the log adds the chain."""

    stream: str
    version: int
    at_us: int
    event: Event
    cause: Cause | None = None
    settings: int = 0


class Raw(msgspec.Struct, frozen=True):
    """One row of the log as it lies in the file; `state` are the stored bytes."""

    position: int
    stream: str
    version: int
    topic: str
    state: bytes

    @property
    def hash(self) -> str:
        """The record's link in the chain of its stream."""
        return record_hash(self.stream, self.version, self.topic, self.state).hex()


class Recorded(msgspec.Struct, frozen=True):
    """A fact as the log holds it. `at_us` is when it was decided or seen, `settings` the settings' version then."""

    position: int
    stream: str
    version: int
    at_us: int
    event: Event
    cause: Cause | None
    settings: int
    code: str
    prev: str
    state: bytes
    topic: str

    @property
    def hash(self) -> str:
        """The record's link in the chain of its stream."""
        return record_hash(self.stream, self.version, self.topic, self.state).hex()


def fact_of(record: Recorded) -> Fact:
    """What a fold asks of a record."""
    return (record.position, record.stream, record.version, record.at_us, record.event)


class Envelope(msgspec.Struct, Generic[_Data], frozen=True):
    """What every record of the first form says beside its data: all of it, always."""

    at_us: int
    cause: Cause | None
    settings: int
    code: str
    prev: str
    data: _Data


class ShortEnvelope(msgspec.Struct, Generic[_Data], frozen=True, gc=False):
    """What every record says beside its data since form 2: this stands first, so that a look at the bytes tells it."""

    form: int
    at_us: int
    cause: Cause | None
    settings: int
    code: str
    prev: str
    data: _Data


_SHORT = b'{"form":'
"""How every record since form 2 begins, and none before."""


_LENGTHS = tuple(length.to_bytes(8, "big") for length in range(32))
"""Those of versions: a decimal number of 64 bits has at most 20 digits."""


@lru_cache(maxsize=8_192)
def _sized(name: str) -> bytes:
    """A stream's name or a topic after its length, as it stands in every hash."""
    encoded = name.encode()
    return len(encoded).to_bytes(8, "big") + encoded


def record_hash(stream: str, version: int, topic: str, state: bytes) -> bytes:
    """sha256 over stream, version (in decimal), topic and state, each after its length in eight big-endian bytes."""
    number = b"%d" % version
    before = _sized(stream) + _LENGTHS[len(number)] + number + _sized(topic) + len(state).to_bytes(8, "big")
    return sha256(before + state).digest()


def event_classes() -> Iterator[type[Event]]:
    """Every kind of event that has a topic of its own, in the order of their declaration."""
    for kind in vars(events).values():  # not __subclasses__: a slotted dataclass leaves its first self among these
        if isinstance(kind, type) and issubclass(kind, Event) and "TOPIC" in vars(kind):
            yield kind


_ENCODER = msgspec.json.Encoder(order="deterministic")


def encode(pending: Pending, code: str, prev: str) -> bytes:
    """Write the envelope of a record; raises TypeError or ValueError for what no event may hold."""
    event = pending.event
    try:
        data = packed(event)
    except msgspec.ValidationError:
        # A field holds another type than it declares. It is recorded all the same, as it is: a reader will say so.
        return encode_whole(pending, code, prev)
    return _ENCODER.encode(
        ShortEnvelope(FORM, pending.at_us, pending.cause, pending.settings, code, prev, data)  # by place: half the time
    )


def encode_whole(pending: Pending, code: str, prev: str) -> bytes:
    """Write the envelope of a record in the first form, every field named."""
    return _ENCODER.encode(
        Envelope(
            at_us=pending.at_us,
            cause=pending.cause,
            settings=pending.settings,
            code=code,
            prev=prev,
            data=pending.event,
        )
    )


class Decoding:
    """Reads stored bytes as facts, by topic; older topics are upcast on the way."""

    def __init__(
        self, classes: Mapping[str, type[Event]] | None = None, upcasts: Mapping[str, Upcast] | None = None
    ) -> None:
        self._classes = dict(classes) if classes is not None else {kind.TOPIC: kind for kind in event_classes()}
        self._upcasts = dict(UPCASTS if upcasts is None else upcasts)
        self._decoders: dict[str, msgspec.json.Decoder[Any]] = {}
        self._short_decoders: dict[str, msgspec.json.Decoder[Any]] = {}

    def read(self, raw: Raw) -> Recorded:
        """Read a record. What it says may be unknown to us, but its envelope must be whole: else a ValueError."""
        known = self._known(raw.topic, raw.state)
        return self._read_foreign(raw) if known is None else _recorded(raw, *known)

    def fact(self, topic: str, state: bytes) -> tuple[int, Event] | None:
        """Only when it was and what it says; None where it takes `read` to say what there is to be read."""
        known = self._known(topic, state)
        return None if known is None else (known[0].at_us, known[1])

    def _known(self, topic: str, state: bytes) -> tuple[Envelope[Any] | ShortEnvelope[Any], Event] | None:
        """The envelope and the fact, where both are of a form and a kind that we know."""
        if topic in self._upcasts or topic not in self._classes:
            return None
        try:
            form = form_of(self._classes[topic])
            if state.startswith(_SHORT):
                short = self._short_decoder(topic).decode(state)
                return short, short.data if form.is_plain else form.unpack(short.data)
            whole = self._decoder(topic).decode(state)
            return whole, whole.data if form.is_slotted else form.made_of(whole.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, RecursionError):
            return None  # perhaps only the data is foreign: then the envelope alone can be read

    def _decoder(self, topic: str) -> msgspec.json.Decoder[Any]:
        """The decoder of a topic, made when it is first met: making all of them would slow every start down."""
        decoder = self._decoders.get(topic)
        if decoder is None:
            form = form_of(self._classes[topic])
            kind: Any = form.kind if form.is_slotted else form.whole
            decoder = self._decoders[topic] = msgspec.json.Decoder(Envelope[kind])
        return decoder

    def _short_decoder(self, topic: str) -> msgspec.json.Decoder[Any]:
        decoder = self._short_decoders.get(topic)
        if decoder is None:
            form = form_of(self._classes[topic])
            kind: Any = form.kind if form.is_plain else form.short
            decoder = self._short_decoders[topic] = msgspec.json.Decoder(ShortEnvelope[kind])
        return decoder

    def _read_foreign(self, raw: Raw) -> Recorded:
        try:
            found = envelope_of(raw.state)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ValueError(f"its envelope cannot be read ({error})") from error
        text = bytes(found.data)
        try:
            event = self._convert(raw.topic, text, is_short=isinstance(found, ShortEnvelope))
        except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError, ValueError, RecursionError) as error:
            event = UnknownEvent(topic=raw.topic, data=text.decode(errors="replace"), why=str(error))
        return _recorded(raw, found, event)

    def _convert(self, topic: str, text: bytes, *, is_short: bool) -> Event:
        data = msgspec.json.decode(text, type=dict[str, Any])
        for _ in range(len(self._upcasts)):
            if topic not in self._upcasts:
                break
            upcast = self._upcasts[topic]
            topic, data = upcast.topic, upcast.change(data)
        form = form_of(self._class(topic))
        event: Event
        if is_short:
            event = form.unpack(msgspec.convert(data, form.short))
        else:
            event = form.made_of(msgspec.convert(data, form.whole))
        return event

    def _class(self, topic: str) -> type[Event]:
        if topic not in self._classes:
            raise LookupError(f"this version of cmam knows no event {topic}")
        return self._classes[topic]


def _recorded(raw: Raw, found: Envelope[Any] | ShortEnvelope[Any], event: Event) -> Recorded:
    return Recorded(
        raw.position,
        raw.stream,
        raw.version,
        found.at_us,
        event,
        found.cause,
        found.settings,
        found.code,
        found.prev,
        raw.state,
        raw.topic,
    )


_WHOLE: msgspec.json.Decoder[Any] = msgspec.json.Decoder(Envelope[msgspec.Raw])
_BRIEF: msgspec.json.Decoder[Any] = msgspec.json.Decoder(ShortEnvelope[msgspec.Raw])


def envelope_of(state: bytes) -> Envelope[msgspec.Raw] | ShortEnvelope[msgspec.Raw]:
    """A record's envelope with its data as it is stored; raises msgspec.MsgspecError where it cannot be read."""
    found: Envelope[msgspec.Raw] | ShortEnvelope[msgspec.Raw]
    try:
        found = (_BRIEF if state.startswith(_SHORT) else _WHOLE).decode(state)
    except RecursionError as error:  # thousands of brackets, which no cmam writes
        raise msgspec.DecodeError(str(error)) from error
    return found


def form_in(state: bytes) -> int:
    """The form that a record is written in; 1 for those of before forms had numbers, and for what is no record."""
    if not state.startswith(_SHORT):
        return 1
    number = state[len(_SHORT) : len(_SHORT) + 9].partition(b",")[0]
    return int(number) if number.isdigit() else 1


def code_in(state: bytes) -> str:
    """The version of cmam that wrote a record; empty where its envelope cannot be read."""
    try:
        return envelope_of(state).code
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return ""


_EVENT = msgspec.json.Encoder(order="deterministic")


def event_bytes(event: object) -> bytes:
    """The bytes of an event, or a part of one, with every field: two are the same when these are."""
    return _EVENT.encode(event)


def is_written_in(event: Event, state: bytes) -> bool:
    """Whether a record's bytes end with exactly this event; bytes of another version may say the same otherwise."""
    if not state.startswith(_SHORT):
        return state.endswith(b'"data":' + _EVENT.encode(event) + b"}")
    try:
        data = packed(event)
    except msgspec.ValidationError:
        return False
    return state.endswith(b'"data":' + _EVENT.encode(data) + b"}")


def said_in(state: bytes, event: Event) -> Any:
    """What a record says of an event, as dicts, lists, strings and integers: each field that its form knew.

    `event` is the one that was read from it.
    """
    found = envelope_of(state)
    if not isinstance(found, ShortEnvelope):
        return msgspec.json.decode(found.data)
    said = event_builtins(event)
    return without_later(said, event, found.form) if LATER else said


def event_builtins(event: object) -> Any:
    """An event, or a part of one, as dicts, lists, strings and integers, ready for JSON."""
    return msgspec.to_builtins(event, order="deterministic")
