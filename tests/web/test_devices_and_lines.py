"""stapes.js where devices and lines are not as one would like them."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parents[1] / "devserver"))

from chromium import needs_chromium

RATE = 24_000
pytestmark = [pytest.mark.real_time, needs_chromium]


def tone(seconds: float, rate: int = RATE) -> np.ndarray:
    return np.round(12_000 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate))


# As Firefox does: a microphone goes into a context of its own rate alone.
MIXES_NO_RATES = """(() => {
    const usual = AudioContext.prototype.createMediaStreamSource;
    AudioContext.prototype.createMediaStreamSource = function (stream) {
        if (this.sampleRate !== 48000) throw new DOMException('rates', 'NotSupportedError');
        return usual.call(this, stream);
    };
    const Usual = AudioContext;
    window.AudioContext = class extends Usual {
        constructor({ sampleRate = 48000, ...more } = {}) { super({ sampleRate, ...more }) }
    };
})()"""


async def test_the_devices_rate_is_used_where_rates_are_not_mixed(browse, server):
    browser = await browse(server.url + "bare")
    await browser.evaluate(MIXES_NO_RATES)
    await browser.evaluate("dial()")
    line = await server.next_line()
    assert line.start["sample_rate"] == 48_000
    await line.play(tone(0.5, 48_000))
    await line.until_played(24_000)
    await line.until(lambda: line.frames[-1].sound, "sound")
    assert len(line.frames[-1].sound) == 2 * 48_000 // 25
    await browser.until("call.played === 0.5")


async def test_a_rate_that_the_wire_does_not_know_is_refused_in_words(browse, server):
    browser = await browse(server.url + "bare")
    await browser.evaluate(MIXES_NO_RATES.replace("48000", "96000"))
    failure = await browser.evaluate("failure(dial())")
    assert failure["code"] == "unsupported"
    assert "96000 Hz" in failure["message"]
    assert server.dials == 0


async def test_without_webcodecs_opus_becomes_pcm(browse, server):
    browser = await browse(server.url + "bare")
    await browser.evaluate("delete window.AudioEncoder; window.infos = []; 0")
    await browser.evaluate("console.info = (text) => infos.push(text)")
    await browser.evaluate("dial({ codec: 'opus' })")
    line = await server.next_line()
    assert (line.start["codec"], line.start["sample_rate"]) == ("pcm", RATE)
    assert await browser.evaluate("infos.length") == 1


async def test_levels_tell_who_is_heard(call):
    loud = np.tile(tone(0.5, 48_000), 8).astype("<i2")
    options = """{ microphone: {
        echoCancellation: false, noiseSuppression: false, autoGainControl: false } }"""
    browser, line = await call(options, loud)
    await browser.until("call.levels.microphone > 0.5")
    assert await browser.evaluate("call.levels.loudspeaker") == 0
    await line.play(tone(3.0))
    await browser.until("call.levels.loudspeaker > 0.5")
    await browser.evaluate("call.muted = true")
    await browser.until("call.levels.microphone === 0")
    await browser.evaluate("call.end()")
    assert await browser.evaluate("call.levels") == {"microphone": 0, "loudspeaker": 0}


async def test_a_line_that_takes_nothing_any_more_is_dialled_again(call, server):
    browser, line = await call()
    await line.until(lambda: line.frames, "sound")
    await browser.evaluate(
        "Object.defineProperty(WebSocket.prototype, 'bufferedAmount',"
        " { configurable: true, get: () => 1e6 }); 0"
    )
    await browser.until("call.state === 'reconnecting'")
    await browser.evaluate("delete WebSocket.prototype.bufferedAmount; 0")
    again = await server.next_line()
    assert again.start == line.start
    await again.until(lambda: len(again.frames) > 3, "sound")
    assert await browser.evaluate("call.state") == "listening"


async def test_a_line_that_breaks_again_and_again_is_one_call(call, server):
    browser, line = await call()
    for _ in range(3):
        line.socket.transport.abort()
        again = await server.next_line()
        assert again.start["call_id"] == line.start["call_id"]
        line = again
    await line.play(tone(0.3))
    await line.until_played(int(0.3 * RATE))
    await browser.evaluate("call.end()")
    await line.until(lambda: line.close_code, "the close")
    assert browser.problems == []


async def test_nothing_is_dialled_after_the_end_of_a_call_whose_line_is_broken(call, server):
    browser, line = await call()
    server.refusals = [1011] * 20
    line.socket.transport.abort()
    await browser.until("call.state === 'reconnecting'")
    await browser.evaluate("call.end()")
    dials = server.dials
    await browser.evaluate("new Promise((done) => setTimeout(done, 1200))")
    assert server.dials <= dials + 1
    assert await browser.evaluate("of('ended').map(({ reason }) => reason)") == ["hung up"]
    assert await browser.evaluate("tracks.every(({ readyState }) => readyState === 'ended')")


async def test_leaving_the_page_hangs_up(call):
    browser, line = await call()
    await browser.command("Page.navigate", url="about:blank")
    await line.until(lambda: line.close_code, "the close")
    assert line.of("end") == [{"type": "end"}]


async def test_a_line_that_comes_back_to_no_call_is_the_end(call, server):
    browser, line = await call()
    server.standing.clear()
    line.socket.transport.abort()
    await browser.until("call.state === 'ended'")
    again = await server.next_line()
    await again.until(lambda: again.close_code, "the close")
    assert await browser.evaluate("of('ended')[0].error.code") == "lost"
