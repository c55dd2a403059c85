"""The exchange of codes and tokens: what is asked, how answers are read, and that nothing leaks on the way."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from cmam.config.secret import Secret
from cmam.credentials.oauth import (
    OAuthClient,
    OAuthError,
    OAuthRefused,
    OAuthUnreachable,
    code_from,
    consent_address,
    new_challenge,
)
from cmam.credentials.vault import Application, TokenPair
from tests.shortages import no_threads

APPLICATION = Application("client-1", Secret("s3cret-of-client"))
PAIR = TokenPair(Secret("old-access"), Secret("old-refresh"), 0, 1)
REDIRECT = "http://127.0.0.1:5081/callback"
NOW = 1_700_000_000_000_000
Answer = Callable[[httpx.Request], httpx.Response]


def a_client(answer: Answer) -> OAuthClient:
    """A client whose provider is a function."""
    return OAuthClient("https://provider.test", None, transport=httpx.MockTransport(answer))


def tokens(**values: object) -> Answer:
    """A provider that answers every request with these values."""
    return lambda _: httpx.Response(200, content=json.dumps(values))


def test_a_code_becomes_a_pair_with_its_end() -> None:
    """The request carries what the vendor documents, and the answer's life is counted from now."""
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return tokens(accessToken="A", refreshToken="R", expiresIn=2_628_000, errorCode=None)(request)

    challenge = new_challenge()
    pair = a_client(answer).exchange(APPLICATION, Secret("the-code"), REDIRECT, challenge, now=NOW)
    assert (pair.access.reveal(), pair.refresh.reveal()) == ("A", "R")
    assert pair.expires_at == NOW + 2_628_000_000_000
    assert asked[0].method == "GET"
    assert asked[0].url.path == "/apps/token"
    assert dict(asked[0].url.params) == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": REDIRECT,
        "client_id": "client-1",
        "client_secret": "s3cret-of-client",
        "code_verifier": challenge.verifier.reveal(),
    }


def test_a_refresh_keeps_the_old_refresh_token_where_none_comes_back() -> None:
    """A provider that does not rotate leaves the refresh token out, and the old one stays good."""
    pair = a_client(tokens(accessToken="A", expiresIn="60")).refresh(APPLICATION, PAIR, now=NOW)
    assert pair == TokenPair(Secret("A"), Secret("old-refresh"), NOW, NOW + 60_000_000)


@pytest.mark.parametrize("expires_in", [None, "soon", -1, 1.5, True, 0, "59", 10**18, "9" * 5_000, "٣٦٠٠", [60]])
def test_an_unknown_end_stays_unknown(expires_in: object) -> None:
    """A life that cannot be read is not guessed."""
    answer = a_client(tokens(accessToken="A", refreshToken="R", expiresIn=expires_in))
    assert answer.refresh(APPLICATION, PAIR, now=NOW).expires_at is None


@pytest.mark.parametrize(
    ("code", "is_refresh", "cure"),
    [
        ("CH_ACCESS_TOKEN_INVALID", True, "authorise its accounts again with `cmam account add`"),
        ("CH_ACCESS_TOKEN_INVALID", False, "lives one minute and works once"),
        ("ACCESS_DENIED", False, "lives one minute and works once"),
        ("CH_CLIENT_AUTH_FAILURE", False, "that it is Active, with `cmam api check`"),
        ("CH_OA_CLIENT_NOT_FOUND", True, "that it is Active, with `cmam api check`"),
        ("REQUEST_FREQUENCY_EXCEEDED", True, "try again in a minute"),
        ("SOMETHING_NEW", True, "SOMETHING_NEW"),
    ],
)
def test_each_refusal_has_its_cure(code: str, is_refresh: bool, cure: str) -> None:
    """An errorCode within a 200 answer is a refusal, said as one sentence for the person who waits."""
    client = a_client(tokens(accessToken=None, errorCode=code, description="because\x1b[31m"))

    def ask() -> TokenPair:
        if is_refresh:
            return client.refresh(APPLICATION, PAIR, now=NOW)
        return client.exchange(APPLICATION, Secret("c"), REDIRECT, None, now=NOW)

    with pytest.raises(OAuthRefused) as caught:
        ask()
    assert cure in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert caught.value.code == code


def _breaks(error: Exception) -> Answer:
    def answer(request: httpx.Request) -> httpx.Response:
        raise error

    return answer


@pytest.mark.parametrize(
    ("answer", "was_sent"),
    [
        (_breaks(httpx.ConnectError("refused")), False),
        (_breaks(httpx.ConnectTimeout("slow")), False),
        (_breaks(httpx.ReadTimeout("slow")), True),
        (_breaks(httpx.RemoteProtocolError("cut")), True),
        (lambda _: httpx.Response(502, content=b"<html>Bad gateway"), True),
        (lambda _: httpx.Response(200, content=b"[]"), True),
        (lambda _: httpx.Response(200, content=b"x" * 200_000), True),
        (lambda _: httpx.Response(302, headers={"Location": "mailto:help@provider.test"}), True),
        (_breaks(RuntimeError("the stream is closed")), True),
    ],
)
def test_whether_a_token_may_be_spent_is_known(answer: Answer, was_sent: bool) -> None:
    """A refresh that never left is told apart from one whose answer was lost, which may have spent the token."""
    with pytest.raises(OAuthUnreachable) as caught:
        a_client(answer).refresh(APPLICATION, PAIR, now=NOW)
    assert caught.value.was_sent is was_sent


