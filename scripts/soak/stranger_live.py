"""Runs drawn days of tests/stranger in real time: over TLS sockets, with a `cmam start` of its own that is killed.

    python scripts/soak/stranger_live.py --seeds 0-4 [--wide] [--noisy] [--plain]

Broker, leaders and comparison are those of `stranger.py`; the copier is the program as people start it, on a store of
its own in a temporary folder. A day takes two to four minutes. Exit code 1 where one went wrong; its folder is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import trustme

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from cmam.actors import messages as m
from cmam.clock import SystemClock
from cmam.config.home import Home
from cmam.config.secret import Secret
from cmam.credentials.secrets_file import open_secrets
from cmam.credentials.vault import Application, TokenPair, with_application, with_grant
from cmam.domain.events import Event, Health, HealthChanged
from cmam.domain.values.ids import AccountId, base36
from cmam.office import StoreWriter
from cmam.openapi.framing import Deframer
from cmam.store.logfile.log import EventLog
from tests.stranger import day as days
from tests.stranger.broker import CLIENT_ID, CLIENT_SECRET, Broker
from tests.stranger.habits import Habits

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 3
QUIET_S = 25.0
PATIENCE_S = 60.0
TICK_S = 0.005


class Sockets:
    """The broker's side of the wire: TLS connections in place of virtual lines."""

    def __init__(self, broker: Broker, context: ssl.SSLContext) -> None:
        self.broker = broker
        self.hears: dict[int, Callable[[bytes], None]] = {}
        self.loop = asyncio.new_event_loop()
        self._writers: dict[int, asyncio.StreamWriter] = {}
        self._clock = SystemClock()
        self._number = 0
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            self.port = found.getsockname()[1]
        serving = asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=context)
        self._server = self.loop.run_until_complete(serving)

    def now(self) -> int:
        return self._clock.now()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._number += 1
        number, deframer = self._number, Deframer()
        self._writers[number] = writer
        self.broker.connect(number, self.now())
        with contextlib.suppress(OSError, ssl.SSLError):
            while data := await reader.read(65_536):
                for body in deframer.receive_data(data):
                    self.broker.receive(number, body, self.now())
                self.collect()
        self._drop(number)

    def _drop(self, number: int) -> None:
        writer = self._writers.pop(number, None)
        if writer is not None:
            self.broker.disconnect(number, self.now())
            writer.transport.abort()

    def collect(self) -> None:
        """Write what the broker says."""
        for number, data in self.broker.take_output():
            if number in self.hears:
                if data is not None:
                    self.hears[number](data)
            elif data is None:
                self._drop(number)
            elif number in self._writers:
                self._writers[number].write(data)

    def cut_all(self) -> None:
        """Every connection is reset."""
        for number in list(self._writers):
            self._drop(number)

    def run(self, seconds: float) -> None:
        """Let real time pass."""
        self.loop.run_until_complete(self._tick(time.monotonic() + seconds))

    async def _tick(self, until: float) -> None:
        while True:
            self.broker.on_time(self.now())
            self.collect()
            left = until - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(TICK_S, left))

    def close(self) -> None:
        self.cut_all()
        self._server.close()
        self.loop.close()


