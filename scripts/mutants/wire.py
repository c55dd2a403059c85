"""Invariants 6, 7 and 8: fifty a second, a replay without a clock, and no secret where it may be read."""

from __future__ import annotations

from mutants import TRADING_CHAOS, UNIT, Mutation

BUDGET = (UNIT + "openapi/test_budget.py", "tests/property/openapi/test_budget_laws.py")
REPLAY = UNIT + "store/test_replay.py"

MUTATIONS = (
    Mutation(
        "an open is counted at 51",
        "cmam/openapi/window.py",
        "nth = used - (self.limit - keep) + 1 ",
        "nth = used - (self.limit + 1 - keep) + 1 ",
        BUDGET,
    ),
    Mutation(
        "a slot is free after half a second",
        "cmam/openapi/window.py",
        "        return read_us + SECOND_US + MARGIN_US",
        "        return read_us + SECOND_US // 2 + MARGIN_US",
        BUDGET,
    ),
    Mutation(
        "a slot is free a second after the write, whenever the server read it",
        "cmam/openapi/window.py",
        "        read_us = slot.written_us + bound_us if slot.read_us is None else slot.read_us\n",
        "        read_us = slot.written_us\n",
        BUDGET,
    ),
    Mutation(
        "a sixth historical request leaves in a second",
        "cmam/openapi/budget.py",
        "HISTORICAL_LIMIT: Final = 5",
        "HISTORICAL_LIMIT: Final = 6",
        BUDGET,
    ),
    Mutation(
        "heartbeats and authentication are not counted",
        "cmam/openapi/budget.py",
        "        self._window.use(slot)\n",
        "        if item.lane is not Lane.SESSION:\n            self._window.use(slot)\n",
        BUDGET,
    ),
    Mutation(
        "a line that comes back begins with an empty second",
        "cmam/actors/lines/rate_limiter.py",
        '                self._give_back(self._budget.empty("the connection was lost", now))\n',
        '                self._give_back(self._budget.empty("the connection was lost", now))\n'
        "                self._budget = Budget(self._budget.figures(now).limit)\n",
        (UNIT + "actors/test_rate_limiter.py", "tests/scenario/test_connections.py"),
    ),
    Mutation(
        "a block by the server is not minded",
        "cmam/openapi/budget.py",
        "        moment = now_us if pause is None else max(pause.until_us, now_us)\n",
        "        moment = now_us\n",
        BUDGET,
    ),
    Mutation(
        "of two amends that wait for one target the older one leaves",
        "cmam/openapi/lanes.py",
        "        waiting[number] = item\n",
        "        waiting.setdefault(number, item)\n",
        BUDGET,
    ),
    Mutation(
        "one account's burst holds up the others",
        "cmam/openapi/lanes.py",
        "                self._accounts.move_to_end(account)\n",
        "",
        BUDGET,
    ),
    Mutation(
        "more than 50 a second may be set for the public hosts",
        "cmam/config/settings.py",
        "        if public:\n            raise",
        "        if not public and value < 0:\n            raise",
        (UNIT + "config/test_settings.py",),
    ),
    Mutation(
        "a derivation reads the clock",
        "cmam/domain/turns/turn.py",
        "    after = evolve(view, fact, now_us)",
        "    import time\n\n    now_us += time.time_ns() % 997\n    after = evolve(view, fact, now_us)",
        (REPLAY, TRADING_CHAOS),
    ),
    Mutation(
        "what a decision rested on is not recorded",
        "cmam/domain/turns/turn.py",
        "        inputs=inputs,\n        not_after_us=decision.not_after_us,\n",
        "        inputs=Inputs(standing=inputs.standing),\n        not_after_us=decision.not_after_us,\n",
        (REPLAY, TRADING_CHAOS),
    ),
    Mutation(
        "a replay calls everything the same",
        "cmam/store/records/sameness.py",
        "    return _speaks(computed, recorded, said_in(state, recorded))\n",
        "    return True\n",
        (REPLAY,),
    ),
    Mutation(
        "a replay does not see a change that met no decision",
        "cmam/store/past/replay.py",
        "        if first < len(places) and places[first] < (event.cause_version, event.cause_index):\n",
        "        if first < 0:\n",
        (REPLAY,),
    ),
    Mutation(
        "a secret shows itself",
        "cmam/config/secret.py",
        "    def __str__(self) -> str:\n        return MASK\n",
        "    def __str__(self) -> str:\n        return self._text\n",
        (UNIT + "credentials", UNIT + "config"),
    ),
    Mutation(
        "a secret stands in a log line",
        "cmam/cli/running/run.py",
        "        if masked != text:\n",
        "        if not text:\n",
        (UNIT + "cli/test_run.py",),
    ),
    Mutation(
        "a message of the session shows its token",
        "cmam/actors/messages/limiting.py",
        "    message: Any = field(repr=False)\n",
        "    message: Any\n",
        (UNIT + "actors/test_messages.py",),
    ),
    Mutation(
        "others may read the file of secrets",
        "cmam/config/files.py",
        "PRIVATE_FILE = 0o600",
        "PRIVATE_FILE = 0o644",
        (UNIT + "credentials",),
    ),
)
