"""A phone agent for Twilio, on the listener of stapes: sound never enters Python.

    export OPENAI_API_KEY=... TWILIO_AUTH_TOKEN=... PUBLIC_URL=wss://voice.example.com
    python examples/phone_twilio/listener.py

The number's TwiML, as a TwiML Bin for example:

    <Response>
      <Connect><Stream url="wss://voice.example.com/twilio"/></Connect>
      <Hangup/>
    </Response>
"""

from __future__ import annotations

import os

from agents import function_tool

from stapes import RealtimeAgent, RealtimeSession
from stapes.calls import Call, CallServer, Dtmf


@function_tool
def opening_hours(day: str) -> str:
    """When the shop is open on a day of the week."""
    return "It is closed." if day.casefold() == "sunday" else "It is open from nine to five."


agent = RealtimeAgent(
    name="Shop",
    instructions="You answer the phone of a bicycle shop. Be brief and friendly.",
    tools=[opening_hours],
)
calls = CallServer(
    host=os.environ.get("HOST", "127.0.0.1"),  # a proxy that speaks TLS is in front of it
    port=int(os.environ.get("PORT", "8080")),
    public_url=os.environ["PUBLIC_URL"],
)


@calls.twilio("/twilio", auth_token=os.environ["TWILIO_AUTH_TOKEN"])
async def answer(call: Call) -> None:
    """Talk to a caller until they hang up, or press the star."""
    call.on(Dtmf, lambda key: call.hang_up() if key.digit == "*" else None)
    async with RealtimeSession(agent, call=call) as session:
        session.send_message("Greet the caller, and ask how you can help.")
        await call.ended()


if __name__ == "__main__":
    calls.run()
