"""A leader's day before netted followers whose guards trip, who are stopped out, and whose copier dies meanwhile.

What trips is worked out as on a day of guards (`latches.py`), what a net holds as on a day of nets. A latch that closes
leaves nothing of any share, however far the net is the difference of several; one that stops opens leaves shares that
only become less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

from cmam.domain.events import GuardTripped
from cmam.sandbox.trading import margin
from tests.oracle import drawn
from tests.oracle.latches import GUARDS, Guarded, worth
from tests.oracle.nets import NetDay
from tests.rulebook import FEEDS, Case


class NetGuardDay(NetDay):
    """One world from a seed: netted followers with guards."""

    def __init__(self, seed: int, followers: int = 16) -> None:
        super().__init__(seed, followers)
        self.guards: dict[str, Guarded] = {}
        self.tripped = dict.fromkeys((case.name for case in self.cases), 0)
        self.due: dict[str, dict[str, bool]] = {case.name: {} for case in self.cases}
        self.stopped: set[tuple[str, int]] = set()

    def _draw(self, index: int) -> Case:
        case, chance = super()._draw(index), self.chance
        settings = dict(case.settings)
        whole = int(float(case.balance))
        for name in chance.sample(GUARDS, chance.choice((1, 1, 2))):
            limit = chance.choice((40, 150, 400)) * (150 if case.currency == "JPY" else 1)
            limit = whole - limit if name == "min_equity" else whole + limit if name == "take_equity" else limit
            settings[name] = str(limit)
        settings["guard.reaction"] = chance.choice(("flatten", "flatten", "open_only_off"))
        settings["guard.scope"] = chance.choice(("profile", "account"))
        return replace(case, settings=settings)

    def _acts(self) -> list[Callable[[], None]]:
        return [*super()._acts(), self._leap, self._leap, self._die, self._ruin, self._rearm]

    def run(self, steps: int = 12) -> None:
        """Let the leader act so many times, then close everything; guards are looked at after each step."""
        self.book.begin()
        for case in self.cases:
            account = drawn.account(self.book, self.book.ids[case.name])
            self.guards[case.name] = Guarded.first(case.settings, account.balance, worth(account))
        for _ in range(steps):
            self._do(self._step_market)
            self._do(self.chance.choice(self._acts()))
        while self.led:
            self._do(self._close_one)
        self.book.go(90)
        for case in self.cases:
            if held := self.book.held(case.name):
                self._report(case, "the leader holds nothing", held, "nothing")
        self.wrong += [f"seed {self.seed}: {failure!r}" for failure in self.book.stepper.failures]

    def _do(self, act: Callable[[], None]) -> None:
        """One act; of whose guards trip meanwhile only what is left in the end is looked at."""
        wrong, lost = len(self.wrong), set(self.lost)
        act()
        tripped = {
            case.name
            for case in self.cases
            if len(self.book.events(self.book.ids[case.name], GuardTripped)) > self.tripped[case.name]
        }
        of_them = tuple(f"seed {self.seed} {name} " for name in sorted(tripped))
        self.wrong[wrong:] = [line for line in self.wrong[wrong:] if not line.startswith(of_them)]
        self.lost -= {one for one in self.lost - lost if one[0] in tripped}
        self._watch(act.__name__.strip("_"))

    # --- what guards see

    def _see_prices(self) -> None:
        self._note(is_brief=True)

    def _note(self, *, is_brief: bool = False) -> None:
        for case in self.cases:
            seen = worth(drawn.account(self.book, self.book.ids[case.name]))
            self.guards[case.name].see(seen, is_unsure=is_brief)
            for name, sure in self.guards[case.name].beyond(seen).items():
                self.due[case.name][name] = self.due[case.name].get(name, False) or (sure and not is_brief)

    def _watch(self, why: str) -> None:
        self._note()
        self.book.go(4)
        self._note()
        for case in self.cases:
            self._judge(case, why)
        for case in self.cases:
            self._see_closed_by_latch(case, why)

    def _judge(self, case: Case, why: str) -> None:
        guards, due = self.guards[case.name], self.due[case.name]
        events = self.book.events(self.book.ids[case.name], GuardTripped)
        got = {event.guard for event in events[self.tripped[case.name] :]}
        self.tripped[case.name] = len(events)
        missing = {name for name, sure in due.items() if sure and name not in got}
        if missing or got - due.keys():
            now = worth(drawn.account(self.book, self.book.ids[case.name]))
            self._report(case, f"{why}: {guards}, {now}", sorted(got), dict(due))
        due.clear()
        for name in sorted(got):
            self.counts[f"{name}: {guards.trip(name).reaction}"] += 1

    def _see_closed_by_latch(self, case: Case, why: str) -> None:
        """What a latch has closed is gone, of all shares, and stays so."""
        if not any(latch.flattens for latch in self.guards[case.name].latches.values()):
            return
        for led in self.led:
            led.shares.pop(case.name, None)
        held = self.book.held(case.name)
        self.counts["flat"] += 1
        if held:
            self._report(case, f"{why}, {self.guards[case.name].latches}", held, "flat")
            self.guards[case.name].latches.clear()
            self.lost |= {(case.name, symbol) for symbol in self.names[case.name]}

    # --- acts

    def _open_one(self) -> None:
        """Nothing opens for who is locked."""
        locked = {
            (case.name, symbol): self._net(case, symbol)[0]
            for case in self.cases
            for symbol in self.names[case.name]
            if self.guards[case.name].latches and (case.name, symbol) not in self.lost
        }
        self.lost |= locked.keys()
        super()._open_one()
        self.lost -= locked.keys()
        for case in self.cases:
            for symbol in self.names[case.name]:
                before = locked.get((case.name, symbol))
                if before is not None and self._net(case, symbol)[0] != before:
                    self._report(case, f"locked, {symbol}", self._net(case, symbol)[0], before)
            if self.guards[case.name].latches:
                self.counts[f"locked: {self._word(case, 'opened', self.led[-1].position) if self.led else ''}"] += 1

    def _leap(self) -> None:
        """A market leaps far, and seldom back at once."""
        symbol = self.chance.choice(("EURUSD", "GBPUSD"))
        far = self.chance.choice((40, 150, 400)) * self.chance.choice((-1, 1)) * 10
        self.book.price(symbol, str(self.book.bids[symbol] + far * Decimal(FEEDS[symbol][1])))
        self.book.run(0.3)
        self._note(is_brief=True)
        self._step_market()

    def _die(self) -> None:
        """The process ends as a market leaps, and begins again."""
        self.book.go(10.5)
        self._note()
        symbol = self.chance.choice(("EURUSD", "GBPUSD"))
        far = self.chance.choice((40, 150)) * self.chance.choice((-1, 1)) * 10
        self.book.price(symbol, str(self.book.bids[symbol] + far * Decimal(FEEDS[symbol][1])))
        self._note(is_brief=True)
        self.book.run(self.chance.randrange(1, 16) / 10)
        self.book.kill() if self.chance.random() < 0.7 else self.book.stop()
        self.counts["died"] += 1
        self.book.run(self.chance.randrange(1, 30) / 10)
        self.book.start()
        self.book.go(12)
        self._step_market()

    def _ruin(self) -> None:
        """Money is paid out until the broker takes some of what there is: nothing opens then until it is re-armed."""
        floor, taken = self.book.broker.floor, {}
        for case in self.cases:
            books = floor.accounts[self.book.ids[case.name]]
            used = margin.used(books)
            amount = Fraction(int(floor.equity(books) - used * Fraction(2, 5)), 10**books.spec.money_digits)
            if used and amount > 0 and self.chance.random() < 0.4:
                self._pay(case, -amount)
                taken[case.name] = amount
        self.book.stepper.network.collect()
        self._note()
        self.book.go(3)
        self._note()
        for case in self.cases:
            if case.name in taken:
                self._pay(case, taken[case.name])
                self._see_stopped_out(case)
        self.book.stepper.network.collect()
        self.book.go(2)

    def _pay(self, case: Case, money: Fraction) -> None:
        self.guards[case.name].pay(money)
        amount = Decimal(abs(money).numerator) / Decimal(abs(money).denominator)
        kind = "deposit" if money > 0 else "withdraw"
        self.book.broker.set_fault(kind, {"account": str(self.book.ids[case.name]), "amount": str(amount)})

    def _see_stopped_out(self, case: Case) -> None:
        books = self.book.broker.floor.accounts[self.book.ids[case.name]]
        for order in books.past_orders.values():
            if not (order.is_stop_out and order.executed) or (case.name, order.order_id) in self.stopped:
                continue
            self.stopped.add((case.name, order.order_id))
            self.counts["stopped out"] += 1
            self.guards[case.name].trip("stop_out")
            name = self.book.broker.floor.symbol(books, order.symbol_id).name
            # Which of its shares it was, nobody knows.
            self.lost |= {(case.name, symbol) for symbol, mine in self.names[case.name].items() if mine == name}

    def _rearm(self) -> None:
        for case in self.cases:
            guards = self.guards[case.name]
            if not guards.latches or self.chance.random() < 0.5:
                continue
            holding = guards.holding(worth(drawn.account(self.book, self.book.ids[case.name])))
            answer = self.book.command({"command": "rearm", "profile": case.name})
            self.counts[f"rearm: {'done' if answer['ok'] else 'refused'}"] += 1
            if any(holding.values()) if answer["ok"] else not holding:
                self._report(case, f"rearm {guards}", answer, holding)
            if answer["ok"]:
                guards.latches.clear()
