"""Settings at the edge: read from files, the environment and options, checked once, then plain values.

Knows pydantic and platformdirs, which nothing else does. Must not know secrets: those are `cmam.credentials`.
"""
