"""The control channel: commands from other terminals to the process that holds the store.

A Unix socket in a private folder, guarded by a key that is fresh at each start. What travels is JSON as bytes, never
pickles; a client that is slow or silent is cut off. The listener's only output is `tell`.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import secrets
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.connection import Connection, answer_challenge, deliver_challenge
from pathlib import Path
from typing import Any

from cmam.clock import SECOND_US, Clock
from cmam.store.logfile.lock import FULL

log = logging.getLogger(__name__)

AGAIN_US = 2 * SECOND_US
"""How soon the key is tried again on a full disk."""
LOOK_US = 5 * SECOND_US
"""How often it is looked whether socket and key are still there: who tidies up may have taken them away."""
CLIENTS_MAX = 8
BACKLOG = 32
"""So many clients may knock before the listener comes round: one more is told at once that nobody is there."""
REQUEST_BYTES_MAX = 4 * 1024 * 1024
"""The largest command that is taken, which thousands of profiles in a file may pass: while one is read nothing else of
the process goes on. What is larger is not sent at all."""
BREATH_S = 0.5
"""How long nobody is let in after one could not be: with no file or thread left the next look would be as vain, and
thousands of them a second take the processor from what copies."""
HANDSHAKE_S = 3.0
"""How long a client waits to be let in, and is waited for at each read and write: a process that hangs, on either side,
must not make every command hang."""
ANSWER_S = 30.0
"""How long the listener waits for an answer, or for a client's request."""
CLIENT_S = ANSWER_S + 2.0
"""How long a client waits for its answer: a little longer, so that the listener's word comes first."""
STILL_WAITS = (
    "The running system has taken the command but not answered in time: it is busy, or its store takes nothing. It may "
    "still carry it out: look with `cmam status` before you ask again."
)

Handle = Callable[[dict[str, Any], Callable[[dict[str, Any]], None]], None]


class NobodyListens(Exception):
    """No running system answers on this home's control socket."""


class TooLarge(Exception):
    """A command has more to say than the running system takes at once: it was not sent."""


class StillWaits(Exception):
    """The running system has the command and did not answer: nobody knows whether it will be carried out."""


