"""A leader's day before followers who are stopped out, whose opens are refused, and whose copier dies as a guard trips.

All that a day of guards has (`guards.py`), and besides: money goes so far that the broker takes copies himself, seen or
unseen; brokers refuse opens, so that they are stopped for a while; and a process that ends, orderly or not, at any
moment between a limit that is passed and the last copy that is closed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from cmam.domain.events import Event, GuardRearmed, GuardTripped, IntentRecorded, IntentSettled, Outcome
from cmam.domain.values.commands import CommandKind
from cmam.sandbox.trading import margin
from tests.oracle import drawn
from tests.oracle.day import IDS, PRICE, Theirs, opened_by
from tests.oracle.guards import GuardDay, Market, source_of
from tests.oracle.latches import Latch, worth
from tests.rulebook import BUY, LEAD, NETTED_LEAD, SELL, Case

NEW_ORDER = "2106"
REFUSALS = ("MAX_EXPOSURE_REACHED", "TRADING_DISABLED")
"""One that is for good, and one after which an open is tried again while it is young."""
AT_ONCE, SOON, LATER = "1s", "8s", "30m"
"""How long opens stay stopped: over by the next look, at the end of the act, and not on this day."""
OPENING = (CommandKind.OPEN, CommandKind.ADD, CommandKind.PLACE)


class StrainMarket(Market):
    """A world in which half of the accounts are stopped out in parts."""

    def _account(self, case: Case) -> str:
        strategy = ("most_margin_first", "most_losing_first")[self.ids[case.name] % 2]
        is_whole = str(self.ids[case.name] % 4 < 2).lower()
        return super()._account(case) + f'stop_out_strategy = "{strategy}"\nfair_stop_out = {is_whole}\n'


class StrainDay(GuardDay):
    """One world from a seed, with guards, want of margin, refusals and ends of the process."""

    market = StrainMarket

    def __init__(self, seed: int, followers: int = 16) -> None:
        super().__init__(seed, followers)
        self.stopped: dict[str, set[int]] = {case.name: set() for case in self.cases}
        """The stop-outs that were seen, by their orders."""
        self.clipped: set[tuple[str, int]] = set()
        """Whose copy of which of the leader's positions a stop-out has made smaller: it never grows."""
        self.soon: set[str] = set()
        """Whose opens are about to go on."""

    def _draw(self, index: int) -> Case:
        case = super()._draw(index)
        settings = dict(case.settings)
        if self.chance.random() < 0.6:
            settings["max_rejections"] = self.chance.choice(("1", "2", "2", "3"))
            settings["rejection_cooldown"] = self.chance.choice((AT_ONCE, SOON, LATER))
        return replace(case, settings=settings)

    def _acts(self) -> list[Callable[[], None]]:
        acts = super()._acts()
        if self.book.frozen:
            return acts
        acts += [self._refuse_opens] * 2 + [self._ruin] * 2 + [self._die] * 2 + [self._ruin_unseen]
        return [*acts, self._refuse_growth] if self.held else acts

    # --- opens that are refused

    def _is_refused_often(self, case: Case) -> bool:
        """Whether so many opens of the follower were refused in a row, since they were let go on, that they stop."""
        limit = int(case.settings.get("max_rejections", "0"))
        others = {source[1:] for source in self._others()}
        opening: set[str] = set()
        links: set[str] = set()
        count = 0
        is_often = False
        for event in self.book.events(self.book.ids[case.name], Event):
            match event:
                case IntentRecorded() if event.command.kind in OPENING and event.source not in others:
                    opening.add(event.intent)
                    links.add(event.link)
                case IntentSettled(outcome=Outcome.REFUSED) if event.intent in opening:
                    count += 1
                    is_often = is_often or 0 < limit <= count
                case IntentSettled(outcome=Outcome.CONFIRMED) if event.intent in opening:
                    count = 0
                case GuardRearmed() if event.link in links and event.guard in ("", "rejections"):
                    count, is_often = 0, False
        return is_often

    def _judge(self, case: Case, why: str) -> None:
        events = self.book.events(self.book.ids[case.name], GuardTripped)[self.tripped[case.name] :]
        is_often = self._is_refused_often(case)
        has_been = any(event.guard == "rejections" for event in events)
        if "rejections" not in self.guards[case.name].latches and (is_often or has_been):
            self.due[case.name]["rejections"] = is_often
        super()._judge(case, why)
        latches = self.guards[case.name].latches
        if "rejections" in latches and case.settings["rejection_cooldown"] == AT_ONCE:
            del latches["rejections"]
        elif "rejections" in latches and case.settings["rejection_cooldown"] == SOON:
            self.soon.add(case.name)

    def _settle(self, why: str) -> None:
        super()._settle(why)
        if self.soon:
            self.book.go(9)
            for name in self.soon:
                self.guards[name].latches.pop("rejections", None)
            self.counts["opens go on"] += len(self.soon)
            self.soon.clear()

    def _refuse_opens(self) -> None:
        """Brokers refuse what opens, all of it or some, for good or for now."""
        code = self.chance.choice(REFUSALS)
        self.book.is_hurried = False
        for _ in range(self.chance.choice((1, 2, 3))):
            symbol, side, units, wire = self._wish()
            self._look()
            position = self.book.person.buy(int(units * 100), symbol=IDS[symbol], side=side, **wire)
            mine = self.book.broker.floor.accounts[LEAD].positions[position]
            self._refuse(code)
            if not mine.volume:
                continue
            theirs = self._takes(position, opened_by(symbol, side, units, Fraction(mine.price, PRICE), wire))
            self.book.run(1.2)
            self.book.broker.clear_fault("error")
            for case in self.cases:
                self._see_refused(case, theirs)
        self.book.go(2)
        for case in self.cases:
            self._take_up_late(case)

    def _refuse(self, code: str) -> None:
        share = self.chance.choice(("1", "1", "0.6"))
        self.book.broker.set_fault("error", {"code": code, "type": NEW_ORDER, "chance": share})

    def _see_refused(self, case: Case, theirs: Theirs) -> None:
        new = [one for one in self.book.held(case.name) if one.label.endswith(source_of(theirs.position))]
        word = self._became(case, "opened", theirs.position)
        self.counts[f"refused: {'copied' if new else word}"] += 1
        if new:
            self._take_up(case, theirs, new[0])
            theirs.copies[case.name][1].shift = Fraction(round(new[0].price * PRICE), PRICE) - theirs.opened.price
        else:
            self.late.add((case.name, theirs.position))

    def _refuse_growth(self) -> None:
        """Brokers refuse what is to be added: the copies stay what they are."""
        theirs = self.chance.choice(self.held)
        self.book.is_hurried = False
        self._look()
        there = self._positions()
        side = BUY if theirs.opened.is_long else SELL
        added = self._units(theirs.opened.symbol)
        symbol, books = IDS[theirs.opened.symbol], self.book.broker.floor.accounts[LEAD]
        self.book.person.buy(int(added * 100), symbol=symbol, side=side, positionId=theirs.position)
        self.book.broker.set_fault("error", {"code": REFUSALS[0], "type": NEW_ORDER})
        self.book.run(1.5)
        self.book.broker.clear_fault("error")
        theirs.units = Fraction(books.positions[theirs.position].volume, 100)
        self.book.go(2)
        for case, position, copy in self._copies(theirs):
            held = {one.position: Fraction(one.volume, 100) for one in self.book.held(case.name)}
            self.counts["refused growth"] += 1
            if position in there[case.name] and held.get(position) not in (copy.units, None):
                self._report(case, f"growth was refused {theirs}", held.get(position), copy)

    # --- want of margin

    def _ruin(self) -> None:
        """Money is paid out until the broker closes what he wants closed."""
        self.book.is_hurried = False
        taken = self._pay_out()
        self._note()
        self.book.go(3)
        self._see_stopped_out()
        self._note()
        self._pay_back(taken)
        self.book.go(1)
        for case in self.cases:
            self._judge(case, "it is ruined")

    def _ruin_unseen(self) -> None:
        """The same while nobody is there."""
        self.book.is_hurried = False
        self.book.go(10.5)
        self._note()
        self.book.kill() if self.chance.random() < 0.5 else self.book.stop()
        self._wait_and_pay_back(self._pay_out())
        self.book.start()
        self.book.go(6)
        self._see_stopped_out()

    def _wait_and_pay_back(self, taken: dict[str, Fraction]) -> None:
        self.book.run(2)
        self._pay_back(taken)
        self.book.run(0.5)

    def _pay_out(self) -> dict[str, Fraction]:
        floor = self.book.broker.floor
        taken: dict[str, Fraction] = {}
        for case in self.cases:
            books = floor.accounts[self.book.ids[case.name]]
            used = margin.used(books)
            if not used or self.chance.random() < 0.5:
                continue
            wanted = Fraction(self.chance.randrange(25, 50), 100) * used
            amount = Fraction(int(floor.equity(books) - wanted), 10**books.spec.money_digits)
            if amount <= 0:
                continue
            self._pay_in(case, -amount)
            taken[case.name] = amount
        self.book.stepper.network.collect()
        return taken

    def _pay_back(self, taken: dict[str, Fraction]) -> None:
        for case in self.cases:
            if case.name in taken:
                self._pay_in(case, taken[case.name])
        self.book.stepper.network.collect()

    def _pay_in(self, case: Case, money: Fraction) -> None:
        self.guards[case.name].pay(money)
        amount = Decimal(abs(money).numerator) / Decimal(abs(money).denominator)
        kind = "deposit" if money > 0 else "withdraw"
        self.book.broker.set_fault(kind, {"account": str(self.book.ids[case.name]), "amount": str(amount)})

    def _see_stopped_out(self) -> None:
        """See what brokers have taken by themselves since the last look: it locks whose copies it was."""
        for case in self.cases:
            books = self.book.broker.floor.accounts[self.book.ids[case.name]]
            orders = [order for order in books.past_orders.values() if order.is_stop_out and order.executed]
            for order in orders:
                if order.order_id not in self.stopped[case.name]:
                    self.stopped[case.name].add(order.order_id)
                    self._see_taken(case, order.position_id, books)

    def _others(self) -> set[str]:
        """How the labels of copies end that are the second leader's."""
        return {source_of(deal.position_id) for deal in self.book.broker.floor.accounts[NETTED_LEAD].deals.values()}

    def _see_taken(self, case: Case, position: int, books: Any) -> None:
        held = books.positions.get(position)
        left = Fraction(held.volume if held is not None else 0, 100)
        label = next((order.label for order in books.past_orders.values() if order.position_id == position), None)
        if not label:  # a copy has one, and a position may be taken in several parts
            self.own[case.name] -= set() if left else {position}
            self.counts["stopped out: his own"] += 1
            return
        if (label or "").endswith(tuple(self._others())):
            self.locked_second.add(case.name)
            if not left:
                self.seconds.pop(case.name, None)
            self.counts["stopped out: the second leader's"] += 1
            return
        latch = Latch("open_only_off", "profile", ends_with_day=False)
        self.guards[case.name].latches["stop_out"] = latch
        self._lock(case, "stop_out", latch)
        theirs = next((one for one in self.held if one.copies.get(case.name, (0,))[0] == position), None)
        self.counts[f"stopped out: {'a part' if left else 'whole'}{'' if theirs else ', of what is over'}"] += 1
        if theirs is None:
            return
        if not left:
            del theirs.copies[case.name]
            self.over.add((case.name, theirs.position))
            return
        copy = theirs.copies[case.name][1]
        copy.target = min(left, copy.target * left / copy.units)  # what is left is all there is to part with
        copy.units = left
        self.clipped.add((case.name, theirs.position))
        self.over.add((case.name, theirs.position))

    def _grow(self) -> None:
        with self._without_clipped():
            super()._grow()

    def _reduce(self) -> None:
        with self._without_clipped():
            super()._reduce()

    @contextmanager
    def _without_clipped(self) -> Iterator[None]:
        """Look at copies that were stopped out in part apart: they never grow, and part with no more than they have."""
        before = {theirs.position: theirs.units for theirs in self.held}
        apart = [
            (case, theirs, *theirs.copies.pop(case.name))
            for theirs in self.held
            for case in self.cases
            if (case.name, theirs.position) in self.clipped and case.name in theirs.copies
        ]
        yield
        for case, theirs, position, copy in apart:
            held = {one.position: Fraction(one.volume, 100) for one in self.book.held(case.name)}.get(position)
            times = min(Fraction(1), theirs.units / before[theirs.position])
            of = drawn.BROKERS[case.broker][copy.symbol]
            least = copy.target * times - (of.least if case.settings.get("partial_rounding") == "up" else 0)
            self.counts["stopped out in part: then"] += 1
            if (held is None and least >= of.least) or (held is not None and not least <= held <= copy.units):
                self._report(case, f"clipped, from {before[theirs.position]}: {theirs}", held, (copy, float(least)))
            if held is not None:
                copy.target, copy.units = copy.target * times, held
                theirs.copies[case.name] = position, copy

    # --- ends of the process

    def _die(self) -> None:
        """The market leaps, and the process ends while guards see it, or while what they close is under way."""
        self.book.is_hurried = False
        self.book.go(10.5)
        self._note()
        with self._hurry():
            self._move()
        self._note_what_may_be_forgotten()
        self.book.run(self.chance.randrange(1, 16) / 10)
        self.book.kill() if self.chance.random() < 0.7 else self.book.stop()
        self.counts["died"] += 1
        self.book.run(self.chance.randrange(1, 30) / 10)
        self.book.start()
        self.book.go(6)

    def _note_what_may_be_forgotten(self) -> None:
        """What equity is may be seen, and be forgotten."""
        for case in self.cases:
            seen = worth(drawn.account(self.book, self.book.ids[case.name]))
            self.guards[case.name].see(seen, is_unsure=True)
            for name in self.guards[case.name].beyond(seen):
                self.due[case.name].setdefault(name, False)
