"""Ways to tamper with a log, drawn by chance: what a person with an SQLite tool, or a forger of chains, could do.

Each stays within what the last surviving checkpoint covers; beyond that the chain alone cannot see, and says so. Each
answers the first place in the log at which it left a trace, and the last at which that trace must have shown.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from cmam.domain.events import Checkpointed
from cmam.store.records.envelope import record_hash

TABLE = "stored_events"
FAR = 1 << 40


@dataclass(frozen=True, slots=True)
class Tampering:
    """What was done, and between which positions the first finding must lie; with `names`, that very record."""

    what: str
    first: int
    last: int
    names: tuple[str, int] | None = None


@dataclass(slots=True)
class Victim:
    """A log in a connection that may be written past its guards."""

    db: sqlite3.Connection
    rng: random.Random

    def covered(self) -> int:
        """The last position that the last checkpoint speaks for."""
        (found,) = self.db.execute(f"SELECT max(rowid) FROM {TABLE} WHERE topic = ?", [Checkpointed.TOPIC]).fetchone()
        return int(found) - 1

    def next_checkpoint(self, position: int) -> int:
        """The first checkpoint at or after a position."""
        sql = f"SELECT min(rowid) FROM {TABLE} WHERE topic = ? AND rowid >= ?"
        (found,) = self.db.execute(sql, [Checkpointed.TOPIC, position]).fetchone()
        return int(found)

    def row(self, position: int) -> tuple[str, int, str, str]:
        """Stream, version, topic and state of a record."""
        sql = f"SELECT originator_id, originator_version, topic, CAST(state AS TEXT) FROM {TABLE} WHERE rowid = ?"
        found = self.db.execute(sql, [position]).fetchone()
        return (str(found[0]), int(found[1]), str(found[2]), str(found[3]))

    def any(self) -> int:
        """A covered position."""
        return self.rng.randint(1, self.covered())

    def set_state(self, position: int, state: str) -> None:
        """Exchange a record's bytes."""
        self.db.execute(f"UPDATE {TABLE} SET state = ? WHERE rowid = ?", [state, position])

    def after(self, stream: str, version: int) -> list[tuple[int, int]]:
        """Positions and versions of a stream after a version."""
        sql = f"SELECT rowid, originator_version FROM {TABLE} WHERE originator_id = ? AND originator_version > ?"
        return [(int(a), int(b)) for a, b in self.db.execute(sql + " ORDER BY originator_version", [stream, version])]


def tamper(victim: Victim) -> Tampering:
    """Do one of them."""
    return victim.rng.choice(WAYS)(victim)


# --- changes --------------------------------------------------------------------------------------------------------


def change_a_byte(victim: Victim) -> Tampering:
    """One character of a record's text becomes another."""
    at = victim.any()
    stream, version, _, state = victim.row(at)
    place = victim.rng.randrange(len(state))
    new = victim.rng.choice([c for c in "0123456789abcxyz" if c != state[place]])
    victim.set_state(at, state[:place] + new + state[place + 1 :])
    return Tampering("a byte changed", at, at, (stream, version))


def change_a_number(victim: Victim) -> Tampering:
    """A number of a record grows, its JSON staying whole."""
    at = victim.any()
    stream, version, _, state = victim.row(at)
    document = json.loads(state)
    document["at_us"] += victim.rng.randint(1, 10**9)
    victim.set_state(at, json.dumps(document, separators=(",", ":"), ensure_ascii=False))
    return Tampering("a number changed", at, at, (stream, version))


def change_a_topic(victim: Victim) -> Tampering:
    """A record is said to be of another kind."""
    at = victim.any()
    stream, version, topic, _ = victim.row(at)
    victim.db.execute(f"UPDATE {TABLE} SET topic = ? WHERE rowid = ?", [topic + "x", at])
    last = at if topic != Checkpointed.TOPIC else victim.next_checkpoint(at)
    return Tampering("a topic changed", at, last, (stream, version))


def change_and_rechain(victim: Victim) -> Tampering:
    """A record is changed and every later one of its stream made to fit: only a checkpoint knows the old ones."""
    at = victim.any()
    stream, version, topic, state = victim.row(at)
    limit = victim.next_checkpoint(at)
    document = json.loads(state)
    document["at_us"] += 1
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    victim.set_state(at, text)
    last = record_hash(stream, version, topic, text.encode()).hex()
    for position, number in victim.after(stream, version):
        _, _, kind, old = victim.row(position)
        document = json.loads(old)
        document["prev"] = last
        text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
        victim.set_state(position, text)
        last = record_hash(stream, number, kind, text.encode()).hex()
    return Tampering("changed and chained anew", 1, max(limit, victim.next_checkpoint(min(at + 1, victim.covered()))))


# --- drops, insertions, swaps ---------------------------------------------------------------------------------------


def drop(victim: Victim) -> Tampering:
    """A record is taken out."""
    at = victim.any()
    victim.db.execute(f"DELETE FROM {TABLE} WHERE rowid = ?", [at])
    return Tampering("dropped", at, at + 1)


def drop_and_close_the_gap(victim: Victim) -> Tampering:
    """A record is taken out and all that follows renumbered, in its stream and in the log."""
    at = victim.any()
    stream, version, topic, _ = victim.row(at)
    limit = victim.next_checkpoint(at + 1 if topic == Checkpointed.TOPIC else at)
    following = [position for position, _ in victim.after(stream, version)]
    victim.db.execute(f"DELETE FROM {TABLE} WHERE rowid = ?", [at])
    _renumber(victim, stream, version, by=-1)
    _shift(victim, at, by=-1)
    return Tampering("dropped, the gap closed", 1, max([limit, *following[:1]]))


