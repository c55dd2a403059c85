"""At which price and with which levels: the leader's carried to the follower's market, on its tick."""

from __future__ import annotations

from fractions import Fraction

from cmam.domain.deciding.arithmetic import fraction_text
from cmam.domain.deciding.draft import Draft
from cmam.domain.events import Step
from cmam.domain.market.differences import is_wide, mid_difference
from cmam.domain.profiles.choices import BadStop, LevelsMode
from cmam.domain.values.quantities import (
    Distance,
    Price,
    floor_to,
    price_text,
)
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.levels import (
    BARE_ARE_LATE,
    FIXED_ON_TICK,
    NO_LEVELS_BELOW,
    NO_LEVELS_BELOW_HERE,
    TARGETS_LEFT_OUT,
)
from cmam.domain.values.rules.opens import ADDS_NEED_STOPS
from cmam.domain.values.rules.resting import LIFE_FROM_PLACING
from cmam.domain.values.trades import OrderType, TimeInForce
from cmam.domain.wanted import targets
from cmam.domain.wanted.levels import Plan, distance, least_distance, plan, still_fixed, uncopied
from cmam.domain.wanted.needs import levels_of

EXPIRY_NEAR_MS = 5_000
"""An expiry nearer than this is past before the order could rest."""


def quote_shift(draft: Draft, *, of_any_age: bool = False) -> Distance | None:
    """The follower's quote minus the leader's, each on the side at which it enters; `of_any_age` the newest ones.

    Where one of them has told of a jump of the market before the other, it is as it usually is instead.
    """
    mine, theirs = draft.quote, draft.leader_quote_of_now
    if of_any_age:
        mine, theirs = draft.newest_quote, draft.leader_quote
    if mine is None or theirs is None:
        return None
    shift, usual = mine.entry(draft.side) - theirs.entry(draft.change.side), draft.usual
    if usual is not None:
        draft.note("usual_difference", price_text(usual, draft.symbol.digits), "the quotes of now are of two moments")
        shift += usual - mid_difference(mine, theirs)
    return Distance(shift)


def pending_price(draft: Draft) -> Reason | None:
    """The price of a copied pending order: the leader's, and the quotes' difference where it is above both spreads."""
    if not draft.is_pending:
        return None
    change, spec, policy = draft.change, draft.symbol, draft.policy
    mine = draft.rates.quote(spec.name)
    if mine is None:
        draft.note("quote", spec.name, "missing or too old: whether it would fill is not known")
        return Reason.STALE_INPUT
    theirs, shift = draft.leader_quote_of_now, 0
    if policy.levels is LevelsMode.SHIFT and theirs is not None:
        between = draft.usual if draft.usual is not None else mid_difference(mine, theirs)
        shift = between if is_wide(between, mine, theirs) else 0
    draft.shift = Distance(shift)
    limit, stop = change.limit_price, change.stop_price
    if draft.is_turned and change.origin_type is not OrderType.STOP_LIMIT:
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
    if not draft.is_turned:
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
        draft.expires_ms = _begun_ms(draft) + policy.pending_max_life_ms
        if draft.expires_ms <= broker_ms + EXPIRY_NEAR_MS and draft.copy is not None:
            draft.note("expires_in_ms", draft.expires_ms - broker_ms, "its longest life is over")
            return Reason.EXPIRED
    return None


def _begun_ms(draft: Draft) -> int:
    """From when on an order lives, by the leader's broker: from its placing, however often it is amended."""
    is_amended = draft.copy is not None and draft.view.rules >= LIFE_FROM_PLACING
    begun_us = draft.copy.decided_us if is_amended and draft.copy is not None else draft.now_us
    return begun_us // 1_000 + draft.inputs.clock_offset_ms


