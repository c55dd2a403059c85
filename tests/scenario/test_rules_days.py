"""Guards that were not there when their day began, or when money moved: what they count from, worked out by hand.

The clock starts at midnight; the guards' day begins at 00:05. Followers have 50,000 USD and pay 3 USD a lot and side.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from cmam.domain.events import DayHistorySeen, GuardDayBegan, GuardTripped, MarginSeen, ResultsSeen
from cmam.sandbox.answers import history
from cmam.store.past.replay import verify
from tests.rulebook import UNIT, Case, Rulebook

UNITS = {"volume.basis": "units", "guard.reset": "00:05 UTC"}


def _case(name: str, **settings: str) -> Case:
    return Case(name, "Same", {**UNITS, **{key.replace("__", "."): value for key, value in settings.items()}})


def _away(book: Rulebook, until_s: int) -> None:
    """Nobody is there until so many seconds after midnight."""
    now_s = book.stepper.clock.now() % 86_400_000_000 / 1_000_000
    book.run(until_s - now_s)


def _move_money(book: Rulebook, what: str, amount: str, names: list[str]) -> None:
    for name in names:
        book.broker.set_fault(what, {"account": str(book.ids[name]), "amount": amount})
    book.stepper.network.collect()


def test_a_day_that_began_while_cmam_was_down_is_rebuilt_from_deals_and_money() -> None:
    """50,000 at 00:05; 200 taken out at 00:06 moves the anchor to 49,800; 900.00 lost before the return count.

    100,000 bought at 1.0851 and sold at 1.07616 lose 894 and twice 3. What is bought then at 1.07626 for 3 has lost
    99.00 at 1.07530, and one more at 1.07529.
    """
    book = Rulebook([_case("balance", guard__anchor="balance", daily_loss="1000"), _case("flat", daily_loss="1000")])
    names = [case.name for case in book.cases]
    book.begin()
    book.go(20)
    book.kill()
    _away(book, 330)
    position = book.person.buy(100_000 * UNIT, account=book.ids["flat"])
    other = book.person.buy(100_000 * UNIT, account=book.ids["balance"])
    _move_money(book, "withdraw", "200", names)
    book.price("EURUSD", "1.07616")
    book.person.close(position, 100_000 * UNIT, account=book.ids["flat"])
    book.person.close(other, 100_000 * UNIT, account=book.ids["balance"])
    _away(book, 400)
    book.begin()
    for name in names:
        days = book.events(book.ids[name], GuardDayBegan)
        assert days[-2].anchor is None, name
        assert (days[-1].anchor, days[-1].balance) == (49_800_00, 49_800_00), name
        assert len(book.events(book.ids[name], DayHistorySeen)) == 1
    book.person.buy(100_000 * UNIT)
    book.go(2)
    assert [book.volumes(name) for name in names] == [[100_000 * UNIT], [100_000 * UNIT]]
    book.price("EURUSD", "1.07530")  # −96.00 − 3.00: 999.00 lost
    book.go(2)
    assert not any(book.events(book.ids[name], GuardTripped) for name in names)
    book.price("EURUSD", "1.07529")
    book.go(2)
    assert [book.events(book.ids[name], GuardTripped)[0].value for name in names] == [1_000_00, 1_000_00]
    assert verify(book.log.read_all()).is_identical
    assert book.stepper.failures == []


def test_what_was_open_as_the_day_began_leaves_equity_unknown_and_opens_nothing() -> None:
    """The balance then is known, what the position was worth is not: only the anchor by balance holds."""
    book = Rulebook([_case("balance", guard__anchor="balance", daily_loss="1000"), _case("higher", daily_loss="1000")])
    book.begin()
    book.person.buy(100_000 * UNIT)
    book.go(5)
    book.kill()
    _away(book, 400)
    book.begin()
    book.person.buy(10_000 * UNIT)
    book.go(2)
    assert book.volumes("balance") == [100_000 * UNIT, 10_000 * UNIT]
    assert book.volumes("higher") == [100_000 * UNIT]
    assert book.reason("higher") == "equity_unknown"
    view = book.view(book.ids["higher"])
    assert view is not None
    assert any("--guard day" in text for text in view.alerts.values())
    assert book.command({"command": "rearm", "profile": "higher", "guard": "day"})["ok"]
    book.go(2)
    book.person.buy(20_000 * UNIT)
    book.go(2)
    assert book.volumes("higher") == [100_000 * UNIT, 20_000 * UNIT]
    view = book.view(book.ids["higher"])
    assert view is not None
    assert not view.alerts
    assert verify(book.log.read_all()).is_identical


@pytest.mark.parametrize("guard", ["daily_drawdown", "trailing_drawdown"])
def test_a_drawdown_in_money_holds_on_a_day_whose_beginning_nobody_saw(guard: str) -> None:
    """A position was open then; what it falls by after the start closes it, as on any day. It fell on and on."""
    book = Rulebook([_case("money", **{guard: "1000"})])
    book.begin()
    book.person.buy(100_000 * UNIT)
    book.go(5)
    book.kill()
    _away(book, 400)
    book.begin()
    book.person.buy(10_000 * UNIT)
    book.go(2)
    assert book.volumes("money") == [100_000 * UNIT, 10_000 * UNIT]
    view = book.view(book.ids["money"])
    assert view is not None
    assert [text for text in view.alerts.values() if "do not know what the day began with" in text]
    assert not any("Nothing opens" in text for text in view.alerts.values())
    book.price("EURUSD", str(book.bids["EURUSD"] - Decimal("0.02000")))
    book.go(4)
    assert [trip.guard for trip in book.events(book.ids["money"], GuardTripped)] == [guard]
    assert book.volumes("money") == []
    assert verify(book.log.read_all()).is_identical


def test_money_taken_out_while_cmam_was_down_is_no_loss() -> None:
    """600 taken out and 100 put in while nobody looked: no guard of 300 trips, and each counts from 500 less."""
    cases = [
        _case("total", total_loss="300", guard__initial="50000"),
        _case("trailing", trailing_drawdown="300"),
        _case("daily", daily_loss="300"),
    ]
    book = Rulebook(cases)
    names = [case.name for case in cases]
    book.begin()
    book.person.buy(100_000 * UNIT)
    book.go(5)
    book.kill()
    book.run(20)
    _move_money(book, "withdraw", "600", names)
    _move_money(book, "deposit", "100", names)
    book.begin()
    book.go(5)
    assert not any(book.events(book.ids[name], GuardTripped) for name in names)
    book.person.buy(1_000 * UNIT)
    book.go(2)
    assert [book.volumes(name)[1:] for name in names] == [[1_000 * UNIT]] * 3
    book.price("EURUSD", "1.08210")  # −300.00 and −3.00, and 3.03 of the thousand
    book.go(3)
    assert all(book.events(book.ids[name], GuardTripped) for name in names)
    assert verify(book.log.read_all()).is_identical


def test_without_quotes_the_broker_is_asked_for_results_and_a_guard_goes_by_them() -> None:
    """Quotes are too old after 10 s: results are asked every 3 s, not oftener, and money taken out trips by them."""
    book = Rulebook([_case("guarded", min_equity="49000"), _case("free")])
    book.begin()
    book.person.buy(100_000 * UNIT)
    book.go(2)
    assert not book.events(book.ids["guarded"], ResultsSeen)
    book.run(40)
    asked = len(book.events(book.ids["guarded"], ResultsSeen))
    assert 8 <= asked <= 11
    assert not book.events(book.ids["free"], ResultsSeen)
    assert not book.events(book.ids["guarded"], GuardTripped)
    _move_money(book, "withdraw", "987.00", ["guarded"])  # less 13.00: 49,000.00 is not below
    book.run(4)
    assert not book.events(book.ids["guarded"], GuardTripped)
    _move_money(book, "withdraw", "0.01", ["guarded"])
    book.run(4)
    tripped = book.events(book.ids["guarded"], GuardTripped)
    assert [(event.guard, event.value) for event in tripped] == [("min_equity", 48_999_99)]
    assert verify(book.log.read_all()).is_identical


def test_margins_are_asked_beside_the_way_and_kept() -> None:
    """Within a minute of the first trade the broker's reckoning is on record; ten minutes later it is asked again."""
    book = Rulebook(
        [
            Case("dear", "Dear", {**UNITS, "margin_reserve": "1"}),
            Case("off", "Dear", {**UNITS, "margin_reserve": "off"}),
        ]
    )
    book.begin()
    book.person.buy(10_000 * UNIT)
    book.go(62)
    seen = book.events(book.ids["dear"], MarginSeen)
    # 1,000 at the bid of 1.085: 10.85; a lot of 100,000 is 108,500 USD: 500 + 5,850
    found = {margin.volume: margin.buy for margin in seen[0].margins}
    assert len(seen) == 1
    assert (found[100_000 * UNIT], found[100]) == (6_350_00, 1)
    assert not book.events(book.ids["off"], MarginSeen)
    book.go(660)
    assert len(book.events(book.ids["dear"], MarginSeen)) == 2
    assert verify(book.log.read_all()).is_identical


