"""What the wire says, in the domain's words: the recorded shapes, and what is missing or unknown in them."""

from __future__ import annotations

from typing import Any

import pytest

from cmam.domain.events import AssetName
from cmam.domain.market.sessions import is_open
from cmam.domain.values.ids import AssetId, SymbolId
from cmam.domain.values.quantities import Side
from cmam.domain.values.symbols import DistanceIn, SymbolName, TradingMode
from cmam.domain.values.trades import (
    AccessRights,
    AccountType,
    DealStatus,
    ExecutionKind,
    MarginType,
    OrderStatus,
    OrderType,
    PositionStatus,
    TimeInForce,
    TriggerMethod,
)
from cmam.openapi import fields, translate
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.errors import RemoteError


def trade(**changed: Any) -> model.ProtoOATradeData:
    """What an order and a position have in common."""
    return model.ProtoOATradeData(**{"symbolId": 1, "volume": 100_000, "tradeSide": model.BUY, **changed})


def a_position(**changed: Any) -> model.ProtoOAPosition:
    """An open, protected position, as recorded."""
    return model.ProtoOAPosition(
        **{
            "positionId": 7,
            "tradeData": trade(openTimestamp=1_700_000_000_123, label="cm1.x"),
            "positionStatus": model.POSITION_STATUS_OPEN,
            "swap": -12,
            "price": 1.12569,
            "stopLoss": 1.12,
            "takeProfit": 1.13,
            "commission": -3,
            "usedMargin": 1_126,
            "moneyDigits": 2,
            **changed,
        }
    )


def an_order(**changed: Any) -> model.ProtoOAOrder:
    """A resting limit order."""
    return model.ProtoOAOrder(
        **{
            "orderId": 8,
            "tradeData": trade(),
            "orderType": model.LIMIT,
            "orderStatus": model.ORDER_STATUS_ACCEPTED,
            "limitPrice": 1.1,
            "timeInForce": model.GOOD_TILL_CANCEL,
            "clientOrderId": "cm1.y",
            **changed,
        }
    )


def a_deal(**changed: Any) -> model.ProtoOADeal:
    """An execution that opened something."""
    return model.ProtoOADeal(
        **{
            "dealId": 9,
            "orderId": 8,
            "positionId": 7,
            "volume": 100_000,
            "filledVolume": 100_000,
            "symbolId": 1,
            "createTimestamp": 1,
            "executionTimestamp": 2,
            "executionPrice": 1.12569,
            "tradeSide": model.SELL,
            "dealStatus": model.FILLED,
            "commission": -3,
            "moneyDigits": 2,
            **changed,
        }
    )


def with_word(message: Any, field: str, number: int) -> Any:
    """The message with an enumerated field that holds a number which the schema does not know."""
    message.ClearField(field)
    tag = message.DESCRIPTOR.fields_by_name[field].number << 3
    varint = bytearray()
    for value in (tag, number):
        while value >= 0x80:
            varint.append(value & 0x7F | 0x80)
            value >>= 7
        varint.append(value)
    return type(message).FromString(message.SerializePartialToString() + bytes(varint))


# --- positions ----------------------------------------------------------------------------------------------------


def test_a_position() -> None:
    """Every field that a decision may rest on is read, prices as exact integers."""
    found = translate.position(a_position())
    assert (found.position, found.symbol, found.side, found.volume) == (7, 1, Side.BUY, 100_000)
    assert (found.price, found.stop, found.target) == (112_569_000, 112_000_000, 113_000_000)
    assert (found.status, found.label, found.opened_ms) == (PositionStatus.OPEN, "cm1.x", 1_700_000_000_123)
    assert (found.swap, found.commission, found.used_margin) == (-12, -3, 1_126)


def test_a_position_before_its_fill_has_no_price() -> None:
    """CREATED, volume 0 and price 0.0: the 0.0 is no price, and absent levels are None."""
    wire = a_position(tradeData=trade(volume=0), positionStatus=model.POSITION_STATUS_CREATED, price=0.0)
    wire.ClearField("stopLoss")
    wire.ClearField("takeProfit")
    found = translate.position(wire)
    assert (found.volume, found.price, found.stop, found.target) == (0, None, None, None)
    assert found.status is PositionStatus.CREATED


