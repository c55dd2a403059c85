"""Where a vault is kept: one private file, written whole, or one entry of the desktop's keyring, by choice.

A place that is not private or does not answer is refused with a sentence; nothing is ever kept elsewhere silently.
Must not know what happens to tokens.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any, Protocol

from cmam.config.files import PRIVATE_FOLDER, is_open_to_writing, is_private, open_to_read, refusal, write_whole
from cmam.config.home import Home
from cmam.config.secret import Secret
from cmam.credentials.vault import Application, Grant, TokenPair, Vault

FORMAT = 1
MOMENT_US_MAX = 10**17
"""A moment in the year 5138: what is beyond it nobody wrote."""
KEYRING_SERVICE = "cmam"
KEYRING_TIMEOUT_S = 10.0
"""How long a keyring may take; a desktop without anybody at it would ask for a password for ever."""


class SecretsRefused(Exception):
    """Secrets cannot be read or kept where they should be, in one sentence that says what to do."""


class Backend(Protocol):
    """A place that holds one text durably."""

    def read(self) -> bytes | None:
        """The text, None where there is none yet; raises SecretsRefused."""
        ...

    def write(self, content: bytes) -> None:
        """Put a text in its place, all or nothing; raises SecretsRefused."""
        ...


class PrivateFile:
    """`secrets.json`: 0600 in a folder of 0700."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> bytes | None:
        try:
            with open_to_read(self._path) as file:
                content = file.read()
        except FileNotFoundError:
            if self._path.is_symlink():
                raise SecretsRefused(
                    f"{self._path} is a link to {os.readlink(self._path)}, which is not there: is its disk mounted? "
                    "Nothing was made in its place."
                ) from None
            return None
        except OSError as error:
            raise SecretsRefused(f"Expected to read {self._path}; found: {refusal(error, self._path)}.") from None
        self._demand_privacy()
        return content

    def write(self, content: bytes) -> None:
        folder = self._path.parent
        try:
            folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            self._demand_privacy()
            write_whole(self._path, content)
        except OSError as error:
            raise SecretsRefused(
                f"Expected to write {self._path}; found: {error.strerror}. The secrets are as they were."
            ) from None

    def remove(self) -> None:
        """Take it away, where a link leads too; raises OSError."""
        Path(os.path.realpath(self._path)).unlink()
        self._path.unlink(missing_ok=True)

    def _demand_privacy(self) -> None:
        folder = self._path.parent
        if not is_private(folder):
            raise SecretsRefused(
                f"Expected {folder} to be closed to other users, since it holds secrets; "
                f"found mode {folder.stat().st_mode & 0o777:03o}. Run: chmod 700 {folder}"
            )
        if self._path.exists() and not is_private(self._path):
            raise SecretsRefused(
                f"Expected {self._path} to be readable by its owner only; "
                f"found mode {self._path.stat().st_mode & 0o777:03o}. Others may have read your tokens: run chmod 600 "
                f"{self._path}, then authorise the accounts again."
            )


class Ring(Protocol):
    """What is used of the keyring package."""

    def get_password(self, service_name: str, username: str) -> str | None: ...

    def set_password(self, service_name: str, username: str, password: str) -> None: ...


def desktop_ring() -> Ring:
    """The keyring package, loaded where one was chosen only: it would make every start slower."""
    import keyring  # noqa: PLC0415 - see above

    return keyring


class KeyringEntry:
    """One entry of the keyring that the desktop offers, named after the home; each call is limited in time."""

    def __init__(self, name: str, ring: Ring | None = None, *, timeout_s: float = KEYRING_TIMEOUT_S) -> None:
        self._name = name
        self._ring: Ring = ring or desktop_ring()
        self._timeout_s = timeout_s

    def read(self) -> bytes | None:
        found = self._within_time(lambda: self._ring.get_password(KEYRING_SERVICE, self._name))
        return None if found is None else str(found).encode()

    def write(self, content: bytes) -> None:
        self._within_time(lambda: self._ring.set_password(KEYRING_SERVICE, self._name, content.decode()))

    def probe(self) -> None:
        """Write, read and compare something harmless; raises SecretsRefused unless the keyring really keeps things."""
        canary, name = secrets.token_hex(8), f"{self._name} (probe)"
        self._within_time(lambda: self._ring.set_password(KEYRING_SERVICE, name, canary))
        if self._within_time(lambda: self._ring.get_password(KEYRING_SERVICE, name)) != canary:
            raise SecretsRefused("The keyring did not give back what was put into it; choose --secrets file.")

    def _within_time(self, call: Callable[[], Any]) -> Any:
        outcome: list[Any] = []
        failure: list[BaseException] = []

        from keyring.errors import KeyringError  # noqa: PLC0415 - as `desktop_ring`

        def attempt() -> None:
            try:
                outcome.append(call())
            except (KeyringError, RuntimeError, OSError) as error:
                failure.append(error)

        worker = threading.Thread(target=attempt, name="keyring", daemon=True)
        try:
            worker.start()
        except RuntimeError as error:  # the machine has no thread to give
            raise SecretsRefused(f"The keyring cannot be asked: {error}. Nothing was changed.") from None
        worker.join(self._timeout_s)
        if worker.is_alive():
            raise SecretsRefused(
                f"The keyring did not answer within {self._timeout_s:.0f} s (is somebody there to unlock it?). "
                "Unlock it, or choose: cmam api configure --secrets file"
            )
        if failure or not outcome:
            raise SecretsRefused(
                "The keyring of this machine cannot be used "
                f"({type(failure[0]).__name__ if failure else 'no answer'}). Choose: cmam api configure --secrets file"
            )
        return outcome[0]


