"""A caller who makes a sound and says nothing: the answer waits, and goes on."""

from __future__ import annotations

import base64
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.calls.browser_page import BrowserPage
from tests.calls.test_browser_calls import SECOND, is_cut, listening, tone
from tests.calls.test_twilio_calls import Desk, sound_of, speak, until

from stapes.calls import AsgiCall, CallOptions, CallServer
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

OPTIONS = CallOptions(resume_after=0.2)


@asynccontextmanager
async def in_an_answer(options: CallOptions = OPTIONS) -> AsyncIterator[Any]:
    """A page that has played half a second of an answer of four: it, the desk, and the model."""
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk, options=options) as url, BrowserPage(url) as page:
            await page.start()
            await until(lambda: desk.session is not None)
            await speak(model, tone(4.0))
            await page.until(lambda: len(page.heard) == 4 * SECOND)
            page.played = 12_000
            await page.say(tone(0.1))
            await until(lambda: sound_of(model.received))
            yield page, desk, model


def kinds(page: BrowserPage) -> list[str]:
    """What the page was told of its playback."""
    told = [message["type"] for message in page.messages]
    return [kind for kind in told if kind in ("pause", "resume", "clear")]


async def sound_of_the_caller(model: ScriptedServer) -> None:
    """The model hears a sound, and its end."""
    await model.send({"type": "input_audio_buffer.speech_started", "item_id": "u"})
    await model.send({"type": "input_audio_buffer.speech_stopped", "item_id": "u"})


async def transcribed(model: ScriptedServer, words: str) -> None:
    """The model has understood this."""
    kind = "conversation.item.input_audio_transcription.completed"
    await model.send({"type": kind, "item_id": "u", "content_index": 0, "transcript": words})


@pytest.mark.parametrize("words", [None, "", " \n"])
async def test_an_answer_goes_on_after_a_sound_without_words(words: str | None):
    async with in_an_answer() as (page, _, model):
        await sound_of_the_caller(model)
        if words is not None:
            await transcribed(model, words)
        await page.until(lambda: kinds(page) == ["pause", "resume"])
        assert not any(is_cut(message) for message in model.received)
        assert not page.told("interrupted")


async def test_words_interrupt_where_the_answer_was_paused():
    async with in_an_answer(CallOptions(resume_after=30)) as (page, _, model):
        await sound_of_the_caller(model)
        await page.until(lambda: kinds(page) == ["pause"])
        await transcribed(model, "Wait.")
        await page.until(lambda: page.generation == 1)
        await until(lambda: any(is_cut(message) for message in model.received))
        cut = next(message for message in model.received if is_cut(message))
        assert 450 <= cut["audio_end_ms"] <= page.most_heard_ms + 60
        await page.until(lambda: bool(page.told("interrupted")))


async def test_the_models_own_answer_to_the_sound_interrupts():
    async with in_an_answer(CallOptions(resume_after=30)) as (page, _, model):
        await sound_of_the_caller(model)
        await page.until(lambda: kinds(page) == ["pause"])
        await model.send({"type": "response.created", "response": {"id": "r2"}})
        await page.until(lambda: kinds(page)[1:2] == ["clear"])
        assert not any(message["type"] == "response.cancel" for message in model.received)


async def test_a_command_interrupts_what_is_paused():
    async with in_an_answer(CallOptions(resume_after=30)) as (page, desk, model):
        await model.send({"type": "input_audio_buffer.speech_started", "item_id": "u"})
        await page.until(lambda: kinds(page) == ["pause"])
        desk.session.interrupt()
        # A page that is told to clear while it is paused is told to go on as well.
        await page.until(lambda: kinds(page) == ["pause", "clear", "resume"])


async def test_a_lost_connection_does_not_leave_the_answer_paused():
    async with in_an_answer(CallOptions(resume_after=30)) as (page, _, model):
        await sound_of_the_caller(model)
        await page.until(lambda: kinds(page) == ["pause"])
        model.terminate()
        await page.until(lambda: kinds(page)[1:2] == ["resume"])


