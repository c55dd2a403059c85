"""A history that is read backwards, page by page: what is new on each, and from where the next one is asked for.

The newest come first, and a page ends where the broker wants it to
(wire.md#snapshots-and-histories). Moments are those of the broker, in ms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from cmam.domain.values.trades import Deal, Order

Row = TypeVar("Row")


class Pages(Generic[Row]):
    """The pages of one history, of deals or of orders, in a span."""

    def __init__(self, from_ms: int, to_ms: int, key: Callable[[Row], int], moment_ms: Callable[[Row], int]) -> None:
        self.from_ms = from_ms
        self.to_ms = to_ms
        """Until when the next page is asked for."""
        self.has_more = True
        """Whether there is one."""
        self.read = 0
        """How many pages were read."""
        self._key = key
        self._moment_ms = moment_ms
        self._known: set[int] = set()

    def take(self, page: tuple[Row, ...], *, has_more: bool) -> tuple[Row, ...]:
        """What a page tells that none before has told.

        The next begins in the millisecond in which this one ended, for more may have happened there; where that fills a
        page, and all of it is known, it begins in the one before.
        """
        self.read += 1
        fresh = tuple(row for row in page if self._key(row) not in self._known)
        self._known |= {self._key(row) for row in fresh}
        until_ms = min((self._moment_ms(row) for row in page), default=0)
        if not fresh:
            until_ms = self.to_ms - 1 if until_ms == self.to_ms else 0
        self.has_more = has_more and until_ms >= self.from_ms  # what is older than asked for is the end
        if self.has_more:
            self.to_ms = until_ms
        return fresh


def of_deals(from_ms: int, to_ms: int) -> Pages[Deal]:
    """A history of deals."""
    return Pages(from_ms, to_ms, lambda deal: deal.deal, lambda deal: deal.executed_ms)


def of_orders(from_ms: int, to_ms: int) -> Pages[Order]:
    """A history of orders."""
    return Pages(from_ms, to_ms, lambda order: order.order, lambda order: order.updated_ms)
