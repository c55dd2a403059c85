"""What `audit watch` makes of a log that grows while nobody reads: all of it, in its moments."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from cmam.cli.auditing.watch import _Teller
from cmam.cli.face.talk import PLACE_BYTES
from cmam.store.auditing.filters import Filters
from cmam.store.auditing.news import News, news_of
from cmam.store.errors import StoreUnavailable
from cmam.store.folding.fold import AccountStep, Fold
from cmam.store.logfile.database import FILE_NAME
from cmam.store.logfile.log import EventLog
from cmam.store.records.envelope import Recorded

SAMPLE = Path(__file__).parents[3] / "events.db.sample"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which a day has gone by."""
    shutil.copyfile(SAMPLE, tmp_path / FILE_NAME)
    return tmp_path


def _teller(home: Path, pipe: int | None = None, *, as_json: bool = False) -> _Teller:
    return _Teller(home, Filters(), 0, pipe, as_json=as_json)


def test_who_comes_back_to_a_day_is_told_each_moment_of_it(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe that was not read for a minute had twenty lines of it, and a number of what was left out."""
    _teller(home).follow(lambda _: True)
    plain = capsys.readouterr().out.splitlines()
    assert not [line for line in plain if "... and" in line]
    assert len(plain) > 100


def test_what_was_read_before_the_store_fell_silent_is_told_once_it_answers(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stood in the half that could be read was never told, since its place counted as told."""
    _teller(home, as_json=True).follow(lambda _: True)
    whole = capsys.readouterr().out
    read_all = EventLog.read_all
    fails = iter((True, False))

    def read_some(log: EventLog, after_position: int = 0) -> Iterator[Recorded]:
        is_to_fail = next(fails)
        for record in read_all(log, after_position):
            if is_to_fail and record.position == 300:
                raise StoreUnavailable("the disk hangs")
            yield record

    monkeypatch.setattr(EventLog, "read_all", read_some)
    teller = _teller(home, as_json=True)
    with pytest.raises(StoreUnavailable):
        teller.follow(lambda _: True)
    teller.follow(lambda _: True)
    assert capsys.readouterr().out == whole


def test_where_one_ends_at_any_place_the_next_tells_the_rest(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is said of its place is that of a whole moment: who begins there leaves nothing out and repeats nothing."""
    heard, says = os.pipe()
    _teller(home, says, as_json=True).follow(lambda _: True)
    whole = capsys.readouterr().out.splitlines()
    os.close(says)
    with os.fdopen(heard, "rb") as pipe:
        places = [int.from_bytes(place) for place in iter(lambda: pipe.read(PLACE_BYTES), b"")]
    assert places == sorted(set(places))
    for place in places[:: len(places) // 5]:
        rest = _Teller(home, Filters(), place, as_json=True)
        rest.follow(lambda _: True)
        told = capsys.readouterr().out.splitlines()
        assert whole[len(whole) - len(told) :] == told
        assert _news_behind(home, place) == 0 or told


def _news_behind(home: Path, place: int) -> int:
    log, fold, found = EventLog.read_only(home), Fold(), list[News]()
    for record in log.read_all():
        step = fold.take(record)
        if isinstance(step, AccountStep) and record.position > place:
            found += news_of(step)
    log.close()
    return len(found)
