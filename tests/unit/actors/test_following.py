"""What a follower makes of its leader's words while it comes up and while it stops."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cmam.actors import messages as m
from cmam.actors.accounts import following
from cmam.actors.accounts.account_symbols import AccountSymbols
from cmam.domain.belief.view import AccountView
from cmam.domain.events import Standing
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.profiles.policy import policy_of
from cmam.domain.values.ids import AccountId, LinkId, StoreId

LEADER, FOLLOWER, LINK = AccountId(1), AccountId(2), LinkId("l1nk01")


class Board:
    """The quotes of nobody."""

    def feed_of(self, _account: AccountId) -> str:
        return ""

    def quote(self, _feed: str, _symbol: int) -> None:
        return None


def made_up(monkeypatch: pytest.MonkeyPatch, *, stops_before: bool) -> list[int]:
    """The leader's versions that were brought together with, once an account that was told holdings is reconciled."""
    found: list[int] = []

    def bring_together(_hand: object, leader: AccountView, *_more: object, **_options: object) -> None:
        found.append(leader.version)

    monkeypatch.setattr(following, "bring_together", bring_together)
    clock = SimpleNamespace(monotonic=lambda: 7)
    desk: Any = SimpleNamespace(
        is_reconciled=False,
        view=AccountView(account=FOLLOWER),
        ports=SimpleNamespace(board=Board(), clock=clock),
        tell=lambda _name, _message: None,
    )
    link = LinkSettings(
        link=LINK,
        profile="p",
        profile_name="p",
        leader=LEADER,
        follower=FOLLOWER,
        store=StoreId("s"),
        policy=policy_of({}),
        version=1,
        standing=Standing.RUNNING,
    )
    follows = following.Following(desk, AccountSymbols(desk, lambda: True), (link,), lambda: False)
    follows.ask_leaders()
    follows.is_stopping = stops_before
    follows.leader_holds(m.LeaderHolds(LINK, AccountView(account=LEADER, version=21), ticket=7))
    desk.is_reconciled = True
    follows.flush()
    return found


def test_holdings_told_while_stopping_are_left_to_the_next_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who stops leaves changes undecided, so holdings told behind them are left too: else both reduce the copy."""
    assert made_up(monkeypatch, stops_before=False) == [21]
    assert made_up(monkeypatch, stops_before=True) == []
