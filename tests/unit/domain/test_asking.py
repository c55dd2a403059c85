"""Names of accounts: who has one now, who had it last, and what fits several."""

from __future__ import annotations

import pytest

from cmam.domain.events import AccountAdded, AccountAliased, AccountRemoved, Event
from cmam.domain.operating.asking import Refusal, find_account, find_in_history
from cmam.domain.operating.registry import APP, Registry, evolve_registry
from cmam.domain.values.ids import AccountId

OLD, NEW, OTHER = AccountId(11), AccountId(12), AccountId(13)


def a_registry(*more: Event) -> Registry:
    """One account called `prop` that was removed, another that stays, and what happens then."""
    registry = Registry()
    for event in (
        AccountAdded(account=OLD, login=7, broker="Alpha"),
        AccountAliased(account=OLD, alias="prop"),
        AccountRemoved(account=OLD),
        AccountAdded(account=OTHER, login=9, broker="Alpha"),
        *more,
    ):
        registry = evolve_registry(registry, APP, event)
    return registry


@pytest.mark.parametrize("name", ["11", "Prop", "alpha:7"])
def test_a_removed_account_keeps_its_names_for_its_history(name: str) -> None:
    """Its number, its last alias and its login find it; nothing is ever done to it again by any of them."""
    registry = a_registry()
    assert find_in_history(registry, name).account == OLD
    with pytest.raises(Refusal, match="there are: Alpha:9"):
        find_account(registry, name)


def test_a_name_belongs_to_the_account_that_has_it_now() -> None:
    """An alias that was given again means the account that bears it; the other is found by its number."""
    registry = a_registry(AccountAliased(account=OTHER, alias="prop"))
    assert find_in_history(registry, "prop").account == OTHER
    assert find_in_history(registry, "11").account == OLD


def test_of_many_accounts_those_are_named_that_are_most_like_what_was_typed() -> None:
    """Who has fifty followers and mistypes one gets a line, not a page."""
    more = [AccountAdded(account=AccountId(100 + number), login=500 + number, broker="Beta") for number in range(50)]
    registry = a_registry(*more, AccountAliased(account=AccountId(123), alias="steady hand"))
    with pytest.raises(Refusal) as refused:
        find_account(registry, "stedy hand")
    assert "there are: steady hand, " in refused.value.text
    assert refused.value.text.endswith(" and 46 more (`cmam account list`).")


def test_an_account_that_was_added_again_is_there_once() -> None:
    """It is no longer a removed one, and no name of it fits two."""
    registry = a_registry(AccountAdded(account=OLD, login=7, broker="Alpha"))
    assert find_in_history(registry, "alpha:7").account == OLD
    assert not registry.removed


def test_a_name_that_two_removed_accounts_had_is_refused() -> None:
    """Each is named, and how to tell them apart."""
    again = (AccountAdded(account=NEW, login=8, broker="Beta"), AccountAliased(account=NEW, alias="prop"))
    with pytest.raises(Refusal, match=r"more than one account: 11 \(Alpha:7\), 12 \(Beta:8\)"):
        find_in_history(a_registry(*again, AccountRemoved(account=NEW)), "prop")
