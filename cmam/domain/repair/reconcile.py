"""Record against broker against leader: what differs, as a closed list, and the one way in which that is repaired.

`findings` says what differs and what removes it, from views alone. `bring_together` does it: a start, a reconnect, an
adoption and the rehearsal of `profile check` all go through it, each with a hand of its own. A repair is either what a
copy needs (`needs.needed`), a copy taken into the record (`rebuilding`), or a change of the leader that nobody told
(`sync`); each passes the rules it always passes. Applied, a plan leaves nothing that another one would repair.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cmam.domain.belief.copies import Copy, IntentState
from cmam.domain.belief.shares import beside
from cmam.domain.belief.view import AccountView
from cmam.domain.deciding.arithmetic import fraction_text
from cmam.domain.events import CopyRebuilt, Finding, FindingKind, Health, Remedy, Wait
from cmam.domain.profiles.link import LinkSettings
from cmam.domain.repair.rebuilding import rebuilt
from cmam.domain.repair.strays import Stray, duplicates, is_awaited, is_claimed, strays
from cmam.domain.repair.sync import at_start
from cmam.domain.values.changes import Change
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import AccountId, LinkId, SourceKey, StoreId, SymbolId, order_source, position_source
from cmam.domain.values.naming import read_label
from cmam.domain.values.quantities import Quote, Volume, price_text, units_text
from cmam.domain.values.replacing import replace
from cmam.domain.values.rules.opens import NEVER_OUT
from cmam.domain.wanted import targets
from cmam.domain.wanted.needs import Nets, enforced_target, needed

QuoteOf = Callable[[SymbolId], Quote | None]
ViewOf = Callable[[AccountId], AccountView | None]

FRESH_MS = 5_000
"""What a leader did within this is still on its way to his followers: no difference yet."""


SHOWN_MAX = 3
"""So many findings are named in an alert; `profile check` names all."""


@dataclass(frozen=True, slots=True)
class FindingRow:
    """A kind of finding in words: what it is, and what is done about it."""

    what: str
    done: str


FINDINGS: Mapping[FindingKind, FindingRow] = {
    FindingKind.MISSING: FindingRow(
        "The leader holds a trade, and the link has no copy of it and never had one.",
        "While it is younger than `max_age` it is opened as any other. After that `sync_open` opens it at a start, if "
        "it passes all checks; without that, nothing does.",
    ),
    FindingKind.ORPHAN: FindingRow(
        "A copy of a trade that the leader no longer holds.", "Closed or cancelled, unless `sync_closed` is off."
    ),
    FindingKind.GONE: FindingRow(
        "The log has a copy that the broker does not show.",
        "Noted as ended. For a lost pending order cmam first asks whether it was filled.",
    ),
    FindingKind.WRONG_SIZE: FindingRow(
        "A copy holds more than it should by a step or more, or less than it should.",
        "What is too much is closed. What is missing goes out with what the leader adds next.",
    ),
    FindingKind.RESIDUE: FindingRow(
        "A copy holds too much, by less than a step or the symbol's minimum.", "Carried until it can be closed."
    ),
    FindingKind.WRONG_SIDE: FindingRow("The leader's position has turned and the copy has not.", "Closed whole."),
    FindingKind.WRONG_PROTECTION: FindingRow(
        "Stop, target or trailing are not what they should be.",
        "Amended. A target that the broker takes for too near is set as soon as the market allows it.",
    ),
    FindingKind.WRONG_TERMS: FindingRow(
        "A copied order rests at another price, size or expiry than it should.",
        "Amended, or cancelled and placed anew.",
    ),
    FindingKind.UNKNOWN: FindingRow(
        "Nobody knows yet what became of a request.",
        "The broker is asked after the settling time. The request is never sent again blindly.",
    ),
    FindingKind.UNRECORDED: FindingRow(
        "A position or order carries one of our labels, and the log does not know it.",
        "Taken into the log if its link is known. On a netted account whose copies were over it is left to a person: "
        "nobody can say how much of it is theirs.",
    ),
    FindingKind.DUPLICATE: FindingRow(
        "A second position carries the label of a copy that already has one.",
        "Left to a person, since nobody can say which one is meant: close one of the two at the broker. The other "
        "closes with the leader's trade, and with `cmam flatten`.",
    ),
    FindingKind.FOREIGN: FindingRow(
        "Another store's copy.", "Its leader's trades are not copied (`other_copier`) until `cmam profile adopt`."
    ),
    FindingKind.HUMAN: FindingRow(
        "A person's own trade, what a person has added to a net, or a stop or target that a person moved.",
        "Nothing: it stays as it is.",
    ),
}


# --- what differs -----------------------------------------------------------------------------------------------------


def findings(view: AccountView, links: Iterable[LinkSettings], leader_of: ViewOf, now_us: int) -> tuple[Finding, ...]:
    """All that differs on a follower. Of leaders that are not in sight nothing is said."""
    known = {link.link: link for link in links}
    ready = replace(view, health=Health.RECONCILED)
    nets = Nets(ready)
    found: list[Finding] = []
    for key in sorted(view.copies):
        copy = view.copies[key]
        link = known.get(copy.link)
        found += _of_copy(nets, copy, link, leader_of(copy.leader), now_us)
    for intent in view.intents.values():
        if intent.state is IntentState.UNKNOWN:
            what = intent.command.kind.value.replace("_", " ")
            text = f"what became of the {what} {intent.intent} is not known"
            found.append(_finding(FindingKind.UNKNOWN, Remedy.LOOK_UP, intent, text=text))
    found += _of_strays(view, known)
    for link in known.values():
        found += _missing(view, link, leader_of(link.leader), now_us)
    found += _human(view)
    return tuple(found)


def abandoned(view: AccountView, store: StoreId) -> tuple[Finding, ...]:
    """What carries a label of ours on an account that follows nobody any more, and is in no record: nobody ends it."""
    return tuple(_of_stray(view, stray, None, is_ours=True) for stray in strays(view) if stray.mark.store == store)


def needs_note(finding: Finding) -> bool:
    """Whether a finding belongs on record: what nothing is done about now is shown by a check alone."""
    return finding.remedy not in (Remedy.NOTHING, Remedy.WAIT)


def by_hand(found: Iterable[Finding]) -> str:
    """What a person has to look at, in one sentence; empty where there is nothing."""
    texts = [finding.text for finding in found if finding.remedy is Remedy.BY_HAND]
    if not texts:
        return ""
    more = f" and {len(texts) - SHOWN_MAX} more" if len(texts) > SHOWN_MAX else ""
    return f"{'; '.join(texts[:SHOWN_MAX])}{more}: look with `cmam profile check`."


def _finding(kind: FindingKind, remedy: Remedy, of: object = None, **more: Any) -> Finding:
    link, source = getattr(of, "link", None), getattr(of, "source", None)
    return Finding(kind=kind, remedy=remedy, link=link, source=source, **more)


def _of_copy(
    nets: Nets, copy: Copy, link: LinkSettings | None, leader: AccountView | None, now_us: int
) -> Iterator[Finding]:
    view = nets.view
    held = view.positions.get(copy.position) if copy.position is not None else None
    if copy.position is not None and held is None and not copy.share:
        yield _finding(
            FindingKind.GONE, Remedy.NOTE, copy, position=copy.position, text=f"position {copy.position} is gone"
        )
        return
    is_lost = copy.order is not None and copy.order not in view.orders and not copy.ended_order
    if is_lost and copy.position is None:
        yield _finding(FindingKind.GONE, Remedy.LOOK_UP, copy, order=copy.order, text=f"order {copy.order} is gone")
    at_once = _at_once(view, copy)
    wanted = tuple(needed(at_once, copy.key, now_us, nets.of(at_once)))
    for command in wanted:
        yield _of_command(copy, command, leader)
    yield from _lack(view, copy)
    from_leader = tuple(_from_leader(copy, link, leader, now_us)) if not wanted and copy.is_wanted else ()
    yield from from_leader
    if not wanted and not from_leader and copy.is_wanted:
        yield from _drift(view, copy)


def _at_once(view: AccountView, copy: Copy) -> AccountView:
    """What a copy needs is asked without regard to when it is asked for again."""
    if not (copy.retry_at_us or copy.close_at_us or copy.refused_part):
        return view
    freed = replace(copy, retry_at_us=0, close_at_us=0, refused_part=Volume(0))
    return replace(view, copies={**view.copies, copy.key: freed})


_OF_COMMANDS: Mapping[CommandKind, tuple[FindingKind, Remedy]] = {
    CommandKind.CLOSE: (FindingKind.WRONG_SIZE, Remedy.REDUCE),
    CommandKind.ADD: (FindingKind.WRONG_SIZE, Remedy.TRADE_BACK),
    CommandKind.AMEND_PROTECTION: (FindingKind.WRONG_PROTECTION, Remedy.AMEND),
    CommandKind.AMEND_ORDER: (FindingKind.WRONG_TERMS, Remedy.AMEND),
    CommandKind.CANCEL: (FindingKind.WRONG_TERMS, Remedy.CANCEL),
}


def _of_command(copy: Copy, command: Command, leader: AccountView | None) -> Finding:
    """The difference that a copy's own need removes."""
    kind, remedy = _OF_COMMANDS[command.kind]
    if command.kind is CommandKind.CLOSE and command.whole:
        remedy = Remedy.CLOSE
    if not copy.is_wanted and leader is not None and not _is_there(leader, copy):
        kind = FindingKind.ORPHAN
    what = command.kind.value.replace("_", " ")
    own = (
        min(command.volume, copy.volume) if command.kind is CommandKind.CLOSE and not command.whole else command.volume
    )
    volume = f" {units_text(own)} units" if own else ""
    of = f" of position {command.position}" if command.position else (f" {command.order}" if command.order else "")
    return _finding(
        kind,
        remedy,
        copy,
        position=command.position,
        order=command.order,
        expected=fraction_text(enforced_target(copy) / 100),
        found=units_text(copy.volume),
        text=f"{what}{volume}{of}",
    )


