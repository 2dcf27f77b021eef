"""An event loop that can do what Windows' can: it watches no file, and handles no signal.

With `STAPES_LOOP=no-watching` in the environment the whole suite runs on it, and so do the
processes that tests start: `STAPES_LOOP=no-watching python -m pytest`.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

VARIABLE = "STAPES_LOOP"
NAME = "no-watching"
HERE = Path(__file__).parent


def _for_asyncio_alone(name: str) -> Any:
    """The method of that name, for asyncio's own transports; for others it is not implemented."""
    own = getattr(asyncio.SelectorEventLoop, name)

    def method(self: NoWatchingLoop, *args: Any) -> Any:
        if sys._getframe(1).f_globals["__name__"].startswith("asyncio."):
            return own(self, *args)
        raise NotImplementedError

    return method


class NoWatchingLoop(asyncio.SelectorEventLoop):
    """asyncio's loop, without what its `ProactorEventLoop` lacks on Windows."""

    add_reader = _for_asyncio_alone("add_reader")
    remove_reader = _for_asyncio_alone("remove_reader")
    add_writer = _for_asyncio_alone("add_writer")
    remove_writer = _for_asyncio_alone("remove_writer")

    def add_signal_handler(self, *_: Any) -> NoReturn:
        raise NotImplementedError

    def remove_signal_handler(self, *_: Any) -> NoReturn:
        raise NotImplementedError


def use_where_asked() -> None:
    """Makes it the loop of this process and of those that it starts, if the variable says so."""
    asked = os.environ.get(VARIABLE)
    if asked is None:
        return
    if asked != NAME:
        raise SystemExit(f"{VARIABLE}={asked}: the one that there is is {NAME}")
    asyncio.new_event_loop = asyncio.events.new_event_loop = NoWatchingLoop
    paths = [str(HERE / "everywhere"), str(HERE.parent.parent)]
    before = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join([*paths, *(it for it in before if it not in paths)])
