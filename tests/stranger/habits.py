"""What the facts of the wire leave open, each as a habit that a broker may have.

The first value of each is what was seen on the wire, or the plainer one where nobody has published a recording. Every
other one is allowed by the schema, by what is known of it (`docs/wire.md`) or by clients seen running: a copier must
not care.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Habits:
    """One broker's ways."""

    accepted: str = "before"
    """When ORDER_ACCEPTED of a market order is told: before its fill, after it, or never."""
    accepted_shows_position: bool = True
    fill_us: int = 130_000
    parts: int = 1
    """In how many deals a market order fills."""
    part_us: int = 0
    part_word: str = "partial"
    """A part is told as ORDER_PARTIAL_FILL, or as ORDER_FILLED with a smaller executed volume."""
    protective: str = "after"
    """The levels of an order stand in an event after the fill, late, or in the fill itself already."""
    cancel_is_told: bool = True
    """Whether the end of a protective order is told when its position closes."""
    replace_is_told: bool = True
    """Whether its new volume is told when its position shrinks."""
    closed_shows: str = "created"
    """The status of a protected position that a request closed."""
    amends: str = "whole"
    """Two levels amended at once are told in one event, or one by one."""
    turns: str = "new"
    """A net that turns has a new id, or keeps its own, in two deals or in one."""
    counts: str = "along"
    """Where one execution makes two deals, the order's executed volume is told along with them, or ahead of both."""
    locks: bool = False
    """A second order of a position is refused while one executes."""
    shares_numbers: bool = False
    """A position has the number of the order that opened it."""
    spots: str = "both"
    spot_times: bool = True
    first_spot_us: int = 0
    money_is_told: str = "after"
    """When a TraderUpdatedEvent follows a change of the balance: at once, late, never."""
    lists_protective: bool = False
    """Whether a reconcile shows protective orders that nobody asked for."""
    leaves_out: bool = False
    """Whether optional fields stay away where they say nothing new."""
    stamps: bool = True
    """Whether positions and orders carry the time of their last update."""
    adds_unknown: bool = False
    """Fields and messages that no published schema has."""
    refuses_in: str = "order"
    """A refusal comes as OrderErrorEvent or as ErrorRes."""
    echoes: str = "all"
    """Who hears a request's id on its events: every connection of the account, or its own."""
    page: int = 1_000
    repeats: bool = False
    """Every execution event is told twice."""
    cuts: str = "frames"
    """How bytes arrive: frame by frame, byte by byte, or all at once that has come."""
    skew_ms: int = 0
    answer_us: int = 0
    position_label: str = "kept"
    """The label of a position: always there, or not before it is open."""
    deal_precedes: bool = False
    """Whether the balance's new version is told before the deal that made it."""
    beats_us: int = 25_000_000
    coarse_ms: int = 1
    """How finely the server's clock counts."""
    spot_delay_us: int = 0
    trail_told: str = "at once"
    """When a stop that trails is told as moved: at once, late, or never."""
    trail_ticks: int = 1
    """By how much the market must have gone on before a stop follows it."""
    stop_out_told: str = "market"
    """A stop-out is an order that is accepted and filled, or one of which the fill alone is told."""
    stop_outs: str = "whole"
    """A stop-out takes positions whole, or a part of each."""
    short_of_money: str = "refused"
    """What cannot be afforded is refused, or accepted and then rejected."""
    margin_is_told: bool = False
    """Whether the margin of a position is told apart as it changes, and that money runs short."""
    values: str = "known"
    """Whether enums have values, and executions kinds, that no published schema has."""
    again_us: int = 0
    """So much later every execution event is told once more."""
    cancel_precedes: bool = False
    """Whether the end of a protective order is told before the fill that closed its position; on hedged accounts."""
    cancel_precedes_nets: bool = False
    """Whether it is on netted accounts, where no deal may have been told yet of what has taken the net away."""
    fill_shows_position: bool = True
    """Whether a fill tells the position besides its deal; where a net turns nothing else says what stands."""
    net_orders: str = "net"
    """An order told with the number of the net, with one of its own until it fills, or with its own to the end."""
    opening_times: bool = True
    """Whether positions and orders tell when they were opened."""
    numbers: str = "next"
    """Numbers of orders, positions and deals follow each other, or lie far apart and beyond 32 bits."""
    closes_tell: str = "all"
    """What a closing deal tells of what it closed: all of it, or no more than the schema asks for."""
    rests_told_us: int = 0
    """So much later than its order rests, ORDER_ACCEPTED is told of it, whatever has become of it by then."""
    shut_says: str = "MARKET_CLOSED"
    """What everything is refused with that is asked for in a symbol while its market is shut."""
    closes_detail: bool = True
    """Whether a closing deal tells what it closed; without it, it differs from an opening one by its side alone."""
    deal_volumes: str = "filled"
    """A deal of a part tells that part alone, or what was sent for execution and how much of it was filled."""
    misses: bool = False
    """Whether histories list, ahead of each execution, a deal of which nothing was filled."""
    remainders: str = "none"
    """Half of a thin account's market order finds nobody, and its end is told after the fill, with it, or alone."""
    common_errors: bool = False
    """Whether trades are refused in the error of the common layer, which names no account."""
    past: str = "all"
    """What becomes of questions about the past: all are answered, or some are put off, refused or never answered."""
    cannot_tell: str = ""
    """A question that is refused each time, since this server does not know it."""
    names: str = "both"
    """What an event says of who asked: the request's id and the order's name, or only one of them."""
    level_grid: int = 1
    """Levels of positions are put on a multiple of so many ticks, whatever was asked for."""
    lists: str = "newest first"
    """How a page of a history is sorted; it is the page of the newest all the same."""
    symbols_change_us: int = 0
    """So often all symbols are told to have changed."""
    states_behind_us: int = 0
    """A reconcile shows what stood so long ago."""
    lists_empty: bool = False
    """Whether a reconcile lists positions of volume 0: of what rests, and of what has been closed."""
    lists_twice: bool = False
    """Whether a reconcile lists everything twice."""
    fills_show: str = "after"
    """A fill shows its position as it is after its deal, or as it was before; what follows shows it as it is."""
    ends_say: str = "cancelled"
    """The rest of a market order that finds nobody is told as cancelled, or as expired."""
    stamps_move: bool = True
    """Whether the time of the last update moves, or stays that of the opening."""
    order_names: str = "whole"
    """A clientOrderId comes back whole, cut to 16 characters, in capitals, or not at all."""
    labels: str = "whole"
    """And a label: whole, in capitals, cut to 20 characters, or not at all."""
    errors_name: str = "own"
    """A refused trade names its request, none at all, or that of another connection."""
    tells_strangers: bool = False
    """Whether a line hears of accounts that it has not authorised yet."""
    price_digits: str = "as the symbol's"
    """Fills have as many digits as the symbol, or more: fills and averages, or also levels by distance."""
    storms_us: int = 0
    """So often an account's particulars are told, though little has changed."""
    nights_us: int = 0
    """So often swaps are charged, bonuses come and go, and balances are corrected."""
    rolls: str = "orders"
    """A position that is rolled is closed and opened by orders, or told as closed and as open under a new number."""
    spot_gaps: bool = False
    """Whether a side that has not moved is told as 0."""
    short_closes: str = "cancelled"
    """What a closing order finds gone when it executes dies with its end, or the order is made that much smaller."""
    noise: float = 0.0
    """For so large a part an event has enums of no schema, and lacks fields that the schema calls optional."""


