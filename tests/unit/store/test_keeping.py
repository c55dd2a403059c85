"""Backup, restore and archive: whole or not at all, chained on, and no record is ever deleted."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cmam.cli.main import run
from cmam.domain.events import LogRestored
from cmam.store.auditing.audit import Audit, verify_log
from cmam.store.auditing.pack import export_pack
from cmam.store.auditing.pack_check import verify_pack
from cmam.store.errors import StoreBroken, StoreMissing, StoreUnavailable
from cmam.store.logfile.database import FILE_NAME, is_store, lengthen_wal
from cmam.store.logfile.log import EventLog
from cmam.store.past import replay
from cmam.store.projection.projector import project_to_head
from cmam.store.projection.views_file import VIEWS_NAME, views_position
from cmam.store.records.envelope import Pending
from cmam.store.upkeep import keeping
from cmam.store.upkeep.growth import growth
from cmam.store.upkeep.keeping import archive, backup, restore
from cmam.store.upkeep.opening import open_to_go_on
from cmam.store.upkeep.salvage import put_in_place, salvage

from .facts import T0, facts
from .world import World, a_day


def test_a_backup_taken_while_the_store_is_written_is_whole(tmp_path: Path) -> None:
    """It holds all that was committed when it began, verifies, opens as a store, and is one file."""
    home = tmp_path / "home"
    log = EventLog.open(home)
    log.append(facts(700))
    head = backup(home, tmp_path / "copy.db")
    log.append(facts(5, after=700))
    assert head.position == 700
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy.db", "home"]
    assert (tmp_path / "copy.db").stat().st_mode & 0o077 == 0
    copied = EventLog.read_file(tmp_path / "copy.db")
    assert copied.position() == 700
    copied.close()
    log.close()
    (tmp_path / "again").mkdir()
    (tmp_path / "copy.db").rename(tmp_path / "again" / "events.db")
    restored = EventLog.open(tmp_path / "again")
    assert restored.append(facts(1, after=700)) == 701
    restored.close()


def test_a_backup_of_a_broken_store_says_that_it_is_broken(tmp_path: Path) -> None:
    """Nobody keeps a bad copy believing it to be good."""
    home = tmp_path / "home"
    log = EventLog.open(home)
    log.append(facts(10))
    log.connection.execute("UPDATE stored_events SET state = replace(state, 'note', 'Note') WHERE rowid = 4")
    log.close()
    with pytest.raises(StoreBroken, match="Record 4 of account:1"):
        backup(home, tmp_path / "copy.db")


def a_home(folder: Path, count: int = 20) -> Path:
    """A folder with a log in it."""
    with closing(EventLog.open(folder)) as log:
        log.append(facts(count))
    return folder


def test_a_backup_is_put_back_and_goes_on(tmp_path: Path) -> None:
    """Into an empty folder; the restored log has the backup's head, says that it was restored, and can be written."""
    head = backup(a_home(tmp_path / "home"), tmp_path / "copy.db")
    (tmp_path / "new").mkdir()
    done = restore(tmp_path / "new", tmp_path / "copy.db", T0)
    assert (done.head, done.replaced) == (head, None)
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["events.db"]
    assert stat.S_IMODE((tmp_path / "new" / "events.db").stat().st_mode) == 0o600
    with closing(EventLog.open(tmp_path / "new")) as log:
        noted = log.record("account:1", 21)
        assert noted is not None
        assert (noted.event, noted.at_us) == (LogRestored(position=20), T0)
        assert log.append(facts(1, after=21)) == 22
        assert verify_log(log, done.head).is_whole


