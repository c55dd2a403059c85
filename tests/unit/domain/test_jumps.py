"""A jump of the market that one broker tells before the other: by which difference prices are carried over then.

The leader's broker quotes 1.10000 with a spread of two points, and the market jumps by fifty.
"""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from cmam.domain.events import RulesBegan, Wait
from cmam.domain.market.differences import MOMENT_US, MOMENTS, usual_difference
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.quantities import Distance, Price, Quote, Side
from cmam.domain.values.reasons import Reason
from cmam.domain.values.rules.opens import JUMPS_TOLD_APART
from cmam.domain.values.trades import OrderType
from tests.factories import LOT, T0_US, Pair

POINT = 1_000
OPEN = 110_000
LASTING = (0, 20, -50)
"""By how many points the follower's broker always quotes higher: none, those of a future, those of the jump."""


def _quote(mid: int, seen_us: int) -> Quote:
    """A quote around a price in points, with a spread of two points."""
    return Quote(Price((mid - 1) * POINT), Price((mid + 1) * POINT), seen_us // 1_000, seen_us)


class Two(Pair):
    """A pair that hears two feeds: what each has told, newest first, in points."""

    def __init__(self, settings: dict[str, str] | None = None, *, lasting: int = 0, seconds: int = 20) -> None:
        super().__init__(settings or {})
        self.lasting = lasting
        ago = range(100_000, seconds * MOMENT_US, MOMENT_US // 2)
        self.theirs = [_quote(OPEN, self.now_us - us) for us in ago]
        self.ours = [_quote(OPEN + lasting, self.now_us - us) for us in ago]

    def jumps(self, points: int, *, theirs: bool = False, ours: bool = False) -> None:
        """The market is elsewhere by now, as one of the two brokers tells, or both."""
        if theirs:
            self.theirs.insert(0, _quote(OPEN + points, self.now_us))
        if ours:
            self.ours.insert(0, _quote(OPEN + self.lasting + points, self.now_us))

    def quote(self, _name: str) -> Quote | None:
        """The newest quote of the follower's broker."""
        return self.ours[0]

    def leader_quote(self) -> Quote | None:
        """The newest quote of the leader's."""
        return self.theirs[0]

    def difference(self, _name: str) -> Distance | None:
        """What the quotes of both have differed by."""
        return usual_difference(self.ours, self.theirs, self.now_us)

    @property
    def seen(self) -> dict[str, object]:
        """What a decision is told of the leader's market."""
        return {"quote": self.theirs[0]}


def _at(points: int) -> Price:
    return Price(points * POINT)


# --- what is usual --------------------------------------------------------------------------------------------------


def _each(seconds: Iterable[float], mid: int) -> list[Quote]:
    """Quotes at so many seconds before now."""
    return [_quote(mid, T0_US - int(second * MOMENT_US)) for second in seconds]


def test_what_is_usual_is_compared_at_moments_at_which_both_quotes_stood() -> None:
    """A follower's broker that ticks once in eight seconds, and a leader's that ticks twice in one."""
    theirs = _each([number / 2 for number in range(40)], OPEN)
    assert usual_difference(_each((3, 11, 19), OPEN + 20), theirs, T0_US) == 20 * POINT
    assert usual_difference(_each((3, 11, 19), OPEN + 20), _each((0.2,), OPEN + 50) + theirs, T0_US) == 20 * POINT


@pytest.mark.parametrize(("age_s", "points"), [(0.1, 20), (2, 20), (6.9, 20), (8.1, -30), (60, -30)])
def test_what_one_broker_does_not_tell_for_seven_seconds_is_a_difference(age_s: float, points: int) -> None:
    """A jump is outvoted by the moments before it, until most of them lie behind it."""
    theirs = _each([age_s], OPEN + 50) + _each([age_s + number for number in range(1, 40)], OPEN)
    assert usual_difference(_each(range(1, 100, 8), OPEN + 20), theirs, T0_US) == points * POINT


def test_what_has_just_begun_has_no_usual_difference() -> None:
    """With fewer than three whole seconds of both feeds nothing is usual; and never without quotes."""
    long = _each(range(1, 20), OPEN)
    assert usual_difference(_each((1.5,), OPEN), long, T0_US) is None
    assert usual_difference(_each((2.5,), OPEN), long, T0_US) == 0
    assert usual_difference([], long, T0_US) is None
    assert usual_difference(long, [], T0_US) is None


def test_no_more_moments_are_compared_than_are_kept() -> None:
    """What was so longer ago has no vote."""
    ours = _each((MOMENTS / 2 - 1,), OPEN) + _each((60,), OPEN + 40)
    assert usual_difference(ours, _each((100,), OPEN), T0_US) == 40 * POINT
    assert usual_difference(_each((MOMENTS,), OPEN) + ours[1:], _each((100,), OPEN), T0_US) == 0


# --- a market range -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lasting", LASTING)
@pytest.mark.parametrize("points", [-50, 50])
@pytest.mark.parametrize(("theirs", "ours"), [(True, False), (False, True), (True, True), (False, False)])
def test_a_range_lies_around_the_leaders_fill_whoever_tells_of_the_jump_first(
    theirs: bool, ours: bool, points: int, lasting: int
) -> None:
    """The leader's stop fills as the market jumps: the range is around his fill and what the brokers always differ by.
    It was around the price of before, and the broker cancelled it; or a jump beyond it, and bounded nothing."""
    pair = Two({"max_slippage": "5"}, lasting=lasting)
    pair.jumps(points, theirs=theirs, ours=ours)
    decided = pair.opens(price=_at(OPEN + points + 1), **pair.seen)
    (command,) = pair.commands
    assert (command.order_type, command.base_price) == (OrderType.MARKET_RANGE, _at(OPEN + points + 1 + lasting))
    assert ("usual_difference" in [step.name for step in decided.working]) is (theirs is not ours)


def test_by_the_rules_of_before_the_jump_was_a_difference() -> None:
    """What was recorded then is derived as it was."""
    pair = Two({"max_slippage": "5"})
    pair.fact(RulesBegan(rules=JUMPS_TOLD_APART - 1))
    pair.jumps(-50, theirs=True)
    pair.opens(side=Side.SELL, price=_at(OPEN - 51), **pair.seen)
    assert pair.commands[0].base_price == _at(OPEN - 1)


def test_an_add_and_a_reversed_copy_are_carried_so_too() -> None:
    """An add's range is around its own fill; a reversed one's has the spreads removed."""
    pair = Two({"max_slippage": "5"})
    pair.opens(price=_at(OPEN + 1), **pair.seen)
    pair.answer()
    pair.jumps(50, theirs=True)
    pair.grows(LOT, 2 * LOT, price=_at(OPEN + 51), **pair.seen)
    assert [command.base_price for command in pair.commands if command.kind is CommandKind.ADD] == [_at(OPEN + 51)]
    turned = Two({"max_slippage": "5", "reverse": "on", "reverse_without_stop": "on"}, lasting=20)
    turned.jumps(50, theirs=True)
    turned.opens(price=_at(OPEN + 51), **turned.seen)
    assert [command.base_price for command in turned.commands] == [_at(OPEN + 49 + 20)]


def test_a_feed_that_has_just_begun_is_carried_by_its_quotes_of_now() -> None:
    """Where nothing is usual yet, the two newest quotes are all there is."""
    pair = Two({"max_slippage": "5"}, seconds=2)
    pair.jumps(50, theirs=True)
    assert pair.opens(price=_at(OPEN + 51), **pair.seen).inputs.usual == {}
    assert pair.commands[0].base_price == _at(OPEN + 1)


# --- an order -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lasting", LASTING)
@pytest.mark.parametrize("theirs", [True, False])
def test_an_order_that_is_placed_at_a_jump_rests_at_the_leaders_price(theirs: bool, lasting: int) -> None:
    """A limit 300 points below: it would have rested fifty points away from his, and stayed there."""
    pair = Two(lasting=lasting)
    pair.jumps(50, theirs=theirs, ours=not theirs)
    pair.order(limit_price=_at(OPEN - 300), **pair.seen)
    assert [command.limit_price for command in pair.commands] == [_at(OPEN - 300 + lasting)]
    older = Two(lasting=lasting)
    older.fact(RulesBegan(rules=JUMPS_TOLD_APART - 1))
    older.jumps(50, theirs=theirs, ours=not theirs)
    older.order(limit_price=_at(OPEN - 300), **older.seen)
    assert older.commands[0].limit_price != pair.commands[0].limit_price


def test_an_order_that_would_fill_by_the_price_of_before_waits_for_the_one_of_now() -> None:
    """The market has fallen, and the leader places a sell limit above it: by the follower's price of before that would
    fill at once. It rests as soon as the follower's broker tells of the jump."""
    pair = Two()
    pair.jumps(-50, theirs=True)
    decided = pair.order(side=Side.SELL, limit_price=_at(OPEN - 20), **pair.seen)
    assert (decided.wait, pair.sent) == (Wait.QUOTES, [])
    pair.now_us += 300_000
    pair.wake()
    assert pair.sent == []
    pair.jumps(-50, ours=True)
    pair.wake()
    assert [(command.kind, command.limit_price) for command in pair.commands] == [(CommandKind.PLACE, _at(OPEN - 20))]


def test_an_order_waits_no_longer_than_two_seconds() -> None:
    """What stays so is what the follower's market is: would_fill, as ever."""
    pair = Two()
    pair.jumps(-50, theirs=True)
    pair.order(side=Side.SELL, limit_price=_at(OPEN - 20), **pair.seen)
    pair.now_us += 2_001_000
    pair.wake()
    assert (pair.sent, pair.copy.reason) == ([], Reason.WOULD_FILL)


def test_an_order_that_is_amended_at_a_jump_rests_until_it_is_told() -> None:
    """It was cancelled, since by the price of before it would have filled at once."""
    pair = Two()
    pair.order(side=Side.SELL, limit_price=_at(OPEN + 100), **pair.seen)
    pair.answer()
    pair.jumps(-50, theirs=True)
    pair.order(ChangeKind.ORDER_AMENDED, side=Side.SELL, limit_price=_at(OPEN - 20), **pair.seen)
    pair.answer()
    assert [order.limit_price for order in pair.resting.values()] == [_at(OPEN + 100)]
    pair.now_us += 300_000
    pair.jumps(-50, ours=True)
    pair.wake()
    pair.answer()
    assert [order.limit_price for order in pair.resting.values()] == [_at(OPEN - 20)]


# --- a late open ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lasting", LASTING)
@pytest.mark.parametrize("theirs", [True, False])
def test_a_late_copy_keeps_what_is_usual_between_the_brokers(theirs: bool, lasting: int) -> None:
    """Its levels lie from the leader's as far as the brokers differ: they lay a jump away, for the copy's life. Its
    stop is as far from where it will fill as the leader's is from his market of now."""
    pair = Two(lasting=lasting)
    pair.jumps(50, theirs=theirs, ours=not theirs)
    pair.opens(late=True, stop=_at(OPEN - 200), price=_at(OPEN - 7), **pair.seen)
    assert pair.copy.goal.shift == lasting * POINT
    assert [command.relative_stop for command in pair.commands] == [251 * POINT]
    older = Two(lasting=lasting)
    older.fact(RulesBegan(rules=JUMPS_TOLD_APART - 1))
    older.jumps(50, theirs=theirs, ours=not theirs)
    older.opens(late=True, stop=_at(OPEN - 200), price=_at(OPEN - 7), **older.seen)
    assert older.copy.goal.shift == (lasting + (-50 if theirs else 50)) * POINT


def test_levels_at_the_leaders_prices_are_counted_from_the_market_of_now() -> None:
    """With `levels=price` the stop is where his is: from where the copy fills after the jump that is fifty farther."""
    pair = Two({"levels": "price"})
    pair.jumps(50, theirs=True)
    pair.opens(stop=_at(OPEN - 200), **pair.seen)
    assert [command.relative_stop for command in pair.commands] == [251 * POINT]


# --- what is put on record ------------------------------------------------------------------------------------------


def test_what_an_ordinary_copy_needs_not_is_not_looked_up() -> None:
    """No range, not late, no order: nothing of the feeds' past is asked for, and nothing recorded."""
    asked: list[str] = []

    class Asked(Two):
        def difference(self, name: str) -> Distance | None:
            asked.append(name)
            return super().difference(name)

    for settings in ({}, {"max_slippage": "5"}):
        pair = Asked(settings)
        pair.jumps(50, theirs=True)
        decided = pair.opens(stop=_at(OPEN - 200), **pair.seen)
        assert (list(decided.inputs.usual), asked) == ((["EURUSD"], ["EURUSD"]) if settings else ([], []))


def test_quotes_that_differ_as_always_put_nothing_on_record() -> None:
    """Within both spreads of what is usual the quotes of now are the better ones."""
    pair = Two({"max_slippage": "5"}, lasting=20)
    pair.ours.insert(0, _quote(OPEN + 22, pair.now_us))
    assert pair.opens(price=_at(OPEN + 1), **pair.seen).inputs.usual == {}
    assert pair.commands[0].base_price == _at(OPEN + 1 + 22)
