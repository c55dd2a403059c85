"""How much to copy: the leader's volume turned into the follower's, exact until the one rounding that is named.

All volumes are 1/100 unit. Every function returns the steps of its arithmetic, so that a decision can be explained. An
input that is missing, not above zero or too old ends in a reason, never in a substitute.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from cmam.domain import equity as money
from cmam.domain.changes import Change
from cmam.domain.choices import MoneyBase, VolumeBasis, VolumeCurrency, VolumeMode
from cmam.domain.conversion import Rates
from cmam.domain.events import Step
from cmam.domain.policy import Policy
from cmam.domain.quantities import PRICE_SCALE, VOLUME_SCALE, Price, Side, Volume, floor_fraction, units_text
from cmam.domain.reasons import Reason
from cmam.domain.symbols import SymbolSpec


@dataclass(frozen=True, slots=True)
class Sized:
    """A volume the broker takes, or the reason why there is none. `whole` is the sum of parts where it is split."""

    volume: Volume
    reason: Reason | None
    working: tuple[Step, ...]
    whole: Volume = Volume(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """All that a size may rest on. `entry` is the copy's price, `risk` the distance to its final stop, both in 1e-8."""

    change: Change
    volume: Volume
    spec: SymbolSpec
    policy: Policy
    rates: Rates
    side: Side
    entry: Price | None = None
    risk: int | None = None


class Missing(Exception):
    """An input that is not there."""

    def __init__(self, name: str, reason: Reason = Reason.STALE_INPUT) -> None:
        super().__init__(name)
        self.name = name
        self.reason = reason


def size(asked: Sizing) -> Sized:
    """Find the follower's volume for an open of the leader."""
    steps = [Step(name="leader_volume", value=units_text(asked.volume), note="units")]
    try:
        raw = _raw(asked, steps)
    except Missing as missing:
        steps.append(Step(name=missing.name, value="-", note="missing, not above zero, or too old"))
        return Sized(Volume(0), missing.reason, tuple(steps))
    steps.append(Step(name="raw", value=fraction_text(raw / VOLUME_SCALE), note="units, exact"))
    return bounded(raw, asked.spec, asked.policy, tuple(steps))


# --- modes --------------------------------------------------------------------------------------------------------


def _raw(asked: Sizing, steps: list[Step]) -> Fraction:
    policy = asked.policy
    steps.append(Step(name="volume.amount", value=fraction_text(policy.volume_amount), note=policy.volume_mode.value))
    match policy.volume_mode:
        case VolumeMode.MULTIPLIER:
            return _carried(asked, policy.volume_basis, steps) * policy.volume_amount
        case VolumeMode.NOTIONAL_MULTIPLIER:
            return _carried(asked, VolumeBasis.NOTIONAL, steps) * policy.volume_amount
        case VolumeMode.FIXED:
            return policy.volume_amount * asked.spec.lot_size
        case VolumeMode.BALANCE_RATIO | VolumeMode.EQUITY_RATIO | VolumeMode.FREE_MARGIN_RATIO:
            ratio = _money_ratio(asked, steps)
            return _carried(asked, policy.volume_basis, steps) * ratio * policy.volume_amount
        case VolumeMode.FIXED_LEVERAGE:
            whole = _there("equity", money.equity(asked.rates), steps)
            rate = _there("base_rate", money.base_rate(asked.rates, asked.spec), steps)
            return policy.volume_amount * whole / rate * VOLUME_SCALE
        case VolumeMode.RISK_PERCENT:
            return _by_risk(asked, steps)
        case VolumeMode.FORMULA:
            return _by_formula(asked, steps)


def _there(name: str, value: Fraction | None, steps: list[Step], note: str = "") -> Fraction:
    if value is None or value <= 0:
        raise Missing(name)
    steps.append(Step(name=name, value=fraction_text(value), note=note))
    return value


def _carried(asked: Sizing, basis: VolumeBasis, steps: list[Step]) -> Fraction:
    """The leader's volume as the follower's broker counts it, before anything is multiplied."""
    leader, spec = asked.change.symbol, asked.spec
    match basis:
        case VolumeBasis.UNITS:
            factor = Fraction(1)
        case VolumeBasis.LOTS:
            if leader.lot_size <= 0:
                raise Missing("leader_lot_size")
            factor = Fraction(spec.lot_size, leader.lot_size)
            row = asked.policy.row(leader.name)
            is_confirmed = leader.name in asked.policy.lots_confirmed or (
                row is not None and row.volume_amount is not None
            )
            if factor != 1 and not is_confirmed:
                steps.append(
                    Step(
                        name="lot_sizes",
                        value=f"{units_text(leader.lot_size)} and {units_text(spec.lot_size)}",
                        note="units per lot, leader's and follower's: not confirmed",
                    )
                )
                raise Missing("lots", Reason.LOTS_UNCONFIRMED)
        case VolumeBasis.NOTIONAL:
            factor = _notional_factor(asked, steps)
    steps.append(Step(name="volume.basis", value=fraction_text(factor), note=f"{basis.value}: follower per leader"))
    return asked.volume * factor


