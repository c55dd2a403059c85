"""The OAuth side of the sandbox: consent page, redirect with a code, token endpoint (wire.md#consents).

Sign-in is left out on purpose: whoever reaches the page may be any cTrader ID of the world. What is kept is what
protects a person at a browser: the redirect address must be one of the application's, a form counts only with a token
that this server made for exactly that question, and no page runs a script or loads anything. Knows HTTP as values and
no socket.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from cmam.sandbox.books.authority import Grant, Grants, Refusal
from cmam.sandbox.https import pages
from cmam.sandbox.https.web import HttpRequest, HttpResponse
from cmam.sandbox.switches import Switches
from cmam.sandbox.world import NETTED, Account, Application, User, World

CONSENT_PATHS = frozenset({"/apps/auth", "/my/settings/openapi/grantingaccess", "/my/settings/openapi/grantingaccess/"})
TOKEN_PATH = "/apps/token"
SECOND_US = 1_000_000
FORM_US = 600 * SECOND_US
"""How long a consent form may stay open before it must be asked for again."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True, slots=True)
class Question:
    """What an application asks a person for, checked."""

    application: Application
    redirect_uri: str
    scope: str
    state: str = ""

    def as_fields(self) -> dict[str, str]:
        """Write the question as the parameters it was read from."""
        fields = {
            "client_id": self.application.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": self.scope,
            "state": self.state,
        }
        return {name: value for name, value in fields.items() if value}


class BadQuestion(Exception):
    """A consent address that nobody can be asked about: title and explanation of the page that says so."""

    def __init__(self, title: str, explanation: str) -> None:
        super().__init__(explanation)
        self.title = title
        self.explanation = explanation


class OAuthSite:
    """Answers the consent page and the token endpoint."""

    def __init__(
        self,
        world: World,
        grants: Callable[[], Grants],
        switches: Switches,
        *,
        now: Callable[[], int],
        form_key: bytes,
        balance: Callable[[Account], str],
    ) -> None:
        self._world = world
        self._grants = grants
        self._switches = switches
        self._now = now
        self._form_key = form_key
        self._balance = balance

    def consent(self, request: HttpRequest) -> HttpResponse:
        """Answer a visit to the consent page, or the form that it sent."""
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponse(
                405, b"Method not allowed", "text/plain; charset=utf-8", (("Allow", "GET, HEAD, POST"),)
            )
        values = request.form if request.method == "POST" else request.query
        try:
            question = self._question(values)
        except BadQuestion as bad:
            return html(400, pages.error_page(bad.title, bad.explanation))
        if request.method == "POST":
            return self._decision(question, values)
        return self._ask(question, request.path, _first(values, "user"))

    def token(self, request: HttpRequest) -> HttpResponse:
        """Answer the token endpoint: the fields of the query and of a form body count alike."""
        if request.method not in ("GET", "POST"):
            return HttpResponse(405, b"{}", "application/json", (("Allow", "GET, POST"),))
        values = {name: found[0] for name, found in (*request.query.items(), *request.form.items()) if found}
        return self._token(values)

    # The consent page.

    def _question(self, values: Mapping[str, list[str]]) -> Question:
        client_id, redirect_uri, scope = (_first(values, name) for name in ("client_id", "redirect_uri", "scope"))
        application = self._grants().application(client_id)
        if application is None:
            raise BadQuestion("Unknown application", f"Expected the client_id of an application, found {client_id!r}.")
        if application.state != "Active":
            raise BadQuestion(
                "This application is not active yet",
                f"{application.name} is in the state {application.state}. It can ask for access once it is Active.",
            )
        if not is_registered(redirect_uri, application.redirect_uris):
            raise BadQuestion(
                "This application may not return there",
                f"Expected one of the application's redirect addresses as redirect_uri, found {redirect_uri!r}.",
            )
        if scope not in pages.SCOPES:
            raise BadQuestion("Unknown scope", f"Expected scope=accounts or scope=trading, found {scope!r}.")
        return Question(application, redirect_uri, scope, _first(values, "state"))

    def _ask(self, question: Question, path: str, user_id: str, error: str | None = None) -> HttpResponse:
        users = [user for user in self._world.users if self._accounts(user)]
        user = users[0] if len(users) == 1 else next((user for user in users if str(user.id) == user_id), None)
        asked = question.as_fields()
        if user is None:
            rows = [
                (
                    pages.UserRow(user.id, user.name, len(self._accounts(user))),
                    f"{path}?{urlencode({**asked, 'user': user.id})}",
                )
                for user in users
            ]
            page = pages.user_page(application=question.application.name, scope=question.scope, users=rows)
            return html(200, page)
        accounts = self._accounts(user)
        page = pages.consent_page(
            application=question.application.name,
            scope=question.scope,
            user=user.name,
            accounts=[self._row(account) for account in accounts],
            hidden={**asked, "user": str(user.id), "form_token": self._form_token(question, user)},
            returns_to=question.redirect_uri,
            ticked=frozenset() if error else frozenset(account.ctid for account in accounts),
            change_user=f"{path}?{urlencode(asked)}" if len(users) > 1 else None,
            error=error,
        )
        return html(200 if error is None else 400, page, _csp_source(question.redirect_uri))

    def _decision(self, question: Question, form: Mapping[str, list[str]]) -> HttpResponse:
        user = next((user for user in self._world.users if str(user.id) == _first(form, "user")), None)
        if user is None or not self._is_our_form(question, user, _first(form, "form_token")):
            return html(
                403,
                pages.error_page(
                    "This form is no longer valid",
                    "It was open for too long, or did not come from this page. Start again from the application.",
                ),
            )
        if _first(form, "decision") != "allow":
            return self._redirect(question, {"error": "access_denied"})
        own = {str(account.ctid): account.ctid for account in self._accounts(user)}
        ticked = tuple(own[value] for value in dict.fromkeys(form.get("account", [])) if value in own)
        if not ticked:
            return self._ask(question, "/apps/auth", str(user.id), "Tick at least one account, or deny access.")
        code = self._grants().authorise(
            user=user.name,
            accounts=ticked,
            client_id=question.application.client_id,
            redirect_uri=question.redirect_uri,
            scope=question.scope,
            now_us=self._now(),
        )
        return self._redirect(question, {"code": code})

    def _redirect(self, question: Question, parameters: Mapping[str, str]) -> HttpResponse:
        if self._switches.consent_returns_state and question.state:
            parameters = {**parameters, "state": question.state}
        joint = "&" if urlsplit(question.redirect_uri).query else "?"
        return HttpResponse(303, b"", headers=(("Location", f"{question.redirect_uri}{joint}{urlencode(parameters)}"),))

    def _accounts(self, user: User) -> list[Account]:
        return [account for account in self._world.accounts if account.owner == user.name]

    def _row(self, account: Account) -> pages.AccountRow:
        return pages.AccountRow(
            ctid=account.ctid,
            login=account.login,
            broker=account.broker,
            currency=account.currency,
            is_live=account.live,
            is_netted=account.kind == NETTED,
            balance=self._balance(account),
        )

    # The form token: made by this server, for this question and person, for ten minutes.

    def _form_token(self, question: Question, user: User, until_us: int | None = None) -> str:
        until = until_us if until_us is not None else self._now() + FORM_US
        what = [until, sorted(question.as_fields().items()), user.id]
        return f"{until}.{hmac.new(self._form_key, json.dumps(what).encode(), hashlib.sha256).hexdigest()}"

    def _is_our_form(self, question: Question, user: User, token: str) -> bool:
        until, _, _ = token.partition(".")
        if not (until.isascii() and until.isdigit() and len(until) < 20) or int(until) < self._now():
            return False
        return hmac.compare_digest(token.encode(), self._form_token(question, user, int(until)).encode())

    # The token endpoint.

    def _token(self, values: Mapping[str, str]) -> HttpResponse:
        """Take a grant type with what belongs to it; the answer always has the same six fields (wire.md#consents)."""
        kind = values.get("grant_type", "")
        needed = _GRANT_FIELDS.get(kind)
        if needed is None:
            expected = " or ".join(_GRANT_FIELDS)
            return self._refused(Refusal("INVALID_REQUEST", f"expected grant_type {expected}, found {kind!r}"))
        missing = [name for name in needed if not values.get(name)]
        if missing:
            return self._refused(Refusal("INVALID_REQUEST", f"expected a value for {', '.join(missing)}"))
        now = self._now()
        if kind == "authorization_code":
            found = self._grants().exchange(**{name: values[name] for name in needed}, now_us=now)
        else:
            found = self._grants().refresh(
                values["refresh_token"],
                now,
                client_id=values["client_id"],
                client_secret=values["client_secret"],
            )
        if isinstance(found, Refusal):
            return self._refused(found)
        seconds = (found.expires_us - now) // SECOND_US
        return _json(200, {**_NO_TOKENS, **as_tokens(found, seconds)})

    def _refused(self, refusal: Refusal) -> HttpResponse:
        answer = {**_NO_TOKENS, "errorCode": refusal.code, "description": refusal.description}
        return _json(self._switches.token_error_status, answer)


