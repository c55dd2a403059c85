"""Snapshots that leave a position out which is open: nothing is closed or finished on the strength of an absence alone.

A server that lies or lags does so on the copier's lines; a person's own terminal hears the truth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cmam.domain.events import AlertRaised, ChangeDecided, CopyFinished, Wait
from cmam.domain.values.reasons import Reason
from cmam.openapi import catalogue
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.sandbox.service.delivery import Send
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.scenario.lies import LOT, RECONCILED, alerts, copies, tell
from tests.whole import ALPHA_TOO, NETTED, SAME_BROKER, Whole
from tests.worlds import crowded

SECOND = 1_000_000


@pytest.fixture
def whole() -> Whole:
    """A leader who holds two positions, and two followers with their copies."""
    whole = Whole(seed=3, followers=(SAME_BROKER, ALPHA_TOO))
    whole.start_ready()
    whole.person.buy(LOT)
    whole.person.buy(2 * LOT)
    whole.run(5)
    assert copies(whole) == [[LOT, 2 * LOT]] * 2
    return whole


class Blind:
    """A replica that shows nothing of an account's first position, or first resting order, while it is told to."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, whole: Whole, account: int, *, leaves_out: str = "position"
    ) -> None:
        self.account, self.leaves_out, self.lies, self.told = account, leaves_out, True, 0
        tell(monkeypatch, whole, self)

    def __call__(self, said: Send) -> list[Send]:
        if said.payload_type != RECONCILED or not self.lies:
            return [said]
        answer = pb.ProtoOAReconcileRes.FromString(said.payload)
        rows = getattr(answer, self.leaves_out)
        if answer.ctidTraderAccountId != self.account or not rows:
            return [said]
        self.told += 1
        del rows[0]
        return [replace(said, payload=answer.SerializeToString())]


def look(whole: Whole, blind: Blind) -> None:
    """Wait for the look of once a minute."""
    told = blind.told
    whole.stepper.run_until(lambda: blind.told > told, 90 * SECOND)


def cut(whole: Whole, blind: Blind) -> None:
    """Let the line fall and stand again."""
    told = blind.told
    whole.stepper.network.cut_all()
    whole.stepper.run_until(lambda: blind.told > told, 90 * SECOND)


@pytest.mark.parametrize("how", [look, cut])
@pytest.mark.parametrize("account", [LEADER, SAME_BROKER])
def test_a_position_that_is_left_out_for_a_moment_costs_nobody_a_copy(
    monkeypatch: pytest.MonkeyPatch, whole: Whole, account: int, how: Callable[[Whole, Blind], None]
) -> None:
    """Neither is the leader's taken for closed nor the follower's for finished, and its close is followed later."""
    blind = Blind(monkeypatch, whole, account)
    how(whole, blind)
    whole.run(7 if account == LEADER else 2)
    assert (account == LEADER) == any("no longer shows" in text for text in alerts(whole)), alerts(whole)
    blind.lies = False
    whole.run(30)
    assert copies(whole) == [[LOT, 2 * LOT]] * 2
    assert whole.events(SAME_BROKER, CopyFinished) == []
    assert alerts(whole) == []
    for held in whole.person.holds(LEADER):
        whole.person.close(held.position, held.volume)
    whole.run(5)
    assert copies(whole) == [[], []]
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


@pytest.mark.parametrize("account", [LEADER, SAME_BROKER])
def test_what_was_closed_out_of_sight_is_told_by_its_deal_at_once(whole: Whole, account: int) -> None:
    """No close waits for a second look where the broker's deals tell of it; and nobody is alarmed."""
    held = whole.person.holds(account)[0]
    whole.stepper.network.cut_all()
    whole.person.close(held.position, held.volume, account=account)
    whole.run(4)
    assert whole.is_ready()
    assert copies(whole)[0] == [2 * LOT]
    (ended,) = whole.events(SAME_BROKER, CopyFinished)
    assert ended.reason is (Reason.CLOSED_BY_LEADER if account == LEADER else Reason.CLOSED_BY_HUMAN)
    assert alerts(whole) == []
    assert verify(whole.log.read_all()).is_identical


