"""Everything on the HTTPS port: front page, consent and token endpoint, control endpoint; and the ready document.

Routes by path; what the answers are is in `oauth` and `control`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cmam.sandbox.faults import Faults
from cmam.sandbox.https import pages
from cmam.sandbox.https.control import CONTROL_PREFIX, Control
from cmam.sandbox.https.oauth import CONSENT_PATHS, TOKEN_PATH, OAuthSite, html
from cmam.sandbox.https.web import HttpRequest, HttpResponse

NOT_FOUND = "There is nothing at this address. Consent page: /apps/auth. Token endpoint: /apps/token."


class Site:
    """Answers every request of the HTTPS port."""

    def __init__(
        self, oauth: OAuthSite, control: Control, pump: Callable[[], None], faults: Callable[[], Faults]
    ) -> None:
        self._oauth = oauth
        self._control = control
        self._pump = pump
        self._faults = faults
        self.addresses: list[tuple[str, str]] = []
        """What the front page names: set once everything listens."""

    def answer(self, request: HttpRequest) -> HttpResponse:
        """Give the answer to one request; what it made the broker say to its clients leaves at once."""
        try:
            return self._answer(request)
        finally:
            self._pump()

    def _answer(self, request: HttpRequest) -> HttpResponse:
        if request.path.startswith(CONTROL_PREFIX):
            return self._control.answer(request)
        if request.path in CONSENT_PATHS:
            return self._oauth.consent(request)
        if request.path == TOKEN_PATH:
            return self._spoilt(self._oauth.token(request))
        if request.path == "/" and request.method in ("GET", "HEAD"):
            return html(200, pages.front_page(self.addresses))
        return html(404, pages.error_page("Not found", NOT_FOUND))

    def _spoilt(self, response: HttpResponse) -> HttpResponse:
        """What a fault leaves of the token endpoint's answer; what was asked for is done by then."""
        fault = self._faults().strikes("token-answer")
        match fault.arguments["is"] if fault is not None else "":
            case "lost":
                return replace(response, body=b"", is_cut=True)
            case "cut":
                return replace(response, is_cut=True)
            case "html":
                return html(502, "<html><h1>502 Bad Gateway</h1></html>")
        return response
