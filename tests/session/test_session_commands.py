"""Commands: they take effect when they are called, may be awaited, and never lock anybody up."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from agents import UserError
from calling import KEY, SECONDS, eventually, silence

from stapes import (
    AgentEnd,
    AgentHandoff,
    Audio,
    ConnectionChanged,
    Error,
    HistoryUpdated,
    MessageItem,
    NotConnectedError,
    RealtimeAgent,
    RealtimeSession,
    ResponseDone,
    WebSocketTransport,
)
from stapes.devserver import ScriptedMind, Turn

TALK = ScriptedMind([Turn(when="bye", say="Goodbye."), Turn(say="Hello.")])


async def test_commands_take_effect_in_the_order_of_the_calls_without_being_awaited(call):
    c = await call(TALK)
    c.session.send_audio(silence(20))
    c.session.transport.send_event({"type": "input_audio_buffer.clear"})
    c.session.send_message("hi")
    c.session.send_audio(silence(20))
    await c.call.received.wait_for("response.create")
    await c.seen.until(AgentEnd)
    assert [kind for kind in c.call.received.types if kind != "session.update"] == [
        "input_audio_buffer.append",
        "input_audio_buffer.clear",
        "conversation.item.create",
        "response.create",
        "input_audio_buffer.append",
    ]


async def test_awaiting_a_command_that_is_done_returns_at_once(call):
    c = await call(TALK)
    assert await c.session.send_message("hi") is None
    assert await c.session.send_audio(silence(20)) is None
    assert await c.session.mute() is None
    assert await c.session.interrupt() is None


def offline() -> RealtimeSession[Any]:
    return RealtimeSession(RealtimeAgent(name="front"), api_key=KEY)


@pytest.mark.parametrize(
    "command",
    [
        lambda s: s.send_message("hi"),
        lambda s: s.send_audio(silence(20)),
        lambda s: s.request_response(),
        lambda s: s.add_image("https://example.org/a.png"),
        lambda s: s.transport.send_event({"type": "response.cancel"}),
        lambda s: s.update_history([MessageItem("a", "user", ())]),
    ],
    ids=["send_message", "send_audio", "request_response", "add_image", "send_event", "history"],
)
async def test_a_command_without_a_connection_fails_when_it_is_awaited(command):
    with pytest.raises(NotConnectedError, match=r"call connect\(\) first"):
        await command(offline())


async def test_a_failure_that_nobody_awaited_becomes_an_error_event():
    session = offline()
    session.send_message("hi")
    async with asyncio.timeout(SECONDS):
        event = await anext(session.events(Error))
    assert isinstance(event.error, NotConnectedError)


async def test_interrupt_mute_and_close_are_fine_without_a_connection():
    session = offline()
    await session.interrupt()
    await session.mute()
    await session.close()
    assert session.muted


async def test_commands_work_inside_callbacks(call):
    c = await call(TALK)

    @c.session.on("agent_end")
    def ended(event: AgentEnd) -> None:
        if event.output == "Hello.":
            c.session.send_message("bye")

    c.session.send_message("hi")
    assert (await c.seen.until(AgentEnd, count=2)).output == "Goodbye."


async def test_commands_are_awaited_inside_async_for(call):
    c = await call(TALK)
    said = []
    await c.session.send_message("hi")
    async with asyncio.timeout(SECONDS):
        async for event in c.session.events(AgentEnd):
            said.append(event.output)
            if len(said) == 2:
                break
            await c.session.send_message("bye")
    assert said == ["Hello.", "Goodbye."]


async def test_send_audio_from_another_thread(call):
    c = await call(TALK)
    problems: list[BaseException] = []

    def speak() -> None:
        try:
            for _ in range(50):
                c.session.send_audio(silence(20))
            c.session.send_audio(silence(20), commit=True)
        except BaseException as problem:
            problems.append(problem)

    threads = [threading.Thread(target=speak) for _ in range(3)]
    for thread in threads:
        thread.start()
    await c.call.received.wait_for(
        lambda _: c.call.received.types.count("input_audio_buffer.commit") == 3
    )
    for thread in threads:
        thread.join()
    assert problems == []
    assert c.call.received.types.count("input_audio_buffer.append") == 153


async def test_congested_send_audio_from_another_thread_can_be_awaited_on_any_loop(call):
    c = await call(TALK)
    c.call.stop_reading()
    full, waited = threading.Event(), threading.Event()

    async def speak() -> None:
        completion = fill(c.session)
        full.set()
        await completion
        waited.set()

    thread = threading.Thread(target=lambda: asyncio.run(speak()))
    thread.start()
    assert await asyncio.to_thread(full.wait, SECONDS)
    assert not waited.is_set()
    c.call.resume_reading()
    await asyncio.wait_for(asyncio.to_thread(thread.join), SECONDS)
    assert waited.is_set()


def fill(session: RealtimeSession[Any]) -> Any:
    """Send until nothing more fits, the kernel's buffers included; the last command."""
    second = silence(1_000)
    while session.probe.traffic()[3] == 0:
        completion = session.send_audio(second)
    return completion


