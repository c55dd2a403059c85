"""`cmam flatten` and `cmam rearm`: close everything that was copied, keep it closed, and open again on purpose."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from cmam.cli.face.exits import Exit, fail
from cmam.cli.face.failures import CODES, code_of
from cmam.cli.face.talk import counted, is_interactive, print_json, say
from cmam.cli.face.verbs import Verb, carry_out, face
from cmam.cli.running.target import ROWS_SHOWN_MAX, copy_line, left_rows, live_rows, one_target

if TYPE_CHECKING:
    from cmam.actors.status import StatusBoard
    from cmam.config.settings import Settings
    from cmam.rescue import Found

WAIT_S = 60.0
"""How long a flatten may take until nothing is left, unless it is said otherwise."""
DAY_S = 86_400
LOOK_S = 0.2
LATCHED_ONLY = (
    "Nothing was closed, since no cmam could be started: what is listed above is still open. Nothing new opens either, "
    "until `cmam rearm`. Mend what is said here and run the same again."
)


def _seconds(text: str | None) -> float | None:
    """A span in seconds; None where the word is none, so that it may be the profile's name."""
    try:
        seconds = float(text) if text is not None else WAIT_S
    except ValueError:
        return None
    if not 0 < seconds <= DAY_S:
        raise click.UsageError(f"expected --wait with seconds above 0 and up to {DAY_S}, found {text!r}.")
    return seconds


@click.command(cls=Verb)
@click.argument("profile", required=False)
@click.option("--account", metavar="ID", help="The copies of one follower.")
@click.option("--all", "everything", is_flag=True, help="The copies of every profile.")
@click.option("--whole", is_flag=True, help="With --account: everything on it, also what is nobody's copy.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--wait",
    is_flag=False,
    flag_value=str(WAIT_S),
    metavar="[SECONDS]",
    help="Wait until nothing is left, 60 s unless said otherwise; exit code 1 if something is left then.",
)
@click.option("--direct", is_flag=True, help="Past a cmam that hangs: close by label at the broker, without the log.")
def flatten(
    profile: str | None, account: str | None, everything: bool, whole: bool, yes: bool, wait: str | None, direct: bool
) -> None:
    """Close every copy and cancel every copied order; nothing new opens until `cmam rearm`.

    It shows what it will close, and asks. Opens are stopped first, also across a restart. If no cmam runs, one is
    started just for this, and ends once the brokers show nothing left. --direct is for a cmam that does not answer: it
    closes whole hedged positions and cancels orders that carry our label, nothing else; it records nothing and stops
    no opens.
    """
    span_s = _seconds(wait)
    if span_s is None:  # `--wait NAME`: the word after it is the profile
        if profile is not None:
            raise click.UsageError(f"expected --wait with seconds, found {wait!r}.")
        profile, span_s = wait, WAIT_S
    target = one_target(profile, account, everything)
    if whole and not account:
        raise click.UsageError("--whole needs one account: say --account ID.")
    if direct:
        if whole:
            raise click.UsageError("say --direct or --whole, not both: --direct closes only what carries our label.")
        _direct(target, yes=yes, span_s=span_s)
        return
    _flatten(target, whole=whole, yes=yes, is_waiting=wait is not None, span_s=span_s)


# --- through the running system, or one that is started for it --------------------------------------------------------


