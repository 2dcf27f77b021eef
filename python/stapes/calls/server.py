"""`CallServer`: a listener for calls, whose sockets never enter Python."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import stapes.event_loop
from stapes._core import calls as _core
from stapes.calls.admission import check_token
from stapes.calls.call import Call
from stapes.calls.dispatching import MessageDispatcher
from stapes.calls.leaving import caller_has_left
from stapes.calls.listening import listen
from stapes.calls.messages import IncomingCall
from stapes.calls.options import CallOptions, ListenOptions
from stapes.calls.origins import core_origins
from stapes.calls.page_events import PageEvents
from stapes.calls.routes import Route
from stapes.calls.stop_signals import StopSignals, first_of
from stapes.calls.webrtc import WebRTCCallOptions
from stapes.cancellation import ends_more
from stapes.config import whole_number
from stapes.errors import TokenError
from stapes.hub import LoopHub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from stapes.audio import Recording
    from stapes.calls.routes import Answer, File
    from stapes.calls.security import CallTokens

__all__ = ["CallServer"]

logger = logging.getLogger("stapes.calls")

_OPTIONS = CallOptions()
_LIMITS = ListenOptions()
_PAGE_EVENTS = PageEvents()
_WEBRTC = WebRTCCallOptions()


class CallServer:
    """Listens for carriers' media streams, and has an `answer` of yours for each call.

        calls = CallServer(port=8080)

        @calls.twilio("/twilio", tokens=tokens)
        async def answer(call):
            async with RealtimeSession(agent, call=call):
                await call.ended()

        calls.run()

    When `answer` returns, the call is hung up after what is played. When it raises, the caller
    hears `apology`, or is hung up on.

    Args:
        host: the address to listen on: an interface's, or `0.0.0.0` for all. Without a check of who
            calls on every route only a loopback address is allowed.
        port: the port of all WebSocket routes; 0: one that the system chooses.
        public_url: how carriers and browsers reach this server, such as `wss://voice.example.com`:
            needed where carriers sign their requests, and where a proxy is in front of pages.
        certificate: path of a PEM file with the certificate chain; with `key`: TLS is spoken.
        key: path of the PEM file with its private key.
        limits: bounds on connections, requests and messages.
        apology: what a caller hears when `answer` raises.
        max_calls: how many may stand at once; `None`: no bound besides that of connections.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 8080,
        public_url: str | None = None,
        certificate: str | Path | None = None,
        key: str | Path | None = None,
        limits: ListenOptions = _LIMITS,
        apology: Recording | None = None,
        max_calls: int | None = None,
    ) -> None:
        if (certificate is None) != (key is None):
            raise ValueError("certificate and key: TLS needs both, as PEM files")
        try:
            self._is_local = ipaddress.ip_address(host).is_loopback
        except ValueError:
            raise ValueError(
                f"host is {host!r}: give the address of an interface, such as '127.0.0.1' or "
                "'0.0.0.0'"
            ) from None
        self._host = host
        self._asked_port = port
        self._public_url = public_url
        self._tls_files = None if certificate is None or key is None else (certificate, key)
        self._limits = limits
        self._apology = apology
        if max_calls is not None:
            whole_number(max_calls, "max_calls", at_least=1)
        self._max_calls = max_calls
        self._files: list[tuple[str, str, bytes]] = []
        self._routes: list[Route] = []
        self._core: _core.CallServer | None = None
        self._hub: LoopHub | None = None
        self._answering: dict[asyncio.Task[None], Call] = {}
        self._stopped: asyncio.Event | None = None
        self.port = port
        """The port of the WebSocket routes, once it listens."""
        self.ports: dict[str, int] = {}
        """The ports of the stream routes by their carrier, once it listens."""

    # Routes

    def route(
        self,
        carrier: str,
        path: str,
        *,
        auth_token: str | None = None,
        tokens: CallTokens | None = None,
        public: bool = False,
        sound: tuple[str, int | None] | None = None,
        big_endian: bool = False,
        options: CallOptions = _OPTIONS,
    ) -> Callable[[Answer], Answer]:
        """Decorates the `answer` of the calls that a carrier brings to a path.

        Args:
            carrier: its name: `twilio`, `signalwire`, `telnyx`, `plivo`, `vonage`, `asterisk` (the
                WebSocket channel), `jambonz`.
            path: of the WebSocket's URL, such as `/twilio`.
            auth_token: the account's secret, where the carrier signs the upgrade (Twilio, Plivo);
                the server's `public_url` is needed then. Of SignalWire the `auth_bearer_token` that
                `signalwire_connect` was given.
            tokens: made the one-time token that the call has to bring: see `twiml_connect`.
            public: anybody may call without a check, from wherever the server is reached.
            sound: what Telnyx and jambonz are configured to be sent, such as
                `("audio/pcm", 16000)`; the others tell.
            big_endian: PCM is so on the wire of SignalWire, Telnyx or Plivo.
            options: how calls are carried.
        """
        if carrier not in _core.CARRIERS:
            raise ValueError(f"carrier is {carrier!r}: use one of {', '.join(_core.CARRIERS)}")
        if carrier == "browser":
            raise ValueError("carrier is 'browser': use CallServer.browser(path)")
        self._check_path(path)
        upgrades = None
        if auth_token is not None:
            if carrier not in _core.CHECKED_UPGRADES:
                raise ValueError(
                    f"auth_token: {carrier} does not sign the upgrade: use tokens= (CallTokens)"
                )
            if self._public_url is None and carrier != "signalwire":
                raise ValueError(
                    "auth_token: the carrier signs the public URL: give "
                    "CallServer(public_url=...), such as 'wss://voice.example.com'"
                )
            upgrades = (auth_token, self._public_url or "")

        def decorate(answer: Answer) -> Answer:
            route = Route(
                answer,
                carrier,
                path,
                options,
                upgrades=upgrades,
                tokens=tokens,
                wire=(sound, big_endian),
                is_public=public,
            )
            self._add(route)
            return answer

        return decorate

    def twilio(
        self,
        path: str,
        *,
        auth_token: str | None = None,
        tokens: CallTokens | None = None,
        public: bool = False,
        options: CallOptions = _OPTIONS,
    ) -> Callable[[Answer], Answer]:
        """Decorates the `answer` of calls over Twilio Media Streams: see `route`."""
        return self.route(
            "twilio", path, auth_token=auth_token, tokens=tokens, public=public, options=options
        )

    def browser(
        self,
        path: str,
        *,
        tokens: CallTokens | None = None,
        origins: Iterable[str] = (),
        public: bool = False,
        events: PageEvents = _PAGE_EVENTS,
        options: CallOptions = _OPTIONS,
        webrtc: WebRTCCallOptions | None = _WEBRTC,
    ) -> Callable[[Answer], Answer]:
        """Decorates the `answer` of calls from web pages, which use `stapes.js`.

        The server's own pages may call, and pages of `origins`: over WebRTC, whose offers are
        posted to the path (WHIP, RFC 9725), or over a WebSocket.

        Args:
            path: of the URL, such as `/talk`.
            tokens: made the one-time token that the page has to bring, as the parameter
                `stapes_token`.
            origins: of other pages that may call, such as `https://app.example.com`; `*`: all.
            public: anybody may call, from wherever the server is reached. What their calls cost is
                yours to pay: see `max_calls` and `CallOptions`.
            events: what the page is told of the conversation.
            options: how calls are carried.
            webrtc: how pages call over WebRTC; `None`: over a WebSocket alone.

        Raises:
            TypeError, ValueError: names the argument that is wrong.
        """
        self._check_path(path)
        checked = self._origins(origins)

        def decorate(answer: Answer) -> Answer:
            route = Route(
                answer,
                "browser",
                path,
                options,
                tokens=tokens,
                is_public=public,
                origins=checked,
                page_events=events,
                webrtc=webrtc if _core.HAS_WEBRTC else None,
            )
            self._add(route)
            return answer

        return decorate

    def serve_files(self, files: Mapping[str, File]) -> None:
        """Gives browsers files: a page and what belongs to it, such as `stapes.web.page_files()`.

        They may load files from this server only, and may open WebSockets to any host
        (`Content-Security-Policy`).

        Args:
            files: by path, such as `/` or `/main.js`.
        """
        if self._core is not None:
            raise RuntimeError("the server listens already: add files before")
        for path, file in files.items():
            if not path.startswith("/"):
                raise ValueError(f"files: the path {path!r} does not begin with a slash")
            self._files.append((path, file.content_type, file.content))

    def audiosocket(
        self,
        *,
        port: int,
        sample_rate: int = 8000,
        public: bool = False,
        options: CallOptions = _OPTIONS,
    ) -> Callable[[Answer], Answer]:
        """Decorates the `answer` of calls over Asterisk's AudioSocket, on a TCP port of their own.

        AudioSocket knows no secret: keep the port on loopback, or in a private network.

        Args:
            port: of this route alone; 0: one that the system chooses.
            sample_rate: of the PCM that goes both ways: 8,000 where `AudioSocket()` is in the dial
                plan, up to 48,000 with `Dial(AudioSocket/.../c(slin48))`.
            public: anybody may call, from wherever the port is reached.
            options: how calls are carried.
        """

        def decorate(answer: Answer) -> Answer:
            wire = (("audio/pcm", sample_rate), False)
            route = Route(
                answer, "audiosocket", "", options, port=port, wire=wire, is_public=public
            )
            self._add(route)
            return answer

        return decorate

    def _check_path(self, path: str) -> None:
        if not path.startswith("/"):
            raise ValueError(f"path is {path!r}: it begins with a slash, such as '/call'")
        if any(route.path == path for route in self._routes):
            raise ValueError(f"path is {path!r}, which has an answer already")

    def _add(self, route: Route) -> None:
        if self._core is not None:
            raise RuntimeError("the server listens already: add routes before")
        route.options.check_for(route.carrier)
        self._routes.append(route)

    # Serving

    def run(self, *, drain: float = 0.0) -> None:
        """Serves until SIGTERM or Ctrl-C, on an event loop of its own.

        Args:
            drain: seconds that standing calls have then to end by themselves. A second signal ends
                them at once.
        """
        stapes.event_loop.run(self.serve(drain=drain, signals=True))

    async def serve(self, *, drain: float = 0.0, signals: bool = False) -> None:
        """Listens until `stop` is called or the task is cancelled: see `until_stopped`."""
        async with self:
            await self.until_stopped(drain=drain, signals=signals)

    async def until_stopped(self, *, drain: float = 0.0, signals: bool = False) -> None:
        """Waits for `stop`, in `async with server:`, and ends the calls that stand then.

        Args:
            drain: seconds that calls have to end by themselves.
            signals: SIGTERM and SIGINT stop it as well, and a second one ends the standing calls at
                once. Only the main thread gets signals.
        """
        if self._stopped is None:
            raise RuntimeError("the server does not listen: use it in `async with server:`")
        if not signals:
            await self._stopped.wait()
            await self.close(drain=drain)
            return
        with StopSignals() as signalled:
            await first_of(self._stopped.wait(), signalled.stop.wait())
            await first_of(self.close(drain=drain), signalled.at_once.wait())

    async def __aenter__(self) -> CallServer:
        if self._core is not None:
            raise RuntimeError("the server listens already")
        try:
            self._listen()
        except BaseException:
            # A port that can be had listens already where another one cannot.
            await self.close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def _listen(self) -> None:
        if not self._routes:
            raise RuntimeError(
                "the server has no routes: decorate an answer, such as @calls.twilio"
            )
        open_routes = [
            route.path or route.carrier for route in self._routes if not route.is_checked
        ]
        if open_routes and not self._is_local:
            raise ValueError(
                f"host is {self._host}, where strangers can call, and nothing checks who does on "
                f"{', '.join(open_routes)}: give auth_token= or tokens=, listen on 127.0.0.1, or "
                "say public=True"
            )
        self._hub = LoopHub.current()
        self._stopped = asyncio.Event()
        core = self._core = _core.CallServer(self._hub.core, self._max_calls)
        dispatcher = MessageDispatcher(self)
        core.dispatch_to(self._hub.core, dispatcher, dispatcher)
        tls = None
        if self._tls_files is not None:
            certificate, key = self._tls_files
            tls = (Path(certificate).read_bytes(), Path(key).read_bytes())
        numbers = [
            core.add_route(
                route.path,
                route.carrier,
                route.options,
                route.wire,
                route.upgrades,
                route.origins,
                route.webrtc,
            )
            for route in self._routes
        ]
        if self._files:
            core.serve_files(self._files, self._origins(()))
        if any(route.port is None for route in self._routes):
            self.port = listen(core, self._host, self._asked_port, self._limits, tls=tls)
            scheme = "ws" if tls is None else "wss"
            paths = ", ".join(route.path for route in self._routes if route.port is None)
            logger.info(
                "calls are answered on %s://%s:%d: %s", scheme, self._host, self.port, paths
            )
        for number, route in zip(numbers, self._routes, strict=True):
            if route.port is not None:
                self.ports[route.carrier] = listen(
                    core, self._host, route.port, self._limits, stream_route=number
                )
                logger.info("calls are answered on %s:%d", self._host, self.ports[route.carrier])

    def _origins(self, allowed: Iterable[str]) -> _core.Origins:
        return core_origins(allowed, self._public_url, is_local=self._is_local)

    def stop(self) -> None:
        """Stops the server.

        `serve` and `until_stopped` take no more calls, give standing calls their `drain` seconds (0
        by default), hang up those that are left, and return.
        """
        if self._stopped is not None:
            self._stopped.set()

    async def close(self, *, drain: float = 0.0) -> None:
        """Takes no more calls, and ends those that stand.

        Args:
            drain: seconds that calls have to end by themselves.
        """
        if self._core is None:
            return
        self._core.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(drain):
                # One that has just come is told of a little later.
                while self._answering:
                    await asyncio.wait(self._answering)
        self._core.hang_up()
        for task in self._answering:
            task.cancel()
        await asyncio.gather(*self._answering, return_exceptions=True)
        if self._hub is not None:
            self._hub.core.unregister(self._core.id)
        self._core = None

    @property
    def standing(self) -> tuple[Call, ...]:
        """The calls that are being answered."""
        return tuple(self._answering.values())

    def handle(self, message: Any) -> None:
        """Takes a message of the core: answers a call that has come in."""
        if not isinstance(message, IncomingCall):
            return
        core = None if self._core is None else self._core.take(message.token)
        if core is None:
            return
        route = self._routes[message.route]
        call = Call(core, options=route.options, page_events=route.page_events)
        task = asyncio.ensure_future(self._answer(call, route))
        self._answering[task] = call
        task.add_done_callback(self._answered)

    def _answered(self, task: asyncio.Task[None]) -> None:
        self._answering.pop(task, None)

    async def _answer(self, call: Call, route: Route) -> None:
        try:
            if route.tokens is not None:
                check_token(call, route.tokens, route.path)
        except TokenError as error:
            logger.warning("a call was refused: %s", error)
            call.refuse(str(error))
            return
        logger.info("%s call %s begins", call.carrier, call.id)
        try:
            await route.answer(call)
        except BaseException as error:
            if ends_more(error):
                raise
            if not caller_has_left(call, error):
                logger.exception("the answer of call %s failed", call.id)
                call.answer_failed()
                call.clear()
                if self._apology is not None:
                    call.play(self._apology)
        finally:
            call.hang_up(after_playback=True)
        ended = await call.ended()
        logger.info(
            "%s call %s ended after %.1f s, by %s", call.carrier, call.id, ended.duration, ended.by
        )
