"""stapes' own listener.

LOOP=asyncio: on asyncio's event loop; BLOCK=loop or gil: a handler blocks now and then.
"""

from __future__ import annotations

import asyncio
import os

from agents import function_tool
from blocking import block_if_asked

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


@calls.twilio("/media-stream")
async def answer(call: Call) -> None:
    """Talks, with what reads transcripts and history."""
    block_if_asked()
    model = WebSocketTransport(url=os.environ["REALTIME_URL"])
    async with RealtimeSession(agent, call=call, api_key="any", transport=model) as session:
        session.on("history_updated", lambda _: None)
        session.on("transcript_delta", lambda _: None)
        await call.ended()


if os.environ.get("LOOP") == "asyncio":
    asyncio.run(calls.serve())
else:
    calls.run()
