"""All that a broker tells of one position, asked for page by page: its orders, then its deals, the newest first.

A server may know only one of the two questions. Then each order is asked for by its number, which tells both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cmam.domain.values.ids import OrderId, PositionId
from cmam.domain.values.trades import Deal, Order
from cmam.openapi import pages

PAGES_MAX = 50
ROWS_MAX = 5_000
"""So much is read of one position's orders and deals, the newest first: a page takes about a second of what all
accounts of a connection may ask of their past, and all of it becomes one fact."""

BY_NUMBER_MAX = 20
"""So many orders are asked for by their numbers, the newest first."""


@dataclass(slots=True)
class Life:
    """The orders of a position on their way, and then its deals, page by page, the newest first; and then, where one of
    the two is refused, the orders of the other by their numbers."""

    position: PositionId
    order_pages: pages.Pages[Order]
    deal_pages: pages.Pages[Deal]
    orders: tuple[Order, ...] = ()
    deals: tuple[Deal, ...] = ()
    read: int = 0
    refused: int = 0
    lacks_part: bool = False
    """Whether one of the two was refused from its first page on."""
    asked: set[OrderId] = field(default_factory=set)
    """The orders that were asked for by their numbers."""

    @classmethod
    def of(cls, position: PositionId) -> Life:
        """One of which nothing has come yet. What ends at 0 is asked for without an end."""
        return cls(position, pages.of_orders(1, 0), pages.of_deals(1, 0))

    def take(self, page: tuple[Any, ...], *, has_more: bool) -> None:
        """Keep a page of what is being read."""
        self.read += 1
        if not self.order_pages.has_more and not self.deal_pages.has_more:
            self._take_order(*page)
            return
        has_more = has_more and self.read < PAGES_MAX and len(self.orders) + len(self.deals) < ROWS_MAX
        if self.order_pages.has_more:
            self.orders += self.order_pages.take(page, has_more=has_more)
        else:
            fresh = self.deal_pages.take(page, has_more=has_more)
            self.deals += tuple(deal for deal in fresh if deal.position == self.position)

    def _take_order(self, order: Order, deals: tuple[Deal, ...]) -> None:
        """Keep an order that was asked for by its number, with its deals."""
        self.asked.add(order.order)
        known = {deal.deal for deal in self.deals}
        self.orders = (*(one for one in self.orders if one.order != order.order), order)
        self.deals += tuple(deal for deal in deals if deal.position == self.position and deal.deal not in known)

    def refuse(self) -> None:
        """Do without what is being read, or its older pages, once it has been refused twice."""
        self.refused += 1
        if self.refused < 2:
            return
        self.refused = 0
        number = self.by_number
        if number is not None:
            self.asked.add(number)
            return
        part, told = (self.order_pages, self.orders) if self.order_pages.has_more else (self.deal_pages, self.deals)
        part.has_more = False
        self.lacks_part = self.lacks_part or not told

    @property
    def by_number(self) -> OrderId | None:
        """The order that is to be asked for by its number now: of its deals, or of itself, nothing was told."""
        if self.order_pages.has_more or self.deal_pages.has_more or not self.lacks_part:
            return None
        left = sorted(self._lacking - self.asked, reverse=True)
        return left[0] if left and len(self.asked) < BY_NUMBER_MAX else None

    @property
    def _lacking(self) -> set[OrderId]:
        """The orders of which only the deals were told, or the other way round."""
        dealt = {deal.order for deal in self.deals}
        told = {order.order for order in self.orders}
        executed = {order.order for order in self.orders if order.executed_volume}
        return (dealt - told) | (executed - dealt)

    @property
    def is_short(self) -> bool:
        """Whether one of the two was refused, and so were its numbers: it may come yet."""
        return self.lacks_part and bool(self._lacking)

    @property
    def is_read(self) -> bool:
        """Whether there is nothing more to ask."""
        return not self.order_pages.has_more and not self.deal_pages.has_more and self.by_number is None

    @property
    def is_in_vain(self) -> bool:
        """Whether nothing was told at all."""
        return self.is_read and not self.orders and not self.deals

    @property
    def has_close(self) -> bool:
        """Whether anything that closed it has been told, by its deal or by its order."""
        closing = {order.order for order in self.orders if order.closing}
        return any(deal.close is not None or deal.order in closing for deal in self.deals)
