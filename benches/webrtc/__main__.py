"""Measures WebRTC calls, and writes their part of docs/benchmarks.md.

    python -m benches.webrtc                    everything, then the page (twenty minutes)
    python -m benches.webrtc ten fifty --reps 1 some; their results are added to the file
    python -m benches.webrtc --page             the page alone, from the results that there are

Stop all else that runs on the machine. The reflector is pinned to core 0, each client to core 1.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.load.processes import ROOT
from benches.load.recorder import Recorder, rounded
from benches.webrtc.build import build_cold
from benches.webrtc.machine import describe
from benches.webrtc.page_calls import PLAN, measure_pages
from benches.webrtc.processes import against_reflector, last_line
from benches.webrtc.section import RESULTS
from benches.webrtc.speech import spoken_wav

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

DISTURBED = 0.1
"""The share of the client's core that others may take; past it the run is repeated."""
ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Bench:
    """What the measurements are made with."""

    binaries: Path
    wav: Path
    seconds: int

    def client(self, module: str, *, speaks: bool = True, **options: int) -> dict[str, Any]:
        """Runs one of the clients that are in Python."""
        words = [f"--{key.replace('_', '-')}={value}" for key, value in options.items()]
        if speaks:
            words += [f"--wav={self.wav}", f"--seconds={self.seconds}"]
        command = [sys.executable, "-m", f"benches.webrtc.clients.{module}", *words]
        if not speaks:
            # What Python has allocated is to be seen as well.
            command = ["env", "PYTHONMALLOC=malloc", *command]
        return self._run(command, again=speaks)

    def caller(self, *words: str, speaks: bool = True) -> dict[str, Any]:
        """Runs the client that is in Rust."""
        words += (f"--seconds={self.seconds}",) if speaks else ()
        return self._run([str(self.binaries / "stapes-caller"), *words], again=speaks)

    def _run(self, command: list[str], *, again: bool) -> dict[str, Any]:
        """Runs it `again` where it was disturbed: costs and delays suffer, counts do not."""
        for attempt in range(ATTEMPTS if again else 1):
            row = against_reflector(command, self.binaries, timeout=180) | {"attempt": attempt}
            if row["foreign"] <= DISTURBED:
                break
        return row


def _ten(bench: Bench) -> list[dict[str, Any]]:
    """The clients side by side."""
    clients: dict[str, tuple[str, dict[str, int]]] = {
        "null": ("null", {}),
        "stapes": ("ours", {}),
        "stapes-mic": ("ours", {"streams": 1}),
        "aiortc": ("with_aiortc", {}),
    }
    return [
        {"client": name} | bench.client(module, calls=10, **options)
        for name, (module, options) in clients.items()
    ]


def _loss(bench: Bench) -> list[dict[str, Any]]:
    return [last_line([sys.executable, "-m", "benches.webrtc.loss"], timeout=300)]


def _pages(bench: Bench) -> Iterator[dict[str, Any]]:
    """Calls with both ends; those that were disturbed again, and of these the least disturbed."""
    for plan in PLAN:
        rows: list[dict[str, Any]] = []
        for attempt in range(ATTEMPTS):
            row = measure_pages(bench.binaries, bench.wav, *plan) | {"attempt": attempt}
            rows.append(row)
            if row.get("foreign", 0.0) <= DISTURBED:
                break
        yield min(rows, key=lambda row: row.get("foreign", 1.0))


MEASUREMENTS: dict[str, tuple[int, Callable[[Bench], Iterable[dict[str, Any]]]]] = {
    "ten": (3, _ten),
    "fifty": (3, lambda bench: [bench.client("ours", calls=50)]),
    "encoded": (3, lambda bench: [bench.caller("--calls=200")]),
    "opens": (1, lambda bench: [bench.client("opens", speaks=False, calls=500, at_once=10)]),
    "opens-rust": (1, lambda bench: [bench.caller("--opens=500", "--at-once=10", speaks=False)]),
    "pages": (1, _pages),
    "loss": (1, _loss),
    "build": (1, lambda _bench: [build_cold()]),
}
"""How often each is repeated, and what it does."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benches.webrtc",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("only", nargs="*", help=f"of {', '.join(MEASUREMENTS)}; default: all")
    parser.add_argument("--reps", type=int, help="instead of each one's own number")
    parser.add_argument("--seconds", type=int, default=10, help="of sound")
    parser.add_argument("--binaries", type=Path, default=ROOT / "target" / "release")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--fresh", action="store_true", help="forget the results that there are")
    parser.add_argument("--page", action="store_true", help="only write the page")
    return parser.parse_args()


def _measure_all(asked: argparse.Namespace) -> None:
    if unknown := set(asked.only) - set(MEASUREMENTS):
        raise SystemExit(f"unknown {unknown.pop()!r}: use {', '.join(MEASUREMENTS)}")
    bench = Bench(asked.binaries, spoken_wav(ROOT / "out" / "speech.wav"), asked.seconds)
    recorder = Recorder(asked.results)
    recorder.add({"measurement": "machine"} | describe())
    for name in asked.only or MEASUREMENTS:
        reps, measure = MEASUREMENTS[name]
        for rep in range(asked.reps or reps):
            for row in measure(bench):
                print(f"{name}: {json.dumps(rounded(row))}", flush=True)
                recorder.add({"measurement": name, "rep": rep} | row)


def main() -> None:
    """Measures, then writes the page."""
    asked = _arguments()
    if asked.fresh:
        asked.results.unlink(missing_ok=True)
    if not asked.page:
        _measure_all(asked)
    if asked.page or not asked.only:
        from benches.load.page import write_page

        write_page()


if __name__ == "__main__":
    main()
