"""Thin shells on Pykka: receive, ask the core, append, tell. No policy, arithmetic, SQL or bytes here.

Only this folder imports Pykka. Actors never wait for each other: an answer is a message back.
"""
