"""Runs the reflector and the clients, each pinned to its core, and watches both."""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from benches.load.processes import CLIENT_CORE, ROOT, SERVER_CORE, busy_s, children_s, pinned
from benches.load.usage import cpu_s_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

WINDOW_S = 0.5


class Reflector:
    """The far side: its URL, and how busy it is."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        self.url = process.stdout.readline().strip()
        self.shares: list[float] = []
        self._pid = process.pid
        self._stop = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._watching.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._watching.join()

    def _watch(self) -> None:
        used, at = cpu_s_of(self._pid), time.monotonic()
        while not self._stop.wait(WINDOW_S):
            now, here = cpu_s_of(self._pid), time.monotonic()
            self.shares.append((now - used) / (here - at))
            used, at = now, here


@contextlib.contextmanager
def reflecting(binaries: Path) -> Iterator[Reflector]:
    """Runs a reflector for as long as the block runs."""
    command = pinned(SERVER_CORE, [str(binaries / "stapes-reflector")])
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            with Reflector(process) as reflector:
                yield reflector
        finally:
            process.terminate()


def against_reflector(command: Sequence[str], binaries: Path, timeout: float) -> dict[str, Any]:
    """Runs a client against a reflector of its own; its results, the far side's, and the noise."""
    with reflecting(binaries) as reflector:
        busy, ours, wall = busy_s(CLIENT_CORE), children_s(), time.monotonic()
        row = last_line(pinned(CLIENT_CORE, [*command, "--url", reflector.url]), timeout)
        # The share of the client's core that other processes took.
        used = busy_s(CLIENT_CORE) - busy - (children_s() - ours)
        row["foreign"] = used / (time.monotonic() - wall)
    return row | {"reflector_busiest_share": max(reflector.shares, default=0.0)}


def last_line(command: Sequence[str], timeout: float) -> dict[str, Any]:
    """What a program says last, which is JSON; or how it failed."""
    # To a file: a program that is killed has said nothing otherwise.
    with tempfile.TemporaryFile("w+") as errors:
        try:
            done = subprocess.run(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=errors, text=True, timeout=timeout
            )
        except subprocess.TimeoutExpired:
            return {"crashed": f"not done after {timeout:g} s"}
        if done.returncode == 0 and done.stdout:
            found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
            return found
        errors.seek(0)
        return {"crashed": f"status {done.returncode}", "stderr": errors.read()[-600:]}
