"""Accounts that share what they would each have read: specifications of one broker, with a sample of one's own."""

from __future__ import annotations

from dataclasses import replace

from cmam.actors.asking.listing import LOOKS_MAX, SHELF, Listing
from cmam.actors.asking.question import Question
from cmam.actors.asking.shelf import SAMPLE, SEEK_US, SEEKER_US, SOON_US, SpecShelf, sample_of
from cmam.domain.belief.view import AccountView
from cmam.domain.values.ids import AccountId, SymbolId
from cmam.domain.values.symbols import SymbolName, SymbolSpec

NAMES = tuple(SymbolName(symbol=SymbolId(number), name=f"S{number}") for number in range(1, 251))


def spec(number: int, *, lot: int = 100) -> SymbolSpec:
    """One specification as a broker gives it, a new object each time."""
    return replace(SymbolSpec(symbol=SymbolId(number), name=f"S{number}"), sl_distance=lot)


class Reader:
    """An account that reads what its broker offers, and a broker that answers it."""

    def __init__(
        self, account: int, shelf: SpecShelf, *, lot: int = 100, names: tuple[SymbolName, ...] = NAMES
    ) -> None:
        self.view = AccountView(account=AccountId(account))
        self.way = Listing(self.view, {}, is_live=False, follows=False, shelf=shelf)
        self.lot = lot
        self.read = 0
        self.open: list[Question] = list(self.way.begin())
        self.answer("assets", ())
        self.answer("symbols", names)

    def answer(self, question: str, report: object) -> None:
        """Answer one question."""
        self.open = [one for one in self.open if one.name != question]
        _, asked = self.way.answered(question, report, self.view)
        self.open += asked

    def answer_specs(self, *, without: frozenset[int] = frozenset()) -> None:
        """Answer everything about specifications that is asked now; of some nothing is said."""
        for question in [one for one in self.open if one.name.startswith("specs ")]:
            numbers = list(question.message.symbolId)
            self.read += len(numbers)
            self.answer(question.name, tuple(spec(number, lot=self.lot) for number in numbers if number not in without))

    def look(self) -> None:
        """Look at the shelf again."""
        self.way.is_to_look = False
        self.open += self.way.again(SHELF, self.view)

    @property
    def is_done(self) -> bool:
        """Whether the specifications are there."""
        return self.way.is_done


def test_the_first_reads_everything_and_the_next_a_sample() -> None:
    """Both know every symbol in the end; what they know is one object, kept once."""
    shelf = SpecShelf()
    first = Reader(1, shelf)
    first.answer_specs()
    assert first.read == SAMPLE
    first.answer_specs()
    assert (first.read, first.is_done) == (250, True)
    second = Reader(2, shelf)
    second.answer_specs()
    assert (second.read, second.is_done) == (SAMPLE, True)
    assert second.way.specs == first.way.specs == {number: spec(number) for number in range(1, 251)}
    assert all(second.way.specs[SymbolId(n)] is shelf.match(first.way.family, {})[SymbolId(n)] for n in (1, 77, 250))


def test_while_one_reads_the_others_wait_for_it() -> None:
    """A second account asks for its sample only, looks now and then, and goes on once the set is whole."""
    shelf = SpecShelf()
    first, second = Reader(1, shelf), Reader(2, shelf)
    first.answer_specs()
    second.answer_specs()
    assert (second.way.is_to_look, second.way.expects(SHELF), second.is_done) == (True, True, False)
    second.look()
    assert not second.is_done
    first.answer_specs()
    second.look()
    assert (second.read, second.is_done, second.way.is_to_look) == (SAMPLE, True, False)


def test_what_one_account_was_not_told_the_next_asks_for_itself() -> None:
    """A server may leave symbols out of an answer: a set that lacks them makes nobody else lack them too."""
    shelf, lacking = SpecShelf(), frozenset({2, 4})
    assert not lacking & {name.symbol for name in sample_of(NAMES, frozenset())}, "a sample would tell"
    first = Reader(1, shelf)
    first.answer_specs(without=lacking)
    first.answer_specs(without=lacking)
    assert first.is_done
    assert SymbolId(2) not in first.way.specs
    second = Reader(2, shelf)
    while second.open and not second.is_done:
        second.answer_specs()
    assert second.way.specs.keys() == {name.symbol for name in NAMES}
    third = Reader(3, shelf)
    while third.open and not third.is_done:
        third.answer_specs(without=lacking)
    assert third.is_done
    assert third.way.specs.keys() == first.way.specs.keys()


def test_another_group_of_the_same_broker_reads_for_itself() -> None:
    """Equal lists with other specifications share nothing but the list; each group has its own set."""
    shelf = SpecShelf()
    first = Reader(1, shelf)
    first.answer_specs()
    first.answer_specs()
    other = Reader(2, shelf, lot=200)
    other.answer_specs()
    other.answer_specs()
    assert (other.read, other.way.specs[SymbolId(250)].sl_distance) == (250, 200)
    third = Reader(3, shelf, lot=200)
    third.answer_specs()
    assert (third.read, third.way.specs[SymbolId(3)].sl_distance) == (SAMPLE, 200)


