"""What an account looks at now and then: equity against its guards, margin, who is out of sight, quotes to record."""

from __future__ import annotations

from collections.abc import Mapping

from cmam.actors import messages as m
from cmam.actors.accounts.asides import Asides
from cmam.actors.accounts.desk import Desk
from cmam.actors.accounts.following import Following
from cmam.clock import SECOND_US
from cmam.domain.belief.view import AccountView
from cmam.domain.deciding.inputs import symbols_to_sample
from cmam.domain.events import Health, QuotesSampled
from cmam.domain.guarding import guards
from cmam.domain.turns import added, margin_calls
from cmam.domain.turns.blindness import watch_blind
from cmam.domain.turns.timing import outside
from cmam.domain.values.ids import AccountId

SIGHT_US = 15 * SECOND_US
"""How long an account may be out of sight before anybody is told, and how often that and links' hours are looked at."""
BLIND_US = SECOND_US
"""How often leaders are looked for where copies are to be closed without them: a span of `leader_blind` is kept so."""
WATCH_US = 250_000
"""How often guards are looked at, where there are any."""
SAMPLE_US = 10 * SECOND_US
"""How often the quotes of symbols with open copies are put on record."""


class Watches:
    """The looks that a timer asks for."""

    def __init__(self, desk: Desk, following: Following, asides: Asides) -> None:
        self._desk = desk
        self._asides = asides
        self._following = following
        self._blind_since: dict[AccountId, int] = {}
        self._calls: dict[str, margin_calls.Call] = {}
        self._guarded = guards.Memory()
        self._is_guarding = False
        self._is_sampling = False
        self._is_looking = False
        self._added: Mapping[str, str] = {}

    # --- guards ---------------------------------------------------------------------------------------------------

    def guard(self) -> None:
        """Look at equity where a guard is set: on a timer and after executions, never for each tick."""
        if not self._following.has_guards:
            return
        desk, links = self._desk, tuple(self._following.links.values())
        now, is_known = desk.ports.clock.now(), desk.is_worth_known
        found = guards.watch(desk.view, links, desk.quote_by_name, self._guarded, now, is_known=is_known)
        self._guarded = found.memory
        for fact in found.facts:
            desk.fact(fact)
        self._asides.watch(is_dark=found.is_dark)
        if not self._is_guarding:
            self._is_guarding = True
            desk.remind(WATCH_US, "watch")

    def guard_again(self) -> None:
        """The timer's look."""
        self._is_guarding = False
        self.guard()

    # --- sight ----------------------------------------------------------------------------------------------------

    def begin_sight(self) -> None:
        """Begin to look who is out of sight."""
        self._desk.remind(SIGHT_US, "sight")

    def sight(self) -> None:
        """Say which copies are held in the dark while a leader or this account is out of sight, and close in time; let
        nothing rest outside the hours that its link has now."""
        desk, links = self._desk, self._following.links
        now = desk.ports.clock.now()
        self._look_for_leaders(now)
        if not self._is_looking:
            self._look_closer()
        for overdue in tuple(outside(desk.view, links, now)) if desk.is_reconciled else ():
            desk.fact(overdue)
        self._look_at_margin()
        self._look_at_nets()
        desk.remind(SIGHT_US, "sight")

    def blind(self) -> None:
        """The closer look at leaders, as long as there is anything to close without them."""
        self._look_for_leaders(self._desk.ports.clock.now())
        self._look_closer()

    def _look_closer(self) -> None:
        closes = any(link.policy.leader_blind_ms is not None for link in self._following.links.values())
        self._is_looking = closes and bool(self._desk.view.copies)
        if self._is_looking:
            self._desk.remind(BLIND_US, "blind")

    def _look_for_leaders(self, now: int) -> None:
        desk, links = self._desk, self._following.links
        followed = {link.leader for link in links.values()} | {copy.leader for copy in desk.view.copies.values()}
        blind = {account for account in (*followed, desk.view.account) if not self._is_in_sight(account)}
        self._blind_since = {account: self._out_since(account, now) for account in sorted(blind)}
        for fact in watch_blind(desk.view, links, self._blind_since, now, quiet_us=SIGHT_US):
            desk.fact(fact)

    def _out_since(self, account: AccountId, now: int) -> int:
        """Since when an account has been out of sight without a break: it may have been back between two looks."""
        before, view = self._blind_since.get(account, now), self._view(account)
        return now if view is not None and view.reconciled_us > before else before

    def _view(self, account: AccountId) -> AccountView | None:
        desk = self._desk
        return desk.view if account == desk.view.account else desk.ports.status.view(account)

    def _is_in_sight(self, account: AccountId) -> bool:
        view = self._view(account)
        return view is not None and view.health is Health.RECONCILED

    def _look_at_nets(self) -> None:
        """Say what others have added to nets once it is there at two looks, and take it back once it is gone."""
        desk = self._desk
        if not desk.is_reconciled:
            return
        before, self._added = self._added, added.said(desk.view)
        for kind, text in self._added.items():
            if before.get(kind) == text:
                desk.alert(m.Alert(kind, text))
        for kind in [kind for kind in desk.view.alerts if kind.startswith(added.KIND) and kind not in self._added]:
            desk.alert(m.Alert(kind))

    # --- margin calls ---------------------------------------------------------------------------------------------

    def margin_called(self, threshold: int) -> None:
        """Say that the broker calls for margin, at a threshold in hundredths of a percent."""
        kind, level = f"{margin_calls.KIND}{threshold}", self._margin_level()
        self._calls[kind] = margin_calls.Call(self._desk.ports.clock.monotonic(), level)
        self._desk.alert(m.Alert(kind, margin_calls.in_words(threshold, level)))

    def _look_at_margin(self) -> None:
        """Take back margin calls that are over."""
        desk, kinds = self._desk, margin_calls.called(self._desk.view)
        if not kinds or not desk.is_reconciled:
            return
        now = desk.ports.clock.monotonic()
        for kind in kinds:
            self._calls.setdefault(kind, margin_calls.Call(now))
        for kind in tuple(margin_calls.over(desk.view, self._margin_level(), self._calls, now)):
            desk.alert(m.Alert(kind))
            del self._calls[kind]

    def _margin_level(self) -> int | None:
        desk = self._desk
        return margin_calls.margin_level(desk.view, desk.quote_by_name, desk.ports.clock.now())

    # --- quotes on record -----------------------------------------------------------------------------------------

    def keep_sampling(self) -> None:
        """Begin, once, to put quotes on record."""
        if not self._is_sampling:
            self._is_sampling = True
            self._desk.remind(SAMPLE_US, "sample")

    def sample(self) -> None:
        """Put a quote of each symbol on record that values what is open here or at a leader: what-if reads them."""
        desk = self._desk
        known = ((desk.ports.status.view(link.leader), link) for link in self._following.links.values())
        leaders = [(view, link) for view, link in known if view is not None and (view.positions or view.orders)]
        if (desk.view.copies or leaders) and desk.is_reconciled:
            found = {name: desk.quote_by_name(name) for name in sorted(symbols_to_sample(desk.view, leaders))}
            quotes = {name: quote for name, quote in found.items() if quote is not None}
            if quotes:
                desk.fact(QuotesSampled(quotes=quotes))
        desk.remind(SAMPLE_US, "sample")
