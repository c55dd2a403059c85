"""Snapshots that leave a resting order out: nothing is cancelled, forgotten or opened anew for that alone.

A server that lies or lags does so on the copier's lines; a person's own terminal hears the truth.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cmam.domain.events import CopyFinished
from cmam.domain.values.reasons import Reason
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.service.delivery import Send
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.scenario.lies import LOT, alerts, copies, tell
from tests.scenario.test_absences import Blind, cut, look
from tests.whole import ALPHA_TOO, NETTED, SAME_BROKER, Whole

SECOND = 1_000_000


@pytest.fixture
def whole() -> Whole:
    """A leader with a limit order far below the market, and two followers with their copies of it."""
    whole = Whole(seed=3, followers=(SAME_BROKER, ALPHA_TOO))
    whole.start_ready()
    whole.person.place(model.LIMIT, LOT, price=1.0500)
    whole.run(5)
    assert rests(whole) == [1, 1]
    return whole


def rests(whole: Whole) -> list[int]:
    """How many copied orders really rest at each follower's broker."""
    return [len(whole.person.rests(follower)) for follower in whole.followers]


def blind_of(monkeypatch: pytest.MonkeyPatch, whole: Whole, account: int) -> Blind:
    """A replica that leaves an account's first resting order out."""
    return Blind(monkeypatch, whole, account, leaves_out="order")


def fall(whole: Whole, price: float) -> None:
    """Let the price move for everybody."""
    stream = whole.broker.floor.market.streams["EURUSD"]
    bid = round(price * 10**8)
    whole.broker.move_price(stream.feed.name, bid, bid + stream.feed.spread)


@pytest.mark.parametrize("how", [look, cut])
@pytest.mark.parametrize("account", [LEADER, SAME_BROKER])
def test_an_order_that_is_left_out_for_a_moment_costs_nobody_a_copy(
    monkeypatch: pytest.MonkeyPatch, whole: Whole, account: int, how: Callable[[Whole, Blind], None]
) -> None:
    """Neither is the leader's taken for cancelled nor the follower's for ended, and its fill is copied later, once."""
    blind = blind_of(monkeypatch, whole, account)
    how(whole, blind)
    whole.run(7 if account == LEADER else 2)
    assert (account == LEADER) == any("no longer shows" in text for text in alerts(whole)), alerts(whole)
    blind.lies = False
    whole.run(30)
    assert rests(whole) == [1, 1]
    assert whole.events(SAME_BROKER, CopyFinished) == []
    assert alerts(whole) == []
    fall(whole, 1.0490)
    whole.run(10)
    assert copies(whole) == [[LOT], [LOT]]
    assert rests(whole) == [0, 0]
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


@pytest.mark.parametrize("account", [LEADER, SAME_BROKER])
def test_what_was_cancelled_out_of_sight_is_told_by_the_order_itself_at_once(whole: Whole, account: int) -> None:
    """No cancel waits for a second look where the broker says what became of the order; and nobody is alarmed."""
    (order,) = whole.person.rests(account)
    whole.stepper.network.cut_all()
    whole.person.cancel(order.orderId, account=account)
    whole.run(4)
    assert whole.is_ready()
    assert rests(whole) == ([0, 0] if account == LEADER else [0, 1])
    (ended,) = whole.events(SAME_BROKER, CopyFinished)
    assert ended.reason is (Reason.CLOSED_BY_LEADER if account == LEADER else Reason.CLOSED_BY_HUMAN)
    assert alerts(whole) == []
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("how", [look, cut])
@pytest.mark.parametrize("account", [LEADER, SAME_BROKER])
def test_what_nothing_tells_of_is_gone_after_the_settling_time(
    monkeypatch: pytest.MonkeyPatch, whole: Whole, account: int, how: Callable[[Whole, Blind], None]
) -> None:
    """Two looks that far apart are believed, of an order as of a position, where the broker does not know it either."""
    blind = blind_of(monkeypatch, whole, account)
    whole.broker.set_fault("error", {"code": "ORDER_NOT_FOUND", "type": "2181"})
    how(whole, blind)
    whole.run(2)
    assert whole.events(SAME_BROKER, CopyFinished) == []
    whole.run(12)
    assert len(whole.events(SAME_BROKER, CopyFinished)) == 1
    assert rests(whole) == ([0, 0] if account == LEADER else [1, 1])
    assert alerts(whole) == []
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("account", [LEADER, SAME_BROKER])
def test_an_order_that_its_broker_knows_rests_however_long_no_snapshot_shows_it(
    monkeypatch: pytest.MonkeyPatch, whole: Whole, account: int
) -> None:
    """It is asked for by its number at each look, and what it says of itself outweighs that it is left out."""
    blind = blind_of(monkeypatch, whole, account)
    cut(whole, blind)
    whole.run(200)
    assert blind.told <= 120
    assert whole.events(SAME_BROKER, CopyFinished) == []
    (order,) = whole.person.rests(account)
    whole.broker.set_fault("drop", {"type": "2181"})  # nor does a question without an answer hold anything up
    whole.person.cancel(order.orderId, account=account)
    whole.run(70)
    assert rests(whole) == ([0, 0] if account == LEADER else [0, 1])
    assert alerts(whole) == []
    assert verify(whole.log.read_all()).is_identical


