"""Opens and adds: gates, sizes, what they wait for, and what becomes of a refusal."""

from __future__ import annotations

# --- 3 ----------------------------------------------------------------------------------------------------------------

ADDS_FOLLOW_CLOSES = 3
"""An add waits for the end of a close that is under way; ours that fills whole after a part of his is ahead of him."""

SANE_GROWTH = 3
"""Growth counts in the leverage that sanity allows, and what opens late is held against all that the leader holds."""

LISTED_ANYHOW = 3
"""Symbols are listed in upper or lower case alike, as in the symbol table."""

GROWTH_BOUNDED = 3
"""What a copy has grown to is no more than `volume.max`, as what it opened with is."""

WIDENED_WHOLE = 3
"""A widened stop shrinks a split volume as a whole, and within the link's own bounds."""

OWN_PRICE = 3
"""The `price` of a formula is where the follower would enter, as it says, and not the leader's fill."""

CLOCK_CHANGES = 3
"""Hours end where a zone's clock jumps over their end, and at both ends of an hour that comes twice."""

# --- 4 ----------------------------------------------------------------------------------------------------------------

CAPS_COUNT_ALL = 4
"""Caps on positions and lots count what people let rest on the account too."""

CONFIRMED_ANYHOW = 4
"""Symbols whose lots are confirmed are named in upper or lower case alike, as in all other lists."""

# --- 5 ----------------------------------------------------------------------------------------------------------------

UNIQUE_NAMES = 5
"""Of two symbols of one name the one that is enabled is meant; where several are, none."""

ADDS_CAPPED = 5
"""With `cap`, growth above what one order may have is cut off, as an open is; it was made in parts all the same."""

ADDS_NEED_STOPS = 5
"""With `require_stop` a copy that has no stop any more does not grow."""

TOLD_IN_PROPORTION = 5
"""The broker's word on margin says how much dearer it is than our reckoning at that volume, and not what any smaller
volume costs: leverage that falls with exposure would count against what does not reach that far."""

STOPS_IN_TIME = 5
"""A stop is waited for from the leader's trade on, as long as `stop_wait` says, whatever an open waits for besides; it
was waited for as long as for that, and then the trade was too old."""

# --- 6 ----------------------------------------------------------------------------------------------------------------

OLD_DO_NOT_WAIT = 6
"""What is too old is skipped as that, also where its symbol is still being read: it waited for it, was over as a copy
at once, and `sync_open` never opened what a copy had been there of."""

QUOTES_ON_THEIR_WAY = 6
"""Quotes that were asked for and not answered yet are waited for while the open is young enough, not three seconds."""

NEVER_OUT = 6
"""An open that waited, and that a gate skipped then, was no copy: `sync_open` meets its source again,
as after any skip."""

# --- 7 ----------------------------------------------------------------------------------------------------------------

UNREAD_WAIT = 7
"""An open in a symbol of which nothing is on record waits for it on record, as one in any other that is being read: it
held up what came behind it, closes too, and was skipped as `unmapped_symbol` after two seconds."""

WAITED_IN_VAIN = 7
"""What has waited for a better price until it was too old is skipped(not_better), whenever its end is looked at."""

WAITS_TAKE_NO_PLACE = 7
"""An open that only waits for a price, a stop or quotes is no position yet: two that waited kept each other from
opening under `max_positions`. What opens passes that rule when it goes."""

ADDS_BY_THEIR_PRICE = 7
"""An add that waits for a close, or for quotes, goes out in a market range around its own price, not around the last
one's."""

WAITS_IN_PROPORTION = 7
"""A part that the leader closes is the same part of what an open waits for, which with `scale_in=off` has none of what
he has added meanwhile: it opened with all he had left."""

ADDS_IN_VAIN = 7
"""An add that comes to nothing leaves the target as it was without it, in proportion to what the leader has closed
since. What was held became the target: what was still to be closed was kept, and what a later add had under way was
closed as soon as it filled."""

# --- 8 ----------------------------------------------------------------------------------------------------------------

ADDS_CARRIED = 8
"""Growth that is below a step, or below the least of an order, stays in the target and goes out with what the leader
adds next; it was forgotten, and of an order of his that fills in small parts nothing was copied."""

OPENS_ANEW = 8
"""An open whose order fills on is sized anew in every mode, and rounded once: what followed its first deal was in
proportion to that deal's rounding, and by a formula that leaves his volume out a copy came to a multiple of its
size."""

UNLISTED_WAIT = 8
"""An open in a symbol that the follower's list has not, while that list is read anew, waits for it: it was skipped as
`unmapped_symbol`, though its broker had that symbol by then."""

# --- 9 ----------------------------------------------------------------------------------------------------------------

ORIGINS_HAVE_TYPES = 9
"""A position that is opened late or again (`sync_open`, `reopen`, a fill while a profile was off) is judged by the type
of the order that opened it, as any open is: all of them passed for opened at the market."""

# --- 11 ---------------------------------------------------------------------------------------------------------------

NO_RATE = 11
"""Where no symbols of the follower's broker lead from the leader's currency to the follower's, that is the reason why
nothing is sized by his money. It was `stale_input`, as if a quote were to come.
"""

# --- 12 ---------------------------------------------------------------------------------------------------------------

