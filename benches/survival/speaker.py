"""A server that speaks in real time, in a process of its own: it prints its URL and serves."""

from __future__ import annotations

import asyncio
import sys

from stapes.devserver import DevServer, Options, ScriptedMind

ANSWER = "one two three four five six seven eight nine ten"


async def main() -> None:
    """Serves until it is killed."""
    async with DevServer(ScriptedMind(otherwise=ANSWER), options=Options(pace=1.0)) as server:
        sys.stdout.write(f"{server.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
