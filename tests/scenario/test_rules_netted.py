"""Netted followers: every copy is a share of one net position, and the net is the sum that the rules give."""

from __future__ import annotations

from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.replay import verify
from tests.rulebook import SELL, UNIT, Case, Rulebook

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