def test_a_log_that_stands_there_is_moved_aside_only_when_asked(tmp_path: Path) -> None:
    """Nothing is lost by restoring: the newer log stays, under another name, and whole."""
    home = a_home(tmp_path / "home")
    backup(home, tmp_path / "copy.db")
    with closing(EventLog.open(home)) as log:
        log.append(facts(5, after=20))
    with pytest.raises(StoreUnavailable, match=r"25 records.*the backup has 20 records.*--replace"):
        restore(home, tmp_path / "copy.db", T0)
    done = restore(home, tmp_path / "copy.db", T0, replace=True)
    assert done.replaced is not None
    with closing(EventLog.read_file(done.replaced)) as old, closing(EventLog.read_only(home)) as new:
        assert (old.position(), new.position()) == (25, 21)
    again = restore(home, tmp_path / "copy.db", T0, replace=True)
    assert again.replaced != done.replaced


def test_a_damaged_log_is_moved_aside_and_a_damaged_backup_is_refused(tmp_path: Path) -> None:
    """The one is why there are backups; the other must not take the place of anything."""
    home = a_home(tmp_path / "home")
    backup(home, tmp_path / "copy.db")
    (home / "events.db").write_bytes(b"no database")
    assert restore(home, tmp_path / "copy.db", T0, replace=True).head.position == 20
    broken = (tmp_path / "copy.db").read_bytes().replace(b"account:1 7", b"account:1 8")
    (tmp_path / "broken.db").write_bytes(broken)
    with pytest.raises(StoreBroken, match=r"Nothing was restored: the backup is damaged\. Record 7 of account:1"):
        restore(home, tmp_path / "broken.db", T0, replace=True)
    with pytest.raises(StoreMissing, match="There is no backup"):
        restore(home, tmp_path / "nothing.db", T0)
    with closing(EventLog.read_only(home)) as log:
        assert log.position() == 21


@pytest.mark.parametrize(
    ("spoilt", "found"),
    [
        (lambda whole: whole[:9000], r"expected \d+ bytes, found 9000"),
        (lambda whole: whole[:4096] + b"\xaa" * 4096 + whole[8192:], "database disk image is malformed"),
        (lambda whole: whole.replace(b"account:1 7", b"account:1 8", 1), r"Record \d+ of account:1"),
    ],
)
def test_the_way_on_from_a_damaged_backup_is_none_for_a_damaged_log(
    tmp_path: Path, spoilt: Callable[[bytes], bytes], found: str
) -> None:
    """It said to restore the log from a backup, and to salvage a log that is not there."""
    backup(a_home(tmp_path / "home", 200), tmp_path / "copy.db")
    copy = tmp_path / "copy.db"
    copy.write_bytes(spoilt(copy.read_bytes()))
    (tmp_path / "new").mkdir()
    with pytest.raises(StoreBroken, match=rf"Nothing was restored: .*{found}.* Take another backup") as caught:
        restore(tmp_path / "new", copy, T0)
    assert "from a backup" not in str(caught.value)
    assert not list((tmp_path / "new").iterdir())


def test_nobody_waits_for_a_pipe_in_the_place_of_a_log_its_views_or_a_backup(tmp_path: Path) -> None:
    """Without a writer it would be waited for without a word, and a device taken for a log that was cut off."""
    home = a_home(tmp_path / "home")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/null")):
        with pytest.raises(StoreBroken, match="is no backup: expected a file"):
            restore(home, path, T0, replace=True)
        with pytest.raises(StoreUnavailable, match="a pipe or a device, and no file"):
            EventLog.read_file(path)
    os.mkfifo(home / VIEWS_NAME)
    assert views_position(home) is None
    (home / FILE_NAME).unlink()
    os.mkfifo(home / FILE_NAME)
    with pytest.raises(StoreUnavailable, match="a pipe or a device, and no file"):
        EventLog.read_only(home)


@pytest.mark.parametrize("replace", [False, True])
def test_a_log_is_not_put_in_the_place_of_itself(tmp_path: Path, replace: bool) -> None:
    """By whatever name: nothing happened since, and each account would be told that its log is an older one."""
    home = a_home(tmp_path / "home")
    (tmp_path / "link.db").symlink_to(home / "events.db")
    for path in (home / "events.db", tmp_path / "link.db"):
        with pytest.raises(StoreUnavailable, match="itself: expected a backup of it"):
            restore(home, path, T0, replace=replace)
    assert not list(home.glob("*.replaced-*"))
    with closing(EventLog.read_only(home)) as log:
        assert log.position() == 20


