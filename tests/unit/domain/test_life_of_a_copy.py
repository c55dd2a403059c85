"""A copy from open to end, with what may come early, late, twice, from others or never at each step."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.copies import CopyState
from cmam.domain.events import (
    AlertHealed,
    AlertRaised,
    CopyTouched,
    ExecutionSeen,
    GuardRearmed,
    Health,
    HealthChanged,
    IntentOverdue,
    IntentRecorded,
    IntentSent,
    IntentSettled,
    Outcome,
    RulesBegan,
    StopOutSeen,
)
from cmam.domain.folds.account import evolve
from cmam.domain.turns.settling import SETTLE_US
from cmam.domain.turns.timing import ANSWER_US, next_due
from cmam.domain.turns.turn import withdrawn
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import LinkId, OrderId, PositionId, SourceKey, StoreId, base36, position_source
from cmam.domain.values.naming import intent_id, label_of, read_label
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.opens import ABSENT_WAS_NOT_CLOSED
from cmam.domain.values.symbols import Interval
from cmam.domain.values.trades import ExecutionKind, Order, OrderStatus, OrderType, Position
from tests.factories import LINK, LOT, Pair, a_change, a_spec, a_view, lookup_due, price

HALF = {"volume.amount": "0.5"}
STEP = 100_000


def opened(**settings: str) -> Pair:
    """A pair whose copy of one lot is open."""
    pair = Pair({key.replace("__", "."): value for key, value in settings.items()})
    pair.opens()
    pair.answer()
    return pair


def test_an_open_is_copied_once_with_its_name() -> None:
    """One lot times 0.5 is half a lot: 0.5 × 10,000,000 = 5,000,000 hundredths of a unit."""
    pair = Pair(HALF)
    decided = pair.opens()
    assert (decided.verdict, decided.volume) == (Verdict.COPY, 5_000_000)
    assert pair.intent() == "cm1.st0re.l1nk01.pdw.1"
    assert pair.commands[0].label == "cm1.st0re.l1nk01.pdw"
    pair.answer()
    assert (pair.copy.state, pair.copy.volume, pair.copy.residue) == (CopyState.OPEN, 5_000_000, 0)
    assert not pair.view.intents


def test_names_fit_fifty_characters_at_the_largest_ids() -> None:
    """Both ids at the maximum of int64 and a thousandth request still leave a name the broker takes."""
    source = position_source(PositionId(2**63 - 1))
    name = intent_id(StoreId("zzzzz"), LinkId("zzzzzz"), source, 999_999)
    assert len(name) <= 50
    assert name.isascii()
    assert read_label(label_of(StoreId("zzzzz"), LinkId("zzzzzz"), source)) is not None
    assert base36(2**63 - 1) == "1y2p0ij32e8e7"


def test_the_same_change_is_decided_once() -> None:
    """A cursor stands behind every decided change: the second telling gives nothing."""
    from cmam.domain.events import Inputs
    from cmam.domain.turns.turn import decide_change

    pair = opened()
    again = decide_change(pair.view, pair.link, a_change(), (1, 0), Inputs(), pair.now_us)
    assert again.derived == ()


def test_a_duplicate_fill_changes_nothing_even_after_the_close() -> None:
    """Fills are told apart by deal and positions by their own time: neither a copy nor a position rises twice."""
    pair = Pair()
    pair.opens()
    events = pair.events_of(pair.sent[0])
    pair.lose()
    pair.hears(events + events)
    assert pair.copy.volume == LOT
    pair.passes(1_000)
    pair.closes()
    pair.answer()
    assert pair.copy.state is CopyState.CLOSED
    pair.hears(events)
    assert pair.view.positions == {}
    assert pair.copy.state is CopyState.CLOSED
    assert len(pair.sent) == 2


def test_a_partial_close_keeps_the_exact_fraction_and_the_residue_returns_to_zero() -> None:
    """1.00 lot to 0.67 lot: a copy of 0.01 lot has the target 0.0067, keeps 0.01 and carries 0.0033 until the close."""
    pair = Pair({"volume.amount": "0.01"})
    pair.opens()
    pair.answer()
    decided = pair.reduces(LOT, 6_700_000)
    assert (decided.verdict, decided.reason) == (Verdict.NONE, Reason.CARRIED)
    assert pair.copy.target == 67_000
    assert pair.copy.residue == 33_000
    pair.closes(6_700_000)
    pair.answer()
    assert pair.copy.residue == 0
    assert pair.view.positions == {}


def test_partial_closes_in_odd_steps_follow_the_fraction_not_the_sum_of_roundings() -> None:
    """3.00 lots to 2.00 to 1.00, copied by 0.1 with a step of 0.1: 0.3, target 0.2, target 0.1: one step each."""
    from tests.factories import a_spec, a_view

    pair = Pair({"volume.amount": "0.1"}, view=a_view((a_spec(step_volume=1_000_000, min_volume=1_000_000),)))
    pair.opens(3 * LOT)
    pair.answer()
    pair.reduces(3 * LOT, 2 * LOT)
    pair.answer()
    assert pair.copy.volume == 2_000_000
    pair.reduces(2 * LOT, LOT)
    pair.answer()
    assert pair.copy.volume == 1_000_000
    assert pair.copy.residue == 0


def test_rounding_up_closes_one_step_more_and_never_leaves_more_than_the_target() -> None:
    """With `partial_rounding=up`, 0.01 lot at a target of 0.0067 closes whole: 0.00 is not above it."""
    pair = Pair({"volume.amount": "0.01", "partial_rounding": "up"})
    pair.opens()
    pair.answer()
    pair.reduces(LOT, 6_700_000)
    assert pair.commands[-1].kind is CommandKind.CLOSE
    assert pair.commands[-1].volume == 100_000
    pair.answer()
    assert pair.copy.state is CopyState.CLOSED


def test_a_reduction_before_the_open_is_settled_is_enforced_once_the_copy_is_seen() -> None:
    """The leader halves while our open is in flight: half is the target at once, and half is closed on the fill."""
    pair = Pair()
    pair.opens()
    pair.send()
    pair.reduces(LOT, LOT // 2)
    assert len(pair.sent) == 1
    pair.answer()
    assert pair.commands[-1].kind is CommandKind.CLOSE
    assert pair.copy.volume == LOT // 2


def test_a_close_before_the_open_is_settled_closes_the_copy_however_late_it_shows() -> None:
    """The open was sent and is unknown; the leader closes; the fill comes a minute later and is closed at once."""
    pair = Pair()
    pair.opens()
    pair.send()
    events = pair.events_of(pair.sent[0])
    pair.lose()
    pair.closes()
    pair.passes(60_000_000)
    assert len(pair.sent) == 1
    pair.hears(events)
    assert (pair.commands[-1].kind, pair.commands[-1].whole) == (CommandKind.CLOSE, True)
    pair.answer()
    assert pair.copy.reason is Reason.CLOSED_BY_LEADER


def test_a_close_before_the_open_has_left_withdraws_it() -> None:
    """Not yet sent: none(source_gone), the intent is to be taken back, and its return ends the copy."""
    pair = Pair()
    pair.opens()
    decided = pair.closes()
    assert (decided.verdict, decided.reason) == (Verdict.NONE, Reason.SOURCE_GONE)
    assert withdrawn(pair.view) == (pair.intent(),)
    pair.drop()
    assert (pair.copy.state, pair.copy.reason) == (CopyState.CANCELLED, Reason.SOURCE_GONE)


def test_a_partial_fill_asks_for_the_rest_as_an_add_until_it_is_too_late() -> None:
    """0.4 of 1.0 lot fills and the rest is cancelled: 0.6 is added to the position, as part 2 of the open."""
    pair = Pair()
    pair.opens()
    pair.answer(part=4_000_000)
    assert (pair.copy.volume, len(pair.sent)) == (4_000_000, 1)
    pair.wake()
    add = pair.commands[-1]
    assert (add.kind, add.volume, add.position) == (CommandKind.ADD, 6_000_000, pair.copy.position)
    pair.answer()
    assert pair.copy.volume == LOT
    assert pair.intent().endswith(".1-2")


def test_a_partial_fill_that_stays_partial_becomes_what_the_copy_is() -> None:
    """After `max_age` nothing is added; the leader's half is then half of what was filled."""
    pair = Pair()
    pair.opens()
    pair.answer(part=4_000_000)
    pair.passes(40_000_000)
    assert pair.copy.target == 4_000_000
    pair.reduces(LOT, LOT // 2)
    pair.answer()
    assert pair.copy.volume == 2_000_000


def test_a_lost_open_is_looked_up_and_sent_once_more_under_its_own_name() -> None:
    """No answer: unknown. Absent by proof after the settling time: the same name goes out once more, not twice."""
    pair = Pair({"max_age": "10m"})
    pair.opens()
    pair.send()
    first = pair.lose()[0]
    pair.passes(10_000_000)
    assert lookup_due(pair.view) == pair.now_us + 10_000_000
    pair.now_us += 10_000_000
    pair.fact(pair.reconciled(looked_up=True))
    assert [intent.intent for intent in pair.waiting] == [first.intent]
    assert pair.waiting[0].attempt == 2
    pair.send()
    pair.lose()
    pair.passes(10_000_000)
    pair.now_us += 10_000_000
    pair.fact(pair.reconciled(looked_up=True))
    assert pair.waiting == []
    assert pair.copy.reason is Reason.EXPIRED


def test_absence_without_the_history_or_before_the_settling_time_proves_nothing() -> None:
    """Only order list and reconcile after the settling time count; until then the outcome stays unknown."""
    pair = Pair({"max_age": "10m"})
    pair.opens()
    pair.send()
    pair.lose()
    pair.passes(10_000_000)
    pair.fact(pair.reconciled(looked_up=True))
    pair.now_us += 20_000_000
    pair.fact(pair.reconciled(looked_up=False))
    assert pair.waiting == []
    assert len(pair.view.intents) == 1


def test_a_lost_open_that_the_broker_shows_is_joined_by_its_label() -> None:
    """The answer never came, the position is there: confirmed, not sent again, and its levels are checked."""
    pair = Pair()
    pair.opens(stop=price("1.09"))
    pair.send()
    pair.events_of(pair.sent[0])
    pair.lose()
    pair.fact(IntentOverdue(intent=pair.intent(), why="cut"))
    pair.fact(pair.reconciled())
    assert pair.copy.state is CopyState.OPEN
    assert pair.copy.volume == LOT
    settled = [event for event, _ in pair.said if isinstance(event, IntentSettled)]
    assert settled[0].outcome is Outcome.CONFIRMED


@pytest.mark.parametrize("rules", [RULES, ABSENT_WAS_NOT_CLOSED - 1])
def test_a_lost_open_may_not_go_again_once_it_is_too_old_or_its_source_has_gone(rules: int) -> None:
    """Proof of absence alone is no leave to send: the gates of time and source are asked again. What never held
    anything was not closed by its leader: by the rules of before it was said to be."""
    late, gone = Pair(), Pair({"max_age": "10m"})
    for pair in (late, gone):
        pair.fact(RulesBegan(rules=rules))
        pair.opens()
        pair.send()
        pair.lose()
    gone.closes()
    for pair in (late, gone):
        pair.passes(10_000_000)
        pair.now_us += 25_000_000
        pair.fact(pair.reconciled(looked_up=True))
        assert len(pair.sent) == 1
    assert late.copy.reason is Reason.EXPIRED
    is_new = rules == RULES
    assert gone.copy.reason is (Reason.SOURCE_GONE if is_new else Reason.CLOSED_BY_LEADER)
    assert gone.copy.state is (CopyState.CANCELLED if is_new else CopyState.CLOSED)


def test_a_refused_close_is_asked_for_again_for_ever_with_growing_delay() -> None:
    """1, 2, 4 … up to 60 s: never given up, never aged, and an alert stands until it is done."""
    pair = opened()
    pair.closes()
    delays = []
    for _ in range(9):
        pair.refuse("MARKET_CLOSED")
        delays.append((pair.copy.close_at_us - pair.now_us) // 1_000_000)
        pair.passes(pair.copy.close_at_us - pair.now_us)
        assert pair.waiting[-1].command.whole
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert any("MARKET_CLOSED" in text for text in pair.view.alerts.values())
    pair.answer()
    pair.passes(1)
    assert pair.copy.state is CopyState.CLOSED
    assert not pair.view.alerts


@pytest.mark.parametrize("trailed", [False, True])
def test_a_refused_close_is_asked_for_no_sooner_where_the_leader_moves_a_level(trailed: bool) -> None:
    """Half of it is refused again and again: its delay grows, and one alert stands, while his stop is followed."""
    pair = Pair({"copy_trailing": "off"})
    pair.opens(stop=price("1.095"), trailing=trailed)
    pair.answer(at="1.1")
    pair.reduces(LOT, LOT // 2)
    pair.refuse("TRADING_DISABLED")
    pair.passes(1_000_000)
    pair.refuse("TRADING_DISABLED")
    pair.passes(1)
    asked, began = len(pair.sent), pair.now_us
    for pips in range(1, 9):
        pair.protects(stop=f"1.095{pips}", trailing=trailed, trailed=trailed)
        pair.answer()
        pair.passes(200_000)
    pair.answer()
    kinds = [command.kind for command in pair.commands[asked:]]
    assert kinds == [CommandKind.AMEND_PROTECTION] * (2 if trailed else 8)
    said = [event for event, _ in pair.said if isinstance(event, AlertRaised | AlertHealed)]
    assert [type(event) for event in said] == [AlertRaised]
    pair.passes(pair.copy.close_at_us - pair.now_us)
    assert (pair.now_us - began, pair.waiting[-1].command.kind) == (1_999_999, CommandKind.CLOSE)
    pair.answer()
    pair.passes(1)
    assert (pair.copy.volume, pair.copy.close_refusals, dict(pair.view.alerts)) == (LOT // 2, 0, {})


def test_a_refused_level_holds_no_close_up() -> None:
    """His stop is refused for a minute; what a person's order on the leader's side ended ahead of is closed at once."""
    pair = Pair()
    pair.order()
    pair.answer()
    (number,) = pair.resting
    pair.hears(pair.order_triggers(number))
    pair.order_fills(LOT // 2)
    pair.protects(stop="1.08")
    for _ in range(5):
        pair.refuse("TRADING_BAD_STOPS")
        pair.passes(pair.copy.retry_at_us - pair.now_us)
    pair.refuse("TRADING_BAD_STOPS")
    pair.passes(pair.copy.ahead_since_us + 60_000_000 - pair.now_us)
    assert pair.copy.retry_at_us > pair.now_us
    (close,) = pair.waiting
    assert (close.command.kind, close.command.volume) == (CommandKind.CLOSE, LOT // 2)


def test_a_close_refused_out_of_session_goes_out_at_the_opening() -> None:
    """Sunday 12:26:40, open from 13:00 on: every 15 min, in the second of the opening, then after 1, 2, 4 s."""
    spec = a_spec(schedule=(Interval(start_s=13 * 3_600, end_s=600_000),))
    pair = Pair(view=a_view((spec,)))
    pair.opens()
    pair.answer()
    pair.closes()
    delays = []
    for _ in range(6):
        pair.refuse("MARKET_CLOSED", temporary=True)
        delays.append((pair.copy.close_at_us - pair.now_us) // 1_000_000)
        pair.passes(pair.copy.close_at_us - pair.now_us)
        assert pair.waiting[-1].command.whole
    assert delays == [900, 900, 200, 1, 2, 4]
    pair.answer()
    assert pair.copy.state is CopyState.CLOSED


def test_an_alert_about_a_refused_close_comes_at_once_and_every_quarter_of_an_hour() -> None:
    """At once; again after 15 and 30 minutes; healed when it is done."""
    pair = opened()
    pair.closes()
    pair.refuse("TRADING_DISABLED")
    said: list[int] = []
    began = pair.now_us
    for _ in range(2_000):
        moment = next_due(pair.view)
        assert moment is not None
        pair.passes(max(0, moment - pair.now_us))
        if pair.waiting:
            pair.refuse("TRADING_DISABLED")
        said = [(at_us - began) // 60_000_000 for event, at_us in pair.said if isinstance(event, AlertRaised)]
        if len(said) == 3:
            break
    assert said == [0, 15, 30]


def test_position_not_found_is_done_once_a_reconcile_agrees() -> None:
    """The broker says the position is gone: a look is asked for, and only its word ends the copy."""
    pair = opened()
    pair.closes()
    number = pair.copy.position
    assert number is not None
    pair.refuse("POSITION_NOT_FOUND")
    assert pair.copy.state is CopyState.CLOSING
    assert lookup_due(pair.view) is not None
    del pair.held[number]
    pair.fact(pair.reconciled(looked_up=True))
    assert pair.copy.state is CopyState.CLOSED


def test_after_a_reconnect_a_close_that_was_missed_is_asked_for_at_once() -> None:
    """Level-triggered: a refusal's delay ends with the next reconcile."""
    pair = opened()
    pair.closes()
    for _ in range(7):
        pair.refuse("TRADING_DISABLED")
        pair.passes(pair.copy.close_at_us - pair.now_us)
    pair.refuse("TRADING_DISABLED")
    pair.fact(HealthChanged(health=Health.DOWN))
    pair.fact(pair.reconciled())
    pair.fact(HealthChanged(health=Health.RECONCILED))
    assert len(pair.waiting) == 1


def test_a_person_who_closes_a_copy_ends_it_and_adds_are_not_copied() -> None:
    """Closed by hand: finished; the leader's add meets none(copy_finished) and so does his close."""
    pair = opened()
    assert pair.copy.position is not None
    pair.hears(pair.close(pair.copy.position, LOT))
    assert (pair.copy.state, pair.copy.reason) == (CopyState.CLOSED, Reason.CLOSED_BY_HUMAN)
    assert pair.grows(LOT, 2 * LOT).reason is Reason.COPY_FINISHED
    assert pair.closes(2 * LOT).reason is Reason.COPY_FINISHED
    assert len(pair.sent) == 1


def test_a_source_whose_copy_has_ended_is_not_opened_again_whoever_tells_of_it() -> None:
    """Closed by hand: a reconcile that finds the leader's position, under a key of its own, opens nothing."""
    pair = opened()
    assert pair.copy.position is not None
    pair.hears(pair.close(pair.copy.position, LOT))
    again = pair.opens(synced=True, late=True)
    assert (again.verdict, again.reason) == (Verdict.NONE, Reason.COPY_FINISHED)
    assert len(pair.sent) == 1


def test_a_close_whose_answer_was_lost_is_not_made_again_before_the_volume_proves_it() -> None:
    """A snapshot within the settling time proves nothing, nor one without the history; after both it goes again."""
    pair = opened()
    pair.closes()
    (lost,) = pair.lose()
    pair.fact(IntentSent(intent=lost.intent))
    pair.passes(ANSWER_US)
    pair.fact(pair.reconciled(looked_up=True))
    pair.now_us += SETTLE_US
    pair.fact(pair.reconciled())
    assert pair.waiting == []
    assert list(pair.view.intents) == [lost.intent]
    pair.fact(pair.reconciled(looked_up=True))
    pair.passes(2_000_000)
    assert [intent.command.kind for intent in pair.waiting] == [CommandKind.CLOSE]


def test_what_a_person_removed_is_never_topped_up_and_counts_from_then_on() -> None:
    """1.0 closed by hand to 0.6; the leader's half is 0.3 of it; his doubling adds what doubles the copy."""
    pair = opened()
    assert pair.copy.position is not None
    pair.passes(1_000)
    pair.hears(pair.close(pair.copy.position, 4_000_000))
    assert pair.copy.target == 6_000_000
    assert [event.what for event, _ in pair.said if isinstance(event, CopyTouched)] == ["volume"]
    pair.passes(1_000)
    pair.reduces(LOT, LOT // 2)
    pair.answer()
    assert pair.copy.volume == 3_000_000
    pair.passes(1_000)
    pair.grows(LOT // 2, LOT)
    pair.answer()
    assert pair.copy.volume == 6_000_000


def test_what_a_person_removed_beside_a_close_of_ours_is_counted_without_it() -> None:
    """The leader's half closes 0.5 of 1.0 and the answer is lost; by the reconcile a person has closed a half of the
    rest: 0.25 is what he wants, all of it, and no part of it is closed once more."""
    pair = opened()
    number = pair.copy.position
    assert number is not None
    pair.passes(1_000)
    pair.reduces(LOT, LOT // 2)
    (lost,) = pair.lose()
    pair.send()
    pair.close(number, LOT // 2, name=lost.intent)
    pair.close(number, LOT // 4)
    pair.fact(IntentOverdue(intent=lost.intent, why="the connection was lost"))
    pair.fact(pair.reconciled())
    assert (pair.copy.volume, pair.copy.target) == (LOT // 4, LOT // 4)
    (touched,) = [event for event, _ in pair.said if isinstance(event, CopyTouched)]
    assert (touched.before, touched.after) == (LOT // 2, LOT // 4)
    pair.answer()
    assert pair.held[number].volume == LOT // 4


def test_the_rest_of_an_open_that_may_be_filling_still_is_not_asked_for_again() -> None:
    """The line is cut as 0.3 of 1.0 have filled; the rest fills behind the reconcile, and is not opened twice."""
    pair = Pair()
    pair.opens()
    (intent,) = pair.lose()
    pair.fact(IntentSent(intent=intent.intent))
    pair.fact(IntentOverdue(intent=intent.intent, why="the connection was lost"))
    _, filled = pair.events_of(intent)
    assert isinstance(filled, ExecutionSeen)
    (held,) = pair.held.values()
    pair.held[held.position] = replace(held, volume=Volume(3 * LOT // 10))
    pair.fact(pair.reconciled())
    pair.passes(2_000_000)
    assert (pair.copy.volume, len(pair.commands)) == (3 * LOT // 10, 1)
    pair.held[held.position] = replace(held, updated_ms=held.updated_ms + 1)
    pair.fact(replace(filled, position=pair.held[held.position]))
    pair.passes(2_000_000)
    assert (pair.copy.volume, len(pair.commands), len(pair.view.intents)) == (LOT, 1, 0)


def test_what_is_there_of_an_open_of_unknown_outcome_is_protected_meanwhile() -> None:
    """0.3 of 1.0 are there and nobody knows of the rest: the leader's stop goes out all the same, at once."""
    pair = Pair()
    pair.opens()
    (intent,) = pair.lose()
    pair.fact(IntentSent(intent=intent.intent))
    pair.fact(IntentOverdue(intent=intent.intent, why="the connection was lost"))
    pair.events_of(intent)
    (held,) = pair.held.values()
    pair.held[held.position] = replace(held, volume=Volume(3 * LOT // 10))
    pair.fact(pair.reconciled())
    pair.protects(stop="1.09")
    assert [command.kind for command in pair.commands] == [CommandKind.OPEN, CommandKind.AMEND_PROTECTION]


def test_a_fill_whose_deal_a_reconcile_told_ahead_of_its_position_is_the_copys() -> None:
    """The deals of a gap were read after its snapshot: the event of the fill brings the position, and no new deal."""
    pair = Pair()
    pair.opens()
    (intent,) = pair.lose()
    pair.fact(IntentSent(intent=intent.intent))
    empty = pair.reconciled()
    accepted, filled = pair.events_of(intent)
    assert isinstance(filled, ExecutionSeen)
    assert filled.deal is not None
    pair.hears([accepted, replace(empty, deals=(filled.deal,)), filled])
    assert (pair.copy.position, pair.copy.volume) == (filled.deal.position, LOT)
    pair.closes()
    pair.answer()
    assert pair.held == {}


def test_what_a_person_added_is_part_of_the_copy() -> None:
    """1.0 raised by hand to 1.5 is left alone; half of the leader is half of it; a full close closes all of it."""
    pair = opened()
    number = pair.copy.position
    assert number is not None
    pair.passes(1_000)
    held = replace(pair.held[number], volume=Volume(15_000_000), updated_ms=pair.now_us // 1_000)
    pair.held[number] = held
    from cmam.domain.values.trades import Deal

    deal = Deal(
        deal=99_991, order=99_990, position=number, symbol=held.symbol, side=Side.BUY,
        volume=Volume(5_000_000), filled_volume=Volume(5_000_000), price=price("1.1"),
    )  # fmt: skip
    pair.fact(ExecutionSeen(kind=ExecutionKind.ORDER_FILLED, position=held, deal=deal))
    assert pair.waiting == []
    pair.reduces(LOT, LOT // 2)
    pair.answer()
    assert pair.copy.volume == 7_500_000
    pair.passes(1_000)
    pair.closes(LOT // 2)
    assert pair.commands[-1].volume == 7_500_000


@pytest.mark.parametrize("after", [10 * LOT, LOT // 10])
def test_a_position_that_the_broker_corrects_is_traded_by_nobody(after: int) -> None:
    """A split of ten to one, or one to ten, comes without order and deal: it is the copy's volume from then on."""
    pair = opened()
    number = pair.copy.position
    assert number is not None
    pair.passes(1_000)
    pair.held[number] = replace(pair.held[number], volume=Volume(after), updated_ms=pair.now_us // 1_000)
    pair.fact(ExecutionSeen(kind=ExecutionKind.SWAP, position=pair.held[number]))
    assert pair.waiting == []
    [touched] = [event for event, _ in pair.said if isinstance(event, CopyTouched)]
    assert (touched.what, touched.before, touched.after) == ("volume", LOT, after)
    pair.passes(1_000)
    pair.reduces(LOT, LOT // 2)
    assert [command.volume for command in pair.commands[1:]] == [after // 2]


def test_a_level_or_a_stop_out_ends_a_copy_with_its_own_word() -> None:
    """A stop hit (N) is closed_by_level; a stop-out latches the link for opens until it is re-armed."""
    hit, out = opened(), opened()
    for pair in (hit, out):
        pair.passes(1_000)
    assert hit.copy.position is not None
    assert out.copy.position is not None
    hit.hears(hit.close(hit.copy.position, LOT, by_level=True))
    out.hears(out.close(out.copy.position, LOT, stop_out=True))
    assert hit.copy.reason is Reason.CLOSED_BY_LEVEL
    assert out.copy.reason is Reason.CLOSED_BY_STOP_OUT
    assert any(isinstance(event, StopOutSeen) for event, _ in out.said)
    source = position_source(PositionId(501))
    assert out.tell(out.change(source=source, position=PositionId(501))).reason is Reason.GUARD
    assert hit.tell(hit.change(source=source, position=PositionId(501))).verdict is Verdict.COPY


def test_a_stop_out_that_took_the_whole_copy_out_of_sight_locks_its_link_once() -> None:
    """The look shows the copy gone, and its history why: nothing opens, until it is re-armed; then the next look, which
    finds the same deals, locks nothing."""
    pair = opened()
    (number,) = pair.held
    pair.fact(HealthChanged(health=Health.DOWN))
    events = pair.close(number, LOT, stop_out=True)
    fill = next(event for event in events if isinstance(event, ExecutionSeen) and event.deal is not None)
    assert fill.order is not None
    assert fill.deal is not None
    look = replace(pair.reconciled(past_orders=(fill.order,)), deals=(fill.deal,))
    pair.fact(look)
    pair.fact(HealthChanged(health=Health.RECONCILED))
    assert pair.copy.reason is Reason.CLOSED_BY_STOP_OUT
    assert pair.opens(source=position_source(PositionId(501))).reason is Reason.GUARD
    pair.fact(GuardRearmed(link=LINK, guard=""))
    pair.fact(look)
    assert pair.opens(source=position_source(PositionId(502))).verdict is Verdict.COPY


def test_what_rests_ends_with_a_stop_out() -> None:
    """Its order could fill where margin is short: it is cancelled at once, and the leader's fill opens nothing."""
    pair = opened()
    pair.order()
    pair.answer()
    (number,) = pair.held
    pair.hears(pair.close(number, LOT // 2, stop_out=True))
    assert pair.commands[-1].kind is CommandKind.CANCEL
    pair.answer()
    assert (pair.resting, pair.view.copies[LINK, position_source(PositionId(500))].volume) == ({}, LOT // 2)
    decided = pair.order_fills(position=PositionId(501), source=position_source(PositionId(501)))
    assert decided.reason is Reason.COPY_FINISHED


def test_a_smart_stop_out_of_a_part_is_never_added_to_again() -> None:
    """The broker takes a half: the rest follows the leader down, and never up."""
    pair = opened()
    assert pair.copy.position is not None
    pair.passes(1_000)
    pair.hears(pair.close(pair.copy.position, LOT // 2, stop_out=True))
    assert pair.copy.volume == LOT // 2
    assert pair.grows(LOT, 2 * LOT).reason is Reason.COPY_FINISHED
    assert len(pair.sent) == 1


def test_an_event_of_a_foreign_order_touches_no_copy() -> None:
    """Other positions of the same account are facts of the account, and nothing is asked because of them."""
    pair = opened()
    stranger = Position(position=PositionId(9), symbol=pair.copy.symbol, side=Side.SELL, volume=Volume(LOT))
    order = Order(
        order=OrderId(8), symbol=pair.copy.symbol, side=Side.SELL, type=OrderType.MARKET, volume=Volume(LOT),
        status=OrderStatus.FILLED, client_order_id="foreign", position=PositionId(9),
    )  # fmt: skip
    pair.fact(ExecutionSeen(kind=ExecutionKind.ORDER_FILLED, order=order, position=stranger, client_msg_id="1"))
    assert PositionId(9) in pair.view.positions
    assert pair.waiting == []
    assert pair.copy.volume == LOT


def test_a_position_that_a_reconcile_no_longer_shows_has_ended() -> None:
    """While we were away somebody closed it: finished, and nothing is sent."""
    pair = opened()
    pair.held.clear()
    pair.fact(pair.reconciled())
    assert pair.copy.reason is Reason.CLOSED_BY_HUMAN
    assert len(pair.sent) == 1


def test_growth_is_a_fraction_of_the_target_and_needs_scale_in() -> None:
    """0.5 × 1.0 lot, then the leader goes 1.0 to 1.5: target 0.5 × 1.5 = 0.75, so 0.25 is added, without levels."""
    pair = opened(volume__amount="0.5")
    pair.grows(LOT, 15_000_000)
    add = pair.commands[-1]
    assert (add.kind, add.volume, add.relative_stop) == (CommandKind.ADD, 2_500_000, None)
    pair.answer()
    assert pair.copy.volume == 7_500_000
    off = opened(scale_in="off")
    assert off.grows(LOT, 2 * LOT).reason is Reason.SCALE_IN_OFF


def test_growth_by_the_opening_order_belongs_to_the_open() -> None:
    """A first deal below the minimum is skipped; when the same order fills on, the whole is opened."""
    pair = Pair({"volume.amount": "0.01", "scale_in": "off"})
    assert pair.opens(1_000_000).reason is Reason.BELOW_MINIMUM
    decided = pair.grows(1_000_000, LOT, origin=OrderId(400), is_opening=True)
    assert (decided.verdict, decided.volume) == (Verdict.COPY, 100_000)
    pair.answer()
    pair.grows(LOT, 2 * LOT, origin=OrderId(400), is_opening=True)
    assert pair.commands[-1].kind is CommandKind.ADD


def test_a_reversal_closes_whole_and_then_opens_the_other_side_under_a_new_name() -> None:
    """Buy 1.0 becomes sell 1.5: close 1.0; only after its fill a sell of 1.5 goes out, numbered on."""
    pair = opened()
    pair.passes(1_000)
    volumes = {"before": Volume(LOT), "after": Volume(15_000_000), "volume": Volume(15_000_000)}
    pair.tell(pair.change(ChangeKind.REVERSED, side=Side.SELL, **volumes))
    assert (pair.commands[-1].kind, pair.commands[-1].whole) == (CommandKind.CLOSE, True)
    pair.wake()
    assert len(pair.sent) == 2
    pair.answer()
    pair.wake()
    fresh = pair.sent[-1]
    assert (fresh.command.kind, fresh.command.side, fresh.command.volume) == (CommandKind.OPEN, Side.SELL, 15_000_000)
    assert fresh.seq == 3
    pair.answer()
    assert (pair.copy.state, pair.copy.side, pair.copy.volume) == (CopyState.OPEN, Side.SELL, 15_000_000)


def test_a_reversal_whose_close_is_refused_opens_nothing_before_the_old_side_is_gone() -> None:
    """No request is under way between two tries of the close, and still the new side waits for its fill."""
    pair = opened()
    pair.passes(1_000)
    volumes = {"before": Volume(LOT), "after": Volume(LOT), "volume": Volume(LOT)}
    pair.tell(pair.change(ChangeKind.REVERSED, side=Side.SELL, **volumes))
    pair.refuse("MARKET_CLOSED", temporary=True)
    pair.wake()
    assert pair.waiting == []
    pair.passes(1_500_000)
    assert [intent.command.kind for intent in pair.waiting] == [CommandKind.CLOSE]
    pair.answer()
    pair.wake()
    assert [intent.command.kind for intent in pair.waiting] == [CommandKind.OPEN]


def test_a_temporary_refusal_of_an_open_is_tried_again_within_its_age() -> None:
    """MARKET_CLOSED for an open: a second later it passes all gates again; when it is too old, it ends."""
    pair = Pair()
    pair.opens()
    pair.refuse("MARKET_CLOSED", temporary=True)
    assert pair.copy.state is CopyState.WAITING
    pair.passes(1_000_000)
    assert len(pair.waiting) == 1
    pair.refuse("MARKET_CLOSED", temporary=True)
    pair.passes(31_000_000)
    assert pair.copy.state.is_end
    assert len(pair.sent) == 2


def test_a_permanent_refusal_ends_the_copy_at_once() -> None:
    """NOT_ENOUGH_MONEY is final: no second try, the code stands in the outcome."""
    pair = Pair()
    pair.opens()
    pair.refuse("NOT_ENOUGH_MONEY")
    assert (pair.copy.state, pair.copy.reason) == (CopyState.REFUSED, Reason.REFUSED)
    pair.passes(60_000_000)
    assert len(pair.sent) == 1


def test_a_split_adds_its_parts_after_the_first_fill() -> None:
    """2.5 lots where one order takes at most 1.0: 1.0 opens, then 1.0 and 0.5 are added to the same position."""
    from tests.factories import a_spec, a_view

    view = a_view((a_spec(max_volume=LOT),), balance=100_000_000)
    pair = Pair({"volume.rounding": "split"}, view=view)
    pair.opens(25_000_000)
    pair.wake()
    assert [command.volume for command in pair.commands] == [LOT]
    for _ in range(3):
        pair.answer()
        pair.wake()
    assert [command.volume for command in pair.commands] == [LOT, LOT, 5_000_000]
    assert [command.kind.value for command in pair.commands] == ["open", "add", "add"]
    assert [intent.intent.rpartition(".")[2] for intent in pair.sent] == ["1", "1-2", "1-3"]
    pair.answer()
    assert pair.copy.volume == 25_000_000


def test_an_intent_without_outcome_at_a_restart_is_unknown_and_a_late_fill_settles_it() -> None:
    """What was recorded and not answered when we died is looked up, never resent; the fill still tells."""
    pair = Pair()
    pair.opens()
    events = pair.events_of(pair.sent[0])
    pair.lose()
    pair.fact(IntentOverdue(intent=pair.intent(), why="cmam was started again"))
    pair.hears(events)
    assert pair.copy.volume == LOT
    assert not pair.view.intents


@pytest.mark.parametrize("cut", range(12))
def test_a_prefix_and_the_rest_give_the_same_view_as_all(cut: int) -> None:
    """Folding is a function of the events alone: wherever we stop and go on, the view is the same."""
    pair = opened()
    pair.protects(stop="1.09")
    pair.answer()
    pair.closes()
    pair.answer()
    start = Pair().view
    whole = start
    for event, at_us in pair.said:
        whole = evolve(whole, event, at_us)
    cut = min(cut, len(pair.said))
    part = start
    for event, at_us in pair.said[:cut]:
        part = evolve(part, event, at_us)
    for event, at_us in pair.said[cut:]:
        part = evolve(part, event, at_us)
    assert part == whole == pair.view


def test_a_source_key_of_another_link_never_meets_this_copy() -> None:
    """Copies are known by link and source together."""
    pair = opened()
    assert pair.view.copy((LinkId("other1"), SourceKey("pdw"))) is None
    assert pair.view.copy((LINK, SourceKey("pdw"))) is pair.copy


def test_a_close_of_the_leader_is_copied_whatever_stands_in_the_way_of_opens() -> None:
    """Paused, ignore_new, excluded symbol, old, no quotes: none of it holds up a close."""
    pair = opened()
    pair.settings = {"ignore_new": "on", "symbols.exclude": "EURUSD", "max_age": "1ms", "side": "sell"}
    from tests.factories import some_settings

    pair.link = some_settings(pair.settings)
    pair.quotes.clear()
    from cmam.domain.events import Standing

    decided = pair.tell(
        pair.change(ChangeKind.CLOSED, before=Volume(LOT), after=Volume(0), at_ms=0), standing=Standing.PAUSED
    )
    assert decided.verdict is Verdict.COPY
    assert pair.commands[-1].whole


def test_every_request_is_recorded_before_its_outcome() -> None:
    """In the stream each outcome stands behind the intent that it settles."""
    pair = opened()
    pair.closes()
    pair.answer()
    seen: set[str] = set()
    for event, _ in pair.said:
        if isinstance(event, IntentRecorded):
            seen.add(event.intent)
        if isinstance(event, IntentSettled):
            assert event.intent in seen
    assert len(seen) == 2
