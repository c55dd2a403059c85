"""Stops and targets: whose they are, where they lie, and when they are set."""

from __future__ import annotations

# --- 2 ----------------------------------------------------------------------------------------------------------------

OWN_LEVELS = 2
"""The levels that a resting order carried are awaited from its fill on, and the broker's own when it sets them; levels
that we have applied are ours, whenever they come to light."""

# --- 3 ----------------------------------------------------------------------------------------------------------------

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

# --- 4 ----------------------------------------------------------------------------------------------------------------

CARRIED_LEVELS = 4
"""What an open carried to the broker is what its request carried, however far from its leader's price it filled, and
wherever he has moved his levels since."""

SHIFTS_RETURN = 4
"""A copy whose link copies levels by price for a while has its own shift again afterwards."""

TURNED_TRAILING = 4
"""The target of a reversed copy follows the leader's trailing stop, for which it stands."""

# --- 6 ----------------------------------------------------------------------------------------------------------------

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

# --- 7 ----------------------------------------------------------------------------------------------------------------

BARE_ARE_LATE = 7
"""A late open that has no levels yet is carried by the two quotes as well, so that those which the leader sets later
lie where his are; they lay as far away as the market had moved since his open."""

QUOTES_AFTER_FILLS = 7
"""Whether the market has passed a level is told by quotes that are younger than the copy's fill: where it jumped, and
the fill was told ahead of the new quote, the old one closed the copy."""

# --- 8 ----------------------------------------------------------------------------------------------------------------

TRAILED_ON = 8
"""A trailing stop goes back by no event that was told before the snapshot which shows it where it is: the older place
was taken for a person's, and pinned."""

# --- 9 ----------------------------------------------------------------------------------------------------------------

TRAILED_BEFORE = 9
"""A word of a trailing stop that is older than the last change of its position moves nothing: a stop that somebody had
set since then was taken for moved again, and copies were tightened to where it had been."""

LOOSENED_AT_ONCE = 9
"""A trailing stop that is loosened in the very millisecond in which it was set, or before a broker that tells no times,
is looser: it was taken for an older place of what had trailed on, and the copy kept the tighter one."""

FIXED_STOPS_TRAILED = 9
"""A `fixed_sl` that has trailed stays where it has come to when the leader's trailing ends, as any stop does: it went
back to where it was opened."""

# --- 10 ---------------------------------------------------------------------------------------------------------------

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

# --- 11 ---------------------------------------------------------------------------------------------------------------

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

# --- 12 ---------------------------------------------------------------------------------------------------------------

EITHER_IS_NEAR = 12
"""A target that was refused together with a stop is told as such. It was said to be too near to the market itself, also
far from it, where a guaranteed stop, or one that the market had come near to, was what the broker refused.
"""

LEVELS_ARE_SHOWN = 12
"""An amendment that the position shows is done, whoever is named with it, and also where its stop has trailed on since.
It was asked for again and again, and each time the stop went back to where it had begun to trail.
"""

# --- 15 ---------------------------------------------------------------------------------------------------------------

MOVED_IN_A_GAP = 15
"""Where the leader has moved his stop while the follower's line told nothing, and a person has moved or taken away the
copy's in the same gap, nothing tells who came last: the tighter one stands. The person's was pinned, and a copy whose
stop he had taken away before stayed without one.
"""

TRAILS_ONE_WAY = 15
"""A stop that is told to have trailed to where it would be looser than it is known to be moves nothing: no stop trails
back. It is of before, or goes on from a stop that was set and is not known yet. Taken as it was, the look behind it had
nothing to tell: a copy kept the nearer stop for good, though its leader had set a wider one. And what
answers an amendment of ours has moved the stop, whatever its time says: the next look took that for a person's hand.
"""

NO_LEVELS_BELOW = 15
"""Nothing is opened for a stop that would lie at 0 or below, by `fixed_sl` or `sl_offset`, and no stop that is there is
given up for one; a target there is left out. A broker that takes such a distance protects nothing by it, and cmam took
the stop of a copy away where its leader's went there.
"""

# --- 17 ---------------------------------------------------------------------------------------------------------------

WIDE_FROM_FILLS = 17
"""A widened stop is as wide from where its copy filled, also with `levels=price` and where an open is late. It stayed
where it was wide from the market of the decision: behind a better fill it was asked for again nearer than the broker
takes, refused, and told as refused; behind a worse one more money was at risk than was counted.
"""

NO_LEVELS_BELOW_HERE = 17
"""Whether a stop or target would lie at 0 or below is judged by the follower's own market, also with `levels=shift`. It
was by the leader's price: a buy in a symbol that is quoted at a tenth of his opened with a stop further away than its
whole price, and nothing protected it; and in one that is quoted ten times as high a wide `fixed_sl` opened nothing.
"""

# --- 18 ---------------------------------------------------------------------------------------------------------------

SHOWN_BY_OURS = 18
"""A stop or target that a person has set, and that the answer to an add or a close of ours shows first, is a person's.
Where the event about it was lost or late, it was taken for our own that had moved, and amended away.
"""

# --- 19 ---------------------------------------------------------------------------------------------------------------

LEVELS_ON_TICKS = 19
"""A level that a broker has set between two ticks goes out on one beside another that is amended. It went out as it
was, each try was refused, and the other level never came: on a net of both sides a target stayed that closes all.
"""
