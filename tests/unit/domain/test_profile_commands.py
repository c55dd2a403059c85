"""Commands about profiles: what becomes of copies at an end, whose copies are adopted, which settings hold after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cmam.domain.belief.view import AccountView
from cmam.domain.events import (
    AccountAdded,
    CopiesReleased,
    CopyAdopted,
    Health,
    LinkSettingsChanged,
    ProfileCreated,
    ProfileDeleted,
    ProfileSettingsChanged,
    ProfileStateChanged,
)
from cmam.domain.operating.applying import apply_profiles
from cmam.domain.operating.asking import Context, Refusal
from cmam.domain.operating.registry import APP, PROFILE_PREFIX, evolve_registry
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.ids import AccountId, PositionId, ProfileId, SymbolId, position_source
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason
from cmam.domain.values.trades import AccessRights, AccountType, Position
from tests.factories import LINK, LOT, Pair
from tests.unit.domain.commanding import Desk

LEADER, FOLLOWER, THIRD = AccountId(1), AccountId(2), AccountId(3)


ACCOUNTS = tuple(
    AccountAdded(account=account, login=int(account), broker="alpha") for account in (LEADER, FOLLOWER, THIRD)
)


@pytest.fixture
def desk() -> Desk:
    """A desk with a profile of two followers."""
    desk = Desk(ACCOUNTS)
    desk.does("profile.create", name="Main", leader="1", followers=["2", "3"], settings={"volume.amount": "2"})
    return desk


def _holding(desk: Desk) -> Pair:
    """The first link's follower holds one copy, and one of its orders rests."""
    pair = Pair({})
    pair.opens()
    pair.answer()
    pair.order()
    pair.answer()
    link = next(iter(desk.registry.live_profiles()[0].links))
    copies = {(link, key[1]): replace(copy, link=link) for key, copy in pair.view.copies.items()}
    desk.views[FOLLOWER] = replace(pair.view, account=FOLLOWER, copies=copies)
    return pair


# --- what becomes of copies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["profile.disable", "profile.delete"])
def test_an_end_with_live_copies_wants_a_word_about_them(desk: Desk, command: str) -> None:
    """Nothing said is refused with their number; said, it goes to the account that holds them, after the profile."""
    _holding(desk)
    with pytest.raises(Refusal, match="2 copies of Main are live: say --close"):
        desk.does(command, profile="main")
    with pytest.raises(Refusal, match="expected leave or close"):
        desk.does(command, profile="main", copies="burn")
    outcome = desk.does(command, profile="main", copies="close", keep_pendings=True)
    (stream, released) = outcome.events[-1]
    assert stream == "account:2"
    assert isinstance(released, CopiesReleased)
    assert (released.close, released.keep_pendings, len(released.links)) == (True, True, 1)


def test_a_single_live_copy_is_spoken_of_in_the_singular(desk: Desk) -> None:
    """The sentence is read at the moment in which somebody wants to end a profile."""
    _holding(desk)
    view = desk.views[FOLLOWER]
    desk.views[FOLLOWER] = replace(view, copies=dict([next(iter(view.copies.items()))]))
    with pytest.raises(Refusal, match=r"^1 copy of Main is live: say --close or --leave$"):
        desk.does("profile.disable", profile="main")


def test_an_end_without_copies_asks_nothing(desk: Desk) -> None:
    """Where nothing is live, disabling is one event."""
    ((_, event),) = desk.does("profile.disable", profile="main").events
    assert isinstance(event, ProfileStateChanged)


@pytest.mark.parametrize(("copies", "close"), [("", True), ("close", True), ("leave", False)])
def test_an_account_at_work_is_told_of_an_end_also_where_nothing_is_live_yet(
    desk: Desk, copies: str, close: bool
) -> None:
    """It may be about to open: what nobody could be asked about goes, and none of it stays without a leader."""
    desk.views[FOLLOWER] = replace(Pair({}).view, account=FOLLOWER)
    assert desk.views[FOLLOWER].health is Health.RECONCILED
    outcome = desk.does("profile.disable", profile="main", copies=copies)
    (stream, released) = outcome.events[-1]
    assert isinstance(released, CopiesReleased)
    assert (stream, released.close, len(released.links)) == ("account:2", close, 1)
    ((_, event),) = desk.does("profile.delete", profile="main", copies=copies).events
    assert isinstance(event, ProfileDeleted)


