"""Who listens to a session: callbacks and readers, and the events that each wants."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, get_args

from stapes._core import EventQueue
from stapes.callback_checks import check_callback
from stapes.config import whole_number
from stapes.events import AnyEvent, Audio, AudioInterrupted, Lagging, TransportEvent
from stapes.session.dispatch.callbacks import CallbackHost, CallbackWorker, is_async
from stapes.session.dispatch.readers import EventReader, Inbox
from stapes.session.failures import ends_more

if TYPE_CHECKING:
    import asyncio

    from stapes.errors import ConsumerTooSlow

__all__ = ["SESSION_EVENTS", "EventKinds", "ListenerHost", "Listeners"]


class EventKinds:
    """The classes of the events that sessions of one kind have.

    Args:
        union: of those classes.
    """

    __slots__ = ("all", "all_but_transport", "by_type")

    def __init__(self, union: Any) -> None:
        self.by_type: dict[str, type[Any]] = {kind.type: kind for kind in get_args(union)}
        self.all = frozenset(self.by_type.values())
        self.all_but_transport = self.all - {TransportEvent}


SESSION_EVENTS = EventKinds(AnyEvent)
"""Those of a `RealtimeSession`."""

Listener = Callable[[Any], Any]
Routes = dict[str, tuple[Listener, ...]]

# Most sessions have none: they share a table.
_NO_FOLLOWERS: Mapping[str, tuple[Listener, ...]] = MappingProxyType({})


class ListenerHost(CallbackHost, Protocol):
    """The session's side of its listeners."""

    def interest_changed(self) -> None:
        """Other types of events are wanted than before."""

    def reader_too_slow(self, error: ConsumerTooSlow) -> None:
        """A reader of all events was too slow, which ends the connection."""


