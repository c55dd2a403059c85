"""Symbol lists and specifications that accounts of one broker share: thousands of them need not each read everything.

Accounts whose symbol lists are equal mostly have equal specifications too, but not always: groups of one broker differ
in commissions or swaps. So each account reads a sample of its own, spread over the whole list, and takes the rest from
the shelf only where a whole set with exactly these specifications is there. Otherwise it reads everything and puts it
there; meanwhile others with the same list wait for it. What changes at the broker takes the sets of that list away.
Where something is missing in a list, one of those who have it reads it anew for all.

Many accounts' threads read and write it; each step is one operation on a dict or a list. Knows no wire.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from cmam.clock import SECOND_US
from cmam.domain.events import AssetName
from cmam.domain.values.ids import AccountId, AssetId, SymbolId
from cmam.domain.values.symbols import SymbolName, SymbolSpec

SAMPLE: Final = 100
"""So many symbols an account always reads itself: one request."""

SEEK_US = 600 * SECOND_US
"""How old a list is that is read anew where something is missing in it that was missing before."""
SOON_US = 60 * SECOND_US
"""How old it is where nobody has missed that in so long; one that is younger is taken for whole."""
SEEKER_US = 30 * SECOND_US
"""How long others wait for who reads it: by then what they would open is too old for most."""

Specs = Mapping[SymbolId, SymbolSpec]
Names = tuple[SymbolName, ...]
Assets = Mapping[AssetId, AssetName]


class SpecShelf:
    """Whole sets of specifications by symbol list, and who is reading one."""

    def __init__(self) -> None:
        self._lists: dict[str, tuple[Names, Assets]] = {}
        self._sets: dict[str, list[Specs]] = {}
        self._readers: dict[str, AccountId] = {}
        self._changes: dict[str, int] = {}
        self._listed_us: dict[str, int] = {}
        self._seekers: dict[str, tuple[AccountId, int]] = {}
        self._missed_us: dict[tuple[str, str], int] = {}
        self._replaced: set[str] = set()

    def list_of(self, digest: str, names: Names, assets: Assets) -> tuple[Names, Assets]:
        """A list as whoever read it first has it, where it is the same."""
        known = self._lists.setdefault(digest, (names, assets))
        return known if known == (names, assets) else (names, assets)

    def listed(self, family: str, before: str, now_us: int) -> None:
        """An account's list has been read just now; `before` is the family that it belonged to, if any."""
        self._listed_us[family] = now_us
        self._replaced.discard(family)  # some have it still
        self._seekers.pop(before, None)
        if before and before != family:
            self._replaced.add(before)

    def may_seek(self, family: str, symbol: str, account: AccountId, now_us: int) -> bool:
        """Whether this account shall read its list anew, since a leader's symbol is missing in it: where it has become
        another one elsewhere, or nobody has read it for long and nobody else is reading it."""
        if family in self._replaced:
            return True
        missed_us = self._missed_us.get((family, symbol), now_us - SEEK_US)
        age_us = SOON_US if now_us - missed_us >= SEEK_US else SEEK_US
        if now_us - self._listed_us.get(family, now_us) < age_us or self.is_sought(family, now_us):
            return False
        self._seekers.pop(family, None)
        if self._seekers.setdefault(family, (account, now_us))[0] != account:
            return False
        self._missed_us[family, symbol] = now_us
        return True

    def is_sought(self, family: str, now_us: int) -> bool:
        """Whether one of those who have a list is reading it anew."""
        seeker = self._seekers.get(family)
        return seeker is not None and now_us - seeker[1] < SEEKER_US

    def stop_seeking(self, account: AccountId) -> None:
        """Nothing is answered any more that an account has asked for."""
        for family, (seeker, _) in self._seekers.copy().items():
            if seeker == account:
                self._seekers.pop(family, None)
                for missed in [key for key in list(self._missed_us) if key[0] == family]:
                    self._missed_us.pop(missed, None)

    def changes(self, family: str) -> int:
        """How often something of a list has changed at the broker while we looked."""
        return self._changes.get(family, 0)

    def match(self, family: str, sample: Specs) -> Specs | None:
        """A set in which everything of a sample stands exactly so."""
        for specs in self._sets.get(family, ()):
            if all(specs.get(symbol) == spec for symbol, spec in sample.items()):
                return specs
        return None

    def may_read(self, family: str, account: AccountId) -> bool:
        """Whether this account shall read a whole set; another one may be doing so."""
        return self._readers.setdefault(family, account) == account

    def put(self, family: str, account: AccountId, specs: Specs, changes: int) -> None:
        """Keep a whole set that an account has read since so many changes, unless there was one more meanwhile."""
        if changes == self.changes(family) and self.match(family, specs) is None:
            self._sets.setdefault(family, []).append(specs)
        self.give_up(account)

    def give_up(self, account: AccountId) -> None:
        """An account reads no longer, whatever it has read."""
        for family, reader in self._readers.copy().items():
            if reader == account:
                self._readers.pop(family, None)

    def forget(self, family: str) -> None:
        """Something of a list has changed at the broker: its sets are of yesterday."""
        self._changes[family] = self.changes(family) + 1
        self._sets.pop(family, None)


def sample_of(names: Sequence[SymbolName], used: frozenset[SymbolId]) -> list[SymbolName]:
    """What an account reads itself: what it holds, and the rest spread evenly over the list, which runs by kind."""
    if len(names) <= SAMPLE:
        return list(names)
    held = [name for name in names if name.symbol in used][: SAMPLE // 2]
    others = [name for name in names if name not in held]
    room = SAMPLE - len(held)
    return held + [others[place * len(others) // room] for place in range(room)]
