"""The log: what goes in comes out, all of a batch or nothing, and never under another version."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import cmam
from cmam.domain.events import AlertRaised, Checkpointed, StoreCreated
from cmam.domain.values.ids import StoreId
from cmam.store.errors import RecordRefused, StoreBroken, StoreMissing, StoreNewer, StoreUnavailable, VersionConflict
from cmam.store.logfile import database
from cmam.store.logfile.database import APPLICATION_ID, Durability, lengthen_wal
from cmam.store.logfile.log import EventLog
from cmam.store.logfile.log_recorder import LogRecorder
from cmam.store.records.envelope import GENESIS, Pending, Raw, UnknownEvent
from cmam.store.records.forms import FORM

from .facts import T0, a_fact, a_log_of, facts, rows_of, write_checkpoint


def test_what_is_appended_is_read_back_with_all_that_stood_beside_it() -> None:
    """Time, cause, settings version, code version and place come back with the fact."""
    log = a_log_of()
    cause = a_fact(1, "account:7")
    effect = Pending("account:8", 1, T0 + 9, AlertRaised(kind="k", text="ä €"), ("account:7", 1), 42)
    assert log.append([cause, effect]) == 2
    found = log.read()[1]
    assert (found.stream, found.version, found.position) == ("account:8", 1, 2)
    assert (found.at_us, found.cause, found.settings, found.code) == (T0 + 9, ("account:7", 1), 42, "1.2.3")
    assert found.event == effect.event


@pytest.mark.parametrize(("durability", "number"), [("full", 2), ("normal", 1), ("none", 0)])
def test_a_writer_has_the_disk_write_down_as_much_as_was_asked_for(
    tmp_path: Path, durability: str, number: int
) -> None:
    """By the numbers that SQLite has for it; where a drive keeps bytes for later, it is told not to (macOS)."""
    with closing(EventLog.open(tmp_path, durability=durability)) as log:
        found = [log.connection.execute(f"PRAGMA {name}").fetchone() for name in ("synchronous", "fullfsync")]
    assert found == [(number,), (1,)]


def test_a_stream_is_read_in_order_across_pages() -> None:
    """Reading one stream passes over the others and does not stop at the end of a page."""
    log = a_log_of(facts(1_200), facts(3, "account:2"), facts(10, after=1_200))
    assert [record.version for record in log.read_stream("account:1")] == list(range(1, 1_211))
    assert [record.version for record in log.read_stream("account:1", after=1_205)] == [
        1_206,
        1_207,
        1_208,
        1_209,
        1_210,
    ]
    assert [record.position for record in log.read_all()] == list(range(1, 1_214))


def test_each_record_holds_the_hash_of_the_one_before_it_in_its_stream() -> None:
    """The chain is per stream and begins with zeros."""
    log = a_log_of(facts(2), facts(1, "account:2"), facts(1, after=2))
    one, two, other, three = log.read()
    assert (one.prev, other.prev) == (GENESIS, GENESIS)
    assert (two.prev, three.prev) == (one.hash, two.hash)
    assert log.head("account:1").hash == three.hash


@pytest.mark.parametrize("version", [1, 2, 4, 9])
def test_a_version_that_does_not_follow_the_last_is_refused(version: int) -> None:
    """A gap, a repetition or an older version is a loud error that names it, and nothing of its batch is written."""
    log = a_log_of(facts(2))
    with pytest.raises(VersionConflict) as caught:
        log.append([a_fact(1, "account:2"), a_fact(version, text="another")])
    assert (caught.value.stream, caught.value.version) == ("account:1", version)
    assert log.position() == 2


def test_the_same_record_again_counts_as_written() -> None:
    """After a lost answer the same batch is tried again: what is there byte for byte is not written twice."""
    log = a_log_of(facts(2))
    assert log.append([*facts(2), a_fact(3)]) == 3
    assert [record.version for record in log.read()] == [1, 2, 3]


def test_the_same_record_of_another_writer_is_not_ours(tmp_path: Path) -> None:
    """Two owners who begin at once write equal bytes: whoever comes second is told, and must send nothing."""
    first, second = EventLog.open(tmp_path), EventLog.open(tmp_path)
    assert second.head("account:1").version == 0
    first.append([a_fact(1)])
    with pytest.raises(VersionConflict):
        second.append([a_fact(1)])
    with pytest.raises(VersionConflict):
        second.append([a_fact(1)])
    assert second.position() == 1
    first.close()
    second.close()


def test_an_empty_batch_changes_nothing() -> None:
    """The position of the log is the answer to nothing too."""
    assert a_log_of(facts(3)).append([]) == 3


def test_what_cannot_be_json_is_refused_by_name_and_takes_nothing_with_it() -> None:
    """One bad fact stops its own stream, not the log."""
    log = a_log_of()
    bad = Pending("account:2", 1, T0, AlertRaised(kind="k", text="\ud800"))
    with pytest.raises(RecordRefused) as caught:
        log.append([a_fact(1), bad])
    assert caught.value.stream == "account:2"
    assert log.append([a_fact(1)]) == 1


def test_the_states_are_json_text_for_any_tool(tmp_path: Path) -> None:
    """Any SQLite tool shows the log as readable JSON, and its JSON functions take it."""
    log = EventLog.open(tmp_path)
    log.append([Pending("app", 1, T0, StoreCreated(store="abcde"))])
    log.close()
    with sqlite3.connect(tmp_path / "events.db") as tool:
        (state, kind) = tool.execute("SELECT state, typeof(state) FROM stored_events").fetchone()
        (name,) = tool.execute("SELECT json_extract(state, '$.data.store') FROM stored_events").fetchone()
    tool.close()
    assert (kind, name) == ("text", "abcde")
    assert list(json.loads(state)) == ["form", "at_us", "cause", "settings", "code", "prev", "data"]


def test_a_second_opening_goes_on_where_the_first_ended(tmp_path: Path) -> None:
    """Heads, positions and the hash over the whole log survive, also across a checkpoint."""
    log = EventLog.open(tmp_path)
    log.append(facts(3))
    write_checkpoint(log)
    log.append(facts(2, "account:2"))
    heads, head = log.heads(), log.log_head()
    log.close()
    again = EventLog.open(tmp_path)
    assert (again.heads(), again.log_head()) == (heads, head)
    assert again.append([a_fact(4)]) == 7
    again.close()


def test_a_reader_sees_what_is_committed_beside_it(tmp_path: Path) -> None:
    """A read-only log follows the writer, and its data version tells that there is something new."""
    log = EventLog.open(tmp_path)
    log.append(facts(1))
    reader = EventLog.read_only(tmp_path)
    before = reader.data_version()
    assert reader.position() == 1
    log.append(facts(2, after=1))
    assert reader.data_version() != before
    assert [record.version for record in reader.read(1)] == [2, 3]
    reader.close()
    log.close()


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    """The right to write is the lock holder's alone."""
    EventLog.open(tmp_path).close()
    reader = EventLog.read_only(tmp_path)
    with pytest.raises(sqlite3.OperationalError):
        reader.connection.execute("DELETE FROM stored_events")
    reader.close()


