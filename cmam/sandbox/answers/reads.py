"""Answers to requests that only read: traders, symbols, assets, positions, margins. One function a request."""

from __future__ import annotations

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.books.ledger import IMMEDIATE, STOP_LOSS_TAKE_PROFIT, Account
from cmam.sandbox.trading import margin, reports
from cmam.sandbox.trading.floor import Floor, Refused

VOLUMES_MAX = 1_000
"""Volumes in one ExpectedMarginReq."""


def trader(floor: Floor, account: Account, _: messages.ProtoOATraderReq) -> messages.ProtoOATraderRes:
    """Answer with the account."""
    venue = floor.venue_of(account)
    return messages.ProtoOATraderRes(ctidTraderAccountId=account.spec.ctid, trader=reports.trader(account, venue))


def assets(floor: Floor, account: Account, _: messages.ProtoOAAssetListReq) -> messages.ProtoOAAssetListRes:
    """Answer with the broker's assets."""
    listed = [
        model.ProtoOAAsset(assetId=asset.id, name=asset.name, displayName=asset.name, digits=asset.digits)
        for asset in floor.venue_of(account).spec.assets
    ]
    return messages.ProtoOAAssetListRes(ctidTraderAccountId=account.spec.ctid, asset=listed)


def asset_classes(
    floor: Floor, account: Account, _: messages.ProtoOAAssetClassListReq
) -> messages.ProtoOAAssetClassListRes:
    """Answer with the broker's asset classes."""
    listed = [
        model.ProtoOAAssetClass(id=number, name=name, sortingNumber=float(number))
        for number, name in floor.venue_of(account).spec.classes
    ]
    return messages.ProtoOAAssetClassListRes(ctidTraderAccountId=account.spec.ctid, assetClass=listed)


def symbol_categories(
    floor: Floor, account: Account, _: messages.ProtoOASymbolCategoryListReq
) -> messages.ProtoOASymbolCategoryListRes:
    """Answer with the broker's symbol categories."""
    listed = [
        model.ProtoOASymbolCategory(
            id=category.id, assetClassId=category.class_id, name=category.name, sortingNumber=float(category.id)
        )
        for category in floor.venue_of(account).spec.categories
    ]
    return messages.ProtoOASymbolCategoryListRes(ctidTraderAccountId=account.spec.ctid, symbolCategory=listed)


def symbols(floor: Floor, account: Account, request: messages.ProtoOASymbolsListReq) -> messages.ProtoOASymbolsListRes:
    """Answer with the light symbols, and with archived ones if they were asked for."""
    venue = floor.venue_of(account)
    return messages.ProtoOASymbolsListRes(
        ctidTraderAccountId=account.spec.ctid,
        symbol=[reports.light_symbol(symbol, venue) for symbol in venue.symbols.values() if not symbol.archived],
        archivedSymbol=[
            reports.archived_symbol(symbol)
            for symbol in venue.symbols.values()
            if symbol.archived and request.includeArchivedSymbols
        ],
    )


def symbols_by_id(
    floor: Floor, account: Account, request: messages.ProtoOASymbolByIdReq
) -> messages.ProtoOASymbolByIdRes:
    """Answer with all that is said of the symbols; ids that the broker does not have are left out."""
    venue = floor.venue_of(account)
    found = [venue.symbols[number] for number in dict.fromkeys(request.symbolId) if number in venue.symbols]
    if not found:
        raise Refused("SYMBOL_NOT_FOUND", "None of the symbols was found")
    return messages.ProtoOASymbolByIdRes(
        ctidTraderAccountId=account.spec.ctid,
        symbol=[reports.full_symbol(symbol) for symbol in found if not symbol.archived],
        archivedSymbol=[reports.archived_symbol(symbol) for symbol in found if symbol.archived],
    )


def conversion(
    floor: Floor, account: Account, request: messages.ProtoOASymbolsForConversionReq
) -> messages.ProtoOASymbolsForConversionRes:
    """Answer with the chain of symbols from the first asset to the last."""
    venue = floor.venue_of(account)
    first, last = venue.asset_names.get(request.firstAssetId), venue.asset_names.get(request.lastAssetId)
    if first is None or last is None:
        raise Refused("ENTITY_NOT_FOUND", "Asset not found")
    chain = venue.chain(first, last)
    if chain is None:
        raise Refused("SYMBOL_NOT_FOUND", f"No conversion from {first} to {last}")
    return messages.ProtoOASymbolsForConversionRes(
        ctidTraderAccountId=account.spec.ctid, symbol=[reports.light_symbol(symbol, venue) for symbol, _ in chain]
    )


