"""Calls that begin on a network that loses one datagram in ten, each way: all stand in time."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from calling import KEY
from lossy import LossyNetwork

from stapes import RealtimeAgent, RealtimeSession, WebRTCTransport
from stapes._core import calls as core
from stapes.calls import CallServer

sys.path.append(str(Path(__file__).parents[1] / "devserver"))

from chromium import Chromium, needs_chromium

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

CALLS, AT_ONCE = 20, 5
SECONDS = 10.0
LOSS = 0.10

PAGES = """
window.pages = {};
window.offer = async (number) => {
  const connection = new RTCPeerConnection();
  const channel = connection.createDataChannel("stapes");
  const started = new Promise((done) => {
    channel.onmessage = ({ data }) => done(JSON.parse(data).type);
  });
  channel.onopen = () => channel.send(JSON.stringify({
    type: "start", call_id: `call-${number}-of-a-page`, parameters: { number: String(number) } }));
  connection.addTransceiver("audio");
  await connection.setLocalDescription();
  pages[number] = { connection, started };
  return connection.localDescription.sdp;
};
window.accept = async (number, sdp) => {
  const { connection, started } = pages[number];
  await connection.setRemoteDescription({ type: "answer", sdp });
  return started;
};
true;
"""
"""Pages in one: each has a call of its own."""

pytestmark = pytest.mark.skipif(not core.HAS_WEBRTC, reason="the core was built without WebRTC")


class Desk:
    """Keeps its calls until they end."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    async def __call__(self, call: Any) -> None:
        self.calls.append(call)
        await call.ended()


@pytest.fixture
async def desk() -> Desk:
    return Desk()


@pytest.fixture
async def leg(desk: Desk) -> AsyncIterator[str]:
    """Where pages call."""
    server = CallServer(port=0)
    server.browser("/talk")(desk)
    async with server:
        yield f"http://127.0.0.1:{server.port}/talk"


async def session_stands(stack: AsyncExitStack, url: str, _seed: int) -> None:
    """A session connects: its data channel is open."""
    # A leg says nothing to a session.
    transport = WebRTCTransport(url=url, connect_timeout=3 * SECONDS, first_event_timeout=0)
    session: Any = RealtimeSession(RealtimeAgent(name="x"), transport=transport, api_key=KEY)
    stack.push_async_callback(session.close)
    await session.connect()


class Pages:
    """Web pages that call: each is a connection in one page of a browser."""

    def __init__(self, browser: Chromium) -> None:
        self._browser = browser

    async def __call__(self, _stack: AsyncExitStack, url: str, number: int) -> None:
        """A page connects, and its call starts."""
        offer = await self._browser.evaluate(f"offer({number})")
        posted = await posted_offer(url, offer)
        told = await self._browser.evaluate(f"accept({number}, {json.dumps(posted)})")
        assert told == "started"


async def posted_offer(url: str, offer: str) -> str:
    """The answer to an offer."""
    host, port = url.split("/")[2].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = offer.encode()
    writer.write(b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    answer = await reader.read()
    writer.close()
    return answer.decode().partition("\r\n\r\n")[2]


async def connect_all(stands: Callable[[AsyncExitStack, str, int], Awaitable[None]], url: str):
    """Make all calls, each over a network of its own; return how long they took, and who failed."""
    room = asyncio.Semaphore(AT_ONCE)
    loop = asyncio.get_running_loop()
    lost = 0

    async def one(seed: int) -> tuple[float, int, str]:
        nonlocal lost
        async with room, AsyncExitStack() as stack:
            network = await stack.enter_async_context(LossyNetwork(url, seed=seed, loss=LOSS))
            began = loop.time()
            try:
                async with asyncio.timeout(SECONDS):
                    await stands(stack, network.url, seed)
                problem = ""
            except Exception as error:
                problem = repr(error)
            took = loop.time() - began
            lost += network.lost
            network.spoil(loss=0.0, jitter_s=0.0)
            return took, seed, problem

    took = sorted(await asyncio.gather(*map(one, range(1, CALLS + 1))))
    assert lost > CALLS
    return [each for each in took if each[2]]


async def test_sessions_call_a_leg_of_ours(leg):
    assert await connect_all(session_stands, leg) == []


@pytest.mark.real_time
@needs_chromium
async def test_pages_call_a_leg_of_ours_and_each_is_asked_who_it_is(leg, desk, stack, tmp_path):
    browser = await stack.enter_async_context(Chromium(tmp_path / "browser"))
    await browser.evaluate(PAGES)
    assert await connect_all(Pages(browser), leg) == []
    numbers = sorted(int(call.parameters["number"]) for call in desk.calls)
    assert numbers == list(range(1, CALLS + 1))
