"""Opens that wait for their price, on the real system."""

from __future__ import annotations

from tests.rulebook import BUY, EURUSD, LEAD, USDJPY, Case, Rulebook


def test_two_waits_that_end_in_one_moment_both_open() -> None:
    """What the first has in flight needs a quote for the margin of the second: it was skipped(stale_input)."""
    book = Rulebook([Case("f", "Same", {"volume.amount": "0.1", "wait_for_better": "2.5"})])
    book.begin()
    for symbol in (EURUSD, USDJPY):
        book.person.buy(10_000_000, account=LEAD, symbol=symbol, side=BUY)
    book.go()
    assert book.volumes("f") == []
    for feed, bid in (("EURUSD", "1.08400"), ("USDJPY", "149.900")):
        book.broker.set_fault("price", {"symbol": feed, "bid": bid, "ask": bid})
    book.stepper.network.collect()
    book.run(2)
    assert book.volumes("f") == [1_000_000, 1_000_000]
