"""Several connections for one environment: accounts spread over them, each with its own limiter and quotes."""

from __future__ import annotations

import pytest

from cmam.actors import messages as m
from cmam.domain.events import ConnectionDown, ConnectionUp, Health
from cmam.openapi import catalogue
from cmam.sandbox.switches import Switches
from cmam.store.past.replay import verify
from tests.person import LEADER, PERSON_CONNECTION
from tests.whole import ALPHA_TOO, OTHER_BROKER, SAME_BROKER, SECOND, Whole, known
from tests.wires import Line

LOT = 10_000_000


def line_of(whole: Whole, name: str) -> Line:
    """The line of a connection."""
    [line] = [line for line in whole.stepper.network.lines.values() if line.name == m.connection_name(name)]
    return line


@pytest.mark.parametrize("seed", range(3))
def test_a_copy_crosses_from_one_connection_to_another(seed: int) -> None:
    """Leader and followers on three connections: each is authorised on its own, copies flow, quotes are on each."""
    whole = Whole(seed=seed, followers=(SAME_BROKER, ALPHA_TOO), connections=3)
    whole.start_ready()
    whole.run(3)
    whole.person.buy(LOT)
    whole.run(2)
    assert len(whole.person.holds(SAME_BROKER)) == len(whole.person.holds(ALPHA_TOO)) == 1
    status = whole.command({"command": "status"})
    assert {account["ctid"]: account["connection"] for account in status["accounts"]} == {
        LEADER: "demo-1",
        SAME_BROKER: "demo-2",
        ALPHA_TOO: "demo-3",
    }
    assert set(status["limiters"]) == {"limiter:demo-1", "limiter:demo-2", "limiter:demo-3"}
    assert [profile["forecast"]["text"] for profile in status["profiles"]] == ["2 followers at once"]
    asked = {entry["connection"]: entry["requests_by_type"] for entry in whole.broker.stats()["connections"]}
    subscribed = [kinds for kinds in asked.values() if str(catalogue.type_of(catalogue.MESSAGES[2127])) in kinds]
    assert len(subscribed) == 3, "every connection has quotes of its own"
    assert verify(whole.log.read_all()).is_identical
    assert whole.stepper.failures == []


@pytest.mark.parametrize("seed", range(3))
def test_a_lost_connection_takes_only_its_own_accounts_down(seed: int) -> None:
    """The other follower goes on copying, and the lost one comes back and catches up; each on a stream of its own."""
    whole = Whole(seed=seed, followers=(SAME_BROKER, ALPHA_TOO), connections=3)
    whole.start_ready()
    network = whole.stepper.network
    network.cut(line_of(whole, "demo-2"))
    whole.stepper.run_until(lambda: whole.view(SAME_BROKER).health is Health.DOWN, 5_000_000)
    assert whole.view(ALPHA_TOO).health is Health.RECONCILED
    whole.person.buy(LOT)
    whole.run(10)
    assert len(whole.person.holds(SAME_BROKER)) == len(whole.person.holds(ALPHA_TOO)) == 1
    kinds = {
        name: [type(entry.event) for entry in whole.log.read_stream(m.connection_name(name))]
        for name in ("demo-1", "demo-2", "demo-3")
    }
    assert [ConnectionDown in kinds[name] for name in kinds] == [False, True, False]
    assert [kinds[name].count(ConnectionUp) for name in kinds] == [1, 2, 1]
    assert verify(whole.log.read_all()).is_identical


def test_a_try_that_hangs_says_why_the_line_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """`status` shows it until the line is up again: a port that takes nobody answers nothing for many seconds."""
    whole = Whole(seed=4, followers=(SAME_BROKER,))
    whole.start_ready()
    network = whole.stepper.network

    def shown() -> tuple[str, str]:
        (found,) = whole.command({"command": "status"})["connections"].values()
        return found["state"], found["reason"]

    with monkeypatch.context() as patch:
        patch.setattr(network, "dial", lambda *_: None)
        (line,) = (line for line in network.lines.values() if line.name.startswith("connection:"))
        network.cut(line)
        whole.stepper.run_until(lambda: shown()[0] == "transport", 60_000_000)
        assert shown() == ("transport", "the line was cut")
    whole.stepper.directory.tell(line.name, m.Wake("dial"))
    whole.stepper.run_until(lambda: shown()[0] == "open", 60_000_000)
    assert shown() == ("open", "")


def test_changed_tokens_reach_the_connection_of_each_account() -> None:
    """A token that lasts ten minutes is swapped on every connection, and copies go on."""
    switches = Switches(history_days=0, access_token_s=600)
    whole = Whole(seed=5, followers=(SAME_BROKER, ALPHA_TOO), connections=3, switches=switches)
    whole.start_ready()
    whole.run(1_200)
    whole.person.buy(LOT)
    whole.run(2)
    assert len(whole.person.holds(SAME_BROKER)) == len(whole.person.holds(ALPHA_TOO)) == 1
    figures = [entry for entry in whole.broker.stats()["connections"] if entry["connection"] < PERSON_CONNECTION]
    swaps = [entry["requests_by_type"].get(str(catalogue.ACCOUNT_AUTH), 0) for entry in figures]
    assert sum(count >= 2 for count in swaps) == 3
    assert whole.stepper.failures == []


def test_what_is_lost_with_a_connection_keeps_its_account_and_place() -> None:
    """An actor that dies is started again on the connection where its account was."""
    whole = Whole(seed=6, followers=(SAME_BROKER, ALPHA_TOO), connections=2)
    whole.start_ready()
    whole.stepper.doom(m.account_name(SAME_BROKER), 0, 0)
    whole.person.buy(LOT)
    whole.run(10)
    assert len(whole.person.holds(SAME_BROKER)) == 1
    status = whole.command({"command": "status"})
    places = {account["ctid"]: account["connection"] for account in status["accounts"]}
    assert places == {LEADER: "demo-1", SAME_BROKER: "demo-2", ALPHA_TOO: "demo-1"}


def test_an_account_that_was_removed_is_asked_nothing_more() -> None:
    """It was looked at once a minute until the next start, and refused after a cut; added again it is back."""
    whole = Whole(seed=1)
    whole.add_accounts(OTHER_BROKER)
    whole.start_ready()
    whole.command({"command": "account.remove", "account": str(OTHER_BROKER)})
    for _ in range(2):
        whole.run(5)
        view = whole.view(OTHER_BROKER)
        assert view is not None
        assert view.health is Health.DOWN
        whole.stepper.network.cut_all()
    whole.command({"command": "account.add", "accounts": [known(whole.broker, OTHER_BROKER)]})
    whole.stepper.run_until(whole.is_ready, 60 * SECOND)
    assert whole.stepper.failures == []


def test_a_line_is_lost_for_a_reason_that_is_no_text() -> None:
    """As where the file of its authority is gone whose name is in another encoding: the record refused it, and ended
    the process."""
    whole = Whole(seed=1)
    whole.start_ready()
    line = line_of(whole, "demo-1")
    whole.stepper.directory.tell(line.name, m.Lost(line.generation, "no certificates in ca\udcff.pem"))
    whole.run(5)
    assert whole.system is not None
    assert whole.system.why_failed == ""
    down = [r.event for r in whole.log.read_stream(line.name) if isinstance(r.event, ConnectionDown)]
    assert [event.reason for event in down] == ["no certificates in ca .pem"]
