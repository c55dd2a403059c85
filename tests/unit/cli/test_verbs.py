"""What is typed: names, options, numbers, pairs and moments; what is mistyped is answered with what was meant."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmam.cli.auditing import audit_options
from cmam.cli.face.exits import Exit
from cmam.cli.face.verbs import Erasable, key_values
from cmam.cli.main import Root, cli, run
from cmam.cli.sandbox import sandbox_common
from cmam.clock import ManualClock, Micros
from cmam.store.text import parse_time

SAMPLE = Path(__file__).parents[3] / "events.db.sample"


@pytest.fixture
def context() -> Iterator[click.Context]:
    """A command that runs."""
    with click.Context(click.Command("test")) as found:
        yield found


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
