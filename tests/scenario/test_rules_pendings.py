"""Pending orders: what rests at each follower, and what is held whoever fills first, against numbers by hand."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.domain.events import CopyFinished
from cmam.domain.values.reasons import Reason
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from tests.rulebook import BUY, LEAD, SELL, UNIT, Case, Rulebook

HALF = {"volume.basis": "units", "volume.amount": "0.5"}
LIMIT, STOP, STOP_LIMIT = model.LIMIT, model.STOP, model.STOP_LIMIT


def _resting(book: Rulebook, name: str) -> list[tuple[Any, ...]]:
    """Kind, side, units, price, and how far stop and target are from it, in points."""
    book.run(0.06)
    return [
        (
            order.orderType,
            order.tradeData.tradeSide,
            order.tradeData.volume // UNIT,
            round(order.limitPrice or order.stopPrice, 5),
            order.relativeStopLoss,
            order.relativeTakeProfit,
        )
        for order in book.person.rests(book.ids[name])
    ]


def test_a_pending_order_is_placed_amended_filled_and_closed_everywhere() -> None:
    """Limit becomes stop where reversed, prices stand on the follower's tick, and both legs end with the leader's.

    43,000 × 0.5 = 21,500 → 21,000 (Mini 21,300). Amended to 51,000: 21,000 × 51/43 = 24,906.98 → 24,000 (Mini 25,262.8
    → 25,200; Odd 24,500). The stop 1.07213 is 790 points below 1.08003; on Odd 1.0722 is 780 below 1.0800.
    """
    cases = [
        Case("same", "Same", HALF),
        Case("mini", "Mini", HALF),
        Case("odd", "Odd", HALF),
        Case("reverse", "Same", {**HALF, "reverse": "on"}),
        Case("offset", "Same", {**HALF, "sl_offset": "5", "fixed_tp": "44.4"}),
        Case("market only", "Same", {**HALF, "order_types": "market"}),
        Case("on fill", "Same", {**HALF, "order_types": "market", "copy_on_fill": "on"}),
    ]
    book = Rulebook(cases)
    book.begin()
    person = book.person
    order = person.place(LIMIT, 43_000 * UNIT, price=1.08003, stopLoss=1.07213, takeProfit=1.09007)
    book.go()
    assert {case.name: _resting(book, case.name) for case in cases} == {
        "same": [(LIMIT, BUY, 21_000, 1.08003, 790, 1_004)],
        "mini": [(LIMIT, BUY, 21_300, 1.08003, 790, 1_004)],
        "odd": [(LIMIT, BUY, 21_000, 1.0800, 780, 1_000)],
        "reverse": [(STOP, SELL, 21_000, 1.08003, 1_004, 790)],
        "offset": [(LIMIT, BUY, 21_000, 1.08003, 840, 444)],
        "market only": [],
        "on fill": [],
    }
    person.amend_order(order, limitPrice=1.07953, volume=51_000 * UNIT, stopLoss=1.07113, takeProfit=1.09007)
    book.go()
    assert {case.name: _resting(book, case.name) for case in cases} == {
        "same": [(LIMIT, BUY, 24_000, 1.07953, 840, 1_054)],
        "mini": [(LIMIT, BUY, 25_200, 1.07953, 840, 1_054)],
        "odd": [(LIMIT, BUY, 24_500, 1.0795, 830, 1_050)],
        "reverse": [(STOP, SELL, 24_000, 1.07953, 1_054, 840)],
        "offset": [(LIMIT, BUY, 24_000, 1.07953, 890, 444)],
        "market only": [],
        "on fill": [],
    }
    book.price("EURUSD", "1.07900")
    book.go(3)
    # The leader has 1.07908 with 1.07068 and 1.08962; each copy's levels are his plus its own entry less his.
    assert {case.name: book.levels(case.name) for case in cases} == {
        "same": [(BUY, 1.0707, 1.08964, 1.0791)],
        "mini": [(BUY, 1.07071, 1.08965, 1.07911)],
        "odd": [(BUY, 1.0709, 1.0897, 1.0792)],  # as its order carried them: 830 points; off by a tick, not by more
        "reverse": [(SELL, 1.08954, 1.0706, 1.0790)],
        "offset": [(BUY, 1.0702, 1.08354, 1.0791)],
        "market only": [],
        "on fill": [(BUY, 1.0707, 1.08964, 1.0791)],
    }
    (held,) = person.holds(book.leader)
    person.close(held.position, held.volume)
    book.go()
    assert all(book.held(case.name) == [] == _resting(book, case.name) for case in cases)
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_whoever_fills_first_exactly_one_copy_results() -> None:
    """Leader first: after the grace a market copy opens instead of the order. Follower first: held, then closed."""
    cases = [Case("same", "Same", HALF), Case("odd", "Odd", HALF), Case("net", "Same", HALF, kind="netted")]
    book = Rulebook(cases)
    book.begin()
    person = book.person
    person.place(LIMIT, 43_000 * UNIT, price=1.08003, stopLoss=1.07213)
    book.go()
    book.price("EURUSD", "1.07995")  # the leader's ask is 1.08003, Same's 1.08005, Odd's 1.0802
    book.run(0.5)
    assert all(book.volumes(case.name) == [] for case in cases)
    book.go(4)
    assert {case.name: (book.volumes(case.name), _resting(book, case.name)) for case in cases} == {
        case.name: ([21_000 * UNIT], []) for case in cases
    }
    # late: the shift is the difference of the asks, + 0.00002 and + 0.00017
    assert [book.levels(case.name)[0][1] for case in cases] == [1.07215, 1.0723, 1.07215]
    (held,) = person.holds(book.leader)
    person.close(held.position, held.volume)
    book.price("EURUSD", "1.08500")
    book.go()
    for is_cancelled in (False, True):
        order = person.place(STOP, 43_000 * UNIT, price=1.09010, stopLoss=1.0821)
        book.go()
        book.price("EURUSD", "1.09000")  # the leader's ask is 1.09008: only the followers fill
        book.go(30)
        assert person.holds(book.leader) == []
        assert all(book.volumes(case.name) == [21_000 * UNIT] for case in cases)
        if is_cancelled:
            person.cancel(order)
            book.go()
        else:
            book.go(35)
        assert all(book.held(case.name) == [] for case in cases)
        book.price("EURUSD", "1.08500")
        if not is_cancelled:
            person.cancel(order)
        book.go()
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_expiry_cancel_and_stop_limits_are_followed() -> None:
    """A stop-limit rests as one, never reversed; the leader's expiry ends every copy, with and without its own."""
    cases = [
        Case("same", "Same", HALF),
        Case("no expiry", "Same", {**HALF, "copy_expiry": "off"}),
        Case("life", "Same", {**HALF, "pending_max_life": "2m"}),
        Case("reverse", "Same", {**HALF, "reverse": "on", "reverse_without_stop": "on"}),
    ]
    book = Rulebook(cases)
    book.begin()
    order = book.person.place(
        STOP_LIMIT,
        43_000 * UNIT,
        price=1.09011,
        slippageInPoints=15,
        stopLoss=1.0861,
        timeInForce=model.GOOD_TILL_CANCEL,
    )
    book.go()
    placed = (STOP_LIMIT, BUY, 21_000, 1.09011, 401, 0)
    assert [_resting(book, case.name) for case in cases] == [[placed], [placed], [placed], []]
    lives = [[o.expirationTimestamp for o in book.person.rests(book.ids[case.name])] for case in cases[:3]]
    assert lives[:2] == [[0], [0]]
    assert 110_000 < lives[2][0] - book.stepper.clock.now() // 1_000 <= 120_000
    expiry = book.stepper.clock.now() // 1_000 + 20_000
    book.person.amend_order(
        order,
        stopPrice=1.09011,
        slippageInPoints=15,
        volume=43_000 * UNIT,
        stopLoss=1.0861,
        expirationTimestamp=expiry,
    )
    book.go()
    lives = [[o.expirationTimestamp for o in book.person.rests(book.ids[case.name])] for case in cases[:3]]
    assert lives == [[expiry], [0], [expiry]]
    book.go(25)
    assert [_resting(book, case.name) for case in cases] == [[], [], [], []]
    assert verify(book.log.read_all()).is_identical


