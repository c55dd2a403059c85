"""What actors say to each other: nothing of it shows a secret, wherever it may be written down."""

from __future__ import annotations

from cmam.actors import messages as m
from cmam.actors.threads.runtime import Failed
from cmam.openapi import session

SECRET = "a-token-that-nobody-may-see"


def test_what_the_session_asks_for_does_not_show_itself() -> None:
    """Authorisations carry tokens; a limiter that fails on one names it in its log, with all that it left behind."""
    said = session.Session("x").connected("client", SECRET, 0)
    urges = [m.Urge(event.message, event.account) for event in said if isinstance(event, session.Say)]
    assert urges
    for urge in urges:
        assert SECRET in str(urge.message)
        assert SECRET not in repr(urge)
        assert SECRET not in repr(Failed("limiter:demo-1", "ValueError: no", urge, (urge,)))
