"""By which rules an account's record is derived: what was derived once is derived the same for ever.

Where a later cmam derives something else from the same facts, `RULES` is counted up, a name for the change is written
here, and the place that changed asks the view whether that name holds. Each account notes in its record from where on
it does (`RulesBegan`); all before it, and a record that has no such note, is derived as it was.

Names stand under their numbers, and under each number by subject. The text of each says what holds from that number on;
what it tells in the past tense is how older records are derived, for as long as there are any.
"""

from __future__ import annotations

# --- 2 ----------------------------------------------------------------------------------------------------------------

# What comes to light late, twice or in part.

ORDER_ORIGINS = 2
"""A position that came out of sight and of no deal we know came of the resting order that had its number."""

OWN_REQUESTS = 2
"""Of what has come or gone in a gap, all our requests of unknown outcome come first, and the rest is a person's."""

DEALS_COUNT = 2
"""A new deal that leads from what is known to what is shown is believed, though the broker's clock says it is old; and
what deals have added counts as held, whatever the position shows."""

PARTS_FILL_ON = 2
"""An open of unknown outcome of which a reconcile shows a part may be filling still: its rest is not opened again."""

# Stops and targets.

OWN_LEVELS = 2
"""The levels that a resting order carried are awaited from its fill on, and the broker's own when it sets them; levels
that we have applied are ours, whenever they come to light."""

# --- 3 ----------------------------------------------------------------------------------------------------------------

# What comes to light late, twice or in part.

STANDS_AGAIN = 3
"""What is told of a position that was emptied and stands again, all within a millisecond, is believed."""

# Opens and adds: gates, sizes, what they wait for.

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

# Orders that rest.

FILLS_GO_ON = 3
"""What the leader's order fills once ours is over, or never rested, is an add or an open, and never a reason to close
what it has filled before; the shift stays that of the first fills, and a copy that is being closed is not revived."""

PARTS_REST = 3
"""What is left of a copied order that has filled in part is amended with the leader's, and ends where resting orders
end; what a person moved of the part is a part of the whole."""

WIDENED_ORDERS = 3
"""A resting order's stop is widened, and its size shrunk, by the leader's stop of now."""

ORDERS_TOUCHED = 3
"""What a person makes of a copied order that rests is respected, and is what fills."""

LIFE_FROM_PLACING = 3
"""The longest life of a resting order counts from its placing, not from its last amendment."""

EXACT_ORDERS = 3
"""A resting order that is amended in size stays the exact fraction, of which what rests is the part on the step."""

PENDING_BY_RISK = 3
"""A pending order without a stop is sized by `volume.without_stop`: it does not wait for one."""

PENDING_IN_ONE = 3
"""Caps, sanity and margin count a pending order as it is placed: it is never split."""

AMENDED_BEFORE_PLACED = 3
"""What a leader makes of his order before its copy rests is what is placed, however late."""

# Stops and targets.

OWN_TRAILING = 3
"""A stop that the leader has set is taken once, and loosens a copy's only where it is looser than what was told before,
which his trailing is not; a copy that cannot trail follows; an open that waits knows where his stop has trailed to."""

PEOPLE_TRAIL = 3
"""A person's trailing of a copy is his as a stop is, and a level of his stays where there is none to copy."""

FIXED_ON_TICK = 3
"""Fixed distances of levels lie on the follower's tick in the request that opens."""

SIDES_ARE_KEPT = 3
"""A copy keeps its side for life: where `reverse` is set otherwise afterwards, none of its levels change places."""

UNCOPIED_LEVELS_STAY = 3
"""A level that is not copied is what the copy's position shows: nobody takes it away."""

MOVED_SINCE = 3
"""Where the leader has moved his levels since our open left, nobody can tell what it carried from a person's: a level
that comes to light after it is taken for the broker's, and his are set."""

# Closes and parts.

CLOSES_ARE_TOLD = 3
"""A close whose deals have closed all that it asked for is done, also where its position has grown meanwhile."""

# Guards, stop-outs and results.

CLOSE_ONLY_KEEPS = 3
"""Under a latch that only closes, no stop is taken away."""

WHOLE_ACCOUNT = 3
"""A latch of the whole account cancels what rests for any of its links, lets no stop be loosened there, closes also an
account that follows nobody, and sweeps it no longer than it stands itself."""

DAYS_ANEW = 3
"""A day that a person begins anew keeps the initial balance and the heights of all days."""

LATCH_TOLD = 3
"""A decision that a latch has made tells its money in the account's currency, and its refusals as a number."""

# Netted accounts.

NETS_ARE_PINNED = 3
"""A person's level on a net is respected as on any other position."""

ONE_SHARE_TARGETS = 3
"""A net has a target only while one share is all there is, on either side."""

LEVELS_OF_A_NET = 3
"""Levels that were confirmed for one position of a netted account do not count as confirmed for the next."""

GONE_WITH_ITS_POSITION = 3
"""What a net has lost is first of all what its shares had of a position that is gone."""

