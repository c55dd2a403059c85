"""What stories share in which a server does not tell the truth: how its words are changed, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cmam.sandbox.service.delivery import Close, Send
from tests.person import PERSON_CONNECTION
from tests.whole import Whole

LOT = 10_000_000
SPOT, RECONCILED, ACCOUNT_OPEN, DEALS = 2131, 2125, 2103, 2134
Lie = Callable[[Send], list[Send]]


def tell(monkeypatch: pytest.MonkeyPatch, whole: Whole, lie: Lie) -> None:
    """Let everything that the copier is told pass through `lie` first."""
    take = whole.broker.take_output

    def told() -> list[Send | Close]:
        found: list[Send | Close] = []
        for item in take():
            found += lie(item) if isinstance(item, Send) and item.connection < PERSON_CONNECTION else [item]
        return found

    monkeypatch.setattr(whole.broker, "take_output", told)


def say(whole: Whole, message: Any) -> None:
    """Let the server say something by itself on the one line there is."""
    (line,) = whole.stepper.network.lines.values()
    kind = message.DESCRIPTOR.fields_by_name["payloadType"].default_value
    take = whole.broker.take_output
    said: list[Send | Close] = [Send(line.number, kind, message.SerializePartialToString(), None)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole.broker, "take_output", lambda: [*take(), *said])
        whole.stepper.network.collect()


def copies(whole: Whole) -> list[list[int]]:
    """What the followers really hold."""
    return [[held.volume for held in whole.person.holds(follower)] for follower in whole.followers]


def recorded(whole: Whole, kind: type[Any], stream: str = "connection:demo-1") -> list[Any]:
    """The events of a kind in a stream."""
    return [record.event for record in whole.log.read_stream(stream) if isinstance(record.event, kind)]


def alerts(whole: Whole) -> list[str]:
    """What `status` warns of."""
    return [alert["text"] for alert in whole.command({"command": "status"})["alerts"]]
