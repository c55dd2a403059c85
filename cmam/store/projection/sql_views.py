"""The views of `views.db` for people who bring their own SQL: plain names, decimals, ISO times, nothing to join.

Money, prices and volumes are decimal text in the tables, exact; here they are numbers where sums are wanted, since SQL
adds only these. `docs/queries.md` asks them the usual questions.
"""

from __future__ import annotations

from collections.abc import Mapping

_NAME = "coalesce({0}.alias, {0}.broker || ':' || {0}.login, {1})"
_LEADER, _FOLLOWER = _NAME.format("la", "x.leader"), _NAME.format("fa", "x.follower")
_JOINS = (
    "LEFT JOIN profiles AS p ON p.profile_id = x.profile_id "
    "LEFT JOIN accounts AS la ON la.account = x.leader LEFT JOIN accounts AS fa ON fa.account = x.follower"
)
_SIGN = "(CASE x.side WHEN 'buy' THEN 1 ELSE -1 END)"
_OPEN, _LEADERS, _PIP = (f"CAST(x.{name} AS REAL)" for name in ("open_price", "leader_price", "pip"))
# The middle of the follower's market when it was decided, half its spread, and the middle of the leader's at his fill:
# where that was not told, his fill itself.
_MINE = "((CAST(x.decided_bid AS REAL) + CAST(x.decided_ask AS REAL)) / 2)"
_HALF = "((CAST(x.decided_ask AS REAL) - CAST(x.decided_bid AS REAL)) / 2)"
_THEIRS = f"coalesce((CAST(x.leader_bid AS REAL) + CAST(x.leader_ask AS REAL)) / 2, {_LEADERS})"
_MONEY = "round({0} / CAST('1e' || x.money_digits AS REAL), x.money_digits)"
CLOSED_BY = """coalesce({0}.closed_by, CASE {1}.reason WHEN 'closed_by_human' THEN 'human'
    WHEN 'closed_by_leader' THEN 'request' WHEN 'closed_by_guard' THEN 'request' WHEN 'closed_by_flatten' THEN 'request'
    WHEN 'closed_by_level' THEN 'level' WHEN 'closed_by_stop_out' THEN 'stop_out' ELSE 'unknown' END)"""
"""Who closed: what proves it, and of what only the history told, what ended the copy."""

FROM_LEADER = "{0}.is_from_report AND EXISTS (SELECT 1 FROM decisions AS d WHERE d.decision_id = {0}.cause)"
"""Which requests a leader's report led to: the spans of what a follower's own fill led to begin at that."""
ANSWER_SPAN = "coalesce({0}.answered_us, {0}.heard_us - {0}.sent_us)"
"""How long the broker's answer took, also one that was no longer waited for."""

