"""`cmam` and `python -m cmam`: from its first moment a Ctrl-C is a sentence, also while the rest is being read.

Must not import anything of ours before that holds.
"""

from __future__ import annotations

import os
import signal
from typing import NoReturn


def main() -> None:
    """Read the command line and carry it out; the console script."""
    before = signal.getsignal(signal.SIGINT)
    is_heeded = before is signal.default_int_handler  # where it is ignored, as behind `&` in a script, it stays so
    if is_heeded:
        signal.signal(signal.SIGINT, _interrupted)
    from cmam.cli.main import main as carry_out  # noqa: PLC0415  # what takes long, and may be interrupted

    if is_heeded:
        signal.signal(signal.SIGINT, before)
    carry_out()


def _interrupted(*_: object) -> NoReturn:
    """In the middle of an import an exception would show its place in it, or be lost there."""
    os.write(2, b"\nInterrupted; nothing was done.\n" if os.isatty(2) else b"Interrupted; nothing was done.\n")
    os._exit(1)


if __name__ == "__main__":
    main()
