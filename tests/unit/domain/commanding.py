"""A registry of accounts, for tests of the commands that change it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cmam.domain.belief.view import AccountView
from cmam.domain.events import AccountAdded
from cmam.domain.operating.asking import Context, Outcome
from cmam.domain.operating.operate import operate
from cmam.domain.operating.registry import APP, Registry, evolve_registry
from cmam.domain.values.ids import AccountId


class Desk:
    """A registry, and commands that are carried out on it."""

    def __init__(self, accounts: Iterable[AccountAdded]) -> None:
        self.registry = Registry()
        self.views: dict[AccountId, AccountView] = {}
        self.number = 0
        for added in accounts:
            self.registry = evolve_registry(self.registry, APP, added)

    def _new_id(self) -> str:
        self.number += 1
        return f"id{self.number:04d}"

    def does(self, command: str, **request: Any) -> Outcome:
        """Carry a command out, and fold what follows."""
        context = Context(registry=self.registry, user="t", new_id=self._new_id, heads={}, views=self.views)
        outcome = operate(context, {"command": command, **request})
        for stream, event in outcome.events:
            self.registry = evolve_registry(self.registry, stream, event)
        return outcome
