"""Makes the connections of a session without an agent."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stapes import _core
from stapes.providers import Credentials
from stapes.session.attempts import ConnectionAttempts
from stapes.session.dialling import dial
from stapes.session.failures import uncancelled
from stapes.session.reconnecting import redial_by
from stapes.transport.credentials import names_who_asks
from stapes.transport.headers import merged_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stapes.errors import ConnectionLostError
    from stapes.hub import LoopHub
    from stapes.providers import ApiKey
    from stapes.session.dialling import Target
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


class SpeechConnector(ConnectionAttempts):
    """Connects one session, one attempt at a time.

    Args:
        scope: the session's.
        options: have the transport, the provider and the key.
        hub: delivers what is left of the connection before.
        listeners: keep what a new connection says until somebody reads.
        url: where the provider has such sessions.
        payload: gives the configuration that a connection begins with.
    """

    __slots__ = ("_asked", "_listeners", "_options", "_payload", "_url")

    def __init__(
        self,
        scope: Scope,
        options: SpeechOptions,
        hub: LoopHub,
        listeners: Listeners,
        url: str,
        payload: Callable[[], dict[str, Any]],
    ) -> None:
        super().__init__(scope, hub)
        self._options = options
        self._listeners = listeners
        self._url = url
        self._payload = payload
        self._asked: _Asked | None = None

    async def connect(
        self,
        *,
        api_key: ApiKey | None,
        url: str | None,
        headers: Mapping[str, str | None] | None,
    ) -> None:
        """See `RealtimeTranscription.connect`."""
        core, options = self._scope.core, self._options
        with self._attempting() as opened:
            asked = self._asked = _Asked(api_key, url, headers)
            where = await self._where(asked)
            await self._has_room()
            if opened.done():
                # Closed meanwhile.
                return await opened
            self._listeners.begin_again()
            if options.reconnect is not None:
                key = options.api_key if api_key is None else api_key
                redial_by(core, options.reconnect, options.provider, key, options.transport)
            update = {"type": "session.update", "session": self._payload()}
            opening = (json.dumps(update, ensure_ascii=False), "null", 0)
            await self._dialled(dial(core, options.transport, where, opening), opened)
        return None

    async def redial(self, error: ConnectionLostError | None) -> None:
        """See `ConnectionAttempts.redial`."""
        policy, asked = self._options.reconnect, self._asked
        assert policy is not None
        assert asked is not None

        async def connect_again() -> None:
            where = await self._where(asked)
            dial(self._scope.core, self._options.transport, where, None)

        await self._try_again(error, policy, connect_again)

    async def _where(self, asked: _Asked) -> Target:
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
        return await uncancelled(options.provider.authenticate(given), "api_key")