# --- 4 ----------------------------------------------------------------------------------------------------------------

# Opens and adds: gates, sizes, what they wait for.

CAPS_COUNT_ALL = 4
"""Caps on positions and lots count what people let rest on the account too."""

CONFIRMED_ANYHOW = 4
"""Symbols whose lots are confirmed are named in upper or lower case alike, as in all other lists."""

# Orders that rest.

PEOPLE_SHRINK = 4
"""What a person has taken off a copied order that rests is not made up where it goes to market instead."""

GROWN_ORDERS = 4
"""A resting order that grows is counted once, as large as it is to be, from the moment it is asked for."""

WHOLE_TERMS = 4
"""How a resting order is triggered, its guarantee and a stop-limit's range are terms that are amended as all others."""

WAITS_END = 4
"""A copy whose resting order has ended ends with its source, whatever price or cancel it still waits for."""

# Stops and targets.

CARRIED_LEVELS = 4
"""What an open carried to the broker is what its request carried, however far from its leader's price it filled, and
wherever he has moved his levels since."""

SHIFTS_RETURN = 4
"""A copy whose link copies levels by price for a while has its own shift again afterwards."""

TURNED_TRAILING = 4
"""The target of a reversed copy follows the leader's trailing stop, for which it stands."""

# Closes and parts.

CLOSES_APART = 4
"""A refused close has a delay of its own: no level of the leader's ends it, and no refused level holds a close up."""

# Guards, stop-outs and results.

STOP_OUTS_LATCH = 4
"""A stop-out locks its link wherever it comes to light, on a net too and where it took a whole copy out of sight; what
rests for the link ends with it."""

# Netted accounts.

REFUSED_OPENS = 4
"""What a share may not give up against its net counts as no refused open."""

NETS_IN_DOUBT = 4
"""While a copied order may have filled into a net unseen, the net's levels may be those that it carried."""

# --- 5 ----------------------------------------------------------------------------------------------------------------

# What comes to light late, twice or in part.

REFUSED_YET_DONE = 5
"""An open that was refused and is done all the same is the copy where there is none yet, and is taken back where there
is."""

# Opens and adds: gates, sizes, what they wait for.

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

# Orders that rest.

GROWN_AS_OPENED = 5
"""A resting order grows as far as an open of its size would be made now; it did not grow at all where that was less."""

# Closes and parts.

CLOSES_IN_PARTS = 5
"""A part that is larger than an order may be is closed in several; a whole that is refused for its size is, too."""

# Netted accounts.

APPLIED_TO_NETS = 5
"""What was applied to a net was applied for each of its shares: one that is alone again has its own levels again, and
one that is closing, however long, has none that count beside theirs."""

TURNED_NETS = 5
"""A net that has turned is a position of its shares: what happens to it without a request of ours concerns them,
and shares that are closing and too small to be closed one by one are closed with it."""

# --- 6 ----------------------------------------------------------------------------------------------------------------

# What comes to light late, twice or in part.

PROTECTION_OPENS_NOTHING = 6
"""What a leader's position has grown by, or turned to, is no protective order's, though it was told first with one:
such orders are among no `order_types`, and what had grown was never copied."""

# Opens and adds: gates, sizes, what they wait for.

OLD_DO_NOT_WAIT = 6
"""What is too old is skipped as that, also where its symbol is still being read: it waited for it, was over as a copy
at once, and `sync_open` never opened what a copy had been there of."""

QUOTES_ON_THEIR_WAY = 6
"""Quotes that were asked for and not answered yet are waited for while the open is young enough, not three seconds."""

NEVER_OUT = 6
"""An open that waited, and that a gate skipped then, was no copy: `sync_open` meets its source again,
as after any skip."""

# Orders that rest.

FILLED_AND_GONE = 6
"""A pending order of the leader that has filled out of sight into what is closed again ends its copies that rest."""

# Stops and targets.

TARGETS_LEFT_OUT = 6
"""A target that is nearer than the follower's symbol allows is left out until it may be set, and takes nothing with it:
no open and no stop."""

PEOPLE_MOVE_TRAILING = 6
"""A stop that a person sets on a copy that trails, or as he lets it trail, is his as any other; and with
`human_levels=leader` a copy that shall trail is never set back to a looser stop than it had trailed to."""

OWN_STOPS_TRAIL = 6
"""A person's stop, where there is none to copy, trails as he has said, and is not taken away for it."""

PARTS_MOVE_LEVELS = 6
"""A part of a copied order that fills out of sight moves the levels that it carried, which count from the average
price: they were taken for a person's."""

# Closes and parts.

SWEEPS_WAIT = 6
"""What is closed or cancelled and is no copy is asked for again after a delay of its own, not with each quote that is
put on record or with each execution, its own rejection among them; where neither was, it was not asked for again at
all."""

ADDED_BY_HAND = 6
"""What a person adds to a copy is left alone: a residue does not grow with it until a step of it is closed."""