def test_what_a_broker_says_of_a_large_volume_is_not_held_against_a_small_one() -> None:
    """Leverage falls above 50,000 USD, and the broker was asked of one unit and of a lot: 6,350 USD for 100,000 units.

    40,000 at 1.0852 are 43,408 USD, all of it at 1:100: 434.08, × 1.2 = 520.90. Two fifths of the lot's would be 2,540.
    80,000 are 86,816 USD: 500 and 3,681.60, × 1.2 = 5,017.92. The first trade has cost twice 4 GBP, and 0.20 or 0.40.
    """
    twice = {**UNITS, "volume.amount": "2"}
    cases = [
        Case("little", "Dear", UNITS, "margin", balance="530"),
        Case("enough", "Dear", UNITS, "", balance="533"),
        Case("two tiers", "Dear", twice, "margin", balance="5026"),
        Case("both", "Dear", twice, "", balance="5030"),
    ]
    book = Rulebook(cases)
    book.begin()
    first = book.person.buy(1_000 * UNIT)
    book.go(62)
    assert all(book.events(book.ids[case.name], MarginSeen) for case in cases)
    book.person.close(first, 1_000 * UNIT)
    book.go(2)
    book.person.buy(40_000 * UNIT)
    book.go(2)
    assert {case.name: book.reason(case.name) for case in cases} == {case.name: case.expected for case in cases}
    assert verify(book.log.read_all()).is_identical


def test_a_missed_day_is_read_past_a_page_of_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a page of the history holds one millisecond alone, what was lost before it counts towards the day too."""
    monkeypatch.setattr(history, "ROWS_MAX", 2)
    book = Rulebook([_case("flat", daily_loss="1000")])
    book.begin()
    book.go(20)
    book.kill()
    _away(book, 330)
    account = book.ids["flat"]
    lost = book.person.buy(100_000 * UNIT, account=account)
    _away(book, 340)
    kept = [book.person.buy(1_000 * UNIT, account=account) for _ in range(2)]
    _away(book, 350)
    book.price("EURUSD", "1.07616")
    book.person.close(lost, 100_000 * UNIT, account=account)
    _away(book, 400)
    for position in kept:
        book.person.close(position, 1_000 * UNIT, account=account)
    _away(book, 450)
    book.begin()
    (seen,) = book.events(account, DayHistorySeen)
    assert len(seen.deals) == 6
