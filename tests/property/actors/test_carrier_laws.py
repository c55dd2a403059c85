"""A carrier's lanes: whatever presses, no actor hears two messages in another order than their kinds allow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from cmam.actors.threads.carrier import EXPRESS, Carrier, carried
from cmam.actors.threads.runtime import Directory, Latch, Watched
from tests.waiting import PATIENCE_S


@dataclass(frozen=True)
class Said:
    """A message: its place in the order of telling, and whether its actor finds it pressing."""

    number: int
    presses: bool


class First(Said):
    pass


class Second(Said):
    pass


class Third(Said):
    pass


class Fourth(Said):
    pass


KINDS = (First, Second, Third, Fourth)
LANES = {kind: lane for lane, kind in enumerate(KINDS[:-1])}


class Hearing(Watched):
    """Writes down what it is told; a latch holds it, and the thread, until it opens."""

    def __init__(self, name: str, directory: Directory, heard: list[tuple[str, Said]]) -> None:
        super().__init__()
        self._name, self._directory, self._heard = name, directory, heard

    def is_pressing(self, message: Any) -> bool:
        return isinstance(message, Said) and message.presses

    def on_receive(self, message: Any) -> None:
        if isinstance(message, tuple):
            begun, go = message
            begun.open()
            assert go.wait(PATIENCE_S)
        elif isinstance(message, Latch):
            message.open()
        else:
            self._heard.append((self._name, message))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(KINDS), st.booleans()), max_size=24))
def test_what_presses_overtakes_others_and_nothing_of_its_own_that_is_as_urgent(
    told: list[tuple[str, type[Said], bool]],
) -> None:
    """Of two messages for one actor the later is heard first only if its kind goes first; nothing is lost."""
    heard: list[tuple[str, Said]] = []
    begun, go, done = Latch(), Latch(), Latch()
    kind = carried(Hearing, Carrier("laws", LANES, long_s=PATIENCE_S))
    refs = {name: kind.start(name, Directory(), heard) for name in "ab"}
    try:
        refs["a"].tell((begun, go))
        assert begun.wait(PATIENCE_S)
        for number, (name, which, presses) in enumerate(told):
            refs[name].tell(which(number, presses))
        refs["b"].tell(done)
        go.open()
        assert done.wait(PATIENCE_S)
    finally:
        for ref in refs.values():
            ref.stop()
    assert sorted(message.number for _, message in heard) == list(range(len(told)))
    for place, (name, earlier) in enumerate(heard):
        for other, later in heard[place + 1 :]:
            if later.number > earlier.number:
                continue
            if name == other:
                assert KINDS.index(type(earlier)) < KINDS.index(type(later))
            elif KINDS.index(type(later)) <= EXPRESS:
                assert KINDS.index(type(earlier)) <= EXPRESS or earlier.presses