def test_left_copies_stay_and_their_orders_go() -> None:
    """`leave`: the position is not touched, the resting order is cancelled and ends as released."""
    pair = Pair({})
    pair.opens()
    pair.answer()
    pair.order()
    pair.answer()
    pair.fact(CopiesReleased(links=(LINK,)))
    assert [intent.command.kind for intent in pair.waiting] == [CommandKind.CANCEL]
    pair.answer()
    assert [copy.reason for copy in pair.view.finished.values()] == [Reason.RELEASED]
    assert len(pair.held) == 1


def test_closed_copies_go_and_kept_orders_rest_on() -> None:
    """`close` with kept pendings: one whole close, no cancel; the order still fills into a copy later."""
    pair = Pair({})
    pair.opens()
    pair.answer()
    pair.order()
    pair.answer()
    pair.fact(CopiesReleased(links=(LINK,), close=True, keep_pendings=True))
    assert [(i.command.kind, i.command.whole) for i in pair.waiting] == [(CommandKind.CLOSE, True)]
    pair.answer()
    assert pair.held == {}
    assert len(pair.resting) == 1


@pytest.mark.parametrize("close", [True, False])
def test_an_open_on_its_way_ends_when_it_shows(close: bool) -> None:
    """An open whose outcome is not known at the end of its link is closed as soon as the broker shows it filled."""
    pair = Pair({})
    pair.opens()
    pair.send()
    late = pair.events_of(pair.sent[-1])
    pair.lose()
    pair.fact(CopiesReleased(links=(LINK,), close=close))
    pair.hears(late)
    assert [(i.command.kind, i.command.whole) for i in pair.waiting] == [(CommandKind.CLOSE, True)]


def test_other_links_are_not_touched() -> None:
    """What another link of the account holds stays as it is."""
    pair = Pair({})
    pair.opens()
    pair.answer()
    before = pair.view.copies
    pair.fact(CopiesReleased(links=(type(LINK)("other1"),), close=True))
    assert pair.view.copies == before


# --- adoption -------------------------------------------------------------------------------------------------------


def test_adoption_names_the_stores_that_left_something(desk: Desk) -> None:
    """Only labels of other stores count, each store once for each link; without any there is nothing to adopt."""
    with pytest.raises(Refusal, match="nothing to adopt"):
        desk.does("profile.adopt", profile="main")
    stray = [
        Position(position=PositionId(n), symbol=SymbolId(1), side=Side.BUY, volume=Volume(LOT), label=label)
        for n, label in enumerate(("cm1.other.l.p1", "cm1.other.l.p2", "cm1..x.p1", "by hand"), start=1)
    ]
    desk.views[FOLLOWER] = AccountView(account=FOLLOWER, positions={one.position: one for one in stray})
    ((stream, event),) = desk.does("profile.adopt", profile="main").events
    assert stream == "account:2"
    assert isinstance(event, CopyAdopted)
    assert event.store == "other"
    with pytest.raises(Refusal, match="of the store 'elsewhere'"):
        desk.does("profile.adopt", profile="main", store="elsewhere")


# --- settings -------------------------------------------------------------------------------------------------------


