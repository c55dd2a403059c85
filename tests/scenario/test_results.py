"""What the evening asks: what the day's closes came to on each follower, by the broker's own books."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cmam.openapi._pb import OpenApiModelMessages_pb2 as model
from cmam.sandbox.books.ledger import Deal
from cmam.sandbox.trading import reports
from cmam.store.auditing.audit import Audit, Line
from cmam.store.auditing.filters import Filters
from cmam.store.auditing.totals import GROUPINGS, totals
from cmam.store.past.replay import verify
from cmam.store.projection.projector import Projector
from cmam.store.projection.views_file import open_views
from cmam.store.text import parse_time
from tests.person import LEADER, PERSON_CONNECTION
from tests.whole import NETTED, OTHER_BROKER, SAME_BROKER, YEN, Whole
from tests.worlds import in_currencies

LOT = 10_000_000
CLOSE = 2111
FIRST, SECOND = 42_000_001, 42_000_002
LEADERS = {LEADER: 1, OTHER_BROKER: 2}
"""Two leaders, and the number of EURUSD at the broker of each."""


def _closing(whole: Whole, account: int) -> list[Deal]:
    """The closing deals of an account in its broker's books, in their order."""
    return [deal for deal in whole.broker.floor.accounts[account].deals.values() if deal.is_closing]


def _net(whole: Whole, account: int) -> Decimal:
    """What they came to, in whole units of its currency."""
    books = whole.broker.floor.accounts[account]
    return Decimal(sum(deal.net for deal in _closing(whole, account))).scaleb(-books.spec.money_digits)


def _total(whole: Whole, filters: Filters, by: str = "follower") -> Line:
    (line,) = totals(Audit.of(whole.log), filters, by=[by])
    return line


