"""A log read by several processes says to the last word what one process says of it, whatever log it is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmam.domain.events import AlertRaised, ChangeDecided, Event, ExecutionSeen, IntentRecorded, ProfileDeleted
from cmam.domain.values.ids import AccountId
from cmam.domain.values.quantities import Price, Volume
from cmam.store.errors import StoreBroken
from cmam.store.folding.fold import fold_log
from cmam.store.logfile.database import TABLE
from cmam.store.logfile.log import EventLog
from cmam.store.past import beginning, crew, replay, together
from cmam.store.past.beginning import begin
from cmam.store.past.crew import ANSWER, WORKER, Crew, Progress, processors
from cmam.store.past.jobs import Job, Order, answer_to, parts_of
from cmam.store.past.moment import Moment, moment_at
from cmam.store.past.replay import DIFFERENCES_MAX, Replayed, until, verify
from cmam.store.past.shares import WORTH_IT, leaders_of, split
from cmam.store.past.together import Hands, fold_together, verify_together
from cmam.store.records.envelope import Pending, Recorded
from cmam.store.upkeep.keeping import archive
from tests.person import LEADER
from tests.whole import ALPHA_TOO, SAME_BROKER, Whole

from .test_believing import SAMPLES, assert_same
from .world import FIRST, SECOND, a_day
from .world import LEADER as A_DAYS_LEADER


class OneProcess(Crew):
    """A crew whose shares are done here, one after the other, through the same orders and answers."""

    started = 0

    def __init__(self, orders: Sequence[bytes], progress: Progress) -> None:
        super().__init__([], progress)
        OneProcess.started += len(orders)
        self._orders = orders

    def answers(self) -> list[bytes]:
        return [answer_to(Order.read(order), lambda _: None) for order in self._orders]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares are done in this process: what they find is the same, and sooner found."""
    monkeypatch.setattr(together, "Crew", OneProcess)
    monkeypatch.setattr(together, "log", _Strict())
    OneProcess.started = 0


class _Strict:
    """A log in which nobody says that one process had to do it after all."""

    def warning(self, text: str, *values: object) -> None:
        raise AssertionError(text % values)


class _Lenient:
    """What was said, kept."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def warning(self, text: str, *values: object) -> None:
        self.said.append(text % values)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Why one process had to do it after all."""
    lenient = _Lenient()
    monkeypatch.setattr(together, "log", lenient)
    return lenient.said


def hands(processes: int = 2) -> Hands:
    """So many processes, for however short a log."""
    return Hands(processes=processes, least=0, worth_it=1)