def _flatten(target: Mapping[str, Any], *, whole: bool, yes: bool, is_waiting: bool, span_s: float) -> None:
    from cmam import office
    from cmam.config.home import HomeRefused
    from cmam.domain.operating.asking import Refusal
    from cmam.store.errors import StoreError, StoreHeld

    rows = live_rows(target)
    _ask(rows, yes=yes, whole=whole)
    try:
        answer = carry_out({"command": "flatten", **target, "whole": whole})
        is_running = office.ask_running(face().home, {"command": "status"}) is not None
        is_running = is_running or office.holder_of(face().home) is not None  # one that is busy closes, too
    except StoreHeld as held:
        fail(f"{held} {_beside(target)}", Exit.HELD)
    except (StoreError, HomeRefused) as unwritten:
        what = f"`cmam flatten {_words(target)} --direct` closes without a record, as far as labels tell what is ours."
        fail(f"{unwritten} Nothing was latched or closed; {what}")
    except Refusal as refusal:
        if "did not answer" in refusal.text:
            fail(f"{refusal.text}. {_beside(target)}")
        raise
    accounts = {int(found) for found in answer["flattening"]}
    if not is_running:
        try:
            with _interruptible(target):
                state = _alone(target, accounts, whole=whole, span_s=span_s)
        except tuple(kind for kind, _ in CODES) as unable:
            if face().as_json:
                print_json({**answer, "done": False, "left": rows, "not_in_sight": sorted(accounts)})
            fail(f"{unable}\n{LATCHED_ONLY}", code_of(unable) or Exit.REFUSED)
        _finish(answer, state, target, whole=whole, span_s=span_s)
    elif is_waiting:
        with _interruptible(target):
            state = _wait_until_empty(target, accounts, whole=whole, span_s=span_s)
        _finish(answer, state, target, whole=whole, span_s=span_s)
    else:
        if face().as_json:
            print_json(answer)
        unheard = len(answer.get("unheard", ()))
        heard = len(accounts) - unheard
        who = "1 follower is" if heard == 1 else f"{heard} followers are"
        say(f"{who} closing; `cmam status` shows what is left. Nothing new opens until `cmam rearm {_words(target)}`.")
        if unheard:
            fail(f"Not all were reached. {_past(target)}")


@contextmanager
def _interruptible(target: Mapping[str, Any]) -> Iterator[None]:
    """Have a Ctrl-C say what it does not take back: opens are stopped, and closes have been asked for."""
    try:
        yield
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Interrupted: what is left goes on closing while a cmam runs, and nothing new opens until `cmam rearm "
            f"{_words(target)}`."
        ) from None


def _beside(target: Mapping[str, Any]) -> str:
    return f"If that cmam does not answer, `cmam flatten {_words(target)} --direct` closes beside it."


def _past(target: Mapping[str, Any]) -> str:
    return f"`cmam flatten {_words(target)} --direct` closes what carries our label there, beside the cmam that runs."


def _words(target: Mapping[str, Any]) -> str:
    if target["profile"]:
        return shlex.quote(str(target["profile"]))
    return f"--account {shlex.quote(str(target['account']))}" if target["account"] else "--all"


def _ask(rows: list[dict[str, Any]], *, yes: bool, whole: bool = False) -> None:
    """Show what will be closed, and ask; nobody is asked without a terminal, so that needs --yes."""
    say(f"To be closed or cancelled, by the record: {counted(len(rows), 'copy')}.")
    for row in rows[:ROWS_SHOWN_MAX]:
        say(f"  {copy_line(row)}")
    if len(rows) > ROWS_SHOWN_MAX:
        say(f"  … and {len(rows) - ROWS_SHOWN_MAX} more")
    if whole:
        say("  … and everything else on the account, whoever opened it")
    if yes:
        return
    if not is_interactive():
        fail("Nothing was done: there is nobody to ask. Add --yes.", Exit.USAGE)
    click.confirm("Close all of this now, at the market?", abort=True, err=True)


@dataclass(slots=True)
class _State:
    """What is known of a flatten that somebody waits for. `unseen` are accounts that no broker has shown."""

    left: int = 1
    unseen: frozenset[int] = frozenset()
    is_answering: bool = True

    @property
    def is_done(self) -> bool:
        """Whether the brokers have shown that nothing is left."""
        return self.is_answering and not self.left and not self.unseen


