"""What the wire says in the words of the domain: the vendor's names stop here.

Doubles become integers once, by way of their shortest decimal text; volumes and money stay the integers that they are
(wire.md#units). What a broker may leave out becomes None or its default; what it must say and does not (an id, a side,
a volume) raises RemoteError, since a default there would be a trade (`fields.py`). Requests go the other way in
`requests.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

from cmam.domain.events import AssetName, ExecutionSeen, TraderSeen, TrailingStopMoved
from cmam.domain.values.ids import AccountId, AssetId, DealId, OrderId, PositionId, SymbolId
from cmam.domain.values.quantities import Volume
from cmam.domain.values.symbols import DistanceIn, Holiday, Interval, SymbolName, SymbolSpec, TradingMode
from cmam.domain.values.trades import (
    AccessRights,
    AccountType,
    BalanceChange,
    CloseDetail,
    Deal,
    DealStatus,
    ExecutionKind,
    MarginType,
    Order,
    OrderStatus,
    OrderType,
    Position,
    PositionStatus,
    TimeInForce,
    Trader,
    TriggerMethod,
)
from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.errors import RemoteError
from cmam.openapi.fields import distance, moment_ms, money_digits, needed, optional_price, price, side, word, words

DIGITS_MAX: Final = 8
"""The domain's prices have eight decimals."""
THRESHOLD_MAX: Final = 1e9
"""No margin level that a person is called for is higher."""

ORDER_TYPES: Final = {
    model.MARKET: OrderType.MARKET,
    model.LIMIT: OrderType.LIMIT,
    model.STOP: OrderType.STOP,
    model.STOP_LOSS_TAKE_PROFIT: OrderType.PROTECTION,
    model.MARKET_RANGE: OrderType.MARKET_RANGE,
    model.STOP_LIMIT: OrderType.STOP_LIMIT,
}
ORDER_STATUSES: Final = {
    model.ORDER_STATUS_ACCEPTED: OrderStatus.ACCEPTED,
    model.ORDER_STATUS_FILLED: OrderStatus.FILLED,
    model.ORDER_STATUS_REJECTED: OrderStatus.REJECTED,
    model.ORDER_STATUS_EXPIRED: OrderStatus.EXPIRED,
    model.ORDER_STATUS_CANCELLED: OrderStatus.CANCELLED,
}
POSITION_STATUSES: Final = {
    model.POSITION_STATUS_OPEN: PositionStatus.OPEN,
    model.POSITION_STATUS_CLOSED: PositionStatus.CLOSED,
    model.POSITION_STATUS_CREATED: PositionStatus.CREATED,
    model.POSITION_STATUS_ERROR: PositionStatus.ERROR,
}
TIMES_IN_FORCE: Final = {
    model.GOOD_TILL_DATE: TimeInForce.GTD,
    model.GOOD_TILL_CANCEL: TimeInForce.GTC,
    model.IMMEDIATE_OR_CANCEL: TimeInForce.IOC,
    model.FILL_OR_KILL: TimeInForce.FOK,
    model.MARKET_ON_OPEN: TimeInForce.MARKET_ON_OPEN,
}
TRIGGERS: Final = {
    model.TRADE: TriggerMethod.TRADE,
    model.OPPOSITE: TriggerMethod.OPPOSITE,
    model.DOUBLE_TRADE: TriggerMethod.DOUBLE_TRADE,
    model.DOUBLE_OPPOSITE: TriggerMethod.DOUBLE_OPPOSITE,
}
DEAL_STATUSES: Final = {
    model.FILLED: DealStatus.FILLED,
    model.PARTIALLY_FILLED: DealStatus.PARTIALLY_FILLED,
    model.REJECTED: DealStatus.REJECTED,
    model.INTERNALLY_REJECTED: DealStatus.INTERNALLY_REJECTED,
    model.ERROR: DealStatus.ERROR,
    model.MISSED: DealStatus.MISSED,
}
EXECUTION_KINDS: Final = {
    model.ORDER_ACCEPTED: ExecutionKind.ORDER_ACCEPTED,
    model.ORDER_FILLED: ExecutionKind.ORDER_FILLED,
    model.ORDER_REPLACED: ExecutionKind.ORDER_REPLACED,
    model.ORDER_CANCELLED: ExecutionKind.ORDER_CANCELLED,
    model.ORDER_EXPIRED: ExecutionKind.ORDER_EXPIRED,
    model.ORDER_REJECTED: ExecutionKind.ORDER_REJECTED,
    model.ORDER_CANCEL_REJECTED: ExecutionKind.ORDER_CANCEL_REJECTED,
    model.SWAP: ExecutionKind.SWAP,
    model.DEPOSIT_WITHDRAW: ExecutionKind.DEPOSIT_WITHDRAW,
    model.ORDER_PARTIAL_FILL: ExecutionKind.ORDER_PARTIAL_FILL,
    model.BONUS_DEPOSIT_WITHDRAW: ExecutionKind.BONUS_DEPOSIT_WITHDRAW,
}
ACCOUNT_TYPES: Final = {
    model.HEDGED: AccountType.HEDGED,
    model.NETTED: AccountType.NETTED,
    model.SPREAD_BETTING: AccountType.SPREAD_BETTING,
}
ACCESS: Final = {
    model.FULL_ACCESS: AccessRights.FULL_ACCESS,
    model.CLOSE_ONLY: AccessRights.CLOSE_ONLY,
    model.NO_TRADING: AccessRights.NO_TRADING,
    model.NO_LOGIN: AccessRights.NO_LOGIN,
}
MARGIN_TYPES: Final = {
    model.SUM: MarginType.SUM,
    model.MAX: MarginType.MAX,
    model.NET: MarginType.NET,
}
TRADING_MODES: Final = {
    model.ENABLED: TradingMode.ENABLED,
    model.DISABLED_WITHOUT_PENDINGS_EXECUTION: TradingMode.DISABLED_WITHOUT_PENDINGS,
    model.DISABLED_WITH_PENDINGS_EXECUTION: TradingMode.DISABLED_WITH_PENDINGS,
    model.CLOSE_ONLY_MODE: TradingMode.CLOSE_ONLY,
}