def test_an_order_of_the_leader_that_fills_in_parts_is_followed_to_its_end() -> None:
    """40 % of his 43,000 fill, 17,000, and the rest after five seconds: by then each copy is on its way to market.

    17,000 × 0.5 = 8,500 → 8,000 (Odd 8,400); all of it 21,500 → 21,000 (Odd 21,000). His first fill at 1.08003 is late
    for the copies: their shift is the difference of the asks, + 0.00002 and + 0.00017, and stays that.
    """
    cases = [
        Case("same", "Same", HALF),
        Case("odd", "Odd", HALF),
        Case("net", "Same", HALF, kind="netted"),
        Case("one", "Same", {**HALF, "max_lots_open": "0.1"}),
    ]
    book = Rulebook(cases, fill_delay_ms=5_000)
    book.begin()
    person = book.person
    book.broker.set_fault("partial-fill", {"fraction": "0.4", "rest": "fill", "account": str(book.leader)})
    person.place(LIMIT, 43_000 * UNIT, price=1.08003, stopLoss=1.07213)
    book.go()
    book.price("EURUSD", "1.07995")
    book.run(3)  # no tick, which would fill the rest
    assert person.holds(book.leader)[0].volume == 17_000 * UNIT
    book.go(25)
    assert person.holds(book.leader)[0].volume == 43_000 * UNIT
    assert {case.name: book.volumes(case.name) for case in cases} == {
        "same": [21_000 * UNIT],
        "odd": [21_000 * UNIT],
        "net": [21_000 * UNIT],
        "one": [8_000 * UNIT],
    }
    assert [book.levels(name)[0][1] for name in ("same", "odd", "net")] == [1.07215, 1.0723, 1.07215]
    (held,) = person.holds(book.leader)
    person.close(held.position, held.volume)
    book.go(20)
    assert all(book.held(case.name) == [] == _resting(book, case.name) for case in cases)
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def _window(book: Rulebook, first: int, last: int) -> str:
    """Hours from so many hours after this one until so many after it, by UTC."""
    hour = book.stepper.clock.now() // 3_600_000_000
    return f"{(hour + first) % 24:02}:00-{(hour + last) % 24:02}:00"


