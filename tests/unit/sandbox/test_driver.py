"""The broker's alarm clock: woken at its moment, never in a storm."""

from __future__ import annotations

import asyncio

import pytest

from cmam.clock import SystemClock
from cmam.sandbox.service.delivery import Send
from cmam.sandbox.wire import driver as driver_module
from cmam.sandbox.wire.driver import Driver
from tests.unit.sandbox.scripted import ANSWER_S, ScriptedBroker, run, serving


def test_deadlines_wake_the_broker_and_a_past_one_is_no_busy_loop() -> None:
    """The broker is woken at its moment; a deadline that stays in the past costs some wakes, not the processor."""

    async def story() -> None:
        broker = ScriptedBroker()
        async with serving(broker) as (_, _, driver):
            due = broker.deadline = driver.now() + 20_000
            driver.pump()
            await asyncio.wait_for(broker.woken.wait(), ANSWER_S)
            assert driver.now() >= due

            class Stuck(ScriptedBroker):
                wakes = 0

                def on_time(self, now_us: int) -> None:
                    self.wakes += 1
                    if self.wakes == 20:
                        self.woken.set()

                def next_deadline(self) -> int | None:
                    return 1

            stuck = Stuck()
            loop = asyncio.get_running_loop()
            started = loop.time()
            stuck_driver = Driver(stuck, SystemClock(), loop)
            stuck_driver.pump()
            await asyncio.wait_for(stuck.woken.wait(), ANSWER_S)
            assert loop.time() - started >= 19 * 0.0005
            stuck_driver.stop()

    run(story)


def test_a_broker_that_fails_on_its_own_time_is_asked_again_without_a_storm(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the core is logged once a while, and the market goes on when it has passed."""
    monkeypatch.setattr(driver_module, "SLEEP_S_MAX", 0.01)

    class Failing(ScriptedBroker):
        asked = 0

        def on_time(self, now_us: int) -> None:
            self.asked += 1
            if self.asked < 3:
                raise RuntimeError("a fault of the core")
            self.woken.set()

        def next_deadline(self) -> int | None:
            return 1

    async def story() -> None:
        broker = Failing()
        loop = asyncio.get_running_loop()
        driver = Driver(broker, SystemClock(), loop)
        started = loop.time()
        driver.pump()
        await asyncio.wait_for(broker.woken.wait(), ANSWER_S)
        assert loop.time() - started >= 2 * 0.01
        driver.stop()

    run(story)


def test_a_broker_that_falls_behind_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    """And again when it had caught up in between; a moment late is not worth a word."""

    async def story() -> None:
        broker = ScriptedBroker()
        driver = Driver(broker, SystemClock(), asyncio.get_running_loop())
        for behind_s in (2, 7, 8, 3, 9, 0, 6):
            broker.deadline = driver.now() - behind_s * 1_000_000
            driver.pump()
        driver.stop()

    run(story)
    assert [record.getMessage().split(" s behind")[0] for record in caplog.records] == [
        "! the market is 7",
        "! the market is 6",
    ]


def test_the_books_are_kept_before_anything_is_said_that_rests_on_them() -> None:
    """With a keeper each answer waits for it; prices and heartbeats, which rest on nothing, do not."""

    async def story() -> None:
        broker, said = ScriptedBroker(), []
        driver = Driver(broker, SystemClock(), asyncio.get_running_loop(), lambda: said.append("kept"))
        broker.output = [Send(1, 2131, b"", None), Send(1, 51, b"", None)]
        driver.pump()
        assert said == []
        broker.output = [Send(1, 2131, b"", None), Send(1, 2126, b"", None)]
        driver.pump()
        assert said == ["kept"]
        driver.stop()

    run(story)
