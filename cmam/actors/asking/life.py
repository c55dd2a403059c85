"""All that a broker tells of one position, asked for page by page: its orders, then its deals, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cmam.actors.asking import pages
from cmam.domain.values.ids import PositionId
from cmam.domain.values.trades import Deal, Order

PAGES_MAX = 50
ROWS_MAX = 5_000
"""So much is read of one position's orders and deals, the newest first: a page takes about a second of what all
accounts of a connection may ask of their past, and all of it becomes one fact."""


@dataclass(slots=True)
class Life:
    """The orders of a position on their way, and then its deals, page by page, the newest first."""

    position: PositionId
    order_pages: pages.Pages[Order]
    deal_pages: pages.Pages[Deal]
    orders: tuple[Order, ...] = ()
    deals: tuple[Deal, ...] = ()
    read: int = 0
    refused: int = 0

    @classmethod
    def of(cls, position: PositionId) -> Life:
        """One of which nothing has come yet. What ends at 0 is asked for without an end."""
        return cls(position, pages.of_orders(1, 0), pages.of_deals(1, 0))

    def take(self, page: tuple[Any, ...], *, has_more: bool) -> None:
        """Keep a page of what is being read."""
        self.read += 1
        has_more = has_more and self.read < PAGES_MAX and len(self.orders) + len(self.deals) < ROWS_MAX
        if self.order_pages.has_more:
            self.orders += self.order_pages.take(page, has_more=has_more)
        else:
            fresh = self.deal_pages.take(page, has_more=has_more)
            self.deals += tuple(deal for deal in fresh if deal.position == self.position)

    def refuse(self) -> None:
        """Do without the older pages of what is being read, once they have been refused twice."""
        self.refused += 1
        part, told = (self.order_pages, self.orders) if self.order_pages.has_more else (self.deal_pages, self.deals)
        if told and self.refused > 1:
            part.has_more = False
            self.refused = 0

    @property
    def is_read(self) -> bool:
        """Whether there is nothing more to ask."""
        return not self.order_pages.has_more and not self.deal_pages.has_more

    @property
    def has_close(self) -> bool:
        """Whether anything that closed it has been told, by its deal or by its order."""
        closing = {order.order for order in self.orders if order.closing}
        return any(deal.close is not None or deal.order in closing for deal in self.deals)
