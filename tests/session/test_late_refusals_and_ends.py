"""A refusal is of the cancellation that caused it, and each start of sound has one end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stapes import AudioInterrupted, AudioStart, AudioStopped

if TYPE_CHECKING:
    from tests.talk import Talk, Talks

SOUND = (AudioStart, AudioStopped, AudioInterrupted)


def refusal(event_id: str | None = None) -> dict[str, Any]:
    code = "response_cancel_not_active"
    error = {"type": "invalid_request_error", "code": code, "message": "none", "event_id": event_id}
    return {"type": "error", "error": error}


async def asks_and_is_asked(talk: Talk, response: str) -> bool:
    """Whether a request for a response waits for the end of that one."""
    before = len(talk.sent("response.create"))
    await talk.session.request_response()
    await talk.settle()
    waits = len(talk.sent("response.create")) == before
    await talk.ends(response, status="cancelled")
    return waits and len(talk.sent("response.create")) == before + 1


@pytest.mark.parametrize("event_id", [None, "mine"])
async def test_a_refused_cancellation_of_the_users_ends_no_later_response(
    talks: Talks, event_id: str | None
) -> None:
    talk = await talks.begin()
    raw = {"type": "response.cancel"} | ({"event_id": event_id} if event_id else {})
    talk.session.transport.send_event(raw)
    await talk.starts("r1")
    await talk.session.interrupt()
    await talk.says(refusal(event_id))
    assert await asks_and_is_asked(talk, "r1")


async def test_late_refusals_in_any_number_end_no_later_response(talks: Talks) -> None:
    talk = await talks.begin()
    talk.session.transport.send_event({"type": "response.cancel"})
    await talk.starts("r1")
    await talk.session.interrupt()
    # The server had ended r1 by itself, and took the first cancellation for r2.
    await talk.ends("r1", status="completed")
    await talk.starts("r2")
    await talk.session.interrupt()
    await talk.says(refusal())
    details = {"type": "cancelled", "reason": "client_cancelled"}
    await talk.ends("r2", status="cancelled", status_details=details)
    await talk.starts("r3")
    await talk.session.interrupt()
    await talk.says(refusal())
    assert await asks_and_is_asked(talk, "r3")


async def test_a_refused_cancellation_of_the_current_response_says_that_it_is_over(
    talks: Talks,
) -> None:
    talk = await talks.begin()
    await talk.starts("r1")
    await talk.session.interrupt()
    await talk.session.request_response()
    await talk.says(refusal())
    assert len(talk.sent("response.create")) == 1


async def test_sound_that_was_told_as_over_does_not_stop_again(talks: Talks) -> None:
    talk = await talks.begin()
    await talk.starts("r")
    await talk.speaks("r", "i1")
    await talk.has_spoken("r", "i1")
    await talk.session.interrupt()
    # A second item of it follows, of which nothing is passed on.
    await talk.speaks("r", "i2")
    await talk.has_spoken("r", "i2")
    assert talk.order(*SOUND) == ["AudioStart", "AudioStopped", "AudioInterrupted"]


async def test_sound_whose_end_the_server_does_not_say_stops_with_the_next_response(
    talks: Talks,
) -> None:
    talk = await talks.begin()
    for response in ("r1", "r2"):
        await talk.starts(response)
        await talk.speaks(response, f"i_{response}")
        await talk.ends(response, status="completed")
    assert talk.order(*SOUND) == ["AudioStart", "AudioStopped", "AudioStart"]
