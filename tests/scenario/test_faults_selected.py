"""Faults of the sandbox that are narrowed to one account strike that account: the ground on which chaos stands."""

from __future__ import annotations

import pytest

from cmam.openapi import catalogue
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


def test_a_close_is_tried_again_within_minutes_however_long_a_server_asks_to_wait() -> None:
    """It is told that no close is taken for an hour, and takes the next one: copies stood until then."""
    whole = Whole(seed=4)
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    block = {"code": "BLOCKED_PAYLOAD_TYPE", "retry_after": "3600", "type": str(catalogue.CLOSE_POSITION), "count": "1"}
    whole.broker.set_fault("error", {**block, "account": str(SAME_BROKER)})
    (held,) = whole.person.holds(LEADER)
    whole.person.close(held.position, LOT)
    whole.run(5)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    whole.run(150)
    assert whole.person.holds(SAME_BROKER) == []
    assert whole.stepper.failures == []
