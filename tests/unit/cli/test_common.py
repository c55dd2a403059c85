"""How commands print: JSON lines, tables that fit, and no colour where nobody looks."""

from __future__ import annotations

import errno
import io
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from cmam.cli.auditing import audit_options
from cmam.cli.auditing.audit_options import emit
from cmam.cli.face import rows
from cmam.cli.face.exits import Exit, Failure
from cmam.cli.face.failures import CODES, code_of
from cmam.cli.face.rows import print_rows
from cmam.cli.face.talk import UNSHOWN, counted, print_json, say
from cmam.cli.face.verbs import Erasable, key_values
from cmam.cli.main import Root, cli, run, show_what_can_be_shown
from cmam.cli.sandbox import sandbox_common
from cmam.cli.showing.screen import status_screen
from cmam.clock import ManualClock, Micros
from cmam.domain.operating.asking import Refusal
from cmam.store.errors import StoreUnavailable
from cmam.store.text import parse_time

SAMPLE = Path(__file__).parents[3] / "events.db.sample"
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


@pytest.mark.parametrize(
    ("name", "hint"),
    [("statu", "Did you mean 'status' or 'start'?"), ("xyz", "No such command 'xyz'.\n"), ("-x", "-x")],
)
def test_a_mistyped_command_is_met_with_the_nearest(capsys: pytest.CaptureFixture[str], name: str, hint: str) -> None:
    """As one of `cmam audit` is; no module is imported to find it."""
    assert run([name]) == 2
    assert hint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "named"),
    [
        ("profile create x --leader 1 --leader 2 --follower 3", "--leader"),
        ("profile create x --leader 1 --leader=1 --follower 3", "--leader"),
        ("flatten --account 1 --account 2 --yes", "--account"),
        ("flatten x --wait --wait 5", "--wait"),
        ("sandbox --port 0 --port 1 stats", "--port"),
        ("audit copies --symbol A --since today --since yesterday", "--since"),
    ],
)
def test_what_takes_one_value_is_refused_where_it_stands_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], typed: str, named: str
) -> None:
    """An option that takes one value is refused where it stands twice, before anything is done."""
    assert run(["--home", str(tmp_path), *typed.split()]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert f"'{named}': given twice, and it takes one value: say it once." in said
    assert not list(tmp_path.iterdir())


def test_a_leader_by_either_word_is_one_leader(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of `--leader 1 --master 2` the second was passed over in silence."""
    words = ["profile", "create", "x", "--leader", "1", "--master", "2", "--follower", "3"]
    assert run(["--home", str(tmp_path), *words]) == Exit.USAGE
    assert "say --leader or --master, not both" in capsys.readouterr().err


def test_what_aliases_and_variables_say_gives_way(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An alias's home and flags may be said once more, and an option takes the place of its variable."""
    monkeypatch.setenv("CMAM_SANDBOX_PORT", "none")
    homes = ["--home", str(tmp_path / "a"), "--json", "--home", str(tmp_path / "b")]
    assert run([*homes, "status", "--json", "--json"]) == 0
    assert str(tmp_path / "b") in json.loads(capsys.readouterr().out)["home"]
    assert run(["--home", str(tmp_path), "sandbox", "--port", "1", "stats"]) == 3
    assert run(["account", "tag", "-h"]) == 0


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("today", "2020-02-29T00:00:00", "2020-02-29T23:59:59.999999"),
        ("Yesterday", "2020-02-28", "2020-02-28T23:59:59.999999"),
    ],
)
def test_a_day_can_be_named(monkeypatch: pytest.MonkeyPatch, name: str, first: str, last: str) -> None:
    """What did my followers do today: from its first moment, or to its last, of UTC as all times are shown."""
    clock = ManualClock(Micros(parse_time("2020-02-29T12:34:56")))
    monkeypatch.setattr(audit_options, "SystemClock", lambda: clock)
    assert audit_options.moment(name) == parse_time(first)
    assert audit_options.last_moment(name) == parse_time(last)


