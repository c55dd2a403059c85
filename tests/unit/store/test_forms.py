"""The forms of records: what is left out is known for ever, and old records read as they always did."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from cmam.domain.events import (
    ChangeDecided,
    Event,
    ExecutionSeen,
    Goal,
    Inputs,
    IntentRecorded,
    Reconciled,
    Step,
)
from cmam.domain.values.changes import Change, ChangeKind, LeaderSymbol
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import (
    AccountId,
    ChangeKey,
    DealId,
    IntentId,
    LinkId,
    OrderId,
    PositionId,
    ProfileId,
    SourceKey,
    SymbolId,
)
from cmam.domain.values.quantities import Price, Quote, Side, Volume
from cmam.domain.values.reasons import Verdict
from cmam.domain.values.replacing import replace
from cmam.domain.values.trades import Deal, ExecutionKind, Order, OrderType, Position
from cmam.store.records import envelope, forms
from cmam.store.records.envelope import Decoding, Pending, Raw, UnknownEvent, encode, encode_whole, event_bytes, said_in
from cmam.store.records.forms import FORM, LATER, ROWS, without_later
from scripts.freeze_forms import fields_now, frozen

QUOTE = Quote(Price(108_499_000), Price(108_508_000), 1_577_836_800_000, 1_577_836_800_000_001)
ORDER = Order(
    order=OrderId(7),
    symbol=SymbolId(1),
    side=Side.BUY,
    type=OrderType.MARKET,
    volume=Volume(5_000_000),
    execution_price=Price(108_508_000),
    position=PositionId(5),
    client_order_id="cm1.abcde.l1nk01.papsx.1",
    label="cm1.abcde.l1nk01.papsx",
    opened_ms=1_577_836_800_000,
    updated_ms=1_577_836_800_040,
)
POSITION = Position(
    position=PositionId(5),
    symbol=SymbolId(1),
    side=Side.BUY,
    volume=Volume(5_000_000),
    label="cm1.abcde.l1nk01.papsx",
    updated_ms=1_577_836_800_040,
)
DEAL = Deal(
    deal=DealId(9),
    order=OrderId(7),
    position=PositionId(5),
    symbol=SymbolId(1),
    side=Side.BUY,
    volume=Volume(5_000_000),
    filled_volume=Volume(5_000_000),
    price=Price(108_508_000),
    executed_ms=1_577_836_800_040,
    created_ms=1_577_836_800_000,
)
FILLED = ExecutionSeen(
    kind=ExecutionKind.ORDER_FILLED,
    order=ORDER,
    position=POSITION,
    deal=DEAL,
    client_msg_id="cm1.abcde.l1nk01.papsx.1",
)
DECIDED = ChangeDecided(
    link=LinkId("l1nk01"),
    profile=ProfileId("pr0f1l"),
    change=Change(
        key=ChangeKey("deal:1"),
        kind=ChangeKind.OPENED,
        source=SourceKey("papsx"),
        leader=AccountId(1),
        at_ms=1,
        symbol=LeaderSymbol(name="EURUSD", digits=5, pip_position=4, lot_size=Volume(10_000_000)),
        side=Side.BUY,
        volume=Volume(10_000_000),
        after=Volume(10_000_000),
        price=Price(108_508_000),
        quote=QUOTE,
    ),
    cause_version=1,
    cause_index=0,
    settings_version=1,
    verdict=Verdict.COPY,
    side=Side.BUY,
    goal=Goal(target_numerator=5, leader_volume=Volume(10_000_000), leader_price=Price(108_508_000)),
    working=(Step(name="raw", value="5"), Step(name="rounded", value="5", note="down")),
    inputs=Inputs(quotes={"EURUSD": QUOTE}, leader_quote=QUOTE),
)


def _raw(event: Event, state: bytes) -> Raw:
    return Raw(1, "account:1", 1, event.TOPIC, state)


def _pending(event: Event) -> Pending:
    return Pending("account:1", 1, 5, event, ("account:2", 3), 4)


def _data(event: Event) -> Any:
    return json.loads(encode(_pending(event), "1.0", "0"))["data"]


def _back(event: Event) -> Event:
    return Decoding().read(_raw(event, encode(_pending(event), "1.0", "0"))).event


# --- what is never changed ------------------------------------------------------------------------------------------


def test_no_stored_field_changes_its_default_or_its_place() -> None:
    """A record leaves out what is at its default, so a default is part of every record there is.

    A new field has one, belongs into LATER under a new form where records of this form are about already, and is frozen
    by scripts/freeze_forms.py.
    """
    now, then = fields_now(), frozen()
    for name, fields in now.items():
        assert name in then, f"{name} is new: freeze it with scripts/freeze_forms.py"
        changed = {field: entry for field, entry in fields.items() if then[name].get(field) != entry}
        assert not changed, f"{name}: {changed} is not what was frozen"
    for row in ROWS:
        assert list(now[row.__name__]) == list(then[row.__name__]), "the order of a row's fields is how it is stored"


def test_every_later_field_has_a_form_above_the_first_short_one() -> None:
    """Else records of the form before would be read as if they had known it."""
    assert all(2 < form <= FORM for form in LATER.values())


# --- short ----------------------------------------------------------------------------------------------------------


def test_a_field_at_its_default_is_not_written_and_read_as_it_was() -> None:
    """It would be said in every record, and says nothing."""
    command = Command(kind=CommandKind.OPEN, symbol=SymbolId(1), side=Side.BUY, volume=Volume(1_000))
    event = IntentRecorded(intent=IntentId("a"), link=LinkId("b"), source=SourceKey("c"), seq=1, command=command)
    assert set(_data(event)) == {"intent", "link", "source", "seq", "command"}
    assert set(_data(event)["command"]) == {"kind", "symbol", "side", "volume"}
    assert _back(event) == event
    assert event_bytes(_back(event)) == event_bytes(event)


def test_what_one_part_says_the_others_do_not_repeat() -> None:
    """Position and deal of an order say what differs from it."""
    data = _data(FILLED)
    assert data["position"] == {"side": "buy", "volume": 5_000_000}
    assert data["deal"] == {"deal": 9}
    assert "client_msg_id" not in data
    assert _back(FILLED) == FILLED


@pytest.mark.parametrize(
    ("part", "field", "value"),
    [
        ("position", "label", ""),
        ("position", "updated_ms", 0),
        ("deal", "filled_volume", Volume(1)),
        ("deal", "volume", Volume(1)),
        ("deal", "price", None),
        ("deal", "side", Side.SELL),
        ("", "client_msg_id", ""),
    ],
)
def test_what_differs_is_written_even_if_it_is_nothing(part: str, field: str, value: Any) -> None:
    """Left out means the same as the other, so nothing must be said aloud."""
    owner = getattr(FILLED, part) if part else FILLED
    other = dataclasses.replace(owner, **{field: value})
    event = dataclasses.replace(FILLED, **{part: other}) if part else other
    assert field in (_data(event)[part] if part else _data(event))
    assert _back(event) == event


def test_a_report_without_an_order_says_everything_itself() -> None:
    """There is nobody to tell it."""
    event = dataclasses.replace(FILLED, order=None)
    assert _data(event)["deal"]["executed_ms"] == DEAL.executed_ms
    assert _back(event) == event


def test_a_decision_names_volumes_prices_and_quotes_once() -> None:
    """The leader's change says them; rows stand for quotes and steps."""
    data = _data(DECIDED)
    assert data["goal"] == {"target_numerator": 5}
    assert data["inputs"] == {"quotes": {"EURUSD": list(dataclasses.astuple(QUOTE))}}
    assert data["working"] == [["raw", "5", ""], ["rounded", "5", "down"]]
    assert "after" not in data["change"]
    assert _back(DECIDED) == DECIDED
    apart = dataclasses.replace(DECIDED, inputs=Inputs(leader_quote=None), side=None)
    assert _data(apart)["inputs"] == {"leader_quote": None}
    assert _back(apart) == apart


