"""Each transition of a connection and of its accounts, and what silence means."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.message import Message

from cmam.openapi import catalogue, session
from cmam.openapi._pb import OpenApiCommonMessages_pb2 as common
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.envelope import Envelope
from cmam.openapi.errors import RemoteError
from cmam.openapi.session import (
    AccountClosed,
    AccountOpened,
    AccountState,
    Answer,
    Ended,
    Heard,
    Opened,
    Read,
    Refused,
    Say,
    Session,
    State,
    Unanswered,
)

SECOND = 1_000_000
ME, OTHER = 41_000_001, 41_000_002
ORDER = "cm1.aaaaa.bbbbbb.p1.1"


class Talk:
    """A session, and somebody who writes what it says and answers."""

    def __init__(self, now: int = 5 * SECOND) -> None:
        self.session = Session("q1-")
        self.now = now

    def write(self, message: Message, account: int = 0, msg_id: str | None = None) -> str:
        """Write a message as the connection does; gives its id."""
        is_heartbeat = catalogue.type_of(message) == catalogue.HEARTBEAT
        name = msg_id if msg_id is not None else "" if is_heartbeat else self.session.next_id()
        self.session.sent(name, name, account, catalogue.type_of(message), self.now)
        return name

    def say(self, events: list[session.Output]) -> str:
        """Write the one thing that a session says; gives its id."""
        (said,) = events
        assert isinstance(said, Say)
        return self.write(said.message, said.account)

    def hear(self, message: Message, msg_id: str = "") -> list[session.Output]:
        """Let a message arrive; gives what follows, round trips apart."""
        envelope = Envelope(catalogue.type_of(message), message.SerializePartialToString(), msg_id)
        return [event for event in self.session.received(envelope, self.now) if not isinstance(event, Read)]

    def greet(self) -> str:
        return self.say(self.session.connected("id", "secret", self.now))

    def open(self, *accounts: int) -> Talk:
        """Get the application authorised, and these accounts."""
        assert self.hear(pb.ProtoOAApplicationAuthRes(), self.greet()) == [Opened()]
        for account in accounts:
            asked = self.say(self.session.authorise(account, "token"))
            assert self.hear(pb.ProtoOAAccountAuthRes(ctidTraderAccountId=account), asked) == [AccountOpened(account)]
        return self

    def pass_time(self, seconds: float) -> list[session.Output]:
        self.now += int(seconds * SECOND)
        return self.session.on_time(self.now)


def no(code: str, description: str = "", account: int = 0) -> pb.ProtoOAErrorRes:
    """A refusal in the usual carrier."""
    error = pb.ProtoOAErrorRes(errorCode=code, description=description)
    if account:
        error.ctidTraderAccountId = account
    return error


def common_no(code: str, description: str = "") -> common.ProtoErrorRes:
    """A refusal in the carrier of the common layer."""
    return common.ProtoErrorRes(errorCode=code, description=description)


def execution(account: int = ME, kind: int = model.ORDER_ACCEPTED) -> pb.ProtoOAExecutionEvent:
    """Something that happened to an account."""
    return pb.ProtoOAExecutionEvent(ctidTraderAccountId=account, executionType=kind)


def order(account: int = ME) -> pb.ProtoOANewOrderReq:
    """A request that several events answer."""
    return pb.ProtoOANewOrderReq(
        ctidTraderAccountId=account, symbolId=1, orderType=model.MARKET, tradeSide=model.BUY, volume=1
    )


# --- the application ----------------------------------------------------------------------------------------------


def test_the_greeting_says_who_we_are_and_hides_the_secret() -> None:
    """The first message authorises the application, and neither events nor their text show the secret."""
    talk = Talk()
    assert talk.session.state is State.DIALLING
    (said,) = talk.session.connected("id", "hush", talk.now)
    assert isinstance(said, Say)
    assert isinstance(said.message, pb.ProtoOAApplicationAuthReq)
    assert (said.message.clientId, said.message.clientSecret) == ("id", "hush")
    assert "hush" not in repr(said)
    assert talk.session.state is State.GREETING


def test_the_answer_to_the_greeting_opens() -> None:
    """GREETING becomes OPEN by the answer with the greeting's own id."""
    talk = Talk()
    assert talk.hear(pb.ProtoOAApplicationAuthRes(), talk.greet()) == [Opened()]
    assert talk.session.state is State.OPEN


