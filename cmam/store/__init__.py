"""The event log on disk, and everything that is derived from it: chains, views, audits, replays.

Only here are eventsourcing, msgspec, sqlite-utils and filelock imported. Nothing here decides anything about a trade.
"""
