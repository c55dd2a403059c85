"""Guards: when they trip, what follows, what survives, and what never happens without equity."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from cmam.domain.events import (
    EquityPeaked,
    Event,
    ExecutionSeen,
    FlattenRequested,
    GuardDayBegan,
    GuardRearmed,
    GuardTripped,
    Health,
    HealthChanged,
)
from cmam.domain.guarding.days import day_of, missed
from cmam.domain.guarding.guards import Memory, still_holds, watch
from cmam.domain.profiles.reading import ResetAt
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import OrderId, PositionId, SymbolId, order_source, position_source
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.trades import BalanceChange, ExecutionKind, Position
from tests.factories import LINK, LOT, Pair, price


class Guarded(Pair):
    """A pair whose guards are watched; `memory` is what the watch remembers."""

    memory = Memory()

    def look(self) -> list[Event]:
        """Look once, and record what is found."""
        found = watch(self.view, (self.link,), self.quote, self.memory, self.now_us)
        self.memory = found.memory
        for fact in found.facts:
            self.fact(fact)
        return list(found.facts)

    def bid(self, text: str) -> None:
        """The market moves; the spread is 0.2 pip."""
        from fractions import Fraction

        self.quotes["EURUSD"] = (text, f"{float(Fraction(text) + Fraction('0.00002')):.5f}")

    def looks_twice(self) -> None:
        """Long enough for a trigger to be confirmed."""
        self.look()
        self.now_us += 500_000
        self.look()

    @property
    def tripped(self) -> list[str]:
        """The guards that have tripped so far."""
        return [event.guard for event, _ in self.said if isinstance(event, GuardTripped)]


def guarded(**settings: str) -> Guarded:
    """One lot bought at 1.10001 on 10,000 USD, watched."""
    pair = Guarded({key.replace("__", "."): value for key, value in settings.items()})
    pair.look()
    pair.opens()
    pair.answer()
    return pair


def other(pair: Pair) -> Reason | None:
    """What becomes of another open."""
    return pair.tell(pair.change(source=position_source(PositionId(77)), position=PositionId(77))).reason


def test_min_equity_is_strictly_below_and_closes() -> None:
    """Equity 10,000 + 100,000 × (bid − 1.10001): at 1.09001 exactly 9,000 and nothing; a pip less closes and locks."""
    pair = guarded(min_equity="9000")
    pair.bid("1.09001")
    pair.looks_twice()
    assert pair.tripped == []
    pair.bid("1.09000")
    pair.looks_twice()
    assert pair.tripped == ["min_equity"]
    assert (pair.commands[-1].kind, pair.commands[-1].whole) == (CommandKind.CLOSE, True)
    pair.answer()
    assert pair.copy.reason is Reason.CLOSED_BY_GUARD
    assert other(pair) is Reason.GUARD


def test_take_equity_is_strictly_above() -> None:
    """At 1.11001 equity is exactly 11,000; a tenth of a pip more takes it."""
    pair = guarded(take_equity="11000")
    pair.bid("1.11001")
    pair.looks_twice()
    assert pair.tripped == []
    pair.bid("1.11002")
    pair.looks_twice()
    assert pair.tripped == ["take_equity"]


def test_a_trigger_must_hold_to_be_confirmed() -> None:
    """One look below the limit is no trip; back above, it begins anew."""
    pair = guarded(min_equity="9000")
    pair.bid("1.08000")
    pair.look()
    pair.now_us += 100_000
    pair.bid("1.10000")
    pair.look()
    pair.now_us += 900_000
    assert pair.tripped == []
    pair.bid("1.08000")
    pair.look()
    assert pair.tripped == []


def test_daily_loss_counts_from_the_anchor_in_money_or_percent() -> None:
    """5 % of 10,000 is 500: at 1.09501 the loss is exactly 500 and trips."""
    pair = guarded(daily_loss="5%")
    pair.bid("1.09502")
    pair.looks_twice()
    assert pair.tripped == []
    pair.bid("1.09501")
    pair.looks_twice()
    assert pair.tripped == ["daily_loss"]


def test_daily_drawdown_counts_from_the_days_highest_equity() -> None:
    """Up 1,000 to 11,000, then 300 down: a drawdown of 300 although the day is in profit."""
    pair = guarded(daily_drawdown="300")
    pair.bid("1.11001")
    pair.look()
    pair.now_us += 11_000_000
    pair.look()
    pair.bid("1.10701")
    pair.looks_twice()
    assert pair.tripped == ["daily_drawdown"]


@pytest.mark.parametrize("guard", ["daily_drawdown", "trailing_drawdown"])
def test_one_wrong_quote_is_no_height(guard: str) -> None:
    """A thousand up for one look, and back: it was the highest equity, and what had not been lost closed everything."""
    pair = guarded(**{guard: "300"})
    pair.look()
    pair.bid("1.11001")
    pair.look()
    pair.bid("1.10001")
    pair.now_us += 100_000
    pair.looks_twice()
    assert pair.tripped == []
    assert pair.view.days[LINK].peak_today == 1_000_000


def test_a_trailing_drawdown_may_stop_at_the_initial_balance() -> None:
    """500 from the peak; with `guard.stop_at_initial` the limit rises to 10,000 and no higher."""
    free, held = guarded(trailing_drawdown="500"), guarded(trailing_drawdown="500", guard__stop_at_initial="on")
    for pair in (free, held):
        pair.bid("1.12001")
        pair.looks_twice()
        pair.bid("1.11401")
        pair.looks_twice()
    assert free.tripped == ["trailing_drawdown"]
    assert held.tripped == []
    held.bid("1.10001")
    held.looks_twice()
    assert held.tripped == ["trailing_drawdown"]


def test_daily_target_and_total_loss() -> None:
    """A gain of 200 is enough for today; a loss of 10 % of the initial 20,000 is too much for ever."""
    target = guarded(daily_target="200")
    target.bid("1.10201")
    target.looks_twice()
    assert target.tripped == ["daily_target"]
    total = guarded(total_loss="55%", guard__initial="20000")
    total.bid("1.09001")
    total.looks_twice()
    assert total.tripped == ["total_loss"]


def test_money_that_is_paid_out_or_in_moves_every_anchor() -> None:
    """A withdrawal of 2,000 is no loss; a deposit of 2,000 hides none."""
    out = guarded(daily_loss="500")
    paid = BalanceChange(operation="withdraw", delta=-200_000, balance=800_000, balance_version=9)
    out.fact(ExecutionSeen(kind=ExecutionKind.DEPOSIT_WITHDRAW, balance=paid))
    out.looks_twice()
    assert out.tripped == []
    out.fact(ExecutionSeen(kind=ExecutionKind.DEPOSIT_WITHDRAW, balance=paid))
    assert out.view.days[LINK].anchor == 800_000
    into = guarded(daily_loss="500")
    paid = BalanceChange(operation="deposit", delta=200_000, balance=1_200_000, balance_version=9)
    into.fact(ExecutionSeen(kind=ExecutionKind.DEPOSIT_WITHDRAW, balance=paid))
    into.bid("1.09501")
    into.looks_twice()
    assert into.tripped == ["daily_loss"]


def test_without_quotes_opens_stop_and_nothing_is_closed() -> None:
    """Equity unknown: no trip, no close, and the next open is skipped."""
    pair = guarded(min_equity="9000", margin_reserve="off")
    pair.quotes.clear()
    pair.looks_twice()
    assert pair.tripped == []
    assert len(pair.sent) == 1
    assert other(pair) is Reason.EQUITY_UNKNOWN


def test_while_nobody_knows_what_moved_the_balance_a_guard_lets_nothing_open() -> None:
    """All quotes are there, but equity may be what it is by a withdrawal or by a loss: nothing trips, nothing opens."""
    pair = guarded(min_equity="9000", margin_reserve="off")
    pair.view = replace(pair.view, unexplained=(7,))
    pair.bid("1.07001")
    pair.looks_twice()
    assert (pair.tripped, other(pair)) == ([], Reason.EQUITY_UNKNOWN)
    pair.view = replace(pair.view, unexplained=())
    pair.looks_twice()
    assert pair.tripped == ["min_equity"]


@pytest.mark.parametrize(("reaction", "closes"), [("open_only_off", False), ("close_only", False), ("flatten", True)])
def test_reactions_lock_out_and_only_flatten_closes(reaction: str, closes: bool) -> None:
    """Every reaction stops opens and cancels what rests; copies stay open but for `flatten`."""
    pair = guarded(daily_loss="500", guard__reaction=reaction)
    pair.order(limit_price=price("1.05"))
    pair.answer()
    pair.bid("1.09001")
    pair.looks_twice()
    kinds = [intent.command.kind for intent in pair.waiting]
    assert CommandKind.CANCEL in kinds
    assert (CommandKind.CLOSE in kinds) is closes
    assert other(pair) is Reason.GUARD


def test_a_latch_is_opened_by_a_command_but_not_while_its_condition_holds() -> None:
    """Re-arming is refused with the condition named; once it is over, opens go out again."""
    pair = guarded(daily_loss="500", guard__reaction="open_only_off")
    pair.bid("1.09001")
    pair.looks_twice()
    assert [found.guard for found in still_holds(pair.view, pair.link, pair.quote, pair.now_us)] == ["daily_loss"]
    pair.bid("1.10001")
    assert still_holds(pair.view, pair.link, pair.quote, pair.now_us) == ()
    pair.fact(GuardRearmed(link=LINK, guard="daily_loss"))
    assert other(pair) is None


def test_a_daily_latch_may_end_with_the_day() -> None:
    """`guard.lockout=day`: at the reset the latch opens by itself."""
    pair = guarded(daily_loss="500", guard__lockout="day", guard__reaction="open_only_off")
    pair.bid("1.09001")
    pair.looks_twice()
    latch = pair.view.latches[LINK, "daily_loss"]
    assert latch.until_us == day_of(ResetAt(), pair.now_us)[1]
    pair.passes(latch.until_us - pair.now_us)
    assert pair.view.latches == {}


def test_rejections_in_a_row_stop_opens_for_a_while() -> None:
    """Two refusals in a row stop opens for ten minutes; a success in between would have begun anew."""
    pair = Guarded({"max_rejections": "2"})
    for number in (1, 2):
        pair.tell(pair.change(source=position_source(PositionId(number)), position=PositionId(number)))
        pair.refuse("NOT_ENOUGH_MONEY")
    pair.look()
    assert pair.tripped == ["rejections"]
    assert other(pair) is Reason.GUARD
    pair.passes(600_000_000)
    assert other(pair) is None


def test_orders_that_are_refused_are_opens_that_are_refused() -> None:
    """Two pending orders in a row are refused: opens stop. One that is taken in between begins anew."""
    pair = Guarded({"max_rejections": "2"})
    for number, is_taken in ((1, False), (2, True), (3, False), (4, False)):
        assert pair.tripped == []
        order = OrderId(number)
        pair.order(order=order, origin=order, source=order_source(order))
        pair.answer() if is_taken else pair.refuse("TRADING_NOT_ALLOWED")
        pair.look()
    assert pair.tripped == ["rejections"]
    assert other(pair) is Reason.GUARD


def test_refused_opens_lock_for_their_cool_down_and_no_longer() -> None:
    """Two are refused, and nothing opens for ten minutes; then it does, and another two have to be refused."""
    pair = Guarded({"max_rejections": "2", "rejection_cooldown": "10m"})
    for number in (1, 2):
        pair.tell(pair.change(source=position_source(PositionId(number)), position=PositionId(number)))
        pair.refuse("TRADING_NOT_ALLOWED")
        pair.look()
    assert pair.tripped == ["rejections"]
    pair.passes(599_000_000)
    assert other(pair) is Reason.GUARD
    pair.passes(1_000_000)
    pair.look()
    assert (pair.view.latches, pair.tripped) == ({}, ["rejections"])
    assert pair.tell(pair.change(source="p78", position=PositionId(78))).verdict is Verdict.COPY


def test_flatten_latches_first_and_repeats_until_the_broker_shows_nothing() -> None:
    """Unsettled opens are closed when they show; refused closes come again; nothing opens meanwhile."""
    pair = guarded()
    pair.tell(pair.change(source=position_source(PositionId(9)), position=PositionId(9)))
    pair.send()
    late = pair.events_of(pair.sent[-1])
    pair.lose()
    pair.fact(FlattenRequested(links=(LINK,)))
    assert other(pair) is Reason.FLATTENED
    pair.refuse("MARKET_CLOSED")
    pair.passes(1_000_000)
    assert [intent.command.kind for intent in pair.waiting] == [CommandKind.CLOSE]
    pair.answer()
    pair.hears(late)
    pair.answer()
    assert pair.held == {}
    assert pair.view.copies == {}
    assert {copy.reason for copy in pair.view.finished.values()} == {Reason.CLOSED_BY_FLATTEN}
    pair.fact(GuardRearmed(link=LINK))
    assert other(pair) is None


def test_flatten_of_the_account_closes_what_is_no_copy_too() -> None:
    """A person's own position goes as well, and is asked for again after each reconcile until it is gone."""
    pair = guarded()
    mine = Position(position=PositionId(4), symbol=SymbolId(1), side=Side.SELL, volume=Volume(LOT), price=price("1.1"))
    pair.held[mine.position] = mine
    pair.fact(pair.reconciled())
    pair.fact(FlattenRequested(links=(LINK,), whole_account=True))
    assert sorted(command.position or 0 for command in pair.commands[1:]) == sorted(pair.held)
    pair.refuse("MARKET_CLOSED")
    pair.fact(pair.reconciled())
    assert PositionId(4) in [command.position for command in pair.commands[3:]]
    pair.passes(1_000_000)
    pair.answer()
    assert pair.held == {}


