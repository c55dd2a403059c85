"""Commands on a home: durable once answered, one writer at a time, the same through both ways."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from cmam import office
from cmam.actors.operating import control
from cmam.actors.operating.control import CLIENTS_MAX, REQUEST_BYTES_MAX, ControlListener
from cmam.clock import ManualClock
from cmam.config.home import Home
from cmam.credentials.secrets_file import SecretsRefused
from cmam.domain.events import FlattenRequested
from cmam.domain.operating.asking import Refusal
from cmam.domain.values.ids import AccountId
from cmam.store.errors import StoreHeld
from cmam.store.logfile.lock import StoreLock
from cmam.store.logfile.log import EventLog
from cmam.store.projection.projector import project_to_head
from tests.waiting import until

TWO = [
    {"account": 11, "login": 1, "broker": "alpha", "currency": "USD", "grant": "g"},
    {"account": 22, "login": 2, "broker": "beta", "currency": "EUR", "grant": "g"},
]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home."""
    return Home(tmp_path / "home")


def _do(home: Home, **request: Any) -> dict[str, Any]:
    return office.carry_out(home, request, command="test")


def test_an_untouched_home_knows_nothing_and_is_not_made(home: Home) -> None:
    """Looking leaves no folder behind."""
    assert not office.read_registry(home).accounts
    assert not home.root.exists()


def test_who_manages_is_not_known_without_the_record(home: Home) -> None:
    """A home that was moved away under a running cmam had it say that no start manages what is left open."""
    assert office.managed_links(home) is None
    _do(home, command="account.add", accounts=TWO)
    assert office.managed_links(home) == frozenset()


@pytest.mark.parametrize(
    "request_",
    [
        {"command": "profile.create", "name": "main", "leader": "1", "followers": ["2"], "settings": {}},
        {"command": "account.alias", "account": "1", "alias": "x"},
        {"command": "flatten", "all": True},
        {"command": "rearm", "profile": "main"},
        {"command": "pause", "all": True},
    ],
)
def test_what_has_nothing_to_act_upon_leaves_no_store_behind(home: Home, request_: dict[str, Any]) -> None:
    """A folder that was mistyped does not become a home by a command that is refused there or changes nothing."""
    with suppress(Refusal):
        _do(home, **request_)
    assert not home.root.exists()


def test_what_was_answered_is_read_by_the_next_process(home: Home) -> None:
    """Accounts, aliases, tags and profiles are on disk when the command returns, under one store id."""
    _do(home, command="account.add", accounts=TWO)
    _do(home, command="account.alias", account="alpha:1", alias="Lead")
    _do(home, command="account.tag", accounts=["11", "22"], add=["prop"])
    _do(home, command="profile.create", name="Main", leader="lead", followers=["22"], settings={})
    registry = office.read_registry(home)
    assert len(registry.store) == 5
    assert registry.accounts[AccountId(11)].alias == "Lead"
    assert registry.accounts[AccountId(22)].tags == ("prop",)
    (profile,) = registry.live_profiles()
    assert profile.name == "Main"
    assert [link.follower for link in profile.links.values()] == [22]
    store = registry.store
    _do(home, command="pause", profile="main")
    assert office.read_registry(home).store == store


def test_a_refusal_leaves_nothing_behind(home: Home) -> None:
    """A command that is refused writes no event of its own."""
    _do(home, command="account.add", accounts=TWO)
    before = office.read_registry(home)
    with pytest.raises(Refusal, match="no account 'nobody'"):
        _do(home, command="account.alias", account="nobody", alias="x")
    assert office.read_registry(home) == before


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred", "x" * 61, "\u202eright to left", "-x"])
def test_a_name_that_no_table_can_show_is_refused(home: Home, name: str) -> None:
    """An alias and a tag are a line of printable signs, as the name of a profile is; blanks around it do not count."""
    _do(home, command="account.add", accounts=TWO)
    with pytest.raises(Refusal, match="expected an alias of 1 to 60 printable characters"):
        _do(home, command="account.alias", account="11", alias=name)
    with pytest.raises(Refusal, match="expected a tag of 1 to 60 printable characters"):
        _do(home, command="account.tag", accounts=["11"], add=["fine", name])
    with pytest.raises(Refusal, match="without comma: `--add` once for each; found 'prop,eu'"):
        _do(home, command="account.tag", accounts=["11"], add=["prop,eu"])
    assert _do(home, command="account.alias", account="11", alias=" Lead ")["alias"] == "Lead"
    assert office.read_registry(home).accounts[AccountId(11)].tags == ()


