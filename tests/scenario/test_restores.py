"""`cmam restore`: what cmam itself had done after the backup is not done once more, nor taken for a person's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import pytest

from cmam.actors.accounts import account
from cmam.domain.events import CopyFinished, Health
from cmam.domain.guarding.latches import TWIN
from cmam.domain.values.ids import position_source
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.sight import UNDECIDED_AT_BACKUPS
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from cmam.store.upkeep.keeping import backup, restore
from cmam.store.upkeep.known_end import note_restore
from tests.person import LEADER, Held, Person
from tests.rulebook import EURUSD, LEAD, UNIT, Case, Rulebook
from tests.whole import NETTED, SAME_BROKER, FaultyLog, Whole

LOT = 10_000_000
PART = LOT // 10
AWAY_S = 600

Step = Callable[[Whole], None]


def _started(home: Path, *, leader: int = LEADER, follower: int = SAME_BROKER, seed: int = 1, **settings: str) -> Whole:
    whole = Whole(seed=seed, leader=leader, followers=(follower,), settings=settings, log=FaultyLog.open(home))
    whole.start_ready()
    return whole


def _backup(home: Path) -> Path:
    """What `cmam backup` keeps by now."""
    backup(home, home / "kept.db")
    return home / "kept.db"


def _restored(home: Path, whole: Whole, kept: Path, *, meanwhile: Iterable[Step] = (), away_s: float = AWAY_S) -> None:
    """The process is gone, the backup is put back after a while, and cmam starts on it."""
    whole.kill()
    for step in meanwhile:
        step(whole)
        whole.run(away_s)
    whole.run(away_s)
    _put_back(home, whole, kept)
    whole.start_ready()
    whole.run(20)


def _put_back(home: Path, whole: Whole, kept: Path) -> None:
    """The backup takes the place of the log of a process that is gone."""
    whole.log.close()
    restore(home, kept, whole.now_us(), replace=True)
    whole.log = FaultyLog.open(home)


def _refused(whole: Whole, account: int) -> None:
    """From here on the account's broker lets nobody look at it."""
    arguments = {"code": "CH_SERVER_NOT_REACHABLE", "type": "2102", "account": str(account)}
    whole.broker.set_fault("error", arguments)
    whole.broker.set_fault("disconnect-account", {"account": str(account)})


def _backup_undecided(home: Path, whole: Whole, step: Step, *, leader: int = LEADER) -> Path:
    """A backup of the moment in which the leader's step is on record, and his follower, out of sight, has not met it;
    he is back, and has met it, by the end."""
    view = whole.view(leader)
    assert view is not None
    was = view.positions
    _refused(whole, SAME_BROKER)
    step(whole)
    whole.run(5)
    whole.let_record()
    view, follower = whole.view(leader), whole.view(SAME_BROKER)
    assert view is not None
    assert follower is not None
    assert view.positions != was
    assert follower.health is not Health.RECONCILED
    kept = _backup(home)
    whole.broker.clear_fault("all")
    whole.run(90)
    return kept


def _held(whole: Whole, account: int = SAME_BROKER) -> Held:
    (found,) = whole.person.holds(account)
    return found


def _is_identical(whole: Whole) -> bool:
    return verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("follower", [SAME_BROKER, NETTED])
@pytest.mark.parametrize("parts", [(2,), (1, 1)])
def test_what_was_closed_after_the_backup_is_not_closed_twice(
    tmp_path: Path, follower: int, parts: tuple[int, ...], seed: int
) -> None:
    """The leader's half was copied after the backup: the copy stays a half, and its next part is one of that."""
    whole = _started(tmp_path, follower=follower, seed=seed)
    position = whole.person.buy(4 * LOT)
    whole.run(5)
    kept = _backup(tmp_path)
    for part in parts:
        whole.person.close(position, part * LOT)
        whole.run(5)
    _restored(tmp_path, whole, kept)
    assert _held(whole, follower).volume == 2 * LOT
    whole.person.close(position, LOT)
    whole.run(5)
    assert _held(whole, follower).volume == LOT
    assert _is_identical(whole)


