"""Adds that come to nothing: the target is what it was without them, and what closes still owe is closed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.view import AccountView
from cmam.domain.events import (
    AttemptDecided,
    CopyTouched,
    Health,
    HealthChanged,
    IntentDropped,
    IntentOverdue,
    IntentSent,
    RequestRefused,
    RulesBegan,
    Standing,
    Wait,
)
from cmam.domain.turns.settling import SETTLE_US
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.quantities import Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.opens import GIVEN_UP_ONCE
from cmam.domain.values.trades import AccountType
from cmam.store.folding.snapshot import keep, unkeep
from tests.factories import LOT, Pair, a_spec, a_view

MINI, STEP = LOT // 10, 100_000
POLL_US, MINUTE_US = 250_000, 60_000_000
KINDS = (AccountType.HEDGED, AccountType.NETTED)


def a_follower(*, most: int = LOT, kind: AccountType = AccountType.HEDGED) -> AccountView:
    """A follower that has a minimum of one step, and whose orders are of so much at most."""
    return a_view((a_spec(max_volume=Volume(most)),), kind=kind)


def opened(volume: int = LOT, view: AccountView | None = None, **settings: str) -> Pair:
    """So much bought a minute ago."""
    pair = Pair({name.replace("__", "."): value for name, value in settings.items()}, view=view or a_view())
    pair.opens(volume)
    for _ in range(5):
        pair.answer()
        pair.passes(POLL_US)
    assert pair.copy.volume == volume
    pair.passes(MINUTE_US)
    return pair


def asked(pair: Pair) -> list[tuple[str, float]]:
    """What the broker has not answered, in tenths of a lot."""
    return [(intent.command.kind.value, intent.command.volume / MINI) for intent in pair.waiting]


def between_two_closes(kind: AccountType = AccountType.HEDGED) -> Pair:
    """The leader of 10 closes 8 and adds 5: of two closes of 5 and 3 ours has made the first, and adds 2 instead."""
    pair = opened(10 * MINI, a_follower(most=5 * MINI, kind=kind), volume__rounding="split")
    pair.reduces(10 * MINI, 2 * MINI)
    assert asked(pair) == [("close", 5)]
    assert pair.grows(2 * MINI, 7 * MINI).verdict is Verdict.COPY
    pair.answer(most=1)
    pair.passes(POLL_US)
    assert asked(pair) == [("add", 2)]
    return pair


@pytest.mark.parametrize("kind", KINDS)
def test_a_close_of_several_orders_goes_on_where_an_add_between_them_comes_to_nothing(kind: AccountType) -> None:
    """The add is refused: the second close is made, and 2 are left."""
    pair = between_two_closes(kind)
    pair.refuse("NOT_ENOUGH_MONEY")
    assert (asked(pair), pair.copy.target) == ([("close", 3)], 2 * MINI)
    pair.answer()
    assert pair.copy.volume == 2 * MINI


@pytest.mark.parametrize("kind", KINDS)
def test_an_add_between_two_closes_that_fills_needs_no_second_close(kind: AccountType) -> None:
    """What would have been closed is a part of what was added."""
    pair = between_two_closes(kind)
    pair.answer()
    pair.passes(MINUTE_US)
    assert (pair.copy.volume, pair.copy.target, pair.waiting) == (7 * MINI, 7 * MINI, [])


def test_what_an_add_between_two_closes_has_filled_is_kept_with_what_was_not_closed_for_it() -> None:
    """One of two fills, the rest is refused: 6 are held, and all that he closes is in proportion to these."""
    pair = between_two_closes()
    pair.answer(part=MINI)
    pair.passes(POLL_US)
    assert asked(pair) == [("add", 1)]
    pair.refuse("NOT_ENOUGH_MONEY")
    assert (pair.copy.target, pair.waiting) == (6 * MINI, [])
    pair.reduces(7 * MINI, 7 * MINI // 2)
    assert asked(pair) == [("close", 3)]


def test_an_add_that_waits_too_long_between_two_closes_is_given_up() -> None:
    """The first close is out of sight for as long as the add may be old: then the second is made as well."""
    pair = opened(10 * MINI, a_follower(most=5 * MINI), volume__rounding="split")
    pair.reduces(10 * MINI, 2 * MINI)
    pair.grows(2 * MINI, 7 * MINI)
    pair.send()
    pair.passes(40_000_000)
    pair.answer()
    pair.passes(POLL_US)
    pair.answer()
    assert (pair.copy.volume, pair.copy.target, pair.copy.wait) == (2 * MINI, 2 * MINI, None)


@pytest.mark.parametrize("kind", KINDS)
def test_an_add_that_was_decided_behind_an_open_that_fills_too_late_is_told_as_skipped(kind: AccountType) -> None:
    """The open is out of sight for as long as the add may be old: what he added is not bought, and the record says so.
    By rules 14 the decision stood there as a copy, and no word of what had become of it."""
    pair = Pair(view=a_view(kind=kind))
    pair.opens(MINI)
    assert pair.grows(MINI, 3 * MINI).verdict is Verdict.COPY
    pair.send()
    pair.passes(40_000_000)
    pair.answer()
    pair.passes(POLL_US)
    told = [fact for fact, _ in pair.said if isinstance(fact, AttemptDecided)]
    assert [(fact.verdict, fact.reason) for fact in told] == [(Verdict.SKIP, Reason.TOO_OLD)]
    assert (pair.copy.volume, pair.copy.target, pair.copy.wait, pair.waiting) == (MINI, MINI, None, [])


def test_an_add_that_a_gate_ends_between_two_closes_is_given_up() -> None:
    """Paused while the first close is under way: the add goes nowhere, the second close is made."""
    pair = opened(10 * MINI, a_follower(most=5 * MINI), volume__rounding="split")
    pair.reduces(10 * MINI, 2 * MINI)
    pair.grows(2 * MINI, 7 * MINI)
    pair.link = replace(pair.link, standing=Standing.PAUSED)
    pair.answer(most=1)
    pair.passes(POLL_US)
    assert (asked(pair), pair.copy.target) == ([("close", 3)], 2 * MINI)


def test_an_add_that_is_covered_once_the_close_is_done_needs_nothing() -> None:
    """He closes 8 of 10 and adds 3: the first of two closes leaves the 5 that are wanted, and no gate is asked."""
    pair = opened(10 * MINI, a_follower(most=5 * MINI), volume__rounding="split")
    pair.reduces(10 * MINI, 2 * MINI)
    pair.grows(2 * MINI, 5 * MINI)
    pair.answer(most=1)
    pair.passes(POLL_US)
    assert (pair.waiting, pair.copy.target, pair.copy.wait) == ([], 5 * MINI, None)
    pair.grows(5 * MINI, 7 * MINI)
    pair.refuse("NOT_ENOUGH_MONEY")
    assert (pair.waiting, pair.copy.target) == ([], 5 * MINI)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("is_first", [True, False])
def test_of_two_adds_under_way_each_comes_to_nothing_by_itself(*, is_first: bool, kind: AccountType) -> None:
    """Of two adds of one lot the broker refuses one and fills the other: that is held, and nothing of it closed."""
    pair = opened(view=a_follower(kind=kind))
    pair.grows(LOT, 2 * LOT)
    pair.grows(2 * LOT, 3 * LOT)
    if is_first:
        pair.refuse("NOT_ENOUGH_MONEY", most=1)
        pair.answer()
    else:
        pair.answer(most=1)
        pair.refuse("NOT_ENOUGH_MONEY")
    pair.passes(MINUTE_US)
    assert (pair.copy.volume, pair.copy.target, pair.waiting) == (2 * LOT, 2 * LOT, [])
    assert CommandKind.CLOSE not in [command.kind for command in pair.commands]


@pytest.mark.parametrize("is_first", [True, False])
def test_of_two_adds_under_way_a_part_is_closed_in_proportion(*, is_first: bool) -> None:
    """He halves 1 + 1 + 2 lots while both adds are under way, and one is refused: what is left is half of the rest."""
    pair = opened()
    pair.grows(LOT, 2 * LOT)
    pair.grows(2 * LOT, 4 * LOT)
    pair.reduces(4 * LOT, 2 * LOT)
    if is_first:
        pair.refuse("NOT_ENOUGH_MONEY", most=1)
        pair.answer()
    else:
        pair.answer(most=1)
        pair.refuse("NOT_ENOUGH_MONEY", most=1)
        pair.answer()
    expected = LOT * 3 // 2 if is_first else LOT
    assert (pair.copy.volume, pair.copy.target) == (expected, expected)


@pytest.mark.parametrize("kind", KINDS)
def test_a_part_closed_while_an_add_was_under_way_that_is_refused_is_closed(kind: AccountType) -> None:
    """He grows from 1 to 2 lots and halves: the add is refused, and half of the lot is left, as where no add was."""
    pair = opened(view=a_follower(kind=kind))
    pair.grows(LOT, 2 * LOT)
    pair.reduces(2 * LOT, LOT)
    assert asked(pair) == [("add", 10)]
    pair.refuse("NOT_ENOUGH_MONEY")
    pair.answer()
    assert (pair.copy.volume, pair.copy.target) == (LOT // 2, LOT // 2)


def test_the_order_of_a_refusal_and_of_a_part_that_is_closed_makes_no_difference() -> None:
    """Refused before or after he closes three tenths of what he has: the same is left."""
    found = []
    for is_early in (True, False):
        pair = opened()
        pair.grows(LOT, 3 * LOT)
        if is_early:
            pair.refuse("NOT_ENOUGH_MONEY")
        pair.reduces(3 * LOT, LOT * 21 // 10)
        if not is_early:
            pair.refuse("NOT_ENOUGH_MONEY")
        pair.answer()
        found.append((pair.copy.volume, pair.copy.target))
    assert found == [(7 * MINI, 7 * MINI)] * 2


def test_a_residue_does_not_become_the_copys_by_an_add_that_is_refused() -> None:
    """2 steps held for 1.9: a refused add leaves 1.9 as the target, and twice the half of it is closed to a step."""
    pair = opened(2 * STEP)
    pair.reduces(2_000, 1_900)
    pair.grows(1_900, 3_800)
    assert [intent.command.volume for intent in pair.waiting] == [STEP]
    pair.refuse("NOT_ENOUGH_MONEY")
    assert (pair.copy.target, pair.copy.residue) == (190_000, 10_000)
    pair.reduces(3_800, 1_900)
    pair.answer()
    assert (pair.copy.target, pair.copy.volume) == (95_000, STEP)


def test_an_add_that_is_refused_for_now_grows_by_the_same_when_it_goes_out_again() -> None:
    """MARKET_CLOSED between two closes, twice, then no money: the second close is made."""
    pair = between_two_closes()
    for _ in range(2):
        pair.refuse("MARKET_CLOSED", temporary=True)
        assert (pair.copy.target, pair.copy.wait) == (7 * MINI, Wait.REMAINDER)
        pair.passes(1_000_000)
        assert asked(pair) == [("add", 2)]
    pair.refuse("NOT_ENOUGH_MONEY")
    assert (asked(pair), pair.copy.target) == ([("close", 3)], 2 * MINI)


def test_an_add_that_is_refused_for_now_wakes_its_account_when_it_may_go_out_again() -> None:
    """Nothing else happens on the account: the timer alone asks for it again, so that it is not given up."""
    pair = opened()
    pair.grows(LOT, LOT + 2 * MINI)
    pair.refuse("MARKET_CLOSED", temporary=True)
    assert pair.next_wake() == pair.copy.again_us
    pair.passes(pair.copy.again_us - pair.now_us)
    pair.answer()
    assert (pair.copy.volume, pair.copy.wait) == (LOT + 2 * MINI, None)


def test_an_add_that_only_the_line_kept_back_for_too_long_is_given_up() -> None:
    """Dropped with the line between two closes: when it is back after a minute, the second is made."""
    pair = between_two_closes()
    pair.fact(HealthChanged(health=Health.DOWN, reason="the line was cut"))
    pair.drop("the connection was lost")
    pair.passes(MINUTE_US)
    pair.hears([pair.reconciled(), HealthChanged(health=Health.RECONCILED)])
    pair.passes(POLL_US)
    pair.answer()
    assert (pair.copy.volume, pair.copy.target) == (2 * MINI, 2 * MINI)


def test_an_add_of_unknown_outcome_that_was_never_there_leaves_what_was_owed() -> None:
    """No answer to the add between two closes, and proof that it never arrived: the second is made."""
    pair = between_two_closes()
    (lost,) = pair.lose()
    pair.fact(IntentSent(intent=lost.intent))
    pair.fact(IntentOverdue(intent=lost.intent, why="no answer"))
    pair.now_us += SETTLE_US
    pair.fact(pair.reconciled(looked_up=True))
    pair.answer()
    assert (pair.copy.volume, pair.copy.target) == (2 * MINI, 2 * MINI)


def test_what_a_copy_is_to_grow_by_is_kept_over_a_restart() -> None:
    """Read back while the add is under way, and while it waits: refused, it leaves what it was added to."""
    pair = between_two_closes()
    _read_back(pair)
    pair.refuse("MARKET_CLOSED", temporary=True)
    _read_back(pair)
    pair.passes(1_000_000)
    pair.refuse("NOT_ENOUGH_MONEY")
    assert (asked(pair), pair.copy.target) == ([("close", 3)], 2 * MINI)


def _read_back(pair: Pair) -> None:
    kept = keep(pair.view)
    assert kept is not None
    again = unkeep(kept)
    assert again is not None
    assert again.view == pair.view
    pair.view = again.view


def test_what_waits_is_over_while_another_add_is_under_way() -> None:
    """The rest of an add waits, the next one asks for it too and is slow: the end of the wait takes nothing away."""
    pair = opened()
    pair.grows(LOT, 2 * LOT)
    pair.refuse("MARKET_CLOSED", temporary=True)
    pair.passes(500_000)
    pair.grows(2 * LOT, 3 * LOT)
    assert asked(pair) == [("add", 20)]
    pair.send()
    pair.now_us += 32_000_000
    pair.passes(0)
    pair.answer()
    pair.passes(POLL_US)
    assert (pair.copy.volume, pair.copy.target, pair.waiting) == (3 * LOT, 3 * LOT, [])


def a_part_of_an_order() -> Pair:
    """Four tenths of our order have filled when the leader's has whole; paused, the market is asked for no more."""
    pair = Pair()
    pair.order()
    pair.answer()
    (number,) = pair.resting
    pair.passes(1_000_000)
    pair.hears(pair.order_triggers(number, volume=4 * MINI))
    pair.order_fills()
    pair.link = replace(pair.link, standing=Standing.PAUSED)
    for _ in range(12):
        pair.passes(POLL_US)
        pair.answer()
    return pair


