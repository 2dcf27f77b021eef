"""stapes in an ASGI app on uvicorn."""

from __future__ import annotations

import os

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket  # noqa: TC002 - Starlette reads annotations

from stapes import RealtimeAgent, RealtimeSession, WebSocketTransport
from stapes.calls import TwilioCall

agent = RealtimeAgent(name="Twilio Assistant", instructions="Keep responses concise.")


async def answer(websocket: WebSocket) -> None:
    """Talks, with what reads transcripts and history."""
    model = WebSocketTransport(url=os.environ["REALTIME_URL"])
    async with TwilioCall(websocket) as call:
        session = RealtimeSession(agent, call=call, api_key="any", transport=model)
        session.on("history_updated", lambda _: None)
        session.on("transcript_delta", lambda _: None)
        async with session:
            await call.ended()


app = Starlette(routes=[WebSocketRoute("/media-stream", answer)])
uvicorn.run(app, host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning")
