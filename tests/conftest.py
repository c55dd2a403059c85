"""What every test shares: repeatable Hypothesis runs, and where the checkout and its neighbours are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

pytest_plugins = ("tests.hangs",)

# The same examples on every machine: a red run is red for everybody. `HYPOTHESIS_PROFILE=explore` looks for new ones.
settings.register_profile(
    "repeat", derandomize=True, max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("explore", max_examples=2_000, deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "repeat"))


WAITING = (
    "scenario/test_soak_kill.py",
    "scenario/test_getting_started.py",
    "scenario/test_guide",
    "scenario/test_profiles_flatten.py",
    "scenario/test_process_store.py",
    "scenario/test_recovery_homes.py",
    "scenario/test_actors_process.py",
    "scenario/test_commands.py",
    "scenario/test_sandbox_browser.py",
    "conformance/test_clients.py",
    "scenario/test_token_day.py",
    "oracle/",
)
"""Where a test waits long for other processes, or takes long itself: these begin first."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are processors, and another for every four: some always wait for other processes."""
    count = os.cpu_count() or 1
    return count + 1 + count // 4


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Deal what takes long out to the workers, each at the beginning of its share: none is left with it at the end.

    Each worker begins with an equal run of what is collected, and gives away from the end of its own.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers == 1:
        return
    files, others = dict[Path, list[pytest.Item]](), list[pytest.Item]()
    for item in items:
        is_long = any(f"tests/{word}" in item.nodeid for word in WAITING)
        (files.setdefault(item.path, []) if is_long else others).append(item)
    size, dealt = len(items) // workers, list[pytest.Item]()
    for worker in range(workers):
        share = [item for file in list(files.values())[worker::workers] for item in file]
        rest = len(others) if worker == workers - 1 else max(0, size - len(share))
        dealt += share + others[:rest]
        others = others[rest:]
    items[:] = dealt


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the person at this machine has set for their own cmam out of the tests."""
    for name in [name for name in os.environ if name.startswith("CMAM_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data beside the checkout; skips by name where there is none."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared beside the checkout: only the committed digest is compared")
    return folder
