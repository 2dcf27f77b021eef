"""Servers under load, each on a core of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benches.load.processes import pinned

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["HERE", "LOAD_CORE", "MODEL_PORT", "PORT", "serving"]

HERE = Path(__file__).parent
PORT = 18_080
MODEL_PORT = 18_765
LOAD_CORE, PHONE_CORE = 0, 1
"""Of load and model, and of the server under test."""


@contextmanager
def serving(
    command: Sequence[str], more: Mapping[str, str], port: int = PORT
) -> Iterator[subprocess.Popen[bytes]]:
    """A server on the second core, once it listens."""
    environment = os.environ | {
        "PORT": str(port),
        "REALTIME_URL": f"ws://127.0.0.1:{MODEL_PORT}/v1/realtime",
        "OPENAI_API_KEY": "any",
        "OPENAI_AGENTS_DISABLE_TRACING": "1",
        **more,
    }
    server = subprocess.Popen(
        pinned(PHONE_CORE, command),
        cwd=HERE,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + 60
        while socket.socket().connect_ex(("127.0.0.1", port)):
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command} does not listen: it ended with {server.returncode}")
            time.sleep(0.2)
        time.sleep(1)
        yield server
    finally:
        server.send_signal(signal.SIGTERM)
        try:
            server.wait(5)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