@pytest.mark.parametrize(
    ("now", "began", "after"),
    [
        # New York: 02:30 does not exist on 2024-03-10; the day begins at the next instant, 03:00 EDT = 07:00 UTC.
        ("2024-03-10T12:00", "2024-03-10T07:00", "2024-03-11T06:30"),
        # 01:30 comes twice on 2024-11-03 in New York; below, 02:30 comes once.
        ("2024-11-03T12:00", "2024-11-03T07:30", "2024-11-04T07:30"),
        ("2024-06-01T00:00", "2024-05-31T06:30", "2024-06-01T06:30"),
    ],
)
def test_days_begin_by_the_clock_of_their_zone(now: str, began: str, after: str) -> None:
    """A skipped hour begins the day at the next instant."""
    us = lambda text: int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000  # noqa: E731
    assert day_of(ResetAt(150, "America/New_York"), us(now)) == (us(began), us(after))


def test_an_hour_that_comes_twice_begins_one_day() -> None:
    """01:30 in New York on 2024-11-03 is 05:30 UTC the first time; the second, 06:30 UTC, begins nothing."""
    us = lambda text: int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000  # noqa: E731
    assert day_of(ResetAt(90, "America/New_York"), us("2024-11-03T07:00"))[0] == us("2024-11-03T05:30")


