"""A flatten of a whole account goes on until nothing is left, whatever stands in its way and whoever opened it."""

from __future__ import annotations

import pytest

from cmam.domain.events import AlertRaised, IntentRecorded
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from tests.scenario.lies import LOT, alerts
from tests.whole import ALPHA_TOO, NETTED, SAME_BROKER, Whole

FAULTS = {
    "refused once": ("reject", {"code": "MARKET_CLOSED", "count": "1"}),
    "refused for long": ("reject", {"code": "MARKET_CLOSED", "count": "6"}),
    "error": ("error", {"code": "CONCURRENT_MODIFICATION", "count": "2", "type": "2111"}),
    "lost": ("drop", {"count": "2", "type": "2111"}),
    "silence": ("silence", {"count": "2"}),
    "cut before": ("cut-before", {"count": "2"}),
    "cut after": ("cut-after", {"count": "1"}),
}


def _whole(follower: int, *, is_copying: bool) -> Whole:
    """A follower with a person's position and order, beside a copy or without one."""
    whole = Whole(seed=3, followers=(follower, ALPHA_TOO), settings={"symbols.exclude": "GBPUSD"})
    whole.start_ready()
    if is_copying:
        whole.person.buy(LOT)
    symbol = 7_002 if follower == NETTED else 2
    whole.person.buy(LOT, account=follower, symbol=symbol)
    whole.person.place(model.LIMIT, LOT, price=1.0500, account=follower, symbol=symbol)
    whole.run(5)
    assert len(whole.person.holds(follower)) == 1 + is_copying
    return whole


def _flatten(whole: Whole, follower: int) -> None:
    said = whole.command({"command": "flatten", "account": str(follower), "whole": True})
    assert said["ok"], said


def _is_empty(whole: Whole, follower: int) -> bool:
    return not whole.person.holds(follower) and not whole.person.rests(follower)


@pytest.mark.parametrize("is_copying", [True, False], ids=["copying", "alone"])
@pytest.mark.parametrize("follower", [SAME_BROKER, NETTED], ids=["hedged", "netted"])
@pytest.mark.parametrize("name", FAULTS)
def test_what_is_refused_or_lost_is_asked_for_again(name: str, follower: int, *, is_copying: bool) -> None:
    """Also where no quotes go on record, since nothing is copied there: a person's position was asked for once."""
    whole = _whole(follower, is_copying=is_copying)
    fault, arguments = FAULTS[name]
    whole.broker.set_fault(fault, {"account": str(follower), **arguments})
    _flatten(whole, follower)
    whole.run(2)
    if name == "refused for long":
        assert any("which is no copy: MARKET_CLOSED" in text for text in alerts(whole)), alerts(whole)
    whole.run(150)
    assert _is_empty(whole, follower)
    assert alerts(whole) == []
    view = whole.view(follower)
    assert view is not None
    assert view.in_vain == {}
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


@pytest.mark.parametrize("seconds", [0.05, 0.3, 2, 20])
def test_it_goes_on_after_a_crash(seconds: float) -> None:
    """Killed in the middle of refusals, the next start goes on by itself."""
    whole = _whole(SAME_BROKER, is_copying=True)
    whole.broker.set_fault("reject", {"account": str(SAME_BROKER), "code": "MARKET_CLOSED", "count": "12"})
    _flatten(whole, SAME_BROKER)
    whole.run(seconds)
    whole.kill()
    whole.run(30)
    whole.start_ready()
    whole.run(150)
    assert _is_empty(whole, SAME_BROKER)
    assert verify(whole.log.read_all()).is_identical


def test_a_market_that_stays_closed_is_not_asked_every_few_seconds() -> None:
    """Each try of what is no copy has its own delay, which grows to a minute, also while quotes go on record."""
    whole = _whole(SAME_BROKER, is_copying=True)
    whole.broker.set_fault("reject", {"account": str(SAME_BROKER), "code": "MARKET_CLOSED", "type": "2111"})
    _flatten(whole, SAME_BROKER)
    whole.run(600)
    tries = [one for one in whole.events(SAME_BROKER, IntentRecorded) if one.source.startswith("x")]
    assert 10 <= len(tries) <= 17, len(tries)
    whole.broker.clear_fault("reject")
    whole.run(70)
    assert _is_empty(whole, SAME_BROKER)
    assert verify(whole.log.read_all()).is_identical


def test_of_what_went_out_of_sight_no_refusal_is_told() -> None:
    """A person has ended all of it himself while the line was down: each request is refused, and nobody is alarmed."""
    whole = _whole(SAME_BROKER, is_copying=True)
    whole.stepper.network.is_reachable = False
    whole.stepper.network.cut_all()
    _flatten(whole, SAME_BROKER)
    whole.run(2)
    for held in whole.person.holds(SAME_BROKER):
        whole.person.close(held.position, held.volume, account=SAME_BROKER)
    (order,) = whole.person.rests(SAME_BROKER)
    whole.person.cancel(order.orderId, account=SAME_BROKER)
    whole.stepper.network.is_reachable = True
    whole.run(60)
    assert whole.events(SAME_BROKER, AlertRaised) == []
    view = whole.view(SAME_BROKER)
    assert view is not None
    assert view.in_vain == {}
    assert verify(whole.log.read_all()).is_identical


def test_what_may_stay_is_told_of_no_more() -> None:
    """Rearmed while the line is down, nobody asks for it again: the alert would stand, and the account, for ever."""
    whole = _whole(SAME_BROKER, is_copying=False)
    whole.broker.set_fault("reject", {"account": str(SAME_BROKER), "code": "MARKET_CLOSED", "type": "2111"})
    _flatten(whole, SAME_BROKER)
    whole.run(0.5)
    whole.stepper.network.is_reachable = False
    whole.stepper.network.cut_all()
    whole.run(10)
    assert whole.command({"command": "rearm", "profile": "whole"})["ok"]
    whole.stepper.network.is_reachable = True
    whole.run(100)
    assert alerts(whole) == []
    assert len(whole.person.holds(SAME_BROKER)) == 1
    assert whole.command({"command": "profile.delete", "profile": "whole", "copies": "close"})["ok"]
    assert whole.command({"command": "account.remove", "account": str(SAME_BROKER)})["ok"]
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("is_whole", [False, True])
def test_an_account_is_not_forgotten_while_something_is_closing_there(*, is_whole: bool) -> None:
    """A deleted profile's copies, or what a flatten is refused: removed, nobody would ask for it again."""
    whole = _whole(SAME_BROKER, is_copying=not is_whole)
    whole.broker.set_fault("reject", {"account": str(SAME_BROKER), "code": "MARKET_CLOSED", "type": "2111"})
    if is_whole:
        _flatten(whole, SAME_BROKER)
    assert whole.command({"command": "profile.delete", "profile": "whole", "copies": "close"})["ok"]
    whole.run(5)
    said = whole.command({"command": "account.remove", "account": str(SAME_BROKER)})
    assert "1 still to be closed" in said["error"], said
    whole.broker.clear_fault("reject")
    whole.run(70)
    assert whole.command({"command": "account.remove", "account": str(SAME_BROKER)})["ok"]
    assert len(whole.person.holds(SAME_BROKER)) == (not is_whole)
