"""What closes a copy while nobody looks is told by the broker's history: its word, its price, and a stop-out's lock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from cmam.domain.events import ChangeDecided, StopOutSeen
from cmam.domain.values.reasons import Reason
from cmam.sandbox.service.broker import Broker
from cmam.store.auditing.audit import Audit, Line
from cmam.store.auditing.filters import Filters
from cmam.store.auditing.totals import totals
from cmam.store.past.replay import verify
from cmam.store.what_if import Asked, what_if
from tests.person import EURUSD, LEADER, PERSON_CONNECTION
from tests.whole import ALPHA_TOO, NETTED, SAME_BROKER, SECOND, Whole

LOT = 10_000_000
DEALS, ORDERS = 2133, 2175
MINUTES_15 = 900


def _holding(follower: int, **settings: str) -> Whole:
    whole = Whole(seed=4, followers=(follower,), settings=settings)
    whole.start_ready()
    whole.person.buy(LOT, relativeStopLoss=3_000)
    whole.run(3)
    assert [held.volume for held in whole.person.holds(follower)] == [LOT]
    return whole


def _stop_out(whole: Whole, follower: int) -> None:
    """Take away so much money that the broker closes what the follower holds."""
    books = whole.broker.floor.accounts[follower]
    amount = Decimal(books.balance - 5_000).scaleb(-books.spec.money_digits)
    whole.broker.set_fault("withdraw", {"account": str(follower), "amount": str(amount)})


def _hit_stop(whole: Whole, follower: int) -> None:
    """Let the follower's stop be so near that the next tick reaches it."""
    (held,) = whole.person.holds(follower)
    bid = whole.broker.floor.market.streams["EURUSD"].bid / 1e8
    whole.person.amend(held.position, account=follower, stop=round(bid - 0.0004, 4))
    whole.broker.set_fault("price", {"symbol": "EURUSD", "bid": f"{bid - 0.001:.5f}"})


def _by_hand(whole: Whole, follower: int) -> None:
    (held,) = whole.person.holds(follower)
    whole.person.close(held.position, held.volume, account=follower)


def _line(whole: Whole) -> Line:
    (line,) = Audit.of(whole.log).copies()
    return line


def _closing_price(whole: Whole, follower: int) -> Decimal:
    """The price of the one close in the broker's own books."""
    (deal,) = (deal for deal in whole.broker.floor.accounts[follower].deals.values() if deal.is_closing)
    return Decimal(deal.price).scaleb(-8)


@pytest.mark.parametrize("seconds", [5, MINUTES_15], ids=["short", "long"])
@pytest.mark.parametrize("follower", [SAME_BROKER, NETTED], ids=["hedged", "netted"])
@pytest.mark.parametrize(
    ("close", "reason"),
    [
        (_stop_out, Reason.CLOSED_BY_STOP_OUT),
        (_hit_stop, Reason.CLOSED_BY_LEVEL),
        (_by_hand, Reason.CLOSED_BY_HUMAN),
    ],
)
def test_what_closed_a_copy_while_cmam_was_down_is_told(
    close: Callable[[Whole, int], None], reason: Reason, follower: int, seconds: int
) -> None:
    """The record has who closed it and at which price; the audit says what the books say, and a what-if counts it."""
    whole = _holding(follower)
    whole.kill()
    whole.run(1)
    close(whole, follower)
    whole.run(seconds)
    assert whole.person.holds(follower) == []
    whole.start()
    whole.run(5)
    line = _line(whole)
    assert (line["state"], line["reason"]) == ("closed", reason.value)
    assert Decimal(line["close_price"]) == _closing_price(whole, follower)
    booked = sum(deal.net for deal in whole.broker.floor.accounts[follower].deals.values())
    (result,) = what_if(whole.log.read_all, Asked.of(whole.folded().registry, {}))["followers"]
    assert Decimal(result["recorded"]["result"]) == Decimal(booked).scaleb(-2)
    (total,) = totals(Audit.of(whole.log), Filters(account=follower))
    assert Decimal(total["net"]) == Decimal(booked).scaleb(-2)
    assert total["results"][total["currency"]]["by"] == {reason.value.removeprefix("closed_by_"): total["net"]}
    assert verify(whole.log.read_all()).is_identical


def test_a_stop_out_during_a_cut_locks_the_link() -> None:
    """No line for a quarter of an hour, and the account is stopped out meanwhile: what the leader opens next is not
    opened there."""
    whole = _holding(SAME_BROKER)
    whole.broker.set_fault("maintenance", {"seconds": str(MINUTES_15)})
    whole.stepper.network.collect()
    whole.run(5)
    _stop_out(whole, SAME_BROKER)
    whole.run(MINUTES_15)
    whole.stepper.run_until(whole.is_ready, 120 * SECOND)
    assert len(whole.events(SAME_BROKER, StopOutSeen)) == 1
    whole.person.buy(LOT)
    whole.run(3)
    assert whole.events(SAME_BROKER, ChangeDecided)[-1].reason is Reason.GUARD
    assert whole.person.holds(SAME_BROKER) == []


@pytest.mark.parametrize("seconds", [5, MINUTES_15], ids=["short", "long"])
def test_a_stop_out_of_a_part_locks_too(seconds: int) -> None:
    """The broker takes only a part of a copy, while cmam is down: no person did, and nothing is opened after it."""
    whole = _parted(seconds)
    assert len(whole.events(SAME_BROKER, StopOutSeen)) == 1
    whole.person.buy(LOT)
    whole.run(3)
    assert whole.events(SAME_BROKER, ChangeDecided)[-1].reason is Reason.GUARD
    assert verify(whole.log.read_all()).is_identical