async def test_awaited_send_audio_waits_while_the_server_does_not_read(call):
    c = await call(TALK)
    c.call.stop_reading()
    waiting = asyncio.ensure_future(fill(c.session))
    await asyncio.wait([waiting], timeout=0.05)
    assert not waiting.done()
    c.call.resume_reading()
    await asyncio.wait_for(waiting, SECONDS)


async def test_whoever_waits_to_send_audio_learns_that_the_connection_is_lost(call):
    c = await call(TALK)
    c.call.stop_reading()
    waiting = asyncio.ensure_future(fill(c.session))
    await asyncio.sleep(0)
    c.call.abort()
    with pytest.raises(NotConnectedError, match="lost while audio waited"):
        await asyncio.wait_for(waiting, SECONDS)


async def test_sending_without_awaiting_to_a_server_that_does_not_read_holds_bounded_memory(call):
    c = await call(TALK)
    c.call.stop_reading()
    before = len(asyncio.all_tasks())
    fill(c.session)
    second = silence(1_000)
    for _ in range(400):
        c.session.send_audio(second)
    # The kernel may have taken some megabytes meanwhile: what it did not take was dropped.
    assert c.session.probe.traffic()[3] > 50
    assert len(asyncio.all_tasks()) <= before + 1
    c.call.resume_reading()


async def test_muted_audio_is_not_sent(call):
    c = await call(TALK)
    c.session.mute()
    assert c.session.muted
    c.session.send_audio(silence(20))
    c.session.mute(False)
    assert not c.session.muted
    c.session.send_audio(silence(40))
    append = await c.call.received.wait_for("input_audio_buffer.append")
    assert len(append["audio"]) == len(silence(40)) * 4 // 3


async def test_nothing_is_appended_where_there_is_no_sound(call):
    c = await call(TALK)
    c.session.send_audio(silence(200))
    c.session.send_audio(b"")
    c.session.send_audio(b"", commit=True)
    await c.call.received.wait_for("input_audio_buffer.commit")
    assert c.call.received.types.count("input_audio_buffer.append") == 1
    assert c.call.received.types[-2:] == ["input_audio_buffer.append", "input_audio_buffer.commit"]


async def test_a_turn_that_is_muted_at_its_end_is_committed(call):
    c = await call(TALK)
    c.session.send_audio(silence(200))
    c.session.mute()
    c.session.send_audio(b"", commit=True)
    await c.call.received.wait_for("input_audio_buffer.commit")


async def test_request_response_carries_its_settings(call):
    c = await call(TALK)
    c.session.request_response({"instructions": "Be brief.", "output_modalities": ["text"]})
    event = await c.call.received.wait_for("response.create")
    assert event["response"] == {"instructions": "Be brief.", "output_modalities": ["text"]}
    await c.seen.until(AgentEnd)
    assert c.seen.of(Audio) == []


async def test_send_event_says_anything_else(call):
    c = await call(TALK)
    await c.session.transport.send_event({"type": "input_audio_buffer.clear", "event_id": "mine"})
    event = await c.call.received.wait_for("input_audio_buffer.clear")
    assert event["event_id"] == "mine"


async def test_an_event_without_a_type_is_refused(call):
    c = await call(TALK)
    with pytest.raises(ValueError, match="an event needs a type"):
        c.session.transport.send_event({"kind": "nothing"})


async def test_update_history_deletes_and_creates_at_the_server(call):
    c = await call(TALK)
    c.session.send_message("hi")
    await c.seen.until(AgentEnd)
    await c.session.update_history(
        lambda old: [item for item in old if getattr(item, "role", "") == "assistant"]
    )
    await c.call.sent.wait_for("conversation.item.deleted")
    await c.seen.until(HistoryUpdated, lambda e: [i.role for i in e.history] == ["assistant"])
    assert [item.role for item in c.session.history] == ["assistant"]


async def test_usage_adds_up_over_responses(call):
    c = await call(TALK)
    c.session.send_message("hi")
    first = await c.seen.until(ResponseDone)
    c.session.send_message("hi")
    second = await c.seen.until(ResponseDone, count=2)
    assert c.session.usage is c.session.context.usage
    assert c.session.usage.requests == 2
    counts = [first.usage, second.usage]
    assert c.session.usage.total_tokens == sum(count["total_tokens"] for count in counts) > 0


async def test_initial_session_config_is_what_connecting_sends(call):
    fast = {"audio": {"output": {"speed": 1.25}}}
    c = await call(TALK, config=fast, model="gpt-realtime-2.1-mini")
    update = await c.call.received.wait_for("session.update")
    assert await c.session.initial_session_config() == update["session"]
    assert update["session"]["audio"]["output"]["speed"] == 1.25


