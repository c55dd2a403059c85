"""What closes came to, by the books of a broker who tells the end of a protective order before the fill behind it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from decimal import Decimal

import pytest

from cmam.store.auditing.audit import Audit
from tests.stranger.books import BUY
from tests.stranger.habits import Habits
from tests.stranger.nets import Nets, run_drawn
from tests.stranger.world import FOLLOWER, LEADER, Terminal, World, a_pair

VOLUME = 1_000_000


def test_a_close_counts_also_where_its_fill_is_told_last() -> None:
    """A part and the rest: the copy is over before its last deal is told, which is its own and was asked for."""
    world, terminal = a_pair(replace(Habits(), cancel_precedes=True), follower=("South", False))
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


@pytest.mark.parametrize("share", [1, 2])
def test_what_is_told_of_a_net_afterwards_counts_once_and_for_all_its_shares(share: int) -> None:
    """Two profiles in one net: each closes a half by request, then the broker takes the rest, or a part of it, while
    the line is cut, and is asked for all that the net ever was."""
    habits = replace(Habits(), answer_us=4_000_000)
    world = World(1, habits, {LEADER: ("North", False), FOLLOWER: ("South", True)})
    for name in ("one", "two"):
        world.profile(name, LEADER, {FOLLOWER: "1"})
    terminal = Terminal(world, LEADER)
    world.start()
    world.run(5)
    terminal.trade("EURUSD", BUY, VOLUME)
    world.run(10)
    (held,) = terminal.book.positions.values()
    terminal.close(held, VOLUME // 2)
    world.run(20)
    book = world.broker.floor.books[FOLLOWER]
    (net,) = book.positions.values()
    world.lines.cut_all()
    world.broker.floor.stop_out(book, net, net.volume // share)
    world.lines.collect()
    world.run(75)
    came_to: dict[int, list[Decimal]] = defaultdict(list)
    for line in Audit.of(world.log).results():
        came_to[line["deal"]].append(Decimal(line["net"]))
    *of_requests, taken = [deal for deal in book.deals if deal.closed is not None]
    parts = {deal.number: 1 for deal in of_requests} | {taken.number: 2}
    assert {number: len(nets) for number, nets in came_to.items()} == parts
    for deal in (*of_requests, taken):
        closed = deal.closed
        assert closed is not None
        assert sum(came_to[deal.number]) == Decimal(closed.gross + closed.swap + closed.commission).scaleb(-2)
    one, other = came_to[taken.number]
    assert one < 0 > other  # in proportion to what each has then, of which a step more or less is a third here
    world.stepper.kill()


@pytest.mark.parametrize("turns", ["new", "same", "one"])
@pytest.mark.parametrize("grows", [False, True], ids=["open", "add"])
def test_what_an_order_of_ours_closed_of_a_net_out_of_sight_counts_for_its_share(turns: str, grows: bool) -> None:
    """Short of two lots and long of one, and three more are bought while the line is cut: the net has turned by then,
    all shares stand, and what the order closed of it was in no sum."""
    nets = Nets(-2, 1, turns=turns)
    if grows:
        nets.adds(1, 3)
    else:
        nets.opens(3)
    nets.world.run(0.2)
    nets.world.lines.cut_all()
    nets.agrees()
    nets.results_agree()
    *_, closed = Audit.of(nets.world.log).results()
    assert closed["closed_by"] == "request"
    nets.ends()


def test_a_net_that_came_and_went_out_of_sight_counts_too() -> None:
    """Long and short of a lot, so that there is no net; to each two lots are added while the line is cut: they make one
    and close it again, and nobody has ever seen its number."""
    nets = Nets(1, -1)
    for which in (0, 1):
        nets.adds(which, 2)
        nets.world.run(0.02)
    nets.world.run(0.18)
    nets.world.lines.cut_all()
    nets.agrees()
    assert not nets.person.book.positions
    nets.results_agree()
    nets.ends()


def test_a_close_that_follows_a_fill_in_its_very_millisecond_is_in_the_sums() -> None:
    """A day of two profiles: a stop-out and an add are under way as the leader closes, a second share's close leaves on
    the fill of the first, and the line is cut over it."""
    run_drawn(10406)
