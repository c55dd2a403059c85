"""Write `cmam/sandbox/ticks/demo.csv`: a small walk of two symbols, so that the demo moves where no recorded ticks are.

Made, not recorded: the same numbers on every machine, from the seed below.
"""

from __future__ import annotations

import csv
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "cmam/sandbox/ticks/demo.csv"
START = datetime(2024, 1, 2, 8, 0, tzinfo=UTC)
SYMBOLS = {"EURUSD": (109_450, 8, 5), "USDJPY": (142_310, 11, 3)}
"""Symbol → first bid and spread in points, digits."""
TICKS = 400
SEED = 20240102


def main() -> None:
    chance = random.Random(SEED)
    bids = {symbol: first for symbol, (first, _, _) in SYMBOLS.items()}
    moment = START
    with TARGET.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["time", "symbol", "bid", "ask"])
        for number in range(TICKS):
            symbol = list(SYMBOLS)[number % len(SYMBOLS)]
            _, spread, digits = SYMBOLS[symbol]
            bids[symbol] += chance.randint(-4, 4)
            moment += timedelta(milliseconds=chance.randint(500, 3_000))
            ask = bids[symbol] + spread + chance.randint(0, 4)
            quote = [f"{price / 10**digits:.{digits}f}" for price in (bids[symbol], ask)]
            rows.writerow([moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"), symbol, *quote])


if __name__ == "__main__":
    main()
