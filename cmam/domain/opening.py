"""The rules that an open, an add or a pending order passes, in one visible order; each may end it with its reason.

A `Draft` is the decision in the making: rules read it, note their working and fill in what later ones need. Closes,
cancels and protective changes never come here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from cmam.domain import equity as money
from cmam.domain.changes import Change
from cmam.domain.choices import BadStop, LevelsMode, SideFilter, VolumeMode
from cmam.domain.conversion import Rates
from cmam.domain.copies import Copy
from cmam.domain.events import Inputs, Standing, Step, Wait
from cmam.domain.hours import is_within_hours
from cmam.domain.latches import FLATTEN
from cmam.domain.levels import Plan, distance, least_distance, pips, plan
from cmam.domain.link import LinkSettings
from cmam.domain.mapping import symbol_for
from cmam.domain.naming import read_label
from cmam.domain.policy import Policy
from cmam.domain.quantities import (
    PRICE_SCALE,
    VOLUME_SCALE,
    Distance,
    Price,
    Quote,
    Side,
    Volume,
    price_text,
    units_text,
)
from cmam.domain.reasons import Reason
from cmam.domain.sizing import Sizing, bounded, fraction_text, size
from cmam.domain.symbols import SymbolSpec, TradingMode
from cmam.domain.trades import AccessRights, OrderType, TimeInForce
from cmam.domain.view import AccountView

CLOCK_DOUBT_MS_MAX = 5_000
"""An offset of the broker's clock less certain than this makes an age meaningless (COPY_RULES §3, `max_age`)."""

EXPIRY_NEAR_MS = 5_000
"""An expiry nearer than this is past before the order could rest."""


@dataclass(slots=True, kw_only=True)
class Draft:
    """A decision about an open in the making. `shift` is preset for late opens, `stop` and `target` are distances."""

    view: AccountView
    change: Change
    settings: LinkSettings
    inputs: Inputs
    now_us: int
    copy: Copy | None = None
    wait: Wait | None = None
    is_add: bool = False
    is_pending: bool = False
    stop_wait_over: bool = False
    add_volume: Fraction | None = None
    spec: SymbolSpec | None = None
    volume: Volume = Volume(0)
    whole: Volume = Volume(0)
    plan: Plan | None = None
    shift: Distance | None = None
    stop: Distance | None = None
    target: Distance | None = None
    limit_price: Price | None = None
    stop_price: Price | None = None
    expires_ms: int | None = None
    base_price: Price | None = None
    working: list[Step] = field(default_factory=list)
    policy: Policy = field(init=False)
    rates: Rates = field(init=False)

    def __post_init__(self) -> None:
        self.policy = self.settings.policy.for_symbol(self.change.symbol.name)
        self.rates = Rates(self.view, self.inputs.quotes, self.now_us, self.policy.input_max_age_ms)

    @property
    def side(self) -> Side:
        """The copy's own side."""
        return self.change.side.opposite if self.policy.reverse else self.change.side

    @property
    def symbol(self) -> SymbolSpec:
        assert self.spec is not None
        return self.spec

    @property
    def quote(self) -> Quote | None:
        """The follower's quote of the traded symbol."""
        return self.inputs.quotes.get(self.spec.name) if self.spec is not None else None

    @property
    def leader_quote(self) -> Quote | None:
        """The leader's quote: of now where that is known, else of the change."""
        return self.inputs.leader_quote or self.change.quote

    @property
    def is_late(self) -> bool:
        """Whether the market has moved since the leader's fill, so that prices are carried by quotes instead."""
        return self.change.late or self.change.synced or self.wait in (Wait.BETTER, Wait.CANCEL)

    @property
    def age_ms(self) -> int:
        return self.now_us // 1_000 + self.inputs.clock_offset_ms - self.change.at_ms

    @property
    def max_age_ms(self) -> int:
        return self.policy.sync_max_age_ms if self.change.synced else self.policy.max_age_ms

    @property
    def not_after_us(self) -> int:
        """The moment, by our clock, after which this open is too late."""
        return (self.change.at_ms - self.inputs.clock_offset_ms + self.max_age_ms) * 1_000

    def note(self, name: str, value: object, note: str = "") -> None:
        """Add a line to the working."""
        self.working.append(Step(name=name, value=str(value), note=note))


