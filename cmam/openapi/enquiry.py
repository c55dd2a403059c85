"""A few questions to the API, one after the other, on a connection of its own: for commands, not for trading.

Blocks until each answer is there or its time is over. What a command learns comes back as plain values, so that the
vendor's names stop here. Must not know where tokens come from, nor keep anything that it was told.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from google.protobuf.message import Message

from cmam.config.secret import Secret
from cmam.config.settings import Endpoint
from cmam.domain.values.ids import AccountId
from cmam.domain.values.trades import MarginType
from cmam.openapi import catalogue, requests, translate
from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.envelope import Envelope, decode, encode, unpack_answer
from cmam.openapi.errors import CannotConnect, ConnectStep, RemoteError
from cmam.openapi.framing import Deframer, FrameTooLong
from cmam.openapi.outcomes import Kind
from cmam.openapi.refusals import Refusal, clean, read_refusal
from cmam.openapi.transport import Transport

WHICH_PORT = (
    "Check that host and port are those of the Open API (cmam api show): cmam speaks protobuf, on port 5035; port 5036 "
    "is for JSON. Then try again."
)
ANSWER_S = 15.0
"""How long an answer may take before the server counts as silent."""
BETWEEN_S = 0.03
"""Pause between two requests: far below fifty a second, whatever else runs."""
SPECS_PER_REQUEST = 100
"""So many symbols are asked for at once."""
PATIENCE_S = 10.0
"""The longest pause that a server may ask for before a command gives up."""


class _Closed(RemoteError):
    """The other side has gone, or we hung up."""


class Refused(Exception):
    """The API said no; `refusal` says what it means and what cures it."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Opened:
    """An account that a token opens, as far as it is known. `balance` is in minor units of `money_digits`."""

    account: int
    login: int = 0
    broker: str = ""
    is_live: bool = False
    can_trade: bool = True
    currency: str = ""
    account_type: str = ""
    balance: int = 0
    money_digits: int = 2
    access_rights: str = ""
    leverage_cents: int = 0
    limited_risk: bool = False
    margin_type: MarginType = MarginType.SUM

    @property
    def may_open(self) -> bool:
        """Whether both the consent and the broker, as far as it has told, let it open something."""
        return self.can_trade and self.access_rights in ("", "full_access")


@dataclass(frozen=True, slots=True)
class Consent:
    """What a token is good for: the cTrader ID that gave it (0 where the server does not say) and its accounts."""

    user: int
    accounts: tuple[Opened, ...]


