"""What a long history costs."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benches.load.plots import lines
from benches.load.words import in_short, table

if TYPE_CHECKING:
    from benches.load.results import Results, Row

KINDS = (
    ("history", "items", "an update of an item"),
    ("history", "transcript", "a transcript delta"),
    ("tools", "tools", "a tool call and its answer"),
)


def per_event_us(row: Row) -> float:
    """CPU microseconds of an event, its share of the responses' other events included."""
    return float(row["cpu_s"] * 1e6 / (row["chunks"] * row.get("responses", 1)))


def section(results: Results) -> str:
    """Costs against the length of the history."""
    rows, points = [], dict[str, list[tuple[float, float]]]()
    for suite, mode, what in KINDS:
        for client in dict.fromkeys(row["client"] for row in results.of(suite, mode=mode)):
            found = {
                size: results.done(suite, client, mode=mode, history=size)
                for size in (0, 1000, 5000)
            }
            costs = {size: [per_event_us(row) for row in found[size]] for size in found}
            if not all(costs.values()):
                continue
            growth = min(costs[5000]) / min(costs[0])
            preload = [row["connect_cpu_ms"] * 1e3 / 5000 for row in found[5000]]
            rows.append(
                [
                    what,
                    client,
                    *(in_short(costs[size], 1) for size in costs),
                    f"{growth:.2f}",
                    in_short(preload, 1),
                ]
            )
            if mode == "items":
                points[client] = [(size, median(costs[size])) for size in costs]
    if not rows:
        return ""
    plot = lines(
        "load-history",
        "An update of an item, by the length of the history",
        ("items in the history", "CPU microseconds"),
        points,
        log_y=True,
    )
    head = ["event", "client", "0 items", "1,000", "5,000", "5,000 / 0", "receiving them, µs each"]
    return f"""## What a long history costs

CPU microseconds of an event in one session, after so many items were received; user code gets the
history with each update. There are 200 events in a response, and 10 responses; of stapes, which
needs more to be measured, 1,000 in each of 200. The responses' other events are included. Of tool
calls there are 200, of stapes 2,000, each in a response of its own. Growth is that of the quickest
repetitions: the same work takes longer only where something else disturbs it.

{plot}

{table(head, rows)}"""
