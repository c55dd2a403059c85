"""The broker's records as the wire's entities: order, position, deal, trader, symbol; what is set, and when.

Fields with a default that is not zero and `moneyDigits` are always sent explicitly, because clients in the wild need
them (wire.md#other-clients); what wire.md#before-the-fill says is not set stays unset.
"""

from __future__ import annotations

from typing import Any

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox import units
from cmam.sandbox.books.ledger import (
    CLOSED,
    LIMIT,
    MARKET_RANGE,
    STOP_LIMIT,
    STOP_LOSS_TAKE_PROFIT,
    Account,
    CashFlow,
    Deal,
    Order,
    Position,
)
from cmam.sandbox.trading.venue import Venue
from cmam.sandbox.world import Account as AccountSpec
from cmam.sandbox.world import Symbol

MS = units.MILLISECOND_US
_OPTIONAL_ORDER = (
    ("limitPrice", "limit_price"),
    ("stopPrice", "stop_price"),
    ("baseSlippagePrice", "base_slippage"),
)


class Stamp:
    """Moments as the server states them: milliseconds, wrong by the skew that a fault may set."""

    def __init__(self) -> None:
        self.skew_us = 0

    def ms(self, moment_us: int) -> int:
        """State a moment in milliseconds."""
        return (moment_us + self.skew_us) // MS


def order(record: Order, symbol: Symbol, stamp: Stamp) -> model.ProtoOAOrder:
    """Write an order, as events and answers show it."""
    trade: dict[str, Any] = {
        "symbolId": record.symbol_id,
        "volume": record.volume,
        "tradeSide": record.side,
        "openTimestamp": stamp.ms(record.created_us),
        "guaranteedStopLoss": record.guaranteed,
        "measurementUnits": symbol.units,
    }
    _texts(trade, record)
    if record.closed_us is not None and (record.executed or record.kind == STOP_LOSS_TAKE_PROFIT):
        trade["closeTimestamp"] = stamp.ms(record.closed_us)
    fields: dict[str, Any] = {
        "orderId": record.order_id,
        "tradeData": trade,
        "orderType": record.kind,
        "orderStatus": record.status,
        "executedVolume": record.executed,
        "utcLastUpdateTimestamp": stamp.ms(record.updated_us),
        "closingOrder": record.is_closing,
        "clientOrderId": record.client_order_id,
        "timeInForce": record.tif,
        "positionId": record.position_id,
        "trailingStopLoss": record.trailing,
    }
    if record.executed:
        fields["executionPrice"] = units.price_out(units.nearest(record.cost, record.executed))
    for name, attribute in _OPTIONAL_ORDER:
        price = getattr(record, attribute)
        if price is not None:
            fields[name] = units.price_out(price)
    if record.kind in (MARKET_RANGE, STOP_LIMIT) and record.slippage_points is not None:
        fields["slippageInPoints"] = record.slippage_points
    if record.expires_ms is not None:
        fields["expirationTimestamp"] = record.expires_ms
    if record.relative_sl is not None:
        fields["relativeStopLoss"] = record.relative_sl
    if record.relative_tp is not None:
        fields["relativeTakeProfit"] = record.relative_tp
    if record.is_stop_out:
        fields["isStopOut"] = True
    if record.kind not in (LIMIT, MARKET_RANGE) and (
        record.stop_price is not None or record.kind == STOP_LOSS_TAKE_PROFIT
    ):
        fields["stopTriggerMethod"] = record.trigger
    return model.ProtoOAOrder(**fields)


def _texts(trade: dict[str, Any], record: Order | Position) -> None:
    if record.label is not None:
        trade["label"] = record.label
    if record.comment is not None:
        trade["comment"] = record.comment


