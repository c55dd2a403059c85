"""Invariant 1: record, then send, with its one exception; what a store that fails may and may not do; who writes."""

from __future__ import annotations

from mutants import UNIT, Mutation

RECORDER = UNIT + "actors/test_recorder.py"
UNRECORDED = UNIT + "actors/test_unrecorded.py"
STORE_FAULTS = "tests/scenario/test_faults_store.py"
LOG = UNIT + "store/test_log.py"

MUTATIONS = (
    Mutation(
        "an order's record is left to a message that is none",
        "cmam/actors/recording/recorder.py",
        "        if waiting and not self._is_closed:\n",
        "        if isinstance(message, m.Append) and message.life >= self._lives.get(message.stream, 0):\n",
        ("tests/unit/actors/test_recorder.py",),
    ),
    Mutation(
        "requests are handed on before the commit",
        "cmam/actors/recording/recorder.py",
        "            try:\n                self._log.append(pending_of(part))",
        "            try:\n                self._hand_on(part)\n                self._log.append(pending_of(part))",
        (RECORDER,),
    ),
    Mutation(
        "opens go out while the store is down",
        "cmam/actors/recording/recorder.py",
        "                self._store_down(str(error))\n                return",
        "                self._store_down(str(error))\n"
        "                self._hand_on(self._waiting.part())\n"
        "                return",
        (RECORDER,),
    ),
    Mutation(
        "what the store did not take is forgotten",
        "cmam/actors/recording/recorder.py",
        "                self._store_down(str(error))\n                return",
        "                self._store_down(str(error))\n"
        "                self._waiting = Backlog()\n"
        "                return",
        (RECORDER,),
    ),
    Mutation(
        "a store that is back is not noticed",
        "cmam/actors/recording/recorder.py",
        "        self._timer.after(self._retry_us, m.RECORDER, m.Flush())",
        "        pass",
        (RECORDER,),
    ),
    Mutation(
        "an open that was given back as too late leaves with its record",
        "cmam/actors/recording/backlog.py",
        "return (tuple(told for told in then if told[1] not in late), late) if late else (then, late)",
        "return then, late",
        (RECORDER,),
    ),
    Mutation(
        "an open leaves unrecorded after a second",
        "cmam/actors/accounts/unrecorded.py",
        "    return is_whole or command.kind is CommandKind.CANCEL",
        "    return is_whole or command.kind in (CommandKind.CANCEL, CommandKind.OPEN)",
        (STORE_FAULTS,),
    ),
    Mutation(
        "a partial close leaves unrecorded after a second",
        "cmam/actors/accounts/unrecorded.py",
        "command.kind is CommandKind.CLOSE and command.whole and not view.is_netted()",
        "command.kind is CommandKind.CLOSE and not view.is_netted()",
        (STORE_FAULTS,),
    ),
    Mutation(
        "a protective change leaves unrecorded after a second",
        "cmam/actors/accounts/unrecorded.py",
        "    return is_whole or command.kind is CommandKind.CANCEL",
        "    return is_whole or command.kind in (CommandKind.CANCEL, CommandKind.AMEND_PROTECTION)",
        (STORE_FAULTS,),
    ),
    Mutation(
        "whole closes are held while the store is down",
        "cmam/actors/accounts/unrecorded.py",
        "        return waiting.submit\n",
        "        return None\n",
        (STORE_FAULTS,),
    ),
    Mutation(
        "cancels are held while the store is down",
        "cmam/actors/accounts/unrecorded.py",
        "    return is_whole or command.kind is CommandKind.CANCEL",
        "    return is_whole",
        (STORE_FAULTS,),
    ),
    Mutation(
        "a netted share is closed unrecorded more than once",
        "cmam/actors/accounts/unrecorded.py",
        "        return is_free",
        "        return True",
        (STORE_FAULTS,),
    ),
    Mutation(
        "a netted share is closed unrecorded whatever the net is by now",
        "cmam/actors/accounts/unrecorded.py",
        "if held is None or held.side is command.side or held.volume <= 0:",
        "if held is None:",
        (UNRECORDED,),
    ),
    Mutation(
        "more of a net is closed unrecorded than it still has",
        "cmam/actors/accounts/unrecorded.py",
        "volume = Volume(min(command.volume, held.volume))",
        "volume = command.volume",
        (UNRECORDED,),
    ),
    Mutation(
        "a close that left unrecorded leaves again with its record",
        "cmam/openapi/budget.py",
        "if item.name in self._names or item.name in self._sent:",
        "if item.name in self._names:",
        (UNIT + "openapi/test_budget.py",),
    ),
    Mutation(
        "a second owner's record counts as ours",
        "cmam/store/logfile/log.py",
        "if not is_tried or raw.topic != pending.event.TOPIC or raw.state != ours:",
        "if not raw.state:",
        (LOG,),
    ),
    Mutation(
        "equal bytes of a second owner count as ours",
        "cmam/store/logfile/log.py",
        "if not is_tried or raw.topic",
        "if raw.topic",
        (LOG,),
    ),
    Mutation(
        "a version may be left out",
        "cmam/store/logfile/preparing.py",
        "if version != expected:",
        "if version < expected:",
        (LOG,),
    ),
    Mutation(
        "an account whose record was refused trades on",
        "cmam/actors/recording/recorder.py",
        "refused = self._refused[error.stream] = m.StreamRefused(",
        "refused = m.StreamRefused(",
        (RECORDER,),
    ),
    Mutation(
        "a lock that is held is no hindrance",
        "cmam/store/logfile/lock.py",
        "            raise self._held() from error",
        "            del error",
        (UNIT + "store/test_lock.py",),
    ),
    Mutation(
        "an actor that was replaced writes on",
        "cmam/actors/recording/recorder.py",
        "message.life < self._lives.get(message.stream, 0)",
        "message.life < 0",
        (RECORDER, "tests/scenario/test_stuck.py"),
    ),
    Mutation(
        "an actor that starts again misses what waits for the store",
        "cmam/actors/recording/recorder.py",
        "            records.extend((fact.event, append.at_us) for fact in fresh)\n",
        "            pass\n",
        (RECORDER,),
    ),
    Mutation(
        "a start does not look at the end of the log",
        "cmam/store/proof/tail.py",
        "    if found.findings:\n",
        "    if not found:\n",
        (UNIT + "store/test_salvage.py",),
    ),
    Mutation(
        "a snapshot is trusted though its record has another hash",
        "cmam/store/past/beginning.py",
        "restore(state) if record is not None and record.hash == link and record.position <= end else None",
        "restore(state) if record is not None and record.position <= end else None",
        (UNIT + "store/test_beginning.py",),
    ),
    Mutation(
        "the chain hash is no hash",
        "cmam/store/logfile/preparing.py",
        "link = record_hash(stream, version, topic, state)",
        "link = bytes(32)",
        (LOG,),
    ),
)
