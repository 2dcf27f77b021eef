"""Makes a session's connection: where to, with which key, over which transport."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING, Any

from agents import UserError

from stapes import _core
from stapes.errors import ConnectError, NotConnectedError, StapesError
from stapes.events import Error
from stapes.transport import (
    RealtimeTransport,
    Transport,
    TransportLine,
    TransportRequest,
    WebRTCTransport,
    WebSocketTransport,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from stapes.providers import ApiKey, Provider
    from stapes.session.session import RealtimeSession

__all__ = ["Connector", "chosen_transport", "default_transport"]


@functools.cache
def default_transport() -> WebSocketTransport:
    """The one that sessions share which ask for no other."""
    return WebSocketTransport()


def chosen_transport(transport: Any) -> Transport:
    """The transport that a user asked for.

    Raises:
        ValueError: there is no such transport.
    """
    if transport == "websocket":
        return default_transport()
    if transport == "webrtc":
        return WebRTCTransport()
    if isinstance(transport, WebSocketTransport | WebRTCTransport | RealtimeTransport):
        return transport
    raise ValueError(
        f"transport is {transport!r}: use 'websocket', 'webrtc', a WebSocketTransport(...), a "
        "WebRTCTransport(...), or an instance of a RealtimeTransport of your own"
    )


class Connector:
    """Connects one session, once at a time."""

    __slots__ = (
        "_api_key",
        "_attempt",
        "_external",
        "_provider",
        "_session",
        "secrets",
        "transport",
    )

    def __init__(
        self,
        session: RealtimeSession[Any],
        transport: Transport,
        provider: Provider,
        api_key: ApiKey | None,
    ) -> None:
        self._session = session
        self._provider = provider
        self._api_key = api_key
        self._attempt: tuple[int, asyncio.Future[None]] | None = None
        self._external: tuple[RealtimeTransport, _core.ExternalConnection] | None = None
        self.transport = transport
        # Of the connection in use, so that they can be masked where the server quotes them.
        self.secrets: tuple[str, ...] = ()

    @property
    def is_busy(self) -> bool:
        """Whether a connection is being made."""
        return self._attempt is not None

    async def connect(
        self,
        *,
        api_key: ApiKey | None,
        model: str,
        url: str | None,
        call_id: str | None,
        headers: Mapping[str, str] | None,
    ) -> None:
        """See `RealtimeSession.connect`."""
        session = self._session
        if session.status != "disconnected" or self.is_busy:
            raise UserError("The session is already connected or connecting: call close() first.")
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._attempt = (-1, opened)
        try:
            snapshot, payload = await session._initial_payload(model)
            request = await self._request(api_key, model, url, call_id, headers)
            if not session._hub.is_idle:
                # What is left of the last connection may be as much as may wait.
                await session._local_events.all_so_far()
            if opened.done():
                # Closed meanwhile.
                return await opened
            agent_version = session._begin_connection(snapshot, payload, model)
            self._attempt = (self._dial(request, payload, agent_version, opened), opened)
            await self._wait(opened)
        finally:
            self._attempt = None
            if not opened.cancel() and not opened.cancelled():
                # Seen, even where something else failed first.
                opened.exception()
        return None

    async def _wait(self, opened: asyncio.Future[None]) -> None:
        try:
            await opened
        except asyncio.CancelledError:
            self._session._core.close(1000, "")
            raise
        except StapesError as error:
            self._session._local(Error(error, context="connect"))
            raise

    async def _request(
        self,
        api_key: ApiKey | None,
        model: str,
        url: str | None,
        call_id: str | None,
        headers: Mapping[str, str] | None,
    ) -> TransportRequest:
        given = api_key if api_key is not None else self._api_key
        credentials = await self._provider.authenticate(given)
        self.secrets = credentials.secrets
        own: Mapping[str, str] = getattr(self.transport, "headers", {})
        sent = {
            **credentials.headers,
            "User-Agent": f"stapes/{_core.__version__}",
            **own,
            **(headers or {}),
        }
        return TransportRequest(self._url(url, call_id, model), sent)

    def _url(self, url: str | None, call_id: str | None, model: str) -> str:
        if url is not None:
            return url
        if isinstance(self.transport, WebRTCTransport):
            if call_id is not None:
                raise UserError(
                    "call_id joins a call that stands, which is done over a WebSocket: use "
                    "transport='websocket', or leave call_id out to make a call over WebRTC"
                )
            own = self.transport.url
            return self._provider.url(model, kind="webrtc") if own is None else own
        if call_id is not None:
            return self._provider.url(model, call_id=call_id, kind="websocket")
        own = getattr(self.transport, "url", None)
        return self._provider.url(model, kind="websocket") if own is None else own

    def _dial(
        self,
        request: TransportRequest,
        payload: Mapping[str, Any],
        agent_version: int,
        opened: asyncio.Future[None],
    ) -> int:
        """Begins to connect; the connection_id of the connection."""
        session = self._session
        update, tracing = session._session_update(payload), session._tracing_update()
        transport = self.transport
        if isinstance(transport, RealtimeTransport):
            line = session._core.connect_external(transport.sound_apart, transport.server_truncates)
            self._external = (transport, line)
            work = self._carry(transport, line, request, (update, tracing, agent_version), opened)
            session._spawn(work)
            return line.connection_id
        headers = list(request.headers.items())
        try:
            if isinstance(transport, WebRTCTransport):
                return session._core.connect_webrtc(
                    request.url, headers, transport.core_options(), update, tracing, agent_version
                )
            assert isinstance(transport, WebSocketTransport)
            return session._core.connect_websocket(
                request.url, headers, transport.core_options(), update, tracing, agent_version
            )
        except UnicodeEncodeError:
            # The error would show what it could not write, and that may be a secret.
            raise ConnectError(
                "the URL, a header or the session's configuration has half a surrogate pair in it, "
                "which cannot be sent"
            ) from None

    async def _carry(
        self,
        transport: RealtimeTransport,
        line: _core.ExternalConnection,
        request: TransportRequest,
        opening: tuple[str, str, int],
        opened: asyncio.Future[None],
    ) -> None:
        def open_line() -> bool:
            stands = line.opened(*opening)
            if stands and not opened.done():
                opened.set_result(None)
            return stands

        error: BaseException | None = None
        try:
            await transport.connect(request, TransportLine(line, open_line))
        except Exception as failure:
            error = failure
        if opened.done():
            return
        if error is None:
            error = ConnectError("the transport's connect() returned without opening its line")
        line.ended(str(error))
        opened.set_exception(error)

    def carry(self) -> None:
        """Something is to be sent over a transport of the user's."""
        if self._external is None:
            return
        transport, line = self._external
        try:
            for audio in line.take_audio():
                transport.send_audio(audio)
            for message in line.take():
                if isinstance(message, str):
                    transport.send(message)
                else:
                    self._external = None
                    transport.close(*message)
        except Exception as error:
            line.ended(f"the transport could not send: {error}")
            self._session._local(Error(error, context="transport"))

    def opened(self, connection_id: int, error: BaseException | None) -> None:
        """The core says how connecting went."""
        if self._attempt is None or self._attempt[0] not in (connection_id, -1):
            return
        future = self._attempt[1]
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)

    def abandon(self) -> None:
        """The session is closed: whoever waits for its connection waits no more."""
        if self._attempt is not None and not self._attempt[1].done():
            self._attempt[1].set_exception(
                NotConnectedError("the session was closed while it was connecting")
            )
