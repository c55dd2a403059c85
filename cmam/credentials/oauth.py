"""The provider's side of a consent: the address that asks for it, and the endpoint where a code becomes tokens.

One call, one request, one answer or one sentence. Must not know where tokens are kept. The exchange is a GET with its
values in the query, as the vendor documents it (wire.md#consents); so no address with a query ever leaves this
module in a log or an exception.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
import secrets
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from cmam.config.secret import Secret
from cmam.credentials.vault import Application, TokenPair

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 15.0
"""For connecting, and for each wait for bytes: the code lives a minute, so waiting longer would waste it."""
WHOLE_S = 30.0
"""For all of an answer: one that comes byte by byte would else be waited for without end."""
ANSWER_BYTES_MAX = 64 * 1024
LIFE_S_MIN, LIFE_S_MAX = 60, 10 * 365 * 86_400
"""Lives of a token that can be: one that is shorter would be refreshed for ever, each time ending all sessions."""
LIFE_DIGITS_MAX = 12
SCOPE = "trading"
"""Asked for always: an account that may only be looked at can lead, but the person decides that at the broker."""

# httpx logs each address at INFO, and ours carry secrets in their query.
logging.getLogger("httpx").setLevel(logging.WARNING)
logging.getLogger("httpcore").setLevel(logging.WARNING)


class OAuthError(Exception):
    """An exchange that gave no tokens; the message is one sentence with the cure."""


class OAuthRefused(OAuthError):
    """The provider answered no: the code or token is spent, or the application is not what it should be."""

    def __init__(self, sentence: str, code: str) -> None:
        super().__init__(sentence)
        self.code = code


class OAuthUnreachable(OAuthError):
    """No readable answer came. `was_sent` says whether the provider may have acted on the request all the same."""

    def __init__(self, sentence: str, *, was_sent: bool) -> None:
        super().__init__(sentence)
        self.was_sent = was_sent


@dataclass(frozen=True, slots=True)
class Challenge:
    """What ties an answer to our question: `state` comes back with the code, the verifier goes with the exchange.

    The provider is not known to give `state` back (2.2), and ignores PKCE where it does not know it.
    """

    state: str
    verifier: Secret

    @property
    def digest(self) -> str:
        """The verifier's S256 digest, which the consent address shows."""
        hashed = hashlib.sha256(self.verifier.reveal().encode()).digest()
        return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode()


def new_challenge() -> Challenge:
    """A fresh question."""
    return Challenge(secrets.token_urlsafe(24), Secret(secrets.token_urlsafe(48)))


def consent_address(oauth_url: str, client_id: str, redirect_uri: str, challenge: Challenge) -> str:
    """The page on which a person ticks accounts and allows the application to trade them. Holds no secret."""
    query = {
        "client_id": client_id,
        "redirect_uri": redirect_uri,
        "scope": SCOPE,
        "product": "web",
        "state": challenge.state,
        "code_challenge": challenge.digest,
        "code_challenge_method": "S256",
    }
    return f"{oauth_url}/apps/auth?{urlencode(query)}"


def code_from(pasted: str, challenge: Challenge | None) -> Secret:
    """Read the code out of what a person pasted: the code alone, or the whole address the browser ended on.

    Raises OAuthRefused with the cure where there is none, consent was denied, or it answers another question.
    """
    text = pasted.strip().strip("\"'<>")
    if "://" not in text and "code=" not in text and "error=" not in text:
        if not text or any(character.isspace() for character in text):
            raise OAuthRefused("Expected a code or the address that holds it; found neither.", "NO_CODE")
        return Secret(text)
    # Browsers hide the beginning of an address, so it is missing where somebody copied what he saw.
    query = urlsplit(text).query if "://" in text else text.partition("?")[2] or text.lstrip("?&")
    return code_of_redirect(dict(parse_qsl(query)), challenge)