def test_a_number_that_is_not_one_object_is_always_written() -> None:
    """Whether it is left out would depend on how it came about, and the bytes must not."""
    event = Reconciled(positions=(), orders=(), settle_us=int("10000000"))
    assert _data(event) == {"positions": [], "orders": [], "settle_us": 10_000_000}
    assert _data(dataclasses.replace(event, settle_us=10_000_000)) == _data(event)


# --- what does not fit ----------------------------------------------------------------------------------------------


def test_a_fact_that_is_not_what_it_declares_is_recorded_as_it_is() -> None:
    """A slip of a type must not stop an account: the record is written whole."""
    event = dataclasses.replace(FILLED, client_msg_id=5)
    assert json.loads(encode(_pending(event), "1.0", "0"))["data"]["client_msg_id"] == 5


def test_a_record_that_leaves_out_what_nobody_tells_is_kept_unknown() -> None:
    """Forged or damaged, it is no reason to fall over."""
    state = encode(_pending(dataclasses.replace(FILLED, order=None)), "1.0", "0")
    cut = state.replace(b'"executed_ms":1577836800040,', b"")
    assert cut != state
    assert isinstance(Decoding().read(_raw(FILLED, cut)).event, UnknownEvent)


# --- older records --------------------------------------------------------------------------------------------------


def test_a_record_of_the_first_form_reads_as_ever() -> None:
    """Logs of it are about, and stay readable."""
    state = encode_whole(_pending(FILLED), "1.0", "0")
    found = Decoding().read(_raw(FILLED, state))
    assert (found.event, found.cause, found.settings) == (FILLED, ("account:2", 3), 4)
    assert said_in(state, found.event) == json.loads(state)["data"]


def test_what_an_old_record_lacks_can_be_changed_like_anything_else() -> None:
    """A goal of a time before some of its fields takes them on: a fold sets them."""
    whole = json.loads(encode_whole(_pending(DECIDED), "1.0", "0"))
    del whole["data"]["goal"]["wide"]
    found = Decoding().read(_raw(DECIDED, json.dumps(whole).encode())).event
    assert isinstance(found, ChangeDecided)
    assert found.goal is not None
    assert replace(found.goal, wide=5).wide == 5


def test_a_later_field_is_not_held_against_a_record_that_did_not_know_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two records without it, only the newer one says that it was at its default."""
    later = {("ExecutionSeen", "error_code"): FORM + 1, ("Deal", "created_ms"): FORM + 1}
    monkeypatch.setattr(forms, "LATER", later)
    monkeypatch.setattr(envelope, "LATER", later)
    state = encode(_pending(FILLED), "1.0", "0")
    said = said_in(state, FILLED)
    assert "error_code" not in said
    assert "created_ms" not in said["deal"]
    assert said["deal"]["executed_ms"] == DEAL.executed_ms
    newer = state.replace(f'"form":{FORM}'.encode(), f'"form":{FORM + 1}'.encode())
    assert without_later(said_in(newer, FILLED), FILLED, FORM + 1)["error_code"] == ""
