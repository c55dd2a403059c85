"""What is broken on purpose, one invariant after the other; `scripts/mutations.py` runs them."""

from __future__ import annotations

from dataclasses import dataclass

UNIT = "tests/unit/"
LIFE = UNIT + "domain/test_life_of_a_copy.py"
TRADING_CHAOS = "tests/chaos/test_trading_chaos.py"


@dataclass(frozen=True, slots=True)
class Mutation:
    """One way to break the code: what it is in words, one piece of one file replaced, and who should see it."""

    breaks: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
