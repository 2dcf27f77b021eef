"""Memory of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benches.load.plan import NULLS
from benches.load.words import in_short, table

if TYPE_CHECKING:
    from benches.load.results import Results, Row


def per_session_kb(row: Row) -> float:
    """RSS before the sockets close less RSS before the first connect, over N."""
    return float((row["rss_end_kb"] - row["rss_idle_kb"]) / row["n"])


def section(results: Results) -> str:
    """Memory by client, plain and over TLS, and what importing costs."""
    rows = []
    for client in dict.fromkeys(row["client"] for row in results.of("paced", n=200)):
        plain = results.done("paced", client, n=200)
        if client in NULLS or not plain:
            continue
        imports = [row for row in plain if "import_ms" in row]
        rows.append(
            [
                client,
                in_short([per_session_kb(row) for row in plain], 0),
                in_short([per_session_kb(row) for row in results.done("tls", client, n=200)], 0),
                in_short([row["connect_cpu_ms"] for row in plain]),
                in_short([r["connect_cpu_ms"] for r in results.done("tls", client, n=200)]),
                in_short([row["import_rss_kb"] / 1024 for row in imports], 0),
                in_short([row["import_cpu_ms"] for row in imports], 0),
            ]
        )
    if not rows:
        return ""
    head = ["client", "KB a session", "TLS", "connect, CPU ms", "TLS", "import MB", "import CPU ms"]
    return f"""## Memory, connecting, importing

Memory: RSS after the last turn, with all sockets open, less RSS before the first connect, over the
200 sessions; what is loaded or allocated once, at the first connection, is in it.

{table(head, rows)}"""