WITHDRAWALS: Final = ("withdraw", "bonus_withdraw")
"""How the names of operations begin that take money away."""


# --- entities -----------------------------------------------------------------------------------------------------


def position(wire: model.ProtoOAPosition) -> Position:
    """A position; before its fill it has volume 0 and status CREATED (wire.md#before-the-fill)."""
    trade = wire.tradeData
    return Position(
        position=PositionId(needed(wire, "positionId", least=1)),
        symbol=SymbolId(needed(trade, "symbolId")),
        side=side(trade),
        volume=Volume(needed(trade, "volume")),
        status=word(wire, "positionStatus", POSITION_STATUSES, PositionStatus.ERROR),
        price=optional_price(wire, "price"),
        stop=optional_price(wire, "stopLoss"),
        target=optional_price(wire, "takeProfit"),
        trailing=wire.trailingStopLoss,
        guaranteed=wire.guaranteedStopLoss,
        trigger=word(wire, "stopLossTriggerMethod", TRIGGERS, TriggerMethod.TRADE),
        swap=wire.swap,
        commission=wire.commission,
        used_margin=wire.usedMargin,
        label=words(trade.label),
        comment=words(trade.comment),
        opened_ms=moment_ms(trade.openTimestamp),
        updated_ms=moment_ms(wire.utcLastUpdateTimestamp),
        closed_ms=moment_ms(trade.closeTimestamp),
    )


def order(wire: model.ProtoOAOrder) -> Order:
    """An order of any type, the broker's own protective ones among them."""
    trade = wire.tradeData
    return Order(
        order=OrderId(needed(wire, "orderId", least=1)),
        symbol=SymbolId(needed(trade, "symbolId")),
        side=side(trade),
        type=word(wire, "orderType", ORDER_TYPES, OrderType.MARKET),
        volume=Volume(needed(trade, "volume")),
        status=word(wire, "orderStatus", ORDER_STATUSES, OrderStatus.ACCEPTED),
        executed_volume=Volume(max(0, wire.executedVolume)),
        execution_price=optional_price(wire, "executionPrice"),
        limit_price=optional_price(wire, "limitPrice"),
        stop_price=optional_price(wire, "stopPrice"),
        stop=optional_price(wire, "stopLoss"),
        target=optional_price(wire, "takeProfit"),
        relative_stop=distance(wire, "relativeStopLoss"),
        relative_target=distance(wire, "relativeTakeProfit"),
        trailing=wire.trailingStopLoss,
        guaranteed=trade.guaranteedStopLoss,
        trigger=word(wire, "stopTriggerMethod", TRIGGERS, TriggerMethod.TRADE),
        time_in_force=word(wire, "timeInForce", TIMES_IN_FORCE, TimeInForce.IOC),
        expires_ms=moment_ms(wire.expirationTimestamp) if wire.HasField("expirationTimestamp") else None,
        base_slippage_price=optional_price(wire, "baseSlippagePrice"),
        slippage_points=wire.slippageInPoints if wire.HasField("slippageInPoints") else None,
        position=PositionId(wire.positionId) if wire.positionId else None,
        client_order_id=words(wire.clientOrderId),
        label=words(trade.label),
        comment=words(trade.comment),
        closing=wire.closingOrder,
        stop_out=wire.isStopOut,
        opened_ms=moment_ms(trade.openTimestamp),
        updated_ms=moment_ms(wire.utcLastUpdateTimestamp),
    )


