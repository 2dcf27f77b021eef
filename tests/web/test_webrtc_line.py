"""stapes.js over WebRTC: its sound, what is cut, and lines that do not come about or break."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest
from tests.calls.test_twilio_calls import until
from tests.sounds import at_rate, gaps, likeness, pieces_alike, speech
from webrtc_page import CLOSED

from stapes import RealtimeAgent
from stapes._core import calls as core
from stapes.calls import CallInterrupted, CallMessage, CallTokens
from stapes.devserver import ToneVoice
from stapes.testing import ScriptedServer

sys.path.append(str(Path(__file__).parents[1] / "devserver"))

from chromium import needs_chromium

RATE = 24_000
SETTLING = 2.0
"""Seconds in which jitter buffers of a new stream play faster and slower."""
AS_IT_IS = """microphone: {
    echoCancellation: false, noiseSuppression: false, autoGainControl: false }"""
SILENCE = np.zeros(48_000, "<i2")

pytestmark = [
    pytest.mark.real_time,
    needs_chromium,
    pytest.mark.skipif(not core.HAS_WEBRTC, reason="the core was built without WebRTC"),
]


async def test_the_microphone_reaches_the_model_as_it_is_and_without_gaps(page):
    said = speech(4.0, 48_000, seed=5)
    heard = np.concatenate([np.tile(SILENCE, int(SETTLING)), said, np.tile(SILENCE, 9)])
    talk = await page(AS_IT_IS, heard)
    assert await talk.browser.evaluate("transports") == [["webrtc", None]]
    await until(lambda: len(talk.heard()) > (SETTLING + 5.5) * RATE)
    assert likeness(at_rate(said, 48_000, RATE), talk.heard()) > 0.9
    assert gaps(talk.heard(), RATE, quiet=150) == 0
    assert talk.desk.calls[0].sound.packets_lost == 0
    assert talk.browser.problems == []


async def test_an_answer_is_played_as_it_is(page):
    talk = await page()
    await talk.browser.evaluate("tapRemote()")
    voice = await ToneVoice().speak("one two three four five six seven", voice="a", speed=1.0)
    said = np.frombuffer(voice.pcm, "<i2")
    # Of a new stream the browser plays faster and slower, until it knows the network.
    answer = np.concatenate([np.full(int(SETTLING * RATE), 40), said])
    await talk.says(answer)
    await talk.browser.until(f"call.played > {len(answer) / RATE - 0.1}")
    await talk.browser.until("call.state === 'listening'")
    await asyncio.sleep(0.5)
    alike = pieces_alike(said, await talk.played(), RATE // 5)
    # Where it stretches the sound by a period of the voice, a piece is less like it.
    assert np.quantile(alike, 0.1) > 0.9, np.round(alike, 2)
    # As the browser counts it, with the silence that the server sends after it.
    assert 0 <= await talk.browser.evaluate("call.played") - len(answer) / RATE < 0.3
    assert await talk.browser.evaluate("call.received - call.played") == 0
    network = await talk.browser.evaluate("call.network")
    assert network["packetsReceived"] >= len(answer) // (RATE // 50)
    assert network["packetsLost"] == 0
    assert 0 <= network["roundTrip"] < 1
    assert 0 < network["jitterBuffer"] < 0.5
    assert talk.browser.problems == []


async def test_an_answer_is_played_without_gaps_and_cut_where_the_page_stops_to_play_it(page):
    talk = await page()
    await talk.browser.evaluate("tapRemote()")
    await talk.says(speech(8.0, RATE, seed=4), ends=False)
    await talk.browser.until("call.played > 2")
    await talk.browser.evaluate("call.interrupt()")
    await until(lambda: any("audio_end_ms" in it for it in talk.model.received))
    [cut] = [it["audio_end_ms"] for it in talk.model.received if "audio_end_ms" in it]
    await asyncio.sleep(1.0)
    sound = await talk.played()
    assert gaps(sound, RATE, quiet=150) == 0
    loud = np.flatnonzero(np.abs(sound) > 150)
    heard_ms = (loud[-1] - loud[0]) * 1000 / RATE
    assert 2_000 < cut < 4_000
    assert abs(cut - heard_ms) <= 60, (cut, heard_ms)
    # Silence after it is played, too.
    assert -60 <= await talk.browser.evaluate("call.played") * 1000 - cut < 300


NO_WEBRTC = [
    pytest.param({"webrtc": None}, "unsupported", id="the server has none"),
    pytest.param({"before": "delete window.RTCPeerConnection"}, "unsupported", id="the browser"),
    pytest.param({"udp_passes": False}, "unreachable", id="UDP leads nowhere"),
]


@pytest.mark.parametrize(("circumstances", "why"), NO_WEBRTC)
async def test_a_websocket_carries_the_call_where_webrtc_cannot_be_had(page, circumstances, why):
    talk = await page(calls=False, **circumstances)
    browser = talk.browser
    began = asyncio.get_running_loop().time()
    await browser.evaluate("dial({ transport: 'auto' })")
    # So long the caller waits: 3 s for a connection, and what a busy machine takes.
    assert asyncio.get_running_loop().time() - began < (5 if why == "unreachable" else 2)
    assert await browser.evaluate("transports") == [["websocket", why]]
    assert await browser.evaluate("[call.transport, call.fallback.code]") == ["websocket", why]
    assert await browser.evaluate("call.network") is None
    await talk.says(speech(1.0, RATE, seed=1))
    await browser.until("call.played === 1")
    await until(lambda: len(talk.heard()) > RATE)
    assert len(talk.desk.calls) == 1


async def test_only_the_first_call_waits_for_webrtc_that_does_not_get_through(page):
    talk = await page(calls=False, udp_passes=False)
    browser, network = talk.browser, talk.network
    await browser.evaluate("dial({ transport: 'auto' })")
    assert network.offers == 1
    # In another page of the tab, too.
    await browser.open(network.url + "bare?again")
    await browser.until("window.ready")
    await browser.evaluate("dial({ transport: 'auto' })")
    assert await browser.evaluate("transports") == [["websocket", "unreachable"]]
    assert "minutes ago" in await browser.evaluate("call.fallback.message")
    assert network.offers == 1
    # Who asks for nothing else gets it, and it is known then that it gets through.
    network.udp_passes = True
    for options, offers in (("webrtc", 2), ("auto", 3)):
        await browser.evaluate("call.end(); 0")
        await browser.evaluate(f"dial({{ transport: '{options}' }})")
        assert await browser.evaluate("transports") == [["webrtc", None]]
        assert network.offers == offers


async def test_webrtc_that_did_not_get_through_is_tried_again_after_some_minutes(page):
    talk = await page(calls=False, udp_passes=False)
    browser = talk.browser
    await browser.evaluate("dial({ transport: 'auto' })")
    talk.network.udp_passes = True
    later = "(() => { const now = Date.now; Date.now = () => now() + 301_000 })()"
    await browser.evaluate(f"call.end(); {later}")
    await browser.evaluate("dial({ transport: 'auto' })")
    assert await browser.evaluate("transports") == [["webrtc", None]]


@pytest.mark.parametrize(("circumstances", "why"), NO_WEBRTC)
async def test_webrtc_alone_fails_where_it_cannot_be_had(page, circumstances, why):
    talk = await page(calls=False, **circumstances)
    failure = await talk.browser.evaluate("failure(dial({ transport: 'webrtc' }))")
    assert failure["code"] == why
    ended = "tracks.every(({ readyState }) => readyState === 'ended')"
    assert await talk.browser.evaluate(ended)
    assert await talk.browser.evaluate("call.transport") is None
    assert talk.desk.calls == []


async def test_a_transport_that_there_is_not_is_refused_by_name(browse, server):
    browser = await browse(server.url + "bare")
    failure = await browser.evaluate("failure((async () => dial({ transport: 'udp' }))())")
    assert "udp" in failure["message"]
    assert "websocket" in failure["message"]


@pytest.mark.parametrize("by", ["webrtc", "websocket"])
async def test_a_line_that_breaks_is_dialled_again_and_the_conversation_goes_on(page, by):
    talk = await page()
    browser = talk.browser
    await talk.says(speech(2.0, RATE, seed=1))
    await browser.until("call.played > 0.5")
    talk.network.udp_passes = False
    await browser.until("call.state === 'reconnecting'", 15)
    talk.network.udp_passes = by == "webrtc"
    await browser.until("of('started').length === 2", 10)
    assert await browser.evaluate("of('started')[1].resumed")
    assert await browser.evaluate("transports.map(([transport]) => transport)") == ["webrtc", by]
    await browser.until("call.state !== 'reconnecting'")
    await browser.evaluate("call.say('Hello')")
    await until(lambda: talk.is_told("Hello"))
    before, got = await browser.evaluate("call.played"), len(talk.heard())
    await talk.says(speech(1.0, RATE, seed=2), item="j")
    await browser.until(f"call.played > {before + 0.8}")
    await until(lambda: len(talk.heard()) > got + RATE)
    [call] = talk.desk.calls
    await browser.evaluate("call.end()")
    assert (await call.ended()).by == "caller"
    assert [it.reason for it in talk.desk.events if isinstance(it, CallInterrupted)]


async def test_a_call_whose_line_does_not_come_back_is_lost(page):
    talk = await page("reconnect: 1")
    talk.network.udp_passes = talk.network.tcp_passes = False
    await talk.browser.until("call.state === 'ended'")
    [ended] = await talk.browser.evaluate("of('ended')")
    assert ended["code"] == "lost"
    ended = "tracks.every(({ readyState }) => readyState === 'ended')"
    assert await talk.browser.evaluate(ended)


async def test_the_page_hangs_up(page):
    talk = await page()
    await talk.browser.evaluate("call.end()")
    ended = await asyncio.wait_for(talk.desk.calls[0].ended(), 5)
    assert (ended.by, ended.reason) == ("caller", "the page hung up")
    await talk.browser.until(CLOSED)
    assert await talk.browser.evaluate("of('ended')") == [
        {"at": "ended", "reason": "hung up", "error": None}
    ]
    assert talk.browser.problems == []


async def test_leaving_the_page_hangs_up(page):
    talk = await page()
    await talk.browser.command("Page.navigate", url="about:blank")
    assert (await asyncio.wait_for(talk.desk.calls[0].ended(), 5)).by == "caller"


async def test_the_server_hangs_up(page):
    talk = await page()
    talk.desk.calls[0].hang_up()
    await talk.browser.until("call.state === 'ended'")
    [ended] = await talk.browser.evaluate("of('ended')")
    assert (ended["reason"], ended["error"]) == ("hung up by this side", None)
    await talk.browser.until(CLOSED)
    assert talk.browser.problems == []


async def test_the_last_words_are_heard_before_the_server_hangs_up(page):
    talk = await page()
    # The browser holds back as much, and more.
    talk.network.jitter = 0.15
    await talk.browser.evaluate("tapRemote()")
    length, last_words = 3.0, 0.2
    times = np.arange(int(length * RATE)) / RATE
    pitch = np.where(times < length - last_words, 400, 1_500)
    await talk.says(9_000 * np.sin(2 * np.pi * pitch * times))
    await talk.browser.until("call.played > 0.5")
    talk.desk.calls[0].hang_up(after_playback=True)
    await talk.browser.until("call.state === 'ended'")
    window = RATE // 100
    played = await talk.played()
    pieces = played[: len(played) // window * window].reshape(-1, window)
    powers = np.abs(np.fft.rfft(pieces, axis=1)) ** 2
    # Each bin is 100 Hz wide.
    heard = np.count_nonzero(powers[:, 15] > 10 * powers[:, 4] + 1e6) * 0.01
    # The browser may play a little faster or slower.
    assert heard > last_words - 0.015, heard
    [ended] = await talk.browser.evaluate("of('ended')")
    reason = "hung up by this side, after all was heard"
    assert (ended["reason"], ended["error"]) == (reason, None)


async def test_a_muted_microphone_is_silent(page):
    tone = np.round(9_000 * np.sin(2 * np.pi * 500 * np.arange(48_000 * 20) / 48_000))
    talk = await page(AS_IT_IS, tone.astype("<i2"))

    def loudest() -> int:
        return int(np.abs(talk.heard()[-RATE // 2 :]).max(initial=0))

    await until(lambda: loudest() > 3_000)
    await talk.browser.evaluate("call.muted = true")
    await until(lambda: loudest() < 100)
    await talk.browser.evaluate("call.muted = false")
    await until(lambda: loudest() > 3_000)


async def test_what_the_page_and_the_application_say_to_each_other(page):
    talk = await page("parameters: { name: 'Ana' }")
    [call] = talk.desk.calls
    assert call.parameters == {"name": "Ana"}
    await talk.browser.evaluate("call.send({ rooms: 2 })")
    await until(lambda: CallMessage({"rooms": 2}) in talk.desk.events)
    call.send_message({"page": 3})
    await talk.browser.until("of('message').length")
    assert await talk.browser.evaluate("of('message')") == [{"at": "message", "page": 3}]
    await talk.browser.evaluate("call.say('Hello')")
    await until(lambda: talk.is_told("Hello"))


async def test_another_microphone_takes_over_when_one_is_unplugged(page):
    talk = await page()
    await talk.browser.evaluate("tracks[0].stop(); tracks[0].onended(); 0")
    await talk.browser.until("tracks.length === 2 && tracks[1].readyState === 'live'")
    await talk.browser.until("connections[0].getSenders()[0].track === tracks[1]")
    got = len(talk.heard())
    await until(lambda: len(talk.heard()) > got + RATE)


async def test_a_server_without_room_says_so(page):
    talk = await page(max_calls=1)
    failure = await talk.browser.evaluate(
        "failure(new stapes.VoiceCall({ transport: 'auto' }).start())"
    )
    assert failure["code"] == "busy"
    assert await talk.browser.evaluate("call.state") != "ended"
    assert talk.browser.problems == []


async def test_a_page_without_a_token_is_refused(page):
    talk = await page(calls=False, tokens=CallTokens())
    await talk.browser.evaluate("failure(dial({ transport: 'auto' }))")
    await talk.browser.until("call.state === 'ended'")
    [ended] = await talk.browser.evaluate("of('ended')")
    assert ended["code"] == "refused"
    assert talk.desk.calls == []


async def test_the_page_shows_what_carries_the_call(serve, browse, stack):
    model = await stack.enter_async_context(ScriptedServer())
    _, url = await serve(RealtimeAgent(name="Desk"), model)
    browser = await browse(url, SILENCE)
    assert await browser.evaluate("document.getElementById('line').hidden")
    await browser.click("#call")
    await browser.until("/^WebRTC · \\d+ ms$/.test(document.getElementById('line').textContent)")
    assert browser.problems == []
    await browser.open(url + "?transport=websocket")
    await browser.click("#call")
    await browser.until("document.getElementById('line').textContent === 'WebSocket'")
