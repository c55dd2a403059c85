"""The emergency exit: closes what we copied by its label at the broker, without the log's lock, beside whatever runs.

Rests on nothing but the list of accounts, their tokens and the labels that every order of ours carries. Closes whole
hedged positions and cancels pending orders with our label, and touches nothing else: what a netted position holds of
ours is not told by its label. Repeats until the broker shows none. Must not know the command line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from cmam.clock import Clock
from cmam.config.home import Home
from cmam.config.settings import Endpoint, Settings
from cmam.domain.operating.registry import KnownAccount, Registry
from cmam.domain.values.ids import AccountId
from cmam.domain.values.naming import read_label
from cmam.domain.values.trades import AccountType, Order, Position
from cmam.office import secrets_of
from cmam.openapi.enquiry import Refused
from cmam.openapi.errors import CannotConnect, WireError
from cmam.openapi.inspection import Inspection
from cmam.openapi.outcomes import Kind
from cmam.survey import authorise, by_endpoint, inspection

BETWEEN_ROUNDS_S = 0.5
"""How long a close may take before the broker is asked again what is left."""

LOOKS = 2
"""So many looks in a row, that far apart, have to show nothing of ours."""

Links = frozenset[str] | None
"""Which links of ours are meant on an account; None is every copy of this store."""


@dataclass(slots=True)
class Found:
    """What one account still shows of ours. `netted` are positions that are not ours to close whole."""

    account: KnownAccount
    positions: tuple[Position, ...] = ()
    orders: tuple[Order, ...] = ()
    netted: tuple[Position, ...] = ()
    is_known: bool = False
    why_not: str = ""
    given_up: bool = False
    empty_looks: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether the broker has shown, twice in a row, that nothing of ours is left to close or cancel.

        One answer may be of a replica that lags behind: an absence alone proves nothing (decision 0144).
        """
        return self.is_known and self.empty_looks >= LOOKS