def test_an_answer_with_another_id_opens_nothing() -> None:
    """Neither a foreign id nor none at all is the answer to our greeting."""
    talk = Talk()
    talk.greet()
    assert talk.hear(pb.ProtoOAApplicationAuthRes(), "q9-.1") == []
    assert talk.hear(pb.ProtoOAApplicationAuthRes()) == []
    assert talk.session.state is State.GREETING


@pytest.mark.parametrize("carrier", [no, common_no])
@pytest.mark.parametrize("with_id", [True, False])
def test_a_refused_application_ends_the_connection(carrier: Any, with_id: bool) -> None:
    """Whichever message carries the refusal, and with or without the id, the connection ends and says why."""
    talk = Talk()
    greeting = talk.greet()
    refused = carrier("CH_CLIENT_AUTH_FAILURE", "OA client is not in active state")
    (ended,) = talk.hear(refused, greeting if with_id else "")
    assert isinstance(ended, Ended)
    assert ended.refusal is not None
    assert ended.refusal.code == "CH_CLIENT_AUTH_FAILURE"
    assert "not in active state" in ended.why
    assert talk.session.state is State.CLOSED


@pytest.mark.parametrize(
    "refused",
    [
        pb.ProtoOAErrorRes(errorCode="SERVER_IS_UNDER_MAINTENANCE", maintenanceEndTimestamp=1_800_000_000),
        common.ProtoErrorRes(errorCode="SERVER_IS_UNDER_MAINTENANCE", maintenanceEndTimestamp=1_800_000_000_000),
    ],
)
def test_maintenance_in_answer_to_the_greeting_says_when_it_ends(refused: Message) -> None:
    """The refusal travels with the end: one carrier counts seconds, the other milliseconds."""
    talk = Talk()
    (ended,) = talk.hear(refused, talk.greet())
    assert isinstance(ended, Ended)
    assert ended.refusal is not None
    assert ended.refusal.maintenance_end_us == 1_800_000_000 * SECOND


def test_an_application_that_is_authorised_already_is_authorised() -> None:
    """CH_CLIENT_ALREADY_AUTHENTICATED is a yes."""
    talk = Talk()
    assert talk.hear(no("CH_CLIENT_ALREADY_AUTHENTICATED"), talk.greet()) == [Opened()]
    assert talk.session.state is State.OPEN


def test_a_greeting_that_is_never_answered_ends() -> None:
    """Heartbeats do not keep a connection that never answers its greeting."""
    talk = Talk()
    talk.greet()
    ended: list[session.Output] = []
    for _ in range(20):
        assert ended == []
        talk.hear(common.ProtoHeartbeatEvent())
        ended = [event for event in talk.pass_time(1) if not isinstance(event, Say)]
    assert [type(event) for event in ended] == [Ended]
    assert talk.session.state is State.CLOSED


def test_a_request_refused_for_want_of_the_application_ends_the_connection() -> None:
    """Authorising the account again would be refused for ever: only a new connection helps."""
    talk = Talk().open(ME)
    talk.write(order(), ME, ORDER)
    refused, ended = talk.hear(no("CH_CLIENT_NOT_AUTHENTICATED", account=ME), ORDER)
    assert isinstance(refused, Refused)
    assert isinstance(ended, Ended)
    assert ended.refusal is None


def test_an_account_refused_for_want_of_the_application_ends_the_connection() -> None:
    """The same, where it is the account's authorisation that is refused."""
    talk = Talk().open()
    asked = talk.say(talk.session.authorise(ME, "token"))
    assert [type(event) for event in talk.hear(no("CH_CLIENT_NOT_AUTHENTICATED"), asked)] == [Ended]


# --- accounts -----------------------------------------------------------------------------------------------------


