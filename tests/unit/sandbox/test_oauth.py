"""The consent page and the token endpoint, as a browser and a client meet them, without a socket."""

from __future__ import annotations

import json
import re
from html import unescape
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from cmam.sandbox.books.authority import Grant, Grants
from cmam.sandbox.https.oauth import OAuthSite, is_registered
from cmam.sandbox.https.web import HttpRequest, HttpResponse
from cmam.sandbox.serving.world_file import load_world
from cmam.sandbox.switches import Switches

SECOND_US = 1_000_000
START_US = 1_700_000_000 * SECOND_US
FIELDS = {"accessToken", "tokenType", "expiresIn", "refreshToken", "errorCode", "description"}
WORLD = """
[feeds.EURUSD]
base = "EUR"
quote = "USD"
price = "1.10000"
spread = "0.00010"
step = "0.00001"
digits = 5
pip = 4
[[users]]
name = "anna"
id = 1
[[users]]
name = "bert <b>"
id = 2
[[brokers]]
name = "Alpha"
[[brokers.symbols]]
feed = "EURUSD"
id = 1
lot_size = 10000000
min_volume = 100000
max_volume = 1000000000
step_volume = 100000
[[accounts]]
ctid = 11
login = 1011
broker = "Alpha"
owner = "anna"
currency = "USD"
balance = "100000"
[[accounts]]
ctid = 12
login = 1012
broker = "Alpha"
owner = "anna"
currency = "EUR"
balance = "2000"
type = "netted"
[[accounts]]
ctid = 21
login = 2021
broker = "Alpha"
owner = "bert <b>"
currency = "USD"
balance = "1"
[[applications]]
client_id = "app"
client_secret = "hush"
redirect_uris = ["https://example.test/back?keep=1", "http://127.0.0.1/callback"]
name = "Copier & Co"
[[applications]]
client_id = "young"
client_secret = "hush"
state = "Submitted"
"""
ASKED = {"client_id": "app", "redirect_uri": "http://127.0.0.1:8123/callback", "scope": "trading", "product": "web"}


class Sandbox:
    """A site over real grants, with a clock to move."""

    def __init__(self, **switches: object) -> None:
        self.now_us = START_US
        world = load_world(WORLD)
        settings = Switches(**switches)
        self.grants = Grants(world, settings, seed=1, now_us=START_US)
        self.site = OAuthSite(
            world,
            lambda: self.grants,
            settings,
            now=lambda: self.now_us,
            form_key=b"k" * 32,
            balance=lambda account: "-0.50" if account.ctid == 21 else "15000",
        )

    def visit(self, **parameters: str) -> HttpResponse:
        query = parse_qs(urlencode(parameters), keep_blank_values=True)
        return self.site.consent(HttpRequest("GET", "/apps/auth", query, {}))

    def submit(self, fields: list[tuple[str, str]]) -> HttpResponse:
        headers = {"content-type": "application/x-www-form-urlencoded"}
        return self.site.consent(HttpRequest("POST", "/apps/auth", {}, headers, urlencode(fields).encode()))

    def fields(self, user: str = "1", **changed: str) -> list[tuple[str, str]]:
        """Give what a browser would send from the page as it is, with every account ticked."""
        page = self.visit(**{**ASKED, **changed, "user": user}).body.decode()
        hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
        ticked = re.findall(r'name="(account)" value="(\d+)" checked', page)
        return [(name, unescape(value)) for name, value in (*hidden, *ticked)]

    def code(self, **changed: str) -> str:
        answer = self.submit([*self.fields(**changed), ("decision", "allow")])
        assert answer.status == 303, answer.body
        return parse_qs(urlsplit(location(answer)).query)["code"][0]

    def token(self, method: str = "GET", **parameters: str) -> dict[str, object]:
        if method == "GET":
            request = HttpRequest("GET", "/apps/token", parse_qs(urlencode(parameters)), {})
        else:
            headers = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
            request = HttpRequest("POST", "/apps/token", {}, headers, urlencode(parameters).encode())
        answer = self.site.token(request)
        assert answer.content_type == "application/json"
        document: dict[str, object] = json.loads(answer.body)
        assert set(document) == FIELDS
        return document

    def exchange(self, made: str, method: str = "GET", **changed: str) -> dict[str, object]:
        parameters = {
            "grant_type": "authorization_code",
            "code": made,
            "redirect_uri": ASKED["redirect_uri"],
            "client_id": "app",
            "client_secret": "hush",
            **changed,
        }
        return self.token(method, **parameters)


