"""What waits for the store: the same facts in the same order however long, and no open that is too late."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from cmam.actors import messages as m
from cmam.actors.recording.backlog import BATCH_MAX, Backlog
from cmam.domain.events import AlertRaised
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import AccountId, IntentId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.openapi.lanes import Lane
from cmam.store.logfile.log import EventLog

SAMPLE = Path(__file__).parents[3] / "events.db.sample"
NOW_US = 1_000_000


def _append(version: int, *then: m.Submit) -> m.Append:
    fact = m.Fact(AlertRaised(kind="k", text=str(version)), ("account:1", version))
    return m.Append("account:1", version, version, (fact,), then=tuple(("limiter", submit) for submit in then))


def _submit(name: str, not_after_us: int, kind: CommandKind = CommandKind.OPEN) -> m.Submit:
    command = Command(kind=kind, symbol=SymbolId(1), side=Side.BUY, volume=Volume(100))
    return m.Submit(AccountId(1), command, IntentId(name), Lane.OPEN, not_after_us=not_after_us)


def _drained(backlog: Backlog) -> list[m.Append]:
    found = []
    while part := backlog.part():
        found += part
        backlog.written(part)
    return found


def test_every_kind_of_fact_comes_back_as_it_was() -> None:
    """A store that is back after hours gets what was said, record by record, in its order."""
    log = EventLog.read_file(SAMPLE)
    appends = [m.Append(r.stream, r.version, r.at_us, (m.Fact(r.event, r.cause),), r.settings) for r in log.read_all()]
    log.close()
    assert len(appends) > BATCH_MAX
    backlog = Backlog()
    for append in (*appends[-BATCH_MAX:], *appends):
        backlog.add(append)
    backlog.pack()
    assert (backlog.facts, len(backlog)) == (BATCH_MAX + len(appends), BATCH_MAX + len(appends))
    assert _drained(backlog)[BATCH_MAX:] == appends
    assert (backlog.facts, len(backlog)) == (0, 0)


def test_what_is_not_written_next_is_kept_as_few_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed once, in whole parts, and never the part that is tried next, which every try would unpack."""
    kept: list[bytes] = []
    compress = zlib.compress
    monkeypatch.setattr(zlib, "compress", lambda content, level: kept.append(compress(content, level)) or kept[-1])
    backlog = Backlog()
    count = 3 * BATCH_MAX + 1
    for version in range(1, count + 1):
        backlog.add(_append(version))
    backlog.pack()
    backlog.pack()
    assert len(kept) == 2
    assert sum(map(len, kept)) < 2 * BATCH_MAX * 60
    assert backlog.facts == count
    assert [append.version for append in backlog.of("account:1")] == list(range(1, count + 1))
    assert [append.version for append in _drained(backlog)] == list(range(1, count + 1))


def test_what_no_record_can_say_is_kept_as_it_is() -> None:
    """The store refuses its stream later, as it would have at once; nothing else is lost by it."""
    backlog = Backlog()
    strange = m.Append("account:2", 1, 1, (m.Fact(AlertRaised(kind="k", text=object())),))
    appends = [*(_append(version) for version in range(1, 2 * BATCH_MAX)), strange]
    for append in appends:
        backlog.add(append)
    backlog.pack()
    assert list(backlog.of("account:2")) == [strange]
    assert _drained(backlog) == appends


@pytest.mark.parametrize("before", [0, BATCH_MAX + 7])
def test_a_late_open_is_given_back_once_and_never_leaves(before: int) -> None:
    """What is in time, and what never is too late, stays with its record, packed or not."""
    backlog = Backlog()
    late, timely, close = _submit("a", NOW_US - 1), _submit("b", NOW_US), _submit("c", 0, CommandKind.CLOSE)
    last = before + 1
    for version in range(1, last + BATCH_MAX + 1):
        backlog.add(_append(version, *((late, timely, close) if version == last else ())))
    backlog.pack()
    assert list(backlog.give_back(NOW_US)) == [late]
    assert list(backlog.give_back(NOW_US)) == []
    assert [(append.version, [told for _, told in append.then]) for append in _drained(backlog) if append.then] == [
        (last, [timely, close])
    ]


def test_a_stream_that_is_refused_is_forgotten() -> None:
    """Packed or not."""
    backlog = Backlog()
    for version in range(1, 2 * BATCH_MAX + 3):
        backlog.add(_append(version))
    backlog.add(m.Append("account:2", 1, 1, (m.Fact(AlertRaised(kind="k", text="")),)))
    backlog.pack()
    backlog.forget("account:1")
    assert [append.stream for append in _drained(backlog)] == ["account:2"]
