"""Drives N sessions of one client in this process; prints one JSON line of results.

python -m benches.load.drive --client stapes --url ws://127.0.0.1:9100 --n 200
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from typing import TYPE_CHECKING, Any

os.environ.setdefault("OPENAI_AGENTS_DISABLE_TRACING", "1")

from benches.load.clients import CLIENTS, load_client
from benches.load.clients.client import Sink
from benches.load.ticker import tick
from benches.load.usage import cpu_by_thread, cpu_s, rss_kb, switches, threads

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from benches.load.clients.client import Client

OPENING = 20
"""Sessions that connect at the same time."""


class Stretch:
    """What is used from its making to its end."""

    def __init__(self) -> None:
        self.user, self.system = cpu_s()
        self.switches = switches()
        self.threads = cpu_by_thread()
        self.wall = time.monotonic()

    def end(self) -> dict[str, Any]:
        """Gives what was used."""
        user, system = cpu_s()
        return {
            "cpu_s": user + system - self.user - self.system,
            "cpu_system_s": system - self.system,
            "wall_s": time.monotonic() - self.wall,
            "switches": switches() - self.switches,
            "cpu_by_thread": {
                name: used - self.threads.get(name, 0.0) for name, used in cpu_by_thread().items()
            },
        }


async def run(args: argparse.Namespace, kind: type[Client]) -> dict[str, Any]:
    """Connects, runs the turns, and gives the results."""
    url = (
        f"{args.url}/v1/realtime?model=gpt-realtime-2.1&mode={args.mode}&chunks={args.chunks}"
        f"&responses={args.responses}&history={args.history}"
    )
    result: dict[str, Any] = {}
    # A tool is called in a response of its own; the last response has none.
    turns = args.chunks + 1 if args.mode == "tools" else args.responses
    sinks = [Sink(turns) for _ in range(args.n)]
    clients = [kind(sink, args.mode, args.chunks) for sink in sinks]
    result["rss_idle_kb"] = rss_kb()

    connecting = Stretch()
    for first in range(0, args.n, OPENING):
        await asyncio.gather(*(client.open(url) for client in clients[first : first + OPENING]))
    await _settle(sinks, args.history if kind.has_items else 0)
    result["connect_cpu_ms"] = connecting.end()["cpu_s"] * 1e3 / args.n
    result["rss_connected_kb"] = rss_kb()

    paced = args.mode == "paced"
    seconds = args.chunks / 10 if paced else 60
    streaming = Stretch()
    spread, chunks = (args.spread, args.chunks) if paced else (0, 0)
    result["mic_sent"] = await tick(clients, spread=spread, chunks=chunks)
    _, late = await asyncio.wait([sink.done for sink in sinks], timeout=seconds * 2 + 30)
    await asyncio.gather(*(client.has_spoken() for client in clients))
    result |= streaming.end()
    result["rss_end_kb"] = rss_kb()
    result["threads"] = threads()
    result |= _received(sinks)
    result["failed"] = [f"{len(late)} turns are not over"] * bool(late)
    result["failed"] += [repr(why) for s in sinks if s.done.done() and (why := s.done.exception())]
    closing = [asyncio.ensure_future(client.close()) for client in clients]
    await asyncio.wait(closing, timeout=15)
    return result


async def _settle(sinks: list[Sink], items: int) -> None:
    """Waits for the items of an earlier conversation, and for what greets a session."""
    deadline = time.monotonic() + 120
    while min(sink.items for sink in sinks) < items and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.3)


def _received(sinks: list[Sink]) -> dict[str, Any]:
    result: dict[str, Any] = {
        "audio_deltas": sum(len(sink.latencies_ns) for sink in sinks),
        "audio_bytes": sum(sink.audio_bytes for sink in sinks),
        "errors": sum(sink.errors for sink in sinks),
    }
    latencies = sorted(ns for sink in sinks for ns in sink.latencies_ns)
    if latencies:
        for name, share in (("p50", 0.5), ("p99", 0.99), ("max", 1.0)):
            at = min(len(latencies) - 1, int(len(latencies) * share))
            result[f"lat_{name}_us"] = latencies[at] / 1e3
    return result


def load_runner(loop: str) -> Callable[[Coroutine[Any, Any, dict[str, Any]]], dict[str, Any]]:
    """What runs a coroutine on that event loop."""
    match loop:
        case "uvloop":
            import uvloop

            return uvloop.run
        case "stapes":
            import stapes

            return stapes.run
        case _:
            return asyncio.run


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--client", choices=CLIENTS, required=True)
    parser.add_argument("--url", default="ws://127.0.0.1:9100")
    parser.add_argument("--n", type=int, default=1)
    parser.add_argument("--mode", default="paced")
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--responses", type=int, default=1)
    parser.add_argument("--history", type=int, default=0)
    parser.add_argument("--spread", type=float, default=0.1, help="seconds over which turns start")
    parser.add_argument("--loop", choices=("asyncio", "uvloop", "stapes"), default="asyncio")
    return parser.parse_args()


def main() -> None:
    """Runs one client."""
    args = _arguments()
    before, importing = rss_kb(), Stretch()
    kind = load_client(args.client)
    used = importing.end()
    result: dict[str, Any] = {
        key: getattr(args, key) for key in ("n", "mode", "chunks", "responses", "history", "spread")
    }
    result |= {
        "hands_out_audio": kind.hands_out_audio,
        "import_ms": used["wall_s"] * 1e3,
        "import_cpu_ms": used["cpu_s"] * 1e3,
        "import_rss_kb": rss_kb() - before,
    }
    runner = load_runner(args.loop)
    result |= runner(run(args, kind))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
