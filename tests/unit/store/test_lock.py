"""The lock: one holder, whose name the second learns, and whose end frees it however it comes."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cmam.store.errors import StoreHeld, StoreUnavailable
from cmam.store.logfile.lock import StoreLock

SINCE = "2020-01-01T00:00:00.000Z"
_HOLD = """
import sys
from pathlib import Path
from cmam.store.logfile.lock import StoreLock
with StoreLock(Path(sys.argv[1])).acquire(since="2020-01-01T00:00:00.000Z", command="cmam start"):
    print("held", flush=True)
    sys.stdin.read()
"""


def _other(home: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def _take(home: Path) -> StoreLock:
    return StoreLock(home).acquire(since=SINCE, command="cmam start", patience_s=0)


def test_the_second_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    """Process, command and since when stand in the refusal, in one sentence."""
    process = _other(tmp_path)
    try:
        with pytest.raises(StoreHeld) as caught:
            _take(tmp_path)
        assert caught.value.pid == process.pid
        assert f"process {process.pid} (cmam start, since {SINCE})" in str(caught.value)
        holder = StoreLock(tmp_path).holder()
        assert holder is not None
        assert holder.pid == process.pid
    finally:
        process.communicate()


def test_what_a_lock_says_is_for_its_owner_alone(tmp_path: Path) -> None:
    """As all files of a home, whatever the umask of who runs it; and whatever a process that was killed has left."""
    (tmp_path / f"lock.json.{os.getpid()}").write_text("half of")
    before = os.umask(0)
    try:
        with _take(tmp_path):
            modes = {file.name: file.stat().st_mode & 0o777 for file in tmp_path.iterdir()}
    finally:
        os.umask(before)
    assert modes == {"lock": 0o600, "lock.json": 0o600}


def test_a_killed_holder_frees_it(tmp_path: Path) -> None:
    """The lock ends with its process, so a crash never needs a person to delete a file."""
    process = _other(tmp_path)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert (tmp_path / "lock.json").exists()  # what it left behind says nothing any more
    assert StoreLock(tmp_path).holder() is None
    with _take(tmp_path):
        holder = StoreLock(tmp_path).holder()
        assert holder is not None
        assert holder.pid == os.getpid()


def test_the_file_is_never_deleted(tmp_path: Path) -> None:
    """A deleted lock file would let two processes hold two locks of one name."""
    with _take(tmp_path):
        inode = (tmp_path / "lock").stat().st_ino
    assert (tmp_path / "lock").stat().st_ino == inode
    with _take(tmp_path):
        assert (tmp_path / "lock").stat().st_ino == inode
    assert not (tmp_path / "lock.json").exists()


def test_looking_does_not_take_it(tmp_path: Path) -> None:
    """Asking who holds the lock leaves it free, and makes no file where there is none."""
    assert StoreLock(tmp_path).holder() is None
    assert not list(tmp_path.iterdir())
    with _take(tmp_path):
        pass
    assert StoreLock(tmp_path).holder() is None
    with _take(tmp_path):
        pass


def test_a_full_disk_leaves_neither_a_lock_nor_a_piece_of_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who cannot write down that he holds it does not hold it, and what he began to write is gone."""

    def full(path: Path, content: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        with pytest.raises(StoreUnavailable, match="No space left"):
            _take(tmp_path)
    assert [found.name for found in tmp_path.iterdir()] == ["lock"]
    with _take(tmp_path):
        pass


@pytest.mark.parametrize("code", [errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK])
@pytest.mark.parametrize("was_used", [True, False])
def test_a_file_system_without_locks_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, was_used: bool
) -> None:
    """A file that stands for a lock would outlive a killed holder; looking works all the same."""

    def flock(_handle: int, _how: int) -> None:
        raise OSError(code, os.strerror(code))

    if was_used:
        (tmp_path / "lock").touch()
    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(StoreUnavailable, match="its file system has no locks"):
        StoreLock(tmp_path).acquire(since="", command="cmam start", patience_s=0)
    assert StoreLock(tmp_path).holder() is None
    assert not (tmp_path / "lock.json").exists()


def test_a_folder_that_cannot_be_locked_is_said_so(tmp_path: Path) -> None:
    """A file in the way is a sentence, not a traceback."""
    (tmp_path / "home").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="cannot be locked"):
        _take(tmp_path / "home")


@pytest.mark.parametrize(("code", "is_held"), [(errno.ENOSPC, True), (errno.EACCES, False)])
def test_a_full_disk_takes_no_name_and_the_lock_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, is_held: bool
) -> None:
    """Of one who has closes to send: the name of a holder that has gone does not stay. What else fails is refused."""

    def write_bytes(_path: Path, _content: bytes) -> int:
        raise OSError(code, os.strerror(code))

    (tmp_path / "lock.json").write_text('{"pid": 1, "since": "", "command": "old"}')
    monkeypatch.setattr(Path, "write_bytes", write_bytes)
    lock = StoreLock(tmp_path)
    if not is_held:
        with pytest.raises(StoreUnavailable, match="cannot be written"):
            lock.acquire(since="", command="cmam start", may_be_nameless=True)
        assert lock.holder() is None
        return
    with lock.acquire(since="", command="cmam start", may_be_nameless=True):
        assert not (tmp_path / "lock.json").exists()
        with pytest.raises(StoreHeld):
            StoreLock(tmp_path).acquire(since="", command="cmam start", patience_s=0)
