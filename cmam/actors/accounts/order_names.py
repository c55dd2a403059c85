"""Whose orders were that have been told with their names once: told again without them, they are of nobody else."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cmam.domain.belief.nameless import lacks_name, told_by_name
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ExecutionSeen
from cmam.domain.values.ids import OrderId

NAMES_MAX = 256
"""Of how many orders the names are remembered: far more than are told again."""


class OrderNames:
    """The names of an account's own orders, by their numbers, the newest last."""

    def __init__(self) -> None:
        """Nothing has been told."""
        self._known: dict[OrderId, str] = {}

    @property
    def known(self) -> Mapping[OrderId, str]:
        """What has been told of late."""
        return self._known

    def named(self, view: AccountView, fact: ExecutionSeen, offset_ms: Callable[[], int]) -> ExecutionSeen:
        """The same execution, with the name of the request that its order is of, where nothing in it said so; whose the
        order is is noted. How far ahead of ours the broker's clock is, is asked only then."""
        if lacks_name(view, fact):
            fact = told_by_name(view, fact, offset_ms(), self._known)
        self._note(view, fact)
        return fact

    def _note(self, view: AccountView, fact: ExecutionSeen) -> None:
        """Remember whose an execution's order is, where it or its message tells an open request of ours."""
        order = fact.order
        if order is None or order.closing or order.order in self._known:
            return
        name = order.client_order_id if order.client_order_id in view.intents else fact.client_msg_id
        if name not in view.intents:
            return
        self._known[order.order] = name
        if len(self._known) > NAMES_MAX:
            del self._known[next(iter(self._known))]
