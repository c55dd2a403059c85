"""Nets whose log was put back to a backup."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cmam.domain.belief import restored
from cmam.domain.belief import shares as belief_shares
from cmam.domain.folds import taking_in
from cmam.domain.turns import another_life
from tests.stranger.nets import LOT
from tests.stranger.restored_nets import RestoredNets, run_restored


def _under_another_number() -> RestoredNets:
    """A net that was flat at the backup has stood under another number since."""
    nets = RestoredNets(-2, 2)
    nets.backs_up()
    nets.opens(-1)
    nets.is_restored()
    return nets


def test_shares_of_a_flat_net_go_on_in_the_position_that_came_after_the_backup(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is closed with its leader's; by the rules of before the first close ended all others as a person's."""
    nets = _under_another_number()
    assert sorted(nets.shares().values()) == [-2, -1, 2]
    nets.leaves_nothing()
    monkeypatch.setattr(taking_in, "REBUILT_SHARES_REJOIN", 99)
    nets = _under_another_number()
    with pytest.raises(AssertionError, match="is left"):
        nets.leaves_nothing()
    nets.world.stepper.kill()


def _adds_to_one_and_closes_the_other() -> RestoredNets:
    """What the leader adds and what he closes leave the net as it was."""
    nets = RestoredNets(1, 4)
    nets.backs_up()
    nets.closes(1)
    nets.world.run(6)
    nets.adds(0, 4)
    return nets


def _adds_to_one_side() -> RestoredNets:
    """What is added to a share of a net of both sides is known by no label."""
    nets = RestoredNets(3, -2)
    nets.backs_up()
    nets.adds(0, 4)
    return nets


def _closes_against_the_net() -> RestoredNets:
    """A share that stands against its net is closed by a trade of the other side, which bears its name."""
    nets = RestoredNets(3, -1)
    nets.backs_up()
    nets.closes(1)
    return nets


def _opens_on_both_sides() -> RestoredNets:
    """A net of both sides gets a third share since, of the side on which it stands."""
    nets = RestoredNets(-3, 2)
    nets.backs_up()
    nets.opens(-3)
    return nets


def _opens_against_the_net() -> RestoredNets:
    """A share that has been opened since has made the net smaller."""
    nets = RestoredNets(2, 2)
    nets.backs_up()
    nets.opens(-1)
    return nets


def _turns_and_is_another() -> RestoredNets:
    """Two shares that have been opened since have turned the net, which has another number."""
    nets = RestoredNets(-2, 3)
    nets.backs_up()
    nets.opens(-1)
    nets.world.run(6)
    nets.opens(-1)
    return nets


STORIES = (
    (_adds_to_one_and_closes_the_other, [5], 5),
    (_adds_to_one_side, [-2, 7], 5),
    (_closes_against_the_net, [3], 3),
    (_opens_on_both_sides, [-3, -3, 2], -4),
    (_opens_against_the_net, [-1, 2, 2], 3),
    (_turns_and_is_another, [-2, -1, -1, 3], -1),
)


@pytest.mark.parametrize(("story", "shares", "held"), STORIES, ids=[story[0].__name__ for story in STORIES])
def test_a_share_is_what_the_orders_of_a_life_that_is_forgotten_have_made_of_it(
    story: Callable[[], RestoredNets], shares: list[float], held: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is closed again, and nothing stays; by the rules of before it was not what it should be."""
    nets = story()
    nets.is_restored()
    assert sorted(nets.shares().values()) == shares
    assert nets.held == held * LOT
    nets.leaves_nothing()
    monkeypatch.setattr(another_life, "ANOTHER_LIFES_ORDERS", 99)
    monkeypatch.setattr(restored, "OPENED_IN_ANOTHER_LIFE", 99)
    nets = story()
    nets.is_restored()
    assert (sorted(nets.shares().values()), nets.held) != (shares, held * LOT)
    nets.world.stepper.kill()


def test_what_was_closed_of_a_share_is_closed_once_whatever_was_opened_beside_it() -> None:
    """The net looks as if an opening hid the close, and had been closed itself: both leave what the leader has."""
    nets = RestoredNets(4)
    nets.backs_up()
    nets.opens(2)
    nets.world.run(6)
    nets.closes(0, 2)
    nets.is_restored()
    assert sorted(nets.shares().values()) == [2, 2]
    nets.leaves_nothing()
    nets = RestoredNets(4)
    nets.backs_up()
    nets.opens(2)
    nets.world.run(6)
    nets.closes(1)
    nets.is_restored(meanwhile=lambda: nets.closes(0, 2))
    assert sorted(nets.shares().values()) == [2]
    nets.leaves_nothing()


def _opened_anew() -> RestoredNets:
    """Two shares that come to nothing; what is opened since is closed, once a person has taken a lot of it."""
    nets = RestoredNets(4, -4)
    nets.backs_up()
    nets.opens(3)
    nets.world.run(6)
    nets.person.close(nets.net, LOT)
    nets.world.run(6)
    nets.closes(2)
    nets.is_restored()
    return nets


def test_what_an_order_that_is_forgotten_opened_beyond_the_shares_is_what_the_other_side_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The net was flat at the backup, and stands against what a person took of it: it was told as somebody's add."""
    nets = _opened_anew()
    nets.adds_up()
    nets.leaves_nothing()
    monkeypatch.setattr(belief_shares, "OPENED_SINCE_ANEW", 99)
    nets = _opened_anew()
    with pytest.raises(AssertionError):
        nets.adds_up()
    nets.world.stepper.kill()


def test_what_a_leader_has_left_since_is_closed_though_the_log_does_not_know_it() -> None:
    """It was opened after the backup, and its leader closed while no cmam ran."""
    nets = RestoredNets(4, -1)
    nets.backs_up()
    nets.opens(-2)
    nets.is_restored(meanwhile=lambda: nets.closes(2))
    assert sorted(nets.shares().values()) == [-1, 4]
    assert nets.held == 3 * LOT
    nets.leaves_nothing()


@pytest.mark.parametrize("seed", [10, 16, 26, 107, 382, 604])
def test_a_drawn_day_of_a_net_leaves_nothing_after_a_restore(seed: int) -> None:
    """Its shares come to what its broker holds, and end with their leader's."""
    run_restored(seed)
