"""How much, and whether it may be that much: size, sanity, caps, margin and what guards must know."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.held import volumes
from cmam.domain.belief.view import AccountView
from cmam.domain.deciding.arithmetic import Sizing, cents_text, fraction_text
from cmam.domain.deciding.carrying import entry_price, market_price, quote_shift
from cmam.domain.deciding.draft import Draft
from cmam.domain.deciding.sizing import bounded, bounds, exact_size, size
from cmam.domain.events import Wait
from cmam.domain.guarding.guards import of_nothing
from cmam.domain.market import equity as money
from cmam.domain.market.margins import expected_margin, reserved_margin
from cmam.domain.profiles.choices import VolumeMode
from cmam.domain.profiles.policy import Policy
from cmam.domain.profiles.reading import Rounding
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.quantities import (
    PRICE_SCALE,
    VOLUME_SCALE,
    Side,
    Volume,
    decimal_text,
    floor_fraction,
    price_text,
    units_text,
)
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.guards import PARTS_OF_NOTHING
from cmam.domain.values.rules.opens import (
    CAPS_BY_SIDE,
    CAPS_COUNT_ALL,
    LIMITED_IN_ONE,
    OPENS_ANEW,
    SANE_GROWTH,
    WAITS_TAKE_NO_PLACE,
    WIDENED_WHOLE,
)
from cmam.domain.values.rules.resting import PENDING_BY_RISK, PENDING_IN_ONE
from cmam.domain.values.symbols import SymbolSpec
from cmam.domain.values.trades import Order
from cmam.domain.wanted.levels import least_distance, pips


def sized(draft: Draft) -> Reason | Wait | None:
    """How much to copy."""
    if draft.is_add:
        return _add_size(draft)
    change, policy = draft.change, draft.policy
    is_by_risk = policy.volume_mode is VolumeMode.RISK_PERCENT
    may_wait = not draft.is_pending or draft.view.rules < PENDING_BY_RISK
    is_waiting = may_wait and policy.stop_wait_ms > 0 and not draft.stop_wait_over
    if is_by_risk and draft.stop is None and is_waiting:
        return Wait.STOP
    if is_by_risk and draft.stop is not None:
        reason = _tight(draft)
        if reason is not None:
            return reason
    is_one = draft.is_pending and draft.view.rules >= PENDING_IN_ONE
    is_one = is_one or (draft.is_limited and draft.view.rules >= LIMITED_IN_ONE)
    sized = size(
        Sizing(
            change=change,
            volume=_leader_volume(change),
            spec=draft.symbol,
            policy=_in_one(policy) if is_one else policy,
            rates=draft.rates,
            side=draft.side,
            entry=entry_price(draft),
            risk=draft.stop if is_by_risk else None,
            market=market_price(draft),
        )
    )
    draft.working.extend(sized.working)
    draft.volume, draft.whole = sized.volume, sized.whole
    reason = sized.reason
    if reason is None and draft.by_hand < 1:
        reason = _shrink_whole(draft, draft.by_hand, "what a person has left of the order that rested")
    if reason is None and draft.add_volume is not None and not is_by_risk:
        return _shrink(draft)
    return reason


ON_ITS_OWN = (VolumeMode.FIXED, VolumeMode.FIXED_LEVERAGE, VolumeMode.RISK_PERCENT)
"""Sizes that the leader's volume has no part in."""


def whole_of_open(draft: Draft, copy: Copy, before: Volume, in_proportion: Fraction) -> Fraction:
    """What a copy shall be once the order that opened its source has filled on: as if that had filled at once.

    In proportion to the first deal it would be that deal's rounding many times over, and a fixed size twice itself.
    Where the first deal's size is not found again, for its inputs or the copy have moved, it is in proportion to what
    either would be exactly: by a formula that need not be the leader's volumes.
    """
    policy, spec = draft.policy, draft.view.specs.get(copy.symbol)
    if policy.volume_mode in ON_ITS_OWN:
        return copy.target
    is_anew = draft.view.rules >= OPENS_ANEW
    if spec is None or not (policy.volume_mode.is_plain or is_anew):
        return in_proportion
    asked = [_sizing_of(draft, copy, spec, volume) for volume in (before, draft.change.after)]
    first, whole = (size(one) for one in asked)
    if first.reason is None and whole.reason is None and first.whole == copy.target:
        return max(copy.target, Fraction(whole.whole))
    if policy.volume_mode is not VolumeMode.FORMULA or not is_anew:
        return in_proportion
    was, now = (exact_size(one) for one in asked)
    if was is None or now is None:
        draft.note("formula", "-", "an input is missing: what the order fills on is left out")
        return copy.target
    return copy.target * max(Fraction(1), now / was)


