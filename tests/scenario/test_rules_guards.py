"""Guards to the cent: at which price each trips, by hand.

Every follower buys 100,000 EURUSD at 1.0851 and pays 3 USD: equity = 10,000 − 3 − 100,000 × (1.0851 − bid).
"""

from __future__ import annotations

from cmam.domain.events import GuardTripped
from cmam.store.past.replay import verify
from tests.rulebook import UNIT, Case, Rulebook


def _case(name: str, currency: str = "USD", balance: str = "10000", **settings: str) -> Case:
    named = {key.replace("__", "."): value for key, value in settings.items()}
    return Case(name, "Same", {"volume.basis": "units", **named}, currency=currency, balance=balance)


def _trips(book: Rulebook, bids: list[str]) -> dict[str, str]:
    """The bid at which each follower's guard has tripped."""
    found: dict[str, str] = {}
    for bid in bids:
        book.price("EURUSD", bid)
        book.go(1.5)
        for case in book.cases:
            if book.events(book.ids[case.name], GuardTripped):
                found.setdefault(case.name, bid)
    return found


def test_each_guard_trips_at_its_cent_and_does_what_it_says() -> None:
    """Below is strictly below, a loss counts once it is reached; the reaction and the lock-out follow."""
    cases = [
        _case("min", min_equity="9900"),
        _case("yen", "JPY", "1500000", min_equity="1485100"),  # 1,500,000 − (97 + 3) × 150 at 1.08413
        _case("loss", daily_loss="100"),
        _case("loss percent", daily_loss="1%"),
        _case("total", total_loss="100", guard__initial="10000"),
        _case("no opens", daily_loss="100", guard__reaction="open_only_off"),
        _case("closes", daily_loss="100", guard__reaction="close_only"),
        _case("profile", min_equity="9900"),
        _case("account", min_equity="9900", guard__scope="account"),
        _case("take", take_equity="10100"),
        _case("target", daily_target="100"),
    ]
    book = Rulebook(cases)
    book.begin()
    for name in ("profile", "account"):  # somebody's own 1,000 units: 0.97 and 0.03 less
        book.person.buy(1_000 * UNIT, account=book.ids[name])
        book.run(0.1)
    book.person.buy(100_000 * UNIT)
    book.go(2)
    found = _trips(book, ["1.08500", "1.08414", "1.08413", "1.08412", "1.08612", "1.08613", "1.08614"])
    assert found == {
        "loss": "1.08413",  # 9,900.00: lost are 100.00
        "loss percent": "1.08413",
        "total": "1.08413",
        "no opens": "1.08413",
        "closes": "1.08413",
        "yen": "1.08413",
        "profile": "1.08413",  # 9,899.00
        "account": "1.08413",
        "min": "1.08412",  # 9,899.00; 9,900.00 is not below
        "target": "1.08613",  # 10,100.00
        "take": "1.08614",  # 10,101.00; 10,100.00 is not above
    }
    book.person.buy(10_000 * UNIT)
    book.go()
    assert {case.name: book.volumes(case.name) for case in cases} == {
        **{case.name: [] for case in cases},
        "no opens": [100_000 * UNIT],
        "closes": [100_000 * UNIT],
        "profile": [1_000 * UNIT],
    }
    assert {book.reason(case.name) for case in cases} == {"guard"}
    assert not book.command({"command": "rearm", "profile": "loss"})["ok"]
    book.price("EURUSD", "1.08500")
    book.go()
    assert book.command({"command": "rearm", "profile": "take"})["ok"]
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_money_that_comes_and_goes_moves_anchors_and_peaks() -> None:
    """80 taken out and put back is no loss and no peak; drawdown counts from 10,137.00, at a bid of 1.0865."""
    cases = [
        _case("loss", daily_loss="100"),
        _case("loss of balance", daily_loss="100", guard__anchor="balance"),
        _case("trailing", trailing_drawdown="150"),
        _case("end of day", trailing_drawdown="150", guard__peak="end_of_day"),
        _case("drawdown", daily_drawdown="1.5%"),  # of 10,000
        _case("of initial", daily_drawdown="1.5%", guard__percent_of="initial", guard__initial="9000"),  # 135
    ]
    book = Rulebook(cases)
    book.begin()
    book.person.buy(100_000 * UNIT)
    book.go(2)
    for what in ("withdraw", "deposit"):
        for account in book.ids.values():
            book.broker.set_fault(what, {"account": str(account), "amount": "80"})
        book.stepper.network.collect()
        assert _trips(book, ["1.08500"]) == {}
    assert _trips(book, ["1.08650", "1.08516", "1.08515", "1.08501", "1.08500", "1.08414", "1.08413", "1.08364"]) == {
        "of initial": "1.08515",  # 10,002.00, 135 below the peak
        "trailing": "1.08500",  # 9,987.00
        "drawdown": "1.08500",
        "loss": "1.08413",
        "loss of balance": "1.08413",
    }
    assert _trips(book, ["1.08363"])["end of day"] == "1.08363"  # 9,850.00, 150 below what the day began with
    assert verify(book.log.read_all()).is_identical