@pytest.mark.parametrize("content", [b"", b"a list of my aunts\n"])
def test_what_is_no_backup_is_not_taken_for_a_log_to_be_restored(tmp_path: Path, content: bytes) -> None:
    """A file named by mistake is no damaged log, whose way out is a backup."""
    (tmp_path / "names.txt").write_bytes(content)
    with pytest.raises(StoreBroken, match=r"names\.txt is no backup: expected a file that `cmam backup` wrote"):
        restore(a_home(tmp_path / "home"), tmp_path / "names.txt", T0, replace=True)


def test_an_archived_log_goes_on_in_a_new_file_as_one(tmp_path: Path) -> None:
    """Positions, versions, chains and heads continue; old and new are read, verified and written as one log."""
    home = a_home(tmp_path)
    with closing(EventLog.read_only(home)) as log:
        before = list(log.read_all())
    done = archive(home, T0)
    assert (done.first, done.last) == (1, 21)  # the last one is a checkpoint
    assert stat.S_IMODE(done.part.stat().st_mode) == 0o400
    assert done.part == home / "archive" / "events-1-21.db"
    with closing(EventLog.open(home)) as log:
        assert log.position() == 22
        assert log.append(facts(3, after=20)) == 25
        assert list(log.read_all())[:20] == before
        assert [record.version for record in log.read_stream("account:1")] == list(range(1, 24))
        assert [record.position for record in log.read(19, 10)] == [20, 21]
        assert log.record("account:1", 3) == before[2]
        assert log.heads() == {"account:1": log.head("account:1"), "app": log.head("app")}
        result = verify_log(log, done.head)
        assert (result.is_whole, result.records, result.checkpoints) == (True, 25, 2)
    twice = archive(home, T0)
    assert (twice.first, twice.last) == (22, 26)
    with closing(EventLog.open(home)) as log:
        assert (len(log.parts), log.position()) == (3, 27)
        assert verify_log(log, done.head).is_whole
        head = log.log_head()
        log.refresh()
        assert log.log_head() == head


def test_tampering_with_an_archived_part_is_found(tmp_path: Path) -> None:
    """Putting a part aside takes nothing from its protection."""
    home = a_home(tmp_path)
    done = archive(home, T0)
    done.part.chmod(0o600)
    done.part.write_bytes(done.part.read_bytes().replace(b"account:1 7", b"account:1 8"))
    with closing(EventLog.read_only(home)) as log:
        finding = verify_log(log).findings[0]
        assert (finding.stream, finding.version) == ("account:1", 7)


def test_an_archived_part_is_never_overwritten(tmp_path: Path) -> None:
    """After an older log was copied back by hand, the same positions may hold something else: both stay."""
    home = a_home(tmp_path / "home")
    backup(home, tmp_path / "copy.db")
    done = archive(home, T0)
    kept = done.part.read_bytes()
    shutil.copy(tmp_path / "copy.db", home / "events.db")
    with pytest.raises(StoreUnavailable, match="is there already"):
        archive(home, T0 + 1)
    assert done.part.read_bytes() == kept
    done.part.rename(tmp_path / "elsewhere.db")
    assert archive(home, T0 + 1).last == 21
    assert sorted(path.name for path in done.part.parent.iterdir()) == ["events-1-21.db"]


def test_without_an_older_part_the_log_is_not_read(tmp_path: Path) -> None:
    """Half a history would replay to something else; the sentence says which file is missing."""
    home = a_home(tmp_path)
    done = archive(home, T0)
    done.part.rename(tmp_path / "elsewhere.db")
    with pytest.raises(StoreBroken, match=r"begins at record 22: expected its older part .*events-…-21.db"):
        EventLog.read_only(home)
    with pytest.raises(StoreBroken, match="Put it back"):
        EventLog.open(home)


