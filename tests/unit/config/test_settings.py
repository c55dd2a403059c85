"""Settings: what is checked, what is kept, and which source wins."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmam.config.home import Home
from cmam.config.settings import Endpoint, SettingsInvalid, as_document, check, notes
from cmam.config.settings_file import _toml_value, edit_settings, load_settings, settings_in_need


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path / "home")


def test_defaults_are_the_public_hosts_and_their_limit(home: Home) -> None:
    """Somebody who configures nothing but credentials reaches Spotware, at the rate it allows, durably."""
    settings = load_settings(home, {})
    assert str(settings.api.live) == "live.ctraderapi.com:5035"
    assert str(settings.api.demo) == "demo.ctraderapi.com:5035"
    assert settings.api.endpoint(is_live=True) == settings.api.live
    assert (settings.api.max_requests, settings.api.warning) == (50, None)
    assert (settings.secrets, settings.durability) == ("file", "full")


def test_editing_keeps_what_is_not_named(home: Home) -> None:
    """Changing one value leaves the others as they were, also over several edits."""
    edit_settings(home, {"live_host": "proxy.example", "live_port": 6000})
    edit_settings(home, {"max_requests": 20})
    settings = load_settings(home, {})
    assert (str(settings.api.live), settings.api.max_requests) == ("proxy.example:6000", 20)
    edit_settings(home, {"live_host": None})
    assert str(load_settings(home, {}).api.live) == "live.ctraderapi.com:6000"


def test_the_environment_wins_and_is_not_written(home: Home) -> None:
    """A variable overrides the file for this run only; CMAM_HOST and CMAM_PORT speak of both environments."""
    edit_settings(home, {"max_requests": 20})
    settings = load_settings(home, {"CMAM_MAX_REQUESTS": "30", "CMAM_HOST": "127.0.0.1", "CMAM_LIVE_PORT": "7"})
    assert settings.api.max_requests == 30
    assert (str(settings.api.live), str(settings.api.demo)) == ("127.0.0.1:7", "127.0.0.1:5035")
    assert load_settings(home, {}).api.max_requests == 20


def test_every_fault_is_named_at_once_with_what_is_allowed(home: Home) -> None:
    """Nobody repairs a configuration one error at a time."""
    with pytest.raises(SettingsInvalid) as caught:
        edit_settings(home, {"live_host": "https://x/", "demo_port": "70000", "oauth_url": "http://x", "sped": 1})
    assert {problem.name for problem in caught.value.problems} == {"live_host", "demo_port", "oauth_url", "sped"}
    text = str(caught.value)
    assert "demo_port: found '70000'; allowed is a whole number from 1 to 65535" in text
    assert not home.settings.exists()


@pytest.mark.parametrize("name", ["live_port", "demo_port", "max_requests", "connections", "settle_s"])
def test_true_is_no_number(home: Home, name: str) -> None:
    """It was taken for 1: one request a second, or one second until an order that is under way counts as absent."""
    home.prepare()
    home.settings.write_text(f"{name} = true\n")
    with pytest.raises(SettingsInvalid) as caught:
        load_settings(home, {})
    assert f"{name} in {home.settings}: found true; allowed is a whole number" in str(caught.value)


def test_a_bad_variable_is_named_by_its_own_name(home: Home) -> None:
    """Whoever set a variable wrongly reads the variable's name, not that of a file he never saw."""
    with pytest.raises(SettingsInvalid, match=r"CMAM_PORT: found 'x'"):
        load_settings(home, {"CMAM_PORT": "x"})


def test_invalid_values_leave_the_file_as_it_was(home: Home) -> None:
    """A refused edit changes nothing on disk."""
    edit_settings(home, {"max_requests": 20})
    before = home.settings.read_bytes()
    with pytest.raises(SettingsInvalid):
        edit_settings(home, {"max_requests": 10, "durability": "maybe"})
    assert home.settings.read_bytes() == before


@pytest.mark.parametrize(
    "text", ["live_host = [", "x = " + "[" * 5_000, "live_port = " + "9" * 5_000], ids=["open", "deep", "long"]
)
def test_a_broken_settings_file_is_one_sentence(home: Home, text: str) -> None:
    """A file that is no TOML, or none that can be read, is named, with where it stops making sense."""
    home.prepare()
    home.settings.write_text(text)
    with pytest.raises(SettingsInvalid, match=r"settings\.toml: found .*; allowed is a readable TOML file"):
        load_settings(home, {})


@pytest.mark.parametrize(
    "values",
    [
        {"max_requests": 51},
        {"max_requests": 51, "allow_over_limit": True},
        {"max_requests": 51, "allow_over_limit": True, "live_host": "proxy.example"},
        {"max_requests": 51, "allow_over_limit": True, "live_host": "p.example", "demo_host": "DEMO.cTraderAPI.com."},
        {"max_requests": 0},
    ],
)
def test_over_the_limit_needs_leave_and_is_never_for_the_public_hosts(values: dict[str, object]) -> None:
    """More than 50 a second is refused unless it is allowed by name and no public host is involved."""
    with pytest.raises(SettingsInvalid, match="max_requests"):
        check(values)