def _is_there(leader: AccountView, copy: Copy) -> bool:
    """Whether the leader still holds what a copy is of: what rests of the order that opened a position is no longer."""
    is_pending = copy.source.startswith("o") and not copy.leader_filled
    return copy.leader_position in leader.positions or (is_pending and copy.leader_order in leader.orders)


def _from_leader(copy: Copy, link: LinkSettings | None, leader: AccountView | None, now_us: int) -> Iterator[Finding]:
    """Where a copy's source is otherwise than the copy has been told."""
    if link is None or leader is None or leader.health is not Health.RECONCILED or copy.wait is Wait.TURN:
        return
    theirs = leader.positions.get(copy.leader_position) if copy.leader_position is not None else None
    fresh_ms = now_us // 1_000 - FRESH_MS
    if theirs is None:
        closed_ms = leader.closed.get(copy.leader_position, 0) if copy.leader_position is not None else 0
        if not _is_there(leader, copy) and closed_ms < fresh_ms and copy.decided_us // 1_000 < fresh_ms:
            remedy = Remedy.CLOSE if link.policy.sync_closed else Remedy.BY_HAND
            yield _finding(
                FindingKind.ORPHAN, remedy, copy, position=copy.position, order=copy.order, text="its source is gone"
            )
        return
    if theirs.updated_ms >= fresh_ms:
        return
    if copy.change is not None and theirs.side is not copy.change.side:
        text = f"the leader's is a {theirs.side.value} now"
        yield _finding(FindingKind.WRONG_SIDE, Remedy.CLOSE, copy, position=copy.position, text=text)
    elif 0 < theirs.volume < copy.leader_had and not copy.source.startswith("o"):
        remedy = Remedy.REDUCE if link.policy.sync_closed else Remedy.BY_HAND
        yield _finding(
            FindingKind.WRONG_SIZE,
            remedy,
            copy,
            position=copy.position,
            expected=f"a leader's {units_text(theirs.volume)}",
            found=f"one of {units_text(copy.leader_had)}",
            text="the leader has reduced meanwhile",
        )


