"""How it was measured, on what, and how much noise there was."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from benches.load.peers import PEERS
from benches.load.words import table

if TYPE_CHECKING:
    from benches.load.results import Results


def section(results: Results) -> str:
    """The machine, the clients, the method, the noise."""
    machine = results.machine
    packages = {**machine.get("packages", {}), **machine.get("javascript", {})}
    versions = ", ".join(f"{name} {version}" for name, version in packages.items())
    clients = [[peer.name, peer.what] for peer in PEERS.values()]
    absent = "".join(f"\n- {name} was left out: {why}" for name, why in results.missing.items())
    return f"""## How it is measured

On {machine.get("processor")}, {machine.get("cores")} cores, {machine.get("memory_gb")} GB,
{machine.get("system")}, with CPython {machine.get("python")}, Rust {machine.get("rust")}, Node
{machine.get("node")}; {versions} ({_revisions(results)}).

{table(["client", "what it is"], clients)}
{absent}
- The server (`benches/load/rust`) is a Rust program on core 0, one thread; its frames are encoded
  before, each is written by itself. It reads its own share of that core; where that is high it is
  told above. The client is a process on core 1, with all its threads.
- CPU is user and system time of the client's process, from the first turn's start to the last
  turn's end. One ticker with ticks of 5 ms serves the microphones of all sessions, in all clients
  alike; the `null` clients do only that.
- Nothing is lost unless the column `trouble` says so: bytes of audio that user code got, and
  chunks of microphone that the server got, are compared with what was sent.
- Loopback only: no loss, no jitter, no compression. No hardware counters are used.

{_noise(results)}"""


def _revisions(results: Results) -> str:
    if len(results.revisions) > 1:
        return f"revisions {', '.join(results.revisions)}: some clients were not measured again"
    return f"revision {', '.join(results.revisions)}"


def _noise(results: Results) -> str:
    done = [row for row in results.rows if "foreign" in row and row["suite"] != "churn"]
    if not done:
        return ""
    foreign = sorted(max(0.0, row["foreign"]) for row in done)
    disturbed = [row for row in done if row["foreign"] > 0.1]
    most = (
        "the most disturbed: "
        + ", ".join(
            f"{row['client']} ({row['suite']}, N={row['n']}, {row['foreign']:.0%})"
            for row in sorted(disturbed, key=lambda row: -row["foreign"])[:5]
        )
        if disturbed
        else "none above 10 %"
    )
    repeated = sum(row.get("attempt", 0) > 0 for row in done)
    return (
        f"Noise: other processes took {median(foreign):.1%} of the client's core in the median of "
        f"{len(done)} runs, {foreign[-1]:.0%} at most; {most}. "
        f"A run that is disturbed by more than 10 % is repeated, up to twice: {repeated} were."
    )
