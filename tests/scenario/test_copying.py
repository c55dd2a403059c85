"""The main job as stories: a leader trades on the sandbox's core, a follower copies, in virtual time, byte by byte."""

from __future__ import annotations

import pytest

from cmam.domain.events import ChangeDecided, IntentRecorded, IntentSettled, Outcome
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000


@pytest.fixture(params=range(3))
def whole(request: pytest.FixtureRequest) -> Whole:
    """A running system, its turns picked by three different seeds."""
    whole = Whole(seed=request.param, settings={"volume.amount": "0.5"})
    whole.start_ready()
    return whole


def test_open_part_close_and_full_close_are_copied(whole: Whole) -> None:
    """A follower at half size holds half of what the leader holds after each of its trades, and nothing at the end."""
    position = whole.person.buy(2 * LOT)
    whole.run(2)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT]
    whole.person.close(position, LOT)
    whole.run(2)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT // 2]
    whole.person.close(position, LOT)
    whole.run(2)
    assert whole.person.holds(SAME_BROKER) == []
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_levels_travel_with_the_open_and_follow_each_move(whole: Whole) -> None:
    """The copy has a stop from its first moment, and both levels move with the leader's."""
    position = whole.person.buy(2 * LOT, relativeStopLoss=500, relativeTakeProfit=700)
    whole.run(2)
    opened = list(whole.events(SAME_BROKER, IntentRecorded))
    assert opened[0].command.relative_stop == 500_000
    (leader,), (copy,) = whole.person.holds(LEADER), whole.person.holds(SAME_BROKER)
    shift = copy.price - leader.price
    assert copy.stop == pytest.approx(leader.stop + shift, abs=1e-9)
    whole.person.amend(position, stop=round(leader.stop - 0.0012, 5), target=leader.target)
    whole.run(2)
    (leader,), (copy,) = whole.person.holds(LEADER), whole.person.holds(SAME_BROKER)
    assert copy.stop == pytest.approx(leader.stop + shift, abs=1e-9)
    assert copy.target == pytest.approx(leader.target + shift, abs=1e-9)


def test_each_change_meets_one_decision(whole: Whole) -> None:
    """Each leader's change is decided exactly once, in order, whatever order the turns came in."""
    for _ in range(5):
        whole.person.buy(LOT)
    whole.run(3)
    decided = [(e.cause_version, e.cause_index) for e in whole.events(SAME_BROKER, ChangeDecided)]
    assert decided == sorted(set(decided))
    assert len([e for e in whole.events(SAME_BROKER, ChangeDecided) if e.change.kind == "opened"]) == 5
    assert len(whole.person.holds(SAME_BROKER)) == 5


def test_a_foreign_close_of_a_copy_ends_it(whole: Whole) -> None:
    """What a human closes on the follower stays closed, and the leader's later trades of it find nothing to do."""
    position = whole.person.buy(2 * LOT)
    whole.run(2)
    (copy,) = whole.person.holds(SAME_BROKER)
    whole.person.close(copy.position, copy.volume, account=SAME_BROKER)
    whole.run(2)
    whole.person.close(position, LOT)
    whole.run(2)
    last = whole.events(SAME_BROKER, ChangeDecided)[-1]
    assert (last.verdict, last.reason) == ("none", "copy_finished")
    assert whole.person.holds(SAME_BROKER) == []


def test_crash_before_anything_is_lost_or_doubled() -> None:
    """Killed at any turn after the leader's trade, a restarted copier ends with exactly one copy."""
    for turns in range(0, 60, 3):
        whole = Whole(seed=turns)
        whole.start_ready()
        whole.person.buy(LOT)
        whole.run(0.131)  # the fill is on its way
        for _ in range(turns):
            whole.stepper.step()
        whole.kill()
        whole.run(1)
        whole.start_ready()
        whole.run(25)
        held = whole.person.holds(SAME_BROKER)
        assert [h.volume for h in held] == [LOT], f"after {turns} turns: {held}"
        assert verify(whole.log.read_all()).is_identical
        assert whole.stepper.failures == []


def test_cut_line_after_the_order_is_settled_by_looking() -> None:
    """An open whose answer was lost with the line is found at the broker, not sent again."""
    whole = Whole(seed=7)
    whole.start_ready()
    whole.broker.set_fault("cut-after", {"type": "2106", "count": "1", "connection": "1"})
    whole.person.buy(LOT)
    whole.run(30)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT]
    outcomes = [e.outcome for e in whole.events(SAME_BROKER, IntentSettled)]
    assert outcomes == [Outcome.CONFIRMED]


def test_flatten_closes_everything_and_nothing_opens_until_rearmed(whole: Whole) -> None:
    """Flatten closes every copy, refuses later opens with a reason, and copying goes on after it is re-armed."""
    whole.person.buy(2 * LOT)
    whole.person.buy(4 * LOT)
    whole.run(2)
    assert len(whole.person.holds(SAME_BROKER)) == 2
    answer = whole.command({"command": "flatten", "profile": "whole"})
    assert answer["ok"], answer
    whole.run(3)
    assert whole.person.holds(SAME_BROKER) == []
    whole.person.buy(2 * LOT)
    whole.run(2)
    assert whole.person.holds(SAME_BROKER) == []
    (profile,) = whole.command({"command": "status"})["profiles"]
    assert profile["forecast"] is None, "nobody is there who could be late"
    assert whole.command({"command": "rearm", "profile": "whole"})["rearmed"] == 1
    assert whole.command({"command": "rearm", "profile": "whole"})["rearmed"] == 0, "no latch is closed"
    whole.person.buy(2 * LOT)
    whole.run(2)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    assert verify(whole.log.read_all()).is_identical


def test_an_event_that_was_never_told_is_found_within_a_minute(whole: Whole) -> None:
    """A leader's close whose event the server never sent is found by looking, and copied."""
    position = whole.person.buy(2 * LOT)
    whole.run(2)
    network = whole.stepper.network
    line = network.lines[max(network.lines)]
    whole.person.close(position, 2 * LOT)
    whole.run(0.0001)
    swallowed: list[bytes] = []
    original = network.collect

    def collect() -> None:
        original()
        while line.to_client and line.to_client[-1][1][4:7] == b"\x08\xce\x10":
            swallowed.append(line.to_client.pop()[1])

    network.collect = collect
    whole.run(1)
    network.collect = original
    assert swallowed
    assert len(whole.person.holds(SAME_BROKER)) == 1
    whole.run(70)
    assert whole.person.holds(SAME_BROKER) == []
    assert verify(whole.log.read_all()).is_identical
