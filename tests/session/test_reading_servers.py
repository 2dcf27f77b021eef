"""Servers write what the protocol has not: an event keeps its effect, or an error says why."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from agents import function_tool

import stapes
from stapes import RealtimeAgent, RealtimeSession
from stapes.testing import ScriptedServer, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEY = "sk-test-0123456789abcdef"


@function_tool
async def weather(city: str = "nowhere") -> str:
    return f"Sunny in {city}"


@dataclass
class Conversation:
    """A session with a scripted server, and what came of it."""

    session: RealtimeSession[Any]
    server: ScriptedServer
    seen: list[Any] = field(default_factory=list)

    async def says(self, *frames: dict[str, Any] | str) -> None:
        for frame in frames:
            await self.server.send(frame)
        await settle(self.session, self.server)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.seen if type(event) is kind]

    @property
    def errors(self) -> list[str]:
        return [str(event.error) for event in self.of(stapes.Error)]

    def sent(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.server.received if message["type"] == kind]

    @property
    def outputs(self) -> list[str]:
        items = [message["item"] for message in self.sent("conversation.item.create")]
        return [item["output"] for item in items if item["type"] == "function_call_output"]

    async def starts(self, response: str = "r") -> None:
        await self.says({"type": "response.created", "response": {"id": response}})

    async def ends(self, response: str = "r", **fields: Any) -> None:
        done = {"id": response, "status": "completed", "output": [], **fields}
        await self.says({"type": "response.done", "response": done})


@pytest.fixture
async def begin() -> AsyncIterator[Any]:
    async with ScriptedServer() as server:
        begun: list[Conversation] = []

        async def start(**options: Any) -> Conversation:
            agent = RealtimeAgent(name="Desk", instructions="x", tools=[weather])
            session = RealtimeSession(agent, api_key=KEY, **options)
            conversation = Conversation(session, server)
            session.on("*", conversation.seen.append)
            session.on("transport_event", conversation.seen.append)
            await session.connect(url=server.url)
            await settle(session, server)
            begun.append(conversation)
            return conversation

        yield start
        for conversation in begun:
            await conversation.session.close()


# JSON that the parser does not take


@pytest.mark.parametrize(
    "oddity",
    [
        r'"hi \ud83d"',
        r'"\ude00 hi"',
        "1e400",
        "-1e400",
        "9" * 5_000,
        "[" * 200 + "]" * 200,
        "NaN",
    ],
)
async def test_a_response_ends_whatever_its_event_holds(begin: Any, oddity: str):
    talk = await begin()
    await talk.starts()
    await talk.says(
        f'{{"type":"response.done","response":{{"id":"r","metadata":{oddity},"output":[]}}}}'
    )
    assert talk.errors == []
    assert len(talk.of(stapes.AgentEnd)) == 1
    raw = [event.event for event in talk.of(stapes.TransportEvent)]
    assert raw[-1]["type"] == "response.done"
    # It can be shown and stored.
    json.dumps(raw[-1], ensure_ascii=False).encode()
    await talk.session.send_message("next")
    await settle(talk.session, talk.server)
    assert len(talk.sent("response.create")) == 1


async def test_half_a_surrogate_pair_is_the_replacement_character(begin: Any):
    talk = await begin()
    part = r'{"type":"output_text","text":"hi \ud83d"}'
    item = f'{{"id":"i","type":"message","role":"assistant","content":[{part}]}}'
    await talk.starts()
    await talk.says(
        r'{"type":"response.output_text.delta","response_id":"r","item_id":"i",'
        r'"delta":"hi \ud83d"}',
        f'{{"type":"response.output_item.done","response_id":"r","item":{item}}}',
        f'{{"type":"response.done","response":{{"id":"r","output":[{item}]}}}}',
    )
    assert [event.delta for event in talk.of(stapes.TranscriptDelta)] == ["hi \ufffd"]
    assert talk.session.history[0].text == "hi \ufffd"
    assert [event.output for event in talk.of(stapes.AgentEnd)] == ["hi \ufffd"]


async def test_half_a_surrogate_pair_in_arguments_reaches_the_tool_and_its_answer_the_model(
    begin: Any,
):
    talk = await begin()
    await talk.starts()
    item = {"id": "f", "type": "function_call", "call_id": "c", "name": "weather"}
    arguments = r'{"city": "x\ud83d"}'
    await talk.says(
        {
            "type": "response.output_item.done",
            "response_id": "r",
            "item": {**item, "arguments": arguments},
        }
    )
    assert talk.outputs == ["Sunny in x\ufffd"]


# Function calls

CALL: dict[str, Any] = {
    "id": "f",
    "type": "function_call",
    "status": "completed",
    "call_id": "c",
    "name": "weather",
    "arguments": '{"city": "Paris"}',
}


def without(*keys: str, **others: Any) -> dict[str, Any]:
    return {key: value for key, value in CALL.items() if key not in keys} | others


def item_done(item: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "response_id": "r", "item": item, **fields}


ADDED = {
    "type": "response.output_item.added",
    "response_id": "r",
    "item": without(status="in_progress", arguments=""),
}
ARGUMENTS = {
    "type": "response.function_call_arguments.done",
    "response_id": "r",
    "item_id": "f",
    "arguments": '{"city": "Paris"}',
}


@pytest.mark.parametrize(
    ("events", "output"),
    [
        ([item_done(without("status"))], []),
        ([item_done(without(status=None))], []),
        ([item_done(without(status="done"))], []),
        ([item_done(without("type"))], []),
        ([item_done(without("id"), item_id="f")], []),
        ([item_done(without("id"))], []),
        ([item_done(without("call_id"))], []),
        ([item_done(without(call_id=7, id=8))], []),
        ([item_done(without(), response_id=None)], []),
        ([item_done(without(arguments={"city": "Paris"}))], []),
        ([ARGUMENTS, item_done(without(arguments=None))], []),
        ([ARGUMENTS, item_done(without("arguments"))], []),
        ([ADDED, ARGUMENTS], []),
        ([ARGUMENTS | {"name": "weather", "call_id": "c"}], []),
        ([ARGUMENTS | {"name": "weather", "item_id": None, "call_id": "c"}], []),
        ([ADDED, ARGUMENTS | {"arguments": {"city": "Paris"}}], []),
        ([], [CALL]),
        ([], [without("status")]),
        ([], [without("status", arguments={"city": "Paris"})]),
        ([ARGUMENTS], [without("arguments")]),
        ([ADDED], [without("name")]),
        # What most servers send: everything, several times.
        ([ADDED, ARGUMENTS, item_done(CALL)], [CALL]),
        ([item_done(without("call_id"))], [CALL]),
    ],
)
async def test_a_call_runs_once_however_the_server_states_it(
    begin: Any, events: list[dict[str, Any]], output: list[dict[str, Any]]
):
    talk = await begin()
    await talk.starts()
    await talk.says(*events)
    await talk.ends(output=output)
    assert talk.outputs == ["Sunny in Paris"]
    assert talk.errors == []
    assert len(talk.sent("response.create")) == 1
    (call,) = talk.session.history
    assert (call.name, call.output, call.status) == ("weather", "Sunny in Paris", "completed")


@pytest.mark.parametrize("arguments", [None, ""])
async def test_arguments_that_are_null_or_empty_are_none(begin: Any, arguments: Any):
    talk = await begin()
    await talk.starts()
    await talk.says(item_done(without(arguments=arguments)))
    assert talk.outputs == ["Sunny in nowhere"]


@pytest.mark.parametrize("arguments", [[1], 5, "[1]"])
async def test_arguments_that_are_no_object_do_not_run_the_tool_with_its_defaults(
    begin: Any, arguments: Any
):
    talk = await begin()
    await talk.starts()
    await talk.says(item_done(without(arguments=arguments)))
    await talk.ends()
    (output,) = talk.outputs
    assert "Sunny" not in output
    assert len(talk.sent("response.create")) == 1


@pytest.mark.parametrize("status", ["incomplete", "cancelled", "failed"])
async def test_a_call_that_was_cut_off_does_not_run(begin: Any, status: str):
    talk = await begin()
    await talk.starts()
    await talk.says(ADDED, item_done(without(status=status)))
    await talk.ends(status="cancelled", output=[without(status=status)])
    assert talk.outputs == []


async def test_calls_of_a_cancelled_response_that_were_not_stated_before_do_not_run(begin: Any):
    talk = await begin()
    await talk.starts()
    await talk.says(ADDED, ARGUMENTS)
    await talk.ends(status="cancelled", output=[CALL])
    assert talk.outputs == []


async def test_a_tool_that_is_unknown_is_answered_and_a_response_asked_for(begin: Any):
    talk = await begin()
    await talk.starts()
    await talk.says(item_done(without(name="unheard_of")))
    await talk.ends()
    assert talk.outputs == ["Tool unheard_of not found"]
    assert talk.errors == ["Tool unheard_of not found"]
    (error,) = talk.of(stapes.Error)
    assert error.context is not None
    assert error.context.startswith("tool unheard_of: ")
    assert " has " in error.context
    assert len(talk.sent("response.create")) == 1


async def test_an_approval_request_with_arguments_as_an_object_shows_them(begin: Any):
    talk = await begin()
    item = {
        "id": "m",
        "type": "mcp_approval_request",
        "server_label": "s",
        "name": "pay",
        "arguments": {"amount": 1_000},
    }
    await talk.says({"type": "conversation.item.done", "item": item})
    (asked,) = talk.of(stapes.ToolApprovalRequested)
    assert json.loads(asked.approval.arguments) == {"amount": 1_000}


# Deltas and messages


async def test_deltas_without_an_item_belong_to_the_one_that_was_announced(begin: Any):
    talk = await begin()
    await talk.starts()
    sound = base64.b64encode(bytes(4)).decode()
    await talk.says(
        {
            "type": "response.output_item.added",
            "response_id": "r",
            "item": {"id": "i", "type": "message", "role": "assistant", "content": []},
        },
        {"type": "response.output_audio.delta", "response_id": "r", "delta": sound},
        {"type": "response.output_audio_transcript.delta", "response_id": "r", "delta": "hi"},
        {"type": "response.output_audio.delta", "item_id": "", "delta": sound},
    )
    assert [(event.item_id, event.response_id) for event in talk.of(stapes.Audio)] == [
        ("i", "r"),
        ("i", "r"),
    ]
    assert [event.item_id for event in talk.of(stapes.TranscriptDelta)] == ["i"]


async def test_deltas_without_any_item_are_heard_and_read_all_the_same(begin: Any):
    talk = await begin()
    await talk.starts()
    await talk.says(
        {"type": "response.output_audio.delta", "response_id": "r", "delta": "AAAA"},
        {"type": "response.output_text.delta", "response_id": "r", "delta": "hi"},
    )
    assert len(talk.of(stapes.Audio)) == 1
    assert [event.delta for event in talk.of(stapes.TranscriptDelta)] == ["hi"]


@pytest.mark.parametrize("part", [{"type": "text", "text": "hi"}, {"type": "output_text"}])
async def test_the_text_of_an_answer_is_read_by_its_old_name_too(begin: Any, part: dict[str, Any]):
    talk = await begin()
    item = {"id": "i", "type": "message", "role": "assistant", "content": [part]}
    await talk.starts()
    await talk.says(item_done(item))
    await talk.ends(output=[item])
    assert talk.session.history[0].content == (stapes.OutputText(part.get("text", "")),)
    assert [event.output for event in talk.of(stapes.AgentEnd)] == [part.get("text", "")]


async def test_the_speech_of_an_answer_is_read_by_its_old_name_too(begin: Any):
    talk = await begin()
    part = {"type": "audio", "transcript": "hi"}
    item = {"id": "i", "type": "message", "role": "assistant", "content": [part]}
    await talk.starts()
    await talk.ends(output=[item])
    assert [event.output for event in talk.of(stapes.AgentEnd)] == ["hi"]


async def test_a_message_of_a_response_without_role_or_type_is_the_assistants(begin: Any):
    talk = await begin()
    await talk.starts()
    content = [{"type": "output_text", "text": "hi"}]
    await talk.says(item_done({"type": "message", "content": content}, item_id="i"))
    (message,) = talk.session.history
    assert (message.item_id, message.role, message.text) == ("i", "assistant", "hi")


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.output_audio.delta", "response_id": "r", "item_id": "i"},
        {"type": "response.output_text.delta", "item_id": "i", "delta": None},
        {"type": "response.output_item.done", "response_id": "r"},
        {"type": "response.output_item.added", "response_id": "r", "item": None},
        {"type": "response.output_item.done", "response_id": "r", "item": {"type": "message"}},
        {"type": "response.function_call_arguments.done", "arguments": "{}"},
        {"type": "conversation.item.added"},
        {"type": "conversation.item.done", "item": "text"},
        {"type": "conversation.item.deleted"},
        {"type": "conversation.item.input_audio_transcription.completed", "transcript": "x"},
        {"type": "conversation.item.input_audio_transcription.completed", "item_id": "i"},
        {"type": "conversation.item.input_audio_transcription.delta", "item_id": "i"},
        {"type": "conversation.item.input_audio_transcription.failed"},
        {"type": "response.mcp_call.failed"},
    ],
)
async def test_an_event_that_does_not_say_what_it_is_about_is_an_error_event(
    begin: Any, event: dict[str, Any]
):
    talk = await begin()
    await talk.says(event)
    (error,) = talk.errors
    assert "without" in error


# What servers report


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"error": "just text"}, "just text"),
        ({"message": "at the top", "code": "x"}, "at the top"),
        ({"error": {"message": "inside"}, "message": "outside"}, "inside"),
        ({"error": {"code": "rate_limit", "message": ""}}, "rate_limit"),
        ({"error": {"detail": "in detail"}}, "in detail"),
        ({"error": None}, "the server reported an error"),
    ],
)
async def test_an_error_is_told_in_the_servers_words(begin: Any, event: dict[str, Any], said: str):
    talk = await begin()
    await talk.says({"type": "error", **event})
    assert talk.errors == [said]
    (error,) = [seen.error for seen in talk.of(stapes.Error)]
    assert error.event == {"type": "error", **event}


async def test_a_response_that_failed_is_an_error_event_once(begin: Any):
    talk = await begin()
    await talk.starts()
    why = {"type": "insufficient_quota", "code": "quota", "message": "You are out of money"}
    for _ in range(2):
        await talk.ends(status="failed", status_details={"type": "failed", "error": why})
    (error,) = [seen.error for seen in talk.of(stapes.Error)]
    assert str(error) == "response r failed: You are out of money"
    assert isinstance(error, stapes.ServerError)
    assert (error.code, error.error_type) == ("quota", "insufficient_quota")
    assert [event.status for event in talk.of(stapes.ResponseDone)] == ["failed"]
    assert len(talk.of(stapes.AgentEnd)) == 1


@pytest.mark.parametrize("status", ["completed", "cancelled", "incomplete", None])
async def test_a_response_that_ended_otherwise_is_none(begin: Any, status: str | None):
    talk = await begin()
    await talk.starts()
    await talk.ends(status=status)
    assert talk.errors == []


MCP: dict[str, Any] = {
    "id": "m",
    "type": "mcp_call",
    "server_label": "s",
    "name": "search",
    "arguments": "{}",
}


@pytest.mark.parametrize(
    ("error", "said"),
    [
        ("no such page", "no such page"),
        ({"type": "http_error", "code": 500, "message": "down"}, "down"),
        ({"type": "protocol_error", "code": 7}, "protocol_error"),
    ],
)
async def test_a_failed_mcp_call_is_failed_in_the_history_and_an_error_event_once(
    begin: Any, error: Any, said: str
):
    talk = await begin()
    await talk.starts()
    failed = {**MCP, "error": error}
    await talk.says(
        {"type": "response.output_item.added", "response_id": "r", "item": MCP},
        {"type": "response.mcp_call.failed", "item_id": "m", "output_index": 0},
        item_done(failed),
        {"type": "conversation.item.done", "item": failed},
    )
    await talk.ends()
    (call,) = talk.session.history
    assert (call.status, call.error) == ("failed", said)
    assert talk.errors == [f"MCP call search (m) failed: {said}"]
    (completed,) = talk.of(stapes.McpToolCallCompleted)
    assert completed.tool_call.status == "failed"


async def test_a_failed_mcp_call_without_a_reason_is_told_at_the_end_of_its_response(begin: Any):
    talk = await begin()
    await talk.starts()
    await talk.says(
        {"type": "response.output_item.added", "response_id": "r", "item": MCP},
        {"type": "response.mcp_call.failed", "item_id": "m", "output_index": 0},
    )
    await talk.ends()
    assert talk.session.history[0].status == "failed"
    assert talk.errors == ["MCP call search (m) failed: the server gives no reason"]


async def test_a_failed_listing_of_mcp_tools_is_an_error_event_once(begin: Any):
    talk = await begin()
    item = {"id": "l", "type": "mcp_list_tools", "server_label": "docs", "tools": []}
    await talk.says(
        {"type": "conversation.item.added", "item": item},
        {"type": "mcp_list_tools.failed", "item_id": "l", "error": {"message": "HTTP 503"}},
        {"type": "conversation.item.done", "item": {**item, "error": "HTTP 503"}},
    )
    assert talk.errors == ["the tools of MCP server docs could not be listed: HTTP 503"]


async def test_transcriptions_count_in_the_usage(begin: Any):
    talk = await begin()
    completed = "conversation.item.input_audio_transcription.completed"
    tokens = {"type": "tokens", "input_tokens": 20, "output_tokens": "7", "total_tokens": 27}
    for usage in (tokens, {"type": "duration", "seconds": 1.5}, None):
        await talk.says({"type": completed, "item_id": "u", "transcript": "hi", "usage": usage})
    usage = talk.session.usage
    assert (usage.requests, usage.input_tokens, usage.output_tokens) == (0, 20, 7)
    await talk.starts()
    await talk.ends(usage={"input_tokens": 1, "output_tokens": 2})
    assert (usage.requests, usage.total_tokens) == (1, 30)
