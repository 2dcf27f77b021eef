"""The output audio buffer, without any transport: the test takes the sound as a player would."""

from __future__ import annotations

import asyncio
import json

import pytest

from stapes.devserver import Options, ScriptedMind, Speech, ToneVoice, Turn
from stapes.devserver.session.call import RealtimeCall

MS = 48
WORDS = "one two three four five six seven eight nine ten"


class Metronome:
    """A voice that says each word in 100 ms."""

    async def speak(self, text, *, voice, speed):
        return Speech(b"\x01\x00" * (24 * 100 * len(text.split())))


class Played:
    """A call in which nothing carries the events: they are only observed."""

    def __init__(self, *says, voice=None, **options):
        self.events = []
        turns = [Turn(say=text, times=1) for text in says]
        self.call = RealtimeCall(
            ScriptedMind(turns),
            voice or Metronome(),
            Options(pace=None, **options),
            sound_apart=True,
            observe=self.events.append,
        )
        self.output = self.call.output_audio

    async def answer(self, done=True, **response):
        self.call.handle(json.dumps({"type": "response.create", "response": response}))
        if done:
            before = len(self.of("response.done"))
            async with asyncio.timeout(5):
                while len(self.of("response.done")) == before:
                    await asyncio.sleep(0)

    def client(self, type_, **fields):
        self.call.handle(json.dumps({"type": type_, **fields}))

    def of(self, type_):
        return [event for event in self.events if event["type"] == type_]

    @property
    def buffer(self):
        return [e for e in self.events if e["type"].startswith("output_audio_buffer")]


async def test_sound_is_played_once_and_its_beginning_and_end_are_told():
    played = Played(WORDS)
    await played.answer()
    assert played.of("response.output_audio.delta") == []
    assert len(played.of("response.output_audio.done")) == 1
    assert played.buffer == []
    first = played.output.take(400 * MS)
    assert len(first) == 400 * MS
    assert [event["type"] for event in played.buffer] == ["output_audio_buffer.started"]
    assert len(played.output.take(700 * MS)) == 600 * MS
    assert played.output.take(20 * MS) == b""
    response_id = played.of("response.done")[0]["response"]["id"]
    assert [(event["type"], event["response_id"]) for event in played.buffer] == [
        ("output_audio_buffer.started", response_id),
        ("output_audio_buffer.stopped", response_id),
    ]


async def test_clear_makes_the_conversation_remember_what_was_played():
    played = Played(WORDS)
    await played.answer()
    played.output.take(450 * MS)
    played.client("output_audio_buffer.clear")
    assert played.output.take(20 * MS) == b""
    [cut] = played.of("conversation.item.truncated")
    assert cut["audio_end_ms"] == 450
    [item] = played.call.items
    # The words that were spoken by then; the voice spreads them over the sound by their length.
    assert WORDS.startswith(item["content"][0]["transcript"])
    assert 0 < len(item["content"][0]["transcript"]) < len(WORDS) / 2
    assert played.buffer[-1]["type"] == "output_audio_buffer.cleared"


async def test_the_rest_of_an_answer_that_is_still_generated_is_dropped():
    played = Played(WORDS, "Something else.")
    await played.answer(done=False)
    async with asyncio.timeout(5):
        while not played.output.take(20 * MS):
            await asyncio.sleep(0)
    played.client("output_audio_buffer.clear")
    async with asyncio.timeout(5):
        while not played.of("response.done"):
            await asyncio.sleep(0)
    assert played.output.take(20 * MS) == b""
    assert played.call.items[0]["content"][0]["transcript"] == ""
    await played.answer()
    assert len(played.output.take(1_000 * MS)) == 200 * MS


async def test_answers_are_played_one_after_the_other():
    played = Played(WORDS, "Something else.")
    await played.answer()
    await played.answer(conversation="none")
    assert len(played.output.take(2_000 * MS)) == 1_200 * MS
    assert played.output.take(MS) == b""
    kinds = [event["type"].rpartition(".")[2] for event in played.buffer]
    assert kinds == ["started", "stopped", "started", "stopped"]


async def test_what_has_been_heard_to_its_end_is_not_cut():
    played = Played(WORDS)
    await played.answer()
    played.output.take(1_000 * MS)
    played.client("output_audio_buffer.clear")
    assert played.of("conversation.item.truncated") == []


async def test_clear_without_sound_says_nothing():
    played = Played()
    played.client("output_audio_buffer.clear")
    assert played.buffer == []
    assert played.of("error") == []


async def test_clear_is_unknown_where_sound_is_in_the_events():
    events = []
    call = RealtimeCall(ScriptedMind(), ToneVoice(), Options(), observe=events.append)
    call.handle('{"type": "output_audio_buffer.clear"}')
    assert events[0]["error"]["code"] == "invalid_value"


async def test_the_mind_waits_while_too_much_sound_waits_to_be_played():
    played = Played(WORDS, max_output_seconds=0.3)
    await played.answer(done=False)
    for _ in range(1_000):
        await asyncio.sleep(0)
    assert played.of("response.done") == []
    assert len(played.output.take(1_000 * MS)) == 300 * MS
    async with asyncio.timeout(5):
        while not played.of("response.done"):
            played.output.take(100 * MS)
            await asyncio.sleep(0)


async def test_sound_is_in_no_event_also_where_an_item_is_retrieved():
    played = Played(WORDS)
    await played.answer()
    played.client("conversation.item.retrieve", item_id=played.call.items[0]["id"])
    [retrieved] = played.of("conversation.item.retrieved")
    assert retrieved["item"]["content"] == [{"type": "output_audio", "transcript": WORDS}]


@pytest.mark.parametrize("format_", ["audio/pcmu", "audio/pcma"])
async def test_the_formats_of_the_session_say_nothing_about_sound_that_travels_apart(format_):
    played = Played(WORDS)
    formats = {"input": {"format": {"type": format_}}, "output": {"format": {"type": format_}}}
    played.client("session.update", session={"type": "realtime", "audio": formats})
    await played.answer()
    assert len(played.output.take(2_000 * MS)) == 1_000 * MS