def _wait_until_empty(target: Mapping[str, Any], accounts: set[int], *, whole: bool, span_s: float) -> _State:
    """Look until the brokers show nothing of the target any more, or the time is over."""
    from cmam import office
    from cmam.actors.threads.runtime import Latch
    from cmam.clock import SECOND_US, SystemClock

    clock, pause, links = SystemClock(), Latch(), _links_of(target)
    deadline = clock.monotonic() + int(span_s * SECOND_US)
    state = _State(is_answering=False)
    while clock.monotonic() < deadline:
        document = office.ask_running(face().home, {"command": "status"})
        found = document["accounts"] if document is not None else []
        state = _state_of([one for one in found if one["ctid"] in accounts], accounts, links, whole=whole)
        state.is_answering = document is not None
        if state.is_done:
            break
        pause.wait(LOOK_S)
    return state


def _links_of(target: Mapping[str, Any]) -> frozenset[str] | None:
    """The links that are meant; None is every one."""
    from cmam import office
    from cmam.domain.operating.asking import find_profile

    if not target["profile"]:
        return None
    return frozenset(map(str, find_profile(office.read_registry(face().home), str(target["profile"])).links))


def _state_of(
    found: Sequence[Mapping[str, Any]], accounts: set[int], links: frozenset[str] | None, *, whole: bool
) -> _State:
    """What is left of the target on these accounts, as `status` shows them."""
    seen = {int(one["ctid"]) for one in found if one["health"] == "reconciled"}
    left = sum(count for one in found for link, count in one.get("left", {}).items() if links is None or link in links)
    if whole:
        left += sum(int(one.get("positions", 0)) + int(one.get("orders", 0)) for one in found)
    return _State(left, frozenset(accounts - seen))


def _alone(target: Mapping[str, Any], accounts: set[int], *, whole: bool, span_s: float) -> _State:
    """Start a system that follows nobody, for just as long as something is left."""
    from cmam import bootstrap, office
    from cmam.actors.status import account_document
    from cmam.actors.threads.runtime import Latch
    from cmam.clock import SECOND_US, SystemClock
    from cmam.domain.values.ids import AccountId
    from cmam.system import NOBODY

    me, clock, links = face(), SystemClock(), _links_of(target)
    registry = office.read_registry(me.home)
    deadline = clock.monotonic() + int(span_s * SECOND_US)
    state = _State(unseen=frozenset(accounts))

    def is_done(board: StatusBoard) -> bool:
        nonlocal state
        known = [registry.accounts[one] for one in map(AccountId, accounts) if one in registry.accounts]
        found = [account_document(board.view(one.account), one, registry.store) for one in known]
        state = _state_of(found, accounts, links, whole=whole)
        return state.is_done or clock.monotonic() >= deadline

    say("No cmam runs: one is started just for this, and ends once all is closed.")
    settings = _settings()
    bootstrap.run(me.home, settings, command="cmam flatten", stop=Latch(), profiles=NOBODY, is_done=is_done)
    return state


def _settings() -> Settings:
    """What closing needs, with a word on what else is wrong."""
    from cmam import office
    from cmam.config.settings_file import FILE

    settings, passed = office.settings_to_close(face().home)
    live, demo = settings.api.live, settings.api.demo
    last = f"what `cmam api configure` last recorded ({live.host}:{live.port} and {demo.host}:{demo.port})"
    for problem in passed:
        instead = last if problem.name == FILE else "the default"
        say(f"! {problem}. Closing goes on with {instead}; mend it before the next start.")
    return settings


def _finish(answer: Mapping[str, Any], state: _State, target: Mapping[str, Any], *, whole: bool, span_s: float) -> None:
    rows = [] if state.is_done else left_rows(target, whole=whole)
    if face().as_json:
        print_json({**answer, "done": state.is_done, "left": rows, "not_in_sight": sorted(state.unseen)})
    if state.is_done:
        say(f"Nothing is left. Nothing new opens until `cmam rearm {_words(target)}`.")
        return
    for row in rows:
        say(f"  left: {copy_line(row)}")
    for account in sorted(state.unseen) if state.is_answering else ():
        say(f"  account {account} is not in sight: what its broker holds is not known")
    why = "it is not finished" if state.is_answering else "the running system does not answer any more"
    fail(f"After {span_s:g} s {why}; what is left goes on closing while a cmam runs.")


