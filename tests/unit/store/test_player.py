"""The player of a log and the moments it goes through: what is believed there, and how it gets from one to another."""

from __future__ import annotations

import pytest

from cmam.domain.events import ChangeDecided, LimiterMeasured, SystemStarted, SystemStopped
from cmam.store.folding.fold import fold
from cmam.store.past import player
from cmam.store.past.moment import Moment, moment_at
from cmam.store.past.player import Player

from .world import FIRST, LEADER, World, a_day


@pytest.fixture
def world() -> World:
    """A day with trades."""
    return a_day()


def _player(world: World, speed: float = 1.0) -> Player:
    return Player(lambda after: world.log.read_all(after), speed=speed)


def _at(world: World, position: int) -> Moment:
    return moment_at(world.log, position)


def test_time_brings_the_records_of_its_span_and_no_more(world: World) -> None:
    """At twice the pace a second of ours is two of the record's."""
    records = list(world.log.read_all())
    began = records[0].at_us
    playing = _player(world, speed=2)
    playing.pass_time(20_000)
    taken = [record for record in records if record.at_us <= began + 40_000]
    assert 0 < len(taken) < len(records)
    assert playing.moment.fold.position == taken[-1].position
    assert playing.moment.fold.accounts == _at(world, taken[-1].position).fold.accounts


def test_a_stopped_player_stands_still_but_steps(world: World) -> None:
    """Paused, time brings nothing; a step brings one record, and the next decision all up to it."""
    playing = _player(world)
    playing.is_paused = True
    assert playing.pass_time(10**9) == 0
    playing.step()
    assert playing.moment.fold.position == 1
    playing.to_next_decision()
    assert isinstance(playing.recent[-1].event, ChangeDecided)
    assert sum(isinstance(record.event, ChangeDecided) for record in playing.recent) == 1


def test_wherever_it_goes_it_believes_what_was_believed_there(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forwards, back and forwards again: each moment is the fold of the records up to it, and of nothing else."""
    monkeypatch.setattr(player, "KEEP_EVERY", 7)
    records = list(world.log.read_all())
    playing = _player(world)
    playing.to_end()
    assert playing.is_over
    for place in (60, 10, 33, 70, 1, 75, 34):
        wanted = records[place - 1]
        playing.seek(wanted.at_us)
        last = max(record.position for record in records if record.at_us <= wanted.at_us)
        assert playing.moment.fold.position == last
        assert playing.moment.fold.accounts == _at(world, last).fold.accounts
    playing.to_start()
    assert playing.moment.fold.position == 0
    playing.to_end()
    assert playing.moment.fold.accounts == fold(records).accounts


def test_as_fast_as_it_goes_is_everything(world: World) -> None:
    """Speed 0 takes all there is, without waiting for its time; skipping beyond the end stays at the last record."""
    playing = _player(world, speed=0)
    assert playing.pass_time(1) == world.log.position()
    playing.skip(10**12)
    assert playing.now_us == playing.moment.fold.at_us


def test_a_moment_says_what_every_copy_held_and_what_the_line_had_spent(world: World) -> None:
    """Positions, exact targets, residue and the minute's budget; lines are down where no cmam ran."""
    world.write("app", SystemStarted(version="0.1.0", pid=1))
    measured = LimiterMeasured(sent=120, busiest_second=9, dropped=0, guard_us=5_000)
    world.write("connection:demo-1", measured)
    running = moment_at(world.log)
    assert running.is_running
    assert running.document_of_lines()["connection:demo-1"]["budget"]["sent"] == 120
    view = running.fold.accounts[FIRST]
    document = running.document_of_account(view)
    assert {one["position"] for one in document["holds"]} == {int(key) for key in view.positions}
    assert [one["residue"] for one in document["live"]] == ["0.00"] * len(view.copies)
    assert running.document_of_account(running.fold.accounts[LEADER])["live"] == []
    world.write("app", SystemStopped(reason="asked to"))
    assert not moment_at(world.log).is_running
