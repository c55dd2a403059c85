"""One connection's conversation: states, answers, losses, silence."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from google.protobuf.message import Message

from cmam.openapi import catalogue, session
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi._pb.OpenApiCommonMessages_pb2 import ProtoErrorRes, ProtoHeartbeatEvent
from cmam.openapi.envelope import Envelope
from cmam.openapi.session import AccountState, Session, State

SECOND = 1_000_000
ACCOUNT = 5


def arrived(message: Message, client_msg_id: str = "") -> Envelope:
    """A message as it comes off the wire."""
    return Envelope(catalogue.type_of(message), message.SerializePartialToString(), client_msg_id)


def say(talk: Session, events: Sequence[session.Event], now: int = 0) -> str:
    """Send the one message that the session wants to say, and give its id."""
    [said] = [event for event in events if isinstance(event, session.Say)]
    client_msg_id = talk.next_id()
    talk.sent(client_msg_id, client_msg_id, said.account, catalogue.type_of(said.message), now)
    return client_msg_id


def greeted() -> tuple[Session, str]:
    """A session that has sent the application's authorisation, and its id."""
    talk = Session("q1")
    return talk, say(talk, talk.connected("id", "secret", 0))


def opened() -> Session:
    """A session whose application is authorised."""
    talk, greeting = greeted()
    talk.received(arrived(pb.ProtoOAApplicationAuthRes(), greeting), 1)
    return talk


def ready() -> Session:
    """A session with one authorised account."""
    talk = opened()
    asked = say(talk, talk.authorise(ACCOUNT, "token"))
    talk.received(arrived(pb.ProtoOAAccountAuthRes(ctidTraderAccountId=ACCOUNT), asked), 1)
    return talk


def told(events: Sequence[session.Event]) -> list[session.Event]:
    """The events without measurements."""
    return [event for event in events if not isinstance(event, session.Measured)]


def refused(code: str, description: str = "", account: int = 0) -> pb.ProtoOAErrorRes:
    """A refusal of the Open API."""
    return pb.ProtoOAErrorRes(errorCode=code, description=description, ctidTraderAccountId=account)


# --- the application ----------------------------------------------------------------------------------------------


def test_the_first_word_is_the_applications_authorisation() -> None:
    """Client id and secret go out as soon as the transport is there, and no repr shows them."""
    talk = Session("q1")
    assert talk.state is State.DIALLING
    [said] = talk.connected("my-id", "my-secret", 0)
    assert isinstance(said, session.Say)
    assert isinstance(said.message, pb.ProtoOAApplicationAuthReq)
    assert (said.message.clientId, said.message.clientSecret) == ("my-id", "my-secret")
    assert "my-secret" not in repr(said)
    assert talk.state is State.GREETING


def test_an_accepted_application_opens_the_session() -> None:
    """The answer with our id opens it; the same message with another id would be somebody else's."""
    talk, greeting = greeted()
    assert told(talk.received(arrived(pb.ProtoOAApplicationAuthRes(), "foreign"), 1)) == []
    assert talk.state is State.GREETING
    assert told(talk.received(arrived(pb.ProtoOAApplicationAuthRes(), greeting), 1)) == [session.Opened()]
    assert talk.state is State.OPEN


def test_authorised_twice_is_authorised() -> None:
    """CH_CLIENT_ALREADY_AUTHENTICATED is a yes."""
    talk, greeting = greeted()
    assert talk.received(arrived(refused("CH_CLIENT_ALREADY_AUTHENTICATED"), greeting), 1) == [session.Opened()]


@pytest.mark.parametrize("with_id", [True, False])
def test_a_refused_application_ends_the_session_with_its_sentence(with_id: bool) -> None:
    """The refusal comes with the reason and the cure, whether the server echoes the id or not."""
    talk, greeting = greeted()
    answer = refused("CH_CLIENT_AUTH_FAILURE", "OA client is not in active state")
    [ended] = talk.received(arrived(answer, greeting if with_id else ""), 1)
    assert isinstance(ended, session.Ended)
    assert ended.refusal is not None
    assert ended.refusal.code == "CH_CLIENT_AUTH_FAILURE"
    assert "not Active yet" in ended.why
    assert talk.state is State.CLOSED


