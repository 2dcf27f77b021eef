"""Formats and rates of sound, in and out."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest
from calling import silence

from stapes import AgentEnd, Audio, RealtimeAgent, RealtimeSession
from stapes.audio import mulaw_decode
from stapes.devserver import ScriptedMind, Turn
from stapes.testing import ScriptedServer, settle

TALK = ScriptedMind([Turn(say="Hello there, how are you today?")])
FORMATS: dict[str, Any] = {
    name: {"audio": {"input": {"format": name}, "output": {"format": name}}}
    for name in ("pcm16", "g711_ulaw", "g711_alaw")
}
WIRE_RATE = {"pcm16": 24_000, "g711_ulaw": 8_000, "g711_alaw": 8_000}
WIRE_BYTES = {"pcm16": 2, "g711_ulaw": 1, "g711_alaw": 1}


def tone(rate: int, milliseconds: int) -> np.ndarray[Any, Any]:
    time = np.arange(rate * milliseconds // 1000) / rate
    return np.rint(12_000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)


def appended(c: Any) -> bytes:
    return b"".join(
        base64.b64decode(e["audio"]) for e in c.call.received.of("input_audio_buffer.append")
    )


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
async def test_sound_of_any_rate_reaches_the_wire_in_its_format(call, format_, rate):
    c = await call(TALK, config=FORMATS[format_])
    pcm = tone(rate, 400)
    for start in range(0, len(pcm), rate // 50):
        c.session.send_audio(pcm[start : start + rate // 50], sample_rate=rate)
    c.session.send_audio(b"", sample_rate=rate, commit=True)
    await c.call.received.wait_for("input_audio_buffer.commit")
    expected = WIRE_RATE[format_] * 400 // 1000 * WIRE_BYTES[format_]
    assert abs(len(appended(c)) - expected) <= WIRE_RATE[format_] // 1000 * 4
    await c.call.sent.wait_for("input_audio_buffer.committed")
    assert c.seen.errors == []


async def test_a_tone_is_the_same_tone_after_resampling_to_mulaw(call):
    c = await call(TALK, config=FORMATS["g711_ulaw"])
    c.session.send_audio(tone(48_000, 500), sample_rate=48_000, commit=True)
    await c.call.received.wait_for("input_audio_buffer.commit")
    sound = np.frombuffer(mulaw_decode(appended(c)), np.int16).astype(float)
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert abs(np.argmax(spectrum) * 8_000 / len(sound) - 440) < 3


async def test_wire_bytes_of_g711_go_out_as_they_are(call):
    c = await call(TALK, config=FORMATS["g711_ulaw"])
    wire = bytes(range(256)) * 2 + b"\x7f"
    c.session.send_audio(wire)
    await c.call.received.wait_for("input_audio_buffer.append")
    assert appended(c) == wire


@pytest.mark.parametrize(
    "audio",
    [
        tone(24_000, 20).tobytes(),
        bytearray(tone(24_000, 20).tobytes()),
        memoryview(tone(24_000, 20)),
        tone(24_000, 20),
        np.repeat(tone(24_000, 20), 2)[::2],
        tone(24_000, 20)[:, None],
        np.stack([tone(24_000, 20), tone(24_000, 30)[:480]], axis=1)[:, :1],
    ],
    ids=["bytes", "bytearray", "memoryview", "int16", "strided", "column", "first-of-two"],
)
async def test_sound_may_be_anything_that_holds_samples(call, audio):
    c = await call(TALK)
    c.session.send_audio(audio)
    await c.call.received.wait_for("input_audio_buffer.append")
    assert appended(c) == tone(24_000, 20).tobytes()


async def test_float_samples_are_full_scale_at_one(call):
    c = await call(TALK)
    c.session.send_audio(np.array([0.0, 0.5, 1.0, -1.0, 2.0], np.float32))
    await c.call.received.wait_for("input_audio_buffer.append")
    samples = np.frombuffer(appended(c), np.int16)
    assert samples[0] == 0
    assert abs(samples[1] - 16_384) <= 1
    assert list(samples[2:]) == [32_767, samples[3], 32_767]
    assert samples[3] <= -32_767


@pytest.mark.parametrize("shape", [(240, 2), (1, 480), (480, 1, 1)])
async def test_sound_of_several_channels_is_refused(call, shape):
    c = await call(TALK)
    with pytest.raises(ValueError, match=r"audio has shape .*: expected \(n,\) or \(n, 1\)"):
        c.session.send_audio(tone(24_000, 20).reshape(shape))


async def test_sounds_of_two_rates_lose_nothing_of_each_other(call):
    c = await call(TALK)
    streaming = c.session.stream_audio(tone(8_000, 200), sample_rate=8_000, interval=0.02)
    for start in range(0, 8_820, 882):
        c.session.send_audio(tone(44_100, 200)[start : start + 882], sample_rate=44_100)
    await streaming
    c.session.send_audio(b"", sample_rate=44_100, commit=True)
    await c.call.received.wait_for("input_audio_buffer.commit")
    assert abs(len(appended(c)) // 2 - 2 * 4_800) <= 2


async def heard(c: Any) -> bytes:
    c.session.send_message("hi")
    await c.seen.until(AgentEnd)
    return b"".join(event.data for event in c.seen.of(Audio))


async def test_audio_events_hold_the_wire_bytes_unless_a_rate_is_asked_for(call):
    c = await call(TALK, config=FORMATS["g711_alaw"])
    sound = await heard(c)
    sent = [base64.b64decode(e["delta"]) for e in c.call.sent.of("response.output_audio.delta")]
    assert sound == b"".join(sent)
    assert c.session.output_sample_rate == 8_000


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
async def test_audio_events_come_as_pcm_at_the_rate_that_is_asked_for(call, format_, rate):
    c = await call(TALK, config=FORMATS[format_], output_sample_rate=rate)
    sound = await heard(c)
    wire = sum(
        len(base64.b64decode(e["delta"])) for e in c.call.sent.of("response.output_audio.delta")
    )
    seconds = wire / WIRE_BYTES[format_] / WIRE_RATE[format_]
    assert c.session.output_sample_rate == rate
    assert len(sound) % 2 == 0
    assert abs(len(sound) / 2 / rate - seconds) < 0.001
    assert np.abs(np.frombuffer(sound, np.int16)).max() > 5_000


async def test_no_sound_is_lost_between_answers_at_another_rate(call):
    c = await call(TALK, output_sample_rate=16_000)
    first = await heard(c)
    c.session.send_message("hi again")
    await c.seen.until(AgentEnd, count=2)
    both = b"".join(event.data for event in c.seen.of(Audio))
    assert both == first + first


@pytest.mark.parametrize("rate", [8_000, 16_000, 48_000])
async def test_an_answer_is_whole_though_nothing_says_that_its_sound_is_complete(rate):
    delta = base64.b64encode(tone(24_000, 40)).decode()
    session = RealtimeSession(
        RealtimeAgent(name="a"), api_key="key", output_sample_rate=rate, tracing_disabled=True
    )
    sound: list[bytes] = []
    session.on("audio", lambda event: sound.append(event.data))
    async with ScriptedServer() as server:
        await session.connect(url=server.url)
        for response in ("r1", "r2"):
            await server.send({"type": "response.created", "response": {"id": response}})
            for _ in range(2):
                await server.send(
                    {
                        "type": "response.output_audio.delta",
                        "response_id": response,
                        "item_id": f"i{response}",
                        "content_index": 0,
                        "delta": delta,
                    }
                )
            done = {"id": response, "status": "completed", "output": []}
            await server.send({"type": "response.done", "response": done})
        await settle(session, server)
        await session.close()
        await settle(session, server)
    assert len(b"".join(sound)) == 2 * 2 * rate * 80 // 1000


async def test_silence_is_silence(call):
    c = await call(TALK)
    c.session.send_audio(silence(100), sample_rate=16_000, commit=True)
    await c.call.received.wait_for("input_audio_buffer.commit")
    assert set(appended(c)) == {0}
