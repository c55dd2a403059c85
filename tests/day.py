"""One day on the sandbox in which every kind of event happens, in virtual time, from a seed: what events.db.sample is.

Whatever a system draws by chance (the names of the store and its links) or takes from its machine (its process number)
is given, so that the same code writes the same bytes on every machine.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

from cmam.actors.accounts import following
from cmam.domain.values.ids import base36
from cmam.openapi import translate
from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.store.upkeep.known_end import note_restore
from tests.rulebook import EURUSD, LEAD, UNIT, WORLD, Case, Rulebook

SEED = 1
UNITS = {"volume.basis": "units"}
CASES = (
    Case("half", "Same", {**UNITS, "volume.amount": "0.5"}),
    Case("net", "Same", {**UNITS, "volume.amount": "0.5"}, kind="netted"),
    Case(
        "guarded",
        "Same",
        {**UNITS, "daily_loss": "200", "trailing_drawdown": "900", "guard.reset": "00:04 UTC"},
    ),
    Case("small", "Mini", {**UNITS, "max_spread": "3"}, currency="EUR", balance="1200", leverage=30),
)
_WITH_TIERS = WORLD.replace(
    'name = "Mini"\n',
    'name = "Mini"\nleverages = [{ id = 1, tiers = [{ volume = 1_000_000, leverage = 100 }] }]\n',
).replace("max_volume = 4_500_000\n", "max_volume = 4_500_000\nleverage_id = 1\n")
NIGHT_S, DAY_US = 306, 86_400_000_000
"""When the second start is, a little after a guard's day began with nobody there."""
POISON = 77_000 * UNIT
"""An open of so many units is one that a follower dies of, each time it comes: a fault of ours that is set aside."""


@contextmanager
def nothing_by_chance() -> Iterator[None]:
    """Names from a seed, one process number, one operator."""
    chance = random.Random(SEED)

    def new_id(characters: int = 6) -> str:
        return base36(chance.randrange(36**characters)).rjust(characters, "0")

    with (
        mock.patch("cmam.office.new_id", new_id),
        mock.patch("cmam.system.os.getpid", return_value=4711),
        mock.patch("cmam.office.operator_name", return_value="operator"),
    ):
        yield


class Indigestible(Exception):
    """A fault of ours that one message brings to light."""


@contextmanager
def one_change_kills(account: int) -> Iterator[None]:
    """Let a follower die of deciding an open of `POISON`."""
    gather = following.gather

    def failing(view: Any, change: Any, *arguments: Any, **options: Any) -> Any:
        if view.account == account and change.kind == "opened" and change.after == POISON:
            raise Indigestible("an open that this follower cannot decide")
        return gather(view, change, *arguments, **options)

    with mock.patch.object(following, "gather", failing):
        yield


def a_whole_day() -> Rulebook:
    """The day, from the first start to an orderly end."""
    with nothing_by_chance():
        with mock.patch("tests.rulebook.WORLD", _WITH_TIERS):
            book = Rulebook(CASES, seed=SEED)
        with one_change_kills(book.ids["half"]):
            _morning(book)
            _noon(book)
            _afternoon(book)
            _evening(book)
    book.log.write_checkpoint(book.stepper.clock.now())
    return book


def _ask(book: Rulebook, command: str, **more: Any) -> None:
    answer = book.command({"command": command, "user": "operator", **more})
    assert answer["ok"], answer


def _fault(book: Rulebook, name: str, **arguments: str) -> None:
    book.broker.set_fault(name, arguments)
    book.stepper.network.collect()


def _morning(book: Rulebook) -> None:
    """The common things: opens with levels, parts, amendments, resting orders, a trailing stop."""
    book.writer.carry_out({"command": "api.configure", "settings": {"demo_host": "sandbox"}, "user": "operator"})
    book.begin()
    person = book.person
    first = person.buy(40_000 * UNIT, relativeStopLoss=400, relativeTakeProfit=900)
    book.go(2)
    person.close(first, 17_000 * UNIT)
    person.amend(first, stop=1.08211)
    book.go(2)
    resting = person.place(model.LIMIT, 21_000 * UNIT, price=1.08303, stopLoss=1.07213)
    gone = person.place(model.STOP, 8_000 * UNIT, price=1.09207)
    book.go(2)
    person.cancel(gone)
    book.go(1)
    book.price("EURUSD", "1.08270")
    book.go(2)
    trailing = person.buy(10_000 * UNIT, symbol=EURUSD, relativeStopLoss=300, trailingStopLoss=True)
    book.go(2)
    book.price("EURUSD", "1.08700")
    book.go(3)
    person.close(trailing, 10_000 * UNIT)
    book.go(2)
    person.cancel(resting)
    book.go(20)