def test_an_account_opens() -> None:
    """ASKED becomes READY by the answer, and the token never shows."""
    talk = Talk().open()
    said = talk.session.authorise(ME, "hush")
    assert "hush" not in repr(said)
    assert talk.session.account_state(ME) is AccountState.ASKED
    assert talk.hear(pb.ProtoOAAccountAuthRes(ctidTraderAccountId=ME), talk.say(said)) == [AccountOpened(ME)]
    assert talk.session.account_state(ME) is AccountState.READY
    assert talk.session.ready_accounts() == (ME,)


def test_an_account_that_is_logged_in_already_opens() -> None:
    """ALREADY_LOGGED_IN after a soft reconnect is a yes like any other."""
    talk = Talk().open()
    asked = talk.say(talk.session.authorise(ME, "token"))
    refused = no("ALREADY_LOGGED_IN", "Trading account is already authorized in this channel", ME)
    assert talk.hear(refused, asked) == [AccountOpened(ME)]


def test_the_wrong_account_opens_for_nobody() -> None:
    """The id decides whose answer it is, not the account inside."""
    talk = Talk().open()
    talk.say(talk.session.authorise(ME, "token"))
    other = talk.say(talk.session.authorise(OTHER, "token"))
    assert talk.hear(pb.ProtoOAAccountAuthRes(ctidTraderAccountId=ME), other) == [AccountOpened(OTHER)]
    assert talk.session.account_state(ME) is AccountState.ASKED


@pytest.mark.parametrize("code", ["CH_ACCESS_TOKEN_INVALID", "CANT_ROUTE_REQUEST", "RET_NO_SUCH_LOGIN", "NEVER_SEEN"])
def test_a_refused_account_is_refused_until_it_is_asked_for_again(code: str) -> None:
    """A no to an account says why, concerns no other account, and is not the last word."""
    talk = Talk().open(OTHER)
    asked = talk.say(talk.session.authorise(ME, "token"))
    (closed,) = talk.hear(no(code, "words"), asked)
    assert isinstance(closed, AccountClosed)
    assert (closed.account, closed.refusal and closed.refusal.code) == (ME, code)
    assert talk.session.account_state(ME) is AccountState.REFUSED
    assert talk.session.ready_accounts() == (OTHER,)
    again = talk.say(talk.session.authorise(ME, "fresh"))
    assert talk.hear(pb.ProtoOAAccountAuthRes(ctidTraderAccountId=ME), again) == [AccountOpened(ME)]


def test_an_account_that_is_not_answered_for_is_refused() -> None:
    """Silence on an authorisation is a no after its time, and a late yes is found out by asking again."""
    talk = Talk().open()
    talk.hear(common.ProtoHeartbeatEvent())
    asked = talk.say(talk.session.authorise(ME, "token"))
    closed = [event for event in talk.pass_time(15) if isinstance(event, AccountClosed)]
    assert [event.account for event in closed] == [ME]
    assert talk.session.account_state(ME) is AccountState.REFUSED
    assert AccountOpened(ME) not in talk.hear(pb.ProtoOAAccountAuthRes(ctidTraderAccountId=ME), asked)
    again = talk.say(talk.session.authorise(ME, "token"))
    assert talk.hear(no("ALREADY_LOGGED_IN"), again) == [AccountOpened(ME)]


def test_an_invalidated_token_closes_its_accounts_and_no_others() -> None:
    """2147 names accounts; those of them that are ready here lose their session."""
    talk = Talk().open(ME, OTHER)
    event = pb.ProtoOAAccountsTokenInvalidatedEvent(ctidTraderAccountIds=[ME, 99], reason="refreshed")
    (closed,) = talk.hear(event)
    assert isinstance(closed, AccountClosed)
    assert closed.account == ME
    assert "refreshed" in closed.why
    assert talk.session.account_state(ME) is AccountState.WANTED
    assert talk.session.ready_accounts() == (OTHER,)


def test_a_dropped_account_closes_once() -> None:
    """2147 and 2164 of one refresh are one loss, not two."""
    talk = Talk().open(ME)
    assert len(talk.hear(pb.ProtoOAAccountsTokenInvalidatedEvent(ctidTraderAccountIds=[ME]))) == 1
    assert talk.hear(pb.ProtoOAAccountDisconnectEvent(ctidTraderAccountId=ME)) == []


