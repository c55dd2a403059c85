"""A drawn day on this broker: leaders who trade, lines that are cut, processes that end, and the books compared.

The rule is the plain multiplier: every follower holds what its leader holds, times a number. Volumes are drawn so that
nothing is ever rounded, and prices move in jumps that no two copies see differently.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

from cmam.domain.events import AlertHealed, AlertRaised, CopyTouched
from cmam.domain.turns.margin_calls import KIND
from cmam.store.past.replay import verify
from tests.stranger.books import BUY, LIMIT, MARKET, SELL, STOP, Book, Deal, Position
from tests.stranger.habits import Habits, draw, unusual
from tests.stranger.market import BROKERS, FIRST
from tests.stranger.world import Terminal, World, signed

HEDGED, NET = 501, 505
ACCOUNTS = {
    HEDGED: ("North", False),
    502: ("North", False),
    503: ("South", False),
    504: ("South", True),
    NET: ("South", True),
    506: ("North", False),
    507: ("North", True),
}
LINKS = {HEDGED: {502: "1", 503: "2", 504: "0.5"}, NET: {506: "1", 507: "0.5"}}
PAUSES_S = (0.0, 0.0, 0.02, 0.15, 0.5, 2.0)
QUIET_S = 40.0
LOOK_S = 100.0
NOISE = 0.02
REST_S = 8.0
"""Before a process ends: an add that was on record and had not left is given up (`unknowns.py`)."""
ASKED_AGAIN_US = 5_000_000
"""Within this a question is asked again, and answered, that was refused with a code that nobody has met."""
SHUT_S = 200.0
"""So long after a market has opened again everything is taken that was refused."""
LEVEL_TICKS, LATE_TICKS = 3, 12
"""A level may be off by the rounding of both brokers and of an average; and of a late open by how prices breathe."""


class Day:
    """One day from its seed. `wrong` says what differed, and when."""

    world_of = World
    nets_rest = True
    grain = 12

    def __init__(
        self,
        seed: int,
        habits: Habits | None = None,
        *,
        has_gaps: bool = True,
        is_old: bool = False,
        is_wide: bool = False,
        is_noisy: bool = False,
    ) -> None:
        self.chance = random.Random(f"{seed}:day")
        self.habits = draw(random.Random(f"{seed}:habits"), is_old=is_old) if habits is None else habits
        if is_noisy:
            self.habits = replace(self.habits, noise=NOISE)
        self.is_slow = bool(self.habits.noise or self.habits.past != "all")
        """Whether some of what is asked is answered only when it is asked again."""
        self.quiet_s = QUIET_S + LOOK_S if self.is_slow else QUIET_S
        """What an event has not told is seen at the look of once a minute."""
        self.has_gaps = has_gaps
        self.is_old = is_old
        self.is_short = not is_old and random.Random(f"{seed}:short").random() < 0.4
        """Whether money runs short on this day: stop-outs, and opens that cannot be afforded."""
        self.is_wide = is_wide
        """Whether markets shut, brokers roll positions, and accounts are held to closes."""
        self.less: dict[int, str] = {}
        """The followers that hold less than they would, since money ran short on them, and what happened last."""
        self.locked_ms: dict[int, int] = {}
        """Since when, by the broker's clock, a stop-out of theirs is known."""
        self.seed = seed
        self.world = self.world_of(seed, self.habits, ACCOUNTS)
        for leader, followers in LINKS.items():
            self.world.profile(f"of-{leader}", leader, followers)
            self.books[leader].is_thin = True
        self.terminals = {leader: Terminal(self.world, leader) for leader in LINKS}
        self.wrong: list[str] = []
        self.acts: list[str] = []
        self.counts: Counter[str] = Counter()

    def __str__(self) -> str:
        return f"seed {self.seed}: {unusual(self.habits)}"

    def run(self, rounds: int = 8) -> Day:
        """Trade, compare now and then, close everything, and compare once more."""
        self.world.start()
        for _ in range(rounds):
            for _ in range(self.chance.randrange(2, 7)):
                self._act()
                self.world.run(self.chance.choice(PAUSES_S))
                if self.habits.part_us:
                    self.world.run((self.habits.fill_us + self.habits.parts * self.habits.part_us) / 1_000_000)
            self.world.run(self.quiet_s)
            self.compare()
            if self.wrong:
                break
        for leader, terminal in self.terminals.items():
            book = self.books[leader]
            for order in [one for one in book.orders.values() if one.kind != MARKET]:
                terminal.cancel(order.number)
        for _ in range(3):  # some are refused for a while, or there is more to come
            for leader, terminal in self.terminals.items():
                for held in list(self.books[leader].positions.values()):
                    terminal.close(held)
            self.world.run(self.quiet_s)
        self.compare()
        for leader, followers in LINKS.items():
            for account in (leader, *followers):
                book = self.books[account]
                if book.positions or book.orders:
                    self.report("left", account, self.shown(book), "nothing")
        for account in ACCOUNTS:
            self.counts["alerts, all healed"] += len(self.world.events(account, AlertRaised))
        if not verify(self.world.log.read_all()).is_identical:
            self.report("replay", 0, "differs", "identical")
        if self.world.broker.busiest > 50 or self.world.broker.busiest_past > 5:
            self.report("too fast", 0, (self.world.broker.busiest, self.world.broker.busiest_past), (50, 5))
        self.world.stepper.kill()
        return self

    @property
    def books(self) -> dict[int, Book]:
        return self.world.broker.floor.books

    def report(self, what: str, account: int, got: object, wanted: object) -> None:
        """Keep a difference."""
        at_s = self.world.stepper.clock.now() // 1_000_000
        self.wrong.append(
            f"{self}\n  {what} on {account} at {at_s} after {self.acts[-8:]}\n  got {got}\n  wanted {wanted}"
        )

    # --- what leaders do ------------------------------------------------------------------------------------------

    def _act(self) -> None:
        leader = self.chance.choice(list(LINKS))
        terminal, book = self.terminals[leader], self.books[leader]
        held = list(book.positions.values())
        resting = [one for one in book.orders.values() if one.kind in (LIMIT, STOP)]
        acts = ["open", "open", "open", *(["rest"] if self.nets_rest or not book.netted else [])]
        if held:
            acts += ["add", "part", "part", "close", "turn", "protect", "protect", "protect", "swap", "hit"]
        if resting:
            acts += ["amend", "cancel", "fill", "fill"]
        if self.has_gaps:
            acts += ["cut", "kill", "stop"]
        if not self.is_old:
            acts += ["trail", "trail", "go_on"] if held else []
            acts += ["shut", "shut", "roll"] if held and self.is_wide else []
            acts += ["stop_out", "stop_out_followers", "crash", "broke"] if held and self.is_short else []
            acts += ["end_sessions"] if self.habits.noise and self.has_gaps else []
            acts += ["closes_only"] if held and self.is_short and self.is_wide else []
        act = self.chance.choice(acts)
        self.acts.append(f"{act} {leader}")
        self.counts[act] += 1
        getattr(self, f"_{act}")(terminal, book)

    def _volume(self, name: str, most: int = 6) -> int:
        return self.grain * self.chance.randrange(1, most) * (100 if name == "XAUUSD" else 100_000)

    def _levels(self, name: str) -> dict[str, int]:
        """Distances for an order, both, one or none."""
        tick = {"EURUSD": 1, "USDJPY": 100, "XAUUSD": 1_000}[name]
        wanted = {word: self.chance.randrange(600, 900) * tick for word in ("relativeStopLoss", "relativeTakeProfit")}
        return {word: away for word, away in wanted.items() if self.chance.random() < 0.5}

    def _open(self, terminal: Terminal, book: Book) -> None:
        name = self.chance.choice(list(FIRST))
        if book.netted and book.net(terminal.symbol(name)) is not None:
            terminal.trade(name, self.chance.choice((BUY, SELL)), self._volume(name))
            return
        terminal.trade(name, self.chance.choice((BUY, SELL)), self._volume(name), **self._levels(name))

    def _held(self, book: Book) -> Position:
        return self.chance.choice(list(book.positions.values()))

    def _add(self, terminal: Terminal, book: Book) -> None:
        held = self._held(book)
        at = {} if book.netted else {"positionId": held.number}
        terminal.trade(held.symbol.name, held.side, self._volume(held.symbol.name, 4), **at)

    def _part(self, terminal: Terminal, book: Book) -> None:
        held = self._held(book)
        unit = self.grain * held.symbol.step
        if held.volume < 2 * unit:
            return
        volume = self.chance.randrange(1, held.volume // unit) * unit
        if self.chance.random() < 0.3:
            at = {} if book.netted else {"positionId": held.number}
            terminal.trade(held.symbol.name, 3 - held.side, volume, **at)
        else:
            terminal.close(held, volume)

    def _close(self, terminal: Terminal, book: Book) -> None:
        terminal.close(self._held(book))

    def _turn(self, terminal: Terminal, book: Book) -> None:
        held = self._held(book)
        name, more = held.symbol.name, self._volume(held.symbol.name)
        if book.netted:
            terminal.trade(name, 3 - held.side, held.volume + more)
        else:
            terminal.close(held)
            terminal.trade(name, 3 - held.side, more)

    def _protect(self, terminal: Terminal, book: Book) -> None:
        held = self._held(book)
        market = self.world.broker.market.bids[held.symbol.name]
        fate = self.chance.random()
        sl, tp = (held.sl, held.tp) if fate < 0.5 else (0, 0)
        sign = 1 if held.side == BUY else -1
        if fate < 0.8:
            sl = self._round(held, market - sign * self.chance.randrange(500, 900) * held.symbol.tick)
        if self.chance.random() < 0.5:
            tp = self._round(held, market + sign * self.chance.randrange(500, 900) * held.symbol.tick)
        if self.habits.trail_told == "never" and held.trailing and sl and (sl - held.sl) * sign < 0:
            sl = held.sl  # nobody who has not been told where it is could tell that it was loosened
        terminal.protect(held, sl, tp)

    def _round(self, held: Position, price: int) -> int:
        return price // held.symbol.tick * held.symbol.tick

    def _hit(self, _terminal: Terminal, book: Book) -> None:
        """Let the market jump far beyond a level, once everybody has it."""
        there = [one for one in book.positions.values() if one.sl or one.tp]
        if not there:
            return
        held = self.chance.choice(there)
        self.world.run(self.quiet_s)
        if any(one.symbol is held.symbol and one.side != held.side for one in book.positions.values()):
            return  # a stop of a net is that of all its shares, of the other side too
        if held.number not in book.positions or not (held.sl or held.tp):
            return
        level = held.sl or held.tp
        is_below = (held.side == BUY) == bool(held.sl)
        self._jump(held.symbol.name, level + (-1 if is_below else 1) * 300 * held.symbol.tick, level)

    def _jump(self, name: str, bid: int, meant: int) -> None:
        """Put a price beyond one level or order, where nothing else of anybody's lies on the way."""
        now = self.world.broker.market.bids[name]
        low, high = min(now, bid), max(now, bid)
        for book in self.books.values():
            there = [
                level for held in book.positions.values() if held.symbol.name == name for level in (held.sl, held.tp)
            ]
            there += [one.limit or one.stop for one in book.orders.values() if one.symbol.name == name]
            near = 100 * BROKERS["North"][name].tick
            sides = {held.side for held in book.positions.values() if held.symbol.name == name}
            meets_both = len(sides) == 2 and any(low - near < level < high + near for level in there if level)
            if not self.is_old and meets_both:
                self.counts["jump forgone"] += 1  # a stop of a net is that of all its shares, of the other side too
                return
            if any(low - near < level < high + near and abs(level - meant) > near for level in there if level):
                self.counts["jump forgone"] += 1
                return
        self.world.broker.on_time(self.world.lines.now())
        self.world.broker.move(name, int(bid))
        self.world.lines.collect()

    def _rest(self, terminal: Terminal, book: Book) -> None:
        name = self.chance.choice(list(FIRST))
        symbol = terminal.symbol(name)
        kind, side = self.chance.choice((LIMIT, STOP)), self.chance.choice((BUY, SELL))
        sign = 1 if (side == BUY) is (kind == STOP) else -1
        away = self.chance.randrange(1_500, 2_500) * symbol.tick
        price = (self.world.broker.market.bids[name] + sign * away) // symbol.tick * symbol.tick
        if not book.netted:
            terminal.rest(kind, name, side, self._volume(name), price, **self._levels(name))
        else:
            terminal.rest(kind, name, side, self._volume(name), price)

    def _amend(self, terminal: Terminal, book: Book) -> None:
        order = self.chance.choice([one for one in book.orders.values() if one.kind in (LIMIT, STOP)])
        price = (order.limit or order.stop) + self.chance.choice((-40, 40)) * order.symbol.tick
        field = "limitPrice" if order.kind == LIMIT else "stopPrice"
        more = {
            word: value
            for word, value in (("relativeStopLoss", order.sl_away), ("relativeTakeProfit", order.tp_away))
            if value
        }
        volume = self._volume(order.symbol.name)
        if not self.habits.stamps:  # growth of which nobody is told when it was is as old as the order
            volume = min(volume, order.volume)
        terminal.amend(order.number, volume=volume, **{field: price / 100_000}, **more)

    def _cancel(self, terminal: Terminal, book: Book) -> None:
        terminal.cancel(self.chance.choice([one for one in book.orders.values() if one.kind in (LIMIT, STOP)]).number)

    def _fill(self, _terminal: Terminal, book: Book) -> None:
        """Let the market jump far beyond the price of an order that rests, once everybody has it."""
        order = self.chance.choice([one for one in book.orders.values() if one.kind in (LIMIT, STOP)])
        self.world.run(self.quiet_s)
        if order.number not in book.orders:
            return
        price = order.limit or order.stop
        is_above = (order.side == BUY) is (order.kind == STOP)
        self._jump(order.symbol.name, price + (1 if is_above else -1) * 300 * order.symbol.tick, price)

    def _trail(self, terminal: Terminal, book: Book) -> None:
        """Let a stop trail, or no longer."""
        held = self._held(book)
        market = self.world.broker.market.bids[held.symbol.name]
        sign = 1 if held.side == BUY else -1
        sl = self._round(held, market - sign * self.chance.randrange(500, 900) * held.symbol.tick)
        if self.habits.trail_told == "never" and held.trailing and (sl - held.sl) * sign < 0:
            sl = held.sl  # nobody who has not been told where it is could tell that it was loosened
        terminal.protect(held, sl, held.tp if self.chance.random() < 0.5 else 0, trailing=self.chance.random() < 0.8)

    def _go_on(self, _terminal: Terminal, book: Book) -> None:
        """Let the market go a way in the favour of what trails, once everybody has it."""
        there = [one for one in book.positions.values() if one.trailing]
        if not there:
            return
        held = self.chance.choice(there)
        self.world.run(self.quiet_s)
        name, sign = held.symbol.name, 1 if held.side == BUY else -1
        for _ in range(self.chance.randrange(1, 4)):
            bid = self.world.broker.market.bids[name] + sign * self.chance.randrange(20, 120) * held.symbol.tick
            self._jump(name, bid, 0)
            self.world.run(self.chance.choice((0.0, 1.0, 5.0)))

    def _out(self, book: Book) -> None:
        """Take some of a book's positions out, by the broker's habit whole or in part."""
        floor = self.world.broker.floor
        for held in list(book.positions.values()):
            if floor.is_busy(book, held.number) or self.chance.random() < 0.4:
                continue
            unit = self.grain * held.symbol.step
            part = held.volume // 2 // unit * unit if self.habits.stop_outs == "parts" else 0
            floor.stop_out(book, held, part or held.volume)
            if book.account not in LINKS:
                self.less[book.account] = "stop-out"
        self.world.lines.collect()

    def _stop_out(self, _terminal: Terminal, book: Book) -> None:
        """A leader is stopped out: that is a close like any other."""
        self._out(book)

    def _stop_out_followers(self, _terminal: Terminal, book: Book) -> None:
        for account in LINKS[book.account]:
            if self.chance.random() < 0.6:
                self._out(self.books[account])

    def _crash(self, terminal: Terminal, book: Book) -> None:
        """A leader and his followers, all at once."""
        self._out(book)
        self._stop_out_followers(terminal, book)

    def _broke(self, terminal: Terminal, book: Book) -> None:
        """A follower cannot afford what his leader opens now."""
        account = self.chance.choice(list(LINKS[book.account]))
        self.world.run(self.quiet_s)
        self.books[account].is_broke = True
        self.less.setdefault(account, "no money")
        self._open(terminal, book)
        self.world.run(REST_S)
        if book.positions:
            self._add(terminal, book)
            self.world.run(self.quiet_s)
        self.books[account].is_broke = False

    def _closes_only(self, terminal: Terminal, book: Book) -> None:
        """A broker lets a follower open nothing for a while."""
        account = self.chance.choice(list(LINKS[book.account]))
        self.world.run(self.quiet_s)
        self.less.setdefault(account, "closes only")
        self._set_access(account, closes_only=True)
        for act in ("open", "part", "close"):
            if book.positions:
                getattr(self, f"_{act}")(terminal, book)
                self.world.run(self.chance.choice(PAUSES_S))
        self.world.run(REST_S)
        self._set_access(account, closes_only=False)

    def _set_access(self, account: int, *, closes_only: bool) -> None:
        book, floor = self.books[account], self.world.broker.floor
        book.closes_only = closes_only
        floor.tell_money(book)
        self.world.lines.collect()

    def _shut(self, terminal: Terminal, book: Book) -> None:
        """A follower's broker takes nothing in a symbol for a while, and its leader goes on."""
        account, name = self.chance.choice(list(LINKS[book.account])), self._held(book).symbol.name
        self.world.run(self.quiet_s)
        self.books[account].shut = name
        for _ in range(self.chance.randrange(1, 5)):
            acts = ["open", *(["add", "part", "close", "protect", "turn", "trail"] if book.positions else [])]
            if [one for one in book.orders.values() if one.kind in (LIMIT, STOP)]:
                acts += ["amend", "cancel"]
            act = self.chance.choice(acts)
            self.acts.append(f"shut {account} {name}: {act}")
            getattr(self, f"_{act}")(terminal, book)
            self.world.run(self.chance.choice((*PAUSES_S, 5.0)))
        self.books[account].shut = ""
        self.world.run(SHUT_S)

    def _roll(self, _terminal: Terminal, book: Book) -> None:
        """The broker closes a leader's position and opens it anew."""
        held = self._held(book)
        if not self.world.broker.floor.is_busy(book, held.number):
            self.world.broker.floor.roll(book, held)
            self.world.lines.collect()

    def _swap(self, _terminal: Terminal, _book: Book) -> None:
        """The night: swaps on all accounts, and somebody pays in."""
        for book in self.books.values():
            self.world.broker.floor.charge(book, 12)
        self.world.broker.floor.pay(self.books[502], 100_000)
        self.world.lines.collect()

    def _cut(self, terminal: Terminal, book: Book) -> None:
        self.world.lines.cut_all()
        if self.chance.random() < 0.5:
            self.world.run(self.chance.choice((0.0, 0.3, 2.0)))
        self._meanwhile(terminal, book)

    def _end_sessions(self, terminal: Terminal, book: Book) -> None:
        """The server says that some accounts are authorised no longer; a leader goes on in the middle of it."""
        self.world.broker.end_sessions(
            [account for account in ACCOUNTS if self.chance.random() < 0.5],
            by_token=self.chance.random() < 0.5,
            are_over=self.chance.random() < 0.7,
        )
        self.world.lines.collect()
        self._meanwhile(terminal, book)

    def _kill(self, terminal: Terminal, book: Book) -> None:
        self.world.run(REST_S)
        self.world.kill()
        self._meanwhile(terminal, book)
        self.world.start()

    def _stop(self, terminal: Terminal, book: Book) -> None:
        self.world.run(REST_S)
        self.world.stop()
        self._meanwhile(terminal, book)
        self.world.start()

    def _meanwhile(self, terminal: Terminal, book: Book) -> None:
        """What a leader does while nobody looks."""
        for _ in range(self.chance.randrange(3)):
            acts = ["open", *(["part", "close", "protect", "add"] if book.positions else [])]
            if not self.is_old and book.positions:
                acts += ["trail", *(["stop_out", "stop_out_followers", "crash"] if self.is_short else [])]
            act = self.chance.choice(acts)
            self.acts.append(f"meanwhile {act}")
            getattr(self, f"_{act}")(terminal, book)
            if self.chance.random() < 0.7:
                self.world.run(5.0)

    # --- what the books say ---------------------------------------------------------------------------------------

    def compare(self) -> None:
        """Hold every follower against its leader."""
        for leader, followers in LINKS.items():
            for account, amount in followers.items():
                self._compare(self.books[leader], self.books[account], Fraction(amount))
        for account in ACCOUNTS:
            touched = self.world.events(account, CopyTouched)
            if touched and account not in self.less:
                self.report("touched", account, touched[-1], "nobody's hand")
            for alert in self._alerts(account):
                if account not in self.less:
                    self.report("alert", account, alert, "no alert")

    def _alerts(self, account: int) -> list[AlertRaised]:
        """What still needs a person's eye."""
        raised: dict[str, AlertRaised] = {}
        for one in self.world.log.read_stream(f"account:{account}"):
            is_of_margin = isinstance(one.event, AlertRaised) and one.event.kind.startswith(KIND)  # it has none
            is_asked_again = self.is_slow and one.at_us > self.world.stepper.clock.now() - ASKED_AGAIN_US
            if isinstance(one.event, AlertRaised) and not is_of_margin:
                if is_asked_again and one.event.kind == "session":
                    continue  # it was refused a moment ago
                raised[one.event.kind] = one.event
            elif isinstance(one.event, AlertHealed):
                raised.pop(one.event.kind, None)
        return list(raised.values())

    def shown(self, book: Book) -> list[tuple[str, int, int]]:
        """What a book holds: symbols with volumes, below 0 for short ones."""
        return sorted((one.symbol.name, signed(one), one.number) for one in book.positions.values())

    def _compare(self, leader: Book, book: Book, amount: Fraction) -> None:
        self.counts["compared"] += 1
        if book.account in self.less:
            self._compare_less(leader, book, amount)
            return
        theirs = [(one.symbol.name, signed(one) * amount) for one in leader.positions.values()]
        mine = [(one.symbol.name, Fraction(signed(one))) for one in book.positions.values()]
        if book.netted:
            theirs, mine = _summed(theirs), _summed(mine)
        steps = {one.symbol.name: one.symbol.step for one in book.positions.values()}
        if not _is_as(sorted(theirs), sorted(mine), steps):
            wanted = sorted((name, int(volume)) for name, volume in theirs)
            self.report("positions", book.account, self.shown(book), (wanted, self.shown(leader)))
            return
        self._compare_orders(leader, book, amount)
        if not book.netted:
            self._compare_levels(leader, book)

    def _compare_less(self, leader: Book, book: Book, amount: Fraction) -> None:
        """Where money ran short nobody holds more than his leader, and a stop-out lets nothing be opened."""
        self.counts["compared with less"] += 1
        most: dict[str, list[Fraction]] = {}
        for one in leader.positions.values():
            most.setdefault(one.symbol.name, []).append(signed(one) * amount)
        for held in book.positions.values():
            there = most.get(held.symbol.name, [])
            low, high = sum(v for v in there if v < 0), sum(v for v in there if v > 0)
            if not low <= signed(held) <= high:
                self.report("more than he has", book.account, self.shown(book), self.shown(leader))
        since_ms = self.locked_ms.get(book.account)
        if since_ms is not None:
            opened = [one for one in book.positions.values() if _opening(book, one).order.at_ms > since_ms]
            if opened and not book.netted:
                self.report("opened in spite of a stop-out", book.account, opened, since_ms)
        if self.less[book.account] == "stop-out":
            self.locked_ms.setdefault(book.account, self.world.broker.now_ms())

    def _compare_orders(self, leader: Book, book: Book, amount: Fraction) -> None:
        """What rests; of a netted leader nothing while he holds the symbol, and it does not rest again afterwards."""
        rests = [
            Counter((o.kind, o.symbol.name, o.side, o.volume * by, o.limit, o.stop) for o in one.orders.values())
            for one, by in ((leader, amount), (book, Fraction(1)))
        ]
        held = {one.symbol.name for one in leader.positions.values()} if leader.netted else set()
        theirs, mine = Counter({order: count for order, count in rests[0].items() if order[1] not in held}), rests[1]
        if mine - theirs or (theirs - mine and not leader.netted):
            self.report("orders", book.account, sorted(mine - theirs), sorted(theirs - mine))

    @property
    def _trails_unseen(self) -> bool:
        """Whether nothing tells a stop that a leader has moved from one that has trailed there: he did so while a line
        was down, the look behind it showed what was before, and the broker tells no times."""
        has_times = self.habits.stamps and self.habits.stamps_move
        return self.has_gaps and self.habits.states_behind_us > 0 and not has_times

    def _compare_levels(self, leader: Book, book: Book) -> None:
        by_source = {_source(held): held for held in book.positions.values()}
        if len(by_source) != len(book.positions):
            self.report("sources", book.account, [held.label for held in book.positions.values()], "each once")
        for held in leader.positions.values():
            opened = _opening(leader, held)
            copy = by_source.get(f"p{_base36(held.number)}") or by_source.get(f"o{_base36(opened.order.number)}")
            if copy is None:
                continue  # a position that has turned keeps its copies under the name that they began with
            shift = _opening(book, copy).price - opened.price
            if held.trailing != copy.trailing:
                self.report("trailing", book.account, (copy.number, copy.trailing), (held.number, held.trailing))
            for word in ("sl", "tp"):
                if word == "sl" and held.trailing and copy.trailing and self._trails_unseen:
                    continue
                level, got = getattr(held, word), getattr(copy, word)
                wanted = level + shift if level else 0
                off = self.habits.level_grid - 1
                off += LATE_TICKS if self.has_gaps or held.trailing else LEVEL_TICKS
                if held.trailing and word == "sl":  # what prices breathed before the copy trailed stays between them
                    off += LATE_TICKS + 2 * self.habits.trail_ticks
                if abs(got - wanted) > off * held.symbol.tick:
                    self.report(f"level {word}", book.account, (copy.number, got), (held.number, level, wanted))


def _is_as(theirs: list[tuple[str, Fraction]], mine: list[tuple[str, Fraction]], steps: Mapping[str, int]) -> bool:
    """Whether a follower holds what his leader does, but for what is no step of it: brokers fill parts of any size, so
    that what an order turns to need not come out even, and what is opened is rounded down."""
    if [name for name, _ in theirs] != [name for name, _ in mine]:
        return False
    return all(
        got == wanted or (wanted % steps[name] != 0 and abs(got - wanted) < steps[name])
        for (name, wanted), (_, got) in zip(theirs, mine, strict=True)
    )


def _summed(volumes: list[tuple[str, Fraction]]) -> list[tuple[str, Fraction]]:
    sums: dict[str, Fraction] = {}
    for name, volume in volumes:
        sums[name] = sums.get(name, Fraction(0)) + volume
    return [(name, volume) for name, volume in sums.items() if volume]


def _source(held: Position) -> str:
    return held.label.split(".")[3] if held.label.count(".") == 3 else held.label


def _base36(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    found = ""
    while number:
        number, rest = divmod(number, 36)
        found = digits[rest] + found
    return found


def _opening(book: Book, held: Position) -> Deal:
    """The deal that opened what is held: the first since the position was flat or of the other side."""
    volume, found = 0, None
    for deal in book.deals:
        if deal.position != held.number:
            continue
        was, volume = volume, volume + (deal.volume if deal.side == held.side else -deal.volume)
        found = deal if was <= 0 < volume else found
    assert found is not None
    return found
