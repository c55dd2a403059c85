"""What the wire says in the words of the domain: the vendor's names stop here.

Doubles become integers once, by way of their shortest decimal text. What a broker leaves out becomes None or a default,
what it sends in an unknown word becomes the nearest that risks nothing; bytes that are no message raise RemoteError
before they come here. Requests go the other way in `requests.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from enum import Enum
from typing import Any, Final, TypeVar

from cmam.domain.events import AssetName, ExecutionSeen, TraderSeen, TrailingStopMoved
from cmam.domain.ids import AccountId, AssetId, DealId, OrderId, PositionId, SymbolId
from cmam.domain.quantities import RELATIVE_SCALE, Distance, Price, Side, Volume, price_from_decimal
from cmam.domain.symbols import DistanceIn, Holiday, Interval, SymbolName, SymbolSpec, TradingMode
from cmam.domain.trades import (
    AccessRights,
    AccountType,
    BalanceChange,
    CloseDetail,
    Deal,
    DealStatus,
    ExecutionKind,
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

E = TypeVar("E", bound=Enum)

PRICE_MAX: Final = 1e10
"""No price is larger; a double beyond is garbage."""

SIDES: Final = {model.BUY: Side.BUY, model.SELL: Side.SELL}
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
TRADING_MODES: Final = {
    model.ENABLED: TradingMode.ENABLED,
    model.DISABLED_WITHOUT_PENDINGS_EXECUTION: TradingMode.DISABLED_WITHOUT_PENDINGS,
    model.DISABLED_WITH_PENDINGS_EXECUTION: TradingMode.DISABLED_WITH_PENDINGS,
    model.CLOSE_ONLY_MODE: TradingMode.CLOSE_ONLY,
}


# --- small things -------------------------------------------------------------------------------------------------


def price(value: float) -> Price:
    """A real price as an integer one; raises RemoteError for what is no price."""
    if not 0 <= value < PRICE_MAX:
        raise RemoteError(f"expected a price, found {value!r}")
    return price_from_decimal(Decimal(repr(value)))


def _optional_price(message: Any, field: str) -> Price | None:
    """A price field that may be absent; 0 means absent too, since no level or price is 0."""
    if not message.HasField(field):
        return None
    found = price(getattr(message, field))
    return found if found > 0 else None


def _distance(message: Any, field: str) -> Distance | None:
    value = getattr(message, field) if message.HasField(field) else 0
    return Distance(value * RELATIVE_SCALE) if value > 0 else None


def _word(table: Mapping[Any, E], number: Any, fallback: E) -> E:
    return table.get(number, fallback)


def _side(number: int) -> Side:
    try:
        return SIDES[number]  # type: ignore[index]
    except KeyError:
        raise RemoteError(f"expected a trade side, found {number}") from None


# --- entities -----------------------------------------------------------------------------------------------------


def position(wire: model.ProtoOAPosition) -> Position:
    """A position; before its fill it has volume 0 and status CREATED (FACTS §4.3)."""
    trade = wire.tradeData
    return Position(
        position=PositionId(wire.positionId),
        symbol=SymbolId(trade.symbolId),
        side=_side(trade.tradeSide),
        volume=Volume(max(0, trade.volume)),
        status=_word(POSITION_STATUSES, wire.positionStatus, PositionStatus.ERROR),
        price=_optional_price(wire, "price"),
        stop=_optional_price(wire, "stopLoss"),
        target=_optional_price(wire, "takeProfit"),
        trailing=wire.trailingStopLoss,
        guaranteed=wire.guaranteedStopLoss,
        trigger=_word(TRIGGERS, wire.stopLossTriggerMethod, TriggerMethod.TRADE),
        swap=wire.swap,
        commission=wire.commission,
        used_margin=wire.usedMargin,
        label=trade.label,
        comment=trade.comment,
        opened_ms=trade.openTimestamp,
        updated_ms=wire.utcLastUpdateTimestamp,
        closed_ms=trade.closeTimestamp,
    )


def order(wire: model.ProtoOAOrder) -> Order:
    """An order of any type, the broker's own protective ones among them."""
    trade = wire.tradeData
    kind = _word(ORDER_TYPES, wire.orderType, OrderType.MARKET)
    return Order(
        order=OrderId(wire.orderId),
        symbol=SymbolId(trade.symbolId),
        side=_side(trade.tradeSide),
        type=kind,
        volume=Volume(max(0, trade.volume)),
        status=_word(ORDER_STATUSES, wire.orderStatus, OrderStatus.ACCEPTED),
        executed_volume=Volume(max(0, wire.executedVolume)),
        execution_price=_optional_price(wire, "executionPrice"),
        limit_price=_optional_price(wire, "limitPrice"),
        stop_price=_optional_price(wire, "stopPrice"),
        stop=_optional_price(wire, "stopLoss"),
        target=_optional_price(wire, "takeProfit"),
        relative_stop=_distance(wire, "relativeStopLoss"),
        relative_target=_distance(wire, "relativeTakeProfit"),
        trailing=wire.trailingStopLoss,
        guaranteed=trade.guaranteedStopLoss,
        trigger=_word(TRIGGERS, wire.stopTriggerMethod, TriggerMethod.TRADE),
        time_in_force=_word(TIMES_IN_FORCE, wire.timeInForce, TimeInForce.IOC),
        expires_ms=wire.expirationTimestamp if wire.HasField("expirationTimestamp") else None,
        base_slippage_price=_optional_price(wire, "baseSlippagePrice"),
        slippage_points=wire.slippageInPoints if wire.HasField("slippageInPoints") else None,
        position=PositionId(wire.positionId) if wire.positionId else None,
        client_order_id=wire.clientOrderId,
        label=trade.label,
        comment=trade.comment,
        closing=wire.closingOrder,
        stop_out=wire.isStopOut,
        opened_ms=trade.openTimestamp,
        updated_ms=wire.utcLastUpdateTimestamp,
    )


