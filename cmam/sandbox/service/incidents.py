"""Things that happen once, at once, at a tester's word: tokens die, others trade, money comes, a symbol changes.

Each takes its arguments as text and answers with a sentence that says what was done; raises ValueError with one clear
sentence otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.books.authority import Grants
from cmam.sandbox.books.ledger import Account, CashFlow
from cmam.sandbox.faults import INCIDENTS
from cmam.sandbox.trading import margin, orders, reports
from cmam.sandbox.trading.floor import DEPOSIT_WITHDRAW, EXECUTION_EVENT, Floor, Refused
from cmam.sandbox.units import PRICE, tick_size
from cmam.sandbox.world import AccessRights, Symbol, TradingMode

BONUS_DEPOSIT_WITHDRAW = 12
SYMBOL_CHANGED_EVENT, TRADER_UPDATED_EVENT, MARGIN_CHANGED_EVENT = 2120, 2123, 2141
SIDES = {"buy": 1, "sell": 2}


@dataclass(frozen=True, slots=True)
class Scene:
    """What incidents work on."""

    floor: Floor
    grants: Grants
    disconnect_account: Callable[[int], int]
    disconnect_clients: Callable[[str], int]
    move: Callable[[str, int, int], None]
    """Sets a feed's bid and ask, as a tick would."""


def happen(scene: Scene, name: str, arguments: Mapping[str, str]) -> str:
    """Let an incident happen."""
    known = INCIDENTS[name].arguments
    for argument in arguments:
        if argument not in known:
            raise ValueError(f"expected {name} to be given {', '.join(known)}; found {argument!r}")
    values = {key: arguments.get(key, default) for key, default in known.items()}
    for key, value in values.items():
        if value == "":
            raise ValueError(f"expected a value for {key} of {name}, found none")
    return ACTS[name](scene, values)


def _account(scene: Scene, values: Mapping[str, str]) -> Account:
    text = values["account"]
    for account in scene.floor.accounts.values():
        if text in (str(account.spec.ctid), str(account.spec.login)):
            return account
    raise ValueError(f"expected the ctid or login of an account of this world, found {text!r}")


def _symbol(scene: Scene, account: Account, name: str) -> Symbol:
    for symbol in scene.floor.venue_of(account).symbols.values():
        if name in (symbol.name, str(symbol.id), symbol.feed):
            return symbol
    raise ValueError(f"expected a symbol of {account.spec.broker}, found {name!r}")


