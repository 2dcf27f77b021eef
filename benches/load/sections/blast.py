"""Audio at full speed."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benches.load.plots import bars
from benches.load.results import trouble
from benches.load.words import in_short, joined, table

if TYPE_CHECKING:
    from benches.load.results import Results, Row


def rate(row: Row) -> float:
    """Audio deltas per second of CPU: those that user code got, or, where it wants none, all."""
    got = row["audio_deltas"] if row.get("hands_out_audio", True) else row["server"]["audio_deltas"]
    return float(got / row["cpu_s"])


def section(results: Results) -> str:
    """Deltas per CPU second."""
    found: dict[str, list[Row]] = {}
    for row in results.of("blast", n=8):
        if "cpu_s" in row:
            found.setdefault(row["client"], []).append(row)
    if not found:
        return ""
    clients = sorted(found, key=lambda client: -median(map(rate, found[client])))
    values = {client: [rate(row) for row in found[client]] for client in clients}
    plot = bars(
        "load-blast",
        "Audio at full speed, 8 sessions",
        "audio deltas per CPU second",
        values,
    )
    rows = [
        [
            client,
            in_short(values[client], 0),
            in_short(results.ratios("blast", client, "agents-py", rate, n=8)),
            in_short(results.ratios("blast", client, "picows+uvloop", rate, n=8)),
            in_short([1e6 / one for one in values[client]], 1),
            joined(trouble(row) for row in found[client]) or "none",
        ]
        for client in clients
    ]
    head = [
        "client",
        "deltas per CPU second",
        "times agents-py",
        "times picows",
        "µs a pair",
        "trouble",
    ]
    return f"""## Audio as fast as it comes

8 sessions, 40,000 audio deltas of 100 ms and as many transcript deltas, as fast as the sockets
take them. A pair is one of each. Here stapes may keep 1 GiB for its readers (`max_queued_bytes`):
with the default of 8 MiB it would drop what a whole call's sound at once is more than.

{plot}

{table(head, rows)}"""
