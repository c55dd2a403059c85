"""The functional core: what is true, what is allowed, what follows.

Standard library only; reads no clock, does no IO.
"""
