"""A call over WebRTC that is lost is offered again, and the conversation goes on."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from agents import function_tool
from calling import KEY, Called, eventually, silence, spoken
from lossy import LossyNetwork
from tests.whole import differs

from stapes import (
    AgentToolEnd,
    Audio,
    AudioInterrupted,
    AudioStopped,
    ConnectError,
    ConnectionChanged,
    Error,
    MediaChanged,
    RealtimeAgent,
    RealtimeSession,
    ReconnectPolicy,
    SessionRestored,
    StapesError,
    WebRTCTransport,
)
from stapes.devserver import Call, DevServer, Options, ScriptedMind, Turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytest.importorskip("aiortc", reason="the far side of these calls is aiortc")

STORY = "One two three four five six seven eight nine ten eleven twelve."
"""Some seconds of speech."""
SOON = ReconnectPolicy(base_delay=0.05, go_on=None)
IMPATIENT = {"disconnected_after": 0.4, "disconnected_grace": 0.2, "close_timeout": 0.1}


def mind() -> ScriptedMind:
    return ScriptedMind(
        [
            Turn(when="weather", call=Call("weather", {"city": "Paris"})),
            Turn(after="weather", say="{output}!"),
            Turn(when="story", say=STORY),
            Turn(when="count", say="One two three."),
            Turn(when="look", say="Let me look it up.", call=Call("weather", {"city": "Oslo"})),
        ],
        hears=["hello there"],
        otherwise="Yes.",
    )


async def hang_up(call: Any) -> None:
    await call.close()


async def vanish(call: Any) -> None:
    call.abort()


async def close_channel(call: Any) -> None:
    call.close_channel()


@pytest.fixture
def begin(stack: Any) -> Callable[..., Awaitable[Called]]:
    """Begin a call with a conversation of one turn in it."""

    async def start(
        *tools: Any,
        pace: float | None = None,
        ahead_s: float | None = None,
        transport: Any = None,
        greets: bool = True,
        **given: Any,
    ) -> Called:
        server = await stack.enter_async_context(DevServer(mind(), None, Options(pace=pace)))
        network = LossyNetwork(server.calls_url, ahead_s=ahead_s)
        await stack.enter_async_context(network)
        given.setdefault("reconnect", SOON)
        given.setdefault("api_key", KEY)
        session: RealtimeSession[Any] = RealtimeSession(
            RealtimeAgent(name="Desk", instructions="Answer.", tools=list(tools)),
            transport=WebRTCTransport(
                url=network.url if ahead_s else server.calls_url,
                **{**IMPATIENT, **(transport or {})},
            ),
            **given,
        )
        called = Called(session, server)
        await stack.enter_async_context(session)
        called.call = await server.next_call()
        # The calls after the first one have time.
        network.ahead_s = 0.0
        if greets:
            session.send_message("Hello.")
            await called.seen.until(AudioStopped)
        return called

    return start


def statuses(called: Called) -> list[str]:
    return [change.status for change in called.seen.of(ConnectionChanged)]


async def is_whole(called: Called) -> None:
    """One more turn, after which the server's conversation is the history, and nothing failed."""
    before = len(called.seen.of(AudioStopped))
    called.session.send_message("And goodbye.")
    await called.seen.until(AudioStopped, count=before + 1)
    view = called.server.calls[-1].conversation
    await eventually(lambda: differs(view, called.session.history) is None)
    ids = [item.id for item in view.items]
    assert len(ids) == len(set(ids))
    assert called.session.history[-1].text == "Yes."
    assert called.seen.errors == []


