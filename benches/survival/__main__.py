"""Measures what lost, replaced and restarted connections cost: docs/explanation/survival.md.

python -m benches.survival [SECTION ...]: gap, far, lateness, restart
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING

from benches.survival.gaps import gaps
from benches.survival.lateness import lateness
from benches.survival.restart import restart

if TYPE_CHECKING:
    from collections.abc import Sequence

RTT_S = 0.08
TOLERATED_S = 0.04
"""A piece of sound that comes later than this is heard as a gap by many players."""


def _at(values: Sequence[float], share: float) -> float:
    """A percentile, in milliseconds."""
    ordered = sorted(values)
    return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _row(what: str, values: Sequence[float]) -> None:
    found = ", ".join(
        f"{name} {_at(values, share):.1f} ms"
        for name, share in (("p50", 0.5), ("p99", 0.99), ("most", 1.0))
    )
    sys.stdout.write(f"| {what} | {found} |\n")
    sys.stdout.flush()


def _gap(arguments: argparse.Namespace) -> None:
    found = asyncio.run(gaps(arguments.drops))
    _row(f"gap of {len(found)} drops with 50 items, server on this machine", found)


def _far(arguments: argparse.Namespace) -> None:
    found = asyncio.run(gaps(max(1, arguments.drops // 3), RTT_S))
    _row(f"gap of {len(found)} drops with 50 items, server {1000 * RTT_S:.0f} ms away", found)


def _lateness(arguments: argparse.Namespace) -> None:
    rolled, rollovers = asyncio.run(lateness(arguments.rollovers, 0))
    plain, _ = asyncio.run(lateness(0, arguments.rollovers))
    late = sum(value > TOLERATED_S for value in rolled)
    _row(f"lateness of {len(plain)} pieces of sound, no rollover", plain)
    _row(f"lateness of {len(rolled)} pieces, {rollovers} rollovers, {late} over 40 ms", rolled)


def _restart(arguments: argparse.Namespace) -> None:
    told = asyncio.run(restart(arguments.sessions))
    sys.stdout.write(
        f"| {told.sessions} sessions, server restarted | all back {told.seconds:.2f} s after it "
        f"listens, {told.failed_attempts} failed attempts, {told.most_handshakes} handshakes at "
        f"once, event loop late by {1000 * told.loop_lag_p99:.1f} ms (p99) |\n"
    )


SECTIONS = {"gap": _gap, "far": _far, "lateness": _lateness, "restart": _restart}


def main() -> None:
    """Runs the sections that are named, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m benches.survival", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--drops", type=int, default=100)
    parser.add_argument("--rollovers", type=int, default=20)
    parser.add_argument("--sessions", type=int, default=1000)
    arguments = parser.parse_args()
    unknown = set(arguments.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"there are no sections {sorted(unknown)}: {', '.join(SECTIONS)}")
    for name in arguments.sections or SECTIONS:
        SECTIONS[name](arguments)


if __name__ == "__main__":
    main()
