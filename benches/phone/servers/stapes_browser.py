"""stapes' own listener, for web pages."""

from __future__ import annotations

import os

from stapes import RealtimeAgent, RealtimeSession, WebSocketTransport
from stapes.calls import Call, CallServer

agent = RealtimeAgent(name="Assistant", instructions="Keep responses concise.")
calls = CallServer(port=int(os.environ["PORT"]))


@calls.browser("/media-stream")
async def answer(call: Call) -> None:
    """Talks; the page is told what is said."""
    model = WebSocketTransport(url=os.environ["REALTIME_URL"])
    async with RealtimeSession(agent, call=call, api_key="any", transport=model):
        await call.ended()


calls.run()
