"""One follower more or less in a profile: what it begins with, what is told and refused, what becomes of copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from cmam.domain.events import AccountAdded, CopiesReleased, LinkAdded, LinkRemoved
from cmam.domain.operating.asking import Outcome, Refusal
from cmam.domain.operating.registry import APP, evolve_registry
from cmam.domain.values.ids import AccountId
from tests.factories import Pair
from tests.unit.domain import commanding

ACCOUNTS = (
    AccountAdded(account=AccountId(1), login=1, broker="alpha", currency="USD"),
    AccountAdded(account=AccountId(2), login=2, broker="alpha", currency="USD"),
    AccountAdded(account=AccountId(3), login=3, broker="alpha", currency="USD"),
    AccountAdded(account=AccountId(4), login=4, broker="alpha", currency="USD"),
    AccountAdded(account=AccountId(5), login=5, broker="beta", currency="JPY"),
    AccountAdded(account=AccountId(6), login=6, broker="alpha", currency="USD", can_trade=False),
)


class Desk(commanding.Desk):
    """A registry of six accounts, and commands about followers that are carried out on it."""

    def adds(self, follower: str, **settings: str) -> Outcome:
        """Add a follower to the profile."""
        return self.does("profile.follower.add", profile="main", follower=follower, settings=settings)

    def followers(self) -> dict[int, Mapping[str, str]]:
        """The followers of the profile, with the settings of their links."""
        (profile,) = self.registry.live_profiles()
        return {int(link.follower): dict(link.settings) for link in profile.links.values()}


@pytest.fixture
def desk() -> Desk:
    """A desk with a profile of two followers, who have most settings alike."""
    desk = Desk(ACCOUNTS)
    shared = {"volume.amount": "0.1", "daily_loss": "500"}
    desk.does("profile.create", name="Main", leader="1", followers=["2", "3"], settings=shared)
    desk.does("profile.set", profile="main", follower="3", settings={"max_spread": "3"})
    return desk


def test_a_new_follower_begins_with_what_all_others_have_alike(desk: Desk) -> None:
    """It trades a tenth as they do, never the whole that the default would be; what only some have is told."""
    outcome = desk.adds("4")
    ((stream, event),) = outcome.events
    assert stream.startswith("profile:")
    assert isinstance(event, LinkAdded)
    assert desk.followers()[4] == {"volume.amount": "0.1", "daily_loss": "500"}
    assert outcome.answer["remarks"] == ["max_spread is off for alpha:4; other followers have 3."]
    assert [(one["field"], one["after"]) for one in outcome.answer["changes"]] == [
        ("follower", "alpha:4"),
        ("daily_loss", "500"),
        ("volume.amount", "0.1"),
    ]


def test_what_is_set_with_it_comes_before_what_others_have(desk: Desk) -> None:
    """A value that was given is the one that holds, and the others keep theirs."""
    before = desk.followers()
    desk.adds("4", **{"volume.amount": "2", "max_spread": "5"})
    assert desk.followers() == {**before, 4: {"volume.amount": "2", "daily_loss": "500", "max_spread": "5"}}


def test_what_is_said_of_symbols_is_not_taken_to_another_broker(desk: Desk) -> None:
    """A confirmed lot was looked at for the brokers it is of; money of another currency is another sum: both told."""
    desk.does("profile.set", profile="main", settings={"volume.lots_confirmed": "XAUUSD"})
    desk.adds("4")
    assert desk.followers()[4]["volume.lots_confirmed"] == "XAUUSD"
    told = desk.adds("5").answer["remarks"]
    assert "volume.lots_confirmed" not in desk.followers()[5]
    assert (
        "volume.lots_confirmed of alpha:2, alpha:3, alpha:4 is not taken over: beta:5 may have other symbols." in told
    )
    assert "daily_loss=500 is taken over as it is: it is in JPY for beta:5, and in USD for others." in told


def test_a_percentage_means_the_same_in_every_currency(desk: Desk) -> None:
    """Only a sum of money is told."""
    desk.does("profile.set", profile="main", settings={"daily_loss": "5%"})
    assert not any("daily_loss" in told for told in desk.adds("5").answer["remarks"])


def test_nothing_is_done_where_only_the_difference_is_asked_for(desk: Desk) -> None:
    """A dry run gives the same difference and no event; what changed since then is refused."""
    request = {"profile": "main", "follower": "4"}
    shown = desk.does("profile.follower.add", **request, dry_run=True)
    assert not shown.events
    desk.does("profile.set", profile="main", settings={"volume.amount": "0.2"})
    with pytest.raises(Refusal, match="have changed since they were shown"):
        desk.does("profile.follower.add", **request, expect=shown.answer["digest"])
    assert set(desk.followers()) == {2, 3}


@pytest.mark.parametrize(
    ("follower", "settings", "why"),
    [
        ("2", {}, r"alpha:2 follows in Main already: `cmam profile set Main --follower alpha:2`"),
        ("1", {}, "alpha:1 leads here, and cannot follow itself"),
        ("6", {}, "consent covered reading only"),
        ("9", {}, "no account '9'"),
        ("4", {"volume.amount": "-1", "side": "up"}, r"volume.amount: (?s:.*)side: expected one of"),
        ("4", {"volume.min": "2", "volume.max": "1"}, "at least volume.min = 2"),
    ],
)
def test_a_follower_that_cannot_be_is_refused(desk: Desk, follower: str, settings: dict[str, str], why: str) -> None:
    """As in `create`: who follows already, leads, may not trade, is unknown, or has settings that cannot be."""
    before = desk.registry
    with pytest.raises(Refusal, match=why):
        desk.adds(follower, **settings)
    assert desk.registry == before


def test_a_circle_is_refused(desk: Desk) -> None:
    """A follower that leads back to the leader is named with the circle."""
    desk.does("profile.create", name="back", leader="4", followers=["1"])
    with pytest.raises(Refusal, match="alpha:1 → alpha:4 → alpha:1"):
        desk.adds("4")


def test_a_follower_is_taken_out_and_its_copies_as_was_said(desk: Desk) -> None:
    """With a live copy it must be said what becomes of it; the copies of others are not touched."""
    pair = Pair({})
    pair.opens()
    pair.answer()
    (profile,) = desk.registry.live_profiles()
    link = next(one.link for one in profile.links.values() if one.follower == 2)
    copies = {(link, key[1]): replace(copy, link=link) for key, copy in pair.view.copies.items()}
    desk.views[AccountId(2)] = replace(pair.view, account=AccountId(2), copies=copies)
    request = {"profile": "main", "follower": "2"}
    with pytest.raises(Refusal, match="--close or --leave"):
        desk.does("profile.follower.remove", **request)
    assert not desk.does("profile.follower.remove", **request, dry_run=True).events
    (_, removed), (stream, released) = desk.does("profile.follower.remove", **request, copies="close").events
    assert removed == LinkRemoved(link=link, user="t")
    assert (stream, released) == (
        "account:2",
        CopiesReleased(links=(link,), close=True, keep_pendings=False, user="t"),
    )
    assert set(desk.followers()) == {3}


@pytest.mark.parametrize("command", ["profile.follower.add", "profile.follower.remove"])
def test_a_profile_and_an_account_in_the_wrong_order_are_told_the_right_one(desk: Desk, command: str) -> None:
    """Who types the account first is not told that no profile has its number; another fault is said as ever."""
    with pytest.raises(Refusal, match="the profile comes first, then the account: main 3"):
        desk.does(command, profile="3", follower="main")
    with pytest.raises(Refusal, match="there is no profile '3'"):
        desk.does(command, profile="3", follower="4")


def test_a_profile_keeps_its_last_follower(desk: Desk) -> None:
    """Who does not follow cannot be taken out, and the last cannot either: a profile of nobody is none."""
    with pytest.raises(Refusal, match=r"alpha:4 does not follow in Main; who does: alpha:2, alpha:3"):
        desk.does("profile.follower.remove", profile="main", follower="4")
    desk.does("profile.follower.remove", profile="main", follower="3")
    with pytest.raises(Refusal, match=r"alpha:2 is the last follower of Main.*`cmam profile delete Main` ends it"):
        desk.does("profile.follower.remove", profile="main", follower="2")


def test_a_follower_that_may_only_read_by_now_holds_up_no_other(desk: Desk) -> None:
    """Its copies are only managed until it is consented anew: meanwhile others come and go, and are closed."""
    desk.registry = evolve_registry(desk.registry, APP, replace(ACCOUNTS[2], can_trade=False))
    desk.adds("4")
    assert set(desk.followers()) == {2, 3, 4}
    (_, event), *_ = desk.does("profile.follower.remove", profile="main", follower="2", copies="close").events
    assert isinstance(event, LinkRemoved)
    assert set(desk.followers()) == {3, 4}
    with pytest.raises(Refusal, match="its consent covered reading only"):
        desk.adds("6")
