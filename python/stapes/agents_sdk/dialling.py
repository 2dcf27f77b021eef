"""Makes a model's connection, and another one where that is lost."""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agents import UserError

from stapes import _core
from stapes.core_logging import follow_levels
from stapes.providers import Credentials
from stapes.session.dialling import dial
from stapes.session.failures import as_failure, ends_more, uncancelled
from stapes.session.reconnecting import retries_after, summarise
from stapes.transport import TransportRequest, WebRTCTransport
from stapes.transport.headers import merged_headers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stapes.errors import ConnectionLostError
    from stapes.providers import ApiKey, Provider
    from stapes.session import ReconnectPolicy
    from stapes.session.dialling import Opening
    from stapes.transport import WebSocketTransport

__all__ = ["Asked", "Dialler"]

logger = logging.getLogger("stapes")


@dataclass(frozen=True, slots=True)
class Asked:
    """Where a connection is to lead, and as whom, as `connect` was given it.

    Attributes:
        model: the model in use.
        api_key: the user's; `None`: the environment's.
        url: in place of the provider's.
        headers: in place of those that authenticate.
        call_id: of a call to join.
    """

    model: str
    api_key: ApiKey | None = field(repr=False)
    url: str | None = field(repr=False)
    headers: Mapping[str, str] | None = field(repr=False)
    call_id: str | None


class Dialler:
    """Makes the connections of one session of the core's.

    Args:
        core: the session.
        asked: where to.
        provider: says where it is and how to authenticate.
        transport: how to connect.
        policy: how to connect again, if that is to be done.
        failed: takes what went wrong on the way to another connection.
    """

    def __init__(
        self,
        core: _core.Session,
        asked: Asked,
        provider: Provider,
        transport: WebSocketTransport | WebRTCTransport,
        policy: ReconnectPolicy | None,
        failed: Callable[[BaseException], None],
    ) -> None:
        self._core = core
        self._asked = asked
        self._provider = provider
        self._transport = transport
        self._policy = policy
        self._failed = failed
        # The connection_id, and what `connect` waits for.
        self._attempt: tuple[int, asyncio.Future[None]] | None = None
        self._redialling: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether the first connection is being made."""
        return self._attempt is not None and not self._attempt[1].done()

    async def connect(self, opening: Callable[[], Opening]) -> None:
        """Makes the first connection.

        Args:
            opening: makes what the server gets first, when everything else is known.

        Raises:
            agents.UserError: there is no key.
            stapes.ConnectError: the connection could not be made; its subclasses say why.
        """
        follow_levels()
        credentials = await self._credentials()
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._attempt = (-1, opened)
        try:
            self._attempt = (self._dial(credentials, opening()), opened)
            await opened
        except asyncio.CancelledError:
            self._core.close(1000, "")
            raise
        finally:
            self._attempt = None

    def opened(self, connection_id: int, error: BaseException | None) -> None:
        """Completes `connect`, as the core says how it went."""
        if self._attempt is None or self._attempt[0] not in (connection_id, -1):
            return
        opened = self._attempt[1]
        if opened.done():
            return
        if error is None:
            opened.set_result(None)
        else:
            opened.set_exception(error)

    def redial(self, error: ConnectionLostError | None) -> None:
        """Begins to make another connection in place of one that was lost, if the policy allows.

        Args:
            error: how that one ended, or the attempt after it; `None` where it stands still, and
                is replaced before its time is over.
        """
        self._redialling = asyncio.get_running_loop().create_task(self._redial(error))

    def stop(self) -> None:
        """Makes no other connection."""
        if self._redialling is not None:
            self._redialling.cancel()

    async def _redial(self, error: ConnectionLostError | None) -> None:
        core, policy = self._core, self._policy
        assert policy is not None
        try:
            if error is not None and not await retries_after(policy, error):
                return core.give_up(f"should_retry decided against another attempt: {error}")
            await summarise(core, policy)
            self._dial(await self._credentials(), None)
        except BaseException as failure:
            if ends_more(failure):
                raise
            if core.is_standing:
                logger.exception("another connection could not be asked for")
                self._failed(as_failure(failure, "what decides about another connection"))
                what = type(failure).__name__
                core.attempt_failed(f"{what} was raised on the way to the attempt")
        return None

    async def _credentials(self) -> Credentials:
        asked = self._asked
        if asked.headers is not None:
            # Theirs are all that is sent, as the SDK's own model has it.
            return Credentials(dict(asked.headers), ())
        variable = self._provider.key_variable
        try:
            return await uncancelled(self._provider.authenticate(asked.api_key), "api_key")
        except UserError:
            if asked.api_key is not None or variable is None or os.environ.get(variable):
                raise
        raise UserError(
            f"API key is required but was not provided: set {variable}, or give `api_key` (a "
            "string, or a function that gets one) or `headers` in model_config"
        )

    def _dial(self, credentials: Credentials, opening: Opening | None) -> int:
        """Begins to connect; returns the id of the connection.

        Raises:
            stapes.ConnectError: what is to be sent cannot be written.
        """
        request = self._request(credentials)
        target = (request.url, list(request.headers.items()), credentials.secrets)
        return dial(self._core, self._transport, target, opening)

    def _request(self, credentials: Credentials) -> TransportRequest:
        asked, transport = self._asked, self._transport
        agent = {"User-Agent": f"stapes/{_core.__version__}"}
        headers = merged_headers(agent, credentials.headers, transport.headers)
        kind = "webrtc" if isinstance(transport, WebRTCTransport) else "websocket"
        if asked.url is not None:
            return TransportRequest(asked.url, headers)
        if asked.call_id is not None:
            url = self._provider.url(asked.model, call_id=asked.call_id, kind="websocket")
            return TransportRequest(url, headers)
        url = transport.url or self._provider.url(asked.model, kind=kind)  # type: ignore[arg-type]
        return TransportRequest(url, headers)
