"""Growth of a leader's position: what waits, what is tried again, what is covered already, and what comes between."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import (
    CopyTouched,
    ExecutionSeen,
    Health,
    HealthChanged,
    IntentOverdue,
    IntentSent,
    RulesBegan,
    SymbolListSeen,
    Wait,
)
from cmam.domain.turns.settling import SETTLE_US
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.trades import ExecutionKind, OrderStatus
from tests.factories import LOT, Pair

STEP = 100_000
MINUTE_US = 60_000_000


def opened(**settings: str) -> Pair:
    """A lot bought a minute ago."""
    pair = Pair(settings)
    pair.opens()
    pair.answer()
    pair.passes(MINUTE_US)
    return pair


def test_an_add_that_only_the_line_kept_back_goes_out_when_it_is_there_again() -> None:
    """Dropped with the line: it waits for the reconcile, passes the gates and is sent as another part of its number."""
    pair = opened()
    pair.grows(LOT, 2 * LOT)
    pair.fact(HealthChanged(health=Health.DOWN, reason="the line was cut"))
    pair.drop("the connection was lost")
    assert pair.copy.wait is Wait.REMAINDER
    pair.passes(5_000_000)
    assert pair.waiting == []
    pair.fact(pair.reconciled())
    pair.fact(HealthChanged(health=Health.RECONCILED))
    pair.passes(1_000_000)
    assert [(intent.command.kind, intent.command.volume, intent.seq, intent.part) for intent in pair.waiting] == [
        (CommandKind.ADD, LOT, 2, 2)
    ]
    pair.answer()
    assert (pair.copy.volume, pair.copy.wait) == (2 * LOT, None)


def test_an_add_that_waits_longer_than_its_age_is_given_up() -> None:
    """30 s after the leader's add what is held becomes the target; a later half is half of that."""
    pair = opened()
    pair.grows(LOT, 2 * LOT)
    pair.fact(HealthChanged(health=Health.DOWN))
    pair.drop("the connection was lost")
    pair.passes(31_000_000)
    pair.fact(pair.reconciled())
    pair.fact(HealthChanged(health=Health.RECONCILED))
    pair.passes(1_000_000)
    assert pair.waiting == []
    assert (pair.copy.target, pair.copy.wait) == (LOT, None)


def test_an_add_to_a_copy_whose_symbol_has_another_number_is_skipped_and_its_close_goes_out() -> None:
    """It was refused as of an unknown symbol each time, until `max_rejections` stopped opens in all others."""
    pair = opened()
    names = tuple(
        replace(entry, symbol=SymbolId(77)) if name == "EURUSD" else entry for name, entry in pair.view.names.items()
    )
    pair.fact(SymbolListSeen(digest="new", symbols=names, assets=tuple(pair.view.assets.values())))
    assert (told := pair.grows(LOT, 2 * LOT)).reason is Reason.SYMBOL_DISABLED, told
    assert pair.waiting == []
    pair.closes(2 * LOT)
    assert [intent.command.kind for intent in pair.waiting] == [CommandKind.CLOSE]
    older = opened()
    older.view = replace(older.view, rules=11)
    older.fact(SymbolListSeen(digest="new", symbols=names, assets=tuple(pair.view.assets.values())))
    assert older.grows(LOT, 2 * LOT).reason is None


def test_a_temporary_refusal_of_an_add_is_tried_again_and_holds_up_no_close() -> None:
    """A second after MARKET_CLOSED it goes out again; a close in between waits for nothing."""
    pair = opened()
    pair.grows(LOT, 2 * LOT)
    pair.refuse("MARKET_CLOSED", temporary=True)
    pair.wake()
    assert pair.waiting == []
    pair.passes(1_000_000)
    assert [intent.command.kind for intent in pair.waiting] == [CommandKind.ADD]
    pair.refuse("MARKET_CLOSED", temporary=True)
    pair.closes(2 * LOT)
    assert [intent.command.kind for intent in pair.waiting] == [CommandKind.CLOSE]
    pair.answer()
    pair.passes(2_000_000)
    assert pair.waiting == []


def test_a_permanent_refusal_of_an_add_gives_it_up() -> None:
    """NOT_ENOUGH_MONEY: what is held becomes the target at once."""
    pair = opened()
    pair.grows(LOT, 2 * LOT)
    pair.refuse("NOT_ENOUGH_MONEY")
    pair.passes(2_000_000)
    assert (pair.copy.target, pair.waiting) == (LOT, [])


