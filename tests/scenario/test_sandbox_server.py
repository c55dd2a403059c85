"""A sandbox as it is started, met by clients over real TLS: protocol, consent, ready file, and what is left."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from websockets.exceptions import ConnectionClosed

from cmam.config.secret import Secret
from cmam.credentials.oauth import OAuthClient, OAuthRefused, OAuthUnreachable
from cmam.credentials.vault import Application, TokenPair
from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi.framing import frame
from cmam.sandbox.serving.options import ReadyInfo, SandboxError
from cmam.sandbox.serving.server import run_in_thread
from cmam.sandbox.trader import control_client
from cmam.sandbox.wire import envelopes
from tests.scenario.sandbox_clients import ANSWER_S, JsonClient, WebSocketClient, options, trusting


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadyInfo]:
    """A sandbox with its defaults, for stories that leave it as it was."""
    with run_in_thread(options(tmp_path_factory.mktemp("home"))) as info:
        yield info


def test_a_json_client_trades_with_numbers_and_with_names(ready: ReadyInfo) -> None:
    """The JSON port takes enum names and int64 as strings, and answers with integers; prices of orders are decimals."""
    with JsonClient(ready) as client:
        ctid = client.log_in(ready)
        symbols = client.ask(2114, ctidTraderAccountId=ctid)["payload"]["symbol"]
        symbol = next(symbol["symbolId"] for symbol in symbols if symbol["symbolName"] == "EURUSD")
        client.send(
            2106,
            "order",
            ctidTraderAccountId=str(ctid),
            symbolId=symbol,
            orderType="MARKET",
            tradeSide="BUY",
            volume="100000",
        )
        accepted, filled = client.until(2126, "order"), client.until(2126, "order")
        assert [accepted["payload"]["executionType"], filled["payload"]["executionType"]] == [2, 3]
        deal = filled["payload"]["deal"]
        assert deal["filledVolume"] == 100_000
        assert isinstance(deal["executionPrice"], float)
        position = filled["payload"]["position"]["positionId"]
        client.send(2111, "close", ctidTraderAccountId=ctid, positionId=position, volume=100_000)
        assert client.until(2126, "close")["payload"]["executionType"] == 2
        assert client.until(2126, "close")["payload"]["deal"]["closePositionDetail"]["closedVolume"] == 100_000
        refused = client.ask(2106, ctidTraderAccountId=ctid, symbolId=symbol, orderType=1, tradeSide=1, volume=1)
        assert refused["payloadType"] == 2132
        assert refused["payload"]["errorCode"] == "TRADING_BAD_VOLUME"
        bad = client.ask(2106, ctidTraderAccountId=ctid, symbolId=symbol, orderType="NOPE", tradeSide=1, volume=1)
        assert bad["payload"]["errorCode"] == "INVALID_REQUEST"


def test_malformed_json_is_answered_with_its_place_then_bye(ready: ReadyInfo) -> None:
    """Line and column of the fault, then the close that was recorded."""
    with JsonClient(ready) as client:
        client.say('{"a":}')
        answer = client.receive()
        assert answer["payloadType"] == 2142
        assert answer["payload"]["errorCode"] == "INVALID_REQUEST"
        assert answer["payload"]["description"] == "Malformed JSON message at 1:6"
        with pytest.raises(ConnectionClosed):
            client.receive()
        assert client.closed_with == (1000, "Bye")


def until_closed(client: JsonClient, info: ReadyInfo, begin: Callable[[JsonClient, ReadyInfo], object]) -> None:
    """Say something, then read whatever comes until the server ends the connection."""
    begin(client, info)
    while True:
        client.receive()


def test_connections_that_do_not_authorise_or_fall_silent_are_closed(tmp_path: Path) -> None:
    """A heartbeat does not save a client that never authorises; silence ends one that did."""

    def heartbeat(client: JsonClient, _: ReadyInfo) -> None:
        client.send(51)

    # One switch each: a short time to authorise would end a slow log-in, and each step of it must not be silence.
    for switch, begin, reason in (
        (("unauthorised_timeout_ms", "300"), heartbeat, "not authorised in time"),
        (("idle_timeout_ms", "1500"), JsonClient.log_in, "idle"),
    ):
        with run_in_thread(options(tmp_path / switch[0], switches=(switch,))) as info:
            with JsonClient(info) as client, pytest.raises(ConnectionClosed):
                until_closed(client, info, begin)
            closed = control_client.ask(info.as_document(), "GET", "stats")["connections"]
            assert [one["close_reason"] for one in closed] == [reason]


def consent(info: ReadyInfo, browser: httpx.Client, scope: str = "trading") -> dict[str, Any]:
    """Walk through the consent page as a browser does, ticking every account; gives the token endpoint's answer."""
    address = {"client_id": info.client_id, "redirect_uri": info.redirect_uris[0], "scope": scope, "product": "web"}
    page = browser.get("/apps/auth", params=address)
    chosen = browser.get(unescape(re.findall(r'class="row" href="([^"]*)"', page.text)[0]))
    fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', chosen.text)
    form: dict[str, Any] = {name: unescape(value) for name, value in fields}
    form["account"] = re.findall(r'name="account" value="(\d+)"', chosen.text)
    answer = browser.post("/apps/auth", data={**form, "decision": "allow"})
    assert answer.status_code == 303
    code = parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
    asked = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": info.redirect_uris[0],
        "client_id": info.client_id,
        "client_secret": info.client_secret,
    }
    tokens: dict[str, Any] = browser.get("/apps/token", params=asked).json()
    assert tokens["errorCode"] is None
    return tokens


