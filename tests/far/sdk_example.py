"""Runs an example of `openai-agents` on our model, against a development server.

python -m tests.far.sdk_example SCRIPT URL PORT

Where there is no sound device, a microphone that asks one question takes its place, and a
loudspeaker that plays in real time to nobody.
"""

from __future__ import annotations

import asyncio
import runpy
import sys
import threading
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import agents.realtime.runner
import numpy as np
import uvicorn

from stapes import WebSocketTransport
from stapes.agents_sdk import StapesRealtimeModel
from stapes.devserver import ToneVoice

RATE = 24_000


class Stream:
    """What both streams have."""

    active = False

    def start(self) -> None:
        self.active = True

    def stop(self) -> None:
        self.active = False

    def close(self) -> None:
        self.active = False


class InputStream(Stream):
    """A microphone: a question, and then silence."""

    def __init__(self, **_: Any) -> None:
        question = asyncio.run_coroutine_threadsafe(_question(), _voice_loop()).result()
        self._sound = np.concatenate([np.zeros(RATE, np.int16), np.frombuffer(question, np.int16)])
        self._since = time.monotonic()
        self._read = 0

    @property
    def read_available(self) -> int:
        return int((time.monotonic() - self._since) * RATE) - self._read

    def read(self, count: int) -> tuple[Any, bool]:
        part = self._sound[self._read : self._read + count]
        self._read += count
        return np.pad(part, (0, count - len(part))).reshape(-1, 1), False


class OutputStream(Stream):
    """A loudspeaker, which asks for sound in real time."""

    def __init__(self, *, callback: Any, blocksize: int, **_: Any) -> None:
        self._callback = callback
        self._blocksize = blocksize

    def start(self) -> None:
        super().start()
        threading.Thread(target=self._play, daemon=True).start()

    def _play(self) -> None:
        while self.active:
            self._callback(np.zeros((self._blocksize, 1), np.int16), self._blocksize, None, None)
            time.sleep(self._blocksize / RATE)


async def _question() -> bytes:
    speech = await ToneVoice().speak("What is the weather in Oslo?", voice="caller", speed=1.0)
    return speech.pcm


def _voice_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def main() -> None:
    script, url, port = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    agents.realtime.runner.OpenAIRealtimeWebSocketModel = lambda: StapesRealtimeModel(
        transport=WebSocketTransport(url=url)
    )
    try:
        import sounddevice  # noqa: F401
    except OSError:
        device = ModuleType("sounddevice")
        device.InputStream, device.OutputStream = InputStream, OutputStream  # type: ignore[attr-defined]
        sys.modules["sounddevice"] = device
    serve = uvicorn.run
    uvicorn.run = lambda app, **options: serve(app, **{**options, "port": port})
    sys.path.insert(0, str(script.parent))
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
