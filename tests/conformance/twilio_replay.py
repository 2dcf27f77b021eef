"""One recorded phone call on its way through `TwilioCall`, coupled with a `RealtimeSession`.

The app's WebSocket is in memory; the model is a scripted server on a real one. Where the reference
has the session before the stream has started, an app of ours has none yet: its `connect` waits for
the start.
"""

from __future__ import annotations

import asyncio
import base64
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from stapes.calls import CallError, CallOptions, TwilioCall
from stapes.hub import LoopHub
from stapes.testing import NotSettledError, ScriptedServer, settle
from stapes.virtual_time import has_virtual_time
from tests.conformance.far_end import Phone, TwilioSocket, payload_of
from tests.conformance.session_replay import Replay
from tests.conformance.twilio_recording import TwilioRecording

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request, Response

    from tests.conformance.far_end import SentMark

_QUIET_TURNS = 40
_PATIENCE = 10.0
_BARE = {"agents": [{"name": "main"}], "session": {}}
"""What a scenario of the transport alone lacks."""


def is_twilio(scenario: dict[str, Any]) -> bool:
    """Whether a scenario is of a phone call."""
    of_call = {"direct", "transport", "twilio"} & scenario.keys()
    return bool(of_call) or any(
        name.startswith("twilio_") for step in scenario["steps"] for name in step
    )


