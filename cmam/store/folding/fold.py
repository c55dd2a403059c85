"""The log folded into what it means: the registry and a view of each account, one record at a time.

Projector, replay and audit all fold here, with the domain's own functions, so that there is one truth. It remembers
nothing that is not in the log.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from cmam.domain.belief.view import AccountView, ViewInTheMaking, in_the_making, lasting
from cmam.domain.folds.account import advance, evolve
from cmam.domain.operating.registry import Registry, evolve_registry
from cmam.domain.values.ids import AccountId
from cmam.domain.values.replacing import replace
from cmam.store.logfile.log import EventLog
from cmam.store.records.envelope import Fact, Recorded, fact_of

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

    def run(self, facts: Iterable[Fact]) -> Fold:
        """Fold many facts whose steps nobody wants to see: each account's view is made in place, and lasts then."""
        making: dict[str, ViewInTheMaking] = {}
        position, at_us = self.position, self.at_us
        try:
            for position, stream, version, at_us, event in facts:  # noqa: B007  # the last of them is asked below
                view = making.get(stream)
                if view is None:
                    account = account_of(stream)
                    if account is None:
                        self.registry = evolve_registry(self.registry, stream, event)
                        continue
                    known = self.accounts.get(account) or AccountView(account=account)
                    view = making[stream] = in_the_making(known)
                if view.version != version - 1:  # a damaged record before it was passed over
                    replace(view, version=version - 1)
                advance(view, event, at_us)
        finally:
            self.accounts.update((view.account, lasting(view)) for view in making.values())
            self.position, self.at_us = position, at_us
        return self


def fold(records: Iterable[Recorded]) -> Fold:
    """Fold all of some records; of a whole log `fold_log` is quicker."""
    return Fold().run(map(fact_of, records))


def fold_log(log: EventLog) -> Fold:
    """Fold a whole log."""
    return Fold().run(log.facts())
