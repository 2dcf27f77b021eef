"""Long sounds, which a session sends in real time."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import numpy as np
import pytest
from agents import UserError
from calling import SECONDS, eventually

from stapes import ConnectionChanged, NotConnectedError
from stapes.audio import Recording
from stapes.devserver import ScriptedMind, Turn

TALK = ScriptedMind([Turn(say="Hello there.")])
RATE = 24_000


def ramp(milliseconds: int) -> np.ndarray[Any, Any]:
    """Give sound at 24 kHz in which every sample is another."""
    return np.arange(RATE * milliseconds // 1000, dtype=np.int16)


def pieces(c: Any) -> list[bytes]:
    return [base64.b64decode(e["audio"]) for e in c.call.received.of("input_audio_buffer.append")]


async def test_all_of_a_sound_is_sent_in_pieces_and_in_order(call):
    c = await call(TALK)
    sound = ramp(250)
    async with asyncio.timeout(SECONDS):
        assert await c.session.stream_audio(sound.tobytes(), commit=True) == 0.25
    await c.call.received.wait_for("input_audio_buffer.commit")
    assert [len(piece) for piece in pieces(c)] == [4800, 4800, 2400]
    assert b"".join(pieces(c)) == sound.tobytes()
    assert c.call.received.types[-1] == "input_audio_buffer.commit"
    assert c.seen.errors == []


async def test_it_is_sent_in_real_time_while_the_event_loop_does_something_else(call):
    c = await call(TALK)
    c.session.send_audio(ramp(10))
    await c.call.received.wait_for("input_audio_buffer.append")
    loop = asyncio.get_running_loop()
    begun = loop.time()
    streaming = c.session.stream_audio(ramp(300), interval=0.02)
    await streaming
    # It may be late on a busy machine; early it is never.
    assert loop.time() - begun >= 0.29
    assert [len(piece) for piece in pieces(c)[1:]] == [960] * 15


async def test_sessions_share_a_recording_of_any_rate(call):
    recording = Recording(np.zeros(1600, np.float32), sample_rate=16_000)
    assert (recording.sample_rate, recording.duration) == (16_000, 0.1)
    calls = [await call(TALK) for _ in range(2)]
    async with asyncio.timeout(SECONDS):
        sent = await asyncio.gather(
            *(c.session.stream_audio(recording, commit=True, interval=0.05) for c in calls)
        )
    assert sent == [0.1, 0.1]
    for c in calls:
        await c.call.received.wait_for("input_audio_buffer.commit")
        assert abs(len(b"".join(pieces(c))) - 4800) <= 96


async def test_what_is_cancelled_says_how_much_was_sent_and_makes_room_for_the_next(call):
    c = await call(TALK)
    streaming = c.session.stream_audio(ramp(60_000), commit=True)
    await c.call.received.wait_for("input_audio_buffer.append")
    refused = c.session.stream_audio(ramp(100))
    with pytest.raises(UserError, match="being streamed already"):
        await refused
    streaming.cancel()
    streaming.cancel()
    async with asyncio.timeout(SECONDS):
        sent = await streaming
        assert 0.1 <= sent < 60
        assert await c.session.stream_audio(ramp(50)) == 0.05
    await eventually(lambda: len(pieces(c)) == round(sent * 10) + 1)
    assert "input_audio_buffer.commit" not in c.call.received.types


async def test_closing_the_session_ends_the_sound_without_an_error(call):
    c = await call(TALK)
    streaming = c.session.stream_audio(ramp(60_000))
    await c.call.received.wait_for("input_audio_buffer.append")
    await c.session.close()
    async with asyncio.timeout(SECONDS):
        assert await streaming < 60
    assert c.seen.errors == []


async def test_a_lost_connection_fails_the_sound(call):
    c = await call(TALK)
    streaming = c.session.stream_audio(ramp(60_000))
    await c.call.received.wait_for("input_audio_buffer.append")
    c.call.abort()
    async with asyncio.timeout(SECONDS):
        with pytest.raises(NotConnectedError):
            await streaming
    await c.seen.until(ConnectionChanged, lambda event: event.status == "disconnected")


async def test_a_failure_that_nobody_awaits_is_an_error_event(call):
    c = await call(TALK)
    await c.session.close()
    c.session.stream_audio(ramp(100))
    await eventually(lambda: c.seen.errors)
    assert isinstance(c.seen.errors[0], NotConnectedError)


@pytest.mark.parametrize(
    ("audio", "options", "message"),
    [
        (b"", {}, "audio is empty"),
        (b"odd", {}, "audio"),
        (bytes(480), {"interval": 0}, "interval is 0: give it as 0.005 to 10 seconds"),
        (bytes(480), {"interval": 11}, "interval is 11"),
        (bytes(480), {"interval": float("nan")}, "interval is nan"),
    ],
)
async def test_what_cannot_be_streamed_is_refused_by_name(call, audio, options, message):
    c = await call(TALK)
    with pytest.raises(ValueError, match=message):
        c.session.stream_audio(audio, **options)


async def test_a_rate_that_cannot_be_resampled_fails_the_stream_by_name(call):
    c = await call(TALK)
    with pytest.raises(ValueError, match="sample_rate"):
        await c.session.stream_audio(bytes(480), sample_rate=1)


async def test_a_cancelled_sound_makes_room_for_the_next(call):
    c = await call(TALK)
    first = c.session.stream_audio(ramp(10_000))
    await c.call.received.wait_for("input_audio_buffer.append")
    first.cancel()
    second = c.session.stream_audio(ramp(200), interval=0.02)
    with pytest.raises(UserError, match="already"):
        await c.session.stream_audio(ramp(100))
    async with asyncio.timeout(SECONDS):
        assert await second == 0.2
        assert await first < 10
        # The end of the first, which was told later, is not that of the second.
        assert await c.session.stream_audio(ramp(20), interval=0.02) == 0.02
    assert c.seen.errors == []


async def test_many_sounds_that_are_cancelled_at_once_leave_the_last(call):
    c = await call(TALK)
    sounds = []
    for _ in range(5):
        if sounds:
            sounds[-1].cancel()
        sounds.append(c.session.stream_audio(ramp(100), interval=0.02))
    async with asyncio.timeout(SECONDS):
        assert await sounds[-1] == 0.1
        assert [await sound < 0.1 for sound in sounds[:-1]] == [True] * 4
    assert c.seen.errors == []