def test_a_session_lost_while_it_is_asked_for_stays_asked_for() -> None:
    """A drop that arrives before the answer does not cancel the question: its answer opens the account."""
    talk = Talk().open()
    asked = talk.say(talk.session.authorise(ME, "token"))
    assert talk.hear(pb.ProtoOAAccountDisconnectEvent(ctidTraderAccountId=ME)) == []
    assert talk.session.account_state(ME) is AccountState.ASKED
    assert talk.hear(pb.ProtoOAAccountAuthRes(ctidTraderAccountId=ME), asked) == [AccountOpened(ME)]


def test_the_end_of_the_client_ends_the_connection() -> None:
    """2148 concerns all accounts at once."""
    talk = Talk().open(ME)
    (ended,) = talk.hear(pb.ProtoOAClientDisconnectEvent(reason="by request"))
    assert isinstance(ended, Ended)
    assert "by request" in ended.why
    assert talk.session.state is State.CLOSED
    assert talk.hear(execution()) == []
    assert talk.pass_time(100) == []


def test_an_account_forgotten_meanwhile_does_not_open() -> None:
    """An answer for an account that nobody wants any more, yes or no, changes nothing."""
    talk = Talk().open()
    for answer in (pb.ProtoOAAccountAuthRes(ctidTraderAccountId=ME), no("CH_ACCESS_TOKEN_INVALID")):
        asked = talk.say(talk.session.authorise(ME, "token"))
        talk.session.forget(ME)
        assert talk.hear(answer, asked) == []
        assert talk.session.account_state(ME) is None


def test_a_token_is_swapped_without_a_gap() -> None:
    """A ready account stays ready while its new token is on its way, and ALREADY_LOGGED_IN says nothing was missed."""
    talk = Talk().open(ME)
    asked = talk.say(talk.session.authorise(ME, "fresh"))
    assert talk.session.account_state(ME) is AccountState.READY
    assert [type(event) for event in talk.hear(execution())] == [Heard]
    assert talk.hear(no("ALREADY_LOGGED_IN", account=ME), asked) == []
    assert talk.session.account_state(ME) is AccountState.READY


def test_a_token_swapped_after_a_drop_opens_anew() -> None:
    """Whether the drop is heard before the answer or never, a new session means that events may have been missed."""
    for heard_of_it in (True, False):
        talk = Talk().open(ME)
        asked = talk.say(talk.session.authorise(ME, "fresh"))
        if heard_of_it:
            (closed,) = talk.hear(pb.ProtoOAAccountDisconnectEvent(ctidTraderAccountId=ME))
            assert isinstance(closed, AccountClosed)
            assert talk.session.account_state(ME) is AccountState.ASKED
        assert talk.hear(pb.ProtoOAAccountAuthRes(ctidTraderAccountId=ME), asked) == [AccountOpened(ME)]


@pytest.mark.parametrize("is_answered", [True, False])
def test_no_answer_and_a_no_to_an_older_question_close_nothing(is_answered: bool) -> None:
    """A token that is renewed while accounts come back is shown at once; what became of the one before says nothing of
    the session that the new one has opened, nor of that token."""
    talk = Talk().open()
    older = talk.say(talk.session.authorise(ME, "spent"))
    newer = talk.say(talk.session.authorise(ME, "new"))
    assert talk.hear(pb.ProtoOAAccountAuthRes(ctidTraderAccountId=ME), newer) == [AccountOpened(ME)]
    if is_answered:
        assert talk.hear(no("CH_ACCESS_TOKEN_INVALID"), older) == []
    else:
        assert [event for event in talk.pass_time(16) if not isinstance(event, Say)] == []
    assert talk.session.account_state(ME) is AccountState.READY


def test_a_no_to_the_last_question_counts_whatever_comes_of_the_others() -> None:
    """The older one was not answered at all."""
    talk = Talk().open()
    talk.say(talk.session.authorise(ME, "spent"))
    newer = talk.say(talk.session.authorise(ME, "new"))
    (closed,) = talk.hear(no("CH_ACCESS_TOKEN_INVALID"), newer)
    assert isinstance(closed, AccountClosed)
    assert talk.session.account_state(ME) is AccountState.REFUSED


