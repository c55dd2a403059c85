"""Consent, tokens and the place where secrets lie.

Knows httpx and keyring, which nothing else does. Must not know the event store, which keeps fingerprints only, nor the
API's own connection.
"""
