"""The short form of a fact, made by a function of its own for each kind of it.

`Form.pack` looks every field of a fact up by name and again in a table of those that repeat. Here the same is written
out once as a function, line by line, and compiled: it takes half the time. It makes only what it knows for certain to
be the same, of values of exactly the declared types; whatever else a fact holds is left to `Form.pack`, which says what
the form is. It knows the shape of facts, not what they mean, and no file.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import types
import typing
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

import msgspec

from cmam.domain.events import ChangeDecided, Event, ExecutionSeen, IntentRecorded
from cmam.store.records.forms import ROWS, SAID_TWICE, SAME, Repeated, form_of

_LEAVES = (bool, int, str, Enum)


class Unusual(Exception):
    """A fact holds what a compiled writer does not know."""


Writer = Callable[[Any], Any]
"""Gives the short form of a fact, ready to be encoded; raises Unusual."""

_WRITERS: dict[type[Any], Writer] = {}


def packed(event: Event) -> Any:
    """The fact as it is to be written; raises msgspec.ValidationError where a field is not what it declares."""
    kind = type(event)
    try:
        return (_WRITERS.get(kind) or writer_of(kind))(event)
    except Unusual:
        return form_of(kind).pack(event)


def writer_of(kind: type[Any]) -> Writer:
    """The writer of a kind of fact, compiled when it is first met."""
    found = _WRITERS.get(kind)
    if found is None:
        found = _WRITERS[kind] = _Source().writer(kind, form_of(kind).short, SAID_TWICE.get(kind, ()))
    return found


def get_ready() -> None:
    """Compile what a copy's way needs: some 15 ms that its first copy would wait for."""
    for kind in (ExecutionSeen, ChangeDecided, IntentRecorded):
        writer_of(kind)


class _Source:
    """The lines of one writer, and what they call by name.

    Each field of each part is taken into a variable of its own (`e_order_side`) and looked at; then those that another
    one tells are set to SAME; then the parts are put together from the inside out.
    """

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._known: dict[str, Any] = {"Unusual": Unusual, "SAME": SAME}
        self._names: dict[int, str] = {}

    def writer(self, kind: type[Any], short: type[msgspec.Struct], repeated: Iterable[Repeated]) -> Writer:
        """Write it down and compile it."""
        self._say(0, "def write(e, type=type):")  # what is asked of most fields is a local name
        self._must(1, f"type(e) is {self._name(kind)}")
        self._take(1, "e", kind, short)
        for part, other, pairs in reversed(tuple(repeated)):  # what tells another one is left out itself after that
            owner, source = f"e_{part}" if part else "e", f"e_{other}"
            self._say(1, f"if {owner} is not None and {source} is not None:")
            for name, told_by in pairs:
                self._say(2, f"if {owner}_{name} == {source}_{told_by}: {owner}_{name} = SAME")
        self._say(1, f"return {self._made(1, 'e', kind, short)}")
        exec("\n".join(self._lines), self._known)  # noqa: S102 - of lines made of nothing but our own classes
        write: Writer = self._known["write"]
        return write

    def _say(self, depth: int, text: str) -> None:
        self._lines.append(" " * depth + text)

    def _must(self, depth: int, condition: str) -> None:
        self._say(depth, f"if not ({condition}): raise Unusual")

    def _name(self, thing: Any) -> str:
        name = self._names.setdefault(id(thing), f"k{len(self._names)}")
        self._known[name] = thing
        return name

    # --- what there is ------------------------------------------------------------------------------------------------

    def _take(self, depth: int, owner: str, kind: type[Any], short: type[msgspec.Struct]) -> None:
        """Take all fields of a part and look at their types."""
        for field, hint, stored in _fields_of(kind, short):
            name = f"{owner}_{field}"
            self._say(depth, f"{name} = {owner}.{field}")
            bare, may_be_none = _bare(hint)
            if bare is bool and not may_be_none:
                self._must(depth, f"{name} is False or {name} is True")
            elif _is_leaf(bare):
                unless = f"{name} is None or " if may_be_none else ""
                if stored.default is not msgspec.NODEFAULT and stored.default not in (None, SAME):
                    unless += f"{name} is {self._name(stored.default)} or "
                self._must(depth, f"{unless}type({name}) is {self._name(bare)}")
            else:
                if may_be_none:
                    self._say(depth, f"if {name} is not None:")
                self._take_inner(depth + may_be_none, name, bare, _bare(stored.type)[0])

    def _take_inner(self, depth: int, name: str, bare: Any, stored: Any) -> None:
        """A field that is made of others: a part, several, or some by name."""
        origin = typing.get_origin(bare)
        if origin is None:
            self._must(depth, f"type({name}) is {self._name(bare)}")
            self._take(depth, name, bare, stored)
            if bare in ROWS:  # at once, so that two of them are compared as what is written
                self._say(depth, f"{name} = {self._made(depth, name, bare, stored)}")
            return
        is_mapping = origin is collections.abc.Mapping
        self._must(depth, f"type({name}) is {'dict' if is_mapping else 'tuple'}")
        one = f"{name}_one"
        element, its_form = _bare(typing.get_args(bare)[1 if is_mapping else 0])[0], _element(stored, is_mapping)
        self._say(depth, f"if {name}:")
        self._say(depth + 1, f"{name}_all = {'{}' if is_mapping else '[]'}")
        self._say(depth + 1, f"for {f'{name}_key, {one}' if is_mapping else one} in {name}{'.items()' * is_mapping}:")
        if is_mapping:
            self._must(depth + 2, f"type({name}_key) is str")
        if _is_leaf(element):
            self._must(depth + 2, f"type({one}) is {self._name(element)}")
        else:
            self._take_inner(depth + 2, one, element, its_form)
            if element not in ROWS:
                self._say(depth + 2, f"{one} = {self._made(depth + 2, one, element, its_form)}")
        self._say(depth + 2, f"{name}_all[{name}_key] = {one}" if is_mapping else f"{name}_all.append({one})")
        self._say(depth + 1, f"{name} = {name}_all")

    # --- what is written ----------------------------------------------------------------------------------------------

    def _made(self, depth: int, owner: str, kind: type[Any], short: type[msgspec.Struct]) -> str:
        """Put a part together from its fields, after the parts that it has itself."""
        names = []
        for field, hint, stored in _fields_of(kind, short):
            name = f"{owner}_{field}"
            bare, may_be_none = _bare(hint)
            if dataclasses.is_dataclass(bare) and bare not in ROWS:
                if may_be_none:
                    self._say(depth, f"if {name} is not None:")
                made = self._made(depth + may_be_none, name, typing.cast(type, bare), _bare(stored.type)[0])
                self._say(depth + may_be_none, f"{name} = {made}")
            names.append(name)
        listed = ", ".join(names)
        return f"({listed},)" if kind in ROWS else f"{self._name(_struct(kind, short))}({listed})"


_STRUCTS: dict[type[msgspec.Struct], type[msgspec.Struct]] = {}


def _struct(kind: type[Any], short: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """A struct that is written as the short one is, but takes its fields by their place, which is quicker.

    What the short one always writes has SAME as its default here, which no field ever is.
    """
    found = _STRUCTS.get(short)
    if found is None:
        fields = []
        for stored in msgspec.structs.fields(short):
            default: Any = SAME if stored.default is msgspec.NODEFAULT else stored.default
            if stored.default_factory is dict:  # left out where it is empty
                default = msgspec.field(default_factory=dict)
            fields.append((stored.name, Any, default))
        found = _STRUCTS[short] = msgspec.defstruct(kind.__name__, fields, omit_defaults=True, gc=False)
    return found


_Field = tuple[str, Any, msgspec.structs.FieldInfo]
"""A field's name, its declared type, and what the short form makes of it."""
_FIELDS: dict[type[Any], tuple[_Field, ...]] = {}


def _fields_of(kind: type[Any], short: type[msgspec.Struct]) -> tuple[_Field, ...]:
    found = _FIELDS.get(short)
    if found is None:
        hints = typing.get_type_hints(kind)
        stored = msgspec.structs.fields(short)
        found = _FIELDS[short] = tuple((field.name, hints[field.name], field) for field in stored)
    return found


def _bare(hint: Any) -> tuple[Any, bool]:
    """A declared type without what it may be instead (None, or told by another), and whether None is among that."""
    may_be_none = False
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        arguments = typing.get_args(hint)
        may_be_none = type(None) in arguments
        (hint,) = (one for one in arguments if one not in (type(None), msgspec.UnsetType))
    while hasattr(hint, "__supertype__"):
        hint = hint.__supertype__
    return hint, may_be_none


def _element(stored: Any, is_mapping: bool) -> Any:
    return _bare(typing.get_args(stored)[1 if is_mapping else 0])[0]


def _is_leaf(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, _LEAVES)
