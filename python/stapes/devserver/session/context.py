"""What the parts of one call share."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stapes.devserver.session.dialect import Dialect
from stapes.devserver.session.text import sendable

if TYPE_CHECKING:
    from stapes.devserver.mind import Mind, Voice
    from stapes.devserver.options import Options
    from stapes.devserver.session.config import SessionConfig
    from stapes.devserver.session.conversation import Conversation
    from stapes.devserver.session.errors import ProtocolError
    from stapes.devserver.session.ids import Ids
    from stapes.devserver.session.outbox import Outbox
    from stapes.devserver.session.output_audio import OutputAudio

logger = logging.getLogger(__name__)

Observer = Callable[[dict[str, Any]], None]


@dataclass(slots=True)
class CallContext:
    """The state of one call that is not the business of one part alone.

    Events are given out without waiting (`emit`), so that what one part emits between two awaits
    is not torn apart by another part. `output_audio` is there where sound travels apart from the
    events. `joined` are the outboxes of connections that have joined the call: they get every
    event. `dialect` is what the call's own connection speaks; those that joined speak GA.
    """

    options: Options
    mind: Mind
    voice: Voice
    config: SessionConfig
    conversation: Conversation
    outbox: Outbox
    ids: Ids
    observe: Observer | None = None
    output_audio: OutputAudio | None = None
    dialect: Dialect = field(default_factory=Dialect)
    joined: list[Outbox] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def emit(self, type_: str, **fields: Any) -> None:
        """Queue a server event."""
        event = self._event(type_, fields)
        if self.observe is not None:
            self.observe(event)
        for said in self.dialect.write(event):
            self.outbox.put(said if isinstance(said, bytes) else _frame(said))
        if self.joined:
            frame = _frame(event)
            for outbox in self.joined:
                outbox.put(frame)

    def greet(self, outbox: Outbox, type_: str, **fields: Any) -> None:
        """Queue a server event for one connection that has joined."""
        outbox.put(_frame(self._event(type_, fields)))

    async def room(self) -> None:
        """Wait while a slow client leaves too much unread, on whichever connection."""
        for outbox in (self.outbox, *self.joined):
            await outbox.room()

    def refuse(self, error: ProtocolError, event_id: str | None = None) -> None:
        """Queue an `error` event."""
        self.emit("error", error=error.wire(event_id))

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something beside the reading of client events, until the call ends."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _event(self, type_: str, fields: dict[str, Any]) -> dict[str, Any]:
        return {"type": type_, "event_id": self.ids.new("event"), **fields}

    def _finished(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            logger.error("a part of a call failed", exc_info=problem)


def _frame(event: dict[str, Any]) -> str:
    return sendable(json.dumps(event, ensure_ascii=False, separators=(",", ":")))
