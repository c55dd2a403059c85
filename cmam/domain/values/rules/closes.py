"""Closes and parts."""

from __future__ import annotations

# --- 3 ----------------------------------------------------------------------------------------------------------------

CLOSES_ARE_TOLD = 3
"""A close whose deals have closed all that it asked for is done, also where its position has grown meanwhile."""

# --- 4 ----------------------------------------------------------------------------------------------------------------

CLOSES_APART = 4
"""A refused close has a delay of its own: no level of the leader's ends it, and no refused level holds a close up."""

# --- 5 ----------------------------------------------------------------------------------------------------------------

CLOSES_IN_PARTS = 5
"""A part that is larger than an order may be is closed in several; a whole that is refused for its size is, too."""

# --- 6 ----------------------------------------------------------------------------------------------------------------

SWEEPS_WAIT = 6
"""What is closed or cancelled and is no copy is asked for again after a delay of its own, not with each quote that is
put on record or with each execution, its own rejection among them; where neither was, it was not asked for again at
all."""

ADDED_BY_HAND = 6
"""What a person adds to a copy is left alone: a residue does not grow with it until a step of it is closed."""

ADDS_LEFT_OUT = 6
"""What a leader had includes adds that were not copied: what he closes while a profile is off is a part of it."""

# --- 10 ---------------------------------------------------------------------------------------------------------------

CLOSES_AS_SET = 10
"""What the leader closes is closed as the link is set then: `partial_rounding`, and the `max_lots_symbol` that no close
may make a net pass. A copy had both for life as they were when it was opened."""

# --- 16 ---------------------------------------------------------------------------------------------------------------

OPENS_AS_TURNED = 16
"""What is refused out of session is asked for again when the market opens, also where a zone's clock is set past the
opening, or back to before the end of a session; it was asked for up to a quarter of an hour later."""

# --- 17 ---------------------------------------------------------------------------------------------------------------

REFUSED_PARTS_ARE_READ = 17
"""Before the close of a part that was refused is asked for again, a look tells how much is left: a server may have done
it all the same. It was closed twice where the execution was not told, and where that was told behind the refusal it was
a person's, so that the copy followed with a smaller part and another part of it was closed.
"""

# --- 19 ---------------------------------------------------------------------------------------------------------------

CALLED_GONE_WAITS = 19
"""What is refused as of something that is gone, and is shown by the look for it, is asked for again after its delay.
The look ended that: a close, a cancel or a level was refused every five seconds for as long as it stood, and each look
put the whole account on record.
"""
