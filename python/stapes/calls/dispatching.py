"""The way of the core's messages to a call, or to a server of calls."""

from __future__ import annotations

import contextvars
import weakref
from typing import Any, Protocol

__all__ = ["MessageDispatcher"]


class Receiver(Protocol):
    """Takes messages of the core."""

    def handle(self, message: Any, /) -> None:
        """Takes one."""


class MessageDispatcher:
    """Gives messages to their receiver; the hub keeps it alive, and not the receiver."""

    __slots__ = ("__weakref__", "_receiver_ref", "audio", "run")

    def __init__(self, receiver: Receiver) -> None:
        self._receiver_ref = weakref.ref(receiver)
        self.run = contextvars.copy_context().run
        # Nobody listens to sound here: sessions do.
        self.audio: tuple[Any, ...] = ()

    def __call__(self, message: Any) -> None:
        """Takes a message; the hub calls this through `run`."""
        if (receiver := self._receiver_ref()) is not None:
            receiver.handle(message)