def test_a_stop_out_during_a_cut_locks_an_account_that_is_followed_itself() -> None:
    """The deals of its gap say that its copy is gone, and only their orders who took it."""
    whole = Whole(seed=4, followers=(SAME_BROKER,))
    whole.add_accounts(ALPHA_TOO)
    whole.add_profile("behind", SAME_BROKER, (ALPHA_TOO,))
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(3)
    whole.stepper.network.cut_all()
    _stop_out(whole, SAME_BROKER)
    whole.run(6)
    assert whole.person.holds(SAME_BROKER) == whole.person.holds(ALPHA_TOO) == []
    assert _line_of(whole, SAME_BROKER)["reason"] == Reason.CLOSED_BY_STOP_OUT.value
    assert whole.events(SAME_BROKER, StopOutSeen)
    whole.person.buy(LOT)
    whole.run(3)
    assert whole.events(SAME_BROKER, ChangeDecided)[-1].reason is Reason.GUARD
    assert verify(whole.log.read_all()).is_identical


def _line_of(whole: Whole, follower: int) -> Line:
    (line,) = (line for line in Audit.of(whole.log).copies() if line["follower"] == follower)
    return line


def test_a_closed_history_holds_nobody_up_for_long() -> None:
    """Where the broker answers no question about the past, the account is back a second later and closes what its
    leader closes."""
    whole = _parted(5, silenced=True)
    whole.stepper.run_until(whole.is_ready, SECOND)
    assert whole.is_ready()
    (held,) = whole.person.holds(LEADER)
    whole.person.close(held.position, held.volume)
    whole.run(2)
    assert whole.person.holds(SAME_BROKER) == []


def _parted(seconds: int, *, silenced: bool = False) -> Whole:
    """A follower of whose copy the broker took a part while cmam was down, and that is back since two seconds."""
    whole = _holding(SAME_BROKER)
    whole.kill()
    whole.run(1)
    books = whole.broker.floor.accounts[SAME_BROKER]
    books.spec = replace(books.spec, fair_stop_out=False)
    (position,) = books.open_positions()
    amount = Decimal(books.balance - position.used_margin * books.spec.stop_out_percent // 100)
    whole.broker.set_fault("withdraw", {"account": str(SAME_BROKER), "amount": str(amount.scaleb(-2))})
    whole.run(seconds)
    assert 0 < position.volume < LOT
    for kind in (DEALS, ORDERS) if silenced else ():
        whole.broker.set_fault("silence", {"type": str(kind), "account": str(SAME_BROKER)})
    whole.start()
    whole.run(2)
    return whole


def test_nobody_asks_who_closed_what_we_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is lost with our own close under way: all followers come back at once then, and ask for no history."""
    whole = _holding(SAME_BROKER)
    (held,) = whole.person.holds(LEADER)
    kinds: list[int] = []
    receive = Broker.receive

    def hear(broker: Broker, connection: int, payload_type: int, *more: object) -> None:
        if connection < PERSON_CONNECTION:
            kinds.append(payload_type)
        receive(broker, connection, payload_type, *more)

    monkeypatch.setattr(Broker, "receive", hear)
    whole.broker.set_fault("cut-after", {"count": "1", "type": "2111"})
    whole.person.close(held.position, held.volume)
    whole.run(5)
    assert _line(whole)["reason"] == "closed_by_leader"
    asked = [kind for kind in kinds if kind in (DEALS, ORDERS)]
    assert asked.count(ORDERS) == 0
    assert asked.count(DEALS) <= 1  # the leader's, who has a gap of his own


def test_a_look_asks_what_took_a_copy_that_no_event_told() -> None:
    """The broker forgets to tell the stop-out of a copy: the look of once a minute finds it, and locks the link."""
    whole = _holding(SAME_BROKER)
    books = whole.broker.floor.accounts[SAME_BROKER]
    listeners = dict(books.listeners)
    books.listeners.clear()
    _stop_out(whole, SAME_BROKER)
    whole.run(3)
    books.listeners.update(listeners)
    assert whole.events(SAME_BROKER, StopOutSeen) == []
    whole.run(90)
    assert len(whole.events(SAME_BROKER, StopOutSeen)) == 1
    assert _line(whole)["reason"] == "closed_by_stop_out"
    assert Decimal(_line(whole)["close_price"]) == _closing_price(whole, SAME_BROKER)


@pytest.mark.parametrize("seconds", [30, 300])
def test_what_a_leader_did_on_the_way_is_told_after_a_long_gap(seconds: int) -> None:
    """100 to 50 to 150 is a half and then an add, however long nobody looked: with `scale_in` off a half is left."""
    whole = _holding(ALPHA_TOO, scale_in="off")
    (held,) = whole.person.holds(LEADER)
    whole.kill()
    whole.run(2)
    whole.person.close(held.position, LOT // 2)
    whole.run(1)
    whole.person.buy(LOT, positionId=held.position, symbol=EURUSD)
    whole.run(seconds)
    whole.start()
    whole.run(10)
    assert [held.volume for held in whole.person.holds(LEADER)] == [3 * LOT // 2]
    assert [held.volume for held in whole.person.holds(ALPHA_TOO)] == [LOT // 2]
