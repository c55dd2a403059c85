"""What `status` says of latches: why nothing opens on a link, and until when."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from cmam.actors.status import Answered, StatusBoard, account_document, latch_text, left_out, unmanaged
from cmam.domain.belief.view import AccountView, Latch
from cmam.domain.events import (
    AttemptDecided,
    Event,
    LinkAdded,
    LinkRemoved,
    ProfileCreated,
    ProfileDeleted,
    ProfileState,
    ProfileStateChanged,
    Wait,
)
from cmam.domain.guarding.latches import FLATTEN, REJECTIONS, STOP_OUT, TWIN
from cmam.domain.operating.registry import PROFILE_PREFIX, KnownAccount, Registry, evolve_registry
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.ids import AccountId, LinkId, PositionId, ProfileId, SourceKey, StoreId, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.trades import Position
from tests.factories import LOT, Pair, a_view

LATCH = Latch(link=LinkId("l1"), guard="daily_loss", reaction="flatten", scope="profile", since_us=1)
NOON_US = 1_772_366_400_000_000


@pytest.mark.parametrize(
    ("latch", "said"),
    [
        (
            replace(LATCH, value=1_300, limit=1_000),
            (
                "The guard daily_loss has tripped, 13.00 against 10.00 USD: its copies are closed, and nothing opens "
                "until `cmam rearm --account 2001`."
            ),
        ),
        (
            replace(LATCH, value=1_300, limit=1_000, reaction="open_only_off", until_us=NOON_US),
            "The guard daily_loss has tripped, 13.00 against 10.00 USD: nothing opens until 2026-03-01T12:00:00.000Z.",
        ),
        (
            replace(LATCH, guard=REJECTIONS, reaction="open_only_off", value=5, limit=5, until_us=NOON_US),
            "5 opens in a row were refused: nothing opens until 2026-03-01T12:00:00.000Z.",
        ),
        (
            replace(LATCH, guard=STOP_OUT, reaction="open_only_off"),
            "The broker has stopped a copy out: nothing opens until `cmam rearm --account 2001`.",
        ),
        (replace(LATCH, guard=FLATTEN), ""),
        (replace(LATCH, guard=TWIN, reaction="open_only_off"), ""),
    ],
)
def test_a_latch_is_told_in_words(latch: Latch, said: str) -> None:
    """What nobody asked for is told with its figures; a flatten was asked for, and a twin has an alert of its own."""
    assert latch_text(latch, a_view()) == said


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "RET_ACCOUNT_DISABLED",
            "RET_ACCOUNT_DISABLED; cmam asks again. The broker has disabled the account. Ask the broker to enable it.",
        ),
        ("MARKET_CLOSED", "MARKET_CLOSED; cmam asks again. The market of this symbol is closed."),
        ("NEVER_SEEN", "which cmam does not know. The broker's own words may say more; please report the code."),
    ],
)
def test_a_refused_close_is_told_with_what_its_code_means(code: str, said: str) -> None:
    """And with what a person can do, where cmam can do nothing; the record has the code alone."""
    pair = Pair()
    pair.opens()
    pair.answer()
    pair.closes()
    pair.refuse(code)
    pair.passes(1)
    board = StatusBoard()
    board.show(pair.view)
    (alert,) = board.document(Registry(), (), pair.now_us)["alerts"]
    assert alert["text"].endswith(said)
    assert [text.endswith(f"{code}; cmam asks again.") for text in pair.view.alerts.values()] == [True]


def test_of_an_account_that_was_never_in_sight_nothing_is_said_to_be_there() -> None:
    """With a wrong secret it had a balance of 0.00 and no positions, which nobody had told."""
    seen = a_view()
    known = KnownAccount(account=seen.account, is_live=False, login=1, broker="alpha")
    for view, has_told in ((seen, True), (AccountView(account=seen.account), False)):
        document = account_document(view, known, StoreId("store"))
        assert ({"balance", "positions", "orders"} <= document.keys()) is has_told
        assert ({"balance", "positions", "orders"} & document.keys() == set()) is not has_told
        assert document["copies"] == 0


def test_a_link_that_copies_nothing_can_be_told() -> None:
    """What is opened and not copied counts, with the last reason; what follows an open that was skipped does not. What
    waits counts once it is known what came of it; what was refused before was copied then."""
    copied, skipped = (Pair({"volume.amount": "0.5"}).opens(volume) for volume in (LOT, 100_000))
    found = Answered()
    for decided in (copied, skipped, skipped):
        found = found.then(decided, NOON_US)
    assert found.document() == {
        "copied": 1,
        "skipped": 2,
        "last_skip": {"reason": "below_minimum", "symbol": "EURUSD", "at": "2026-03-01T12:00:00.000Z"},
    }
    waiting = replace(copied, wait=Wait.STOP)
    assert found.then(waiting, NOON_US) is found
    look = AttemptDecided(
        link=copied.link,
        source=SourceKey("p1"),
        change=copied.change.key,
        wait=Wait.STOP,
        settings_version=1,
        verdict=Verdict.SKIP,
        reason=Reason.NO_STOP,
    )
    later = found.looked(look, copied.change, NOON_US)
    assert (later.copied, later.skipped, later.reason) == (1, 3, Reason.NO_STOP)
    assert found.looked(replace(look, wait=Wait.RETRY), copied.change, NOON_US) is found
    assert found.looked(replace(look, verdict=Verdict.COPY), copied.change, NOON_US).copied == 2
    of_levels = replace(skipped, change=replace(skipped.change, kind=ChangeKind.PROTECTED))
    assert found.then(of_levels, NOON_US) is found


def test_copies_of_a_profile_that_was_left_out_of_a_start_are_an_alert() -> None:
    """They follow nobody until the next start; a start that follows nobody at all, as a flatten's, says nothing."""
    pair = Pair({"volume.amount": "0.5"})
    pair.opens(LOT)
    views = {pair.view.account: pair.view}
    registry = Registry()
    named = ProfileCreated(profile=ProfileId("p1"), name="grid", leader=AccountId(1001))
    added = LinkAdded(link=pair.link.link, follower=pair.view.account)
    for event in (named, added):
        registry = evolve_registry(registry, f"{PROFILE_PREFIX}p1", event)
    (own,) = registry.links()
    other = replace(own, link=LinkId("other"))
    (alert,) = left_out(registry, (other,), views)
    assert alert["account"] == pair.view.account
    assert alert["text"].startswith("grid was left out of this start, and its copies here (1) do not follow")
    for links, seen in (((own,), views), ((), views), ((other,), {})):
        assert not left_out(registry, links, seen)
    stopped = evolve_registry(registry, f"{PROFILE_PREFIX}p1", ProfileStateChanged(state=ProfileState.STOPPED))
    assert not left_out(stopped, (other,), views)