def test_a_swap_that_is_refused_closes() -> None:
    """A new token that is not good is known at once, not at the first order."""
    talk = Talk().open(ME)
    asked = talk.say(talk.session.authorise(ME, "fresh"))
    (closed,) = talk.hear(no("CH_ACCESS_TOKEN_INVALID"), asked)
    assert isinstance(closed, AccountClosed)
    assert talk.session.account_state(ME) is AccountState.REFUSED


# --- requests and answers -----------------------------------------------------------------------------------------


def test_an_answer_is_matched_by_its_id() -> None:
    """Two questions of one kind get their own answers, whatever the order."""
    talk = Talk().open(ME, OTHER)
    first = talk.write(pb.ProtoOATraderReq(ctidTraderAccountId=ME), ME)
    second = talk.write(pb.ProtoOATraderReq(ctidTraderAccountId=OTHER), OTHER)
    assert first != second
    found = talk.hear(pb.ProtoOATraderRes(ctidTraderAccountId=OTHER), second)
    found += talk.hear(pb.ProtoOATraderRes(ctidTraderAccountId=ME), first)
    assert [(event.name, event.account) for event in found if isinstance(event, Answer)] == [
        (second, OTHER),
        (first, ME),
    ]


def test_an_answer_of_the_wrong_kind_is_none() -> None:
    """An execution event that carries the id of a question is an event, and the question waits on."""
    talk = Talk().open(ME)
    asked = talk.write(pb.ProtoOATraderReq(ctidTraderAccountId=ME), ME)
    assert [type(event) for event in talk.hear(execution(), asked)] == [Heard]
    assert [type(event) for event in talk.hear(pb.ProtoOATraderRes(ctidTraderAccountId=ME), asked)] == [Answer]


def test_a_second_answer_is_an_event() -> None:
    """A question is answered once; what comes again with its id is nobody's answer."""
    talk = Talk().open(ME)
    asked = talk.write(pb.ProtoOATraderReq(ctidTraderAccountId=ME), ME)
    talk.hear(pb.ProtoOATraderRes(ctidTraderAccountId=ME), asked)
    again = talk.hear(pb.ProtoOATraderRes(ctidTraderAccountId=ME), asked)
    assert not [event for event in again if isinstance(event, Answer)]


def test_an_answer_proves_nothing_of_what_was_sent_after_it_came() -> None:
    """An order goes out again under its id while a word on its first sending waits: it frees no slot."""
    talk = Talk().open(ME)
    came_us = talk.now
    talk.now += SECOND
    talk.write(pb.ProtoOANewOrderReq(ctidTraderAccountId=ME), ME, ORDER)
    assert talk.session.read(ORDER, catalogue.EXECUTION, came_us) == []
    (read,) = talk.session.read(ORDER, catalogue.EXECUTION, talk.now)
    assert isinstance(read, Read)
    assert talk.session.read(ORDER, catalogue.EXECUTION, talk.now) == []


def test_foreign_ids_are_events() -> None:
    """Every connection hears the answers to everybody's requests: executions count, refusals are not ours."""
    talk = Talk().open(ME)
    (heard,) = talk.hear(execution(), "1")
    assert isinstance(heard, Heard)
    assert heard.envelope.client_msg_id == "1"
    assert talk.hear(no("TRADING_BAD_VOLUME", account=ME), "1") == []
    assert talk.hear(pb.ProtoOAOrderErrorEvent(ctidTraderAccountId=ME, errorCode="MARKET_CLOSED"), "cm1.other") == []
    assert talk.hear(no("ACCOUNT_NOT_AUTHORIZED", account=ME), "q2-.1") == []
    assert talk.session.account_state(ME) is AccountState.READY


def test_all_events_of_an_order_are_heard_however_late() -> None:
    """An order is answered by several events; none of them is lost, and none times out."""
    talk = Talk().open(ME)
    talk.write(order(), ME, ORDER)
    assert [type(event) for event in talk.hear(execution(), ORDER)] == [Heard]
    for _ in range(20):
        talk.hear(common.ProtoHeartbeatEvent())
        assert [event for event in talk.pass_time(10) if not isinstance(event, Say)] == []
    assert [type(e) for e in talk.hear(execution(kind=model.ORDER_FILLED), ORDER)] == [Heard]
    assert [type(e) for e in talk.hear(execution(kind=model.ORDER_REPLACED), ORDER)] == [Heard]


