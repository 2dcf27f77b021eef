"""The SDK's runner, on its own model and on ours."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.load.plan import RUNNER
from benches.load.results import trouble
from benches.load.words import in_short, joined, percent, table

if TYPE_CHECKING:
    from benches.load.results import Results

SUITE = "runner"


def section(results: Results) -> str:
    """CPU and delays of the same conversations, side by side."""
    rows = []
    for n in sorted({row["n"] for row in results.of(SUITE)}):
        for client in RUNNER:
            done = results.done(SUITE, client, n=n)
            rows.append(
                [
                    f"{n:,}",
                    client,
                    in_short([results.net(row) for row in done], 3),
                    in_short(results.ratios(SUITE, "agents-py", client, results.net, n=n)),
                    in_short([row["lat_p50_us"] / 1e3 for row in done]),
                    in_short([row["lat_p99_us"] / 1e3 for row in done], 1),
                    percent([row["cpu_s"] / row["wall_s"] for row in done]),
                    joined(trouble(row) for row in results.of(SUITE, client=client, n=n)) or "none",
                ]
            )
    if not rows:
        return ""
    head = ["N", "client", "ms per session-second", "agents-py is", "p50 ms", "p99 ms"]
    return f"""## The SDK's runner on our model

The same agents in the same `RealtimeRunner` of openai-agents, on its own model and on
`stapes.agents_sdk.StapesRealtimeModel`: sessions in one process on one core, 10 s of audio both
ways in real time, in deltas and chunks of 100 ms; all turns start within 0.1 s. The SDK's session
takes its part of the time in both.

{table([*head, "its core", "trouble"], rows)}"""
