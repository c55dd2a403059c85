"""Everything that was derived, derived again from the record and compared byte for byte.

Each account's inputs go through the same pure functions that decided then, with the recorded moment, inputs and
settings; whatever comes out otherwise is named, the first of it first, and so is a change of a leader that a link
passed over. It reads the log and nothing else: no clock, no network.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from cmam.domain.belief.restored import as_undecided
from cmam.domain.belief.view import AccountView
from cmam.domain.events import ChangeDecided, Event
from cmam.domain.operating.registry import PROFILE_PREFIX, Registry, evolve_registry
from cmam.domain.profiles.link import LinkSettings, ProfileView, link_settings
from cmam.domain.turns.leading import changes
from cmam.domain.turns.turn import decide_change, step
from cmam.domain.values.changes import Change
from cmam.domain.values.ids import AccountId, LinkId, ProfileId
from cmam.store.folding.fold import account_of
from cmam.store.records.envelope import Recorded, UnknownEvent, event_bytes
from cmam.store.records.sameness import comes_out, is_same_change

DIFFERENCES_MAX = 100
"""More than these are counted, not listed."""
REMEMBERED_CHANGES = 50_000
"""So many of a leader's records may lie between one of them and the last decision about it."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One derived record that does not come out as it was recorded. The texts are JSON, or say what is missing."""

    stream: str
    version: int
    position: int
    topic: str
    recorded: str
    computed: str
    why: str

    def __str__(self) -> str:
        return f"Record {self.version} of {self.stream} ({self.topic}, position {self.position}): {self.why}"


@dataclass(slots=True)
class Replayed:
    """What a replay saw."""

    records: int = 0
    inputs: int = 0
    derived: int = 0
    decisions: int = 0
    codes: set[str] = field(default_factory=set)
    differences: list[Difference] = field(default_factory=list)
    more_differences: int = 0

    @property
    def is_identical(self) -> bool:
        """Whether everything came out as it was recorded."""
        return not self.differences


@dataclass(slots=True)
class Witness:
    """An account on the way: its view, and what its last turn must have led to but is not yet seen."""

    view: AccountView
    expected: list[Event] = field(default_factory=list)
    at: Recorded | None = None
    is_lost: bool = False


