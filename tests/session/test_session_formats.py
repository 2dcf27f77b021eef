"""Which audio formats a session takes: those of the core's table that its provider offers."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from typing import Any

import pytest

from stapes import Audio, RealtimeAgent, RealtimeSession
from stapes.providers import OpenAI
from stapes.testing import ScriptedServer, settle

AGENT = RealtimeAgent(name="Front desk")


@dataclass(frozen=True)
class LinearServer(OpenAI):
    """A server that offers L16 besides the usual formats."""

    @property
    def audio_types(self) -> frozenset[str]:
        return frozenset({"audio/l16", "audio/pcm"})


def session_with(format_: Any, **options: Any) -> RealtimeSession[Any]:
    audio = {"input": {"format": format_}, "output": {"format": format_}}
    return RealtimeSession(AGENT, api_key="k", config={"audio": audio}, **options)


@pytest.mark.parametrize(
    ("format_", "rate"),
    [
        ({"type": "audio/l16", "rate": 16_000}, 16_000),
        ({"type": "audio/l16"}, 16_000),
        ({"type": "audio/l16", "rate": 8_000}, 8_000),
        ({"type": "audio/pcm"}, 24_000),
    ],
)
async def test_the_rate_of_a_format_comes_from_the_table(format_: Any, rate: int):
    assert session_with(format_, provider=LinearServer()).output_sample_rate == rate


async def test_l16_is_taken_and_sent_as_it_is_where_a_server_offers_it():
    async with ScriptedServer() as server:
        format_ = {"type": "audio/l16", "rate": 16_000}
        session = session_with(format_, provider=LinearServer())
        heard: list[Audio] = []
        session.on("audio", heard.append)
        await session.connect(url=server.url)
        session.send_audio(b"\x01\x02" * 160)
        delta = {"response_id": "r", "item_id": "i", "content_index": 0, "delta": "AAECAw=="}
        await server.send({"type": "response.output_audio.delta", **delta})
        await settle(session, server)
        await session.close()
        sent = {event["type"]: event for event in server.received}
        asked = sent["session.update"]["session"]["audio"]
        assert asked["input"]["format"] == asked["output"]["format"] == format_
        assert b64decode(sent["input_audio_buffer.append"]["audio"]) == b"\x01\x02" * 160
        assert [event.data for event in heard] == [b"\x00\x01\x02\x03"]


async def test_l16_is_refused_by_name_where_the_provider_does_not_offer_it():
    with pytest.raises(ValueError, match=r"OpenAI does not support .*audio/l16.*use audio/pcm"):
        session_with({"type": "audio/l16", "rate": 16_000})


@pytest.mark.parametrize("type_", ["audio/pcma", "audio/pcmu"])
async def test_g711_at_another_rate_than_its_own_is_refused_by_name(type_: str):
    with pytest.raises(ValueError, match=f"{type_} has rate 16000: G.711 is 8000 samples"):
        session_with({"type": type_, "rate": 16_000})
    assert session_with({"type": type_, "rate": 8_000}).output_sample_rate == 8_000
