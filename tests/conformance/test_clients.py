"""Other people's clients, unmodified, run a full session against the sandbox as it is started by default."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from cmam.sandbox.serving.options import ReadyInfo, SandboxOptions
from cmam.sandbox.serving.server import run_in_thread
from cmam.sandbox.trader import control_client
from tests.conformance.set_up_clients import CLIENT_LIST, Client, NotToBeHad, set_up

SESSION_S_MAX = 300
REFUSALS = {
    "refused: volume below the minimum": "TRADING_BAD_VOLUME",
    "refused: cancel of an unknown order": "ORDER_NOT_FOUND",
    "refused: close of an unknown position": "POSITION_NOT_FOUND",
}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ReadyInfo, Path]]:
    """A sandbox of the built-in world with every default, and its ready file."""
    home = tmp_path_factory.mktemp("home")
    ready_file = home / "ready.json"
    with run_in_thread(SandboxOptions(home=home, port=0, json_port=0, oauth_port=0, ready_file=ready_file)) as ready:
        yield ready, ready_file


def environment_for(client: Client, ready: ReadyInfo) -> dict[str, str]:
    """Give the environment in which a client trusts the sandbox's authority, each in its own way."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "SSL_CERT_FILE": str(ready.ca_file),
        "REQUESTS_CA_BUNDLE": str(ready.ca_file),
        "NODE_EXTRA_CA_CERTS": str(ready.ca_file),
        "CLIENT_FOLDER": str(client.folder),
    }


def ready_command(client: Client) -> list[str]:
    """Set a client up; skips by name where it cannot be had."""
    try:
        return set_up(client)
    except NotToBeHad as reason:
        pytest.skip(f"{client.name}: {reason}")


