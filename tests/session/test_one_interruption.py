"""One interruption: the same for speech, command and guardrail, whenever it comes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from agents import GuardrailFunctionOutput, OutputGuardrail

from stapes import Audio, AudioInterrupted, HistoryUpdated

if TYPE_CHECKING:
    from tests.talk import Talk, Talks

CAUSES = ["speech", "command", "guardrail"]


async def trips(_context: Any, _agent: Any, output: str) -> GuardrailFunctionOutput:
    return GuardrailFunctionOutput(None, tripwire_triggered="secret" in output)


async def begin(talks: Talks) -> Talk:
    return await talks.begin(
        output_guardrails=[OutputGuardrail(trips, name="secrets")],
        output_guardrail_settings={"debounce_text_length": 1},
    )


async def interrupt(talk: Talk, cause: str, response: str, item: str) -> None:
    match cause:
        case "speech":
            await talk.says({"type": "input_audio_buffer.speech_started"})
        case "command":
            await talk.session.interrupt()
            await talk.settle()
        case _:
            of = {"response_id": response, "item_id": item, "content_index": 0}
            words = {"type": "response.output_audio_transcript.delta", "delta": "a secret", **of}
            await talk.says(words)


def sound_of(talk: Talk, response: str) -> int:
    return sum(len(event.data) for event in talk.seen(Audio) if event.response_id == response)


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("earlier", ["none", "heard", "playing"])
async def test_the_late_sound_of_an_answer_without_sound_is_dropped(
    talks: Talks, cause: str, earlier: str
):
    talk = await begin(talks)
    if earlier != "none":
        await talk.answers("r1", "a1", "one two three four", ms=1000)
        await talk.after(5.0 if earlier == "heard" else 0.5)
    await talk.starts("r2")
    await interrupt(talk, cause, "r2", "a2")
    await talk.speaks("r2", "a2")
    await talk.ends("r2", status="cancelled")
    assert sound_of(talk, "r2") == 0
    assert talk.cancelled() == ["r2"]
    assert talk.cuts() == ([("a1", 500)] if earlier == "playing" else [])
    interrupted = [event.response_id for event in talk.seen(AudioInterrupted)]
    assert interrupted == (["r1"] if earlier == "playing" else [])


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("words", ["before", "after", "both"])
@pytest.mark.parametrize("sound", [True, False], ids=["late sound", "no sound"])
async def test_words_that_had_no_sound_yet_were_not_heard(
    talks: Talks, cause: str, words: str, sound: bool
):
    talk = await begin(talks)
    of = {"response_id": "r1", "item_id": "a1", "content_index": 0}
    delta = {"type": "response.output_audio_transcript.delta", "delta": "Once upon", **of}
    message = {"id": "a1", "type": "message", "role": "assistant"}
    await talk.starts("r1")
    await talk.says({"type": "response.output_item.added", "response_id": "r1", "item": message})
    if words != "after":
        await talk.says(delta)
    await interrupt(talk, cause, "r1", "a1")
    if words != "before":
        await talk.says(delta)
    if sound:
        await talk.speaks("r1", "a1")
    part = {"type": "output_audio", "transcript": "Once upon a time"}
    done = {**message, "status": "incomplete", "content": [part]}
    await talk.says({"type": "response.output_item.done", "response_id": "r1", "item": done})
    await talk.ends("r1", status="cancelled", output=[done])
    assert talk.heard() == {"a1": ""}
    assert talk.session.history[0].content[0].transcript == "Once upon a time"
    assert talk.cuts() == []


@pytest.mark.parametrize("cause", ["speech", "command"])
async def test_an_answer_that_was_asked_for_is_cancelled_when_it_begins(talks: Talks, cause: str):
    talk = await begin(talks)
    await talk.session.send_message("tell me a story")
    await interrupt(talk, cause, "", "")
    assert talk.cancelled() == []
    await talk.starts("r1")
    assert talk.cancelled() == ["r1"]
    await talk.speaks("r1")
    await talk.ends("r1", status="cancelled")
    assert sound_of(talk, "r1") == 0
    assert len(talk.sent("response.create")) == 1
    await talk.session.send_message("well?")
    await talk.starts("r2")
    await talk.speaks("r2")
    assert sound_of(talk, "r2") > 0


@pytest.mark.parametrize("cause", CAUSES)
@pytest.mark.parametrize("made", ["being made", "made"])
async def test_an_answer_is_cut_in_history_and_at_the_server_before_it_is_told(
    talks: Talks, cause: str, made: str
):
    talk = await begin(talks)
    message = {"id": "a", "type": "message", "role": "assistant", "content": []}
    of = {"response_id": "r", "item_id": "a", "content_index": 0}
    await talk.starts("r")
    await talk.says(
        {"type": "response.output_item.added", "response_id": "r", "item": message},
        {"type": "response.output_audio_transcript.delta", "delta": "one two three four", **of},
    )
    await talk.speaks("r", "a", ms=1000)
    if made == "made":
        await talk.has_spoken("r", "a")
        part = {"type": "output_audio", "transcript": "one two three four"}
        done = {**message, "content": [part]}
        await talk.says({"type": "response.output_item.done", "response_id": "r", "item": done})
        if cause != "guardrail":
            await talk.ends("r", output=[done])
    await talk.after(0.5)
    talk.events.clear()
    await interrupt(talk, cause, "r", "a")
    assert talk.cuts() == [("a", 500)]
    gone = made == "made" and cause != "guardrail"
    assert talk.cancelled() == ([] if gone else ["r"])
    order = talk.order(HistoryUpdated, AudioInterrupted)
    assert order == ["HistoryUpdated", "AudioInterrupted"]
    # What the guardrail saw is part of the words by now.
    assert talk.heard()["a"] == ("one two three" if cause == "guardrail" else "one two")
    sound = sound_of(talk, "r")
    await talk.speaks("r", "a")
    assert sound_of(talk, "r") == sound


async def test_speech_that_the_server_interrupts_for_is_not_cancelled_twice(talks: Talks):
    talk = await begin(talks)
    detection = {"type": "server_vad", "interrupt_response": True}
    audio = {"input": {"turn_detection": detection}}
    await talk.says({"type": "session.updated", "session": {"audio": audio}})
    await talk.starts("r")
    await talk.speaks("r", "a", ms=1000)
    await talk.after(0.5)
    await interrupt(talk, "speech", "r", "a")
    assert (talk.cancelled(), talk.cuts()) == ([], [("a", 500)])
