"""The ledger of a netted position: residues that add up, answers that were lost, and what people do to the net."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import AlertRaised, ChangeDecided, CopyTouched, Reconciled
from cmam.domain.turns.added import KIND, said
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.trades import Order, OrderStatus, OrderType, Position
from tests.factories import LOT, Pair, a_spec, a_view
from tests.unit.domain.test_netting import Netted, key, netted

STEP = 100_000


def three(side: Side = Side.BUY) -> Netted:
    """Shares of 2, 3 and 5 steps of one net."""
    pair = netted()
    for number, steps in ((1, 2), (2, 3), (3, 5)):
        pair.opens_at(number, steps * STEP, side)
        pair.answer()
        pair.passes(1_000)
    return pair


def volumes(pair: Netted) -> list[int]:
    """What each live share has, in steps."""
    return [copy.volume // STEP for copy in pair.view.copies.values()]


def test_residues_below_a_step_are_closed_once_they_make_one() -> None:
    """2, 3 and 5 steps fall to 1.6, 2.6 and 4.6: each carries 0.4, two carry 0.8, three 1.2: one step is closed."""
    pair = three()
    first, second = pair.ends(1, 1_000, 800), pair.ends(2, 3_000, 2_600)
    assert [(found.verdict, found.reason) for found in (first, second)] == [(Verdict.NONE, Reason.CARRIED)] * 2
    assert pair.waiting == []
    third = pair.ends(3, 5_000, 4_600)
    assert (third.verdict, third.reason, third.volume) == (Verdict.COPY, None, STEP)
    assert [(intent.command.kind, intent.command.volume) for intent in pair.waiting] == [(CommandKind.CLOSE, STEP)]
    pair.answer()
    assert pair.net == 9 * STEP
    assert sum(copy.volume for copy in pair.view.copies.values()) == 9 * STEP
    for number in (2, 1, 3):
        pair.passes(1_000)
        pair.ends(number, 1_000)
        pair.answer()
    assert (pair.net, pair.view.copies) == (0, {})


def test_a_share_that_gave_a_step_for_all_is_owed_it_when_it_grows() -> None:
    """The share of 5 gave one and has 4 for a target of 4.6; doubled to 9.2 it buys 5."""
    pair = three()
    for number, before, after in ((1, 1_000, 800), (2, 3_000, 2_600), (3, 5_000, 4_600)):
        pair.ends(number, before, after)
    pair.answer()
    giver = next(copy for copy in pair.view.copies.values() if copy.volume < copy.target)
    pair.passes(1_000)
    pair.tell(
        pair.change(
            ChangeKind.GREW,
            source=giver.source,
            position=giver.leader_position,
            before=Volume(1_000),
            after=Volume(2_000),
            volume=Volume(1_000),
        )
    )
    bought = int((2 * giver.target - giver.volume) // STEP) * STEP
    assert pair.commands[-1].volume == bought
    pair.answer()
    assert pair.net == 9 * STEP + bought


def test_residues_of_both_sides_cancel_out() -> None:
    """Long 5 and short 3 carry 0.6 each: the net is as it should be, and nothing is traded."""
    pair = netted()
    for number, steps, side in ((1, 5, Side.BUY), (2, 3, Side.SELL)):
        pair.opens_at(number, steps * STEP, side)
        pair.answer()
        pair.passes(1_000)
    pair.ends(1, 5_000, 4_400)
    pair.ends(2, 3_000, 2_400)
    assert pair.waiting == []
    assert pair.net == 2 * STEP


def _grows(pair: Netted, number: int, before: int, after: int, side: Side = Side.BUY) -> ChangeDecided:
    position = PositionId(number)
    what = {"source": key(number), "position": position, "side": side}
    volumes = {"before": Volume(before), "after": Volume(after), "volume": Volume(after - before)}
    return pair.tell(pair.change(ChangeKind.GREW, **what, **volumes))


def test_growth_that_is_kept_is_bought_by_no_close_of_the_other_side() -> None:
    """Two longs of 2 keep 0.9 each, and the short of 5 keeps what is added to it: each goes out with its own next add.

    It gave a step for theirs, past all gates, and sold it again with each of its adds.
    """
    pair = netted()
    for number, steps, side in ((1, 2, Side.BUY), (2, 2, Side.BUY), (3, 5, Side.SELL)):
        pair.opens_at(number, steps * STEP, side)
        pair.answer()
        pair.passes(1_000)
    asked = len(pair.sent)
    for number in (1, 2):
        assert _grows(pair, number, 2_000, 2_900).reason is Reason.BELOW_MINIMUM
        pair.answer()
    for added in range(3):
        _grows(pair, 3, 5_000 + added * 100, 5_100 + added * 100, Side.SELL)
        pair.answer()
    assert (len(pair.sent) - asked, pair.net) == (0, -STEP)
    _grows(pair, 1, 2_900, 3_000)
    pair.answer()
    assert pair.net == 0


def test_growth_that_is_kept_is_room_for_what_its_own_side_carries() -> None:
    """Long 2 lacks 0.9 and long 3 has 0.9 too much, or 0.9 and 0.4 are carried: only these make a step."""
    pair = three()
    assert _grows(pair, 1, 2_000, 2_900).reason is Reason.BELOW_MINIMUM
    pair.ends(2, 3_000, 2_100)
    assert pair.waiting == []
    pair.ends(3, 5_000, 4_600)
    assert pair.waiting == []
    pair.ends(1, 2_900)
    pair.answer()
    pair.passes(1_000)
    pair.answer()
    assert pair.net == 7 * STEP


def _lost(pair: Netted) -> None:
    """What was asked is done by the broker, and nobody hears of it; its absence is looked into."""
    pair.send()
    for intent in pair.lose():
        pair.events_of(intent)
    pair.passes(10_000_000)
    pair.now_us += 10_000_000


def test_a_shares_close_whose_answer_was_lost_is_not_made_again() -> None:
    """The net shows it: 20 less 7; the share has 3, and nothing more is asked."""
    pair = netted()
    for number in (1, 2):
        pair.opens_at(number, LOT)
        pair.answer()
        pair.passes(1_000)
    pair.ends(1, LOT, 3_000_000)
    _lost(pair)
    pair.fact(pair.reconciled(looked_up=True))
    pair.answer()
    assert pair.net == 13_000_000
    assert pair.copy_of(key(1)).volume == 3_000_000


def test_a_shares_close_that_was_lost_is_told_from_a_net_that_another_share_has_raised() -> None:
    """A close of 7 gets no answer while another share adds 10: the net of 23 shows that the close was made."""
    pair = netted()
    for number in (1, 2):
        pair.opens_at(number, LOT)
        pair.answer()
        pair.passes(1_000)
    pair.ends(1, LOT, 3_000_000)
    pair.send()
    for intent in pair.lose():
        pair.events_of(intent)
    pair.opens_at(3, LOT)
    pair.answer()
    pair.passes(10_000_000)
    pair.now_us += 10_000_000
    pair.fact(pair.reconciled(looked_up=True))
    pair.answer()
    assert pair.net == 23_000_000
    assert sum(copy.volume for copy in pair.view.copies.values()) == 23_000_000


def test_a_shares_close_that_never_arrived_goes_out_again() -> None:
    """The net shows nothing gone: absent by proof, and asked for once more."""
    pair = netted()
    for number in (1, 2):
        pair.opens_at(number, LOT)
        pair.answer()
        pair.passes(1_000)
    pair.ends(1, LOT, 3_000_000)
    pair.send()
    pair.lose()
    pair.passes(10_000_000)
    pair.now_us += 10_000_000
    pair.fact(pair.reconciled(looked_up=True))
    pair.passes(2_000_000)
    pair.answer()
    assert pair.net == 13_000_000


def test_an_add_to_a_share_whose_answer_was_lost_is_booked_by_its_order() -> None:
    """The order history tells that the add of 10 was filled: the share has 20, and no second one is bought."""
    pair = netted()
    pair.opens_at(1, LOT)
    pair.answer()
    pair.passes(1_000)
    pair.tell(
        pair.change(
            ChangeKind.GREW,
            source=key(1),
            position=PositionId(1),
            before=Volume(LOT),
            after=Volume(2 * LOT),
            volume=Volume(LOT),
        )
    )
    name, command = pair.sent[-1].intent, pair.sent[-1].command
    _lost(pair)
    assert pair.net == 2 * LOT
    order = Order(
        order=OrderId(1),
        symbol=command.symbol,
        side=Side.BUY,
        type=OrderType.MARKET,
        volume=Volume(LOT),
        status=OrderStatus.FILLED,
        executed_volume=Volume(LOT),
        client_order_id=name,
    )
    pair.fact(pair.reconciled(looked_up=True, past_orders=(order,)))
    pair.passes(2_000_000)
    pair.answer()
    assert pair.net == 2 * LOT
    assert pair.copy.volume == 2 * LOT


# --- what people do to the net ----------------------------------------------------------------------------------------


def _nets(pair: Netted, steps: int) -> None:
    """Somebody else trades until the broker's net is so many steps, and a look shows it."""
    number, held = next(iter(pair.held.items()))
    side = Side.BUY if steps > 0 else Side.SELL
    pair.held[number] = replace(held, volume=Volume(abs(steps) * STEP), side=side, updated_ms=held.updated_ms + 1)
    pair.fact(pair.reconciled())


