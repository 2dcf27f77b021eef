"""Counts instructions with callgrind: it works without the machine's counters."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING, Any

from benches.load.processes import run

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benches.load.processes import Server

FEW, MANY = 5, 25
"""Responses of the two runs; what they differ by is not what a start costs."""
CHUNKS = 100
TOOL = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]


def count(command: Sequence[str], server: Server) -> dict[str, Any]:
    """Gives the instructions of an audio delta and its transcript delta, outside the kernel."""
    if shutil.which("valgrind") is None:
        return {"missing": "install valgrind"}
    counted = []
    for responses in (FEW, MANY):
        flags = ["--n", "1", "--mode", "blast", "--chunks", f"{CHUNKS}"]
        row = run([*TOOL, *command, *flags, "--responses", f"{responses}"], server, 400)
        found = re.search(r"Collected : (\d+)", row.get("stderr", ""))
        if found is None or row.get("failed"):
            return {"crashed": row.get("crashed") or row.get("failed") or "nothing was counted"}
        counted.append(int(found[1]))
    return {"instructions": (counted[1] - counted[0]) / ((MANY - FEW) * CHUNKS)}
