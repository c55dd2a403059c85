"""The one place with a socket: TLS to the API, verified always.

Blocking on purpose: a reader's thread waits in `receive`, the connection's actor writes with `send`, and `close` from
any thread wakes the reader. There is no switch that turns verification off; a private authority is named by its file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import ssl
import struct
import threading
from pathlib import Path

from cmam.openapi.errors import CannotConnect, ConnectStep

CONNECT_S = 10.0
HEAD_START_S = 0.25
"""How long an address may be silent before the next one is asked beside it, as RFC 8305 recommends: a way that swallows
everything, as IPv6 does at times, would else hold up every reconnect for the whole of CONNECT_S."""
SEND_S = 10.0
"""A server that takes no bytes for so long is as good as gone; without a limit a writer would hang with it."""
UNTAKEN_MS = 20_000
"""What the other machine has not acknowledged for so long will not arrive: a way that swallows what we send, all of it
or what is large, while quotes still come, looks alive to everybody else. Twice the span between two heartbeats."""
CHUNK = 64 * 1024
OF_ANOTHER_NAME = frozenset({62, 64})
"""X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH: trusted, and somebody else's."""
NAME_IT = "Check the host (cmam api show): it must be named as its certificate does."
THE_PORT = "Check the port: cmam speaks to 5035, the one for protobuf."
TRUST_IT = "If it is your own proxy or the sandbox, name its authority: cmam api configure --ca-file FILE."
OF_ANOTHER_TIME = frozenset({9, 10})
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""
SET_IT = "Check the date and the time of this machine; if they are right, it is the server's certificate that is not."
UNREAD_CHUNKS_MAX = 64
"""How much is read at the end: more than the kernel keeps for one connection by default."""


class Transport:
    """One TLS connection: one thread may read and another write.

    The TLS library allows no two calls on one connection at once, so every call is short, never waits, and holds a
    lock; the waiting for the socket happens outside of it.
    """

    def __init__(self, tls: ssl.SSLSocket) -> None:
        tls.setblocking(False)
        self._tls = tls
        self._lock = threading.Lock()

    def receive(self) -> bytes:
        """Wait for bytes; empty says that the connection has ended, in whatever way.

        It waits first, and reads when there is something: a reader that tried once more after each message would take
        the interpreter from those who work on that message.
        """
        wanted = select.POLLIN
        while True:
            try:
                with self._lock:
                    is_there = self._tls.pending() > 0
                if not is_there and self._wait(wanted, None) is None:
                    return b""
                with self._lock:
                    return self._tls.recv(CHUNK)
            except ssl.SSLWantReadError:
                wanted = select.POLLIN
            except ssl.SSLWantWriteError:
                wanted = select.POLLOUT
            except (OSError, ValueError):
                return b""

    def send(self, data: bytes) -> None:
        """Write all of `data`; raises OSError when the connection does not take it."""
        left = memoryview(data)
        while left:
            wanted = select.POLLOUT
            try:
                with self._lock:
                    left = left[self._tls.send(left) :]
                continue
            except ssl.SSLWantWriteError:
                pass
            except ssl.SSLWantReadError:
                wanted = select.POLLIN
            except (OSError, ValueError) as error:
                raise _closed(error) from None
            is_ready = self._wait(wanted, SEND_S)
            if is_ready is None:
                raise _closed("by us, while it was written to")
            if not is_ready:
                raise TimeoutError(f"the server took no bytes for {SEND_S:.0f} s")

    def _wait(self, wanted: int, timeout_s: float | None) -> bool | None:
        """Wait until the socket is ready: whether it is, None when it is closed."""
        try:
            poll = select.poll()
            poll.register(self._tls, wanted)
            return bool(poll.poll(None if timeout_s is None else timeout_s * 1_000))
        except (OSError, ValueError):
            return None

    def close(self, *, at_once: bool = False) -> None:
        """End the connection and wake whoever reads from it; what was sent before still arrives.

        Closing with bytes unread would be a reset, which throws away what the other side has not taken yet, so they
        are read first. `at_once` is such a reset: on a way that is dead the kernel would else try for minutes, and an
        order that counts as absent by then would arrive after all.
        """
        with self._lock:
            with contextlib.suppress(OSError):
                if at_once:
                    self._tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self._tls.shutdown(socket.SHUT_RDWR)
                for _ in range(0 if at_once else UNREAD_CHUNKS_MAX):
                    if not self._tls.recv(CHUNK):
                        break
            with contextlib.suppress(OSError):
                self._tls.close()


def _closed(why: object) -> OSError:
    return OSError(f"the connection is closed ({why})")


