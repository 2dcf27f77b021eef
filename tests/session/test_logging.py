"""The core's log records come out of Python's `logging`."""

from __future__ import annotations

import asyncio
import logging

import pytest

from stapes import RealtimeAgent, RealtimeSession
from stapes.testing import ScriptedServer, settle


async def talk() -> None:
    async with ScriptedServer() as server:
        session = RealtimeSession(RealtimeAgent(name="Front desk"), api_key="sk-test-secret")
        await session.connect(url=server.url)
        await settle(session, server)
        await session.close()


async def until_logged(caplog: pytest.LogCaptureFixture, text: str) -> list[logging.LogRecord]:
    while True:
        found = [
            record
            for record in caplog.records
            if record.name.startswith("stapes") and text in record.getMessage()
        ]
        if found:
            return found
        await asyncio.sleep(0.001)


async def test_nothing_is_logged_unless_it_is_asked_for(caplog: pytest.LogCaptureFixture):
    # As Python's own default is; the other tests of the folder log everything.
    caplog.set_level(logging.WARNING)
    await talk()
    assert not [record for record in caplog.records if record.name.startswith("stapes")]


async def test_the_core_logs_to_children_of_the_logger_stapes(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, logger="stapes")
    await talk()
    async with asyncio.timeout(10):
        records = await until_logged(caplog, "connected")
    assert all(record.name.startswith("stapes.transport.") for record in records)
    assert all(record.levelno == logging.DEBUG for record in records)


async def test_a_child_may_log_more_than_its_parent(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.WARNING, logger="stapes")
    caplog.set_level(logging.DEBUG, logger="stapes.transport")
    await talk()
    async with asyncio.timeout(10):
        await until_logged(caplog, "connected")


async def test_records_go_to_a_loop_that_is_woken_for_nothing_else(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level(logging.DEBUG, logger="stapes")
    session = RealtimeSession(RealtimeAgent(name="Front desk"), api_key="sk-test-secret")
    with pytest.raises(Exception, match="refused the connection"):
        await session.connect(url="ws://127.0.0.1:9/v1/realtime")
    async with asyncio.timeout(10):
        await until_logged(caplog, "connecting")


async def test_a_filter_that_raises_stops_no_events(caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG, logger="stapes")

    def refuse(record: logging.LogRecord) -> bool:
        raise ValueError("this filter takes nothing")

    logger = logging.getLogger("stapes.transport.websocket")
    logger.addFilter(refuse)
    try:
        # It connects, and settles, which takes events.
        await talk()
        async with asyncio.timeout(10):
            [record, *_] = await until_logged(caplog, "could not take its events")
    finally:
        logger.removeFilter(refuse)
    assert record.exc_info is not None
    assert "this filter takes nothing" in str(record.exc_info[1])
    assert await until_logged(caplog, "closed by this side")