def run_session(client: Client, sandbox: tuple[ReadyInfo, Path]) -> dict[str, dict[str, Any]]:
    """Run a client's session; gives its steps by name."""
    command = ready_command(client)
    ready, ready_file = sandbox
    done = subprocess.run(
        [*command, str(client.script_file), str(ready_file)],
        env=environment_for(client, ready),
        capture_output=True,
        text=True,
        timeout=SESSION_S_MAX,
        check=False,
    )
    steps = {step.pop("step"): step for step in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, f"after {list(steps)[-1:]}: {done.stderr[-2000:]}"
    assert "done" in steps
    assert control_client.ask(ready.as_document(), "GET", "stats")["internal_errors"] == 0
    return steps


def by_name(name: str) -> Client:
    """Find a client of the list."""
    return next(client for client in CLIENT_LIST if client.name == name)


def test_the_official_python_sdk_runs_a_full_session(sandbox: tuple[ReadyInfo, Path]) -> None:
    """Authorisation, symbols, spots, each order type, amends, closes, cancels, history, refusals: the vendor's SDK."""
    steps = run_session(by_name("python-sdk"), sandbox)
    assert steps["accounts"]["ctids"][0] == sandbox[0].accounts[0].ctid
    assert steps["wrong token"] == {"answer": "ProtoOAErrorRes", "code": "CH_ACCESS_TOKEN_INVALID"}
    assert steps["account twice"]["code"] == "ALREADY_LOGGED_IN"
    assert steps["before account auth"]["description"] == "Trading account is not authorized"
    for name in ("market", "levels", "range"):
        assert steps[f"order {name}"] == {
            "accepted_position": "POSITION_STATUS_CREATED",
            "filled_position": "POSITION_STATUS_OPEN",
            "same_position": True,
            "volume": True,
            "order_status": "ORDER_STATUS_FILLED",
        }
    assert steps["protective order"] == {"server": True, "stop_loss": 0.01, "take_profit": -0.02}
    assert [steps[f"order {name}"]["type"] for name in ("limit", "stop", "stop-limit")] == [
        "LIMIT",
        "STOP",
        "STOP_LIMIT",
    ]
    assert steps["amend order"] == {"type": "ORDER_REPLACED", "price": True}
    assert steps["amend position"] == {"type": "ORDER_ACCEPTED", "stop_loss": True}
    assert steps["partial close"] == {"left": True, "detail": True}
    assert steps["reconcile"] == {"positions": 3, "orders": 3}
    for step, code in {**REFUSALS, "refused: absolute levels on market": "INVALID_REQUEST"}.items():
        assert steps[step] == {"carrier": "ProtoOAOrderErrorEvent", "code": code}
    assert steps["end"] == {"positions": 0, "orders": 0}
    assert steps["deals"] == {"count": 7, "has_more": False}
    assert steps["bars"] == {"answer": "ProtoOAGetTrendbarsRes", "some": True, "error": ""}
    assert steps["ticks"] == {"answer": "ProtoOAGetTickDataRes", "some": True, "error": ""}
    assert steps["balance"]["agrees"]


def test_an_asyncio_client_runs_a_full_session(sandbox: tuple[ReadyInfo, Path]) -> None:
    """The same session by an independent client that checks certificates and models every answer strictly."""
    steps = run_session(by_name("asyncio-client"), sandbox)
    assert steps["resolve"]["ctid"] == sandbox[0].accounts[1].ctid
    assert steps["order market"] == {"first": "ORDER_ACCEPTED", "then": "ORDER_FILLED", "volume": True}
    assert steps["protective order"] == {"server": True, "both": True}
    assert [steps[f"order {name}"]["type"] for name in ("limit", "stop", "stop-limit")] == [
        "LIMIT",
        "STOP",
        "STOP_LIMIT",
    ]
    assert steps["amend order"]["type"] == "ORDER_REPLACED"
    assert steps["amend position"] == {"type": "ORDER_ACCEPTED", "stop_loss": True}
    assert steps["partial close"]["left"]
    assert steps["reconcile"]["positions"] == 3
    for step, code in REFUSALS.items():
        assert steps[step]["code"] == code
    assert steps["refused: account of another cTrader ID"]["code"] == "INVALID_REQUEST"
    assert steps["unrealised"]["positions"] == 3
    assert steps["bars"]["some"]
    assert steps["end"]["positions"] == 0


def test_a_node_client_runs_a_full_session(sandbox: tuple[ReadyInfo, Path]) -> None:
    """The same session by a client of another language, on a broker with other symbol names and an account in euro."""
    steps = run_session(by_name("node-layer"), sandbox)
    assert steps["accounts"]["mine"]
    assert steps["wrong token"]["code"] == "CH_ACCESS_TOKEN_INVALID"
    assert steps["symbol"]["name"] == "EURUSD.b"
    assert steps["order market"] == {"same": True, "volume": True}
    assert steps["protective order"]["stopLoss"]
    assert steps["amend order"]["same"]
    assert steps["amend position"]["stopLoss"]
    assert steps["partial close"]["left"]
    assert steps["reconcile"] == {"positions": 3, "orders": 3}
    for step, code in REFUSALS.items():
        assert steps[step]["code"] == code
    assert steps["end"] == {"positions": 0, "orders": 0}


def test_the_official_oauth_helper_gets_and_refreshes_tokens(sandbox: tuple[ReadyInfo, Path]) -> None:
    """The vendor's helper builds the consent address, exchanges the code and refreshes; a person consents between."""
    client = by_name("python-sdk")
    command = ready_command(client)
    ready, ready_file = sandbox
    script = client.script_file.with_name("python_sdk_oauth.py")
    with subprocess.Popen(
        [*command, str(script), str(ready_file)],
        env=environment_for(client, ready),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as helper:
        assert helper.stdin is not None
        assert helper.stdout is not None
        code = consent(ready, helper.stdout.readline().strip())
        answers, _ = helper.communicate(code + "\n", timeout=SESSION_S_MAX)
    tokens, refreshed, replayed = map(json.loads, answers.splitlines())
    assert (tokens["errorCode"], tokens["tokenType"], tokens["expiresIn"]) == (None, "bearer", 2_628_000)
    assert refreshed["errorCode"] is None
    assert refreshed["accessToken"] not in (None, tokens["accessToken"])
    assert replayed["errorCode"] == "CH_ACCESS_TOKEN_INVALID"
    assert replayed["accessToken"] is None


def consent(ready: ReadyInfo, address: str) -> str:
    """Be the person at the consent page: choose the first cTrader ID, leave every tick, allow; gives the code."""
    tls = ssl.create_default_context(cafile=str(ready.ca_file))
    with httpx.Client(base_url=ready.oauth_url, verify=tls) as browser:
        page = browser.get(address).text
        page = browser.get(unescape(re.findall(r'class="row" href="([^"]*)"', page)[0])).text
        fields = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
        form: dict[str, Any] = {name: unescape(value) for name, value in fields}
        form["account"] = re.findall(r'name="account" value="(\d+)"', page)
        answer = browser.post("/apps/auth", data={**form, "decision": "allow"})
    return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]