def test_maintenance_in_the_common_carrier_ends_the_greeting() -> None:
    """The other error message is read as well, its end of maintenance in milliseconds."""
    talk, greeting = greeted()
    answer = ProtoErrorRes(errorCode="SERVER_IS_UNDER_MAINTENANCE", maintenanceEndTimestamp=5_000)
    [ended] = talk.received(arrived(answer, greeting), 1)
    assert isinstance(ended, session.Ended)
    assert ended.refusal is not None
    assert ended.refusal.maintenance_end_us == 5 * SECOND


def test_an_unanswered_greeting_ends_the_session() -> None:
    """A server that only sends heartbeats never lets anybody in."""
    talk, _ = greeted()
    talk.received(arrived(ProtoHeartbeatEvent()), 15 * SECOND)
    [ended] = [e for e in talk.on_time(20 * SECOND) if isinstance(e, session.Ended)]
    assert "authorisation" in ended.why


def test_the_server_may_end_everything() -> None:
    """ClientDisconnect ends the session, with the server's reason; nothing is taken after it."""
    talk = ready()
    [ended] = talk.received(arrived(pb.ProtoOAClientDisconnectEvent(reason="maintenance")), 2)
    assert isinstance(ended, session.Ended)
    assert "maintenance" in ended.why
    assert talk.received(arrived(pb.ProtoOAClientDisconnectEvent()), 3) == []
    assert (talk.on_time(999 * SECOND), talk.next_deadline()) == ([], None)


# --- accounts -----------------------------------------------------------------------------------------------------


def test_an_account_is_asked_for_and_opens() -> None:
    """Authorising sends the token, which never shows, and the answer makes the account ready."""
    talk = opened()
    events = talk.authorise(ACCOUNT, "s3cret")
    assert "s3cret" not in repr(events)
    assert talk.account_state(ACCOUNT) is AccountState.ASKED
    asked = say(talk, events)
    answer = arrived(pb.ProtoOAAccountAuthRes(ctidTraderAccountId=ACCOUNT), asked)
    assert told(talk.received(answer, 1)) == [session.AccountOpened(ACCOUNT)]
    assert talk.ready_accounts() == (ACCOUNT,)


def test_already_logged_in_is_logged_in() -> None:
    """ALREADY_LOGGED_IN breaks other clients; here the account is ready."""
    talk = opened()
    asked = say(talk, talk.authorise(ACCOUNT, "token"))
    events = told(talk.received(arrived(refused("ALREADY_LOGGED_IN", account=ACCOUNT), asked), 1))
    assert events == [session.AccountOpened(ACCOUNT)]


def test_a_refused_account_says_why_and_harms_no_other() -> None:
    """An invalid token closes that account with its refusal; the session stays open."""
    talk = ready()
    asked = say(talk, talk.authorise(6, "bad"))
    [closed] = told(talk.received(arrived(refused("CH_ACCESS_TOKEN_INVALID"), asked), 1))
    assert isinstance(closed, session.AccountClosed)
    assert closed.refusal is not None
    assert (closed.account, closed.refusal.rule.kind.value) == (6, "token")
    assert (talk.state, talk.ready_accounts()) == (State.OPEN, (ACCOUNT,))


def test_an_unanswered_account_is_told_after_a_while() -> None:
    """No answer to an authorisation closes the account, so that somebody asks again."""
    talk = opened()
    say(talk, talk.authorise(ACCOUNT, "token"), now=SECOND)
    assert [e for e in talk.on_time(15 * SECOND) if isinstance(e, session.AccountClosed)] == []
    [closed] = [e for e in talk.on_time(16 * SECOND) if isinstance(e, session.AccountClosed)]
    assert closed.account == ACCOUNT


def test_a_dropped_account_session_is_lost_once() -> None:
    """A refresh brings both 2147 and 2164: the account is lost with the first and not lost again with the second."""
    talk = ready()
    invalidated = pb.ProtoOAAccountsTokenInvalidatedEvent(ctidTraderAccountIds=[ACCOUNT, 99], reason="refreshed")
    [closed] = talk.received(arrived(invalidated), 2)
    assert isinstance(closed, session.AccountClosed)
    assert "refreshed" in closed.why
    assert talk.received(arrived(pb.ProtoOAAccountDisconnectEvent(ctidTraderAccountId=ACCOUNT)), 3) == []
    assert talk.account_state(ACCOUNT) is AccountState.WANTED


