"""Netted followers: every copy is a share of one net position, and the net is the sum that the rules give."""

from __future__ import annotations

import pytest

from cmam.actors import messages as m
from cmam.clock import SECOND_US
from cmam.domain.events import CopyFinished, IntentRecorded
from cmam.domain.operating import operate
from cmam.domain.values.reasons import Reason
from cmam.openapi import catalogue
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from tests.rulebook import NETTED_LEAD, SELL, UNIT, Case, Rulebook

CANCEL = "2108"
HALF = {"volume.basis": "units", "volume.amount": "0.5"}


def _net(book: Rulebook) -> int:
    """The signed units of the follower's net."""
    return sum(held.volume if held.side == model.BUY else -held.volume for held in book.held("net")) // UNIT


def test_a_share_that_a_resting_order_opened_is_closed_with_its_leader() -> None:
    """The order fills long after its placing was settled; what it filled is a share that follows every close.

    43,000 × 0.5 = 21,500 → 21,000. The leader closes 17,000: T = 21,000 × 26/43 = 12,697.7, excess 8,302.3 → 8,000.
    """
    book = Rulebook([Case("net", "Same", HALF, kind="netted")])
    book.begin()
    book.person.place(model.LIMIT, 43_000 * UNIT, price=1.08003, stopLoss=1.07513)
    book.go()
    book.price("EURUSD", "1.07900")
    book.go(3)
    assert _net(book) == 21_000
    (position,) = book.person.holds(book.leader)
    book.person.close(position.position, 17_000 * UNIT)
    book.go()
    assert _net(book) == 13_000
    book.person.close(position.position, 26_000 * UNIT)
    book.go()
    assert _net(book) == 0
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_a_resting_order_that_fills_into_a_net_is_a_share_of_its_own() -> None:
    """A sell stop that fills against a long net reduces it by its own share; each share ends with its own leader.

    20,000 long × 0.5 = 10,000 and 14,000 short × 0.5 = 7,000 make a net of 3,000 long; the leader closes the long one
    first: 7,000 short are left; then the short one: nothing.
    """
    book = Rulebook([Case("net", "Same", HALF, kind="netted")])
    book.begin()
    long = book.person.buy(20_000 * UNIT)
    book.go()
    assert _net(book) == 10_000
    book.person.place(model.STOP, 14_000 * UNIT, price=1.08207, side=SELL)
    book.go()
    book.price("EURUSD", "1.08150")
    book.go(3)
    assert _net(book) == 3_000
    (short,) = (held.position for held in book.person.holds(book.leader) if held.side == SELL)
    book.person.close(long, 20_000 * UNIT)
    book.go()
    assert _net(book) == -7_000
    book.person.close(short, 14_000 * UNIT)
    book.go()
    assert _net(book) == 0
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_trades_that_their_leader_closes_at_once_take_two_requests_of_a_net() -> None:
    """Twelve trades of 2,000 × 0.5, and one that stays: the first close is under way as the others end, and the second
    takes the eleven. A hedged follower closes them side by side."""
    cases = [Case("net", "Same", HALF, kind="netted"), Case("hedged", "Same", HALF)]
    book = Rulebook(cases, fill_delay_ms=80)
    book.begin()
    opened = []
    for _ in range(13):
        opened.append(book.person.buy(2_000 * UNIT))
        book.go(0.5)
    book.go(5)
    assert _net(book) == 13_000
    kept = opened.pop(6)
    for position in opened:
        book.person.close(position, 2_000 * UNIT)
    book.go(3)
    assert _net(book) == 1_000
    closes = [event.command for event in book.events(book.ids["net"], IntentRecorded) if event.command.position]
    assert [close.volume for close in closes] == [1_000 * UNIT, 11_000 * UNIT]
    ended = [event.reason for event in book.events(book.ids["net"], CopyFinished)]
    assert ended == [Reason.CLOSED_BY_LEADER] * 12
    book.person.close(kept, 2_000 * UNIT)
    book.go()
    assert [book.held(case.name) for case in cases] == [[], []]
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


