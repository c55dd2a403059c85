"""Faults on switches, by name: which exist, what they take, and whether one strikes now.

A fault stays on until it is cleared or has struck `count` times. `account`, `connection` and `type` narrow it to one
account, connection or payload type; `chance` lets it strike in so many of a thousand cases, from the seed. What happens
at once and only once is an incident (`incidents.py`). This file decides; `broker.py` and `execution.py` do.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from cmam.openapi._pb import OpenApiCommonModelMessages_pb2 as common
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.near import ALL_FAULTS, no_such

SELECTORS = ("account", "connection", "type", "count", "chance")
TRADING_TYPES = frozenset({2106, 2108, 2109, 2110, 2111})


@dataclass(frozen=True, slots=True)
class Kind:
    """A fault that exists: what it does, and its own arguments with their defaults ("" is: must be given)."""

    does: str
    arguments: Mapping[str, str] = field(default_factory=dict)
    only_trading: bool = False
    """Strikes trading requests only, unless `type` says otherwise."""


KINDS: dict[str, Kind] = {
    "drop": Kind("requests are lost: neither carried out nor answered"),
    "silence": Kind("requests are carried out, but everything with their clientMsgId is withheld from who asked"),
    "delay": Kind("everything that is sent arrives later by `ms`", {"ms": "1000"}),
    "duplicate": Kind("execution events arrive twice"),
    "reorder": Kind(
        "events of different accounts overtake each other by up to `ms`; each account's keep their order", {"ms": "50"}
    ),
    "cut-before": Kind("the line is cut when a request arrives, which is not carried out", only_trading=True),
    "cut-after": Kind("the line is cut when a request was carried out, before anything is answered", only_trading=True),
    "cut-mid-order": Kind("the line is closed between ORDER_ACCEPTED and ORDER_FILLED", only_trading=True),
    "half-frame": Kind("half of the next answer is written, then the line is cut", only_trading=True),
    "error": Kind("requests are refused with `code`", {"code": "", "retry_after": "0"}),
    "reject": Kind("accepted orders end with ORDER_REJECTED and `code`", {"code": "NO_QUOTES"}),
    "partial-fill": Kind(
        "orders are filled by `fraction` first; the `rest` is cancelled, or filled later: of a resting order, as it "
        "rests on",
        {"fraction": "0.5", "rest": "cancel"},
    ),
    "maintenance": Kind(
        "accounts of `broker` (all: every one) are disconnected and refused for `seconds`",
        {"seconds": "60", "broker": "all"},
    ),
    "clock-skew": Kind("every time that the server states is wrong by `ms`", {"ms": ""}),
    "history-quota": Kind(
        "after `allowed` historical requests each further one blocks its type for `seconds`",
        {"allowed": "20", "seconds": "120"},
    ),
    "token-answer": Kind(
        "the token endpoint does what it is asked for, and its answer `is` lost, cut in half, or html of a gateway",
        {"is": "lost"},
    ),
    "frozen-quotes": Kind("the prices of `symbol` (a feed's name; all: every one) stand still", {"symbol": "all"}),
}

INCIDENTS: dict[str, Kind] = {
    "invalidate-token": Kind("every grant that covers `account` ends", {"account": ""}),
    "withdraw-consent": Kind("grants that cover `account` go on without it", {"account": ""}),
    "expire-token": Kind("access tokens that cover `account` expire; refresh tokens stay", {"account": ""}),
    "disconnect-account": Kind("the sessions of `account` are ended with 2164", {"account": ""}),
    "disconnect-client": Kind("every connection gets 2148 and is closed", {"reason": "cancelled"}),
    "application": Kind("an application changes its `state`", {"client_id": "", "state": ""}),
    "foreign-trade": Kind(
        "another session trades on `account`: buy, sell, close or remove-levels",
        {"account": "", "action": "", "symbol": "EURUSD", "volume": "0", "position": "all", "id": "foreign-1"},
    ),
    "deposit": Kind(
        "`amount` is paid in, as an `operation` of the schema, such as BALANCE_DEPOSIT_DIVIDENDS",
        {"account": "", "amount": "", "note": "deposit", "operation": "BALANCE_DEPOSIT"},
    ),
    "withdraw": Kind(
        "`amount` is paid out, as an `operation` of the schema, such as BALANCE_WITHDRAW_ROLLOVER",
        {"account": "", "amount": "", "note": "withdrawal", "operation": "BALANCE_WITHDRAW"},
    ),
    "bonus": Kind("the bonus changes by `amount`", {"account": "", "amount": ""}),
    "access": Kind("`account` gets other `rights`", {"account": "", "rights": ""}),
    "leverage": Kind("`account` gets another `leverage`", {"account": "", "leverage": ""}),
    "symbol": Kind(
        "a `symbol` of `broker` changes, as in set=mode=CLOSE_ONLY_MODE", {"broker": "", "symbol": "", "set": ""}
    ),
    "price": Kind("a feed's price jumps to `bid` and `ask`", {"symbol": "", "bid": "", "ask": "auto"}),
}
"""What happens once and at once; done by `incidents.py`."""

CODES = (*model.ProtoOAErrorCode.keys(), *common.ProtoErrorCode.keys())
"""Every error code that the schema has."""
ANY = "any:"
"""What a code begins with that the schema does not have, for those who want to see what becomes of one."""

KNOWN: dict[str, str] = {name: kind.does for name, kind in (*KINDS.items(), *INCIDENTS.items())}
"""Every name that can be switched on or let happen, and what it does."""


@dataclass(slots=True)
class Fault:
    """One fault that is on."""

    kind: str
    arguments: dict[str, str]
    account: int | None
    connection: int | None
    payload_type: int | None
    left: int | None
    chance_permille: int
    struck: int = 0

    def number(self, name: str) -> int:
        """Read a whole number among the arguments."""
        return int(self.arguments[name])


class Faults:
    """The faults that are on, by name. `is_any` lets the hot path pass by when there are none."""

    def __init__(self, seed: int = 0) -> None:
        self._on: dict[str, Fault] = {}
        self._chance = random.Random(f"{seed}:faults")
        self.is_any = False

    def set(self, name: str, arguments: Mapping[str, str]) -> Fault:
        """Switch a fault on, or replace it; raises ValueError with one clear sentence."""
        kind = KINDS.get(name)
        if kind is None:
            raise ValueError(no_such("fault", name, KINDS, ALL_FAULTS))
        allowed = (*kind.arguments, *SELECTORS)
        for argument in arguments:
            if argument not in allowed:
                raise ValueError(f"expected {name} to be given {', '.join(allowed)}; found {argument!r}")
        values = {key: arguments.get(key, default) for key, default in kind.arguments.items()}
        _check(name, values)
        if "code" in values:
            values["code"] = values["code"].removeprefix(ANY)
        fault = Fault(
            kind=name,
            arguments=values,
            account=_whole(arguments, "account"),
            connection=_whole(arguments, "connection"),
            payload_type=_whole(arguments, "type"),
            left=_whole(arguments, "count"),
            chance_permille=1000 if "chance" not in arguments else _permille(arguments["chance"], "chance"),
        )
        self._on[name] = fault
        self.is_any = True
        return fault

    def clear(self, name: str) -> list[str]:
        """Switch a fault off ("all": every one); gives the names; raises ValueError when it is not on."""
        if name == "all":
            names = list(self._on)
        elif name in self._on:
            names = [name]
        else:
            on = ", ".join(self._on) or "none"
            raise ValueError(f"expected a fault that is on ({on}) or all, found {name!r}")
        for each in names:
            del self._on[each]
        self.is_any = bool(self._on)
        return names

    def on(self) -> dict[str, dict[str, object]]:
        """List what is on, how often it struck and how often it still will."""
        return {
            name: {**fault.arguments, "struck": fault.struck, "left": fault.left} for name, fault in self._on.items()
        }

    def present(self, name: str) -> Fault | None:
        """Give a fault that is on, without counting it as struck."""
        return self._on.get(name)

    def strikes(
        self, name: str, *, account: int | None = None, connection: int | None = None, payload_type: int | None = None
    ) -> Fault | None:
        """Say whether a fault strikes here and now, and count it if so."""
        fault = self._on.get(name)
        if fault is None or not _selects(fault, account, connection, payload_type):
            return None
        if fault.left is not None and fault.left <= 0:
            return None
        if fault.chance_permille < 1000 and self._chance.randrange(1000) >= fault.chance_permille:
            return None
        fault.struck += 1
        if fault.left is not None:
            fault.left -= 1
        return fault

    # Asked by execution.

    def rejection(self, ctid: int) -> str | None:
        """Say with which code an accepted order is to be rejected, if so."""
        fault = self.strikes("reject", account=ctid) if self.is_any else None
        return None if fault is None else fault.arguments["code"]

    def partial_fill(self, ctid: int) -> tuple[int, bool] | None:
        """Say whether an order is to be filled in parts: how many thousandths first, and whether the rest follows."""
        fault = self.strikes("partial-fill", account=ctid) if self.is_any else None
        if fault is None:
            return None
        return _permille(fault.arguments["fraction"], "fraction"), fault.arguments["rest"] == "fill"

    def draw(self, most: int) -> int:
        """Draw a number from 0 to `most`, from the seed."""
        return self._chance.randint(0, max(most, 0))


def _selects(fault: Fault, account: int | None, connection: int | None, payload_type: int | None) -> bool:
    if fault.account is not None and fault.account != account:
        return False
    if fault.connection is not None and connection is not None and fault.connection != connection:
        return False
    if fault.payload_type is not None:
        return payload_type is None or fault.payload_type == payload_type
    return payload_type is None or not KINDS[fault.kind].only_trading or payload_type in TRADING_TYPES


def _whole(arguments: Mapping[str, str], name: str) -> int | None:
    text = arguments.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"expected a whole number for {name}, found {text!r}")
    return int(text)


def _permille(text: str, name: str) -> int:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise ValueError(f"expected a share above 0 and up to 1 for {name}, found {text!r}")
    return round(share * 1000)


def _check(name: str, values: Mapping[str, str]) -> None:
    for key, value in values.items():
        if value == "":
            raise ValueError(f"expected a value for {key} of {name}, found none")
        if key in ("ms", "seconds", "allowed", "retry_after"):
            digits = value.removeprefix("-") if key == "ms" and name == "clock-skew" else value
            if not digits.isascii() or not digits.isdigit():
                raise ValueError(f"expected a whole number for {key} of {name}, found {value!r}")
        elif key == "fraction":
            _permille(value, key)
        elif key == "is" and value not in ("lost", "cut", "html"):
            raise ValueError(f"expected lost, cut or html for is of {name}, found {value!r}")
        elif key == "rest" and value not in ("cancel", "fill"):
            raise ValueError(f"expected cancel or fill for rest of {name}, found {value!r}")
        elif key == "code" and name == "reject" and value not in CODES and not value.startswith(ANY):
            listed = ", ".join(CODES)
            raise ValueError(
                f"expected one of the error codes for {name}, or {ANY}CODE for one that nobody knows; found {value!r}. "
                f"There are {listed}"
            )
        elif key == "code" and not value.isascii():
            raise ValueError(f"expected the name of an error code for {name}, found {value!r}")
