"""Sessions that come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benches.load.plots import lines
from benches.load.words import table

if TYPE_CHECKING:
    from benches.load.results import Results, Row

WARM_UP = 0.2
"""The share of the time that is not judged."""


def slope_bytes(row: Row) -> float:
    """Bytes that memory grows by with each session opened, after warm-up."""
    samples = [one for one in row["samples"] if one["seconds"] >= row["seconds"] * WARM_UP]
    # While the last sessions end, none are opened.
    samples = [one for one in samples if one["seconds"] <= row["seconds"]]
    opened = np.array([one["opened"] for one in samples], dtype=float)
    rss = np.array([one["rss_kb"] for one in samples], dtype=float)
    return float(np.polyfit(opened, rss * 1024, 1)[0])


def leaks(row: Row) -> str:
    """What is left behind, in words."""
    more = {key: row["after"][key] - row["before"][key] for key in row["before"]}
    return ", ".join(f"{count:+} {key}" for key, count in more.items() if count > 0)


def section(results: Results) -> str:
    """Memory over time."""
    rows = results.done("churn", "stapes")
    if not rows:
        return ""
    row = max(rows, key=lambda one: float(one["seconds"]))
    plot = lines(
        "load-churn",
        f"Memory while {row['opened']:,} sessions come and go, {row['n']} at a time",
        ("minutes", "RSS in MB"),
        {"stapes": [(one["seconds"] / 60, one["rss_kb"] / 1024) for one in row["samples"]]},
    )
    head = ["minutes", "N", "opened", "failed", "bytes a session, after warm-up", "left behind"]
    lines_of = [
        [
            f"{one['seconds'] / 60:g}",
            f"{one['n']}",
            f"{one['opened']:,}",
            f"{one['failures']}",
            f"{slope_bytes(one):,.0f}",
            leaks(one) or "nothing",
        ]
        for one in rows
    ]
    return f"""## Sessions that come and go

Each place holds one call after another, of 1 to 6 s; the slope is fitted to RSS against sessions
opened, after the first fifth of the time. Left behind: asyncio tasks, threads (of Rust and of
Python) and file descriptors after all is closed, against one session before.

{plot}

{table(head, lines_of)}"""
