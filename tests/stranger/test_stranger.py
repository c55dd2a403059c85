"""Days before a broker that was written a second time: every follower holds what its leader holds, times a number."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cmam.actors.accounts import account
from cmam.domain.belief import orders
from cmam.domain.deciding import attempts
from cmam.domain.folds import account as account_fold
from cmam.domain.turns import leading, snapshots
from cmam.domain.values.rules.newest import RULES
from cmam.openapi.pages import Pages
from tests.stranger.day import Day
from tests.stranger.habits import Habits

OF_THE_BROKER = ("habits", "books", "market", "words", "floor", "broker", "lines", "noise")

MENDED: list[tuple[int, int, dict[str, Any]]] = [
    (2, 2, {}),  # a netted leader's order fills into the net: its copies stood beside it for a minute
    (1, 4, {"counts": "ahead"}),  # a net turns in two deals, and the order counts ahead of them: opened twice
    (2, 2, {"parts": 2}),  # a part of a share is all of a small net: the share never grew again
    (143, 8, {"turns": "one"}),  # a leader turns what came of an order: the new side was closed at once
]
"""Seed, rounds and habits of days on which rules of number 6 did wrong."""


def test_the_broker_has_nothing_of_the_sandbox() -> None:
    """What both assume alike is what the facts say, or nobody would see where the sandbox is wrong."""
    for name in OF_THE_BROKER:
        tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text())
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any("sandbox" in found or found == "tests.wires" for found in names), (name, names)


@pytest.mark.parametrize(("seed", "rounds", "habits"), MENDED)
def test_a_day_on_which_older_rules_did_wrong(
    seed: int, rounds: int, habits: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is right now, and by rules of number 6 this broker sees what was wrong."""
    strange = replace(Habits(), **habits)
    assert Day(seed, strange, has_gaps=False, is_old=True).run(rounds).wrong == []
    monkeypatch.setattr(account, "RULES", 6)
    assert Day(seed, strange, has_gaps=False, is_old=True).run(rounds).wrong


def test_a_drawn_day_before_a_drawn_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Habits of all kinds at once, and gaps; quotes come late, and one of before a jump tells no level passed."""
    assert Day(302, is_old=True).run(4).wrong == []
    monkeypatch.setattr(attempts, "QUOTES_AFTER_FILLS", 99)
    assert "positions on 506" in Day(302, is_old=True).run(4).wrong[0]


def test_a_day_on_which_everything_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the acceptance of an order, after its fill: by it alone a position has not come to be yet."""
    strange = replace(Habits(), again_us=700_000)
    assert Day(508, strange).run(2).wrong == []
    monkeypatch.setattr(account_fold, "TOLD_AGAIN", 99)
    assert "positions on" in Day(508, strange).run(2).wrong[0]


def test_a_history_of_which_one_millisecond_fills_a_page_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lay before that page was never asked for: an order that had filled out of sight counted as never sent."""
    strange = replace(Habits(), parts=2, part_us=700_000, page=2)
    assert Day(726, strange).run(2).wrong == []
    read = Pages.take

    def take(pages: Pages[Any], page: tuple[Any, ...], *, has_more: bool) -> tuple[Any, ...]:
        fresh = read(pages, page, has_more=has_more)
        pages.has_more = pages.has_more and bool(fresh)
        return fresh

    monkeypatch.setattr(Pages, "take", take)
    assert "positions on 504" in Day(726, strange).run(2).wrong[0]


def test_a_day_on_which_an_order_is_accepted_again_in_the_millisecond_of_its_amendment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What our own amendment had changed was taken for changed by a person, and kept."""
    strange = replace(Habits(), again_us=700_000)
    assert Day(2038, strange).run(1).wrong == []
    monkeypatch.setattr(orders, "ACCEPTED_ONCE", 99)
    assert "touched on" in Day(2038, strange).run(1).wrong[0]


def test_what_a_leader_does_while_his_history_is_read_is_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """The snapshot on its way does not show it, and the history asked for behind it does: it was told by neither."""
    odd = Habits(stamps=False, answer_us=300_000, repeats=True, fill_shows_position=False)
    strange = replace(odd, adds_unknown=True, margin_is_told=True, values="new")
    assert Day(3122, strange).run(2).wrong == []
    monkeypatch.setattr(leading, "NO_OLDER_THAN_GAPS", RULES + 1)  # what has no time and is asked for late is too old
    assert Day(3122, strange).run(2).wrong == []
    monkeypatch.setattr(snapshots, "untold", lambda heard, positions: set())
    assert "positions on 504" in Day(3122, strange).run(2).wrong[0]


def test_a_day_before_a_broker_that_says_less_and_ends_sessions() -> None:
    """Enums of no schema, fields left out, codes that nobody has met, sessions that end, and numbers from 2^62 on."""
    day = Day(44, replace(Habits(), numbers="far"), is_noisy=True).run(3)
    assert day.wrong == []
    assert day.counts["end_sessions"]
    assert ("SOMETHING_NEW", "A code that nobody has met") in day.world.broker.refused
