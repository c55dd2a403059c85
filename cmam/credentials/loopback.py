"""The redirect of a consent, taken on this machine: one answer, on one path, for a few minutes, on 127.0.0.1 only.

Must not know what a code is worth; it hands the query of the first request that fits to whoever waits.
"""

from __future__ import annotations

import http.server
import select
import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import parse_qsl, urlsplit

OPEN_FOR_S = 300.0
VISITOR_S = 5.0
"""How long one visitor may take to say what it wants."""
ADDRESS_BYTES_MAX = 4_096

_PAGE = (
    "<!doctype html><html lang=en><meta charset=utf-8><meta name=color-scheme content='light dark'>"
    "<title>cmam</title>"
    "<style>body{{font:1.1rem/1.5 system-ui;max-width:34rem;margin:15vh auto;padding:0 1rem}}</style>"
    "<h1>{title}</h1><p>{text}</p></html>"
)


class LoopbackRefused(Exception):
    """Nothing can listen there, or nobody came; one sentence with the cure."""


def listens_here(redirect_uri: str) -> bool:
    """Whether a redirect ends on this machine, where a code can be taken without being pasted."""
    parts = urlsplit(redirect_uri)
    return parts.scheme == "http" and parts.hostname in ("127.0.0.1", "localhost") and parts.port is not None


class Loopback:
    """Listens for one redirect. Use as a context manager; `fileno` lets a prompt be watched beside it."""

    def __init__(self, redirect_uri: str, state: str = "") -> None:
        """`state`: what our question carries; an answer that brings another one back is not waited for."""
        parts = urlsplit(redirect_uri)
        assert listens_here(redirect_uri), f"expected a redirect to this machine, found {redirect_uri}"
        self._path = parts.path or "/"
        self._port = parts.port or 0
        self._hosts = {f"127.0.0.1:{self._port}", f"localhost:{self._port}"}
        self._state = state
        self._found: dict[str, str] | None = None
        try:
            self._server = _OneAtATime(("127.0.0.1", self._port), self._handler())
        except OSError as error:
            raise LoopbackRefused(
                f"Expected to listen on 127.0.0.1:{self._port} for the redirect; found: {error.strerror}. "
                "Paste the address instead, or free the port."
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.server_close()

    def fileno(self) -> int:
        """The listening socket, for `select`."""
        return self._server.fileno()

    def take(self) -> Mapping[str, str] | None:
        """Answer the visitor that waits, and give its query if it came by the exact path; None for any other."""
        self._server.handle_request()
        return self._found

    def wait(self, monotonic: Callable[[], float], *, seconds: float = OPEN_FOR_S) -> Mapping[str, str]:
        """Wait for the redirect; raises LoopbackRefused when nobody came in time."""
        deadline = monotonic() + seconds
        while (left := deadline - monotonic()) > 0:
            if select.select([self], [], [], left)[0] and (found := self.take()) is not None:
                return found
        raise LoopbackRefused(
            f"Nobody came back from the consent page within {seconds:.0f} s: run `cmam account add` again, "
            "or paste the address the browser ended on with --code."
        )

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Answers a browser once; says nothing on stderr, where the code would be seen."""

            timeout = VISITOR_S
            server_version = "cmam"
            sys_version = ""

            def handle(self) -> None:
                """Hear one visitor, for no longer than it may take however slowly its bytes come: each would else wait
                anew, and who goes on sending keeps the answer out."""
                end = threading.Timer(VISITOR_S, self._hang_up)
                end.daemon = True
                end.start()
                try:
                    super().handle()
                finally:
                    end.cancel()

            def _hang_up(self) -> None:
                with suppress(OSError):
                    self.connection.shutdown(socket.SHUT_RDWR)  # wakes whoever reads

            def do_GET(self) -> None:
                """Runs in the thread that called `take`."""
                parts = urlsplit(self.path)
                query = dict(parse_qsl(parts.query))
                is_ours = parts.path == outer._path and self.headers.get("Host", "") in outer._hosts
                # Browsers say what an address is asked for as: a page that asks for an image shows nobody that it did.
                is_ours = is_ours and self.headers.get("Sec-Fetch-Dest", "document") == "document"
                if not is_ours or len(self.path) > ADDRESS_BYTES_MAX or not {"code", "error"} & set(query):
                    self._page(404, "Nothing here", "cmam waits for the answer of the consent page only.")
                    return
                if outer._state and query.get("state", outer._state) != outer._state:
                    self._page(
                        400,
                        "An older question",
                        "This answers an earlier cmam account add. Nothing was changed, and the terminal still waits: "
                        "open the address that it shows now.",
                    )
                    return
                outer._found = query
                if "code" in query:
                    self._page(
                        200, "Thank you", "cmam has its answer; go back to the terminal. This page can be closed."
                    )
                else:
                    self._page(200, "Access was denied", "Nothing was changed; the terminal says how to ask again.")

            def _page(self, status: int, title: str, text: str) -> None:
                body = _PAGE.format(title=title, text=text).encode()
                self.send_response(status)
                for name, value in (
                    ("Content-Type", "text/html; charset=utf-8"),
                    ("Content-Length", str(len(body))),
                    ("Cache-Control", "no-store"),
                    ("Referrer-Policy", "no-referrer"),
                    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"),
                    ("Connection", "close"),
                ):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Keep quiet: the line would hold the code."""

        return Handler


class _OneAtATime(http.server.HTTPServer):
    allow_reuse_address = True
    timeout = 0.0

    def server_bind(self) -> None:
        # Without the reverse look-up of HTTPServer, which can take seconds where no name server answers.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def handle_error(self, request: object, client_address: object) -> None:
        """A visitor that hung up or talked nonsense is nobody we wait for."""
