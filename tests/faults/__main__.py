"""Plays the whole table and writes it down: `python -m tests.faults [PAGE] [RUNS]`."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

from tests.faults.scene import POINTS, WAYS, play

AT_ONCE = 10


async def table() -> dict[tuple[str, str], str | None]:
    """Plays all cells, some at once."""
    room = asyncio.Semaphore(AT_ONCE)
    results: dict[tuple[str, str], str | None] = {}

    async def cell(point: str, way: str) -> None:
        async with room:
            try:
                results[point, way] = await play(point, way)
            except Exception as error:
                results[point, way] = f"{type(error).__name__}: {error}"

    await asyncio.gather(*(cell(point, way) for point in POINTS for way in WAYS))
    return results


def page(runs: list[dict[tuple[str, str], str | None]]) -> str:
    """The table as Markdown."""
    lines = [
        "# The fault table",
        "",
        "A connection is lost at each point of a turn, in each way, with a real session and the",
        "development server. A cell is green where afterwards the server's conversation is the",
        "session's history (ids, order, roles, words as heard, calls with outputs), every call",
        "is answered, and the model has answered what was said last. Made by `make faults`; each",
        "cell says in how many runs it was green.",
        "",
        "| lost | " + " | ".join(way.partition("=")[0] for way in WAYS) + " |",
        "|---|" + "---|" * len(WAYS),
    ]
    for point in POINTS:
        green = [sum(run[point, way] is None for run in runs) for way in WAYS]
        cells = [f"{count}/{len(runs)}" for count in green]
        lines.append(f"| {point} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> int:
    runs = []
    for _ in range(int(sys.argv[2]) if len(sys.argv) > 2 else 3):
        begun = time.monotonic()
        results = asyncio.run(table())
        runs.append(results)
        wrong = {cell: why for cell, why in results.items() if why is not None}
        took = time.monotonic() - begun
        print(f"{len(results) - len(wrong)} of {len(results)} green in {took:.0f} s")
        for (point, way), why in wrong.items():
            print(f"  {point} / {way}: {why[:600]}")
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(page(runs), encoding="utf-8")
    return any(why is not None for run in runs for why in run.values())


if __name__ == "__main__":
    sys.exit(main())