@pytest.mark.parametrize(
    ("lose", "is_ended"), [(hang_up, False), (vanish, True)], ids=["in progress", "ended"]
)
async def test_a_call_that_is_lost_while_an_answer_plays_goes_on(begin, lose, is_ended):
    called = await begin(pace=None if is_ended else 1.0)
    called.session.send_message("Tell me a story.")
    before = len(called.seen.of(Audio))
    await called.seen.until(Audio, count=before + 30)
    status = called.call.conversation.responses[-1][1]
    assert status == ("completed" if is_ended else "in_progress")
    await lose(called.call)
    restored = await called.seen.until(SessionRestored)
    assert (restored.reason, restored.items, restored.left_out) == ("lost", 4, 0)
    told = (AudioInterrupted, MediaChanged, ConnectionChanged, SessionRestored)
    order = [
        getattr(event, "status", event.type)
        for event in called.seen.events
        if isinstance(event, told)
    ]
    stall = ["stalled", "lost"] if lose is vanish else []
    expected = [*stall, "audio_interrupted", "reconnecting", "connected", "session_restored"]
    assert order[2:] == expected
    [story] = [item for item in called.session.history if item.role == "assistant"][1:]
    heard = story.content[0].heard
    assert 0 < len(heard) < len(STORY)
    assert STORY.startswith(heard)
    assert called.session.stats().reconnects == 1
    view = called.server.calls[-1].conversation
    await eventually(lambda: differs(view, called.session.history) is None)
    assert called.seen.errors == []


async def test_an_answer_of_which_nothing_was_heard_is_asked_for_again(begin):
    called = await begin(greets=False)
    called.call.hold_sound()
    called.session.send_message("Please count.")
    await eventually(lambda: called.call.conversation.responses)
    await close_channel(called.call)
    await called.seen.until(SessionRestored)
    await called.seen.until(AudioStopped)
    assert [item.text for item in called.session.history] == ["Please count.", "One two three."]
    view = called.server.calls[-1].conversation
    assert view.responses_asked == [{}]
    await eventually(lambda: differs(view, called.session.history) is None)


async def test_a_cut_answer_goes_on_where_the_policy_says_so(begin):
    policy = ReconnectPolicy(base_delay=0.05, continue_answers=True)
    called = await begin(reconnect=policy, greets=False)
    called.session.send_message("Tell me a story.")
    before = len(called.seen.of(Audio))
    await called.seen.until(Audio, count=before + 30)
    await hang_up(called.call)
    await called.seen.until(SessionRestored)
    await eventually(lambda: called.server.calls[-1].conversation.responses_asked == [{}])


@pytest.mark.parametrize(("lose", "ends"), [(vanish, "later"), (close_channel, "in the gap")])
async def test_a_tool_at_work_answers_once_over_the_next_call(begin, lose, ends):
    gate, runs = asyncio.Event(), []

    @function_tool
    async def weather(city: str) -> str:
        runs.append(city)
        await gate.wait()
        return "sunny"

    called = await begin(weather, greets=False)
    called.session.send_message("How is the weather?")
    await eventually(lambda: runs)
    await lose(called.call)
    await called.seen.until(ConnectionChanged, lambda event: event.status == "reconnecting")
    if ends == "in the gap":
        gate.set()
    await called.seen.until(SessionRestored)
    gate.set()
    await called.seen.until(AgentToolEnd)
    await called.seen.until(AudioStopped)
    assert runs == ["Paris"]
    view = called.server.calls[-1].conversation
    await eventually(lambda: [text for _, text in view.messages][-1:] == ["sunny!"])
    assert list(view.outputs.values()) == ["sunny"]
    await eventually(lambda: differs(view, called.session.history) is None)
    assert called.seen.errors == []


async def test_of_two_answers_the_one_that_plays_is_cut_and_the_one_that_waits_is_asked_for(begin):
    @function_tool
    async def weather(city: str) -> str:
        return "sunny"

    called = await begin(weather, greets=False)
    called.session.send_message("Please look.")
    # The second one is made while the first one plays.
    await called.seen.until(Audio, count=15)
    await eventually(lambda: [status for _, status in called.call.conversation.responses][1:])
    await close_channel(called.call)
    await called.seen.until(SessionRestored)
    await called.seen.until(AudioStopped)
    view = called.server.calls[-1].conversation
    await eventually(lambda: differs(view, called.session.history) is None)
    assert [text for _, text in view.messages][-1] == "sunny!"
    assert view.calls == [("weather", {"city": "Oslo"})]
    assert view.responses_asked == [{}]
    assert called.seen.errors == []


