"""Who listens to a session: callbacks and readers, and what they want to hear."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, get_args

from stapes.events import Lagging, SessionEvent, TransportEvent
from stapes.session.readers import EventQueue, EventReader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

__all__ = ["EVENT_TYPES", "Listeners"]

_CLASSES: dict[str, type[Any]] = {kind.type: kind for kind in get_args(SessionEvent)}
EVENT_TYPES = frozenset(_CLASSES)
_ALL_BUT_TRANSPORT = frozenset(_CLASSES.values()) - {TransportEvent}


class Listeners:
    """Gives each event to everybody who wants it.

    Events from before anybody listens are kept for the first reader, bounded.

    Args:
        max_events, max_bytes: what may wait for a reader.
        changed: is called when other events are wanted than before.
        failed: is told of a callback that raised.
        spawn: runs what an async callback returned.
    """

    def __init__(
        self,
        max_events: int,
        max_bytes: int,
        *,
        changed: Callable[[], None],
        failed: Callable[[SessionEvent, Exception], None],
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._changed = changed
        self._failed = failed
        self._spawn = spawn
        self._callbacks: dict[str, list[Callable[[Any], Any]]] = {}
        self._readers: list[EventReader[Any]] = []
        self._early: EventQueue | None = self._early_queue()
        # By the type of the event, worked out when the first such event comes.
        self._routes: dict[str, tuple[Callable[[Any], Any], ...]] = {}

    def on(self, event: str, callback: Callable[[Any], Any]) -> None:
        """Calls `callback` with each event of that type.

        Raises:
            ValueError: there is no such type.
        """
        if event != "*" and event not in EVENT_TYPES:
            raise ValueError(
                f"event {event!r} is unknown: use {', '.join(sorted(EVENT_TYPES))}, or *"
            )
        self._callbacks.setdefault(event, []).append(callback)
        self._early = None
        self._reroute()

    def off(self, event: str, callback: Callable[[Any], Any]) -> None:
        """Calls it no more."""
        found = self._callbacks.get(event, [])
        if callback in found:
            found.remove(callback)
            self._reroute()

    def read(self, kinds: tuple[type[Any], ...]) -> EventReader[Any]:
        """A reader of the events of these classes, or of all but `TransportEvent`."""
        wanted = frozenset(kinds) or _ALL_BUT_TRANSPORT
        queue = EventQueue(self._max_events, self._max_bytes, told=Lagging in wanted)
        reader: EventReader[Any] = EventReader(wanted, queue, self._remove)
        early, self._early = self._early, None
        while early is not None and len(early):
            event = early.get()
            if type(event) in wanted:
                queue.put(event)
        self._readers.append(reader)
        self._reroute()
        return reader

    def wants(self, event: str) -> bool:
        """Whether anybody wants events of that type; what nobody wants is not built."""
        routes = self._routes.get(event)
        return bool(self._route(event) if routes is None else routes)

    @property
    def types(self) -> set[str]:
        """The types of the events that are wanted."""
        return {name for name in EVENT_TYPES if self.wants(name)}

    def emit(self, event: SessionEvent) -> None:
        """Gives an event to everybody who wants it."""
        route = self._routes.get(event.type)
        for listener in self._route(event.type) if route is None else route:
            try:
                result = listener(event)
            except Exception as error:
                self._failed(event, error)
                continue
            # An async callback has not run yet.
            if result is not None and inspect.iscoroutine(result):
                self._spawn(self._await(result, event))

    def end(self) -> None:
        """The connection is over: readers end once they have read what came before."""
        for reader in tuple(self._readers):
            reader.end()

    def begin_again(self) -> None:
        """Events of a new connection are kept until somebody reads, again."""
        if self._early is None and not self._readers and not any(self._callbacks.values()):
            self._early = self._early_queue()
            self._reroute()

    def _early_queue(self) -> EventQueue:
        # Half of what a reader may hold: it must not be full when it begins.
        return EventQueue((self._max_events + 1) // 2, (self._max_bytes + 1) // 2, lossy=True)

    def _remove(self, reader: EventReader[Any]) -> None:
        if reader in self._readers:
            self._readers.remove(reader)
            self._reroute()

    def _reroute(self) -> None:
        self._routes = {}
        self._changed()

    def _route(self, name: str) -> tuple[Callable[[Any], Any], ...]:
        kind = _CLASSES[name]
        route: list[Callable[[Any], Any]] = []
        if self._early is not None and kind is not TransportEvent:
            route.append(self._early.put)
        route += [reader.put for reader in self._readers if kind in reader.kinds]
        route += self._callbacks.get(name, ())
        if kind is not TransportEvent:
            route += self._callbacks.get("*", ())
        self._routes[name] = tuple(route)
        return self._routes[name]

    async def _await(self, result: Awaitable[Any], event: SessionEvent) -> None:
        try:
            await result
        except Exception as error:
            self._failed(event, error)
