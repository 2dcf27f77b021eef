from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from network import Network
from page_desk import PageDesk
from page_server import PageServer
from webrtc_page import Page

from stapes import RealtimeAgent
from stapes.calls import CallServer, PageEvents
from stapes.testing import ScriptedServer
from stapes.web import WebFile, page_files

sys.path.append(str(Path(__file__).parents[1] / "devserver"))

from chromium import Browser, Chromium, write_wav

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from contextlib import AsyncExitStack

SILENCE = np.zeros(48_000, "<i2")
BARE = """<!doctype html><title>bare</title><link rel="icon" href="icon.svg">
<script type="module" src="bare.js"></script>"""


@pytest.fixture
def bare_files() -> dict[str, WebFile]:
    """A page with nothing but stapes.js, at `/bare`: what happens is kept."""
    here = Path(__file__).parent
    scripts = {f"/{name}": WebFile.read(here / name) for name in ("bare.js", "tap.js")}
    return {"/bare": WebFile("text/html", BARE.encode()), **scripts}


@pytest.fixture
async def server(stack: AsyncExitStack, bare_files: dict[str, WebFile]) -> PageServer:
    server = await stack.enter_async_context(PageServer())
    server.files |= bare_files
    return server


@pytest.fixture
def serve(stack: AsyncExitStack, bare_files: dict[str, WebFile]) -> Callable[..., Any]:
    """Serve the pages, and have an agent answer them; return its desk and the URL."""

    async def start(agent: Any, model: Any, **options: Any) -> tuple[PageDesk, str]:
        desk = PageDesk(agent, model.url)
        server = CallServer(port=0, max_calls=options.pop("max_calls", None))
        server.browser("/talk", events=PageEvents(tools="all"), **options)(desk)
        server.serve_files({**page_files(), **bare_files})
        await stack.enter_async_context(server)
        return desk, f"http://127.0.0.1:{server.port}/"

    return start


@pytest.fixture(scope="session")
def shared_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Browser]]:
    """A browser for all tests whose microphone hears nothing, and one for those where it beeps."""
    started: dict[bool, Browser] = {}

    def browser(*, beeps: bool) -> Browser:
        if beeps not in started:
            home = tmp_path_factory.mktemp("browser")
            silence = None if beeps else write_wav(home / "heard.wav", bytes(96_000), 48_000)
            started[beeps] = Browser(home / "profile", silence)
        return started[beeps]

    yield browser
    for each in started.values():
        each.end()


@pytest.fixture
def browse(
    tmp_path: Path, stack: AsyncExitStack, shared_browser: Callable[..., Browser]
) -> Callable[..., Awaitable[Chromium]]:
    """Open a page in a browser whose microphone hears what is given, at 48 kHz, or beeps."""

    async def start(url: str, heard: np.ndarray | None = None, *flags: str) -> Chromium:
        microphone, shared = None, None
        if not flags and (heard is None or not heard.any()):
            shared = shared_browser(beeps=heard is None)
        elif heard is not None:
            microphone = write_wav(tmp_path / "heard.wav", heard.tobytes(), 48_000)
        chromium = Chromium(tmp_path / "browser", microphone, *flags, browser=shared)
        browser = await stack.enter_async_context(chromium)
        await browser.open(url)
        if url.endswith("/bare"):
            await browser.until("window.ready")
        return browser

    return start


@pytest.fixture
def call(browse: Any, server: PageServer) -> Callable[..., Any]:
    """Open the bare page and have it call; return the browser and the line."""

    async def start(options: str = "{}", heard: np.ndarray | None = None) -> Any:
        browser = await browse(server.url + "bare", heard)
        await browser.evaluate(f"dial({options})")
        return browser, await server.next_line()

    return start


@pytest.fixture
def page(serve, browse, stack) -> Callable[..., Awaitable[Page]]:
    """Open the bare page, and call if it is not told otherwise."""

    async def start(
        options: str = "",
        heard: np.ndarray | None = SILENCE,
        *,
        udp_passes: bool = True,
        before: str = "",
        calls: bool = True,
        **served: Any,
    ) -> Page:
        model = await stack.enter_async_context(ScriptedServer())
        desk, url = await serve(RealtimeAgent(name="Desk", instructions="Hi."), model, **served)
        network = await stack.enter_async_context(Network(url))
        network.udp_passes = udp_passes
        browser = await browse(network.url + "bare", heard)
        await browser.evaluate(f"{before}; 0")
        if calls:
            await browser.evaluate(f"dial({{ transport: 'auto', {options} }})")
            await browser.until("of('agent').length")
        return Page(browser, model, desk, network)

    return start
