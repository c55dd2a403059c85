"""What somebody took off a net unseen, and whose it is when its deal is told: by then the shares have moved on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.events import ClosesSeen, Event, ExecutionSeen, Health, HealthChanged
from cmam.domain.folds.realised import realised
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.ids import OrderId, PositionId
from cmam.domain.values.quantities import Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.nets import LOST_AS_BOOKED
from cmam.domain.values.trades import Deal, Order
from tests.factories import LINK
from tests.unit.domain.test_netting import Netted, key, netted

STEP = 100_000
LOSS = -1_203


def _net(*steps: int) -> Netted:
    """Shares of so many steps of one net."""
    pair = netted()
    for number, volume in enumerate(steps, 1):
        pair.opens_at(number, volume * STEP)
        pair.answer()
        pair.passes(1_000)
    return pair


def _taken(pair: Netted, steps: int, *, stop_out: bool = False) -> ExecutionSeen:
    """So much is taken of the net while nobody looks: the event that nobody hears."""
    pair.fact(HealthChanged(health=Health.DOWN))
    pair.passes(5_000)
    (number,) = pair.held
    fill = pair.close(number, steps * STEP, stop_out=stop_out)[-1]
    assert isinstance(fill, ExecutionSeen)
    assert fill.deal is not None
    assert fill.deal.close is not None
    pair.passes(5_000)
    pair.fact(pair.reconciled())
    pair.fact(HealthChanged(health=Health.RECONCILED))
    return replace(fill, deal=replace(fill.deal, close=replace(fill.deal.close, gross=LOSS)))


def _unseen(pair: Netted, steps: int, *, stop_out: bool = False) -> tuple[Deal, Order]:
    """The deal, and its order."""
    fill = _taken(pair, steps, stop_out=stop_out)
    assert fill.deal is not None
    assert fill.order is not None
    return fill.deal, replace(fill.order, executed_volume=fill.deal.filled_volume)


def _told(pair: Netted, fact: Event) -> dict[str, dict[int, tuple[int, int]]]:
    """What each share has of each deal that a fact tells: steps, and money."""
    before = pair.view
    pair.fact(fact)
    found: dict[str, dict[int, tuple[int, int]]] = {}
    for owner, part in realised(before, pair.view, fact):
        assert part.close is not None
        found.setdefault(owner[1], {})[part.deal] = (part.filled_volume // STEP, part.close.gross)
    return found


def _all_of(pair: Netted, *taken: tuple[Deal, Order]) -> ClosesSeen:
    """What the broker says when it is asked what closed the net: all that ever did."""
    (asked,) = pair.view.unpriced
    return ClosesSeen(position=asked, deals=tuple(d for d, _ in taken), orders=tuple(o for _, o in taken))


def _left(pair: Netted) -> dict[str, int]:
    return {source: copy.volume // STEP for (_, source), copy in pair.view.copies.items()}


def _parts(deal: Deal, **steps: int) -> dict[str, dict[int, tuple[int, int]]]:
    """What shares have of a deal that took so many steps of each: the money to the last minor unit."""
    whole, until, found = sum(steps.values()), 0, {}
    for source, part in steps.items():
        since, until = until, until + part
        found[source] = {int(deal.deal): (part, LOSS * until // whole - LOSS * since // whole)}
    return found


@pytest.mark.parametrize("stop_out", [False, True])
def test_what_is_told_late_is_divided_by_what_each_share_has_lost(stop_out: bool) -> None:
    """6 and 3 steps lose 6 unseen: 4 and 2. The first is closed before the deal is told, and by then all gone."""
    pair = _net(6, 3)
    taken = _unseen(pair, 6, stop_out=stop_out)
    pair.ends(1, 6 * STEP)
    pair.answer()
    assert _left(pair) == {key(2): 1}
    assert _told(pair, _all_of(pair, taken)) == _parts(taken[0], p1=4, p2=2)
    assert not pair.view.missed


def test_by_former_rules_it_is_divided_by_what_is_left() -> None:
    """What a log of before came to stays."""
    pair = _net(6, 3)
    pair.view = replace(pair.view, rules=LOST_AS_BOOKED - 1)
    taken = _unseen(pair, 6)
    pair.ends(1, 6 * STEP)
    pair.answer()
    assert _told(pair, _all_of(pair, taken)) != _parts(taken[0], p1=4, p2=2)


def test_what_a_share_gains_before_it_is_told_has_no_part_in_it() -> None:
    """Each loses a half; the second is made three times as large before the deal is told."""
    pair = _net(4, 4)
    taken = _unseen(pair, 4)
    grown = pair.change(ChangeKind.GREW, source=key(2), position=PositionId(2), before=Volume(4 * STEP),
                        after=Volume(12 * STEP), volume=Volume(8 * STEP), origin=OrderId(409))  # fmt: skip
    pair.tell(grown)
    pair.answer()
    assert _left(pair)[key(2)] > 4
    assert _told(pair, _all_of(pair, taken)) == _parts(taken[0], p1=2, p2=2)


def test_each_of_two_losses_is_divided_as_it_was_booked() -> None:
    """6 and 3 lose 3; the first is closed, a third one opened; then 3 of those that are there are taken, too."""
    pair = _net(6, 3)
    first = _unseen(pair, 3)
    pair.ends(1, 6 * STEP)
    pair.answer()
    pair.opens_at(3, 4 * STEP)
    pair.answer()
    assert _left(pair) == {key(2): 2, key(3): 4}
    second = _unseen(pair, 3)
    assert _left(pair) == {key(2): 1, key(3): 2}
    expected = _parts(first[0], p1=2, p2=1)
    for source, part in _parts(second[0], p2=1, p3=2).items():
        expected.setdefault(source, {}).update(part)
    assert _told(pair, _all_of(pair, first, second)) == expected


def test_an_event_that_a_look_has_overtaken_counts_for_those_who_lost_by_it() -> None:
    """2 and 1 lose 2: one of each. The second is over by that, and its deal is told right behind the look."""
    pair = _net(2, 1)
    event = _taken(pair, 2)
    assert event.deal is not None
    assert _left(pair) == {key(1): 1}
    assert _told(pair, event) == _parts(event.deal, p1=1, p2=1)


@pytest.mark.parametrize("stop_out", [False, True])
def test_a_share_that_was_taken_whole_is_told_its_price_and_by_whom(stop_out: bool) -> None:
    """2 and 1 lose 2: the second is over by that, at a price that nobody had told."""
    pair = _net(2, 1)
    taken = _unseen(pair, 2, stop_out=stop_out)
    assert pair.view.finished[(LINK, key(2))].close_price is None
    _told(pair, _all_of(pair, taken))
    ended = pair.view.finished[(LINK, key(2))]
    reason = Reason.CLOSED_BY_STOP_OUT if stop_out else Reason.CLOSED_BY_HUMAN
    assert (ended.close_price, ended.reason) == (taken[0].price, reason)