def _noon(book: Rulebook) -> None:
    """What people do: pauses, names, other settings, hands on copies, another copier, links that come and go."""
    person = book.person
    _ask(book, "account.alias", account=str(LEAD), alias="lead")
    _ask(book, "account.tag", accounts=[str(LEAD)], add=["desk"], remove=[])
    _ask(book, "pause", profile=None, account="lead", all=False)
    paused = person.buy(5_000 * UNIT)
    book.go(2)
    _ask(book, "resume", profile=None, account="lead", all=False)
    _ask(book, "pause", profile="half", account=None, all=False)
    _ask(book, "resume", profile="half", account=None, all=False)
    _ask(book, "profile.set", profile="small", settings={"side": "both", "max_positions": "9"}, unset=[])
    pair = ("small", "guarded")
    created = {"name": "pair", "leader": "lead", "followers": [str(book.ids[name]) for name in pair]}
    _ask(book, "profile.create", **created, settings={**UNITS, "volume.amount": "0.1"})
    held = person.buy(30_000 * UNIT)
    book.go(2)
    document = {
        "name": "Pair",
        "leader": "lead",
        "state": "running",
        "settings": {"max_age": "20s"},
        "followers": [{"account": str(book.ids["guarded"]), "settings": {**UNITS, "volume.amount": "0.2"}}],
    }
    _ask(book, "profile.apply", profiles=[document], copies="close")
    book.go(2)
    (copy, *_) = person.holds(book.ids["half"])
    _fault(book, "foreign-trade", account=str(book.ids["half"]), action="remove-levels", position=str(copy.position))
    book.go(2)
    _fault(book, "symbol", broker="Same", symbol="EURUSD", set="step_volume=200000")
    book.go(3)
    person.buy(4_000 * UNIT)
    book.go(2)
    for name in ("half", "net", "guarded"):
        _ask(book, "symbol.confirm", account=str(book.ids[name]), symbol="EURUSD")
    link = next(link for link in book.folded().registry.links() if link.follower == book.ids["half"])
    label = f"cm1.other.{link.link}.p{base36(paused)}"
    foreign = person.buy(2_000 * UNIT, account=book.ids["half"], label=label)
    book.go(2)
    person.buy(3_000 * UNIT, positionId=held)
    book.go(2)
    _ask(book, "profile.adopt", profile="half", store="other", follower=None)
    book.go(3)
    person.close(foreign, 2_000 * UNIT, account=book.ids["half"])


def _afternoon(book: Rulebook) -> None:
    """What goes wrong: refusals, silence, a lost line, actors that die and hang, messages nobody can read."""
    person, stepper = book.person, book.stepper
    half = f"account:{book.ids['half']}"
    open_of_half = {"account": str(book.ids["half"]), "type": "2106", "count": "1"}
    _fault(book, "error", code="BLOCKED_PAYLOAD_TYPE", retry_after="2", **open_of_half)
    person.buy(4_000 * UNIT)
    book.go(4)
    _fault(book, "silence", **open_of_half)
    person.buy(6_000 * UNIT)
    book.go(30)
    person.buy(POISON)
    book.go(20)
    stepper.stick(half)
    person.buy(8_000 * UNIT)
    book.go(20)
    stepper.unstick(half)
    with _an_unreadable_report():
        person.buy(9_000 * UNIT)
        book.go(12)
    lost = person.buy(5_000 * UNIT)
    book.go(4)
    _fault(book, "cut-after", account=str(book.ids["half"]), type="2111", count="1")
    person.close(lost, 5_000 * UNIT)
    book.go(8)
    stepper.network.cut_all()
    book.go(8)


@contextmanager
def _an_unreadable_report() -> Iterator[None]:
    """Let the translation fail for reports of fills of one volume, as an enumeration's new member would."""
    read = translate.execution
    filled = model.ProtoOAExecutionType.Value("ORDER_FILLED")

    def failing(found: Any, *arguments: Any) -> Any:
        if found.executionType == filled and found.order.tradeData.volume == 9_000 * UNIT:
            raise KeyError("a word that came after us")
        return read(found, *arguments)

    with mock.patch.object(translate, "execution", failing):
        yield


def _evening(book: Rulebook) -> None:
    """Guards, results without quotes, a stop-out, a flatten, a restored log, a day nobody saw begin, an orderly end."""
    book.run(14)
    book.go(2)
    _fault(book, "withdraw", account=str(book.ids["small"]), amount="1050")
    book.price("EURUSD", "1.07600")
    book.go(3)
    looser = {"daily_loss": "9000", "trailing_drawdown": "9000", "guard.initial": "45000"}
    _ask(book, "profile.set", profile="guarded", settings=looser, unset=[])
    _ask(book, "rearm", profile="guarded", guard="")
    _ask(book, "flatten", profile="half", account=None, all=False, whole=False)
    book.go(3)
    _ask(book, "profile.delete", profile="net", copies="close", keep_pendings=False)
    book.go(2)
    _ask(book, "profile.disable", profile="pair", copies="leave")
    _ask(book, "account.remove", account=str(book.ids["net"]))
    book.accounts = tuple(account for account in book.accounts if account != book.ids["net"])
    book.kill()
    note_restore(book.log, book.log.position(), book.now_us())  # of a backup that was made last of all
    book.run(NIGHT_S - book.stepper.clock.now() % DAY_US / 1_000_000)
    book.begin()
    book.go(5)
    book.stop()
