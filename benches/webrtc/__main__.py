"""Measures WebRTC calls: `python -m benches.webrtc`.

The reflector has one core, the client the other. Needs `cargo build --release -p
stapes-webrtc-bench`, and the extension module built with `maturin develop --release`.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
CLIENT_CORE, REFLECTOR_CORE = "0", "1"


def pinned(core: str, *command: str) -> list[str]:
    return ["taskset", "--cpu-list", core, *command]


@contextlib.contextmanager
def reflector(binaries: Path) -> Iterator[str]:
    """A reflector's URL, while it runs."""
    command = pinned(REFLECTOR_CORE, str(binaries / "stapes-reflector"))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def result(*command: str) -> dict[str, Any]:
    done = subprocess.run(
        pinned(CLIENT_CORE, *command), cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-4000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def client(module: str, url: str, **options: int) -> dict[str, Any]:
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    name = f"benches.webrtc.clients.{module}"
    return result(sys.executable, "-m", name, "--url", url, *arguments)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("only", nargs="*", help="ten aiortc fifty encoded opens; all if none")
    parser.add_argument("--binaries", type=Path, default=ROOT / "target" / "release")
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--results", type=Path, default=ROOT / "out" / "webrtc.jsonl")
    asked = parser.parse_args()
    seconds = asked.seconds
    caller = str(asked.binaries / "stapes-caller")
    measurements: dict[str, Any] = {
        "ten": lambda url: client("ours", url, calls=10, seconds=seconds),
        "aiortc": lambda url: client("with_aiortc", url, calls=10, seconds=seconds),
        "fifty": lambda url: client("ours", url, calls=50, seconds=seconds),
        "encoded": lambda url: result(
            caller, "--url", url, "--calls", "200", "--seconds", str(seconds)
        ),
        "opens": lambda url: result(caller, "--url", url, "--opens", "500"),
    }
    asked.results.parent.mkdir(parents=True, exist_ok=True)
    for name in asked.only or measurements:
        with reflector(asked.binaries) as url:
            found = {"measurement": name, **measurements[name](url)}
        line = json.dumps(found)
        print(line)
        with asked.results.open("a") as out:
            out.write(line + "\n")


if __name__ == "__main__":
    main()