def test_what_its_stop_closed_on_both_sides_out_of_sight_is_refused_to_nobody(whole: Whole) -> None:
    """The leader's close is told while nobody knows whether the copy is gone too; its stop is named as the end."""
    for account in (LEADER, *whole.followers):
        whole.person.amend(whole.person.holds(account)[0].position, account=account, stop=1.0790)
    whole.run(3)
    whole.stepper.network.cut_all()
    stream = whole.broker.floor.market.streams["EURUSD"]
    for level in (1.0780, 1.0850):
        bid = round(level * 10**8)
        whole.broker.move_price(stream.feed.name, bid, bid + stream.feed.spread)
    whole.run(5)
    assert [held.volume for held in whole.person.holds(LEADER)] == [2 * LOT]
    assert copies(whole) == [[2 * LOT]] * 2
    assert {ended.reason for ended in whole.events(SAME_BROKER, CopyFinished)} == {Reason.CLOSED_BY_LEVEL}
    assert [raised for raised in whole.events(SAME_BROKER, AlertRaised) if raised.kind.startswith("refused")] == []


@pytest.mark.parametrize("how", [look, cut])
def test_what_no_deal_tells_of_is_gone_after_the_settling_time(
    monkeypatch: pytest.MonkeyPatch, whole: Whole, how: Callable[[Whole, Blind], None]
) -> None:
    """A position may go without a deal, by the broker's own hand: two looks that far apart are believed."""
    blind = Blind(monkeypatch, whole, LEADER)
    how(whole, blind)
    whole.run(8)
    assert copies(whole) == [[LOT, 2 * LOT]] * 2
    whole.run(8)
    assert copies(whole) == [[2 * LOT]] * 2
    assert alerts(whole) == []
    assert verify(whole.log.read_all()).is_identical


def test_opens_wait_while_it_is_not_known_what_the_account_holds(monkeypatch: pytest.MonkeyPatch, whole: Whole) -> None:
    """What the missing position lost may be in the balance already: the next open is sized when that is known."""
    blind = Blind(monkeypatch, whole, SAME_BROKER)
    look(whole, blind)
    whole.run(0.5)
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert view.doubted
    whole.person.buy(3 * LOT)
    whole.run(0.5)
    decided = whole.events(SAME_BROKER, ChangeDecided)[-1]
    assert (decided.wait, decided.inputs.reading) == (Wait.QUOTES, True)
    blind.lies = False
    whole.run(10)
    assert copies(whole) == [[LOT, 2 * LOT, 3 * LOT]] * 2
    assert verify(whole.log.read_all()).is_identical


def test_a_crowd_whose_stops_were_hit_out_of_sight_waits_for_no_history() -> None:
    """Five historical answers a second would leave the last in doubt for long, and each close is asked for once."""
    followers = tuple(range(42_000_000, 42_000_040))
    whole = Whole(seed=3, followers=followers, world=crowded(followers))
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(5)
    for account in (LEADER, *followers):
        (position,) = whole.broker.floor.accounts[account].positions
        whole.person.amend(position, account=account, stop=1.0790)
        whole.run(0.1)
    closes = 0
    receive = whole.broker.receive

    def count(connection: int, payload_type: int, *more: Any) -> None:
        nonlocal closes
        closes += payload_type == catalogue.CLOSE_POSITION
        receive(connection, payload_type, *more)

    whole.broker.receive = count
    whole.stepper.network.cut_all()
    stream = whole.broker.floor.market.streams["EURUSD"]
    for level in (1.0780, 1.0850):
        bid = round(level * 10**8)
        whole.broker.move_price(stream.feed.name, bid, bid + stream.feed.spread)
    whole.run(10)
    views = [whole.view(follower) for follower in followers]
    assert all(view is not None and not view.copies and not view.doubted for view in views)
    assert closes <= len(followers)
    assert whole.stepper.failures == []


def test_a_net_that_is_shown_again_after_it_was_believed_gone_is_told_to_a_person(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its shares are over, and nobody closes it with the leader: the alert stands until it is closed."""
    whole = Whole(seed=3, followers=(NETTED,))
    whole.start_ready()
    position = whole.person.buy(LOT)
    whole.run(5)
    blind = Blind(monkeypatch, whole, NETTED)
    cut(whole, blind)
    whole.run(8)
    blind.lies = False
    whole.run(90)
    whole.person.close(position, LOT)
    whole.run(5)
    (net,) = whole.person.holds(NETTED)
    assert any(f"position {net.position} stands" in text for text in alerts(whole)), alerts(whole)
    whole.person.close(net.position, LOT, account=NETTED)
    whole.run(90)
    assert alerts(whole) == []
    assert verify(whole.log.read_all()).is_identical
