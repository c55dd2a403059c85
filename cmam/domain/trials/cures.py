"""What would have let a skipped change through, found by deciding it again with one thing altered, then another.

For each reason a table names what may be turned; the least turn that gets past the reason is searched for (`cases.py`),
and where the next rule then says no, that one's knobs are tried on top. What is reported as a cure did lead to a copy.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cmam.domain.deciding.decision import Decision
from cmam.domain.trials import knobs as k
from cmam.domain.trials.cases import Alteration, Case, Knob, copies, reason_of
from cmam.domain.values.quantities import Volume
from cmam.domain.values.reasons import Reason

DEPTH = 4
"""So many rules in a row may be got past for one cure."""
CURES_MAX = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Cure:
    """Alterations that together turn a skip into a copy, and the volume that would have been copied."""

    alterations: tuple[Alteration, ...]
    volume: Volume
    waits: bool = False

    def __str__(self) -> str:
        return " and ".join(map(str, self.alterations))


_USUAL_PIPS = ("10", "20", "50", "100", "200", "500")
_QUOTES: tuple[Knob, ...] = (k.fresh_quotes, k.longer("input_max_age"), k.present_quote)
_SMALLER: tuple[Knob, ...] = (k.down("volume.amount"),)

KNOBS: Mapping[Reason, tuple[Knob, ...]] = {
    Reason.PAUSED: (k.standing,),
    Reason.MANAGE_ONLY: (k.full_access,),
    Reason.IGNORE_NEW: (k.choice("ignore_new", "off"),),
    Reason.OTHER_COPIER: (k.alone,),
    Reason.COPY_FINISHED: (k.choice("reopen", "on"),),
    Reason.SOURCE_GONE: (k.still_held,),
    Reason.SCALE_IN_OFF: (k.choice("scale_in", "on"),),
    Reason.TRAILS_ITSELF: (k.choice("copy_trailing", "off"),),
    Reason.TRAILING_STEP: (k.down("trailing_step", k.PIPS),),
    Reason.UNMAPPED_SYMBOL: (k.table_row, k.choice("symbols.mapping", "automatic")),
    Reason.SYMBOL_EXCLUDED: (
        k.listed("symbols.include", k.name_of, empty="all"),
        k.not_excluded,
    ),
    Reason.SYMBOL_DISABLED: (k.tradable,),
    Reason.SYMBOL_CHANGED: (k.confirmed,),
    Reason.SIDE_EXCLUDED: (k.choice("side", "both"),),
    Reason.SHORT_SELLING: (k.tradable, k.choice("reverse", "off", "on")),
    Reason.ORDER_TYPE_EXCLUDED: (
        k.listed("order_types", k.kind_of, empty="all"),
        k.choice("copy_on_fill", "on"),
        k.choice("reverse", "off"),
    ),
    Reason.LABEL_EXCLUDED: (k.choice("label", "any"),),
    Reason.OUTSIDE_HOURS: (k.choice("hours", "always"), k.choice("days", "all"), k.other_minute),
    Reason.NETTED_TAKEN: (k.netted_free,),
    Reason.TOO_OLD: (k.longer("max_age"), k.longer("sync_max_age"), k.sooner),
    Reason.CLOCK: (k.certain_clock,),
    Reason.PRICE_AWAY: (k.up("max_price_distance", k.PIPS), k.up("sync_max_price_distance", k.PIPS), k.better_price),
    Reason.NOT_BETTER: (k.down("wait_for_better", k.PIPS), k.better_price),
    Reason.SPREAD: (k.up("max_spread", k.PIPS), k.narrower),
    Reason.WOULD_FILL: (k.better_price,),
    Reason.LEVEL_PASSED: (k.better_price, k.choice("copy_sl", "off"), k.choice("copy_tp", "off")),
    Reason.LEVEL_WRONG_SIDE: (
        k.up("sl_offset", k.PIPS),
        k.up("tp_offset", k.PIPS),
        k.choice("sl_offset", "off"),
        k.choice("fixed_sl", *_USUAL_PIPS),
        k.choice("reverse", "off"),
        k.choice("copy_sl", "off"),
        k.choice("copy_tp", "off"),
    ),
    Reason.NO_STOP: (k.leader_stop, k.choice("fixed_sl", *_USUAL_PIPS), k.up("volume.without_stop", k.LOTS)),
    Reason.NO_STOP_REVERSED: (
        k.choice("reverse_without_stop", "on"),
        k.leader_stop,
        k.choice("fixed_sl", *_USUAL_PIPS),
    ),
    Reason.STOP_REQUIRED: (k.choice("require_stop", "off"), k.leader_stop, k.choice("fixed_sl", *_USUAL_PIPS)),
    Reason.NO_GUARANTEED_STOP: (k.choice("copy_guaranteed", "off"), k.guaranteed),
    Reason.STOP_TOO_CLOSE: (k.choice("bad_stop", "widen"), k.up("sl_offset", k.PIPS), k.up("fixed_sl", k.PIPS)),
    Reason.STOP_TOO_TIGHT: (
        k.down("risk_min_stop", k.PIPS),
        k.up("sl_offset", k.PIPS),
        k.up("fixed_sl", k.PIPS),
        k.narrower,
    ),
    Reason.STOP_NOT_A_RISK: (k.up("sl_offset", k.PIPS), k.choice("fixed_sl", *_USUAL_PIPS)),
    Reason.BELOW_MINIMUM: (k.up("volume.amount"), k.rounding_raise, k.down("volume.min"), k.larger_trade),
    Reason.STALE_INPUT: _QUOTES,
    Reason.LOTS_UNCONFIRMED: (
        k.listed("volume.lots_confirmed", k.name_of, empty="none"),
        k.choice("volume.basis", "units", "notional"),
    ),
    Reason.RAISE_TOO_FAR: (k.up("raise_risk_max"), k.up("volume.amount"), k.larger_trade),
    Reason.SANITY: (k.up("sanity.max_times_leader"), k.up("sanity.max_leverage"), *_SMALLER),
    Reason.MAX_POSITIONS: (k.up("max_positions", 1), k.fewer_copies),
    Reason.MAX_LOTS: (
        k.up("max_lots_open"),
        k.up("max_lots_symbol"),
        k.up("volume.max", k.LOTS),
        *_SMALLER,
        k.fewer_copies,
    ),
    Reason.MARGIN: (k.more_money, *_SMALLER, k.down("margin_reserve"), k.choice("margin_reserve", "off")),
    Reason.GUARD: (k.rearmed,),
    Reason.FLATTENED: (k.rearmed,),
    Reason.EQUITY_UNKNOWN: _QUOTES,
    Reason.EXPIRED: (k.sooner,),
}
"""What may be turned for each reason that a decision can have. A reason that is not here has no cure: there was nothing
to copy, or nothing that could be otherwise."""


def cures(case: Case) -> tuple[Cure, ...]:
    """What would have let a case through, the nearest first; none where it was copied or nothing helps."""
    decided = case.run()
    if decided is None or copies(decided) or decided.reason is None:
        return ()
    found: list[Cure] = []
    for cure in _search(case, decided.reason, frozenset(), DEPTH):
        if str(cure) not in {str(known) for known in found}:
            found.append(cure)
        if len(found) == CURES_MAX:
            break
    return tuple(sorted(found, key=lambda cure: len(cure.alterations)))


def _search(case: Case, reason: Reason, passed: frozenset[Reason], depth: int) -> Iterator[Cure]:
    for knob in KNOBS.get(reason, ()):
        tried = knob(case, reason)
        if tried is None:
            continue
        alteration, altered = tried
        decision = altered.run()
        if copies(decision):
            assert decision is not None
            yield _cure((alteration,), decision)
            continue
        behind = reason_of(decision)
        if behind is None or behind in passed or depth <= 1:
            continue
        rest = next(_search(altered, behind, passed | {reason}, depth - 1), None)
        if rest is not None:
            yield Cure(alterations=(alteration, *rest.alterations), volume=rest.volume, waits=rest.waits)


def _cure(alterations: tuple[Alteration, ...], decision: Decision) -> Cure:
    return Cure(alterations=alterations, volume=decision.volume, waits=decision.wait is not None)