def test_an_unknown_topic_and_unreadable_data_are_kept_as_they_are() -> None:
    """A fold never stumbles over what a newer version wrote: it gets the topic and the data as text."""
    log = a_log_of(facts(1))
    log.connection.execute("UPDATE stored_events SET topic = 'account.from_the_future'")
    (found,) = log.read()
    assert isinstance(found.event, UnknownEvent)
    assert (found.event.topic, json.loads(found.event.data)["kind"]) == ("account.from_the_future", "note")
    log.connection.execute("UPDATE stored_events SET topic = 'app.store_created'")
    (found,) = log.read()
    assert isinstance(found.event, UnknownEvent)
    assert "store" in found.event.why


def test_a_record_without_an_envelope_is_named() -> None:
    """Bytes that are no envelope stop the reading with the record's place, never with a wrong fact."""
    log = a_log_of(facts(3))
    log.connection.execute("UPDATE stored_events SET state = 'x' WHERE originator_version = 2")
    with pytest.raises(StoreBroken, match="Record 2 of account:1, at position 2"):
        log.read()


def test_rows_are_read_even_where_a_name_is_no_text_any_more() -> None:
    """Damage in the name of a stream or topic does not hide the rows around it from verify."""
    log = a_log_of(facts(3))
    log.connection.execute("UPDATE stored_events SET topic = CAST(x'ff41' AS TEXT) WHERE originator_version = 2")
    assert [raw.topic for raw in rows_of(log)] == ["account.alert_raised", "\ufffdA", "account.alert_raised"]


