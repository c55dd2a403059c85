"""Which accounts may be new followers where nothing runs: by what the record says of them."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.domain.operating.asking import Refusal
from tests.whole import ALPHA_TOO, OTHER_BROKER, SAME_BROKER, Whole


@pytest.mark.parametrize(
    "request_",
    [
        {"command": "profile.create", "name": "new", "leader": str(OTHER_BROKER), "followers": [str(SAME_BROKER)]},
        {
            "command": "profile.apply",
            "profiles": [
                {"name": "new", "leader": str(OTHER_BROKER), "followers": [{"account": str(SAME_BROKER)}]},
            ],
        },
    ],
)
def test_what_a_broker_lets_an_account_do_is_known_after_the_end_too(request_: dict[str, Any]) -> None:
    """`create` asked only what runs: stopped, it made a profile that `apply` refuses, of which no open was copied."""
    whole = Whole(seed=3, followers=(SAME_BROKER, OTHER_BROKER))
    whole.start_ready()
    whole.broker.set_fault("access", {"account": str(SAME_BROKER), "rights": "CLOSE_ONLY"})
    whole.run(2)
    whole.stop()
    writer = type(whole.writer)(whole.log, whole.stepper.clock)
    with pytest.raises(Refusal, match="set it to close_only"):
        writer.carry_out(request_)


def test_a_follower_comes_and_goes_while_the_system_runs() -> None:
    """What the leader opens after it came is copied at the others' size, what he had is not; gone, it has nothing."""
    whole = Whole(seed=3, followers=(SAME_BROKER, ALPHA_TOO), settings={"volume.amount": "0.5"})
    whole.start_ready()
    one = {"profile": "whole", "follower": str(ALPHA_TOO)}
    assert whole.command({"command": "profile.follower.remove", **one, "copies": "close"})["ok"]
    whole.person.buy(10_000_000)
    whole.run(3)
    assert whole.command({"command": "profile.follower.add", **one})["ok"]
    whole.person.buy(20_000_000)
    whole.run(3)
    assert _volumes(whole) == [10_000_000]
    assert "say --close or --leave" in whole.command({"command": "profile.follower.remove", **one})["error"]
    assert whole.command({"command": "profile.follower.remove", **one, "copies": "close"})["ok"]
    whole.run(5)
    assert _volumes(whole) == []


def _volumes(whole: Whole) -> list[int]:
    view = whole.view(ALPHA_TOO)
    assert view is not None
    return [position.volume for position in view.positions.values()]
