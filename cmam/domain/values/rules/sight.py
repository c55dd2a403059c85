"""What comes to light late, twice or in part: looks, gaps, histories, restores, and a broker's word told again."""

from __future__ import annotations

# --- 2 ----------------------------------------------------------------------------------------------------------------

ORDER_ORIGINS = 2
"""A position that came out of sight and of no deal we know came of the resting order that had its number."""

OWN_REQUESTS = 2
"""Of what has come or gone in a gap, all our requests of unknown outcome come first, and the rest is a person's."""

DEALS_COUNT = 2
"""A new deal that leads from what is known to what is shown is believed, though the broker's clock says it is old; and
what deals have added counts as held, whatever the position shows."""

PARTS_FILL_ON = 2
"""An open of unknown outcome of which a reconcile shows a part may be filling still: its rest is not opened again."""

# --- 3 ----------------------------------------------------------------------------------------------------------------

STANDS_AGAIN = 3
"""What is told of a position that was emptied and stands again, all within a millisecond, is believed."""

# --- 5 ----------------------------------------------------------------------------------------------------------------

REFUSED_YET_DONE = 5
"""An open that was refused and is done all the same is the copy where there is none yet, and is taken back where there
is."""

# --- 6 ----------------------------------------------------------------------------------------------------------------

PROTECTION_OPENS_NOTHING = 6
"""What a leader's position has grown by, or turned to, is no protective order's, though it was told first with one:
such orders are among no `order_types`, and what had grown was never copied."""

# --- 7 ----------------------------------------------------------------------------------------------------------------

TOLD_AFTERWARDS = 7
"""What went of a copy without a deal that told its price is noted, asked about when there is room, and told then; it
ended without a price, and a stop-out of which nobody knew locked nothing."""

TAKEN_BEFORE_SEEN = 7
"""What somebody has closed of a copy before it came to light is told by its order, which had filled more, and is
respected: it was taken for a partial fill, and bought again."""

FILLS_ARE_SHOWN = 7
"""What an open or an add has filled out of sight is noted on it, by its position and its order. What somebody closed of
the position in the same gap is respected: it was taken for a partial fill, and bought again."""

# --- 8 ----------------------------------------------------------------------------------------------------------------

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

# --- 9 ----------------------------------------------------------------------------------------------------------------

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

# --- 10 ---------------------------------------------------------------------------------------------------------------

OPENS_HAVE_NUMBERS = 10
"""What opens or is to rest is confirmed by a report that tells the position or names the order: where it came without,
nobody knew the number, and it stayed at the broker whatever its leader did."""

HISTORY_IS_AHEAD = 10
"""An open of which the history knows a larger fill than the snapshot before it shows is open still: its other parts are
told yet. It counted as done, each further part as a person's, and the copy stayed as small as it had been seen."""

# --- 11 ---------------------------------------------------------------------------------------------------------------

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

# --- 12 ---------------------------------------------------------------------------------------------------------------

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

SHOWN_AHEAD = 15
"""A deal that comes without its position, behind the event of the protective order that shows what it left, is in that.
It was booked once more: a position counted as twice as large until the next look, and what its leader had not was
bought.
"""

ENDS_OPEN_NOTHING = 15
"""The end of an order that tells no time opens nothing that is closed: told again a moment later, it gave a net back
what had been closed since.
"""

OPENS_ARE_AHEAD = 15
"""What an open has filled by a history that is younger than the snapshot before it is not gone: it was not there yet.
Where the fill was told a moment later, the copy counted as closed by a person, was found under its label, and closed.
"""

# --- 16 ---------------------------------------------------------------------------------------------------------------

GAPS_TO_COME = 16
"""What a gap has left without any time is of no known age where the gap began at a moment that is yet to come, since
the clock was set back between two lives. It was younger than nothing at all, and never too old to open.
"""

GROWTH_IS_NO_ABSENCE = 16
"""An add of which no order is found has been done all the same where its position holds all that was asked for on top
of what it held before. It counted as absent, and what it had added was closed again as too much.
"""

