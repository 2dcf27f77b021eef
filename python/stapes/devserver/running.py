"""Running the development server: for the command line, and inside a test."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from typing import TYPE_CHECKING, Any, Literal, Self

import uvicorn
from websockets.exceptions import InvalidState

from stapes.devserver.no_mind import NoMind
from stapes.devserver.options import Options
from stapes.devserver.rudeness import Drop, DropWay, Rudeness
from stapes.devserver.tones import ToneVoice
from stapes.devserver.web.app import create_app
from stapes.devserver.web.calls import Calls
from stapes.devserver.web.protocols import WebSocketProtocol, http_protocol
from stapes.devserver.web.trouble import ArmedDrop, Refusing, Trouble

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import TracebackType

    from starlette.applications import Starlette

    from stapes.devserver.mind import Mind, Voice
    from stapes.devserver.web.served import ServedCall

LOOPBACK = "127.0.0.1"
DEFAULT_PORT = 8765
_SHUTDOWN_SECONDS = 1


def serve(
    mind: Mind,
    voice: Voice,
    options: Options | None = None,
    *,
    rudeness: Rudeness | None = None,
    host: str = LOOPBACK,
    port: int = DEFAULT_PORT,
    on_ready: Callable[[str], None] | None = None,
    on_trouble: Callable[[str], None] | None = None,
) -> None:
    """Run the development server until it is interrupted.

    `on_ready` is called with the WebSocket URL once connections are accepted. Port 0 takes a free
    one. `on_trouble` is told, in words, what `rudeness` brings about.

    Raises:
        OSError: the address cannot be had, for instance because the port is taken.
    """
    options = options or Options()
    bound = _bind(host, port)
    calls = Calls(mind, voice, options, trouble=Trouble(tell=on_trouble))
    if rudeness is not None:
        calls.trouble.set(rudeness)
    server = _Server(_config(create_app(mind, voice, calls=calls), options))
    server.on_stopping = calls.close
    if on_ready is not None:
        server.on_started = lambda: on_ready(_url("ws", bound))
    with contextlib.suppress(KeyboardInterrupt):
        server.run(sockets=[bound])


class DevServer:
    """A development server inside the running event loop, on a free loopback port.

        async with DevServer(ScriptedMind([Turn(say="Hello.")])) as server:
            ...connect to server.url with any key...
            call = await server.next_call()
            await call.received.wait_for("response.create")

    Without a mind its answers are empty, and a warning is logged when one is asked for. Without
    options it sends answers at once (`pace=None`). `rudeness`, `arm` and `refuse_next` have
    it misbehave: see `stapes.devserver.Rudeness`. With `records=False` it keeps no call for a test
    to look at (`calls`, `next_call`), so that it may run for long.
    """

    def __init__(
        self,
        mind: Mind | None = None,
        voice: Voice | None = None,
        options: Options | None = None,
        *,
        rudeness: Rudeness | None = None,
        host: str = LOOPBACK,
        port: int = 0,
        records: bool = True,
    ) -> None:
        self._options = options or Options(pace=None)
        mind, voice = mind or NoMind(), voice or ToneVoice()
        self._records = _Records(mind, voice, self._options) if records else None
        self._calls = self._records or Calls(mind, voice, self._options)
        if rudeness is not None:
            self._calls.trouble.set(rudeness)
        self._address = (host, port)
        self._socket: socket.socket | None = None
        self._server: _EmbeddedServer | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def options(self) -> Options:
        """How the server behaves."""
        return self._options

    @property
    def url(self) -> str:
        """The WebSocket URL, such as `ws://127.0.0.1:49152/v1/realtime`."""
        return _url("ws", self._bound)

    @property
    def http_url(self) -> str:
        """The base URL of the API, such as `http://127.0.0.1:49152/v1`. It takes offers, too."""
        return _url("http", self._bound).removesuffix("/realtime")

    @property
    def calls_url(self) -> str:
        """The URL that calls over WebRTC are offered to."""
        return f"{self.http_url}/realtime/calls"

    @property
    def calls(self) -> list[ServedCall]:
        """All calls so far, those that are over included."""
        return list(self._recorded.all)

    async def next_call(self, *, seconds: float = 5.0) -> ServedCall:
        """Return the next call that nobody has asked for yet, once it is there.

        Raises:
            TimeoutError: nobody called in time.
        """
        async with asyncio.timeout(seconds):
            return await self._recorded.arrivals.get()

    @property
    def rudeness(self) -> Rudeness:
        """What the server does wrong on purpose.

        What is set holds from then on, for calls under way as well, and takes the place of all that
        was asked for before.
        """
        return self._calls.trouble.rudeness

    @rudeness.setter
    def rudeness(self, rudeness: Rudeness) -> None:
        self._calls.trouble.set(rudeness)

    def arm(
        self, drop: Drop | str, way: DropWay | None = None, *, nth: int = 1, seconds: float = 10.0
    ) -> ArmedDrop:
        """Drop a connection when it comes to a point: `server.arm("first_delta", "reset")`.

        Args:
            drop: the point, one of `stapes.devserver.POINTS`; or a whole `Drop`, or the text of one
                (`"deltas:1012:2"`), where no way is given.
            way: how; see `stapes.devserver.WAYS`.
            nth: which time that the point is reached from now on.
            seconds: how long a `stall` lasts.

        Returns:
            What tells whether it has happened: `await armed.wait()`.

        Raises:
            ValueError: there is no such point, or way.
        """
        if way is not None and isinstance(drop, str):
            drop = Drop(drop, way, nth, seconds=seconds)
        elif isinstance(drop, str):
            drop = Drop.parse(drop)
        return self._calls.trouble.arm(drop)

    def refuse_next(
        self,
        status: int | Literal["reset"] = 503,
        body: str | dict[str, Any] = "",
        *,
        count: int = 1,
        retry_after: float | None = None,
    ) -> None:
        """Answer the next handshakes, or offers, with an HTTP status, or reset them.

        `retry_after` is for the header of that name, in seconds.
        """
        text = body if isinstance(body, str) else json.dumps(body)
        self._calls.trouble.refusals.extend([Refusing(status, text, retry_after)] * count)

    def hang_next(self) -> None:
        """Leave the next handshake, or offer, without an answer."""
        self._calls.trouble.refusals.append(Refusing("hang"))

    async def __aenter__(self) -> Self:
        """Start to listen."""
        self._socket = _bind(*self._address)
        app = create_app(self._calls.mind, self._calls.voice, calls=self._calls)
        self._server = server = _EmbeddedServer(_config(app, self._options))
        server.on_stopping = self._calls.close
        started = asyncio.Event()
        server.on_started = started.set
        self._task = asyncio.create_task(server.serve(sockets=[self._socket]))
        waiting = asyncio.create_task(started.wait())
        await asyncio.wait([self._task, waiting], return_when=asyncio.FIRST_COMPLETED)
        if not started.is_set():
            waiting.cancel()
            await self._task
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End all calls and stop."""
        if self._server is None or self._task is None:
            return
        self._server.stop.set()
        for call in self._calls.under_way:
            call.resume_reading()
        await self._task

    @property
    def _recorded(self) -> _Records:
        if self._records is None:
            raise RuntimeError("the server keeps no calls: it was made with records=False")
        return self._records

    @property
    def _bound(self) -> socket.socket:
        if self._socket is None:
            raise RuntimeError("the server does not run: use it in `async with DevServer(...)`")
        return self._socket


