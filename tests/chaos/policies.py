"""The policies of links that a run of the kind `rules` draws, and what of them people change while it runs.

Only settings that a law of the chaos runs knows something about. Values are texts, as a person would type them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

SIZES: tuple[Mapping[str, str], ...] = (
    {"volume.amount": "1"},
    {"volume.amount": "0.5"},
    {"volume.amount": "1.5"},
    {"volume.mode": "fixed", "volume.amount": "0.12"},
    {"volume.mode": "balance_ratio", "volume.amount": "2"},
    {"volume.mode": "equity_ratio", "volume.amount": "2"},
    {"volume.mode": "risk_percent", "volume.amount": "0.4"},
    {"volume.mode": "risk_percent", "volume.amount": "0.4", "volume.without_stop": "0.05"},
)
"""How a copy's volume is found; each once in so many runs."""

SELDOM: Mapping[str, tuple[str, ...]] = {
    "volume.max": ("0.15", "0.3"),
    "volume.rounding": ("skip,split", "raise,split"),
    "sl_offset": ("3", "-2"),
    "tp_offset": ("4", "-3"),
    "fixed_sl": ("40", "120"),
    "fixed_tp": ("60",),
    "copy_sl": ("off",),
    "copy_tp": ("off",),
    "copy_trailing": ("off",),
    "copy_expiry": ("off",),
    "require_stop": ("on",),
    "order_types": ("market", "market,limit", "limit,stop,stop_limit", "market,market_range,stop"),
    "copy_on_fill": ("on",),
    "scale_in": ("off",),
    "max_slippage": ("20", "200"),
    "max_price_distance": ("1", "8"),
    "wait_for_better": ("0.3", "2"),
    "pending_grace": ("500ms", "5s"),
    "pending_ahead": ("3s", "20s"),
    "pending_max_life": ("20s", "2m"),
    "max_positions": ("2", "4"),
    "max_lots_symbol": ("0.25", "0.5"),
    "max_lots_open": ("0.6",),
    "levels": ("price",),
    "partial_rounding": ("up",),
    "human_levels": ("leader",),
    "reopen": ("on",),
}
"""What stands in a drawn policy in about one run of six, each by itself."""

SELDOM_CHANCE = 0.16
REVERSE_CHANCE = 0.35

CHANGES: Mapping[str, tuple[str, ...]] = {
    "ignore_new": ("on", "off", "off"),
    "reverse": ("on", "off"),
    "order_types": ("all", "market", "limit,stop"),
    "copy_sl": ("on", "off"),
    "copy_tp": ("on", "off"),
    "copy_trailing": ("on", "off"),
    "require_stop": ("on", "off"),
    "max_positions": ("off", "3"),
    "max_lots_symbol": ("off", "0.3"),
    "max_slippage": ("off", "100"),
    "volume.max": ("off", "0.2"),
    "volume.amount": ("0.4", "0.8"),
    "copy_expiry": ("on", "off"),
    "scale_in": ("on", "off"),
}
"""What people change while it runs, one at a time."""


def drawn(chance: random.Random) -> dict[str, str]:
    """A policy: a size, whether it is reversed, and a few of the rarer settings."""
    settings = dict(chance.choice(SIZES))
    if chance.random() < REVERSE_CHANCE:
        settings["reverse"] = "on"
        settings.update(chance.choice(({}, {"fixed_sl": "40"}, {"reverse_without_stop": "on"})))
    for name, values in SELDOM.items():
        if chance.random() < SELDOM_CHANCE:
            settings[name] = chance.choice(values)
    for fixed, offset in (("fixed_sl", "sl_offset"), ("fixed_tp", "tp_offset")):
        if fixed in settings:
            settings.pop(offset, None)
    return settings


def changed(chance: random.Random) -> dict[str, str]:
    """One setting to be set otherwise while copies are open."""
    name = chance.choice(sorted(CHANGES))
    return {name: chance.choice(CHANGES[name])}
