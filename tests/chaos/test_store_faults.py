"""Faults of the disk, the file and the process: nothing acknowledged is lost, nothing half is kept, and it is said so.

Each test prints its seed first; `CHAOS_SEED=n` replays one.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from cmam.domain.events import AlertRaised
from cmam.store.errors import StoreBroken, StoreError, StoreUnavailable, VersionConflict
from cmam.store.logfile.log import EventLog
from cmam.store.projection import attendant
from cmam.store.projection.projector import project_to_head
from cmam.store.projection.views_file import open_views, views_position
from cmam.store.proof.verify import verify
from cmam.store.records.envelope import Pending

KILLS = 8


@pytest.fixture
def seed() -> int:
    """The seed of this run: fixed, unless another one is asked for."""
    found = int(os.environ.get("CHAOS_SEED", "20260"))
    print(f"seed {found}")
    return found


def _fact(version: int, stream: str = "account:1", text: str = "") -> Pending:
    return Pending(stream, version, version, AlertRaised(kind="k", text=text or f"{stream} {version}"))


def _store(home: Path, count: int = 300) -> EventLog:
    log = EventLog.open(home)
    for version in range(1, count + 1):
        log.append([_fact(version), _fact(version, "account:2")])
    return log


# --- the process dies ---------------------------------------------------------------------------------------------

_WRITER = """
import random, sys
from pathlib import Path
from cmam.domain.events import AlertRaised
from cmam.store.logfile.database import lengthen_wal
from cmam.store.logfile.log import EventLog, Pending
rng, log = random.Random(int(sys.argv[2])), EventLog.open(Path(sys.argv[1]))
if rng.random() < 0.5:
    lengthen_wal(log.connection, log.path)
print("ready", flush=True)
batch = 0
while True:
    batch += 1
    size = rng.randint(1, 40)
    pendings = []
    for number in range(size):
        stream = rng.choice(["account:1", "account:2", "app"])
        last = sum(1 for p in pendings if p.stream == stream) + log.head(stream).version
        text = f"{sys.argv[2]} {batch} {number + 1}/{size}"
        pendings.append(Pending(stream, last + 1, batch, AlertRaised(kind="k", text=text)))
    position = log.append(pendings)
    if rng.random() < 0.1:
        log.tidy()
    print(position, flush=True)
"""


def test_a_writer_killed_at_any_moment_loses_nothing_it_acknowledged(tmp_path: Path, seed: int) -> None:
    """After each kill: all acknowledged records are there, each batch whole or not at all, the chains whole."""
    rng = random.Random(seed)
    for kill in range(KILLS):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITER, str(tmp_path), str(seed + kill)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        acknowledged = 0
        assert writer.stdout.readline() == "ready\n"
        for _ in range(rng.randint(0, 60)):
            acknowledged = int(writer.stdout.readline())
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.communicate()[0].splitlines()
        acknowledged = int(rest[-1]) if rest else acknowledged
        log = EventLog.open(tmp_path)
        assert log.position() >= acknowledged
        assert verify(log.raw()).is_whole
        _assert_batches_are_whole(log)
        log.close()


def _assert_batches_are_whole(log: EventLog) -> None:
    seen: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for record in log.read_all():
        assert isinstance(record.event, AlertRaised)
        run, batch, place = record.event.text.split()
        number, size = map(int, place.split("/"))
        name = f"{run} {batch}"
        seen[name], sizes[name] = seen.get(name, 0) + 1, size
        assert number == seen[name]
    assert seen == sizes


# --- the disk ------------------------------------------------------------------------------------------------------


def test_a_full_database_refuses_the_batch_and_takes_it_later(tmp_path: Path) -> None:
    """Nothing of the refused batch is kept, nothing is renumbered, and the same batch goes in once there is room."""
    log = _store(tmp_path, 50)
    (pages,) = log.connection.execute("PRAGMA page_count").fetchone()
    log.connection.execute(f"PRAGMA max_page_count={pages + 2}")
    batch = [_fact(version, text="x" * 2_000) for version in range(51, 71)]
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="disk is full"):
            log.append(batch)
        assert log.position() == 100
        assert log.head("account:1").version == 50
    log.connection.execute("PRAGMA max_page_count=1000000")
    assert log.append(batch) == 120
    assert verify(log.raw()).is_whole
    log.close()


_LIMITED = """
import resource, signal, sys
from pathlib import Path
from cmam.domain.events import AlertRaised
from cmam.store.logfile.database import lengthen_wal
from cmam.store.errors import StoreUnavailable
from cmam.store.logfile.log import EventLog, Pending
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
log = EventLog.open(Path(sys.argv[1]))
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
lengthen_wal(log.connection, log.path)  # for which there is no room
version, refused = 1, 0
while version <= 400:
    batch = [Pending("account:1", version + n, 1, AlertRaised(kind="k", text="y" * 900)) for n in range(5)]
    try:
        log.append(batch)
    except StoreUnavailable:
        refused += 1
        assert log.position() == version - 1, (log.position(), version)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000 * (refused + 1), hard))
        continue
    version += 5
