"""What people are told of a run, held against the broker's own books: balances, volumes, fills, prices, ends, money.

The books are the sandbox's: orders, deals and balances as it keeps them. Nothing of the copier's is asked but the lines
that `cmam audit` prints and what a what-if says of the recorded side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from cmam.domain.events import ClosesSeen, ExecutionSeen, Reconciled
from cmam.sandbox.books.ledger import BUY, SELL, STOP_LOSS_TAKE_PROFIT, Account, Deal, Order
from cmam.sandbox.world import NETTED
from cmam.store.auditing.audit import Audit, Line
from cmam.store.auditing.totals import COPY_COUNTS, GROUPINGS, totals
from cmam.store.what_if import Asked
from cmam.store.what_if.answers import Answers
from cmam.store.what_if.run import Run
from tests.whole import Whole

NEVER_SENT = ("absent", "dropped")
PARTS = ("gross", "swap", "commission", "conversion_fee")
CLOSES = f"SELECT *, {', '.join(f'sum({name}) AS {name}' for name in PARTS)} FROM closes GROUP BY follower, deal"
"""Each closing deal whole: what nobody asked for for one share of a net stands there in the parts of all."""
TICK = Decimal("0.000001")


def told_as_booked(whole: Whole) -> None:
    """Every check of this file, on a run that is quiet."""
    audit = Audit.of(whole.log)
    assert list(audit.query("SELECT * FROM projection_errors", ())) == []
    copies, orders = list(audit.copies()), list(audit.orders())
    for line in audit.accounts():
        account_as_booked(line, _books(whole, line["account"]))
    for line in orders:
        request_as_booked(line, _books(whole, line["account"]))
    results = _results(whole)
    for line in copies:
        life = _life(_books(whole, line["follower"]), line)
        copy_as_booked(line, life)
        entry_as_booked(line, life, _books(whole, line["leader"]), _pip(whole, line["follower"], life))
        if life is not None and not life.is_netted:
            result = results[line["copy_id"].partition("/")[0]]
            booked = life.every_close
            if any(order["copy_id"] == line["copy_id"] and _is_unanswered(order) for order in orders):
                told = _told(whole, line["follower"])
                booked = tuple(deal for deal in booked if deal.deal_id in told)
            assert result == sum(deal.net for deal in booked), line["copy_id"]
            closes_as_booked(audit, line["copy_id"].partition("/")[0], booked)
    for row in audit.query(CLOSES):
        close_as_booked(row, _books(whole, row["follower"]))
    summed_up(audit)
    results_summed_up(audit)


def _books(whole: Whole, account: int) -> Account:
    return whole.broker.floor.accounts[account]


def _all_orders(books: Account) -> dict[int, Order]:
    return {**books.past_orders, **books.orders}


def _price(value: int) -> Decimal:
    return Decimal(value).scaleb(-8)


def _units(volume: int) -> Decimal:
    return Decimal(volume) / 100


# --- accounts and requests --------------------------------------------------------------------------------------------


def account_as_booked(line: Line, books: Account) -> None:
    """The balance to the last cent, and as many positions as there are."""
    balance = Decimal(books.balance).scaleb(-books.spec.money_digits)
    assert Decimal(line["balance"]) == balance, f"{line['account']} has {balance}, told was {line['balance']}"
    assert line["positions"] == len(list(books.open_positions())), line["account"]


def request_as_booked(line: Line, books: Account) -> None:
    """Of a request that bears a name: what was filled, which order it became, and that nothing that was never sent
    did anything."""
    found = [order for order in _all_orders(books).values() if order.client_order_id == line["intent"]]
    assert line["state"] == "settled", line
    if line["kind"] not in ("open", "add", "place") and not found:
        return
    filled = sum(order.executed for order in found)
    assert len(found) <= 1, f"{line['intent']} is in the books {len(found)} times"
    is_proved = line["unknown_since"] is not None and line["filled"] == "0.00"  # by what the position was then
    assert is_proved or Decimal(line["filled"]) == _units(filled), f"{line['intent']} filled {filled}: {line['filled']}"
    assert not (filled and line["outcome"] in NEVER_SENT), line
    is_over = line["sent_at"] is None or line["reason"] == "the position is gone"
    is_taken_back = is_over and not filled  # its copy was over before it could leave, or be answered
    if line["outcome"] == "confirmed" and not is_proved and not is_taken_back:
        assert line["follower_order"] == found[0].order_id, line


# --- copies -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Life:
    """What the books have of a copy: its position, and all closes of any it had before or since (`reopen`, a turn)."""

    is_netted: bool
    opens: tuple[Deal, ...]
    closes: tuple[Deal, ...]
    every_close: tuple[Deal, ...]
    orders: Mapping[int, Order]

    @property
    def held(self) -> int:
        """What is left of the position."""
        return sum(deal.filled for deal in self.opens) - sum(deal.filled for deal in self.closes)

    @property
    def way(self) -> Iterator[tuple[Deal, int]]:
        """Its deals in their order, and what it held after each."""
        held = 0
        for deal in sorted((*self.opens, *self.closes), key=lambda deal: (deal.executed_us, deal.deal_id)):
            held += -deal.filled if deal in self.closes else deal.filled
            yield deal, held

    @property
    def most(self) -> int:
        """The most that it ever held at once."""
        return max((held for _, held in self.way), default=0)

    @property
    def firsts(self) -> list[Deal]:
        """The deals with which it began: again where an add filled after a level had taken what it should add to."""
        return [deal for deal, held in self.way if held == deal.filled and deal in self.opens]

    @property
    def ending(self) -> Order | None:
        """The order that ended it first: what filled after that is closed under the same word."""
        ends = [deal for deal, held in self.way if not held and deal in self.closes] or self.closes[-1:]
        return self.orders[ends[0].order_id] if ends else None


def _life(books: Account, line: Line) -> Life | None:
    """The copy in the books; its orders bear its name, and what closes a hedged position bears that of the position."""
    orders = _all_orders(books)
    name = line["copy_id"].partition("/")[0]
    ours = {order.order_id for order in orders.values() if order.client_order_id.startswith(name + ".")}
    if books.spec.kind == NETTED:
        side = BUY if line["side"] == "buy" else SELL
        opens = [deal for deal in books.deals.values() if deal.order_id in ours and deal.side == side]
        return Life(True, tuple(opens), (), (), {}) if opens and line["follower_position"] else None
    opens = [deal for deal in books.deals.values() if deal.order_id in ours and not deal.is_closing]
    positions, last = {deal.position_id for deal in opens}, line["follower_position"]
    if last is None:
        return None
    closes = [deal for deal in books.deals.values() if deal.is_closing and deal.position_id in positions]
    of_last = tuple(deal for deal in closes if deal.position_id == last)
    return Life(
        False,
        tuple(deal for deal in opens if deal.position_id == last),
        of_last,
        tuple(closes),
        orders,
    )


def copy_as_booked(line: Line, life: Life | None) -> None:
    """Volumes, prices and the word of a copy's end, as far as the broker told them at all."""
    name = f"{line['copy_id']} {line['state']} {line['reason']}"
    if life is None:
        assert (line["volume"], line["open_price"], line["close_price"]) == ("0.00", None, None), name
        return
    told, first = Decimal(line["open_price"]), life.opens[0]
    filled = [deal for deal in life.opens if deal.order_id == first.order_id]
    average = sum(_price(deal.price) * deal.filled for deal in filled) / sum(deal.filled for deal in filled)
    firsts = life.opens if life.is_netted else life.firsts  # on a net the deals of all lives bear one name
    is_first = any(told == _price(deal.price) for deal in firsts)
    assert is_first or abs(told - average) < TICK, f"{name} opened at {first.price}: {told}"
    if life.is_netted:
        return
    assert Decimal(line["held"]) == _units(life.held), f"{name} holds {life.held}, told was {line['held']}"
    assert Decimal(line["held"]) <= Decimal(line["volume"]) <= _units(life.most), f"{name} held {life.most} at most"
    if not life.closes:
        assert line["close_price"] is None, name
    else:
        assert line["close_price"] is not None, f"{name} closed at {life.closes[-1].price}, and no price is told"
        assert Decimal(line["close_price"]) == _price(life.closes[-1].price), f"{name}: {line['close_price']}"
    order = life.ending
    if line["state"] == "closed" and order is not None:
        if order.is_stop_out:
            assert line["reason"] == "closed_by_stop_out", name
        elif order.kind == STOP_LOSS_TAKE_PROFIT:
            assert line["reason"] == "closed_by_level", name
        else:
            assert line["reason"] not in ("closed_by_stop_out", "closed_by_level"), name


