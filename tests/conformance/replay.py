"""Runs recorded conversations through stapes and writes what it made of them.

    python -m tests.conformance.replay --scenarios DIR --out DIR [NAME ...]

Each scenario runs through the public `RealtimeSession` over a real WebSocket to a scripted server,
under a virtual clock; those of a phone call through `TwilioCall` as well. `data/README.md` says
what the scenarios are; `data/compare.py` compares.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

from stapes.testing import ScriptedServer
from tests.conformance.session_replay import Replay
from tests.conformance.twilio_replay import HoldingServer, TwilioReplay, is_twilio


async def replay(scenario: dict[str, Any]) -> dict[str, Any]:
    """The trace that stapes leaves."""
    options = scenario.get("server") or {}
    status = options.get("reject_status")
    if is_twilio(scenario):
        holds = options.get("hold_upgrade", False)
        async with HoldingServer(holds=holds, reject_status=status) as server:
            return await TwilioReplay(scenario, server).run()
    async with ScriptedServer(reject_status=status, first_event=None) as server:
        return await Replay(scenario, server).run()


async def replay_all(scenarios: list[Path], out: Path) -> None:
    """Runs them one after the other."""
    for path in scenarios:
        scenario = json.loads(path.read_text(encoding="utf-8"))
        try:
            trace = await replay(scenario)
        except Exception as error:
            raise RuntimeError(f"scenario {path.stem} could not be run") from error
        text = json.dumps(trace, ensure_ascii=False, indent=1, default=str)
        (out / path.name).write_text(text + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--scenarios", type=Path, required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")
    parser.add_argument("names", nargs="*", metavar="NAME")
    options = parser.parse_args()
    found = {path.stem: path for path in sorted(options.scenarios.glob("*.json"))}
    unknown = sorted(set(options.names) - set(found))
    if unknown:
        sys.exit(f"no scenario {', '.join(unknown)} in {options.scenarios}")
    # A handshake that the client gives up is a part of a scenario.
    logging.getLogger("websockets.server").setLevel(logging.CRITICAL)
    # A key of the user's own must not stand in where a scenario has none.
    os.environ.pop("OPENAI_API_KEY", None)
    os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
    chosen = [found[name] for name in options.names] if options.names else list(found.values())
    options.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(replay_all(chosen, options.out))


if __name__ == "__main__":
    main()
