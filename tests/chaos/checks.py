"""What must hold after any run: nothing twice, nothing lost, explained, replayable, polite, silent about secrets."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

from cmam.domain.belief.copies import CopyState
from cmam.domain.belief.view import AccountView
from cmam.domain.events import (
    AttemptDecided,
    ChangeDecided,
    CopyTouched,
    ExecutionSeen,
    IntentRecorded,
    IntentSettled,
    Outcome,
)
from cmam.domain.folds.account import evolve
from cmam.domain.turns.leading import changes
from cmam.domain.values.naming import read_label
from cmam.domain.values.trades import ExecutionKind
from cmam.store.past.replay import verify
from cmam.store.proof.verify import verify as verify_chain
from cmam.store.what_if import Asked, what_if
from tests.person import PERSON_CONNECTION
from tests.whole import Whole

REQUESTS_MAX = 50


def nothing_twice(whole: Whole) -> None:
    """The broker has executed no order of ours twice, and each change was decided once."""
    for account in whole.accounts:
        executed: Counter[str] = Counter()
        sent: Counter[str] = Counter()
        for order in whole.orders(account):
            if order.client_order_id.startswith("cm1."):
                sent[order.client_order_id] += 1
                executed[order.client_order_id] += bool(order.executed)
        doubled = {name: count for name, count in executed.items() if count > 1}
        assert not doubled, f"executed twice on {account}: {doubled}"
        decided = Counter(
            (e.link, e.change.key if e.change.synced else (e.cause_version, e.cause_index))
            for e in whole.events(account, ChangeDecided)
        )
        assert all(count == 1 for count in decided.values()), "a change was decided twice"
        attempts = Counter(event.intent for event in whole.events(account, IntentRecorded))
        assert all(count <= 2 for count in attempts.values()), attempts.most_common(1)


def nothing_lost(whole: Whole) -> None:
    """Every change of a leader after a link began was decided by that link, in order."""
    for link in whole.folded().registry.links():
        seen = _changes_of(whole, link.leader)
        decided = [
            (e.cause_version, e.cause_index)
            for e in whole.events(link.follower, ChangeDecided)
            if e.link == link.link and not e.change.synced
        ]
        assert decided == sorted(decided)
        missing = [place for place in seen if place[0] > link.since and place not in set(decided)]
        assert not missing, f"never decided by {link.follower}: {missing[:3]} (since {link.since})"


def _changes_of(whole: Whole, leader: int) -> list[tuple[int, int]]:
    view, found = AccountView(account=leader), []
    for recorded in whole.log.read_stream(f"account:{leader}"):
        before, view = view, evolve(view, recorded.event, recorded.at_us)
        if not recorded.event.IS_DERIVED:
            found += [(view.version, index) for index, _ in enumerate(changes(before, view, recorded.event))]
    return found


def at_rest(whole: Whole) -> None:
    """After a quiet end nothing is under way, and each copy is what it should be, at the broker too."""
    for account in {link.follower for link in whole.folded().registry.links()}:
        view = whole.view(account)
        assert view is not None
        assert not view.intents, f"still open on {account}: {sorted(view.intents)}"
        held = {p.position: p for p in whole.person.holds(account)}
        is_netted = view.is_netted()
        believed = {p.position: p.volume for p in view.positions.values()}
        assert believed == {position: p.volume for position, p in held.items()}, f"believes otherwise on {account}"
        rests = {o.orderId for o in whole.person.rests(account)}
        assert rests == set(view.orders), f"believes in other orders on {account}"
        attached = {copy.position for copy in view.copies.values()} | {copy.order for copy in view.copies.values()}
        for position in held.values():
            # A net position keeps the label of its first order, whoever's volume it holds later.
            is_ours = read_label(position.label) is not None and not is_netted
            assert not is_ours or position.position in attached, f"{account}: {position} belongs to no copy"
        for copy in view.copies.values():
            if _lacks_money(view, copy):
                continue
            _copy_is_settled(view, copy, whole.now_us())
            leader = whole.view(copy.leader)
            assert leader is not None
            _source_is_there(leader, copy)


def _copy_is_settled(view: AccountView, copy: Any, now_us: int) -> None:
    spec = view.specs[copy.symbol]
    is_young = now_us < copy.wait_until_us  # the market may have filled an order of the leader's in the quiet
    assert copy.wait is None or is_young, f"{copy.key} waits for {copy.wait}"
    if is_young and copy.wait is not None:
        return
    if copy.position is None:
        assert copy.state is CopyState.RESTING, f"{copy.key} is {copy.state}"
        return
    excess = Fraction(copy.volume) - copy.target
    assert copy.target > 0, f"{copy.key} is held although nothing of it shall be"
    if not copy.ahead_since_us:
        least = max(spec.min_volume, spec.step_volume)
        assert excess < least, f"{copy.key} holds {copy.volume} of {copy.target}"


def _lacks_money(view: AccountView, copy: Any) -> bool:
    """Whether the account cannot pay for what a share gives up against its net, which makes that larger: it is asked
    for again, and an alert says so until then."""
    return copy.share and "NOT_ENOUGH_MONEY" in view.alerts.get(f"refused {copy.link} {copy.source}", "")


def _source_is_there(leader: AccountView, copy: Any) -> None:
    if copy.leader_filled or copy.source.startswith("p"):
        assert copy.leader_position in leader.positions, f"{copy.key} outlived its source {copy.leader_position}"
    else:
        assert copy.leader_order in leader.orders or copy.ahead_since_us, f"{copy.key} outlived its order"


def sized(whole: Whole) -> None:
    """The follower's volume is what the leader's makes it, by the books of the two brokers and the link's multiplier
    alone: never a step more, and where it is less something on record has made it so."""
    for link in whole.folded().registry.links():
        amount = Fraction(link.settings.get("volume.amount", "1"))
        view = whole.view(link.follower)
        assert view is not None
        theirs = {held.position: held for held in whole.person.holds(link.leader)}
        ours = {held.position: held for held in whole.person.holds(link.follower)}
        for copy in view.copies.values():
            source = theirs.get(copy.leader_position or 0)
            if copy.link != link.link or source is None or copy.position is None:
                continue
            spec = view.specs[copy.symbol]
            volume = copy.volume if copy.share else ours[copy.position].volume
            slack = max(spec.min_volume, spec.step_volume)
            wanted, words = source.volume * amount, f"{copy.key} has {volume} of {source.volume} x {amount}"
            reasons = _reasons_for_less(whole, link.follower, copy)
            is_excused = "touched" in reasons or _lacks_money(view, copy)
            assert volume < wanted + slack or is_excused, f"too much: {words}"
            # `up` closes to below the target, and the target of what was rounded down at its open is less already. What
            # was lost of a small open is lost of each multiple of it that an add makes.
            roundings = Fraction(2 if link.settings.get("partial_rounding") == "up" else 1)
            roundings *= max(Fraction(1), Fraction(source.volume, copy.leader_opened or source.volume))
            assert volume > wanted - slack * roundings or reasons, f"too little, and nothing says why: {words}"


def _reasons_for_less(whole: Whole, account: int, copy: Any) -> set[str]:
    """What the record has that made a copy differ from its source: people, refusals, skips, partial fills."""
    found: set[str] = set()
    names = set()
    for recorded in whole.log.read_stream(f"account:{account}"):
        event = recorded.event
        if (getattr(event, "link", None), getattr(event, "source", None)) == copy.key:
            found |= {"touched"} if isinstance(event, CopyTouched) else set()
            found |= {"not now"} if isinstance(event, AttemptDecided) and event.verdict != "copy" else set()
            names |= {event.intent} if isinstance(event, IntentRecorded) else set()
        if isinstance(event, IntentSettled) and event.intent in names and event.outcome is not Outcome.CONFIRMED:
            found.add(event.outcome.value)
        if isinstance(event, ChangeDecided) and event.link == copy.link and event.verdict != "copy":
            found |= {"skipped"} if event.change.position == copy.leader_position else set()
        if isinstance(event, ChangeDecided) and event.link == copy.link and event.change.order == copy.leader_order:
            found |= {"not larger"} if any(step.note.startswith("a larger") for step in event.working) else set()
        if isinstance(event, ExecutionSeen) and event.kind is ExecutionKind.ORDER_PARTIAL_FILL:
            is_of_position = event.position is not None and event.position.position == copy.position
            is_of_order = event.order is not None and event.order.client_order_id in names
            found |= {"part"} if is_of_position or is_of_order else set()
    return found


def protected(whole: Whole) -> None:
    """Where the leader's position has a stop at its broker, the copy has one at its own, or it is said why not."""
    for link in whole.folded().registry.links():
        view = whole.view(link.follower)
        assert view is not None
        theirs = {held.position: held for held in whole.person.holds(link.leader)}
        ours = {held.position: held for held in whole.person.holds(link.follower)}
        for copy in view.copies.values():
            source = theirs.get(copy.leader_position or 0)
            if copy.link != link.link or copy.share or copy.position is None or source is None or not source.stop:
                continue
            is_said = copy.trouble or "touched" in _reasons_for_less(whole, link.follower, copy)
            assert ours[copy.position].stop or is_said, f"{copy.key} has no stop, {source.position} has {source.stop}"