def test_what_filled_on_both_sides_out_of_sight_is_a_copy(whole: Whole) -> None:
    """A position that stands under an order's number says that it has filled: nobody asks and nobody waits."""
    whole.stepper.network.cut_all()
    fall(whole, 1.0490)
    whole.run(4)
    assert copies(whole) == [[LOT], [LOT]]
    (held,) = whole.person.holds(LEADER)
    whole.person.close(held.position, LOT)
    whole.run(3)
    assert copies(whole) == [[], []]
    assert alerts(whole) == []
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("is_cut", [True, False])
def test_what_filled_and_closed_again_out_of_sight_ends_the_copies_that_rest(
    monkeypatch: pytest.MonkeyPatch, is_cut: bool
) -> None:
    """His order is known to have filled, and there is nothing to copy: the copies' orders would fill for nobody."""
    whole = Whole(seed=3, followers=(SAME_BROKER, ALPHA_TOO), settings={"levels": "price"})
    whole.start_ready()
    order = whole.person.place(model.LIMIT, LOT, price=1.0500)
    whole.run(5)
    for follower in whole.followers:  # a person has put them farther away, where the price does not come
        (rest,) = whole.person.rests(follower)
        whole.person.amend_order(rest.orderId, account=follower, volume=LOT, limitPrice=1.0400)
    whole.run(2)
    told = [0]

    def deaf(said: Send) -> list[Send]:
        event = pb.ProtoOAExecutionEvent.FromString(said.payload) if said.payload_type == 2126 else None
        if event is None or event.ctidTraderAccountId != LEADER:
            return [said]
        told[0] += 1
        return []

    if is_cut:
        whole.stepper.network.cut_all()
    else:
        tell(monkeypatch, whole, deaf)
    fall(whole, 1.0490)
    whole.run(0.1)
    (held,) = whole.person.holds(LEADER)
    whole.person.close(held.position, held.volume)
    whole.run(0.2)
    assert whole.person.holds(LEADER) == []
    assert order not in [rest.orderId for rest in whole.person.rests(LEADER)]
    whole.run(5 if is_cut else 90)
    assert is_cut or told[0]
    assert rests(whole) == [0, 0]
    assert alerts(whole) == []
    assert verify(whole.log.read_all()).is_identical


def test_a_share_whose_order_is_left_out_and_filled_is_told_from_a_persons(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the net has gained while its order was missing is the share's, as soon as the order itself tells."""
    whole = Whole(seed=3, followers=(NETTED,))
    whole.start_ready()
    whole.person.buy(LOT)
    whole.person.place(model.LIMIT, 2 * LOT, price=1.0500)
    whole.run(5)
    assert (copies(whole), rests(whole)) == ([[LOT]], [1])
    blind = blind_of(monkeypatch, whole, NETTED)
    cut(whole, blind)
    whole.run(0.2)
    blind.lies = False
    whole.run(5)
    whole.stepper.network.cut_all()
    fall(whole, 1.0490)
    whole.run(10)
    assert (copies(whole), rests(whole)) == ([[3 * LOT]], [0])
    for held in whole.person.holds(LEADER):
        whole.person.close(held.position, held.volume)
    whole.run(5)
    assert copies(whole) == [[]]
    assert alerts(whole) == []
    assert verify(whole.log.read_all()).is_identical


def test_a_cancel_that_was_lost_is_no_proof_that_its_order_is_gone(
    monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    """The line falls as it leaves, and the first look shows nothing: asked by number the order rests, and is cancelled
    once more."""
    blind = blind_of(monkeypatch, whole, SAME_BROKER)
    whole.broker.set_fault("cut-before", {"count": "1", "type": "2108"})
    (order,) = whole.person.rests(LEADER)
    whole.broker.set_fault("drop", {"count": "1", "type": "2108", "account": str(SAME_BROKER)})
    whole.command({"command": "profile.disable", "profile": "whole", "copies": "close"})
    whole.run(3)
    whole.stepper.network.cut_all()
    whole.run(3)
    assert blind.told
    blind.lies = False
    whole.run(60)
    assert rests(whole) == [0, 0]
    assert order.orderId in [rest.orderId for rest in whole.person.rests(LEADER)]
    assert verify(whole.log.read_all()).is_identical


def test_what_is_shown_again_after_its_profile_is_gone_is_told_to_a_person(
    monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    """No link is left that would take it in: an alert stands until it has ended."""
    blind = blind_of(monkeypatch, whole, SAME_BROKER)
    whole.broker.set_fault("error", {"code": "ORDER_NOT_FOUND", "type": "2181"})
    cut(whole, blind)
    whole.run(10)
    assert whole.command({"command": "profile.delete", "profile": "whole", "copies": "close"})["ok"]
    blind.lies = False
    whole.run(90)
    (rest,) = whole.person.rests(SAME_BROKER)
    assert any(f"order {rest.orderId} carries a label of ours" in text for text in alerts(whole)), alerts(whole)
    whole.person.cancel(rest.orderId, account=SAME_BROKER)
    whole.run(90)
    assert alerts(whole) == []
    assert verify(whole.log.read_all()).is_identical


def test_a_lost_close_is_asked_for_again_while_an_order_that_rests_is_left_out(
    monkeypatch: pytest.MonkeyPatch, whole: Whole
) -> None:
    """The order is doubted for as long as the snapshots lie; what became of a close of another copy they show."""
    whole.person.buy(LOT)
    whole.run(5)
    assert copies(whole) == [[LOT], [LOT]]
    (held,) = whole.person.holds(LEADER)
    cut(whole, blind_of(monkeypatch, whole, SAME_BROKER))
    whole.run(5)
    whole.broker.set_fault("drop", {"account": str(SAME_BROKER), "type": "2111", "count": "1"})
    whole.person.close(held.position, LOT)
    whole.run(60)
    assert copies(whole) == [[], []]
    assert rests(whole) == [1, 1]
    assert verify(whole.log.read_all()).is_identical
