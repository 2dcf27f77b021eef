"""Sound in binary frames, where a profile has them: what is sent, what is read, what is refused."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from stapes import (
    Audio,
    AudioInterrupted,
    Error,
    NotSupportedError,
    RealtimeAgent,
    RealtimeSession,
    ReconnectPolicy,
)
from stapes.agents_sdk import StapesRealtimeModel
from stapes.audio import Recording
from stapes.calls import CallServer
from stapes.providers import XAI, Capabilities, OpenAI
from stapes.testing import ScriptedServer
from stapes.transport import RealtimeTransport, WebRTCTransport
from tests.calls.test_twilio_calls import until
from tests.calls.twilio_phone import FRAME, TwilioPhone
from tests.providers import accents

if TYPE_CHECKING:
    from stapes.calls import Call
    from tests.talk import Talk, Talks

BINARY = XAI(binary_audio=True)
GAP = ReconnectPolicy(first_delay=5, go_on=None)
AGENT = RealtimeAgent(name="desk", instructions="x")
SOUND = bytes(range(250)) * 192
"""A second of PCM at 24 kHz."""


@dataclass(frozen=True, kw_only=True)
class Framed(OpenAI):
    """OpenAI's protocol, but that sound travels in binary frames and no server keeps it."""

    capabilities = Capabilities(binary_audio=True)
    own_settings = {"audio": {way: {"transport": "binary"} for way in ("input", "output")}}  # noqa: RUF012


def frames(talk: Talk) -> list[bytes]:
    return [message for message in talk.server.received if isinstance(message, bytes)]


def heard(talk: Talk, response: str) -> bytes:
    return b"".join(event.data for event in talk.seen(Audio) if event.response_id == response)


async def announces(talk: Talk, response: str, item: str, part: int = 0) -> None:
    of = {"response_id": response, "item_id": item}
    message = {"id": item, "type": "message", "role": "assistant"}
    await talk.says(
        {"type": "response.output_item.added", "response_id": response, "item": message},
        {
            "type": "response.content_part.added",
            "content_index": part,
            "part": {"type": "audio"},
            **of,
        },
    )


