"""What-if: the recorded day again under other settings, and what would have been different.

The leader's changes, the quotes, the specifications and everything that people and brokers did by themselves are taken
from the record. A copy that comes out as it did keeps its recorded fills; from where it first comes out otherwise, its
fills are a model (`model.py`). So equal settings give an empty difference, and the model says how much of it there is.
"""

from cmam.store.what_if.asked import Asked, AskedInvalid
from cmam.store.what_if.report import what_if

__all__ = ["Asked", "AskedInvalid", "what_if"]
