"""What is allowed and yet most likely not meant: a setting that does nothing beside the others, a number that means
something else in another mode, a symbol that the leader has not.

Pure, and only ever told, never refused: a setting may be made before the one that it needs.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Iterator, Mapping

from cmam.domain.profiles.choices import VolumeBasis, VolumeMode
from cmam.domain.profiles.policy import BY_NAME, Policy, policy_of
from cmam.domain.profiles.reading import Amount
from cmam.domain.profiles.setting_kinds import SPAN

RATIOS = (VolumeMode.BALANCE_RATIO, VolumeMode.EQUITY_RATIO, VolumeMode.FREE_MARGIN_RATIO)
LEADERS_MONEY = frozenset({"leader_balance", "leader_equity", "leader_free_margin"})
"""What a formula may name of the leader's money."""
NAMES_SYMBOLS = frozenset({"symbols.include", "symbols.exclude", "volume.lots_confirmed"})
"""Settings whose names are held against the leader's symbols; those of a table are when it is loaded."""
AMOUNT = "volume.amount"
SPANS = (SPAN, "hold, or close_after")
"""What the words for what is allowed begin with where that is a span."""
FACTOR = "a factor"
KINDS_OF_AMOUNT: Mapping[VolumeMode, str] = {
    VolumeMode.FIXED: "lots",
    VolumeMode.FIXED_LEVERAGE: "a leverage",
    VolumeMode.RISK_PERCENT: "a percentage",
    VolumeMode.FORMULA: "nothing",
}
"""What `volume.amount` is in each mode; in all others it is a factor."""


def _modes(policy: Policy) -> set[VolumeMode]:
    """The modes that the policy may size by, those of its symbol table's rows included."""
    return {policy.volume_mode, *(VolumeMode(row.volume_mode) for row in policy.symbols_table if row.volume_mode)}


def _sizes_by(*modes: VolumeMode) -> Callable[[Policy], bool]:
    return lambda policy: not _modes(policy).isdisjoint(modes)


def counts_leaders_money(policy: Policy) -> bool:
    """Whether what is copied rests on how much money the leader has, in any symbol."""
    names = policy.volume_formula.names if policy.volume_formula is not None else ()
    is_by_formula = VolumeMode.FORMULA in _modes(policy) and any(name in LEADERS_MONEY for name in names)
    return is_by_formula or _sizes_by(*RATIOS)(policy)


Needed = tuple[Callable[[Policy], bool], str]
_OF_RISK: Needed = (_sizes_by(VolumeMode.RISK_PERCENT), "volume.mode=risk_percent")
_OF_SANITY: Needed = (
    lambda policy: any(not mode.is_plain for mode in _modes(policy)),
    "a volume.mode other than multiplier and fixed",
)
_OF_SYNC: Needed = (lambda policy: policy.sync_open, "sync_open=on")
_ALL_TYPES = BY_NAME["order_types"].read("all")

NEEDED: Mapping[str, Needed] = {
    AMOUNT: (lambda policy: _modes(policy) != {VolumeMode.FORMULA}, "a volume.mode other than formula"),
    "volume.formula": (_sizes_by(VolumeMode.FORMULA), "volume.mode=formula"),
    "volume.basis": (_sizes_by(VolumeMode.MULTIPLIER, *RATIOS), "volume.mode=multiplier or a ratio of money"),
    "volume.lots_confirmed": (lambda policy: policy.volume_basis is VolumeBasis.LOTS, "volume.basis=lots"),
    "volume.currency": (_sizes_by(VolumeMode.FORMULA, *RATIOS), "volume.mode=formula or a ratio of money"),
    "volume.without_stop": _OF_RISK,
    "stop_wait": _OF_RISK,
    "risk_base": _OF_RISK,
    "risk_min_stop": _OF_RISK,
    "sanity.max_times_leader": _OF_SANITY,
    "sanity.max_leverage": _OF_SANITY,
    "raise_risk_max": (lambda policy: policy.volume_rounding.raises, "volume.rounding=raise"),
    "reverse_without_stop": (lambda policy: policy.reverse, "reverse=on"),
    "copy_on_fill": (lambda policy: set(policy.order_types) != set(_ALL_TYPES), "order_types that leave some out"),
    "trailing_step": (lambda policy: policy.reverse or not policy.copy_trailing, "copy_trailing=off"),
    "sync_max_age": _OF_SYNC,
    "sync_max_price_distance": _OF_SYNC,
    "rejection_cooldown": (lambda policy: policy.max_rejections is not None, "max_rejections"),
}
"""What a setting needs beside it to do anything, as docs/settings.md says of each."""


