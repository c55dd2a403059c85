"""In which form a fact is stored: as short as it can be said without losing a word.

A record of form 1 names every field. Since form 2 a field at its default is left out, small values that stand in every
decision are rows of their fields, and what a record says twice it says once. What is left out is known from here
alone: so a default never changes, a row grows at its end only, and a field that comes later is entered in `LATER` with
the form that knew it first. It knows the shape of facts, not what they mean, and no file.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import Enum
from typing import Any

import msgspec

from cmam.domain.events import ChangeDecided, Event, ExecutionSeen, Step
from cmam.domain.values.changes import LeaderMoney, LeaderSymbol
from cmam.domain.values.quantities import Quote

FORM = 14
"""What is written now. Raised when a field is added to a fact once a version with the present form is released."""
LATER: Mapping[tuple[str, str], int] = {
    ("Goal", "keeps_stop"): 3,
    ("Goal", "keeps_target"): 3,
    ("Inputs", "reading"): 4,
    ("Reconciled", "doubted"): 5,
    ("Reconciled", "doubted_orders"): 6,
    ("Change", "into_net"): 7,
    ("GuardInitialNamed", "is_off"): 8,
    ("CopyTouched", "reason"): 8,
    ("Trader", "margin_type"): 9,
    ("Change", "lots_were"): 10,
    ("Change", "restored"): 11,
    ("HealthChanged", "silent_us"): 12,
    ("SymbolSpec", "guaranteed_stops"): 13,
    ("Inputs", "usual"): 14,
}
"""Class and name of each field that came after form 2, with the form that knew it first."""
ROWS = (Step, Quote, LeaderSymbol, LeaderMoney)
"""Stored as the list of their fields, in the order of their declaration."""
SAME = msgspec.UNSET
"""What stands for a value that is another's of the same record: it is not written at all."""

Repeated = tuple[str, str, tuple[tuple[str, str], ...]]
"""The part of a fact that repeats, the part that it repeats, and their fields in pairs; an empty name is the fact."""

