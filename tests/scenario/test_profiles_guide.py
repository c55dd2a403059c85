"""The examples of docs/profiles.md: its file and its table are taken as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

from cmam import office
from cmam.config.home import Home
from tests.scenario.guide import Person

ACCOUNTS = [
    {"account": 41_000_001 + number, "login": 1 + number, "broker": "alpha", "currency": "USD", "grant": "g"}
    for number in range(3)
]


def _block(root: Path, kind: str) -> str:
    (found,) = re.findall(rf"```{kind}\n(.*?)```", (root / "docs/profiles.md").read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


def test_the_examples_are_taken_as_they_stand(root: Path, tmp_path: Path, capsys: object) -> None:
    """Whoever copies the file and the table out of the page gets what the page says, down to each setting."""
    person = Person(tmp_path / "home", capsys)
    office.carry_out(Home(person.home), {"command": "account.add", "accounts": ACCOUNTS}, command="test")
    file, table = tmp_path / "main.toml", tmp_path / "symbols.csv"
    file.write_text(_block(root, "toml"))
    table.write_text(_block(root, "csv"))
    assert person.types("profile", "apply", str(file), "--yes").code == 0
    assert person.types("profile", "apply", str(file)).out == "= keep main\n"
    said = person.types("profile", "symbols", "main", "load", str(table), "--follower", "41000003")
    assert said.code == 0, said.err
    (profile,) = office.read_registry(Home(person.home)).live_profiles()
    first, second = profile.links.values()
    assert dict(profile.settings) == {"max_age": "20s", "symbols.include": "EURUSD,XAUUSD", "volume.amount": "0.5"}
    assert dict(first.settings) == {}
    assert second.settings["reverse"] == "on"
    assert second.settings["symbols.table"].count("\n") == 3
    lines = re.findall(r"^\$ cmam (profile (?:set|show) .*)$", (root / "docs/profiles.md").read_text(), re.MULTILINE)
    assert len(lines) >= 3
    for line in lines:
        assert person.types(*line.split()).code == 0, line
