"""Messages that an account dies of whenever they come: set aside with their content, so that all else goes on."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from cmam.actors import messages as m
from cmam.actors.accounts import following
from cmam.actors.accounts.desk import Desk
from cmam.actors.care.poison import TRIES_MAX
from cmam.domain.events import (
    ActorRestarted,
    AlertRaised,
    ChangeDecided,
    ExecutionSeen,
    FlattenRequested,
    GuardRearmed,
    MessageSetAside,
    MessageUnreadable,
)
from cmam.domain.values.reasons import Reason, Verdict
from cmam.openapi import answers, translate
from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from cmam.store.records.envelope import event_bytes
from tests.person import LEADER
from tests.whole import ALPHA_TOO, SAME_BROKER, Whole

LOT = 10_000_000
BAD = 3 * LOT


class Indigestible(Exception):
    """A fault of ours that one message brings to light."""


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> Whole:
    """A system in which no follower but one can decide about an open of exactly three lots."""
    whole = Whole(seed=3, followers=(SAME_BROKER, ALPHA_TOO))
    gather = following.gather

    def failing(view: Any, change: Any, *arguments: Any, **options: Any) -> Any:
        if view.account == SAME_BROKER and change.kind == "opened" and change.after == BAD:
            raise Indigestible("three lots")
        return gather(view, change, *arguments, **options)

    monkeypatch.setattr(following, "gather", failing)
    whole.start_ready()
    return whole


def _decided(whole: Whole, account: int) -> list[ChangeDecided]:
    return [event for event in whole.events(account, ChangeDecided) if event.change.kind == "opened"]


def _deaths(whole: Whole) -> int:
    return sum(isinstance(record.event, ActorRestarted) for record in whole.log.read_stream("app"))


def test_a_change_that_kills_its_follower_is_set_aside_after_three_deaths(whole: Whole) -> None:
    """It meets its one decision, a skip; its content stands on record; what came before and after is copied."""
    for volume in (LOT, BAD, 2 * LOT):
        whole.person.buy(volume)
    whole.run(30)
    assert _deaths(whole) == TRIES_MAX
    (aside,) = whole.events(SAME_BROKER, MessageSetAside)
    decided = _decided(whole, SAME_BROKER)
    (skipped,) = [event for event in decided if event.verdict is Verdict.SKIP]
    assert skipped.reason is Reason.SET_ASIDE
    assert aside.content == event_bytes(skipped.change).decode()
    assert aside.tries == TRIES_MAX
    assert "three lots" in aside.error
    assert sorted(held.volume for held in whole.person.holds(SAME_BROKER)) == [LOT, 2 * LOT]
    assert sorted(held.volume for held in whole.person.holds(ALPHA_TOO)) == [LOT, 2 * LOT, BAD]
    assert verify(whole.log.read_all()).is_identical
    alerts = whole.command({"command": "status"})["alerts"]
    assert any("set it aside" in alert["text"] and alert["account"] == SAME_BROKER for alert in alerts)


def test_what_was_set_aside_stays_so_over_a_restart(whole: Whole) -> None:
    """The decision is on record, so the next process does not die of the same change, and the alert still stands."""
    whole.person.buy(BAD)
    whole.run(30)
    before = _deaths(whole)
    whole.kill()
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(30)
    assert _deaths(whole) == before
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT]
    assert whole.events(SAME_BROKER, AlertRaised)


def test_a_report_that_kills_its_account_whenever_it_comes_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker's report that no account can live with ends on record, whole; the account trades on."""
    whole = Whole(seed=4)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    report = m.Reported(whole.events(LEADER, ExecutionSeen)[-1])
    fact = Desk.fact

    def failing(desk: Desk, found: Any, **options: Any) -> None:
        if found is report.fact:
            raise Indigestible("a report")
        fact(desk, found, **options)

    monkeypatch.setattr(Desk, "fact", failing)
    for _ in range(TRIES_MAX + 2):
        whole.stepper.directory.tell(f"account:{LEADER}", report)
        whole.run(10)
    assert _deaths(whole) == TRIES_MAX
    aside = whole.events(LEADER, MessageSetAside)
    assert {event.content for event in aside} == {event_bytes(report.fact).decode()}
    whole.person.buy(2 * LOT)
    whole.run(5)
    assert len(_decided(whole, SAME_BROKER)) == 2


