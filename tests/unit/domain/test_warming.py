"""Opens, adds and pending orders at the beginning of a feed, whose first quotes are on their way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.copies import CopyState
from cmam.domain.events import Wait
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.opens import PRICES_MAY_LAG
from tests.factories import LOT, QUOTES, Pair, a_spec, a_view

ALIKE = a_view((replace(a_spec(), name="EURUSD.r"),))


def _warming(**more: object) -> Pair:
    return Pair(warming=True, quotes={}, **more)


def test_an_open_without_quotes_waits_while_the_feed_is_young_and_then_opens() -> None:
    """No quote: nothing is sent; with the quote the open goes out with the gates of that moment."""
    pair = _warming()
    decided = pair.opens()
    assert (decided.verdict, decided.wait, pair.sent) == (Verdict.COPY, Wait.QUOTES, [])
    pair.wake()
    assert pair.sent == []
    pair.quotes = dict(QUOTES)
    pair.wake()
    assert [(command.kind, command.volume) for command in pair.commands] == [(CommandKind.OPEN, LOT)]


def test_an_open_without_quotes_is_a_skip_once_the_feed_is_no_longer_young() -> None:
    """A feed that has had its time and still has no quote: stale_input, as ever."""
    pair = _warming()
    pair.opens()
    pair.warming = False
    pair.wake()
    assert (pair.sent, pair.copy.reason) == ([], Reason.STALE_INPUT)
    assert Pair(quotes={}).opens().reason is Reason.STALE_INPUT


def test_the_wait_ends_by_itself() -> None:
    """Where nobody says that the feed is old, time does: the copy ends as stale_input and nothing was sent."""
    pair = _warming()
    decided = pair.opens()
    assert decided.wait_until_us == decided.not_after_us == pair.now_us + 30_000_000
    pair.passes(31_000_001)
    assert (pair.sent, pair.copy.reason, pair.copy.state.is_end) == ([], Reason.STALE_INPUT, True)


def test_what_the_leader_closes_meanwhile_is_never_opened() -> None:
    """The source goes while its open waits for quotes: nothing is sent when they come."""
    pair = _warming()
    pair.opens()
    pair.closes()
    pair.quotes = dict(QUOTES)
    pair.wake()
    assert (pair.sent, pair.copy.state, pair.copy.reason) == ([], CopyState.CANCELLED, Reason.SOURCE_GONE)


def test_an_add_waits_too() -> None:
    """The copy stands at one lot; the leader's second lot follows when the quotes come."""
    pair = Pair()
    pair.opens()
    pair.answer()
    pair.warming, pair.quotes = True, {}
    pair.grows(LOT, 2 * LOT)
    pair.wake()
    assert [command.kind for command in pair.commands] == [CommandKind.OPEN]
    pair.quotes = dict(QUOTES)
    pair.wake()
    assert [(command.kind, command.volume) for command in pair.commands][1:] == [(CommandKind.ADD, LOT)]


def test_an_add_whose_quotes_never_come_leaves_the_copy_as_it_is() -> None:
    """Without quotes for good, the target goes back to what is held."""
    pair = Pair()
    pair.opens()
    pair.answer()
    pair.warming, pair.quotes = True, {}
    pair.grows(LOT, 2 * LOT)
    pair.warming = False
    pair.wake()
    assert (pair.copy.target, pair.copy.volume, len(pair.sent)) == (LOT, LOT, 1)


def test_a_pending_order_waits_too() -> None:
    """Whether it would fill at once cannot be known without a quote: it is placed when there is one."""
    pair = _warming()
    assert pair.order().wait is Wait.QUOTES
    pair.quotes = dict(QUOTES)
    pair.wake()
    assert [command.kind for command in pair.commands] == [CommandKind.PLACE]


