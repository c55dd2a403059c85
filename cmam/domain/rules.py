"""By which rules an account's record is derived: what was derived once is derived the same for ever.

Where a later cmam derives something else from the same facts, `RULES` is counted up, a name for the change is written
here, and the place that changed asks the view whether that name holds. Each account notes in its record from where on
it does (`RulesBegan`); all before it, and a record that has no such note, is derived as it was.
"""

from __future__ import annotations

OWN_LEVELS = 2
"""The levels that a resting order carried are awaited from its fill on, and the broker's own when it sets them; levels
that we have applied are ours, whenever they come to light."""

ORDER_ORIGINS = 2
"""A position that came out of sight and of no deal we know came of the resting order that had its number."""

OWN_REQUESTS = 2
"""Of what has come or gone in a gap, all our requests of unknown outcome come first, and the rest is a person's."""

DEALS_COUNT = 2
"""A new deal that leads from what is known to what is shown is believed, though the broker's clock says it is old; and
what deals have added counts as held, whatever the position shows."""

PARTS_FILL_ON = 2
"""An open of unknown outcome of which a reconcile shows a part may be filling still: its rest is not opened again."""

SIDES_ARE_KEPT = 3
"""A copy keeps its side for life: where `reverse` is set otherwise afterwards, none of its levels change places."""

UNCOPIED_LEVELS_STAY = 3
"""A level that is not copied is what the copy's position shows: nobody takes it away."""

AMENDED_BEFORE_PLACED = 3
"""What a leader makes of his order before its copy rests is what is placed, however late."""

ADDS_ARE_BOUNDED = 3
"""`volume.max` bounds a copy with all its adds, and not each add by itself."""

LEVELS_OF_A_NET = 3
"""Levels that were confirmed for one position of a netted account do not count as confirmed for the next."""

GONE_WITH_ITS_POSITION = 3
"""What a net has lost is first of all what its shares had of a position that is gone."""

TRAILED_IS_NOT_SET = 3
"""A stop that the broker trailed for the leader is not one that he has set: only his own hand loosens a copy's."""

RULES = 3
"""The newest."""
