"""What a home keeps secret, and the places it is kept in."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from keyring.errors import NoKeyringError

from cmam.config.home import Home
from cmam.config.secret import MASK, Secret
from cmam.credentials import secrets_file
from cmam.credentials.secrets_file import KeyringEntry, PrivateFile, SecretsRefused, SecretStore, open_secrets
from cmam.credentials.vault import (
    Application,
    TokenPair,
    Vault,
    as_known,
    locked_out,
    refreshed,
    unticked,
    with_application,
    with_grant,
    without_accounts,
)
from tests.shortages import no_threads

_ENDLESS = (
    b'{"format": 1, "fingerprint_key": "00", "application": null, "grants": [{"id": "g", "access_token": "hunter2", '
    b'"refresh_token": "", "issued_at_us": 0, "expires_at_us": null, "accounts": [Infinity]}]}'
)
"""A number that JSON knows here, and that is none."""
DAY_US = 86_400_000_000


def a_pair(name: str, *, issued_at: int = 0, expires_at: int | None = 30 * DAY_US) -> TokenPair:
    """Two tokens that tests can recognise."""
    return TokenPair(Secret(f"access-{name}"), Secret(f"refresh-{name}"), issued_at, expires_at)


@pytest.fixture
def vault() -> Vault:
    """An application, and one cTrader ID with two accounts."""
    empty = Vault(Secret("ab" * 32))
    configured = with_application(empty, Application("client", Secret("client-secret")))
    return with_grant(configured, a_pair("one"), [1, 2], user=7)[0]


class TestSecret:
    def test_nothing_but_reveal_shows_it(self, caplog: pytest.LogCaptureFixture) -> None:
        """However a secret is formatted, logged or put into a traceback, its text stays hidden."""
        secret = Secret("hunter2")
        logging.getLogger("test").warning("token %s %r", secret, [secret])
        shown = [str(secret), repr(secret), f"{secret}", f"{secret:>20}", f"{[secret]}", f"{a_pair('x')}", caplog.text]
        assert all("hunter2" not in text and "access-x" not in text for text in shown)
        assert MASK in caplog.text
        assert secret.reveal() == "hunter2"

    def test_it_is_neither_pickled_nor_dumped(self) -> None:
        """A secret cannot slip into a message between processes."""
        with pytest.raises(TypeError):
            pickle.dumps(Secret("x"))
        with pytest.raises(TypeError):
            copy.deepcopy(Secret("x"))
        with pytest.raises(TypeError):
            json.dumps(Secret("x"))

    def test_equal_texts_are_equal_secrets(self) -> None:
        """Comparing pairs of tokens works without revealing them."""
        assert Secret("a") == Secret("a") != Secret("b")
        assert Secret("a") != "a"
        assert not Secret("")


class TestFingerprints:
    def test_they_tell_apart_and_say_nothing(self, vault: Vault) -> None:
        """The same text has the same name in one home, and another name in another home."""
        other = Vault(Secret("cd" * 32))
        assert vault.fingerprint("token") == vault.fingerprint("token") != vault.fingerprint("token2")
        assert vault.fingerprint("token") != other.fingerprint("token")
        assert len(vault.fingerprint("token")) == 16


class TestGrants:
    def test_the_newest_consent_owns_its_accounts(self, vault: Vault) -> None:
        """An account is opened by one grant at a time; a grant that opens nothing more is forgotten."""
        partly, second = with_grant(vault, a_pair("two"), [2, 3], user=7)
        assert partly.grant_of(2) == second
        assert [grant.accounts for grant in partly.grants] == [(1,), (2, 3)]
        whole, third = with_grant(partly, a_pair("three"), [1, 2, 3], user=7)
        assert whole.grants == (third,)

    def test_the_same_tokens_again_change_nothing(self, vault: Vault) -> None:
        """Repeating `account add` with the same tokens is no error and no second grant."""
        assert with_grant(vault, a_pair("one"), [1, 2], user=7)[0] == vault

    def test_a_token_that_is_brought_again_is_no_younger_and_loses_nothing(self, vault: Vault) -> None:
        """A script that adds it at each start does not put off its refresh, nor forget how to."""
        alone = TokenPair(Secret("access-one"), Secret(""), issued_at=20 * DAY_US)
        again, grant = with_grant(vault, alone, [1, 2], user=7)
        assert again == vault
        assert grant.pair.refresh_at == a_pair("one").refresh_at

    def test_a_pair_that_was_refreshed_here_stands_for_the_one_it_came_from(self, vault: Vault) -> None:
        """A script goes on bringing the first pair, which is spent: what became of it is used, and never lost."""
        later = refreshed(vault, vault.grants[0].id, a_pair("new"))
        assert as_known(later, a_pair("one")) == a_pair("new")
        assert with_grant(later, a_pair("one"), [1, 2], user=7)[0] == later
        assert as_known(later, a_pair("other")) == a_pair("other")

    def test_a_refreshed_pair_keeps_the_name_of_its_grant(self, vault: Vault) -> None:
        """The log names a consent by its grant, so the name outlives the tokens."""
        name = vault.grants[0].id
        again, grant = with_grant(refreshed(vault, name, a_pair("new")), a_pair("new"), [1, 2], user=7)
        assert grant.id == name
        assert again.grant_of(1) == grant

    def test_accounts_that_a_new_consent_leaves_out_are_named(self, vault: Vault) -> None:
        """Before a narrower consent is taken in, somebody can be told what it would cost."""
        assert unticked(vault, [2, 3], user=7) == (1,)
        assert unticked(vault, [2, 3], user=8) == ()

    def test_another_application_locks_every_account_out_until_it_returns(self, vault: Vault) -> None:
        """Changing the application makes each grant useless, and going back makes each useful again."""
        assert locked_out(vault, "other") == (1, 2)
        assert locked_out(vault, "client") == ()
        changed = with_application(vault, Application("other", Secret("s")))
        assert changed.grant_of(1) is None
        renewed, _ = with_grant(changed, a_pair("two"), [1], user=7)
        assert renewed.grant_of(1) is not None
        assert locked_out(renewed, "client") == ()
        assert with_application(renewed, Application("client", Secret("s2"))).grant_of(2) is not None

    def test_removing_accounts_forgets_tokens_that_open_nothing(self, vault: Vault) -> None:
        """A token is kept no longer than somebody needs it."""
        assert without_accounts(vault, [1]).grants[0].accounts == (2,)
        assert without_accounts(vault, [1, 2]).grants == ()

    @given(issued=st.integers(0, 10**16), life=st.integers(1, 10**14))
    def test_refreshing_comes_well_before_the_end(self, issued: int, life: int) -> None:
        """Whatever a token's life, a fifth of it is left when it is refreshed."""
        at = a_pair("x", issued_at=issued, expires_at=issued + life).refresh_at
        assert issued <= at <= issued + life - life // 5

    def test_a_token_of_unknown_life_is_refreshed_within_a_month(self) -> None:
        """A script may not know when its token ends; thirty days are what the provider gives."""
        assert a_pair("x", expires_at=None).refresh_at < 30 * DAY_US


