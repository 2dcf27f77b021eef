"""Attempts to connect a session, one at a time, whatever the session is for."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agents import UserError

from stapes.core_logging import follow_levels
from stapes.errors import NotConnectedError, StapesError
from stapes.events import Error
from stapes.session.failures import ends_more, report_failure
from stapes.session.reconnecting import retries_after

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from stapes.errors import ConnectionLostError
    from stapes.hub import LoopHub
    from stapes.session.reconnecting import ReconnectPolicy
    from stapes.session.scope import Scope

__all__ = ["ConnectionAttempts"]


class ConnectionAttempts:
    """What waits for an attempt to connect, and how the last one went.

    Args:
        scope: the session's.
        hub: delivers what is left of the connection before.
    """

    __slots__ = ("_attempt", "_failure", "_hub", "_is_closed", "_scope")

    def __init__(self, scope: Scope, hub: LoopHub) -> None:
        self._scope = scope
        self._hub = hub
        # The connection_id, -1 while there is none, and what `connect` waits for.
        self._attempt: tuple[int, asyncio.Future[None]] | None = None
        # Of the last attempt, until its end is told.
        self._failure: BaseException | None = None
        # This side has closed the session during the attempt.
        self._is_closed = False

    @property
    def is_busy(self) -> bool:
        """Whether a connection is being made."""
        return self._attempt is not None

    def take_failure(self) -> BaseException | None:
        """Why the last attempt failed, once."""
        failure, self._failure = self._failure, None
        return failure

    def opened(self, connection_id: int, error: BaseException | None) -> None:
        """Completes the attempt, as the core says how it went."""
        future = self._awaited(connection_id)
        if future is None:
            return
        if error is None:
            future.set_result(None)
        else:
            self._failure = error
            future.set_exception(error)

    def closed(self, connection_id: int) -> None:
        """Fails the attempt, because its connection was closed by this side."""
        if self._awaited(connection_id) is not None:
            self.abandon()

    def abandon(self) -> None:
        """Fails the attempt, because the session is closed."""
        if self._attempt is not None and not self._attempt[1].done():
            self._is_closed = True
            self._attempt[1].set_exception(
                NotConnectedError("the session was closed while it was connecting")
            )

    def _awaited(self, connection_id: int) -> asyncio.Future[None] | None:
        """What waits for the connection of that id, which may have been given up before."""
        if self._attempt is None or self._attempt[0] != connection_id or self._attempt[1].done():
            return None
        return self._attempt[1]

    async def redial(self, error: ConnectionLostError | None) -> None:
        """Makes another connection in place of one that was lost, if the policy allows it.

        Args:
            error: how that one ended, or the attempt after it; `None` where it stands still, and is
                replaced before its time is over.
        """
        raise NotImplementedError

    @contextmanager
    def _attempting(self) -> Iterator[asyncio.Future[None]]:
        """An attempt; what it gives is done when the connection stands, or cannot.

        Raises:
            agents.UserError: the session is connected, or connecting.
        """
        if self._scope.core.status != "disconnected" or self.is_busy:
            raise UserError("The session is already connected or connecting: call close() first.")
        follow_levels()
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._attempt = (-1, opened)
        self._failure = None
        self._is_closed = False
        try:
            yield opened
        finally:
            self._attempt = None
            if not opened.cancel() and not opened.cancelled():
                # Retrieved, or asyncio logs it where something else failed first.
                opened.exception()

    async def _has_room(self) -> None:
        """Waits for messages of the last connection: they may fill the queue to its bound."""
        if not self._hub.is_idle:
            await self._scope.local_events.all_so_far()

    async def _dialled(self, connection_id: int, opened: asyncio.Future[None]) -> None:
        """Waits until the connection of that id stands."""
        self._attempt = (connection_id, opened)
        try:
            await opened
        except (asyncio.CancelledError, GeneratorExit):
            # Nobody waits for it any more.
            self._scope.core.close(1000, "")
            raise
        except StapesError as error:
            # Who closed the session has no need to be told of it as of an error.
            if not self._is_closed:
                self._scope.local_events.emit(Error(error, context="connect"))
            raise

    async def _try_again(
        self,
        error: ConnectionLostError | None,
        policy: ReconnectPolicy,
        connect: Callable[[], Awaitable[None]],
    ) -> None:
        """Connects, unless the policy decides against it; an exception fails the attempt."""
        core = self._scope.core
        try:
            if error is not None and not await retries_after(policy, error):
                return core.give_up(f"should_retry decided against another attempt: {error}")
            await connect()
        except BaseException as failure:
            if ends_more(failure):
                raise
            if not core.is_standing:
                # Closed meanwhile.
                return None
            report_failure(self._scope.local_events, failure, "reconnect")
            core.attempt_failed(f"{type(failure).__name__} was raised on the way to the attempt")
        return None
