"""Talking over an answer cuts it where its sound was."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from calling import KEY, SECONDS, silence, spoken
from elsewhere import block_until

from stapes import (
    AgentEnd,
    Audio,
    AudioInterrupted,
    HistoryUpdated,
    MessageItem,
    PlaybackTracker,
    RealtimeAgent,
    RealtimeSession,
    WebSocketTransport,
)
from stapes.devserver import ScriptedMind, Turn

STORY = "once upon a time there was a king who had three daughters and a horse " * 12
TALE = ScriptedMind(
    [Turn(when="story", say=STORY), Turn(say="All right.")],
    hears=["enough of that"],
)
VAD: Any = {
    "audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": True}}}
}


async def talk_over(c: Any) -> AudioInterrupted:
    c.session.send_audio(await spoken("Enough of that now.") + silence(700))
    interrupted = await c.seen.until(AudioInterrupted)
    await c.seen.until(AgentEnd, lambda event: event.output == "All right.")
    return interrupted


def the_cut_message(c: Any, item_id: str) -> MessageItem:
    return next(item for item in c.session.history if item.item_id == item_id)


async def test_talking_over_an_answer_cuts_sound_server_and_history_at_the_same_place(call):
    c = await call(TALE, config=VAD, server={"pace": 2.0})
    c.session.send_message("tell a story")
    await c.seen.until(Audio, count=24)
    interrupted = await talk_over(c)

    truncate = await c.call.received.wait_for("conversation.item.truncate")
    truncated = await c.call.sent.wait_for("conversation.item.truncated")
    assert c.seen.errors == []
    assert truncated["audio_end_ms"] == truncate["audio_end_ms"]
    assert truncate["content_index"] == 0
    of_story = [e for e in c.seen.of(Audio) if e.response_id == interrupted.response_id]
    received_ms = sum(len(event.data) for event in of_story) / 48
    assert 0 < truncate["audio_end_ms"] < received_ms

    cut = the_cut_message(c, truncate["item_id"])
    part = cut.content[0]
    assert part.audio_end_ms == truncate["audio_end_ms"]
    assert 0 < len(part.heard) < len(STORY)
    assert STORY.startswith(part.heard)
    assert cut.text == part.heard
    assert cut.status == "incomplete"


async def test_after_an_interruption_was_awaited_the_history_is_cut_and_its_events_have_come(call):
    c = await call(TALE, playback=(played := PlaybackTracker()))
    c.session.send_message("tell a story")
    await c.seen.until(AgentEnd)
    first = c.seen.of(Audio)[0]
    played.played(first, 400)
    await c.session.interrupt()
    (cut,) = [item for item in c.session.history if item.item_id == first.item_id]
    assert 0 < len(cut.text) < len(STORY) // 4
    assert [event.response_id for event in c.seen.of(AudioInterrupted)] == [first.response_id]


async def test_an_interruption_of_nothing_can_be_awaited_also_from_another_loop(call):
    c = await call(TALE)
    await c.session.interrupt()

    def elsewhere() -> None:
        async def interrupted() -> None:
            await c.session.interrupt()

        asyncio.run(interrupted())

    await asyncio.wait_for(asyncio.to_thread(elsewhere), SECONDS)
    await c.session.close()
    await asyncio.wait_for(c.session.interrupt(), SECONDS)
    assert c.seen.of(AudioInterrupted) == []


async def test_no_sound_of_the_answer_follows_its_interruption(call):
    c = await call(TALE, config=VAD, server={"pace": 20.0})
    c.session.send_message("tell a story")
    await c.seen.until(Audio, count=10)
    interrupted = await talk_over(c)
    after = c.seen.events[c.seen.events.index(interrupted) :]
    sounds = [event.response_id for event in after if isinstance(event, Audio)]
    assert sounds
    assert interrupted.response_id not in sounds


async def test_a_reader_that_comes_late_hears_nothing_of_the_interrupted_answer(call):
    c = await call(TALE, config=VAD, server={"pace": 20.0})
    late = c.session.events(Audio, AudioInterrupted, AgentEnd)
    c.session.send_message("tell a story")
    await c.seen.until(Audio, count=10)
    interrupted = await talk_over(c)
    events = []
    async with asyncio.timeout(SECONDS):
        async for event in late:
            events.append(event)
            if isinstance(event, AgentEnd) and event.output == "All right.":
                break
    sounds = {event.response_id for event in events if isinstance(event, Audio)}
    assert interrupted in events
    assert len(sounds) == 1
    assert interrupted.response_id not in sounds


async def test_a_loop_that_was_busy_hears_nothing_of_the_interrupted_answer(run):
    """The sound waits in the core while the loop is blocked; the server has a loop of its own."""
    # Made before: while it is made the loop runs, and sound comes.
    speech = await spoken("Enough of that now.") + silence(700)
    ready, stop = threading.Event(), threading.Event()
    holder: list[Any] = []

    def serve() -> None:
        async def main() -> None:
            from stapes.devserver import DevServer, Options

            async with DevServer(TALE, options=Options(pace=20.0)) as server:
                holder.append(server)
                ready.set()
                await asyncio.to_thread(stop.wait)

        asyncio.run(main())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        assert ready.wait(SECONDS)
        session = RealtimeSession(
            RealtimeAgent(name="front"),
            api_key=KEY,
            transport=WebSocketTransport(url=holder[0].url),
            config=VAD,
        )
        async with session:
            session.send_message("tell a story")
            reader = session.events(Audio, AudioInterrupted)
            first = await anext(reader)
            assert isinstance(first, Audio)
            session.send_audio(speech)
            # Blocks the loop until the server has been told where to cut.
            (call,) = holder[0].calls
            block_until(lambda: call.received.of("conversation.item.truncate"))
            seen = []
            async with asyncio.timeout(SECONDS):
                async for event in reader:
                    seen.append(event)
                    if isinstance(event, AudioInterrupted):
                        break
                seen.append(await anext(reader))
        assert isinstance(seen[0], AudioInterrupted)
        assert seen[1].response_id != first.response_id
    finally:
        stop.set()
        await asyncio.to_thread(thread.join)


async def test_interrupt_cancels_and_cuts(call):
    c = await call(TALE, server={"pace": 20.0})
    c.session.send_message("tell a story")
    await c.seen.until(Audio, count=10)
    c.session.interrupt()
    await c.seen.until(AudioInterrupted)
    await c.call.received.wait_for("response.cancel")
    await c.call.received.wait_for("conversation.item.truncate")
    await c.seen.until(AgentEnd)
    assert c.call.sent.of("response.done")[0]["response"]["status"] == "cancelled"
    assert c.seen.errors == []


async def test_speech_interrupts_nothing_where_that_is_switched_off(call):
    tale = ScriptedMind([Turn(when="story", say=STORY[:200])], hears=["enough of that"])
    off: Any = {"type": "server_vad", "interrupt_response": False, "create_response": False}
    c = await call(
        tale,
        config={"audio": {"input": {"turn_detection": off}}},
        speech_interrupts=False,
        server={"pace": 20.0},
    )
    c.session.send_message("tell a story")
    await c.seen.until(Audio)
    c.session.send_audio(await spoken("Enough of that now.") + silence(700))
    await c.call.sent.wait_for("input_audio_buffer.speech_stopped")
    assert (await c.seen.until(AgentEnd)).output == STORY[:200].strip()
    assert c.seen.of(AudioInterrupted) == []
    assert "conversation.item.truncate" not in c.call.received.types


async def test_a_player_that_reports_decides_where_the_answer_is_cut(call):
    player = PlaybackTracker()
    c = await call(TALE, playback=player)
    c.session.send_message("tell a story")
    sound = await c.seen.until(Audio, count=5)
    player.played(sound, 150.0)
    player.played(sound, 100.5)
    c.session.interrupt()
    truncate = await c.call.received.wait_for("conversation.item.truncate")
    assert truncate["audio_end_ms"] == 250
    await c.seen.until(
        HistoryUpdated,
        lambda e: any(
            item.item_id == sound.item_id and item.content and item.content[0].heard is not None
            for item in e.history
        ),
    )
    assert the_cut_message(c, sound.item_id).content[0].audio_end_ms == 250


async def test_a_player_that_has_played_nothing_leaves_nothing_heard(call):
    c = await call(TALE, playback=PlaybackTracker())
    c.session.send_message("tell a story")
    sound = await c.seen.until(Audio)
    c.session.interrupt()
    truncate = await c.call.received.wait_for("conversation.item.truncate")
    assert truncate["audio_end_ms"] == 0
    await c.call.sent.wait_for("conversation.item.truncated")
    await c.seen.until(
        HistoryUpdated, lambda e: [i.text for i in e.history if i.item_id == sound.item_id] == [""]
    )


async def test_a_tracker_serves_one_session():
    tracker = PlaybackTracker()
    RealtimeSession(RealtimeAgent(name="a"), playback=tracker)
    with pytest.raises(ValueError, match="make one for each"):
        RealtimeSession(RealtimeAgent(name="a"), playback=tracker)
