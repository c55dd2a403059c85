"""A trader on a running sandbox: one account, one connection, plain blocking calls. For `cmam sandbox trade`.

A client like any other: it speaks the protocol on the TLS port and learns of its trades from execution events. Of the
server it needs the ready document, and a fresh token, because the ones in the file may have been refreshed by others.
"""

from __future__ import annotations

import itertools
import os
import socket
import ssl
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from google.protobuf.message import Message

from cmam.clock import Clock, SystemClock
from cmam.openapi._pb import OpenApiMessages_pb2 as oa
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.framing import Deframer, frame
from cmam.sandbox.serving.options import SandboxError
from cmam.sandbox.trader import control_client
from cmam.sandbox.wire import envelopes, json_codec

ANSWER_S_MAX = 10.0
"""Longest wait for the outcome of one request; after it the outcome is unknown."""
REQUESTS_A_SECOND = 45
"""Requests that leave in `PACE_US` at most: below the 50 a second at which the server begins to refuse."""
PACE_US = 1_050_000
HEARTBEAT_S = 10.0
SILENT_S = 25.0
"""Whoever was silent for so long is thrown out soon, or was already (wire.md#silence): its connection is used no
more."""
HEARTBEAT = 51
READ_BYTES = 65_536

_FINISHED = frozenset(
    {
        model.ORDER_FILLED,
        model.ORDER_CANCELLED,
        model.ORDER_EXPIRED,
        model.ORDER_REJECTED,
        model.ORDER_CANCEL_REJECTED,
    }
)
_TAKEN = _FINISHED | {model.ORDER_ACCEPTED, model.ORDER_REPLACED, model.ORDER_PARTIAL_FILL}
_REFUSED = frozenset({model.ORDER_REJECTED, model.ORDER_CANCEL_REJECTED})


class TradeRefused(SandboxError):
    """The broker said no; the text has its code and its words."""


class NoOutcome(SandboxError):
    """The broker said nothing in time: the trade may or may not have happened."""


@dataclass(frozen=True, slots=True)
class Tradable:
    """What a trader must know of a symbol."""

    id: int
    name: str
    digits: int
    lot_size: int
    min_volume: int
    max_volume: int
    step_volume: int

    def volume(self, lots: Decimal) -> int:
        """Turn lots into the wire's volume; raises SandboxError where the symbol does not allow it."""
        volume = lots * self.lot_size
        if volume != volume.to_integral_value() or int(volume) % self.step_volume:
            step = Decimal(self.step_volume) / self.lot_size
            raise SandboxError(f"expected a multiple of {plain(step)} lots of {self.name}, found {plain(lots)}")
        if not self.min_volume <= volume <= self.max_volume:
            least, most = Decimal(self.min_volume) / self.lot_size, Decimal(self.max_volume) / self.lot_size
            raise SandboxError(f"expected {plain(least)} to {plain(most)} lots of {self.name}, found {plain(lots)}")
        return int(volume)

    def price(self, price: float) -> str:
        """Write a price with the symbol's digits; nothing for an unset one."""
        return f"{price:.{self.digits}f}" if price else ""

    def lots(self, volume: int) -> str:
        """Write a volume in lots."""
        return plain(Decimal(volume) / self.lot_size)


