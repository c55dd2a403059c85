"""Tokens and credentials that a script brings: from a file or the environment, checked at the edge.

Takes our own words, those of the provider's answer, and the ready file of a sandbox. Must not quote what it reads:
every value here may be a secret.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, field_validator

from cmam.config.files import open_to_read, refusal
from cmam.config.secret import Secret

FILE_BYTES_MAX = 1024 * 1024
SECRET_CHARACTERS_MAX = 1_000
"""Ten times as long as any client secret: what is longer is another file."""
MILLISECONDS_FROM = 100_000_000_000
"""A moment above this is in milliseconds: as seconds it would lie after the year 5000."""

EXPIRES_IN_MAX = 10 * 365 * 86_400
"""No token lives longer than so many seconds: ten years."""


class TokensInvalid(Exception):
    """A file or a variable that holds no tokens; the sentence quotes none of its values."""


@dataclass(frozen=True, slots=True)
class GivenTokens:
    """A pair that somebody brought; `expires_at` in us UTC, None where unknown. The refresh token may be empty."""

    access: Secret
    refresh: Secret
    expires_at: int | None = None
    expires_in_s: int | None = None


@dataclass(frozen=True, slots=True)
class GivenApplication:
    """Credentials that somebody brought; a file with the secret alone leaves the id empty."""

    client_id: str
    client_secret: Secret


class _Tokens(BaseModel):
    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True, str_strip_whitespace=True)

    access: str = Field(validation_alias=AliasChoices("access_token", "accessToken"), min_length=1)
    refresh: str = Field("", validation_alias=AliasChoices("refresh_token", "refreshToken"))
    expires_at: datetime | None = Field(None, validation_alias=AliasChoices("expires_at", "expiresAt"))
    expires_in: int | None = Field(
        None, validation_alias=AliasChoices("expires_in", "expiresIn"), ge=0, le=EXPIRES_IN_MAX
    )

    @field_validator("expires_at", mode="before")
    @classmethod
    def _moment(cls, value: Any) -> Any:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value / 1_000 if value > MILLISECONDS_FROM else value, UTC)
        return value or None

    def given(self) -> GivenTokens:
        """Leave the edge."""
        moment = self.expires_at
        if moment is not None and moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return GivenTokens(
            access=Secret(self.access),
            refresh=Secret(self.refresh),
            expires_at=None if moment is None else int(moment.timestamp()) * 1_000_000,
            expires_in_s=self.expires_in,
        )


def read_tokens(path: Path) -> tuple[GivenTokens, ...]:
    """The pairs in a file, each once: one object, a list, or an object with `accounts`. Raises TokensInvalid."""
    document = _json_of(_text_of(path), path)
    entries = document.get("accounts", [document]) if isinstance(document, dict) else document
    if not isinstance(entries, list) or not entries:
        raise TokensInvalid(f"Expected tokens in {path}; found a JSON document without any.")
    found = [_tokens(entry, str(path)) for entry in entries]
    return tuple({tokens.access: tokens for tokens in found}.values())


def tokens_from(environment: Mapping[str, str]) -> GivenTokens | None:
    """The pair in CMAM_ACCESS_TOKEN and CMAM_REFRESH_TOKEN, None where there is none; raises TokensInvalid."""
    if not environment.get("CMAM_ACCESS_TOKEN"):
        return None
    entry = {
        "access_token": environment["CMAM_ACCESS_TOKEN"],
        "refresh_token": environment.get("CMAM_REFRESH_TOKEN", ""),
        "expires_at": environment.get("CMAM_TOKEN_EXPIRES_AT") or None,
    }
    return _tokens(entry, "CMAM_ACCESS_TOKEN and CMAM_REFRESH_TOKEN")


def _tokens(entry: Any, where: str) -> GivenTokens:
    try:
        return _Tokens.model_validate(entry).given()
    except (ValidationError, ValueError, OverflowError, OSError):
        raise TokensInvalid(
            f'Expected {{"access_token": …, "refresh_token": …, "expires_at": …}} in {where} (expires_at as ISO 8601 '
            "or seconds, or left out); found something else."
        ) from None


def read_application(path: Path) -> GivenApplication:
    """The credentials in a file: the secret alone on its first line, or JSON with both. Raises TokensInvalid."""
    text = _text_of(path).strip()
    if not text.startswith("{"):
        alone = text.splitlines()[0].strip() if text else ""
        if not _may_be_secret(alone):
            raise TokensInvalid(f"Expected a client secret on the first line of {path}; found {_found(alone)}.")
        return GivenApplication("", Secret(alone))
    document = _json_of(text, path)
    if not isinstance(document, dict):
        document = {}
    secret = document.get("client_secret") or document.get("clientSecret")
    if not isinstance(secret, str) or not secret.strip():
        raise TokensInvalid(f'Expected "client_secret" in {path}, beside "client_id"; found none.')
    client_id = document.get("client_id") or document.get("clientId") or ""
    return GivenApplication(str(client_id).strip(), Secret(secret.strip()))


def _found(text: str) -> str:
    """What stands where a secret was to be, without a word of it."""
    if not text:
        return "nothing there"
    return f"more than {SECRET_CHARACTERS_MAX} characters" if len(text) > SECRET_CHARACTERS_MAX else "something else"


def _may_be_secret(text: str) -> bool:
    """Whether a line is one printable word and no JSON: kept in place of the secret, any other file would cost it."""
    is_word = text.isprintable() and not any(sign.isspace() for sign in text)
    return 0 < len(text) <= SECRET_CHARACTERS_MAX and is_word and text[0] not in '["'


def _json_of(text: str, path: Path) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise TokensInvalid(f"Expected JSON in {path}; found something else.") from None


def _text_of(path: Path) -> str:
    """A file's text; the byte order mark with which editors on Windows begin a file is no part of it."""
    try:
        with open_to_read(path) as file:
            return file.read(FILE_BYTES_MAX).decode("utf-8-sig")
    except OSError as error:
        raise TokensInvalid(f"Expected to read {path}; found: {refusal(error, path)}.") from None
    except UnicodeDecodeError:
        raise TokensInvalid(f"Expected text in {path}; found something else.") from None