log.close()
print(refused)
"""


def test_writes_that_the_system_refuses_are_tried_again_as_they_were(tmp_path: Path) -> None:
    """A write error in the middle of a commit leaves the log as before; the same batch then goes in, once."""
    done = subprocess.run([sys.executable, "-c", _LIMITED, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 1
    log = EventLog.read_only(tmp_path)
    assert log.position() == 400
    assert verify(log.raw()).is_whole
    log.close()


def test_a_lock_held_by_another_program_is_waited_for_shortly_and_survived(tmp_path: Path) -> None:
    """Somebody's SQLite tool that holds the file makes the store unavailable, not broken, and only that long."""
    log = _store(tmp_path, 3)
    with sqlite3.connect(tmp_path / "events.db", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="locked"):
            log.append([_fact(4)])
        other.execute("ROLLBACK")
    other.close()
    assert log.append([_fact(4)]) == 7
    log.close()


def test_an_answer_that_was_lost_does_not_write_the_batch_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit went through and its answer did not: the same batch again is found to be there."""
    log = _store(tmp_path, 3)
    insert = log._recorder.insert_rows

    def lost(*arguments: object, **options: object) -> None:
        insert(*arguments, **options)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(log._recorder, "insert_rows", lost)
    with pytest.raises(StoreError):
        log.append([_fact(4), _fact(4, "account:2")])
    monkeypatch.undo()
    assert log.append([_fact(4), _fact(4, "account:2"), _fact(5)]) == 9
    assert verify(log.raw()).is_whole
    assert verify(log.raw()).head == log.log_head()
    log.close()


def test_a_file_taken_away_is_noticed(tmp_path: Path) -> None:
    """Records are never written where nobody will look for them."""
    log = _store(tmp_path, 3)
    (tmp_path / "events.db").rename(tmp_path / "elsewhere.db")
    with pytest.raises(StoreUnavailable, match="moved or replaced"):
        log.append([_fact(4)])
    (tmp_path / "elsewhere.db").rename(tmp_path / "events.db")
    assert log.append([_fact(4)]) == 7
    log.close()


def test_a_file_that_was_deleted_is_written_anew_with_everything_in_it(tmp_path: Path) -> None:
    """Nothing that was acknowledged is lost, also what was in its write-ahead log only; readers find a whole store."""
    log = _store(tmp_path, 30)
    for path in tmp_path.iterdir():
        path.unlink()
    assert log.append([_fact(31)]) == 61
    assert log.append([_fact(31, "account:2")]) == 62
    reader = EventLog.read_only(tmp_path)
    assert [record.position for record in reader.read_all()] == list(range(1, 63))
    assert verify(reader.raw()).is_whole
    reader.close()
    log.close()
    again = EventLog.open(tmp_path)
    assert again.position() == 62
    again.close()


def test_a_file_that_was_replaced_is_not_written_to(tmp_path: Path) -> None:
    """Another store under the name is somebody's doing: it stays as it is, and so does ours."""
    log = _store(tmp_path / "ours", 3)
    _store(tmp_path / "theirs", 5).close()
    theirs = (tmp_path / "theirs" / "events.db").read_bytes()
    shutil.copy(tmp_path / "theirs" / "events.db", tmp_path / "ours" / "fresh.db")
    (tmp_path / "ours" / "fresh.db").rename(tmp_path / "ours" / "events.db")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="replaced"):
            log.append([_fact(4)])
    assert (tmp_path / "ours" / "events.db").read_bytes() == theirs