def plain(number: Decimal) -> str:
    """Write a decimal without exponent and without trailing zeros."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def pick_account(ready: Mapping[str, Any], wanted: str | None) -> Mapping[str, Any]:
    """Find an account of the ready document by ctid, login or broker:login; the first one where none is named."""
    accounts: list[Mapping[str, Any]] = ready["accounts"]
    if wanted is None:
        return accounts[0]
    found = [
        account
        for account in accounts
        if wanted in (str(account["ctid"]), str(account["login"]), f"{account['broker']}:{account['login']}")
    ]
    if len(found) == 1:
        return found[0]
    known = ", ".join(f"{account['ctid']} ({account['broker']}:{account['login']})" for account in accounts)
    raise SandboxError(f"expected one of the accounts {known}; found {wanted!r}{' more than once' if found else ''}")


class Trader:
    """One account, ready to trade once it is made; a context manager, because it holds a connection."""

    def __init__(self, ready: Mapping[str, Any], account: Mapping[str, Any], clock: Clock | None = None) -> None:
        self.account = account
        self._ctid: int = account["ctid"]
        self._ready = ready
        self._clock = clock if clock is not None else SystemClock()
        self._ids = (f"trader-{os.getpid()}-{self._ctid}-{number}" for number in itertools.count(1))
        self._symbols: dict[str, Tradable] = {}
        self._names: dict[int, str] = {}
        self._asked: deque[int] = deque(maxlen=REQUESTS_A_SECOND)
        self._begin()
        try:
            self._names = {light.symbolId: light.symbolName for light in self._light_symbols()}
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Trader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    # What can be asked.

    def symbol(self, name: str) -> Tradable:
        """Look a symbol up by its name at this account's broker; raises SandboxError."""
        if name not in self._symbols:
            ids = [number for number, known in self._names.items() if known == name]
            if not ids:
                known = ", ".join(sorted(self._names.values()))
                raise SandboxError(f"expected a symbol of {self.account['broker']} ({known}), found {name!r}")
            answer = self._call(oa.ProtoOASymbolByIdReq(ctidTraderAccountId=self._ctid, symbolId=ids))
            full = oa.ProtoOASymbolByIdRes.FromString(answer.payload).symbol[0]
            self._symbols[name] = Tradable(
                full.symbolId, name, full.digits, full.lotSize, full.minVolume, full.maxVolume, full.stepVolume
            )
        return self._symbols[name]

    def symbol_of(self, symbol_id: int) -> Tradable:
        """Look a symbol up by its id."""
        return self.symbol(self._names[symbol_id])

    def reconcile(self) -> oa.ProtoOAReconcileRes:
        """Ask for the open positions and pending orders."""
        answer = self._call(oa.ProtoOAReconcileReq(ctidTraderAccountId=self._ctid))
        return oa.ProtoOAReconcileRes.FromString(answer.payload)

    # What can be done. Each gives the execution events that answered; raises TradeRefused or NoOutcome.

    def order(self, order: oa.ProtoOANewOrderReq) -> list[oa.ProtoOAExecutionEvent]:
        """Place an order; market orders are waited for until they are filled, others until they are taken."""
        order.ctidTraderAccountId = self._ctid
        waits = order.orderType in (model.MARKET, model.MARKET_RANGE)
        return self._trade(order, _FINISHED if waits else _TAKEN)

    def close_position(self, position_id: int, volume: int) -> list[oa.ProtoOAExecutionEvent]:
        """Close a position, or a part of it."""
        request = oa.ProtoOAClosePositionReq(ctidTraderAccountId=self._ctid, positionId=position_id, volume=volume)
        return self._trade(request, _FINISHED)

    def amend_position(self, request: oa.ProtoOAAmendPositionSLTPReq) -> list[oa.ProtoOAExecutionEvent]:
        """Set the levels of a position; what is not named is removed."""
        request.ctidTraderAccountId = self._ctid
        return self._trade(request, _TAKEN)

    def amend_order(self, request: oa.ProtoOAAmendOrderReq) -> list[oa.ProtoOAExecutionEvent]:
        """Change a pending order; what is not named is removed."""
        request.ctidTraderAccountId = self._ctid
        return self._trade(request, _TAKEN)

    def cancel(self, order_id: int) -> list[oa.ProtoOAExecutionEvent]:
        """Cancel a pending order."""
        return self._trade(oa.ProtoOACancelOrderReq(ctidTraderAccountId=self._ctid, orderId=order_id), _FINISHED)

    def wait_until(self, moment_us: int) -> None:
        """Let the time pass until a reading of the monotonic clock, keeping the connection alive."""
        while (left := moment_us - self._clock.monotonic()) > 0:
            self._be_heard()
            next(self._received(left / 1_000_000), None)

    # Inside.

    def _begin(self) -> None:
        """Connect and log in; hangs up where that is refused."""
        token = control_client.ask(self._ready, "POST", "tokens", {"ctid": self._ctid})["access_token"]
        self._deframer = Deframer()
        self._socket = self._connect(self._ready)
        self._last_sent = self._clock.monotonic()
        named = {"clientId": self._ready["client_id"], "clientSecret": self._ready["client_secret"]}
        try:
            self._call(oa.ProtoOAApplicationAuthReq(**named))
            self._call(oa.ProtoOAAccountAuthReq(ctidTraderAccountId=self._ctid, accessToken=token))
        except BaseException:
            self.close()
            raise

    def _be_heard(self) -> None:
        """Connect anew where we were silent for too long, as on a machine that is busy or was asleep.

        Nothing is under way then, so nothing is unknown; on the old connection the next request would be.
        """
        if self._clock.monotonic() - self._last_sent >= SILENT_S * 1_000_000:
            self.close()
            self._begin()

    def _connect(self, ready: Mapping[str, Any]) -> ssl.SSLSocket:
        host, port = ready["host"], ready["port"]
        if self.account.get("live") and "live_port" in ready:
            port = ready["live_port"]
        context = ssl.create_default_context(cafile=ready["ca_file"])
        try:
            plain_socket = socket.create_connection((host, port), timeout=ANSWER_S_MAX)
            plain_socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return context.wrap_socket(plain_socket, server_hostname=host)
        except OSError as error:
            raise control_client.NotRunning(f"cannot reach the sandbox at {host}:{port} ({error})") from None

    def _light_symbols(self) -> Iterator[model.ProtoOALightSymbol]:
        answer = self._call(oa.ProtoOASymbolsListReq(ctidTraderAccountId=self._ctid))
        yield from oa.ProtoOASymbolsListRes.FromString(answer.payload).symbol

    def _trade(self, request: Message, ends: frozenset[int]) -> list[oa.ProtoOAExecutionEvent]:
        events: list[oa.ProtoOAExecutionEvent] = []

        def is_last(answer: envelopes.Envelope) -> bool:
            event = oa.ProtoOAExecutionEvent.FromString(answer.payload)
            events.append(event)
            return event.executionType in ends

        self._call(request, is_last)
        last = events[-1]
        if last.executionType in _REFUSED:
            raise TradeRefused(
                f"{model.ProtoOAExecutionType.Name(last.executionType)}: {last.errorCode or 'no reason given'}"
            )
        return events

    def _call(
        self, request: Message, is_last: Callable[[envelopes.Envelope], bool] | None = None
    ) -> envelopes.Envelope:
        """Send a request and wait for its answer, or for the execution event that ends it."""
        self._be_heard()
        client_msg_id = next(self._ids)
        if len(self._asked) == REQUESTS_A_SECOND:
            self.wait_until(self._asked[0] + PACE_US)
        self._asked.append(self._clock.monotonic())
        self._send(request.payloadType, request.SerializeToString(), client_msg_id)  # type: ignore[attr-defined]  # all have it
        deadline = self._clock.monotonic() + int(ANSWER_S_MAX * 1_000_000)
        while (left := deadline - self._clock.monotonic()) > 0:
            for answer in self._received(left / 1_000_000):
                if answer.client_msg_id != client_msg_id:
                    continue
                if answer.payload_type in (model.PROTO_OA_ORDER_ERROR_EVENT, model.PROTO_OA_ERROR_RES, 50):
                    raise TradeRefused(_refusal(answer))
                if is_last is None or is_last(answer):
                    return answer
        raise NoOutcome(
            f"the sandbox did not answer within {ANSWER_S_MAX:.0f} s: whether it happened is unknown; "
            "look with `cmam sandbox trade list`"
        )

    def _send(self, payload_type: int, payload: bytes, client_msg_id: str | None) -> None:
        try:
            self._socket.sendall(frame(envelopes.encode(payload_type, payload, client_msg_id)))
        except OSError as error:
            raise NoOutcome(f"the connection broke ({error}): whether it happened is unknown") from None
        self._last_sent = self._clock.monotonic()

    def _received(self, seconds: float) -> Iterator[envelopes.Envelope]:
        """Read once, for at most `seconds`, and yield what came; sends a heartbeat when one is due."""
        silent = (self._clock.monotonic() - self._last_sent) / 1_000_000
        if silent >= HEARTBEAT_S:
            self._send(HEARTBEAT, b"", None)
            silent = 0.0
        self._socket.settimeout(max(0.001, min(seconds, HEARTBEAT_S - silent)))
        try:
            data = self._socket.recv(READ_BYTES)
        except TimeoutError:
            return
        except OSError as error:
            raise NoOutcome(f"the connection broke ({error}): whether it happened is unknown") from None
        if not data:
            raise NoOutcome("the sandbox closed the connection: whether it happened is unknown")
        for body in self._deframer.receive_data(data):
            yield envelopes.decode(body)


def _refusal(answer: envelopes.Envelope) -> str:
    message: Any = json_codec.message_classes()[answer.payload_type].FromString(answer.payload)
    words = f": {message.description}" if getattr(message, "description", "") else ""
    return f"refused with {message.errorCode}{words}"
