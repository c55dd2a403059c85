"""What becomes of copies, told while it happens: nothing twice, nothing left out, and each with its reason."""

from __future__ import annotations

import shutil
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cmam.domain.events import ChangeDecided, CopyFinished
from cmam.domain.values.quantities import Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.store.auditing.news import News, What, news_of, told
from cmam.store.folding.fold import AccountStep, Fold
from cmam.store.logfile.database import FILE_NAME
from cmam.store.logfile.log import EventLog

from .world import a_day

ROOT = Path(__file__).parents[3]
SAMPLES = [ROOT / "events.db.sample", *sorted((ROOT / "tests" / "samples").glob("*.db"))]
SIGNS = {What.COPIED: 1, What.ADDED: 1, What.REDUCED: -1, What.CLOSED: -1}


@pytest.fixture(params=SAMPLES, ids=lambda path: path.name)
def log(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[EventLog]:
    """A day with every kind of event."""
    shutil.copyfile(request.param, tmp_path / FILE_NAME)
    with closing(EventLog.read_only(tmp_path)) as found:
        yield found


def test_what_is_told_of_a_day_adds_up_to_what_is_held_and_to_every_skip(log: EventLog) -> None:
    """Whoever reads the lines of a day knows what is open after it, and each skip that the audit lists."""
    fold, news, skips = Fold(), list[News](), 0
    for record in log.read_all():
        step = fold.take(record)
        if isinstance(step, AccountStep):
            news += news_of(step)
        skips += isinstance(record.event, ChangeDecided) and record.event.verdict is Verdict.SKIP
    held: dict[Any, int] = defaultdict(int)
    for one in news:
        held[one.follower, one.link, one.source] += SIGNS.get(one.what, 0) * one.volume
    for account, view in fold.accounts.items():
        for copy in (*view.copies.values(), *view.finished.values()):
            assert held.pop((account, copy.link, copy.source), 0) == copy.volume
    assert not any(held.values())
    assert sum(one.what is What.SKIPPED and one.reason != "" for one in news) >= skips > 0
    closes = [one for one in told(news) if one.what is What.CLOSED]
    assert closes
    assert all(one.reason and one.volume for one in closes)


def test_what_is_over_before_it_could_be_read_is_not_told(log: EventLog) -> None:
    """An open that waited for a millisecond has not waited; a reason without its close is nothing."""
    fold, news = Fold(), list[News]()
    for record in log.read_all():
        step = fold.take(record)
        if isinstance(step, AccountStep):
            news += news_of(step)
    copied = next(one for one in news if one.what is What.COPIED)
    waiting = replace(copied, what=What.WAITING, reason="quotes")
    closed = replace(copied, what=What.CLOSED)
    why = replace(closed, volume=Volume(0), reason="closed_by_stop_out")
    assert told([waiting, copied]) == [copied]
    assert told([waiting]) == [waiting]
    assert told([copied, closed, why]) == [copied, replace(closed, reason="closed_by_stop_out")]
    assert told([why]) == []
    refused = replace(copied, what=What.REFUSED, reason="order_rejected", request="open")
    slipped = replace(copied, what=What.CANCELLED, reason="slippage", volume=Volume(0))
    assert told([refused, slipped]) == [slipped]
    assert told([refused, replace(slipped, reason="source_gone")]) == [refused, replace(slipped, reason="source_gone")]
    other = replace(copied, source=waiting.source + "x")
    assert told([waiting, other, copied, closed]) == [other, copied, closed]


def test_a_refused_open_is_told_once() -> None:
    """The refusal is the news; that the copy is over with it is none."""
    fold, news, ends = Fold(), list[News](), list[Any]()
    for record in a_day().log.read_all():
        step = fold.take(record)
        if isinstance(step, AccountStep):
            news += news_of(step)
            if isinstance(record.event, CopyFinished) and record.event.reason is Reason.REFUSED:
                ends.append((record.event.link, record.event.source))
    refused = [one for one in news if one.what is What.REFUSED]
    assert [(one.link, one.source) for one in refused] == ends != []
    assert [(one.reason, one.request) for one in refused] == [("NOT_ENOUGH_MONEY", "open")]