def opened_with(draft: Draft, copy: Copy, volume: Volume) -> Volume:
    """What a copy would have had its leader opened with that volume now; nothing where that cannot be told."""
    spec = draft.view.specs.get(copy.symbol)
    if spec is None:
        return Volume(0)
    found = size(_sizing_of(draft, copy, spec, volume))
    draft.working.extend(found.working)
    return found.whole if found.reason is None else Volume(0)


def _sizing_of(draft: Draft, copy: Copy, spec: SymbolSpec, volume: Volume) -> Sizing:
    """What a copy's size would rest on now, had the leader opened with that volume."""
    quote = draft.rates.quote(spec.name)
    return Sizing(
        change=draft.change,
        volume=volume,
        spec=spec,
        policy=draft.policy,
        rates=draft.rates,
        side=copy.side,
        entry=draft.change.price,
        market=None if quote is None else quote.entry(copy.side),
    )


def _in_one(policy: Policy) -> Policy:
    """A pending order is never split, nor is an open at limited risk, where no part could be added: what is above the
    maximum is cut off."""
    return replace(policy, volume_rounding=Rounding(policy.volume_rounding.raises))


def _leader_volume(change: Change) -> Volume:
    """What of the leader's an open stands for: all that he holds where it is growth that opens late."""
    return change.after if change.kind is ChangeKind.GREW else change.volume


def _shrink(draft: Draft) -> Reason | None:
    """A widened stop: the money at risk may not grow."""
    assert draft.add_volume is not None
    if draft.view.rules >= WIDENED_WHOLE:
        return _shrink_whole(draft, draft.add_volume, "so that the money at risk does not grow")
    volume = draft.symbol.floor_volume(int(draft.volume * draft.add_volume))
    draft.note("shrunk", units_text(volume), "so that the money at risk does not grow")
    draft.volume = draft.whole = volume
    return Reason.BELOW_MINIMUM if volume < draft.symbol.min_volume else None


def _shrink_whole(draft: Draft, times: Fraction, why: str) -> Reason | None:
    spec = draft.symbol
    least, most = bounds(spec, draft.policy)
    draft.whole = spec.floor_volume(floor_fraction(draft.whole * times))
    draft.volume = min(draft.whole, most)
    draft.note("shrunk", units_text(draft.whole), why)
    if draft.whole >= least:
        return None
    draft.note("minimum", units_text(least), f"{spec.name} and volume.min allow no less")
    return Reason.BELOW_MINIMUM


def _tight(draft: Draft) -> Reason | None:
    spec = draft.symbol
    least = pips(spec, draft.policy.risk_min_stop)
    quote = draft.rates.quote(spec.name)
    if quote is not None:
        least = max(least, 2 * (quote.ask - quote.bid))
    entry = entry_price(draft) or 0
    least = max(least, least_distance(spec, entry, spec.sl_distance))
    assert draft.stop is not None
    if draft.stop >= least:
        return None
    draft.note("tight", price_text(draft.stop, spec.digits), f"at least {price_text(least, spec.digits)}")
    return Reason.STOP_TOO_TIGHT


def _add_size(draft: Draft) -> Reason | None:
    """An add's volume follows from the target; it keeps to the bounds as any order does."""
    assert draft.add_volume is not None
    if draft.is_full:
        return Reason.MAX_LOTS
    if draft.add_volume <= 0:
        return Reason.COVERED
    sized = bounded(draft.add_volume, draft.symbol, draft.policy, ())
    draft.working.extend(sized.working)
    if sized.reason is not None:
        return Reason.BELOW_MINIMUM
    exact = draft.symbol.floor_volume(int(draft.add_volume))
    draft.volume, draft.whole = Volume(min(sized.volume, exact)), sized.whole
    return None if draft.volume >= draft.symbol.min_volume else Reason.BELOW_MINIMUM


