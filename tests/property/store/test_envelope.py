"""Laws of the envelope: every kind of event comes back as it went in, as the same bytes in every process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmam.domain.events import Event
from cmam.store.records.envelope import GENESIS, Decoding, Pending, Raw, encode, event_classes
from tests.property.declared import any_of

KINDS = sorted(event_classes(), key=lambda kind: kind.TOPIC)
DECODING = Decoding()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.TOPIC)
@settings(max_examples=8)
@given(data=st.data())
def test_every_event_comes_back_equal(kind: type[Event], data: st.DataObject) -> None:
    """Any event, with any values of its declared types, comes back equal, and is the same bytes when written again."""
    event = data.draw(any_of(kind))
    pending = Pending("account:1", 1, 5, event, ("account:2", 3), 4)
    state = encode(pending, "1.0", GENESIS)
    found = DECODING.read(Raw(1, "account:1", 1, kind.TOPIC, state))
    assert found.event == event
    assert type(found.event) is kind
    assert encode(Pending("account:1", 1, 5, found.event, found.cause, found.settings), "1.0", GENESIS) == state


def test_topics_are_unique() -> None:
    """Two kinds under one topic could not be told apart in a stored log."""
    topics = [kind.TOPIC for kind in KINDS]
    assert len(topics) == len(set(topics)) > 30


_PRINT_STATES = """
import sys
from cmam.domain.events import Checkpointed, LinkSettingsChanged, QuotesSampled
from cmam.domain.values.quantities import Quote
from cmam.store.records.envelope import Pending, encode
names = ["EURUSD", "GBPUSD", "XAUUSD", "a", "ä", "volume.mode", "volume.amount", "copy_sl"]
shuffled = list(set(names))
for event in (
    QuotesSampled(quotes={name: Quote(1, 2, 3, 4) for name in shuffled}),
    LinkSettingsChanged(link="abcdef", settings={name: name for name in shuffled}),
    Checkpointed(position=9, heads={name: name for name in shuffled}),
):
    sys.stdout.buffer.write(encode(Pending("s", 1, 2, event), "1.0", "0"))
    sys.stdout.buffer.write(b"\\n")
"""


def test_the_bytes_do_not_depend_on_the_process() -> None:
    """Two processes with different hash seeds write the same bytes: mappings are sorted."""
    written = [
        subprocess.run(
            [sys.executable, "-c", _PRINT_STATES],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert written[0] == written[1]
    assert [list(json.loads(line)["data"]) for line in written[0].splitlines()]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_by_a_value_error(state: bytes) -> None:
    """Garbage in the file is never a crash of another kind, and never a fact that was not written."""
    try:
        found = DECODING.read(Raw(1, "s", 1, "account.alert_raised", state))
    except ValueError:
        return
    assert json.loads(state)["data"] is not None or found.event is not None
