"""What is held in a market that is closed is worth its last quote: silence there is no want of a quote."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import RulesBegan
from cmam.domain.guarding.guards import worth_of
from cmam.domain.values.quantities import Quote, Side
from cmam.domain.values.reasons import Reason
from cmam.domain.values.symbols import Interval
from tests.factories import T0_US, Pair, a_leader_symbol, a_quote, a_spec, a_view, price, some_settings

CLOSED = (Interval(start_s=0, end_s=1),)
"""A symbol that trades in the first second of a week, which is not now."""
HOURS_AGO_US = T0_US - 5 * 3_600_000_000


def holder(*, is_closed: bool = True) -> Pair:
    """A follower who has bought a lot of GBPUSD at 1.30001; that symbol has been silent for five hours."""
    pound = a_spec("GBPUSD", 2, schedule=CLOSED if is_closed else ())
    pair = Pair(view=a_view((a_spec(), pound)))
    pair.opens(symbol=a_leader_symbol(pound), price=price("1.3"))
    pair.answer()
    return pair


def opens(pair: Pair, *silent: str) -> Reason | None:
    """What becomes of an open in EURUSD while these symbols are silent."""
    quotes = {name: at(pair, name, HOURS_AGO_US if name in silent else pair.now_us) for name in pair.quotes}
    return pair.tell(pair.change(source="p2"), quotes=quotes).reason


def at(pair: Pair, name: str, seen_us: int) -> Quote:
    """A symbol's quote as it was seen at a moment."""
    return a_quote(*pair.quotes[name], at_us=seen_us)


@pytest.mark.parametrize(
    ("is_closed", "rules", "reason"),
    [(True, None, None), (True, 17, Reason.STALE_INPUT), (False, None, Reason.STALE_INPUT)],
)
def test_what_is_held_overnight_keeps_nothing_else_from_opening(
    is_closed: bool, rules: int | None, reason: Reason | None
) -> None:
    """An index over its nightly break: free margin is known, and the open goes out. Where the market is open and
    silent nobody knows what it is worth."""
    pair = holder(is_closed=is_closed)
    if rules is not None:
        pair.fact(RulesBegan(rules=rules))
    assert opens(pair, "GBPUSD") is reason


def test_money_is_converted_by_the_last_rate_of_a_closed_market() -> None:
    """Gold against the dollar in an account in euros, while EURUSD is closed: 1 % of 10,000 EUR at 10 USD an ounce and
    1.1 USD a euro are a little less than 11 ounces."""
    euro, gold = a_spec(schedule=CLOSED), a_spec("XAUUSD", 5, lot_size=10_000, step_volume=100, min_volume=100)
    pair = Pair({"volume.mode": "risk_percent", "volume.amount": "1"}, a_view((euro, gold), currency="EUR"))
    quotes = {"EURUSD": at(pair, "EURUSD", HOURS_AGO_US), "XAUUSD": at(pair, "XAUUSD", pair.now_us)}
    change = pair.change(symbol=a_leader_symbol(gold), price=price("2000"), stop=price("1990"))
    found = pair.tell(change, quotes=quotes)
    assert (found.reason, found.side) == (None, Side.BUY)
    assert found.volume == 1_000
    older = Pair({"volume.mode": "risk_percent", "volume.amount": "1"}, a_view((euro, gold), currency="EUR"))
    older.fact(RulesBegan(rules=17))
    assert older.tell(change, quotes=quotes).reason is Reason.STALE_INPUT


def test_a_guard_knows_equity_over_a_night() -> None:
    """Bought at 1.30001, the last bid is 1.29999: the loss of 2.00 is known without asking the broker for results."""
    pair = holder()
    link = replace(some_settings({"daily_loss": "500"}), link=pair.link.link)
    quotes = {"GBPUSD": at(pair, "GBPUSD", HOURS_AGO_US)}
    assert worth_of(pair.view, link, quotes, pair.now_us) == (999_800, True)
    pair.fact(RulesBegan(rules=17))
    assert worth_of(pair.view, link, quotes, pair.now_us) == (None, False)


@pytest.mark.parametrize(("rules", "reason"), [(None, None), (17, Reason.STALE_INPUT)])
def test_what_rests_in_a_silent_symbol_reserves_margin_by_its_last_quote(
    rules: int | None, reason: Reason | None
) -> None:
    """An order in GBPUSD, whose market is open and silent: what it would bind is known well enough."""
    pound = a_spec("GBPUSD", 2)
    pair = Pair(view=a_view((a_spec(), pound)))
    if rules is not None:
        pair.fact(RulesBegan(rules=rules))
    pair.order(symbol=a_leader_symbol(pound), limit_price=price("1.2"), quote=at(pair, "GBPUSD", pair.now_us))
    pair.answer()
    assert len(pair.view.orders) == 1
    assert opens(pair, "GBPUSD") is reason
