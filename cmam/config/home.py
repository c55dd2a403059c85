"""The folder that one cmam lives in, and the names of what lies there.

Chosen by `--home`, else `CMAM_HOME`, else the platform's folder for a user's data. Must not know what the files hold.
"""

from __future__ import annotations

import hashlib
import os
import pwd
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from cmam.config.files import PRIVATE_FOLDER, is_private

SOCKET_PATH_BYTES_MAX = 100
"""A Unix socket's path must fit into 104 bytes on macOS and 108 on Linux; some are kept in reserve."""


LIVED_BY = frozenset(
    {
        *(f"{name}{part}" for name in ("events.db", "views.db") for part in ("", "-wal", "-shm")),
        *("secrets.json", "settings.toml", "store.id", "store.end", "control.key"),
        *(f"{name}{part}" for name in ("lock", "secrets.lock", "views.lock") for part in ("", ".json")),
    }
)
"""Files that a home lives by, in its folder; older parts of its log lie in `archive`."""


def is_lived_by(path: Path) -> bool:
    """Whether a home lives by this file, so that nothing else may be written in its place."""
    try:
        real = path.resolve()
    except (OSError, RuntimeError):  # how pathlib says that links lead in a circle
        return False
    is_archived = real.parent.name == "archive"
    folder = real.parent.parent if is_archived else real.parent
    return (is_archived or real.name in LIVED_BY) and (folder / "lock").exists()


class HomeRefused(Exception):
    """The folder cannot be used, in one sentence that says what to do."""


@dataclass(frozen=True, slots=True)
class Home:
    """Paths below one folder; makes nothing until `prepare` is called."""

    root: Path

    @property
    def events(self) -> Path:
        """The log: the only truth."""
        return self.root / "events.db"

    @property
    def views(self) -> Path:
        """What is derived from the log; may be deleted at any time."""
        return self.root / "views.db"

    @property
    def secrets(self) -> Path:
        """Client secret and tokens, readable by their owner only."""
        return self.root / "secrets.json"

    @property
    def settings(self) -> Path:
        """How to reach the API, in TOML, without secrets."""
        return self.root / "settings.toml"

    @property
    def lock(self) -> Path:
        """Held by the process that writes the log; never deleted."""
        return self.root / "lock"

    @property
    def control_key(self) -> Path:
        """What a command proves itself with to the running system; fresh at each start."""
        return self.root / "control.key"

    @property
    def runtime(self) -> Path:
        """The private folder of the control socket: below the home where a socket's path may be that long."""
        inside = self.root / "run"
        if len(os.fsencode(inside / "control")) <= SOCKET_PATH_BYTES_MAX:
            return inside
        name = hashlib.sha256(os.fsencode(self.root)).hexdigest()[:12]
        return Path(tempfile.gettempdir()) / f"cmam-{os.getuid()}-{name}"

    @property
    def control_socket(self) -> Path:
        """Where the running system listens for commands."""
        return self.runtime / "control"

    @property
    def demo(self) -> Home:
        """The home of `cmam demo`, emptied at each run."""
        return Home(self.root / "demo")

    def prepare(self) -> None:
        """Make the folder if it is missing, private to its owner; raises HomeRefused where that cannot be.

        An empty folder that others may read is made private; one with something in it is left as it is, and secrets
        are then refused there.
        """
        try:
            self.root.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)
            if not is_private(self.root) and not any(self.root.iterdir()):
                self.root.chmod(PRIVATE_FOLDER)
        except OSError as error:
            raise HomeRefused(
                f"Expected a folder that can be made and written at {self.root}; found: {error.strerror or error}. "
                "Name another with --home or CMAM_HOME."
            ) from error
        if not os.access(self.root, os.W_OK | os.X_OK):
            raise HomeRefused(
                f"Expected a folder that can be written at {self.root}; it is read-only for this user. "
                "Name another with --home or CMAM_HOME."
            )

    def prepare_runtime(self) -> Path:
        """Make the folder of the control socket, private to its owner; raises HomeRefused if somebody else owns it."""
        folder = self.runtime
        try:
            folder.mkdir(mode=PRIVATE_FOLDER, exist_ok=True)
            owned = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
            if owned:
                folder.chmod(PRIVATE_FOLDER)
        except OSError as error:
            raise HomeRefused(f"Expected to make {folder}; found: {error.strerror or error}.") from error
        if not owned:
            raise HomeRefused(f"Expected {folder} to be a folder of this user; it belongs to another. Remove it first.")
        return folder


def choose_home(option: str | None, environment: Mapping[str, str]) -> Home:
    """Say which folder is meant: the option, else CMAM_HOME, else the platform's own place; raises HomeRefused."""
    named = option or environment.get("CMAM_HOME")
    if named:
        try:
            root = Path(named).expanduser().absolute()
        except RuntimeError:  # how pathlib says that it knows no such user
            raise HomeRefused(f"Expected a folder, found {named!r}, and no user of that name.") from None
        if os.path.exists(root) and not os.path.isdir(root):
            raise HomeRefused(f"Expected a folder, found the file {root}. Name another with --home or CMAM_HOME.")
        return _open_to_us(Home(root))
    try:
        found = platformdirs.user_data_path("cmam", appauthor=False)
    except RuntimeError:
        found = Path()
    if not found.is_absolute():
        raise HomeRefused(
            "Expected a folder for cmam, found none: no --home, no CMAM_HOME, and this user has no home folder. Name "
            "one with --home FOLDER."
        )
    return _open_to_us(Home(found))


def _open_to_us(home: Home) -> Home:
    """A home that is this user's, or not made yet; raises HomeRefused for another user's, and a link to nowhere.

    Taken for a home that is not made yet, one on a disk that is not there would look as if nothing had ever been added.
    """
    root = home.root
    try:
        found = root.stat()
    except FileNotFoundError:
        if root.is_symlink():
            raise HomeRefused(
                f"Expected a folder at {root}, found a link to {os.readlink(root)}, which is not there. Is its disk "
                "mounted? Name another with --home or CMAM_HOME."
            ) from None
        return home
    except OSError:
        return home  # whoever looks for a file in it is told why not
    if not os.access(root, os.X_OK) and found.st_uid != os.getuid():
        raise HomeRefused(
            f"The home {root} belongs to {_user(found.st_uid)}, and is closed to other users. Type the command as that "
            "user, or name a home of your own with --home or CMAM_HOME."
        )
    return home


def _user(number: int) -> str:
    try:
        return f"the user {pwd.getpwuid(number).pw_name}"
    except KeyError:
        return f"the user with the number {number}"
