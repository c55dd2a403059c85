"""Nets of a few shares that lose volume to a person or a stop-out while orders of shares are under way.

A leader holds positions of both sides, and a netted follower's net is what they come to. What the record says of its
shares is held against the broker's books, and nothing may be left once the leader has closed all.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from math import ceil

from cmam.domain.events import AlertRaised
from cmam.store.auditing.audit import Audit
from cmam.store.past.replay import verify
from tests.stranger.books import BUY, SELL, Position
from tests.stranger.habits import Habits
from tests.stranger.world import FOLLOWER, LEADER, Terminal, World, signed

LOT = 1_200_000
STEP = 100_000
REST_S = 60
"""By then all that was asked is told, looked up and made good."""


class Nets:
    """A leader with positions of both sides, and what he and somebody else do to them and to their net."""

    def __init__(
        self,
        *held: int,
        seed: int = 1,
        turns: str = "new",
        habits: Habits | None = None,
        amounts: Sequence[str] = ("1",),
        more: Mapping[str, str] | None = None,
    ) -> None:
        self.most = max(map(Decimal, amounts))
        self.is_plain = habits is None
        """Whether its broker tells all that it is asked."""
        self.world = World(seed, habits or Habits(turns=turns), {LEADER: ("North", False), FOLLOWER: ("North", True)})
        for number, amount in enumerate(amounts):
            self.world.profile(f"of{number or ''}", LEADER, {FOLLOWER: amount}, **(more or {} if number else {}))
        self.world.start()
        self.leader, self.person = Terminal(self.world, LEADER), Terminal(self.world, FOLLOWER)
        for lots in held:
            self.opens(lots)
            self.world.run(0.2)
        self.world.run(6)
        self.acts: list[str] = []

    @property
    def led(self) -> list[Position]:
        """What the leader holds, the oldest first."""
        return sorted(self.leader.book.positions.values(), key=lambda held: held.number)

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

    def is_stopped_out(self, volume: int) -> None:
        """The broker takes so much of what stands there, for want of margin."""
        self.world.broker.on_time(self.world.lines.now())
        self.world.broker.floor.stop_out(self.person.book, self.net, volume)
        self.world.lines.collect()

    # --- drawn ------------------------------------------------------------------------------------------------------

    def trouble(self, chance: random.Random) -> None:
        """The leader trades, somebody takes some of the net or all of it, and the line may be cut over both."""
        for _ in range(chance.choice((1, 1, 2))):
            self._trades(chance)
            self.world.run(chance.choice((0.0, 0.02, 0.06)))
        self.world.run(chance.choice((0.0, 0.05, 0.1, 0.14, 0.2, 0.26)))
        if self.person.book.positions:
            self._takes(chance)
        if chance.random() < 0.3:
            self.world.run(chance.choice((0.0, 0.05, 0.15)))
            self.acts.append("cut")
            self.world.lines.cut_all()
        self.world.run(chance.choice((0.05, 0.3)))
        if chance.random() < 0.5 and self.led:
            which = chance.randrange(len(self.led))
            self.acts.append(f"close {which}")
            self.closes(which)

    def _trades(self, chance: random.Random) -> None:
        which, lots = chance.randrange(max(1, len(self.led))), chance.randrange(1, 5)
        kind = chance.choice(("add", "add", "close", "close", "part", "open")) if self.led else "open"
        self.acts.append(f"{kind} {which} {lots}")
        if kind == "open":
            self.opens(lots if chance.random() < 0.5 else -lots)
        elif kind == "add":
            self.adds(which, lots)
        elif kind == "close":
            self.closes(which)
        elif self.led[which].volume > lots * LOT:
            self.closes(which, lots)

    def _takes(self, chance: random.Random) -> None:
        volume = self.net.volume
        if chance.random() < 0.5:
            volume = min(volume, LOT * chance.randrange(1, max(2, volume // LOT)))
        by_person = chance.random() < 0.5
        self.acts.append(f"{'person' if by_person else 'stop-out'} {volume / LOT} of {signed(self.net) / LOT}")
        if by_person:
            self.person.close(self.net, volume)
        else:
            self.is_stopped_out(volume)

    # --- what must hold ---------------------------------------------------------------------------------------------

    def agrees(self) -> None:
        """What the record says of the shares comes to what the broker holds, and each is where it shall be."""
        self.world.run(REST_S)
        view = self.world.view(FOLLOWER)
        assert view is not None
        held = sum(signed(one) for one in self.person.book.positions.values())
        shares = {copy.key[1]: (copy.side.value, int(copy.volume), float(copy.target)) for copy in view.copies.values()}
        assert sum(copy.volume * copy.side.sign for copy in view.copies.values()) == held, f"{held}, {shares}"
        assert all(abs(copy.volume - copy.target) < STEP for copy in view.copies.values()), f"{shares}"
        led = {one.number: one.volume for one in self.led}
        limits = {
            number: ceil(volume * self.most / STEP) * STEP for number, volume in led.items()
        }  # less than a step is carried
        assert all(c.volume <= limits.get(c.leader_position or 0, 0) for c in view.copies.values()), f"{shares}"
        assert not view.intents

    def follows(self) -> None:
        """It agrees, and the net is what the leader's positions come to."""
        self.agrees()
        assert sum(map(signed, self.person.book.positions.values())) == sum(map(signed, self.led)), self.led

    def results_agree(self) -> None:
        """What the record says that closes came to is what the broker's books say, deal by deal, to the last cent."""
        self.world.run(REST_S)
        told: dict[int, Decimal] = defaultdict(Decimal)
        for line in Audit.of(self.world.log).results():
            told[line["deal"]] += Decimal(line["net"])
        closed = {deal.number: deal.closed for deal in self.person.book.deals if deal.closed is not None}
        assert told == {
            number: Decimal(one.gross + one.swap + one.commission).scaleb(-2) for number, one in closed.items()
        }

    def ends(self) -> None:
        """It agrees; then the leader closes all, and so does his follower."""
        self.agrees()
        for one in self.led:
            self.leader.close(one)
            self.world.run(2)
        self.agrees()
        assert not [one.text for one in self.world.events(FOLLOWER, AlertRaised) if one.kind == "findings"]
        assert not self.person.book.positions
        assert verify(self.world.log.read_all()).is_identical
        if self.is_plain:
            self.results_agree()
        self.world.stepper.kill()


