"""The market and its hours: repeatable walks, recorded ticks in their order, sessions in their zones."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cmam.sandbox.markets import hours
from cmam.sandbox.markets.market import Market
from cmam.sandbox.markets.recorded import RecordedTick, TickFileError, read_ticks
from cmam.sandbox.serving.options import SandboxOptions, SetUpFault
from cmam.sandbox.serving.setup import read_all_ticks
from cmam.sandbox.serving.world_file import default_world
from cmam.sandbox.world import Symbol
from tests.unit.sandbox.bench import LEADER, START_US, Bench

SECOND = 1_000_000
TICKS = """time,symbol,bid,ask
2020-01-01T22:00:00.000Z,EURUSD,1.12120,1.12172
2020-01-01T22:00:10.000Z,EURUSD,1.12130,1.12192
2020-01-01T22:00:05.000Z,EURUSD,1.12117,1.12161
2020-01-01T22:00:20.500+00:00,EURUSD,1.12140,1.12161
"""


def play(market: Market, count: int) -> list[tuple[int, str, int, int]]:
    """Play some ticks."""
    played = []
    for _ in range(count):
        moment, (first, *_) = market.pop()
        played.append((moment, first.feed.name, first.bid, first.ask))
    return played


def test_a_seed_repeats_to_the_tick() -> None:
    """The same seed gives the same ticks at the same moments; another seed gives others."""
    feeds = default_world().feeds
    runs = [play(Market(feeds, seed=seed, start_us=START_US), 500) for seed in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]
    assert [moment for moment, *_ in runs[0]] == sorted(moment for moment, *_ in runs[0])
    assert all(0 < bid < ask for _, _, bid, ask in runs[0])


def test_a_walk_stays_near_its_start_for_days() -> None:
    """A hundred thousand ticks move EURUSD by less than five percent, and it does move."""
    feeds = tuple(feed for feed in default_world().feeds if feed.name == "EURUSD")
    bids = [bid for _, _, bid, _ in play(Market(feeds, seed=5, start_us=0), 100_000)]
    assert max(abs(bid / feeds[0].price - 1) for bid in bids) < 0.05
    assert len(set(bids)) > 1000


def test_crosses_follow_their_parts() -> None:
    """EURJPY is EURUSD times USDJPY, side by side, after every tick."""
    market = Market(default_world().feeds, seed=1, start_us=0)
    play(market, 200)
    euro, yen, cross = (market.streams[name] for name in ("EURUSD", "USDJPY", "EURJPY"))
    assert cross.bid == euro.bid * yen.bid // 10**8
    assert cross.ask == -(-euro.ask * yen.ask // 10**8)


def test_recorded_ticks_play_at_their_distances_in_the_order_of_the_file() -> None:
    """The late tick keeps its place and does not turn time back; twice the speed halves it; then it walks on."""
    feeds = tuple(feed for feed in default_world().feeds if feed.name == "EURUSD")
    ticks = read_ticks(TICKS.splitlines())
    for speed in (1, 2):
        market = Market(feeds, seed=1, start_us=START_US, ticks=ticks, speed=speed)
        assert market.streams["EURUSD"].bid == 112_120_000
        played = play(market, 4)
        offsets = [(moment - START_US) * speed / SECOND for moment, *_ in played]
        assert offsets[:3] == [10, 10, 20.5]
        assert [bid for _, _, bid, _ in played[:3]] == [112_130_000, 112_117_000, 112_140_000]
        assert played[3][0] > played[2][0]
        assert abs(played[3][2] - 112_140_000) < 50_000


def test_recorded_feeds_keep_the_distances_between_them() -> None:
    """What began to move ten seconds later in the file does so here; until then it stands at its first quote."""
    feeds = tuple(feed for feed in default_world().feeds if feed.name in ("EURUSD", "USDJPY"))
    rows = ((10, "USDJPY", 150), (0, "EURUSD", 1), (15, "USDJPY", 151), (12, "EURUSD", 2))
    lines = (f"{1_577_836_800_000 + at * 1000},{feed},{price},{price}" for at, feed, price in rows)
    ticks = read_ticks(["time,symbol,bid,ask", *lines])
    market = Market(feeds, seed=1, start_us=START_US, ticks=ticks, interval_ms=10**9)
    assert market.streams["USDJPY"].bid == 150 * 10**8
    played = [((moment - START_US) / SECOND, feed) for moment, feed, *_ in play(market, 2)]
    assert played == [(12, "EURUSD"), (15, "USDJPY")]


def test_recordings_of_different_days_begin_together() -> None:
    """Somebody who has the euro of one year and the yen of another sees both move at once."""
    feeds = tuple(feed for feed in default_world().feeds if feed.name in ("EURUSD", "USDJPY"))
    days = ((2020, "EURUSD", 4), (2013, "USDJPY", 5))
    rows = (
        f"{year}-01-01T0{hour}:00:0{at}Z,{feed},1,1" for year, feed, at in days for hour in (0, 1) for at in (0, at)
    )
    market = Market(
        feeds, seed=1, start_us=START_US, ticks=read_ticks(["time,symbol,bid,ask", *rows]), interval_ms=10**9
    )
    played = [((moment - START_US) / SECOND, feed) for moment, feed, *_ in play(market, 2)]
    assert played == [(4, "EURUSD"), (5, "USDJPY")]


def test_a_quote_that_crosses_in_the_middle_has_no_spread() -> None:
    """Feeds of several banks have some; a file that begins with one has its columns exchanged."""
    ticks = read_ticks(["time,symbol,bid,ask", "1577836800000,EURUSD,1,2", "1577836801000,EURUSD,3,2"])
    assert [(tick.bid, tick.ask) for tick in ticks["EURUSD"]] == [(10**8, 2 * 10**8), (3 * 10**8, 3 * 10**8)]


def test_recorded_ticks_reach_every_broker_under_its_own_name() -> None:
    """Alpha's EURUSD and Beta's EURUSD.b show the first recorded tick at once."""
    bench = Bench(ticks=read_ticks(TICKS.splitlines()))
    assert bench.quote(LEADER, 1) == (112_120_000, 112_172_000)
    assert bench.quote(41_000_003, 2) == (112_120_000, 112_175_000)


def test_times_may_be_milliseconds() -> None:
    """As terminals export them; the same moment in ISO 8601 is the same tick."""
    head = "time,symbol,bid,ask\n"
    counted = read_ticks([head, "1577836800250,EURUSD,1,2\n"])
    assert list(counted["EURUSD"]) == [RecordedTick(1_577_836_800_250_000, 100_000_000, 200_000_000)]
    assert counted == read_ticks([head, "2020-01-01T00:00:00.250Z,EURUSD,1,2\n"])
    assert counted == read_ticks([head.replace(",", ";"), "2020-01-01T00:00:00,250Z;EURUSD;1,00;2,00\n"])


def test_a_space_behind_a_comma_is_no_part_of_a_name() -> None:
    """Tables written by hand, and files of trades, have them too."""
    assert read_ticks(TICKS.replace(",", ", ").splitlines()) == read_ticks(TICKS.splitlines())


def test_columns_may_be_written_large() -> None:
    """As exports and spreadsheets have them, and as files of trades may; a comma or not."""
    small, *rows = TICKS.splitlines()
    for head in (small.upper(), small.title().replace(",", " , ")):
        assert read_ticks([head, *rows]) == read_ticks([small, *rows])
    assert read_ticks([line.replace(",", ";") for line in (small.title(), *rows)]) == read_ticks([small, *rows])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("time,symbol,bid\n", "ask"),
        ("time,symbol,bid,ask\nnever,EURUSD,1,2\n", "line 2"),
        ("time,symbol,bid,ask\n12,EURUSD,1,2\n", "expected a time such as"),
        ("time,symbol,bid,ask\n2020-01-01T00:00:00Z,EURUSD,x,2\n", "line 2"),
        ("time,symbol,bid,ask\n2020-01-01T00:00:00Z,EURUSD,2,1\n", "0 < bid <= ask"),
        ("time,symbol,bid,ask\n2020-01-01T00:00:00Z,EURUSD\n", "line 2: .*as many fields as columns, found fewer"),
        ("time,symbol,bid,ask\n2020-01-01T00:00:00Z,EURUSD,nan,1\n", "line 2"),
        ("time,symbol,bid,ask\n2020-01-01T00:00:00Z,EURUSD,1e-12,1\n", "0 < bid <= ask"),
        ("time,symbol,bid,ask\n", "at least one tick"),
        ("", "time, symbol, bid, ask"),
        (f"time,symbol,bid,ask\n{'9' * 400},EURUSD,1,2\n", "line 2: .*not of the years 1980 to 2286"),
        ("time,symbol,bid,ask\n202001011700,EURUSD,1,2\n", "line 2: .*202001011700 is a .* needs its hyphens"),
        ("time,symbol,bid,ask\n20200101170000,EURUSD,1,2\n", "line 2: .*needs its hyphens"),
        (f"time,symbol,bid,ask\n2020-01-01T00:00:00Z,EURUSD,{'1' * 200_000},2\n", "line 2: .*field larger"),
        ("time,symbol,bid,ask\n2020-01-01T00:00:00Z,EURUSD,1,1000,1,1002\n", "line 2: .*as many fields as columns"),
        (
            "time,symbol,bid,ask\n2020-01-01T00:02:00Z,EURUSD,1,2\n2020-01-01T00:00:00Z,USDJPY,1,2\n1577836859000,EURUSD,1,2\n",
            "line 4: .*a minute late at most",
        ),
    ],
)
def test_a_tick_file_that_cannot_be_played(text: str, words: str) -> None:
    """TickFileError names the line or the column."""
    with pytest.raises(TickFileError, match=words):
        read_ticks(text.splitlines(keepends=True))


def test_a_mark_at_the_beginning_of_the_file_is_no_part_of_it(tmp_path: Path) -> None:
    """Programs of some systems write one before UTF-8; lines may end as they end there, too."""
    file = tmp_path / "ticks.csv"
    file.write_bytes(("\ufeff" + TICKS.replace("\n", "\r\n")).encode())
    assert read_all_ticks(SandboxOptions(home=tmp_path, ticks=(file,))) == read_ticks(TICKS.splitlines())


def test_files_of_one_symbol_are_played_one_behind_the_other(tmp_path: Path) -> None:
    """Another symbol has its own place. The wrong way round the second one would be over in an instant: refused."""
    files = []
    for name, rows in (("a", "1000,EURUSD,1,2"), ("b", "2000,EURUSD,2,3\n1500,USDJPY,5,6")):
        files.append(tmp_path / name)
        files[-1].write_text("time,symbol,bid,ask\n" + rows.replace("00,", "00000000000,"))
    both = read_all_ticks(SandboxOptions(home=tmp_path, ticks=tuple(files)))
    assert {symbol: [tick.bid // 10**8 for tick in ticks] for symbol, ticks in both.items()} == {
        "EURUSD": [1, 2],
        "USDJPY": [5],
    }
    with pytest.raises(SetUpFault, match=r"^a, line 2: expected times that go on"):
        read_all_ticks(SandboxOptions(home=tmp_path, ticks=tuple(reversed(files))))


def test_a_row_takes_no_more_memory_than_its_numbers() -> None:
    """Files have millions of rows: three numbers of eight bytes for each, and a quarter for growth."""
    rows = 20_000
    lines = ("time,symbol,bid,ask", *(f"{1_577_836_800_000 + row},EURUSD,1.1,1.2" for row in range(rows)))
    tracemalloc.start()
    try:
        ticks = read_ticks(iter(lines))
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(ticks["EURUSD"].bid) == rows
    assert kept < rows * 24 * 5 // 4 + 20_000


def test_ticks_of_an_unknown_symbol_are_refused() -> None:
    """The sentence lists the feeds that there are."""
    with pytest.raises(TickFileError, match="EURUSD"):
        Bench(ticks=read_ticks(TICKS.replace("EURUSD", "EURXXX").splitlines()))


def apple() -> Symbol:
    """Give the symbol that trades in New York only."""
    return next(symbol for symbol in default_world().brokers[0].symbols if symbol.feed == "AAPL")


def at(text: str) -> int:
    """Read a moment in UTC."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