Rule = Callable[[Draft], "Reason | Wait | None"]


# --- state --------------------------------------------------------------------------------------------------------


def _standing(draft: Draft) -> Reason | None:
    if draft.inputs.standing is Standing.PAUSED:
        return Reason.PAUSED
    trader = draft.view.trader
    if draft.inputs.standing is Standing.MANAGE_ONLY:
        return Reason.MANAGE_ONLY
    if trader is not None and trader.access is not AccessRights.FULL_ACCESS:
        draft.note("access_rights", trader.access.value, "what the follower's broker allows")
        return Reason.MANAGE_ONLY
    return Reason.IGNORE_NEW if draft.policy.ignore_new else None


def _latched(draft: Draft) -> Reason | None:
    for latch in draft.view.latches.values():
        if latch.link == draft.settings.link or latch.scope == "account":
            draft.note("latch", latch.guard, f"{latch.reaction}, of value {latch.value} and limit {latch.limit}")
            return Reason.FLATTENED if latch.guard == FLATTEN else Reason.GUARD
    return None


def _still_there(draft: Draft) -> Reason | None:
    return Reason.SOURCE_GONE if draft.inputs.superseded else None


def _other_copier(draft: Draft) -> Reason | None:
    """A live copy of the same source under another store's name: two copiers would double every trade."""
    allowed = {draft.settings.store, *draft.view.adopted.get(draft.settings.link, ())}
    labels = [position.label for position in draft.view.positions.values()]
    labels += [order.label for order in draft.view.orders.values()]
    ending = f".{draft.change.source}"
    for label in labels:
        mark = read_label(label) if label.endswith(ending) else None
        if mark is not None and mark.store not in allowed and mark.source == draft.change.source:
            draft.note("other_copier", label, f"the store {mark.store} copies this already")
            return Reason.OTHER_COPIER
    return None


# --- the symbol and the kind of trade -------------------------------------------------------------------------------


def _symbol_listed(draft: Draft) -> Reason | None:
    name, policy = draft.change.symbol.name, draft.policy
    if (policy.symbols_include and name not in policy.symbols_include) or name in policy.symbols_exclude:
        return Reason.SYMBOL_EXCLUDED
    return None


def _symbol(draft: Draft) -> Reason | None:
    name = draft.change.symbol.name
    if draft.copy is not None:
        spec = draft.view.specs.get(draft.copy.symbol)
        how, why = "copy", ""
    else:
        mapped = symbol_for(draft.view, draft.change.symbol, draft.policy, draft.inputs.quotes, draft.leader_quote)
        spec, how, why = mapped.spec, mapped.how, mapped.why
    if spec is None:
        draft.note("symbol", name, why)
        return Reason.UNMAPPED_SYMBOL
    draft.spec = spec
    draft.note("symbol", spec.name, f"follower's symbol {spec.symbol}, by {how}")
    if spec.symbol in draft.view.former_specs:
        return Reason.SYMBOL_CHANGED
    is_open = spec.enabled and spec.trading_mode is TradingMode.ENABLED
    return None if is_open else Reason.SYMBOL_DISABLED


def _side(draft: Draft) -> Reason | None:
    wanted = draft.policy.side
    if wanted is not SideFilter.BOTH and wanted.value != draft.change.side.value:
        draft.note("side", draft.change.side.value, f"side is {wanted.value}")
        return Reason.SIDE_EXCLUDED
    if draft.side is Side.SELL and not draft.symbol.short_selling:
        return Reason.SHORT_SELLING
    return None


def _order_type(draft: Draft) -> Reason | None:
    kind, policy = draft.change.origin_type, draft.policy
    if kind not in policy.order_types:
        draft.note("order_type", kind.value, f"order_types: {', '.join(policy.order_types)}")
        is_fill = kind.is_pending and not draft.is_pending
        return None if is_fill and policy.copy_on_fill else Reason.ORDER_TYPE_EXCLUDED
    if draft.is_pending and policy.reverse and kind is OrderType.STOP_LIMIT:
        draft.note("order_type", kind.value, "a stop-limit cannot be reversed")
        return Reason.ORDER_TYPE_EXCLUDED
    return None


