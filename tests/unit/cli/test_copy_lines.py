"""What becomes of copies as lines: each with who, what, how much and why, and many alike as one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cmam.cli.showing.copy_lines import LINES_MAX, document, lines, on_screen
from cmam.domain.values.ids import AccountId, LinkId, ProfileId, SourceKey
from cmam.domain.values.quantities import Price, Side, Volume
from cmam.store.auditing.news import News, What

NAMES = {1: "lead", **{number: f"fol-{number}" for number in range(2, 60)}}
COPIED = News(
    at_us=1_577_836_800_123_000,
    what=What.COPIED,
    profile=ProfileId("prof01"),
    link=LinkId("link01"),
    source=SourceKey("papsx"),
    leader=AccountId(1),
    follower=AccountId(2),
    symbol="EURUSD",
    side=Side.BUY,
    volume=Volume(5_000_000),
    digits=5,
    price=Price(108_503_000),
    leader_position=500001,
    position=500002,
    record="2.13",
)
SKIPPED = replace(
    COPIED, what=What.SKIPPED, reason="below_minimum", request="opened", price=None, position=None, volume=Volume(100)
)


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (COPIED, "copied    fol-2 from lead: buy 50000 EURUSD at 1.08503, position 500002"),
        (SKIPPED, "skipped   fol-2 from lead: opened buy 1 EURUSD, below_minimum; cmam audit explain 2.13"),
        (
            replace(COPIED, what=What.CLOSED, reason="closed_by_leader"),
            "closed    fol-2 from lead: buy 50000 EURUSD at 1.08503, position 500002, closed_by_leader",
        ),
        (
            replace(COPIED, what=What.MOVED, price=None, stop=Price(105_000_000)),
            "moved     fol-2 from lead: buy 50000 EURUSD, stop 1.05000, no target, position 500002",
        ),
        (
            replace(COPIED, what=What.PLACED, position=None, order=7),
            "placed    fol-2 from lead: buy 50000 EURUSD at 1.08503, order 7",
        ),
        (
            replace(COPIED, what=What.REFUSED, price=None, position=None, request="open", reason="NOT_ENOUGH_MONEY"),
            "refused   fol-2 from lead: open buy 50000 EURUSD, NOT_ENOUGH_MONEY",
        ),
        (
            replace(COPIED, what=What.UNKNOWN, price=None, request="close", reason="no answer"),
            "unknown   fol-2 from lead: close buy 50000 EURUSD, position 500002, no answer: the broker is asked",
        ),
    ],
    ids=lambda found: found.what.value if isinstance(found, News) else "",
)
def test_a_line_says_who_what_how_much_and_why(one: News, text: str) -> None:
    """All that a person asks of one decision, in one line of a log."""
    (line,) = lines([one], NAMES)
    clock, _, rest = line.partition(" ")
    assert clock == "00:00:00.123Z"
    assert rest == text
    assert line.isascii()


def test_a_burst_of_followers_is_one_line_that_sums() -> None:
    """Forty-five followers that did the same fill no screen; what differs among them is a span, and --json has each."""
    news = [
        replace(COPIED, follower=AccountId(number), price=Price(108_500_000 + number * 1_000))
        for number in range(2, 47)
    ]
    (line,) = lines(news, NAMES)
    who = "45 followers of lead: buy 2250000 EURUSD in all at 1.08502 to 1.08546"
    assert line.endswith(f"copied    {who} (fol-2, fol-3, fol-4 and 42 more)")
    skips = [replace(SKIPPED, follower=AccountId(number)) for number in range(2, 47)]
    assert [text.split(" ", 1)[1] for text in lines([*news[:3], *skips], NAMES)][3:] == [
        "skipped   45 followers of lead: opened buy 1 EURUSD, below_minimum (fol-2, fol-3, fol-4 and 42 more)"
    ]
    found = document(news[1], NAMES, {"prof01": "main"})
    assert (found["profile"], found["volume"], found["price"]) == ("main", "50000.00", "1.08503")


def test_no_moment_makes_more_lines_than_a_screen_has() -> None:
    """However many different things happen at once, what is not shown is counted."""
    news = [replace(COPIED, source=SourceKey(f"p{number}")) for number in range(100)]
    found = lines([*news, SKIPPED], NAMES)
    assert len(found) == LINES_MAX + 1
    both = "`cmam audit copies` and `cmam audit decisions` have them all"
    assert found[-1].endswith(f"... and 81 more: 80 copied, 1 skipped; {both}")
    skips = [replace(SKIPPED, source=SourceKey(f"p{number}")) for number in range(100)]
    assert lines(news, NAMES)[-1].endswith("80 copied; `cmam audit copies` has them all")
    assert lines(skips, NAMES)[-1].endswith("80 skipped; `cmam audit decisions` has them all")


def test_a_name_of_a_broker_does_nothing_to_a_terminal() -> None:
    """A symbol is called as its broker likes: no colour, no title of a window, no line of its own comes of it."""
    (line,) = lines([replace(COPIED, symbol="EUR\x1b]0;x\x07\nUSD\u202e")], NAMES)
    assert "buy 50000 EUR\ufffd]0;x\ufffd\ufffdUSD\ufffd at" in line


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (120, ["{} skipped   fol-2 from lead: opened buy 1000 EURUSD, below_minimum; cmam audit explain 2.13"]),
        (
            80,
            [
                "{} skipped   fol-2 from lead: opened buy 1000 EURUSD, below_minimum;",
                "                        cmam audit explain 2.13",
            ],
        ),
        (
            50,
            [
                "{} skipped   fol-2 from lead: opened",
                "  buy 1000 EURUSD, below_minimum;",
                "  cmam audit explain 2.13",
            ],
        ),
    ],
)
def test_a_terminal_breaks_no_word_and_no_command(width: int, shown: list[str]) -> None:
    """The terminal broke lines wherever they came to its edge: `unma` stood on one, `pped_symbol` on the next."""
    (line,) = lines([replace(SKIPPED, volume=Volume(100_000))], NAMES)
    assert on_screen(line, width).splitlines() == [one.format(line[:13]) for one in shown]
