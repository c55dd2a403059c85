"""Leaders who close everything at once before netted followers, while others are at their nets.

A net of shares that are mostly of one side; all of them, or most, end within a moment. Meanwhile a person or the broker
takes some of the net, the leader opens anew or adds, moves his stops, the line is cut or the process dies; and the
broker has drawn habits. What must hold is what holds of nets (`nets.py`).
"""

from __future__ import annotations

import random

from tests.stranger.habits import Habits, draw
from tests.stranger.nets import LOT, Nets, amounts_of, mixed_of

PAUSES = (0.0, 0.0, 0.01, 0.04, 0.15, 0.3)


class Panic(Nets):
    """A leader who closes all that he has, or nearly all, and what happens beside it."""

    def closes_all(self, chance: random.Random) -> None:
        """All of his positions, some of them a part only, one after the other or with a breath between them."""
        pause = chance.choice((0.0, 0.0, 0.01, 0.03))
        led = self.led
        kept = chance.sample(led, chance.choice((0, 0, 0, 1, 2)) % len(led))
        self.acts.append(f"closes {len(led) - len(kept)} of {len(led)}")
        for one in led:
            if one in kept:
                continue
            part = chance.randrange(1, 3) * LOT
            self.leader.close(one, part if chance.random() < 0.1 and part < one.volume else 0)
            if pause:
                self.world.run(pause)

    def is_stopped_out(self, volume: int) -> None:
        """As ever, but of a net that an order holds."""
        floor = self.world.broker.floor
        if not (floor.habits.locks and floor.is_busy(self.person.book, self.net.number)):
            super().is_stopped_out(volume)

    def disturbs(self, chance: random.Random) -> None:
        """Something that happens meanwhile."""
        act = chance.choice(("takes", "takes", "cut", "kill", "opens", "adds", "stops", "closes"))
        self.acts.append(act)
        match act:
            case "takes" if self.person.book.positions:
                self._takes(chance)
            case "cut":
                self.world.lines.cut_all()
            case "kill":
                self.world.kill()
                self.world.run(chance.choice((0.0, 0.2, 3.0)))
                self.world.start()
            case "opens":
                self.opens(chance.choice((1, 2, 3, -1, -4)))
            case "adds" if self.led:
                self.adds(chance.randrange(len(self.led)), chance.randrange(1, 3))
            case "stops" if self.led:
                one = chance.choice(self.led)
                away = chance.choice((300, 600, 900)) * one.symbol.tick
                price = self.world.broker.floor.market.price(one.symbol, one.side)
                self.leader.protect(one, price - away if one.side == 1 else price + away, 0)
            case "closes" if self.led:
                self.closes(chance.randrange(len(self.led)))

    def storms(self, chance: random.Random) -> None:
        """The leader closes all at once, and up to three other things happen beside it."""
        if chance.random() < 0.3:
            self.disturbs(chance)
            self.world.run(chance.choice(PAUSES))
        if self.led:
            self.closes_all(chance)
        for _ in range(chance.choice((0, 1, 1, 2, 3))):
            self.world.run(chance.choice(PAUSES))
            self.disturbs(chance)


def run_panic(seed: int, *, habits: Habits | None = None, is_mixed: bool = False) -> Panic:
    """A day from its seed; raises AssertionError with what was done, where something does not hold."""
    chance = random.Random(f"{seed}:panic")
    drawn = draw(chance) if chance.random() < 0.7 else Habits(turns=chance.choice(("new", "same", "one")))
    held = [chance.randrange(1, 5) for _ in range(chance.randrange(2, 9))]
    if chance.random() < 0.2:
        held[-1] *= -1
    sides = random.Random(f"{seed}:sides")
    if sides.random() < 0.4:
        held = [lots * sides.choice((1, 1, -1)) for lots in held]
    amounts, more = mixed_of(seed) if is_mixed else (amounts_of(seed), {})
    panic = Panic(*held, seed=seed, habits=habits or drawn, amounts=amounts, more=more)
    try:
        for _ in range(chance.randrange(1, 3)):
            panic.storms(chance)
            panic.agrees()
        panic.ends()
    except AssertionError as error:
        raise AssertionError(f"{held}, {amounts} {more}, {panic.acts}, {drawn}: {error}") from error
    return panic
