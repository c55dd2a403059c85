"""What a person is told when a broker calls for margin, on a follower and on a leader, and when that is over."""

from __future__ import annotations

import pytest

from cmam.domain.events import AlertHealed, AlertRaised
from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.past.replay import verify
from tests.person import LEADER
from tests.whole import SAME_BROKER, Whole

LOT = 10_000_000
KIND = "margin_call 10000"


def called(account: int) -> Whole:
    """A whole in which margin is short on an account: all but a little of its money is withdrawn."""
    whole = Whole(seed=3, settings={"volume.amount": "1"})
    whole.start_ready()
    whole.person.buy(9 * LOT)
    whole.run(2)
    view = whole.view(account)
    assert view is not None
    bound = sum(position.used_margin for position in view.positions.values())
    assert not view.alerts
    amount = f"{(view.balance - bound * 92 // 100) / 100:.2f}"
    whole.broker.set_fault("withdraw", {"account": str(account), "amount": amount})
    whole.stepper.network.collect()
    whole.run(3)
    return whole


def told(whole: Whole, account: int) -> list[str]:
    """What `status` shows of margin calls on an account."""
    view = whole.view(account)
    assert view is not None
    return [text for kind, text in view.alerts.items() if kind == KIND]


@pytest.mark.parametrize("account", [LEADER, SAME_BROKER])
def test_a_margin_call_is_told_until_it_is_over(account: int) -> None:
    """With the threshold and the level as cmam reckons it; money that comes in ends it."""
    whole = called(account)
    (text,) = told(whole, account)
    assert "come down to 100.00 %" in text
    assert "It is at 9" in text
    whole.run(120)
    assert told(whole, account) == [text]
    whole.broker.set_fault("deposit", {"account": str(account), "amount": "20000"})
    whole.stepper.network.collect()
    whole.run(30)
    assert not told(whole, account)
    raised, healed = whole.events(account, AlertRaised), whole.events(account, AlertHealed)
    assert [[one.kind for one in said if one.kind == KIND] for said in (raised, healed)] == [[KIND], [KIND]]
    assert verify(whole.log.read_all()).is_identical


def test_a_margin_call_is_over_where_nothing_is_held() -> None:
    """Whoever closes everything is called for no margin, also where the process was another one by then."""
    whole = called(SAME_BROKER)
    assert told(whole, SAME_BROKER)
    whole.kill()
    whole.start_ready()
    assert told(whole, SAME_BROKER)
    (held,) = whole.person.holds(LEADER)
    whole.person.close(held.position, held.volume)
    whole.run(30)
    assert not whole.person.holds(SAME_BROKER)
    assert not told(whole, SAME_BROKER)


def test_a_margin_call_stands_where_cmam_reckons_more_than_the_broker() -> None:
    """Whatever their equity differs by: it is the broker who closes positions."""
    whole = Whole(seed=3, settings={"volume.amount": "1"})
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(2)
    told_so = messages.ProtoOAMarginCallTriggerEvent(
        ctidTraderAccountId=SAME_BROKER,
        marginCall=model.ProtoOAMarginCall(
            marginCallType=model.MARGIN_LEVEL_THRESHOLD_1, marginLevelThreshold=100.0, utcLastUpdateTimestamp=0
        ),
    )
    whole.broker.floor.publish(whole.broker.floor.accounts[SAME_BROKER], 2172, told_so, None)
    whole.stepper.network.collect()
    whole.run(40)
    (text,) = told(whole, SAME_BROKER)
    assert "the broker's word counts" in text