@dataclass(slots=True)
class Rescue:
    """One flatten past everything: `look` once, `empty` until nothing is left. `wait` pauses for seconds."""

    home: Home
    settings: Settings
    registry: Registry
    targets: Mapping[AccountId, Links]
    clock: Clock
    wait: Callable[[float], object]
    found: dict[AccountId, Found] = field(default_factory=dict)
    _desks: dict[Endpoint, tuple[Inspection, ExitStack]] = field(default_factory=dict)
    _opened: set[AccountId] = field(default_factory=set)
    _is_netted: dict[AccountId, bool] = field(default_factory=dict)

    def look(self) -> tuple[Found, ...]:
        """Ask every broker what it shows of ours, and once more where that is nothing."""
        self._round(lambda _: True)
        bare = {one.account.account for one in self.found.values() if one.empty_looks}
        if bare:
            self.wait(BETWEEN_ROUNDS_S)
        self._round(lambda one: one.account.account in bare)
        return tuple(self.found.values())

    def empty(self, deadline_us: int, say: Callable[[str], None]) -> tuple[Found, ...]:
        """Close and cancel, and look again, until nothing is left or the time (monotonic, in us) is over."""
        while True:
            self._round(lambda one: not one.is_empty, say)
            left = [one for one in self.found.values() if not one.is_empty and not one.given_up]
            if not left or self.clock.monotonic() >= deadline_us:
                return tuple(self.found.values())
            self.wait(BETWEEN_ROUNDS_S)

    def end(self) -> None:
        """Close every connection."""
        for _, stack in self._desks.values():
            stack.close()
        self._desks.clear()

    def _places(self) -> dict[Endpoint, list[KnownAccount]]:
        wanted = [self.registry.accounts[account] for account in self.targets if account in self.registry.accounts]
        return by_endpoint(self.settings, wanted)

    def _round(self, is_meant: Callable[[Found], bool], say: Callable[[str], None] | None = None) -> None:
        """Look at all who are meant, and close where there is somebody to tell. A server that cannot be reached is
        tried once: waiting for it anew for each of its accounts would keep those of other servers waiting, too."""
        for endpoint, accounts in self._places().items():
            unreached = ""
            for known in accounts:
                one = self.found.setdefault(known.account, Found(known))
                if one.given_up or not is_meant(one):
                    continue
                one.why_not = unreached
                if not unreached:
                    unreached = self._visit(endpoint, known, one, say)

    # --- one account ----------------------------------------------------------------------------------------------

    def _visit(self, endpoint: Endpoint, known: KnownAccount, one: Found, say: Callable[[str], None] | None) -> str:
        """Look at one account, and close; answers why its server cannot be reached, empty where it can."""
        try:
            desk = self._desk(endpoint)
            if self._open(desk, known, one):
                self._see(desk, known, one)
                if say is not None:
                    self._close(desk, known, one, say)
        except Refused as refused:
            one.why_not = str(refused)
            one.given_up = refused.refusal.rule.kind is Kind.PERMANENT
            self._opened.discard(known.account)  # its session may be over: a token that is renewed ends it
        except (CannotConnect, WireError) as error:
            one.why_not = str(error)
            if endpoint not in self._desks:
                return one.why_not
            self._drop(endpoint)
        return ""

    def _desk(self, endpoint: Endpoint) -> Inspection:
        if endpoint not in self._desks:
            stack = ExitStack()
            desk = stack.enter_context(inspection(self.home, self.settings, endpoint, self.clock))
            self._desks[endpoint] = (desk, stack)
        return self._desks[endpoint][0]

    def _drop(self, endpoint: Endpoint) -> None:
        """Let a line go that gave no answer; the next round dials anew."""
        dropped = self._desks.pop(endpoint, None)
        if dropped is not None:
            dropped[1].close()
        self._opened -= {known.account for known in self._places().get(endpoint, [])}

    def _open(self, desk: Inspection, known: KnownAccount, one: Found) -> bool:
        if known.account in self._opened:
            return True
        why = authorise(desk, secrets_of(self.home, self.settings.secrets).load(), known)
        if why:
            one.why_not, one.given_up = why, True
            return False
        seen = desk.trader(known.account, (), is_live=known.is_live)
        self._is_netted[known.account] = seen.trader.account_type is not AccountType.HEDGED
        self._opened.add(known.account)
        return True

    def _see(self, desk: Inspection, known: KnownAccount, one: Found) -> None:
        held = desk.held(known.account)
        positions = tuple(p for p in held.positions if p.volume > 0 and self._is_ours(known.account, p.label))
        is_netted = self._is_netted[known.account]
        one.positions, one.netted = ((), positions) if is_netted else (positions, ())
        one.orders = tuple(order for order in held.orders if self._is_ours(known.account, order.label))
        one.is_known, one.why_not = True, ""
        one.empty_looks = 0 if one.positions or one.orders else one.empty_looks + 1

    def _is_ours(self, account: AccountId, label: str) -> bool:
        mark, links = read_label(label), self.targets[account]
        return mark is not None and mark.store == self.registry.store and (links is None or mark.link in links)

    def _close(self, desk: Inspection, known: KnownAccount, one: Found, say: Callable[[str], None]) -> None:
        """Closes first, then cancels; what is refused is asked for again in the next round."""
        for position in one.positions:
            say(f"closing position {position.position} of {known.shown}")
            self._ask(partial(desk.close, known.account, position), one)
        for order in one.orders:
            say(f"cancelling order {order.order} of {known.shown}")
            self._ask(partial(desk.cancel, known.account, order), one)

    def _ask(self, ask: Callable[[], None], one: Found) -> None:
        try:
            ask()
        except Refused as refused:
            if refused.refusal.rule.kind is not Kind.GONE:
                one.why_not = str(refused)


def links_of(registry: Registry, profile: str | None, account: AccountId | None) -> dict[AccountId, Links]:
    """Whose labels are meant on which accounts: a profile's followers, one account, or every account there is."""
    if profile is None:
        accounts: Iterable[AccountId] = registry.accounts if account is None else (account,)
        return dict.fromkeys(accounts)
    found: dict[AccountId, set[str]] = {}
    for view in registry.profiles.values():
        if view.profile == profile:
            for link in view.links.values():
                found.setdefault(link.follower, set()).add(str(link.link))
    return {follower: frozenset(links) for follower, links in found.items()}
