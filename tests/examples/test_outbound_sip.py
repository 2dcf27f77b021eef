"""The example that rings somebody up, against stand-ins for the carrier and for OpenAI's API."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI, Request, WebSocket
from tests.calls.asgi_server import served

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECRET = base64.b64encode(b"a secret of 24 bytes....").decode()
CALL = "rtc_0123456789"
INCOMING = {
    "id": "evt_1",
    "object": "event",
    "created_at": 1,
    "type": "realtime.call.incoming",
    "data": {
        "call_id": CALL,
        "sip_headers": [
            {"name": "From", "value": "sip:+15550123@example.com"},
            {"name": "X-About", "value": "the order is ready"},
        ],
    },
}


class Far:
    """The carrier and OpenAI's HTTP API: what they were asked."""

    def __init__(self) -> None:
        self.rung: list[dict[str, str]] = []
        self.accepted: list[tuple[str, dict[str, Any]]] = []
        self.joined: list[str] = []
        self.told: list[dict[str, Any]] = []
        self.app = FastAPI()
        self.app.post("/2010-04-01/Accounts/AC1/Calls.json")(self.ring)
        self.app.post("/v1/realtime/calls/{call_id}/accept")(self.accept)
        self.app.websocket("/v1/realtime")(self.join)

    async def ring(self, request: Request) -> dict[str, str]:
        assert request.headers["authorization"].startswith("Basic ")
        self.rung.append({name: str(value) for name, value in (await request.form()).items()})
        return {"sid": "CA1"}

    async def accept(self, call_id: str, request: Request) -> dict[str, str]:
        self.accepted.append((call_id, await request.json()))
        return {}

    async def join(self, websocket: WebSocket) -> None:
        """Listen until the session asks for an answer; then the person hangs up."""
        if self.joined:
            await websocket.close()  # the call is over: 403
            return
        await websocket.accept()
        self.joined.append(websocket.query_params["call_id"])
        await websocket.send_json({"type": "session.created", "session": {}})
        while not self.told or self.told[-1]["type"] != "response.create":
            self.told.append(await websocket.receive_json())
        await websocket.close(1000)


@pytest.fixture
async def far(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Far]:
    far = Far()
    async with served(far.app) as port:
        environment = {
            "TWILIO_ACCOUNT_SID": "AC1",
            "TWILIO_AUTH_TOKEN": "token",
            "TWILIO_NUMBER": "+15550100",
            "TWILIO_API": f"http://127.0.0.1:{port}",
            "OPENAI_PROJECT": "proj_1",
            "OPENAI_API_KEY": "any",
            "OPENAI_WEBHOOK_SECRET": f"whsec_{SECRET}",
            "OPENAI_BASE_URL": f"http://127.0.0.1:{port}/v1",
            "RING_KEY": "ring",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        yield far


async def post(port: int, path: str, body: str, **headers: str) -> int:
    """Send a request; return the status of the answer."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    sent = {"Host": "test", "Content-Length": str(len(body)), "Connection": "close", **headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in sent.items())
    writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n{body}".encode())
    answer = await reader.read()
    writer.close()
    return int(answer.split()[1])


def signed(body: str, *, secret: str = SECRET) -> dict[str, str]:
    """The headers of a webhook of OpenAI's."""
    stamp = str(int(time.time()))
    told = f"wh_1.{stamp}.{body}".encode()
    digest = hmac.new(base64.b64decode(secret), told, hashlib.sha256).digest()
    return {
        "Content_Type": "application/json",
        "webhook_id": "wh_1",
        "webhook_timestamp": stamp,
        "webhook_signature": f"v1,{base64.b64encode(digest).decode()}",
    }


async def test_who_knows_the_key_has_the_carrier_ring(far: Far, example: Any) -> None:
    form = "to=%2B15550123&about=the+order+is+ready"
    kind = {"Content_Type": "application/x-www-form-urlencoded"}
    async with served(example("outbound_sip/ring").app) as port:
        assert await post(port, "/ring", form, **kind) == 403
        assert await post(port, "/ring", form, Authorization="Bearer ring", **kind) == 200
    [rung] = far.rung
    assert (rung["To"], rung["From"]) == ("+15550123", "+15550100")
    assert (
        "sip:proj_1@sip.api.openai.com;transport=tls?x-about=the%20order%20is%20ready"
        in (rung["Twiml"])
    )


async def test_a_call_that_comes_is_accepted_and_joined_once(far: Far, example: Any) -> None:
    body = json.dumps(INCOMING)
    module = example("outbound_sip/ring")
    async with served(module.app) as port:
        assert await post(port, "/openai", body, **signed(body, secret="AAAA")) == 403
        assert far.accepted == []
        assert await post(port, "/openai", body, **signed(body)) == 200
        [joining] = module.joined.values()
        assert await post(port, "/openai", body, **signed(body)) == 200
        async with asyncio.timeout(10):
            await joining
    [(call_id, config)] = far.accepted
    assert call_id == CALL
    assert "the order is ready" in config["instructions"]
    assert far.joined == [CALL]
    assert far.told[-1]["type"] == "response.create"
    assert module.joined == {}
