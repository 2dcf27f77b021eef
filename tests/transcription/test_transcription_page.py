"""The code of docs/transcription.md runs, against the development server."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import stapes
from stapes import RealtimeTranscription, RealtimeTranslation, WebSocketTransport
from stapes.audio import write_wav
from stapes.devserver import DevServer, ScriptedMind, ToneVoice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

PAGE = Path(__file__).parents[2] / "docs" / "transcription.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)


def block(having: str) -> str:
    """The code of the page that has a text."""
    (found,) = [code for code in BLOCKS if having in code]
    return str(found)


def reached(url: str, made: Any) -> Any:
    return partial(made, api_key="any", transport=WebSocketTransport(url=url))


async def spoken(text: str) -> bytes:
    return (await ToneVoice().speak(text, voice="caller", speed=1.0)).pcm


async def test_a_recording_is_transcribed(
    run: Callable[..., Awaitable[DevServer]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    server = await run(ScriptedMind(hears=["what about bergen"]))
    url = f"{server.url}?intent=transcription"
    assert url.split("?")[1] in PAGE.read_text("utf-8")
    monkeypatch.setattr(
        stapes, "RealtimeTranscription", reached(url, RealtimeTranscription), raising=False
    )
    sound = np.frombuffer(await spoken("what about bergen"), dtype="<i2")[::3]
    write_wav(tmp_path / "question.wav", sound, 8000)
    code = block("sys.argv")
    assert code.endswith("\n\n\nasyncio.run(main(sys.argv[1]))\n")
    names: dict[str, Any] = {}
    exec(compile(code.replace("asyncio.run(main(sys.argv[1]))", ""), str(PAGE), "exec"), names)
    async with asyncio.timeout(10):
        await names["main"](str(tmp_path / "question.wav"))
    assert capsys.readouterr().out == "what about bergen\n=> what about bergen\n"


async def test_a_microphone_is_interpreted(
    run: Callable[..., Awaitable[DevServer]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    server = await run(ScriptedMind(hears=["hello"]))
    path = "/translations?model=gpt-realtime-translate"
    assert path in PAGE.read_text("utf-8")
    monkeypatch.setattr(
        stapes,
        "RealtimeTranslation",
        reached(server.url + path, RealtimeTranslation),
        raising=False,
    )
    sound = bytes(48 * 400) + await spoken("hello") + bytes(48 * 900)

    class Microphone:
        def start(self, take: Callable[[bytes], object]) -> None:
            # At 48 kHz: each sample twice.
            take(np.repeat(np.frombuffer(sound, dtype="<i2"), 2).tobytes())

    class Speaker:
        heard = 0

        def write(self, pcm: bytes) -> None:
            self.heard += len(pcm)
            if self.heard > 16_000:
                raise EOFError("it was heard")

    names: dict[str, Any] = {}
    exec(compile(block("def interpret"), str(PAGE), "exec"), names)
    with pytest.raises(EOFError):
        await asyncio.wait_for(names["interpret"](Microphone(), Speaker()), 10)
    assert capsys.readouterr().out.startswith("(es)")
