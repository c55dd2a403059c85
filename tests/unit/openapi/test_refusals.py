"""Refusals: both carriers' units, and the waits that follow."""

from __future__ import annotations

import pytest
from google.protobuf.message import Message

from cmam.openapi import catalogue
from cmam.openapi._pb.OpenApiCommonMessages_pb2 import ProtoErrorRes
from cmam.openapi._pb.OpenApiMessages_pb2 import ProtoOAErrorRes, ProtoOAOrderErrorEvent, ProtoOATraderReq
from cmam.openapi.envelope import Envelope
from cmam.openapi.errors import RemoteError
from cmam.openapi.refusals import (
    BACK_OFF_US_MAX,
    DESCRIPTION_CHARACTERS_MAX,
    MAINTENANCE_US_MAX,
    Refusal,
    back_off_us,
    read_refusal,
    retry_delay_us,
)

S = 1_000_000


def arrived(message: Message, client_msg_id: str = "") -> Envelope:
    """A message as it comes off the wire."""
    return Envelope(catalogue.type_of(message), message.SerializePartialToString(), client_msg_id)


def refusal(message: Message) -> Refusal:
    """The refusal that a message carries."""
    found = read_refusal(arrived(message))
    assert found is not None
    return found


def test_the_end_of_maintenance_is_the_same_moment_in_both_carriers() -> None:
    """The common layer counts it in milliseconds, the Open API in seconds."""
    common = refusal(ProtoErrorRes(errorCode="SERVER_IS_UNDER_MAINTENANCE", maintenanceEndTimestamp=1_700_000_000_000))
    ours = refusal(ProtoOAErrorRes(errorCode="SERVER_IS_UNDER_MAINTENANCE", maintenanceEndTimestamp=1_700_000_000))
    assert common.maintenance_end_us == ours.maintenance_end_us == 1_700_000_000 * S


def test_an_error_of_the_open_api() -> None:
    """Account, text, id and the seconds to wait are read."""
    found = read_refusal(
        arrived(
            ProtoOAErrorRes(
                ctidTraderAccountId=9, errorCode="BLOCKED_PAYLOAD_TYPE", description="slow down", retryAfter=3
            ),
            "q.1",
        )
    )
    assert found == Refusal(
        code="BLOCKED_PAYLOAD_TYPE", description="slow down", account=9, client_msg_id="q.1", retry_after_us=3 * S
    )


def test_an_order_error_with_explicit_zeros_names_nothing() -> None:
    """The server sends 0 for ids that it does not have."""
    found = refusal(
        ProtoOAOrderErrorEvent(ctidTraderAccountId=9, errorCode="POSITION_NOT_FOUND", orderId=0, positionId=0)
    )
    assert (found.order, found.position, found.account) == (0, 0, 9)


def test_anything_else_is_no_refusal() -> None:
    """Only the three carriers are read."""
    assert read_refusal(arrived(ProtoOATraderReq(ctidTraderAccountId=1))) is None


def test_a_refusal_without_a_code_is_permanent_not_a_crash() -> None:
    """The required code may be missing; then nobody may try again."""
    assert refusal(ProtoOAErrorRes(description="?")).rule.retry.value == "never"


def test_a_garbled_refusal_is_a_remote_error() -> None:
    """Bytes that are no error message raise RemoteError."""
    with pytest.raises(RemoteError):
        read_refusal(Envelope(catalogue.ERROR, b"\xff\xff"))


def test_the_brokers_words_are_fit_for_a_screen() -> None:
    """Control characters become spaces and a long text is cut, so that no refusal paints on a terminal."""
    found = refusal(ProtoOAErrorRes(errorCode="X\n", description="\x1b[2J" + "z" * 1_000))
    assert found.code == "X "
    assert found.description.isprintable()
    assert len(found.description) == DESCRIPTION_CHARACTERS_MAX


def test_the_sentence_says_what_why_and_what_to_do() -> None:
    """A person reads the meaning, the broker's own words, and the cure."""
    assert str(refusal(ProtoOAErrorRes(errorCode="MARKET_CLOSED", description="closed until 22:00"))) == (
        "The market of this symbol is closed. (MARKET_CLOSED: closed until 22:00) "
        "Closes and protection go out again when it opens."
    )


def test_back_off_doubles_and_stays_bounded() -> None:
    """Waits grow, are spread between half and the whole, and never exceed their most, even after a million tries."""
    whole = [back_off_us(attempt, 0.999999) for attempt in (1, 2, 3, 4)]
    half = [back_off_us(attempt, 0.0) for attempt in (1, 2, 3, 4)]
    assert half == [S // 2, S, 2 * S, 4 * S]
    assert all(2 * low - 10 <= high <= 2 * low for low, high in zip(half, whole, strict=True))
    assert back_off_us(1_000_000, 0.999999) <= BACK_OFF_US_MAX


def test_a_blocked_type_waits_at_least_as_long_as_it_was_told_and_longer_each_time() -> None:
    """retryAfter is a minimum; the slower quota behind it needs growing waits."""
    blocked = Refusal(code="BLOCKED_PAYLOAD_TYPE", retry_after_us=2 * S)
    waits = [retry_delay_us(blocked, attempt, 0, 0.0) for attempt in (1, 2, 3)]
    assert waits == [3 * S, 4 * S, 6 * S]


@pytest.mark.parametrize("told", [121, 3_600, (1 << 31) - 1])
def test_more_patience_than_two_minutes_is_not_believed(told: int) -> None:
    """It may be milliseconds, and closes may be waiting."""
    wire = ProtoOAErrorRes(errorCode="BLOCKED_PAYLOAD_TYPE", retryAfter=told)
    found = read_refusal(Envelope(catalogue.ERROR, wire.SerializeToString()))
    assert found is not None
    assert found.retry_after_us == 120 * S


def test_after_maintenance_the_first_try_comes_when_it_is_over() -> None:
    """The announced end is waited for, but somebody looks once a minute; an end in the past is no reason to wait."""
    now = 1_700_000_000 * S
    soon = Refusal(code="SERVER_IS_UNDER_MAINTENANCE", maintenance_end_us=now + 40 * S)
    far = Refusal(code="SERVER_IS_UNDER_MAINTENANCE", maintenance_end_us=now + 48 * 3_600 * S)
    past = Refusal(code="SERVER_IS_UNDER_MAINTENANCE", maintenance_end_us=now - S)
    assert retry_delay_us(soon, 1, now, 0.0) == 40 * S + S // 2
    assert retry_delay_us(soon, 7, now, 0.0) == 40 * S + S // 2, "tries that failed before it was announced add nothing"
    assert retry_delay_us(far, 1, now, 0.0) == MAINTENANCE_US_MAX + S // 2
    assert retry_delay_us(past, 1, now, 0.0) == S // 2


def test_an_absurd_end_of_maintenance_stays_within_the_calendar() -> None:
    """A timestamp of all ones must not break whoever shows it."""
    assert refusal(ProtoErrorRes(errorCode="X", maintenanceEndTimestamp=2**64 - 1)).maintenance_end_us < 2**63


@pytest.mark.parametrize(
    "code", ["NOT_ENOUGH_MONEY", "TRADING_BAD_STOPS", "TIMEOUT_ERROR", "CH_ACCESS_TOKEN_INVALID", "POSITION_NOT_FOUND"]
)
def test_time_alone_does_not_help_these(code: str) -> None:
    """No delay is named for what needs a correction, a proof, a token, or nothing at all."""
    assert retry_delay_us(Refusal(code=code), 1, 0, 0.5) is None
