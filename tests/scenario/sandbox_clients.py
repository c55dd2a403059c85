"""A sandbox on free ports, and a client of its JSON port: what the stories of the sandbox share."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect

from cmam.sandbox.serving.options import ReadyInfo, SandboxOptions
from tests.waiting import PATIENCE_S

ANSWER_S = PATIENCE_S


def options(home: Path, **changed: Any) -> SandboxOptions:
    """Give options for a sandbox on free ports in `home`."""
    return SandboxOptions(**{"home": home, "port": 0, "json_port": 0, "oauth_port": 0, **changed})


def trusting(info: ReadyInfo) -> ssl.SSLContext:
    """Give a client's TLS side that checks the certificate against the sandbox's authority."""
    return ssl.create_default_context(cafile=str(info.ca_file))


class WebSocketClient:
    """A WebSocket that one thread both reads and writes.

    The client of threads that websockets has writes while it reads, which TLS in Python does not allow: one connection
    in some hundred lost its first message so.
    """

    def __init__(self, address: str, tls: ssl.SSLContext) -> None:
        self._loop = asyncio.Runner()
        try:
            self._socket = self._loop.run(self._connected(address, tls))
        except BaseException:
            self._loop.close()
            raise

    @staticmethod
    async def _connected(address: str, tls: ssl.SSLContext) -> ClientConnection:
        return await connect(address, ssl=tls, open_timeout=ANSWER_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._loop.run(self._socket.close())
        finally:
            self._loop.close()

    @property
    def closed_with(self) -> tuple[int | None, str | None]:
        """Code and reason of the close."""
        return self._socket.close_code, self._socket.close_reason

    def say(self, message: str | bytes) -> None:
        """Send one message."""
        self._loop.run(self._socket.send(message))

    def hear(self) -> str | bytes:
        """Wait for one message; raises ConnectionClosed, and TimeoutError after `ANSWER_S`."""

        async def heard() -> str | bytes:
            async with asyncio.timeout(ANSWER_S):
                return await self._socket.recv()

        return self._loop.run(heard())


class JsonClient(WebSocketClient):
    """A client of the JSON port that waits for what it asked."""

    def __init__(self, info: ReadyInfo) -> None:
        super().__init__(f"wss://{info.host}:{info.json_port}/", trusting(info))

    def send(self, payload_type: int, msg_id: str | None = None, **payload: Any) -> None:
        document: dict[str, Any] = {"payloadType": payload_type, "payload": payload}
        if msg_id is not None:
            document["clientMsgId"] = msg_id
        self.say(json.dumps(document))

    def receive(self) -> dict[str, Any]:
        text = self.hear()
        assert isinstance(text, str)
        found: dict[str, Any] = json.loads(text)
        return found

    def until(self, payload_type: int, msg_id: str | None = None) -> dict[str, Any]:
        while True:
            found = self.receive()
            if found["payloadType"] == payload_type and (msg_id is None or found.get("clientMsgId") == msg_id):
                return found

    def ask(self, payload_type: int, **payload: Any) -> dict[str, Any]:
        self.send(payload_type, "ask", **payload)
        while True:
            found = self.receive()
            if found.get("clientMsgId") == "ask":
                return found

    def log_in(self, info: ReadyInfo, access_token: str | None = None) -> int:
        account = info.accounts[0]
        assert self.ask(2100, clientId=info.client_id, clientSecret=info.client_secret) == {
            "payloadType": 2101,
            "clientMsgId": "ask",
        }
        answer = self.ask(2102, ctidTraderAccountId=account.ctid, accessToken=access_token or account.access_token)
        assert answer["payloadType"] == 2103, answer
        return account.ctid
