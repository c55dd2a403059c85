"""The one place with a socket, against a real TLS server: verified always, woken always, clear always."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from cmam.openapi import transport
from cmam.openapi.errors import CannotConnect, ConnectStep
from tests.waiting import PATIENCE_S, until

LARGE = bytes(range(256)) * 16 * 1024  # 4 MiB: more than any buffer between two sockets
SENDS_MAX = 64


class Server:
    """One listener that hands each accepted connection to `serve`, in a thread of its own."""

    def __init__(self, tls: ssl.SSLContext | None, serve: Callable[[socket.socket], object]) -> None:
        self._tls = tls
        self._serve = serve
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self._pool = ThreadPoolExecutor(1)
        self.served: Future[object] = self._pool.submit(self._run)

    def _run(self) -> object:
        accepted, _ = self._socket.accept()
        accepted.settimeout(PATIENCE_S)
        with accepted:
            if self._tls is None:
                return self._serve(accepted)
            with self._tls.wrap_socket(accepted, server_side=True) as tls:
                return self._serve(tls)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._pool.shutdown(wait=True)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Who signs the certificates here; nobody else trusts it."""
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its certificate as a file, as a person would name it."""
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


Serve = Callable[..., Server]


@pytest.fixture
def serve(authority: trustme.CA) -> Iterator[Serve]:
    """Start servers that end with the test."""
    started: list[Server] = []

    def start(
        handler: Callable[[socket.socket], object],
        *,
        name: str = "localhost",
        plain: bool = False,
        ends: datetime | None = None,
    ) -> Server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(name, not_after=ends).configure_cert(context)
        started.append(Server(None if plain else context, handler))
        return started[-1]

    yield start
    for server in started:
        server.close()


def read_to_end(peer: socket.socket) -> bytes:
    """All that a client sends before it goes."""
    found = bytearray()
    with contextlib.suppress(OSError):
        while data := peer.recv(65_536):
            found += data
    return bytes(found)


def flood(wire: transport.Transport) -> None:
    """Send more than the buffers take: how much that is, is the kernel's choice, and may be all of LARGE."""
    for _ in range(SENDS_MAX):
        wire.send(LARGE)


def refusal(
    host: str, port: int, ca_file: Path | None = None, *, timeout_s: float = transport.CONNECT_S
) -> CannotConnect:
    """Why a connection cannot be had: one sentence, and a cure."""
    with pytest.raises(CannotConnect) as caught:
        transport.connect(host, port, ca_file, timeout_s=timeout_s)
    error = caught.value
    assert error.sentence.count(". ") == 0, f"expected one sentence, found {error.sentence}"
    assert error.sentence.endswith(".")
    assert error.cure.endswith(".")
    assert str(error) == f"{error.sentence} {error.cure}"
    return error


# --- why there is no connection -----------------------------------------------------------------------------------


def test_an_untrusted_certificate_is_refused_for_good(serve: Serve) -> None:
    """A certificate of an authority that nobody named ends the attempt, and no byte of ours reaches the server."""
    server = serve(read_to_end)
    error = refusal("localhost", server.port)
    assert (error.step, error.is_permanent) == (ConnectStep.TLS, True)
    assert "not trusted" in error.sentence
    assert "--ca-file" in error.cure
    with pytest.raises((ssl.SSLError, OSError)):
        server.served.result(PATIENCE_S)


def test_a_certificate_for_another_name_is_refused(serve: Serve, ca_file: Path) -> None:
    """A trusted authority is not enough: the certificate must be of the host that was asked for."""
    server = serve(read_to_end, name="somewhere.else.example")
    error = refusal("localhost", server.port, ca_file)
    assert (error.step, error.is_permanent) == (ConnectStep.TLS, True)
    assert "localhost" in error.sentence
    assert not error.sentence.endswith("..")
    assert "Check the host" in error.cure
    assert "--ca-file" not in error.cure


def test_a_certificate_that_has_expired_names_the_clock(serve: Serve, ca_file: Path) -> None:
    """It may be the machine's date that is wrong, and no authority that somebody could name would help."""
    server = serve(read_to_end, ends=datetime(2020, 1, 1, tzinfo=UTC))
    error = refusal("localhost", server.port, ca_file)
    assert (error.step, error.is_permanent) == (ConnectStep.TLS, False)
    assert "expired" in error.sentence
    assert "date and the time of this machine" in error.cure
    assert "--ca-file" not in error.cure