def test_a_late_refusal_still_finds_its_order() -> None:
    """A refusal without an account, minutes later, is told to the account that sent the order."""
    talk = Talk().open(ME)
    talk.write(order(), ME, ORDER)
    for _ in range(20):
        talk.hear(common.ProtoHeartbeatEvent())
        talk.pass_time(10)
    (refused,) = talk.hear(no("TIMEOUT_ERROR"), ORDER)
    assert isinstance(refused, Refused)
    assert (refused.name, refused.account, refused.payload_type) == (ORDER, ME, catalogue.NEW_ORDER)


@pytest.mark.parametrize(
    "carrier",
    [
        no("MARKET_CLOSED"),
        common_no("MARKET_CLOSED"),
        pb.ProtoOAOrderErrorEvent(ctidTraderAccountId=ME, errorCode="MARKET_CLOSED", orderId=0, positionId=0),
    ],
)
def test_an_order_is_refused_by_any_carrier(carrier: Message) -> None:
    """All three messages that refuse reach the account under the order's name."""
    talk = Talk().open(ME)
    talk.write(order(), ME, ORDER)
    (refused,) = talk.hear(carrier, ORDER)
    assert isinstance(refused, Refused)
    assert (refused.name, refused.account, refused.refusal.code) == (ORDER, ME, "MARKET_CLOSED")


@pytest.mark.parametrize(
    ("code", "description"),
    [
        ("INVALID_REQUEST", "Trading account is not authorized"),
        ("ACCOUNT_NOT_AUTHORIZED", ""),
        ("OA_AUTH_TOKEN_EXPIRED", ""),
        ("CH_ACCESS_TOKEN_INVALID", "Access token expired"),
    ],
)
def test_a_request_refused_as_not_authorised_closes_the_account(code: str, description: str) -> None:
    """The request is refused, and the account must be authorised again before the next one."""
    talk = Talk().open(ME)
    talk.write(order(), ME, ORDER)
    refused, closed = talk.hear(no(code, description), ORDER)
    assert isinstance(refused, Refused)
    assert isinstance(closed, AccountClosed)
    assert (closed.account, closed.refusal and closed.refusal.code) == (ME, code)
    assert talk.session.account_state(ME) is AccountState.WANTED


def test_other_invalid_requests_cost_no_session() -> None:
    """INVALID_REQUEST with other words is a no to one request."""
    talk = Talk().open(ME)
    talk.write(order(), ME, ORDER)
    assert [type(event) for event in talk.hear(no("INVALID_REQUEST", "Nothing to amend."), ORDER)] == [Refused]
    assert talk.session.account_state(ME) is AccountState.READY


def test_a_refusal_without_an_id_may_say_that_an_account_is_out() -> None:
    """A word about a session concerns the account it names; any other refusal without an id concerns nobody."""
    talk = Talk().open(ME)
    assert talk.hear(no("REQUEST_FREQUENCY_EXCEEDED")) == []
    assert talk.hear(no("MARKET_CLOSED", account=ME)) == []
    (closed,) = talk.hear(no("CH_ACCESS_TOKEN_INVALID", account=ME))
    assert isinstance(closed, AccountClosed)
    assert closed.account == ME


def test_a_question_that_is_not_answered_is_given_back() -> None:
    """After its time a question is unanswered, once, and an answer that comes later is none."""
    talk = Talk().open(ME)
    asked = talk.write(pb.ProtoOAReconcileReq(ctidTraderAccountId=ME), ME)
    assert [e for e in talk.pass_time(14.9) if isinstance(e, Unanswered)] == []
    assert [e for e in talk.pass_time(0.1) if isinstance(e, Unanswered)] == [Unanswered(asked, ME)]
    assert [e for e in talk.pass_time(1) if isinstance(e, Unanswered)] == []
    assert not [e for e in talk.hear(pb.ProtoOAReconcileRes(ctidTraderAccountId=ME), asked) if isinstance(e, Answer)]


