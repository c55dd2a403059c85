"""The processes of a kill run: a broker that keeps its books, a slow line, a copier, and how each is killed.

The line is a process's worth of TCP in between: what the copier wrote goes on to the broker even after the copier is
dead, as on a real network, and takes as long as it is told.
"""

from __future__ import annotations

import contextlib
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmam import office
from cmam.config.home import Home
from cmam.sandbox import control_client
from cmam.sandbox.options import SandboxError

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


class Line:
    """A listener that hands every byte on, late towards the broker, and never forgets one that was written."""

    def __init__(self, target: int, late_s: float) -> None:
        self._target, self._late_s = target, late_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            except ConnectionError:
                client.close()
                continue
            except OSError:
                return
            server.settimeout(None)
            for source, target, late_s in ((client, server, self._late_s), (server, client, 0.0)):
                waiting: queue.Queue[tuple[float, bytes]] = queue.Queue()
                threading.Thread(target=_read, args=(source, waiting, late_s), daemon=True).start()
                threading.Thread(target=_write, args=(target, waiting), daemon=True).start()

    def close(self) -> None:
        """Take nobody more."""
        self._listener.close()


def _read(source: socket.socket, waiting: queue.Queue[tuple[float, bytes]], late_s: float) -> None:
    data = b"-"
    while data:
        try:
            data = source.recv(65_536)
        except OSError:
            data = b""
        waiting.put((time.monotonic() + late_s, data))


def _write(target: socket.socket, waiting: queue.Queue[tuple[float, bytes]]) -> None:
    while True:
        due, data = waiting.get()
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            if not data:
                target.shutdown(socket.SHUT_RDWR)
            target.sendall(data)
        except OSError:
            pass
        if not data:
            target.close()
            return


@dataclass
class Stage:
    """One broker and one copier, as processes."""

    folder: Path
    settle_s: int
    late_s: float
    fill_ms: int
    port: int = field(default_factory=free_port)
    oauth_port: int = field(default_factory=free_port)
    broker: subprocess.Popen[bytes] | None = None
    copier: subprocess.Popen[bytes] | None = None
    ready: dict[str, Any] = field(default_factory=dict)
    counted: list[dict[str, Any]] = field(default_factory=list)

    @property
    def home(self) -> Path:
        """The copier's home."""
        return self.folder / "home"

    @property
    def state_file(self) -> Path:
        """Where the broker keeps its books."""
        return self.folder / "books.json"

    def set_up(self, profiles: list[list[str]]) -> None:
        """Start the broker, configure a copier by its own commands, and put the line between them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.start_broker()
        self._line = Line(self.port, self.late_s)
        way = ["--host", "127.0.0.1", "--port", str(self._line.port), "--ca-file", self.ready["ca_file"]]
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

    def start_copier(self, gap: str = "", number: int = 1) -> None:
        """A copier; with a gap, one that kills itself there at the n-th time."""
        words = self._words(["start", "--plain"])
        if gap:
            doomed = [sys.executable, str(ROOT / "scripts" / "soak" / "doomed.py"), gap, str(number), "--"]
            words = [*doomed, *words[3:]]
        log = (self.folder / "copier.log").open("ab")
        self.copier = subprocess.Popen(words, env=self._environment(), stdout=log, stderr=log)

    def count(self) -> None:
        """Keep what the broker has counted so far: a kill forgets it."""
        with contextlib.suppress(SandboxError):
            self.counted.append(control_client.ask(self.ready, "GET", "stats"))

    def kill_broker(self) -> None:
        """SIGKILL, after a look at its counters."""
        if self.broker is not None:
            self.count()
            self.broker.kill()
            self.broker.wait()

    def kill_copier(self) -> None:
        """SIGKILL, wherever it is."""
        if self.copier is not None:
            self.copier.kill()
            self.copier.wait()

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

    def end(self) -> None:
        """Nothing is left running."""
        self.kill_copier()
        self.kill_broker()
        self._line.close()