def slippage(draft: Draft) -> Reason | None:
    """A market range around the leader's price carried over by the two quotes."""
    points = draft.policy.max_slippage
    if points is None or draft.is_pending:
        return None
    if draft.wait is Wait.REMAINDER and draft.copy is not None and draft.copy.goal.base_price is not None:
        draft.base_price = draft.copy.goal.base_price
    elif (shift := quote_shift(draft)) is None or draft.change.price is None:
        draft.note("base_price", "-", "a market range needs both quotes and the leader's price")
        return Reason.STALE_INPUT
    else:
        draft.base_price = draft.symbol.nearest_tick(draft.change.price + shift)
    draft.note("base_price", price_text(draft.base_price, draft.symbol.digits), f"± {points} points")
    return None


# --- sanity, caps, margin, guards -----------------------------------------------------------------------------------


def sanity(draft: Draft) -> Reason | None:
    """Whether the size is in proportion to the leader and the account."""
    policy, spec, change = draft.policy, draft.symbol, draft.change
    is_old = draft.view.rules < SANE_GROWTH
    if policy.volume_mode.is_plain or (draft.is_add and is_old):
        return None
    if policy.max_times_leader is not None and not draft.is_add:
        ours, theirs = _compare(draft)
        if ours is None or theirs is None or theirs <= 0:
            draft.note("sanity", "-", "the two notionals cannot be compared")
            return Reason.STALE_INPUT
        draft.note("times_leader", fraction_text(ours / theirs), f"at most {fraction_text(policy.max_times_leader)}")
        if ours > theirs * policy.max_times_leader:
            return Reason.SANITY
    if policy.max_leverage is not None:
        held, whole = money.exposure(draft.rates), money.equity(draft.rates)
        own = money.notional(draft.rates, spec, draft.whole - draft.filled)
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
    volume = _leader_volume(draft.change) if draft.view.rules >= SANE_GROWTH else draft.change.volume
    if leader.base and (leader.base, leader.quote) == (spec.base_name, spec.quote_name):
        return Fraction(draft.whole), Fraction(volume)
    price = draft.change.price or draft.change.limit_price or draft.change.stop_price
    rate = draft.rates.rate(leader.quote, draft.view.currency, high=False)
    theirs = None
    if price is not None and rate is not None:
        theirs = Fraction(volume, VOLUME_SCALE) * Fraction(price, PRICE_SCALE) * rate
    return money.notional(draft.rates, spec, draft.whole), theirs


def caps(draft: Draft) -> Reason | None:
    """Whether the caps on positions and lots hold with this one."""
    policy, view = draft.policy, draft.view
    if policy.max_positions is not None and not draft.is_add:
        attached = {copy.position for copy in view.copies.values() if copy.position is not None}
        apart = [copy for copy in view.copies.values() if copy.position is None]  # few: most copies are at rest
        count = len(attached | view.positions.keys())
        count += sum(_takes_place(view, copy) and copy.key != _own_key(draft) for copy in apart)
        count += len(_others(draft))
        draft.note("positions", count, f"open, resting and in flight; at most {policy.max_positions}")
        if count + 1 > policy.max_positions:
            return Reason.MAX_POSITIONS
    if policy.max_lots_open is None and policy.max_lots_symbol is None:
        return None
    is_by_side = view.is_netted() and view.rules >= CAPS_BY_SIDE
    total, own = _lots_of_nets(draft) if is_by_side else _lots(draft)
    how = ", longs and shorts apart" if is_by_side else ""
    for name, value, cap in (
        ("lots_open", total, policy.max_lots_open),
        ("lots_symbol", own, policy.max_lots_symbol),
    ):
        if cap is not None:
            draft.note(name, fraction_text(value), f"with this one{how}; at most {fraction_text(cap)}")
            if value > cap:
                return Reason.MAX_LOTS
    return None


