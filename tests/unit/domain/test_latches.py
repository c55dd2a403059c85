"""What guards keep: latches of a whole account, days that begin anew, and the initial balance."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.view import AccountView
from cmam.domain.events import (
    DayHistorySeen,
    Event,
    ExecutionSeen,
    FlattenRequested,
    GuardInitialNamed,
    GuardRearmed,
    GuardTripped,
    Health,
    HealthChanged,
    RulesBegan,
)
from cmam.domain.guarding.days import rebuilt
from cmam.domain.guarding.guards import Memory, untold
from cmam.domain.guarding.latches import NOBODY
from cmam.domain.repair import rebuilding
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import LinkId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.guards import HEIGHTS_ARE_SEEN, LOCKED_WHEN_FOUND
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.resting import LOCKED_OUT_ORDERS
from cmam.domain.values.trades import BalanceChange, ExecutionKind, Order, OrderType, Position
from tests.factories import LINK, LOT, Pair, price, some_settings
from tests.unit.domain.test_guards import Guarded, guarded
from tests.unit.domain.test_sync import a_leader, held, quote_of

OTHER = LinkId("l1nk02")


def _a_person_sells(pair: Pair, number: int = 4) -> Position:
    mine = Position(
        position=PositionId(number), symbol=SymbolId(1), side=Side.SELL, volume=Volume(LOT), price=price("1.1")
    )
    pair.held[mine.position] = mine
    pair.fact(pair.reconciled())
    return mine


@pytest.mark.parametrize(
    ("scope", "rules", "is_cancelled"), [("account", 3, True), ("profile", 3, False), ("account", 2, False)]
)
def test_a_latch_of_the_account_cancels_what_rests_for_any_link(scope: str, rules: int, *, is_cancelled: bool) -> None:
    """Another link of the account has tripped: a resting copy of this one would fill into a locked account."""
    pair = Pair()
    pair.fact(RulesBegan(rules=rules))
    pair.order(limit_price=price("1.05"))
    pair.answer()
    pair.fact(GuardTripped(link=OTHER, guard="daily_loss", reaction="close_only", scope=scope))
    assert (CommandKind.CANCEL in [intent.command.kind for intent in pair.waiting]) is is_cancelled


@pytest.mark.parametrize("rules", [RULES, LOCKED_OUT_ORDERS - 1])
@pytest.mark.parametrize(
    ("lock", "guard"),
    [
        (GuardTripped(link=LINK, guard="daily_loss", reaction="open_only_off"), "daily_loss"),
        (FlattenRequested(links=(LINK,)), "flatten"),
    ],
)
def test_an_order_that_a_lock_has_cancelled_is_not_bought_as_its_leaders_fills(
    lock: Event, guard: str, rules: int
) -> None:
    """The link is re-armed, and the order of the leader's that it had copied still rests: its copy is over for good."""
    pair = Pair()
    pair.fact(RulesBegan(rules=rules))
    pair.order(limit_price=price("1.05"))
    pair.answer()
    pair.fact(lock)
    pair.answer()
    assert pair.copy.state.is_end
    pair.fact(GuardRearmed(link=LINK, guard=guard))
    decided = pair.order_fills()
    is_over = rules == RULES
    expected = (Verdict.NONE, Reason.COPY_FINISHED) if is_over else (Verdict.COPY, None)
    assert (decided.verdict, decided.reason) == expected


@pytest.mark.parametrize(("scope", "left"), [("account", 0), ("profile", 1)])
def test_another_profiles_guard_closes_the_copies_of_all_only_where_it_is_the_accounts(scope: str, left: int) -> None:
    """It flattens: with `account` also what this link holds, and what nobody copied; with `profile` neither."""
    pair = Pair()
    pair.opens()
    pair.answer()
    pair.fact(GuardTripped(link=OTHER, guard="daily_loss", reaction="flatten", scope=scope))
    pair.answer()
    assert (len(pair.held), pair.view.flatten_account) == (left, not left)
    _a_person_sells(pair)
    pair.answer()
    assert len(pair.held) == 2 * left


