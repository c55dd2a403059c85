"""Who of a crew reads which accounts: so that all are through at the same time, and few streams are read twice.

An account is judged in one share; beside it stand its leaders, whose records its decisions are held against. It knows
streams and numbers of records, and nothing of processes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, field

from cmam.domain.operating.registry import PROFILE_PREFIX, Registry, evolve_registry
from cmam.domain.values.ids import AccountId, ProfileId
from cmam.store.records.envelope import Fact

WORTH_IT = 0.8
"""A crew whose longest share is more than this part of everything is no quicker than one process."""

Leaders = Mapping[AccountId, Set[AccountId]]
"""Of each account, all that it ever followed."""


@dataclass(slots=True)
class Share:
    """The accounts of one process: its own, and those that it reads beside them as witnesses."""

    own: list[AccountId] = field(default_factory=list)
    read: set[AccountId] = field(default_factory=set)
    records: int = 0

    @property
    def beside(self) -> set[AccountId]:
        """Those it reads for the sake of others."""
        return self.read - set(self.own)


def split(records: Mapping[AccountId, int], leaders: Leaders, count: int, worth_it: float = WORTH_IT) -> list[Share]:
    """At most so many shares, or one where more would gain nothing; `records` is how many each account has.

    The longest streams first, each where it makes the longest share grow least, then where least is read twice.
    """
    shares, longest = [Share() for _ in range(max(1, count))], 0
    for account in sorted(records, key=lambda one: (-records[one], one)):
        wanted = {account, *(one for one in leaders.get(account, ()) if one in records)}
        added = [sum(records[one] for one in wanted - share.read) for share in shares]
        place = min(range(len(shares)), key=lambda n: (max(longest, shares[n].records + added[n]), added[n], n))
        chosen = shares[place]
        chosen.own.append(account)
        chosen.read |= wanted
        chosen.records += added[place]
        longest = max(longest, chosen.records)
    if longest > worth_it * sum(records.values()):
        return [Share(list(records), set(records), sum(records.values()))]
    return [share for share in shares if share.own]


def leaders_of(facts: Iterable[Fact]) -> Leaders:
    """Whom each account ever followed, by what `app` and the profiles say, in any version of them."""
    found: dict[AccountId, set[AccountId]] = {}
    registry = Registry()
    for _, stream, _, _, event in facts:
        registry = evolve_registry(registry, stream, event)
        if stream.startswith(PROFILE_PREFIX):
            profile = registry.profiles[ProfileId(stream.removeprefix(PROFILE_PREFIX))]
            for link in profile.links.values():
                if profile.leader is not None:
                    found.setdefault(link.follower, set()).add(profile.leader)
    return found
