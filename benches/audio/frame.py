"""What an audio delta costs a session: from the JSON text to the event that a callback gets.

All of the session's core is on the way: reading, decoding, the conversation, the one order and the
hub. What is left out is the socket and the loop, which are the business of the load benchmark.
"""

from __future__ import annotations

import json
import os
import time
from base64 import b64encode
from contextvars import Context
from typing import TYPE_CHECKING, Any

import numpy as np

from stapes import _core

if TYPE_CHECKING:
    from stapes import Audio

PCM = np.random.default_rng(1).integers(-9000, 9000, 2_400, dtype=np.int16).tobytes()
"""100 ms at 24 kHz, as the provider sends them."""

BATCH = 100
ROUNDS = 400


class Listener:
    """One callback for sound, as a session's dispatcher and its listeners."""

    def __init__(self) -> None:
        self.run = Context().run
        self.heard: list[Audio] = []
        self.audio = (self.heard.append,)

    def __call__(self, word: tuple[Any, ...]) -> None:
        """Takes every other word."""


def measure() -> float:
    """Give the microseconds of CPU for one frame: the fastest round."""
    wake = os.eventfd(0, os.EFD_NONBLOCK)
    hub = _core.Hub((wake, wake))
    session = _core.Session(
        hub,
        history_store_audio=False,
        guardrail_debounce=100,
        speech_interrupts=True,
        playback="clock",
        respond_to_mcp_calls=True,
        response_timeout=30.0,
        waiting_responses=64,
        answered_calls=256,
        high_water=1 << 18,
        max_outgoing_bytes=1 << 22,
        max_queued_events=10_000,
        max_queued_bytes=1 << 24,
    )
    session.set_interest(_core.INTEREST_AUDIO)
    line = session.connect_external(media_track=False, server_truncates=False)
    line.opened('{"type":"session.update","session":{}}', "null", 0)
    line.receive(_event("response.created", response={"id": "resp_1"}))
    frame = _event(
        "response.output_audio.delta",
        event_id="event_1",
        response_id="resp_1",
        item_id="item_1",
        output_index=0,
        content_index=0,
        delta=b64encode(PCM).decode(),
    )
    listener = Listener()
    hub.register(session.id, session.cursor, listener, listener)
    hub.answer()
    fastest = float("inf")
    for _ in range(ROUNDS):
        start = time.thread_time()
        for _ in range(BATCH):
            line.receive(frame)
        hub.answer()
        fastest = min(fastest, time.thread_time() - start)
        if [event.data for event in listener.heard] != [PCM] * BATCH:
            raise AssertionError("the bytes are not those that were sent")
        listener.heard.clear()
    os.close(wake)
    return fastest / BATCH * 1e6


def _event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


if __name__ == "__main__":
    print(f"{measure():.2f} us of CPU from JSON text to PCM bytes")