def test_what_is_good_of_a_damaged_new_part_is_salvaged_and_goes_on(tmp_path: Path) -> None:
    """The archived part stays where it is; the copy continues it."""
    home = a_home(tmp_path / "home")
    archive(home, T0)
    with closing(EventLog.open(home)) as log:
        log.append(facts(5, after=20))
        log.connection.execute("UPDATE stored_events SET state = '{' WHERE rowid = 25")
    done = salvage(home, tmp_path / "good.db")
    assert (done.records, done.left_out) == (3, 3)
    put_in_place(home, tmp_path / "good.db")
    with closing(EventLog.open(home)) as log:
        assert (log.position(), log.head("account:1").version) == (24, 22)
        assert verify_log(log).is_whole


def test_an_empty_log_or_one_just_archived_is_not_archived(tmp_path: Path) -> None:
    """No file that holds nothing but a checkpoint."""
    home = a_home(tmp_path)
    archive(home, T0)
    with pytest.raises(StoreUnavailable, match="nothing to archive"):
        archive(home, T0)


def test_a_log_whose_archive_the_disk_refused_at_the_last_is_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was archived, and no account is told that its log was restored."""
    home = a_home(tmp_path)

    def refused(place: Path) -> None:
        closed(place)
        raise StoreUnavailable("The disk answered with an error.")

    closed = keeping._close_for_good
    monkeypatch.setattr(keeping, "_close_for_good", refused)
    with pytest.raises(StoreUnavailable, match="Nothing was archived"):
        archive(home, T0)
    log, lost = open_to_go_on(home, T0)
    with closing(log):
        assert (log.position(), lost) == (21, "")


@pytest.mark.parametrize("at", ["linked", "begun"])
def test_a_crash_in_the_middle_of_archiving_leaves_a_log_that_goes_on(tmp_path: Path, at: str) -> None:
    """Before the new file has its name, the old one is still in place, and no copy put there; a second try does it."""
    home = a_home(tmp_path)
    with pytest.MonkeyPatch.context() as patch:

        def fall(*_: object) -> None:
            raise KeyboardInterrupt

        if at == "linked":
            patch.setattr(Path, "replace", fall)
        else:
            patch.setattr("cmam.store.upkeep.keeping._link", fall)
        with pytest.raises(KeyboardInterrupt):
            archive(home, T0)
    log, lost = open_to_go_on(home, T0)
    with closing(log):
        assert lost == ""
        assert log.append(facts(1, after=20)) == 22
    assert not (home / "events.db.next").exists()
    done = archive(home, T0)
    assert (done.first, done.last) == (1, 23)
    with closing(EventLog.read_only(home)) as log:
        assert verify_log(log).is_whole


def test_replay_audit_pack_and_backup_go_over_old_and_new(tmp_path: Path) -> None:
    """A day whose middle was archived says the same as one that was not."""
    world, whole = a_day(), Audit.of(a_day().log)
    records = [record for record in world.log.read_all() if record.topic != "app.checkpointed"]
    home = tmp_path / "home"
    for number, part in enumerate((records[:40], records[40:])):
        with closing(EventLog.open(home)) as log:
            for record in part:
                version = log.head(record.stream).version + 1
                log.append([Pending(record.stream, version, record.at_us, record.event, record.cause, record.settings)])
        if number == 0:
            archive(home, T0)
    with closing(EventLog.read_only(home)) as log:
        assert replay.verify(log.read_all()).is_identical
        assert log.position() == len(records) + 2
    project_to_head(home)
    with Audit.open(home) as audit:
        assert list(audit.copies()) == list(whole.copies())
        assert list(audit.decisions()) == list(whole.decisions())
        export_pack(audit, tmp_path / "all.pack")
    assert verify_pack(tmp_path / "all.pack").is_whole
    head = backup(home, tmp_path / "copy.db")
    assert head.position == len(records) + 2
    assert restore(home, tmp_path / "copy.db", T0, replace=True).head == head


def test_growth_reckons_with_records_and_not_with_the_room_made_for_them(tmp_path: Path) -> None:
    """A write-ahead log that was lengthened says nothing of how fast a log grows; records that lie in it do."""
    log = EventLog.open(tmp_path)
    log.append(facts(1))
    first = growth(tmp_path)
    lengthen_wal(log.connection, log.path)
    assert growth(tmp_path) == first
    log.append(facts(500, after=1))
    second = growth(tmp_path)
    assert first is not None
    assert second is not None
    assert first["bytes_per_day"] < 50_000 < second["bytes_per_day"]
    log.close()
    assert (tmp_path / "events.db").stat().st_size == second["bytes"]


def test_growth_is_told_for_the_last_day(tmp_path: Path) -> None:
    """Records and bytes of the day before the newest record, archive included; nothing without a log."""
    assert growth(tmp_path) is None
    world = World(log=EventLog.open(tmp_path)).set_up()
    world.tick(3 * 86_400_000_000)
    after = world.log.position()
    world.leader_opens()
    world.log.close()
    found = growth(tmp_path)
    assert found is not None
    assert (found["records"], found["records_per_day"]) == (after + found["records_per_day"], found["records"] - after)
    assert 0 < found["bytes_per_day"] < found["bytes"]
    archive(tmp_path, world.now)
    again = growth(tmp_path)
    assert again is not None
    assert again["archived_bytes"] > 0
    assert again["records"] == found["records"] + 2


def _bytes_of(home: Path) -> bytes:
    with closing(EventLog.read_only(home)) as log:
        return b"".join(raw.state for raw in log.raw())


@pytest.mark.parametrize("what", ["events.db", "archive/events-1-3.db"])
def test_no_backup_takes_the_place_of_a_log(tmp_path: Path, what: str) -> None:
    """Neither of its own, nor of another home's, nor of a part that is only read: a name typed wrong costs nothing."""
    home, other = a_home(tmp_path / "home"), a_home(tmp_path / "other", 3)
    (other / "archive").mkdir()
    (other / "archive" / "events-1-3.db").write_bytes((other / "events.db").read_bytes())
    (other / "lock").touch()
    before = (other / what).read_bytes()
    with pytest.raises(StoreUnavailable, match="log of a home"):
        backup(home, other / what)
    assert (other / what).read_bytes() == before


