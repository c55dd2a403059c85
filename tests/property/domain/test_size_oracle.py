"""Sizes against arithmetic of another kind: decimals with many digits, worked out from the rules alone.

Nothing of the copier's own arithmetic is used: rates, equity, costs and bounds are reckoned here once more. What both
must agree on is the volume to the last step, or the word for why there is none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, ROUND_HALF_UP, Decimal, localcontext
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cmam.domain.values.changes import LeaderMoney
from cmam.domain.values.ids import PositionId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.trades import Position
from tests.factories import Pair, a_leader_symbol, a_spec, a_view, price

D = Decimal
TINY = D("1e-60")
PAIRS = {"EURUSD": (5, 4), "GBPUSD": (5, 4), "USDJPY": (3, 2), "EURGBP": (5, 4), "XAUUSD": (2, 1)}
"""What the follower's broker has: digits and the place of the pip."""
AROUND = {"EURUSD": "1.1", "GBPUSD": "1.3", "USDJPY": "150", "EURGBP": "0.85", "XAUUSD": "2000"}
CURRENCIES = ("USD", "EUR", "GBP", "JPY")
FORMULA = "leader_lots * min(1, equity / leader_equity) + max(balance, free_margin) * 0.00001 - price / lot_units / 1e3"
MODES = (
    "multiplier", "fixed", "balance_ratio", "equity_ratio", "free_margin_ratio", "notional_multiplier",
    "fixed_leverage", "risk_percent", "formula",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Market:
    """The follower's quotes, as (bid, ask)."""

    quotes: dict[str, tuple[D, D]]

    def rate(self, first: str, last: str, *, dear: bool) -> D:
        """One of `first` in `last`: by a symbol of both, else by way of the dollar or the euro."""
        if first == last:
            return D(1)
        for name in (first + last, last + first):
            if name in self.quotes:
                bid, ask = self.quotes[name]
                if name == first + last:
                    return ask if dear else bid
                return 1 / bid if dear else 1 / ask
        hub = "USD" if all(self._meet(one, "USD") for one in (first, last)) else "EUR"
        return self.rate(first, hub, dear=dear) * self.rate(hub, last, dear=dear)

    def _meet(self, first: str, last: str) -> bool:
        return first + last in self.quotes or last + first in self.quotes

    def unit(self, name: str, currency: str) -> D:
        """What one unit of a symbol's base costs in a currency."""
        if name[:3] == currency:
            return D(1)
        return self.quotes[name][1] * self.rate(name[3:], currency, dear=True)


@dataclass(frozen=True, slots=True)
class World:
    """One random follower, its broker, its leader and a trade. Volumes in units."""

    market: Market
    currency: str
    money_digits: int
    balance: D
    traded: str
    lot: D
    step: D
    least: D
    most: D
    side: Side
    leader_lot: D
    leader_units: D
    leader_price: D
    stop_away: D
    leader_currency: str
    leader_money: tuple[D, D, D]
    held: tuple[tuple[str, Side, D, D, D, D], ...]
    commission: tuple[int, D]
    least_commission: tuple[D, str]
    fee: D
    policy: dict[str, str]

    # --- money ----------------------------------------------------------------------------------------------------

    def equity(self) -> D:
        """The balance and what every position would realise, losses at the dearer rate, less the fee of conversion."""
        total = self.balance
        for name, side, units, paid, costs, _ in self.held:
            bid, ask = self.market.quotes[name]
            gain = ((bid - paid) if side is Side.BUY else (paid - ask)) * units
            gross = gain * self.market.rate(name[3:], self.currency, dear=gain < 0)
            fee = abs(gross) * self.fee / 10_000 if name[3:] != self.currency and name == self.traded else D(0)
            total += gross - fee + costs
        return total

    def free_margin(self) -> D:
        return self.equity() - sum((margin for *_, margin in self.held), D(0))

    def leader(self, which: int) -> D:
        """The leader's balance, equity or free margin in our currency, or as it is."""
        money = self.leader_money[which]
        if self.policy["volume.currency"] == "raw":
            return money
        return money * self.market.rate(self.leader_currency, self.currency, dear=True)

    # --- sizes ----------------------------------------------------------------------------------------------------

    def carried(self, basis: str) -> D:
        """The leader's units as ours."""
        if basis == "lots":
            return self.leader_units / self.leader_lot * self.lot
        if basis == "units":
            return self.leader_units
        theirs = self.leader_price * self.market.rate(self.traded[3:], self.currency, dear=False)
        return self.leader_units * theirs / self.market.unit(self.traded, self.currency)

    def raw(self) -> D | None:
        """The exact units; None where an input is not above zero."""
        amount, basis = D(self.policy["volume.amount"]), self.policy["volume.basis"]
        match self.policy["volume.mode"]:
            case "multiplier":
                return self.carried(basis) * amount
            case "notional_multiplier":
                return self.carried("notional") * amount
            case "fixed":
                return amount * self.lot
            case "fixed_leverage":
                return amount * self.equity() / self.market.unit(self.traded, self.currency)
            case "formula":
                return self.by_formula()
        ours, which = {
            "balance_ratio": (self.balance, 0),
            "equity_ratio": (self.equity(), 1),
            "free_margin_ratio": (self.free_margin(), 2),
        }[self.policy["volume.mode"]]
        return None if ours <= 0 else self.carried(basis) * amount * ours / self.leader(which)

    def by_formula(self) -> D | None:
        inputs = (self.equity(), self.leader(1), self.balance, self.free_margin())
        if min(inputs) <= 0:
            return None
        equity, leader_equity, balance, free = inputs
        lots = self.leader_units / self.leader_lot * min(D(1), equity / leader_equity)
        bid, ask = self.market.quotes[self.traded]
        own_price = ask if self.side is Side.BUY else bid
        return (lots + max(balance, free) * D("0.00001") - own_price / self.lot / 1_000) * self.lot

    def bounds(self) -> tuple[D, D]:
        low, high = self.least, self.most
        if self.policy["volume.min"] != "off":
            low = max(low, D(self.policy["volume.min"]) * self.lot)
        if self.policy["volume.max"] != "off":
            high = min(high, D(self.policy["volume.max"]) * self.lot)
        steps = (low / self.step).to_integral_value(ROUND_CEILING)
        return steps * self.step, high // self.step * self.step

    def bounded(self, raw: D) -> D | str:
        """The volume of all parts, or why there is none."""
        low, high = self.bounds()
        found = (raw + TINY) // self.step * self.step
        if found < low:
            if "raise" not in self.policy["volume.rounding"] or raw <= 0:
                return "below_minimum"
            return low if low <= raw * 5 + TINY and low <= high else "raise_too_far"
        if found <= high:
            return found
        if high < low:
            return "below_minimum"
        if "split" not in self.policy["volume.rounding"]:
            return high
        own = D(self.policy["volume.max"]) * self.lot if self.policy["volume.max"] != "off" else found
        return max(high, min(found, own // self.step * self.step))

    # --- risk -----------------------------------------------------------------------------------------------------

    def lost(self, units: D) -> D:
        """What a volume in one order loses at its stop, as a broker books it."""
        minor = D(1).scaleb(-self.money_digits)
        to_us = self.market.rate(self.traded[3:], self.currency, dear=True)
        gross = (units * self.stop_away * to_us).quantize(minor, ROUND_HALF_UP)
        fee = gross * self.fee / 10_000 if self.traded[3:] != self.currency else D(0)
        return gross + self._up(fee) + self._up(self._commission(units, 0)) + self._up(self._commission(units, 1))

    def _up(self, cost: D) -> D:
        minor = D(1).scaleb(-self.money_digits)
        return (cost - TINY).quantize(minor, ROUND_CEILING) if cost > 0 else D(0)

    def _commission(self, units: D, which: int) -> D:
        """One order's commission: the first at our entry, the second there or at the stop where that is dearer."""
        kind, rate = self.commission
        bid, ask = self.market.quotes[self.traded]
        at = ask if self.side is Side.BUY else bid + (self.stop_away if which else 0)
        to_us = self.market.rate(self.traded[3:], self.currency, dear=True)
        dollar = self.market.rate("USD", self.currency, dear=True)
        base = self.market.rate(self.traded[:3], "USD", dear=True) * dollar
        each = {
            1: rate / 1_000_000 * max(at * to_us, base),
            2: rate / self.lot * dollar,
            3: rate * 10 * at * to_us,
            4: rate / self.lot * to_us,
        }[kind]
        least, asset = self.least_commission
        floor = least * self.market.rate(asset, self.currency, dear=True) if least else D(0)
        return max(units * each if rate else D(0), floor)


# --- random worlds --------------------------------------------------------------------------------------------------


@st.composite
def worlds(draw: st.DrawFn, modes: tuple[str, ...] = MODES) -> World:
    """A follower of any currency at a broker with any lots, steps and costs, and a leader of another."""
    quotes = {}
    traded, step = draw(st.sampled_from(sorted(PAIRS))), D(draw(st.sampled_from(("0.01", "1", "300", "1000"))))
    for name, (digits, _) in PAIRS.items():
        tick = D(1).scaleb(-digits)
        bid = (D(AROUND[name]) * draw(st.integers(50, 200)) / 100).quantize(tick)
        wide = 9 if name == traded else 2_000  # so wide that the wrong side of a conversion shows
        quotes[name] = (bid, bid + tick * draw(st.integers(0, wide)))
    least = step * draw(st.integers(1, 5))
    bid, ask = quotes[traded]
    side = draw(st.sampled_from(Side))
    tick = D(1).scaleb(-PAIRS[traded][0])
    cents = st.integers(1, 10**9).map(lambda minor: D(minor) / 100)
    held = []
    for _ in range(draw(st.integers(0, 2))):
        name = draw(st.sampled_from(sorted(PAIRS)))
        paid = (quotes[name][0] * draw(st.integers(990, 1010)) / 1_000).quantize(D(1).scaleb(-PAIRS[name][0]))
        costs, margin = D(draw(st.integers(-500, 100))) / 100, D(draw(st.integers(0, 50_000))) / 100
        held.append((name, draw(st.sampled_from(Side)), D(draw(st.integers(1, 5_000))), paid, costs, margin))
    mode = draw(st.sampled_from(modes))
    lots = st.one_of(st.just("off"), st.integers(1, 500).map(lambda hundredths: str(D(hundredths) / 100)))
    low, high = draw(lots), draw(lots)
    if "off" not in (low, high) and D(low) > D(high):
        low, high = high, low
    policy = {
        "volume.mode": mode,
        "volume.amount": str(D(draw(st.integers(1, 3_000))) / 1_000),
        "volume.basis": draw(st.sampled_from(("lots", "units", "notional"))),
        "volume.currency": draw(st.sampled_from(("convert", "raw"))),
        "volume.formula": FORMULA,
        "volume.rounding": draw(st.sampled_from(("skip,cap", "raise,cap", "skip,split", "raise,split"))),
        "volume.min": low,
        "volume.max": high,
        "volume.lots_confirmed": traded,
        "sanity.max_times_leader": "off",
        "sanity.max_leverage": "off",
        "margin_reserve": "off",
    }
    return World(
        market=Market(quotes),
        currency=draw(st.sampled_from(CURRENCIES)),
        money_digits=draw(st.sampled_from((0, 2, 3))),
        balance=D(draw(st.integers(1, 1_000_000))),
        traded=traded,
        lot=D(draw(st.sampled_from((1, 100, 10_000, 100_000)))),
        step=step,
        least=least,
        most=least + step * draw(st.integers(0, 10_000)),
        side=side,
        leader_lot=D(draw(st.sampled_from((1, 100, 100_000)))),
        leader_units=D(draw(st.integers(1, 10_000_000))) / 100,
        leader_price=(bid + ask).quantize(tick) / 2 // tick * tick,
        stop_away=tick * draw(st.integers(40, 2_000)),
        leader_currency=draw(st.sampled_from(CURRENCIES)),
        leader_money=(draw(cents), draw(cents), draw(cents)),
        held=tuple(held),
        commission=(draw(st.integers(1, 4)), D(draw(st.integers(0, 500))) / 10_000),
        least_commission=(D(draw(st.sampled_from((0, 0, 1, 4)))), draw(st.sampled_from(CURRENCIES))),
        fee=D(draw(st.sampled_from((0, 70, 150)))),
        policy=policy,
    )


def _decided(world: World) -> Any:
    """What the copier makes of it."""
    kind, rate = world.commission
    least, asset = world.least_commission
    specs = []
    for number, (name, (digits, pip)) in enumerate(PAIRS.items(), start=1):
        spec = a_spec(name, number, digits=digits, pip_position=pip)
        if name == world.traded:
            spec = replace(
                spec,
                lot_size=Volume(int(world.lot * 100)),
                step_volume=Volume(int(world.step * 100)),
                min_volume=Volume(int(world.least * 100)),
                max_volume=Volume(int(world.most * 100)),
                commission_type=kind,
                commission_rate_e8=int(rate * 10**8),
                min_commission_e8=int(least * 10**8),
                min_commission_asset=asset,
                conversion_fee_rate=int(world.fee),
            )
        specs.append(spec)
    scale = 10**world.money_digits
    view = a_view(
        tuple(specs), currency=world.currency, balance=int(world.balance * scale), money_digits=world.money_digits
    )
    pair = Pair(world.policy, view=view, quotes={n: (str(b), str(a)) for n, (b, a) in world.market.quotes.items()})
    numbers = {spec.name: spec.symbol for spec in specs}
    for number, (name, side, units, paid, costs, margin) in enumerate(world.held, start=1):
        pair.held[PositionId(number)] = Position(
            position=PositionId(number),
            symbol=SymbolId(numbers[name]),
            side=side,
            volume=Volume(int(units * 100)),
            price=price(str(paid)),
            swap=int(costs * scale),
            used_margin=int(margin * scale),
        )
    pair.fact(pair.reconciled())
    spec = next(spec for spec in specs if spec.name == world.traded)
    away = world.stop_away * (1 if world.side is Side.BUY else -1)
    balance, equity, free = (int(money * 100) for money in world.leader_money)
    return pair.opens(
        int(world.leader_units * 100),
        side=world.side,
        symbol=replace(a_leader_symbol(spec), lot_size=Volume(int(world.leader_lot * 100))),
        price=price(str(world.leader_price)),
        stop=price(str(world.leader_price - away)) if world.leader_price > away else None,
        money=LeaderMoney(
            currency=world.leader_currency, money_digits=2, balance=balance, equity=equity, free_margin=free
        ),
    )


def _exact_in_cents(world: World) -> World:
    """Costs and margins that the account's own minor unit can say."""
    unit = D(1).scaleb(-world.money_digits)
    held = tuple((n, s, u, p, c.quantize(unit), m.quantize(unit)) for n, s, u, p, c, m in world.held)
    return replace(world, held=held)


@settings(max_examples=150)
@given(drawn=worlds(tuple(mode for mode in MODES if mode != "risk_percent")))
def test_every_mode_gives_the_volume_of_other_arithmetic(drawn: World) -> None:
    """To the last step, through one or two symbols of conversion, at the side that costs; or the same word."""
    world = _exact_in_cents(drawn)
    found = _decided(world)
    with localcontext() as context:
        context.prec = 90
        raw = world.raw()
        if raw is None or (world.policy["volume.mode"] == "fixed_leverage" and raw <= 0):
            assert found.reason is Reason.STALE_INPUT
            return
        if world.policy["volume.mode"] == "formula" and raw <= 0:
            assert found.reason is Reason.BAD_FORMULA
            return
        wanted = world.bounded(raw)
        _, high = world.bounds()
    if isinstance(wanted, str):
        assert (found.reason, found.volume) == (Reason(wanted), 0)
        return
    assert (found.reason, found.volume) == (None, int(min(wanted, high) * 100))
    assert found.goal.target_numerator == int(wanted * 100)


@settings(max_examples=150)
@given(drawn=worlds(("risk_percent",)), base=st.sampled_from(("balance", "equity")))
def test_a_size_by_risk_loses_no_more_than_asked_and_one_step_more_would(drawn: World, base: str) -> None:
    """The loss at the stop as the broker books it, fees and least commissions included, in the account's currency."""
    rounding = drawn.policy["volume.rounding"].replace("raise", "skip").replace("split", "cap")
    world = _exact_in_cents(replace(drawn, policy={**drawn.policy, "risk_base": base, "volume.rounding": rounding}))
    found = _decided(world)
    if world.leader_price <= world.stop_away:
        return  # there is no such stop
    with localcontext() as context:
        context.prec = 90
        whole = world.balance if base == "balance" else world.equity()
        if whole <= 0:
            assert found.reason is Reason.STALE_INPUT
            return
        budget = whole * D(world.policy["volume.amount"]) / 100
        low, high = world.bounds()
        units = D(found.volume) / 100
        slack = 4 * D(1).scaleb(-world.money_digits)  # what rounding down may spare
        if found.reason is not None:
            assert found.reason is Reason.BELOW_MINIMUM
            assert high < low or world.lost(low) + slack > budget
            return
        assert low <= units <= high
        assert units % world.step == 0
        assert world.lost(units) <= budget
        assert units == high or world.lost(units + world.step) + slack > budget
