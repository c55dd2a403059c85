"""How far a home's log had come, kept beside it: a start sees that an older copy stands there now, or its end is lost.

What is kept is no more than a witness: the position of a record that was durable then, its hash, and the number of the
file on its disk. It follows the log by up to a minute, and says nothing where it was never written. A backup is known
by itself, wherever it is put: it is a file that is not written ahead, which a home's log always is.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from contextlib import closing
from pathlib import Path

from cmam.clock import SECOND_US, Clock
from cmam.config.files import write_whole
from cmam.domain.events import LogRestored
from cmam.store.errors import StoreBroken
from cmam.store.logfile.database import FILE_NAME, TABLE, connect_to_read, following, is_written_ahead
from cmam.store.logfile.log import EventLog
from cmam.store.records.envelope import Pending, record_hash

log = logging.getLogger(__name__)

FILE = "store.end"
LOOK_US = 60 * SECOND_US
"""So often it is brought up to date while the log is written."""
ACCOUNTS = "account:"
"""How the names of the accounts' streams begin."""
_KEPT = re.compile(r"([0-9]+):([0-9a-f]{64}):([0-9]+)")
_LAST = f"SELECT rowid, originator_id, originator_version, topic, state FROM {TABLE} ORDER BY rowid DESC LIMIT 1"


def is_copy(home: Path) -> bool:
    """Whether a file stands in the place of the log that no cmam has gone on with: a backup, or what was salvaged.

    To be asked before it is opened for writing. A log that was being archived when that was ended looks like one.
    """
    place = home / FILE_NAME
    return place.is_file() and not is_written_ahead(place) and not following(place).exists()


def is_known(home: Path) -> bool:
    """Whether the file in the place of the log is the one that this home has written; a new one need not be known."""
    place = home / FILE_NAME
    return not place.exists() or _read(home / FILE)[2] == place.stat().st_ino


def fits(home: Path, event_log: EventLog) -> bool:
    """Whether the record stands in a log that its home knows as the last one: what is copied into the file itself, as
    `cp` does where there is one, has the number of the file that was there."""
    known, link, _ = _read(home / FILE)
    try:
        found = event_log.page_of_raw(known - 1, 1) if known else []
    except StoreBroken:
        return False  # who reads it whole names what is damaged
    return bool(found) and (found[0].position, found[0].hash) == (known, link)


def settle_end(home: Path, event_log: EventLog, now_us: int, *, is_copy: bool) -> str:
    """Tell the accounts, as `cmam restore` does, where the log is not what this home had, or not all of it.

    Answers what was seen, empty where nothing is amiss. For the holder of the lock, once the log is known to be whole.
    """
    why = _why(home, event_log, is_copy=is_copy)
    position = event_log.position()
    if why:
        note_restore(event_log, position, now_us)
    keep_end(home, event_log.connection)
    if not why or event_log.position() == position:  # it knows no account yet
        return ""
    return (
        f"The log ends at record {position}: {why}. What happened after that is not in it, and is met as after `cmam "
        "restore`. Look at what is open, and at guards that had tripped."
    )


def note_restore(log: EventLog, position: int, now_us: int) -> None:
    """Tell the accounts of a log that it ended at `position` when it was put back."""
    heads = sorted((stream, head) for stream, head in log.heads().items() if stream.startswith(ACCOUNTS))
    event = LogRestored(position=position)
    log.append([Pending(stream, head.version + 1, now_us, event) for stream, head in heads])


def keep_end(home: Path, connection: sqlite3.Connection) -> None:
    """Write down how far the log has come; what cannot be written is no more than a witness that lacks."""
    try:
        row = connection.execute(_LAST).fetchone()
        if row is None:
            (home / FILE).unlink(missing_ok=True)  # of a log that was lost, and is begun anew
            return
        position, stream, version, topic, state = row
        link = record_hash(stream, version, topic, state.encode()).hex()
        number = (home / FILE_NAME).stat().st_ino
        if _read(home / FILE) != (position, link, number):
            write_whole(home / FILE, f"{position}:{link}:{number}\n".encode("ascii"))
    except (OSError, sqlite3.Error) as error:
        log.debug("how far the log has come was not kept: %s", error)


def _why(home: Path, event_log: EventLog, *, is_copy: bool) -> str:
    position = event_log.position()
    last = event_log.page_of_raw(position - 1, 1) if position else []
    if not last or last[0].topic == LogRestored.TOPIC:  # it is told already
        return ""
    if is_copy:
        return "it was put in its place as a copy"
    known, link, _ = _read(home / FILE)
    if known > position:
        return f"it had come to record {known} when this home was last in use"
    found = event_log.page_of_raw(known - 1, 1) if known else []
    if found and (found[0].position, found[0].hash) != (known, link):
        return f"its record {known} is not the one that stood there when this home was last in use"
    return ""


def _read(path: Path) -> tuple[int, str, int]:
    """The position, the hash and the number of the file that were kept; nothing where none were."""
    try:
        found = _KEPT.fullmatch(path.read_text("ascii", errors="replace").strip())
    except OSError:
        found = None
    return (int(found[1]), found[2], int(found[3])) if found is not None else (0, "", 0)


class EndWatch:
    """Keeps the end of a running system's log, beside the trading.

    It reads by a connection of SQLite's alone: a file that is opened and closed in any other way takes all locks of the
    process on it away.
    """

    def __init__(self, home: Path, clock: Clock) -> None:
        self._home = home
        self._clock = clock
        self._look_us = clock.monotonic() + LOOK_US

    def look(self) -> None:
        """Bring it up to date, where it is time to; to be called several times a second."""
        now = self._clock.monotonic()
        if now < self._look_us:
            return
        self._look_us = now + LOOK_US
        try:
            with closing(connect_to_read(self._home / FILE_NAME)) as beside:
                keep_end(self._home, beside)
        except sqlite3.Error as error:
            log.debug("the log was not read beside its writer: %s", error)