async def test_sounds_one_after_another_pause_once_and_each_is_waited_for():
    async with in_an_answer() as (page, _, model):
        for _ in range(3):
            await sound_of_the_caller(model)
        await page.until(lambda: kinds(page) == ["pause", "resume"])
        await sound_of_the_caller(model)
        await page.until(lambda: kinds(page) == ["pause", "resume"] * 2)


async def test_speech_while_nothing_plays_pauses_nothing():
    async with ScriptedServer() as model:
        desk = Desk(model)
        async with listening(desk, options=OPTIONS) as url, BrowserPage(url) as page:
            await page.start()
            await until(lambda: desk.session is not None)
            await sound_of_the_caller(model)
            await speak(model, tone(0.5))
            await page.until(lambda: len(page.heard) == SECOND // 2)
            assert kinds(page) == []


def test_a_carrier_that_cannot_pause_is_refused_by_name():
    with pytest.raises(ValueError, match=r"resume_after: twilio cannot .* asterisk or browser"):
        CallServer().twilio("/twilio", options=OPTIONS)(None)
    with pytest.raises(ValueError, match="resume_after: audiosocket"):
        CallServer().audiosocket(port=0, options=OPTIONS)(None)
    with pytest.raises(ValueError, match="give seconds"):
        CallOptions(resume_after=0)


async def test_a_carrier_that_cannot_pause_is_refused_in_an_app():
    websocket: Any = None
    with pytest.raises(ValueError, match="resume_after: plivo"):
        AsgiCall(websocket, carrier="plivo", options=OPTIONS)


async def test_words_that_come_late_interrupt_what_went_on():
    async with in_an_answer() as (page, _, model):
        await sound_of_the_caller(model)
        await page.until(lambda: kinds(page) == ["pause", "resume"])
        await transcribed(model, "Stop, please.")
        await page.until(lambda: page.generation == 1)
        await until(lambda: any(is_cut(message) for message in model.received))


async def test_a_turn_without_words_is_over_when_that_is_known():
    async with in_an_answer() as (page, _, model):
        await sound_of_the_caller(model)
        await page.until(lambda: kinds(page) == ["pause", "resume"])
        await transcribed(model, "")
        # Of an older turn: nothing was paused for it.
        await transcribed(model, "An older turn.")
        await sound_of_the_caller(model)
        await page.until(lambda: kinds(page) == ["pause", "resume"] * 2)
        assert not any(is_cut(message) for message in model.received)


async def test_a_page_that_has_played_all_that_came_is_not_left_paused():
    async with in_an_answer(CallOptions(resume_after=30)) as (page, _, model):
        page.played = 4 * 24_000
        # It is not known yet that the answer has no more.
        ids = {"response_id": "r2", "item_id": "i2", "content_index": 0}
        await model.send({"type": "response.created", "response": {"id": "r2"}})
        sound = base64.b64encode(tone(0.1)).decode()
        await model.send({"type": "response.output_audio.delta", "delta": sound, **ids})
        await page.until(lambda: len(page.heard) > 4 * SECOND)
        await sound_of_the_caller(model)
        await page.until(lambda: kinds(page) == ["pause"])
        page.played += 2_400
        await page.say(tone(0.1))
        await until(lambda: len(sound_of(model.received)) > len(tone(0.1)))
        await transcribed(model, "Wait.")
        await page.until(lambda: kinds(page)[-1] == "resume")


async def test_a_sound_does_not_end_a_hold_of_the_application():
    async with in_an_answer() as (page, desk, model):
        heard: list[str] = []
        desk.session.on("transport_event", lambda event: heard.append(event.event["type"]))
        desk.call.pause_output()
        await page.until(lambda: kinds(page) == ["pause"])
        await sound_of_the_caller(model)
        await transcribed(model, "")
        await sound_of_the_caller(model)
        await until(lambda: heard.count("input_audio_buffer.speech_stopped") == 2)
        assert kinds(page) == ["pause"]
        desk.call.pause_output(False)
        await page.until(lambda: kinds(page) == ["pause", "resume"])


async def test_the_server_does_not_interrupt_by_itself_what_may_go_on():
    async with in_an_answer() as (_, _, model):
        detection = model.received[0]["session"]["audio"]["input"]["turn_detection"]
        assert detection == {"type": "semantic_vad", "interrupt_response": False}
