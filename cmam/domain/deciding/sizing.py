"""How much to copy: the leader's volume turned into the follower's, exact until the one rounding that is named.

All volumes are 1/100 unit. Every function returns the steps of its arithmetic, so that a decision can be explained. An
input that is missing, not above zero or too old ends in a reason, never in a substitute.
"""

from __future__ import annotations

from fractions import Fraction

from cmam.domain.deciding.arithmetic import Missing, Sized, Sizing, fraction_text, ratio_text, there
from cmam.domain.deciding.risk import units_at_risk
from cmam.domain.events import Step
from cmam.domain.market import equity as money
from cmam.domain.market.conversion import leads_nowhere
from cmam.domain.profiles.choices import VolumeBasis, VolumeCurrency, VolumeMode
from cmam.domain.profiles.policy import Policy
from cmam.domain.values.quantities import PRICE_SCALE, VOLUME_SCALE, Volume, floor_fraction, units_text
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.opens import NO_RATE, OWN_PRICE
from cmam.domain.values.symbols import SymbolSpec

ONE = Fraction(1)


def size(asked: Sizing) -> Sized:
    """Find the follower's volume for an open of the leader."""
    steps = [Step(name="leader_volume", value=units_text(asked.volume), note="units")]
    try:
        raw = _raw(asked, steps)
    except Missing as missing:
        steps.append(Step(name=missing.name, value="-", note=missing.note))
        return Sized(Volume(0), missing.reason, tuple(steps))
    steps.append(
        Step(
            name="raw",
            value=ratio_text(raw.numerator, raw.denominator * VOLUME_SCALE),
            note="units, exact",
        )
    )
    return bounded(raw, asked.spec, asked.policy, tuple(steps))


def exact_size(asked: Sizing) -> Fraction | None:
    """The follower's volume for an open of the leader before any rounding or bound; None where an input is missing."""
    try:
        return _raw(asked, [])
    except Missing:
        return None


# --- modes --------------------------------------------------------------------------------------------------------


def _raw(asked: Sizing, steps: list[Step]) -> Fraction:
    policy = asked.policy
    steps.append(Step(name="volume.amount", value=fraction_text(policy.volume_amount), note=policy.volume_mode.value))
    match policy.volume_mode:
        case VolumeMode.MULTIPLIER:
            return _carried(asked, policy.volume_basis, steps, policy.volume_amount)
        case VolumeMode.NOTIONAL_MULTIPLIER:
            return _carried(asked, VolumeBasis.NOTIONAL, steps, policy.volume_amount)
        case VolumeMode.FIXED:
            return policy.volume_amount * asked.spec.lot_size
        case VolumeMode.BALANCE_RATIO | VolumeMode.EQUITY_RATIO | VolumeMode.FREE_MARGIN_RATIO:
            ratio = _money_ratio(asked, steps)
            return _carried(asked, policy.volume_basis, steps, ratio * policy.volume_amount)
        case VolumeMode.FIXED_LEVERAGE:
            whole = there("equity", money.equity(asked.rates), steps)
            rate = there("base_rate", money.base_rate(asked.rates, asked.spec), steps)
            return policy.volume_amount * whole / rate * VOLUME_SCALE
        case VolumeMode.RISK_PERCENT:
            return units_at_risk(asked, steps)
        case VolumeMode.FORMULA:
            return _by_formula(asked, steps)


def _carried(asked: Sizing, basis: VolumeBasis, steps: list[Step], times: Fraction) -> Fraction:
    """The leader's volume as the follower's broker counts it, so many times."""
    leader, spec = asked.change.symbol, asked.spec
    match basis:
        case VolumeBasis.UNITS:
            factor = ONE
        case VolumeBasis.LOTS:
            if leader.lot_size <= 0:
                raise Missing("leader_lot_size")
            factor = ONE if spec.lot_size == leader.lot_size else Fraction(spec.lot_size, leader.lot_size)
            if factor is not ONE and not asked.policy.confirms_lots(leader.name, rules=asked.rates.view.rules):
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
    if factor is not ONE:
        times = factor * times
    return Fraction(asked.volume * times.numerator, times.denominator)


def _notional_factor(asked: Sizing, steps: list[Step]) -> Fraction:
    """How many of the follower's units are worth one of the leader's, both in the follower's currency."""
    leader, currency = asked.change.symbol, asked.rates.view.currency
    price = asked.change.price or asked.change.limit_price or asked.change.stop_price
    if price is None:
        raise Missing("leader_price")
    rate = asked.rates.rate(leader.quote, currency, high=False)
    worth = there("leader_unit_worth", None if rate is None else rate * Fraction(price, PRICE_SCALE), steps, currency)
    own = there("unit_worth", money.base_rate(asked.rates, asked.spec), steps, currency)
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
    mine = there(f"follower_{name}", ours, steps, view.currency)
    whole = None if theirs is None else Fraction(theirs, 10**leader.money_digits)
    other = there(f"leader_{name}", whole, steps, leader.currency)
    if policy.volume_currency is VolumeCurrency.CONVERT and leader.currency != view.currency:
        rate = _leader_rate(asked, leader.currency)
        other *= there("leader_rate", rate, steps, f"{leader.currency} to {view.currency}")
    return mine / other


def _by_formula(asked: Sizing, steps: list[Step]) -> Fraction:
    """The formula's value in lots of the follower."""
    expression = asked.policy.volume_formula
    if expression is None:
        raise Missing("volume.formula", Reason.BAD_FORMULA)
    inputs: dict[str, Fraction] = {}
    for name in expression.names:
        inputs[name] = there(name, _formula_input(asked, name), steps)
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
            price = asked.market if rates.view.rules >= OWN_PRICE else asked.entry
            return None if price is None else Fraction(price, PRICE_SCALE)
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
    rate = _leader_rate(asked, leader.currency)
    return None if rate is None else whole * rate


def _leader_rate(asked: Sizing, theirs: str) -> Fraction | None:
    """What one of the leader's currency is worth in the follower's; None where that cannot be told now.

    Raises Missing where it never can, since no symbols of the follower's broker lead there.
    """
    view = asked.rates.view
    if view.rules >= NO_RATE and leads_nowhere(view, theirs):
        note = f"no symbols of the follower's broker lead from {theirs} to {view.currency}"
        raise Missing("leader_rate", Reason.NO_RATE, note)
    return asked.rates.rate(theirs, view.currency, high=True)


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
