"""Accounts over connections: evenly, stably, alike at every start."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cmam.actors.lines.spread import Spread
from cmam.domain.operating.registry import KnownAccount
from cmam.domain.values.ids import AccountId


def known(number: int, *, is_live: bool = False) -> KnownAccount:
    """An account."""
    return KnownAccount(account=AccountId(number), is_live=is_live)


def test_one_connection_carries_all_of_an_environment() -> None:
    """By default there is one, and demo and live never share it."""
    spread = Spread(1)
    spread.place([known(1), known(2, is_live=True), known(3)])
    assert spread.members() == {"demo-1": (1, 3), "live-1": (2,)}


@given(st.lists(st.integers(1, 10_000), unique=True, min_size=1, max_size=300), st.integers(1, 20))
def test_it_is_even_and_alike_at_every_start(numbers: list[int], connections: int) -> None:
    """No connection has two accounts more than another, and the record's order alone decides."""
    one, again = Spread(connections), Spread(connections)
    one.place([known(number) for number in numbers])
    for count in range(1, len(numbers) + 1, 7):
        again.place([known(number) for number in numbers[:count]])
    again.place([known(number) for number in numbers])
    assert one.members() == again.members()
    sizes = [len(members) for members in one.members().values()]
    assert max(sizes) - min(sizes) <= 1
    assert len(sizes) == min(connections, len(numbers))


@given(
    st.lists(st.tuples(st.integers(1, 30), st.booleans()), min_size=1, max_size=80),
    st.integers(1, 5),
)
def test_no_account_ever_moves(changes: list[tuple[int, bool]], connections: int) -> None:
    """Whoever comes or goes, an account stays where it is, also one that was removed and is added again."""
    spread = Spread(connections)
    accounts: dict[int, KnownAccount] = {}
    places: dict[int, str] = {}
    for number, comes in changes:
        if comes:
            accounts[number] = known(number)
        else:
            accounts.pop(number, None)
        spread.place(accounts.values())
        for present in accounts:
            assert places.setdefault(present, spread.of(AccountId(present))) == spread.of(AccountId(present))
        members = spread.members()
        assert sorted(a for found in members.values() for a in found) == sorted(accounts)
