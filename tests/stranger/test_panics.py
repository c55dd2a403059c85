"""Leaders who close everything at once before netted followers, whatever else happens beside it."""

from __future__ import annotations

import pytest

from cmam.domain.events import CopyFinished, IntentRecorded
from cmam.domain.values.reasons import Reason
from tests.stranger.habits import Habits
from tests.stranger.nets import LOT, Nets
from tests.stranger.panics import run_panic
from tests.stranger.world import FOLLOWER


@pytest.mark.parametrize("parts", [1, 3])
def test_a_panic_goes_out_in_two_requests_while_a_broker_takes_one_order_of_a_position(parts: int) -> None:
    """Orders of a position that is being executed are refused: side by side the closes would not have been taken.

    Where the leader's first close is told in three parts, the first of these is on its way as the rest of all is told.
    """
    nets = Nets(1, 2, 3, 1, 2, habits=Habits(locks=True, parts=parts, part_us=40_000))
    for one in nets.led:
        nets.leader.close(one)
    nets.ends()
    closes = [one.command.volume for one in nets.world.events(FOLLOWER, IntentRecorded) if one.command.position]
    assert closes == [LOT // parts, 9 * LOT - LOT // parts]
    ended = [one.reason for one in nets.world.events(FOLLOWER, CopyFinished)]
    assert ended == [Reason.CLOSED_BY_LEADER] * 5


@pytest.mark.parametrize("held", [(1, 2, 1, 3), (1, 2, -1, 3)], ids=["one side", "both sides"])
def test_a_panic_of_two_profiles_goes_out_in_as_many_requests(held: tuple[int, ...]) -> None:
    """Both copy into one net, one at half the size: what the second holds is closed with what the first does."""
    nets = Nets(*held, amounts=("1", "0.5"))
    for one in nets.led:
        nets.leader.close(one)
    nets.ends()
    asked = [one.command for one in nets.world.events(FOLLOWER, IntentRecorded)]
    closes = [command.volume for command in asked if command.position]
    assert (closes, sum(one.position is None for one in asked)) == ([LOT, sum(held) * LOT * 3 // 2 - LOT], 8)
    ended = [one.reason for one in nets.world.events(FOLLOWER, CopyFinished)]
    assert ended == [Reason.CLOSED_BY_LEADER] * 8


@pytest.mark.parametrize("seed", range(5))
def test_drawn_panics_leave_nothing_that_is_nobodys(seed: int) -> None:
    """A few of those that `scripts/soak/nets.py --panics` runs."""
    run_panic(seed)


@pytest.mark.parametrize("seed", [1808, 1838])
def test_drawn_panics_of_unlike_profiles_leave_nothing_that_is_nobodys(seed: int) -> None:
    """Two profiles in one net, of sizes that are no whole steps, one of them reversed, by prices or rounding up."""
    run_panic(seed, is_mixed=True)
