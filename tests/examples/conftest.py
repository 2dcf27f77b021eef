"""Examples are loaded as a user runs them, and reach a development server by the environment."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from stapes.devserver import Mind
    from stapes.testing import DevServer

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
def example() -> Callable[[str], Any]:
    """The module of an example, such as `approval/desk`, loaded anew."""

    def load(name: str) -> Any:
        path = EXAMPLES / f"{name}.py"
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest_asyncio.fixture
async def model(
    run: Callable[..., Awaitable[DevServer]], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Callable[[Mind], Awaitable[DevServer]]]:
    """Start a model with this mind, and have the environment name it as OpenAI's."""

    async def start(mind: Mind) -> DevServer:
        server = await run(mind)
        monkeypatch.setenv("OPENAI_BASE_URL", server.http_url)
        monkeypatch.setenv("OPENAI_API_KEY", "any")
        return server

    yield start
