"""What can be set for the whole of a cmam: how to reach the API, how safely to write, where secrets lie.

One model checks everything that comes from a file, the environment or an option, and names every fault at once; what
leaves this module are plain frozen values. Must not know secrets, nor the policies of links.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

REQUESTS_PER_SECOND_PUBLIC = 50
"""The most that the public servers take per connection (wire.md#requests-a-second)."""
CONNECTIONS_MAX = 200
"""More than anybody was ever seen to be allowed; each costs two threads and a reader."""
BUNDLE_BYTES_MAX = 16 * 1024 * 1024
"""Fifty times as much as all authorities of a browser: what has no certificate in that is another file."""
PUBLIC_DOMAIN = "ctraderapi.com"
_HOST = re.compile(r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where one environment of the API listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """How to reach the API. `ca_file` is a private authority to trust besides the machine's own."""

    live: Endpoint
    demo: Endpoint
    ca_file: Path | None
    oauth_url: str
    redirect_uri: str
    max_requests: int
    allow_over_limit: bool
    connections: int

    def endpoint(self, *, is_live: bool) -> Endpoint:
        """The environment that an account belongs to; each account works only on its own (wire.md#hosts)."""
        return self.live if is_live else self.demo

    @property
    def warning(self) -> str | None:
        """What `status` has to say about the limit, if anything."""
        if self.max_requests > REQUESTS_PER_SECOND_PUBLIC:
            return (
                f"max_requests is {self.max_requests}, above the {REQUESTS_PER_SECOND_PUBLIC} that Spotware's servers "
                "take; right only for a proxy that is known to allow it"
            )
        return None


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set for one home."""

    api: ApiSettings
    secrets: Literal["file", "keyring"]
    durability: Literal["full", "normal", "none"]
    settle_s: int


@dataclass(frozen=True, slots=True)
class SettingNote:
    """What the documents say of one setting."""

    name: str
    default: str
    allowed: str
    meaning: str

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        return f"CMAM_{self.name.upper()}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One value that cannot be: which, what was found, what is allowed."""

    name: str
    found: str
    allowed: str
    source: str = ""

    def __str__(self) -> str:
        return f"{self.source or self.name}: found {self.found}; allowed is {self.allowed}"


class SettingsInvalid(Exception):
    """Values that cannot be, all of them at once."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def is_public_host(host: str) -> bool:
    """Whether a host is one of the vendor's own."""
    name = host.rstrip(".").lower()
    return name == PUBLIC_DOMAIN or name.endswith("." + PUBLIC_DOMAIN)


def is_loopback(host: str) -> bool:
    """Whether a host of a URL can only be this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


_PORT = "a whole number from 1 to 65535"
_HOSTNAME = "a host name or an IP address, without scheme, port or path"


class _Form(BaseModel):
    """The edge. `title` is what is allowed, `description` what the setting means; both stand in docs/settings.md."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    live_host: str = Field("live.ctraderapi.com", title=_HOSTNAME, description="Host of the live environment.")
    live_port: int = Field(5035, ge=1, le=65535, title=_PORT, description="Port of the live environment.")
    demo_host: str = Field("demo.ctraderapi.com", title=_HOSTNAME, description="Host of the demo environment.")
    demo_port: int = Field(5035, ge=1, le=65535, title=_PORT, description="Port of the demo environment.")
    ca_file: str = Field(
        "",
        title="empty, or a file of PEM certificates that can be read",
        description="A private certificate authority to trust besides the machine's own: a proxy's or the sandbox's.",
    )
    oauth_url: str = Field(
        "https://openapi.ctrader.com",
        title="an https address, without query",
        description="Where consent is given (below it `/apps/auth`) and codes become tokens (`/apps/token`).",
    )
    redirect_uri: str = Field(
        "http://127.0.0.1:5081/callback",
        title="an http address with a port on 127.0.0.1 or localhost, or an https address",
        description="Where the consent page sends the code, as registered with the application. On 127.0.0.1 cmam "
        "takes it by itself; elsewhere it is pasted.",
    )
    allow_over_limit: bool = Field(
        False,
        title="true or false",
        description=f"Allows more than {REQUESTS_PER_SECOND_PUBLIC} requests a second, for a proxy of one's own.",
    )
    max_requests: int = Field(
        REQUESTS_PER_SECOND_PUBLIC,
        ge=1,
        le=10_000,
        title=f"a whole number from 1 to {REQUESTS_PER_SECOND_PUBLIC}; up to 10000 with allow_over_limit, "
        "and never for Spotware's own hosts",
        description="The most requests in any one second, per connection.",
    )
    connections: int = Field(
        1,
        ge=1,
        le=CONNECTIONS_MAX,
        title=f"a whole number from 1 to {CONNECTIONS_MAX}",
        description="Over how many connections the accounts of an environment are spread, each with `max_requests` a "
        "second of its own. How many Spotware allows an application is not published.",
    )
    secrets: Literal["file", "keyring"] = Field(
        "file",
        title="file or keyring",
        description="Where client secret and tokens lie: `secrets.json` in the home, or the keyring of the desktop.",
    )
    durability: Literal["full", "normal", "none"] = Field(
        "full",
        title="full, normal or none",
        description="`full` has each decision on the disk before its request leaves. `normal` survives a crash of "
        "cmam, not of the machine. `none` is for benchmarks.",
    )
    settle_s: int = Field(
        10,
        ge=1,
        le=600,
        title="a whole number of seconds from 1 to 600",
        description="How long an order may be under way before its absence at the broker counts as proof. "
        "One that arrives later still may be sent twice: longer is safer, and slower after a crash.",
    )

    @field_validator("live_port", "demo_port", "max_requests", "connections", "settle_s", mode="before")
    @classmethod
    def _a_number(cls, value: object) -> object:
        if isinstance(value, bool):  # which is the number 1 otherwise: one request a second, one second to settle
            raise PydanticCustomError("number", "not a number")
        return value

    @field_validator("live_host", "demo_host")
    @classmethod
    def _a_host(cls, value: str) -> str:
        if _HOST.fullmatch(value):
            return value
        try:
            return str(ipaddress.ip_address(value.strip("[]")))
        except ValueError:
            raise PydanticCustomError("host", "not a host") from None

    @field_validator("ca_file")
    @classmethod
    def _a_bundle(cls, value: str, info: ValidationInfo) -> str:
        path = Path(value).expanduser().absolute()
        if value and path.exists() and not path.is_file():  # it is read at each start: a pipe would be waited for
            raise PydanticCustomError("bundle", "no file", {"why": "this is a folder, a pipe or a device, and no file"})
        if not value or not (info.context or {}).get("look"):
            return value
        try:
            with path.open("rb") as file:
                if b"-----BEGIN CERTIFICATE-----" in file.read(BUNDLE_BYTES_MAX):
                    return str(path)
        except OSError as error:
            raise PydanticCustomError("bundle", "unreadable", {"why": error.strerror or "unreadable"}) from None
        raise PydanticCustomError("bundle", "no certificate", {"why": "no PEM certificate in it"})

    @field_validator("oauth_url")
    @classmethod
    def _encrypted(cls, value: str) -> str:
        parts = _split(value)
        if parts is None or parts[0] != "https" or "?" in value or "#" in value:
            raise PydanticCustomError("url", "not https")
        return value.rstrip("/")

    @field_validator("redirect_uri")
    @classmethod
    def _reachable(cls, value: str) -> str:
        parts = _split(value)
        if parts is None or "#" in value:
            raise PydanticCustomError("url", "not an address")
        scheme, host, port = parts
        if scheme == "https" or (scheme == "http" and is_loopback(host) and port is not None):
            return value
        raise PydanticCustomError("url", "not an address")

    @field_validator("max_requests")
    @classmethod
    def _within_the_limit(cls, value: int, info: ValidationInfo) -> int:
        if value <= REQUESTS_PER_SECOND_PUBLIC:
            return value
        if not info.data.get("allow_over_limit"):
            raise PydanticCustomError("limit", "over", {"why": "more than 50 without allow_over_limit"})
        public = [h for h in (info.data.get("live_host"), info.data.get("demo_host")) if h and is_public_host(h)]
        if public:
            raise PydanticCustomError("limit", "over", {"why": f"more than 50 for {public[0]}"})
        return value

    def settled(self) -> Settings:
        """Leave the edge: plain values."""
        api = ApiSettings(
            live=Endpoint(self.live_host, self.live_port),
            demo=Endpoint(self.demo_host, self.demo_port),
            ca_file=Path(self.ca_file) if self.ca_file else None,
            oauth_url=self.oauth_url,
            redirect_uri=self.redirect_uri,
            max_requests=self.max_requests,
            allow_over_limit=self.allow_over_limit,
            connections=self.connections,
        )
        return Settings(api=api, secrets=self.secrets, durability=self.durability, settle_s=self.settle_s)


def _split(value: str) -> tuple[str, str, int | None] | None:
    """Scheme, host and port of an address, or None if it is none."""
    try:
        parts = urlsplit(value)
        if not parts.scheme or not parts.hostname or parts.username is not None:
            return None
        return parts.scheme, parts.hostname, parts.port
    except ValueError:
        return None


def check(values: dict[str, Any], *, look: bool = False, sources: dict[str, str] | None = None) -> Settings:
    """Turn raw values into settings, with `look` also at the files they name; raises SettingsInvalid with every fault.

    `sources` says where a value came from, by its name, where that is not the setting's own.
    """
    try:
        return _Form.model_validate(values, context={"look": look}).settled()
    except ValidationError as error:
        found = {str(problem): problem for problem in (_problem(fault, sources or {}) for fault in error.errors())}
        raise SettingsInvalid(tuple(found.values())) from None  # CMAM_PORT is two settings, and one fault


def _problem(fault: Any, sources: dict[str, str]) -> Problem:
    name = str(fault["loc"][0])
    source = sources.get(name, "")
    field = _Form.model_fields.get(name)
    if field is None:
        return Problem(name, "a setting that does not exist", "one of " + ", ".join(_Form.model_fields), source)
    found = repr(fault["input"]) if isinstance(fault["input"], str) else _plain(fault["input"])
    why = fault.get("ctx", {}).get("why")
    return Problem(name, f"{found} ({why})" if why else found, str(field.title), source)


def names() -> tuple[str, ...]:
    """Every setting there is."""
    return tuple(_Form.model_fields)


def notes() -> tuple[SettingNote, ...]:
    """Every setting with its default, what it allows and what it means, for the documents and for help."""
    return tuple(
        SettingNote(name, _plain(field.get_default()), str(field.title), str(field.description))
        for name, field in _Form.model_fields.items()
    )


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def as_document(settings: Settings) -> dict[str, str | int | bool]:
    """The settings by name, as they stand in the file and in `api show`."""
    api = settings.api
    return {
        "live_host": api.live.host,
        "live_port": api.live.port,
        "demo_host": api.demo.host,
        "demo_port": api.demo.port,
        "ca_file": str(api.ca_file) if api.ca_file else "",
        "oauth_url": api.oauth_url,
        "redirect_uri": api.redirect_uri,
        "allow_over_limit": api.allow_over_limit,
        "max_requests": api.max_requests,
        "connections": api.connections,
        "secrets": settings.secrets,
        "durability": settings.durability,
        "settle_s": settings.settle_s,
    }
