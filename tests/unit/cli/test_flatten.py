"""What `flatten` tells: whom it did not reach, and what to type next, as it stands."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cmam.actors.operating.control import ControlListener
from cmam.cli.main import run
from cmam.cli.running.flatten import _words, flatten
from cmam.cli.running.target import one_target
from cmam.config.home import Home


@pytest.mark.parametrize(
    ("profile", "account", "everything"),
    [("main", None, False), ("my day trades", None, False), (None, "Alpha Markets:9000002", False), (None, None, True)],
)
def test_the_target_can_be_typed_again(profile: str | None, account: str | None, everything: bool) -> None:
    """A name with blanks was told as several words, which another command refuses."""
    typed = shlex.split(_words(one_target(profile, account, everything)))
    if profile is not None:
        assert typed == [profile]
    else:
        assert typed == (["--account", account] if account is not None else ["--all"])


def test_who_flattens_all_is_told_whom_it_did_not_reach(tmp_path: Path) -> None:
    """The others close, and the command fails: what is left must be closed past the system that runs."""
    home = Home(tmp_path)
    home.prepare()
    home.prepare_runtime()
    said = {"ok": True, "flattening": [1, 2], "unheard": ["account 2 takes no command"]}
    listener = ControlListener(home.control_socket, home.control_key, lambda _, answer: answer(dict(said)))
    listener.start()
    try:
        result = CliRunner().invoke(flatten, ["--all", "--yes", "--home", str(tmp_path)], prog_name="cmam flatten")
    finally:
        listener.stop()
    assert result.exit_code == 1
    told = " ".join(result.output.split())
    assert "account 2 takes no command" in told
    assert "1 follower is closing" in told
    assert "`cmam flatten --all --direct` closes what carries our label there" in str(result.exception)


def test_who_leaves_a_flatten_is_told_what_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C while it waits takes nothing back: it said that nothing more was done, and nothing opened any more."""
    home = Home(tmp_path)
    home.prepare()
    home.prepare_runtime()

    asked: list[str] = []

    def handle(request: Mapping[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
        asked.append(request["command"])
        answer({"ok": True, "flattening": [1], "accounts": []})
        if asked == ["flatten", "status", "status"]:
            os.kill(os.getpid(), signal.SIGINT)

    listener = ControlListener(home.control_socket, home.control_key, handle)
    listener.start()
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        code = run(["--home", str(tmp_path), "flatten", "--all", "--yes", "--wait"])
    finally:
        signal.signal(signal.SIGINT, before)
        listener.stop()
    assert code == 1
    assert "nothing new opens until `cmam rearm --all`" in capsys.readouterr().err
