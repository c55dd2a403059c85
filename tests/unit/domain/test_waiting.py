"""Opens that wait: for a better price, for a stop, for a turn; through all gates when they go, and ended in time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.copies import CopyState
from cmam.domain.events import AttemptDecided, CopyWoken, RulesBegan
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.ids import PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.trades import Position
from tests.factories import LOT, Pair, a_view, price, some_settings


def test_wait_for_better_opens_when_the_price_has_come() -> None:
    """2 pips better than 1.1: nothing at an ask of 1.09981, an open at 1.0998, with one record of the look."""
    pair = Pair({"wait_for_better": "2"})
    found = pair.opens()
    assert (found.verdict, found.wait) == (Verdict.COPY, "better")
    assert (pair.copy.state, pair.sent) == (CopyState.WAITING, [])
    assert pair.next_wake() == pair.now_us + 250_000
    pair.quotes["EURUSD"] = ("1.09979", "1.09981")
    pair.passes(1_000_000)
    assert pair.sent == []
    pair.quotes["EURUSD"] = ("1.09978", "1.0998")
    pair.passes(1_000_000)
    assert len(pair.sent) == 1
    assert sum(isinstance(event, CopyWoken) for event, _ in pair.said) == 1
    pair.answer()
    assert pair.copy.volume == LOT


def test_a_price_that_does_not_come_ends_the_wait() -> None:
    """Until `max_age`, then skip(not_better): nothing was ever sent."""
    pair = Pair({"wait_for_better": "2"})
    pair.opens()
    pair.passes(30_000_000)
    assert (pair.copy.state, pair.copy.reason) == (CopyState.EXPIRED, Reason.NOT_BETTER)
    attempts = [event for event, _ in pair.said if isinstance(event, AttemptDecided)]
    assert [attempt.reason for attempt in attempts] == [Reason.NOT_BETTER]
    assert pair.sent == []


@pytest.mark.parametrize(
    ("rules", "ask", "reason"),
    [(7, "1.1", Reason.NOT_BETTER), (7, "1.0997", Reason.TOO_OLD), (6, "1.1", Reason.TOO_OLD)],
)
def test_a_wait_that_is_looked_at_after_its_end_was_for_a_price(rules: int, ask: str, reason: Reason) -> None:
    """A look is 250 ms apart from the next: not_better it is, but where the price came too late. It was always told
    as too_old, and nothing of its price beside it."""
    pair = Pair({"wait_for_better": "2"})
    if rules < RULES:
        pair.fact(RulesBegan(rules=rules))
    pair.opens()
    pair.now_us += 30_120_000
    pair.quotes["EURUSD"] = (str(float(ask) - 0.00002), ask)
    pair.wake()
    assert (pair.copy.reason, pair.sent) == (reason, [])
    (attempt,) = [event for event, _ in pair.said if isinstance(event, AttemptDecided)]
    assert any(step.name == "better_by" for step in attempt.working) is (rules == 7)


@pytest.mark.parametrize(("rules", "opened"), [(7, LOT * 2 // 3), (6, LOT * 2)])
def test_what_waits_has_no_part_in_adds_that_are_not_copied(rules: int, opened: int) -> None:
    """`scale_in=off`: 1 lot becomes 3 and then 2 while it waits; two thirds of the one go out, not all he has left."""
    pair = Pair({"wait_for_better": "2", "scale_in": "off"})
    if rules < RULES:
        pair.fact(RulesBegan(rules=rules))
    pair.opens()
    assert pair.grows(LOT, 3 * LOT).reason is Reason.SCALE_IN_OFF
    pair.reduces(3 * LOT, 2 * LOT)
    pair.quotes["EURUSD"] = ("1.0997", "1.09972")
    pair.wake()
    assert pair.commands[0].volume == pair.view.specs[SymbolId(1)].floor_volume(opened)


@pytest.mark.parametrize(("rules", "stop"), [(7, "1.095"), (6, "1.0928")])
def test_levels_that_come_after_a_wait_lie_where_the_leaders_do(rules: int, stop: str) -> None:
    """He has none as it opens 22 pips lower, and sets 1.095 then: so does the copy, at a broker of the same prices."""
    pair = Pair({"wait_for_better": "2"})
    if rules < RULES:
        pair.fact(RulesBegan(rules=rules))
    pair.opens()
    pair.quotes["EURUSD"] = ("1.09778", "1.0978")
    pair.wake()
    pair.answer(at="1.0978")
    pair.protects(stop="1.095")
    assert pair.commands[-1].stop == price(stop)


@pytest.mark.parametrize(("rules", "opened"), [(7, 1), (6, 0)])
def test_what_waits_takes_no_place_from_what_may_open(rules: int, opened: int) -> None:
    """Two wait for their price, of one that may be: the one whose price comes opens. The other held it up."""
    pair = Pair({"wait_for_better": "2", "max_positions": "1"})
    if rules < RULES:
        pair.fact(RulesBegan(rules=rules))
    for source, his in (("p1", "1.1"), ("p2", "1.05")):
        assert pair.opens(source=source, price=price(his)).wait == "better"
    pair.quotes["EURUSD"] = ("1.0997", "1.09972")
    pair.wake()
    assert len(pair.sent) == opened


@pytest.mark.parametrize(("rules", "base"), [(7, "1.12"), (6, "1.1")])
def test_an_add_behind_a_close_has_a_range_of_its_own(rules: int, base: str) -> None:
    """He closes a half and adds at 1.12, 200 pips from his open: the range lies around that, not around his open."""
    pair = Pair({"max_slippage": "5"})
    if rules < RULES:
        pair.fact(RulesBegan(rules=rules))
    pair.opens()
    pair.answer()
    pair.quotes["EURUSD"] = ("1.11998", "1.12")
    pair.reduces(LOT, LOT // 2)
    assert pair.grows(LOT // 2, LOT, price=price("1.12")).wait == "remainder"
    pair.answer()
    pair.wake()
    command = pair.commands[-1]
    assert (command.order_type, command.base_price) == ("market_range", price(base))


def test_a_leader_who_closes_ends_the_wait() -> None:
    """none(source_gone), and the later price opens nothing."""
    pair = Pair({"wait_for_better": "2"})
    pair.opens()
    assert pair.closes().reason is Reason.SOURCE_GONE
    pair.quotes["EURUSD"] = ("1.0", "1.00002")
    pair.passes(1_000_000)
    assert pair.sent == []
    assert pair.copy.state.is_end


def test_a_leader_who_reduces_meanwhile_is_followed_when_it_opens() -> None:
    """He halves while we wait: a half goes out."""
    pair = Pair({"wait_for_better": "2"})
    pair.opens()
    pair.reduces(LOT, LOT // 2)
    pair.quotes["EURUSD"] = ("1.0997", "1.09972")
    pair.wake()
    assert pair.commands[0].volume == LOT // 2


@pytest.mark.parametrize(("leader_holds", "is_skipped"), [(True, True), (False, False)])
def test_another_copier_that_begins_meanwhile_ends_the_wait(leader_holds: bool, is_skipped: bool) -> None:
    """It has copied another position of this leader, so it copies him: ours would double what it does next."""
    pair = Pair({"wait_for_better": "2"})
    pair.opens()
    theirs = Position(
        position=PositionId(100), symbol=SymbolId(1), side=Side.BUY, volume=Volume(LOT), price=price("1.1")
    )
    foreign = replace(theirs, position=PositionId(3), label="cm1.other.l1nk09.p2s")
    pair.held[foreign.position] = foreign
    pair.fact(pair.reconciled())
    pair.leader = replace(a_view(), positions={theirs.position: theirs} if leader_holds else {})
    pair.quotes["EURUSD"] = ("1.0997", "1.09972")
    pair.passes(1_000_000)
    attempts = [event for event, _ in pair.said if isinstance(event, AttemptDecided)]
    assert [attempt.reason for attempt in attempts] == [Reason.OTHER_COPIER if is_skipped else None]
    assert len(pair.sent) == (0 if is_skipped else 1)
    assert not is_skipped or pair.copy.state.is_end


def test_a_late_gate_ends_the_wait() -> None:
    """Settings changed meanwhile: the gates are those of the moment it goes."""
    pair = Pair({"wait_for_better": "2"})
    pair.opens()
    pair.link = some_settings({"wait_for_better": "2", "ignore_new": "on"})
    pair.quotes["EURUSD"] = ("1.0997", "1.09972")
    pair.wake()
    assert pair.copy.reason is Reason.IGNORE_NEW
    assert pair.sent == []


def test_risk_percent_waits_for_a_stop() -> None:
    """The leader sets it 300 ms later: 1 % of 10,000 over 50 pips is 20,000 units."""
    pair = Pair({"volume.mode": "risk_percent"})
    assert pair.opens().wait == "stop"
    pair.passes(300_000)
    pair.protects(stop="1.095")
    pair.wake()
    assert pair.commands[0].volume == 2_000_000
    assert pair.commands[0].relative_stop == price("0.005")


def test_without_a_stop_in_time_the_open_is_skipped_or_takes_its_own_lots() -> None:
    """After `stop_wait` of a second: skip(no_stop), or 0.03 lot."""
    pair = Pair({"volume.mode": "risk_percent"})
    pair.opens()
    pair.passes(1_000_000)
    assert (pair.copy.reason, pair.sent) == (Reason.NO_STOP, [])
    own = Pair({"volume.mode": "risk_percent", "volume.without_stop": "0.03"})
    own.opens()
    own.passes(1_000_000)
    assert own.commands[0].volume == 300_000


def test_a_market_range_that_finds_no_price_is_a_skip_for_slippage() -> None:
    """The order is cancelled with nothing filled: skip(slippage); its base is the leader's fill carried over."""
    pair = Pair({"max_slippage": "5"})
    pair.opens()
    command = pair.commands[0]
    assert (command.order_type, command.base_price, command.slippage_points) == ("market_range", price("1.1"), 5)
    pair.answer(part=0)
    assert pair.copy.reason is Reason.SLIPPAGE