@pytest.mark.parametrize(("scope", "stop"), [("account", "1.08001"), ("profile", "1.05001")])
def test_under_close_only_of_the_account_no_stop_is_loosened(scope: str, stop: str) -> None:
    """The leader sets 1.08, then the looser 1.05; ours are 0.1 pip above. Under the lock the tighter one stays."""
    pair = Pair()
    pair.opens(stop=price("1.08"))
    pair.answer()
    pair.passes(11_000_000)
    pair.fact(GuardTripped(link=OTHER, guard="daily_loss", reaction="close_only", scope=scope))
    assert pair.protects(stop="1.05").verdict is Verdict.COPY
    pair.answer()
    assert [held.stop for held in pair.held.values()] == [price(stop)]


def test_an_account_that_follows_nobody_is_flattened_whole() -> None:
    """It has no link whose latch could stand for it; it is swept until it is empty, and re-armed under no name."""
    pair = Pair()
    mine = _a_person_sells(pair)
    pair.fact(FlattenRequested(links=(), whole_account=True))
    assert [command.position for command in pair.commands] == [mine.position]
    pair.answer()
    assert pair.held == {}
    pair.fact(GuardRearmed(link=NOBODY))
    assert (pair.view.latches, pair.view.flatten_account) == ({}, False)


def test_a_whole_account_that_is_out_of_sight_is_swept_once_it_is_seen() -> None:
    """What was seen before the line went may be gone: the close is asked for by what the broker shows afterwards."""
    pair = Pair()
    gone, there = _a_person_sells(pair, 4), _a_person_sells(pair, 5)
    pair.fact(HealthChanged(health=Health.DOWN))
    pair.fact(FlattenRequested(links=(LINK,), whole_account=True))
    assert pair.commands == []
    del pair.held[gone.position]
    pair.fact(pair.reconciled())
    pair.fact(HealthChanged(health=Health.RECONCILED))
    assert [command.position for command in pair.commands] == [there.position]


def test_a_whole_account_is_swept_no_longer_than_its_own_latch_stands() -> None:
    """The day opens the guard that closed the account; a stop-out's latch of one link is no leave to close a person's
    positions when another guard of the account, a milder one, trips later."""
    pair = Pair()
    pair.fact(GuardTripped(link=LINK, guard="daily_loss", reaction="flatten", scope="account"))
    pair.fact(GuardTripped(link=LINK, guard="stop_out", reaction="open_only_off"))
    pair.fact(GuardRearmed(link=LINK, guard="daily_loss"))
    assert not pair.view.flatten_account
    pair.fact(GuardTripped(link=OTHER, guard="daily_loss", reaction="close_only", scope="account"))
    _a_person_sells(pair)
    assert pair.commands == []


def _found(pair: Pair, asked: Pair, leader: AccountView) -> None:
    """What one pair's broker holds is taken into the record of another that knows nothing of it."""
    pair.held, pair.resting = dict(asked.held), dict(asked.resting)
    pair.fact(pair.reconciled())
    pair.refuse("MARKET_CLOSED", temporary=True)
    for fact in rebuilding.rebuilt(leader, pair.view, pair.link, frozenset(), quote_of):
        pair.fact(fact)
    assert len(pair.view.copies) == 1


@pytest.mark.parametrize(("rules", "left"), [(RULES, 0), (LOCKED_WHEN_FOUND - 1, 1)])
def test_a_copy_that_is_found_on_a_flattened_account_is_closed_though_the_first_close_is_refused(
    rules: int, left: int
) -> None:
    """Another profile's guard has flattened the account. The close of what nobody knew is refused, for the market is
    closed, and then it is known as a copy: no sweep asked for it again, and nothing else did."""
    asked, pair = Pair(), Pair()
    pair.view = replace(pair.view, rules=rules)
    asked.opens()
    asked.answer()
    pair.fact(GuardTripped(link=OTHER, guard="daily_loss", reaction="flatten", scope="account"))
    _found(pair, asked, a_leader(held()))
    for _ in range(3):
        pair.passes(900_000_000)
        pair.answer()
    assert len(pair.held) == left