def test_a_folder_without_a_store_is_said_so(tmp_path: Path) -> None:
    """Looking at an empty folder makes nothing there and names what was expected."""
    with pytest.raises(StoreMissing, match=r"expected events\.db"):
        EventLog.read_only(tmp_path / "nowhere")
    assert not list(tmp_path.iterdir())


def test_a_log_that_a_newer_cmam_has_written_on_is_looked_at_and_not_written(tmp_path: Path) -> None:
    """What it recorded and we do not know would be left out of what is believed, without a word."""
    with closing(EventLog.open(tmp_path)) as log:
        log.append(facts(3))
        log.append(facts(1, "account:2"))
        newer = f'"form":{FORM + 1},', '"code":"7.7.7"'
        change = "UPDATE stored_events SET state = replace(replace(state, ?, ?), ?, ?) WHERE rowid = 3"
        log.connection.execute(change, (f'"form":{FORM},', newer[0], f'"code":"{log.code}"', newer[1]))
    ours = re.escape(f"A newer cmam than this one ({cmam.__version__}) wrote {tmp_path / 'events.db'}")
    what = f"records of form {FORM + 1}, and this one knows forms up to {FORM}"
    with pytest.raises(StoreNewer, match=rf"{ours}: it has {what}\. It is version 7\.7\.7\. Install version 7\.7\.7"):
        EventLog.open(tmp_path)
    with closing(EventLog.read_only(tmp_path)) as log:
        assert log.position() == 4


def test_a_link_to_a_disk_that_is_not_there_is_left_alone(tmp_path: Path) -> None:
    """No command puts an empty log in the place of one that is elsewhere, or shows an empty home."""
    home, disk = tmp_path / "home", tmp_path / "disk"
    home.mkdir()
    disk.mkdir()
    (home / "events.db").symlink_to(disk / "events.db")
    for opened in (EventLog.open, EventLog.read_only):
        with pytest.raises(StoreBroken, match="is its disk mounted") as caught:
            opened(home)
        assert not isinstance(caught.value, StoreMissing), "it would pass for a home in which nothing was set up"
    assert (home / "events.db").is_symlink()
    assert [path.name for path in home.iterdir()] == ["events.db"]


def test_what_lies_beside_a_linked_log_is_found_where_sqlite_lays_it(tmp_path: Path) -> None:
    """A write-ahead log that has grown long is folded back, and counts as part of the log, behind a link too."""
    home, disk = tmp_path / "home", tmp_path / "disk"
    home.mkdir()
    with closing(EventLog.open(disk)) as log:
        log.append(facts(3))
    (home / "events.db").symlink_to(disk / "events.db")
    with closing(EventLog.open(home)) as log:
        lengthen_wal(log.connection, log.path)
        assert (disk / "events.db-wal").stat().st_size > 1 << 20
        log.append(facts(1, after=3))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(database, "WAL_BYTES_MAX", 1)
            assert log.is_tidy_due()


@pytest.mark.parametrize(
    "content", [b"", b"hello, this is a letter to my aunt\n" * 30, b"SQLite format 3\x00" + b"\xff" * 5_000]
)
def test_a_file_that_is_no_store_is_refused_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    """An empty, a foreign and a garbled file are refused by name, and stay as they are."""
    (tmp_path / "events.db").write_bytes(content)
    for opened in (EventLog.open, EventLog.read_only):
        with pytest.raises(StoreBroken) as caught:
            opened(tmp_path)
        assert "events.db" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert (tmp_path / "events.db").read_bytes() == content


