"""Driving the command line against a sandbox, as a person or a script would; shared by the stories about it."""

from __future__ import annotations

import json
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from cmam.cli.main import run
from cmam.sandbox.serving.options import ReadyInfo, SandboxOptions


def options(home: Path, **switches: str) -> SandboxOptions:
    """A sandbox on free ports."""
    return SandboxOptions(home=home, port=0, json_port=0, oauth_port=0, switches=tuple(switches.items()))


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[dict[str, Any]]:
        """Its JSON lines."""
        return [json.loads(line) for line in self.out.splitlines() if line.startswith("{")]


@dataclass
class Person:
    """Somebody at a terminal that is none: commands run in this process, everything they print is kept."""

    home: Path
    capsys: pytest.CaptureFixture[str]
    heard: list[str] = field(default_factory=list)

    def types(self, *arguments: str) -> Said:
        """Run one command."""
        self.capsys.readouterr()
        code = run(["--home", str(self.home), *arguments])
        captured = self.capsys.readouterr()
        self.heard += [captured.out, captured.err]
        return Said(int(code), captured.out, captured.err)

    def configures(self, ready: ReadyInfo, *more: str, **changed: str) -> Said:
        """Configure the API for a sandbox."""
        given = {
            "host": ready.host,
            "port": str(ready.port),
            "ca-file": str(ready.ca_file),
            "oauth-url": ready.oauth_url,
            **changed,
        }
        flat = [part for name, value in given.items() for part in (f"--{name}", value)]
        return self.types("api", "configure", *flat, *more)


def ready_file(ready: ReadyInfo, folder: Path) -> Path:
    """The sandbox's ready document as a file: credentials and tokens for scripts."""
    path = folder / "ready.json"
    path.write_text(json.dumps(ready.as_document()))
    return path


def consents(address: str, ca_file: Path, *, untick: frozenset[int] = frozenset(), user: int = 0) -> str:
    """Answer the consent page as a browser does, without one; gives the address it redirects to."""
    trust = ssl.create_default_context(cafile=str(ca_file))
    with httpx.Client(verify=trust, follow_redirects=False) as client:
        page = client.get(address)
        assert page.status_code == 200, page.text
        people = re.findall(r'href="([^"]*user=\d+[^"]*)"', page.text)
        if people:
            chosen = people[user].replace("&amp;", "&")
            page = client.get(f"https://{urlsplit(address).netloc}{chosen}")
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text))
        hidden = {name: value.replace("&amp;", "&") for name, value in hidden.items()}
        accounts = [int(found) for found in re.findall(r'name="account" value="(\d+)"', page.text)]
        ticked = [str(account) for account in accounts if account not in untick]
        form = {**hidden, "account": ticked, "decision": "allow"}
        answer = client.post(f"https://{urlsplit(address).netloc}/apps/auth", data=form)
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]


def code_in(address: str) -> str:
    """The code that an address carries."""
    return parse_qs(urlsplit(address).query)["code"][0]


def child(home: Path, *arguments: str, **variables: str) -> subprocess.Popen[str]:
    """Start a command as a process of its own, without a terminal."""
    environment: Mapping[str, str] = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CMAM_")},
        "PYTHONUNBUFFERED": "1",
        **variables,
    }
    return subprocess.Popen(
        [sys.executable, "-m", "cmam", "--home", str(home), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=dict(environment),
    )