class Enquiry:
    """A connection on which one question is asked at a time. Use as a context manager."""

    def __init__(
        self,
        transport: Transport,
        endpoint: Endpoint,
        *,
        wait: Callable[[float], object] | None = None,
    ) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._wait = wait or threading.Event().wait
        self._deframer = Deframer()
        self._bodies: list[bytes] = []
        self._asked = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._transport.close()

    # --- questions ----------------------------------------------------------------------------------------------------

    def authorise_application(self, client_id: str, client_secret: Secret) -> None:
        """Say who we are; raises Refused."""
        self._ask(
            messages.ProtoOAApplicationAuthReq(clientId=client_id, clientSecret=client_secret.reveal()),
            messages.ProtoOAApplicationAuthRes,
        )

    def authorise_account(self, account: int, access: Secret) -> None:
        """Open an account on this connection; raises Refused."""
        self._ask(
            messages.ProtoOAAccountAuthReq(ctidTraderAccountId=account, accessToken=access.reveal()),
            messages.ProtoOAAccountAuthRes,
        )

    def consent(self, access: Secret) -> Consent:
        """Which accounts a token opens, in both environments (wire.md#accounts-of-a-token); raises Refused."""
        answer = self._ask(
            messages.ProtoOAGetAccountListByAccessTokenReq(accessToken=access.reveal()),
            messages.ProtoOAGetAccountListByAccessTokenRes,
        )
        can_trade = answer.permissionScope == model.SCOPE_TRADE
        opened = tuple(
            Opened(
                account=entry.ctidTraderAccountId,
                login=entry.traderLogin,
                broker=clean(entry.brokerTitleShort, 60),
                is_live=entry.isLive,
                can_trade=can_trade,
            )
            for entry in answer.ctidTraderAccount
        )
        return Consent(self._user(access), opened)

    def _user(self, access: Secret) -> int:
        try:
            answer = self._ask(
                messages.ProtoOAGetCtidProfileByTokenReq(accessToken=access.reveal()),
                messages.ProtoOAGetCtidProfileByTokenRes,
            )
        except Refused:
            return 0  # who gave the consent only helps to compare it with an earlier one
        return int(answer.profile.userId)

    def describe(self, opened: Opened, access: Secret) -> Opened:
        """Authorise an account and read what it is and holds; raises Refused."""
        self.authorise_account(opened.account, access)
        account = AccountId(opened.account)
        trader = translate.trader(self._ask(requests.ask_trader(account), messages.ProtoOATraderRes).trader)
        assets = translate.asset_names(self._ask(requests.ask_assets(account), messages.ProtoOAAssetListRes).asset)
        names = {int(asset.asset): asset.name for asset in assets}
        return replace(
            opened,
            login=trader.login or opened.login,
            broker=clean(trader.broker, 60) or opened.broker,
            currency=names.get(int(trader.deposit_asset), ""),
            account_type=trader.account_type.value,
            balance=trader.balance,
            money_digits=trader.money_digits,
            access_rights=trader.access.value,
            leverage_cents=trader.leverage_cents,
            limited_risk=trader.limited_risk,
            margin_type=trader.margin_type,
        )

    # --- asking -------------------------------------------------------------------------------------------------------

    def _ask(self, message: Message, answer: Any) -> Any:
        """Ask once, and once more if the server asked for a short pause; raises Refused or CannotConnect."""
        try:
            return self._ask_once(message, answer)
        except Refused as refused:
            rule, pause = refused.refusal.rule, refused.refusal.retry_after_us / 1_000_000 or 1.0
            if rule.kind is Kind.DONE:
                return answer()
            if rule.code not in ("BLOCKED_PAYLOAD_TYPE", "REQUEST_FREQUENCY_EXCEEDED") or pause > PATIENCE_S:
                raise
            self._wait(pause)
            return self._ask_once(message, answer)

    def _ask_once(self, message: Message, answer: Any) -> Any:
        if self._asked:
            self._wait(BETWEEN_S)
        self._asked += 1
        # Others hear what it causes, and may be asking too (wire.md#whose-an-event-is).
        name = f"enquiry-{os.getpid()}-{self._asked}"
        wanted, account = catalogue.type_of(answer), catalogue.account_of(message)
        is_late = threading.Event()
        watch = threading.Timer(ANSWER_S, self._give_up, (is_late,))
        watch.daemon = True
        try:
            watch.start()
        except RuntimeError as error:  # the machine has no thread to give: what is asked could hang for ever
            raise self._silent(catalogue.name_of(catalogue.type_of(message)), error) from None
        try:
            self._transport.send(encode(message, name))
            while True:
                envelope = decode(self._next_body())
                self._overhear(envelope)
                if not _is_answer(envelope, name, account):
                    continue
                refusal = read_refusal(envelope)
                if refusal is not None:
                    raise Refused(refusal)
                if envelope.payload_type == wanted:
                    return unpack_answer(envelope, answer, account)
        except _Closed:
            what = catalogue.name_of(catalogue.type_of(message))
            raise (self._silent(what) if is_late.is_set() else self._closed(what)) from None
        except (OSError, RemoteError, FrameTooLong) as error:
            raise self._silent(catalogue.name_of(catalogue.type_of(message)), error) from None
        finally:
            watch.cancel()

    def _overhear(self, envelope: Envelope) -> None:
        """Whatever arrives passes here, answers among it; a plain enquiry listens to its answers only."""

    def _next_body(self) -> bytes:
        while not self._bodies:
            data = self._transport.receive()
            if not data:
                raise _Closed("it closed the connection")
            self._bodies += self._deframer.receive_data(data)
        return self._bodies.pop(0)

    def _give_up(self, is_late: threading.Event) -> None:
        is_late.set()
        self._transport.close()

    def _closed(self, what: str) -> CannotConnect:
        return CannotConnect(
            ConnectStep.TLS,
            f"{self._endpoint} closed the connection, and gave no answer to {what}.",
            WHICH_PORT,
        )

    def _silent(self, what: str, error: Exception | None = None) -> CannotConnect:
        why = f": {error}" if error is not None else ""
        return CannotConnect(
            ConnectStep.TLS,
            f"{self._endpoint} gave no answer to {what} within {ANSWER_S:.0f} s{why}.",
            WHICH_PORT,
        )


def _is_answer(envelope: Envelope, name: str, account: int) -> bool:
    """Whether a message can be the word on what was asked under a name of an account (0: of none).

    One without a name may be, where a server has lost that; what happens to accounts by itself has none either, and
    neither a stop that is hit meanwhile nor a refusal of another account tells what became of this.
    """
    if envelope.client_msg_id:
        return envelope.client_msg_id == name
    if envelope.payload_type == catalogue.EXECUTION:
        return False
    refusal = read_refusal(envelope)
    return refusal is None or not refusal.account or not account or refusal.account == account


def describe_all(
    enquiry: Enquiry, accounts: Iterable[Opened], access: Secret, unreadable: Callable[[Opened, Refusal], None]
) -> tuple[Opened, ...]:
    """Read what each account is; one that cannot be read now is told to `unreadable` and kept as far as it is known."""
    found = []
    for opened in accounts:
        try:
            found.append(enquiry.describe(opened, access))
        except Refused as refused:
            unreadable(opened, refused.refusal)
            found.append(opened)
    return tuple(found)