def _drift(view: AccountView, copy: Copy) -> Iterator[Finding]:
    """What a copy holds beside its target, and nothing is asked for."""
    if copy.position is None or copy.wait is not None or view.intents_of(copy.key) or copy.ahead_since_us:
        return
    expected, found = fraction_text(copy.target / 100), units_text(copy.volume)
    shown = {"position": copy.position, "expected": expected, "found": found}
    spec = view.specs.get(copy.symbol)
    if copy.residue > 0:
        yield _finding(FindingKind.RESIDUE, Remedy.WAIT, copy, text="carried until it can be closed", **shown)
    elif spec is not None and spec.floor_volume(int(copy.target - copy.volume)) >= max(spec.step, spec.min_volume):
        text = "what is missing goes out with what the leader adds next"
        yield _finding(FindingKind.WRONG_SIZE, Remedy.NOTHING, copy, text=text, **shown)


def _lack(view: AccountView, copy: Copy) -> Iterator[Finding]:
    """A target that a copy is without until the market lets it be set."""
    lack = targets.lacking(view, copy)
    if lack is None:
        return
    shown, digits = lack.position.target, lack.spec.digits
    yield _finding(
        FindingKind.WRONG_PROTECTION,
        Remedy.WAIT,
        copy,
        position=copy.position,
        expected=price_text(lack.level, digits),
        found="none" if shown is None else price_text(shown, digits),
        text=f"its target is {targets.why(view, copy, lack)}",
    )


def _of_strays(view: AccountView, links: Mapping[LinkId, LinkSettings]) -> Iterator[Finding]:
    """What carries a copier's label and belongs to no copy on record."""
    for stray in strays(view):
        owner = next(
            (one for one in links.values() if is_claimed(stray.mark, view, one, links.keys() - {one.link})), None
        )
        yield _of_stray(view, stray, owner, is_ours=any(stray.mark.store == one.store for one in links.values()))


