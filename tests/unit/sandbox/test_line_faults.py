"""Faults of the wire: the same bytes in the end, only later, slower or in pieces."""

from __future__ import annotations

import asyncio

import pytest

from cmam.sandbox.wire.envelopes import Envelope
from cmam.sandbox.wire.line_faults import LineFaults
from tests.unit.sandbox.scripted import ScriptedBroker, framed, read_messages, run, serving


def test_trickled_answers_are_the_same_bytes() -> None:
    """Pieces of a few bytes make the same frames in the end."""

    async def story() -> None:
        faults = LineFaults()
        faults.set("trickle", {"bytes": "3", "ms": "0"})
        async with serving(ScriptedBroker(), faults=faults) as (port, tls, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            writer.write(framed(2100, b"\x12\x01x", "a") + framed(2102, b"", "b"))
            assert await read_messages(reader, 2) == [Envelope(2101, b"\x12\x01x", "a"), Envelope(2103, b"", "b")]
            writer.close()

    run(story)


def test_a_slow_reader_takes_its_time_and_everything_in_the_end() -> None:
    """Requests wait in the client's socket, none is lost."""

    async def story() -> None:
        faults = LineFaults()
        faults.set("slow-reader", {"bytes_per_s": "100000"})
        async with serving(ScriptedBroker(), faults=faults) as (port, tls, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls)
            loop = asyncio.get_running_loop()
            started = loop.time()
            writer.write(framed(2100, b"x" * 10_000, "a"))
            await writer.drain()
            await read_messages(reader, 1)
            writer.write(framed(2102, b"", "b"))
            assert await read_messages(reader, 1) == [Envelope(2103, b"", "b")]
            assert loop.time() - started >= 0.09
            writer.close()

    run(story)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("trickle", {"colour": "red"}),
        ("trickle", {"bytes": "-1"}),
        ("slow-reader", {"bytes_per_s": "0"}),
        ("restart", {"down_s": "x"}),
    ],
)
def test_arguments_of_wire_faults_are_checked_and_nothing_is_switched_on(name: str, arguments: dict[str, str]) -> None:
    """A fault with a wrong argument is refused in one sentence."""
    faults = LineFaults()
    with pytest.raises(ValueError, match=r"expected|takes"):
        faults.set(name, arguments)
    assert faults.on() == {}
    assert (faults.bytes_per_s, faults.trickle_bytes) == (0, 0)
