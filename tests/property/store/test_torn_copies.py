"""A log that was copied by hand while it was written, or that has lost its end: refused, or whole as far as it goes."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from cmam.domain.events import AlertRaised
from cmam.store.errors import StoreBroken
from cmam.store.logfile.database import lengthen_wal
from cmam.store.logfile.log import EventLog
from cmam.store.proof.tail import check_tail
from cmam.store.proof.verify import verify
from cmam.store.records.envelope import Pending
from cmam.store.upkeep.known_end import is_known
from tests.unit.store.facts import rows_of

COPIES = (0, 1, 2, 9)
"""Of each way; more were drawn as this was written. The last one read piece by piece has lost its record 44."""
STREAMS = ("account:1", "account:2", "app", "profile:x")
WAL = "events.db-wal"


class Writer:
    """A log that is written on while somebody copies it."""

    def __init__(self, home: Path, chance: random.Random) -> None:
        self.home, self.chance = home, chance
        self.log = EventLog.open(home, durability="none")
        if chance.random() < 0.5:
            lengthen_wal(self.log.connection, self.log.path)
        self.goes_on(1, 40)

    def goes_on(self, least: int, most: int) -> None:
        """Write some batches; now and then they are folded back into the file, or a checkpoint is made."""
        for _ in range(self.chance.randrange(least, most)):
            count = Counter(self.chance.choices(STREAMS, k=self.chance.randrange(1, 12)))
            self.log.append(
                [
                    Pending(stream, self.log.head(stream).version + number, 1, self.fact())
                    for stream, many in count.items()
                    for number in range(1, many + 1)
                ]
            )
            fate = self.chance.random()
            if fate < 0.1:
                self.log.tidy()
            elif fate < 0.15:
                self.log.write_checkpoint(1)

    def fact(self) -> AlertRaised:
        """A fact of any size, some of several pages."""
        return AlertRaised(kind="k", text="t" * self.chance.randrange(1, 3_000))

    def bytes_of(self, name: str) -> bytes:
        """A file as it is now; none where it is not there."""
        path = self.home / name
        return path.read_bytes() if path.exists() else b""

    def read_slowly(self, name: str) -> bytes:
        """A file of which the beginning is older than the rest."""
        first = self.bytes_of(name)
        first = first[: self.chance.randrange(len(first) + 1)]
        self.goes_on(0, 20)
        return first + self.bytes_of(name)[len(first) :]


def without_its_wal(writer: Writer) -> dict[str, bytes]:
    """The log alone is copied."""
    return {"events.db": writer.bytes_of("events.db")}


def one_after_the_other(writer: Writer) -> dict[str, bytes]:
    """The write-ahead log is of another moment, before or after."""
    names = ["events.db", WAL]
    writer.chance.shuffle(names)
    first = {names[0]: writer.bytes_of(names[0])}
    writer.goes_on(0, 30)
    if writer.chance.random() < 0.5:
        writer.log.tidy()
        writer.goes_on(3, 4)
    return {**first, names[1]: writer.bytes_of(names[1])}


def piece_by_piece(writer: Writer) -> dict[str, bytes]:
    """Both are written while they are read."""
    names = ["events.db", WAL]
    writer.chance.shuffle(names)
    return {name: writer.read_slowly(name) for name in names}


def with_a_torn_wal(writer: Writer) -> dict[str, bytes]:
    """The write-ahead log ends anywhere, as after a power cut."""
    wal = writer.bytes_of(WAL)
    return {"events.db": writer.bytes_of("events.db"), WAL: wal[: writer.chance.randrange(len(wal) + 1)]}


def with_a_flipped_bit_in_its_wal(writer: Writer) -> dict[str, bytes]:
    """A bit of the write-ahead log is another one."""
    wal = bytearray(writer.bytes_of(WAL))
    wal[writer.chance.randrange(len(wal))] ^= 1 << writer.chance.randrange(8)
    return {"events.db": writer.bytes_of("events.db"), WAL: bytes(wal)}


def cut_off(writer: Writer) -> dict[str, bytes]:
    """The log ends anywhere, with all of its write-ahead log beside it."""
    whole = writer.bytes_of("events.db")
    return {"events.db": whole[: writer.chance.randrange(len(whole) + 1)], WAL: writer.bytes_of(WAL)}


WAYS: tuple[Callable[[Writer], dict[str, bytes]], ...] = (
    without_its_wal,
    one_after_the_other,
    piece_by_piece,
    with_a_torn_wal,
    with_a_flipped_bit_in_its_wal,
    cut_off,
)


@pytest.mark.parametrize("way", WAYS, ids=[way.__name__ for way in WAYS])
def test_a_start_on_a_torn_copy_is_refused_or_goes_on_from_a_whole_beginning(
    tmp_path: Path, way: Callable[[Writer], dict[str, bytes]]
) -> None:
    """What it takes for the log is the first records of the one that was copied, all of them to some point, and its
    chains hold: it is never a log in which something lacks in the middle, or that anything else happened in."""
    for number in COPIES:
        home, copy = tmp_path / f"home{number}", tmp_path / f"copy{number}"
        copy.mkdir()
        writer = Writer(home, random.Random(f"{way.__name__}/{number}"))
        for name, content in way(writer).items():
            (copy / name).write_bytes(content)
        truth = rows_of(writer.log)
        writer.log.close()
        try:
            with closing(EventLog.open(copy, durability="none")) as log:
                check_tail(log, is_known=is_known(copy))
                rows = rows_of(log)
                assert rows == truth[: len(rows)], number
                assert verify(log.raw()).is_whole, number
                log.append([Pending("app", log.head("app").version + 1, 1, AlertRaised(kind="k", text="t"))])
        except StoreBroken:
            pass
        shutil.rmtree(home)