def test_what_the_leader_closed_after_cmams_last_moment_is_closed(tmp_path: Path) -> None:
    """One part was copied, the next was not: that one is left to do."""
    whole = _started(tmp_path)
    position = whole.person.buy(4 * LOT)
    whole.run(5)
    kept = _backup(tmp_path)
    whole.person.close(position, 2 * LOT)
    whole.run(5)
    _restored(tmp_path, whole, kept, meanwhile=[lambda whole: whole.person.close(position, LOT)])
    assert _held(whole).volume == LOT
    assert _is_identical(whole)


def test_nothing_was_copied_after_the_backup(tmp_path: Path) -> None:
    """Then the leader's part is a part like any other."""
    whole = _started(tmp_path)
    position = whole.person.buy(4 * LOT)
    whole.run(5)
    kept = _backup(tmp_path)
    _restored(tmp_path, whole, kept, meanwhile=[lambda whole: whole.person.close(position, 3 * LOT)])
    assert _held(whole).volume == LOT
    assert _is_identical(whole)


@pytest.mark.parametrize("scale_in", ["on", "off"])
def test_a_half_and_an_add_after_the_backup_are_neither_done_twice_nor_bought_back(
    tmp_path: Path, scale_in: str
) -> None:
    """The leader had halved and added again, and his copy had followed as it may: it stays as it is."""
    whole = _started(tmp_path, leader=NETTED, max_age="3000s", scale_in=scale_in)
    position = whole.person.buy(4 * LOT, account=NETTED, symbol=7001)
    whole.run(5)
    kept = _backup(tmp_path)
    whole.person.close(position, 2 * LOT, account=NETTED)
    whole.run(5)
    whole.person.buy(LOT, account=NETTED, symbol=7001)
    whole.run(5)
    before = _held(whole).volume
    _restored(tmp_path, whole, kept)
    assert _held(whole).volume == before
    assert _is_identical(whole)


@pytest.mark.parametrize("closed", [1, 2, 3])
def test_an_add_before_a_part_after_the_backup_is_not_made_twice(tmp_path: Path, closed: int) -> None:
    """The position need not have grown for that: its orders tell that somebody has added to it."""
    whole = _started(tmp_path, leader=NETTED, max_age="3000s")
    position = whole.person.buy(2 * LOT, account=NETTED, symbol=7001)
    whole.run(5)
    kept = _backup(tmp_path)
    whole.person.buy(2 * LOT, account=NETTED, symbol=7001)
    whole.run(5)
    whole.person.close(position, closed * LOT, account=NETTED)
    whole.run(5)
    assert _held(whole).volume == (4 - closed) * LOT
    _restored(tmp_path, whole, kept)
    assert _held(whole).volume == (4 - closed) * LOT
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert TWIN in view.alerts
    assert _is_identical(whole)


def test_a_person_is_himself_again_after_the_first_look(tmp_path: Path) -> None:
    """What he closes out of sight later is his own, and the leader's half is a half of what he has left."""
    whole = _started(tmp_path)
    position = whole.person.buy(8 * LOT)
    whole.run(5)
    kept = _backup(tmp_path)
    whole.person.close(position, 4 * LOT)
    whole.run(5)
    _restored(tmp_path, whole, kept)
    whole.kill()
    whole.person.close(_held(whole).position, 2 * LOT, account=SAME_BROKER)
    whole.person.close(position, 2 * LOT)
    whole.run(AWAY_S)
    whole.start_ready()
    whole.run(20)
    assert _held(whole).volume == LOT
    assert _is_identical(whole)


def test_a_restore_after_a_restore(tmp_path: Path) -> None:
    """The same backup once more, after more has been closed: still nothing twice."""
    whole = _started(tmp_path)
    position = whole.person.buy(8 * LOT)
    whole.run(5)
    kept = _backup(tmp_path)
    for left in (4, 2):
        whole.person.close(position, left * LOT)
        whole.run(5)
        _restored(tmp_path, whole, kept)
        assert _held(whole).volume == left * LOT
    assert _is_identical(whole)


def test_a_stop_that_was_moved_after_the_backup_is_no_persons(tmp_path: Path) -> None:
    """It is where the leader's is, and goes farther away with his."""
    whole = _started(tmp_path)
    position = whole.person.buy(LOT)
    whole.person.amend(position, stop=1.02)
    whole.run(5)
    kept = _backup(tmp_path)
    whole.person.amend(position, stop=1.05)
    whole.run(5)
    _restored(tmp_path, whole, kept)
    assert _held(whole).stop == pytest.approx(1.05)
    whole.person.amend(position, stop=1.01)
    whole.run(5)
    assert _held(whole).stop == pytest.approx(1.01)
    assert _is_identical(whole)


