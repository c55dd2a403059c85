"""The policy of a link: every setting, its default, and what it may be.

The log keeps a policy as text by name, only what differs from the defaults; `Policy` is that text understood. One table
says all there is about a setting: parsing, defaults, refusals and the page `docs/settings.md` come from it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

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
)
from cmam.domain.profiles.formula import Formula
from cmam.domain.profiles.reading import Amount, Hours, LabelFilter, ResetAt, Rounding, names_days
from cmam.domain.profiles.setting_kinds import Setting
from cmam.domain.profiles.setting_table import SETTINGS
from cmam.domain.profiles.table import SymbolRow
from cmam.domain.values.quantities import Volume
from cmam.domain.values.rules.newest import RULES
from cmam.domain.values.rules.opens import CONFIRMED_ANYHOW, LISTED_ANYHOW
from cmam.domain.values.trades import OrderType

VALUE_SHOWN_MAX = 80
"""How much of a wrong value an error repeats."""


LABEL_KINDS = ("any", "exact", "prefix", "pattern")
OPEN_WORDS = frozenset({"off", "none", "all", "on", "*"})
"""What takes a limit away in other settings; taken for a text of the leader's it would copy nothing."""

NAMES_SHOWN_MAX = 5
"""How many symbols an error names."""


class BadSetting(ValueError):
    """A value that a setting cannot have: names the setting, the value and what is allowed."""

    def __init__(self, name: str, value: str, allowed: str) -> None:
        shown = value if len(value) <= VALUE_SHOWN_MAX else value[: VALUE_SHOWN_MAX - 1] + "…"
        super().__init__(f"{name}: expected {allowed}, found {shown!r}")
        self.name = name
        self.value = value
        self.allowed = allowed


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
        return (
            self.min_equity is not None
            or self.take_equity is not None
            or self.daily_loss is not None
            or self.daily_drawdown is not None
            or self.trailing_drawdown is not None
            or self.daily_target is not None
            or self.total_loss is not None
        )

    @property
    def needs_anchor(self) -> bool:
        """Whether a guard counts from what the day began with, in money or as the base of a percentage."""
        of_anchor = (self.daily_drawdown, self.trailing_drawdown) if self.guard_percent_of is PercentOf.ANCHOR else ()
        is_based = any(amount is not None and amount.is_percent for amount in of_anchor)
        return is_based or self.daily_loss is not None or self.daily_target is not None

    @property
    def counts_in_lots(self) -> bool:
        """Whether how much is copied rests on what a lot is at the leader's broker."""
        if self.volume_mode is VolumeMode.FORMULA:
            return self.volume_formula is not None and "leader_lots" in self.volume_formula.names
        return self.volume_basis is VolumeBasis.LOTS and self.volume_mode.is_of_basis

    def takes(self, leader_symbol: str, *, rules: int = RULES) -> bool:
        """Whether the lists let a leader's symbol be copied, upper and lower case alike."""
        if rules < LISTED_ANYHOW:
            is_named = leader_symbol in self.symbols_include or not self.symbols_include
            return is_named and leader_symbol not in self.symbols_exclude
        name = leader_symbol.upper()
        is_named = not self.symbols_include or name in map(str.upper, self.symbols_include)
        return is_named and name not in map(str.upper, self.symbols_exclude)

    def confirms_lots(self, leader_symbol: str, *, rules: int = RULES) -> bool:
        """Whether lots of a symbol may be copied where their sizes differ: it is listed, or its row has an amount."""
        row = self.row(leader_symbol)
        if leader_symbol in self.lots_confirmed or (row is not None and row.volume_amount is not None):
            return True
        return rules >= CONFIRMED_ANYHOW and leader_symbol.upper() in map(str.upper, self.lots_confirmed)

    def row(self, leader_symbol: str) -> SymbolRow | None:
        """What the table says of a leader's symbol, upper and lower case alike."""
        return self.rows.get(leader_symbol.upper())

    def net_cap(self, lot_size: int) -> Volume:
        """How large a close may make a net of a symbol with such lots; 0 where nothing bounds it."""
        return Volume(0) if self.max_lots_symbol is None else Volume(int(self.max_lots_symbol * lot_size))

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


ALL = 100
"""Per cent."""

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
    if policy.volume_formula is not None and policy.volume_formula.has_no_value:
        fault("volume.formula", "a formula that does not divide by zero")
    if policy.min_equity is not None and policy.take_equity is not None and policy.min_equity >= policy.take_equity:
        fault("take_equity", f"more than min_equity = {settings['min_equity']}")
    if policy.volume_mode is VolumeMode.RISK_PERCENT and policy.stop_wait_ms > policy.max_age_ms:
        fault("stop_wait", "no more than max_age")
    if policy.fixed_sl is not None and policy.sl_offset is not None:
        fault("sl_offset", "off, as fixed_sl takes the stop's place")
    if policy.fixed_tp is not None and policy.tp_offset is not None:
        fault("tp_offset", "off, as fixed_tp takes the target's place")
    both = set(map(str.upper, policy.symbols_include)) & set(map(str.upper, policy.symbols_exclude))
    if both:
        fault("symbols.exclude", f"symbols that symbols.include does not name ({', '.join(sorted(both))})")
    if policy.symbols_mapping is MappingMode.FILE and not policy.symbols_table:
        fault("symbols.table", "at least one row, as symbols.mapping is file (`profile symbols NAME load FILE.csv`)")
    if policy.symbols_include in (("none",), ("off",)):
        fault("symbols.include", "all, or leader symbols: none of them would copy nothing (`ignore_new=on` says so)")
    if allowed := _meant_of_label(settings.get("label", "").strip()):
        fault("label", allowed)
    if not names_days(settings.get("days", BY_NAME["days"].default)):
        fault("days", BY_NAME["days"].allowed)
    for name, allowed in (*_out_of_reach(policy, settings), *_rows_beside(policy)):
        fault(name, allowed)
    return tuple(found)