class Listeners:
    """The callbacks and readers of one session; each gets the events that it wants.

    Events from before anybody listens are kept for the first reader, within bounds.

    Args:
        max_events: how many may wait for a reader.
        max_bytes: how many bytes of them.
        loop: the session's.
        kinds: the events that there are.
    """

    __slots__ = (
        "__weakref__",
        "_callbacks",
        "_early",
        "_followers",
        "_host_ref",
        "_inboxes",
        "_kinds",
        "_loop",
        "_max_bytes",
        "_max_events",
        "audio",
        "routes",
    )

    def __init__(
        self,
        max_events: int,
        max_bytes: int,
        loop: asyncio.AbstractEventLoop,
        kinds: EventKinds = SESSION_EVENTS,
    ) -> None:
        self._loop = loop
        self._kinds = kinds
        self._host_ref: Callable[[], ListenerHost | None] = _no_host
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._callbacks: Routes = {}
        self._followers = _NO_FOLLOWERS
        self._inboxes: tuple[Inbox, ...] = ()
        self._early: EventQueue | None = self._early_queue()
        self.routes: Routes = self._new_routes()
        """Who gets the events of a type; a type that nobody wants is not in it."""
        # The hub gives them `Audio` events by itself.
        self.audio = self.routes.get("audio", ())

    def attach(self, host: ListenerHost) -> None:
        """Sets the host, which is not kept alive: a reader may outlive the session."""
        self._host_ref = weakref.ref(host)

    def on(
        self, event: str, callback: Callable[[Any], Any], concurrency: int | None = None
    ) -> None:
        """Calls `callback` with each event of that type; an async one has a worker.

        Raises:
            ValueError: there is no such type, or `concurrency` is below 1.
            TypeError: `callback` cannot be called, or would never run.
        """
        if event != "*" and event not in self._kinds.by_type:
            raise ValueError(
                f"event {event!r} is unknown: use {', '.join(sorted(self._kinds.by_type))}, or *"
            )
        check_callback(callback)
        listener: Listener = callback
        if concurrency is not None:
            whole_number(concurrency, "concurrency", at_least=1)
        if concurrency is not None or is_async(callback):
            listener = self._worker(event, callback, concurrency or 1)
        self._callbacks = {**self._callbacks, event: (*self._callbacks.get(event, ()), listener)}
        self._early = None
        self._reroute()

    def follow(self, followers: Mapping[str, Callable[[Any], None]]) -> None:
        """Calls functions of the package's own, by the type of the event.

        They are not the user's: what happens before the first of those is kept all the same.
        """
        added = {
            event: (*self._followers.get(event, ()), follower)
            for event, follower in followers.items()
        }
        self._followers = {**self._followers, **added}
        self._reroute()

    def off(self, event: str, callback: Callable[[Any], Any]) -> None:
        """Stops calling `callback`."""
        listeners = self._callbacks.get(event, ())
        if (at := _index_of(listeners, callback)) is None:
            return
        listener = listeners[at]
        if isinstance(listener, CallbackWorker):
            listener.stop()
        self._callbacks = {**self._callbacks, event: listeners[:at] + listeners[at + 1 :]}
        if not self._callbacks[event]:
            del self._callbacks[event]
        self._reroute()

    def read(self, kinds: tuple[type[Any], ...], *, over: bool, keeps: object) -> EventReader[Any]:
        """A reader of the events of these classes, or of all but `TransportEvent`.

        A reader of all that is too slow ends the connection. Where that is `over` already, the
        reader ends after what was kept for it. It keeps `keeps` alive.

        Raises:
            TypeError: one of `kinds` is no class of an event, and would never come.
        """
        for kind in kinds:
            if kind not in self._kinds.all:
                raise TypeError(
                    f"{kind!r} is no class of an event of this session: name classes of its "
                    "events, such as stapes.Error"
                )
        wanted = frozenset(kinds) or self._kinds.all_but_transport
        queue = EventQueue(self._max_events, self._max_bytes, told=Lagging in wanted)
        overflown = None if kinds else self._too_slow
        inbox = Inbox(wanted, queue, self._remove, overflown, self._loop)
        early, self._early = self._early, None
        while early is not None and len(early):
            event = early.get()
            if event is not None and type(event) in wanted:
                queue.put(event)
        self._inboxes = (*self._inboxes, inbox)
        self._reroute()
        if over:
            inbox.end()
        return EventReader(inbox, keeps)

    def wants(self, event: str) -> bool:
        """Whether anybody wants events of that type; others are not made."""
        return event in self.routes

    @property
    def types(self) -> set[str]:
        """The types of the events that anybody wants."""
        return set(self.routes)

    def emit(self, event: AnyEvent) -> None:
        """Gives an event to everybody who wants it."""
        for listener in self.routes.get(event.type, ()):
            self._call(listener, event)

    def lagged(self, lagging: Lagging) -> None:
        """Tells the callbacks for that of an async callback that is slow."""
        for listener in self._callbacks.get("lagging", ()):
            self._call(listener, lagging)

    def _call(self, listener: Listener, event: AnyEvent) -> None:
        try:
            result = listener(event)
        except BaseException as error:
            self.failed(event, error, listener)
        else:
            if result is not None:
                self.answered(event, result, listener)

    def answered(self, event: AnyEvent, result: object, listener: Listener) -> None:
        """Gives a worker to a callback that turns out to be async: it returned a coroutine."""
        if not isinstance(result, Coroutine):
            return
        for name in (event.type, "*"):
            listeners = self._callbacks.get(name, ())
            if (at := _index_of(listeners, listener)) is not None:
                worker = self._worker(name, listener, 1)
                before, after = listeners[:at], listeners[at + 1 :]
                self._callbacks = {**self._callbacks, name: (*before, worker, *after)}
                self._reroute()
                break
        else:
            # It has been taken off meanwhile; what it has begun it ends.
            worker = self._worker(event.type, listener, 1)
        worker.first(event, result)

    def failed(self, event: AnyEvent, error: BaseException, _: Listener) -> None:
        """Reports a callback that raised; what is meant for more than the callback goes on."""
        if ends_more(error):
            raise error
        if (host := self._host_ref()) is not None:
            host.callback_failed(event, error)

    def end(self) -> None:
        """Ends the readers after what came before, because the connection is over."""
        for inbox in self._inboxes:
            inbox.end()

    def begin_again(self) -> None:
        """Keeps the events of a new connection, again, until somebody reads."""
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

    def _too_slow(self, error: ConsumerTooSlow) -> None:
        if (host := self._host_ref()) is not None:
            host.reader_too_slow(error)

    def _reroute(self) -> None:
        self.routes = self._new_routes()
        self.audio = self.routes.get("audio", ())
        if (host := self._host_ref()) is not None:
            host.interest_changed()

    def _new_routes(self) -> Routes:
        of_audio = self._callbacks.get("audio", ())
        purges: list[Listener] = [one.purge for one in of_audio if isinstance(one, CallbackWorker)]
        purges += [
            inbox.purge
            for inbox in self._inboxes
            if Audio in inbox.kinds and AudioInterrupted not in inbox.kinds
        ]
        everything = self._callbacks.get("*", ())
        early = () if self._early is None else (self._early.put,)
        if not (everything or early or self._inboxes or purges or self._followers):
            # The same table serves: a session is to cost little memory.
            return self._callbacks
        readers = [(inbox.kinds, inbox.put) for inbox in self._inboxes]
        routes: Routes = {}
        # Types with the same listeners share one tuple.
        same: dict[tuple[Listener, ...], tuple[Listener, ...]] = {}
        for name, kind in self._kinds.by_type.items():
            route: list[Listener] = [put for kinds, put in readers if kind in kinds]
            route += self._followers.get(name, ())
            route += self._callbacks.get(name, ())
            if kind is AudioInterrupted:
                route += purges
            # What is followed is a call, whose sound its caller hears: it is not kept as well.
            if kind is not TransportEvent and not (kind is Audio and self._followers):
                route += early
            if kind is not TransportEvent:
                route += everything
            if route:
                found = tuple(route)
                routes[name] = same.setdefault(found, found)
        return routes

    def _worker(
        self, event: str, callback: Callable[[Any], Any], concurrency: int
    ) -> CallbackWorker:
        return CallbackWorker(
            event, callback, concurrency, self._max_events, self._max_bytes, self._host_ref
        )


def _index_of(listeners: tuple[Listener, ...], callback: Callable[[Any], Any]) -> int | None:
    """Where a callback is among listeners, by itself or with its worker."""
    for at, listener in enumerate(listeners):
        known = listener.callback if isinstance(listener, CallbackWorker) else listener
        if known == callback:
            return at
    return None


def _no_host() -> None:
    """No host is attached yet."""
