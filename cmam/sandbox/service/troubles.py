"""How faults befall requests and brokers: lost, cut, silenced, refused, under maintenance. `faults.py` says when.

What befalls messages on their way out is in `delivery.py`, what befalls executions in `execution.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from cmam.sandbox import faults, units
from cmam.sandbox.books.authority import Grants
from cmam.sandbox.books.ledger import Account
from cmam.sandbox.faults import Fault, Faults
from cmam.sandbox.near import ALL_FAULTS, no_such
from cmam.sandbox.service import incidents
from cmam.sandbox.service.delivery import Delivery
from cmam.sandbox.service.limits import HISTORICAL
from cmam.sandbox.service.lobby import Lobby
from cmam.sandbox.service.sessions import Session
from cmam.sandbox.trading.floor import Floor, Refused


class Troubles:
    """Everything that is broken on purpose."""

    def __init__(self, on: Faults, floor: Floor, lobby: Lobby, delivery: Delivery, grants: Grants) -> None:
        self._on = on
        self._floor = floor
        self._lobby = lobby
        self._delivery = delivery
        self._grants = grants
        self._maintenance_end_us = 0

    # Requests.

    def around(
        self, session: Session, payload_type: int, ctid: int | None, msg_id: str | None, handle: Callable[[], None]
    ) -> None:
        """Handle a request, unless a fault keeps it from that, or from its answer."""

        def strikes(name: str) -> bool:
            where = session.connection
            return self._on.strikes(name, account=ctid, connection=where, payload_type=payload_type) is not None

        if strikes("drop"):
            return
        if strikes("cut-before"):
            self._delivery.close(session, "fault: cut before the request", flush=False)
            return
        if strikes("silence"):
            self._delivery.withhold(session, msg_id)
        if strikes("half-frame"):
            session.halves_next = session.is_troubled = True
        if strikes("cut-mid-order"):
            session.ends_after, session.is_troubled = msg_id, True
        is_cut_after = strikes("cut-after")
        handle()
        session.muted.discard(None)
        if is_cut_after and self._lobby.is_open(session):
            self._delivery.close(session, "fault: cut after the request", flush=False)

    def over_quota_s(self, session: Session, payload_type: int) -> int | None:
        """Count a historical request against the slower quota; gives the seconds of blocking when it is used up."""
        quota = self._on.present("history-quota")
        if quota is None or payload_type not in HISTORICAL:
            return None
        session.historical += 1
        if session.historical <= quota.number("allowed"):
            return None
        return session.limiter.block(payload_type, self._floor.now_us, quota.number("seconds"))

    def refuse(self, session: Session, payload_type: int, ctid: int | None) -> None:
        """Raise what the faults `error` and `maintenance` want a request to be refused with."""
        fault = self._on.strikes("error", account=ctid, connection=session.connection, payload_type=payload_type)
        if fault is not None:
            retry_s = fault.number("retry_after") or None
            text = "Refused by a fault that is switched on"
            raise Refused(fault.arguments["code"], text, retry_after_s=retry_s, as_error_res=retry_s is not None)
        account = self._floor.accounts.get(ctid or 0)
        if account is not None and self._is_maintained(account):
            text = f"Server of {account.spec.broker} is under maintenance"
            end_s = self._floor.stamp.ms(self._maintenance_end_us) // 1000
            raise Refused("SERVER_IS_UNDER_MAINTENANCE", text, as_error_res=True, maintenance_end_s=end_s)

    def _is_maintained(self, account: Account) -> bool:
        fault = self._on.present("maintenance")
        venue = self._floor.venue_of(account).spec
        return fault is not None and fault.arguments["broker"] in ("all", venue.name, venue.short)

    # Switching.

    def set(self, name: str, arguments: Mapping[str, str], move: Callable[[str, int, int], None]) -> str:
        """Switch a fault on, or let an incident happen; `move` puts a feed's price somewhere. Raises ValueError."""
        if name in faults.INCIDENTS:
            lobby = self._lobby
            scene = incidents.Scene(self._floor, self._grants, lobby.disconnect_account, lobby.disconnect_clients, move)
            return incidents.happen(scene, name, arguments)
        if name not in faults.KINDS:
            raise ValueError(no_such("fault", name, faults.KNOWN, ALL_FAULTS))
        fault = self._on.set(name, arguments)
        if name == "clock-skew":
            self._floor.stamp.skew_us = fault.number("ms") * units.MILLISECOND_US
        elif name == "maintenance":
            self._begin_maintenance(fault)
        return f"{name} is on: {faults.KINDS[name].does}"

    def clear(self, name: str) -> str:
        """Switch a fault off, or all of them with "all"; raises ValueError when it is not on."""
        names = self._on.clear(name)
        if "clock-skew" in names:
            self._floor.stamp.skew_us = 0
        return f"off: {', '.join(names)}" if names else "no fault was on"

    def _begin_maintenance(self, fault: Fault) -> None:
        self._maintenance_end_us = self._floor.now_us + fault.number("seconds") * units.SECOND_US
        self._floor.at(self._maintenance_end_us, partial(self._end_maintenance, fault))
        for session in list(self._lobby.sessions.values()):
            for ctid in list(session.accounts):
                if self._is_maintained(self._floor.accounts[ctid]):
                    self._lobby.drop_account(session, ctid)

    def _end_maintenance(self, fault: Fault) -> None:
        if self._on.present("maintenance") is fault:
            self._on.clear("maintenance")
