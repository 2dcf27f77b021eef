"""Calls in an ASGI app: `async with TwilioCall(websocket) as call` in a Starlette or FastAPI route.

Frames pass as they are; what is to be sent waits in Rust, where a `clear` overtakes it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import parse_qsl

from stapes._core import calls as _core
from stapes.calls.admission import check_token
from stapes.calls.call import REFUSED, Call, CallError
from stapes.calls.leaving import caller_has_left
from stapes.calls.messages import CallOutgoing, CallStarted
from stapes.calls.options import CallOptions
from stapes.calls.origins import core_origins
from stapes.calls.page_events import PageEvents
from stapes.calls.stream_urls import is_loopback
from stapes.cancellation import ends_more
from stapes.errors import OriginError, TokenError
from stapes.hub import LoopHub
from stapes.virtual_time import has_virtual_time

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping
    from types import TracebackType

    from stapes.calls.security import CallTokens

__all__ = ["BROWSER_SUBPROTOCOL", "AsgiCall", "AsgiWebSocket", "BrowserCall", "TwilioCall"]

BROWSER_SUBPROTOCOL: Final[str] = _core.BROWSER_SUBPROTOCOL
"""The WebSocket sub-protocol that `stapes.js` offers, `stapes.browser.v1`.

`BrowserCall` accepts it by itself. An app that accepts the WebSocket before, to close it with a
code for instance, does so with it: `await websocket.accept(BROWSER_SUBPROTOCOL)`. Without it
browsers give the connection up.
"""

_OPTIONS = CallOptions()
_PAGE_EVENTS = PageEvents()

_MAX_FIELDS: Final = 64
"""The fields of a query that are read."""


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
        page_events: what a web page is told of the conversation.
    """

    def __init__(
        self,
        websocket: AsgiWebSocket,
        *,
        carrier: str,
        tokens: CallTokens | None = None,
        token_path: str | None = None,
        options: CallOptions = _OPTIONS,
        page_events: PageEvents | None = None,
    ) -> None:
        self._websocket = websocket
        self._tokens = tokens
        self._token_path = token_path
        self._started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._outgoing = asyncio.Event()
        self._pumps: list[asyncio.Task[None]] = []
        options.check_for(carrier)
        hub, is_virtual = LoopHub.current().core, has_virtual_time.get()
        core = _core.Call(hub, carrier, options, virtual_clock=is_virtual)
        super().__init__(core, options=options, page_events=page_events)
        query: bytes = getattr(websocket, "scope", {}).get("query_string", b"")
        core.set_query(parse_qsl(query.decode("latin-1"), keep_blank_values=True)[:_MAX_FIELDS])

    async def __aenter__(self) -> AsgiCall:
        state = getattr(self._websocket, "application_state", None)
        if getattr(state, "name", "CONNECTING") == "CONNECTING":
            await self._accept()
        self._pumps = [asyncio.create_task(self._receive()), asyncio.create_task(self._send())]
        started = asyncio.ensure_future(asyncio.shield(self._started))
        ended = asyncio.ensure_future(self.ended())
        try:
            await asyncio.wait((started, ended), return_when=asyncio.FIRST_COMPLETED)
            if not self._started.done():
                reason = ended.result().reason
                raise CallError(f"the call ended before its stream started: {reason}")
            self._check_token()
        except TokenError as error:
            self.refuse(str(error))
            await self._finish()
            raise
        except BaseException:
            self.hang_up()
            await self._finish()
            raise
        finally:
            started.cancel()
            ended.cancel()
        return self

    async def _accept(self) -> None:
        await self._websocket.accept()

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
    ) -> bool:
        if left := caller_has_left(self, error):
            error = None
        if error is not None and not ends_more(error):
            self.answer_failed()
        self.hang_up(after_playback=error is None)
        try:
            await self.ended()
        finally:
            await self._finish()
        return left

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
            except BaseException as error:
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
                if isinstance(frame, int):
                    await self._quietly({"type": "websocket.close", "code": frame})
                    return
                kind = "text" if isinstance(frame, str) else "bytes"
                try:
                    await send({"type": "websocket.send", kind: frame})
                except BaseException as error:
                    # The far side is gone; every server says that in its own way.
                    self._line_broke(error)
                    return

    async def _quietly(self, message: MutableMapping[str, Any]) -> None:
        try:
            await self._websocket.send(message)
        except BaseException as error:
            self._line_broke(error)

    def _line_broke(self, error: BaseException) -> None:
        if ends_more(error):
            raise error
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


class BrowserCall(AsgiCall):
    """A call from a web page, which uses `stapes.js`, in an ASGI app: see `AsgiCall`.

    Pages of the app's own origin may call, and pages of `origins`. Another page's WebSocket is
    refused when the call is entered, by an `OriginError`, and gets HTTP 403.

    Args:
        websocket: of Starlette or FastAPI: its `headers` tell whose page it is.
        tokens: made the one-time token that the page has to bring, as the parameter `stapes_token`.
        token_path: the path that the token was made for; without one, that of the WebSocket's URL.
        origins: of other pages that may call, such as `https://app.example.com`; `*`: all.
        public_url: how browsers reach the app where a proxy has another name for it, such as
            `wss://voice.example.com`.
        events: what the page is told of the conversation.
        options: how the call is carried.
    """

    def __init__(
        self,
        websocket: AsgiWebSocket,
        *,
        tokens: CallTokens | None = None,
        token_path: str | None = None,
        origins: Iterable[str] = (),
        public_url: str | None = None,
        events: PageEvents = _PAGE_EVENTS,
        options: CallOptions = _OPTIONS,
    ) -> None:
        server = getattr(websocket, "scope", {}).get("server")
        is_local = server is not None and is_loopback(server[0])
        self._origins = core_origins(origins, public_url, is_local=is_local)
        super().__init__(
            websocket,
            carrier="browser",
            tokens=tokens,
            token_path=token_path,
            options=options,
            page_events=events,
        )

    async def __aenter__(self) -> BrowserCall:
        headers = getattr(self._websocket, "headers", {})
        refusal = self._origins.refusal(headers.get("host"), headers.get("origin"))
        if refusal is not None:
            self.hang_up()
            await self._websocket.send({"type": "websocket.close", "code": REFUSED})
            raise OriginError(refusal)
        await super().__aenter__()
        return self

    async def _accept(self) -> None:
        offered = getattr(self._websocket, "scope", {}).get("subprotocols", ())
        known = BROWSER_SUBPROTOCOL in offered
        await self._websocket.accept(BROWSER_SUBPROTOCOL if known else None)