def test_an_order_of_a_person_is_handed_on_to_the_account_that_starts_again() -> None:
    """A flatten that waits in the inbox of an account that dies is carried out by its successor, and answered."""
    whole = Whole(seed=5)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    whole.stepper.doom(f"account:{SAME_BROKER}", 0, 0)
    answer = whole.command({"command": "flatten", "profile": "whole", "account": None, "all": False, "whole": False})
    assert answer["ok"], answer
    whole.run(5)
    assert whole.person.holds(SAME_BROKER) == []
    assert _deaths(whole) == 1


@pytest.mark.parametrize("hangs", [False, True])
def test_an_order_that_comes_while_an_account_is_down_is_carried_out_once_it_is_back(hangs: bool) -> None:
    """Whether it has died or was replaced, what a person orders meanwhile is neither lost nor answered too soon."""
    whole = Whole(seed=5, followers=(SAME_BROKER, ALPHA_TOO))
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    name = f"account:{SAME_BROKER}"
    if hangs:
        whole.stepper.stick(name)
    else:
        whole.stepper.doom(name, 0, 0)
    whole.person.buy(LOT)
    actor = whole.stepper.directory.actor(name)
    assert actor is not None
    whole.stepper.run_until(lambda: actor.is_retired or actor.actor_stopped.is_set(), 30_000_000)
    answers: list[dict[str, Any]] = []
    assert whole.system is not None
    for command in ("flatten", "rearm", "flatten"):
        whole.system.handle({"command": command, "all": True}, answers.append)
    whole.run(10)
    assert [answer["ok"] for answer in answers] == [True, True, True], answers
    for account in (SAME_BROKER, ALPHA_TOO):
        assert whole.person.holds(account) == []
        orders = whole.events(account, FlattenRequested), whole.events(account, GuardRearmed)
        assert [len(told) for told in orders] == [2, 1]
        view = whole.view(account)
        assert view is not None
        assert [guard for _, guard in view.latches] == ["flatten"]
    assert _deaths(whole) == 1


def _garble(monkeypatch: pytest.MonkeyPatch, name: str, is_bad: Any) -> None:
    """Let a translation fail for some messages, as an enumeration's new member would."""
    read = getattr(translate, name)

    def failing(wire: Any, *arguments: Any) -> Any:
        if is_bad(wire):
            raise KeyError("a word that came after us")
        return read(wire, *arguments)

    monkeypatch.setattr(translate, name, failing)


def test_a_report_nobody_can_read_is_kept_and_what_it_said_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bytes stand on record and read back as what the server sent; the trade is copied all the same."""
    whole = Whole(seed=6, followers=(SAME_BROKER, ALPHA_TOO))
    whole.start_ready()
    is_filled = model.ProtoOAExecutionType.Value("ORDER_FILLED")
    _garble(monkeypatch, "execution", lambda w: w.executionType == is_filled and w.order.tradeData.volume == BAD)
    whole.person.buy(BAD)
    whole.run(20)
    records = [record.event for record in whole.log.read_stream("connection:demo-1")]
    kept = [event for event in records if isinstance(event, MessageUnreadable)]
    assert {int(event.account) for event in kept} >= {LEADER}
    for event in kept:
        sent = wire.ProtoOAExecutionEvent.FromString(base64.b64decode(event.payload))
        assert (sent.ctidTraderAccountId, sent.order.tradeData.volume) == (event.account, BAD)
        assert "after us" in event.error
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [BAD]
    assert [held.volume for held in whole.person.holds(ALPHA_TOO)] == [BAD]
    assert whole.system is not None
    assert whole.system.why_failed == ""
    assert _deaths(whole) == 0
    assert not whole.command({"command": "status"})["alerts"]


def test_an_answer_nobody_can_read_keeps_only_its_account_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account whose specifications cannot be read says so and asks again; the others trade, nothing reconnects."""
    whole = Whole(seed=7, followers=(SAME_BROKER, ALPHA_TOO))
    broken = [True]
    read = answers.read_snapshot
    monkeypatch.setattr(
        answers, "read_snapshot", lambda w: read(w) if w.ctidTraderAccountId != ALPHA_TOO or not broken else 1 // 0
    )
    whole.start()
    whole.run(10)
    whole.person.buy(LOT)
    whole.run(5)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [LOT]
    status = whole.command({"command": "status"})
    assert any(a["account"] == ALPHA_TOO and "cannot read" in a["text"] for a in status["alerts"]), status["alerts"]
    ups = [r for r in whole.log.read_stream("connection:demo-1") if r.topic == "connection.up"]
    assert len(ups) == 1
    broken.clear()
    whole.run(40)
    assert not whole.command({"command": "status"})["alerts"]
    whole.person.buy(2 * LOT)
    whole.run(5)
    assert 2 * LOT in [held.volume for held in whole.person.holds(ALPHA_TOO)]
