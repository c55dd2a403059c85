"""Two stores on the same accounts: the second is stopped before its first open, and takes over by an explicit word."""

from __future__ import annotations

from cmam.domain.events import AttemptDecided, ChangeDecided, CopyRebuilt, IntentRecorded
from cmam.domain.values.ids import OrderId, PositionId, order_source, position_source
from cmam.domain.values.reasons import Reason
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from tests.whole import SAME_BROKER, FaultyLog, Whole

LOT = 10_000_000


def another_machine(whole: Whole) -> None:
    """The old machine stops; a new one is set up on the same accounts, with a store of its own."""
    whole.kill()
    whole.log = FaultyLog.in_memory()
    whole.writer = type(whole.writer)(whole.log, whole.stepper.clock)
    accounts, whole.accounts = whole.accounts, ()
    whole.add_accounts(*accounts)
    whole.add_profile("whole", whole.leader, whole.followers)


def test_the_second_store_opens_nothing_until_it_adopts_and_then_manages_all() -> None:
    """Before: other_copier for every open. After: the old copies close, shrink and move with their leader."""
    whole = Whole(seed=1)
    whole.start_ready()
    first, second = whole.person.buy(LOT), whole.person.buy(4 * LOT, relativeStopLoss=40_000)
    resting = whole.person.place(model.LIMIT, 5 * LOT, price=0.9)
    whole.run(3)
    assert len(whole.person.holds(SAME_BROKER)) == 2
    another_machine(whole)
    whole.start_ready()
    third = whole.person.buy(2 * LOT)
    whole.run(3)
    skipped = [e for e in whole.events(SAME_BROKER, ChangeDecided) if e.verdict == "skip"]
    assert [e.reason.value for e in skipped] == ["other_copier"]
    assert not whole.events(SAME_BROKER, IntentRecorded)
    whole.person.close(first, LOT)
    whole.run(3)
    assert len(whole.person.holds(SAME_BROKER)) == 2
    answer = whole.command({"command": "profile.adopt", "profile": "whole", "store": ""})
    assert answer["ok"], answer
    whole.run(3)
    assert [p.volume for p in whole.person.holds(SAME_BROKER)] == [4 * LOT]
    whole.person.close(second, LOT)
    whole.person.cancel(resting)
    whole.person.close(third, 2 * LOT)
    whole.person.buy(3 * LOT)
    whole.run(3)
    assert sorted(p.volume for p in whole.person.holds(SAME_BROKER)) == [3 * LOT, 3 * LOT]
    assert whole.person.rests(SAME_BROKER) == []
    whole.person.close(second, 3 * LOT)
    whole.run(3)
    assert [p.volume for p in whole.person.holds(SAME_BROKER)] == [3 * LOT]
    assert len(whole.events(SAME_BROKER, CopyRebuilt)) == 3
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_what_is_adopted_while_nothing_runs_is_managed_from_the_next_start() -> None:
    """The command before a start takes effect at the start, closes of the time between included."""
    whole = Whole(seed=2)
    whole.start_ready()
    source = whole.person.buy(LOT)
    whole.run(3)
    another_machine(whole)
    whole.start_ready()
    whole.run(1)
    whole.kill()
    whole.person.close(source, LOT)
    whole.writer.carry_out({"command": "profile.adopt", "profile": "whole"})
    whole.start_ready()
    whole.run(3)
    assert whole.person.holds(SAME_BROKER) == []
    assert verify(whole.log.read_all()).is_identical


def test_a_second_store_that_begins_while_an_open_waits_ends_the_wait() -> None:
    """Ours waits for a better price; a copy of another trade by another store appears: ours is skipped, not doubled."""
    whole = Whole(seed=4, settings={"wait_for_better": "20"})
    whole.start_ready()
    held = whole.person.buy(LOT)
    whole.run(1)
    assert [event.verdict for event in whole.events(SAME_BROKER, ChangeDecided)] == ["copy"]
    assert not whole.events(SAME_BROKER, IntentRecorded)
    pending = whole.person.place(model.LIMIT, LOT, price=0.9)
    whole.person.buy(LOT, account=SAME_BROKER, label=f"cm1.other.l1nk09.{order_source(OrderId(pending))}")
    whole.run(3)
    (attempt,) = whole.events(SAME_BROKER, AttemptDecided)
    assert (attempt.source, attempt.reason) == (position_source(PositionId(held)), Reason.OTHER_COPIER)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []
