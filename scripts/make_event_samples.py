"""Write a stored sample of every kind of event that has none yet, into tests/unit/store/samples.

A sample is what an event looked like in a log when its kind was new. Once released it is never written again: the test
beside it proves that today's code still reads it. `--unreleased` writes all anew, before a first release only.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import enum
import json
import sys
import types
import typing
from pathlib import Path
from typing import Any

from cmam.store.records.envelope import event_builtins, event_classes

SAMPLES = Path(__file__).resolve().parent.parent / "tests" / "unit" / "store" / "samples"


def an_example(hint: Any, name: str) -> Any:
    """A value of a declared type: every field set, none to its default, the same at every run."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = typing.get_type_hints(hint)
        return hint(**{field.name: an_example(hints[field.name], field.name) for field in dataclasses.fields(hint)})
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        return an_example(next(choice for choice in arguments if choice is not type(None)), name)
    if origin is tuple:
        return tuple(an_example(part, name) for part in arguments if part is not ...)
    if origin is collections.abc.Mapping:
        return {key: an_example(arguments[1], key) for key in ("first", "second")}
    hint = getattr(hint, "__supertype__", hint)
    if hint is bool:
        return True
    if hint is int:
        return 1_000 + sum(map(ord, name))
    if hint is str:
        return f"{name} ä"
    assert issubclass(hint, enum.Enum), hint
    return list(hint)[-1]


def main(arguments: list[str]) -> None:
    SAMPLES.mkdir(exist_ok=True)
    for kind in event_classes():
        path = SAMPLES / f"{kind.TOPIC}.json"
        if path.exists() and "--unreleased" not in arguments:
            continue
        sample = {"stored": event_builtins(an_example(kind, kind.TOPIC))}
        path.write_text(json.dumps(sample, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        print(path.name)


if __name__ == "__main__":
    main(sys.argv[1:])
