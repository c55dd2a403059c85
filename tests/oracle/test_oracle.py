"""What followers hold after drawn days is what the copy rules say, worked out by an oracle that knows no copier."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from cmam.actors.accounts import account
from cmam.store.past.replay import verify
from tests.oracle.chains import ChainDay
from tests.oracle.changes import ChangeDay
from tests.oracle.crowds import CrowdDay
from tests.oracle.day import Day
from tests.oracle.gaps import GapDay
from tests.oracle.guards import GuardDay
from tests.oracle.leaders import LeaderDay
from tests.oracle.levels import LevelDay
from tests.oracle.net_guards import NetGuardDay
from tests.oracle.nets import NetDay
from tests.oracle.orders import OrderDay
from tests.oracle.patience import PatienceDay
from tests.oracle.restores import RestoreDay
from tests.oracle.settings import SettingsDay
from tests.oracle.strains import StrainDay


@pytest.mark.parametrize("seed", [2, 8])
def test_a_drawn_day_is_copied_as_the_rules_say(seed: int) -> None:
    """Thirty policies, one leader: every open, order, part, growth and level, to the last step and tick."""
    day = Day(seed)
    day.run()
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


@pytest.mark.parametrize("seed", [23])
def test_a_drawn_day_of_orders_is_copied_as_the_rules_say(seed: int) -> None:
    """Orders that rest: placed, amended, filled whole, in part, by either side first, at the market, and cancelled."""
    day = OrderDay(seed)
    day.run()
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


@pytest.mark.parametrize("seed", [1])
def test_a_drawn_day_of_settings_that_change_is_copied_as_the_rules_say(seed: int) -> None:
    """What opens, grows and closes goes by what is set then; what stands keeps its side, and what is not copied."""
    day = ChangeDay(seed)
    day.run()
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


@pytest.mark.parametrize("seed", [17, 8001])
def test_a_drawn_day_before_netted_followers_comes_to_the_sum_of_their_shares(seed: int) -> None:
    """Both sides of a symbol, parts, growth and levels; at its end shares that are too small to be closed alone."""
    day = NetDay(seed)
    day.run()
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


def test_what_is_too_small_to_be_a_part_of_an_open_is_in_the_target_of_a_share() -> None:
    """An open is split, and its rest is less than `volume.min`: the parts of seed 22002 are of that rest, too."""
    day = NetDay(22002)
    day.run(2)
    assert day.wrong == []


def test_the_last_part_of_what_a_copy_grows_by_is_kept_where_it_is_below_the_least_that_is_added() -> None:
    """A copy grows in parts, the last of seed 27001 is less than `volume.min`: skipped by name, and in the target."""
    day = OrderDay(27001)
    day.run(13)
    assert day.wrong == []
    assert day.counts["grew: below_minimum"] == 1


def test_levels_by_price_count_from_where_the_market_must_be_by_his_fill() -> None:
    """His fill is told before the follower's market: the distances of seed 27006 are of neither quote that it has."""
    day = OrderDay(27006)
    day.run(2)
    assert day.wrong == []


@pytest.mark.parametrize("seed", [3, 6])
def test_a_drawn_day_on_which_older_logs_are_put_back_does_nothing_twice(seed: int) -> None:
    """Killed and restored from a backup, again and again; 3 has copies in parts, 6 rows for single symbols."""
    day = RestoreDay(seed, followers=10)
    day.run()
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


def test_a_drawn_day_of_people_and_trailing_stops_is_copied_as_the_rules_say() -> None:
    """Levels moved by either side, pinned or not, stops that trail or follow, parts and volume that people move."""
    day = LevelDay(124)
    day.run(16)
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


def test_a_drawn_day_with_gaps_is_copied_as_the_rules_say() -> None:
    """A process that ends and begins again: what was closed, reduced, opened and held meanwhile, and by people."""
    day = GapDay(217)
    day.run(6)
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