def test_no_backup_takes_the_place_of_its_own_log(tmp_path: Path) -> None:
    """By whatever name: a second way to the file leads to the file."""
    home = a_home(tmp_path / "home")
    (tmp_path / "link.db").symlink_to(home / "events.db")
    for path in (home / "events.db", tmp_path / "link.db", home / ".." / "home" / "events.db"):
        with pytest.raises(StoreUnavailable, match="log of a home"):
            backup(home, path)


def test_a_backup_takes_the_place_of_an_older_one_unless_the_log_is_broken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which is told; the last good backup stays where today's would not be whole."""
    home, copy = a_home(tmp_path / "home"), tmp_path / "events.db"
    assert run(["--home", str(home), "backup", str(copy)]) == 0
    assert "whole copy; its head" in capsys.readouterr().err
    with closing(EventLog.open(home)) as log:
        log.append(facts(5, after=20))
        assert run(["--home", str(home), "backup", str(copy)]) == 0
        assert "whole copy, in the place of an older backup; its head" in capsys.readouterr().err
        log.connection.execute("UPDATE stored_events SET state = replace(state, 'note', 'Note') WHERE rowid = 4")
    good = copy.read_bytes()
    with pytest.raises(StoreBroken, match="Record 4 of account:1"):
        backup(home, copy)
    assert copy.read_bytes() == good
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.db", "home"]


