"""Answers to what only reads: prices, streams, depth, history, accounts and symbols."""
