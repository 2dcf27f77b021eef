"""Who listens to a session: callbacks and readers, and what they want to hear."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

from stapes._core import EventQueue
from stapes.events import Lagging, SessionEvent, TransportEvent
from stapes.session.readers import EventReader, Inbox

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from stapes.errors import ConsumerTooSlow
    from stapes.session.session import RealtimeSession

__all__ = ["EVENT_TYPES", "Listeners"]

_CLASSES: dict[str, type[Any]] = {kind.type: kind for kind in get_args(SessionEvent)}
EVENT_TYPES = frozenset(_CLASSES)
_ALL_BUT_TRANSPORT = frozenset(_CLASSES.values()) - {TransportEvent}

Listener = Callable[[Any], Any]
Routes = dict[str, tuple[Listener, ...]]


class Listeners:
    """Gives each event to everybody who wants it.

    Events from before anybody listens are kept for the first reader, bounded.

    Args:
        session: is told when other events are wanted than before, and of callbacks that raise; runs
            what async callbacks return. It is not kept alive: a reader may outlive it.
        max_events, max_bytes: what may wait for a reader.
    """

    __slots__ = (
        "__weakref__",
        "_callbacks",
        "_early",
        "_inboxes",
        "_max_bytes",
        "_max_events",
        "_routes",
        "_session_ref",
        "audio",
    )

    def __init__(self, session: RealtimeSession[Any], max_events: int, max_bytes: int) -> None:
        self._session_ref = weakref.ref(session)
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._callbacks: Routes = {}
        self._inboxes: tuple[Inbox, ...] = ()
        self._early: EventQueue | None = self._early_queue()
        # Who gets events of a type; a type that nobody wants is not in it.
        self._routes: Routes = self._worked_out()
        # The hub gives them `Audio` events by itself.
        self.audio = self._routes.get("audio", ())

    def on(self, event: str, callback: Callable[[Any], Any]) -> None:
        """Calls `callback` with each event of that type.

        Raises:
            ValueError: there is no such type.
        """
        if event != "*" and event not in EVENT_TYPES:
            raise ValueError(
                f"event {event!r} is unknown: use {', '.join(sorted(EVENT_TYPES))}, or *"
            )
        self._callbacks = {**self._callbacks, event: (*self._callbacks.get(event, ()), callback)}
        self._early = None
        self._reroute()

    def off(self, event: str, callback: Callable[[Any], Any]) -> None:
        """Calls it no more."""
        left = list(self._callbacks.get(event, ()))
        if callback not in left:
            return
        left.remove(callback)
        self._callbacks = {**self._callbacks, event: tuple(left)}
        if not left:
            del self._callbacks[event]
        self._reroute()

    def read(self, kinds: tuple[type[Any], ...], *, over: bool) -> EventReader[Any]:
        """A reader of the events of these classes, or of all but `TransportEvent`.

        Who reads all and stops leaves the session to itself: past the bound it is closed. Where the
        connection is `over` nothing more comes.
        """
        wanted = frozenset(kinds) or _ALL_BUT_TRANSPORT
        queue = EventQueue(self._max_events, self._max_bytes, told=Lagging in wanted)
        overflown = None if kinds else self._unread
        inbox = Inbox(wanted, queue, self._remove, overflown)
        early, self._early = self._early, None
        while early is not None and len(early):
            event = early.get()
            if event is not None and type(event) in wanted:
                queue.put(event)
        self._inboxes = (*self._inboxes, inbox)
        self._reroute()
        if over:
            inbox.end()
        return EventReader(inbox)

    def wants(self, event: str) -> bool:
        """Whether anybody wants events of that type; what nobody wants is not built."""
        return event in self._routes

    @property
    def types(self) -> set[str]:
        """The types of the events that are wanted."""
        return set(self._routes)

    def emit(self, event: SessionEvent) -> None:
        """Gives an event to everybody who wants it."""
        for listener in self._routes.get(event.type, ()):
            try:
                result = listener(event)
            except Exception as error:
                self.failed(event, error)
            else:
                if result is not None:
                    self.answered(event, result)

    def answered(self, event: SessionEvent, result: object) -> None:
        """Runs an async callback, which gave a coroutine when it was called."""
        if not inspect.iscoroutine(result):
            return
        if (session := self._session_ref()) is None:
            result.close()
        else:
            session._spawn(self._await(result, event))

    def failed(self, event: SessionEvent, error: Exception) -> None:
        """Tells the session that a callback raised."""
        if (session := self._session_ref()) is not None:
            session._callback_failed(event, error)

    def end(self) -> None:
        """The connection is over: readers end once they have read what came before."""
        for inbox in self._inboxes:
            inbox.end()

    def begin_again(self) -> None:
        """Events of a new connection are kept until somebody reads, again."""
        if self._early is None and not self._inboxes and not self._callbacks:
            self._early = self._early_queue()
            self._reroute()

    def _early_queue(self) -> EventQueue:
        # Half of what a reader may hold: it must not be full when it begins.
        return EventQueue((self._max_events + 1) // 2, (self._max_bytes + 1) // 2, lossy=True)

    def _remove(self, inbox: Inbox) -> None:
        if inbox in self._inboxes:
            self._inboxes = tuple(one for one in self._inboxes if one is not inbox)
            self._reroute()

    def _unread(self, error: ConsumerTooSlow) -> None:
        if (session := self._session_ref()) is not None:
            session._unread(error)

    def _reroute(self) -> None:
        self._routes = self._worked_out()
        self.audio = self._routes.get("audio", ())
        if (session := self._session_ref()) is not None:
            session._update_interest()

    def _worked_out(self) -> Routes:
        everything = list(self._callbacks.get("*", ()))
        if self._early is not None:
            everything.insert(0, self._early.put)
        if not everything and not self._inboxes:
            # A session costs as little memory as can be: it is the same table.
            return self._callbacks
        readers = [(inbox.kinds, inbox.put) for inbox in self._inboxes]
        routes: Routes = {}
        # Types with the same listeners share one tuple.
        same: dict[tuple[Listener, ...], tuple[Listener, ...]] = {}
        for name, kind in _CLASSES.items():
            route: list[Listener] = [put for kinds, put in readers if kind in kinds]
            route += self._callbacks.get(name, ())
            if kind is not TransportEvent:
                route += everything
            if route:
                found = tuple(route)
                routes[name] = same.setdefault(found, found)
        return routes

    async def _await(self, result: Awaitable[Any], event: SessionEvent) -> None:
        try:
            await result
        except Exception as error:
            self.failed(event, error)