def _of_the_sample(root: Path, home: Path) -> Home:
    home.mkdir()
    shutil.copyfile(root / "events.db.sample", home / "events.db")
    return Home(home)


def test_what_is_shown_and_done_is_the_same_with_views_and_without(root: Path, tmp_path: Path) -> None:
    """Snapshots save reading, and are worth nothing else: `status` and a flatten come out as from the whole log."""
    bare, viewed = (_of_the_sample(root, tmp_path / name) for name in ("bare", "viewed"))
    project_to_head(viewed.root)
    assert office.stored_status(viewed) == office.stored_status(bare)
    clock = ManualClock(2_000_000_000_000_000)
    for home in (bare, viewed):
        office.carry_out(home, {"command": "flatten", "all": True}, command="test", clock=clock)
    with closing(EventLog.read_only(bare.root)) as one, closing(EventLog.read_only(viewed.root)) as other:
        assert list(one.raw()) == list(other.raw())
        flattened = [record for record in one.read_all() if isinstance(record.event, FlattenRequested)]
    assert flattened
    assert not (bare.root / "views.db").exists()


def test_a_held_store_is_refused_naming_the_holder(home: Home) -> None:
    """A second writer learns who holds the store, and changes nothing."""
    home.prepare()
    with (
        StoreLock(home.root).acquire(since="2020-01-01T00:00:00.000Z", command="cmam start"),
        pytest.raises(StoreHeld, match="cmam start, since 2020"),
    ):
        _do(home, command="account.add", accounts=TWO)
    _do(home, command="account.add", accounts=TWO)


