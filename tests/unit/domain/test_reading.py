"""Opens, adds and pending orders in a symbol of which the broker has yet to tell, on this line, what it allows."""

from __future__ import annotations

from dataclasses import replace

from cmam.domain.belief.copies import CopyState
from cmam.domain.events import SymbolSpecSeen, Wait
from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.reasons import Reason, Verdict
from cmam.domain.values.rules.opens import UNREAD_WAIT
from cmam.domain.values.symbols import SymbolSpec
from tests.factories import LOT, QUOTES, Pair, a_spec, a_view


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


def _unread(*specs: SymbolSpec, settings: dict[str, str] | None = None) -> Pair:
    """A follower whose list of symbols is known, and nothing of what they allow."""
    view = replace(a_view(specs), specs={})
    quotes = {**QUOTES, **{spec.name: QUOTES["EURUSD"] for spec in specs}}
    return Pair(settings or {}, view=view, reading=True, quotes=quotes)


def _read(pair: Pair, *specs: SymbolSpec) -> None:
    pair.reading = False
    for spec in specs:
        pair.fact(SymbolSpecSeen(spec=spec))
    pair.wake()


def test_an_open_in_a_symbol_of_which_nothing_is_on_record_waits_for_it() -> None:
    """It stands on record as any that waits, and is sized once that is read."""
    pair = _unread()
    decided = pair.opens()
    assert (decided.verdict, decided.wait, decided.symbol) == (Verdict.COPY, Wait.QUOTES, a_spec().symbol)
    assert decided.wait_until_us == decided.not_after_us > 0
    _read(pair, a_spec())
    assert [(command.kind, command.volume) for command in pair.commands] == [(CommandKind.OPEN, LOT)]


def test_a_symbol_that_the_broker_never_tells_of_is_unmapped() -> None:
    """All is read, and nothing of it came; nor is it waited for where nothing is being read."""
    pair = _unread()
    pair.opens()
    _read(pair)
    assert (pair.sent, pair.copy.reason) == ([], Reason.UNMAPPED_SYMBOL)
    later = _unread()
    later.reading = False
    assert later.opens().reason is Reason.UNMAPPED_SYMBOL


def test_which_of_two_names_that_are_alike_it_is_turns_out_as_both_are_read() -> None:
    """The first that it may be has another lot size: the copy is in the second, and all that follows is asked of it."""
    mini = replace(a_spec("EURUSD.m", 11), lot_size=LOT // 10)
    same = a_spec("EURUSD.r", 12)
    pair = _unread(mini, same)
    assert pair.opens().symbol == mini.symbol
    _read(pair, mini, same)
    assert [(command.kind, command.symbol) for command in pair.commands] == [(CommandKind.OPEN, same.symbol)]
    assert pair.copy.symbol == same.symbol


def test_a_row_of_the_table_is_waited_for_as_a_name_is() -> None:
    """The broker has it, and has not told yet what it allows."""
    other = a_spec("EURUSD_spread", 11)
    pair = _unread(other, settings={"symbols.table": "leader_symbol,follower_symbol\nEURUSD,EURUSD_spread"})
    assert pair.opens().symbol == other.symbol
    _read(pair, other)
    assert [(command.kind, command.symbol) for command in pair.commands] == [(CommandKind.OPEN, other.symbol)]


def test_what_waits_for_its_symbol_has_the_levels_of_now() -> None:
    """He sets a stop before it is known what the symbol allows: the open carries it."""
    pair = _unread()
    pair.opens()
    pair.protects(stop="1.09")
    _read(pair, a_spec())
    (command,) = pair.commands
    assert command.relative_stop is not None
    assert command.relative_target is None


def test_an_open_that_is_too_old_does_not_wait_for_its_symbol() -> None:
    """Nothing that is read could let it be copied."""
    pair = _unread()
    decided = pair.opens(at_ms=pair.now_us // 1_000 - 31_000)
    assert (decided.verdict, decided.reason) == (Verdict.SKIP, Reason.TOO_OLD)


def test_by_older_rules_it_was_unmapped() -> None:
    """A log of before tells it so for ever."""
    pair = _unread()
    pair.view = replace(pair.view, rules=UNREAD_WAIT - 1)
    assert pair.opens().reason is Reason.UNMAPPED_SYMBOL
