"""Finding the agent in a user's file."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

_Agent = TypeVar("_Agent")

if TYPE_CHECKING:
    from types import ModuleType

    from agents.realtime import RealtimeAgent


class AgentFileError(Exception):
    """No agent could be had from a file. The message says why and what to do."""


def load_agent(place: str) -> RealtimeAgent[Any]:
    """Run a file and return its agent.

    Args:
        place: `file.py`, or `file.py:name`. Without a name it is the variable `agent`, or else the
            only agent in the file.

    Raises:
        AgentFileError: there is no such file, it raises, or which agent is meant cannot be told.
    """
    from agents.realtime import RealtimeAgent

    path, name = split_place(place)
    module = _run(path)
    if name is not None:
        return _named(module, name, path, RealtimeAgent)
    agents: dict[str, RealtimeAgent[Any]] = {
        variable: value
        for variable, value in vars(module).items()
        if isinstance(value, RealtimeAgent) and not variable.startswith("_")
    }
    if "agent" in agents:
        return agents["agent"]
    match list(agents):
        case [only]:
            return agents[only]
        case []:
            raise AgentFileError(
                f"{path} has no agent: assign one to a variable, "
                "such as agent = RealtimeAgent(name=..., instructions=...)"
            )
        case several:
            raise AgentFileError(
                f"{path} has several agents ({', '.join(several)}): "
                f"name one, such as {path}:{several[0]}"
            )


def split_place(place: str) -> tuple[Path, str | None]:
    """Split `file.py:name`; a colon of a Windows drive is none."""
    head, colon, tail = place.rpartition(":")
    if colon and tail.isidentifier() and head:
        return Path(head), tail
    return Path(place), None


def _named(module: ModuleType, name: str, path: Path, kind: type[_Agent]) -> _Agent:
    try:
        value = getattr(module, name)
    except AttributeError:
        raise AgentFileError(f"{path} has no variable {name}") from None
    if not isinstance(value, kind):
        raise AgentFileError(f"{name} in {path} is a {type(value).__name__}, not a RealtimeAgent")
    return value


def _run(path: Path) -> ModuleType:
    if not path.is_file():
        raise AgentFileError(
            f"there is no file {path} in {Path.cwd()}"
            if not path.is_absolute()
            else f"there is no file {path}"
        )
    # A name of its own: a file agents.py must not stand in for the package of that name.
    name = f"stapes_agent_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise AgentFileError(f"{path} is not a Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    # The file imports its neighbours as it does when Python runs it, but after what is installed:
    # a file agents.py beside it must not be taken for the package.
    directory = str(path.resolve().parent)
    if directory not in sys.path:
        sys.path.append(directory)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise AgentFileError(f"{path} raises {_where(error, path)}") from error
    return module


def _where(error: Exception, path: Path) -> str:
    """Name an exception and the last line of the file that led to it."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if Path(frame.filename) == path
    ]
    if isinstance(error, SyntaxError) and error.lineno is not None:
        lines.append(error.lineno)
    what = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    return f"{what} (line {lines[-1]})" if lines and lines[-1] is not None else what