def position(record: Position, symbol: Symbol, digits: int, stamp: Stamp) -> model.ProtoOAPosition:
    """Write a position; one without volume states price 0 and neither rate nor margin.

    As it was recorded: before its first fill it states no time at all, and once it is closed no levels; what was closed
    and still has its protective order states levels, and not yet when it was closed.
    """
    is_closed = record.status == CLOSED
    trade: dict[str, Any] = {
        "symbolId": record.symbol_id,
        "volume": record.volume,
        "tradeSide": record.side,
        "guaranteedStopLoss": record.guaranteed,
        "measurementUnits": symbol.units,
    }
    _texts(trade, record)
    if record.opened_us is not None:
        trade["openTimestamp"] = stamp.ms(record.opened_us)
    if record.closed_us is not None and is_closed:
        trade["closeTimestamp"] = stamp.ms(record.closed_us)
    holds = record.volume > 0
    fields: dict[str, Any] = {
        "positionId": record.position_id,
        "tradeData": trade,
        "positionStatus": record.status,
        "swap": record.swap,
        "price": units.price_out(record.price) if holds else 0.0,
        "commission": record.commission,
        "marginRate": units.rate_out(record.margin_rate) if holds else 0.0,
        "mirroringCommission": 0,
        "guaranteedStopLoss": record.guaranteed,
        "usedMargin": record.used_margin,
        "moneyDigits": digits,
    }
    if record.opened_us is not None or is_closed:
        fields["utcLastUpdateTimestamp"] = stamp.ms(record.updated_us)
    if record.sl is not None and not is_closed:
        fields["stopLoss"] = units.price_out(record.sl)
        fields["stopLossTriggerMethod"] = record.trigger
        fields["trailingStopLoss"] = record.trailing
    if record.tp is not None and not is_closed:
        fields["takeProfit"] = units.price_out(record.tp)
    return model.ProtoOAPosition(**fields)


def deal(record: Deal, digits: int, stamp: Stamp, *, listed: bool = False) -> model.ProtoOADeal:
    """Write a deal; in lists its last update is its creation (wire.md#snapshots-and-histories)."""
    fields: dict[str, Any] = {
        "dealId": record.deal_id,
        "orderId": record.order_id,
        "positionId": record.position_id,
        "volume": record.volume,
        "filledVolume": record.filled,
        "symbolId": record.symbol_id,
        "createTimestamp": stamp.ms(record.created_us),
        "executionTimestamp": stamp.ms(record.executed_us),
        "utcLastUpdateTimestamp": stamp.ms(record.created_us if listed else record.executed_us),
        "executionPrice": units.price_out(record.price),
        "tradeSide": record.side,
        "dealStatus": record.status,
        "marginRate": units.rate_out(record.margin_rate),
        "commission": record.commission,
        "baseToUsdConversionRate": units.rate_out(record.base_to_usd),
        "moneyDigits": digits,
    }
    if record.is_closing:
        fields["closePositionDetail"] = model.ProtoOAClosePositionDetail(
            entryPrice=units.price_out(record.entry_price),
            grossProfit=record.gross,
            swap=record.swap,
            commission=record.total_commission,
            balance=record.balance,
            quoteToDepositConversionRate=units.rate_out(record.quote_to_deposit),
            closedVolume=record.filled,
            balanceVersion=record.balance_version,
            moneyDigits=digits,
            pnlConversionFee=record.fee,
        )
    return model.ProtoOADeal(**fields)


def cash_flow(record: CashFlow, digits: int, stamp: Stamp) -> model.ProtoOADepositWithdraw:
    """Write a deposit, a withdrawal or another change of the balance."""
    fields: dict[str, Any] = {
        "operationType": record.operation,
        "balanceHistoryId": record.history_id,
        "balance": record.balance,
        "delta": record.delta,
        "changeBalanceTimestamp": stamp.ms(record.at_us),
        "balanceVersion": record.balance_version,
        "equity": record.equity,
        "moneyDigits": digits,
    }
    if record.note:
        fields["externalNote"] = record.note
    return model.ProtoOADepositWithdraw(**fields)


def trader(account: Account, venue: Venue) -> model.ProtoOATrader:
    """Write an account as TraderRes and TraderUpdatedEvent carry it."""
    spec: AccountSpec = account.spec
    fields: dict[str, Any] = {
        "ctidTraderAccountId": spec.ctid,
        "balance": account.balance,
        "balanceVersion": account.balance_version,
        "managerBonus": account.bonus,
        "ibBonus": 0,
        "nonWithdrawableBonus": 0,
        "accessRights": account.access,
        "depositAssetId": venue.asset_ids[spec.currency],
        "swapFree": spec.swap_free,
        "leverageInCents": account.leverage_cents,
        "totalMarginCalculationType": spec.margin_type,
        "maxLeverage": spec.max_leverage,
        "traderLogin": spec.login,
        "accountType": spec.kind,
        "brokerName": venue.spec.name,
        "registrationTimestamp": spec.registered_ms,
        "isLimitedRisk": spec.limited_risk,
        "limitedRiskMarginCalculationStrategy": 0,
        "moneyDigits": spec.money_digits,
        "fairStopOut": spec.fair_stop_out,
        "stopOutStrategy": spec.stop_out_strategy,
    }
    return model.ProtoOATrader(**fields)


