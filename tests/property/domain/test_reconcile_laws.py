"""Laws of bringing together: whatever happened in a gap, a plan applied is empty when it is made again."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from cmam.domain.belief.view import AccountView
from cmam.domain.events import CopyRebuilt, FindingKind, Health, HealthChanged, Reconciled, Remedy
from cmam.domain.folds.account import evolve
from cmam.domain.repair.reconcile import FINDINGS, bring_together
from cmam.domain.trials.rehearsal import Differences, differences
from cmam.domain.values.changes import Change
from cmam.domain.values.ids import PositionId, position_source
from cmam.domain.values.quantities import Side, Volume
from cmam.domain.values.trades import Position
from tests.factories import LEADER, LOT, Pair, a_quote, a_view, price

STEP = 100_000
GAP_US = 60_000_000

LEADERS = st.sampled_from(["holds", "reduced", "closed", "turned", "grew"])
FOLLOWERS = st.sampled_from(["holds", "closed by hand", "halved by hand", "stop moved", "stop lost", "added to"])
FATES = st.tuples(st.integers(2, 40), LEADERS, FOLLOWERS, st.booleans())


class Hand:
    """The follower's own hand, on the factories' broker."""

    def __init__(self, pair: Pair) -> None:
        self.pair = pair

    @property
    def view(self) -> AccountView:
        return self.pair.view

    def take(self, fact: CopyRebuilt) -> None:
        self.pair.fact(fact)

    def decide(self, change: Change, index: int) -> None:
        self.pair.tell(change)


def _leader(positions: list[Position], now_us: int) -> AccountView:
    view = replace(a_view(account=LEADER), positions={})
    view = evolve(view, Reconciled(positions=tuple(positions), orders=()), now_us)
    return evolve(view, HealthChanged(health=Health.RECONCILED), now_us)


def _made(number: int, volume: int) -> Position:
    return Position(
        position=PositionId(500 + number),
        symbol=a_view().names["EURUSD"].symbol,
        side=Side.BUY,
        volume=Volume(volume),
        price=price("1.1"),
        stop=price("1.09"),
        opened_ms=1,
        updated_ms=1,
    )


def _happens(pair: Pair, theirs: Position, what: str) -> Position | None:
    """What the leader does in the gap."""
    match what:
        case "closed":
            return None
        case "reduced":
            return replace(theirs, volume=Volume(theirs.volume - STEP))
        case "grew":
            return replace(theirs, volume=Volume(theirs.volume + STEP))
        case "turned":
            return replace(theirs, side=Side.SELL, stop=None)
        case _:
            return theirs


def _befalls(pair: Pair, number: PositionId, what: str) -> None:
    """What becomes of a copy at the follower's broker in the gap."""
    held = pair.held[number]
    match what:
        case "closed by hand":
            del pair.held[number]
        case "halved by hand" if held.volume > 2 * STEP:
            pair.held[number] = replace(held, volume=Volume(held.volume // 2 // STEP * STEP))
        case "added to":
            pair.held[number] = replace(held, volume=Volume(held.volume + 3 * STEP))
        case "stop moved":
            pair.held[number] = replace(held, stop=price("1.08"))
        case "stop lost":
            pair.held[number] = replace(held, stop=None)
        case _:
            pass


def _books(pair: Pair) -> Reconciled:
    return Reconciled(positions=tuple(pair.held.values()), orders=())


def _differences(pair: Pair, leader: AccountView) -> Differences:
    nobody = replace(leader, has_reconciled=True)
    quotes = {"EURUSD": a_quote("1.09999", "1.10001", at_us=pair.now_us)}
    books = Reconciled(positions=tuple(leader.positions.values()), orders=())
    return differences(nobody, books, pair.view, _books(pair), pair.link, (), quotes, quotes, pair.now_us)


@settings(max_examples=120)
@given(
    fates=st.lists(FATES, min_size=1, max_size=5),
    pins=st.sampled_from(["pin", "leader"]),
    rounding=st.sampled_from(["carry", "up"]),
    amount=st.sampled_from(["1", "0.37"]),
)
def test_a_plan_applied_is_empty_when_it_is_made_again(
    fates: list[tuple[int, str, str, bool]], pins: str, rounding: str, amount: str
) -> None:
    """Leaders close, shrink and turn, people meddle, records are lost: once is enough, and nothing was opened."""
    chosen = {"human_levels": pins, "partial_rounding": rounding, "volume.amount": amount}
    pair = Pair({**chosen, "margin_reserve": "off"}, view=a_view(balance=10_000_000_000))
    leader_holds: list[Position] = []
    for number, (steps, *_) in enumerate(fates):
        theirs = _made(number, steps * 1_000_000)
        leader_holds.append(theirs)
        source = position_source(theirs.position)
        pair.opens(theirs.volume, source=source, position=theirs.position, stop=theirs.stop)
        pair.answer()
    pair.passes(GAP_US)
    after: list[Position] = []
    for (_, leaders, followers, is_lost), theirs in zip(fates, leader_holds, strict=True):
        copy = pair.copy_of(position_source(theirs.position))
        found = _happens(pair, theirs, leaders)
        after += [found] if found is not None else []
        if copy is None or copy.position is None:
            continue
        _befalls(pair, copy.position, followers)
        if is_lost:
            pair.view = replace(
                pair.view,
                copies={key: one for key, one in pair.view.copies.items() if key != copy.key},
                by_position={key: one for key, one in pair.view.by_position.items() if one != copy.key},
            )
    leader = _leader(after, pair.now_us)
    held = sum(position.volume for position in pair.held.values())
    pair.fact(_books(pair))
    pair.fact(HealthChanged(health=Health.RECONCILED))
    bring_together(Hand(pair), leader, pair.link, (), lambda symbol: None)
    pair.answer()
    again = _differences(pair, leader)
    assert again.repairs == ()
    assert {one.remedy for one in again.findings} <= {Remedy.NOTHING, Remedy.WAIT}, again.findings
    assert sum(position.volume for position in pair.held.values()) <= held
    live = {copy.leader_position for copy in pair.view.copies.values()}
    assert live <= leader.positions.keys()
    assert not pair.view.intents


def test_every_kind_of_finding_has_its_row() -> None:
    """The enumeration is closed: what is found can be explained."""
    assert FINDINGS.keys() == set(FindingKind)
    assert LOT
