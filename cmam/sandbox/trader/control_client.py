"""How a command finds a running sandbox, and talks to its control endpoint.

The way is the ready file: the one that was named, or the one that a running server keeps in the home folder.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cmam.sandbox.https.control import CONTROL_PREFIX
from cmam.sandbox.serving.options import READY_FILE, SANDBOX_FOLDER, SandboxError

ANSWER_S_MAX = 30.0


class NotRunning(SandboxError):
    """There is no sandbox where one was looked for."""


class NoReadyFile(SandboxError):
    """What was named, or lies in the home, says nothing of a sandbox."""


def read_ready_file(ready_file: Path | None, home: Path) -> dict[str, Any]:
    """Read the ready document of the running sandbox; raises NotRunning or NoReadyFile with one sentence."""
    path = ready_file if ready_file is not None else home / SANDBOX_FOLDER / READY_FILE
    try:
        if path.exists() and not path.is_file():  # a pipe without a writer would be waited for, a device has no end
            raise ValueError("no file")
        document: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise NotRunning(f"no sandbox runs: {path} does not exist; start one with `cmam sandbox`") from None
    except (OSError, ValueError, RecursionError) as error:
        raise NoReadyFile(f"expected the ready file of a sandbox in {path}, found something else ({error})") from None
    if not _is_ready(document):
        raise NoReadyFile(f"expected the ready file of a sandbox in {path}, found other JSON")
    if not _is_alive(document.get("pid")):
        raise NotRunning(f"no sandbox runs: the one that wrote {path} has ended; start one with `cmam sandbox`")
    return document


def ask(ready: Mapping[str, Any], method: str, name: str, document: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Send one request to the control endpoint; raises NotRunning, or SandboxError with the server's own sentence."""
    address = urlsplit(ready["control"]["url"])
    context = ssl.create_default_context(cafile=ready["ca_file"])
    connection = http.client.HTTPSConnection(
        address.hostname or "", address.port, context=context, timeout=ANSWER_S_MAX
    )
    body = json.dumps(document).encode() if document is not None else None
    headers = {"Authorization": f"Bearer {ready['control']['token']}", "Connection": "close"}
    try:
        connection.request(method, CONTROL_PREFIX + name, body, headers)
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NotRunning(f"the sandbox at {ready['control']['url']} does not answer ({error})") from None
    finally:
        connection.close()
    if response.status != 200:
        raise SandboxError(str(answer.get("error", f"the sandbox answered {response.status}")))
    return dict(answer)


def _is_ready(document: object) -> bool:
    """Whether a document says where a sandbox listens and whose accounts it has, as `ReadyInfo` writes it."""
    match document:
        case {
            "host": str(),
            "port": int(),
            "ca_file": str(),
            "client_id": str(),
            "client_secret": str(),
            "accounts": list(accounts),
            "control": {"url": str(), "token": str()},
        }:
            return all(map(_is_account, accounts))
        case _:
            return False


def _is_account(entry: object) -> bool:
    match entry:
        case {"ctid": int(), "login": int(), "broker": str(), "access_token": str()}:
            return True
        case _:
            return False


def _is_alive(pid: object) -> bool:
    """Whether the process of a ready file still runs; that its number went to another program shows on connecting."""
    if not isinstance(pid, int) or pid <= 0:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