@pytest.mark.parametrize(
    ("moment", "is_open"),
    [
        ("2026-01-05T14:29:59", False),
        ("2026-01-05T14:30:00", True),
        ("2026-01-05T20:59:59", True),
        ("2026-01-05T21:00:00", False),
        ("2026-07-06T13:30:00", True),  # summer time
        ("2026-01-04T15:00:00", False),  # Sunday
        ("2026-12-25T15:00:00", False),  # Christmas Day, every year
        ("2029-12-25T15:00:00", False),
        ("2026-11-27T17:59:00", True),  # the day after Thanksgiving closes at 13:00
        ("2026-11-27T18:00:00", False),
    ],
)
def test_sessions_and_holidays_in_new_york(moment: str, is_open: bool) -> None:
    """Weekly hours in the symbol's own zone, whole and partial holidays, recurring and not."""
    assert hours.is_open(apple(), at(moment)) == is_open


def test_the_next_opening() -> None:
    """Friday evening to Monday morning, over Christmas to the next day; now if it is open; never without a session."""
    assert hours.next_open(apple(), at("2026-01-09T22:00:00")) == at("2026-01-12T14:30:00")
    assert hours.next_open(apple(), at("2025-12-24T22:00:00")) == at("2025-12-26T14:30:00")
    assert hours.next_open(apple(), at("2026-01-05T15:00:00")) == at("2026-01-05T15:00:00")
    assert hours.next_open(replace(apple(), schedule=()), at("2026-01-05T15:00:00")) is None
