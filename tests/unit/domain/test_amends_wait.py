"""A pending order that its leader amends while our quotes are on their way: it rests as it is, and is amended then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.copies import CopyState
from cmam.domain.deciding.attempts import POLL_US
from cmam.domain.deciding.pendings import AMEND_WAIT_US
from cmam.domain.events import ExecutionSeen, Wait
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.quantities import Quote, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.resting import AMENDS_WAIT, QUIET_AMENDS_WAIT
from cmam.domain.values.trades import ExecutionKind, OrderStatus
from tests.factories import LOT, QUOTES, Pair, price
from tests.unit.domain.test_pendings import kinds, order_of, placed


def _amended(pair: Pair | None = None, **changes: object) -> Pair:
    """A copy of a buy limit at 1.09 rests, the line has been cut, and he moves his to 1.08 before a quote has come."""
    pair = pair or placed()
    pair.warming, pair.quotes = True, {}
    decided = pair.order(ChangeKind.ORDER_AMENDED, **{"limit_price": price("1.08"), **changes})
    assert (decided.verdict, decided.wait, kinds(pair)) == (Verdict.COPY, Wait.QUOTES, ["place"])
    return pair


def _quoted(pair: Pair) -> None:
    pair.warming, pair.quotes = False, dict(QUOTES)
    pair.wake()


def test_it_rests_as_it_is_until_quotes_are_there_and_is_amended_then() -> None:
    """It was cancelled, and nothing came of his order any more."""
    pair = _amended()
    pair.wake()
    assert kinds(pair) == ["place"]
    _quoted(pair)
    assert [(command.kind, command.limit_price) for command in pair.commands[1:]] == [
        (CommandKind.AMEND_ORDER, price("1.08"))
    ]
    pair.answer()
    assert (pair.copy.wait, pair.copy.state) == (None, CopyState.RESTING)
    pair.order_fills(LOT, price=price("1.08"))
    assert pair.copy.leader_filled


def test_it_grows_as_far_as_he_has_made_it_grow() -> None:
    """Larger and elsewhere: one amendment, of both."""
    pair = _amended(volume=Volume(2 * LOT))
    _quoted(pair)
    (amend,) = pair.commands[1:]
    assert (amend.kind, amend.volume, amend.limit_price) == (CommandKind.AMEND_ORDER, 2 * LOT, price("1.08"))


def test_what_he_makes_of_it_meanwhile_is_what_it_becomes() -> None:
    """Twice amended, once before the quotes and once with them: nothing is looked at a third time."""
    pair = _amended()
    pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.07"))
    pair.warming, pair.quotes = False, dict(QUOTES)
    pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.06"))
    pair.wake()
    assert [command.limit_price for command in pair.commands[1:]] == [price("1.06")]
    assert pair.copy.wait is None


@pytest.mark.parametrize(("rules", "left"), [(RULES, ["place"]), (9, ["place", "cancel"])])
def test_what_he_takes_back_meanwhile_is_amended_no_more(rules: int, left: list[str]) -> None:
    """His is where ours rests again: a line without quotes then is no reason to cancel it; by older rules it was."""
    pair = _amended()
    pair.view = replace(pair.view, rules=rules)
    pair.warming, pair.quotes = False, dict(QUOTES)
    pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.09"))
    pair.quotes = {}
    pair.wake()
    assert kinds(pair) == left
    pair.quotes = dict(QUOTES)
    pair.wake()
    assert kinds(pair) == left


@pytest.mark.parametrize(("rules", "left"), [(RULES, ["place"]), (QUIET_AMENDS_WAIT - 1, ["place", "cancel"])])
def test_where_no_quote_comes_it_is_cancelled(rules: int, left: list[str]) -> None:
    """After as long as an open waits, still without one; by older rules once none was on its way any more."""
    pair = _amended()
    pair.view = replace(pair.view, rules=rules)
    pair.warming = False
    pair.wake()
    assert kinds(pair) == left
    pair = _amended()
    pair.passes(AMEND_WAIT_US + 1_000_001)
    assert kinds(pair) == ["place", "cancel"]
    pair.answer()
    assert (pair.copy.state.is_end, pair.copy.reason) == (True, Reason.STALE_INPUT)


class Quiet(Pair):
    """A pair whose follower's market is quiet for so long."""

    silent_us = 0

    def quote(self, name: str) -> Quote | None:
        """The follower's newest quote."""
        found = super().quote(name)
        return replace(found, seen_us=found.seen_us - self.silent_us) if found is not None else None


