"""The sandbox's page in the documentation names everything that there is, with the defaults that hold."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import click
import pytest

from cmam.cli.sandbox.sandbox import sandbox
from cmam.sandbox import faults
from cmam.sandbox.switches import Switches
from cmam.sandbox.trader import player
from cmam.sandbox.wire.line_faults import LINE_FAULTS


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    """The text of the page."""
    return (root / "docs" / "sandbox.md").read_text(encoding="utf-8")


def test_every_option_is_on_the_page(page: str) -> None:
    """A person finds each option of the server in the table."""
    table = page.split("## Options")[1].split("## Switches")[0]
    options = [name for option in sandbox.params if isinstance(option, click.Option) for name in option.opts]
    assert [name for name in options if f"`{name}`" not in table and name not in ("--help", "-h", "--debug")] == []


def test_every_switch_is_on_the_page_with_its_default(page: str) -> None:
    """The table of switches says what holds unless it is set."""
    for field in dataclasses.fields(Switches):
        value = getattr(Switches(), field.name)
        shown = {True: "on", False: "off"}[value] if isinstance(value, bool) else value
        assert f"| `{field.name}` | `{shown}` |" in page


def test_every_fault_is_on_the_page_with_its_arguments(page: str) -> None:
    """The tables of faults name each with its arguments, and none that does not exist."""
    broken = page.split("## Break it")[1].split("## What it counted")[0]
    for name, kind in {**faults.KINDS, **faults.INCIDENTS, **LINE_FAULTS}.items():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", broken, re.MULTILINE)
        for argument, default in kind.arguments.items():
            assert f"`{argument}={default or '…'}`" in row
    listed = set(re.findall(r"^\| `([a-z-]+)` \|", broken, re.MULTILINE))
    assert listed == {*faults.KINDS, *faults.INCIDENTS, *LINE_FAULTS}


def test_every_column_of_a_played_file_is_on_the_page_and_the_example_is_right(page: str) -> None:
    """The columns are listed, and the page's own CSV reads without a fault."""
    table = page.split("## Play a file of trades")[1].split("## Break it")[0]
    for column in player.COLUMNS:
        assert f"`{column}`" in table
    (example,) = re.findall(r"```csv\n(.*?)```", page, re.DOTALL)
    rows = player.read(example)
    assert len(rows) == 4
    for sign in (";", "\t"):
        assert player.read("\ufeff" + example.replace(",", sign).replace(".", ",").replace("\n", "\r\n")) == rows
    large = {"at,": "At,", "action": "ACTION", ",buy": ",BUY", ",close": ",Close", ",amend": ",Amend"}
    assert player.read(re.sub("|".join(large), lambda found: large[found[0]], example)) == rows


def test_the_schedule_of_the_page_is_right(page: str, tmp_path: Path) -> None:
    """The page's own file of faults reads without a fault."""
    from cmam.sandbox.serving.schedule import read_schedule

    (example,) = re.findall(r"```\n(# seconds.*?)```", page, re.DOTALL)
    file = tmp_path / "faults"
    file.write_text(example)
    assert [one.name for one in read_schedule(file)] == ["reject", "maintenance", "restart", "delay", "delay"]


def test_the_python_of_the_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks that need nothing but cmam and websockets do what they say, against a sandbox of their own."""
    import json

    from cmam.sandbox.serving.options import SandboxOptions
    from cmam.sandbox.serving.server import run_in_thread

    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    in_process = next(block for block in blocks if "run_in_thread" in block)
    over_json = next(block for block in blocks if "websockets" in block)
    compile(in_process, "docs/sandbox.md", "exec")
    exec(in_process.replace("/tmp/try", str(tmp_path / "home")), {})  # noqa: S102  # our own page
    monkeypatch.chdir(tmp_path)
    printed: list[str] = []
    with run_in_thread(SandboxOptions(home=tmp_path, port=0, json_port=0, oauth_port=0)) as ready:
        (tmp_path / "ready.json").write_text(json.dumps(ready.as_document()))
        exec(over_json, {"print": printed.append})  # noqa: S102  # our own page
    assert [json.loads(line)["payloadType"] for line in printed] == [2101, 2103, 2122]
