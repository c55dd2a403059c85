"""Nets whose log is put back to a backup: what a later life has made of them since is in no record.

A leader trades, and somebody may be at the net, after the backup and before all that is lost. Nothing may be left once
the leader has closed all, and nothing may be closed or bought that the life before had done already.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from cmam.store.past.replay import verify
from cmam.store.upkeep.known_end import note_restore
from tests.stranger.nets import LOT, REST_S, Nets, amounts_of, mixed_of
from tests.stranger.world import FOLLOWER, signed
from tests.whole import FaultyLog


class RestoredNets(Nets):
    """A leader with positions of both sides, their net, and a backup of the log to go back to."""

    kept: FaultyLog

    @property
    def held(self) -> int:
        """What stands at the follower's broker, short below 0."""
        return sum(signed(one) for one in self.person.book.positions.values())

    def shares(self) -> dict[str, float]:
        """The shares on record by their sources, in lots, short below 0; those of one source together."""
        found: dict[str, float] = {}
        view = self.world.view(FOLLOWER)
        for copy in view.copies.values() if view is not None else ():
            found[copy.source] = found.get(copy.source, 0) + copy.volume * copy.side.sign / LOT
        return found

    def backs_up(self) -> None:
        """Keep the log as it is by now."""
        self.kept = FaultyLog.in_memory()
        self.world.run(5)
        self.world.log.connection.backup(self.kept.connection)
        self.kept.refresh()

    def is_restored(self, away_s: float = 40, meanwhile: Callable[[], None] | None = None) -> None:
        """The process is gone for a while, the log is the backup's, and cmam starts on it."""
        self.world.run(8)
        self.world.kill()
        if meanwhile is not None:
            meanwhile()
        self.world.run(away_s)
        self.world.log = self.kept
        note_restore(self.kept, self.kept.position(), self.world.stepper.clock.now())
        self.world.start()
        self.world.run(30)

    def trades(self, chance: random.Random) -> None:
        """The leader does something, or a person takes a lot off the net."""
        kind = chance.choice(("add", "close", "part", "open", "open", "person")) if self.led else "open"
        which, lots = chance.randrange(max(1, len(self.led))), chance.randrange(1, 5)
        if kind == "open":
            lots *= chance.choice((1, -1))
        self.acts.append(f"{kind} {which} {lots}")
        if kind == "open":
            self.opens(lots)
        elif kind == "add":
            self.adds(which, lots)
        elif kind == "close":
            self.closes(which)
        elif kind == "part" and self.led[which].volume > lots * LOT:
            self.closes(which, lots)
        elif kind == "person" and self.held and self.net.volume > LOT:
            self.person.close(self.net, LOT)

    def adds_up(self) -> None:
        """The shares on record come to what the broker holds."""
        assert round(sum(self.shares().values()) * LOT) == self.held, f"{self.held / LOT}, {self.shares()}"

    def leaves_nothing(self) -> None:
        """The leader closes all that he holds, one after the other, and so has his follower then."""
        for one in self.led:
            self.leader.close(one)
            self.world.run(2)
        self.world.run(REST_S)
        assert not self.held, f"{self.held / LOT} is left, {self.shares()}"
        assert verify(self.world.log.read_all()).is_identical
        self.world.stepper.kill()


def run_restored(seed: int, *, is_mixed: bool = False) -> RestoredNets:
    """A day from its seed; raises AssertionError with what was done, where something does not hold."""
    chance = random.Random(f"{seed}:restored nets")
    held = [chance.choice((1, 1, -1)) * chance.randrange(1, 5) for _ in range(chance.randrange(1, 4))]
    amounts, more = mixed_of(seed) if is_mixed else (amounts_of(seed), {})
    nets = RestoredNets(*held, seed=seed, amounts=amounts, more=more)
    try:
        nets.backs_up()
        for _ in range(chance.randrange(1, 4)):
            nets.trades(chance)
            nets.world.run(chance.choice((0.1, 1, 6)))
        nets.is_restored(chance.choice((2, 40, 200)))
        nets.adds_up()
        if chance.random() < 0.5:
            nets.trades(chance)
            nets.world.run(6)
        nets.leaves_nothing()
    except AssertionError as error:
        raise AssertionError(f"{held}, {amounts} {more}, {nets.acts}: {error}") from error
    return nets
