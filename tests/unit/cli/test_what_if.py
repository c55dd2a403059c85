"""What `replay --what-if` says above its tables."""

from __future__ import annotations

import pytest

from cmam.cli.replaying.what_if import _print


@pytest.mark.parametrize(("trades", "said"), [(1, "1 trade from"), (2, "2 trades from")])
def test_one_trade_is_one(capsys: pytest.CaptureFixture[str], trades: int, said: str) -> None:
    """A first evening has a day of one trade: "all 1 trades" came out as they did."""
    day = {"from": "2026-03-05T14:00:00.000Z", "until": "2026-03-05T15:00:00.000Z"}
    _print({"equal": True, "trades": trades, "differences": [], **day})
    assert capsys.readouterr().out.startswith(f"No difference: {said} 2026-03-05 14:00:00 UTC to ")