def test_who_reads_may_fail_without_holding_up_the_others() -> None:
    """Its lost line lets the next one read; and who has looked for a minute reads for itself."""
    shelf = SpecShelf()
    first, second, third = Reader(1, shelf), Reader(2, shelf), Reader(3, shelf)
    for reader in (first, second, third):
        reader.answer_specs()
    first.way.give_up()
    second.look()
    assert [one for one in second.open if one.name.startswith("specs ")]
    for _ in range(LOOKS_MAX):
        assert not third.is_done
        third.look()
    third.answer_specs()
    assert (third.read, third.is_done) == (250, True)


def test_a_change_at_the_broker_takes_sets_away_also_one_that_is_being_read() -> None:
    """What was read before a change is never what another account trades by."""
    shelf = SpecShelf()
    first = Reader(1, shelf)
    first.answer_specs()
    shelf.forget(first.way.family)
    first.answer_specs()
    assert first.is_done
    second = Reader(2, shelf)
    second.answer_specs()
    assert not second.is_done, "it reads for itself"
    second.answer_specs()
    shelf.forget(second.way.family)
    third = Reader(3, shelf)
    third.answer_specs()
    assert not third.is_done


def test_a_short_list_is_one_request_as_ever() -> None:
    """Up to a hundred symbols nothing is shared but the objects."""
    shelf = SpecShelf()
    readers = [Reader(number, shelf, names=NAMES[:30]) for number in (1, 2)]
    for reader in readers:
        reader.answer_specs()
        assert (reader.read, reader.is_done) == (30, True)
    assert readers[0].way.specs[SymbolId(7)] is readers[1].way.specs[SymbolId(7)]


def test_the_sample_has_what_is_held_and_is_spread_over_the_list() -> None:
    """A hundred different symbols, the held ones among them, no stretch of the list left out."""
    sample = sample_of(NAMES, frozenset({SymbolId(3), SymbolId(248)}))
    numbers = [int(name.symbol) for name in sample]
    assert len(set(numbers)) == SAMPLE
    assert {3, 248} <= set(numbers)
    ordered = sorted(numbers)
    assert max(later - earlier for earlier, later in zip([0, *ordered], [*ordered, 251], strict=True)) <= 4


A, B = AccountId(1), AccountId(2)
GOLD, OIL = "XAUUSD", "XTIUSD"


def test_a_list_that_is_old_is_read_by_one_for_all() -> None:
    """A young one by nobody; who reads it has the others wait, half a minute at most, or until the line is cut."""
    shelf = SpecShelf()
    assert not shelf.may_seek("demo x", GOLD, A, 5)
    shelf.listed("demo x", "", 5)
    assert not shelf.may_seek("demo x", GOLD, A, 4 + SOON_US)
    assert shelf.may_seek("demo x", GOLD, A, 5 + SEEK_US)
    assert not shelf.may_seek("demo x", GOLD, B, 5 + SEEK_US)
    assert shelf.is_sought("demo x", 5 + SEEK_US)
    assert shelf.may_seek("demo x", GOLD, B, 5 + SEEK_US + SEEKER_US)
    shelf.stop_seeking(B)
    assert not shelf.is_sought("demo x", 5 + SEEK_US + SEEKER_US)
    assert shelf.may_seek("demo x", GOLD, A, 5 + SEEK_US + SEEKER_US)
    shelf.listed("demo x", "demo x", 6 + SEEK_US + SEEKER_US)
    assert not shelf.is_sought("demo x", 7 + SEEK_US + SEEKER_US)
    assert not shelf.may_seek("demo x", GOLD, B, 7 + SEEK_US + SEEKER_US)


def test_a_list_of_a_minute_ago_is_read_for_what_nobody_has_missed_in_it() -> None:
    """What was missing in it then waits until it is old, however often it is missed."""
    shelf, read_us = SpecShelf(), 5 + SOON_US
    shelf.listed("demo x", "", 5)
    assert not shelf.may_seek("demo x", GOLD, A, read_us - 1)
    assert shelf.may_seek("demo x", GOLD, A, read_us)
    shelf.listed("demo x", "demo x", read_us + 1)
    assert not shelf.may_seek("demo x", OIL, A, read_us + SOON_US)
    assert not shelf.may_seek("demo x", GOLD, A, read_us + SEEK_US - 1)
    assert shelf.may_seek("demo x", OIL, A, read_us + SEEK_US - 1)
    shelf.listed("demo x", "demo x", read_us + SEEK_US)
    assert not shelf.may_seek("demo x", GOLD, A, read_us + SEEK_US + 1)
    assert shelf.may_seek("demo x", GOLD, A, read_us + SEEK_US + SOON_US)
    shelf.stop_seeking(A)
    assert shelf.may_seek("demo x", GOLD, B, read_us + SEEK_US + SOON_US)


def test_a_list_that_has_become_another_is_read_by_all_who_have_it() -> None:
    """Until one of them finds that it is still his."""
    shelf = SpecShelf()
    shelf.listed("demo x", "", 5)
    shelf.listed("demo y", "demo x", 6)
    assert shelf.may_seek("demo x", GOLD, A, 7)
    assert shelf.may_seek("demo x", GOLD, B, 7)
    assert not shelf.may_seek("demo y", GOLD, A, 7)
    shelf.listed("demo x", "demo x", 8)
    assert not shelf.may_seek("demo x", GOLD, B, 9)
