"""Runs that are run again, for what-if: one world, one trader and one seed, two settings; what each side decided.

What a what-if says of the first run must be what the second one did. The market stands still but where the day moves
it, so that fills are equal wherever the two runs ask for them at the same moment.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from cmam.domain.belief.view import AccountView
from cmam.domain.events import AttemptDecided, ChangeDecided
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.what_if import Asked
from cmam.store.what_if.answers import Answers
from cmam.store.what_if.rows import Rows
from cmam.store.what_if.run import Run
from tests.rulebook import EURUSD, GBPUSD, SELL, UNIT, Case, Rulebook

Decided = tuple[int, str, str, str, int, tuple[int, int] | None]
"""The number of the leader's trade, its change, the verdict, the reason, the volume and the exact target."""

FOLLOWERS = (
    ("same", "Same", "USD", "hedged"),
    ("mini", "Mini", "EUR", "hedged"),
    ("odd", "Odd", "JPY", "hedged"),
    ("net", "Same", "USD", "netted"),
)


def a_day(settings: Mapping[str, str]) -> Rulebook:
    """A leader's day with everything in it: levels, growth, parts, a turn of the market, resting orders, a cancel."""
    chosen = {"volume.basis": "units", **settings}
    book = Rulebook([Case(name, broker, chosen, currency=money, kind=kind) for name, broker, money, kind in FOLLOWERS])
    book.begin()
    person = book.person
    first = person.buy(40_000 * UNIT, symbol=EURUSD, relativeStopLoss=400, relativeTakeProfit=900)
    book.go(3)
    second = person.buy(13_000 * UNIT, symbol=GBPUSD, side=SELL)
    book.go(3)
    person.close(first, 17_000 * UNIT)
    book.go(2)
    person.buy(9_000 * UNIT, symbol=EURUSD, positionId=first)
    book.go(2)
    person.amend(first, stop=1.08011)
    book.go(12)
    resting = person.place(model.LIMIT, 21_000 * UNIT, price=1.08303, stopLoss=1.07213)
    book.go(2)
    cancelled = person.place(model.STOP, 8_000 * UNIT, price=1.09207)
    book.go(2)
    person.cancel(cancelled)
    book.go(2)
    book.price("EURUSD", "1.08250")
    book.go(4)
    third = person.buy(6_000 * UNIT, symbol=EURUSD, side=SELL)
    book.go(2)
    person.close(second, 13_000 * UNIT)
    book.go(2)
    fourth = person.buy(70_000 * UNIT, symbol=GBPUSD)
    book.go(12)
    person.close(first, 32_000 * UNIT)
    book.go(2)
    person.close(third, 6_000 * UNIT)
    book.go(2)
    person.close(fourth, 70_000 * UNIT)
    book.go(2)
    assert resting
    assert book.stepper.failures == []
    return book


def live(book: Rulebook) -> dict[str, list[Decided]]:
    """What each follower decided, as it stands in the record."""
    found: dict[str, list[Decided]] = defaultdict(list)
    numbers: dict[str, int] = {}
    for record in book.log.read_all():
        if isinstance(record.event, ChangeDecided):
            found[_name(book, int(record.stream.removeprefix("account:")))].append(_decided(record.event, numbers))
    return found


class Spy(Rows):
    """The rows of a what-if, and every decision on its side."""

    def __init__(self, book: Rulebook) -> None:
        super().__init__()
        self.decisions: dict[str, list[Decided]] = defaultdict(list)
        self._book = book
        self._numbers: dict[str, int] = {}

    def decided(
        self, view: AccountView, recorded: ChangeDecided | None, other: ChangeDecided | None, at_us: int
    ) -> None:
        super().decided(view, recorded, other, at_us)
        if other is not None:
            self.decisions[_name(self._book, int(view.account))].append(_decided(other, self._numbers))


def run_again(book: Rulebook, settings: Mapping[str, str]) -> tuple[Run, Spy]:
    """A what-if of a day under other settings, in the place of all that were recorded."""
    chosen = {"volume.basis": "units", **settings}
    documents: list[dict[str, Any]] = [
        {"name": name, "settings": {}, "followers": [{"account": str(book.ids[name]), "settings": chosen}]}
        for name in book.ids
    ]
    asked = Asked.of(book.folded().registry, {}, documents=documents)
    run = Run(Answers.of(book.log.read_all()), asked)
    run.rows = spy = Spy(book)
    run.take_all(book.log.read_all())
    return run, spy


def _name(book: Rulebook, account: int) -> str:
    return next(name for name, number in book.ids.items() if number == account)


def _decided(event: ChangeDecided | AttemptDecided, numbers: dict[str, int]) -> Decided:
    assert isinstance(event, ChangeDecided)
    number = numbers.setdefault(event.change.source, len(numbers))
    goal = (event.goal.target_numerator, event.goal.target_denominator) if event.goal is not None else None
    reason = event.reason.value if event.reason is not None else ""
    return (number, event.change.kind.value, event.verdict.value, reason, int(event.volume), goal)
