"""Transports of users' own: one that carries the messages, and a phone line."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest
from calling import Seen, eventually
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from stapes import (
    AgentEnd,
    Audio,
    AudioInterrupted,
    ConnectError,
    ConnectionChanged,
    Error,
    RealtimeAgent,
    RealtimeSession,
    RealtimeTransport,
    SessionRestored,
    WebSocketTransport,
)
from stapes.testing import DevServer, Options, ScriptedMind, ToneVoice

LONG = "One two three four five six seven eight nine ten eleven twelve thirteen fourteen."


class OwnTransport(RealtimeTransport):
    """Carries a session with another WebSocket library."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.headers_seen: dict[str, str] = {}
        self.closed_with: tuple[int, str] | None = None
        self._queue: asyncio.Queue[str | None] = asyncio.Queue()
        self._work: asyncio.Task[None] | None = None

    async def connect(self, request: Any, line: Any) -> None:
        self.headers_seen = dict(request.headers)
        socket = await connect(request.url, additional_headers=self.headers_seen)
        if line.opened():
            self._work = asyncio.create_task(self._carry(socket, line))

    async def _carry(self, socket: Any, line: Any) -> None:
        async def write() -> None:
            while (message := await self._queue.get()) is not None:
                await socket.send(message)
            await socket.close()

        writing = asyncio.create_task(write())
        with contextlib.suppress(ConnectionClosed):
            async for frame in socket:
                line.receive(frame)
        line.ended("the socket was closed")
        self._queue.put_nowait(None)
        await writing

    def send(self, message: str) -> None:
        self._queue.put_nowait(message)

    def close(self, code: int, reason: str) -> None:
        self.closed_with = (code, reason)
        self._queue.put_nowait(None)


def desk() -> RealtimeAgent[Any]:
    return RealtimeAgent(name="Desk", instructions="Be brief.")


async def test_a_transport_of_ones_own_holds_the_same_conversation():
    async with DevServer(ScriptedMind(otherwise="Hello there.")) as server:
        transport = OwnTransport(server.url)
        session = RealtimeSession(desk(), api_key="any", transport=transport)
        async with session, asyncio.timeout(20):
            heard = b""
            session.send_message("Hello?")
            async for event in session.events(Audio, AgentEnd):
                if isinstance(event, AgentEnd):
                    break
                heard += event.data
        assert event.output == "Hello there."
        assert len(heard) > 4800
        assert [item.text for item in session.history] == ["Hello?", "Hello there."]
        assert transport.headers_seen["Authorization"] == "Bearer any"
        assert transport.closed_with == (1000, "")


async def test_a_transport_that_loses_its_connection_says_so_once():
    async with DevServer(ScriptedMind()) as server:
        session = RealtimeSession(
            desk(), api_key="any", transport=OwnTransport(server.url), reconnect=None
        )
        changes = session.events(ConnectionChanged)
        async with asyncio.timeout(20):
            await session.connect()
            await (await server.next_call()).close(1001)
            seen = [(change.status, change.reason) async for change in changes]
        assert [status for status, _ in seen] == ["connecting", "connected", "disconnected"]
        assert "the socket was closed" in str(seen[-1][1])


async def test_a_transport_that_loses_its_connection_is_asked_for_another_one():
    async with DevServer(ScriptedMind(otherwise="Hello there.")) as server:
        session = RealtimeSession(desk(), api_key="any", transport=OwnTransport(server.url))
        async with session, asyncio.timeout(20):
            await session.send_message("Hello?", trigger_response=False)
            call = await server.next_call()
            while not session.history:
                await asyncio.sleep(0.001)
            restored = session.events(SessionRestored)
            await call.close(1001)
            assert (await anext(restored)).items == 1
            answers = session.events(AgentEnd)
            await session.send_message("And now?")
            assert (await anext(answers)).output == "Hello there."
        texts = [item.text for item in session.history]
        assert texts == ["Hello?", "And now?", "Hello there."]


async def test_a_transport_that_cannot_connect_fails_the_connect_and_can_be_tried_again():
    class Broken(OwnTransport):
        async def connect(self, request: Any, line: Any) -> None:
            raise ConnectError("the line is cut: call the exchange")

    session = RealtimeSession(desk(), api_key="any", transport=Broken("ws://nowhere"))
    for _ in range(2):
        with pytest.raises(ConnectError, match="call the exchange"):
            await session.connect()
        assert session.status == "disconnected"


async def test_a_transport_that_never_opens_its_line_fails_the_connect():
    class Forgetful(OwnTransport):
        async def connect(self, request: Any, line: Any) -> None:
            return

    session = RealtimeSession(desk(), api_key="any", transport=Forgetful("ws://nowhere"))
    with pytest.raises(ConnectError, match="without opening"):
        await session.connect()


