"""Whether what was derived today is what was recorded then: by the bytes, and for old records by what they speak of.

It knows how a fact is written, and nothing of what it means.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from operator import attrgetter
from typing import Any

from cmam.domain.events import ChangeDecided, Event
from cmam.domain.values.changes import Change, LeaderMoney
from cmam.domain.values.replacing import replace
from cmam.store.records.envelope import event_builtins, event_bytes, is_written_in, said_in

OF_ITS_MOMENT = ("quote", "late", "money")
"""What of a change only its own moment knew, or knew more of: the quote on the screen, what the leader was worth, and
whether it was told late."""

_told = attrgetter(*(entry.name for entry in dataclasses.fields(Change) if entry.name not in OF_ITS_MOMENT))


def comes_out(computed: Event, recorded: Event, state: bytes) -> bool:
    """Whether what was computed is, to the byte, what was recorded."""
    if computed == recorded and is_written_in(computed, state):  # one encoding where all is well
        return True
    if event_bytes(computed) == event_bytes(recorded):
        return True
    return _speaks(computed, recorded, said_in(state, recorded))


def is_same_change(computed: Change, decided: ChangeDecided, state: bytes) -> bool:
    """Whether a change is the one of a recorded decision, but for what only its own moment knew."""
    recorded = decided.change
    ours, theirs = (*_told(computed), _bare(computed.money)), (*_told(recorded), _bare(recorded.money))
    if ours == theirs or event_bytes(ours) == event_bytes(theirs):  # no encoding where all is well
        return True
    return _speaks(_lasting(computed), _lasting(recorded), said_in(state, decided)["change"])


def _bare(money: LeaderMoney | None) -> tuple[object, ...] | None:
    return None if money is None else (money.currency, money.money_digits, money.balance)


def _lasting(change: Change) -> Change:
    money = change.money
    bare = None if money is None else dataclasses.replace(money, equity=None, free_margin=None)
    return replace(change, quote=None, late=False, money=bare)


def _speaks(computed: object, recorded: object, stored: Any) -> bool:
    """Whether all that the stored form speaks of comes out.

    A record of an older version does not speak of fields that came later: these alone are not compared.
    """
    return bool(spoken(computed, stored) == spoken(recorded, stored))


def spoken(value: object, stored: Any) -> Any:
    """A value as plain JSON, without the fields that the stored form of it does not have."""
    if dataclasses.is_dataclass(value) and isinstance(stored, dict):
        names = [entry.name for entry in dataclasses.fields(value) if entry.name in stored]
        return {name: spoken(getattr(value, name), stored[name]) for name in names}
    if isinstance(value, Mapping) and isinstance(stored, dict):
        return {key: spoken(one, stored.get(key)) for key, one in value.items()}
    if isinstance(value, tuple) and isinstance(stored, list) and len(value) == len(stored):
        return [spoken(one, old) for one, old in zip(value, stored, strict=True)]
    return event_builtins(value)