def test_no_backup_takes_the_place_of_another_logs_unless_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is kept of another log may be all that is left of it: the log of a home that was lost and begun anew."""
    home, copy = a_home(tmp_path / "home"), tmp_path / "copy.db"
    backup(home, copy)
    kept = copy.read_bytes()
    other = tmp_path / "other"
    with closing(EventLog.open(other)) as log:
        log.append(facts(30, "account:2"))
    assert run(["--home", str(other), "backup", str(copy)]) == 1
    said = capsys.readouterr().err
    assert "is a backup of another log" in said
    assert "began 2020-01-01T00:00:00.000Z" in said
    assert "--replace" in said
    assert copy.read_bytes() == kept
    assert run(["--home", str(other), "backup", str(copy), "--replace"]) == 0
    assert copy.read_bytes() != kept


def test_a_backup_from_before_an_archive_gives_way_to_one_from_after_it(tmp_path: Path) -> None:
    """It is the same log; its first record lies in the older part now."""
    home, copy = a_home(tmp_path / "home"), tmp_path / "copy.db"
    backup(home, copy)
    archive(home, T0)
    with closing(EventLog.open(home)) as log:
        log.append(facts(5, after=20))
    assert backup(home, copy) == backup(home, copy)


def test_a_damaged_backup_gives_way_only_if_asked(tmp_path: Path) -> None:
    """Whose it was cannot be told any more; what is good of it may still be salvaged."""
    home, copy = a_home(tmp_path / "home", 200), tmp_path / "copy.db"
    backup(home, copy)
    copy.write_bytes(copy.read_bytes()[:6000])
    with pytest.raises(StoreUnavailable, match="whose backup it is cannot be told"):
        backup(home, copy)
    assert backup(home, copy, replace=True).position == 200


def test_no_backup_takes_the_place_of_another_file(tmp_path: Path) -> None:
    """A name typed wrong costs nobody a table or a list; an empty file that was made for the backup is taken."""
    home, list_ = a_home(tmp_path / "home"), tmp_path / "copies.csv"
    list_.write_text("copy_id,profile\n")
    with pytest.raises(StoreUnavailable, match="no backup"):
        backup(home, list_)
    assert list_.read_text() == "copy_id,profile\n"
    list_.write_bytes(b"")
    backup(home, list_)
    assert is_store(list_)


@pytest.mark.parametrize("command", ["head", "export", "replay"])
def test_nothing_is_written_over_an_event_store(
    tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A head, a pack or the views under the log's own name would be all that is left of it."""
    home = a_home(tmp_path / "home")
    before, name = _bytes_of(home), str(home / "events.db")
    if command == "export":
        (home / "copy.pack").write_bytes((home / "events.db").read_bytes())
        name = str(home / "copy.pack")
    asked = {"head": ("audit", "head", name), "export": ("audit", "export", name), "replay": ("replay", "--to", name)}
    code, words = (1, "nothing is written over one") if command == "head" else (2, "is something else than")
    assert run(["--home", str(home), *asked[command]]) == code
    assert words in capsys.readouterr().err
    assert _bytes_of(home) == before


def test_an_exchange_that_was_ended_between_its_renames_is_told(tmp_path: Path) -> None:
    """No empty log is made beside the whole one that waits for its name: it would know of no copy."""
    home = a_home(tmp_path / "home")
    backup(home, tmp_path / "copy.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cmam.store.upkeep.keeping._move_aside", lambda place: place.unlink() or 1 / 0)
        with pytest.raises(ZeroDivisionError):
            restore(home, tmp_path / "copy.db", T0, replace=True)
    for opening in (EventLog.open, EventLog.read_only):
        with pytest.raises(StoreBroken, match=r"events\.db\.whole .* Rename it to events\.db"):
            opening(home)
    (home / "events.db.whole").rename(home / "events.db")
    with closing(EventLog.open(home)) as log:
        assert log.append(facts(1, after=21)) == 22


def killed_home(folder: Path) -> Path:
    """A home whose cmam was killed: its last records are in the write-ahead log alone."""
    lived, home = a_home(folder / "lived"), folder / "home"
    with closing(EventLog.open(lived)) as log:
        log.append(facts(30, after=20))
        shutil.copytree(lived, home)
    return home