async def test_a_transport_that_cannot_send_ends_the_connection_with_an_error():
    class Mute(OwnTransport):
        def send(self, message: str) -> None:
            if "session.update" not in message:
                raise OSError("the line went dead")
            super().send(message)

    async with DevServer(ScriptedMind()) as server:
        session = RealtimeSession(desk(), api_key="any", transport=Mute(server.url), reconnect=None)
        errors = session.events(Error)
        async with asyncio.timeout(20):
            await session.connect()
            session.send_message("Hello?")
            seen = [str(event.error) async for event in errors]
        assert "the line went dead" in seen
        assert session.status == "disconnected"


class PhoneLine(WebSocketTransport):
    """A phone: mu-law both ways, what was played comes back as marks, and it is cleared."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        object.__setattr__(self, "log", [])
        object.__setattr__(self, "played", {})

    @property
    def playback_reports(self) -> bool:
        return True

    def configure(self, session: dict[str, Any]) -> dict[str, Any]:
        for direction in session["audio"].values():
            direction["format"] = {"type": "audio/pcmu"}
        return session

    def attach(self, session: RealtimeSession[Any]) -> None:
        def play(event: Audio) -> None:
            self.log.append(len(event.data))

        session.on("audio", play)
        session.on("audio_interrupted", lambda _: self.log.append("clear"))


async def test_a_phone_line_fits_without_a_special_case():
    options = Options(pace=None)
    async with DevServer(ScriptedMind(otherwise=LONG), ToneVoice(), options) as server:
        phone = PhoneLine(url=server.url)
        session = RealtimeSession(desk(), api_key="any", transport=phone)
        async with session, asyncio.timeout(20):
            assert session.output_sample_rate == 8_000
            session.send_message("Count.")
            async for event in session.events(Audio, AgentEnd):
                if isinstance(event, Audio):
                    session.playback_reported(event.item_id, event.content_index, 250.0)
                else:
                    break
            interrupted = session.events(AudioInterrupted)
            session.interrupt()
            await anext(interrupted)
            call = server.calls[0]
            truncate = await call.received.wait_for("conversation.item.truncate")
        assert truncate["audio_end_ms"] == 250
        assert phone.log[-1] == "clear"
        sent = call.received.of("session.update")[0]["session"]["audio"]
        assert {part["format"]["type"] for part in sent.values()} == {"audio/pcmu"}


class Beside(RealtimeTransport):
    """Carries sound beside the messages, to nobody: the test speaks for the server."""

    def __init__(self) -> None:
        self.line: Any = None
        self.sent: list[dict[str, Any]] = []
        self.audio = b""

    @property
    def first_event_timeout(self) -> float:
        return 0

    @property
    def sound_apart(self) -> bool:
        return True

    @property
    def server_truncates(self) -> bool:
        return True

    async def connect(self, request: Any, line: Any) -> None:
        self.line = line
        line.opened()

    def send(self, message: str) -> None:
        self.sent.append(json.loads(message))

    def send_audio(self, audio: bytes) -> None:
        # Before the commit that ends it.
        assert "input_audio_buffer.commit" not in self.types
        self.audio += audio

    def close(self, code: int, reason: str) -> None:
        pass

    @property
    def types(self) -> list[str]:
        return [message["type"] for message in self.sent]

    def says(self, kind: str, **fields: Any) -> None:
        self.line.receive(json.dumps({"type": kind, **fields}))


async def test_a_transport_may_carry_sound_beside_its_messages():
    transport = Beside()
    async with (
        RealtimeSession(desk(), api_key="any", transport=transport) as session,
        asyncio.timeout(20),
    ):
        seen = Seen(session)
        said = bytes(range(256)) * 40
        session.send_audio(said, commit=True)
        await eventually(lambda: "input_audio_buffer.commit" in transport.types)
        assert transport.audio == said
        assert "input_audio_buffer.append" not in transport.types

        transport.line.receive_audio(bytes(960))  # The silence before an answer is nobody's.
        transport.says("response.created", response={"id": "r1"})
        transport.says(
            "response.content_part.added",
            response_id="r1",
            item_id="i1",
            content_index=0,
            part={"type": "audio"},
        )
        transport.says("output_audio_buffer.started", response_id="r1")
        transport.line.receive_audio(said)
        heard = await seen.until(Audio)
        assert (heard.data, heard.response_id, heard.item_id) == (said, "r1", "i1")
        session.interrupt()
        await seen.until(AudioInterrupted)
        transport.line.receive_audio(said)
        await eventually(lambda: "output_audio_buffer.clear" in transport.types)
        assert transport.types[-2:] == ["response.cancel", "output_audio_buffer.clear"]
        assert len(seen.of(Audio)) == 1
