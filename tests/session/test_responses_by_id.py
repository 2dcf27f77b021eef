"""Responses are known by id: several in flight, who may ask for the next, who is asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from agents import function_tool

from stapes import AgentEnd, AgentStart, Error, ResponseDone, StapesError, TranscriptDelta

if TYPE_CHECKING:
    from tests.talk import Talk, Talks

OUT_OF_BAND: dict[str, Any] = {"conversation_id": None, "metadata": {"topic": "mood"}}
ACTIVE = "conversation_already_has_active_response"


def creates(talk: Talk) -> int:
    return len(talk.sent("response.create"))


async def refuse(talk: Talk, *, linked: bool = True) -> None:
    """The server refuses the last request: another response is in progress."""
    last = talk.sent("response.create")[-1]["event_id"]
    error = {"code": ACTIVE, "message": "active", "event_id": last if linked else None}
    await talk.says({"type": "error", "error": error})


@function_tool
async def weather() -> str:
    return "sunny"


async def test_a_response_out_of_band_changes_nothing_for_the_conversation(talks: Talks):
    talk = await talks.begin()
    await talk.starts("main", conversation_id="conv_1")
    await talk.speaks("main")
    await talk.starts("oob", **OUT_OF_BAND)
    item = {
        "id": "o",
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "output_text", "text": "happy"}],
    }
    of = {"response_id": "oob", "item_id": "o", "content_index": 0}
    await talk.says(
        {"type": "response.output_item.added", "response_id": "oob", "item": item},
        {"type": "response.output_text.delta", "delta": "happy", **of},
        {"type": "response.output_item.done", "response_id": "oob", "item": item},
    )
    await talk.ends("oob", output=[item], status="completed", **OUT_OF_BAND)
    await talk.session.send_message("and now")
    await talk.settle()
    assert creates(talk) == 0, "the main response is still in progress"
    await talk.session.interrupt()
    await talk.settle()
    assert talk.cancelled() == ["main"]
    assert [item_id for item_id, _ in talk.cuts()] == ["i"]
    assert list(talk.session.history) == []
    assert len(talk.seen(AgentStart)) == 1
    assert talk.seen(AgentEnd) == []
    assert talk.seen(TranscriptDelta) == []
    (done,) = talk.seen(ResponseDone)
    assert (done.response_id, done.out_of_band) == ("oob", True)
    assert done.metadata == {"topic": "mood"}
    assert done.items == (item,)
    await talk.ends("main", status="cancelled")
    assert creates(talk) == 1


async def test_a_request_out_of_band_waits_for_no_response_and_holds_none_up(talks: Talks):
    talk = await talks.begin()
    await talk.starts("main")
    await talk.session.request_response({"conversation": "none"})
    await talk.settle()
    assert creates(talk) == 1
    await talk.ends("main")
    await talk.session.send_message("hello")
    await talk.settle()
    assert creates(talk) == 2


@pytest.mark.parametrize("linked", [True, False])
async def test_a_request_that_the_servers_own_response_was_first_of_is_asked_again(
    talks: Talks, linked: bool
):
    talk = await talks.begin(weather)
    await talk.starts("r1")
    await talk.calls("weather", response="r1")
    await talk.ends("r1")
    assert (talk.outputs(), creates(talk)) == (["sunny"], 1)
    await talk.starts("vad")
    await refuse(talk, linked=linked)
    assert creates(talk) == 1
    await talk.ends("vad")
    assert creates(talk) == 2
    await talk.starts("r2")
    await talk.ends("r2")
    assert creates(talk) == 2


async def test_a_burst_of_an_end_and_the_servers_own_response_loses_no_request(talks: Talks):
    talk = await talks.begin()
    await talk.starts("r1")
    await talk.session.send_message("and this?")
    await talk.server.send({"type": "response.done", "response": {"id": "r1"}})
    await talk.starts("r2")
    await refuse(talk)
    assert creates(talk) == 1
    await talk.ends("r2")
    assert creates(talk) == 2


async def test_a_coalesced_request_that_was_refused_goes_into_the_one_that_waits(talks: Talks):
    talk = await talks.begin()
    await talk.starts("r0")
    await talk.session.send_message("one")
    await talk.session.send_message("two")
    await talk.ends("r0")
    await talk.session.send_message("three")
    event_id = talk.sent("response.create")[0]["event_id"]
    await talk.says({"type": "error", "error": {"code": "rate_limit", "event_id": event_id}})
    assert creates(talk) == 2
    await talk.starts("r1")
    await talk.ends("r1")
    assert creates(talk) == 2


async def test_a_stray_refusal_of_a_cancellation_ends_nothing(talks: Talks):
    talk = await talks.begin()
    await talk.starts("r1")
    await talk.speaks("r1")
    stray = {"type": "error", "error": {"code": "response_cancel_not_active", "message": "no"}}
    await talk.says(stray)
    await talk.session.send_message("hi")
    await talk.settle()
    assert creates(talk) == 0
    await talk.says({"type": "input_audio_buffer.speech_started"})
    assert talk.cancelled() == ["r1"]


async def test_a_cancellation_that_came_too_late_does_not_end_the_next_response(talks: Talks):
    talk = await talks.begin()
    await talk.starts("r1")
    await talk.session.interrupt()
    await talk.ends("r1", status="completed")
    await talk.starts("r2")
    await talk.session.interrupt()
    await talk.settle()
    assert talk.cancelled() == ["r1", "r2"]
    late = {"type": "error", "error": {"code": "response_cancel_not_active", "message": "no"}}
    await talk.says(late)
    await talk.session.send_message("hi")
    await talk.settle()
    assert creates(talk) == 0, "r2 has not ended"
    await talk.ends("r2", status="cancelled")
    assert creates(talk) == 1


async def test_a_response_that_never_ends_is_told_and_holds_nobody_up_for_ever(talks: Talks):
    talk = await talks.begin(response_timeout=30)
    await talk.starts("r1")
    await talk.session.send_message("hello?")
    await talk.after(29.9)
    assert creates(talk) == 0
    await talk.after(0.1)
    (error,) = talk.seen(Error)
    assert isinstance(error.error, StapesError)
    assert "r1" in str(error.error)
    assert "response_timeout" in str(error.error)
    assert creates(talk) == 1
    await talk.ends("r1")
    assert creates(talk) == 1


async def test_a_response_that_goes_on_is_not_given_up(talks: Talks):
    talk = await talks.begin(response_timeout=30)
    await talk.starts("r1")
    await talk.session.send_message("hello?")
    for _ in range(4):
        await talk.after(20)
        await talk.speaks("r1")
    assert (creates(talk), talk.seen(Error)) == (0, [])


async def test_an_end_under_another_id_ends_the_response_and_its_tools_are_spoken_of(talks: Talks):
    talk = await talks.begin(weather)
    await talk.starts("r1")
    await talk.calls("weather", response="r1")
    assert (talk.outputs(), creates(talk)) == (["sunny"], 0)
    await talk.ends("other")
    assert creates(talk) == 1


async def test_the_end_of_a_response_that_was_given_up_ends_no_other(talks: Talks):
    talk = await talks.begin()
    await talk.starts("r1")
    await talk.starts("r2")
    await talk.ends("r1")
    await talk.session.send_message("hello?")
    await talk.settle()
    assert creates(talk) == 0
    await talk.ends("r2")
    assert creates(talk) == 1
