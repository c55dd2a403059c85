"""How late the last follower of a burst would be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmam.domain.trials.forecast import forecast, leaving_times

SECOND = 1_000_000
MS = 1_000


def said(count: int, free_us: list[int], *, slots: int = 49, span_us: int = SECOND + 5 * MS) -> str:
    """The forecast of one connection in words."""
    found = forecast([leaving_times(slots, free_us, span_us, count, 0)], 0)
    assert found is not None
    return str(found)


@pytest.mark.parametrize(
    ("count", "free_us", "text"),
    [
        (1, [], "1 follower at once"),
        (40, [], "40 followers at once"),
        (60, [], "49 of 60 followers at once, the rest by 1.0 s"),
        (500, [], "49 of 500 followers at once, the rest by 10.1 s"),
        (40, [400 * MS] * 46, "3 of 40 followers at once, the rest by 0.4 s"),
        (40, [800 * MS] * 34 + [1_600 * MS] * 16, "33 of 40 followers in 0.8 s, the rest by 1.6 s"),
    ],
)
def test_it_says_how_many_at_once_and_the_rest_by_when(count: int, free_us: list[int], text: str) -> None:
    """Waves are parted at the widest pause, and none where nobody would notice it."""
    assert said(count, free_us) == text


def test_connections_share_a_burst() -> None:
    """Sixty followers over two connections leave at once where one connection needs a second."""
    bursts = [leaving_times(49, (), SECOND, 30, 0) for _ in range(2)]
    found = forecast(bursts, 0)
    assert (str(found), forecast([], 0)) == ("60 followers at once", None)


@given(
    st.integers(1, 60),
    st.lists(st.integers(1, 2 * SECOND), max_size=60),
    st.integers(1, 2 * SECOND),
    st.integers(1, 200),
)
def test_no_span_holds_more_than_the_slots(slots: int, free_us: list[int], span_us: int, count: int) -> None:
    """At each moment no more are counted than there are slots, and no order could have left earlier."""
    moments = leaving_times(slots, sorted(free_us), span_us, count, 0)
    assert moments == sorted(moments)
    ends = sorted(free_us)
    for moment in moments:
        counted = sum(end > moment for end in ends)
        assert counted < slots
        if moment:
            assert sum(end >= moment for end in ends) >= slots, "a microsecond earlier there was no room"
        ends.append(moment + span_us)
