"""The cost of an audio delta in a session: from the JSON text to the event that a callback gets.

The measurement covers the whole core of the session: parsing, decoding, the conversation, the event
order and the hub. It leaves out the socket and the event loop, which the load benchmark covers.
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
from stapes.session.options import CoreOptions

if TYPE_CHECKING:
    from stapes import Audio

PCM = np.random.default_rng(1).integers(-9000, 9000, 2_400, dtype=np.int16).tobytes()
"""100 ms at 24 kHz, the size of a provider's deltas."""

BATCH = 100
ROUNDS = 400


class Listener:
    """One callback for audio, in place of a session's dispatcher and its listeners."""

    def __init__(self) -> None:
        self.run = Context().run
        self.received: list[Audio] = []
        self.audio = (self.received.append,)

    def __call__(self, message: tuple[Any, ...]) -> None:
        """Ignores every other message."""


def measure() -> float:
    """Return the microseconds of CPU for one frame, in the fastest round."""
    wake = os.eventfd(0, os.EFD_NONBLOCK)
    hub = _core.Hub((wake, wake))
    session = _core.Session(hub, CoreOptions(max_queued_bytes=1 << 24))
    session.set_interest(_core.INTEREST_AUDIO)
    asked: tuple[str, list[tuple[str, str]], list[str]] = ("", [], [])
    connection = session.connect_external(
        asked, media_track=False, server_truncates=False, first_event_timeout=0
    )
    connection.opened('{"type":"session.update","session":{}}', "null", 0)
    connection.receive(_event("response.created", response={"id": "resp_1"}))
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
    session.dispatch_to(hub, listener, listener)
    hub.answer()
    fastest = float("inf")
    for _ in range(ROUNDS):
        start = time.thread_time()
        for _ in range(BATCH):
            connection.receive(frame)
        hub.answer()
        fastest = min(fastest, time.thread_time() - start)
        if [event.data for event in listener.received] != [PCM] * BATCH:
            raise AssertionError("the bytes differ from those that were sent")
        listener.received.clear()
    os.close(wake)
    return fastest / BATCH * 1e6


def _event(kind: str, **fields: Any) -> str:
    return json.dumps({"type": kind, **fields})


if __name__ == "__main__":
    print(f"{measure():.2f} us of CPU from JSON text to PCM bytes")
