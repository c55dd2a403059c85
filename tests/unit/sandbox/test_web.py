"""The small HTTP server: what it hands to a page, and what a visitor may cost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from cmam.sandbox.https import web
from cmam.sandbox.https.web import Handler, HttpConnection, HttpRequest, HttpResponse
from tests.waiting import PATIENCE_S

ANSWER_S = PATIENCE_S
GET = b"GET /a?x=1&x=2 HTTP/1.1\r\nHost: h\r\n\r\n"


def echo(request: HttpRequest) -> HttpResponse:
    """Answer with what was understood."""
    text = f"{request.method} {request.path} {dict(request.query)} {dict(request.form)}"
    return HttpResponse(200, text.encode(), "text/plain")


@asynccontextmanager
async def serving(handler: Handler = echo) -> AsyncIterator[tuple[int, set[HttpConnection]]]:
    """Serve one handler; gives the port and the connections that are open."""
    visitors: set[HttpConnection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: HttpConnection(handler, visitors), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], visitors
    finally:
        server.close()


async def exchange(port: int, *data: bytes) -> bytes:
    """Send bytes, piece by piece, and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for piece in data:
            writer.write(piece)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), ANSWER_S)
    finally:
        writer.close()


def run(story: Callable[[], Any]) -> None:
    """Run one story in a loop of its own."""
    asyncio.run(asyncio.wait_for(story(), 2 * ANSWER_S))


def test_queries_and_forms_are_read() -> None:
    """A page gets method, path, query and form, whatever pieces the request came in."""

    async def story() -> None:
        async with serving() as (port, _):
            close = b"Connection: close\r\n"
            body = b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\n" + close
            body += b"Content-Length: 12\r\n\r\nb=%C3%A9&c=+"
            found = await exchange(port, *(body[i : i + 3] for i in range(0, len(body), 3)))
            assert found.startswith(b"HTTP/1.1 200")
            assert "POST /p {} {'b': ['é'], 'c': [' ']}".encode() in found
            assert b"nosniff" in found

    run(story)


def test_requests_share_a_connection_and_head_has_no_body() -> None:
    """Keep-alive works, also pipelined; HEAD tells the length only."""

    async def story() -> None:
        async with serving() as (port, _):
            last = b"HEAD /z HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"
            found = await exchange(port, GET + GET + last)
            assert found.count(b"HTTP/1.1 200") == 3
            assert found.count(b"GET /a {'x': ['1', '2']}") == 2
            assert found.endswith(b"\r\n\r\n")

    run(story)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"y" * 80_000, b"431"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n" + b"x" * 1_100_000, b"413"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", b"400"),
        (b"GET //[ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", b"400"),
        (b"GET /?" + b"a&" * 200 + b" HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", b"400"),
    ],
)
def test_what_is_no_request_is_refused_and_the_line_closed(request_: bytes, status: bytes) -> None:
    """Malformed, oversized and ambiguous requests get their status, then nothing more."""

    async def story() -> None:
        async with serving() as (port, visitors):
            found = await exchange(port, request_)
            assert found.startswith(b"HTTP/1.1 " + status)
            while visitors:
                await asyncio.wait_for(asyncio.sleep(0), ANSWER_S)

    run(story)


def test_a_page_that_fails_answers_500_and_the_next_request_is_served() -> None:
    """One broken page does not take the server with it, nor tell the visitor its insides."""

    def failing(request: HttpRequest) -> HttpResponse:
        if request.path == "/bad":
            raise RuntimeError("a secret inside")
        return echo(request)

    async def story() -> None:
        async with serving(failing) as (port, _):
            bad = b"GET /bad HTTP/1.1\r\nHost: h\r\n\r\n"
            found = await exchange(port, bad + GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
            assert found.startswith(b"HTTP/1.1 500")
            assert b"secret" not in found
            assert b"HTTP/1.1 200" in found

    run(story)


def test_a_visitor_that_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a request holds a connection only so long."""
    monkeypatch.setattr(web, "CONNECTION_S_MAX", 0.05)

    async def story() -> None:
        async with serving() as (port, visitors):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(GET[:10])
            with contextlib.suppress(ConnectionResetError):
                assert await asyncio.wait_for(reader.read(), ANSWER_S) == b""
            writer.close()
            assert not visitors

    run(story)