def test_somebody_elses_database_is_refused(tmp_path: Path) -> None:
    """A database of another program is neither used nor changed."""
    with sqlite3.connect(tmp_path / "events.db") as other:
        other.execute("CREATE TABLE stored_events (originator_id, originator_version, topic, state)")
    other.close()
    with pytest.raises(StoreBroken, match="not an event store of cmam"):
        EventLog.open(tmp_path)


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    """A store that a newer cmam wrote is not touched by an older one."""
    EventLog.open(tmp_path).close()
    with sqlite3.connect(tmp_path / "events.db") as newer:
        assert newer.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        newer.execute("PRAGMA user_version=99")
    newer.close()
    with pytest.raises(StoreBroken, match="newer cmam"):
        EventLog.read_only(tmp_path)


def test_a_place_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    """A folder that cannot be made is a sentence with the path in it, not a traceback of SQLite."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="cannot be made"):
        EventLog.open(tmp_path / "file" / "home")


@pytest.mark.parametrize("is_there", [False, True])
def test_a_file_system_without_a_write_ahead_log_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    """SQLite says nothing but the mode it keeps: each look at the log would then hold up what is recorded."""
    if is_there:
        log = a_log_of()
        with closing(sqlite3.connect(tmp_path / "events.db")) as rolled_back:
            log.connection.backup(rolled_back)
            rolled_back.execute(f"PRAGMA application_id={APPLICATION_ID}")
    before = sorted(tmp_path.iterdir())
    connect = database._connect
    without = "&vfs=unix-none"  # it has no shared memory, as SQLite finds on some file systems
    monkeypatch.setattr(database, "_connect", lambda path, mode, extra="": connect(path, mode, extra + without))
    with pytest.raises(StoreUnavailable, match=f"{tmp_path} cannot hold an event store: SQLite has no write-ahead log"):
        EventLog.open(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_a_store_is_whole_or_not_there(tmp_path: Path) -> None:
    """The file appears under its name only once its tables are in it, and is for its owner alone."""
    EventLog.open(tmp_path).close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events.db", "events.db-shm", "events.db-wal"]
    assert (tmp_path / "events.db").stat().st_mode & 0o077 == 0


def test_a_last_checkpoint_is_written_once() -> None:
    """At an orderly stop all heads go on record; again with nothing new, or in an empty log, writes nothing."""
    log = a_log_of()
    log.write_checkpoint(T0)
    assert log.position() == 0
    log.append(facts(2))
    log.write_checkpoint(T0)
    log.write_checkpoint(T0)
    assert [record.stream for record in log.read()] == ["account:1", "account:1", "app"]
    event = log.read()[-1].event
    assert isinstance(event, Checkpointed)
    assert event.heads["account:1"] == str(log.head("account:1"))


def test_who_asks_for_a_head_while_the_log_reads_itself_again_turns_nothing_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The operator does, for a connection that begins, in a thread of its own: what it had read before the recorder
    went on became what the recorder knew, and a stream that was in order ended with a conflict."""
    log = a_log_of(facts(2))
    log.refresh()
    rows, waiting = log._rows, facts(1, after=2)

    def interrupted(statement: str, values: tuple[object, ...]) -> list[Raw]:
        found = rows(statement, values)
        if waiting:
            log.append([waiting.pop()])
        return found

    monkeypatch.setattr(log, "_rows", interrupted)
    log.head("connection:new")
    assert log.append([*waiting, *facts(1, after=3)]) == 4


def test_checkpoints_keep_reopening_quick_and_exact() -> None:
    """The hash over the log is taken up from the last checkpoint and comes out the same as from the beginning."""
    log = a_log_of(facts(5), facts(5, "account:2"), checkpoints=True)
    log.append(facts(2, after=5))
    remembered = log.log_head()
    log.refresh()
    assert log.log_head() == remembered
    assert isinstance(log.read()[-3].event, Checkpointed)


