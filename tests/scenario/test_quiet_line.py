"""Connections on which little happens, in virtual time."""

from __future__ import annotations

from cmam.domain.events import ConnectionDown, ConnectionUp
from tests.whole import Whole


def test_a_line_that_carries_only_quotes_is_alive() -> None:
    """Quotes are told to nobody and keep the server from sending heartbeats; they must count as signs of life."""
    whole = Whole(seed=1)
    whole.start_ready()
    whole.run(200)
    recorded = [record.event for record in whole.log.read_all()]
    assert len([event for event in recorded if isinstance(event, ConnectionUp)]) == 1
    assert not [event for event in recorded if isinstance(event, ConnectionDown)]
