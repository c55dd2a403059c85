"""The table of all settings: name, field, reader, default, what is allowed, and what it means.

The single truth: parsing, defaults, refusals and `docs/settings.md` come from it. `policy.py` understands it, and
`setting_kinds.py` has what its rows share.
"""

from __future__ import annotations

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
from cmam.domain.profiles.setting_kinds import (
    NUMBER,
    SPAN,
    Setting,
    guard,
    include,
    lots,
    names,
    offset,
    one_of,
    pips,
    switch,
    table,
)

SETTINGS: tuple[Setting, ...] = (
    # How much.
    one_of("volume.mode", "volume_mode", VolumeMode, "multiplier", "How the copy's volume is found."),
    Setting(
        "volume.amount",
        "volume_amount",
        r.positive,
        "1",
        NUMBER,
        "The number that the mode uses: a factor, lots (`fixed`), a leverage (`fixed_leverage`) or a percentage"
        " (`risk_percent`).",
    ),
    one_of(
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
        names,
        "none",
        "leader symbols separated by commas, or none",
        "Leader symbols whose lots may be copied as lots although the lot sizes differ. A row of the symbol table with"
        " its own volume_amount confirms its symbol too.",
    ),
    one_of(
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
        " split into parts. A pending order is one order, and at limited risk no part can be added: both are capped.",
    ),
    Setting(
        "raise_risk_max",
        "raise_risk_max",
        r.at_least_one,
        "5",
        "a number of at least 1",
        "`raise` only while the minimum is at most this many times the exact volume.",
    ),
    lots(
        "volume.min",
        "volume_min",
        "The least a copy may have, and that is added to one, in lots; the symbol's own minimum holds besides.",
    ),
    lots("volume.max", "volume_max", "The most a copy may have, in lots; the symbol's own maximum holds besides."),
    lots(
        "volume.without_stop",
        "without_stop",
        "With `risk_percent`: the lots of a copy whose leader sets no stop within `stop_wait`; off skips it.",
    ),
    Setting("stop_wait", "stop_wait_ms", r.span_ms, "1s", SPAN, "With `risk_percent`: how long to wait for a stop."),
    one_of(
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
        f"{NUMBER}, or off",
        "In every mode but `multiplier` and `fixed`: the copy's notional may be at most this many times the leader's.",
    ),
    Setting(
        "sanity.max_leverage",
        "max_leverage",
        r.or_off(r.positive),
        "30",
        f"{NUMBER}, or off",
        "In every mode but `multiplier` and `fixed`: all exposure, in flight and resting included, over equity.",
    ),
    Setting(
        "input_max_age",
        "input_max_age_ms",
        r.positive_span_ms,
        "10s",
        SPAN,
        "The oldest quote that may enter a size, or carry a price, a level or a range. The last one of a market that is"
        " closed values what is held there, however old.",
    ),
    Setting(
        "margin_reserve",
        "margin_reserve",
        r.or_off(r.positive),
        "1.2",
        f"{NUMBER}, or off",
        "Free margin, what is in flight deducted, must be at least the expected margin times this: by leverage and its"
        " tiers, or by the broker's own reckoning where that is more.",
    ),
    # What.
    one_of("side", "side", SideFilter, "both", "Which of the leader's trades are copied, by the leader's own side."),
    switch("reverse", "off", "Trade the other way round: stop and target change places, limit becomes stop and back."),
    switch("reverse_without_stop", "off", "With `reverse`: copy also where the leader has no target, hence no stop."),
    Setting(
        "order_types",
        "order_types",
        orders,
        "all",
        "all, or some of market, market_range, limit, stop, stop_limit",
        "Which of the leader's orders are copied, by the type of the original order.",
    ),
    switch("copy_on_fill", "off", "Copy the fill of a pending order whose type is excluded, as a market order."),
    switch("ignore_new", "off", "Manage the copies there are; open and add nothing."),
    switch("scale_in", "on", "Let a copy grow when its leader's position grows."),
    one_of(
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
        include,
        "all",
        "all, or leader symbols separated by commas",
        "The leader's symbols that are copied.",
    ),
    Setting(
        "symbols.exclude",
        "symbols_exclude",
        names,
        "none",
        "none, or leader symbols separated by commas",
        "The leader's symbols that are not copied.",
    ),
    one_of(
        "symbols.mapping",
        "symbols_mapping",
        MappingMode,
        "automatic",
        "How the follower's symbol is found: by name and nature, or only by the rows of the symbol table.",
    ),
    Setting(
        "symbols.table",
        "symbols_table",
        table,
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
        SPAN,
        "The oldest change of the leader that may still open or add something.",
    ),
    pips("max_price_distance", "How many pips worse than the leader's price an open may be."),
    pips("wait_for_better", "Open only once the price is this many pips better than the leader's, until `max_age`."),
    pips("max_spread", "The widest spread on the follower at which to open."),
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
    one_of(
        "levels",
        "levels",
        LevelsMode,
        "shift",
        "Carry the leader's levels by the difference of the two entries, or take its prices as they are.",
    ),
    switch(
        "copy_sl", "on", "Copy the leader's stop losses. With `reverse`: the stop that a copy gets, from his targets."
    ),
    switch(
        "copy_tp", "on", "Copy the leader's take profits. With `reverse`: the target that a copy gets, from his stops."
    ),
    switch("copy_trailing", "on", "Let a copy trail its stop itself where the leader's does; off: follow its moves."),
    Setting(
        "trailing_step",
        "trailing_step",
        r.positive,
        "1",
        "pips above 0",
        "With `copy_trailing=off`: the least move of the leader's trailing stop that is followed.",
    ),
    switch(
        "copy_guaranteed",
        "off",
        "Ask for a guaranteed stop where the leader has one; where the symbol offers none, nothing is opened. "
        "At limited risk it is always asked for.",
    ),
    offset(
        "sl_offset",
        "Pips by which the leader's stop is put farther from the entry, before `reverse`; negative is nearer.",
    ),
    offset(
        "tp_offset",
        "Pips by which the leader's target is put farther from the entry, before `reverse`; negative is nearer.",
    ),
    pips("fixed_sl", "A stop this many pips from the entry, instead of the leader's."),
    pips(
        "fixed_tp",
        "A target this many pips from the entry, instead of the leader's. One that is nearer than the follower's symbol"
        " allows is left out until the market lets it be set, as any target is.",
    ),
    switch("require_stop", "off", "Copy nothing that has no stop."),
    one_of(
        "bad_stop",
        "bad_stop",
        BadStop,
        "skip",
        "A stop nearer than the follower's symbol allows: skip the open, or widen the stop and shrink the volume; a"
        " widened one stays until the leader moves his.",
    ),
    one_of(
        "human_levels",
        "human_levels",
        HumanLevels,
        "pin",
        "A level that a person set on a copy: keep it until the leader changes it, and then only tighter; or let"
        " the leader win.",
    ),
    # Pending orders.
    switch("copy_expiry", "on", "Give copied pending orders the leader's expiry."),
    Setting(
        "pending_max_life",
        "pending_max_life_ms",
        r.or_off(r.positive_span_ms),
        "off",
        f"{SPAN}, or off",
        "The longest life of a copied pending order that has no expiry.",
    ),
    Setting(
        "pending_grace",
        "pending_grace_ms",
        r.span_ms,
        "2s",
        SPAN,
        "How long a copied pending order may still fill by itself after the leader's has filled.",
    ),
    Setting(
        "pending_ahead",
        "pending_ahead_ms",
        r.positive_span_ms,
        "60s",
        SPAN,
        "How long a copy that filled before the leader's order is held.",
    ),
    one_of(
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
    lots("max_lots_open", "max_lots_open", "How many lots in all, resting and in flight included."),
    lots(
        "max_lots_symbol",
        "max_lots_symbol",
        "How many lots of one symbol, resting and in flight included. On a netted account longs and shorts count "
        "apart, here and in `max_lots_open`: either is what the net becomes once the other is closed.",
    ),
    # Start, return, and what people do.
    switch("reopen", "off", "Open a source once more, at once, when a person, a stop or a target closed its copy."),
    switch("sync_open", "off", "At start, open what the leader already holds."),
    switch("sync_closed", "on", "At start, follow what the leader closed, reduced and protected meanwhile."),
    Setting(
        "sync_max_age",
        "sync_max_age_ms",
        r.positive_span_ms,
        "1h",
        SPAN,
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
        "What to do with copies while the leader cannot be seen. The span is that of one absence, to the second; of a "
        "leader who has not been seen since the start, it counts from 15 s after that.",
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
    guard("daily_loss", "The most that may be lost since the day's anchor."),
    guard("daily_drawdown", "The most that may be lost from the day's highest equity."),
    guard("trailing_drawdown", "The most that may be lost from the highest equity ever."),
    guard("daily_target", "The gain since the day's anchor at which to stop."),
    guard("total_loss", "The most that may be lost from `guard.initial`."),
    one_of("guard.anchor", "guard_anchor", Anchor, "higher", "What a day's loss is counted from."),
    one_of("guard.percent_of", "guard_percent_of", PercentOf, "anchor", "What percentages are of."),
    Setting(
        "guard.initial",
        "guard_initial",
        r.or_off(r.positive),
        "off",
        "money above 0, or off",
        "The initial balance, from when it is set; off: the balance when the guards first saw the account.",
    ),
    one_of("guard.peak", "guard_peak", PeakKind, "intraday", "Which highs a trailing drawdown counts."),
    switch(
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
    one_of("guard.reaction", "guard_reaction", Reaction, "flatten", "What the daily, drawdown and total guards do."),
    one_of("guard.lockout", "guard_lockout", Lockout, "rearm", "What ends the lock-out of a daily guard."),
    Setting("guard.confirm", "guard_confirm_ms", r.span_ms, "500ms", SPAN, "How long a trigger must hold."),
    one_of("guard.scope", "guard_scope", Scope, "profile", "What a guard closes."),
    switch("guard.bonus", "off", "Count bonuses as equity.", "guard_bonus"),
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
        SPAN,
        "How long opens stay stopped after `max_rejections`.",
    ),
)
