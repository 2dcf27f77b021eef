"""Connecting, losing a connection, and what goes on over another one."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import frames
import pytest
from agents import UserError
from agents.realtime import RealtimeAgent, RealtimeModelListener, RealtimeRunner
from agents.realtime.model import RealtimePlaybackTracker
from agents.realtime.model_inputs import (
    RealtimeModelSendAudio,
    RealtimeModelSendRawMessage,
    RealtimeModelSendUserInput,
)
from sdk_call import DESK, HEARING, KEY, Reader, Recorder, eventually, get_weather, of_type

from stapes import (
    AuthenticationError,
    ConnectError,
    ConnectionLostError,
    ConnectTimeoutError,
    ConsumerTooSlow,
    NotConnectedError,
    ReconnectPolicy,
    SessionRestored,
    StapesError,
    WebSocketTransport,
)
from stapes.agents_sdk import StapesRealtimeModel
from stapes.providers import AzureOpenAI
from stapes.testing import ScriptedServer

QUICK = ReconnectPolicy(attempts=2, base_delay=0.01, max_delay=0.01)


@pytest.fixture
async def server():
    async with ScriptedServer(first_event=frames.session()) as server:
        yield server


async def connect(stack: Any, server: ScriptedServer, **options: Any) -> Any:
    model = StapesRealtimeModel(reconnect=options.pop("reconnect", QUICK))
    recorder = Recorder(model)
    config: Any = {"api_key": KEY, "url": server.url, **options}
    await model.connect(config)
    stack.push_async_callback(model.close)
    await server.receive(2)
    return model, recorder


# A session of theirs outlives a connection


async def test_a_session_goes_on_when_its_connection_is_lost(stack, run):
    desk = await run(DESK, pace=30.0)
    agent = RealtimeAgent(name="front", instructions="Be brief.", tools=[get_weather])
    runner = RealtimeRunner(agent, model=StapesRealtimeModel(reconnect=QUICK))
    config: Any = {"api_key": KEY, "url": desk.url, "initial_model_settings": HEARING}
    session = await stack.enter_async_context(await runner.run(model_config=config))
    reader = Reader(session)
    await session.send_message("What is the weather?")
    await reader.until("agent_end", 2)
    before = [item.item_id for item in reader.of("history_updated")[-1].history]
    first = await desk.next_call()
    await first.drop()
    await reader.until("raw_model_event", fits=lambda it: it.data.type == "other")
    second = await desk.next_call()
    assert second is not first

    await session.send_message("Enough!")
    await reader.until("agent_end", 3)
    assert reader.said() == "All right."
    history = reader.of("history_updated")[-1].history
    assert [item.item_id for item in history][: len(before)] == before, "nothing is there twice"
    said = [item.content[0] for item in history if getattr(item, "role", "") == "assistant"]
    assert [part.transcript for part in said][:2] == [
        "Let me look.",
        "It is sunny for Oslo in Oslo.",
    ]
    assert not [item for item in history if getattr(item, "role", "") == "system"]
    statuses = [event.status for event in reader.model_events("connection_status")]
    assert statuses == ["connecting", "connected"]
    assert reader.of("error") == []
    assert "function_call_output" in [item["type"] for item in second.call.items]


async def test_what_a_lost_connection_means_is_told(stack, server):
    _, recorder = await connect(stack, server)
    server.terminate()
    restored = await recorder.until("other")
    assert isinstance(restored.data, SessionRestored)
    statuses = [event.status for event in recorder.of("connection_status")]
    assert statuses == ["connecting", "connected"]
    assert len(server.handshakes) == 2
    assert of_type(server.received, "session.update")[2]["session"]["model"] == "gpt-realtime-2.1"


async def test_a_callable_key_is_asked_for_each_connection(stack, server):
    keys = iter(["key-number-one", "key-number-two"])

    async def key() -> str:
        return next(keys)

    _, recorder = await connect(stack, server, api_key=key)
    server.terminate()
    await recorder.until("other")
    sent = [handshake.authorization for handshake in server.handshakes]
    assert sent == ["Bearer key-number-one", "Bearer key-number-two"]


async def test_a_key_that_cannot_be_had_again_is_an_error_and_tried_again(stack, server):
    asked = []

    def key() -> str:
        asked.append(1)
        if len(asked) == 2:
            raise RuntimeError("the vault is sealed")
        return KEY

    _, recorder = await connect(stack, server, api_key=key)
    server.terminate()
    await recorder.until("other")
    (error,) = recorder.of("error")
    assert isinstance(error.error, RuntimeError)
    assert len(asked) == 3


async def test_a_session_ends_by_an_exception_when_no_connection_can_be_made(stack, server):
    agent = RealtimeAgent(name="front", instructions="Be brief.")
    runner = RealtimeRunner(agent, model=StapesRealtimeModel(reconnect=QUICK))
    config: Any = {"api_key": KEY, "url": server.url}
    session = await stack.enter_async_context(await runner.run(model_config=config))
    reader = Reader(session)
    server.refuse(503)
    server.terminate()
    with pytest.raises(ConnectionLostError):
        await reader.to_the_end()


async def test_a_message_that_is_sent_without_a_connection_waits_for_one(stack, server):
    model, recorder = await connect(stack, server)
    server.refuse(503)
    server.terminate()
    await recorder.until("connection_status")
    await model.send_event(RealtimeModelSendUserInput(user_input="Still there?"))
    server.refuse(None)
    await recorder.until("connection_status", 2)
    await eventually(lambda: of_type(server.received, "conversation.item.create"))
    (message,) = of_type(server.received, "conversation.item.create")
    assert message["item"]["content"] == [{"type": "input_text", "text": "Still there?"}]


# Connecting


async def test_the_environments_key_is_used(stack, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-environment")
    model = StapesRealtimeModel()
    await model.connect({"url": server.url})
    stack.push_async_callback(model.close)
    assert server.handshakes[0].authorization == "Bearer sk-of-the-environment"


async def test_without_a_key_it_says_so():
    with pytest.raises(UserError, match=r"API key is required .*OPENAI_API_KEY"):
        await StapesRealtimeModel().connect({"url": "ws://127.0.0.1:9"})


async def test_another_provider_has_its_own_headers_and_no_voice_of_openais(stack, server):
    azure = AzureOpenAI(resource="team", deployment="voice")
    model = StapesRealtimeModel(provider=azure)
    await model.connect({"url": server.url, "api_key": KEY})
    stack.push_async_callback(model.close)
    await server.receive(1)
    assert server.handshakes[0].headers["api-key"] == KEY
    session = server.received[0]["session"]
    assert session["model"] == "voice"
    assert session["audio"]["input"]["transcription"] is None


async def test_a_model_that_is_connected_is_not_connected_twice(stack, server):
    model, _ = await connect(stack, server)
    with pytest.raises(AssertionError, match="Already connected"):
        await model.connect({"url": server.url, "api_key": KEY})
    assert len(server.handshakes) == 1


async def test_a_call_and_a_model_do_not_go_together(server):
    config: Any = {
        "url": server.url,
        "api_key": KEY,
        "call_id": "call_1",
        "initial_model_settings": {"model_name": "gpt-realtime-mini"},
    }
    with pytest.raises(UserError, match="Cannot specify both `call_id` and `model_name`"):
        await StapesRealtimeModel().connect(config)


async def test_a_tracker_counts_bytes_of_the_wire_alone(server):
    model = StapesRealtimeModel(output_sample_rate=16_000)
    tracker = RealtimePlaybackTracker()
    with pytest.raises(UserError, match="leave output_sample_rate out"):
        await model.connect({"url": server.url, "api_key": KEY, "playback_tracker": tracker})


@pytest.mark.parametrize(("status", "kind"), [(401, AuthenticationError), (503, ConnectError)])
async def test_a_refusal_raises_and_the_model_can_be_connected_then(stack, server, status, kind):
    server.refuse(status)
    model = StapesRealtimeModel()
    recorder = Recorder(model)
    with pytest.raises(kind):
        await model.connect({"url": server.url, "api_key": KEY})
    assert recorder.events == []
    server.refuse(None)
    await model.connect({"url": server.url, "api_key": KEY})
    stack.push_async_callback(model.close)
    await recorder.until_said("session.created")


async def test_a_server_that_says_goodbye_at_once_ends_the_stream(stack, server):
    server.begin_with(None)
    transport = WebSocketTransport(first_event_timeout=0)
    model = StapesRealtimeModel(transport=transport, reconnect=None)
    recorder = Recorder(model)
    leaves = asyncio.create_task(_leave_at_first_message(server))
    await model.connect({"url": server.url, "api_key": KEY})
    stack.push_async_callback(model.close)
    await recorder.until("end_of_stream")
    assert recorder.types == ["connection_status", "end_of_stream"]
    await leaves


async def _leave_at_first_message(server: ScriptedServer) -> None:
    await server.receive(1)
    await server.close()


async def test_a_key_function_that_raises_a_cancellation_fails_one_attempt(stack, server):
    asked = []

    async def key() -> str:
        asked.append(1)
        if len(asked) == 2:
            raise asyncio.CancelledError("the vault has hung up")
        return KEY

    _, recorder = await connect(stack, server, api_key=key)
    server.terminate()
    await recorder.until("other")
    assert len(asked) == 3
    (error,) = recorder.of("error")
    assert "the vault has hung up" in str(error.error)


async def test_a_connect_is_not_cancelled_by_a_key_function_that_raises_it(server):
    async def key() -> str:
        raise asyncio.CancelledError

    with pytest.raises(StapesError, match=r"api_key raised asyncio\.CancelledError"):
        await StapesRealtimeModel().connect({"url": server.url, "api_key": key})


async def test_should_retry_may_be_async(stack, server):
    async def decide(error: BaseException) -> bool:
        return False

    policy = ReconnectPolicy(should_retry=decide)
    _, recorder = await connect(stack, server, reconnect=policy)
    server.terminate()
    assert "should_retry decided" in str((await recorder.until("exception")).exception)


async def test_a_listener_that_raises_a_cancellation_is_told_as_one_that_fails(stack, server):
    class Cancelled(RealtimeModelListener):
        async def on_event(self, event: Any) -> None:
            if event.type == "item_updated":
                raise asyncio.CancelledError("hung up")

    model, recorder = await connect(stack, server)
    model.add_listener(Cancelled())
    item = {"id": "i", "type": "message", "role": "user", "content": [], "status": "completed"}
    await server.send({"type": "conversation.item.added", "item": item})
    told = await recorder.until("exception")
    assert told.context == "a listener failed at a item_updated event"
    assert "hung up" in str(told.exception)
    server.terminate()
    await recorder.until("other")


async def test_a_connect_that_is_cancelled_leaves_nothing(server):
    server.begin_with(None)
    model = StapesRealtimeModel()
    task = asyncio.create_task(model.connect({"url": server.url, "api_key": KEY}))
    await eventually(lambda: server.handshakes)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: not server.is_connected)
    server.begin_with(frames.session())
    await model.connect({"url": server.url, "api_key": KEY})
    await model.close()


async def test_the_sdks_transport_options_hold(stack):
    # What nobody holds is closed, from Python 3.13 on.
    held: list[asyncio.StreamWriter] = []
    listening = await asyncio.start_server(lambda _, writer: held.append(writer), "127.0.0.1", 0)
    stack.callback(lambda: [writer.close() for writer in held])
    stack.callback(listening.close)
    port = listening.sockets[0].getsockname()[1]
    model = StapesRealtimeModel(transport_config={"handshake_timeout": 0.05})
    with pytest.raises(ConnectTimeoutError):
        await model.connect({"url": f"ws://127.0.0.1:{port}", "api_key": KEY})


@pytest.mark.parametrize("max_size", [4_000, None])
async def test_the_size_of_messages_is_bounded_as_asked(stack, server, max_size):
    model = StapesRealtimeModel(transport_config={"max_size": max_size}, reconnect=None)
    recorder = Recorder(model)
    await model.connect({"url": server.url, "api_key": KEY})
    stack.push_async_callback(model.close)
    await server.send(frames.sound(5_000))
    await recorder.until("exception" if max_size else "audio")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"transport": WebSocketTransport(), "transport_config": {}}, "transport_config"),
        ({"transport": "websocket"}, "transport"),
        ({"transport_config": {"max_msg_size": 1}}, "max_msg_size"),
        ({"reconnect": True}, "reconnect"),
        ({"input_sample_rate": 0}, "input_sample_rate"),
        ({"output_sample_rate": "fast"}, "output_sample_rate"),
        ({"max_queued_events": 0}, "max_queued_events"),
        ({"max_queued_bytes": 1.5}, "max_queued_bytes"),
    ],
)
def test_arguments_that_cannot_be_are_named(arguments, named):
    with pytest.raises((TypeError, ValueError), match=named):
        StapesRealtimeModel(**arguments)


async def test_what_has_no_effect_is_said(stack, server, caplog):
    caplog.set_level(logging.WARNING, "stapes")
    settings = {"temperature": 0.8}
    await connect(stack, server, initial_model_settings=settings, proxy="none")
    said = [record.getMessage() for record in caplog.records if record.name == "stapes"]
    assert [name in text for name, text in zip(["proxy", "temperature"], said, strict=True)]


@pytest.mark.parametrize(
    "settings",
    [
        {"input_audio_format": "mp3"},
        {"audio": {"output": {"format": {"type": "audio/opus"}}}},
        {"audio": "loud"},
        {"tools": [get_weather, get_weather]},
        {"tool_choice": "programmatic_tool_calling"},
    ],
)
async def test_settings_that_cannot_be_are_refused(server, settings):
    model = StapesRealtimeModel()
    config: Any = {"url": server.url, "api_key": KEY, "initial_model_settings": settings}
    with pytest.raises(UserError):
        await model.connect(config)
    assert server.handshakes == []


# Sending and listening


async def test_nothing_is_sent_without_a_connection(stack, server):
    model = StapesRealtimeModel(reconnect=None)
    with pytest.raises(NotConnectedError):
        await model.send_event(RealtimeModelSendAudio(audio=b"\0\0"))
    await model.close()
    recorder = Recorder(model)
    await model.connect({"url": server.url, "api_key": KEY})
    stack.push_async_callback(model.close)
    await server.close()
    await recorder.until("end_of_stream")
    for event in (
        RealtimeModelSendAudio(audio=b"\0\0"),
        RealtimeModelSendUserInput(user_input="Hello"),
        RealtimeModelSendRawMessage(message={"type": "response.create"}),
    ):
        with pytest.raises(NotConnectedError):
            await model.send_event(event)


@pytest.mark.parametrize(
    "content",
    [
        "text",
        [{"type": "input_video", "url": "a"}],
        [{"type": "input_text"}],
        [{"type": "input_image", "image_url": ""}],
        ["text"],
    ],
)
async def test_parts_of_a_message_that_cannot_be_sent_are_refused(stack, server, content):
    model, _ = await connect(stack, server)
    message: Any = {"type": "message", "role": "user", "content": content}
    with pytest.raises(UserError):
        await model.send_event(RealtimeModelSendUserInput(user_input=message))
    assert len(server.received) == 2


@pytest.mark.parametrize("frame", ["no JSON", "[]", '{"type": 5}', b"\0"])
async def test_a_frame_that_cannot_be_read_is_an_error_and_costs_that_frame(stack, server, frame):
    _, recorder = await connect(stack, server)
    await server.send(frame)
    await recorder.until("error")
    await server.send(frames.begins())
    await recorder.until("turn_started")
    assert recorder.of("exception") == []


async def test_a_response_that_fails_is_an_error(stack, server):
    _, recorder = await connect(stack, server)
    await server.send(frames.begins())
    why = {"type": "failed", "error": {"type": "server_error", "code": "overloaded"}}
    await server.send(frames.ends(status="failed", status_details=why))
    error = await recorder.until("error")
    assert (error.error.code, error.error.type) == ("overloaded", "server_error")
    assert "response r failed" in error.error.message


async def test_a_listener_that_raises_is_an_exception_for_the_others(stack, server):
    model, recorder = await connect(stack, server)

    class Broken(Recorder):
        async def on_event(self, event: Any) -> None:
            if event.type == "turn_started":
                raise RuntimeError("broken")

    Broken(model)
    await server.send(frames.begins())
    failure = await recorder.until("exception")
    assert isinstance(failure.exception, RuntimeError)
    await server.send(frames.ends())
    await recorder.until("turn_ended")


async def test_a_listener_that_does_not_return_ends_the_connection(stack, server):
    model = StapesRealtimeModel(max_queued_events=50, reconnect=QUICK)
    leave = asyncio.Event()

    class Slow(Recorder):
        async def on_event(self, event: Any) -> None:
            await leave.wait()
            await super().on_event(event)

    recorder = Slow(model)
    await model.connect({"url": server.url, "api_key": KEY})
    stack.push_async_callback(model.close)
    for _ in range(60):
        await server.send(frames.words("more "))
    await eventually(lambda: not server.is_connected)
    leave.set()
    failure = await recorder.until("exception")
    assert isinstance(failure.exception, ConsumerTooSlow)
    assert len(server.handshakes) == 1


async def test_a_listener_may_close_the_model(stack, server):
    model, recorder = await connect(stack, server)

    class Closing(Recorder):
        async def on_event(self, event: Any) -> None:
            if event.type == "turn_started":
                await model.close()

    Closing(model)
    await server.send(frames.begins())
    await eventually(lambda: not server.is_connected)
    await server.send(frames.ends())
    assert recorder.of("turn_ended") == []


async def test_a_raw_event_is_read_when_it_is_looked_at(stack, server):
    _, recorder = await connect(stack, server)
    await server.send(frames.sound(20))
    await recorder.until("audio")
    raw = recorder.of("raw_server_event")[-1]
    assert raw.data == frames.sound(20)
    assert raw.data is raw.data
    raw.data = {"type": "other"}
    assert raw.data == {"type": "other"}
