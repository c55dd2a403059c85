"""Short turns of the processor: asked for by a thread for itself, taken from nobody, and only where possible."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from cmam import processor

linux = pytest.mark.skipif(sys.platform != "linux", reason="asked for on Linux only")
_GET_ATTRIBUTES = {"x86_64": 315, "aarch64": 275, "riscv64": 275}
KNOWS_TURNS = (6, 12)


def in_a_thread(what: Callable[[], Any]) -> Any:
    """What something answers in a thread of its own, so that the tests' own keeps its turns."""
    found: list[Any] = []
    thread = threading.Thread(target=lambda: found.append(what()))
    thread.start()
    thread.join()
    return found[0]


def attributes() -> tuple[int, int, int]:
    """Policy, nice and length of a turn of this thread, as the system has them."""
    kept = ctypes.create_string_buffer(processor._ATTRIBUTES.size)
    number = _GET_ATTRIBUTES[os.uname().machine]
    assert ctypes.CDLL(None).syscall(number, 0, kept, processor._ATTRIBUTES.size, 0) == 0
    _, policy, _, nice, _, runtime_ns, _, _ = processor._ATTRIBUTES.unpack(kept.raw)
    return policy, nice, runtime_ns


@linux
def test_a_thread_asks_for_itself_and_for_those_it_starts() -> None:
    """Its turns are short from then on, its policy and nice are what they were; others of the process keep theirs."""

    def asked() -> tuple[bool, Any, Any, Any]:
        before = attributes()
        return processor.ask_for_short_turns(), before, attributes(), in_a_thread(attributes)

    own = attributes()
    is_taken, before, after, inherited = in_a_thread(asked)
    assert after[:2] == before[:2]
    assert attributes() == own
    release = tuple(int(part) for part in platform.release().split("-")[0].split(".")[:2])
    if is_taken and release >= KNOWS_TURNS:
        assert after[2] == inherited[2] == processor.SHORT_NS


@linux
def test_a_thread_that_was_given_another_policy_keeps_it() -> None:
    """Whoever has the copier run in the background, or before all else, has decided that."""

    def asked() -> tuple[bool, int]:
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
        return processor.ask_for_short_turns(), os.sched_getscheduler(0)

    assert in_a_thread(asked) == (False, os.SCHED_BATCH)


@pytest.mark.parametrize("platform_name", ["darwin", "win32"])
def test_elsewhere_nothing_is_asked(platform_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No other system is known to have it."""
    monkeypatch.setattr(sys, "platform", platform_name)
    assert not processor.ask_for_short_turns()


@linux
def test_a_system_that_refuses_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """A container may forbid the call: the copier runs all the same."""

    class Refusing:
        def __init__(self, _name: None) -> None:
            self.asked: list[Any] = []

        def syscall(self, *_: Any) -> int:
            return -1

    monkeypatch.setattr(ctypes, "CDLL", Refusing)
    assert not processor.ask_for_short_turns()
