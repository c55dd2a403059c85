"""Prices that are carried from one broker to another: by which quotes, and in whose points."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import RulesBegan
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.quantities import Quote
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.symbols import SymbolSpec
from cmam.domain.values.trades import OrderType
from tests.factories import LOT, Pair, a_leader_symbol, a_quote, a_spec, a_view, price

BY_RISK = {"volume.mode": "risk_percent", "margin_reserve": "off", "sanity.max_leverage": "off"}


class Quiet(Pair):
    """A pair whose follower has heard no quote for a while: 11 s, where 10 are the most that may enter a size."""

    silent_us = 11_000_000

    def quote(self, name: str) -> Quote | None:
        """The follower's newest quote."""
        found = super().quote(name)
        return replace(found, seen_us=found.seen_us - self.silent_us) if found is not None else None


@pytest.mark.parametrize(
    ("settings", "late"),
    [
        ({"levels": "price", **BY_RISK}, False),
        (BY_RISK, True),
        ({"margin_reserve": "off", "max_slippage": "20"}, False),
    ],
)
def test_an_open_rests_on_no_quote_that_is_too_old(settings: dict[str, str], late: bool) -> None:
    """The market has gone from 1.0950 to 1.1, and that is not told yet: a stop at 1.09 was 50 pips away and 1.9 lots
    were sized by that, which lose twice the percentage. It is skipped, and waits where quotes are on their way."""
    pair = Quiet(settings)
    pair.quotes["EURUSD"] = ("1.09499", "1.09501")
    assert pair.opens(stop=price("1.09"), late=late).reason is Reason.STALE_INPUT
    warming = Quiet(settings, warming=True)
    warming.opens(stop=price("1.09"), late=late)
    assert warming.sent == []
    warming.silent_us = 0
    warming.wake()
    assert len(warming.sent) == 1
    older = Quiet(settings)
    older.fact(RulesBegan(rules=14))
    assert older.opens(stop=price("1.09"), late=late).verdict is Verdict.COPY


def test_what_is_opened_at_once_needs_no_quote_for_its_levels() -> None:
    """By `shift`, they are as far from the entry as the leader's; and a late open without levels goes out."""
    for late, stop in ((False, price("1.09")), (True, None)):
        pair = Quiet({"margin_reserve": "off"})
        assert pair.opens(stop=stop, late=late).verdict is Verdict.COPY


@pytest.mark.parametrize(
    ("age_s", "told", "reason"), [(10, False, None), (11, False, Reason.STALE_INPUT), (11, True, None)]
)
def test_the_leaders_quote_of_his_change_stands_for_now_as_long_as_any(
    age_s: int, told: bool, reason: Reason | None
) -> None:
    """His line is gone, and nobody knows his price of now: with that of 11 s ago the way that the market has gone since
    would be in the copy's levels for life. What is quiet at his broker is told as it is now."""
    pair = Pair()
    then = a_quote("1.09999", "1.10001", at_us=pair.now_us - age_s * 1_000_000)
    pair.quotes["EURUSD"] = ("1.10499", "1.10501")
    found = pair.tell(
        pair.change(stop=price("1.09"), late=True, quote=then), **({"leader_quote": then} if told else {})
    )
    assert found.reason is reason


@pytest.mark.parametrize(("quiet", "asked"), [(False, "1.093"), (True, "1.09")])
def test_an_order_is_not_moved_by_a_quote_of_before(quiet: bool, asked: str) -> None:
    """We quote 30 pips above what he did 11 s ago, which the market may have done: it rests at his own price."""
    pair = Pair()
    pair.quotes["EURUSD"] = ("1.10299", "1.10301")
    pair.order(quote=a_quote("1.09999", "1.10001", at_us=pair.now_us - (11_000_000 if quiet else 0)))
    assert pair.commands[0].limit_price == price(asked)


def _of(digits: int) -> SymbolSpec:
    return a_spec(digits=digits)


@pytest.mark.parametrize(
    ("theirs", "ours", "points", "asked"),
    [
        (5, 5, 50, 50),
        (5, 4, 50, 5),
        (4, 5, 5, 50),
        (5, 4, 59, 5),
        (5, 3, 50, 1),
        (3, 5, 2**31 - 1, 2**31 - 1),
        (5, 4, 0, 0),
    ],
)
def test_the_range_of_a_stop_limit_is_as_wide_in_price(theirs: int, ours: int, points: int, asked: int) -> None:
    """A point is the last digit of whose symbol it is: 50 of five digits are 5 of four. They were 50."""
    pair = Pair(view=a_view((_of(ours),)))
    order = {
        "symbol": a_leader_symbol(_of(theirs)),
        "origin_type": OrderType.STOP_LIMIT,
        "limit_price": None,
        "stop_price": price("1.12"),
        "slippage_points": points,
    }
    pair.order(**order)
    assert pair.commands[0].slippage_points == asked
    pair.answer()
    pair.order(ChangeKind.ORDER_AMENDED, **{**order, "stop_price": price("1.13")})
    assert [(command.stop_price, command.slippage_points) for command in pair.commands[1:]] == [(price("1.13"), asked)]
    older = Pair(view=a_view((_of(ours),)))
    older.fact(RulesBegan(rules=14))
    older.order(**order, volume=LOT)
    assert older.commands[0].slippage_points == points
