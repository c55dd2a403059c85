"""How long a line and its accounts wait before they are asked for again."""

from __future__ import annotations

from cmam.actors.lines.tries import LINE, STEADY_US, UNSTEADY_US_MAX, Tries
from cmam.openapi.refusals import BACK_OFF_US_MAX

ACCOUNT = 42
TRIES = 12


def test_what_never_opens_waits_longer_each_time_to_a_limit() -> None:
    """A server that is down is not hammered, and is asked again within the longest pause."""
    tries = Tries(lambda: 1.0)
    pauses = [tries.lost(ACCOUNT) for _ in range(TRIES)]
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1] <= BACK_OFF_US_MAX
    assert tries.of(ACCOUNT) == TRIES
    assert tries.of(LINE) == 0


def test_a_line_on_which_nobody_is_met_is_tried_again_within_seconds() -> None:
    """Where the network is gone it may be back at any moment, and no server is asked too often meanwhile."""
    tries = Tries(lambda: 1.0)
    pauses = [tries.line_lost(is_nobody_there=True) for _ in range(TRIES)]
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1] == UNSTEADY_US_MAX


def test_what_did_open_is_asked_for_sooner_but_goes_on_being_counted() -> None:
    """Closes may be waiting for what opens and falls: it is asked for within seconds, and not twice a second."""
    tries = Tries(lambda: 1.0)
    for now_us in range(TRIES):
        tries.opened(ACCOUNT, now_us)
        tries.count_anew(now_us + STEADY_US - 1)
        pause_us = tries.lost(ACCOUNT)
    assert pause_us == UNSTEADY_US_MAX
    assert tries.of(ACCOUNT) == TRIES


def test_what_has_held_begins_anew() -> None:
    """What has been open for a while is asked for at once when it falls."""
    tries = Tries(lambda: 1.0)
    first_us = tries.lost(ACCOUNT)
    tries.lost(ACCOUNT)
    tries.opened(ACCOUNT, 0)
    tries.count_anew(STEADY_US)
    assert tries.of(ACCOUNT) == 0
    assert tries.lost(ACCOUNT) == first_us


def test_a_line_takes_its_accounts_with_it() -> None:
    """Accounts of a line that fell are not taken for steady."""
    tries = Tries(lambda: 1.0)
    for _ in range(TRIES):
        tries.lost(ACCOUNT)
    tries.opened(ACCOUNT, 0)
    tries.line_lost()
    tries.count_anew(STEADY_US)
    assert tries.of(ACCOUNT) == TRIES  # it had not held when the line went
    assert tries.lost(ACCOUNT) > UNSTEADY_US_MAX  # and has not opened since