def test_a_setting_of_all_falls_back_with_every_link(desk: Desk) -> None:
    """Unset for all, a setting goes from the profile too; unset for one follower, the profile's own holds for it."""
    desk.does(
        "profile.apply",
        profiles=[
            {
                "name": "Main",
                "leader": "1",
                "settings": {"max_age": "20s"},
                "followers": [{"account": "2", "settings": {"max_age": "5s"}}, {"account": "3", "settings": {}}],
            }
        ],
    )
    one = desk.does("profile.set", profile="main", follower="2", unset=["max_age"])
    assert [type(event) for _, event in one.events] == [LinkSettingsChanged]
    assert desk.registry.live_profiles()[0].settings == {"max_age": "20s"}
    every = desk.does("profile.set", profile="main", unset=["max_age"])
    assert [type(event) for _, event in every.events] == [ProfileSettingsChanged]
    assert desk.registry.live_profiles()[0].settings == {}


def test_values_that_cannot_stand_together_are_refused_on_the_link_they_meet_on(desk: Desk) -> None:
    """volume.max below the volume.min that a link has already is refused, though each alone may be."""
    desk.does("profile.set", profile="main", settings={"volume.min": "2"})
    before = desk.registry
    with pytest.raises(Refusal, match=r"volume.max: expected at least volume.min = 2, found '1'"):
        desk.does("profile.set", profile="main", settings={"volume.max": "1"})
    assert desk.registry == before
    desk.does("profile.set", profile="main", settings={"volume.min": "1", "volume.max": "1.5"})


@pytest.mark.parametrize(
    ("needed", "given", "missing"),
    [
        ({"volume.formula": "leader_lots / 2"}, {"volume.mode": "formula"}, "volume.formula: expected a formula"),
        (
            {"symbols.table": "leader_symbol,follower_symbol\nEURUSD,EURUSD.b\n"},
            {"symbols.mapping": "file"},
            "symbols.table: expected at least one row",
        ),
        (
            {"stop_wait": "100ms"},
            {"volume.mode": "risk_percent", "volume.amount": "1", "max_age": "500ms"},
            "stop_wait: expected no more than max_age",
        ),
    ],
    ids=["formula", "table", "wait"],
)
def test_a_value_that_needs_another_is_held_against_what_each_link_has(
    desk: Desk, needed: dict[str, str], given: dict[str, str], missing: str
) -> None:
    """The fault names the setting that is missing, though nobody gave it; where links have it, the value is taken."""
    before = desk.registry
    with pytest.raises(Refusal, match=missing):
        desk.does("profile.set", profile="main", settings=given)
    assert desk.registry == before
    desk.does("profile.set", profile="main", settings=needed)
    desk.does("profile.set", profile="main", settings=given)
    assert all(given.items() <= link.settings.items() for link in desk.registry.links())


def test_setting_what_is_already_so_is_no_event(desk: Desk) -> None:
    """The version that decisions name does not move for nothing."""
    outcome = desk.does("profile.set", profile="main", settings={"volume.amount": "2"})
    assert outcome.events == ()
    assert outcome.answer["changed"] == 0


# --- apply ----------------------------------------------------------------------------------------------------------


def _file(amount: str = "2", followers: tuple[str, ...] = ("2", "3")) -> list[dict[str, Any]]:
    settings = {"volume.amount": amount}
    return [
        {
            "name": "main",
            "leader": "1",
            "settings": {},
            "followers": [{"account": account, "settings": settings} for account in followers],
        }
    ]


def test_a_name_that_would_be_taken_for_an_option_is_refused_and_an_older_one_stays(desk: Desk) -> None:
    """`-x` cannot be typed where a name stands: no profile gets it by a command or a file; one of before is kept."""
    anew = _file("3")
    anew[0]["name"] = "-x"
    with pytest.raises(Refusal, match=r"the first of them no hyphen; found '-x'"):
        desk.does("profile.create", name="-x", leader="1", followers=["2"], settings={})
    with pytest.raises(Refusal, match=r"profile '-x': expected a name .* found '-x'"):
        desk.does("profile.apply", profiles=anew, dry_run=True)
    older = ProfileCreated(profile=ProfileId("older"), name="-x", leader=LEADER)
    desk.registry = evolve_registry(desk.registry, f"{PROFILE_PREFIX}older", older)
    desk.does("profile.apply", profiles=anew)
    links = next(p for p in desk.registry.live_profiles() if p.name == "-x").links.values()
    assert {link.settings["volume.amount"] for link in links} == {"3"}