def test_the_rest_of_an_add_is_as_old_as_the_add() -> None:
    """A minute after the open an add fills by four tenths: the rest is asked for, though the open is long too old."""
    pair = opened()
    pair.grows(LOT, 2 * LOT)
    pair.answer(part=4_000_000)
    pair.passes(250_000)
    assert [(intent.command.kind, intent.command.volume) for intent in pair.waiting] == [(CommandKind.ADD, 6_000_000)]


def test_the_rest_of_an_add_keeps_the_adds_own_range() -> None:
    """The add at 1.2 asks for a range around 1.2; so does its rest, and not for the open's around 1.1."""
    pair = opened(max_slippage="50")
    pair.quotes["EURUSD"] = ("1.19999", "1.20001")
    change = pair.change(
        ChangeKind.GREW, before=Volume(LOT), after=Volume(2 * LOT), volume=Volume(LOT), price=120_000_000, quote=None
    )
    pair.tell(change, leader_quote=pair.quote("EURUSD"))
    assert pair.commands[-1].base_price == 120_000_000
    pair.answer(part=4_000_000)
    pair.passes(250_000)
    assert (pair.commands[-1].volume, pair.commands[-1].base_price) == (6_000_000, 120_000_000)


def test_growth_that_the_carried_residue_covers_is_named_so() -> None:
    """0.02 held for 0.01 + 0.009 wanted: closing 0.001 was carried; growing back to 0.02 buys nothing."""
    pair = Pair()
    pair.opens(2 * STEP)
    pair.answer()
    before = 2 * STEP * 1_000  # the leader's volumes have finer steps here
    assert pair.reduces(before, before * 19 // 20).reason is Reason.CARRIED
    assert pair.copy.target == 190_000
    found = pair.grows(before * 19 // 20, before)
    assert (found.verdict, found.reason) == (Verdict.NONE, Reason.COVERED)
    assert (pair.copy.target, pair.copy.volume, len(pair.sent)) == (2 * STEP, 2 * STEP, 1)
    assert pair.copy.residue == 0


@pytest.mark.parametrize(("rules", "target", "held"), [(7, 190_000, 2), (RULES, 200_100, 3)])
def test_growth_below_the_minimum_is_carried_until_it_is_a_step(rules: int, target: int, held: int) -> None:
    """One unit more than what is carried is no step: skipped. With 999 more it is: T = 2,000 × 3,000 / 2,000."""
    pair = Pair()
    pair.opens(2 * STEP)
    pair.answer()
    pair.fact(RulesBegan(rules=rules))
    pair.reduces(2_000, 1_900)
    found = pair.grows(1_900, 2_001)
    assert (found.verdict, found.reason) == (Verdict.SKIP, Reason.BELOW_MINIMUM)
    assert pair.copy.target == target
    pair.grows(2_001, 3_000)
    pair.answer()
    assert pair.copy.volume == held * STEP


@pytest.mark.parametrize("fate", ["answered", "refused"])
def test_what_is_carried_is_a_part_of_the_target_whatever_becomes_of_the_next_add(fate: str) -> None:
    """Half a step is carried; the next whole step is asked for, and made or refused: the half is wanted as before."""
    pair = Pair({"max_age": "1"})
    pair.opens(2 * STEP)
    pair.answer()
    pair.grows(2_000, 2_500)
    assert pair.copy.target == 250_000
    pair.grows(2_500, 3_500)
    assert pair.commands[-1].volume == STEP
    if fate == "refused":
        pair.refuse("TRADING_DISABLED")
        pair.passes(60_000_000)
    else:
        pair.answer()
    assert (pair.copy.target, pair.copy.volume) == ((250_000, 2 * STEP) if fate == "refused" else (350_000, 3 * STEP))
    pair.reduces(3_500, 1_750)
    pair.answer()
    assert pair.copy.target == (125_000 if fate == "refused" else 175_000)


@pytest.mark.parametrize(("rules", "held"), [(7, LOT * 7 // 10), (RULES, LOT * 14 // 10)])
def test_a_remainder_below_the_least_of_an_order_goes_out_with_what_is_added_next(rules: int, held: int) -> None:
    """0.7 of 1.0 have filled, and 0.3 are less than `volume.min`. His 0.4 more make it 0.7 that are missing of 1.4."""
    pair = Pair({"volume.min": "0.5"})
    pair.fact(RulesBegan(rules=rules))
    pair.opens()
    pair.answer(part=LOT * 7 // 10)
    pair.passes(1_000_000)
    assert pair.copy.volume == LOT * 7 // 10
    pair.grows(LOT, LOT * 14 // 10)
    pair.answer()
    assert pair.copy.volume == held


def _turns(pair: Pair, after: int) -> None:
    volumes = {"before": Volume(LOT), "after": Volume(after), "volume": Volume(after)}
    pair.tell(pair.change(ChangeKind.REVERSED, side=Side.SELL, **volumes))


def test_what_the_new_side_grows_before_the_turned_copy_opens_is_opened_with_it() -> None:
    """Buy 1.0 turns to sell 1.5 and grows to 2.0 while our close is under way: the sell that opens is of 2.0."""
    pair = opened()
    _turns(pair, LOT * 3 // 2)
    assert pair.grows(LOT * 3 // 2, 2 * LOT, side=Side.SELL).verdict is Verdict.COPY
    pair.answer()
    pair.wake()
    fresh = pair.sent[-1].command
    assert (fresh.kind, fresh.side, fresh.volume) == (CommandKind.OPEN, Side.SELL, 2 * LOT)


def test_what_the_new_side_loses_before_the_turned_copy_opens_is_not_opened() -> None:
    """Sell 1.5 is reduced to 0.5 while our close is under way: the sell that opens is of 0.5; closed, nothing opens."""
    for after, wanted in ((LOT // 2, LOT // 2), (0, None)):
        pair = opened()
        _turns(pair, LOT * 3 // 2)
        if after:
            pair.reduces(LOT * 3 // 2, after, side=Side.SELL)
        else:
            pair.closes(LOT * 3 // 2, side=Side.SELL)
        pair.answer()
        pair.wake()
        opens = [command for command in pair.commands if command.kind is CommandKind.OPEN]
        assert [command.volume for command in opens[1:]] == ([wanted] if wanted else [])


def test_growth_of_a_turning_leader_is_left_out_with_scale_in_off() -> None:
    """What opened on the new side is copied, what grew is not."""
    pair = opened(scale_in="off")
    _turns(pair, LOT)
    assert pair.grows(LOT, 2 * LOT, side=Side.SELL).reason is Reason.SCALE_IN_OFF
    pair.answer()
    pair.wake()
    assert pair.sent[-1].command.volume == LOT


def test_an_add_that_never_arrived_is_given_up_and_not_sent_again() -> None:
    """Absent by proof: an add is not worth a second try of unknown age; what is held becomes the target."""
    pair = opened()
    pair.grows(LOT, 2 * LOT)
    (lost,) = pair.lose()
    pair.fact(IntentSent(intent=lost.intent))
    pair.fact(IntentOverdue(intent=lost.intent, why="no answer"))
    pair.now_us += SETTLE_US
    pair.fact(pair.reconciled(looked_up=True))
    assert pair.waiting == []
    assert pair.view.intents == {}
    assert pair.copy.target == LOT


def test_an_add_counts_what_is_still_on_its_way() -> None:
    """1.0 grows to 2.0 and, before that add is answered, to 3.0: one more lot is asked for, not two."""
    pair = opened()
    pair.grows(LOT, 2 * LOT)
    pair.grows(2 * LOT, 3 * LOT)
    assert [intent.command.volume for intent in pair.waiting] == [LOT, LOT]
    pair.answer()
    assert pair.copy.volume == 3 * LOT


def test_an_add_that_has_filled_is_not_asked_for_again_though_the_position_does_not_show_it() -> None:
    """The deal says 1.0 more, the position that came with it still says 1.0: nothing more is added."""
    pair = opened()
    pair.passes(1_000)
    pair.grows(LOT, 2 * LOT)
    accepted, filled = pair.events_of(pair.waiting[-1])
    assert isinstance(filled, ExecutionSeen)
    assert filled.position is not None
    pair.hears([accepted, replace(filled, position=replace(filled.position, volume=Volume(LOT)))])
    pair.passes(5_000_000)
    assert [command.kind for command in pair.commands] == [CommandKind.OPEN, CommandKind.ADD]


def test_adds_of_unknown_outcome_that_have_all_filled_are_ours_together() -> None:
    """Two adds of 1.0 go out and the line is cut: the 3.0 that the reconcile shows are what the leader has."""
    pair = opened()
    pair.grows(LOT, 2 * LOT)
    pair.passes(1_000)
    pair.grows(2 * LOT, 3 * LOT)
    for intent in pair.lose():
        pair.fact(IntentSent(intent=intent.intent))
        pair.events_of(intent)
    pair.fact(HealthChanged(health=Health.DOWN, reason="the line was cut"))
    for name in tuple(pair.view.intents):
        pair.fact(IntentOverdue(intent=name, why="the connection was lost"))
    pair.passes(1_000_000)
    pair.hears([pair.reconciled(), HealthChanged(health=Health.RECONCILED)])
    assert (pair.copy.volume, pair.copy.target) == (3 * LOT, 3 * LOT)
    assert not [event for event, _ in pair.said if isinstance(event, CopyTouched)]


def test_a_part_of_an_add_that_a_look_has_shown_counts_once() -> None:
    """0.4 of 1.0 is shown before its event comes: 0.6 is on its way, before that event and after it."""
    pair = opened()
    pair.passes(1_000)
    pair.grows(LOT, 2 * LOT)
    (add,) = pair.lose()
    accepted, filled = pair.events_of(add, part=4_000_000)[:2]
    assert isinstance(filled, ExecutionSeen)
    assert filled.order is not None
    pair.hears([accepted, pair.reconciled()])
    assert pair.view.intents[add.intent].filled == 4_000_000
    part = replace(filled.order, status=OrderStatus.ACCEPTED, executed_volume=Volume(4_000_000))
    pair.fact(replace(filled, kind=ExecutionKind.ORDER_PARTIAL_FILL, order=part))
    assert pair.view.intents[add.intent].filled == 4_000_000


def test_two_parts_of_one_moment_whose_events_both_show_the_end_are_all_there_is() -> None:
    """A person closes two of three lots in one millisecond; what the leader adds then is added, and nothing is owed."""
    pair = Pair()
    pair.opens(3 * LOT)
    pair.answer()
    pair.passes(MINUTE_US)
    assert pair.copy.position is not None
    first, second = pair.close(pair.copy.position, LOT)[1], pair.close(pair.copy.position, LOT)[1]
    assert isinstance(first, ExecutionSeen)
    assert isinstance(second, ExecutionSeen)
    pair.hears([replace(first, position=second.position), second])
    assert (pair.copy.volume, dict(pair.view.untold)) == (LOT, {})
    pair.passes(1_000_000)
    pair.grows(3 * LOT, 6 * LOT)
    assert [(intent.command.kind, intent.command.volume) for intent in pair.waiting] == [(CommandKind.ADD, LOT)]


def test_a_close_that_an_add_overtook_is_followed_by_the_close_of_the_rest_at_once() -> None:
    """The leader closes while an add is on its way: that fills first, the close takes a lot, the rest goes at once."""
    pair = Pair()
    pair.opens()
    pair.answer()
    pair.grows(LOT, 2 * LOT)
    pair.closes(2 * LOT)
    pair.answer()
    assert [command.kind.value for command in pair.commands] == ["open", "add", "close", "close"]
    assert pair.held == {}


def test_an_add_waits_for_the_end_of_a_close_that_is_under_way() -> None:
    """The leader halves and grows back at once: ours is closed by half and added to; a refused close needs neither."""
    for is_refused in (False, True):
        pair = opened()
        pair.reduces(LOT, LOT // 2)
        pair.grows(LOT // 2, LOT)
        assert [command.kind for command in pair.commands[1:]] == [CommandKind.CLOSE]
        if is_refused:
            pair.refuse("MARKET_CLOSED", temporary=True)
        for _ in range(3):
            pair.answer()
            pair.passes(1_100_000)
        (held,) = pair.held.values()
        assert (held.volume, pair.copy.target, pair.waiting) == (LOT, LOT, [])
        asked = [] if is_refused else [CommandKind.ADD]
        assert [command.kind for command in pair.commands[2:]] == asked
