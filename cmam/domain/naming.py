"""The names that our orders carry: derived, so that the same cause gives the same name after any crash."""

from __future__ import annotations

from dataclasses import dataclass

from cmam.domain.ids import IntentId, LinkId, SourceKey, StoreId

MARK = "cm1"
"""What every label of ours begins with: the first scheme of names."""


def label_of(store: StoreId, link: LinkId, source: SourceKey) -> str:
    """The label of a copy: the same for all its orders, so that the broker shows what belongs to which source."""
    return f"{MARK}.{store}.{link}.{source}"


def intent_id(store: StoreId, link: LinkId, source: SourceKey, seq: int) -> IntentId:
    """The name of one request: at most 50 ASCII characters even for the largest ids."""
    return IntentId(f"{label_of(store, link, source)}.{seq}")


@dataclass(frozen=True, slots=True)
class Mark:
    """What a label of ours says: whose store, which link, which source."""

    store: str
    link: str
    source: str


def read_label(label: str) -> Mark | None:
    """Read a label of ours, or of another store; None for anybody else's."""
    parts = label.split(".")
    if len(parts) < 4 or parts[0] != MARK or not all(parts[1:4]) or parts[3][0] not in "po":
        return None
    return Mark(parts[1], parts[2], parts[3])
