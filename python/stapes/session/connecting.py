"""Makes a session's connection: where to, with which credentials, over which transport."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents import UserError

from stapes import _core
from stapes.errors import ConnectError
from stapes.events import Error
from stapes.providers import Credentials
from stapes.session.attempts import ConnectionAttempts
from stapes.session.dialling import dial, unwritable
from stapes.session.failures import as_failure, ends_more, report_failure, uncancelled
from stapes.session.reconnecting import redial_by, summarise, warn_of_unknown_words
from stapes.transport import (
    RealtimeTransport,
    TransportLine,
    TransportRequest,
    WebRTCTransport,
    WebSocketTransport,
)
from stapes.transport.credentials import names_who_asks
from stapes.transport.headers import merged_headers

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agents.realtime import RealtimeAgent

    from stapes.errors import ConnectionLostError
    from stapes.hub import LoopHub
    from stapes.providers import ApiKey
    from stapes.session.agents.switching import AgentSwitching
    from stapes.session.configuration import Configuration
    from stapes.session.dialling import Opening
    from stapes.session.dispatch.listeners import Listeners
    from stapes.session.options import SessionOptions
    from stapes.session.reconnecting import ReconnectPolicy
    from stapes.session.scope import Scope
    from stapes.session.tool_calls.approvals import Approvals

__all__ = ["Connector"]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What `connect` was given."""

    api_key: ApiKey | None = field(repr=False)
    model: str
    url: str | None = field(repr=False)
    call_id: str | None
    headers: Mapping[str, str | None] | None = field(repr=False)


