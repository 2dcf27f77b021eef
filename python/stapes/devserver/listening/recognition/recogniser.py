"""Speech recognition that does not disturb an event loop: processes, and a queue before them."""

from __future__ import annotations

import asyncio
import json
import queue
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from stapes.devserver.listening.recognition.frames import read_frame, write_frame
from stapes.devserver.mind import MindOverloadedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_BYTES_PER_SECOND = 48_000
_WORKER = "stapes.devserver.listening.recognition.worker"


class RecognitionError(RuntimeError):
    """Speech could not be recognised: the recogniser is missing, or failed."""


class RecogniserBusyError(RecognitionError, MindOverloadedError):
    """Too many utterances wait to be recognised."""


class Recogniser:
    """Turns utterances into words, in processes of its own.

    Args:
        processes: how many utterances are recognised at once.
        waiting: how many more may wait before `transcribe` refuses.
        timeout_s: after how long a recogniser's process is given up and replaced.
        longest_s: how much of an utterance is heard, in seconds; the rest is left out.

    Attributes:
        capacity: how many calls may speak at once.

    Raises:
        RecognitionError: PocketSphinx is not installed; says how to get it.
    """

    def __init__(
        self,
        *,
        processes: int = 1,
        waiting: int = 64,
        timeout_s: float = 30.0,
        longest_s: float = 30.0,
    ) -> None:
        if find_spec("pocketsphinx") is None:
            raise RecognitionError(
                "no speech recogniser: install the extra with `pip install 'stapes[speech]'` "
                "(PocketSphinx has wheels for CPython 3.11 to 3.13 only)"
            )
        self._free: queue.SimpleQueue[_Process] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(processes, thread_name_prefix="stapes-recogniser")
        for _ in range(processes):
            process = _Process(timeout_s)
            process.start()
            self._free.put(process)
        self._waiting = 0
        self._processes = processes
        self.capacity = processes + waiting
        self._longest = int(longest_s * _BYTES_PER_SECOND) & ~1

    def prepare(self, *, instructions: str, tools: Sequence[Mapping[str, Any]]) -> None:
        """Build the vocabulary for an agent in the background, so that no utterance waits for it.

        Does nothing where utterances are waiting: the first one builds it then.
        """
        if self._waiting == 0:
            self._threads.submit(self._transcribe, _describe(instructions, tools), b"")

    async def transcribe(
        self, pcm: bytes, *, instructions: str, tools: Sequence[Mapping[str, Any]]
    ) -> str:
        """Return the words of PCM16 mono at 24,000 Hz, spoken to the agent described.

        Raises:
            RecogniserBusyError: too many utterances wait.
            RecognitionError: the recogniser failed.
        """
        if self._waiting >= self.capacity:
            raise RecogniserBusyError(
                "too many utterances wait: the development server is overloaded. It can listen to "
                f"{self.capacity} calls that speak at once ({self._processes} at a time, others "
                "wait). Make fewer calls, give it more processes with "
                "ListeningMind(Recogniser(processes=...)), or use a ScriptedMind"
            )
        agent = _describe(instructions, tools)
        self._waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(
                self._threads, self._transcribe, agent, pcm[: self._longest]
            )
        finally:
            self._waiting -= 1

    def _transcribe(self, agent: str, pcm: bytes) -> str:
        process = self._free.get()
        try:
            return process.transcribe(agent, pcm)
        finally:
            self._free.put(process)


def _describe(instructions: str, tools: Sequence[Mapping[str, Any]]) -> str:
    return json.dumps({"instructions": instructions, "tools": list(tools)}, sort_keys=True)


class _Process:
    """One recogniser process, started again after it failed."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._running: subprocess.Popen[bytes] | None = None

    def transcribe(self, agent: str, pcm: bytes) -> str:
        process = self._running or self.start()
        alarm = threading.Timer(self._timeout_s, process.kill)
        alarm.daemon = True
        alarm.start()
        try:
            write_frame(cast("BinaryIO", process.stdin), {"agent": agent}, pcm)
            frame = read_frame(cast("BinaryIO", process.stdout))
        except (BrokenPipeError, ConnectionError):
            frame = None
        finally:
            alarm.cancel()
        if frame is None:
            self._running = None
            process.kill()
            status = process.wait()
            raise RecognitionError(
                f"the recogniser's process ended (status {status}); the next utterance starts it "
                f"again. If this stays so, `{sys.executable} -m {_WORKER}` says why"
            )
        answer, _ = frame
        if "error" in answer:
            raise RecognitionError(f"the recogniser failed: {answer['error']}")
        return str(answer["transcript"])

    def start(self) -> subprocess.Popen[bytes]:
        """Start the process; it loads its models by itself."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", _WORKER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        weakref.finalize(self, _end, process)
        self._running = process
        return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
