"""Calls of web pages over WebRTC whose model is called over WebRTC, too: Opus from end to end."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.calls.browser_page import BrowserPage
from tests.calls.opus_peers import Heard, OpusModel, OpusTrack, packets_of, sound_of_packets
from tests.calls.test_twilio_calls import AGENT, until
from tests.calls.test_webrtc_calls import listening, sweep
from tests.calls.webrtc_page import RATE, WebRTCPage, correlation
from tests.webrtc.lossy import LossyNetwork

from stapes import Audio, RealtimeSession, ReconnectPolicy, WebRTCTransport

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from stapes.calls import Call

pytestmark = pytest.mark.real_time


class Desk:
    """An answer with a session over WebRTC, which the test looks into."""

    def __init__(self, url: str, **options: Any) -> None:
        self.url = url
        self.options = options
        self.session: RealtimeSession[Any] | None = None
        self.call: Call | None = None

    async def __call__(self, call: Call) -> None:
        self.call = call
        transport = WebRTCTransport(url=self.url, **self.options)
        soon = ReconnectPolicy(base_delay=0.05, go_on=None)
        async with RealtimeSession(
            AGENT, call=call, transport=transport, api_key="test", reconnect=soon
        ) as session:
            self.session = session
            await call.ended()

    @property
    def to_model(self) -> tuple[int, int]:
        """Packets sent to the model, and those of them that were passed on."""
        assert self.session is not None
        sound = self.session.transport.sound
        return (sound.packets_sent, sound.packets_passed) if sound is not None else (0, 0)

    @property
    def to_page(self) -> tuple[int, int]:
        """The same of the page."""
        assert self.call is not None
        sound = self.call.sound
        return (sound.packets_sent, sound.packets_passed) if sound is not None else (0, 0)


class Talk:
    """A call from end to end."""

    def __init__(self, model: OpusModel, desk: Desk, page: WebRTCPage) -> None:
        self.model, self.desk, self.page = model, desk, page
        self.microphone = page.microphone
        self.heard = Heard([])


def page_of(url: str, **options: Any) -> WebRTCPage:
    """A page that sends packets which are known."""
    return WebRTCPage(url, microphone=OpusTrack(), **options)


async def started(page: WebRTCPage, desk: Desk, model: OpusModel) -> Heard:
    """Has a page call. Returns what it hears."""
    await page.start()
    heard = Heard.by(page.connection)
    await model.is_called()
    await until(lambda: desk.session is not None)
    # The first second tells whether packets are passed on.
    await until(lambda: desk.to_model[1] > 10)
    return heard


@asynccontextmanager
async def talking(**options: Any) -> AsyncIterator[Talk]:
    """A page that talks with a model."""
    async with OpusModel() as model:
        desk = Desk(model.url, **options)
        async with listening(desk) as url, page_of(url) as page:
            talk = Talk(model, desk, page)
            talk.heard = await started(page, desk, model)
            yield talk


def tone(seconds: float, pitch: int) -> np.ndarray:
    """Sound that is none of a `sweep`, whose place is known."""
    times = np.arange(int(RATE * seconds)) / RATE
    return (9_000 * np.sin(2 * np.pi * (100 * pitch + 70 * times) * times)).astype("<i2")


def is_found(said: np.ndarray, heard: np.ndarray) -> bool:
    """Whether what was said was heard."""
    return correlation(said, heard) > 0.9


def halves_found(said: np.ndarray, heard: np.ndarray) -> int:
    """How many half seconds of what was said were heard."""
    half = RATE // 2
    return sum(is_found(said[at : at + half], heard) for at in range(0, len(said), half))


def keep_their_time(end: Heard, packets: list[bytes], milliseconds: int = 20) -> bool:
    """Whether these packets came in order, each at its distance from the one before."""
    gaps = np.diff(end.places(packets), axis=0)
    in_place = gaps[:, 0] * 48 * milliseconds == gaps[:, 1]
    return bool((gaps[:, 0] > 0).all() and in_place.mean() > 0.95)


async def test_packets_of_the_page_reach_the_model_as_they_are():
    async with talking() as talk:
        said = packets_of(sweep(2.0))
        before = talk.desk.to_model
        talk.microphone.say(said)
        await until(lambda: talk.model.heard.has(said))
        assert keep_their_time(talk.model.heard, said)
        await until(lambda: talk.desk.to_model[0] - before[0] >= 100)
        sent, passed = np.subtract(talk.desk.to_model, before)
        assert passed == sent
        await talk.model.until(lambda: is_found(sweep(2.0), talk.model.heard.samples))


async def test_packets_of_the_model_reach_the_page_as_they_are():
    async with talking() as talk:
        answer = packets_of(sweep(2.0))
        await talk.model.speak(answer)
        await until(lambda: talk.heard.has(answer))
        assert keep_their_time(talk.heard, answer)
        # The silence behind it is a packet, too.
        await until(lambda: talk.desk.to_page[0] >= len(answer) + 5)
        sent, passed = talk.desk.to_page
        assert passed == sent
        await talk.page.until(lambda: is_found(sweep(2.0), talk.page.samples))


@pytest.mark.parametrize("milliseconds", [10, 40, 60])
async def test_packets_of_other_lengths_keep_their_time(milliseconds: int):
    async with talking() as talk:
        said = packets_of(sweep(1.2), milliseconds=milliseconds)
        talk.microphone.ticks = talk.model.voice.ticks = 48 * milliseconds
        talk.microphone.say(said)
        await until(lambda: talk.model.heard.has(said))
        assert keep_their_time(talk.model.heard, said, milliseconds)
        await talk.model.speak(said)
        await until(lambda: talk.heard.has(said))
        assert keep_their_time(talk.heard, said, milliseconds)


@pytest.mark.parametrize("by", ["stereo", "fec"])
async def test_what_the_far_side_does_not_take_is_encoded(by: str):
    """aiortc encodes in stereo, which our descriptions do not ask for."""
    options = {"fec": True, "expected_loss": 5} if by == "fec" else {}
    async with OpusModel() as model:
        desk = Desk(model.url, **options)
        microphone = OpusTrack() if by == "fec" else None
        async with listening(desk) as url, WebRTCPage(url, microphone=microphone) as page:
            await page.start()
            await model.is_called()
            await until(lambda: desk.session is not None)
            said = sweep(1.5)
            page.microphone.say(packets_of(said) if by == "fec" else said.tobytes())
            await model.until(lambda: is_found(said, model.heard.samples))
            await until(lambda: desk.to_model[0] > 50)
            assert desk.to_model[1] == 0


async def test_a_bad_network_loses_what_it_loses_and_the_rest_keeps_its_time():
    async with OpusModel() as model:
        desk = Desk(model.url)
        async with (
            listening(desk) as url,
            LossyNetwork(url, seed=3) as network,
            page_of(network.url) as page,
        ):
            heard = await started(page, desk, model)
            network.spoil(loss=0.05, jitter_s=0.03)
            sound = sweep(5.0)
            packets = packets_of(sound, application="lowdelay")
            page.microphone.say(packets)
            await model.until(lambda: not page.microphone.waiting)
            last = len(model.heard.packets)
            await model.until(lambda: len(model.heard.packets) > last + 25)
            places = model.heard.places(packets)
            assert 0.9 * len(packets) < len(places) < len(packets)
            # Each is where it belongs: what is lost leaves a gap, which the model fills.
            assert keep_their_time(model.heard, packets)
            await model.until(lambda: halves_found(sound, model.heard.samples) >= 7)
            await model.speak(packets)
            await until(lambda: desk.to_page[0] > len(packets))
            await model.until(lambda: halves_found(sound, heard.samples) >= 7)
            # A page that loses much is sent less: its sound is encoded.
            network.spoil(loss=0.3, jitter_s=0.0)
            model.begin()
            model.voice.say(packets)
            await until(lambda: desk.call.sound.reported_loss > 0.2)
            sent, passed = desk.to_page
            await until(lambda: desk.to_page[0] - sent > 50)
            assert desk.to_page[1] - passed < 10


async def test_an_interrupted_answer_is_cut_where_the_page_stops_to_hear_it():
    async with talking() as talk:
        answer = packets_of(sweep(10.0))
        cuts: list[Any] = []
        session = talk.desk.session
        assert session is not None
        session.on("playback_ended", cuts.append)
        talk.model.begin()
        talk.model.voice.say(answer)
        await until(lambda: len(talk.heard.of(answer)) > 100)
        talk.page.send({"type": "interrupt"})
        await until(lambda: cuts)
        clear = "output_audio_buffer.clear"
        await until(lambda: clear in [event["type"] for event in talk.model.received])
        heard = len(talk.heard.of(answer))
        await asyncio.sleep(0.5)
        last = talk.heard.of(answer)
        # What was on its way, and no more.
        assert len(last) - heard <= 2
        assert cuts[0].interrupted
        assert abs(cuts[0].played_ms - 20 * len(last)) <= 60


async def test_somebody_listens_for_a_while_and_the_page_notices_nothing():
    async with talking() as talk:
        sound = sweep(6.0)
        answer = packets_of(sound)
        session = talk.desk.session
        assert session is not None
        speaking = asyncio.create_task(talk.model.speak(answer))
        await until(lambda: len(talk.heard.of(answer)) > 50)
        listened = bytearray()
        async with aclosing(session.events(Audio)) as listener:
            async for event in listener:
                listened += event.data
                if len(listened) > 2 * 2 * RATE:
                    break
        await speaking
        await until(lambda: answer[-1] in talk.heard.payloads)
        places = talk.heard.places(answer)
        passed = places[:, 0]
        # Two seconds of it were encoded, and what was before and after passed as it was.
        assert 90 < np.diff(passed).max() < 130
        assert np.count_nonzero(np.diff(passed) != 1) == 1
        # Nothing is missing, nothing came twice, and all is in its place.
        gaps = np.diff(places, axis=0)
        assert (gaps[:, 0] * 960 == gaps[:, 1]).mean() > 0.98
        assert abs(places[-1, 1] - places[0, 1] - 960 * (passed[-1] - passed[0])) <= 960
        # An encoder holds sound back for some milliseconds, so each half has a place of its own.
        await talk.page.until(lambda: halves_found(sound, talk.page.samples) >= 11)
        assert is_found(np.frombuffer(bytes(listened), dtype="<i2"), sound)


async def test_other_sound_has_its_place_among_the_packets():
    async with talking() as talk:
        session, call = talk.desk.session, talk.desk.call
        assert session is not None
        assert call is not None
        said = packets_of(sweep(1.0))
        talk.microphone.say(said)
        await until(lambda: talk.model.heard.has(said))
        other = tone(1.0, 3)
        call.pause_input(True)
        await session.stream_audio(other.tobytes())
        call.pause_input(False)
        await talk.model.until(lambda: is_found(other, talk.model.heard.samples))
        call.play(other.tobytes())
        await talk.page.until(lambda: is_found(other, talk.page.samples))
        for end, say in (
            (talk.model.heard, talk.microphone.say),
            (talk.heard, lambda packets: asyncio.ensure_future(talk.model.speak(packets))),
        ):
            again = packets_of(sweep(1.0)[::-1])
            say(again)
            await until(lambda end=end, again=again: end.has(again))


async def test_a_muted_page_is_not_heard():
    async with talking() as talk:
        session, call = talk.desk.session, talk.desk.call
        assert session is not None
        assert call is not None
        for stop, pitch in ((session.mute, 1), (call.pause_input, 2)):
            first, second, third = (packets_of(tone(0.5, pitch * by)) for by in (3, 5, 7))
            talk.microphone.say(first)
            await until(lambda said=first: talk.model.heard.has(said))
            stop(True)
            heard = len(talk.model.heard.packets)
            talk.microphone.say(second)
            await until(lambda: not talk.microphone.waiting)
            await asyncio.sleep(0.2)
            assert len(talk.model.heard.packets) - heard <= 2
            stop(False)
            talk.microphone.say(third)
            await until(lambda said=third: talk.model.heard.has(said))
            assert second[-1] not in talk.model.heard.payloads


async def test_another_line_of_the_page_and_then_a_websocket_go_on():
    async with OpusModel() as model:
        desk = Desk(model.url)
        async with listening(desk) as url, page_of(url) as page:
            await started(page, desk, model)
            async with page_of(url, call_id=page.call_id) as again:
                await again.start()
                heard = Heard.by(again.connection)
                await again.until(lambda: again.messages)
                said = packets_of(sweep(1.0))
                again.microphone.say(said)
                await until(lambda: model.heard.has(said))
                answer = packets_of(sweep(1.5))
                await model.speak(answer)
                await until(lambda: heard.has(answer))
                ws = url.replace("http:", "ws:")
                async with BrowserPage(ws, call_id=page.call_id) as plain:
                    await plain.start()
                    await plain.until(lambda: plain.messages)
                    assert plain.messages[0] == {"type": "started", "resumed": True}
                    await model.speak(answer)
                    sound = sound_of_packets(answer)
                    await plain.until(
                        lambda: is_found(sound, np.frombuffer(bytes(plain.heard), "<i2"))
                    )
                    sound = sweep(1.0)
                    for at in range(0, len(sound), 480):
                        await plain.say(sound[at : at + 480].tobytes())
                    await model.until(lambda: is_found(sound, model.heard.samples))


async def test_the_models_connection_is_replaced_and_packets_go_on():
    async with talking() as talk:
        session = talk.desk.session
        assert session is not None
        statuses: list[str] = []
        session.on("connection_changed", lambda event: statuses.append(event.status))
        said = packets_of(sweep(4.0))
        talk.microphone.say(said)
        first = talk.model.heard
        await until(lambda: len(first.of(said)) > 50)
        talk.model.lose_channel()
        await until(lambda: len(talk.model.connections) > 1)
        await until(lambda: said[-1] in talk.model.heard.payloads)
        assert statuses[-2:] == ["reconnecting", "connected"]
        # What came while there was no connection waited, as it was.
        places = talk.model.heard.places(said)[:, 0]
        assert len(places) > 100
        assert (np.diff(places) == 1).all()
        answer = packets_of(sweep(1.5))
        await talk.model.speak(answer)
        await until(lambda: talk.heard.has(answer))