def test_the_shares_of_other_trades_lose_nothing_by_what_was_closed_after_the_backup(tmp_path: Path) -> None:
    """Of two trades in one net the leader had closed one, and a half of the other's net is gone for that: it stays."""
    whole = _started(tmp_path, follower=NETTED)
    first = whole.person.buy(2 * PART)
    whole.run(5)
    second = whole.person.buy(2 * PART)
    whole.run(5)
    assert _held(whole, NETTED).volume == 4 * PART
    kept = _backup(tmp_path)
    whole.person.close(first, 2 * PART)
    whole.run(5)
    _restored(tmp_path, whole, kept)
    assert _held(whole, NETTED).volume == 2 * PART
    ended = [(event.source, event.reason) for event in whole.events(NETTED, CopyFinished)]
    assert ended == [(position_source(first), Reason.CLOSED_BY_LEADER)]
    whole.person.close(second, PART)
    whole.run(5)
    assert _held(whole, NETTED).volume == PART
    whole.person.close(second, PART)
    whole.run(5)
    assert whole.person.holds(NETTED) == []
    view = whole.view(NETTED)
    assert view is not None
    assert view.copies == {}
    assert _is_identical(whole)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("first", "second"), [(1, 0), (2, 1), (1, 2), (4, 1), (2, 4)])
def test_parts_of_several_shares_after_the_backup_are_closed_once(
    tmp_path: Path, first: int, second: int, seed: int
) -> None:
    """Each share is what its own leader's position has left of it, and goes on with that."""
    whole = _started(tmp_path, follower=NETTED, seed=seed)
    positions = []
    for _ in range(2):
        positions.append(whole.person.buy(4 * PART))
        whole.run(5)
    assert _held(whole, NETTED).volume == 8 * PART
    kept = _backup(tmp_path)
    for position, part in zip(positions, (first, second), strict=True):
        if part:
            whole.person.close(position, part * PART)
        whole.run(5)
    _restored(tmp_path, whole, kept)
    assert _held(whole, NETTED).volume == (8 - first - second) * PART
    for position in whole.person.holds(LEADER):
        whole.person.close(position.position, position.volume)
        whole.run(5)
        left = sum(one.volume for one in whole.person.holds(LEADER))
        assert sum(one.volume for one in whole.person.holds(NETTED)) == left
    assert _is_identical(whole)


def test_a_pending_order_that_was_moved_after_the_backup_moves_on(tmp_path: Path) -> None:
    """Where it rests is no will of a person's: it goes where the leader's goes next."""
    whole = _started(tmp_path)
    order = whole.person.place(model.LIMIT, LOT, price=1.05)
    whole.run(5)
    kept = _backup(tmp_path)
    whole.person.amend_order(order, volume=LOT, limitPrice=1.06)
    whole.run(5)
    _restored(tmp_path, whole, kept)
    (rests,) = whole.person.rests(SAME_BROKER)
    assert rests.limitPrice == pytest.approx(1.06)
    whole.person.amend_order(order, volume=LOT, limitPrice=1.04)
    whole.run(5)
    (rests,) = whole.person.rests(SAME_BROKER)
    assert rests.limitPrice == pytest.approx(1.04)
    whole.person.cancel(order)
    whole.run(5)
    assert whole.person.rests(SAME_BROKER) == []
    assert _is_identical(whole)


def test_a_part_of_a_trade_that_was_opened_after_the_backup_is_closed_though_nobody_saw_it(tmp_path: Path) -> None:
    """The log knows neither trade nor copy: how large both were at first tells what is left to close."""
    whole = _started(tmp_path)
    whole.person.buy(LOT)
    whole.run(5)
    kept = _backup(tmp_path)
    position = whole.person.buy(4 * LOT)
    whole.run(5)
    _restored(tmp_path, whole, kept, meanwhile=[lambda whole: whole.person.close(position, 3 * LOT)])
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT, LOT]
    assert _is_identical(whole)


