"""Serving an agent: the calls of `stapes.calls` that any app can make, and what is told of them."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

from stapes import RealtimeSession
from stapes.calls import CallOptions, CallServer, CallSummary, PageEvents, WebRTCCallOptions
from stapes.calls.summary import one_line
from stapes.calls.webrtc import outward_address
from stapes.cancellation import ends_more
from stapes.cli.builtin import apology
from stapes.cli.dev_server import ServerSetupError
from stapes.cli.failing import why_unreachable
from stapes.cli.load_agent import AgentFileError, load_agent
from stapes.cli.serve.errors import ServeError
from stapes.cli.serve.model import chosen_model
from stapes.cli.serve.telling import lines_about
from stapes.errors import StapesError
from stapes.web import page_files

if TYPE_CHECKING:
    from collections.abc import Callable

    from agents.realtime import RealtimeAgent

    from stapes.calls import Call
    from stapes.cli.serve.model import Model
    from stapes.cli.serve.options import ServeOptions
    from stapes.events import Error, ToolApprovalRequested

TALK = "/talk"
"""Where browsers call: the page beside it knows."""
_END_TOLD_S = 1.0

logger = logging.getLogger("stapes.serve")


def run_serve(place: str, options: ServeOptions, say: Callable[[str], None]) -> None:
    """Serve the agent in a file until SIGTERM or Ctrl-C; `say` gets a line for what happens.

    Raises:
        ServeError: it cannot be done.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(serve_agent(load_agent(place), options, say))
    except (AgentFileError, ServerSetupError) as error:
        raise ServeError(str(error)) from error


async def serve_agent(
    agent: RealtimeAgent[Any], options: ServeOptions, say: Callable[[str], None]
) -> None:
    """Serve an agent on the running loop until SIGTERM or Ctrl-C: see `run_serve`.

    Raises:
        ServeError: it cannot be done.
    """
    async with AsyncExitStack() as stack:
        try:
            model = await stack.enter_async_context(chosen_model(options))
            calls = _routed(_Desk(agent, model, options, say), options)
            await stack.enter_async_context(calls)
        except (OSError, ValueError) as error:
            raise ServeError(str(error)) from error
        for line in lines_about(agent.name, calls, model, options):
            say(line)
        if options.ends_with_input:
            stack.callback(_at_end_of_input(calls.stop))
        await calls.until_stopped(drain=options.drain, signals=True)


def _at_end_of_input(stop: Callable[[], None]) -> Callable[[], object]:
    """Have `stop` called when standard input ends; return what has it called no more.

    A thread reads, because no event loop of Windows watches a pipe.
    """
    loop, source, over = asyncio.get_running_loop(), sys.stdin.fileno(), threading.Event()

    def end() -> None:
        if not over.is_set():
            stop()

    def read() -> None:
        while os.read(source, 1024):
            pass
        # The loop may have been closed meanwhile.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(end)

    threading.Thread(target=read, name="stapes-input", daemon=True).start()
    return over.set


def _routed(desk: _Desk, options: ServeOptions) -> CallServer:
    """Return a server whose routes all lead to the desk."""
    if not options.page and not options.phones and options.audiosocket is None:
        raise ServeError("--no-page leaves nothing to serve: add --phone or --audiosocket")
    _check_host(options)
    how = CallOptions(max_call=options.max_call)
    # On one's own machine the page shows what tools get and give.
    is_ours = not options.public and options.public_url is None
    shown = PageEvents(tools="all" if is_ours else "names")
    calls = CallServer(
        host=options.host,
        port=options.port,
        public_url=options.public_url,
        certificate=options.certificate,
        key=options.key,
        max_calls=options.max_calls,
    )
    if options.page:
        calls.serve_files(page_files())
        calls.browser(
            TALK,
            origins=options.origins,
            public=options.public,
            events=shown,
            options=how,
            webrtc=_webrtc(options) if options.transport == "auto" else None,
        )(desk.answer)
    for phone in options.phones:
        calls.route(phone.carrier, phone.path, public=options.public, options=how, **phone.checks)(
            desk.answer
        )
    if (port := options.audiosocket) is not None:
        calls.audiosocket(port=port, public=options.public, options=how)(desk.answer)
    return calls


def _webrtc(options: ServeOptions) -> WebRTCCallOptions:
    """Return how pages reach this machine over UDP, which passes no proxy."""
    is_behind_another = options.public_url is not None or bool(options.public_addresses)
    return WebRTCCallOptions(
        local_addresses=(outward_address(),) if is_behind_another else (),
        public_addresses=options.public_addresses,
    )


def _check_host(options: ServeOptions) -> None:
    """Refuse to let strangers call whom nobody asked for."""
    with suppress(ValueError):
        if options.public or ip_address(options.host).is_loopback:
            return
        unchecked = ["the page"] if options.page else []
        unchecked += [phone.path for phone in options.phones if not phone.checks]
        unchecked += [] if options.audiosocket is None else ["AudioSocket"]
        if unchecked:
            raise ServeError(
                f"--host {options.host}: strangers reach it, and nothing checks who calls on "
                f"{', '.join(unchecked)}: add --public to let anybody call, or leave that out "
                "(--no-page)"
            )


class _Desk:
    """Answers calls, and says what became of them."""

    def __init__(
        self,
        agent: RealtimeAgent[Any],
        model: Model,
        options: ServeOptions,
        say: Callable[[str], None],
    ) -> None:
        self._apology = apology()
        self._agent = agent
        self._model = model
        self._options = options
        self._say = say

    async def answer(self, call: Call) -> None:
        """Have the agent speak with a caller, until one of the two hangs up."""
        session = RealtimeSession(
            self._agent,
            call=call,
            speaks_first=self._options.speaks_first,
            **self._model.session,
        )
        summary = CallSummary(call, session)
        name = one_line(call.id)

        @session.on("error")
        def warn(event: Error) -> None:
            # Whoever hangs up at once leaves a session that is still connecting.
            if not call.is_over:
                logger.warning("%s: %s", name, event.error)

        @session.on("tool_approval_requested")
        def decide(event: ToolApprovalRequested) -> None:
            if self._options.approve == "all":
                session.approve(event.approval)
            else:
                session.reject(event.approval)

        try:
            async with session:
                await call.ended()
        except StapesError as error:
            if not call.is_over:
                logger.error("%s: the model cannot be had: %s", name, why_unreachable(error))
                await self._apologise(call)
        except BaseException as error:
            if ends_more(error):
                raise
            logger.exception("%s: the answer failed", name)
            await self._apologise(call)
        finally:
            with suppress(TimeoutError):
                await asyncio.wait_for(call.ended(), _END_TOLD_S)
            self._say(f"{datetime.now():%Y-%m-%d %H:%M:%S} | {summary}")

    async def _apologise(self, call: Call) -> None:
        call.answer_failed()
        call.clear()
        call.play(self._apology)
        call.hang_up(after_playback=True)
        await call.ended()