SQL_VIEWS: Mapping[str, str] = {
    "trades": f"""
SELECT x.copy_id, p.name AS profile, x.leader, {_LEADER} AS leader_name, x.follower, {_FOLLOWER} AS follower_name,
    x.symbol, x.side, CAST(x.leader_volume AS REAL) AS leader_units, CAST(x.volume AS REAL) AS units,
    CAST(x.held AS REAL) AS units_held, x.state, x.reason, x.decided_at, x.opened_at, x.closed_at,
    CAST(x.leader_price AS REAL) AS leader_price, CAST(x.open_price AS REAL) AS open_price,
    CAST(x.close_price AS REAL) AS close_price, CAST(x.slippage_pips AS REAL) AS slippage_pips,
    x.leader_position, x.follower_position, x.label, x.comment, x.settings_version
FROM copies AS x {_JOINS}""",
    "decided": f"""
SELECT x.decision_id, x.at, substr(x.at, 1, 10) AS day, p.name AS profile, x.leader, {_LEADER} AS leader_name,
    x.follower, {_FOLLOWER} AS follower_name, x.kind, x.symbol, x.side, x.verdict, x.reason,
    CAST(x.volume AS REAL) AS units, x.wait, x.late, x.leader_position, x.label, x.comment, x.change, x.copy_id,
    x.settings_version
FROM decisions AS x {_JOINS}""",
    "skips": "SELECT * FROM decided WHERE verdict = 'skip'",
    "skip_reasons": """
SELECT profile, follower, follower_name, reason, count(*) AS times, min(at) AS first_at, max(at) AS last_at
FROM skips GROUP BY profile, follower, reason""",
    "requests": f"""
SELECT x.intent AS request, x.recorded_at, x.sent_at, x.settled_at, x.account, {_NAME.format("fa", "x.account")}
    AS account_name, p.name AS profile, x.kind, x.symbol, x.side, CAST(x.volume AS REAL) AS units,
    CAST(x.filled AS REAL) AS units_filled, x.state, x.outcome, x.reason, x.follower_position, x.follower_order,
    x.copy_id, CASE WHEN {FROM_LEADER.format("x")} THEN x.written_us / 1000.0 END
    AS report_to_socket_ms, {ANSWER_SPAN.format("x")} / 1000.0 AS socket_to_answer_ms
FROM orders AS x LEFT JOIN links AS l ON l.link = x.link LEFT JOIN profiles AS p ON p.profile_id = l.profile_id
LEFT JOIN accounts AS fa ON fa.account = x.account""",
    "slippage": f"""
SELECT x.copy_id, x.opened_at, p.name AS profile, x.follower, {_FOLLOWER} AS follower_name, x.symbol, x.side,
    round({_SIGN} * ({_OPEN} - {_LEADERS}) / {_PIP}, 2) + 0.0 AS pips,
    round({_SIGN} * ({_MINE} - {_THEIRS}) / {_PIP}, 2) + 0.0 AS delay_pips,
    round(({_HALF} - {_SIGN} * ({_LEADERS} - {_THEIRS})) / {_PIP}, 2) + 0.0 AS spread_pips,
    round(({_SIGN} * ({_OPEN} - {_MINE}) - {_HALF}) / {_PIP}, 2) + 0.0 AS broker_pips
FROM copies AS x {_JOINS} WHERE x.slippage_pips IS NOT NULL""",
    "results": f"""
SELECT x.at, substr(x.at, 1, 10) AS day, p.name AS profile, x.leader, {_LEADER} AS leader_name, x.follower,
    {_FOLLOWER} AS follower_name, x.symbol, CAST(x.volume AS REAL) AS units, CAST(x.price AS REAL) AS price,
    {CLOSED_BY.format("x", "c")} AS closed_by, fa.currency,
    {_MONEY.format("(x.gross + x.swap + x.commission + x.conversion_fee)")} AS net, {_MONEY.format("x.gross")} AS gross,
    {_MONEY.format("x.swap")} AS swap, {_MONEY.format("x.commission")} AS commission,
    {_MONEY.format("x.conversion_fee")} AS conversion_fee, x.copy_id, x.follower_position, x.deal
FROM closes AS x {_JOINS} LEFT JOIN copies AS c ON c.copy_id = x.copy_id""",
    "days": """
SELECT day, profile, follower, follower_name, count(*) AS decisions, sum(verdict = 'copy') AS copied,
    sum(verdict = 'skip') AS skipped, sum(verdict = 'none') AS nothing_to_do, sum(late) AS late
FROM decided GROUP BY day, profile, follower""",
    "setting_changes": """
SELECT s.at, p.name AS profile, s.version, s.what, s.account AS follower, s.user, s.changed
FROM settings AS s LEFT JOIN profiles AS p ON p.profile_id = s.profile_id""",
    "open_alerts": """
SELECT a.at, a.account, coalesce(n.alias, n.broker || ':' || n.login, a.account) AS account_name, a.kind, a.text
FROM alerts AS a LEFT JOIN accounts AS n ON n.account = a.account WHERE a.healed_at IS NULL""",
}
"""Each view by its name. None reads another store, and none hides a row of the table it stands for."""

DESCRIPTIONS: Mapping[str, str] = {
    "trades": "Every copy: who copied what of whom, how much, at which prices, and how it ended.",
    "decided": "Every decision about a change of a leader: copied, skipped or nothing to do, and the reason.",
    "skips": "The decisions that skipped.",
    "skip_reasons": "How often each follower skipped for each reason.",
    "requests": "Every request to a broker: what was asked, what was filled, what became of it, and how fast.",
    "slippage": "How much worse than its leader each copy opened, in pips, split into delay, spread and broker.",
    "results": "What closes realised, in the follower's currency, and who closed; of a copy, a part or a net's share.",
    "days": "Decisions of each day and follower.",
    "setting_changes": "Every change of a profile's settings: when, by whom, from what to what.",
    "open_alerts": "What still needs a person's eye.",
    "copies": "Copies as cmam keeps them: exact decimal text, internal names.",
    "decisions": "Decisions as cmam keeps them.",
    "attempts": "Later looks at opens that had to wait.",
    "closes": "Closing deals of copies as cmam keeps them, with money in minor units; of a net a row for each share.",
    "leader_closes": "What each closing deal of a leader made, in minor units of his own.",
    "orders": "Requests as cmam keeps them, with their spans in microseconds.",
    "notes": "Guards, flattens, stop-outs, people's hands: what explains copies but is no decision.",
    "accounts": "Accounts that were ever known.",
    "profiles": "Profiles that ever were.",
    "links": "Links that ever were: a follower in a profile.",
    "settings": "Changes of settings as cmam keeps them, each with the whole policy after it.",
    "alerts": "Everything that needed a person's eye.",
    "connections": "Connections that came, went or were limited.",
    "projection_errors": "Records that could not be shown.",
    "search": "Words of all of these, for full-text search.",
}
HIDDEN = ("folds", "meta")
"""Tables that are the projector's own."""


def datasette_metadata(database: str) -> dict[str, object]:
    """What Datasette shows beside the tables and views: `datasette views.db --metadata views-metadata.json`."""
    tables: dict[str, dict[str, object]] = {name: {"description": text} for name, text in DESCRIPTIONS.items()}
    tables |= {name: {"hidden": True} for name in HIDDEN}
    for name, column in (("trades", "decided_at"), ("decided", "at"), ("skips", "at"), ("requests", "recorded_at")):
        tables[name]["sort_desc"] = column
    return {
        "title": "cmam: what was copied, skipped and why",
        "description": "Made from the event log by cmam; safe to delete, `cmam replay --to` makes it anew.",
        "databases": {database: {"tables": tables}},
    }