@pytest.mark.parametrize(
    ("guard", "scope", "link", "rules", "is_cancelled"),
    [
        ("daily_loss", "profile", LINK, RULES, True),
        ("daily_loss", "account", OTHER, RULES, True),
        ("daily_loss", "profile", OTHER, RULES, False),
        ("same_store", "profile", LINK, RULES, False),
        ("daily_loss", "profile", LINK, LOCKED_WHEN_FOUND - 1, False),
    ],
)
def test_an_order_that_is_found_under_a_lock_is_cancelled(
    guard: str, scope: str, link: LinkId, rules: int, *, is_cancelled: bool
) -> None:
    """It would fill into a locked account. Where another uses this store's name it may be his, and stays."""
    asked, pair = Pair(), Pair()
    pair.view = replace(pair.view, rules=rules)
    asked.order(limit_price=price("1.05"))
    asked.answer()
    pair.fact(GuardTripped(link=link, guard=guard, reaction="open_only_off", scope=scope))
    theirs = Order(
        order=OrderId(450),
        symbol=SymbolId(1),
        side=Side.BUY,
        type=OrderType.LIMIT,
        volume=Volume(LOT),
        limit_price=price("1.05"),
    )
    _found(pair, asked, a_leader(orders=(theirs,)))
    assert [intent.command.kind for intent in pair.waiting] == [CommandKind.CANCEL] * is_cancelled


def test_a_guard_that_is_re_armed_opens_no_other_latch() -> None:
    """The broker stopped a copy out and the day's loss was reached: re-arming the day's guard opens that one alone, for
    its link alone."""
    pair = Pair()
    for link, guard in ((LINK, "daily_loss"), (LINK, "min_equity"), (OTHER, "daily_loss")):
        pair.fact(GuardTripped(link=link, guard=guard, reaction="open_only_off"))
    pair.fact(GuardRearmed(link=LINK, guard="daily_loss"))
    assert set(pair.view.latches) == {(LINK, "min_equity"), (OTHER, "daily_loss")}
    assert pair.opens().reason is Reason.GUARD
    pair.fact(GuardRearmed(link=LINK))
    assert set(pair.view.latches) == {(OTHER, "daily_loss")}
    assert pair.tell(pair.change(source="p2")).verdict is Verdict.COPY


def test_a_day_begun_anew_forgets_neither_the_initial_balance_nor_the_heights() -> None:
    """First seen at 10,000 and up to 11,000; a quarter of the 10,000 is lost when a person begins the day anew."""
    pair = guarded(daily_loss="5000", total_loss="30%", trailing_drawdown="3600")
    pair.bid("1.11001")
    pair.looks_twice()
    pair.now_us += 11_000_000
    pair.look()
    pair.bid("1.07501")
    pair.looks_twice()
    assert pair.view.days[LINK].peak_ever == 1_100_000
    pair.fact(GuardRearmed(link=LINK, guard="day"))
    assert pair.view.days[LINK].anchor is None
    pair.look()
    day = pair.view.days[LINK]
    assert (day.anchor, day.initial, day.peak_today, day.peak_ever) == (1_000_000, 1_000_000, 750_000, 1_100_000)
    assert not day.anew
    pair.bid("1.07401")  # equity 7,400: 3,600 below the height of 11,000
    pair.looks_twice()
    assert pair.tripped == ["trailing_drawdown"]


def test_a_killed_process_forgets_no_height_that_matters() -> None:
    """500 may be lost from the height: 11,000 stays known within the same ten seconds, 11,049 comes to count later."""
    pair = guarded(daily_drawdown="500", guard__reaction="open_only_off")
    pair.look()
    for bid in ("1.10011", "1.11001", "1.11050"):
        pair.bid(bid)
        pair.now_us += 100_000
        pair.look()
    pair.memory = Memory()
    assert pair.view.days[LINK].peak_today == 1_100_000
    pair.bid("1.10501")
    pair.looks_twice()
    assert pair.tripped == ["daily_drawdown"]


