"""stapes.js in a browser: sound both ways, what was played, and each message of the wire."""

from __future__ import annotations

import base64
import re
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "devserver"))

from chromium import Chromium, needs_chromium

RATE = 24_000
pytestmark = [pytest.mark.real_time, needs_chromium]


def tone(seconds: float, hz: float = 440.0, rate: int = RATE) -> np.ndarray:
    """A tone that begins and ends without a step."""
    count = int(seconds * rate)
    at = np.arange(count)
    edge = np.minimum(1.0, np.minimum(at, count - 1 - at) / (0.01 * rate))
    return np.round(12_000 * edge * np.sin(2 * np.pi * hz * at / rate)).astype("<i2")


async def tapped(browser: Chromium) -> np.ndarray:
    encoded = await browser.evaluate("playedBack()")
    return np.frombuffer(base64.b64decode(encoded), "<f4")


def found(sound: np.ndarray, sent: np.ndarray, fade: int = 0) -> int:
    """Where the sent samples begin in what was played; after a fade, they are the same."""
    expected = sent / np.float32(32768)
    size = 1 << int(np.ceil(np.log2(len(sound) + len(sent))))
    product = np.fft.rfft(sound, size) * np.conj(np.fft.rfft(expected, size))
    at = int(np.argmax(np.fft.irfft(product, size)[: max(1, len(sound) - len(sent) + 1)]))
    played = sound[at : at + len(sent)]
    assert len(played) == len(sent), "the sound is not all there"
    assert np.abs(played - expected)[fade:].max() < 2e-5
    return at


async def test_an_answer_is_played_sample_by_sample_and_counted(call):
    browser, line = await call("{ parameters: { name: 'Ana' } }")
    assert line.start["codec"] == "pcm"
    assert line.start["sample_rate"] == RATE
    assert line.start["parameters"] == {"name": "Ana"}
    assert re.fullmatch(r"[0-9a-f-]{36}", line.start["call_id"])
    await browser.evaluate("tap()")
    answer = tone(1.5)
    await line.play(answer)
    last = await line.until_played(len(answer))
    await browser.until("call.played >= 1.5")
    assert last.played == len(answer)
    assert max(frame.played for frame in line.frames) == len(answer)
    assert await browser.evaluate("call.played") == 1.5
    assert await browser.evaluate("call.received") == 1.5
    assert await browser.evaluate("call.underruns") == 0
    found(await tapped(browser), answer)
    assert browser.problems == []


async def test_what_was_played_is_counted_as_it_is_played(call):
    _, line = await call()
    await line.play(tone(1.0))
    await line.until_played(RATE)
    counted = [frame for frame in line.frames if 0 < frame.played < RATE]
    # About 40 ms between reports, and as much played: no more than what time allows.
    steps = np.diff([frame.played for frame in counted])
    assert len(counted) > 15
    assert steps.max() <= 0.1 * RATE
    assert [frame.played for frame in line.frames] == sorted(f.played for f in line.frames)