def explained(whole: Whole) -> None:
    """Each position of a leader has a decision, and each copy that was decided is there or ended with a reason."""
    for link in whole.folded().registry.links():
        view, leader = whole.view(link.follower), whole.view(link.leader)
        assert view is not None
        assert leader is not None
        live = {copy.leader_position: copy for copy in view.copies.values() if copy.link == link.link}
        for event in whole.events(link.follower, ChangeDecided):
            if event.link != link.link or event.change.kind != "opened" or event.verdict != "copy":
                continue
            position = event.change.position
            if position in leader.positions and position not in live:
                keys = [(link.link, event.change.source), view.chains.get((link.link, event.change.source))]
                ended = next((view.finished[key] for key in keys if key in view.finished), None)
                assert ended is not None, f"the copy of {position} is gone without a word"


def replayable(whole: Whole) -> None:
    """The log alone gives the same decisions byte for byte, the views that the actors have, and whole chains.

    And a what-if with the settings that were changes nothing, whatever went wrong that day.
    """
    whole.let_record()
    replayed = verify(whole.log.read_all())
    assert replayed.is_identical, replayed.differences[:1]
    folded = whole.folded()
    for account in whole.accounts:
        assert folded.accounts[account] == whole.view(account), f"the view of {account} differs from its record"
    assert verify_chain(whole.log.raw()).is_whole
    unchanged = what_if(whole.log.read_all, Asked.of(folded.registry, {}))
    assert unchanged["equal"], unchanged["differences"][:1]
    assert all(one["recorded"] == one["what_if"] for one in unchanged["followers"])


