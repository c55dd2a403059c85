"""Put the fields of every stored fact on record, with their defaults and the form that knew them first.

A field that is left out of a record means its default: so neither is ever changed. `tests/unit/store/test_forms.py`
holds the code against this list. What is new is added to it, under the present form; what stands there already and is
otherwise now is refused.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from cmam.store.records.envelope import event_builtins, event_classes
from cmam.store.records.forms import LATER, parts_of, without_later

FROZEN = Path(__file__).resolve().parent.parent / "tests" / "unit" / "store" / "forms.json"
REQUIRED = "required"
BASE = 2
"""The form of all fields that are not in LATER."""

Fields = dict[str, dict[str, list[Any]]]
"""By class and field: the form that knew it first, and its default."""


def fields_now() -> Fields:
    """Every field of every fact and of its parts, as the code has them; those of rows in their order."""
    found: Fields = {}
    for part in sorted({part for kind in event_classes() for part in parts_of(kind)}, key=lambda part: part.__name__):
        fields = found[part.__name__] = {}
        for field in dataclasses.fields(part):
            fields[field.name] = [LATER.get((part.__name__, field.name), BASE), _default(field)]
    return found


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return _plain(field.default)
    return REQUIRED if field.default_factory is dataclasses.MISSING else _plain(field.default_factory())


def _plain(value: Any) -> Any:
    """A default as plain values; a part that is a default itself grows by fields of later forms, at their defaults."""
    return json.loads(json.dumps(without_later(event_builtins(value), value, BASE)))


def frozen() -> Fields:
    """The list as it was written."""
    found: Fields = json.loads(FROZEN.read_text(encoding="utf-8"))
    return found


def main() -> int:
    now, then = fields_now(), frozen() if FROZEN.exists() else {}
    for name, fields in then.items():
        for field, entry in fields.items():
            if now.get(name, {}).get(field, entry) != entry:
                print(f"{name}.{field} was {entry} and is {now[name][field]}: no record says so. Add another field.")
                return 1
    merged = {name: {**then.get(name, {}), **fields} for name, fields in now.items()}
    lines = [f" {json.dumps(name)}: {json.dumps(fields)}" for name, fields in sorted({**then, **merged}.items())]
    FROZEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
