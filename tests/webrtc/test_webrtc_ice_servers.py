"""Calls find addresses through STUN servers, and ways through TURN servers."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from calling import KEY, SECONDS, Seen
from ice_servers import OfferTaker, StunServer, TurnServer
from lossy import LossyNetwork

from stapes import (
    AudioStopped,
    ConnectError,
    ConnectionChanged,
    HandshakeError,
    IceServer,
    RealtimeAgent,
    RealtimeSession,
    WebRTCTransport,
)
from stapes.devserver import DevServer, ScriptedMind

if TYPE_CHECKING:
    from pathlib import Path

ELSEWHERE = ("203.0.113.7", 40_404)
"""Of a network that is kept for examples (RFC 5737)."""


with_turn = pytest.mark.skipif(
    not TurnServer.is_installed(), reason="relays are tested with coturn: apt-get install coturn"
)


async def offered(
    taker: OfferTaker, *servers: IceServer, patience: float = 1.0, ca_file: Path | None = None
) -> None:
    """Make a session offer a call."""
    transport = WebRTCTransport(
        url=taker.url, ice_servers=servers, ice_server_timeout=patience, ca_file=ca_file
    )
    session: Any = RealtimeSession(RealtimeAgent(name="front"), api_key=KEY, transport=transport)
    with pytest.raises(HandshakeError):
        await asyncio.wait_for(session.connect(), 2 * SECONDS)


async def test_the_offer_names_the_address_that_a_stun_server_sees(stack):
    stun = await stack.enter_async_context(StunServer(ELSEWHERE))
    taker = await stack.enter_async_context(OfferTaker())
    await offered(taker, IceServer(stun.url))
    assert stun.asked
    assert taker.candidates("srflx") == [ELSEWHERE]
    assert [host for host, _ in taker.candidates("host")] == ["127.0.0.1"]


async def test_without_a_stun_server_the_offer_names_interfaces_alone(stack):
    taker = await stack.enter_async_context(OfferTaker())
    await offered(taker)
    assert not taker.candidates("srflx")
    assert [host for host, _ in taker.candidates("host")] == ["127.0.0.1"]


async def test_a_call_with_a_stun_server_stands(call, stack):
    stun = await stack.enter_async_context(StunServer(ELSEWHERE))
    called = await call(
        ScriptedMind(otherwise="Yes."), transport={"ice_servers": [IceServer(stun.url)]}
    )
    called.session.send_message("Are you there?")
    await called.seen.until(AudioStopped)


async def test_a_stun_server_that_is_silent_holds_no_call_up_for_good(stack):
    stun = await stack.enter_async_context(StunServer(ELSEWHERE, silent=True))
    taker = await stack.enter_async_context(OfferTaker())
    await offered(taker, IceServer(stun.url))
    assert stun.asked
    assert not taker.candidates("srflx")
    assert taker.candidates("host")


async def test_a_stun_server_that_is_silent_leaves_time_for_the_call(call, stack):
    stun = await stack.enter_async_context(StunServer(ELSEWHERE, silent=True))
    called = await call(
        ScriptedMind(otherwise="Yes."),
        transport={
            "ice_servers": [IceServer(stun.url)],
            "ice_server_timeout": 3600.0,
            "connect_timeout": 4.0,
        },
    )
    assert stun.asked
    called.session.send_message("Are you there?")
    await called.seen.until(AudioStopped)


async def test_dead_servers_do_not_keep_the_others_from_the_offer(stack, caplog):
    dead = [await stack.enter_async_context(StunServer(ELSEWHERE, silent=True)) for _ in range(3)]
    stun = await stack.enter_async_context(StunServer(ELSEWHERE))
    taker = await stack.enter_async_context(OfferTaker())
    urls = [server.url for server in (*dead, stun)]
    with caplog.at_level("WARNING", logger="stapes"):
        await offered(taker, *(IceServer(url) for url in urls), patience=0.3)
    assert all(server.asked for server in dead)
    assert taker.candidates("srflx") == [ELSEWHERE]
    warned = [record.getMessage() for record in caplog.records]
    named = [url for url in urls if any(url in message for message in warned)]
    assert named == [server.url for server in dead]
    assert all("ice_server_timeout" in message for message in warned)


@pytest.mark.parametrize("url", ["turn:127.0.0.1:{port}?transport=tcp", "turns:localhost:{port}"])
async def test_a_stream_that_says_nothing_does_not_keep_the_others_from_the_offer(
    stack, caplog, url
):
    held = []
    silent = await asyncio.start_server(lambda *ends: held.append(ends), "127.0.0.1", 0)
    stack.callback(silent.close)
    url = url.format(port=silent.sockets[0].getsockname()[1])
    stun = await stack.enter_async_context(StunServer(ELSEWHERE))
    taker = await stack.enter_async_context(OfferTaker())
    with caplog.at_level("WARNING", logger="stapes"):
        await offered(taker, IceServer(url, "any", "any"), IceServer(stun.url), patience=0.3)
    assert held
    assert taker.candidates("srflx") == [ELSEWHERE]
    (warned,) = [record.getMessage() for record in caplog.records]
    assert url in warned
    for _, writer in held:
        writer.close()


async def test_a_server_that_has_no_address_is_refused_by_its_name(stack):
    taker = await stack.enter_async_context(OfferTaker())
    transport = WebRTCTransport(url=taker.url, ice_servers=[IceServer("stun:nobody.invalid:3478")])
    session: Any = RealtimeSession(RealtimeAgent(name="front"), api_key=KEY, transport=transport)
    with pytest.raises(ConnectError, match=r"stun:nobody\.invalid:3478"):
        await asyncio.wait_for(session.connect(), 2 * SECONDS)


WAYS = ("url", "tcp_url", "tls_url")
"""How a TURN server is reached."""


def reached(turn: TurnServer, way: str) -> IceServer:
    return IceServer(getattr(turn, way), turn.username, turn.credential)


@with_turn
@pytest.mark.parametrize("way", WAYS)
async def test_the_offer_names_the_relay_of_a_turn_server(stack, way):
    turn = await stack.enter_async_context(TurnServer())
    taker = await stack.enter_async_context(OfferTaker())
    await offered(taker, reached(turn, way), ca_file=turn.ca_file, patience=5.0)
    (relay,) = taker.candidates("relay")
    assert relay[0] == "127.0.0.1"
    assert relay[1] in turn.ports


@with_turn
async def test_a_turn_server_whose_certificate_nobody_vouches_for_is_done_without(stack, caplog):
    turn = await stack.enter_async_context(TurnServer())
    taker = await stack.enter_async_context(OfferTaker())
    with caplog.at_level("WARNING", logger="stapes"):
        await offered(taker, reached(turn, "tls_url"), patience=5.0)
    assert taker.candidates("host")
    assert not taker.candidates("relay")
    (warned,) = [it.getMessage() for it in caplog.records if turn.tls_url in it.getMessage()]
    assert "certificate" in warned


async def test_a_turn_server_that_is_not_there_is_done_without(stack, caplog):
    taker = await stack.enter_async_context(OfferTaker())
    with caplog.at_level("WARNING", logger="stapes"):
        await offered(taker, IceServer("turn:127.0.0.1:9?transport=tcp", "any", "secret-one"))
    assert taker.candidates("host")
    (warned,) = [it.getMessage() for it in caplog.records]
    assert "turn:127.0.0.1:9?transport=tcp" in warned
    assert "secret-one" not in warned


@with_turn
async def test_a_call_whose_relay_goes_away_is_lost_at_once_and_says_why(stack):
    turn = await stack.enter_async_context(TurnServer())
    server = await stack.enter_async_context(DevServer(ScriptedMind(otherwise="Yes.")))
    network = LossyNetwork(server.calls_url, admits=lambda address: address[1] in turn.ports)
    await stack.enter_async_context(network)
    transport = WebRTCTransport(
        url=network.url,
        ice_servers=[reached(turn, "tcp_url")],
        ice_server_timeout=5.0,
        disconnected_after=60.0,
    )
    session: Any = RealtimeSession(
        RealtimeAgent(name="front"), api_key=KEY, transport=transport, reconnect=None
    )
    async with session:
        seen = Seen(session)
        session.send_message("Are you there?")
        await seen.until(AudioStopped)
        await turn.stop()
        await seen.until(ConnectionChanged)
        (changed,) = seen.of(ConnectionChanged)
        assert changed.status == "disconnected"
        assert turn.tcp_url in changed.reason


@with_turn
@pytest.mark.parametrize("way", WAYS)
async def test_a_call_goes_through_a_relay_where_there_is_no_other_way(stack, way):
    turn = await stack.enter_async_context(TurnServer())
    server = await stack.enter_async_context(DevServer(ScriptedMind(otherwise="Yes.")))
    network = LossyNetwork(server.calls_url, admits=lambda address: address[1] in turn.ports)
    await stack.enter_async_context(network)
    transport = WebRTCTransport(
        url=network.url,
        ice_servers=[reached(turn, way)],
        ice_server_timeout=5.0,
        ca_file=turn.ca_file,
    )
    session: Any = RealtimeSession(RealtimeAgent(name="front"), api_key=KEY, transport=transport)
    async with session:
        seen = Seen(session)
        session.send_message("Are you there?")
        await seen.until(AudioStopped)
    assert network.carried > 20