SAID_TWICE: Mapping[type[Any], tuple[Repeated, ...]] = {
    ExecutionSeen: (
        ("", "order", (("client_msg_id", "client_order_id"),)),
        (
            "position",
            "order",
            (("position", "position"), ("symbol", "symbol"), ("label", "label"), ("updated_ms", "updated_ms")),
        ),
        (
            "deal",
            "order",
            (
                ("order", "order"),
                ("position", "position"),
                ("symbol", "symbol"),
                ("side", "side"),
                ("volume", "volume"),
                ("price", "execution_price"),
                ("executed_ms", "updated_ms"),
                ("created_ms", "opened_ms"),
            ),
        ),
        ("deal", "deal", (("filled_volume", "volume"),)),
    ),
    ChangeDecided: (
        ("", "change", (("side", "side"),)),
        ("change", "change", (("after", "volume"), ("origin_volume", "volume"))),
        ("goal", "change", (("leader_volume", "after"), ("leader_price", "price"))),
        ("inputs", "change", (("leader_quote", "quote"),)),
    ),
}
"""Fields that are left out where they say what another one says; that one is written, or is told by one before it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Form:
    """How facts of one kind are stored: `short` and `whole` are structs as they lie in the file.

    A class without slots keeps what it was given in a dict, and msgspec gives it nothing that a record leaves out:
    facts with such parts are read through these structs, which know all fields.
    """

    kind: type[Any]
    short: type[msgspec.Struct]
    whole: type[msgspec.Struct]
    is_slotted: bool
    is_plain: bool
    repeated: tuple[Repeated, ...]

    def pack(self, event: Event) -> Any:
        """The fact as it is to be written; raises msgspec.ValidationError where a field is not what it declares."""
        stored = msgspec.convert(event, self.short, from_attributes=True)
        for part, other, pairs in reversed(self.repeated):  # what tells another one is left out itself after that
            owner = getattr(stored, part) if part else stored
            source = getattr(stored, other)
            if owner is not None and source is not None:
                for name, told_by in pairs:
                    if getattr(owner, name) == getattr(source, told_by):
                        setattr(owner, name, SAME)
        return stored

    def unpack(self, stored: Any) -> Any:
        """The fact that was written in short."""
        for part, other, pairs in self.repeated:
            owner = getattr(stored, part) if part else stored
            if owner is not None:
                source = getattr(stored, other)
                for name, told_by in pairs:
                    if getattr(owner, name) is SAME:
                        if source is None:
                            raise msgspec.ValidationError(f"{name} is left out as told by {other}, which is missing")
                        setattr(owner, name, getattr(source, told_by))
        return self.made_of(stored)

    def made_of(self, stored: Any) -> Any:
        """The fact of these fields, all of them set."""
        return msgspec.convert(stored, self.kind, from_attributes=True)


_FORMS: dict[type[Any], Form] = {}


def form_of(kind: type[Any]) -> Form:
    """The present form of a kind of fact, made when it is first met."""
    found = _FORMS.get(kind)
    if found is None:
        found = _FORMS[kind] = _form(kind)
    return found


def _form(kind: type[Any]) -> Form:
    repeated = SAID_TWICE.get(kind, ())
    doubled = frozenset(f"{part}.{name}".lstrip(".") for part, _, pairs in repeated for name, _ in pairs)
    parts = parts_of(kind)
    is_slotted = all("__slots__" in vars(part) for part in parts)
    is_plain = is_slotted and not repeated and not any(part in ROWS for part in parts)
    short, whole = _shape(kind, ROWS, doubled), _shape(kind, (), frozenset())
    return Form(kind, short, whole, is_slotted, is_plain, repeated)


def parts_of(kind: type[Any]) -> tuple[type[Any], ...]:
    """A class and all that its fields are made of, each once."""
    found: dict[type[Any], None] = {}

    def look(hint: Any) -> None:
        if dataclasses.is_dataclass(hint) and isinstance(hint, type):
            if hint not in found:
                found[hint] = None
                for one in typing.get_type_hints(hint).values():
                    look(one)
            return
        for argument in typing.get_args(hint):
            look(argument)

    look(kind)
    return tuple(found)


_SHAPES: dict[tuple[type[Any], tuple[type[Any], ...], frozenset[str]], type[msgspec.Struct]] = {}


def _shape(kind: type[Any], rows: tuple[type[Any], ...], doubled: frozenset[str]) -> type[msgspec.Struct]:
    """A struct with the fields of a class; those that may be told by others have `SAME` as their default."""
    found = _SHAPES.get((kind, rows, doubled))
    if found is None:
        found = _SHAPES[kind, rows, doubled] = _made_shape(kind, rows, doubled)
    return found


def _made_shape(kind: type[Any], rows: tuple[type[Any], ...], doubled: frozenset[str]) -> type[msgspec.Struct]:
    hints = typing.get_type_hints(kind)
    fields: list[Any] = []
    for field in dataclasses.fields(kind):
        deeper = frozenset(path.partition(".")[2] for path in doubled if path.startswith(f"{field.name}."))
        hint = _shaped(hints[field.name], rows, deeper)
        if field.name in doubled:
            fields.append((field.name, typing.Union[hint, msgspec.UnsetType], SAME))  # noqa: UP007 - of a runtime type
        elif field.default is not dataclasses.MISSING:
            fields.append((field.name, hint, _default(field.default, rows, deeper)))
        elif field.default_factory is not dataclasses.MISSING:
            fields.append((field.name, hint, msgspec.field(default_factory=field.default_factory)))
        else:
            fields.append((field.name, hint))
    return msgspec.defstruct(kind.__name__, fields, kw_only=True, omit_defaults=True, array_like=kind in rows)


def _default(value: Any, rows: tuple[type[Any], ...], deeper: frozenset[str]) -> Any:
    """msgspec leaves out what *is* the default: only of values that exist once is that the same as equal to it.

    Anything else has a factory, and is always written: the same record has the same bytes in every process.
    """
    if is_single(value):
        return value
    if dataclasses.is_dataclass(value):
        return msgspec.field(default_factory=_shape(type(value), rows, deeper))
    return msgspec.field(default_factory=lambda: value)


def is_single(value: Any) -> bool:
    """Whether there is but one object of this value: None, booleans, enums, what is empty, and very small numbers."""
    if isinstance(value, bool | Enum) or value is None:
        return True
    return value in ("", ()) or (type(value) is int and -5 <= value <= 256)


def _shaped(hint: Any, rows: tuple[type[Any], ...], deeper: frozenset[str]) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _shape(hint, rows, deeper)
    origin = typing.get_origin(hint)
    if origin is None:
        return hint
    arguments = tuple(one if one is Ellipsis else _shaped(one, rows, deeper) for one in typing.get_args(hint))
    if origin in (typing.Union, types.UnionType):
        return typing.Union[arguments]  # noqa: UP007 - of runtime types
    kind: Any = dict if origin is collections.abc.Mapping else origin
    return kind[arguments]


def without_later(said: Any, value: Any, form: int) -> Any:
    """A fact as plain values, without the fields that a record of this form did not know."""
    if dataclasses.is_dataclass(value):
        known = [f.name for f in dataclasses.fields(value) if LATER.get((type(value).__name__, f.name), 0) <= form]
        return {name: without_later(said[name], getattr(value, name), form) for name in known}
    if isinstance(value, Mapping):
        return {key: without_later(said[key], one, form) for key, one in value.items()}
    if isinstance(value, tuple):
        return [without_later(one, of, form) for one, of in zip(said, value, strict=True)]
    return said
