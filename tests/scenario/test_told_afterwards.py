"""What ended, or lost a part, without a deal that told its price is told right once there is room to ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from cmam.actors.asking.life import Life
from cmam.domain.events import ClosesSeen, CopyFinished, StopOutSeen
from cmam.domain.values.reasons import Reason
from cmam.openapi._pb.OpenApiModelMessages_pb2 import SELL
from cmam.sandbox.switches import Switches
from cmam.store.auditing.audit import Audit, Line
from cmam.store.past.replay import verify
from cmam.store.what_if import Asked, what_if
from tests.chaos.book_checks import told_as_booked
from tests.person import LEADER
from tests.scenario.test_reading_beside import Gate
from tests.whole import ALPHA_TOO, NETTED, SAME_BROKER, Whole
from tests.worlds import crowded

LOT = 10_000_000
CLOSE, OPEN = 2111, 2106
DEALS_OF, ORDERS_OF = 2179, 2183
HISTORIES = (2134, 2176, 2180, 2182, 2184)
"""The answers that tell what became of orders, and what they have filled."""
CROWD = tuple(range(42_000_000, 42_000_040))


def _holding(*followers: int, world: object = None, **settings: str) -> Whole:
    more = {} if world is None else {"world": world}
    whole = Whole(seed=4, followers=followers, settings=settings, **more)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(5)
    assert [len(whole.broker.floor.accounts[follower].positions) for follower in followers] == [1] * len(followers)
    return whole


def _once(kind: int) -> dict[str, str]:
    """Let a fault strike the follower's next request of a kind."""
    return {"count": "1", "type": str(kind), "account": str(SAME_BROKER)}


def _lines(whole: Whole) -> Iterator[tuple[Line, Decimal]]:
    """Each copy as it is told, and the price of the last close in its broker's books."""
    for line in Audit.of(whole.log).copies():
        deals = whole.broker.floor.accounts[line["follower"]].deals.values()
        closes = [deal for deal in deals if deal.is_closing and deal.position_id == line["follower_position"]]
        yield line, Decimal(closes[-1].price).scaleb(-8)


def _drop(whole: Whole) -> None:
    """Let the market fall to where stops stand, and come back."""
    stream = whole.broker.floor.market.streams["EURUSD"]
    for level in (1.0780, 1.0850):
        bid = round(level * 10**8)
        whole.broker.move_price(stream.feed.name, bid, bid + stream.feed.spread)


def test_a_close_of_ours_whose_answer_was_lost_is_told_with_its_price() -> None:
    """The line falls with the close under way: who closed is known, and a moment later at which price."""
    whole = _holding(SAME_BROKER)
    (held,) = whole.person.holds(LEADER)
    whole.broker.set_fault("cut-after", _once(CLOSE))
    whole.person.close(held.position, held.volume)
    whole.run(10)
    ((line, price),) = _lines(whole)
    assert (line["reason"], Decimal(line["close_price"])) == ("closed_by_leader", price)
    booked = sum(deal.net for deal in whole.broker.floor.accounts[SAME_BROKER].deals.values())
    (result,) = what_if(whole.log.read_all, Asked.of(whole.folded().registry, {}))["followers"]
    assert Decimal(result["recorded"]["result"]) == Decimal(booked).scaleb(-2)
    told_as_booked(whole)
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_a_net_is_asked_about_however_often_something_went_unseen() -> None:
    """The line falls with each of ten closes: a net that lives for days keeps its number. It was asked about eight
    times, and never again: no stop-out of it would have locked."""
    whole = _holding(NETTED, **{"volume.amount": "0.1"})
    held = [whole.person.buy(LOT) for _ in range(10)]
    whole.run(5)
    for position in held:
        whole.broker.set_fault("cut-after", {**_once(CLOSE), "account": str(NETTED)})
        whole.person.close(position, LOT)
        whole.run(70)
    booked = [deal for deal in whole.broker.floor.accounts[NETTED].deals.values() if deal.is_closing]
    results = list(Audit.of(whole.log).results())
    assert len(whole.events(NETTED, ClosesSeen)) == len(booked) == 10
    assert {line["deal"] for line in results} == {deal.deal_id for deal in booked}
    assert {line["closed_by"] for line in results} == {"request"}