# --- the file ------------------------------------------------------------------------------------------------------


def _rows_or_error(home: Path) -> list[tuple[object, ...]] | str:
    """All rows if the store opens and verifies as whole, else what is said of it."""
    try:
        log = EventLog.read_only(home)
        try:
            result = verify(log.raw())
            if not result.is_whole:
                return result.findings[0].text
            return [(raw.position, raw.stream, raw.version, raw.topic, raw.state) for raw in log.raw()]
        finally:
            log.close()
    except StoreError as error:
        return str(error)


def test_a_store_cut_off_anywhere_is_never_taken_for_a_shorter_one(tmp_path: Path, seed: int) -> None:
    """At every length the file is refused by name: the records before the cut do not pass for all there were."""
    _store(tmp_path / "home").close()
    whole = (tmp_path / "home" / "events.db").read_bytes()
    rng = random.Random(seed)
    for length in [0, 1, 50, 99, 100, 4_095, 4_096, *(rng.randrange(len(whole)) for _ in range(30)), len(whole) - 1]:
        home = tmp_path / "cut"
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir()
        (home / "events.db").write_bytes(whole[:length])
        for opened in (EventLog.open, EventLog.read_only):
            with pytest.raises(StoreBroken):
                opened(home)
        assert (home / "events.db").read_bytes() == whole[:length]


