"""A disk that has little room is said before it is full, by figures that are given."""

from __future__ import annotations

from pathlib import Path

import pytest

from cmam.clock import SECOND_US, ManualClock
from cmam.store.logfile import room
from cmam.store.logfile.room import LEAST, LOOK_US, RoomWatch, log_bytes, shortage

MIB = 1 << 20
GIB = 1 << 30


class Disk:
    """A disk whose figures a test sets, and a log on it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free, self.total, self.log = 50 * GIB, 100 * GIB, 0
        monkeypatch.setattr(room, "free_and_total", lambda _: (self.free, self.total))
        self.clock, self.shown = ManualClock(), {"disk": ""}
        self.watch = RoomWatch(Path("/home/x"), self.clock, log_bytes=lambda _: self.log)

    def passes(self, seconds: int, a_second: int = 0) -> str:
        """Time passes in which the log grows; answers what is said at its end."""
        for _ in range(seconds):
            self.clock.advance(SECOND_US)
            self.log += a_second
            self.watch.look(self.shown.__setitem__)
        return self.shown["disk"]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    """A disk with room enough."""
    return Disk(monkeypatch)


def test_little_room_is_said_while_it_lasts(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    """In a sentence with what is left and what to do; gone once there is clearly room again, not at the next byte.

    The log has a line as it begins and one as it ends, however often it is looked at.
    """
    assert disk.passes(20) == ""
    disk.free = LEAST - 1
    text = disk.passes(20)
    assert "/home/x has 256 MiB left" in text
    assert "Make room" in text
    disk.free = LEAST + MIB
    assert disk.passes(20) != ""
    disk.free = 2 * LEAST
    assert disk.passes(20) == ""
    assert [record.getMessage()[:10] for record in caplog.records] == ["! The disk", "= the disk"]


def test_a_tiny_disk_is_told_in_units_that_show_it(disk: Disk) -> None:
    """It had 0 MiB left, and 0 MiB was little."""
    disk.total, disk.free = 4 * MIB, 300 << 10
    assert "has 300 KiB left; 409 KiB is little" in disk.passes(20)
    disk.total = 40 * MIB
    assert "has 300 KiB left; 4 MiB is little" in disk.passes(20)
    assert "has 300 KiB left; 9.5 MiB is little" in shortage_of(disk, 95 * MIB)


def shortage_of(disk: Disk, total: int) -> str:
    """What is said of a disk of that size."""
    disk.total = total
    return shortage(Path("/home/x"))


def test_an_hour_at_the_present_pace_is_little_room(disk: Disk) -> None:
    """Recording 1 MiB a second leaves 2 GiB no half hour, views included; at rest the same room is enough again."""
    disk.free = 2 * GIB
    assert disk.passes(30, MIB) == ""  # no pace yet
    assert "an hour of recording at the present pace takes 7,200 MiB" in disk.passes(60, MIB)
    assert disk.passes(700) == ""


def test_a_small_disk_is_no_alert_for_ever(disk: Disk) -> None:
    """Of a disk of 100 MiB a tenth is enough."""
    disk.free, disk.total = 20 * MIB, 100 * MIB
    assert disk.passes(20) == ""
    disk.free = 9 * MIB
    assert disk.passes(20) != ""


def test_a_file_system_without_a_size_is_never_short(disk: Disk) -> None:
    """As a tmpfs without a limit, which says that it has nothing at all."""
    disk.free = disk.total = 0
    assert disk.passes(90, MIB) == ""


def test_the_disk_is_asked_rarely(disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often the process's own thread comes round."""
    asked: list[object] = []
    monkeypatch.setattr(room, "free_and_total", lambda _: asked.append(1) or (GIB, GIB))
    for _ in range(100):
        disk.watch.look(disk.shown.__setitem__)
    disk.clock.advance(LOOK_US)
    disk.watch.look(disk.shown.__setitem__)
    assert len(asked) == 2


def test_a_real_folder_is_measured(tmp_path: Path) -> None:
    """By what whoever runs us may still write; a folder that is gone is not for this to say."""
    free, total = room.free_and_total(tmp_path)
    assert 0 < free <= total
    assert log_bytes(tmp_path) == 0
    (tmp_path / "events.db").write_bytes(b"x" * 10)
    assert log_bytes(tmp_path) == 10
    assert shortage(tmp_path, total + 1)
    assert shortage(tmp_path / "gone") == ""


def test_a_log_that_is_a_link_has_its_own_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the log lies on another disk than the home, both are looked at, and the full one is named."""
    home, other = tmp_path / "home", tmp_path / "other"
    for folder in (home, other):
        folder.mkdir()
    (home / "events.db").symlink_to(other / "events.db")
    monkeypatch.setattr(room, "free_and_total", lambda found: (GIB if found == home else MIB, 100 * GIB))
    assert f"The disk of {other} has 1 MiB left" in shortage(home)