def _label(draft: Draft) -> Reason | None:
    change = draft.change
    if draft.policy.label.passes(change.label, change.comment):
        return None
    draft.note("label", change.label or change.comment, f"label is {draft.policy.label.kind}:{draft.policy.label.text}")
    return Reason.LABEL_EXCLUDED


def _hours(draft: Draft) -> Reason | None:
    return None if is_within_hours(draft.policy, draft.now_us) else Reason.OUTSIDE_HOURS


def _netted(draft: Draft) -> Reason | None:
    """On a netted account a symbol belongs to one leader; what nobody of ours opened there is not to be touched."""
    view = draft.view
    if not view.is_netted():
        return None
    for position in view.positions.values():
        if position.symbol != draft.symbol.symbol:
            continue
        shares = [copy for copy in view.copies.values() if copy.position == position.position]
        if not shares or any(copy.leader != draft.change.leader for copy in shares):
            draft.note("netted_position", position.position, f"{units_text(position.volume)} units")
            return Reason.NETTED_TAKEN
    return None


# --- the moment -----------------------------------------------------------------------------------------------------


def _age(draft: Draft) -> Reason | None:
    if draft.inputs.clock_doubt_ms > CLOCK_DOUBT_MS_MAX:
        draft.note("clock_doubt_ms", draft.inputs.clock_doubt_ms, f"at most {CLOCK_DOUBT_MS_MAX}")
        return Reason.CLOCK
    name = "sync_max_age" if draft.change.synced else "max_age"
    draft.note("age_ms", draft.age_ms, f"{name} is {draft.max_age_ms} ms")
    return Reason.TOO_OLD if draft.age_ms > draft.max_age_ms else None


def _leader_price(draft: Draft) -> Price | None:
    return draft.change.price


def _price(draft: Draft) -> Reason | Wait | None:
    policy, change = draft.policy, draft.change
    limit = policy.sync_max_price_distance if change.synced else policy.max_price_distance
    if draft.is_pending or (limit is None and policy.wait_for_better is None) or change.price is None:
        return None
    quote = draft.rates.quote(draft.symbol.name)
    if quote is None:
        draft.note("quote", draft.symbol.name, "missing or too old")
        return Reason.STALE_INPUT
    worse = (quote.entry(draft.side) - change.price) * draft.side.sign
    shown = fraction_text(Fraction(worse, draft.symbol.pip))
    if limit is not None:
        draft.note("price_distance", shown, f"pips worse than the leader's; at most {fraction_text(limit)}")
        if worse > pips(draft.symbol, limit):
            return Reason.PRICE_AWAY
    if policy.wait_for_better is not None and not draft.is_add:
        better = -worse
        draft.note("better_by", fraction_text(Fraction(better, draft.symbol.pip)), "pips")
        if better < pips(draft.symbol, policy.wait_for_better):
            return Wait.BETTER
    return None


def _spread(draft: Draft) -> Reason | None:
    limit = draft.policy.max_spread
    if limit is None or draft.is_pending:
        return None
    quote = draft.rates.quote(draft.symbol.name)
    if quote is None:
        draft.note("quote", draft.symbol.name, "missing or too old")
        return Reason.STALE_INPUT
    spread = quote.ask - quote.bid
    draft.note("spread", fraction_text(Fraction(spread, draft.symbol.pip)), f"pips; at most {fraction_text(limit)}")
    return Reason.SPREAD if spread > pips(draft.symbol, limit) else None


# --- prices and levels --------------------------------------------------------------------------------------------


def quote_shift(draft: Draft) -> Distance | None:
    """The follower's quote minus the leader's, each on the side at which it enters."""
    mine, theirs = draft.quote, draft.leader_quote
    if mine is None or theirs is None:
        return None
    return Distance(mine.entry(draft.side) - theirs.entry(draft.change.side))


