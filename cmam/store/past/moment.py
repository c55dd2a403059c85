"""What cmam believed at one moment of its record: accounts, copies, residue, latches, requests, and the request budget.

A fold like any other, of everything that the log says; it copies in no time, so that a player can come back to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

from cmam.domain.belief.copies import Copy
from cmam.domain.belief.view import AccountView
from cmam.domain.events import (
    ConnectionDown,
    ConnectionUp,
    LimiterMeasured,
    RequestsBlocked,
    SystemStarted,
    SystemStopped,
)
from cmam.domain.guarding.latches import BY_EQUITY
from cmam.domain.operating.registry import APP
from cmam.domain.values.quantities import decimal_text, price_text, units_text
from cmam.domain.values.symbols import UNLISTED
from cmam.domain.wanted.needs import levels_of
from cmam.domain.wanted.targets import lacking
from cmam.store.folding.fold import Fold, account_of
from cmam.store.logfile.log import EventLog
from cmam.store.past.together import ALL_HANDS, Hands, fold_together
from cmam.store.records.envelope import Recorded
from cmam.store.text import iso


@dataclass(frozen=True, slots=True)
class Line:
    """A connection as its stream tells it, and what its limiter last measured."""

    state: str = "down"
    host: str = ""
    port: int = 0
    reason: str = ""
    measured: LimiterMeasured | None = None
    measured_us: int = 0
    blocked: Mapping[int, int] = field(default_factory=dict)


@dataclass(slots=True)
class Moment:
    """Everything that is believed after some records, lines and budget included."""

    fold: Fold = field(default_factory=Fold)
    lines: dict[str, Line] = field(default_factory=dict)
    is_running: bool = False

    def take(self, record: Recorded) -> None:
        """Fold one more record."""
        self.fold.take(record)
        self.note(record)

    def note(self, record: Recorded) -> None:
        """Take of a record what only a moment knows: whether cmam ran, and what its lines were."""
        if account_of(record.stream) is not None:
            return
        if record.stream == APP:
            self._take_app(record)
        elif record.stream.startswith("connection:"):
            self._take_line(record)

    def _take_app(self, record: Recorded) -> None:
        if isinstance(record.event, SystemStarted | SystemStopped):
            self.is_running = isinstance(record.event, SystemStarted)
            self.lines = {name: replace(line, state="down", blocked={}) for name, line in self.lines.items()}

    def _take_line(self, record: Recorded) -> None:
        line = self.lines.get(record.stream, Line())
        match record.event:
            case ConnectionUp() as event:
                line = replace(line, state="up", host=event.host, port=event.port, reason="", blocked={})
            case ConnectionDown() as event:
                line = replace(line, state="down", reason=event.reason)
            case LimiterMeasured() as event:
                line = replace(line, measured=event, measured_us=record.at_us)
            case RequestsBlocked() as event:
                until_us = record.at_us + event.retry_after_s * 1_000_000
                line = replace(line, blocked={**line.blocked, event.payload_type: until_us})
            case _:
                pass
        self.lines[record.stream] = line

    def copy(self) -> Moment:
        """The same moment, to go on from another time: views are values, so only the maps of them are new."""
        known = self.fold
        folded = Fold(known.registry, dict(known.accounts), known.position, known.at_us)
        return Moment(folded, dict(self.lines), self.is_running)

    # --- in words ---------------------------------------------------------------------------------------------------

    def document_of_lines(self) -> dict[str, dict[str, Any]]:
        """Each connection with its budget: what its limiter measured in the last full minute before this moment."""
        return {name: _line(line, self.fold.at_us) for name, line in sorted(self.lines.items())}

    def document_of_account(self, view: AccountView) -> dict[str, Any]:
        """What one account holds, wants and waits for."""
        digits = view.money_digits
        profiles = {link: profile.name for profile in self.fold.registry.profiles.values() for link in profile.links}
        return {
            "holds": [_position(view, key) for key in sorted(view.positions)],
            "rests": [_order(view, key) for key in sorted(view.orders)],
            "live": [_copy(view, copy, profiles.get(copy.link, "")) for _, copy in sorted(view.copies.items())],
            "requests": [
                {
                    "request": str(intent.intent),
                    "kind": intent.command.kind.value,
                    "state": intent.state.value,
                    "volume": units_text(intent.command.volume),
                    "filled": units_text(intent.filled),
                    "since": iso(intent.recorded_us),
                }
                for intent in view.intents.values()
            ],
            "latches": [
                {
                    "profile": profiles.get(latch.link, ""),
                    "guard": latch.guard,
                    "reaction": latch.reaction,
                    "scope": latch.scope,
                    "since": iso(latch.since_us),
                    "until": iso(latch.until_us) if latch.until_us else None,
                    "value": decimal_text(latch.value, digits if latch.guard in BY_EQUITY else 0),
                    "limit": decimal_text(latch.limit, digits if latch.guard in BY_EQUITY else 0),
                }
                for latch in view.latches.values()
            ],
            "guard_days": [
                {
                    "profile": profiles.get(link, ""),
                    "began": iso(day.began_us),
                    "ends": iso(day.next_us),
                    "anchor": decimal_text(day.anchor, digits) if day.anchor is not None else None,
                    "peak": decimal_text(day.peak_today, digits) if day.peak_today is not None else None,
                }
                for link, day in sorted(view.days.items())
            ],
            "flattening": view.flatten_account,
        }


def _line(line: Line, at_us: int) -> dict[str, Any]:
    measured = line.measured
    return {
        "state": line.state,
        "host": line.host,
        "port": line.port,
        "reason": line.reason,
        "blocked": {str(kind): iso(until_us) for kind, until_us in line.blocked.items() if until_us > at_us},
        "budget": None
        if measured is None
        else {
            "measured_at": iso(line.measured_us),
            "sent": measured.sent,
            "busiest_second": measured.busiest_second,
            "dropped": measured.dropped,
            "guard_us": measured.guard_us,
            "queued_max": measured.queued_max,
        },
    }


def _symbol(view: AccountView, symbol: Any) -> tuple[str, int]:
    spec = view.specs.get(symbol)
    return (spec.name, spec.digits) if spec is not None else (f"#{symbol}", 5)


def _price(price: int | None, digits: int) -> str | None:
    return price_text(price, digits) if price is not None else None


def _position(view: AccountView, key: Any) -> dict[str, Any]:
    held = view.positions[key]
    name, digits = _symbol(view, held.symbol)
    return {
        "position": int(held.position),
        "symbol": name,
        "side": held.side.value,
        "volume": units_text(held.volume),
        "open_price": _price(held.price, digits),
        "stop": _price(held.stop, digits),
        "target": _price(held.target, digits),
        "label": held.label,
    }


def _order(view: AccountView, key: Any) -> dict[str, Any]:
    order = view.orders[key]
    name, digits = _symbol(view, order.symbol)
    return {
        "order": int(order.order),
        "symbol": name,
        "side": order.side.value,
        "type": order.type.value,
        "volume": units_text(order.volume),
        "price": _price(order.limit_price or order.stop_price, digits),
        "label": order.label,
    }


def _copy(view: AccountView, copy: Copy, profile: str) -> dict[str, Any]:
    name, digits = _symbol(view, copy.symbol)
    if copy.symbol == UNLISTED:
        name = copy.leader_symbol
    position = view.positions.get(copy.position) if copy.position is not None else None
    spec = view.specs.get(copy.symbol)
    wanted = levels_of(spec, copy, position, view.rules) if spec is not None and position is not None else None
    lack = lacking(view, copy)
    return {
        "profile": profile,
        "source": str(copy.source),
        "leader": int(copy.leader),
        "leader_position": int(copy.leader_position) if copy.leader_position is not None else None,
        "symbol": name,
        "side": copy.side.value,
        "state": copy.state.value,
        "volume": units_text(copy.volume),
        "target": _exact(copy.target),
        "residue": _exact(copy.residue),
        "position": int(copy.position) if copy.position is not None else None,
        "open_price": _price(copy.open_price, digits),
        "stop": _price(copy.seen_stop, digits),
        "stop_wanted": _price(wanted.stop, digits) if wanted is not None else None,
        "target_price": _price(copy.seen_target, digits),
        "target_left_out": _price(lack.level, digits) if lack is not None else None,
        "waits_for": copy.wait.value if copy.wait is not None else None,
        "trouble": copy.trouble or None,
    }


def _exact(volume: Fraction) -> str:
    """A volume in units, all of it: a target is a fraction, not a rounded number."""
    whole = volume / 100
    return units_text(int(volume)) if volume.denominator == 1 else f"{whole.numerator}/{whole.denominator}"


def moment_at(log: EventLog, end: int | None = None, hands: Hands = ALL_HANDS) -> Moment:
    """The moment after the records of a log up to a position."""
    found = Moment(fold_together(log, end, hands))
    others = [stream for stream in log.streams() if account_of(stream) is None]
    for record in log.read_among(others, found.fold.position):
        found.note(record)
    return found
