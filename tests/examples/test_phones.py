"""The examples of phone agents answer calls."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import struct
import uuid
from typing import TYPE_CHECKING, Any

import pytest_asyncio
from tests.calls.asgi_server import served
from tests.calls.twilio_phone import FRAME, TwilioPhone
from websockets.asyncio.client import connect

from stapes.calls import TOKEN_PARAMETER
from stapes.testing import DevServer, ScriptedMind, Turn

if TYPE_CHECKING:
    import pytest

AUTH_TOKEN = "0123456789abcdef"
PUBLIC_HOST = "voice.example.com"


@pytest_asyncio.fixture
async def greeter(model: Any, monkeypatch: pytest.MonkeyPatch) -> DevServer:
    """A model that greets, and what the examples read of the environment."""
    monkeypatch.setenv("TWILIO_AUTH_TOKEN", AUTH_TOKEN)
    monkeypatch.setenv("PUBLIC_URL", f"wss://{PUBLIC_HOST}")
    monkeypatch.setenv("PUBLIC_HOST", PUBLIC_HOST)
    monkeypatch.setenv("PORT", "0")
    monkeypatch.setenv("AUDIOSOCKET_PORT", "0")
    server: DevServer = await model(ScriptedMind([Turn(when="Greet", say="Good day.")]))
    return server


def signature(url: str, form: dict[str, str] | None = None) -> dict[str, str]:
    """What Twilio signs a request with."""
    signed = url + "".join(name + value for name, value in sorted((form or {}).items()))
    digest = hmac.new(AUTH_TOKEN.encode(), signed.encode(), hashlib.sha1).digest()
    return {"X-Twilio-Signature": base64.b64encode(digest).decode()}


async def is_greeted(phone: TwilioPhone) -> None:
    """The caller hears the agent."""
    await phone.until(lambda: len(phone.heard) >= 5 * FRAME)


async def test_the_example_of_the_listener_answers_twilio(greeter: DevServer, example: Any) -> None:
    module = example("phone_twilio/listener")
    signed = signature(f"wss://{PUBLIC_HOST}/twilio")
    async with module.calls as calls:
        url = f"ws://127.0.0.1:{calls.port}/twilio"
        async with TwilioPhone(url, headers=signed) as phone:
            await phone.start()
            await is_greeted(phone)
            await phone.press("*")
            await phone.until(lambda: phone.close_code is not None)
        call = await greeter.next_call()
        assert [tool["name"] for tool in call.conversation.session["tools"]] == ["opening_hours"]


async def post(port: int, path: str, form: dict[str, str], headers: dict[str, str]) -> str:
    """What a webhook is answered with."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in form.items())
    head = {
        "Host": PUBLIC_HOST,
        "Content-Type": "application/x-www-form-urlencoded",
        "Content-Length": str(len(body)),
        "Connection": "close",
        **headers,
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    writer.write(f"POST {path} HTTP/1.1\r\n{lines}\r\n{body}".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    return answer


async def test_the_example_of_fastapi_answers_a_webhook_and_its_call(
    greeter: DevServer, example: Any
) -> None:
    module = example("phone_fastapi/app")
    form = {"CallSid": "CA1", "From": "+15550100"}
    signed = signature(f"https://{PUBLIC_HOST}/voice", form)
    async with served(module.app) as port:
        assert "403" in await post(port, "/voice", form, {"X-Twilio-Signature": "no"})
        twiml = await post(port, "/voice", form, signed)
        assert f"wss://{PUBLIC_HOST}/stream" in twiml
        token = twiml.partition(f'"{TOKEN_PARAMETER}" value="')[2].partition('"')[0]
        url = f"ws://127.0.0.1:{port}/stream"
        told = {"from": "+15550100", TOKEN_PARAMETER: token}
        async with TwilioPhone(url, **told) as phone:
            await phone.start()
            await is_greeted(phone)
            await phone.hang_up()
        greeted = (await greeter.next_call()).conversation.messages[0][1]
        assert "+15550100" in greeted


async def test_the_example_of_asterisk_answers_audiosocket(
    greeter: DevServer, example: Any
) -> None:
    module = example("phone_asterisk/switchboard")
    async with module.calls as calls:
        port = calls.ports["audiosocket"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(struct.pack(">BH", 1, 16) + uuid.uuid4().bytes)
        heard = 0
        async with asyncio.timeout(10):
            while heard < 5:
                kind, length = struct.unpack(">BH", await reader.readexactly(3))
                sound = await reader.readexactly(length)
                heard += kind == 0x10 and any(sound)
            writer.write(struct.pack(">BHc", 3, 1, b"#"))
            while kind:
                kind, length = struct.unpack(">BH", await reader.readexactly(3))
                await reader.readexactly(length)
        writer.close()


async def test_the_example_of_asterisk_answers_the_websocket_channel(
    greeter: DevServer, example: Any
) -> None:
    module = example("phone_asterisk/switchboard")
    async with (
        module.calls as calls,
        connect(f"ws://127.0.0.1:{calls.port}/asterisk", subprotocols=["media"]) as asterisk,
    ):
        await asterisk.send(
            "MEDIA_START connection_id:agent channel:WebSocket/agent/0x1 channel_id:1.2 "
            "format:slin16 optimal_frame_size:640 ptime:20"
        )
        async with asyncio.timeout(10):
            while not isinstance(await asterisk.recv(), bytes):
                pass
            await asterisk.send("DTMF_END digit:#")
            while await asterisk.recv() != "HANGUP":
                pass
