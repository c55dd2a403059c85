"""Two owners of one store side by side, the lock bypassed: the unique (stream, version) is the fence.

Both are whole systems on one broker and one file, each with its own line and its own connection to the log, taking
their turns under one seeded scheduler. In virtual time both stamp their records with the same microsecond, which is the
worst case: their records are often equal to the byte.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cmam.domain.events import IntentRecorded
from cmam.domain.values.commands import CommandKind
from cmam.openapi import catalogue
from cmam.store.proof.verify import verify as verify_chain
from cmam.system import System
from tests.person import LEADER
from tests.second import second
from tests.whole import ALPHA_TOO, SAME_BROKER, FaultyLog, Whole

LOT = 10_000_000


def _sent(whole: Whole) -> Counter[str]:
    """Opens as the broker has had them, by the line they came on; people's lines apart."""
    found: Counter[str] = Counter()
    connections: Any = whole.broker.stats()["connections"]
    for connection in connections:
        if connection["connection"] < 900_000:
            orders = connection["requests_by_type"].get(str(catalogue.NEW_ORDER), 0)
            found[str(connection["connection"])] += orders
    return found


def _was_refused(system: System) -> bool:
    """Whether a system has met another writer's record, and says so."""
    status = system.status()
    notes = [status.read(f"account:{account}") for account in (LEADER, SAME_BROKER, ALPHA_TOO)]
    return "its place" in system.why_failed or any("its place" in note.get("reason", "") for note in notes)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("together", [True, False])
def test_of_two_owners_side_by_side_the_loser_sends_nothing(together: bool, seed: int, tmp_path: Path) -> None:
    """Started at once, or the second in the middle of trading: the broker gets each order once, each stream one writer.

    Started at once they write the same bytes at the same places; that alone must not pass for one's own record.
    """
    whole = Whole(seed=seed, followers=(SAME_BROKER, ALPHA_TOO), log=FaultyLog.open(tmp_path))
    first_position = None
    if together:
        whole.start()
    else:
        whole.start_ready()
        first_position = whole.person.buy(LOT)
    other_log = FaultyLog.open(tmp_path)
    other = second(whole, other_log)
    for number in range(5):
        whole.run((seed * 37 + number * 11) % 90 / 1_000)
        whole.person.buy((number + 2) * LOT)
    whole.run(30)
    if first_position is not None:
        whole.person.close(first_position, LOT)
    whole.run(30)
    held = [held.label for follower in (SAME_BROKER, ALPHA_TOO) for held in whole.person.holds(follower)]
    assert len(held) == len(set(held)) <= 10
    whole.log.refresh()
    opened = [r.event for f in (SAME_BROKER, ALPHA_TOO) for r in whole.log.read_stream(f"account:{f}")]
    wanted = {e.intent for e in opened if isinstance(e, IntentRecorded) and e.command.kind is CommandKind.OPEN}
    assert sum(_sent(whole).values()) <= len(wanted), "an order was sent twice, or without a record"
    assert verify_chain(whole.log.raw()).is_whole
    assert whole.system is not None
    assert _was_refused(whole.system) or _was_refused(other), "the two never met in the record"
    assert whole.stepper.failures == []
    other_log.close()
    whole.log.close()
