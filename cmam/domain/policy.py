"""The policy of a link: every setting, its default, and what it may be.

The log keeps a policy as text by name, only what differs from the defaults; `Policy` is that text understood. One table
says all there is about a setting: parsing, defaults, refusals and the page `docs/settings.md` come from it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from cmam.domain import reading as r
from cmam.domain.choices import (
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
from cmam.domain.formula import NAMES, Formula, formula
from cmam.domain.reading import Amount, Hours, LabelFilter, ResetAt, Rounding
from cmam.domain.table import SymbolRow, read_table
from cmam.domain.trades import OrderType

__all__ = ["SETTINGS", "BadSetting", "Policy", "Setting", "VolumeBasis", "VolumeMode", "check_settings", "policy_of"]

VALUE_SHOWN_MAX = 80
"""How much of a wrong value an error repeats."""


class BadSetting(ValueError):
    """A value that a setting cannot have: names the setting, the value and what is allowed."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        shown = value if len(value) <= VALUE_SHOWN_MAX else value[: VALUE_SHOWN_MAX - 1] + "…"
        super().__init__(f"{name}: expected {allowed}, found {shown!r}")
        self.name = name
        self.value = value
        self.allowed = allowed


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table: `field` is its name in `Policy`, `read` turns text into its value or raises ValueError."""

    name: str
    field: str
    read: Callable[[str], Any]
    default: str
    allowed: str
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How one follower copies its leader; every field is a row of `SETTINGS`. Volumes in lots, spans in ms."""

    volume_mode: VolumeMode
    volume_amount: Fraction
    volume_basis: VolumeBasis
    volume_currency: VolumeCurrency
    volume_formula: Formula | None
    volume_rounding: Rounding
    raise_risk_max: Fraction
    volume_min: Fraction | None
    volume_max: Fraction | None
    without_stop: Fraction | None
    lots_confirmed: tuple[str, ...]
    stop_wait_ms: int
    risk_base: MoneyBase
    risk_min_stop: Fraction
    max_times_leader: Fraction | None
    max_leverage: Fraction | None
    input_max_age_ms: int
    margin_reserve: Fraction | None
    side: SideFilter
    reverse: bool
    reverse_without_stop: bool
    order_types: tuple[OrderType, ...]
    copy_on_fill: bool
    ignore_new: bool
    scale_in: bool
    partial_rounding: PartialRounding
    copy_sl: bool
    copy_tp: bool
    copy_trailing: bool
    trailing_step: Fraction
    copy_guaranteed: bool
    copy_expiry: bool
    pending_max_life_ms: int | None
    pending_grace_ms: int
    pending_ahead_ms: int
    pending_outside: PendingOutside
    levels: LevelsMode
    sl_offset: Fraction | None
    tp_offset: Fraction | None
    fixed_sl: Fraction | None
    fixed_tp: Fraction | None
    require_stop: bool
    bad_stop: BadStop
    human_levels: HumanLevels
    max_slippage: int | None
    max_age_ms: int
    max_price_distance: Fraction | None
    wait_for_better: Fraction | None
    max_spread: Fraction | None
    label: LabelFilter
    hours: Hours
    days: tuple[int, ...]
    max_positions: int | None
    max_lots_open: Fraction | None
    max_lots_symbol: Fraction | None
    reopen: bool
    symbols_include: tuple[str, ...]
    symbols_exclude: tuple[str, ...]
    symbols_mapping: MappingMode
    symbols_table: tuple[SymbolRow, ...]
    sync_open: bool
    sync_closed: bool
    sync_max_age_ms: int
    sync_max_price_distance: Fraction
    leader_blind_ms: int | None
    min_equity: Fraction | None
    take_equity: Fraction | None
    daily_loss: Amount | None
    daily_drawdown: Amount | None
    trailing_drawdown: Amount | None
    daily_target: Amount | None
    total_loss: Amount | None
    guard_anchor: Anchor
    guard_percent_of: PercentOf
    guard_initial: Fraction | None
    guard_peak: PeakKind
    guard_stop_at_initial: bool
    guard_reset: ResetAt
    guard_reaction: Reaction
    guard_lockout: Lockout
    guard_confirm_ms: int
    guard_scope: Scope
    guard_bonus: bool
    max_rejections: int | None
    rejection_cooldown_ms: int
    rows: Mapping[str, SymbolRow] = field(default_factory=dict)

    @property
    def has_equity_guard(self) -> bool:
        """Whether equity has to be watched."""
        return any(
            guard is not None
            for guard in (
                self.min_equity,
                self.take_equity,
                self.daily_loss,
                self.daily_drawdown,
                self.trailing_drawdown,
                self.daily_target,
                self.total_loss,
            )
        )

    def row(self, leader_symbol: str) -> SymbolRow | None:
        """What the table says of a leader's symbol, upper and lower case alike."""
        return self.rows.get(leader_symbol.upper())

    def for_symbol(self, leader_symbol: str) -> Policy:
        """The policy as it is for one of the leader's symbols: what its row says instead."""
        row = self.row(leader_symbol)
        if row is None:
            return self
        return replace(
            self,
            copy_sl=self.copy_sl if row.copy_sl is None else row.copy_sl,
            copy_tp=self.copy_tp if row.copy_tp is None else row.copy_tp,
            volume_mode=self.volume_mode if row.volume_mode is None else VolumeMode(row.volume_mode),
            volume_amount=self.volume_amount if row.volume_amount is None else row.volume_amount,
            volume_min=self.volume_min if row.min_volume is None else row.min_volume,
            volume_max=self.volume_max if row.max_volume is None else row.max_volume,
            max_slippage=row.max_slippage if row.has_slippage else self.max_slippage,
        )


