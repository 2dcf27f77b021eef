"""A conversation with the package that is installed, and nothing else: no key, no network."""

from __future__ import annotations

import asyncio
import platform

import numpy as np

import stapes
from stapes import RealtimeAgent, RealtimeSession, WebSocketTransport
from stapes.audio import OpusDecoder, OpusEncoder, Resampler
from stapes.calls import WebRTCCall
from stapes.devserver import DevServer, ScriptedMind


async def main() -> None:
    """Holds it."""
    agent = RealtimeAgent(name="desk", instructions="Answer.")
    async with DevServer(ScriptedMind(otherwise="Here I am.")) as server:
        transport = WebSocketTransport(url=server.url)
        async with RealtimeSession(agent, transport=transport, api_key="none") as session:
            session.send_message("Is anybody there?")
            async with asyncio.timeout(20):
                while "Here I am." not in str(list(session.history)):
                    await asyncio.sleep(0.02)
    sound = (8000 * np.sin(np.arange(480) / 10)).astype("<i2")
    packet = OpusEncoder(24_000).encode(sound)
    assert len(OpusDecoder(24_000).decode(packet)) == len(sound.tobytes())
    assert len(Resampler(48_000, 24_000).process(np.repeat(sound, 2))) > 0
    call = WebRTCCall()
    call.hang_up()
    await call.ended()
    print(f"CPython {platform.python_version()}: stapes {stapes.__version__} held a conversation")


asyncio.run(main())
