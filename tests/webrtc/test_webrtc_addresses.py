"""The addresses of this machine: which are offered, and what happens when they change."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from calling import KEY, SECONDS, Seen
from ice_servers import OfferTaker

from stapes import (
    Audio,
    AudioStopped,
    ConnectionChanged,
    HandshakeError,
    RealtimeAgent,
    RealtimeSession,
    WebRTCTransport,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STORY = "One two three four five six seven eight nine ten."

SERVER = """
import asyncio, sys
from stapes.devserver import DevServer, Options, ScriptedMind

async def main():
    mind = ScriptedMind(otherwise=sys.argv[2])
    async with DevServer(mind, None, Options(), host=sys.argv[1]) as server:
        print(server.calls_url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def outward() -> str:
    """The address from which this machine reaches others."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            pytest.skip("this machine has no address but its own")
        return str(probe.getsockname()[0])


async def offered(taker: OfferTaker, **options: Any) -> list[str]:
    """The addresses of an offer."""
    transport = WebRTCTransport(url=taker.url, **options)
    session: Any = RealtimeSession(RealtimeAgent(name="front"), api_key=KEY, transport=transport)
    with pytest.raises(HandshakeError):
        await asyncio.wait_for(session.connect(), SECONDS)
    return [host for host, _ in taker.candidates("host")]


async def test_all_addresses_are_offered_that_others_can_reach(stack):
    here = outward()
    taker = await stack.enter_async_context(OfferTaker(host=here))
    addresses = await offered(taker)
    assert addresses[0] == here
    assert len(addresses) == len(set(addresses)) <= 8
    assert not any(
        ipaddress.ip_address(address).is_loopback or ipaddress.ip_address(address).is_link_local
        for address in addresses
    )
    assert await offered(taker, local_addresses=["127.0.0.2"]) == ["127.0.0.2"]


async def test_a_server_on_this_machine_is_offered_no_other_address(stack):
    taker = await stack.enter_async_context(OfferTaker())
    assert await offered(taker) == ["127.0.0.1"]


class Cable:
    """A network of two machines: this one, and one in a network namespace of its own."""

    def __init__(self) -> None:
        number = os.getpid() % 10_000
        self.namespace, self.near, self.far = f"st{number}", f"st{number}a", f"st{number}b"
        self.net = f"10.{200 + number % 50}.{number % 250}"
        self.other_net = f"10.{150 + number % 50}.{number % 250}"

    def run(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def lay(self) -> None:
        self.run("netns", "add", self.namespace)
        self.run("link", "add", self.near, "type", "veth", "peer", "name", self.far)
        self.run("link", "set", self.far, "netns", self.namespace)
        self.run("addr", "add", f"{self.net}.1/24", "dev", self.near)
        self.run("link", "set", self.near, "up")
        inside = ("netns", "exec", self.namespace, "ip")
        self.run(*inside, "addr", "add", f"{self.net}.2/24", "dev", self.far)
        self.run(*inside, "link", "set", self.far, "up")
        self.run(*inside, "link", "set", "lo", "up")

    def move(self, before: int, after: int) -> None:
        """Give this machine another address."""
        self.run("addr", "del", f"{self.net}.{before}/24", "dev", self.near)
        self.run("addr", "add", f"{self.net}.{after}/24", "dev", self.near)

    def go_another_way(self) -> None:
        """Lead to the far side over another link: the first, and its address here, stay."""
        here, there = f"{self.near}2", f"{self.far}2"
        inside = ("netns", "exec", self.namespace, "ip")
        self.run("link", "add", here, "type", "veth", "peer", "name", there)
        self.run("link", "set", there, "netns", self.namespace)
        self.run("addr", "add", f"{self.other_net}.1/24", "dev", here)
        self.run("link", "set", here, "up")
        self.run(*inside, "addr", "add", f"{self.other_net}.2/24", "dev", there)
        self.run(*inside, "link", "set", there, "up")
        self.run(*inside, "addr", "add", f"{self.net}.2/32", "dev", "lo")
        self.run("route", "add", f"{self.net}.2/32", "via", f"{self.other_net}.2", "dev", here)
        # From there nothing comes back over the first link.
        self.run(*inside, "addr", "del", f"{self.net}.2/24", "dev", self.far)

    def take_away(self) -> None:
        subprocess.run(["ip", "netns", "del", self.namespace], check=False, capture_output=True)
        subprocess.run(["ip", "link", "del", self.near], check=False, capture_output=True)


@pytest.fixture
async def far() -> AsyncIterator[tuple[Cable, str]]:
    """A development server on another machine, and the way to it."""
    pytest.importorskip("aiortc", reason="the far side of these calls is aiortc")
    cable = Cable()
    try:
        cable.lay()
    except (OSError, subprocess.CalledProcessError):
        cable.take_away()
        pytest.skip(
            "changed addresses are tested in network namespaces, which this machine refuses"
        )
    command = ["ip", "netns", "exec", cable.namespace, sys.executable, "-c", SERVER]
    server = await asyncio.create_subprocess_exec(
        *command, f"{cable.net}.2", STORY, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert server.stdout is not None
        url = (await asyncio.wait_for(server.stdout.readline(), 30)).decode().strip()
        yield cable, url
    finally:
        server.terminate()
        await server.wait()
        cable.take_away()


@pytest.mark.parametrize("change", ["address", "route"])
async def test_a_call_goes_on_when_the_way_of_this_machine_to_the_server_changes(
    far, stack, change: str
):
    cable, url = far
    session: RealtimeSession[Any] = RealtimeSession(
        RealtimeAgent(name="front"), transport=WebRTCTransport(url=url), api_key=KEY
    )
    seen = Seen(session)
    await stack.enter_async_context(session)
    session.send_message("Go on.")
    await seen.until(Audio, count=5)
    if change == "address":
        cable.move(1, 3)
    else:
        cable.go_another_way()
    await seen.until(AudioStopped)
    # Over the same call, from the new address.
    session.send_message("And again.")
    await seen.until(AudioStopped, count=2)
    assert [change.status for change in seen.of(ConnectionChanged)] == ["connecting", "connected"]
    assert seen.errors == []
    sound = session.transport.sound
    assert sound is not None
    assert 0.2 < sound.missing < 4.0
