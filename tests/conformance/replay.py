"""Runs recorded conversations through stapes and writes what it made of them.

    python -m tests.conformance.replay --scenarios DIR --out DIR [NAME ...]

Each scenario runs through the public `RealtimeSession` over a real WebSocket to a scripted server,
under a virtual clock. `data/README.md` says what the scenarios are; `data/compare.py` compares.
"""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stapes import WebSocketTransport
from stapes.testing import ScriptedServer, VirtualClock, held_reader, settle
from tests.conformance.building import Cast, session_options
from tests.conformance.calls import Caller
from tests.conformance.recording import Recording

if TYPE_CHECKING:
    import stapes

_KEY = "sk-test-dummy"
_JS_ID = re.compile(r"agents_(?:js_)?(response_create|create|delete)_(\d+)$")


class Replay:
    """One scenario on its way."""

    def __init__(self, scenario: dict[str, Any], server: ScriptedServer) -> None:
        self._scenario = scenario
        self._server = server
        self._clock = VirtualClock()
        self._recording = Recording(
            server, keeps_audio=scenario["session"].get("history_store_audio", False)
        )
        self._cast = Cast(scenario, self._recording.user_code)
        self._refused: Exception | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._messages_seen = 0
        self._events_seen = 0
        try:
            self._session: stapes.RealtimeSession[Any] | None = self._clock.session(
                self._cast.initial,
                # As the reference, which is connected when the handshake is done.
                transport=WebSocketTransport(first_event_timeout=0),
                **session_options(scenario, self._cast),
            )
        except (ValueError, TypeError) as error:
            # What the scenario asks for is refused before there is a session.
            self._session, self._refused = None, error
        else:
            self._recording.follow(self._session)

    async def run(self) -> dict[str, Any]:
        await self._settle()
        self._recording.step(-1, {})
        for index, step in enumerate(self._scenario["steps"]):
            ((kind, value),) = step.items()
            await getattr(self, f"_{kind}")(value)
            await self._settle()
            self._recording.step(index, step)
        trace = self._recording.trace(self._scenario["name"])
        await self._end()
        return trace

    async def _end(self) -> None:
        if self._session is not None:
            await self._session.close()
            await self._settle()
        for call in self._calls:
            call.cancel()

    async def _settle(self) -> None:
        if self._session is not None:
            await settle(self._session, self._server)

    # The steps, each by the method of its name.

    async def _connect(self, options: dict[str, Any]) -> None:
        if self._session is None:
            self._recording.settled("connect", self._refused)
            return
        port = f"ws://127.0.0.1:{self._server.port}"
        url = options.get("url") or port + options.get("path", "/v1/realtime")
        self._start(
            "connect",
            self._session.connect(
                api_key=options.get("api_key", _KEY), model=options.get("model"), url=url
            ),
        )

    async def _server_send(self, event: dict[str, Any]) -> None:
        await self._server.send(self._with_our_ids(event))

    async def _server_burst(self, events: list[dict[str, Any]]) -> None:
        """Sends events that are read at once."""
        assert self._session is not None
        with held_reader(self._session):
            for event in events:
                await self._server_send(event)

    async def _server_send_raw(self, text: str) -> None:
        await self._server.send(text)

    async def _server_close(self, how: dict[str, Any]) -> None:
        await self._server.close(how.get("code", 1000), how.get("reason", ""))

    async def _server_terminate(self, _: Any) -> None:
        self._server.terminate()

    async def _expect_client(self, subset: dict[str, Any]) -> None:
        # The step before has settled: what the client had to say has come.
        found = self._recording.has_message(subset, self._messages_seen)
        if found is not None:
            self._messages_seen = found + 1

    async def _wait_event(self, subset: dict[str, Any]) -> None:
        found = self._recording.has_event(subset, self._events_seen)
        if found is not None:
            self._events_seen = found + 1

    async def _call(self, call: dict[str, Any]) -> None:
        method = call["method"]
        if self._session is None:
            self._recording.settled(method, self._refused)
            return
        caller = Caller(self._session, self._cast, self._recording.approvals)
        try:
            result = caller(method, call.get("args") or [])
        except Exception as error:
            self._recording.settled(method, error)
            return
        self._start(method, result)

    async def _race(self, race: dict[str, Any]) -> None:
        assert self._session is not None
        with held_reader(self._session):
            for event in race["server_sends"]:
                await self._server_send(event)
            await self._call(race["call"])

    async def _release(self, gate: str) -> None:
        self._cast.gates.release(gate)

    async def _advance_clock_ms(self, milliseconds: float) -> None:
        self._clock.advance(milliseconds / 1000)

    async def _snapshot(self, _: Any) -> None:
        self._recording.snapshot()

    def _start(self, method: str, result: Any) -> None:
        """Follows a call to its end."""
        if not inspect.isawaitable(result):
            self._recording.settled(method, None)
            return

        async def follow() -> None:
            try:
                await result
            except Exception as error:
                self._recording.settled(method, error)
            else:
                self._recording.settled(method, None)

        task = asyncio.get_running_loop().create_task(follow())
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    def _with_our_ids(self, event: dict[str, Any]) -> dict[str, Any]:
        """An error that names an event of the client's names the one that was really sent."""
        error = event.get("error")
        named = error.get("event_id") if isinstance(error, dict) else None
        found = _JS_ID.match(named) if isinstance(named, str) else None
        if found is None:
            return event
        kind, number = found.groups()
        ours = [
            message["event_id"]
            for message in self._server.received
            if re.fullmatch(rf"stapes_{kind}_\d+", str(message.get("event_id")))
        ]
        exact = f"stapes_{kind}_{number}"
        if exact not in ours and ours:
            exact = ours[-1]
        return {**event, "error": {**error, "event_id": exact}}


async def replay(scenario: dict[str, Any]) -> dict[str, Any]:
    """The trace that stapes leaves."""
    status = (scenario.get("server") or {}).get("reject_status")
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
    # A key of the user's own must not stand in where a scenario has none.
    os.environ.pop("OPENAI_API_KEY", None)
    os.environ["OPENAI_AGENTS_DISABLE_TRACING"] = "1"
    chosen = [found[name] for name in options.names] if options.names else list(found.values())
    options.out.mkdir(parents=True, exist_ok=True)
    asyncio.run(replay_all(chosen, options.out))


if __name__ == "__main__":
    main()
