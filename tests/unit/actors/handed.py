"""A connection without a thread: whoever tests it hands it its messages, one turn each."""

from __future__ import annotations

from queue import SimpleQueue
from typing import Any

from cmam.actors.lines.connection import ConnectionActor


class Connection(ConnectionActor):
    """A connection whose messages a test hands to it."""

    @staticmethod
    def _create_actor_inbox() -> Any:
        return SimpleQueue()

    @staticmethod
    def _create_future() -> Any:
        raise AssertionError("nobody asks")

    def _start_actor_loop(self) -> None:
        raise AssertionError("the test runs its turns")
