"""A size's arithmetic as one line that can be worked out by hand, and worked out again here to see that it holds.

It reads the steps that a decision recorded; it knows what each volume mode multiplies and divides, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction

from cmam.domain.deciding.arithmetic import fraction_text
from cmam.domain.events import Step

_CARRIED = ("leader_volume", "volume.basis")
_RATIOS = {"balance_ratio": "balance", "equity_ratio": "equity", "free_margin_ratio": "free_margin"}


def expression(working: Iterable[Step], volume: str, lot: str | None = None) -> dict[str, object] | None:
    """The exact volume as a product of the recorded numbers, then the roundings; None where nothing was sized.

    `lot` is the units of the follower's lot, for modes that count in these. `holds` says whether the product gives the
    recorded exact volume, or where costs leave room for less, no less than that; None where a number was too long to be
    recorded.
    """
    steps = tuple(working)
    values = {step.name: step.value for step in steps}
    notes = {step.name: step.note for step in steps}
    mode = notes.get("volume.amount", "")
    if lot is not None:
        values.setdefault("lot", lot)
    found = _product(mode, values)
    if found is None or "raw" not in values:
        return None
    text, exact = found
    raw = _number(values["raw"])
    roundings = [
        f"{step.name} {step.value}" + (f" ({step.note})" if step.note else "")
        for step in steps
        if step.name in ("within", "rounded", "minimum", "raise", "capped", "split", "shrunk")
    ]
    shown, holds = values["raw"], None if exact is None or raw is None else exact == raw
    if "within" in values and exact is not None:
        shown, holds = fraction_text(exact), raw == _number(values["within"]) and raw is not None and raw <= exact
    return {
        "mode": mode,
        "text": f"{text} = {shown} units",
        "holds": holds,
        "then": roundings,
        "volume": volume,
    }


def _product(mode: str, values: Mapping[str, str]) -> tuple[str, Fraction | None] | None:
    """What was multiplied, as text and exactly, in units; None for a mode of which a part is not recorded."""
    amount = values.get("volume.amount", "")
    if mode in ("multiplier", "notional_multiplier"):
        return _times(values, (*_CARRIED, "volume.amount"))
    if mode in _RATIOS:
        ours, theirs = f"follower_{_RATIOS[mode]}", f"leader_{_RATIOS[mode]}"
        factors = (*_CARRIED, ours, "volume.amount")
        return _times(values, factors, (theirs, "leader_rate") if "leader_rate" in values else (theirs,))
    if mode == "fixed":
        return _times(values, ("volume.amount", "lot"))
    if mode == "formula":
        return _times(values, ("formula", "lot"))
    if mode == "risk_percent" and "volume.without_stop" in values:
        return _times(values, ("volume.without_stop", "lot"))
    if mode == "fixed_leverage":
        return _times(values, ("volume.amount", "equity"), ("base_rate",))
    if mode == "risk_percent" and "d" in values:
        base = next((name for name in ("balance", "equity") if name in values), None)
        numbers = [_number(values.get(name, "")) for name in (base or "", "d", "c")]
        if base is None or any(number is None for number in numbers):
            return None
        money, away, cost = (number for number in numbers if number is not None)
        q2d = _number(values.get("q2d", "1"))
        part = _number(amount)
        text = f"{amount} % × {values[base]} ÷ ({values['d']} × {values.get('q2d', '1')} + {values['c']})"
        if q2d is None or part is None:
            return text, None
        return text, part / 100 * money / (away * q2d + cost)
    return None


def _times(
    values: Mapping[str, str], factors: tuple[str, ...], divisors: tuple[str, ...] = ()
) -> tuple[str, Fraction | None] | None:
    if any(name not in values for name in (*factors, *divisors)):
        return None
    text = " × ".join(values[name] for name in factors)
    if divisors:
        under = " × ".join(values[name] for name in divisors)
        text += f" ÷ ({under})" if len(divisors) > 1 else f" ÷ {under}"
    result: Fraction | None = Fraction(1)
    for name in factors:
        number = _number(values[name])
        result = None if number is None or result is None else result * number
    for name in divisors:
        number = _number(values[name])
        result = None if not number or result is None else result / number
    return text, result


def _number(text: str) -> Fraction | None:
    """An exact number of a working; None for one that was cut."""
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        return None
