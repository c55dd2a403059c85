"""The log of a home, opened by who goes on with it: nothing rests on it before it is known to be whole, and the home's.

A file that this home has not written is read whole once, unless snapshots of every account fit it: those were made of
it record by record, so what is believed does not rest on a record that lacks since. `audit verify` finds that.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cmam.store.logfile.database import FILE_NAME, Durability, following, remove_with_parts
from cmam.store.logfile.log import EventLog
from cmam.store.past.beginning import has_snapshots
from cmam.store.past.together import LONG
from cmam.store.proof.tail import check_tail
from cmam.store.upkeep.known_end import fits, is_copy, is_known, settle_end


def open_to_go_on(
    home: Path,
    now_us: int,
    *,
    durability: Durability | str = Durability.FULL,
    on_long: Callable[[int], None] = lambda _: None,
) -> tuple[EventLog, str]:
    """Open the log for the holder of the lock; answers what was lost of it, empty where nothing is amiss.

    `on_long` hears how many records are read where that takes its time. Raises StoreBroken, naming the first bad one.
    """
    is_put_back, is_met = is_copy(home), is_known(home)
    log = EventLog.open(home, durability=durability)
    try:
        is_backed = (is_met and fits(home, log)) or has_snapshots(log)
        if not is_backed and log.position() >= LONG:
            on_long(log.position())
        check_tail(log, is_known=is_backed)
        remove_with_parts(following(home / FILE_NAME))  # of an archive that was ended: it is begun anew
        return log, settle_end(home, log, now_us, is_copy=is_put_back)
    except BaseException:
        log.close()
        raise