def test_a_flipped_bit_is_found_or_changes_nothing(tmp_path: Path, seed: int) -> None:
    """Wherever it flips, the store is refused, or verify names a record, or every record is as it was that a later one
    vouches for: of the last of each of the two streams no checkpoint holds the hash yet."""
    log = _store(tmp_path / "home", 100)
    log.close()
    whole = (tmp_path / "home" / "events.db").read_bytes()
    rows = _rows_or_error(tmp_path / "home")
    assert isinstance(rows, list)
    vouched_for = rows[:-2]
    rng, found = random.Random(seed), 0
    home = tmp_path / "flipped"
    home.mkdir()
    for _ in range(150):
        changed = bytearray(whole)
        changed[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        for path in home.iterdir():
            path.unlink()
        (home / "events.db").write_bytes(changed)
        seen = _rows_or_error(home)
        found += isinstance(seen, str)
        assert isinstance(seen, str) or seen[:-2] == vouched_for
    assert found > 75


# --- two writers -----------------------------------------------------------------------------------------------------


def test_of_two_owners_of_a_stream_the_second_is_refused(tmp_path: Path) -> None:
    """With the lock bypassed, the unique (stream, version) is the fence: the loser's batch is not written at all."""
    one = _store(tmp_path, 3)
    two = EventLog.open(tmp_path)
    assert two.head("account:1").version == 3
    assert one.append([_fact(4, text="one")]) == 7
    with pytest.raises(VersionConflict) as caught:
        two.append([_fact(4, "account:2"), _fact(4, text="two")])
    assert (caught.value.stream, caught.value.version) == ("account:1", 4)
    assert one.append([_fact(5)]) == 8
    with pytest.raises(VersionConflict):
        two.append([_fact(6)])  # it would follow what it has never seen; its actor must read the stream again
    assert [record.version for record in one.read_stream("account:2")] == [1, 2, 3]
    assert verify(one.raw()).is_whole
    one.close()
    two.close()


def test_a_second_owners_record_is_not_ours_however_equal(tmp_path: Path) -> None:
    """Two processes that write the same bytes at the same place: one of them wrote, the other one is refused."""
    one = _store(tmp_path, 3)
    two = EventLog.open(tmp_path)
    assert two.head("account:1").version == 3
    one.append([_fact(4)])
    for _ in range(2):
        with pytest.raises(VersionConflict):
            two.append([_fact(4)])
    assert one.append([_fact(4)]) == 7  # the same once more from its writer is no second record
    one.close()
    two.close()


def test_two_owners_of_different_streams_do_not_break_the_log(tmp_path: Path) -> None:
    """Each goes on with its own streams, and both know where the whole log stands."""
    one = _store(tmp_path, 3)
    two = EventLog.open(tmp_path)
    for version in range(1, 20):
        one.append([_fact(version, "account:8")])
        two.append([_fact(version, "account:9"), _fact(version, "account:10")])
    head = verify(one.raw()).head
    one.refresh()
    assert head == two.log_head() == one.log_head()
    assert verify(one.raw()).is_whole
    one.close()
    two.close()


# --- a folder that may not be written ------------------------------------------------------------------------------


@pytest.fixture
def sealed() -> Iterator[Path]:
    """A folder that anybody may read and nobody may write but its owner."""
    folder = Path(tempfile.mkdtemp(prefix="cmam-sealed-"))
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


_AS_SOMEBODY = """
import os, sys
from pathlib import Path
from cmam.store.auditing.audit import Audit
from cmam.store.errors import StoreUnavailable
from cmam.store.logfile.lock import StoreLock
from cmam.store.logfile.log import EventLog, Pending
from cmam.domain.events import AlertRaised
if os.getuid() == 0:
    os.setuid(65534)
home = Path(sys.argv[1])
for attempt in (
    lambda: EventLog.open(home).append([Pending("app", 1, 1, AlertRaised(kind="k", text="t"))]),
    lambda: StoreLock(home).acquire(since="", command=""),
):
    try:
        attempt()
    except StoreUnavailable as error:
        print("refused", error)
    else:
        print("written")
with Audit.open(home) as audit:
    print("read", audit.log.position(), audit.verify().is_whole, len(list(audit.alerts())))
"""


@pytest.mark.parametrize("is_live", [False, True])
def test_a_folder_that_may_only_be_read_can_be_audited_but_not_written(sealed: Path, is_live: bool) -> None:
    """Evidence on a read-only disk is readable; whoever wants to write there is told why not, in a sentence."""
    log = _store(sealed, 5)
    if not is_live:
        log.close()
    for path in sealed.iterdir():
        path.chmod(0o444)
    sealed.chmod(0o555)
    done = subprocess.run(
        [sys.executable, "-c", _AS_SOMEBODY, str(sealed)], capture_output=True, text=True, check=False, cwd=Path.cwd()
    )
    if is_live:
        log.close()
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first.startswith("refused")
    assert second.startswith("refused")
    assert third == "read 10 True 10"


@pytest.mark.parametrize("part", ["events.db-wal", "events.db-shm"])
def test_what_lies_beside_the_log_and_is_somebody_elses_is_named(sealed: Path, part: str) -> None:
    """As a command leaves it that was run once with sudo: SQLite says only that it is unable to open the database."""
    log = _store(sealed, 5)
    for path in sealed.iterdir():
        path.chmod(0o666)
    (sealed / part).chmod(0)
    sealed.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", _AS_SOMEBODY, str(sealed)], capture_output=True, text=True, check=False, cwd=Path.cwd()
    )
    log.close()
    first = done.stdout.splitlines()[0]
    assert first.startswith("refused")
    whose = f" ({part} belongs to root)" if os.getuid() == 0 else f": {part}"
    assert f"it cannot be opened (Permission denied{whose})" in first


# --- the projector dies ----------------------------------------------------------------------------------------------


def test_a_projector_killed_at_any_moment_is_taken_up_by_the_next(tmp_path: Path, seed: int) -> None:
    """Rows and position are one transaction: after any kill the next one neither repeats nor leaves out anything."""
    rng = random.Random(seed)
    log = _store(tmp_path, 20)
    version = 20
    for _ in range(6):
        child, began, left = attendant.start(tmp_path), views_position(tmp_path) or 0, rng.randint(0, 60)
        while left >= 0:  # once it has begun to project, so many more appends, and then the end
            version += 1
            log.append([_fact(version), _fact(version, "account:2")])
            left -= (views_position(tmp_path) or 0) > began
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    assert project_to_head(tmp_path) == 0
    views = open_views(log, tmp_path / "views.db")
    rows = views.execute("SELECT position, text FROM alerts ORDER BY position").fetchall()
    expected = [(record.position, record.event.text) for record in log.read_all() if record.event]
    assert rows == expected
    views.close()
    log.close()
