"""The table of refusals, held against the schema and against itself."""

from __future__ import annotations

import re

import pytest

from cmam.domain.folds.intents import UNLISTED_GONE
from cmam.domain.values.codes import CORRECTABLE, TEMPORARY, UNTOUCHED
from cmam.openapi._pb.OpenApiCommonModelMessages_pb2 import ProtoErrorCode
from cmam.openapi._pb.OpenApiModelMessages_pb2 import ProtoOAErrorCode
from cmam.openapi.outcomes import RULES, UNLISTED, Kind, Retry, rule_for

PUBLISHED = set(ProtoErrorCode.keys()) | set(ProtoOAErrorCode.keys())


def test_every_published_code_has_a_row_and_no_row_is_invented() -> None:
    """The table covers both enumerations, exactly."""
    assert set(RULES) == PUBLISHED


@pytest.mark.parametrize("code", sorted(PUBLISHED))
def test_each_row_can_be_read_by_a_person(code: str) -> None:
    """A sentence and a cure, both whole sentences, stand in each row."""
    rule = RULES[code]
    for words in (rule.sentence, rule.cure):
        assert re.fullmatch(r"[A-Zc].*[.]", words), words
        assert "  " not in words
        assert len(words) > 15


@pytest.mark.parametrize("code", sorted(PUBLISHED))
def test_kind_and_retry_fit_together(code: str) -> None:
    """What is permanent or done is never repeated, what is unknown only after proof, what is temporary by time."""
    rule = RULES[code]
    allowed = {
        Kind.PERMANENT: {Retry.NEVER},
        Kind.DONE: {Retry.NEVER},
        Kind.GONE: {Retry.NEVER},
        Kind.CORRECTABLE: {Retry.AFTER_CORRECTION},
        Kind.UNKNOWN: {Retry.AFTER_PROOF},
        Kind.SESSION: {Retry.AFTER_AUTHORISATION},
        Kind.TOKEN: {Retry.AFTER_REFRESH},
        Kind.MAINTENANCE: {Retry.AFTER_MAINTENANCE},
        Kind.TEMPORARY: {Retry.SHORTLY, Retry.BACK_OFF, Retry.RETRY_AFTER, Retry.NEXT_SESSION},
    }
    assert rule.retry in allowed[rule.kind]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ALREADY_LOGGED_IN", Kind.DONE),
        ("CH_CLIENT_ALREADY_AUTHENTICATED", Kind.DONE),
        ("ALREADY_SUBSCRIBED", Kind.DONE),
        ("POSITION_NOT_FOUND", Kind.GONE),
        ("ORDER_NOT_FOUND", Kind.GONE),
        ("TIMEOUT_ERROR", Kind.UNKNOWN),
        ("UNKNOWN_ERROR", Kind.UNKNOWN),
        ("CH_ACCESS_TOKEN_INVALID", Kind.TOKEN),
        ("OA_AUTH_TOKEN_EXPIRED", Kind.TOKEN),
        ("SERVER_IS_UNDER_MAINTENANCE", Kind.MAINTENANCE),
        ("CANT_ROUTE_REQUEST", Kind.TEMPORARY),
        ("TRADING_BAD_VOLUME", Kind.CORRECTABLE),
        ("NOT_ENOUGH_MONEY", Kind.PERMANENT),
    ],
)
def test_the_codes_on_which_money_hangs(code: str, kind: Kind) -> None:
    """The kinds that decide whether something is sent again."""
    assert RULES[code].kind is kind


@pytest.mark.parametrize("code", ["A_CODE_NOBODY_KNOWS", "", "market_closed"])
def test_an_unknown_code_is_permanent(code: str) -> None:
    """Codes outside the table have been seen; none of them is tried again, and the sentence names it."""
    rule = rule_for(code)
    assert (rule.kind, rule.retry) == (Kind.PERMANENT, Retry.NEVER)
    assert code in rule.sentence


@pytest.mark.parametrize("code", ["POSITION_NOT_FOUND_OR_NOT_OPENED", "ALREADY_CLOSED"])
def test_what_servers_say_of_a_closed_position_by_other_names_is_known(code: str) -> None:
    """No list has them; the domain, which looks whether it is gone, has the same two."""
    assert (rule_for(code).kind, set(UNLISTED)) == (Kind.GONE, set(UNLISTED_GONE))


def test_an_invalid_request_may_mean_that_the_account_is_not_authorised() -> None:
    """Live servers say INVALID_REQUEST with this text where the schema has a code."""
    assert rule_for("INVALID_REQUEST", "Trading account is not authorized") is RULES["ACCOUNT_NOT_AUTHORIZED"]


def test_nothing_to_amend_is_done() -> None:
    """Levels that already stand need no second amend and no alarm."""
    assert rule_for("INVALID_REQUEST", "Nothing to amend.").kind is Kind.DONE


@pytest.mark.parametrize("code", ["NOT_ENOUGH_MONEY", "TRADING_BAD_STOPS", "SOMETHING_ELSE"])
def test_no_other_description_is_read(code: str) -> None:
    """Texts change; outside INVALID_REQUEST they change nothing."""
    assert rule_for(code, "Trading account is not authorized. Nothing to amend.") == rule_for(code)


def test_an_invalid_request_with_any_other_text_is_permanent() -> None:
    """The text alone never makes a request repeatable."""
    assert rule_for("INVALID_REQUEST", "Relative stop loss has invalid precision").kind is Kind.PERMANENT


def test_what_the_domain_knows_of_codes_is_what_the_table_says() -> None:
    """An order that is rejected is told with its code alone: it is tried again after the same codes as a request that
    is refused at once. What fresh numbers cure of an open is among what the table calls correctable."""
    for_now = (Kind.TEMPORARY, Kind.MAINTENANCE, Kind.SESSION, Kind.TOKEN)
    assert {code for code, rule in RULES.items() if rule.kind in for_now} == TEMPORARY
    assert {code for code, rule in RULES.items() if rule.kind is Kind.CORRECTABLE} >= set(CORRECTABLE)
    assert RULES.keys() >= UNTOUCHED - {"LOCAL"}
