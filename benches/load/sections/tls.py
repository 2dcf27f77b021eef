"""The same over TLS."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.load.sections.latency import latency_table
from benches.load.sections.paced import N, cpu_table

if TYPE_CHECKING:
    from benches.load.results import Results


def section(results: Results) -> str:
    """CPU and delays over `wss://`."""
    if not results.of("tls"):
        return ""
    spread = results.of("tls-spread")
    late = f"\n### Delays\n\n{latency_table(spread)}" if spread else ""
    return f"""## The same over TLS

`wss://` with a certificate of a local authority that the clients verify, TLS 1.3.

{cpu_table(results, "tls", N)}
{late}"""