def _touched(pair: Netted) -> list[tuple[int, int]]:
    return [(event.before // STEP, event.after // STEP) for event, _ in pair.said if isinstance(event, CopyTouched)]


def test_what_a_person_takes_off_the_net_comes_off_every_share_in_proportion() -> None:
    """10 steps become 5: shares of 2, 3 and 5 keep 1, 1 and 2, and the largest the step that is left over."""
    pair = three()
    _nets(pair, 5)
    assert sorted(volumes(pair)) == [1, 1, 3]
    assert _touched(pair) == [(5, 3), (3, 1), (2, 1)]
    pair.passes(1_000)
    pair.ends(3, 5_000)
    assert pair.commands[-1].volume == 3 * STEP
    pair.answer()
    assert pair.net == 2 * STEP


def test_a_net_that_a_person_turned_around_is_no_longer_ours() -> None:
    """10 long become 4 short: every share is over, and the leader's closes touch nothing."""
    pair = three()
    _nets(pair, -4)
    assert pair.view.copies == {}
    assert {copy.reason for copy in pair.view.finished.values()} == {Reason.CLOSED_BY_HUMAN}
    sent = len(pair.sent)
    for number in (1, 2, 3):
        pair.ends(number, 1_000)
    assert (len(pair.sent), pair.net) == (sent, -4 * STEP)


def test_what_a_person_adds_to_the_net_is_left_alone_until_the_last_share_ends() -> None:
    """10 become 14: shares stay; the last one to close takes the person's part with it."""
    pair = three()
    _nets(pair, 14)
    assert (sorted(volumes(pair)), _touched(pair)) == ([2, 3, 5], [])
    for number in (1, 2):
        pair.passes(1_000)
        pair.ends(number, 1_000)
        pair.answer()
    assert pair.net == 9 * STEP
    pair.passes(1_000)
    pair.ends(3, 5_000)
    pair.answer()
    assert pair.net == 0


def _said(pair: Netted) -> list[str]:
    """What is said of what is no copy's: side and volume."""
    return [text.split("(")[1].split(" that")[0] for text in said(pair.view).values()]


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_what_a_person_adds_to_the_net_is_said_until_it_is_gone(side: Side) -> None:
    """Four steps more than the shares, six, none, and one less, which comes off a share: by side, volume, position."""
    pair = three(side)
    found = []
    for steps in (14, 16, 10, 9):
        _nets(pair, steps * side.sign)
        found.append(_said(pair))
    assert found == [[f"{side.value}) holds 4000.00 units"], [f"{side.value}) holds 6000.00 units"], [], []]
    _nets(pair, 11 * side.sign)
    assert list(said(pair.view)) == [f"{KIND}{next(iter(pair.held))}"]


def test_what_a_person_has_added_is_said_whatever_copies_do_meanwhile() -> None:
    """While a close is under way what was said stands, and nothing new is; with the last share it is over."""
    pair = three()
    _nets(pair, 14)
    before = said(pair.view)
    (kind, text), *_ = before.items()
    pair.ends(3, 5_000, 2_000)
    pair.send()
    assert said(pair.view) == {}
    pair.fact(AlertRaised(kind=kind, text=text))
    assert said(pair.view) == before
    pair.answer()
    assert said(pair.view) == before
    for number in (1, 2, 3):
        pair.passes(1_000)
        pair.ends(number, 1_000)
        pair.answer()
    assert (pair.net, said(pair.view)) == (0, {})


def test_what_a_person_adds_where_shares_come_to_little_is_said_in_full() -> None:
    """Long 5 and short 3 make 2; four more by hand are four more, whichever way the shares stand."""
    pair = netted()
    for number, steps, side in ((1, 5, Side.BUY), (2, 3, Side.SELL)):
        pair.opens_at(number, steps * STEP, side)
        pair.answer()
        pair.passes(1_000)
    assert _said(pair) == []
    _nets(pair, 6)
    assert _said(pair) == ["buy) holds 4000.00 units"]


def test_a_net_that_is_a_persons_alone_is_no_part_of_ours() -> None:
    """Nothing is said of his position in another symbol, nor of what is left of a net that he turned."""
    pair = three()
    other = Position(position=PositionId(3), symbol=SymbolId(2), side=Side.BUY, volume=Volume(LOT))
    pair.held[other.position] = other
    pair.fact(pair.reconciled())
    assert _said(pair) == []
    del pair.held[other.position]
    _nets(pair, -4)
    assert _said(pair) == []


def test_a_look_while_a_request_is_under_way_blames_nobody() -> None:
    """Our own close shows in the net before its answer: no share is touched."""
    pair = three()
    pair.ends(3, 5_000, 2_000)
    pair.send()
    for intent in pair.lose():
        pair.events_of(intent)
    pair.fact(Reconciled(positions=tuple(pair.held.values()), orders=()))
    assert _touched(pair) == []


def test_a_hedged_account_has_no_ledger() -> None:
    """A person's partial close of a hedged copy is told as before, once."""
    pair = Pair(view=a_view((a_spec(),)))
    pair.opens()
    pair.answer()
    number, held = next(iter(pair.held.items()))
    pair.held[number] = replace(held, volume=Volume(LOT // 2), updated_ms=held.updated_ms + 1)
    pair.fact(pair.reconciled())
    assert [(event.before, event.after) for event, _ in pair.said if isinstance(event, CopyTouched)] == [
        (LOT, LOT // 2)
    ]
