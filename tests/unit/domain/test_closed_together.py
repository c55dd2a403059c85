"""Shares of a net that end together: one request closes them all, and each is booked with what was its own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief import shares
from cmam.domain.belief.copies import CopyKey
from cmam.domain.events import CopyFinished, CopyTouched, Event, ExecutionSeen, FlattenRequested
from cmam.domain.folds.realised import realised
from cmam.domain.repair.reconcile import findings
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.newest import RULES
from tests.factories import LINK
from tests.unit.domain.test_netting import Netted, key, netted

STEP = 100_000


def _shares(*steps: int) -> Netted:
    """Shares of so many steps of one net, short below 0."""
    pair = netted()
    for number, volume in enumerate(steps, 1):
        pair.opens_at(number, abs(volume) * STEP, Side.BUY if volume > 0 else Side.SELL)
        pair.answer()
        pair.passes(1_000)
    return pair


def _ends(pair: Netted, *numbers: int) -> None:
    for number in numbers:
        pair.ends(number, 1_000)


def _asked(pair: Netted) -> list[int]:
    """What was asked to be closed, in steps, since the opens."""
    return [command.volume // STEP for command in pair.commands if command.position is not None]


def _left(pair: Netted) -> list[int]:
    return [copy.volume // STEP for copy in pair.view.copies.values()]


def _reasons(pair: Netted) -> set[Reason]:
    assert not [event for event, _ in pair.said if isinstance(event, CopyTouched)]
    return {event.reason for event, _ in pair.said if isinstance(event, CopyFinished)}


def _fills(pair: Netted, steps: int) -> None:
    """So much of the last close is filled, and all that was asked counts as answered."""
    request = pair.sent[-1]
    pair.lose()
    assert request.command.position is not None
    for event in pair.close(request.command.position, steps * STEP, name=request.intent):
        assert event.order is not None
        pair.fact(replace(event, order=replace(event.order, volume=request.command.volume)))


def test_shares_that_end_while_one_is_closed_are_closed_by_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """2, 3, 5 and 4 steps end at once: the first is on its way, the others follow in one, and all have ended."""

    def panic() -> list[int]:
        pair = _shares(2, 3, 5, 4)
        _ends(pair, 1, 2, 3, 4)
        pair.answer()
        assert (pair.net, pair.view.copies, _reasons(pair)) == (0, {}, {Reason.CLOSED_BY_LEADER})
        return _asked(pair)

    assert panic() == [2, 12]
    monkeypatch.setattr(shares, "SHARES_CLOSE_TOGETHER", 99)
    assert panic() == [2, 3, 5, 4]


def test_shares_that_stay_are_left_out() -> None:
    """2, 3 and 4 end, 5 stay, and what the leader opens meanwhile is on top."""
    pair = _shares(2, 3, 5, 4)
    _ends(pair, 1, 2, 4)
    pair.answer(most=1)
    assert _asked(pair) == [2, 7]
    pair.opens_at(9, 6 * STEP)
    pair.answer()
    assert (pair.net, sorted(_left(pair))) == (11 * STEP, [5, 6])
    assert (_asked(pair), _reasons(pair)) == ([2, 7], {Reason.CLOSED_BY_LEADER})


def test_a_request_that_fills_in_parts_takes_those_that_end_with_it_first() -> None:
    """12 steps are under way for shares of 3, 5 and 4: its own share has a part in it until the last deal."""
    pair = _shares(2, 3, 5, 4, 1)
    _ends(pair, 1, 2, 3, 4)
    pair.answer(most=1)
    assert _asked(pair) == [2, 12]
    left = []
    for part in (4, 3, 3, 2):
        _fills(pair, part)
        assert sum(_left(pair)) * STEP == pair.net
        left.append(_left(pair))
    assert left == [[3, 1, 4, 1], [3, 2, 1], [2, 1], [1]]
    assert (_asked(pair), len(pair.view.intents)) == ([2, 12], 0)
    assert _reasons(pair) == {Reason.CLOSED_BY_LEADER}


def test_one_whose_answer_was_lost_is_told_by_the_net_for_all_of_them() -> None:
    """12 are gone of the net by the next look: nothing is asked again, and no person is named."""
    pair = _shares(2, 3, 5, 4, 1)
    _ends(pair, 1, 2, 3, 4)
    pair.answer(most=1)
    pair.send()
    for intent in pair.lose():
        pair.events_of(intent)
    pair.passes(10_000_000)
    pair.now_us += 10_000_000
    assert _left(pair) == [3, 5, 4, 1]
    pair.fact(pair.reconciled(looked_up=True))
    assert (_left(pair), pair.net, _asked(pair)) == ([1], STEP, [2, 12])
    assert (_reasons(pair), pair.waiting) == ({Reason.CLOSED_BY_LEADER}, [])


def test_one_that_never_arrived_goes_out_again() -> None:
    """Nothing is gone of the net: the same 12 are asked for once more."""
    pair = _shares(2, 3, 5, 4, 1)
    _ends(pair, 1, 2, 3, 4)
    pair.answer(most=1)
    pair.send()
    pair.lose()
    pair.passes(10_000_000)
    pair.now_us += 10_000_000
    pair.fact(pair.reconciled(looked_up=True))
    pair.passes(2_000_000)
    pair.answer()
    assert (_left(pair), pair.net) == ([1], STEP)
    assert sum(_asked(pair)[2:]) == 12
    assert _reasons(pair) == {Reason.CLOSED_BY_LEADER}


def _short() -> Netted:
    """Of 11 steps one is gone, and while an open is under way nobody knows yet whose."""
    pair = _shares(2, 3, 5, 1)
    number, held = next(iter(pair.held.items()))
    pair.held[number] = replace(held, volume=Volume(10 * STEP), updated_ms=held.updated_ms + 1)
    pair.opens_at(9, 4 * STEP)
    pair.lose()
    pair.fact(pair.reconciled())
    return pair


def test_where_it_is_not_plain_whose_the_net_is_shares_leave_one_by_one() -> None:
    """Somebody has taken of it what nobody can be said to have lost yet."""
    pair = _short()
    _ends(pair, 1, 2, 3)
    pair.answer(most=1)
    assert _asked(pair) == [2, 3]


@pytest.mark.parametrize(("rules", "asked"), [(RULES, [2, 7]), (11, [2, 3, 4])])
def test_a_share_of_the_other_side_that_stays_holds_nobody_up(rules: int, asked: list[int]) -> None:
    """2, 3 and 5 end beside one that is short: the net has 7 left of 8, and the last step is sold as an order."""
    pair = _shares(2, 3, 5, -1)
    pair.view = replace(pair.view, rules=rules)
    _ends(pair, 1, 2, 3)
    pair.answer()
    assert (_asked(pair), pair.commands[-1].volume, pair.net) == (asked, STEP, -STEP)
    assert (_left(pair), _reasons(pair)) == ([1], {Reason.CLOSED_BY_LEADER})


@pytest.mark.parametrize(("rules", "traded"), [(RULES, [7]), (11, [1, 2, 2, 2, 3, 3])])
def test_a_net_of_both_sides_that_all_ends_is_not_made_larger_first(rules: int, traded: list[int]) -> None:
    """Of 3 short and 10 long, 7 are closed, and the rest cancels out: nothing is bought of what is to be sold."""
    pair = _shares(-1, 2, 3, -2, 5)
    pair.view = replace(pair.view, rules=rules)
    opened = len(pair.sent)
    pair.fact(FlattenRequested(links=(LINK,)))
    pair.answer()
    assert sorted(command.volume // STEP for command in pair.commands[opened:]) == traded
    assert (pair.net, pair.view.copies) == (0, {})


def test_a_net_of_both_sides_whose_answer_was_lost_is_told_for_all_of_them() -> None:
    """7 are gone by the next look, with which nothing is left: nothing is asked again, and no person is named."""
    pair = _shares(-1, 2, 3, -2, 5)
    opened = len(pair.sent)
    pair.fact(FlattenRequested(links=(LINK,)))
    pair.send()
    for intent in pair.lose():
        pair.events_of(intent)
    pair.passes(10_000_000)
    pair.now_us += 10_000_000
    pair.fact(pair.reconciled(looked_up=True))
    assert (len(pair.commands[opened:]), pair.net, pair.view.copies) == (1, 0, {})
    assert Reason.CLOSED_BY_HUMAN not in _reasons(pair)


def test_a_share_that_waits_for_itself_is_not_taken_along() -> None:
    """Its close was refused, and is asked for when its own delay is over."""
    pair = _shares(2, 3, 5, 1)
    pair.ends(2, 1_000)
    pair.refuse("MARKET_CLOSED")
    _ends(pair, 1, 3)
    pair.answer()
    assert (_asked(pair), _left(pair)) == ([3, 2, 5], [3, 1])
    pair.passes(60_000_000)
    pair.answer()
    assert _left(pair) == [1]


def test_an_order_has_no_more_than_its_symbol_allows() -> None:
    """Of 12 that end at once no more than 6 go out at a time; a single share of 8 goes whole, until it is refused."""
    pair = _shares(2, 3, 5, 4)
    specs = {symbol: replace(spec, max_volume=Volume(6 * STEP)) for symbol, spec in pair.view.specs.items()}
    pair.view = replace(pair.view, specs=specs)
    _ends(pair, 1, 2, 3, 4)
    pair.answer()
    assert (_asked(pair), pair.net, pair.view.copies) == ([2, 6, 6], 0, {})
    assert _reasons(pair) == {Reason.CLOSED_BY_LEADER}


def test_what_it_realised_is_divided_by_what_was_theirs() -> None:
    """3, 5 and 4 steps that 1,201 was lost with: to the last minor unit, the parts are the whole."""
    pair = _shares(2, 3, 5, 4)
    _ends(pair, 1, 2, 3, 4)
    pair.answer(most=1)
    request, before = pair.sent[-1], pair.view
    assert request.command.position is not None
    found: list[tuple[CopyKey, int, int]] = []
    fact: Event
    for fact in pair.close(request.command.position, 12 * STEP, name=request.intent):
        deal = getattr(fact, "deal", None)
        if deal is not None:
            fact = replace(fact, deal=replace(deal, close=replace(deal.close, gross=-1_201)))
        pair.fact(fact)
        for owner, part in realised(before, pair.view, fact):
            assert part.close is not None
            found.append((owner, part.close.gross, part.filled_volume // STEP))
        before = pair.view
    assert {owner[1]: volume for owner, _, volume in found} == {key(2): 3, key(3): 5, key(4): 4}
    assert sum(gross for _, gross, _ in found) == -1_201
    assert all(abs(gross + 1_201 * volume // 12) <= 1 for _, gross, volume in found)
    ended = [pair.view.finished[(LINK, key(number))] for number in (2, 3, 4)]
    assert {copy.close_price for copy in ended} == {ended[0].close_price} != {None}


def test_a_check_names_each_share_with_its_own_volume() -> None:
    """Three could be closed together while one stays: what is said of each is its own part of it."""
    pair = _shares(2, 3, 5, 4)
    _ends(pair, 1, 2, 3)
    pair.drop()
    found = findings(pair.view, (), lambda _: None, pair.now_us)
    assert [finding.text.split(" units")[0] for finding in found] == ["close 2000.00", "close 3000.00", "close 5000.00"]


def _answers_unnamed(pair: Netted) -> None:
    """The broker answers all that was asked, and says of no event whose request it answers."""
    while pair.waiting:
        pair.send()
        for intent in pair.lose():
            for event in pair.events_of(intent):
                pair.fact(replace(event, client_msg_id="") if isinstance(event, ExecutionSeen) else event)


def test_a_joint_close_of_both_sides_is_known_by_its_terms_where_nobody_names_it() -> None:
    """7 of a net of both sides are closed: each share has ended, none of them by a person's hand."""
    pair = _shares(-1, 2, 3, -2, 5)
    opened = len(pair.sent)
    pair.fact(FlattenRequested(links=(LINK,)))
    _answers_unnamed(pair)
    assert [command.volume // STEP for command in pair.commands[opened:]] == [7]
    assert (pair.net, pair.view.copies, pair.view.intents) == (0, {}, {})
    assert Reason.CLOSED_BY_HUMAN not in _reasons(pair)


def test_a_close_that_nobody_names_is_known_though_its_net_has_turned() -> None:
    """2 long are to be closed while 6 are sold: the net is short when the close arrives, and keeps its number. What it
    took was a person's, and the share that stayed was left the smaller for it."""
    pair = netted()
    pair.opens_at(1, 2 * STEP)
    pair.answer()
    pair.passes(1_000)
    pair.opens_at(2, 6 * STEP, Side.SELL)
    pair.ends(1, 2 * STEP)
    assert [command.kind for command in pair.commands[-2:]] == [CommandKind.OPEN, CommandKind.CLOSE]
    _answers_unnamed(pair)
    assert (pair.net, _left(pair), pair.view.intents) == (-6 * STEP, [6], {})
    assert _reasons(pair) == {Reason.CLOSED_BY_LEADER}
