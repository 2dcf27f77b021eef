"""Calls in an ASGI app: `async with TwilioCall(websocket) as call` in a Starlette or FastAPI route.

Frames pass as they are; what is to be sent waits in Rust, where a `clear` overtakes it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

from stapes._core import calls as _core
from stapes.calls.admission import check_token
from stapes.calls.call import Call, CallError
from stapes.calls.messages import CallOutgoing, CallStarted
from stapes.calls.options import CallOptions
from stapes.hub import LoopHub
from stapes.virtual_time import has_virtual_time

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from types import TracebackType

    from stapes.calls.security import CallTokens

__all__ = ["AsgiCall", "AsgiWebSocket", "TwilioCall"]

_OPTIONS = CallOptions()


class AsgiWebSocket(Protocol):
    """A WebSocket of an ASGI app, as Starlette and FastAPI have it."""

    async def accept(self, subprotocol: str | None = ...) -> None:
        """Answers the handshake."""

    async def receive(self) -> MutableMapping[str, Any]:
        """The next ASGI message."""

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Sends an ASGI message."""


class AsgiCall(Call):
    """A call whose WebSocket belongs to an ASGI app.

    Entering it accepts the WebSocket where that was not done, and waits for the start of the
    stream; leaving it hangs up after what is played, and closes the WebSocket.

    Args:
        websocket: of Starlette, FastAPI, or another that has `accept`, `receive` and `send`.
        carrier: its name, such as `twilio`.
        tokens: made the one-time token that the call has to bring.
        token_path: the path that the token was made for; without one, that of the WebSocket's URL.
        options: how the call is carried.
    """

    def __init__(
        self,
        websocket: AsgiWebSocket,
        *,
        carrier: str,
        tokens: CallTokens | None = None,
        token_path: str | None = None,
        options: CallOptions = _OPTIONS,
    ) -> None:
        self._websocket = websocket
        self._tokens = tokens
        self._token_path = token_path
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._outgoing = asyncio.Event()
        self._pumps: list[asyncio.Task[None]] = []
        hub, is_virtual = LoopHub.current().core, has_virtual_time.get()
        core = _core.Call(hub, carrier, options, virtual_clock=is_virtual)
        super().__init__(core, max_tokens=options.max_tokens)

    async def __aenter__(self) -> AsgiCall:
        state = getattr(self._websocket, "application_state", None)
        if getattr(state, "name", "CONNECTING") == "CONNECTING":
            await self._websocket.accept()
        self._pumps = [asyncio.create_task(self._receive()), asyncio.create_task(self._send())]
        started = asyncio.ensure_future(asyncio.shield(self._started))
        ended = asyncio.ensure_future(self.ended())
        try:
            await asyncio.wait((started, ended), return_when=asyncio.FIRST_COMPLETED)
            if not self._started.done():
                reason = ended.result().reason
                raise CallError(f"the call ended before its stream started: {reason}")
            self._check_token()
        except BaseException:
            self.hang_up()
            await self._finish()
            raise
        finally:
            started.cancel()
            ended.cancel()
        return self

    def _check_token(self) -> None:
        if self._tokens is None:
            return
        path = self._token_path
        if path is None:
            path = str(getattr(getattr(self._websocket, "url", None), "path", "/"))
        check_token(self, self._tokens, path)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.hang_up(after_playback=error is None)
        try:
            await self.ended()
        finally:
            await self._finish()

    async def _finish(self) -> None:
        receiving, sending = self._pumps
        self._outgoing.set()
        await asyncio.gather(sending, return_exceptions=True)
        receiving.cancel()
        await asyncio.gather(receiving, return_exceptions=True)

    def handle(self, message: Any) -> None:
        """Takes a message of the core."""
        match message:
            case CallStarted():
                if not self._started.done():
                    self._started.set_result(None)
            case CallOutgoing():
                self._outgoing.set()
            case _:
                super().handle(message)

    async def _receive(self) -> None:
        receive, core = self._websocket.receive, self.core
        while True:
            try:
                message = await receive()
            except Exception as error:
                # An app's own WebSocket, or one that is over already.
                self._line_broke(error)
                return
            if message["type"] == "websocket.disconnect":
                core.line_ended(message.get("code") or 1005, message.get("reason") or "")
                return
            if (text := message.get("text")) is not None:
                core.receive_text(text)
            elif (data := message.get("bytes")) is not None:
                core.receive_bytes(data)

    async def _send(self) -> None:
        send = self._websocket.send
        while True:
            frames = self.core.take_outgoing()
            if not frames:
                if self.is_over:
                    return
                self._outgoing.clear()
                if not self.is_over:
                    await self._outgoing.wait()
                continue
            for frame in frames:
                if frame is None:
                    await self._quietly({"type": "websocket.close", "code": 1000})
                    return
                kind = "text" if isinstance(frame, str) else "bytes"
                try:
                    await send({"type": "websocket.send", kind: frame})
                except Exception as error:
                    # The far side is gone; every server says that in its own way.
                    self._line_broke(error)
                    return

    async def _quietly(self, message: MutableMapping[str, Any]) -> None:
        try:
            await self._websocket.send(message)
        except Exception as error:
            self._line_broke(error)

    def _line_broke(self, error: Exception) -> None:
        self.core.line_ended(None, str(error) or type(error).__name__)


class TwilioCall(AsgiCall):
    """A call over Twilio Media Streams in an ASGI app: see `AsgiCall`."""

    def __init__(
        self,
        websocket: AsgiWebSocket,
        *,
        tokens: CallTokens | None = None,
        token_path: str | None = None,
        options: CallOptions = _OPTIONS,
    ) -> None:
        super().__init__(
            websocket, carrier="twilio", tokens=tokens, token_path=token_path, options=options
        )