def _pending_price(draft: Draft) -> Reason | None:
    """The price of a copied pending order: the leader's, and the quotes' difference where it is above both spreads."""
    if not draft.is_pending:
        return None
    change, spec, policy = draft.change, draft.symbol, draft.policy
    mine = draft.rates.quote(spec.name)
    if mine is None:
        draft.note("quote", spec.name, "missing or too old: whether it would fill is not known")
        return Reason.STALE_INPUT
    theirs, shift = draft.leader_quote, 0
    if policy.levels is LevelsMode.SHIFT and theirs is not None:
        between = ((mine.bid + mine.ask) - (theirs.bid + theirs.ask)) // 2
        if abs(between) > max(mine.ask - mine.bid, theirs.ask - theirs.bid):
            shift = between
    draft.shift = Distance(shift)
    limit, stop = change.limit_price, change.stop_price
    if policy.reverse and change.origin_type is not OrderType.STOP_LIMIT:
        limit, stop = stop, limit
    draft.limit_price = None if limit is None else spec.nearest_tick(limit + shift)
    draft.stop_price = None if stop is None else spec.nearest_tick(stop + shift)
    kind = pending_type(draft)
    asked = draft.limit_price if kind is OrderType.LIMIT else draft.stop_price
    if asked is None:
        return Reason.STALE_INPUT
    draft.note("order_price", price_text(asked, spec.digits), f"shifted by {price_text(shift, spec.digits)}")
    market = mine.entry(draft.side)
    ahead = (asked - market) * draft.side.sign
    if (kind is OrderType.LIMIT and ahead >= 0) or (kind is not OrderType.LIMIT and ahead <= 0):
        draft.note("market", price_text(market, spec.digits), f"a {draft.side.value} {kind.value} there fills at once")
        return Reason.WOULD_FILL
    return _expiry(draft)


def pending_type(draft: Draft) -> OrderType:
    """The type of the copied order: a limit becomes a stop in reverse, and back."""
    kind = draft.change.origin_type
    if not draft.policy.reverse:
        return kind
    return {OrderType.LIMIT: OrderType.STOP, OrderType.STOP: OrderType.LIMIT}.get(kind, kind)


def _expiry(draft: Draft) -> Reason | None:
    policy, change = draft.policy, draft.change
    broker_ms = draft.now_us // 1_000 + draft.inputs.clock_offset_ms
    expires = change.expires_ms if change.time_in_force is TimeInForce.GTD or change.expires_ms else None
    if expires and expires <= broker_ms + EXPIRY_NEAR_MS:
        draft.note("expires_in_ms", expires - broker_ms, f"less than {EXPIRY_NEAR_MS} ms")
        return Reason.EXPIRED
    draft.expires_ms = expires if policy.copy_expiry else None
    if draft.expires_ms is None and policy.pending_max_life_ms is not None:
        draft.expires_ms = broker_ms + policy.pending_max_life_ms
    return None


def _levels(draft: Draft) -> Reason | None:
    """The copy's stop and target as distances from its entry: present, on the right side, and far enough."""
    if draft.is_add:
        return None
    change, spec, policy = draft.change, draft.symbol, draft.policy
    asked = draft.plan = plan(change, spec, policy)
    reason = _needs_stop(draft, asked)
    if reason is not None:
        return reason
    entry = _entry(draft)
    reason = _carry(draft, asked, entry)
    if reason is not None or draft.stop is None:
        return reason
    return _least_stop(draft, entry)


def _needs_stop(draft: Draft, asked: Plan) -> Reason | None:
    policy = draft.policy
    is_limited = draft.view.trader is not None and draft.view.trader.limited_risk
    if asked.has_stop:
        return None
    if policy.reverse and policy.copy_sl and not policy.reverse_without_stop:
        return Reason.NO_STOP_REVERSED
    return Reason.STOP_REQUIRED if policy.require_stop or is_limited else None


def _entry(draft: Draft) -> Price | None:
    """The price from which distances count: the order's, the leader's fill, or for late opens the follower's market."""
    if draft.is_pending:
        return draft.limit_price if pending_type(draft) is OrderType.LIMIT else draft.stop_price
    if draft.is_late or draft.policy.levels is LevelsMode.PRICE:
        quote = draft.quote
        return quote.entry(draft.side) if quote is not None else None
    return draft.change.price


