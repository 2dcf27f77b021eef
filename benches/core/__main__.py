"""Counts the instructions of one scripted conversation in the core, and compares two checkouts.

python -m benches.core [--against DIR]

The conversation uses no network, no Python and one thread, and its clock is simulated. callgrind
counts nearly the same on every run, whatever else the machine does. It is held twice: in a session
that outlives its connections, as sessions do by default, and in one that does not
(`reconnect=None`).
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
KINDS = {"reconnect": ["reconnect"], "reconnect=None": []}
"""The arguments of each kind of session."""
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


def measure(binary: Path, kind: str) -> Measured:
    """Counts the instructions of a turn in that kind of session."""
    few, did = _run(binary, FEW, kind)
    many, _ = _run(binary, MANY, kind)
    return Measured((many - few) / ((MANY - FEW) * did["turns"]), did)


def _run(binary: Path, conversations: int, kind: str) -> tuple[int, dict[str, int]]:
    command = [*CALLGRIND, str(binary), str(conversations), *KINDS[kind]]
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
    ours = build(ROOT)
    theirs = None if arguments.against is None else build(arguments.against.resolve())
    for kind in KINDS:
        here = measure(ours, kind)
        print(f"{kind}: {here.instructions_per_turn:,.0f} instructions a turn")
        if theirs is None:
            continue
        there = measure(theirs, kind)
        ratio = here.instructions_per_turn / there.instructions_per_turn
        print(f"  {there.instructions_per_turn:,.0f} in {arguments.against}; ratio {ratio:.4f}")
        for name in sorted({*here.did, *there.did}):
            if here.did.get(name) != there.did.get(name):
                print(f"  they differ: {name} is {here.did.get(name)} and {there.did.get(name)}")


if __name__ == "__main__":
    main()
