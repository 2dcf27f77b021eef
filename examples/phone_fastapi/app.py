"""A phone agent for Twilio in a FastAPI app: its webhook, and the stream of a call.

    pip install fastapi uvicorn python-multipart
    export OPENAI_API_KEY=... TWILIO_AUTH_TOKEN=... PUBLIC_HOST=voice.example.com
    uvicorn --app-dir examples/phone_fastapi app:app

The number's webhook is https://voice.example.com/voice.
"""

from __future__ import annotations

import os

from fastapi import FastAPI, HTTPException, Request, Response, WebSocket

from stapes import RealtimeAgent, RealtimeSession
from stapes.calls import (
    CallTokens,
    SignatureError,
    TwilioCall,
    twiml_connect,
    validate_twilio,
)

AUTH_TOKEN = os.environ["TWILIO_AUTH_TOKEN"]
PUBLIC_HOST = os.environ["PUBLIC_HOST"]

app = FastAPI()
tokens = CallTokens()
agent = RealtimeAgent(
    name="Shop", instructions="You answer the phone of a bicycle shop. Be brief and friendly."
)


@app.post("/voice")
async def voice(request: Request) -> Response:
    """Tell Twilio where the sound of a call goes."""
    form = {name: str(value) for name, value in (await request.form()).items()}
    signature = request.headers.get("X-Twilio-Signature")
    try:
        validate_twilio(AUTH_TOKEN, f"https://{PUBLIC_HOST}/voice", signature, form)
    except SignatureError as error:
        raise HTTPException(403) from error
    told = {"from": form.get("From", "")}
    twiml = twiml_connect(f"wss://{PUBLIC_HOST}/stream", told, tokens)
    return Response(twiml, media_type="application/xml")


@app.websocket("/stream")
async def stream(websocket: WebSocket) -> None:
    """Talk to a caller until they hang up."""
    async with (
        TwilioCall(websocket, tokens=tokens) as call,
        RealtimeSession(agent, call=call) as session,
    ):
        session.send_message(f"Greet the caller, whose number is {call.caller}.")
        await call.ended()
