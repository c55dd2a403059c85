"""Write events.db.sample anew: the log of one run of `cmam demo`, and what its audit printed, line by line.

The sample is a promise: later code verifies it, replays every decision of it, and prints the same. So it is written
again only when the format gains something, never to make a test pass.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cmam.store import replay
from cmam.store.audit import Audit
from cmam.store.export import backup
from cmam.store.log import EventLog

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "events.db.sample"
PRINTED = ROOT / "tests" / "conformance" / "sample"
LISTS = ("copies", "decisions", "orders", "accounts", "settings")


def printed(audit: Audit, name: str) -> str:
    """One list of the audit as JSON lines."""
    return "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in getattr(audit, name)())


def main() -> int:
    home = Path(tempfile.mkdtemp(prefix="cmam-sample-"))
    try:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CMAM_")}
        command = [sys.executable, "-m", "cmam", "--home", str(home), "demo"]
        if subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode != 0:
            print("The demo did not end well; the sample stays as it is.", file=sys.stderr)
            return 1
        head = backup(home / "demo", SAMPLE)
        SAMPLE.chmod(0o644)
    finally:
        shutil.rmtree(home)
    PRINTED.mkdir(parents=True, exist_ok=True)
    with Audit.of(EventLog.read_file(SAMPLE)) as audit:
        for name in LISTS:
            (PRINTED / f"{name}.jsonl").write_text(printed(audit, name), encoding="utf-8")
        result = replay.verify(audit.log.read_all())
    (PRINTED / "head").write_text(f"{head}\n", encoding="utf-8")
    print(f"{SAMPLE.name}: {result.records} records, replay {'identical' if result.is_identical else 'DIFFERS'}")
    return 0 if result.is_identical else 1


if __name__ == "__main__":
    sys.exit(main())