def test_a_day_whose_beginning_was_missed_has_no_anchor_and_lets_nothing_open() -> None:
    """Down over the reset: the anchor is unknown until a person begins the day anew."""
    pair = guarded(daily_loss="500")
    pair.now_us = pair.view.days[LINK].next_us + 3_600_000_000
    pair.look()
    assert pair.view.days[LINK].anchor is None
    assert other(pair) is Reason.EQUITY_UNKNOWN
    pair.fact(GuardRearmed(link=LINK, guard="day"))
    pair.look()
    assert pair.view.days[LINK].anchor is not None
    assert other(pair) is None


@pytest.mark.parametrize("guard", ["daily_drawdown", "trailing_drawdown"])
@pytest.mark.parametrize(("limit", "trips"), [("500", True), ("5%", False)])
def test_a_drawdown_in_money_trips_whatever_the_day_began_with(guard: str, limit: str, trips: bool) -> None:
    """Down over the reset with a position open: it is worth some 10,000 then, and 9,490 at the end.

    Only a percentage is of what the day began with; opens stop where one is set, and went on with money.
    """
    pair = guarded(**{guard: limit})
    pair.now_us = pair.view.days[LINK].next_us + 3_600_000_000
    pair.look()
    assert pair.view.days[LINK].anchor is None
    assert other(pair) is (None if trips else Reason.EQUITY_UNKNOWN)
    pair.bid("1.09491")
    pair.looks_twice()
    assert pair.tripped == ([guard] if trips else [])


