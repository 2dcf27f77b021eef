"""The calls of one server, over either transport."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.websockets import WebSocketDisconnect

from stapes.devserver.dialects.choice import Dialects
from stapes.devserver.web.admission import (
    Refusal,
    admit_socket,
    require_ga,
    require_model,
    require_room,
    require_translation_model,
    unknown_call,
)
from stapes.devserver.web.secrets import ClientSecrets
from stapes.devserver.web.socket import Socket
from stapes.devserver.web.socket_call import SocketCall
from stapes.devserver.web.tcp import tcp_of
from stapes.devserver.web.trouble import Trouble

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence

    from starlette.requests import HTTPConnection, Request
    from starlette.websockets import WebSocket

    from stapes.devserver.mind import Mind, Voice
    from stapes.devserver.options import Options
    from stapes.devserver.session.config import SessionKind
    from stapes.devserver.web.served import ServedCall
    from stapes.devserver.webrtc.peer_call import PeerCall

logger = logging.getLogger(__name__)

_LEAST_CLOSE_CODE = 1000

_GONE = (WebSocketDisconnect, OSError)
"""How it shows that the client left in the midst of a handshake (uvicorn's own is an OSError)."""


class Calls:
    """The calls under way.

    `recording` keeps what went over each call. `trouble` is what the server does wrong on purpose.
    """

    def __init__(
        self,
        mind: Mind,
        voice: Voice,
        options: Options,
        *,
        recording: bool = False,
        trouble: Trouble | None = None,
    ) -> None:
        self.mind, self.voice, self.options = mind, voice, options
        self.trouble = trouble or Trouble()
        self.secrets = ClientSecrets()
        self._dialects = Dialects(options.dialect)
        self.under_way: set[ServedCall] = set()
        self._recording = recording
        self._peers: dict[str, tuple[PeerCall, asyncio.Task[None]]] = {}

    def opened(self, served: ServedCall) -> None:
        """Take note of a call that begins."""
        self.under_way.add(served)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one WebSocket connection from its handshake to its end."""
        is_transcription = websocket.query_params.get("intent") == "transcription"
        await self._serve(websocket, "transcription" if is_transcription else "realtime")

    async def serve_translation(self, websocket: WebSocket) -> None:
        """Serve one WebSocket connection at the address of translations."""
        await self._serve(websocket, "translation")

    async def _serve(self, websocket: WebSocket, kind: SessionKind) -> None:
        with contextlib.suppress(*_GONE):
            if await self._meets_trouble(websocket):
                return
            try:
                admitted = admit_socket(websocket, self.options, self.secrets)
                call_id = websocket.query_params.get("call_id")
                if call_id is not None:
                    require_ga(self.options, "to join a call")
                    await self._join(websocket, call_id)
                    return
                if kind == "realtime":
                    require_model(websocket.query_params.get("model"), self.options)
                else:
                    require_ga(self.options, f"for {kind} without an agent")
                if kind == "translation":
                    require_translation_model(websocket.query_params.get("model"))
                require_room(self.options, len(self.under_way))
                settings = admitted.settings if kind == "realtime" else ()
                served = self._socket_call(websocket, kind, settings)
            except Refusal as refusal:
                await self._refuse(websocket, refusal)
                return
            self.opened(served)
            try:
                await served.serve()
            finally:
                self.under_way.discard(served)

    async def intercept(self, request: Request) -> Response | None:
        """Return an answer that is given instead of a call, if one is to be."""
        refusing = self.trouble.next_refusal()
        if refusing is None:
            return None
        if isinstance(refusing.way, int):
            return refusing.response(refusing.way)
        if refusing.way == "reset":
            _reset(request)
        await _client_gone(request.receive, "http.disconnect")
        return Response(status_code=503)

    async def answer(
        self, request: Request, offer: str, model: str | None, settings: Sequence[dict[str, Any]]
    ) -> tuple[PeerCall, str]:
        """Begin a call over WebRTC; return it and the answer to the client's offer.

        Raises:
            ImportError: aiortc is not installed.
            OfferError: the offer cannot be answered.
            ProtocolError: the settings cannot be had.
        """
        from stapes.devserver.webrtc.peer_call import PeerCall

        served = PeerCall(
            request,
            self.mind,
            self.voice,
            self._call_options,
            model=model,
            settings=settings,
            recording=self._recording,
        )
        answer = await served.answer(offer)
        self.opened(served)
        task = asyncio.create_task(served.serve())
        self._peers[served.id] = served, task
        task.add_done_callback(lambda task: self._peer_ended(served, task))
        return served, answer

    async def hang_up(self, call_id: str) -> None:
        """End the call over WebRTC of that id.

        Raises:
            Refusal: it is not under way.
        """
        served, task = self._peer(call_id)
        await served.close()
        await asyncio.wait([task])

    async def close(self) -> None:
        """End all calls over WebRTC; those over WebSocket end with the web server."""
        tasks = [task for _, task in self._peers.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def _call_options(self) -> Options:
        """The options of a call that begins now."""
        seconds = self.trouble.rudeness.session_seconds
        return (
            self.options if seconds is None else replace(self.options, max_session_seconds=seconds)
        )

    def _socket(self, websocket: WebSocket) -> Socket:
        seconds = self._call_options.max_session_seconds
        return Socket(websocket, self.trouble, session_seconds=seconds)

    async def _meets_trouble(self, websocket: WebSocket) -> bool:
        """Treat a handshake as was asked for; return whether that was the end of it."""
        trouble = self.trouble
        if trouble.rudeness.slow_ms:
            await asyncio.sleep(trouble.rudeness.slow_ms / 1000)
        refusing = trouble.next_refusal()
        if refusing is not None:
            if isinstance(refusing.way, int):
                await deny(websocket, refusing.response(refusing.way))
                return True
            if refusing.way == "reset":
                _reset(websocket)
            await _client_gone(websocket.receive, "websocket.disconnect")
            return True
        armed = trouble.reach(("connecting",))
        if armed is None:
            return False
        drop = armed.drop
        if isinstance(drop.way, int) and drop.way < _LEAST_CLOSE_CODE:
            await deny(websocket, Response(status_code=drop.way))
            armed.has_happened()
            return True
        await self._socket(websocket).drop(drop, armed.has_happened)
        if drop.way == "stall":
            return False
        await _client_gone(websocket.receive, "websocket.disconnect")
        return True

    def _peer(self, call_id: str) -> tuple[PeerCall, asyncio.Task[None]]:
        if call_id not in self._peers or self._peers[call_id][0].is_over:
            raise unknown_call()
        return self._peers[call_id]

    async def _join(self, websocket: WebSocket, call_id: str) -> None:
        """Serve a connection that joins a call over WebRTC: its sound stays where it is."""
        served, _ = self._peer(call_id)
        socket = self._socket(websocket)
        await socket.accept()
        await served.join(socket.read, socket.write)

    def _socket_call(
        self, websocket: WebSocket, kind: SessionKind, settings: Sequence[dict[str, Any]]
    ) -> SocketCall:
        return SocketCall(
            websocket,
            self.mind,
            self.voice,
            self._call_options,
            self.trouble,
            kind=kind,
            settings=settings,
            dialect=self._dialects.begin(websocket.query_params),
            recording=self._recording,
        )

    def _peer_ended(self, served: PeerCall, task: asyncio.Task[None]) -> None:
        self.under_way.discard(served)
        del self._peers[served.id]
        if not task.cancelled() and (problem := task.exception()) is not None:
            logger.error("a call over WebRTC failed", exc_info=problem)

    async def _refuse(self, websocket: WebSocket, refusal: Refusal) -> None:
        if self.options.refusal == "http":
            await deny(websocket, refusal.response())
            return
        await websocket.accept()
        event = {"type": "error", "event_id": "event_refused", "error": refusal.error.wire()}
        await websocket.send_json(event)
        await websocket.close(refusal.close_code, refusal.close_reason)


def _reset(connection: HTTPConnection) -> None:
    tcp = tcp_of(connection.scope)
    if tcp is not None:
        tcp.reset()


async def _client_gone(
    receive: Callable[[], Awaitable[MutableMapping[str, Any]]], type_: str
) -> None:
    """Wait until the client has left."""
    while (await receive())["type"] != type_:
        pass


async def deny(websocket: WebSocket, response: Response) -> None:
    """Answer a handshake with an HTTP response."""
    with contextlib.suppress(*_GONE):
        await websocket.send_denial_response(response)
    # uvicorn takes a return before the connection is gone for a handshake that was left open, and
    # logs an error.
    await asyncio.sleep(0)
