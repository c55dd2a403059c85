"""What a broker or somebody else's file says, on its way to a terminal: names, sentences, and what was typed."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from cmam.cli.auditing.proof import _say
from cmam.cli.face.rows import console, print_rows
from cmam.cli.face.talk import UNSHOWN, legible, print_json
from cmam.cli.main import run
from cmam.cli.profiles.profile_file import show_difference
from cmam.cli.showing.screen import status_screen

HOSTILE = "Al\x1b]52;c;cm0=\x07pha\x9b31m\u202e\u200b\u2028x"
"""It would fill the clipboard, colour the rest, turn it around, and pass for another name."""

ACCOUNT = {"ctid": 1, "health": "reconciled", "broker": f"{HOSTILE}\n  2  forged", "alias": HOSTILE}


def test_a_brokers_name_does_nothing_to_the_status_screen(capsys: pytest.CaptureFixture[str]) -> None:
    """Names, reasons and warnings stand there as words; an account and an alert are one line each."""
    document = {
        "running": True,
        "warnings": [HOSTILE],
        "connections": {"connection:demo-1": {"host": HOSTILE, "port": 1, "state": "open", "reason": HOSTILE}},
        "accounts": [{**ACCOUNT, "connection": "demo-1", "paused": True, "paused_reason": HOSTILE}],
        "alerts": [{"account": 1, "kind": "symbol", "text": f"no quotes of {HOSTILE}\n  2  forged"}],
        "profiles": [{"profile": HOSTILE, "leader": 1, "state": "on", "links": [{"settings": {"label": HOSTILE}}]}],
    }
    console().print(status_screen(document))
    shown = capsys.readouterr().out
    assert "pha" in shown
    assert UNSHOWN.search(shown) is None
    assert not [line for line in shown.splitlines() if line.strip().startswith("2  forged")]


def test_what_a_list_and_its_title_hold_does_nothing_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A cell of several values, a heading and a title are drawn by the same console as every other."""
    with click.Context(click.Command("x"), obj=None):
        print_rows([{"tags": [HOSTILE]}], [("tags", HOSTILE)], empty="", title=HOSTILE)
    shown = capsys.readouterr().out
    assert shown.count("pha") == 3
    assert UNSHOWN.search(shown) is None


def test_findings_and_differences_of_others_files_do_nothing_to_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A pack is given by somebody, and so is a file of profiles; a finding stays in its line."""
    finding = {"fault": "changed", "position": 1, "text": f"{HOSTILE}\nwhole: 9 records"}
    found = {"whole": False, "records": 1, "streams": 1, "head": "1:ab", "findings": [finding]}
    _say({**found, "anchored": True})
    shown = capsys.readouterr().out
    assert "\nwhole" not in shown
    show_difference({"action": "create", "profile": HOSTILE, "changes": [], "remarks": []})
    shown += capsys.readouterr().out
    assert shown.count("pha") == 2
    assert UNSHOWN.search(shown) is None


def test_what_was_typed_is_refused_in_signs_that_do_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A command line that was copied from somewhere is repeated in the refusal, by the parser too."""
    assert run(["--home", str(tmp_path), "account", HOSTILE]) == 2
    assert run(["--home", str(tmp_path), "audit", "copies", HOSTILE]) == 2
    said = capsys.readouterr().err
    assert "pha" in said
    assert UNSHOWN.search(said) is None


def test_signs_that_nobody_sees_are_shown_and_kept_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Two names that look alike are told apart on a screen; a program gets each as it is, beyond 16 bits too."""
    tagged = "ftmo\u200b\U000e0041"
    assert legible(tagged) == "ftmo\ufffd\ufffd"
    for unseen in "\xad\u034f\u115f\u2060\u3164\uffa0\ufe00\ufe0f\U000e0100":
        assert legible(f"{unseen}ft{unseen}mo") == "\ufffdft\ufffdmo"
    for seen in ("Zürich · 日本", "❤\ufe0f 1\ufe0f\u20e3"):
        assert legible(seen) == seen
    print_json({"name": tagged})
    document = capsys.readouterr().out
    assert UNSHOWN.search(document) is None
    assert json.loads(document) == {"name": tagged}
