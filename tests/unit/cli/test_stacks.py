"""Where every thread is, on demand, of a process that goes on."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys

import pytest

from tests.waiting import PATIENCE_S

BUSY = """
import sys, threading
from cmam.actors.threads.runtime import Latch
from cmam.cli.running.run import _signals

def deep(left):
    return deep(left - 1) if left else list(range(20))

def works():
    while True:
        deep(30)

def begins():
    while True:
        thread = threading.Thread(target=deep, args=(20,))
        thread.start()
        thread.join()

sys.setswitchinterval(0.0005)
with _signals(Latch(), None):
    for what in (works, begins, begins):
        threading.Thread(target=what, daemon=True).start()
    print("up", flush=True)
    sys.stdin.read()
    print("alive", flush=True)
    import os
    os._exit(0)
"""
ASKED = 2_000
OFTEN_S = 0.001
"""It is asked again, whether it has said something or not: it has to be met in the middle of what it does."""


def test_asking_for_stacks_ends_no_process_whose_threads_come_and_go() -> None:
    """Threads begin, end and call while they are looked at: memory that one gives back is not read any more."""
    words = [sys.executable, "-c", BUSY]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"up\n"
        for _ in range(ASKED):
            process.send_signal(signal.SIGUSR1)
            if select.select([process.stderr], [], [], OFTEN_S)[0] and not os.read(process.stderr.fileno(), 1 << 16):
                break  # it is dead
        out, _ = process.communicate(b"", timeout=PATIENCE_S)
    assert (process.returncode, out) == (0, b"alive\n")


@pytest.mark.parametrize("closed", ["by its reader", "from the beginning"])
def test_asking_for_stacks_that_nobody_can_read_ends_no_process(closed: str) -> None:
    """The error of a broken pipe came out of whatever the main thread did; without any place to write to there was no
    handler, and the signal's own default ended the process."""
    words = [sys.executable, "-c", BUSY]
    if closed == "from the beginning":
        words = ["/bin/sh", "-c", 'exec "$@" 2>&-', "sh", *words]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == b"up\n"
        process.stderr.close()
        for _ in range(3):
            process.send_signal(signal.SIGUSR1)
        process.stderr = None
        out, _ = process.communicate(b"", timeout=PATIENCE_S)
    assert (process.returncode, out) == (0, b"alive\n")
