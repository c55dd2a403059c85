"""Orders of netted shares that fill in part, and on out of sight: the rest is the share's, and is not bought again."""

from __future__ import annotations

import pytest

from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.books.ledger import Account
from cmam.store.auditing.audit import Audit
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.whole import NETTED, Whole

LOT = 10_000_000
SECOND = 1_000_000


def _held(books: Account) -> list[int]:
    return [position.volume for position in books.open_positions() if position.volume]


def _filled_in_part(kind: str, *, is_seen: bool) -> tuple[Whole, Account]:
    """A netted follower whose order has filled by four tenths, seen by cmam or not, and fills on in a moment."""
    whole = Whole(seed=4, followers=(NETTED,), settings={"copy_on_fill": "off"})
    whole.start_ready()
    books = whole.broker.floor.accounts[NETTED]
    whole.broker.set_fault("partial-fill", {"fraction": "0.4", "rest": "fill", "account": str(NETTED)})
    if kind == "market":
        whole.person.buy(LOT)
    else:
        bid = whole.broker.floor.market.streams["EURUSD"].bid / 1e8
        whole.person.place(model.LIMIT, LOT, price=round(bid - 0.002, 4))
        whole.run(3)
        whole.broker.set_fault("price", {"symbol": "EURUSD", "bid": f"{bid - 0.003:.5f}"})
    whole.stepper.run_until(lambda: _held(books) == [LOT * 4 // 10], 20 * SECOND)

    def sees() -> bool:
        view = whole.view(NETTED)
        return view is not None and any(copy.volume for copy in view.copies.values())

    if is_seen:
        whole.stepper.run_until(sees, SECOND)
    assert _held(books) == [LOT * 4 // 10]
    return whole, books


@pytest.mark.parametrize("is_closed", [False, True], ids=["held", "closed meanwhile"])
@pytest.mark.parametrize("ends", [False, True], ids=["cut", "killed"])
@pytest.mark.parametrize("is_seen", [False, True], ids=["unseen", "seen"])
@pytest.mark.parametrize("kind", ["market", "limit"])
def test_the_rest_is_the_shares(kind: str, *, is_seen: bool, ends: bool, is_closed: bool) -> None:
    """The net stays what it is until the leader closes, and then nothing is left, whatever cmam has missed."""
    whole, books = _filled_in_part(kind, is_seen=is_seen)
    if ends:
        whole.kill()
    else:
        whole.stepper.network.cut_all()
    whole.broker.clear_fault("all")
    whole.stepper.run_until(lambda: _held(books) == [LOT], 30 * SECOND)
    if is_closed:
        for held in whole.person.holds(LEADER):
            whole.person.close(held.position, held.volume)
    if ends:
        whole.start()
    most = 0
    for _ in range(60):
        whole.run(1)
        most = max(most, *_held(books), 0)
    assert most <= LOT
    if not is_closed:
        assert _held(books) == [LOT]
        (line,) = Audit.of(whole.log).copies()
        assert (line["held"], line["volume"]) == ("100000.00", "100000.00")
        for held in whole.person.holds(LEADER):
            whole.person.close(held.position, held.volume)
        whole.run(30)
    assert _held(books) == []
    assert [order["kind"] for order in Audit.of(whole.log).orders() if order["kind"] == "add"] == []
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []
