"""Tables on screens of any width: no word is broken, nothing is lost, and no line is too long."""

from __future__ import annotations

import io
import re

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from cmam.cli.face import rows
from cmam.cli.face.rows import print_rows
from cmam.cli.face.tables import LegibleTable, Measured, Window, fitting
from cmam.cli.face.talk import say
from cmam.cli.showing.screen import status_screen

WORDS = st.text(st.sampled_from("abcABC0123.:-→"), min_size=1, max_size=12)
CELLS = st.lists(WORDS, max_size=5).map(" ".join)


def drawn(table: LegibleTable, width: int) -> str:
    """What a screen of that width shows."""
    screen = Console(file=io.StringIO(), width=width, color_system=None, emoji=False, markup=False)
    screen.print(table)
    assert isinstance(screen.file, io.StringIO)
    return screen.file.getvalue()


@given(st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=5), st.integers(26, 120))
def test_no_word_is_broken_on_any_screen(rows: list[tuple[str, str, str]], width: int) -> None:
    """A card needs a heading and the longest word; from there on each word of each cell stands in one piece."""
    table = LegibleTable("all of it")
    for heading in ("first thing", "second", "third"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*row)
    text = drawn(table, width)
    shown = sorted(re.findall(r"[^\s─]+", text))
    wanted = sorted(word for row in rows for cell in row for word in cell.split())
    left = list(shown)
    for word in wanted:
        left.remove(word)
    assert set(left) <= {"all", "of", "it", "first", "thing", "second", "third"}
    assert max(map(len, text.splitlines())) <= width


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=8), st.integers(0, 200))
def test_columns_share_a_room_and_none_is_below_its_words(sizes: list[tuple[int, int]], room: int) -> None:
    """Where the room is enough all are whole; where it is not even for the words there is no table."""
    columns = [Measured(least, least + more) for least, more in sizes]
    found = fitting(columns, room)
    if found is None:
        assert sum(column.least for column in columns) > room
        return
    assert all(column.least <= width <= column.whole for column, width in zip(columns, found, strict=True))
    assert sum(found) == min(room, sum(column.whole for column in columns))


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_a_list_is_legible_on_every_screen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    """On the narrowest each row is a card with all columns, so nothing is left out and nothing is cut."""
    monkeypatch.setattr(rows, "console", lambda: Console(width=width, color_system=None))
    row = {
        "follower": 41000002,
        "its copy": 500002,
        "symbol": "EURUSD",
        "state": "closed",
        "reason": "closed_by_leader",
    }
    with click.Context(click.Command("test")):
        print_rows([row, row], list(row), empty="", spare=("reason",))
    captured = capsys.readouterr()
    words = captured.out.split()
    for word in ("41000002", "500002", "EURUSD", "closed"):
        assert words.count(word) == 2
    assert ("closed_by_leader" in words) is not ("reason" in captured.err)
    assert max(map(len, captured.out.splitlines())) <= width


@pytest.mark.parametrize(("width", "is_table"), [(28, True), (22, True), (20, False)])
def test_a_figure_and_its_currency_stay_in_one_line(width: int, is_table: bool) -> None:
    """Words beside it wrap; where that is not enough, the table becomes cards. It was `-12.50` above `EUR`."""
    table = LegibleTable()
    table.add_column("by", overflow="fold")
    table.add_column("made", justify="right", overflow="fold")
    table.add_row("a stop", "-12.50 EUR")
    table.add_row("somebody", "0.07 EUR")
    text = drawn(table, width)
    assert "-12.50 EUR" in text
    assert ("\u2500" in text) is is_table


def test_a_narrow_list_has_short_names_before_it_drops_who_it_was(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """At 60 columns the name of a broker took the room of the follower's whole column."""
    row = {"decision": "41000002.14", "at": "a day and its time", "follower": "A Broker:9000002", "reason": "too_old"}
    for width, name, other in ((60, "A Broker:9000002", "9000002 "), (40, "9000002", "A Broker")):
        monkeypatch.setattr(rows, "console", lambda width=width: Console(width=width, color_system=None))
        with click.Context(click.Command("test")):
            print_rows([row], list(row), empty="", spare=("at", "follower"), brief={"A Broker:9000002": "9000002"})
        out = capsys.readouterr().out
        assert name in out
        assert (other in out) is (width == 60)


def test_talk_is_wrapped_between_words_at_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line goes on under its own beginning, an address stays in one piece, and a pipe has each line whole."""
    monkeypatch.setenv("COLUMNS", "40")
    address = "https://openapi.ctrader.com/apps/auth?client_id=1001_of-some-length"
    text = f"Open this page and sign in with the cTrader ID:\n  the page that is meant is {address}"
    say(text)
    assert capsys.readouterr().err == f"{text}\n"
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    say(text)
    say("expected one of PROFILE, --account ID and --all.", error=True)
    assert click.unstyle(capsys.readouterr().err).splitlines() == [
        "Open this page and sign in with the",
        "cTrader ID:",
        "  the page that is meant is",
        f"  {address}",
        "cmam: expected one of PROFILE, --account",
        "ID and --all.",
    ]


@pytest.mark.parametrize("width", [40, 60])
def test_a_narrow_status_keeps_what_says_whether_all_is_well(width: int) -> None:
    """Who it is and the whole word of his state are there; brokers, money and figures go first, and no line is cut
    before that."""
    accounts = [
        {
            "ctid": number,
            "alias": f"a-long-alias-{number}",
            "broker": "A Broker With A Long Name",
            "environment": "demo",
            "balance": "12345678.90",
            "currency": "USD",
            "positions": 3,
            "copies": 2,
            "health": health,
        }
        for number, health in enumerate(("reconciled", "token_dead", "subscribed", "authorised"))
    ]
    link = {"follower": 1, "standing": "manage_only", "copies": 3, "settings": {"volume.mode": "fixed"}}
    document = {
        "running": True,
        "connections": {"connection:demo-1": {"host": "demo.ctraderapi.com", "port": 5035, "state": "open"}},
        "accounts": accounts,
        "profiles": [{"profile": "main", "leader": 0, "state": "running", "links": [link]}],
    }
    screen = Console(file=io.StringIO(), width=width, color_system=None)
    screen.print(status_screen(document))
    assert isinstance(screen.file, io.StringIO)
    text = screen.file.getvalue()
    for account in accounts:
        assert re.search(rf"{account['alias']}.* {account['health']}\b", text)
    assert re.search(r"demo-1 .*open", text)
    assert re.search(r"main .*a-long-alias-1 .*manage_only .*3", text)
    assert ("12345678.90" in text) is ("USD" in text)
    assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_link_takes_two_lines_and_why_it_skips_stands_before_who_leads(width: int) -> None:
    """At 80 columns each follower took two lines, of which the second was a part of the reason."""
    opens = {"copied": 1, "skipped": 4, "last_skip": {"reason": "unmapped_symbol"}}
    links = [{"follower": number, "standing": "running", "copies": 3, "opens": opens} for number in (1, 2, 3)]
    profile = {"profile": "main", "leader": 10_000_000_000_000_000_000_000, "state": "running", "links": links}
    screen = Console(file=io.StringIO(), width=width, color_system=None)
    screen.print(status_screen({"running": True, "profiles": [profile]}))
    assert isinstance(screen.file, io.StringIO)
    lines = [line for line in screen.file.getvalue().splitlines() if line.strip()]
    assert len(lines) == 1 + 2 + len(links)
    assert all("running" in line for line in lines[3:])
    assert all(("4 of 5, unmapped_symbol" in line) is (width > 40) for line in lines[3:])
    assert ("defaults" in lines[-1]) is (width > 80)


def test_an_account_that_is_not_ready_is_seen_among_many() -> None:
    """Of 60 followers a window of 24 lines shows some: the one whose token is dead stood below all that are well."""
    accounts = [{"ctid": number, "health": "reconciled"} for number in range(60)]
    accounts[50]["health"] = "token_dead"
    screen = Console(file=io.StringIO(), width=80, height=24, color_system=None)
    screen.print(Window(status_screen({"running": True, "accounts": accounts})))
    assert isinstance(screen.file, io.StringIO)
    rows = [line for line in screen.file.getvalue().splitlines() if re.search(r"[●✗] +\d", line)]
    assert "50" in rows[0]
    assert "token_dead" in rows[0]
    assert [int(row.split()[1]) for row in rows[1:4]] == [0, 1, 2]


@pytest.mark.parametrize(("height", "below"), [(24, 0), (24, 4), (5, 4), (60, 0)])
def test_a_low_window_says_how_much_it_does_not_show(height: int, below: int) -> None:
    """A screen that is drawn again in one place cannot be scrolled: the last links of a table were cut unseen."""
    lines = [f"line {number}" for number in range(40)]
    screen = Console(file=io.StringIO(), width=80, height=height)
    options = screen.options.update(height=height)
    found = screen.render_lines(Window(Text("\n".join(lines)), below), options, pad=False)
    shown = "\n".join("".join(part.text for part in line).rstrip() for line in found).rstrip().split("\n")
    room = height - below
    if room >= len(lines):
        assert shown == lines
    else:
        assert shown == [*lines[: room - 1], f"… {len(lines) - room + 1} more lines in a higher window"]
