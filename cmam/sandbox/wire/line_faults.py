"""Faults of the wire, on switches: what a poor network or a restarting server does to bytes, whatever they mean.

Says how; the connections commit them. Faults that know messages (no answer, cuts around an event, rejections, invalid
tokens …) are the broker's, in `faults`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

TRICKLE_MS_MAX = 10_000
DOWN_S_MAX = 3_600


@dataclass(frozen=True, slots=True)
class LineFault:
    """One fault of the wire: its arguments with their defaults, and what it does."""

    arguments: Mapping[str, str]
    help: str


LINE_FAULTS: Final[Mapping[str, LineFault]] = {
    "slow-reader": LineFault(
        {"bytes_per_s": "1000"}, "bytes_per_s=1000: requests are read from each connection no faster than that"
    ),
    "trickle": LineFault(
        {"bytes": "7", "ms": "5"}, "bytes=7 ms=5: answers leave in pieces of that size, that far apart"
    ),
    "restart": LineFault(
        {"down_s": "2"}, "down_s=2: every connection is cut, nothing listens for that long, then all is as it was"
    ),
}


class LineFaults:
    """The wire faults that are on."""

    def __init__(self, on_restart: Callable[[float], None] | None = None) -> None:
        self._on: dict[str, dict[str, str]] = {}
        self._on_restart = on_restart
        self.bytes_per_s = 0
        """How fast requests are read; 0 is unlimited."""
        self.trickle_bytes = 0
        """Size of the pieces that answers leave in; 0 is whole."""
        self.trickle_s = 0.0

    def on(self) -> dict[str, dict[str, str]]:
        """List the faults that are on, with their arguments."""
        return {name: dict(arguments) for name, arguments in self._on.items()}

    def set(self, name: str, given: Mapping[str, str]) -> str:
        """Switch a fault on; gives a sentence, raises ValueError with one."""
        arguments = {**LINE_FAULTS[name].arguments}
        for key, value in given.items():
            if key not in arguments:
                raise ValueError(f"{name} takes {', '.join(arguments)}; found {key}")
            arguments[key] = value
        match name:
            case "slow-reader":
                self.bytes_per_s = _number(arguments, "bytes_per_s", 1, 10**9)
            case "trickle":
                pieces, ms = _number(arguments, "bytes", 1, 10**6), _number(arguments, "ms", 0, TRICKLE_MS_MAX)
                self.trickle_bytes, self.trickle_s = pieces, ms / 1000
            case _:
                down_s = _number(arguments, "down_s", 0, DOWN_S_MAX)
                if self._on_restart is not None:
                    self._on_restart(float(down_s))
                return f"restarting: down for {down_s} s, with accounts, orders and tokens kept"
        self._on[name] = arguments
        return f"{name} is on: {' '.join(f'{key}={value}' for key, value in arguments.items() if value)}"

    def clear(self, name: str) -> str:
        """Switch a fault off."""
        if self._on.pop(name, None) is None:
            return f"{name} was not on"
        if name == "slow-reader":
            self.bytes_per_s = 0
        else:
            self.trickle_bytes = 0
        return f"{name} is off"

    def clear_all(self) -> list[str]:
        """Switch every fault off; gives a sentence for each that was on."""
        return [self.clear(name) for name in list(self._on)]


def _number(arguments: Mapping[str, str], name: str, least: int, most: int) -> int:
    text = arguments[name]
    if not (text.isascii() and text.isdigit() and len(text) < 12 and least <= int(text) <= most):
        raise ValueError(f"expected a whole number from {least} to {most} for {name}, found {text!r}")
    return int(text)
