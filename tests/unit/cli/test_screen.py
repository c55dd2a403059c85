"""What `status` and its watch draw: trouble first, a line each, whatever the width."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from cmam.cli.showing.screen import status_screen


def test_a_system_that_does_not_answer_is_not_called_stopped() -> None:
    """The headline names the process that holds the store: who hangs must be ended, who is gone must be started."""
    text = io.StringIO()
    holder = {"pid": 77, "since": "2020-01-01T00:00:00.000Z", "command": "cmam start"}
    Console(file=text, width=200).print(status_screen({"running": False, "holder": holder}))
    assert "does not answer (process 77, cmam start, since 2020" in text.getvalue()
    assert "is not running" not in text.getvalue()


ACCOUNT = {
    "ctid": 1,
    "alias": "lead",
    "login": 11,
    "broker": "Alpha Markets",
    "environment": "demo",
    "health": "reconciled",
    "currency": "USD",
    "balance": "100000.00",
    "positions": 2,
    "copies": 1,
}


def _drawn(document: dict[str, Any], width: int = 80) -> str:
    out = Console(width=width, record=True, no_color=True, file=io.StringIO())
    out.print(status_screen(document))
    return out.export_text()


def test_the_screen_shows_trouble_first_and_fits() -> None:
    """Warnings, a store that cannot write and alerts are there in words; nothing is wider than 80 columns."""
    dead = {**ACCOUNT, "ctid": 2, "alias": "", "health": "token_dead", "reason": "revoked", "paused": True}
    document = {
        "running": True,
        "warnings": ["max_requests is 500"],
        "event_store": {"state": "down", "why": "No space left on device"},
        "connections": {"connection:demo-1": {"host": "h", "port": 1, "state": "up", "reason": ""}},
        "limiters": {"limiter:demo-1": {"used": 3, "limit": 50, "busiest_second": 40, "waiting": 0, "guard_ms": 5.0}},
        "accounts": [ACCOUNT, dead],
        "profiles": [
            {"profile": "main", "leader": 1, "state": "paused", "links": [{"follower": 2, "standing": "paused"}]}
        ],
        "alerts": [{"account": 2, "kind": "token", "text": "the token is dead: consent again"}],
        "views_behind": 7,
    }
    text = _drawn(document)
    for word in (
        "1 of 2 accounts ready",
        "store cannot write",
        "max_requests is 500",
        "3 of 50",
        "5 ms",
        "token_dead",
        "consent again",
    ):
        assert word in text
    assert "views 7 behind" in text
    assert max(map(len, text.splitlines())) <= 80
    assert "not running" in _drawn({"running": False})


def test_a_connection_that_carries_nothing_is_named_wherever_its_accounts_look_ready() -> None:
    """The headline, the connection and each of its accounts say it; those of another connection do not."""
    lines = {
        "connection:demo-1": {"host": "h", "port": 1, "state": "open", "reason": "nothing heard for 34 s"},
        "connection:demo-2": {"host": "h", "port": 1, "state": "open", "reason": ""},
        "connection:demo-3": {"host": "h", "port": 1, "state": "down", "reason": "the network is down"},
    }
    accounts = [
        {**ACCOUNT, "alias": f"of-{number}", "connection": f"demo-{number}"} for number in range(1, len(lines) + 1)
    ]
    text = _drawn({"running": True, "connections": lines, "accounts": accounts}, 120)
    assert "3 of 3 accounts ready  1 connection silent" in text
    quiet = [line for line in text.splitlines() if "nothing heard for 34 s" in line]
    assert [name for line in quiet for name in ("demo-1", "of-1", "of-2", "of-3") if name in line] == ["demo-1", "of-1"]
    assert "reconciled, nothing heard for 34 s" in quiet[1]


@pytest.mark.parametrize(
    ("standing", "latches", "said"),
    [
        ("running", [], "running"),
        ("running", ["daily_loss"], "locked"),
        ("running", ["daily_loss", "flatten"], "locked"),
        ("running", ["flatten"], "flattened"),
        ("paused", ["daily_loss"], "paused"),
    ],
)
def test_a_link_that_may_open_nothing_is_not_called_running(standing: str, latches: list[str], said: str) -> None:
    """Its profile runs, and a guard that has tripped or a flatten keeps it from opening anything."""
    link = {"follower": 2, "standing": standing, "latches": latches, "copies": 0}
    profile = {"profile": "main", "leader": 1, "state": "running", "links": [link]}
    (line,) = [one for one in _drawn({"running": True, "profiles": [profile]}).splitlines() if "main" in one]
    assert line.split()[3] == said


def test_a_symbol_table_is_one_word_on_the_screen() -> None:
    """A setting of many lines is named by its rows: the screen stays a screen."""
    table = "leader_symbol,follower_symbol\nEURUSD,EURUSD.b\nUSDJPY,USDJPY.b\n"
    link = {"follower": 2, "copies": 0, "settings": {"symbols.table": table, "volume.amount": "1"}}
    profile = {"profile": "main", "leader": 1, "state": "running", "links": [link]}
    text = io.StringIO()
    document = {"running": False, "accounts": [], "connections": [], "alerts": [], "profiles": [profile]}
    Console(file=text, width=120).print(status_screen(document))
    assert "symbols.table=2 rows, volume.amount=1" in text.getvalue()
    assert "USDJPY" not in text.getvalue()


@pytest.mark.parametrize("width", [30, 40, 60, 80])
def test_a_long_name_pushes_no_state_off_the_status_screen(width: int) -> None:
    """A name may have sixty characters, wide ones too; whether a link is paused has to be seen beside it."""
    link = {"follower": 41_000_002, "standing": "paused", "copies": 3, "settings": {"reverse": "on"}}
    profile = {"profile": "プロファイル " * 8, "leader": 41_000_001, "state": "paused", "links": [link]}
    account = {"ctid": 41_000_002, "alias": "account " * 7, "health": "token_dead"}
    document = {"running": True, "accounts": [account], "connections": {}, "alerts": [], "profiles": [profile]}
    text = io.StringIO()
    Console(file=text, width=width).print(status_screen(document))
    lines = text.getvalue().splitlines()
    assert all(cell_len(line.rstrip()) <= width for line in lines)
    assert any("paused" in line and "…" in line for line in lines)
    assert any("token_dead" in line for line in lines)


@pytest.mark.parametrize("width", [80, 120])
def test_no_row_of_the_status_screen_takes_two_lines_and_alerts_come_first(width: int) -> None:
    """Whatever stands in it: one line a row within the window, numbers whole, each alert in full above all tables."""
    accounts = [
        {
            "ctid": 41_000_001 + number,
            "alias": ["", "my-main-leader", "prop-firm-b"][number % 3],
            "login": 9_000_001 + number,
            "broker": "Alpha Markets",
            "environment": "demo",
            "balance": ["100000.00", "12345678.90", "0.31"][number % 3],
            "currency": "USD",
            "positions": number * 7,
            "copies": number,
            "health": ["reconciled", "token_dead", "down"][number % 3],
            "reason": "no token opens this account; add it again with cmam account add",
            "paused": number == 4,
            "paused_reason": "operator",
        }
        for number in range(6)
    ]
    link = {"follower": 41_000_002, "standing": "manage_only", "copies": 3, "settings": {"volume.mode": "x" * 90}}
    why = (
        "The event store did not take this: the disk is full. Nothing is opened; whole closes and cancels still leave."
    )
    document = {
        "running": True,
        "event_store": {"state": "down", "why": why},
        "views_behind": 12,
        "connections": {
            "connection:demo-1": {"host": "demo.ctraderapi.com", "port": 5035, "state": "down", "reason": "r" * 80}
        },
        "limiters": {"limiter:demo-1": {"used": 7, "limit": 50, "busiest_second": 48, "waiting": 112}},
        "accounts": accounts,
        "profiles": [{"profile": "main", "leader": 41_000_001, "state": "enabled", "links": [link]}],
        "alerts": [
            {"account": None, "kind": "store", "text": why},
            {"account": 41_000_002, "kind": "token", "text": "The consent has ended."},
        ],
    }
    text = io.StringIO()
    Console(file=text, width=width).print(status_screen(document))
    lines = text.getvalue().splitlines()
    assert all(len(line.rstrip()) <= width for line in lines)
    assert sum("Alpha Markets" in line for line in lines) == len(accounts)
    assert sum("12345678.90 USD" in line for line in lines) == 2
    assert sum("reconciled" in line for line in lines) == 2
    shown = " ".join(" ".join(lines).split())
    assert f"! {why} ! my-main-leader: The consent has ended." in shown
    assert shown.index("The consent") < shown.index("connection")
    assert len({line.index(" USD") for line in lines if " USD" in line}) == 1


def test_the_screen_names_a_follower_that_copies_nothing() -> None:
    """Well and reconciled, and yet nothing arrives there: how many of the leader's opens, and why the last."""
    last = {"reason": "unmapped_symbol", "symbol": "EURUSD", "at": "2026-03-01T12:00:00.000Z"}
    link = {"follower": 2, "standing": "running", "opens": {"copied": 0, "skipped": 3, "last_skip": last}}
    other = {"follower": 3, "standing": "running", "opens": {"copied": 3, "skipped": 0, "last_skip": None}}
    profile = {"profile": "main", "leader": 1, "state": "running", "links": [link, other]}
    text = _drawn({"running": True, "accounts": [], "connections": {}, "alerts": [], "profiles": [profile]})
    assert "3 of 3, unmapped_symbol" in text
    profile["links"] = [other]
    assert "skipped" not in _drawn({"running": True, "accounts": [], "connections": {}, "profiles": [profile]})
