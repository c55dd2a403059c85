"""Thousands of damaged messages over real TLS: no crash, no leak, no busy loop, and other clients are served."""

from __future__ import annotations

import json
import os
import random
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi.framing import frame
from cmam.sandbox.trader import control_client
from cmam.sandbox.trader.trader import Trader
from cmam.sandbox.wire import envelopes, json_codec
from tests.waiting import PATIENCE_S

RUN = "from cmam.cli.sandbox.sandbox import sandbox; sandbox(prog_name='cmam sandbox')"
MESSAGES = int(os.environ.get("FUZZ_MESSAGES", "6000"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))
GROWTH_KIB_MAX = 16 * 1024
STEP_S = PATIENCE_S


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], int]]:
    """A sandbox in a process of its own, so that its memory and processor time are its own; ready document and pid."""
    home = tmp_path_factory.mktemp("home")
    ports = ("--port", "0", "--json-port", "0", "--oauth-port", "0")
    unlimited = ("--set", "requests_per_second=100000", "--set", "historical_per_second=100000")
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "--home", str(home), "--json", *ports, *unlimited],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    yield json.loads(process.stdout.readline()), process.pid
    assert process.poll() is None, "the server has died"
    process.terminate()
    assert process.wait(STEP_S) == 0


def valid_messages(ready: dict[str, Any]) -> list[tuple[int, bytes]]:
    """Give well-formed requests of many kinds: what is damaged afterwards."""
    account = ready["accounts"][0]
    ctid, token = account["ctid"], account["access_token"]
    opening = [
        oa.ProtoOAApplicationAuthReq(clientId=ready["client_id"], clientSecret=ready["client_secret"]),
        oa.ProtoOAAccountAuthReq(ctidTraderAccountId=ctid, accessToken=token),
    ]
    rest = [
        oa.ProtoOAVersionReq(),
        oa.ProtoOANewOrderReq(ctidTraderAccountId=ctid, symbolId=1, orderType=1, tradeSide=1, volume=100_000),
        oa.ProtoOANewOrderReq(
            ctidTraderAccountId=ctid,
            symbolId=1,
            orderType=2,
            tradeSide=2,
            volume=100_000,
            limitPrice=1.2,
            stopLoss=1.3,
            expirationTimestamp=2**62,
        ),
        oa.ProtoOAAmendOrderReq(ctidTraderAccountId=ctid, orderId=500_002, limitPrice=1e308),
        oa.ProtoOAAmendPositionSLTPReq(ctidTraderAccountId=ctid, positionId=500_001, stopLoss=1.0),
        oa.ProtoOAClosePositionReq(ctidTraderAccountId=ctid, positionId=500_001, volume=50_000),
        oa.ProtoOACancelOrderReq(ctidTraderAccountId=ctid, orderId=500_002),
        oa.ProtoOASubscribeSpotsReq(ctidTraderAccountId=ctid, symbolId=[1, 2, 3]),
        oa.ProtoOAUnsubscribeSpotsReq(ctidTraderAccountId=ctid, symbolId=[1, 2, 3]),
        oa.ProtoOAReconcileReq(ctidTraderAccountId=ctid),
        oa.ProtoOADealListReq(ctidTraderAccountId=ctid, fromTimestamp=0, toTimestamp=2**40),
        oa.ProtoOAGetTrendbarsReq(ctidTraderAccountId=ctid, symbolId=1, period=1, fromTimestamp=-1, toTimestamp=2**62),
        oa.ProtoOAGetTickDataReq(ctidTraderAccountId=ctid, symbolId=1, type=1, fromTimestamp=0, toTimestamp=2**62),
        oa.ProtoOAExpectedMarginReq(ctidTraderAccountId=ctid, symbolId=1, volume=[1, 2**62]),
        oa.ProtoOASymbolByIdReq(ctidTraderAccountId=ctid, symbolId=[1, 2, 999]),
        oa.ProtoOARefreshTokenReq(refreshToken="x" * 44),
        oa.ProtoOAAccountLogoutReq(ctidTraderAccountId=ctid),
    ]
    return [(int(message.payloadType), message.SerializeToString()) for message in (*opening, *rest)]


