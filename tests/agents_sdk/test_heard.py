"""What was heard of an answer: by the clock, and by the player of a user's tracker."""

from __future__ import annotations

import asyncio
from typing import Any

import frames
import pytest
from agents.realtime import RealtimeAgent, RealtimeRunner
from agents.realtime.model import RealtimePlaybackState, RealtimePlaybackTracker
from agents.realtime.model_inputs import RealtimeModelSendInterrupt
from sdk_call import KEY, SECONDS, Recorder, eventually, of_type

from stapes.agents_sdk import StapesRealtimeModel
from stapes.testing import ScriptedServer


@pytest.fixture
async def server():
    async with ScriptedServer(first_event=frames.session()) as server:
        yield server


async def connect(stack: Any, server: ScriptedServer, **options: Any) -> Any:
    model = StapesRealtimeModel(reconnect=None)
    recorder = Recorder(model)
    config: Any = {"api_key": KEY, "url": server.url, **options}
    await model.connect(config)
    stack.push_async_callback(model.close)
    await server.receive(2)
    return model, recorder


async def hears(server: ScriptedServer, recorder: Recorder, script: list[frames.Frame]) -> None:
    """The server sends these, and they have been read."""
    for frame in script:
        await server.send(frame)
    await server.send(frames.event("rate_limits.updated", rate_limits=[]))
    await recorder.until_said("rate_limits.updated")
    recorder.events.remove(recorder.of("raw_server_event")[-1])


def cuts(server: ScriptedServer) -> list[tuple[str, int]]:
    truncated = of_type(server.received, "conversation.item.truncate")
    return [(message["item_id"], message["audio_end_ms"]) for message in truncated]


class OwnTracker(RealtimePlaybackTracker):
    """Asks the player where it is when it is asked itself."""

    def __init__(self) -> None:
        super().__init__()
        self.at: tuple[str, int, float] | None = None

    def get_state(self) -> RealtimePlaybackState:
        item_id, index, elapsed = self.at or (None, None, None)
        return {
            "current_item_id": item_id,
            "current_item_content_index": index,
            "elapsed_ms": elapsed,
        }

    def on_interrupted(self) -> None:
        self.at = None


@pytest.mark.parametrize("by", ["speech", "command"])
async def test_an_answer_is_cut_where_the_players_tracker_is(stack, server, by):
    tracker = RealtimePlaybackTracker()
    model, recorder = await connect(stack, server, playback_tracker=tracker)
    await hears(server, recorder, frames.answer(ms=4_000))
    (first, *_) = recorder.of("audio")
    tracker.on_play_bytes("i", 0, first.data[: 48 * 700])
    tracker.on_play_ms("i", 0, 50.0)
    if by == "speech":
        await server.send(frames.speech_starts())
    else:
        await model.send_event(RealtimeModelSendInterrupt())
    await recorder.until("audio_interrupted")
    await eventually(lambda: cuts(server) == [("i", 750)])
    assert tracker.get_state()["current_item_id"] is None


async def test_a_tracker_of_the_users_own_is_asked_when_the_user_speaks(stack, server):
    tracker = OwnTracker()
    _, recorder = await connect(stack, server, playback_tracker=tracker)
    await hears(server, recorder, [*frames.answer(ms=2_000), *frames.answer("j", "s", ms=2_000)])
    tracker.at = ("j", 0, 1_234.6)
    await server.send(frames.speech_starts())
    cut = await recorder.until("audio_interrupted")
    assert cut.item_id == "j"
    await eventually(lambda: cuts(server) == [("j", 1_234)])
    assert len(recorder.of("audio_interrupted")) == 1, "the first answer was heard to its end"
    assert tracker.at is None


async def test_what_a_player_has_not_begun_was_not_heard(stack, server):
    tracker = RealtimePlaybackTracker()
    _, recorder = await connect(stack, server, playback_tracker=tracker)
    await hears(server, recorder, [*frames.answer(), *frames.answer("j", "s")])
    await server.send(frames.speech_starts())
    await recorder.until("audio_interrupted", 2)
    await eventually(lambda: cuts(server) == [("i", 0), ("j", 0)])


@pytest.mark.parametrize("interrupts", [True, False])
async def test_with_a_tracker_the_answer_is_cancelled_unless_the_server_does(
    stack, server, interrupts
):
    tracker = RealtimePlaybackTracker()
    _, recorder = await connect(stack, server, playback_tracker=tracker)
    begun = [frames.turn_detection(interrupts=interrupts), *frames.answer()[:6]]
    await hears(server, recorder, begun)
    tracker.on_play_ms("i", 0, 100.0)
    await server.send(frames.speech_starts())
    await recorder.until("audio_interrupted")
    await eventually(lambda: cuts(server) == [("i", 100)])
    assert bool(of_type(server.received, "response.cancel")) is not interrupts


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ({"type": "audio/pcm", "rate": 24000}, "pcm16"),
        ({"type": "audio/pcmu"}, "g711_ulaw"),
        ({"type": "audio/pcma"}, "g711_alaw"),
    ],
)
async def test_a_tracker_is_told_the_format(stack, server, stated, told):
    formats = []

    class Told(RealtimePlaybackTracker):
        def set_audio_format(self, format: Any) -> None:  # noqa: A002 - theirs
            formats.append(format)

    _, recorder = await connect(stack, server, playback_tracker=Told())
    await hears(
        server, recorder, [frames.session("session.updated", audio={"output": {"format": stated}})]
    )
    assert formats == ["pcm16", told]


