"""Seed → a burst, an orderly end at any turn of it on a busy machine, a new start → every trade has its one copy.

`CHAOS_SEED=n` replays one; `CHAOS_SEEDS=0-999` tries more. Each run prints what it drew.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from cmam.domain.events import ChangeDecided
from tests.chaos import checks
from tests.chaos.seeds import seeds
from tests.person import LEADER
from tests.whole import SAME_BROKER, Whole

OPENS = 14
LOT = 10_000_000
CAN_LAG = (
    *(f"account:{account}" for account in (LEADER, SAME_BROKER)),
    *("recorder", "operator", "supervisor", "limiter:demo-1", "connection:demo-1", "to_broker", "to_client"),
)
LAGS_US = (1_000, 5_000, 30_000, 100_000)
ONCE_FAILED: tuple[int, ...] = (
    103,  # what was recorded and not decided met a follower before its first quotes, and was skipped for ever
    210,  # the same
)


@pytest.mark.parametrize("seed", seeds("0-15", *ONCE_FAILED))
def test_an_end_in_the_middle_of_a_burst_loses_nothing(seed: int) -> None:
    """Whatever thread is starved: what came before, during and after the end is copied by the next start, each once."""
    chance = random.Random(seed)
    whole = Whole(seed, settings={"max_age": "60"})
    whole.start_ready()
    whole.run(1)
    _starve(whole, chance, at_least=1)
    before = chance.randrange(OPENS)
    print(f"seed {seed}: ends after {before} of {OPENS}; lags {whole.stepper.lags}")
    for _ in range(before):
        whole.person.buy(LOT // 10)
        for _ in range(chance.randrange(60)):
            if not whole.stepper.step():
                whole.run(0.0005)
    assert whole.stop() == 0
    for _ in range(OPENS - before):
        whole.person.buy(LOT // 10)
        whole.run(0.005)
    whole.run(0.5)
    _starve(whole, chance, at_least=0)
    print(f"starts again with lags {whole.stepper.lags}")
    whole.start()
    whole.run(40)
    labels = Counter(held.label for held in whole.person.holds(SAME_BROKER))
    decided = Counter((e.verdict, e.reason) for e in whole.events(SAME_BROKER, ChangeDecided))
    assert len(labels) == OPENS, decided
    assert set(labels.values()) == {1}
    checks.nothing_twice(whole)
    checks.nothing_lost(whole)
    checks.replayable(whole)
    assert whole.stepper.failures == []


def _starve(whole: Whole, chance: random.Random, *, at_least: int) -> None:
    slow = chance.sample(CAN_LAG, chance.randrange(at_least, 5))
    whole.stepper.lags = {name: chance.choice(LAGS_US) for name in slow}
