"""How late audio is, and how many sessions a core carries."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benches.load.plan import NULLS
from benches.load.plots import lines
from benches.load.results import audio_lost, microphone_lost, trouble
from benches.load.words import in_short, joined, percent, table

if TYPE_CHECKING:
    from benches.load.results import Results, Row

KNEE_MS = 50
SUITES = ("spread-peers", "spread", "knee", "knee-bare")


def is_fine(row: Row) -> bool:
    """Nothing is lost and little is late."""
    if "cpu_s" not in row or audio_lost(row) or microphone_lost(row) or row.get("failed"):
        return False
    return bool(row["lat_p99_us"] / 1e3 <= KNEE_MS)


def knee(results: Results, client: str) -> tuple[int | None, int | None]:
    """The most sessions that were fine, and the fewest that were not."""
    by_n: dict[int, list[bool]] = {}
    for suite in SUITES:
        for row in results.of(suite, client=client, tls=False):
            by_n.setdefault(row["n"], []).append(is_fine(row))
    # Most repetitions decide.
    verdict = {n: sum(fine) * 2 > len(fine) for n, fine in by_n.items()}
    bad = min((n for n, fine in verdict.items() if not fine), default=None)
    good = [n for n, fine in verdict.items() if fine and (bad is None or n < bad)]
    return max(good, default=None), bad


def latency_table(rows: list[Row]) -> str:
    """Delays by number of sessions and client."""
    cells = sorted({(row["n"], row["client"]) for row in rows if row["client"] not in NULLS})
    lines_of = []
    for n, client in cells:
        of_cell = [row for row in rows if (row["n"], row["client"]) == (n, client)]
        done = [row for row in of_cell if "cpu_s" in row]
        lines_of.append(
            [
                f"{n:,}",
                client,
                *(
                    in_short([row[f"lat_{name}_us"] / 1e3 for row in done], digits)
                    for name, digits in (("p50", 2), ("p99", 1), ("max", 0))
                ),
                percent([row["cpu_s"] / row["wall_s"] for row in done]),
                percent([row["server"]["busiest_share"] for row in done]),
                joined(trouble(row) for row in of_cell) or "none",
            ]
        )
    head = ["N", "client", "p50 ms", "p99 ms", "max ms", "its core", "server's core", "trouble"]
    return table(head, lines_of)


def section(results: Results) -> str:
    """Delays against sessions."""
    rows = [row for suite in SUITES for row in results.of(suite) if row["client"] not in NULLS]
    if not rows:
        return ""
    points: dict[str, list[tuple[float, float]]] = {}
    for n, client in sorted({(row["n"], row["client"]) for row in rows if "lat_p99_us" in row}):
        late = [r["lat_p99_us"] / 1e3 for r in rows if (r["n"], r["client"]) == (n, client)]
        points.setdefault(client, []).append((n, median(late)))
    plot = lines(
        "load-latency",
        "Delay of audio to user code, p99",
        ("sessions on one core", "milliseconds"),
        points,
        log_y=True,
        limit=KNEE_MS,
    )
    return f"""## How late audio is, and how many calls a core carries

From the server's clock just before it sends a delta, which is in the sound itself, to the same
clock when user code has the decoded PCM. Turns start over 2 s. The dashed line is at {KNEE_MS} ms:
the knee is where p99 passes it, or anything is lost. Above 70 % of the server's core its own delays
count as the client's.

{plot}

{latency_table(rows)}"""
