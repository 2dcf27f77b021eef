"""Starts the server and the clients, each pinned to its core, and watches what else runs there."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

ROOT = Path(__file__).parents[2]
SERVER_CORE = 0
CLIENT_CORE = 1


class Server:
    """The running load server."""

    def __init__(self, url: str, authority: Path | None) -> None:
        self.url = url
        self.authority = authority

    def stats(self) -> dict[str, float]:
        """What it counts since its start; the maxima since it was asked last."""
        context = None
        if self.authority is not None:
            import ssl

            context = ssl.create_default_context(cafile=str(self.authority))
        # Long enough for a machine that is busy with something else altogether.
        with connect(f"{self.url}/stats", ssl=context, open_timeout=60) as socket:
            told: dict[str, float] = json.loads(socket.recv(timeout=60))
        return told


@contextmanager
def serving(binaries: Path, *, tls: bool = False) -> Iterator[Server]:
    """Runs the server for as long as the block runs."""
    command = pinned(SERVER_CORE, [str(binaries / "stapes-load-server")])
    with tempfile.TemporaryDirectory(prefix="stapes-load-") as folder:
        authority = Path(folder) / "authority.pem" if tls else None
        if authority is not None:
            command += ["--authority", str(authority)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            assert process.stdout is not None
            yield Server(process.stdout.readline().strip(), authority)
        finally:
            process.terminate()
            process.wait(10)


def run(command: Sequence[str], server: Server, timeout: float) -> dict[str, Any]:
    """Runs a client against the server and gives its results, the server's, and the noise."""
    environment = dict(os.environ)
    if server.authority is not None:
        authority = str(server.authority)
        environment |= {"SSL_CERT_FILE": authority, "NODE_EXTRA_CA_CERTS": authority}
    before = server.stats()
    busy, ours, wall = busy_s(CLIENT_CORE), children_s(), time.monotonic()
    row: dict[str, Any] = {}
    try:
        done = subprocess.run(
            pinned(CLIENT_CORE, [*command, "--url", server.url]),
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
    except subprocess.TimeoutExpired:
        row["crashed"] = f"not done after {timeout:g} s"
    else:
        lines = done.stdout.splitlines()
        row |= json.loads(lines[-1]) if lines else {"crashed": f"status {done.returncode}"}
        if done.stderr:
            row["stderr"] = done.stderr[-300:]
    # The share of the client's core that other processes took.
    used = busy_s(CLIENT_CORE) - busy - (children_s() - ours)
    row["foreign"] = used / (time.monotonic() - wall)
    after = server.stats()
    maxima = ("busiest_share", "latest_tick_ms")
    row["server"] = {
        key: after[key] if key in maxima else round(after[key] - before[key], 4) for key in after
    }
    return row


def pinned(core: int, command: Sequence[str]) -> list[str]:
    """The command, kept on one core."""
    return ["taskset", "-c", str(core), *command]


def busy_s(core: int) -> float:
    """Seconds that a core has been busy since boot, with whatever process."""
    lines = Path("/proc/stat").read_text().splitlines()
    ticks = next(line for line in lines if line.startswith(f"cpu{core} ")).split()[1:]
    idle = int(ticks[3]) + int(ticks[4])
    return (sum(map(int, ticks[:8])) - idle) / os.sysconf("SC_CLK_TCK")


def children_s() -> float:
    """Seconds of the core that children of this process have used, of those that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
