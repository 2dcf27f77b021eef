"""`--reload`: a child serves, and is replaced when the agent's file or one beside it changes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from types import FrameType

_POLL_S: Final = 0.5
_STOPPING_S: Final = 3.0
"""How long a child may take to drop its calls before it is killed."""
_MOST_FILES: Final = 2_000
_LEFT_OUT: Final = {"__pycache__", "node_modules", "site-packages"}

Stamp = dict[str, tuple[int, int]]
"""The files that are watched, with the time and size of each."""


class Reloader:
    """Runs a command, and again after each change of the files of a folder.

    Args:
        command: what serves.
        watched: the folder of the agent's file.
        also: files elsewhere.
        say: gets a line for each thing that happens.
    """

    def __init__(
        self,
        command: Sequence[str],
        watched: Path,
        also: Sequence[Path],
        say: Callable[[str], None],
    ) -> None:
        self._command = command
        self._watched = watched
        self._also = also
        self._say = say
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = False

    def run(self) -> None:
        """Run until a signal ends it, and the child with it."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._forward)
        stamp = self._stamp()
        self._start()
        while not self._stopping:
            time.sleep(_POLL_S)
            if self._child is not None and self._child.poll() is not None and not self._stopping:
                self._child = None
                self._say("It has ended: waiting for a change.")
            if (now := self._stamp()) != stamp:
                changed = min(path for path, _ in set(now.items()) ^ set(stamp.items()))
                stamp = now
                self._say(f"{os.path.relpath(changed)} has changed: starting again.")
                self._drop()
                self._start()
        if self._child is not None:
            self._child.wait()

    def _start(self) -> None:
        if not self._stopping:
            # In a group of its own: Ctrl-C comes to this process alone, which passes it on. Its
            # input ends with this process, however that ends.
            self._child = subprocess.Popen(self._command, process_group=0, stdin=subprocess.PIPE)

    def _drop(self) -> None:
        """End the child and its calls."""
        child, self._child = self._child, None
        if child is None:
            return
        # The second signal ends calls at once.
        child.send_signal(signal.SIGTERM)
        child.send_signal(signal.SIGINT)
        try:
            child.wait(_STOPPING_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()

    def _forward(self, number: int, _frame: FrameType | None) -> None:
        self._stopping = True
        if self._child is not None:
            self._child.send_signal(number)

    def _stamp(self) -> Stamp:
        stamp: Stamp = {}
        for path in (*self._also, *_python_files(self._watched)):
            try:
                found = path.stat()
            except OSError:
                continue
            stamp[str(path)] = found.st_mtime_ns, found.st_size
            if len(stamp) == _MOST_FILES:
                break
        return stamp


def _python_files(folder: Path) -> Iterator[Path]:
    """Give the Python files of a folder and of the packages in it."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _LEFT_OUT:
            continue
        if entry.suffix == ".py":
            yield entry
        elif entry.is_dir() and (entry / "__init__.py").exists():
            yield from _python_files(entry)


@contextmanager
def hold_port(host: str) -> Iterator[int]:
    """Give a free port, which all children have, and others do not get while there is no child.

    A socket holds it that is bound and does not listen. Linux gives a bound port to nobody who asks
    for any port, and lets a child listen there, because both sockets have `SO_REUSEADDR` (`man 7
    socket`). Other systems would refuse the child: there the port is only found, not held.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as holding:
        holding.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holding.bind((host, 0))
        port: int = holding.getsockname()[1]
        if sys.platform != "linux":
            holding.close()
        yield port


def child_command(arguments: Sequence[str], port: int) -> list[str]:
    """Return the command that serves without `--reload`, on that port."""
    alone = ["--no-reload", "--ends-with-input", "--port", str(port)]
    return [sys.executable, "-m", "stapes.cli", *arguments, *alone]
