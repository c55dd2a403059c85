"""Whole-file writes under every failure there is: the old content or the new, never a mixture, never nothing."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cmam.config import files
from cmam.config.files import is_private, open_to_read, refusal, write_whole

STEPS = ("open", "fchmod", "write", "fsync", "close", "replace")
OLD, NEW = b"old " * 1_000, b"new " * 3_000


class Killed(BaseException):
    """The process ends here; no handler of ours may run afterwards that a real kill would not run."""


def _fail_at(step: str, call: int, error: BaseException) -> Callable[[str], Callable[..., Any]]:
    """Make the `call`-th use of the os function `step` raise, half of a write done first."""
    count = {"seen": 0}

    def wrapped(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def perform(*arguments: Any, **named: Any) -> Any:
            if name == step:
                count["seen"] += 1
                if count["seen"] == call:
                    if name == "write":
                        real(arguments[0], bytes(arguments[1])[:5])
                    raise error
            return real(*arguments, **named)

        return perform

    return wrapped


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with old content."""
    file = tmp_path / "secrets.json"
    write_whole(file, OLD)
    return file


@pytest.mark.parametrize("call", [1, 2])
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), Killed()], ids=["disk full", "killed"])
def test_any_interruption_leaves_the_old_or_the_new(
    path: Path, step: str, call: int, error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever call fails or never returns, one of the two contents stands there, private, and can be replaced."""
    fail = _fail_at(step, call, error)
    with monkeypatch.context() as patched:
        for name in STEPS:
            patched.setattr(files.os, name, fail(name))
        try:
            write_whole(path, NEW)
            finished = True
        except (OSError, Killed):
            finished = False
    found = path.read_bytes()
    assert found in (OLD, NEW)
    assert not finished or found == NEW
    assert is_private(path)
    write_whole(path, NEW)
    assert path.read_bytes() == NEW
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_bytes_and_name_are_forced_to_disk_in_that_order(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Content before rename, rename before return: else a power cut could leave an empty file."""
    calls: list[str] = []
    real_sync, real_replace = os.fsync, os.replace

    def sync(descriptor: int) -> None:
        calls.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_sync(descriptor)

    def replace(source: Path, target: Path) -> None:
        calls.append("rename")
        real_replace(source, target)

    monkeypatch.setattr(files.os, "fsync", sync)
    monkeypatch.setattr(files.os, "replace", replace)
    write_whole(path, NEW)
    assert calls == ["file", "rename", "folder"]


@pytest.mark.parametrize(("command", "left"), [(fcntl.F_GETFD, []), (-1, ["file"])], ids=["known", "unknown"])
def test_a_drive_that_keeps_bytes_for_later_is_told_not_to(
    path: Path, monkeypatch: pytest.MonkeyPatch, command: int, left: list[str]
) -> None:
    """By the call of a system that has one; where the file system does not know it, by the one of all others."""
    calls: list[str] = []
    monkeypatch.setattr(files, "_FULL_SYNC", command)
    monkeypatch.setattr(files.os, "fsync", lambda _: calls.append("file"))
    with path.open("rb") as file:
        files.sync(file.fileno())
    assert calls == left


def test_short_writes_are_continued(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A system that takes a few bytes at a time still gets all of them."""
    real = os.write
    monkeypatch.setattr(files.os, "write", lambda descriptor, data: real(descriptor, bytes(data)[:1000]))
    write_whole(path, NEW)
    assert path.read_bytes() == NEW


def test_a_file_is_its_owners_alone_under_any_umask(tmp_path: Path) -> None:
    """A generous umask does not open secrets, and one that takes more than that does not lock their owner out."""
    for umask in (0, 0o077, 0o777):
        before = os.umask(umask)
        try:
            write_whole(tmp_path / "closed", b"")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "closed").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("code", "owner", "said"),
    [
        (errno.EACCES, 0, "Permission denied (settings.toml belongs to root)"),
        (errno.EACCES, None, "Permission denied"),
        (errno.EACCES, 4_000_123, "Permission denied (settings.toml belongs to user 4000123)"),
        (errno.EIO, 0, "Input/output error"),
    ],
)
def test_a_file_of_somebody_else_is_said_to_be_his(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, owner: int | None, said: str
) -> None:
    """What one command with sudo has left behind is told from a folder that may not be written."""
    file = tmp_path / "settings.toml"
    file.touch()
    monkeypatch.setattr(os, "geteuid", lambda: 4_000_999)
    shown = os.stat_result([*file.stat()[:4], 4_000_999 if owner is None else owner, *file.stat()[5:]])
    monkeypatch.setattr(Path, "stat", lambda *_, **__: shown)
    assert refusal(OSError(code, os.strerror(code)), file) == said


def test_a_file_that_nobody_may_look_for_is_refused_in_the_machine_s_words(tmp_path: Path) -> None:
    """A folder above it is somebody else's, or it is not there at all."""
    assert refusal(OSError(errno.EACCES, "Permission denied"), tmp_path / "gone") == "Permission denied"


def test_what_is_no_file_is_left_as_it_is(tmp_path: Path) -> None:
    """A pipe, a device or a folder, also behind a link: as root a file would else stand in the place of /dev/null."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link, tmp_path):
        with pytest.raises(OSError, match="no file"):
            write_whole(path, b"new")
    assert pipe.is_fifo()
    assert sorted(tmp_path.iterdir()) == [link, pipe]


def test_what_was_named_is_read_and_nobody_waited_for(tmp_path: Path) -> None:
    """A pipe without a writer has nothing in it, one that is written to is read whole, other devices are refused."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with open_to_read(pipe) as file:
        assert file.read() == b""
    reads, writes = os.pipe()
    os.write(writes, NEW)
    os.close(writes)
    try:
        with open_to_read(Path(f"/dev/fd/{reads}")) as file:
            assert file.read() == NEW
    finally:
        os.close(reads)
    for name, said in ((Path("/dev/zero"), "this is a device"), (tmp_path, "Is a directory")):
        with pytest.raises(OSError, match=said):
            open_to_read(name)