def code_of_redirect(query: Mapping[str, str], challenge: Challenge | None) -> Secret:
    """Take the code from a redirect's query; raises OAuthRefused."""
    state = query.get("state")
    if challenge is not None and state is not None and state != challenge.state:  # one guess, so nothing to time
        raise OAuthRefused(
            "The answer belongs to another question (its state differs): start again with `cmam account add`.", "STATE"
        )
    if query.get("error"):
        denied = query["error"] in ("access_denied", "ACCESS_DENIED")
        why = "was denied on the consent page" if denied else f"failed on the consent page ({_short(query['error'])})"
        raise OAuthRefused(f"Access {why}; run `cmam account add` again to ask once more.", query["error"])
    if not query.get("code"):
        raise OAuthRefused("The redirect carries no code: start again with `cmam account add`.", "NO_CODE")
    return Secret(query["code"])


class OAuthClient:
    """Talks to the token endpoint of one provider, over verified TLS."""

    def __init__(
        self,
        oauth_url: str,
        ca_file: Path | None,
        *,
        timeout_s: float = TIMEOUT_S,
        whole_s: float = WHOLE_S,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._endpoint = f"{oauth_url}/apps/token"
        self._where = urlunsplit((*urlsplit(oauth_url)[:2], "", "", ""))
        self._timeout_s = timeout_s
        self._whole_s = whole_s
        self._trust = _trust(ca_file)
        self._transport = transport

    def exchange(
        self, application: Application, code: Secret, redirect_uri: str, challenge: Challenge | None, *, now: int
    ) -> TokenPair:
        """Turn a code into tokens; `now` in us UTC. Raises OAuthRefused or OAuthUnreachable."""
        values = {"grant_type": "authorization_code", "code": code.reveal(), "redirect_uri": redirect_uri}
        if challenge is not None:
            values["code_verifier"] = challenge.verifier.reveal()
        return self._tokens(application, values, now, spent=None)

    def refresh(self, application: Application, pair: TokenPair, *, now: int) -> TokenPair:
        """Spend a refresh token for the next pair; `now` in us UTC. Raises OAuthRefused or OAuthUnreachable."""
        values = {"grant_type": "refresh_token", "refresh_token": pair.refresh.reveal()}
        return self._tokens(application, values, now, spent=pair.refresh)

    def _tokens(self, application: Application, values: dict[str, str], now: int, spent: Secret | None) -> TokenPair:
        values |= {"client_id": application.client_id, "client_secret": application.client_secret.reveal()}
        status, answer = self._ask(values)
        error = answer.get("errorCode") or answer.get("error")
        access, refresh = _token(answer.get("accessToken")), _token(answer.get("refreshToken"))
        if error or not access:
            raise _refusal(str(error or ""), str(answer.get("description") or ""), status, is_refresh=spent is not None)
        life_s = _life_s(answer.get("expiresIn"))
        return TokenPair(
            access=Secret(access),
            # A provider that does not rotate leaves it out: then the old one still holds.
            refresh=Secret(refresh) if refresh else (spent or Secret("")),
            issued_at=now,
            expires_at=None if life_s is None else now + life_s * 1_000_000,
        )

    def _ask(self, values: Mapping[str, str]) -> tuple[int, dict[str, Any]]:
        import httpx  # noqa: PLC0415 - a start needs it only if a token is due, and would be slower by a tenth

        watch = _Watch(self._whole_s)
        try:
            watch.begin()
        except RuntimeError as error:
            raise OAuthUnreachable(f"{self._where} cannot be asked: {error}. Try again.", was_sent=False) from None
        try:
            with (
                watch,
                httpx.Client(
                    verify=self._trust, timeout=self._timeout_s, trust_env=False, transport=self._transport
                ) as client,
                client.stream("GET", self._endpoint, params=dict(values), extensions={"trace": watch.see}) as response,
            ):
                body = b""
                for part in response.iter_bytes():
                    body += part
                    if len(body) > ANSWER_BYTES_MAX:
                        break
                return response.status_code, _document(body)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol) as error:
            raise OAuthUnreachable(self._sentence(error), was_sent=False) from None
        except Exception:  # noqa: BLE001 - as of an error page that leads to no address: whatever it is, it is no answer
            raise OAuthUnreachable(
                f"Expected tokens from {self._where}; no answer that can be read came. Try again in a minute.",
                was_sent=True,
            ) from None

    def _sentence(self, error: Exception) -> str:
        text = str(error)
        if "CERTIFICATE_VERIFY_FAILED" in text or "certificate verify failed" in text:
            return (
                f"The certificate of {self._where} is not trusted. For a proxy or the sandbox name its authority: "
                "cmam api configure --ca-file FILE"
            )
        return (
            f"Expected to reach {self._where}; it does not answer. Check the network and oauth_url in `cmam api show`."
        )