def test_what_is_awaited_is_bounded() -> None:
    """However many orders are never answered, the memory of them does not grow without limit."""
    talk = Talk().open(ME)
    for number in range(session.TRADES_MAX + 100):
        talk.write(order(), ME, f"cm1.{number}")
    assert talk.hear(no("MARKET_CLOSED"), "cm1.99") == []
    assert [type(event) for event in talk.hear(no("MARKET_CLOSED"), "cm1.100")] == [Refused]


def test_ids_are_of_this_process_and_never_repeat() -> None:
    """Two sessions with different prefixes share no id, and one uses each of its own once."""
    one, two = Session("q1-"), Session("q2-")
    ids = [one.next_id() for _ in range(100)] + [two.next_id() for _ in range(100)]
    assert len(set(ids)) == 200


def reads(talk: Talk, envelope: Envelope) -> list[Read]:
    """What a message proves to have been read."""
    return [event for event in talk.session.received(envelope, talk.now) if isinstance(event, Read)]


def accepted(name: str = ORDER) -> Envelope:
    """The server's first word on an order."""
    return Envelope(catalogue.EXECUTION, execution().SerializePartialToString(), name)


def listed(name: str) -> Envelope:
    """The answer to a question for deals."""
    answer = pb.ProtoOADealListRes(ctidTraderAccountId=ME, hasMore=False)
    return Envelope(catalogue.type_of(answer), answer.SerializeToString(), name)


def test_a_round_trip_is_measured_once_and_only_of_short_ways() -> None:
    """The first word on an order measures the line; the fill measures a market, and a history a search."""
    talk = Talk().open(ME)
    talk.write(order(), ME, ORDER)
    deals = talk.write(pb.ProtoOADealListReq(ctidTraderAccountId=ME), ME)
    talk.now += 30_000
    assert [read.round_trip_us for read in reads(talk, accepted())] == [30_000]
    assert reads(talk, accepted()) == []
    assert [read.round_trip_us for read in reads(talk, listed(deals))] == [0]


def test_what_an_answer_proves_may_be_known_before_it_is_taken() -> None:
    """Its coming alone frees the slot, once; taken later it says what it says and proves nothing more."""
    talk = Talk().open(ME)
    talk.write(order(), ME, ORDER)
    deals = talk.write(pb.ProtoOADealListReq(ctidTraderAccountId=ME), ME)
    talk.now += 30_000
    ahead = talk.session.read(ORDER, catalogue.EXECUTION, talk.now)
    assert [read.round_trip_us for read in ahead if isinstance(read, Read)] == [30_000]
    assert reads(talk, accepted()) == []
    assert talk.session.read(deals, catalogue.EXECUTION, talk.now) == []  # no answer to that
    assert talk.session.read("somebody else's", catalogue.EXECUTION, talk.now) == []
    assert [type(event) for event in talk.session.received(listed(deals), talk.now)] == [Answer, Read]


def test_an_answer_proves_what_was_written_before_it_and_nothing_after() -> None:
    """Frames are numbered as they were written, heartbeats and those that could not be written included."""
    talk = Talk()
    talk.open(ME)
    before = talk.session._frames
    first = talk.write(pb.ProtoOADealListReq(ctidTraderAccountId=ME), ME)
    talk.write(common.ProtoHeartbeatEvent())
    talk.session.skipped()
    talk.write(order(), ME, ORDER)
    talk.write(order(), ME, "cm1.later")
    assert [read.number for read in reads(talk, accepted())] == [before + 4]
    assert reads(talk, listed(first)) == [], "an answer that comes later proves nothing new"


def test_a_word_on_an_order_that_was_sent_again_proves_nothing() -> None:
    """It may be on the first one, which was read long before the second was written."""
    talk = Talk().open(ME)
    before = talk.session._frames
    talk.write(order(), ME, ORDER)
    talk.write(order(), ME, ORDER)
    assert [read.number for read in reads(talk, accepted())] == [before + 1]
    assert reads(talk, accepted()) == []


# --- time ---------------------------------------------------------------------------------------------------------


