"""Accounts of limited risk: a guaranteed stop with every open, never worse, never trailing. At the broker `Dear`.

EURUSD trades at 1.08500 / 1.08520 there; the leader buys at 1.08508, so that a copy's shift is + 0.00012.
"""

from __future__ import annotations

from typing import Any

import pytest

from cmam.domain.events import ChangeDecided, RequestRefused
from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from tests.rulebook import GBPUSD, SELL, UNIT, Case, Rulebook

UNITS = {"volume.basis": "units"}


def _case(name: str, **settings: str) -> Case:
    named = {key.replace("__", "."): value for key, value in settings.items()}
    return Case(name, "Dear", {**UNITS, **named}, limited=True)


def _shown(book: Rulebook, name: str) -> list[Any]:
    """What the broker shows of a follower: positions, then orders."""
    account = book.ids[name]
    book.run(0.06)
    heard = book.person.say(account, wire.ProtoOAReconcileReq(ctidTraderAccountId=account))
    (state,) = [event for event in heard if isinstance(event, wire.ProtoOAReconcileRes)]
    return [*state.position, *state.order]


def _reasons(book: Rulebook, name: str) -> list[str]:
    return [
        event.reason.value
        for event in book.events(book.ids[name], ChangeDecided)
        if event.reason is not None and event.change.kind.adds_risk
    ]


