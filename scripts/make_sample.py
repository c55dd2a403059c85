"""Write events.db.sample anew: a day on the sandbox with every kind of event, and what its audit printed, line by line.

The day runs in virtual time from a seed (`tests/day.py`), so the same code writes the same bytes. The sample is a
promise: later code verifies it, replays every decision of it, and prints the same. So it is written again only when the
format or a decision changes on purpose, never to make a test pass. Once a version is released its sample goes to
`tests/samples/<version>.db` (`--keep VERSION`), with the digest of its replay, and stays there unchanged.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from cmam.store.auditing.audit import Audit
from cmam.store.logfile.log import EventLog
from cmam.store.past import replay
from cmam.store.past.digest import replay_digest
from cmam.store.proof.verify import verify

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "events.db.sample"
PRINTED = ROOT / "tests" / "conformance" / "sample"
KEPT = ROOT / "tests" / "samples"
LISTS = ("copies", "decisions", "orders", "accounts", "settings")
BYTES_MAX = 1_048_576


def printed(audit: Audit, name: str) -> str:
    """One list of the audit as JSON lines."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in getattr(audit, name)())


def write_sample(path: Path) -> None:
    """Let the day happen and write its log: one file whose bytes depend on the code alone, and on SQLite's version."""
    sys.path.insert(0, str(ROOT))
    from tests.day import a_whole_day  # noqa: PLC0415 - only here are the tests' scheduler and sandbox needed

    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as target:
        a_whole_day().log.connection.backup(target)
        target.execute("PRAGMA journal_mode=DELETE").fetchone()
        target.execute("PRAGMA page_size=1024").fetchone()  # small pages waste less room beside records of this size
        target.execute("VACUUM")
    path.chmod(0o644)


def keep(version: str) -> None:
    """Put the present sample beside those of the versions before it, with the digest of its replay."""
    KEPT.mkdir(parents=True, exist_ok=True)
    kept = KEPT / f"{version}.db"
    if kept.exists():
        raise SystemExit(f"{kept} is there: a released sample is never written again.")
    shutil.copyfile(SAMPLE, kept)
    with closing(EventLog.read_file(kept)) as log:
        (KEPT / f"{version}.digest").write_text(f"{replay_digest(log.read_all())}\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--keep", metavar="VERSION", help="keep the present sample as that of a released version")
    asked = parser.parse_args()
    if asked.keep:
        keep(asked.keep)
        return 0
    with tempfile.TemporaryDirectory(prefix="cmam-sample-") as folder:
        fresh = Path(folder) / "events.db"
        write_sample(fresh)
        if fresh.stat().st_size > BYTES_MAX:
            print(f"The sample would have {fresh.stat().st_size} bytes, more than {BYTES_MAX}.", file=sys.stderr)
            return 1
        shutil.copyfile(fresh, SAMPLE)
    PRINTED.mkdir(parents=True, exist_ok=True)
    with closing(EventLog.read_file(SAMPLE)) as log, Audit.of(log) as audit:
        for name in LISTS:
            (PRINTED / f"{name}.jsonl").write_text(printed(audit, name), encoding="utf-8")
        (PRINTED / "head").write_text(f"{verify(log.raw()).head}\n", encoding="utf-8")
        (PRINTED / "digest").write_text(f"{replay_digest(log.read_all())}\n", encoding="utf-8")
        result = replay.verify(log.read_all())
    print(f"{SAMPLE.name}: {result.records} records, replay {'identical' if result.is_identical else 'DIFFERS'}")
    return 0 if result.is_identical else 1


if __name__ == "__main__":
    sys.exit(main())