def test_now_is_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for today asks for now as well: the same moment as a beginning and as an end."""
    asked_us = Micros(parse_time("2020-02-29T12:34:56.000123"))
    monkeypatch.setattr(audit_options, "SystemClock", lambda: ManualClock(asked_us))
    assert audit_options.moment("Now") == audit_options.last_moment("now") == asked_us


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


@given(st.dictionaries(st.from_regex(r"[a-z.]+", fullmatch=True), st.text()))
def test_pairs_keep_whatever_follows_the_first_equals_sign(pairs: dict[str, str]) -> None:
    """A value may hold anything, equals signs too; blanks around it do not count."""
    context = click.Context(click.Command("test"))
    option = click.Option(["--set"])
    given_ = tuple(f"{name}={value}" for name, value in pairs.items())
    assert key_values(context, option, given_) == {name: value.strip() for name, value in pairs.items()}


@pytest.mark.parametrize("pair", ["name", "=value", " =value"])
def test_what_is_no_pair_is_a_usage_error(pair: str) -> None:
    """A setting without a value is named, not guessed."""
    with pytest.raises(click.BadParameter, match="NAME=VALUE"):
        key_values(click.Context(click.Command("test")), click.Option(["--set"]), (pair,))


@pytest.mark.parametrize("read", [key_values, sandbox_common.key_values])
def test_of_two_values_none_holds_in_silence(read: Callable[..., object]) -> None:
    """The last one did, and the answer said neither which nor that there had been two."""
    with pytest.raises(click.BadParameter, match=r"found volume\.amount twice"):
        read(click.Context(click.Command("test")), click.Option(["--set"]), ("volume.amount=1", "volume.amount =1"))


def _value_options(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each command with each of its options that take a value."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.is_flag and not isinstance(parameter, Erasable):
            yield words, parameter.opts[0]
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _value_options(found, (*words, name))


def test_an_empty_text_is_never_taken_for_an_option_that_was_not_given(capsys: pytest.CaptureFixture[str]) -> None:
    """A script's variable that is not set must not widen a command: one follower to all, one latch to all, one home to
    the default one. It holds for each option of each command."""
    found = list(_value_options(cli))
    assert {((), "--home"), (("profile", "set"), "--follower"), (("rearm",), "--guard")} <= set(found)
    for words, option in found:
        assert run([*words, option, ""]) == Exit.USAGE, (words, option)
        assert f"'{option}" in (said := capsys.readouterr().err), (words, option)
        assert "the value is empty" in said
    assert run(["backup", ""]) == Exit.USAGE
    assert "the value is empty" in capsys.readouterr().err


def test_what_was_typed_is_repeated_in_moderation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A whole file in place of a name leaves the sentence legible; a name that no disk takes is no mistake of ours."""
    long = "x" * 10_000
    home = ["--home", str(tmp_path)]
    for words, code, says in (
        (["audit", "copies", "--since", long], Exit.USAGE, "expected a time"),
        (["profile", "show", long], Exit.USAGE, "there is no profile"),
        (["backup", long], Exit.REFUSED, "File name too long"),
        (["audit", "verify", "--head", long], Exit.REFUSED, "File name too long"),
    ):
        assert run([*home, *words]) == code, words
        said = capsys.readouterr().err
        assert says in said
        assert "should not have" not in said
        assert len(said) < 600, words


@pytest.mark.parametrize("number", ["9" * 25, "9" * 5_000, "\u0663"], ids=["long", "longer", "arabic"])
def test_numbers_that_nothing_has_are_answered(number: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An account, a position or a count of more digits than a machine counts is an ordinary wrong answer."""
    shutil.copy(SAMPLE, tmp_path / "events.db")
    for words, codes in (
        (["audit", "copies", "--account", number], {Exit.USAGE}),
        (["audit", "copies", "--last", number], {Exit.DONE, Exit.USAGE}),
        (["audit", "explain", number], {Exit.REFUSED}),
        (["replay", "--from", number, "--until", "9"], {Exit.USAGE, Exit.DONE}),
        (["replay", "--state", "--until", number], {Exit.DONE}),
    ):
        assert run(["--home", str(tmp_path), *words]) in codes, words
        assert "should not have" not in capsys.readouterr().err


def test_what_the_machine_refuses_is_said_in_its_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder in the place of a file is named, and what was found there."""
    (tmp_path / "store.id").mkdir()
    shutil.copy(SAMPLE, tmp_path / "events.db")
    assert run(["--home", str(tmp_path), "pause", "--all"]) == Exit.REFUSED
    said = capsys.readouterr().err
    assert f"{tmp_path / 'store.id'} could not be read or written: Is a directory." in said
    assert "should not have" not in said


@pytest.mark.parametrize(
    "words",
    [
        ("backup",),
        ("salvage",),
        ("audit", "head"),
        ("replay", "--to"),
        ("profile", "symbols", "pair", "sample", "--force"),
    ],
    ids=" ".join,
)
def test_what_a_home_lives_by_is_never_written_over(
    words: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`backup FILE` is easily read as "back this file up"; neither that nor a typo replaces a log of any home."""
    here, there = tmp_path / "here", tmp_path / "there"
    for home in (here, there):
        home.mkdir()
        shutil.copy(SAMPLE, home / "events.db")
        assert run(["--home", str(home), "profile", "enable", "pair"]) == Exit.DONE
        (home / "archive").mkdir()
    (tmp_path / "link").symlink_to(there / "events.db")
    before = (there / "events.db").read_bytes()
    capsys.readouterr()
    for target in (
        here / "events.db",
        here / "events.db-wal",
        here / "secrets.json",
        there / "events.db",
        there / "archive" / "events-1-9.db",
        tmp_path / "link",
    ):
        assert run(["--home", str(here), *words, str(target)]) == Exit.USAGE, target
        assert "belongs to a home of cmam" in capsys.readouterr().err, target
    assert (there / "events.db").read_bytes() == before
    assert run(["--home", str(here), "audit", "verify"]) == Exit.DONE


def test_a_flatten_that_cannot_be_recorded_names_the_way_that_needs_no_record(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk nobody is left to guess that copies can still be closed, by their labels."""
    shutil.copy(SAMPLE, tmp_path / "events.db")

    def full(*_: object, **__: object) -> dict[str, Any]:
        raise StoreUnavailable("The disk is full.")

    monkeypatch.setattr("cmam.office.carry_out", full)
    assert run(["--home", str(tmp_path), "flatten", "pair", "--yes"]) == Exit.REFUSED
    assert "`cmam flatten pair --direct` closes without a record" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["profile", "symbols", "pair", "load"], Exit.USAGE, "field larger than field limit"),
        (["sandbox", "stats", "--ready-file"], Exit.USAGE, "expected the ready file of a sandbox"),
        (["sandbox", "--port", "0", "--json-port", "0", "--oauth-port", "0", "--state"], 2, "expected the state of a"),
        (["profile", "apply"], Exit.USAGE, "this is not TOML"),
        (["audit", "verify", "--pack"], Exit.REFUSED, "is not an evidence pack"),
    ],
    ids=lambda value: value[1] if isinstance(value, list) else None,
)
def test_a_file_that_no_parser_takes_is_a_sentence(
    words: list[str], code: int, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Brackets deeper than any parser goes, in a line longer than it reads."""
    shutil.copy(SAMPLE, tmp_path / "events.db")
    (tmp_path / "file").write_text("[" * 200_000)
    assert run(["--home", str(tmp_path), *words, str(tmp_path / "file")]) == code
    said = capsys.readouterr().err
    assert says in said
    assert "should not have" not in said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["sandbox", "--port", "0", "--json-port", "0", "--oauth-port", "0", "--speed", "nan"], "no finite number"),
        (["sandbox", "trade", "play", str(SAMPLE), "--speed", "inf"], "not in the range"),
        (["sandbox", "trade", "amend", "1", "--slippage", "9" * 25], "--slippage"),
        (["sandbox", "--port", "x"], "expected a whole number in the range 0<=x<=65535, found 'x'"),
        (["replay", "--speed", "fast"], "expected a number in the range x>=0, found 'fast'"),
        (["replay", "--speed", "1e-12"], "expected --speed 0, or one from 0.015625 to 65536; found 1e-12"),
    ],
    ids=["speed", "play", "slippage", "port", "pace", "slow"],
)
def test_a_number_that_nothing_can_go_by_is_a_usage_error(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No number compares with a bound if it is none, and points have the room that the protocol has."""
    assert run(["--home", str(tmp_path), *words]) == Exit.USAGE
    assert says in capsys.readouterr().err


def test_text_that_is_none_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes of another encoding on the command line are named."""
    shutil.copy(SAMPLE, tmp_path / "events.db")
    assert run(["--home", str(tmp_path), "audit", "copies", "--symbol", "caf\udce9"]) == Exit.USAGE
    assert r"no sign for '\udce9'" in capsys.readouterr().err


def test_every_error_with_a_sentence_has_a_code() -> None:
    """Each kind of refusal maps to one exit code; a bug maps to none."""
    assert code_of(Failure("x", Exit.HELD)) is Exit.HELD
    assert code_of(Refusal("x", 2)) is Exit.USAGE
    assert code_of(ValueError("x")) is None
    assert {code for _, code in CODES} == {Exit.REFUSED, Exit.USAGE, Exit.UNREACHABLE, Exit.HELD}


def test_a_group_lists_each_command_with_its_whole_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """What a command does is not cut where it would say what it does."""
    for name in ("sandbox", "sandbox trade", "api", "account", "profile", "audit"):
        assert run([*name.split(), "-h"]) == 0
        listed = capsys.readouterr().out.partition("Commands:")[2]
        assert listed
        assert "..." not in listed


def test_every_command_can_be_imported_and_helps() -> None:
    """The list that saves start-up time names commands that exist, each with the options that all have."""
    context = click.Context(cli)
    for name in Root.places:
        command = cli.get_command(context, name)
        assert command is not None
        assert command.name == name
        options = {option for parameter in command.params for option in parameter.opts}
        assert {"--home", "--json", "--debug"} <= options, name


def test_an_unexpected_error_is_one_sentence_unless_debugged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bug does not spill a traceback over a person; --debug shows it."""

    def broken(*_: object) -> Mapping[str, Any]:
        raise RuntimeError("boom")

    monkeypatch.setattr("cmam.office.stored_status", broken)
    assert run(["status"]) == 1
    said = capsys.readouterr().err
    assert "RuntimeError: boom" in said
    assert "Traceback" not in said
    with pytest.raises(RuntimeError):
        run(["status", "--debug"])


def test_a_closed_pipe_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """`cmam audit … | head` ends quietly."""
    monkeypatch.setattr("cmam.office.stored_status", _closed)
    monkeypatch.setattr("os.dup2", lambda *_: None)
    monkeypatch.setattr("sys.stdout.fileno", lambda: 1, raising=False)
    assert run(["status"]) == 0


def test_talk_that_nobody_hears_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that was closed refuses every word; the orderly end behind the word goes on."""

    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("sys.stderr", Gone())
    say("Left open: 1 position.")


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


def test_a_system_that_does_not_answer_is_not_called_stopped() -> None:
    """The headline names the process that holds the store: who hangs must be ended, who is gone must be started."""
    text = io.StringIO()
    holder = {"pid": 77, "since": "2020-01-01T00:00:00.000Z", "command": "cmam start"}
    Console(file=text, width=200).print(status_screen({"running": False, "holder": holder}))
    assert "does not answer (process 77, cmam start, since 2020" in text.getvalue()
    assert "is not running" not in text.getvalue()


def _closed(*_: object) -> Mapping[str, Any]:
    raise BrokenPipeError


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


def test_times_say_where_they_hold(capsys: pytest.CaptureFixture[str]) -> None:
    """A column of times in its heading; a time among other values beside itself."""
    at = "2026-03-01T12:00:00.000Z"
    with click.Context(click.Command("x")):
        print_rows([{"at": at, "value": at}, {"at": None, "value": "7"}], ["at", "value"], empty="")
    shown = capsys.readouterr().out
    assert "at (UTC)" in shown
    assert "value (UTC)" not in shown
    assert shown.count("03-01 12:00:00.000 UTC") == 1