def polite(whole: Whole, *, has_quota: bool) -> None:
    """The broker never counted more than it allows, before and after its own restarts, and nothing broke inside it."""
    for stats in whole.stats():
        for connection in stats["connections"]:
            if connection["connection"] < PERSON_CONNECTION:
                assert connection["busiest_second_with_heartbeats"] <= REQUESTS_MAX
                blocked = connection["rate_refusals"]
                assert not blocked or has_quota, f"refused for its rate: {connection}"
        assert stats["internal_errors"] == 0, stats["last_internal_error"]


def flat(whole: Whole) -> None:
    """Where no leader holds anything, nothing of ours is left: no copy, no position, no order, no residue."""
    for account in {link.follower for link in whole.folded().registry.links()}:
        view = whole.view(account)
        assert view is not None
        left = {key: (copy.volume, str(copy.target), copy.state.value) for key, copy in view.copies.items()}
        assert not left, f"copies outlive their leaders on {account}: {left}"
        if view.is_netted():
            continue
        ours = [held for held in whole.person.holds(account) if read_label(held.label) is not None]
        assert not ours, f"positions of ours are left on {account}: {ours}"
        rests = [order for order in whole.person.rests(account) if read_label(order.tradeData.label) is not None]
        assert not rests, f"orders of ours rest on {account}: {[order.orderId for order in rests]}"


def silent(whole: Whole, said: str) -> None:
    """No token and no secret stands in the log or in what was said to a person."""
    text = b"".join(bytes(raw.state) for raw in whole.log.raw()).decode(errors="replace") + said
    for secret in whole.secrets_ever:
        assert secret not in text, "a secret has leaked"


def all_hold(whole: Whole, said: str, *, has_quota: bool) -> None:
    """Every check of a run whose links copy a multiple, the plainest first."""
    sound(whole, said, has_quota=has_quota)
    sized(whole)
    protected(whole)


def sound(whole: Whole, said: str, *, has_quota: bool) -> None:
    """The checks that hold under any policy, the plainest first."""
    assert whole.stepper.failures == [], whole.stepper.failures
    nothing_twice(whole)
    replayable(whole)
    nothing_lost(whole)
    at_rest(whole)
    explained(whole)
    polite(whole, has_quota=has_quota)
    silent(whole, said)
