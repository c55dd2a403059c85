"""Makes what a server starts with: the world, the market's ticks, the switches and the broker, from options.

The only place of the shell that reads files of the person; whatever is wrong with them is one sentence.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import TextIO

from cmam.sandbox.markets.recorded import Recording, Recordings, TickFileError, read_ticks
from cmam.sandbox.service.broker import Broker
from cmam.sandbox.serving.options import SandboxOptions, SetUpFault
from cmam.sandbox.serving.toml_table import WorldError
from cmam.sandbox.serving.world_file import default_world, load_world
from cmam.sandbox.switches import Switches, UnknownSwitch, with_switches
from cmam.sandbox.world import Account, World


def read_world(options: SandboxOptions) -> World:
    """Read the world file, or the built-in world; raises SetUpFault."""
    if options.world_file is None:
        return default_world()
    try:
        return load_world(read_text(options.world_file))
    except WorldError as fault:
        raise SetUpFault(f"{options.world_file}: {fault}") from None


def read_switches(options: SandboxOptions) -> Switches:
    """Read the switches; raises SetUpFault."""
    try:
        return with_switches(Switches(), **dict(options.switches))
    except UnknownSwitch as fault:
        raise SetUpFault(str(fault)) from None


def read_all_ticks(options: SandboxOptions) -> Recordings:
    """Read the files of ticks, in their order; raises SetUpFault."""
    ticks: Recordings = {}
    for path in options.ticks:
        try:
            with _reading(path) as lines:
                read_ticks(lines, path.name, ticks)
        except TickFileError as fault:
            raise SetUpFault(str(fault)) from None
    return ticks


def make_broker(
    options: SandboxOptions, world: World, switches: Switches, ticks: Mapping[str, Recording], now_us: int
) -> Broker:
    """Open the markets; raises SetUpFault for ticks that do not fit the world."""
    try:
        return Broker(world, now_us=now_us, seed=options.seed, switches=switches, ticks=ticks, speed=options.speed)
    except TickFileError as fault:
        raise SetUpFault(str(fault)) from None


def read_state(path: Path) -> dict[str, object] | None:
    """Read the state that an earlier server kept; None where there is none yet. Raises SetUpFault."""
    if not path.exists():
        if not path.absolute().parent.is_dir():
            raise SetUpFault(f"expected a folder at {path.absolute().parent} to keep the state in, found none")
        if path.is_symlink():
            raise SetUpFault(
                f"{path} is a link to {os.readlink(path)}, which is not there: is its disk mounted? Nothing was made"
            )
        return None
    if not path.is_file():  # a pipe without a writer would be waited for
        raise SetUpFault(f"expected the state of a sandbox in {path}, found something else than a file")
    try:
        state = json.loads(read_text(path))
    except (ValueError, RecursionError):
        state = None
    if not isinstance(state, dict):
        raise SetUpFault(f"expected the state of a sandbox in {path}, found something else")
    return state


def money_text(minor: int, digits: int) -> str:
    """Write money with its digits."""
    return f"{Decimal(minor).scaleb(-digits):.{digits}f}"


def balance_text(broker: Broker, account: Account) -> str:
    """Write the present balance of an account."""
    return money_text(broker.floor.accounts[account.ctid].balance, account.money_digits)


def read_text(path: Path) -> str:
    """Read a file of the person, a byte order mark is no part of it; raises SetUpFault."""
    with _reading(path) as file:
        return file.read()


@contextmanager
def _reading(path: Path) -> Iterator[TextIO]:
    try:
        with open(path, encoding="utf-8-sig", opener=_at_once) as file:
            yield file
    except OSError as error:
        raise SetUpFault(f"cannot read {path} ({error.strerror or error})") from None
    except UnicodeDecodeError:
        raise SetUpFault(f"expected text in UTF-8 in {path}, found something else") from None


def _at_once(path: str, flags: int) -> int:
    """Open a file, or a pipe that is written to: one without a writer is empty instead of waited for, and a device,
    which may have no end, is none."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "this is a device, and no file", path)
    os.set_blocking(descriptor, True)
    return descriptor
