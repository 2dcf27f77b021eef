"""What the fixture `caller` gives: calls that end with the test."""

from __future__ import annotations

import inspect
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from stapes.testing.agent_call import AgentCall

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from agents.realtime import RealtimeAgent

__all__ = ["Caller"]


class Caller:
    """Calls agents: `call = await caller(agent)`. The calls end with the test.

    Attributes:
        calls: all calls of the test.

    Args:
        test: the function of the test; `None` where it is used in `async with`.
    """

    def __init__(self, test: Callable[..., Any] | None = None) -> None:
        self.calls: list[AgentCall] = []
        self._test = test
        self._stack = AsyncExitStack()

    async def __call__(self, agent: RealtimeAgent[Any], **options: Any) -> AgentCall:
        """Call an agent. The options are those of `AgentCall`, and through it of the session.

        Raises:
            RuntimeError: the test is not `async def`, so that nobody would end the call.
        """
        __tracebackhide__ = True
        if self._test is not None and not inspect.iscoroutinefunction(self._test):
            raise RuntimeError(
                "caller() is for tests that are `async def`; elsewhere write "
                "`async with AgentCall(agent) as call:`"
            )
        call = AgentCall(agent, **options)
        self.calls.append(call)
        return await self._stack.enter_async_context(call)

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End all calls, the last one first.

        Raises:
            CallFailedError: a turn has failed that nobody awaited, and the block has not.
        """
        await self._stack.__aexit__(kind, error, traceback)

    @property
    def story(self) -> str:
        """What happened in the calls."""
        return "\n".join(call.story for call in self.calls)
