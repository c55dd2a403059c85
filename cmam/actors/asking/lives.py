"""What became of positions and resting orders that a snapshot left out: which questions, and what their answers tell.

All deals and orders of each position are asked for, and each order by its number: two requests and one. Nobody waits
for them for longer than it takes until a second look says the same: where the stops of a crowd were hit while nobody
looked, five answers a second would leave the last in doubt for minutes. No thread, no socket: a preparation asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cmam.actors.asking.question import Question
from cmam.domain.values.ids import AccountId, OrderId, PositionId
from cmam.domain.values.trades import Deal, Order
from cmam.openapi import answers, requests

LIFE = "life "
"""How the names of the questions begin."""
_DEALS, _ORDERS, _ORDER = f"{LIFE}deals ", f"{LIFE}orders ", f"{LIFE}order "
MOST = 100
"""So many positions are asked about, and so many orders; of others a second look tells."""


class Lives:
    """The lives of some positions and orders of an account, as far as they are told within a time."""

    def __init__(
        self, account: AccountId, positions: Iterable[PositionId], orders: Iterable[OrderId], within_us: int
    ) -> None:
        self.orders: tuple[Order, ...] = ()
        self._account = account
        self._positions = sorted(positions)[:MOST]
        self._resting = sorted(orders)[:MOST]
        self._within_us = within_us
        self._deals: dict[PositionId, tuple[Deal, ...]] = {}

    @property
    def deals(self) -> Mapping[PositionId, tuple[Deal, ...]]:
        """All deals of each position of which they are known."""
        return self._deals

    def begin(self) -> tuple[Question, ...]:
        """What to ask."""
        asked = []
        for position in self._positions:
            of_deals = requests.ask_deals_of(self._account, position)
            of_orders = requests.ask_orders_of(self._account, position)
            asked.append(Question(f"{_DEALS}{position}", of_deals, answers.read_deals, self._within_us))
            asked.append(Question(f"{_ORDERS}{position}", of_orders, answers.read_orders, self._within_us))
        for order in self._resting:
            of_order = requests.ask_order(self._account, order)
            asked.append(Question(f"{_ORDER}{order}", of_order, answers.read_order, self._within_us))
        return tuple(asked)

    def take(self, question: str, page: tuple[Any, ...], *, has_more: bool) -> None:
        """Keep an answer. Where older deals are missing it tells nothing: only a whole life comes to what is left."""
        if question.startswith((_ORDERS, _ORDER)):
            self.orders += page
        elif not has_more:
            position = PositionId(int(question.removeprefix(_DEALS)))
            self._deals[position] = tuple(deal for deal in page if deal.position == position)