async def test_an_offer_that_is_refused_is_made_again_with_a_key_for_each(begin):
    keys: list[str] = []

    async def key() -> str:
        keys.append(f"ek_number{len(keys)}")
        return keys[-1]

    called = await begin(api_key=key)
    called.server.refuse_next(503, count=2, retry_after=0.05)
    # Between two turns: a server that means goodbye ends the call.
    await close_channel(called.call)
    await called.seen.until(SessionRestored)
    assert len(keys) == 4
    stats = called.session.stats()
    assert (stats.failed_attempts, stats.reconnects) == (2, 1)
    await is_whole(called)


async def test_a_refusal_by_name_ends_the_session(begin):
    called = await begin(greets=False)
    refusal = {"error": {"message": "No money.", "code": "insufficient_quota"}}
    called.server.refuse_next(429, refusal)
    called.session.send_message("Tell me a story.")
    await called.seen.until(Audio, count=len(called.seen.of(Audio)) + 5)
    await hang_up(called.call)
    await called.seen.until(ConnectionChanged, lambda event: event.status == "disconnected")
    assert statuses(called)[-2:] == ["reconnecting", "disconnected"]
    assert "not connected again" in str(called.seen.of(Error)[-1].error)
    assert len(called.server.calls) == 1


async def test_a_server_that_hangs_up_between_two_turns_says_goodbye(begin):
    called = await begin(greets=False)
    await hang_up(called.call)
    await called.seen.until(ConnectionChanged, lambda event: event.status == "disconnected")
    assert "reconnecting" not in statuses(called)


async def test_should_retry_takes_a_goodbye_for_a_loss(begin):
    policy = ReconnectPolicy(should_retry=lambda error: True)
    called = await begin(reconnect=policy, greets=False)
    await hang_up(called.call)
    await called.seen.until(SessionRestored)


async def test_a_message_that_no_call_can_carry_is_refused_and_the_call_goes_on(begin):
    called = await begin(greets=False)
    long = "word " * 60_000
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": long}]}
    for refused in (
        lambda: called.session.send_message(long),
        lambda: called.session.add_image("data:image/png;base64," + long.replace(" ", "A")),
        lambda: called.session.transport.send_event(
            {"type": "conversation.item.create", "item": item}
        ),
    ):
        with pytest.raises(StapesError, match="the server takes at most 262144 bytes"):
            await refused()
    called.session.send_message("Are you there?")
    await called.seen.until(AudioStopped)
    assert statuses(called) == ["connecting", "connected"]
    assert not called.seen.errors


async def test_instructions_that_no_call_can_carry_are_an_error_and_the_call_goes_on(begin):
    called = await begin(greets=False)
    await called.session.update_agent(RealtimeAgent(name="long", instructions="word " * 60_000))
    error = await called.seen.until(Error)
    assert "the server takes at most 262144 bytes" in str(error.error)
    called.session.send_message("Are you there?")
    await called.seen.until(AudioStopped)
    assert statuses(called) == ["connecting", "connected"]


async def test_a_configuration_that_no_call_can_carry_fails_connect_by_name(stack):
    server = await stack.enter_async_context(DevServer(mind()))
    transport = WebRTCTransport(url=server.calls_url)
    agent = RealtimeAgent(name="long", instructions="word " * 60_000)
    session: Any = RealtimeSession(agent, api_key=KEY, transport=transport)
    with pytest.raises(ConnectError, match="longer than the server takes"):
        await session.connect()
    assert session.status == "disconnected"