def test_after_a_refresh_the_account_opens_again_on_the_same_connection() -> None:
    """Lost and authorised anew, it is ready, and told so: whoever reconciles must do it again."""
    talk = ready()
    talk.received(arrived(pb.ProtoOAAccountDisconnectEvent(ctidTraderAccountId=ACCOUNT)), 2)
    asked = say(talk, talk.authorise(ACCOUNT, "new"))
    answer = arrived(pb.ProtoOAAccountAuthRes(ctidTraderAccountId=ACCOUNT), asked)
    assert told(talk.received(answer, 3)) == [session.AccountOpened(ACCOUNT)]


def test_events_of_a_lost_account_are_still_heard() -> None:
    """No execution is ever dropped for the state of a session."""
    talk = ready()
    talk.received(arrived(pb.ProtoOAAccountDisconnectEvent(ctidTraderAccountId=ACCOUNT)), 2)
    event = arrived(pb.ProtoOAExecutionEvent(ctidTraderAccountId=ACCOUNT, executionType=model.ORDER_FILLED))
    assert talk.received(event, 3) == [session.Heard(ACCOUNT, event)]


def test_not_authorised_in_answer_to_a_question_loses_the_account() -> None:
    """The server says in its odd way that the account's session is gone: the asker and the account both hear."""
    talk = ready()
    talk.sent("q1.9", "state", ACCOUNT, catalogue.TRADER, 1)
    events = told(
        talk.received(arrived(refused("INVALID_REQUEST", "Trading account is not authorized", ACCOUNT), "q1.9"), 2)
    )
    assert [type(event) for event in events] == [session.Refused, session.AccountClosed]
    assert talk.account_state(ACCOUNT) is AccountState.WANTED


def test_a_forgotten_account_does_not_come_back() -> None:
    """A late answer for an account that nobody wants any more opens nothing."""
    talk = opened()
    asked = say(talk, talk.authorise(ACCOUNT, "token"))
    talk.forget(ACCOUNT)
    answer = arrived(pb.ProtoOAAccountAuthRes(ctidTraderAccountId=ACCOUNT), asked)
    assert told(talk.received(answer, 1)) == []
    assert talk.account_state(ACCOUNT) is None


# --- answers ------------------------------------------------------------------------------------------------------


def test_an_answer_goes_to_its_question() -> None:
    """Matched by id, never by position: the second question may be answered first."""
    talk = ready()
    talk.sent("q1.8", "trader", ACCOUNT, catalogue.TRADER, 1)
    talk.sent("q1.9", "other trader", 6, catalogue.TRADER, 1)
    answer = arrived(pb.ProtoOATraderRes(ctidTraderAccountId=6), "q1.9")
    assert told(talk.received(answer, 2)) == [session.Answer("other trader", 6, answer)]
    assert told(talk.received(answer, 3)) == [session.Heard(6, answer)]


def test_a_foreign_event_with_our_id_is_an_event() -> None:
    """Every connection hears every client's ids: an execution never answers a question."""
    talk = ready()
    talk.sent("q1.9", "trader", ACCOUNT, catalogue.TRADER, 1)
    event = arrived(pb.ProtoOAExecutionEvent(ctidTraderAccountId=ACCOUNT, executionType=model.ORDER_FILLED), "q1.9")
    assert talk.received(event, 2) == [session.Heard(ACCOUNT, event)]
    answer = arrived(pb.ProtoOATraderRes(ctidTraderAccountId=ACCOUNT), "q1.9")
    assert told(talk.received(answer, 3)) == [session.Answer("trader", ACCOUNT, answer)]


def test_both_events_of_an_order_are_heard() -> None:
    """ACCEPTED and FILLED carry the same id; neither is swallowed as the answer."""
    talk = ready()
    talk.sent("cm1.x", "cm1.x", ACCOUNT, catalogue.NEW_ORDER, 1)
    for kind in (model.ORDER_ACCEPTED, model.ORDER_FILLED):
        event = arrived(pb.ProtoOAExecutionEvent(ctidTraderAccountId=ACCOUNT, executionType=kind), "cm1.x")
        assert told(talk.received(event, 2)) == [session.Heard(ACCOUNT, event)]


