from __future__ import annotations

import asyncio
import base64

import numpy as np
import pytest
from wire_client import hiss, silence, spoken

from stapes.devserver import ScriptedMind, ToneVoice, Turn
from stapes.devserver.audio.formats import FORMATS

QUESTION = "What is the weather like in Oslo today?"
NO_ANSWER = {"type": "server_vad", "create_response": False}
TALKER = ScriptedMind(
    [Turn(when="long", say="word " * 100), Turn(say="It is sunny.")],
    hears=["what about oslo", "and bergen"],
)


def session(**audio_input):
    return {"type": "realtime", "audio": {"input": audio_input}}


async def test_a_spoken_turn_is_found_committed_understood_and_answered(call):
    client = await call(TALKER)
    await client.ask(
        "session.update", session=session(transcription={"model": "gpt-realtime-whisper"})
    )
    question = await spoken(QUESTION)
    await client.hear(silence(1_000) + question + silence(1_000))
    await client.until("response.created")
    assert client.types()[2:] == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    await client.until("response.output_item.added")
    started, stopped, committed, added = client.events[2:6]
    assert started["item_id"] == stopped["item_id"] == committed["item_id"] == added["item"]["id"]
    assert abs(started["audio_start_ms"] - (1_000 - 300)) <= 40
    assert abs(stopped["audio_end_ms"] - (1_000 + len(question) // 48 + 500)) <= 200
    assert committed["previous_item_id"] is None
    assert added["item"]["content"] == [{"type": "input_audio", "transcript": None}]
    transcription = "conversation.item.input_audio_transcription."
    words = [event["delta"] for event in client.of(f"{transcription}delta")]
    assert words == ["what", " about", " oslo"]
    completed = client.of(f"{transcription}completed")[0]
    assert completed["transcript"] == "what about oslo"
    assert completed["item_id"] == committed["item_id"]
    await client.until("rate_limits.updated")
    item = (await client.ask("conversation.item.retrieve", item_id=committed["item_id"]))["item"]
    assert item["content"][0]["transcript"] == "what about oslo"
    kept = base64.b64decode(item["content"][0]["audio"])
    assert question.strip(b"\0") in kept
    assert len(kept) == 48 * (stopped["audio_end_ms"] - started["audio_start_ms"])


async def test_without_transcription_the_client_gets_no_words_and_the_mind_does(call):
    heard = []
    mind = ScriptedMind(
        [Turn(when=lambda view: heard.append(view) or True, say="Yes.")], hears=["x"]
    )
    client = await call(mind)
    await client.hear(await spoken(QUESTION) + silence(800))
    done = await client.until("response.done")
    assert not client.types("conversation.item.input_audio_transcription")
    assert heard[0].items[0]["content"][0]["transcript"] == "x"
    assert done["response"]["status"] == "completed"


async def test_turns_are_the_same_however_the_sound_is_cut(call):
    sound = silence(500) + await spoken(QUESTION) + silence(900) + await spoken("Thanks.")
    found = []
    for chunk in (960, 9_602, 48 * 60_000):
        client = await call(TALKER)
        await client.ask("session.update", session=session(turn_detection=NO_ANSWER))
        await client.hear(sound + silence(900), chunk=chunk)
        for _ in range(2):
            await client.until("input_audio_buffer.committed")
        speech = [e for e in client.events if e["type"].startswith("input_audio_buffer.speech")]
        found.append([e.get("audio_start_ms", e.get("audio_end_ms")) for e in speech])
    assert len(found[0]) == 4
    assert found[0] == found[1] == found[2]


async def test_a_quiet_room_and_a_click_are_no_speech(call):
    client = await call(TALKER)
    click = np.zeros(240, dtype="<i2")
    click[::2] = 20_000
    await client.hear(hiss(3_000) + click.tobytes() + hiss(3_000))
    await client.send("input_audio_buffer.clear")
    await client.until("input_audio_buffer.cleared")
    assert client.types()[1:] == ["input_audio_buffer.cleared"]


async def test_speech_is_found_over_a_noisy_room(call):
    client = await call(TALKER)
    await client.hear(hiss(4_000, level=0.006))
    voice = np.frombuffer(await spoken(QUESTION), dtype="<i2").astype(np.int32)
    noise = np.frombuffer(hiss(len(voice) // 24, level=0.006), dtype="<i2")
    await client.hear((voice + noise).clip(-32_768, 32_767).astype("<i2").tobytes())
    await client.hear(hiss(1_500, level=0.006))
    await client.until("response.done")
    started, stopped = client.events[1:3]
    assert abs(started["audio_start_ms"] - (4_000 - 300)) <= 60
    assert abs(stopped["audio_end_ms"] - (4_000 + len(voice) // 24 + 500)) <= 250


async def test_a_hum_is_taken_for_the_room_and_not_for_a_caller_who_never_stops(call):
    client = await call(TALKER)
    time = np.arange(24_000 * 4) / 24_000
    hum = (np.sin(2 * np.pi * 100 * time) * 3_000).astype("<i2").tobytes()
    await client.hear(hum)
    stopped = await client.until("input_audio_buffer.speech_stopped")
    assert stopped["audio_end_ms"] < 2_500


async def test_talking_over_an_answer_cancels_it(call):
    mind = ScriptedMind([Turn(say="word " * 100, times=1), Turn(say="Sure.")], hears=["a", "b"])
    client = await call(mind, pace=10.0)
    await client.hear(await spoken(QUESTION) + silence(700))
    await client.until("response.output_audio.delta")
    await client.hear(await spoken("Stop please, that is enough."))
    done = await client.until("response.done")
    assert done["response"]["status"] == "cancelled"
    assert done["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
    assert done["response"]["output"][0]["status"] == "incomplete"
    types = client.types()
    second = len(types) - 1 - types[::-1].index("input_audio_buffer.speech_started")
    assert types[second + 1 :] == [
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "conversation.item.done",
        "response.output_item.done",
        "response.done",
    ]
    await client.hear(silence(700))
    assert (await client.until("response.done"))["response"]["status"] == "completed"


async def test_an_answer_that_may_not_be_interrupted_goes_on(call):
    mind = ScriptedMind([Turn(say="word " * 30)], hears=["a", "b"])
    client = await call(mind, pace=10.0)
    detection = {"type": "server_vad", "interrupt_response": False}
    await client.ask("session.update", session=session(turn_detection=detection))
    await client.hear(await spoken(QUESTION) + silence(700))
    await client.until("response.output_audio.delta")
    await client.hear(await spoken("Hear me out.") + silence(700))
    error = (await client.until("error"))["error"]
    assert error["code"] == "conversation_already_has_active_response"
    assert error["event_id"] is None
    assert (await client.until("response.done"))["response"]["status"] == "completed"


async def test_without_create_response_a_turn_is_only_committed(call):
    client = await call(TALKER)
    await client.ask("session.update", session=session(turn_detection=NO_ANSWER))
    await client.hear(await spoken(QUESTION) + silence(700))
    await client.until("conversation.item.done")
    await client.ask("session.update", session={"type": "realtime"})
    assert client.types("response") == []
    assert (await client.say("now"))["response"]["status"] == "completed"


async def test_semantic_detection_waits_by_its_eagerness(call):
    ends = {}
    for eagerness in ("low", "high"):
        client = await call(TALKER)
        detection = {"type": "semantic_vad", "eagerness": eagerness}
        await client.ask("session.update", session=session(turn_detection=detection))
        await client.hear(await spoken(QUESTION) + silence(2_000))
        ends[eagerness] = (await client.until("input_audio_buffer.speech_stopped"))["audio_end_ms"]
    assert ends["low"] - ends["high"] == 1_000


async def test_without_turn_detection_the_client_commits(call):
    client = await call(TALKER)
    await client.ask("session.update", session=session(turn_detection=None))
    question = await spoken(QUESTION)
    await client.hear(question + silence(2_000))
    await client.send("input_audio_buffer.commit")
    committed = await client.next()
    assert committed["type"] == "input_audio_buffer.committed"
    await client.until("conversation.item.done")
    retrieved = await client.ask("conversation.item.retrieve", item_id=committed["item_id"])
    sound = base64.b64decode(retrieved["item"]["content"][0]["audio"])
    assert sound == question + silence(2_000)
    await client.send("response.create")
    assert (await client.until("response.done"))["response"]["status"] == "completed"


@pytest.mark.parametrize("held", [0, 99])
async def test_too_little_sound_is_no_turn(call, held):
    client = await call(TALKER)
    await client.ask("session.update", session=session(turn_detection=None))
    await client.hear(silence(held))
    error = await client.refused("input_audio_buffer.commit")
    assert error["code"] == "input_audio_buffer_commit_empty"
    assert f"only has {held:.2f}ms" in error["message"]


async def test_what_is_cleared_is_not_committed(call):
    client = await call(TALKER)
    await client.ask("session.update", session=session(turn_detection=None))
    await client.hear(silence(500))
    assert (await client.ask("input_audio_buffer.clear"))["type"] == "input_audio_buffer.cleared"
    error = await client.refused("input_audio_buffer.commit")
    assert error["code"] == "input_audio_buffer_commit_empty"


async def test_a_commit_in_mid_speech_takes_the_item_that_was_announced(call):
    client = await call(TALKER)
    await client.hear(silence(400) + await spoken(QUESTION))
    started = await client.until("input_audio_buffer.speech_started")
    await client.send("input_audio_buffer.commit")
    committed = await client.until("input_audio_buffer.committed")
    assert committed["item_id"] == started["item_id"]


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
async def test_a_phone_is_heard_with_times_of_its_own_rate(call, name):
    client = await call(TALKER)
    await client.ask("session.update", session=session(format={"type": name}))
    question = await spoken(QUESTION)
    sound = silence(1_000) + question + silence(1_000)
    await client.hear(FORMATS[name].encode(sound), chunk=160)
    await client.until("response.done")
    started, stopped = client.events[2:4]
    assert abs(started["audio_start_ms"] - (1_000 - 300)) <= 60
    assert abs(stopped["audio_end_ms"] - (1_000 + len(question) // 48 + 500)) <= 200


async def test_times_go_on_when_the_format_changes(call):
    client = await call(TALKER)
    await client.hear(silence(2_000))
    await client.ask("session.update", session=session(format={"type": "audio/pcmu"}))
    sound = silence(1_000) + await spoken(QUESTION)
    await client.hear(FORMATS["audio/pcmu"].encode(sound))
    started = await client.until("input_audio_buffer.speech_started")
    assert abs(started["audio_start_ms"] - (3_000 - 300)) <= 60


async def test_a_caller_who_stays_silent_is_prompted(call):
    client = await call(TALKER)
    detection = {"type": "server_vad", "idle_timeout_ms": 5_000}
    await client.ask("session.update", session=session(turn_detection=detection))
    await client.hear(silence(1_000))
    done = await client.say("hello")
    await client.until("rate_limits.updated")
    plays = len(client.audio()) // 48
    await client.hear(silence(plays + 4_900))
    await client.send("conversation.item.retrieve", item_id=done["response"]["output"][0]["id"])
    await client.until("conversation.item.retrieved")
    assert not client.of("input_audio_buffer.timeout_triggered")
    await client.hear(silence(200))
    timeout = await client.until("input_audio_buffer.timeout_triggered")
    assert timeout["audio_end_ms"] - timeout["audio_start_ms"] in range(5_000, 5_101)
    assert (await client.until("input_audio_buffer.committed"))["item_id"] == timeout["item_id"]
    assert (await client.until("response.done"))["response"]["status"] == "completed"


class Slow(ScriptedMind):
    def for_call(self):
        return self

    async def hear(self, pcm, *, instructions, tools):
        await asyncio.sleep(0.02)
        return await super().hear(pcm, instructions=instructions, tools=tools)


async def test_a_turn_is_listened_to_once_and_before_it_is_answered(call):
    client = await call(Slow([Turn(when="one", say="Yes.")], hears=["one", "two"]))
    await client.ask(
        "session.update", session=session(transcription={"model": "gpt-realtime-whisper"})
    )
    await client.hear(await spoken(QUESTION) + silence(700))
    await client.until("response.done")
    transcripts = client.of("conversation.item.input_audio_transcription.completed")
    assert [event["transcript"] for event in transcripts] == ["one"]
    types = client.types()
    completed = types.index("conversation.item.input_audio_transcription.completed")
    assert types.index("response.created") < completed < types.index("response.output_item.added")


class Deaf(ScriptedMind):
    def for_call(self):
        return self

    async def hear(self, pcm, *, instructions, tools):
        raise RuntimeError("no ears")


async def test_a_mind_that_cannot_hear_fails_the_transcription_and_still_answers(call):
    client = await call(Deaf(otherwise="Pardon?"))
    await client.ask(
        "session.update", session=session(transcription={"model": "gpt-realtime-whisper"})
    )
    await client.hear(await spoken(QUESTION) + silence(700))
    failed = await client.until("conversation.item.input_audio_transcription.failed")
    assert "no ears" in failed["error"]["message"]
    done = await client.until("response.done")
    assert done["response"]["output"][0]["content"][0]["transcript"] == "Pardon?"


async def test_a_buffer_that_nobody_commits_is_bounded(call):
    client = await call(TALKER, max_input_seconds=1.0)
    await client.ask("session.update", session=session(turn_detection=None))
    await client.hear(silence(1_000))
    error = await client.refused(
        "input_audio_buffer.append", audio=base64.b64encode(silence(20)).decode()
    )
    assert error["code"] == "input_audio_buffer_full"


async def test_a_turn_without_end_is_cut_at_the_limit(call):
    client = await call(TALKER, max_input_seconds=2.0)
    await client.hear(await spoken(QUESTION * 3))
    stopped = await client.until("input_audio_buffer.speech_stopped")
    assert stopped["audio_end_ms"] < 2_500
    assert (await client.until("input_audio_buffer.committed"))["item_id"] == stopped["item_id"]


@pytest.mark.parametrize(
    ("audio", "words"),
    [("%%%", "base64"), ("AAAA", "3 bytes are not a whole number of 16 bit samples")],
)
async def test_sound_that_is_none_is_refused(call, audio, words):
    client = await call(TALKER)
    error = await client.refused("input_audio_buffer.append", audio=audio)
    assert (error["code"], error["param"]) == ("invalid_value", "audio")
    assert words in error["message"]


async def test_the_tone_voice_says_the_same_the_same_way():
    once, again, other = [
        (await ToneVoice().speak(text, voice=voice, speed=1.0)).pcm
        for text, voice in (("hello there", "a"), ("hello there", "a"), ("hello there", "b"))
    ]
    assert once == again != other
    fast = (await ToneVoice().speak("hello there", voice="a", speed=1.5)).pcm
    assert abs(len(once) / len(fast) - 1.5) < 0.01
    assert (await ToneVoice().speak(" ", voice="a", speed=1.0)).pcm == b""


@pytest.mark.parametrize("loudness", [3_000, 12_000])
async def test_a_cough_is_no_speech_and_a_voice_behind_it_is(call, loudness):
    client = await call(TALKER)
    await client.ask("session.update", session=session())
    noise = np.random.default_rng(5).normal(0, loudness, 24_000 * 3 // 10)
    cough = np.clip(noise, -32_000, 32_000).astype("<i2").tobytes()
    question = await spoken(QUESTION)
    await client.hear(silence(1_000) + cough + silence(1_500))
    await client.hear(question + silence(1_000))
    await client.until("response.created")
    assert client.types().count("input_audio_buffer.speech_started") == 1
    started = next(e for e in client.events if e["type"] == "input_audio_buffer.speech_started")
    assert started["audio_start_ms"] > 2_000
