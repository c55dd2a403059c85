"""How much may be lost: the volume whose whole loss at the copy's stop stays within a percentage of the account.

The loss is counted as the broker books it: the way to the stop at the worse rate, the conversion fee on it, and the
commission of opening and closing, rounded away from zero and never below the symbol's minimum. What a fill beyond the
stop costs more, nobody knows beforehand.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from cmam.domain.deciding.arithmetic import Missing, Sizing, fraction_text, there
from cmam.domain.events import Step
from cmam.domain.market import equity as money
from cmam.domain.market.conversion import Rates
from cmam.domain.profiles.choices import MoneyBase
from cmam.domain.values.quantities import PRICE_SCALE, VOLUME_SCALE, Side, floor_fraction
from cmam.domain.values.reasons import Reason
from cmam.domain.values.symbols import SymbolSpec

USD = "USD"


@dataclass(frozen=True, slots=True)
class Loss:
    """What one unit loses at the stop, in the deposit currency: by price, by fee and by commission.

    `opening` and `closing` are the commissions per unit, `least` what each order costs at least; `minor` is one minor
    unit of the account.
    """

    price: Fraction
    fee: Fraction
    opening: Fraction
    closing: Fraction
    least: Fraction
    minor: Fraction

    @property
    def per_unit(self) -> Fraction:
        return self.price + self.fee + self.opening + self.closing

    def of(self, units: Fraction, parts: tuple[tuple[Fraction, int], ...]) -> Fraction:
        """What so many units lose, opened in these parts (units, how often) and closed at once, as a broker rounds."""
        commissions = self._up(max(units * self.closing, self.least))
        for part, count in parts:
            commissions += count * self._up(max(part * self.opening, self.least))
        gross = (units * self.price + self.minor / 2) // self.minor * self.minor
        return gross + self._up(gross * self.fee / self.price) + commissions

    def _up(self, cost: Fraction) -> Fraction:
        return -(-cost // self.minor) * self.minor


def units_at_risk(asked: Sizing, steps: list[Step]) -> Fraction:
    """units = percent × base ÷ (d × q2d + c), in 1/100 unit; less where rounding or a minimum commission costs more."""
    policy, spec, rates = asked.policy, asked.spec, asked.rates
    if asked.risk is None:
        if policy.without_stop is not None:
            steps.append(Step(name="volume.without_stop", value=fraction_text(policy.without_stop), note="lots"))
            return policy.without_stop * spec.lot_size
        raise Missing("stop", Reason.NO_STOP)
    if asked.risk <= 0:
        raise Missing("stop_distance", Reason.STOP_NOT_A_RISK)
    base = money.balance(rates.view) if policy.risk_base is MoneyBase.BALANCE else money.equity(rates)
    base = there(policy.risk_base.value, base, steps, rates.view.currency)
    distance = there("d", Fraction(asked.risk, PRICE_SCALE), steps, "price from entry to the copy's stop")
    q2d = Fraction(1)
    if spec.quote_name != rates.view.currency:
        rate = rates.rate(spec.quote_name, rates.view.currency, high=True)
        q2d = there("q2d", rate, steps, f"{spec.quote_name} to {rates.view.currency}, the worse side")
    loss = _loss(asked, q2d, distance)
    cost = loss.per_unit - loss.price
    steps.append(Step(name="c", value=fraction_text(cost), note="commission both ways and conversion fee, per unit"))
    if loss.least:
        note = f"{rates.view.currency} an order: the symbol's minimum commission"
        steps.append(Step(name="least_commission", value=fraction_text(loss.least), note=note))
    return _within(policy.volume_amount / 100 * base, loss, asked, steps)


def _within(budget: Fraction, loss: Loss, asked: Sizing, steps: list[Step]) -> Fraction:
    """The most volume that loses no more than `budget`: exact where nothing is rounded, else on the step."""
    raw = budget / loss.per_unit * VOLUME_SCALE
    step = asked.spec.step
    most = floor_fraction(raw) // step
    if most <= 0 or _lost(loss, asked, most * step) <= budget:
        return raw
    least = 0
    while most - least > 1:
        middle = (least + most) // 2
        if _lost(loss, asked, middle * step) <= budget:
            least = middle
        else:
            most = middle
    note = "units: minimum commission and rounding of costs leave room for no more"
    steps.append(Step(name="within", value=fraction_text(Fraction(least * step, VOLUME_SCALE)), note=note))
    return Fraction(least * step)


def _lost(loss: Loss, asked: Sizing, volume: int) -> Fraction:
    """What a volume loses; where it is split, each part is an order that pays its own commission."""
    whole = Fraction(volume, VOLUME_SCALE)
    most = asked.spec.floor_volume(asked.spec.max_volume)
    if not asked.policy.volume_rounding.splits or most <= 0 or volume <= most:
        return loss.of(whole, ((whole, 1),))
    count, rest = divmod(volume, most)
    parts = ((Fraction(most, VOLUME_SCALE), count), (Fraction(rest, VOLUME_SCALE), 1 if rest else 0))
    return loss.of(whole, parts)


def _loss(asked: Sizing, q2d: Fraction, distance: Fraction) -> Loss:
    """What one unit loses; a percentage of the value counts at the follower's entry, or at the stop if that is dearer.

    Raises Missing where a price or a rate that a commission needs is not there.
    """
    spec, rates = asked.spec, asked.rates
    currency = rates.view.currency
    opening = closing = Fraction(0)
    if spec.commission_rate_e8:
        if asked.market is None:
            raise Missing("commission_price")
        entry = Fraction(asked.market, PRICE_SCALE)
        opening = commission_per_unit(spec, rates, entry, q2d)
        closing = commission_per_unit(spec, rates, entry if asked.side is Side.BUY else entry + distance, q2d)
    fee = Fraction(0)
    if spec.quote_name != currency:
        fee = distance * q2d * spec.conversion_fee_rate / money.FEE_SCALE
    minor = Fraction(1, 10**rates.view.money_digits)
    return Loss(distance * q2d, fee, opening, closing, least_commission(spec, rates), minor)


def commission_per_unit(spec: SymbolSpec, rates: Rates, price: Fraction, q2d: Fraction) -> Fraction:
    """One side's commission on one unit at a price, as the API numbers its kinds: 1 USD a million, 2 USD a lot, 3
    percent, 4 quote a lot. Raises Missing where a rate that it needs is not there."""
    rate = Fraction(spec.commission_rate_e8, PRICE_SCALE)
    currency, lot_units = rates.view.currency, Fraction(spec.lot_size, VOLUME_SCALE)
    match spec.commission_type:
        case 1:
            worth = price * q2d
            base, usd = rates.rate(spec.base_name, USD, high=True), rates.rate(USD, currency, high=True)
            return rate * max(worth, base * usd if base is not None and usd is not None else worth) / 1_000_000
        case 2 if lot_units > 0:
            usd = rates.rate(USD, currency, high=True)
            if usd is None:
                raise Missing("commission")
            return rate / lot_units * usd
        case 3:
            return rate * 1_000 / 100 * price * q2d
        case 4 if lot_units > 0:
            return rate / lot_units * q2d
        case _:
            raise Missing("commission")


def least_commission(spec: SymbolSpec, rates: Rates) -> Fraction:
    """What one order costs at least, in the deposit currency; raises Missing where that cannot be converted."""
    if spec.min_commission_e8 <= 0:
        return Fraction(0)
    rate = rates.rate(spec.min_commission_asset or USD, rates.view.currency, high=True)
    if rate is None:
        raise Missing("least_commission")
    return Fraction(spec.min_commission_e8, PRICE_SCALE) * rate
