"""Calls that come and go, a tenth of them broken off rudely: does anything stay behind?"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import sys
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from benches.load.processes import serving as serving_model
from benches.load.usage import descriptors, rss_kb, threads
from benches.phone.processes import PORT, serving

__all__ = ["churn"]

AT_ONCE = 50
FRAMES = 10
SAMPLES = 10
"""How often it is looked at the server meanwhile."""
BINARIES = Path("target/release")


def _used(pid: int) -> dict[str, int]:
    """Memory in KB, open files, threads of a process."""
    return {"rss_kb": rss_kb(pid), "files": descriptors(pid), "threads": threads(pid)}


async def _call(number: int, chance: random.Random) -> None:
    stream, call = f"MZ{number}", f"CA{number}"
    start = {
        "streamSid": stream,
        "callSid": call,
        "accountSid": "AC1",
        "tracks": ["inbound"],
        "customParameters": {},
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }
    payload = base64.b64encode(b"\x7f" * 160).decode()
    socket = await connect(f"ws://127.0.0.1:{PORT}/media-stream")
    await socket.send(json.dumps({"event": "start", "start": start, "streamSid": stream}))
    for chunk in range(FRAMES):
        media = {"track": "inbound", "chunk": str(chunk + 1), "timestamp": str(chunk * 20)}
        media["payload"] = payload
        await socket.send(json.dumps({"event": "media", "media": media, "streamSid": stream}))
        await asyncio.sleep(0.02)
    if chance.random() < 0.1:
        socket.transport.abort()
        await socket.wait_closed()
        return
    await socket.send(json.dumps({"event": "stop", "stop": {"callSid": call}, "streamSid": stream}))
    await socket.close()


async def _churn(calls: int, pid: int) -> list[dict[str, int]]:
    room, chance, samples = asyncio.Semaphore(AT_ONCE), random.Random(1), []

    async def one(number: int) -> None:
        async with room:
            await _call(number, chance)

    share = calls // SAMPLES
    for at in range(SAMPLES):
        await asyncio.gather(*(one(at * share + number) for number in range(share)))
        # Lines that broke are waited for, for 5 s.
        await asyncio.sleep(7)
        samples.append(_used(pid))
    return samples


def churn(calls: int) -> dict[str, Any]:
    """The row of so many calls."""
    with serving_model(BINARIES) as model:
        listener = [sys.executable, "servers/stapes_listener.py"]
        more = {"REALTIME_URL": f"{model.url}/v1/realtime?mode=paced&chunks=1"}
        with serving(listener, more) as server:
            return {
                "server": "churn",
                "calls": calls,
                "before": _used(server.pid),
                "samples": asyncio.run(_churn(calls, server.pid)),
            }