@pytest.mark.parametrize("seed", [300, 310])
def test_a_drawn_day_of_a_netted_leader_is_copied_as_the_rules_say(seed: int) -> None:
    """Trades of either side add, reduce, close and turn, under either number; so does what his orders fill."""
    day = LeaderDay(seed, 14)
    day.run(9)
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


def test_a_drawn_day_of_accounts_that_follow_and_lead_is_copied_as_the_rules_say() -> None:
    """What is copied is copied once more: by sizes, levels, parts and growth of the account in between."""
    day = ChainDay(90, 7)
    day.run(10)
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


def test_a_drawn_day_of_waits_and_ranges_is_copied_as_the_rules_say() -> None:
    """Better prices that come, or do not; ranges that the market has left; hours, ages and lives that end."""
    day = PatienceDay(305)
    day.run(5)
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


def test_a_drawn_day_of_guards_is_copied_as_the_rules_say() -> None:
    """Equity against every limit, what a latch closes, cancels and locks, money that comes and goes, days that roll."""
    day = GuardDay(566, followers=14)
    day.run(14)
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


def test_a_drawn_day_of_stop_outs_and_refusals_is_copied_as_the_rules_say() -> None:
    """What the broker takes or refuses, seen or not, and a process that dies as guards trip."""
    day = StrainDay(1014, followers=12)
    day.run(14)
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


def test_a_drawn_day_of_guards_before_netted_followers_leaves_what_the_rules_say() -> None:
    """What a latch closes is gone of all shares, also where the process dies meanwhile; what it locks opens nothing."""
    day = NetGuardDay(1005, followers=10)
    day.run(9)
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


@pytest.mark.parametrize("seed", [608, 724])
def test_settings_that_change_under_way_take_nothing_away_and_leave_nothing_behind(seed: int) -> None:
    """Settings, states and profiles that change while copies are open, orders rest, requests are on their way, a line
    is cut and no process runs: what stands keeps what it has, and ends with what it is a copy of."""
    day = SettingsDay(seed)
    day.run(20)
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


def test_a_crowd_whose_settings_change_under_way_loses_nothing_and_leaves_nothing_behind() -> None:
    """Two profiles of one pair, a net that leads, limited risk, hours that end within minutes on a night on which
    clocks change: what stands keeps what it has, and ends with what it is a copy of."""
    day = CrowdDay(305)
    day.run(12)
    assert day.wrong == []
    assert verify(day.book.log.read_all()).is_identical


@pytest.mark.parametrize(
    ("rules", "day", "steps", "words"),
    [
        pytest.param(4, partial(Day, 8), 11, ("grew by", "reduced from"), id="large parts stay open, growth uncut"),
        pytest.param(4, partial(OrderDay, 23), 1, ("copied, and nothing is there",), id="waits for a stop in vain"),
        pytest.param(
            5, partial(Day, 2), 10, ("refused PROTECTION_IS_TOO_CLOSE_TO_MARKET",), id="a target too near is asked for"
        ),
        pytest.param(6, partial(LeaderDay, 310, 14), 6, ("fills_into_net",), id="what fills into a net rests"),
        pytest.param(8, partial(NetDay, 8001), 10, ("grew",), id="a share of nothing is bought anew"),
        pytest.param(9, partial(ChangeDay, 1), 2, ("reduced from",), id="parts are rounded as was set at the open"),
    ],
)
def test_the_oracle_sees_what_is_not_by_the_rules(
    monkeypatch: pytest.MonkeyPatch, rules: int, day: Callable[[], Day | NetDay], steps: int, words: tuple[str, ...]
) -> None:
    """What older numbers of the rules did otherwise is told of a day that has it, of as many steps as it takes."""
    monkeypatch.setattr(account, "RULES", rules)
    seen = day()
    seen.run(steps)
    for told in words:
        assert any(told in line for line in seen.wrong)
