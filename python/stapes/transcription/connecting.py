"""Makes the connections of a session without an agent."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agents import UserError

from stapes import _core
from stapes.core_logging import follow_levels
from stapes.errors import NotConnectedError, StapesError
from stapes.events import Error
from stapes.providers import Credentials
from stapes.session.failures import ends_more, report_failure
from stapes.session.reconnecting import redial_by
from stapes.transport.credentials import names_who_asks
from stapes.transport.headers import merged_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stapes.errors import ConnectionLostError
    from stapes.hub import LoopHub
    from stapes.providers import ApiKey
    from stapes.session.dispatch.listeners import Listeners
    from stapes.session.scope import Scope
    from stapes.transcription.options import SpeechOptions

__all__ = ["SpeechConnector"]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What `connect` was given."""

    api_key: ApiKey | None = field(repr=False)
    url: str | None = field(repr=False)
    headers: Mapping[str, str | None] | None = field(repr=False)


class SpeechConnector:
    """Connects one session, one attempt at a time.

    Args:
        scope: the session's.
        options: have the transport, the provider and the key.
        hub: delivers what is left of the connection before.
        listeners: keep what a new connection says until somebody reads.
        url: where the provider has such sessions.
        payload: gives the configuration that a connection begins with.
    """

    __slots__ = (
        "_asked",
        "_attempt",
        "_failure",
        "_hub",
        "_listeners",
        "_options",
        "_payload",
        "_scope",
        "_url",
    )

    def __init__(
        self,
        scope: Scope,
        options: SpeechOptions,
        hub: LoopHub,
        listeners: Listeners,
        url: str,
        payload: Callable[[], dict[str, Any]],
    ) -> None:
        self._scope = scope
        self._options = options
        self._hub = hub
        self._listeners = listeners
        self._url = url
        self._payload = payload
        # The connection_id, -1 while there is none, and what `connect` waits for.
        self._attempt: tuple[int, asyncio.Future[None]] | None = None
        self._asked: _Asked | None = None
        # Of the last attempt, until its end is told.
        self._failure: BaseException | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a connection is being made."""
        return self._attempt is not None

    def take_failure(self) -> BaseException | None:
        """Why the last attempt failed, once."""
        failure, self._failure = self._failure, None
        return failure

    async def connect(
        self,
        *,
        api_key: ApiKey | None,
        url: str | None,
        headers: Mapping[str, str | None] | None,
    ) -> None:
        """See `RealtimeTranscription.connect`."""
        core, options = self._scope.core, self._options
        if core.status != "disconnected" or self.is_busy:
            raise UserError("The session is already connected or connecting: call close() first.")
        follow_levels()
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._attempt = (-1, opened)
        self._failure = None
        try:
            asked = self._asked = _Asked(api_key, url, headers)
            where = await self._where(asked)
            if not self._hub.is_idle:
                # Messages of the last connection may fill the queue to its bound.
                await self._scope.local_events.all_so_far()
            if opened.done():
                # Closed meanwhile.
                return await opened
            self._listeners.begin_again()
            if options.reconnect is not None:
                key = options.api_key if api_key is None else api_key
                redial_by(core, options.reconnect, options.provider, key, options.transport)
            update = {"type": "session.update", "session": self._payload()}
            opening = (json.dumps(update, ensure_ascii=False), "null", 0)
            dialled = core.connect_websocket(where, options.transport.core_options(), opening)
            self._attempt = (dialled, opened)
            await self._wait(opened)
        finally:
            self._attempt = None
            if not opened.cancel() and not opened.cancelled():
                # Retrieved, or asyncio logs it where something else failed first.
                opened.exception()
        return None

    async def redial(self, error: ConnectionLostError | None) -> None:
        """Makes another connection in place of one that was lost, if the policy allows it.

        Args:
            error: how that one ended, or the attempt after it; `None` where it stands still, and is
                replaced before its time is over.
        """
        core, policy, asked = self._scope.core, self._options.reconnect, self._asked
        assert policy is not None
        assert asked is not None
        try:
            retries = policy.should_retry
            if error is not None and retries is not None and not retries(error):
                return core.give_up(f"should_retry decided against another attempt: {error}")
            where = await self._where(asked)
            core.connect_websocket(where, self._options.transport.core_options(), None)
        except Exception as failure:
            if ends_more(failure):
                raise
            if not core.is_standing:
                # Closed meanwhile.
                return None
            report_failure(self._scope.local_events, failure, "reconnect")
            core.attempt_failed(f"{type(failure).__name__} was raised on the way to the attempt")
        return None

    def opened(self, connection_id: int, error: BaseException | None) -> None:
        """Completes the attempt, as the core says how it went."""
        if self._attempt is None or self._attempt[0] != connection_id:
            return
        future = self._attempt[1]
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            self._failure = error
            future.set_exception(error)

    def abandon(self) -> None:
        """Fails the attempt, because the session is closed."""
        if self._attempt is not None and not self._attempt[1].done():
            self._attempt[1].set_exception(
                NotConnectedError("the session was closed while it was connecting")
            )

    async def _wait(self, opened: asyncio.Future[None]) -> None:
        try:
            await opened
        except (asyncio.CancelledError, GeneratorExit):
            # Nobody waits for it any more.
            self._scope.core.close(1000, "")
            raise
        except StapesError as error:
            self._scope.local_events.emit(Error(error, context="connect"))
            raise

    async def _where(self, asked: _Asked) -> tuple[str, list[tuple[str, str]], tuple[str, ...]]:
        """URL and headers of a connection, and what the server may quote and nobody may read."""
        own = self._options.transport
        url = asked.url or own.url
        credentials = await self._credentials(asked, url)
        agent = {"User-Agent": f"stapes/{_core.__version__}"}
        sent = merged_headers(credentials.headers, agent, own.headers, asked.headers or {})
        return url or self._url, list(sent.items()), credentials.secrets

    async def _credentials(self, asked: _Asked, url: str | None) -> Credentials:
        options = self._options
        given = asked.api_key if asked.api_key is not None else options.api_key
        names = {*options.transport.headers, *(asked.headers or ())}
        if given is None and names_who_asks(url, names):
            return Credentials({}, ())
        return await options.provider.authenticate(given)
