"""Our model tells and sends what the SDK's own model does, in the same order."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import frames
import pytest
from agents import function_tool
from agents.handoffs import handoff
from agents.realtime import RealtimeAgent
from agents.realtime.model_events import RealtimeModelToolCallEvent
from agents.realtime.model_inputs import (
    RealtimeModelSendAudio,
    RealtimeModelSendInterrupt,
    RealtimeModelSendRawMessage,
    RealtimeModelSendSessionUpdate,
    RealtimeModelSendToolOutput,
    RealtimeModelSendUserInput,
)
from agents.realtime.openai_realtime import DEFAULT_MODEL_SETTINGS, OpenAIRealtimeWebSocketModel
from agents.version import __version__
from sdk_call import KEY, SECONDS, Recorder, eventually, get_weather

from stapes.agents_sdk import StapesRealtimeModel
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from agents.realtime.model import RealtimeModel

END = frames.event("rate_limits.updated", rate_limits=[])
"""The last frame of a script, which means nothing."""


TRANSCRIPTION = {"model": "gpt-realtime-whisper"}


@pytest.fixture(autouse=True)
def _the_same_transcription(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their default shuts down on 2027-02-26, and is compared by a test of its own."""
    monkeypatch.setitem(DEFAULT_MODEL_SETTINGS, "input_audio_transcription", TRANSCRIPTION)


def models() -> list[RealtimeModel]:
    return [OpenAIRealtimeWebSocketModel(), StapesRealtimeModel(reconnect=None)]


@asynccontextmanager
async def connected(
    model: RealtimeModel, **options: Any
) -> AsyncIterator[tuple[ScriptedServer, Recorder]]:
    settings = options.pop("settings", {})
    async with ScriptedServer(first_event=frames.session()) as server:
        recorder = Recorder(model)
        config: Any = {"api_key": KEY, "url": server.url, "initial_model_settings": settings}
        await model.connect({**config, **options})
        try:
            await recorder.until_said("session.created")
            # The configuration, and the tracing.
            await server.receive(2)
            yield server, recorder
        finally:
            await model.close()


async def events_of(model: RealtimeModel, script: list[frames.Frame]) -> list[Any]:
    async with connected(model) as (server, recorder):
        for number, frame in enumerate(script, 2):
            await server.send(frame)
            # Ours drops the sound that waits when an answer is interrupted.
            await recorder.until("raw_server_event", number)
        await server.send(END)
        await recorder.until_said(END["type"])
        return recorder.events


def user_turn() -> list[frames.Frame]:
    heard = {"type": "input_audio", "transcript": None}
    transcription = "conversation.item.input_audio_transcription"
    return [
        frames.speech_starts(),
        frames.event("input_audio_buffer.speech_stopped", audio_end_ms=900, item_id="u"),
        frames.event("input_audio_buffer.committed", previous_item_id=None, item_id="u"),
        frames.user_item("u", [heard]),
        frames.event(f"{transcription}.delta", item_id="u", content_index=0, delta="What"),
        frames.event(
            f"{transcription}.completed",
            item_id="u",
            content_index=0,
            transcript="What is it?",
            usage={"type": "duration", "seconds": 1.0},
        ),
    ]


def text_turn() -> list[frames.Frame]:
    text = {"type": "output_text", "text": "Hello"}
    done = frames.message("i", [text])
    return [
        frames.begins(),
        frames.item_added(),
        frames.of_part("response.output_text.delta", delta="Hel"),
        frames.of_part("response.output_text.delta", delta="lo"),
        frames.of_part("response.output_text.done", text="Hello"),
        frames.event("response.output_item.done", response_id="r", output_index=0, item=done),
        frames.event("conversation.item.retrieved", item=done),
        frames.ends(),
    ]


