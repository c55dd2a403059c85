"""Where a start begins: the same beliefs as folding every record, from whatever cache there is."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from cmam.store.folding.fold import fold
from cmam.store.logfile.log import EventLog
from cmam.store.past import beginning
from cmam.store.past.beginning import begin
from cmam.store.projection import views_file
from cmam.store.projection.projector import Projector
from cmam.store.projection.views_file import VIEWS_NAME, open_views

from .test_projector import _a_day_in
from .world import LEADER, LINKS, World


def a_home_with_snapshots(home: Path) -> World:
    """A day on disk, projected half way, its snapshots kept."""
    world = _a_day_in(home)
    with closing(open_views(world.log, home / VIEWS_NAME)) as views:
        running = Projector(world.log, views)
        running.project()
        running.keep_snapshots()
    return world


def counted(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The streams of the records that are folded from now on."""
    taken: list[str] = []
    original = beginning.Fold.take

    def take(state: beginning.Fold, record: object) -> object:
        taken.append(record.stream)
        return original(state, record)

    monkeypatch.setattr(beginning.Fold, "take", take)
    return taken


def test_a_start_believes_what_the_whole_log_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From snapshots, accounts are not folded again and are all the same as if they had been."""
    world = a_home_with_snapshots(tmp_path)
    expected = fold(world.log.read_all())
    taken = counted(world.log, monkeypatch)
    found = begin(world.log).fold
    assert (found.registry, found.accounts, found.position) == (
        expected.registry,
        expected.accounts,
        expected.position,
    )
    assert not [stream for stream in taken if stream.startswith("account:")]


@pytest.mark.parametrize(
    "spoil",
    [
        "UPDATE folds SET hash = 'other'",
        "UPDATE folds SET version = version - 1",
        "UPDATE folds SET state = x'00'",
        "UPDATE meta SET value = 'other' WHERE name = 'shape'",
        "UPDATE meta SET value = 'other' WHERE name = 'hash'",
        "INSERT INTO projection_errors SELECT rowid, stream, 1, 't', 'e' FROM folds",
    ],
)
def test_a_cache_that_does_not_fit_is_left_alone(tmp_path: Path, spoil: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Snapshots of another chain, of other code or of a stream with gaps count for nothing: all is folded again."""
    world = a_home_with_snapshots(tmp_path)
    expected = fold(world.log.read_all())
    with closing(open_views(world.log, tmp_path / VIEWS_NAME)) as views, views.atomic():
        views.execute(spoil)
    taken = counted(world.log, monkeypatch)
    assert begin(world.log).fold.accounts == expected.accounts
    assert [stream for stream in taken if stream.startswith("account:")]


def test_a_start_that_has_long_to_read_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first start of another version finds no snapshot of its own code, and follows nobody until all is folded."""
    world = a_home_with_snapshots(tmp_path)
    heard: list[int] = []
    of_accounts = sum(record.stream.startswith("account:") for record in world.log.read_all())
    monkeypatch.setattr(beginning, "LONG", of_accounts)
    begin(world.log, on_long=heard.append)
    assert heard == []
    monkeypatch.setattr(views_file, "shape", lambda: "another version")
    begin(world.log, on_long=heard.append)
    assert heard == [of_accounts]


def test_a_file_that_is_no_views_is_no_reason_not_to_start(tmp_path: Path) -> None:
    """Rubbish where the views should be is passed over."""
    world = _a_day_in(tmp_path)
    (tmp_path / VIEWS_NAME).write_bytes(b"rubbish" * 1_000)
    assert begin(world.log).fold.accounts == fold(world.log.read_all()).accounts


def test_an_empty_log_begins_with_nothing() -> None:
    """Nobody is known, nothing is believed."""
    found = begin(EventLog.in_memory()).fold
    assert (found.accounts, found.position) == ({}, 0)


def test_a_start_knows_the_last_change_that_each_leader_told(tmp_path: Path) -> None:
    """From snapshots as from the whole log; no later record of the leader tells one."""
    world = a_home_with_snapshots(tmp_path)
    kept = begin(world.log)
    (tmp_path / VIEWS_NAME).unlink()
    whole = begin(world.log)
    assert kept.told == whole.told
    version, index = kept.told[LEADER]
    cursors = [view.cursors[LINKS[account]] for account, view in kept.fold.accounts.items() if account in LINKS]
    assert {(cursor.version, cursor.index) for cursor in cursors} == {(version, index)}
    assert kept.pasts == {}


def test_a_start_has_an_earlier_view_of_a_leader_whose_change_was_missed(tmp_path: Path) -> None:
    """A follower that has not decided the last change: its leader's kept view of before is there to fold it from."""
    world = a_home_with_snapshots(tmp_path)
    before = world.views[LEADER]
    world.silent_links = True
    position = world.leader_opens(5_000_000)
    assert position in world.views[LEADER].positions
    found = begin(world.log)
    assert found.told[LEADER] == (before.version + 1, 0)
    assert found.pasts[LEADER] == before