def test_a_day_begins_with_the_higher_of_balance_and_equity() -> None:
    """Balance 10,000 and equity 11,000 at the reset: the anchor is 11,000."""
    pair = guarded(daily_loss="500")
    pair.bid("1.11001")
    pair.now_us = pair.view.days[LINK].next_us
    found = [event for event in pair.look() if isinstance(event, GuardDayBegan)]
    assert found[0].anchor == 1_100_000


@pytest.mark.parametrize(("days", "is_anew"), [(10, True), (400, True), (0.5, False)])
def test_a_day_of_a_clock_that_was_wrong_ends_once_it_is_right(days: float, is_anew: bool) -> None:
    """Started with the clock ten days ahead, then with the right one: today is counted from, and not what the account
    was worth then, for ten days. Its beginning was not seen, so that the broker's history is asked for it."""
    pair = guarded(daily_loss="500")
    wrong = pair.view.days[LINK]
    pair.now_us = wrong.began_us + 7_200_000_000 - int(days * 86_400_000_000)
    pair.bid("1.10001")
    found = [event for event in pair.look() if isinstance(event, GuardDayBegan)]
    assert bool(found) is is_anew
    day = pair.view.days[LINK]
    assert (day.began_us <= pair.now_us < day.next_us, day.anchor is None) == (is_anew, is_anew)
    assert bool(missed(pair.view, (pair.link,), pair.now_us)) is is_anew
    assert [event for event in pair.look() if isinstance(event, GuardDayBegan)] == []


