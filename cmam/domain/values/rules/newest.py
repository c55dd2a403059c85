"""The newest number: what accounts note in their records from their next start on."""

from __future__ import annotations

RULES = 19
"""Counted up with the first name of a number that has not been published."""