def test_a_name_that_is_only_alike_waits_for_the_prices_that_prove_it() -> None:
    """EURUSD.r may be EURUSD: with prices that agree it is, without them it stays unmapped."""
    pair = _warming(view=ALIKE)
    assert pair.opens().wait is Wait.QUOTES
    pair.quotes = {**QUOTES, "EURUSD.r": QUOTES["EURUSD"]}
    pair.wake()
    assert [command.kind for command in pair.commands] == [CommandKind.OPEN]
    for_good = Pair(quotes={}, view=ALIKE)
    assert for_good.opens().reason is Reason.UNMAPPED_SYMBOL


JUMPED = {**QUOTES, "EURUSD.r": ("1.08999", "1.09001")}
"""The market has jumped by half a percent, and the follower's broker has told it before the leader's, or after."""


@pytest.mark.parametrize("pending", [False, True])
def test_at_a_jump_a_name_that_is_alike_waits_for_the_broker_who_tells_it_later(pending: bool) -> None:
    """The leader's stop fills as the market jumps, and EURUSD.r has the price of before: the open waits, and goes out
    with the quote that comes a moment later. It was skipped as unmapped_symbol, for good."""
    pair = Pair(view=ALIKE, quotes=JUMPED)
    decided = pair.order() if pending else pair.opens()
    assert (decided.wait, pair.sent) == (Wait.QUOTES, [])
    pair.now_us += 300_000
    pair.wake()
    assert pair.sent == []
    pair.quotes = {**QUOTES, "EURUSD.r": QUOTES["EURUSD"]}
    pair.wake()
    assert [command.kind for command in pair.commands] == [CommandKind.PLACE if pending else CommandKind.OPEN]


def test_what_stays_apart_in_price_is_something_else() -> None:
    """After two seconds a price of half a percent beside the leader's is that of another thing: unmapped_symbol. What
    is older than that when it is told, as after a gap, waits for nothing; by the rules of before nothing did."""
    pair = Pair(view=ALIKE, quotes=JUMPED)
    pair.opens()
    pair.now_us += 2_001_000
    pair.wake()
    assert (pair.sent, pair.copy.reason, pair.copy.state.is_end) == ([], Reason.UNMAPPED_SYMBOL, True)
    late = Pair(view=ALIKE, quotes=JUMPED)
    assert late.opens(at_ms=late.now_us // 1_000 - 2_001).reason is Reason.UNMAPPED_SYMBOL
    before = Pair(view=replace(ALIKE, rules=PRICES_MAY_LAG - 1), quotes=JUMPED)
    assert before.opens().reason is Reason.UNMAPPED_SYMBOL


@pytest.mark.parametrize("closes", [False, True])
def test_what_the_leader_takes_back_while_prices_are_apart_is_not_opened(closes: bool) -> None:
    """He closes all of it, or a half, before the other broker tells of the jump: what is left of his is what opens."""
    pair = Pair(view=ALIKE, quotes=JUMPED)
    pair.opens()
    decided = pair.closes() if closes else pair.reduces(LOT, LOT // 2)
    assert decided.reason is (Reason.SOURCE_GONE if closes else None)
    pair.now_us += 300_000
    pair.quotes = {**QUOTES, "EURUSD.r": QUOTES["EURUSD"]}
    pair.wake()
    assert [command.volume for command in pair.commands] == ([] if closes else [LOT // 2])


def test_an_open_that_waited_for_a_price_ends_where_its_symbol_awaits_quotes_by_then() -> None:
    """The feed has begun again, the 30 s are over: not_better. It ended the follower's actor at each look."""
    pair = Pair({"wait_for_better": "2"}, view=ALIKE, quotes=dict(QUOTES) | {"EURUSD.r": QUOTES["EURUSD"]})
    assert pair.opens().wait is Wait.BETTER
    pair.warming, pair.quotes = True, {}
    pair.now_us += 31_000_000
    pair.wake()
    assert (pair.sent, pair.copy.reason) == ([], Reason.NOT_BETTER)
