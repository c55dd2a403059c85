"""Lines that break at the worst moment: a request whose writing failed, a broker that says nothing, a long outage."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from cmam.domain.belief.copies import IntentState
from cmam.domain.events import IntentRecorded
from cmam.openapi import catalogue
from cmam.openapi._pb.OpenApiCommonMessages_pb2 import ProtoMessage
from cmam.openapi.framing import Deframer
from cmam.sandbox.switches import Switches
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.whole import ALPHA_TOO, SAME_BROKER, Whole

LOT = 10_000_000


def _types(data: bytes) -> list[int]:
    return [ProtoMessage.FromString(body).payloadType for body in Deframer().receive_data(data)]


def _fail_once(whole: Whole, payload_type: int) -> None:
    """Let the next write of this type fail as a broken pipe does: nobody knows how far it came."""
    (line,) = whole.stepper.network.lines.values()
    send = line.send

    def fail(data: bytes) -> None:
        if payload_type not in _types(data):
            send(data)
            return
        line.is_open = False
        raise OSError("broken pipe")

    line.send = fail


def _count_turns(whole: Whole) -> Counter[str]:
    """Count from now on whose turn it was, and for what."""
    counted: Counter[str] = Counter()
    turn = whole.stepper._turn

    def count(actor: Any) -> None:
        counted[f"{type(actor).__name__} {type(actor.actor_inbox.waiting[0].message).__name__}"] += 1
        turn(actor)

    whole.stepper._turn = count
    return counted


def test_what_was_under_way_on_a_line_that_is_cut_is_not_known_at_once() -> None:
    """The order was taken and not filled yet: from the cut on its outcome is unknown, without a wait for an answer."""
    whole = Whole(seed=1, switches=Switches(history_days=0, fill_delay_ms=60_000))
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(61)
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert [intent.state for intent in view.intents.values()] == [IntentState.ACCEPTED]
    whole.stepper.network.cut_all()
    whole.run(0.1)
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert [(intent.state, intent.why) for intent in view.intents.values()] == [
        (IntentState.UNKNOWN, "the connection was lost")
    ]


def test_a_close_whose_writing_failed_is_looked_up_and_closed() -> None:
    """A close that broke off while it was written counts as sent: it is looked up, and asked for again."""
    whole = Whole(seed=1)
    whole.start_ready()
    position = whole.person.buy(LOT)
    whole.run(2)
    _fail_once(whole, catalogue.CLOSE_POSITION)
    whole.person.close(position, LOT)
    whole.run(40)
    assert whole.person.holds(SAME_BROKER) == []
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert not view.intents
    assert verify(whole.log.read_all()).is_identical


def test_an_open_whose_writing_failed_is_proven_absent_before_it_is_sent_again() -> None:
    """An open that broke off while it was written is sent a second time only after the look-up, under its own name."""
    whole = Whole(seed=2, settings={"max_age": "60"})
    whole.start_ready()
    _fail_once(whole, catalogue.NEW_ORDER)
    whole.person.buy(LOT)
    whole.run(40)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT]
    intents = whole.events(SAME_BROKER, IntentRecorded)
    assert [(e.intent, e.attempt) for e in intents] == [(intents[0].intent, 1), (intents[0].intent, 2)]


def test_an_outage_with_an_unknown_outcome_costs_no_turns() -> None:
    """While nobody could answer, an account with an unknown outcome is not woken again and again to ask."""
    whole = Whole(seed=4)
    whole.start_ready()
    whole.broker.set_fault("drop", {"account": str(SAME_BROKER), "type": "2106", "count": "1"})
    whole.person.buy(LOT)
    whole.run(19)
    whole.stepper.network.is_reachable = False
    whole.stepper.network.cut_all()
    counted = _count_turns(whole)
    whole.run(120)
    assert counted["AccountActor Wake"] < 200, counted.most_common(5)


@pytest.mark.parametrize("seed", range(6))
def test_every_open_between_two_cuts_is_copied_once(seed: int) -> None:
    """A line that is cut every second costs no copy and doubles none."""
    whole = Whole(seed=seed)
    whole.start_ready()
    for _ in range(8):
        whole.person.buy(LOT)
        whole.run(0.3)
        whole.stepper.network.cut_all()
        whole.run(0.7)
    whole.run(60)
    leader, copies = whole.person.holds(LEADER), whole.person.holds(SAME_BROKER)
    assert len({held.label for held in copies}) == len(copies) == len(leader) == 8
    assert whole.stepper.failures == []


@pytest.mark.parametrize("seed", range(4))
def test_opens_that_wait_for_their_turn_survive_a_cut(seed: int) -> None:
    """A burst larger than a second may carry is cut in its middle: what had not left is copied after the reconnect."""
    whole = Whole(seed=seed, followers=(SAME_BROKER, ALPHA_TOO))
    whole.start_ready()
    for _ in range(40):
        whole.person.buy(LOT // 100)
    whole.run(0.4)
    whole.stepper.network.cut_all()
    whole.run(70)
    for account in (SAME_BROKER, ALPHA_TOO):
        labels = [held.label for held in whole.person.holds(account)]
        assert len(set(labels)) == len(labels) == 40
    assert verify(whole.log.read_all()).is_identical


def test_a_lost_close_is_looked_up_while_opens_keep_vanishing() -> None:
    """New unknown outcomes every few seconds do not put off the look-up of an old one: the lost close goes again."""
    whole = Whole(seed=3)
    whole.start_ready()
    position = whole.person.buy(LOT)
    whole.run(2)
    whole.broker.set_fault("drop", {"account": str(SAME_BROKER), "type": "2111", "count": "1"})
    whole.person.close(position, LOT)
    whole.run(0.5)
    whole.broker.set_fault("drop", {"account": str(SAME_BROKER), "type": "2106"})
    for _ in range(20):
        whole.person.buy(LOT)
        whole.run(3)
    assert whole.person.holds(SAME_BROKER) == []
