"""Closes of shares that find less of their net than they are to take, since another share's order was faster."""

from __future__ import annotations

import pytest

from cmam.domain.belief import proofs
from cmam.domain.belief.copies import Copy
from cmam.domain.events import AlertRaised
from cmam.domain.folds import intents
from cmam.domain.values.quantities import Side
from tests.stranger.habits import Habits
from tests.stranger.nets import LOT, Nets
from tests.stranger.world import FOLLOWER


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


def _live(nets: Nets) -> list[Copy]:
    """The follower's shares that are not finished."""
    view = nets.world.view(FOLLOWER)
    assert view is not None
    return list(view.copies.values())


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
    assert nets.world.events(FOLLOWER, AlertRaised) == []
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


@pytest.mark.parametrize("habits", [Habits(), Habits(short_closes="smaller")], ids=lambda one: one.short_closes)
def test_what_a_close_left_of_its_share_is_closed_at_once_and_nobody_is_called(
    habits: Habits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the order of another share that had taken it: no broker refuses anything."""
    nets = _overtaken(habits, is_cut=False)
    nets.world.run(0.7)
    assert {copy.side: int(copy.volume) for copy in _live(nets)} == {Side.SELL: 2 * LOT}
    assert nets.world.events(FOLLOWER, AlertRaised) == []
    nets.world.stepper.kill()
    monkeypatch.setattr(intents, "CLOSES_END_SHORT", 99)
    nets = _overtaken(habits, is_cut=False)
    nets.world.run(3)
    assert [alert.kind.partition(" ")[0] for alert in nets.world.events(FOLLOWER, AlertRaised)] == ["refused"]
    nets.world.stepper.kill()
