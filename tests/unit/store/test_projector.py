"""The projector: everything committed is in the tables, once, whatever happens in between."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlite_utils import Database

import cmam.domain
from cmam.domain.belief.view import Latch
from cmam.domain.events import AlertHealed, AlertRaised
from cmam.domain.values.ids import SourceKey
from cmam.store.auditing.audit import Audit
from cmam.store.errors import StoreUnavailable, ViewsDamaged
from cmam.store.folding.snapshot import keep, pack, restore
from cmam.store.logfile.lock import StoreLock
from cmam.store.logfile.log import EventLog
from cmam.store.projection import attendant, projector, schema
from cmam.store.projection.projector import LOCK_NAME, AnotherProjector, Projector, project_to_head
from cmam.store.projection.views_file import VIEWS_NAME, open_views, shape, views_position
from cmam.store.records.envelope import Pending

from .world import FIRST, LINKS, World, a_day

SHOWN = [name for name in schema.TABLES if name not in (schema.FOLDS, schema.META)]


def _tables(views: Database) -> dict[str, list[dict[str, Any]]]:
    return {name: list(views.table(name).rows_where(order_by=schema.TABLES[name].key)) for name in SHOWN}


def _projected(log: EventLog) -> dict[str, list[dict[str, Any]]]:
    views = open_views(log, None)
    Projector(log, views).project()
    return _tables(views)


def _a_day_in(home: Path) -> World:
    world = a_day()
    log = EventLog.open(home)
    log.append([_pending(record) for record in world.log.read_all()])
    world.log = log
    return world


def _pending(record: Any) -> Pending:
    return Pending(record.stream, record.version, record.at_us, record.event, record.cause, record.settings)


def test_trouble_with_the_views_is_told_of_the_views(tmp_path: Path) -> None:
    """A full disk under `views.db` is no trouble of the event store, and is not said to be."""
    world = _a_day_in(tmp_path)
    first = world.log.head("account:41").version + 1
    much = [Pending("account:41", first + number, 1, AlertRaised(kind="k", text="x" * 900)) for number in range(100)]
    world.log.append(much)
    views = open_views(world.log, tmp_path / VIEWS_NAME)
    (pages,) = views.execute("PRAGMA page_count").fetchone()
    views.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StoreUnavailable, match=r"The views .*views\.db did not take this: the disk is full"):
        Projector(world.log, views).project()
    views.close()


def test_trouble_while_states_are_kept_is_told_of_the_views_too(tmp_path: Path) -> None:
    """A projector keeps what it has folded as the last thing it does; what goes wrong there is no traceback either."""
    world = _a_day_in(tmp_path)
    views = open_views(world.log, tmp_path / VIEWS_NAME)
    found = Projector(world.log, views)
    found.project()
    views.execute("CREATE TRIGGER no BEFORE INSERT ON folds BEGIN SELECT RAISE(FAIL, 'no room'); END")
    with pytest.raises(ViewsDamaged, match=r"The views .*views\.db .*no room"):
        found.keep_snapshots()
    views.close()
    world.log.close()


def test_torn_views_are_made_anew(tmp_path: Path) -> None:
    """Pages of `views.db` that are garbage behind a whole header cost a projection, not an answer."""
    world = _a_day_in(tmp_path)
    project_to_head(tmp_path)
    path = tmp_path / VIEWS_NAME
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'alerts'").fetchone()
    torn = bytearray(path.read_bytes())
    torn[(root - 1) * page_size : root * page_size] = b"\x5a" * page_size
    path.write_bytes(torn)
    at = world.log.head("account:41").version + 1
    world.log.append([Pending("account:41", at, 1, AlertRaised(kind="k", text="t"))])
    assert project_to_head(tmp_path) == 0
    with closing(open_views(world.log, path)) as views:
        assert _tables(views) == _projected(world.log)


@pytest.mark.parametrize("lives", [False, True])
def test_a_reader_of_torn_views_is_told_and_the_next_one_has_new_ones(tmp_path: Path, lives: bool) -> None:
    """Nothing is new in the log, so nobody writes them; beside a projector that lives they are left to its end."""
    _a_day_in(tmp_path).log.close()
    with Audit.open(tmp_path) as audit:
        expected = list(audit.copies())
    path = tmp_path / VIEWS_NAME
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        (page_size,) = connection.execute("PRAGMA page_size").fetchone()
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'copies'").fetchone()
    torn = bytearray(path.read_bytes())
    torn[(root - 1) * page_size : root * page_size] = b"\x5a" * page_size
    path.write_bytes(torn)
    lock = StoreLock(tmp_path, name=LOCK_NAME)
    audit = Audit.open(tmp_path)
    if lives:
        lock.acquire(since="", command="cmam projector")
    with pytest.raises(ViewsDamaged, match="Stop cmam and ask again" if lives else r"from the log\. Ask again"), audit:
        list(audit.copies())
    assert path.exists() is lives
    lock.release()
    if not lives:
        with Audit.open(tmp_path) as audit:
            assert list(audit.copies()) == expected


@pytest.mark.parametrize("page", [1, 2, 7, 1_000])
def test_pages_of_any_size_give_the_same_tables(page: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a transaction ends makes no difference to what the tables say."""
    world = a_day()
    expected = _projected(world.log)
    monkeypatch.setattr(projector, "PAGE", page)
    assert _projected(world.log) == expected
    assert len(expected["copies"]) == 3
    assert not expected["projection_errors"]