class Running:
    """Something that listens on a home's control socket and answers by a function."""

    def __init__(self, home: Home, reply: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        home.prepare()
        home.prepare_runtime()
        self.asked: list[dict[str, Any]] = []

        def handle(request: dict[str, Any], answer: Callable[[dict[str, Any]], None]) -> None:
            self.asked.append(request)
            answer(reply(request))

        self._listener = ControlListener(home.control_socket, home.control_key, handle)

    def __enter__(self) -> Running:
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.stop()


def test_a_running_system_carries_the_command_out(home: Home) -> None:
    """Where somebody holds the store and listens, the command is his: we write nothing."""
    with Running(home, lambda request: {"ok": True, "account": 1}) as running:
        assert _do(home, command="pause", all=True) == {"account": 1}
    assert running.asked == [{"command": "pause", "all": True, "user": office.operator_name()}]
    assert not home.events.exists()


def test_a_running_system_may_refuse(home: Home) -> None:
    """Its sentence and its exit code arrive at the command."""
    with Running(home, lambda request: {"ok": False, "error": "not now", "code": 2}):
        with pytest.raises(Refusal, match="not now") as caught:
            _do(home, command="pause", all=True)
        assert caught.value.code == 2


def test_a_command_that_ends_before_its_answer_is_told_in_words(home: Home, caplog: pytest.LogCaptureFixture) -> None:
    """The log said "[Errno 32] Broken pipe", and not whether the command still counts."""
    told = "= a command in another terminal ended before its answer; what it asked for is not undone"
    has_left = threading.Event()

    def answers_late(request: dict[str, Any]) -> dict[str, Any]:
        assert has_left.wait(60)
        return {"ok": True}

    with Running(home, answers_late) as running:
        line = control._dial(home.control_socket, home.control_key.read_bytes())
        line.send_bytes(b'{"command": "pause"}')
        until(lambda: running.asked, "the command arrives")
        line.close()
        has_left.set()
        until(lambda: told in caplog.messages, "the log tells of it")


def test_a_command_that_is_taken_and_not_answered_may_still_happen_and_says_so(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever hears no answer must not think that nothing will be done: the sentence says where to look."""
    monkeypatch.setattr(control, "ANSWER_S", 0.01)
    home.prepare()
    home.prepare_runtime()
    listener = ControlListener(home.control_socket, home.control_key, lambda request, answer: None)
    listener.start()
    try:
        with pytest.raises(Refusal, match="may still carry it out: look with `cmam status`"):
            _do(home, command="pause", all=True)
    finally:
        listener.stop()


def test_a_command_that_is_too_large_for_the_running_system_is_told_so_and_not_sent(home: Home) -> None:
    """It was cut off, and read as if nobody listened: who asked was sent to look for a process that hangs."""
    heard: list[dict[str, Any]] = []
    home.prepare()
    home.prepare_runtime()
    listener = ControlListener(home.control_socket, home.control_key, lambda request, _: heard.append(request))
    listener.start()
    try:
        with pytest.raises(Refusal, match=r"4,194,304 in one command\. Nothing was changed"):
            office.ask_running(home, {"command": "profile.apply", "text": "x" * REQUEST_BYTES_MAX})
    finally:
        listener.stop()
    assert heard == []
    assert office.ask_running(home, {"command": "profile.apply", "text": "x" * REQUEST_BYTES_MAX}) is None


def test_whoever_holds_the_store_without_answering_is_named(home: Home) -> None:
    """A process that hangs is no process that is not there: it has a name, and a command says that nothing was done."""
    home.prepare()
    assert office.holder_of(home) is None
    with StoreLock(home.root).acquire(since="2020-01-01T00:00:00.000Z", command="cmam start"):
        found = office.holder_of(home)
        assert found == {"pid": os.getpid(), "since": "2020-01-01T00:00:00.000Z", "command": "cmam start"}
        with pytest.raises(StoreHeld, match=r"does not answer commands.*Nothing was done"):
            _do(home, command="pause", all=True)
    assert office.holder_of(home) is None


def test_a_listener_whose_socket_was_removed_ends_like_any_other(home: Home) -> None:
    """A cleaner of temporary files, or the end of the whole home, must not turn an orderly end into a fault."""
    with Running(home, lambda request: {"ok": True}):
        home.control_socket.unlink()
    assert not home.control_key.exists()


def test_a_client_that_was_stopped_keeps_no_other_out(home: Home) -> None:
    """A `status` that was stopped with Ctrl-Z while it proved who it is kept every `flatten` out until it went on."""
    with Running(home, lambda request: {"ok": True, "heard": request["command"]}):
        silent = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(CLIENTS_MAX - 1)]
        for one in silent:
            one.connect(str(home.control_socket))
        assert office.ask_running(home, {"command": "pause"}) == {"heard": "pause"}
        for one in silent:
            one.close()


def test_a_socket_without_a_system_is_passed_over(home: Home) -> None:
    """A killed system leaves its socket; commands go on without it."""
    home.prepare()
    home.prepare_runtime()
    home.control_socket.touch()
    home.control_key.write_bytes(b"x")
    _do(home, command="account.add", accounts=TWO)
    assert len(office.read_registry(home).accounts) == 2


def test_secrets_that_cannot_be_locked_are_refused(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk or a patient neighbour is told in the words of secrets: whoever refreshes tokens lives through it."""
    store = office.secrets_of(home, "file")
    before = store.update(lambda vault: vault)
    with StoreLock(home.root, name=office.SECRETS_LOCK).acquire(since="", command="x"):
        monkeypatch.setattr(office, "SECRETS_PATIENCE_S", 0.0)
        with pytest.raises(SecretsRefused, match="are being changed"):
            store.update(lambda vault: vault)
    blocked = home.root / f"{office.SECRETS_LOCK}.json.{os.getpid()}"
    blocked.mkdir()  # whoever cannot write down who he is holds nothing, as on a full disk
    with pytest.raises(SecretsRefused, match="cannot be written"):
        store.update(lambda vault: vault)
    blocked.rmdir()
    assert store.load() == before


def test_secrets_are_changed_by_one_process_at_a_time(home: Home) -> None:
    """Two changes at once are both there afterwards."""
    stores = [office.secrets_of(home, "file") for _ in range(2)]
    stores[0].update(lambda vault: vault)
    barrier = threading.Barrier(2)

    def add(number: int) -> None:
        from cmam.config.secret import Secret
        from cmam.credentials.vault import TokenPair, with_grant

        barrier.wait()
        pair = TokenPair(Secret(f"a{number}"), Secret("r"), 0)
        for account in range(number * 100, number * 100 + 10):
            stores[number].update(lambda vault, account=account: with_grant(vault, pair, [account])[0])

    threads = [threading.Thread(target=add, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {account for grant in stores[0].load().grants for account in grant.accounts} == {9, 109}
    assert len(stores[0].load().grants) == 2


def test_a_user_whose_name_is_no_text_has_one_that_can_be_recorded(monkeypatch: pytest.MonkeyPatch, home: Home) -> None:
    """As one in another encoding than the terminal's: each of his commands would be refused by the log."""
    monkeypatch.setenv("LOGNAME", "j\udcfcrgen")
    assert office.operator_name() == "j\\udcfcrgen"
    _do(home, command="account.add", accounts=TWO)
