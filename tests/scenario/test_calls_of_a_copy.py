"""What a copy costs, counted in calls of our own functions: no busy machine changes that, and it grows unseen.

Each rule, habit and watch that asks for itself what its turn knew already costs a few calls; of such a copy had become
a third dearer before anybody counted. Who has to raise a bound says in the same change what that is for.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pykka
import pytest

import cmam
from tests.stepped import Stepper
from tests.whole import Whole

OURS = str(Path(cmam.__file__).parent)
LOT = 10_000_000
TRADES = 8
MOST = {"AccountActor": 2_040, "ConnectionActor": 725, "RateLimitActor": 316, "RecorderActor": 478}
"""For one open and its close, leader and follower together, by actor: some four in a hundred more than it takes now."""


def test_a_copy_takes_no_more_calls_than_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trade that is copied to one follower and closed again, with everything that is told and looked at on its way,
    stays within the calls that each actor has for it."""
    whole = Whole(seed=3)
    whole.start_ready()
    counts: Counter[str] = Counter()

    def trade(times: int) -> None:
        for _ in range(times):
            position = whole.person.buy(LOT)
            whole.run(1)
            whole.person.close(position, LOT)
            whole.run(1)

    turn_of = Stepper._turn_of

    def counted(stepper: Stepper, actor: pykka.Actor, message: Any, *, resumed: bool = False) -> None:
        kind, former = type(actor).__name__, sys.getprofile()

        def note(frame: Any, event: str, _argument: Any) -> None:
            counts[kind] += event == "call" and frame.f_code.co_filename.startswith(OURS)

        sys.setprofile(note)
        try:
            turn_of(stepper, actor, message, resumed=resumed)
        finally:
            sys.setprofile(former)

    trade(4)  # what is worked out once is worked out by then
    monkeypatch.setattr(Stepper, "_turn_of", counted)
    trade(TRADES)
    assert whole.stepper.failures == []
    took = {kind: round(counts[kind] / TRADES) for kind in MOST}
    assert {kind: calls for kind, calls in took.items() if calls > MOST[kind]} == {}, took
