"""What took a part of copies while nobody looked: which questions, and what their answers tell.

A snapshot shows that a position is smaller, and not who made it so: a stop-out in parts, or a person. The orders and
deals that closed it tell. They are asked for only where our own requests cannot have done it, two questions for all
copies of an account however many there are. (What is gone as a whole is doubted first, `domain/turns/absences.py`; but
where others follow the account, the deals of its gap tell of that at once, and these orders who did it.) Of one that
has grown by more than ours asked for the orders tell whether somebody else uses this store's name (`twins.py`). No
thread, no socket: a preparation asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cmam.actors.asking.question import Question
from cmam.domain.belief.copies import Copy
from cmam.domain.belief.view import AccountView
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import AccountId, PositionId
from cmam.domain.values.naming import read_label
from cmam.domain.values.trades import Deal, Order, Position
from cmam.openapi import answers, requests

CLOSINGS = "closings "
"""How the names of the questions begin."""
_ORDERS, _DEALS = f"{CLOSINGS}orders", f"{CLOSINGS}deals"


class Closings:
    """What closed parts of copies' positions in one gap. Moments are those of the broker, in ms."""

    def __init__(self, account: AccountId, from_ms: int, to_ms: int, within_us: int) -> None:
        self.orders: tuple[Order, ...] = ()
        self.deals: tuple[Deal, ...] = ()
        self.added: tuple[Order, ...] = ()
        """Under a copier's name, what made positions of copies larger; after a restore of the log all that has one."""
        self._account = account
        self._from_ms = from_ms
        self._within_us = within_us
        self._to_ms = {_ORDERS: to_ms, _DEALS: to_ms}
        self._taken: frozenset[PositionId] = frozenset()
        self._grown: frozenset[PositionId] = frozenset()
        self._is_restored = False

    def look(self, view: AccountView, positions: Iterable[Position], *, leads: bool) -> tuple[Question, ...]:
        """What to ask of a snapshot, if anything; `leads` says that the deals of the gap are asked for anyway."""
        shown = {position.position: position for position in positions}
        self._taken, self._grown = _taken(view, shown, leads=leads), _grown(view, shown)
        self._is_restored = view.restored_us > 0  # what was opened since the backup may have been closed since, too
        orders = (self._asked(_ORDERS),) if self._taken or self._grown or self._is_restored else ()
        return (*orders, self._asked(_DEALS)) if self._taken else orders

    def take(self, question: str, page: tuple[Any, ...], *, has_more: bool) -> tuple[Question, ...]:
        """Keep what closed the positions in question; what to ask next, since the newest come first, page by page."""
        if question == _ORDERS:
            self.orders += tuple(order for order in page if order.closing and order.position in self._taken)
            self.added += tuple(order for order in page if self._is_copiers(order))
            oldest_ms = min((order.updated_ms for order in page), default=0)
        else:
            self.deals += tuple(deal for deal in page if deal.close is not None and deal.position in self._taken)
            oldest_ms = min((deal.executed_ms for deal in page), default=0)
        to_ms = self._to_ms[question]
        if not has_more or not self._from_ms <= oldest_ms <= to_ms:
            return ()
        self._to_ms[question] = min(oldest_ms, to_ms - 1)  # a millisecond can fill a page
        return (self._asked(question),)

    def _is_copiers(self, order: Order) -> bool:
        is_asked = self._is_restored or (order.position in self._grown and not order.closing)
        return is_asked and read_label(order.client_order_id) is not None

    def _asked(self, question: str) -> Question:
        span = (self._account, self._from_ms, self._to_ms[question])
        if question == _ORDERS:
            return Question(question, requests.ask_orders(*span), answers.read_orders, self._within_us)
        return Question(question, requests.ask_deals(*span), answers.read_deals, self._within_us)


def _taken(view: AccountView, shown: Mapping[PositionId, Position], *, leads: bool) -> frozenset[PositionId]:
    """The positions of copies of which a snapshot shows less than our open requests may have left, or nothing."""
    found = set()
    for copy in view.copies.values():
        held = view.positions.get(copy.position) if copy.position is not None else None
        now = shown.get(held.position) if held is not None else None
        if held is None or (now is None and not leads):
            continue
        if held.volume - (now.volume if now is not None else 0) > _asked_for(view, copy, held):
            found.add(held.position)
    return frozenset(found)


def _grown(view: AccountView, shown: Mapping[PositionId, Position]) -> frozenset[PositionId]:
    """The positions of copies of which a snapshot shows more than our open requests may have made of them."""
    found = set()
    for copy in view.copies.values():
        held = view.positions.get(copy.position) if copy.position is not None else None
        now = shown.get(held.position) if held is not None else None
        if held is None or now is None:
            continue
        if now.side is not held.side or now.volume <= held.volume:
            continue
        asked = sum(
            intent.command.volume - intent.filled
            for intent in view.intents.values()
            if intent.command.kind.adds_risk and intent.command.symbol == copy.symbol
        )
        if now.volume - held.volume > asked:
            found.add(held.position)
    return frozenset(found)


def _asked_for(view: AccountView, copy: Copy, held: Position) -> int:
    """How much our requests without an outcome may have taken off a position; on a net any of its symbol may."""
    return sum(
        intent.command.volume - intent.filled
        for intent in view.intents.values()
        if (copy.share and intent.command.symbol == copy.symbol and intent.command.side is not held.side)
        or (intent.command.kind is CommandKind.CLOSE and intent.command.position == held.position)
    )