def reconcile(floor: Floor, account: Account, request: messages.ProtoOAReconcileReq) -> messages.ProtoOAReconcileRes:
    """Answer with open positions and pending orders; protective orders only on demand
    (wire.md#snapshots-and-histories)."""
    digits = account.spec.money_digits
    return messages.ProtoOAReconcileRes(
        ctidTraderAccountId=account.spec.ctid,
        position=[
            reports.position(position, floor.symbol(account, position.symbol_id), digits, floor.stamp)
            for position in account.open_positions()
        ],
        order=[
            reports.order(order, floor.symbol(account, order.symbol_id), floor.stamp)
            for order in account.orders.values()
            if order.kind not in IMMEDIATE and (request.returnProtectionOrders or order.kind != STOP_LOSS_TAKE_PROFIT)
        ],
    )


def expected_margin(
    floor: Floor, account: Account, request: messages.ProtoOAExpectedMarginReq
) -> messages.ProtoOAExpectedMarginRes:
    """Answer with the margin that each volume would need now; the same for both sides."""
    venue = floor.venue_of(account)
    symbol = venue.symbols.get(request.symbolId)
    if symbol is None:
        raise Refused("SYMBOL_NOT_FOUND", f"Symbol not found with id {request.symbolId}")
    if len(request.volume) > VOLUMES_MAX or any(not 0 <= volume < 2**53 for volume in request.volume):
        raise Refused("TRADING_BAD_VOLUME", "Volume is negative, too large, or there are too many of them")
    rate = floor.rate(account, symbol.base, account.spec.currency)
    margins = [(volume, floor.margin(account, symbol, volume, rate)) for volume in request.volume]
    return messages.ProtoOAExpectedMarginRes(
        ctidTraderAccountId=account.spec.ctid,
        margin=[
            model.ProtoOAExpectedMargin(volume=volume, buyMargin=amount, sellMargin=amount)
            for volume, amount in margins
        ],
        moneyDigits=account.spec.money_digits,
    )


def dynamic_leverage(
    floor: Floor, account: Account, request: messages.ProtoOAGetDynamicLeverageByIDReq
) -> messages.ProtoOAGetDynamicLeverageByIDRes:
    """Answer with the tiers of a dynamic leverage."""
    tiers = dict(floor.venue_of(account).spec.leverages).get(request.leverageId)
    if tiers is None:
        raise Refused("ENTITY_NOT_FOUND", f"Dynamic leverage not found with id {request.leverageId}")
    return messages.ProtoOAGetDynamicLeverageByIDRes(
        ctidTraderAccountId=account.spec.ctid,
        leverage=model.ProtoOADynamicLeverage(
            leverageId=request.leverageId,
            tiers=[model.ProtoOADynamicLeverageTier(volume=volume, leverage=leverage) for volume, leverage in tiers],
        ),
    )


def unrealised(
    floor: Floor, account: Account, _: messages.ProtoOAGetPositionUnrealizedPnLReq
) -> messages.ProtoOAGetPositionUnrealizedPnLRes:
    """Answer with gross and net profit of every open position."""
    listed = []
    for position in account.open_positions():
        gross, net = floor.unrealised(account, position)
        listed.append(
            model.ProtoOAPositionUnrealizedPnL(
                positionId=position.position_id, grossUnrealizedPnL=gross, netUnrealizedPnL=net
            )
        )
    return messages.ProtoOAGetPositionUnrealizedPnLRes(
        ctidTraderAccountId=account.spec.ctid,
        positionUnrealizedPnL=listed,
        moneyDigits=account.spec.money_digits,
    )


def margin_calls(
    floor: Floor, account: Account, _: messages.ProtoOAMarginCallListReq
) -> messages.ProtoOAMarginCallListRes:
    """Answer with the account's margin call thresholds."""
    return messages.ProtoOAMarginCallListRes(
        marginCall=[margin.written_call(floor, call) for call in account.margin_calls]
    )