def _quiet(settings: dict[str, str] | None = None) -> Quiet:
    """A copy of a buy limit at 1.09 rests, and for 11 s nothing has been quoted here."""
    pair = Quiet(settings or {})
    pair.order(stop=price("1.085"))
    pair.answer()
    pair.silent_us = 11_000_000
    return pair


@pytest.mark.parametrize(("rules", "left"), [(RULES, ["place"]), (QUIET_AMENDS_WAIT - 1, ["place", "cancel"])])
def test_in_a_quiet_market_it_rests_until_the_next_quote(rules: int, left: list[str]) -> None:
    """He moves his stop; it was cancelled at once. A quarter of a second is soon enough to look again."""
    pair = _quiet()
    pair.view = replace(pair.view, rules=rules)
    decided = pair.order(ChangeKind.ORDER_AMENDED, stop=price("1.08"))
    assert (decided.wait, kinds(pair)) == (Wait.QUOTES if left == ["place"] else None, left)
    if left != ["place"]:
        return
    assert pair.next_wake() == pair.now_us + POLL_US
    pair.passes(20_000_000)
    assert kinds(pair) == ["place"]
    pair.silent_us = 0
    pair.wake()
    assert [(command.kind, command.relative_stop) for command in pair.commands[1:]] == [
        (CommandKind.AMEND_ORDER, price("0.01"))
    ]


def test_in_a_quiet_market_it_grows_no_further_than_by_a_quote() -> None:
    """Larger and elsewhere, in silence: nothing of it is done before the next quote, and then all of it."""
    pair = _quiet()
    pair.order(ChangeKind.ORDER_AMENDED, stop=price("1.08"), volume=Volume(2 * LOT))
    assert kinds(pair) == ["place"]
    pair.silent_us = 0
    pair.wake()
    (amend,) = pair.commands[1:]
    assert (amend.kind, amend.volume, amend.relative_stop) == (CommandKind.AMEND_ORDER, 2 * LOT, price("0.01"))


def test_what_he_cancels_meanwhile_is_cancelled() -> None:
    """At once, and it is never amended."""
    pair = _amended()
    pair.order(ChangeKind.ORDER_CANCELLED)
    _quoted(pair)
    assert kinds(pair) == ["place", "cancel"]


def test_what_a_person_cancels_meanwhile_is_over() -> None:
    """It is not placed again as its quotes come."""
    pair = _amended()
    number = order_of(pair)
    gone = replace(pair.resting.pop(number), status=OrderStatus.CANCELLED)
    pair.fact(ExecutionSeen(kind=ExecutionKind.ORDER_CANCELLED, order=gone))
    assert (pair.copy.state.is_end, pair.copy.reason) == (True, Reason.CLOSED_BY_HUMAN)
    _quoted(pair)
    assert kinds(pair) == ["place"]


def test_his_fill_meanwhile_goes_on_as_any() -> None:
    """Ours rests where his had been: after the grace it is cancelled, and the copy opens at the market."""
    pair = _amended()
    pair.order_fills(LOT, price=price("1.08"))
    assert pair.copy.wait is not Wait.QUOTES
    pair.warming, pair.quotes = False, dict(QUOTES)
    pair.passes(6_000_000)
    pair.answer()
    pair.wake()
    assert kinds(pair) == ["place", "cancel", "open"]


def test_by_older_rules_it_was_cancelled() -> None:
    """A log of before tells it so for ever."""
    pair = placed()
    pair.view = replace(pair.view, rules=AMENDS_WAIT - 1)
    pair.warming, pair.quotes = True, {}
    decided = pair.order(ChangeKind.ORDER_AMENDED, limit_price=price("1.08"))
    assert (decided.reason, kinds(pair)) == (Reason.STALE_INPUT, ["place", "cancel"])
