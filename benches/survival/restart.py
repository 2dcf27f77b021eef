"""A provider restarts under many sessions, which come back together."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benches.load.processes import ROOT
from stapes import RealtimeAgent, RealtimeSession, ReconnectPolicy, WebSocketTransport

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

SERVER = ROOT / "target" / "release" / "stapes-load-server"
ITEMS = 10
AWAY_S = 1.0
AT_ONCE = 50
PATIENCE_S = 120.0
PROBE_S = 0.005
POLICY = ReconnectPolicy(attempts=30, max_delay=2.0)


@dataclass(frozen=True, slots=True)
class Restarted:
    """How the sessions came back."""

    sessions: int
    seconds: float
    """From when the server listened again."""
    failed_attempts: int
    most_handshakes: int
    """At once, as the server counted them."""
    loop_lag_p99: float
    """Of the event loop that all of them share, in seconds."""


class Server:
    """The far side: it can be killed, and started again at the same address."""

    def __init__(self) -> None:
        self.port = 0
        self.start()

    def start(self) -> None:
        command = [str(SERVER), "--port", str(self.port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        self.port = int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    async def counts(self) -> dict[str, Any]:
        """What the server has counted since it was started."""
        from websockets.asyncio.client import connect

        line: ClientConnection
        async with connect(f"{self.url}/stats") as line:
            told: dict[str, Any] = json.loads(await line.recv())
            return told


def _snapshot() -> dict[str, Any]:
    words = "such words as a caller says"
    history = [
        {
            "item_id": f"item_{number}",
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [{"type": "input_text", "text": f"{words} {number}"}],
        }
        for number in range(ITEMS)
    ]
    return {
        "version": 1,
        "agent": "Desk",
        "model": None,
        "config": {},
        "history": history,
        "usage": {},
        "call_id": None,
    }


async def restart(count: int) -> Restarted:
    """Kills the server under that many connected sessions, and starts it again after a second."""
    server = Server()
    agent: RealtimeAgent[Any] = RealtimeAgent(name="Desk", instructions="Answer.")
    transport = WebSocketTransport(url=f"{server.url}/v1/realtime?mode=paced&chunks=1&responses=1")
    stored, back, all_back = _snapshot(), 0, asyncio.Event()

    def restored(_: object) -> None:
        nonlocal back
        back += 1
        if back == count:
            all_back.set()

    sessions: list[RealtimeSession[Any]] = []
    for _ in range(count):
        session: RealtimeSession[Any] = RealtimeSession.restore(
            stored, agents=[agent], api_key="nobody's", transport=transport, reconnect=POLICY
        )
        session.on("session_restored", restored)
        sessions.append(session)
    try:
        for at in range(0, count, AT_ONCE):
            await asyncio.gather(*(session.connect() for session in sessions[at : at + AT_ONCE]))
        server.kill()
        await asyncio.sleep(AWAY_S)
        probe = asyncio.create_task(_lags())
        server.start()
        since = time.perf_counter()
        async with asyncio.timeout(PATIENCE_S):
            await all_back.wait()
        seconds = time.perf_counter() - since
        probe.cancel()
        lags = sorted((await asyncio.gather(probe, return_exceptions=False))[0])
        told = await server.counts()
        return Restarted(
            sessions=count,
            seconds=seconds,
            failed_attempts=sum(session.stats().failed_attempts for session in sessions),
            most_handshakes=told["most_handshakes"],
            loop_lag_p99=lags[int(0.99 * len(lags))],
        )
    finally:
        await asyncio.gather(*(session.close() for session in sessions))
        server.kill()


async def _lags() -> list[float]:
    """How much later than asked for the loop came back, until it is cancelled."""
    found: list[float] = []
    try:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(PROBE_S)
            found.append(time.perf_counter() - before - PROBE_S)
    except asyncio.CancelledError:
        return found