ADDS_LEFT_OUT = 6
"""What a leader had includes adds that were not copied: what he closes while a profile is off is a part of it."""

# --- 7 ----------------------------------------------------------------------------------------------------------------

# What comes to light late, twice or in part.

TOLD_AFTERWARDS = 7
"""What went of a copy without a deal that told its price is noted, asked about when there is room, and told then; it
ended without a price, and a stop-out of which nobody knew locked nothing."""

TAKEN_BEFORE_SEEN = 7
"""What somebody has closed of a copy before it came to light is told by its order, which had filled more, and is
respected: it was taken for a partial fill, and bought again."""

FILLS_ARE_SHOWN = 7
"""What an open or an add has filled out of sight is noted on it, by its position and its order. What somebody closed of
the position in the same gap is respected: it was taken for a partial fill, and bought again."""

# Opens and adds: gates, sizes, what they wait for.

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

# Orders that rest.

FILLS_IN_VAIN = 7
"""What the leader's order has filled and the copy's has not, and a gate does not let be added, is given up: the copy
kept the whole as its target, and closed nothing with him until he had less than it held."""

AMENDS_WAIT = 7
"""A pending order that its leader amends before our quotes are there rests as it is until they are: it was cancelled,
for good."""

# Stops and targets.

BARE_ARE_LATE = 7
"""A late open that has no levels yet is carried by the two quotes as well, so that those which the leader sets later
lie where his are; they lay as far away as the market had moved since his open."""

QUOTES_AFTER_FILLS = 7
"""Whether the market has passed a level is told by quotes that are younger than the copy's fill: where it jumped, and
the fill was told ahead of the new quote, the old one closed the copy."""

# Guards, stop-outs and results.

RESULTS_OUTDATED = 7
"""The broker's results from before a gap in which something was dealt say nothing of equity: what was closed of a
position counted twice."""

# Netted accounts.

RESTS_FILL_UNSEEN = 7
"""What the rest of a share's order has filled out of sight is the share's; it was nobody's, and bought once more."""

ORDERS_INTO_NETS = 7
"""What a netted leader's order fills while he holds its symbol is growth, a part or a turn of his position: nothing of
it rests for a follower meanwhile, where it would fill beside that as a position that nobody closes."""

TURNS_AWAIT_CLOSES = 7
"""A netted leader's position that turns under another number is opened once the copy of the side before is closed,
as one that keeps its number is."""

TURNED_ORDERS = 7
"""What a copied order of a leader has become turns with his position, and is not ahead of that order any more: the new
side was closed as that as soon as it was open. So it is where the order fills while what had filled ahead is closed."""

ONE_LEADER_A_NET = 7
"""A netted follower copies one leader in a symbol from his first order on, not only once that has filled; what waits
and was never asked for is no order yet."""

FILLS_BY_DEALS = 7
"""A share's order is done once its deals have told all that it has executed: where the order counted ahead of them,
as where a net turns in two deals, what the second one brought was nobody's, and was opened once more."""

TURNED_UNDER_CLOSE = 7
"""A close that meets a net which turned while it was under way closes the other side; only where a cap holds has that
been asked for. Without one all shares of the net were taken for over, and what stood of them stayed."""

PARTS_OF_SHARES = 7
"""Shares of both sides make a net small, or nothing: a part of a share that is all of the net does not end the share,
which never grew again; and levels for a net that has just become flat are no trouble that lasts."""

# --- 8 ----------------------------------------------------------------------------------------------------------------

# What comes to light late, twice or in part.

OPENED_WHEN_OPENED = 8
"""What has opened in a gap without a deal that tells of it is as old as its opening, not as the last move of its
levels: an old position whose stop had just been moved passed for a young one."""

TOLD_AGAIN = 8
"""What is told late or twice undoes nothing: a position as it was before its order's fill does not close it, and as a
known deal left it, in the millisecond of what is known, takes no levels away. Copies were closed while the leader held
on, and lost their stops for a moment."""

OPENED_BY_PATH = 8
"""What an order that rested has opened out of sight is told of that order, and what others did to it there by steps:
it was told of the last one, whose copy took it for its fill, while that of the first was held besides for a minute."""

GROWTH_OF_ADDS = 8
"""What has grown out of sight is told of the deal that added last and of its order, though that had rested, not of a
close that came after it: by that one's type, price and age one that may be copied was left out, and another copied."""

# Opens and adds: gates, sizes, what they wait for.

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

# Stops and targets.

TRAILED_ON = 8
"""A trailing stop goes back by no event that was told before the snapshot which shows it where it is: the older place
was taken for a person's, and pinned."""

# Guards, stop-outs and results.

STOP_OUTS_ANYHOW = 8
"""A stop-out locks its link also where the end of the protective order was told ahead of its fill, and with it that the
position is smaller, or gone: then the fill changed nothing more, and the link opened on."""

