"""Accounts' actors that die at any message: rebuilt from their record, they miss nothing, double nothing, and go on."""

from __future__ import annotations

import itertools

import pytest

from cmam.domain.events import ActorRestarted, ChangeDecided, HealthChanged, IntentRecorded, Reconciled
from cmam.openapi._pb.OpenApiModelMessages_pb2 import LIMIT
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.whole import ALPHA_TOO, SAME_BROKER, Whole

LOT = 10_000_000
DEATHS = list(itertools.product((LEADER, SAME_BROKER), (0, 1, 2, 3), (0, 1, 2, 9)))


def _assert_copied(whole: Whole, opens: int) -> None:
    decided = [e for e in whole.events(SAME_BROKER, ChangeDecided) if e.change.kind == "opened"]
    assert len(decided) == opens
    held = whole.person.holds(SAME_BROKER)
    assert len({position.label for position in held}) == len(held) == len(whole.person.holds(LEADER))
    assert verify(whole.log.read_all()).is_identical
    assert whole.folded().accounts == {account: whole.view(account) for account in whole.folded().accounts}
    assert whole.stepper.failures == []


@pytest.mark.parametrize(("account", "turns", "tells"), DEATHS)
def test_a_death_at_any_message_of_a_burst_costs_nothing(account: int, turns: int, tells: int) -> None:
    """Three opens and a close around the death of leader or follower end as if nobody had died."""
    whole = Whole(seed=turns * 10 + tells)
    whole.start_ready()
    first = whole.person.buy(LOT)
    whole.run(0.1)
    whole.stepper.doom(f"account:{account}", turns, tells)
    whole.person.buy(2 * LOT)
    whole.run(0.0801)  # the next fill comes as the dead account is due to start again
    whole.person.buy(3 * LOT)
    whole.run(0.3)
    whole.person.close(first, LOT)
    whole.run(40)
    (restarted,) = [r.event for r in whole.log.read_stream("app") if isinstance(r.event, ActorRestarted)]
    assert restarted.name == f"account:{account}"
    _assert_copied(whole, 3)


@pytest.mark.parametrize(("turns", "tells"), [(0, 0), (1, 0), (1, 2), (2, 1)])
def test_a_limit_that_fills_while_its_leader_is_dead_is_copied_once(turns: int, tells: int) -> None:
    """The line is cut, the leader's actor dies, his limit fills and ours does; his followers are slow to ask again.

    The restarted actor must know that it leads, and read what deals there were: else the fill looks like an open.
    """
    whole = Whole(seed=3)
    whole.start_ready()
    whole.person.place(LIMIT, LOT, price=1.0800)
    whole.run(2)
    whole.stepper.lags = {f"account:{SAME_BROKER}": 100_000}
    whole.stepper.doom(f"account:{LEADER}", turns, tells)
    whole.stepper.network.cut_all()
    whole.broker.set_fault("price", {"symbol": "EURUSD", "bid": "1.07900"})
    whole.stepper.network.collect()
    whole.person.buy(2 * LOT)
    most = 0
    for _ in range(90):
        whole.run(1)
        most = max(most, len(whole.person.holds(SAME_BROKER)))
    assert most == 2
    _assert_copied(whole, 2)
    assert any(event.deals for event in whole.events(LEADER, Reconciled))


@pytest.mark.parametrize("seed", range(10))
def test_what_comes_as_a_dead_follower_starts_again_is_decided_in_order(seed: int) -> None:
    """A change told to the new actor before it has asked for the past does not hide the one its dead self missed."""
    whole = Whole(seed=seed)
    whole.start_ready()
    whole.person.buy(LOT, relativeStopLoss=1_000)
    whole.run(0.05)
    whole.person.buy(2 * LOT, relativeStopLoss=1_000)
    whole.stepper.doom(f"account:{SAME_BROKER}", seed % 3, 9)
    whole.run(5)
    places = [(e.cause_version, e.cause_index) for e in whole.events(SAME_BROKER, ChangeDecided)]
    assert places == sorted(set(places))
    whole.run(30)
    _assert_copied(whole, 2)


def _step_until_recorded(whole: Whole, requests: int) -> None:
    """Go on turn by turn until so many requests are on disk: none of their other messages has been taken by then."""
    stepper = whole.stepper
    while len(whole.events(SAME_BROKER, IntentRecorded)) < requests:
        if not stepper.step():
            stepper.clock.advance_to(max(stepper.next_moment() or 0, stepper.clock.now() + 1))
            stepper.network.tick()


def test_what_was_recorded_and_never_sent_is_looked_up_and_sent_after_a_crash() -> None:
    """The process dies between record and socket, of an open and then of its close: each goes out, and once."""
    whole = Whole(seed=3)
    whole.start_ready()
    position = whole.person.buy(LOT)
    for number, expected in ((1, [LOT]), (2, [])):
        _step_until_recorded(whole, number)
        whole.kill()
        assert len(whole.orders(SAME_BROKER)) == number - 1
        whole.start()
        whole.run(20)
        assert [held.volume for held in whole.person.holds(SAME_BROKER)] == expected
        assert len(whole.orders(SAME_BROKER)) == number
        if expected:
            whole.person.close(position, LOT)
    assert verify(whole.log.read_all()).is_identical


def test_one_death_does_not_touch_the_other_followers() -> None:
    """While one follower is rebuilt, another copies at once."""
    whole = Whole(seed=1, followers=(SAME_BROKER, ALPHA_TOO))
    whole.start_ready()
    whole.stepper.doom(f"account:{SAME_BROKER}", 0, 0)
    whole.person.buy(LOT)
    whole.run(0.29)
    assert len(whole.person.holds(ALPHA_TOO)) == 1
    whole.run(5)
    _assert_copied(whole, 1)


def test_an_account_that_dies_for_ever_ends_nobody_but_itself() -> None:
    """Death after death of one follower: `status` says so, the pauses grow, and the other follower copies at once."""
    whole = Whole(seed=2, followers=(SAME_BROKER, ALPHA_TOO))
    whole.start_ready()
    assert whole.system is not None
    for _ in range(8):
        whole.stepper.doom(f"account:{SAME_BROKER}", 0, 0)
        whole.person.buy(LOT)
        whole.run(5)
    assert whole.system.why_failed == ""
    assert len(whole.person.holds(ALPHA_TOO)) == 8
    alerts = [alert["text"] for alert in whole.command({"command": "status"})["alerts"]]
    assert any(f"account:{SAME_BROKER} fails again and again" in text for text in alerts), alerts
    whole.run(300)
    assert not whole.command({"command": "status"})["alerts"]
    _assert_copied(whole, 8)


@pytest.mark.parametrize("is_all", [False, True])
def test_the_record_tells_whether_an_account_or_all_of_cmam_was_started_again(is_all: bool) -> None:
    """Who reads afterwards why an account was out of sight looks for the end of a process only where there was one."""
    whole = Whole(seed=1)
    whole.start_ready()
    if is_all:
        whole.kill()
        whole.start()
    else:
        whole.stepper.doom(f"account:{SAME_BROKER}", 0, 0)
    whole.run(20)
    told = [health.reason for health in whole.events(SAME_BROKER, HealthChanged) if "started" in health.reason]
    assert told == ["cmam was started" if is_all else "this account was started"]
