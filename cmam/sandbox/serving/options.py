"""What a sandbox server is started with, and what it says of itself once everything listens.

The ready document is the contract with scripts: they wait for the file and find in it all they need to connect.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmam.sandbox.wire.certificates import write_private

PROTOBUF_PORT = 5035
JSON_PORT = 5036
OAUTH_PORT = 5080
SANDBOX_FOLDER = "sandbox"
"""Folder of the sandbox inside the home folder: certificate authority and the ready file of the running server."""
READY_FILE = "ready.json"


class SandboxError(Exception):
    """The sandbox cannot do what it was asked; the text is one sentence for a person."""


class SetUpFault(SandboxError):
    """A world, ticks, switches or a state that cannot be played; the text is one sentence for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxOptions:
    """How to run a server. Ports of 0 mean any free one."""

    home: Path
    bind: str = "127.0.0.1"
    port: int = PROTOBUF_PORT
    json_port: int = JSON_PORT
    live_port: int | None = None
    """A port of its own for live accounts; `port` then serves demo accounts only, as the real hosts do."""
    oauth_port: int = OAUTH_PORT
    ready_file: Path | None = None
    seed: int = 0
    ticks: tuple[Path, ...] = ()
    world_file: Path | None = None
    speed: float = 1.0
    raw_json: bool = True
    state_file: Path | None = None
    keeps_always: bool = False
    """Whether the state is kept before anything is said, so that even a killed server comes back with it."""
    faults_file: Path | None = None
    switches: tuple[tuple[str, str], ...] = ()

    @property
    def folder(self) -> Path:
        """Where the sandbox keeps what it keeps."""
        return self.home / SANDBOX_FOLDER

    @property
    def address(self) -> str:
        """The one address to listen on: names that mean several would get a port of their own for each."""
        return {"localhost": "127.0.0.1", "": "0.0.0.0"}.get(self.bind, self.bind)

    @property
    def host(self) -> str:
        """The address to connect to: where it listens, or this machine where it listens on all."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.address, self.address)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyAccount:
    """One account of the world, with tokens that work."""

    ctid: int
    login: int
    broker: str
    currency: str
    type: str
    balance: str
    live: bool = False
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyInfo:
    """Where a running server is reached and with which credentials."""

    host: str
    port: int
    json_port: int
    live_port: int | None = None
    oauth_url: str
    ca_file: Path
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uris: tuple[str, ...]
    accounts: tuple[ReadyAccount, ...]
    control_url: str
    control_token: str = field(repr=False)
    pid: int = field(default_factory=os.getpid)

    def as_document(self) -> dict[str, Any]:
        """Give the ready document, JSON-able."""
        return {
            "host": self.host,
            "port": self.port,
            "json_port": self.json_port,
            **({"live_port": self.live_port} if self.live_port is not None else {}),
            "oauth_url": self.oauth_url,
            "ca_file": str(self.ca_file),
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "redirect_uris": list(self.redirect_uris),
            "accounts": [
                {
                    "ctid": account.ctid,
                    "login": account.login,
                    "broker": account.broker,
                    "currency": account.currency,
                    "type": account.type,
                    "balance": account.balance,
                    "live": account.live,
                    "access_token": account.access_token,
                    "refresh_token": account.refresh_token,
                }
                for account in self.accounts
            ],
            "control": {"url": self.control_url, "token": self.control_token},
            "pid": self.pid,
        }


def write_ready_file(path: Path, ready: ReadyInfo) -> None:
    """Publish the ready document in one step, readable by its owner only."""
    write_private(path, json.dumps(ready.as_document(), indent=2).encode() + b"\n")


def remove_ready_file(path: Path, ready: ReadyInfo) -> None:
    """Take the ready document back, unless another server has written its own there meanwhile."""
    try:
        if path.is_file() and json.loads(path.read_bytes()).get("control") == ready.as_document()["control"]:
            path.unlink()
    except (OSError, ValueError, AttributeError):
        return
