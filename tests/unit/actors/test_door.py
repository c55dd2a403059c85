"""A start on a disk that is full: it copies, and other terminals reach it once there is room for the key."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from cmam.actors.operating.control import AGAIN_US, ControlListener, Door
from cmam.clock import ManualClock


class Listener(ControlListener):
    """One whose disk fails as it is told to."""

    def __init__(self) -> None:
        super().__init__(Path("/nowhere"), Path("/nowhere/key"), lambda *_: None)
        self.error: OSError | None = None
        self.started = self.tried = 0

    def start(self) -> None:
        self.tried += 1
        if self.error is not None:
            raise self.error
        self.started += 1


def test_a_full_disk_keeps_other_terminals_out_and_nothing_else() -> None:
    """It is an alert until there is room, tried now and then, and opened once."""
    listener, clock, alarms = Listener(), ManualClock(), dict[str, str]()
    listener.error = OSError(errno.ENOSPC, "No space left on device")
    door = Door(listener, clock, alarms.__setitem__)
    door.tend()
    door.tend()
    assert listener.tried == 1
    assert "No space left" in alarms["control"]
    clock.advance(AGAIN_US)
    listener.error = None
    door.tend()
    door.tend()
    assert (listener.tried, listener.started) == (2, 1)
    assert alarms == {"control": ""}


def test_what_copies_by_now_is_ended_by_no_trouble_of_the_door() -> None:
    """Once it has waited for room, whatever else keeps it shut is an alert too: copying goes on without it."""
    listener, clock, alarms = Listener(), ManualClock(), dict[str, str]()
    listener.error = OSError(errno.ENOSPC, "No space left on device")
    door = Door(listener, clock, alarms.__setitem__)
    door.tend()
    listener.error = OSError(errno.ENOENT, "No such file or directory")
    clock.advance(AGAIN_US)
    door.tend()
    assert "No such file" in alarms["control"]


def test_any_other_trouble_ends_the_start() -> None:
    """A socket that cannot be made will not be there later either."""
    listener = Listener()
    listener.error = OSError(errno.EACCES, "Permission denied")
    with pytest.raises(PermissionError):
        Door(listener, ManualClock(), lambda *_: None).tend()