def _pip(whole: Whole, account: int, life: Life | None) -> Decimal:
    """A pip of what a copy is in, by its own broker."""
    if life is None:
        return Decimal(1)
    floor = whole.broker.floor
    return Decimal(1).scaleb(-floor.symbol(floor.accounts[account], life.opens[0].symbol_id).pip)


def entry_as_booked(line: Line, life: Life | None, leader: Account, pip: Decimal) -> None:
    """The leader's price is a fill of his own, or, of a position that had grown before it was opened here, the average
    of several; slippage is counted from the two: worse is more."""
    if life is None or line["leader_price"] is None:
        return
    theirs = {_price(deal.price) for deal in leader.deals.values() if deal.position_id == line["leader_position"]}
    told = Decimal(line["leader_price"])
    is_his = told in theirs or (len(theirs) > 1 and min(theirs) < told < max(theirs))
    assert not theirs or is_his, f"{line['copy_id']}: {told} of {theirs}"
    worse = (Decimal(line["open_price"]) - Decimal(line["leader_price"])) * (1 if line["side"] == "buy" else -1)
    assert abs(worse / pip - Decimal(line["slippage_pips"])) <= Decimal("0.05"), line["copy_id"]


def closes_as_booked(audit: Audit, name: str, booked: Sequence[Deal]) -> None:
    """Of a hedged copy every closing deal is told, once, whichever of its lives it ended, and no other."""
    found = audit.query("SELECT deal FROM closes WHERE copy_id = ? OR copy_id LIKE ? || '/%'", (name, name))
    assert sorted(row["deal"] for row in found) == sorted(deal.deal_id for deal in booked), name


