"""Profiles as a TOML file: every fault of its shape at once, and what is written reads back as it was."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmam.config.profile_file import ProfileFileInvalid, profiles_of, read_profile_file, write_profile_file

FILE = Path("profiles.toml")


def _read(text: str) -> list[dict[str, Any]]:
    return profiles_of(text, FILE)


def test_settings_may_be_written_as_tables_numbers_switches_and_lists() -> None:
    """`volume.amount = 0.5`, quoted names, true and lists of symbols mean what the command line means by text."""
    (profile,) = _read(
        """
        [[profile]]
        name = "main"
        leader = 41000001
        [profile.settings]
        volume.amount = 0.50
        "max_age" = "20s"
        reverse = true
        symbols.include = ["EURUSD", "XAUUSD"]
        [[profile.follower]]
        account = "broker:1"
        settings.volume.rounding = "raise,cap"
        """
    )
    assert profile["leader"] == "41000001"
    assert profile["settings"] == {
        "volume.amount": "0.50",
        "max_age": "20s",
        "reverse": "on",
        "symbols.include": "EURUSD,XAUUSD",
    }
    assert profile["followers"] == [{"account": "broker:1", "settings": {"volume.rounding": "raise,cap"}}]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("", "found nothing"),
        ("leader = true", "found true"),
        ("leader = 1.50", "found 1.50"),
        ("leader = ''", "found ''"),
    ],
)
def test_what_was_found_is_shown_as_it_stands_in_the_file(written: str, shown: str) -> None:
    """Who wrote TOML does not read None, True or Decimal('1.50')."""
    with pytest.raises(ProfileFileInvalid) as refused:
        _read(f"[[profile]]\nname = 'one'\n{written}\n[[profile.follower]]\naccount = 1")
    assert refused.value.faults == (f"profile 'one', leader: expected a ctid, an alias or broker:login, {shown}",)


def test_a_profile_in_one_bracket_is_told_of_the_second() -> None:
    """It was said that there is none."""
    with pytest.raises(ProfileFileInvalid, match=r"expected \[\[profile\]\] in two brackets"):
        _read("[profile]\nname = 'one'")


def test_all_faults_of_the_shape_are_told_at_once() -> None:
    """A wrong key, state, leader and value are each named with the profile they stand in."""
    with pytest.raises(ProfileFileInvalid) as refused:
        _read(
            """
            surprise = 1
            [[profile]]
            name = "one"
            leader = true
            volume = 2
            state = "asleep"
            [profile.settings]
            max_age = 1979-05-27
            [[profile]]
            name = ""
            leader = 1
            [[profile.follower]]
            account = 2
            speed = 3
            """
        )
    told = "\n".join(refused.value.faults)
    for part in (
        "surprise: expected only [[profile]]",
        "profile 'one', leader: expected a ctid",
        "profile 'one': expected name, leader",
        "state: expected running, paused, stopped, found 'asleep'",
        "profile 'one', max_age: expected a text",
        "profile 'one': there is no [[profile.follower]]",
        "profile number 2, name: expected a text",
        "follower 2: expected account, settings, found 'speed'",
    ):
        assert part in told


@pytest.mark.parametrize("text", ["", "profile = 3", "[[profile]", "[profile]\nname='x'", "\x00", "x = " + "[" * 5_000])
def test_what_is_no_file_of_profiles_is_refused(text: str) -> None:
    """Nothing, other TOML and no TOML at all end in one sentence each."""
    with pytest.raises(ProfileFileInvalid, match=r"not TOML|no \[\[profile\]\]|two brackets") as refused:
        _read(text)
    assert len(refused.value.faults) == 1


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=30)
SETTINGS = st.dictionaries(
    st.sampled_from(["volume.amount", "volume.mode", "max_age", "symbols.table", "label"]), TEXTS, max_size=4
)


@given(
    profiles=st.lists(
        st.fixed_dictionaries(
            {
                "name": TEXTS.filter(lambda text: text.strip() == text),
                "leader": st.integers(1, 10**12).map(str),
                "state": st.sampled_from(["running", "paused", "stopped"]),
                "settings": SETTINGS,
                "followers": st.lists(
                    st.fixed_dictionaries({"account": st.integers(1, 10**12).map(str), "settings": SETTINGS}),
                    min_size=1,
                    max_size=3,
                ),
            }
        ),
        min_size=1,
        max_size=3,
    )
)
def test_what_is_exported_reads_back_as_it_was(profiles: list[dict[str, Any]]) -> None:
    """Whatever stands in names and values, several lines and quotes too, the file gives it back unchanged."""
    assert _read(write_profile_file(profiles)) == profiles


def test_a_pipe_without_a_writer_is_an_empty_file(tmp_path: Path) -> None:
    """Nobody waits for a pipe that was left behind."""
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ProfileFileInvalid, match="there is no"):
        read_profile_file(tmp_path / "pipe")


@pytest.mark.parametrize(
    ("sent", "found"), [(b"\xffname", "this is not text in UTF-8"), (b"#" * 4_000_001, "larger than")]
)
def test_what_comes_by_a_pipe_is_held_to_the_same_as_a_file(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, found: str
) -> None:
    """`profile apply -` says of stdin in one sentence what it says of a file: another encoding, far too much."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(sent), encoding="utf-8"))
    with pytest.raises(ProfileFileInvalid, match=found):
        read_profile_file(Path("-"))