def location(answer: HttpResponse) -> str:
    """Give the address that an answer redirects to."""
    return dict(answer.headers)["Location"]


def test_a_consent_gives_tokens_for_the_ticked_accounts_only() -> None:
    """The whole way: page, tick, redirect with a code, tokens, and what they are good for."""
    sandbox = Sandbox()
    fields = [field for field in sandbox.fields() if field != ("account", "11")]
    answer = sandbox.submit([*fields, ("decision", "allow")])
    assert location(answer).startswith("http://127.0.0.1:8123/callback?code=")
    tokens = sandbox.exchange(parse_qs(urlsplit(location(answer)).query)["code"][0])
    assert (tokens["tokenType"], tokens["expiresIn"]) == ("bearer", 2_628_000)
    assert tokens["errorCode"] is None
    assert tokens["description"] is None
    grant = sandbox.grants.check(str(tokens["accessToken"]), sandbox.now_us)
    assert isinstance(grant, Grant)
    assert (grant.accounts, grant.scope) == ((12,), 1)


def test_scope_accounts_gives_a_view_token_and_is_said_in_words() -> None:
    """The page says that nothing can be traded, and the token keeps to it."""
    sandbox = Sandbox()
    page = sandbox.visit(**{**ASKED, "scope": "accounts", "user": "1"}).body.decode()
    assert "Read only" in page
    assert "cannot place" in page
    grant = sandbox.grants.check(str(sandbox.exchange(sandbox.code(scope="accounts"))["accessToken"]), sandbox.now_us)
    assert isinstance(grant, Grant)
    assert grant.scope == 0


def test_with_several_people_the_page_first_asks_whose_accounts() -> None:
    """Nobody's accounts are shown before a cTrader ID is chosen; names are escaped."""
    sandbox = Sandbox()
    page = sandbox.visit(**ASKED).body.decode()
    assert 'type="checkbox"' not in page
    assert "bert &lt;b&gt;" in page
    (address,) = (unescape(found) for found in re.findall(r'href="([^"]*user=2[^"]*)"', page))
    chosen = sandbox.visit(**{name: values[0] for name, values in parse_qs(urlsplit(address).query).items()})
    assert re.findall(r'name="account" value="(\d+)"', chosen.body.decode()) == ["21"]
    assert "-0.50 USD" in chosen.body.decode()
    assert "15,000 " in sandbox.visit(**{**ASKED, "user": "1"}).body.decode()


