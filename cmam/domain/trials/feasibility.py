"""What a follower would make of its leader, told before anything moves: symbols side by side, trades, repairs.

The trades are judged by the very `decide` that copies; a trade of the past is carried to the present market first, as
today's prices say nothing of its own. Pure: who asks the brokers is not known here, and nothing is sent or recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.view import AccountView, resolve
from cmam.domain.deciding.decide import decide
from cmam.domain.deciding.decision import Decision
from cmam.domain.deciding.inputs import gather
from cmam.domain.events import (
    ExecutionSeen,
)
from cmam.domain.market.conversion import Rates, leads_nowhere
from cmam.domain.market.equity import equity, free_margin
from cmam.domain.market.mapping import candidates, symbol_for
from cmam.domain.profiles.choices import VolumeCurrency
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.profiles.policy import Policy
from cmam.domain.profiles.remarks import counts_leaders_money
from cmam.domain.turns.leader import lots_were
from cmam.domain.turns.leading import changes
from cmam.domain.turns.turn import step
from cmam.domain.values.changes import Change, ChangeKind, LeaderMoney, LeaderSymbol
from cmam.domain.values.ids import PositionId, StoreId
from cmam.domain.values.quantities import PRICE_SCALE, VOLUME_SCALE, Price, Quote, Volume, floor_fraction, units_text
from cmam.domain.values.symbols import SymbolSpec
from cmam.domain.values.trades import Deal, ExecutionKind, Order, Position

Quotes = Mapping[str, Quote]

_NO_STORE = StoreId("none")


# --- symbols side by side -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pairing:
    """A leader's symbol and the follower's, or why there is none.

    Money is of one lot in the follower's deposit currency, None where a quote for it is missing.
    """

    name: str
    is_traded: bool
    leader: SymbolSpec | None
    follower: SymbolSpec | None
    how: str
    why: str = ""
    leader_notional: Fraction | None = None
    follower_notional: Fraction | None = None
    leader_pip: Fraction | None = None
    follower_pip: Fraction | None = None
    remarks: tuple[str, ...] = ()


def pairings(
    leader: AccountView,
    follower: AccountView,
    link: LinkSettings,
    quotes: Quotes,
    leader_quotes: Quotes,
    traded: frozenset[str],
) -> tuple[Pairing, ...]:
    """Each enabled symbol of the leader that the link takes, what is traded first."""
    wanted = [
        name for name, entry in leader.names.items() if (entry.enabled or name in traded) and link.policy.takes(name)
    ]
    wanted.sort(key=lambda name: (name not in traded, name))
    return tuple(
        _pairing(leader, follower, link, quotes, leader_quotes, name, is_traded=name in traded) for name in wanted
    )


def _pairing(
    leader: AccountView,
    follower: AccountView,
    link: LinkSettings,
    quotes: Quotes,
    leader_quotes: Quotes,
    name: str,
    *,
    is_traded: bool,
) -> Pairing:
    mine = leader.specs.get(leader.names[name].symbol)
    mapped = symbol_for(follower, leader_symbol(leader, name), link.policy, quotes, leader_quotes.get(name))
    spec = mapped.spec
    now = max((quote.seen_us for quote in (*quotes.values(), *leader_quotes.values())), default=0)
    rates = Rates(follower, quotes, now, 366 * 86_400_000)
    return Pairing(
        name=name,
        is_traded=is_traded,
        leader=mine,
        follower=spec,
        how=mapped.how,
        why=mapped.why,
        leader_notional=_lot_worth(rates, mine, leader_quotes.get(name)),
        follower_notional=_lot_worth(rates, spec, quotes.get(spec.name) if spec is not None else None),
        leader_pip=_lot_pip(rates, mine),
        follower_pip=_lot_pip(rates, spec),
        remarks=tuple(_remarks(leader, follower, link, name, mine, spec))
        + (tuple(_unlike(follower, name, mine, quotes, leader_quotes.get(name))) if spec is None else ()),
    )


def leader_symbol(leader: AccountView, name: str) -> LeaderSymbol:
    """A symbol of the leader as a change of his would carry it."""
    spec = leader.specs.get(leader.names[name].symbol)
    if spec is None:
        return LeaderSymbol(name=name, digits=5, pip_position=4, lot_size=Volume(0))
    return LeaderSymbol(
        name=name,
        digits=spec.digits,
        pip_position=spec.pip_position,
        lot_size=spec.lot_size,
        base=spec.base_name,
        quote=spec.quote_name,
        measurement_units=spec.measurement_units,
    )


def _lot_worth(rates: Rates, spec: SymbolSpec | None, quote: Quote | None) -> Fraction | None:
    if spec is None or quote is None:
        return None
    rate = rates.rate(spec.quote_name, rates.view.currency, high=False)
    mid = Fraction(quote.bid + quote.ask, 2 * PRICE_SCALE)
    return None if rate is None else Fraction(spec.lot_size, VOLUME_SCALE) * mid * rate


def _lot_pip(rates: Rates, spec: SymbolSpec | None) -> Fraction | None:
    if spec is None:
        return None
    rate = rates.rate(spec.quote_name, rates.view.currency, high=False)
    return None if rate is None else Fraction(spec.lot_size, VOLUME_SCALE) * Fraction(spec.pip, PRICE_SCALE) * rate


def _remarks(
    leader: AccountView,
    follower: AccountView,
    link: LinkSettings,
    name: str,
    mine: SymbolSpec | None,
    spec: SymbolSpec | None,
) -> Iterator[str]:
    policy = link.policy.for_symbol(name)
    if spec is None:
        return
    if spec.symbol in follower.former_specs:
        yield "its lot size, digits or step have changed: confirm it"
    if not spec.enabled or spec.trading_mode.value != "enabled":
        yield f"the follower's broker does not trade it now ({spec.trading_mode.value})"
    if not spec.short_selling:
        yield "it cannot be sold short"
    if spec.guaranteed_stops is False and follower.trader is not None and follower.trader.limited_risk:
        yield "it has no guaranteed stops, and an account of limited risk opens with one only: nothing is copied in it"
    if mine is None:
        return
    if policy.counts_in_lots and lots_were(leader, mine.symbol):
        yield "its lot size at the leader's broker has changed: confirm it there"
    is_confirmed = policy.confirms_lots(name)
    if mine.lot_size != spec.lot_size and policy.volume_basis.value == "lots" and not is_confirmed:
        yield "lot sizes differ: confirm lots (volume.lots_confirmed, a row with its own volume_amount), or use units"
    if mine.pip_position != spec.pip_position:
        yield "a pip differs in size; all pips of the settings are the follower's"
    if (mine.base_name, mine.quote_name) != (spec.base_name, spec.quote_name):
        yield f"{mine.base_name} in {mine.quote_name} there, {spec.base_name} in {spec.quote_name} here"
    if mine.measurement_units != spec.measurement_units:
        yield f"the units differ: {mine.measurement_units or 'none'} there, {spec.measurement_units or 'none'} here"


def _unlike(
    follower: AccountView, name: str, mine: SymbolSpec | None, quotes: Quotes, leader_quote: Quote | None
) -> Iterator[str]:
    """What keeps each symbol of a like name from being taken for the leader's by itself."""
    for entry in candidates(follower, name):
        spec = follower.specs.get(entry.symbol)
        if spec is None or mine is None:
            yield f"{entry.name} is like it"
            continue
        why = []
        if (mine.base_name, mine.quote_name) != (spec.base_name, spec.quote_name):
            why.append(f"it is {spec.base_name} in {spec.quote_name}")
        if mine.lot_size != spec.lot_size:
            why.append(f"its lot is {units_text(spec.lot_size)}")
        if mine.measurement_units != spec.measurement_units:
            why.append(f"it is measured in {spec.measurement_units or 'nothing named'}")
        if entry.name not in quotes or leader_quote is None:
            why.append("no quote to compare")
        yield f"{entry.name} is like it, but {', '.join(why) or 'its price differs, or others fit too'}"


