"""What must hold of sizes under any policy: each open is what its mode makes of the leader's, and no copy is more than
its link allows, whatever its leader adds."""

from __future__ import annotations

from fractions import Fraction

from cmam.domain.values.changes import ChangeKind
from cmam.domain.values.commands import CommandKind
from cmam.domain.values.quantities import Quote
from cmam.domain.values.symbols import SymbolSpec
from tests.chaos.course import Taken, taken
from tests.whole import Whole

PRICE = 100_000_000
UNIT = 100


def sized_as_set(whole: Whole) -> None:
    """Each open is within a step of what its mode says, by the numbers that its decision names, and never above."""
    for account in {link.follower for link in whole.folded().registry.links()}:
        for one in taken(whole, account):
            command = one.request.command if one.request is not None else None
            if command is None or command.kind not in (CommandKind.OPEN, CommandKind.PLACE):
                continue
            spec = one.before.specs[command.symbol]
            words = f"{command.volume} at {one.at_us} on {account}, {dict(one.terms.texts)}: {one.change}"
            most = _most(one, spec)
            if most is not None:
                is_raised = one.terms.text("volume.rounding").startswith("raise")
                least = spec.min_volume if is_raised else 0
                assert command.volume <= max(most, least), f"{float(most)} is the most: {words}"
            cap = one.terms.number("volume.max")
            assert cap is None or command.volume <= cap * spec.lot_size, f"above volume.max: {words}"
            assert command.volume % spec.step == 0, f"not on the step: {words}"
            assert command.volume >= spec.min_volume, f"below the minimum: {words}"


def _most(one: Taken, spec: SymbolSpec) -> Fraction | None:
    """The exact volume by the mode, None where the decision does not name what it rests on."""
    amount, theirs = one.terms.number("volume.amount"), Fraction(_volume(one))
    assert amount is not None
    match one.terms.text("volume.mode"):
        case "multiplier":
            return theirs * amount
        case "fixed":
            return amount * spec.lot_size
        case "balance_ratio":
            return _by_balance(one, theirs * amount)
        case "risk_percent":
            return _by_risk(one, amount, spec)
        case _:
            return None


def _volume(one: Taken) -> int:
    """The leader's volume that an open is made from."""
    if one.change.kind is ChangeKind.ORDER_PLACED:
        return one.change.volume
    return max(one.change.after, one.change.volume)


def _by_balance(one: Taken, times: Fraction) -> Fraction | None:
    leader = one.change.money
    rate = _rate(one, leader.currency) if leader is not None else None
    if leader is None or rate is None:
        return None
    theirs = Fraction(leader.balance, 10**leader.money_digits) * rate
    return times * Fraction(one.before.balance, 10**one.before.money_digits) / theirs


def _by_risk(one: Taken, percent: Fraction, spec: SymbolSpec) -> Fraction | None:
    """What the stop may cost at most, costs of the trade left out: they only make it less."""
    assert one.request is not None
    stop, rate = one.request.command.relative_stop, _rate(one, spec.quote_name)
    if stop is None:
        lots = one.terms.number("volume.without_stop")
        return Fraction(0) if lots is None else lots * spec.lot_size
    if rate is None:
        return None
    money = Fraction(one.before.balance, 10**one.before.money_digits) * percent / 100
    return money / (Fraction(stop, PRICE) * rate) * UNIT


def _rate(one: Taken, currency: str) -> Fraction | None:
    """What one of a currency is worth in the follower's at the least, where one quote says it."""
    own = one.before.currency
    if currency == own:
        return Fraction(1)
    for spec in one.before.specs.values():
        quote: Quote | None = one.inputs.quotes.get(spec.name)
        if quote is not None and (spec.base_name, spec.quote_name) == (own, currency):
            return Fraction(PRICE, quote.ask)
        if quote is not None and (spec.base_name, spec.quote_name) == (currency, own):
            return Fraction(quote.bid, PRICE)
    return None


def within_bounds(whole: Whole) -> None:
    """No add makes a copy larger than `volume.max` of the settings under which it was decided."""
    for account in {link.follower for link in whole.folded().registry.links()}:
        for one in taken(whole, account):
            command = one.request.command if one.request is not None else None
            copy = one.before.copies.get(one.key)
            cap = one.terms.number("volume.max")
            if command is None or cap is None or copy is None or command.kind is not CommandKind.ADD:
                continue
            if command.side is not copy.side:
                continue
            has = copy.volume + sum(
                max(0, intent.command.volume - intent.filled)
                for intent in one.before.intents_of(copy.key)
                if intent.command.kind in (CommandKind.OPEN, CommandKind.ADD) and intent.command.side is copy.side
            )
            most = cap * one.before.specs[command.symbol].lot_size
            assert has + command.volume <= most, f"{copy.key}: {has} and {command.volume}, {dict(one.terms.texts)}"
