"""A consent that lets accounts only be read, where one is kept that lets them be traded."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cmam.sandbox.serving.options import ReadyInfo
from cmam.sandbox.serving.server import run_in_thread
from tests.scenario.guide import Person, consents, options, ready_file

LEADER, FOLLOWER = 41000001, 41000002
ALL = frozenset(range(LEADER, LEADER + 6))
REDIRECT = "http://127.0.0.1:5081/callback"


def _consent(ready: ReadyInfo, scope: str, *accounts: int) -> str:
    """The address on which a consent of that scope ends, given on a page that another program asked for."""
    address = f"{ready.oauth_url}/apps/auth?client_id={ready.client_id}&redirect_uri={REDIRECT}&scope={scope}"
    return consents(address, Path(ready.ca_file), untick=ALL.difference(accounts) if accounts else frozenset())


def _may_trade(person: Person) -> dict[int, bool]:
    """Whether each account may be traded, as the list of them says."""
    return {line["ctid"]: line["trading"] for line in person.types("account", "list", "--json").lines}


def _kept(person: Person) -> object:
    """Which consent's tokens are kept for the follower."""
    return person.types("account", "show", str(FOLLOWER), "--offline", "--json").lines[0]["consent"]


def test_a_consent_for_reading_takes_no_follower_s_trading_unasked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named with its profile and nothing is stored; a leader may be read only; `--yes` is somebody's word."""
    with run_in_thread(options(tmp_path / "sandbox")) as ready:
        person = Person(tmp_path / "home", capsys)
        secret = str(ready_file(ready, tmp_path))
        assert person.configures(ready, "--secret-file", secret, "--redirect-uri", REDIRECT).code == 0
        assert person.types("account", "add", "--code", _consent(ready, "trading")).code == 0
        profile = ("profile", "create", "one", "--leader", str(LEADER), "--follower", str(FOLLOWER))
        assert person.types(*profile).code == 0
        assert all(_may_trade(person).values())
        kept = _kept(person)

        refused = person.types("account", "add", "--code", _consent(ready, "accounts"))
        assert refused.code == 1
        assert re.findall(r"lets \S+ ?\S*:(\d+) only be read.*follows in one", refused.err) == ["9000002"]
        assert "Nothing was stored" in refused.err
        assert all(_may_trade(person).values())
        assert _kept(person) == kept, "the tokens are the old ones"

        read = person.types("account", "add", "--code", _consent(ready, "accounts", LEADER))
        assert read.code == 0, read.err
        assert [account for account, may in _may_trade(person).items() if not may] == [LEADER]

        agreed = person.types("account", "add", "--yes", "--code", _consent(ready, "accounts", FOLLOWER))
        assert agreed.code == 0, agreed.err
        assert "lets Alpha Markets:9000002 only be read" in agreed.err
        assert not _may_trade(person)[FOLLOWER]
