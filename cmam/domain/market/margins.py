"""How much margin a volume would bind: by leverage and its tiers, and by the broker's own word where that is more.

A broker's leverage may fall with exposure. What the account holds already counts first, so that more of it stands in
the dearer tiers. The broker is asked for a few volumes only: where it says more than our reckoning of one of them, ours
of any volume near is taken to be as much too little. Where tiers are not known, only the broker's own reckoning counts;
without that, nothing does.
"""

from __future__ import annotations

from fractions import Fraction

from cmam.domain.belief.held import volumes
from cmam.domain.events import LeverageTier
from cmam.domain.market import equity as money
from cmam.domain.market.conversion import Rates
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.quantities import VOLUME_SCALE
from cmam.domain.values.rules.opens import RESERVES_BY_LAST, TOLD_IN_PROPORTION
from cmam.domain.values.symbols import SymbolSpec

LEVERAGE_SCALE = 100
"""An account's leverage is in hundredths: 10000 means 1:100."""
NOTHING = Fraction(0)
USD = "USD"
ASKED_LOTS = (1, 10, 100)
"""The lots, besides the symbol's least volume, for which a broker is asked."""


def asked_volumes(spec: SymbolSpec) -> tuple[int, ...]:
    """The volumes of a symbol for which its broker is asked what margin they bind, smallest first."""
    lots = (lots * spec.lot_size for lots in ASKED_LOTS)
    wanted = (spec.min_volume, *(min(volume, spec.max_volume) for volume in lots))
    return tuple(sorted({spec.floor_volume(volume) for volume in wanted if volume >= spec.min_volume}))


def expected_margin(rates: Rates, spec: SymbolSpec, volume: int) -> Fraction | None:
    """The margin that `volume` more would bind, at the dearer of both reckonings; None where neither is known."""
    held = _held(rates, spec.symbol)
    held += sum(more for symbol, more in money.in_flight(rates.view) if symbol == spec.symbol)
    return _margin(rates, spec, volume, held)


def reserved_margin(rates: Rates) -> Fraction | None:
    """The margin that what is in flight will bind; where a symbol is silent, by its last quote, however old."""
    gathered: dict[SymbolId, int] = {}
    for symbol, volume in money.in_flight(rates.view):
        gathered[symbol] = gathered.get(symbol, 0) + volume
    total = NOTHING
    for symbol, volume in gathered.items():
        spec = rates.view.specs.get(symbol)
        if spec is None:
            return None
        part = _margin(rates, spec, volume, _held(rates, symbol))
        if part is None and rates.view.rules >= RESERVES_BY_LAST:
            part = _margin(rates.ageless(), spec, volume, _held(rates, symbol))
        if part is None:
            return None
        total += part
    return total


def _held(rates: Rates, symbol: SymbolId) -> int:
    return sum([volume for held, volume in volumes(rates.view.positions) if held == symbol])


def _margin(rates: Rates, spec: SymbolSpec, volume: int, held: int) -> Fraction | None:
    ours, told = _by_leverage(rates, spec, volume, held), _as_told(rates, spec, volume)
    if ours and told and rates.view.rules >= TOLD_IN_PROPORTION and (volume < 0 or _tiers(rates, spec)):
        return ours * _dearer(rates, spec, volume)
    # Without tiers ours grows as the volume does: as many times ours as the broker's is, is the larger of the two.
    found = [part for part in (ours, told) if part]
    return max(found, default=NOTHING if not volume else None)


def _by_leverage(rates: Rates, spec: SymbolSpec, volume: int, held: int) -> Fraction | None:
    """What leverage makes of the volume's worth; None where the account's or the symbol's is not known."""
    trader, rate = rates.view.trader, money.base_rate(rates, spec)
    if trader is None or trader.leverage_cents <= 0 or rate is None:
        return None
    tiers = _tiers(rates, spec)
    if tiers is None:
        return None
    worth, scale = volume * rate.numerator, VOLUME_SCALE * rate.denominator
    if not tiers:
        return Fraction(worth * LEVERAGE_SCALE, scale * trader.leverage_cents)
    return Fraction(worth, scale) * _share(rates, spec, tiers, volume, held, trader.leverage_cents)


def _tiers(rates: Rates, spec: SymbolSpec) -> tuple[LeverageTier, ...] | None:
    """The tiers of a symbol's leverage, none where it has none; None where they are not known."""
    return rates.view.leverages.get(spec.leverage_id) if spec.leverage_id else ()


def _share(
    rates: Rates, spec: SymbolSpec, tiers: tuple[LeverageTier, ...], volume: int, held: int, leverage_cents: int
) -> Fraction:
    """Which part of its worth a volume binds on top of what is held; by the least leverage where USD is dark."""

    def bound_by(leverage: int, worth: int = 1) -> Fraction:
        return Fraction(worth * LEVERAGE_SCALE, max(1, min(LEVERAGE_SCALE * leverage, leverage_cents)))

    rate = money.base_rate(rates, spec, USD)
    if rate is None or volume <= 0:
        return max(bound_by(tier.leverage) for tier in tiers)
    # In whole numbers, each so many times the cents that it stands for: fractions are slow.
    unit, scale = 100 * rate.numerator, VOLUME_SCALE * rate.denominator
    low, high = held * unit, (held + volume) * unit
    bound, below = NOTHING, 0
    for index, tier in enumerate(tiers):
        top = high if index == len(tiers) - 1 else min(tier.limit_cents * scale, high)
        within = top - max(below, low)
        if within > 0:
            bound += bound_by(tier.leverage, within)
        below = max(below, top)
    return bound / (high - low)


def _dearer(rates: Rates, spec: SymbolSpec, volume: int) -> Fraction:
    """How many times our own reckoning the broker's is, at the next larger volume it told, or where that is most."""
    told = [margin for margin in rates.view.margins.get(spec.symbol, ()) if margin.volume > 0]
    larger = next((margin for margin in told if margin.volume >= volume), None)
    scale, found = 10**rates.view.money_digits, Fraction(1)
    for margin in told if larger is None else (larger,):
        ours = _by_leverage(rates, spec, int(margin.volume), 0)
        if ours:
            found = max(found, Fraction(max(margin.buy, margin.sell), scale) / ours)
    return found


def _as_told(rates: Rates, spec: SymbolSpec, volume: int) -> Fraction | None:
    """The broker's own reckoning, carried from the next larger volume it told, or from its dearest one."""
    told = [margin for margin in rates.view.margins.get(spec.symbol, ()) if margin.volume > 0]
    if not told:
        return None
    scale = 10**rates.view.money_digits
    larger = next((margin for margin in told if margin.volume >= volume), None)
    if larger is not None:
        return Fraction(volume * max(larger.buy, larger.sell), larger.volume * scale)
    per_volume = max(Fraction(max(margin.buy, margin.sell), margin.volume) for margin in told)
    return Fraction(volume * per_volume.numerator, per_volume.denominator * scale)