def deal(wire: model.ProtoOADeal) -> Deal:
    """One execution, with what it realised where it closed something."""
    return Deal(
        deal=DealId(wire.dealId),
        order=OrderId(wire.orderId),
        position=PositionId(wire.positionId),
        symbol=SymbolId(wire.symbolId),
        side=_side(wire.tradeSide),
        volume=Volume(max(0, wire.volume)),
        filled_volume=Volume(max(0, wire.filledVolume)),
        price=_optional_price(wire, "executionPrice"),
        status=_word(DEAL_STATUSES, wire.dealStatus, DealStatus.ERROR),
        executed_ms=wire.executionTimestamp,
        created_ms=wire.createTimestamp,
        commission=wire.commission,
        money_digits=wire.moneyDigits if wire.HasField("moneyDigits") else 2,
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
        money_digits=detail.moneyDigits if detail.HasField("moneyDigits") else 2,
    )


def trader(wire: model.ProtoOATrader) -> Trader:
    """What an account is and holds."""
    return Trader(
        account=AccountId(wire.ctidTraderAccountId),
        login=wire.traderLogin,
        broker=wire.brokerName,
        deposit_asset=wire.depositAssetId,
        account_type=_word(ACCOUNT_TYPES, wire.accountType, AccountType.SPREAD_BETTING),
        access=_word(ACCESS, wire.accessRights, AccessRights.NO_TRADING),
        balance=wire.balance,
        balance_version=wire.balanceVersion,
        money_digits=wire.moneyDigits if wire.HasField("moneyDigits") else 2,
        bonus=wire.managerBonus + wire.ibBonus,
        leverage_cents=wire.leverageInCents,
        max_leverage=wire.maxLeverage,
        limited_risk=wire.isLimitedRisk,
        swap_free=wire.swapFree,
        fair_stop_out=wire.fairStopOut,
        registered_ms=wire.registrationTimestamp,
    )


def symbol_spec(wire: model.ProtoOASymbol, name: SymbolName, assets: Mapping[AssetId, AssetName]) -> SymbolSpec:
    """What a symbol allows; raises RemoteError where its numbers cannot be (digits, step)."""
    if not 0 <= wire.digits <= 8 or not 0 <= wire.pipPosition <= 8:
        raise RemoteError(f"expected 0 to 8 digits for {name.name}, found {wire.digits} and pip {wire.pipPosition}")
    step = wire.stepVolume if wire.stepVolume > 0 else max(1, wire.minVolume)
    base, quote = assets.get(name.base), assets.get(name.quote)
    return SymbolSpec(
        symbol=SymbolId(wire.symbolId),
        name=name.name,
        base=name.base,
        quote=name.quote,
        base_name=base.name if base is not None else "",
        quote_name=quote.name if quote is not None else "",
        digits=wire.digits,
        pip_position=wire.pipPosition,
        lot_size=Volume(wire.lotSize),
        min_volume=Volume(max(wire.minVolume, 1)),
        max_volume=Volume(wire.maxVolume if wire.maxVolume > 0 else 10**15),
        step_volume=Volume(step),
        enabled=name.enabled,
        trading_mode=_word(TRADING_MODES, wire.tradingMode, TradingMode.CLOSE_ONLY),
        short_selling=wire.enableShortSelling if wire.HasField("enableShortSelling") else True,
        measurement_units=wire.measurementUnits,
        sl_distance=wire.slDistance,
        tp_distance=wire.tpDistance,
        gsl_distance=wire.gslDistance,
        distance_in=DistanceIn.PERCENTAGE
        if wire.distanceSetIn == model.SYMBOL_DISTANCE_IN_PERCENTAGE
        else DistanceIn.POINTS,
        commission_type=int(wire.commissionType),
        commission_rate_e8=wire.preciseTradingCommissionRate or wire.commission * 1_000_000,
        min_commission_e8=wire.preciseMinCommission or wire.minCommission * 1_000_000,
        min_commission_asset=wire.minCommissionAsset,
        conversion_fee_rate=wire.pnlConversionFeeRate,
        leverage_id=wire.leverageId,
        schedule_zone=wire.scheduleTimeZone or "UTC",
        schedule=tuple(Interval(start_s=span.startSecond, end_s=span.endSecond) for span in wire.schedule),
        holidays=tuple(_holiday(day) for day in wire.holiday),
    )