def test_a_port_without_tls_says_so(serve: Serve, ca_file: Path) -> None:
    """A server that speaks in the clear is named as one that does not speak TLS, and the cure names the right port."""
    server = serve(lambda peer: peer.sendall(b"SMTP ready, what do you want?\r\n" * 8), plain=True)
    error = refusal("localhost", server.port, ca_file)
    assert error.step is ConnectStep.TLS
    assert "not with TLS" in error.sentence
    assert "5035" in error.cure


def test_a_server_that_hangs_up_during_the_handshake_says_so(serve: Serve, ca_file: Path) -> None:
    """A connection that is closed before a certificate is shown is a failed handshake, not a crash."""
    server = serve(lambda peer: peer.recv(1), plain=True)
    error = refusal("localhost", server.port, ca_file)
    assert error.step is ConnectStep.TLS
    assert "ends them at once" in error.sentence
    assert "down for a while" in error.cure


def test_a_server_that_never_answers_the_handshake_is_given_up(serve: Serve, ca_file: Path) -> None:
    """A handshake has its time; a silent port does not hold up a reader for ever."""
    done = threading.Event()
    server = serve(lambda peer: done.wait(PATIENCE_S), plain=True)
    error = refusal("localhost", server.port, ca_file, timeout_s=0.2)
    done.set()
    assert error.step is ConnectStep.TLS
    assert "takes connections and says nothing" in error.sentence


def test_a_port_where_nobody_listens(ca_file: Path) -> None:
    """A refused port is told apart from a wrong name: host and port are named."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    error = refusal("127.0.0.1", port, ca_file)
    assert error.step is ConnectStep.PORT
    assert f"127.0.0.1:{port}" in error.sentence
    assert "refused" in error.sentence.lower()


@pytest.mark.parametrize("host", ["demo.invalid", "a..b", "x" * 64 + ".invalid", "spaced name"])
def test_a_name_that_does_not_exist(host: str, ca_file: Path) -> None:
    """A name that cannot be found, or cannot be one, is a fault of the name."""
    error = refusal(host, 5035, ca_file)
    assert error.step is ConnectStep.NAME
    assert host in error.sentence


@pytest.mark.parametrize("content", [None, b"", b"not a certificate", b"-----BEGIN CERTIFICATE-----\nAAAA\n", b"\xff"])
def test_an_authority_file_that_is_none(content: bytes | None, tmp_path: Path) -> None:
    """A file that is missing, empty or garbage is named, before anything is dialled."""
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)
    error = refusal("demo.invalid", 5035, path)
    assert (error.step, error.is_permanent) == (ConnectStep.TRUST, True)
    assert str(path) in error.sentence
    assert "--ca-file" in error.cure


def test_an_authority_file_that_is_a_folder(tmp_path: Path) -> None:
    """A folder in the place of the file is refused in the same words."""
    assert refusal("demo.invalid", 5035, tmp_path).step is ConnectStep.TRUST


@contextlib.contextmanager
def swallowing() -> Iterator[tuple[int, tuple[object, ...]]]:
    """An address that takes no connection and refuses none, as a way does on which everything is lost."""
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # more than it keeps for whoever does not accept
            raw = stack.enter_context(socket.socket())
            raw.setblocking(False)
            raw.connect_ex(full.getsockname())
        yield socket.AF_INET, full.getsockname()


def test_an_address_that_swallows_everything_holds_up_no_other(
    serve: Serve, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next address is asked beside it, long before it is given up."""
    server = serve(lambda peer: peer.sendall(b"hello"))
    with swallowing() as lost:
        found = [lost, (socket.AF_INET, ("127.0.0.1", server.port))]
        monkeypatch.setattr(transport, "_resolve", lambda *_: found)
        pool = ThreadPoolExecutor(1)
        wire = pool.submit(transport.connect, "localhost", server.port, ca_file, timeout_s=2 * PATIENCE_S)
        until(wire.done, "the second address is taken while the first is silent")
    assert wire.result().receive() == b"hello"
    wire.result().close()
    pool.shutdown()