def context(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the machine's authorities, and those of `ca_file` besides; raises CannotConnect."""
    trusted = ssl.create_default_context()
    trusted.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is None:
        return trusted
    try:
        trusted.load_verify_locations(ca_file)
    except (OSError, ssl.SSLError) as error:
        raise CannotConnect(
            ConnectStep.TRUST,
            f"Expected certificates of an authority in {ca_file}, found: {getattr(error, 'strerror', None) or error}.",
            "Name the right file: cmam api configure --ca-file FILE.",
            is_permanent=True,
        ) from None
    return trusted


def connect(host: str, port: int, ca_file: Path | None = None, *, timeout_s: float = CONNECT_S) -> Transport:
    """Open a verified connection; raises CannotConnect, which says at which step it failed and what to do."""
    trusted = context(ca_file)
    addresses = _resolve(host, port)
    raw = _dial(host, port, addresses, timeout_s)
    try:
        tls = trusted.wrap_socket(raw, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raw.close()
        raise CannotConnect(
            ConnectStep.TLS,
            f"{host}:{port} showed a certificate that is not trusted: {error.verify_message.rstrip('.')}.",
            f"{_cure(error.verify_code)} Otherwise do not go on: somebody may be in between.",
            is_permanent=error.verify_code not in OF_ANOTHER_TIME,
        ) from None
    except (TimeoutError, ConnectionResetError, ssl.SSLEOFError) as error:
        raw.close()
        is_silent = isinstance(error, TimeoutError)
        raise CannotConnect(
            ConnectStep.TLS,
            f"{host}:{port} takes connections and {'says nothing' if is_silent else 'ends them at once'}.",
            f"It may be down for a while. If it never worked: {THE_PORT}",
        ) from None
    except (OSError, ValueError) as error:
        raw.close()
        why = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
        raise CannotConnect(
            ConnectStep.TLS,
            f"{host}:{port} answers, but not with TLS: {why}.",
            THE_PORT,
        ) from None
    return Transport(tls)


def _cure(code: int) -> str:
    """What to do about a certificate that is not taken."""
    if code in OF_ANOTHER_TIME:
        return SET_IT
    return NAME_IT if code in OF_ANOTHER_NAME else TRUST_IT


Address = tuple[int, tuple[object, ...]]
"""A family, and an address in it."""


def _resolve(host: str, port: int) -> list[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise CannotConnect(
            ConnectStep.NAME,
            f"The name {host} was not found: {getattr(error, 'strerror', None) or error}.",
            "Check the spelling (cmam api show) and the network.",
        ) from None
    return [(family, address) for family, _, _, _, address in found]


def _dial(host: str, port: int, addresses: list[Address], timeout_s: float) -> socket.socket:
    """The first address that answers. Each is tried a moment after the one before it, or once nobody else is asked.

    It reads no clock: `timeout_s` counts from the last thing that happened.
    """
    trying: dict[int, socket.socket] = {}
    left, failure = list(addresses), OSError("no address")
    poll = select.poll()
    try:
        while left or trying:
            if left:
                raw, error = _begin(*left.pop(0))
                failure = error or failure
                if raw is None:
                    continue
                trying[raw.fileno()] = raw
                poll.register(raw, select.POLLOUT)
            found = poll.poll((HEAD_START_S if left else timeout_s) * 1_000)
            for number, _ in found:
                poll.unregister(number)
                raw = trying.pop(number)
                if code := raw.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                    raw.close()
                    failure = OSError(code, os.strerror(code))
                    continue
                raw.settimeout(timeout_s)
                _tune(raw)
                return raw
            if not found and not left:
                failure = TimeoutError()
                break
    except OSError as error:  # gone between its answer and now
        failure = error
    finally:
        for raw in trying.values():
            raw.close()
    is_late = isinstance(failure, TimeoutError)
    what = "did not answer in time" if is_late else f"cannot be reached: {failure.strerror or failure}"
    raise CannotConnect(
        ConnectStep.PORT,
        f"{host}:{port} {what}.",
        "Check host and port (cmam api show), the network, and whether a firewall is in between.",
    ) from None


def _tune(raw: socket.socket) -> None:
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux has it
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNTAKEN_MS)


def _begin(family: int, address: tuple[object, ...]) -> tuple[socket.socket | None, OSError | None]:
    """Ask one address; without waiting for its answer. A machine may lack the family, or have no socket left."""
    try:
        raw = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        return None, error
    raw.setblocking(False)
    try:
        code = raw.connect_ex(address)
    except OSError as error:
        raw.close()
        return None, error
    if code in (0, errno.EINPROGRESS):
        return raw, None
    raw.close()
    return None, OSError(code, os.strerror(code))
