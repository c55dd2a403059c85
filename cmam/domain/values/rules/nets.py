"""Netted accounts: several copies in one position, and leaders who have one."""

from __future__ import annotations

# --- 3 ----------------------------------------------------------------------------------------------------------------

NETS_ARE_PINNED = 3
"""A person's level on a net is respected as on any other position."""

ONE_SHARE_TARGETS = 3
"""A net has a target only while one share is all there is, on either side."""

LEVELS_OF_A_NET = 3
"""Levels that were confirmed for one position of a netted account do not count as confirmed for the next."""

GONE_WITH_ITS_POSITION = 3
"""What a net has lost is first of all what its shares had of a position that is gone."""

# --- 4 ----------------------------------------------------------------------------------------------------------------

REFUSED_OPENS = 4
"""What a share may not give up against its net counts as no refused open."""

NETS_IN_DOUBT = 4
"""While a copied order may have filled into a net unseen, the net's levels may be those that it carried."""

# --- 5 ----------------------------------------------------------------------------------------------------------------

APPLIED_TO_NETS = 5
"""What was applied to a net was applied for each of its shares: one that is alone again has its own levels again, and
one that is closing, however long, has none that count beside theirs."""

TURNED_NETS = 5
"""A net that has turned is a position of its shares: what happens to it without a request of ours concerns them,
and shares that are closing and too small to be closed one by one are closed with it."""

# --- 7 ----------------------------------------------------------------------------------------------------------------

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

WHAT_TRAILS = 10
"""Where a stop has trailed to is told of what trails. Told late of a net that had turned under its number, it was taken
for the stop of what the leader had turned to, lay beyond the market, and closed the copies.
"""

# --- 11 ---------------------------------------------------------------------------------------------------------------

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

# --- 15 ---------------------------------------------------------------------------------------------------------------

REDUCED_UNSEEN = 15
"""A net that stands is asked about also where an order of ours on its other side filled in a gap: what that realised
was in no sum, where the look showed as much of the net as before, or a net that nobody had seen yet.
"""

SHARES_ARE_PRICED = 15
"""A share of a net is closed at the price of what was dealt against its side, by its own request or by somebody else's
deal that it lost by, whether that made the net smaller or larger. Its open counted as a close where it made the net
smaller, and its close as none where that made it larger.
"""

GIVEN_UP_GUARANTEED = 15
"""What a share gives up against its net goes out at limited risk with a guaranteed stop, as each order there. It was
refused each time: the net stayed too small, and once the leader had closed all, shares were left that nothing ended.
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

# --- 16 ---------------------------------------------------------------------------------------------------------------

DEALS_TAKE_NETS = 16
"""The end of a protective order does not take its net away, though it shows it gone: the deal that did may be told
behind it, and may be that of a share's order. The shares counted as closed by a person, that of the order too where it
had rested, and what the net had turned into was nobody's: it stayed, and nothing was copied into its symbol any more.
"""

ORDERS_STAND_STILL = 16
"""An order that shows no later time than that of its opening does not tell whether a net is as old as its last part:
what the net lacks of it is waited for until the settling time. It counted as taken by a person where the snapshot was
told between the parts and the history after them, and the copy followed with a smaller part from then on.
"""

# --- 17 ---------------------------------------------------------------------------------------------------------------

CLOSES_END_SHORT = 17
"""A share's close of which the net has less left when it executes is at its end with what it closed, also where the
broker's history tells that after a gap, and where the broker makes the order smaller and tells it filled. It counted as
absent, what it had closed as taken by a person off the share whose order had been faster: that copy was said to be
closed by hand, and stayed closed while its leader held on. A smaller one that was told on the line was waited for until
its time was out; and what was left was asked for a second later, with an alert that the broker refused to close.
"""

# --- 19 ---------------------------------------------------------------------------------------------------------------

LAST_PARTS_OF_RESTS = 19
"""The last part of a share's resting order, which only the end of that tells of, is the share's also where another one
had filled before. It was nobody's: it stayed when the leader closed, as what somebody had added beside.
"""

OPENED_SINCE_ANEW = 19
"""Of a restored log's net that was flat, and that an order has opened again for a source which the log does not know,
what it holds beyond its shares is what those of the other side have lost meanwhile. It was nobody's: an alert told that
somebody had added it, and no share had lost what a person had closed.
"""