def test_addresses_that_all_swallow_everything_are_given_up(ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers: that is said as it was with one address."""
    with swallowing() as lost:
        monkeypatch.setattr(transport, "_resolve", lambda *_: [lost, lost])
        error = refusal("localhost", 5035, ca_file, timeout_s=0.2)
    assert error.step is ConnectStep.PORT
    assert "did not answer in time" in error.sentence


UNKNOWN_FAMILY = (44, ("::1", 5035))
"""What a machine without IPv6 makes of an address of it: no socket at all."""


def test_an_address_of_a_family_that_the_machine_lacks_is_passed_over(
    serve: Serve, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where IPv6 is switched off, a name that has an address in it is reached over the others."""
    server = serve(lambda peer: peer.sendall(b"hello"))
    found = [UNKNOWN_FAMILY, (socket.AF_INET, ("127.0.0.1", server.port))]
    monkeypatch.setattr(transport, "_resolve", lambda *_: found)
    wire = transport.connect("localhost", server.port, ca_file)
    assert wire.receive() == b"hello"
    wire.close()


def test_a_machine_that_has_no_socket_for_any_address_says_so(ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a connection that did not come about, which is tried again, and no failure of the reader."""
    monkeypatch.setattr(transport, "_resolve", lambda *_: [UNKNOWN_FAMILY])
    assert refusal("localhost", 5035, ca_file).step is ConnectStep.PORT


def test_nothing_turns_verification_off(ca_file: Path) -> None:
    """Chain and name are checked, and nothing older than TLS 1.2 is spoken, with a private authority too."""
    assert transport.context(ca_file).minimum_version >= ssl.TLSVersion.TLSv1_2
    assert transport.context(ca_file).verify_mode is ssl.CERT_REQUIRED
    assert transport.context(ca_file).check_hostname


# --- the connection -----------------------------------------------------------------------------------------------


def test_bytes_go_both_ways_unchanged(serve: Serve, ca_file: Path) -> None:
    """What is sent arrives, what arrives is received, and the end of the stream is empty bytes."""

    def echo(peer: socket.socket) -> None:
        peer.sendall(peer.recv(100))

    server = serve(echo)
    wire = transport.connect("localhost", server.port, ca_file)
    wire.send(b"hello")
    assert wire.receive() == b"hello"
    assert wire.receive() == b""
    wire.close()


def test_close_from_another_thread_wakes_the_reader(serve: Serve, ca_file: Path) -> None:
    """A reader that waits for bytes comes back with the end as soon as somebody closes."""
    server = serve(read_to_end)
    wire = transport.connect("localhost", server.port, ca_file)
    waiting = threading.Event()

    def read() -> bytes:
        waiting.set()
        return wire.receive()

    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(read)
        assert waiting.wait(PATIENCE_S)
        wire.close()
        assert found.result(PATIENCE_S) == b""


def test_a_closed_connection_takes_nothing_and_gives_nothing(serve: Serve, ca_file: Path) -> None:
    """After the end, sending raises OSError, receiving says the end again, and closing twice is closing once."""
    server = serve(read_to_end)
    wire = transport.connect("localhost", server.port, ca_file)
    wire.close()
    wire.close()
    assert wire.receive() == b""
    with pytest.raises(OSError, match="closed"):
        wire.send(b"x")


def test_a_server_that_resets_is_an_end(serve: Serve, ca_file: Path) -> None:
    """A reset is an end like any other for whoever reads."""

    def reset(peer: socket.socket) -> None:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")

    server = serve(reset)
    wire = transport.connect("localhost", server.port, ca_file)
    assert wire.receive() == b""
    wire.close()


@pytest.mark.parametrize("at_once", [True, False])
def test_what_a_server_has_not_taken_is_taken_back_where_it_is_closed_at_once(
    serve: Serve, ca_file: Path, monkeypatch: pytest.MonkeyPatch, at_once: bool
) -> None:
    """An order that waits in the kernel for a dead way would else arrive minutes after it was taken for absent."""
    monkeypatch.setattr(transport, "SEND_S", 0.2)
    may_read = threading.Event()

    def late(peer: socket.socket) -> int:
        peer.sendall(b"hello")
        assert may_read.wait(PATIENCE_S)
        return len(read_to_end(peer))

    server = serve(late)
    wire = transport.connect("localhost", server.port, ca_file)
    assert wire.receive() == b"hello"  # closing with bytes unread would be a reset in any case
    sent = 0
    with contextlib.suppress(TimeoutError):
        while sent < SENDS_MAX * len(LARGE):
            wire.send(LARGE[:65_536])
            sent += 65_536
    wire.close(at_once=at_once)
    may_read.set()
    arrived = server.served.result(PATIENCE_S)
    assert isinstance(arrived, int)
    assert (arrived < sent) is at_once


SO_ATTACH_FILTER = 26
"""What Linux calls it (asm-generic/socket.h)."""


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="only Linux ends what is not acknowledged")
def test_a_way_that_swallows_what_is_sent_ends_the_connection(
    serve: Serve, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the other machine does not acknowledge is no silence of the server, whose quotes may come as ever."""
    monkeypatch.setattr(transport, "UNTAKEN_MS", 100)
    is_deaf, is_over = threading.Event(), threading.Event()

    def swallow(peer: socket.socket) -> None:
        program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # of each segment nothing is kept
        peer.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HL", 1, ctypes.addressof(program)))
        is_deaf.set()
        assert is_over.wait(PATIENCE_S)

    server = serve(swallow)
    wire = transport.connect("localhost", server.port, ca_file)
    assert is_deaf.wait(PATIENCE_S)
    wire.send(b"an order")
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(wire.receive)
        try:
            until(found.done, "the connection ends", PATIENCE_S / 4)
        finally:
            wire.close()
            is_over.set()
    assert found.result() == b""
    server.served.result(PATIENCE_S)


def test_a_large_frame_reaches_a_slow_reader_whole(
    serve: Serve, ca_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More bytes than all buffers hold wait for a server that begins to read late, and arrive in order."""
    may_read = threading.Event()
    wait = transport.Transport._wait

    def waits(self: transport.Transport, wanted: int, timeout_s: float | None) -> bool | None:
        may_read.set()
        return wait(self, wanted, timeout_s)

    monkeypatch.setattr(transport.Transport, "_wait", waits)
    monkeypatch.setattr(transport, "SEND_S", PATIENCE_S)

    def slowly(peer: socket.socket) -> bytes:
        assert may_read.wait(PATIENCE_S)
        return read_to_end(peer)

    server = serve(slowly)
    wire = transport.connect("localhost", server.port, ca_file)
    sent = b""
    while not may_read.is_set():  # until the buffers are full, however large the kernel lets them grow
        wire.send(LARGE)
        sent += LARGE
        assert len(sent) < SENDS_MAX * len(LARGE), "nothing fills the buffers"
    wire.close()
    assert server.served.result(PATIENCE_S) == sent


def test_a_server_that_takes_no_bytes_is_given_up(serve: Serve, ca_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer does not hang with a server that has stopped reading."""
    monkeypatch.setattr(transport, "SEND_S", 0.2)
    done = threading.Event()
    server = serve(lambda peer: done.wait(PATIENCE_S))
    wire = transport.connect("localhost", server.port, ca_file)
    with pytest.raises(TimeoutError, match="took no bytes"):
        flood(wire)
    done.set()
    wire.close()


def test_reading_and_writing_at_once(serve: Serve, ca_file: Path) -> None:
    """A thread that reads a flood and one that writes another do not wait for each other."""

    def both(peer: socket.socket) -> bytes:
        found = bytearray()
        sent = 0
        while len(found) < len(LARGE):
            sent += peer.send(LARGE[sent : sent + 65_536]) if sent < len(LARGE) else 0
            found += peer.recv(65_536)
        while sent < len(LARGE):
            sent += peer.send(LARGE[sent : sent + 65_536])
        return bytes(found)

    def read() -> bytes:
        found = bytearray()
        while data := wire.receive():
            found += data
        return bytes(found)

    server = serve(both)
    wire = transport.connect("localhost", server.port, ca_file)
    with ThreadPoolExecutor(2) as pool:
        reading, writing = pool.submit(read), pool.submit(wire.send, LARGE)
        writing.result(PATIENCE_S)
        assert reading.result(PATIENCE_S) == LARGE
    assert server.served.result(PATIENCE_S) == LARGE
    wire.close()