def test_what_an_order_lacks_is_given_up_where_a_gate_ends_it() -> None:
    """Four tenths are held and become the target: half of it is closed as he closes half."""
    pair = a_part_of_an_order()
    assert (pair.copy.volume, pair.copy.target, pair.copy.wait) == (4 * MINI, 4 * MINI, None)
    pair.reduces(LOT, LOT // 2)
    assert asked(pair) == [("close", 2)]


def test_by_the_rules_before_what_an_order_lacked_stayed_its_target() -> None:
    """So that an older log says the same."""
    pair = Pair()
    pair.fact(RulesBegan(rules=6))
    pair.order()
    pair.answer()
    (number,) = pair.resting
    pair.passes(1_000_000)
    pair.hears(pair.order_triggers(number, volume=4 * MINI))
    pair.order_fills()
    pair.link = replace(pair.link, standing=Standing.PAUSED)
    for _ in range(12):
        pair.passes(POLL_US)
        pair.answer()
    assert (pair.copy.volume, pair.copy.target) == (4 * MINI, LOT)


def test_what_an_order_has_filled_is_kept_where_the_add_of_the_rest_is_refused() -> None:
    """Four tenths have filled and the rest is refused at the market: four tenths are the target."""
    pair = Pair()
    pair.order()
    pair.answer()
    (number,) = pair.resting
    pair.passes(1_000_000)
    pair.hears(pair.order_triggers(number, volume=4 * MINI))
    pair.order_fills()
    for _ in range(12):
        pair.passes(POLL_US)
        if pair.waiting and pair.waiting[-1].command.kind is CommandKind.ADD:
            break
        pair.answer()
    assert asked(pair) == [("add", 6)]
    pair.refuse("NOT_ENOUGH_MONEY")
    assert (pair.copy.volume, pair.copy.target, pair.waiting) == (4 * MINI, 4 * MINI, [])


def test_the_fills_of_an_order_that_come_one_by_one_are_each_given_up_by_themselves() -> None:
    """Ours fills 3 of 10 and rests on, his 5 and then 10: what ours fills meanwhile stays, what it lacks does not."""
    pair = Pair()
    pair.order()
    pair.answer()
    (number,) = pair.resting
    pair.passes(1_000_000)
    pair.hears(pair.order_triggers(number, volume=3 * MINI))
    pair.order_fills(5 * MINI)
    pair.order_fills(kind=ChangeKind.GREW, before=Volume(5 * MINI), volume=Volume(5 * MINI))
    pair.hears(pair.order_triggers(number, volume=4 * MINI))
    for _ in range(12):
        pair.passes(POLL_US)
        if pair.waiting and pair.waiting[-1].command.kind is CommandKind.ADD:
            break
        pair.answer()
    assert asked(pair) == [("add", 3)]
    pair.refuse("NOT_ENOUGH_MONEY")
    pair.passes(MINUTE_US)
    assert (pair.copy.volume, pair.copy.target, pair.waiting) == (7 * MINI, 7 * MINI, [])


def test_what_a_person_closes_ends_what_waits() -> None:
    """A lot grows to two, the add waits; a person closes half: half a lot is what is wanted, and what he halves."""
    pair = opened()
    pair.grows(LOT, 2 * LOT)
    pair.refuse("MARKET_CLOSED", temporary=True)
    assert pair.copy.position is not None
    pair.hears(pair.close(pair.copy.position, LOT // 2))
    assert [event.what for event, _ in pair.said if isinstance(event, CopyTouched)] == ["volume"]
    assert (pair.copy.volume, pair.copy.target, pair.copy.wait) == (LOT // 2, LOT // 2, None)
    pair.reduces(2 * LOT, LOT)
    assert pair.waiting[-1].command.volume == LOT // 4


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_out_of_a_part_leaves_nothing_to_grow_by(kind: AccountType) -> None:
    """A lot grows to two, the add waits, half is stopped out: half a lot is wanted, and what the leader halves."""
    pair = opened(view=a_view(kind=kind))
    pair.grows(LOT, 2 * LOT)
    pair.refuse("MARKET_CLOSED", temporary=True)
    assert pair.copy.position is not None
    pair.hears(pair.close(pair.copy.position, LOT // 2, stop_out=True))
    assert (pair.copy.volume, pair.copy.target, pair.copy.wait) == (LOT // 2, LOT // 2, None)
    pair.reduces(2 * LOT, LOT)
    assert asked(pair) == [("close", 2.5)]


def test_what_a_person_closes_is_a_part_of_an_add_that_is_refused_then() -> None:
    """A lot grows to two, a person closes half of it while the add is under way, which is refused: half is wanted."""
    pair = opened()
    pair.grows(LOT, 2 * LOT)
    assert pair.copy.position is not None
    pair.hears(pair.close(pair.copy.position, LOT // 2))
    pair.refuse("NOT_ENOUGH_MONEY")
    assert (pair.copy.volume, pair.copy.target, pair.waiting) == (LOT // 2, LOT // 2, [])


def test_what_an_open_lacks_is_given_up_as_what_an_add_does() -> None:
    """Four tenths of an open fill, and the rest is refused: a half is the half of four tenths."""
    pair = Pair()
    pair.opens()
    pair.answer(part=4 * MINI)
    pair.passes(POLL_US)
    assert asked(pair) == [("add", 6)]
    pair.reduces(LOT, LOT // 2)
    pair.refuse("NOT_ENOUGH_MONEY")
    pair.answer()
    assert (pair.copy.volume, pair.copy.target) == (2 * MINI, 2 * MINI)


def test_a_withdrawn_add_leaves_no_target_behind() -> None:
    """What the limiter gives back unsent is given up as what is refused."""
    pair = between_two_closes()
    pair.fact(IntentDropped(intent=pair.lose()[0].intent, reason="the queue is full"))
    assert pair.copy.target == 2 * MINI


@pytest.mark.parametrize(("rules", "held"), [(RULES, 4 * MINI), (GIVEN_UP_ONCE - 1, 2 * MINI)])
def test_two_adds_that_come_to_nothing_take_no_more_than_they_were_to_bring(rules: int, held: int) -> None:
    """Eight are held, four under way, half is closed, and the next add asks for what that lacks: both are refused."""
    pair = opened(8 * MINI, replace(a_view(), rules=rules))
    pair.grows(8 * MINI, 12 * MINI)
    first = pair.lose()[0]
    pair.reduces(12 * MINI, 6 * MINI)
    pair.answer()
    pair.grows(6 * MINI, 12 * MINI)
    second = pair.lose()[0]
    for intent in (first, second):
        pair.fact(RequestRefused(intent=intent.intent, error_code="NOT_ENOUGH_MONEY"))
    pair.answer()
    assert pair.copy.volume == held
