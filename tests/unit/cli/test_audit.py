"""How the lists of `audit` tell what is on record."""

from __future__ import annotations

from cmam.cli.auditing.audit import _noted


def test_a_choice_is_told_in_words() -> None:
    """That copies were to be closed stood there as "close True"."""
    data = {"links": ["1dpd5f"], "close": True, "keep_pendings": True, "user": "olga"}
    told = _noted({"what": "copies_released", "data": data, "money_digits": 2})
    assert (told["what"], told["told"]) == ("copies released", "close, keep pendings, user olga")