# --- past everything --------------------------------------------------------------------------------------------------


def _direct(target: Mapping[str, Any], *, yes: bool, span_s: float) -> None:
    from cmam import office, rescue
    from cmam.actors.threads.runtime import Latch
    from cmam.clock import SECOND_US, SystemClock
    from cmam.domain.operating.asking import find_account, find_profile

    me, clock = face(), SystemClock()
    registry = office.read_registry(me.home)
    profile = find_profile(registry, str(target["profile"])).profile if target["profile"] else None
    account = find_account(registry, str(target["account"])).account if target["account"] else None
    if not registry.accounts:
        fail("There is no account in this home: nothing to flatten.")
    targets = rescue.links_of(registry, profile, account)
    one = rescue.Rescue(me.home, _settings(), registry, targets, clock, Latch().wait)
    try:
        found = one.look()
        _ask_direct(found, yes=yes)
        if any(map(_may_hold, found)):
            found = one.empty(clock.monotonic() + int(span_s * SECOND_US), say)
    finally:
        one.end()
    _finish_direct(found, span_s)


def _ask_direct(found: tuple[Found, ...], *, yes: bool) -> None:
    for seen in found:
        for position in seen.positions:
            say(f"  {seen.account.shown}: position {position.position}, {position.side.value} ({position.label})")
        for order in seen.orders:
            say(f"  {seen.account.shown}: order {order.order}, {order.side.value} ({order.label})")
        for netted in seen.netted:
            say(f"  {seen.account.shown}: position {netted.position} is netted, and stays: close it by hand")
        if seen.why_not:
            say(f"  {seen.account.shown}: {seen.why_not}")
    if yes or not any(map(_may_hold, found)):
        return
    if not is_interactive():
        fail("Nothing was done: there is nobody to ask. Add --yes.", Exit.USAGE)
    unseen = any(_may_hold(seen) and not seen.is_known for seen in found)
    more = ", and what of ours is found where nothing is known yet," if unseen else ""
    click.confirm(f"Close these positions and cancel these orders{more} now, at the market?", abort=True, err=True)


def _may_hold(seen: Found) -> bool:
    """Whether something of ours is to be closed there, or cannot be seen yet."""
    return not seen.is_empty and not seen.given_up


def _finish_direct(found: tuple[Found, ...], span_s: float) -> None:
    if face().as_json:
        print_json(_direct_document(found))
    open_still = [seen for seen in found if not seen.is_empty]
    netted = sum(len(seen.netted) for seen in found)
    if not open_still and not netted:
        say("The brokers show nothing of ours any more. Nothing was latched: a cmam that wakes up may open again.")
        return
    for seen in open_still:
        what = f"{counted(len(seen.positions), 'position')}, {counted(len(seen.orders), 'order')}"
        say(f"  left on {seen.account.shown}: {what if seen.is_known else 'not known'} {seen.why_not}".rstrip())
    code = Exit.UNREACHABLE if open_still and not any(seen.is_known for seen in found) else Exit.REFUSED
    fail(f"After at most {span_s:g} s not everything is closed{'; netted positions stay' if netted else ''}.", code)


def _direct_document(found: tuple[Found, ...]) -> dict[str, Any]:
    return {
        "done": all(seen.is_empty and not seen.netted for seen in found),
        "accounts": [
            {
                "account": int(seen.account.account),
                "known": seen.is_known,
                "positions": [int(position.position) for position in seen.positions],
                "orders": [int(order.order) for order in seen.orders],
                "netted": [int(position.position) for position in seen.netted],
                "why_not": seen.why_not,
            }
            for seen in found
        ],
    }