def test_what_was_shown_is_what_is_applied(desk: Desk) -> None:
    """When the profiles changed between the difference and the yes, nothing is applied."""
    shown = desk.does("profile.apply", profiles=_file("3"), dry_run=True)
    assert shown.events == ()
    desk.does("profile.set", profile="main", settings={"volume.amount": "2.5"})
    with pytest.raises(Refusal, match="have changed since they were shown"):
        desk.does("profile.apply", profiles=_file("3"), expect=shown.answer["digest"])
    again = desk.does("profile.apply", profiles=_file("3"), dry_run=True)
    desk.does("profile.apply", profiles=_file("3"), expect=again.answer["digest"])
    links = desk.registry.live_profiles()[0].links.values()
    assert {link.settings["volume.amount"] for link in links} == {"3"}


def test_what_a_file_says_for_all_may_rest_on_what_it_says_for_each(desk: Desk) -> None:
    """Settings of a profile and of its followers are held against each other together, not each part by itself."""
    table = "leader_symbol,follower_symbol\nEURUSD,EURUSD.b\n"
    followers = [
        {"account": "2", "settings": {"symbols.table": table}},
        {"account": "3", "settings": {"symbols.table": table, "volume.mode": "formula"}},
    ]
    shared = {"symbols.mapping": "file", "volume.formula": "leader_lots"}
    document = [{"name": "Main", "leader": "1", "settings": shared, "followers": followers}]
    desk.does("profile.apply", profiles=document)
    followers[0]["settings"] = {}
    with pytest.raises(Refusal) as refused:
        desk.does("profile.apply", profiles=document)
    assert str(refused.value).count("expected") == 1
    assert "follower alpha:2, symbols.table: expected at least one row" in str(refused.value)


def test_a_follower_with_live_copies_is_not_taken_out_silently(desk: Desk) -> None:
    """Leaving a follower out of the file asks what becomes of its copies, as disabling does."""
    _holding(desk)
    with pytest.raises(Refusal, match="--close or --leave"):
        desk.does("profile.apply", profiles=_file(followers=("3",)))
    outcome = desk.does("profile.apply", profiles=_file(followers=("3",)), copies="close")
    assert isinstance(outcome.events[-1][1], CopiesReleased)
    assert [link.follower for link in desk.registry.live_profiles()[0].links.values()] == [THIRD]


def test_swapping_two_profiles_in_one_file_is_no_loop(desk: Desk) -> None:
    """A circle is looked for in what will be, not in what was."""
    desk.does("profile.create", name="back", leader="3", followers=["2"], settings={})
    context = Context(registry=desk.registry, user="t", new_id=lambda: "x", heads={}, views={})
    turned = [*_file(followers=("2",)), {"name": "on", "leader": "3", "settings": {}, "followers": [{"account": "1"}]}]
    assert apply_profiles(context, {"profiles": turned}).answer["different"]
    with pytest.raises(Refusal, match="loop"):
        apply_profiles(context, {"profiles": turned[1:]})


def test_a_profile_keeps_its_leader(desk: Desk) -> None:
    """Another leader under the same name is refused with what to do instead."""
    with pytest.raises(Refusal, match="delete the profile and create it anew"):
        desk.does("profile.apply", profiles=[{**_file(followers=("2",))[0], "leader": "3"}])


def test_the_source_of_a_released_copy_is_over() -> None:
    """The leader's later close of a copy that was closed at the end of its link finds nothing to do."""
    pair = Pair({})
    pair.opens()
    pair.answer()
    pair.fact(CopiesReleased(links=(LINK,), close=True))
    pair.answer()
    assert pair.view.copies == {}
    again = pair.tell(pair.change(source=position_source(PositionId(77)), position=PositionId(77)))
    assert again.reason is None  # no latch stays: the link may be enabled again