def _choice(kind: type) -> tuple[Callable[[str], Any], str]:
    return (lambda text: kind(text.strip().lower())), "one of: " + ", ".join(kind)  # type: ignore[arg-type]


def _table(text: str) -> tuple[SymbolRow, ...]:
    if not text.strip():
        return ()
    table = read_table(text)
    if table.faults:
        raise ValueError("; ".join(str(fault) for fault in table.faults))
    return table.rows


def _names(text: str) -> tuple[str, ...]:
    return () if text.strip().lower() in ("none", "all") else r.words(text)


def _include(text: str) -> tuple[str, ...]:
    """An empty list is refused: it never means to copy nothing, silently."""
    return () if text.strip().lower() == "all" else r.words(text)


_NUMBER = "a finite number above 0, such as 0.5"
_SPAN = "a span such as 500ms, 30s or 2m"
_SWITCH = "on or off"
_PIPS = "pips above 0, or off"
_LOTS = "lots above 0, or off"
_MONEY = "money or a percentage above 0, such as 500 or 5%, or off"


def _row(name: str, into: str, read: Callable[[str], Any], default: str, allowed: str, meaning: str) -> Setting:
    return Setting(name, into, read, default, allowed, meaning)


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
    _row(
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
    _row(
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
        "Ratio modes: `convert` turns the leader's money into the follower's currency first; `raw` divides the bare"
        " numbers.",
    ),
    _row(
        "volume.formula",
        "volume_formula",
        r.or_off(formula),
        "off",
        f"arithmetic over {', '.join(NAMES)} with + - * / ( ) min max, or off",
        "With `volume.mode=formula`: the copy's volume in lots of the follower.",
    ),
    _row(
        "volume.rounding",
        "volume_rounding",
        r.rounding,
        "skip,cap",
        "skip or raise, and cap or split, separated by a comma",
        "Volumes are rounded down to the step. Below the minimum: skip, or raise to it; above the maximum: cap, or"
        " split into parts.",
    ),
    _row(
        "raise_risk_max",
        "raise_risk_max",
        r.at_least_one,
        "5",
        "a number of at least 1",
        "`raise` only while the minimum is at most this many times the exact volume.",
    ),
    _lots("volume.min", "volume_min", "The least a copy may have, in lots; the symbol's own minimum holds besides."),
    _lots("volume.max", "volume_max", "The most a copy may have, in lots; the symbol's own maximum holds besides."),
    _lots(
        "volume.without_stop",
        "without_stop",
        "With `risk_percent`: the lots of a copy whose leader sets no stop within `stop_wait`; off skips it.",
    ),
    _row("stop_wait", "stop_wait_ms", r.span_ms, "1s", _SPAN, "With `risk_percent`: how long to wait for a stop."),
    _one_of("risk_base", "risk_base", MoneyBase, "balance", "With `risk_percent`: what the percentage is of."),
    _row(
        "risk_min_stop",
        "risk_min_stop",
        r.not_negative,
        "0",
        "pips of at least 0",
        "With `risk_percent`: a stop nearer than this, than twice the spread or than the symbol allows, is too tight.",
    ),
    _row(
        "sanity.max_times_leader",
        "max_times_leader",
        r.or_off(r.positive),
        "20",
        f"{_NUMBER}, or off",
        "In every mode but `multiplier` and `fixed`: the copy's notional may be at most this many times the leader's.",
    ),
    _row(
        "sanity.max_leverage",
        "max_leverage",
        r.or_off(r.positive),
        "30",
        f"{_NUMBER}, or off",
        "In every mode but `multiplier` and `fixed`: all exposure, in flight and resting included, over equity.",
    ),
    _row(
        "input_max_age",
        "input_max_age_ms",
        r.positive_span_ms,
        "10s",
        _SPAN,
        "The oldest quote that may enter a size.",
    ),
    _row(
        "margin_reserve",
        "margin_reserve",
        r.or_off(r.positive),
        "1.2",
        f"{_NUMBER}, or off",
        "Free margin, what is in flight deducted, must be at least the expected margin times this.",
    ),
    # What.
    _one_of("side", "side", SideFilter, "both", "Which of the leader's trades are copied, by the leader's own side."),
    _switch("reverse", "off", "Trade the other way round: stop and target change places, limit becomes stop and back."),
    _switch("reverse_without_stop", "off", "With `reverse`: copy also where the leader has no target, hence no stop."),
    _row(
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
    _row(
        "label",
        "label",
        r.label_filter,
        "any",
        "any, exact:TEXT, prefix:TEXT or pattern:T*T",
        "Copy only trades of the leader whose label or comment fits.",
    ),
    _row(
        "symbols.include",
        "symbols_include",
        _include,
        "all",
        "all, or leader symbols separated by commas",
        "The leader's symbols that are copied.",
    ),
    _row(
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
    _row(
        "symbols.table",
        "symbols_table",
        _table,
        "",
        "the text of a symbol table without faults",
        "The rows of the symbol table, as `profile symbols NAME load` stored them.",
    ),
    # When.
    _row(
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
    _row(
        "max_slippage",
        "max_slippage",
        r.or_off(r.count),
        "off",
        "whole points above 0, or off",
        "Open as a market range of this many points around the leader's price carried over.",
    ),
    _row(
        "hours",
        "hours",
        r.hours,
        "always",
        "always, or windows such as 08:00-17:00,22:00-02:00 Europe/Berlin",
        "When opens are allowed; an end before its beginning wraps midnight.",
    ),
    _row("days", "days", r.days, "all", "all, or days such as mon-fri", "On which days, in the zone of `hours`."),
    # Levels.
    _one_of(
        "levels",
        "levels",
        LevelsMode,
        "shift",
        "Carry the leader's levels by the difference of the two entries, or take its prices as they are.",
    ),
    _switch("copy_sl", "on", "Copy the leader's stop losses."),
    _switch("copy_tp", "on", "Copy the leader's take profits."),
    _switch("copy_trailing", "on", "Let a copy trail its stop itself where the leader's does; off: follow its moves."),
    _row(
        "trailing_step",
        "trailing_step",
        r.positive,
        "1",
        "pips above 0",
        "With `copy_trailing=off`: the least move of the leader's trailing stop that is followed.",
    ),
    _switch("copy_guaranteed", "off", "Ask for a guaranteed stop where the leader has one."),
    _offset("sl_offset", "Pips by which a copied stop is farther from the entry; negative is nearer."),
    _offset("tp_offset", "Pips by which a copied target is farther from the entry; negative is nearer."),
    _pips("fixed_sl", "A stop this many pips from the entry, instead of the leader's."),
    _pips("fixed_tp", "A target this many pips from the entry, instead of the leader's."),
    _switch("require_stop", "off", "Copy nothing that has no stop."),
    _one_of(
        "bad_stop",
        "bad_stop",
        BadStop,
        "skip",
        "A stop nearer than the follower's symbol allows: skip the open, or widen the stop and shrink the volume.",
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
    _row(
        "pending_max_life",
        "pending_max_life_ms",
        r.or_off(r.positive_span_ms),
        "off",
        f"{_SPAN}, or off",
        "The longest life of a copied pending order that has no expiry.",
    ),
    _row(
        "pending_grace",
        "pending_grace_ms",
        r.span_ms,
        "2s",
        _SPAN,
        "How long a copied pending order may still fill by itself after the leader's has filled.",
    ),
    _row(
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
    _row(
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
    _switch("reopen", "off", "Open a source once more after a person, a stop or a target closed its copy."),
    _switch("sync_open", "off", "At start, open what the leader already holds."),
    _switch("sync_closed", "on", "At start, close copies whose source closed meanwhile."),
    _row(
        "sync_max_age",
        "sync_max_age_ms",
        r.positive_span_ms,
        "1h",
        _SPAN,
        "With `sync_open`: the oldest position of the leader to open.",
    ),
    _row(
        "sync_max_price_distance",
        "sync_max_price_distance",
        r.positive,
        "10",
        "pips above 0",
        "With `sync_open`: how many pips worse than the leader's entry.",
    ),
    _row(
        "leader_blind",
        "leader_blind_ms",
        r.blind,
        "hold",
        "hold, or close_after SPAN",
        "What to do with copies while the leader cannot be seen.",
    ),
    # Guards.
    _row(
        "min_equity",
        "min_equity",
        r.or_off(r.positive),
        "off",
        "money above 0, or off",
        "Close and lock out when equity is strictly below this.",
    ),
    _row(
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
    _row(
        "guard.initial",
        "guard_initial",
        r.or_off(r.positive),
        "off",
        "money above 0, or off",
        "The initial balance; off: the balance when the guards first saw the account.",
    ),
    _one_of("guard.peak", "guard_peak", PeakKind, "intraday", "Which highs a trailing drawdown counts."),
    _switch(
        "guard.stop_at_initial",
        "off",
        "Let a trailing drawdown's limit rise no higher than the initial balance.",
        "guard_stop_at_initial",
    ),
    _row(
        "guard.reset",
        "guard_reset",
        r.reset_at,
        "00:00 UTC",
        "a moment such as 17:00 America/New_York",
        "When a day begins.",
    ),
    _one_of("guard.reaction", "guard_reaction", Reaction, "flatten", "What the daily, drawdown and total guards do."),
    _one_of("guard.lockout", "guard_lockout", Lockout, "rearm", "What ends the lock-out of a daily guard."),
    _row("guard.confirm", "guard_confirm_ms", r.span_ms, "500ms", _SPAN, "How long a trigger must hold."),
    _one_of("guard.scope", "guard_scope", Scope, "profile", "What a guard closes."),
    _switch("guard.bonus", "off", "Count bonuses as equity.", "guard_bonus"),
    _row(
        "max_rejections",
        "max_rejections",
        r.or_off(r.count),
        "off",
        "a whole number above 0, or off",
        "Stop opens after this many refused in a row.",
    ),
    _row(
        "rejection_cooldown",
        "rejection_cooldown_ms",
        r.positive_span_ms,
        "10m",
        _SPAN,
        "How long opens stay stopped after `max_rejections`.",
    ),
)

BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}

_FAULTS = (ValueError, KeyError, ZeroDivisionError, OverflowError)


def _cross(policy: Policy, settings: Mapping[str, str]) -> tuple[BadSetting, ...]:
    """What each value may be alone but not beside another."""
    found: list[BadSetting] = []

    def fault(name: str, allowed: str) -> None:
        found.append(BadSetting(name, settings.get(name, BY_NAME[name].default), allowed))

    if policy.volume_min is not None and policy.volume_max is not None and policy.volume_min > policy.volume_max:
        fault("volume.max", f"at least volume.min = {settings['volume.min']}")
    if policy.volume_mode is VolumeMode.FORMULA and policy.volume_formula is None:
        fault("volume.formula", "a formula, as volume.mode is formula")
    if policy.min_equity is not None and policy.take_equity is not None and policy.min_equity >= policy.take_equity:
        fault("take_equity", f"more than min_equity = {settings['min_equity']}")
    if policy.volume_mode is VolumeMode.RISK_PERCENT and policy.stop_wait_ms > policy.max_age_ms:
        fault("stop_wait", "no more than max_age")
    if policy.fixed_sl is not None and policy.sl_offset is not None:
        fault("sl_offset", "off, as fixed_sl takes the stop's place")
    if policy.fixed_tp is not None and policy.tp_offset is not None:
        fault("tp_offset", "off, as fixed_tp takes the target's place")
    both = set(policy.symbols_include) & set(policy.symbols_exclude)
    if both:
        fault("symbols.exclude", f"symbols that symbols.include does not name ({', '.join(sorted(both))})")
    if policy.symbols_mapping is MappingMode.FILE and not policy.symbols_table:
        fault("symbols.table", "at least one row, as symbols.mapping is file (`profile symbols NAME load FILE.csv`)")
    return tuple(found)


def _near(name: str) -> str:
    near = difflib.get_close_matches(name, BY_NAME, n=3, cutoff=0.5)
    return f" such as {', '.join(near)}" if near else ""


def check_settings(settings: Mapping[str, str]) -> tuple[BadSetting, ...]:
    """Find every value that cannot be, alone or beside the others, and every name that is no setting."""
    found: list[BadSetting] = []
    for name, value in settings.items():
        setting = BY_NAME.get(name)
        if setting is None:
            found.append(BadSetting(name, value, f"a setting{_near(name)}; all of them stand in docs/settings.md"))
            continue
        try:
            setting.read(value)
        except _FAULTS as error:
            detail = f" ({error})" if name in ("volume.formula", "symbols.table") else ""
            found.append(BadSetting(name, value, setting.allowed + detail))
    if not found:
        found.extend(_cross(policy_of(settings), settings))
    return tuple(found)


def policy_of(settings: Mapping[str, str]) -> Policy:
    """Understand stored settings, defaults filled in; a stored value that is no longer allowed falls to its default."""
    fields: dict[str, Any] = {}
    for setting in SETTINGS:
        try:
            fields[setting.field] = setting.read(settings.get(setting.name, setting.default))
        except _FAULTS:
            fields[setting.field] = setting.read(setting.default)
    rows = {row.leader_symbol.upper(): row for row in fields["symbols_table"]}
    return Policy(**fields, rows=rows)
