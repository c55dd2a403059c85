"""The log folded into what it means: the registry and a view of each account, one record at a time.

Projector, replay and audit all fold here, with the domain's own functions, so that there is one truth. It remembers
nothing that is not in the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from cmam.domain.account import AccountView, advance, evolve
from cmam.domain.ids import AccountId
from cmam.domain.registry import Registry, evolve_registry
from cmam.domain.replacing import replace
from cmam.domain.view import ViewInTheMaking, in_the_making, lasting
from cmam.store.envelope import Recorded

ACCOUNT_PREFIX = "account:"


@lru_cache(maxsize=1 << 16)
def account_of(stream: str) -> AccountId | None:
    """The account whose stream this is."""
    number = stream.removeprefix(ACCOUNT_PREFIX)
    return AccountId(int(number)) if number != stream and number.isdecimal() else None


@dataclass(frozen=True, slots=True)
class AccountStep:
    """What one record changed in the view of its account."""

    record: Recorded
    before: AccountView
    after: AccountView


@dataclass(frozen=True, slots=True)
class RegistryStep:
    """What one record changed in the registry; records of connections change nothing there."""

    record: Recorded
    before: Registry
    after: Registry


@dataclass(slots=True)
class Fold:
    """Everything that is believed after some records."""

    registry: Registry = field(default_factory=Registry)
    accounts: dict[AccountId, AccountView] = field(default_factory=dict)
    position: int = 0
    at_us: int = 0

    def take(self, record: Recorded) -> AccountStep | RegistryStep:
        """Fold one more record, the next of its stream."""
        self.position, self.at_us = record.position, record.at_us
        account = account_of(record.stream)
        if account is None:
            known = self.registry
            self.registry = evolve_registry(known, record.stream, record.event)
            return RegistryStep(record, known, self.registry)
        before = self.accounts.get(account) or AccountView(account=account)
        if before.version != record.version - 1:  # a damaged record before it was passed over
            before = replace(before, version=record.version - 1)
        after = evolve(before, record.event, record.at_us)
        self.accounts[account] = after
        return AccountStep(record, before, after)

    def run(self, records: Iterable[Recorded]) -> Fold:
        """Fold many records whose steps nobody wants to see: each account's view is made in place, and lasts then."""
        making: dict[str, ViewInTheMaking] = {}
        record = None
        try:
            for record in records:
                view = making.get(record.stream)
                if view is None:
                    account = account_of(record.stream)
                    if account is None:
                        self.registry = evolve_registry(self.registry, record.stream, record.event)
                        continue
                    known = self.accounts.get(account) or AccountView(account=account)
                    view = making[record.stream] = in_the_making(known)
                if view.version != record.version - 1:  # a damaged record before it was passed over
                    replace(view, version=record.version - 1)
                advance(view, record.event, record.at_us)
        finally:
            self.accounts.update((view.account, lasting(view)) for view in making.values())
            if record is not None:
                self.position, self.at_us = record.position, record.at_us
        return self


def fold(records: Iterable[Recorded]) -> Fold:
    """Fold all of some records."""
    return Fold().run(records)
