"""A day of a leader whose account is netted: one position a symbol, that trades of either side add to, reduce and turn.

By the copy rules (§2.2) his followers see what the net does: it opens, grows, is reduced, turns and closes, whichever
order it was. One that rests is copied as one where it would open the position; where he holds the symbol by then, it is
that trade of the net which it becomes (§2.3: nothing is reduced by an opposite order), and nothing of it rests.
Followers are hedged or netted themselves: with one leader each they hold the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from cmam.openapi._pb.OpenApiModelMessages_pb2 import LIMIT, STOP
from tests.oracle import drawn
from tests.oracle.day import COARSE, IDS, PRICE, STEPS, Day, Theirs, opened_by
from tests.oracle.orders import OrderDay, Ordered, mixed
from tests.oracle.rules import Account, Open, Outcome
from tests.rulebook import BUY, NETTED_LEAD, SELL, Case

LIKED = ("EURUSD", "EURUSD", "EURUSD", "GBPUSD", "XAUUSD")
FAR = 1_500
"""Points that levels keep from the market, so that it seldom reaches them by itself."""


class LeaderDay(OrderDay):
    """One world from a seed, whose leader's account is netted."""

    lead = NETTED_LEAD

    def __init__(self, seed: int, followers: int = 30) -> None:
        self._symbol = ""
        self._moved = self._ends = False
        super().__init__(seed, followers)

    def _draw(self, index: int) -> Case:
        chance = self.chance
        case = drawn.follower(chance, index, kind=chance.choice(("hedged", "hedged", "netted")))
        settings = dict(case.settings)
        if chance.random() < 0.7:  # more that is copied
            for name in ("side", "symbols.include", "label", "require_stop", "order_types"):
                settings.pop(name, None)
        return replace(case, settings=settings, leader=NETTED_LEAD, balance=str(int(float(case.balance)) * 5))

    def _switches(self) -> dict[str, Any]:
        return {"netted_reversal": self.chance.choice(("new_position", "same_position"))}

    def _acts(self) -> list[Callable[[], None]]:
        acts: list[Callable[[], None]] = [self._trade, self._trade, self._order]
        if self.held:
            acts += [self._trade, self._order, self._reduce, self._amend, self._close]
        return acts

    def run(self, steps: int = STEPS) -> None:
        Day.run(self, steps)

    def _wish(self) -> tuple[str, int, Fraction, dict[str, Any]]:
        symbol = self._symbol or self.chance.choice(LIKED)
        wire = self._distances(symbol)
        if self.chance.random() < 0.3:
            wire["label"] = self.chance.choice(("abc", "abd"))
        return symbol, self.chance.choice((BUY, SELL)), self._units(symbol), wire

    def _distances(self, symbol: str) -> dict[str, Any]:
        return {word: far + FAR * COARSE.get(symbol, 1) for word, far in super()._distances(symbol).items()}

    def _seen_as(self, case: Case) -> list[Account]:
        """Before, or with the quotes of now where the market has moved: a fill may be told before the quote is."""
        before = self._before[case.name]
        if self._ends:  # an open that waits for its stop is decided once what rested is gone
            return [before, replace(before, resting=())]
        if not self._moved:
            return [before]
        now = drawn.account(self.book, self.book.ids[case.name])
        return [before, replace(before, quotes=now.quotes)]

    def _compare(self, case: Case, kind: str, opened: Open, got: Outcome, wanted: set[Outcome]) -> None:
        super()._compare(case, kind, opened, got, wanted | mixed(got, wanted) if self._moved else wanted)

    # --- trades

    def _net(self, symbol: str) -> Theirs | None:
        return next((theirs for theirs in self.held if theirs.opened.symbol == symbol), None)

    def _trade(self) -> None:
        """A trade at the market, of which his position makes what it is."""
        symbol, side, units, wire = self._wish()
        net = self._net(symbol)
        if net is None:
            self._open_by(symbol, side, units, wire)
            return
        if net.opened.is_long is not (side == BUY):
            units = self.chance.choice((units, units, net.units))
        self._look()
        there, refused = self._positions(), {case.name: self._refusals(case) for case in self.cases}
        known = self._deals()
        self.book.person.buy(int(units * 100), account=self.lead, symbol=IDS[symbol], side=side, **wire)
        self._see_traded(net, side, wire, self._deals(known), there, refused)

    def _deals(self, known: list[Any] | None = None) -> list[Any]:
        """His deals, or those that are new."""
        deals = self.book.broker.floor.accounts[self.lead].deals
        old = {deal.deal_id for deal in known or ()}
        return [deal for number, deal in deals.items() if number not in old]

    def _see_traded(
        self,
        net: Theirs,
        side: int,
        wire: dict[str, Any],
        deals: list[Any],
        there: dict[str, dict[int, Any]],
        refused: dict[str, int],
        kind: str = "market",
    ) -> None:
        """What a trade has made of his net, by its deals."""
        if not deals:
            self.counts["his was rejected"] += 1
            return
        leader = drawn.account(self.book, self.lead)
        units, price = sum(Fraction(deal.filled, 100) for deal in deals), Fraction(deals[-1].price, PRICE)
        if net.opened.is_long is (side == BUY):
            was = net.stop, net.target
            more = replace(net.opened, units=units, price=price, stop=None, target=None)
            self.book.go(4)
            self._see_grown(net, more, leader, kind)
            self._see_amended(net, was, refused)
        elif units < net.units:
            self.book.go(4)
            self._see_reduced(net, units)
        else:
            self.held.remove(net)
            theirs = None
            if units > net.units:
                turned = opened_by(net.opened.symbol, side, units - net.units, price, wire)
                theirs = self._takes(deals[-1].position_id, turned)
            self.book.go(4)
            self._see_closed(net, "he closed by an opposite trade" if theirs is None else "he turned")
            if theirs is not None:
                self._see_turned(theirs, there, leader, kind)

    def _see_turned(self, theirs: Theirs, there: dict[str, dict[int, Any]], leader: Account, kind: str) -> None:
        """The other side is opened by what a follower is once the copy of the side before is closed."""
        self.counts["turned"] += 1
        for case in self.cases:
            new = {held.position for held in self.book.held(case.name)} - there[case.name].keys()
            number = self.book.ids[case.name]
            now, books = drawn.account(self.book, number), self.book.broker.floor.accounts[number]
            is_old = [held.position_id not in new for held in books.open_positions()]
            holdings = tuple(one for one, is_kept in zip(now.holdings, is_old, strict=True) if is_kept)
            after = replace(now, holdings=holdings)
            seen = [after]
            if self._moved:
                seen.append(replace(after, quotes=self._before[case.name].quotes))
            self._see_opened(case, theirs, there[case.name], leader, seen, kind)

    # --- orders that rest

    def _order(self) -> None:
        """The life of an order: where he holds nothing it is copied as one, until he does."""
        self._symbol = self.chance.choice(LIKED)
        net = self._net(self._symbol)
        if net is None:
            ordered = self._rest()
            if self.chance.random() < 0.4:
                self._amend_order(ordered)
            if self.chance.random() < 0.5:
                self._symbol = ""
                self.chance.choice((self._cancel, self._fill, self._fill))(ordered)
                return
            self._ends = True
            self._open_by(*self._wish())
            self._ends = False
            self._see_nothing_rests(ordered)
            net = self._net(ordered.opened.symbol)
        else:
            ordered = self._rest_into()
        self._symbol = ""
        if net is not None and self.chance.random() < 0.75:
            self._fill_into(ordered, net)
            return
        self.book.person.cancel(ordered.order, account=self.lead)
        self.book.go(4)
        self._see_nothing_rests(ordered)

    def _rest_into(self) -> Ordered:
        """An order of a symbol that he holds: nothing of it rests."""
        symbol, side, units, wire = self._wish()
        kind = self.chance.choice((LIMIT, STOP))
        price = self._price(symbol, side, kind)
        known = {case.name: {order.orderId for order in self._rests(case)} for case in self.cases}
        order = self.book.person.place(
            kind, int(units * 100), account=self.lead, price=float(price), symbol=IDS[symbol], side=side, **wire
        )
        self.book.go(4)
        for case in self.cases:
            word = self._word(case, "order_placed", order)
            self.counts[f"into his net: {word}"] += 1
            new = [one for one in self._rests(case) if one.orderId not in known[case.name]]
            if new or word != "fills_into_net":
                self._report(case, f"he holds {symbol} and places an order", (word, new), "fills_into_net")
        return Ordered(order, side, kind, opened_by(symbol, side, units, price, wire), wire, {}, {})

    def _price(self, symbol: str, side: int, kind: int) -> Fraction:
        bid, ask = drawn.account(self.book, self.lead).quotes[symbol]
        away = self.chance.randrange(4, 40) * 10 * drawn.BROKERS["Lead"][symbol].tick
        return ask + away if (kind == STOP) is (side == BUY) else bid - away

    def _fill_into(self, ordered: Ordered, net: Theirs) -> None:
        """Reach his order: his position becomes what it makes of it."""
        there, refused = self._positions(), {case.name: self._refusals(case) for case in self.cases}
        known = self._deals()
        self._reach(ordered, self.chance.choice((1, 5, 12, 60)))
        self._moved = True
        mine = [deal for deal in self._deals(known) if deal.order_id == ordered.order]
        self.counts[f"filled into his net: {len(mine)} deals"] += 1
        now = self._positions()
        for name, (position, _) in list(net.copies.items()):
            if position not in now[name] and not self._is_to_close(ordered, net):
                del net.copies[name]
                self.counts["ended by its own level"] += 1
        self._see_traded(net, ordered.side, ordered.wire, mine, there, refused, ordered.word)
        self._moved = False
        self._settle()

    def _is_to_close(self, ordered: Ordered, net: Theirs) -> bool:
        return net.opened.is_long is not ordered.opened.is_long and ordered.opened.units >= net.units
