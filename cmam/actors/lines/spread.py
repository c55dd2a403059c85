"""Over which connections accounts are spread: evenly, and an account stays where it is.

The accounts of an environment go, in the order in which they were added, each to the connection that has the fewest.
The order is on record, so every start spreads them alike; while it runs no account moves, whoever comes or goes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from cmam.domain.operating.registry import KnownAccount
from cmam.domain.values.ids import AccountId


class Spread:
    """Where each account is. Connections are named `demo-1`, `demo-2`, … and `live-1`, …"""

    def __init__(self, connections: int) -> None:
        self._connections = connections
        self._names: dict[AccountId, str] = {}
        self._members: dict[str, set[AccountId]] = {}

    def place(self, accounts: Iterable[KnownAccount]) -> None:
        """Take these accounts, all there are, in the order in which they were added."""
        known = list(accounts)
        for members in self._members.values():
            members.clear()
        for account in known:
            if account.account in self._names:
                self._members[self._names[account.account]].add(account.account)
        load = Counter({name: len(members) for name, members in self._members.items()})
        for account in known:
            if account.account not in self._names:
                environment = "live" if account.is_live else "demo"
                names = [f"{environment}-{number}" for number in range(1, self._connections + 1)]
                name = min(names, key=lambda name: load[name])  # the first of those with the fewest
                self._names[account.account] = name
                self._members.setdefault(name, set()).add(account.account)
                load[name] += 1

    def of(self, account: AccountId) -> str:
        """The connection of an account."""
        return self._names[account]

    def members(self) -> dict[str, tuple[AccountId, ...]]:
        """The accounts of each connection that has ever had one."""
        return {name: tuple(sorted(members)) for name, members in sorted(self._members.items())}