async def test_an_expired_session_is_replaced(begin):
    called = await begin(greets=False)
    error = {"code": "session_expired", "message": "Your session hit the maximum duration."}
    called.call.emit("error", error=error)
    await called.seen.until(Error)
    await hang_up(called.call)
    restored = await called.seen.until(SessionRestored)
    assert restored.reason == "expired"
    assert [error.code for error in called.seen.errors] == ["session_expired"]


@pytest.mark.real_time
async def test_the_users_sound_goes_on_over_the_next_call(begin):
    called = await begin(greets=False)
    sound = await spoken("Hello there, is anybody?") + silence(700)
    streaming = called.session.stream_audio(sound)
    await eventually(lambda: called.call.sent.of("input_audio_buffer.speech_started"))
    await close_channel(called.call)
    await called.seen.until(SessionRestored)
    assert await streaming == pytest.approx(len(sound) / 48_000, abs=0.05)
    # The server had begun to hear it: that much is lost, and said.
    [error] = called.seen.errors
    assert "sound on a media track is not kept" in str(error)
    view = called.server.calls[-1].conversation
    await eventually(lambda: ("user", "hello there") in view.messages)


async def test_sound_and_the_end_of_the_turn_that_were_given_at_once_are_not_lost(begin):
    config = {"audio": {"input": {"turn_detection": None, "transcription": {"model": "any"}}}}
    called = await begin(config=config, greets=False)
    speech = await spoken("Hello.")
    called.session.send_audio(speech, commit=True)
    await close_channel(called.call)
    await called.seen.until(SessionRestored)
    view = called.server.calls[-1].conversation
    await eventually(lambda: ("user", "hello there") in view.messages)
    # What had been sent of it is in no item, and on no media track any more.
    [error] = called.seen.errors
    assert "sound on a media track is not kept" in str(error)


async def test_sound_that_is_given_in_the_gap_is_heard_by_the_next_server(begin):
    policy = ReconnectPolicy(first_delay=0.05, go_on=None)
    called = await begin(reconnect=policy, greets=False)
    sound = await spoken("Hello.") + silence(700)
    await close_channel(called.call)
    await called.seen.until(ConnectionChanged, lambda event: event.status == "reconnecting")
    called.session.send_audio(sound)
    await called.seen.until(SessionRestored)
    view = called.server.calls[-1].conversation
    await eventually(lambda: ("user", "hello there") in view.messages)
    assert called.seen.errors == []


async def test_a_call_is_replaced_before_its_time_by_the_servers_clock_is_over(begin):
    # By the `Date` of the answer to the offer, the session's hour is over in less than two seconds.
    called = await begin(ahead_s=3_600.0 - 1.2)
    restored = await called.seen.until(SessionRestored)
    assert (restored.reason, restored.gap) == ("rollover", 0.0)
    assert "reconnecting" not in statuses(called)
    await called.call.wait_closed()
    # The user's sound goes to the second one.
    called.session.send_audio(await spoken("Hello.") + silence(700))
    view = called.server.calls[-1].conversation
    await eventually(lambda: ("user", "hello there") in view.messages)
    assert called.session.stats().rollovers == 1


async def test_media_that_stalls_and_comes_again_is_said(begin):
    called = await begin(transport={"stalled_after": 0.2}, greets=False)
    called.session.send_message("Tell me a story.")
    await called.seen.until(Audio, count=len(called.seen.of(Audio)) + 5)
    assert called.seen.of(MediaChanged) == []
    called.call.hold_sound()
    stalled = await called.seen.until(MediaChanged)
    assert stalled.status == "stalled"
    assert 0.2 <= stalled.silence < 1
    called.call.hold_sound(False)
    resumed = await called.seen.until(MediaChanged, count=2)
    assert resumed.status == "resumed"
    assert resumed.silence > stalled.silence
    called.session.interrupt()
    assert called.session.status == "connected"