NAMED_AS_SET = 8
"""`guard.initial` that is set to exactly the balance which the guards saw first is counted from, too, though money has
moved since: it was taken for that one, moved with the money."""

REFUSED_PLACINGS = 8
"""A pending order that is refused, or taken, counts in `max_rejections` as any open: of a leader who trades by orders
alone none did, however many were refused."""

# Netted accounts.

LACKS_CLOSE_NOTHING = 8
"""What the shares of one side of a net lack closes none of the other side: growth that was kept as too small went out
so, past all gates, and what a share of the other side had given for it was sold again with each of its adds."""

REST_COUNTED_ONCE = 8
"""What a resting order of a share has filled unseen is booked once: where a history had told it, the event of its deal
that came right after booked it again, and a third of what was held was taken for closed by a person, and sold."""

ADDS_OUTLIVE_NETS = 8
"""A share whose net is gone while an order of it is under way ends only once that has an outcome: what it fills then is
the share's, and is closed. It was settled as filled, and what it opened was nobody's."""

# --- 9 ----------------------------------------------------------------------------------------------------------------

# What comes to light late, twice or in part.

ACCEPTED_ONCE = 9
"""The acceptance of an order that is told again tells nothing: in the millisecond in which its order was amended it was
taken for the news, and the amendment for a person's."""

PARTS_OF_HISTORIES = 9
"""Each part of an order is taken as its event tells it, though parts are of one millisecond and a history had told
their deals before: but for the first they counted as told again, and what was added or closed by them waited for the
next snapshot, as an add until it was too old."""

ENDS_STAY = 9
"""A pending order that has ended rests no more, whatever is told of it afterwards: where its acceptance came behind its
end, copies were placed of what was there no longer, and rested until the next snapshot."""

ACCEPTED_BEFORE = 9
"""The acceptance of an order that comes behind a snapshot of the millisecond in which it filled closes nothing, also
where its empty position carries a time: the copy was taken for closed by a person, found without a record, and closed.
"""

# Opens and adds: gates, sizes, what they wait for.

ORIGINS_HAVE_TYPES = 9
"""A position that is opened late or again (`sync_open`, `reopen`, a fill while a profile was off) is judged by the type
of the order that opened it, as any open is: all of them passed for opened at the market."""

# Orders that rest.

GROWN_WHILE_RESTING = 9
"""What a leader adds after his order has filled and before that of his follower has is added once it has filled: where
that filled whole, nobody asked for it any more."""

ORDERS_KEEP_LEVELS = 9
"""A resting order that is amended with its leader's keeps a level that is not copied, and a person's that is nearer;
both move with its price. They were taken away with his next amendment, and the order could fill bare."""

# Stops and targets.

TRAILED_BEFORE = 9
"""A word of a trailing stop that is older than the last change of its position moves nothing: a stop that somebody had
set since then was taken for moved again, and copies were tightened to where it had been."""

LOOSENED_AT_ONCE = 9
"""A trailing stop that is loosened in the very millisecond in which it was set, or before a broker that tells no times,
is looser: it was taken for an older place of what had trailed on, and the copy kept the tighter one."""

FIXED_STOPS_TRAILED = 9
"""A `fixed_sl` that has trailed stays where it has come to when the leader's trailing ends, as any stop does: it went
back to where it was opened."""

# Guards, stop-outs and results.

STOP_OUTS_END_GROWTH = 9
"""What a copy waits to grow by when it is stopped out in part is given up with it: it stood in its target for good, of
which the leader's next part closed too little, or nothing."""

CHARGES_ARE_RESULTS = 9
"""A dividend, a swap, a rollover fee or the charge of a guaranteed stop is a gain or a loss, and moves no anchor: it
was taken for a deposit or a withdrawal, and no guard but `min_equity` and `take_equity` saw it."""

BONUSES_ARE_TOLD = 9
"""A bonus has no version of the balance: what its report says it is now counts, and it moves no anchor, since equity is
without it. The report was taken for an old one."""

BALANCES_TELL = 9
"""Of a movement of money that follows what is known, the two balances tell how much came or went. The name of its
operation was believed: a withdrawal that was given back would have moved every anchor the wrong way."""

# Netted accounts.

LOSSES_REJOIN = 9
"""Shares of a net that went while nobody looked follow an order of one of them into its new position, also where
somebody had taken the old one or a part of it: once that is booked. They were said to be closed by him, and it was
nobody's."""

LOSSES_ARE_TOLD = 9
"""What somebody else's deal took off a net is booked at once though orders of its shares are under way, and until it
can be booked no share that may have lost it trades it away against the net: what that opened was nobody's."""

SHARES_AWAIT_RESTS = 9
"""A share of which nothing is left ends once what rests of its order has: a fill that came before its cancel was taken
for a person's, who had closed so much of the other shares."""

ROUNDED_AWAY = 9
"""A part that rounding up makes the whole of a share ends the share, as it ends a position: it stayed with nothing in
it, and was bought again with what the leader added next."""

