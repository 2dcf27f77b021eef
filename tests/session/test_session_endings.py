"""How a connection's end is told, and what becomes of what is given without one."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
from calling import KEY, Seen, eventually, silence

from stapes import (
    ConnectionChanged,
    ConnectionLostError,
    Error,
    NotConnectedError,
    RealtimeAgent,
    RealtimeSession,
    StapesError,
    WebSocketTransport,
)
from stapes.testing import ScriptedServer, settle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable


@pytest.fixture
async def server() -> AsyncIterator[ScriptedServer]:
    async with ScriptedServer() as server:
        yield server


@asynccontextmanager
async def held_line(server: ScriptedServer) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A way to the server that opens when the event is set."""
    release = asyncio.Event()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            writer.write(data)
        writer.close()

    async def joined(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(pass_on(reader, far_writer), pass_on(far_reader, writer))

    async with await asyncio.start_server(joined, "127.0.0.1", 0) as line:
        yield f"ws://127.0.0.1:{line.sockets[0].getsockname()[1]}/v1/realtime", release


def session_to(server: ScriptedServer, **options: Any) -> RealtimeSession[Any]:
    transport = WebSocketTransport(url=server.url, **options)
    return RealtimeSession(
        RealtimeAgent(name="front"), api_key=KEY, transport=transport, reconnect=None
    )


@asynccontextmanager
async def while_connecting(
    server: ScriptedServer,
) -> AsyncIterator[tuple[RealtimeSession[Any], Seen, Callable[[], Awaitable[None]]]]:
    """A session that is connecting; what it tells; and what lets it connect."""
    session = session_to(server)
    seen = Seen(session)
    async with held_line(server) as (url, release):
        connecting = asyncio.ensure_future(session.connect(url=url))
        await eventually(lambda: session.status == "connecting")

        async def connect() -> None:
            release.set()
            await connecting
            await settle(session, server)

        yield session, seen, connect
        await session.close()


async def end_of(seen: Seen) -> ConnectionChanged:
    return await seen.until(ConnectionChanged, lambda change: change.status == "disconnected")


@pytest.mark.parametrize(
    ("code", "is_lost", "retryable"),
    [(1000, False, False), (1001, True, True), (1008, True, False), (4429, True, True)],
)
async def test_the_end_of_a_connection_has_its_code_and_says_whether_it_was_lost(
    server, code, is_lost, retryable
):
    session = session_to(server)
    seen = Seen(session)
    await session.connect()
    await server.close(code, "because")
    over = await end_of(seen)
    assert (over.code, over.retryable, over.retry_after) == (code, retryable, None)
    assert over.reason == f"the server closed the connection with code {code}: because"
    if is_lost:
        assert isinstance(over.error, ConnectionLostError)
        assert (str(over.error), over.error.code) == (over.reason, code)
        assert over.error.retryable == retryable
    else:
        assert over.error is None


async def test_a_connection_that_breaks_is_lost_without_a_code(server):
    session = session_to(server)
    seen = Seen(session)
    await session.connect()
    server.terminate()
    over = await end_of(seen)
    assert isinstance(over.error, ConnectionLostError)
    assert (over.code, over.error.code, over.retryable) == (None, None, True)


async def test_a_connection_that_this_side_closes_is_not_lost(server):
    session = session_to(server)
    seen = Seen(session)
    await session.connect()
    await session.close()
    over = await end_of(seen)
    assert (over.reason, over.error, over.retryable) == ("closed by this side", None, False)


async def test_a_message_longer_than_what_may_wait_is_sent_and_the_call_goes_on(server):
    session = session_to(server, max_outgoing_bytes=100_000)
    seen = Seen(session)
    await session.connect()
    picture = "data:image/png;base64," + "A" * 1_000_000
    session.send_audio(silence(20))
    session.add_image(picture, trigger_response=False)
    session.send_audio(silence(20))
    await settle(session, server)
    assert session.status == "connected"
    kinds = [message["type"] for message in server.received]
    assert kinds[-3:] == [
        "input_audio_buffer.append",
        "conversation.item.create",
        "input_audio_buffer.append",
    ]
    assert seen.errors == []
    await session.close()


async def test_a_second_one_is_refused_by_its_name_until_the_first_is_sent():
    async with ScriptedServer() as server:
        session = session_to(server, max_outgoing_bytes=100_000)
        seen = Seen(session)
        await session.connect()
        # More than the kernel's buffers hold.
        picture = "data:image/png;base64," + "A" * 30_000_000
        session.add_image(picture, trigger_response=False)
        with pytest.raises(StapesError, match="longer than max_outgoing_bytes") as refused:
            await session.add_image(picture)
        assert not isinstance(refused.value, NotConnectedError)
        assert session.status == "connected"
        await settle(session, server)
        session.add_image("data:,x", trigger_response=False)
        await settle(session, server)
        assert [m["type"] for m in server.received].count("conversation.item.create") == 2
        assert not [m for m in server.received if m["type"] == "response.create"]
        assert seen.errors == []
        await session.close()


async def test_sound_that_is_given_while_connecting_waits_for_the_connection(server):
    async with while_connecting(server) as (session, seen, connect):
        session.send_audio(silence(20))
        await session.send_audio(silence(30), commit=True)
        await connect()
        kinds = [message["type"] for message in server.received]
        assert kinds[0] == "session.update"
        append, commit = "input_audio_buffer.append", "input_audio_buffer.commit"
        sound = [append, append, commit]
        assert [kind for kind in kinds if kind.startswith("input_audio_buffer")] == sound
        assert seen.errors == []


async def test_of_more_sound_than_may_wait_the_newest_is_kept_and_the_loss_is_told(server):
    async with while_connecting(server) as (session, seen, connect):
        for _ in range(40):
            session.send_audio(silence(1000))
        await connect()
        came = [m for m in server.received if m["type"] == "input_audio_buffer.append"]
        assert len(came) == 16
        (error,) = seen.errors
        assert "the first 24 pieces of the sound" in str(error)


async def test_without_a_connection_sound_is_refused_with_one_event_for_each_time(server):
    session = session_to(server)
    seen = Seen(session)
    for _ in range(2):
        for _ in range(50):
            session.send_audio(silence(20))
        with pytest.raises(NotConnectedError):
            await session.send_audio(silence(20))
        await session.connect()
        await session.close()
    session.send_audio(silence(20))
    await seen.until(Error, count=3)
    await settle(session)
    assert [type(error) for error in seen.errors] == [NotConnectedError] * 3
