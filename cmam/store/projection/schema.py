"""The tables of `views.db`: what the audit reads. Made anew whenever their shape or the code that fills them changes.

Volumes and prices are decimal text, times ISO 8601 text; the columns that end in `_us` are for sorting and spans.
What closes realised is whole numbers of minor units, of which `money_digits` says how small they are: sums are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlite_utils import Database

from cmam.store.projection.sql_views import SQL_VIEWS


@dataclass(frozen=True, slots=True)
class Table:
    """One table: its columns with their types, its key, and what it is searched by."""

    columns: Mapping[str, type]
    key: str
    indexes: tuple[str, ...] = ()


COPIES = "copies"
DECISIONS = "decisions"
ATTEMPTS = "attempts"
ORDERS = "orders"
CLOSES = "closes"
LEADER_CLOSES = "leader_closes"
NOTES = "notes"
ACCOUNTS = "accounts"
PROFILES = "profiles"
LINKS = "links"
SETTINGS = "settings"
ALERTS = "alerts"
CONNECTIONS = "connections"
ERRORS = "projection_errors"
FOLDS = "folds"
META = "meta"
SEARCH = "search"
"""The one full-text table: words of decisions, requests, alerts, notes and settings, each with what it belongs to."""

TABLES: Mapping[str, Table] = {
    COPIES: Table(
        {
            "copy_id": str,
            "profile_id": str,
            "link": str,
            "source": str,
            "leader": int,
            "follower": int,
            "leader_position": int,
            "follower_position": int,
            "leader_order": int,
            "follower_order": int,
            "symbol": str,
            "follower_symbol": str,
            "side": str,
            "leader_volume": str,
            "volume": str,
            "held": str,
            "target": str,
            "drift": str,
            "state": str,
            "wait": str,
            "decided_at": str,
            "opened_at": str,
            "closed_at": str,
            "leader_price": str,
            "open_price": str,
            "close_price": str,
            "slippage_pips": str,
            "decided_bid": str,
            "decided_ask": str,
            "leader_bid": str,
            "leader_ask": str,
            "pip": str,
            "label": str,
            "comment": str,
            "reason": str,
            "settings_version": int,
            "decided_us": int,
            "opened_us": int,
            "closed_us": int,
            "position": int,
        },
        "copy_id",
        ("decided_us", "follower", "leader", "leader_position", "follower_position", "leader_order", "state"),
    ),
    DECISIONS: Table(
        {
            "decision_id": str,
            "at": str,
            "profile_id": str,
            "link": str,
            "leader": int,
            "follower": int,
            "cause": str,
            "change": str,
            "kind": str,
            "source": str,
            "copy_id": str,
            "leader_position": int,
            "leader_order": int,
            "symbol": str,
            "side": str,
            "label": str,
            "comment": str,
            "verdict": str,
            "reason": str,
            "volume": str,
            "wait": str,
            "settings_version": int,
            "late": int,
            "at_us": int,
            "position": int,
        },
        "decision_id",
        ("at_us", "copy_id", "follower", "change", "reason", "leader_position", "leader_order"),
    ),
    ATTEMPTS: Table(
        {
            "attempt_id": str,
            "at": str,
            "follower": int,
            "link": str,
            "copy_id": str,
            "change": str,
            "wait": str,
            "verdict": str,
            "reason": str,
            "volume": str,
            "settings_version": int,
            "at_us": int,
            "position": int,
        },
        "attempt_id",
        ("copy_id",),
    ),
    NOTES: Table(
        {
            "position": int,
            "at": str,
            "account": int,
            "link": str,
            "copy_id": str,
            "what": str,
            "data": str,
            "money_digits": int,
            "user": str,
            "at_us": int,
        },
        "position",
        ("at_us", "copy_id"),
    ),
    ORDERS: Table(
        {
            "intent": str,
            "attempt": int,
            "account": int,
            "link": str,
            "copy_id": str,
            "cause": str,
            "kind": str,
            "symbol": str,
            "side": str,
            "volume": str,
            "filled": str,
            "follower_position": int,
            "follower_order": int,
            "state": str,
            "outcome": str,
            "reason": str,
            "recorded_at": str,
            "sent_at": str,
            "unknown_since": str,
            "unknown_why": str,
            "asked_from": str,
            "settled_at": str,
            "is_from_report": int,
            "decided_us": int,
            "committed_us": int,
            "written_us": int,
            "answered_us": int,
            "heard_us": int,
            "sent_us": int,
            "settled_us": int,
            "at_us": int,
            "position": int,
        },
        "intent",
        ("at_us", "copy_id", "account", "cause", "follower_order"),
    ),
    CLOSES: Table(
        {
            "close_id": str,
            "at": str,
            "profile_id": str,
            "link": str,
            "copy_id": str,
            "leader": int,
            "follower": int,
            "deal": int,
            "follower_position": int,
            "follower_order": int,
            "symbol": str,
            "volume": str,
            "entry_price": str,
            "price": str,
            "closed_by": str,
            "gross": int,
            "swap": int,
            "commission": int,
            "conversion_fee": int,
            "money_digits": int,
            "at_us": int,
            "position": int,
        },
        "close_id",
        ("at_us", "copy_id", "follower", "deal"),
    ),
    LEADER_CLOSES: Table(
        {
            "close_id": str,
            "leader": int,
            "leader_position": int,
            "net": int,
            "money_digits": int,
            "position": int,
        },
        "close_id",
        ("leader_position",),
    ),
    ACCOUNTS: Table(
        {
            "account": int,
            "login": int,
            "broker": str,
            "alias": str,
            "tags": str,
            "currency": str,
            "account_type": str,
            "is_live": int,
            "can_trade": int,
            "paused": int,
            "removed": int,
            "health": str,
            "health_reason": str,
            "balance": str,
            "positions": int,
            "copies": int,
            "seen_at": str,
            "position": int,
        },
        "account",
    ),
    PROFILES: Table(
        {
            "profile_id": str,
            "name": str,
            "leader": int,
            "state": str,
            "links": int,
            "deleted": int,
            "version": int,
            "position": int,
        },
        "profile_id",
    ),
    LINKS: Table({"link": str, "profile_id": str, "follower": int, "removed": int, "position": int}, "link"),
    SETTINGS: Table(
        {
            "position": int,
            "at": str,
            "what": str,
            "profile_id": str,
            "account": int,
            "link": str,
            "settings": str,
            "changed": str,
            "user": str,
            "version": int,
            "at_us": int,
        },
        "position",
        ("at_us",),
    ),
    ALERTS: Table(
        {
            "position": int,
            "at": str,
            "account": int,
            "kind": str,
            "text": str,
            "healed_at": str,
            "at_us": int,
        },
        "position",
        ("at_us",),
    ),
    CONNECTIONS: Table(
        {
            "position": int,
            "at": str,
            "connection": str,
            "what": str,
            "text": str,
            "sent": int,
            "busiest_second": int,
            "at_us": int,
        },
        "position",
        ("at_us",),
    ),
    ERRORS: Table({"position": int, "stream": str, "version": int, "topic": str, "error": str}, "position"),
    FOLDS: Table({"name": str, "stream": str, "version": int, "hash": str, "state": bytes}, "name", ("stream",)),
    META: Table({"name": str, "value": str}, "name"),
}


def make_tables(views: Database) -> None:
    """Make every table and every view that is not there."""
    for name, table in TABLES.items():
        found = views.table(name)
        found.create(dict(table.columns), pk=table.key, strict=True, if_not_exists=True)
        for column in table.indexes:
            found.create_index([column], if_not_exists=True)
    views.execute(
        f"CREATE VIRTUAL TABLE IF NOT EXISTS {SEARCH} USING fts5"
        "(kind UNINDEXED, id UNINDEXED, copy_id UNINDEXED, words, tokenize = 'unicode61 remove_diacritics 2')"
    )
    for name, sql in SQL_VIEWS.items():
        views.execute(f"CREATE VIEW IF NOT EXISTS {name} AS {sql}")