def _carry(draft: Draft, asked: Plan, entry: Price | None) -> Reason | None:
    """Turn the levels into distances; a level that the market or the entry has passed ends the open."""
    spec, policy = draft.symbol, draft.policy
    if asked.fixed_stop is not None:
        draft.stop = asked.fixed_stop
    if asked.fixed_target is not None:
        draft.target = asked.fixed_target
    if asked.stop is None and asked.target is None:
        return None
    shift = draft.shift if draft.is_pending else None
    if policy.levels is LevelsMode.PRICE:
        shift = Distance(0)
    elif draft.is_late and not draft.is_pending:
        shift = quote_shift(draft)
        if shift is None:
            draft.note("leader_quote", "-", "a late open carries levels by both quotes, and one is missing")
            return Reason.STALE_INPUT
    if not draft.is_pending:
        draft.shift = shift
    if entry is None:
        draft.note("entry", "-", "no price to count the distance of a level from")
        return Reason.STALE_INPUT
    passed = Reason.LEVEL_PASSED if draft.is_late or policy.levels is LevelsMode.PRICE else Reason.LEVEL_WRONG_SIDE
    for name, level, is_stop in (("stop", asked.stop, True), ("target", asked.target, False)):
        if level is None:
            continue
        away = distance(spec, draft.side, entry, level + (shift or 0), is_stop=is_stop)
        draft.note(f"{name}_distance", price_text(away, spec.digits), f"from {price_text(entry, spec.digits)}")
        if away <= 0:
            return passed
        if is_stop:
            draft.stop = Distance(away)
        else:
            draft.target = Distance(away)
    return None


def _least_stop(draft: Draft, entry: Price | None) -> Reason | None:
    spec, trader = draft.symbol, draft.view.trader
    points = spec.sl_distance
    if trader is not None and trader.limited_risk:
        points = max(points, spec.gsl_distance)
    least = least_distance(spec, entry or draft.change.price or 0, points)
    assert draft.stop is not None
    if draft.stop >= least:
        return None
    draft.note("least_stop", price_text(least, spec.digits), f"the nearest stop that {spec.name} allows")
    if draft.policy.bad_stop is BadStop.SKIP:
        return Reason.STOP_TOO_CLOSE
    draft.note("widened_from", price_text(draft.stop, spec.digits), "the volume shrinks in proportion")
    draft.working.append(Step(name="widen", value=fraction_text(Fraction(draft.stop, least)), note="old over new"))
    draft.add_volume = Fraction(draft.stop, least)
    draft.stop = Distance(least)
    return None


# --- size ---------------------------------------------------------------------------------------------------------


def _size(draft: Draft) -> Reason | Wait | None:
    if draft.is_add:
        return _add_size(draft)
    change, policy = draft.change, draft.policy
    is_by_risk = policy.volume_mode is VolumeMode.RISK_PERCENT
    is_waiting = policy.stop_wait_ms > 0 and not draft.stop_wait_over
    if is_by_risk and draft.stop is None and is_waiting:
        return Wait.STOP
    if is_by_risk and draft.stop is not None:
        reason = _tight(draft)
        if reason is not None:
            return reason
    sized = size(
        Sizing(
            change=change,
            volume=change.after if change.kind.value == "grew" else change.volume,
            spec=draft.symbol,
            policy=policy,
            rates=draft.rates,
            side=draft.side,
            entry=_entry(draft),
            risk=draft.stop if is_by_risk else None,
        )
    )
    draft.working.extend(sized.working)
    draft.volume, draft.whole = sized.volume, sized.whole
    if sized.reason is None and draft.add_volume is not None and not is_by_risk:
        return _shrink(draft)
    return sized.reason


def _shrink(draft: Draft) -> Reason | None:
    """A widened stop: the money at risk may not grow."""
    assert draft.add_volume is not None
    volume = draft.symbol.floor_volume(int(draft.volume * draft.add_volume))
    draft.note("shrunk", units_text(volume), "so that the money at risk does not grow")
    draft.volume = draft.whole = volume
    return Reason.BELOW_MINIMUM if volume < draft.symbol.min_volume else None


