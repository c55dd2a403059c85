"""What-if held against what really happens: one world, one trader, one seed, run live under both settings."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.switches import Switches
from cmam.store.past.replay import verify
from cmam.store.what_if import Asked, rows, what_if
from tests.person import LEADER
from tests.reruns import a_day, live, run_again
from tests.rulebook import UNIT, Case, Rulebook
from tests.whole import ALPHA_TOO, NETTED, SAME_BROKER, Whole

LOT = 10_000_000
HALF = {"volume.amount": "0.3", "side": "buy"}
NO_STOPS = {"copy_sl": "off", "order_types": "market"}


@pytest.fixture(scope="module")
def days() -> dict[str, Rulebook]:
    """Recorded days to start from."""
    return {"all": a_day({}), "half": a_day(HALF), "bare": a_day(NO_STOPS)}


@pytest.mark.parametrize(
    ("start", "settings"),
    [
        ("all", {"volume.amount": "0.4", "max_slippage": "5"}),
        ("all", {"volume.mode": "fixed", "volume.amount": "0.1", "side": "buy"}),
        ("all", {"volume.mode": "balance_ratio", "copy_sl": "off"}),
        ("all", {"reverse": "on", "reverse_without_stop": "on"}),
        ("all", {"max_positions": "1", "partial_rounding": "up"}),
        ("half", {"volume.mode": "equity_ratio"}),
        ("half", {"scale_in": "off", "require_stop": "on"}),
        ("bare", {"volume.mode": "free_margin_ratio"}),
        ("bare", {}),
    ],
    ids=str,
)
def test_a_what_if_decides_what_a_live_run_decides(
    days: Mapping[str, Rulebook], start: str, settings: Mapping[str, str]
) -> None:
    """Every decision of four followers at three brokers, hedged and netted: verdict, reason, volume, exact target."""
    truth = a_day(settings)
    _, spy = run_again(days[start], settings)
    assert dict(spy.decisions) == dict(live(truth))


def test_where_fills_are_equal_so_is_the_money(days: Mapping[str, Rulebook]) -> None:
    """Twice the volume costs twice as much: balances of the what-if are those of the live run, to a rounding."""
    settings = {"volume.amount": "0.4"}
    truth, (run, _) = a_day(settings), run_again(days["all"], settings)
    for name, account in days["all"].ids.items():
        there, here = truth.folded().accounts[account], run.books[account].view
        assert abs(there.balance - here.balance) <= 5, name
        assert {p.symbol: p.volume for p in there.positions.values()} == {
            p.symbol: p.volume for p in here.positions.values()
        }
    assert run.counted.unpriced == 0


@pytest.mark.parametrize("name", ["all", "half", "bare"])
def test_equal_settings_give_an_empty_difference(days: Mapping[str, Rulebook], name: str) -> None:
    """The recorded settings, named one by one, change nothing: no row, no money, no fill that is a model."""
    log = days[name].log
    recorded = {"all": {"volume.amount": "1"}, "half": HALF, "bare": NO_STOPS}[name]
    found = what_if(log.read_all, Asked.of(days[name].folded().registry, recorded))
    assert found["equal"]
    assert found["differences"] == []
    assert all(one["recorded"] == one["what_if"] for one in found["followers"])
    assert found["model"]["fills"] == 0
    assert verify(log.read_all()).is_identical


def test_what_a_follower_would_have_held_is_what_its_own_followers_copy() -> None:
    """In a chain the second link copies the modelled trades of the first: a quarter of half, closed with them."""
    whole = Whole(3, followers=(ALPHA_TOO,))
    whole.add_accounts(SAME_BROKER)
    whole.add_profile("second", ALPHA_TOO, (SAME_BROKER,), {"volume.amount": "0.5"})
    whole.start_ready()
    position = whole.person.buy(8_000_000)
    whole.run(5)
    whole.person.close(position, 8_000_000)
    whole.run(5)
    asked = Asked.of(whole.folded().registry, {"volume.amount": "0.25"}, profile="whole")
    rows = what_if(whole.log.read_all, asked)["differences"]
    found = {
        row["follower"]: (row["recorded"]["volume"], row["what_if"]["volume"], row["what_if"]["state"])
        for row in rows
        if row["what_if"]["verdict"] == "copy"
    }
    assert found == {ALPHA_TOO: ("80000.00", "20000.00", "closed"), SAME_BROKER: ("40000.00", "10000.00", "closed")}


def test_a_guard_that_was_not_set_trips_at_the_recorded_samples() -> None:
    """Ten pips of 100,000 are 100: with a daily loss of 50 the copy is closed there, and nothing opens afterwards."""
    book = Rulebook([Case("free", "Same", {"volume.basis": "units"})])
    book.begin()
    book.person.buy(100_000 * UNIT)
    book.go(12)
    book.price("EURUSD", "1.08400")
    book.go(24)
    book.person.buy(10_000 * UNIT)
    book.go(4)
    asked = Asked.of(book.folded().registry, {"daily_loss": "50"})
    first, second = what_if(book.log.read_all, asked)["differences"]
    assert (first["recorded"]["state"], first["what_if"]["ended"]) == ("open", "closed_by_guard")
    assert (second["recorded"]["verdict"], second["what_if"]["reason"]) == ("copy", "guard")


def test_what_an_order_filled_into_is_told_with_its_order() -> None:
    """A limit order that is not copied as it is placed, and copied as it fills, is one trade: its volume and its result
    stand in what was, and in what would have been."""
    whole = Whole(seed=5, settings={"order_types": "market", "copy_on_fill": "on"})
    whole.start_ready()
    bid = whole.broker.floor.market.streams["EURUSD"].bid / 1e8
    whole.person.place(model.LIMIT, LOT, price=round(bid - 0.001, 4))
    whole.run(2)
    whole.broker.set_fault("price", {"symbol": "EURUSD", "bid": f"{bid - 0.0015:.5f}"})
    whole.run(3)
    (held,) = whole.person.holds(LEADER)
    whole.person.close(held.position, held.volume)
    whole.run(3)
    books = whole.broker.floor.accounts[SAME_BROKER].deals.values()
    unchanged = what_if(whole.log.read_all, Asked.of(whole.folded().registry, {}))
    (then,) = (follower["recorded"] for follower in unchanged["followers"])
    assert unchanged["equal"]
    assert (then["copied"], then["volume"]) == (1, "100000.00")
    assert Decimal(then["result"]) == Decimal(sum(deal.net for deal in books)).scaleb(-2) != 0
    (trade,) = what_if(whole.log.read_all, Asked.of(whole.folded().registry, {"volume.amount": "0.5"}))["differences"]
    assert trade["what_if"]["volume"] == "50000.00"
    assert abs(Decimal(trade["what_if"]["result"]) - Decimal(then["result"]) / 2) <= Decimal("0.01")


def test_a_netted_leaders_trade_stays_with_the_order_that_opened_it() -> None:
    """A second order that fills into his position adds to that trade: it is no other one, and takes nothing of it."""
    whole = Whole(seed=5, leader=NETTED, settings={"order_types": "market", "copy_on_fill": "on"})
    whole.start_ready()
    bid = whole.broker.floor.market.streams["EURUSD"].bid / 1e8
    for below, volume in ((0.001, LOT), (0.002, 2 * LOT)):
        whole.person.place(model.LIMIT, volume, price=round(bid - below, 4), account=NETTED, symbol=7001)
    whole.run(2)
    for below in (0.0015, 0.0025):
        whole.broker.set_fault("price", {"symbol": "EURUSD", "bid": f"{bid - below:.5f}"})
        whole.run(3)
    (held,) = whole.person.holds(NETTED)
    whole.person.close(held.position, held.volume, account=NETTED)
    whole.run(3)
    books = whole.broker.floor.accounts[SAME_BROKER].deals.values()
    result = Decimal(sum(deal.net for deal in books)).scaleb(-2)
    first, *others = what_if(whole.log.read_all, Asked.of(whole.folded().registry, {"side": "sell"}))["differences"]
    assert (first["recorded"]["volume"], Decimal(first["recorded"]["result"])) == ("300000.00", result)
    assert result != 0
    assert all(Decimal(other["recorded"]["result"]) == 0 for other in others)


def test_what_an_open_copy_is_worth_may_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no quote tells the worth of one open copy, its follower's result is none, not that of the others."""
    whole = Whole(seed=5)
    whole.start_ready()
    first = whole.person.buy(LOT)
    whole.person.buy(LOT)
    whole.run(3)
    whole.person.close(first, LOT)
    whole.run(3)
    asked = Asked.of(whole.folded().registry, {})
    (known,) = what_if(whole.log.read_all, asked)["followers"]
    assert known["recorded"]["result"] is not None
    monkeypatch.setattr(rows, "_worth", lambda *_: None)
    (unknown,) = what_if(whole.log.read_all, asked)["followers"]
    assert unknown["recorded"]["result"] is unknown["difference"]["result"] is None
    assert unknown["recorded"]["copied"] == 2


def test_a_modelled_open_that_waits_knows_its_leaders_market() -> None:
    """A netted leader changes sides out of sight, with no quote told: under another volume the new side waits for the
    close as it did, and opens, though its symbol has another name at his broker and is mapped by the two prices."""
    switches = Switches(history_days=0, netted_reversal="same_position")
    whole = Whole(seed=7, leader=NETTED, switches=switches)
    whole.start_ready()
    whole.person.buy(LOT, account=NETTED, symbol=7001)
    whole.run(3)
    whole.kill()
    whole.person.buy(3 * LOT, account=NETTED, symbol=7001, side=model.SELL)
    whole.run(2)
    whole.start()
    whole.run(15)
    assert [held.volume for held in whole.person.holds(SAME_BROKER)] == [2 * LOT]
    asked = Asked.of(whole.folded().registry, {"volume.amount": "0.5"})
    (trade,) = what_if(whole.log.read_all, asked)["differences"]
    assert (trade["what_if"]["volume"], trade["what_if"]["state"]) == ("100000.00", "open")