def test_every_follower_has_his_result_in_his_own_currency() -> None:
    """A euro and a yen account, a part closed and then the rest: each by its books, and never one sum of both."""
    whole = Whole(seed=5)
    whole.add_accounts(OTHER_BROKER, YEN)
    whole.add_profile("second", OTHER_BROKER, (YEN,))
    whole.start_ready()
    held = {leader: whole.person.buy(LOT, account=leader, symbol=symbol) for leader, symbol in LEADERS.items()}
    for times in (1, 2):
        whole.run(3)
        for leader, position in held.items():
            whole.person.close(position, LOT // 2, account=leader)
        whole.run(3)
        for account, currency in ((SAME_BROKER, "EUR"), (YEN, "JPY")):
            deals, line = _closing(whole, account), _total(whole, Filters(account=account))
            scale = -whole.broker.floor.accounts[account].spec.money_digits
            assert (line["currency"], line["closes"]) == (currency, times)
            assert Decimal(line["net"]) == _net(whole, account) != 0
            for name, booked in (("gross", "gross"), ("swap", "swap"), ("commission", "total_commission")):
                assert Decimal(line[name]) == Decimal(sum(getattr(deal, booked) for deal in deals)).scaleb(scale)
            assert line["results"][currency]["by"] == {"request": line["net"]}
    both = _total(whole, Filters(), by="all")
    assert (both["currency"], both["net"], both["closes"]) == (None, None, 4)
    assert {currency: Decimal(one["net"]) for currency, one in both["results"].items()} == {
        "EUR": _net(whole, SAME_BROKER),
        "JPY": _net(whole, YEN),
    }


def test_who_closed_is_told_apart() -> None:
    """The leader's close, a person's of a part and a stop-out of what is left: all count, each under its own word."""
    whole = Whole(seed=5)
    whole.start_ready()
    first, _ = whole.person.buy(LOT), whole.person.buy(LOT)
    whole.run(3)
    whole.person.close(first, LOT)
    whole.run(3)
    (held,) = whole.person.holds(SAME_BROKER)
    whole.person.close(held.position, held.volume // 4, account=SAME_BROKER)
    whole.run(3)
    books = whole.broker.floor.accounts[SAME_BROKER]
    whole.broker.set_fault("withdraw", {"account": str(SAME_BROKER), "amount": f"{(books.balance - 1_000) / 100:.2f}"})
    whole.run(5)
    assert whole.person.holds(SAME_BROKER) == []
    line = _total(whole, Filters(account=SAME_BROKER))
    nets = [Decimal(deal.net).scaleb(-2) for deal in _closing(whole, SAME_BROKER)]
    by = {name: Decimal(net) for name, net in line["results"]["EUR"]["by"].items()}
    assert by == {"request": nets[0], "human": nets[1], "stop_out": sum(nets[2:])}
    assert Decimal(line["net"]) == sum(nets)
    only = _total(whole, Filters(account=SAME_BROKER, reason="closed_by_leader"))
    assert Decimal(only["net"]) == nets[0]


@pytest.mark.parametrize("part", [LOT, LOT // 2])
def test_a_close_of_a_share_whose_answer_was_lost_is_that_shares(monkeypatch: pytest.MonkeyPatch, part: int) -> None:
    """The line is cut once the broker has the request: the net tells that it was done, what it came to is asked for.
    It counted for the share that stands, which nobody had closed."""
    whole = Whole(seed=1, followers=(NETTED,), settings={"volume.amount": "0.1"})
    whole.start_ready()
    first, _ = whole.person.buy(LOT), whole.person.buy(LOT)
    whole.run(5)
    reached: list[int] = []
    receive = whole.broker.receive

    def hear(connection: int, payload_type: int, *more: Any) -> None:
        receive(connection, payload_type, *more)
        reached.extend([connection] if payload_type == CLOSE and connection < PERSON_CONNECTION else [])

    monkeypatch.setattr(whole.broker, "receive", hear)
    whole.person.close(first, part)
    whole.stepper.run_until(lambda: bool(reached), 5_000_000)
    whole.stepper.network.cut_all()
    whole.run(120)
    (deal,) = _closing(whole, NETTED)
    audit = Audit.of(whole.log)
    results = [(line["deal"], Decimal(line["net"]), line["closed_by"]) for line in audit.results()]
    assert results == [(deal.deal_id, Decimal(deal.net).scaleb(-2), "request")]
    closed, stands = audit.copies()
    assert (closed["leader_position"], closed["result"]) == (first, str(_net(whole, NETTED)))
    assert Decimal(closed["close_price"]) == Decimal(deal.price).scaleb(-8)
    assert (stands["state"], stands["close_price"], stands["result"]) == ("open", None, None)
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize("is_accepted", [True, False])
def test_a_close_of_several_shares_whose_answer_was_lost_is_all_of_theirs(
    monkeypatch: pytest.MonkeyPatch, is_accepted: bool
) -> None:
    """One request closes 20,000 and 30,000 of the 60,000 that a net has, and the line is cut before its fill is told.
    What it came to counted for the share whose request it was, or for the one that stands, too."""
    whole = Whole(seed=1, followers=(NETTED,), settings={"volume.amount": "0.1"})
    whole.start_ready()
    held = []
    for lots in (1, 2, 3, 1):
        held.append((whole.person.buy(lots * LOT), lots * LOT))
        whole.run(2)
    reached: list[int] = []
    receive = whole.broker.receive

    def hear(connection: int, payload_type: int, *more: Any) -> None:
        receive(connection, payload_type, *more)
        if payload_type == CLOSE and connection < PERSON_CONNECTION:
            reached.append(connection)
            if len(reached) == 2 and not is_accepted:
                whole.stepper.network.cut_all()

    monkeypatch.setattr(whole.broker, "receive", hear)
    for position, volume in held[:3]:
        whole.person.close(position, volume)
    whole.stepper.run_until(lambda: len(reached) == 2, 5_000_000)
    whole.stepper.network.cut_all()
    whole.run(120)
    lost = _closing(whole, NETTED)[-1]
    assert lost.volume == 5 * LOT // 10
    audit = Audit.of(whole.log)
    results = [(line["copy_id"], line["volume"], line["closed_by"]) for line in audit.results()]
    copies = list(audit.copies())
    assert [(line["state"], line["close_price"]) for line in copies] == [("closed", "1.0848")] * 3 + [("open", None)]
    volumes = ["10000.00", "20000.00", "30000.00"]
    assert sorted(results) == [
        (line["copy_id"], volume, "request") for line, volume in zip(copies, volumes, strict=False)
    ]
    assert sum(Decimal(line["result"]) for line in copies[:3]) == _net(whole, NETTED)
    assert verify(whole.log.read_all()).is_identical


@pytest.mark.parametrize(("currency", "digits"), [("BTC", 8), ("JPY", 0)])
def test_money_has_the_digits_of_its_account(monkeypatch: pytest.MonkeyPatch, currency: str, digits: int) -> None:
    """A broker need not repeat them in each deal: only its trader says them (wire.md#units). A thousandth of a bitcoin
    that was lost counted as a thousand of them."""
    told = reports.deal

    def without(*more: Any, **named: Any) -> model.ProtoOADeal:
        deal = told(*more, **named)
        deal.ClearField("moneyDigits")
        deal.closePositionDetail.ClearField("moneyDigits")
        if not deal.closePositionDetail.ListFields():
            deal.ClearField("closePositionDetail")
        return deal

    monkeypatch.setattr(reports, "deal", without)
    world = in_currencies({FIRST: ("BTC", "2"), SECOND: (currency, "15000000" if currency == "JPY" else "2")})
    whole = Whole(seed=3, leader=FIRST, followers=(SECOND,), settings={"volume.mode": "balance_ratio"}, world=world)
    whole.start_ready()
    position = whole.person.buy(LOT, account=FIRST)
    whole.run(3)
    whole.person.close(position, LOT, account=FIRST)
    whole.run(3)
    assert whole.broker.floor.accounts[SECOND].spec.money_digits == digits
    (line,) = Audit.of(whole.log).copies()
    (shown,) = Audit.of(whole.log).results()
    assert Decimal(line["result"]) == Decimal(shown["net"]) == _net(whole, SECOND) != 0
    assert Decimal(line["leader_result"]) == _net(whole, FIRST) != 0
    assert Decimal(_total(whole, Filters(account=SECOND))["net"]) == _net(whole, SECOND)


def test_a_close_counts_for_the_day_on_which_it_was_executed() -> None:
    """What was opened before the span and closed in it is in it; what was closed before it is not."""
    whole = Whole(seed=5)
    whole.start_ready()
    first, second = whole.person.buy(LOT), whole.person.buy(LOT)
    whole.run(3)
    whole.person.close(first, LOT)
    whole.run(10)
    whole.person.close(second, LOT)
    whole.run(3)
    moments = [row["at"] for row in Audit.of(whole.log).query("SELECT at FROM closes ORDER BY at")]
    earlier, later = (Decimal(deal.net).scaleb(-2) for deal in _closing(whole, SAME_BROKER))
    since = _total(whole, Filters(since_us=parse_time(moments[1])))
    assert (Decimal(since["net"]), since["closes"]) == (later, 1)
    until = _total(whole, Filters(until_us=parse_time(moments[0]) + 999))
    assert (Decimal(until["net"]), until["closes"]) == (earlier, 1)


def test_a_copy_that_is_opened_again_keeps_what_each_of_its_lives_came_to() -> None:
    """A person closes, `reopen` opens it once more, the leader closes that: each close is its own life's."""
    whole = Whole(seed=7, settings={"reopen": "on"})
    whole.start_ready()
    position = whole.person.buy(LOT)
    whole.run(2)
    (held,) = whole.person.holds(SAME_BROKER)
    whole.person.close(held.position, held.volume, account=SAME_BROKER)
    whole.run(5)
    whole.person.close(position, LOT)
    whole.run(3)
    one_by_one = Audit(whole.log, open_views(whole.log, None))
    projector = Projector(whole.log, one_by_one.views)
    while projector.project_page(projector.position + 1):
        pass
    earlier, later = (Decimal(deal.net).scaleb(-2) for deal in _closing(whole, SAME_BROKER))
    for past in (one_by_one, Audit.of(whole.log)):  # a record a page, and all in one
        found = {
            line["reason"]: next(totals(past, Filters(copy_id=line["copy_id"]), by=["all"])) for line in past.copies()
        }
        assert {reason: Decimal(line["net"]) for reason, line in found.items()} == {
            "closed_by_human": earlier,
            "closed_by_leader": later,
        }


def test_what_no_broker_told_is_said_to_be_unknown() -> None:
    """A copy that is closed, and of whose close nothing is on record: it is counted, and not passed over."""
    whole = Whole(seed=5)
    whole.start_ready()
    position = whole.person.buy(LOT)
    whole.run(3)
    whole.person.close(position, LOT)
    whole.run(3)
    audit = Audit.of(whole.log)
    (line,) = totals(audit)
    assert (line["closes"], line["closed_untold"]) == (1, 0)
    audit.views.execute("DELETE FROM closes")
    for by in GROUPINGS:
        (line,) = totals(audit, by=[by])
        assert (line["closes"], line["net"], line["results"], line["closed_untold"]) == (0, None, {}, 1)
    assert not any(line["closed_untold"] for line in totals(audit, Filters(until_us=parse_time("2019-12-31"))))


def test_what_somebody_takes_off_a_net_is_divided_among_its_shares() -> None:
    """Two profiles in one net: what a person closes of it counts for both, as their volumes do, to the last cent."""
    whole = Whole(seed=5, followers=(NETTED,), settings={"volume.amount": "0.1"})
    whole.add_profile("second", LEADER, (NETTED,), {"volume.amount": "0.3"})
    whole.start_ready()
    whole.person.buy(LOT)
    whole.run(5)
    (held,) = whole.person.holds(NETTED)
    for volume in (held.volume // 2, held.volume - held.volume // 2):
        whole.person.close(held.position, volume, account=NETTED)
        whole.run(5)
    deals, audit = _closing(whole, NETTED), Audit.of(whole.log)
    found = {line["profile"]: line for line in totals(audit, by=["profile"])}
    for line in found.values():
        (result,) = line["results"].values()
        assert (line["closes"], set(result["by"])) == (2, {"human"})
    nets = {name: Decimal(line["net"]) for name, line in found.items()}
    assert sum(nets.values()) == _net(whole, NETTED)
    assert abs(nets["second"] - 3 * nets["whole"]) <= Decimal("0.04") * len(deals)
    assert _total(whole, Filters(account=NETTED), by="all")["closes"] == 2
    assert {line["profile"]: Decimal(line["result"]) for line in audit.copies()} == nets


def test_a_copy_says_what_it_came_to_and_what_its_leader_made() -> None:
    """Nothing before anything is closed; then each in his own currency, by the books of each; and so does its list."""
    whole = Whole(seed=5, followers=(YEN,), leader=OTHER_BROKER)
    whole.start_ready()
    position = whole.person.buy(LOT, account=OTHER_BROKER, symbol=2)
    whole.run(3)
    (line,) = Audit.of(whole.log).copies()
    assert (line["result"], line["leader_result"]) == (None, None)
    assert (line["currency"], line["leader_currency"]) == ("JPY", "EUR")
    for _ in range(2):
        whole.person.close(position, LOT // 2, account=OTHER_BROKER)
        whole.run(3)
        (line,) = Audit.of(whole.log).copies()
        assert (Decimal(line["result"]), Decimal(line["leader_result"])) == (
            _net(whole, YEN),
            _net(whole, OTHER_BROKER),
        )
    closes = list(Audit.of(whole.log).results())
    assert [(close["deal"], Decimal(close["net"])) for close in closes] == [
        (deal.deal_id, Decimal(deal.net)) for deal in _closing(whole, YEN)
    ]
    assert {(close["side"], close["volume"], close["entry_price"]) for close in closes} == {
        ("buy", "50000.00", line["open_price"])
    }
    months = list(totals(Audit.of(whole.log), by=["follower", "month"]))
    assert [(one["follower"], one["month"], one["net"]) for one in months] == [(YEN, "2020-01", line["result"])]