def test_an_initial_balance_that_is_named_later_is_counted_from() -> None:
    """First seen with 10,000; 2,000 come in. Named then, 20,000 is what 45 % are of: at 11,000 that much is lost."""
    pair = guarded(total_loss="45%")
    paid = BalanceChange(operation="deposit", delta=200_000, balance=1_200_000, balance_version=9)
    pair.fact(ExecutionSeen(kind=ExecutionKind.DEPOSIT_WITHDRAW, balance=paid))
    pair.looks_twice()
    assert pair.tripped == []
    pair.link = some_settings({**pair.settings, "guard.initial": "20000"})
    pair.bid("1.09002")  # 12,000 - 999.00: 8,999 are lost
    pair.looks_twice()
    assert (pair.view.days[LINK].initial, pair.tripped) == (2_000_000, [])
    pair.bid("1.09001")
    pair.looks_twice()
    assert pair.tripped == ["total_loss"]
    named = [event for event, _ in pair.said if isinstance(event, GuardInitialNamed)]
    assert [event.initial for event in named] == [2_000_000]
    pair.fact(ExecutionSeen(kind=ExecutionKind.DEPOSIT_WITHDRAW, balance=BalanceChange(
        operation="withdraw", delta=-100_000, balance=1_100_000, balance_version=10)))  # fmt: skip
    pair.looks_twice()
    assert pair.view.days[LINK].initial == 1_900_000  # what is named once is not named again


def test_an_initial_balance_that_is_named_as_what_was_seen_first_is_counted_from_too() -> None:
    """First seen with 10,000, of which 1,000 go out: 9,000. Named then, 10,000 it is; and again after it was off."""

    def pays_out(balance: int, version: int) -> None:
        paid = BalanceChange(operation="withdraw", delta=-100_000, balance=balance, balance_version=version)
        pair.fact(ExecutionSeen(kind=ExecutionKind.DEPOSIT_WITHDRAW, balance=paid))
        pair.look()

    pair = guarded(total_loss="45%")
    pair.look()
    pays_out(900_000, 9)
    assert pair.view.days[LINK].initial == 900_000
    off, named = pair.link, some_settings({**pair.settings, "guard.initial": "10000"})
    pair.link = named
    pair.look()
    assert pair.view.days[LINK].initial == 1_000_000
    pays_out(800_000, 10)
    assert pair.view.days[LINK].initial == 900_000  # what is named once is not named again
    pair.link = off
    pair.look()
    assert pair.view.days[LINK].initial == 900_000
    pair.link = named
    pair.look()
    assert pair.view.days[LINK].initial == 1_000_000
    told = [(event.initial, event.is_off) for event, _ in pair.said if isinstance(event, GuardInitialNamed)]
    assert told == [(1_000_000, False), (900_000, True), (1_000_000, False)]


def test_what_nobody_can_tell_is_not_called_over() -> None:
    """Equity is unknown: whether the loss still stands cannot be told; a stop-out asks for no equity."""
    pair = guarded(daily_loss="500", guard__reaction="open_only_off")
    pair.bid("1.09001")
    pair.looks_twice()
    pair.fact(GuardTripped(link=LINK, guard="stop_out", reaction="open_only_off"))
    assert untold(pair.view, pair.link, pair.quote, pair.now_us) == ()
    pair.quotes.clear()
    assert untold(pair.view, pair.link, pair.quote, pair.now_us) == ("daily_loss",)
    assert untold(pair.view, pair.link, pair.quote, pair.now_us, "stop_out") == ()
    off = some_settings({"min_equity": "1"})
    assert untold(pair.view, off, pair.quote, pair.now_us) == ()


@pytest.mark.parametrize(
    ("guard", "reaction", "told"),
    [
        ("daily_loss", "close_only", "close_only: 501.00 against 500.00 USD"),
        ("rejections", "open_only_off", "open_only_off: 50100 refusals in a row"),
        ("stop_out", "open_only_off", "open_only_off"),
    ],
)
def test_a_denied_open_tells_what_its_latch_closed_at(guard: str, reaction: str, told: str) -> None:
    """Money in the account's currency, refusals as their number, and nothing where there is no value."""
    pair = Pair()
    pair.fact(GuardTripped(link=LINK, guard=guard, reaction=reaction, value=50_100, limit=50_000))
    found = pair.opens()
    assert [(step.value, step.note) for step in found.working if step.name == "latch"] == [(guard, told)]
    before = Pair()
    before.fact(RulesBegan(rules=2))
    before.fact(GuardTripped(link=LINK, guard=guard, reaction=reaction, value=50_100, limit=50_000))
    assert before.opens().working[-1].note == f"{reaction}, of value 50100 and limit 50000"


