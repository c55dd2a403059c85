"""What a live screen shows of a crowd: what needs eyes in any window, and what the rest comes to."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console

from cmam.cli.showing.crowds import Row, chosen, shared, told
from cmam.cli.showing.screen import LiveScreen

FOLLOWERS = 60
LEADER = 1


def a_crowd(down: int | None = None, locked: int | None = None) -> dict[str, Any]:
    """A leader and sixty followers with a copy each; one of them out of reach, one that a guard has locked."""
    accounts: list[dict[str, Any]] = [
        {
            "ctid": LEADER + number,
            "login": 8_800_000 + number,
            "broker": "Alpha Markets",
            "environment": "demo",
            "currency": "EUR",
            "balance": "20000.00",
            "positions": 1,
            "copies": int(number > 0),
            "health": "down" if number == down else "reconciled",
        }
        for number in range(FOLLOWERS + 1)
    ]
    opens = {"copied": 1, "skipped": 0}
    idle = {"copied": 0, "skipped": 2, "last_skip": {"reason": "unmapped_symbol"}}
    links = [
        {
            "follower": LEADER + number,
            "standing": "running",
            "latches": ["daily_loss"] if number == locked else [],
            "settings": {"volume.amount": "0.5"},
            "copies": 1,
            "opens": idle if number % 3 == 0 else opens,
        }
        for number in range(1, FOLLOWERS + 1)
    ]
    return {
        "running": True,
        "connections": {"connection:demo-1": {"host": "127.0.0.1", "port": 5035, "state": "open"}},
        "accounts": accounts,
        "profiles": [{"profile": "main", "leader": LEADER, "state": "running", "links": links}],
        "log": {"bytes": 1, "archived_bytes": 0, "bytes_per_day": 1, "records_per_day": 1},
    }


def drawn(document: dict[str, Any], width: int, height: int) -> list[str]:
    """The lines of the live screen in such a window."""
    out = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    out.print(LiveScreen(document))
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue().rstrip("\n").split("\n")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (160, 24), (200, 60), (40, 24)])
def test_sixty_followers_fit_into_any_window(width: int, height: int) -> None:
    """The links stood below all accounts, and no window showed them; what is not shown is counted, and none is lost."""
    lines = drawn(a_crowd(down=47, locked=52), width, height)
    text = "\n".join(lines)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "in a higher window" not in text
    assert re.search(r"○ 8800047 .*\bdown\b", text)
    assert re.search(r"\b8800052 +locked\b", text)
    assert re.search(r"\b8800000\b", text)
    shown = len(re.findall(r"[●○] 88\d{5}", text)), len(re.findall(r"88\d{5} +(?:running|locked)", text))
    left = re.search(r"… (\d+) more accounts", text), re.search(r"… (\d+) more followers", text)
    for rows, rest, every in zip(shown, left, (FOLLOWERS + 1, FOLLOWERS), strict=True):
        assert rest is not None
        assert rows + int(rest[1]) == every


def test_a_wide_window_has_the_links_beside_the_accounts() -> None:
    """So that nearly all of a crowd is seen; a narrower one has them below each other."""
    assert sum("●" in line and " running " in line for line in drawn(a_crowd(), 200, 60)) > FOLLOWERS // 2
    assert not any("●" in line and " running " in line for line in drawn(a_crowd(), 120, 60))


def test_what_fits_is_whole() -> None:
    """Nothing is summed up for nothing, and the screen is that of `cmam status`."""
    assert "more" not in "\n".join(drawn(a_crowd(), 120, 200))


def test_what_needs_eyes_is_chosen_first_and_of_what_is_alike_a_few() -> None:
    """A crowd without a symbol hides neither who is locked nor who is well."""
    rows = [Row(1, "idle", "running", idle="unmapped_symbol")] * 10 + [Row(3, "fine", "running")] * 5
    rows += [Row(0, "locked", "locked")] * 2 + [Row(0, "paused", "paused")]
    assert chosen(rows, 2) == [15, 17]
    assert chosen(rows, 7) == [0, 1, 2, 10, 15, 16, 17]
    assert chosen(rows, 99) == list(range(18))
    assert chosen(rows, 0) == []


@pytest.mark.parametrize(
    ("wanted", "needs", "room", "found"),
    [
        ((68, 60), (0, 0), 10, [5, 5]),
        ((3, 60), (0, 0), 10, [3, 7]),
        ((68, 60), (9, 1), 10, [9, 1]),
        ((68, 60), (60, 60), 10, [5, 5]),
        ((68, 60), (0, 0), 0, [0, 0]),
        ((2, 3), (1, 1), 10, [2, 3]),
    ],
)
def test_two_tables_share_a_window(
    wanted: tuple[int, int], needs: tuple[int, int], room: int, found: list[int]
) -> None:
    """Neither pushes the other out, and what needs eyes comes before what does not."""
    assert shared(wanted, needs, room) == found


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([Row(2, "", "running", copies=1)], "… 1 more follower running; 1 copy"),
        (
            [Row(3, "", "running", copies=2), Row(0, "", "locked"), Row(1, "", "running", idle="margin")],
            "… 3 more followers: 1 locked, 2 running; 1 copied nothing (margin); 2 copies",
        ),
        ([Row(3, "", "reconciled", positions=2)] * 2, "… 2 more followers reconciled; 4 positions"),
    ],
)
def test_the_rest_is_told_with_what_is_amiss_first(rows: list[Row], said: str) -> None:
    """One line, so that a table of many never hides that one of them is locked."""
    assert told(rows, "follower") == said
