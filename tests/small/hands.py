"""What a person does to a follower's positions, in the world and by the law: it stands, and nothing makes up for it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from cmam.domain.events import IntentRecorded
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import ChangeKey, IntentId, LinkId, SourceKey
from cmam.domain.values.quantities import Price, Volume
from cmam.domain.values.replacing import replace
from cmam.domain.values.trades import Position
from tests.small.books import PRICE, Books

PERSONS_STOP = Price(PRICE - 300_000)
"""Where a person sets a stop: nearer than the leader's, which stand at 40 and 50 pips."""


class Hand(StrEnum):
    """One thing that a person does to a position."""

    ALL = "closes all"
    HALF = "closes half"
    STOP = "moves the stop"


@dataclass(frozen=True)
class Touch:
    """What a person has done: to which copies, what their position had before and after, beside which requests of ours
    that were under way, after how many of the leader's acts, and whether it was told at once."""

    hand: Hand
    labels: tuple[str, ...]
    """How the copies' labels end; on a net those of all shares that were known by then."""
    before: int
    after: int
    beside: tuple[CommandKind, ...]
    acts: int
    is_told: bool = True
    of_net: bool = False


def requests(books: Books, hand: Hand, number: int) -> Iterator[IntentRecorded]:
    """The requests by which a person may do it, one for each position that there is."""
    for held in books.positions.values():
        if hand is Hand.STOP:
            if held.stop != PERSONS_STOP:
                yield _request(number, _of(CommandKind.AMEND_PROTECTION, held, stop=PERSONS_STOP, target=held.target))
            continue
        volume = held.volume if hand is Hand.ALL else Volume(held.volume // 2)
        yield _request(number, _of(CommandKind.CLOSE, held, side=held.side.opposite, volume=volume))


def _of(kind: CommandKind, held: Position, **more: object) -> Command:
    command = Command(kind=kind, symbol=held.symbol, side=held.side, position=held.position)
    return replace(command, **more)


def _request(number: int, command: Command) -> IntentRecorded:
    return IntentRecorded(
        intent=IntentId(f"a-person-{number}"),
        link=LinkId(""),
        source=SourceKey(""),
        seq=number,
        change=ChangeKey(""),
        command=command,
    )


def share_left(touches: tuple[Touch, ...], name: str) -> tuple[Fraction, Fraction]:
    """Which fraction of what is right a person has left of what bears this label: at least, and at most.

    What is asked for without knowing of it, or is under way beside it, was reckoned without it; on a net nobody knows
    then whose a part was.
    """
    least = most = Fraction(1)
    for touch in touches:
        if touch.hand is Hand.STOP:
            continue
        left = Fraction(touch.after, touch.before)
        is_known = touch.is_told and not (touch.beside if touch.of_net else CommandKind.CLOSE in touch.beside)
        is_its = any(label.endswith(name) for label in touch.labels)
        if is_its:
            most *= left if is_known else 1
        if is_its or (touch.of_net and not is_known):
            least = least * left if touch.is_told and not touch.beside else Fraction(0)
    return least, most