class TestFile:
    def test_everything_survives_the_file(self, vault: Vault, tmp_path: Path) -> None:
        """What was kept is found again by the next process, tokens and all."""
        home = Home(tmp_path / "home")
        open_secrets(home, "file").update(lambda _: vault)
        assert open_secrets(home, "file").load() == vault
        assert home.secrets.stat().st_mode & 0o777 == 0o600
        assert home.root.stat().st_mode & 0o777 == 0o700

    def test_a_file_that_others_can_read_is_refused(self, vault: Vault, tmp_path: Path) -> None:
        """An opened file or folder is named with the command that closes it, and nothing is used from it."""
        home = Home(tmp_path / "home")
        store = open_secrets(home, "file")
        store.update(lambda _: vault)
        home.secrets.chmod(0o640)
        with pytest.raises(SecretsRefused, match=r"found mode 640\. .*chmod 600"):
            store.load()
        home.secrets.chmod(0o600)
        home.root.chmod(0o755)
        with pytest.raises(SecretsRefused, match=r"found mode 755\. Run: chmod 700"):
            store.load()
        with pytest.raises(SecretsRefused):
            store.update(lambda vault: without_accounts(vault, [1]))
        home.root.chmod(0o700)
        assert store.load() == vault

    def test_a_link_goes_on_leading_where_it_leads(self, vault: Vault, tmp_path: Path) -> None:
        """Secrets that somebody keeps on an encrypted disk came back to the plain one with the first token renewed."""
        home, disk = Home(tmp_path / "home"), tmp_path / "disk"
        store = open_secrets(home, "file")
        store.update(lambda _: vault)
        disk.mkdir()
        home.secrets.rename(disk / "kept.json")
        home.secrets.symlink_to(disk / "kept.json")
        changed = store.update(lambda vault: without_accounts(vault, [1]))
        assert home.secrets.is_symlink()
        assert changed == store.load()
        assert b"grants" in (disk / "kept.json").read_bytes()
        disk.rename(tmp_path / "unmounted")
        for use in (store.load, lambda: store.update(lambda _: vault)):
            with pytest.raises(SecretsRefused, match="is its disk mounted"):
                use()
        assert home.secrets.is_symlink()

    def test_secrets_that_are_moved_leave_no_file_behind_a_link(self, vault: Vault, tmp_path: Path) -> None:
        """The keyring has them: what a link led to is gone too."""
        file = PrivateFile(tmp_path / "home" / "secrets.json")
        SecretStore(file).update(lambda _: vault)
        (tmp_path / "home" / "secrets.json").rename(tmp_path / "kept.json")
        (tmp_path / "home" / "secrets.json").symlink_to(tmp_path / "kept.json")
        file.remove()
        assert not (tmp_path / "kept.json").exists()
        assert not (tmp_path / "home" / "secrets.json").is_symlink()

    @pytest.mark.parametrize(
        "content",
        [
            *(b"{", b"[]", b'{"format":1}', b'{"format":2}', b"\xff", b'{"secret":"hunter2"}', b"[" * 100_000),
            _ENDLESS,
        ],
    )
    def test_a_broken_file_is_a_sentence_that_quotes_nothing(self, tmp_path: Path, content: bytes) -> None:
        """Whatever stands in the file, the complaint does not repeat it."""
        tmp_path.chmod(0o700)
        file = PrivateFile(tmp_path / "secrets.json")
        file.write(content)
        with pytest.raises(SecretsRefused) as caught:
            SecretStore(file).load()
        assert "hunter2" not in str(caught.value)
        assert caught.value.__cause__ is None

    @pytest.mark.parametrize(
        ("place", "spoilt"),
        [
            (("application", "client_id"), None),
            (("application", "client_id"), "\ud800"),
            (("application", "client_secret"), 5),
            (("grants", 0, "access_token"), None),
            (("grants", 0, "issued_at_us"), 10**30),
            (("grants", 0, "expires_at_us"), "soon"),
            (("grants", 0, "accounts"), None),
        ],
    )
    def test_each_value_is_of_its_kind(
        self, vault: Vault, tmp_path: Path, place: tuple[str | int, ...], spoilt: object
    ) -> None:
        """A file that is JSON and has every name, but something else behind one, is refused whole."""
        home = Home(tmp_path / "home")
        store = open_secrets(home, "file")
        store.update(lambda _: vault)
        document = inner = json.loads(home.secrets.read_text())
        for name in place[:-1]:
            inner = inner[name]
        inner[place[-1]] = spoilt
        home.secrets.write_text(json.dumps(document))
        with pytest.raises(SecretsRefused, match="The secrets cannot be read"):
            store.load()

    def test_a_failed_write_changes_nothing(
        self, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A full disk leaves the old tokens where they were, and says so."""
        store = open_secrets(Home(tmp_path / "home"), "file")
        store.update(lambda _: vault)

        def full(*_: object, **__: object) -> None:
            raise OSError(28, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr(secrets_file, "write_whole", full)
            with pytest.raises(SecretsRefused, match="No space left"):
                store.update(lambda vault: without_accounts(vault, [1]))
        assert store.load() == vault

    def test_reading_and_writing_stand_under_one_guard(self, vault: Vault, tmp_path: Path) -> None:
        """Two processes that change secrets at once do not undo each other: the guard covers the reading too."""
        file = PrivateFile(tmp_path / "home" / "secrets.json")
        lock = threading.Lock()
        seen: list[bool] = []

        @contextmanager
        def guard() -> Any:
            with lock:
                yield

        class Watched:
            def read(self) -> bytes | None:
                seen.append(lock.locked())
                return file.read()

            def write(self, content: bytes) -> None:
                seen.append(lock.locked())
                file.write(content)

        SecretStore(Watched(), guard).update(lambda _: vault)
        assert seen
        assert all(seen)


class Ring:
    """A keyring in memory, with the ways in which real ones disappoint."""

    def __init__(
        self,
        *,
        hangs: threading.Event | None = None,
        forgets: bool = False,
        broken: bool = False,
        length: int | None = None,
    ) -> None:
        self.kept: dict[tuple[str, str], str] = {}
        self._hangs, self._forgets, self._broken, self._length = hangs, forgets, broken, length

    def get_password(self, service: str, name: str) -> str | None:
        if self._hangs:
            self._hangs.wait(120)
        if self._broken:
            raise NoKeyringError("no backend")
        return self.kept.get((service, name))

    def set_password(self, service: str, name: str, password: str) -> None:
        if self._broken:
            raise NoKeyringError("no backend")
        if not self._forgets:
            self.kept[service, name] = password[: self._length]


class TestKeyring:
    def test_both_tokens_are_one_entry(self, vault: Vault) -> None:
        """The vault is one entry of the ring, so that no crash can part two tokens."""
        ring = Ring()
        store = SecretStore(KeyringEntry("home", ring))
        store.update(lambda _: vault)
        assert store.load() == vault
        assert len(ring.kept) == 1

    def test_a_ring_that_hangs_is_left_after_its_time(self) -> None:
        """A locked ring on a machine without anybody at it is an error with a cure, not a program that stands still."""
        release = threading.Event()
        with pytest.raises(SecretsRefused, match="did not answer"):
            KeyringEntry("home", Ring(hangs=release), timeout_s=0.05).read()
        release.set()

    def test_a_machine_without_a_thread_is_a_sentence(self) -> None:
        """Whoever keeps the tokens tries again later."""
        with no_threads(), pytest.raises(SecretsRefused, match="can't start new thread"):
            KeyringEntry("home", Ring()).read()

    def test_a_ring_that_forgets_or_is_missing_is_refused(self) -> None:
        """The probe writes and reads back: a ring that loses things, or none at all, is refused by name."""
        with pytest.raises(SecretsRefused, match="did not give back"):
            KeyringEntry("home", Ring(forgets=True)).probe()
        with pytest.raises(SecretsRefused, match=r"cannot be used \(NoKeyringError\)"):
            KeyringEntry("home", Ring(broken=True)).probe()

    def test_settings_that_others_can_write_send_no_secrets_out_of_a_ring(
        self, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They name the host and the authority that it is trusted by: who writes them is given the tokens."""
        home, ring = Home(tmp_path / "home"), Ring()
        home.prepare()
        monkeypatch.setattr(secrets_file, "desktop_ring", lambda: ring)
        open_secrets(home, "keyring").update(lambda _: vault)
        home.settings.write_text("")
        for path, closed in ((home.root, 0o755), (home.settings, 0o644)):
            for mode in (0o020, 0o002):
                path.chmod(closed | mode)
                with pytest.raises(SecretsRefused, match=f"run: chmod go-w {path}"):
                    open_secrets(home, "keyring")
            path.chmod(closed)
            assert open_secrets(home, "keyring").load() == vault

    def test_moving_keeps_everything_or_stays(
        self, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Secrets leave the old place only once the new one has given them back."""
        home = Home(tmp_path / "home")
        open_secrets(home, "file").update(lambda _: vault)
        monkeypatch.setattr(secrets_file, "desktop_ring", lambda: Ring(broken=True))
        with pytest.raises(SecretsRefused):
            secrets_file.move_secrets(home, "file", "keyring")
        assert open_secrets(home, "file").load() == vault
        ring = Ring()
        monkeypatch.setattr(secrets_file, "desktop_ring", lambda: ring)
        secrets_file.move_secrets(home, "file", "keyring")
        assert not home.secrets.exists()
        assert open_secrets(home, "keyring").load() == vault
        secrets_file.move_secrets(home, "keyring", "file")
        assert open_secrets(home, "file").load() == vault
        assert "access-one" not in str(ring.kept)

    def test_a_ring_that_keeps_only_a_part_is_left_without_it(
        self, vault: Vault, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Some rings cut what is long: a probe passes, the secrets do not. They stay, and no part of them is left in a
        place where nobody would look for it."""
        home, ring = Home(tmp_path / "home"), Ring(length=200)
        open_secrets(home, "file").update(lambda _: vault)
        monkeypatch.setattr(secrets_file, "desktop_ring", lambda: ring)
        with pytest.raises(SecretsRefused, match="They stay in the file"):
            secrets_file.move_secrets(home, "file", "keyring")
        assert open_secrets(home, "file").load() == vault
        assert "fingerprint_key" not in str(ring.kept)
