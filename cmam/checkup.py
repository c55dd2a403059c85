"""Whether the API can be reached and used, step by step, each with a verdict and a cure.

What `api check` shows, and `api configure` right after saving. Must not know the command line; changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from cmam.config.settings import ApiSettings, Endpoint
from cmam.credentials.vault import Application, Vault
from cmam.domain.operating.registry import KnownAccount
from cmam.openapi.enquiry import Enquiry, Refused
from cmam.openapi.errors import CannotConnect, ConnectStep
from cmam.openapi.refusals import Refusal
from cmam.openapi.transport import connect
from cmam.store.text import iso

UNREACHABLE, REFUSED = 3, 1
"""Exit codes of a check that failed: nobody answers, or somebody says no."""


class State(StrEnum):
    """How a step went."""

    OK = "ok"
    FAILED = "failed"
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One step: what it is about, how it went, and what to do if it went wrong."""

    step: str
    about: str
    state: State
    text: str
    cure: str = ""
    code: int = 0

    def document(self) -> dict[str, str]:
        """The verdict as `--json` shows it."""
        return {
            "step": self.step,
            "about": self.about,
            "state": self.state.value,
            "text": self.text,
            "cure": self.cure,
        }


Connect = Callable[[Endpoint], Enquiry]


def connector(api: ApiSettings) -> Connect:
    """Connect to an environment as these settings say; raises CannotConnect."""
    return lambda endpoint: Enquiry(connect(endpoint.host, endpoint.port, api.ca_file), endpoint)


def check_api(api: ApiSettings, vault: Vault, accounts: Iterable[KnownAccount]) -> Iterator[Verdict]:
    """Try every step for each environment that is needed: both where no account is known yet."""
    dial = connector(api)
    for endpoint, (names, here) in _environments(api, list(accounts)).items():
        yield from _check_environment(endpoint, names, here, vault, dial)


def worst(verdicts: Iterable[Verdict]) -> int:
    """The exit code of a check: 0, else what the first failed step says."""
    return next((verdict.code for verdict in verdicts if verdict.code), 0)


def _environments(
    api: ApiSettings, accounts: list[KnownAccount]
) -> Mapping[Endpoint, tuple[str, tuple[KnownAccount, ...]]]:
    """The environments to look at, live and demo as one where a proxy or the sandbox serves both."""
    wanted: dict[Endpoint, tuple[list[str], list[KnownAccount]]] = {}
    for is_live, name in ((True, "live"), (False, "demo")):
        here = [account for account in accounts if account.is_live is is_live]
        if here or not accounts:
            names, known = wanted.setdefault(api.endpoint(is_live=is_live), ([], []))
            names.append(name)
            known += here
    return {endpoint: (" and ".join(names), tuple(known)) for endpoint, (names, known) in wanted.items()}


def _check_environment(
    endpoint: Endpoint, names: str, accounts: tuple[KnownAccount, ...], vault: Vault, dial: Connect
) -> Iterator[Verdict]:
    try:
        enquiry = dial(endpoint)
    except CannotConnect as failed:
        yield from _no_connection(endpoint, names, failed)
        yield _not_tried("application", names)
        return
    with enquiry:
        yield Verdict("name", names, State.OK, f"{endpoint.host} is found")
        yield Verdict("TLS", names, State.OK, f"{endpoint} answers, its certificate is trusted")
        application = yield from _check_application(enquiry, names, vault.application)
        for account in accounts:
            if not application:
                yield _not_tried("account", account.shown)
                continue
            yield _check_account(enquiry, account, vault)


def _no_connection(endpoint: Endpoint, names: str, failed: CannotConnect) -> Iterator[Verdict]:
    is_name = failed.step is ConnectStep.NAME
    if not is_name and failed.step is not ConnectStep.TRUST:
        yield Verdict("name", names, State.OK, f"{endpoint.host} is found")
    step = "name" if is_name else "TLS"
    yield Verdict(step, names, State.FAILED, failed.sentence, failed.cure, UNREACHABLE)
    if is_name:
        yield _not_tried("TLS", names)


def _check_application(enquiry: Enquiry, names: str, application: Application | None) -> Generator[Verdict, None, bool]:
    """Authorise the application; a generator that returns whether it went well."""
    if application is None:
        yield Verdict(
            "application",
            names,
            State.FAILED,
            "No client id and secret are known.",
            "Run `cmam api configure`; docs/api-application.md says how to get them.",
            REFUSED,
        )
        return False
    try:
        enquiry.authorise_application(application.client_id, application.client_secret)
    except Refused as refused:
        yield Verdict("application", names, State.FAILED, *application_refused(refused.refusal), REFUSED)
        return False
    except CannotConnect as failed:
        yield Verdict("application", names, State.FAILED, failed.sentence, failed.cure, UNREACHABLE)
        return False
    yield Verdict("application", names, State.OK, "client id and secret are accepted")
    return True


def _check_account(enquiry: Enquiry, account: KnownAccount, vault: Vault) -> Verdict:
    grant = vault.grant_of(account.account)
    if grant is None:
        return Verdict(
            "account",
            account.shown,
            State.FAILED,
            "No consent opens it under this application.",
            "Run `cmam account add` with the cTrader ID that owns it.",
            REFUSED,
        )
    try:
        enquiry.authorise_account(account.account, grant.pair.access)
    except Refused as refused:
        text, cure = sentence_and_cure(refused.refusal)
        return Verdict("account", account.shown, State.FAILED, text, cure, REFUSED)
    except CannotConnect as failed:
        return Verdict("account", account.shown, State.FAILED, failed.sentence, failed.cure, UNREACHABLE)
    return Verdict("account", account.shown, State.OK, "authorised")


def _not_tried(step: str, about: str) -> Verdict:
    return Verdict(step, about, State.NOT_TRIED, "an earlier step failed")


def application_refused(refusal: Refusal) -> tuple[str, str]:
    """Why an application is refused, and the cure. The code alone does not tell a new one from a mistyped one (2.1)."""
    words = refusal.description.casefold()
    if refusal.code == "CH_CLIENT_AUTH_FAILURE" and "active" in words:
        return (
            "The application is not active yet: Spotware reviews each one by hand.",
            "Wait for the e-mail, up to three working days after it was submitted; nothing has to be entered again.",
        )
    if refusal.code == "CH_CLIENT_AUTH_FAILURE" and "incorrect" in words:
        return (
            "Client id or secret is wrong.",
            "Copy both again from the Credentials of your application, then run `cmam api configure`.",
        )
    return sentence_and_cure(refusal)


def sentence_and_cure(refusal: Refusal) -> tuple[str, str]:
    """What a refusal means, in the broker's words too, and the cure; with the end of a maintenance where it is told."""
    said = f" (the server says {refusal.code}{f': {refusal.description}' if refusal.description else ''})"
    until = f" It ends at {iso(refusal.maintenance_end_us)}." if refusal.maintenance_end_us else ""
    return refusal.rule.sentence.rstrip(".") + said + "." + until, refusal.rule.cure
