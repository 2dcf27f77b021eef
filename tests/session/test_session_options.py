"""What a session refuses to be made with, and what it refuses to send."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from agents import UserError, function_tool
from calling import KEY, silence

from stapes import RealtimeAgent, RealtimeSession, ToolExecution, WebSocketTransport
from stapes.devserver import ScriptedMind

AGENT = RealtimeAgent(name="front")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"voise": "marin"}, r"config key 'voise' is unknown: use model, .*provider_data"),
        ({"voice": "marin"}, r"'voice' is not of the GA protocol: write it as audio.output.voice"),
        ({"inputAudioFormat": "pcm16"}, r"write it as audio.input.format"),
        ({"instructions": "x"}, r"give them to the agent: RealtimeAgent\(instructions=...\)"),
        ({"maxOutputTokens": 5}, r"'maxOutputTokens' is written 'max_output_tokens' here"),
        ({"audio": {"inptu": {}}}, r"config.audio key 'inptu' is unknown: use input, output"),
        ({"audio": {"input": {"turnDetection": None}}}, r"is written 'turn_detection' here"),
        (
            {"audio": {"output": {"format": "mp3"}}},
            r"config.audio.output.format is 'mp3': use 'pcm16'",
        ),
        ({"audio": {"input": {"format": {"type": "audio/pcm", "rate": 0}}}}, r"input.format.rate"),
        ({"audio": {"output": {"format": {"type": "audio/pcmu", "rate": 24_000}}}}, r"8,?000"),
    ],
)
async def test_a_configuration_that_cannot_be_is_refused_by_name(config, words):
    with pytest.raises(ValueError, match=words):
        RealtimeSession(AGENT, config=config)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"audio": 5}, "config.audio must be a mapping, not int"),
        (5, "config must be a mapping, not int"),
    ],
)
async def test_a_configuration_that_is_no_mapping_is_refused(config, words):
    with pytest.raises(TypeError, match=words):
        RealtimeSession(AGENT, config=config)


@pytest.mark.parametrize(
    ("option", "kind", "words"),
    [
        ({"transport": "carrier pigeon"}, ValueError, "transport is 'carrier pigeon'"),
        ({"output_guardrail_settings": {"debounce": 5}}, ValueError, "use debounce_text_length"),
        ({"output_sample_rate": 0}, ValueError, "output_sample_rate"),
        ({"output_sample_rate": 10_000_000}, ValueError, "output_sample_rate"),
        ({"output_sample_rate": -1}, ValueError, "output_sample_rate"),
        ({"response_timeout": -1.0}, ValueError, "response_timeout is -1: give it as seconds"),
        ({"response_timeout": float("nan")}, ValueError, "response_timeout"),
        (
            {"playback": "guess"},
            ValueError,
            "playback is 'guess': use 'clock'",
        ),
        ({"max_queued_events": 0}, ValueError, "max_queued_events"),
        ({"max_queued_events": -1}, ValueError, "max_queued_events"),
        ({"max_queued_bytes": -1}, ValueError, "max_queued_bytes"),
        ({"api_key": 5}, TypeError, "api_key must be a string or a function"),
    ],
    ids=str,
)
async def test_an_option_that_cannot_be_is_refused_by_name(option, kind, words):
    with pytest.raises(kind, match=words):
        RealtimeSession(AGENT, **option)


async def test_an_agent_that_is_none_is_refused():
    with pytest.raises(TypeError, match=r"agent must be a RealtimeAgent, not str"):
        RealtimeSession("front")  # type: ignore[arg-type]


def test_a_session_without_a_loop_says_what_it_needs():
    with pytest.raises(RuntimeError, match="event loop"):
        RealtimeSession(AGENT)


@pytest.mark.parametrize("option", [{"sync_workers": 0}, {"max_concurrency": 0}], ids=str)
def test_no_workers_are_too_few(option):
    with pytest.raises(ValueError, match=f"{next(iter(option))} must be at least 1"):
        ToolExecution(**option)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ({"connect_timeout": -1.0}, "connect_timeout"),
        ({"ping_interval": float("inf")}, "ping_interval"),
        ({"high_water": -1}, "high_water"),
        ({"max_outgoing_bytes": -5}, "max_outgoing_bytes"),
        ({"max_frame_size": 0}, "max_frame_size"),
    ],
    ids=str,
)
def test_a_transport_that_cannot_be_is_refused_by_name(option, words):
    with pytest.raises(ValueError, match=words):
        WebSocketTransport(**option)


async def test_tools_of_the_same_name_are_refused_when_connecting(run):
    @function_tool
    def weather() -> str:
        """Say how the weather is."""
        return ""

    server = await run()
    agent = RealtimeAgent(name="front", tools=[weather, weather])
    session = RealtimeSession(agent, api_key=KEY, transport=WebSocketTransport(url=server.url))
    with pytest.raises(UserError, match="Duplicate Realtime tool name found: 'weather'"):
        await session.connect()
    assert session.status == "disconnected"


@pytest.mark.parametrize(
    ("audio", "rate", "kind", "words"),
    [
        (b"\0" * 3, None, ValueError, "audio has 3 bytes: 16-bit PCM has an even number"),
        (b"\0" * 3, 16_000, ValueError, "audio has 3 bytes: 16-bit PCM has an even number"),
        (bytearray(5), None, ValueError, "audio has 5 bytes"),
        (silence(20), 0, ValueError, "sample_rate"),
        (silence(20), 7, ValueError, "sample_rate"),
        (silence(20), 1_000_000, ValueError, "sample_rate"),
        (silence(20), -8_000, ValueError, "sample_rate is -8000 Hz: expected 4000 to 192000"),
        (silence(20), "24000", TypeError, "sample_rate|integer|str"),
        ("sound", None, TypeError, "audio must be bytes-like 16-bit PCM.*not str"),
        (None, None, TypeError, "audio must be bytes-like"),
        ([0, 0], None, TypeError, "audio must be bytes-like"),
        (np.zeros(5, np.int32), None, TypeError, "audio must be bytes-like"),
        (np.zeros(5, np.float64), None, TypeError, "audio must be bytes-like"),
        (np.zeros((5, 2), np.int16), None, ValueError, r"shape \[5, 2\]"),
        (np.full(5, np.nan, np.float32), None, ValueError, "NaN"),
        (np.zeros(5, ">i2"), None, TypeError, "audio must be bytes-like"),
    ],
    ids=repr,
)
async def test_audio_that_is_none_is_refused_at_once_and_by_name(call, audio, rate, kind, words):
    c = await call(ScriptedMind())
    with pytest.raises(kind, match=words):
        c.session.send_audio(audio, sample_rate=rate)
    assert c.session.status == "connected"
    c.session.send_audio(silence(20))
    await c.call.received.wait_for("input_audio_buffer.append")


@pytest.mark.parametrize(
    "message",
    [5, None, b"bytes", {"type": "message", "content": 7}],
    ids=repr,
)
async def test_a_message_that_is_none_is_refused(call, message):
    c = await call(ScriptedMind())
    with pytest.raises(TypeError, match="message must be text"):
        c.session.send_message(message)


async def test_an_event_that_no_json_can_hold_is_refused(call):
    c = await call(ScriptedMind())
    with pytest.raises(TypeError):
        c.session.transport.send_event({"type": "x", "value": object()})
    with pytest.raises(ValueError, match=r"not JSON|NaN|JSON compliant"):
        c.session.transport.send_event({"type": "x", "value": float("nan")})
    assert c.session.status == "connected"


async def test_the_options_of_a_session_can_be_looked_at():
    transport = WebSocketTransport()
    session: Any = RealtimeSession(AGENT, model="m", transport=transport, config={"include": []})
    options = session.options
    assert (options["model"], options["transport"]) == ("m", transport)
    assert json.dumps(options["config"]) == '{"include": []}'
