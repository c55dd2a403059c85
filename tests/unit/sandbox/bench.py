"""A client on the sandbox's pure core: real bytes both ways, virtual time, no socket."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from cmam.openapi._pb import OpenApiCommonMessages_pb2 as common
from cmam.openapi._pb import OpenApiMessages_pb2 as messages
from cmam.sandbox.service.broker import Broker
from cmam.sandbox.service.delivery import Close, Send
from cmam.sandbox.serving.world_file import default_world
from cmam.sandbox.switches import Switches
from cmam.sandbox.world import World

START_US = 1_767_614_400_000_000
"""Monday 2026-01-05 12:00 UTC."""
LEADER, EURO, BETA_EURO, BETA_YEN, NETTED, LIVE, JONAS, LIMITED = range(41_000_001, 41_000_009)
SECOND = 1_000_000


def message_types() -> dict[int, type[Message]]:
    """List every message with a payload type."""
    found: dict[int, type[Message]] = {}
    for module in (common, messages):
        for name, descriptor in module.DESCRIPTOR.message_types_by_name.items():
            field = descriptor.fields_by_name.get("payloadType")
            if isinstance(field, FieldDescriptor) and field.has_default_value:
                found[field.default_value] = getattr(module, name)
    return found


TYPES = message_types()


class Line:
    """One connection and what came over it."""

    def __init__(self, bench: Bench, number: int) -> None:
        self.bench = bench
        self.number = number
        self.inbox: list[tuple[int, Any, str | None]] = []
        self.closed: Close | None = None
        self._ids = 0

    def send(self, message: Message, msg_id: str | None = "") -> str | None:
        """Send one message; the id is made here unless one is given (None: no id)."""
        if msg_id == "":
            self._ids += 1
            msg_id = f"c{self.number}-{self._ids}"
        kind = message.DESCRIPTOR.fields_by_name["payloadType"].default_value
        self.bench.broker.receive(self.number, kind, message.SerializePartialToString(), msg_id, self.bench.now_us)
        self.bench.collect()
        return msg_id

    def ask(self, message: Message) -> Any:
        """Send one message and give its answer, the first message with its id."""
        msg_id = self.send(message)
        return next(body for _, body, found in self.inbox if found == msg_id)

    def trade(self, message: Message, seconds: float = 1.0) -> list[Any]:
        """Send one trading request, let time pass, give every message that carries its id."""
        msg_id = self.send(message)
        self.bench.pass_time(seconds)
        return [body for _, body, found in self.inbox if found == msg_id]

    def take(self, *kinds: int) -> list[Any]:
        """Take what came of the given payload types (of all, if none is given) and forget everything."""
        taken = [body for kind, body, _ in self.inbox if not kinds or kind in kinds]
        self.inbox.clear()
        return taken


class Bench:
    """A broker under virtual time, with as many lines as wanted."""

    def __init__(self, world: World | None = None, *, seed: int = 1, start_us: int = START_US, **switches: Any) -> None:
        ticks = switches.pop("ticks", None)
        speed = switches.pop("speed", 1.0)
        self.world = world or default_world()
        self.now_us = start_us
        self.broker = Broker(
            self.world, now_us=start_us, seed=seed, switches=Switches(**switches), ticks=ticks, speed=speed
        )
        self.lines: dict[int, Line] = {}

    def connect(self, environment: str | None = None) -> Line:
        """Open a connection."""
        line = self.lines[len(self.lines) + 1] = Line(self, len(self.lines) + 1)
        self.broker.connect(line.number, self.now_us, environment=environment)
        return line

    def login(self, *ctids: int, environment: str | None = None) -> Line:
        """Open a connection and authorise the application and the accounts."""
        line = self.connect(environment)
        application = self.world.applications[0]
        line.ask(
            messages.ProtoOAApplicationAuthReq(clientId=application.client_id, clientSecret=application.client_secret)
        )
        for ctid in ctids:
            line.ask(messages.ProtoOAAccountAuthReq(ctidTraderAccountId=ctid, accessToken=self.token(ctid)))
        line.inbox.clear()
        return line

    def token(self, ctid: int) -> str:
        """Give an access token that covers an account."""
        grant = self.broker.grants.tokens_of(ctid)
        assert grant is not None
        return grant.access_token

    def pass_time(self, seconds: float) -> None:
        """Let time pass and everything happen that is due."""
        self.now_us += round(seconds * SECOND)
        self.broker.on_time(self.now_us)
        self.collect()

    def collect(self) -> None:
        """Hand the broker's output to the lines."""
        for item in self.broker.take_output():
            line = self.lines[item.connection]
            if isinstance(item, Send):
                line.inbox.append(
                    (item.payload_type, TYPES[item.payload_type].FromString(item.payload), item.client_msg_id)
                )
            else:
                line.closed = item

    def quote(self, ctid: int, symbol_id: int) -> tuple[int, int]:
        """Give the present bid and ask of an account's symbol, in 1/100_000_000."""
        quote = self.broker.floor.quote(self.broker.floor.accounts[ctid], symbol_id)
        return quote.bid, quote.ask

    def set_quote(self, ctid: int, symbol_id: int, bid: float, ask: float) -> None:
        """Put the market of a symbol's feed where a test wants it, at every broker, and let it act."""
        floor = self.broker.floor
        symbol = floor.symbol(floor.accounts[ctid], symbol_id)
        self.broker.move_price(symbol.feed, round(bid * 10**8), round(ask * 10**8))
        self.collect()

    def open_positions(self, line: Line, ctid: int) -> list[Any]:
        """Ask the broker for the open positions."""
        return list(line.ask(messages.ProtoOAReconcileReq(ctidTraderAccountId=ctid)).position)


def market_order(ctid: int, symbol_id: int, side: int, volume: int, **fields: Any) -> Message:
    """Write a market order."""
    return messages.ProtoOANewOrderReq(
        ctidTraderAccountId=ctid,
        symbolId=symbol_id,
        orderType=fields.pop("orderType", 1),
        tradeSide=side,
        volume=volume,
        **fields,
    )
