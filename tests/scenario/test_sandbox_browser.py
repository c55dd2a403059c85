"""The consent page in a real browser: a person chooses, unticks, allows, and the application gets its code."""

from __future__ import annotations

import contextlib
import http.server
import json
import queue
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

from cmam.sandbox.serving.options import ReadyInfo, SandboxOptions
from cmam.sandbox.serving.server import run_in_thread
from tests.scenario.sandbox_clients import JsonClient
from tests.waiting import PATIENCE_S

STEP_S_MAX = PATIENCE_S
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--ignore-certificate-errors",  # the sandbox's authority is in no browser's list
    "--remote-debugging-port=0",
    "--window-size=820,1000",
)


class Browser:
    """One page of a headless Chromium, driven over its debugging socket."""

    def __init__(self, page: ClientConnection) -> None:
        self._page = page
        self._count = 0
        self.complaints: list[str] = []
        """What the page's policy or network refused, in the browser's words."""
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser and wait for its answer."""
        self._count += 1
        self._page.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:
            found = self._receive()
            if found.get("id") == self._count:
                assert "error" not in found, found
                result: dict[str, Any] = found["result"]
                return result

    def evaluate(self, expression: str) -> Any:
        """Read or do something on the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def until(self, expression: str) -> Any:
        """Wait until something on the page is so; every look is a round trip to the browser."""
        deadline = time.monotonic() + STEP_S_MAX
        while time.monotonic() < deadline:
            with contextlib.suppress(AssertionError):  # a page that is just being left cannot be asked
                if value := self.evaluate(expression):
                    return value
        raise AssertionError(f"never came true: {expression}")

    def click(self, selector: str) -> None:
        """Click where the element is, as a person does."""
        box = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView();"
            " const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def _receive(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._page.recv(timeout=STEP_S_MAX))
        if found.get("method") == "Log.entryAdded":
            self.complaints.append(found["params"]["entry"]["text"])
        return found


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReadyInfo]:
    """A sandbox to ask for consent."""
    home = tmp_path_factory.mktemp("home")
    with run_in_thread(SandboxOptions(home=home, port=0, json_port=0, oauth_port=0)) as info:
        yield info


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    """A fresh browser; skipped by name where there is none."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium on this machine: the consent page is checked without a browser only")
    process = subprocess.Popen(
        [program, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "about:blank"],
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )
    assert process.stderr is not None
    try:
        port = next(urlsplit(line.split()[-1]).port for line in process.stderr if "DevTools listening on" in line)
        threading.Thread(target=process.stderr.read, daemon=True).start()  # a full pipe would stop the browser
        page = next(one for one in httpx.get(f"http://127.0.0.1:{port}/json").json() if one["type"] == "page")
        with connect(page["webSocketDebuggerUrl"], max_size=2**24) as socket:
            yield Browser(socket)
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def application() -> Iterator[tuple[str, queue.Queue[str]]]:
    """An application's loopback address, and what was asked of it."""
    asked: queue.Queue[str] = queue.Queue()

    class Redirected(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.put(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/plain")
            self.end_headers()
            self.wfile.write(b"back at the application")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirected)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/", asked
    server.shutdown()
    thread.join()
    server.server_close()


def consent_address(ready: ReadyInfo, redirect_uri: str) -> str:
    """Give the address that an application sends a person to."""
    asked = {"client_id": ready.client_id, "redirect_uri": redirect_uri, "scope": "trading", "product": "web"}
    return f"{ready.oauth_url}/apps/auth?{urlencode(asked)}"


@pytest.mark.browser
def test_a_person_consents_in_a_browser(
    browser: Browser, ready: ReadyInfo, application: tuple[str, queue.Queue[str]], tmp_path: Path
) -> None:
    """Choose a cTrader ID, untick an account, allow: the application gets a code for exactly the ticked accounts."""
    redirect_uri, asked = application
    browser.call("Emulation.setScriptExecutionDisabled", value=True)  # the page must not need any
    browser.call("Page.navigate", url=consent_address(ready, redirect_uri))
    browser.until("document.querySelectorAll('a.row').length > 1")
    browser.click("a.row")
    browser.until("document.querySelectorAll('input[type=checkbox]').length > 2")
    assert "wants to trade on your accounts" in browser.evaluate("document.querySelector('h1').innerText")
    labelled = "[...document.querySelectorAll('input[type=checkbox]')].every(box => box.labels.length === 1)"
    assert browser.evaluate(labelled)
    assert browser.evaluate("document.documentElement.lang") == "en"
    every = browser.evaluate("[...document.querySelectorAll('input[type=checkbox]')].map(box => Number(box.value))")
    browser.click("input[type=checkbox]")
    browser.click("button.primary")
    path = asked.get(timeout=STEP_S_MAX)
    code = parse_qs(urlsplit(path).query)["code"][0]
    with httpx.Client(base_url=ready.oauth_url, verify=False) as client:  # noqa: S501  # its certificate is another test's
        tokens = client.get(
            "/apps/token",
            params={
                "grant_type": "authorization_code",
                "code": code,
                "redirect_uri": redirect_uri,
                "client_id": ready.client_id,
                "client_secret": ready.client_secret,
            },
        ).json()
    assert tokens["errorCode"] is None
    assert granted(ready, tokens["accessToken"]) == every[1:]
    assert [text for text in browser.complaints if "favicon" not in text and "404" not in text] == []


@pytest.mark.browser
def test_a_person_denies_in_a_browser(
    browser: Browser, ready: ReadyInfo, application: tuple[str, queue.Queue[str]]
) -> None:
    """Deny leads back to the application with an error and without a code; the keyboard is enough for it."""
    redirect_uri, asked = application
    browser.call("Page.navigate", url=consent_address(ready, redirect_uri))
    browser.until("document.querySelectorAll('a.row').length > 1")
    browser.click("a.row")
    browser.until("document.querySelectorAll('button').length === 2")
    browser.evaluate("document.querySelectorAll('button')[1].focus()")
    for kind in ("keyDown", "keyUp"):
        browser.call(
            "Input.dispatchKeyEvent", type=kind, key="Enter", code="Enter", windowsVirtualKeyCode=13, text="\r"
        )
    assert asked.get(timeout=STEP_S_MAX) == "/?error=access_denied"


def granted(ready: ReadyInfo, access_token: str) -> list[int]:
    """Ask the sandbox which accounts a token opens."""
    from cmam.openapi._pb import OpenApiMessages_pb2 as oa
    from cmam.sandbox.wire import json_codec

    with JsonClient(ready) as client:
        for request in (
            oa.ProtoOAApplicationAuthReq(clientId=ready.client_id, clientSecret=ready.client_secret),
            oa.ProtoOAGetAccountListByAccessTokenReq(accessToken=access_token),
        ):
            client.say(json_codec.encode(request.payloadType, request.SerializeToString(), None))
            answer = client.receive()
    return [account["ctidTraderAccountId"] for account in answer["payload"]["ctidTraderAccount"]]
