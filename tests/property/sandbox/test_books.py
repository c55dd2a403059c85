"""Laws of the sandbox's books over random trading: money is exact at every moment, and a restart changes nothing."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox import units
from cmam.sandbox.books import money
from tests.property.sandbox.fuzzing import book_problems
from tests.unit.sandbox.bench import BETA_YEN, EURO, LEADER, LIVE, NETTED, Bench, Line

ACCOUNTS = (LEADER, EURO, BETA_YEN, NETTED, LIVE)
STEP = st.tuples(
    st.sampled_from(("market", "market", "limit", "stop", "close", "part", "levels", "cancel", "wait", "jump", "cash")),
    st.sampled_from(ACCOUNTS),
    st.integers(0, 2**20),
)
EXECUTION = 2126


def a_bench(seed: int) -> Bench:
    """Make a bench whose lines stay open however long nobody speaks, and whose market can be left alone for a day."""
    return Bench(
        seed=seed,
        requests_per_second=10**6,
        trading_limits=False,
        tick_interval_ms=60_000,
        stop_out_interval_ms=10_000,
        idle_timeout_ms=10**12,
    )


def order(bench: Bench, ctid: int, kind: str, draw: int) -> Any:
    """Write an order of the given kind, drawn from a number."""
    venue = bench.broker.floor.venue_of(bench.broker.floor.accounts[ctid])
    quotes = [quote for quote in venue.quotes.values() if quote.symbol.enabled and not quote.symbol.archived]
    quote = quotes[draw % len(quotes)]
    symbol = quote.symbol
    side = 1 + draw // 16 % 2
    request = messages.ProtoOANewOrderReq(
        ctidTraderAccountId=ctid,
        symbolId=symbol.id,
        orderType={"market": 1, "limit": 2, "stop": 3}[kind],
        tradeSide=side,
        volume=symbol.min_volume + symbol.step_volume * (draw // 32 % 7),
    )
    away = (1 + draw // 256 % 40) * quote.tick
    if kind == "limit":
        request.limitPrice = (quote.bid - away if side == 1 else quote.ask + away) / 10**8
    if kind == "stop":
        request.stopPrice = (quote.ask + away if side == 1 else quote.bid - away) / 10**8
    if draw // 64 % 2:
        request.relativeStopLoss = 30 * quote.tick // 1000
        request.trailingStopLoss = draw // 128 % 2 == 1
    return request


def act(bench: Bench, line: Line, what: str, ctid: int, draw: int) -> None:
    """Do one step."""
    account = bench.broker.floor.accounts[ctid]
    positions = list(account.open_positions())
    pendings = [o for o in account.orders.values() if o.kind in (2, 3)]
    if what in ("market", "limit", "stop"):
        line.send(order(bench, ctid, what, draw))
    elif what in ("close", "part") and positions:
        position = positions[draw % len(positions)]
        step = bench.broker.floor.symbol(account, position.symbol_id).step_volume
        volume = position.volume if what == "close" else max(position.volume // 3 // step * step, step)
        line.send(
            messages.ProtoOAClosePositionReq(ctidTraderAccountId=ctid, positionId=position.position_id, volume=volume)
        )
    elif what == "levels" and positions:
        position = positions[draw % len(positions)]
        quote = bench.broker.floor.quote(account, position.symbol_id)
        level = quote.bid - 20 * quote.tick if position.side == 1 else quote.ask + 20 * quote.tick
        line.send(
            messages.ProtoOAAmendPositionSLTPReq(
                ctidTraderAccountId=ctid, positionId=position.position_id, stopLoss=level / 10**8
            )
        )
    elif what == "cancel" and pendings:
        line.send(messages.ProtoOACancelOrderReq(ctidTraderAccountId=ctid, orderId=pendings[-1].order_id))
    elif what == "wait":
        bench.pass_time((1, 0.05, 30, 40_000)[draw % 4])
    elif what == "jump":
        stream = bench.broker.floor.market.streams[("EURUSD", "USDJPY", "GER40", "XAUUSD")[draw % 4]]
        bid = stream.bid * (950 + draw % 101) // 1000
        bench.broker.move_price(stream.feed.name, bid, bid + stream.feed.spread)
        bench.collect()
    elif what == "cash":
        bench.broker.set_fault(
            "deposit" if draw % 2 else "withdraw", {"account": str(ctid), "amount": str(1 + draw % 9)}
        )
        bench.collect()


def check(bench: Bench) -> None:
    """Hold the books of every account."""
    for ctid in ACCOUNTS:
        account = bench.broker.floor.accounts[ctid]
        assert account.balance == account.deposits + sum(deal.net for deal in account.deals.values())
        assert list(book_problems(account)) == []
        net = sum(bench.broker.floor.unrealised(account, position)[1] for position in account.open_positions())
        assert bench.broker.floor.equity(account) == account.balance + account.bonus + net


def check_wire(line: Line, balances: dict[int, tuple[int, int]]) -> None:
    """Hold what a client can compute from the events alone: each closing deal explains the step of the balance."""
    for kind, body, _ in line.inbox:
        if kind != EXECUTION:
            continue
        balance, version = balances[body.ctidTraderAccountId]
        if body.HasField("depositWithdraw"):
            flow = body.depositWithdraw
            assert (flow.balance, flow.balanceVersion) == (balance + flow.delta, version + 1)
            balances[body.ctidTraderAccountId] = flow.balance, flow.balanceVersion
        if body.deal.HasField("closePositionDetail"):
            detail = body.deal.closePositionDetail
            change = detail.grossProfit + detail.swap + detail.commission + detail.pnlConversionFee
            assert (detail.balance, detail.balanceVersion) == (balance + change, version + 1)
            balances[body.ctidTraderAccountId] = detail.balance, detail.balanceVersion
    line.inbox.clear()


@settings(max_examples=20, deadline=None)
@given(st.lists(STEP, min_size=30, max_size=60), st.integers(0, 1000))
def test_balance_is_deposits_plus_deals_at_every_moment(steps: list[tuple[str, int, int]], seed: int) -> None:
    """After every step of random trading the balance is what was paid in plus the sum of the deals, on both sides."""
    bench = a_bench(seed)
    line = bench.login(*ACCOUNTS)
    balances = {ctid: (bench.broker.floor.accounts[ctid].balance, 1) for ctid in ACCOUNTS}
    for what, ctid, draw in steps:
        act(bench, line, what, ctid, draw)
        check(bench)
        check_wire(line, balances)
    bench.pass_time(1)
    check(bench)
    check_wire(line, balances)
    for ctid, (balance, version) in balances.items():
        account = bench.broker.floor.accounts[ctid]
        assert (account.balance, account.balance_version) == (balance, version)
    assert bench.broker.stats()["internal_errors"] == 0


@settings(max_examples=25, deadline=None)
@given(st.lists(STEP, min_size=20, max_size=40))
def test_a_restart_keeps_the_books(steps: list[tuple[str, int, int]]) -> None:
    """What is written down and read back by another broker is the same, and what was under way is carried out there."""
    bench = a_bench(1)
    line = bench.login(*ACCOUNTS)
    for what, ctid, draw in steps:
        act(bench, line, what, ctid, draw)
    state = json.loads(json.dumps(bench.broker.state()))
    other = Bench(start_us=bench.now_us, tick_interval_ms=60_000)
    other.broker.load_state(state, bench.now_us)
    again = json.loads(json.dumps(other.broker.state()))
    for ctid, written in state["accounts"].items():
        for row in written["orders"]:
            row["msg_id"] = None
        assert again["accounts"][ctid] == written
    assert (again["tokens"], again["ids"]) == (state["tokens"], state["ids"])
    other.pass_time(1)
    check(other)
    for account in other.broker.floor.accounts.values():
        assert not any(o.is_under_way for o in account.orders.values())


@settings(max_examples=20, deadline=None)
@given(st.lists(STEP, min_size=5, max_size=25), st.integers(0, 1000))
def test_the_same_seed_gives_the_same_bytes(steps: list[tuple[str, int, int]], seed: int) -> None:
    """Two brokers with one seed that are asked the same say the same, byte for byte."""

    def play() -> list[Any]:
        bench = a_bench(seed)
        line = bench.login(*ACCOUNTS)
        line.send(messages.ProtoOASubscribeSpotsReq(ctidTraderAccountId=LEADER, symbolId=[1, 4, 3]))
        for what, ctid, draw in steps:
            act(bench, line, what, ctid, draw)
        return [(kind, body.SerializeToString(), msg_id) for kind, body, msg_id in line.inbox]

    assert play() == play()


AMOUNT = st.integers(-(10**15), 10**15)


@given(AMOUNT, st.integers(1, 10**12))
def test_rounding_is_what_it_says(numerator: int, denominator: int) -> None:
    """`nearest` is at most half away and takes halves away from zero; `away_from_zero` never rounds a cost down."""
    exact = Fraction(numerator, denominator)
    near, away = units.nearest(numerator, denominator), units.away_from_zero(numerator, denominator)
    assert abs(near - exact) <= Fraction(1, 2)
    if abs(near - exact) == Fraction(1, 2):
        assert abs(near) > abs(exact)
    assert 0 <= abs(away) - abs(exact) < 1
    assert near == -units.nearest(-numerator, denominator)


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(1, 10**9), min_size=1, max_size=20))
def test_shares_of_a_whole_add_up(whole: int, parts: list[int]) -> None:
    """However a position is closed in parts, the shares of its commission and swap sum to what there was."""
    left, rest, total = sum(parts), whole, 0
    for part in parts:
        share = money.share(rest, part, left)
        total, rest, left = total + share, rest - share, left - part
    assert (total, rest) == (whole, 0)