class LiveWorld:
    """What a day needs of a world, with processes and sockets."""

    def __init__(self, seed: int, habits: Habits, accounts: Mapping[int, tuple[str, bool]]) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="cmam-stranger-"))
        self.home = Home(self.folder / "home")
        self.home.prepare()
        authority = trustme.CA()
        self._ca_file = self.folder / "ca.pem"
        authority.cert_pem.write_to_path(str(self._ca_file))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(context)
        self.clock = SystemClock()
        self.broker = Broker(habits, seed, self.clock.now())
        self.lines = Sockets(self.broker, context)
        self.stepper = self  # its clock and its end
        self.accounts = tuple(accounts)
        for account, (broker, netted) in accounts.items():
            self.broker.open_book(account, broker, netted=netted)
        self._ids = random.Random(f"{seed}:ids")
        open_secrets(self.home, "file").update(self._given)
        added = [
            {"account": account, "login": account - 10_000, "broker": broker, "can_trade": True}
            for account, (broker, _) in accounts.items()
        ]
        self._command({"command": "account.add", "accounts": added})
        self._process: subprocess.Popen[bytes] | None = None

    def _given(self, vault: Any) -> Any:
        vault = with_application(vault, Application(CLIENT_ID, Secret(CLIENT_SECRET)))
        pair = TokenPair(Secret("stranger-access"), Secret("stranger-refresh"), self.clock.now())
        return with_grant(vault, pair, self.accounts)[0]

    def _new_id(self, characters: int) -> str:
        return base36(self._ids.randrange(36**characters)).rjust(characters, "0")

    def _command(self, command: dict[str, Any]) -> None:
        log = EventLog.open(self.home.root)
        try:
            StoreWriter(log, self.clock, new_id=self._new_id).carry_out(command)
        finally:
            log.close()

    def profile(self, name: str, leader: int, followers: Mapping[int, str]) -> None:
        """Create a profile for each follower, with its multiplier."""
        for follower, amount in followers.items():
            settings = {"volume.basis": "units", "max_age": "600", "volume.amount": amount}
            self._command(
                {
                    "command": "profile.create",
                    "name": f"{name}-{follower}",
                    "leader": str(leader),
                    "followers": [str(follower)],
                    "settings": settings,
                }
            )

    # --- life -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start the copier, and wait until it is ready."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CMAM_")}
        way = {"CMAM_HOST": "127.0.0.1", "CMAM_PORT": str(self.lines.port), "CMAM_CA_FILE": str(self._ca_file)}
        words = [sys.executable, "-m", "cmam", "--home", str(self.home.root), "start", "--plain"]
        began_us = self.clock.now()
        with (self.folder / "copier.log").open("ab") as said:
            self._process = subprocess.Popen(
                words, env={**kept, **way, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL, stdout=said, stderr=said
            )
        until = time.monotonic() + PATIENCE_S
        while not self._is_ready(began_us):
            if time.monotonic() > until or self._process.poll() is not None:
                raise RuntimeError(f"expected cmam to get ready; its last words are in {self.folder}")
            self.run(0.2)

    def _is_ready(self, since_us: int) -> bool:
        for account in self.accounts:
            told = [one for one in self.log.read_stream(m.account_name(AccountId(account))) if one.at_us >= since_us]
            healths = [one.event.health for one in told if isinstance(one.event, HealthChanged)]
            if not healths or healths[-1] is not Health.RECONCILED:
                return False
        return True

    @property
    def log(self) -> EventLog:
        """The log as it is now."""
        return EventLog.read_only(self.home.root)

    def kill(self) -> None:
        """A crash."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """An orderly end."""
        self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        until = time.monotonic() + PATIENCE_S
        while self._process.poll() is None and time.monotonic() < until:
            self.run(0.05)
        self._process.kill()
        self._process.wait()
        self._process = None

    def run(self, seconds: float) -> None:
        self.lines.run(seconds)

    def events(self, account: int, kind: type[Event]) -> list[Any]:
        """The recorded events of a kind of one account."""
        stream = self.log.read_stream(m.account_name(AccountId(account)))
        return [one.event for one in stream if isinstance(one.event, kind)]


class LiveDay(days.Day):
    """A day in real time."""

    world_of = LiveWorld  # type: ignore[assignment]  # it has what a day uses of a world


def main() -> int:
    """Run the days that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", default="0-2", help="a range, both ends included")
    parser.add_argument("--plain", action="store_true", help="with the habits that were seen on the wire")
    parser.add_argument("--wide", action="store_true", help="with markets that shut, and positions that are rolled")
    parser.add_argument("--noisy", action="store_true", help="with events that lack what the schema calls optional")
    options = parser.parse_args()
    first, _, last = options.seeds.partition("-")
    days.QUIET_S = QUIET_S
    bad: list[int] = []
    for seed in range(int(first), int(last or first) + 1):
        habits = Habits() if options.plain else None
        day = LiveDay(seed, habits, is_wide=options.wide, is_noisy=options.noisy)
        world: Any = day.world
        try:
            day.run(ROUNDS)
        except Exception as error:  # noqa: BLE001 - whatever ends a day is what is looked for
            day.wrong.append(f"{day}\n  raised {type(error).__name__}: {error}")
        world.kill()
        world.lines.close()
        print(f"{seed}: {sum(day.counts.values())} counted, {'wrong' if day.wrong else 'right'}", flush=True)
        if day.wrong:
            bad.append(seed)
            print(f"{day.wrong[0]}\n  the store is in {world.folder}", flush=True)
        else:
            shutil.rmtree(world.folder, ignore_errors=True)  # its projector may be ending still
    print(f"wrong: {bad}" if bad else "nothing differs")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
