"""The rooms of the events, and the one door to them."""

from __future__ import annotations

import importlib
import inspect
import itertools
import pkgutil

from cmam.domain import events
from cmam.domain.events import Event
from cmam.store.records.envelope import event_classes


def _declared() -> list[tuple[str, type]]:
    """Every class of every room, by room, as its file has them from top to bottom."""
    found: list[tuple[str, type]] = []
    for room in pkgutil.iter_modules(events.__path__):
        module = importlib.import_module(f"cmam.domain.events.{room.name}")
        found += [(room.name, kind) for kind in vars(module).values() if _is_own(kind, module.__name__)]
    return found


def _is_own(value: object, module: str) -> bool:
    return inspect.isclass(value) and value.__module__ == module


def test_every_class_of_every_room_is_handed_on_by_name() -> None:
    """An event that the package does not name could be written, and would come back from the log as unknown."""
    declared = _declared()
    assert len(declared) > 70
    assert sorted(kind.__name__ for _, kind in declared) == sorted(events.__all__)
    assert all(getattr(events, kind.__name__) is kind for _, kind in declared)


def test_the_store_knows_every_event_room_by_room_in_the_order_of_declaration() -> None:
    """What is made from the list, documents among it, stands as the files do and not as an import was sorted."""
    rooms: dict[str, list[str]] = {}
    for room, kind in _declared():
        if issubclass(kind, Event) and kind is not Event:
            rooms.setdefault(room, []).append(kind.__name__)
    listed: dict[str, list[str]] = {}
    for kind in event_classes():
        listed.setdefault(kind.__module__.rpartition(".")[2], []).append(kind.__name__)
    assert listed == rooms
    visited = [room for room, _ in itertools.groupby(kind.__module__ for kind in event_classes())]
    assert len(visited) == len(set(visited)) == len(rooms)