def test_a_second_try_with_price_gates_passes_them_again() -> None:
    """Absent by proof, but the price has run away meanwhile: it is not sent again."""
    pair = Pair({"max_price_distance": "5", "max_age": "10m"})
    pair.opens()
    pair.send()
    pair.lose()
    pair.passes(10_000_000)
    pair.now_us += 10_000_000
    pair.quotes["EURUSD"] = ("1.1099", "1.11")
    pair.fact(pair.reconciled(looked_up=True))
    pair.passes(1_000)
    assert len(pair.sent) == 1
    assert pair.copy.reason is Reason.PRICE_AWAY


def test_reopen_opens_a_source_once_more_and_never_after_a_stop_out() -> None:
    """Closed by hand, `reopen=on`: the leader's next add opens all he holds, once."""
    pair = Pair({"reopen": "on"})
    pair.opens()
    pair.answer()
    for expected in (Verdict.COPY, Verdict.NONE):
        pair.passes(1_000)
        (number,) = pair.held
        pair.hears(pair.close(number, pair.held[number].volume))
        found = pair.grows(LOT, 2 * LOT)
        assert found.verdict is expected
        if expected is Verdict.COPY:
            assert found.volume == 2 * LOT
            pair.answer()
    out = Pair({"reopen": "on"})
    out.opens()
    out.answer()
    out.passes(1_000)
    (number,) = out.held
    out.hears(out.close(number, LOT, stop_out=True))
    assert out.grows(LOT, 2 * LOT).reason is Reason.COPY_FINISHED


def test_a_reversal_of_something_never_copied_is_an_open() -> None:
    """Skipped then, it may be copied now, on its new side, through all gates."""
    pair = Pair()
    found = pair.tell(pair.change(ChangeKind.REVERSED, before=Volume(LOT)))
    assert found.verdict is Verdict.COPY
    assert pair.commands[0].volume == LOT


def test_an_open_that_waits_goes_with_the_stop_that_has_trailed_meanwhile() -> None:
    """Waiting for 2 pips, his stop trails from 1.095 to 1.0965: the copy opens with that one, 32 pips from 1.0997."""
    pair = Pair({"wait_for_better": "2", "copy_trailing": "off"})
    pair.opens(stop=price("1.095"), trailing=True)
    pair.passes(1_000_000)
    pair.protects(stop="1.0965", trailing=True, trailed=True)
    pair.quotes["EURUSD"] = ("1.09960", "1.09970")
    pair.passes(1_000_000)
    assert pair.commands[-1].relative_stop == price("0.0032")