REFUSED_FOR_ONE_SIDE = 9
"""Levels of a net that are refused close no share of the other side: where that trailed, the stop of the net counted as
its own, lay beyond the market for it, and it was closed, which made the net larger."""

ORDERS_LEVELS_OF_NETS = 9
"""Levels that the broker sets on a net since the order of one share carried them are put right though another share
had asked for those of all before: the target of one stayed on the net, and closed all of them."""

LEVELS_OF_ONE_SIDE = 9
"""The levels of a net are those of the shares on its side, and no other's: a stop of it that a person moved, or that
had trailed, became that of a share against it too, which was closed as passed as soon as the net had turned to it."""

TURNED_IS_BARE = 9
"""A net that turns has none of the levels that it had, also where it keeps its number: one that had turned twice before
it was amended had no stop, and none was asked for, since its own had been confirmed before."""

# --- 10 ---------------------------------------------------------------------------------------------------------------

# What comes to light late, twice or in part.

OPENS_HAVE_NUMBERS = 10
"""What opens or is to rest is confirmed by a report that tells the position or names the order: where it came without,
nobody knew the number, and it stayed at the broker whatever its leader did."""

HISTORY_IS_AHEAD = 10
"""An open of which the history knows a larger fill than the snapshot before it shows is open still: its other parts are
told yet. It counted as done, each further part as a person's, and the copy stayed as small as it had been seen."""

# Orders that rest.

FILLED_WHOLE = 10
"""An order of the leader's has filled whole, whatever he has closed of it since: a resting copy that filled after both
was held for one of which a part still rests, all of it for as long as `pending_ahead`.
"""

ADDED_BESIDE_ORDERS = 10
"""What an order of the leader's fills is added to what he holds, also where he has added at the market since its first
part: only as much as the order had was held then, and what he had added came to nothing, or what was not let be added
was bought with the order's next part.
"""

ORDERS_ARE_TOLD = 10
"""What was told of a leader's order last is known of its copy, which is amended as its link begins again. One whose
profile was off with its orders kept rested where the leader's had, until he moved his once more; and an amendment that
he has taken back waits for quotes no more."""

# Stops and targets.

FIXED_STAY = 10
"""A stop or a target of `fixed_sl` or `fixed_tp` stays where that is set off, until its leader has one in its place:
with his next change, or the fill of his order, the copies of one who had none stood without a stop."""

PINS_END = 10
"""Where `human_levels` is `leader` at his next change, what a person had pinned is forgotten: set to `pin` again, it
came back, and a stop that the leader had moved meanwhile was set back to where the person had left it."""

LOOSENED_UNTIL_TAKEN = 10
"""A looser stop that the leader has set is his until the copy has it. What he did next, before that, was held against
it: a trailing copy kept the stop that it had trailed to, where he had set a looser one and then drawn it nearer."""

MERGED_REFUSES_NOTHING = 10
"""An amendment in whose place a newer one of the same target left is no refused one. Shares of a net ask for the same,
and each time all but one of them had to wait twice as long: one that was left alone as its net turned stood for
sixteen seconds without its stop."""

# Closes and parts.

CLOSES_AS_SET = 10
"""What the leader closes is closed as the link is set then: `partial_rounding`, and the `max_lots_symbol` that no close
may make a net pass. A copy had both for life as they were when it was opened."""

# Netted accounts.

WHAT_TRAILS = 10
"""Where a stop has trailed to is told of what trails. Told late of a net that had turned under its number, it was taken
for the stop of what the leader had turned to, lay beyond the market, and closed the copies.
"""

# --- 11 ---------------------------------------------------------------------------------------------------------------

# What comes to light late, twice or in part.

ACCEPTED_ALONE = 11
"""An acceptance that comes behind its fill closes nothing, also where it tells no order. The copy was taken for closed
by a person, found without a record by the next look, and closed while its leader held on.
"""

TRADED_UNTOLD = 11
"""What an event of a leader's orders shows of his position is a trade, also where it tells neither deal nor order. It
was taken for a correction, nobody was told, and the deal that came behind it had nothing left to tell: copies stood on
after he had closed.
"""

UNTIMED_ARE_NEW = 11
"""What a leader's event tells without any time has happened when it was heard. By the broker's clock it was fifty years
old, and an order whose acceptance told no time was skipped as too old.
"""

ENDS_ARE_PRICED = 11
"""What is told of a close behind the end of its copy is the price at which that ended, also where only a net has told
that a close of ours was done, and its deal is asked for afterwards: it counted in results, but the copy kept the price
of an earlier part, or none; and what such a close came to was that of the shares which stayed."""

# Opens and adds: gates, sizes, what they wait for.

NO_RATE = 11
"""Where no symbols of the follower's broker lead from the leader's currency to the follower's, that is the reason why
nothing is sized by his money. It was `stale_input`, as if a quote were to come.
"""

# Orders that rest.

AMENDED_AS_ALLOWED = 11
"""A resting order that its leader amends has no more than its symbol allows by now: where that had been lowered, each
amendment was refused, and the order stayed where the leader's had been."""

