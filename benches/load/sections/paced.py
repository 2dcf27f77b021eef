"""CPU of calls in real time."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benches.load.peers import PEERS
from benches.load.plan import NULLS
from benches.load.plots import bars
from benches.load.results import per_session_second, trouble
from benches.load.words import in_short, joined, percent, table

if TYPE_CHECKING:
    from benches.load.results import Results

N = 200


def cpu_table(results: Results, suite: str, n: int) -> str:
    """The clients of a suite, the cheapest first."""
    rows = []
    for client in _cheapest_first(results, suite, n):
        found = results.done(suite, client, n=n)
        rows.append(
            [
                client,
                in_short([results.net(row) for row in found], 3),
                in_short(results.ratios(suite, client, "stapes", results.net, n=n)),
                in_short(results.ratios(suite, client, "bare", results.net, n=n)),
                in_short([per_session_second(row) for row in found], 3),
                in_short([row.get("lat_p50_us", 0) / 1e3 for row in found if "lat_p50_us" in row]),
                in_short([row["lat_p99_us"] / 1e3 for row in found if "lat_p99_us" in row]),
                percent([row["server"]["busiest_share"] for row in found]),
                joined(trouble(row) for row in results.of(suite, client=client, n=n)) or "none",
            ]
        )
    head = ["client", "ms per session-second", "times stapes", "times bare", "ticking included"]
    return table([*head, "p50 ms", "p99 ms", "server's core", "trouble"], rows)


def _cheapest_first(results: Results, suite: str, n: int) -> list[str]:
    found = {
        client: [results.net(row) for row in results.done(suite, client, n=n)]
        for client in PEERS
        if client not in NULLS
    }
    return sorted((c for c in found if found[c]), key=lambda client: median(found[client]))


def section(results: Results) -> str:
    """CPU by client at N=200, and at few sessions."""
    clients = _cheapest_first(results, "paced", N)
    if not clients:
        return ""
    values = {c: [results.net(row) for row in results.done("paced", c, n=N)] for c in clients}
    plot = bars(
        "load-paced",
        f"CPU of a session, N={N}",
        "CPU milliseconds per session-second, ticking subtracted",
        values,
    )
    others = sorted({row["n"] for row in results.rows if row["suite"] == "few"})
    few = "\n".join(f"\n### N={n}\n\n{cpu_table(results, 'few', n)}" for n in others)
    return f"""## What a call costs

{N} sessions in one process on one core, 10 s of audio both ways in real time, in deltas and
chunks of 100 ms; all turns start within 0.1 s.

{plot}

{cpu_table(results, "paced", N)}
{few}"""