def amounts_of(seed: int) -> tuple[str, ...]:
    """The multipliers of one profile, or of two that copy into the same net; drawn apart from the day."""
    chance = random.Random(f"{seed}:profiles")
    return ("1",) if chance.random() < 0.5 else ("1", chance.choice(("1", "0.5", "0.25")))


MIXED = ({"reverse": "on", "reverse_without_stop": "on"}, {"partial_rounding": "up"}, {"levels": "price"})
"""How the second of two profiles differs from the first."""


def mixed_of(seed: int) -> tuple[tuple[str, ...], dict[str, str]]:
    """Two profiles that differ in more than a step's multiple, and what the second has besides."""
    chance = random.Random(f"{seed}:mixed")
    amounts = tuple(chance.choice(("1", "0.37", "0.61", "1.3", "0.1")) for _ in range(2))
    more: dict[str, str] = {}
    for settings in chance.sample(MIXED, chance.choice((1, 1, 2))):
        more.update(settings)
    return amounts, more


def run_drawn(seed: int, *, is_mixed: bool = False) -> Nets:
    """A day from its seed; raises AssertionError with what was done, where something does not hold."""
    chance = random.Random(f"{seed}:nets")
    held = [chance.choice((1, 1, -1)) * chance.randrange(1, 5) for _ in range(chance.randrange(2, 5))]
    amounts, more = mixed_of(seed) if is_mixed else (amounts_of(seed), {})
    nets = Nets(*held, seed=seed, amounts=amounts, more=more)
    try:
        for _ in range(chance.randrange(1, 3)):
            nets.trouble(chance)
            nets.agrees()
        nets.ends()
    except AssertionError as error:
        raise AssertionError(f"{held}, {amounts} {more}, {nets.acts}: {error}") from error
    return nets