def hold(log: EventLog, processes: Collection[int] = (2, 3)) -> Replayed:
    """Both ways of reading come to the same; answers what a verification says."""
    folded, verified = fold_log(log), verify(log.read_all())
    for count in processes:
        assert_same(fold_together(log, hands=hands(count)), folded)
        assert verify_together(log, hands=hands(count)) == verified
    return verified


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_every_sample_comes_to_the_same_in_any_number_of_processes(sample: Path) -> None:
    """Views, registry, counts, codes: at the end, and at any record before it."""
    is_todays = sample == SAMPLES[0]  # which has all that the older ones have: of those, the end and one moment
    with closing(EventLog.read_file(sample)) as log:
        last = log.position()
        assert hold(log, (2, 3, 8) if is_todays else (3,)).is_identical
        for end in (0, 1, 37, last // 2, last - 1, last + 5) if is_todays else (last // 2,):
            assert verify_together(log, end, hands()) == verify(until(log.read_all(), position=end))
            moment = Moment()
            for record in until(log.read_all(), position=end):
                moment.take(record)
            assert moment_at(log, end, hands()) == moment
        assert OneProcess.started > 0


def test_real_processes_come_to_the_same_and_say_how_far_they_are(tmp_path: Path, said: list[str]) -> None:
    """A fold, a verification and a start without views, each with a child that opens the log itself."""
    log = written(tmp_path, [*a_day().log.read_all(), *many_alerts()])
    heard: list[int] = []
    busy = replace(hands(), progress=heard.append)
    with closing(log):
        assert_same(fold_together(log, hands=busy), fold_log(log))
        assert verify_together(log, hands=busy) == verify(log.read_all())
        alone, both = begin(log, Hands(processes=1)), begin(log, busy)
    assert_same(both.fold, alone.fold)
    assert (both.told, both.pasts) == (alone.told, alone.pasts)
    assert max(heard) >= 2_000
    assert said == []


# --- logs of all kinds ------------------------------------------------------------------------------------------------


def written(home: Path, records: Collection[Recorded]) -> EventLog:
    """These records as a log on disk, their chains made anew."""
    log = EventLog.open(home)
    versions: dict[str, int] = {}
    batch = []
    for record in records:
        versions[record.stream] = version = versions.get(record.stream, 0) + 1
        batch.append(Pending(record.stream, version, record.at_us, record.event, record.cause, record.settings))
    log.append(batch)
    return log


def many_alerts(count: int = 1_600) -> Iterator[Recorded]:
    """Records enough for a word about how far one is, on two accounts."""
    for number in range(2 * count):
        stream = f"account:{7 + number % 2}"
        event = AlertRaised(kind="k", text=str(number))
        yield Recorded(0, stream, 0, number, event, None, 0, "", "", b"", event.TOPIC)


def altered(records: Collection[Recorded], change: Callable[[Recorded], Event | None]) -> list[Recorded]:
    """The records with other events, or without some."""
    found = []
    for record in records:
        event = change(record)
        if event is not None:
            found.append(msgspec.structs.replace(record, event=event))
    return found


def a_long_day(trades: int = 70) -> list[Recorded]:
    """The day, and many trades more."""
    world = a_day()
    for _ in range(trades):
        world.leader_opens(6_000_000)
    return list(world.log.read_all())


@pytest.mark.usefixtures("here")
def test_differences_of_several_accounts_come_in_the_order_in_which_one_process_finds_them(tmp_path: Path) -> None:
    """Decisions that came out otherwise, a request that is missing in the middle and one at the end."""
    records = list(a_day().log.read_all())
    requests = [record.position for record in records if isinstance(record.event, IntentRecorded)]

    def change(record: Recorded) -> Event | None:
        if record.position in (requests[2], requests[-1]):
            return None
        if record.stream == f"account:{SECOND}" and isinstance(record.event, ChangeDecided) and record.position > 40:
            return replace(record.event, volume=Volume(1))
        return record.event

    with closing(written(tmp_path, altered(records, change))) as log:
        found = hold(log)
    assert {difference.stream for difference in found.differences} == {f"account:{FIRST}", f"account:{SECOND}"}


@pytest.mark.usefixtures("here")
def test_more_differences_than_are_listed_are_counted_the_same(tmp_path: Path) -> None:
    """The leader's fills at other prices than its followers were told: a difference for each decision."""

    def change(record: Recorded) -> Event | None:
        event = record.event
        if isinstance(event, ExecutionSeen) and record.stream == f"account:{A_DAYS_LEADER}" and event.deal is not None:
            return replace(event, deal=replace(event.deal, price=Price(1)))
        return event

    with closing(written(tmp_path, altered(a_long_day(), change))) as log:
        found = hold(log)
    assert len(found.differences) == DIFFERENCES_MAX
    assert found.more_differences > 20


@pytest.mark.usefixtures("here")
def test_an_account_may_lead_and_follow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of a copy: each is judged once, and read where it is needed."""
    whole = Whole(3, followers=(SAME_BROKER,))
    whole.add_accounts(ALPHA_TOO)
    whole.add_profile("second", SAME_BROKER, (ALPHA_TOO,))
    whole.start_ready()
    position = whole.person.buy(100_000)
    whole.run(5)
    whole.person.close(position, 100_000)
    whole.run(5)
    whole.stop()
    with closing(written(tmp_path, list(whole.log.read_all()))) as log:
        others = [stream for stream in log.streams() if not stream.startswith("account:")]
        assert leaders_of(log.facts_among(others, log.position())) == {SAME_BROKER: {LEADER}, ALPHA_TOO: {SAME_BROKER}}
        found = hold(log)
        monkeypatch.setattr(replay, "REMEMBERED_CHANGES", 0)  # as of a leader that told very many since
        assert hold(log).differences
    assert found.is_identical
    assert found.decisions >= 4


@pytest.mark.usefixtures("here")
def test_a_profile_that_is_no_more_still_names_its_leader(tmp_path: Path) -> None:
    """Decisions of a deleted profile are held against the same witness."""
    world = a_day()
    world.write_profile(ProfileDeleted())
    with closing(written(tmp_path, list(world.log.read_all()))) as log:
        assert hold(log).is_identical


def test_a_leader_that_no_profile_names_is_a_case_for_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    """A forged decision: what its made-up leader told stands in another share, so everything is read again."""
    monkeypatch.setattr(together, "Crew", OneProcess)
    forged = []

    def change(record: Recorded) -> Event | None:
        event = record.event
        if isinstance(event, ChangeDecided) and record.stream == f"account:{FIRST}":
            forged.append(record)
            return replace(event, change=replace(event.change, leader=AccountId(SECOND)))
        return event

    with closing(written(tmp_path, altered(list(a_day().log.read_all()), change))) as log:
        hold(log, (3,))
    assert forged
    assert any("leads by no profile" in one for one in said)


def insert(log: EventLog, stream: object, version: int, topic: str, state: str) -> None:
    """A row that no cmam of today writes."""
    log.connection.execute(f"INSERT INTO {TABLE} VALUES (?, ?, ?, ?)", (stream, version, topic, state))


@pytest.mark.usefixtures("here")
def test_records_of_a_later_version_are_told_the_same(tmp_path: Path) -> None:
    """An event that nobody here knows, on an account and on a profile."""
    with closing(written(tmp_path, list(a_day().log.read_all()))) as log:
        for stream in (f"account:{FIRST}", "app", "profile:pr0f1l", "connection:new"):
            version = log.head(stream).version + 1
            state = '{"at_us":9,"cause":null,"settings":0,"code":"9.9.9","prev":"","data":{"x":1}}'
            insert(log, stream, version, "of.later", state)
        log.refresh()
        found = hold(log)
    assert found.codes > {"9.9.9"}
    assert "cannot read it" in found.differences[0].why


@pytest.mark.usefixtures("here")
def test_an_archived_log_is_read_through_all_its_files(tmp_path: Path) -> None:
    """Older parts are opened by each process for itself."""
    written(tmp_path, list(a_day().log.read_all())).close()
    archive(tmp_path, 9_999_999_999_999_999)
    with closing(EventLog.open(tmp_path)) as log:
        log.append([Pending("account:5", 1, 1, AlertRaised(kind="k", text="t"))])
    with closing(EventLog.read_only(tmp_path)) as log:
        assert len(log.parts) == 2
        hold(log)


@pytest.mark.parametrize("place", [5, 40, 74])
def test_a_damaged_record_is_named_as_one_process_names_it(tmp_path: Path, place: int, said: list[str]) -> None:
    """The first that cannot be read ends it, with the same sentence, wherever it stands."""
    with closing(written(tmp_path, list(a_day().log.read_all()))) as log:
        for position in (place, 75):
            log.connection.execute(f"UPDATE {TABLE} SET state = '{{\"broken' WHERE rowid = ?", [position])
        log.refresh()
        with pytest.raises(StoreBroken) as alone:
            verify(log.read_all())
        for read in (fold_together, verify_together):
            with pytest.raises(StoreBroken) as both:
                read(log, hands=hands())
            assert str(both.value) == str(alone.value)
    assert said == []


def test_a_row_that_belongs_to_no_share_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    """A stream's name stored as bytes is met by one process only: the sum of the shares tells."""
    monkeypatch.setattr(together, "Crew", OneProcess)
    with closing(written(tmp_path, list(a_day().log.read_all()))) as log:
        version = log.head(f"account:{FIRST}").version + 1
        state = log.connection.execute(f"SELECT state FROM {TABLE} WHERE rowid = 20").fetchone()[0]
        insert(log, f"account:{FIRST}".encode(), version, "account.alert_raised", state)
        log.refresh()
        hold(log, (2,))
    assert len(said) == 2


@pytest.mark.usefixtures("here")
def test_a_log_that_grows_is_read_up_to_where_it_stood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is committed while processes read is for the next look."""
    with closing(written(tmp_path, list(a_day().log.read_all()))) as log, closing(EventLog.read_only(tmp_path)) as seen:
        expected, folded, end = verify(seen.read_all()), fold_log(seen), seen.position()
        original, grown = together.do, iter(range(1, 100))

        def do(order: Order, given: EventLog, tick: Callable[[int], None]) -> object:
            log.append([Pending("account:77", next(grown), 1, AlertRaised(kind="k", text="t"))])
            return original(order, given, tick)

        monkeypatch.setattr(together, "do", do)
        assert verify_together(seen, hands=hands()) == expected
        assert fold_together(seen, end, hands()) == folded
        assert seen.position() == end + 2


def test_a_log_without_a_file_is_read_here() -> None:
    """No other process could open it."""
    log = a_day().log
    assert_same(fold_together(log, hands=hands()), fold_log(log))
    assert verify_together(log, hands=hands()) == verify(log.read_all())


# --- processes --------------------------------------------------------------------------------------------------------


@pytest.fixture
def day(tmp_path: Path) -> Iterator[EventLog]:
    """A day on disk."""
    with closing(written(tmp_path, list(a_day().log.read_all()))) as log:
        yield log


def test_a_process_that_dies_leaves_the_work_to_this_one(
    day: EventLog, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    """One line says so, and the answer is the same."""
    monkeypatch.setattr(crew, "WORKER", "cmam.store.no_such_module")
    assert_same(fold_together(day, hands=hands()), fold_log(day))
    (line,) = said
    assert "exit code 1" in line or "before it was told" in line


def test_where_no_process_can_be_started_this_one_does_it(
    day: EventLog, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    """A limit on processes is no reason not to answer."""
    monkeypatch.setattr(sys, "executable", "/nothing/here")
    assert verify_together(day, hands=hands()) == verify(day.read_all())
    assert ["no process could be started" in line for line in said] == [True]


def test_an_interrupt_ends_all_processes(day: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle of the work: every child is ended and waited for before anything is said."""
    children = []
    original = subprocess.Popen

    def started(*given: object, **options: object) -> object:
        children.append(original(*given, **options))
        return children[-1]

    def interrupted(*_: object) -> object:
        raise KeyboardInterrupt

    monkeypatch.setattr(crew.subprocess, "Popen", started)
    monkeypatch.setattr(together, "do", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fold_together(day, hands=hands())
    assert children
    assert all(child.returncode is not None for child in children)


def test_a_worker_whose_caller_is_gone_ends_in_the_middle(tmp_path: Path) -> None:
    """At the end of its standard input nobody waits any more: it answers nothing."""
    with closing(written(tmp_path, list(many_alerts()))) as log:
        order = Order(job=Job.FOLD, parts=parts_of(log), end=log.position(), own=(AccountId(7), AccountId(8)))
    done = subprocess.run([sys.executable, "-m", WORKER], input=order.write() + b"\n", capture_output=True, check=False)
    assert done.returncode == 1
    assert not done.stdout.startswith(ANSWER)


def test_short_logs_and_single_processors_start_nothing(day: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process costs more than it saves where there is little to read, or nobody to read it."""

    def refused(*_: object) -> object:
        raise AssertionError("expected no process")

    monkeypatch.setattr(together, "Crew", refused)
    assert_same(fold_together(day), fold_log(day))
    monkeypatch.setattr(together, "processors", lambda: 1)
    assert verify_together(day, hands=Hands(least=0)) == verify(day.read_all())
    assert 1 <= processors() <= crew.WORKERS_MAX


def test_a_start_takes_what_several_processes_folded_beside_the_snapshots_that_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Accounts without a snapshot are shared out, the others are read on from theirs."""
    monkeypatch.setattr(together, "Crew", OneProcess)
    OneProcess.started = 0
    with closing(written(tmp_path, a_long_day(5))) as log:
        alone = begin(log, Hands(processes=1))
        stream = f"account:{FIRST}"
        view = fold_log(log).accounts[FIRST]
        monkeypatch.setattr(beginning, "_kept", lambda _: {stream: beginning.Snapshot(view, alone.told[FIRST])})
        both = begin(log, hands())
    assert OneProcess.started == 1
    assert_same(both.fold, alone.fold)
    assert both.told == alone.told


# --- shares -----------------------------------------------------------------------------------------------------------


@given(
    st.dictionaries(st.integers(1, 40).map(AccountId), st.integers(1, 1_000), min_size=1),
    st.dictionaries(st.integers(1, 40).map(AccountId), st.sets(st.integers(1, 45).map(AccountId), max_size=3)),
    st.integers(1, 9),
)
def test_every_account_is_in_one_share_with_its_leaders_beside_it(
    records: dict[AccountId, int], leaders: dict[AccountId, set[AccountId]], count: int
) -> None:
    """However they follow each other; no more shares than asked for, and none longer than it says."""
    shares = split(records, leaders, count)
    assert sorted(account for share in shares for account in share.own) == sorted(records)
    assert 1 <= len(shares) <= count
    for share in shares:
        needed = {one for account in share.own for one in leaders.get(account, ()) if one in records}
        assert share.beside == needed - set(share.own)
        assert share.records == sum(records[account] for account in share.read)
    if len(shares) > 1:
        assert max(share.records for share in shares) <= WORTH_IT * sum(records.values())


def test_followers_of_one_leader_are_shared_out_evenly() -> None:
    """Equal streams in equal shares, the leader beside each; one stream that outweighs all others is not worth it."""
    leader, followers = AccountId(1), [AccountId(n) for n in range(2, 10)]
    records = {leader: 100, **dict.fromkeys(followers, 1_000)}
    shares = split(records, {follower: {leader} for follower in followers}, 4)
    assert [share.records for share in shares] == [2_100] * 4
    assert len(split({leader: 10_000, **dict.fromkeys(followers, 10)}, {}, 4)) == 1
