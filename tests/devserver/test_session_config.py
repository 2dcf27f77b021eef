from __future__ import annotations

import pytest

from stapes.devserver import ScriptedMind, Turn

GREETING = ScriptedMind([Turn(say="Good morning to you.")])


async def test_a_session_begins_with_its_whole_configuration(call):
    client = await call()
    session = client.events[0]["session"]
    assert session["type"] == "realtime"
    assert session["object"] == "realtime.session"
    assert session["id"].startswith("sess_")
    assert session["model"] == "gpt-realtime-2.1"
    assert session["output_modalities"] == ["audio"]
    assert session["audio"]["input"]["format"] == {"type": "audio/pcm", "rate": 24_000}
    assert session["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert session["audio"]["output"]["voice"] == "marin"
    assert session["tools"] == []
    assert session["max_output_tokens"] == "inf"
    assert session["expires_at"] > 1_700_000_000


async def test_an_update_changes_what_it_names_and_nothing_else(call):
    client = await call()
    before = client.events[0]["session"]
    patch = {
        "type": "realtime",
        "instructions": "Be brief.",
        "audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 0.7}}},
        "tools": [{"type": "function", "name": "weather", "parameters": {"type": "object"}}],
    }
    after = (await client.ask("session.update", session=patch))["session"]
    assert after["instructions"] == "Be brief."
    assert after["audio"]["input"]["turn_detection"]["threshold"] == 0.7
    assert after["tools"] == [
        {
            "type": "function",
            "name": "weather",
            "description": None,
            "parameters": {"type": "object"},
        }
    ]
    expected = {**before, "instructions": "Be brief.", "tools": after["tools"]}
    expected["audio"]["input"]["turn_detection"]["threshold"] = 0.7
    assert after == expected


async def test_updates_of_the_same_turn_detection_add_up_and_another_kind_starts_anew(call):
    client = await call()

    async def update(turn_detection):
        session = {"type": "realtime", "audio": {"input": {"turn_detection": turn_detection}}}
        updated = await client.ask("session.update", session=session)
        return updated["session"]["audio"]["input"]["turn_detection"]

    await update({"type": "server_vad", "threshold": 0.7})
    both = await update({"type": "server_vad", "silence_duration_ms": 300})
    assert (both["threshold"], both["silence_duration_ms"]) == (0.7, 300)
    assert await update({"type": "semantic_vad"}) == {
        "type": "semantic_vad",
        "eagerness": "auto",
        "create_response": True,
        "interrupt_response": True,
    }
    assert await update(None) is None


async def test_phone_formats_tracing_and_prompt_are_taken(call):
    client = await call()
    patch = {
        "type": "realtime",
        "tracing": {"workflow_name": "desk", "group_id": "g", "metadata": {"a": "b"}},
        "truncation": {"type": "retention_ratio", "retention_ratio": 0.8},
        "prompt": {"id": "pmpt_1", "version": "2", "variables": {"city": "Oslo"}},
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "noise_reduction": {"type": "near_field"},
                "transcription": {"model": "gpt-transcribe", "language": "en"},
            },
            "output": {"format": {"type": "audio/pcma"}, "speed": 1.25, "voice": {"id": "voice_1"}},
        },
        "tool_choice": {"type": "function", "name": "weather"},
        "max_output_tokens": 512,
    }
    updated = await client.ask("session.update", session=patch)
    assert updated["type"] == "session.updated"
    assert updated["session"]["audio"]["input"]["format"] == {"type": "audio/pcmu"}
    assert updated["session"]["tracing"]["workflow_name"] == "desk"


@pytest.mark.parametrize(
    ("session", "code", "param"),
    [
        ({}, "missing_required_parameter", "session.type"),
        ({"type": "realtime", "voice": "ash"}, "unknown_parameter", "session.voice"),
        ({"type": "realtime", "instructions": 7}, "invalid_type", "session.instructions"),
        (
            {"type": "realtime", "output_modalities": ["audio", "text"]},
            "array_above_max_length",
            "session.output_modalities",
        ),
        (
            {"type": "realtime", "output_modalities": ["video"]},
            "invalid_value",
            "session.output_modalities[0]",
        ),
        (
            {
                "type": "realtime",
                "audio": {"input": {"format": {"type": "audio/pcm", "rate": 16_000}}},
            },
            "integer_below_min_value",
            "session.audio.input.format.rate",
        ),
        (
            {"type": "realtime", "audio": {"input": {"format": {"type": "pcm16"}}}},
            "invalid_value",
            "session.audio.input.format.type",
        ),
        (
            {"type": "realtime", "audio": {"output": {"speed": 3.0}}},
            "decimal_above_max_value",
            "session.audio.output.speed",
        ),
        (
            {"type": "realtime", "tools": [{"type": "function", "name": "a", "strict": True}]},
            "unknown_parameter",
            "session.tools[0].strict",
        ),
        (
            {"type": "realtime", "tools": [{"type": "function", "name": "a b"}]},
            "invalid_value",
            "session.tools[0].name",
        ),
        (
            {"type": "realtime", "tool_choice": {"type": "function"}},
            "missing_required_parameter",
            "session.tool_choice.name",
        ),
        ({"type": "realtime", "model": "another"}, "invalid_value", "session.model"),
    ],
)
async def test_what_a_session_cannot_be_is_refused_by_name(call, session, code, param):
    client = await call()
    error = await client.refused("session.update", session=session)
    assert (error["code"], error["param"]) == (code, param)


async def test_an_update_with_one_mistake_is_discarded_whole(call):
    client = await call()
    before = client.events[0]["session"]
    await client.refused(
        "session.update", session={"type": "realtime", "instructions": "New.", "bogus": 1}
    )
    after = await client.ask("session.update", session={"type": "realtime"})
    assert after["session"] == before


async def test_the_voice_is_fixed_once_it_was_heard(call):
    client = await call(GREETING)
    new_voice = {"type": "realtime", "audio": {"output": {"voice": "cedar"}}}
    assert (await client.ask("session.update", session=new_voice))["type"] == "session.updated"
    await client.say("hello")
    await client.until("rate_limits.updated")
    error = await client.refused(
        "session.update", session={"type": "realtime", "audio": {"output": {"voice": "ash"}}}
    )
    assert error["code"] == "cannot_update_voice"
    same = await client.ask("session.update", session=new_voice)
    assert same["type"] == "session.updated"


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ("not json", "invalid_json", None),
        ("[1, 2]", "invalid_event", None),
        ("{}", "missing_required_parameter", "type"),
        ('{"type": "nope"}', "invalid_value", "type"),
        ('{"type": ["response.create"]}', "invalid_value", "type"),
        ('{"type": "response.create", "bogus": 1}', "unknown_parameter", "bogus"),
        ('{"type": "response.cancel", "event_id": 5}', "invalid_type", "event_id"),
        ('{"type": "session.update"}', "missing_required_parameter", "session"),
        ("[" * 100_000, "invalid_json", None),
        (b"\x00\x01", "invalid_event", None),
    ],
)
async def test_a_frame_that_is_no_event_is_an_error_and_the_session_goes_on(
    call, frame, code, param
):
    client = await call()
    await client.socket.send(frame)
    error = (await client.next())["error"]
    assert (error["code"], error["param"], error["event_id"]) == (code, param, None)
    assert (await client.ask("session.update", session={"type": "realtime"}))["type"] == (
        "session.updated"
    )
