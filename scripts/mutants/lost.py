"""Invariant 3: never lost. Each change meets one decision; each finding its repair; each request an outcome."""

from __future__ import annotations

from mutants import LIFE, UNIT, Mutation

RECONCILE = "tests/property/domain/test_reconcile_laws.py"
SYNC = UNIT + "domain/test_sync.py"
FOLLOWING = UNIT + "actors/test_following.py"
FINDINGS = "cmam/domain/repair/reconcile.py"
RESTORES = "tests/scenario/test_restores.py"
POISON = "tests/scenario/test_poison.py"
LIARS = "tests/scenario/test_liars.py"
ABSENCES = "tests/scenario/test_absences.py"
ORDERS = "tests/scenario/test_orders_left_out.py"

MUTATIONS = (
    Mutation(
        "what a leader does while his follower is away is dropped",
        "cmam/actors/accounts/following.py",
        "            self._deferred.append(message)\n            return\n        self._decide(link, message)",
        "            return\n        self._decide(link, message)",
        (FOLLOWING, "tests/scenario/test_faults_lines.py", "tests/scenario/test_connections.py"),
    ),
    Mutation(
        "a follower that starts again asks only for what is to come",
        "cmam/actors/accounts/following.py",
        "m.FollowFrom(link.link, desk.view.account, *place, ticket)",
        "m.FollowFrom(link.link, desk.view.account, 1 << 60, 0, ticket)",
        (FOLLOWING, "tests/scenario/test_actors_links.py"),
    ),
    Mutation(
        "what a leader did in the gap is not told",
        "cmam/domain/turns/leading.py",
        "            found = tuple(_of_gap(change, before, after) for change in "
        "of_reconcile(before, after, event, quote_of))",
        "            return ()",
        (UNIT + "domain/test_leading.py",),
    ),
    Mutation(
        "what was closed after a backup is closed once more",
        "cmam/domain/belief/restored.py",
        "    if copy.restored is None or not change.restored:",
        "    if True:",
        (RESTORES,),
    ),
    Mutation(
        "the share of a trade that was closed after a backup takes of the others",
        "cmam/domain/belief/restored.py",
        "        back = min(spare, other.restored.volume - other.volume)",
        "        back = 0",
        (RESTORES,),
    ),
    Mutation(
        "a change told under an old ticket is decided before what was missed",
        "cmam/actors/accounts/following.py",
        "            return  # meant for who was here before",
        "            pass  # meant for who was here before",
        (FOLLOWING, "tests/chaos"),
    ),
    Mutation(
        "requests that were open at the end of a process are not doubted",
        "cmam/actors/accounts/account.py",
        '            self._doubt(intent.intent, f"{what} was started again")\n',
        "            del intent\n",
        ("tests/scenario/test_actors_deaths.py",),
    ),
    Mutation(
        "requests on a line that was cut are not doubted",
        "cmam/actors/accounts/account.py",
        "            if intent.state in (IntentState.SENT, IntentState.ACCEPTED):\n",
        "            if not intent:\n",
        ("tests/scenario/test_faults_lines.py",),
    ),
    Mutation(
        "what the limiter drops gets no outcome",
        "cmam/actors/lines/rate_limiter.py",
        "            if told is not None:\n",
        "            if told is not None and isinstance(entry.item.data, m.Ask):\n",
        (UNIT + "actors/test_rate_limiter.py",),
    ),
    Mutation(
        "what could not be written gets no outcome",
        "cmam/actors/lines/outbox.py",
        "            if (told := unsent(one, LOST)) is not None:\n",
        "            if (told := unsent(one, LOST)) is not None and isinstance(one, m.Ask):\n",
        (UNIT + "actors/test_outbox.py",),
    ),
    Mutation(
        "a poison message is tried for ever",
        "cmam/actors/care/poison.py",
        "TRIES_MAX = 3",
        "TRIES_MAX = 1 << 30",
        (POISON,),
    ),
    Mutation(
        "a change that was set aside gets no decision",
        "cmam/actors/accounts/following.py",
        "            self._commit(link, message, Inputs(set_aside=True))\n",
        "",
        (POISON,),
    ),
    Mutation(
        "an account that is stuck is not replaced",
        "cmam/actors/care/supervisor.py",
        "REPLACE_US = 15 * SECOND_US",
        "REPLACE_US = 15_000_000 * SECOND_US",
        ("tests/scenario/test_stuck.py",),
    ),
    Mutation(
        "an account that fails stays dead",
        "cmam/actors/care/supervisor.py",
        "        self._timer.after(pause_us, m.SUPERVISOR, Rebuild(name))",
        "        pass",
        (UNIT + "actors/test_supervisor.py",),
    ),
    Mutation(
        "finding missing: `sync_open` opens nothing",
        "cmam/domain/repair/sync.py",
        "    if settings.policy.sync_open:\n",
        "    if not settings:\n",
        (SYNC,),
    ),
    Mutation(
        "finding orphan: what closed meanwhile is not closed",
        "cmam/domain/repair/sync.py",
        "    if settings.policy.sync_closed:\n",
        "    if not settings:\n",
        (SYNC,),
    ),
    Mutation(
        "finding gone: a copy whose position is gone lives on",
        "cmam/domain/turns/ends.py",
        "    if copy.position in turn.view.positions and not is_share_out:\n        return\n",
        "    if not is_share_out:\n        return\n",
        (LIFE,),
    ),
    Mutation(
        "finding gone: a lost pending order is not looked up for a fill",
        "cmam/domain/folds/catching_up.py",
        "    return put(view, replace(copy, doubt=True))\n",
        "    return view\n",
        (UNIT + "domain/test_pendings.py", "tests/scenario/test_rules_pendings.py", "tests/chaos"),
    ),
    Mutation(
        "finding wrong size: a volume that fell meanwhile is not followed",
        "cmam/domain/repair/sync.py",
        "            if 0 < held.volume < copy.leader_had:\n",
        "            if not held:\n",
        (SYNC,),
    ),
    Mutation(
        "finding wrong size: what is missing is made up",
        "cmam/domain/turns/touching.py",
        "    if now.volume != was.volume and not is_filling and not _explained(before, was, now):\n",
        "    if now.volume < 0:\n",
        (LIFE, UNIT + "domain", "tests/chaos"),
    ),
    Mutation(
        "finding residue: what cannot be closed yet is closed all the same",
        "cmam/domain/values/symbols.py",
        "return excess if excess >= least else Volume(0)",
        "return excess if excess >= least else Volume(least)",
        (LIFE,),
    ),
    Mutation(
        "finding wrong side: a copy of a leader that turned meanwhile stays",
        "cmam/domain/repair/sync.py",
        "            if copy.wait is None:\n",
        "            if not copy:\n",
        (SYNC, RECONCILE, "tests/chaos"),
    ),
    Mutation(
        "finding wrong protection: a missed level is not amended",
        "cmam/domain/wanted/needs.py",
        "if amendment is not None and not _is_opening(view, key):",
        "if amendment is None:",
        (UNIT + "domain/test_levels.py",),
    ),
    Mutation(
        "finding wrong terms: an amended order rests as it was",
        "cmam/domain/wanted/resting.py",
        "    if copy.amended_to != terms:\n",
        "    if not terms:\n",
        (UNIT + "domain/test_pendings.py",),
    ),
    Mutation(
        "finding unknown: what is not known is not named",
        FINDINGS,
        "        if intent.state is IntentState.UNKNOWN:\n            what",
        "        if intent is None:\n            what",
        (UNIT + "domain/test_findings.py",),
    ),
    Mutation(
        "finding unrecorded: a copy with our label is left alone",
        FINDINGS,
        "        hand.take(fact)\n",
        "        pass\n",
        (RECONCILE, "tests/scenario/test_recovery_log_lost.py"),
    ),
    Mutation(
        "finding duplicate: a second copy of one source is not named",
        FINDINGS,
        "    if owner is not None and (copy := duplicates(view, stray, owner)) is not None:\n",
        "    if owner is not None and (copy := None) is not None:\n",
        (UNIT + "domain/test_findings.py",),
    ),
    Mutation(
        "finding foreign: another store's copies are not named",
        FINDINGS,
        "    found += _of_strays(view, known)\n",
        "",
        (UNIT + "domain/test_findings.py",),
    ),
    Mutation(
        "finding human: what nobody copied is taken for ours",
        "cmam/domain/values/naming.py",
        '    if len(parts) < 4 or parts[0] != MARK or not all(parts[1:4]) or parts[3][0] not in "po":\n'
        "        return None\n",
        "    parts += [''] * 4\n",
        (UNIT + "domain/test_findings.py",),
    ),
    Mutation(
        "a move of a leader's stop is missed",
        "cmam/domain/turns/leading.py",
        "        yield from of_levels(before, after, position, at_ms, quote_of, late=False)\n",
        "",
        (UNIT + "domain/test_leading.py",),
    ),
    Mutation(
        "a symbol far down a broker's list never has quotes",
        "cmam/actors/accounts/account_quotes.py",
        "        if self.feed and not self._board.is_asked(self.feed, symbol):\n",
        "        if False:\n",
        ("tests/scenario/test_long_lists.py",),
    ),
    Mutation(
        "one symbol that the broker has not costs all others their quotes",
        "cmam/actors/lines/feeds.py",
        "        if message.error_code not in NO_SUCH_SYMBOL:\n",
        "        if True:\n",
        (UNIT + "actors/test_feeds.py",),
    ),
    Mutation(
        "an answer that holds nothing, or another account's, is believed",
        "cmam/openapi/envelope.py",
        "    if named != account and catalogue.names_account(envelope.payload_type):",
        "    if named != account and not envelope:",
        (LIARS,),
    ),
    Mutation(
        "a position that a snapshot leaves out is gone at once",
        "cmam/domain/turns/absences.py",
        "        if one.symbol not in nets\n",
        "        if one.symbol in nets\n",
        (ABSENCES,),
    ),
    Mutation(
        "a resting order that a snapshot leaves out is gone at once",
        "cmam/domain/turns/absences.py",
        "        for key in sorted(view.orders.keys() - shown - ended)\n",
        "        for key in sorted(view.orders.keys() & shown & ended)\n",
        (ORDERS,),
    ),
    Mutation(
        "what changes while an account reads is forgotten",
        "cmam/actors/accounts/questions.py",
        "        self._is_outdated = True",
        "        self._is_outdated = False",
        (LIARS,),
    ),
    Mutation(
        "an account whose particulars were refused is not asked about again",
        "cmam/actors/accounts/desk.py",
        "        self.lacks_trader = not is_known",
        "        self.lacks_trader = False",
        (LIARS,),
    ),
    Mutation(
        "the look does not see the levels that a resting order carries",
        "cmam/domain/turns/snapshots.py",
        "        order.terms != view.orders[key].terms for key, order in resting.items()",
        "        order.volume != view.orders[key].volume for key, order in resting.items()",
        ("tests/scenario/test_looks.py",),
    ),
    Mutation(
        "a gap begins when the line is back",
        "cmam/actors/asking/preparation.py",
        "view.at_us if view.health is Health.RECONCILED else view.in_sight_us or view.at_us",
        "view.at_us",
        ("tests/scenario/test_closed_out_of_sight.py",),
    ),
    Mutation(
        "an account that left a consent has the tokens of all refreshed again and again",
        "cmam/actors/operating/keeper.py",
        "        if self._refused.setdefault(message.account, access) == access:",
        "        if access:",
        ("tests/scenario/test_tokens_trouble.py",),
    ),
    Mutation(
        "tokens that could not be saved are forgotten",
        "cmam/actors/operating/keeper.py",
        "        self._keys.vault = refreshed(self._keys.vault, name, result.grant.pair)",
        "        self._keys.vault = self._keys.vault",
        ("tests/scenario/test_tokens_trouble.py",),
    ),
)
