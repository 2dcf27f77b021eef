"""Several messages in one response: a model says what it is about to do, and then the answer.

Source: OpenAI's guide to `gpt-realtime-2`, whose responses may begin with a preamble.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from agents import GuardrailFunctionOutput, OutputGuardrail, function_tool

from stapes import (
    AgentEnd,
    AudioInterrupted,
    AudioStart,
    AudioStopped,
    GuardrailTripped,
    HistoryAdded,
    PlaybackEnded,
    PlaybackTracker,
    ReconnectPolicy,
    ResponseDone,
    TranscriptDelta,
)

if TYPE_CHECKING:
    from tests.talk import Talk, Talks

PREAMBLE = "let me look that up"
ANSWER = "it is sunny in Paris"
LENGTH = 2000
"""Milliseconds of sound of each message."""


def message(item: str, words: str | None, **fields: Any) -> dict[str, Any]:
    content = [] if words is None else [{"type": "output_audio", "transcript": words}]
    return {"id": item, "type": "message", "role": "assistant", "content": content, **fields}


async def says_message(
    talk: Talk, item: str, words: str, *, ms: int = LENGTH, whole: bool = True
) -> None:
    """One spoken message of the response that is in progress."""
    of = {"response_id": "r", "item_id": item, "content_index": 0}
    added = {"response_id": "r", "item": message(item, None, status="in_progress")}
    await talk.says({"type": "response.output_item.added", **added})
    await talk.says({"type": "response.output_audio_transcript.delta", "delta": words, **of})
    await talk.speaks("r", item, ms=ms)
    if whole:
        await talk.has_spoken("r", item)
        done = {"response_id": "r", "item": message(item, words, status="completed")}
        await talk.says({"type": "response.output_item.done", **done})


async def both(talk: Talk, *, first: str = PREAMBLE, second: str = ANSWER) -> None:
    await talk.starts()
    await says_message(talk, "pre", first)
    await says_message(talk, "ans", second)
    output = [message("pre", first), message("ans", second)]
    await talk.ends(output=output, status="completed")


async def test_each_message_is_an_item_with_its_own_words_and_sound(talks: Talks):
    talk = await talks.begin()
    await both(talk)
    assert talk.heard() == {"pre": PREAMBLE, "ans": ANSWER}
    assert [event.item.item_id for event in talk.seen(HistoryAdded)] == ["pre", "ans"]
    assert [item.status for item in talk.session.history] == ["completed", "completed"]
    deltas = [(event.item_id, event.delta) for event in talk.seen(TranscriptDelta)]
    assert deltas == [("pre", PREAMBLE), ("ans", ANSWER)]
    kinds = (AudioStart, AudioStopped, AgentEnd)
    assert talk.order(*kinds) == [
        "AudioStart",
        "AudioStopped",
        "AudioStart",
        "AudioStopped",
        "AgentEnd",
    ]
    (end,) = talk.seen(AgentEnd)
    assert end.output == ANSWER
    (done,) = talk.seen(ResponseDone)
    assert [item["id"] for item in done.items] == ["pre", "ans"]


async def test_the_response_has_been_played_when_its_last_message_has(talks: Talks):
    talk = await talks.begin()
    await both(talk)
    await talk.after(LENGTH / 1000 + 0.1)
    assert talk.seen(PlaybackEnded) == []
    await talk.after(LENGTH / 1000)
    assert talk.seen(PlaybackEnded) == [PlaybackEnded("r", 2 * LENGTH, interrupted=False)]


@pytest.mark.parametrize("ended", [False, True], ids=["under way", "ended"])
@pytest.mark.parametrize("cause", ["speech", "command"])
async def test_an_interruption_in_the_second_message_cuts_that_one_alone(
    talks: Talks, cause: str, ended: bool
):
    talk = await talks.begin()
    await talk.starts()
    await says_message(talk, "pre", PREAMBLE)
    await says_message(talk, "ans", ANSWER, whole=ended)
    if ended:
        await talk.ends(output=[message("pre", PREAMBLE), message("ans", ANSWER)])
    await talk.after(3.0)
    if cause == "speech":
        await talk.says({"type": "input_audio_buffer.speech_started"})
    else:
        await talk.session.interrupt()
        await talk.settle()
    assert talk.cuts() == [("ans", 1000)]
    assert talk.heard() == {"pre": PREAMBLE, "ans": "it is"}
    assert talk.cancelled() == ([] if ended else ["r"])
    assert [event.response_id for event in talk.seen(AudioInterrupted)] == ["r"]


async def test_an_interruption_in_the_first_message_cuts_both(talks: Talks):
    talk = await talks.begin()
    await both(talk)
    await talk.after(1.0)
    await talk.session.interrupt()
    await talk.settle()
    assert talk.cuts() == [("pre", 1000), ("ans", 0)]
    assert talk.heard() == {"pre": "let me", "ans": ""}
    assert len(talk.seen(AudioInterrupted)) == 1


async def test_a_player_that_names_the_second_message_has_played_the_first(talks: Talks):
    player = PlaybackTracker()
    talk = await talks.begin(playback=player)
    await both(talk)
    player.played_in_all("ans", 0, 500)
    await talk.session.interrupt()
    await talk.settle()
    assert talk.cuts() == [("ans", 500)]


async def test_sound_that_names_no_item_belongs_to_the_message_that_was_announced_last(
    talks: Talks,
):
    talk = await talks.begin()
    await talk.starts()
    await says_message(talk, "pre", PREAMBLE)
    added = {"response_id": "r", "item": message("ans", None)}
    await talk.says({"type": "response.output_item.added", **added})
    await talk.speaks("r", "", ms=LENGTH)
    await talk.after(2.5)
    await talk.session.interrupt()
    await talk.settle()
    assert talk.cuts() == [("ans", 500)]


async def test_a_message_before_a_call_stays_and_the_call_is_run_once(talks: Talks):
    ran = []

    @function_tool
    async def weather() -> str:
        ran.append(True)
        return "sunny"

    talk = await talks.begin(weather)
    await talk.starts()
    await says_message(talk, "pre", PREAMBLE)
    await talk.calls("weather")
    await talk.ends(output=[message("pre", PREAMBLE)])
    assert (ran, talk.outputs()) == ([True], ["sunny"])
    assert talk.heard() == {"pre": PREAMBLE}
    assert len(talk.sent("response.create")) == 1


@pytest.mark.parametrize("debounce", [100, 1, -1])
@pytest.mark.parametrize("deltas", [True, False], ids=["deltas", "items alone"])
@pytest.mark.parametrize("where", ["pre", "ans"])
async def test_a_guardrail_checks_every_message_whole(
    talks: Talks, where: str, deltas: bool, debounce: int
):
    async def check(context: Any, agent: Any, output: str) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(None, tripwire_triggered="secret" in output)

    talk = await talks.begin(
        output_guardrails=[OutputGuardrail(check, name="secrets")],
        output_guardrail_settings={"debounce_text_length": debounce},
    )
    words = {"pre": PREAMBLE, "ans": ANSWER, where: "a secret"}
    if deltas:
        await both(talk, first=words["pre"], second=words["ans"])
    else:
        await talk.starts()
        output = [message(item, words[item]) for item in ("pre", "ans")]
        await talk.ends(output=output, status="completed")
    assert len(talk.seen(GuardrailTripped)) == 1
    (tripped,) = talk.seen(GuardrailTripped)
    assert tripped.item_id == where


async def test_a_guardrail_sees_the_first_message_before_the_second_is_heard(talks: Talks):
    seen: list[str] = []

    async def check(context: Any, agent: Any, output: str) -> GuardrailFunctionOutput:
        seen.append(output)
        return GuardrailFunctionOutput(None, tripwire_triggered="secret" in output)

    talk = await talks.begin(output_guardrails=[OutputGuardrail(check, name="secrets")])
    await talk.starts()
    await says_message(talk, "pre", "a secret")
    assert seen == []
    await says_message(talk, "ans", ANSWER, whole=False)
    assert seen == ["a secret"]
    assert talk.cancelled() == ["r"]
    assert talk.cuts() == [("pre", 0)]


async def test_no_message_is_checked_twice_whole(talks: Talks):
    seen: list[str] = []

    async def check(context: Any, agent: Any, output: str) -> GuardrailFunctionOutput:
        seen.append(output)
        return GuardrailFunctionOutput(None, tripwire_triggered=False)

    talk = await talks.begin(output_guardrails=[OutputGuardrail(check, name="all")])
    await both(talk)
    assert seen == [PREAMBLE, ANSWER]


async def test_a_loss_in_the_second_message_keeps_the_first(talks: Talks):
    talk = await talks.begin(reconnect=ReconnectPolicy())
    await talk.starts()
    await says_message(talk, "pre", PREAMBLE)
    await says_message(talk, "ans", ANSWER, whole=False)
    await talk.after(3.0)
    await talk.server.close(1011, "restarting")
    await talk.settle()
    created = [message["item"] for message in talk.sent("conversation.item.create")]
    told = {
        item["id"]: item["content"][0]["text"] for item in created if item["role"] == "assistant"
    }
    assert told == {"pre": PREAMBLE, "ans": "it is"}
    assert talk.heard() == {"pre": PREAMBLE, "ans": "it is"}
