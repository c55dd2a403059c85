"""How soon a thread gets a processor that others use too: it may ask for short turns, which come sooner.

A thread that wakes for a millisecond's work waits until whoever is at work has had its turn, which takes as long and
longer. Since Linux 6.12 a thread may say how long its own turns are to be; one with shorter turns goes before one with
longer ones as it wakes, and gets no more of the processor for it (sched(7), `sched_runtime` of SCHED_OTHER, 0.1 to 100
ms).
It takes no right that an ordinary user lacks. Anywhere else, and where it is refused, all stays as it is.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from typing import Final

SHORT_NS: Final = 100_000
"""The shortest turn that there is."""
_SET_ATTRIBUTES: Final = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
"""The number of the system call sched_setattr by machine: the C library has no name for it before glibc 2.41."""
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
"""struct sched_attr: its size, policy, flags, nice, priority, runtime, deadline, period."""


def ask_for_short_turns() -> bool:
    """Ask for short turns for this thread and those that it starts; whether the system took it.

    A thread that somebody gave another policy, or that is to run only when nobody else does, is left alone.
    """
    number = _SET_ATTRIBUTES.get(os.uname().machine) if sys.platform == "linux" and sys.maxsize > 1 << 32 else None
    if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
        return False
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, os.SCHED_OTHER, 0, nice, 0, SHORT_NS, 0, 0)
    try:
        return bool(ctypes.CDLL(None).syscall(number, 0, wanted, 0) == 0)
    except (OSError, AttributeError):  # no C library that can be asked
        return False
