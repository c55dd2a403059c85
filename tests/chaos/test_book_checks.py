"""What is told against the broker's books: whatever is altered in these must be refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cmam.sandbox.books.ledger import Account
from tests.chaos.book_checks import told_as_booked
from tests.person import LEADER
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000


def _run() -> Whole:
    """Two copies: one closed in two parts by its leader, one that its stop has ended, and one that stands."""
    whole = Whole(seed=3)
    whole.start_ready()
    first = whole.person.buy(LOT)
    whole.person.buy(LOT // 2, relativeStopLoss=100)
    whole.person.buy(LOT // 5)
    whole.run(3)
    whole.person.close(first, LOT // 2)
    whole.run(2)
    whole.person.close(first, LOT // 2)
    whole.run(2)
    bid = whole.broker.floor.market.streams["EURUSD"].bid / 1e8
    whole.broker.set_fault("price", {"symbol": "EURUSD", "bid": f"{bid - 0.002:.5f}"})
    whole.run(3)
    whole.let_record()
    return whole


@pytest.fixture(scope="module")
def sound() -> Whole:
    """A run of which everything is told as it was."""
    whole = _run()
    assert len(whole.person.holds(SAME_BROKER)) == 1
    told_as_booked(whole)
    return whole


def _balance(books: Account) -> None:
    books.balance += 1


def _fill(books: Account) -> None:
    next(order for order in books.past_orders.values() if order.client_order_id).executed -= 1_000


def _entry(books: Account) -> None:
    next(deal for deal in books.deals.values() if not deal.is_closing).price += 1_000


def _exit(books: Account) -> None:
    [deal for deal in books.deals.values() if deal.is_closing][-1].price += 1_000


def _result(books: Account) -> None:
    next(deal for deal in books.deals.values() if deal.is_closing).gross += 1


def _stop_out(books: Account) -> None:
    last = [deal for deal in books.deals.values() if deal.is_closing][-1]
    books.past_orders[last.order_id].is_stop_out = True


def _volume(books: Account) -> None:
    next(deal for deal in books.deals.values() if not deal.is_closing).filled -= 100_000


@pytest.mark.parametrize("alter", [_balance, _fill, _entry, _exit, _result, _stop_out, _volume])
@pytest.mark.usefixtures("sound")
def test_what_the_books_have_otherwise_is_refused(alter: Callable[[Account], None]) -> None:
    """One number of the follower's books is altered: what is told is no longer what was."""
    whole = _run()
    alter(whole.broker.floor.accounts[SAME_BROKER])
    with pytest.raises(AssertionError):
        told_as_booked(whole)


def test_a_leaders_price_that_was_none_of_his_is_refused() -> None:
    """Slippage is counted from the leader's own fill."""
    whole = _run()
    for deal in whole.broker.floor.accounts[LEADER].deals.values():
        deal.price += 1_000
    with pytest.raises(AssertionError):
        told_as_booked(whole)
