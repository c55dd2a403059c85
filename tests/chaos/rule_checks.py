"""What must hold of every decision: what was asked for is what its settings allow, and what was skipped they forbid.

Judged by what the record says a decision rested on, by rules written here once more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction

from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.quantities import Side
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.trades import OrderType
from tests.chaos.course import Taken, gives_up, taken
from tests.whole import Whole

TURNED = {OrderType.LIMIT: OrderType.STOP, OrderType.STOP: OrderType.LIMIT}
OPENING = (ChangeKind.OPENED, ChangeKind.GREW, ChangeKind.ORDER_PLACED, ChangeKind.REVERSED)


def allowed(whole: Whole) -> None:
    """Nothing is opened, added or placed that the settings of its decision exclude, and it goes out as they say."""
    for account in {link.follower for link in whole.folded().registry.links()}:
        for one in taken(whole, account):
            if one.request is not None and one.request.command.kind.adds_risk and not gives_up(one):
                words = f"{one.request.intent} at {one.at_us}, {dict(one.terms.texts)}: {one.request.command}"
                _may_be(one, words)
                _is_as_said(one, one.request.command, words)
                _is_priced(one, one.request.command, words)


def is_excluded(one: Taken, *, is_pending: bool) -> bool:
    """Whether the type of the leader's order is not copied."""
    kind = one.change.origin_type
    types = one.terms.text("order_types")
    if types != "all" and kind.value not in types.split(","):
        return not (kind.is_pending and not is_pending and one.terms.is_on("copy_on_fill"))
    return is_pending and one.terms.is_on("reverse") and kind is OrderType.STOP_LIMIT


def _may_be(one: Taken, words: str) -> None:
    assert one.request is not None
    is_add = one.request.command.kind is CommandKind.ADD
    assert one.verdict is Verdict.COPY, words
    assert one.change.kind in OPENING, words
    assert not one.terms.is_on("ignore_new"), f"new although ignore_new is on: {words}"
    is_pending = one.request.command.kind is CommandKind.PLACE
    assert not is_excluded(one, is_pending=is_pending), f"a {one.change.origin_type} is not copied: {words}"
    if is_add and one.change.kind is ChangeKind.GREW and not one.change.is_opening and not one.is_attempt:
        assert one.terms.is_on("scale_in"), f"an add although scale_in is off: {words}"


def _is_as_said(one: Taken, command: Command, words: str) -> None:
    """Side, type, slippage and stop of a request."""
    if command.kind is not CommandKind.ADD:
        side = one.change.side.opposite if one.terms.is_on("reverse") else one.change.side
        assert command.side is side, f"the wrong side: {words}"
        has_stop = command.relative_stop is not None
        assert has_stop or not one.terms.is_on("require_stop"), f"no stop: {words}"
        needs = one.terms.is_on("reverse") and one.terms.is_on("copy_sl")
        needs = needs and not one.terms.is_on("reverse_without_stop")
        assert has_stop or not needs, f"reversed without a stop: {words}"
    if command.kind is CommandKind.PLACE:
        kind = one.change.origin_type
        assert command.order_type is (TURNED.get(kind, kind) if one.terms.is_on("reverse") else kind), words
        return
    points = one.terms.number("max_slippage")
    kind = OrderType.MARKET if points is None else OrderType.MARKET_RANGE
    assert (command.order_type, command.slippage_points) == (kind, points), f"not within max_slippage: {words}"


def _is_priced(one: Taken, command: Command, words: str) -> None:
    """Whether the market was near enough, or better enough, by the quotes that the decision names."""
    worse = _pips_worse(one, command)
    if command.kind is CommandKind.PLACE or worse is None:
        return
    distance, better = one.terms.number("max_price_distance"), one.terms.number("wait_for_better")
    assert distance is None or worse <= distance, f"{float(worse)} pips away: {words}"
    is_open = command.kind is CommandKind.OPEN
    assert better is None or not is_open or -worse >= better, f"only {-float(worse)} pips better: {words}"