def test_what_was_refused_till_nobody_asked_any_more_is_asked_for_on_the_next_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Histories are out for ten minutes: what closed a copy is told once the line has been down, not at the next start
    of cmam only."""
    whole = _holding(SAME_BROKER)
    (held,) = whole.person.holds(LEADER)
    gate = Gate(monkeypatch, whole)
    gate.refused = {(SAME_BROKER, kind) for kind in HISTORIES}
    whole.broker.set_fault("cut-after", _once(CLOSE))
    whole.person.close(held.position, held.volume)
    whole.run(600)
    gate.refused.clear()
    assert whole.events(SAME_BROKER, ClosesSeen) == []
    whole.stepper.network.cut_all()
    whole.run(70)
    ((line, price),) = _lines(whole)
    assert (line["reason"], Decimal(line["close_price"])) == ("closed_by_leader", price)


def test_a_crowd_whose_stops_were_hit_out_of_sight_is_told_of_them() -> None:
    """Ten seconds later all is settled, though not told who closed it; and then each learns that."""
    whole = _holding(*CROWD, world=crowded(CROWD))
    for account in (LEADER, *CROWD):
        (position,) = whole.broker.floor.accounts[account].positions
        whole.person.amend(position, account=account, stop=1.0790)
        whole.run(0.1)
    whole.stepper.network.cut_all()
    _drop(whole)
    whole.run(10)
    ended = [whole.events(follower, CopyFinished) for follower in CROWD]
    assert {len(one) for one in ended} == {1}
    assert {one[0].reason for one in ended} != {Reason.CLOSED_BY_LEVEL}
    whole.run(2 * len(CROWD) + 10)
    for line, price in _lines(whole):
        assert (line["reason"], Decimal(line["close_price"])) == ("closed_by_level", price), line
    assert whole.stepper.failures == []


def test_a_crowd_of_stop_outs_locks_all_its_links() -> None:
    """Where no history finds room in time a stop-out reads as a person's close; told later, it locks all the same."""
    whole = _holding(*CROWD, world=crowded(CROWD))
    whole.stepper.network.cut_all()
    for follower in CROWD:
        books = whole.broker.floor.accounts[follower]
        amount = Decimal(books.balance - 5_000).scaleb(-books.spec.money_digits)
        whole.broker.set_fault("withdraw", {"account": str(follower), "amount": str(amount)})
    whole.run(10)
    assert not all(whole.events(follower, StopOutSeen) for follower in CROWD)
    whole.run(2 * len(CROWD) + 10)
    for follower in CROWD:
        view = whole.view(follower)
        assert len(whole.events(follower, StopOutSeen)) == 1
        assert view is not None
        assert [guard for _, guard in view.latches] == ["stop_out"]
    assert {line["reason"] for line, _ in _lines(whole)} == {"closed_by_stop_out"}
    assert verify(whole.log.read_all()).is_identical


