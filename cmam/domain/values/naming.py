"""The names that our orders carry: derived, so that the same cause gives the same name after any crash."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache
from itertools import count

from cmam.domain.values.ids import AccountId, IntentId, LinkId, SourceKey, StoreId, base36

MARK = "cm1"
"""What every label of ours begins with: the first scheme of names."""


def label_of(store: StoreId, link: LinkId, source: SourceKey) -> str:
    """The label of a copy: the same for all its orders, so that the broker shows what belongs to which source."""
    return f"{MARK}.{store}.{link}.{source}"


def intent_id(store: StoreId, link: LinkId, source: SourceKey, seq: int, part: int = 0) -> IntentId:
    """The name of one request: at most 50 ASCII characters even for the largest ids.

    `part` is above 1 where it asks for the rest of request `seq`, which was split or filled in part.
    """
    return IntentId(f"{label_of(store, link, source)}.{seq}" + (f"-{part}" if part > 1 else ""))


def number_of(name: str) -> int:
    """The number of a request by its name; a part of one has that one's."""
    last = name.split(".")[-1].partition("-")[0]
    return int(last) if last.isascii() and last.isdigit() else 0


def part_of(name: str) -> int:
    """Which part of its request a name is of: 1 for that of the request itself."""
    part = name.split(".")[-1].partition("-")[2]
    return int(part) if part.isascii() and part.isdigit() else 1


LINKS_OF_PAIR_MAX = 64
"""So many links may one pair of accounts have had for a label of any of them to be recognised."""

_LINK_CHARACTERS = 6


def link_of(leader: AccountId, follower: AccountId, number: int) -> LinkId:
    """The name of the n-th link ever made between two accounts: derived, so that it survives the loss of the log."""
    digest = hashlib.sha256(f"{leader}>{follower}#{number}".encode()).digest()
    return LinkId(base36(int.from_bytes(digest[:8]) % 36**_LINK_CHARACTERS).rjust(_LINK_CHARACTERS, "0"))


def new_link(leader: AccountId, follower: AccountId, taken: Collection[LinkId]) -> LinkId:
    """The first name between two accounts that no link has had."""
    return next(name for n in count() if (name := link_of(leader, follower, n)) not in taken)


@lru_cache(maxsize=1024)
def links_of(leader: AccountId, follower: AccountId) -> frozenset[LinkId]:
    """All the names that a link between two accounts may have or have had."""
    return frozenset(link_of(leader, follower, number) for number in range(LINKS_OF_PAIR_MAX))


@dataclass(frozen=True, slots=True)
class Mark:
    """What a label of ours says: whose store, which link, which source."""

    store: str
    link: str
    source: str


@lru_cache(maxsize=1 << 12)
def read_label(label: str) -> Mark | None:
    """Read a label of ours, or of another store; None for anybody else's."""
    parts = label.split(".")
    if len(parts) < 4 or parts[0] != MARK or not all(parts[1:4]) or parts[3][0] not in "po":
        return None
    return Mark(parts[1], parts[2], parts[3])