_GRANT_FIELDS = {
    "authorization_code": ("client_id", "client_secret", "code", "redirect_uri"),
    "refresh_token": ("client_id", "client_secret", "refresh_token"),
}
_NO_TOKENS: Mapping[str, object] = dict.fromkeys(
    ("accessToken", "tokenType", "expiresIn", "refreshToken", "errorCode", "description")
)


def as_tokens(grant: Grant, seconds: int) -> dict[str, object]:
    """Write a grant's pair as the token endpoint does."""
    return {
        "accessToken": grant.access_token,
        "tokenType": "bearer",
        "expiresIn": seconds,
        "refreshToken": grant.refresh_token,
    }


def is_registered(redirect_uri: str, registered: tuple[str, ...]) -> bool:
    """Whether an application may be answered there: exactly, or on loopback at any port where none was registered."""
    if redirect_uri in registered:
        return True
    try:
        asked = urlsplit(redirect_uri)
        port = asked.port
    except ValueError:
        return False
    if asked.hostname not in LOOPBACK or port is None or asked.username is not None or asked.fragment:
        return False
    if asked.geturl() != redirect_uri:  # a line break was read over, and could not be sent back
        return False
    host = f"[{asked.hostname}]" if asked.hostname == "::1" else asked.hostname
    return asked._replace(netloc=host, path=asked.path or "/").geturl() in registered


def _csp_source(redirect_uri: str) -> str:
    """Name the place that the form's answer redirects to: a browser holds redirects of forms to the policy as well."""
    parts = urlsplit(redirect_uri)
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") else f"{parts.scheme}:"


def html(status: int, page: str, *form_targets: str) -> HttpResponse:
    """Answer with a page under a policy that allows no script and nothing from elsewhere."""
    policy = ("Content-Security-Policy", pages.content_security_policy(form_targets))
    return HttpResponse(status, page.encode(), headers=(policy, ("X-Frame-Options", "DENY")))


def _json(status: int, document: Mapping[str, object]) -> HttpResponse:
    return HttpResponse(status, json.dumps(document).encode(), "application/json")


def _first(values: Mapping[str, list[str]], name: str) -> str:
    return values.get(name, [""])[0]
