"""Measures realtime clients side by side, and writes docs/benchmarks.md.

    python -m benches.load                      everything, then the page (about half an hour)
    python -m benches.load paced blast --reps 1 some suites; their results are added to the file
    python -m benches.load --page               the page alone, from the results that there are

Stop all else that runs on the machine. The server is pinned to core 0, each client to core 1.
"""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benches.load.instructions import count
from benches.load.machine import describe
from benches.load.peers import PEERS, churn_command
from benches.load.plan import NULLS, Cell, suites
from benches.load.processes import ROOT, Server, run, serving
from benches.load.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterable

DISTURBED = 0.1
"""The share of the client's core that others may take; past it the run is repeated."""
ATTEMPTS = 3
EXTRA = ("few",)
"""Suites that are only run when they are named."""
ONCE = ("churn", "instructions")
"""Suites that are not repeated."""

RESULTS = Path(__file__).parent / "results" / "load.jsonl"


def measure(
    cell: Cell, server: Server, binaries: Path, clients: Iterable[str]
) -> Iterable[dict[str, Any]]:
    """Runs the clients of a cell, one after the other."""
    flags = {"n": cell.n, **cell.flags}
    words = [word for key, value in flags.items() for word in (f"--{key}", str(value))]
    for name in clients:
        peer = PEERS[name]
        if (missing := peer.missing(binaries)) is not None:
            print(f"  {name:14} is left out: {missing}", flush=True)
            yield {"client": name, "missing": missing, **flags}
            continue
        if cell.is_counted:
            row = flags | {"client": name} | count(peer.command(binaries), server)
            print(f"  {name:14} {row.get('instructions', row)} instructions", flush=True)
            yield row
            continue
        command = churn_command(name) if cell.is_churn else peer.command(binaries)
        for attempt in range(ATTEMPTS):
            row = flags | run([*command, *words], server, cell.timeout)
            row |= {"client": name, "attempt": attempt}
            print(f"  {name:14} {_in_words(row)}", flush=True)
            if row["foreign"] <= DISTURBED or cell.is_churn:
                break
        yield row


def _in_words(row: dict[str, Any]) -> str:
    if "cpu_s" not in row:
        return f"crashed: {row.get('crashed')} {row.get('stderr', '')}"
    told = [f"{row['cpu_s']:.3f} s CPU"]
    if "samples" in row:
        left = {key: row["after"][key] - row["before"][key] for key in row["before"]}
        return f"{told[0]}, {row['opened']} opened, {row['failures']} failures, left behind {left}"
    if row["mode"] == "paced":
        told.append(f"{row['cpu_s'] * 1e4 / row['n'] / row['chunks']:.3f} ms/session-s")
    if "lat_p99_us" in row:
        told.append(f"p50 {row['lat_p50_us'] / 1e3:.2f} p99 {row['lat_p99_us'] / 1e3:.2f} ms")
    memory = (row["rss_end_kb"] - row["rss_idle_kb"]) / row["n"]
    told.append(f"{memory:.0f} KB/session")
    told.append(f"foreign {row['foreign']:.0%} server {row['server']['busiest_share']:.0%}")
    lost = row["server"]["audio_bytes"] - row.get("audio_bytes", 0)
    if lost and row.get("hands_out_audio", True) and row["client"] not in NULLS:
        told.append(f"LOST {lost:.0f} bytes of audio")
    if row.get("failed") or row.get("errors"):
        told.append(f"FAILED {row.get('failed')} {row.get('errors')} errors")
    return ", ".join(told)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benches.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("suites", nargs="*", help=f"of {', '.join(suites())}; default: all but few")
    parser.add_argument("--clients", help="only these, with commas; see benches/load/peers.py")
    parser.add_argument("--n", help="other numbers of sessions, with commas")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--short", action="store_true", help="churn for one minute, not ten")
    parser.add_argument("--binaries", type=Path, default=ROOT / "target" / "release")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--fresh", action="store_true", help="forget the results that there are")
    parser.add_argument("--page", action="store_true", help="only write the page")
    return parser.parse_args()


def _measure_all(args: argparse.Namespace) -> None:
    known = suites(tuple(map(int, args.n.split(","))) if args.n else (), short=args.short)
    chosen = args.suites or [name for name in known if name not in EXTRA]
    if unknown := set(chosen) - set(known):
        raise SystemExit(f"unknown suite {unknown.pop()!r}: use {', '.join(known)}")
    wanted = args.clients.split(",") if args.clients else None
    recorder = Recorder(args.results)
    recorder.add({"suite": "machine", **describe()})
    for suite in chosen:
        for rep in range(1 if suite in ONCE else args.reps):
            for cell in known[suite]:
                print(f"{suite}, N={cell.n}, {cell.flags}, repetition {rep + 1}", flush=True)
                clients = [name for name in cell.clients if wanted is None or name in wanted]
                with serving(args.binaries, tls=cell.tls) as server:
                    for row in measure(cell, server, args.binaries, clients):
                        recorder.add({"suite": suite, "rep": rep, "tls": cell.tls} | row)


def main() -> None:
    """Measures, then writes the page."""
    args = _arguments()
    # Whoever ends this ends the server as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if args.fresh:
        args.results.unlink(missing_ok=True)
    if not args.page:
        _measure_all(args)
    if args.page or not args.suites:
        from benches.load.page import write_page

        write_page(args.results.parent)


if __name__ == "__main__":
    main()
