"""The control endpoint under /control/: counters, faults, state and fresh tokens, for the person who runs the sandbox.

JSON over HTTPS, for holders of the token in the ready file (0600) only. Trading is not here: `cmam sandbox trade` is a
client like any other, on the protocol port. Knows HTTP as values and no socket.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from cmam.sandbox.https.web import HttpRequest, HttpResponse

CONTROL_PREFIX = "/control/"


class Refused(Exception):
    """A request of the person that cannot be carried out; the text is one sentence."""


class Operations(Protocol):
    """What can be asked of a running sandbox; each may raise Refused or ValueError with one sentence."""

    def stats(self) -> Mapping[str, Any]:
        """Give the broker's and the listeners' counters."""
        ...

    def faults(self) -> Mapping[str, Any]:
        """List the faults that exist and those that are on."""
        ...

    def set_fault(self, name: str, arguments: Mapping[str, str]) -> str:
        """Switch a fault on; gives a sentence that says what happens now."""
        ...

    def clear_fault(self, name: str) -> str:
        """Switch a fault off."""
        ...

    def state(self) -> Mapping[str, Any]:
        """Give the whole state of the broker, as a restart would keep it."""
        ...

    def tokens(self, ctid: int) -> Mapping[str, Any]:
        """Make a fresh pair of tokens for one account, whatever became of the earlier ones."""
        ...


class Control:
    """Answers the control endpoint."""

    def __init__(self, operations: Operations, token: str) -> None:
        self._operations = operations
        self._token = token

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Check the token, then the route, then do it."""
        _, _, given = request.headers.get("authorization", "").partition(" ")
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return _json(401, {"error": "expected the control token of the ready file, found another or none"})
        action = self._route(request.method, request.path.removeprefix(CONTROL_PREFIX))
        if action is None:
            return _json(404, {"error": f"there is no {request.method} {request.path}"})
        try:
            return _json(200, action(_arguments(request)))
        except (Refused, ValueError) as refused:
            return _json(400, {"error": str(refused)})

    def _route(self, method: str, name: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]] | None:
        do = self._operations
        match method, name:
            case "GET", "stats":
                return lambda _: do.stats()
            case "GET", "state":
                return lambda _: do.state()
            case "GET", "faults":
                return lambda _: do.faults()
            case "POST", "faults":
                return lambda found: {"done": do.set_fault(_text(found, "name"), _texts(found.get("arguments", {})))}
            case "POST", "faults/clear":
                return lambda found: {"done": do.clear_fault(_text(found, "name"))}
            case "POST", "tokens":
                return lambda found: do.tokens(_number(found, "ctid"))
        return None


def _arguments(request: HttpRequest) -> Mapping[str, Any]:
    if not request.body:
        return {}
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError):
        raise Refused("expected a JSON object, found something else") from None
    if not isinstance(found, dict):
        raise Refused("expected a JSON object, found something else")
    return found


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    if not isinstance(value, str):
        raise Refused(f"expected a text as {name}, found {value!r}")
    return value


def _texts(found: object) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise Refused("expected texts as arguments")
    return found


def _number(found: Mapping[str, Any], name: str) -> int:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(f"expected a number as {name}, found {value!r}")
    return value


def _json(status: int, document: Mapping[str, Any]) -> HttpResponse:
    body = json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()
    return HttpResponse(status, body, "application/json")
