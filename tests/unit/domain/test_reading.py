"""Opens, adds and pending orders in a symbol of which the broker has yet to tell, on this line, what it allows."""

from __future__ import annotations

from dataclasses import replace

from cmam.domain.changes import ChangeKind
from cmam.domain.commands import CommandKind
from cmam.domain.copies import CopyState
from cmam.domain.events import SymbolSpecSeen, Wait
from cmam.domain.quantities import Side, Volume
from cmam.domain.reasons import Reason, Verdict
from tests.factories import LOT, Pair, a_spec


def _held() -> Pair:
    """A copy of one lot, and a line on which nothing has been read yet."""
    pair = Pair()
    pair.opens()
    pair.answer()
    pair.reading = True
    return pair


def test_an_open_waits_as_long_as_it_may_be_copied() -> None:
    """With quotes and all: it is sized by what is read, and waits for that as long as the change is young enough."""
    pair = Pair(reading=True)
    decided = pair.opens()
    assert (decided.verdict, decided.wait, pair.sent) == (Verdict.COPY, Wait.QUOTES, [])
    assert decided.wait_until_us == decided.not_after_us > 0
    pair.reading = False
    pair.wake()
    assert [(command.kind, command.volume) for command in pair.commands] == [(CommandKind.OPEN, LOT)]


def test_an_open_that_is_read_for_too_long_is_a_skip() -> None:
    """Nothing goes out by what was known before; the end has its reason."""
    pair = Pair(reading=True)
    decided = pair.opens()
    pair.passes(decided.not_after_us - pair.now_us + 1_000_001)
    assert (pair.sent, pair.copy.reason, pair.copy.state.is_end) == ([], Reason.STALE_INPUT, True)


def test_an_open_in_what_is_read_to_have_changed_is_not_opened() -> None:
    """The step is another one than on record: a person has to look first."""
    pair = Pair(reading=True)
    pair.opens()
    pair.reading = False
    pair.fact(SymbolSpecSeen(spec=replace(a_spec(), step_volume=Volume(5 * a_spec().step_volume))))
    pair.wake()
    assert (pair.sent, pair.copy.reason) == ([], Reason.SYMBOL_CHANGED)


def test_an_add_and_a_pending_order_wait_too() -> None:
    """Both are opens for every gate."""
    pair = _held()
    pair.grows(LOT, 2 * LOT)
    pair.wake()
    assert pair.order().wait is Wait.QUOTES
    assert [command.kind for command in pair.commands] == [CommandKind.OPEN]
    pair.reading = False
    pair.wake()
    assert sorted(command.kind for command in pair.commands[1:]) == [CommandKind.ADD, CommandKind.PLACE]


def test_what_takes_risk_away_waits_for_nothing() -> None:
    """A part, then the whole of what the leader closes, while the add before them waits."""
    pair = _held()
    pair.grows(LOT, 2 * LOT)
    pair.reduces(2 * LOT, LOT)
    pair.answer()
    pair.closes()
    assert [command.kind for command in pair.commands][-1] is CommandKind.CLOSE
    pair.answer()
    pair.reading = False
    pair.wake()
    assert (pair.copy.state, len([1 for command in pair.commands if command.kind.adds_risk])) == (CopyState.CLOSED, 1)


def test_of_a_reversal_the_close_goes_and_the_open_waits() -> None:
    """The old side is closed at once, the new one opens with what is read."""
    pair = _held()
    pair.tell(pair.change(ChangeKind.REVERSED, side=Side.SELL, before=LOT, after=LOT, volume=LOT))
    assert [command.kind for command in pair.commands][1:] == [CommandKind.CLOSE]
    pair.answer()
    pair.wake()
    assert [command.kind for command in pair.commands][2:] == []
    pair.reading = False
    pair.wake()
    assert [command.kind for command in pair.commands][2:] == [CommandKind.OPEN]
