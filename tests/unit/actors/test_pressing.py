"""What goes before the decisions of a crowd: what leaders hear, and what takes risk from a follower."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from cmam.actors import messages as m
from cmam.actors.account import AccountActor
from cmam.actors.reader import deliver
from cmam.clock import ManualClock
from cmam.domain.changes import ChangeKind
from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.envelope import encode
from cmam.openapi.framing import Deframer
from cmam.openapi.quotes import QuoteBoard

LEADER, FOLLOWER = 45_000_000, 45_000_001


def is_pressing(message: object, *, leads: bool) -> bool:
    """What an account says of a message."""
    account: Any = SimpleNamespace(_desk=SimpleNamespace(followers={"a link"} if leads else {}))
    return AccountActor.is_pressing(account, message)


@pytest.mark.parametrize("kind", ChangeKind)
def test_what_takes_risk_away_presses_and_what_adds_it_waits(kind: ChangeKind) -> None:
    """Closes, reductions, stops and cancels of one profile do not queue behind the opens of another."""
    told: Any = m.LeaderChanged.__new__(m.LeaderChanged)
    object.__setattr__(told, "change", SimpleNamespace(kind=kind))
    assert is_pressing(told, leads=False) != kind.adds_risk


def test_what_a_leader_hears_presses() -> None:
    """His followers can only be as quick as what he did is read; a follower's own report can wait."""
    assert is_pressing(m.Wake("look"), leads=True)
    assert not is_pressing(m.Wake("look"), leads=False)


class Heard:
    """A directory that keeps what is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def tell(self, _name: str, message: object) -> bool:
        self.told.append(message)
        return True


@pytest.mark.parametrize(("account", "kind"), [(LEADER, m.LeaderArrived), (FOLLOWER, m.Arrived)])
def test_a_reader_tells_whose_frames_go_first(account: int, kind: type) -> None:
    """The frames of an account that leads are in a lane of their own, so that it keeps their order."""
    event = oa.ProtoOAExecutionEvent(ctidTraderAccountId=account, executionType=model.ORDER_FILLED)
    heard: Any = Heard()
    for body in Deframer().receive_data(encode(event)):
        deliver(body, 1, 0, QuoteBoard(), ManualClock(), heard, "connection:demo-1", frozenset({LEADER}))
    assert [type(message) for message in heard.told] == [kind]
    assert m.LANES.get(m.LeaderArrived) == 1
    assert m.LANES[m.LeaderChanged] > 1