def test_what_rests_ends_with_the_hours_as_they_are_set_now() -> None:
    """Placed within the hours, which then are set to later ones, or with `keep`, which then is set to `cancel`.

    Both orders end within 15 s, and the leader's fill opens nothing outside hours; where what is outside is kept, and
    where hours still hold, they rest on.
    """
    cases = [Case(name, "Same", HALF) for name in ("moved", "kept", "no more", "held")]
    book = Rulebook(cases)
    book.begin()
    inside, later = _window(book, 0, 3), _window(book, 5, 8)
    for name, settings in (
        ("moved", {"hours": inside}),
        ("kept", {"hours": inside, "pending_outside": "keep"}),
        ("no more", {"hours": inside, "pending_outside": "keep"}),
        ("held", {"hours": inside}),
    ):
        book.command({"command": "profile.set", "profile": name, "settings": settings, "unset": []})
    order = book.person.place(LIMIT, 20_000 * UNIT, price=1.08003)
    book.go(2)
    assert [len(_resting(book, case.name)) for case in cases] == [1, 1, 1, 1]
    for name, settings in (
        ("moved", {"hours": later}),
        ("kept", {"hours": later}),
        ("no more", {"hours": later, "pending_outside": "cancel"}),
        ("held", {"hours": _window(book, -1, 4)}),
    ):
        book.command({"command": "profile.set", "profile": name, "settings": settings, "unset": []})
    book.go(16)
    assert [len(_resting(book, case.name)) for case in cases] == [0, 1, 0, 1]
    book.price("EURUSD", "1.07990")
    book.go(4)
    assert order not in {rests.orderId for rests in book.person.rests(LEAD)}
    assert [book.volumes(case.name) for case in cases] == [[], [10_000 * UNIT], [], [10_000 * UNIT]]
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_how_an_order_is_triggered_follows_its_leaders() -> None:
    """By the other side of the quote, and by its own again: each a change of nothing else, over the wire."""
    book = Rulebook([Case("same", "Same", HALF), Case("reverse", "Same", {**HALF, "reverse": "on", "copy_sl": "off"})])
    book.begin()
    order = book.person.place(STOP, 20_000 * UNIT, price=1.09003)
    seen = []
    for trigger in (model.OPPOSITE, model.TRADE):
        book.go(2)
        book.person.amend_order(order, stopPrice=1.09003, volume=20_000 * UNIT, stopTriggerMethod=trigger)
        book.go(2)
        seen.append([rests.stopTriggerMethod for rests in book.person.rests(book.ids["same"])])
    assert seen == [[model.OPPOSITE], [model.TRADE]]
    assert [entry[0] for entry in _resting(book, "reverse")] == [LIMIT]
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_an_order_grows_as_far_as_an_open_would_be_made_now() -> None:
    """20,000 become 40,000: 20,000 for half, also in a currency that other symbols' quotes tell.

    It is 15,000 by `volume.max`, and no more than 10,000 where that is fixed.
    """
    cases = [
        Case("same", "Same", HALF),
        Case("pounds", "Same", HALF, currency="GBP"),
        Case("bound", "Same", {**HALF, "volume.max": "0.15"}),
        Case("fixed", "Same", {"volume.mode": "fixed", "volume.amount": "0.1"}),
    ]
    book = Rulebook(cases)
    book.begin()
    order = book.person.place(LIMIT, 20_000 * UNIT, price=1.08003)
    book.go()
    assert [[rests[2] for rests in _resting(book, case.name)] for case in cases] == [[10_000]] * 4
    book.person.amend_order(order, limitPrice=1.08003, volume=40_000 * UNIT)
    book.go()
    assert {case.name: [rests[2] for rests in _resting(book, case.name)] for case in cases} == {
        "same": [20_000],
        "pounds": [20_000],
        "bound": [15_000],
        "fixed": [10_000],
    }
    book.price("EURUSD", "1.07900")
    book.go(3)
    assert [book.volumes(case.name) for case in cases] == [[n * UNIT] for n in (20_000, 20_000, 15_000, 10_000)]
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_a_market_copy_of_a_fill_waits_for_a_stop_no_longer_than_any_open() -> None:
    """By risk, and the leader has no stop: once the grace of 2 s is over, the lots for that case open, or nothing."""
    by_risk = {"volume.mode": "risk_percent", "volume.amount": "0.4", "volume.without_stop": "0.05"}
    book = Rulebook([Case("lots", "Same", by_risk), Case("then none", "Same", by_risk)])
    book.begin()
    book.person.place(LIMIT, 43_000 * UNIT, price=1.08003)
    book.go()
    assert [len(_resting(book, name)) for name in ("lots", "then none")] == [1, 1]
    unset = {"command": "profile.set", "profile": "then none", "settings": {}, "unset": ["volume.without_stop"]}
    book.command(unset)
    book.price("EURUSD", "1.07995")  # the leader's ask is 1.08003, Same's 1.08005
    book.go(4)
    assert [book.volumes(name) for name in ("lots", "then none")] == [[5_000 * UNIT], []]
    (ended,) = book.events(book.ids["then none"], CopyFinished)
    assert ended.reason is Reason.NO_STOP
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_an_amended_order_keeps_what_is_not_copied_and_a_persons_nearer_levels() -> None:
    """Distances of the order: 700 and 900 points are the leader's, 500 and 600 a person's; they move with the price.

    Where he moves his order by 5 pips, ours at 1.0755 has the person's still, and 1.0705 and 1.0815 from its fill on. A
    stop that is copied no more stays the 700 points that it was, with the order and from its fill on.
    """
    cases = [
        Case("pinned", "Same", HALF),
        Case("leader wins", "Same", {**HALF, "human_levels": "leader"}),
        Case("no stops", "Same", {**HALF, "copy_sl": "off"}),
        Case("no targets", "Same", {**HALF, "copy_tp": "off", "human_levels": "leader"}),
        Case("reverse", "Same", {**HALF, "reverse": "on", "copy_sl": "off", "copy_tp": "off"}),
        Case("farther", "Same", HALF),
        Case("no more", "Same", HALF),
    ]
    book = Rulebook(cases)
    book.begin()
    person = book.person
    order = person.place(LIMIT, 40_000 * UNIT, price=1.0750, relativeStopLoss=700, relativeTakeProfit=900)
    book.go()
    for name in ("pinned", "leader wins", "no stops", "no targets", "reverse"):
        _set_levels(book, name, 0.0050, 0.0060)
    _set_levels(book, "farther", 0.0080, 0.0095)
    book.command({"command": "profile.set", "profile": "no more", "settings": {"copy_sl": "off"}})
    book.go()
    person.amend_order(order, limitPrice=1.0755, volume=40_000 * UNIT, stopLoss=1.0685, takeProfit=1.0845)
    book.go()
    assert {case.name: _resting(book, case.name) for case in cases} == {
        "pinned": [(LIMIT, BUY, 20_000, 1.0755, 500, 600)],
        "leader wins": [(LIMIT, BUY, 20_000, 1.0755, 700, 900)],
        "no stops": [(LIMIT, BUY, 20_000, 1.0755, 500, 600)],
        "no targets": [(LIMIT, BUY, 20_000, 1.0755, 700, 600)],
        "reverse": [(STOP, SELL, 20_000, 1.0755, 500, 600)],
        "farther": [(LIMIT, BUY, 20_000, 1.0755, 700, 900)],
        "no more": [(LIMIT, BUY, 20_000, 1.0755, 700, 900)],
    }
    book.price("EURUSD", "1.07540")
    book.go(3)
    # the leader has 1.07548, with 1.06848 and 1.08448; ours is + 0.00002, and his are nearer than the farther ones
    assert {case.name: book.levels(case.name) for case in cases} == {
        "pinned": [(BUY, 1.0705, 1.0815, 1.0755)],
        "leader wins": [(BUY, 1.0685, 1.0845, 1.0755)],
        "no stops": [(BUY, 1.0705, 1.0815, 1.0755)],
        "no targets": [(BUY, 1.0685, 1.0815, 1.0755)],
        "reverse": [(SELL, 1.0805, 1.0695, 1.0754)],
        "farther": [(BUY, 1.0685, 1.0845, 1.0755)],
        "no more": [(BUY, 1.0685, 1.0845, 1.0755)],
    }
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def _set_levels(book: Rulebook, name: str, stop: float, target: float) -> None:
    """A person gives the copied order of a case other levels, as far from its price as named."""
    book.run(0.06)
    (order,) = book.person.rests(book.ids[name])
    price, sign = order.limitPrice or order.stopPrice, 1 if order.tradeData.tradeSide == BUY else -1
    at = {"limitPrice": price} if order.limitPrice else {"stopPrice": price}
    levels = {"stopLoss": round(price - sign * stop, 5), "takeProfit": round(price + sign * target, 5)}
    book.person.amend_order(order.orderId, account=book.ids[name], volume=order.tradeData.volume, **at, **levels)