class Connector(ConnectionAttempts):
    """Connects one session, one attempt at a time.

    Args:
        scope: the session's.
        options: have the transport, the provider and the key.
        hub: delivers what is left of the connection before.
        configuration: makes the payload that the connection begins with.
        switching: puts the initial agent in charge.
        approvals: those of the connection before are forgotten.
        listeners: keep what a new connection says until somebody reads.
    """

    __slots__ = (
        "_approvals",
        "_asked",
        "_configuration",
        "_external",
        "_listeners",
        "_options",
        "_switching",
        "_warned",
    )

    def __init__(
        self,
        scope: Scope,
        options: SessionOptions,
        hub: LoopHub,
        configuration: Configuration,
        switching: AgentSwitching,
        approvals: Approvals,
        listeners: Listeners,
    ) -> None:
        super().__init__(scope, hub)
        self._options = options
        self._configuration = configuration
        self._switching = switching
        self._approvals = approvals
        self._listeners = listeners
        self._external: tuple[RealtimeTransport, _core.ExternalConnection] | None = None
        # What the last `connect` was given, for those after it.
        self._asked: _Asked | None = None
        self._warned = False

    @property
    def call_id(self) -> str | None:
        """The call that was joined last, if that was one."""
        return None if self._asked is None else self._asked.call_id

    async def connect(
        self,
        agent: RealtimeAgent[Any],
        *,
        api_key: ApiKey | None,
        model: str,
        url: str | None,
        call_id: str | None,
        headers: Mapping[str, str | None] | None,
    ) -> None:
        """See `RealtimeSession.connect`; `agent` is the initial one."""
        options = self._options
        with self._attempting() as opened:
            snapshot, payload = await self._configuration.initial(agent, model)
            self._asked = _Asked(api_key, model, url, call_id, headers)
            credentials, request = await self._where(self._asked)
            await self._has_room()
            if opened.done():
                # Closed meanwhile.
                return await opened
            self._approvals.forget_calls()
            self._listeners.begin_again()
            agent_version = self._switching.begin(snapshot)
            self._configuration.connecting(payload, model)
            if options.reconnect is not None:
                key = options.api_key if api_key is None else api_key
                redial_by(
                    self._scope.core, options.reconnect, options.provider, key, options.transport
                )
                if not self._warned:
                    self._warned = True
                    warn_of_unknown_words(payload, stores_audio=options.history_store_audio)
            update = self._configuration.session_update(payload)
            opening = (update, self._configuration.tracing_update(), agent_version)
            dialled = self._dial(request, credentials.secrets, opening, opened)
            await self._dialled(dialled, opened)
            # A caller may have hung up at this very moment.
            if options.speaks_first == "agent" and self._scope.core.status != "disconnected":
                self._scope.tasks.command(self._scope.core.request_response, None)
        return None

    async def redial(self, error: ConnectionLostError | None) -> None:
        """See `ConnectionAttempts.redial`."""
        policy, asked = self._options.reconnect, self._asked
        assert policy is not None
        assert asked is not None

        async def connect_again() -> None:
            await self._summarise(policy)
            credentials, request = await self._where(asked)
            self._dial(request, credentials.secrets, None, None)

        await self._try_again(error, policy, connect_again)

    async def _summarise(self, policy: ReconnectPolicy) -> None:
        try:
            await summarise(self._scope.core, policy)
        except BaseException as failure:
            if ends_more(failure):
                raise
            report_failure(self._scope.local_events, failure, "summarise")

    def send_outgoing(self) -> None:
        """Gives a transport of the user's what is to be sent."""
        if self._external is None:
            return
        transport, connection = self._external
        try:
            for audio in connection.take_audio():
                transport.send_audio(audio)
            for message in connection.take():
                if isinstance(message, str):
                    transport.send(message)
                else:
                    self._external = None
                    transport.close(*message)
        except BaseException as raised:
            if ends_more(raised):
                raise
            error = as_failure(raised, "the transport")
            connection.ended(f"the transport could not send: {error}")
            self._scope.local_events.emit(Error(error, context="transport"))

    async def _credentials(
        self, api_key: ApiKey | None, url: str | None, headers: Mapping[str, str | None] | None
    ) -> Credentials:
        options = self._options
        given = api_key if api_key is not None else options.api_key
        if given is None:
            own = getattr(options.transport, "url", None) if url is None else url
            names = {*getattr(options.transport, "headers", ()), *(headers or ())}
            if names_who_asks(own, names):
                return Credentials({}, ())
        return await uncancelled(options.provider.authenticate(given), "api_key")

    async def _where(self, asked: _Asked) -> tuple[Credentials, TransportRequest]:
        """Where to connect, and as whom."""
        credentials = await self._credentials(asked.api_key, asked.url, asked.headers)
        request = self._request(credentials, asked.model, asked.url, asked.call_id, asked.headers)
        return credentials, request

    def _request(
        self,
        credentials: Credentials,
        model: str,
        url: str | None,
        call_id: str | None,
        headers: Mapping[str, str | None] | None,
    ) -> TransportRequest:
        own = getattr(self._options.transport, "headers", {})
        agent = {"User-Agent": f"stapes/{_core.__version__}"}
        sent = merged_headers(credentials.headers, agent, own, headers or {})
        return TransportRequest(self._url(url, call_id, model), sent)

    def _url(self, url: str | None, call_id: str | None, model: str) -> str:
        if url is not None:
            return url
        transport, provider = self._options.transport, self._options.provider
        if isinstance(transport, WebRTCTransport):
            if call_id is not None:
                raise UserError(
                    "call_id joins a call that stands, which is done over a WebSocket: use "
                    "transport='websocket', or leave call_id out to make a call over WebRTC"
                )
            own = transport.url
            return provider.url(model, kind="webrtc") if own is None else own
        if call_id is not None:
            return provider.url(model, call_id=call_id, kind="websocket")
        own = getattr(transport, "url", None)
        return provider.url(model, kind="websocket") if own is None else own

    def _dial(
        self,
        request: TransportRequest,
        secrets: Sequence[str],
        opening: Opening | None,
        opened: asyncio.Future[None] | None,
    ) -> int:
        """Begins to connect; returns the id of the connection.

        Args:
            request: where to.
            secrets: what the server may quote, and nobody may read.
            opening: what the server gets when the connection stands; `None` where it takes the
                place of a lost one.
            opened: what `connect` waits for.
        """
        core, transport = self._scope.core, self._options.transport
        target = (request.url, list(request.headers.items()), secrets)
        if isinstance(transport, WebRTCTransport | WebSocketTransport):
            return dial(core, transport, target, opening)
        assert isinstance(transport, RealtimeTransport)
        try:
            connection = core.connect_external(
                target,
                transport.sound_apart,
                transport.server_truncates,
                transport.first_event_timeout,
                again=opening is None,
            )
        except UnicodeEncodeError:
            # See `dial`.
            pass
        else:
            self._external = (transport, connection)
            work = self._connect_external(transport, connection, request, opening, opened)
            self._scope.tasks.spawn(work)
            return connection.connection_id
        raise unwritable()

    async def _connect_external(
        self,
        transport: RealtimeTransport,
        connection: _core.ExternalConnection,
        request: TransportRequest,
        opening: Opening | None,
        opened: asyncio.Future[None] | None,
    ) -> None:
        """Has a transport of the user's connect."""
        task = asyncio.current_task()
        is_open = False

        def open_line() -> bool:
            nonlocal is_open
            is_open = connection.opened_again() if opening is None else connection.opened(*opening)
            return is_open

        def given_up(opened: asyncio.Future[None]) -> None:
            if task is not None and (opened.cancelled() or opened.exception() is not None):
                task.cancel()

        error: BaseException | None = None
        if opened is not None:
            opened.add_done_callback(given_up)
        try:
            await transport.connect(request, TransportLine(connection, open_line))
        except BaseException as failure:
            if ends_more(failure):
                raise
            error = as_failure(failure, "the transport's connect()")
        finally:
            if opened is not None:
                opened.remove_done_callback(given_up)
        if (opened is not None and opened.done()) or (is_open and error is None):
            # Or the server's first event is awaited.
            return
        if error is None:
            error = ConnectError("the transport's connect() returned without opening its line")
        if opened is not None:
            self._failure = error
            opened.set_exception(error)
        connection.ended(str(error))
