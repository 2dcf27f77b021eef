"""Users' code on the way to a connection may raise anything: nothing waits for ever."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from calling import KEY, SECONDS
from test_own_transport import OwnTransport

import stapes
from stapes import (
    ConnectionLostError,
    Error,
    RealtimeAgent,
    RealtimeSession,
    RealtimeTranscription,
    ReconnectPolicy,
    SessionRestored,
    StapesError,
)
from stapes.testing import ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.talk import Talks


class Odd(BaseException):
    """What a native extension raises when it panics."""


RAISED = pytest.mark.parametrize("kind", [asyncio.CancelledError, Odd, LookupError])
SYNC = pytest.mark.parametrize("sync", [True, False], ids=["sync", "async"])


def user_code(kind: type[BaseException], result: Any, *, sync: bool, fails_at: int) -> Any:
    """A function that raises at one of its calls, and gives `result` at the others."""
    calls = 0

    def work(*_: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise kind("broken")
        return result

    async def work_later(*_: Any) -> Any:
        return work()

    return work if sync else work_later


def causes(error: BaseException | None) -> list[type]:
    found: list[type] = []
    while error is not None:
        found.append(type(error))
        error = error.__cause__
    return found


async def until(holds: Callable[[], object], talk: Any) -> None:
    """Waits for what no event tells of, while the time of the conversation passes."""
    async with asyncio.timeout(SECONDS):
        while not holds():
            talk.clock.advance(0.1)
            await asyncio.sleep(0.001)


POLICY: dict[str, Any] = {"base_delay": 1, "max_delay": 1, "jitter": 0, "go_on": None}


@SYNC
@RAISED
@pytest.mark.parametrize("what", ["api_key", "should_retry"])
async def test_what_decides_about_a_new_connection_fails_one_attempt(
    talks: Talks, what: str, kind: type[BaseException], sync: bool
) -> None:
    policy, key = dict(POLICY), KEY
    if what == "api_key":
        key = user_code(kind, KEY, sync=sync, fails_at=2)
    else:
        policy["should_retry"] = user_code(kind, True, sync=sync, fails_at=1)
    talk = await talks.begin(api_key=key, reconnect=ReconnectPolicy(**policy))
    talk.server.terminate()
    await until(lambda: talk.seen(SessionRestored), talk)
    assert talk.session.stats().failed_attempts == 1
    (error,) = [event for event in talk.seen(Error) if event.context == "reconnect"]
    assert kind in causes(error.error)
    assert not isinstance(error.error, asyncio.CancelledError)


@SYNC
@RAISED
async def test_a_summary_that_fails_is_left_out(
    talks: Talks, kind: type[BaseException], sync: bool
) -> None:
    summarise = user_code(kind, "x", sync=sync, fails_at=1)
    policy = ReconnectPolicy(**POLICY, max_replayed_items=0, summarise=summarise)
    talk = await talks.begin(reconnect=policy)
    await talk.answers("r", "i", "It is sunny.", ms=100)
    await talk.after(1)
    talk.server.terminate()
    await until(lambda: talk.seen(SessionRestored), talk)
    (error,) = [event for event in talk.seen(Error) if event.context == "summarise"]
    assert kind in causes(error.error)


@pytest.mark.parametrize("retries", [True, False])
async def test_should_retry_may_be_async(talks: Talks, retries: bool) -> None:
    seen: list[BaseException] = []

    async def decide(error: BaseException) -> bool:
        await asyncio.sleep(0)
        seen.append(error)
        return retries

    talk = await talks.begin(reconnect=ReconnectPolicy(**POLICY, should_retry=decide))
    await talk.server.close(4001, "go away")
    await until(lambda: talk.session.status == "disconnected" or talk.seen(SessionRestored), talk)
    assert talk.session.status == ("connected" if retries else "disconnected")
    assert [type(error) for error in seen] == [ConnectionLostError]


@SYNC
@pytest.mark.parametrize("made", [RealtimeSession, RealtimeTranscription])
async def test_connecting_is_not_cancelled_by_a_key_function_that_raises_it(
    made: type[Any], sync: bool
) -> None:
    key = user_code(asyncio.CancelledError, KEY, sync=sync, fails_at=1)
    agent = [RealtimeAgent(name="front")] if made is RealtimeSession else []
    async with ScriptedServer() as server, asyncio.timeout(SECONDS):
        transport = stapes.WebSocketTransport(url=server.url)
        session = made(*agent, api_key=key, transport=transport)
        with pytest.raises(StapesError, match=r"api_key raised asyncio\.CancelledError \(broken\)"):
            await session.connect()
        assert session.status == "disconnected"
        async with session:
            assert session.status == "connected"


async def test_a_transcription_goes_on_when_its_key_function_was_cancelled_once() -> None:
    key = user_code(asyncio.CancelledError, KEY, sync=False, fails_at=2)
    policy = ReconnectPolicy(**POLICY | {"base_delay": 0.01, "max_delay": 0.01})
    transport = stapes.WebSocketTransport(first_event_timeout=0.01)
    async with ScriptedServer() as server, asyncio.timeout(SECONDS):
        session = RealtimeTranscription(api_key=key, reconnect=policy, transport=transport)
        restored = session.events(SessionRestored)
        await session.connect(url=server.url)
        server.terminate()
        await anext(restored)
        await session.close()


@RAISED
async def test_a_transport_whose_connect_raises_fails_the_connect(
    kind: type[BaseException],
) -> None:
    class Broken(OwnTransport):
        async def connect(self, request: Any, line: Any) -> None:
            raise kind("the line is cut")

    agent = RealtimeAgent(name="front")
    session = RealtimeSession(agent, api_key=KEY, transport=Broken("ws://nowhere"))
    async with asyncio.timeout(SECONDS):
        with pytest.raises(StapesError if kind is asyncio.CancelledError else kind) as raised:
            await session.connect()
    assert kind in causes(raised.value)
    assert session.status == "disconnected"


@RAISED
async def test_a_transport_whose_send_raises_ends_the_connection_with_an_error(
    kind: type[BaseException],
) -> None:
    class Mute(OwnTransport):
        def send(self, message: str) -> None:
            if "session.update" not in message:
                raise kind("the line went dead")
            super().send(message)

    agent = RealtimeAgent(name="front")
    async with ScriptedServer() as server, asyncio.timeout(SECONDS):
        session = RealtimeSession(agent, api_key=KEY, transport=Mute(server.url), reconnect=None)
        errors = session.events(Error)
        await session.connect()
        session.send_message("Hello?")
        seen = [event async for event in errors]
        assert session.status == "disconnected"
    (told,) = [event.error for event in seen if event.context == "transport"]
    assert kind in causes(told)


async def test_a_connect_that_is_cancelled_while_its_key_is_awaited_is_cancelled() -> None:
    asked = asyncio.Event()

    async def key() -> str:
        asked.set()
        await asyncio.Event().wait()
        return KEY

    session = RealtimeSession(RealtimeAgent(name="front"), api_key=key)
    connecting = asyncio.create_task(session.connect(url="ws://127.0.0.1:9"))
    async with asyncio.timeout(SECONDS):
        await asked.wait()
        connecting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await connecting
        assert session.status == "disconnected"
