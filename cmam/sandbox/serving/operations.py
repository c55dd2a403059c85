"""What the person who runs a sandbox can ask of it: the control endpoint's verbs over the broker and the lines.

Faults come in two kinds: those of the broker (`faults`), and those of the wire (`line_faults`), which only the shell
can commit. To the person they are one list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cmam.sandbox import faults
from cmam.sandbox.books.authority import Grant, Refusal
from cmam.sandbox.https.control import Refused
from cmam.sandbox.near import ALL_FAULTS, no_such
from cmam.sandbox.service.broker import Broker
from cmam.sandbox.wire.line_faults import LINE_FAULTS, LineFaults
from cmam.sandbox.world import World

SECOND_US = 1_000_000


class BrokerOperations:
    """The control endpoint's side of one server."""

    def __init__(
        self, broker: Callable[[], Broker], world: World, line_faults: LineFaults, now: Callable[[], int]
    ) -> None:
        self._broker = broker
        self._world = world
        self._line_faults = line_faults
        self._now = now

    def stats(self) -> Mapping[str, Any]:
        """Give the broker's counters."""
        return self._broker().stats()

    def state(self) -> Mapping[str, Any]:
        """Give the broker's whole state."""
        return self._broker().state()

    def faults(self) -> Mapping[str, Any]:
        """List every fault with its arguments and what it does, and those that are on."""
        return {"known": known_faults(), "on": {**self._broker().faults_on(), **self._line_faults.on()}}

    def set_fault(self, name: str, arguments: Mapping[str, str]) -> str:
        """Switch a fault on."""
        if name in LINE_FAULTS:
            return self._line_faults.set(name, arguments)
        _check_name(name)
        return self._broker().set_fault(name, arguments)

    def clear_fault(self, name: str) -> str:
        """Switch a fault off, or with "all" every one."""
        if name == "all":
            lines = self._line_faults.clear_all()
            return "; ".join((self._broker().clear_fault(name), *lines))
        if name in LINE_FAULTS:
            return self._line_faults.clear(name)
        _check_name(name)
        return self._broker().clear_fault(name)

    def tokens(self, ctid: int) -> Mapping[str, Any]:
        """Give a pair of tokens that works for one account: the newest, or that of a new consent where none lives."""
        grant = living_grant(self._broker(), self._world, ctid, self._now())
        return {"access_token": grant.access_token, "refresh_token": grant.refresh_token, "ctid": ctid}


def known_faults() -> dict[str, str]:
    """Give every fault's name with its arguments (their defaults, or … for what must be given) and what it does."""
    known = {}
    for name, kind in (*faults.KINDS.items(), *faults.INCIDENTS.items()):
        arguments = " ".join(f"{key}={default or '…'}" for key, default in kind.arguments.items())
        known[name] = f"{arguments}: {kind.does}" if arguments else kind.does
    return {**known, **{name: fault.help for name, fault in LINE_FAULTS.items()}}


def _check_name(name: str) -> None:
    if name not in faults.KNOWN:
        raise Refused(no_such("fault", name, known_faults(), ALL_FAULTS))


def living_grant(broker: Broker, world: World, ctid: int, now_us: int) -> Grant:
    """Find tokens that work for an account and may trade; makes a consent where there are none. Raises Refused."""
    for grant in reversed(broker.grants.grants()):
        if ctid in grant.accounts and grant.scope == 1 and grant.expires_us > now_us + SECOND_US:
            return grant
    account = next((account for account in world.accounts if account.ctid == ctid), None)
    if account is None:
        raise Refused(f"expected the ctid of an account of this world, found {ctid}")
    application = next((a for a in world.applications if broker.grants.states[a.client_id] == "Active"), None)
    if application is None:
        raise Refused("expected an application that is Active, found none")
    redirect_uri = application.redirect_uris[0]
    code = broker.grants.authorise(
        user=account.owner,
        accounts=tuple(other.ctid for other in world.accounts if other.owner == account.owner),
        client_id=application.client_id,
        redirect_uri=redirect_uri,
        scope="trading",
        now_us=now_us,
    )
    found = broker.grants.exchange(
        client_id=application.client_id,
        client_secret=application.client_secret,
        code=code,
        redirect_uri=redirect_uri,
        now_us=now_us,
    )
    if isinstance(found, Refusal):
        raise Refused(f"no tokens for account {ctid}: {found.code}: {found.description}")
    return found
