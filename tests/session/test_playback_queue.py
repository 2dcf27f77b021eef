"""Playback is a queue of parts: what was heard of each, and what an interruption cuts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from stapes import AudioInterrupted, HistoryUpdated, PlaybackTracker
from stapes.events import PlaybackEnded

if TYPE_CHECKING:
    from tests.talk import Talk, Talks


async def preamble_and_answer(talk: Talk) -> None:
    """Four seconds of a preamble, 0.3 s later four seconds of an answer."""
    await talk.answers("r1", "pre", "let me look that up for you now", ms=4000)
    await talk.after(0.3)
    await talk.answers("r2", "ans", "it is sunny in Paris today", ms=4000)


async def test_the_part_that_plays_is_cut_where_it_is_and_the_next_one_at_nothing(talks: Talks):
    talk = await talks.begin()
    await preamble_and_answer(talk)
    await talk.after(1.7)
    await talk.session.interrupt()
    await talk.settle()
    assert talk.cuts() == [("pre", 2000), ("ans", 0)]
    assert talk.heard() == {"pre": "let me look", "ans": ""}
    assert [event.response_id for event in talk.seen(AudioInterrupted)] == ["r1", "r2"]


async def test_a_tracker_cuts_the_part_that_it_names_and_those_after_it(talks: Talks):
    player = PlaybackTracker()
    talk = await talks.begin(playback=player)
    await preamble_and_answer(talk)
    player.played_in_all("pre", 0, 2000)
    await talk.session.interrupt()
    await talk.settle()
    assert talk.cuts() == [("pre", 2000), ("ans", 0)]


async def test_a_part_that_was_heard_to_its_end_is_left_alone(talks: Talks):
    talk = await talks.begin()
    await preamble_and_answer(talk)
    await talk.after(4.7)
    await talk.session.interrupt()
    await talk.settle()
    assert talk.cuts() == [("ans", 1000)]
    assert talk.heard()["pre"] == "let me look that up for you now"


async def test_two_items_of_one_response_play_one_after_the_other(talks: Talks):
    talk = await talks.begin()
    await talk.starts()
    await talk.speaks(item="a", ms=3000)
    await talk.speaks(item="b", ms=3000)
    await talk.after(1.0)
    await talk.session.interrupt()
    await talk.settle()
    assert talk.cuts() == [("a", 1000), ("b", 0)]
    assert len(talk.seen(AudioInterrupted)) == 1


async def test_a_stall_is_not_counted_as_played(talks: Talks):
    talk = await talks.begin()
    await talk.starts()
    await talk.speaks(ms=500)
    await talk.after(2.5)
    await talk.speaks(ms=4000)
    await talk.after(1.0)
    await talk.session.interrupt()
    await talk.settle()
    assert talk.cuts() == [("i", 1500)]


@pytest.mark.parametrize("end", ["item", "response"])
async def test_an_answer_without_output_audio_done_ends_all_the_same(talks: Talks, end: str):
    talk = await talks.begin()
    await talk.starts()
    await talk.speaks(ms=500)
    if end == "item":
        item = {"id": "i", "type": "message", "role": "assistant", "content": []}
        done = {"type": "response.output_item.done", "response_id": "r", "item": item}
        await talk.says(done)
    else:
        await talk.ends()
    await talk.after(60)
    await talk.session.interrupt()
    await talk.says({"type": "input_audio_buffer.speech_started"})
    assert talk.cuts() == []
    assert talk.seen(AudioInterrupted) == []


async def test_the_history_has_the_cut_version_before_the_interruption_is_seen(talks: Talks):
    talk = await talks.begin()
    found: list[Any] = []

    def look(_: AudioInterrupted) -> None:
        found.append((talk.session.history[0].text, talk.session.history[0].content[0].heard))

    talk.session.on("audio_interrupted", look)
    await talk.answers("r", "i", "one two three four", ms=4000)
    await talk.after(2.0)
    talk.events.clear()
    await talk.says({"type": "input_audio_buffer.speech_started"})
    assert found == [("one two", "one two")]
    assert talk.order(HistoryUpdated, AudioInterrupted) == ["HistoryUpdated", "AudioInterrupted"]
    await talk.server.close(1001, "going away")
    await talk.settle()
    assert talk.heard() == {"i": "one two"}


async def test_an_item_of_which_nothing_was_heard_is_deleted_once_where_the_cut_is_refused(
    talks: Talks,
):
    talk = await talks.begin()
    await talk.answers("r1", "pre", "let me look", ms=1000)
    await talk.answers("r2", "ans", "it is sunny", ms=1000)
    await talk.after(0.5)
    await talk.session.interrupt()
    await talk.settle()
    heard, unheard = talk.sent("conversation.item.truncate")
    assert "event_id" not in heard
    error = {"code": "invalid_value", "message": "no", "event_id": unheard["event_id"]}
    await talk.says({"type": "error", "error": error}, {"type": "error", "error": error})
    assert [message["item_id"] for message in talk.sent("conversation.item.delete")] == ["ans"]
    await talk.says({"type": "conversation.item.deleted", "item_id": "ans"})
    assert talk.heard() == {"pre": "let"}


async def test_the_end_of_playback_is_an_event(talks: Talks):
    talk = await talks.begin()
    await talk.answers("r1", "a", "one", ms=1000)
    await talk.answers("r2", "b", "two", ms=1000)
    await talk.after(0.9)
    assert talk.seen(PlaybackEnded) == []
    await talk.after(0.1)
    assert talk.seen(PlaybackEnded) == [PlaybackEnded("r1", 1000, interrupted=False)]
    await talk.after(0.25)
    await talk.session.interrupt()
    await talk.settle()
    assert talk.seen(PlaybackEnded)[1:] == [PlaybackEnded("r2", 250, interrupted=True)]


async def test_played_waits_until_the_answer_that_was_asked_for_has_been_heard(talks: Talks):
    talk = await talks.begin()
    talk.session.send_message("say goodbye")
    waiting = asyncio.ensure_future(_played(talk))
    await talk.settle()
    await talk.answers("r", "i", "goodbye", ms=2000)
    await talk.after(1.999)
    assert not waiting.done()
    await talk.after(0.001)
    assert await waiting
    assert await talk.session.played(), "nothing is left: it is there at once"


async def test_played_tells_an_answer_that_was_cut_and_a_connection_that_ended(talks: Talks):
    talk = await talks.begin()
    await talk.answers("r", "i", "goodbye", ms=2000)
    waiting = asyncio.ensure_future(_played(talk))
    await talk.settle()
    await talk.session.interrupt()
    assert not await waiting
    await talk.answers("r2", "j", "goodbye", ms=2000)
    waiting = asyncio.ensure_future(_played(talk))
    await talk.settle()
    await talk.session.close()
    assert not await waiting


async def test_a_player_that_reports_ends_playback(talks: Talks):
    player = PlaybackTracker()
    talk = await talks.begin(playback=player)
    await talk.answers("r", "i", "goodbye", ms=2000)
    waiting = asyncio.ensure_future(_played(talk))
    await talk.after(100)
    player.played_in_all("i", 0, 1999)
    await talk.settle()
    assert not waiting.done()
    player.played_in_all("i", 0, 2000)
    assert await waiting
    assert talk.seen(PlaybackEnded) == [PlaybackEnded("r", 2000, interrupted=False)]


async def test_a_wait_for_the_end_of_playback_can_be_cancelled(talks: Talks):
    talk = await talks.begin()
    await talk.answers("r", "i", "goodbye", ms=2000)
    waiting = asyncio.ensure_future(_played(talk))
    await talk.settle()
    waiting.cancel()
    await asyncio.wait([waiting])
    await talk.after(10)
    assert waiting.cancelled()
    assert await talk.session.played()


async def _played(talk: Talk) -> bool:
    return await talk.session.played()
