"""The processes of a kill run: a broker that keeps its books, a slow line, a copier, and how each is killed.

The line is a process's worth of TCP in between: what the copier wrote goes on to the broker even after the copier is
dead, as on a real network, and takes as long as it is told.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import doomed

from cmam import office
from cmam.config.home import Home
from cmam.sandbox.serving.options import SandboxError
from cmam.sandbox.trader import control_client
from cmam.store.logfile.log import EventLog

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Line:
    """A listener that hands every byte on, late towards the broker, and never forgets one that was written.

    What is on its way when its sender dies takes `stray_s` longer than that: as an order does that hangs in some queue
    behind the broker's door while its sender is long gone, or back. While it is held, it arrives when it is let go.
    """

    def __init__(self, target: int, lag_s: float, stray_s: float) -> None:
        self._target, self._lag_s, self._stray_s = target, lag_s, stray_s
        self._is_free = threading.Event()
        self._is_free.set()
        self._waiting = 0
        self._lock = threading.Lock()
        self.strays = 0
        self.delays_s: list[float] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except OSError:
                client.close()
                continue
            server.settimeout(None)
            there, back = _Way(self, client, server, self._lag_s), _Way(None, server, client, 0.0)
            for target in (there.read, there.write, back.read, back.write):
                threading.Thread(target=target, daemon=True).start()

    def hold(self) -> None:
        """Let nothing through from now on whose sender has died."""
        self._is_free.clear()

    def let_go(self) -> None:
        """Let through what was held."""
        self._is_free.set()

    @property
    def is_holding(self) -> bool:
        """Whether something is on its way whose sender has died."""
        return self._waiting > 0

    def detain(self, died_at: float) -> None:
        """Keep a piece whose sender has died for as long as it shall be; called by the thread that hands it on."""
        with self._lock:
            self.strays += 1
            self._waiting += 1
        time.sleep(max(0.0, died_at + self._stray_s - time.monotonic()))
        self._is_free.wait()
        with self._lock:
            self._waiting -= 1
            self.delays_s.append(time.monotonic() - died_at)

    def close(self) -> None:
        """Take nobody more."""
        self._is_free.set()
        self._listener.close()


class _Way:
    """One direction of a connection; with a line, one whose sender may die with something on its way."""

    def __init__(self, line: Line | None, source: socket.socket, target: socket.socket, lag_s: float) -> None:
        self._line, self._source, self._target, self._lag_s = line, source, target, lag_s
        self._waiting: queue.Queue[tuple[float, bytes]] = queue.Queue()
        self._died_at: float | None = None

    def read(self) -> None:
        data = b"-"
        while data:
            try:
                data = self._source.recv(65_536)
            except OSError:
                data = b""
            now = time.monotonic()
            if not data and self._line is not None:
                self._died_at = now
            self._waiting.put((now + self._lag_s, data))

    def write(self) -> None:
        while True:
            due, data = self._waiting.get()
            time.sleep(max(0.0, due - time.monotonic()))
            if data and self._line is not None and self._died_at is not None:
                self._line.detain(self._died_at)
            try:
                if not data:
                    self._target.shutdown(socket.SHUT_RDWR)
                self._target.sendall(data)
            except OSError:
                pass
            if not data:
                self._target.close()
                return


@dataclass
class Stage:
    """One broker and one copier, as processes."""

    folder: Path
    settle_s: int
    lag_s: float
    stray_s: float
    fill_ms: int
    port: int = field(default_factory=free_port)
    oauth_port: int = field(default_factory=free_port)
    broker: subprocess.Popen[bytes] | None = None
    copier: subprocess.Popen[bytes] | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    counted: list[dict[str, Any]] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Ends that nobody had ordered."""
    start_s: float = 0.0
    """How long a broker took to start at first: what a process costs on this machine, now."""

    @property
    def home(self) -> Path:
        """The copier's home."""
        return self.folder / "home"

    @property
    def state_file(self) -> Path:
        """Where the broker keeps its books."""
        return self.folder / "books.json"

    @property
    def orders(self) -> Path:
        """Who has to die where, for `doomed.py`."""
        return self.folder / "orders.json"

    def set_up(self, profiles: list[list[str]]) -> None:
        """Start the broker, configure a copier by its own commands, and put the line between them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        began = time.monotonic()
        self.start_broker()
        self.start_s = time.monotonic() - began
        self.line = Line(self.port, self.lag_s, self.stray_s)
        way = ["--host", "127.0.0.1", "--port", str(self.line.port), "--ca-file", self.ready["ca_file"]]
        file = str(self.folder / "ready.json")
        for words in (
            ["api", "configure", *way, "--oauth-url", self.ready["oauth_url"], "--secret-file", file],
            ["account", "add", "--token-file", file],
            *profiles,
        ):
            done = subprocess.run(self._words(words), env=self._environment(), capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(
                    f"expected `cmam {' '.join(words[:2])}` to work, it said: {done.stderr or done.stdout}"
                )

    def _words(self, words: list[str]) -> list[str]:
        return [sys.executable, "-m", "cmam", "--home", str(self.home), *words]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("CMAM_")}
        kept.pop("PYTHONDONTWRITEBYTECODE", None)  # thousands of starts: each compiles only what is new
        kept["PYTHONPYCACHEPREFIX"] = str(self.folder / "pycache")
        return {**kept, "PYTHONPATH": str(ROOT), "CMAM_SETTLE_S": str(self.settle_s)}

    def start_broker(self) -> None:
        """The broker with the books it had."""
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        words = [sys.executable, "-m", "cmam", "--home", str(self.folder / "broker"), "sandbox"]
        words += ["--port", str(self.port), "--oauth-port", str(self.oauth_port), "--json-port", "0"]
        words += ["--state", str(self.state_file), "--keep-always", "--ready-file", str(ready)]
        words += ["--set", f"fill_delay_ms={self.fill_ms}", "--set", "history_days=0", "--set", "trading_limits=off"]
        log = (self.folder / "broker.log").open("ab")
        self.broker = subprocess.Popen(words, env=self._environment(), stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline and self.broker.poll() is None:
            try:
                self.ready = control_client.read_ready_file(ready, self.folder)
                return
            except SandboxError:
                time.sleep(0.02)
        raise SystemExit(f"expected the broker to start; its last words are in {self.folder / 'broker.log'}")

    def start_copier(self) -> None:
        """A copier that looks at its orders (`doomed.py`)."""
        script = str(ROOT / "scripts" / "soak" / "doomed.py")
        log = (self.folder / "copier.log").open("ab")
        words = [sys.executable, script, str(self.orders), "--", *self._words(["start", "--plain"])[3:]]
        self.copier = subprocess.Popen(words, env=self._environment(), stdout=log, stderr=log)

    def doom(self, gap: str, number: int, whom: str) -> None:
        """Order the end of somebody at a gap."""
        assert self.broker is not None
        victims = {"copier": [doomed.ME], "broker": [self.broker.pid], "both": [self.broker.pid, doomed.ME]}
        doomed.give(self.orders, gap, number, victims[whom])

    def spare(self) -> None:
        """No orders any more."""
        self.orders.unlink(missing_ok=True)

    def is_dead(self, whom: str) -> bool:
        """Whether all who were to die have died."""
        asked = {"copier": [self.copier], "broker": [self.broker], "both": [self.copier, self.broker]}
        return all(child is not None and child.poll() is not None for child in asked[whom])

    def count(self) -> None:
        """Keep what the broker has counted so far: a kill forgets it."""
        with contextlib.suppress(SandboxError):
            self.counted.append(control_client.ask(self.ready, "GET", "stats"))

    def kill_broker(self) -> None:
        """SIGKILL, after a look at its counters."""
        if self.broker is not None:
            if self.broker.poll() is None:
                self.count()
            self._end(self.broker, "broker")

    def kill_copier(self) -> None:
        """SIGKILL, wherever it is."""
        if self.copier is not None:
            self._end(self.copier, "copier")

    def _end(self, child: subprocess.Popen[bytes], name: str) -> None:
        """Kill a process; whoever ended of itself, and not by a SIGKILL of ours, has broken a law."""
        code = child.poll()
        child.kill()
        child.wait()
        if code not in (None, -signal.SIGKILL):
            self.faults.append(f"the {name} ended of itself with {code}; its last words are in {name}.log")

    def left_running(self) -> list[str]:
        """Processes of this run that live on, as `ps` has them."""
        listed = subprocess.run(["ps", "-axww", "-o", "pid=,args="], capture_output=True, text=True).stdout
        return [line.strip() for line in listed.splitlines() if f"--home {self.folder}" in line]

    def status(self) -> dict[str, Any] | None:
        """What the copier says of itself, None where there is none to ask."""
        try:
            return office.ask_running(Home(self.home), {"command": "status"})
        except Exception:  # noqa: BLE001 - it may be killed or starting at this very moment
            return None

    def is_ready(self) -> bool:
        """Whether every account is reconciled."""
        document = self.status()
        return document is not None and all(found["health"] == "reconciled" for found in document["accounts"])

    def position(self) -> int:
        """How many records the log has."""
        with contextlib.closing(EventLog.read_only(self.home)) as log:
            return log.position()

    def end(self) -> None:
        """Nothing is left running."""
        self.kill_copier()
        self.kill_broker()
        self.line.close()
