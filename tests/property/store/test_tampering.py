"""Whatever is done to what a checkpoint covers, verify finds it and names the first bad record."""

from __future__ import annotations

import random
import sqlite3

import pytest

from cmam.store.logfile.chain import LogHead
from cmam.store.logfile.log import EventLog
from cmam.store.proof.verify import Verified, verify
from tests.tampering import WAYS, Tampering, Victim, tamper
from tests.unit.store.world import World

TAMPERINGS = 15
"""Of each way; `scripts/tamper.py` does a thousand."""


def a_log() -> EventLog:
    """Some 250 records of three accounts, a profile and `app`, with a checkpoint after every other trade."""
    world = World().set_up()
    for number in range(8):
        position = world.leader_opens(10_000_000 if number % 3 else 100_000)
        world.leader_moves_stop(position, "1.09000")
        world.leader_closes(position)
        if number % 2:
            world.write_checkpoint()
    world.leader_opens()
    return world.log


@pytest.fixture(scope="module")
def whole() -> tuple[bytes, LogHead]:
    """The log's file as bytes, and its head as somebody kept it."""
    log = a_log()
    assert verify(log.raw()).is_whole
    return log.connection.serialize(), log.log_head()


def tampered(content: bytes, seed: str, way: int) -> tuple[Tampering, Verified]:
    """A copy of the log, tampered with in one way, and what verify says of it."""
    log = EventLog.in_memory()
    log.connection.deserialize(content)
    victim = Victim(log.connection, random.Random(seed))
    done = WAYS[way](victim)
    result = verify(log.raw())
    log.close()
    return done, result


@pytest.mark.parametrize("way", range(len(WAYS)), ids=[way.__name__ for way in WAYS])
def test_every_tampering_is_found_and_named(whole: tuple[bytes, LogHead], way: int) -> None:
    """The first finding lies between where it was done and the next checkpoint; a changed record is named itself."""
    for number in range(TAMPERINGS):
        done, result = tampered(whole[0], f"{way}/{number}", way)
        told = f"{done}: {result.findings[:1]}"
        assert not result.is_whole, told
        first = result.findings[0]
        assert done.first <= first.position <= done.last, told
        if done.names is not None:
            assert (first.stream, first.version) == done.names, told


def test_what_no_checkpoint_covers_needs_a_head_kept_elsewhere(whole: tuple[bytes, LogHead]) -> None:
    """The limit of the chain alone, and that a head has none."""
    content, head = whole
    log = EventLog.in_memory()
    log.connection.deserialize(content)
    covered = Victim(log.connection, random.Random(0)).covered()
    log.connection.execute("DELETE FROM stored_events WHERE rowid > ?", [covered])
    assert verify(log.raw()).is_whole
    assert not verify(log.raw(), head).is_whole


def test_a_way_is_drawn_by_its_seed(whole: tuple[bytes, LogHead]) -> None:
    """A failure of the script can be replayed."""
    done = []
    for _ in range(2):
        connection = sqlite3.connect(":memory:", isolation_level=None)
        connection.deserialize(whole[0])
        done.append(tamper(Victim(connection, random.Random("7/3"))))
    assert done[0] == done[1]