def unconverted(leader: AccountView, follower: AccountView, policy: Policy) -> str:
    """The leader's currency, where a link sizes by his money and no symbols of the follower's broker convert that.

    Empty where it does not. It says so of every open, also where the leader has traded nothing that could be judged.
    """
    is_asked = policy.volume_currency is VolumeCurrency.CONVERT and counts_leaders_money(policy)
    return leader.currency if is_asked and leads_nowhere(follower, leader.currency) else ""


# --- what could not have been copied ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Judged:
    """A trade of the leader, and what the follower would have made of it as things stand now."""

    change: Change
    decision: Decision
    as_add: bool = False


def leaders_trades(view: AccountView, deals: Iterable[Deal], orders: Iterable[Order]) -> tuple[Change, ...]:
    """What a leader's history tells his followers to open: his opens, adds and resting orders, oldest first."""
    by_id = {order.order: order for order in orders}
    now = replace(view, positions={}, orders={}, deals=(), origins={}, closed={}, copies={}, intents={})
    found: list[Change] = []
    for deal in sorted(deals, key=lambda deal: (deal.executed_ms, deal.deal)):
        if not deal.is_execution:
            continue
        order = by_id.get(deal.order)
        event = ExecutionSeen(kind=ExecutionKind.ORDER_FILLED, order=order, deal=deal)
        now, told = _told(now, event, deal.executed_ms)
        found += [_labelled(change, order) for change in told]
    for order in sorted(by_id.values(), key=lambda order: (order.updated_ms, order.order)):
        if order.is_resting:
            now, told = _told(now, ExecutionSeen(kind=ExecutionKind.ORDER_ACCEPTED, order=order), order.updated_ms)
            found += told
    return tuple(change for change in found if change.kind.adds_risk)


def _told(view: AccountView, event: ExecutionSeen, at_ms: int) -> tuple[AccountView, tuple[Change, ...]]:
    turn = step(view, event, _NO_STORE, at_ms * 1_000)
    folded = turn.folded or turn.view
    return turn.view, changes(view, folded, event)


def _labelled(change: Change, order: Order | None) -> Change:
    """A deal carries no label; the order that it belongs to does."""
    if order is None or change.label or change.comment:
        return change
    return replace(change, label=order.label, comment=order.comment)


def judge(
    leader: AccountView,
    follower: AccountView,
    link: LinkSettings,
    quotes: Quotes,
    leader_quotes: Quotes,
    change: Change,
) -> Judged:
    """What the follower would have made of a trade, at the trade's own moment and today's prices."""
    moment = change.at_ms * 1_000
    as_add = change.kind is ChangeKind.GREW and not change.is_opening
    if as_add:
        change = replace(change, kind=ChangeKind.OPENED, before=Volume(0), after=change.volume)
    theirs = _at(leader_quotes.get(change.symbol.name), moment)
    carried = _carried(replace(change, late=False, quote=theirs, money=_worth(leader, leader_quotes)), theirs)
    key = resolve(follower, link.link, carried)
    copies = {known: copy for known, copy in follower.copies.items() if known != key}
    fresh = replace(
        follower,
        copies=copies,
        positions=_others(follower, follower.copies.get(key), copies.values()),
        finished={known: copy for known, copy in follower.finished.items() if known != key},
        chains={},
    )
    inputs = gather(
        fresh, carried, link, lambda name: _at(quotes.get(name), moment), leader_quote=theirs, leader=leader
    )
    if not quotes:
        inputs = replace(inputs, complete=False)  # without a connection what quotes would tell is left to the broker
    return Judged(change, decide(fresh, carried, link, inputs, moment), as_add)


def _others(follower: AccountView, own: Copy | None, copies: Iterable[Copy]) -> Mapping[PositionId, Position]:
    """What a follower holds besides the copy of the trade that is judged; a net that others share stays as it is.

    It was taken for somebody else's where nobody's copy was left, and its margin counted against itself.
    """
    if own is None or own.position is None or any(copy.position == own.position for copy in copies):
        return follower.positions
    return {known: held for known, held in follower.positions.items() if known != own.position}


def _at(quote: Quote | None, moment_us: int) -> Quote | None:
    return None if quote is None else replace(quote, seen_us=moment_us)


def _carried(change: Change, quote: Quote | None) -> Change:
    """A trade with its prices moved to today's market, all by the same distance."""
    anchor = change.price or change.limit_price or change.stop_price
    if quote is None or anchor is None or change.kind is ChangeKind.ORDER_PLACED:
        return change
    delta = quote.entry(change.side) - anchor

    def moved(price: Price | None) -> Price | None:
        return None if price is None else Price(max(1, price + delta))

    return replace(
        change,
        price=moved(change.price),
        stop=moved(change.stop),
        target=moved(change.target),
        limit_price=moved(change.limit_price),
        stop_price=moved(change.stop_price),
    )


def _worth(leader: AccountView, quotes: Quotes) -> LeaderMoney | None:
    if leader.trader is None:
        return None
    newest = max((quote.seen_us for quote in quotes.values()), default=0)
    rates = Rates(leader, quotes, newest, 366 * 86_400_000)
    scale = 10**leader.money_digits
    whole, free = equity(rates), free_margin(rates)
    return LeaderMoney(
        currency=leader.currency,
        money_digits=leader.money_digits,
        balance=leader.balance,
        equity=None if whole is None else floor_fraction(whole * scale),
        free_margin=None if free is None else floor_fraction(free * scale),
    )