def _decimal(text: str, what: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or abs(value) > 10**12:
        raise ValueError(f"expected a decimal number for {what}, found {text!r}")
    return value


def _invalidate_token(scene: Scene, values: Mapping[str, str]) -> str:
    account = _account(scene, values)
    count = scene.grants.invalidate(account.spec.ctid)
    return f"{count} grants that covered account {account.spec.ctid} have ended"


def _expire_token(scene: Scene, values: Mapping[str, str]) -> str:
    account = _account(scene, values)
    doomed = [grant for grant in scene.grants.grants() if account.spec.ctid in grant.accounts]
    for grant in doomed:
        scene.grants.expire(grant.access_token)
    return f"{len(doomed)} access tokens that covered account {account.spec.ctid} have expired"


def _withdraw_consent(scene: Scene, values: Mapping[str, str]) -> str:
    account = _account(scene, values)
    count = scene.grants.uncover(account.spec.ctid)
    return f"{count} grants go on without account {account.spec.ctid}"


def _disconnect_account(scene: Scene, values: Mapping[str, str]) -> str:
    account = _account(scene, values)
    return f"{scene.disconnect_account(account.spec.ctid)} sessions of account {account.spec.ctid} were disconnected"


def _disconnect_client(scene: Scene, values: Mapping[str, str]) -> str:
    return f"{scene.disconnect_clients(values['reason'])} connections were cancelled"


def _application(scene: Scene, values: Mapping[str, str]) -> str:
    client_id, state = values["client_id"], values["state"]
    if client_id not in scene.grants.states:
        raise ValueError(f"expected the client id of an application of this world, found {client_id!r}")
    if state not in ("Active", "Submitted"):
        raise ValueError(f"expected Active or Submitted for state, found {state!r}")
    scene.grants.states[client_id] = state
    return f"application {client_id} is {state} now"


def _foreign_trade(scene: Scene, values: Mapping[str, str]) -> str:
    """Trade as another session of the same account would: the events carry an id that nobody here knows."""
    account = _account(scene, values)
    floor = scene.floor
    action, msg_id = values["action"], values["id"]
    fields: dict[str, Any] = {"ctidTraderAccountId": account.spec.ctid}
    try:
        if action in SIDES:
            symbol = _symbol(scene, account, values["symbol"])
            volume = int(_decimal(values["volume"], "volume") * 100) or symbol.min_volume
            request = messages.ProtoOANewOrderReq(
                symbolId=symbol.id, orderType="MARKET", tradeSide=action.upper(), volume=volume, **fields
            )
            orders.new_order(floor, account, request, msg_id)
        elif action in ("close", "remove-levels"):
            chosen = [p for p in account.open_positions() if values["position"] in ("all", str(p.position_id))]
            if not chosen:
                raise ValueError(
                    f"expected an open position of account {account.spec.ctid}, found {values['position']!r}"
                )
            for position in chosen:
                if action == "close":
                    left = position.volume - position.closing
                    close = messages.ProtoOAClosePositionReq(positionId=position.position_id, volume=left, **fields)
                    orders.close_position(floor, account, close, msg_id)
                else:
                    amend = messages.ProtoOAAmendPositionSLTPReq(positionId=position.position_id, **fields)
                    orders.amend_position(floor, account, amend, msg_id)
        else:
            raise ValueError(f"expected buy, sell, close or remove-levels for action, found {action!r}")
    except Refused as refused:
        raise ValueError(f"the broker refused: {refused}") from None
    return f"another session of account {account.spec.ctid} did: {action}"


def _cash(scene: Scene, values: Mapping[str, str], sign: int, kind: str) -> str:
    account = _account(scene, values)
    known = [name for name in model.ProtoOAChangeBalanceType.DESCRIPTOR.values_by_name if name.startswith(kind)]
    if values["operation"] not in known:
        raise ValueError(f"expected one of {', '.join(known)} for operation, found {values['operation']!r}")
    operation = model.ProtoOAChangeBalanceType.Value(values["operation"])
    amount = _decimal(values["amount"], "amount").scaleb(account.spec.money_digits)
    if amount <= 0 or amount != int(amount):
        raise ValueError(f"expected a positive amount of at most {account.spec.money_digits} decimals for amount")
    move_cash(scene.floor, account, sign * int(amount), operation, values["note"])
    return f"account {account.spec.ctid} has {Decimal(account.balance).scaleb(-account.spec.money_digits)} now"


def move_cash(floor: Floor, account: Account, delta: int, operation: int, note: str = "") -> None:
    """Book money that comes or goes without a trade, and tell (wire.md#money-that-comes-and-goes)."""
    account.book(delta, floor.now_us)
    account.deposits += delta
    venue = floor.venue_of(account)
    flow = CashFlow(
        history_id=venue.new_id("balance"),
        operation=operation,
        delta=delta,
        balance=account.balance,
        balance_version=account.balance_version,
        at_us=floor.now_us,
        equity=floor.equity(account),
        note=note,
    )
    account.cash.append(flow)
    del account.cash[: -floor.switches.history_rows_max]
    event = reports.execution(account, DEPOSIT_WITHDRAW, is_server=True)
    event.depositWithdraw.CopyFrom(reports.cash_flow(flow, account.spec.money_digits, floor.stamp))
    floor.publish(account, EXECUTION_EVENT, event, None)
    if floor.switches.trader_event_on_balance:
        _tell_trader(floor, account)


def _tell_trader(floor: Floor, account: Account) -> None:
    trader = reports.trader(account, floor.venue_of(account))
    event = messages.ProtoOATraderUpdatedEvent(ctidTraderAccountId=account.spec.ctid, trader=trader)
    floor.publish(account, TRADER_UPDATED_EVENT, event, None)


def _deposit(scene: Scene, values: Mapping[str, str]) -> str:
    return _cash(scene, values, 1, "BALANCE_DEPOSIT")


def _withdraw(scene: Scene, values: Mapping[str, str]) -> str:
    return _cash(scene, values, -1, "BALANCE_WITHDRAW")


def _bonus(scene: Scene, values: Mapping[str, str]) -> str:
    account, floor = _account(scene, values), scene.floor
    delta = int(_decimal(values["amount"], "amount").scaleb(account.spec.money_digits))
    account.bonus += delta
    kind: Any = 0 if delta >= 0 else 1
    event = reports.execution(account, BONUS_DEPOSIT_WITHDRAW, is_server=True)
    event.bonusDepositWithdraw.CopyFrom(
        model.ProtoOABonusDepositWithdraw(
            operationType=kind,
            bonusHistoryId=floor.venue_of(account).new_id("balance"),
            managerBonus=account.bonus,
            managerDelta=delta,
            ibBonus=0,
            ibDelta=0,
            changeBonusTimestamp=floor.stamp.ms(floor.now_us),
            moneyDigits=account.spec.money_digits,
        )
    )
    floor.publish(account, EXECUTION_EVENT, event, None)
    if floor.switches.trader_event_on_balance:
        _tell_trader(floor, account)
    return f"account {account.spec.ctid} has a bonus of {account.bonus} minor units now"


def _access(scene: Scene, values: Mapping[str, str]) -> str:
    account = _account(scene, values)
    if values["rights"] not in AccessRights.__members__:
        raise ValueError(
            f"expected one of {', '.join(AccessRights.__members__)} for rights, found {values['rights']!r}"
        )
    account.access = int(AccessRights[values["rights"]])
    _tell_trader(scene.floor, account)
    return f"account {account.spec.ctid} is {values['rights']} now"


def _leverage(scene: Scene, values: Mapping[str, str]) -> str:
    """Change an account's leverage: the margin of its positions changes with it (wire.md#margin-that-changes)."""
    account, floor = _account(scene, values), scene.floor
    text = values["leverage"]
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 10_000:
        raise ValueError(f"expected a leverage from 1 to 10000, found {text!r}")
    account.leverage_cents = int(text) * 100
    _tell_trader(floor, account)
    for position in account.open_positions():
        symbol = floor.symbol(account, position.symbol_id)
        position.used_margin = floor.margin(account, symbol, position.volume, position.margin_rate)
        event = messages.ProtoOAMarginChangedEvent(
            ctidTraderAccountId=account.spec.ctid,
            positionId=position.position_id,
            usedMargin=position.used_margin,
            moneyDigits=account.spec.money_digits,
        )
        floor.publish(account, MARGIN_CHANGED_EVENT, event, None)
    return f"account {account.spec.ctid} has a leverage of 1:{text} and uses a margin of {margin.used(account)} now"


def _change_symbol(scene: Scene, values: Mapping[str, str]) -> str:
    """Change what a broker says of a symbol; every account of the broker is told (2120)."""
    broker = next((v for v in scene.floor.venues.values() if values["broker"] in (v.spec.name, v.spec.short)), None)
    if broker is None:
        raise ValueError(f"expected one of the brokers {', '.join(scene.floor.venues)}; found {values['broker']!r}")
    symbol = next((s for s in broker.symbols.values() if values["symbol"] in (s.name, str(s.id))), None)
    if symbol is None:
        raise ValueError(f"expected a symbol of {broker.spec.name}, found {values['symbol']!r}")
    key, value = values["set"].partition("=")[::2]
    broker.replace_symbol(_changed(symbol, key, value))
    for account in broker.accounts.values():
        event = messages.ProtoOASymbolChangedEvent(ctidTraderAccountId=account.spec.ctid, symbolId=[symbol.id])
        scene.floor.publish(account, SYMBOL_CHANGED_EVENT, event, None)
    return f"{symbol.name} of {broker.spec.name} has {key} {value} now"


def _changed(symbol: Symbol, key: str, value: str) -> Symbol:
    if key == "mode":
        if value not in TradingMode.__members__:
            raise ValueError(f"expected one of {', '.join(TradingMode.__members__)} for mode, found {value!r}")
        return replace(symbol, mode=TradingMode[value])
    if key in ("enabled", "short_selling", "guaranteed"):
        if value not in ("true", "false"):
            raise ValueError(f"expected true or false for {key}, found {value!r}")
        flag: dict[str, Any] = {key: value == "true"}
        return replace(symbol, **flag)
    numbers = ("lot_size", "min_volume", "max_volume", "step_volume", "sl_distance", "tp_distance", "spread_markup")
    if key not in numbers:
        known = ", ".join(("mode", "enabled", "short_selling", "guaranteed", *numbers))
        raise ValueError(f"expected one of {known} before = in set, found {key!r}")
    least = 0 if key in ("sl_distance", "tp_distance", "spread_markup") else 1
    if not value.isascii() or not value.isdigit() or int(value) < least:
        raise ValueError(f"expected a whole number of at least {least} for {key}, found {value!r}")
    number: dict[str, Any] = {key: int(value)}
    return replace(symbol, **number)


def _price(scene: Scene, values: Mapping[str, str]) -> str:
    """Move the market: a gap, or the price that a test wants."""
    stream = scene.floor.market.streams.get(values["symbol"])
    if stream is None or stream.feed.cross:
        raise ValueError(f"expected a feed with a price of its own for symbol, found {values['symbol']!r}")
    bid = int(_decimal(values["bid"], "bid") * PRICE)
    ask = bid + stream.feed.spread if values["ask"] == "auto" else int(_decimal(values["ask"], "ask") * PRICE)
    if not tick_size(stream.feed.digits) <= bid <= ask < 10**15:
        raise ValueError(f"expected 0 < bid <= ask, found {values['bid']} and {values['ask']}")
    scene.move(values["symbol"], bid, ask)
    return f"{values['symbol']} stands at {values['bid']} now"


ACTS: dict[str, Callable[[Scene, Mapping[str, str]], str]] = {
    "invalidate-token": _invalidate_token,
    "withdraw-consent": _withdraw_consent,
    "expire-token": _expire_token,
    "disconnect-account": _disconnect_account,
    "disconnect-client": _disconnect_client,
    "application": _application,
    "foreign-trade": _foreign_trade,
    "deposit": _deposit,
    "withdraw": _withdraw,
    "bonus": _bonus,
    "access": _access,
    "leverage": _leverage,
    "symbol": _change_symbol,
    "price": _price,
}
