"""A reader and those who take what it tells: it reads on as long as they keep up, and no further where they do not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest

from cmam.actors import messages as m
from cmam.actors.lines.delivery import EACH
from cmam.actors.lines.pace import FLOOD_US, LATE_US, LOOK_S, ROW, ROWS, ROWS_MAX, Pace, Passed
from cmam.actors.lines.reader import ThreadReader
from cmam.actors.status import StatusBoard
from cmam.actors.threads.runtime import Latch
from cmam.clock import SECOND_US, ManualClock
from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi.envelope import encode
from cmam.openapi.quotes import QuoteBoard
from tests.shortages import no_threads
from tests.unit.actors.handed import Connection

NAME = "connection:demo-1"
LEADER, FOLLOWER = 45_000_000, 45_000_001
IN_A_ROW = -(-ROW // EACH)
FRAMES = 20
"""So many frames come at once."""


class Taker:
    """A directory behind which one actor has an inbox that nobody empties but the test."""

    def __init__(self) -> None:
        self.waiting: list[Any] = []
        self.most = 0
        self.taken = 0
        self.is_gone = False

    def tell(self, name: str, message: object) -> bool:
        assert name == NAME
        self.waiting.append(message)
        self.most = max(self.most, len(self.waiting))
        return not self.is_gone

    def ref(self, _name: str) -> Any:
        return SimpleNamespace(actor_stopped=SimpleNamespace(is_set=lambda: self.is_gone))

    def take(self, *, until_mark: bool) -> None:
        """Take what waits, all of it or as far as the first mark."""
        while self.waiting:
            message = self.waiting.pop(0)
            self.taken += not isinstance(message, Passed)
            if isinstance(message, Passed):
                message.latch.open()
                if until_mark:
                    return


class Flood:
    """A line on which so many frames wait to be read."""

    def __init__(self, clock: ManualClock, account: int, frames: int, apart_us: int) -> None:
        self._clock = clock
        event = oa.ProtoOAExecutionEvent(ctidTraderAccountId=account, executionType=2)
        self._data = encode(event) * FRAMES
        self._left = frames // FRAMES
        self._apart_us = apart_us

    def receive(self) -> bytes:
        self._clock.advance(self._apart_us)
        self._left -= 1
        return self._data if self._left >= 0 else b""

    def send(self, data: bytes) -> None:
        raise AssertionError(f"a reader writes nothing, here {data!r}")

    def close(self, *, at_once: bool = False) -> None:
        """Nothing to let go of."""


def read(taker: Any, flood: Flood, clock: ManualClock, wait: Callable[[Latch, float], bool]) -> QuoteBoard:
    """Read a whole line in this thread."""
    board = QuoteBoard()
    ThreadReader(lambda: flood, board, clock, taker, NAME, lambda: {LEADER}, wait)._run(1)
    return board


@pytest.mark.parametrize("account", [LEADER, FOLLOWER])
@pytest.mark.parametrize(("apart_us", "rows"), [(LATE_US, ROWS + 1), (0, ROWS_MAX + 1)])
def test_a_reader_is_never_further_ahead_than_its_rows(account: int, apart_us: int, rows: int) -> None:
    """Of a flood no more waits than a few rows, however long it lasts, and all of it is told in the end."""
    clock, taker = ManualClock(), Taker()
    waits = 0

    def wait(latch: Latch, timeout_s: float) -> bool:
        nonlocal waits
        waits += 1
        taker.take(until_mark=True)
        return latch.wait(0)

    frames = 100 * IN_A_ROW
    read(taker, Flood(clock, account, frames, apart_us), clock, wait)
    taker.take(until_mark=False)
    told = frames // FRAMES * FRAMES
    assert taker.taken == told + 2  # that it was dialled, and that it is over
    assert waits > 50
    assert taker.most <= rows * (IN_A_ROW + FRAMES + 1) + 2


def test_a_burst_that_is_worked_off_holds_no_reader() -> None:
    """More than the rows at once, taken before it is late: the next frames are read, and told, at once."""
    clock, taker = ManualClock(), Taker()

    def wait(_latch: Latch, _timeout_s: float) -> bool:
        raise AssertionError("nobody is late")

    read(taker, Flood(clock, LEADER, (ROWS_MAX - 1) * IN_A_ROW, LATE_US // 1_000), clock, wait)
    assert sum(isinstance(message, Passed) for message in taker.waiting) > ROWS


def test_one_megabyte_weighs_as_much_as_many_messages() -> None:
    """Frames are counted by their bytes too: a few of the largest are as far ahead as a reader may be."""
    clock, taker = ManualClock(), Taker()
    opened: list[Latch] = []

    def wait(latch: Latch, _timeout_s: float) -> bool:
        opened.append(latch)
        latch.open()
        return True

    pace = Pace(1, NAME, clock, taker, lambda _: None, wait)
    for _ in range(ROWS_MAX):
        pace.told(ROW)
    assert opened == []
    pace.told(ROW)
    assert len(opened) == 1


def test_whoever_waits_for_somebody_who_has_gone_waits_no_longer() -> None:
    """A connection that was stopped takes no mark any more; its reader comes to its end all the same."""
    clock, taker = ManualClock(), Taker()
    looks = 0

    def wait(_latch: Latch, timeout_s: float) -> bool:
        nonlocal looks
        looks += 1
        clock.advance(int(timeout_s * SECOND_US))
        taker.is_gone = looks == 3
        return False

    board = read(taker, Flood(clock, FOLLOWER, 100 * IN_A_ROW, LATE_US), clock, wait)
    assert looks == 3
    assert clock.monotonic() - board.heard_us(NAME) <= 2 * LOOK_S * SECOND_US + 100 * IN_A_ROW * LATE_US


def test_a_server_that_nobody_listens_to_is_not_called_silent() -> None:
    """As long as a reader waits, what its server may be saying lies unread: it counts as heard."""
    clock, taker = ManualClock(), Taker()
    heard: list[int] = []
    looks = 0

    def wait(latch: Latch, timeout_s: float) -> bool:
        nonlocal looks
        looks += 1
        clock.advance(int(timeout_s * SECOND_US))
        if looks >= 90:
            latch.open()
        return latch.is_open

    pace = Pace(1, NAME, clock, taker, heard.append, wait)
    for _ in range(ROWS_MAX + 1):
        pace.told(ROW)
    assert len(heard) >= 90
    assert max(later - earlier for earlier, later in pairwise(heard)) <= LOOK_S * SECOND_US


def test_a_mark_goes_last_and_is_opened_whatever_line_it_is_of() -> None:
    """All that was told before it is through by then, in whichever lane; a reader of an earlier line is let go too."""
    assert Passed not in m.CARRIER_LANES
    connection, _, _ = _connection()
    old, new = Latch(), Latch()
    connection.on_receive(Passed(0, old, 0))
    connection.on_receive(Passed(1, new, 0))
    assert old.is_open
    assert new.is_open


def _connection() -> tuple[Connection, StatusBoard, ManualClock]:
    status, clock = StatusBoard(), ManualClock()
    ports: Any = SimpleNamespace(
        directory=SimpleNamespace(tell=lambda _name, _message: True),
        timer=SimpleNamespace(after=lambda _span, _name, _message: None),
        name="demo-1",
        prefix="q",
        board=QuoteBoard(),
        clock=clock,
        status=status,
        dial=id,
        chance=lambda: 0.0,
        host="",
        port=1,
    )
    connection = Connection(ports, 0, ())
    connection.on_receive(m.Wake("dial"))
    return connection, status, clock


def test_a_line_that_brings_too_much_is_named_until_it_does_not() -> None:
    """An alert stands while its reader waits for half of the time, and is taken back by itself."""
    connection, status, clock = _connection()
    shown, held_us = [], 0
    for share in (0.0, 0.4, 0.6, 0.9, 0.2, 0.0):
        clock.advance(FLOOD_US)
        held_us += int(share * FLOOD_US)
        connection.on_receive(Passed(1, Latch(), held_us))
        connection.on_receive(m.Wake("tick"))
        shown.append([alert["kind"] for alert in status.document_alerts()])
    assert shown == [[], [], ["flood:demo-1"], ["flood:demo-1"], [], []]


def test_what_a_lost_line_brought_is_not_laid_to_the_next() -> None:
    """A line that is dialled anew begins without a wait of its reader, and without the alert soon after."""
    connection, status, clock = _connection()
    clock.advance(FLOOD_US)
    connection.on_receive(Passed(1, Latch(), FLOOD_US))
    connection.on_receive(m.Wake("tick"))
    assert status.document_alerts()
    connection.on_receive(m.Lost(1, "cut"))
    connection.on_receive(m.Wake("dial"))
    connection.on_receive(Passed(1, Latch(), 2 * FLOOD_US))
    clock.advance(FLOOD_US)
    connection.on_receive(m.Wake("tick"))
    assert status.document_alerts() == []


def test_a_dial_that_fails_in_no_way_that_is_known_is_told_all_the_same() -> None:
    """A reader that ended without a word, as where the machine has no more files, left its line down for ever."""
    taker, clock = Taker(), ManualClock()

    def dial() -> Any:
        raise OSError(24, "Too many open files")

    ThreadReader(dial, QuoteBoard(), clock, taker, NAME, set)._run(1)
    assert taker.waiting == [m.Lost(1, "dialling failed: OSError: [Errno 24] Too many open files")]


def test_a_machine_without_a_thread_is_asked_again() -> None:
    """The connection hears of it as of any dial that failed: an exception in its own turn ended the process."""
    taker = Taker()
    with no_threads():
        ThreadReader(lambda: None, QuoteBoard(), ManualClock(), taker, NAME, set).start(1)
    assert taker.waiting == [m.Lost(1, "dialling failed: can't start new thread")]