def _meant_of_label(text: str) -> str:
    """What a bare text of `label` was probably meant to be, where it would be taken for a label that nobody uses."""
    word, colon, _ = text.partition(":")
    if word in LABEL_KINDS:
        return ""
    if word.lower() in LABEL_KINDS:
        return f"{word.lower()} in small letters, or exact:{text}"
    if text.lower() in OPEN_WORDS:
        return f"any, which copies whatever the label, or exact:{text}"
    if colon:
        return f"exact:TEXT, prefix:TEXT or pattern:T*T, as in exact:{text}"
    return ""


def _out_of_reach(policy: Policy, settings: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Limits that nobody can reach with anything left: more than there is to lose.

    A percentage of the initial balance may be more than all of it on an account that has grown, and a drawdown counts
    from a height: those are somebody's to choose.
    """
    loss, total, initial = policy.daily_loss, policy.total_loss, policy.guard_initial
    if loss is not None and loss.is_percent and loss.value >= ALL and policy.guard_percent_of is PercentOf.ANCHOR:
        yield "daily_loss", "a percentage below 100%, as it is of what the day began with"
    if total is not None and total.is_percent and total.value >= ALL:
        yield "total_loss", "a percentage below 100%, as it is of the initial balance"
    if total is not None and not total.is_percent and initial is not None and total.value >= initial:
        yield "total_loss", f"less than guard.initial = {settings['guard.initial']}"
    if policy.volume_mode is VolumeMode.RISK_PERCENT and policy.volume_amount > ALL:
        yield "volume.amount", "a percentage of at most 100, as volume.mode is risk_percent"
    rows = [(row.leader_symbol, policy.for_symbol(row.leader_symbol)) for row in policy.symbols_table]
    risky = [name for name, own in rows if own.volume_mode is VolumeMode.RISK_PERCENT and own.volume_amount > ALL]
    if risky and not (policy.volume_mode is VolumeMode.RISK_PERCENT and policy.volume_amount > ALL):
        yield "symbols.table", f"a percentage of at most 100, as volume_mode is risk_percent for {_listed(risky)}"


def _rows_beside(policy: Policy) -> Iterator[tuple[str, str]]:
    """What a row of the symbol table may be alone but not with what it inherits, each kind once."""
    rows = [(row.leader_symbol, policy.for_symbol(row.leader_symbol)) for row in policy.symbols_table]
    crossed = [name for name, own in rows if own.volume_min and own.volume_max and own.volume_min > own.volume_max]
    if crossed and (policy.volume_min is None or policy.volume_max is None or policy.volume_min <= policy.volume_max):
        yield "symbols.table", f"a max_volume of at least min_volume for {_listed(crossed)}, what is inherited included"
    of_formula = [name for name, own in rows if own.volume_mode is VolumeMode.FORMULA]
    if of_formula and policy.volume_formula is None and policy.volume_mode is not VolumeMode.FORMULA:
        yield "volume.formula", f"a formula, as volume_mode is formula in the symbol table for {_listed(of_formula)}"
    by_risk = [name for name, own in rows if own.volume_mode is VolumeMode.RISK_PERCENT]
    if by_risk and policy.stop_wait_ms > policy.max_age_ms and policy.volume_mode is not VolumeMode.RISK_PERCENT:
        yield "stop_wait", f"no more than max_age, as volume_mode is risk_percent for {_listed(by_risk)}"


def _listed(names: list[str]) -> str:
    return ", ".join(names[:NAMES_SHOWN_MAX]) + (", …" if len(names) > NAMES_SHOWN_MAX else "")


def _near(name: str) -> str:
    near = difflib.get_close_matches(name.lower(), BY_NAME, n=3, cutoff=0.5)
    return f" such as {', '.join(near)}" if near else ""


def check_each(settings: Mapping[str, str]) -> tuple[BadSetting, ...]:
    """Find every value that cannot be by itself, whatever stands beside it, and every name that is no setting."""
    found: list[BadSetting] = []
    for name, value in settings.items():
        setting = BY_NAME.get(name)
        if setting is None:
            found.append(BadSetting(name, name, f"a setting{_near(name)}; all of them stand in docs/settings.md"))
            continue
        if not _is_legible(value):
            found.append(BadSetting(name, value, f"{setting.allowed}, in printable characters"))
            continue
        try:
            setting.read(value)
        except _FAULTS as error:
            detail = f" ({error})" if name in ("volume.formula", "symbols.table") else ""
            found.append(BadSetting(name, value, setting.allowed + detail))
    return tuple(found)


def _is_legible(value: str) -> bool:
    """Whether a value can be stored and shown: a table has lines and tabs, and nothing has signs that steer a terminal
    or bytes that are no text."""
    return all(sign.isprintable() or sign in "\n\r\t" for sign in value)


def check_settings(settings: Mapping[str, str]) -> tuple[BadSetting, ...]:
    """Find every value that cannot be, alone or beside the others, and every name that is no setting.

    For all settings of a link together: what stands elsewhere is taken for its default here.
    """
    return check_each(settings) or _cross(policy_of(settings), settings)


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
