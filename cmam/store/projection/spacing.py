"""Which views of the past are kept beside the newest: enough that an old story is found by a short fold, and no more.

Of each account one is kept every few thousand records of its own stream, more rarely where it is large. They are
thinned where they lie closer than that, and where they come to too many bytes: then those go that stand closest to
others. It must not know what a view is.
"""

from __future__ import annotations

from sqlite_utils import Database

EVERY = 5_000
"""Records of an account from one of its snapshots to the next: an eighth of a second of folding."""
STRETCH_BYTES = 100
"""For each so many bytes of its view one record more: a large view costs more to keep and no more to fold."""
BYTES_MAX = 16_000_000
"""The snapshots of one account come to no more, as they are stored."""
SNAPSHOTS_MIN = 8
"""So many are kept however large they are."""


class Spacing:
    """When an account is to be kept again."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def is_due(self, stream: str, version: int) -> bool:
        """Whether the view of this version is worth keeping, and not only the newest at the end."""
        return version >= self._next.setdefault(stream, version + EVERY)

    def was_kept(self, stream: str, version: int, size: int) -> None:
        """Note that a view of so many bytes was kept."""
        self._next[stream] = version + EVERY + size // STRETCH_BYTES


def thin(views: Database, stream: str) -> None:
    """Let go of the snapshots of an account that are not worth their bytes; the newest stays always."""
    sql = "SELECT version, length(state) FROM folds WHERE stream = ? ORDER BY version"
    kept = [(0, 0), *((int(row[0]), int(row[1])) for row in views.execute(sql, [stream]))]
    size = sum(row[1] for row in kept)
    while len(kept) > 2:
        gap, _, n = min((kept[n + 1][0] - kept[n - 1][0], kept[n][0], n) for n in range(1, len(kept) - 1))
        if gap > EVERY and (size <= BYTES_MAX or len(kept) <= SNAPSHOTS_MIN + 1):
            return
        version, freed = kept.pop(n)
        size -= freed
        views.execute("DELETE FROM folds WHERE stream = ? AND version = ?", [stream, version])
