"""The sandbox as a server: one broker, three listeners, one event loop, a ready file while it runs.

    port         TLS, protobuf: frames or WebSocket        5035
    json_port    TLS, JSON: WebSocket or lines             5036
    oauth_port   HTTPS: consent page, token endpoint, and the control endpoint under /control/

Puts the parts together; what they do is in `wire` (the ports of the API), `https` (the third), `service` (the broker).
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import secrets
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from cmam.clock import Clock, SystemClock
from cmam.sandbox.https.control import Control, Refused
from cmam.sandbox.https.oauth import OAuthSite
from cmam.sandbox.https.site import Site
from cmam.sandbox.https.web import HttpConnection
from cmam.sandbox.service.broker import Broker
from cmam.sandbox.serving import setup
from cmam.sandbox.serving.operations import BrokerOperations
from cmam.sandbox.serving.options import (
    READY_FILE,
    ReadyAccount,
    ReadyInfo,
    SandboxError,
    SandboxOptions,
    SetUpFault,
    remove_ready_file,
    write_ready_file,
)
from cmam.sandbox.serving.schedule import Scheduled, read_schedule
from cmam.sandbox.wire import certificates
from cmam.sandbox.wire.driver import Driver
from cmam.sandbox.wire.line_faults import LineFaults
from cmam.sandbox.wire.transport import ClientConnection
from cmam.sandbox.world import NETTED

_LOG = logging.getLogger("cmam.sandbox")
BACKLOG = 1024
TLS_HANDSHAKE_S = 10.0
TLS_SHUTDOWN_S = 3.0
TURN = 500
"""Ticks and timers that are played at once; then clients are heard, though the market be behind."""
START_S_MAX = 60.0
"""Longest that `run_in_thread` waits for the listeners; history and tick files are read before."""


class SandboxServer:
    """One sandbox, ready to serve once. Making it reads its files; raises SetUpFault."""

    def __init__(self, options: SandboxOptions, clock: Clock | None = None) -> None:
        self._options = options
        self._clock = clock if clock is not None else SystemClock()
        self._world = setup.read_world(options)
        self._switches = setup.read_switches(options)
        self._ticks = setup.read_all_ticks(options)
        self._first_broker = self._new_broker()
        self._state = setup.read_state(options.state_file) if options.state_file is not None else None
        self._schedule = read_schedule(options.faults_file) if options.faults_file is not None else []
        self._visitors: set[HttpConnection] = set()
        self._faults = LineFaults(self._restart)
        self._listeners: list[asyncio.Server] = []
        self._restarting: asyncio.Task[None] | None = None
        self._driver: Driver | None = None
        self._context: ssl.SSLContext | None = None
        self._ports: list[tuple[int, _Kind]] = []

    async def serve(self, until: asyncio.Event, on_ready: Callable[[ReadyInfo], None]) -> None:
        """Listen, publish the ready file, call `on_ready`, and serve until the event is set; raises SandboxError."""
        options = self._options
        try:
            authority, ca_file = certificates.certificate_authority(options.folder)
        except OSError as error:
            raise SandboxError(f"cannot keep a certificate authority in {options.folder} ({error})") from error
        real_now = SystemClock().now()  # clients check the certificate against their own clock, whatever ours shows
        self._context = certificates.server_context(authority, options.address, real_now)
        keep = self._keep_state if options.keeps_always else None
        self._driver = driver = Driver(self._first_broker, self._clock, asyncio.get_running_loop(), keep)
        if self._state is not None:
            self._load(driver.broker, self._state)
        control_token = secrets.token_urlsafe(24)
        operations = BrokerOperations(lambda: driver.broker, self._world, self._faults, driver.now)
        site = self._site(driver, operations, control_token)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._keep_state)
            stack.callback(driver.stop)
            stack.callback(self._close_listeners)
            for port, kind in self._wanted():
                self._ports.append((await self._listen(port, kind), kind))
            oauth_port = await self._listen(options.oauth_port, lambda: HttpConnection(site.answer, self._visitors))
            stack.callback(self._drop_visitors)
            ready = self._ready(driver, oauth_port, ca_file, control_token)
            site.addresses = [
                ("protobuf", f"{ready.host}:{ready.port}"),
                ("JSON", f"{ready.host}:{ready.json_port}"),
            ]
            driver.pump()
            for path in dict.fromkeys((options.folder / READY_FILE, options.ready_file)):
                if path is not None:
                    _publish(path, ready)
                    stack.callback(remove_ready_file, path, ready)
            for scheduled in self._schedule:
                self._let_happen(operations, scheduled, stack)
            on_ready(ready)
            await until.wait()
            if self._restarting is not None:
                self._restarting.cancel()

    # Parts.

    def _new_broker(self) -> Broker:
        broker = setup.make_broker(self._options, self._world, self._switches, self._ticks, self._clock.now())
        broker.turn = TURN
        return broker

    def _let_happen(self, operations: BrokerOperations, scheduled: Scheduled, stack: contextlib.AsyncExitStack) -> None:
        """Switch a fault at its time: at once, or from a timer that ends with the server."""

        def switch() -> None:
            assert self._driver is not None
            try:
                if scheduled.arguments is None:
                    done = operations.clear_fault(scheduled.name)
                else:
                    done = operations.set_fault(scheduled.name, scheduled.arguments)
                _LOG.info("= at %s s: %s", scheduled.at_s, done)
            except (Refused, ValueError) as refused:
                _LOG.warning("! at %s s: %s: %s", scheduled.at_s, scheduled.name, refused)
            self._driver.pump()

        if scheduled.at_s == 0:
            switch()
        else:
            stack.callback(asyncio.get_running_loop().call_later(scheduled.at_s, switch).cancel)

    def _site(self, driver: Driver, operations: BrokerOperations, control_token: str) -> Site:
        oauth = OAuthSite(
            self._world,
            lambda: driver.broker.grants,
            self._switches,
            now=driver.now,
            form_key=secrets.token_bytes(32),
            balance=lambda account: setup.balance_text(driver.broker, account),
        )
        return Site(oauth, Control(operations, control_token), driver.pump, lambda: driver.broker.faults)

    def _wanted(self) -> list[tuple[int, _Kind]]:
        """List the ports of the protocol; with a port for live accounts the first serves demo ones only."""
        options = self._options
        is_split = options.live_port is not None
        wanted = [
            (options.port, self._kind(is_json=False, environment="demo" if is_split else None)),
            (options.json_port, self._kind(is_json=True, environment=None)),
        ]
        if options.live_port is not None:
            wanted.append((options.live_port, self._kind(is_json=False, environment="live")))
        return wanted

    def _kind(self, *, is_json: bool, environment: str | None) -> _Kind:
        def connection() -> asyncio.Protocol:
            assert self._driver is not None
            return ClientConnection(
                self._driver,
                is_json=is_json,
                raw_json=self._options.raw_json,
                environment=environment,
                faults=self._faults,
            )

        return connection

    def _ready(self, driver: Driver, oauth_port: int, ca_file: Path, control_token: str) -> ReadyInfo:
        options, broker, world = self._options, driver.broker, self._world
        application = next((a for a in world.applications if a.state == "Active"), world.applications[0])
        accounts = []
        for account in world.accounts:
            grant = broker.grants.tokens_of(account.ctid)
            accounts.append(
                ReadyAccount(
                    ctid=account.ctid,
                    login=account.login,
                    broker=account.broker,
                    currency=account.currency,
                    type="netted" if account.kind == NETTED else "hedged",
                    balance=setup.balance_text(broker, account),
                    live=account.live,
                    access_token=grant.access_token if grant is not None else "",
                    refresh_token=grant.refresh_token if grant is not None else "",
                )
            )
        ports = [port for port, _ in self._ports]
        base = f"https://{f'[{options.host}]' if ':' in options.host else options.host}:{oauth_port}"
        return ReadyInfo(
            host=options.host,
            port=ports[0],
            json_port=ports[1],
            live_port=ports[2] if len(ports) > 2 else None,
            oauth_url=base,
            ca_file=ca_file.absolute(),
            client_id=application.client_id,
            client_secret=application.client_secret,
            redirect_uris=application.redirect_uris,
            accounts=tuple(accounts),
            control_url=base,
            control_token=control_token,
        )

    # Listening.

    async def _listen(self, port: int, protocol: _Kind) -> int:
        try:
            server = await asyncio.get_running_loop().create_server(
                protocol,
                self._options.address,
                port,
                ssl=self._context,
                backlog=BACKLOG,
                ssl_handshake_timeout=TLS_HANDSHAKE_S,
                ssl_shutdown_timeout=TLS_SHUTDOWN_S,
            )
        except OSError as error:
            raise SandboxError(_why_not_listening(error, self._options.address, port)) from error
        self._listeners.append(server)
        return int(server.sockets[0].getsockname()[1])

    def _close_listeners(self) -> None:
        for server in self._listeners:
            server.close()
        self._listeners.clear()

    def _drop_visitors(self) -> None:
        for visitor in list(self._visitors):
            visitor.abort()

    # Restarts, asked for as a fault, and the state that outlives the process.

    def _restart(self, down_s: float) -> None:
        if self._restarting is not None and not self._restarting.done():
            raise ValueError("a restart is already under way")
        self._restarting = asyncio.get_running_loop().create_task(self._go_down(down_s))

    async def _go_down(self, down_s: float) -> None:
        assert self._driver is not None
        protocol_listeners, self._listeners = self._listeners[: len(self._ports)], self._listeners[len(self._ports) :]
        for server in protocol_listeners:
            server.close()
        self._driver.cut_all()
        await asyncio.sleep(down_s)
        broker = self._new_broker()
        broker.succeed(self._driver.broker, self._clock.now())  # with what was filled or consented to meanwhile
        self._driver.replace_broker(broker)
        oauth_listeners, self._listeners = self._listeners, []
        try:
            for port, kind in self._ports:
                await self._listen(port, kind)
        except SandboxError as error:
            _LOG.error("! the restart failed: %s", error)
        finally:
            self._listeners += oauth_listeners

    def _load(self, broker: Broker, state: dict[str, object]) -> None:
        try:
            broker.load_state(state, self._clock.now())
        except (AssertionError, KeyError, TypeError, ValueError) as fault:
            raise SetUpFault(
                f"expected a state of this very world in {self._options.state_file}, found another ({fault!r})"
            ) from None

    def _keep_state(self) -> None:
        if self._options.state_file is not None and self._driver is not None:
            state = json.dumps(self._driver.broker.state(), separators=(",", ":")).encode()
            try:
                certificates.write_private(self._options.state_file, state)
            except OSError as error:
                raise SandboxError(f"cannot keep the state in {self._options.state_file} ({error})") from error


_Kind = Callable[[], asyncio.Protocol]


def _publish(path: Path, ready: ReadyInfo) -> None:
    try:
        write_ready_file(path, ready)
    except OSError as error:
        raise SandboxError(f"cannot write the ready file {path} ({error.strerror or error})") from error


@contextlib.contextmanager
def run_in_thread(options: SandboxOptions, clock: Clock | None = None) -> Iterator[ReadyInfo]:
    """Run a server beside the caller; leaves no thread, port or file behind. Raises SandboxError."""
    server = SandboxServer(options, clock)
    started = threading.Event()
    outcome: list[ReadyInfo | BaseException] = []
    handle: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def main() -> None:
        until = asyncio.Event()
        handle.append((asyncio.get_running_loop(), until))

        def on_ready(ready: ReadyInfo) -> None:
            outcome.append(ready)
            started.set()

        await server.serve(until, on_ready)

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:  # noqa: BLE001  # carried to the caller's thread, whatever it is
            outcome.append(error)
        finally:
            started.set()

    thread = threading.Thread(target=run, name="cmam-sandbox", daemon=True)
    thread.start()
    try:
        if not started.wait(START_S_MAX):
            raise SandboxError(
                f"expected the sandbox to listen within {START_S_MAX:.0f} s, and it does not; see its log"
            )
        first = outcome[0]
        if isinstance(first, BaseException):
            raise first
        yield first
    finally:
        if handle and thread.is_alive():
            loop, until = handle[0]
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(until.set)
        thread.join()


def _why_not_listening(error: OSError, bind: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {bind} is in use: stop what listens there, or choose another port (0 = any free one)"
    if error.errno == errno.EACCES:
        return f"this user may not listen on port {port}: choose one above 1023 (0 = any free one)"
    return f"cannot listen on {bind} port {port}: {error.strerror or error}; check --bind and the port"
