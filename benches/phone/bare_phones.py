"""Phones that only send their frames, for the bare handler.

python -m benches.phone.bare_phones N SECONDS PORT PID
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from benches.load.usage import cpu_s_of

PAYLOAD = "f" * (160 * 4 // 3 + 1)
FRAME = json.dumps(
    {
        "event": "media",
        "sequenceNumber": "3",
        "streamSid": "MZ1",
        "media": {"track": "inbound", "chunk": "1", "timestamp": "5", "payload": PAYLOAD},
    }
).encode()


class Phone(WSListener):  # type: ignore[misc]
    """Reads what it is sent, and does nothing with it."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """Nothing."""


async def main() -> None:
    """Prints the milliseconds of CPU that a second of a call has cost the server."""
    count, seconds, port, pid = (int(word) for word in sys.argv[1:5])
    url = f"ws://127.0.0.1:{port}/"
    phones = [(await ws_connect(Phone, url))[0] for _ in range(count)]
    frames = seconds * 50
    before, begun = cpu_s_of(pid), time.monotonic()
    for tick in range(frames):
        for at, phone in enumerate(phones):
            # Spread over the 20 ms, as real phones are.
            if at % 20 == 0:
                due = begun + tick * 0.02 + 0.02 * at / count
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            phone.send(WSMsgType.TEXT, FRAME)
    used = cpu_s_of(pid) - before
    took = time.monotonic() - begun
    print(json.dumps({"cpu_ms_per_call_s": used * 1000 / took / count, "seconds": took}))


asyncio.run(main())
