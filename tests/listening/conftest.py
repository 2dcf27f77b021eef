from __future__ import annotations

import importlib.util
import sys
import wave
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from agents.realtime import realtime_handoff

from stapes.devserver.listening import ListeningMind
from stapes.devserver.resampling import resample

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from agents.realtime import RealtimeAgent

EXAMPLES = Path(__file__).parents[2] / "examples" / "front_desk"
Definition = dict[str, Any]


@pytest.fixture(scope="session")
def front_desk() -> ModuleType:
    """The example's module, with its agents `agent` and `billing`."""
    spec = importlib.util.spec_from_file_location("front_desk", EXAMPLES / "agent.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["front_desk"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def definitions() -> Callable[[RealtimeAgent[Any]], list[Definition]]:
    """How an agent's tools and handoffs stand in a session's config."""

    def define(agent: RealtimeAgent[Any]) -> list[Definition]:
        tools = [(tool.name, tool.description, tool.params_json_schema) for tool in agent.tools]
        for other in agent.handoffs:
            way = realtime_handoff(other)
            tools.append((way.tool_name, way.tool_description, way.input_json_schema))
        return [
            {"type": "function", "name": name, "description": said, "parameters": schema}
            for name, said, schema in tools
        ]

    return define


@pytest.fixture(scope="session")
def question() -> Callable[[str], bytes]:
    """The sound of one of the demo's questions, as the protocol carries it."""

    def read(name: str) -> bytes:
        with wave.open(str(EXAMPLES / "questions" / name)) as reader:
            assert (reader.getnchannels(), reader.getsampwidth()) == (1, 2)
            samples = np.frombuffer(reader.readframes(reader.getnframes()), "<i2")
            rate = reader.getframerate()
        sound = resample(samples.astype(np.float32), rate, 24_000)
        return np.clip(np.rint(sound), -32_768, 32_767).astype("<i2").tobytes()

    return read


@pytest.fixture(scope="session")
def mind() -> ListeningMind:
    """One mind with one recogniser for all tests, as one server has."""
    pytest.importorskip("pocketsphinx")
    return ListeningMind()
