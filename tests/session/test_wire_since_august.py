"""What the GA protocol has had since August 2026, by the types of OpenAI's client library."""

from __future__ import annotations

import base64
import logging
from typing import TYPE_CHECKING, Any

import pytest
from agents import HostedMCPTool, UserError
from openai.types import realtime as wire
from openai.types.realtime import (
    realtime_audio_config_input_param as input_param,
)
from openai.types.realtime import (
    realtime_audio_config_output_param as output_param,
)
from openai.types.realtime import (
    realtime_audio_input_turn_detection_param as turn_param,
)
from openai.types.realtime.realtime_session_create_request_param import (
    RealtimeSessionCreateRequestParam,
)
from openai.types.realtime.response_create_event_with_references_param import (
    ResponseCreateEventWithReferencesParam,
)
from pydantic import TypeAdapter
from tests.openai_types import validated

from stapes import (
    CallPlaybackChanged,
    DtmfReceived,
    Error,
    HandshakeError,
    HistoryAdded,
    IdleTimeoutTriggered,
    RateLimit,
    RealtimeAgent,
    RealtimeSession,
    ServerError,
    TransportEvent,
    config,
)
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from tests.talk import Talks

ELSEWHERE = {"type", "instructions", "tools", "prompt", "tracing"}
"""Keys of the provider's configuration that the agent or options of the session have."""


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (config.NoiseReduction, input_param.NoiseReduction),
        (config.Transcription, wire.AudioTranscriptionParam),
        (config.ServerVad, turn_param.ServerVad),
        (config.SemanticVad, turn_param.SemanticVad),
        (config.InputAudioConfig, wire.RealtimeAudioConfigInputParam),
        (config.OutputAudioConfig, wire.RealtimeAudioConfigOutputParam),
        (config.CustomVoice, output_param.VoiceID),
        (config.Reasoning, wire.RealtimeReasoningParam),
    ],
    ids=lambda kind: kind.__name__,
)
def test_a_part_of_the_configuration_has_the_providers_keys(ours: Any, theirs: Any):
    assert set(ours.__annotations__) == set(theirs.__annotations__)


def test_the_configuration_has_the_providers_keys_but_those_that_are_elsewhere():
    theirs = set(RealtimeSessionCreateRequestParam.__annotations__)
    ours = set(config.SessionConfig.__annotations__)
    assert ours - {"provider_data"} == theirs - ELSEWHERE


EVERYTHING: config.SessionConfig = {
    "audio": {
        "input": {
            "format": "pcm16",
            "noise_reduction": {"type": "far_field", "strength": 0.5},
            "transcription": {
                "model": "gpt-transcribe",
                "languages": ["en", "de"],
                "keywords": ["stapes"],
                "prompt": "A call about ears.",
            },
            "turn_detection": {"type": "server_vad", "idle_timeout_ms": 6000, "threshold": 0.4},
        },
        "output": {"voice": {"id": "voice_1234"}, "speed": 1.2},
    },
    "reasoning": {"effort": "low"},
    "parallel_tool_calls": False,
    "include": ["item.input_audio_transcription.logprobs"],
    "truncation": "disabled",
    "max_output_tokens": 500,
    "tool_choice": "required",
}


async def test_a_configuration_is_sent_as_it_was_given_and_as_the_provider_types_it(talks: Talks):
    talk = await talks.begin(config=EVERYTHING)
    update = talk.sent("session.update")[0]
    sent = validated(wire.RealtimeClientEvent, update).session
    given_in, given_out = EVERYTHING["audio"]["input"], EVERYTHING["audio"]["output"]
    for key in ("noise_reduction", "transcription", "turn_detection"):
        assert update["session"]["audio"]["input"][key] == given_in[key]  # type: ignore[literal-required]
    assert sent.audio.output.voice.id == "voice_1234"
    assert update["session"]["audio"]["output"]["speed"] == given_out["speed"]
    for key in ("reasoning", "parallel_tool_calls", "include", "truncation", "max_output_tokens"):
        assert update["session"][key] == EVERYTHING[key]  # type: ignore[literal-required]


