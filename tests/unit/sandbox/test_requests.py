"""Every request of the schema has an answer of the right type with every required field (wire.md#other-clients)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox.service.requests import ROUTES, Needs
from tests.unit.sandbox.bench import BETA_EURO, LEADER, LIVE, NETTED, TYPES, Bench, Line, market_order

LOT = 10_000_000
ANSWERS_OF_THEIR_OWN = {2106, 2108, 2109, 2110, 2111}
"""Trading requests: answered by execution events, or refused by order error events."""


def test_every_request_of_the_schema_has_a_route() -> None:
    """Each message that ends in Req, by payload type; each with the response that the schema pairs with it."""
    requests = {kind: cls for kind, cls in TYPES.items() if cls.DESCRIPTOR.name.endswith("Req")}
    assert set(ROUTES) == set(requests)
    for kind, route in ROUTES.items():
        assert route.request is requests[kind]
        if kind in ANSWERS_OF_THEIR_OWN:
            assert (route.needs, route.answers_with) == (Needs.TRADE, 2126)
        else:
            assert TYPES[route.answers_with].DESCRIPTOR.name == route.request.DESCRIPTOR.name[:-3] + "Res"


@pytest.fixture(scope="module")
def traded() -> tuple[Line, dict[str, int]]:
    """A client that has traded: one position with levels, one closed, one pending; and the ids to ask about."""
    bench = Bench(historical_per_second=1000, requests_per_second=1000)
    line = bench.login(LEADER)
    *_, filled = line.trade(market_order(LEADER, 1, 1, LOT, relativeStopLoss=1000))
    *_, other = line.trade(market_order(LEADER, 2, 1, LOT))
    close = messages.ProtoOAClosePositionReq(
        ctidTraderAccountId=LEADER, positionId=other.position.positionId, volume=LOT
    )
    *_, closed = line.trade(close)
    assets = line.ask(messages.ProtoOAAssetListReq(ctidTraderAccountId=LEADER)).asset
    numbers = {asset.name: asset.assetId for asset in assets}
    return line, {
        "positionId": filled.position.positionId,
        "orderId": filled.order.orderId,
        "dealId": closed.deal.dealId,
        "firstAssetId": numbers["EUR"],
        "lastAssetId": numbers["JPY"],
    }


READS = sorted(kind for kind, route in ROUTES.items() if route.needs in (Needs.ACCOUNT, Needs.STREAM) and kind != 2162)


@pytest.mark.parametrize("kind", READS)
def test_an_answer_is_complete(traded: tuple[Line, dict[str, int]], kind: int) -> None:
    """The answer has the right type, the client's id, the account (where it has one) and all required fields."""
    line, ids = traded
    route = ROUTES[kind]
    now_ms = line.bench.now_us // 1000
    values: dict[str, Any] = {
        "ctidTraderAccountId": LEADER,
        "symbolId": 1,
        "fromTimestamp": now_ms - 60_000,
        "toTimestamp": now_ms,
        "period": 1,
        "type": 1,
        "volume": [LOT],
        "leverageId": 7,
        **ids,
    }
    message: Any = route.request()
    for field in message.DESCRIPTOR.fields:
        if field.name in values and field.message_type is None:
            value = values[field.name]
            if field.is_repeated:
                getattr(message, field.name).extend(value if isinstance(value, list) else [value])
            else:
                setattr(message, field.name, value)
    if kind == 2169:
        message.marginCall.marginCallType = 61
        message.marginCall.marginLevelThreshold = 90.0
    if kind in (2135, 2156):
        line.send(messages.ProtoOASubscribeSpotsReq(ctidTraderAccountId=LEADER, symbolId=[1]))
    line.inbox.clear()
    msg_id = line.send(message)
    answered, body, found = line.inbox[0]
    if kind == 2177:  # Alpha has no dynamic leverage; Beta's is tested where margin is
        assert body.errorCode == "ENTITY_NOT_FOUND"
        return
    assert (answered, found) == (route.answers_with, msg_id)
    assert body.IsInitialized()
    if "ctidTraderAccountId" in body.DESCRIPTOR.fields_by_name:
        assert body.ctidTraderAccountId == LEADER
    if kind == 2127:
        line.send(messages.ProtoOAUnsubscribeSpotsReq(ctidTraderAccountId=LEADER, symbolId=[1]))


