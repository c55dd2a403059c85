"""How much the sandbox holds on this machine, beside a bare TLS echo on the same event loop as the floor.

    python scripts/bench/sandbox_load.py [--quick] [--json FILE]

Each ratio is the median of the rounds with its least and most. Ratios travel, absolute numbers do not. The echo sends
whole batches back without looking at them, so its messages are only counted, never told apart.
Server and client are processes of their own, on the loopback, with unlimited request rates.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from common import Finding, arguments, report

from cmam.clock import SECOND_US, SystemClock
from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi.framing import Deframer, frame
from cmam.sandbox.wire import envelopes
from cmam.sandbox.wire.certificates import certificate_authority, server_context

RUN = "from cmam.cli.sandbox.sandbox import sandbox; sandbox(prog_name='cmam sandbox')"
CLOCK = SystemClock()
LINES = 8
"""Connections that ask at the same time."""
BATCH = 250
"""Requests in flight on each of them."""
BATCHES = 8
ROUND_TRIPS = 400
CROWD = 1_000
"""Connections held open at the same time."""


@contextlib.contextmanager
def sandbox(home: Path) -> Iterator[dict[str, Any]]:
    """Run a sandbox without request limits; gives its ready document."""
    arguments = ["--port", "0", "--json-port", "0", "--oauth-port", "0", "--json"]
    arguments += ["--set", "requests_per_second=10000000", "--set", "fill_delay_ms=0", "--set", "trading_limits=off"]
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "--home", str(home), *arguments], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield {**json.loads(process.stdout.readline()), "pid": process.pid}
    finally:
        process.terminate()
        process.wait()


class Echo(asyncio.Protocol):
    """Sends back what it gets: what TLS and the event loop cost without any meaning."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


async def serve_echo(home: Path) -> None:
    """Serve the echo until standard input ends."""
    authority, ca_file = certificate_authority(home)
    loop = asyncio.get_running_loop()
    context = server_context(authority, "127.0.0.1", CLOCK.now())
    server = await loop.create_server(Echo, "127.0.0.1", 0, ssl=context, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1], "ca_file": str(ca_file)}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


