"""What the catalogue reads out of the schema."""

from __future__ import annotations

import pytest

from cmam.openapi import catalogue
from cmam.openapi._pb import OpenApiMessages_pb2 as pb
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.openapi.errors import LocalError


def test_every_payload_type_of_the_schema_has_its_class() -> None:
    """Each number of the enumeration leads to one class and back."""
    assert set(model.ProtoOAPayloadType.values()) | {50, 51} == set(catalogue.MESSAGES)
    assert {catalogue.type_of(cls) for cls in catalogue.MESSAGES.values()} == set(catalogue.MESSAGES)


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (2123, "ProtoOATraderUpdatedEvent"),
        (2160, "ProtoOASymbolCategoryListReq"),
        (2177, "ProtoOAGetDynamicLeverageByIDReq"),
        (2145, "ProtoOAGetTickDataReq"),
        (2149, "ProtoOAGetAccountListByAccessTokenReq"),
    ],
)
def test_messages_whose_name_differs_from_their_payload_type_are_found(number: int, name: str) -> None:
    """The naming traps of the schema do not matter, because the number is read from the message itself."""
    assert catalogue.MESSAGES[number].DESCRIPTOR.name == name


def test_trading_requests_are_those_without_a_response_of_their_own() -> None:
    """Exactly the five requests that move money have no response type."""
    assert frozenset({2106, 2108, 2109, 2110, 2111}) == catalogue.TRADING


def test_historical_requests_are_the_widest_set_seen() -> None:
    """Trend bars, ticks, deals, orders and cash flow spend the five a second."""
    assert frozenset({2133, 2137, 2143, 2145, 2175}) == catalogue.HISTORICAL


@pytest.mark.parametrize(
    ("request_type", "response"), [(2100, 2101), (2135, 2165), (2136, 2166), (2149, 2150), (2187, 2188)]
)
def test_a_response_is_found_by_name_not_by_number(request_type: int, response: int) -> None:
    """A response does not always have the next number."""
    assert catalogue.RESPONSE_OF[request_type] == response


def test_every_request_either_moves_money_or_has_a_response() -> None:
    """No request is left without a word on what may answer it."""
    assert catalogue.TRADING | catalogue.RESPONSE_OF.keys() == catalogue.REQUESTS
    assert not catalogue.TRADING & catalogue.RESPONSE_OF.keys()


@pytest.mark.parametrize("answer", [2126, 2132, 2142, 50])
def test_a_trading_request_is_answered_by_an_execution_or_a_refusal(answer: int) -> None:
    """Order errors and both generic errors answer an order as well as an execution event does."""
    assert catalogue.may_answer(2106, answer)


@pytest.mark.parametrize(("request_type", "answer"), [(2121, 2126), (2121, 2132), (2121, 2125), (2106, 2122), (51, 51)])
def test_a_foreign_event_with_our_id_answers_nothing(request_type: int, answer: int) -> None:
    """Ids of other sessions reach us too: a message that cannot be an answer is an event."""
    assert not catalogue.may_answer(request_type, answer)


def test_the_account_of_a_message() -> None:
    """A message names its account, or none."""
    assert catalogue.account_of(pb.ProtoOATraderReq(ctidTraderAccountId=7)) == 7
    assert catalogue.account_of(pb.ProtoOAVersionReq()) == 0


def test_a_part_of_a_message_cannot_travel_alone() -> None:
    """Only messages with a payload type fit into an envelope."""
    with pytest.raises(LocalError, match="ProtoOAPosition"):
        catalogue.type_of(model.ProtoOAPosition)


def test_an_unknown_type_is_called_by_its_number() -> None:
    """Log lines can name what the schema does not know."""
    assert catalogue.name_of(2106) == "NewOrderReq"
    assert catalogue.name_of(2191) == "type 2191"