@pytest.mark.parametrize("field", ["symbolId", "volume", "tradeSide"])
def test_a_position_that_lacks_what_it_must_say_is_refused(field: str) -> None:
    """An absent volume would read as closed and an absent side as a buy; neither is guessed."""
    wire = a_position()
    wire.tradeData.ClearField(field)
    with pytest.raises(RemoteError):
        translate.position(wire)


def test_a_side_that_nobody_knows_is_no_buy() -> None:
    """A closed enumeration reads an unknown word as its first, which here would be a buy."""
    wire = a_position(tradeData=with_word(trade(), "tradeSide", 9))
    with pytest.raises(RemoteError, match="side"):
        translate.position(wire)


def test_a_volume_below_zero_is_refused() -> None:
    """A negative volume is garbage, not an empty position."""
    with pytest.raises(RemoteError, match="volume"):
        translate.position(a_position(tradeData=trade(volume=-1)))


def test_an_unknown_status_is_not_open() -> None:
    """A status that the schema does not know is an error status, not the first of the list."""
    assert translate.position(with_word(a_position(), "positionStatus", 77)).status is PositionStatus.ERROR


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 1e300])
def test_a_price_that_cannot_be_is_refused(value: float) -> None:
    """No infinity, no NaN and nothing negative becomes a price."""
    with pytest.raises(RemoteError, match="price"):
        translate.position(a_position(price=value))


def test_bytes_that_are_no_text_do_no_harm() -> None:
    """A label in another encoding becomes text with replacement characters, which a store can hold."""
    wire = model.ProtoOATradeData.FromString(trade().SerializeToString() + b"\x2a\x02\xff\xfe")
    assert translate.position(a_position(tradeData=wire)).label == "\ufffd\ufffd"


# --- orders and deals ---------------------------------------------------------------------------------------------


def test_no_text_of_a_report_is_longer_than_is_kept_of_it() -> None:
    """A megabyte in every field leaves a few kilobytes on record, and what any broker allows stays whole."""
    long = "x" * 1_000_000
    event = pb.ProtoOAExecutionEvent(
        ctidTraderAccountId=1,
        executionType=model.ORDER_FILLED,
        order=an_order(tradeData=trade(label=long, comment=long), clientOrderId=long),
        position=a_position(tradeData=trade(label="l" * 100, comment="c" * 512)),
        errorCode=long,
    )
    fact = translate.execution(event, long)
    assert len(repr(fact)) < 10_000
    assert fact.position is not None
    assert (len(fact.position.label), len(fact.position.comment)) == (100, 512)


def test_an_order() -> None:
    """A resting limit order with its own id in it."""
    found = translate.order(an_order(positionId=7, expirationTimestamp=5, relativeStopLoss=250))
    assert (found.order, found.type, found.status) == (8, OrderType.LIMIT, OrderStatus.ACCEPTED)
    assert (found.limit_price, found.stop_price, found.relative_stop) == (110_000_000, None, 250_000)
    assert (found.time_in_force, found.expires_ms, found.position) == (TimeInForce.GTC, 5, 7)
    assert found.client_order_id == "cm1.y"
    assert found.is_resting


def test_the_brokers_own_order_is_protection() -> None:
    """The protective order is told apart, and never counts as a pending order."""
    found = translate.order(an_order(orderType=model.STOP_LOSS_TAKE_PROFIT, closingOrder=True, stopPrice=1.05))
    assert (found.type, found.stop_price, found.is_resting) == (OrderType.PROTECTION, 105_000_000, False)


def test_an_order_without_optional_fields() -> None:
    """What the broker leaves out is None or empty, never a guess."""
    wire = an_order()
    for field in ("limitPrice", "timeInForce", "clientOrderId"):
        wire.ClearField(field)
    found = translate.order(wire)
    assert (found.limit_price, found.position, found.expires_ms, found.slippage_points) == (None, None, None, None)
    assert (found.client_order_id, found.trigger) == ("", TriggerMethod.TRADE)


@pytest.mark.parametrize("field", ["orderId", "tradeData"])
def test_an_order_without_its_id_or_its_terms_is_refused(field: str) -> None:
    """An order nobody can name is no order."""
    wire = an_order()
    wire.ClearField(field)
    with pytest.raises(RemoteError):
        translate.order(wire)


def test_a_deal() -> None:
    """An opening execution, which closes nothing."""
    found = translate.deal(a_deal())
    assert (found.deal, found.order, found.position, found.side) == (9, 8, 7, Side.SELL)
    assert (found.price, found.filled_volume, found.executed_ms, found.close) == (112_569_000, 100_000, 2, None)
    assert found.is_execution