# Stops and targets.

ROUNDED_STAY = 11
"""A level that lies within a tick of its leader's, as its opening has rounded it, stays where the other one is set:
a stop that had been carried nearer was loosened by a tick with a target that had been left out."""

PINS_TRAIL = 11
"""A person's stop on a copy that trails is where it has trailed to, and goes back for no looser stop of the leader's:
it was set back to where the person had left it, and given up for any that was tighter than that."""

OWN_STOPS_STAY = 11
"""A person's trailing stop, where there is none to copy, stays where it has come to when he ends its trailing: with
`human_levels=leader` it went back to where he had set it."""

CLOSING_NEED_NO_LEVELS = 11
"""Levels that are refused of a copy which is being closed are nobody's trouble; where its close is refused, that is.
As a leader's common target was reached, the share that was told last got it as the only one left of its net, and a
person was called each time since the market had passed it.
"""

# Guards, stop-outs and results.

STOP_OUTS_BY_ORDERS = 11
"""A stop-out out of sight locks by its order alone, where a snapshot shows less than the deals beside it tell, and of a
net that stands its orders and deals are asked for afterwards, as of a hedged position. Where they took longer than a
second, as after each cut of many, a part of a net that the broker had taken was a person's, locked nothing, and what it
came to was told nowhere."""

STOP_OUTS_BY_FLAG = 11
"""What an order with the mark of a stop-out has executed was taken by the broker, whether or not its deal tells what it
has closed. Where it did not, and another event had told before what was left, copies went on opening and growing on an
account that had no margin left.
"""

# Netted accounts.

TRADED_TO_FLAT = 11
"""A net that a close of a share has brought to flat, or an order of the other side, is gone, and its other shares are
not: where a look showed that before the deal was told, all of them counted as closed by a person."""

NETS_ARE_BEHIND = 11
"""What an order of a share has filled after the snapshot of its net and before its history was read is nobody's loss:
the net lacked it, that passed for a person's, and each further part of the fill found the share done and smaller.
"""

NETS_MOVE_FIRST = 11
"""A close of a share that is refused since orders of other shares have left less of the net than it was to take is no
refused one, where events had told that before: what is left of it is asked for at once. It waited for a second, then
for two and four, while its leader was out, and each time a person was called.
"""

GIVEN_UP_FIRST = 11
"""An add to a share waits for the end of what it gives up as an order of the other side, as for that of a close. It
counted as held what was about to go, asked for nothing, and the share stayed as small as its leader's close left it.
"""

RESTS_ARE_SHOWN = 11
"""What somebody has taken off a net out of sight is booked also while an order of a share rests, where the look shows
that. It was booked once that order was over: until then parts were counted of what was not there any more, and with a
share of one side the others ended.
"""

SHARES_CLOSE_TOGETHER = 11
"""Shares of a net that all end are closed by one request, whoever of them asks. Each had one of its own, and waited for
those before it: forty-five that their leader closed at once took as many round trips.
"""

# --- 12 ---------------------------------------------------------------------------------------------------------------

# What comes to light late, twice or in part.

CLOSED_STAYS = 12
"""A hedged position that an event has told closed is not open again by a snapshot of the next minute, which may be of a
moment before: its copies were bought back, and closed again by the next look. A number that is closed lives no more; on
a netted account it may.
"""

CLOSES_BY_TERMS = 12
"""A close whose broker does not say whose request it answers is known by its order: it closes as much of the same
position as was asked for. Each was looked up in its time, a part of a net that it had closed was nobody's, and what its
share had lost was closed twice.
"""

SWAPS_OPEN_NOTHING = 12
"""A swap that is charged on a position which is not known leaves that to be told by the next look. What a leader had
opened unseen was held from then on without being told to anybody, and never copied.
"""

SHOWN_BEFORE = 12
"""A deal that comes without its position behind the snapshot that shows what it left is in that, by its own time. It
was booked once more: a copy counted as twice as large as it was, and was cut in half with its leader's next part.
"""

# Opens and adds: gates, sizes, what they wait for.

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

# Stops and targets.

EITHER_IS_NEAR = 12
"""A target that was refused together with a stop is told as such. It was said to be too near to the market itself, also
far from it, where a guaranteed stop, or one that the market had come near to, was what the broker refused.
"""

LEVELS_ARE_SHOWN = 12
"""An amendment that the position shows is done, whoever is named with it, and also where its stop has trailed on since.
It was asked for again and again, and each time the stop went back to where it had begun to trail.
"""

# Netted accounts.

LOST_AS_BOOKED = 12
"""What others took of a net out of sight, and is told later, is divided by what each share had lost by it. It was
divided by what was left of each by then: of one that had been closed since that was all it ever had, and of two
profiles one had most of what the other lost.
"""