def execution(
    account: Account,
    kind: int,
    *,
    order: model.ProtoOAOrder | None = None,
    position: model.ProtoOAPosition | None = None,
    deal: model.ProtoOADeal | None = None,
    is_server: bool = False,
    error_code: str | None = None,
) -> messages.ProtoOAExecutionEvent:
    """Write an execution event."""
    fields: dict[str, Any] = {
        "ctidTraderAccountId": account.spec.ctid,
        "executionType": kind,
        "order": order,
        "position": position,
        "deal": deal,
        "isServerEvent": is_server,
        "errorCode": error_code,
    }
    return messages.ProtoOAExecutionEvent(**fields)


def light_symbol(symbol: Symbol, venue: Venue) -> model.ProtoOALightSymbol:
    """Write a symbol as lists have it."""
    return model.ProtoOALightSymbol(
        symbolId=symbol.id,
        symbolName=symbol.name,
        enabled=symbol.enabled,
        baseAssetId=venue.asset_ids[symbol.base],
        quoteAssetId=venue.asset_ids[symbol.quote],
        symbolCategoryId=symbol.category,
        description=symbol.description,
        sortingNumber=float(symbol.sorting),
    )


def archived_symbol(symbol: Symbol) -> model.ProtoOAArchivedSymbol:
    """Write a symbol that is no longer traded."""
    return model.ProtoOAArchivedSymbol(
        symbolId=symbol.id, name=symbol.name, utcLastUpdateTimestamp=1_577_836_800_000, description=symbol.description
    )


def full_symbol(symbol: Symbol) -> model.ProtoOASymbol:
    """Write all that SymbolByIdRes says of a symbol."""
    fields: dict[str, Any] = {
        "symbolId": symbol.id,
        "digits": symbol.digits,
        "pipPosition": symbol.pip,
        "enableShortSelling": symbol.short_selling,
        "guaranteedStopLoss": symbol.guaranteed,
        "swapRollover3Days": symbol.swap_triple_day,
        "swapLong": float(symbol.swap_long),
        "swapShort": float(symbol.swap_short),
        "maxVolume": symbol.max_volume,
        "minVolume": symbol.min_volume,
        "stepVolume": symbol.step_volume,
        "schedule": [{"startSecond": start, "endSecond": end} for start, end in symbol.schedule],
        "commission": symbol.commission_rate // 1_000_000,
        "commissionType": int(symbol.commission_type),
        "slDistance": symbol.sl_distance,
        "tpDistance": symbol.tp_distance,
        "gslDistance": symbol.gsl_distance,
        "gslCharge": symbol.guaranteed_charge,
        "distanceSetIn": 2 if symbol.distance_in_percent else 1,
        "minCommission": symbol.min_commission // 100_000_000,
        "minCommissionType": 2 if symbol.min_commission_in_quote else 1,
        "minCommissionAsset": symbol.min_commission_asset,
        "scheduleTimeZone": symbol.zone,
        "tradingMode": int(symbol.mode),
        "rolloverCommission3Days": symbol.swap_triple_day,
        "swapCalculationType": int(symbol.swap_type),
        "lotSize": symbol.lot_size,
        "preciseTradingCommissionRate": symbol.commission_rate,
        "preciseMinCommission": symbol.min_commission,
        "holiday": [
            {
                "holidayId": holiday.id,
                "name": holiday.name,
                "scheduleTimeZone": holiday.zone,
                "holidayDate": holiday.day,
                "isRecurring": holiday.is_recurring,
                **({} if holiday.start_s is None else {"startSecond": holiday.start_s}),
                **({} if holiday.end_s is None else {"endSecond": holiday.end_s}),
            }
            for holiday in symbol.holidays
        ],
        "pnlConversionFeeRate": symbol.conversion_fee_rate,
        "swapPeriod": symbol.swap_period_h,
        "swapTime": symbol.swap_time_min,
        "chargeSwapAtWeekends": symbol.swap_at_weekends,
        "measurementUnits": symbol.units,
    }
    if symbol.max_exposure:
        fields["maxExposure"] = symbol.max_exposure
    if symbol.leverage_id:
        fields["leverageId"] = symbol.leverage_id
    return model.ProtoOASymbol(**fields)
