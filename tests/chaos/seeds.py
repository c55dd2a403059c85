"""Which seeds a file of chaos runs: the one that is replayed, a range that is asked for, or its own."""

from __future__ import annotations

import os

REPLAYED: tuple[int, ...] = (int(os.environ["CHAOS_SEED"]),) if "CHAOS_SEED" in os.environ else ()
"""The one seed to be run, as each kind of run, where somebody replays a failure."""


def seeds(own: str, *failed: int) -> tuple[int, ...]:
    """Those of a range, as in 0-15, and what once failed; `CHAOS_SEEDS` names another range."""
    first, _, last = os.environ.get("CHAOS_SEEDS", own).partition("-")
    return REPLAYED or (*range(int(first), int(last) + 1), *failed)
