"""A phone agent for Asterisk, over AudioSocket and over its WebSocket channel.

    export OPENAI_API_KEY=...
    python examples/phone_asterisk/switchboard.py

extensions.conf; the first one is for AudioSocket, the second one for the WebSocket channel:

    exten => 100,1,Answer()
     same => n,AudioSocket(${UUID()},127.0.0.1:9092)
     same => n,Hangup()

    exten => 200,1,Answer()
     same => n,Dial(WebSocket/agent/c(slin16))
     same => n,Hangup()

websocket_client.conf, for the second one:

    [agent]
    type = websocket_client
    uri = ws://127.0.0.1:8080/asterisk
    protocols = media
    connection_type = per_call_config
"""

from __future__ import annotations

import os

from stapes import RealtimeAgent, RealtimeSession
from stapes.calls import Call, CallServer, Dtmf

agent = RealtimeAgent(
    name="Switchboard", instructions="You answer a company's switchboard. Be brief and friendly."
)
calls = CallServer(port=int(os.environ.get("PORT", "8080")))


@calls.audiosocket(port=int(os.environ.get("AUDIOSOCKET_PORT", "9092")))
@calls.route("asterisk", "/asterisk")
async def answer(call: Call) -> None:
    """Talk to a caller until they hang up, or press the hash."""
    call.on(Dtmf, lambda key: call.hang_up() if key.digit == "#" else None)
    async with RealtimeSession(agent, call=call) as session:
        session.send_message("Greet the caller, and ask whom they want to speak to.")
        await call.ended()


if __name__ == "__main__":
    calls.run()
