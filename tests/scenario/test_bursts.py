"""Bursts, in virtual time: more to send than the limit lets through in a second, as the broker counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cmam.actors import messages as m
from cmam.domain.events import RequestsBlocked
from cmam.domain.values.ids import AccountId
from cmam.openapi import answers, catalogue, requests
from tests.person import LEADER, PERSON_CONNECTION
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000
TRADES = 45
LIMIT = 10
"""Far below what the leader's own terminal may send, so that what it does in a second takes the copier several."""


@pytest.fixture
def whole() -> Whole:
    """A running system that may send ten requests a second."""
    whole = Whole(seed=3, settings={"volume.amount": "0.1"})
    whole.settings = replace(whole.settings, api=replace(whole.settings.api, max_requests=LIMIT))
    whole.start_ready()
    whole.run(3)
    return whole


def counted(whole: Whole, what: str) -> list[int]:
    """What the broker counted on each of the copier's connections."""
    listed: Any = whole.broker.stats()["connections"]
    return [figures[what] for figures in listed if figures["connection"] < PERSON_CONNECTION]


def test_a_burst_of_copies_stays_below_the_limit_and_all_of_it_arrives(whole: Whole) -> None:
    """The limit is reached and never passed as the broker counts, nothing is refused, and no copy is left out."""
    for _ in range(TRADES):
        whole.person.buy(LOT)
        whole.run(0.021)
    assert len(whole.person.holds(SAME_BROKER)) < TRADES
    whole.run(8)
    assert len(whole.person.holds(LEADER)) == len(whole.person.holds(SAME_BROKER)) == TRADES
    assert max(counted(whole, "busiest_second_with_heartbeats")) <= LIMIT
    assert max(counted(whole, "busiest_second")) >= LIMIT - 1
    assert sum(counted(whole, "rate_refusals")) == 0
    assert not [record for record in whole.log.read_all() if isinstance(record.event, RequestsBlocked)]
    assert whole.stepper.failures == []


def test_opens_that_still_wait_are_taken_back_when_their_source_has_gone(whole: Whole) -> None:
    """A leader who opens and closes more than the limit lets through: most of it is never sent at all."""
    opened = []
    for _ in range(TRADES):
        opened.append(whole.person.buy(LOT))
        whole.run(0.021)
    for position in opened:
        whole.person.close(position, LOT)
        whole.run(0.021)
    whole.run(20)
    assert whole.person.holds(SAME_BROKER) == []
    listed: Any = whole.broker.stats()["connections"]
    sent = sum(c["requests_by_type"].get("2106", 0) for c in listed if c["connection"] < PERSON_CONNECTION)
    assert sent <= 2 * TRADES // 3
    assert whole.stepper.failures == []


def test_a_close_overtakes_a_burst_of_opens(whole: Whole) -> None:
    """A position that the leader closes during its burst is closed at the follower long before the burst is through."""
    first = whole.person.buy(LOT)
    whole.run(3)
    copies = {held.position for held in whole.person.holds(SAME_BROKER)}
    assert len(copies) == 1
    for _ in range(TRADES):
        whole.person.buy(LOT)
        whole.run(0.021)
    whole.person.close(first, LOT)
    whole.run(0.3)
    held = {held.position for held in whole.person.holds(SAME_BROKER)}
    assert not held & copies
    assert len(held) < TRADES // 2
    whole.run(8)
    assert len(whole.person.holds(SAME_BROKER)) == TRADES


@pytest.mark.parametrize("seed", [3, 4])
def test_what_the_limiter_has_not_taken_yet_leaves_before_the_end(seed: int) -> None:
    """A person flattens and stops at once, on a busy machine: the closes were recorded, the recorder had nothing more
    to do, and the line was closed before the limiter had looked at them."""
    whole = Whole(seed=seed)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(5)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    whole.stepper.rest(m.RECORDER, 60_000)
    ordered = m.Operate({"command": "flatten", "all": True}, lambda _: None)
    whole.stepper.directory.tell(m.OPERATOR, ordered)
    whole.stepper.run_until(lambda: bool(whole.system and whole.system.status().views()[SAME_BROKER].intents), 60_000)
    whole.stepper.lags.update({name: 200_000 for name in whole.stepper.directory.names() if name.startswith("limiter")})
    assert whole.system is not None
    assert whole.system.stop() == 0
    whole.run(1)
    assert whole.person.holds(SAME_BROKER) == []
    assert whole.stepper.failures == []


def test_questions_that_wait_keep_no_end_waiting(caplog: pytest.LogCaptureFixture) -> None:
    """A server that takes no histories for minutes: the system ends at once, and says of nothing that it has not left.

    Nobody waits for an answer any more, and all that was committed had left.
    """
    whole = Whole(seed=3)
    whole.start_ready()
    whole.run(3)
    kind = catalogue.type_of(requests.ask_deals(AccountId(LEADER), 0, 1))
    limiter = m.limiter_name("demo-1")
    question = requests.ask_deals(AccountId(LEADER), 0, 1)
    whole.stepper.directory.tell(limiter, m.Blocked(kind, 60_000_000))
    whole.stepper.directory.tell(limiter, m.Ask(AccountId(LEADER), "deals", question, "nobody", answers.read_deals))
    whole.run(0.1)
    assert whole.system is not None
    assert whole.system.status().read(limiter)["waiting"] == 1
    asked_us = whole.now_us()
    assert whole.system.stop() == 0
    assert whole.now_us() - asked_us < 1_000_000
    assert [record.getMessage() for record in caplog.records if "has left" in record.getMessage()] == []
