"""The guide's consent in a real browser, from `cmam account add` to the list of accounts, by clicks alone."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cmam.sandbox.serving.server import run_in_thread
from tests.scenario.guide import Person, child, options, ready_file
from tests.scenario.test_sandbox_browser import Browser, browser
from tests.waiting import PATIENCE_S

__all__ = ["browser"]  # a fixture of another file: pytest finds it by its name here


@contextmanager
def _at_the_accounts(
    browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Iterator[tuple[Person, subprocess.Popen[str]]]:
    """Somebody whose `account add` waits, and whose browser shows a cTrader ID's accounts at the printed address."""
    with run_in_thread(options(tmp_path / "sandbox")) as ready, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        redirect = f"http://127.0.0.1:{probe.getsockname()[1]}/callback"
        probe.close()
        person = Person(tmp_path / "home", capsys)
        file = str(ready_file(ready, tmp_path))
        assert person.configures(ready, "--secret-file", file, "--redirect-uri", redirect).code == 0
        process = child(person.home, "account", "add", "--no-browser")
        assert process.stdout is not None
        browser.call("Page.navigate", url=process.stdout.readline().strip())
        browser.until("document.querySelectorAll('a.row').length > 1")
        browser.click("a.row")
        browser.until("document.querySelectorAll('input[type=checkbox]').length > 2")
        yield person, process


@pytest.mark.browser
def test_a_person_adds_accounts_by_clicks(browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Open the printed address, untick an account, allow: the ticked ones are listed, and nothing was typed."""
    with _at_the_accounts(browser, tmp_path, capsys) as (person, process):
        offered = browser.evaluate("[...document.querySelectorAll('input[type=checkbox]')].map(b => Number(b.value))")
        browser.click("input[type=checkbox]")
        browser.click("button.primary")
        browser.until("document.querySelector('h1')?.innerText === 'Thank you'")
        assert "go back to the terminal" in browser.evaluate("document.body.innerText")
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, err
        listed = {line["ctid"] for line in person.types("account", "list", "--json").lines}
        assert listed == set(offered[1:])


@pytest.mark.browser
def test_a_person_who_denies_is_answered_in_both_places(
    browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Denying says so in the browser and at the terminal, with the way back, and stores nothing."""
    with _at_the_accounts(browser, tmp_path, capsys) as (person, process):
        browser.until("document.querySelectorAll('button').length === 2")
        browser.evaluate("document.querySelectorAll('button')[1].click()")
        browser.until("document.querySelector('h1')?.innerText === 'Access was denied'")
        _, err = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 1
        assert "denied on the consent page" in err
        assert person.types("account", "list", "--json").out == ""
