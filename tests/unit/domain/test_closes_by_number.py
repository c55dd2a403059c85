"""A share's close in the broker's history: the order whose number an event has told, whatever the clock says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.domain.belief.asked import with_intent
from cmam.domain.belief.copies import IntentState
from cmam.domain.events import IntentSettled, Outcome
from cmam.domain.turns.settling import settlements
from cmam.domain.values.ids import OrderId
from cmam.domain.values.quantities import Volume
from cmam.domain.values.rules.nets import CLOSES_BY_NUMBER
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.trades import AccountType, Order, OrderStatus, OrderType
from tests.factories import LOT, Pair, a_view

NUMBER = OrderId(70)


def _outcome(*, told: OrderId | None, executed: int, rules: int = RULES) -> Outcome | None:
    """What becomes of a close of unknown outcome whose order was opened in the very millisecond of the last that was
    known of its net; `told` is the number that an event had told of it."""
    pair = Pair(view=a_view(kind=AccountType.NETTED))
    pair.opens()
    pair.answer()
    pair.reduces(LOT, LOT // 2)
    (asked,) = pair.view.intents.values()
    (number,) = pair.held
    unknown = replace(asked, state=IntentState.UNKNOWN, order=told, after_ms=pair.now_us // 1_000, moved_us=0)
    view = replace(pair.view, intents=with_intent(pair.view.intents, unknown), rules=rules)
    order = Order(
        order=NUMBER,
        symbol=asked.command.symbol,
        side=asked.command.side,
        type=OrderType.MARKET,
        status=OrderStatus.FILLED,
        volume=asked.command.volume,
        executed_volume=Volume(executed),
        position=number,
        closing=True,
        opened_ms=unknown.after_ms,
    )
    look = replace(pair.reconciled(looked_up=True, past_orders=(order,)), settle_us=0)
    found = [one.outcome for one in settlements(view, look, pair.now_us) if isinstance(one, IntentSettled)]
    return found[0] if found else None


@pytest.mark.parametrize(
    ("told", "executed", "rules", "outcome"),
    [
        (NUMBER, LOT // 2, RULES, Outcome.CONFIRMED),
        (None, LOT // 2, RULES, Outcome.ABSENT),
        (OrderId(71), LOT // 2, RULES, Outcome.ABSENT),
        (NUMBER, LOT // 4, RULES, Outcome.ABSENT),
        (NUMBER, LOT // 2, CLOSES_BY_NUMBER - 1, Outcome.ABSENT),
    ],
    ids=["told", "not told", "another", "a part", "before"],
)
def test_a_close_is_the_order_whose_number_was_told(
    told: OrderId | None, executed: int, rules: int, outcome: Outcome
) -> None:
    """It counted as absent, and what it had closed was closed once more; one that has closed a part of it is not it."""
    assert _outcome(told=told, executed=executed, rules=rules) == outcome