def _lots(draft: Draft) -> tuple[Fraction, Fraction]:
    """The lots in all, and those of the symbol, with this one."""
    view, spec = draft.view, draft.symbol
    total = own = Fraction(draft.whole - draft.filled, spec.lot_size)
    held = list(volumes(view.positions))
    held += [(order.symbol, order.volume - order.executed_volume) for order in _others(draft)]
    for symbol, volume in (*held, *money.in_flight(view)):
        of = view.specs.get(symbol)
        lots = Fraction(volume, of.lot_size) if of is not None and of.lot_size > 0 else Fraction(0)
        total += lots
        own += lots if symbol == spec.symbol else 0
    return total, own


def _lots_of_nets(draft: Draft) -> tuple[Fraction, Fraction]:
    """The same of a netted account: of each symbol the larger of its two sides, of this one the side that grows."""
    view, spec, total = draft.view, draft.symbol, Fraction(0)
    sides = money.sides_of_nets(view)
    of_this = sides.setdefault(spec.symbol, {Side.BUY: 0, Side.SELL: 0})
    of_this[draft.side] += draft.whole - draft.filled
    for symbol, of_symbol in sides.items():
        of = view.specs.get(symbol)
        total += Fraction(max(of_symbol.values()), of.lot_size) if of is not None and of.lot_size > 0 else Fraction(0)
    return total, Fraction(of_this[draft.side], spec.lot_size)


def _takes_place(view: AccountView, copy: Copy) -> bool:
    """Whether a copy without a position may become one without passing all rules again."""
    return not (copy.is_idle and view.rules >= WAITS_TAKE_NO_PLACE)


def _others(draft: Draft) -> tuple[Order, ...]:
    """What people let rest on the account: caps are the account's, whoever fills them."""
    return money.others_resting(draft.view) if draft.view.rules >= CAPS_COUNT_ALL else ()


def _own_key(draft: Draft) -> object:
    return draft.copy.key if draft.copy is not None else None


def margin(draft: Draft) -> Reason | None:
    """Whether free margin covers it with its reserve."""
    reserve = draft.policy.margin_reserve
    if reserve is None:
        return None
    expected = expected_margin(draft.rates, draft.symbol, draft.whole - draft.filled)
    free, bound = money.free_margin(draft.rates), reserved_margin(draft.rates)
    if free is None:
        free = money.told_free_margin(draft.rates)
    if expected is None or free is None or bound is None:
        if draft.inputs.complete:
            draft.note("margin", "-", "equity, rate or leverage is unknown")
            return Reason.STALE_INPUT
        draft.note("margin", "-", "not known here; the broker checks it")
        return None
    left = free - bound if bound else free
    draft.note("free_margin", cents_text(left), f"{draft.view.currency}, what is in flight deducted")
    draft.note("expected_margin", cents_text(expected), f"times {fraction_text(reserve)} must be there")
    return Reason.MARGIN if _is_less(left, expected, reserve) else None


def _is_less(left: Fraction, expected: Fraction, times: Fraction) -> bool:
    """left < expected * times, without a fraction in between."""
    return (
        left.numerator * expected.denominator * times.denominator
        < expected.numerator * times.numerator * left.denominator
    )


def equity_known(draft: Draft) -> Reason | None:
    """A guard that cannot see equity lets nothing open."""
    policy = draft.policy
    if not policy.has_equity_guard or not draft.inputs.complete:
        return None
    day = draft.view.days.get(draft.settings.link)
    told = money.told_equity(draft.view, draft.now_us, policy.input_max_age_ms)
    is_dark = money.equity(draft.rates) is None and told is None
    is_puzzled = bool(draft.view.unexplained) or (policy.needs_anchor and (day is None or day.anchor is None))
    if is_dark or is_puzzled:
        draft.is_dark = not is_puzzled
        draft.note("equity", "-", "unknown, and a guard needs it")
        return Reason.EQUITY_UNKNOWN
    for guard, base in of_nothing(policy, day) if day is not None and draft.view.rules >= PARTS_OF_NOTHING else ():
        shown = decimal_text(base, draft.view.money_digits)
        draft.note(guard, shown, "is what its percentage would be of: no limit. `guard.initial` can name another base")
        return Reason.EQUITY_UNKNOWN
    return None