SCRIPTS: dict[str, list[frames.Frame]] = {
    "answer": frames.answer(),
    "answers": [*frames.answer(), *frames.answer("j", "s")],
    "text": text_turn(),
    "user": user_turn(),
    "written": [
        frames.user_item("w", [{"type": "input_text", "text": "Hello"}]),
        frames.user_item("p", [{"type": "input_image", "image_url": "data:image/png;base64,AA"}]),
        frames.event(
            "conversation.item.added",
            previous_item_id="p",
            item=frames.message("y", [{"type": "input_text", "text": "Be brief."}], role="system"),
        ),
        frames.event("conversation.item.deleted", item_id="w"),
    ],
    "call": [
        frames.begins(),
        frames.of_part("response.function_call_arguments.delta", call_id="c", delta="{"),
        frames.call(),
        frames.ends(usage=frames.USAGE),
    ],
    "interruption": [*frames.answer()[:6], frames.speech_starts()],
    "interruption after the end": [*frames.answer(ms=4000), frames.speech_starts()],
    "interruption that the server cancels": [
        frames.turn_detection(interrupts=True),
        *frames.answer()[:6],
        frames.speech_starts(),
        frames.ends(status="cancelled"),
    ],
    "error": [frames.ERROR],
    "timeout": [
        frames.event(
            "input_audio_buffer.timeout_triggered", item_id="u", audio_start_ms=0, audio_end_ms=900
        )
    ],
    "tracing": [frames.session("session.updated", tracing="auto")],
    "incomplete": [
        *frames.answer()[:6],
        frames.item_done(status="incomplete"),
        frames.ends(status="incomplete", usage=frames.USAGE),
    ],
}


def plain(event: Any) -> Any:
    """An event to compare: a part without a field is one whose field is `None`."""
    item = getattr(event, "item", None)
    if item is None:
        return event
    # Before 0.24 the SDK's model did not pass on what the server said of it.
    left_out = {"status"} if __version__ < "0.24" else set()
    return event.type, item.model_dump(exclude_none=True, exclude=left_out)


@pytest.mark.parametrize("name", SCRIPTS)
async def test_the_listeners_get_the_same_events(name):
    theirs, ours = [await events_of(model, SCRIPTS[name]) for model in models()]
    if "interruption" in name:
        # Ours says what was heard of the answer.
        at = [event.type for event in ours].index("audio_interrupted") + 1
        heard = ours.pop(at)
        assert (heard.type, heard.item.item_id) == ("item_updated", "i")
    assert [event.type for event in ours] == [event.type for event in theirs]
    assert [plain(event) for event in ours] == [plain(event) for event in theirs]


def stripped(messages: list[Any]) -> list[Any]:
    """Messages without the ids that each model makes up."""
    return [
        {key: value for key, value in message.items() if key != "event_id"} for message in messages
    ]