def test_a_trade_that_was_opened_and_halved_after_the_backup_goes_on_with_its_leader(tmp_path: Path) -> None:
    """Its copy is found by its label, as large as it is; nothing is opened beside it."""
    whole = _started(tmp_path, max_age="3000s")
    whole.person.buy(LOT)
    whole.run(5)
    kept = _backup(tmp_path)
    position = whole.person.buy(4 * LOT)
    whole.run(5)
    whole.person.close(position, 2 * LOT)
    whole.run(5)
    _restored(tmp_path, whole, kept)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT, 2 * LOT]
    whole.person.close(position, LOT)
    whole.run(5)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT, LOT]
    assert _is_identical(whole)


def test_a_half_that_was_undecided_at_the_backup_is_not_closed_twice(tmp_path: Path) -> None:
    """It was on the leader's record already, and copied after the backup: so were the next half, and not the last."""
    whole = _started(tmp_path)
    position = whole.person.buy(8 * LOT)
    whole.run(5)
    kept = _backup_undecided(tmp_path, whole, lambda whole: whole.person.close(position, 4 * LOT))
    assert _held(whole).volume == 4 * LOT
    _restored(tmp_path, whole, kept)
    assert _held(whole).volume == 4 * LOT
    whole.person.close(position, 2 * LOT)
    whole.run(5)
    assert _held(whole).volume == 2 * LOT
    _restored(tmp_path, whole, kept, meanwhile=[lambda whole: whole.person.close(position, LOT)])
    assert _held(whole).volume == LOT
    assert _is_identical(whole)


def test_an_add_that_was_undecided_at_the_backup_is_not_made_twice(tmp_path: Path) -> None:
    """Nor once somebody has looked: the copy has grown by it."""
    whole = _started(tmp_path, leader=NETTED, max_age="3000s")
    whole.person.buy(2 * LOT, account=NETTED, symbol=7001)
    whole.run(5)
    add = partial(Person.buy, whole.person, LOT, account=NETTED, symbol=7001)
    kept = _backup_undecided(tmp_path, whole, lambda _: add(), leader=NETTED)
    assert _held(whole).volume == 3 * LOT
    _restored(tmp_path, whole, kept, away_s=60)
    whole.command({"command": "rearm", "profile": "whole", "guard": TWIN})
    whole.run(60)
    assert _held(whole).volume == 3 * LOT
    assert _is_identical(whole)


