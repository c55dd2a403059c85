"""Flatten as a person meets it: beside a running copier, without one, past one that hangs; and the ends of profiles."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from cmam import office
from cmam.actors.threads.runtime import Latch
from cmam.clock import SECOND_US, SystemClock
from cmam.config.home import Home
from cmam.rescue import Rescue, links_of
from cmam.sandbox.serving.options import ReadyInfo
from cmam.sandbox.serving.server import run_in_thread
from tests.scenario.guide import Person, options
from tests.scenario.profile_home import LEADER, OTHER_BROKER, SAME_BROKER, Market, running, settle
from tests.waiting import until


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[ReadyInfo]:
    """A sandbox that fills at once and has no past."""
    with run_in_thread(options(tmp_path / "sandbox", fill_delay_ms="0", history_days="0")) as info:
        yield info


@pytest.fixture
def person(tmp_path: Path, ready: ReadyInfo, capsys: pytest.CaptureFixture[str]) -> Person:
    """Somebody with a profile of two followers."""
    person = Person(settle(ready, tmp_path), capsys)
    made = person.types(
        "profile", "create", "main", "--leader", str(LEADER),
        "--follower", str(SAME_BROKER), "--set", "volume.amount=0.5",
    )  # fmt: skip
    assert made.code == 0, made.err
    return person


@pytest.fixture
def market(ready: ReadyInfo, person: Person) -> Market:
    """The other side of the trades."""
    return Market(ready, person.home)


def _copied(market: Market, person: Person, *, pending: bool = False) -> None:
    """The leader trades, and the follower holds its copy at the broker."""
    market.trades(LEADER, "buy", symbol="EURUSD", lots="1")
    until(lambda: market.holds(SAME_BROKER)[0], "the copy is held")
    if pending:
        market.trades(LEADER, "limit", side="buy", symbol="EURUSD", lots="1", price="0.9")
        until(lambda: market.holds(SAME_BROKER)[1], "the copied order rests")
    until(lambda: person.types("status", "--json").lines[0]["profiles"][0]["links"][0]["copies"] > 0, "it is known")


def test_flatten_beside_a_running_copier_waits_for_the_broker(person: Person, market: Market) -> None:
    """`--yes --wait` ends with 0 once copies and copied orders are gone; what is nobody's copy stays."""
    with running(person):
        _copied(market, person, pending=True)
        market.trades(SAME_BROKER, "buy", symbol="GBPUSD", lots="0.01")
        refused = person.types("flatten", "main")
        assert refused.code == 2
        assert "Add --yes" in refused.err
        assert market.holds(SAME_BROKER)[1]
        said = person.types("flatten", "main", "--yes", "--wait", "20", "--json")
        assert said.code == 0, said.err
        assert said.lines[-1]["done"] is True
        positions, orders = market.holds(SAME_BROKER)
        assert [position.label for position in positions] == [""]
        assert orders == ()
        whole = person.types("flatten", "--account", str(SAME_BROKER), "--whole", "--yes", "--wait", "20")
        assert whole.code == 0, whole.err
        assert market.holds(SAME_BROKER) == ((), ())
        assert person.types("profile", "rearm", "main", "--guard", "nothing").code == 1
        assert person.types("profile", "rearm", "main", "--guard", "flatten").code == 0
    assert person.types("replay", "--verify").code == 0


def test_a_deadline_that_passes_is_an_exit_code(person: Person, market: Market) -> None:
    """Where the broker closes nothing in time, `--wait` ends with 1 and names what is left; nothing is given up."""
    with running(person):
        _copied(market, person)
        broken = ("code=TRADING_DISABLED", "type=2111", "--ready-file", str(person.home.parent / "ready.json"))
        assert person.types("sandbox", "fault", "reject", *broken).code == 0
        said = person.types("flatten", "main", "--yes", "--wait", "1")
        assert said.code == 1
        assert "left: main" in said.err


@pytest.mark.parametrize("is_running", [True, False])
def test_what_is_nobodys_copy_is_named_where_a_whole_account_is_not_empty_in_time(
    person: Person, market: Market, *, is_running: bool
) -> None:
    """A person's own position whose close is refused is left, and said: exit code 1, not "Nothing is left"."""
    broken = ("code=MARKET_CLOSED", "type=2111", "--ready-file", str(person.home.parent / "ready.json"))
    whole = ("flatten", "--account", str(SAME_BROKER), "--whole", "--yes", "--wait", "3", "--json")
    with running(person) as process:
        market.trades(SAME_BROKER, "buy", symbol="GBPUSD", lots="0.01")
        until(lambda: person.types("status", "--json").lines[0]["accounts"][1].get("positions", 0) > 0, "it is known")
        assert person.types("sandbox", "fault", "reject", *broken).code == 0
        if not is_running:
            process.kill()
            process.wait()
        said = person.types(*whole)
    assert said.code == 1, said.err
    assert said.lines[-1]["done"] is False
    assert [row["symbol"] for row in said.lines[-1]["left"]] == ["GBPUSD"]
    assert "left: nobody's copy" in said.err
    assert person.types("sandbox", "fault", "reject", "--off", *broken[2:]).code == 0
    assert person.types(*whole).code == 0
    assert market.holds(SAME_BROKER) == ((), ())


