"""Switches from text, as a command line has them, and the promises of their defaults."""

from __future__ import annotations

from dataclasses import fields

import pytest

from cmam.sandbox.switches import Switches, UnknownSwitch, with_switches


def test_switches_are_read_by_their_kind() -> None:
    """Numbers, on and off in some words, and choices."""
    found = with_switches(Switches(), fill_delay_ms="0", ioc_limit_rests="on", rate_window="bucket", span_limits="No")
    assert (found.fill_delay_ms, found.ioc_limit_rests, found.rate_window, found.span_limits) == (
        0,
        True,
        "bucket",
        False,
    )
    assert found.retry_after_s == Switches().retry_after_s


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("colour", "red", "^expected a switch; found 'colour': docs/sandbox.md has all, under Switches$"),
        ("fill_delay", "9", "^expected a switch such as fill_delay_ms.*; found 'fill_delay': .{,40}$"),
        ("fill_delay_ms", "-1", "whole number from 0 to 2147483647 for fill_delay_ms"),
        ("fill_delay_ms", "9" * 5000, "whole number from 0"),
        ("heartbeat_after_ms", "0", "whole number from 1 to"),
        ("token_error_status", "99", "whole number from 200 to 599"),
        ("fill_delay_ms", "soon", "whole number"),
        ("ioc_limit_rests", "perhaps", "on or off for ioc_limit_rests"),
        ("rate_window", "round", "sliding or bucket or fixed"),
    ],
)
def test_a_switch_that_cannot_be_set(name: str, text: str, words: str) -> None:
    """UnknownSwitch says what was expected."""
    with pytest.raises(UnknownSwitch, match=words):
        with_switches(Switches(), **{name: text})


def test_defaults_are_those_of_the_recommended_profile() -> None:
    """What clients of all kinds rely on: the gap, the limits, the idle rules, the lives of codes and tokens."""
    switches = Switches()
    assert (switches.fill_delay_ms, switches.requests_per_second, switches.historical_per_second) == (130, 50, 5)
    assert (switches.idle_timeout_ms, switches.heartbeat_after_ms) == (30_000, 25_000)
    assert (switches.code_s, switches.access_token_s) == (60, 2_628_000)
    assert all(type(getattr(switches, field.name)) in (int, bool, str) for field in fields(switches))
