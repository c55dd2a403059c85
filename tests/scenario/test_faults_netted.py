"""A netted follower of a hedged leader: what one share gives up moves the net, whichever way the net stands."""

from __future__ import annotations

import pytest

from cmam.domain.events import IntentRecorded
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from tests.whole import NETTED, Whole

LOT = 10_000_000
STEP = LOT // 10


@pytest.mark.parametrize("seed", range(3))
def test_a_share_against_the_net_is_given_up_by_a_trade_the_other_way(seed: int) -> None:
    """Closing the smaller side leaves the larger one whole: the net grows by what was closed."""
    whole = Whole(seed=seed, followers=(NETTED,))
    whole.start_ready()
    whole.person.buy(3 * STEP)
    sold = whole.person.buy(STEP, side=model.SELL)
    whole.run(2)
    assert [held.volume for held in whole.person.holds(NETTED)] == [2 * STEP]
    whole.person.close(sold, STEP)
    whole.run(2)
    assert [held.volume for held in whole.person.holds(NETTED)] == [3 * STEP]
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


def test_shares_that_cancel_out_are_given_up_out_of_flat() -> None:
    """Two opposite shares hold nothing; closing one of them opens the net that the other wants."""
    whole = Whole(seed=4, followers=(NETTED,))
    whole.start_ready()
    bought = whole.person.buy(2 * STEP)
    whole.person.buy(2 * STEP, side=model.SELL)
    whole.run(2)
    assert whole.person.holds(NETTED) == []
    whole.person.close(bought, 2 * STEP)
    whole.run(2)
    assert [(held.volume, held.side) for held in whole.person.holds(NETTED)] == [(2 * STEP, model.SELL)]


def test_a_refused_trade_of_a_share_is_tried_again_with_patience() -> None:
    """A broker that refuses what a share gives up is asked again, ever more seldom."""
    whole = Whole(seed=5, followers=(NETTED,))
    whole.start_ready()
    whole.person.buy(3 * STEP)
    sold = whole.person.buy(2 * STEP, side=model.SELL)
    whole.run(2)
    whole.broker.set_fault("error", {"account": str(NETTED), "type": "2106", "code": "NOT_ENOUGH_MONEY"})
    whole.person.close(sold, STEP)
    whole.run(30)
    assert 2 < len(whole.events(NETTED, IntentRecorded)) < 12
    whole.broker.clear_fault("all")
    whole.run(60)
    assert [held.volume for held in whole.person.holds(NETTED)] == [2 * STEP]