@pytest.mark.parametrize("fills", [True, False])
@pytest.mark.parametrize("is_off", [True, False])
def test_what_has_filled_ahead_of_a_leader_who_is_not_heard_is_held_until_he_is(is_off: bool, fills: bool) -> None:
    """Its profile is off with its orders kept, or the line is gone, for longer than `pending_ahead`. His order fills
    meanwhile: ours was closed while he held. Where it has not filled, ours is closed once he is heard again.
    """
    book = Rulebook([Case("same", "Same", {**HALF, "pending_ahead": "20s"})])
    book.begin()
    book.person.place(STOP, 20_000 * UNIT, price=1.08600)  # by his ask, which is two points below ours
    book.go(2)
    book.price("EURUSD", "1.08590")
    book.run(2)
    if is_off:
        off = {"command": "profile.disable", "profile": "same", "copies": "leave", "keep_pendings": True}
        assert book.command(off)["ok"]
    else:
        book.broker.set_fault("maintenance", {"seconds": "40"})
    if fills:
        book.price("EURUSD", "1.08600")
    book.run(40)
    if is_off:
        assert book.volumes("same") == [10_000 * UNIT]
        assert book.command({"command": "profile.enable", "profile": "same"})["ok"]
    book.go(60)
    assert book.volumes("same") == ([10_000 * UNIT] if fills else [])
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []
