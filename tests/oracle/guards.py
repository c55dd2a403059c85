"""A leader's day before followers whose guards trip: what is locked, closed, cancelled and opened then, and what not.

Markets leap, money comes and goes, days roll, quotes stop, people close copies, trade beside them and re-arm. Whether a
guard must have tripped is worked out from the broker's books after every act (`latches.py`); of the record only the
names of the guards that have are read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from cmam.domain.events import GuardTripped
from cmam.openapi._pb.OpenApiModelMessages_pb2 import LIMIT, STOP
from tests.oracle import drawn
from tests.oracle.day import IDS, PRICE, STEPS, Day, Theirs, exact_price, level_of, opened_by
from tests.oracle.latches import GUARDS, MONEY, ZERO, Guarded, Latch, exactly, worth
from tests.oracle.rules import Copy, Decision, Open, Outcome, Rest, Standing, carried_levels
from tests.person import Held
from tests.rulebook import BUY, FEEDS, LEAD, NETTED_LEAD, SELL, Case, Rulebook

SYMBOLS = ("EURUSD", "GBPUSD", "USDJPY")
MINUTE_US = 60_000_000
RESETS = {2: "00:02 UTC", 3: "19:03 America/New_York", 4: "01:04 Europe/Berlin", 30: "00:30 UTC"}
"""When a day may begin: by the minute after midnight in UTC, on the first of January 2020."""
LATE = frozenset({"stale_input", "equity_unknown", "copied, and nothing is there"})
AT_A_LEVEL = frozenset({"level_passed", "stop_too_close"})
UNREALISED_PNL, CLOSE_POSITION = "2187", "2111"
SECOND_SETTINGS = {"volume.basis": "units", "volume.amount": "0.1"}


class Market(Rulebook):
    """A world whose quotes may stop, and in which an act may be looked at before anything follows from it."""

    frozen = ""
    is_hurried = False

    def pulse(self) -> None:
        for feed, (_, step) in FEEDS.items():
            if feed != self.frozen:
                for bid in (self.bids[feed] + Decimal(step), self.bids[feed]):
                    self._move(feed, bid)
        self.stepper.network.collect()

    def held(self, name: str) -> list[Held]:
        """What a follower holds by the broker's books: a look that takes no time."""
        books = self.broker.floor.accounts[self.ids[name]]
        return [
            Held(
                one.position_id,
                one.volume,
                one.side,
                one.label or "",
                (one.sl or 0) / PRICE,
                (one.tp or 0) / PRICE,
                one.symbol_id,
                one.price / PRICE,
                one.trailing,
            )
            for one in sorted(books.open_positions(), key=lambda one: one.position_id)
        ]

    def go(self, seconds: float = 1.0) -> None:
        if self.is_hurried:
            self.run(0.4)
        else:
            super().go(seconds)


class GuardDay(Day):
    """One world from a seed, with guards."""

    market = Market

    def __init__(self, seed: int, followers: int = 16) -> None:
        super().__init__(seed, followers)
        self.book: Market = self.market(self.cases, seed=seed)
        self.guards: dict[str, Guarded] = {}
        self.due: dict[str, dict[str, bool]] = {case.name: {} for case in self.cases}
        self.tripped: dict[str, int] = dict.fromkeys(self.due, 0)
        self.own: dict[str, set[int]] = {name: set() for name in self.due}
        self.seconds: dict[str, int] = {}
        """The copy of the second leader's position, by the follower."""
        self.second = 0
        self.locked_second: set[str] = set()
        self.paused: set[str] = set()
        self.resting: dict[int, dict[str, int]] = {}
        self.over: set[tuple[str, int]] = set()
        """Which follower has had a copy of which position that is over, and may open no other."""
        self.late: set[tuple[str, int]] = set()
        self.awaited: dict[tuple[str, int], int] = {}
        """By follower and position: the order that has filled, whose copy may still come."""
        self._only: Callable[[Case], bool] | None = None
        self._is_deaf = False
        self._resets = {case.name: self._reset_of(case) for case in self.cases}
        self._has_second = [case for case in self.cases if self.chance.random() < 0.4]
        self.book.add_accounts(NETTED_LEAD)
        for case in self._has_second:
            self.book.writer.carry_out(
                {
                    "command": "profile.create",
                    "name": f"{case.name} too",
                    "leader": str(NETTED_LEAD),
                    "followers": [str(self.book.ids[case.name])],
                    "settings": SECOND_SETTINGS,
                }
            )

    @staticmethod
    def _reset_of(case: Case) -> int:
        return next((minute for minute, text in RESETS.items() if text == case.settings.get("guard.reset")), -1)

    # --- policies

    def _draw(self, index: int) -> Case:
        chance = self.chance
        broker = chance.choice(("Same", "Same", "Mini", "Odd", "Dear"))
        currency = chance.choice(("USD", "USD", "EUR", "GBP", "JPY"))
        whole = chance.choice((9_000, 50_000, 50_000, 400_000)) * (150 if currency == "JPY" else 1)
        whole += chance.randrange(0, 1_000)
        settings = {"volume.basis": "units", "volume.amount": chance.choice(("0.37", "1", "2.3"))}
        for name, value, share in (
            ("reverse", "on", 0.3),
            ("reverse_without_stop", "on", 0.5),
            ("margin_reserve", "off", 0.2),
            ("reopen", "on", 0.4),
            ("copy_sl", "off", 0.1),
            ("partial_rounding", "up", 0.1),
        ):
            if chance.random() < share:
                settings[name] = value
        for name in chance.sample(GUARDS, chance.choice((0, 1, 1, 1, 2, 3))):
            limit = whole * chance.choice((Fraction(2, 1000), Fraction(5, 1000), Fraction(1, 100), Fraction(2, 100)))
            if name == "min_equity":
                limit = whole - limit
            elif name == "take_equity":
                limit = whole + limit
            settings[name] = str(round(float(limit), 2))
            if name not in ("min_equity", "take_equity") and chance.random() < 0.5:
                settings[name] = chance.choice(("0.2%", "0.5%", "1%", "2.5%"))
        for name, values in (
            ("guard.reaction", ("open_only_off", "close_only", "flatten")),
            ("guard.lockout", ("day", "rearm")),
            ("guard.scope", ("account", "profile")),
            ("guard.anchor", ("balance", "equity")),
            ("guard.percent_of", ("initial", "anchor")),
            ("guard.initial", (str(whole), str(whole * 101 // 100), str(whole * 99 // 100))),
            ("guard.peak", ("end_of_day",)),
            ("guard.stop_at_initial", ("on",)),
            ("guard.reset", tuple(RESETS.values())),
            ("guard.confirm", ("500ms", "2s")),
            ("guard.bonus", ("on",)),
        ):
            if chance.random() < 0.4:
                settings[name] = chance.choice(values)
        leverage = chance.choice((100, 500))
        return Case(f"f{index}", broker, settings, None, currency, str(whole), leverage=leverage)

    def _wish(self) -> tuple[str, int, Fraction, dict[str, Any]]:
        symbol = self.chance.choice([one for one in SYMBOLS if one != self.book.frozen])
        wire = self._distances(symbol) if self.chance.random() < 0.4 else {}
        return symbol, self.chance.choice((BUY, SELL)), self._units(symbol), wire

    def _units(self, symbol: str) -> Fraction:
        return self.chance.randrange(5, 120) * Fraction(1_000)

    # --- the day

    def _acts(self) -> list[Callable[[], None]]:
        acts: list[Callable[[], None]] = [self._open, self._open, self._pay, self._rearm, self._rearm, self._trade_too]
        acts += [self._trade_second, self._rest, self._stop_quotes if not self.book.frozen else self._let_quotes_come]
        acts += [self._set, self._set, self._flatten, self._pause]
        if self.held:
            acts += [self._grow, self._reduce, self._amend, self._take, self._take]
        if self.resting:
            acts += [self._unrest]
        if len(self.held) > 3:
            acts += [self._close, self._close]
        return acts if self.book.frozen else [*acts, self._restart, self._cut, self._refuse_closes]

    def run(self, steps: int = STEPS * 2) -> None:
        """Let the leader act so many times, each time after the market has moved; then he closes everything."""
        self.book.begin()
        for case in self.cases:
            account = drawn.account(self.book, self.book.ids[case.name])
            self.guards[case.name] = Guarded.first(case.settings, account.balance, worth(account))
        self._settle("it begins")
        for _ in range(steps):
            self._keep_days()
            with self._hurry():
                self._move()
            self._settle("the market moves")
            self._keep_days()
            act = self.chance.choice(self._acts())
            with self._hurry():
                act()
            self._settle(act.__name__.strip("_"))
        if self.book.frozen:
            self._let_quotes_come()
        while self.held:
            self._keep_days()
            with self._hurry():
                self._close()
            self._settle("he closes")
        self.wrong += [f"seed {self.seed}: {failure!r}" for failure in self.book.stepper.failures]

    @contextmanager
    def _hurry(self) -> Iterator[None]:
        """Look at what an act does before any guard has seen it for long enough."""
        self.book.is_hurried = True
        yield
        self.book.is_hurried = False

    def _keep_days(self) -> None:
        """Let no day roll within an act: one that is near rolls now."""
        now = self.book.now_us()
        if now % MINUTE_US < 30_000_000:
            return
        minute = now // MINUTE_US % 60 + 1
        rolls = [case for case in self.cases if self._resets[case.name] == minute]
        if not rolls:
            if now % MINUTE_US > 38_000_000:
                self.book.go((MINUTE_US - now % MINUTE_US) / 1_000_000 + 0.5)
            return
        if self.book.frozen:
            self._let_quotes_come()
        if self.chance.random() < 0.4 and self.book.now_us() % MINUTE_US < 45_000_000:
            self._sleep_over(rolls)
            return
        if self.chance.random() < 0.5 and self.book.now_us() % MINUTE_US < 50_000_000:
            self._leap_and_back()
        self.book.go((MINUTE_US - self.book.now_us() % MINUTE_US) / 1_000_000 + 1.5)
        assert self.book.now_us() // MINUTE_US % 60 == minute
        for case in rolls:
            account = drawn.account(self.book, self.book.ids[case.name])
            self.guards[case.name].roll(account.balance, worth(account))
            self.counts["days rolled"] += 1
        self._settle("the day rolls")

    def _sleep_over(self, rolls: list[Case]) -> None:
        """Nobody is there as a day rolls, and money may come and go before and after."""
        self.book.go(11)
        self._note()
        for case in self.cases:
            self._judge(case, "before a day rolls")
        self.book.kill()
        self.counts["asleep as a day rolled"] += 1
        before = self._move_money(0.3)
        self.book.run((MINUTE_US - self.book.now_us() % MINUTE_US) / 1_000_000 + 1)
        then = {case.name: drawn.account(self.book, self.book.ids[case.name]) for case in self.cases}
        after = self._move_money(0.3)
        is_seen = self._resets[rolls[0].name] + 1 in RESETS or self.chance.random() < 0.3
        self.book.run(1 if is_seen else 70)
        for case in self.cases:
            guards, account = self.guards[case.name], then[case.name]
            guards.pay(before.get(case.name, ZERO))
            paid = after.get(case.name, ZERO)
            if case not in rolls:
                guards.pay(paid)
            elif is_seen:
                guards.roll(account.balance, worth(account))
                guards.pay(paid)
            else:
                guards.roll_unseen(account.balance, is_flat=not account.holdings, paid=paid)
        self.book.start()
        self.book.go(12)
        self._settle("it wakes")

    def _move_money(self, share: float) -> dict[str, Fraction]:
        """Money is paid in or out while nobody looks."""
        found = {}
        for case in self.cases:
            if self.chance.random() < share:
                amount = round(Fraction(case.balance) * self.chance.choice((Fraction(1, 1000), Fraction(1, 50))))
                what, sign = self.chance.choice((("deposit", 1), ("withdraw", -1)))
                self.book.broker.set_fault(what, {"account": str(self.book.ids[case.name]), "amount": str(amount)})
                found[case.name] = Fraction(sign * amount)
        return found

    def _leap_and_back(self) -> None:
        """A market leaps shortly before a day rolls, and comes back."""
        self.book.go((MINUTE_US - 9_000_000 - self.book.now_us() % MINUTE_US) / 1_000_000)
        was = self.book.bids["EURUSD"]
        leap = self.chance.choice((-1, 1)) * self.chance.randrange(5, 30) * 10 * Decimal("0.00001")
        with self._hurry():
            self.book.price("EURUSD", str(was + leap))
            self.book.run(0.3)
            self._see_levels_hit()
            self._note(is_brief=True)
        self.book.run(0.8)
        self._note(is_brief=True)
        for case in self.cases:
            self._judge(case, "a leap")
        with self._hurry():
            self.book.price("EURUSD", str(was))
            self.book.run(0.3)
            self._see_levels_hit()
        self._note()
        self.book.go(4)
        self._note()
        for case in self.cases:
            self._judge(case, "a leap and back")
        self.counts["leaps before a day rolls"] += 1

    def _move(self) -> None:
        """One market leaps, seldom far."""
        feeds = [feed for feed in SYMBOLS if feed != self.book.frozen]
        feed = self.chance.choice(feeds)
        far = self.chance.choice((5, 20, 60, 100))
        leap = self.chance.randrange(-far, far + 1) * 10 * Decimal(FEEDS[feed][1])  # every broker's quotes stay fresh
        self.book.price(feed, str(self.book.bids[feed] + leap))
        self.book.run(0.3)
        self._see_levels_hit()

    def _see_levels_hit(self) -> None:
        before = {case.name: dict(self._sources(case)) for case in self.cases}
        self._look()
        self._see_hit()
        for case in self.cases:
            for source in before[case.name].keys() - dict(self._sources(case)).keys():
                self._see_reopened(case, source, "its level was hit")
        for order in self.resting.keys() - self.book.broker.floor.accounts[LEAD].orders.keys():
            self._see_filled(order)

    def _see_filled(self, order: int) -> None:
        """His order has filled: what rested of it is a copy, now or once its grace is over."""
        lead = self.book.broker.floor.accounts[LEAD]
        position = lead.past_orders[order].position_id
        rested, mine = self.resting.pop(order), lead.positions.get(position)
        if mine is None or not mine.volume:
            return
        symbol = next(name for name, number in IDS.items() if number == mine.symbol_id)
        units, price = Fraction(mine.volume, 100), Fraction(mine.price, PRICE)
        theirs = Theirs(position, Open(symbol, mine.side == BUY, units, price), units, None, None)
        self.held.append(theirs)
        self.counts["filled"] += 1
        for case in self.cases:
            if case.name in rested:
                self.awaited[case.name, position] = order
                self._see_fill(case, theirs)
            elif not self._stands_still(case):
                self.awaited[case.name, position] = order  # it opens by all the gates, if it was not cancelled

    def _see_fill(self, case: Case, theirs: Theirs) -> bool:
        """Whether a copy of his fill is there."""
        order = self.awaited[case.name, theirs.position]
        ends = (source_of(order, "o"), source_of(theirs.position))
        found = [held for held in self.book.held(case.name) if held.label.endswith(ends)]
        if not found:
            return False
        self.counts["filled: a copy"] += 1
        whole = Fraction(found[0].volume, 100) if found[0].label.endswith(ends[0]) else None
        self._take_up(case, theirs, found[0], whole)
        theirs.copies[case.name][1].shift = exact_price(found[0].price) - theirs.opened.price
        del self.awaited[case.name, theirs.position]
        return True

    def _sources(self, case: Case) -> Iterator[tuple[int, int]]:
        for theirs in self.held:
            if case.name in theirs.copies:
                yield theirs.position, theirs.copies[case.name][0]

    # --- what guards see

    def _is_locked(self, case: Case) -> bool:
        return bool(self.guards[case.name].latches)

    def _is_unsure(self, case: Case) -> bool:
        """Whether an add may be skipped for what is not known: a quote, or what a day began with."""
        return self._is_touched(case) or self.guards[case.name].is_lost

    def _stands_still(self, case: Case) -> bool:
        """Whether nothing opens and nothing grows."""
        return self._is_locked(case) or case.name in self.paused

    def _has(self, case: Case, reaction: str) -> bool:
        return any(latch.reaction == reaction for latch in self.guards[case.name].latches.values())

    def _is_sealed(self, case: Case) -> bool:
        """Whether the whole account is locked."""
        return any(latch.scope == "account" for latch in self.guards[case.name].latches.values())

    def _is_swept(self, case: Case) -> bool:
        """Whether everything on the account is closed for as long as it is locked."""
        return any(latch.scope == "account" and latch.flattens for latch in self.guards[case.name].latches.values())

    def _is_touched(self, case: Case) -> bool:
        """Whether what the account holds is valued by quotes that have stopped, or may be."""
        frozen, books = self.book.frozen, self.book.broker.floor.accounts[self.book.ids[case.name]]
        if not frozen or not books.open_positions():
            return False
        return self._is_blind(case) or case.currency != "USD" or frozen == "USDJPY"

    def _is_blind(self, case: Case) -> bool:
        """Whether the account holds what has no quotes."""
        holdings = drawn.account(self.book, self.book.ids[case.name]).holdings
        return bool(self.book.frozen) and any(one.symbol.replace("/", "") == self.book.frozen for one in holdings)

    def _note(self, *, is_brief: bool = False) -> None:
        """Look at every equity: peaks, and the guards that are beyond their limits, which may not last."""
        for case in self.cases:
            guards = self.guards[case.name]
            if self._is_deaf and self._is_blind(case):
                continue
            seen = worth(drawn.account(self.book, self.book.ids[case.name]))
            is_unsure = self._is_deaf and self._is_touched(case)
            guards.see(seen, is_unsure=is_unsure)
            for name, sure in guards.beyond(seen).items():
                self.due[case.name][name] = self.due[case.name].get(name, False) or (
                    sure and not is_unsure and not is_brief
                )

    def _settle(self, why: str) -> None:
        """See what is, let time pass, and see what has come of it."""
        self._note()
        self.book.go(4)
        self._note()
        for case in self.cases:
            self._judge(case, why)
        there = self._positions()
        for case in self.cases:
            self._see_all(case, why, set(there[case.name]))

    def _judge(self, case: Case, why: str) -> None:
        guards, due = self.guards[case.name], self.due[case.name]
        events = self.book.events(self.book.ids[case.name], GuardTripped)
        new, self.tripped[case.name] = events[self.tripped[case.name] :], len(events)
        got = {event.guard for event in new}
        account = drawn.account(self.book, self.book.ids[case.name])
        missing = {name for name, sure in due.items() if sure and name not in got}
        if missing or got - due.keys():
            told = [(one.guard, one.value, one.limit, dict(one.quotes)) for one in new]
            self._report(case, f"{why}: {told} {guards}, {worth(account)}", sorted(got), due)
        due.clear()
        for name in sorted(got):
            self._lock(case, name, guards.trip(name))

    def _lock(self, case: Case, name: str, latch: Latch) -> None:
        """A latch closes, and what goes with it."""
        self.counts[f"{name}: {latch.reaction} {latch.scope}"] += 1
        for order in self.resting.values():
            order.pop(case.name, None)
        if latch.flattens:
            for theirs in self.held:
                if theirs.copies.pop(case.name, None) is not None:
                    self.over.add((case.name, theirs.position))
        if latch.flattens and latch.scope == "account":
            self.own[case.name].clear()
            self.seconds.pop(case.name, None)

    def _see_all(self, case: Case, why: str, got: set[int]) -> None:
        """See that an account holds what it shall, and no more."""
        before = set(self.own[case.name])
        wanted = {position for _, position in self._sources(case)} | before
        if case.name in self.seconds:
            wanted.add(self.seconds[case.name])
        for theirs in self.held:
            if (case.name, theirs.position) in self.awaited and not self._is_locked(case):
                if self._see_fill(case, theirs):
                    wanted.add(theirs.copies[case.name][0])
                elif not self.book.frozen:
                    del self.awaited[case.name, theirs.position]
                    self.over.add((case.name, theirs.position))
                    self.counts[f"filled: {self._word(case, 'opened', theirs.position)}"] += 1
            elif self._is_locked(case) and self.awaited.pop((case.name, theirs.position), None):
                self.over.add((case.name, theirs.position))
        if got != wanted and self.late:
            self._take_up_late(case)
            wanted |= {position for _, position in self._sources(case)}
        for theirs in self.held:
            position, copy = theirs.copies.get(case.name, (0, None))
            if copy is not None and position not in got and self._is_at_level(case, copy):
                self.counts["ended by its own level, a tick away"] += 1
                wanted.discard(position)
                self._forget(case, {position})
        for order, rested in self.resting.items():
            if case.name in rested and rested[case.name] not in self._orders(case):  # it has filled ahead of his
                ahead = {one.position for one in self.book.held(case.name) if one.label.endswith(source_of(order, "o"))}
                wanted |= ahead
                self.counts["filled ahead"] += 1
                if not ahead:
                    del rested[case.name]
        if self._is_swept(case):
            self.own[case.name] &= got  # what a person opens there is closed too, sooner or later
            wanted &= got | (wanted - before)
        if got != wanted:
            told = sorted(self.guards[case.name].latches.items())
            self._report(case, f"{why}, latches {told}: what it holds", sorted(got), sorted(wanted))
            self.own[case.name] |= got - wanted
            self._forget(case, wanted - got)
        found = set(self._orders(case))
        filled = {one.label for one in self.book.held(case.name)}
        rests = {
            rested[case.name]
            for order, rested in self.resting.items()
            if case.name in rested and not any(label.endswith(source_of(order, "o")) for label in filled)
        }
        if rests != found:
            self._report(case, f"{why}: what rests", found, rests)
            for order in self.resting.values():
                if order.get(case.name) not in found:
                    order.pop(case.name, None)

    def _is_at_level(self, case: Case, copy: Standing) -> bool:
        """Whether a level is so near, within the spread even, that a tick up and down may have reached it."""
        quotes = drawn.account(self.book, self.book.ids[case.name]).quotes[copy.symbol]
        near = 3 * drawn.BROKERS[case.broker][copy.symbol].tick + quotes[1] - quotes[0]
        levels = [level for level in (copy.stop_level, copy.target_level) if level is not None]
        return any(abs(level - price) <= near for level in levels for price in quotes)

    def _forget(self, case: Case, gone: set[int]) -> None:
        self.own[case.name] -= gone
        if self.seconds.get(case.name) in gone:
            del self.seconds[case.name]
        for theirs in self.held:
            if case.name in theirs.copies and theirs.copies[case.name][0] in gone:
                del theirs.copies[case.name]
                self.over.add((case.name, theirs.position))

    # --- what opens

    def _compare(self, case: Case, kind: str, opened: Open, got: Outcome, wanted: set[Outcome]) -> None:
        super()._compare(case, kind, opened, got, self._allowed(case, opened, wanted))

    def _allowed(self, case: Case, opened: Open, wanted: set[Outcome]) -> set[Outcome]:
        """What may come of an open under latches, and while quotes are missing."""
        words: set[Outcome] = {one for one in wanted if isinstance(one, str)}
        if self._is_locked(case) or case.name in self.paused:
            return words | {"guard", "flattened"} | {"paused"}
        if self._is_deaf and self._is_blind(case) and self.guards[case.name].is_any:
            return words | LATE
        if self.guards[case.name].is_lost:
            return words | LATE
        if case.broker == "Dear" and any(case.name in rested for rested in self.resting.values()):
            wanted = wanted | {"margin"}  # what rests may count in the tiers of leverage already
        is_of_it = opened.symbol == self.book.frozen or case.currency != "USD"
        if self.book.frozen and (is_of_it or self._is_touched(case)):
            return wanted | LATE
        return wanted

    def _open(self) -> None:
        known = len(self.held)
        super()._open()
        if self.book.frozen and len(self.held) > known:
            self.late |= {(case.name, self.held[-1].position) for case in self.cases}

    def _take_up_late(self, case: Case) -> None:
        """Copies that were waiting for quotes."""
        for theirs in self.held:
            if (case.name, theirs.position) not in self.late or self._stands_still(case):
                continue
            for held in self.book.held(case.name):
                if held.label.endswith(source_of(theirs.position)) and case.name not in theirs.copies:
                    self._take_up(case, theirs, held)
                    self.late.discard((case.name, theirs.position))
                    self.counts["opened late"] += 1

    def _take_up(self, case: Case, theirs: Theirs, held: Any, whole: Fraction | None = None) -> None:
        name = self.names[case.name][theirs.opened.symbol]
        bid, ask = drawn.account(self.book, self.book.ids[case.name]).quotes[name]
        his = drawn.account(self.book, LEAD).quotes[theirs.opened.symbol]
        shift = (ask if held.side == BUY else bid) - his[1 if theirs.opened.is_long else 0]
        units = Fraction(held.volume, 100)
        stop, target = level_of(held.stop), level_of(held.target)
        copy = Standing(name, held.side == BUY, units, units if whole is None else whole, shift, stop, target)
        theirs.copies[case.name] = held.position, copy

    def _take(self) -> None:
        """People close copies."""
        theirs = self.chance.choice(self.held)
        taken = [one for one in self._copies(theirs) if self.chance.random() < 0.5]
        for case, position, copy in taken:
            self.book.person.close(position, int(copy.units * 100), account=self.book.ids[case.name])
            del theirs.copies[case.name]
        self._look()
        self.book.go()
        for case, _, _ in taken:
            self._see_reopened(case, theirs.position, "a person closed it")

    def _see_reopened(self, case: Case, source: int, why: str) -> None:
        """What a person or a level has closed is opened once more where that is wanted, by all the gates."""
        theirs = next((one for one in self.held if one.position == source), None)
        found = [
            held
            for held in self.book.held(case.name)
            if held.label.endswith(source_of(source)) and held.position not in dict(self._sources(case)).values()
        ]
        is_wanted = case.settings.get("reopen") == "on" and theirs is not None and (case.name, source) not in self.over
        self.over.add((case.name, source))
        if theirs is None or not is_wanted:
            self.counts["closed for good"] += 1
            if found:
                self._report(case, f"{why}: p{source}", found, "closed for good")
            return
        wanted = self._allowed(case, theirs.opened, self._again(case, theirs, found))
        self.counts[f"reopened: {'copy' if found else self._word(case, 'opened', source)}"] += 1
        if not found:
            word = self._became(case, "opened", source)
            is_near = word in AT_A_LEVEL and bool(AT_A_LEVEL & wanted)  # a tick up and down decides which
            if word not in wanted and not is_near and not any("level_" in str(one) for one in wanted):
                self._report(case, f"{why}, may open again: {theirs}", word, wanted)
            if self.book.frozen:
                self.late.add((case.name, source))
            return
        sizes = {one.units: one.whole for one in wanted if isinstance(one, Copy)}
        units = Fraction(found[0].volume, 100)
        if len(found) > 1 or units not in sizes:
            self._report(case, f"{why}, opens again: {theirs}", found, wanted)
        self._take_up(case, theirs, found[0], sizes.get(units))

    def _again(self, case: Case, theirs: Theirs, new: list[Held]) -> set[Outcome]:
        """What may come of his position as an open of now."""
        bid, ask = drawn.account(self.book, LEAD).quotes[theirs.opened.symbol]
        price, sign = (ask, 1) if theirs.opened.is_long else (bid, -1)  # its levels are carried by both quotes
        stop = None if theirs.stop is None else sign * (price - theirs.stop)
        target = None if theirs.target is None else sign * (theirs.target - price)
        opened = Open(theirs.opened.symbol, theirs.opened.is_long, theirs.units, price, stop, target)
        leader, follower = drawn.account(self.book, LEAD), self._before[case.name]
        settings = drawn.settings_for(case, opened.symbol)
        found: set[Outcome] = set()
        now = drawn.account(self.book, self.book.ids[case.name])
        mine = {(Fraction(one.volume, 100), exact_price(one.price)) for one in new}
        without = tuple(one for one in now.holdings if (one.units, one.price) not in mine)
        for seen in (follower, now, replace(now, holdings=without)):
            found |= Decision(leader, seen, opened, settings, self.names[case.name]).outcomes()
        return found

    # --- what becomes of copies

    def _copies(self, theirs: Theirs) -> list[tuple[Case, int, Standing]]:
        found = super()._copies(theirs)
        return [one for one in found if self._only is None or self._only(one[0])]

    def _grow(self) -> None:
        """Under a latch nothing grows, and what is over never comes back."""
        units: dict[str, dict[int, Fraction]] = {case.name: {} for case in self.cases}
        for theirs in self.held:
            for case, position, copy in self._copies(theirs):
                units[case.name][position] = copy.units
        before = {theirs.position: theirs.units for theirs in self.held}
        self._only = lambda case: not (self._stands_still(case) or self._is_unsure(case))
        super()._grow()
        self._only = None
        grown = [one for one in self.held if one.units != before[one.position]]
        if not grown:
            return
        theirs = grown[0]
        for case in self.cases:
            there = {held.position: Fraction(held.volume, 100) for held in self.book.held(case.name)}
            word = self._word(case, "grew", theirs.position)
            if case.name in theirs.copies and not self._stands_still(case):
                position, copy = theirs.copies[case.name]
                if self._is_unsure(case):
                    if word in ("", "covered"):
                        copy.target *= theirs.units / before[theirs.position]
                    copy.units = there[position]
                continue
            self.counts[f"grew: {word}"] += 1
            if case.name in theirs.copies:
                position, _ = theirs.copies[case.name]
                if there.get(position) != units[case.name][position] or word in ("", "nothing was decided"):
                    self._report(case, f"grew under a latch {theirs}", (word, there.get(position)), units[case.name])
            elif (case.name, theirs.position) in self.over and word not in ("copy_finished", "no_copy"):
                self._report(case, f"grew, and the copy is over: {theirs}", word, "copy_finished")

    def _amend(self) -> None:
        """Under `close_only` a stop is only tightened."""
        stops = {p: c.stop_level for t in self.held for _, p, c in self._copies(t)}
        before = {theirs.position: (theirs.stop, theirs.target) for theirs in self.held}
        self._only = lambda case: not self._has(case, "close_only")
        super()._amend()
        self._only = None
        for theirs in self.held:
            if before[theirs.position] == (theirs.stop, theirs.target):
                continue
            for case, position, copy in self._copies(theirs):
                if not self._has(case, "close_only"):
                    continue
                held = next((one for one in self.book.held(case.name) if one.position == position), None)
                if held is None:
                    continue
                old, got = stops[position], level_of(held.stop)
                of = drawn.BROKERS[case.broker][copy.symbol]
                wanted, _ = carried_levels(copy, theirs.stop, theirs.target, of, drawn.settings_for(case, "EURUSD"))
                is_tighter = wanted is not None and (old is None or (wanted > old if copy.is_long else wanted < old))
                self.counts["amended under close_only"] += 1
                if got != (wanted if is_tighter else old) and not (is_tighter and self._refusals(case)):
                    self._report(case, f"amended under close_only, {copy}", got, (wanted, old))
                copy.stop_level, copy.target_level = got, level_of(held.target)

    # --- what rests

    def _rest(self) -> None:
        """An order of his rests, far from the market or near."""
        symbol, side, units, _ = self._wish()
        bid, ask = drawn.account(self.book, LEAD).quotes[symbol]
        far = self.chance.choice((20_000, 400, 800))
        away = far * drawn.BROKERS["Lead"][symbol].tick
        price = bid - away if side == BUY else ask + away
        self._look()
        rested = {case.name: self._orders(case).keys() for case in self.cases}
        order = self.book.person.place(LIMIT, int(units * 100), price=float(price), symbol=IDS[symbol], side=side)
        leader, opened = drawn.account(self.book, LEAD), opened_by(symbol, side, units, price, {})
        self.book.go()
        self.resting[order] = {}
        for case in self.cases:
            settings = drawn.settings_for(case, symbol)
            rest = Rest(leader, self._before[case.name], opened, settings, self.names[case.name], "limit")
            new = {number: one for number, one in self._orders(case).items() if number not in rested[case.name]}
            got = next(iter(new.values()), None) or self._became(case, "order_placed", order)
            self._compare(case, "limit", opened, got, rest.outcomes())
            if new:
                self.resting[order][case.name] = min(new)

    def _orders(self, case: Case) -> dict[int, Copy]:
        """What rests for a follower by the broker's books."""
        books = self.book.broker.floor.accounts[self.book.ids[case.name]]
        return {
            number: Copy(Fraction(order.volume, 100), order.side == BUY, None, None)
            for number, order in books.orders.items()
            if order.kind in (LIMIT, STOP)
        }

    def _unrest(self) -> None:
        order = self.chance.choice(list(self.resting))
        self.book.person.cancel(order)
        self.book.go()
        del self.resting[order]

    # --- people, money, quotes and time

    def _pay(self) -> None:
        """Money is paid in and out: nothing trips by it but what looks at equity alone."""
        for case in self.cases:
            if self.chance.random() < 0.5:
                continue
            account = drawn.account(self.book, self.book.ids[case.name])
            amount = round(account.balance * self.chance.choice((Fraction(1, 1000), Fraction(1, 50), Fraction(1, 20))))
            what = self.chance.choice(("deposit", "withdraw", "bonus"))
            if what == "bonus":
                self.guards[case.name].bonus += amount
            else:
                self.guards[case.name].pay(amount * Fraction(1 if what == "deposit" else -1))
            self.book.broker.set_fault(what, {"account": str(self.book.ids[case.name]), "amount": str(amount)})
            self.counts[what] += 1
        self.book.stepper.network.collect()
        self.book.go()

    def _rearm(self) -> None:
        """A person opens latches again, where nothing holds any more."""
        for case in self.cases:
            guards = self.guards[case.name]
            if guards.anchor is None and guards.is_any and not self.book.frozen:
                answer = self.book.command({"command": "rearm", "profile": case.name, "guard": "day"})
                self.counts[f"a day begun anew: {answer['ok']}"] += 1
                if not answer["ok"]:
                    self._report(case, f"a day anew, {guards}", answer, "done")
                account = drawn.account(self.book, self.book.ids[case.name])
                kept = dict(guards.latches)
                guards.roll(account.balance, worth(account))
                guards.latches = kept
                continue
            if not guards.latches or self.chance.random() < 0.3:
                continue
            account = drawn.account(self.book, self.book.ids[case.name])
            holding = guards.holding(worth(account))
            is_unsure = bool(self.book.frozen)
            answer = self.book.command({"command": "rearm", "profile": case.name})
            self.counts[f"rearm: {'done' if answer['ok'] else 'refused'}"] += 1
            if answer["ok"] and any(holding.values()) and not is_unsure:
                self._report(case, f"rearm, {guards}, {worth(account)}", answer, holding)
            elif not answer["ok"] and not holding and not is_unsure:
                self._report(case, f"rearm, {guards}, {worth(account)}", answer, "done")
            if answer["ok"] and self._is_deaf and self._is_blind(case) and guards.latches.keys() & case.settings.keys():
                self._report(case, f"rearm in the dark, {guards}", answer, "refused")
            if answer["ok"]:
                guards.latches.clear()
            if case.name in self.locked_second:
                answer = self.book.command({"command": "rearm", "profile": f"{case.name} too"})
                self.locked_second -= {case.name} if answer["ok"] else set()

    def _set(self) -> None:
        """A person changes what guards count, or what they do."""
        for index, case in enumerate(self.cases):
            guards = self.guards[case.name]
            if not guards.is_any or self.chance.random() < 0.7:
                continue
            name = self.chance.choice([*GUARDS, "guard.reaction", "guard.scope", "guard.initial", "guard.percent_of"])
            whole = int(Fraction(case.balance))
            if name in ("min_equity", "take_equity"):
                value = str(whole * self.chance.choice((97, 98)) // 100 if name == "min_equity" else whole * 102 // 100)
            elif name in MONEY:
                value = self.chance.choice(("0.5%", "1%", "4%", str(whole // 50)))
            elif name == "guard.initial":
                value = str(
                    whole * self.chance.choice((98, 99, 101)) // 100
                )  # decision 0156: the first is not told apart
            else:
                value = self.chance.choice(
                    {
                        "guard.reaction": ("open_only_off", "close_only", "flatten"),
                        "guard.scope": ("account", "profile"),
                        "guard.percent_of": ("anchor", "initial"),
                    }[name]
                )
            if guards.settings.get(name) == value:
                continue
            settings = {**case.settings, name: value}
            answer = self.book.command(
                {"command": "profile.set", "profile": case.name, "settings": {name: value}, "unset": []}
            )
            assert answer["ok"], answer
            self.counts["set"] += 1
            self.cases[index] = replace(case, settings=settings)
            guards.settings = settings
            if name == "guard.initial":
                guards.initial = exactly(Fraction(value))
        self._has_second = [case for case in self.cases if case.name in {one.name for one in self._has_second}]
        self.book.go()

    def _pause(self) -> None:
        """Profiles are paused, or go on: guards go on all the while."""
        for case in self.cases:
            if self.chance.random() < 0.3:
                is_paused = case.name in self.paused
                answer = self.book.command({"command": "resume" if is_paused else "pause", "profile": case.name})
                assert answer["ok"], answer
                self.paused ^= {case.name}
        self.book.go()

    def _flatten(self) -> None:
        """A person has everything closed, of a profile or an account, or of an account what is nobody's copy too."""
        case = self.chance.choice(self.cases)
        kind = self.chance.choice(("profile", "account", "whole"))
        request: dict[str, Any] = {"command": "flatten", "profile": case.name}
        if kind != "profile":
            request = {"command": "flatten", "account": str(self.book.ids[case.name]), "whole": kind == "whole"}
        assert self.book.command(request)["ok"]
        latch = Latch("flatten", "account" if kind == "whole" else "profile", ends_with_day=False)
        self.guards[case.name].latches["flatten"] = latch
        self._lock(case, "flatten", latch)
        if kind != "profile":
            self.seconds.pop(case.name, None)
            if any(one.name == case.name for one in self._has_second):
                self.locked_second.add(case.name)
        self.book.go()

    def _trade_too(self) -> None:
        """Somebody trades on followers' accounts himself."""
        for case in self.cases:
            if self.chance.random() < 0.7:
                continue
            account = self.book.ids[case.name]
            if self.own[case.name]:
                position = self.own[case.name].pop()
                books = self.book.broker.floor.accounts[account]
                self.book.person.close(position, books.positions[position].volume, account=account)
                continue
            symbols = self.book.broker.floor.venue_of(self.book.broker.floor.accounts[account]).symbols
            symbol = next(number for number, one in symbols.items() if one.feed == "EURUSD")
            units = 8_400 if case.broker == "Odd" else 9_000
            side = self.chance.choice((BUY, SELL))
            position = self.book.person.buy(units * 100, account=account, symbol=symbol, side=side)
            books = self.book.broker.floor.accounts[account]
            if position in books.positions and books.positions[position].volume:
                self.own[case.name].add(position)
        self.book.go()

    def _trade_second(self) -> None:
        """A second leader opens, or closes: what he does is locked where a guard locks the whole account."""
        if self.second:
            books = self.book.broker.floor.accounts[NETTED_LEAD]
            self.book.person.close(self.second, books.positions[self.second].volume, account=NETTED_LEAD)
            self.second = 0
            self.seconds.clear()
            self.book.go()
            return
        there = self._positions()
        self._look()
        side = self.chance.choice((BUY, SELL))
        self.second = self.book.person.buy(100_000 * 100, account=NETTED_LEAD, symbol=IDS["GBPUSD"], side=side)
        self.book.go()
        for case in self._has_second:
            new = [held for held in self.book.held(case.name) if held.position not in there[case.name]]
            word = self._word(case, "opened", self.second)
            self.counts[f"second leader: {word or 'copied'}"] += 1
            if new:
                self.seconds[case.name] = new[0].position
            is_locked = self._is_sealed(case) or case.name in self.locked_second
            words = {"guard", "flattened"} if is_locked else {"", "margin"}
            if self.book.frozen and not is_locked:
                words |= LATE
            if word not in words or bool(new) is not (word == ""):
                self._report(case, f"second leader, {self.guards[case.name].latches}", (word, new), words)

    def _stop_quotes(self) -> None:
        """No quotes of a symbol come any more; seldom the broker does not tell results either."""
        self.book.frozen = self.chance.choice(SYMBOLS)
        self._is_deaf = self.chance.random() < 0.6
        if self._is_deaf:
            self.book.broker.set_fault("error", {"code": "CANT_ROUTE_REQUEST", "type": UNREALISED_PNL})
        self.counts["quotes stop"] += 1
        self.book.is_hurried = False
        self.book.go(14)

    def _let_quotes_come(self) -> None:
        self.book.frozen = ""
        if self._is_deaf:
            self.book.broker.clear_fault("error")
        self._is_deaf = False
        self._note()  # what is seen first may close what it was seen of
        self.book.is_hurried = False
        self.book.go(4)
        self.late.clear()

    def _cut(self) -> None:
        """The line is cut as the market leaps."""
        self._move()
        self.book.stepper.network.cut_all()
        self.counts["cut"] += 1
        self._note()
        self.book.is_hurried = False
        self.book.go(8)

    def _refuse_closes(self) -> None:
        """The broker refuses closes for a while, as the market leaps: they go on until there is nothing left."""
        self.book.broker.set_fault("error", {"code": "MARKET_CLOSED", "type": CLOSE_POSITION})
        self._move()
        self._note()
        self.book.is_hurried = False
        self.book.go(5)
        self._note()
        self.book.broker.clear_fault("error")
        self.counts["closes refused"] += 1
        self.book.go(18)

    def _restart(self) -> None:
        """The process ends and begins again: latches and what guards count from stay."""
        self.book.is_hurried = False
        self.book.go(12)
        self._note()
        self.book.kill() if self.chance.random() < 0.5 else self.book.stop()
        self.counts["restarted"] += 1
        with self._hurry():
            if self.chance.random() < 0.6:
                self._pay()
        self.book.run(2)
        self.book.start()
        self.book.is_hurried = False
        self.book.go(6)


def source_of(number: int, letter: str = "p") -> str:
    """How the label of a copy ends: `p` and the leader's position in base36, or `o` and his order."""
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return f".{letter}{digits}"