@pytest.mark.parametrize(
    ("ended", "state", "said"),
    [
        (
            ProfileStateChanged(state=ProfileState.STOPPED),
            "disabled",
            (
                "grid is disabled: 1 copy is not managed, 1 without a stop at the broker. Nothing closes it with the "
                "leader: close it at the broker, or manage it again with `cmam profile enable grid`."
            ),
        ),
        (
            ProfileDeleted(),
            "deleted",
            (
                "grid is deleted: 1 copy is not managed, 1 without a stop at the broker. Nothing closes it with the "
                "leader: close it at the broker."
            ),
        ),
        (
            LinkRemoved(link=LinkId("l1nk01")),
            "unlinked",
            (
                "grid has lost this follower: 1 copy is not managed, 1 without a stop at the broker. Nothing closes it "
                "with the leader: close it at the broker."
            ),
        ),
    ],
)
def test_copies_that_nobody_manages_any_more_are_named(ended: Event, state: str, said: str) -> None:
    """Whichever way the link ended; what a link still manages, or what is being closed, is not among them."""
    pair = Pair({"volume.amount": "0.5"})
    pair.opens(LOT)
    held = Position(position=PositionId(500), symbol=SymbolId(1), side=Side.BUY, volume=Volume(LOT))
    copies = {key: replace(copy, position=held.position) for key, copy in pair.view.copies.items()}
    assert len(copies) == 1
    view = replace(pair.view, copies=copies, positions={held.position: held})
    views, stream = {view.account: view}, f"{PROFILE_PREFIX}p1"
    registry = Registry()
    named = ProfileCreated(profile=ProfileId("p1"), name="grid", leader=AccountId(1001))
    for event in (named, LinkAdded(link=pair.link.link, follower=pair.view.account)):
        registry = evolve_registry(registry, stream, event)
    assert not unmanaged(registry, views)
    ended = replace(ended, link=pair.link.link) if isinstance(ended, LinkRemoved) else ended
    registry = evolve_registry(registry, stream, ended)
    (found,) = unmanaged(registry, views)
    assert (found["account"], found["profile"], found["state"]) == (pair.view.account, "grid", state)
    assert (found["copies"], found["without_stop"], found["text"]) == (1, 1, said)
    ending = {key: replace(copy, goal=replace(copy.goal, target_numerator=0)) for key, copy in copies.items()}
    assert not unmanaged(registry, {view.account: replace(view, copies=ending)})
    assert not unmanaged(registry, {view.account: replace(view, positions={})}), "it is gone at the broker"


def test_who_comes_while_all_are_looked_at_ends_no_look() -> None:
    """A command asks for all versions in the operator's thread, while accounts are shown in another: one that was new
    at that moment had it fail."""
    board = StatusBoard()

    class Interrupted:
        """A view at whose look another thread has its turn."""

        account = AccountId(1)

        @property
        def version(self) -> int:
            board.show(AccountView(account=AccountId(3)))
            return 5

    board.show(cast(Any, Interrupted()))
    board.show(AccountView(account=AccountId(2)))
    assert board.versions() == {1: 5, 2: 0}
    assert set(board.views()) == {1, 2, 3}
