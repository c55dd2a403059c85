"""The name of the store, kept beside the log: who loses the log alone is still known to the brokers by the same name.

Every order carries the name (`domain/values/naming.py`). Without this file a new log would be a stranger to its own
copies. Must not know what is done about them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cmam.config.files import write_whole

FILE = "store.id"

_NAME = re.compile(r"[0-9a-z]{5}")


@dataclass(frozen=True, slots=True)
class StoreName:
    """The file of the name in one home."""

    root: Path

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.root / FILE

    def read(self) -> str:
        """The name that the last log of this home had; empty where there is none, or nothing that could be one."""
        try:
            text = self.path.read_text("ascii", errors="replace").strip()
        except FileNotFoundError:
            return ""
        return text if _NAME.fullmatch(text) else ""

    def keep(self, name: str) -> None:
        """Write the name durably, where it does not stand there yet. Raises OSError."""
        if self.read() != name:
            write_whole(self.path, f"{name}\n".encode("ascii"))
