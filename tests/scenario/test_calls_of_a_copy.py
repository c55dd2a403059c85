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
from tests.whole import OTHER_BROKER, SAME_BROKER, Whole

OURS = str(Path(cmam.__file__).parent)
LOT = 10_000_000
TRADES = 8
MOST = {"AccountActor": 1_980, "ConnectionActor": 725, "RateLimitActor": 316, "RecorderActor": 443}
"""For one open and its close, leader and follower together, by actor: some four in a hundred more than it takes now."""


def counted_trades(monkeypatch: pytest.MonkeyPatch, whole: Whole) -> Counter[tuple[str, str]]:
    """The calls of so many trades, by the actor and the message that it took."""
    counts: Counter[tuple[str, str]] = Counter()

    def trade(times: int) -> None:
        for _ in range(times):
            position = whole.person.buy(LOT)
            whole.run(1)
            whole.person.close(position, LOT)
            whole.run(1)

    turn_of = Stepper._turn_of

    def counted(stepper: Stepper, actor: pykka.Actor, message: Any, *, resumed: bool = False) -> None:
        turn, former = (type(actor).__name__, type(message).__name__), sys.getprofile()

        def note(frame: Any, event: str, _argument: Any) -> None:
            counts[turn] += event == "call" and frame.f_code.co_filename.startswith(OURS)

        sys.setprofile(note)
        try:
            turn_of(stepper, actor, message, resumed=resumed)
        finally:
            sys.setprofile(former)

    trade(4)  # what is worked out once is worked out by then
    with monkeypatch.context() as patched:
        patched.setattr(Stepper, "_turn_of", counted)
        trade(TRADES)
    assert whole.stepper.failures == []
    return counts


def test_a_copy_takes_no_more_calls_than_it_should(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trade that is copied to one follower and closed again, with everything that is told and looked at on its way,
    stays within the calls that each actor has for it."""
    whole = Whole(seed=3)
    whole.start_ready()
    counts: Counter[str] = Counter()
    for (kind, _), calls in counted_trades(monkeypatch, whole).items():
        counts[kind] += calls
    took = {kind: round(counts[kind] / TRADES) for kind in MOST}
    assert {kind: calls for kind, calls in took.items() if calls > MOST[kind]} == {}, took


def test_links_whose_leader_does_nothing_cost_a_copy_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a follower has a dozen more links, with another leader who does not trade, the reports and changes of a
    copied trade take no call a trade more than with one of them (a single call in eight trades may be chance)."""
    took: list[dict[str, int]] = []
    for links in (1, 12):
        whole = Whole(seed=3)
        whole.add_accounts(OTHER_BROKER)
        for number in range(links):
            whole.add_profile(f"quiet {number}", OTHER_BROKER, (SAME_BROKER,))
        whole.start_ready()
        counts = counted_trades(monkeypatch, whole)
        took.append({turn: counts["AccountActor", turn] for turn in ("Reported", "LeaderChanged", "Written")})
    assert took[0]["Reported"] > 0
    few, many = took
    assert {turn: calls - few[turn] for turn, calls in many.items() if calls - few[turn] >= TRADES} == {}
