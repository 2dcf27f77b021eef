"""No calls at all: what feeding the microphones costs by itself."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from benches.load.usage import rss_kb
from benches.webrtc.clients.measuring import Meter, Microphones, arguments, spoken


async def measure(sound: Any, calls: int, seconds: int) -> dict[str, Any]:
    microphones = Microphones(sound)
    for _ in range(calls):
        microphones.add(lambda _n, _piece: None)
    meter = Meter(rss_kb())
    async with asyncio.TaskGroup() as group:
        group.create_task(microphones.run(seconds * 50))
        await asyncio.sleep(1.0)
        return await meter.over(seconds - 2.0, calls)


def main() -> None:
    asked = arguments(__doc__).parse_args()
    print(json.dumps(asyncio.run(measure(spoken(asked.wav), asked.calls, asked.seconds))))


if __name__ == "__main__":
    main()
