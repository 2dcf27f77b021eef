"""The part of the page about calls of web pages with both ends."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from benches.load.bars import Bar, at_least, at_most
from benches.load.words import NOTHING, in_short, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    Row = dict[str, Any]

__all__ = ["bars", "costs"]

PEER = "aiortc, openai-agents"
QUIET_PEER = "aiortc, openai-agents, no messages"
BATCH_MS = 80
BEYOND_MS = 5
OUT_MS = 25
VOID = 0.7
"""A load that is busier than this share of its core is late by itself."""

BLOCKED = {
    "stapes, blocked loop": "the event loop is blocked for 2 s, every 5 s",
    "stapes, held GIL": "the GIL is held for 500 ms, every 5 s",
}


def _of(rows: Sequence[Row], server: str, calls: int) -> list[Row]:
    return [row for row in rows if (row["server"], row["calls"]) == (server, calls)]


def _trouble(row: Row) -> str:
    """What went wrong, in words."""
    counts = {
        "packets lost": row["packets_lost"],
        "packets short": row["packets_short"],
        "answers not heard": row["answers_unheard"],
        "gaps": row["gaps"],
        "gaps of callers": row["in_gaps"],
        "calls lost": row["pages_lost"] + row["models_lost"],
        "calls failed": row["setup_failed"],
    }
    return ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)


def _whole(what: str, rows: Sequence[Row]) -> Bar:
    if not rows:
        return Bar(what, "nothing lost, no gap", NOTHING, None)
    trouble = "; ".join(text for row in rows if (text := _trouble(row)))
    cores = f"{median(row['server_core'] for row in rows):.0%} of the core"
    load = f"the load {max(row['load_core'] for row in rows):.0%} of its own"
    return Bar(
        what, "nothing lost, no gap", f"{trouble or 'nothing'}; {cores}, {load}", not trouble
    )


def bars(rows: Sequence[Row]) -> list[Bar]:
    """What is aimed at."""
    ours, peer = (
        [row["cpu_ms_per_call_s"] for row in _of(rows, server, 10)] for server in ("stapes", PEER)
    )
    ratio = [median(peer) / median(ours)] if ours and peer else []
    quiet = [row["cpu_ms_per_call_s"] for row in _of(rows, QUIET_PEER, 10)]
    quiet_ratio = [median(quiet) / median(ours)] if ours and quiet else []
    what = "CPU of a page's call, ten calls: aiortc with openai-agents / stapes"
    found = [
        at_least(what, 4, ratio, " times"),
        at_least(f"{what}, where only ours tells the page what is said", 4, quiet_ratio, " times"),
    ]
    found += [
        _whole(f"{calls} pages' calls on one core", _of(rows, "stapes", calls))
        for calls in (80, 150)
    ]
    for calls in (80, 150):
        own = _of(rows, "stapes", calls)
        beyond = [row["in_ms"]["p99"] - row["target_ms"]["max"] - BATCH_MS for row in own]
        found += [
            at_most(
                f"RTP of a page to the model's socket, {calls} calls, p99, beyond the jitter "
                f"buffer's target and the batch ({BATCH_MS} ms)",
                BEYOND_MS,
                beyond,
                " ms",
                1,
            ),
            at_most(
                f"the model's socket to RTP out, {calls} calls, p99",
                OUT_MS,
                [row["out_ms"]["p99"] for row in own],
                " ms",
                1,
            ),
        ]
    found += [
        _whole(f"{calls} pages' calls while {what}", _of(rows, server, calls))
        for calls in (50, 80)
        for server, what in BLOCKED.items()
    ]
    return found


def costs(rows: Sequence[Row]) -> str:
    """Markdown; nothing where nothing was measured."""
    if not rows:
        return ""
    head = ["server", "calls", "CPU ms per call and second", "its core", "the load's core"]
    head += ["KB a call", "packets a second", "in, p50 / p99 / max ms", "target ms"]
    head += ["out, p50 / p99 / max ms", "longest gap ms", "trouble", "others"]
    lines = []
    for server, calls in dict.fromkeys((row["server"], row["calls"]) for row in rows):
        own = _of(rows, server, calls)
        last = own[-1]
        load = max(row["load_core"] for row in own)
        lines.append(
            [
                server,
                f"{calls}",
                in_short([row["cpu_ms_per_call_s"] for row in own]),
                f"{median(row['server_core'] for row in own):.0%}",
                f"{load:.0%}" + (" *" if load > VOID else ""),
                in_short([row["kb_per_call"] for row in own], 0),
                f"{last['packets_per_s']:.1f}",
                _shares(last["in_ms"]),
                f"{last['target_ms']['max']:.0f}" if last["target_ms"] else NOTHING,
                _shares(last["out_ms"]),
                f"{max(row['longest_gap_ms'] for row in own):.0f}",
                _trouble(last) or "none",
                f"{max(row['foreign'] for row in own):.0%}",
            ]
        )
    return f"""### Calls of web pages, with both ends

A page offers a call, which the server answers, and takes to a model over a WebSocket. Pages and
model are one Rust program (`stapes-pages`); it has one core, the server the other. A page sends
speech as Opus (32 kbit/s, encoded before) all the time; the model answers for 5 s in every 7 s, in
deltas of 100 to 200 ms at four times real time, and six answers of seven are interrupted. The
server decodes the page's sound, sends it to the model as PCM in batches of {BATCH_MS} ms, encodes
the answers, and tells the page what is said. openai-agents' server, which does the same, is
`benches/webrtc/servers/agents_aiortc.py`.

*In* is from when a page sends a packet to when the model's socket has it: the jitter buffer's
target and the batch are part of it. *Out* is from when the first delta of an answer is written to
the model's socket to when the page has the first packet. A gap is more than 40 ms without a packet
within an answer, and of callers more than 40 ms beyond a batch at the model. A load that is busier
than {VOID:.0%} of its core (*) is late by itself. *Others* is what other processes took of one of
the cores: beyond 10% the row is disturbed, its gaps and delays are partly theirs.

{table(head, lines)}"""


def _shares(values: dict[str, float] | None) -> str:
    if not values:
        return NOTHING
    return " / ".join(f"{values[key]:.1f}" for key in ("p50", "p99", "max"))