@pytest.mark.parametrize(
    ("trader", "word"),
    [
        ({"access": AccessRights.CLOSE_ONLY}, "close_only"),
        ({"access": AccessRights.NO_TRADING}, "no_trading"),
        ({"account_type": AccountType.SPREAD_BETTING}, "spread betting"),
    ],
)
def test_an_account_that_may_open_nothing_is_no_new_follower_and_stays_an_old_one(
    trader: dict[str, Any], word: str
) -> None:
    """It is refused by `create` and by `apply`; a profile that it follows already is applied as before."""
    desk = Desk(ACCOUNTS)
    desk.does("profile.create", name="old", leader="1", followers=["2"], settings={})
    view = Pair().view
    assert view.trader is not None
    desk.views = {FOLLOWER: replace(view, account=FOLLOWER, trader=replace(view.trader, **trader))}
    with pytest.raises(Refusal, match=word):
        desk.does("profile.create", name="new", leader="3", followers=["2"], settings={})
    profile = {"name": "new", "leader": "3", "followers": [{"account": "2"}]}
    with pytest.raises(Refusal, match=word):
        desk.does("profile.apply", profiles=[profile])
    kept = {"name": "old", "leader": "1", "settings": {"volume.amount": "2"}, "followers": [{"account": "2"}]}
    assert desk.does("profile.apply", profiles=[kept]).events


def test_an_account_for_spread_betting_is_refused_as_soon_as_its_kind_is_known() -> None:
    """Where nothing runs, what its consent has told is all that is known."""
    desk = Desk(ACCOUNTS)
    added = AccountAdded(account=FOLLOWER, login=2, broker="alpha", account_type="spread_betting")
    desk.registry = evolve_registry(desk.registry, APP, added)
    with pytest.raises(Refusal, match="spread betting"):
        desk.does("profile.create", name="new", leader="1", followers=["2"], settings={})


def test_an_account_for_spread_betting_leads_no_new_profile() -> None:
    """Its volumes are stakes, by which no copy can be sized; a profile that is there is applied as before."""
    desk = Desk(ACCOUNTS)
    desk.does("profile.create", name="old", leader="1", followers=["2"], settings={})
    added = AccountAdded(account=LEADER, login=1, broker="alpha", account_type="spread_betting")
    desk.registry = evolve_registry(desk.registry, APP, added)
    with pytest.raises(Refusal, match="cannot lead"):
        desk.does("profile.create", name="new", leader="1", followers=["3"], settings={})
    with pytest.raises(Refusal, match="cannot lead"):
        desk.does("profile.apply", profiles=[{"name": "new", "leader": "1", "followers": [{"account": "3"}]}])
    kept = {"name": "old", "leader": "1", "settings": {"volume.amount": "2"}, "followers": [{"account": "2"}]}
    assert desk.does("profile.apply", profiles=[kept]).events


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_disabled_profile_is_taken_up_again_by_enable_alone(desk: Desk, command: str) -> None:
    """Who let go of his copies and pauses to be sure must not see them follow their leader again."""
    desk.does("profile.disable", profile="main", copies="leave")
    with pytest.raises(Refusal, match="Main is disabled"):
        desk.does(command, profile="main")
    assert not desk.does(command, all=True).events
    assert desk.does("profile.enable", profile="main").events
    assert desk.does("pause", profile="main").events


def test_a_second_profile_of_the_same_two_accounts_is_told(desk: Desk) -> None:
    """Two profiles may part a leader's symbols; where they do not, every trade is copied twice."""
    answer = desk.does("profile.create", name="again", leader="1", followers=["2"]).answer
    (told,) = answer["remarks"]
    assert told.endswith("in Main as well: a trade that both take is copied twice.")
    assert desk.does("profile.create", name="other", leader="3", followers=["2"]).answer["remarks"] == []
    entry = {"name": "third", "leader": "1", "followers": [{"account": "2"}]}
    shown = desk.does("profile.apply", profiles=[entry], dry_run=True).answer["profiles"][0]
    assert "in Main, again as well" in shown["remarks"][0]
