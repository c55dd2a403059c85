"""What rows of the audit's tables are, and the names that copies, decisions and other records bear in them."""

from __future__ import annotations

from typing import Any

from cmam.domain.values.ids import AccountId, LinkId, SourceKey

Row = dict[str, Any]
Change = tuple[str, Row]
"""A table, and a row with its key and all that is to be set."""

LIFE = "/"
"""What stands between the name of a copy and the number of its last request, where it was opened once more since."""


def copy_id(store: str, link: LinkId, source: SourceKey) -> str:
    """The name of a copy: the label of its orders at the broker."""
    return f"cm1.{store}.{link}.{source}"


def record_id(account: AccountId | int, version: int) -> str:
    """The name of a decision, or of what caused it: the account and the version in its stream."""
    return f"{account}.{version}"
