"""Whether an open may be at all: state, symbol, kind of trade, moment. Each rule says its own reason.

Closed to anything but opens, adds and pending orders: closes, cancels and protective changes never come here.
"""

from __future__ import annotations

from fractions import Fraction

from cmam.domain.belief.held import foreign_labels
from cmam.domain.deciding.arithmetic import fraction_text
from cmam.domain.deciding.draft import LAG_MS_MAX, Draft
from cmam.domain.events import Standing, Wait
from cmam.domain.guarding.latches import FLATTEN, in_words
from cmam.domain.market.listed import is_renumbered
from cmam.domain.market.mapping import Mapped, is_unlisted, symbol_for
from cmam.domain.profiles.choices import SideFilter
from cmam.domain.profiles.hours import is_within_hours
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.naming import read_label
from cmam.domain.values.quantities import (
    Side,
    units_text,
)
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.guards import LATCH_TOLD
from cmam.domain.values.rules.nets import ONE_LEADER_A_NET
from cmam.domain.values.rules.opens import OTHER_NUMBERS, UNLISTED_WAIT, UNREAD_WAIT, WAITED_IN_VAIN
from cmam.domain.values.symbols import UNLISTED, TradingMode
from cmam.domain.values.trades import AccessRights, AccountType, OrderType
from cmam.domain.wanted.levels import pips

CLOCK_DOUBT_MS_MAX = 5_000
"""An offset of the broker's clock less certain than this makes an age meaningless (the setting `max_age`)."""


def standing(draft: Draft) -> Reason | None:
    """Whether the link may open anything now."""
    if draft.inputs.standing is Standing.PAUSED:
        return Reason.PAUSED
    trader = draft.view.trader
    if draft.inputs.standing is Standing.MANAGE_ONLY:
        return Reason.MANAGE_ONLY
    if trader is not None and trader.account_type is AccountType.SPREAD_BETTING:
        draft.note("account_type", trader.account_type.value, "not supported: what it holds is only managed")
        return Reason.MANAGE_ONLY
    if trader is not None and trader.access is not AccessRights.FULL_ACCESS:
        draft.note("access_rights", trader.access.value, "what the follower's broker allows")
        return Reason.MANAGE_ONLY
    return Reason.IGNORE_NEW if draft.policy.ignore_new else None


def latched(draft: Draft) -> Reason | None:
    """Whether a guard, a stop-out or a flatten has locked opens out."""
    for latch in draft.view.latches.values():
        if latch.link == draft.settings.link or latch.scope == "account":
            told = f"{latch.reaction}, of value {latch.value} and limit {latch.limit}"
            draft.note("latch", latch.guard, in_words(latch, draft.view) if draft.view.rules >= LATCH_TOLD else told)
            return Reason.FLATTENED if latch.guard == FLATTEN else Reason.GUARD
    return None


def still_there(draft: Draft) -> Reason | None:
    """Whether the leader still holds it."""
    return Reason.SOURCE_GONE if draft.inputs.superseded else None


def other_copier(draft: Draft) -> Reason | None:
    """A live copy of the same source under another store's name: two copiers would double every trade."""
    allowed = {draft.settings.store, *draft.view.adopted.get(draft.settings.link, ())}
    if draft.inputs.other_copier:
        mark = read_label(draft.inputs.other_copier)
        if mark is not None and mark.store not in allowed:
            draft.note("other_copier", draft.inputs.other_copier, f"the store {mark.store} copies this leader already")
            return Reason.OTHER_COPIER
    ending = f".{draft.change.source}"
    labels = foreign_labels(draft.view.positions, allowed)
    for label in (*labels, *[order.label for order in draft.view.orders.values()]):
        mark = read_label(label) if label.endswith(ending) else None
        if mark is not None and mark.store not in allowed and mark.source == draft.change.source:
            draft.note("other_copier", label, f"the store {mark.store} copies this already")
            return Reason.OTHER_COPIER
    return None


# --- the symbol and the kind of trade -------------------------------------------------------------------------------


def symbol_listed(draft: Draft) -> Reason | None:
    """Whether the profile copies this symbol."""
    is_taken = draft.policy.takes(draft.change.symbol.name, rules=draft.view.rules)
    return None if is_taken else Reason.SYMBOL_EXCLUDED


def symbol(draft: Draft) -> Reason | Wait | None:
    """Which of the follower's symbols it is, and whether that may be traded."""
    name = draft.change.symbol.name
    if draft.copy is not None:
        spec = draft.view.specs.get(draft.copy.symbol)
        how, why = "copy", ""
        if spec is not None and draft.view.rules >= OTHER_NUMBERS and is_renumbered(draft.view, spec):
            draft.note("symbol", spec.name, f"the copy is in number {spec.symbol}, which the broker lists no more")
            return Reason.SYMBOL_DISABLED
    else:
        mapped = symbol_for(draft.view, draft.change.symbol, draft.policy, draft.inputs.quotes, draft.leader_quote)
        spec, how, why = mapped.spec, mapped.how, mapped.why
        if mapped.awaits_quotes is not None and draft.inputs.warming and draft.is_old:
            return age(draft)
        if mapped.awaits_quotes is not None and draft.inputs.warming:
            draft.spec = mapped.awaits_quotes
            draft.note("symbol", name, why)
            return Wait.QUOTES
        if mapped.apart is not None and not draft.is_old and draft.age_ms <= LAG_MS_MAX:
            draft.spec = mapped.apart
            draft.note("symbol", name, why)
            return Wait.QUOTES
        unread = _unread(draft, mapped) if draft.inputs.reading else None
        if unread is not None and draft.is_old:
            return age(draft)
        if unread is not None:
            draft.unread = unread
            draft.note("symbol", name, why)
            return Wait.QUOTES
    if spec is None:
        draft.note("symbol", name, why)
        return Reason.UNMAPPED_SYMBOL
    draft.spec = spec
    if draft.inputs.reading and not draft.is_old:
        draft.note("symbol", spec.name, "what it allows, or what the account is worth, is still being read")
        return Wait.QUOTES
    draft.note("symbol", spec.name, f"follower's symbol {spec.symbol}, by {how}")
    if spec.symbol in draft.view.former_specs:
        return Reason.SYMBOL_CHANGED
    if draft.change.lots_were and draft.policy.counts_in_lots:
        lots = f"{units_text(draft.change.lots_were)} and {units_text(draft.change.symbol.lot_size)}"
        draft.note("leader_lots", lots, "units per lot at the leader's broker before and now: not confirmed")
        return Reason.SYMBOL_CHANGED
    is_open = spec.enabled and spec.trading_mode is TradingMode.ENABLED
    return None if is_open else Reason.SYMBOL_DISABLED


