"""How copying begins: a leader that already holds something, copies whose source has gone while nothing ran."""

from __future__ import annotations

import pytest

from cmam.domain.events import ChangeDecided, RulesBegan
from cmam.domain.values.rules.newest import RULES
from cmam.store.errors import StoreBroken
from cmam.store.past.replay import verify
from cmam.store.records.envelope import Pending
from tests.person import LEADER
from tests.rulebook import BUY, UNIT, Case, Rulebook
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000


def test_a_position_from_before_is_left_alone_by_default() -> None:
    """What the leader held before copying began is not opened without `sync_open`."""
    whole = Whole(seed=1)
    whole.person.buy(LOT)
    whole.run(1)
    whole.start_ready()
    whole.run(3)
    assert whole.person.holds(SAME_BROKER) == []


def test_sync_open_opens_what_the_leader_holds_once() -> None:
    """With `sync_open` the leader's young position is opened at the start, and not again at the next one."""
    whole = Whole(seed=2, settings={"sync_open": "on", "sync_max_age": "10m"})
    whole.person.buy(LOT, relativeStopLoss=4_000)
    whole.run(1)
    whole.start_ready()
    whole.run(3)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT]
    whole.kill()
    whole.start_ready()
    whole.run(20)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT]
    assert verify(whole.log.read_all()).is_identical


def test_a_late_copy_of_a_bare_position_has_the_levels_that_he_sets_afterwards() -> None:
    """His entry was 50 pips higher; a stop at 1.07500 becomes 1.07502, as the follower asks 0.2 pip more."""
    settings = {"volume.basis": "units", "sync_open": "on"}
    book = Rulebook([Case("late", settings=settings), Case("by price", settings={**settings, "levels": "price"})])
    theirs = book.person.buy(10_000 * UNIT)
    book.price("EURUSD", "1.08000")
    book.begin()
    book.go(2)
    book.person.amend(theirs, stop=1.075, target=1.09)
    book.go(2)
    assert book.levels("late") == [(BUY, 1.07502, 1.09002, 1.0801)]
    assert book.levels("by price") == [(BUY, 1.075, 1.09, 1.0801)]
    assert verify(book.log.read_all()).is_identical


def test_sync_open_meets_what_it_has_skipped_each_time_the_profile_begins() -> None:
    """Without a stop it is skipped at the start; he sets one while the profile is off, and now it is opened."""
    whole = Whole(seed=2, settings={"sync_open": "on", "sync_max_age": "10m", "require_stop": "on"})
    position = whole.person.buy(LOT)
    whole.run(1)
    whole.start_ready()
    whole.run(3)
    assert whole.person.holds(SAME_BROKER) == []
    assert whole.command({"command": "profile.disable", "profile": "whole", "copies": "leave"})["ok"]
    whole.person.amend(position, stop=1.05)
    whole.run(2)
    assert whole.command({"command": "profile.enable", "profile": "whole"})["ok"]
    whole.run(5)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT]
    assert verify(whole.log.read_all()).is_identical


def test_what_the_leader_closed_while_the_profile_was_stopped_is_closed_at_its_start() -> None:
    """A profile that is enabled again closes the copies whose source has gone, and reduces those that shrank."""
    whole = Whole(seed=3)
    whole.start_ready()
    first, second = whole.person.buy(2 * LOT), whole.person.buy(4 * LOT)
    whole.run(2)
    assert len(whole.person.holds(SAME_BROKER)) == 2
    answer = whole.command({"command": "profile.disable", "profile": "whole", "copies": "leave"})
    assert answer["ok"], answer
    whole.person.close(first, 2 * LOT)
    whole.person.close(second, LOT)
    whole.run(2)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [2 * LOT, 4 * LOT]
    assert whole.command({"command": "profile.enable", "profile": "whole"})["ok"]
    whole.run(3)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [3 * LOT]
    synced = [event.change for event in whole.events(SAME_BROKER, ChangeDecided) if event.change.synced]
    assert {change.kind.value for change in synced} == {"closed", "reduced"}
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_an_account_notes_once_by_which_rules_its_record_is_derived() -> None:
    """First of all it says, and not again at the next start."""
    whole = Whole(seed=4)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    whole.kill()
    whole.start_ready()
    for account in (LEADER, SAME_BROKER):
        assert next(iter(whole.log.read_stream(f"account:{account}"))).event == RulesBegan(rules=RULES)
        assert len(whole.events(account, RulesBegan)) == 1


def test_a_log_by_rules_of_a_newer_cmam_is_not_gone_on_with() -> None:
    """Whoever went back to an older cmam is told so at the start, and by a command that derives; nothing is written."""
    whole = Whole(seed=4)
    whole.start_ready()
    whole.run(2)
    whole.kill()
    stream = f"account:{SAME_BROKER}"
    at_us, version = whole.now_us(), whole.log.head(stream).version + 1
    whole.log.append([Pending(stream, version, at_us, RulesBegan(rules=RULES + 1))])
    position = whole.log.position()
    told = rf"number {RULES + 1}, and this one knows rules up to number {RULES}\. Both .* Start the copy"
    for go_on in (whole.start, lambda: whole.writer.carry_out({"command": "flatten", "everything": True})):
        with pytest.raises(StoreBroken, match=told):
            go_on()
    assert whole.log.position() == position