DRAWN: dict[str, tuple[Any, ...]] = {
    "accepted": ("after", "never"),
    "accepted_shows_position": (False,),
    "fill_us": (0, 900_000, 3_000_000),
    "parts": (2, 3),
    "part_us": (40_000, 700_000),
    "part_word": ("filled",),
    "protective": ("late", "with"),
    "cancel_is_told": (False,),
    "replace_is_told": (False,),
    "closed_shows": ("closed", "open"),
    "amends": ("one by one",),
    "turns": ("same", "one"),
    "counts": ("ahead",),
    "locks": (True,),
    "shares_numbers": (True,),
    "spots": ("changed",),
    "spot_times": (False,),
    "first_spot_us": (1_500_000,),
    "money_is_told": ("late", "never"),
    "lists_protective": (True,),
    "leaves_out": (True,),
    "stamps": (False,),
    "adds_unknown": (True,),
    "refuses_in": ("error",),
    "echoes": ("own",),
    "page": (2, 7),
    "repeats": (True,),
    "cuts": ("bytes", "lumps"),
    "skew_ms": (-4_000, 2_500, 90_000),
    "answer_us": (300_000, 1_500_000),
    "position_label": ("late",),
    "deal_precedes": (True,),
    "beats_us": (3_000_000, 29_000_000),
    "coarse_ms": (1_000,),
    "spot_delay_us": (400_000,),
}
"""The other values of each habit."""
DRAWN_SINCE: dict[str, tuple[Any, ...]] = {
    "trail_told": ("late", "never"),
    "trail_ticks": (40,),
    "stop_out_told": ("fill",),
    "stop_outs": ("parts",),
    "short_of_money": ("rejected",),
    "margin_is_told": (True,),
    "values": ("new",),
    "again_us": (700_000,),
    "cancel_precedes": (True,),
    "fill_shows_position": (False,),
    "net_orders": ("own", "own to the end"),
    "opening_times": (False,),
    "numbers": ("far",),
    "closes_tell": ("least",),
    "rests_told_us": (300_000,),
    "shut_says": ("NO_QUOTES", "TRADING_DISABLED", "CANT_ROUTE_REQUEST", "PENDING_EXECUTION", "POSITION_LOCKED"),
}
"""Those that were added later, drawn behind the others so that older days stay as they are."""
DRAWN_LAST: dict[str, tuple[Any, ...]] = {
    "closes_detail": (False,),
    "deal_volumes": ("sent",),
    "misses": (True,),
    "remainders": ("after", "with", "alone"),
    "common_errors": (True,),
    "past": ("put off", "refused", "silent"),
    "cannot_tell": ("OrderDetailsReq", "DealListByPositionIdReq"),
    "names": ("orders", "requests"),
    "lists": ("oldest first",),
    "symbols_change_us": (7_000_000,),
    "states_behind_us": (400_000,),
}
"""And those of later still. Not drawn: levels on a grid, and a server that never tells the orders of a position, which
are against what was seen."""
DRAWN_NEXT: dict[str, tuple[Any, ...]] = {
    "lists_empty": (True,),
    "lists_twice": (True,),
    "ends_say": ("expired",),
    "stamps_move": (False,),
    "order_names": ("cut", "capitals", "dropped"),
    "tells_strangers": (True,),
    "price_digits": ("more", "levels too"),
    "storms_us": (1_000_000,),
    "nights_us": (3_000_000,),
    "rolls": ("at once",),
    "spot_gaps": (True,),
    "cancel_precedes_nets": (True,),
    "short_closes": ("smaller",),
}
"""And those of last. Not drawn: labels that are not kept, refusals that do not name their request, and fills that show
what was before them: nothing else says whose these are, or what is held."""