class _Records(Calls):
    """Calls that are recorded and kept."""

    def __init__(self, mind: Mind, voice: Voice, options: Options) -> None:
        super().__init__(mind, voice, options, recording=True)
        self.all: list[ServedCall] = []
        self.arrivals: asyncio.Queue[ServedCall] = asyncio.Queue()

    def opened(self, served: ServedCall) -> None:
        super().opened(served)
        self.all.append(served)
        self.arrivals.put_nowait(served)


class _Server(uvicorn.Server):
    """uvicorn that says when it has started."""

    on_started: Callable[[], None] | None = None
    on_stopping: Callable[[], Awaitable[None]] | None = None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.on_stopping is not None:
            await self.on_stopping()
        await super().shutdown(sockets)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self.on_started is not None:
            self.on_started()


class _EmbeddedServer(_Server):
    """A server that shares its loop: it stops at once when told, and leaves signals alone."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.stop = asyncio.Event()

    async def main_loop(self) -> None:
        await self.stop.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        if self.on_stopping is not None:
            await self.on_stopping()
        for connection in list(self.server_state.connections):
            # A client that is saying goodbye at this moment needs none from us.
            with contextlib.suppress(InvalidState):
                connection.shutdown()
        calls = set(self.server_state.tasks)
        if calls:
            _, late = await asyncio.wait(calls, timeout=_SHUTDOWN_SECONDS)
            for call in late:
                call.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: Starlette, options: Options) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=http_protocol(options.request_seconds),
        ws=WebSocketProtocol,
        ws_max_size=options.max_frame_bytes,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )


def _bind(host: str, port: int) -> socket.socket:
    """Bind here and not in uvicorn, which ends the process when it cannot.

    The protocol is named because asyncio sets `TCP_NODELAY` only on sockets that say they are TCP;
    without it every small event waits for the other end's delayed acknowledgement.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound


def _url(scheme: str, bound: socket.socket) -> str:
    host, port = bound.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}/v1/realtime"