class Replay:
    """Goes through a log in its order. `on_derived` is shown every recorded derivation with what comes out today."""

    def __init__(self, on_derived: Callable[[Recorded, Event], None] | None = None) -> None:
        self.result = Replayed()
        self._on_derived = on_derived
        self._registry = Registry()
        self._profiles: dict[str, list[ProfileView]] = {}
        self._settings: dict[tuple[str, int], Mapping[LinkId, LinkSettings]] = {}
        self._accounts: dict[AccountId, Witness] = {}
        self._told: dict[AccountId, dict[int, tuple[Change, ...]]] = {}
        self._places: dict[AccountId, list[tuple[int, int]]] = {}

    @property
    def views(self) -> Mapping[AccountId, AccountView]:
        """What today's code believes of each account."""
        return {number: account.view for number, account in self._accounts.items()}

    def run(self, records: Iterable[Recorded]) -> Replayed:
        """Replay all records, then say what is missing at the end."""
        for record in records:
            self.take(record)
        for number in self._accounts:
            self.end_of(number)
        return self.result

    def end_of(self, number: AccountId) -> None:
        """At the end of all records, what an account's last turn led to must have been seen."""
        self._end_turn(self._accounts[number])

    def take(self, record: Recorded) -> None:
        """Replay the next record."""
        self.result.records += 1
        self.result.codes.add(record.code)
        number = account_of(record.stream)
        if number is None:
            self._organise(record)
            return
        account = self._accounts.get(number)
        if account is None:  # a view has sixty fields: not one for each record
            account = self._accounts[number] = Witness(AccountView(account=number))
        if account.is_lost:
            return
        if isinstance(record.event, UnknownEvent):
            self._differ(record, "", f"this version of cmam cannot read it ({record.event.why})")
            account.is_lost = True
        elif isinstance(record.event, ChangeDecided):
            self._decided(account, record, record.event)
        elif record.event.IS_DERIVED:
            self._derived(account, record)
        else:
            self._input(account, record)

    # --- an account's records -----------------------------------------------------------------------------------------

    def _input(self, account: Witness, record: Recorded) -> None:
        self._end_turn(account)
        self.result.inputs += 1
        before = account.view
        turn = step(before, record.event, self._registry.store, record.at_us)
        account.view, account.expected, account.at = turn.view, list(turn.derived), record
        if turn.folded is not None:
            told = changes(before, turn.folded, record.event)
            if told:
                remembered = self._told.setdefault(before.account, {})
                remembered[record.version] = told
                self._places.setdefault(before.account, []).extend((record.version, n) for n in range(len(told)))
                if len(remembered) > REMEMBERED_CHANGES:
                    remembered.pop(next(iter(remembered)))

    def _decided(self, account: Witness, record: Recorded, event: ChangeDecided) -> None:
        self._end_turn(account)
        self.result.decisions += 1
        self._check_cause(record, event)
        settings = self._settings_of(event)
        if settings is None:
            why = f"version {event.settings_version} of profile {event.profile} has no link {event.link}"
            self._differ(record, "", why)
            account.is_lost = True
            return
        self._check_link(account, settings, record, event)
        self._check_passed_over(account, settings, record, event)
        cause = (event.cause_version, event.cause_index)
        turn = decide_change(account.view, settings, event.change, cause, event.inputs, record.at_us)
        account.view, account.expected, account.at = turn.view, list(turn.derived), record
        self._derived(account, record)

    def _derived(self, account: Witness, record: Recorded) -> None:
        """Hold one recorded event against the next that was computed."""
        self.result.derived += 1
        if not account.expected:
            self._lose(account, record, "nothing", "nothing that came before it leads to it")
            return
        computed = account.expected.pop(0)
        if self._on_derived is not None:
            self._on_derived(record, computed)
        if record.topic != computed.TOPIC:
            self._lose(account, record, _text(computed), f"{computed.TOPIC} comes out instead")
        elif not comes_out(computed, record.event, record.state):
            self._lose(account, record, _text(computed), "it comes out otherwise")

    def _end_turn(self, account: Witness) -> None:
        """At the next input, all that the last one led to must have been seen."""
        if account.expected and account.at is not None:
            missing = account.expected[0]
            why = f"{missing.TOPIC} follows from it, but is not recorded"
            self._differ(account.at, _text(missing), why)
        account.expected = []

    def _lose(self, account: Witness, record: Recorded, computed: str, why: str) -> None:
        """Name the difference. What this account does from here on rests on what differs, and is not compared."""
        self._differ(record, computed, why)
        account.is_lost = True
        account.expected = []

    def _check_link(self, account: Witness, settings: LinkSettings, record: Recorded, event: ChangeDecided) -> None:
        """A link joins one follower to one leader, for its whole life."""
        if event.change.leader != settings.leader:
            self._differ(record, "", f"profile {event.profile} follows account {settings.leader}, not this leader")
        if account.view.account != settings.follower:
            self._differ(record, "", f"link {event.link} joins account {settings.follower}, not this one")

    def _check_cause(self, record: Recorded, event: ChangeDecided) -> None:
        """The change that was decided must be what its leader's record tells, but for what only that moment knew."""
        if event.change.synced:  # made up from two views at a start: it has no record of its own
            return
        leader = self._leader_of(event)
        if leader is None or leader.is_lost:
            return  # what a start found is told by no record of the leader; its decision is still compared
        told = self._told.get(event.change.leader, {}).get(event.cause_version, ())
        found = told[event.cause_index] if event.cause_index < len(told) else None
        if found is None:
            why = f"record {event.cause_version} of account {event.change.leader} tells no such change"
            self._differ(record, "", why)
        elif not is_same_change(as_undecided(leader.view, event.cause_version, found), event, record.state):
            why = f"its change is not what record {event.cause_version} of account {event.change.leader} tells"
            self._differ(record, _text(found), why)

    def _leader_of(self, event: ChangeDecided) -> Witness | None:
        """The account whose record must tell the change, as far as it was replayed."""
        return self._accounts.get(event.change.leader)

    def _check_passed_over(
        self, account: Witness, settings: LinkSettings, record: Recorded, event: ChangeDecided
    ) -> None:
        """Between the change that a link decided before and this one, its leader must have told no other."""
        if event.change.synced:
            return
        cursor = account.view.cursors.get(settings.link)
        after = (cursor.version, cursor.index) if cursor is not None else (0, 0)
        if cursor is None or settings.since > cursor.version:
            after = (settings.since, REMEMBERED_CHANGES)
        places = self._places.get(event.change.leader, [])
        first = bisect.bisect_right(places, after)
        if first < len(places) and places[first] < (event.cause_version, event.cause_index):
            version, index = places[first]
            why = f"change {index} of record {version} of account {event.change.leader} met no decision before it"
            self._differ(record, "", why)

    # --- profiles -----------------------------------------------------------------------------------------------------

    def _organise(self, record: Recorded) -> None:
        self._registry = evolve_registry(self._registry, record.stream, record.event)
        if record.stream.startswith(PROFILE_PREFIX):
            history = self._profiles.setdefault(record.stream, [])
            history.append(self._registry.profiles[ProfileId(record.stream.removeprefix(PROFILE_PREFIX))])

    def _settings_of(self, event: ChangeDecided) -> LinkSettings | None:
        history = self._profiles.get(PROFILE_PREFIX + event.profile, [])
        if not 0 < event.settings_version <= len(history):
            return None
        known = self._settings.get((event.profile, event.settings_version))
        if known is None:  # reading a policy takes as long as ten decisions
            profile = history[event.settings_version - 1]
            links = link_settings(profile, self._registry.store, paused_accounts=frozenset())
            known = self._settings[(event.profile, event.settings_version)] = {link.link: link for link in links}
        return known.get(event.link)

    def _differ(self, record: Recorded, computed: str, why: str) -> None:
        if len(self.result.differences) >= DIFFERENCES_MAX:
            self.result.more_differences += 1
            return
        recorded = _text(record.event)
        self.result.differences.append(
            Difference(record.stream, record.version, record.position, record.topic, recorded, computed, why)
        )


def _text(event: object) -> str:
    return event_bytes(event).decode()


def verify(records: Iterable[Recorded]) -> Replayed:
    """Derive everything again and compare: `is_identical`, or the differences."""
    return Replay().run(records)


def until(records: Iterable[Recorded], *, position: int | None = None, at_us: int | None = None) -> Iterator[Recorded]:
    """The records up to a position or a moment, both included."""
    for record in records:
        if (position is not None and record.position > position) or (at_us is not None and record.at_us > at_us):
            return
        yield record


def spans(records: Iterable[Recorded], speed: float) -> Iterator[tuple[int, Recorded]]:
    """Each record with the us to wait before it is shown, at a multiple of its own pace; 0 is as fast as possible."""
    last: int | None = None
    for record in records:
        wait = 0 if last is None or speed <= 0 else max(0, int((record.at_us - last) / speed))
        last = record.at_us if last is None else max(last, record.at_us)
        yield wait, record
