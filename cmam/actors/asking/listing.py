"""What a broker offers an account: its list of symbols, what they allow, and the tiers of leverage behind them.

The list is read, then the specifications that are not known yet: a sample by the account itself, what it holds and
trades first, the rest from the shelf where another account has read the same ones, or by itself. Tiers come last, for
accounts that follow. What a symbol allows is asked for out of turn where something waits for it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from cmam.actors.asking.question import Question
from cmam.actors.asking.shelf import SAMPLE, SpecShelf, sample_of
from cmam.domain.belief.view import AccountView
from cmam.domain.events import AssetName, Event, LeverageSeen, SymbolListSeen
from cmam.domain.values.ids import AssetId, SymbolId
from cmam.domain.values.symbols import SymbolName, SymbolSpec
from cmam.openapi import reckonings, requests, translate

SPECS_PER_REQUEST = 100
"""Symbols asked for at once: answers stay far below the 1 MB at which a client was seen to give up."""
QUOTED_MAX = 500
"""So many symbols of a feed are subscribed at once, the first of the list; of a longer one the others as needed."""
SHELF = "shelf"
"""The name of the question that asks no broker: whether another account has read the same specifications by now."""
EARLY = "early "
"""How a question about symbols is named that was asked before their list was known."""
LOOK_US = 500_000
LOOKS_MAX = 120
"""After a minute of looking an account reads for itself: the other one may never come to its end."""

Found = tuple[tuple[Event, ...], tuple[Question, ...]]
"""The facts that an answer makes, and what to ask next."""


class Listing:
    """One reading of what a broker offers. `is_done` once nothing of it is missing."""

    def __init__(
        self,
        view: AccountView,
        specs: Mapping[SymbolId, SymbolSpec],
        *,
        is_live: bool,
        follows: bool,
        shelf: SpecShelf,
    ) -> None:
        self.is_done = False
        self.wants_quotes = False
        """Whether to ask for quotes now; whoever does takes it back."""
        self.is_to_look = False
        """Whether to ask for `SHELF` again in a while, since another account is reading what this one needs; whoever
        does takes it back."""
        self.digest = ""
        """What tells this list from others; empty before it is known."""
        self.specs = specs
        self.assets: Mapping[AssetId, AssetName] = view.assets
        self._account = view.account
        self._has_assets = False
        self._is_live = is_live
        self._follows = follows
        self._shelf = shelf
        self._open: dict[str, Question] = {}
        self._symbols: tuple[SymbolName, ...] | None = None
        self._names: tuple[SymbolName, ...] = ()
        self._ids: frozenset[SymbolId] = frozenset()
        self._recorded_digest, self._recorded_names = view.symbol_digest, view.names
        self._asked: set[SymbolId] = set()
        self._needed: set[SymbolId] = set()
        self._early: set[SymbolId] = set()
        self._read: dict[SymbolId, SymbolSpec] = {}
        self._looks = 0
        self._changes = 0

    @property
    def family(self) -> str:
        """Whose specifications this account may share; empty before its list is known."""
        return f"{'live' if self._is_live else 'demo'} {self.digest}" if self.digest else ""

    def quoted_symbols(self) -> Iterable[SymbolId]:
        """The symbols whose quotes the account wants from the beginning."""
        return [name.symbol for name in self._names[:QUOTED_MAX]]

    def lacks(self, symbol: SymbolId) -> bool:
        """Whether it is still to be read what a symbol allows, or what margin its tiers bind."""
        if self.is_done:
            return False
        spec = self.specs.get(symbol)
        if spec is None:
            return not self.digest or symbol in self._ids
        return f"leverage {spec.leverage_id}" in self._open

    def names_asset(self, asset: AssetId) -> bool:
        """Whether it is known by now which asset that is, if it ever will be."""
        return asset in self.assets or self._has_assets

    # --- questions ------------------------------------------------------------------------------------------------

    def begin(self) -> tuple[Question, ...]:
        """The first questions."""
        return self._put(
            Question("assets", requests.ask_assets(self._account), lambda wire: translate.asset_names(wire.asset)),
            Question("symbols", requests.ask_symbols(self._account), lambda wire: translate.symbol_names(wire.symbol)),
        )

    def expects(self, question: str) -> bool:
        """Whether an answer of that name is still awaited."""
        return question in self._open

    def again(self, question: str, view: AccountView) -> tuple[Question, ...]:
        """Ask an open question once more."""
        if question != SHELF:
            return (self._open[question],)
        del self._open[SHELF]
        return self._go_on_reading(view)

    def is_needless(self, question: str) -> bool:
        """Whether an account can be made ready without this answer: tiers are asked for again beside the way."""
        return question.startswith("leverage ")

    def need(self, symbol: SymbolId) -> tuple[Question, ...]:
        """Read a symbol out of turn, once, since something waits for it: many others may have been asked for with it,
        or before. Before the list is known it is read by the one on record, which counts if that is still the list."""
        if symbol in self._needed or symbol in self.specs:
            return ()
        self._needed.add(symbol)
        if self.digest:
            return self._ask_specs([name for name in self._names if name.symbol == symbol], "alone ")
        self._early.add(symbol)
        recorded = self._recorded_names.values()
        return self._ask_specs([name for name in recorded if name.symbol == symbol and name.enabled], EARLY)

    def give_up(self) -> None:
        """Nothing of this will be answered."""
        self._shelf.give_up(self._account)

    def _put(self, *questions: Question) -> tuple[Question, ...]:
        self._open.update({question.name: question for question in questions})
        return questions

    # --- answers --------------------------------------------------------------------------------------------------

    def answered(self, question: str, report: Any, view: AccountView) -> Found:
        """Take an answer."""
        asked = self._open.pop(question)
        match question.partition(" ")[0]:
            case "assets":
                self.assets = {asset.asset: asset for asset in report}
                self._has_assets = True
                return self._catalogue(view)
            case "symbols":
                self._symbols = report
                return self._catalogue(view)
            case "specs" if question.startswith(f"specs {EARLY}") and self._is_another_list:
                return (), ()
            case "specs" if not report and len(asked.message.symbolId) > 1:
                return (), self._ask_in_halves(asked.message.symbolId)
            case "specs":
                return self._take_specs(report, view)
            case "leverage":
                return self._take_leverage(report)
        raise AssertionError(f"nobody asked {question!r}")

    def _catalogue(self, view: AccountView) -> Found:
        if self._symbols is None or not self._has_assets:
            return (), ()
        facts: tuple[Event, ...] = ()
        self.digest = _digest(self._symbols, self.assets)
        self._symbols, self.assets = self._shelf.list_of(self.digest, self._symbols, self.assets)
        if self.digest != view.symbol_digest:
            assets = tuple(self.assets[key] for key in sorted(self.assets))
            facts = (SymbolListSeen(digest=self.digest, symbols=self._symbols, assets=assets),)
        self._names = tuple(name for name in self._symbols if name.enabled)
        self._ids = frozenset(name.symbol for name in self._names)
        self.wants_quotes = True
        if self._is_another_list:
            self._forget_early()
        missing = [name for name in self._names if name.symbol not in self.specs and name.symbol not in self._asked]
        if not missing:
            return facts, () if self._is_reading_specs else self._after_specs(view)
        self._changes = self._shelf.changes(self.family)
        used = {position.symbol for position in view.positions.values()} | set(view.specs)
        sample = sample_of(missing, frozenset(used))
        needed = [name for name in missing if name.symbol in self._needed and name not in sample]
        return facts, self._ask_specs([*needed, *sample][:SAMPLE])

    @property
    def _is_another_list(self) -> bool:
        """Whether the list is known, and is not the one that was on record."""
        return bool(self.digest) and self.digest != self._recorded_digest

    def _forget_early(self) -> None:
        """What was read by a list that is no more may be called otherwise now, or be in another currency."""
        self.specs = {symbol: spec for symbol, spec in self.specs.items() if symbol not in self._early}
        self._read = {symbol: spec for symbol, spec in self._read.items() if symbol not in self._early}
        self._asked -= self._early

    def _ask_specs(self, names: list[SymbolName], how: str = "") -> tuple[Question, ...]:
        """Ask for specifications, so many at once that no answer becomes too large.

        `how` tells questions apart that begin with the same symbol.
        """
        batches = [names[start : start + SPECS_PER_REQUEST] for start in range(0, len(names), SPECS_PER_REQUEST)]
        self._asked.update(name.symbol for name in names)
        return self._put(
            *(
                Question(
                    f"specs {how}{batch[0].symbol}",
                    requests.ask_specs(self._account, [name.symbol for name in batch]),
                    _specs_of(batch, self.assets),
                )
                for batch in batches
            )
        )

    def _ask_in_halves(self, symbols: Sequence[int]) -> tuple[Question, ...]:
        """Ask in two halves for what was answered with nothing: a broker that does not know one of them any more may
        tell of none (wire.md#symbols), and all others are there."""
        asked, middle = frozenset(symbols), (len(symbols) + 1) // 2
        names = [name for name in self._names if name.symbol in asked]
        return (*self._ask_specs(names[:middle]), *self._ask_specs(names[middle:]))

    @property
    def _is_reading_specs(self) -> bool:
        return any(name.startswith("specs ") for name in self._open)

    def _take_specs(self, report: tuple[SymbolSpec, ...], view: AccountView) -> Found:
        self._read.update({spec.symbol: spec for spec in report})
        self.specs = {**self.specs, **self._read}
        if not self.digest or SHELF in self._open or self._is_reading_specs:
            return (), ()
        return (), self._go_on_reading(view)

    def _go_on_reading(self, view: AccountView) -> tuple[Question, ...]:
        """Take from the shelf what was not read, or read it, or wait for who is reading it."""
        family = self.family
        left = [name for name in self._names if name.symbol not in self.specs and name.symbol not in self._asked]
        found = self._shelf.match(family, self._read) if self._read else None
        if found is not None:
            self._read = {symbol: found[symbol] for symbol in self._read}  # one object for all who share it
            self._read |= {name.symbol: found[name.symbol] for name in left if name.symbol in found}
            lacking = [name for name in left if name.symbol not in found]
            if lacking:  # whoever read that set was told nothing of them
                return self._ask_specs(lacking)
        elif left and self._looks < LOOKS_MAX and not self._shelf.may_read(family, self._account):
            self._looks += 1
            self.is_to_look = True
            self._open[SHELF] = Question(SHELF, None, lambda wire: wire)
            return ()
        elif left:
            return self._ask_specs(left)
        elif self._asked >= self._ids:
            found = dict(self._read)
            self._shelf.put(family, self._account, found, self._changes)
        known = {**self.specs, **self._read}
        self.specs = found if found is not None and found == known else known
        return self._after_specs(view)

    def _after_specs(self, view: AccountView) -> tuple[Question, ...]:
        """Tiers of leverage come before anything is decided: without them nobody knows what margin an open binds."""
        unknown = {spec.leverage_id for spec in self.specs.values()} - view.leverages.keys() - {0}
        if not self._follows or not unknown:
            self.is_done = True
            return ()
        return self._put(
            *(
                Question(
                    f"leverage {leverage}", reckonings.ask_leverage(self._account, leverage), reckonings.read_leverage
                )
                for leverage in sorted(unknown)
            )
        )

    def _take_leverage(self, report: LeverageSeen | None) -> Found:
        self.is_done = not any(name.startswith("leverage ") for name in self._open)
        return (report,) if report is not None else (), ()


def _specs_of(names: list[SymbolName], assets: Mapping[AssetId, AssetName]) -> Callable[[Any], Any]:
    by_id = {name.symbol: name for name in names}

    def read(wire: Any) -> tuple[SymbolSpec, ...]:
        return tuple(
            translate.symbol_spec(symbol, by_id[SymbolId(symbol.symbolId)], assets)
            for symbol in wire.symbol
            if SymbolId(symbol.symbolId) in by_id
        )

    return read


def _digest(names: tuple[SymbolName, ...], assets: Mapping[AssetId, AssetName]) -> str:
    text = repr((names, tuple(assets[key] for key in sorted(assets))))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
