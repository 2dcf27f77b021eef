"""Instructions of a delta."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.load.words import table

if TYPE_CHECKING:
    from benches.load.results import Results


def section(results: Results) -> str:
    """What callgrind counts."""
    counted = {
        row["client"]: row["instructions"]
        for row in results.of("instructions")
        if "instructions" in row
    }
    if not counted:
        return ""
    least = counted.get("bare", min(counted.values()))
    rows = [
        [client, f"{count:,.0f}", f"{count / least:.1f}"]
        for client, count in sorted(counted.items(), key=lambda pair: pair[1])
    ]
    return f"""## Instructions

Instructions outside the kernel of an audio delta and its transcript delta, one session at full
speed, as callgrind counts them: they do not depend on what else runs.

{table(["client", "instructions a pair", "times bare"], rows)}"""