def draw(chance: random.Random, *, is_old: bool = False) -> Habits:
    """A broker that differs from the usual one in about a third of its habits."""
    share = chance.choice((0.1, 0.3, 0.5))
    drawn = DRAWN if is_old else DRAWN | DRAWN_SINCE | DRAWN_LAST | DRAWN_NEXT
    others = {name: chance.choice(values) for name, values in drawn.items() if chance.random() < share}
    found = replace(Habits(), **others)
    if not (found.stamps and found.stamps_move) or found.coarse_ms > 1:
        found = replace(found, again_us=0)  # by nothing but its time could it be told from news
    if not found.fill_shows_position:
        found = replace(
            found, cancel_precedes=False, cancel_precedes_nets=False
        )  # or the position that stands with it is all that is told
    return found if found.stamps else replace(found, opening_times=True)  # orders have to tell some time


def unusual(habits: Habits) -> dict[str, Any]:
    """The habits that differ from the usual ones."""
    usual = Habits()
    found = {field.name: getattr(habits, field.name) for field in fields(Habits)}
    return {name: value for name, value in found.items() if value != getattr(usual, name)}


def plainer(habits: Habits) -> Iterator[Habits]:
    """The same broker with one habit less, each in turn: for finding out which of them a failure is about."""
    usual = Habits()
    for name in unusual(habits):
        yield replace(habits, **{name: getattr(usual, name)})