@pytest.mark.parametrize("by_hand", [False, True], ids=["restored", "copied"])
def test_what_a_deleted_log_left_beside_it_is_not_written_into_its_backup(tmp_path: Path, by_hand: bool) -> None:
    """Its write-ahead log is kept under another name: the pages in it are those of another file."""
    home = killed_home(tmp_path)
    left = (home / "events.db-wal").read_bytes()
    backup(a_home(tmp_path / "other", 8), tmp_path / "copy.db")
    (home / "events.db").unlink()
    if by_hand:
        shutil.copyfile(tmp_path / "copy.db", home / "events.db")
    else:
        restore(home, tmp_path / "copy.db", T0)
    with closing(open_to_go_on(home, T0)[0]) as log:
        assert verify_log(log).is_whole
        assert log.position() == 9
    assert (home / "events.db-wal.left").read_bytes() == left


@pytest.mark.parametrize("way", ["deleted", "restored", "replaced"])
def test_a_journal_of_another_log_is_played_into_none(tmp_path: Path, way: str) -> None:
    """A cut of the power while an archive closes a log leaves a journal: SQLite wrote it into what came instead."""
    lived, home, other = a_home(tmp_path / "lived", 300), tmp_path / "home", a_home(tmp_path / "other", 8)
    backup(other, tmp_path / "copy.db")
    with closing(sqlite3.connect(lived / "events.db", isolation_level=None)) as connection:
        connection.executescript("PRAGMA journal_mode=DELETE; PRAGMA cache_size=1; BEGIN IMMEDIATE")
        connection.execute("CREATE TABLE filling AS SELECT zeroblob(400000)")
        shutil.copytree(lived, home)
    left = (home / "events.db-journal").read_bytes()
    if way != "replaced":
        (home / "events.db").unlink()
    if way != "deleted":
        restore(home, tmp_path / "copy.db", T0, replace=way == "replaced")
    with closing(open_to_go_on(home, T0)[0]) as log:
        assert verify_log(log).is_whole
        assert log.position() == (0 if way == "deleted" else 9)
    kept = "events.db.replaced-1-journal" if way == "replaced" else "events.db-journal.left"
    assert (home / kept).read_bytes() == left


@pytest.mark.parametrize("lacks", ["events.db", "events.db-wal"])
def test_a_restore_that_is_ended_in_the_middle_leaves_no_log_without_its_last_records(
    tmp_path: Path, lacks: str
) -> None:
    """What has not got its name aside yet is the log with all that is its, or nothing that could be started on."""
    home = killed_home(tmp_path)
    backup(home, tmp_path / "copy.db")

    def fall(source: Path, target: Path) -> Path:
        if source.name == lacks:
            raise KeyboardInterrupt
        return real(source, target)

    real = Path.replace
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "replace", fall)
        with pytest.raises(KeyboardInterrupt):
            restore(home, tmp_path / "copy.db", T0, replace=True)
    if (home / "events.db").exists():
        with closing(EventLog.open(home)) as log:
            assert log.position() == 50
    else:
        (home / "events.db.whole").rename(home / "events.db")  # as is asked for
        with closing(open_to_go_on(home, T0)[0]) as log:
            assert verify_log(log).is_whole
            assert log.position() == 51


def test_a_linked_log_is_archived_where_it_lies(tmp_path: Path) -> None:
    """The link goes on leading to the log of now, also a relative one, and the older part is a file of its own."""
    home, disk = tmp_path / "home", tmp_path / "disk"
    a_home(home)
    disk.mkdir()
    (home / "events.db").rename(disk / "events.db")
    (home / "events.db").symlink_to("../disk/events.db")
    done = archive(home, 1)
    assert (home / "events.db").is_symlink()
    assert not done.part.is_symlink()
    with closing(EventLog.read_only(home)) as log:
        assert log.log_head() == done.head
        assert [part.path.name for part in log.parts] == [done.part.name, "events.db"]
        assert verify_log(log).is_whole