def test_consent_gives_tokens_that_work_and_a_refresh_ends_the_sessions_of_the_old_one(ready: ReadyInfo) -> None:
    """From the page over the token endpoint to a trading session; the refresh is heard on the socket."""
    with httpx.Client(base_url=ready.oauth_url, verify=trusting(ready)) as browser, JsonClient(ready) as client:
        tokens = consent(ready, browser)
        ctid = client.log_in(ready, tokens["accessToken"])
        refreshed = browser.post(
            "/apps/token",
            data={
                "grant_type": "refresh_token",
                "refresh_token": tokens["refreshToken"],
                "client_id": ready.client_id,
                "client_secret": ready.client_secret,
            },
        ).json()
        assert refreshed["errorCode"] is None
        assert ctid in client.until(2147)["payload"]["ctidTraderAccountIds"]
        assert client.until(2164)["payload"]["ctidTraderAccountId"] == ctid
        again = client.ask(2102, ctidTraderAccountId=ctid, accessToken=refreshed["accessToken"])
        assert again["payloadType"] == 2103


@pytest.mark.parametrize("what", ["lost", "cut", "html"])
def test_an_answer_of_the_token_endpoint_that_is_spoilt_has_spent_the_token(ready: ReadyInfo, what: str) -> None:
    """The copier's own client sees an answer that it cannot read, and knows that the token may be spent; it is."""
    client = OAuthClient(ready.oauth_url, ready.ca_file)
    application = Application(ready.client_id, Secret(ready.client_secret))
    with httpx.Client(base_url=ready.oauth_url, verify=trusting(ready)) as browser:
        tokens = consent(ready, browser)
        pair = TokenPair(Secret(tokens["accessToken"]), Secret(tokens["refreshToken"]), 0)
        fault = {"name": "token-answer", "arguments": {"is": what, "count": "1"}}
        control = {"Authorization": f"Bearer {ready.control_token}"}
        assert browser.post("/control/faults", json=fault, headers=control).status_code == 200
    with pytest.raises(OAuthUnreachable) as caught:
        client.refresh(application, pair, now=0)
    assert caught.value.was_sent
    with pytest.raises(OAuthRefused, match="spent or revoked"):
        client.refresh(application, pair, now=0)


def test_pages_and_control_answer_on_one_port_and_control_needs_its_token(ready: ReadyInfo) -> None:
    """Only who can read the ready file may read counters or break things."""
    with httpx.Client(base_url=ready.oauth_url, verify=trusting(ready)) as visitor:
        assert str(ready.port) in visitor.get("/").text
        assert visitor.get("/my/settings/openapi/grantingaccess/").status_code == 400
        assert visitor.get("/nowhere").status_code == 404
        assert visitor.put("/apps/auth").status_code == 405
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            assert visitor.get("/control/stats", headers=headers).status_code == 401
            assert visitor.post("/control/faults", json={"name": "drop"}, headers=headers).status_code == 401
        right = {"Authorization": f"Bearer {ready.control_token}"}
        assert "connections" in visitor.get("/control/stats", headers=right).json()
        assert visitor.post("/control/faults", json={"name": "nope"}, headers=right).status_code == 400
        assert visitor.post("/control/faults", content=b"[", headers=right).status_code == 400
        assert visitor.get("/control/nope", headers=right).status_code == 404
        assert visitor.post("/apps/token", content=b"x" * 2_000_000).status_code == 413


def test_the_ready_file_appears_with_everything_and_goes_with_the_server(tmp_path: Path) -> None:
    """Scripts wait for the file; afterwards no file, thread or port is left."""
    ready_file = tmp_path / "deep" / "ready.json"
    before = set(threading.enumerate())
    with run_in_thread(options(tmp_path / "home", ready_file=ready_file)) as info:
        assert ready_file.stat().st_mode & 0o777 == 0o600
        document = json.loads(ready_file.read_text())
        assert document == json.loads(json.dumps(info.as_document()))
        assert {"host", "port", "json_port", "oauth_url", "ca_file", "client_id", "client_secret", "accounts"} <= set(
            document
        )
        assert {"ctid", "login", "broker", "currency", "type", "balance", "access_token", "refresh_token"} <= set(
            document["accounts"][0]
        )
        assert {account["type"] for account in document["accounts"]} == {"hedged", "netted"}
        assert control_client.read_ready_file(None, tmp_path / "home") == document
        assert info.client_secret not in repr(info)
    assert not ready_file.exists()
    with pytest.raises(control_client.NotRunning):
        control_client.read_ready_file(None, tmp_path / "home")
    assert set(threading.enumerate()) == before
    with pytest.raises(OSError, match=r"refused|reset"):
        socket.create_connection((info.host, info.port), timeout=ANSWER_S)