def test_a_part_that_went_of_a_copy_before_its_open_was_known_is_told() -> None:
    """The open fills unseen, and a person closes half of it before cmam is back: the half has its price."""
    whole = Whole(seed=4, followers=(SAME_BROKER,))
    whole.start_ready()
    whole.broker.set_fault("cut-after", _once(OPEN))
    whole.person.buy(LOT)
    whole.stepper.run_until(lambda: bool(whole.person.holds(SAME_BROKER)), 5_000_000)
    (held,) = whole.person.holds(SAME_BROKER)
    whole.person.close(held.position, LOT // 2, account=SAME_BROKER)
    whole.run(30)
    ((line, price),) = _lines(whole)
    assert (line["state"], Decimal(line["held"]), Decimal(line["close_price"])) == ("open", LOT // 200, price)
    told_as_booked(whole)


def test_what_the_broker_took_of_a_copy_before_it_was_known_is_not_bought_again() -> None:
    """The open fills unseen, and most of it is stopped out before cmam is back: the link is locked, and the rest is
    left as it is."""
    whole = Whole(seed=4, followers=(SAME_BROKER,))
    whole.start_ready()
    books = whole.broker.floor.accounts[SAME_BROKER]
    books.spec = replace(books.spec, fair_stop_out=False)
    whole.broker.set_fault("cut-after", _once(OPEN))
    whole.person.buy(LOT)
    whole.stepper.run_until(lambda: any(held.volume for held in books.open_positions()), 5_000_000)
    (position,) = books.open_positions()
    amount = Decimal(books.balance - position.used_margin * books.spec.stop_out_percent // 100)
    for kind in ("withdraw", "deposit"):
        whole.broker.set_fault(kind, {"account": str(SAME_BROKER), "amount": str(amount.scaleb(-2))})
        whole.stepper.run_until(lambda: position.volume < LOT, 5_000_000)
    whole.run(60)
    ((line, price),) = _lines(whole)
    assert 0 < position.volume < LOT
    assert (line["state"], Decimal(line["held"])) == ("open", position.volume // 100)
    assert Decimal(line["close_price"]) == price
    assert len(whole.events(SAME_BROKER, StopOutSeen)) == 1
    assert [order for order in Audit.of(whole.log).orders() if order["kind"] == "add"] == []


def test_what_opened_and_closed_unseen_is_told() -> None:
    """A copy that came and went while cmam was down: its volume, its price and its result."""
    whole = Whole(seed=4, followers=(SAME_BROKER,))
    whole.start_ready()
    whole.broker.set_fault("cut-after", _once(OPEN))
    whole.person.buy(LOT)
    whole.stepper.run_until(lambda: bool(whole.broker.floor.accounts[SAME_BROKER].positions), 5_000_000)
    whole.kill()
    whole.run(1)
    (held,) = whole.person.holds(SAME_BROKER)
    whole.person.close(held.position, held.volume, account=SAME_BROKER)
    whole.run(1)
    whole.start()
    whole.run(60)
    ((line, price),) = _lines(whole)
    assert (line["state"], Decimal(line["volume"]), Decimal(line["close_price"])) == ("closed", LOT // 100, price)
    told_as_booked(whole)
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("kind", [DEALS_OF, ORDERS_OF])
@pytest.mark.parametrize("knows_numbers", [True, False])
def test_a_history_that_is_refused_is_asked_for_again(
    kind: int, knows_numbers: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some refusals are waited out, each for twice as long as the one before it; two of one question, and the other's
    numbers are gone by where the broker knows them."""
    whole = _holding(SAME_BROKER)
    (held,) = whole.person.holds(LEADER)
    whole.broker.set_fault("cut-after", _once(CLOSE))
    whole.broker.set_fault("error", {"type": str(kind), "code": "UNKNOWN_ERROR", "count": "3"})
    if not knows_numbers:
        monkeypatch.setattr(Life, "by_number", None)
    whole.person.close(held.position, held.volume)
    whole.run(20)
    assert len(whole.events(SAME_BROKER, ClosesSeen)) == knows_numbers
    whole.run(60)
    assert len(whole.events(SAME_BROKER, ClosesSeen)) == 1
    told_as_booked(whole)


def test_what_has_turned_since_is_told_in_the_line_of_what_it_was() -> None:
    """The leader turns, and the answer to the close of his copy is lost: the line of what it was has its price."""
    switches = Switches(history_days=0, netted_reversal="same_position")
    whole = Whole(seed=4, leader=NETTED, followers=(SAME_BROKER,), switches=switches)
    whole.start_ready()
    whole.person.buy(LOT, account=NETTED, symbol=7001)
    whole.run(5)
    (held,) = whole.person.holds(SAME_BROKER)
    whole.broker.set_fault("cut-after", _once(CLOSE))
    whole.person.buy(2 * LOT, account=NETTED, symbol=7001, side=SELL)
    whole.run(30)
    (fresh,) = whole.person.holds(SAME_BROKER)
    lines = list(Audit.of(whole.log).copies())
    assert {line["follower_position"]: line["close_price"] is not None for line in lines} == {
        held.position: True,
        fresh.position: False,
    }
    told_as_booked(whole)
    assert verify(whole.log.read_all()).is_identical


def test_a_share_that_ended_before_its_net_keeps_its_price(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two shares of one net: the leader has closed one, and out of sight a stop takes the other with the net."""
    whole = Whole(seed=4, followers=(NETTED,))
    whole.start_ready()
    first = whole.person.buy(LOT)
    whole.run(3)
    whole.person.buy(LOT)
    whole.run(3)
    whole.person.close(first, LOT)
    whole.run(3)
    (net,) = whole.person.holds(NETTED)
    whole.person.amend(net.position, account=NETTED, stop=1.0790)
    whole.run(1)
    before, _ = Audit.of(whole.log).copies()
    gate = Gate(monkeypatch, whole)
    gate.refused = {(NETTED, kind) for kind in HISTORIES}
    whole.stepper.network.cut_all()
    _drop(whole)
    whole.run(30)
    gate.refused.clear()
    whole.run(120)
    assert len(whole.events(NETTED, ClosesSeen)) == 1
    closed, stopped = Audit.of(whole.log).copies()
    assert closed == before
    assert (stopped["reason"], stopped["close_price"]) == ("closed_by_level", "1.0780")
    booked = sum(deal.net for deal in whole.broker.floor.accounts[NETTED].deals.values())
    (result,) = what_if(whole.log.read_all, Asked.of(whole.folded().registry, {}))["followers"]
    assert Decimal(result["recorded"]["result"]) == Decimal(booked).scaleb(-2)
    assert verify(whole.log.read_all()).is_identical


def test_nothing_is_asked_of_what_was_told() -> None:
    """A day without a gap asks for no history afterwards."""
    whole = _holding(SAME_BROKER, ALPHA_TOO)
    (held,) = whole.person.holds(LEADER)
    whole.person.close(held.position, LOT // 2)
    whole.run(2)
    whole.stepper.network.cut_all()
    whole.run(70)
    whole.person.close(held.position, LOT // 2)
    whole.run(70)
    for follower in (SAME_BROKER, ALPHA_TOO):
        view = whole.view(follower)
        assert view is not None
        assert not view.unpriced
        assert whole.events(follower, ClosesSeen) == []