def levels(draft: Draft) -> Reason | None:
    """The copy's stop and target as distances from its entry: present, on the right side, and far enough."""
    if draft.is_add:
        return _needs_own_stop(draft)
    change, spec, policy = draft.change, draft.symbol, draft.policy
    asked = plan(change, spec, policy, draft.side)
    if draft.copy is not None:
        asked = still_fixed(asked, draft.copy.goal, uncopied(policy, draft.view.rules), draft.view.rules)
    draft.plan = asked
    reason = _needs_stop(draft, asked)
    if reason is not None:
        return reason
    entry = entry_price(draft)
    reason = _carry(draft, asked, entry)
    if reason is not None:
        return reason
    _leave_out_target(draft, entry)
    reason = _least_stop(draft, entry) if draft.stop is not None else None
    return _below_any_price(draft, entry) if reason is None else reason


def _below_any_price(draft: Draft, entry: Price | None) -> Reason | None:
    """A level at 0 or below is none: without the stop nothing is opened, and without the target it is the same.

    A distance counts from where the copy will fill, however far from the leader's price that is.
    """
    sign, price = draft.side.sign, entry
    is_leaders = not (draft.is_late or draft.policy.levels is LevelsMode.PRICE)
    if price is None or (is_leaders and draft.view.rules >= NO_LEVELS_BELOW_HERE):
        price = market_price(draft) or price
    if price is None or draft.view.rules < NO_LEVELS_BELOW:
        return None
    if draft.stop is not None and price - sign * draft.stop <= 0:
        level = price_text(Price(price - sign * draft.stop), draft.symbol.digits)
        draft.note("stop", level, "no price is that low: it would protect nothing")
        return Reason.LEVEL_WRONG_SIDE
    if draft.target is not None and price + sign * draft.target <= 0:
        level = price_text(Price(price + sign * draft.target), draft.symbol.digits)
        draft.note("target_left_out", level, "no price is that low: it would never be reached")
        draft.target = None
    return None


def _needs_own_stop(draft: Draft) -> Reason | None:
    """An add goes out without levels: its copy's stop is its own, and at limited risk none is guaranteed enough."""
    if not draft.is_limited:
        return Reason.STOP_REQUIRED if draft.policy.require_stop and _is_bare(draft) else None
    draft.note("limited_risk", "add", "it would go out without a guaranteed stop of its own")
    return Reason.STOP_REQUIRED


def _is_bare(draft: Draft) -> bool:
    """Whether the copy that would grow has no stop, nor any that it should have."""
    copy, view = draft.copy, draft.view
    position = view.positions.get(copy.position) if copy is not None and copy.position is not None else None
    if copy is None or position is None or view.rules < ADDS_NEED_STOPS:
        return False
    if levels_of(draft.symbol, copy, position, draft.view.rules).stop is not None or position.stop is not None:
        return False
    draft.note("stop", "-", "the copy has none")
    return True


def _needs_stop(draft: Draft, asked: Plan) -> Reason | None:
    policy = draft.policy
    is_limited = draft.is_limited
    is_bound = draft.is_guaranteed and (is_limited or asked.has_stop)
    if is_bound and draft.symbol.guaranteed_stops is False:  # None: nobody has told, and the broker will
        why = "an account of limited risk opens with one only" if is_limited else "the leader's stop is guaranteed"
        draft.note("guaranteed_stops", "none", f"{draft.symbol.name} offers none, and {why}")
        return Reason.NO_GUARANTEED_STOP
    if asked.has_stop:
        return None
    if draft.is_turned and policy.copy_sl and not policy.reverse_without_stop:
        return Reason.NO_STOP_REVERSED
    return Reason.STOP_REQUIRED if policy.require_stop or is_limited else None


def entry_price(draft: Draft) -> Price | None:
    """The price from which distances count: the order's, the leader's fill, or for late opens the follower's market."""
    if draft.is_pending:
        return draft.limit_price if pending_type(draft) is OrderType.LIMIT else draft.stop_price
    if draft.is_late or draft.policy.levels is LevelsMode.PRICE:
        return _market_of_now(draft)
    return draft.change.price