class HoldingServer(ScriptedServer):
    """A scripted server that may leave a handshake unanswered until it is told otherwise."""

    def __init__(self, *, holds: bool, reject_status: int | None = None) -> None:
        super().__init__(reject_status=reject_status, first_event=None)
        self._free = asyncio.Event()
        self.waiting = 0
        """Handshakes that wait."""
        if not holds:
            self._free.set()

    @property
    def is_holding(self) -> bool:
        """Whether handshakes wait."""
        return not self._free.is_set()

    def release(self) -> None:
        """Answers them."""
        self._free.set()

    async def _request(  # type: ignore[override]  # websockets takes both kinds of functions
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        self.waiting += 1
        await self._free.wait()
        if connection.transport.is_closing():
            return None
        return super()._request(connection, request)


class TwilioReplay(Replay):
    """One scenario on its way."""

    _server: HoldingServer
    _recording: TwilioRecording

    def __init__(self, scenario: dict[str, Any], server: HoldingServer) -> None:
        super().__init__({**_BARE, **scenario}, server)
        options = self._scenario.get("twilio") or {}
        self._phone = Phone(plays=options.get("phone") == "auto")
        self._socket = TwilioSocket(self._take)
        self._recording.phone, self._recording.socket = self._phone, self._socket
        self._is_direct = bool(scenario.get("direct"))
        self._recording.hears_twilio = self._is_direct
        self._carried: TwilioCall | None = None
        self._app: asyncio.Task[None] | None = None
        self._has_session = asyncio.Event()
        self._now_ms = 0.0
        # Of each chunk that the model sent: the item, and what the phone has not got of it.
        self._chunks: list[tuple[str, bytes]] = []
        # Where the marks of the reference would stand, in bytes that the phone got.
        self._ends: list[int] = []
        self._open_part: tuple[Any, ...] | None = None
        # The reference drops what comes of an interrupted response, until its end.
        self._drops = False

    def _new_recording(self) -> TwilioRecording:
        return TwilioRecording(self._server)

    async def _begin(self) -> None:
        options = self._scenario.get("twilio") or {}
        for message in options.get("before_transport", []):
            self._say(json.dumps(message))
        # Each packet by itself, as there.
        carried: dict[str, Any] = {"input_batch": 0.0}
        for name, value in (self._scenario.get("transport") or {}).items():
            if name != "input_audio_inactivity_timeout_ms":
                raise LookupError(f"the transport's option {name} is unknown")
            carried["inactivity_timeout"] = None if value is None else value / 1000
        token = has_virtual_time.set(True)
        try:
            call = TwilioCall(self._socket, options=CallOptions(**carried))
        except ValueError as error:
            self._refused = error
            self._recording.phone = None
            return
        finally:
            has_virtual_time.reset(token)
        self._carried = call
        call.on(object, self._recording.call_event)
        self._app = asyncio.create_task(self._answer(call))

    async def _answer(self, call: TwilioCall) -> None:
        """The app's route."""
        try:
            async with call:
                if not self._is_direct:
                    self._make_session(call=call)
                    self._has_session.set()
                if self._refused is None:
                    await call.ended()
        except CallError as error:
            self._refused = error
            self._has_session.set()

    async def _end(self) -> None:
        await super()._end()
        self._socket.end(1001)
        if self._app is not None:
            await self._app

    async def _settle(self) -> None:
        if self._session is None or self._server.is_holding:
            await self._quiet()
        # The stream may have started just now.
        if self._session is not None and not self._server.is_holding:
            await settle(self._session, self._server)

    async def _quiet(self) -> None:
        """Waits until nothing moves, where no session tells."""
        hub, quiet = LoopHub.current(), 0
        deadline = asyncio.get_running_loop().time() + _PATIENCE
        while quiet < _QUIET_TURNS:
            app_is_over = (app := self._app) is not None and app.done()
            if app_is_over:
                app.result()
            if asyncio.get_running_loop().time() > deadline:
                raise NotSettledError(f"after {_PATIENCE} s there was still movement")
            session = self._session
            # An attempt stands still only while the server leaves it unanswered.
            is_dialling = (
                session is not None
                and session.probe.is_connecting
                and not (session.status == "connecting" and self._server.waiting)
            )
            # An app that has returned may leave the end of its own WebSocket unread.
            is_read = self._socket.is_read or app_is_over
            is_still = hub.is_idle and is_read and not is_dialling
            quiet = quiet + 1 if is_still else 0
            await asyncio.sleep(0 if is_still else 0.0005)

    # The steps, each by the method of its name.

    async def _connect(self, options: dict[str, Any]) -> None:
        if self._is_direct:
            # A call without a session connects with nothing.
            return
        self._recording.hears_twilio = True
        if self._session is None and self._refused is None:
            self._start("connect", self._connect_after_start(options))
        else:
            await super()._connect(options)

    async def _connect_after_start(self, options: dict[str, Any]) -> None:
        await self._has_session.wait()
        if self._session is None:
            assert self._refused is not None
            raise self._refused
        await self._connecting(self._session, options)

    async def _call(self, call: dict[str, Any]) -> None:
        if not self._is_direct:
            await super()._call(call)

    async def _server_send(self, event: dict[str, Any]) -> None:
        part = (event.get("response_id"), event.get("item_id"), event.get("content_index"))
        kind, got = event.get("type"), self._phone.got
        if kind == "response.output_audio.delta":
            with suppress(TypeError, ValueError):
                sound = base64.b64decode(event["delta"], validate=True)
                self._chunks.append((str(event["item_id"]), sound))
        if not self._is_direct:
            await super()._server_send(event)
        await self._settle()
        if kind == "response.done":
            self._drops = False
        elif kind == "response.output_audio.delta" and self._phone.got > got:
            self._ends.append(self._phone.got)
            self._open_part = part
        elif kind == "response.output_audio.delta" and self._phone.stream_id and not self._drops:
            # The reference would have sent it, and a mark.
            self._ends.append(self._phone.got)
        elif kind == "response.output_audio.done" and self._open_part == part:
            self._ends.append(self._phone.got)
            self._open_part = None

    async def _release_upgrade(self, _: Any) -> None:
        self._server.release()

    async def _twilio_send(self, message: dict[str, Any]) -> None:
        self._say(json.dumps(message))

    async def _twilio_send_raw(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str, ordinal: int | None = None) -> None:
        self._note_stream(text)
        if self._socket.is_open:
            self._recording.from_twilio(text, ordinal)
        self._socket.say(text)

    def _note_stream(self, text: str) -> None:
        with suppress(ValueError, TypeError, KeyError):
            message = json.loads(text)
            if message["event"] == "start":
                stream_id = message["start"]["streamSid"]
                if isinstance(stream_id, str) and stream_id != self._phone.stream_id:
                    self._phone.stream_id = stream_id

    async def _twilio_echo(self, which: list[int] | str) -> None:
        """Twilio returns marks of the reference: of ours, those of the sound up to there.

        They come back when it was played, which takes as long as it lasts: the reference asks no
        clock and is not given the time.
        """
        if which == "pending":
            marks = self._phone.open_marks()
        else:
            marks = []
            for ordinal in which:
                assert isinstance(ordinal, int)
                end = self._ends[ordinal] if ordinal < len(self._ends) else -1
                marks += [m for m in self._phone.open_marks() if m.at <= end and m not in marks]
                await self._play_to(end, marks)
                marks.clear()
        await self._play_to(max((m.at for m in marks), default=0), marks)

    async def _play_to(self, end: int, marks: list[SentMark]) -> None:
        for mark in marks:
            self._pass(self._phone.until(mark.at))
            self._return([mark])
            await self._settle()
        self._pass(self._phone.until(end))

    def _return(self, marks: list[SentMark]) -> None:
        for mark in marks:
            self._say(self._phone.returned(mark), mark.ordinal)

    async def _twilio_close(self, how: dict[str, Any]) -> None:
        self._hang_up(how.get("code", 1005))

    async def _twilio_terminate(self, _: Any) -> None:
        self._hang_up(1006)

    async def _twilio_raw_bytes(self, _: str) -> None:
        # A server of ASGI apps says no more than that the connection is over.
        self._hang_up(1006)

    def _hang_up(self, code: int) -> None:
        if self._socket.is_open:
            self._recording.socket_ended(code)
        self._socket.end(code)

    async def _advance_clock_ms(self, milliseconds: float) -> None:
        left = milliseconds
        while True:
            ahead = self._phone.until_mark() if self._phone.plays else None
            ms = left if ahead is None else min(ahead, left)
            self._pass(ms)
            left -= ms
            reached = self._phone.reached() if self._phone.plays else []
            self._return(reached)
            if reached:
                await self._settle()
            elif left <= 0:
                return

    def _pass(self, ms: float) -> None:
        self._now_ms += ms
        self._phone.play(ms)
        if self._carried is not None:
            self._carried.core.advance_clock(ms / 1000)

    # What the call sends

    def _take(self, message: dict[str, Any]) -> None:
        match message["event"]:
            case "media" if not self._phone.takes(message):
                self._phone.ignored_bytes += len(payload_of(message))
                self._recording.sound(message, None)
            case "media":
                sound = payload_of(message)
                item_id = self._item_of(sound)
                self._recording.sound(message, item_id)
                self._phone.sound(item_id, len(sound))
            case "mark":
                self._recording.mark(message, self._phone.mark(message["mark"]["name"]))
            case "clear":
                self._recording.other(message)
                self._open_part, self._drops = None, True
                dropped = self._phone.clear()
                if self._phone.plays:
                    self._recording.cleared(self._now_ms, dropped)
                    self._return(self._phone.open_marks())
            case _:
                self._recording.other(message)

    def _item_of(self, sound: bytes) -> str | None:
        """The item whose sound this is: chunks reach the phone in order, or not at all."""
        found = None
        while sound and self._chunks:
            item_id, chunk = self._chunks.pop(0)
            length = min(len(sound), len(chunk))
            if sound[:length] != chunk[:length]:
                continue
            found = item_id
            sound = sound[length:]
            if chunk[length:]:
                self._chunks.insert(0, (item_id, chunk[length:]))
        return found