def _notional_factor(asked: Sizing, steps: list[Step]) -> Fraction:
    """How many of the follower's units are worth one of the leader's, both in the follower's currency."""
    leader, currency = asked.change.symbol, asked.rates.view.currency
    price = asked.change.price or asked.change.limit_price or asked.change.stop_price
    if price is None:
        raise Missing("leader_price")
    rate = asked.rates.rate(leader.quote, currency, high=False)
    worth = _there("leader_unit_worth", None if rate is None else rate * Fraction(price, PRICE_SCALE), steps, currency)
    own = _there("unit_worth", money.base_rate(asked.rates, asked.spec), steps, currency)
    return worth / own


def _money_ratio(asked: Sizing, steps: list[Step]) -> Fraction:
    """The follower's money over the leader's, in one currency or as bare numbers."""
    leader, view, policy = asked.change.money, asked.rates.view, asked.policy
    if leader is None:
        raise Missing("leader_money")
    match policy.volume_mode:
        case VolumeMode.BALANCE_RATIO:
            theirs: int | None = leader.balance
            ours: Fraction | None = money.balance(view)
        case VolumeMode.EQUITY_RATIO:
            theirs, ours = leader.equity, money.equity(asked.rates)
        case _:
            theirs, ours = leader.free_margin, money.free_margin(asked.rates)
    name = policy.volume_mode.value.removesuffix("_ratio")
    mine = _there(f"follower_{name}", ours, steps, view.currency)
    whole = None if theirs is None else Fraction(theirs, 10**leader.money_digits)
    other = _there(f"leader_{name}", whole, steps, leader.currency)
    if policy.volume_currency is VolumeCurrency.CONVERT and leader.currency != view.currency:
        rate = asked.rates.rate(leader.currency, view.currency, high=True)
        other *= _there("leader_rate", rate, steps, f"{leader.currency} to {view.currency}")
    return mine / other


def _by_risk(asked: Sizing, steps: list[Step]) -> Fraction:
    """units = percent × base ÷ (d × q2d + c)."""
    policy, spec, rates = asked.policy, asked.spec, asked.rates
    if asked.risk is None:
        if policy.without_stop is not None:
            steps.append(Step(name="volume.without_stop", value=fraction_text(policy.without_stop), note="lots"))
            return policy.without_stop * spec.lot_size
        raise Missing("stop", Reason.NO_STOP)
    if asked.risk <= 0:
        raise Missing("stop_distance", Reason.STOP_NOT_A_RISK)
    base = money.balance(rates.view) if policy.risk_base is MoneyBase.BALANCE else money.equity(rates)
    base = _there(policy.risk_base.value, base, steps, rates.view.currency)
    distance = _there("d", Fraction(asked.risk, PRICE_SCALE), steps, "price from entry to the copy's stop")
    q2d = Fraction(1)
    if spec.quote_name != rates.view.currency:
        rate = rates.rate(spec.quote_name, rates.view.currency, high=True)
        q2d = _there("q2d", rate, steps, f"{spec.quote_name} to {rates.view.currency}, the worse side")
    cost = _cost_per_unit(asked, q2d, distance)
    steps.append(Step(name="c", value=fraction_text(cost), note="commission both ways and conversion fee, per unit"))
    return policy.volume_amount / 100 * base / (distance * q2d + cost) * VOLUME_SCALE


def _cost_per_unit(asked: Sizing, q2d: Fraction, distance: Fraction) -> Fraction:
    """Round-trip commission and the conversion fee on the loss, in the deposit currency for one unit."""
    spec, rates = asked.spec, asked.rates
    rate = Fraction(spec.commission_rate_e8, PRICE_SCALE)
    currency = rates.view.currency
    lot_units = Fraction(spec.lot_size, VOLUME_SCALE)
    price = Fraction(asked.entry or 0, PRICE_SCALE)
    usd = Fraction(1) if currency == "USD" else rates.rate("USD", currency, high=True)
    match spec.commission_type:  # as the API numbers them: 1 USD a million, 2 USD a lot, 3 percent, 4 quote a lot
        case _ if rate == 0:
            side = Fraction(0)
        case 2 if lot_units > 0 and usd is not None:
            side = rate / lot_units * usd
        case 1:
            side = rate * price * q2d / 1_000_000
        case 3:
            side = rate * 1_000 / 100 * price * q2d
        case 4 if lot_units > 0:
            side = rate / lot_units * q2d
        case _:
            raise Missing("commission")
    fee = Fraction(0)
    if spec.quote_name != currency:
        fee = distance * q2d * spec.conversion_fee_rate / money.FEE_SCALE
    return 2 * side + fee


