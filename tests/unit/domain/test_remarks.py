"""What is allowed and most likely not meant is told, a sentence each, and never refused."""

from __future__ import annotations

import pytest

from cmam.domain.profiles.remarks import NEEDED, remarks, unknown_symbols
from cmam.domain.profiles.setting_table import SETTINGS
from tests.factories import Pair

KNOWN = ("EURUSD", "XAUUSD", "GBPUSD")


def test_symbols_that_the_leader_has_not_are_named() -> None:
    """A slip of the pen in a list would copy what should not be copied, and say nothing."""
    table = "leader_symbol\nGBPUSD\nGBPUDS\n"
    lists = {"symbols.exclude": "EURUSDD,usdjpy", "volume.lots_confirmed": "XAU", "symbols.table": table}
    pair = Pair(lists)
    assert unknown_symbols(pair.link.policy, pair.view.names) == (
        ("symbols.exclude", "EURUSDD"),
        ("volume.lots_confirmed", "XAU"),
        ("symbols.table", "GBPUDS"),
    )


@pytest.mark.parametrize(
    ("before", "change", "told"),
    [
        ({"volume.amount": "0.5"}, {"volume.mode": "fixed"}, ["volume.amount=0.5 means lots"]),
        ({}, {"volume.mode": "risk_percent"}, ["volume.amount=1 means a percentage"]),
        ({"volume.mode": "fixed", "volume.amount": "3"}, {"volume.mode": "multiplier"}, ["3 means a factor"]),
        ({"volume.amount": "2"}, {"volume.mode": "notional_multiplier"}, []),
        ({}, {"volume.mode": "fixed", "volume.amount": "0.1"}, []),
        ({}, {"volume.mode": "fixed", "volume.amount": "1000", "volume.basis": "units"}, ["volume.basis does nothing"]),
        ({}, {"volume.formula": "leader_lots"}, ["volume.formula does nothing as things stand: it needs volume.mode="]),
        ({}, {"sanity.max_leverage": "5"}, ["sanity.max_leverage does nothing"]),
        ({"volume.mode": "formula", "volume.formula": "1", "sanity.max_leverage": "5"}, {"volume.mode": "multiplier"},
         ["volume.amount=1 means a factor", "volume.formula does nothing", "sanity.max_leverage does nothing"]),
        ({"sanity.max_leverage": "5"}, {"max_age": "20s"}, []),
        ({}, {"volume.mode": "formula", "volume.formula": "1", "sanity.max_leverage": "5"}, []),
        ({}, {"symbols.table": "leader_symbol,volume_mode\nEURUSD,risk_percent\n", "risk_base": "equity"},
         ["volume.amount=1 means a percentage for EURUSD: the row has volume_mode=risk_percent and no amount"]),
        ({"volume.mode": "risk_percent"}, {"symbols.table": "leader_symbol,volume_mode\nEURUSD,fixed\nGBPUSD,fixed\n"},
         ["volume.amount=1 means lots for EURUSD and 1 more"]),
        ({"volume.mode": "fixed", "symbols.table": "leader_symbol,volume_mode\nEURUSD,fixed\n"},
         {"volume.mode": "multiplier", "volume.amount": "2.5"}, ["volume.amount=2.5 means lots for EURUSD"]),
        ({}, {"symbols.table": "leader_symbol,volume_mode,volume_amount\nEURUSD,fixed,0.1\n"}, []),
        ({}, {"symbols.table": "leader_symbol,volume_mode\nEURUSD,balance_ratio\n"}, []),
        ({"symbols.table": "leader_symbol,volume_mode\nEURUSD,fixed\n"}, {"max_age": "20s"}, []),
        ({}, {"symbols.exclude": "XAUUSDD,gbpusd"}, ["the leader has no symbol XAUUSDD; like it are XAUUSD"]),
        ({"symbols.exclude": "XAUUSDD"}, {"max_age": "20s"}, []),
        ({}, {"max_age": "500"}, ["max_age=500 means 500 s: units are ms"]),
        ({}, {"leader_blind": "close_after 30"}, ["leader_blind=close_after 30 means 30 s"]),
        ({"max_age": "500"}, {"max_spread": "3", "pending_max_life": "off", "guard.confirm": "0"}, []),
    ],
)  # fmt: skip
def test_what_is_most_likely_not_meant_is_told(before: dict[str, str], change: dict[str, str], told: list[str]) -> None:
    """A number of another mode, a limit that guards nothing, a symbol that nobody has; nothing that stood before."""
    found = list(remarks(before, {**before, **change}, KNOWN))
    assert len(found) == len(told), found
    assert all(one in text for one, text in zip(told, found, strict=True)), found


def test_what_each_setting_needs_is_known_by_its_name() -> None:
    """A setting that is renamed takes its remark along."""
    assert set(NEEDED) <= {setting.name for setting in SETTINGS}


def test_without_a_list_of_symbols_none_is_unknown() -> None:
    """Before the first start nobody knows them."""
    assert not list(remarks({}, {"symbols.exclude": "XAUUSDD"}, ()))
