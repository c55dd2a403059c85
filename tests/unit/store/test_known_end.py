"""A start sees that the log is not the one that the home had, or not all of it, and nothing where it is."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cmam.clock import SECOND_US, ManualClock
from cmam.domain.events import LogRestored
from cmam.store.errors import StoreBroken
from cmam.store.logfile.log import EventLog
from cmam.store.projection.projector import Projector
from cmam.store.projection.views_file import VIEWS_NAME, open_views
from cmam.store.proof.tail import check_tail
from cmam.store.upkeep.keeping import archive, backup, restore
from cmam.store.upkeep.known_end import FILE, EndWatch, is_copy, is_known, settle_end
from cmam.store.upkeep.opening import open_to_go_on
from cmam.store.upkeep.salvage import put_in_place, salvage

from .facts import T0, facts, write_checkpoint


def lived(home: Path, count: int = 5, *, stream: str = "account:1") -> str:
    """Begin on a home as a start does, write something, and end in order; answers what the beginning has said."""
    is_put_back = is_copy(home)
    with closing(EventLog.open(home)) as log:
        said = settle_end(home, log, T0, is_copy=is_put_back)
        log.append(facts(count, stream, after=log.head(stream).version))
        settle_end(home, log, T0, is_copy=False)
    return said


def told(home: Path) -> list[tuple[str, int]]:
    """Where the log says that it was restored, and at which position it ended then."""
    with closing(EventLog.read_only(home)) as log:
        return [(one.stream, one.event.position) for one in log.read_all() if isinstance(one.event, LogRestored)]


def test_a_log_that_goes_on_says_nothing(tmp_path: Path) -> None:
    """Nor one that was archived, nor one that is begun anew where the last one was lost."""
    assert [lived(tmp_path) for _ in range(3)] == ["", "", ""]
    archive(tmp_path, T0)
    assert [lived(tmp_path) for _ in range(2)] == ["", ""]
    shutil.rmtree(tmp_path / "archive")
    for path in tmp_path.glob("events.db*"):
        path.unlink()
    assert [lived(tmp_path) for _ in range(2)] == ["", ""]
    assert told(tmp_path) == []


def test_an_older_copy_in_the_place_of_the_log_is_told_as_restored_once(tmp_path: Path) -> None:
    """Copied by hand while nothing ran: each account gets the record that `cmam restore` writes."""
    lived(tmp_path)
    lived(tmp_path, stream="account:2")
    shutil.copyfile(tmp_path / "events.db", tmp_path / "mine")
    lived(tmp_path, 3)
    (tmp_path / "mine").replace(tmp_path / "events.db")
    said = lived(tmp_path)
    assert "ends at record 10" in said
    assert "record 13 when this home was last in use" in said
    assert told(tmp_path) == [("account:1", 10), ("account:2", 10)]
    assert [lived(tmp_path) for _ in range(2)] == ["", ""]


def test_a_copy_that_has_grown_past_the_end_that_was_known_is_told_too(tmp_path: Path) -> None:
    """Somebody has gone on with it elsewhere: there is such a record, and it is another one."""
    lived(tmp_path)
    shutil.copytree(tmp_path, tmp_path.with_name("other"))
    lived(tmp_path, 3)
    lived(tmp_path.with_name("other"), 9, stream="account:2")
    shutil.copyfile(tmp_path.with_name("other") / "events.db", tmp_path / "events.db")
    assert "record 8 is not the one" in lived(tmp_path)
    assert lived(tmp_path) == ""


def test_an_end_that_the_disk_has_lost_is_told_as_restored(tmp_path: Path) -> None:
    """A power cut where less than `durability = full` was asked for, or a write-ahead log that was left behind."""
    lived(tmp_path)
    with closing(EventLog.open(tmp_path)) as log:
        shutil.copyfile(tmp_path / "events.db", tmp_path / "without")
        log.append(facts(4, after=5))
        settle_end(tmp_path, log, T0, is_copy=False)
    (tmp_path / "without").replace(tmp_path / "events.db")
    assert "had come to record 9" in lived(tmp_path)
    assert told(tmp_path) == [("account:1", 5)]


@pytest.mark.parametrize("way", ["copied", "restored", "salvaged"])
def test_a_backup_is_known_as_that_in_a_home_that_has_known_no_log(tmp_path: Path, way: str) -> None:
    """Put there by hand, or salvaged, it is told at the start; by `cmam restore`, it was told already."""
    lived(tmp_path / "home")
    backup(tmp_path / "home", tmp_path / "copy.db")
    new = tmp_path / "new"
    new.mkdir()
    if way == "restored":
        restore(new, tmp_path / "copy.db", T0)
    else:
        shutil.copyfile(tmp_path / "copy.db", new / "events.db")
    if way == "salvaged":
        salvage(new, tmp_path / "good.db")
        put_in_place(new, tmp_path / "good.db")
    assert ("as a copy" in lived(new)) is (way != "restored")
    assert told(new) == [("account:1", 5)]
    assert [lived(new) for _ in range(2)] == ["", ""]


@pytest.mark.parametrize("content", [b"", b"12", b"x:" + b"0" * 64, b"\xff\xfe:1", b"9:12:7"])
def test_what_could_be_no_end_is_none(tmp_path: Path, content: bytes) -> None:
    """A witness that lacks says nothing, and is written again."""
    lived(tmp_path)
    (tmp_path / FILE).write_bytes(content)
    assert lived(tmp_path) == ""
    assert (tmp_path / FILE).read_text("ascii").startswith("10:")


def test_the_end_is_kept_while_the_log_is_written(tmp_path: Path) -> None:
    """Once a minute, by who only reads; a home that is gone is nobody's trouble here."""
    clock = ManualClock(T0)
    with closing(EventLog.open(tmp_path)) as log:
        watch = EndWatch(tmp_path, clock)
        log.append(facts(3))
        write_checkpoint(log)
        watch.look()
        assert not (tmp_path / FILE).exists()
        clock.advance(60 * SECOND_US)
        watch.look()
        assert (tmp_path / FILE).read_text("ascii").startswith("4:")
        assert log.append(facts(1, after=3)) == 5
    (tmp_path / "events.db").rename(tmp_path / "elsewhere")
    clock.advance(60 * SECOND_US)
    watch.look()
    assert (tmp_path / FILE).read_text("ascii").startswith("4:")


def test_a_file_that_the_home_has_not_written_is_held_whole(tmp_path: Path) -> None:
    """A record lacks ahead of the last checkpoint: a start does not look there in its own log, and does in a copy."""
    assert is_known(tmp_path)
    lived(tmp_path, 9)
    with closing(EventLog.open(tmp_path)) as log:
        log.connection.execute("DELETE FROM stored_events WHERE rowid = 4")
        log.write_checkpoint(T0)
        check_tail(log, is_known=is_known(tmp_path))
    shutil.copyfile(tmp_path / "events.db", tmp_path / "copy.db")
    (tmp_path / "copy.db").replace(tmp_path / "events.db")
    with closing(EventLog.open(tmp_path)) as log, pytest.raises(StoreBroken, match="account:1"):
        check_tail(log, is_known=is_known(tmp_path))


def test_a_copy_into_the_file_itself_is_held_whole_too(tmp_path: Path) -> None:
    """`cp` writes over the file that is there, whose number stays: the record that the home knows is not in it."""
    lived(tmp_path, 9)
    with closing(EventLog.open(tmp_path)) as log:
        log.write_checkpoint(T0)
    with sqlite3.connect(shutil.copyfile(tmp_path / "events.db", tmp_path / "torn")) as torn:
        torn.execute("DELETE FROM stored_events WHERE rowid = 4")
    torn.close()
    lived(tmp_path, 3)
    shutil.copyfile(tmp_path / "torn", tmp_path / "events.db")
    assert is_known(tmp_path)
    with pytest.raises(StoreBroken, match="account:1"):
        open_to_go_on(tmp_path, T0)


def test_a_copy_whose_snapshots_fit_is_not_read_whole(tmp_path: Path) -> None:
    """What is believed was made of it when it was whole; without them it is read, however long it is."""
    lived(tmp_path, 9)
    with closing(EventLog.open(tmp_path)) as log, closing(open_views(log, tmp_path / VIEWS_NAME)) as views:
        projector = Projector(log, views)
        projector.project()
        projector.keep_snapshots()
        log.connection.execute("DELETE FROM stored_events WHERE rowid = 4")
        log.write_checkpoint(T0)
    shutil.copyfile(tmp_path / "events.db", tmp_path / "copy.db")
    (tmp_path / "copy.db").replace(tmp_path / "events.db")
    for path in tmp_path.glob("events.db-*"):
        path.unlink()
    kept = [(path, path.read_bytes()) for path in tmp_path.glob("views.db*")]
    for path, _ in kept:
        path.unlink()
    with pytest.raises(StoreBroken, match="account:1"):
        open_to_go_on(tmp_path, T0)
    for path, data in kept:
        path.write_bytes(data)
    log, lost = open_to_go_on(tmp_path, T0)
    log.close()
    assert lost == ""


def test_a_file_that_follows_an_archive_is_held_from_its_own_beginning(tmp_path: Path) -> None:
    """What was archived was whole when that was done, and may be years of records."""
    lived(tmp_path)
    archive(tmp_path, T0)
    assert not is_known(tmp_path)
    with closing(EventLog.open(tmp_path)) as log:
        check_tail(log, is_known=False)
    assert lived(tmp_path) == ""
    assert is_known(tmp_path)
