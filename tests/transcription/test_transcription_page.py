"""The code of docs/how-to/transcription.md runs, against the development server."""

from __future__ import annotations

import asyncio
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import stapes
from stapes import RealtimeTranscription, RealtimeTranslation, WebSocketTransport
from stapes.audio import write_wav
from stapes.devserver import DevServer, ScriptedMind, ToneVoice

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    import pytest

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "transcription.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)


def block(having: str) -> str:
    """The code of the page that has a text."""
    (found,) = [code for code in BLOCKS if having in code]
    return str(found)


def functions_of(code: str, **names: Any) -> dict[str, Any]:
    """What the code defines, without its last line, which runs it."""
    kept, _, last = code.rstrip().rpartition("\n")
    assert last.startswith("asyncio.run(")
    exec(compile(kept, str(PAGE), "exec"), names)
    return names


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
    monkeypatch.setattr(
        stapes, "RealtimeTranscription", reached(url, RealtimeTranscription), raising=False
    )
    sound = np.frombuffer(await spoken("what about bergen"), dtype="<i2")[::3]
    write_wav(tmp_path / "question.wav", sound, 8000)
    code = block("RealtimeTranscription, Transcript, TranscriptDelta")
    names = functions_of(code)
    async with asyncio.timeout(10):
        await names["main"](str(tmp_path / "question.wav"))
    assert capsys.readouterr().out == "what about bergen\n=> what about bergen\n"


async def test_a_recording_is_interpreted(
    run: Callable[..., Awaitable[DevServer]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    server = await run(ScriptedMind(hears=["hello"]))
    url = f"{server.url}/translations?model=gpt-realtime-translate"
    monkeypatch.setattr(
        stapes, "RealtimeTranslation", reached(url, RealtimeTranslation), raising=False
    )
    sound = bytes(48 * 400) + await spoken("hello") + bytes(48 * 900)
    write_wav(tmp_path / "hello.wav", np.frombuffer(sound, dtype="<i2"), 24_000)
    names = functions_of(block("RealtimeTranscription, Transcript, TranscriptDelta"))
    names |= functions_of(block("def interpret"), **names)
    async with asyncio.timeout(10):
        await names["interpret"](str(tmp_path / "hello.wav"))
    told = capsys.readouterr().out
    assert "(es)" in told
    assert "bytes]" in told