def test_reconcile_shows_protective_orders_only_on_demand(traded: tuple[Line, dict[str, int]]) -> None:
    """Without the flag the levels stand on the position; with it the order of type STOP_LOSS_TAKE_PROFIT is listed."""
    line, _ = traded
    request = messages.ProtoOAReconcileReq(ctidTraderAccountId=LEADER)
    found = line.ask(request)
    assert [position.HasField("stopLoss") for position in found.position] == [True]
    assert not found.order
    request.returnProtectionOrders = True
    assert [order.orderType for order in line.ask(request).order] == [4]


def test_symbol_lists_and_details() -> None:
    """Archived symbols only on demand and without details; unknown ids of a batch are left out."""
    line = Bench().login(LIVE)
    request = messages.ProtoOASymbolsListReq(ctidTraderAccountId=LIVE)
    found = line.ask(request)
    names = {symbol.symbolName: symbol for symbol in found.symbol}
    assert not found.archivedSymbol
    assert "USD/CHF" not in names
    assert not names["AUD/USD"].enabled
    request.includeArchivedSymbols = True
    assert [symbol.name for symbol in line.ask(request).archivedSymbol] == ["USD/CHF"]
    details = line.ask(messages.ProtoOASymbolByIdReq(ctidTraderAccountId=LIVE, symbolId=[7001, 7007, 5]))
    assert [symbol.symbolId for symbol in details.symbol] == [7001]
    assert [symbol.symbolId for symbol in details.archivedSymbol] == [7007]
    nothing = line.ask(messages.ProtoOASymbolByIdReq(ctidTraderAccountId=LIVE, symbolId=[5]))
    assert nothing.errorCode == "SYMBOL_NOT_FOUND"


def test_trader_shows_the_account() -> None:
    """Type, leverage, broker, deposit asset and margin rules, explicitly even where they are the default."""
    line = Bench().login(LEADER, NETTED)
    hedged = line.ask(messages.ProtoOATraderReq(ctidTraderAccountId=LEADER)).trader
    netted = line.ask(messages.ProtoOATraderReq(ctidTraderAccountId=NETTED)).trader
    assert (hedged.accountType, netted.accountType) == (0, 1)
    assert hedged.HasField("accountType")
    assert (hedged.brokerName, hedged.leverageInCents, hedged.moneyDigits) == ("Alpha Markets", 10_000, 2)
    assert (netted.totalMarginCalculationType, hedged.totalMarginCalculationType) == (2, 1)


def test_every_symbol_of_the_world_is_described_whole() -> None:
    """Each field that a copier sizes by is set, at every broker, and each whose default is not nothing."""
    bench = Bench()
    for ctid in (LEADER, BETA_EURO, LIVE):
        line = bench.login(ctid)
        listed = line.ask(messages.ProtoOASymbolsListReq(ctidTraderAccountId=ctid)).symbol
        numbers = [symbol.symbolId for symbol in listed]
        found = line.ask(messages.ProtoOASymbolByIdReq(ctidTraderAccountId=ctid, symbolId=numbers)).symbol
        assert [symbol.symbolId for symbol in found] == numbers
        for symbol in found:
            for name in ("lotSize", "minVolume", "stepVolume", "maxVolume", "commissionType", "tradingMode"):
                assert symbol.HasField(name), (symbol.symbolId, name)
            for field in symbol.DESCRIPTOR.fields:
                if field.has_default_value and field.default_value:
                    assert symbol.HasField(field.name), (symbol.symbolId, field.name)
            assert symbol.minVolume % symbol.stepVolume == 0


def test_the_routes_are_those_of_the_shared_schema() -> None:
    """Where the schema is at hand as data, every request that is not withdrawn is in the table."""
    schema = Path(__file__).resolve().parents[4] / "shared/openapi/messages.json"
    if not schema.exists():
        pytest.skip("the schema is not beside this checkout")
    files = json.loads(schema.read_text())["files"]
    wanted = {
        message["payload_type"]
        for file in files
        for message in file["messages"]
        if message["name"].endswith("Req") and not message.get("withdrawn")
    }
    assert set(ROUTES) == wanted