def test_a_projector_that_comes_later_goes_on_where_the_last_one_ended(tmp_path: Path) -> None:
    """Stopped anywhere, with or without its snapshots, it neither repeats nor leaves out anything."""
    world = _a_day_in(tmp_path)
    expected = _projected(world.log)
    for stop in (1, 20, 45, 60):
        for with_snapshots in (True, False):
            (tmp_path / VIEWS_NAME).unlink(missing_ok=True)
            views = open_views(world.log, tmp_path / VIEWS_NAME)
            first = Projector(world.log, views)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(projector, "PAGE", stop)
                first.project_page()
            if with_snapshots:
                first.keep_snapshots()
            views.close()
            views = open_views(world.log, tmp_path / VIEWS_NAME)
            second = Projector(world.log, views)
            assert second.position == stop
            second.project()
            assert _tables(views) == expected
            views.close()
    world.log.close()


def test_a_snapshot_is_the_view_it_was_made_from() -> None:
    """Nothing is lost or changed by keeping a folded account as bytes."""
    world = a_day()
    key = (LINKS[FIRST], SourceKey("o1"))
    latch = Latch(link=key[0], guard="min_equity", reaction="flatten", scope="profile", since_us=1)
    world.views[FIRST] = replace(world.views[FIRST], chains={key: key}, latches={(key[0], "min_equity"): latch})
    for view in world.views.values():
        kept = keep(view, (3, 1))
        assert kept is not None
        assert restore(pack(kept)) == (view, (3, 1))
    assert restore(b"{}") is None
    assert restore(pack(b"{}")) is None


def test_a_record_that_cannot_be_shown_is_noted_and_the_rest_goes_on() -> None:
    """One bad record hides neither what follows it nor itself."""
    world = a_day()
    world.log.connection.execute("UPDATE stored_events SET state = '{' WHERE rowid = 30")
    world.log.connection.execute("UPDATE stored_events SET topic = 'account.of_tomorrow' WHERE rowid = 40")
    tables = _projected(world.log)
    assert [row["position"] for row in tables["projection_errors"]] == [30, 40]
    assert len(tables["decisions"]) >= 14


def test_a_failed_transaction_leaves_position_and_rows_together(tmp_path: Path) -> None:
    """What goes wrong while writing a page undoes the page and its position, and it is projected again."""
    world = _a_day_in(tmp_path)
    expected = _projected(world.log)
    views = open_views(world.log, tmp_path / VIEWS_NAME)
    views.execute("CREATE TRIGGER no BEFORE INSERT ON copies BEGIN SELECT RAISE(FAIL, 'no'); END")
    with pytest.raises(Exception, match="no"):
        Projector(world.log, views).project()
    assert views_position(tmp_path) == 0
    assert views.table("decisions").count == 0
    views.execute("DROP TRIGGER no")
    Projector(world.log, views).project()
    assert _tables(views) == expected
    views.close()
    world.log.close()


def test_two_projectors_cannot_both_write(tmp_path: Path) -> None:
    """The second finds that the position has moved, and stops before it writes a row."""
    world = _a_day_in(tmp_path)
    one = open_views(world.log, tmp_path / VIEWS_NAME)
    two = open_views(world.log, tmp_path / VIEWS_NAME)
    late = Projector(world.log, two)
    Projector(world.log, one).project()
    with pytest.raises(AnotherProjector):
        late.project()
    one.close()
    two.close()
    world.log.close()


@pytest.mark.parametrize("ruin", ["garbage", "other code", "other log", "gone"])
def test_views_that_do_not_fit_are_made_anew(tmp_path: Path, ruin: str) -> None:
    """Damaged views, those of other code or of another log, and deleted ones are no loss and no error."""
    world = _a_day_in(tmp_path)
    expected = _projected(world.log)
    assert project_to_head(tmp_path) == 0
    path = tmp_path / VIEWS_NAME
    match ruin:
        case "garbage":
            path.write_bytes(b"\x00" * 10_000)
        case "gone":
            path.unlink()
        case _:
            with sqlite3.connect(path) as views:
                name = "shape" if ruin == "other code" else "hash"
                views.execute("UPDATE meta SET value = 'x' WHERE name = ?", [name])
                views.execute("DELETE FROM copies")
            views.close()
    assert project_to_head(tmp_path) == 0
    views_again = open_views(world.log, path)
    assert _tables(views_again) == expected
    views_again.close()
    world.log.close()