async def test_an_agent_may_have_a_voice_of_its_own(talks: Talks):
    async with ScriptedServer() as server:
        agent = RealtimeAgent(name="Desk", voice={"id": "voice_9"})
        session = RealtimeSession(agent, api_key="key", reconnect=None)
        await session.connect(url=server.url)
        update = (await server.receive(1))[0]
        await session.close()
    assert update["session"]["audio"]["output"]["voice"] == {"id": "voice_9"}
    validated(wire.RealtimeClientEvent, update)


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ({"input": {"turn_detection": {"type": "semantic_vad", "idle_timeout_ms": 5000}}}, "alone"),
        ({"input": {"turn_detection": {"idle_timeout_ms": 5000}}}, "server_vad"),
        ({"output": {"voice": {"name": "marin"}}}, "'id'"),
    ],
)
async def test_what_the_provider_would_refuse_is_refused_by_name(part: Any, words: str):
    agent = RealtimeAgent(name="Desk")
    ((direction, settings),) = part.items()
    with pytest.raises(ValueError, match=words) as refused:
        RealtimeSession(agent, config={"audio": part})
    assert f"config.audio.{direction}.{next(iter(settings))}" in str(refused.value)


async def test_an_idle_timeout_of_none_goes_with_any_type(talks: Talks):
    detection = {"type": "semantic_vad", "idle_timeout_ms": None}
    await talks.begin(config={"audio": {"input": {"turn_detection": detection}}})


async def test_a_response_may_be_asked_for_from_items_by_reference(talks: Talks):
    talk = await talks.begin()
    asked = {
        "conversation": "none",
        "input": [
            {"type": "item_reference", "id": "item_1"},
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]},
        ],
        "reasoning": {"effort": "minimal"},
        "parallel_tool_calls": True,
        "metadata": {"topic": "mood"},
    }
    await talk.session.request_response(asked)
    await talk.settle()
    (sent,) = talk.sent("response.create")
    assert sent["response"] == asked
    checked = TypeAdapter(ResponseCreateEventWithReferencesParam).validate_python(sent)
    assert next(iter(checked["response"]["input"])) == asked["input"][0]


# Hosted MCP servers


def hosted(**fields: Any) -> HostedMCPTool:
    return HostedMCPTool(tool_config={"type": "mcp", "server_label": "docs", **fields})


@pytest.mark.parametrize(
    "fields",
    [
        {"tunnel_id": "tunnel_1", "allowed_callers": ["direct"], "defer_loading": True},
        {"server_url": "https://mcp.example/sse", "headers": {"x": "y"}, "authorization": None},
    ],
    ids=["tunnel", "url"],
)
async def test_a_hosted_mcp_server_is_named_by_its_tunnel_or_its_url(
    talks: Talks, fields: dict[str, Any]
):
    talk = await talks.begin(hosted(**fields))
    update = talk.sent("session.update")[0]
    given = {key: value for key, value in fields.items() if value is not None}
    assert update["session"]["tools"] == [{"type": "mcp", "server_label": "docs", **given}]
    validated(wire.RealtimeClientEvent, update)


async def test_a_connector_is_sent_and_its_end_is_said_once(talks: Talks, caplog: Any):
    tool = hosted(server_label="said once", connector_id="connector_gmail")
    with caplog.at_level(logging.WARNING, logger="stapes"):
        talk = await talks.begin(tool)
        await talk.session.update_agent(RealtimeAgent(name="Other", tools=[tool]))
        await talk.session.update_agent(RealtimeAgent(name="Other", tools=[tool]))
        await talk.settle()
    updates = [
        sent["session"] for sent in talk.sent("session.update") if "tools" in sent["session"]
    ]
    assert {update["tools"][0]["connector_id"] for update in updates} == {"connector_gmail"}
    said = [record.message for record in caplog.records if "connector_id" in record.message]
    # Once for each agent, by its name.
    assert len(said) == 2
    assert all("tunnel_id" in text and "server_url" in text for text in said)


async def test_a_hosted_mcp_server_without_an_address_is_refused(talks: Talks):
    talk = await talks.begin(hosted(), connect=False)
    with pytest.raises(UserError, match="tunnel_id"):
        await talk.session.connect(url="ws://127.0.0.1:1")


# From the server


async def test_silence_that_the_model_answers_is_an_event(talks: Talks):
    talk = await talks.begin()
    told = wire.InputAudioBufferTimeoutTriggered(
        type="input_audio_buffer.timeout_triggered",
        event_id="e",
        item_id="silence",
        audio_start_ms=2000,
        audio_end_ms=8000,
    )
    await talk.says(told.model_dump())
    assert talk.seen(IdleTimeoutTriggered) == [IdleTimeoutTriggered("silence", 2000, 8000)]


@pytest.mark.parametrize(("key", "digit"), [("5", "5"), ("#", "#"), (7, "7")])
async def test_a_key_of_a_phone_call_is_an_event(talks: Talks, key: Any, digit: str):
    talk = await talks.begin()
    await talk.says(
        {"type": "input_audio_buffer.dtmf_event_received", "event": key, "received_at": 1763000000}
    )
    assert talk.seen(DtmfReceived) == [DtmfReceived(digit, 1_763_000_000)]
    assert talk.seen(Error) == []


