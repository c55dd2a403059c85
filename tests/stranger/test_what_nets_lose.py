"""Nets of three shares that lose volume to others while an order of one of them is under way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from cmam.domain.belief import shares
from cmam.domain.events import AlertRaised
from cmam.domain.folds import endings, intents
from cmam.domain.turns import touching
from cmam.domain.wanted import needs
from cmam.store.past.replay import verify
from tests.stranger.books import BUY, SELL, Position
from tests.stranger.habits import Habits
from tests.stranger.world import Terminal, World, signed

LEADER, FOLLOWER = 501, 502
LOT = 1_200_000


class Nets:
    """A leader with positions of both sides, and what he and somebody else do to them and to their net."""

    def __init__(self, *held: int, habits: Habits | None = None, is_netted: bool = True) -> None:
        accounts = {LEADER: ("North", False), FOLLOWER: ("North", is_netted)}
        self.world = World(1, habits or Habits(), accounts)
        self.world.profile("of", LEADER, {FOLLOWER: "1"})
        self.world.start()
        self.leader, self.person = Terminal(self.world, LEADER), Terminal(self.world, FOLLOWER)
        for lots in held:
            self.opens(lots)
            self.world.run(0.2)
        self.world.run(6)
        self.led = list(self.leader.book.positions.values())

    @property
    def net(self) -> Position:
        """What stands at the follower's broker."""
        (net,) = self.person.book.positions.values()
        return net

    def opens(self, lots: int) -> None:
        """The leader opens so much, short below 0."""
        self.leader.trade("EURUSD", BUY if lots > 0 else SELL, abs(lots) * LOT)

    def adds(self, which: int, lots: int) -> None:
        """The leader adds to one of his positions."""
        one = self.led[which]
        self.leader.trade("EURUSD", one.side, lots * LOT, positionId=one.number)

    def closes(self, which: int, lots: int = 0) -> None:
        """The leader closes one of his positions, or a part of it."""
        self.leader.close(self.led[which], lots * LOT)

    def is_stopped_out(self, lots: int) -> None:
        """The broker takes so much of what stands there, for want of margin."""
        self.world.broker.on_time(self.world.lines.now())
        self.world.broker.floor.stop_out(self.person.book, self.net, lots * LOT)
        self.world.lines.collect()

    def ends(self) -> None:
        """What the record says comes to what the broker holds; then the leader closes all, and so does his follower."""
        self.world.run(60)
        view = self.world.view(FOLLOWER)
        assert view is not None
        held = sum(signed(one) for one in self.person.book.positions.values())
        assert sum(copy.volume * copy.side.sign for copy in view.copies.values()) == held
        for one in list(self.leader.book.positions.values()):
            self.leader.close(one)
            self.world.run(2)
        self.world.run(60)
        assert not [one.text for one in self.world.events(FOLLOWER, AlertRaised) if one.kind == "findings"]
        assert not self.person.book.positions
        assert verify(self.world.log.read_all()).is_identical
        self.world.stepper.kill()


def _rejoins() -> Nets:
    """A person closes the net, what a share gives up fills as a new one, and the line is cut over both."""
    nets = Nets(-4, 3, 4)
    nets.closes(0)
    nets.world.run(0.11)
    nets.person.close(nets.net)
    nets.world.run(0.05)
    nets.world.lines.cut_all()
    return nets


def _turns_after_a_part() -> Nets:
    """A person closes a part of the net in sight, and an add that was under way then turns it out of sight."""
    nets = Nets(-2, -2, 1)
    nets.adds(2, 4)
    nets.world.run(0.07)
    nets.person.close(nets.net, 2 * LOT)
    nets.world.run(0.15)
    nets.world.lines.cut_all()
    return nets


def _ends_before_it_is_told() -> Nets:
    """What became of an open is unknown, a person has closed some, and a share that has lost by it ends."""
    nets = Nets(-3, -1)
    nets.opens(2)
    nets.world.run(0.2)
    nets.person.close(nets.net, LOT)
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
    nets.is_stopped_out(1)
    return nets


def _goes_on_under_another() -> Nets:
    """A net is stopped out unseen, and stands again by the end of a share; then a person closes it in sight."""
    nets = Nets(-2, 4, -1)
    nets.is_stopped_out(1)
    nets.world.lines.cut_all()
    nets.closes(0)
    nets.world.run(30)
    nets.person.close(nets.net)
    return nets


@dataclass(frozen=True)
class _Case:
    story: Callable[[], Nets]
    module: object
    rule: str


CASES = (
    _Case(_rejoins, endings, "LOSSES_REJOIN"),
    _Case(_turns_after_a_part, touching, "LOSSES_ARE_TOLD"),
    _Case(_ends_before_it_is_told, needs, "LOSSES_ARE_TOLD"),
    _Case(_is_refused, intents, "LOSSES_ARE_TOLD"),
    _Case(_goes_on_under_another, shares, "LOSSES_REJOIN"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.story.__name__)
def test_what_others_take_off_a_net_leaves_nothing_that_is_nobodys(
    case: _Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shares come to what the broker holds, and end with their leader's; by the rules of before they did not."""
    case.story().ends()
    monkeypatch.setattr(case.module, case.rule, 99)
    nets = case.story()
    with pytest.raises(AssertionError):
        nets.ends()
    nets.world.stepper.kill()
