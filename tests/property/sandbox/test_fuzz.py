"""Mutated frames against the pure broker: it answers or ignores them, keeps its books, and its memory stays flat."""

from __future__ import annotations

import os

import pytest

from tests.property.sandbox.fuzzing import main

FRAMES = int(os.environ.get("FUZZ_FRAMES", "5000"))


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_mutated_frames_do_no_harm(seed: int) -> None:
    """5,000 frames a seed, 20,000 in all: no fault of our own, books in order, deals done, memory flat."""
    outcome = main(FRAMES, seed)
    assert outcome.internal_errors == 0
    assert outcome.deals > 50, "expected the fuzzer to get as deep as deals"
    assert outcome.kib_at_end < outcome.kib_after_half + 4 * 1024