def test_a_port_in_use_and_a_dead_ready_file_are_one_sentence_each(ready: ReadyInfo, tmp_path: Path) -> None:
    """The sentence names the port; a ready file whose server has died is found out."""
    sentence = rf"^port {ready.port} on 127\.0\.0\.1 is in use: .*choose another"
    with pytest.raises(SandboxError, match=sentence), run_in_thread(options(tmp_path, port=ready.port)):
        pass
    assert not (tmp_path / "sandbox" / "ready.json").exists()
    document = {**ready.as_document(), "pid": 2**22 + 1}
    stale = tmp_path / "stale.json"
    stale.write_text(json.dumps(document))
    with pytest.raises(control_client.NotRunning, match="has ended"):
        control_client.read_ready_file(stale, tmp_path)


@pytest.mark.parametrize(
    "change", [{"host": 7}, {"port": None}, {"ca_file": []}, {"accounts": 1}, {"accounts": [{}]}, {"control": {}}]
)
def test_a_ready_file_of_another_shape_is_one_sentence(
    ready: ReadyInfo, tmp_path: Path, change: dict[str, object]
) -> None:
    """Whatever was put in its place is named, before anything is asked of a server."""
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**ready.as_document(), **change}))
    with pytest.raises(control_client.NoReadyFile, match="found other JSON"):
        control_client.read_ready_file(other, tmp_path)


def test_what_is_no_file_is_no_ready_file_and_is_not_read(tmp_path: Path) -> None:
    """A pipe without a writer would be waited for without a word, and a device has no end."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(control_client.NoReadyFile, match="no file"):
            control_client.read_ready_file(path, tmp_path)


def test_hundreds_of_connections_leave_nothing_behind(ready: ReadyInfo) -> None:
    """Five hundred clients come and go, polite ones and rude ones; sockets and sessions are all given back."""

    async def visit(turn: int, tls: ssl.SSLContext) -> None:
        reader, writer = await asyncio.open_connection(ready.host, ready.port, ssl=tls)
        writer.write(b"\x00\x00\x00\x04\x08\x98\x10\x12"[: turn % 9])
        if turn % 3 == 0:
            writer.transport.abort()
        else:
            writer.close()
        del reader

    async def crowd() -> None:
        tls = trusting(ready)
        for start in range(0, 500, 100):
            await asyncio.gather(*(visit(turn, tls) for turn in range(start, start + 100)))

    asyncio.run(crowd())
    document = ready.as_document()
    deadline = time.monotonic() + 2 * ANSWER_S
    while (stats := control_client.ask(document, "GET", "stats"))["connections_open"]:
        assert time.monotonic() < deadline, "connections were left behind"
    assert stats["connections_open"] == 0
    assert stats["connections_total"] >= 500
    assert stats["internal_errors"] == 0
    assert len(os.listdir("/proc/self/fd")) < 200


def test_options_that_hold_secrets_do_not_show_them(ready: ReadyInfo) -> None:
    """Printing what the server says of itself shows no secret and no token."""
    shown = repr(ready)
    secrets_of = [ready.client_secret, ready.control_token]
    secrets_of += [value for account in ready.accounts for value in (account.access_token, account.refresh_token)]
    assert not [secret for secret in secrets_of if secret in shown]


def test_the_protobuf_port_speaks_websocket_too(ready: ReadyInfo) -> None:
    """A WebSocket client on the protobuf port gets binary messages without lengths."""
    with WebSocketClient(f"wss://localhost:{ready.port}/", trusting(ready)) as client:
        client.say(envelopes.encode(2104, oa.ProtoOAVersionReq().SerializeToString(), "v"))
        answer = client.hear()
        assert isinstance(answer, bytes)
        found = envelopes.decode(answer)
        assert (found.payload_type, found.client_msg_id) == (2105, "v")


def test_no_session_tickets_are_sent(ready: ReadyInfo) -> None:
    """They would arrive while a client of two threads writes its first message, and TLS without a lock loses that."""
    with (
        socket.create_connection((ready.host, ready.port), timeout=ANSWER_S) as raw,
        trusting(ready).wrap_socket(raw, server_hostname=ready.host) as tls,
    ):
        tls.sendall(frame(envelopes.encode(2104, oa.ProtoOAVersionReq().SerializeToString(), "v")))
        assert tls.recv(4)
        assert tls.version() == "TLSv1.3"
        assert tls.session is not None
        assert not tls.session.has_ticket