@pytest.mark.parametrize("copied", [True, False])
def test_what_a_person_closes_after_the_first_look_is_his_though_the_leader_is_seen_later(
    tmp_path: Path, copied: bool
) -> None:
    """The leader's half was copied before, or is yet to be: a half of what the person has left."""
    whole = _started(tmp_path)
    position = whole.person.buy(8 * LOT)
    whole.run(5)
    kept = _backup(tmp_path)
    if copied:
        whole.person.close(position, 4 * LOT)
        whole.run(5)
    whole.kill()
    if not copied:
        whole.person.close(position, 4 * LOT)
    before = _held(whole).volume
    _put_back(tmp_path, whole, kept)
    _refused(whole, LEADER)
    whole.start()
    whole.run(30)
    whole.person.close(_held(whole).position, before // 2, account=SAME_BROKER)
    whole.run(30)
    whole.broker.clear_fault("all")
    whole.run(120)
    assert whole.is_ready()
    assert _held(whole).volume == 2 * LOT
    assert _is_identical(whole)


def test_a_death_between_the_looks_of_leader_and_follower_forgets_nothing(tmp_path: Path) -> None:
    """What the leader's look has found is told as it was found, and what came after that as any other change."""
    whole = _started(tmp_path)
    position = whole.person.buy(8 * LOT)
    whole.run(5)
    kept = _backup(tmp_path)
    whole.person.close(position, 4 * LOT)
    whole.run(5)
    whole.kill()
    _put_back(tmp_path, whole, kept)
    _refused(whole, SAME_BROKER)
    whole.start()
    whole.run(30)
    view = whole.view(LEADER)
    assert view is not None
    assert view.health is Health.RECONCILED
    whole.kill()
    whole.broker.clear_fault("all")
    whole.person.close(position, 2 * LOT)
    whole.start_ready()
    whole.run(20)
    assert _held(whole).volume == 2 * LOT
    assert _is_identical(whole)


def test_a_link_that_was_off_at_the_backup_and_on_since_begins_again_without_a_second_close(tmp_path: Path) -> None:
    """What the leader closed while it was off was made up for as it began, in the life that is forgotten."""
    whole = _started(tmp_path)
    position = whole.person.buy(4 * LOT)
    whole.run(5)
    assert whole.command({"command": "profile.disable", "profile": "whole", "copies": "leave"})["ok"]
    whole.run(5)
    kept = _backup(tmp_path)
    whole.person.close(position, 2 * LOT)
    whole.run(5)
    assert whole.command({"command": "profile.enable", "profile": "whole"})["ok"]
    whole.run(20)
    assert _held(whole).volume == 2 * LOT
    _restored(tmp_path, whole, kept)
    assert whole.command({"command": "profile.enable", "profile": "whole"})["ok"]
    whole.run(20)
    assert _held(whole).volume == 2 * LOT
    whole.person.close(position, LOT)
    whole.run(5)
    assert _held(whole).volume == LOT
    assert _is_identical(whole)


def test_a_copy_that_was_rounded_up_before_the_restore_is_not_for_that_a_persons() -> None:
    """The broker closes 2,100 units or more: of 2,800 there are 700 left, and the leader's next part closes none."""
    case = Case("up", "Odd", {"volume.mode": "fixed", "volume.amount": "0.031", "partial_rounding": "up"})
    book = Rulebook([case])
    book.begin()
    position = book.person.buy(45_000 * UNIT, account=LEAD, symbol=EURUSD)
    book.go(4)
    kept = FaultyLog.in_memory()
    book.let_record()
    book.log.connection.backup(kept.connection)
    kept.refresh()
    book.person.close(position, 3_000 * UNIT, account=LEAD)
    book.go(4)
    assert [held.volume for held in book.held("up")] == [700 * UNIT]
    book.kill()
    book.go(40)
    note_restore(kept, kept.position(), book.now_us())
    book.log = kept
    book.start()
    book.go(30)
    book.person.close(position, 3_000 * UNIT, account=LEAD)
    book.go(4)
    assert [held.volume for held in book.held("up")] == [700 * UNIT]
    assert _is_identical(book)


def test_what_a_person_closed_in_a_gap_after_a_restore_is_no_answer_to_a_link_that_begins_again(
    tmp_path: Path,
) -> None:
    """The restore was long ago: what its log knew has shrunk with the copy, and the leader's half is one of that."""
    whole = _started(tmp_path)
    position = whole.person.buy(8 * LOT)
    whole.run(5)
    kept = _backup(tmp_path)
    _restored(tmp_path, whole, kept)
    whole.kill()
    whole.person.close(_held(whole).position, 4 * LOT, account=SAME_BROKER)
    whole.run(AWAY_S)
    whole.start_ready()
    whole.run(20)
    assert whole.command({"command": "profile.disable", "profile": "whole", "copies": "leave"})["ok"]
    whole.run(5)
    whole.person.close(position, 4 * LOT)
    whole.run(5)
    assert whole.command({"command": "profile.enable", "profile": "whole"})["ok"]
    whole.run(20)
    assert _held(whole).volume == 2 * LOT
    assert _is_identical(whole)


def test_what_former_rules_met_after_a_restore_is_no_answer_by_later_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They let what the restored log knew stand: by the next version a half that was made up for was not closed."""
    with monkeypatch.context() as earlier:
        earlier.setattr(account, "RULES", UNDECIDED_AT_BACKUPS - 1)
        whole = _started(tmp_path)
        position = whole.person.buy(8 * LOT)
        whole.run(5)
        kept = _backup(tmp_path)
        _restored(tmp_path, whole, kept)
        whole.person.close(position, 4 * LOT)
        whole.run(5)
        assert _held(whole).volume == 4 * LOT
        whole.kill()
    whole.start_ready()
    assert whole.command({"command": "profile.disable", "profile": "whole", "copies": "leave"})["ok"]
    whole.run(5)
    whole.person.close(position, 2 * LOT)
    whole.run(5)
    assert whole.command({"command": "profile.enable", "profile": "whole"})["ok"]
    whole.run(20)
    assert _held(whole).volume == 2 * LOT
    assert _is_identical(whole)