SIDES_CLOSE_TOGETHER = 12
"""Shares of a net that all end are closed by one request also where they are of two profiles, or others are against
them, and before what is against the net is traded away. Each of them had a round trip of its own; and where a guard
closed all of a net of both sides it was made larger first, which asks for margin that may not be there.
"""

TURNED_UNSEEN = 12
"""A net that an order of a share has closed or turned in a gap is asked about, though all its shares stand, as is one
that came and went in it: what they realised then was in no sum.
"""

TAKEN_BESIDE_ORDERS = 12
"""What others took of a net out of sight is asked about also where an order of a share bought as much of it in the same
gap. The look showed as much as before: what was lost was booked once the order was told, and what it came to never.
"""

CLOSES_BY_NUMBER = 12
"""A share's close whose order an event has told is that one in the history, also where it was opened in the very
millisecond of the last that was known of the net. It counted as absent, as sent after the fill of another: what it had
closed was taken off all shares, as somebody's hand, the rest of its own was closed once more, and its result was lost.
"""

# --- 13 ---------------------------------------------------------------------------------------------------------------

RESTORES_ARE_KNOWN = 13
"""What copies have lost between the end of a restored log and the first look after its restore counts towards what
their leaders did in that time. A part that cmam itself had closed after the backup was a person's, and the leader's was
closed once more: a half became a quarter, and of a net the shares of other trades lost with it.
"""

NO_OLDER_THAN_GAPS = 13
"""What a gap has left to be told, and nothing says when it was, is as old as the gap is long: it happened after the
account was last in sight. It counted as of 1970, so that what a leader had added or opened around a cut was too old for
every follower where his broker gave no times and his history was refused for the moment.
"""

ENDS_TELL_PARTS = 13
"""What the order of a share's close has executed by its end is that share's, also where no deal told it. It was
nobody's: where it brought a net to flat, the share of the other side counted as closed by a person, and was no more.
"""

UNTIMED_AGAIN = 13
"""What tells no time and tells a deal that is known, or an order that has executed nothing yet, shows what was once. A
broker without times that tells all again a moment later gave a leader's position back what he had closed, or took away
what he had added, and his followers closed with it.
"""

# --- 14 ---------------------------------------------------------------------------------------------------------------

UNTIMED_HOLDS = 14
"""What a protective order tells without a time, or in the millisecond of what is known, moves levels, and nothing that
is held; and a deal that is known leads on from a look only where its history told it ahead of its event. Told again a
moment later, the acceptance of a stop gave a leader back what he had closed since, his followers bought it and sold it
again, and a copy counted as touched.
"""

PARTS_IN_ANY_ORDER = 14
"""Parts of an order that fill in one millisecond may be told in any order: one that shows less than is known, on the
way of what deals have not told yet, is of before, and one that leads on from it is not. Told the last first, a leader's
open counted as closed again but for a third, and a copy as taken by a person's hand.
"""

DEALS_OPEN = 14
"""What a deal has opened is held, also where the position beside it is shown as it was before, with nothing in it. The
open of a copy was confirmed and nobody's: the look found what stood under its label, and asked for a person.
"""

UNDECIDED_AT_BACKUPS = 14
"""What was on a leader's record by the backup and had not been decided, and what a link makes up for as it begins after
a restore, counts as what the first look after it tells; what a person takes of a copy after that is his. A follower out
of sight at the backup closed once more what had been closed since, and added once more. And of a copy whose parts are
rounded up, what it has below its target by one close of the least size was closed: it lost a step too many.
"""

LOOKALIKES_COUNT = 14
"""An open that counts as absent is not sent again where a position or an order without a label of ours has come since
that is just what was asked for: its broker may keep no names, and it was there twice, one of them nobody's.
"""

