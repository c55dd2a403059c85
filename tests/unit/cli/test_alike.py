"""Alerts that say the same of many accounts: one in full, the others named, and nothing else taken together."""

from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from cmam.cli.showing.screen import status_screen
from cmam.domain.turns.margin_calls import in_words


def alerts_shown(alerts: list[dict[str, Any]]) -> list[str]:
    """The lines of a status that begin with a mark of exclamation."""
    accounts = [{"ctid": number, "alias": f"fol-{number}", "health": "reconciled"} for number in range(100, 150)]
    screen = Console(file=io.StringIO(), width=500, color_system=None)
    screen.print(status_screen({"running": True, "accounts": accounts, "alerts": alerts}))
    assert isinstance(screen.file, io.StringIO)
    return [line.strip() for line in screen.file.getvalue().splitlines() if line.startswith("!")]


def latch(account: int, guard: str = "daily_loss") -> dict[str, Any]:
    """What a locked link says of itself."""
    text = f"The guard {guard} has tripped, {account}.40 against 10.00 USD: nothing opens until `rearm {account}`."
    return {"account": account, "kind": f"latch {guard} link{account}", "text": text}


def blind(account: int, gone: int, copies: str, bare: str = "") -> dict[str, Any]:
    """What a follower says of an account that is out of sight."""
    without = f" Without a stop at the broker: {bare}." if bare else ""
    text = f"Account {gone} is out of sight. Its copies: {copies}.{without}"
    return {"account": account, "kind": f"blind {gone}", "text": text}


def test_many_locked_followers_are_two_lines_with_the_way_out() -> None:
    """The first in full, the others named as far as they fit, and one command for all of them."""
    first, more = alerts_shown([latch(number) for number in range(100, 145)])
    assert first == "! fol-100: " + latch(100)["text"]
    names = "fol-101, fol-102, fol-103, fol-104, fol-105 and 39 other accounts"
    cure = "`cmam rearm --all --guard daily_loss` opens them all."
    assert more == f"! 44 more like it: {names}; `cmam status --json` has each. {cure}"


def test_few_alike_stand_in_full() -> None:
    """Three accounts are read one by one."""
    assert alerts_shown([latch(number) for number in (100, 101, 102)]) == [
        f"! fol-{number}: {latch(number)['text']}" for number in (100, 101, 102)
    ]


def test_only_what_says_the_same_is_taken_together() -> None:
    """Another guard, an account that is out of sight itself, copies without a stop, and the process's own alerts."""
    alerts = [
        *(latch(number) for number in range(100, 110)),
        *(latch(number, "total_loss") for number in range(100, 110)),
        *(blind(number, 7, f"EURUSD p{number}, GBPUSD.b pxyz") for number in range(100, 110)),
        *(blind(number, number, "EURUSD papsx") for number in range(110, 120)),
        *(blind(number, 7, "EURUSD papsx", bare="EURUSD papsx") for number in range(120, 130)),
        *({"account": None, "kind": f"stuck:{number}", "text": f"{number} is stuck."} for number in range(5)),
        *(
            {"account": 100, "kind": f"trouble link p{name}", "text": f"The broker refuses to {verb} of EU p{name}: X"}
            for name in ("aa", "bb", "cc", "dd")
            for verb in ("close the copy", "move the levels")
        ),
    ]
    found = alerts_shown(alerts)
    assert sum("more like it" in line for line in found) == 7
    assert len(found) == 5 * 2 + 5 + 2 * 2
    assert found[-3:] == [
        "! 3 more like it: fol-100; `cmam status --json` has each.",
        "! fol-100: The broker refuses to move the levels of EU paa: X",
        "! 3 more like it: fol-100; `cmam status --json` has each.",
    ]


def test_margin_calls_of_a_crowd_are_two_lines() -> None:
    """Each at levels of its own, and at several thresholds."""
    alerts = [
        {"account": number, "kind": f"margin_call {at}", "text": in_words(at, 4_000 + number)}
        for number in range(105, 150)
        for at in (10_000, 8_000, 6_000)
    ]
    first, more = alerts_shown(alerts)
    assert first == f"! fol-105: {in_words(10_000, 4_105)}"
    names = "fol-105, fol-106, fol-107, fol-108, fol-109 and 40 other accounts"
    assert more == f"! 134 more like it: {names}; `cmam status --json` has each."


def test_accounts_out_of_sight_are_called_by_their_names() -> None:
    """An alert is on record with the number; one that nobody knows keeps it."""
    assert alerts_shown([blind(100, 110, "EURUSD papsx"), blind(101, 7, "EURUSD papsx")]) == [
        "! fol-100: Account fol-110 is out of sight. Its copies: EURUSD papsx.",
        "! fol-101: Account 7 is out of sight. Its copies: EURUSD papsx.",
    ]
