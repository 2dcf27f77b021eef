"""One recorded conversation on its way through the public `RealtimeSession`."""

from __future__ import annotations

import asyncio
import inspect
import re
from typing import TYPE_CHECKING, Any

from stapes import WebSocketTransport
from stapes.testing import ScriptedServer, VirtualClock, held_reader, settle
from tests.conformance.building import Cast, session_options
from tests.conformance.calls import Caller
from tests.conformance.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Awaitable

    import stapes

_KEY = "sk-test-dummy"
_JS_ID = re.compile(r"agents_(?:js_)?(response_create|create|delete)_(\d+)$")


class Replay:
    """One scenario on its way."""

    def __init__(self, scenario: dict[str, Any], server: ScriptedServer) -> None:
        self._scenario = scenario
        self._server = server
        self._clock = VirtualClock()
        self._recording = self._new_recording()
        self._cast = Cast(scenario, self._recording.user_code)
        self._session: stapes.RealtimeSession[Any] | None = None
        self._refused: Exception | None = None
        self._calls: set[asyncio.Task[None]] = set()
        self._messages_seen = 0
        self._events_seen = 0

    def _new_recording(self) -> Recording:
        keeps_audio = self._scenario["session"].get("history_store_audio", False)
        return Recording(self._server, keeps_audio=keeps_audio)

    def _make_session(self, **options: Any) -> None:
        try:
            session = self._clock.session(
                self._cast.initial,
                # As the reference, which is connected when the handshake is done.
                transport=WebSocketTransport(first_event_timeout=0),
                **session_options(self._scenario, self._cast),
                **options,
            )
        except (ValueError, TypeError) as error:
            # What the scenario asks for is refused before there is a session.
            self._refused = error
            return
        self._session = session
        self._recording.follow(session)

    async def _begin(self) -> None:
        """What stands before the first step."""
        self._make_session()

    async def run(self) -> dict[str, Any]:
        """Runs the scenario; the trace."""
        await self._begin()
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
        self._start("connect", self._connecting(self._session, options))

    def _connecting(
        self, session: stapes.RealtimeSession[Any], options: dict[str, Any]
    ) -> Awaitable[None]:
        port = f"ws://127.0.0.1:{self._server.port}"
        url = options.get("url") or port + options.get("path", "/v1/realtime")
        return session.connect(
            api_key=options.get("api_key", _KEY), model=options.get("model"), url=url
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