def test_a_closing_deal_says_what_it_realised() -> None:
    """Money stays the broker's integer beside its digits."""
    detail = model.ProtoOAClosePositionDetail(
        entryPrice=1.1, grossProfit=2_621, swap=-1, commission=-6, balance=99_999, closedVolume=100_000,
        balanceVersion=4, moneyDigits=3, pnlConversionFee=-19,
    )  # fmt: skip
    found = translate.deal(a_deal(closePositionDetail=detail)).close
    assert found is not None
    assert (found.entry_price, found.gross, found.swap, found.commission) == (110_000_000, 2_621, -1, -6)
    assert (found.balance, found.closed_volume, found.conversion_fee, found.money_digits) == (99_999, 100_000, -19, 3)


def test_a_deal_with_an_unknown_status_executed_nothing() -> None:
    """The first status of the list is FILLED: an unknown one must not be taken for it."""
    found = translate.deal(with_word(a_deal(), "dealStatus", 99))
    assert found.status is DealStatus.ERROR
    assert not found.is_execution


@pytest.mark.parametrize("field", ["dealId", "positionId", "filledVolume", "tradeSide", "symbolId"])
def test_a_deal_that_lacks_what_it_must_say_is_refused(field: str) -> None:
    """Volume is booked from deals, so a deal with a hole in it is not booked at all."""
    wire = a_deal()
    wire.ClearField(field)
    with pytest.raises(RemoteError):
        translate.deal(wire)


def test_money_digits_are_bounded() -> None:
    """A thousand digits of money would stop whoever prints them."""
    with pytest.raises(RemoteError, match="digits"):
        translate.deal(a_deal(moneyDigits=1_000))


# --- events -------------------------------------------------------------------------------------------------------


def test_an_execution_carries_its_three_snapshots() -> None:
    """Order, position and deal of one event, with the id of the request that caused it."""
    wire = pb.ProtoOAExecutionEvent(
        ctidTraderAccountId=1, executionType=model.ORDER_FILLED, position=a_position(), order=an_order(), deal=a_deal(),
        isServerEvent=True,
    )  # fmt: skip
    found = translate.execution(wire, "cm1.z")
    assert (found.kind, found.client_msg_id, found.is_server_event) == (ExecutionKind.ORDER_FILLED, "cm1.z", True)
    assert found.order is not None
    assert found.position is not None
    assert found.deal is not None
    assert found.balance is None


def test_an_unknown_kind_of_execution_keeps_its_snapshots() -> None:
    """A new word for why an event was sent changes nothing in what it shows."""
    wire = pb.ProtoOAExecutionEvent(ctidTraderAccountId=1, executionType=model.ORDER_ACCEPTED, deal=a_deal())
    found = translate.execution(with_word(wire, "executionType", 42), "")
    assert found.kind is ExecutionKind.OTHER
    assert found.deal is not None


@pytest.mark.parametrize(("operation", "word"), [(0, "deposit"), (22, "withdraw_swap"), (None, "other")])
def test_a_deposit(operation: int | None, word: str) -> None:
    """Money that no trade moved, by the schema's word; one that it does not know is `other`, not a deposit."""
    change = model.ProtoOADepositWithdraw(
        balanceHistoryId=1, balance=500, delta=-20, changeBalanceTimestamp=3, balanceVersion=9, moneyDigits=2
    )
    if operation is not None:
        change.operationType = operation
    else:
        change.operationType = model.BALANCE_DEPOSIT
        change = with_word(change, "operationType", 200)
    wire = pb.ProtoOAExecutionEvent(ctidTraderAccountId=1, executionType=model.DEPOSIT_WITHDRAW, depositWithdraw=change)
    found = translate.execution(wire, "").balance
    assert found is not None
    assert (found.operation, found.delta, found.balance, found.balance_version) == (word, -20, 500, 9)


@pytest.mark.parametrize(
    ("operation", "told", "moved"),
    [
        (model.BALANCE_WITHDRAW, 20, -20),
        (model.BALANCE_WITHDRAW, -20, -20),
        (model.BALANCE_WITHDRAW_ROLLOVER, 20, -20),
        (model.BALANCE_DEPOSIT_NONWITHDRAWABLE_BONUS, 20, 20),
        (model.BALANCE_DEPOSIT_SWAP, -20, -20),
    ],
)
def test_a_withdrawal_takes_money_away_however_it_is_written(operation: Any, told: int, moved: int) -> None:
    """The schema has the amount of an operation, and leaves open whether that of a withdrawal is below 0."""
    change = model.ProtoOADepositWithdraw(
        operationType=operation, balanceHistoryId=1, balance=500, delta=told, changeBalanceTimestamp=3
    )
    assert translate.balance_change(change).delta == moved


