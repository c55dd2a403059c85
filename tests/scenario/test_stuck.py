"""Actors that hang in the middle of a turn: found because they make no progress, said, and replaced or waited for."""

from __future__ import annotations

import pytest

from cmam.domain.events import ActorRestarted, ActorStuck, ChangeDecided
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.scenario.lies import LOT, alerts
from tests.whole import ALPHA_TOO, SAME_BROKER, Whole


def _of_app(whole: Whole, kind: type) -> list[object]:
    return [record.event for record in whole.log.read_stream("app") if isinstance(record.event, kind)]


def _ready(seed: int = 0) -> Whole:
    whole = Whole(seed=seed, followers=(SAME_BROKER, ALPHA_TOO))
    whole.start_ready()
    return whole


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("wakes", [True, False])
def test_a_follower_that_hangs_is_said_replaced_and_missed_by_nobody(seed: int, wakes: bool) -> None:
    """The other follower copies meanwhile; the fresh one decides what its old self had not, each change once.

    Where the old self wakes again it is in the middle of a decision; nothing of it reaches the record or the broker.
    """
    whole = _ready(seed)
    name = f"account:{SAME_BROKER}"
    whole.person.buy(LOT)
    whole.run(1)
    whole.stepper.stick(name)
    whole.person.buy(2 * LOT)
    whole.run(8)
    assert len(whole.person.holds(ALPHA_TOO)) == 2
    assert any(name in text and "no progress" in text for text in alerts(whole))
    whole.run(10)
    if wakes:
        whole.stepper.unstick(name)
    whole.person.buy(3 * LOT)
    whole.run(20)
    assert sorted(held.volume for held in whole.person.holds(SAME_BROKER)) == [LOT, 2 * LOT, 3 * LOT]
    assert [event.name for event in _of_app(whole, ActorStuck)] == [name]
    assert len(_of_app(whole, ActorRestarted)) == 1
    places = [(e.cause_version, e.cause_index) for e in whole.events(SAME_BROKER, ChangeDecided)]
    assert places == sorted(set(places))
    assert not alerts(whole)
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


@pytest.mark.parametrize("wakes", [True, False])
def test_a_leader_that_hangs_is_replaced_and_its_trades_are_copied(wakes: bool) -> None:
    """What the leader did meanwhile is found by the reconcile of its successor, and copied where it is young enough."""
    whole = _ready(7)
    name = f"account:{LEADER}"
    whole.stepper.stick(name)
    whole.person.buy(LOT)
    whole.run(18)
    if wakes:
        whole.stepper.unstick(name)
    whole.run(20)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT]
    assert [held.volume for held in whole.person.holds(ALPHA_TOO)] == [LOT]
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_a_store_that_hangs_is_waited_for_and_blocks_no_close() -> None:
    """A recorder in a call that does not return: said, opens wait, whole closes leave, and it goes on by itself."""
    whole = _ready(8)
    first = whole.person.buy(LOT)
    whole.run(2)
    whole.stepper.stick("recorder")
    whole.person.buy(2 * LOT)
    whole.person.close(first, LOT)
    whole.run(90)
    assert whole.person.holds(SAME_BROKER) == []
    status = whole.command({"command": "status"})
    assert status["event_store"]["state"] == "down"
    assert any("event store does not answer" in alert["text"] for alert in status["alerts"])
    assert whole.system is not None
    assert whole.system.why_failed == ""
    whole.stepper.unstick("recorder")
    whole.run(10)
    status = whole.command({"command": "status"})
    assert status["event_store"]["state"] == "up"
    assert not status["alerts"]
    whole.person.buy(3 * LOT)
    whole.run(5)
    assert 3 * LOT in [held.volume for held in whole.person.holds(SAME_BROKER)]
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("name", ["limiter:demo-1", "connection:demo-1", "operator"])
def test_what_nobody_can_replace_ends_the_process_with_a_sentence(name: str) -> None:
    """A limiter, a connection or the operator that hangs for half a minute: the process ends and says why."""
    whole = _ready(9)
    whole.stepper.stick(name)
    whole.person.buy(LOT)
    assert whole.system is not None
    whole.system.handle({"command": "status"}, lambda _: None)
    whole.run(20)
    assert whole.system.why_failed == ""
    whole.run(20)
    assert whole.system.why_failed.startswith(f"{name} made no progress for 3")


def test_a_machine_that_slept_lets_nobody_be_replaced() -> None:
    """A gap of an hour between two looks is one look: who was in the middle of a turn then is not stuck."""
    whole = _ready(10)
    whole.stepper.stick(f"account:{SAME_BROKER}")
    whole.person.buy(LOT)
    whole.run(2)
    whole.stepper.clock.advance(3_600 * 1_000_000)
    whole.stepper.network.tick()
    whole.run(1.5)
    whole.stepper.unstick(f"account:{SAME_BROKER}")
    whole.run(20)
    assert not _of_app(whole, ActorRestarted)
