"""A leader's day in which the log is lost and an older one is put back, as `cmam restore` does, at drawn moments.

What cmam did between the backup and its end must stand as it is: nothing is closed, moved or opened once more, and what
the leader did after that end is met as ever. Afterwards the day goes on, held against the rules as on any other day.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

from cmam.domain.guarding.latches import TWIN
from cmam.store.upkeep.known_end import note_restore
from tests.oracle import drawn
from tests.oracle.day import STEP, Day, Theirs, level_of
from tests.rulebook import Case
from tests.whole import FaultyLog

READY_TRIES = 30


class RestoreDay(Day):
    """One world from a seed, in which the process dies now and then and goes on from a backup."""

    def __init__(self, seed: int, followers: int = 30) -> None:
        super().__init__(seed, followers)
        self.apart: set[int] = set()
        """Positions of the leader's of which no copy's remainder is known."""

        self.labels: dict[str, set[str]] = {}
        """What each follower had ever opened before the log was lost."""

    def _orders(self, case: Case) -> list[Any]:
        return self.book.orders(self.book.ids[case.name])

    def _acts(self) -> list[Callable[[], None]]:
        return [*super()._acts(), *([self._lose] * 4 if self.held else [])]

    def _lose(self) -> None:
        """Back up, go on for a while, die, and begin again from the backup."""
        kept = FaultyLog.in_memory()
        self.book.let_record()
        self.book.log.connection.backup(kept.connection)
        kept.refresh()
        known = {theirs.position for theirs in self.held}
        for _ in range(self.chance.randrange(1, 5)):
            self._move()
            acts = [self._open, *([self._reduce, self._reduce, self._reduce, self._amend] if self.held else [])]
            self.chance.choice([*acts, *([self._close] if len(self.held) > 2 else [])])()
        before = self._shown()
        self.labels = {case.name: {order.label for order in self._orders(case)} for case in self.cases}
        self.book.kill()
        part = self._part_unseen() if self.chance.random() < 0.4 else None
        self.book.go(self.chance.choice((2, 40, 200)))
        self._begin_again(kept)
        apart = {name: key for name, (key, _) in part[0].copies.items()} if part is not None else {}
        if part is not None:
            self._leave_rounding(part[0], part[1], known)
            self._see_reduced(*part)
        self._see_restored(known, before, apart)
        self._rearm()

    def _leave_rounding(self, theirs: Theirs, closed: Fraction, known: set[int]) -> None:
        """Of a trade that was opened after the backup the log does not know how its copies were rounded: where less
        than two steps of one are above what is left of the leader's, it may stay as it is."""
        there = self._positions()
        for case, position, copy in self._copies(theirs) if theirs.position not in known else ():
            of = drawn.BROKERS[case.broker][copy.symbol]
            wanted = copy.target * (theirs.units - closed) / theirs.units
            held = there[case.name].get(position)
            is_left = held is not None and Fraction(held.volume, 100) == copy.units
            if is_left and copy.units - wanted < 2 * max(of.step, of.least):
                del theirs.copies[case.name]
                self.counts["restored: left, for it may be rounding"] += 1

    def _shown(self) -> dict[str, dict[int, tuple[int, Fraction | None, Fraction | None]]]:
        return {
            name: {key: (held.volume, level_of(held.stop), level_of(held.target)) for key, held in there.items()}
            for name, there in self._positions().items()
        }

    def _part_unseen(self) -> tuple[Theirs, Fraction] | None:
        """The leader closes a part of what he holds while nothing runs."""
        held = [theirs for theirs in self.held if theirs.position not in self.apart]
        theirs = self.chance.choice(held) if held else None
        step = STEP.get(theirs.opened.symbol, Fraction(1_000)) if theirs is not None else Fraction(1)
        if theirs is None or theirs.units <= step:
            return None
        closed = self.chance.randrange(1, int(theirs.units / step)) * step
        self.book.person.close(theirs.position, int(closed * 100), account=self.lead)
        return theirs, closed

    def _begin_again(self, kept: FaultyLog) -> None:
        note_restore(kept, kept.position(), self.book.now_us())
        self.book.log = kept
        self.book.start()
        for _ in range(READY_TRIES):
            self.book.pulse()
            self.book.run(1)
            if self.book.is_ready():
                break
        assert self.book.is_ready()
        self.book.go(15)
        self._seen.clear()

    def _see_restored(
        self,
        known: set[int],
        before: dict[str, dict[int, tuple[int, Fraction | None, Fraction | None]]],
        apart: dict[str, int],
    ) -> None:
        """Hold what stands after a restore against what stood before: it is the same, whatever the log has lost, but
        `apart` from what the leader has closed since, and targets for which there was no room."""
        there = self._shown()
        for name, held in self._positions().items():
            for key in [one for one in held if one not in before[name] and held[one].label not in self.labels[name]]:
                del there[name][key]  # skipped before, and what was in its way is so no more: it is its first open
        for theirs in self.held:
            for case, position, copy in self._copies(theirs):
                if copy.owed is not None and position in there[case.name]:
                    copy.target_level = there[case.name][position][2]
                    before[case.name][position] = there[case.name][position]
        for case in self.cases:
            self._see_same(case, before[case.name], there[case.name], apart.get(case.name, 0))
            self.counts["restored"] += 1
        for theirs in self.held:
            for case, position, copy in self._copies(theirs) if theirs.position not in known else ():
                copy.target = copy.units  # its remainder was known to the log alone
                if apart.get(case.name) == position:
                    self.apart.add(theirs.position)
                    del theirs.copies[case.name]  # that of what the leader has closed since, too

    def _see_same(self, case: Case, was: dict[int, object], now: dict[int, object], part: int) -> None:
        was, now = ({key: what for key, what in one.items() if key != part} for one in (was, now))
        if was != now:
            changed = {key: (was.get(key), now.get(key)) for key in {*was, *now} if was.get(key) != now.get(key)}
            self._report(case, "the log was restored", changed, "what it was")

    def _rearm(self) -> None:
        """A person has looked: let those open again whose other life was seen."""
        for case in self.cases:
            view = self.book.view(self.book.ids[case.name])
            if view is not None and any(guard == TWIN for _, guard in view.latches):
                self.counts["restored: another life was seen"] += 1
                assert self.book.command({"command": "rearm", "profile": case.name, "guard": TWIN})["ok"]
        self.book.go(4)
