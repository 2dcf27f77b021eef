"""`stapes serve` as a process of its own."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import tomllib
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from stapes.cli.serve.options import ServeOptions
from stapes.cli.serve.serving import serve_agent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from stapes import RealtimeAgent

__all__ = ["BASE_ONLY", "Served", "ServedHere", "Server", "extras"]

ROOT = Path(__file__).parents[2]
DEFAULTS: dict[str, Any] = {
    "host": "127.0.0.1",
    "port": 0,
    "page": True,
    "public": False,
    "public_url": None,
    "origins": (),
    "transport": "auto",
    "public_addresses": (),
    "phones": (),
    "audiosocket": None,
    "url": None,
    "model": None,
    "dev": True,
    "speaks_first": "agent",
    "approve": "none",
    "max_calls": 10,
    "max_call": 600.0,
    "drain": 0.0,
    "certificate": None,
    "key": None,
    "ends_with_input": False,
}

BASE_ONLY = """
import os, sys
from importlib.machinery import PathFinder

class BaseInstall(PathFinder):
    hidden = frozenset(os.environ["HIDDEN_MODULES"].split(","))
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in cls.hidden:
            return None
        return super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(PathFinder)] = BaseInstall
sys.argv[0] = "stapes"
from stapes.cli import main
main()
"""
"""Runs the command line as if what the environment names were not installed."""


def extras() -> list[str]:
    """The modules here that `pip install stapes` without extras would not bring."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    brought = _closure(project["dependencies"])
    return sorted(
        module
        for module, owners in packages_distributions().items()
        if not brought & {canonicalize_name(owner) for owner in owners}
        and module not in ("stapes", "_distutils_hack")
    )


def _closure(requirements: Iterable[str]) -> set[str]:
    brought: set[str] = set()
    waiting = [(Requirement(text), frozenset({""})) for text in requirements]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        wanted, asked_with = waiting.pop()
        marker = wanted.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in asked_with):
            continue
        name, asks = canonicalize_name(wanted.name), frozenset({"", *wanted.extras})
        if (name, asks) in seen:
            continue
        seen.add((name, asks))
        try:
            found = distribution(name)
        except PackageNotFoundError:
            continue
        brought.add(name)
        waiting += [(Requirement(text), asks) for text in found.requires or ()]
    return brought


class Server:
    """A server under way, and the lines that it has written."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.url = ""
        self._changed = asyncio.Event()

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def talk(self) -> str:
        """Where browsers call."""
        return f"{self.url.replace('http', 'ws', 1)}talk"

    @property
    def is_over(self) -> bool:
        raise NotImplementedError

    def say(self, line: str) -> None:
        self.lines.append(line)
        self._changed.set()

    async def ready(self, page: str = "Talk to ") -> None:
        """Wait until it has said what is served, and where its page is."""
        await self.until(lambda: self.is_over or "Ctrl-C" in self.text.partition(page)[2])
        found = re.findall(r"Talk to .*: (https?://\S+/)$", self.text, re.M)
        assert found, self.text
        self.url = found[-1]

    async def until(self, condition: Callable[[], object], *, seconds: float = 20.0) -> None:
        """Wait for what it writes to make a condition true."""
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"it did not come to it; it wrote:\n{self.text}") from None


class ServedHere(Server):
    """One on the loop of the test, with the built-in model."""

    def __init__(self, agent: RealtimeAgent[Any], **options: Any) -> None:
        super().__init__()
        self._agent = agent
        self._options = ServeOptions(**(DEFAULTS | options))
        self._task: asyncio.Task[None] | None = None

    @property
    def is_over(self) -> bool:
        return self._task is None or self._task.done()

    async def __aenter__(self) -> ServedHere:
        self._task = asyncio.create_task(serve_agent(self._agent, self._options, self.say))
        await self.ready()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


class Served(Server):
    """One in a process of its own, by the command line."""

    def __init__(
        self, *arguments: object, code: str | None = None, **environment: str | None
    ) -> None:
        super().__init__()
        start = ["-m", "stapes.cli"] if code is None else ["-c", code]
        self._command = [sys.executable, *start, "serve", *map(str, arguments)]
        without = {"OPENAI_API_KEY", *(key for key, value in environment.items() if value is None)}
        kept = {key: value for key, value in os.environ.items() if key not in without}
        self._environment = kept | {k: v for k, v in environment.items() if v is not None}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    @property
    def is_over(self) -> bool:
        return self.process.returncode is not None

    async def __aenter__(self) -> Served:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            env=self._environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self.is_over:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGINT)
            await self.process.wait()
        assert self._reading is not None
        await self._reading

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def exit_code(self, *, seconds: float = 10.0) -> int:
        """Wait for its end, and for all that it wrote."""
        async with asyncio.timeout(seconds):
            code = await self.process.wait()
            assert self._reading is not None
            await self._reading
        return code

    async def _read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.say(line.decode().rstrip("\n"))
        await self.process.wait()
        self._changed.set()
