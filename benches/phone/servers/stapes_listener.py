"""stapes' own listener.

LOOP=asyncio: on asyncio's event loop; BLOCK=loop or gil: a handler blocks now and then.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import time

from agents import function_tool

from stapes import RealtimeAgent, RealtimeSession, WebSocketTransport
from stapes.calls import Call, CallServer


@function_tool
def get_weather(city: str) -> str:
    """Get the weather in a city."""
    return f"The weather in {city} is sunny."


agent = RealtimeAgent(
    name="Twilio Assistant", instructions="Keep responses concise.", tools=[get_weather]
)
calls = CallServer(port=int(os.environ["PORT"]))
BLOCKS = os.environ.get("BLOCK")
EVERY_S = 5.0
begun = time.monotonic()


def block() -> None:
    """What no handler should do."""
    if BLOCKS == "loop":
        time.sleep(2)
    else:
        # Through PyDLL the GIL is held.
        ctypes.PyDLL(None).usleep(500_000)


async def block_now_and_then() -> None:
    """Blocks the thread of all handlers."""
    while True:
        await asyncio.sleep(EVERY_S)
        block()


blocking: list[asyncio.Task[None]] = []


@calls.twilio("/media-stream")
async def answer(call: Call) -> None:
    """Talks, with what reads transcripts and history."""
    if BLOCKS and not blocking:
        blocking.append(asyncio.create_task(block_now_and_then()))
    model = WebSocketTransport(url=os.environ["REALTIME_URL"])
    async with RealtimeSession(agent, call=call, api_key="any", transport=model) as session:
        session.on("history_updated", lambda _: None)
        session.on("transcript_delta", lambda _: None)
        await call.ended()


if os.environ.get("LOOP") == "asyncio":
    asyncio.run(calls.serve())
else:
    calls.run()
