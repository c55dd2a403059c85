"""Tamper with a log in a thousand random ways and see that verify finds each and names the first bad record.

    python scripts/tamper.py [--count 1000] [--seed 1] [--store FILE]

Without a store it makes a log of some 250 records with checkpoints; with one, it works on copies of that in memory.
Exits 1 with the seed of each that was not found or not named.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from cmam.store.logfile.log import EventLog
from cmam.store.proof.verify import verify
from tests.property.store.test_tampering import a_log
from tests.tampering import Victim, tamper


def main() -> int:
    """Do it, count it, say it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", type=Path, help="A log with at least one checkpoint; it is only read.")
    given = parser.parse_args()
    source = EventLog.read_file(given.store) if given.store is not None else a_log()
    content = source.connection.serialize()
    source.close()
    ways: Counter[str] = Counter()
    missed = 0
    for number in range(given.count):
        seed = f"{given.seed}/{number}"
        log = EventLog.in_memory()
        log.connection.deserialize(content)
        done = tamper(Victim(log.connection, random.Random(seed)))
        result = verify(log.raw())
        log.close()
        ways[done.what] += 1
        first = result.findings[0] if result.findings else None
        is_named = first is not None and done.first <= first.position <= done.last
        if is_named and done.names is not None and first is not None:
            is_named = (first.stream, first.version) == done.names
        if not is_named:
            missed += 1
            print(f"seed {seed}: {done}; found {first}")
    for what, times in sorted(ways.items()):
        print(f"{times:>6}  {what}")
    print(f"{given.count - missed} of {given.count} found, the first bad record named in each")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
