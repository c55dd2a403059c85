"""What became of each leader's trade in the record and in the what-if, side by side: one row for a trade and a link."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from fractions import Fraction

from cmam.domain.belief.copies import Copy, CopyKey, CopyState
from cmam.domain.belief.view import AccountView, resolve
from cmam.domain.events import AttemptDecided, ChangeDecided, CopyFinished, Event, Inputs, IntentRecorded
from cmam.domain.market.conversion import chain_symbols
from cmam.domain.values.changes import Change, ChangeKind
from cmam.domain.values.ids import AccountId, DealId, LinkId, order_source
from cmam.domain.values.quantities import PRICE_SCALE, VOLUME_SCALE
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.trades import Deal
from cmam.store.what_if.model import Model

STARTS = (ChangeKind.OPENED, ChangeKind.ORDER_PLACED, ChangeKind.REVERSED)
RowKey = tuple[AccountId, CopyKey]


@dataclass(slots=True)
class Told:
    """What became of one trade on one side. Volumes in 1/100 unit, `result` in minor units of the follower."""

    verdict: Verdict | None = None
    reason: Reason | None = None
    volume: int = 0
    result: int = 0
    floating: int | None = 0
    state: str = ""
    ended: str = ""
    closes: int = field(default=0, compare=False)
    was_asked: bool = field(default=False, compare=False)

    @property
    def is_untold(self) -> bool:
        """Whether it is closed, and no deal told of it: then nobody knows what it came to."""
        is_closed = self.state == CopyState.CLOSED.value and self.ended != Reason.RELEASED.value
        return self.is_copied and is_closed and not self.closes

    @property
    def is_copied(self) -> bool:
        """Whether there was a copy of it that held anything."""
        return self.volume > 0


@dataclass(slots=True)
class Row:
    """A leader's trade and one link."""

    account: AccountId
    link: LinkId
    change: Change
    at_us: int
    recorded: Told = field(default_factory=Told)
    other: Told = field(default_factory=Told)
    decisions_differ: int = 0
    is_modelled: bool = False

    @property
    def differs(self) -> bool:
        """Whether anything came out otherwise."""
        return bool(self.decisions_differ) or self.recorded != self.other


class Rows:
    """All rows of a run, in the order in which their trades were first decided."""

    def __init__(self) -> None:
        self.rows: dict[RowKey, Row] = {}
        self._of_orders: dict[RowKey, RowKey] = {}
        self._paid: set[tuple[bool, AccountId, DealId]] = set()

    def row_of(self, account: AccountId, key: CopyKey) -> Row | None:
        """The row of a copy; that of what an order filled into is its order's."""
        return self.rows.get(self._of_orders.get((account, key), (account, key)))

    def decided(
        self, view: AccountView, recorded: ChangeDecided | None, other: ChangeDecided | None, at_us: int
    ) -> None:
        """Note a decision on both sides; None where one side had none."""
        decision = recorded or other
        assert decision is not None
        change = decision.change
        key = resolve(view, decision.link, change)
        if self.row_of(view.account, key) is None and change.origin is not None:  # a later order only adds to it
            of_order = (view.account, (decision.link, order_source(change.origin)))
            if of_order in self.rows:
                self._of_orders[view.account, key] = of_order
        row = self.row_of(view.account, key)
        if row is None:
            row = self.rows[view.account, key] = Row(view.account, decision.link, change, at_us)
        for told, found in ((row.recorded, recorded), (row.other, other)):
            if found is not None and _says_more(told, found):
                told.verdict, told.reason = found.verdict, found.reason
        if recorded is None or other is None or bare(recorded) != bare(other):
            row.decisions_differ += 1

    def noted(self, view: AccountView, events: tuple[Event, ...], *, other: bool) -> None:
        """Note what turns have made of copies."""
        for event in events:
            link, source = getattr(event, "link", None), getattr(event, "source", None)
            if link is None or source is None:
                continue
            row = self.row_of(view.account, view.key_of((link, source)))
            if row is None:
                continue
            told = row.other if other else row.recorded
            if isinstance(event, AttemptDecided) and event.verdict is not Verdict.COPY:
                told.verdict, told.reason = event.verdict, event.reason
            if isinstance(event, IntentRecorded):
                told.was_asked = True
            if isinstance(event, CopyFinished):
                told.ended = event.reason.value
                if told.verdict is Verdict.COPY and not told.was_asked and not told.volume:  # it waited until its end
                    told.verdict, told.reason = Verdict.NONE, event.reason

    def took(self, view: AccountView, key: CopyKey, *, other: bool) -> None:
        """Note how a copy stands."""
        row, copy = self.row_of(view.account, key), view.copy(key)
        if row is None or copy is None:
            return
        told = row.other if other else row.recorded
        told.volume = max(told.volume, int(copy.opened_volume))
        told.state = copy.state.value

    def paid(self, account: AccountId, closes: Iterable[tuple[CopyKey, Deal]], *, other: bool) -> None:
        """Add what closes realised that one fact tells, each once however often it is told."""
        fresh: set[tuple[bool, AccountId, DealId]] = set()
        for key, deal in closes:
            row, mark = self.row_of(account, key), (other, account, deal.deal)
            if row is not None and deal.close is not None and mark not in self._paid:
                fresh.add(mark)
                told = row.other if other else row.recorded
                told.result += deal.close.net
                told.closes += 1
        self._paid |= fresh

    def valued(self, view: AccountView, model: Model, now_us: int, *, other: bool) -> None:
        """Note what the copies that are still open are worth, and of which that are closed nobody knows what they were.
        A share of a net may end against another, without any deal."""
        for copy in view.copies.values():
            row = self.row_of(view.account, copy.key)
            if row is not None:
                told = row.other if other else row.recorded
                told.floating = _worth(view, copy, model, now_us)
        for row in self.rows.values():
            told = row.other if other else row.recorded
            if row.account == view.account and told.is_untold and not view.is_netted():
                told.floating = None


def bare(decision: ChangeDecided) -> ChangeDecided:
    """A decision without what it rested on: what it came to."""
    return replace(decision, inputs=Inputs(), working=(), settings_version=0)


def _says_more(told: Told, found: ChangeDecided) -> bool:
    """The first word counts, unless a later one makes a copy of what was skipped."""
    if told.verdict is None:
        return True
    return found.change.kind in STARTS and told.verdict is not Verdict.COPY


def _worth(view: AccountView, copy: Copy, model: Model, now_us: int) -> int | None:
    """What an open copy would realise at the newest quote, before costs; None without a quote."""
    spec = view.specs.get(copy.symbol)
    quote = model.quote_of(spec.name) if spec is not None else None
    if copy.volume == 0:
        return 0
    if spec is None or quote is None or copy.open_price is None:
        return None
    moved = (quote.exit(copy.side) - copy.open_price) * copy.side.sign
    gain = Fraction(moved * copy.volume, PRICE_SCALE * VOLUME_SCALE)
    if spec.quote_name != view.currency:
        names = chain_symbols(view, spec.quote_name, view.currency)
        rate = model.rates(view, now_us, names).rate(spec.quote_name, view.currency, high=gain < 0)
        if rate is None:
            return None
        gain *= rate
    worth: Fraction = gain * 10**view.money_digits
    return round(worth)