def insert(victim: Victim) -> Tampering:
    """A forged record that names the right one before it is put in, and room made for it."""
    at = victim.any()
    stream, version, topic, state = victim.row(at)
    document = json.loads(state)
    document["prev"] = record_hash(stream, version, topic, state.encode()).hex()
    _renumber(victim, stream, version, by=1)
    _shift(victim, at, by=1)
    sql = f"INSERT INTO {TABLE} (rowid, originator_id, originator_version, topic, state) VALUES (?, ?, ?, ?, ?)"
    forged = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    victim.db.execute(sql, [at + 1, stream, version + 1, topic, forged])
    following = [position for position, _ in victim.after(stream, version + 1)]
    return Tampering("put in", 1, max([victim.next_checkpoint(at + 2), *following[:1]]))


def swap_places(victim: Victim) -> Tampering:
    """Two records change places in the log."""
    one, two = sorted(victim.rng.sample(range(1, victim.covered() + 1), 2))
    for old, new in ((one, FAR), (two, one), (FAR, two)):
        victim.db.execute(f"UPDATE {TABLE} SET rowid = ? WHERE rowid = ?", [new, old])
    return Tampering("two swapped in the log", 1, victim.next_checkpoint(two + 1))


def swap_states(victim: Victim) -> Tampering:
    """Two records of one stream change their contents."""
    while True:
        stream = victim.row(victim.any())[0]
        places = [position for position, _ in victim.after(stream, 0) if position <= victim.covered()]
        if len(places) > 1:
            break
    one, two = sorted(victim.rng.sample(places, 2))
    first, second = victim.row(one), victim.row(two)
    for position, (_, _, topic, state) in ((one, second), (two, first)):
        victim.db.execute(f"UPDATE {TABLE} SET topic = ?, state = ? WHERE rowid = ?", [topic, state, position])
    return Tampering("two swapped in their stream", one, two + 1)


# --- cuts -----------------------------------------------------------------------------------------------------------


def cut_a_stream(victim: Victim) -> Tampering:
    """The end of one stream is cut off although a checkpoint covers it."""
    while True:
        stream, version, _, _ = victim.row(victim.any())
        if stream != "app":
            break
    first = next(position for position, number in victim.after(stream, version - 1) if number == version)
    sql = f"DELETE FROM {TABLE} WHERE originator_id = ? AND originator_version >= ?"
    victim.db.execute(sql, [stream, version])
    return Tampering("a stream cut off", first, first + _gone(victim, first))


def cut_the_middle(victim: Victim) -> Tampering:
    """Everything from some place up to the last checkpoint is cut out, and that checkpoint left standing."""
    at = victim.rng.randint(1, victim.covered())
    end = victim.covered()
    victim.db.execute(f"DELETE FROM {TABLE} WHERE rowid BETWEEN ? AND ?", [at, end])
    return Tampering("cut out below a checkpoint", at, end + 1)


def move_to_another_stream(victim: Victim) -> Tampering:
    """A record is said to be of another account's stream, at its end."""
    at = victim.any()
    others = [
        str(name)
        for (name,) in victim.db.execute(f"SELECT DISTINCT originator_id FROM {TABLE} ORDER BY 1")
        if name != victim.row(at)[0]
    ]
    other = victim.rng.choice(others)
    sql = f"SELECT max(originator_version) FROM {TABLE} WHERE originator_id = ?"
    (last,) = victim.db.execute(sql, [other]).fetchone()
    change = f"UPDATE {TABLE} SET originator_id = ?, originator_version = ? WHERE rowid = ?"
    victim.db.execute(change, [other, int(last) + 1, at])
    return Tampering("moved to another stream", 1, victim.next_checkpoint(at + 1))


def _gone(victim: Victim, first: int) -> int:
    """How many places in a row are empty now, from one on, and one more: there it shows."""
    count = 0
    while victim.db.execute(f"SELECT 1 FROM {TABLE} WHERE rowid = ?", [first + count]).fetchone() is None:
        count += 1
    return count


def _renumber(victim: Victim, stream: str, after: int, by: int) -> None:
    where = "WHERE originator_id = ? AND originator_version > ?"
    for sign in (f"-(originator_version + {by})", "-originator_version"):
        victim.db.execute(
            f"UPDATE {TABLE} SET originator_version = {sign} "
            + (where if "+" in sign else "WHERE originator_id = ? AND originator_version < 0 AND ? IS NOT NULL"),
            [stream, after],
        )


def _shift(victim: Victim, after: int, by: int) -> None:
    victim.db.execute(f"UPDATE {TABLE} SET rowid = rowid + {FAR} WHERE rowid > ?", [after])
    victim.db.execute(f"UPDATE {TABLE} SET rowid = rowid - {FAR} + {by} WHERE rowid > ?", [FAR // 2])


WAYS: tuple[Callable[[Victim], Tampering], ...] = (
    change_a_byte,
    change_a_number,
    change_a_topic,
    change_and_rechain,
    drop,
    drop_and_close_the_gap,
    insert,
    swap_places,
    swap_states,
    cut_a_stream,
    cut_the_middle,
    move_to_another_stream,
)