@pytest.mark.parametrize("carrier", ["order error", "error", "common error"])
def test_an_order_may_be_refused_by_three_messages(carrier: str) -> None:
    """Each of them reaches the order's owner, with the type of its request."""
    talk = ready()
    talk.sent("cm1.x", "cm1.x", ACCOUNT, catalogue.NEW_ORDER, 1)
    answer: Message = {
        "order error": pb.ProtoOAOrderErrorEvent(ctidTraderAccountId=ACCOUNT, errorCode="NOT_ENOUGH_MONEY"),
        "error": refused("NOT_ENOUGH_MONEY"),
        "common error": ProtoErrorRes(errorCode="NOT_ENOUGH_MONEY"),
    }[carrier]
    [event] = told(talk.received(arrived(answer, "cm1.x"), 2))
    assert isinstance(event, session.Refused)
    assert (event.name, event.account, event.payload_type) == ("cm1.x", ACCOUNT, catalogue.NEW_ORDER)
    assert event.refusal.code == "NOT_ENOUGH_MONEY"


def test_a_refusal_of_a_strangers_request_is_nobodys() -> None:
    """An error with an id that is not ours changes nothing."""
    assert ready().received(arrived(refused("NOT_ENOUGH_MONEY", account=ACCOUNT), "other-7"), 2) == []


def test_a_question_without_an_answer_is_told_and_an_order_is_not() -> None:
    """A question may be asked again; of an order only its account says what its silence means."""
    talk = ready()
    talk.sent("q1.9", "trader", ACCOUNT, catalogue.TRADER, SECOND)
    talk.sent("cm1.x", "cm1.x", ACCOUNT, catalogue.NEW_ORDER, SECOND)
    events = talk.on_time(16 * SECOND)
    assert [event for event in events if isinstance(event, session.Unanswered)] == [
        session.Unanswered("trader", ACCOUNT)
    ]


def test_ids_of_questions_differ_between_processes() -> None:
    """Every connection hears everybody's ids, so ours begin with a prefix of our own."""
    first, second = Session("a1"), Session("b2")
    assert not {first.next_id() for _ in range(3)} & {second.next_id() for _ in range(3)}


def test_a_round_trip_is_measured_once_to_the_first_word() -> None:
    """The fill that follows an acceptance says nothing of the line."""
    talk = ready()
    talk.sent("cm1.x", "cm1.x", ACCOUNT, catalogue.NEW_ORDER, 100)
    found = []
    for kind, now in ((model.ORDER_ACCEPTED, 150), (model.ORDER_FILLED, 900)):
        event = arrived(pb.ProtoOAExecutionEvent(ctidTraderAccountId=ACCOUNT, executionType=kind), "cm1.x")
        found += [e for e in talk.received(event, now) if isinstance(e, session.Measured)]
    assert found == [session.Measured(50)]


def test_unknown_messages_are_passed_over() -> None:
    """A type that no schema knows, and one that names no account, are no events."""
    talk = ready()
    assert talk.received(Envelope(2191, b"\x10\x05"), 2) == []
    assert talk.received(arrived(pb.ProtoOAVersionRes(version="91")), 2) == []


# --- silence ------------------------------------------------------------------------------------------------------


def test_a_heartbeat_goes_out_after_ten_seconds_of_own_silence() -> None:
    """Counted from the last thing said; one heartbeat, not one for each look."""
    talk = ready()
    talk.sent("q1.9", "trader", ACCOUNT, catalogue.TRADER, 5 * SECOND)
    assert talk.next_deadline() == 15 * SECOND
    assert talk.on_time(15 * SECOND - 1) == []
    [said] = talk.on_time(15 * SECOND)
    assert isinstance(said, session.Say)
    assert isinstance(said.message, ProtoHeartbeatEvent)
    talk.received(arrived(pb.ProtoOATraderRes(ctidTraderAccountId=ACCOUNT), "q1.9"), 15 * SECOND)
    assert talk.on_time(15 * SECOND + 1) == []


def test_a_heartbeat_is_never_answered() -> None:
    """Two ends that answer each other's heartbeats never stop."""
    assert ready().received(arrived(ProtoHeartbeatEvent()), 2) == []


@pytest.mark.parametrize("sign", ["heartbeat", "spots"])
def test_a_silent_server_is_gone_after_a_minute(sign: str) -> None:
    """Anything that arrives counts as life, heartbeats and spots too; after 60 s of nothing the session ends."""
    talk = ready()
    if sign == "heartbeat":
        talk.received(arrived(ProtoHeartbeatEvent()), 40 * SECOND)
    else:
        talk.heard(40 * SECOND)
    talk.heard(3 * SECOND)
    assert not [e for e in talk.on_time(100 * SECOND - 1) if isinstance(e, session.Ended)]
    [ended] = talk.on_time(100 * SECOND)
    assert isinstance(ended, session.Ended)
    assert "60 s" in ended.why
