"""Laws of guards and of netted shares, on days that nobody thought of."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cmam.domain.events import FlattenRequested, GuardTripped
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.ids import PositionId, position_source
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.trades import AccountType
from tests.factories import LINK, Pair, a_view
from tests.property.domain.test_laws import DAYS, POLICIES, STEP, Day, held

LOCKS = st.sampled_from(
    [
        GuardTripped(link=LINK, guard="daily_loss", reaction="open_only_off"),
        GuardTripped(link=LINK, guard="daily_loss", reaction="close_only"),
        GuardTripped(link=LINK, guard="min_equity", reaction="flatten"),
        FlattenRequested(links=(LINK,)),
    ]
)


@settings(max_examples=150)
@given(before=DAYS, after=DAYS, follows=POLICIES, lock=LOCKS)
def test_a_guard_never_increases_exposure(
    before: list[tuple[str, int]], after: list[tuple[str, int]], follows: dict[str, str], lock: object
) -> None:
    """Once a latch is closed and what was under way has come in, exposure only falls; flatten brings it to nothing."""
    day = Day(follows)
    for action, size in before:
        day.act(action, size)
    day.pair.fact(lock)
    day.settle()
    most = held(day)
    assert day.pair.resting == {}
    if getattr(lock, "reaction", "flatten") == "flatten":
        assert most == 0
    for action, size in after:
        day.act(action, size)
        assert held(day) <= most
        most = held(day)
    assert day.pair.resting == {}


MOVES = st.lists(
    st.tuples(
        st.sampled_from(["open", "open", "reduce", "close"]),
        st.integers(1, 3),
        st.integers(1, 40),
        st.sampled_from(Side),
    ),
    min_size=1,
    max_size=14,
)


@settings(max_examples=200)
@given(moves=MOVES)
def test_the_net_is_the_sum_of_its_shares(moves: list[tuple[str, int, int, Side]]) -> None:
    """Whatever of both sides opens, shrinks and closes: the broker's net is our ledger's, and ends at nothing."""
    pair = Pair({"margin_reserve": "off"}, view=a_view(kind=AccountType.NETTED))
    leader: dict[int, tuple[int, Side]] = {}

    def tell(kind: ChangeKind, number: int, before: int, after: int, side: Side) -> None:
        position = PositionId(number)
        volumes = {"before": Volume(before), "after": Volume(after), "volume": Volume(abs(after - before))}
        where = {"source": position_source(position), "position": position, "side": side}
        pair.tell(pair.change(kind, **where, **volumes))
        pair.answer()
        pair.passes(1_000)

    numbers = {1: 1, 2: 2, 3: 3}
    for what, slot, size, side in moves:
        number = numbers[slot]
        if what == "open" and number not in leader:
            leader[number] = (size * STEP, side)
            tell(ChangeKind.OPENED, number, 0, size * STEP, side)
        elif what == "reduce" and number in leader and leader[number][0] > size * STEP:
            volume, own = leader[number]
            leader[number] = (volume - size * STEP, own)
            tell(ChangeKind.REDUCED, number, volume, volume - size * STEP, own)
        elif what == "close" and number in leader:
            volume, own = leader.pop(number)
            tell(ChangeKind.CLOSED, number, volume, 0, own)
            numbers[slot] = number + 3
        net = sum(position.volume * position.side.sign for position in pair.held.values())
        assert net == sum(copy.volume * copy.side.sign for copy in pair.view.copies.values())
        assert net == sum(volume * own.sign for volume, own in leader.values())
    for number, (volume, own) in leader.items():
        tell(ChangeKind.CLOSED, number, volume, 0, own)
    assert pair.held == {}
    assert pair.view.copies == {}
