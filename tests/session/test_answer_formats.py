"""The answer's audio: whole samples in the format that was asked for, whatever the server sends."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

import stapes
from stapes import RealtimeAgent, RealtimeSession
from stapes.testing import ScriptedServer, VirtualClock, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server


class Listener:
    """A session that hears, and its server."""

    def __init__(self, server: ScriptedServer, format_: str | None, **options: Any) -> None:
        config = {"audio": {"output": {"format": {"type": format_}}}} if format_ else None
        agent = RealtimeAgent(name="Desk")
        self.clock = VirtualClock()
        self.session: RealtimeSession[Any] = self.clock.session(
            agent, api_key="sk-test-0123456789", config=config, **options
        )
        self.server = server
        self.heard: dict[str, bytes] = {}
        self.sizes: list[int] = []
        self.errors: list[str] = []
        self.session.on("audio", self._hear)
        self.session.on("error", lambda event: self.errors.append(str(event.error)))

    def _hear(self, event: stapes.Audio) -> None:
        self.heard[event.item_id] = self.heard.get(event.item_id, b"") + event.data
        self.sizes.append(len(event.data))

    async def connect(self) -> None:
        await self.session.connect(url=self.server.url)

    async def says(self, *events: dict[str, Any]) -> None:
        for event in events:
            await self.server.send(event)
        await settle(self.session, self.server)

    async def updated(self, session: dict[str, Any]) -> None:
        await self.says({"type": "session.updated", "session": session})

    async def speaks(self, sound: bytes, item: str = "i") -> None:
        await self.says(
            {
                "type": "response.output_audio.delta",
                "response_id": "r",
                "item_id": item,
                "content_index": 0,
                "delta": base64.b64encode(sound).decode(),
            }
        )

    async def starts(self) -> None:
        await self.says({"type": "response.created", "response": {"id": "r"}})


def output(**format_: Any) -> dict[str, Any]:
    return {"audio": {"output": {"format": format_}}}


@pytest.mark.parametrize("rate", [None, 24_000])
async def test_chunks_that_end_within_a_sample_are_joined_by_part(
    server: ScriptedServer, rate: int | None
):
    talk = Listener(server, None, output_sample_rate=rate)
    await talk.connect()
    await talk.starts()
    sounds = {"a": bytes(range(1, 200)) + b"\x07", "b": bytes(range(55, 254)) + b"\x01"}
    for at in range(0, 200, 25):
        for item, sound in sounds.items():
            await talk.speaks(sound[at : at + 25], item)
    assert not [size for size in talk.sizes if size % 2]
    assert talk.heard == sounds
    await talk.session.close()


async def test_chunks_of_g711_stay_as_they_are(server: ScriptedServer):
    talk = Listener(server, "audio/pcmu")
    await talk.connect()
    await talk.starts()
    await talk.speaks(bytes(161))
    assert talk.sizes == [161]
    await talk.session.close()


async def test_another_format_than_was_asked_for_is_told_once_and_names_both(
    server: ScriptedServer,
):
    talk = Listener(server, "audio/pcmu")
    await talk.connect()
    for _ in range(2):
        await talk.updated(output(type="audio/pcm", rate=8_000))
    await talk.says(
        {
            "type": "response.created",
            "response": {"id": "r", **output(type="audio/pcm", rate=8_000)},
        }
    )
    (error,) = talk.errors
    assert "audio/pcm at 8000 Hz" in error
    assert "audio/pcmu" in error
    # A tenth of a second, by the format that the server states.
    await talk.speaks(bytes(1_600))
    talk.clock.advance(0.05)
    await talk.session.interrupt()
    await settle(talk.session, server)
    cuts = [event for event in server.received if event["type"] == "conversation.item.truncate"]
    assert [cut["audio_end_ms"] for cut in cuts] == [50]
    await talk.session.close()


async def test_another_format_is_decoded_as_such_where_a_rate_was_asked_for(server: ScriptedServer):
    talk = Listener(server, "audio/pcmu", output_sample_rate=8_000)
    await talk.connect()
    await talk.updated(output(type="audio/pcm", rate=8_000))
    await talk.starts()
    await talk.speaks(b"\x00\x20" * 160)
    assert talk.heard["i"] == b"\x00\x20" * 160
    assert len(talk.errors) == 1
    await talk.session.close()


async def test_a_format_without_its_rate_is_the_one_that_was_asked_for(server: ScriptedServer):
    talk = Listener(server, "audio/pcm")
    await talk.connect()
    await talk.updated(output(type="audio/pcm"))
    assert talk.errors == []
    await talk.session.close()


async def test_a_format_that_is_unknown_is_told_by_name(server: ScriptedServer):
    talk = Listener(server, None)
    await talk.connect()
    await talk.updated(output(type="audio/opus"))
    (error,) = talk.errors
    assert "audio/opus" in error
    await talk.session.close()


async def test_another_format_for_the_users_sound_is_told(server: ScriptedServer):
    talk = Listener(server, "audio/pcmu")
    talk_format = {"type": "audio/pcma"}
    await talk.connect()
    await talk.updated({"audio": {"input": {"format": talk_format}}})
    (error,) = talk.errors
    assert "takes audio/pcma" in error
    await talk.session.close()


@pytest.mark.parametrize("first", [True, False])
async def test_an_update_that_names_no_format_changes_none(server: ScriptedServer, first: bool):
    talk = Listener(server, "audio/pcmu")
    await talk.connect()
    if not first:
        await talk.updated(output(type="audio/pcmu"))
    await talk.updated({"audio": {"output": {"voice": "x"}}})
    await talk.starts()
    # A second of mu-law; as PCM at 24 kHz it would be a sixth of that.
    await talk.speaks(bytes(8_000))
    talk.clock.advance(0.5)
    await talk.session.interrupt()
    await settle(talk.session, server)
    cuts = [event for event in server.received if event["type"] == "conversation.item.truncate"]
    assert [cut["audio_end_ms"] for cut in cuts] == [500]
    assert talk.errors == []
    await talk.session.close()
