"""Files that are either the old ones or the new ones, whatever happens in between.

Used for settings and for secrets. Must not know what stands in them. And why a file is not to be had.
"""

from __future__ import annotations

import errno
import fcntl
import io
import os
import pwd
import stat
from contextlib import suppress
from pathlib import Path

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700

_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
"""What macOS calls it to have the drive write down what it took; nothing elsewhere, where `fsync` does."""


def write_whole(path: Path, content: bytes) -> None:
    """Replace `path` by `content`, durably: a crash or a full disk at any step leaves the old file or the new one.

    The new bytes are written beside the old, forced to disk, moved over them, and the move is forced to disk too.
    The caller is the only writer of this path (it holds the store's lock). A link goes on leading where it leads: what
    somebody keeps on another disk, as an encrypted one, stays there. Raises OSError, also where no file stands there.
    """
    path = Path(os.path.realpath(path))
    if path.exists() and not path.is_file():  # root could put a file in the place of /dev/null
        raise OSError(errno.EINVAL, "this is a folder or a device, and no file", str(path))
    beside = path.with_name(f".{path.name}.new")
    beside.unlink(missing_ok=True)  # left by a process that was killed here
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE_FILE)
    try:
        try:
            os.fchmod(descriptor, PRIVATE_FILE)  # whatever the umask says
            _write_all(descriptor, content)
            sync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(beside, path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        error.filename = error.filename or str(path)
        raise
    sync_folder(path.parent)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def sync(descriptor: int) -> None:
    """Have what was written survive a power cut: on the disk, and not only on its way there.

    macOS hands it to the drive at an `fsync`, which keeps it for later in a memory of its own; there is another call
    that has the drive write it down. A file system of another kind does not know that one.
    """
    if _FULL_SYNC is not None:
        with suppress(OSError):
            fcntl.fcntl(descriptor, _FULL_SYNC)
            return
    os.fsync(descriptor)


def sync_folder(folder: Path) -> None:
    """Make names in a folder, new and old, survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sync(descriptor)
    finally:
        os.close(descriptor)


def open_to_read(path: Path) -> io.BufferedReader:
    """Open what somebody named to be read, and wait for nobody: only a file, a pipe or a terminal has an end.

    A pipe whose writer has gone, or never came, is one with nothing in it: it would be waited for without a word. One
    that is written to, as of `<(...)`, is read to its end. Raises OSError, also for any other device.
    """
    return open(path, "rb", opener=_at_once)


def _at_once(path: str, flags: int) -> int:
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "this is a device, and no file", path)
    os.set_blocking(descriptor, True)
    return descriptor


def is_private(path: Path) -> bool:
    """Whether nobody but the owner may read, write or enter; a link counts as what it points to."""
    return path.stat().st_mode & 0o077 == 0


def is_open_to_writing(path: Path) -> bool:
    """Whether others than the owner may write it, or put something in its place; a link counts as what it points to."""
    return path.stat().st_mode & 0o022 != 0


def refusal(error: OSError, path: Path) -> str:
    """Why the machine does not let us have a file, and whose it is where it is somebody else's.

    A command that was once run as another user, as with sudo, leaves files behind that only he may use.
    """
    text = error.strerror or str(error)
    if not isinstance(error, PermissionError):
        return text
    try:
        owner = path.stat().st_uid
    except OSError:  # a folder above it is somebody else's
        return text
    if owner == os.geteuid():
        return text
    try:
        name = pwd.getpwuid(owner).pw_name
    except KeyError:
        name = f"user {owner}"
    return f"{text} ({path.name} belongs to {name})"