def _tight(draft: Draft) -> Reason | None:
    spec = draft.symbol
    least = pips(spec, draft.policy.risk_min_stop)
    quote = draft.rates.quote(spec.name)
    if quote is not None:
        least = max(least, 2 * (quote.ask - quote.bid))
    entry = _entry(draft) or 0
    least = max(least, least_distance(spec, entry, spec.sl_distance))
    assert draft.stop is not None
    if draft.stop >= least:
        return None
    draft.note("tight", price_text(draft.stop, spec.digits), f"at least {price_text(least, spec.digits)}")
    return Reason.STOP_TOO_TIGHT


def _add_size(draft: Draft) -> Reason | None:
    """An add's volume follows from the target; it keeps to the bounds as any order does."""
    assert draft.add_volume is not None
    sized = bounded(draft.add_volume, draft.symbol, draft.policy, ())
    draft.working.extend(sized.working)
    if sized.reason is not None:
        return Reason.BELOW_MINIMUM
    exact = draft.symbol.floor_volume(int(draft.add_volume))
    draft.volume, draft.whole = Volume(min(sized.volume, exact)), sized.whole
    return None if draft.volume >= draft.symbol.min_volume else Reason.BELOW_MINIMUM


def _slippage(draft: Draft) -> Reason | None:
    """A market range around the leader's price carried over by the two quotes."""
    points = draft.policy.max_slippage
    if points is None or draft.is_pending:
        return None
    shift = quote_shift(draft)
    if draft.wait is Wait.REMAINDER and draft.copy is not None and draft.copy.goal.base_price is not None:
        draft.base_price = draft.copy.goal.base_price
    elif shift is None or draft.change.price is None:
        draft.note("base_price", "-", "a market range needs both quotes and the leader's price")
        return Reason.STALE_INPUT
    else:
        draft.base_price = draft.symbol.nearest_tick(draft.change.price + shift)
    draft.note("base_price", price_text(draft.base_price, draft.symbol.digits), f"± {points} points")
    return None


# --- sanity, caps, margin, guards -----------------------------------------------------------------------------------


def _sanity(draft: Draft) -> Reason | None:
    policy, spec, change = draft.policy, draft.symbol, draft.change
    if policy.volume_mode.is_plain or draft.is_add:
        return None
    if policy.max_times_leader is not None:
        ours, theirs = _compare(draft)
        if ours is None or theirs is None or theirs <= 0:
            draft.note("sanity", "-", "the two notionals cannot be compared")
            return Reason.STALE_INPUT
        draft.note("times_leader", fraction_text(ours / theirs), f"at most {fraction_text(policy.max_times_leader)}")
        if ours > theirs * policy.max_times_leader:
            return Reason.SANITY
    if policy.max_leverage is not None:
        held, whole = money.exposure(draft.rates), money.equity(draft.rates)
        own = money.notional(draft.rates, spec, draft.whole)
        if held is None or whole is None or own is None or whole <= 0:
            draft.note("sanity", change.symbol.name, "exposure or equity is unknown")
            return Reason.STALE_INPUT
        leverage = (held + own) / whole
        draft.note("leverage", fraction_text(leverage), f"at most {fraction_text(policy.max_leverage)}")
        if leverage > policy.max_leverage:
            return Reason.SANITY
    return None


def _compare(draft: Draft) -> tuple[Fraction | None, Fraction | None]:
    """The copy's notional and the leader's in one measure: units where the thing is the same, else money."""
    leader, spec = draft.change.symbol, draft.symbol
    if leader.base and (leader.base, leader.quote) == (spec.base_name, spec.quote_name):
        return Fraction(draft.whole), Fraction(draft.change.volume)
    price = draft.change.price or draft.change.limit_price or draft.change.stop_price
    rate = draft.rates.rate(leader.quote, draft.view.currency, high=False)
    theirs = None
    if price is not None and rate is not None:
        theirs = Fraction(draft.change.volume, VOLUME_SCALE) * Fraction(price, PRICE_SCALE) * rate
    return money.notional(draft.rates, spec, draft.whole), theirs