def test_every_file_of_the_domain_is_part_of_what_views_are_made_by(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views are made anew after a change in any file that decides or folds, in whatever folder of the domain."""
    read: set[Path] = set()
    kept = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (read.add(path), kept(path))[1])
    shape()
    domain = Path(cmam.domain.__file__ or "").parent
    assert read >= {Path(folder) / name for folder, _, names in os.walk(domain) for name in names if name[-3:] == ".py"}
    assert domain / "events" / "broker.py" in read


def test_alerts_are_healed_by_what_heals_them(tmp_path: Path) -> None:
    """An alert raised again after it was healed is open again."""
    world = World().set_up()
    world.fact(FIRST, AlertRaised(kind="session", text="one"))
    world.fact(FIRST, AlertHealed(kind="session"))
    world.fact(FIRST, AlertRaised(kind="session", text="two"))
    world.fact(FIRST, AlertRaised(kind="other", text="three"))
    audit = Audit.of(world.log)
    alerts = [(line["text"], line["healed_at"] is None) for line in audit.alerts()]
    assert alerts == [("one", False), ("two", True), ("three", True)]


def test_the_process_follows_the_log_and_ends_with_its_standard_input(tmp_path: Path) -> None:
    """It projects what was there and what comes, drains when its parent lets go, and frees its lock."""
    world = _a_day_in(tmp_path)
    child = attendant.start(tmp_path)
    lock = StoreLock(tmp_path, name=projector.LOCK_NAME)
    position = world.log.position()
    assert project_to_head(tmp_path) == 0
    world.now += 1_000_000
    world.leader_opens(4_000_000)
    assert project_to_head(tmp_path) == 0
    assert world.log.position() > position
    world.leader_opens(4_000_000)
    assert attendant.stop(child, 60) == 0
    assert views_position(tmp_path) == world.log.position()
    assert lock.holder() is None
    expected = _projected(world.log)
    views = open_views(world.log, tmp_path / VIEWS_NAME)
    assert _tables(views) == expected
    assert {row["stream"] for row in views.table("folds").rows} >= {"account:1001", "account:2001"}
    views.close()
    world.log.close()


def test_a_ctrl_c_at_the_terminal_is_not_for_the_process(tmp_path: Path) -> None:
    """It is in a group of its own from its first moment: one that came before it could ignore it ended in a stack."""
    world = _a_day_in(tmp_path)
    child = attendant.start(tmp_path)
    try:
        assert os.getpgid(child.pid) == child.pid
    finally:
        attendant.stop(child, 60)
    world.log.close()


def test_views_of_another_version_that_is_running_are_left_alone(tmp_path: Path) -> None:
    """An upgraded audit beside an old projector answers from views of its own, and does not pull the old ones away."""
    world = _a_day_in(tmp_path)
    assert project_to_head(tmp_path) == 0
    with sqlite3.connect(tmp_path / VIEWS_NAME) as views:
        views.execute("UPDATE meta SET value = 'older' WHERE name = 'shape'")
    views.close()
    before = (tmp_path / VIEWS_NAME).stat().st_ino
    older = StoreLock(tmp_path, name=projector.LOCK_NAME).acquire(since="", command="an older projector")
    with older, Audit.open(tmp_path) as audit:
        assert len(list(audit.copies())) == 3
    assert (tmp_path / VIEWS_NAME).stat().st_ino == before
    world.log.close()


def test_a_failure_that_goes_on_is_said_once_and_then_rarely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A disk that is full for an hour is a few lines, not one a second; another failure is said at once."""
    fails = [*["full"] * (projector.SAID_EVERY + 1), "torn", "full", ""]
    monkeypatch.setattr(projector, "_follow_until_it_fails", lambda *_: fails.pop(0))
    monkeypatch.setattr(projector, "_has_ended", lambda *_: False)
    with closing(EventLog.open(tmp_path)) as log:
        projector.follow(log, tmp_path)
    assert capsys.readouterr().err.splitlines() == ["! full", "! full", "! torn", "! full"]


def test_a_projector_without_a_store_says_so(tmp_path: Path) -> None:
    """One sentence on stderr and exit 1; no traceback, and nothing is made."""
    done = subprocess.run(
        [sys.executable, "-m", "cmam.store.projection.projector", "--home", str(tmp_path / "nowhere")],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("! There is no event store in")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "nowhere").exists()