def _market_of_now(draft: Draft) -> Price | None:
    """Where the follower would enter: by its quote, or by the leader's carried over where only that tells of a jump."""
    mine, theirs = draft.quote, draft.leader_quote_of_now
    if mine is None:
        return None
    if draft.usual is None or theirs is None or theirs.seen_us <= mine.seen_us:
        return mine.entry(draft.side)
    return Price(mine.entry(draft.side) + draft.usual - mid_difference(mine, theirs))


def market_price(draft: Draft) -> Price | None:
    """Where the follower itself would enter: at its order's price, else at its own market's side."""
    if draft.is_pending:
        return entry_price(draft)
    quote = draft.rates.quote(draft.symbol.name)
    return quote.entry(draft.side) if quote is not None else None


def _carry(draft: Draft, asked: Plan, entry: Price | None) -> Reason | None:
    """Turn the levels into distances; a level that the market or the entry has passed ends the open."""
    if asked.fixed_stop is not None:
        draft.stop = _fixed(draft, asked.fixed_stop)
    if asked.fixed_target is not None:
        draft.target = _fixed(draft, asked.fixed_target)
    is_bare = asked.stop is None and asked.target is None
    if is_bare and draft.view.rules < BARE_ARE_LATE:
        return None
    shift = draft.shift if draft.is_pending else None
    if draft.policy.levels is LevelsMode.PRICE:
        shift = Distance(0)
    elif draft.is_late and not draft.is_pending:
        shift = quote_shift(draft, of_any_age=is_bare)  # what carries no level yet may be carried by the fills
        if shift is None and not is_bare:
            draft.note("leader_quote", "-", "a late open carries levels by both quotes: one is missing or too old")
            return Reason.STALE_INPUT
    if not draft.is_pending:
        draft.shift = shift
    if is_bare:
        return None  # what he sets later is carried by the same
    if entry is None:
        draft.note("entry", "-", "no price to count the distance of a level from")
        return Reason.STALE_INPUT
    return _count_from(draft, asked, entry, shift or Distance(0))


def _count_from(draft: Draft, asked: Plan, entry: Price, shift: Distance) -> Reason | None:
    """Count both levels as distances from the entry."""
    spec = draft.symbol
    is_by_market = draft.is_late or draft.policy.levels is LevelsMode.PRICE
    for name, level, is_stop in (("stop", asked.stop, True), ("target", asked.target, False)):
        if level is None:
            continue
        away = distance(spec, draft.side, entry, level + shift, is_stop=is_stop)
        draft.note(f"{name}_distance", price_text(away, spec.digits), f"from {price_text(entry, spec.digits)}")
        if away <= 0:
            return Reason.LEVEL_PASSED if is_by_market else Reason.LEVEL_WRONG_SIDE
        if is_stop:
            draft.stop = Distance(away)
        else:
            draft.target = Distance(away)
    return None


def _fixed(draft: Draft, distance: Distance) -> Distance:
    """A fixed distance as a request takes it: on the tick, towards the market, and one tick at least."""
    if draft.view.rules < FIXED_ON_TICK:
        return distance
    return Distance(max(floor_to(distance, draft.symbol.tick), draft.symbol.tick))


def _leave_out_target(draft: Draft, entry: Price | None) -> None:
    """A target that the broker would refuse, and the open with it, is set once the market lets it be."""
    spec, target = draft.symbol, draft.target
    least = least_distance(spec, entry or draft.change.price or 0, spec.tp_distance)
    if target is None or draft.view.rules < TARGETS_LEFT_OUT or (target >= least and not draft.leaves_target):
        return
    draft.note("least_target", price_text(least, spec.digits), f"the nearest target that {spec.name} allows")
    why = targets.WHY if target < least else "its broker has refused the open with it: it is set afterwards"
    draft.note("target_left_out", price_text(target, spec.digits), why)
    draft.target = None


def _least_stop(draft: Draft, entry: Price | None) -> Reason | None:
    spec = draft.symbol
    points = spec.sl_distance
    if draft.is_guaranteed:
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