def _caps(draft: Draft) -> Reason | None:
    policy, view, spec = draft.policy, draft.view, draft.symbol
    if policy.max_positions is not None and not draft.is_add:
        attached = {copy.position for copy in view.copies.values() if copy.position is not None}
        count = len(attached | view.positions.keys())
        count += sum(copy.position is None and copy.key != _own_key(draft) for copy in view.copies.values())
        draft.note("positions", count, f"open, resting and in flight; at most {policy.max_positions}")
        if count + 1 > policy.max_positions:
            return Reason.MAX_POSITIONS
    if policy.max_lots_open is None and policy.max_lots_symbol is None:
        return None
    total = own = Fraction(draft.whole, spec.lot_size)
    held = [(position.symbol, int(position.volume)) for position in view.positions.values()]
    for symbol, volume in (*held, *money.in_flight(view)):
        of = view.specs.get(symbol)
        lots = Fraction(volume, of.lot_size) if of is not None and of.lot_size > 0 else Fraction(0)
        total += lots
        own += lots if symbol == spec.symbol else 0
    for name, value, cap in (
        ("lots_open", total, policy.max_lots_open),
        ("lots_symbol", own, policy.max_lots_symbol),
    ):
        if cap is not None:
            draft.note(name, fraction_text(value), f"with this one; at most {fraction_text(cap)}")
            if value > cap:
                return Reason.MAX_LOTS
    return None


def _own_key(draft: Draft) -> object:
    return draft.copy.key if draft.copy is not None else None


def _margin(draft: Draft) -> Reason | None:
    reserve = draft.policy.margin_reserve
    if reserve is None:
        return None
    expected = money.expected_margin(draft.rates, draft.symbol, draft.whole)
    free, bound = money.free_margin(draft.rates), money.reserved_margin(draft.rates)
    if expected is None or free is None or bound is None:
        if draft.inputs.complete:
            draft.note("margin", "-", "equity, rate or leverage is unknown")
            return Reason.STALE_INPUT
        draft.note("margin", "-", "not known here; the broker checks it")
        return None
    left = free - bound
    draft.note("free_margin", _cents(left), f"{draft.view.currency}, what is in flight deducted")
    draft.note("expected_margin", _cents(expected), f"times {fraction_text(reserve)} must be there")
    return Reason.MARGIN if left < expected * reserve else None


def _cents(value: Fraction) -> str:
    return fraction_text(Fraction(round(value * 100), 100))


def _equity_known(draft: Draft) -> Reason | None:
    """A guard that cannot see equity lets nothing open."""
    policy = draft.policy
    if not policy.has_equity_guard or not draft.inputs.complete:
        return None
    day = draft.view.days.get(draft.settings.link)
    needs_anchor = policy.daily_loss is not None or policy.daily_target is not None
    if money.equity(draft.rates) is None or (needs_anchor and (day is None or day.anchor is None)):
        draft.note("equity", "-", "unknown, and a guard needs it")
        return Reason.EQUITY_UNKNOWN
    return None


OPEN_RULES: tuple[Rule, ...] = (
    _standing,
    _latched,
    _still_there,
    _other_copier,
    _symbol_listed,
    _symbol,
    _side,
    _order_type,
    _label,
    _hours,
    _netted,
    _age,
    _price,
    _spread,
    _pending_price,
    _levels,
    _size,
    _slippage,
    _sanity,
    _caps,
    _margin,
    _equity_known,
)
"""What an open, an add or a pending order passes, in this order: state and manage-only; symbol; side, order type,
label, hours; age, price, spread; levels; size and bounds; sanity; caps, margin and guards."""


AMEND_RULES: tuple[Rule, ...] = (_pending_price, _levels)
"""What decides whether an amended pending order may rest on."""


def first_reason(draft: Draft) -> Reason | Wait | None:
    """Pass the rules in their order until one says no, or asks to wait."""
    for rule in OPEN_RULES:
        found = rule(draft)
        if found is not None:
            return found
    return None