def deal(wire: model.ProtoOADeal) -> Deal:
    """One execution, with what it realised where it closed something."""
    return Deal(
        deal=DealId(needed(wire, "dealId", least=1)),
        order=OrderId(needed(wire, "orderId")),
        position=PositionId(needed(wire, "positionId")),
        symbol=SymbolId(needed(wire, "symbolId")),
        side=side(wire),
        volume=Volume(needed(wire, "volume")),
        filled_volume=Volume(needed(wire, "filledVolume")),
        price=optional_price(wire, "executionPrice"),
        status=word(wire, "dealStatus", DEAL_STATUSES, DealStatus.ERROR),
        executed_ms=moment_ms(wire.executionTimestamp),
        created_ms=moment_ms(wire.createTimestamp),
        commission=wire.commission,
        money_digits=money_digits(wire),
        close=_close_detail(wire),
    )


def _close_detail(wire: model.ProtoOADeal) -> CloseDetail | None:
    if not wire.HasField("closePositionDetail"):
        return None
    detail = wire.closePositionDetail
    return CloseDetail(
        entry_price=price(detail.entryPrice),
        gross=detail.grossProfit,
        swap=detail.swap,
        commission=detail.commission,
        balance=detail.balance,
        closed_volume=Volume(max(0, detail.closedVolume)),
        balance_version=detail.balanceVersion,
        conversion_fee=detail.pnlConversionFee,
        money_digits=money_digits(detail),
    )


def trader(wire: model.ProtoOATrader) -> Trader:
    """What an account is and holds."""
    return Trader(
        account=AccountId(wire.ctidTraderAccountId),
        login=wire.traderLogin,
        broker=words(wire.brokerName),
        deposit_asset=wire.depositAssetId,
        account_type=word(wire, "accountType", ACCOUNT_TYPES, AccountType.SPREAD_BETTING, AccountType.HEDGED),
        access=word(wire, "accessRights", ACCESS, AccessRights.NO_TRADING, AccessRights.FULL_ACCESS),
        balance=wire.balance,
        balance_version=wire.balanceVersion,
        money_digits=money_digits(wire),
        bonus=wire.managerBonus + wire.ibBonus,
        leverage_cents=wire.leverageInCents,
        max_leverage=wire.maxLeverage,
        limited_risk=wire.isLimitedRisk,
        swap_free=wire.swapFree,
        fair_stop_out=wire.fairStopOut,
        registered_ms=moment_ms(wire.registrationTimestamp),
        margin_type=word(wire, "totalMarginCalculationType", MARGIN_TYPES, MarginType.SUM),
    )


LASTING: Final = {
    "accountType": "account_type",
    "moneyDigits": "money_digits",
    "leverageInCents": "leverage_cents",
    "maxLeverage": "max_leverage",
    "totalMarginCalculationType": "margin_type",
    "isLimitedRisk": "limited_risk",
    "brokerName": "broker",
    "traderLogin": "login",
    "registrationTimestamp": "registered_ms",
}
"""What an account is, told or not: fields of the wire, and what they are here."""


def updated_trader(wire: model.ProtoOATrader, known: Trader | None) -> Trader:
    """What an update makes of an account: of what it is, all that the update does not tell stays as it is known
    (wire.md#particulars-of-an-account)."""
    found = trader(wire)
    if known is None:
        return found
    untold = {here: getattr(known, here) for field, here in LASTING.items() if not wire.HasField(field)}
    return replace(found, **untold)


