"""Measures realtime clients side by side: `python -m benches.load --help`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from benches.load.processes import ROOT, commands, run, serving


def main() -> None:
    """Runs clients against one server."""
    parser = argparse.ArgumentParser(prog="python -m benches.load")
    parser.add_argument("--clients", default="null,null-rust,bare,stapes,stapes-quiet")
    parser.add_argument("--n", default="200")
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--responses", type=int, default=1)
    parser.add_argument("--mode", default="paced")
    parser.add_argument("--spread", type=float, default=0.1)
    parser.add_argument("--history", type=int, default=0)
    parser.add_argument("--reps", type=int, default=1)
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--binaries", type=Path, default=ROOT / "target" / "release")
    parser.add_argument("--out", type=Path, default=ROOT / "out" / "load.jsonl")
    args = parser.parse_args()
    known = commands(args.binaries)
    args.out.parent.mkdir(exist_ok=True)
    with serving(args.binaries, tls=args.tls) as server:
        for rep in range(args.reps):
            for n in map(int, args.n.split(",")):
                null: dict[str, float] = {}
                for name in args.clients.split(","):
                    flags = {"mode": args.mode, "chunks": args.chunks, "spread": args.spread}
                    flags |= {"n": n, "responses": args.responses}
                    if args.history:
                        flags["history"] = args.history
                    given = [word for key, value in flags.items() for word in (f"--{key}", str(value))]
                    row = run([*known[name], *given], server, 120) | {"client": name, "rep": rep}
                    with args.out.open("a") as out:
                        out.write(json.dumps(row) + "\n")
                    if "cpu_s" not in row:
                        print(name, n, row)
                        continue
                    seconds = n * args.chunks / 10
                    cost = row["cpu_s"] * 1e3 / seconds
                    if name.startswith("null"):
                        null[name] = cost
                    used = null.get("null-rust" if name == "bare" else "null", 0.0)
                    memory = (row["rss_end_kb"] - row["rss_idle_kb"]) / n
                    print(
                        f"{name:14} n={n} {cost:.3f} ms/session-s (less null {cost - used:.3f}) "
                        f"p50 {row.get('lat_p50_us', 0) / 1e3:.2f} p99 {row.get('lat_p99_us', 0) / 1e3:.2f} "
                        f"max {row.get('lat_max_us', 0) / 1e3:.1f} ms, {memory:.0f} KB/session, "
                        f"deltas/CPU-s {row.get('audio_deltas', 0) / row['cpu_s']:.0f}, "
                        f"audio {row.get('audio_bytes')}/{row['server']['audio_bytes']:.0f} "
                        f"mic {row.get('mic_sent')}/{row['server']['mic_frames']:.0f} "
                        f"errors {row.get('errors')} {row.get('failed')} foreign {row['foreign']:.0%} "
                        f"server {row['server']['busiest_share']:.0%} late {row['server']['latest_tick_ms']:.1f} ms",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
