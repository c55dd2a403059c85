"""Closes of shares that find less of their net than they are to take, since another share's order was faster."""

from __future__ import annotations

import pytest

from cmam.domain.belief import proofs
from tests.stranger.habits import Habits
from tests.stranger.nets import Nets


def _overtaken(habits: Habits, *, is_cut: bool) -> Nets:
    """A leader goes short beside what he holds and closes that while the short is under way; the line may be cut."""
    nets = Nets(4, habits=habits)
    nets.opens(-2)
    nets.world.run(0.06)
    nets.closes(0)
    if is_cut:
        nets.world.run(0.2)
        nets.world.lines.cut_all()
    return nets


UNSEEN = {
    "the rest of it dies": Habits(),
    "its order has no number that was told": Habits(accepted="never"),
    "its order is made smaller": Habits(short_closes="smaller"),
}


@pytest.mark.parametrize("habits", [pytest.param(habits, id=case) for case, habits in UNSEEN.items()])
def test_what_a_close_left_of_its_share_out_of_sight_is_closed_and_nobody_else_pays(
    habits: Habits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The share that opened stays, as its leader's position does; it counted as closed by a person, and was gone."""
    nets = _overtaken(habits, is_cut=True)
    nets.follows()
    nets.world.stepper.kill()
    monkeypatch.setattr(proofs, "CLOSES_END_SHORT", 99)
    nets = _overtaken(habits, is_cut=True)
    with pytest.raises(AssertionError):
        nets.follows()
    nets.world.stepper.kill()


def test_a_close_whose_order_is_made_smaller_is_over_when_that_has_filled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of the share is given up then; the order of the other had taken its place, and was said to be
    closed by a person."""
    habits = Habits(short_closes="smaller")
    nets = _overtaken(habits, is_cut=False)
    nets.follows()
    nets.ends()
    monkeypatch.setattr(proofs, "CLOSES_END_SHORT", 99)
    nets = _overtaken(habits, is_cut=False)
    with pytest.raises(AssertionError):
        nets.follows()
    nets.world.stepper.kill()
