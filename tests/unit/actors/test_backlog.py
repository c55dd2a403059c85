"""What waits for the store: the same facts in the same order however long, and no open that is too late."""

from __future__ import annotations

import zlib
from pathlib import Path

import pytest

from cmam.actors import messages as m
from cmam.actors.backlog import BATCH_MAX, Backlog
from cmam.domain.commands import Command, CommandKind
from cmam.domain.events import AlertRaised
from cmam.domain.ids import AccountId, IntentId, SymbolId
from cmam.domain.quantities import Side, Volume
from cmam.openapi.budget import Lane
from cmam.store.log import EventLog

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
    assert backlog.facts == BATCH_MAX + len(appends)
    assert _drained(backlog)[BATCH_MAX:] == appends


def test_what_is_not_written_next_is_kept_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed once, and only what is behind the part that is tried next, which every try would unpack."""
    packed = []
    compress = zlib.compress
    monkeypatch.setattr(zlib, "compress", lambda content, level: packed.append(1) or compress(content, level))
    backlog = Backlog()
    for version in range(1, BATCH_MAX + 4):
        backlog.add(_append(version))
    backlog.pack()
    backlog.pack()
    assert len(packed) == 3
    assert backlog.facts == BATCH_MAX + 3
    assert [append.version for append in backlog.of("account:1")] == list(range(1, BATCH_MAX + 4))


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_late_open_is_given_back_once_and_never_leaves(is_packed: bool) -> None:
    """What is in time, and what never is too late, stays with its record."""
    backlog = Backlog()
    for version in range(1, BATCH_MAX + 1 if is_packed else 1):
        backlog.add(_append(version))
    late, timely, close = _submit("a", NOW_US - 1), _submit("b", NOW_US), _submit("c", 0, CommandKind.CLOSE)
    backlog.add(_append(BATCH_MAX + 1, late, timely, close))
    backlog.pack()
    assert list(backlog.give_back(NOW_US)) == [late]
    assert list(backlog.give_back(NOW_US)) == []
    assert [submit for _, submit in _drained(backlog)[-1].then] == [timely, close]


def test_a_stream_that_is_refused_is_forgotten() -> None:
    """Packed or not."""
    backlog = Backlog()
    for version in range(1, BATCH_MAX + 3):
        backlog.add(_append(version))
    backlog.add(m.Append("account:2", 1, 1, (m.Fact(AlertRaised(kind="k", text="")),)))
    backlog.pack()
    backlog.forget("account:1")
    assert [append.stream for append in _drained(backlog)] == ["account:2"]
