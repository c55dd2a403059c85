"""Invariant 2: never twice. Unknown outcomes, absence, dedupes, other copiers."""

from __future__ import annotations

from mutants import LIFE, UNIT, Mutation

SETTLING = "cmam/domain/turns/settling.py"
LOOKS = "cmam/domain/turns/settling_by_looks.py"
PROOFS = "cmam/domain/belief/proofs.py"
ADDS = UNIT + "domain/test_adds.py"
SHARES = UNIT + "domain/test_shares.py"
TWINS = "tests/scenario/test_twins.py"
HOLDINGS = UNIT + "domain/test_holdings.py"
DEATHS = "tests/scenario/test_actors_deaths.py"
REFUSED = "tests/scenario/test_refused_yet_done.py"
PENDINGS = UNIT + "domain/test_pendings.py"

MUTATIONS = (
    Mutation(
        "two adds of unknown outcome are a person's where both have filled",
        "cmam/domain/turns/touching.py",
        "        return least <= now.volume <= most",
        "        return now.volume - was.volume in [i.command.volume for i in before.intents_of(was.key)]",
        (ADDS,),
    ),
    Mutation(
        "the rest of an open that is filling still is opened again",
        LOOKS,
        "    if is_careful and copy is not None",
        "    if False and copy is not None",
        (LIFE,),
    ),
    Mutation(
        "a fill with an older time than what is known is not believed",
        "cmam/domain/belief/holdings.py",
        "    is_straight = shown == held + moved",
        "    is_straight = False",
        (HOLDINGS,),
    ),
    Mutation(
        "what a late event tells is counted although it is in what is known",
        "cmam/domain/belief/holdings.py",
        "    if untold:\n        return",
        "    if False:\n        return",
        (HOLDINGS,),
    ),
    Mutation(
        "an add whose fill the position does not show is sent again",
        "cmam/domain/belief/view.py",
        "        return max(0, -self.untold.get(copy.position, 0) * copy.side.sign)",
        "        return 0",
        (ADDS,),
    ),
    Mutation(
        "a fill out of sight is an open of its own beside the copied order",
        "cmam/domain/folds/account.py",
        "        if position is not None and position in view.positions and position not in view.origins:",
        "        if False:",
        (UNIT + "domain/test_leading.py",),
    ),
    Mutation(
        "a leader that starts again does not know that it leads",
        "cmam/actors/accounts/desk.py",
        " or self.ports.is_followed()",
        "",
        (DEATHS,),
    ),
    Mutation(
        "what a leader took off a position is taken once more for its resting order",
        "cmam/domain/repair/sync.py",
        "        if is_pending and held is not None:",
        "        if False:",
        (UNIT + "domain/test_sync.py",),
    ),
    Mutation(
        "an open without an answer is sent again",
        SETTLING,
        "        case Reconciled():\n            told = view\n",
        "        case _ if 'overdue' in fact.TOPIC and (late := view.intents.get(getattr(fact, 'intent', ''))):\n"
        "            yield IntentRecorded(\n"
        "                intent=late.intent, link=late.link, source=late.source, seq=late.seq,\n"
        "                command=late.command, attempt=late.attempt + 1, not_after_us=late.not_after_us,\n"
        "            )\n"
        "        case Reconciled():\n            told = view\n",
        (LIFE,),
    ),
    Mutation(
        "an unknown outcome is called a success",
        "cmam/domain/folds/intents.py",
        "    unknown = replace(intent, state=IntentState.UNKNOWN",
        "    return settle(view, IntentSettled(intent=event.intent, outcome=Outcome.CONFIRMED), at_us)\n"
        "    unknown = replace(intent, state=IntentState.UNKNOWN",
        (LIFE,),
    ),
    Mutation(
        "an unknown outcome is called a failure",
        "cmam/domain/folds/intents.py",
        "    unknown = replace(intent, state=IntentState.UNKNOWN",
        "    return settle(view, IntentSettled(intent=event.intent, outcome=Outcome.REFUSED), at_us)\n"
        "    unknown = replace(intent, state=IntentState.UNKNOWN",
        (LIFE,),
    ),
    Mutation(
        "absence counts before the settling time",
        PROOFS,
        "return is_told and now_us - intent.moved_us >= fact.settle_us",
        "return is_told",
        (LIFE,),
    ),
    Mutation(
        "absence counts without the order history",
        PROOFS,
        "is_told = fact.looked_up and (tells_past(fact, view.rules) or is_shown(view, intent))",
        "is_told = fact.looked_up",
        (LIFE,),
    ),
    Mutation(
        "an open is sent for a third time",
        LOOKS,
        "        and intent.attempt < ATTEMPTS_MAX\n",
        "",
        (LIFE,),
    ),
    Mutation(
        "an absent open is sent again though its gates are closed",
        LOOKS,
        "        and now_us <= intent.not_after_us\n",
        "",
        (LIFE,),
    ),
    Mutation(
        "an absent add is asked for again at once",
        LOOKS,
        "    elif is_proof and order is None:\n"
        "        yield IntentSettled(intent=intent.intent, outcome=Outcome.ABSENT)\n",
        "    elif is_proof and order is None:\n"
        "        yield IntentRecorded(\n"
        "            intent=intent.intent, link=intent.link, source=intent.source, seq=intent.seq,\n"
        "            command=intent.command, attempt=intent.attempt + 1, not_after_us=intent.not_after_us,\n"
        "        )\n",
        (ADDS,),
    ),
    Mutation(
        "a close of unknown outcome is made again before the volume was read",
        LOOKS,
        "is_shown=tells and has_closed(view, intent), is_proof=is_proof)",
        "is_shown=tells and has_closed(view, intent), is_proof=True)",
        (LIFE, SHARES),
    ),
    Mutation(
        "a part is closed twice: a second reduction goes out while one is under way",
        "cmam/domain/wanted/needs.py",
        "    is_asked = CommandKind.CLOSE in under_way or",
        "    is_asked = not under_way and",
        (LIFE,),
    ),
    Mutation(
        "two shares reduce one net at the same time",
        "cmam/domain/wanted/needs.py",
        "return copy.share and position.position in nets.closing()",
        "return False",
        (UNIT + "domain/test_netting.py",),
    ),
    Mutation(
        "what has left before its record is called unsent on a line that is down",
        "cmam/actors/lines/rate_limiter.py",
        "if self._is_up or self._budget.has_left(item.name):",
        "if self._is_up:",
        (UNIT + "actors/test_rate_limiter.py",),
    ),
    Mutation(
        "an untold close of a share is not booked",
        "cmam/domain/folds/intents.py",
        "        view = told_by_net(view, copy, intent)\n",
        "        pass\n",
        (SHARES,),
    ),
    Mutation(
        "a change may be decided twice",
        "cmam/domain/turns/turn.py",
        "if cursor is not None and not cursor.is_before(*cause) and not change.synced:",
        "if cursor is None and not change.synced and not change.kind:",
        (LIFE,),
    ),
    Mutation(
        "a cursor is forgotten",
        "cmam/domain/folds/decided.py",
        "cursors={**view.cursors, event.link: cursor}",
        "cursors={**view.cursors}",
        (LIFE,),
    ),
    Mutation(
        "a deal that came twice is booked twice",
        "cmam/domain/folds/account.py",
        "event.deal.is_execution and event.deal.deal not in view.deals",
        "event.deal.is_execution",
        (UNIT + "domain/test_holdings.py",),
    ),
    Mutation(
        "a late snapshot raises a closed position again",
        "cmam/domain/belief/holdings.py",
        "    if seen.updated_ms and (seen.updated_ms < closed_ms or",
        "    if seen.updated_ms and (seen.updated_ms < 0 or",
        (UNIT + "domain/test_holdings.py", LIFE),
    ),
    Mutation(
        "a copy that has ended is opened again",
        "cmam/domain/deciding/decide.py",
        "    if ended is not None and not ended.source_closed and not may_reopen(draft, ended):\n"
        "        return COPY_FINISHED\n",
        "",
        (LIFE,),
    ),
    Mutation(
        "a copied pending order is placed twice",
        "cmam/domain/deciding/decide.py",
        "return DUPLICATE if live is not None or ended is not None else place_now(draft)",
        "return place_now(draft)",
        (PENDINGS,),
    ),
    Mutation(
        "a pending order's fill is bought at market before its cancel is final",
        "cmam/domain/deciding/attempts.py",
        "return copy.ended_order and copy.leader_filled",
        "return copy.leader_filled",
        (PENDINGS,),
    ),
    Mutation(
        "an add forgets what is still in flight",
        "cmam/domain/deciding/opens.py",
        " - in_flight_of(draft.view, copy)\n",
        "\n",
        (ADDS,),
    ),
    Mutation(
        "an open whose source is gone is not taken back",
        "cmam/actors/accounts/desk.py",
        "            if name not in self._withdrawn:\n",
        "            if not name:\n",
        ("tests/scenario/test_bursts.py",),
    ),
    Mutation(
        "an attempt that counts as never sent leaves late",
        "cmam/actors/accounts/desk.py",
        "if event.outcome in NEVER_SENT or (",
        "if (",
        ("tests/chaos",),
    ),
    Mutation(
        "an add under way is over with its net",
        "cmam/domain/turns/ends.py",
        "    return own or turn.view.copies[copy.key].volume > 0\n",
        "    return False\n",
        ("tests/stranger/test_orders_outlive_nets.py",),
    ),
    Mutation(
        "an order told without its name is nobody's",
        "cmam/domain/belief/nameless.py",
        "    if not nameless:\n",
        "    if nameless:\n",
        ("tests/stranger/test_nameless.py",),
    ),
    Mutation(
        "what a share may have lost is traded away against its net",
        "cmam/domain/belief/shares.py",
        "        return net_of_ledger(view, share.symbol) != net_held(view, share.symbol)",
        "        return False",
        ("tests/stranger/test_what_nets_lose.py",),
    ),
    Mutation(
        "a share ends before what rests of its order",
        "cmam/domain/turns/ends.py",
        "    own = own or rests",
        "    rests = False",
        (UNIT + "domain/test_orders_in_parts.py",),
    ),
    Mutation(
        "another session's order is taken for the answer to ours",
        "cmam/domain/belief/belonging.py",
        "    if event.client_msg_id:\n        return view.intents.get(IntentId(event.client_msg_id))\n",
        "    if view.intents:\n        return next(iter(view.intents.values()))\n",
        (UNIT + "domain/test_findings.py",),
    ),
    Mutation(
        "another copier's copies are not minded",
        "cmam/domain/deciding/gates.py",
        "    allowed = {draft.settings.store, *draft.view.adopted.get(draft.settings.link, ())}\n",
        "    return None\n",
        (UNIT + "domain/test_gates.py",),
    ),
    Mutation(
        "what a request under way has opened is taken in as a lost copy",
        "cmam/domain/repair/strays.py",
        "    return copy is not None or any(",
        "    return False and any(",
        (UNIT + "domain/test_findings.py",),
    ),
    Mutation(
        "a snapshot of before the leader's close opens what he closed once more",
        "cmam/actors/accounts/just_heard.py",
        "        self.asked_us = self._desk.ports.clock.monotonic()\n",
        "        self.asked_us = 1 << 60\n",
        (UNIT + "actors/test_just_heard.py",),
    ),
    Mutation(
        "after the log was lost names begin at one again",
        "cmam/domain/folds/taking_in.py",
        "last_seq=max(former.last_seq if former is not None else 0, at_us // 1_000_000),",
        "last_seq=0,",
        ("tests/scenario/test_recovery_log_lost.py",),
    ),
    Mutation(
        "a copied home opens beside the first",
        "cmam/domain/repair/twins.py",
        "    for stray in strays(view) if view.in_sight_us else ():\n",
        "    for stray in ():\n",
        (TWINS,),
    ),
    Mutation(
        "a second order under one name is no sign of another cmam",
        "cmam/domain/repair/twins.py",
        '    settings = _of(mark, view, links)\n    if settings is None:\n        return ""\n    name',
        '    settings = None\n    if settings is None:\n        return ""\n    name',
        (TWINS,),
    ),
    Mutation(
        "a copied home takes away what rests of the first",
        "cmam/domain/guarding/latches.py",
        "    if event.guard == TWIN:\n        return view  #",
        "    if not event.guard:\n        return view  #",
        (TWINS,),
    ),
    Mutation(
        "an open that was refused and is done all the same stands beside its second try",
        "cmam/domain/belief/refused.py",
        "any(name in copy.refused for copy in found)",
        "any(name == copy.source for copy in found)",
        (REFUSED,),
    ),
    Mutation(
        "what is taken back counts as what became of the next try",
        "cmam/domain/folds/catching_up.py",
        "_is_of(copy, position.label) and not refused.is_surplus(view, position.position)",
        "_is_of(copy, position.label)",
        (REFUSED,),
    ),
)
