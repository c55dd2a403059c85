"""A write that fails: nobody knows how far the order came, so it counts as sent and is looked up, never guessed."""

from __future__ import annotations

import pytest

from cmam.domain.events import IntentOverdue, IntentSent
from cmam.openapi import catalogue
from cmam.openapi.envelope import decode
from cmam.store.past.replay import verify
from tests.whole import SAME_BROKER, Whole
from tests.wires import Line

LOT = 10_000_000


@pytest.mark.parametrize("arrives", [True, False])
def test_a_failed_write_of_an_open_ends_in_one_copy(arrives: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the order reached the broker or not, the follower holds one copy in the end."""
    whole = Whole(seed=5)
    whole.start_ready()
    failed: list[bytes] = []
    send = Line.send

    def failing(line: Line, data: bytes) -> None:
        if not failed and decode(data[4:]).payload_type == catalogue.NEW_ORDER:
            failed.append(data)
            if arrives:
                line.network.broker.receive(
                    line.number,
                    catalogue.NEW_ORDER,
                    decode(data[4:]).payload,
                    decode(data[4:]).client_msg_id,
                    line.network.now(),
                )
            raise OSError("broken pipe")
        send(line, data)

    monkeypatch.setattr(Line, "send", failing)
    whole.person.buy(LOT)
    whole.run(40)
    assert failed
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT]
    assert whole.events(SAME_BROKER, IntentSent)
    assert whole.events(SAME_BROKER, IntentOverdue)
    assert verify(whole.log.read_all()).is_identical


def test_nothing_turns_in_circles_while_the_line_is_down() -> None:
    """An unknown outcome waits for the line without burning time: a minute apart costs few reminders."""
    whole = Whole(seed=6)
    whole.start_ready()
    whole.broker.set_fault("cut-after", {"type": "2106", "count": "1", "connection": "1"})
    whole.stepper.network.is_reachable = True
    whole.person.buy(LOT)
    whole.run(0.2)
    whole.stepper.network.is_reachable = False
    asked: list[str] = []
    after = whole.stepper.after

    def counted(span_us: int, name: str, message: object) -> None:
        asked.append(name)
        after(span_us, name, message)

    whole.stepper.after = counted
    whole.run(60)
    assert asked.count(f"account:{SAME_BROKER}") < 60
    whole.stepper.network.is_reachable = True
    whole.run(90)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT]