class SecretStore:
    """Reads and changes the vault of one home. `guard` keeps other processes out between reading and writing."""

    def __init__(self, backend: Backend, guard: Callable[[], AbstractContextManager[object]] = nullcontext) -> None:
        self._backend = backend
        self._guard = guard

    def load(self) -> Vault:
        """The vault as it is; an empty one, with a key of its own, where nothing was kept yet."""
        content = self._backend.read()
        return Vault(Secret(secrets.token_hex(32))) if content is None else _decode(content)

    def update(self, change: Callable[[Vault], Vault]) -> Vault:
        """Change the vault and return it once it is durable; raises SecretsRefused and leaves it as it was."""
        with self._guard():
            before = self.load()
            after = change(before)
            if after != before or self._backend.read() is None:
                self._backend.write(_encode(after))
        return after


def open_secrets(
    home: Home, kind: str, guard: Callable[[], AbstractContextManager[object]] = nullcontext
) -> SecretStore:
    """The secrets of a home, in the place that its settings name: `file` or `keyring`."""
    return SecretStore(backend_of(home, kind), guard)


def backend_of(home: Home, kind: str) -> PrivateFile | KeyringEntry:
    """The place that a setting names; raises SecretsRefused where others could say where a keyring's secrets go."""
    if kind != "keyring":
        return PrivateFile(home.secrets)
    for path in (home.root, home.settings):
        if path.exists() and is_open_to_writing(path):
            raise SecretsRefused(
                f"Expected {path} to be writable by its owner only, since the settings say to which host the secrets "
                f"go; found mode {path.stat().st_mode & 0o777:03o}. Look at them (cmam api show), then run: "
                f"chmod go-w {path}"
            )
    return KeyringEntry(str(home.root))


def move_secrets(home: Home, source: str, target: str) -> None:
    """Carry the vault over when the setting changes: kept in the new place, proved there, then taken from the old.

    Raises SecretsRefused before anything is lost.
    """
    if source == target:
        return
    new, old = backend_of(home, target), backend_of(home, source)
    if isinstance(new, KeyringEntry):
        new.probe()
    content = old.read()
    if content is None:
        return
    new.write(content)
    if new.read() != content:
        with suppress(SecretsRefused):
            _clear(new)  # a part of them, where nobody would look for it
        raise SecretsRefused(f"Expected the {target} to give the secrets back; it does not. They stay in the {source}.")
    _clear(old)


def _clear(place: PrivateFile | KeyringEntry) -> None:
    if isinstance(place, PrivateFile):
        place.remove()
    else:
        place.write(b"")


def _encode(vault: Vault) -> bytes:
    application = vault.application
    document = {
        "format": FORMAT,
        "fingerprint_key": vault.fingerprint_key.reveal(),
        "application": None
        if application is None
        else {"client_id": application.client_id, "client_secret": application.client_secret.reveal()},
        "grants": [_grant_document(grant) for grant in vault.grants],
    }
    return (json.dumps(document, indent=1) + "\n").encode()


def _grant_document(grant: Grant) -> dict[str, object]:
    return {
        "id": grant.id,
        "user": grant.user,
        "application": grant.application,
        "accounts": list(grant.accounts),
        "access_token": grant.pair.access.reveal(),
        "refresh_token": grant.pair.refresh.reveal(),
        "issued_at_us": grant.pair.issued_at,
        "expires_at_us": grant.pair.expires_at,
        "refreshing": grant.refreshing,
    }


def _decode(content: bytes) -> Vault:
    if not content.strip():
        return Vault(Secret(secrets.token_hex(32)))
    try:
        document = json.loads(content)
        if document["format"] != FORMAT:
            raise SecretsRefused(
                f"Expected secrets of format {FORMAT}, found {document['format']!r}: a newer cmam wrote them; use it."
            )
        kept = document["application"]
        bytes.fromhex(document["fingerprint_key"])
        return Vault(
            fingerprint_key=Secret(document["fingerprint_key"]),
            application=Application(_text(kept["client_id"]), Secret(_text(kept["client_secret"]))) if kept else None,
            grants=tuple(_grant(entry) for entry in document["grants"]),
        )
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        # The parser's own words would quote the content, so they stop here.
        raise SecretsRefused(
            "The secrets cannot be read: expected the JSON that cmam wrote, found something else. "
            "Restore the file from a backup, or remove it, configure the API and authorise the accounts again."
        ) from None


def _grant(entry: dict[str, Any]) -> Grant:
    expires_at = entry["expires_at_us"]
    return Grant(
        id=_text(entry["id"]),
        pair=TokenPair(
            access=Secret(_text(entry["access_token"])),
            refresh=Secret(_text(entry["refresh_token"])),
            issued_at=_moment(entry["issued_at_us"]),
            expires_at=None if expires_at is None else _moment(expires_at),
        ),
        accounts=tuple(int(account) for account in entry["accounts"]),
        application=_text(entry["application"]),
        user=int(entry["user"]),
        refreshing=bool(entry["refreshing"]),
    )


def _text(found: Any) -> str:
    """What was written as text; half of a sign is none, though JSON has a way to say it."""
    if not isinstance(found, str):
        raise TypeError("expected text")
    found.encode()
    return found


def _moment(found: Any) -> int:
    if not isinstance(found, int) or not 0 <= found <= MOMENT_US_MAX:
        raise TypeError("expected a moment")
    return found