def test_a_bonus_that_is_taken_back_is_less_however_it_is_written() -> None:
    """As with a withdrawal."""
    bonus = model.ProtoOABonusDepositWithdraw(
        operationType=model.BONUS_WITHDRAW, bonusHistoryId=1, managerBonus=10, managerDelta=4, ibBonus=5, ibDelta=1,
        changeBonusTimestamp=3,
    )  # fmt: skip
    wire = pb.ProtoOAExecutionEvent(
        ctidTraderAccountId=1, executionType=model.BONUS_DEPOSIT_WITHDRAW, bonusDepositWithdraw=bonus
    )
    found = translate.execution(wire, "").balance
    assert found is not None
    assert found.delta == -5


@pytest.mark.parametrize(
    ("told", "taken"),
    [(model.SUM, MarginType.SUM), (model.MAX, MarginType.MAX), (model.NET, MarginType.NET), (None, MarginType.SUM)],
)
def test_how_margin_is_counted_is_the_dearest_way_where_nobody_says(told: Any, taken: MarginType) -> None:
    """The first word of the schema would be the larger side."""
    wire = model.ProtoOATrader(ctidTraderAccountId=1, balance=5, depositAssetId=1, totalMarginCalculationType=told)
    assert translate.trader(wire).margin_type is taken


def test_a_holiday_that_ends_at_0_is_a_whole_day() -> None:
    """A server sends 0 where it has nothing to tell; a holiday of no time would be none."""
    day = model.ProtoOAHoliday(
        holidayId=1, name="x", scheduleTimeZone="UTC", holidayDate=20_000, isRecurring=False, startSecond=0, endSecond=0
    )
    wire = model.ProtoOASymbol(symbolId=1, digits=5, pipPosition=4, lotSize=10_000_000, holiday=[day])
    spec = translate.symbol_spec(wire, SymbolName(symbol=SymbolId(1), name="EURUSD"), {})
    noon_us = (20_000 * 86_400 + 43_200) * 1_000_000
    assert not is_open(spec, noon_us)
    assert is_open(spec, noon_us + 86_400_000_000)


def test_a_bonus_is_told_from_money() -> None:
    """Bonuses of both kinds are summed and marked."""
    bonus = model.ProtoOABonusDepositWithdraw(
        operationType=model.BONUS_WITHDRAW, bonusHistoryId=1, managerBonus=10, managerDelta=-4, ibBonus=5, ibDelta=-1,
        changeBonusTimestamp=3,
    )  # fmt: skip
    wire = pb.ProtoOAExecutionEvent(
        ctidTraderAccountId=1, executionType=model.BONUS_DEPOSIT_WITHDRAW, bonusDepositWithdraw=bonus
    )
    found = translate.execution(wire, "").balance
    assert found is not None
    assert (found.bonus, found.delta, found.balance, found.operation) == (True, -5, 15, "bonus_withdraw")


def test_a_trailing_stop_that_moved() -> None:
    """The only word of it is a price and a position."""
    wire = pb.ProtoOATrailingSLChangedEvent(
        ctidTraderAccountId=1, positionId=7, orderId=8, stopPrice=1.1, utcLastUpdateTimestamp=4
    )
    found = translate.trailing_stop(wire)
    assert (found.position, found.order, found.stop, found.updated_ms) == (7, 8, 110_000_000, 4)


def test_a_margin_call_tells_its_threshold() -> None:
    """In percent, as a double; what is no level raises."""
    wire = pb.ProtoOAMarginCallTriggerEvent(ctidTraderAccountId=1)
    wire.marginCall.marginCallType, wire.marginCall.marginLevelThreshold = model.MARGIN_LEVEL_THRESHOLD_2, 57.35
    assert translate.margin_threshold(wire) == 5_735
    for told in (float("nan"), float("inf"), -1.0):
        wire.marginCall.marginLevelThreshold = told
        with pytest.raises(RemoteError):
            translate.margin_threshold(wire)