def test_guards_lock_nothing_that_lowers_risk() -> None:
    """Under a latch the leader's close and tighter stop are copied as ever."""
    pair = guarded(daily_loss="500", guard__reaction="close_only")
    pair.bid("1.09001")
    pair.looks_twice()
    assert pair.protects(stop="1.08").verdict is Verdict.COPY
    pair.answer()
    assert pair.closes().verdict is Verdict.COPY
    pair.answer()
    assert pair.copy.reason is Reason.CLOSED_BY_LEADER
    assert replace(pair.link) == pair.link


def test_a_latch_holds_up_no_partial_close() -> None:
    """With every kind of latch closed the leader's half is still closed."""
    pair = Pair()
    pair.opens()
    pair.answer()
    pair.fact(GuardTripped(link=LINK, guard="daily_loss", reaction="close_only"))
    pair.fact(GuardTripped(link=LINK, guard="same_store", reaction="open_only_off"))
    pair.reduces(LOT, LOT // 2)
    assert [(intent.command.kind, intent.command.volume) for intent in pair.waiting] == [(CommandKind.CLOSE, LOT // 2)]


def paid(pair: Guarded, cents: int) -> None:
    """Money comes or goes."""
    balance, version = pair.view.balance + cents, pair.view.balance_version + 1
    change = BalanceChange(operation="withdraw", delta=cents, balance=balance, balance_version=version)
    pair.fact(ExecutionSeen(kind=ExecutionKind.DEPOSIT_WITHDRAW, balance=change))


@pytest.mark.parametrize("guard", ["daily_drawdown", "trailing_drawdown"])
def test_money_taken_out_is_no_drawdown_however_much(guard: str) -> None:
    """A high of 10,100 that is on record, one of 10,150 that is not yet; then 2,000 are taken out: 200 is 7,950."""
    pair = guarded(**{guard: "200"})
    pair.bid("1.10101")
    pair.look()
    pair.now_us += 11_000_000
    pair.look()
    pair.bid("1.10151")
    pair.looks_twice()
    paid(pair, -200_000)
    pair.looks_twice()
    assert pair.tripped == []
    pair.bid("1.09952")
    pair.looks_twice()
    assert pair.tripped == []
    pair.bid("1.09951")
    pair.looks_twice()
    assert pair.tripped == [guard]


def test_a_high_just_before_a_day_rolls_counts_on_for_the_trailing_drawdown() -> None:
    """10,300 is seen 3 s before the reset, a second after another high: 10,100 on the next day has lost 200."""
    pair = guarded(trailing_drawdown="200")
    day = pair.view.days[LINK]
    pair.now_us = day.next_us - 4_000_000
    pair.bid("1.10051")
    pair.look()
    pair.look()
    pair.now_us += 1_000_000
    pair.bid("1.10301")
    pair.look()
    pair.look()
    pair.bid("1.10201")
    pair.now_us += 4_000_000
    pair.looks_twice()
    assert pair.tripped == []
    pair.bid("1.10101")
    pair.looks_twice()
    assert pair.tripped == ["trailing_drawdown"]


def test_a_high_too_small_to_be_recorded_at_once_is_recorded_before_its_day_ends() -> None:
    """10,250 is seen 3 s before the reset, by less than a tenth of the limit above the high on record."""
    pair = guarded(trailing_drawdown="3000")
    pair.now_us = pair.view.days[LINK].next_us - 4_000_000
    pair.bid("1.10051")
    pair.look()
    pair.look()
    pair.now_us += 1_000_000
    pair.bid("1.10251")
    assert [*pair.look(), *pair.look()] == []
    pair.now_us += 4_000_000
    pair.bid("1.10101")
    assert [type(fact) for fact in pair.look()] == [EquityPeaked, GuardDayBegan]
    assert pair.view.days[LINK].peak_ever == 1_025_000
    pair.bid("1.07251")
    pair.looks_twice()
    assert pair.tripped == ["trailing_drawdown"]


def test_a_high_that_was_seen_before_the_line_went_is_not_forgotten() -> None:
    """10,300 is seen a second after another high, and the line is cut: 10,100 has lost 200."""
    pair = guarded(daily_drawdown="200")
    pair.now_us += 11_000_000
    pair.bid("1.10051")
    pair.look()
    pair.look()
    pair.now_us += 1_000_000
    pair.bid("1.10301")
    pair.look()
    pair.look()
    pair.fact(HealthChanged(health=Health.DOWN, reason="cut"))
    pair.look()
    pair.bid("1.10101")
    pair.fact(HealthChanged(health=Health.RECONCILED))
    pair.looks_twice()
    assert pair.tripped == ["daily_drawdown"]


def test_a_quote_from_before_confirms_nothing() -> None:
    """Equity falls below while nothing is held; the quote of what is opened then was there already."""
    pair = Guarded({"min_equity": "9000"})
    pair.look()
    paid(pair, -200_000)
    pair.look()
    pair.opens()
    pair.answer()
    pair.look()
    assert pair.tripped == []
    pair.now_us += 500_000
    pair.look()
    assert pair.tripped == ["min_equity"]
