"""What an account asks beside its way: results where quotes lack, margins, tiers of leverage, days it has missed, and
what closed copies unseen.

Nothing here stands in the way of a copy: questions leave in the last lane, at moments that a timer chose, and each
answer becomes a fact of the account's stream. A refused one is asked again later; what is not known meanwhile is told
by the rules that would have used it.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from cmam.actors import messages as m
from cmam.actors.accounts.account_symbols import AccountSymbols
from cmam.actors.accounts.desk import Desk
from cmam.actors.asking.life import Life
from cmam.actors.asking.question import Question
from cmam.clock import MILLISECOND_US, SECOND_US
from cmam.domain.events import ClosesSeen, DayHistorySeen, LeverageSeen
from cmam.domain.guarding.days import missed, rebuilt
from cmam.domain.market.margins import asked_volumes
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.values.ids import DealId, LinkId, PositionId, SymbolId
from cmam.domain.values.trades import BalanceChange, Deal
from cmam.openapi import answers, reckonings, requests, translate
from cmam.openapi.lanes import Lane
from cmam.openapi.pages import Pages, of_deals

log = logging.getLogger(__name__)

ASIDE = "aside "
"""What the names of these questions begin with."""
CLOSES = f"{ASIDE}closes "
"""What the names of those begin with that ask what closed a position unseen, one position at a time."""
DAY_ALERT = "day "
"""What the alerts about days begin with whose beginning nobody knows."""
RESULTS_US = 3 * SECOND_US
"""How soon after one question for results the next may follow (wire.md#money-of-an-account)."""
RETRY_US = 5 * SECOND_US
TRADER_US_MAX = 60 * SECOND_US
"""The longest pause before particulars that could not be read are asked for again."""
MARGIN_US = 600 * SECOND_US
"""How old the broker's reckoning of a symbol's margin may be."""
MARGINS_AT_ONCE = 4
"""How many symbols are asked for their margin at one look, a minute apart."""
WEEK_MS = 604_800_000
LOOK_BACK_MS = 60_000
"""How much earlier than the moment in question a history is asked for: clocks differ."""
WEEKS_MAX = 26
CLOSES_TRIES = 8
CLOSES_US_MAX = 60 * SECOND_US
"""How often it is asked what closed a position, where the answer is refused or has no close: again after 5 s, then
after twice as long each time and a minute at most, for four minutes in all."""


@dataclass(slots=True)
class History:
    """A history on its way: all since `from_ms`, a week at a time, the newest first."""

    from_ms: int
    to_ms: int
    balance_version: int
    last: tuple[DealId, ...]
    deals: tuple[Deal, ...] = ()
    money: tuple[BalanceChange, ...] = ()
    pages: Pages[Deal] | None = None
    """Those of the week that is being read."""


class Asides:
    """Questions beside the way of one account."""

    def __init__(self, desk: Desk, symbols: AccountSymbols, links: Callable[[], Iterable[LinkSettings]]) -> None:
        self._desk = desk
        self._symbols = symbols
        self._links = links
        self._open: dict[str, Question] = {}
        self._not_before: dict[str, int] = {}
        self._margin_us: dict[SymbolId, int] = {}
        self._history: History | None = None
        self._given_up: set[tuple[LinkId, int]] = set()
        self._puzzle = (0, 0)
        self._trader_tries = 0
        self._life: Life | None = None
        self._closes_tries: Counter[PositionId] = Counter()

    # --- when to ask ------------------------------------------------------------------------------------------------

    def watch(self, *, is_dark: bool) -> None:
        """Ask what the guards cannot see: results while quotes lack, and what moved the balance unseen."""
        now = self._desk.ports.clock.now()
        if not self._desk.is_reconciled:
            return
        if is_dark:
            self._ask_for_results(now, Lane.QUERY)
        if any(kind.startswith(DAY_ALERT) for kind in self._desk.view.alerts):
            self._tell_unknown(missed(self._desk.view, self._links(), now))
        if self._history is None and self._may("history", now):
            self._begin_history(now)

    def expects_results(self) -> bool:
        """Whether the broker's own results of what is held are on their way, for an open that waits for them: they are
        asked for with that, at most once in three seconds. Not where he has refused to tell them, or has left out a
        position: he would again."""
        now = self._desk.ports.clock.now()
        if not self._desk.is_reconciled:
            return False
        self._ask_for_results(now, Lane.OPEN)
        if f"{ASIDE}results" in self._open:
            return True
        view = self._desk.view
        is_told_short = bool(view.results_us and view.positions.keys() - view.results)
        return not is_told_short and now + RESULTS_US >= self._not_before["results"]

    def _ask_for_results(self, now: int, lane: Lane) -> None:
        if self._may("results", now):
            self._not_before["results"] = now + RESULTS_US
            view = self._desk.view
            read = reckonings.results_reader(view.money_digits)
            self._ask(Question(f"{ASIDE}results", reckonings.ask_results(view.account), read), lane)

    def look(self) -> None:
        """Ask for particulars that could not be read, what closed copies unseen, tiers that are not known and margins
        that are old: once a minute, when all is known anew, and when a link begins."""
        desk = self._desk
        if not desk.is_reconciled:
            return
        now, view = desk.ports.clock.now(), desk.view
        if desk.lacks_trader and self._may("trader", now):
            lane = Lane.OPEN if any(True for _ in self._links()) else Lane.QUERY  # no open goes without it
            self._ask(Question(f"{ASIDE}trader", requests.ask_trader(view.account), translate.sane_trader), lane)
        if self._may("closes", now) and not any(name.startswith(CLOSES) for name in self._open):
            self._ask_for_closes()
        if not any(True for _ in self._links()):
            return
        wanted = {spec.leverage_id for spec in self._symbols.specs.values()} - view.leverages.keys() - {0}
        for leverage in sorted(wanted):
            if self._may(f"leverage {leverage}", now):
                message = reckonings.ask_leverage(view.account, leverage)
                self._ask(Question(f"{ASIDE}leverage {leverage}", message, reckonings.read_leverage), Lane.IDLE)
        if all(link.policy.margin_reserve is None for link in self._links()):
            return
        old = [symbol for symbol in view.specs if now - self._margin_us.get(symbol, -MARGIN_US) >= MARGIN_US]
        for symbol in sorted(old, key=lambda symbol: (self._margin_us.get(symbol, 0), symbol))[:MARGINS_AT_ONCE]:
            volumes = asked_volumes(view.specs[symbol])
            self._margin_us[symbol] = now
            message = reckonings.ask_margin(view.account, symbol, volumes)
            read = reckonings.margin_reader(symbol, view.money_digits)
            self._ask(Question(f"{ASIDE}margin {symbol}", message, read), Lane.IDLE)

    def give_up(self) -> None:
        """The line is gone: nothing that was asked will be answered."""
        self._open.clear()
        self._history = self._life = None
        self._not_before.clear()
        self._closes_tries.clear()

    def _may(self, name: str, now: int) -> bool:
        return f"{ASIDE}{name}" not in self._open and now >= self._not_before.get(name, 0)

    def _ask(self, question: Question, lane: Lane = Lane.QUERY) -> None:
        self._open[question.name] = question
        self._desk.ask(question, lane)

    # --- answers ----------------------------------------------------------------------------------------------------

    def answered(self, message: m.Answered) -> bool:
        """Take an answer to a question of this kind; whether it was one."""
        if not message.question.startswith(ASIDE):
            return False
        if self._open.pop(message.question, None) is None:
            return True
        match message.question.removeprefix(ASIDE).split(" ")[0]:
            case "deals":
                self._take_deals(*message.report)
            case "money":
                self._take_money(message.report)
            case "trader":
                self._take_trader(message.report)
            case "closes":
                self._take_closes(*message.report)
            case _:
                self._desk.fact(message.report)
        return True

    def unanswered(self, message: m.Unanswered) -> bool:
        """Note that a question of this kind was refused; whether it was one."""
        if not message.question.startswith(ASIDE):
            return False
        name = message.question.removeprefix(ASIDE)
        was_open = self._open.pop(message.question, None) is not None
        log.warning("! %s: %s was not answered: %s %s", self._desk.name, name, message.error_code, message.text)
        wait_us = max(RETRY_US, message.retry_after_s * SECOND_US)
        kind, _, leverage = name.partition(" ")
        if kind == "leverage" and message.error_code == "ENTITY_NOT_FOUND":
            self._desk.fact(LeverageSeen(leverage=int(leverage), tiers=()))
        if kind == "trader":
            self._desk.note_trader(is_known=False)
            self._trader_tries += 1
            wait_us = max(wait_us, min(RETRY_US << min(self._trader_tries, 8), TRADER_US_MAX))
            self._desk.remind(wait_us + MILLISECOND_US, "aside")
        is_of_history = kind in ("deals", "money")
        if is_of_history:
            self._history = None
        if message.question.startswith(CLOSES):
            name = kind
            if was_open and self._life is not None:
                wait_us = self._refuse_closes(self._life, wait_us)
        self._not_before["history" if is_of_history else name] = self._desk.ports.clock.now() + wait_us
        return True

    # --- what closed copies unseen ----------------------------------------------------------------------------------

    def _ask_for_closes(self) -> None:
        """The orders of a position, which say who closed it, then its deals, which say at which price; and where one of
        these is refused, each order by its number."""
        if self._life is not None:
            self._read_on(self._life)
            return
        view = self._desk.view
        left = (one for one in view.unpriced if self._closes_tries[one] < CLOSES_TRIES)
        position = min(left, key=lambda one: (self._closes_tries[one], one), default=None)
        if position is not None:
            self._life = Life.of(position)
            self._read_on(self._life)

    def _read_on(self, life: Life) -> None:
        """Ask for the next page of a life, or tell it."""
        account = self._desk.view.account
        if life.is_read:
            self._tell_closes(life)
        elif life.order_pages.has_more:
            message = requests.ask_orders_of(account, life.position, until_ms=life.order_pages.to_ms)
            self._ask(Question(f"{CLOSES}orders {life.position}", message, answers.read_orders), Lane.IDLE)
        elif (number := life.by_number) is not None:
            message = requests.ask_order(account, number)
            self._ask(Question(f"{CLOSES}order {number}", message, answers.read_order_with_deals), Lane.IDLE)
        else:
            message = requests.ask_deals_of(account, life.position, until_ms=life.deal_pages.to_ms)
            self._ask(Question(f"{CLOSES}deals {life.position}", message, answers.read_deals), Lane.IDLE)

    def _take_closes(self, page: tuple[Any, ...], has_more: bool) -> None:
        if self._life is not None:
            self._life.take(page, has_more=has_more)
            self._read_on(self._life)

    def _tell_closes(self, life: Life) -> None:
        self._life = None
        self._closes_tries[life.position] += 1
        is_whole = life.has_close and not life.is_short and not self._lacks_ours(life)
        if not is_whole and self._closes_tries[life.position] < CLOSES_TRIES:
            self._ask_again_for_closes(life.position, RETRY_US)  # a history may lag behind
            return
        del self._closes_tries[life.position]  # a net lives on under its number, and may lose something again
        self._desk.fact(ClosesSeen(position=life.position, deals=life.deals, orders=life.orders))
        self._ask_for_closes()

    def _lacks_ours(self, life: Life) -> bool:
        """Whether a close of ours is asked for, and all closes that are told were known."""
        view = self._desk.view
        is_lost = any(lost.position == life.position for lost in view.lost_closes)
        return is_lost and not any(deal.close is not None and deal.deal not in view.deals for deal in life.deals)

    def _refuse_closes(self, life: Life, wait_us: int) -> int:
        """Ask again after a while; anew where nothing has come of either question."""
        self._closes_tries[life.position] += 1
        life.refuse()
        is_over = self._closes_tries[life.position] >= CLOSES_TRIES and not life.is_read
        if is_over or life.is_in_vain:
            self._life = None
        return self._ask_again_for_closes(life.position, wait_us)

    def _ask_again_for_closes(self, position: PositionId, wait_us: int) -> int:
        """Sooner than at the next look of once a minute: a stop-out locks only once it is known to be one."""
        wait_us = max(wait_us, min(RETRY_US << (self._closes_tries[position] - 1), CLOSES_US_MAX))
        self._not_before["closes"] = self._desk.ports.clock.now() + wait_us
        self._desk.remind(wait_us + MILLISECOND_US, "aside")
        return wait_us

    def _take_trader(self, wire: Any) -> None:
        desk = self._desk
        self._trader_tries = 0
        desk.fact(translate.trader_seen(wire, desk.view.assets, is_live=desk.ports.is_live))
        desk.note_trader(is_known=True)

    # --- a day that was missed, and money that moved unseen ---------------------------------------------------------

    def _begin_history(self, now: int) -> None:
        view = self._desk.view
        moments = [
            view.days[link.link].began_us
            for link in missed(view, self._links(), now)
            if (link.link, view.days[link.link].began_us) not in self._given_up
        ]
        if view.unexplained and self._is_lasting(view.unexplained[0], now):
            moments.append(view.in_sight_us or now)
        if not moments:
            return
        offset_ms = self._offset_ms()
        now_ms = now // MILLISECOND_US + offset_ms
        from_ms = min(moments) // MILLISECOND_US + offset_ms - LOOK_BACK_MS
        from_ms = max(from_ms, now_ms - WEEKS_MAX * WEEK_MS)
        self._history = History(from_ms, now_ms + LOOK_BACK_MS, view.balance_version, view.deals[-1:])
        self._next_week(self._history)

    def _is_lasting(self, version: int, now: int) -> bool:
        """Whether the word that made a version of the balance is not merely a little later than the balance itself."""
        if self._puzzle[0] != version:
            self._puzzle = (version, now)
        return now - self._puzzle[1] >= SECOND_US

    def _offset_ms(self) -> int:
        """The broker's clock minus ours."""
        return self._desk.ports.board.clock(self._desk.quotes.feed).offset_ms

    def _next_week(self, history: History) -> None:
        history.pages = of_deals(self._start_ms(history), history.to_ms)
        self._ask_deals(history.pages)

    def _start_ms(self, history: History) -> int:
        return max(history.from_ms, history.to_ms - WEEK_MS + LOOK_BACK_MS)

    def _ask_deals(self, pages: Pages[Deal]) -> None:
        message = requests.ask_deals(self._desk.view.account, pages.from_ms, pages.to_ms)
        self._ask(Question(f"{ASIDE}deals", message, answers.read_deals))

    def _take_deals(self, page: tuple[Deal, ...], has_more: bool) -> None:
        history = self._history
        if history is None or history.pages is None:
            return
        known = {deal.deal for deal in history.deals}
        fresh = history.pages.take(page, has_more=has_more)
        history.deals += tuple(deal for deal in fresh if deal.deal not in known)  # of the week after, in its first ms
        if history.pages.has_more:
            self._ask_deals(history.pages)
            return
        message = reckonings.ask_money(self._desk.view.account, self._start_ms(history), history.to_ms)
        self._ask(Question(f"{ASIDE}money", message, reckonings.read_money))

    def _take_money(self, money: tuple[BalanceChange, ...]) -> None:
        history = self._history
        if history is None:
            return
        history.money += tuple(change for change in money if change not in history.money)
        start_ms = self._start_ms(history)
        if start_ms > history.from_ms:
            history.to_ms = start_ms
            self._next_week(history)
            return
        self._history = None
        self._conclude(history)

    def _conclude(self, history: History) -> None:
        """Record what was read, and begin the missed days anew; what happened while it was read is asked for again."""
        desk, now = self._desk, self._desk.ports.clock.now()
        view = desk.view
        if view.balance_version != history.balance_version or view.deals[-1:] != history.last:
            self._not_before["history"] = now + SECOND_US
            return
        links = missed(view, self._links(), now)
        began_us = min((view.days[link.link].began_us for link in links), default=0)
        first_ms = began_us // MILLISECOND_US - LOOK_BACK_MS
        deals = tuple(deal for deal in history.deals if began_us and deal.executed_ms >= first_ms)
        seen = DayHistorySeen(began_us=began_us, deals=deals, money=history.money, offset_ms=self._offset_ms())
        desk.fact(seen)
        for link in links:
            day = rebuilt(desk.view, link, seen)
            if day is None:
                self._given_up.add((link.link, desk.view.days[link.link].began_us))
            else:
                desk.fact(day)
        self._tell_unknown(missed(desk.view, self._links(), now))

    def _tell_unknown(self, unknown: Iterable[LinkSettings]) -> None:
        """Say which guards do not know their day, and take back what is over."""
        wanted = {f"{DAY_ALERT}{link.link}": link for link in unknown}
        for kind in [kind for kind in self._desk.view.alerts if kind.startswith(DAY_ALERT) and kind not in wanted]:
            self._desk.alert(m.Alert(kind))
        for kind, link in wanted.items():
            name = link.profile_name or link.link
            then = f"Nothing opens until the next day begins, or until `cmam profile rearm {name} --guard day`."
            if not link.policy.needs_anchor:
                then = "None of them counts from that: they count from the highest equity that was seen since."
            text = (
                f"The guards of {name} do not know what the day began with: something was open then, and nobody can"
                f" tell what it was worth. {then}"
            )
            self._desk.alert(m.Alert(kind, text))