def damaged(data: bytes, chance: random.Random) -> bytes:
    """Damage bytes in one of the ways in which bytes get damaged."""
    if not data:
        return chance.randbytes(3)
    match chance.randrange(7):
        case 0:
            flipped = bytearray(data)
            for _ in range(chance.randint(1, 4)):
                flipped[chance.randrange(len(flipped))] ^= 1 << chance.randrange(8)
            return bytes(flipped)
        case 1:
            return data[: chance.randrange(len(data))]
        case 2:
            return data + chance.randbytes(chance.randint(1, 40))
        case 3:
            at = chance.randrange(len(data))
            return data[:at] + chance.randbytes(chance.randint(1, 8)) + data[at:]
        case 4:
            at = chance.randrange(len(data))
            return data[:at] + b"\xff" * chance.randint(1, 12) + data[at + 1 :]
        case 5:
            return chance.randbytes(chance.randint(0, 60))
        case _:
            return data * 2


def client(ready: dict[str, Any], port: str, tls: ssl.SSLContext) -> ssl.SSLSocket:
    """Connect to one of the ports."""
    raw = socket.create_connection((ready["host"], ready[port]), timeout=STEP_S)
    return tls.wrap_socket(raw, server_hostname=ready["host"])


def resident_kib(pid: int) -> int:
    """Read how much memory a process holds."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


def processor_s(pid: int) -> float:
    """Read how much processor time a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def fuzz_frames(ready: dict[str, Any], tls: ssl.SSLContext, chance: random.Random, count: int) -> None:
    """Send so many damaged frames on the protobuf port, with a new connection when one has ended."""
    messages = valid_messages(ready)
    sent = 0
    while sent < count:
        with client(ready, "port", tls) as line:
            try:
                for payload_type, payload in messages[:2]:
                    line.sendall(frame(envelopes.encode(payload_type, payload, "a")))
                for _ in range(40):  # a whole envelope around a damaged payload gets deepest
                    sent += 1
                    payload_type, payload = chance.choice(messages)
                    line.sendall(frame(envelopes.encode(payload_type, damaged(payload, chance), "b")))
                sent += 1
                payload_type, payload = chance.choice(messages)
                body = envelopes.encode(payload_type, payload, "c")  # this one ends the connection
                line.sendall(frame(damaged(body, chance)) if chance.random() < 0.5 else damaged(frame(body), chance))
                line.settimeout(0.02)
                while line.recv(65_536):
                    pass
            except (OSError, ssl.SSLError):
                continue


def fuzz_json(ready: dict[str, Any], tls: ssl.SSLContext, chance: random.Random, count: int) -> None:
    """Send so many damaged JSON messages, as lines and as a spoiled WebSocket."""
    messages = valid_messages(ready)
    sent = 0
    while sent < count:
        with client(ready, "json_port", tls) as line:
            try:
                if chance.random() < 0.3:
                    line.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
                    line.sendall(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
                for payload_type, payload in messages[:2]:
                    line.sendall(json_codec.encode(payload_type, payload, "a").encode() + b"\n")
                for _ in range(20):
                    sent += 1
                    payload_type, payload = chance.choice(messages)
                    line.sendall(damaged(json_codec.encode(payload_type, payload, "b").encode(), chance) + b"\n")
                line.settimeout(0.02)
                while line.recv(65_536):
                    pass
            except (OSError, ssl.SSLError):
                continue


def test_damaged_messages_harm_nobody(server: tuple[dict[str, Any], int]) -> None:
    """After each round the server answers others, counts no internal error, holds no more memory and idles."""
    ready, pid = server
    tls = ssl.create_default_context(cafile=ready["ca_file"])
    chance = random.Random(SEED)
    fuzz_frames(ready, tls, chance, MESSAGES // 3)
    fuzz_json(ready, tls, chance, MESSAGES // 6)
    after_a_third = resident_kib(pid)
    fuzz_frames(ready, tls, chance, MESSAGES // 3)
    fuzz_json(ready, tls, chance, MESSAGES // 6)
    stats = control_client.ask(ready, "GET", "stats")
    assert stats["internal_errors"] == 0, stats["last_internal_error"]
    assert stats["messages_total"] > MESSAGES // 3
    assert resident_kib(pid) - after_a_third < GROWTH_KIB_MAX
    with Trader(ready, ready["accounts"][2]) as trader:
        started_s, clock_s = processor_s(pid), trader._clock.monotonic()
        trader.wait_until(clock_s + 500_000)
        spent_s, span_s = processor_s(pid) - started_s, (trader._clock.monotonic() - clock_s) / 1e6
        assert spent_s < 0.5 * span_s, "the server is busy with nothing to do"
        trader.reconcile()
    while control_client.ask(ready, "GET", "stats")["connections_open"]:
        pass  # the last lines close within the idle time at the latest; the asking itself is the waiting
