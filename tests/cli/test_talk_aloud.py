"""`stapes talk` with microphone and loudspeaker, in the sound card's own thread."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fake_sounddevice import FakeLibrary, Microphone
from simulated import voice
from typer.testing import CliRunner

from stapes.audio import read_wav
from stapes.cli.app import app
from stapes.devserver import DevServer, Options, ScriptedMind, ToneVoice, Turn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.real_time

RATE = 24_000
FRAME = RATE // 50 * 2
AGENT = "from stapes import RealtimeAgent\nagent = RealtimeAgent(name='Desk')\n"
STORY = "Once upon a time there was a king who had a story."


def person(*, talks_over: bool) -> Microphone:
    """Someone who asks, and while the answer is heard makes a noise; leaves when it is over."""
    said = bytes(FRAME * 10) + voice(0.6, RATE)
    noise = voice(0.6, RATE) if talks_over else b""
    heard, quiet = 0, 0
    due = time.monotonic()
    for _ in range(20 * 50):
        frame, said = said[:FRAME].ljust(FRAME, b"\0"), said[FRAME:]
        played = yield frame
        loud = int(np.abs(np.frombuffer(played, "<i2").astype(int)).max()) > 2_000
        heard, quiet = heard + loud, 0 if loud else quiet + 1
        if heard == 25:
            said += noise
        if heard and quiet > 50:
            return
        due += 0.02
        time.sleep(max(0.0, due - time.monotonic()))


@pytest.fixture
def url() -> Iterator[str]:
    """A scripted server in a thread of its own, since talk has the loop of this one."""
    script = ScriptedMind([Turn(when="story", say=STORY)], hears=["a story", "never mind"])
    started: list[str] = []
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        async with DevServer(script, ToneVoice(), Options()) as server:
            started.append(server.url)
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(20)
    yield started[0]
    stop.set()
    thread.join(20)


def talk(
    url: str, directory: Path, monkeypatch: pytest.MonkeyPatch, *options: str, talks_over: bool
) -> tuple[str, FakeLibrary]:
    """What is shown and played of a call that ends when the person leaves."""
    library = FakeLibrary()
    library.microphone = person(talks_over=talks_over)
    monkeypatch.setattr("stapes.cli.call.sound_card.load_sounddevice", lambda: library)
    (directory / "desk.py").write_text(AGENT, "utf-8")
    arguments = [str(directory / "desk.py"), "--url", url, "--out", str(directory / "answer.wav")]
    ended = CliRunner().invoke(app, ["talk", *arguments, *options])
    assert ended.stderr == "stapes: the sound device stopped\n"
    return ended.stdout, library


def test_what_is_heard_is_what_is_recorded(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, library = talk(url, tmp_path, monkeypatch, talks_over=False)

    assert STORY in shown
    samples, _ = read_wav(tmp_path / "answer.wav")
    assert library.stream is not None
    assert samples.tobytes() == b"".join(library.stream.played)
    assert np.abs(samples.astype(int)).max() > 2_000


def test_beside_a_loudspeaker_a_noise_does_not_interrupt(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, _ = talk(url, tmp_path, monkeypatch, talks_over=True)

    assert STORY in shown
    assert "barge-in" not in shown


def test_with_headphones_the_caller_can_interrupt(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, _ = talk(url, tmp_path, monkeypatch, "--headphones", talks_over=True)

    assert "barge-in" in shown
    assert STORY not in shown
