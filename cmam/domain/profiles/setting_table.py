"""The table of all settings: name, field, reader, default, what is allowed, and what it means.

The single truth: parsing, defaults, refusals and `docs/settings.md` come from it. `policy.py` understands it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cmam.domain.profiles import reading as r
from cmam.domain.profiles.choices import (
    Anchor,
    BadStop,
    HumanLevels,
    LevelsMode,
    Lockout,
    MappingMode,
    MoneyBase,
    PartialRounding,
    PeakKind,
    PendingOutside,
    PercentOf,
    Reaction,
    Scope,
    SideFilter,
    VolumeBasis,
    VolumeCurrency,
    VolumeMode,
    orders,
)
from cmam.domain.profiles.formula import NAMES, formula
from cmam.domain.profiles.table import SymbolRow, read_table


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: `field` is its name in `Policy`, `read` turns text into its value or raises ValueError."""

    name: str
    field: str
    read: Callable[[str], Any]
    default: str
    allowed: str
    meaning: str


def _choice(kind: type) -> tuple[Callable[[str], Any], str]:
    return (lambda text: kind(text.strip().lower())), "one of: " + ", ".join(kind)  # type: ignore[arg-type]  # an enum is called by its value


def _table(text: str) -> tuple[SymbolRow, ...]:
    if not text.strip():
        return ()
    table = read_table(text)
    if table.faults:
        raise ValueError("; ".join(str(fault) for fault in table.faults))
    return table.rows


def _names(text: str) -> tuple[str, ...]:
    if text.strip().lower() == "all":
        raise ValueError(text)
    return () if text.strip().lower() == "none" else r.words(text)


def _include(text: str) -> tuple[str, ...]:
    """An empty list is refused: it never means to copy nothing, silently."""
    return () if text.strip().lower() == "all" else r.words(text)


_NUMBER = "a finite number above 0, such as 0.5"
_SPAN = "a span such as 500ms, 30s or 2m"
_SWITCH = "on or off"
_PIPS = "pips above 0, or off"
_LOTS = "lots above 0, or off"
_MONEY = "money or a percentage above 0, such as 500 or 5%, or off"


def _one_of(name: str, into: str, kind: type, default: str, meaning: str) -> Setting:
    read, allowed = _choice(kind)
    return Setting(name, into, read, default, allowed, meaning)


def _switch(name: str, default: str, meaning: str, into: str = "") -> Setting:
    return Setting(name, into or name, r.switch, default, _SWITCH, meaning)


def _pips(name: str, meaning: str) -> Setting:
    return Setting(name, name, r.or_off(r.positive), "off", _PIPS, meaning)


def _lots(name: str, into: str, meaning: str) -> Setting:
    return Setting(name, into, r.or_off(r.positive), "off", _LOTS, meaning)


def _guard(name: str, meaning: str) -> Setting:
    return Setting(name, name, r.or_off(r.amount), "off", _MONEY, meaning)


def _offset(name: str, meaning: str) -> Setting:
    return Setting(name, name, r.or_off(r.number), "off", "pips, or off", meaning)