class ControlListener:
    """Takes requests, one per connection, and hands them on with a way to answer."""

    def __init__(self, path: Path, key_file: Path, handle: Handle) -> None:
        self._socket = path
        self._key_file = key_file
        self._handle = handle
        self._slots = threading.BoundedSemaphore(CLIENTS_MAX)
        self._line: socket.socket | None = None
        self._key = b""
        self._is_at = (0, 0)
        self._is_over = threading.Event()

    def start(self) -> None:
        """Make the key and the socket, and begin to listen; again where they were taken away. Raises OSError."""
        key = secrets.token_bytes(32)
        self._hang_up()
        _make_private(self._socket.parent)
        self._socket.unlink(missing_ok=True)
        descriptor = os.open(self._key_file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(key)
        self._key = key
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.bind(str(self._socket))
            line.listen(BACKLOG)
            self._is_at = _place(self._socket)
            self._line, self._is_over = line, threading.Event()
            _start_thread(self._run, line, self._is_over, name="control")
        except OSError:
            self._line = None
            line.close()
            raise

    def is_there(self) -> bool:
        """Whether others still find what they need: the socket that is listened on, and its key."""
        try:
            return _place(self._socket) == self._is_at and self._key_file.read_bytes() == self._key
        except OSError:
            return False

    def stop(self) -> None:
        """Listen no more, and leave no socket behind."""
        self._hang_up()
        for left in (self._socket, self._key_file):
            with suppress(OSError):  # the folder may be gone, or another's by now: the end goes on
                left.unlink(missing_ok=True)

    def _hang_up(self) -> None:
        """Wake the thread that waits for clients, and close what it waits on."""
        line, self._line = self._line, None
        if line is None:
            return
        self._is_over.set()
        with suppress(OSError):
            line.shutdown(socket.SHUT_RDWR)  # wakes it on Linux
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
            knock.settimeout(HANDSHAKE_S)
            knock.connect(str(self._socket))  # and elsewhere, where the socket is still in its place
        line.close()

    def _run(self, line: socket.socket, is_over: threading.Event) -> None:
        """Runs in the listener's thread, and waits for nobody who has come: a client that was stopped while it proved
        who it is kept every other command out."""
        while True:
            try:
                client, _ = line.accept()
                connection = Connection(client.detach())
            except OSError as error:
                if self._line is not line:
                    return
                log.warning("! a control client was turned away: %s", error)
                is_over.wait(BREATH_S)
                continue
            if self._line is not line:
                connection.close()
                return
            if not self._slots.acquire(blocking=False):
                connection.close()
                continue
            try:
                _start_thread(self._serve, connection, name="control client")
            except OSError as error:
                log.warning("! a control client was turned away: %s", error)
                connection.close()
                self._slots.release()
                is_over.wait(BREATH_S)

    def _serve(self, connection: Connection) -> None:
        answered = threading.Event()
        is_asked = False
        try:
            _limit(connection)
            deliver_challenge(connection, self._key)
            answer_challenge(connection, self._key)
            if not connection.poll(ANSWER_S):
                return
            request = json.loads(connection.recv_bytes(REQUEST_BYTES_MAX))
            if not isinstance(request, dict):
                raise ValueError(f"expected an object, found {type(request).__name__}")
            is_asked = True
            answers: list[dict[str, Any]] = []

            def answer(document: dict[str, Any]) -> None:
                answers.append(document)
                answered.set()

            self._handle(request, answer)
            if not answered.wait(ANSWER_S):
                answers.append({"ok": False, "error": STILL_WAITS, "code": 1})
            connection.send_bytes(json.dumps(answers[0]).encode())
        except AuthenticationError as error:
            log.warning("! a control client was turned away: %s", error)
        except (OSError, EOFError, ValueError, TypeError) as error:
            if is_asked and isinstance(error, OSError):
                log.warning("= a command in another terminal ended before its answer; what it asked for is not undone")
            else:
                log.warning(
                    "! a control client was cut off before it had asked: %s", str(error) or type(error).__name__
                )
        finally:
            connection.close()
            self._slots.release()


class Door:
    """Lets other terminals in as soon as there is room for the key: on a full disk a start has to copy without them."""

    def __init__(self, listener: ControlListener, clock: Clock, alarm: Callable[[str, str], None]) -> None:
        self._listener = listener
        self._clock = clock
        self._alarm = alarm
        self._is_open = False
        self._again_us = 0
        self._look_us = 0

    def tend(self) -> None:
        """Listen, where nobody does yet; to be called several times a second.

        Raises OSError for any other trouble at the first try: later it would end what copies.
        """
        now = self._clock.monotonic()
        if now < self._again_us or (self._is_open and now < self._look_us):
            return
        self._look_us = now + LOOK_US
        if self._is_open and self._listener.is_there():
            return
        if self._is_open:
            log.warning("! Other terminals did not reach cmam: its control channel was taken away, and is made anew")
        try:
            self._listener.start()
        except OSError as error:
            if error.errno not in FULL and not self._again_us and not self._is_open:
                raise
            why = error.strerror or error
            text = f"No other terminal reaches cmam, since its control channel cannot be opened ({why})."
            if not self._again_us:
                log.error("! %s Copying goes on, and it is tried again", text)
            self._alarm("control", text)
            self._again_us = now + AGAIN_US
            self._is_open = False
            return
        self._is_open = True
        if self._again_us:
            log.warning("= other terminals reach cmam again")
            self._alarm("control", "")
            self._again_us = 0


def _start_thread(run: Callable[..., None], *arguments: object, name: str) -> None:
    """Start a thread of the listener's; raises OSError where the machine has none to give."""
    try:
        threading.Thread(target=run, args=arguments, name=name, daemon=True).start()
    except RuntimeError as error:
        raise OSError(errno.EAGAIN, str(error)) from error


def _make_private(folder: Path) -> None:
    """A folder that only its owner looks into, where somebody has taken it away; not one that others have put there."""
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if found.st_uid != os.getuid() or folder.is_symlink() or found.st_mode & 0o077:
        raise PermissionError(errno.EACCES, f"{folder} is not private")


def _place(path: Path) -> tuple[int, int]:
    """What stands under a name: another file there is another place."""
    found = path.stat()
    return found.st_dev, found.st_ino


def _limit(connection: Connection) -> None:
    """Let no read or write last longer than a moment: a connection reads by its descriptor alone, which knows no limit
    of Python's."""
    seconds = struct.pack("ll", int(HANDSHAKE_S), 0)
    with socket.socket(fileno=os.dup(connection.fileno())) as line:
        for limit in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            line.setsockopt(socket.SOL_SOCKET, limit, seconds)


def _dial(path: Path, key: bytes) -> Connection:
    """Connect and prove who we are; raises OSError where nobody answers, as of a process that is stopped or hangs."""
    line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        line.settimeout(HANDSHAKE_S)
        line.connect(str(path))
        line.setblocking(True)
        connection = Connection(line.detach())
    except OSError:
        line.close()
        raise
    try:
        _limit(connection)
        answer_challenge(connection, key)
        deliver_challenge(connection, key)
    except BaseException:
        connection.close()
        raise
    return connection


def send_command(path: Path, key_file: Path, request: dict[str, Any]) -> dict[str, Any]:
    """Send a request to the running system and wait for its answer; raises NobodyListens, StillWaits or
    TooLarge."""
    said = json.dumps(request).encode()
    try:
        key = key_file.read_bytes()
        with _dial(path, key) as connection:
            if len(said) > REQUEST_BYTES_MAX:
                raise TooLarge(
                    f"This is {len(said):,} bytes, and the running system takes at most {REQUEST_BYTES_MAX:,} in one "
                    "command. Nothing was changed: do it in parts, or once cmam has stopped."
                )
            connection.send_bytes(said)
            if not connection.poll(CLIENT_S):
                raise StillWaits(STILL_WAITS)
            document = json.loads(connection.recv_bytes())  # of who holds the key, however much there is to say
    except (OSError, EOFError, AuthenticationError, ValueError) as error:
        raise NobodyListens(f"no running system answers on {path}: {type(error).__name__} {error}") from error
    return dict(document)