async def test_update_agent_hands_over_with_its_instructions(call):
    c = await call(TALK)
    billing = RealtimeAgent(name="billing", instructions="Bill.")
    assert await c.session.update_agent(billing) is billing
    update = await c.call.received.wait_for(
        lambda event: event.get("session", {}).get("instructions") == "Bill."
    )
    assert update["type"] == "session.update"
    handoff = await c.seen.until(AgentHandoff)
    assert (handoff.from_agent.name, handoff.to_agent.name) == ("front", "billing")
    assert c.session.current_agent is billing
    assert c.session.initial_agent.name == "front"


@pytest.mark.parametrize("thread", [False, True])
async def test_a_failure_after_a_wait_that_was_given_up_is_an_error_event(call, thread):
    begun, go = asyncio.Event(), asyncio.Event()

    async def fail(*_: Any) -> str:
        begun.set()
        await go.wait()
        raise LookupError("late")

    c = await call(TALK)
    late = RealtimeAgent(name="late", instructions=fail)

    async def give_up() -> None:
        async with asyncio.timeout(SECONDS):
            waiting = asyncio.ensure_future(wait())
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(begun.wait(), loop))
            waiting.cancel()
            await asyncio.wait([waiting])

    async def wait() -> None:
        await c.session.update_agent(late)

    loop = asyncio.get_running_loop()
    if thread:
        await asyncio.to_thread(asyncio.run, give_up())
    else:
        await give_up()
    go.set()
    assert isinstance((await c.seen.until(Error)).error, LookupError)


async def ended(completion: Any) -> None:
    await completion


async def test_a_failure_that_one_of_two_has_waited_for_is_no_error_event(call):
    go = asyncio.Event()

    async def fail(*_: Any) -> str:
        await go.wait()
        raise LookupError("late")

    c = await call(TALK)
    updating = c.session.update_agent(RealtimeAgent(name="late", instructions=fail))
    first, second = (asyncio.ensure_future(ended(updating)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.wait([first])
    go.set()
    with pytest.raises(LookupError):
        await second
    del updating, first, second
    c.session.send_message("hi")
    await c.seen.until(AgentEnd)
    assert c.seen.errors == []


async def test_a_second_connect_is_refused_and_the_first_connection_stays(call):
    c = await call(TALK)
    with pytest.raises(UserError, match=r"already connected or connecting: call close\(\) first"):
        await c.session.connect()
    assert c.session.status == "connected"


async def test_a_session_connects_again_after_close(call):
    c = await call(TALK)
    c.session.send_message("hi")
    await c.seen.until(AgentEnd)
    await c.session.close()
    assert c.session.status == "disconnected"
    await c.session.connect()
    assert list(c.session.history) == []
    c.session.send_message("bye")
    assert (await c.seen.until(AgentEnd, count=2)).output == "Goodbye."
    assert c.session.usage.requests == 2


async def test_close_is_awaited_while_another_session_of_the_loop_is_busy(run):
    server = await run(ScriptedMind([Turn(say="word " * 2_000)]))
    agent = RealtimeAgent(name="front")
    options = {"api_key": KEY, "transport": WebSocketTransport(url=server.url)}
    busy, other = RealtimeSession(agent, **options), RealtimeSession(agent, **options)
    async with busy:
        await other.connect()
        changes = other.events(ConnectionChanged)
        busy.send_message("talk")
        async with asyncio.timeout(SECONDS):
            await anext(busy.events(Audio))
            await other.close()
            assert [change.status async for change in changes][-1] == "disconnected"


async def test_closing_while_the_key_is_fetched_ends_connect(run):
    server = await run(TALK)
    asked, answer = asyncio.Event(), asyncio.Event()

    async def key() -> str:
        asked.set()
        await answer.wait()
        return KEY

    session = RealtimeSession(
        RealtimeAgent(name="front"), api_key=key, transport=WebSocketTransport(url=server.url)
    )
    connecting = asyncio.create_task(session.connect())
    await asked.wait()
    await session.close()
    answer.set()
    with pytest.raises(NotConnectedError, match="closed while it was connecting"):
        await asyncio.wait_for(connecting, SECONDS)
    assert session.status == "disconnected"
    assert server.calls == []


async def test_closing_during_the_handshake_ends_connect(run):
    server = await run(TALK)
    server.hang_next()
    session = RealtimeSession(
        RealtimeAgent(name="front"), api_key=KEY, transport=WebSocketTransport(url=server.url)
    )
    errors = []
    session.on("error", errors.append)
    connecting = asyncio.create_task(session.connect())
    await eventually(lambda: session.status == "connecting")
    await session.close()
    with pytest.raises(NotConnectedError, match="closed while it was connecting"):
        await asyncio.wait_for(connecting, SECONDS)
    await session.close()
    assert errors == []


async def test_a_cancelled_connect_leaves_the_session_free_to_connect_again(run):
    server = await run(TALK)
    server.hang_next()
    session = RealtimeSession(
        RealtimeAgent(name="front"), api_key=KEY, transport=WebSocketTransport(url=server.url)
    )
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(session.connect(), 0.05)
    assert session.status == "disconnected"
    await asyncio.wait_for(session.connect(), SECONDS)
    assert session.status == "connected"
    await session.close()
