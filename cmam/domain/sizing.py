"""How much to copy: the leader's volume turned into the follower's, exact until the one rounding that is named.

All volumes are 1/100 unit. Every function returns the steps of its arithmetic, so that a decision can be explained.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from cmam.domain.changes import LeaderSymbol
from cmam.domain.events import Step
from cmam.domain.policy import Policy, VolumeBasis
from cmam.domain.quantities import Volume, floor_fraction, units_text
from cmam.domain.reasons import Reason
from cmam.domain.symbols import SymbolSpec


@dataclass(frozen=True, slots=True)
class Sized:
    """A volume the broker takes, or the reason why there is none."""

    volume: Volume
    reason: Reason | None
    working: tuple[Step, ...]


def size(leader_volume: Volume, leader: LeaderSymbol, spec: SymbolSpec, policy: Policy) -> Sized:
    """Find the follower's volume for an open or an add of the leader."""
    raw, steps = _raw(leader_volume, leader, spec, policy)
    return _bounded(raw, spec, steps)


def _raw(
    leader_volume: Volume, leader: LeaderSymbol, spec: SymbolSpec, policy: Policy
) -> tuple[Fraction, tuple[Step, ...]]:
    factor = Fraction(1)
    if policy.volume_basis is VolumeBasis.LOTS and leader.lot_size > 0:
        factor = Fraction(spec.lot_size, leader.lot_size)
    raw = leader_volume * policy.volume_amount * factor
    return raw, (
        Step(name="leader_volume", value=units_text(leader_volume), note="units"),
        Step(name="volume.amount", value=fraction_text(policy.volume_amount), note=policy.volume_mode.value),
        Step(
            name="volume.basis", value=fraction_text(factor), note=f"{policy.volume_basis.value}: follower per leader"
        ),
        Step(name="raw", value=fraction_text(raw / 100), note="units, exact"),
    )


def _bounded(raw: Fraction, spec: SymbolSpec, steps: tuple[Step, ...]) -> Sized:
    volume = spec.floor_volume(floor_fraction(raw))
    steps = (*steps, Step(name="rounded", value=units_text(volume), note=f"down to {units_text(spec.step_volume)}"))
    if volume < spec.min_volume:
        found = Step(name="minimum", value=units_text(spec.min_volume), note=f"the symbol {spec.name} allows no less")
        return Sized(Volume(0), Reason.BELOW_MINIMUM, (*steps, found))
    if volume > spec.max_volume:
        volume = spec.floor_volume(spec.max_volume)
        steps = (*steps, Step(name="capped", value=units_text(volume), note=f"the most that {spec.name} allows"))
    return Sized(volume, None, steps)


def fraction_text(value: Fraction) -> str:
    """Write an exact number: as a decimal where it ends, else as a ratio."""
    denominator = value.denominator
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    if denominator != 1:
        return f"{value.numerator}/{value.denominator}"
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    scaled = (value * 10**digits).numerator
    sign, text = ("-" if scaled < 0 else ""), str(abs(scaled)).rjust(digits + 1, "0")
    return sign + (text if digits == 0 else f"{text[:-digits]}.{text[-digits:]}")
