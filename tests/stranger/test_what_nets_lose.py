"""Nets of shares that lose volume to others while an order of one of them is under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cmam.domain.belief import shares
from cmam.domain.folds import afterwards, endings, intents
from cmam.domain.turns import touching
from cmam.domain.wanted import needs
from tests.stranger.nets import LOT, Nets, run_drawn


def _rejoins() -> Nets:
    """A person closes the net, what a share gives up fills as a new one, and the line is cut over both."""
    nets = Nets(-4, 3, 4)
    nets.closes(0)
    nets.world.run(0.11)
    nets.person.close(nets.net)
    nets.world.run(0.05)
    nets.world.lines.cut_all()
    return nets


def _turns_after_a_part(turns: str = "one") -> Nets:
    """A person closes a part of the net, and an add that was under way then turns it, in one deal."""
    nets = Nets(-2, -2, 1, turns=turns)
    nets.adds(2, 4)
    nets.world.run(0.07)
    nets.person.close(nets.net, 2 * LOT)
    return nets


def _turns_out_of_sight() -> Nets:
    """So they do while the line is cut, and the net has another number then."""
    nets = _turns_after_a_part("new")
    nets.world.run(0.08)
    nets.world.lines.cut_all()
    return nets


def _ends_before_it_is_told() -> Nets:
    """Nobody knows yet whether a share has been given up, and some was stopped out, when the other share ends."""
    nets = Nets(4, -2)
    nets.closes(1)
    nets.world.run(0.16)
    nets.is_stopped_out(LOT)
    nets.world.lines.cut_all()
    nets.world.run(0.3)
    nets.closes(0)
    return nets


def _is_refused() -> Nets:
    """The broker stops a net out before a share's close of it arrives, which is refused, and an add turns it."""
    nets = Nets(2, -3)
    nets.adds(0, 3)
    nets.world.run(0.01)
    nets.closes(1, 2)
    nets.is_stopped_out(LOT)
    return nets


def _goes_on_under_another() -> Nets:
    """A net is stopped out unseen, and stands again by the end of a share; then a person closes it in sight."""
    nets = Nets(-2, 4, -1)
    nets.is_stopped_out(LOT)
    nets.world.lines.cut_all()
    nets.closes(0)
    nets.world.run(30)
    nets.person.close(nets.net)
    return nets


def _buys_as_much_as_a_person_takes() -> Nets:
    """A person takes as much of a net as an add buys in the same gap, and the look shows as much as before."""
    nets = Nets(4, -3, 2)
    nets.adds(0, 1)
    nets.world.run(0.16)
    nets.person.close(nets.net, LOT)
    nets.world.run(0.05)
    nets.world.lines.cut_all()
    return nets


def _opens_on_both_sides() -> Nets:
    """A net comes out of sight, by the orders of a share on either side of it."""
    nets = Nets()
    nets.opens(4)
    nets.opens(-1)
    nets.world.run(0.2)
    nets.world.lines.cut_all()
    return nets


def _grows_on_both_sides() -> Nets:
    """A net grows out of sight by an add, and is reduced by what opens on its other side, by less."""
    nets = Nets(3)
    nets.adds(0, 2)
    nets.opens(-1)
    nets.world.run(0.2)
    nets.world.lines.cut_all()
    return nets


@dataclass(frozen=True)
class _Case:
    story: Callable[[], Nets]
    module: object
    rules: tuple[str, ...]


CASES = (
    _Case(_rejoins, endings, ("LOSSES_REJOIN",)),
    _Case(_turns_after_a_part, touching, ("LOSSES_ARE_TOLD",)),
    _Case(_turns_out_of_sight, shares, ("LOSSES_REJOIN",)),
    _Case(_ends_before_it_is_told, needs, ("LOSSES_ARE_TOLD",)),
    _Case(_is_refused, intents, ("LOSSES_ARE_TOLD", "NETS_MOVE_FIRST")),
    _Case(_goes_on_under_another, shares, ("LOSSES_REJOIN",)),
    _Case(_buys_as_much_as_a_person_takes, afterwards, ("TAKEN_BESIDE_ORDERS",)),
    _Case(_opens_on_both_sides, afterwards, ("REDUCED_UNSEEN",)),
    _Case(_grows_on_both_sides, afterwards, ("REDUCED_UNSEEN",)),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.story.__name__)
def test_what_others_take_off_a_net_leaves_nothing_that_is_nobodys(
    case: _Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shares come to what the broker holds, and end with their leader's; by the rules of before they did not."""
    case.story().ends()
    for rule in case.rules:
        monkeypatch.setattr(case.module, rule, 99)
    nets = case.story()
    with pytest.raises(AssertionError):
        nets.ends()
    nets.world.stepper.kill()


@pytest.mark.parametrize("seed", range(6))
def test_drawn_days_leave_nothing_that_is_nobodys(seed: int) -> None:
    """A few of those that `scripts/soak/nets.py` runs."""
    run_drawn(seed)
