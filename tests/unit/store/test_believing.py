"""What a look at a home rests on: the same as folding every record, read from as few of them as possible."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from cmam.domain.events import Checkpointed
from cmam.store.folding.fold import Fold, fold_log
from cmam.store.logfile.database import FILE_NAME
from cmam.store.logfile.log import EventLog
from cmam.store.past import beginning
from cmam.store.past.beginning import begin, believe, organise
from cmam.store.past.replay import until
from cmam.store.projection.projector import Projector
from cmam.store.projection.views_file import VIEWS_NAME, open_views
from cmam.store.records.envelope import Fact, fact_of

from .test_beginning import a_home_with_snapshots
from .world import LEADER, PROFILE, World

ROOT = Path(__file__).parents[3]
SAMPLES = [ROOT / "events.db.sample", *sorted((ROOT / "tests" / "samples").glob("*.db"))]


def assert_same(found: Fold, expected: Fold) -> None:
    """The same in all that anybody can see, the order in which things are listed included."""
    assert found == expected
    assert list(found.accounts) == list(expected.accounts)
    assert list(found.registry.accounts) == list(expected.registry.accounts)
    assert list(found.registry.profiles) == list(expected.registry.profiles)


def views_up_to(log: EventLog, home: Path, position: int) -> None:
    """The views of a home as a projector leaves them that ended at a position."""
    with closing(open_views(log, home / VIEWS_NAME)) as views:
        projector = Projector(log, views)
        while projector.project_page(position):
            pass
        projector.keep_snapshots()


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_every_sample_is_believed_as_folded_wherever_its_views_end(tmp_path: Path, sample: Path) -> None:
    """With snapshots of any moment of a log, and with none, the answer is that of the whole log."""
    shutil.copyfile(sample, tmp_path / FILE_NAME)
    with closing(EventLog.read_only(tmp_path)) as log:
        expected, end = fold_log(log), log.position()
        assert_same(believe(log), expected)
        assert organise(log, end) == expected.registry
        assert organise(log, end // 9) == Fold().run(map(fact_of, until(log.read_all(), position=end // 9))).registry
        is_todays = sample == SAMPLES[0]  # which has all that the older ones have: of those, one moment
        for part in (1, end // 7, end // 2, end - 5, end) if is_todays else (end // 2,):
            (tmp_path / VIEWS_NAME).unlink(missing_ok=True)
            views_up_to(log, tmp_path, part)
            assert_same(believe(log), expected)
            assert_same(begin(log).fold, expected)
            for earlier in (end // 3, end // 2) if is_todays else (end // 3,):
                assert believe(log, end=earlier) == Fold().run(map(fact_of, until(log.read_all(), position=earlier)))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A day on disk with snapshots at its end, and a little more that happened after them."""
    found = a_home_with_snapshots(tmp_path)
    found.leader_opens(3_000_000)
    yield found
    found.log.close()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Fact]:
    """The facts that are folded from now on."""
    taken: list[Fact] = []
    original = Fold.run

    def run(state: Fold, facts: Iterator[Fact]) -> Fold:
        found = list(facts)
        taken.extend(found)
        return original(state, found)

    monkeypatch.setattr(Fold, "run", run)
    return taken


def test_only_what_came_after_the_snapshots_is_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of accounts the records behind their snapshots, and the registry, which is small without its checkpoints."""
    expected = fold_log(world.log)
    ends = {snapshot.view.account: snapshot.view.version for snapshot in beginning._kept(world.log).values()}
    behind = sum(view.version - ends[account] for account, view in expected.accounts.items())
    taken = counted(monkeypatch)
    assert_same(believe(world.log), expected)
    assert 0 < behind == sum(fact[1].startswith("account:") for fact in taken) < 40
    app = [record.event for record in world.log.read_stream("app") if not isinstance(record.event, Checkpointed)]
    assert len(taken) - behind == len(app) + world.log.head(f"profile:{PROFILE}").version


def _rubbish(views: Path) -> None:
    views.write_bytes(b"rubbish" * 1_000)


def _cut(views: Path) -> None:
    views.write_bytes(views.read_bytes()[: views.stat().st_size // 2])


def _damage(views: Path) -> None:
    content = bytearray(views.read_bytes())
    content[5_000:] = bytes(byte ^ 0x5A for byte in content[5_000:])
    views.write_bytes(content)


def _folder(views: Path) -> None:
    views.unlink()
    views.mkdir()


def _elsewhere(views: Path) -> None:
    views.rename(views.with_name("views-of-yesterday.db"))


@pytest.mark.parametrize("spoil", [_rubbish, _cut, _damage, _folder, _elsewhere])
def test_views_that_are_no_good_change_nothing(world: World, tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    """Damaged, cut off, or not there: the log is folded instead."""
    spoil(tmp_path / VIEWS_NAME)
    assert_same(believe(world.log), fold_log(world.log))


def test_views_of_another_log_count_for_nothing(world: World, tmp_path: Path) -> None:
    """A home whose log was exchanged for an older one does not believe what the newer one said."""
    records = list(world.log.raw())
    other = tmp_path / "other"
    other.mkdir()
    with closing(EventLog.open(other)) as log:
        log.connection.executemany(
            "INSERT INTO stored_events VALUES (?, ?, ?, ?)",
            [(raw.stream, raw.version, raw.topic, raw.state.decode()) for raw in records[:40]],
        )
    shutil.copyfile(tmp_path / VIEWS_NAME, other / VIEWS_NAME)
    with closing(EventLog.read_only(other)) as log:
        assert_same(believe(log), fold_log(log))


def test_what_is_written_meanwhile_is_no_half_of_the_answer(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A system that trades beside the look: every account is seen as of the same record."""
    with closing(EventLog.read_only(tmp_path)) as log:
        end, original = log.position(), EventLog.streams

        def streams(asked: EventLog) -> list[str]:
            world.leader_opens(7_000_000)
            return original(asked)

        monkeypatch.setattr(EventLog, "streams", streams)
        found = believe(log)
        assert log.position() > end
        expected = Fold().run(map(fact_of, until(log.read_all(), position=end)))
        assert_same(found, expected)
        assert found.accounts[LEADER].version < world.views[LEADER].version


def test_a_look_writes_nothing(world: World, tmp_path: Path) -> None:
    """Neither the log nor the views are other files afterwards."""
    world.log.tidy()
    both = (tmp_path / FILE_NAME, tmp_path / VIEWS_NAME)
    before = [hashlib.sha256(path.read_bytes()).digest() for path in both]
    with closing(EventLog.read_only(tmp_path)) as log:
        believe(log)
    assert [hashlib.sha256(path.read_bytes()).digest() for path in both] == before


def test_an_empty_log_is_believed_to_hold_nothing() -> None:
    """Nothing is known, at position 0."""
    assert_same(believe(EventLog.in_memory()), Fold())
