"""Hold the copier against the oracle of its rules on many drawn days: `python scripts/soak/oracle.py --seeds 0-199`.

Each seed is a world of its own in virtual time (`tests/oracle/day.py`): thirty followers with drawn policies, and a
leader who opens, adds, closes parts, moves levels and places orders (`orders.py`: whose orders are amended and fill;
`changes.py`: while settings are changed; `levels.py`: whose stops trail, while people touch the copies; `gaps.py`:
while nobody looks; `leaders.py`: whose account is netted; `chains.py`: whose followers lead, too; `patience.py`: before
followers who wait for their price; `guards.py`: while guards trip; `strains.py`: and brokers refuse and take, and the
process dies; `net_guards.py`: before netted followers;
`settings.py`: while settings change, by laws instead of sizes; `crowds.py`: as that, in a world of more kinds;
`restores.py`: while older logs are put back).
What differs is printed with what both say.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.oracle.chains import ChainDay
from tests.oracle.changes import ChangeDay
from tests.oracle.crowds import CrowdDay
from tests.oracle.day import STEPS, Day
from tests.oracle.gaps import GapDay
from tests.oracle.guards import GuardDay
from tests.oracle.leaders import LeaderDay
from tests.oracle.levels import LevelDay
from tests.oracle.net_guards import NetGuardDay
from tests.oracle.nets import NetDay
from tests.oracle.orders import OrderDay
from tests.oracle.patience import PatienceDay
from tests.oracle.restores import RestoreDay
from tests.oracle.settings import SettingsDay
from tests.oracle.strains import StrainDay

DAYS = {
    "trades": Day,
    "orders": OrderDay,
    "changes": ChangeDay,
    "nets": NetDay,
    "levels": LevelDay,
    "gaps": GapDay,
    "guards": GuardDay,
    "leaders": LeaderDay,
    "chains": ChainDay,
    "patience": PatienceDay,
    "strains": StrainDay,
    "net-guards": NetGuardDay,
    "settings": SettingsDay,
    "crowds": CrowdDay,
    "restores": RestoreDay,
}


def attempt(kind: str, seed: int, steps: int) -> tuple[int, Counter[str], list[str]]:
    """One seed: what was compared, by its word, and what differed."""
    day = DAYS[kind](seed)
    day.run(steps)
    return seed, day.counts, day.wrong


def main() -> None:
    """Run the seeds, print what differs and the sums, exit with 1 where anything did."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0-99", help="such as 0-99")
    parser.add_argument("--days", choices=sorted(DAYS), default="trades", help="what the leader likes")
    parser.add_argument("--steps", type=int, default=STEPS, help="what the leader does in a day")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    asked = parser.parse_args()
    first, _, last = asked.seeds.partition("-")
    seeds = range(int(first), int(last or first) + 1)
    counts: Counter[str] = Counter()
    differ = 0
    with ProcessPoolExecutor(asked.jobs) as pool:
        for seed, found, wrong in pool.map(partial(attempt, asked.days, steps=asked.steps), seeds):
            counts += found
            differ += len(wrong)
            for line in wrong:
                print(line, flush=True)
            if wrong:
                print(f"seed {seed}: {len(wrong)} differ", flush=True)
    print(f"{len(seeds)} seeds, {differ} differ; compared: {dict(counts.most_common())}")
    sys.exit(1 if differ else 0)


if __name__ == "__main__":
    main()
