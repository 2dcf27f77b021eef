"""What a stranger, or a broken carrier, may send.

The call goes on where it can, and no other notices. Over real sockets, through the listener and in
an ASGI app.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import pytest
from starlette.websockets import WebSocket  # noqa: TC002 - Starlette reads annotations
from tests.calls.test_asgi_calls import app
from tests.calls.test_twilio_calls import Desk, answered, sound_of, until, url_of
from tests.calls.twilio_phone import FRAME, TwilioPhone
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from stapes.calls import Call, CallEnded, CallFrameIgnored, CallOptions, CallServer, TwilioCall
from stapes.calls.options import ListenOptions
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

GOOD = bytes(range(1, 161)) * 8
QUICK = CallOptions(resume_timeout=0.0)
"""A broken line is not waited for."""


def media(**fields: Any) -> str:
    """A media message of the stream MZ1."""
    message = {"event": "media", "streamSid": "MZ1", **fields}
    return json.dumps({key: value for key, value in message.items() if value is not None})


SOUND = base64.b64encode(b"\x01" * FRAME).decode()
START = json.dumps(
    {"event": "start", "start": {"streamSid": "MZ1", "callSid": "CA1"}, "streamSid": "MZ1"}
)

IGNORED: dict[str, tuple[str | bytes, str]] = {
    "half_a_frame": ('{"event":"media","media":{"payl', "is no JSON"),
    "an_empty_frame": ("", "is no JSON"),
    "no_object": ("[1]", "is no JSON"),
    "deep_nesting": ("[" * 50_000, "is no JSON"),
    "a_binary_frame": (b"\x00\xff" * 80, "is no JSON"),
    "no_event": ('{"streamSid":"MZ1"}', "lacks event"),
    "an_unknown_event": ('{"event":"weird","streamSid":"MZ1"}', "'weird'|\"weird\""),
    "wrong_base64": (media(media={"payload": "###"}), "not base64"),
    "half_of_base64": (media(media={"payload": SOUND[:-3]}), "not base64"),
    "a_number_for_sound": (media(media={"payload": 1234}), "not base64"),
    "no_payload": (media(media={}), "lacks media.payload"),
    "no_media": (media(), "lacks media"),
    "a_foreign_stream": (media(streamSid="MZ9", media={"payload": SOUND}), "another stream"),
    "a_foreign_stop": ('{"event":"stop","streamSid":"MZ9"}', "another stream"),
    "a_second_start": (START, "a second time"),
    "a_start_without_a_stream": ('{"event":"start","start":{}}', "lacks start.streamSid"),
    "a_key_without_a_digit": (
        '{"event":"dtmf","streamSid":"MZ1","dtmf":{}}',
        "lacks dtmf.digit",
    ),
}
"""Frames, and what is said of them."""


class Desks:
    """Answers two calls: the one that is tried, and one beside it."""

    def __init__(self, tried: Desk, beside: Desk) -> None:
        self._desks = {"CA1": tried, "CA2": beside}

    async def __call__(self, call: Call) -> None:
        await self._desks[call.id](call)


@asynccontextmanager
async def opened(door: str, answer: Any) -> AsyncIterator[str]:
    """A door behind which `answer` takes calls; its URL."""
    if door == "listener":
        async with answered(answer, options=QUICK) as server:
            yield url_of(server)
        return

    async def route(websocket: WebSocket) -> None:
        async with TwilioCall(websocket, options=QUICK) as call:
            await answer(call)

    async with app(route) as url:
        yield url


class Scene:
    """A call that is tried, with one beside it that must not notice."""

    def __init__(self, url: str, tried: Desk, beside: Desk) -> None:
        self.url, self.tried, self.beside = url, tried, beside

    @asynccontextmanager
    async def calls(self, before: str | bytes | None = None) -> AsyncIterator[TwilioPhone]:
        """Both calls stand; then the sound of the one beside is whole, and nothing was told."""
        other = TwilioPhone(self.url, call="CA2", stream="MZ2")
        async with other, TwilioPhone(self.url) as phone:
            if before is not None:
                await phone.socket.send(before)
            await other.start()
            await phone.start()
            await until(lambda: self.tried.session and self.beside.session)
            await other.say(GOOD)
            yield phone
            await other.say(GOOD)
            await until(lambda: sound_of(self.beside.model.received) == GOOD * 2)
            assert self.beside.events == []
            assert other.close_code is None


@pytest.fixture(params=["listener", "asgi"])
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Scene]:
    """Through either door."""
    async with ScriptedServer() as model, ScriptedServer() as other_model:
        tried, beside = Desk(model), Desk(other_model)
        async with opened(request.param, Desks(tried, beside)) as url:
            yield Scene(url, tried, beside)


def ignored(desk: Desk) -> list[CallFrameIgnored]:
    return [event for event in desk.events if isinstance(event, CallFrameIgnored)]


@pytest.mark.parametrize("name", IGNORED)
async def test_a_frame_that_means_nothing_is_told_by_name_and_the_call_goes_on(
    name: str, scene: Scene
) -> None:
    frame, reason = IGNORED[name]
    async with scene.calls() as phone:
        await phone.socket.send(frame)
        await until(lambda: ignored(scene.tried))
        (told,) = ignored(scene.tried)
        assert told.count == 1
        assert any(part in told.reason for part in reason.split("|")), told.reason
        await phone.say(GOOD)
        await until(lambda: sound_of(scene.tried.model.received) == GOOD)


async def test_sound_before_the_start_is_counted_and_the_call_goes_on(scene: Scene) -> None:
    async with scene.calls(before=media(media={"payload": SOUND})) as phone:
        assert scene.tried.call is not None
        assert scene.tried.call.core.stats()[4] == 1
        await phone.say(GOOD)
        await until(lambda: sound_of(scene.tried.model.received) == GOOD)


async def test_a_frame_of_a_hundred_megabytes_costs_its_own_call_alone(scene: Scene) -> None:
    async with scene.calls() as phone:
        with suppress(ConnectionClosed):
            await phone.socket.send("x" * 100_000_000)
        await until(lambda: any(isinstance(e, CallEnded) for e in scene.tried.events))
        await phone.until(lambda: phone.close_code is not None)
        assert phone.close_code in (1006, 1009)


async def test_a_line_that_breaks_within_a_frame_ends_its_own_call_alone(scene: Scene) -> None:
    async with scene.calls() as phone:
        # A text frame that promises more than comes.
        phone.socket.transport.write(b"\x81\xfe\x10\x00\x00\x00\x00\x00half")
        await asyncio.sleep(0)
        phone.socket.transport.abort()
        await phone.until(lambda: phone.close_code is not None)
        await until(lambda: any(isinstance(e, CallEnded) for e in scene.tried.events))
        (ended,) = (e for e in scene.tried.events if isinstance(e, CallEnded))
        # A server of apps does not tell it from a caller who goes.
        assert ended.by in ("line", "caller")


@pytest.mark.parametrize("opcode", [3, 11, 15])
async def test_what_is_no_websocket_ends_its_own_call_alone(opcode: int, scene: Scene) -> None:
    async with scene.calls() as phone:
        phone.socket.transport.write(bytes([0x80 | opcode, 0x80, 0, 0, 0, 0]))
        await until(lambda: any(isinstance(e, CallEnded) for e in scene.tried.events))


# The handshake, which is the listener's own: in an app it is that of its server.


async def test_a_handshake_that_never_ends_is_cut_off() -> None:
    async with ScriptedServer() as model:
        desk = Desk(model)
        server = CallServer(port=0, limits=ListenOptions(head_timeout=0.3))
        server.twilio("/twilio")(desk)
        async with server, TwilioPhone(url_of(server)) as phone:
            await phone.start()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(b"GET /twilio HTTP/1.1\r\n")

            async def dribble() -> None:
                while True:
                    writer.write(b"X-Slow: 1\r\n")
                    await asyncio.sleep(0.05)

            dribbling = asyncio.create_task(dribble())
            try:
                async with asyncio.timeout(5):
                    while await reader.read(1024):
                        pass
            except ConnectionError:
                pass
            finally:
                dribbling.cancel()
                writer.close()
            await phone.say(GOOD)
            await until(lambda: sound_of(model.received) == GOOD)


@pytest.mark.parametrize("signed", [None, "AAAA", "of another path", "of another token"])
async def test_an_upgrade_with_a_wrong_signature_is_refused(signed: str | None) -> None:
    taken: list[str] = []

    async def answer(call: Call) -> None:
        taken.append(call.id)

    def sign(token: str, url: str) -> str:
        tag = hmac.new(token.encode(), url.encode(), hashlib.sha1).digest()
        return base64.b64encode(tag).decode()

    url = "wss://voice.example.com/twilio"
    right = sign("secret", url)
    wrong = {"of another path": sign("secret", url + "2"), "of another token": sign("s", url)}
    server = CallServer(port=0, public_url="wss://voice.example.com")
    server.twilio("/twilio", auth_token="secret")(answer)
    async with server:
        headers = {} if signed is None else {"X-Twilio-Signature": wrong.get(signed, signed)}
        with pytest.raises(InvalidStatus) as refused:
            await connect(url_of(server), additional_headers=headers)
        assert refused.value.response.status_code == 403
        assert b"signature" in (refused.value.response.body or b"")
        headers = {"X-Twilio-Signature": right}
        async with connect(url_of(server), additional_headers=headers) as socket:
            await socket.send(START)
            await until(lambda: taken == ["CA1"])
