"""Every request of the schema in one table: what it parses as, what it needs, who answers it and with which type.

A handler's shape follows from what it needs; what it refuses it raises as Refused, and the broker picks the carrier.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from google.protobuf.message import Message

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox import units
from cmam.sandbox.answers import history, prices, reads
from cmam.sandbox.answers.streams import Streams
from cmam.sandbox.books.authority import Grant, Grants
from cmam.sandbox.books.ledger import Account
from cmam.sandbox.service.lobby import ACCOUNT_DISCONNECT, Lobby
from cmam.sandbox.service.sessions import Session
from cmam.sandbox.trading import margin, orders
from cmam.sandbox.trading.floor import Floor, Refused
from cmam.sandbox.world import AccessRights

PROTOCOL_VERSION = "91"


class Needs(Enum):
    """What must be given before a request is answered."""

    NOTHING = "no account"
    TOKEN = "an account that is named, but need not be open"
    ACCOUNT = "an open account"
    STREAM = "an open account, and the connection that the stream goes to"
    TRADE = "an open account whose token may trade"


Reply = Callable[[Session, int, Message, str | None], None]


@dataclass(frozen=True, slots=True)
class Desk:
    """What session handlers work with."""

    floor: Floor
    grants: Grants
    streams: Streams
    lobby: Lobby
    reply: Reply


@dataclass(frozen=True, slots=True)
class Route:
    """How one request is answered. `handler` has the shape that `needs` says; the properties give it its type."""

    request: type[Message]
    needs: Needs
    handler: Callable[..., Any]
    answers_with: int

    @property
    def for_session(self) -> Callable[[Desk, Session, Any, str | None], Message | None]:
        return self.handler

    @property
    def for_account(self) -> Callable[[Floor, Account, Any], Message]:
        return self.handler

    @property
    def for_stream(self) -> Callable[[Desk, Session, Account, Any, str | None], Message | None]:
        return self.handler

    @property
    def for_trade(self) -> Callable[[Floor, Account, Any, str | None], None]:
        return self.handler


def _application_auth(
    desk: Desk, session: Session, request: messages.ProtoOAApplicationAuthReq, _: str | None
) -> Message:
    if session.client_id is not None:
        raise Refused("CH_CLIENT_ALREADY_AUTHENTICATED", "Channel is already authenticated")
    client_id, secret = _token(request.clientId), _token(request.clientSecret)
    refusal = desk.grants.check_application(client_id, secret)
    if refusal is not None:
        raise Refused(refusal.code, refusal.description)
    most = desk.floor.switches.connections_max
    if most and sum(other.client_id == client_id for other in desk.lobby.sessions.values()) >= most:
        raise Refused("CONNECTIONS_LIMIT_EXCEEDED", f"More than {most} connections of this application")
    session.client_id = session.figures.client_id = client_id
    return messages.ProtoOAApplicationAuthRes()


def _version(_desk: Desk, _session: Session, _request: messages.ProtoOAVersionReq, _: str | None) -> Message:
    return messages.ProtoOAVersionRes(version=PROTOCOL_VERSION)


def _refresh_token(desk: Desk, _session: Session, request: messages.ProtoOARefreshTokenReq, _: str | None) -> Message:
    grant = desk.grants.refresh(_token(request.refreshToken), desk.floor.now_us)
    if not isinstance(grant, Grant):
        raise Refused(grant.code, grant.description)
    return messages.ProtoOARefreshTokenRes(
        accessToken=grant.access_token,
        tokenType="bearer",
        expiresIn=max(0, (grant.expires_us - desk.floor.now_us) // units.SECOND_US),
        refreshToken=grant.refresh_token,
    )


def _token(value: str | bytes) -> str:
    """Read a text that may be anything; bytes that are not UTF-8 are simply no valid token."""
    return value if isinstance(value, str) else ""


def _granted(desk: Desk, access_token: str | bytes) -> Grant:
    grant = desk.grants.check(_token(access_token), desk.floor.now_us)
    if not isinstance(grant, Grant):
        raise Refused(grant.code, grant.description)
    return grant


def _accounts(
    desk: Desk, _session: Session, request: messages.ProtoOAGetAccountListByAccessTokenReq, _: str | None
) -> Message:
    """List all accounts of a token, live and demo alike (wire.md#accounts-of-a-token)."""
    grant = _granted(desk, request.accessToken)
    listed = []
    for ctid in grant.accounts:
        account = desk.floor.accounts[ctid]
        fields: dict[str, Any] = {
            "ctidTraderAccountId": ctid,
            "isLive": account.spec.live,
            "traderLogin": account.spec.login,
            "brokerTitleShort": desk.floor.venue_of(account).spec.short,
        }
        if account.last_closing_us:
            fields["lastClosingDealTimestamp"] = desk.floor.stamp.ms(account.last_closing_us)
        if account.last_balance_us:
            fields["lastBalanceUpdateTimestamp"] = desk.floor.stamp.ms(account.last_balance_us)
        listed.append(model.ProtoOACtidTraderAccount(**fields))
    scope: Any = grant.scope
    return messages.ProtoOAGetAccountListByAccessTokenRes(
        accessToken=grant.access_token, permissionScope=scope, ctidTraderAccount=listed
    )


def _profile(
    desk: Desk, _session: Session, request: messages.ProtoOAGetCtidProfileByTokenReq, _: str | None
) -> Message:
    grant = _granted(desk, request.accessToken)
    user = next(user for user in desk.floor.world.users if user.name == grant.user)
    return messages.ProtoOAGetCtidProfileByTokenRes(profile=model.ProtoOACtidProfile(userId=user.id))


def _account_auth(desk: Desk, session: Session, request: messages.ProtoOAAccountAuthReq, _: str | None) -> Message:
    grant = _granted(desk, request.accessToken)
    if grant.client_id != session.client_id:
        raise Refused("CH_ACCESS_TOKEN_INVALID", "Invalid access token")
    ctid = request.ctidTraderAccountId
    account = desk.floor.accounts.get(ctid)
    if account is None:
        raise Refused("CH_CTID_TRADER_ACCOUNT_NOT_FOUND", f"Trading account {ctid} not found")
    if ctid not in grant.accounts:
        raise Refused("CH_ACCESS_TOKEN_INVALID", "The access token does not cover this trading account")
    if not session.serves(account.spec.live):
        raise Refused("CANT_ROUTE_REQUEST", "Cannot route request")
    if account.access == AccessRights.NO_LOGIN:
        raise Refused("RET_ACCOUNT_DISABLED", "Trading account is disabled")
    if ctid in session.accounts:
        raise Refused("ALREADY_LOGGED_IN", "Trading account is already authorized in this channel")
    session.accounts[ctid] = grant
    account.listeners[session.connection] = None
    return messages.ProtoOAAccountAuthRes(ctidTraderAccountId=ctid)


def _account_logout(
    desk: Desk, session: Session, account: Account, _: messages.ProtoOAAccountLogoutReq, msg_id: str | None
) -> None:
    ctid = account.spec.ctid
    desk.lobby.leave_account(session, ctid)
    desk.reply(session, 2163, messages.ProtoOAAccountLogoutRes(ctidTraderAccountId=ctid), msg_id)
    desk.reply(session, ACCOUNT_DISCONNECT, messages.ProtoOAAccountDisconnectEvent(ctidTraderAccountId=ctid), None)


def _subscribe_spots(
    desk: Desk, session: Session, account: Account, request: messages.ProtoOASubscribeSpotsReq, msg_id: str | None
) -> None:
    with_time = request.subscribeToSpotTimestamp
    desk.streams.subscribe(session.connection, account, request.symbolId, with_time=with_time)
    answer = messages.ProtoOASubscribeSpotsRes(ctidTraderAccountId=account.spec.ctid)
    desk.reply(session, 2128, answer, msg_id)
    desk.streams.send_first(session.connection, account, request.symbolId)


def _unsubscribe_spots(
    desk: Desk, session: Session, account: Account, request: messages.ProtoOAUnsubscribeSpotsReq, _: str | None
) -> Message:
    desk.streams.unsubscribe(session.connection, account, request.symbolId)
    return messages.ProtoOAUnsubscribeSpotsRes(ctidTraderAccountId=account.spec.ctid)


def _subscribe_bars(
    desk: Desk, session: Session, account: Account, request: messages.ProtoOASubscribeLiveTrendbarReq, _: str | None
) -> Message:
    desk.streams.subscribe_bars(session.connection, account, request.symbolId, request.period)
    return messages.ProtoOASubscribeLiveTrendbarRes(ctidTraderAccountId=account.spec.ctid)


def _unsubscribe_bars(
    desk: Desk, session: Session, account: Account, request: messages.ProtoOAUnsubscribeLiveTrendbarReq, _: str | None
) -> Message:
    desk.streams.unsubscribe_bars(session.connection, account, request.symbolId, request.period)
    return messages.ProtoOAUnsubscribeLiveTrendbarRes(ctidTraderAccountId=account.spec.ctid)


def _subscribe_depth(
    desk: Desk, session: Session, account: Account, request: messages.ProtoOASubscribeDepthQuotesReq, msg_id: str | None
) -> None:
    desk.streams.subscribe_depth(session.connection, account, request.symbolId)
    desk.reply(session, 2157, messages.ProtoOASubscribeDepthQuotesRes(ctidTraderAccountId=account.spec.ctid), msg_id)
    desk.streams.send_first_depth(session.connection, account, request.symbolId)


def _unsubscribe_depth(
    desk: Desk, session: Session, account: Account, request: messages.ProtoOAUnsubscribeDepthQuotesReq, _: str | None
) -> Message:
    desk.streams.unsubscribe_depth(session.connection, account, request.symbolId)
    return messages.ProtoOAUnsubscribeDepthQuotesRes(ctidTraderAccountId=account.spec.ctid)


def _update_margin_call(
    desk: Desk, session: Session, account: Account, request: messages.ProtoOAMarginCallUpdateReq, msg_id: str | None
) -> None:
    event = margin.update_call(desk.floor, account, request)
    desk.reply(session, 2170, messages.ProtoOAMarginCallUpdateRes(), msg_id)
    desk.floor.publish(account, 2171, event, None)


ROUTES: dict[int, Route] = {
    2100: Route(messages.ProtoOAApplicationAuthReq, Needs.NOTHING, _application_auth, 2101),
    2102: Route(messages.ProtoOAAccountAuthReq, Needs.TOKEN, _account_auth, 2103),
    2104: Route(messages.ProtoOAVersionReq, Needs.NOTHING, _version, 2105),
    2106: Route(messages.ProtoOANewOrderReq, Needs.TRADE, orders.new_order, 2126),
    2108: Route(messages.ProtoOACancelOrderReq, Needs.TRADE, orders.cancel_order, 2126),
    2109: Route(messages.ProtoOAAmendOrderReq, Needs.TRADE, orders.amend_order, 2126),
    2110: Route(messages.ProtoOAAmendPositionSLTPReq, Needs.TRADE, orders.amend_position, 2126),
    2111: Route(messages.ProtoOAClosePositionReq, Needs.TRADE, orders.close_position, 2126),
    2112: Route(messages.ProtoOAAssetListReq, Needs.ACCOUNT, reads.assets, 2113),
    2114: Route(messages.ProtoOASymbolsListReq, Needs.ACCOUNT, reads.symbols, 2115),
    2116: Route(messages.ProtoOASymbolByIdReq, Needs.ACCOUNT, reads.symbols_by_id, 2117),
    2118: Route(messages.ProtoOASymbolsForConversionReq, Needs.ACCOUNT, reads.conversion, 2119),
    2121: Route(messages.ProtoOATraderReq, Needs.ACCOUNT, reads.trader, 2122),
    2124: Route(messages.ProtoOAReconcileReq, Needs.ACCOUNT, reads.reconcile, 2125),
    2127: Route(messages.ProtoOASubscribeSpotsReq, Needs.STREAM, _subscribe_spots, 2128),
    2129: Route(messages.ProtoOAUnsubscribeSpotsReq, Needs.STREAM, _unsubscribe_spots, 2130),
    2133: Route(messages.ProtoOADealListReq, Needs.ACCOUNT, history.deals, 2134),
    2135: Route(messages.ProtoOASubscribeLiveTrendbarReq, Needs.STREAM, _subscribe_bars, 2165),
    2136: Route(messages.ProtoOAUnsubscribeLiveTrendbarReq, Needs.STREAM, _unsubscribe_bars, 2166),
    2137: Route(messages.ProtoOAGetTrendbarsReq, Needs.ACCOUNT, prices.trendbars, 2138),
    2139: Route(messages.ProtoOAExpectedMarginReq, Needs.ACCOUNT, reads.expected_margin, 2140),
    2143: Route(messages.ProtoOACashFlowHistoryListReq, Needs.ACCOUNT, history.cash_flow, 2144),
    2145: Route(messages.ProtoOAGetTickDataReq, Needs.ACCOUNT, prices.ticks, 2146),
    2149: Route(messages.ProtoOAGetAccountListByAccessTokenReq, Needs.NOTHING, _accounts, 2150),
    2151: Route(messages.ProtoOAGetCtidProfileByTokenReq, Needs.NOTHING, _profile, 2152),
    2153: Route(messages.ProtoOAAssetClassListReq, Needs.ACCOUNT, reads.asset_classes, 2154),
    2156: Route(messages.ProtoOASubscribeDepthQuotesReq, Needs.STREAM, _subscribe_depth, 2157),
    2158: Route(messages.ProtoOAUnsubscribeDepthQuotesReq, Needs.STREAM, _unsubscribe_depth, 2159),
    2160: Route(messages.ProtoOASymbolCategoryListReq, Needs.ACCOUNT, reads.symbol_categories, 2161),
    2162: Route(messages.ProtoOAAccountLogoutReq, Needs.STREAM, _account_logout, 2163),
    2167: Route(messages.ProtoOAMarginCallListReq, Needs.ACCOUNT, reads.margin_calls, 2168),
    2169: Route(messages.ProtoOAMarginCallUpdateReq, Needs.STREAM, _update_margin_call, 2170),
    2173: Route(messages.ProtoOARefreshTokenReq, Needs.NOTHING, _refresh_token, 2174),
    2175: Route(messages.ProtoOAOrderListReq, Needs.ACCOUNT, history.orders, 2176),
    2177: Route(messages.ProtoOAGetDynamicLeverageByIDReq, Needs.ACCOUNT, reads.dynamic_leverage, 2178),
    2179: Route(messages.ProtoOADealListByPositionIdReq, Needs.ACCOUNT, history.deals_of_position, 2180),
    2181: Route(messages.ProtoOAOrderDetailsReq, Needs.ACCOUNT, history.order_details, 2182),
    2183: Route(messages.ProtoOAOrderListByPositionIdReq, Needs.ACCOUNT, history.orders_of_position, 2184),
    2185: Route(messages.ProtoOADealOffsetListReq, Needs.ACCOUNT, history.deal_offsets, 2186),
    2187: Route(messages.ProtoOAGetPositionUnrealizedPnLReq, Needs.ACCOUNT, reads.unrealised, 2188),
}
