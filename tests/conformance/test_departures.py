"""Where stapes is kinder than the JS SDK: each departure of `data/departures.json`, shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from agents import FunctionTool, GuardrailFunctionOutput, OutputGuardrail, UserError, function_tool
from agents.realtime import realtime_handoff

import stapes
from stapes import RealtimeAgent

if TYPE_CHECKING:
    from tests.talk import Talks


@function_tool
async def weather(city: str = "Paris") -> str:
    return f"Sunny in {city}"


@function_tool(failure_error_function=None)
async def broken() -> str:
    raise RuntimeError("backend down")


async def test_approving_after_the_connection_is_gone_raises_and_runs_nothing(talks: Talks) -> None:
    ran = []

    @function_tool(needs_approval=True)
    async def risky() -> str:
        ran.append(True)
        return "done"

    talk = await talks.begin(risky)
    await talk.starts()
    await talk.calls("risky")
    (asked,) = talk.seen(stapes.ToolApprovalRequested)
    await talk.server.close(1001, "going away")
    await talk.settle()
    with pytest.raises(Exception, match="closed realtime connection"):
        await talk.session.approve(asked.approval)
    assert not ran


async def test_a_tool_that_raises_answers_the_model_and_is_an_error_event(talks: Talks) -> None:
    talk = await talks.begin(broken)
    await talk.starts()
    await talk.calls("broken")
    assert talk.outputs() == ["An error occurred while running the tool. Please try again."]
    assert [str(event.error) for event in talk.seen(stapes.Error)] == ["backend down"]


async def test_an_approved_tool_that_raises_does_not_raise_from_approve(talks: Talks) -> None:
    broken.needs_approval = True
    try:
        talk = await talks.begin(broken)
        await talk.starts()
        await talk.calls("broken")
        (asked,) = talk.seen(stapes.ToolApprovalRequested)
        await talk.session.approve(asked.approval)
        await talk.settle()
    finally:
        broken.needs_approval = False
    assert len(talk.outputs()) == 1
    assert len(talk.seen(stapes.Error)) == 1


async def test_audio_that_is_no_base64_is_an_error_event_and_the_reader_goes_on(
    talks: Talks,
) -> None:
    talk = await talks.begin()
    await talk.starts()
    await talk.says(
        {"type": "response.output_audio.delta", "response_id": "r", "item_id": "i", "delta": "?"}
    )
    assert len(talk.seen(stapes.Error)) == 1
    await talk.speaks()
    assert len(talk.seen(stapes.Audio)) == 1


@pytest.mark.parametrize("frame", ["{no json", "[1]", "null", '{"event_id": "e"}', b"\x00\x01"])
async def test_a_frame_that_is_no_event_is_an_error_event(talks: Talks, frame: str | bytes) -> None:
    talk = await talks.begin()
    await talk.says(frame)
    assert len(talk.seen(stapes.Error)) == 1
    await talk.starts()
    assert len(talk.seen(stapes.AgentStart)) == 1


async def test_an_approval_request_with_bad_arguments_is_an_error_event(talks: Talks) -> None:
    talk = await talks.begin()
    item = {
        "id": "m",
        "type": "mcp_approval_request",
        "server_label": "s",
        "name": "n",
        "arguments": "{",
    }
    await talk.says({"type": "conversation.item.done", "item": item})
    assert len(talk.seen(stapes.Error)) == 1
    assert not talk.seen(stapes.ToolApprovalRequested)


async def test_audio_of_an_interrupted_answer_that_comes_late_is_dropped(talks: Talks) -> None:
    talk = await talks.begin()
    await talk.starts()
    await talk.speaks()
    await talk.says({"type": "input_audio_buffer.speech_started"})
    await talk.speaks()
    assert len(talk.seen(stapes.Audio)) == 1


async def test_speech_over_an_answer_without_audio_yet_cancels_it(talks: Talks) -> None:
    talk = await talks.begin()
    await talk.starts()
    await talk.says({"type": "input_audio_buffer.speech_started"})
    await talk.speaks()
    assert len(talk.sent("response.cancel")) == 1
    assert not talk.seen(stapes.Audio)


async def test_sending_without_a_connection_raises_audio_included(talks: Talks) -> None:
    talk = await talks.begin(connect=False)
    with pytest.raises(stapes.NotConnectedError):
        await talk.session.send_audio(b"\x00\x00")
    with pytest.raises(stapes.NotConnectedError):
        await talk.session.send_message("x")


async def test_sending_after_the_connection_was_lost_raises_audio_included(talks: Talks) -> None:
    talk = await talks.begin()
    await talk.server.close(1001, "going away")
    await talk.settle()
    with pytest.raises(stapes.NotConnectedError):
        await talk.session.send_audio(b"\x00\x00")


def test_configuration_from_before_the_ga_protocol_is_refused_with_the_name_to_use() -> None:
    from stapes.config import check_config

    with pytest.raises(ValueError, match="output_modalities"):
        check_config({"modalities": ["text"]})


async def test_the_default_transcription_model_is_none_that_shuts_down(talks: Talks) -> None:
    talk = await talks.begin()
    (update,) = [sent for sent in talk.sent("session.update") if "audio" in sent["session"]]
    assert update["session"]["audio"]["input"] == {
        "format": {"type": "audio/pcm", "rate": 24_000},
        "noise_reduction": None,
        "transcription": {"model": "gpt-realtime-whisper"},
        "turn_detection": {"type": "semantic_vad"},
    }


async def test_the_model_given_to_connect_is_honoured(talks: Talks) -> None:
    talk = await talks.begin(connect=False, model="one")
    await talk.session.connect(url=talk.server.url, model="two")
    await talk.settle()
    assert talk.sent("session.update")[0]["session"]["model"] == "two"


async def test_a_second_connect_raises_and_leaves_the_session_as_it_was(talks: Talks) -> None:
    talk = await talks.begin(weather)
    with pytest.raises(UserError):
        await talk.session.connect(url=talk.server.url)
    await talk.starts()
    await talk.calls("weather")
    assert talk.outputs() == ["Sunny in Paris"]


async def test_an_answer_that_is_blocked_before_it_sounds_is_cancelled_and_never_heard(
    talks: Talks,
) -> None:
    async def check(context: Any, agent: Any, text: str) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(None, "secret" in text)

    talk = await talks.begin(
        output_guardrails=[OutputGuardrail(check)],
        output_guardrail_settings={"debounce_text_length": 1},
    )
    await talk.starts()
    delta = {"response_id": "r", "item_id": "i", "content_index": 0, "delta": "a secret"}
    await talk.says({"type": "response.output_audio_transcript.delta", **delta})
    await talk.speaks()
    assert len(talk.sent("response.cancel")) == 1
    assert not talk.seen(stapes.Audio)


async def test_the_guardrails_debounce_counts_characters(talks: Talks) -> None:
    texts = []

    async def check(context: Any, agent: Any, text: str) -> GuardrailFunctionOutput:
        texts.append(text)
        return GuardrailFunctionOutput(None, False)

    talk = await talks.begin(
        output_guardrails=[OutputGuardrail(check)],
        output_guardrail_settings={"debounce_text_length": 2},
    )
    await talk.starts()
    delta = {"type": "response.output_text.delta", "response_id": "r", "item_id": "i"}
    # One character, two UTF-16 units.
    await talk.says({**delta, "delta": "😀"})
    assert texts == []
    await talk.says({**delta, "delta": "😀"})
    assert texts == ["😀😀"]


async def test_a_handoff_that_raises_answers_the_model_and_is_an_error_event(talks: Talks) -> None:
    def refuse(context: Any) -> None:
        raise RuntimeError("not now")

    other = RealtimeAgent(name="Billing", instructions="y")
    talk = await talks.begin(handoffs=[realtime_handoff(other, on_handoff=refuse)])
    await talk.starts()
    await talk.calls("transfer_to_billing")
    assert len(talk.outputs()) == 1
    assert [str(event.error) for event in talk.seen(stapes.Error)] == ["not now"]
    assert talk.session.current_agent.name == "Desk"


async def test_an_agent_without_tools_takes_the_tools_away(talks: Talks) -> None:
    talk = await talks.begin(weather)
    await talk.session.update_agent(RealtimeAgent(name="Plain", prompt={"id": "pmpt_1"}))
    await talk.settle()
    assert talk.sent("session.update")[-1]["session"]["tools"] == []


async def test_interrupt_cancels_an_answer_that_has_no_sound(talks: Talks) -> None:
    talk = await talks.begin()
    await talk.starts()
    await talk.session.interrupt()
    await talk.settle()
    assert len(talk.sent("response.cancel")) == 1


@pytest.mark.parametrize(
    ("part", "read"),
    [
        ({"type": "input_audio"}, stapes.InputAudio(transcript=None)),
        ({"type": "input_image", "image_url": "data:x"}, stapes.InputImage("data:x")),
    ],
)
async def test_an_item_with_a_field_less_stays_in_the_history(
    talks: Talks, part: dict[str, Any], read: Any
) -> None:
    talk = await talks.begin()
    item = {"id": "u", "type": "message", "role": "user", "content": [part]}
    await talk.says({"type": "conversation.item.added", "item": item, "previous_item_id": None})
    (message,) = talk.session.history
    assert message.content == (read,)


async def test_a_known_event_without_an_id_keeps_its_effect(talks: Talks) -> None:
    talk = await talks.begin()
    await talk.starts()
    await talk.speaks()
    await talk.ends()
    assert len(talk.seen(stapes.Audio)) == 1
    assert len(talk.seen(stapes.AgentEnd)) == 1


async def test_an_mcp_call_without_an_output_key_is_read(talks: Talks) -> None:
    talk = await talks.begin()
    item = {"id": "m", "type": "mcp_call", "name": "search", "arguments": "{}"}
    await talk.says({"type": "response.output_item.added", "response_id": "r", "item": item})
    (call,) = talk.session.history
    assert call.output is None


async def test_muting_drops_microphone_audio(talks: Talks) -> None:
    talk = await talks.begin()
    await talk.session.mute(True)
    await talk.session.send_audio(b"\x00\x00")
    await talk.session.mute(False)
    await talk.session.send_audio(b"\x01\x00")
    await talk.settle()
    assert [message["audio"] for message in talk.sent("input_audio_buffer.append")] == ["AQA="]


async def test_a_refused_request_for_a_response_blocks_no_later_one(talks: Talks) -> None:
    talk = await talks.begin()
    await talk.session.send_message("one")
    await talk.session.send_message("two")
    await talk.settle()
    assert len(talk.sent("response.create")) == 1
    code = "conversation_already_has_active_response"
    await talk.says({"type": "error", "error": {"code": code, "message": "active"}})
    assert len(talk.sent("response.create")) == 2


async def test_a_response_that_is_reported_done_twice_counts_once(talks: Talks) -> None:
    talk = await talks.begin()
    await talk.starts()
    await talk.ends()
    await talk.ends()
    assert talk.session.usage.requests == 1
    assert len(talk.seen(stapes.AgentEnd)) == 1


async def test_empty_arguments_are_no_arguments(talks: Talks) -> None:
    talk = await talks.begin(weather)
    await talk.starts()
    await talk.calls("weather", arguments="")
    assert talk.outputs() == ["Sunny in Paris"]


@pytest.mark.parametrize("needs_approval", [False, True])
async def test_arguments_that_are_no_json_answer_the_model_at_once(
    talks: Talks, needs_approval: bool
) -> None:
    @function_tool(needs_approval=needs_approval)
    async def tool() -> str:
        return "never"

    talk = await talks.begin(tool)
    await talk.starts()
    await talk.calls("tool", arguments="{")
    assert len(talk.outputs()) == 1
    assert len(talk.seen(stapes.Error)) == 1
    assert not talk.seen(stapes.ToolApprovalRequested)


async def test_parallel_tools_ask_for_one_response_when_the_last_has_answered(talks: Talks) -> None:
    import asyncio

    gates = {"a": asyncio.Event(), "b": asyncio.Event()}

    @function_tool
    async def slow(name: str) -> str:
        await gates[name].wait()
        return name

    talk = await talks.begin(slow)
    await talk.starts()
    await talk.calls("slow", '{"name": "a"}', "a")
    await talk.calls("slow", '{"name": "b"}', "b")
    await talk.ends()
    gates["a"].set()
    await talk.settle()
    assert (talk.outputs(), len(talk.sent("response.create"))) == (["a"], 0)
    gates["b"].set()
    await talk.settle()
    assert (talk.outputs(), len(talk.sent("response.create"))) == (["a", "b"], 1)


@pytest.mark.parametrize(("result", "text"), [(None, "null"), (1.0, "1.0"), ("café", "café")])
async def test_results_are_written_as_python_writes_json(
    talks: Talks, result: Any, text: str
) -> None:
    async def give(context: Any, arguments: str) -> Any:
        return result

    schema = {"type": "object", "properties": {}}
    talk = await talks.begin(FunctionTool("give", "", schema, give, strict_json_schema=False))
    await talk.starts()
    await talk.calls("give")
    assert talk.outputs() == [text]


async def test_updating_the_agent_before_connecting_sends_nothing(talks: Talks) -> None:
    talk = await talks.begin(connect=False)
    await talk.session.update_agent(RealtimeAgent(name="Other", instructions="y"))
    await talk.settle()
    assert talk.session.current_agent.name == "Other"
    assert len(talk.seen(stapes.AgentHandoff)) == 1


async def test_a_transcription_is_taken_from_its_event_without_fetching_the_audio(
    talks: Talks,
) -> None:
    talk = await talks.begin()
    item = {"id": "u", "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
    await talk.says(
        {"type": "conversation.item.added", "item": item},
        {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": "u",
            "content_index": 0,
            "transcript": "Hello",
        },
    )
    (message,) = talk.session.history
    assert message.text == "Hello"
    assert not talk.sent("conversation.item.retrieve")


async def test_a_tool_that_ends_after_the_connection_was_lost_is_an_error_event(
    talks: Talks,
) -> None:
    import asyncio

    gate = asyncio.Event()

    @function_tool
    async def slow() -> str:
        await gate.wait()
        return "late"

    talk = await talks.begin(slow)
    await talk.starts()
    await talk.calls("slow")
    await talk.server.close(1001, "going away")
    await talk.settle()
    gate.set()
    await talk.settle()
    (ended,) = talk.seen(stapes.AgentToolEnd)
    (event,) = talk.seen(stapes.Error)
    assert isinstance(event.error, stapes.ToolOutputNotSent)
    assert event.error.output == ended.result == "late"


async def test_a_function_call_is_added_to_the_history_with_its_output(talks: Talks) -> None:
    talk = await talks.begin()
    call = stapes.FunctionCallItem("f", "weather", "{}", "Sunny", "completed", "c")
    await talk.session.update_history([call])
    await talk.settle()
    items = [message["item"] for message in talk.sent("conversation.item.create")]
    assert [item["type"] for item in items] == ["function_call", "function_call_output"]
    assert {item["call_id"] for item in items} == {"c"}


async def test_speech_of_the_assistant_is_added_to_the_history_as_text(talks: Talks) -> None:
    talk = await talks.begin()
    spoken = stapes.MessageItem("a", "assistant", (stapes.OutputAudio("hi"),))
    await talk.session.update_history([spoken])
    await talk.settle()
    (created,) = talk.sent("conversation.item.create")
    assert created["item"]["content"] == [{"type": "output_text", "text": "hi"}]


async def test_sound_of_no_length_is_not_appended(talks: Talks) -> None:
    talk = await talks.begin()
    await talk.session.send_audio(b"")
    await talk.session.send_audio(b"", commit=True)
    await talk.settle()
    assert talk.sent("input_audio_buffer.append") == []
    assert len(talk.sent("input_audio_buffer.commit")) == 1