PROOFS_ARE_APART = 16
"""Each request of unknown outcome has its own proof: a look without the orders of the past proves what a snapshot alone
shows, and nothing of opens. A close that was lost waited for a history that an open on its account needed, for as long
as the server refused it.
"""

# --- 17 ---------------------------------------------------------------------------------------------------------------

ACCEPTED_SHOW_AHEAD = 17
"""A position that the acceptance of an order shows moved has been moved by a deal that is yet to be told. Told behind
the fill of that order, the deal counted once more: a position was taken for larger than it was until the next look, and
closes of more than was held were asked for; or it counted as undone, and what a person was taken to have added stayed.
"""

CORRECTIONS_OPEN_NOTHING = 17
"""What is told of a position that is not known, with neither deal nor order and under a word that is not of orders, as
a swap under a word of no schema, leaves that to be told by the next look. What a leader had opened unseen was held from
then on without being told to anybody, and never copied.
"""

OWN_SHOWN_BEFORE = 17
"""A deal of ours that comes without its position behind a look that tells no times is in that where the position has
moved by all that its request has executed. It was booked once more: a copy that had grown counted as larger than it
was, was cut back to what it should be, and stayed smaller than that. An acceptance that comes between the two does not
end such a request: its fill does.
"""

SHOWN_IS_THERE = 17
"""What the position of a copy shows ahead of its deals is no longer on its way to it by an add whose outcome is not
known. It counted twice where the answer to the add was lost and the event of a part's close showed it done: that much
too little was added with the leader's next add, and what lacked was given up.
"""

FILLED_ONCE = 17
"""The deal of an add that a look has shown filled while its request was open, told with the position of before a close
that came in between, moves nothing. The older position was taken for the newest: the copy counted as larger by the add,
and as much was closed of it once more, which could be all.
"""

REFUSED_FOLLOW = 17
"""Of an open that was refused for now, and of which the leader has closed a part before it was tried again, that part
is closed where it was done all the same. It was held whole, and what the leader added was added to the whole.
"""

# --- 18 ---------------------------------------------------------------------------------------------------------------

TAKEN_SINCE_READ = 18
"""What a person closes of an open whose answer was lost, between the history and the snapshot of the look for it, is
not opened again: the order was done whole, and its position has less. It was taken for what the order had not filled.
"""

SWAPS_TRADE_NOTHING = 18
"""A swap that shows more or less of a leader's position than is known leaves that to be told by the deal that is yet to
come, or by the next look. It counted as the broker's correction: what the leader had added or closed around a cut,
where the first look knew the deal and showed the position as before, was never told to anybody.
"""

UNTIMED_SHOW_AHEAD = 18
"""A leader's deal that comes without its position, a moment behind a look that tells no times and shows it, is in that.
It was booked once more: an open was told as an add besides, an add or a part twice, until the next look took it back.
"""

SWAPS_LOOSEN_NOTHING = 18
"""A swap that shows a stop as it was before it trailed takes it not back, whatever its time says. The copy counted as
touched, and its leader's stop was told as loosened; what was really set is told by the next look.
"""

# --- 19 ---------------------------------------------------------------------------------------------------------------

OLD_AS_BEGUN = 19
"""What a leader has opened or turned out of sight is as old as the deal that did it, and of that one's order and price,
whatever he has added to it or closed of it since. It was told of the last deal: where he had closed a part a moment
before the line was back, an open of hours ago passed for a young one, and was copied.
"""

ORIGINS_OF_FILLS = 19
"""The order that has opened a leader's position is known also where its fill is told without the deal, or a history
tells that while the snapshot beside it is of before. It was told as an open of no order: besides the copy of the order,
which rested on, another one was opened.
"""

BARE_WORDS_TRADE_NOTHING = 19
"""An event without its deal, whose word no schema has or that tells no order either, and that shows another volume of a
position, is of before where no time says that it is news. Behind a snapshot that was ahead of it, a leader's position
counted as large as it had been, and its next parts were copied once more.
"""
