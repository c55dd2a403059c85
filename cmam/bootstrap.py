"""The trading process, from its lock to its orderly end: what its actors run on, and what they run beside.

    start    lock → log → system (`system.py`) → control, projector
    stop     the same backwards: what is committed is drained, the log closed, the lock let go

Must not know the command line. A caller runs `run`, and says by a latch when to stop.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable
from functools import partial

from cmam.actors import messages as m
from cmam.actors.care.set_clock import SetClockWatch
from cmam.actors.lines.reader import Leaders, ThreadReader
from cmam.actors.operating.control import ControlListener, Door
from cmam.actors.operating.ending import Ended
from cmam.actors.status import StatusBoard
from cmam.actors.threads.runtime import Directory, Latch, ThreadRuntime
from cmam.actors.threads.timer import ThreadTimer
from cmam.clock import Clock, SystemClock
from cmam.config.home import Home
from cmam.config.identity import StoreName
from cmam.config.settings import Endpoint, Settings
from cmam.office import secrets_of
from cmam.openapi.quotes import QuoteBoard
from cmam.openapi.transport import connect
from cmam.store.errors import StoreUnavailable
from cmam.store.logfile.database import lengthen_wal
from cmam.store.logfile.lock import StoreLock
from cmam.store.logfile.log import EventLog
from cmam.store.logfile.room import RoomWatch
from cmam.store.projection.attendant import Attendant
from cmam.store.text import iso
from cmam.store.upkeep.known_end import EndWatch, keep_end
from cmam.store.upkeep.opening import open_to_go_on
from cmam.system import Machinery, Reads, Ready, System

log = logging.getLogger(__name__)

PROJECTOR_S = 1.0
"""How long the projector may take to come up to the end of the log; what it leaves is projected by whoever looks."""


def threads(settings: Settings, clock: Clock) -> Machinery:
    """A thread for what trades, one for each connection's reader, one for each other actor, one for the timer."""
    directory = Directory()

    def reader(name: str, endpoint: Endpoint, board: QuoteBoard, leaders: Leaders) -> Reads:
        dial = partial(connect, endpoint.host, endpoint.port, settings.api.ca_file)
        return ThreadReader(dial, board, clock, directory, name, leaders)

    return Machinery(
        clock,
        directory,
        ThreadRuntime(m.CARRIER_LANES),
        ThreadTimer(clock, directory),
        reader,
        lambda: secrets.randbelow(1_000) / 1_000,
    )


def run(
    home: Home,
    settings: Settings,
    *,
    command: str,
    stop: Latch,
    profiles: Iterable[str] = (),
    on_long: Callable[[int], None] = lambda _: None,
    on_ready: Callable[[Ready], None] = lambda _: None,
    on_end: Callable[[Ended], None] = lambda _: None,
    is_done: Callable[[StatusBoard], bool] = lambda _: False,
    clock: Clock | None = None,
) -> int:
    """Run the trading process until `stop` opens or `is_done` says so; answers the exit code.

    Raises Refusal where there is nothing to run, StoreHeld where another cmam holds the store, or a StoreError.
    """
    clock = clock or SystemClock()
    home.prepare()
    lock = StoreLock(home.root)
    with lock.acquire(since=iso(clock.now()) or "", command=command, may_be_nameless=True):  # closes must go out
        event_log, lost = open_to_go_on(home.root, clock.now(), durability=settings.durability, on_long=on_long)
        is_free = True
        try:
            if lost:
                log.warning("! %s", lost)
            lengthen_wal(event_log.connection, event_log.path)
            vault = secrets_of(home, settings.secrets)
            only = frozenset(name.lower() for name in profiles)
            identity = StoreName(home.root)
            machinery = threads(settings, clock)
            system = System(settings, event_log, vault, machinery, only=only, identity=identity, on_long=on_long)
            identity.keep(system.store)
            try:
                code = _attended(home, system, stop, on_ready, is_done, clock)
            finally:
                if (ended := system.ended) is not None:
                    is_free = not ended.is_stuck  # else its thread still holds the file, and close would wait for it
                    on_end(ended)
            if is_free:
                _write_checkpoint(event_log, clock)
                keep_end(home.root, event_log.connection)
            return code
        finally:
            if is_free:
                event_log.close()


def _write_checkpoint(event_log: EventLog, clock: Clock) -> None:
    """Let the end of the log show; a store that takes nothing now has been spoken of already."""
    try:
        event_log.write_checkpoint(clock.now())
    except StoreUnavailable as error:
        log.warning("! the last checkpoint was not written: %s", error)


def _attended(
    home: Home,
    system: System,
    stop: Latch,
    on_ready: Callable[[Ready], None],
    is_done: Callable[[StatusBoard], bool],
    clock: Clock,
) -> int:
    """Run a system with what other processes need of it: the control channel and the projector."""
    home.prepare_runtime()
    control = ControlListener(home.control_socket, home.control_key, system.handle)
    attendant, room = Attendant(home.root, clock), RoomWatch(home.root, clock)
    set_clock, end = SetClockWatch(clock), EndWatch(home.root, clock)
    door = Door(control, clock, system.status().alarm)
    try:
        room.look(system.status().alarm)
        ready = system.start()
        door.tend()
        attendant.tend()
        on_ready(ready)

        def tend(board: StatusBoard) -> bool:
            """Keep projector and door: copying goes on without them, but nobody sees it. Look at disk and clock."""
            attendant.tend()
            door.tend()
            room.look(board.alarm)
            set_clock.look(board.alarm)
            end.look()
            return is_done(board)

        system.wait(stop, tend)
    finally:  # also where a start fails half way: what runs already would keep the process alive for ever
        try:
            control.stop()
        finally:
            code = system.stop()
            attendant.end(PROJECTOR_S)
    return code