def test_every_open_carries_a_guaranteed_stop_far_enough_away() -> None:
    """None without a stop, none nearer than 500 points unless it is widened; the flag is there, trailing is not."""
    book = Rulebook([_case("plain"), _case("wide", bad_stop="widen"), _case("fixed", fixed_sl="80")])
    book.begin()
    book.person.buy(10_000 * UNIT)  # no stop
    book.go()
    book.person.buy(10_000 * UNIT, relativeStopLoss=400)  # 40 pips, 50 are the least
    book.go()
    book.person.buy(10_000 * UNIT, relativeStopLoss=600, relativeTakeProfit=900, trailingStopLoss=True)
    book.go()
    assert _reasons(book, "plain") == ["stop_required", "stop_too_close"]
    assert _reasons(book, "wide") == ["stop_required"]
    assert _reasons(book, "fixed") == []
    found = {
        name: [
            (p.tradeData.volume // UNIT, p.stopLoss, p.takeProfit, p.guaranteedStopLoss, p.trailingStopLoss)
            for p in _shown(book, name)
        ]
        for name in book.ids
    }
    last = (10_000, 1.0792, 1.0942, True, False)
    assert found["plain"] == [last]
    assert found["wide"] == [(8_000, 1.0802, 0.0, True, False), last]  # 10,000 × 40 / 50
    assert found["fixed"] == [(10_000, 1.0772, 0.0, True, False)] * 2 + [(10_000, 1.0772, 1.0942, True, False)]
    assert not any(book.events(book.ids[name], RequestRefused) for name in book.ids)
    assert verify(book.log.read_all()).is_identical


def test_a_guaranteed_stop_is_tightened_and_never_worse_and_the_target_moves_all_the_same() -> None:
    """The leader loosens, trails or takes away his stop: ours stays; his target is copied in the same breath."""
    book = Rulebook([_case("one")])
    book.begin()
    position = book.person.buy(10_000 * UNIT, relativeStopLoss=900)
    book.go()
    seen = []
    for stop, target in ((1.07700, 1.09400), (1.07500, 1.09500), (None, 1.09600)):
        book.person.amend(position, stop=stop, target=target)
        book.go()
        seen.append([(p.stopLoss, p.takeProfit) for p in _shown(book, "one")])
    assert seen == [[(1.07712, 1.09412)], [(1.07712, 1.09512)], [(1.07712, 1.09612)]]
    book.person.say(
        book.leader,
        wire.ProtoOAAmendPositionSLTPReq(
            ctidTraderAccountId=book.leader,
            positionId=position,
            stopLoss=1.07800,
            takeProfit=1.096,
            trailingStopLoss=True,
        ),
    )
    book.go()
    assert [(p.stopLoss, p.trailingStopLoss, p.guaranteedStopLoss) for p in _shown(book, "one")] == [
        (1.07812, False, True)
    ]
    assert not book.events(book.ids["one"], RequestRefused)
    assert verify(book.log.read_all()).is_identical


def test_a_target_that_is_refused_for_the_stop_beside_it_is_not_called_too_near() -> None:
    """The market has come near to a guaranteed stop as the leader sets a target far away: it may be either."""
    book = Rulebook([_case("one")])
    book.begin()
    position = book.person.buy(10_000 * UNIT, relativeStopLoss=600)
    book.go()
    book.price("EURUSD", "1.08100")
    book.go()
    book.person.amend(position, stop=1.07908, target=1.09698)
    book.go()
    assert [(p.stopLoss, p.takeProfit) for p in _shown(book, "one")] == [(1.0792, 0.0)]
    view = book.view(book.ids["one"])
    assert view is not None
    (text,) = view.alerts.values()
    assert "1.09710 is refused as too near to the market, itself or the stop that goes with it" in text
    book.price("EURUSD", "1.08500")
    book.go(3)
    assert [(p.stopLoss, p.takeProfit) for p in _shown(book, "one")] == [(1.0792, 1.0971)]
    assert verify(book.log.read_all()).is_identical


def test_pending_orders_of_a_limited_account_are_guaranteed_too() -> None:
    """Placed, amended and filled with the flag; one without a stop is skipped."""
    book = Rulebook([_case("one")])
    book.begin()
    book.person.place(model.LIMIT, 10_000 * UNIT, price=1.08000)
    order = book.person.place(model.LIMIT, 20_000 * UNIT, price=1.08000, relativeStopLoss=700, trailingStopLoss=True)
    book.go()
    assert _reasons(book, "one") == ["stop_required"]
    (shown,) = _shown(book, "one")
    assert (shown.tradeData.volume, shown.tradeData.guaranteedStopLoss, shown.trailingStopLoss) == (
        20_000 * UNIT,
        True,
        False,
    )
    book.person.amend_order(order, volume=20_000 * UNIT, limitPrice=1.08100, relativeStopLoss=800)
    book.go()
    (shown,) = _shown(book, "one")
    assert (shown.limitPrice, shown.relativeStopLoss, shown.tradeData.guaranteedStopLoss) == (1.081, 800, True)
    book.price("EURUSD", "1.08050")
    book.go(3)
    (held,) = _shown(book, "one")
    assert (held.guaranteedStopLoss, held.stopLoss) == (True, 1.0727)  # filled at 1.0807
    assert verify(book.log.read_all()).is_identical


def test_growth_of_a_limited_position_is_left_out() -> None:
    """An add would go out without a stop of its own: skip(stop_required), and nothing is refused by the broker."""
    book = Rulebook([_case("one")])
    book.begin()
    position = book.person.buy(10_000 * UNIT, relativeStopLoss=900)
    book.go()
    book.person.buy(10_000 * UNIT, positionId=position)
    book.go(2)
    assert [(p.tradeData.volume // UNIT, p.guaranteedStopLoss) for p in _shown(book, "one")] == [(10_000, True)]
    assert _reasons(book, "one") == ["stop_required"]
    assert not book.events(book.ids["one"], RequestRefused)


def test_nothing_is_sent_in_a_symbol_whose_stops_may_not_be_guaranteed() -> None:
    """Position, order and add are skipped by a name, and nothing is refused; told that it has changed, it is copied."""
    book = Rulebook([_case("one"), Case("free", "Dear", {**UNITS, "copy_guaranteed": "on"})])
    book.begin()
    position = book.person.buy(10_000 * UNIT, symbol=GBPUSD, relativeStopLoss=900)
    book.person.place(model.LIMIT, 20_000 * UNIT, symbol=GBPUSD, price=1.26000, relativeStopLoss=700)
    book.go(2)
    book.person.buy(10_000 * UNIT, symbol=GBPUSD, positionId=position)
    book.go(2)
    assert _reasons(book, "one") == ["no_guaranteed_stop", "no_guaranteed_stop", "no_copy"]
    assert (_shown(book, "one"), len(_shown(book, "free"))) == ([], 2)
    _offers(book, "GBPUSD", "true")
    book.person.buy(30_000 * UNIT, symbol=GBPUSD, relativeStopLoss=900)
    book.go(2)
    assert [(p.tradeData.volume // UNIT, p.guaranteedStopLoss) for p in _shown(book, "one")] == [(30_000, True)]
    assert not any(book.events(book.ids[name], RequestRefused) for name in book.ids)
    assert verify(book.log.read_all()).is_identical


def test_a_symbol_that_offers_guaranteed_stops_no_longer_is_left_as_it_is() -> None:
    """What is held stays and is closed with the leader's; what rests ends as he amends it; nothing new is opened."""
    book = Rulebook([_case("one")])
    book.begin()
    position = book.person.buy(10_000 * UNIT, relativeStopLoss=900)
    order = book.person.place(model.LIMIT, 20_000 * UNIT, price=1.08000, relativeStopLoss=700)
    book.go(2)
    _offers(book, "EURUSD", "false")
    assert len(_shown(book, "one")) == 2
    book.person.amend_order(order, volume=20_000 * UNIT, limitPrice=1.08100, relativeStopLoss=800)
    book.person.buy(10_000 * UNIT, relativeStopLoss=900)
    book.go(2)
    assert [p.tradeData.volume // UNIT for p in _shown(book, "one")] == [10_000]
    assert _reasons(book, "one") == ["no_guaranteed_stop"]
    book.person.close(position, 10_000 * UNIT)
    book.go(2)
    assert _shown(book, "one") == []
    assert not book.events(book.ids["one"], RequestRefused)
    assert verify(book.log.read_all()).is_identical


def _offers(book: Rulebook, symbol: str, word: str) -> None:
    """The broker says of a symbol whether its stops may be guaranteed, and every account is told that it changed."""
    book.broker.set_fault("symbol", {"broker": "Dear", "symbol": symbol, "set": f"guaranteed={word}"})
    book.go(2)


@pytest.mark.parametrize(
    ("bought", "bid", "stop"),
    [
        (10_000, "1.08500", 1.07620),
        (10_000, "1.08900", 1.07722),  # the average is 0.0010 higher, and what is guaranteed goes no farther away
        (10_000, "1.08100", 1.07517),  # 0.0048 away is too near to be asked for, until the market is farther
        (4_000, "1.08500", 1.07620),  # the net was flat
        (4_000, "1.08900", 1.07620),
    ],
)
def test_a_share_against_its_net_leaves_with_a_guaranteed_stop(bought: int, bid: str, stop: float) -> None:
    """Buys and a sell of 4,000 share a net: what he closes of the sell makes the net larger, or anew where it is flat.

    The order carries a stop of its own, as it is refused without one; no person is named for what it does.
    """
    book = Rulebook([Case("one", "Dear", UNITS, limited=True, kind="netted")])
    book.begin()
    book.person.buy(bought * UNIT, relativeStopLoss=900)
    book.go()
    sold = book.person.buy(4_000 * UNIT, side=SELL, relativeStopLoss=900)
    book.go()
    book.price("EURUSD", bid)
    book.go()
    book.person.close(sold, 1_000 * UNIT)
    book.go(2)
    book.person.close(sold, 3_000 * UNIT)
    book.go(2)
    assert [(p.tradeData.volume // UNIT, p.stopLoss, p.guaranteedStopLoss) for p in _shown(book, "one")] == [
        (bought, stop, True)
    ]
    view = book.view(book.ids["one"])
    assert view is not None
    assert [copy.pinned_stop for copy in view.copies.values()] == [None]
    codes = {refused.error_code for refused in book.events(book.ids["one"], RequestRefused)}
    assert codes <= {"PROTECTION_IS_TOO_CLOSE_TO_MARKET"}
    assert verify(book.log.read_all()).is_identical
