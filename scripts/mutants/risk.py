"""Invariants 4 and 5: nothing blocks a close; a guard reduces exposure, and no copy exceeds its policy."""

from __future__ import annotations

from mutants import LIFE, UNIT, Mutation

NETTING = UNIT + "domain/test_netting.py"
LEVELS = UNIT + "domain/test_levels.py"
SIZES = UNIT + "domain/test_sizes.py"
PENDINGS = UNIT + "domain/test_pendings.py"
CHANGED = UNIT + "domain/test_changed_settings.py"
SYNC = UNIT + "domain/test_sync.py"
GUARDS = UNIT + "domain/test_guards.py"
GATES = UNIT + "domain/test_gates.py"
BUDGET = UNIT + "openapi/test_budget.py"
BURSTS = "tests/scenario/test_bursts.py"

MUTATIONS = (
    Mutation(
        "a pause blocks a close",
        "cmam/domain/decide.py",
        "        case ChangeKind.CLOSED:\n            return decide_closed(view, live)",
        "        case ChangeKind.CLOSED:\n"
        "            return NO_COPY if inputs.standing.value == 'paused' else decide_closed(view, live)",
        (LIFE,),
    ),
    Mutation(
        "a latch blocks a partial close",
        "cmam/domain/decide.py",
        "            return decide_reduced(view, change, live)",
        "            return NO_COPY if view.latches else decide_reduced(view, change, live)",
        (GUARDS, GATES, LIFE, "tests/scenario/test_guards.py"),
    ),
    Mutation(
        "closes wait behind opens",
        "cmam/actors/desk.py",
        "CommandKind.CLOSE: Lane.CLOSE",
        "CommandKind.CLOSE: Lane.OPEN",
        (BURSTS,),
    ),
    Mutation(
        "opens use the slot that is kept for closes",
        "cmam/openapi/budget.py",
        "        return max(one, self._window.room_at(1, now_us, keep=RESERVED) - LEND_US)",
        "        return one",
        (BUDGET, "tests/property/openapi/test_budget_laws.py"),
    ),
    Mutation(
        "a close goes back when it is old",
        "cmam/openapi/lanes.py",
        "return self.not_after_us if self.lane.may_age else None",
        "return self.not_after_us",
        (BUDGET,),
    ),
    Mutation(
        "a close that was blocked waits longer each time",
        "cmam/openapi/budget.py",
        "pause.strikes + 1 if is_again and payload_type != catalogue.CLOSE_POSITION else 0",
        "pause.strikes + 1 if is_again else 0",
        (BUDGET,),
    ),
    Mutation(
        "a refused close is given up",
        "cmam/domain/intents.py",
        "refusals=refusals, retry_at_us=at_us + delay, trouble=trouble",
        "refusals=refusals, retry_at_us=1 << 62, trouble=trouble",
        (LIFE,),
    ),
    Mutation(
        "a close that the broker refuses raises no alert",
        "cmam/domain/timing.py",
        "    for kind, text in wanted.items():\n",
        "    for kind, text in ():\n",
        (LIFE,),
    ),
    Mutation(
        "opens starve the questions of an account that must reconcile",
        "cmam/openapi/budget.py",
        "QUESTION_TURN: Final = 5",
        "QUESTION_TURN: Final = 5_000_000",
        (BUDGET,),
    ),
    Mutation(
        "a guard increases exposure: a share's end raises the net above its cap",
        "cmam/domain/needs.py",
        "    if cap and position.volume + volume > cap:\n",
        "    if not cap and not copy:\n",
        (NETTING,),
    ),
    Mutation(
        "a latch lets opens through",
        "cmam/domain/gates.py",
        "            return Reason.FLATTENED if latch.guard == FLATTEN else Reason.GUARD\n",
        "            return None\n",
        (GUARDS, GATES),
    ),
    Mutation(
        "a guard that cannot see equity lets opens through",
        "cmam/domain/amounts.py",
        "        return Reason.EQUITY_UNKNOWN\n",
        "        return None\n",
        (GUARDS, GATES, UNIT + "domain"),
    ),
    Mutation(
        "a guard flattens on one wild quote",
        "cmam/domain/guards.py",
        "        if not is_confirmed:\n            continue\n",
        "",
        (GUARDS,),
    ),
    Mutation(
        "money that is taken out trips a guard",
        "cmam/domain/latches.py",
        "    delta = 0 if is_known else change.delta\n",
        "    delta = 0\n",
        (GUARDS,),
    ),
    Mutation(
        "flatten leaves what rests",
        "cmam/domain/latches.py",
        "            goal = replace(copy.goal, target_numerator=0, target_denominator=1, terms=None)\n"
        "            copies[key] = replace(copy, goal=goal, wait=None, ending=copy.ending or reason, retry_at_us=0)",
        "            goal = copy.goal if copy.order else replace(copy.goal, target_numerator=0, target_denominator=1)\n"
        "            copies[key] = replace(copy, goal=goal, wait=None, ending=copy.ending or reason, retry_at_us=0)",
        (GUARDS, "tests/scenario/test_profiles_flatten.py", "tests/scenario/test_rules_guards.py", "tests/chaos"),
    ),
    Mutation(
        "after a stop-out opens go on",
        "cmam/domain/latches.py",
        "    view = replace(view, latches={**view.latches, (event.link, STOP_OUT): latch})\n",
        "    del latch\n",
        (LIFE,),
    ),
    Mutation(
        "caps forget what is in flight",
        "cmam/domain/amounts.py",
        "(*held, *money.in_flight(view))",
        "held",
        (SIZES, GATES, UNIT + "domain"),
    ),
    Mutation(
        "the cap on positions forgets what rests and is in flight",
        "cmam/domain/amounts.py",
        "        count += sum(copy.position is None and",
        "        count += 0 * sum(copy.position is None and",
        (SIZES, GATES, UNIT + "domain"),
    ),
    Mutation(
        "margin forgets what is in flight",
        "cmam/domain/amounts.py",
        "    left = free - bound if bound else free\n",
        "    left = free\n",
        (SIZES, GATES, UNIT + "domain"),
    ),
    Mutation(
        "a volume is rounded up to the step",
        "cmam/domain/symbols.py",
        "        return Volume(floor_to(volume, self.step))",
        "        return Volume(floor_to(volume + self.step - 1, self.step))",
        (SIZES,),
    ),
    Mutation(
        "more than the excess is closed",
        "cmam/domain/needs.py",
        "    excess = spec.floor_volume(over // parts)\n",
        "    excess = Volume(ceil_to(-(-over // parts), spec.step))\n",
        (LIFE,),
    ),
    Mutation(
        "a netted residue is counted of a share that is still being filled",
        "cmam/domain/shares.py",
        "shares = tuple(share for share in shares_of(view, symbol) if abs(share.volume - share.target) < least)",
        "shares = shares_of(view, symbol)",
        (NETTING,),
    ),
    Mutation(
        "a netted residue is never given up",
        "cmam/domain/shares.py",
        "    if excess < max(spec.min_volume, 1):\n        return None\n",
        "    if excess < max(spec.min_volume, 1) or excess:\n        return None\n",
        (UNIT + "domain/test_shares.py",),
    ),
    Mutation(
        "what a person took off a copy is put back by the leader's next add",
        "cmam/domain/endings.py",
        "            if event.before > 0 and copy.is_wanted:\n",
        "            if event.before < 0:\n",
        (LIFE,),
    ),
    Mutation(
        "a person's stop is undone",
        "cmam/domain/endings.py",
        "pinned_stop=Price(event.after) if copy.goal.pins else None, applied=None",
        "pinned_stop=None, applied=None",
        (LEVELS,),
    ),
    Mutation(
        "the stop that a resting order carried is asked for again at its fill",
        "cmam/domain/booking.py",
        "        if is_fill and view.rules >= OWN_LEVELS:",
        "        if False:",
        (PENDINGS, LEVELS),
    ),
    Mutation(
        "the stop that the broker sets late is a person's",
        "cmam/domain/touching.py",
        "    return fact.is_server_event and (is_first or at_us <= was.levels_until_us)",
        "    return False",
        (PENDINGS, LEVELS),
    ),
    Mutation(
        "a stop that came to light after a cut line is a person's",
        "cmam/domain/timing.py",
        " and view.health is Health.RECONCILED:",
        ":",
        (LEVELS,),
    ),
    Mutation(
        "levels that the leader moved while the profile was off are forgotten",
        "cmam/domain/sync.py",
        "            found.extend(_levels(leader, view, settings, quote_of))",
        "            pass",
        (SYNC,),
    ),
    Mutation(
        "a person's target is undone",
        "cmam/domain/endings.py",
        "pinned_target=Price(event.after) if copy.goal.pins else None, applied=None",
        "pinned_target=None, applied=None",
        (LEVELS,),
    ),
    Mutation(
        "a leader's looser stop takes a person's away",
        "cmam/domain/intents.py",
        "copy = replace(copy, pinned_stop=None if is_tighter else copy.pinned_stop)",
        "copy = replace(copy, pinned_stop=None)",
        (LEVELS,),
    ),
    Mutation(
        "the leader's protection is applied to the wrong side in reverse",
        "cmam/domain/levels.py",
        "        stop, target = target, stop\n",
        "        pass\n",
        (LEVELS,),
    ),
    Mutation(
        "a copy gets the leader's price and not its own shift",
        "cmam/domain/levels.py",
        "    shift = goal.shift or 0\n    stop = None",
        "    shift = 0\n    stop = None",
        (LEVELS,),
    ),
    Mutation(
        "an amend loosens a trailing stop",
        "cmam/domain/needs.py",
        "        stop = stop if is_new else tighter(copy.side, stop, position.stop)\n",
        "",
        (LEVELS,),
    ),
    Mutation(
        "an open whose stop is too near goes out",
        "cmam/domain/carrying.py",
        "    if draft.policy.bad_stop is BadStop.SKIP:\n        return Reason.STOP_TOO_CLOSE\n",
        "    if draft.policy.bad_stop is BadStop.SKIP:\n        return None\n",
        (LEVELS,),
    ),
    Mutation(
        "a copy whose stop the market has passed stays",
        "cmam/domain/attempts.py",
        '            yield CopyOverdue(link=copy.link, source=copy.source, what="stop_passed")\n',
        "            yield from ()\n",
        (LEVELS, UNIT + "domain/test_waiting.py", UNIT + "domain"),
    ),
    Mutation(
        "what an old change is worth is not asked",
        "cmam/domain/gates.py",
        "return Reason.TOO_OLD if draft.age_ms > draft.max_age_ms else None",
        "return None",
        (GATES,),
    ),
    Mutation(
        "a copy's levels change places when its link is reversed afterwards",
        "cmam/domain/draft.py",
        "copy.wait is not Wait.TURN and self.view.rules >= SIDES_ARE_KEPT:",
        "copy.wait is Wait.TURN:",
        (CHANGED,),
    ),
    Mutation(
        "a stop that is no longer copied is taken away",
        "cmam/domain/needs.py",
        "    stop = position.stop if goal.keeps_stop else found.stop",
        "    stop = found.stop",
        (CHANGED,),
    ),
    Mutation(
        "an add makes a copy larger than volume.max",
        "cmam/domain/opens.py",
        "    if most is not None and grown > most:",
        "    if most is not None and grown < 0:",
        (CHANGED,),
    ),
    Mutation(
        "an order is placed as it was before its leader amended it",
        "cmam/domain/intents.py",
        "        case ChangeKind.ORDER_AMENDED if _is_unplaced(view, known):",
        "        case ChangeKind.ORDER_AMENDED if not known.source:",
        (CHANGED,),
    ),
    Mutation(
        "a share whose net went flat and came again has no stop",
        "cmam/domain/shares.py",
        "    return replace(share, position=position, applied=None)",
        "    return replace(share, position=position)",
        (NETTING,),
    ),
    Mutation(
        "what ended with its position is taken off a share of the next",
        "cmam/domain/shares.py",
        "    gone = [share for share in losing if share.position not in view.positions]",
        "    gone: list[Copy] = []",
        (NETTING,),
    ),
    Mutation(
        "a stop that the broker trailed for the leader loosens a copy's",
        "cmam/domain/decide.py",
        "    if draft.view.rules < TRAILED_IS_NOT_SET or told is None:",
        "    if draft.view.rules:",
        (LEVELS,),
    ),
)
