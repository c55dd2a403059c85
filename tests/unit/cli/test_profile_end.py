"""What becomes of copies where a profile ends: one word of a person, never the later one of two."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmam.cli.main import run


@pytest.mark.parametrize(
    "command",
    [["disable", "x"], ["delete", "x"], ["follower", "remove", "x", "1"], ["apply", "x.toml"]],
    ids=["disable", "delete", "remove", "apply"],
)
@pytest.mark.parametrize("both", [["--close", "--leave"], ["--leave", "--close"]], ids=["left last", "closed last"])
def test_to_close_and_to_leave_are_not_said_together(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str], both: list[str]
) -> None:
    """The later one held, unsaid: positions were left open, or closed, against a word that stood in the command."""
    assert run(["--home", str(tmp_path), "profile", *command, *both, "--yes"]) == 2
    assert "say --close or --leave, not both" in capsys.readouterr().err