def test_another_reset_begins_its_day_when_the_present_one_ends() -> None:
    """17:00 in New York lies before midnight in UTC; the account was watched all the time, so nothing was missed."""
    pair = guarded(daily_loss="500")
    pair.link = some_settings({**pair.settings, "guard.reset": "17:00 America/New_York"})
    pair.now_us = pair.view.days[LINK].next_us
    pair.look()
    day = pair.view.days[LINK]
    assert day.anchor == 1_000_000
    assert day.next_us == pair.now_us + 21 * 3_600_000_000  # 21:00 UTC, in summer
    pair.now_us = day.next_us + 61_000_000
    pair.look()
    assert pair.view.days[LINK].anchor is None  # nobody was there for a minute


@pytest.mark.parametrize(("rules", "anchor"), [(9, 1_300_000), (8, 1_100_000)])
def test_a_withdrawal_that_is_given_back_moves_what_is_counted_from_up(rules: int, anchor: int) -> None:
    """2,000 come in, and 1,000 of a withdrawal come back under its name: the balances tell which way they went."""
    pair = guarded(**{"daily_loss": "500", "guard.anchor": "balance"})
    pair.fact(RulesBegan(rules=rules))
    pair.look()
    now_ms = pair.now_us // 1_000
    given = BalanceChange(
        operation="deposit", delta=200_000, balance=1_200_000, balance_version=9, changed_ms=now_ms - 1
    )
    money = (given, replace(given, operation="withdraw", delta=-100_000, balance=1_300_000, balance_version=10))
    for change in money:
        pair.fact(ExecutionSeen(kind=ExecutionKind.DEPOSIT_WITHDRAW, balance=change))
    assert pair.view.days[LINK].anchor == anchor
    whole = DayHistorySeen(began_us=0, deals=(), money=money)
    found = rebuilt(pair.view, pair.link, whole)
    assert found is not None
    assert found.anchor == anchor


@pytest.mark.parametrize(
    ("rules", "height", "tripped"), [(RULES, 930_000, []), (HEIGHTS_ARE_SEEN - 1, 1_000_000, ["daily_drawdown"])]
)
def test_a_day_that_began_unseen_is_as_high_as_it_was_seen(rules: int, height: int, tripped: list[str]) -> None:
    """700 were lost before the reset, and are held over it. The losses of the day count from the balance of 10,000, its
    height from what was seen of it: by older rules those 700 closed everything, though the day has lost nothing."""
    pair = guarded(daily_drawdown="500", guard__anchor="balance")
    pair.fact(RulesBegan(rules=rules))
    pair.bid("1.09301")
    pair.now_us = pair.view.days[LINK].next_us + 61_000_000
    pair.look()
    assert pair.view.days[LINK].anchor is None
    began = rebuilt(pair.view, pair.link, DayHistorySeen(began_us=pair.view.days[LINK].began_us, deals=(), money=()))
    assert began is not None
    pair.fact(began)
    assert (pair.view.days[LINK].anchor, pair.view.days[LINK].peak_today) == (1_000_000, height)
    pair.looks_twice()
    assert pair.tripped == tripped


def test_what_was_seen_of_a_day_before_it_is_worked_out_counts() -> None:
    """Nothing was open at the reset, and 300 are won before the history tells so: the height of the day is 10,300."""
    pair = Guarded({"daily_drawdown": "500", "guard.anchor": "balance"})
    pair.look()
    pair.now_us = pair.view.days[LINK].next_us + 61_000_000
    pair.opens()
    pair.answer()
    pair.bid("1.10301")
    pair.look()
    pair.bid("1.10001")
    bought = next(event.deal for event, _ in pair.said if isinstance(event, ExecutionSeen) and event.deal is not None)
    history = DayHistorySeen(began_us=pair.view.days[LINK].began_us, deals=(bought,), money=())
    began = rebuilt(pair.view, pair.link, history)
    assert began is not None
    assert began.equity == 1_000_000
    pair.fact(began)
    assert pair.view.days[LINK].peak_today == 1_030_000
