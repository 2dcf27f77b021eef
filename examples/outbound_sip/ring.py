"""Rings somebody up: a carrier dials them, and OpenAI's SIP address is the other end of the call.

    pip install stapes fastapi uvicorn python-multipart
    export OPENAI_API_KEY=... OPENAI_WEBHOOK_SECRET=... OPENAI_PROJECT=proj_...
    export TWILIO_ACCOUNT_SID=... TWILIO_AUTH_TOKEN=... TWILIO_NUMBER=+15550100 RING_KEY=...
    uvicorn --app-dir examples/outbound_sip ring:app

`curl -H "Authorization: Bearer $RING_KEY" -d to=+15550123 -d about="the order is ready" .../ring`
rings. When they answer, OpenAI calls `/openai` with a `call_id`, and a session joins that call.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import logging
import os
import urllib.request
from typing import Annotated, Any
from urllib.parse import quote, urlencode
from xml.sax.saxutils import quoteattr

from fastapi import FastAPI, Form, Header, HTTPException, Request
from openai import APIError, AsyncOpenAI, InvalidWebhookSignatureError

from stapes import DtmfReceived, RealtimeAgent, RealtimeSession, StapesError

ACCOUNT = os.environ["TWILIO_ACCOUNT_SID"]
CARRIER = os.environ.get("TWILIO_API", "https://api.twilio.com")
PROJECT = os.environ["OPENAI_PROJECT"]
RING_KEY = os.environ["RING_KEY"]

app = FastAPI()
logger = logging.getLogger("ring")
openai = AsyncOpenAI()  # OPENAI_API_KEY, OPENAI_WEBHOOK_SECRET
joined: dict[str, asyncio.Task[None]] = {}
"""The calls that are under way, by their id: a webhook that comes twice joins once."""


@app.post("/ring")
async def ring(
    to: Annotated[str, Form()],
    about: Annotated[str, Form()],
    authorization: Annotated[str, Header()] = "",
) -> dict[str, str]:
    """Have the carrier ring a number; when it answers, it is put through to OpenAI."""
    if not hmac.compare_digest(authorization.encode(), f"Bearer {RING_KEY}".encode()):
        raise HTTPException(403)
    address = f"sip:{PROJECT}@sip.api.openai.com;transport=tls?x-about={quote(about)}"
    twiml = f"<Response><Dial answerOnBridge='true'><Sip>{escaped(address)}</Sip></Dial></Response>"
    form = {"To": to, "From": os.environ["TWILIO_NUMBER"], "Twiml": twiml}
    try:
        return {"call": await asyncio.to_thread(dial, form)}
    except OSError as error:
        logger.error("the carrier does not ring: %s", error)
        raise HTTPException(502, "the carrier does not ring") from error


def dial(form: dict[str, str]) -> str:
    """Ask Twilio to ring; return its id of the call."""
    login = f"{ACCOUNT}:{os.environ['TWILIO_AUTH_TOKEN']}".encode()
    request = urllib.request.Request(
        f"{CARRIER}/2010-04-01/Accounts/{ACCOUNT}/Calls.json",
        data=urlencode(form).encode(),
        headers={"Authorization": f"Basic {base64.b64encode(login).decode()}"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        sid: str = json.load(answer)["sid"]
        return sid


def escaped(text: str) -> str:
    """Return a text as it stands in XML."""
    return quoteattr(text)[1:-1]


@app.post("/openai")
async def incoming(request: Request) -> dict[str, str]:
    """Hear of a call that has reached OpenAI, and join it."""
    try:
        event = openai.webhooks.unwrap(await request.body(), request.headers)
    except InvalidWebhookSignatureError as error:
        raise HTTPException(403) from error
    if event.type == "realtime.call.incoming" and event.data.call_id not in joined:
        call_id = event.data.call_id
        told = {header.name.casefold(): header.value for header in event.data.sip_headers}
        joined[call_id] = asyncio.create_task(talk(call_id, told.get("x-about", "")))
        joined[call_id].add_done_callback(lambda _: joined.pop(call_id))
    return {}


async def talk(call_id: str, about: str) -> None:
    """Accept a call with the agent's configuration, join it, and stay until it is over."""
    agent: RealtimeAgent[Any] = RealtimeAgent(
        name="Caller",
        instructions=f"You ring a customer up. Tell them: {about or 'who you are'}. Be brief.",
    )
    session = RealtimeSession(agent, speaks_first="agent")

    @session.on("dtmf_received")
    def pressed(_event: DtmfReceived) -> None:
        logger.info("%s: a key was pressed", call_id)

    try:
        config = await session.initial_session_config()
        await openai.realtime.calls.accept(call_id, type="realtime", extra_body=config)
        await session.connect(call_id=call_id)
        async for _ in session:
            pass  # until the call is over
    except (APIError, StapesError):
        logger.exception("%s: the call could not be joined", call_id)
    finally:
        await session.close()
