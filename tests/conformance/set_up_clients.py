"""Sets up other people's clients, unmodified, each in a folder of its own below `.clients` (ignored by git).

    python tests/conformance/set_up_clients.py          all of them; says which could not be had, and why

What is set up is left alone until its pins change. Standard library only: it may run before anything is installed.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
CLIENTS = HERE / ".clients"
STAMP = "set-up.json"
INSTALL_S_MAX = 300


class NotToBeHad(Exception):
    """A client that this machine cannot set up, in one sentence."""


@dataclass(frozen=True)
class Client:
    """One client: what is installed, by what, and what it needs."""

    name: str
    packages: tuple[str, ...]
    python: tuple[int, int] | None
    """Least Python it runs on; None is Node's."""
    script: str

    @property
    def folder(self) -> Path:
        """Where it is set up."""
        return CLIENTS / self.name

    @property
    def script_file(self) -> Path:
        """The session that is run with it."""
        return HERE / "clients" / self.script


CLIENT_LIST = (
    Client("python-sdk", ("ctrader-open-api==0.9.2", "setuptools<81"), (3, 8), "python_sdk.py"),
    Client("asyncio-client", ("ctrader-api-client==0.12.0",), (3, 12), "asyncio_client.py"),
    Client("node-layer", ("@reiryoku/ctrader-layer@2.2.0",), None, "node_layer.js"),
)


def set_up(client: Client) -> list[str]:
    """Set a client up unless it is; gives the command that runs scripts with it. Raises NotToBeHad."""
    CLIENTS.mkdir(exist_ok=True)
    with (CLIENTS / f"{client.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run side by side: one sets up, the other finds it set up
        return _set_up(client)


def _set_up(client: Client) -> list[str]:
    wanted = {"packages": list(client.packages)}
    stamp = client.folder / STAMP
    command = [_node()] if client.python is None else [str(client.folder / "venv" / "bin" / "python")]
    try:
        if json.loads(stamp.read_text()) == wanted and shutil.which(command[0]):
            return command
    except (OSError, ValueError):
        pass
    shutil.rmtree(client.folder, ignore_errors=True)
    client.folder.mkdir(parents=True)
    if client.python is None:
        (client.folder / "package.json").write_text('{"private": true}\n')
        npm = shutil.which("npm")
        if npm is None:
            raise NotToBeHad("npm is not on this machine")
        _run([npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", *client.packages], client)
    else:
        python = _python(client.python)
        lacks_pip = _fails([python, "-c", "import pip"])
        folder = str(client.folder / "venv")
        _run([python, "-m", "venv", folder, *(() if lacks_pip else ("--without-pip",))], client)
        pip = [*command, "-m", "pip"] if lacks_pip else [python, "-m", "pip", "--python", command[0]]
        # To install pip anew and to compile what no session imports takes longer than the session.
        _run([*pip, "install", "--quiet", "--disable-pip-version-check", "--no-compile", *client.packages], client)
    stamp.write_text(json.dumps(wanted))
    return command


def _node() -> str:
    found = shutil.which("node")
    if found is None:
        raise NotToBeHad("node is not on this machine")
    return found


def _python(least: tuple[int, int]) -> str:
    """Find a Python that is new enough and runs: this one, one on the path, or one that pyenv keeps."""
    if sys.version_info[:2] >= least:
        return sys.executable
    names = [f"python3.{minor}" for minor in range(least[1], least[1] + 4)]
    kept = sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin/python3"), reverse=True)
    for candidate in (*filter(None, map(shutil.which, names)), *map(str, kept)):
        if not _fails([candidate, "-c", f"import sys, venv, ensurepip; sys.exit(sys.version_info[:2] < {least!r})"]):
            return candidate
    raise NotToBeHad(f"Python {least[0]}.{least[1]} or newer is not on this machine")


def _fails(command: list[str]) -> bool:
    return subprocess.run(command, capture_output=True, check=False).returncode != 0


def _run(command: list[str], client: Client) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    try:
        done = subprocess.run(
            command,
            cwd=client.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=INSTALL_S_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotToBeHad(f"setting up {client.name} took longer than {INSTALL_S_MAX} s") from None
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines()[-1:]
        raise NotToBeHad(f"{client.packages[0]} cannot be installed: {' '.join(lines[:1]).strip()}")


def main() -> int:
    """Set all up and say how it went."""
    failed = 0
    for client in CLIENT_LIST:
        try:
            set_up(client)
            print(f"{client.name}: ready in {client.folder.relative_to(HERE.parent.parent)}")
        except NotToBeHad as reason:
            failed += 1
            print(f"{client.name}: {reason}")
    return 1 if failed == len(CLIENT_LIST) else 0


if __name__ == "__main__":
    sys.exit(main())