def test_a_heartbeat_goes_out_after_ten_seconds_of_own_silence() -> None:
    """Ten seconds after the last frame of ours, whatever it was, and not before."""
    talk = Talk().open(ME)
    assert talk.pass_time(9.9) == []
    (said,) = talk.pass_time(0.1)
    assert isinstance(said, Say)
    assert catalogue.type_of(said.message) == catalogue.HEARTBEAT
    talk.write(said.message)
    talk.pass_time(5)
    talk.write(order(), ME, ORDER)
    assert talk.pass_time(9.9) == []
    assert [type(event) for event in talk.pass_time(0.1)] == [Say]


def test_a_heartbeat_is_never_answered() -> None:
    """Two sides that answer heartbeats talk for ever."""
    talk = Talk().open(ME)
    assert talk.hear(common.ProtoHeartbeatEvent()) == []


def test_sixty_seconds_of_silence_are_the_end() -> None:
    """A server that says nothing for a minute is gone; our own heartbeats are no sign of its life."""
    talk = Talk().open(ME)
    for _ in range(5):
        assert [type(event) for event in talk.pass_time(11)] == [Say]
    assert [type(event) for event in talk.pass_time(5)] == [Ended]
    assert talk.session.state is State.CLOSED


@pytest.mark.parametrize("sign", [common.ProtoHeartbeatEvent(), execution(), execution(99)])
def test_any_word_is_a_sign_of_life(sign: Message) -> None:
    """Whatever arrives, of whichever account, counts."""
    talk = Talk().open(ME)
    talk.pass_time(59)
    talk.hear(sign)
    assert [type(event) for event in talk.pass_time(59)] == [Say]


def test_spots_that_went_elsewhere_are_signs_of_life() -> None:
    """A server that streams quotes sends no heartbeats, and quotes do not pass through here."""
    talk = Talk().open(ME)
    talk.pass_time(59)
    talk.session.heard(talk.now)
    assert Ended not in [type(event) for event in talk.pass_time(59)]
    talk.session.heard(0)
    assert [type(event) for event in talk.pass_time(1)] == [Ended]


def test_the_next_deadline_is_never_too_late() -> None:
    """Whoever wakes at each deadline and at no other moment sees each thing happen at its moment."""
    talk = Talk()
    assert talk.session.next_deadline() is None
    talk.greet()
    begun = talk.now
    seen: list[tuple[float, str]] = []
    while (moment := talk.session.next_deadline()) is not None:
        talk.now = moment
        seen += [((moment - begun) / SECOND, type(event).__name__) for event in talk.session.on_time(moment)]
    assert seen == [(10, "Say"), (20, "Ended")]
    talk = Talk().open(ME)
    begun = talk.now
    talk.write(pb.ProtoOAReconcileReq(ctidTraderAccountId=ME), ME)
    seen = []
    while (moment := talk.session.next_deadline()) is not None:
        assert moment > talk.now or seen == []
        talk.now = moment
        seen += [((moment - begun) / SECOND, type(event).__name__) for event in talk.session.on_time(moment)]
    beats = [(float(at), "Say") for at in (10, 20, 30, 40, 50)]
    assert sorted(seen) == sorted([*beats, (15, "Unanswered"), (60, "Ended")])


# --- garbage ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("payload_type", [2148, 2147, 2164, 2126, 2132, 2142, 50, 2103])
def test_garbage_inside_a_known_message_is_a_remote_error(payload_type: int) -> None:
    """Bytes that are no message of their type end the connection by one kind of exception."""
    talk = Talk().open(ME)
    with pytest.raises(RemoteError):
        talk.session.received(Envelope(payload_type, b"\xff\xff\xff"), talk.now)


def test_a_message_of_an_unknown_type_is_passed_over() -> None:
    """A newer server may say more than we know."""
    talk = Talk().open(ME)
    assert talk.session.received(Envelope(9_999, b"\xff\xff"), talk.now) == []


def test_a_message_of_no_account_is_passed_over() -> None:
    """What names no account concerns none."""
    talk = Talk().open(ME)
    assert talk.hear(pb.ProtoOAVersionRes(version="91")) == []


def test_events_of_a_lost_account_are_still_heard() -> None:
    """No execution is ever dropped for the state of a session."""
    talk = Talk().open(ME)
    talk.hear(pb.ProtoOAAccountDisconnectEvent(ctidTraderAccountId=ME))
    assert [type(event) for event in talk.hear(execution())] == [Heard]