async def test_every_part_that_was_not_heard_is_named(stack, server):
    model, recorder = await connect(stack, server)
    answer = [frames.begins(), frames.item_added(), frames.sound(60_000)]
    more = [frames.sound(500, content_index=1), frames.item_added("j"), frames.sound(500, "j")]
    await hears(server, recorder, [*answer, *more])
    await model.send_event(RealtimeModelSendInterrupt())
    await recorder.until("audio_interrupted", 3)
    named = [(it.item_id, it.content_index) for it in recorder.of("audio_interrupted")]
    assert named == [("i", 0), ("i", 1), ("j", 0)]


async def test_stopping_one_response_leaves_the_other_one_playing(stack, server):
    model, recorder = await connect(stack, server)
    await hears(server, recorder, [*frames.answer(ms=60_000), *frames.answer("j", "s", ms=60_000)])
    await model.send_event(RealtimeModelSendInterrupt(response_id="s", playback_only=True))
    cut = await recorder.until("audio_interrupted")
    assert cut.item_id == "j"
    await eventually(lambda: cuts(server) == [("j", 0)])
    await model.send_event(RealtimeModelSendInterrupt(playback_only=True))
    await recorder.until("audio_interrupted", 2)
    assert [item for item, _ in cuts(server)] == ["j", "i"]
    assert of_type(server.received, "response.cancel") == []


async def test_the_sdks_history_has_the_words_that_were_heard(stack, server):
    tracker = RealtimePlaybackTracker()
    model = StapesRealtimeModel(reconnect=None)
    recorder = Recorder(model)
    runner = RealtimeRunner(RealtimeAgent(name="desk"), model=model)
    config: Any = {"api_key": KEY, "url": server.url, "playback_tracker": tracker}
    session = await stack.enter_async_context(await runner.run(model_config=config))
    text = "one two three four five six seven eight nine ten"
    begun = [frames.begins(), frames.item_added(), frames.words(text), frames.sound(4_000)]
    await hears(server, recorder, begun)
    tracker.on_play_ms("i", 0, 2_000.0)
    await server.send(frames.speech_starts())
    await recorder.until("audio_interrupted")
    # What still comes of it says more than was heard.
    late = [frames.words(" eleven"), frames.item_done(text=text, status="incomplete")]
    await hears(server, recorder, [*late, frames.ends(status="cancelled")])
    histories = []
    async with asyncio.timeout(SECONDS):
        async for event in session:
            if event.type == "history_updated":
                histories.append(event.history)
            if event.type == "agent_end":
                break
    (item,) = histories[-1]
    assert item.content[0].transcript == "one two three four five"
    assert item.status == "incomplete"


async def test_of_an_answer_that_nobody_heard_no_words_stay(stack, server):
    tracker = RealtimePlaybackTracker()
    _, recorder = await connect(stack, server, playback_tracker=tracker)
    await hears(server, recorder, frames.answer())
    await server.send(frames.speech_starts())
    await recorder.until("audio_interrupted")
    said = recorder.of("item_updated")[-1].item.content[0].transcript
    assert said
    assert not said.strip()


@pytest.mark.parametrize(
    "interrupt",
    [
        RealtimeModelSendInterrupt(playback_only=True, force_response_cancel=True),
        RealtimeModelSendInterrupt(playback_only=True, cancel_response_only=True),
        RealtimeModelSendInterrupt(cancel_response_only=True),
    ],
)
async def test_interruptions_that_cannot_be_meant_are_refused(stack, server, interrupt):
    model, _ = await connect(stack, server)
    with pytest.raises(ValueError, match=r"cannot be combined|requires response_id"):
        await model.send_event(interrupt)
    assert len(server.received) == 2


async def test_sound_is_resampled_both_ways(stack, server):
    model = StapesRealtimeModel(input_sample_rate=48_000, output_sample_rate=8_000)
    recorder = Recorder(model)
    await model.connect({"api_key": KEY, "url": server.url})
    stack.push_async_callback(model.close)
    await hears(server, recorder, frames.answer(ms=1_000))
    assert sum(len(event.data) for event in recorder.of("audio")) == 2 * 8_000
    for _ in range(10):
        await model.send_event(audio_of(bytes(2 * 4_800)))
    await model.send_event(audio_of(b"", commit=True))
    await eventually(lambda: of_type(server.received, "input_audio_buffer.commit"))
    sent = of_type(server.received, "input_audio_buffer.append")
    assert sum(len(message["audio"]) for message in sent) * 3 // 4 == pytest.approx(
        48_000, rel=0.01
    )


def audio_of(sound: bytes, *, commit: bool = False) -> Any:
    from agents.realtime.model_inputs import RealtimeModelSendAudio

    return RealtimeModelSendAudio(audio=sound, commit=commit)
