"""Looks whose history is younger than their snapshot: what an open has filled behind it is not there yet, nor gone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.copies import CopyState
from cmam.domain.events import ExecutionSeen, Reconciled
from cmam.domain.turns.settling import SETTLE_US
from cmam.domain.values.quantities import Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.sight import OPENS_ARE_AHEAD
from cmam.domain.values.trades import Order, PositionStatus
from tests.factories import LOT, Pair
from tests.unit.domain.test_netting import netted


def _filled_behind(pair: Pair) -> tuple[ExecutionSeen, Order, Reconciled]:
    """An open is accepted, a look begins, and it fills before its history is read: gives the fill, which nobody has
    told yet, its order, and the look."""
    pair.opens()
    intent = pair.waiting[0]
    pair.send()
    pair.lose()
    accepted, filled = pair.events_of(intent)[:2]
    assert isinstance(filled, ExecutionSeen)
    assert filled.order is not None
    assert filled.position is not None
    pair.fact(accepted)
    unfilled = replace(filled.position, volume=Volume(0), status=PositionStatus.CREATED, opened_ms=0, updated_ms=0)
    look = replace(pair.reconciled(past_orders=(filled.order,)), positions=(unfilled,), quiet=True)
    return filled, filled.order, look


@pytest.mark.parametrize("is_netted", [False, True])
@pytest.mark.parametrize("rules", [RULES, OPENS_ARE_AHEAD - 1])
def test_what_fills_behind_a_snapshot_is_not_gone(rules: int, *, is_netted: bool) -> None:
    """It counted as closed by a person's hand: the fill that was told next was nobody's, or the net was touched."""
    pair = netted() if is_netted else Pair()
    pair.view = replace(pair.view, rules=rules)
    filled, _, look = _filled_behind(pair)
    pair.fact(look)
    pair.fact(filled)
    pair.fact(pair.reconciled())
    found = (pair.copy.state, pair.copy.volume, pair.copy.reason)
    assert (found == (CopyState.OPEN, LOT, None)) is (rules == RULES), found


def test_what_fills_behind_a_snapshot_is_joined_by_the_next_look() -> None:
    """Its own event never comes: the next snapshot shows it, and it is the copy."""
    pair = Pair()
    _, order, look = _filled_behind(pair)
    pair.fact(look)
    pair.fact(pair.reconciled(past_orders=(order,)))
    assert (pair.copy.state, pair.copy.volume, len(pair.sent)) == (CopyState.OPEN, LOT, 1)


@pytest.mark.parametrize("is_netted", [False, True])
def test_what_was_closed_as_well_is_gone_once_a_late_look_proves_it(*, is_netted: bool) -> None:
    """Nobody tells a deal: after the settling time what the history has filled, and no snapshot shows, was closed."""
    pair = netted() if is_netted else Pair()
    _, order, look = _filled_behind(pair)
    pair.fact(look)
    assert pair.copy.reason is None
    pair.held.clear()
    pair.passes(2 * SETTLE_US)  # no answer: from now on its outcome is unknown
    late = replace(pair.reconciled(looked_up=True, past_orders=(order,)), quiet=True)
    pair.fact(late)
    assert pair.copy.reason is None
    pair.passes(SETTLE_US)
    pair.fact(late)
    assert pair.copy.reason is Reason.CLOSED_BY_HUMAN
    assert pair.view.intents == {}


def test_what_was_closed_as_well_is_gone_where_its_deal_tells() -> None:
    """The history has the close beside the open: nothing is waited for."""
    pair = Pair()
    filled, _, look = _filled_behind(pair)
    assert filled.position is not None
    closes = [event for event in pair.close(filled.position.position, LOT) if isinstance(event, ExecutionSeen)]
    deals = tuple(event.deal for event in closes if event.deal is not None)
    pair.fact(replace(look, positions=(), deals=deals))
    assert (pair.copy.reason, pair.view.intents) == (Reason.CLOSED_BY_HUMAN, {})
