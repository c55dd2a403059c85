"""The listener for a redirect: whom it answers, and for how long."""

from __future__ import annotations

import http.client
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from cmam.credentials import loopback
from cmam.credentials.loopback import Loopback, LoopbackRefused, listens_here
from tests.waiting import PATIENCE_S


@pytest.fixture
def redirect() -> str:
    """A redirect to a port that is free."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/callback"


@pytest.fixture
def listener(redirect: str) -> Iterator[Loopback]:
    """A listener that is open."""
    with Loopback(redirect) as loopback:
        yield loopback


def _visit(redirect: str, path: str, host: str | None = None, **headers: str) -> tuple[int, str]:
    parts = urlsplit(redirect)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=PATIENCE_S)
    connection.request("GET", path, headers={"Host": host or parts.netloc, **headers})
    response = connection.getresponse()
    return response.status, response.read().decode()


def test_it_takes_the_first_answer_on_its_path(listener: Loopback, redirect: str) -> None:
    """The browser's redirect is taken with all its values, and the person is sent back to the terminal."""
    with ThreadPoolExecutor() as pool:
        visit = pool.submit(_visit, redirect, "/callback?code=abc&state=s")
        assert listener.wait(time.monotonic, seconds=10) == {"code": "abc", "state": "s"}
        status, page = visit.result()
    assert status == 200
    assert "go back to the terminal" in page
    assert "abc" not in page


@pytest.mark.parametrize(
    ("path", "host"),
    [
        ("/favicon.ico", None),
        ("/callback", None),
        ("/callback/?code=x", None),
        ("/other?code=x", None),
        ("/callback?code=x", "evil.example"),
        ("/callback?code=" + "x" * 5_000, None),
    ],
)
def test_other_visitors_are_sent_away_and_change_nothing(
    listener: Loopback, redirect: str, path: str, host: str | None
) -> None:
    """A browser's favicon, another path, another host name or an oversized address is not the answer."""
    with ThreadPoolExecutor() as pool:
        stranger = pool.submit(_visit, redirect, path, host)
        while not stranger.done():
            assert listener.take() is None
        assert stranger.result()[0] == 404
        visit = pool.submit(_visit, redirect, "/callback?code=real")
        assert listener.wait(time.monotonic, seconds=10) == {"code": "real"}
        assert visit.result()[0] == 200


def test_what_another_page_asks_for_unseen_is_not_the_answer(listener: Loopback, redirect: str) -> None:
    """Any page in the same browser could bring a code of its owner's accounts, as the address of an image."""
    with ThreadPoolExecutor() as pool:
        for asked_as in ("image", "empty", "iframe"):
            unseen = pool.submit(_visit, redirect, "/callback?code=x", **{"Sec-Fetch-Dest": asked_as})
            while not unseen.done():
                assert listener.take() is None
            assert unseen.result()[0] == 404
        visit = pool.submit(_visit, redirect, "/callback?code=real", **{"Sec-Fetch-Dest": "document"})
        assert listener.wait(time.monotonic, seconds=10) == {"code": "real"}
        assert visit.result()[0] == 200


def test_the_answer_to_an_older_question_is_not_the_one_that_is_awaited(redirect: str) -> None:
    """A page of an earlier consent, still open in another tab, is told so, and does not end the wait; one that brings
    no state back may be ours."""
    with Loopback(redirect, "new") as listener, ThreadPoolExecutor() as pool:
        older = pool.submit(_visit, redirect, "/callback?code=old&state=old")
        while not older.done():
            assert listener.take() is None
        assert older.result()[0] == 400
        assert "still waits" in older.result()[1]
        visit = pool.submit(_visit, redirect, "/callback?code=real")
        assert listener.wait(time.monotonic, seconds=10) == {"code": "real"}
        assert visit.result()[0] == 200


def test_a_visitor_who_says_nothing_does_not_hold_the_door(
    listener: Loopback, redirect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Someone who connects and stays silent is left after his time, and the answer still arrives."""
    monkeypatch.setattr(listener._server.RequestHandlerClass, "timeout", 0.05)
    port = urlsplit(redirect).port
    with socket.create_connection(("127.0.0.1", port)), ThreadPoolExecutor() as pool:
        visit = pool.submit(_visit, redirect, "/callback?code=real")
        assert listener.wait(time.monotonic, seconds=10) == {"code": "real"}
        assert visit.result()[0] == 200


def test_nobody_coming_is_a_sentence(listener: Loopback) -> None:
    """The listener closes after its time, and says how to go on."""
    readings = iter([0.0, 0.0, 301.0])
    with pytest.raises(LoopbackRefused, match="--code"):
        listener.wait(lambda: next(readings), seconds=0.001)


def test_a_port_in_use_is_a_sentence(listener: Loopback, redirect: str) -> None:
    """Another program on the port is named, and pasting is offered."""
    with pytest.raises(LoopbackRefused, match="Paste the address instead"):
        Loopback(redirect)


def test_it_leaves_nothing_behind(redirect: str) -> None:
    """After the wait the port is free and no thread runs."""
    before = threading.active_count()
    with Loopback(redirect):
        pass
    with Loopback(redirect):
        pass
    assert threading.active_count() == before


def test_denial_is_an_answer_too(listener: Loopback, redirect: str) -> None:
    """A person who denies is not left waiting, neither at the browser nor at the terminal."""
    with ThreadPoolExecutor() as pool:
        visit = pool.submit(_visit, redirect, "/callback?error=access_denied")
        found: Mapping[str, str] = listener.wait(time.monotonic, seconds=10)
        assert found == {"error": "access_denied"}
        assert "denied" in visit.result()[1]


def test_only_plain_loopback_redirects_are_listened_for() -> None:
    """Where the redirect is elsewhere, the code is pasted."""
    assert listens_here("http://127.0.0.1:5081/callback")
    assert listens_here("http://localhost:1/")
    assert not listens_here("https://127.0.0.1:5081/callback")
    assert not listens_here("https://example.org/callback")


def test_who_goes_on_sending_keeps_the_answer_out_for_a_moment_only(
    redirect: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any process of this machine can knock: a byte now and then was waited for as long as it came."""
    monkeypatch.setattr(loopback, "VISITOR_S", 0.3)
    port = urlsplit(redirect).port or 0
    with (
        Loopback(redirect) as listener,
        socket.create_connection(("127.0.0.1", port)) as slow,
        ThreadPoolExecutor() as pool,
    ):
        slow.sendall(b"GET /callback?code=")
        slow.settimeout(0.05)
        sending = pool.submit(_send_until_hung_up_on, slow)
        visit = pool.submit(_visit, redirect, "/callback?code=real")
        assert listener.wait(time.monotonic, seconds=2 * PATIENCE_S) == {"code": "real"}
        assert visit.result()[0] == 200
        assert sending.result()


def _send_until_hung_up_on(slow: socket.socket) -> bool:
    """Send a byte at a time; whether the other side ended it, and not our patience."""
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        try:
            slow.sendall(b"x")
            if not slow.recv(1):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False
