"""Faults on switches, by name. This file says which exist and whether one strikes now; it breaks nothing by itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PartialFill:
    """How much of an order is filled first, and whether the rest follows or is cancelled."""

    fraction_permille: int
    is_completed: bool


class Faults:
    """The switched-on faults."""

    def rejection(self, ctid: int) -> str | None:
        """Say with which code an accepted order is to be rejected, if so."""
        return None

    def partial_fill(self, ctid: int) -> PartialFill | None:
        """Say whether an order is to be filled in parts only."""
        return None


def set_fault(broker: object, name: str, arguments: object) -> str:
    """Switch a fault on; raises ValueError with one clear sentence."""
    raise ValueError(f"expected the name of a fault, found {name!r}")


def clear_fault(broker: object, name: str) -> str:
    """Switch a fault off; raises ValueError with one clear sentence."""
    raise ValueError(f"expected the name of a fault, found {name!r}")
