"""Nets whose log was put back to a backup."""

from __future__ import annotations

import pytest

from cmam.domain.folds import taking_in
from tests.stranger.restored_nets import RestoredNets


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
