"""Reports that come twice, late, and in no order at all: what the broker holds is what counts in the end.

Between reader and account a demon holds reports back, repeats them and shuffles them, each account's for itself. The
checkers are those of all chaos. `CHAOS_SEED=n` replays one.
"""

from __future__ import annotations

import contextlib
import logging
import random
from collections.abc import Callable
from typing import Any

import pytest

from cmam.actors import messages as m
from tests.chaos import checks, workload
from tests.chaos.seeds import seeds
from tests.whole import ALPHA_TOO, NETTED, SAME_BROKER, Whole

ROUNDS = 16
PAUSES_S = (0.02, 0.3, 1.2)
QUIET_S = 200
LATE_US = 3_000_000
WORLDS: tuple[Callable[[int], Whole], ...] = (
    lambda seed: Whole(seed, settings={"volume.amount": "0.5"}),
    lambda seed: Whole(seed, followers=(SAME_BROKER, ALPHA_TOO)),
    lambda seed: Whole(seed, followers=(NETTED,)),
    lambda seed: Whole(seed, leader=NETTED, followers=(SAME_BROKER,)),
)


class Demon:
    """Sits between whoever reports and the accounts."""

    def __init__(self, whole: Whole, chance: random.Random) -> None:
        self._whole = whole
        self._chance = chance
        self._directory = whole.stepper.directory
        self._tell = self._directory.tell
        self.is_awake = True
        self.struck = 0
        self._directory.tell = self.tell

    def tell(self, name: str, message: Any) -> bool:
        """Pass a message on, now or later, once or twice."""
        if not isinstance(message, m.Reported) or not name.startswith("account:") or not self.is_awake:
            return self._tell(name, message)
        if self._chance.random() < 0.25:
            self.struck += 1
            self._later(name, message)
        if self._chance.random() < 0.25:
            self.struck += 1
            self._later(name, message)
            return True
        return self._tell(name, message)

    def _later(self, name: str, message: object) -> None:
        self._whole.stepper.after(self._chance.randrange(LATE_US), name, message)


@pytest.mark.parametrize("seed", seeds("0-7"))
def test_reports_twice_late_and_in_no_order(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing is copied twice, nothing stays open whose source is gone, volumes and levels are right in the end."""
    caplog.set_level(logging.DEBUG, "cmam")
    print(f"seed {seed}")
    chance = random.Random(seed)
    whole = WORLDS[seed % len(WORLDS)](seed)
    whole.start_ready()
    demon = Demon(whole, chance)
    symbols = workload.NETTED_SYMBOLS if whole.leader == NETTED else workload.SYMBOLS
    trader = workload.Trader(whole, whole.leader, chance, symbols=symbols, pendings=seed % 3 == 0)
    for _ in range(ROUNDS):
        with contextlib.suppress(StopIteration):
            print(f"  {trader.act()}")
        whole.run(chance.choice(PAUSES_S))
    whole.run(5)
    demon.is_awake = False
    whole.run(QUIET_S)
    assert demon.struck
    checks.all_hold(whole, caplog.text, has_quota=False)
