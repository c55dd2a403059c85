"""A netted account has one leader for each symbol: what would give it two is refused, and nothing that stands is."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.domain.events import AccountAdded
from cmam.domain.operating.asking import Context, Refusal
from cmam.domain.operating.operate import operate
from cmam.domain.operating.registry import APP, Registry, evolve_registry
from cmam.domain.values.ids import AccountId

ROWS = "leader_symbol,follower_symbol\nXAUUSD,GOLD\n"


class Desk:
    """Two leaders and a follower, of a kind that is known or not."""

    def __init__(self, kind: str = "netted") -> None:
        self.registry = Registry()
        self.number = 0
        for account in (1, 2, 3):
            self.add(account, kind if account == 3 else "hedged")

    def add(self, account: int, kind: str) -> None:
        """An account is added, or added again."""
        added = AccountAdded(account=AccountId(account), login=account, broker="alpha", account_type=kind)
        self.registry = evolve_registry(self.registry, APP, added)

    def _new_id(self) -> str:
        self.number += 1
        return f"id{self.number:04d}"

    def does(self, command: str, **request: Any) -> dict[str, Any]:
        """Carry a command out, and fold what follows."""
        context = Context(registry=self.registry, user="t", new_id=self._new_id, heads={})
        outcome = operate(context, {"command": command, **request})
        for stream, event in outcome.events:
            self.registry = evolve_registry(self.registry, stream, event)
        return outcome.answer

    def profile(self, name: str, leader: str, **settings: str) -> None:
        """A profile whose only follower is the third account."""
        named = {key.replace("__", "."): value for key, value in settings.items()}
        self.does("profile.create", name=name, leader=leader, followers=["3"], settings=named)


def _document(*leaders: str, **settings: str) -> list[dict[str, Any]]:
    named = {key.replace("__", "."): value for key, value in settings.items()}
    return [{"name": f"of {one}", "leader": one, "followers": [{"account": "3"}], "settings": named} for one in leaders]


def test_a_second_leader_is_refused_and_both_are_named() -> None:
    """Who reads it knows which account it is about, whose profiles meet there, and what to do."""
    desk = Desk()
    desk.profile("first", "1")
    with pytest.raises(Refusal) as refusal:
        desk.profile("second", "2")
    said = str(refusal.value)
    assert said.startswith("the netted account alpha:3 can follow one leader in each symbol")
    assert "(profile first) and alpha:2" in said
    assert "symbols.include" in said
    assert [profile.name for profile in desk.registry.live_profiles()] == ["first"]


@pytest.mark.parametrize("kind", ["hedged", ""])
def test_other_accounts_may_have_several(kind: str) -> None:
    """A hedged one holds a position for each; of one whose kind is not known yet nothing can be said."""
    desk = Desk(kind)
    desk.profile("first", "1")
    desk.profile("second", "2")
    assert len(desk.registry.live_profiles()) == 2


def test_two_profiles_of_one_leader_are_one_leader() -> None:
    """Its trades are the same on both."""
    desk = Desk()
    desk.profile("first", "1")
    desk.profile("second", "1")
    assert len(desk.registry.live_profiles()) == 2


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        ({"symbols__include": "EURUSD"}, {"symbols__include": "XAUUSD"}, None),
        ({"symbols__include": "EURUSD,XAUUSD"}, {"symbols__include": "xauusd"}, "XAUUSD"),
        ({"symbols__include": "EURUSD"}, {"symbols__include": "EURUSD.r"}, "EURUSD"),
        ({"symbols__include": "EURUSD"}, {}, "EURUSD"),
        ({"symbols__include": "EURUSD"}, {"symbols__exclude": "EURUSD"}, None),
        ({"symbols__include": "EURUSD,GBPUSD"}, {"symbols__exclude": "EURUSD"}, "GBPUSD"),
        ({"symbols__exclude": "EURUSD"}, {"symbols__exclude": "XAUUSD"}, "whatever both of them trade"),
        ({"symbols__include": "GOLD"}, {"symbols__include": "XAUUSD", "symbols__table": ROWS}, "GOLD"),
        ({"symbols__include": "XAUUSD"}, {"symbols__include": "XAUUSD", "symbols__table": ROWS}, None),
        ({"symbols__exclude": "GOLD"}, {"symbols__mapping": "file", "symbols__table": ROWS}, None),
        ({}, {"symbols__mapping": "file", "symbols__table": ROWS}, "GOLD"),
    ],
)
def test_symbols_may_be_parted(first: dict[str, str], second: dict[str, str], shared: str | None) -> None:
    """By what each link names, leaves out, or has rows for, as the follower's symbols."""
    desk = Desk()
    desk.profile("first", "1", **first)
    if shared is None:
        desk.profile("second", "2", **second)
        return
    with pytest.raises(Refusal, match=f"for {shared}"):
        desk.profile("second", "2", **second)


def test_what_would_bring_them_together_is_refused_later_too() -> None:
    """A setting, a profile that is enabled again, a file of profiles: shown before anything of it is done."""
    desk = Desk()
    desk.profile("first", "1", symbols__include="EURUSD")
    desk.profile("second", "2", symbols__include="XAUUSD")
    with pytest.raises(Refusal, match="for XAUUSD"):
        desk.does("profile.set", profile="first", settings={"symbols.include": "all"})
    desk.does("profile.disable", profile="second")
    desk.does("profile.set", profile="first", settings={"symbols.include": "all"})
    with pytest.raises(Refusal, match="for XAUUSD"):
        desk.does("profile.enable", profile="second")
    with pytest.raises(Refusal, match="for whatever both of them trade"):
        Desk().does("profile.apply", profiles=_document("1", "2"), dry_run=True)


def test_two_that_stand_already_are_left_alone() -> None:
    """What was saved before the account's kind was known, or by an earlier cmam, goes on and can be changed."""
    desk = Desk("")
    desk.profile("first", "1")
    desk.profile("second", "2")
    desk.add(3, "netted")
    assert desk.does("profile.set", profile="first", settings={"volume.amount": "2"})["changed"]
    desk.does("pause", profile="first")
    desk.does("resume", profile="first")
    desk.does("profile.disable", profile="first")
    with pytest.raises(Refusal, match="one leader"):
        desk.does("profile.enable", profile="first")