def _pips_worse(one: Taken, command: Command) -> Fraction | None:
    spec = one.before.specs.get(command.symbol)
    quote = one.inputs.quotes.get(spec.name) if spec is not None else None
    if spec is None or quote is None or one.change.price is None:
        return None
    entry = quote.ask if command.side is Side.BUY else quote.bid
    return Fraction((entry - one.change.price) * command.side.sign, spec.pip)


# --- what was skipped -----------------------------------------------------------------------------------------------


def _is_too_far(one: Taken) -> bool:
    return one.terms.number("max_price_distance") is not None


def _has_no_stop(one: Taken) -> bool:
    """Reversed, where the leader has no target: then his copy has no stop of its own."""
    has_target = one.change.target is not None or one.change.relative_target is not None
    is_asked = one.terms.is_on("reverse") and one.terms.is_on("copy_sl") and not one.terms.is_on("reverse_without_stop")
    return is_asked and not has_target and one.terms.number("fixed_sl") is None


def _is_by(mode: str) -> Callable[[Taken], bool]:
    return lambda one: one.terms.text("volume.mode") == mode


def _is_set(name: str) -> Callable[[Taken], bool]:
    return lambda one: one.terms.text(name) != "off"


def _has_a_life(one: Taken) -> bool:
    """The leader's order expires, or it is amended and the longest life of its copy counts from the placing.

    An amendment that waited for quotes is tried again under the kind of a placing; its key says what it was.
    """
    is_amended = ":amended:" in one.change.key
    return bool(one.change.expires_ms) or (is_amended and _is_set("pending_max_life")(one))


GROUNDS: Mapping[Reason, Callable[[Taken], bool]] = {
    Reason.IGNORE_NEW: _is_set("ignore_new"),
    Reason.ORDER_TYPE_EXCLUDED: lambda one: is_excluded(one, is_pending=one.change.kind is ChangeKind.ORDER_PLACED),
    Reason.STOP_REQUIRED: _is_set("require_stop"),
    Reason.NO_GUARANTEED_STOP: _is_set("copy_guaranteed"),
    Reason.NO_STOP_REVERSED: _has_no_stop,
    Reason.PRICE_AWAY: _is_too_far,
    Reason.NOT_BETTER: _is_set("wait_for_better"),
    Reason.SLIPPAGE: _is_set("max_slippage"),
    Reason.MAX_POSITIONS: _is_set("max_positions"),
    Reason.MAX_LOTS: lambda one: any(_is_set(name)(one) for name in ("max_lots_symbol", "max_lots_open", "volume.max")),
    Reason.NO_STOP: _is_by("risk_percent"),
    Reason.STOP_TOO_TIGHT: _is_by("risk_percent"),
    Reason.STOP_NOT_A_RISK: _is_by("risk_percent"),
    Reason.SANITY: lambda one: one.terms.text("volume.mode") not in ("multiplier", "fixed"),
    Reason.SCALE_IN_OFF: lambda one: not one.terms.is_on("scale_in"),
    Reason.LEVEL_WRONG_SIDE: lambda one: any(_is_set(name)(one) for name in ("sl_offset", "tp_offset", "fixed_sl")),
    Reason.WOULD_FILL: lambda one: one.change.order is not None,
    Reason.EXPIRED: _has_a_life,
    Reason.RAISE_TOO_FAR: lambda one: one.terms.text("volume.rounding").startswith("raise"),
}
"""Reasons that only certain settings, or a certain kind of change, can have."""


def grounded(whole: Whole) -> None:
    """No change is skipped for a reason that the settings of its decision, or the change itself, do not have."""
    for account in {link.follower for link in whole.folded().registry.links()}:
        for one in taken(whole, account):
            ground = GROUNDS.get(one.reason) if one.reason is not None else None
            words = f"{one.key} at {one.at_us} for {one.reason}, {dict(one.terms.texts)}: {one.change}"
            assert ground is None or ground(one), f"skipped without ground: {words}"
