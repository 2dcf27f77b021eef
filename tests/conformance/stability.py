"""Replays the conversations again and again on a busy machine: the traces must not differ.

python -m tests.conformance.stability [--runs N] [--load N]
"""

from __future__ import annotations

import argparse
import filecmp
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).parents[2]


@contextmanager
def load(processes: int) -> Iterator[None]:
    """Keeps the processors busy."""
    command = [sys.executable, "-c", "while True: pass"]
    burning = [subprocess.Popen(command) for _ in range(processes)]
    try:
        yield
    finally:
        for process in burning:
            process.kill()
            process.wait()


def replay(out: Path) -> None:
    command = [sys.executable, "-m", "tests.conformance.replay"]
    for folder in (DATA, DATA / "twilio"):
        options = ["--scenarios", str(folder / "scenarios"), "--out", str(out / folder.name)]
        subprocess.run(
            [*command, *options], cwd=ROOT, check=True, timeout=600, stderr=subprocess.DEVNULL
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--load", type=int, default=2 * (os.cpu_count() or 1))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, load(options.load):
        runs = [Path(folder) / str(run) for run in range(options.runs)]
        for run in runs:
            replay(run)
        names = sorted(str(path.relative_to(runs[0])) for path in runs[0].rglob("*.json"))
        for run in runs[1:]:
            _, differing, missing = filecmp.cmpfiles(runs[0], run, names, shallow=False)
            if differing or missing:
                sys.exit(f"run {run.name} differs in {', '.join(differing + missing)}")
    print(f"{options.runs} runs under load: {len(names)} traces, all the same")


if __name__ == "__main__":
    main()
