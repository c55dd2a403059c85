"""Secrets in a keyring, chosen by command: one that cannot be used is no dead end, and none is emptied unasked."""

from __future__ import annotations

from pathlib import Path

import pytest
from keyring.backends.fail import Keyring

from cmam.config.home import Home
from cmam.config.secret import Secret
from cmam.config.settings_file import edit_settings
from cmam.credentials import secrets_file
from cmam.credentials.secrets_file import open_secrets
from cmam.credentials.vault import Application, with_application
from cmam.store.logfile.lock import StoreLock
from tests.scenario.guide import Person

NOWHERE = ("--host", "127.0.0.1", "--port", "1")
APPLICATION = Application("1_application", Secret("one-secret"))


class Ring:
    """A desktop's keyring, in memory."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service_name: str, username: str) -> str | None:
        """Give what was kept."""
        return self.kept.get((service_name, username))

    def set_password(self, service_name: str, username: str, password: str) -> None:
        """Keep it."""
        self.kept[service_name, username] = password


@pytest.fixture
def person(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Person:
    """Somebody on a machine that has no keyring."""
    monkeypatch.delenv("CMAM_SECRETS", raising=False)
    monkeypatch.setattr(secrets_file, "desktop_ring", Keyring)
    return Person(tmp_path / "home", capsys)


def test_a_keyring_that_is_not_there_is_not_kept_as_the_place(person: Person) -> None:
    """Choosing it is refused, and every later command goes on with the file as before."""
    open_secrets(Home(person.home), "file").update(lambda vault: with_application(vault, APPLICATION))
    said = person.types("api", "configure", *NOWHERE, "--secrets", "keyring")
    assert said.code == 1
    assert "The keyring of this machine cannot be used" in said.err
    shown = person.types("api", "show", "--json")
    assert shown.code == 0
    assert shown.lines[0]["secrets"] == "file"
    assert shown.lines[0]["application"]
    assert shown.lines[0]["demo_port"] == 1, "what else was named is kept"


def test_the_way_out_of_a_keyring_that_is_gone_leads_past_it(person: Person) -> None:
    """The command that the refusal names works where the keyring does not: it goes on with the file."""
    edit_settings(Home(person.home), {"secrets": "keyring"})
    refused = person.types("api", "show")
    assert refused.code == 1
    assert "cmam api configure --secrets file" in refused.err
    said = person.types("api", "configure", *NOWHERE, "--secrets", "file")
    assert "what lies there stays there" in said.err
    assert said.code == 2, "client id and secret are to be entered anew"
    assert person.types("api", "show", "--json").lines[0]["secrets"] == "file"


def test_a_keyring_named_by_the_environment_keeps_what_it_has(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another setting is changed: the secrets stay where the environment says that they are looked for."""
    ring = Ring()
    monkeypatch.setattr(secrets_file, "desktop_ring", lambda: ring)
    monkeypatch.setenv("CMAM_SECRETS", "keyring")
    home = Home(person.home)
    open_secrets(home, "keyring").update(lambda vault: with_application(vault, APPLICATION))
    assert person.types("api", "configure", *NOWHERE, "--max-requests", "40").code == 3
    assert open_secrets(home, "keyring").load().application == APPLICATION
    assert not home.secrets.exists()


def test_secrets_are_not_moved_from_under_a_cmam_that_runs(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would look for them where they were, renew no token any more, and end with the last one that it has."""
    monkeypatch.setattr(secrets_file, "desktop_ring", Ring)
    home = Home(person.home)
    open_secrets(home, "file").update(lambda vault: with_application(vault, APPLICATION))
    with StoreLock(person.home).acquire(since="", command="cmam start"):
        said = person.types("api", "configure", *NOWHERE, "--secrets", "keyring")
    assert said.code == 1
    assert "Stop it, then say --secrets again" in said.err
    assert open_secrets(home, "file").load().application == APPLICATION
    assert person.types("api", "show", "--json").lines[0]["secrets"] == "file"
