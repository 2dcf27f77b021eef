"""Calls that come and go leave nothing behind."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from calling import KEY

from stapes import RealtimeAgent, RealtimeSession, WebRTCTransport

pytest.importorskip("aiortc", reason="the far side of these calls is aiortc")

CALLS, AT_ONCE = 60, 10
SECONDS = 60

# In a process of its own: what the server has is none of what is counted here.
SERVER = """
from stapes.devserver import Options, ScriptedMind, ToneVoice
from stapes.devserver.running import serve
serve(
    ScriptedMind(otherwise="Yes."), ToneVoice(), Options(), port=0,
    on_ready=lambda url: print(url.replace("ws:", "http:") + "/calls", flush=True),
)
"""

pytestmark = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="for Linux")


async def one_call(url: str) -> None:
    """A whole call: a question, the beginning of the answer, and the end, in the midst of it."""
    transport = WebRTCTransport(url=url)
    session: Any = RealtimeSession(RealtimeAgent(name="front"), api_key=KEY, transport=transport)
    heard = asyncio.Event()
    session.on("audio", lambda _event: heard.set())
    async with session:
        session.send_message("Are you there?")
        await heard.wait()


async def hold(calls: int, url: str) -> None:
    """Hold so many calls, some at a time."""
    room = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with room:
            await one_call(url)

    async with asyncio.timeout(SECONDS), asyncio.TaskGroup() as group:
        for _ in range(calls):
            group.create_task(one())


def left() -> dict[str, int]:
    gc.collect()
    return {
        "threads": len(os.listdir("/proc/self/task")),
        "descriptors": len(os.listdir("/proc/self/fd")),
        "tasks": len(asyncio.all_tasks()),
        "sessions": sum(isinstance(one, RealtimeSession) for one in gc.get_objects()),
    }


async def more_than(before: dict[str, int]) -> dict[str, int]:
    """What there is more of, when what ends has had the time to end."""
    for _ in range(50):
        more = {what: count for what, count in left().items() if count > before[what]}
        if not more:
            break
        await asyncio.sleep(0.1)
    return more


async def test_calls_that_were_closed_leave_no_thread_no_socket_and_no_task(stack):
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, stdout=asyncio.subprocess.PIPE
    )
    stack.push_async_callback(server.wait)
    stack.callback(server.terminate)
    assert server.stdout is not None
    url = (await server.stdout.readline()).decode().strip()
    # What is made once is no leak.
    await hold(AT_ONCE, url)
    await asyncio.sleep(0.5)
    before = left()
    await hold(CALLS, url)
    assert await more_than(before) == {}
