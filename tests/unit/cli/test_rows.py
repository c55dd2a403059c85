"""How commands print: JSON lines, tables that fit, and no colour where nobody looks."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator

import click
import pytest
from rich.console import Console

from cmam.cli.auditing.audit_options import emit
from cmam.cli.face import rows
from cmam.cli.face.rows import print_rows
from cmam.cli.face.talk import UNSHOWN, counted, print_json, say
from cmam.cli.main import show_what_can_be_shown

ROWS = [
    {"name": "one", "volume": "1000.00", "at": "2020-01-31T12:00:00.123Z", "reason": None, "tags": []},
    {"name": "two", "volume": "5.50", "at": "2020-01-31T12:00:01.000Z", "reason": "below_minimum", "tags": ["a", "b"]},
]


@pytest.fixture
def context() -> Iterator[click.Context]:
    """A command that runs."""
    with click.Context(click.Command("test")) as found:
        yield found


def test_json_lines_hold_every_key_as_it_is(context: click.Context, capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts get whole values, however the table would shorten them."""
    context.meta["cmam.json"] = True
    print_rows(ROWS, ["name"], empty="")
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == ROWS


def test_a_table_shortens_what_a_person_does_not_need(
    context: click.Context, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whole volumes lose their zeros, moments their year, and what is missing is a dash.

    Where one figure of a column has cents all have them, so that their points stand below each other.
    """
    print_rows(ROWS[:1], ["name", "volume"], empty="")
    assert " 1000 " in capsys.readouterr().out
    print_rows(ROWS, ["name", "volume", "at", "reason", "tags"], empty="")
    said = capsys.readouterr().out
    assert " 1000.00 " in said
    assert " 5.50 " in said
    assert "01-31 12:00:00.123" in said
    assert "–" in said
    assert "a, b" in said
    assert "\x1b" not in said


def test_what_others_wrote_makes_a_terminal_do_nothing(
    context: click.Context, capsys: pytest.CaptureFixture[str]
) -> None:
    """A label with a sequence for terminals is shown as text; --json has it as it is, escaped."""
    rows = [{"label": "\x1b[2Jgone\u202e"}]
    print_rows(rows, ["label"], empty="")
    assert "\ufffd[2Jgone\ufffd" in (said := capsys.readouterr().out)
    assert "\x1b" not in said
    context.meta["cmam.json"] = True
    print_rows(rows, ["label"], empty="")
    assert json.loads(capsys.readouterr().out) == rows[0]


def test_columns_go_on_a_narrow_screen_and_are_named(
    context: click.Context, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What does not fit is left out in the given order and said, rather than folded until nobody can read it."""
    monkeypatch.setattr(rows, "console", lambda: Console(width=30))
    print_rows(ROWS, ["name", "volume", ("at", "moment"), "reason"], empty="", spare=("at", "volume", "name"))
    captured = capsys.readouterr()
    assert "moment" not in captured.out
    assert "below_minimum" in captured.out
    assert "moment" in captured.err
    assert max(map(len, captured.out.splitlines())) <= 30


def test_what_holds_nothing_goes_first_and_what_fits_stays(
    context: click.Context, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A column of dashes took the room of one that told something, and a short one went although there was room."""
    found = [{"name": "anna", "at": "2020-01-31T12:00:00.123Z", "side": "buy", "reason": "", "volume": "5.50"}]
    monkeypatch.setattr(rows, "console", lambda: Console(width=24))
    print_rows(found, ["name", "side", "at", "reason", "volume"], empty="", spare=("side", "at", "reason"))
    captured = capsys.readouterr()
    assert captured.out.split()[:3] == ["name", "side", "volume"]
    assert "this narrow: at." in captured.err


@pytest.mark.parametrize(("value", "is_red"), [("", True), ("1", False)])
def test_an_error_is_red_unless_no_colour_is_wanted(monkeypatch: pytest.MonkeyPatch, value: str, is_red: bool) -> None:
    """NO_COLOR with anything in it takes the colour away, as the screens and tables have it."""
    said: list[str] = []
    monkeypatch.setenv("NO_COLOR", value)
    monkeypatch.setattr(click, "echo", lambda text, **_: said.append(text))
    say("no", error=True)
    assert ["\x1b[31m" in text for text in said] == [is_red]


def test_an_empty_list_says_so_beside_stdout(context: click.Context, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing to show is talk, not data."""
    print_rows([], ["name"], empty="Nothing yet.")
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "Nothing yet.\n")


@pytest.mark.parametrize("errors", ["strict", "surrogateescape"])
def test_a_terminal_without_utf8_shows_what_it_can(monkeypatch: pytest.MonkeyPatch, errors: str) -> None:
    """A sign that it lacks becomes a question mark on a screen, and an escape in JSON, which loses nothing."""
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="latin-1", errors=errors))
    show_what_can_be_shown()
    click.echo("● well")
    print_json({"name": "●"})
    sys.stdout.flush()
    screen, document = raw.getvalue().decode("latin-1").splitlines()
    assert screen == "? well"
    assert json.loads(document) == {"name": "●"}


def test_lists_for_programs_make_a_terminal_do_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A label with control signs, shown by `--csv` on a screen or by `--json` anywhere; a pipe has the CSV as it is."""
    label = "a\x1b]0;own\x07\x9b31m\u202eb ä"

    class Screen(io.StringIO):
        is_screen = True

        def isatty(self) -> bool:
            return self.is_screen

    shown, piped = Screen(), Screen()
    piped.is_screen = False
    for stream, as_csv in ((shown, True), (shown, False), (piped, True)):
        monkeypatch.setattr("sys.stdout", stream)
        emit([{"label": label}], ("label",), as_csv=as_csv)
    header, cell, document = shown.getvalue().splitlines()
    assert not UNSHOWN.search(shown.getvalue().replace("\r", ""))
    assert (header, cell.endswith("b ä")) == ("label", True)
    assert json.loads(document) == {"label": label}
    assert piped.getvalue() == f"label\r\n{label}\r\n"


@pytest.mark.parametrize(
    ("number", "noun", "said"),
    [
        (0, "copy", "0 copies"),
        (1, "copy", "1 copy"),
        (2, "copy", "2 copies"),
        (1, "row", "1 row"),
        (3, "row", "3 rows"),
    ],
)
def test_a_number_is_said_with_its_noun(number: int, noun: str, said: str) -> None:
    """One is one, everything else is many."""
    assert counted(number, noun) == said


def test_times_say_where_they_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """A column of times in its heading; a time among other values beside itself."""
    at = "2026-03-01T12:00:00.000Z"
    with click.Context(click.Command("x")):
        print_rows([{"at": at, "value": at}, {"at": None, "value": "7"}], ["at", "value"], empty="")
    shown = capsys.readouterr().out
    assert "at (UTC)" in shown
    assert "value (UTC)" not in shown
    assert shown.count("03-01 12:00:00.000 UTC") == 1