@contextlib.contextmanager
def echo(home: Path) -> Iterator[dict[str, Any]]:
    """Run the floor."""
    process = subprocess.Popen(
        [sys.executable, __file__, "--serve-echo", str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    try:
        yield {**json.loads(process.stdout.readline()), "host": "127.0.0.1", "pid": process.pid}
    finally:
        process.stdin.close()
        process.wait()


def connect(where: dict[str, Any]) -> ssl.SSLSocket:
    """Open one connection."""
    raw = socket.create_connection((where["host"], where["port"]))
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ssl.create_default_context(cafile=where["ca_file"]).wrap_socket(raw, server_hostname=where["host"])


def log_in(where: dict[str, Any], line: ssl.SSLSocket) -> None:
    """Authorise application and first account on a sandbox's connection."""
    account = where["accounts"][0]
    for request in (
        oa.ProtoOAApplicationAuthReq(clientId=where["client_id"], clientSecret=where["client_secret"]),
        oa.ProtoOAAccountAuthReq(ctidTraderAccountId=account["ctid"], accessToken=account["access_token"]),
    ):
        line.sendall(frame(envelopes.encode(int(request.payloadType), request.SerializeToString(), "log-in")))
        answers(line, 1)


def answers(line: ssl.SSLSocket, count: int) -> None:
    """Read so many frames."""
    deframer = Deframer()
    found = 0
    while found < count:
        data = line.recv(262_144)
        if not data:
            raise SystemExit("the server closed a connection under load")
        found += sum(1 for _ in deframer.receive_data(data))


def throughput(where: dict[str, Any], request: bytes, *, is_sandbox: bool) -> float:
    """Count how many requests a second are answered, over several connections with many requests in flight."""
    lines = [connect(where) for _ in range(LINES)]
    if is_sandbox:
        for line in lines:
            log_in(where, line)
    started = CLOCK.monotonic()
    for _ in range(BATCHES):
        for line in lines:
            line.sendall(request * BATCH)
        for line in lines:
            answers(line, BATCH)
    seconds = (CLOCK.monotonic() - started) / SECOND_US
    for line in lines:
        line.close()
    return LINES * BATCHES * BATCH / seconds


def round_trip_us(where: dict[str, Any], request: bytes, *, is_sandbox: bool) -> float:
    """Measure the median time of one request after the other on one connection."""
    with connect(where) as line:
        if is_sandbox:
            log_in(where, line)
        spans = []
        for _ in range(ROUND_TRIPS):
            started = CLOCK.monotonic()
            line.sendall(request)
            answers(line, 1)
            spans.append(CLOCK.monotonic() - started)
    return statistics.median(spans)


def crowd(where: dict[str, Any], request: bytes) -> tuple[float, float]:
    """Hold many connections at once; gives connections opened a second, and KiB of the server for each."""
    context = ssl.create_default_context(cafile=where["ca_file"])

    async def story() -> tuple[float, float]:
        before = resident_kib(where["pid"])
        gate = asyncio.Semaphore(50)

        async def one() -> asyncio.StreamWriter:
            async with gate:
                reader, writer = await asyncio.open_connection(where["host"], where["port"], ssl=context)
                writer.write(request)
                await reader.readexactly(4)
                return writer

        started = CLOCK.monotonic()
        writers = await asyncio.gather(*(one() for _ in range(CROWD)))
        seconds = (CLOCK.monotonic() - started) / SECOND_US
        held = resident_kib(where["pid"]) - before
        for writer in writers:
            writer.transport.abort()
        return CROWD / seconds, held / CROWD

    return asyncio.run(story())


def resident_kib(pid: int) -> int:
    """Read how much memory a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def measure(rounds: int) -> dict[str, list[float]]:
    """Take every figure so often."""
    version = frame(envelopes.encode(2104, b"", "id"))
    figures: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            home = Path(folder) / str(number)
            with sandbox(home / "sandbox") as where, echo(home / "echo") as floor:
                ctid = where["accounts"][0]["ctid"]
                order = oa.ProtoOANewOrderReq(
                    ctidTraderAccountId=ctid, symbolId=1, orderType="LIMIT", tradeSide="BUY", volume=1, limitPrice=1.0
                )
                reconcile = oa.ProtoOAReconcileReq(ctidTraderAccountId=ctid)
                refused = frame(envelopes.encode(2106, order.SerializeToString(), "id"))
                read = frame(envelopes.encode(2124, reconcile.SerializeToString(), "id"))
                note("echo: messages/s", throughput(floor, version, is_sandbox=False))
                note("sandbox: VersionReq/s", throughput(where, version, is_sandbox=True))
                note("sandbox: ReconcileReq/s", throughput(where, read, is_sandbox=True))
                note("sandbox: refused orders/s", throughput(where, refused, is_sandbox=True))
                note("echo: round trip us", round_trip_us(floor, version, is_sandbox=False))
                note("sandbox: round trip us", round_trip_us(where, version, is_sandbox=True))
                for name, server in (("echo", floor), ("sandbox", where)):
                    rate, kib = crowd(server, version)
                    note(f"{name}: connections opened/s", rate)
                    note(f"{name}: KiB a connection", kib)
    return figures


BESIDE = {
    "sandbox: VersionReq/s": "echo: messages/s",
    "sandbox: ReconcileReq/s": "echo: messages/s",
    "sandbox: refused orders/s": "echo: messages/s",
    "sandbox: round trip us": "echo: round trip us",
    "sandbox: connections opened/s": "echo: connections opened/s",
    "sandbox: KiB a connection": "echo: KiB a connection",
}


def findings(figures: dict[str, list[float]]) -> list[Finding]:
    """Each figure of the sandbox beside the floor's."""
    return [
        Finding(
            name,
            f"{statistics.median(figures[name]):,.0f}",
            f"{base}: {statistics.median(figures[base]):,.0f}",
            tuple(mine / floor for mine, floor in zip(figures[name], figures[base], strict=True)),
        )
        for name, base in BESIDE.items()
    ]


def main() -> None:
    """Measure and print."""
    parser = arguments(__doc__)
    parser.add_argument("--serve-echo", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve_echo is not None:
        asyncio.run(serve_echo(given.serve_echo))
        return
    title = f"The sandbox: {CROWD} connections held at once, {LINES} lines with {BATCH} requests in flight each"
    report(title, findings(measure(1 if given.quick else 5)), given.json)


if __name__ == "__main__":
    main()
