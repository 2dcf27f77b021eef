"""The demo's conversation in a browser: `stapes serve` as a process, WebRTC, and no key."""

from __future__ import annotations

import base64
import json
import sys
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from tests.sounds import pieces_alike, silenced

from stapes._core import calls as core

sys.path += [str(Path(__file__).parents[1] / folder) for folder in ("devserver", "cli")]

from chromium import Chromium, needs_chromium, write_wav
from serving import Served

if TYPE_CHECKING:
    from numpy.typing import NDArray

DESK = Path(__file__).parents[2] / "examples" / "front_desk"
RATE = 24_000
MICROPHONE = 48_000
SLACK_MS = 60
LOUD = 150
"""The least sample of a voice."""
ROWS = """[...document.querySelectorAll('#log > li')].map(row => [
    row.classList[1],
    (row.querySelector('.heard') ?? row).textContent.trim(),
])"""
CAPTION = "document.getElementById('line').textContent"

OBSERVED = """
import json, os
from stapes import RealtimeSession
from stapes.cli.serve import serving

log = open(os.environ["OBSERVED"], "a", buffering=1)

def tell(**what):
    print(json.dumps(what), file=log)

class Observed(RealtimeSession):
    def __init__(self, *given, **options):
        super().__init__(*given, **options)
        self.on("audio", lambda it: tell(sound=it.data.hex(), response=it.response_id))
        self.on("playback_ended", lambda it: tell(
            response=it.response_id, played_ms=it.played_ms, interrupted=it.interrupted))
        self.on("error", lambda it: tell(error=str(it.error)))

serving.RealtimeSession = Observed
from stapes.cli import main
main()
"""
"""The command, with a note of what its sessions heard of the model and what was played of it."""

pytestmark = [
    pytest.mark.real_time,
    needs_chromium,
    pytest.mark.skipif(not core.HAS_WEBRTC, reason="the core was built without WebRTC"),
]


class Answer:
    """One answer of the model: its sound, and how much of that the session says was heard."""

    def __init__(self) -> None:
        self.sound = b""
        self.played_ms = 0
        self.interrupted = False

    @property
    def heard(self) -> NDArray[np.int16]:
        """What was to be played of it."""
        samples = np.frombuffer(self.sound, "<i2")
        return samples[: self.played_ms * RATE // 1000]


def answers(observed: Path) -> list[Answer]:
    """What was observed: the answers in their order."""
    found: dict[str, Answer] = {}
    for line in observed.read_text().splitlines():
        told = json.loads(line)
        assert "error" not in told, told
        answer = found.setdefault(told["response"], Answer())
        if "sound" in told:
            answer.sound += bytes.fromhex(told["sound"])
        else:
            answer.played_ms, answer.interrupted = told["played_ms"], told["interrupted"]
    return [answer for answer in found.values() if answer.sound]


def silence(seconds: float) -> NDArray[np.int16]:
    return np.zeros(int(seconds * MICROPHONE), "<i2")


def question(name: str) -> NDArray[np.int16]:
    """A question of the demo's caller, as the microphone hears it."""
    with wave.open(str(DESK / "questions" / name)) as file:
        return np.repeat(np.frombuffer(file.readframes(file.getnframes()), "<i2"), 3)


async def test_the_demos_conversation_in_a_browser_over_webrtc_and_without_a_key(
    stack: Any, tmp_path: Path
) -> None:
    for module in ("pocketsphinx", "espeakng_loader"):
        pytest.importorskip(module)
    observed = tmp_path / "observed"
    said = [
        silence(1.5),
        question("2-history.wav"),
        silence(4.5),
        question("3-interrupt.wav"),
        silence(4.5),
        question("6-billing.wav"),
        silence(30.0),
    ]
    microphone = write_wav(tmp_path / "said.wav", np.concatenate(said).tobytes(), MICROPHONE)
    options = ("--port", 0, "--speaks-first", "user")
    server = Served(DESK / "agent.py", *options, code=OBSERVED, OBSERVED=str(observed))
    await stack.enter_async_context(server)
    browser = await stack.enter_async_context(Chromium(tmp_path / "browser", microphone))
    # It loads a voice and a recogniser.
    await server.until(lambda: server.is_over or "Ctrl-C" in server.text, seconds=90.0)
    await server.ready()
    assert "a development server on this machine" in server.text

    # The policy of the page lets nothing else in.
    await browser.command("Page.setBypassCSP", enabled=True)
    ear = (Path(__file__).parent / "ear.js").read_text()
    await browser.command("Page.addScriptToEvaluateOnNewDocument", source=ear)
    await browser.open(server.url)
    await browser.until("document.body.dataset.state === 'idle'")
    await browser.click("#call")
    await browser.until(f"/^WebRTC · \\d+ ms$/.test({CAPTION})")

    heard = "[...document.querySelectorAll('.turn.agent:not(.cut) .heard')]"
    await browser.until(f"{heard}.some(it => /billing desk.*help you\\?/.test(it.textContent))", 30)
    await browser.until("document.body.dataset.state === 'listening'")
    rows = await browser.evaluate(ROWS)
    assert [kind for kind, _ in rows] == [
        *("you", "agent"),
        *("you", "tool", "agent"),
        *("you", "handoff", "agent"),
    ]
    texts = [text for _, text in rows]
    assert texts[0] == "can you tell me about the history of the hotel"
    assert texts[1].startswith("The history of the")
    assert texts[2:6] == [
        "wait what is the weather in lisbon",
        '⚙ weather(city="Lisbon")It is windy in Lisbon, with 18 degrees.',
        "It is windy in Lisbon, with 18 degrees.",
        "i have a question about my bill",
    ]
    assert texts[6] == "Billing takes over"
    assert await browser.evaluate("document.querySelectorAll('.turn.cut .scissors').length") == 1

    await browser.click("#call")
    await browser.until("document.body.dataset.state === 'ended'")
    assert (await browser.evaluate(CAPTION)).startswith("WebRTC")
    await server.until(lambda: "ended by: caller" in server.text)
    encoded = await browser.evaluate("ear.sound()")
    played = np.frombuffer(base64.b64decode(encoded), "<f4") * 32_768
    [told_at] = await browser.evaluate("ear.interruptedAt")
    assert await browser.evaluate("ear.tracks") == 1
    assert browser.problems == []

    told = answers(observed)
    assert [answer.interrupted for answer in told] == [True, False, False]
    for answer in told:
        alike = pieces_alike(answer.heard, played, RATE // 5)
        # Where the browser plays slower, to have more in hand, a piece is less like it.
        assert np.mean(alike) > 0.9, np.round(alike, 2)
        assert np.median(alike) > 0.97, np.round(alike, 2)
    uncut = [told[0].heard[: -SLACK_MS * RATE // 1000], *(answer.heard for answer in told[1:])]
    assert [silenced(sound, played) for sound in uncut] == [0, 0, 0]
    # It is cut where the page was when it was told, which plays to its end what was on its way.
    loud = np.flatnonzero(np.abs(played) > LOUD)
    began = loud[0] - np.flatnonzero(np.abs(told[0].heard) > LOUD)[0]
    ended = loud[np.flatnonzero(np.diff(loud) > RATE)[0]]
    assert told[0].played_ms > 500
    assert abs((told_at - began) * 1000 / RATE - told[0].played_ms) <= SLACK_MS
    assert 0 <= ended - told_at < 0.5 * RATE