def test_a_machine_without_a_thread_has_spent_nothing() -> None:
    """Whoever keeps the tokens tries again later: without a thread that ends it, a conversation is not begun."""
    with no_threads(), pytest.raises(OAuthUnreachable, match="can't start new thread") as caught:
        a_client(tokens(accessToken="A")).refresh(APPLICATION, PAIR, now=NOW)
    assert not caught.value.was_sent


@pytest.mark.parametrize("token", [True, 7, ["a"], {"a": 1}, "\ud800"])
def test_what_is_no_text_is_no_token(token: object) -> None:
    """What could not be kept, or read again, must not take the place of a token that can."""
    with pytest.raises(OAuthError):
        a_client(tokens(accessToken=token, refreshToken="R")).refresh(APPLICATION, PAIR, now=NOW)
    pair = a_client(tokens(accessToken="A", refreshToken=token)).refresh(APPLICATION, PAIR, now=NOW)
    assert pair.refresh == PAIR.refresh


@pytest.mark.parametrize("whole_s", [0.0, 0.1])
@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"])
def test_an_answer_that_comes_byte_by_byte_has_its_end(begin: bytes, whole_s: float) -> None:
    """In its head or in its body: each byte is in time, and all of them together are not."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_drip, args=(server, begin))
        thread.start()
        client = OAuthClient(f"http://127.0.0.1:{server.getsockname()[1]}", None, timeout_s=20.0, whole_s=whole_s)
        with pytest.raises(OAuthUnreachable) as caught:
            client.refresh(APPLICATION, PAIR, now=NOW)
        thread.join()
    assert caught.value.was_sent


def _drip(server: socket.socket, begin: bytes) -> None:
    """Answer a byte at a time for as long as somebody listens."""
    line, _ = server.accept()
    with line, suppress(OSError):
        line.recv(65_536)
        line.sendall(begin)
        line.settimeout(0.01)
        while True:
            line.sendall(b" " if begin else b"H")
            with suppress(TimeoutError):
                if not line.recv(1):
                    return


def test_an_untrusted_certificate_names_the_option() -> None:
    """Whoever meets a private authority learns how to trust it, and no way to trust everybody."""
    answer = _breaks(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"))
    with pytest.raises(OAuthUnreachable, match="--ca-file FILE"):
        a_client(answer).refresh(APPLICATION, PAIR, now=NOW)


def test_neither_errors_nor_logs_hold_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    """Addresses with secrets in their query stay out of every message and every log line, at any level."""
    caplog.set_level(logging.DEBUG)
    for answer in (tokens(errorCode="NO"), tokens(accessToken="NEW-A"), _breaks(httpx.ReadError("x"))):
        try:
            a_client(answer).refresh(APPLICATION, PAIR, now=NOW)
        except OAuthError as error:
            caplog.handler.handle(logging.makeLogRecord({"msg": f"{error!r} {error.__cause__!r}"}))
    for text in ("s3cret-of-client", "old-refresh", "old-access", "NEW-A"):
        assert text not in caplog.text


class TestConsent:
    def test_the_address_asks_for_trading_and_holds_no_secret(self) -> None:
        """The page is asked for what copying needs; the verifier stays here, only its digest is shown."""
        challenge = new_challenge()
        parts = urlsplit(consent_address("https://id.test", "client 1", REDIRECT, challenge))
        query = parse_qs(parts.query)
        assert parts.path == "/apps/auth"
        assert query["scope"] == ["trading"]
        assert (query["client_id"], query["redirect_uri"]) == (["client 1"], [REDIRECT])
        assert challenge.verifier.reveal() not in parts.query
        assert new_challenge() != challenge

    @pytest.mark.parametrize(
        "pasted",
        [
            "abc-1",
            "  abc-1\n",
            f"{REDIRECT}?code=abc-1",
            f"{REDIRECT.removeprefix('http://')}?code=abc-1&state=",
            "?code=abc-1&x=y",
            "code=abc-1",
            f"'{REDIRECT}?code=abc-1'",
        ],
    )
    def test_a_code_is_found_in_whatever_was_pasted(self, pasted: str) -> None:
        """People paste the code or the whole address, with what their terminal adds and their browser hides."""
        assert code_from(pasted, None).reveal() == "abc-1"

    @pytest.mark.parametrize("pasted", ["", "  ", "what code", f"{REDIRECT}?x=y", f"{REDIRECT}?error=access_denied"])
    def test_what_holds_no_code_is_refused(self, pasted: str) -> None:
        """An empty paste, prose, or an address without a code gets a sentence."""
        with pytest.raises(OAuthRefused, match=r"cmam account add|found neither"):
            code_from(pasted, None)

    def test_an_answer_to_another_question_is_refused(self) -> None:
        """A state that differs is somebody else's answer; one that is missing is how the vendor answers."""
        challenge = new_challenge()
        assert code_from(f"{REDIRECT}?code=x&state={challenge.state}", challenge).reveal() == "x"
        assert code_from(f"{REDIRECT}?code=x", challenge).reveal() == "x"
        for other in ("other", "ötherwise", "%C3%B6", "\udc9b"):
            with pytest.raises(OAuthRefused, match="another question"):
                code_from(f"{REDIRECT}?code=x&state={other}", challenge)
