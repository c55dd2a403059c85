"""What a leader opens in a symbol of which it is still to be read what it allows: it is told once that is known."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cmam.actors import messages as m
from cmam.actors.accounts.account_symbols import AccountSymbols
from cmam.actors.accounts.desk import Desk
from cmam.domain.belief.belonging import position_of
from cmam.domain.events import Event, ExecutionSeen


class HeldReports:
    """The reports of an account that wait for their symbols, in the order in which they came."""

    def __init__(self, desk: Desk, symbols: AccountSymbols) -> None:
        """Nothing is held back."""
        self._desk = desk
        self._symbols = symbols
        self.reports: list[m.Reported] = []

    def holds(self, message: m.Reported) -> bool:
        """Keep back what a leader opens in a symbol that is still being read: followers size it by the lots and digits
        that are told with it. What is told of anything he has already, or has asked for as a follower, waits for
        nothing: he could not close it."""
        if isinstance(message.fact, ExecutionSeen) and (traded := message.fact.position or message.fact.order):
            self._symbols.mind(traded.symbol)
        if self._symbols.is_read or not self._desk.leads or not self._awaits_symbol(message.fact):
            return False
        self.reports.append(message)
        return True

    def _awaits_symbol(self, fact: Event) -> bool:
        if not isinstance(fact, ExecutionSeen):
            return False
        view, order = self._desk.view, fact.order
        if position_of(fact) in view.positions:  # which a fill may name by its deal alone
            return False
        if order is not None and (order.order in view.orders or order.client_order_id in view.intents):
            return False
        traded = fact.position or order
        return traded is not None and self._symbols.awaits(traded.symbol)

    def without(self, snapshot: Any) -> Any:
        """A snapshot without what is held back: that is told in its turn, and not before its symbol is known."""
        held = [message.fact for message in self.reports if isinstance(message.fact, ExecutionSeen)]
        if not held:
            return snapshot
        positions, orders = snapshot
        opened = {position_of(fact) for fact in held}
        placed = {fact.order.order for fact in held if fact.order is not None}
        return (
            tuple(position for position in positions if position.position not in opened),
            tuple(order for order in orders if order.order not in placed),
        )

    def released(self) -> Iterator[m.Reported]:
        """What was held back, as far as its symbols are known by now; each is to be taken before the next."""
        for message in tuple(self.reports):
            if not self._awaits_symbol(message.fact):
                self.reports.remove(message)
                yield message