def sane_trader(wire: messages.ProtoOATraderRes | messages.ProtoOATraderUpdatedEvent) -> model.ProtoOATrader:
    """The particulars inside; raises RemoteError where they are another account's, or lack what is reckoned with.

    A balance that is not there would read as 0, and a guard of equity would close everything.
    """
    found = wire.trader
    if found.ctidTraderAccountId != wire.ctidTraderAccountId:
        raise RemoteError(
            f"expected the particulars of account {wire.ctidTraderAccountId}, found those of "
            f"{found.ctidTraderAccountId or 'none'}"
        )
    for field in ("balance", "depositAssetId"):
        if not found.HasField(field):
            raise RemoteError(f"expected {field} in {found.DESCRIPTOR.name}, found none")
    trader(found)
    return found


def symbol_spec(wire: model.ProtoOASymbol, name: SymbolName, assets: Mapping[AssetId, AssetName]) -> SymbolSpec:
    """What a symbol allows; one whose numbers cannot be reckoned with is disabled, since it is one of many."""
    is_sane = 0 <= wire.digits <= DIGITS_MAX and abs(wire.pipPosition) <= DIGITS_MAX and wire.lotSize > 0
    step = wire.stepVolume if wire.stepVolume > 0 else max(1, wire.minVolume)
    base, quote = assets.get(name.base), assets.get(name.quote)
    return SymbolSpec(
        symbol=SymbolId(wire.symbolId),
        name=name.name,
        base=name.base,
        quote=name.quote,
        base_name=base.name if base is not None else "",
        quote_name=quote.name if quote is not None else "",
        digits=min(max(wire.digits, 0), DIGITS_MAX),
        pip_position=min(max(wire.pipPosition, -DIGITS_MAX), DIGITS_MAX),
        lot_size=Volume(max(wire.lotSize, 1)),
        min_volume=Volume(max(wire.minVolume, 1)),
        max_volume=Volume(wire.maxVolume if wire.maxVolume > 0 else 10**15),
        step_volume=Volume(step),
        enabled=name.enabled and is_sane,
        trading_mode=word(wire, "tradingMode", TRADING_MODES, TradingMode.CLOSE_ONLY, TradingMode.ENABLED),
        short_selling=wire.enableShortSelling if wire.HasField("enableShortSelling") else True,
        measurement_units=words(wire.measurementUnits),
        sl_distance=wire.slDistance,
        tp_distance=wire.tpDistance,
        gsl_distance=wire.gslDistance,
        distance_in=DistanceIn.PERCENTAGE
        if wire.distanceSetIn == model.SYMBOL_DISTANCE_IN_PERCENTAGE
        else DistanceIn.POINTS,
        commission_type=int(wire.commissionType),
        commission_rate_e8=wire.preciseTradingCommissionRate or wire.commission * 1_000_000,
        min_commission_e8=wire.preciseMinCommission or wire.minCommission * 1_000_000,
        min_commission_asset=_least_asset(wire, quote),
        conversion_fee_rate=wire.pnlConversionFeeRate,
        leverage_id=wire.leverageId,
        schedule_zone=words(wire.scheduleTimeZone) or "UTC",
        schedule=tuple(Interval(start_s=span.startSecond, end_s=span.endSecond) for span in wire.schedule),
        holidays=tuple(_holiday(day) for day in wire.holiday),
        guaranteed_stops=wire.guaranteedStopLoss if wire.HasField("guaranteedStopLoss") else None,
    )


def _least_asset(wire: model.ProtoOASymbol, quote: AssetName | None) -> str:
    """The currency of a symbol's minimum commission: the one it names, or its quote's where it says so."""
    if wire.minCommissionType == model.QUOTE_CURRENCY:
        return quote.name if quote is not None else ""
    return words(wire.minCommissionAsset)


def _holiday(wire: model.ProtoOAHoliday) -> Holiday:
    """A holiday (wire.md#trading-hours); an end of 0 means none too, as for prices: a holiday that is over as it begins
    would be none."""
    return Holiday(
        date_days=wire.holidayDate,
        zone=words(wire.scheduleTimeZone) or "UTC",
        recurring=wire.isRecurring,
        start_s=wire.startSecond if wire.HasField("startSecond") else None,
        end_s=wire.endSecond or None,
    )


def symbol_names(wire: Iterable[model.ProtoOALightSymbol]) -> tuple[SymbolName, ...]:
    """An account's symbol list, by id: another broker's ids are others (wire.md#symbols)."""
    found = (
        SymbolName(
            symbol=SymbolId(entry.symbolId),
            name=words(entry.symbolName),
            enabled=entry.enabled if entry.HasField("enabled") else True,
            base=AssetId(entry.baseAssetId),
            quote=AssetId(entry.quoteAssetId),
        )
        for entry in wire
    )
    return tuple(sorted(found, key=lambda entry: entry.symbol))


