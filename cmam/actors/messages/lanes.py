"""What goes before all else where many actors share one thread."""

from __future__ import annotations

from cmam.actors.messages.accounts import LeaderChanged, LeaderHolds
from cmam.actors.messages.limiting import Blocked, Committed, Proved, SlotDue, Submit, Withdraw, Wrote
from cmam.actors.messages.lines import AnswersSeen, LeaderArrived, Write

CARRIER_LANES: dict[type, int] = {
    **dict.fromkeys((Submit, Committed, Withdraw, Write, Wrote, AnswersSeen, Proved, SlotDue, Blocked), 0),
    LeaderArrived: 1,
    **dict.fromkeys((LeaderChanged, LeaderHolds), 2),
}
"""What goes before all else on a carrier: requests on their way out, what takes them back, and all that lets the next
one go, then what leaders do, then what asks for a decision. Of these, what a leader tells a follower depends on its
order, so all of it is in one lane. What is said of frames follows from the line's coming up, and may overtake its end:
the limiter tells lines apart. An account's own frames keep their order, since a reader calls the same accounts leaders
to its end."""
