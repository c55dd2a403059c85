"""Upcasts: what was stored under an older topic reads as what succeeded it, and every stored sample still reads."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cmam.domain.events import Event
from cmam.store.records.envelope import Decoding, Raw, UnknownEvent, event_builtins, event_classes
from cmam.store.records.upcasts import UPCASTS, Upcast

SAMPLES = Path(__file__).parent / "samples"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Third(Event):
    """The third form of a fact of the tests: a volume that was first in lots, then in units, and now has a side."""

    volume: int
    side: str = "buy"


def _raw(topic: str, data: dict[str, Any]) -> Raw:
    envelope = {"at_us": 1, "cause": None, "settings": 0, "code": "0.1", "prev": "", "data": data}
    return Raw(1, "account:1", 1, topic, json.dumps(envelope).encode())


def _second(data: dict[str, Any]) -> dict[str, Any]:
    return {"volume": data["lots"] * 100_000}


def _third(data: dict[str, Any]) -> dict[str, Any]:
    return {"volume": data["volume"] * 100, "side": "buy"}


CHAIN = {"test.fact": Upcast("test.fact.2", _second), "test.fact.2": Upcast("test.fact.3", _third)}


@pytest.mark.parametrize(
    ("topic", "data"),
    [
        ("test.fact", {"lots": 2}),
        ("test.fact.2", {"volume": 200_000}),
        ("test.fact.3", {"volume": 20_000_000, "side": "buy"}),
    ],
)
def test_every_older_form_reads_as_the_newest(topic: str, data: dict[str, Any]) -> None:
    """Upcasts are applied one after the other, from whichever form was stored."""
    decoding = Decoding({"test.fact.3": _Third}, CHAIN)
    found = decoding.read(_raw(topic, data))
    assert found.event == _Third(volume=20_000_000)
    assert found.topic == topic  # what is stored stays what it was


def test_data_that_no_upcast_understands_is_kept_unknown() -> None:
    """A failing upcast is no reason to stop a fold; verify and audit show the record as it lies there."""
    decoding = Decoding({"test.fact.3": _Third}, CHAIN)
    found = decoding.read(_raw("test.fact", {"pounds": 2}))
    assert isinstance(found.event, UnknownEvent)
    assert json.loads(found.event.data) == {"pounds": 2}


def test_fields_added_later_take_their_defaults_and_removed_ones_are_passed_over() -> None:
    """The two changes that need no upcast."""
    found = Decoding({"test.fact.3": _Third}, {}).read(_raw("test.fact.3", {"volume": 1, "gone": True}))
    assert found.event == _Third(volume=1)


def test_every_upcast_ends_at_an_event_that_exists() -> None:
    """No chain leads to a topic that nobody reads, or round in a circle."""
    topics = {kind.TOPIC for kind in event_classes()}
    for start in UPCASTS:
        topic, steps = start, 0
        while topic in UPCASTS:
            topic, steps = UPCASTS[topic].topic, steps + 1
            assert steps <= len(UPCASTS)
        assert topic in topics


def test_there_is_a_sample_of_every_topic() -> None:
    """Whoever adds a kind of event, or succeeds one, leaves a sample of it for those who come later."""
    stored = {path.stem for path in SAMPLES.glob("*.json")}
    assert stored == {kind.TOPIC for kind in event_classes()} | set(UPCASTS)


@pytest.mark.parametrize("path", sorted(SAMPLES.glob("*.json")), ids=lambda path: path.stem)
def test_every_stored_sample_still_reads(path: Path) -> None:
    """What any released version stored reads today, and says what it said: each field of the sample is in the event.

    A sample is never edited. Fields that an event gained since are not in it; upcast samples say what they become.
    """
    sample = json.loads(path.read_text(encoding="utf-8"))
    found = Decoding().read(_raw(path.stem, sample["stored"]))
    assert not isinstance(found.event, UnknownEvent)
    now = event_builtins(found.event)
    assert _holds(now, sample.get("reads_as", sample["stored"]))


def _holds(now: Any, then: Any) -> bool:
    if isinstance(then, dict):
        return isinstance(now, dict) and all(_holds(now.get(name), value) for name, value in then.items())
    if isinstance(then, list):
        return isinstance(now, list | tuple) and len(now) == len(then) and all(map(_holds, now, then))
    return bool(now == then)