def test_a_fold_reads_no_checkpoint() -> None:
    """There is one a minute, for years, and each command folds their stream."""
    log = a_log_of(facts(2), [Pending("app", 2, T0, StoreCreated(store=StoreId("abcde")))], checkpoints=True)
    kinds = [type(fact[4]) for fact in log.facts_of("app", 0, log.position())]
    assert kinds == [StoreCreated]
    assert log.head("app").version == 3


def test_what_a_deleted_log_left_beside_it_is_put_aside(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A write-ahead log without its database belongs to nobody: the new log begins empty, the old pages are kept, which
    is said."""
    for ending in ("-wal", "-shm"):
        (tmp_path / f"events.db{ending}").write_bytes(b"what was there before")
    log = EventLog.open(tmp_path)
    assert log.position() == 0
    log.close()
    (tmp_path / "events.db").unlink()
    EventLog.open(tmp_path).close()  # what an orderly end leaves is no page of anybody's
    assert (tmp_path / "events.db-wal.left").read_bytes() == b"what was there before"
    assert [record.getMessage().partition(" beside ")[2] for record in caplog.records] == [
        f"{tmp_path / 'events.db'}, and is kept as events.db-wal.left"
    ]


def test_a_write_ahead_log_that_was_folded_back_is_not_long_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file is cut when it begins anew: one that stayed long would be folded back again and again under load."""
    monkeypatch.setattr(database, "WAL_BYTES_MAX", 400_000)
    monkeypatch.setattr(database, "WAL_BYTES_KEPT", 100_000)
    log = EventLog.open(tmp_path, durability="none")
    version = 0
    while not log.is_tidy_due():
        version += 1
        log.append([Pending("app", version, T0, StoreCreated(store="abcde"))])
    log.tidy()
    log.append([Pending("app", version + 1, T0, StoreCreated(store="abcde"))])
    assert not log.is_tidy_due()
    log.close()


def test_a_write_ahead_log_is_lengthened_once_and_holds_nothing_of_what_lengthened_it(tmp_path: Path) -> None:
    """Appends overwrite what its file has, before and after it was folded back; the database does not grow with it."""
    log = EventLog.open(tmp_path)
    log.append(facts(1))
    (pages,) = log.connection.execute("PRAGMA page_count").fetchone()
    cache = log.connection.execute("PRAGMA cache_size").fetchone()
    wal = tmp_path / "events.db-wal"
    assert wal.stat().st_size < 100_000
    database.lengthen_wal(log.connection, log.path)
    length = wal.stat().st_size
    assert 3_500_000 < length <= database.WAL_BYTES_KEPT
    for version in range(1, 300):
        log.append(facts(1, after=version))
        if version % 100 == 0:
            log.tidy()
    assert wal.stat().st_size == length
    assert log.connection.execute("PRAGMA cache_size").fetchone() == cache
    assert log.connection.execute("PRAGMA page_count").fetchone()[0] < pages + 100
    with closing(EventLog.read_only(tmp_path).connection) as beside:
        assert beside.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert beside.execute("SELECT count(*) FROM stored_events").fetchone() == (300,)
        assert beside.execute("SELECT count(*) FROM sqlite_master WHERE name = 'filling'").fetchone() == (0,)
    log.close()
    assert wal.stat().st_size == 0


def test_lengthening_takes_no_room_that_records_will_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a disk that is nearly full the write-ahead log stays short, and where a quota ends first it is short again."""
    log = EventLog.open(tmp_path)
    log.append(facts(1))
    wal = tmp_path / "events.db-wal"
    length = wal.stat().st_size
    with monkeypatch.context() as little:
        little.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1 << 40, 1 << 40, 8 << 20))
        database.lengthen_wal(log.connection, log.path)
    assert wal.stat().st_size == length
    log.connection.execute("PRAGMA max_page_count=500")  # more than the cache holds: it has spilled before it is full
    database.lengthen_wal(log.connection, log.path)
    assert wal.stat().st_size <= length
    assert log.append(facts(1, after=1)) == 2
    log.close()


def test_a_log_that_somebody_has_locked_is_not_read_as_if_nobody_wrote_it(tmp_path: Path) -> None:
    """A tool in the middle of rewriting the file: what lies there now may be half of it, so the reader is told."""
    with closing(EventLog.open(tmp_path)) as log:
        log.append(facts(3))
    path = tmp_path / "events.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=DELETE").fetchone()
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreUnavailable, match="another process has locked it"):
            EventLog.read_only(tmp_path)
        other.execute("ROLLBACK")
        with closing(EventLog.read_only(tmp_path)) as log:
            assert log.position() == 3


def test_what_a_start_needs_on_a_full_disk_is_there_already(tmp_path: Path) -> None:
    """SQLite's index of the write-ahead log stays: it could not be made where nothing is free, and a start that is
    refused closes nothing. What it is an index of is folded back, so that the file alone is all there is."""
    with closing(EventLog.open(tmp_path)) as log:
        log.append(facts(3))
    assert (tmp_path / "events.db-shm").stat().st_size == 32_768
    assert (tmp_path / "events.db-wal").stat().st_size == 0
    (tmp_path / "copy").mkdir()
    shutil.copy(tmp_path / "events.db", tmp_path / "copy")
    for home in (tmp_path, tmp_path / "copy"):
        with closing(EventLog.open(home)) as log:
            assert log.append(facts(1, after=3)) == 4


@pytest.mark.parametrize("endings", [(), ("-wal", "-shm")])
def test_a_log_is_read_on_a_full_disk(tmp_path: Path, endings: tuple[str, ...]) -> None:
    """SQLite cannot make its index beside the file there; without a write-ahead log nothing needs it, and an emergency
    exit that reads the accounts must not end before it begins."""
    log = EventLog.open(tmp_path)
    log.append([Pending("app", 1, 1, StoreCreated(store=StoreId("abcde")))])
    log.close()
    for ending in endings:
        (tmp_path / f"events.db{ending}").unlink()
    full = (
        "import resource, sys; from pathlib import Path; from cmam.store.logfile.log import EventLog;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); log = EventLog.read_only(Path(sys.argv[1]));"
        "print(log.position()); log.close()"
    )
    said = subprocess.run([sys.executable, "-c", full, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (said.stdout, said.returncode) == ("1\n", 0), said.stderr


def test_memory_that_runs_out_in_sqlite_is_a_store_that_takes_nothing_now(tmp_path: Path) -> None:
    """Python tells it as its own MemoryError: the batch is tried again, as on a full disk, and nothing ends."""
    short = (
        "import sys; from contextlib import suppress; from pathlib import Path; "
        "from tests.unit.store.facts import facts;"
        "from cmam.store.errors import StoreUnavailable; from cmam.store.logfile.log import EventLog\n"
        "log = EventLog.open(Path(sys.argv[1]))\n"
        "with suppress(MemoryError):\n    log.connection.execute('PRAGMA hard_heap_limit=1')\n"
        "try:\n    log.append(facts(20_000))\n"
        "except StoreUnavailable as error:\n    print(error)"
    )
    said = subprocess.run([sys.executable, "-c", short, str(tmp_path)], capture_output=True, text=True, check=False)
    assert "memory ran out" in said.stdout, said.stderr
    with closing(EventLog.open(tmp_path)) as log:
        assert log.append(facts(1)) == 1


def test_a_deleted_log_that_is_locked_as_it_is_opened_again_is_opened_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever copies the new file at that moment must not leave a running cmam without a store until its next start."""
    log = EventLog.open(tmp_path)
    log.append(facts(3))
    (tmp_path / "events.db").unlink()
    opened = database.open_for_writing

    def open_beside(path: Path, durability: Durability) -> LogRecorder:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("PRAGMA locking_mode=EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            return opened(path, durability)

    with monkeypatch.context() as patch:
        patch.setattr(database, "open_for_writing", open_beside)
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match="another process has locked it"):
                log.append(facts(1, after=3))
    assert log.append(facts(1, after=3)) == 4
    log.close()
    with closing(EventLog.read_only(tmp_path)) as found:
        assert [raw.version for raw in found.raw()] == [1, 2, 3, 4]
