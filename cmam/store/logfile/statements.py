"""What the log asks its file: SQL over the one table, `{columns}` in place of what a row is read as."""

from __future__ import annotations

from cmam.domain.events import Checkpointed
from cmam.domain.operating.registry import APP
from cmam.store.logfile.database import TABLE

# Rows as they are; and, where a damaged name is no text any more, every part of them as bytes.
COLUMNS = "rowid, originator_id, originator_version, topic, CAST(state AS BLOB)"
COLUMNS_AS_BYTES = "rowid, CAST(originator_id AS BLOB), originator_version, CAST(topic AS BLOB), CAST(state AS BLOB)"
# Jumps from stream to stream in the index instead of walking through every record.
_STREAMS = f"""
WITH RECURSIVE streams(id) AS (
    SELECT min(originator_id) FROM {TABLE}
    UNION ALL
    SELECT (SELECT min(originator_id) FROM {TABLE} WHERE originator_id > streams.id) FROM streams WHERE id IS NOT NULL
)
SELECT {{columns}} FROM {TABLE} WHERE rowid IN (
    SELECT (SELECT rowid FROM {TABLE} WHERE originator_id = streams.id ORDER BY originator_version {{order}} LIMIT 1)
    FROM streams WHERE id IS NOT NULL
) ORDER BY rowid
"""
LAST_OF_EACH = _STREAMS.replace("{order}", "DESC")
FIRST_OF_EACH = _STREAMS.replace("{order}", "ASC")
LAST_CHECKPOINT = f"""
SELECT {{columns}} FROM {TABLE} WHERE originator_id = '{APP}' AND topic = '{Checkpointed.TOPIC}'
ORDER BY originator_version DESC LIMIT 1
"""
PAGE_OF_LOG = f"SELECT {{columns}} FROM {TABLE} WHERE rowid > ? ORDER BY rowid LIMIT ?"
# The plus keeps SQLite from looking each stream up: rows come in the order of the log, and none has to be sorted.
PAGE_OF_SOME = f"""
SELECT {{columns}} FROM {TABLE} WHERE rowid > ? AND rowid <= ? AND +originator_id IN (SELECT value FROM json_each(?))
ORDER BY rowid LIMIT ?
"""
PAGE_OF_STREAM = f"""
SELECT {{columns}} FROM {TABLE} WHERE originator_id = ? AND originator_version > ? ORDER BY originator_version LIMIT ?
"""
# A checkpoint a minute, for years, and none that a fold asks for.
PAGE_TO_FOLD = PAGE_OF_STREAM.replace("ORDER BY", f"AND topic IS NOT '{Checkpointed.TOPIC}' ORDER BY")
ONE = f"SELECT {{columns}} FROM {TABLE} WHERE originator_id = ? AND originator_version = ?"
