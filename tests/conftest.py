"""What holds for all tests."""

from __future__ import annotations

import os
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from stapes.devserver import DevServer, Mind, Options
from stapes.testing import ScriptedServer
from tests.devserver.chromium import needs_chromium
from tests.loops.no_watching import use_where_asked
from tests.talk import Talks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

use_where_asked()

# A change must not fail for what another run would have found: on CI the examples are always the
# same. Run the suite by yourself, and it looks at new ones each time.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_configure() -> None:
    """Lets tests interrupt processes: a shell has those that it runs beside itself ignore SIGINT.

    What a process ignores, its children ignore as well.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


# Before pytest selects tests by their markers.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Lets what depends on the machine's leisure try again, and marks what needs a browser.

    Sound that is sent in real time suffers where the machine is busy, which is not what is tested.
    """
    for item in items:
        if needs_chromium.mark in item.iter_markers("skipif"):
            item.add_marker(pytest.mark.browser)
        is_timed = any(item.get_closest_marker(name) for name in ("real_time", "far"))
        if is_timed or "webrtc" in item.path.name:
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
def run(stack: AsyncExitStack) -> Callable[..., Awaitable[DevServer]]:
    """Start a development server that ends with the test."""

    async def start(mind: Mind | None = None, voice: Any = None, **options: Any) -> DevServer:
        options.setdefault("pace", None)
        return await stack.enter_async_context(DevServer(mind, voice, Options(**options)))

    return start


@pytest.fixture
async def talks() -> AsyncIterator[Talks]:
    """Begin conversations with a scripted server, which end with the test."""
    async with ScriptedServer() as server:
        made = Talks(server)
        yield made
        await made.end()
