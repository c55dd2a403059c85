"""Laws of the log and its chain, over batches and changes of any shape."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from cmam.domain.events import AlertRaised
from cmam.store.logfile.chain import checkpoint
from cmam.store.logfile.log import EventLog
from cmam.store.proof.verify import verify
from cmam.store.records.envelope import Pending, Raw

STREAMS = ["account:1", "account:2", "app", "connection:demo-1"]


def _written(streams: list[list[str]]) -> tuple[EventLog, list[Pending]]:
    """A log of these batches, each a list of the streams of its facts; an empty batch writes a checkpoint."""
    log, written = EventLog.in_memory(), []
    versions = dict.fromkeys(STREAMS, 0)
    for batch in streams:
        pendings = []
        for stream in batch or ["app"]:
            versions[stream] += 1
            event = (
                AlertRaised(kind="k", text=f"{stream} {versions[stream]}")
                if batch
                else checkpoint(log.heads(), log.log_head())
            )
            pendings.append(Pending(stream, versions[stream], len(written), event))
        log.append(pendings)
        written += pendings
    return log, written


BATCHES = st.lists(st.lists(st.sampled_from(STREAMS), max_size=6), min_size=1, max_size=12)


@given(BATCHES)
def test_the_log_gives_back_what_was_appended_in_order(streams: list[list[str]]) -> None:
    """Any batches over any streams come back in their order, stream by stream too, and verify as whole."""
    log, written = _written(streams)
    found = log.read(limit=10_000)
    assert [(record.stream, record.version, record.event) for record in found] == [
        (pending.stream, pending.version, pending.event) for pending in written
    ]
    for stream in STREAMS:
        ours = [record for record in found if record.stream == stream]
        assert list(log.read_stream(stream)) == ours
    result = verify(log.raw())
    assert result.is_whole
    assert result.head == log.log_head()


@given(BATCHES, st.data())
def test_any_one_change_to_what_a_kept_head_covers_is_found(streams: list[list[str]], data: st.DataObject) -> None:
    """Dropping, doubling, swapping or flipping one bit anywhere never passes for the log whose head was kept."""
    log, _ = _written(streams)
    kept, rows = log.log_head(), list(log.raw())
    changed = data.draw(_changes(rows))
    assume(changed != rows)
    assert not verify(changed, kept).is_whole


@st.composite
def _changes(draw: st.DrawFn, rows: list[Raw]) -> list[Raw]:
    place = draw(st.integers(0, len(rows) - 1))
    row = rows[place]
    match draw(st.sampled_from(["flip", "drop", "swap", "version", "stream", "tail"])):
        case "flip":
            bit = draw(st.integers(0, len(row.state) * 8 - 1))
            state = bytearray(row.state)
            state[bit // 8] ^= 1 << bit % 8
            return [
                *rows[:place],
                Raw(row.position, row.stream, row.version, row.topic, bytes(state)),
                *rows[place + 1 :],
            ]
        case "drop":
            return rows[:place] + rows[place + 1 :]
        case "tail":
            return rows[:place]
        case "swap":
            other = draw(st.integers(0, len(rows) - 1))
            first, second = rows[place], rows[other]
            found = list(rows)
            found[place] = Raw(first.position, second.stream, second.version, second.topic, second.state)
            found[other] = Raw(second.position, first.stream, first.version, first.topic, first.state)
            return found
        case "version":
            moved = Raw(row.position, row.stream, row.version + 1, row.topic, row.state)
            return [*rows[:place], moved, *rows[place + 1 :]]
        case _:
            moved = Raw(row.position, "account:99", row.version, row.topic, row.state)
            return [*rows[:place], moved, *rows[place + 1 :]]


@given(BATCHES, st.integers(0, 30))
def test_the_hash_over_the_log_does_not_depend_on_the_batches(streams: list[list[str]], cut: int) -> None:
    """Taken up from any checkpoint, or from none, it comes out the same."""
    log, _ = _written(streams)
    head = log.log_head()
    log.refresh()
    assert log.log_head() == head
    assert verify(log.raw()).head == head
