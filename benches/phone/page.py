"""Writes the page of what was measured."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from benches.load.machine import describe
from benches.load.words import NOTHING, in_short, table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    Row = dict[str, Any]

__all__ = ["write"]

VOID = 0.7
"""A load that is busier than this share of its core is late by itself."""
BLOCKED = ("blocked loop", "blocked loop, asyncio", "held GIL", "held GIL, asyncio")

INTRODUCTION = """\
# Phone calls, measured

Made by `make bench-phone`. A call is a Twilio media stream from a simulated phone (20 ms
of mu-law each 20 ms, marks, clears) to the server, and a WebSocket from there to a
simulated model: answers of 5 s in deltas of 100 to 200 ms at four times real time,
interrupted about every 8 s. Load and model are one Rust program on one core, the server
has the other: {cores} cores of {processor}. `relay` moves each frame by itself in Rust, and
keeps no session; `bare asgi` receives a phone's frames on uvicorn and sends as many as an
agent does, without a model. Several measurements: median, and in brackets their range.
"""

TIMES = f"""\
## Times, and what is cut

From the model's socket to the phone's, from `speech_started` to `clear`, and what the
history has of an interrupted answer against what the phone had played, in ms, as
p50 / p99. Where the load is busier than {VOID:.0%} of its core it is late by itself: such
rows are marked. On long lines everything takes 20 to 120 ms one way, with 10 ms of jitter, a
phone fills a buffer of up to 100 ms before it plays, and deltas last 20 ms to 4 s. The caller's
sound reaches the model in pieces of 80 ms, which is not counted.
"""

HANDLERS = """\
## Handlers that block

50 calls; every 5 s a handler blocks the event loop for 2 s, or holds the GIL for 500 ms.
"""

PAGES = """\
## Web pages

A page in place of the phone: PCM at 24 kHz in binary messages of 40 ms, with what it has played;
the session's events are told to it. `page relay` moves the same frames, each by itself, and
keeps no session.
"""

CHURN = """\
## {calls:,} calls that come and go

50 at once, a tenth of them broken off; looked at 7 s after each tenth of them, when
no call stands.
"""


def _holds(row: Row) -> bool:
    """Whether nothing was lost, no answer paused, and every caller was heard."""
    return (
        not row["setup_failed"]
        and not row["phones_lost"]
        and not row["models_lost"]
        and not row["out_lost_ms"]
        and not row["underruns"]
        and row["in_missing_at_end_ms"] < 1000
    )


def _held(row: Row) -> str:
    return "yes" if _holds(row) else "**no**"


def _shares(row: Row, name: str) -> str:
    values = row.get(name) or {}
    return f"{values['p50']:.1f} / {values['p99']:.1f}" if values else NOTHING


def _costs(rows: list[Row]) -> list[str]:
    sizes = sorted({row["n"] for row in rows})
    costs: dict[str, dict[int, list[float]]] = {}
    for row in rows:
        of_server = costs.setdefault(row["server"], {n: [] for n in sizes})
        of_server[row["n"]].append(row["cpu_ms_per_call_s"])

    def ratio(name: str, n: int) -> str:
        both = costs[name][n] and costs["relay"][n]
        return f"{median(costs[name][n]) / median(costs['relay'][n]):.2f}" if both else NOTHING

    head = ["server", *(f"N={n}" for n in sizes)]
    return [
        "## CPU milliseconds of the server for a second of a call\n",
        table(head, ([name, *(in_short(costs[name][n]) for n in sizes)] for name in costs)),
        "\nTimes the relay:\n",
        table(head, ([name, *(ratio(name, n) for n in sizes)] for name in costs)),
        "",
    ]


def _times(rows: list[Row]) -> list[str]:
    head = ["server", "N", "sound", "clear", "cut, off by", "KB a call", "core", "load", "holds"]
    cells = (
        [
            row["server"],
            str(row["n"]),
            _shares(row, "out_ms"),
            _shares(row, "clear_ms"),
            _shares(row, "cut_error_abs_ms"),
            f"{row['rss_per_call_kb']:.0f}",
            f"{row['server_core']:.0%}",
            f"{row['load_core']:.0%}" + (" *" if row["load_core"] > VOID else ""),
            _held(row),
        ]
        for row in sorted(rows, key=lambda row: int(row["n"]))
        if row.get("out_ms")
    )
    return [TIMES, table(head, cells), ""]


def _handlers(rows: list[Row]) -> list[str]:
    head = ["what", "answers with a gap", "longest way of sound, ms", "holds"]
    cells = (
        [row["server"], f"{row['underruns']:.0f}", f"{row['out_ms']['max']:.0f}", _held(row)]
        for row in rows
    )
    return [HANDLERS, table(head, cells), ""]


def _pages(rows: list[Row]) -> list[str]:
    relayed = median(row["cpu_ms_per_call_s"] for row in rows if row["server"] == "page relay")
    head = ["server", "N", "CPU ms a call-second", "times the relay"]
    head += ["sound", "clear", "cut, off by", "holds"]
    cells = []
    for name in ("page relay", "page"):
        own = [row for row in rows if row["server"] == name]
        costs, last = [row["cpu_ms_per_call_s"] for row in own], own[-1]
        times = [_shares(last, key) for key in ("out_ms", "clear_ms", "cut_error_abs_ms")]
        ratio = f"{median(costs) / relayed:.2f}"
        cells.append([name, str(last["n"]), in_short(costs), ratio, *times, _held(last)])
    return [PAGES, table(head, cells), ""]


def _churn(row: Row) -> list[str]:
    done = row["calls"] // len(row["samples"])
    looks = [("before", row["before"])]
    looks += [(f"{done * (at + 1):,}", it) for at, it in enumerate(row["samples"])]
    cells = (
        [name, f"{it['rss_kb'] / 1024:.1f}", str(it["files"]), str(it["threads"])]
        for name, it in looks
    )
    head = ["calls", "memory, MB", "open files", "threads"]
    return [CHURN.format(calls=row["calls"]), table(head, cells), ""]


def write(path: Path, rows: Iterable[Row]) -> None:
    """The page."""
    measured = [row for row in rows if "missing" not in row]
    churned = [row for row in measured if row["server"] == "churn"]
    blocked = [row for row in measured if row["server"] in BLOCKED]
    pages = [row for row in measured if row["server"] in ("page", "page relay")]
    others = (*churned, *blocked, *pages)
    calls = [row for row in measured if row not in others]
    alike = [row for row in calls if "long lines" not in row["server"]]
    lines = [INTRODUCTION.format(**describe()), *_costs(alike), *_times(calls)]
    if pages:
        lines += _pages(pages)
    lines += _handlers(blocked)
    for row in churned:
        lines += _churn(row)
    path.write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")
