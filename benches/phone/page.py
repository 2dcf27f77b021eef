"""Writes the page of what was measured."""

from __future__ import annotations

import platform
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Row = dict[str, Any]

__all__ = ["write"]

VOID = 0.7
"""A load that is busier than this share of its core is late by itself."""
BLOCKED = ("blocked loop", "blocked loop, asyncio", "held GIL", "held GIL, asyncio")


def _machine() -> str:
    cpu = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(": ")[2] for line in cpu.splitlines() if line.startswith("model name")]
    return f"{len(names)} cores of {names[0] if names else platform.machine()}"


def _cells(rows: Iterable[Row], of: Callable[[Row], float | None]) -> str:
    values = [value for row in rows if (value := of(row)) is not None]
    if not values:
        return "-"
    found = f"{median(values):.2f}"
    return found if len(values) == 1 else f"{found} ({min(values):.2f} to {max(values):.2f})"


def _at(name: str, share: str) -> Callable[[Row], float | None]:
    return lambda row: (row.get(name) or {}).get(share)


def holds(row: Row) -> bool:
    """Whether nothing was lost, no answer paused, and every caller was heard."""
    return (
        not row["setup_failed"]
        and not row["phones_lost"]
        and not row["models_lost"]
        and not row["out_lost_ms"]
        and not row["underruns"]
        and row["in_missing_at_end_ms"] < 1000
    )


def _table(head: list[str], rows: Iterable[list[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows), ""]


def write(path: Path, rows: list[Row]) -> None:
    """The page."""
    churned = [row for row in rows if row["server"] == "churn"]
    rows = [row for row in rows if "missing" not in row and row["server"] != "churn"]
    plain = [row for row in rows if row["server"] not in BLOCKED]
    sizes = sorted({row["n"] for row in plain})
    names = list(dict.fromkeys(row["server"] for row in plain))

    def of(name: str, n: int) -> list[Row]:
        return [row for row in plain if row["server"] == name and row["n"] == n]

    def cost(row: Row) -> float:
        return float(row["cpu_ms_per_call_s"])

    lines = [
        "# Phone calls, measured",
        "",
        "Made by `make bench-phone`. A call is a Twilio media stream from a simulated phone (20 ms",
        "of mu-law each 20 ms, marks, clears) to the server, and a WebSocket from there to a",
        "simulated model: answers of 5 s in deltas of 100 to 200 ms at four times real time,",
        "interrupted about every 8 s. Load and model are one Rust program on one core, the server",
        f"has the other: {_machine()}. `relay` moves each frame by itself in Rust, and keeps no",
        "session; `bare asgi` receives a phone's frames on uvicorn and sends as many as an agent",
        "does, without a model. Several measurements: median, and in brackets their range.",
        "",
        "## CPU milliseconds of the server for a second of a call",
        "",
    ]
    lines += _table(
        ["server", *(f"N={n}" for n in sizes)],
        ([name, *(_cells(of(name, n), cost) for n in sizes)] for name in names),
    )
    lines += ["Times the relay:", ""]
    relay = {n: [cost(row) for row in of("relay", n)] for n in sizes}
    ratios = []
    for name in names:
        cells = [name]
        for n in sizes:
            known = [cost(row) for row in of(name, n)]
            both = known and relay[n]
            cells.append(f"{median(known) / median(relay[n]):.2f}" if both else "-")
        ratios.append(cells)
    lines += _table(["server", *(f"N={n}" for n in sizes)], ratios)
    lines += [
        "## Times, and what is cut",
        "",
        "From the model's socket to the phone's, from `speech_started` to `clear`, and what",
        "the history has of an interrupted answer against what the phone had played, in ms, as",
        f"p50 / p99. Where the load is busier than {VOID:.0%} of its core it is late by itself:",
        "such rows are marked. The caller's sound reaches the model in pieces of 80 ms, which is",
        "not counted.",
        "",
    ]
    detailed = [row for row in plain if row.get("out_ms")]

    def pair(row: Row, name: str) -> str:
        low, high = _at(name, "p50")(row), _at(name, "p99")(row)
        return "-" if low is None or high is None else f"{low:.1f} / {high:.1f}"

    lines += _table(
        ["server", "N", "sound", "clear", "cut, off by", "KB a call", "core", "load", "holds"],
        (
            [
                row["server"],
                str(row["n"]),
                pair(row, "out_ms"),
                pair(row, "clear_ms"),
                pair(row, "cut_error_abs_ms"),
                f"{row['rss_per_call_kb']:.0f}",
                f"{row['server_core']:.0%}",
                f"{row['load_core']:.0%}" + (" *" if row["load_core"] > VOID else ""),
                "yes" if holds(row) else "**no**",
            ]
            for row in sorted(detailed, key=lambda row: (row["n"], names.index(row["server"])))
        ),
    )
    lines += [
        "## Handlers that block",
        "",
        "50 calls; every 5 s a handler blocks the event loop for 2 s, or holds the GIL for 500 ms.",
        "",
    ]
    lines += _table(
        ["what", "answers with a gap", "longest way of sound, ms", "holds"],
        (
            [
                row["server"],
                f"{row['underruns']:.0f}",
                f"{row['out_ms']['max']:.0f}",
                "yes" if holds(row) else "**no**",
            ]
            for row in rows
            if row["server"] in BLOCKED
        ),
    )
    for row in churned:
        lines += [
            f"## {row['calls']:,} calls that come and go",
            "",
            "50 at once, a tenth of them broken off; looked at 7 s after each tenth of them, when",
            "no call stands.",
            "",
        ]
        looks = [("before", row["before"])]
        done = row["calls"] // len(row["samples"])
        looks += [(f"{done * (at + 1):,}", it) for at, it in enumerate(row["samples"])]
        lines += _table(
            ["calls", "memory, MB", "open files", "threads"],
            (
                [name, f"{it['rss_kb'] / 1024:.1f}", str(it["files"]), str(it["threads"])]
                for name, it in looks
            ),
        )
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
