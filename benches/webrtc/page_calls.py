"""Calls of web pages over WebRTC with both ends: pages and model are one Rust program on one core.

The server, which has the other core, is stapes' own listener, or openai-agents behind aiortc.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.load.processes import pinned
from benches.phone.processes import LOAD_CORE, MODEL_PORT, PHONE_CORE, PORT, serving
from benches.webrtc.processes import last_line

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["PLAN", "measure_pages"]

HERE = Path(__file__).parent

STAPES, PEER = "stapes_pages.py", "agents_aiortc.py"

PLAN: list[tuple[str, int, str, Mapping[str, str]]] = [
    ("stapes", 10, STAPES, {}),
    ("aiortc, openai-agents", 10, PEER, {}),
    ("aiortc, openai-agents, no messages", 10, PEER, {"QUIET": "1"}),
    ("stapes", 80, STAPES, {}),
    ("stapes", 150, STAPES, {}),
    *(
        (f"stapes, {what}", calls, STAPES, {"BLOCK": kind})
        for calls in (50, 80)
        for what, kind in (("blocked loop", "loop"), ("held GIL", "gil"))
    ),
]
"""What serves, how many calls there are, its program, and more of its environment."""


def measure_pages(
    binaries: Path,
    wav: Path,
    server: str,
    calls: int,
    program: str,
    more: Mapping[str, str],
    *,
    cycles: int = 3,
) -> dict[str, Any]:
    """One row: calls that talk for 7 s, then for `cycles` of 7 s that are measured."""
    command = [sys.executable, str(HERE / "servers" / program)]
    with serving(command, more) as process:
        load = [str(binaries / "stapes-pages"), f"--calls={calls}", f"--wav={wav}"]
        load += [f"--url=http://127.0.0.1:{PORT}/talk", f"--model-port={MODEL_PORT}"]
        load += [f"--pid={process.pid}", f"--server-core={PHONE_CORE}", f"--cycles={cycles}"]
        row = last_line(pinned(LOAD_CORE, load), timeout=180)
    return {"server": server, "calls": calls} | row
