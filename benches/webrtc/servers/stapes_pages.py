"""stapes' own listener, for web pages over WebRTC.

BLOCK=loop or gil: a handler blocks now and then.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2] / "phone" / "servers"))

from blocking import block_if_asked

from stapes import RealtimeAgent, RealtimeSession, WebSocketTransport
from stapes.calls import Call, CallMessage, CallServer

agent = RealtimeAgent(name="Assistant", instructions="Keep responses concise.")
calls = CallServer(port=int(os.environ["PORT"]))


@calls.browser("/talk")
async def answer(call: Call) -> None:
    """Talks; the page is told what is said, and when it asks, how its sound fares."""
    block_if_asked()

    def tell(_: CallMessage) -> None:
        if call.sound is not None:
            call.send_message({"target_ms": 1000 * call.sound.target})

    call.on(CallMessage, tell)
    model = WebSocketTransport(url=os.environ["REALTIME_URL"])
    async with RealtimeSession(agent, call=call, api_key="any", transport=model):
        await call.ended()


calls.run()