async def test_a_key_that_is_not_named_is_an_error(talks: Talks):
    talk = await talks.begin()
    await talk.says({"type": "input_audio_buffer.dtmf_event_received", "received_at": 1})
    assert talk.seen(DtmfReceived) == []
    (error,) = talk.seen(Error)
    assert "dtmf_event_received" in str(error.error)


async def test_what_a_phone_call_hears_is_told_to_a_session_that_joined_it(talks: Talks):
    talk = await talks.begin()
    for status in ("started", "stopped", "cleared"):
        kind = f"output_audio_buffer.{status}"
        await talk.says({"type": kind, "event_id": "e", "response_id": "r"})
    assert talk.seen(CallPlaybackChanged) == [
        CallPlaybackChanged("started", "r"),
        CallPlaybackChanged("stopped", "r"),
        CallPlaybackChanged("cleared", "r"),
    ]


async def test_a_response_that_failed_is_an_error_in_the_providers_words(talks: Talks):
    talk = await talks.begin()
    await talk.starts()
    error = {"type": "server_error", "code": "overloaded", "message": "Come back later."}
    await talk.ends(status="failed", status_details={"type": "failed", "error": error})
    (event,) = talk.seen(Error)
    assert isinstance(event.error, ServerError)
    assert str(event.error) == "response r failed: Come back later."
    assert (event.error.code, event.error.error_type) == ("overloaded", "server_error")


async def test_an_item_is_in_the_history_once_although_two_events_confirm_it(talks: Talks):
    talk = await talks.begin()
    await talk.session.send_message("hello")
    await talk.settle()
    (created,) = talk.sent("conversation.item.create")
    validated(wire.RealtimeClientEvent, created)
    item = {"id": "u", "status": "completed", **created["item"]}
    for kind in ("added", "done"):
        told = {"type": f"conversation.item.{kind}", "previous_item_id": None, "item": item}
        await talk.says(told)
    assert [event.item.item_id for event in talk.seen(HistoryAdded)] == ["u"]
    assert [entry.status for entry in talk.session.history] == ["completed"]


async def test_the_providers_limits_are_in_the_counters(talks: Talks):
    talk = await talks.begin()
    assert talk.session.stats().rate_limits == ()
    limits = [
        {"name": "requests", "limit": 1000, "remaining": 999, "reset_seconds": 0.06},
        {"name": "tokens", "limit": 50_000, "remaining": "49950"},
    ]
    await talk.says({"type": "rate_limits.updated", "rate_limits": limits})
    assert talk.session.stats().rate_limits == (
        RateLimit("requests", 1000, 999, 0.06),
        RateLimit("tokens", 50_000, 49_950, None),
    )
    await talk.says({"type": "rate_limits.updated", "rate_limits": [{**limits[0], "remaining": 5}]})
    known = {limit.name: limit.remaining for limit in talk.session.stats().rate_limits}
    assert known == {"requests": 5, "tokens": 49_950}


async def test_how_long_a_server_asks_to_wait_is_in_the_counters(run: Any):
    from rude import raw

    async def refuse(reader: Any, writer: Any) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async with raw(refuse) as url:
        session = RealtimeSession(RealtimeAgent(name="Desk"), api_key="test-key", reconnect=None)
        assert session.stats().retry_after is None
        with pytest.raises(HandshakeError):
            await session.connect(url=url)
        assert session.stats().retry_after == 7.0


async def test_every_event_of_the_provider_is_read_without_an_error(talks: Talks):
    """Events that have no class of their own reach those who read raw events."""
    talk = await talks.begin()
    raw: list[TransportEvent] = []
    talk.session.on("transport_event", raw.append)
    sound = base64.b64encode(bytes(96)).decode()
    of = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    said = "conversation.item.input_audio_transcription"
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": {"id": "r", "output": []}},
        {"type": f"{said}.segment", "item_id": "u", "text": "hi", "speaker": "A", "id": "s"},
        {"type": f"{said}.delta", "item_id": "u", "content_index": 0, "delta": "hi"},
        {"type": "response.output_audio.delta", "delta": sound, **of},
        {"type": "response.content_part.done", "part": {"type": "audio"}, **of},
        {"type": "response.mcp_call_arguments.delta", "delta": "{", **of},
        {"type": "response.mcp_call_arguments.done", "arguments": "{}", **of},
        {"type": "mcp_list_tools.completed", "item_id": "m"},
    ]
    await talk.says(*events)
    assert [event.event["type"] for event in raw] == [event["type"] for event in events]
    assert talk.seen(Error) == []
