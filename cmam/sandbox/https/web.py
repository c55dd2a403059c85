"""A small HTTP/1.1 server for the OAuth pages and the control endpoint: h11 parses, a plain function answers.

Limits on everything a visitor can make us hold: head, body, requests and time a connection. Knows no page.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import parse_qs, urlsplit

import h11

HEAD_BYTES_MAX = 32 * 1024
BODY_BYTES_MAX = 1024 * 1024
CONNECTION_S_MAX = 15.0
"""Longest that a visitor may be silent, between requests or within one."""
LINGER_BYTES_MAX = 8 * 1024 * 1024
"""How much a refused visitor may still send before the line is cut."""
REQUESTS_MAX = 1_000
"""Requests one connection may carry before it is closed."""

_LOG = logging.getLogger("cmam.sandbox.web")

SECURITY_HEADERS: Final[tuple[tuple[str, str], ...]] = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What a visitor asked for."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def form(self) -> Mapping[str, list[str]]:
        """Read the body as an HTML form; empty when it is none."""
        if not self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return {}
        return parse_qs(self.body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=1_000)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """What the visitor gets."""

    status: int
    body: bytes = b""
    content_type: str = "text/html; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = field(default=())
    is_cut: bool = False
    """Whether only half of the body leaves before the line is cut: of a body that is empty, nothing at all."""


Handler = Callable[[HttpRequest], HttpResponse]


class HttpConnection(asyncio.Protocol):
    """One visitor; as many requests as it likes to send, one after the other."""

    def __init__(self, handler: Handler, open_connections: set[HttpConnection]) -> None:
        self._handler = handler
        self._open = open_connections
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES_MAX)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._request: h11.Request | None = None
        self._body = bytearray()
        self._served = 0
        self._is_lingering = False
        self._swallowed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._open.add(self)
        self._restart_timer()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio names it
        self._transport = None
        self._open.discard(self)
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        if self._is_lingering:
            self._swallowed += len(data)
            if self._swallowed > LINGER_BYTES_MAX:
                self.abort()
            return
        self._restart_timer()
        try:
            self._http.receive_data(data)
            self._serve()
        except h11.RemoteProtocolError as error:
            self._refuse(error.error_status_hint, str(error))

    def abort(self) -> None:
        """Cut the line; the server stops."""
        if self._transport is not None:
            self._transport.abort()

    def _serve(self) -> None:
        while self._transport is not None:
            event = self._http.next_event()
            match event:
                case h11.Request():
                    self._request = event
                    self._body.clear()
                case h11.Data():
                    self._body += event.data
                    if len(self._body) > BODY_BYTES_MAX:
                        self._refuse(413, f"expected at most {BODY_BYTES_MAX} bytes")
                        return
                case h11.EndOfMessage():
                    self._answer()
                    if self._http.our_state is h11.MUST_CLOSE or self._served >= REQUESTS_MAX:
                        self._transport.close()
                        return
                    if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
                        self._http.start_next_cycle()
                case h11.ConnectionClosed():
                    self._transport.close()
                    return
                case _:  # NEED_DATA or PAUSED
                    return

    def _answer(self) -> None:
        assert self._request is not None
        self._served += 1
        try:
            response = self._handler(_as_request(self._request, bytes(self._body)))
        except ValueError:  # an address or a form that cannot be read
            response = HttpResponse(
                400, b"Bad request: the address or the form is malformed.", "text/plain; charset=utf-8"
            )
        except Exception:  # noqa: BLE001  # a fault in one page must not end the visitor without a word, nor the server
            _LOG.exception("! a page failed")
            response = HttpResponse(
                500, b"Internal error of the sandbox; its log says more.", "text/plain; charset=utf-8"
            )
        self._write(response, with_body=self._request.method != b"HEAD")

    def _write(self, response: HttpResponse, *, with_body: bool = True) -> None:
        assert self._transport is not None
        headers = [
            ("Content-Type", response.content_type),
            ("Content-Length", str(len(response.body))),
            *SECURITY_HEADERS,
            *response.headers,
        ]
        out = self._http.send(h11.Response(status_code=response.status, headers=headers)) or b""
        if with_body:
            out += self._http.send(h11.Data(data=response.body)) or b""
        out += self._http.send(h11.EndOfMessage()) or b""
        if response.is_cut:
            self._transport.write(out[: -(len(response.body) + 1) // 2] if response.body else b"")
            self._transport.close()
            return
        self._transport.write(out)

    def _refuse(self, status: int, why: str) -> None:
        if self._transport is None:
            return
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            body = f"Bad request: {why}\n".encode()
            head = [
                ("Content-Type", "text/plain; charset=utf-8"),
                ("Content-Length", str(len(body))),
                ("Connection", "close"),
            ]
            self._transport.write(self._http.send(h11.Response(status_code=status, headers=head)) or b"")
            self._transport.write(self._http.send(h11.Data(data=body)) or b"")
        self._linger()

    def _linger(self) -> None:
        """Say no more and swallow what is on its way: closed at once, the kernel would drop our answer unread."""
        assert self._transport is not None
        self._is_lingering = True
        self._http = h11.Connection(h11.SERVER)
        self._body.clear()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:  # TLS cannot say that only one side is done
            self._transport.close()

    def _restart_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(CONNECTION_S_MAX, self.abort)


def _as_request(request: h11.Request, body: bytes) -> HttpRequest:
    target = urlsplit(request.target.decode("ascii", "replace"))
    return HttpRequest(
        method=request.method.decode("ascii"),
        path=target.path,
        query=parse_qs(target.query, keep_blank_values=True, max_num_fields=100),
        headers={name.decode("ascii"): value.decode("latin-1") for name, value in request.headers},
        body=body,
    )