SETTINGS: tuple[Setting, ...] = (
    # How much.
    _one_of("volume.mode", "volume_mode", VolumeMode, "multiplier", "How the copy's volume is found."),
    Setting(
        "volume.amount",
        "volume_amount",
        r.positive,
        "1",
        _NUMBER,
        "The number that the mode uses: a factor, lots (`fixed`), a leverage (`fixed_leverage`) or a percentage"
        " (`risk_percent`).",
    ),
    _one_of(
        "volume.basis",
        "volume_basis",
        VolumeBasis,
        "lots",
        "What of the leader's trade is taken over: lots as each broker defines them, units of the base asset, or"
        " notional value. Where the lot sizes differ, `lots` is used only for symbols in `volume.lots_confirmed`.",
    ),
    Setting(
        "volume.lots_confirmed",
        "lots_confirmed",
        _names,
        "none",
        "leader symbols separated by commas, or none",
        "Leader symbols whose lots may be copied as lots although the lot sizes differ. A row of the symbol table with"
        " its own volume_amount confirms its symbol too.",
    ),
    _one_of(
        "volume.currency",
        "volume_currency",
        VolumeCurrency,
        "convert",
        "Ratio modes and `formula`: `convert` turns the leader's money into the follower's currency first; `raw` takes"
        " the bare numbers.",
    ),
    Setting(
        "volume.formula",
        "volume_formula",
        r.or_off(formula),
        "off",
        f"arithmetic over {', '.join(NAMES)} with + - * / ( ) min max, or off",
        "With `volume.mode=formula`: the copy's volume in lots of the follower. `price` is where the follower itself"
        " would enter, `lot_units` its lot.",
    ),
    Setting(
        "volume.rounding",
        "volume_rounding",
        r.rounding,
        "skip,cap",
        "skip or raise, and cap or split, separated by a comma",
        "Volumes are rounded down to the step. Below the minimum: skip, or raise to it; above the maximum: cap, or"
        " split into parts. A pending order is one order: it is capped.",
    ),
    Setting(
        "raise_risk_max",
        "raise_risk_max",
        r.at_least_one,
        "5",
        "a number of at least 1",
        "`raise` only while the minimum is at most this many times the exact volume.",
    ),
    _lots(
        "volume.min",
        "volume_min",
        "The least a copy may have, and that is added to one, in lots; the symbol's own minimum holds besides.",
    ),
    _lots("volume.max", "volume_max", "The most a copy may have, in lots; the symbol's own maximum holds besides."),
    _lots(
        "volume.without_stop",
        "without_stop",
        "With `risk_percent`: the lots of a copy whose leader sets no stop within `stop_wait`; off skips it.",
    ),
    Setting("stop_wait", "stop_wait_ms", r.span_ms, "1s", _SPAN, "With `risk_percent`: how long to wait for a stop."),
    _one_of(
        "risk_base",
        "risk_base",
        MoneyBase,
        "balance",
        "With `risk_percent`: what the percentage is of. Counted against it at the rates of now: the way to the stop,"
        " the commission of both ways, never below the symbol's minimum, and the fee of conversion.",
    ),
    Setting(
        "risk_min_stop",
        "risk_min_stop",
        r.not_negative,
        "0",
        "pips of at least 0",
        "With `risk_percent`: a stop nearer than this, than twice the spread or than the symbol allows, is too tight.",
    ),
    Setting(
        "sanity.max_times_leader",
        "max_times_leader",
        r.or_off(r.positive),
        "20",
        f"{_NUMBER}, or off",
        "In every mode but `multiplier` and `fixed`: the copy's notional may be at most this many times the leader's.",
    ),
    Setting(
        "sanity.max_leverage",
        "max_leverage",
        r.or_off(r.positive),
        "30",
        f"{_NUMBER}, or off",
        "In every mode but `multiplier` and `fixed`: all exposure, in flight and resting included, over equity.",
    ),
    Setting(
        "input_max_age",
        "input_max_age_ms",
        r.positive_span_ms,
        "10s",
        _SPAN,
        "The oldest quote that may enter a size.",
    ),
    Setting(
        "margin_reserve",
        "margin_reserve",
        r.or_off(r.positive),
        "1.2",
        f"{_NUMBER}, or off",
        "Free margin, what is in flight deducted, must be at least the expected margin times this: by leverage and its"
        " tiers, or by the broker's own reckoning where that is more.",
    ),
    # What.
    _one_of("side", "side", SideFilter, "both", "Which of the leader's trades are copied, by the leader's own side."),
    _switch("reverse", "off", "Trade the other way round: stop and target change places, limit becomes stop and back."),
    _switch("reverse_without_stop", "off", "With `reverse`: copy also where the leader has no target, hence no stop."),
    Setting(
        "order_types",
        "order_types",
        orders,
        "all",
        "all, or some of market, market_range, limit, stop, stop_limit",
        "Which of the leader's orders are copied, by the type of the original order.",
    ),
    _switch("copy_on_fill", "off", "Copy the fill of a pending order whose type is excluded, as a market order."),
    _switch("ignore_new", "off", "Manage the copies there are; open and add nothing."),
    _switch("scale_in", "on", "Let a copy grow when its leader's position grows."),
    _one_of(
        "partial_rounding",
        "partial_rounding",
        PartialRounding,
        "carry",
        "What a partial close does with an excess below one step: carry it, or close one step more.",
    ),
    Setting(
        "label",
        "label",
        r.label_filter,
        "any",
        "any, exact:TEXT, prefix:TEXT or pattern:T*T",
        "Copy only trades of the leader whose label or comment fits.",
    ),
    Setting(
        "symbols.include",
        "symbols_include",
        _include,
        "all",
        "all, or leader symbols separated by commas",
        "The leader's symbols that are copied.",
    ),
    Setting(
        "symbols.exclude",
        "symbols_exclude",
        _names,
        "none",
        "none, or leader symbols separated by commas",
        "The leader's symbols that are not copied.",
    ),
    _one_of(
        "symbols.mapping",
        "symbols_mapping",
        MappingMode,
        "automatic",
        "How the follower's symbol is found: by name and nature, or only by the rows of the symbol table.",
    ),
    Setting(
        "symbols.table",
        "symbols_table",
        _table,
        "",
        "the text of a symbol table without faults",
        "The rows of the symbol table, as `profile symbols NAME load` stored them.",
    ),
    # When.
    Setting(
        "max_age",
        "max_age_ms",
        r.positive_span_ms,
        "30s",
        _SPAN,
        "The oldest change of the leader that may still open or add something.",
    ),
    _pips("max_price_distance", "How many pips worse than the leader's price an open may be."),
    _pips("wait_for_better", "Open only once the price is this many pips better than the leader's, until `max_age`."),
    _pips("max_spread", "The widest spread on the follower at which to open."),
    Setting(
        "max_slippage",
        "max_slippage",
        r.or_off(r.points),
        "off",
        f"whole points above 0 and at most {r.POINTS_MAX}, or off",
        "Open as a market range of this many points around the leader's price carried over.",
    ),
    Setting(
        "hours",
        "hours",
        r.hours,
        "always",
        "always, or windows such as 08:00-17:00,22:00-02:00 Europe/Berlin",
        "When opens are allowed; an end before its beginning wraps midnight.",
    ),
    Setting("days", "days", r.days, "all", "all, or days such as mon-fri", "On which days, in the zone of `hours`."),
    # Levels.
    _one_of(
        "levels",
        "levels",
        LevelsMode,
        "shift",
        "Carry the leader's levels by the difference of the two entries, or take its prices as they are.",
    ),
    _switch(
        "copy_sl", "on", "Copy the leader's stop losses. With `reverse`: the stop that a copy gets, from his targets."
    ),
    _switch(
        "copy_tp", "on", "Copy the leader's take profits. With `reverse`: the target that a copy gets, from his stops."
    ),
    _switch("copy_trailing", "on", "Let a copy trail its stop itself where the leader's does; off: follow its moves."),
    Setting(
        "trailing_step",
        "trailing_step",
        r.positive,
        "1",
        "pips above 0",
        "With `copy_trailing=off`: the least move of the leader's trailing stop that is followed.",
    ),
    _switch(
        "copy_guaranteed",
        "off",
        "Ask for a guaranteed stop where the leader has one. At limited risk it is always asked for.",
    ),
    _offset(
        "sl_offset",
        "Pips by which the leader's stop is put farther from the entry, before `reverse`; negative is nearer.",
    ),
    _offset(
        "tp_offset",
        "Pips by which the leader's target is put farther from the entry, before `reverse`; negative is nearer.",
    ),
    _pips("fixed_sl", "A stop this many pips from the entry, instead of the leader's."),
    _pips(
        "fixed_tp",
        "A target this many pips from the entry, instead of the leader's. One that is nearer than the follower's symbol"
        " allows is left out until the market lets it be set, as any target is.",
    ),
    _switch("require_stop", "off", "Copy nothing that has no stop."),
    _one_of(
        "bad_stop",
        "bad_stop",
        BadStop,
        "skip",
        "A stop nearer than the follower's symbol allows: skip the open, or widen the stop and shrink the volume; a"
        " widened one stays until the leader moves his.",
    ),
    _one_of(
        "human_levels",
        "human_levels",
        HumanLevels,
        "pin",
        "A level that a person set on a copy: keep it until the leader changes it, and then only tighter; or let"
        " the leader win.",
    ),
    # Pending orders.
    _switch("copy_expiry", "on", "Give copied pending orders the leader's expiry."),
    Setting(
        "pending_max_life",
        "pending_max_life_ms",
        r.or_off(r.positive_span_ms),
        "off",
        f"{_SPAN}, or off",
        "The longest life of a copied pending order that has no expiry.",
    ),
    Setting(
        "pending_grace",
        "pending_grace_ms",
        r.span_ms,
        "2s",
        _SPAN,
        "How long a copied pending order may still fill by itself after the leader's has filled.",
    ),
    Setting(
        "pending_ahead",
        "pending_ahead_ms",
        r.positive_span_ms,
        "60s",
        _SPAN,
        "How long a copy that filled before the leader's order is held.",
    ),
    _one_of(
        "pending_outside",
        "pending_outside",
        PendingOutside,
        "cancel",
        "What becomes of copied pending orders at the end of `hours`.",
    ),
    # Caps.
    Setting(
        "max_positions",
        "max_positions",
        r.or_off(r.count),
        "off",
        "a whole number above 0, or off",
        "How many copies the follower may have in all, resting and in flight included.",
    ),
    _lots("max_lots_open", "max_lots_open", "How many lots in all, resting and in flight included."),
    _lots("max_lots_symbol", "max_lots_symbol", "How many lots of one symbol, resting and in flight included."),
    # Start, return, and what people do.
    _switch("reopen", "off", "Open a source once more, at once, when a person, a stop or a target closed its copy."),
    _switch("sync_open", "off", "At start, open what the leader already holds."),
    _switch("sync_closed", "on", "At start, follow what the leader closed, reduced and protected meanwhile."),
    Setting(
        "sync_max_age",
        "sync_max_age_ms",
        r.positive_span_ms,
        "1h",
        _SPAN,
        "With `sync_open`: the oldest position of the leader to open.",
    ),
    Setting(
        "sync_max_price_distance",
        "sync_max_price_distance",
        r.positive,
        "10",
        "pips above 0",
        "With `sync_open`: how many pips worse than the leader's entry.",
    ),
    Setting(
        "leader_blind",
        "leader_blind_ms",
        r.blind,
        "hold",
        "hold, or close_after SPAN",
        "What to do with copies while the leader cannot be seen.",
    ),
    # Guards.
    Setting(
        "min_equity",
        "min_equity",
        r.or_off(r.positive),
        "off",
        "money above 0, or off",
        "Close and lock out when equity is strictly below this.",
    ),
    Setting(
        "take_equity",
        "take_equity",
        r.or_off(r.positive),
        "off",
        "money above 0, or off",
        "Close and lock out when equity is strictly above this.",
    ),
    _guard("daily_loss", "The most that may be lost since the day's anchor."),
    _guard("daily_drawdown", "The most that may be lost from the day's highest equity."),
    _guard("trailing_drawdown", "The most that may be lost from the highest equity ever."),
    _guard("daily_target", "The gain since the day's anchor at which to stop."),
    _guard("total_loss", "The most that may be lost from `guard.initial`."),
    _one_of("guard.anchor", "guard_anchor", Anchor, "higher", "What a day's loss is counted from."),
    _one_of("guard.percent_of", "guard_percent_of", PercentOf, "anchor", "What percentages are of."),
    Setting(
        "guard.initial",
        "guard_initial",
        r.or_off(r.positive),
        "off",
        "money above 0, or off",
        "The initial balance, from when it is set; off: the balance when the guards first saw the account.",
    ),
    _one_of("guard.peak", "guard_peak", PeakKind, "intraday", "Which highs a trailing drawdown counts."),
    _switch(
        "guard.stop_at_initial",
        "off",
        "Let a trailing drawdown's limit rise no higher than the initial balance.",
        "guard_stop_at_initial",
    ),
    Setting(
        "guard.reset",
        "guard_reset",
        r.reset_at,
        "00:00 UTC",
        "a moment such as 17:00 America/New_York",
        "When a day begins.",
    ),
    _one_of("guard.reaction", "guard_reaction", Reaction, "flatten", "What the daily, drawdown and total guards do."),
    _one_of("guard.lockout", "guard_lockout", Lockout, "rearm", "What ends the lock-out of a daily guard."),
    Setting("guard.confirm", "guard_confirm_ms", r.span_ms, "500ms", _SPAN, "How long a trigger must hold."),
    _one_of("guard.scope", "guard_scope", Scope, "profile", "What a guard closes."),
    _switch("guard.bonus", "off", "Count bonuses as equity.", "guard_bonus"),
    Setting(
        "max_rejections",
        "max_rejections",
        r.or_off(r.count),
        "off",
        "a whole number above 0, or off",
        "Stop opens after this many refused in a row, at the market or as orders.",
    ),
    Setting(
        "rejection_cooldown",
        "rejection_cooldown_ms",
        r.positive_span_ms,
        "10m",
        _SPAN,
        "How long opens stay stopped after `max_rejections`.",
    ),
)