def _of_stray(view: AccountView, stray: Stray, owner: LinkSettings | None, *, is_ours: bool) -> Finding:
    number = stray.position.position if stray.position is not None else stray.order.order if stray.order else 0
    name = f"position {number}" if stray.position is not None else f"order {number}"
    kind, remedy, text = (
        FindingKind.FOREIGN,
        Remedy.BY_HAND,
        (f"{name} is a copy of the store {stray.mark.store}, which `cmam profile adopt` takes over"),
    )
    if owner is not None and (copy := duplicates(view, stray, owner)) is not None:
        kind = FindingKind.DUPLICATE
        text = f"{name} is a second copy of what position {copy.position} copies; close one of the two at the broker"
    elif owner is not None and view.is_netted() and (owner.link, SourceKey(stray.mark.source)) in view.finished:
        kind = FindingKind.UNRECORDED
        text = f"{name} stands under a label of ours, and none of it is on record as ours; close what is nobody's"
    elif owner is not None:
        is_coming = is_awaited(view, view.key_of((owner.link, SourceKey(stray.mark.source))))
        kind, remedy = FindingKind.UNRECORDED, Remedy.WAIT if is_coming else Remedy.REBUILD
        text = f"{name} carries a label of ours and is in no record"
    elif is_ours:
        kind, text = (
            FindingKind.UNRECORDED,
            f"{name} carries a label of ours, of a link that is stopped or none any more",
        )
    return Finding(
        kind=kind,
        remedy=remedy,
        link=owner.link if owner is not None else None,
        source=SourceKey(stray.mark.source),
        position=stray.position.position if stray.position is not None else None,
        order=stray.order.order if stray.order is not None else None,
        found=stray.label,
        text=text,
    )


def _missing(view: AccountView, link: LinkSettings, leader: AccountView | None, now_us: int) -> Iterator[Finding]:
    """What the leader holds and this link never copied."""
    if leader is None or leader.health is not Health.RECONCILED:
        return
    copies = [copy for copy in (*view.copies.values(), *view.finished.values()) if copy.link == link.link]
    known = {copy.leader_position for copy in copies if view.rules < NEVER_OUT or not copy.was_never_out}
    strange = {stray.mark.source for stray in strays(view)}
    for number in sorted(leader.positions):
        source = position_source(number)
        origin = leader.origins.get(number)
        sources = {source} if origin is None else {source, order_source(origin)}
        position = leader.positions[number]
        if number in known or any(view.copy((link.link, one)) for one in sources) or sources & strange:
            continue
        if position.updated_ms >= now_us // 1_000 - FRESH_MS:
            continue
        remedy = Remedy.OPEN if link.policy.sync_open else Remedy.NOTHING
        text = f"the leader's position {number} has no copy"
        yield Finding(kind=FindingKind.MISSING, remedy=remedy, link=link.link, source=source, text=text)


def _human(view: AccountView) -> Iterator[Finding]:
    """What people have on the account, and what they have moved."""
    attached = {copy.position for copy in view.copies.values()} | {copy.order for copy in view.copies.values()}
    for number in sorted(view.positions):
        if number not in attached and read_label(view.positions[number].label) is None:
            text = f"position {number} is nobody's copy"
            yield _finding(FindingKind.HUMAN, Remedy.NOTHING, position=number, text=text)
        elif view.is_netted() and (more := beside(view, view.positions[number])):
            text = f"position {number} holds {units_text(more)} units that are no copy's"
            yield _finding(FindingKind.HUMAN, Remedy.NOTHING, position=number, text=text)
    for copy in view.copies.values():
        pins = (copy.pinned_stop, copy.pinned_target, copy.pinned_trailing)
        if any(pin is not None for pin in pins):
            text = "somebody moved its levels, and they stay so"
            yield _finding(FindingKind.HUMAN, Remedy.NOTHING, copy, position=copy.position, text=text)


# --- and what is done about it ----------------------------------------------------------------------------------------


class Hand(Protocol):
    """Who carries repairs out: an account's actor, or the rehearsal of a check."""

    @property
    def view(self) -> AccountView:
        """The follower as it is believed now."""
        ...

    def take(self, fact: CopyRebuilt) -> None:
        """Take a copy into the record; what it needs then follows by itself."""
        ...

    def decide(self, change: Change, index: int) -> None:
        """Decide a change that nobody told."""
        ...


def bring_together(
    hand: Hand,
    leader: AccountView,
    link: LinkSettings,
    others: Collection[LinkId],
    quote_of: QuoteOf,
    *,
    may_open: bool = True,
) -> None:
    """Bring a link's record, its follower and its leader together; both accounts must be reconciled.

    First what the broker shows and the record lacks, then what the leader closed and holds. With `may_open` False what
    he holds is left for later.
    """
    for fact in rebuilt(leader, hand.view, link, others, quote_of):
        hand.take(fact)
    for index, change in enumerate(at_start(leader, hand.view, link, quote_of, others=others)):
        if may_open or not change.kind.adds_risk:
            hand.decide(change, index)