@pytest.mark.parametrize(("told", "taken"), [(2**63 - 1, 253_402_300_799_000), (-5, 0), (1_700, 1_700)])
def test_a_moment_stays_within_what_a_calendar_can_show(told: int, taken: int) -> None:
    """Else no audit could ever show the change that it belongs to."""
    wire = a_position()
    wire.utcLastUpdateTimestamp = wire.tradeData.openTimestamp = told
    found = translate.position(wire)
    assert (found.updated_ms, found.opened_ms) == (taken, taken)


# --- accounts and symbols -----------------------------------------------------------------------------------------


def test_an_update_keeps_what_it_does_not_tell() -> None:
    """A netted account stays netted, and a leverage that is not told is no leverage of 0; rights that are not told are
    full again."""
    whole = {"accountType": model.NETTED, "leverageInCents": 10_000, "moneyDigits": 0, "isLimitedRisk": True}
    known = translate.trader(a_trader(**whole, accessRights=model.CLOSE_ONLY, brokerName="North"))
    found = translate.updated_trader(a_trader(balance=7, balanceVersion=3), known)
    kept = found.account_type, found.leverage_cents, found.money_digits, found.limited_risk, found.broker
    assert kept == (AccountType.NETTED, 10_000, 0, True, "North")
    assert (found.balance, found.balance_version, found.access) == (7, 3, AccessRights.FULL_ACCESS)
    other = translate.updated_trader(a_trader(accountType=model.HEDGED, leverageInCents=500), known)
    assert (other.account_type, other.leverage_cents) == (AccountType.HEDGED, 500)
    assert translate.updated_trader(a_trader(), None).account_type is AccountType.HEDGED


def a_trader(**changed: Any) -> model.ProtoOATrader:
    """A trader with the least that the schema demands."""
    return model.ProtoOATrader(**{"ctidTraderAccountId": 1, "balance": 100_00, "depositAssetId": 15, **changed})


@pytest.mark.parametrize("event", [pb.ProtoOATraderRes, pb.ProtoOATraderUpdatedEvent])
def test_particulars_are_of_the_account_that_they_came_for_and_complete(event: Any) -> None:
    """A balance that is not there would read as 0, and a guard of equity would close everything."""
    whole = a_trader()
    assert translate.sane_trader(event(ctidTraderAccountId=whole.ctidTraderAccountId, trader=whole)) == whole
    with pytest.raises(RemoteError, match="expected the particulars of account 9"):
        translate.sane_trader(event(ctidTraderAccountId=9, trader=whole))
    with pytest.raises(RemoteError, match="found those of none"):
        translate.sane_trader(event(ctidTraderAccountId=9))
    for field in ("balance", "depositAssetId"):
        lacking = a_trader()
        lacking.ClearField(field)
        with pytest.raises(RemoteError, match=f"expected {field}"):
            translate.sane_trader(event(ctidTraderAccountId=whole.ctidTraderAccountId, trader=lacking))
    absurd = a_trader(moneyDigits=2**32 - 1)
    with pytest.raises(RemoteError, match="digits of money"):
        translate.sane_trader(event(ctidTraderAccountId=whole.ctidTraderAccountId, trader=absurd))


def test_a_trader_who_says_little_is_hedged_with_full_access() -> None:
    """Absent words have the meaning that the schema gives them."""
    found = translate.trader(a_trader())
    assert (found.account_type, found.access, found.money_digits) == (AccountType.HEDGED, AccessRights.FULL_ACCESS, 2)


def test_a_trader_whose_words_nobody_knows_may_not_trade() -> None:
    """An account type or right that the schema does not know is the one that risks nothing."""
    found = translate.trader(with_word(with_word(a_trader(), "accountType", 8), "accessRights", 8))
    assert (found.account_type, found.access) == (AccountType.SPREAD_BETTING, AccessRights.NO_TRADING)


def test_a_trader_as_a_fact_names_its_currency() -> None:
    """The currency comes from the broker's own asset list, and is empty where that is not known."""
    assets = {AssetId(15): AssetName(asset=AssetId(15), name="EUR")}
    assert translate.trader_seen(a_trader(), assets, is_live=True).currency == "EUR"
    assert translate.trader_seen(a_trader(), {}, is_live=True).currency == ""


NAME = SymbolName(symbol=SymbolId(1), name="EURUSD", base=AssetId(1), quote=AssetId(2))