LEADERS_LOTS = 12
"""A leader's lot that his broker has made another waits for a person's word, as a follower's does: links that count in
lots open nothing in the symbol until then. Where `volume.lots_confirmed` names it, or the new size was the follower's,
what he traded next was copied ten times as large, or a tenth.
"""

OTHER_NUMBERS = 12
"""An add to a copy whose symbol its broker lists under another number by now is skipped(symbol_disabled). It was sent,
refused as of an unknown symbol, and counted in `max_rejections`, which stopped opens in all others.
"""

PRICES_MAY_LAG = 12
"""A symbol that is its leader's in all but the price is waited for a moment: of a market that has jumped one broker may
have told before the other. What opened at such a jump was skipped as `unmapped_symbol`, for good.
"""

# --- 15 ---------------------------------------------------------------------------------------------------------------

REJECTED_AS_REFUSED = 15
"""An open or an add that was accepted and then rejected is taken as one that was refused at once: by its code, and
tried again where that is for now. Where a part of it had filled before, the rest is a remainder. It was given up for
good, and so was the rest.
"""

PARTS_TOLD_FILLED = 15
"""An order that is told as filled and has executed less than its volume may fill on. Its rest was asked for at once,
and for a moment the copy held more than it should.
"""

QUOTES_OF_NOW = 15
"""A quote that is older than `input_max_age` carries no price, level or range from one broker to the other: that of the
follower, and of the leader where none of now is known. They were those of whenever one had come last.
"""

LATE_RESTS_ARE_TOLD = 15
"""What an open or an add has not bought of a copy's target when it fills too late is looked at once more, and told as
skipped: an add that was decided behind an open of unknown outcome was given up, and nothing on record said so.
"""

UNLISTED_CODES = 15
"""A close, a cancel or an amendment that is refused with ALREADY_CLOSED or POSITION_NOT_FOUND_OR_NOT_OPENED has a look
taken, as with the codes of the API that say the same; and a refusal with an empty code is told as that. It was asked
again and again of what was there no more, until the next look.
"""

LIMITED_IN_ONE = 15
"""What one order may not have is cut off at limited risk, where `volume.rounding` splits: no part can be added there.
The first part was opened for a target of all, so that a copy stayed as it was while its leader closed the half of his.
"""

# --- 16 ---------------------------------------------------------------------------------------------------------------

CLOCK_TURNS = 16
"""Hours end too where a zone's clock is set back to before they began; they went on to the end of their window."""

JUMPS_TOLD_APART = 16
"""Of a market that has jumped one broker tells before the other: where the two newest quotes differ otherwise than they
have in the last seconds, prices are carried by what is usual. The jump counted as a difference between the brokers: a
market range lay around the price of before and was cancelled, an order rested a jump away from its leader's, and a late
copy kept that in its levels for life.
"""

CAPS_BY_SIDE = 16
"""Of a netted account caps on lots count longs and shorts of a symbol apart. The net and what was to open were added up
whatever their sides: a sale of 0.3 against a net of 0.4 long counted as 0.7, and was skipped under a cap of 0.6 that it
led away from; and a purchase beside shares of both sides passed, so that the close of a sale met the cap by itself and
closed all shares.
"""

# --- 17 ---------------------------------------------------------------------------------------------------------------

GIVEN_UP_ONCE = 17
"""What a copy lacks as an add comes to nothing is given up once: an add that was asked for the smaller because of it
stands for as much less. Where that came to nothing too, the part was taken off again, and the copy was closed down to
less than it had without both.
"""

ROWS_IN_ANY_CASE = 17
"""A symbol table's row names the follower's symbol in upper and lower case alike, as it does the leader's, wherever the
table came from. `eurusd.b` in a file of profiles stood for no symbol of the broker's, and all its trades were skipped
as `unmapped_symbol`; only `profile symbols load` wrote it as the broker does.
"""

ABSENT_WAS_NOT_CLOSED = 17
"""An open that never arrived, and whose leader has closed meanwhile, ends as cancelled by `source_gone`, like one that
had not been sent yet. It ended as closed by its leader, a copy that had never held anything, and a what-if of the same
day said otherwise.
"""

# --- 18 ---------------------------------------------------------------------------------------------------------------

CLOSED_MARKETS_STAND = 18
"""What is held in a market that is closed, and money that is converted by one, is worth its last quote until it opens,
however old that is. Whoever held an index over its nightly break, or a currency pair over a weekend, had all other
opens skipped as `stale_input`, since his free margin counted as unknown.
"""

RESULTS_STAND_IN = 18
"""Free margin rests on the broker's own results where a quote of what is held is missing or too old, as guards do. One
symbol that was silent for ten seconds while its market was open had all opens of its account skipped as `stale_input`.
Where a guard is set an open waits for them, too: the second of two in a row was `equity_unknown`.
"""

RESERVES_BY_LAST = 18
"""What rests or is in flight in a symbol that is silent reserves margin by its last quote, however old. One pending
order in it had all opens of its account skipped as `stale_input`.
"""

# --- 19 ---------------------------------------------------------------------------------------------------------------

NOT_MADE_UP = 19
"""Without `sync_open` nothing is opened within its limits: what fills, or makes larger, an order that was copied before
its link was switched off is an open of its own age as the link begins again. A fill of up to `sync_max_age`, an hour,
was bought at the market.
"""