@pytest.mark.parametrize("switch", ["new_position", "same_position"])
def test_a_netted_leader_who_turns_is_followed_to_the_other_side(switch: str) -> None:
    """Whether the broker keeps the position's id or not: the copy is closed whole, then one opens for the new side.

    40,000 × 0.5 = 20,000. + 21,000: T = 20,000 × 61/40 = 30,500 → 30,000. − 13,000: T = 30,500 × 48/61 = 24,000.
    Odd × 0.37: 14,700; T = 22,417.5 → 22,400; T = 17,640, excess 4,760 → 4,200 → 18,200.
    Then he sells 90,000 and is 42,000 short: 21,000, and 42,000 × 0.37 = 15,540 → 15,400.
    """
    odd = {**HALF, "volume.amount": "0.37"}
    back = {**HALF, "reverse": "on", "reverse_without_stop": "on"}
    cases = [
        Case("hedged", "Same", HALF, (20_000, 30_000, 24_000, -21_000, 0), leader=NETTED_LEAD),
        Case("net", "Same", HALF, (20_000, 30_000, 24_000, -21_000, 0), kind="netted", leader=NETTED_LEAD),
        Case("odd", "Odd", odd, (14_700, 22_400, 18_200, -15_400, 0), leader=NETTED_LEAD),
        Case("back", "Same", back, (-20_000, -30_000, -24_000, 21_000, 0), leader=NETTED_LEAD),
    ]
    book = Rulebook(cases, netted_reversal=switch)
    book.begin()
    for step, (side, units) in enumerate(
        [(model.BUY, 40_000), (model.BUY, 21_000), (SELL, 13_000), (SELL, 90_000), (model.BUY, 42_000)]
    ):
        book.person.buy(units * UNIT, account=NETTED_LEAD, side=side)
        book.go()
        for case in cases:
            held = [h.volume if h.side == model.BUY else -h.volume for h in book.held(case.name)]
            wanted = case.expected[step] * UNIT
            assert held == ([wanted] if wanted else []), (case.name, step)
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_the_stop_of_a_net_is_the_farthest_of_its_shares_and_its_target_is_a_single_shares() -> None:
    """Bought at 1.0851 where the leader bought at 1.08508: every level is the leader's + 0.00002."""
    book = Rulebook([Case("net", "Same", HALF, kind="netted")])
    book.begin()
    person = book.person

    def levels() -> tuple[float, float]:
        (held,) = book.held("net")
        return held.stop, held.target

    first = person.buy(40_000 * UNIT, relativeStopLoss=700, relativeTakeProfit=900)
    book.go()
    assert levels() == (1.07810, 1.09410)
    second = person.buy(20_000 * UNIT, relativeStopLoss=1_100, relativeTakeProfit=500)
    book.go()
    assert levels() == (1.07410, 0.0)
    person.amend(first, stop=1.0750, target=1.0950)
    book.go()
    assert levels() == (1.07410, 0.0)
    person.amend(second, stop=1.0770, target=1.0911)
    book.go()
    assert levels() == (1.07502, 0.0)
    person.close(first, 40_000 * UNIT)
    book.go()
    assert levels() == (1.07702, 1.09112)
    person.close(second, 20_000 * UNIT)
    book.go()
    assert book.held("net") == []


@pytest.mark.parametrize("kind", ["netted", "hedged"])
def test_an_add_that_waits_is_not_sent_once_its_copy_is_gone(kind: str) -> None:
    """A broker that takes no orders for five seconds, and a person who closes the copy meanwhile.

    On a netted account the add would have opened a net of its own, which nobody closes.
    """
    book = Rulebook([Case("net", "Same", HALF, kind=kind)])
    book.begin()
    source = book.person.buy(20_000 * UNIT)
    book.go()
    (limiter,) = (name for name in book.stepper.directory.names() if name.startswith("limiter:"))
    book.stepper.directory.tell(limiter, m.Blocked(catalogue.NEW_ORDER, 5 * SECOND_US))
    book.person.buy(10_000 * UNIT, positionId=source)
    book.go()
    assert len(book.view(book.ids["net"]).intents) == 1
    (held,) = book.held("net")
    book.person.close(held.position, held.volume, account=book.ids["net"])
    book.go(10)
    assert not book.held("net")
    assert verify(book.log.read_all()).is_identical


def _both(settings: dict[str, str] | None = None) -> list[Case]:
    """A hedged and a netted follower of the netted leader, a half each."""
    asked = {**HALF, **(settings or {})}
    return [
        Case("hedged", "Same", asked, leader=NETTED_LEAD),
        Case("net", "Same", asked, kind="netted", leader=NETTED_LEAD),
    ]


