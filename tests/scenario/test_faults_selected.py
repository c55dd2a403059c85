"""Faults of the sandbox that are narrowed to one account strike that account: the ground on which chaos stands."""

from __future__ import annotations

import pytest

from cmam.openapi._pb import OpenApiMessages_pb2 as wire
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from tests.person import LEADER
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000


@pytest.mark.parametrize("name", ["drop", "silence", "cut-before", "cut-after", "cut-mid-order", "half-frame"])
def test_a_fault_of_one_account_strikes_its_requests_only(name: str) -> None:
    """A fault given an account strikes that account's next order, and nobody's before it."""
    whole = Whole(seed=1)
    whole.broker.set_fault(name, {"account": str(SAME_BROKER), "type": "2106", "count": "1"})
    whole.person.buy(LOT, account=LEADER)
    assert whole.broker.faults_on()[name]["struck"] == 0
    whole.person.say(SAME_BROKER, _order(SAME_BROKER))
    assert whole.broker.faults_on()[name]["struck"] == 1


def _order(account: int) -> wire.ProtoOANewOrderReq:
    return wire.ProtoOANewOrderReq(
        ctidTraderAccountId=account, symbolId=1, orderType=model.MARKET, tradeSide=model.BUY, volume=LOT
    )