def test_a_proxy_may_take_more_and_status_warns() -> None:
    """A proxy of one's own takes more where that is asked for, and it is said aloud."""
    values = {"max_requests": 500, "allow_over_limit": True, "live_host": "p.example", "demo_host": "p.example"}
    api = check(values).api
    assert api.max_requests == 500
    assert api.warning is not None
    assert "above the 50" in api.warning


@pytest.mark.parametrize(
    ("uri", "is_fine"),
    [
        ("http://127.0.0.1:5081/callback", True),
        ("http://localhost:5081/", True),
        ("https://example.org/back", True),
        ("http://example.org:80/back", False),
        ("http://127.0.0.1/callback", False),
        ("https://u:p@example.org/", False),
        ("http://127.0.0.1:99999/", False),
        ("callback", False),
        ("https://example.org/#x", False),
    ],
)
def test_redirects_that_would_leak_a_code_are_refused(uri: str, is_fine: bool) -> None:
    """A code travels unencrypted to this machine only."""
    if is_fine:
        assert check({"redirect_uri": uri}).api.redirect_uri == uri
    else:
        with pytest.raises(SettingsInvalid, match="redirect_uri"):
            check({"redirect_uri": uri})


def test_a_missing_authority_file_is_refused_when_it_is_set(home: Home, tmp_path: Path) -> None:
    """A CA file must hold a certificate at the moment it is named; the sentence says which file and why."""
    with pytest.raises(SettingsInvalid, match=r"ca_file: found '.*nowhere\.pem' \(No such file or directory\)"):
        edit_settings(home, {"ca_file": str(tmp_path / "nowhere.pem")})
    empty = tmp_path / "empty.pem"
    empty.write_text("")
    with pytest.raises(SettingsInvalid, match="no PEM certificate in it"):
        edit_settings(home, {"ca_file": str(empty)})


def test_an_authority_file_that_is_none_is_never_opened(home: Home, tmp_path: Path) -> None:
    """It is read again at each start: a pipe is empty by then, or waited for without a word, however it was named."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/null")):
        with pytest.raises(SettingsInvalid, match="and no file"):
            edit_settings(home, {"ca_file": str(path)})
        with pytest.raises(SettingsInvalid, match="and no file"):
            check({"ca_file": str(path)})
    home.settings.unlink(missing_ok=True)
    home.prepare()
    os.mkfifo(home.settings)
    assert load_settings(home, {}).api.ca_file is None


def test_notes_speak_of_every_setting() -> None:
    """Each setting has a default, what is allowed, a meaning and a variable."""
    document = as_document(check({}))
    assert [note.name for note in notes()] == list(document)
    assert all(note.allowed and note.meaning for note in notes())
    assert notes()[0].variable == "CMAM_LIVE_HOST"


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs",))))
def test_any_text_survives_the_settings_file(text: str) -> None:
    """What is written as TOML is read back as the same text, whatever it holds."""
    assert tomllib.loads(f"value = {_toml_value(text)}")["value"] == text


def test_a_slip_elsewhere_does_not_stop_what_is_urgent(home: Home) -> None:
    """An emergency exit was refused over a rate; what names the broker is needed, and a slip there is said as ever."""
    home.prepare()
    home.settings.write_text('demo_host = "127.0.0.1"\nallow_over_limit = "so"\nmax_requests = 90\nsped = 1\n')
    settings, passed = settings_in_need(home, {"CMAM_DURABILITY": "some"}, {"demo_host"})
    assert {problem.name for problem in passed} == {"allow_over_limit", "max_requests", "sped", "durability"}
    assert (settings.api.demo.host, settings.api.max_requests, settings.durability) == ("127.0.0.1", 50, "full")
    with pytest.raises(SettingsInvalid):
        settings_in_need(home, {"CMAM_DEMO_HOST": "https://x/"}, {"demo_host"})


def test_a_file_that_cannot_be_read_gives_way_to_what_is_on_record(home: Home) -> None:
    """As strings, as a log has them; without a record it is refused as ever, since nobody has named a host."""
    home.prepare()
    home.settings.write_text('demo_host = "x')
    recorded = {name: str(value) for name, value in as_document(check({"demo_host": "127.0.0.1"})).items()}
    settings, (problem,) = settings_in_need(home, {"CMAM_DEMO_PORT": "7"}, {"demo_host"}, recorded)
    assert (settings.api.demo, problem.name) == (Endpoint("127.0.0.1", 7), "settings.toml")
    assert settings == check({"demo_host": "127.0.0.1", "demo_port": 7})
    with pytest.raises(SettingsInvalid):
        settings_in_need(home, {}, {"demo_host"}, {})
    with pytest.raises(SettingsInvalid, match="last recorded"):
        settings_in_need(home, {}, {"demo_host"}, {"demo_host": "https://x/"})
