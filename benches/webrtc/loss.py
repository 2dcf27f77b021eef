"""Measures calls through a bad network, ours beside aiortc's: `python -m benches.webrtc.loss`.

Both clients call the development server (aiortc) through the same relay, in this process, with and
without loss and jitter, and hear the same answer. The delay is that of half seconds of the answer,
from when the server played them to when the client has them; each is found in what was heard by
where it fits best.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.append(str(Path(__file__).parents[2] / "tests" / "webrtc"))
sys.path.append(str(Path(__file__).parents[2] / "tests" / "devserver"))

from aiortc.mediastreams import MediaStreamError
from lossy import LossyNetwork
from peer_client import PeerClient, post
from scipy.signal import correlate

from stapes import RealtimeAgent, RealtimeSession, WebRTCTransport
from stapes.devserver import DevServer, Options, ScriptedMind

RATE = 24_000
WINDOW = RATE // 2
BEFORE, EARLY, LATE = 2 * RATE, RATE // 10, RATE // 2
"""Silence that may have come before, and where around its time a piece is looked for."""
ALIKE = 0.5
"""How alike, of 1, what was sent and what came must be for it to be the same."""
LOSS, JITTER_S, SEED = 0.05, 0.050, 7
TEXT = (
    "The history of the hotel begins in nineteen hundred and eight, when a merchant built it as a "
    "warehouse for tea. In the twenties it became a dance hall."
)


class Heard:
    """Sound and when it came: `position` is where it belongs in the stream, in samples."""

    def __init__(self) -> None:
        self.pieces: list[tuple[float, int, np.ndarray]] = []

    def add(self, samples: np.ndarray, position: int | None = None) -> None:
        if position is None:
            position = self.pieces[-1][1] + len(self.pieces[-1][2]) if self.pieces else 0
        self.pieces.append((time.monotonic(), position, samples))

    def delays(self, sent: np.ndarray, began: float) -> list[float]:
        """For each half second of what was sent, how much later it was there, in milliseconds."""
        # Where the first piece would be if there were no delay. Silence may have come before.
        at, position, _ = self.pieces[0]
        origin = position - int((at - began) * RATE) - BEFORE
        length = max(position + len(samples) for _, position, samples in self.pieces) - origin
        stream, came = np.zeros(length), np.full(length, np.nan)
        for at, position, samples in self.pieces:
            begin = position - origin
            stream[begin : begin + len(samples)] = samples
            came[begin : begin + len(samples)] = at
        found = []
        for start in range(0, len(sent) - WINDOW, WINDOW):
            piece = sent[start : start + WINDOW]
            low = max(0, start + BEFORE - EARLY)
            around = stream[low : start + BEFORE + WINDOW + LATE]
            if np.sqrt(np.mean(piece**2)) < 500 or len(around) < WINDOW:
                continue
            energy = np.cumsum(np.concatenate(([0.0], around**2)))
            loudness = np.sqrt(np.maximum(energy[WINDOW:] - energy[:-WINDOW], 1.0))
            fits = correlate(around, piece, mode="valid", method="fft") / loudness
            at = int(np.argmax(fits))
            if fits[at] < ALIKE * np.sqrt(np.sum(piece**2)):
                # It has not come, or too little of it.
                continue
            last = came[low + at : low + at + WINDOW]
            last = last[~np.isnan(last)]
            if len(last):
                found.append(1000 * (last[-1] - began - (start + WINDOW) / RATE))
        return found

    def missing(self, sent: np.ndarray) -> float:
        """The share of what was sent that was not handed out, not even concealed."""
        return max(0.0, 1 - sum(len(samples) for _, _, samples in self.pieces) / len(sent))


async def ours(network: LossyNetwork, heard: Heard, spoil: bool) -> dict[str, Any]:
    stopped = asyncio.Event()
    transport = WebRTCTransport(url=network.url)
    session: RealtimeSession[Any] = RealtimeSession(
        RealtimeAgent(name="front", instructions="Answer."), transport=transport, api_key="any"
    )
    session.on("audio_stopped", lambda _: stopped.set())
    session.on("audio", lambda event: heard.add(np.frombuffer(event.data, "<i2").astype(float)))
    async with session:
        if spoil:
            network.spoil(loss=LOSS, jitter_s=JITTER_S)
        session.send_message("Speak.")
        await stopped.wait()
        # Statistics are those of the last second.
        await asyncio.sleep(1.1)
        sound = session.transport.sound
    assert sound is not None
    return {"concealed": sound.concealed, "target_ms": 1000 * sound.target, "has_silence": False}


async def with_aiortc(network: LossyNetwork, heard: Heard, spoil: bool) -> dict[str, Any]:
    client = PeerClient()
    playing = False

    async def listen(track: Any) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                return
            if playing:
                mono = frame.to_ndarray().reshape(-1, 2)[::2, 0].astype(float)
                heard.add(mono, frame.pts // 2 - origin[0] if origin else 0)
                if not origin:
                    origin.append(frame.pts // 2)

    origin: list[int] = []
    client.ear.listen = listen  # type: ignore[method-assign]
    status, _, answer = await post(network.url, (await client.offer()).encode(), "application/sdp")
    assert status == 201
    await client.accept(answer.decode())
    await client.until("session.created")
    if spoil:
        network.spoil(loss=LOSS, jitter_s=JITTER_S)
    playing = True
    client.send("response.create")
    await client.until("output_audio_buffer.started", 60)
    await client.until("output_audio_buffer.stopped", 60)
    await asyncio.sleep(1.0)
    playing = False
    first, last = heard.pieces[0], heard.pieces[-1]
    frames = (last[1] - first[1]) / (RATE // 50) + 1
    await client.connection.close()
    # aiortc conceals nothing: what is lost is missing.
    return {"concealed": 1 - len(heard.pieces) / frames, "has_silence": True}


async def measure(client: Any, spoil: bool) -> dict[str, Any]:
    heard = Heard()
    async with (
        DevServer(ScriptedMind(otherwise=TEXT), None, Options()) as server,
        LossyNetwork(server.calls_url, seed=SEED) as network,
    ):
        running = asyncio.create_task(client(network, heard, spoil))
        served = await server.next_call(seconds=30)
        emitted, begun = served.call._context.observe, []

        def observe(event: dict[str, Any]) -> None:
            if event["type"] == "output_audio_buffer.started":
                begun.append(time.monotonic())
            emitted(event)

        served.call._context.observe = observe
        found = await running
        began = begun[0]
        conversation = served.call._context.conversation
        pcm = b"".join(bytes(part.pcm) for item in conversation for part in item.parts)
        found["lost"] = network.lost / network.carried
    sent = np.frombuffer(pcm, "<i2").astype(float)
    delays = heard.delays(sent, began)
    # aiortc's stream has the silence around the answer, too.
    found["missing"] = 0.0 if found.pop("has_silence") else heard.missing(sent)
    found["delay_ms"] = {
        "median": round(float(np.median(delays)), 1),
        "p95": round(float(np.percentile(delays, 95)), 1),
    }
    return found


async def compare() -> dict[str, Any]:
    """Both clients, with and without the bad network."""
    found: dict[str, Any] = {"loss": LOSS, "jitter_ms": 1000 * JITTER_S, "seed": SEED}
    for name, client in (("ours", ours), ("aiortc", with_aiortc)):
        clean, bad = await measure(client, spoil=False), await measure(client, spoil=True)
        added = round(bad["delay_ms"]["median"] - clean["delay_ms"]["median"], 1)
        found[name] = {"clean": clean, "bad": bad, "added_delay_ms": added}
    return found


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    print(json.dumps(asyncio.run(compare())))
