"""Orders that rest."""

from __future__ import annotations

# --- 3 ----------------------------------------------------------------------------------------------------------------

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

# --- 4 ----------------------------------------------------------------------------------------------------------------

PEOPLE_SHRINK = 4
"""What a person has taken off a copied order that rests is not made up where it goes to market instead."""

GROWN_ORDERS = 4
"""A resting order that grows is counted once, as large as it is to be, from the moment it is asked for."""

WHOLE_TERMS = 4
"""How a resting order is triggered, its guarantee and a stop-limit's range are terms that are amended as all others."""

WAITS_END = 4
"""A copy whose resting order has ended ends with its source, whatever price or cancel it still waits for."""

# --- 5 ----------------------------------------------------------------------------------------------------------------

GROWN_AS_OPENED = 5
"""A resting order grows as far as an open of its size would be made now; it did not grow at all where that was less."""

# --- 6 ----------------------------------------------------------------------------------------------------------------

FILLED_AND_GONE = 6
"""A pending order of the leader that has filled out of sight into what is closed again ends its copies that rest."""

# --- 7 ----------------------------------------------------------------------------------------------------------------

FILLS_IN_VAIN = 7
"""What the leader's order has filled and the copy's has not, and a gate does not let be added, is given up: the copy
kept the whole as its target, and closed nothing with him until he had less than it held."""

AMENDS_WAIT = 7
"""A pending order that its leader amends before our quotes are there rests as it is until they are: it was cancelled,
for good."""

# --- 9 ----------------------------------------------------------------------------------------------------------------

GROWN_WHILE_RESTING = 9
"""What a leader adds after his order has filled and before that of his follower has is added once it has filled: where
that filled whole, nobody asked for it any more."""

ORDERS_KEEP_LEVELS = 9
"""A resting order that is amended with its leader's keeps a level that is not copied, and a person's that is nearer;
both move with its price. They were taken away with his next amendment, and the order could fill bare."""

# --- 10 ---------------------------------------------------------------------------------------------------------------

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

# --- 11 ---------------------------------------------------------------------------------------------------------------

AMENDED_AS_ALLOWED = 11
"""A resting order that its leader amends has no more than its symbol allows by now: where that had been lowered, each
amendment was refused, and the order stayed where the leader's had been."""

# --- 15 ---------------------------------------------------------------------------------------------------------------

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

RESTS_TOLD_FILLED = 15
"""An order that rests and is told as filled with less executed than its volume rests on with what is left of it, as an
older page tells of parts. It counted as gone: its rest was cancelled no more when the leader's order had filled, and
filled here besides.
"""

RESTS_ALONE = 15
"""Of an order that comes to light when it has filled in part, and nothing is held of that any more, what is left of it
is copied. All of it rested here, and filled whole where the leader's rest filled later than ours.
"""

RESTS_REJECTED = 15
"""A copied order that rested and that the broker rejects, now or when it would fill, has ended as one that was refused:
what its leader's order fills is opened. It counted as closed by a person's hand, and the leader's trade was not copied.
"""

AMENDED_AS_HEARD = 15
"""An amendment that is heard, and whose order tells the time that it had before, is as old as its hearing: that broker
stamps no amendments. Of an order that was older than `max_age` a larger volume was not followed.
"""

# --- 16 ---------------------------------------------------------------------------------------------------------------

RESTS_EXPIRED = 16
"""A copied order that the broker tells expired has expired, also where its leader's has a later hour by then, or none,
and the change had not arrived: what his order fills is opened. It counted as closed by a person's hand, and the
leader's trade was not copied.
"""

# --- 18 ---------------------------------------------------------------------------------------------------------------

RESTS_OUTLIVE_COPIES = 18
"""What rests of a copy whose filled part has been closed, and whose cancel was refused, or lost, is cancelled again
until it is gone; what of it fills first is closed. The copy was over with its position, nobody asked again, and the
rest could fill for nobody.
"""

ENDED_IN_PART = 18
"""An order that is told as ended, with a part executed and no deal of that, has filled that part: its copy holds it.
The copy counted as never filled and was over, and the position stood for nobody. What a person cancelled of such an
order, before anybody had told of the part, is not made up: after a cut it was bought at the market.
"""

# --- 19 ---------------------------------------------------------------------------------------------------------------

AMENDED_BY_RISK = 19
"""An order that is sized by its stop shrinks where its leader moves that farther away before it fills, and ends where
he takes it away. It kept its size: of 1 % at a stop of 20 pips, moved to 100, 5 % were lost.
"""

QUIET_AMENDS_WAIT = 19
"""An amendment in a symbol of which nothing was quoted for `input_max_age` waits for the next quote: the order rests as
it was. It was cancelled at once, as `stale_input`, though its leader had only moved his stop.
"""

LOCKED_OUT_ORDERS = 19
"""A resting copy that a guard, a stop-out or a flatten has cancelled is over, as one that they have closed. Once the
link was re-armed, or its day had rolled, what its leader's order filled was bought at the market.
"""

FILLED_BEFORE_AMENDED = 19
"""What rests of a copied order that has filled all it is to be amended to is cancelled: the part filled while the
amendment was on its way. A broker refuses such a one, it was asked for again and again, and the rest could fill beside.
"""

AHEAD_AS_OPENED = 19
"""Where ours has filled and the leader makes his order larger, the copy grows no further than an open would now: past
`volume.max`, or a fixed size, it was bought in proportion. So it is also where a part of his has filled by then, of
which the copy stayed as small as the order had been.
"""