SWAPS_MOVE_NOTHING = 14
"""A swap that is told without a time, or in the millisecond of what is known, moves the swap of its position alone.
Told a moment late, it showed a copy as it was before it had grown: that was touched, and grew once more.
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

PARTS_OF_NOTHING = 15
"""Nothing opens while a guard's percentage is of nothing or less: of an account without money, or of an initial balance
of which more was taken out than it had. Limits of 0 and below held at once: who took out his gains had all closed.
"""

RANGES_IN_OWN_POINTS = 15
"""The range of a leader's stop-limit is as wide in price for a follower whose symbol has other digits: his 50 points of
five digits were 50 of four, ten times as far.
"""

ORDERS_WITH_POSITIONS = 15
"""An order that a leader lets rest with the number of a position which another has opened fills into that position: no
copy of it rests, and what it fills is growth or a part. It was copied twice, as that and as a position of its own.
"""

PARTS_ARE_OPENS = 15
"""Of an order that comes to light when it has filled in part no copy rests: its position is copied, and grows by what
the order fills next. All of it rested here beside that position, and filled a second time.
"""

QUOTES_OF_NOW = 15
"""A quote that is older than `input_max_age` carries no price, level or range from one broker to the other: that of the
follower, and of the leader where none of now is known. They were those of whenever one had come last.
"""

MOVED_IN_A_GAP = 15
"""Where the leader has moved his stop while the follower's line told nothing, and a person has moved or taken away the
copy's in the same gap, nothing tells who came last: the tighter one stands. The person's was pinned, and a copy whose
stop he had taken away before stayed without one.
"""

REDUCED_UNSEEN = 15
"""A net that stands is asked about also where an order of ours on its other side filled in a gap: what that realised
was in no sum, where the look showed as much of the net as before, or a net that nobody had seen yet.
"""

LATE_RESTS_ARE_TOLD = 15
"""What an open or an add has not bought of a copy's target when it fills too late is looked at once more, and told as
skipped: an add that was decided behind an open of unknown outcome was given up, and nothing on record said so.
"""

TRAILS_ONE_WAY = 15
"""A stop that is told to have trailed to where it would be looser than it is known to be moves nothing: no stop trails
back. It is of before, or goes on from a stop that was set and is not known yet. Taken as it was, the look behind it had
nothing to tell: a copy kept the nearer stop for good, though its leader had set a wider one. And what
answers an amendment of ours has moved the stop, whatever its time says: the next look took that for a person's hand.
"""

SHARES_ARE_PRICED = 15
"""A share of a net is closed at the price of what was dealt against its side, by its own request or by somebody else's
deal that it lost by, whether that made the net smaller or larger. Its open counted as a close where it made the net
smaller, and its close as none where that made it larger.
"""

UNLISTED_CODES = 15
"""A close, a cancel or an amendment that is refused with ALREADY_CLOSED or POSITION_NOT_FOUND_OR_NOT_OPENED has a look
taken, as with the codes of the API that say the same; and a refusal with an empty code is told as that. It was asked
again and again of what was there no more, until the next look.
"""

RESTS_TOLD_FILLED = 15
"""An order that rests and is told as filled with less executed than its volume rests on with what is left of it, as an
older page tells of parts. It counted as gone: its rest was cancelled no more when the leader's order had filled, and
filled here besides.
"""

LIMITED_IN_ONE = 15
"""What one order may not have is cut off at limited risk, where `volume.rounding` splits: no part can be added there.
The first part was opened for a target of all, so that a copy stayed as it was while its leader closed the half of his.
"""

NO_LEVELS_BELOW = 15
"""Nothing is opened for a stop that would lie at 0 or below, by `fixed_sl` or `sl_offset`, and no stop that is there is
given up for one; a target there is left out. A broker that takes such a distance protects nothing by it, and cmam took
the stop of a copy away where its leader's went there.
"""

GIVEN_UP_GUARANTEED = 15
"""What a share gives up against its net goes out at limited risk with a guaranteed stop, as each order there. It was
refused each time: the net stayed too small, and once the leader had closed all, shares were left that nothing ended.
"""

SHOWN_AHEAD = 15
"""A deal that comes without its position, behind the event of the protective order that shows what it left, is in that.
It was booked once more: a position counted as twice as large until the next look, and what its leader had not was
bought.
"""

ENDS_OPEN_NOTHING = 15
"""The end of an order that tells no time opens nothing that is closed: told again a moment later, it gave a net back
what had been closed since.
"""

RESTS_ALONE = 15
"""Of an order that comes to light when it has filled in part, and nothing is held of that any more, what is left of it
is copied. All of it rested here, and filled whole where the leader's rest filled later than ours.
"""

OPENS_ARE_AHEAD = 15
"""What an open has filled by a history that is younger than the snapshot before it is not gone: it was not there yet.
Where the fill was told a moment later, the copy counted as closed by a person, was found under its label, and closed.
"""

RESTS_REJECTED = 15
"""A copied order that rested and that the broker rejects, now or when it would fill, has ended as one that was refused:
what its leader's order fills is opened. It counted as closed by a person's hand, and the leader's trade was not copied.
"""

AMENDED_AS_HEARD = 15
"""An amendment that is heard, and whose order tells the time that it had before, is as old as its hearing: that broker
stamps no amendments. Of an order that was older than `max_age` a larger volume was not followed.
"""

REBUILT_SHARES_REJOIN = 15
"""Shares of a net that was flat go on in the position that a share which is taken into the record again has: it was
opened after the backup that the log came from. They stayed with the number of before, and once one of them was closed
the others were said to be closed by a person: what they had stood for stayed.
"""

ANOTHER_LIFES_ORDERS = 15
"""Of a restored log's nets each share is first what the orders under its name have made of it that the log never gave.
What a leader had added and closed of two positions was even in the net: the close was made once more. And what had been
added to the one side of a net was nobody's, a part of which stayed where shares of both sides ended.
"""

OPENED_IN_ANOTHER_LIFE = 15
"""What orders under its name have opened into a net for sources that a restored log does not know is theirs, until it
is taken into the record: no other share has lost it, none has gone because of it, and it ends with its leader's
position. It was nobody's: the others lost as much, or it stayed where shares of both sides ended.
"""

RULES = 15
"""The newest."""
