"""What must hold of caps: counting what is held, what rests and what is on its way, no request goes beyond one.

Judged at each request that adds risk, by what the record knows then: a cap may be set lower while more is held, and a
person may open what he likes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from cmam.domain.belief.copies import Intent
from cmam.domain.belief.view import AccountView
from cmam.domain.values.commands import Command, CommandKind
from cmam.domain.values.ids import SymbolId
from cmam.domain.values.quantities import Side
from cmam.domain.values.rules.opens import CAPS_BY_SIDE
from tests.chaos.course import Taken, gives_up, taken
from tests.whole import Whole

ADDING = (CommandKind.OPEN, CommandKind.ADD, CommandKind.PLACE)


def capped(whole: Whole) -> None:
    """With each open, add and resting order the follower has no more positions and lots than its link allows."""
    for account in {link.follower for link in whole.folded().registry.links()}:
        for one in taken(whole, account):
            command = one.request.command if one.request is not None else None
            if command is None or not command.kind.adds_risk or gives_up(one):
                continue
            words = f"with {command} at {one.at_us} on {account}, {dict(one.terms.texts)}"
            count = one.terms.number("max_positions")
            if count is not None and command.kind is not CommandKind.ADD:
                found = _positions(one) + 1
                assert found <= count, f"{found} positions {words}"
            for name, symbol in (("max_lots_symbol", command.symbol), ("max_lots_open", None)):
                most = one.terms.number(name)
                lots = _lots_with(one.before, symbol, command)
                assert most is None or lots <= float(most) + 1e-9, f"{lots} lots, {name} {words}"


def _under_way(view: AccountView) -> Iterator[Intent]:
    """Requests that may still become something which the view does not show as a position or a resting order."""
    for intent in view.intents.values():
        copy = view.copies.get(intent.key)
        is_shown = intent.command.kind is CommandKind.PLACE and copy is not None and copy.order in view.orders
        if intent.command.kind in ADDING and not is_shown:
            yield intent


def _positions(one: Taken) -> int:
    view = one.before
    coming = {i.key for i in _under_way(view) if i.command.kind is not CommandKind.ADD and i.filled == 0}
    return len(view.positions) + len(view.orders) + len(coming - {one.key})


def _lots_with(view: AccountView, symbol: SymbolId | None, command: Command) -> float:
    """Lots of one symbol, or of all, with what this request asks for; of nets the larger side of each symbol."""
    if not view.is_netted() or view.rules < CAPS_BY_SIDE:
        return _lots(view, symbol) + command.volume / view.specs[command.symbol].lot_size
    legs: Counter[tuple[SymbolId, Side]] = Counter({(command.symbol, command.side): command.volume})
    beside = Counter({p.symbol: p.side.sign * p.volume for p in view.positions.values()})
    for copy in view.copies.values():
        if copy.share:
            legs[copy.symbol, copy.side] += copy.volume
            beside[copy.symbol] -= copy.side.sign * copy.volume
    for of, volume in beside.items():
        legs[of, Side.BUY if volume > 0 else Side.SELL] += abs(volume)
    for order in view.orders.values():
        legs[order.symbol, order.side] += order.volume - order.executed_volume
    for intent in _under_way(view):
        of_copy = view.copies.get(intent.key)
        if of_copy is None or of_copy.side is intent.command.side:
            legs[intent.command.symbol, intent.command.side] += max(0, intent.command.volume - intent.filled)
    if symbol is not None:
        return legs[symbol, command.side] / view.specs[symbol].lot_size
    return sum(
        max(legs[of, Side.BUY], legs[of, Side.SELL]) / view.specs[of].lot_size
        for of in {of for of, _ in legs}
        if of in view.specs
    )


def _lots(view: AccountView, symbol: SymbolId | None) -> float:
    """Lots of one symbol, or of all: held, resting, and on their way."""
    held = [(p.symbol, p.volume) for p in view.positions.values()]
    held += [(o.symbol, o.volume - o.executed_volume) for o in view.orders.values()]
    held += [(i.command.symbol, max(0, i.command.volume - i.filled)) for i in _under_way(view)]
    return sum(volume / view.specs[of].lot_size for of, volume in held if symbol in (None, of) and of in view.specs)
