"""The guides, walked through: configure, consent, look after accounts; with every error on the way provoked."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from cmam import office
from cmam.config.home import Home
from cmam.sandbox.serving.options import ReadyInfo
from cmam.sandbox.serving.server import run_in_thread
from cmam.sandbox.trader import steps
from cmam.sandbox.trader.control_client import ask
from cmam.sandbox.trader.trader import Trader
from tests.scenario.guide import Person, Said, child, code_in, consents, options, ready_file
from tests.waiting import PATIENCE_S

COUNTS_LARGER_SIDE = 41_000_004
"""An account of the built-in world with `margin_type = "max"`."""
SUBMITTED = (
    "1002_sandboxApplicationThatIsStillSubmitted00000000000",
    "sandboxSecretOfTheSubmittedApplication000000000000",
)
Serve = Callable[..., ReadyInfo]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start sandboxes, with switches, that end with the test."""
    with ExitStack() as stack:
        yield lambda **switches: stack.enter_context(run_in_thread(options(tmp_path / "sandbox", **switches)))


@pytest.fixture
def ready(serve: Serve) -> ReadyInfo:
    """A sandbox as it comes."""
    return serve()


@pytest.fixture
def person(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Person:
    """Somebody with an empty home."""
    return Person(tmp_path / "home", capsys)


@pytest.fixture
def configured(person: Person, ready: ReadyInfo, tmp_path: Path) -> Person:
    """Somebody whose application is accepted."""
    assert person.configures(ready, "--secret-file", str(ready_file(ready, tmp_path))).code == 0
    return person


class TestConfiguring:
    def test_success_is_one_line_after_its_steps(self, person: Person, ready: ReadyInfo, tmp_path: Path) -> None:
        """Saving connects at once: name, TLS and application are each named, then one line says that all is well."""
        said = person.configures(ready, "--secret-file", str(ready_file(ready, tmp_path)), "--json")
        assert said.code == 0
        assert [line["step"] for line in said.lines] == ["name", "TLS", "application"]
        assert {line["state"] for line in said.lines} == {"ok"}
        assert said.err == "The API is ready: 3 steps, all good.\n"

    def test_editing_keeps_what_is_not_named(self, configured: Person) -> None:
        """A second configure changes one value and needs no credentials again."""
        before = configured.types("api", "show", "--json").lines[0]
        assert configured.types("api", "configure", "--max-requests", "40").code == 0
        after = configured.types("api", "show", "--json").lines[0]
        assert after == {**before, "max_requests": 40}

    def test_values_are_kept_when_the_connection_fails(self, person: Person, ready: ReadyInfo, tmp_path: Path) -> None:
        """What parses is stored although nobody answers there; the sentence says how to change it."""
        file = str(ready_file(ready, tmp_path))
        said = person.configures(ready, "--secret-file", file, host="127.0.0.1", port="1")
        assert said.code == 3
        assert "127.0.0.1:1 cannot be reached" in said.err
        assert "What you entered is kept" in said.err
        assert person.types("api", "show", "--json").lines[0]["demo_port"] == 1
        assert person.types("api", "configure", "--port", str(ready.port)).code == 0

    def test_invalid_values_are_never_kept(self, configured: Person) -> None:
        """One bad value keeps all of them out, and each fault is named."""
        before = configured.types("api", "show", "--json").out
        said = configured.types("api", "configure", "--max-requests", "51", "--live-port", "x", "--redirect-uri", "y")
        assert said.code == 2
        assert all(name in said.err for name in ("max_requests", "live_port", "redirect_uri"))
        assert configured.types("api", "show", "--json").out == before

    def test_credentials_come_from_the_environment_too(
        self, person: Person, ready: ReadyInfo, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A script names neither id nor secret on the command line."""
        monkeypatch.setenv("CMAM_CLIENT_ID", ready.client_id)
        monkeypatch.setenv("CMAM_CLIENT_SECRET", ready.client_secret)
        assert person.configures(ready).code == 0

    def test_without_credentials_settings_are_kept_and_nothing_is_asked(self, person: Person, ready: ReadyInfo) -> None:
        """Where nobody can answer, nothing prompts: the sentence says where credentials come from."""
        said = person.configures(ready)
        assert said.code == 2
        assert "CMAM_CLIENT_ID" in said.err
        assert person.types("api", "show", "--json").lines[0]["demo_port"] == ready.port


class TestErrorsOfTheApplication:
    """Each refusal (wire.md#applications), the sentence for it, and exit code 1; 3 where nobody was reached."""

    def _configure(self, person: Person, ready: ReadyInfo, monkeypatch: Any, client_id: str, secret: str) -> Any:
        monkeypatch.setenv("CMAM_CLIENT_ID", client_id)
        monkeypatch.setenv("CMAM_CLIENT_SECRET", secret)
        return person.configures(ready)

    def test_not_active_yet(self, person: Person, ready: ReadyInfo, monkeypatch: pytest.MonkeyPatch) -> None:
        """A submitted application is told apart from a mistyped one: nothing has to be entered again."""
        said = self._configure(person, ready, monkeypatch, *SUBMITTED)
        assert said.code == 1
        assert "not active yet" in said.err
        assert "three working days" in said.err

    def test_wrong_secret(self, person: Person, ready: ReadyInfo, monkeypatch: pytest.MonkeyPatch) -> None:
        """A mistyped secret is a mistyped secret."""
        said = self._configure(person, ready, monkeypatch, ready.client_id, "mistyped")
        assert said.code == 1
        assert "Client id or secret is wrong" in said.err

    def test_unknown_id(self, person: Person, ready: ReadyInfo, monkeypatch: pytest.MonkeyPatch) -> None:
        """So is an id that nobody registered."""
        said = self._configure(person, ready, monkeypatch, "9_nobody", "x")
        assert said.code == 1
        assert "id" in said.err
        assert "cmam api configure" in said.err

    def test_too_many_connections(
        self, person: Person, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An application that is used up elsewhere is said to be, with what to stop."""
        ready = serve(connections_max="1")
        file = str(ready_file(ready, tmp_path))
        assert person.configures(ready, "--secret-file", file).code == 0
        from cmam.checkup import connector
        from cmam.config.secret import Secret

        api = office.settings_of(Home(person.home)).api
        with connector(api)(api.demo) as other:
            other.authorise_application(ready.client_id, Secret(ready.client_secret))
            said = person.types("api", "check")
        assert said.code == 1
        assert "too many connections" in said.err

    def test_maintenance_is_announced_with_its_end(self, configured: Person, ready: ReadyInfo, tmp_path: Path) -> None:
        """Somebody who works at a weekend learns which accounts wait, and until when."""
        configured.types("account", "add", "--token-file", str(ready_file(ready, tmp_path)))
        _break(ready, "maintenance", seconds="3600", broker="Beta Capital")
        said = configured.types("api", "check", "--json")
        assert said.code == 1
        failed = [line for line in said.lines if line["state"] == "failed"]
        assert {line["about"].split(":")[0] for line in failed} == {"Beta Capital"}
        assert all("under maintenance" in line["text"] and "It ends at 20" in line["text"] for line in failed)

    def test_a_revoked_or_expired_token_names_its_accounts(
        self, configured: Person, ready: ReadyInfo, tmp_path: Path
    ) -> None:
        """A token that is no longer good fails the steps of its own accounts only."""
        configured.types("account", "add", "--token-file", str(ready_file(ready, tmp_path)))
        _break(ready, "expire-token", account=str(ready.accounts[0].ctid))
        said = configured.types("api", "check", "--json")
        assert said.code == 1
        states = {line["about"]: line["state"] for line in said.lines if line["step"] == "account"}
        names = {account.ctid: f"{account.broker}:{account.login}" for account in ready.accounts}
        same = {a.ctid for a in ready.accounts if a.access_token == ready.accounts[0].access_token}
        assert {names[ctid] for ctid in same} == {name for name, state in states.items() if state == "failed"}
        assert configured.types("account", "refresh", str(ready.accounts[0].ctid)).code == 0
        assert configured.types("api", "check").code == 0

    def test_live_and_demo_are_looked_at_separately(
        self, person: Person, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """Each account is asked on the host of its own environment; on the other it cannot be routed
        (wire.md#hosts)."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            live = probe.getsockname()[1]
        with run_in_thread(replace(options(tmp_path / "sandbox"), live_port=live)) as ready:
            file = str(ready_file(ready, tmp_path))
            assert person.configures(ready, "--secret-file", file, "--live-port", str(live)).code == 0
            assert person.types("account", "add", "--token-file", file).code == 0
            said = person.types("api", "check", "--json")
            assert said.code == 0
            assert {line["about"] for line in said.lines if line["step"] == "application"} == {"live", "demo"}
            person.types("api", "configure", "--live-port", str(ready.port))
            said = person.types("api", "check", "--json")
            assert said.code == 1
            failed = [line for line in said.lines if line["state"] == "failed"]
            assert [line["about"] for line in failed] == ["Gamma Trade:5500006"]
            assert "could not be routed" in failed[0]["text"]
            assert "live host" in failed[0]["cure"]

    def test_an_untrusted_certificate(self, person: Person, ready: ReadyInfo, tmp_path: Path) -> None:
        """TLS is verified, and the cure names the option; there is none that turns it off."""
        file = str(ready_file(ready, tmp_path))
        said = person.configures(ready, "--secret-file", file, **{"ca-file": ""})
        assert said.code == 3
        assert "certificate that is not trusted" in said.err
        assert "--ca-file FILE" in said.err

    def test_a_missing_authority_file(self, person: Person, ready: ReadyInfo, tmp_path: Path) -> None:
        """A CA file that is not there is refused at once, by name."""
        said = person.configures(ready, **{"ca-file": str(tmp_path / "nowhere.pem")})
        assert said.code == 2
        assert "nowhere.pem" in said.err

    def test_an_unknown_name(self, configured: Person) -> None:
        """A misspelt host stops at the first step; the later ones were not tried."""
        said = configured.types("api", "configure", "--host", "nowhere.invalid", "--json")
        assert said.code == 3
        assert [line["state"] for line in said.lines] == ["failed", "not tried", "not tried"]

    def test_a_port_that_speaks_something_else(self, configured: Person) -> None:
        """A server without TLS is not mistaken for one whose certificate is bad."""
        with socket.socket() as server:
            server.bind(("127.0.0.1", 0))
            server.listen()
            server.settimeout(120)
            import threading

            def answer() -> None:
                connection, _ = server.accept()
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                connection.close()

            thread = threading.Thread(target=answer)
            thread.start()
            said = configured.types("api", "configure", "--port", str(server.getsockname()[1]))
            thread.join()
        assert said.code == 3
        assert "not with TLS" in said.err


class TestAccounts:
    def test_all_accounts_of_a_token_arrive_at_once(self, configured: Person, ready: ReadyInfo, tmp_path: Path) -> None:
        """One cTrader ID's accounts come together, shown before they are stored; repeating it is no error."""
        file = str(ready_file(ready, tmp_path))
        said = configured.types("account", "add", "--token-file", file, "--json")
        assert said.code == 0
        assert {line["ctid"] for line in said.lines} == {account.ctid for account in ready.accounts}
        said = configured.types("account", "add", "--token-file", file)
        assert (said.code, said.err.count(" stored."), said.err.count("Next: ")) == (0, 2, 1), (
            "two consents, one next step"
        )
        listed = configured.types("account", "list", "--json").lines
        assert len(listed) == len(ready.accounts)
        first = next(line for line in listed if line["ctid"] == ready.accounts[0].ctid)
        assert first["login"] == ready.accounts[0].login
        assert (first["currency"], first["type"], first["environment"]) == ("USD", "hedged", "demo")

    def test_an_account_that_its_broker_lets_open_nothing_is_shown_and_refused_as_that(
        self, configured: Person, ready: ReadyInfo, tmp_path: Path
    ) -> None:
        """What `account add` shows is what a profile goes by, and the refusal does not blame the consent alone."""
        file, limited = str(ready_file(ready, tmp_path)), ready.accounts[1].ctid
        leader = str(ready.accounts[0].ctid)

        def allows(rights: str) -> Said:
            said = configured.types(
                "sandbox", "fault", "access", f"account={limited}", f"rights={rights}", "--ready-file", file
            )
            assert said.code == 0, said.err
            return configured.types("account", "add", "--token-file", file, "--json")

        added = allows("CLOSE_ONLY")
        try:
            assert [line["ctid"] for line in added.lines if not line["trading"]] == [limited]
            said = configured.types("profile", "create", "barred", "--leader", leader, "--follower", str(limited))
            assert said.code == 1
            assert "or its broker let it open nothing" in said.err
            said = configured.types("account", "show", str(limited), "--json")
            assert said.lines[0]["access"] == "close_only"
        finally:
            added = allows("FULL_ACCESS")
        assert all(line["trading"] for line in added.lines)

    def test_tokens_that_cannot_be_renewed_say_so(self, configured: Person, ready: ReadyInfo, tmp_path: Path) -> None:
        """A refresh token under a misspelt name is none: the accounts would stop with the access token, weeks later."""
        pair = ready.accounts[0]
        file = tmp_path / "token.json"
        file.write_text(json.dumps({"access_token": pair.access_token, "refresh_tokens": pair.refresh_token}))
        said = configured.types("account", "add", "--token-file", str(file))
        assert (said.code, "came without a refresh token" in said.err) == (0, True)
        file.write_text(json.dumps({"access_token": pair.access_token, "refresh_token": pair.refresh_token}))
        said = configured.types("account", "add", "--token-file", str(file))
        assert (said.code, "without a refresh token" in said.err) == (0, False)

    def test_they_are_named_tagged_and_forgotten(self, configured: Person, ready: ReadyInfo, tmp_path: Path) -> None:
        """Alias, tags in bulk, ambiguous names and removal work by ctid, alias and broker:login."""
        configured.types("account", "add", "--token-file", str(ready_file(ready, tmp_path)))
        one, two, three = (account.ctid for account in ready.accounts[:3])
        assert configured.types("account", "alias", str(one), "Lead", "--json").lines == [
            {"account": one, "alias": "Lead"}
        ]
        name = f"{ready.accounts[1].broker}:{ready.accounts[1].login}"
        assert configured.types("account", "tag", "lead", name, "--add", "prop", "--add", "eur").code == 0
        untagged = configured.types("account", "tag", "lead", "--remove", "eur", "--json")
        assert untagged.lines == [{"accounts": 1, "changed": 1, "added": [], "removed": ["eur"]}]
        assert "No tags changed" in configured.types("account", "tag", "lead", "--remove", "eur").err
        tagged = configured.types("account", "list", "--tag", "eur", "--json").lines
        assert [line["ctid"] for line in tagged] == [two]
        assert configured.types("account", "alias", str(two), "LEAD").code == 1
        assert configured.types("account", "alias", "nobody", "x").code == 2
        removed = configured.types("account", "remove", str(three), "--json")
        assert removed.lines == [{"account": three, "removed": True}]
        assert three not in {line["ctid"] for line in configured.types("account", "list", "--json").lines}

    def test_one_account_is_shown_with_what_the_broker_says(
        self, configured: Person, ready: ReadyInfo, tmp_path: Path
    ) -> None:
        """Balance, positions and the token's dates, without the token."""
        configured.types("account", "add", "--token-file", str(ready_file(ready, tmp_path)))
        shown = configured.types("account", "show", str(ready.accounts[0].ctid), "--json").lines[0]
        assert shown["balance"] == ready.accounts[0].balance
        assert (shown["positions"], shown["pendings"], shown["access"]) == (0, 0, "full_access")
        assert shown["token"] == "••••"
        assert (shown["equity"], shown["margin"]) == (shown["balance"], "0.00")
        assert shown["limited_risk"] is False

    def test_an_account_of_limited_risk_is_called_one(
        self, configured: Person, ready: ReadyInfo, tmp_path: Path
    ) -> None:
        """It opens with a guaranteed stop only, which nothing else of it shows."""
        configured.types("account", "add", "--token-file", str(ready_file(ready, tmp_path)))
        assert configured.types("account", "show", "41000008", "--json").lines[0]["limited_risk"] is True

    def test_holdings_and_history_are_the_brokers_own(
        self, configured: Person, ready: ReadyInfo, tmp_path: Path
    ) -> None:
        """Positions with their profit, equity as balance and profit, free margin, deals and deposits of the week."""
        configured.types("account", "add", "--token-file", str(ready_file(ready, tmp_path)))
        account = str(ready.accounts[0].ctid)
        with Trader(ready.as_document(), ready.as_document()["accounts"][0]) as trader:
            steps.perform(trader, steps.Step(action="buy", symbol="EURUSD", lots=Decimal(1)), {})
            pending = steps.Step(action="limit", side="buy", symbol="EURUSD", lots=Decimal(1), price=Decimal("0.9"))
            steps.perform(trader, pending, {})
        _break(ready, "deposit", account=account, amount="500.00")
        shown = configured.types("account", "show", account, "--history", "--json").lines[0]
        (position,) = shown["open_positions"]
        assert (position["symbol"], position["side"], position["volume"]) == ("EURUSD", "buy", "100000.00")
        assert Decimal(shown["equity"]) == Decimal(shown["balance"]) + Decimal(position["profit"])
        assert Decimal(shown["free_margin"]) == Decimal(shown["equity"]) - Decimal(shown["margin"])
        assert Decimal(shown["margin"]) > 0
        assert shown["pending_orders"][0]["type"] == "limit"
        assert shown["deals"][0]["position"] == position["position"]
        assert shown["cash_flow"][-1]["amount"] == "500.00"
        table = configured.types("account", "show", account, "--history")
        assert all(word in table.out for word in ("open positions", "pending orders", "deals", "cash flow"))

    def test_both_sides_of_a_symbol_bind_what_the_account_counts(
        self, configured: Person, ready: ReadyInfo, tmp_path: Path
    ) -> None:
        """Where an account counts the larger side (wire.md#money-of-an-account), the smaller one binds nothing more."""
        configured.types("account", "add", "--token-file", str(ready_file(ready, tmp_path)))
        (hedged,) = [account for account in ready.as_document()["accounts"] if account["ctid"] == COUNTS_LARGER_SIDE]
        shown = []
        with Trader(ready.as_document(), hedged) as trader:
            for action, lots in (("sell", "0.3"), ("buy", "0.2")):
                steps.perform(trader, steps.Step(action=action, symbol="EURUSD.b", lots=Decimal(lots)), {})
                shown.append(configured.types("account", "show", str(hedged["ctid"]), "--json").lines[0])
        one, both = shown
        assert both["positions"] == one["positions"] + 1
        assert both["margin"] == one["margin"] != "0"
        assert Decimal(both["free_margin"]) == Decimal(both["equity"]) - Decimal(one["margin"])

    def test_tokens_are_refreshed_in_place(self, configured: Person, ready: ReadyInfo, tmp_path: Path) -> None:
        """A refresh spends the old pair and keeps the grant's name; brought again, it is what became of it."""
        file = str(ready_file(ready, tmp_path))
        configured.types("account", "add", "--token-file", file)
        before = configured.types("account", "show", str(ready.accounts[0].ctid), "--json").lines[0]
        (told,) = configured.types("account", "refresh", "--json").lines
        assert told == {"refreshed": sorted(account.ctid for account in ready.accounts), "failures": []}
        after = configured.types("account", "show", str(ready.accounts[0].ctid), "--json").lines[0]
        assert after["consent"] == before["consent"]
        assert after["token_expires_at"] is not None
        said = configured.types("account", "add", "--token-file", file)
        assert said.code == 0
        assert "refreshed here since" in said.err
        again = configured.types("account", "show", str(ready.accounts[0].ctid), "--json").lines[0]
        assert {name: again[name] for name in again if name.startswith("token")} == {
            name: after[name] for name in after if name.startswith("token")
        }

    def test_tokens_that_open_nothing_are_sentences(
        self, configured: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A wrong token, a broken file and a missing one are told apart, and none is quoted."""
        monkeypatch.setenv("CMAM_ACCESS_TOKEN", "made-up-token")
        said = configured.types("account", "add")
        assert said.code == 1
        assert "access token is not good" in said.err
        broken = tmp_path / "broken.json"
        broken.write_text('{"accesstoken": "made-up-token"}')
        assert configured.types("account", "add", "--token-file", str(broken)).code == 2
        assert configured.types("account", "add", "--token-file", str(tmp_path / "none")).code == 2
        assert "made-up-token" not in "".join(configured.heard)


class TestConsent:
    def test_the_answer_is_taken_on_the_loopback(self, configured: Person, ready: ReadyInfo) -> None:
        """`account add` prints the address, waits for the redirect, and stores what was ticked, nothing else."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        configured.types("api", "configure", "--redirect-uri", f"http://127.0.0.1:{port}/callback")
        process = child(configured.home, "account", "add", "--no-browser")
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        back = consents(address, ready.ca_file, untick=frozenset({ready.accounts[2].ctid}))
        assert back.startswith(f"http://127.0.0.1:{port}/callback?code=")
        _visit_until_taken(back, process)
        out, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
        assert "stored" in err
        assert code_in(back) not in out + err
        listed = {line["ctid"] for line in configured.types("account", "list", "--json").lines}
        assert ready.accounts[0].ctid in listed
        assert ready.accounts[2].ctid not in listed

    def _address(self, configured: Person) -> str:
        from cmam.credentials.oauth import consent_address, new_challenge

        home = Home(configured.home)
        settings = office.settings_of(home)
        application = office.secrets_of(home, "file").load().application
        assert application is not None
        api = settings.api
        return consent_address(api.oauth_url, application.client_id, api.redirect_uri, new_challenge())

    def test_a_code_from_far_away_is_pasted(self, configured: Person, ready: ReadyInfo) -> None:
        """The accounts' owner sends the address his browser ended on; it works once, and late is said to be late."""
        back = consents(self._address(configured), ready.ca_file)
        assert configured.types("account", "add", "--code", back).code == 0
        again = configured.types("account", "add", "--code", back)
        assert again.code == 1
        assert "lives one minute and works once" in again.err
        said = configured.types("account", "add", "--code", "no such code")
        assert said.code == 1
        assert "found neither" in said.err

    def test_a_code_that_is_too_old_is_refused_with_the_cure(
        self, person: Person, serve: Serve, tmp_path: Path
    ) -> None:
        """A code that outlived its time is refused by the provider, and the sentence says how long it lives."""
        ready = serve(code_s="0")
        person.configures(ready, "--secret-file", str(ready_file(ready, tmp_path)))
        back = consents(self._address(person), ready.ca_file)
        said = person.types("account", "add", "--code", back)
        assert said.code == 1
        assert "lives one minute" in said.err

    def test_a_narrower_consent_names_what_it_would_cost(
        self, configured: Person, ready: ReadyInfo, tmp_path: Path
    ) -> None:
        """An account that is not ticked again is named with the profiles that use it, before anything is stored."""
        configured.types("account", "add", "--token-file", str(ready_file(ready, tmp_path)))
        one, two = ready.accounts[0].ctid, ready.accounts[1].ctid
        assert configured.types("profile", "create", "main", "--leader", str(one), "--follower", str(two)).code == 0
        back = consents(self._address(configured), ready.ca_file, untick=frozenset({two}))
        said = configured.types("account", "add", "--code", back)
        assert said.code == 0
        warned = said.err.index("it is used by main")
        assert warned < said.err.index("stored")

    def test_a_port_that_is_taken_is_a_sentence(self, configured: Person) -> None:
        """Another program on the redirect's port is named; pasting is the way out."""
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            uri = f"http://127.0.0.1:{other.getsockname()[1]}/callback"
            configured.types("api", "configure", "--redirect-uri", uri)
            said = configured.types("account", "add", "--no-browser")
        assert said.code == 1
        assert "Paste the address instead" in said.err

    def test_a_redirect_elsewhere_needs_somebody_to_paste(self, configured: Person) -> None:
        """Where nothing can listen and nobody can paste, nothing hangs."""
        configured.types("api", "configure", "--redirect-uri", "https://spotware.com")
        said = configured.types("account", "add")
        assert said.code == 2
        assert "--code" in said.err


def _break(ready: ReadyInfo, fault: str, **arguments: str) -> None:
    """Switch a fault of the sandbox on."""
    ask(ready.as_document(), "POST", "faults", {"name": fault, "arguments": arguments})


def _visit_until_taken(address: str, process: Any) -> None:
    import httpx

    for _ in range(200):
        assert process.poll() is None, process.communicate()
        try:
            assert httpx.get(address, timeout=PATIENCE_S).status_code == 200
        except httpx.ConnectError:
            continue
        return
    raise AssertionError("nobody listened on the redirect")


def test_changing_the_application_pauses_and_resumes(
    person: Person, tmp_path: Path, ready: ReadyInfo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another application locks accounts out: named, paused, nothing re-typed; going back resumes them."""
    person.configures(ready, "--secret-file", str(ready_file(ready, tmp_path)))
    person.types("account", "add", "--token-file", str(tmp_path / "ready.json"))
    one, two = (str(account.ctid) for account in ready.accounts[:2])
    person.types("account", "alias", one, "Lead")
    person.types("profile", "create", "main", "--leader", "lead", "--follower", two)
    monkeypatch.setenv("CMAM_CLIENT_ID", "1003_another")
    monkeypatch.setenv("CMAM_CLIENT_SECRET", "x" * 20)
    said = person.types("api", "configure")
    assert said.code == 1
    assert "must be authorised again" in said.err
    assert "Lead" in said.err
    listed = person.types("account", "list", "--json").lines
    assert all(line["paused"] and line["paused_reason"] == "authorise" for line in listed)
    assert [line["alias"] for line in listed if str(line["ctid"]) == one] == ["Lead"]
    monkeypatch.setenv("CMAM_CLIENT_ID", ready.client_id)
    monkeypatch.setenv("CMAM_CLIENT_SECRET", ready.client_secret)
    assert person.types("api", "configure").code == 0
    assert not any(line["paused"] for line in person.types("account", "list", "--json").lines)
    assert person.types("profile", "list", "--json").lines[0]["links"][0]["follower"] == int(two)


def test_no_secret_is_ever_written_or_said(
    person: Person, ready: ReadyInfo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the whole guide, refusals and tracebacks included, secrets stand in secrets.json and nowhere else."""
    file = ready_file(ready, tmp_path)
    person.configures(ready, "--secret-file", str(file), "--debug")
    person.types("account", "add", "--token-file", str(file), "--debug")
    person.types("account", "refresh")
    for account in ready.accounts:
        person.types("account", "show", str(account.ctid), "--json")
    person.types("api", "check", "--json")
    person.types("api", "show", "--json")
    person.types("status", "--json")
    person.types("replay", "--json")
    monkeypatch.setenv("CMAM_CLIENT_SECRET", "another-secret-that-is-wrong")
    person.types("api", "configure", "--json")
    vault = office.secrets_of(Home(person.home), "file").load()
    secrets = {secret.reveal() for secret in vault.secrets} | {ready.client_secret, "another-secret-that-is-wrong"}
    secrets |= {token for account in ready.accounts for token in (account.access_token, account.refresh_token)}
    assert len(secrets) > 4
    said = "".join(person.heard)
    assert not [secret for secret in secrets if secret in said]
    for path in person.home.rglob("*"):
        if path.is_file() and path.name != "secrets.json":
            content = path.read_bytes()
            assert not [secret for secret in secrets if secret.encode() in content], path.name
    log = sqlite3.connect(person.home / "events.db")
    assert log.execute("SELECT count(*) FROM stored_events").fetchone()[0] > 8
    log.close()
    assert (person.home / "secrets.json").stat().st_mode & 0o777 == 0o600