def _holiday(wire: model.ProtoOAHoliday) -> Holiday:
    return Holiday(
        date_days=wire.holidayDate,
        zone=wire.scheduleTimeZone or "UTC",
        recurring=wire.isRecurring,
        start_s=wire.startSecond if wire.HasField("startSecond") else None,
        end_s=wire.endSecond if wire.HasField("endSecond") else None,
    )


def symbol_names(wire: Iterable[model.ProtoOALightSymbol]) -> tuple[SymbolName, ...]:
    """An account's symbol list, by id."""
    found = (
        SymbolName(
            symbol=SymbolId(entry.symbolId),
            name=entry.symbolName,
            enabled=entry.enabled,
            base=AssetId(entry.baseAssetId),
            quote=AssetId(entry.quoteAssetId),
        )
        for entry in wire
    )
    return tuple(sorted(found, key=lambda entry: entry.symbol))


def asset_names(wire: Iterable[model.ProtoOAAsset]) -> tuple[AssetName, ...]:
    """A broker's assets, by id."""
    found = (
        AssetName(asset=AssetId(a.assetId), name=a.name, digits=a.digits if a.HasField("digits") else 2) for a in wire
    )
    return tuple(sorted(found, key=lambda entry: entry.asset))


# --- events -------------------------------------------------------------------------------------------------------


def execution(wire: messages.ProtoOAExecutionEvent, client_msg_id: str) -> ExecutionSeen:
    """What happened to an order, a position or the balance, whoever caused it."""
    return ExecutionSeen(
        kind=_word(EXECUTION_KINDS, wire.executionType, ExecutionKind.OTHER),
        order=order(wire.order) if wire.HasField("order") else None,
        position=position(wire.position) if wire.HasField("position") else None,
        deal=deal(wire.deal) if wire.HasField("deal") else None,
        balance=_balance(wire),
        client_msg_id=client_msg_id,
        is_server_event=wire.isServerEvent,
        error_code=wire.errorCode,
    )


def _balance(wire: messages.ProtoOAExecutionEvent) -> BalanceChange | None:
    if wire.HasField("depositWithdraw"):
        change = wire.depositWithdraw
        return BalanceChange(
            operation=model.ProtoOAChangeBalanceType.Name(change.operationType).removeprefix("BALANCE_").lower(),
            delta=change.delta,
            balance=change.balance,
            balance_version=change.balanceVersion,
            money_digits=change.moneyDigits if change.HasField("moneyDigits") else 2,
            changed_ms=change.changeBalanceTimestamp,
        )
    if wire.HasField("bonusDepositWithdraw"):
        bonus = wire.bonusDepositWithdraw
        return BalanceChange(
            operation=model.ProtoOAChangeBonusType.Name(bonus.operationType).lower(),
            delta=bonus.managerDelta + bonus.ibDelta,
            balance=bonus.managerBonus + bonus.ibBonus,
            money_digits=bonus.moneyDigits if bonus.HasField("moneyDigits") else 2,
            changed_ms=bonus.changeBonusTimestamp,
            bonus=True,
        )
    return None


def trailing_stop(wire: messages.ProtoOATrailingSLChangedEvent) -> TrailingStopMoved:
    """A trailing stop that moved: the only word of it."""
    return TrailingStopMoved(
        position=PositionId(wire.positionId),
        order=OrderId(wire.orderId),
        stop=price(wire.stopPrice),
        updated_ms=wire.utcLastUpdateTimestamp,
    )


def trader_seen(wire: model.ProtoOATrader, assets: Mapping[AssetId, AssetName], *, is_live: bool) -> TraderSeen:
    """An account's particulars as a fact, its currency by name where the assets are known."""
    currency = assets.get(AssetId(wire.depositAssetId))
    return TraderSeen(trader=trader(wire), currency=currency.name if currency is not None else "", is_live=is_live)
