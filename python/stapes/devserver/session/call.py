"""One call of the realtime protocol, whatever carries its frames."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any

from stapes.devserver.mind import MindThatPrepares, mind_for_call
from stapes.devserver.session.config import SessionKind, initial_config
from stapes.devserver.session.context import CallContext, Observer
from stapes.devserver.session.conversation import Conversation
from stapes.devserver.session.dialect import Dialect
from stapes.devserver.session.errors import ProtocolError, session_expired
from stapes.devserver.session.hearing import Hearing
from stapes.devserver.session.ids import Ids
from stapes.devserver.session.input_audio import InputAudio
from stapes.devserver.session.item_events import ItemEvents
from stapes.devserver.session.outbox import Close, Outbox, Outgoing
from stapes.devserver.session.output_audio import OutputAudio
from stapes.devserver.session.responses import Responses
from stapes.devserver.session.shapes import CLIENT_EVENT, PEER_CLIENT_EVENT
from stapes.devserver.session.speech_shapes import TRANSCRIPTION_EVENT, TRANSLATION_EVENT
from stapes.devserver.session.text import sendable
from stapes.devserver.session.translating import Translating

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stapes.devserver.mind import Mind, Voice
    from stapes.devserver.options import Options

logger = logging.getLogger(__name__)

_CALL_IS_OVER = Close(1000, "")

Send = Callable[[Outgoing], Awaitable[None]]
"""Sends one frame, or closes. It raises `ChannelClosedError` once the other end is gone."""


class ChannelClosedError(Exception):
    """The client is gone: nothing can be sent any more."""


class RealtimeCall:
    """One session: takes the client's frames and gives the server's.

    `run` is the whole life of a call. It ends when the client's frames end or when the session has
    lasted as long as the options allow. `observe` is told every server event as it is queued.
    """

    def __init__(
        self,
        mind: Mind,
        voice: Voice,
        options: Options,
        *,
        kind: SessionKind = "realtime",
        model: str | None = None,
        settings: Sequence[dict[str, Any]] = (),
        sound_apart: bool = False,
        dialect: Dialect | None = None,
        observe: Observer | None = None,
    ) -> None:
        """Begin a session.

        Args:
            mind: what hears and answers.
            voice: what it speaks with.
            options: what was set about the server.
            kind: a conversation, or speech that is written down or translated.
            model: the model of the connection, which cannot be changed later.
            settings: validated session settings to begin with, the later over the earlier.
            sound_apart: sound does not travel in the events: it is fed to `input_audio` and taken
                from `output_audio`.
            dialect: what the connection speaks; without it, GA.
            observe: is told every server event as it is queued.

        Raises:
            ProtocolError: the settings contradict the model or each other.
        """
        ids = Ids()
        dialect = dialect or Dialect()
        self._options = options
        self._is_over = False
        self._context = CallContext(
            options=options,
            mind=mind_for_call(mind),
            voice=voice,
            config=initial_config(kind, f"sess_{ids.token}", model, options),
            conversation=Conversation(
                dialect.conversation_id or f"conv_{ids.token}", max_items=options.max_items
            ),
            outbox=Outbox(high_water=options.max_waiting_events),
            ids=ids,
            observe=observe,
            dialect=dialect,
        )
        context = self._context
        self.output_audio = (
            OutputAudio(context.options, context.conversation, context.emit)
            if sound_apart
            else None
        )
        self._context.output_audio = self.output_audio
        for patch in (*([dialect.settings] if dialect.settings else []), *settings):
            self._context.config = self._context.config.updated(patch, voice_is_fixed=False)
        hearing = Hearing(self._context)
        self._responses = Responses(self._context, hearing)
        self.input_audio = InputAudio(self._context, hearing, self._responses)
        self._responses.on_answered = self.input_audio.answered
        self._client_event = CLIENT_EVENT
        items = ItemEvents(self._context, hearing)
        self._handlers: dict[str, Callable[[dict[str, Any]], None]] = {
            "session.update": self._update_session,
            "input_audio_buffer.append": self.input_audio.append,
            "input_audio_buffer.commit": self.input_audio.commit,
            "input_audio_buffer.clear": self.input_audio.clear,
            "conversation.item.create": items.create,
            "conversation.item.retrieve": items.retrieve,
            "conversation.item.truncate": items.truncate,
            "conversation.item.delete": items.delete,
            "response.create": self._responses.create,
            "response.cancel": self._responses.cancel,
        }
        if kind == "transcription":
            self._client_event = TRANSCRIPTION_EVENT
        if kind == "translation":
            self._client_event = TRANSLATION_EVENT
            translating = Translating(self._context)
            self._handlers["session.input_audio_buffer.append"] = translating.append
            self._handlers["session.close"] = translating.close
        if self.output_audio is not None:
            self.output_audio.on_stopped = lambda: self.input_audio.answered(0)
            self._client_event = PEER_CLIENT_EVENT
            self._handlers["output_audio_buffer.clear"] = self.output_audio.clear
        if settings:
            self._prepare_mind()

    @property
    def session(self) -> dict[str, Any]:
        """The effective configuration, wire-shaped."""
        return self._context.config.wire

    @property
    def items(self) -> list[dict[str, Any]]:
        """The items of the conversation as the mind sees them."""
        return [item.to_view() for item in self._context.conversation]

    @property
    def conversation_id(self) -> str:
        """The id of the conversation."""
        return self._context.conversation.id

    def sound_of(self, item_id: str) -> bytes:
        """Return the sound of an item of the conversation, PCM16 at 24,000 Hz; empty if none."""
        item = self._context.conversation.get(item_id)
        return b"".join(bytes(part.pcm) for part in item.parts) if item is not None else b""

    async def run(self, frames: AsyncIterator[str | bytes], send: Send) -> None:
        """Serve the call until the client's frames end, then stop all that it has begun."""
        context = self._context
        context.emit("session.created", session=context.config.wire)
        sender = context.spawn(self._send_all(context.outbox, send))
        try:
            async with asyncio.timeout(self._options.max_session_seconds):
                async for frame in frames:
                    self.handle(frame)
                    await context.room()
        except TimeoutError:
            await self._expire(sender)
        finally:
            for task in context.tasks:
                task.cancel()
            await asyncio.gather(*context.tasks, return_exceptions=True)
            self._is_over = True
            for joined in context.joined:
                joined.put(_CALL_IS_OVER)

    async def join(self, frames: AsyncIterator[str | bytes], send: Send) -> None:
        """Serve one more connection to this call, until its frames end or the call does.

        It gets a `session.created` of its own and every event from then on, and its client may say
        what the call's own may.
        """
        context = self._context
        outbox = Outbox(high_water=self._options.max_waiting_events)
        context.greet(outbox, "session.created", session=context.config.wire)
        context.joined.append(outbox)
        if self._is_over:
            outbox.put(_CALL_IS_OVER)
        sender = asyncio.create_task(self._send_all(outbox, send))
        try:
            async for frame in frames:
                self.handle(frame)
                await context.room()
        finally:
            context.joined.remove(outbox)
            outbox.close()
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)

    def handle(self, frame: str | bytes) -> None:
        """Act on one client frame. What is wrong with it becomes an `error` event."""
        event_id: str | None = None
        try:
            dialect = self._context.dialect
            if isinstance(frame, bytes):
                events = dialect.read_binary(frame)
            else:
                event = _parse(frame)
                given = event.get("event_id")
                event_id = given if isinstance(given, str) else None
                events = dialect.read(event)
            for understood in events:
                self._client_event(understood, "")
                self._handlers[understood["type"]](understood)
        except ProtocolError as error:
            self._context.refuse(error, event_id)
        except Exception:
            logger.exception("a client event could not be handled")
            problem = "The server had an error while processing your request. Sorry about that!"
            self._context.refuse(ProtocolError(problem, type="server_error"), event_id)

    def emit(self, type_: str, **fields: Any) -> None:
        """Queue a server event of the caller's own making, in order with the others."""
        self._context.emit(type_, **fields)

    def send_raw(self, frame: str | bytes) -> None:
        """Queue a frame as it is, in order with the events."""
        self._context.outbox.put(frame)

    def _update_session(self, event: dict[str, Any]) -> None:
        context = self._context
        context.config = context.config.updated(
            event["session"], voice_is_fixed=context.conversation.has_assistant_audio
        )
        self.input_audio.configure()
        self._prepare_mind()
        context.emit("session.updated", session=context.config.wire)

    def _prepare_mind(self) -> None:
        mind, config = self._context.mind, self._context.config
        if isinstance(mind, MindThatPrepares):
            mind.prepare(instructions=config.instructions, tools=config.tools)

    async def _send_all(self, outbox: Outbox, send: Send) -> None:
        try:
            while True:
                frame = await outbox.take()
                try:
                    await send(frame)
                except (ChannelClosedError, asyncio.CancelledError):
                    raise
                except Exception:
                    # The next one may do; without a sender the client would wait for ever.
                    logger.exception("a frame could not be sent")
                if isinstance(frame, Close):
                    return
        except ChannelClosedError:
            return
        finally:
            outbox.close()

    async def _expire(self, sender: asyncio.Task[None]) -> None:
        self._context.refuse(session_expired(self._options.max_session_seconds))
        self._context.outbox.put(Close(1001, "session_expired"))
        await asyncio.wait([sender], timeout=5.0)


def _parse(frame: str) -> dict[str, Any]:
    try:
        event = json.loads(frame)
    except (ValueError, RecursionError) as problem:
        raise ProtocolError(
            f"Invalid event: failed to parse JSON value. {problem}", "invalid_json"
        ) from None
    if not isinstance(event, dict):
        raise ProtocolError("Invalid event: expected a JSON object.", "invalid_event")
    if "\\u" in frame:
        # An escape may stand for half a pair, which neither minds nor voices can do with.
        event = dict(json.loads(sendable(json.dumps(event, ensure_ascii=False))))
    return event