def asset_names(wire: Iterable[model.ProtoOAAsset]) -> tuple[AssetName, ...]:
    """A broker's assets, by id."""
    found = (
        AssetName(asset=AssetId(a.assetId), name=words(a.name), digits=a.digits if a.HasField("digits") else 2)
        for a in wire
    )
    return tuple(sorted(found, key=lambda entry: entry.asset))


# --- events -------------------------------------------------------------------------------------------------------


def execution(wire: messages.ProtoOAExecutionEvent, client_msg_id: str) -> ExecutionSeen:
    """What happened to an order, a position or the balance, whoever caused it."""
    return ExecutionSeen(
        kind=word(wire, "executionType", EXECUTION_KINDS, ExecutionKind.OTHER),
        order=order(wire.order) if wire.HasField("order") else None,
        position=position(wire.position) if wire.HasField("position") else None,
        deal=deal(wire.deal) if wire.HasField("deal") else None,
        balance=_balance(wire),
        client_msg_id=words(client_msg_id),
        is_server_event=wire.isServerEvent,
        error_code=words(wire.errorCode),
    )


def _balance(wire: messages.ProtoOAExecutionEvent) -> BalanceChange | None:
    if wire.HasField("depositWithdraw"):
        return balance_change(wire.depositWithdraw)
    if wire.HasField("bonusDepositWithdraw"):
        bonus = wire.bonusDepositWithdraw
        operation = _operation(bonus, model.ProtoOAChangeBonusType)
        return BalanceChange(
            operation=operation,
            delta=_moved(operation, bonus.managerDelta) + _moved(operation, bonus.ibDelta),
            balance=bonus.managerBonus + bonus.ibBonus,
            money_digits=money_digits(bonus),
            changed_ms=moment_ms(bonus.changeBonusTimestamp),
            bonus=True,
        )
    return None


def balance_change(wire: model.ProtoOADepositWithdraw) -> BalanceChange:
    """Money that came or went without a trade."""
    operation = _operation(wire, model.ProtoOAChangeBalanceType)
    return BalanceChange(
        operation=operation,
        delta=_moved(operation, wire.delta),
        balance=wire.balance,
        balance_version=wire.balanceVersion,
        money_digits=money_digits(wire),
        changed_ms=moment_ms(wire.changeBalanceTimestamp),
    )


def _operation(change: Any, names: Any) -> str:
    """What moved money, by the schema's name; `other` for one that it does not know."""
    if not change.HasField("operationType"):
        return "other"
    return str(names.Name(change.operationType)).removeprefix("BALANCE_").lower()


def _moved(operation: str, delta: int) -> int:
    """By how much money moved (wire.md#money-that-comes-and-goes): the schema calls it the amount of an operation and
    leaves its sign open, and a withdrawal that counted as a deposit would be twice itself in every guard."""
    return -abs(delta) if operation.startswith(WITHDRAWALS) else delta


def trailing_stop(wire: messages.ProtoOATrailingSLChangedEvent) -> TrailingStopMoved:
    """A trailing stop that moved: the only word of it (wire.md#stops-that-trail)."""
    return TrailingStopMoved(
        position=PositionId(needed(wire, "positionId", least=1)),
        order=OrderId(wire.orderId),
        stop=price(wire.stopPrice),
        updated_ms=moment_ms(wire.utcLastUpdateTimestamp),
    )


def margin_threshold(wire: messages.ProtoOAMarginCallTriggerEvent) -> int:
    """The threshold that a margin level has come down to, told in percent (wire.md#margin-that-changes); in hundredths
    of one. Raises RemoteError for what is no percentage."""
    percent = wire.marginCall.marginLevelThreshold
    if not 0 <= percent <= THRESHOLD_MAX:
        raise RemoteError(f"expected a margin level in percent, found {percent!r}")
    return round(percent * 100)


def trader_seen(
    wire: model.ProtoOATrader, assets: Mapping[AssetId, AssetName], *, is_live: bool, known: Trader | None = None
) -> TraderSeen:
    """An account's particulars as a fact, its currency by name where the assets are known; `known` are those that this
    is an update of."""
    currency = assets.get(AssetId(wire.depositAssetId))
    return TraderSeen(
        trader=updated_trader(wire, known), currency=currency.name if currency is not None else "", is_live=is_live
    )