CALL = RealtimeModelToolCallEvent(name="get_weather", call_id="c", arguments="{}", id="item_c")
IMAGE: Any = {
    "type": "message",
    "role": "user",
    "content": [
        {"type": "input_text", "text": "What is this?"},
        {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
    ],
}
SENT: dict[str, list[Any]] = {
    "text": [RealtimeModelSendUserInput(user_input="Hello"), 2],
    "image": [RealtimeModelSendUserInput(user_input=IMAGE), 2],
    "sound": [RealtimeModelSendAudio(audio=b"\1\2" * 240), 1],
    "sound and the end of the turn": [RealtimeModelSendAudio(audio=b"\1\2", commit=True), 2],
    "raw": [
        RealtimeModelSendRawMessage(
            message={"type": "input_audio_buffer.clear", "other_data": {"event_id": "mine"}}
        ),
        1,
    ],
    "raw request for a response": [
        RealtimeModelSendRawMessage(
            message={
                "type": "response.create",
                "other_data": {"response": {"instructions": "Sing."}},
            }
        ),
        1,
    ],
    "output": [RealtimeModelSendToolOutput(tool_call=CALL, output="sun", start_response=True), 2],
    "output alone": [
        RealtimeModelSendToolOutput(tool_call=CALL, output="sun", start_response=False),
        1,
    ],
    "settings": [
        RealtimeModelSendSessionUpdate(
            session_settings={"instructions": "Be brief.", "tools": [get_weather]}
        ),
        1,
    ],
    "interruption of nothing": [RealtimeModelSendInterrupt(force_response_cancel=True), 0],
}


@pytest.mark.parametrize("name", SENT)
async def test_the_server_gets_the_same_messages(name):
    send, count = SENT[name]
    both = []
    for model in models():
        async with connected(model) as (server, recorder):
            configured = len(server.received)
            await model.send_event(send)
            # It is answered when everything before it has been read.
            last: Any = {"type": "conversation.item.retrieve", "other_data": {"item_id": "last"}}
            await server.receive(configured + count)
            await model.send_event(RealtimeModelSendRawMessage(message=last))
            await server.receive(configured + count + 1)
            both.append((stripped(server.received[configured:]), recorder.events))
    (their_messages, their_events), (our_messages, our_events) = both
    assert our_messages == their_messages
    assert our_events == their_events


CUT = {
    "all": RealtimeModelSendInterrupt(force_response_cancel=True),
    "response": RealtimeModelSendInterrupt(force_response_cancel=True, response_id="r"),
    "playback": RealtimeModelSendInterrupt(response_id="r", playback_only=True),
    "generation": RealtimeModelSendInterrupt(
        force_response_cancel=True, response_id="r", cancel_response_only=True
    ),
}


@pytest.mark.parametrize("name", CUT)
async def test_an_interruption_cuts_and_cancels_as_theirs_does(name):
    both = []
    for model in models():
        async with connected(model) as (server, recorder):
            for frame in frames.answer(ms=60_000)[:4]:
                await server.send(frame)
            await recorder.until("audio")
            configured = len(server.received)
            await model.send_event(CUT[name])
            count = 2 if name in ("all", "response") else 1
            await server.receive(configured + count)
            await server.send(frames.sound(20))
            await server.send(END)
            await recorder.until_said(END["type"])
            sent = {message["type"]: message for message in server.received[configured:]}
            left_out = ("raw_server_event", "item_updated")
            types = [event.type for event in recorder.events if event.type not in left_out]
            both.append((sent, types))
    (their_messages, their_types), (our_messages, our_types) = both
    assert our_messages.keys() == their_messages.keys()
    for cut in (their_messages, our_messages):
        if truncate := cut.get("conversation.item.truncate"):
            assert truncate["item_id"] == "i"
            assert 0 <= truncate["audio_end_ms"] < 2_000
    if name == "all":
        # Theirs passes sound on that comes after it; with ours the answer is over for the user.
        assert their_types.pop() == "audio"
    elif (cancel := our_messages.get("response.cancel")) is not None:
        assert cancel == {"type": "response.cancel", "response_id": "r"}
    assert our_types == their_types


@pytest.mark.parametrize("given", ["url", "headers", "call"])
async def test_the_handshake_is_the_same(given, monkeypatch):
    handshakes = []
    for model in models():
        async with ScriptedServer(first_event=frames.session()) as server:
            config: Any = {"url": server.url, "api_key": KEY}
            if given == "headers":
                config["headers"] = {"api-key": "azure", "X-Team": "a"}
            elif given == "call":
                config["call_id"] = "call_1"
            await model.connect(config)
            await server.receive(2)
            await model.close()
            own = {"host", "user-agent", "sec-websocket-key", "sec-websocket-extensions"}
            (handshake,) = server.handshakes
            headers = {key: value for key, value in handshake.headers.items() if key not in own}
            handshakes.append((handshake.path, headers, stripped(server.received[:1])))
    theirs, ours = handshakes
    assert ours == theirs


@function_tool(is_enabled=False)
def never() -> str:
    """Is not offered."""
    return ""


SETTINGS: dict[str, dict[str, Any]] = {
    "nothing": {},
    "instructions": {"instructions": "Be brief."},
    "model": {"model_name": "gpt-realtime-mini"},
    "voice": {"voice": "cedar", "speed": 1.2},
    "custom voice": {"voice": {"id": "voice_1"}},
    "text": {"modalities": ["text"]},
    "output modalities": {"output_modalities": ["text"], "modalities": ["audio"]},
    "telephone": {"input_audio_format": "g711_ulaw", "output_audio_format": "g711_alaw"},
    "nested": {
        "audio": {
            "input": {
                "format": {"type": "audio/pcmu"},
                "noise_reduction": {"type": "near_field"},
                "transcription": {"model": "gpt-4o-transcribe", "language": "no"},
                "turn_detection": {"type": "server_vad", "silenceDurationMs": 300},
            },
            "output": {"format": "pcm16", "voice": "marin", "speed": 0.9},
        }
    },
    "one channel": {"audio": {"input": None, "output": {"voice": "marin"}}},
    "nothing detected": {"turn_detection": None, "input_audio_transcription": None},
    "detection": {
        "turn_detection": {
            "type": "server_vad",
            "createResponse": False,
            "interrupt_response": False,
            "threshold": 0.4,
            "idleTimeoutMs": 5000,
        }
    },
    "noise": {"input_audio_noise_reduction": {"type": "far_field"}},
    "no noise reduction": {"input_audio_noise_reduction": None},
    "tokens": {"max_output_tokens": 200},
    "reasoning": {"reasoning": {"effort": "low"}, "parallel_tool_calls": True},
    "choice": {"tool_choice": "required"},
    "tools": {
        "tools": [get_weather, never],
        "handoffs": [handoff(RealtimeAgent(name="billing"))],
    },
    "prompt": {"prompt": {"id": "pmpt_1", "version": "2", "variables": {"city": "Oslo"}}},
}


@pytest.mark.parametrize("name", SETTINGS)
async def test_the_configuration_is_the_same(name):
    both = []
    for model in models():
        async with connected(model, settings=SETTINGS[name]) as (server, _):
            both.append(stripped(server.received[:1]))
    theirs, ours = both
    assert ours == theirs


async def test_transcription_is_of_a_model_that_stays(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.undo()
    named = []
    for model in models():
        async with connected(model) as (server, _):
            named.append(server.received[0]["session"]["audio"]["input"].pop("transcription"))
    assert named == [{"model": "gpt-4o-mini-transcribe"}, TRANSCRIPTION]


@pytest.mark.parametrize("tracing", ["auto", {"workflow_name": "desk", "group_id": "g"}])
async def test_the_tracing_is_the_same(tracing):
    both = []
    for model in models():
        async with connected(model, settings={"tracing": tracing}) as (server, _):
            both.append(server.received[1]["session"]["tracing"])
    theirs, ours = both
    assert (
        ours == {key: value for key, value in theirs.items() if value is not None}
        if (isinstance(theirs, dict))
        else ours == theirs
    )


async def test_a_server_that_says_goodbye_ends_the_stream():
    both = []
    for model in models():
        async with connected(model) as (server, recorder):
            await server.close()
            await recorder.until("end_of_stream")
            both.append([event for event in recorder.events if event.type != "raw_server_event"])
    theirs, ours = both
    assert ours == theirs


async def test_a_connection_that_is_lost_is_an_exception():
    both = []
    for model in models():
        async with connected(model) as (server, recorder):
            await server.close(1011, "out of order")
            await recorder.until("exception")
            await asyncio.sleep(0)
            both.append(recorder.types[-1])
    assert both == ["exception", "exception"]


async def test_closing_tells_the_listeners_nothing():
    for model in models():
        async with connected(model) as (server, recorder):
            before = list(recorder.types)
            await model.close()
            await eventually(lambda server=server: not server.is_connected)
            assert recorder.types == before


async def test_a_conditional_message_is_sent_once_and_not_behind_another_request():
    for model in models():
        async with connected(model) as (server, recorder):
            message = RealtimeModelSendUserInput(user_input="guardrail triggered")
            assert not await model.send_event_if(message, lambda: False)
            assert not await model.send_event_if(RealtimeModelSendAudio(audio=b""), lambda: True)
            assert await model.send_event_if(message, lambda: True)
            async with asyncio.timeout(SECONDS):
                await server.receive(4)
            assert not await model.send_event_if(message, lambda: True)
            await server.send(frames.begins())
            await recorder.until("turn_started")
            assert await model.send_event_if(message, lambda: True)
            await server.receive(5)
            assert not await model.send_event_if(message, lambda: True)