def _unread(draft: Draft, mapped: Mapped) -> SymbolId | None:
    """The symbol that an open waits for while it is being read what that allows, or which ones there are."""
    is_new = draft.view.rules >= UNLISTED_WAIT and mapped.spec is None
    if is_new and is_unlisted(draft.view, draft.change.symbol.name, draft.settings.policy):
        return UNLISTED
    return mapped.unread if draft.view.rules >= UNREAD_WAIT else None


def side(draft: Draft) -> Reason | None:
    """Whether this side is copied, and may be traded."""
    wanted = draft.policy.side
    if wanted is not SideFilter.BOTH and wanted.value != draft.change.side.value:
        draft.note("side", draft.change.side.value, f"side is {wanted.value}")
        return Reason.SIDE_EXCLUDED
    if draft.side is Side.SELL and not draft.symbol.short_selling:
        return Reason.SHORT_SELLING
    return None


def order_type(draft: Draft) -> Reason | None:
    """Whether orders of this type are copied."""
    kind, policy = draft.change.origin_type, draft.policy
    if kind not in policy.order_types:
        draft.note("order_type", kind.value, f"order_types: {', '.join(policy.order_types)}")
        is_fill = kind.is_pending and not draft.is_pending
        return None if is_fill and policy.copy_on_fill else Reason.ORDER_TYPE_EXCLUDED
    if draft.is_pending and draft.is_turned and kind is OrderType.STOP_LIMIT:
        draft.note("order_type", kind.value, "a stop-limit cannot be reversed")
        return Reason.ORDER_TYPE_EXCLUDED
    return None


def label(draft: Draft) -> Reason | None:
    """Whether the leader's label or comment fits."""
    change = draft.change
    if draft.policy.label.passes(change.label, change.comment):
        return None
    draft.note("label", change.label or change.comment, f"label is {draft.policy.label.kind}:{draft.policy.label.text}")
    return Reason.LABEL_EXCLUDED


def hours(draft: Draft) -> Reason | None:
    """Whether the moment lies in the link's hours."""
    return None if is_within_hours(draft.policy, draft.now_us) else Reason.OUTSIDE_HOURS


def netted(draft: Draft) -> Reason | None:
    """On a netted account a symbol belongs to one leader; what nobody of ours opened there is not to be touched."""
    view, number, leader = draft.view, draft.symbol.symbol, draft.change.leader
    if not view.is_netted():
        return None
    if view.rules >= ONE_LEADER_A_NET:
        others = [copy for copy in view.copies.values() if copy.leader != leader and copy.symbol == number]
        other = next((copy for copy in others if not copy.is_idle), None)
        if other is not None:
            draft.note("other_leader", other.leader, "copied in this symbol, if only as an order")
            return Reason.NETTED_TAKEN
    for position in view.positions.values():
        if position.symbol != number:
            continue
        leaders = {copy.leader for copy in view.copies.values() if copy.position == position.position}
        if leaders != {leader}:
            draft.note("netted_position", position.position, f"{units_text(position.volume)} units")
            return Reason.NETTED_TAKEN
    return None


# --- the moment -----------------------------------------------------------------------------------------------------


def age(draft: Draft) -> Reason | None:
    """Whether the change is young enough."""
    if draft.inputs.clock_doubt_ms > CLOCK_DOUBT_MS_MAX:
        draft.note("clock_doubt_ms", draft.inputs.clock_doubt_ms, f"at most {CLOCK_DOUBT_MS_MAX}")
        return Reason.CLOCK
    name = "sync_max_age" if draft.is_made_up else "max_age"
    draft.note("age_ms", draft.age_ms, f"{name} is {draft.max_age_ms} ms")
    if draft.age_ms <= draft.max_age_ms:
        return None
    if draft.view.rules < WAITED_IN_VAIN:
        return Reason.TOO_OLD  # and nothing was noted of its price
    has_waited = draft.wait is Wait.BETTER
    is_better = draft.spec is not None and price(draft) is None  # while a symbol awaits its quotes nobody can tell
    return Reason.NOT_BETTER if has_waited and not is_better else Reason.TOO_OLD


def price(draft: Draft) -> Reason | Wait | None:
    """Whether the price is near enough, or better enough."""
    policy, change = draft.policy, draft.change
    limit = policy.sync_max_price_distance if draft.is_made_up else policy.max_price_distance
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


def spread(draft: Draft) -> Reason | None:
    """Whether the spread is narrow enough."""
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