def close_as_booked(row: Line, books: Account) -> None:
    """What a close realised, to the last cent, when, and what made it."""
    deal = books.deals[row["deal"]]
    order = _all_orders(books)[deal.order_id]
    told = (row["gross"], row["swap"], row["commission"], row["conversion_fee"], row["money_digits"])
    assert told == (deal.gross, deal.swap, deal.total_commission, deal.fee, books.spec.money_digits), row
    assert row["follower_position"] == deal.position_id, row
    assert (row["closed_by"] == "stop_out") == order.is_stop_out or row["closed_by"] is None, row
    assert (row["closed_by"] == "level") == (order.kind == STOP_LOSS_TAKE_PROFIT) or row["closed_by"] is None, row


def _results(whole: Whole) -> Mapping[str, int]:
    """What a what-if with the settings that were says each copy has realised, in minor units."""
    registry = whole.folded().registry
    run = Run(Answers.of(whole.log.read_all()), Asked.of(registry, {}))
    run.take_all(whole.log.read_all())
    found: dict[str, int] = {}
    for account, book in run.books.items():
        for key in (*book.real.copies, *book.real.finished):
            row = run.rows.row_of(account, key)
            found[f"cm1.{registry.store}.{key[0]}.{key[1]}"] = row.recorded.result if row is not None else 0
    return found


def _is_unanswered(order: Line) -> bool:
    """Whether all answers to a close of ours were lost: what came of it was told by what came after."""
    return bool(order["kind"] == "close" and order["reason"] == "the position is gone")


def _told(whole: Whole, account: int) -> set[int]:
    """An account's deals that are on record."""
    found: set[int] = set()
    for record in whole.log.read_stream(f"account:{account}"):
        match record.event:
            case ExecutionSeen(deal=deal) if deal is not None:
                found.add(deal.deal)
            case Reconciled(deals=deals) | ClosesSeen(deals=deals):
                found.update(deal.deal for deal in deals)
            case _:
                pass
    return found


# --- sums -------------------------------------------------------------------------------------------------------------


def summed_up(audit: Audit) -> None:
    """Each line of the totals is the sum of the lines that the lists have."""
    for by, names in (("all", ()), ("profile", ("profile",)), ("follower", ("profile", "follower")), ("day", ("day",))):
        found = {tuple(line[name] for name in names): line for line in totals(audit, by=[by])}
        assert _without_zeros(found) == _summed(audit, names), by


def results_summed_up(audit: Audit) -> None:
    """Whatever they are grouped by, each currency's results come to what the closes do; a deal in which several
    profiles have a part counts in each."""
    money = "(x.gross + x.swap + x.commission + x.conversion_fee)"
    sql = (
        f"SELECT a.currency, count(DISTINCT x.follower || ':' || x.deal), sum({money}), max(x.money_digits)"
        " FROM closes AS x JOIN accounts AS a ON a.account = x.follower"
    )
    booked = {
        currency: (closes, Decimal(net).scaleb(-digits))
        for currency, closes, net, digits in audit.views.execute(f"{sql} GROUP BY a.currency")
    }
    for by in GROUPINGS:
        found: dict[str, tuple[int, Decimal]] = {}
        for line in totals(audit, by=[by]):
            for currency, result in line["results"].items():
                closes, net = found.get(currency, (0, Decimal(0)))
                found[currency] = closes + result["closes"], net + Decimal(result["net"])
        assert {currency: net for currency, (_, net) in found.items()} == {
            currency: net for currency, (_, net) in booked.items()
        }, by
        assert by in ("follower", "profile") or found == booked, by


def _without_zeros(found: Mapping[tuple[Any, ...], Line]) -> dict[tuple[Any, ...], dict[str, int]]:
    counted = ("decisions", "copied", "skipped", "nothing_to_do", "copies", *COPY_COUNTS)
    sums = {key: {name: line[name] for name in counted if line[name]} for key, line in found.items()}
    return {key: counts for key, counts in sums.items() if counts}  # of nothing at all there is one line of zeros


def _summed(audit: Audit, names: Sequence[str]) -> dict[tuple[Any, ...], dict[str, int]]:
    sums: dict[tuple[Any, ...], Counter[str]] = {}
    for line, moment, word in _counted(audit):
        key = tuple(line[moment][:10] if name == "day" else line[name] for name in names)
        sums.setdefault(key, Counter())[word] += 1
    return {key: dict(counts) for key, counts in sums.items()}


def _counted(audit: Audit) -> Iterator[tuple[Line, str, str]]:
    verdicts = {"copy": "copied", "skip": "skipped", "none": "nothing_to_do"}
    for line in audit.decisions():
        yield line, "at", "decisions"
        yield line, "at", verdicts[line["verdict"]]
    for line in audit.copies():
        yield line, "decided_at", "copies"
        yield line, "decided_at", next(name for name, states in COPY_COUNTS.items() if f"'{line['state']}'" in states)
