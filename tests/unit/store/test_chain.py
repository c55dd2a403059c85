"""Checkpoints: when one is due, and what it says."""

from __future__ import annotations

import hashlib

from cmam.domain.events import AlertRaised, Checkpointed
from cmam.store.logfile.chain import LOG, Checkpointer, Head, LogHead, checkpoint
from cmam.store.records.envelope import record_hash

EVENT = AlertRaised(kind="k", text="t")


def test_the_hash_is_what_its_description_says() -> None:
    """Anybody can compute it with a few lines: each part after its length in eight bytes."""
    parts = [b"account:1", b"12", b"topic", b"{}"]
    expected = hashlib.sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()
    assert record_hash("account:1", 12, "topic", b"{}") == expected
    assert record_hash("account:11", 2, "topic", b"{}") != expected


def test_a_checkpoint_is_due_after_so_many_events() -> None:
    """A thousand records, in whatever batches, make one due; the checkpoint itself begins the count anew."""
    counter = Checkpointer(events_max=10)
    counter.appended([EVENT] * 9, 1)
    assert not counter.is_due(1)
    counter.appended([EVENT], 1)
    assert counter.is_due(1)
    counter.appended([Checkpointed(position=10, heads={})], 1)
    assert not counter.is_due(1)


def test_a_checkpoint_is_due_a_minute_after_the_first_event_since_the_last() -> None:
    """Activity makes one due in a minute; silence makes none, however long."""
    counter = Checkpointer(span_us=60)
    assert not counter.is_due(10_000)
    counter.appended([EVENT], 100)
    counter.appended([EVENT], 150)
    assert not counter.is_due(159)
    assert counter.is_due(160)


def test_a_checkpoint_holds_every_head_and_the_log_in_one_line() -> None:
    """Streams are sorted, so that the same heads are the same bytes."""
    event = checkpoint({"b": Head(2, "x"), "a": Head(1, "y")}, LogHead(3, bytes(32)))
    assert event.position == 3
    assert list(event.heads.items()) == [("a", "1:y"), ("b", "2:x"), (LOG, "3:" + "00" * 32)]
