"""Laws of the fold: whatever history holds is taken, and a view is a function of the events alone."""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cmam.domain import events
from cmam.domain.belief.restless import Copies
from cmam.domain.belief.view import AccountView, in_the_making, lasting
from cmam.domain.deciding.attempts import next_wake, wakes
from cmam.domain.deciding.decide import decide
from cmam.domain.events import Event, Inputs
from cmam.domain.folds.account import advance, evolve
from cmam.domain.turns.leading import changes
from cmam.domain.turns.timing import due, next_due
from cmam.domain.turns.turn import step, withdrawn
from cmam.domain.values import ids, quantities
from cmam.domain.values.changes import Change
from cmam.domain.values.reasons import Verdict
from cmam.domain.values.replacing import replace
from tests.factories import FOLLOWER, LINK, STORE, T0_US, a_view, lookup_due, some_settings
from tests.property.declared import any_of

NUMBERS = st.integers(1, 3)
POOLS: dict[Any, st.SearchStrategy[Any]] = {
    ids.PositionId: NUMBERS,
    ids.OrderId: NUMBERS,
    ids.DealId: st.integers(1, 6),
    ids.SymbolId: NUMBERS,
    ids.AssetId: NUMBERS,
    ids.AccountId: st.sampled_from([1001, 2001]),
    ids.LinkId: st.sampled_from([LINK, "l1nk02"]),
    ids.SourceKey: st.sampled_from(["p1", "p2", "o1", "o2"]),
    ids.IntentId: st.sampled_from([f"cm1.{STORE}.{LINK}.{key}.{n}" for key in ("p1", "p2", "o1") for n in (1, 2)]),
    quantities.Volume: st.sampled_from([0, 100_000, 5_000_000, 10_000_000]),
    quantities.Price: st.integers(1, 3).map(lambda n: n * 50_000_000),
    quantities.Distance: st.sampled_from([-100_000, 0, 100_000, 500_000]),
    str: st.sampled_from(
        ["", f"cm1.{STORE}.{LINK}.p1", f"cm1.{STORE}.{LINK}.p1.1", "grace", "ahead", "wait", "EURUSD"]
    ),
    int: st.integers(-2, 5),
    bool: st.booleans(),
}

KINDS = sorted(
    (
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, Event) and getattr(kind, "TOPIC", "").startswith("account.")
    ),
    key=lambda kind: kind.TOPIC,
)


ANY_EVENT = st.sampled_from(KINDS).flatmap(partial(any_of, pools=POOLS))
HISTORIES = st.lists(ANY_EVENT, max_size=12)


def folded(view: AccountView, history: list[Event]) -> AccountView:
    """The view after a history, one event a second."""
    for event in history:
        view = evolve(view, event, T0_US + view.version * 1_000_000)
    return view


@settings(max_examples=60)
@given(history=HISTORIES)
def test_a_fold_takes_whatever_history_holds(history: list[Event]) -> None:
    """No event, in no order, makes the fold raise; and each is counted."""
    assert folded(AccountView(account=FOLLOWER), history).version == len(history)


@settings(max_examples=40)
@given(history=HISTORIES, data=st.data())
def test_a_prefix_and_the_rest_are_the_whole(history: list[Event], data: st.DataObject) -> None:
    """Stopping anywhere and going on gives the same view as never stopping."""
    cut = data.draw(st.integers(0, len(history)))
    start = a_view()
    assert folded(folded(start, history[:cut]), history[cut:]) == folded(start, history)


@settings(max_examples=40)
@given(history=HISTORIES)
def test_a_fold_leaves_the_view_that_it_is_given_as_it_was(history: list[Event]) -> None:
    """What a fold makes in place is its own copy: the view before it shows the same, and the next is a lasting one."""
    view = a_view()
    for event in history:
        before = repr(view)
        after = evolve(view, event, T0_US)
        assert repr(view) == before
        assert type(after) is AccountView
        view = after


@settings(max_examples=40)
@given(history=HISTORIES)
def test_folding_in_place_gives_what_folding_one_by_one_gives(history: list[Event]) -> None:
    """A view that nobody sees before its end is made in place, and becomes the same."""
    making = in_the_making(a_view())
    for event in history:
        advance(making, event, T0_US + making.version * 1_000_000)
    assert repr(lasting(making)) == repr(folded(a_view(), history))


@settings(max_examples=50)
@given(history=HISTORIES)
def test_a_turn_takes_whatever_history_holds(history: list[Event]) -> None:
    """Deriving is total too: facts in any order meet settlements, ends and needs without an error; so does time."""
    view = a_view()
    for number, event in enumerate(history):
        now_us = T0_US + number * 20_000_000
        if event.IS_DERIVED:
            view = evolve(view, event, now_us)
        else:
            before = view
            turn = step(view, event, STORE, now_us)
            view = turn.view
            assert turn.folded is not None
            changes(before, turn.folded, event)
        for fact in due(view, now_us)[:3]:
            view = step(view, fact, STORE, now_us).view
        next_due(view)
        lookup_due(view)
        withdrawn(view)


@settings(max_examples=60)
@given(history=st.lists(ANY_EVENT, max_size=6), change=any_of(Change, POOLS), inputs=any_of(Inputs, POOLS))
def test_every_change_meets_a_verdict(history: list[Event], change: Change, inputs: Inputs) -> None:
    """Deciding is total: any change on any view has a verdict, and one that is no copy has a reason."""
    found = decide(folded(a_view(), history), change, some_settings(), inputs, T0_US)
    assert found.verdict in Verdict
    assert found.verdict is Verdict.COPY or found.reason is not None


@settings(max_examples=60)
@given(history=HISTORIES)
def test_a_copy_at_rest_has_nothing_to_say(history: list[Event]) -> None:
    """What falls due, waits or is in doubt is the same by the restless copies alone as by looking at every copy."""
    view = folded(a_view(), history)
    everywhere = replace(view, copies=Everything(view.copies), intents=dict(view.intents))
    now_us = T0_US + 60_000_000
    links = {LINK: some_settings()}

    def inputs_of(*_: object) -> Inputs:
        return Inputs()

    assert due(view, now_us) == due(everywhere, now_us)
    assert next_due(view) == next_due(everywhere)
    assert lookup_due(view) == lookup_due(everywhere)
    assert next_wake(view, now_us, lambda _: False) == next_wake(everywhere, now_us, lambda _: False)
    assert wakes(view, links, inputs_of, now_us) == wakes(everywhere, links, inputs_of, now_us)
    assert set(withdrawn(view)) == set(withdrawn(everywhere))


class Everything(Copies):
    """Copies of which each counts as restless."""

    @property
    def restless(self) -> Copies:
        return self

    @property
    def ending(self) -> Copies:
        return Copies({key: copy for key, copy in self.items() if not copy.is_wanted})