def test_nothing_is_said_to_be_gone_that_no_broker_has_shown(person: Person, market: Market) -> None:
    """Where no broker answers, a record without copies is no proof: what the account holds is not known."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMAM_PORT", "1")
        said = person.types("flatten", "main", "--yes", "--wait", "1", "--json")
    assert said.code == 1
    assert said.lines[-1]["done"] is False
    assert "not in sight" in said.err
    assert person.types("flatten", "main", "--yes").code == 0
    assert market.holds(SAME_BROKER) == ((), ())


def test_flatten_without_a_running_copier_starts_one_for_just_that(person: Person, market: Market) -> None:
    """Killed with copies open, the next flatten closes them at the broker, opens nothing, and ends by itself."""
    with running(person) as process:
        _copied(market, person, pending=True)
        process.kill()
        process.wait()
    market.trades(LEADER, "buy", symbol="GBPUSD", lots="1")
    said = person.types("flatten", "--all", "--yes")
    assert said.code == 0, said.err
    assert "Nothing is left." in said.err
    assert market.holds(SAME_BROKER) == ((), ())
    assert person.types("status", "--json").lines[0]["running"] is False
    assert person.types("replay", "--verify").code == 0
    assert person.types("audit", "verify").code == 0


def test_flatten_that_can_only_latch_says_what_it_did_not_do(person: Person, market: Market) -> None:
    """Where the settings name no port no cmam can be started: it is latched, nothing is closed, and both are said; the
    same command finishes it once that is mended."""
    with running(person) as process:
        _copied(market, person)
        process.kill()
        process.wait()
    settings = person.home / "settings.toml"
    whole = settings.read_text()
    settings.write_text(re.sub("demo_port = .*", "demo_port = 0", whole))
    said = person.types("flatten", "main", "--yes", "--json")
    assert said.code == 2
    assert "settings.toml" in said.err
    assert "what is listed above is still open" in said.err
    assert "Nothing new opens either, until `cmam rearm`" in said.err
    assert [row["symbol"] for row in said.lines[-1]["left"]] == ["EURUSD"]
    assert said.lines[-1]["done"] is False
    settings.write_text(whole)
    assert len(market.holds(SAME_BROKER)[0]) == 1
    assert person.types("flatten", "main", "--yes").code == 0
    assert market.holds(SAME_BROKER) == ((), ())


@pytest.mark.parametrize("way", [(), ("--direct",)])
def test_a_flatten_needs_no_settings_file(person: Person, market: Market, way: tuple[str, ...]) -> None:
    """One that is no TOML any more is told, and what was configured last is on record: positions do not wait for it."""
    with running(person) as process:
        _copied(market, person)
        process.kill()
        process.wait()
    settings = person.home / "settings.toml"
    whole = settings.read_text()
    settings.write_text('demo_port = "x\n')
    said = person.types("flatten", "main", "--yes", *way)
    settings.write_text(whole)  # who looks at the broker here needs it
    assert said.code == 0, said.err
    assert "Closing goes on with what `cmam api configure` last recorded (127.0.0.1:" in said.err
    assert market.holds(SAME_BROKER) == ((), ())


def test_direct_closes_past_a_copier_that_hangs(person: Person, market: Market) -> None:
    """A stopped process holds the lock and answers nothing: `--direct` closes our labels alone, without it."""
    with running(person) as process:
        _copied(market, person, pending=True)
        market.trades(SAME_BROKER, "buy", symbol="GBPUSD", lots="0.01")
        process.send_signal(signal.SIGSTOP)
        try:
            held = person.types("flatten", "main", "--yes")
            assert held.code == 4
            assert "--direct" in held.err
            settings = person.home / "settings.toml"
            whole = settings.read_text()
            settings.write_text(whole + 'settle_s = "soon"\n')
            said = person.types("flatten", "main", "--direct", "--yes", "--json")
            settings.write_text(whole)
            assert said.code == 0, said.err
            assert "settle_s in" in said.err  # a slip that has nothing to do with closing is told, and waits
            positions, orders = market.holds(SAME_BROKER)
            assert [position.label for position in positions] == [""]
            assert orders == ()
        finally:
            process.send_signal(signal.SIGCONT)


def test_direct_finds_nothing_where_nothing_is_ours(person: Person, market: Market) -> None:
    """Without a copy of ours `--direct` ends with 0 and leaves every position alone."""
    market.trades(OTHER_BROKER, "buy", symbol="EURUSD.b", lots="1")
    said = person.types("flatten", "--all", "--direct")
    assert said.code == 0, said.err
    assert len(market.holds(OTHER_BROKER)[0]) == 1


def test_direct_asks_again_for_what_was_refused(person: Person, market: Market) -> None:
    """A close that the broker rejects once is asked for in the next round; a broker that is gone is exit code 3."""
    with running(person) as process:
        _copied(market, person)
        process.kill()
    broken = ("code=MARKET_CLOSED", "count=1", "--ready-file", str(person.home.parent / "ready.json"))
    assert person.types("sandbox", "fault", "reject", *broken).code == 0
    said = person.types("flatten", "--account", str(SAME_BROKER), "--direct", "--yes", "--wait", "20")
    assert said.code == 0, said.err
    assert said.err.count("closing position") == 2
    assert market.holds(SAME_BROKER) == ((), ())
    assert person.types("flatten", "--all", "--direct", "--whole").code == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CMAM_PORT", "1")
        gone = person.types("flatten", "main", "--direct", "--yes", "--wait", "0.5")
    assert gone.code == 3
    assert "not known" in gone.err


@pytest.mark.parametrize("code", ["CH_SERVER_NOT_REACHABLE", "CH_ACCESS_TOKEN_INVALID"])
def test_direct_gives_nobody_up_who_is_refused_for_now(person: Person, market: Market, code: str) -> None:
    """A trading service that is down for a moment, or a token that a running cmam renews just then, is asked again; and
    as long as nobody knows what is there, somebody has to say that it may be closed."""
    with running(person) as process:
        _copied(market, person)
        process.kill()
    file = str(person.home.parent / "ready.json")
    words = ("flatten", "main", "--direct", "--wait", "20")
    for expected, *more in ((2,), (0, "--yes")):
        fault = ("error", f"code={code}", "type=2102", "count=1", "--ready-file", file)
        assert person.types("sandbox", "fault", *fault).code == 0
        said = person.types(*words, *more)
        assert said.code == expected, said.err
        assert len(market.holds(SAME_BROKER)[0]) == (expected > 0)


def test_direct_goes_on_with_tokens_that_are_renewed_meanwhile(person: Person, market: Market) -> None:
    """Between the look and the closes, while somebody reads what is listed, a refresh ends the sessions of all."""
    with running(person) as process:
        _copied(market, person)
        process.kill()
    home, clock = Home(person.home), SystemClock()
    registry = office.read_registry(home)
    one = Rescue(home, office.settings_of(home), registry, links_of(registry, None, None), clock, Latch().wait)
    try:
        assert [len(seen.positions) for seen in one.look() if seen.account.account == SAME_BROKER] == [1]
        assert person.types("account", "refresh").code == 0
        found = one.empty(clock.monotonic() + 20 * SECOND_US, lambda _: None)
    finally:
        one.end()
    assert all(seen.is_empty for seen in found), [seen.why_not for seen in found]
    assert market.holds(SAME_BROKER) == ((), ())


@pytest.mark.parametrize("ending", ["leave", "close"])
def test_a_profile_never_ends_silently(person: Person, market: Market, ending: str) -> None:
    """Disabling with live copies wants `--leave` or `--close`, names what has no stop, and does as it was told."""
    with running(person):
        _copied(market, person, pending=True)
        silent = person.types("profile", "disable", "main")
        assert silent.code == 2
        assert "NO STOP" in silent.err
        assert "main has 2 live copies. Say" in silent.err
        unnamed = person.types("profile", "disable", "", "--close", "--yes")
        assert unnamed.code == 2
        assert "live cop" not in unnamed.err, "of no profile, not those of all"
        assert market.holds(SAME_BROKER)[1]
        said = person.types("profile", "disable", "main", f"--{ending}", "--yes")
        assert said.code == 0, said.err
        until(lambda: not market.holds(SAME_BROKER)[1], "the copied order is cancelled")
        if ending == "close":
            until(lambda: not market.holds(SAME_BROKER)[0], "the copy is closed")
        else:
            assert len(market.holds(SAME_BROKER)[0]) == 1
    assert person.types("replay", "--verify").code == 0


def test_a_deleted_profile_keeps_its_orders_when_asked(person: Person, market: Market) -> None:
    """`--leave --keep-pendings` touches nothing at the broker; a later flatten of all finds what was left."""
    with running(person):
        _copied(market, person, pending=True)
        assert person.types("profile", "delete", "main", "--leave", "--keep-pendings", "--yes").code == 0
        positions, orders = market.holds(SAME_BROKER)
        assert (len(positions), len(orders)) == (1, 1)
        left = "main is deleted: 2 copies are not managed, 1 without a stop at the broker."
        assert left in person.types("status").out
        said = person.types("flatten", "--all", "--yes", "--wait", "20")
        assert said.code == 0, said.err
        assert market.holds(SAME_BROKER) == ((), ())
