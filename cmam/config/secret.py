"""A text that must not be seen: it shows itself to nobody who does not ask by name.

Must not know what the text is for. Never a `str`: what formats, logs, dumps or pickles it gets a mask or an error.
"""

from __future__ import annotations

import hmac
from typing import NoReturn

MASK = "••••"


class Secret:
    """Client secret, access token or refresh token. `reveal()` is the only way to it, and easy to search for."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the wire, the token endpoint and the file of secrets."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret({MASK!r})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: it stays in this process and in the file of secrets")
