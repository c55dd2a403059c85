"""What closes came to, by the books of a broker who tells the end of a protective order before the fill behind it."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from cmam.store.auditing.audit import Audit
from tests.stranger.books import BUY
from tests.stranger.habits import Habits
from tests.stranger.world import Terminal, World

LEADER, FOLLOWER = 501, 502
VOLUME = 1_000_000


def test_a_close_counts_also_where_its_fill_is_told_last() -> None:
    """A part and the rest: the copy is over before its last deal is told, which is its own and was asked for."""
    world = World(1, replace(Habits(), cancel_precedes=True), {LEADER: ("North", False), FOLLOWER: ("South", False)})
    world.profile("of", LEADER, {FOLLOWER: "1"})
    terminal = Terminal(world, LEADER)
    world.start()
    world.run(5)
    terminal.trade("EURUSD", BUY, VOLUME, relativeStopLoss=900)
    world.run(10)
    (held,) = world.broker.floor.books[LEADER].positions.values()
    for volume in (VOLUME // 2, VOLUME // 2):
        terminal.close(held, volume)
        world.run(10)
    booked = [deal for deal in world.broker.floor.books[FOLLOWER].deals if deal.closed is not None]
    audit = Audit.of(world.log)
    told = [(line["deal"], line["net"], line["closed_by"]) for line in audit.results()]
    told_prices = [line["price"] for line in audit.results()]
    nets = [deal.closed.gross + deal.closed.swap + deal.closed.commission for deal in booked if deal.closed is not None]
    assert told == [
        (deal.number, str(Decimal(net).scaleb(-2)), "request") for deal, net in zip(booked, nets, strict=True)
    ]
    (copy,) = audit.copies()
    assert Decimal(copy["result"]) == Decimal(sum(nets)).scaleb(-2)
    assert copy["close_price"] == told_prices[-1]
    world.stepper.kill()