def test_pages_run_no_script_and_load_nothing_but_may_return_to_the_application() -> None:
    """The policy allows this page's own style and the form's way back, nothing else."""
    answer = Sandbox().visit(**{**ASKED, "user": "1"})
    policy = dict(answer.headers)["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "form-action 'self' http://127.0.0.1:8123" in policy
    assert "frame-ancestors 'none'" in policy
    page = answer.body.decode()
    assert "<script" not in page
    assert not re.findall(r'\b(?:src|href)="https?:', page)
    assert "Copier &amp; Co" in page


@pytest.mark.parametrize(
    "changed",
    [
        {"client_id": "other"},
        {"client_id": "young", "redirect_uri": "http://127.0.0.1/"},
        {"redirect_uri": "https://evil.test/"},
        {"redirect_uri": ""},
        {"scope": "everything"},
    ],
)
def test_a_bad_question_is_explained_and_never_redirected(changed: dict[str, str]) -> None:
    """An address that cannot be trusted gets no code and no visitor."""
    answer = Sandbox().visit(**{**ASKED, **changed})
    assert answer.status == 400
    assert "Location" not in dict(answer.headers)
    assert b'role="alert"' in answer.body


def test_a_form_needs_the_token_of_this_server_for_this_very_question() -> None:
    """A form that another page made, that is old, or that was changed, decides nothing."""
    sandbox = Sandbox()
    fields = [*sandbox.fields(), ("decision", "allow")]
    for name, value in (("form_token", "1.x"), ("form_token", ""), ("scope", "accounts"), ("user", "2")):
        changed = [(field, value if field == name else present) for field, present in fields]
        assert sandbox.submit(changed).status == 403, name
    sandbox.now_us += 601 * SECOND_US
    assert sandbox.submit(fields).status == 403


def test_denying_and_ticking_nothing_and_ticking_others_give_no_code() -> None:
    """Deny returns with an error; no tick asks again; accounts of other people do not count as ticks."""
    sandbox = Sandbox()
    fields = sandbox.fields()
    denied = sandbox.submit([*fields, ("decision", "deny")])
    assert location(denied).endswith("/callback?error=access_denied")
    hidden = [field for field in fields if field[0] != "account"]
    for ticks in ([], [("account", "21")], [("account", "x")]):
        answer = sandbox.submit([*hidden, *ticks, ("decision", "allow")])
        assert answer.status == 400
        assert b"Tick at least one account" in answer.body


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_tokens_are_refreshed_once_by_query_or_by_form(method: str) -> None:
    """A refresh token works once; its replay is CH_ACCESS_TOKEN_INVALID."""
    sandbox = Sandbox()
    tokens = sandbox.exchange(sandbox.code(), method)
    asked = {
        "grant_type": "refresh_token",
        "refresh_token": str(tokens["refreshToken"]),
        "client_id": "app",
        "client_secret": "hush",
    }
    fresh = sandbox.token(method, **asked)
    assert fresh["errorCode"] is None
    assert fresh["accessToken"] != tokens["accessToken"]
    assert sandbox.token(method, **asked)["errorCode"] == "CH_ACCESS_TOKEN_INVALID"


def test_a_code_works_once_within_a_minute_for_its_own_address_and_secret() -> None:
    """Every misuse of a code is an errorCode with null tokens."""
    sandbox = Sandbox()
    code = sandbox.code()
    for changed in ({"client_secret": "wrong"}, {"client_id": "nobody"}, {"grant_type": "password"}, {"code": ""}):
        refused = sandbox.exchange(code, **changed)
        assert refused["errorCode"], changed
        assert refused["accessToken"] is None
    assert sandbox.exchange(code)["errorCode"] is None
    assert sandbox.exchange(code)["errorCode"]
    assert sandbox.exchange(sandbox.code(), redirect_uri="http://127.0.0.1:9/callback")["errorCode"]
    late = sandbox.code()
    sandbox.now_us += 60 * SECOND_US
    assert sandbox.exchange(late)["errorCode"]


def test_state_comes_back_only_on_a_switch() -> None:
    """The real redirect was seen without it; some clients want to test for it."""
    for returns in (False, True):
        sandbox = Sandbox(consent_returns_state=returns)
        answer = sandbox.submit([*sandbox.fields(state="s&1"), ("decision", "allow")])
        assert ("state" in parse_qs(urlsplit(location(answer)).query)) is returns


def test_a_redirect_address_with_a_query_keeps_it() -> None:
    """The code is added to what the application registered."""
    sandbox = Sandbox()
    fields = sandbox.fields(redirect_uri="https://example.test/back?keep=1")
    answer = sandbox.submit([*fields, ("decision", "allow")])
    assert location(answer).startswith("https://example.test/back?keep=1&code=")


@pytest.mark.parametrize(
    ("asked", "is_right"),
    [
        ("http://127.0.0.1/callback", True),
        ("http://127.0.0.1:8123/callback", True),
        ("http://127.0.0.1:8123/other", False),
        ("http://127.0.0.1:8123/callback\n", False),
        ("http://127.0.0.1:8123/call\tback", False),
        ("https://127.0.0.1:8123/callback", False),
        ("http://user@127.0.0.1:8123/callback", False),
        ("http://127.0.0.1.evil.test:80/callback", False),
        ("http://127.0.0.1:99999/callback", False),
        ("http://127.0.0.1:1/callback#x", False),
        ("https://example.test:444/back?keep=1", False),
        ("https://example.test/back?keep=1", True),
        ("http://localhost:8080", True),
        ("http://localhost:8080/", True),
    ],
)
def test_loopback_addresses_may_use_any_port_and_others_must_match(asked: str, is_right: bool) -> None:
    """A desktop client cannot know its port beforehand; nobody else is given that freedom."""
    registered = ("https://example.test/back?keep=1", "http://127.0.0.1/callback", "http://localhost/")
    assert is_registered(asked, registered) is is_right
