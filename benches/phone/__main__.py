"""Measures phone calls, and writes docs/phone-benchmarks.md.

    python -m benches.phone                       everything (a quarter of an hour), then the page
    python -m benches.phone listener relay --n 100 some servers; the rows are added to the others
    python -m benches.phone --page                the page alone, from the rows that there are

Stop all else that runs on the machine. Load and model are pinned to core 0, the server to core 1.
A peer is left out where what it needs is not given: AGENTS_PYTHON (with openai-agents, fastapi and
uvicorn), PIPECAT_PYTHON (with pipecat-ai[openai,websocket]), and for node the packages that
`agents_js.mjs` imports, in benches/phone/node_modules.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benches.load.processes import pinned
from benches.phone.churn import churn
from benches.phone.page import write
from benches.phone.processes import HERE, LOAD_CORE, MODEL_PORT, PORT, serving

LOAD = HERE / "load" / "target" / "release"
RESULTS = HERE / "results" / "phone.jsonl"
OWN = sys.executable

# Command, kind of sound (a tone where the server converts it, `page`: that of a web page), more of
# the environment.
SERVERS: dict[str, tuple[list[str], str, dict[str, str]]] = {
    "relay": ([str(LOAD / "relay")], "stamped", {}),
    "listener": ([OWN, "servers/stapes_listener.py"], "stamped", {}),
    "listener, long lines": ([OWN, "servers/stapes_listener.py"], "stamped", {}),
    "listener, asyncio": ([OWN, "servers/stapes_listener.py"], "stamped", {"LOOP": "asyncio"}),
    "asgi": ([OWN, "servers/stapes_asgi.py"], "stamped", {}),
    "openai-agents": (
        [os.environ.get("AGENTS_PYTHON", ""), "servers/agents_py.py"],
        "stamped",
        {},
    ),
    "JS Twilio transport": (["node", "servers/agents_js.mjs"], "stamped", {}),
    "Pipecat": ([os.environ.get("PIPECAT_PYTHON", ""), "servers/pipecat_server.py"], "tone", {}),
    "page relay": ([str(LOAD / "page_relay")], "page", {}),
    "page": ([OWN, "servers/stapes_browser.py"], "page", {}),
    "blocked loop": ([OWN, "servers/stapes_listener.py"], "stamped", {"BLOCK": "loop"}),
    "blocked loop, asyncio": (
        [OWN, "servers/stapes_listener.py"],
        "stamped",
        {"BLOCK": "loop", "LOOP": "asyncio"},
    ),
    "held GIL": ([OWN, "servers/stapes_listener.py"], "stamped", {"BLOCK": "gil"}),
    "held GIL, asyncio": (
        [OWN, "servers/stapes_listener.py"],
        "stamped",
        {"BLOCK": "gil", "LOOP": "asyncio"},
    ),
}

PLAN: list[tuple[int, list[str]]] = [
    (50, ["relay", "listener", "asgi", "bare asgi", "openai-agents", "JS Twilio transport"]),
    (50, ["Pipecat", "blocked loop", "blocked loop, asyncio", "held GIL", "held GIL, asyncio"]),
    (100, ["relay", "listener", "listener, asyncio", "asgi", "bare asgi"]),
    (100, ["openai-agents", "JS Twilio transport"]),
    (100, ["page relay", "page", "listener, long lines"]),
    (200, ["relay", "listener"]),
    (300, ["relay", "listener"]),
    (400, ["relay", "listener"]),
    (500, ["relay", "listener"]),
]


def measure(name: str, n: int, cycles: int) -> dict[str, Any]:
    """One row."""
    if name == "bare asgi":
        command = [OWN, "servers/bare_asgi.py"]
        with serving(command, {}) as server:
            phones = [sys.executable, "-m", "benches.phone.bare_phones"]
            words = map(str, (n, 7 * cycles, PORT, server.pid))
            out = subprocess.check_output(pinned(LOAD_CORE, [*phones, *words]), text=True)
        return json.loads(out) | {"server": name, "n": n}
    command, sound, more = SERVERS[name]
    lacks_packages = command[0] == "node" and not (HERE / "node_modules").exists()
    if not command[0] or lacks_packages:
        return {"server": name, "n": n, "missing": "what it needs is not given"}
    with serving(command, more) as server:
        load = [str(LOAD / "load"), "--n", str(n), "--cycles", str(cycles)]
        load += ["--pid", str(server.pid), "--url", f"ws://127.0.0.1:{PORT}/media-stream"]
        load += ["--model-port", str(MODEL_PORT), "--sound", sound]
        load += ["--wire", "browser" if sound == "page" else "twilio"]
        load += ["--line", "long" if "long lines" in name else "none"]
        out = subprocess.check_output(pinned(LOAD_CORE, load), text=True, timeout=600)
    return json.loads(out) | {"server": name, "n": n}


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("servers", nargs="*")
    parser.add_argument("--n", type=int, nargs="*")
    parser.add_argument("--cycles", type=int, default=3, help="of 7 s that are measured")
    parser.add_argument("--calls", type=int, default=10_000, help="that come and go; 0: none")
    parser.add_argument("--page", action="store_true")
    options = parser.parse_args()
    if not options.page:
        RESULTS.parent.mkdir(exist_ok=True)
        for n, names in PLAN:
            if options.n and n not in options.n:
                continue
            for name in names:
                if options.servers and name not in options.servers:
                    continue
                row = measure(name, n, options.cycles)
                with RESULTS.open("a") as results:
                    results.write(json.dumps(row) + "\n")
                cost = row.get("cpu_ms_per_call_s")
                print(f"{name:22} N={n:<4} {row.get('missing') or f'{cost:.3f} ms'}", flush=True)
        if options.calls and (not options.servers or "churn" in options.servers):
            row = churn(options.calls)
            with RESULTS.open("a") as results:
                results.write(json.dumps(row) + "\n")
            print(f"{options.calls} calls came and went: {row['samples'][-1]}", flush=True)
    rows = [json.loads(line) for line in RESULTS.read_text().splitlines()]
    write(Path("docs/phone-benchmarks.md"), rows)


if __name__ == "__main__":
    main()
