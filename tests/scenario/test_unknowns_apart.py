"""Each request of unknown outcome has its own proof: what a snapshot tells waits for no history that another needs."""

from __future__ import annotations

import pytest

from cmam.domain.belief.copies import IntentState
from cmam.domain.events import IntentSettled, Outcome
from cmam.domain.values.commands import CommandKind
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000
OPEN, CANCEL, CLOSE, ORDERS = 2106, 2108, 2111, 2175


def _holding(whole: Whole) -> int:
    """Let one lot be copied; answers the leader's position."""
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(5)
    (held,) = whole.person.holds(LEADER)
    assert [copy.volume for copy in whole.person.holds(SAME_BROKER)] == [LOT]
    return held.position


def _lose(whole: Whole, kind: int, how: str = "drop") -> None:
    """Have the next request of a kind come to nothing, or be done unheard, for the follower."""
    whole.broker.set_fault(how, {"account": str(SAME_BROKER), "type": str(kind), "count": "1"})


def _refuse_history(whole: Whole, **more: int) -> None:
    told = {name: str(value) for name, value in more.items()}
    whole.broker.set_fault("error", {"type": str(ORDERS), "code": "BLOCKED_PAYLOAD_TYPE", **told})


def _unknown(whole: Whole) -> list[CommandKind]:
    view = whole.view(SAME_BROKER)
    assert view is not None
    return [one.command.kind for one in view.intents.values() if one.state is IntentState.UNKNOWN]


@pytest.mark.parametrize("how", ["drop", "silence"])
@pytest.mark.parametrize("part", [LOT, LOT // 2])
@pytest.mark.parametrize("more", [{}, {"retry_after": 3_600}])
def test_a_close_does_not_wait_for_the_history_of_an_open(more: dict[str, int], part: int, how: str) -> None:
    """The server tells no history, an open is lost, and then a close on the same account: the position tells of the
    close, which is asked for again, and once only, while nothing is known of the open."""
    whole = Whole(seed=3)
    position = _holding(whole)
    _refuse_history(whole, **more)
    _lose(whole, OPEN)
    whole.person.buy(LOT)
    whole.run(25)
    assert _unknown(whole) == [CommandKind.OPEN]
    _lose(whole, CLOSE, how)
    whole.person.close(position, part)
    whole.run(40)
    assert sum(held.volume for held in whole.person.holds(SAME_BROKER)) == LOT - part
    assert _unknown(whole) == [CommandKind.OPEN]
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_a_cancel_does_not_wait_for_the_history_of_an_open() -> None:
    """An order that still rests after the settling time was not cancelled: it is asked for again."""
    whole = Whole(seed=3)
    whole.start_ready()
    order = whole.person.place(model.LIMIT, LOT, price=1.05)
    whole.run(5)
    assert len(whole.person.rests(SAME_BROKER)) == 1
    _refuse_history(whole)
    _lose(whole, OPEN)
    whole.person.buy(LOT)
    whole.run(25)
    _lose(whole, CANCEL)
    whole.person.cancel(order)
    whole.run(40)
    assert whole.person.rests(SAME_BROKER) == []
    assert _unknown(whole) == [CommandKind.OPEN]
    assert verify(whole.log.read_all()).is_identical


def test_the_minute_goes_on_while_a_history_is_refused() -> None:
    """What no event told is found by the look of each minute, whatever history an unknown open waits for; that it is
    refused is said for as long; and once it is told, the open is settled by it."""
    whole = Whole(seed=3)
    _holding(whole)
    _refuse_history(whole, retry_after=600)
    _lose(whole, OPEN)
    whole.person.buy(LOT)
    whole.run(25)
    whole.broker.floor.accounts[SAME_BROKER].positions.clear()  # and no event tells
    whole.run(90)
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert not view.positions
    assert _unknown(whole) == [CommandKind.OPEN]
    whole.broker.clear_fault("error")
    whole.run(660)
    assert _unknown(whole) == []
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("part", [LOT // 4, LOT])
def test_an_answer_that_is_long_under_way_proves_no_more_than_its_question(part: int) -> None:
    """A close is lost, and another one second later. The look that tells of the first is begun in time for that alone,
    and answered in time for both: the other may still have been under way as it was asked, so that the next one tells
    of it."""
    whole = Whole(seed=3)
    first = _holding(whole)
    second = whole.person.buy(LOT)
    whole.run(5)
    began_us = whole.stepper.clock.now()
    for position in (first, second):
        _lose(whole, CLOSE)
        whole.person.close(position, part)
        whole.run(1)
    whole.run(17)
    whole.broker.set_fault("delay", {"ms": "1500", "count": "100"})
    whole.run(40)
    absent = [
        (recorded.event.intent, (recorded.at_us - began_us) / 1_000_000)
        for recorded in whole.log.read_stream(f"account:{SAME_BROKER}")
        if isinstance(recorded.event, IntentSettled) and recorded.event.outcome is Outcome.ABSENT
    ]
    (_, first_s), (_, second_s) = absent
    assert first_s < 23 < 25 < second_s
    assert sum(held.volume for held in whole.person.holds(SAME_BROKER)) == 2 * (LOT - part)
    assert verify(whole.log.read_all()).is_identical