@pytest.mark.parametrize("binary", [False, True], ids=["in text", "in binary frames"])
async def test_the_configuration_asks_for_it_where_the_profile_says_so(talks: Talks, binary: bool):
    talk = await talks.begin(provider=XAI(binary_audio=binary))
    audio = talk.server.received[0]["session"]["audio"]
    wanted = "binary" if binary else None
    assert {audio[way].get("transport") for way in ("input", "output")} == {wanted}
    assert audio["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    talk.session.send_audio(SOUND[:480])
    await talk.settle()
    assert frames(talk) == ([SOUND[:480]] if binary else [])
    assert bool(talk.sent("input_audio_buffer.append")) != binary


async def test_what_is_sent_arrives_as_it_is_and_in_order(talks: Talks):
    talk = await talks.begin(provider=BINARY)
    seen = len(talk.server.received)
    choose = random.Random(4)
    sizes = [2 * choose.randrange(1, 2000) for _ in range(40)]
    start, pieces = 0, []
    for size in sizes:
        pieces.append((SOUND * 2)[start : start + size])
        start += size % len(SOUND)
    for piece in pieces:
        talk.session.send_audio(piece)
    talk.session.send_audio(b"", commit=True)
    await talk.settle()
    assert talk.server.received[seen:-1] == pieces
    assert talk.server.received[-1] == {"type": "input_audio_buffer.commit"}


async def test_sound_at_another_rate_and_a_recording(talks: Talks):
    talk = await talks.begin(provider=BINARY)
    talk.session.send_audio(SOUND[:16_000], sample_rate=16_000, commit=True)
    await talk.settle()
    assert abs(len(b"".join(frames(talk))) - 24_000) < 600
    before = len(frames(talk))
    stream = talk.session.stream_audio(Recording(SOUND, sample_rate=24_000), interval=0.1)
    for _ in range(12):
        await talk.after(0.1)
    await stream
    assert b"".join(frames(talk)[before:]) == SOUND
    assert not talk.sent("input_audio_buffer.append")


async def test_sound_of_while_the_session_connects(talks: Talks):
    talk = await talks.begin(connect=False, provider=BINARY)
    connecting = asyncio.ensure_future(talk.session.connect(url=talk.server.url))
    async with asyncio.timeout(10):
        while talk.session.status != "connecting":
            await asyncio.sleep(0)
    talk.session.send_audio(SOUND[:4800])
    await connecting
    await talk.settle()
    assert talk.server.received[0]["type"] == "session.update"
    assert frames(talk) == [SOUND[:4800]]


async def test_an_event_that_the_user_writes_goes_out_as_it_is(talks: Talks):
    talk = await talks.begin(provider=BINARY)
    written = {"type": "input_audio_buffer.append", "audio": "AAAA"}
    talk.session.transport.send_event(written)
    await talk.settle()
    assert talk.server.received[-1] == written
    assert frames(talk) == []


@pytest.mark.parametrize("seed", range(8))
async def test_the_sound_of_an_answer_is_the_bytes_of_its_frames(talks: Talks, seed: int):
    """However it is cut: at odd places, into nothing, into much at once."""
    talk = await talks.begin(provider=BINARY)
    choose = random.Random(seed)
    for response, length in (("r1", len(SOUND)), ("r2", 2 * choose.randrange(1, 5000))):
        await talk.starts(response)
        await announces(talk, response, f"i_{response}", part=seed % 3)
        left = sound = choose.randbytes(length)
        while left:
            size = choose.choice([0, 1, 2, 3, 959, 960, 4801, 300_000])
            await talk.server.send(left[:size])
            left = left[size:]
        await talk.ends(response)
        assert heard(talk, response) == sound
    parts = {(event.response_id, event.item_id, event.content_index) for event in talk.seen(Audio)}
    assert parts == {(response, f"i_{response}", seed % 3) for response in ("r1", "r2")}
    assert all(len(event.data) % 2 == 0 for event in talk.seen(Audio))
    assert talk.seen(Error) == []


async def test_sound_goes_to_the_part_that_was_announced_last(talks: Talks):
    talk = await talks.begin(provider=BINARY)
    await talk.starts("r")
    for item, part, byte in (("a", 0, b"\1"), ("a", 1, b"\2"), ("b", 0, b"\3")):
        await announces(talk, "r", item, part)
        await talk.says(byte * 480)
    got = [(event.item_id, event.content_index, event.data[:1]) for event in talk.seen(Audio)]
    assert got == [("a", 0, b"\1"), ("a", 1, b"\2"), ("b", 0, b"\3")]


async def test_sound_is_resampled_for_the_user(talks: Talks):
    talk = await talks.begin(provider=BINARY, output_sample_rate=16_000)
    await talk.starts("r")
    await announces(talk, "r", "i")
    for at in range(0, len(SOUND), 4801):
        await talk.server.send(SOUND[at : at + 4801])
    await talk.has_spoken("r", "i")
    await talk.ends("r")
    assert abs(len(heard(talk, "r")) - 32_000) <= 4


@pytest.mark.parametrize("when", ["before any response", "after the response"])
@pytest.mark.parametrize("frame", [b"", b"\1", bytes(960), bytes(1 << 20)], ids=len)
async def test_a_frame_outside_a_response_is_an_error(talks: Talks, when: str, frame: bytes):
    talk = await talks.begin(provider=BINARY)
    if when == "after the response":
        await talk.starts("r")
        await announces(talk, "r", "i")
        await talk.ends("r")
    await talk.says(frame)
    [error] = talk.seen(Error)
    assert f"binary frame of {len(frame)} bytes: no response is in progress" in str(error.error)
    assert talk.seen(Audio) == []
    await talk.starts("next")
    await announces(talk, "next", "i_next")
    await talk.says(bytes(960))
    assert heard(talk, "next") == bytes(960)


async def test_a_frame_is_an_error_where_the_profile_has_none(talks: Talks):
    talk = await talks.begin(provider=XAI())
    await talk.starts("r")
    await announces(talk, "r", "i")
    await talk.says(bytes(960))
    [error] = talk.seen(Error)
    assert "binary frame of 960 bytes: the protocol has text frames only" in str(error.error)
    assert talk.seen(Audio) == []


async def test_sound_in_text_is_read_all_the_same(talks: Talks):
    talk = await talks.begin(provider=BINARY)
    await talk.answers("r", "i", "It is open.", ms=100)
    assert len(heard(talk, "r")) == 4800
    assert talk.seen(Error) == []


async def test_the_late_sound_of_an_answer_that_was_interrupted_is_dropped(talks: Talks):
    talk = await talks.begin(provider=BINARY)
    await talk.starts("r")
    await announces(talk, "r", "i")
    await talk.says(bytes(48_000))
    await talk.after(0.25)
    await talk.session.interrupt()
    await talk.says(bytes(48_000))
    await talk.ends("r", status="cancelled")
    assert len(heard(talk, "r")) == 48_000
    [interrupted] = talk.seen(AudioInterrupted)
    assert interrupted.response_id == "r"
    assert talk.seen(Error) == []


@pytest.mark.parametrize("provider", [BINARY, Framed()], ids=["kept by the server", "told anew"])
async def test_the_sound_that_a_lost_connection_had_not_turned_into_an_item(
    talks: Talks, provider: Any
):
    talk = await talks.begin(provider=provider, reconnect=GAP)
    await talk.says({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0})
    said = [bytes([number]) * 9600 for number in range(1, 6)]
    for piece in said[:3]:
        talk.session.send_audio(piece)
    await talk.settle()
    assert frames(talk) == said[:3]
    talk.server.terminate()
    await talk.settle()
    for piece in said[3:]:
        talk.session.send_audio(piece)
    seen = len(talk.server.received)
    await talk.after(5)
    again = talk.server.received[seen:]
    audio = again[0]["session"]["audio"]
    assert audio["input"]["transport"] == audio["output"]["transport"] == "binary"
    assert b"".join(frame for frame in again if isinstance(frame, bytes)) == b"".join(said)
    assert not talk.sent("input_audio_buffer.append")
    await talk.starts("r")
    await announces(talk, "r", "i")
    await talk.says(SOUND[:960])
    assert heard(talk, "r") == SOUND[:960]
    talk.session.send_audio(said[0])
    await talk.settle()
    assert talk.server.received[-1] == said[0]
    assert talk.seen(Error) == []


async def test_a_phone_call_in_g711_passes_as_it_is():
    async with ScriptedServer(first_event=accents.XAI.begins()) as model:
        server = CallServer(port=0)

        @server.twilio("/twilio")
        async def answer(call: Call) -> None:
            session = RealtimeSession(AGENT, call=call, api_key="k", provider=BINARY)
            await session.connect(url=model.url)
            try:
                await call.ended()
            finally:
                await session.close()

        def sound() -> bytes:
            return b"".join(frame for frame in model.received if isinstance(frame, bytes))

        async with server, TwilioPhone(f"ws://127.0.0.1:{server.port}/twilio") as phone:
            await phone.start()
            await until(lambda: model.received)
            said = bytes(range(FRAME))
            await phone.say(said)
            await until(lambda: said in sound())
            await model.send({"type": "response.created", "response": {"id": "r"}})
            for event in accents.XAI_BINARY.speaks("r", "i", "Hello", bytes(reversed(range(160)))):
                await model.send(event)
            await phone.until(lambda: bytes(reversed(range(160))) in phone.heard)
            await phone.hang_up()
        audio = model.received[0]["session"]["audio"]
        for way in ("input", "output"):
            assert audio[way]["format"] == {"type": "audio/pcmu"}
            assert audio[way]["transport"] == "binary"


class Own(RealtimeTransport):
    """It is never used."""

    async def connect(self, request: Any, line: Any) -> None:
        raise NotImplementedError

    def send(self, message: Any) -> None:
        raise NotImplementedError

    def close(self, code: int, reason: str) -> None:
        raise NotImplementedError


@pytest.mark.parametrize("transport", [Own, WebRTCTransport])
async def test_another_transport_than_a_websocket_of_ours_is_refused(transport: Any):
    with pytest.raises(NotSupportedError, match="binary_audio"):
        RealtimeSession(AGENT, provider=BINARY, transport=transport())


def test_the_sdks_model_refuses_it_over_webrtc_alone():
    StapesRealtimeModel(provider=BINARY)
    with pytest.raises(NotSupportedError, match="binary_audio"):
        StapesRealtimeModel(provider=BINARY, transport=WebRTCTransport())
