"""A call over a peer connection: its events on a data channel, its sound in two tracks."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from typing import TYPE_CHECKING, Any

from stapes.devserver.session.call import ChannelClosedError
from stapes.devserver.session.errors import ProtocolError
from stapes.devserver.session.outbox import Close, Outgoing
from stapes.devserver.web.served import ServedCall
from stapes.devserver.webrtc.peer import Peer, PeerGoneError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.requests import HTTPConnection

    from stapes.devserver.mind import Mind, Voice
    from stapes.devserver.options import Options


class PeerCall(ServedCall):
    """A call over WebRTC, known by its `id` (`rtc_...`)."""

    def __init__(
        self,
        connection: HTTPConnection,
        mind: Mind,
        voice: Voice,
        options: Options,
        *,
        model: str | None = None,
        settings: Sequence[dict[str, Any]] = (),
        recording: bool = False,
    ) -> None:
        super().__init__(
            connection,
            mind,
            voice,
            options,
            model=model,
            settings=settings,
            sound_apart=True,
            recording=recording,
        )
        assert self.call.output_audio is not None
        self.id = f"rtc_{secrets.token_hex(16)}"
        self._connect_seconds = options.connect_seconds
        self._peer = Peer(self.call.output_audio, self.call.input_audio.feed)
        self._vanishing: asyncio.Task[None] | None = None

    async def answer(self, offer: str) -> str:
        """Return the answer to the client's offer; `serve` comes next.

        Raises:
            OfferError: it cannot be answered.
        """
        try:
            return await self._peer.answer(offer)
        except BaseException:
            # What an offer that makes no sense has left half made cannot always be closed. No
            # socket is open then.
            with contextlib.suppress(Exception):
                await self._peer.close()
            raise

    async def serve(self) -> None:
        """Serve the call from the answer to its end."""
        try:
            async with asyncio.timeout(self._connect_seconds):
                await self._peer.connected()
            await self._run()
        except (TimeoutError, PeerGoneError):
            self._ended.set()
        finally:
            await self._peer.close()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End the call; a peer connection has no room for the code and the reason."""
        await self._peer.close()

    def abort(self) -> None:
        """Drop the connection without a word, as a network does that fails."""
        self._vanishing = asyncio.create_task(self._peer.vanish())

    def hold_sound(self, held: bool = True) -> None:
        """Send no sound while held, not even silence; what there is waits."""
        self._peer.hold_sound(held)

    def close_channel(self) -> None:
        """Close the data channel, and leave the peer connection as it is."""
        self._peer.close_channel()

    async def _read(self) -> str | bytes | None:
        return await self._peer.receive()

    async def _write(self, frame: Outgoing) -> None:
        try:
            if isinstance(frame, Close):
                await self._peer.drain()
                await self._peer.close()
            else:
                await self._send_whole(frame)
        except PeerGoneError as gone:
            raise ChannelClosedError from gone

    async def _send_whole(self, frame: str | bytes) -> None:
        try:
            await self._peer.send(frame)
        except ValueError as problem:
            too_large = ProtocolError(
                f"An event could not be sent. {problem}.", "event_too_large", type="server_error"
            )
            self.emit("error", error=too_large.wire())