def test_a_backup_takes_the_place_of_a_link_only_where_it_was_asked_for(tmp_path: Path) -> None:
    """The log behind it may be newer, on a disk that is only not mounted."""
    backup(a_home(tmp_path / "home"), tmp_path / "copy.db")
    other = tmp_path / "other"
    other.mkdir()
    (other / "events.db").symlink_to(tmp_path / "disk" / "events.db")
    with pytest.raises(StoreUnavailable, match="is its disk mounted"):
        restore(other, tmp_path / "copy.db", T0)
    assert (other / "events.db").is_symlink()
    restore(other, tmp_path / "copy.db", T0, replace=True)
    with closing(EventLog.read_only(other)) as log:
        assert log.position() == 21


def test_what_never_got_its_name_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full in the middle: no part, no journal, no second try's litter."""
    home = a_home(tmp_path / "home")

    def full(log: EventLog, path: Path) -> None:
        for ending in ("-journal", "-wal", "-shm"):
            path.with_name(path.name + ending).touch()
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr("cmam.store.upkeep.keeping._copy", full)
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        backup(home, tmp_path / "copy.db")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_log_that_somebody_reads_is_not_archived(tmp_path: Path) -> None:
    """Its write-ahead log cannot be taken away from a reader; it is a sentence, and all is as it was."""
    home = a_home(tmp_path)
    before = sorted(path.name for path in home.iterdir())
    reading = (
        "import sys; from pathlib import Path; from cmam.store.logfile.log import EventLog;"
        "log = EventLog.read_only(Path(sys.argv[1])); print(log.position(), flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", reading, str(home)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline()
        with pytest.raises(StoreUnavailable, match=r"another process has locked it.*Nothing was archived"):
            archive(home, T0)
        assert not list((home / "archive").iterdir())
        reader.communicate(b"")
    assert {path.name for path in home.iterdir()} - set(before) <= {"archive", "events.db-wal", "events.db-shm"}
    assert archive(home, T0).last == 21


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TRIGGER t AFTER INSERT ON stored_events BEGIN DELETE FROM stored_events WHERE rowid = new.rowid; END",
        "ALTER TABLE stored_events RENAME TO hidden; CREATE VIEW stored_events AS SELECT rowid, * FROM hidden LIMIT 5",
        (
            "ALTER TABLE stored_events RENAME TO old; CREATE TABLE stored_events (originator_id TEXT,"
            " originator_version INTEGER, topic TEXT, state BLOB,"
            " k TEXT AS (CASE WHEN originator_version > 20 THEN topic END),"
            " PRIMARY KEY (originator_id, originator_version), UNIQUE (k) ON CONFLICT REPLACE);"
            " INSERT INTO stored_events (rowid, originator_id, originator_version, topic, state)"
            " SELECT rowid, originator_id, originator_version, topic, state FROM old; DROP TABLE old"
        ),
    ],
    ids=["trigger", "view", "computed"],
)
def test_what_writes_or_shows_other_records_is_in_no_log_of_ours(tmp_path: Path, script: str) -> None:
    """The chain covers records alone: a backup kept where others write could carry what changes them after they were
    verified, and was restored with it."""
    home = tmp_path / "home"
    log = EventLog.open(home)
    log.append(facts(20))
    backup(home, tmp_path / "copy.db")
    log.close()
    for place in (tmp_path / "copy.db", home / FILE_NAME):
        with closing(sqlite3.connect(place)) as connection:
            connection.executescript(script)
    for use in (
        lambda: EventLog.read_file(tmp_path / "copy.db"),
        lambda: restore(tmp_path / "new", tmp_path / "copy.db", T0),
        lambda: EventLog.open(home),
        lambda: EventLog.read_only(home),
    ):
        with pytest.raises(StoreBroken, match="which no cmam makes"):
            use()
    assert not (tmp_path / "new" / FILE_NAME).exists()