def _signed(book: Rulebook, name: str) -> list[int]:
    """The units of each position of a follower, sold ones below zero."""
    return [(h.volume if h.side == model.BUY else -h.volume) // UNIT for h in book.held(name)]


@pytest.mark.parametrize(
    ("side", "kind", "price", "to", "units", "expected"),
    [
        (model.BUY, model.LIMIT, 1.08003, "1.07900", 20_000, 30_000),
        (SELL, model.LIMIT, 1.09003, "1.09100", 16_000, 12_000),
        (SELL, model.STOP, 1.08003, "1.07900", 40_000, 0),
        (SELL, model.STOP, 1.08003, "1.07900", 60_000, -10_000),
    ],
    ids=["adds", "reduces", "closes", "turns"],
)
def test_an_order_that_fills_into_a_netted_leaders_position_is_that_change_and_rests_nowhere(
    side: int, kind: int, price: float, to: str, units: int, expected: int
) -> None:
    """He holds 40,000, copied as 20,000. What his order fills was copied twice, and the second closed by nobody."""
    cases = _both()
    book = Rulebook(cases)
    book.begin()
    book.person.buy(40_000 * UNIT, account=NETTED_LEAD)
    book.go()
    book.person.place(kind, units * UNIT, price=price, side=side, account=NETTED_LEAD)
    book.go()
    for case in cases:
        assert book.reason(case.name, "order_placed") == "fills_into_net"
        assert book.person.rests(book.ids[case.name]) == []
    book.price("EURUSD", to)
    book.go(4)
    assert [_signed(book, case.name) for case in cases] == [[expected] if expected else []] * 2
    for held in book.person.holds(NETTED_LEAD):
        book.person.close(held.position, held.volume, account=NETTED_LEAD)
    book.go()
    assert [_signed(book, case.name) for case in cases] == [[], []]
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_of_two_orders_around_the_market_one_opens_and_no_copy_of_the_other_rests_on() -> None:
    """Both are copied while he holds nothing. One fills; the other takes from that by then, and turns it at last."""
    cases = _both()
    book = Rulebook(cases)
    book.begin()
    book.person.place(model.STOP, 20_000 * UNIT, price=1.09000, account=NETTED_LEAD)
    book.person.place(model.STOP, 30_000 * UNIT, price=1.08000, side=SELL, account=NETTED_LEAD)
    book.go()
    assert [len(book.person.rests(book.ids[case.name])) for case in cases] == [2, 2]
    book.price("EURUSD", "1.09100")
    book.go(4)
    assert [_signed(book, case.name) for case in cases] == [[10_000], [10_000]]
    orders = [book.person.rests(book.ids[case.name]) for case in cases]
    assert [[o for o in found if o.orderType == model.STOP] for found in orders] == [[], []]
    book.price("EURUSD", "1.07900")
    book.go(4)
    assert [_signed(book, case.name) for case in cases] == [[-5_000], [-5_000]]
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_an_order_outlives_the_position_that_it_would_have_changed_and_opens_another() -> None:
    """Nothing of it rests; once he holds nothing, what it fills is an open like any other."""
    cases = _both()
    book = Rulebook(cases)
    book.begin()
    book.person.place(model.LIMIT, 20_000 * UNIT, price=1.08003, account=NETTED_LEAD)
    book.go()
    book.person.buy(40_000 * UNIT, account=NETTED_LEAD)
    book.go()
    book.person.buy(40_000 * UNIT, account=NETTED_LEAD, side=SELL)
    book.go()
    assert [_signed(book, case.name) for case in cases] == [[], []]
    book.price("EURUSD", "1.07900")
    book.go(4)
    assert [_signed(book, case.name) for case in cases] == [[10_000], [10_000]]
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_an_order_that_fills_while_its_copy_is_taken_back_is_opened_again_and_followed() -> None:
    """He buys beside it, its cancel is cut off, he sells again, and it fills on both sides before cmam is back: what
    had filled ahead is closed, and what is opened for his fill stays, as his position."""
    cases = _both()
    book = Rulebook(cases)
    book.begin()
    book.person.place(model.STOP, 20_000 * UNIT, price=1.09000, account=NETTED_LEAD)
    book.go()
    book.broker.set_fault("cut-before", {"count": "1", "type": CANCEL})
    for side in (model.BUY, SELL):
        book.person.buy(40_000 * UNIT, account=NETTED_LEAD, side=side)
        book.stepper.run(150_000)
    book.price("EURUSD", "1.09100")
    book.go(30)
    assert [_signed(book, case.name) for case in cases] == [[10_000], [10_000]]
    (held,) = book.person.holds(NETTED_LEAD)
    book.person.close(held.position, 10_000 * UNIT, account=NETTED_LEAD)
    book.go()
    assert [_signed(book, case.name) for case in cases] == [[5_000], [5_000]]
    book.person.close(held.position, 10_000 * UNIT, account=NETTED_LEAD)
    book.go()
    assert [_signed(book, case.name) for case in cases] == [[], []]
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


@pytest.mark.parametrize("switch", ["new_position", "same_position"])
@pytest.mark.parametrize("kind", ["market", "limit"])
def test_the_side_that_a_leader_turns_to_is_opened_once_the_other_is_closed(switch: str, kind: str) -> None:
    """With room for one position only: it counted as a second one, or was closed as ahead of the order that he began
    with."""
    cases = _both({"max_positions": "1"})
    book = Rulebook(cases, netted_reversal=switch)
    book.begin()
    if kind == "limit":
        book.person.place(model.LIMIT, 40_000 * UNIT, price=1.08003, account=NETTED_LEAD)
        book.go()
        book.price("EURUSD", "1.07900")
        book.go(3)
    else:
        book.person.buy(40_000 * UNIT, account=NETTED_LEAD)
        book.go()
    assert [_signed(book, case.name) for case in cases] == [[20_000], [20_000]]
    book.person.buy(70_000 * UNIT, account=NETTED_LEAD, side=SELL)
    book.go(3)
    assert [_signed(book, case.name) for case in cases] == [[-15_000], [-15_000]]
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_a_copied_order_that_fills_into_a_net_by_now_ends_as_its_profile_begins_again() -> None:
    """While the profile was off the leader has bought: nobody told that what rests here is no open any more."""
    cases = _both()
    book = Rulebook(cases)
    book.begin()
    book.person.place(model.LIMIT, 20_000 * UNIT, price=1.08003, account=NETTED_LEAD)
    book.go()
    for case in cases:
        off = {"command": "profile.disable", "profile": case.name, "copies": "leave", "keep_pendings": True}
        assert book.command(off)["ok"]
    book.person.buy(40_000 * UNIT, account=NETTED_LEAD)
    book.go()
    assert [len(book.person.rests(book.ids[case.name])) for case in cases] == [1, 1]
    for case in cases:
        assert book.command({"command": "profile.enable", "profile": case.name})["ok"]
    book.go(4)
    assert [book.person.rests(book.ids[case.name]) for case in cases] == [[], []]
    assert verify(book.log.read_all()).is_identical


def test_a_netted_follower_copies_one_leader_in_a_symbol_from_his_first_order_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """His order rests, and another leader buys: once both had filled neither could add to what was his.

    Two leaders are refused at save; these two were saved by a cmam that did not.
    """
    book = Rulebook([Case("net", "Same", HALF, kind="netted"), Case("other", "Same", HALF, leader=NETTED_LEAD)])
    book.begin()
    account = book.ids["net"]
    second = {"command": "profile.create", "name": "second", "leader": str(NETTED_LEAD), "followers": [str(account)]}
    assert "one leader" in book.command({**second, "settings": HALF})["error"]
    with monkeypatch.context() as earlier:
        earlier.setattr(operate, "check_nets", lambda context, events: None)
        assert book.command({**second, "settings": HALF})["ok"]
    book.go(3)
    order = book.person.place(model.LIMIT, 20_000 * UNIT, price=1.08003)
    book.go()
    book.person.buy(20_000 * UNIT, account=NETTED_LEAD)
    book.go()
    assert book.reason("net") == "netted_taken"
    assert book.held("net") == []
    book.person.cancel(order)
    book.go()
    book.person.buy(20_000 * UNIT, account=NETTED_LEAD, symbol=2)
    book.go()
    assert _net(book) == 10_000
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []
