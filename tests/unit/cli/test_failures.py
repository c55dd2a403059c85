"""What goes wrong in a command is one sentence with a cure and an exit code."""

from __future__ import annotations

import errno
import io
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cmam.cli.face.exits import Exit, Failure
from cmam.cli.face.failures import CODES, code_of
from cmam.cli.face.talk import say
from cmam.cli.main import run
from cmam.domain.operating.asking import Refusal
from cmam.store.errors import StoreUnavailable

SAMPLE = Path(__file__).parents[3] / "events.db.sample"


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


def test_every_error_with_a_sentence_has_a_code() -> None:
    """Each kind of refusal maps to one exit code; a bug maps to none."""
    assert code_of(Failure("x", Exit.HELD)) is Exit.HELD
    assert code_of(Refusal("x", 2)) is Exit.USAGE
    assert code_of(ValueError("x")) is None
    assert {code for _, code in CODES} == {Exit.REFUSED, Exit.USAGE, Exit.UNREACHABLE, Exit.HELD}


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


def _closed(*_: object) -> Mapping[str, Any]:
    raise BrokenPipeError
