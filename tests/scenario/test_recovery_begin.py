"""A start while the leader trades on: what is told late, and in which order, loses nothing and closes nothing."""

from __future__ import annotations

from typing import Any

from cmam.actors import messages as m
from cmam.domain.events import ChangeDecided
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000


def _hold_back(whole: Whole, account: int, question: str) -> list[tuple[str, object]]:
    """Keep the broker's answers to one question of one account until they are handed over by hand."""
    directory, kept = whole.stepper.directory, list[tuple[str, object]]()
    tell = directory.tell

    def slow(name: str, message: Any) -> bool:
        if name == m.account_name(account) and isinstance(message, m.Answered) and message.question == question:
            kept.append((name, message))
            return True
        return tell(name, message)

    directory.tell = slow
    return kept


def _hand_over(whole: Whole, kept: list[tuple[str, object]]) -> None:
    directory = whole.stepper.directory
    del directory.tell
    for name, message in kept:
        directory.tell(name, message)


def test_what_the_leader_opens_while_a_follower_is_still_looking_is_copied() -> None:
    """A restart in a burst: the follower is ready later than its leader, and copies what was opened in between."""
    whole = Whole(seed=5)
    whole.start_ready()
    for _ in range(2):
        whole.person.buy(LOT)
    whole.run(2)
    whole.kill()
    whole.start()
    kept = _hold_back(whole, SAME_BROKER, "snapshot")
    whole.run(2)
    assert kept
    for _ in range(3):
        whole.person.buy(LOT)
    whole.run(2)
    _hand_over(whole, kept)
    whole.run(30)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT] * 5
    assert not [e for e in whole.events(SAME_BROKER, ChangeDecided) if e.change.synced]
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_who_starts_again_before_its_first_snapshot_is_durable_was_never_ready() -> None:
    """Ready is said once the baseline is on disk: what the leader opens after it is copied, whatever dies."""
    whole = Whole(seed=3)
    whole.log.is_down = True
    whole.start()
    whole.run(10)
    assert not whole.is_ready()
    whole.log.is_down = False
    whole.stepper.run_until(whole.is_ready, 60_000_000)
    whole.person.buy(LOT)
    whole.kill()
    whole.start_ready()
    whole.run(5)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT]
    assert whole.stepper.failures == []


def test_a_leader_that_fails_while_its_follower_is_still_looking_is_followed_from_its_record() -> None:
    """What a failed actor had told and not recorded is not decided: its successor tells the same place anew."""
    whole = Whole(seed=9)
    whole.start_ready()
    whole.kill()
    whole.start()
    kept = _hold_back(whole, SAME_BROKER, "snapshot")
    whole.run(2)
    for _ in range(2):
        whole.person.buy(LOT)
    whole.run(1)
    whole.stepper.doom(m.account_name(LEADER), 0, 1)
    whole.person.buy(2 * LOT)
    whole.run(3)
    _hand_over(whole, kept)
    whole.run(30)
    assert sorted(held.volume for held in whole.person.holds(SAME_BROKER)) == [LOT, LOT, 2 * LOT]
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []
