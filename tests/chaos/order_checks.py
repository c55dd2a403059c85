"""What must hold of copied orders that rest: they have their leader's terms, as the settings of their last decision
carry them, and none rests whose leader's order fills into a net. Judged by the books of the two brokers."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from cmam.domain.belief.copies import Copy, CopyKey
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ChangeDecided
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.turns.leader import symbol_of
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.symbols import SymbolSpec
from cmam.domain.values.trades import OrderType
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from tests.chaos.course import Taken, Terms, course, taken
from tests.chaos.rule_checks import TURNED
from tests.whole import Whole

PRICE = 100_000_000
RELATIVE = 1_000  # a distance on the wire is in 1/100000, a price in here in 1/100000000
TYPES = {model.LIMIT: OrderType.LIMIT, model.STOP: OrderType.STOP, model.STOP_LIMIT: OrderType.STOP_LIMIT}
TERMS = (ChangeKind.ORDER_PLACED, ChangeKind.ORDER_AMENDED)


def resting_as_set(whole: Whole) -> None:
    """Side, type, price, expiry, levels and volume of each copied order are what its leader's order makes of them."""
    for link in whole.folded().registry.links():
        view = whole.view(link.follower)
        assert view is not None
        theirs = {order.orderId: order for order in whole.person.rests(link.leader)}
        ours = {order.orderId: order for order in whole.person.rests(link.follower)}
        placed, last = _decisions(whole, link.follower)
        for copy in view.copies.values():
            source, order = theirs.get(copy.leader_order or 0), ours.get(copy.order or 0)
            is_plain = copy.link == link.link and copy.position is None and not copy.trouble and not copy.leader_filled
            if source is None or order is None or not is_plain or copy.key not in placed:
                continue
            words = f"{copy.key}, {dict(last[copy.key].terms.texts)}: {order} of {source}"
            is_turned = placed[copy.key].terms.is_on("reverse")
            _is_same_kind(order, source, words, is_turned=is_turned)
            _is_at_its_price(order, source, last[copy.key], view.specs[copy.symbol], words)
            _expires_as_set(order, source, last[copy.key].terms, words)
            _has_its_levels(order, source, last[copy.key].terms, view.specs[copy.symbol], words, is_turned=is_turned)
            _is_no_larger(order, source, placed[copy.key], view.specs[copy.symbol], copy, words)


# --- netted leaders -------------------------------------------------------------------------------------------------


def beside_no_net(whole: Whole) -> None:
    """While a netted leader holds a symbol no order of his rests for followers there, nor is one placed: what it fills
    changes his position. Only for that reason is it skipped as `fills_into_net`, or as it had filled in part already
    when it came to light."""
    for link in whole.folded().registry.links():
        leader, view = whole.view(link.leader), whole.view(link.follower)
        assert leader is not None
        assert view is not None
        if not leader.is_netted():
            continue
        _rest_beside_none(whole, link, view)
        _placed_beside_none(whole, link)


def _rest_beside_none(whole: Whole, link: LinkSettings, view: AccountView) -> None:
    held = {position.symbol: position.position for position in whole.person.holds(link.leader)}
    deals = whole.broker.floor.accounts[link.leader].deals.values()
    theirs = {order.orderId: order for order in whole.person.rests(link.leader)}
    for copy in view.copies.values():
        source = theirs.get(copy.leader_order or 0)
        if copy.link != link.link or source is None or copy.leader_filled:
            continue
        net = held.get(source.tradeData.symbolId)
        is_his = any(deal.order_id == source.orderId and deal.position_id == net for deal in deals)
        assert net is None or is_his, f"{copy.key} is {copy.state} beside the net {net} of {link.leader}"


def _placed_beside_none(whole: Whole, link: LinkSettings) -> None:
    views = {moment.after.version: moment.after for moment in course(whole, link.leader)}
    for event in whole.events(link.follower, ChangeDecided):
        change = event.change
        if event.link != link.link or change.kind is not ChangeKind.ORDER_PLACED or change.synced:
            continue
        leader = views[event.cause_version]
        nets = [
            held.position
            for held in leader.positions.values()
            if symbol_of(leader, held.symbol).name == change.symbol.name
        ]
        is_into = any(leader.origins.get(net) != change.order for net in nets)
        words = f"{change.order} of {link.leader} at {change.at_ms}, who holds {nets}"
        assert not (is_into and event.verdict is Verdict.COPY), f"copied: {words}"
        has_opened = change.before > 0  # a part of it had filled when it was told, and its position is copied
        assert is_into or has_opened or event.reason is not Reason.FILLS_INTO_NET, f"not copied: {words}"


# --- terms ----------------------------------------------------------------------------------------------------------


def _decisions(whole: Whole, account: int) -> tuple[dict[CopyKey, Taken], dict[CopyKey, Taken]]:
    """By copy, what placed it, and what told it its terms last."""
    placed: dict[CopyKey, Taken] = {}
    last: dict[CopyKey, Taken] = {}
    for one in _told(taken(whole, account)):
        last[one.key] = one
        if one.request is not None and one.request.command.kind is CommandKind.PLACE:
            placed[one.key] = one
    return placed, last


def _told(decisions: Iterator[Taken]) -> Iterator[Taken]:
    """The decisions that told a copy which terms its order has."""
    for one in decisions:
        is_told = one.verdict is Verdict.COPY or one.reason is Reason.ALREADY_THERE
        if one.change.kind in TERMS and is_told:
            yield one


def _is_same_kind(order: Any, source: Any, words: str, *, is_turned: bool) -> None:
    found, kind = TYPES[order.orderType], TYPES[source.orderType]
    assert found is (TURNED.get(kind, kind) if is_turned else kind), f"another type: {words}"
    is_same = order.tradeData.tradeSide == source.tradeData.tradeSide
    assert is_same != is_turned, f"another side: {words}"


def price_of(order: Any) -> int:
    """The price that an order rests at."""
    return int(Fraction(str(order.limitPrice or order.stopPrice)) * PRICE)


def _is_at_its_price(order: Any, source: Any, last: Taken, spec: SymbolSpec, words: str) -> None:
    away = price_of(order) - price_of(source) - _shift(last, spec)
    assert abs(away) <= spec.tick, f"{away} beside its leader's price: {words}"


def _shift(last: Taken, spec: SymbolSpec) -> int:
    """How far apart the markets were, or usually are where one has told of a jump, if that is above both spreads."""
    mine, theirs = last.inputs.quotes.get(spec.name), last.inputs.leader_quote or last.change.quote
    if last.terms.text("levels") == "price" or mine is None or theirs is None:
        return 0
    now = (mine.bid + mine.ask - theirs.bid - theirs.ask) // 2
    between = last.inputs.usual.get(spec.name, now)
    return between if abs(between) > max(mine.ask - mine.bid, theirs.ask - theirs.bid) else 0


def _expires_as_set(order: Any, source: Any, terms: Terms, words: str) -> None:
    own_life = terms.text("pending_max_life") != "off"
    if source.expirationTimestamp and terms.is_on("copy_expiry"):
        assert order.expirationTimestamp == source.expirationTimestamp, f"another expiry: {words}"
    else:
        assert bool(order.expirationTimestamp) == own_life, f"an expiry of its own: {words}"


def _has_its_levels(order: Any, source: Any, terms: Terms, spec: SymbolSpec, words: str, *, is_turned: bool) -> None:
    """Stop and target as distances from the order's price, in the copy's own sense."""
    stop, target = source.relativeStopLoss * RELATIVE, source.relativeTakeProfit * RELATIVE
    stop = stop + (terms.number("sl_offset") or 0) * spec.pip if stop else 0
    target = target + (terms.number("tp_offset") or 0) * spec.pip if target else 0
    if is_turned:
        stop, target = target, stop
    stop = stop if terms.is_on("copy_sl") else 0
    target = target if terms.is_on("copy_tp") else 0
    for name, found, wanted in (
        ("fixed_sl", order.relativeStopLoss, stop),
        ("fixed_tp", order.relativeTakeProfit, target),
    ):
        fixed = terms.number(name)
        wanted = wanted if fixed is None else fixed * spec.pip
        assert bool(found) == bool(wanted), f"a level too many or too few: {words}"
        assert abs(found * RELATIVE - wanted) <= spec.tick, f"a level elsewhere, not {wanted}: {words}"


def _is_no_larger(order: Any, source: Any, placed: Taken, spec: SymbolSpec, copy: Copy, words: str) -> None:
    """Never more than the order was made, in proportion to what its leader has made of his."""
    assert placed.request is not None
    sized, theirs = placed.request.command.volume, placed.change.volume
    most = Fraction(sized * source.tradeData.volume, theirs or 1)
    assert order.tradeData.volume <= most, f"more than {float(most)} of {copy.key}: {words}"
    assert order.tradeData.volume % spec.step == 0, f"not on the step: {words}"
