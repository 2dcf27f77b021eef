"""Counts the instructions of one scripted conversation in the core, and compares two checkouts.

python -m benches.core [--against DIR]

The conversation uses no network, no Python and one thread, and its clock is simulated. callgrind
counts nearly the same on every run, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
BINARY = "stapes-core-bench"
FEW, MANY = 1, 3
"""Conversations of the two runs: their difference has no part of what a start costs."""
CALLGRIND = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"]


class Measured(NamedTuple):
    """What one conversation costs, and what it did."""

    instructions_per_turn: float
    did: dict[str, int]


def build(checkout: Path) -> Path:
    """Builds the bench of a checkout, and gives its path."""
    build_command = ["cargo", "build", "--quiet", "--profile", "profiling", "-p", BINARY]
    subprocess.run(build_command, cwd=checkout, check=True)
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    return checkout / target / "profiling" / BINARY


def measure(binary: Path) -> Measured:
    """Counts the instructions of a turn."""
    few, did = _run(binary, FEW)
    many, _ = _run(binary, MANY)
    return Measured((many - few) / ((MANY - FEW) * did["turns"]), did)


def _run(binary: Path, conversations: int) -> tuple[int, dict[str, int]]:
    command = [*CALLGRIND, str(binary), str(conversations)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or found is None:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return int(found[1]), json.loads(done.stdout)


def main() -> None:
    """Prints the count, and its ratio to another checkout's."""
    parser = argparse.ArgumentParser(prog="python -m benches.core", description=__doc__)
    parser.add_argument(
        "--against", type=Path, metavar="DIR", help="a checkout with its own benches/core"
    )
    arguments = parser.parse_args()
    if shutil.which("valgrind") is None:
        sys.exit("install valgrind: it counts the instructions")
    here = measure(build(ROOT))
    print(f"{here.instructions_per_turn:,.0f} instructions a turn")
    if arguments.against is None:
        return
    there = measure(build(arguments.against.resolve()))
    print(f"{there.instructions_per_turn:,.0f} instructions a turn in {arguments.against}")
    print(f"ratio {here.instructions_per_turn / there.instructions_per_turn:.4f}")
    for name in sorted({*here.did, *there.did}):
        ours, theirs = here.did.get(name), there.did.get(name)
        if ours != theirs:
            print(f"  the conversations differ: {name} is {ours} here and {theirs} there")


if __name__ == "__main__":
    main()