def _by_formula(asked: Sizing, steps: list[Step]) -> Fraction:
    """The formula's value in lots of the follower."""
    expression = asked.policy.volume_formula
    if expression is None:
        raise Missing("volume.formula", Reason.BAD_FORMULA)
    inputs: dict[str, Fraction] = {}
    for name in expression.names:
        inputs[name] = _there(name, _formula_input(asked, name), steps)
    value = expression.value(inputs)
    if value is None or value <= 0:
        steps.append(Step(name="formula", value="-" if value is None else fraction_text(value), note=expression.text))
        raise Missing("formula", Reason.BAD_FORMULA)
    steps.append(Step(name="formula", value=fraction_text(value), note=f"lots: {expression.text}"))
    return value * asked.spec.lot_size


def _formula_input(asked: Sizing, name: str) -> Fraction | None:
    leader, rates = asked.change, asked.rates
    match name:
        case "leader_units":
            return Fraction(asked.volume, VOLUME_SCALE)
        case "leader_lots":
            return Fraction(asked.volume, leader.symbol.lot_size) if leader.symbol.lot_size > 0 else None
        case "leader_balance" | "leader_equity" | "leader_free_margin":
            return _leader_money(asked, name.removeprefix("leader_"))
        case "balance":
            return money.balance(rates.view)
        case "equity":
            return money.equity(rates)
        case "free_margin":
            return money.free_margin(rates)
        case "price":
            return None if asked.entry is None else Fraction(asked.entry, PRICE_SCALE)
        case _:
            return Fraction(asked.spec.lot_size, VOLUME_SCALE)


def _leader_money(asked: Sizing, name: str) -> Fraction | None:
    """The leader's money in the follower's currency, or as it is with `raw`."""
    leader = asked.change.money
    value: int | None = getattr(leader, name) if leader is not None else None
    if leader is None or value is None:
        return None
    whole = Fraction(value, 10**leader.money_digits)
    currency = asked.rates.view.currency
    if asked.policy.volume_currency is VolumeCurrency.RAW or leader.currency == currency:
        return whole
    rate = asked.rates.rate(leader.currency, currency, high=True)
    return None if rate is None else whole * rate


# --- bounds -------------------------------------------------------------------------------------------------------


def bounded(raw: Fraction, spec: SymbolSpec, policy: Policy, steps: tuple[Step, ...]) -> Sized:
    """Round down to the step, and keep within the symbol's bounds and the policy's."""
    low, high = bounds(spec, policy)
    volume = spec.floor_volume(floor_fraction(raw))
    steps = (*steps, Step(name="rounded", value=units_text(volume), note=f"down to {units_text(spec.step)}"))
    if volume < low:
        steps = (*steps, Step(name="minimum", value=units_text(low), note=f"{spec.name} and volume.min allow no less"))
        if not policy.volume_rounding.raises or raw <= 0:
            return Sized(Volume(0), Reason.BELOW_MINIMUM, steps)
        times = low / raw
        raised = Step(name="raise", value=fraction_text(times), note="times the exact volume, by raise_risk_max")
        if times > policy.raise_risk_max or low > high:
            return Sized(Volume(0), Reason.RAISE_TOO_FAR, (*steps, raised))
        return Sized(low, None, (*steps, raised), low)
    whole = volume
    if policy.volume_max is not None:
        whole = Volume(min(whole, spec.floor_volume(int(policy.volume_max * spec.lot_size))))
    if volume > high:
        steps = (*steps, Step(name="capped", value=units_text(high), note=f"{spec.name} and volume.max allow no more"))
        if high < low:
            return Sized(Volume(0), Reason.BELOW_MINIMUM, steps)
        if policy.volume_rounding.splits and whole > high:
            note = f"in parts of at most {units_text(high)}"
            return Sized(high, None, (*steps, Step(name="split", value=units_text(whole), note=note)), whole)
        return Sized(high, None, steps, high)
    return Sized(volume, None, steps, volume)


def bounds(spec: SymbolSpec, policy: Policy) -> tuple[Volume, Volume]:
    """The least and the most one order may have: the symbol's own, tightened by the policy's lots, on the step."""
    low, high = spec.min_volume, spec.floor_volume(spec.max_volume)
    if policy.volume_min is not None:
        exact = policy.volume_min * spec.lot_size
        low = Volume(max(low, -(-exact.numerator // exact.denominator)))
    low = Volume(-(-low // spec.step) * spec.step)
    if policy.volume_max is not None:
        high = Volume(min(high, spec.floor_volume(int(policy.volume_max * spec.lot_size))))
    return low, high


def fraction_text(value: Fraction) -> str:
    """Write an exact number: as a decimal where it ends, else as a ratio."""
    denominator = value.denominator
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    if denominator != 1:
        if value.denominator.bit_length() > 64:
            return f"about {fraction_text(Fraction(value.numerator * 10**9 // value.denominator, 10**9))}"
        return f"{value.numerator}/{value.denominator}"
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    scaled = (value * 10**digits).numerator
    sign, text = ("-" if scaled < 0 else ""), str(abs(scaled)).rjust(digits + 1, "0")
    return sign + (text if digits == 0 else f"{text[:-digits]}.{text[-digits:]}")
