"""Sound over WebRTC, against a stack that is not ours: what is sent is what is heard."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from calling import spoken
from likeness import Ear, alignment, samples

from stapes import Audio, AudioInterrupted, AudioStart, AudioStopped, HistoryUpdated
from stapes.devserver import ScriptedMind, Speech

pytest.importorskip("aiortc", reason="the far side of these calls is aiortc")

RATE = 24_000


class Known:
    """A voice whose sound the test knows."""

    def __init__(self, pcm: bytes) -> None:
        self.pcm = pcm

    async def speak(self, text: str, *, voice: str, speed: float) -> Speech:
        return Speech(self.pcm)


async def test_the_answer_is_heard_as_it_was_spoken(call):
    pcm = await spoken("One two three, and all the rest of it to the end.")
    called = await call(ScriptedMind(otherwise="Words."), Known(pcm))
    heard = bytearray()
    called.session.on("audio", lambda event: heard.extend(event.data))
    called.session.send_message("Speak.")
    await called.seen.until(AudioStopped)
    likeness, lag = alignment(samples(pcm), samples(heard))
    assert likeness > 0.9, (likeness, lag, len(pcm), len(heard))
    # Nothing is missing, and little more than the silence around it has come.
    assert 0 <= len(heard) - len(pcm) < 0.2 * RATE * 2
    audio = called.seen.of(Audio)
    assert len({(event.response_id, event.item_id) for event in audio}) == 1
    assert audio[0].item_id
    assert called.seen.types.index("audio_start") < called.seen.types.index("audio")


async def test_streams_that_the_server_begins_anew_without_a_name_are_heard(call):
    called = await call(ScriptedMind(otherwise="Yes."))
    (sender,) = called.call._peer._connection.getSenders()
    heard = bytearray()
    called.session.on("audio", lambda event: heard.extend(event.data))
    # More than may be kept at once.
    for turn in range(10):
        # Neither the description nor the packets say what the stream is.
        sender._ssrc = 1000 + turn
        sender._RTCRtpSender__mid = None
        heard.clear()
        called.session.send_message("Speak.")
        await called.seen.until(AudioStopped, count=turn + 1)
        assert np.abs(samples(heard)).max() > 1000, turn
    assert called.seen.errors == []


async def test_the_user_is_heard_as_they_spoke(call):
    mind = Ear(hears=["hello"])
    called = await call(mind)
    said = await spoken("Hello there, this is somebody who wants to be understood.")
    # In pieces of any length, faster than it is spoken.
    for at in range(0, len(said), 1_234):
        called.session.send_audio(said[at : at + 1_234])
    called.session.send_audio(bytes(RATE * 2))
    await called.seen.until(
        HistoryUpdated, lambda event: "hello" in str(list(event.history)), count=1
    )
    likeness, lag = alignment(samples(said), samples(mind.heard[0]))
    assert likeness > 0.9, (likeness, lag)


async def test_sound_at_another_rate_is_converted(call):
    mind = Ear(hears=["hello"])
    called = await call(mind, output_sample_rate=16_000)
    said = samples(await spoken("Hello there, this is somebody with a small microphone."))
    slow = np.interp(np.arange(0, len(said), 1.5), np.arange(len(said)), said)
    called.session.send_audio(slow.astype("<i2"), sample_rate=16_000)
    called.session.send_audio(bytes(16_000 * 2), sample_rate=16_000)
    await called.seen.until(HistoryUpdated, lambda event: "hello" in str(list(event.history)))
    likeness, lag = alignment(said, samples(mind.heard[0]))
    assert likeness > 0.9, (likeness, lag)


async def test_nothing_is_sent_while_muted(call):
    mind = Ear(hears=["unheard"])
    called = await call(mind)
    called.session.mute()
    called.session.send_audio(await spoken("Nobody is to hear this."))
    called.session.send_audio(bytes(RATE * 2))
    called.session.mute(False)
    called.session.send_message("Are you there?")
    await called.call.received.wait_for("conversation.item.create")
    await asyncio.sleep(0.3)
    assert not called.call.sent.of("input_audio_buffer.speech_started")


async def test_an_interruption_is_cut_where_it_was_heard(call):
    called = await call(ScriptedMind(otherwise="one two three four five six seven eight nine ten"))
    called.session.send_message("Count.")
    await called.seen.until(AudioStart)
    await called.seen.until(Audio, count=30)
    called.session.interrupt()
    await called.seen.until(AudioInterrupted)
    heard = len(called.seen.of(Audio))
    await called.call.sent.wait_for("output_audio_buffer.cleared")
    await called.call.received.wait_for("output_audio_buffer.clear")
    assert not called.call.received.of("conversation.item.truncate")
    assert not called.call.received.of("input_audio_buffer.append")
    # Sound of it that was on its way is not heard.
    await asyncio.sleep(0.2)
    assert len(called.seen.of(Audio)) == heard
    (part,) = called.session.history[-1].content
    assert 500 <= part.audio_end_ms <= 800
    assert part.heard is not None
    assert part.heard.startswith("one")
    assert "ten" not in part.heard


async def test_a_user_who_speaks_interrupts(call):
    mind = ScriptedMind(hears=["stop"], otherwise="one two three four five six seven eight nine")
    called = await call(mind)
    called.session.send_message("Count.")
    await called.seen.until(Audio, count=10)
    called.session.send_audio(await spoken("Stop, please, that is quite enough for me."))
    await called.seen.until(AudioInterrupted)
    await called.call.sent.wait_for("output_audio_buffer.cleared")
    # The server cancels by itself, and knows what it has played.
    assert not called.call.received.of("response.cancel")
    assert not called.call.received.of("output_audio_buffer.clear")
    assert not called.call.received.of("conversation.item.truncate")


async def test_a_commit_follows_the_sound_before_it(call):
    mind = Ear(hears=["hello"])
    config = {"audio": {"input": {"turn_detection": None}}}
    called = await call(mind, config=config)
    said = await spoken("Hello there.")
    called.session.send_audio(said, commit=True)
    await called.call.sent.wait_for("input_audio_buffer.committed")
    await called.seen.until(HistoryUpdated, lambda event: "hello" in str(list(event.history)))
    assert alignment(samples(said), samples(mind.heard[0]))[0] > 0.9