async def test_the_microphone_is_heard_as_it_is(call):
    heard = np.concatenate([tone(0.7, hz, 48_000) for hz in (500, 900, 1300)])
    options = """{ microphone: {
        echoCancellation: false, noiseSuppression: false, autoGainControl: false } }"""
    browser, line = await call(options, heard)
    await line.until(lambda: len(line.heard()) > 2.8 * RATE, "sound")
    sound = line.heard().astype(float)
    assert {len(frame.sound) for frame in line.frames} == {2 * RATE // 25}
    windows = [sound[at : at + 1200] for at in range(0, len(sound) - 1200, 600)]
    loud = [window for window in windows if np.abs(window).max() > 3000]
    spectra = [
        np.abs(np.fft.rfft(window * np.hanning(1200))).argmax() * RATE / 1200 for window in loud
    ]
    assert len(loud) > 60
    for hz in (500, 900, 1300):
        assert sum(abs(each - hz) <= 20 for each in spectra) > 18, hz
    assert await browser.evaluate("asked.audio.echoCancellation") is False


async def test_echo_cancellation_is_on_unless_the_page_says_otherwise(call):
    browser, _ = await call()
    assert await browser.evaluate("asked") == {
        "audio": {"echoCancellation": True, "noiseSuppression": True, "autoGainControl": True}
    }


async def test_a_clear_drops_what_was_not_played_and_begins_a_generation(call):
    browser, line = await call()
    await browser.evaluate("tap()")
    await line.play(tone(5.0))
    await line.until_played(RATE // 2)
    await line.tell("mark", id=7)
    await line.tell("clear", generation=1)
    await line.until(lambda: line.of("mark"), "the mark")
    first = await line.until_played(0, generation=1)
    old = [frame for frame in line.frames if frame.generation == 0]
    # The last report of the old generation is that of the moment of the clear.
    assert not old[-1].sound
    assert old[-1].played < 0.5 * RATE + 0.25 * RATE
    assert first.played == 0
    assert line.of("mark") == [{"type": "mark", "id": 7}]
    again = tone(0.5, 600)
    await line.play(again)
    last = await line.until_played(len(again), generation=1)
    assert last.played == len(again)
    sound = await tapped(browser)
    # Into the next answer, or into silence, the old one fades within a few milliseconds.
    at = found(sound, again, fade=RATE // 100)
    loud = np.flatnonzero(np.abs(sound[:at]) > 0.02)
    cut = sound[loud[0] : loud[-1] + 1]
    assert abs(len(cut) - old[-1].played) < 0.012 * RATE
    assert np.abs(np.diff(sound)).max() < 0.12, "a click"
    received = await browser.evaluate("call.received")
    assert abs(received - (old[-1].played + len(again)) / RATE) < 1e-6


async def test_marks_are_returned_in_order_when_their_place_was_played(call):
    _, line = await call()
    await line.tell("mark", id=1)
    await line.until(lambda: line.of("mark"), "a mark with nothing before it")
    for number in (2, 3, 4):
        await line.play(tone(0.3))
        await line.tell("mark", id=number)
    arrived = {}
    for number in (2, 3, 4):
        await line.until(lambda number=number: len(line.of("mark")) >= number, f"mark {number}")
        arrived[number] = line.frames[-1].played
    assert [mark["id"] for mark in line.of("mark")] == [1, 2, 3, 4]
    for number, played in arrived.items():
        assert abs(played - 0.3 * RATE * (number - 1)) <= 0.1 * RATE


async def test_playback_pauses_and_resumes_where_it_was(call):
    browser, line = await call()
    await browser.evaluate("tap()")
    await line.play(tone(2.0))
    await line.until_played(RATE // 4)
    await line.tell("pause")
    await line.until(
        lambda: len(line.frames) > 6 and line.frames[-1].played == line.frames[-5].played, "a rest"
    )
    stood = line.frames[-1].played
    seen = len(line.frames)
    await line.until(lambda: len(line.frames) > seen + 6, "more of the microphone")
    assert line.frames[-1].played == stood < RATE
    await line.tell("resume")
    await line.until_played(2 * RATE)
    sound = await tapped(browser)
    assert np.abs(np.diff(sound)).max() < 0.12, "a click"
    assert await browser.evaluate("call.underruns") == 0


async def test_sound_that_comes_too_late_is_an_underrun_and_its_silence_is_not_counted(call):
    browser, line = await call()
    await browser.evaluate("tap()")
    await line.play(tone(0.3))
    await line.until_played(int(0.3 * RATE))
    await line.play(tone(0.3))
    last = await line.until_played(int(0.6 * RATE))
    assert last.played == int(0.6 * RATE)
    assert await browser.evaluate("call.underruns") == 1
    # An end that was marked is none.
    await line.tell("mark", id=1)
    await line.play(tone(0.2))
    await line.tell("mark", id=2)
    await line.until(lambda: len(line.of("mark")) == 2, "marks")
    await line.play(tone(0.2))
    await line.until_played(RATE)
    assert await browser.evaluate("call.underruns") <= 2


async def test_a_muted_microphone_sends_reports_alone(call):
    browser, line = await call()
    await browser.evaluate("call.muted = true")
    await line.play(tone(1.5))
    await line.until(lambda: any(not frame.sound for frame in line.frames), "a report")
    first = next(i for i, frame in enumerate(line.frames) if not frame.sound)
    await line.until_played(int(1.4 * RATE))
    reports = [frame for frame in line.frames[first:] if frame.played < 1.4 * RATE]
    assert all(not frame.sound for frame in reports[1:])
    assert np.diff([frame.played for frame in reports]).max() <= 0.1 * RATE
    assert await browser.evaluate("tracks.every((track) => !track.enabled)")
    await browser.evaluate("call.muted = false")
    await line.until(lambda: line.frames[-1].sound, "sound")
    assert await browser.evaluate("tracks.every((track) => track.enabled)")


async def test_a_line_that_breaks_is_dialled_again_as_the_same_call(call, server):
    browser, line = await call()
    await line.play(tone(3.0))
    await line.until_played(RATE // 4)
    line.socket.transport.abort()
    again = await server.next_line()
    assert again.start == line.start
    first = await again.until_played(0)
    assert (first.generation, first.played) == (0, 0)
    assert await browser.evaluate("of('started')") == [
        {"at": "started", "resumed": False},
        {"at": "started", "resumed": True},
    ]
    states = await browser.evaluate("of('state').map(({ state }) => state)")
    assert states == ["connecting", "listening", "reconnecting", "listening"]
    answer = tone(0.5)
    await again.play(answer)
    await again.until_played(len(answer))
    assert await browser.evaluate("call.underruns") == 0
    # What was dropped does not count as received.
    assert await browser.evaluate("call.received - call.played") == 0


async def test_it_dials_until_the_time_is_over_and_says_so(call, server):
    browser, line = await call("{ reconnect: 1 }")
    server.refusals = [1011] * 20
    line.socket.transport.abort()
    await browser.until("call.state === 'ended'")
    assert server.dials >= 3
    [ended] = await browser.evaluate("of('ended')")
    assert ended["code"] == "lost"
    assert ended["reason"] == "lost"
    assert await browser.evaluate("tracks.every(({ readyState }) => readyState === 'ended')")


async def test_the_page_hangs_up(call):
    browser, line = await call()
    await line.play(tone(2.0))
    await browser.evaluate("call.end()")
    await line.until(lambda: line.close_code, "the close")
    assert line.of("end") == [{"type": "end"}]
    assert line.close_code == 1000
    assert await browser.evaluate("tracks.every(({ readyState }) => readyState === 'ended')")
    await browser.until("contexts.every(({ state }) => state === 'closed')")
    assert await browser.evaluate("of('ended')") == [
        {"at": "ended", "reason": "hung up", "error": None}
    ]
    await browser.evaluate("call.end()")
    assert await browser.evaluate("of('ended').length") == 1
    assert browser.problems == []


async def test_the_server_hangs_up(call):
    browser, line = await call()
    await line.tell("end", reason="the caller is served")
    await line.until(lambda: line.close_code, "the close")
    assert line.close_code == 1000
    assert await browser.evaluate("of('ended')") == [
        {"at": "ended", "reason": "the caller is served", "error": None}
    ]
    assert await browser.evaluate("tracks.every(({ readyState }) => readyState === 'ended')")


async def test_what_the_page_says_besides_sound(call):
    browser, line = await call()
    await browser.evaluate("call.interrupt(); call.say('Hello'); call.send({ rooms: 2 })")
    await line.until(lambda: len(line.texts) == 3, "three texts")
    assert line.texts == [
        {"type": "interrupt"},
        {"type": "say", "text": "Hello"},
        {"type": "message", "data": {"rooms": 2}},
    ]
    await browser.evaluate("call.end()")
    failure = await browser.evaluate("failure((async () => call.say('More'))())")
    assert failure["code"] == "no-line"


async def test_what_the_server_tells_becomes_events(call):
    browser, line = await call()
    said = {"role": "assistant", "item_id": "i", "text": "Good day", "final": True}
    await line.event("agent", name="Front desk")
    await line.event("state", state="speaking")
    await line.event("transcript", **said)
    await line.event("tool", call_id="c", name="weather", status="started")
    await line.event("interrupted")
    await line.event("guardrail")
    await line.event("error", message="That did not work.")
    await line.event("of a later version", what=1)
    await line.tell("message", data={"page": 3})
    await browser.until("of('message').length")
    shown = await browser.evaluate("events.slice(3)")
    assert [each["at"] for each in shown] == [
        "agent",
        "state",
        "transcript",
        "tool",
        "interrupted",
        "guardrail",
        "error",
        "message",
    ]
    assert shown[2] == {"at": "transcript", "type": "transcript", **said}
    assert shown[6]["code"] == "agent"
    assert shown[7] == {"at": "message", "page": 3}
    assert await browser.evaluate("[call.agent, call.state]") == ["Front desk", "speaking"]
    assert browser.problems == []


@pytest.mark.parametrize(
    ("code", "name"), [(4403, "refused"), (1013, "busy"), (1011, "unreachable")]
)
async def test_a_refused_call_says_why_and_gives_the_microphone_back(browse, server, code, name):
    browser = await browse(server.url + "bare")
    server.refusals = [code]
    failure = await browser.evaluate("failure(dial())")
    assert failure["name"] == "VoiceError"
    assert failure["code"] == name
    assert await browser.evaluate("tracks.every(({ readyState }) => readyState === 'ended')")
    assert await browser.evaluate("of('ended').map(({ code }) => code)") == [name]
    assert server.dials == 1


async def test_a_refused_microphone_says_what_helps(browse, server):
    browser = await browse(server.url + "bare", None, "--use-fake-ui-for-media-stream=deny")
    failure = await browser.evaluate("failure(dial())")
    assert failure["code"] == "no-permission"
    assert "Allow it" in failure["message"]
    assert await browser.evaluate("call.state") == "ended"
    assert server.dials == 0


async def test_a_page_that_is_not_secure_says_what_helps(browse, server):
    rules = f"--host-resolver-rules=MAP page.test:80 127.0.0.1:{server.port}"
    browser = await browse("http://page.test/bare", None, rules)
    failure = await browser.evaluate("failure(dial())")
    assert failure["code"] == "insecure"
    assert "https" in failure["message"]
    assert server.dials == 0


async def test_a_call_is_ended_while_it_is_made(browse, server):
    browser = await browse(server.url + "bare")
    failure = await browser.evaluate(
        "(() => { const made = failure(dial()); call.end(); return made })()"
    )
    assert failure["code"] == "ended"
    await browser.evaluate("new Promise((done) => setTimeout(done, 300))")
    assert await browser.evaluate("tracks.every(({ readyState }) => readyState === 'ended')")
    assert await browser.evaluate("failure(call.start()).then(({ code }) => code)") == "used"
    assert server.dials == 0
    assert browser.problems == []


async def test_a_microphone_that_is_unplugged_is_replaced(call):
    browser, line = await call()
    await line.until(lambda: line.frames, "sound")
    await browser.evaluate("tracks[0].stop(); tracks[0].dispatchEvent(new Event('ended')); 0")
    await browser.until("tracks.length === 2")
    seen = len(line.frames)
    await line.until(lambda: len(line.frames) > seen + 5, "sound again")
    assert line.frames[-1].sound
    assert await browser.evaluate("of('error')") == []


async def test_without_another_microphone_the_call_goes_on_until_there_is_one(call):
    browser, line = await call()
    await browser.evaluate(
        "(() => { const usual = navigator.mediaDevices.getUserMedia;"
        " navigator.mediaDevices.getUserMedia = async () => {"
        "   navigator.mediaDevices.getUserMedia = usual;"
        "   throw new DOMException('none', 'NotFoundError') };"
        " tracks[0].stop(); tracks[0].dispatchEvent(new Event('ended')) })()"
    )
    await browser.until("of('error').length")
    assert await browser.evaluate("of('error').map(({ code }) => code)") == ["no-microphone"]
    await line.play(tone(0.5))
    await line.until_played(RATE // 2)
    await browser.evaluate("navigator.mediaDevices.dispatchEvent(new Event('devicechange')); 0")
    await browser.until("tracks.length === 2")
    await line.until(lambda: len(line.frames) > 5 and line.frames[-1].sound, "sound")


async def test_opus_goes_both_ways(call, stack):
    from stapes.audio import OpusDecoder, OpusEncoder

    options = """{ codec: "opus", microphone: {
        echoCancellation: false, noiseSuppression: false, autoGainControl: false } }"""
    browser, line = await call(options, tone(2.0, 700, 48_000))
    assert line.start["codec"] == "opus"
    assert line.start["sample_rate"] == 48_000
    await browser.evaluate("tap()")
    encoder = OpusEncoder(48_000)
    answer = tone(1.0, 440, 48_000)
    for at in range(0, len(answer), 960):
        await line.socket.send(encoder.encode(answer[at : at + 960].tobytes()))
    await line.tell("mark", id=1)
    await line.until(lambda: line.of("mark"), "the mark")
    await line.until_played(48_000)
    assert max(frame.played for frame in line.frames) == 48_000
    assert await browser.evaluate("call.underruns") == 0
    sound = await tapped(browser)
    loud = np.flatnonzero(np.abs(sound) > 0.1)
    steady = sound[loud[0] + 4800 : loud[0] + 28_800]
    assert abs(np.abs(np.fft.rfft(steady)).argmax() * 48_000 / len(steady) - 440) < 3
    decoder = OpusDecoder(48_000)
    heard = np.concatenate(
        [np.frombuffer(decoder.decode(frame.sound), "<i2") for frame in line.frames if frame.sound]
    )
    loud = np.flatnonzero(np.abs(heard) > 3000)
    steady = heard[loud[0] + 4800 : loud[0] + 28_800]
    assert abs(np.abs(np.fft.rfft(steady)).argmax() * 48_000 / len(steady) - 700) < 3
    for at in range(0, len(answer), 960):
        await line.socket.send(encoder.encode(answer[at : at + 960].tobytes()))
    await line.tell("mark", id=2)
    await line.tell("clear", generation=1)
    await line.until(lambda: len(line.of("mark")) == 2, "the mark")
    await line.until_played(0, generation=1)
    assert browser.problems == []


async def test_two_calls_of_one_page_do_not_meet(call, server):
    browser, first = await call()
    await browser.evaluate("window.other = new stapes.VoiceCall(); other.start()")
    second = await server.next_line()
    assert first.start["call_id"] != second.start["call_id"]
    await second.play(tone(0.5))
    await second.until_played(RATE // 2)
    assert max(frame.played for frame in first.frames) == 0
    await browser.evaluate("other.end()")
    seen = len(first.frames)
    await first.until(lambda: len(first.frames) > seen + 3, "the first goes on")