def _trust(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=str(ca_file))
        except (OSError, ssl.SSLError):
            raise OAuthUnreachable(
                f"Expected certificates in {ca_file}; found none. Name another: cmam api configure --ca-file",
                was_sent=False,
            ) from None
    return context


class _Watch:
    """Ends a conversation that takes too long, wherever it is: each wait for bytes has its own time only."""

    def __init__(self, seconds: float) -> None:
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._stream: Any = None
        self._is_over = False

    def begin(self) -> None:
        """Let the time run; raises RuntimeError where the machine has no thread to give."""
        self._timer.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def see(self, name: str, info: Mapping[str, Any]) -> None:
        """Hear what httpx does; what it says of requests is not looked at."""
        if name in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._stream = info["return_value"]
            if self._is_over:  # before there was anything to end
                self._end()

    def _end(self) -> None:
        self._is_over = True
        line = self._stream.get_extra_info("socket") if self._stream is not None else None
        if line is not None:
            with suppress(OSError):
                socket.socket.shutdown(line, socket.SHUT_RDWR)  # wakes whoever reads; the reader alone closes


def _token(told: object) -> str:
    """A token as the provider says it; what is no text that can be kept is none."""
    if not isinstance(told, str):
        return ""
    try:
        told.encode()
    except UnicodeEncodeError:
        return ""
    return told


def _life_s(told: object) -> int | None:
    """How long a token lives, where the provider says something that can be; what it says else must not lose the pair,
    which exists from this moment on and nowhere but here."""
    if not isinstance(told, int | str) or isinstance(told, bool):
        return None
    text = str(told)
    is_number = text.isascii() and text.isdecimal() and len(text) < LIFE_DIGITS_MAX
    return int(text) if is_number and LIFE_S_MIN <= int(text) <= LIFE_S_MAX else None


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except RecursionError as error:
        raise ValueError("expected fewer brackets") from error
    if not isinstance(document, dict):
        raise ValueError("expected an object")
    return document


def _refusal(code: str, description: str, status: int, *, is_refresh: bool) -> OAuthRefused:
    """Say what the provider's code means for the person who waits (wire.md#consents, wire.md#refusals)."""
    said = f" (the provider says: {_short(description)})" if description else ""
    if code in ("CH_CLIENT_AUTH_FAILURE", "CH_OA_CLIENT_NOT_FOUND", "invalid_client", "unauthorized_client"):
        return OAuthRefused(
            f"The application was refused{said}: check its id, secret and that it is Active, with `cmam api check`.",
            code,
        )
    if code in ("CH_ACCESS_TOKEN_INVALID", "ACCESS_DENIED", "INVALID_GRANT", "invalid_grant", "INVALID_REQUEST"):
        if is_refresh:
            return OAuthRefused(
                f"The refresh token is spent or revoked{said}: authorise its accounts again with `cmam account add`.",
                code,
            )
        return OAuthRefused(
            f"The code was refused{said}: it lives one minute and works once, and redirect_uri must be the registered "
            "one. Run `cmam account add` again.",
            code,
        )
    if status == 429 or code == "REQUEST_FREQUENCY_EXCEEDED":
        return OAuthRefused(f"The provider asks for a pause{said}: try again in a minute.", code or "429")
    return OAuthRefused(
        f"The provider gave no tokens: {_short(code) or f'status {status}'}{said}. Try again, or run `cmam api check`.",
        code or str(status),
    )


def _short(text: str) -> str:
    """A stranger's text, made fit for a terminal."""
    return "".join(character for character in text if character.isprintable())[:200]
