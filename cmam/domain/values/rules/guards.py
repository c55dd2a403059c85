"""Guards, stop-outs and results."""

from __future__ import annotations

# --- 3 ----------------------------------------------------------------------------------------------------------------

CLOSE_ONLY_KEEPS = 3
"""Under a latch that only closes, no stop is taken away."""

WHOLE_ACCOUNT = 3
"""A latch of the whole account cancels what rests for any of its links, lets no stop be loosened there, closes also an
account that follows nobody, and sweeps it no longer than it stands itself."""

DAYS_ANEW = 3
"""A day that a person begins anew keeps the initial balance and the heights of all days."""

LATCH_TOLD = 3
"""A decision that a latch has made tells its money in the account's currency, and its refusals as a number."""

# --- 4 ----------------------------------------------------------------------------------------------------------------

STOP_OUTS_LATCH = 4
"""A stop-out locks its link wherever it comes to light, on a net too and where it took a whole copy out of sight; what
rests for the link ends with it."""

# --- 7 ----------------------------------------------------------------------------------------------------------------

RESULTS_OUTDATED = 7
"""The broker's results from before a gap in which something was dealt say nothing of equity: what was closed of a
position counted twice."""

# --- 8 ----------------------------------------------------------------------------------------------------------------

STOP_OUTS_ANYHOW = 8
"""A stop-out locks its link also where the end of the protective order was told ahead of its fill, and with it that the
position is smaller, or gone: then the fill changed nothing more, and the link opened on."""

NAMED_AS_SET = 8
"""`guard.initial` that is set to exactly the balance which the guards saw first is counted from, too, though money has
moved since: it was taken for that one, moved with the money."""

REFUSED_PLACINGS = 8
"""A pending order that is refused, or taken, counts in `max_rejections` as any open: of a leader who trades by orders
alone none did, however many were refused."""

# --- 9 ----------------------------------------------------------------------------------------------------------------

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

# --- 11 ---------------------------------------------------------------------------------------------------------------

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

# --- 15 ---------------------------------------------------------------------------------------------------------------

PARTS_OF_NOTHING = 15
"""Nothing opens while a guard's percentage is of nothing or less: of an account without money, or of an initial balance
of which more was taken out than it had. Limits of 0 and below held at once: who took out his gains had all closed.
"""

# --- 16 ---------------------------------------------------------------------------------------------------------------

LOCKED_WHEN_FOUND = 16
"""A copy that a look takes into the record is met by the latches that stand: those of the whole account close it too,
and what rests of it is cancelled. On an account that another profile's guard had flattened it was kept for good where
its first close was refused, and an order of it could fill into a locked account.
"""

LOCKS_END_IN_TIME = 16
"""A lock that ends with its day ends no later than the day that begins in the place of one of a wrong clock, and the
pause after rejections lasts as long as it would have where the clock is set back between two lives. Both ended when the
clock had come to where it was: hours or months later.
"""

# --- 19 ---------------------------------------------------------------------------------------------------------------

HEIGHTS_ARE_SEEN = 19
"""The height of a day that began unseen is the highest equity that was seen of it, not what its losses count from. By
`guard.anchor=balance` that was the balance, whatever was open: who held a loss as large as `daily_drawdown` over the
reset had it closed at once; and what had been seen of the day was forgotten.
"""

RESULTS_OF_ONE_CLOCK = 19
"""The broker's own results of what is held stand for nothing once the clock was set back between two lives. Told before
that, they counted as of now until the clock had come to where it was: guards and sizes went by them, and where a quote
was missing nobody asked for others.
"""