def a_symbol(**changed: Any) -> model.ProtoOASymbol:
    """EURUSD, as recorded."""
    return model.ProtoOASymbol(
        **{
            "symbolId": 1, "digits": 5, "pipPosition": 4, "minVolume": 100_000, "maxVolume": 10_000_000_000,
            "stepVolume": 100_000, "lotSize": 10_000_000, "slDistance": 3, "enableShortSelling": True, **changed,
        }
    )  # fmt: skip


def test_a_symbol() -> None:
    """What a symbol allows, with the names of its assets."""
    assets = {AssetId(1): AssetName(asset=AssetId(1), name="EUR"), AssetId(2): AssetName(asset=AssetId(2), name="USD")}
    wire = a_symbol(
        schedule=[model.ProtoOAInterval(startSecond=86_700, endSecond=172_500)],
        scheduleTimeZone="Europe/Moscow",
        distanceSetIn=model.SYMBOL_DISTANCE_IN_PERCENTAGE,
        holiday=[
            model.ProtoOAHoliday(
                holidayId=1, name="x", scheduleTimeZone="", holidayDate=20_000, isRecurring=True, endSecond=60
            )
        ],
    )
    found = translate.symbol_spec(wire, NAME, assets)
    assert (found.name, found.base_name, found.quote_name, found.enabled) == ("EURUSD", "EUR", "USD", True)
    assert (found.tick, found.pip, found.lot_size, found.step_volume) == (1_000, 10_000, 10_000_000, 100_000)
    assert (found.schedule_zone, found.schedule[0].start_s, found.distance_in) == (
        "Europe/Moscow",
        86_700,
        DistanceIn.PERCENTAGE,
    )
    [holiday] = found.holidays
    assert (holiday.zone, holiday.recurring, holiday.start_s, holiday.end_s) == ("UTC", True, None, 60)


@pytest.mark.parametrize(("told", "wanted"), [({}, None), ({"guaranteedStopLoss": False}, False)])
def test_whether_stops_may_be_guaranteed_is_known_where_it_was_told(told: dict[str, bool], wanted: bool | None) -> None:
    """A broker that says nothing of it has not said no."""
    assert translate.symbol_spec(a_symbol(**told), NAME, {}).guaranteed_stops is wanted


@pytest.mark.parametrize("changed", [{"digits": 9}, {"digits": -1}, {"pipPosition": 99}, {"lotSize": 0}])
def test_a_symbol_that_cannot_be_reckoned_with_is_disabled(changed: dict[str, int]) -> None:
    """One strange symbol of a thousand costs itself, not the connection, and divides nothing by zero."""
    found = translate.symbol_spec(a_symbol(**changed), NAME, {})
    assert not found.enabled
    assert found.lot_size > 0
    assert found.tick >= 1


def test_a_pip_may_be_ten() -> None:
    """Indices exist whose pip lies before the decimal point."""
    found = translate.symbol_spec(a_symbol(digits=0, pipPosition=-1), NAME, {})
    assert (found.enabled, found.pip) == (True, 10 * 100_000_000)


def test_an_unknown_trading_mode_only_closes() -> None:
    """A mode that the schema does not know opens nothing; an absent one is the schema's default."""
    assert (
        translate.symbol_spec(with_word(a_symbol(), "tradingMode", 9), NAME, {}).trading_mode is TradingMode.CLOSE_ONLY
    )
    assert translate.symbol_spec(a_symbol(), NAME, {}).trading_mode is TradingMode.ENABLED


def test_symbols_and_assets_are_listed_by_id() -> None:
    """The order of a list does not depend on the server, so that equal lists have equal digests."""
    listed = translate.symbol_names(
        [model.ProtoOALightSymbol(symbolId=2, symbolName="B", enabled=False), model.ProtoOALightSymbol(symbolId=1)]
    )
    assert [(entry.symbol, entry.name, entry.enabled) for entry in listed] == [(1, "", True), (2, "B", False)]
    assets = translate.asset_names(
        [model.ProtoOAAsset(assetId=2, name="USD"), model.ProtoOAAsset(assetId=1, name="JPY", digits=0)]
    )
    assert [(entry.asset, entry.name, entry.digits) for entry in assets] == [(1, "JPY", 0), (2, "USD", 2)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [(1.12569, 112_569_000), (0.1 + 0.2, 30_000_000), (85_205.58, 8_520_558_000_000), (1e-8, 1), (0.0, 0)],
)
def test_a_double_becomes_the_integer_that_it_means(value: float, expected: int) -> None:
    """The shortest text of a double is what the broker wrote, whatever binary made of it."""
    assert fields.price(value) == expected
