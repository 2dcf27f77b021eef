"""Calls of web pages over WebRTC."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stapes._core import calls as _core
from stapes.calls.admission import check_token
from stapes.calls.call import Call, CallError
from stapes.calls.leaving import caller_has_left
from stapes.calls.messages import CallAnswered, CallStarted
from stapes.calls.options import CallOptions
from stapes.calls.origins import core_origins
from stapes.calls.page_events import PageEvents
from stapes.cancellation import ends_more
from stapes.config import whole_number
from stapes.errors import OfferError, OriginError, TokenError, TooManyOffersError
from stapes.hub import LoopHub

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from types import TracebackType

    from stapes.calls.security import CallTokens
    from stapes.transport import IceServer

__all__ = ["WebRTCCall", "WebRTCCallOptions"]

_OPTIONS = CallOptions()
_PAGE_EVENTS = PageEvents()

_OUTSIDE = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""Addresses for documentation (RFC 5737, RFC 3849): the way there is the way to all else."""

_MAX_FIELDS = 64
"""The parameters of a call that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebRTCCallOptions:
    """How web pages call over WebRTC. Times are in seconds, sizes in bytes.

    Attributes:
        local_addresses: the addresses of this machine that pages are answered from; none: the one
            that the offer came to, or where a proxy on this machine took it, and there are
            `public_addresses`, those that lead out of this machine.
        public_addresses: those under which they are known outside, where a router or a cloud
            translates them one to one: they stand in the answer in place of the local ones.
        private_addresses: an answer may name addresses of private networks and of this machine.
        ice_servers: STUN and TURN servers of this side. A server that pages can reach needs none.
        ice_server_timeout: how long these have to answer, all of them together.
        disconnected_after: silence of the page after which what it hears stands still, with
            `CallInterrupted`.
        disconnected_grace: how long it may be silent besides before its line counts as lost.
        close_timeout: at the end, how long the page has to take the last messages.
        channel_buffer: what the data channel may hold that the page has not acknowledged.
        max_pending: offers that may be answered whose calls have not started: of a path of a
            `CallServer`, or of all `WebRTCCall` of the process. More are refused with 503.
        complexity: effort of the Opus encoder, 0 to 10; `None`: 1, and 5 with `fec`.
        bitrate: of the sound for the page, in bits per second; `None`: 72,000 at most, and with
            `fec` what the encoder chooses.
        min_bitrate: the least of that sound, however much the page's reports say is lost: the
            encoder follows them.
        fec: packets carry a coarse copy of the one before, for when that is lost. It takes effect
            with an `expected_loss` above zero.
        expected_loss: packets that the network loses, in percent.
        dtx: silence is not sent.
        min_delay: the least that the page's sound is held back, so that late packets find their
            place.
        start_delay: the same before anything is known of the network.
        max_delay: the most that it is held back. The delay follows what the network does.
    """

    local_addresses: Sequence[str] = ()
    public_addresses: Sequence[str] = ()
    private_addresses: bool = True
    ice_servers: Sequence[IceServer] = ()
    ice_server_timeout: float = 1.0
    disconnected_after: float = 2.0
    disconnected_grace: float = 10.0
    close_timeout: float = 2.0
    channel_buffer: int = 256 * 1024
    max_pending: int = 100
    complexity: int | None = None
    bitrate: int | None = None
    min_bitrate: int = 16_000
    fec: bool = False
    expected_loss: int = 0
    dtx: bool = False
    min_delay: float = 0.020
    start_delay: float = 0.040
    max_delay: float = 0.200

    def __post_init__(self) -> None:
        """Refuses what makes no sense.

        Raises:
            ValueError: names the option.
        """
        whole_number(self.max_pending, "max_pending", at_least=1)


_WEBRTC = WebRTCCallOptions()


class WebRTCCall(Call):
    """A call of a web page over WebRTC, whose offer any web framework takes.

        @app.post("/talk")
        async def offer(request: Request) -> Response:
            call = WebRTCCall(tokens=tokens, token_path="/talk")
            sdp = (await request.body()).decode()
            try:
                answer = await call.answer(sdp, headers=request.headers)
            except OriginError as error:
                return Response(str(error), 403)
            except OfferError as error:
                return Response(str(error), 422)
            except TooManyOffersError as error:
                return Response(str(error), 503, headers={"Retry-After": "5"})
            task = asyncio.create_task(talk(call))
            talks.add(task)
            task.add_done_callback(ended)
            return Response(answer, 201, media_type="application/sdp")

        async def talk(call: WebRTCCall) -> None:
            async with call, RealtimeSession(agent, call=call):
                await call.ended()

        def ended(task: asyncio.Task[None]) -> None:
            talks.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.error("a call failed", exc_info=error)
    Entering it waits for the start of the call; leaving it hangs up after what is played. Sound and
    messages go between the page and the session in Rust.

    Args:
        tokens: made the one-time token that the page has to bring, as the parameter `stapes_token`.
        token_path: the path that the token was made for.
        origins: of pages that may call besides those of the app's own, such as
            `https://app.example.com`; `*`: all. It needs the headers in `answer`.
        public_url: how browsers reach the app where a proxy has another name for it.
        events: what the page is told of the conversation.
        options: how the call is carried.
        webrtc: addresses, delays and the codec.
    """

    def __init__(
        self,
        *,
        tokens: CallTokens | None = None,
        token_path: str = "/",
        origins: Iterable[str] = (),
        public_url: str | None = None,
        events: PageEvents = _PAGE_EVENTS,
        options: CallOptions = _OPTIONS,
        webrtc: WebRTCCallOptions = _WEBRTC,
    ) -> None:
        self._tokens = tokens
        self._token_path = token_path
        self._origins = core_origins(origins, public_url, is_local=False)
        self._webrtc = webrtc
        loop = asyncio.get_running_loop()
        self._answer: asyncio.Future[str] | None = None
        self._started: asyncio.Future[None] = loop.create_future()
        options.check_for("browser")
        core = _core.Call(LoopHub.current().core, "webrtc", options)
        super().__init__(core, options=options, page_events=events)

    async def answer(
        self,
        offer: str,
        *,
        headers: Mapping[str, str] | None = None,
        local_address: str | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> str:
        """Answers the page's offer, once.

        Args:
            offer: the session description (SDP) of the page's `RTCPeerConnection`, with or without
                candidates.
            headers: of the request that brought it, whatever the case of their names: a page of
                another origin than the app's and `origins` is refused. Without them the origin is
                not looked at.
            local_address: the address of this machine that the page can reach, where the options
                name none; by default the one that leads out of this machine.
            parameters: of the call, where the page's own do not have them: a token of its
                `Authorization` header is `{"stapes_token": token}`.

        Returns:
            The answer, with all candidates: `setRemoteDescription({type: "answer", sdp: answer})`.

        Raises:
            OriginError: the page may not call: answer with 403. This and the others are a
                `CallError`, whose message says why. The call is over then.
            OfferError: the offer cannot be met: answer with 422.
            TooManyOffersError: too many were answered whose calls have not started
                (`max_pending`): answer with 503.
            CallError: this side cannot answer, because of its addresses for instance: with 500.
            ValueError: `local_address` is no IP address. As for all that is raised from here on,
                the call is over.
            RuntimeError: it was answered before.
        """
        if self._answer is not None:
            raise RuntimeError("the call was answered: make a WebRTCCall for each offer")
        if headers is not None:
            told = {name.lower(): value for name, value in headers.items()}
            refusal = self._origins.refusal(told.get("host"), told.get("origin"))
            if refusal is not None:
                self.hang_up()
                raise OriginError(refusal)
        self._answer = asyncio.get_running_loop().create_future()
        try:
            self.core.set_query(list((parameters or {}).items())[:_MAX_FIELDS])
            self.core.answer(offer, local_address or outward_address(), self._webrtc)
            return await self._answer
        except BaseException:
            self.hang_up()
            raise

    async def __aenter__(self) -> WebRTCCall:
        if self._answer is None:
            raise RuntimeError("the call has no line: answer() its offer first")
        started = asyncio.ensure_future(asyncio.shield(self._started))
        ended = asyncio.ensure_future(self.ended())
        try:
            await asyncio.wait((started, ended), return_when=asyncio.FIRST_COMPLETED)
            if not self._started.done():
                raise CallError(f"the call ended before it started: {ended.result().reason}")
            if self._tokens is not None:
                check_token(self, self._tokens, self._token_path)
        except TokenError as error:
            self.refuse(str(error))
            raise
        except BaseException:
            self.hang_up()
            raise
        finally:
            started.cancel()
            ended.cancel()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if left := caller_has_left(self, error):
            error = None
        if error is not None and not ends_more(error):
            self.answer_failed()
        self.hang_up(after_playback=error is None)
        await self.ended()
        return left

    def handle(self, message: Any) -> None:
        """Takes a message of the core."""
        match message:
            case CallStarted():
                if not self._started.done():
                    self._started.set_result(None)
            case CallAnswered() as answered:
                if self._answer is None or self._answer.done():
                    return
                if answered.description is None:
                    self._answer.set_exception(_refusal(answered))
                else:
                    self._answer.set_result(answered.description)
            case _:
                super().handle(message)


def _refusal(answered: CallAnswered) -> CallError:
    problem = str(answered.problem)
    if answered.is_offer_invalid:
        return OfferError(problem)
    return TooManyOffersError(problem) if answered.is_busy else CallError(problem)


def outward_address() -> str:
    """The address of this machine from which others are reached; nothing is sent to find it."""
    for family, outside in _OUTSIDE.items():
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as probe:
                probe.connect((outside, 9))
                return str(probe.getsockname()[0])
        except OSError:
            continue
    return "127.0.0.1"
