"""What is read out of turn of a long list, since something waits for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from cmam.actors.asking.listing import Listing
from cmam.actors.asking.question import Question
from cmam.actors.asking.shelf import SAMPLE, SpecShelf
from cmam.domain.belief.view import AccountView
from cmam.domain.values.ids import AccountId, SymbolId
from cmam.domain.values.symbols import SymbolName, SymbolSpec
from tests.unit.actors.test_shelf import NAMES, Reader, spec

FAR = SymbolId(250)


def _asked(reader: Reader) -> list[list[int]]:
    return [list(one.message.symbolId) for one in reader.open if one.name.startswith("specs ")]


def test_a_symbol_that_is_needed_is_asked_for_once_and_known_before_the_others() -> None:
    """Its answer counts at once, while the sample is still on its way; nobody asks twice."""
    reader = Reader(1, SpecShelf())
    assert FAR not in _asked(reader)[0]
    reader.open += reader.way.need(FAR)
    assert _asked(reader)[1:] == [[FAR]]
    assert reader.way.need(FAR) == ()
    assert reader.way.lacks(FAR)
    reader.answer(f"specs alone {FAR}", (spec(FAR),))
    assert (reader.way.lacks(FAR), reader.way.lacks(SymbolId(1))) == (False, True)


def test_a_batch_that_is_answered_with_nothing_is_asked_for_in_halves() -> None:
    """With an id that it does not know any more a broker may tell of none of a batch: fifty symbols opened nothing. One
    that is gone is found in some steps, all others are read, and it is not asked for again."""
    reader = Reader(1, SpecShelf())
    asked: list[int] = []
    while reader.open:
        question = reader.open[0]
        numbers = [int(number) for number in question.message.symbolId]
        asked += [FAR] * (numbers == [FAR])
        reader.answer(question.name, () if FAR in numbers else tuple(spec(number) for number in numbers))
    assert (reader.is_done, asked) == (True, [FAR])
    assert {name.symbol for name in NAMES} - reader.way.specs.keys() == {FAR}


def test_a_symbol_that_the_broker_leaves_out_is_not_asked_for_again_and_again() -> None:
    """It is lacking until all is read, and then no more: what is on record of it counts."""
    reader = Reader(1, SpecShelf())
    reader.open += reader.way.need(FAR)
    reader.answer(f"specs alone {FAR}", ())
    assert (reader.way.lacks(FAR), reader.way.need(FAR)) == (True, ())
    while reader.open:
        reader.answer_specs()
    assert (reader.way.is_done, reader.way.lacks(FAR)) == (True, False)


def test_a_symbol_that_is_needed_before_the_list_is_known_comes_with_the_sample() -> None:
    """Nothing can be asked of it before; then it stands first."""
    way = Listing(AccountView(account=AccountId(1)), {}, is_live=False, follows=False, shelf=SpecShelf())
    way.begin()
    assert (way.need(FAR), way.lacks(FAR)) == ((), True)
    way.answered("assets", (), AccountView(account=AccountId(1)))
    _, (sample,) = way.answered("symbols", NAMES, AccountView(account=AccountId(1)))
    asked = list(sample.message.symbolId)
    assert (asked[0], len(asked)) == (FAR, SAMPLE)


def test_a_symbol_that_is_not_in_the_list_is_not_waited_for() -> None:
    """Nobody will ever tell of it."""
    reader = Reader(1, SpecShelf())
    assert not reader.way.lacks(SymbolId(9_999))


def test_a_symbol_that_is_needed_stands_first_before_what_was_ever_traded() -> None:
    """Of two hundred symbols on record only some fit into the sample: what something waits for is among them."""
    specs = {SymbolId(number): spec(number) for number in range(1, 201)}
    view = AccountView(account=AccountId(1), specs=specs)
    way = Listing(view, {}, is_live=False, follows=False, shelf=SpecShelf())
    way.begin()
    way.need(FAR)
    way.answered("assets", (), view)
    _, (sample,) = way.answered("symbols", NAMES, view)
    asked = list(sample.message.symbolId)
    assert (asked[0], len(asked)) == (FAR, SAMPLE)


def test_what_was_asked_alone_is_not_taken_for_a_sample_that_begins_with_it() -> None:
    """An answer of the reading before would stand for a hundred symbols, of which it tells one."""
    before = Reader(1, SpecShelf())
    (alone,) = before.way.need(FAR)
    view = AccountView(account=AccountId(1), specs={FAR: spec(FAR)})
    way = Listing(view, {}, is_live=False, follows=False, shelf=SpecShelf())
    way.begin()
    way.answered("assets", (), view)
    _, (sample,) = way.answered("symbols", NAMES, view)
    assert sample.message.symbolId[0] == alone.message.symbolId[0] == FAR
    assert not way.expects(alone.name)


OTHERS = tuple(replace(name, name=f"{name.name}.new") if name.symbol == FAR else name for name in NAMES)
"""The list with another name for one of its symbols."""


def _on_record(specs: Mapping[SymbolId, SymbolSpec] | None = None) -> tuple[AccountView, Listing]:
    """An account whose list is on record, and a reading on a new line, of which these specifications have come."""
    blank = AccountView(account=AccountId(1))
    way = Listing(blank, {}, is_live=False, follows=False, shelf=SpecShelf())
    way.begin()
    way.answered("assets", (), blank)
    way.answered("symbols", NAMES, blank)
    view = replace(blank, symbol_digest=way.digest, names={name.name: name for name in NAMES})
    way = Listing(view, specs or {}, is_live=False, follows=False, shelf=SpecShelf())
    way.begin()
    return view, way


def _listed(way: Listing, view: AccountView, names: tuple[SymbolName, ...] = NAMES) -> tuple[Question, ...]:
    """Tell the list, and answer what is asked then."""
    way.answered("assets", (), view)
    return way.answered("symbols", names, view)[1]


def test_a_symbol_on_record_is_read_before_the_list_and_not_again() -> None:
    """An open waits for it alone; the sample goes without it."""
    view, way = _on_record()
    (early,) = way.need(FAR)
    assert list(early.message.symbolId) == [FAR]
    assert way.answered(early.name, (spec(FAR),), view) == ((), ())
    assert not way.lacks(FAR)
    (sample,) = _listed(way, view)
    assert FAR not in sample.message.symbolId


def test_what_was_read_by_another_list_is_read_again() -> None:
    """It may be called otherwise by now, or be in another currency."""
    view, way = _on_record()
    (early,) = way.need(FAR)
    way.answered(early.name, (spec(FAR),), view)
    (sample,) = _listed(way, view, OTHERS)
    assert way.lacks(FAR)
    assert sample.message.symbolId[0] == FAR


def test_an_answer_by_another_list_counts_for_nothing() -> None:
    """It was on its way as the new one came."""
    view, way = _on_record()
    (early,) = way.need(FAR)
    (sample,) = _listed(way, view, OTHERS)
    way.answered(early.name, (spec(FAR),), view)
    assert way.lacks(FAR)
    assert sample.message.symbolId[0] == FAR


def test_a_reading_is_not_through_before_what_was_asked_first() -> None:
    """All else is known as the list comes: what an open waits for is still to be told."""
    view, way = _on_record({name.symbol: spec(name.symbol) for name in NAMES if name.symbol != FAR})
    (early,) = way.need(FAR)
    assert _listed(way, view) == ()
    assert (way.is_done, way.lacks(FAR)) == (False, True)
    way.answered(early.name, (spec(FAR),), view)
    assert (way.is_done, way.lacks(FAR)) == (True, False)
