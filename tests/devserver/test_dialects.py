"""Each dialect in a conversation of hand-written frames, on a real socket."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from accents import ACCENTS, Accent
from dialect_client import DialectClient, dial
from peer_client import post
from websockets.exceptions import InvalidStatus
from wire_client import spoken

from stapes.cli.app import DialectKind
from stapes.devserver import Call, Options, ScriptedMind, Turn
from stapes.devserver.options import DIALECTS

if TYPE_CHECKING:
    from contextlib import AsyncExitStack

    from stapes.devserver import DevServer

MIND = ScriptedMind(
    [
        Turn(after="weather", say="It is {output}."),
        Turn(when="weather", say="Let me look.", call=Call("weather", {"city": "Oslo"})),
        Turn(when="story", say="Once upon a time there was a harbour. " * 8),
        Turn(say="Hello to you."),
    ],
    hears=["what is the weather", "never mind"],
)
_HEARD = "conversation.item.input_audio_transcription"


@pytest.fixture(params=ACCENTS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def accent(name: str) -> Accent:
    return ACCENTS[name]


@pytest.fixture
def call(run: Any, stack: AsyncExitStack, name: str, accent: Accent) -> Any:
    """Start a server of the dialect and call it."""

    async def start(mind: Any = MIND, **options: Any) -> DialectClient:
        server: DevServer = await run(mind, dialect=name, **options)
        client = await dial(server, accent)
        stack.push_async_callback(client.socket.close)
        client.server = server
        return client

    return start


def _told(client: DialectClient, since: int) -> list[str]:
    """The types of what was read, without repetitions and pings."""
    types = [kind for kind in client.types()[since:] if kind != "ping"]
    return [kind for kind, _ in groupby(types)]


async def test_a_session_is_what_was_asked_for(call, accent):
    client = await call()
    session = await client.configure()
    for setting in ("instructions", "voice", "modalities"):
        if setting in accent.session:
            assert session[setting] == accent.session[setting]
    known = client.server.calls[0].call.session
    assert known["instructions"] == "You are Harbour."
    assert [tool["name"] for tool in known["tools"]] == ["weather"]
    assert known["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 400


async def test_a_spoken_turn_is_heard_and_answered_with_a_function_call(call, accent):
    client = await call()
    await client.configure()
    await client.hear_speech(await spoken("what is the weather like in oslo"))
    done = await client.until("response.done")
    assert client.of(f"{_HEARD}.completed")[0]["transcript"] == "what is the weather"
    message, function = done["response"]["output"]
    assert message["content"] == [{"type": accent.part, "transcript": "Let me look."}]
    assert (function["name"], function["arguments"]) == ("weather", '{"city": "Oslo"}')
    arguments = client.of("response.function_call_arguments.done")[0]
    assert arguments["call_id"] == function["call_id"]
    output = {"type": "function_call_output", "call_id": function["call_id"], "output": "sunny"}
    await client.send("conversation.item.create", item=output)
    assert (await client.until(accent.added))["item"]["output"] == "sunny"
    await client.send("response.create")
    await client.until("response.done")
    told = client.server.calls[0].conversation
    assert told.messages[-1] == ("assistant", "It is sunny.")
    assert told.outputs == {function["call_id"]: "sunny"}


async def test_the_users_sound_arrives_whole(call, accent):
    client = await call()
    await client.configure(turn_detection=None)
    said = await spoken("what is the weather like in oslo")
    await client.hear_speech(said)
    await client.send("input_audio_buffer.commit")
    await client.until("input_audio_buffer.committed")
    (item,) = client.server.calls[0].call.items
    kept = client.server.calls[0].call.sound_of(item["id"])
    assert len(kept) == pytest.approx(len(said) + 48 * 1_600, abs=4)
    wanted = np.frombuffer(said, dtype="<i2").astype(float)
    got = np.frombuffer(kept[: len(said)], dtype="<i2").astype(float)
    assert np.corrcoef(wanted, got)[0, 1] > 0.98


async def test_an_answer_sounds_as_long_as_it_is(call, accent):
    client = await call()
    await client.configure()
    await client.hear_speech(await spoken("what is the weather like in oslo"))
    await client.until("response.done")
    kept = client.server.calls[0].call
    (said,) = [item for item in kept.items if item.get("role") == "assistant"]
    samples = len(kept.sound_of(said["id"])) // 2
    assert len(client.sound()) // 2 == -(-samples * accent.output_rate // 24_000)


async def test_who_speaks_over_an_answer_ends_it(call, accent):
    mind = ScriptedMind([Turn(say="Once upon a time there was a harbour. " * 8)], hears=["a story"])
    client = await call(mind, pace=1.0)
    await client.configure()
    voice = await spoken("tell me a story of the harbour and the sea")
    await client.hear_speech(voice)
    await client.until(f"{accent.audio}.delta")
    await client.hear_speech(voice)
    await client.until("input_audio_buffer.speech_started")
    done = await client.until("response.done")
    assert done["response"]["status"] == "cancelled"


@pytest.mark.parametrize("point", ["first_delta", "audio_done", "function_call"])
async def test_drops_know_the_points_of_a_turn(call, accent, point):
    client = await call()
    await client.configure()
    armed = client.server.arm(point, 1012)
    await client.hear_speech(await spoken("what is the weather like in oslo"))
    await armed.wait()
    await client.socket.wait_closed()
    assert client.socket.close_code == 1012


@pytest.mark.parametrize("path", ["calls", "client_secrets"])
async def test_webrtc_and_keys_are_for_the_ga_protocol(run, name, path):
    server: DevServer = await run(dialect=name)
    status, _, body = await post(f"{server.http_url}/realtime/{path}", b"{}", "application/json")
    assert status == 400
    assert json.loads(body)["error"]["code"] == "unsupported_in_dialect"


def test_a_dialect_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match="dialect is 'klingon': give one of ga, beta"):
        Options(dialect="klingon")


def test_the_command_line_has_every_dialect():
    assert {kind.value for kind in DialectKind} == {"ga", *ACCENTS} == set(DIALECTS)


@pytest.mark.parametrize("place", ["header", "query"])
async def test_azures_place_of_the_key_is_known_and_not_kept(run, name, accent, place):
    server = await run(dialect=name, api_keys=frozenset({"secret"}))
    headers = {"api-key": "secret"} if place == "header" else {}
    query = "?model=gpt-realtime&api-key=secret" if place == "query" else "?model=gpt-realtime"
    client = await dial(server, replace(accent, headers=headers), query)
    await client.socket.close()
    assert "secret" not in repr((server.calls[0].headers, server.calls[0].query))


async def test_joining_a_call_is_for_the_ga_protocol(run, name, accent):
    server: DevServer = await run(dialect=name)
    with pytest.raises(InvalidStatus) as refused:
        await dial(server, accent, "?call_id=rtc_1")
    assert json.loads(refused.value.response.body)["error"]["code"] == "unsupported_in_dialect"