def idle(settings: Mapping[str, str]) -> dict[str, str]:
    """The settings that do nothing beside the others, each with what it would need. One at its default is none."""
    policy = policy_of(settings)
    return {name: needed for name, (does, needed) in NEEDED.items() if name in settings and not does(policy)}


def unknown_symbols(policy: Policy, known: Collection[str]) -> tuple[tuple[str, str], ...]:
    """The symbols that settings name and the leader's broker has not, each with its setting: a slip of the pen most
    likely, for which something is copied that should not be, or not copied that should."""
    upper = {name.upper() for name in known}
    named = (
        ("symbols.include", policy.symbols_include),
        ("symbols.exclude", policy.symbols_exclude),
        ("volume.lots_confirmed", policy.lots_confirmed),
        ("symbols.table", tuple(row.leader_symbol for row in policy.symbols_table)),
    )
    return tuple((setting, name) for setting, names in named for name in names if name.upper() not in upper)


def _inherited(policy: Policy, changed: Collection[str]) -> Iterator[str]:
    """The modes of the symbol table in which an inherited `volume.amount` means something else than beside it."""
    of_link = KINDS_OF_AMOUNT.get(policy.volume_mode, FACTOR)
    found: dict[str, list[str]] = {}
    for row in policy.symbols_table if {"symbols.table", "volume.mode", AMOUNT} & set(changed) else ():
        if row.volume_mode is not None and row.volume_amount is None:
            found.setdefault(row.volume_mode, []).append(row.leader_symbol)
    for mode, symbols in found.items():
        kind = KINDS_OF_AMOUNT.get(VolumeMode(mode), FACTOR)
        if kind not in (of_link, "nothing"):
            many = f" and {len(symbols) - 1} more" if len(symbols) > 1 else ""
            meant = f"{AMOUNT}={Amount(policy.volume_amount)} means {kind} for {symbols[0]}{many}"
            yield f"{meant}: the row has volume_mode={mode} and no amount."


def _is_bare_span(name: str, value: str) -> bool:
    """Whether a span has no unit: it is in seconds, and whoever thinks in milliseconds has set a thousand times it."""
    return BY_NAME[name].allowed.startswith(SPANS) and value[-1:].isdigit() and value.split()[-1:] != ["0"]


def remarks(before: Mapping[str, str], after: Mapping[str, str], known: Collection[str]) -> Iterator[str]:
    """What a change of settings does that was most likely not meant, a sentence each; `known` are the leader's
    symbols, empty where nobody knows them. What stood before and is as it was is told by `profile check`."""
    changed = {name for name in after if after[name] != before.get(name)}
    for name in after:
        if name in changed and _is_bare_span(name, after[name]):
            yield f"{name}={after[name]} means {after[name].split()[-1]} s: units are ms, s, m, h and d."
    old, new = policy_of(before), policy_of(after)
    was, now = (KINDS_OF_AMOUNT.get(policy.volume_mode, FACTOR) for policy in (old, new))
    if was != now and AMOUNT not in changed and new.volume_mode is not VolumeMode.FORMULA:
        value = after.get(AMOUNT, BY_NAME[AMOUNT].default)
        yield f"{AMOUNT}={value} means {now} with volume.mode={new.volume_mode.value}, not {was}."
    yield from _inherited(new, changed)
    already = idle(before)
    for name, needed in idle(after).items():
        if name in changed or (name not in already and name != AMOUNT):
            yield f"{name} does nothing as things stand: it needs {needed}."
    for setting, name in unknown_symbols(new, known) if known else ():
        if setting in changed & NAMES_SYMBOLS:
            near = difflib.get_close_matches(name.upper(), known, n=3, cutoff=0.6)
            like = f"; like it are {', '.join(near)}" if near else ""
            yield f"{setting}: the leader has no symbol {name}{like}."
