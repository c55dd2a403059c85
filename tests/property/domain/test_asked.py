"""What is kept beside the open requests is what looking at each of them would tell."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cmam.domain.belief.asked import (
    FEW,
    LATER_MAX,
    Intents,
    adding,
    gone,
    of_copy,
    placing,
    with_intent,
    without_intent,
)
from cmam.domain.belief.copies import Intent, IntentState
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import IntentId, LinkId, SourceKey, SymbolId
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.replacing import replace

NAMES = [IntentId(f"i{number}") for number in range(2 * FEW)]

COMMANDS = [
    Command(kind=kind, symbol=SymbolId(symbol), side=Side.BUY, volume=Volume(100))
    for kind in CommandKind
    for symbol in (1, 2)
]


@st.composite
def intents(draw: st.DrawFn) -> Intent:
    """A request of few names, copies and symbols, so that they meet: a fold takes whatever history holds."""
    return Intent(
        intent=draw(st.sampled_from(NAMES)),
        link=LinkId("000001"),
        source=draw(st.sampled_from([SourceKey("p0"), SourceKey("p1")])),
        seq=1,
        command=draw(st.sampled_from(COMMANDS)),
        volume_before=Volume(0),
        attempt=1,
        recorded_us=1,
        state=draw(st.sampled_from(IntentState)),
        filled=Volume(draw(st.sampled_from([0, 40, 100, 140]))),
    )


@given(steps=st.lists(intents() | st.sampled_from(NAMES), max_size=50), asks_at=st.sets(st.integers(0, 49)))
def test_what_is_kept_is_what_all_would_tell(steps: list[Intent | IntentId], asks_at: set[int]) -> None:
    """Recorded, moved, filled, settled, in any order, asked after each or after many: each answer is the one that a
    plain mapping gives."""
    kept, plain = Intents(), dict[IntentId, Intent]()
    for number, step in enumerate(steps):
        before, was = kept, dict(kept)
        if isinstance(step, Intent):
            kept = with_intent(kept, step)
            plain[step.intent] = step
        else:
            kept = without_intent(kept, step)
            plain.pop(step, None)
        assert before == was  # whoever has the requests of before still has them
        assert list(kept.items()) == list(plain.items())
        if number not in asks_at and number + 1 < len(steps):
            continue
        for key in {intent.key for intent in plain.values()} | {(LinkId("000001"), SourceKey("p0"))}:
            # In any order: a request that changes its copy, which no log has, comes last there.
            told = sorted(intent.intent for intent in of_copy(plain, key))
            assert sorted(intent.intent for intent in of_copy(kept, key)) == told
            assert sorted(intent.intent for intent in kept.index().of_copies.get(key, ())) == told
        assert set(kept.index().of_copies) == {intent.key for intent in plain.values()}
        assert {i.intent for i in gone(kept)} == {i.intent for i in plain.values() if i.state != IntentState.RECORDED}
        assert all(plain[intent.intent] is intent for intent in gone(kept))
        assert [i for i in plain.values() if i.command.kind is CommandKind.PLACE] == sorted(
            placing(kept), key=lambda intent: list(plain).index(intent.intent)
        )
        lacking: dict[SymbolId, int] = {}
        for intent in plain.values():
            if intent.command.kind in (CommandKind.OPEN, CommandKind.ADD):
                symbol = intent.command.symbol
                lacking[symbol] = lacking.get(symbol, 0) + max(0, intent.command.volume - intent.filled)
        told_of = dict.fromkeys((symbol for symbol, _ in adding(kept)), 0)
        for symbol, volume in adding(kept):
            told_of[symbol] += volume
        assert told_of == lacking


@given(names=st.lists(st.sampled_from(NAMES), min_size=LATER_MAX, max_size=3 * LATER_MAX), data=st.data())
@settings(max_examples=25)
def test_what_nobody_asks_for_long_is_indexed_all_the_same(names: list[IntentId], data: st.DataObject) -> None:
    """Hundreds of requests that come and go, asked about once, leave a short list of changes, and the right answers."""
    kept, one = Intents(), data.draw(intents())
    for name in NAMES:
        kept = with_intent(kept, replace(one, intent=name))
    kept.index()
    for name in names:
        kept = without_intent(kept, name) if name in kept else with_intent(kept, replace(one, intent=name))
        assert kept.known is None or kept.known[2] <= LATER_MAX
    assert {i.intent for key in {one.key} for i in of_copy(kept, key)} == set(kept)
    assert {i.intent for i in gone(kept)} == {i.intent for i in kept.values() if i.state != IntentState.RECORDED}
