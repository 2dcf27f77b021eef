"""How a call server stops: by `stop()`, by signals, with calls that stand."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from tests.calls.test_twilio_calls import until, url_of
from tests.calls.twilio_phone import TwilioPhone
from websockets.exceptions import ConnectionClosed

from stapes.calls import Call, CallServer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Serving:
    """A server under way: until when, and with which calls."""

    def __init__(self, *, drain: float, signals: bool = True) -> None:
        self.server = CallServer(port=0)
        self.server.twilio("/twilio")(self._answer)
        self.ended: list[str] = []
        self.listens = asyncio.Event()
        self._how = (drain, signals)

    async def _answer(self, call: Call) -> None:
        try:
            ended = await call.ended()
            self.ended.append(ended.by)
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise

    async def run(self) -> None:
        drain, signals = self._how
        async with self.server:
            self.listens.set()
            await self.server.until_stopped(drain=drain, signals=signals)


@asynccontextmanager
async def standing(serving: Serving) -> AsyncIterator[tuple[TwilioPhone, asyncio.Task[None]]]:
    """A call that stands on a server that runs."""
    running = asyncio.create_task(serving.run())
    await serving.listens.wait()
    async with TwilioPhone(url_of(serving.server)) as phone:
        await phone.start()
        await until(lambda: serving.server.standing)
        yield phone, running
        async with asyncio.timeout(10):
            await running


def send(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_after_a_signal_a_call_has_the_time_that_it_needs(number: signal.Signals):
    serving = Serving(drain=60.0)
    async with standing(serving) as (phone, running):
        send(number)
        await until(lambda: not is_listening(serving.server.port))
        assert not running.done()
        assert serving.server.standing
        await phone.hang_up()
    assert serving.ended == ["caller"]


async def test_a_second_signal_ends_calls_at_once():
    serving = Serving(drain=600.0)
    async with standing(serving) as (_, running):
        send(signal.SIGTERM)
        await until(lambda: not is_listening(serving.server.port))
        assert not running.done()
        send(signal.SIGINT)
    assert serving.ended in (["us"], ["cancelled"])


async def test_at_the_deadline_calls_are_ended():
    serving = Serving(drain=0.05)
    async with standing(serving) as (phone, _):
        send(signal.SIGTERM)
        await phone.until(lambda: phone.close_code is not None)
    assert serving.ended in (["us"], ["cancelled"])


async def test_a_stream_that_starts_meanwhile_is_not_answered():
    serving = Serving(drain=60.0)
    async with standing(serving) as (phone, _):
        async with TwilioPhone(url_of(serving.server), call="CA2", stream="MZ2") as late:
            send(signal.SIGTERM)
            await until(lambda: not is_listening(serving.server.port))
            with suppress(ConnectionClosed):
                await late.start()
            await late.until(lambda: late.close_code is not None)
        assert [call.id for call in serving.server.standing] == ["CA1"]
        await phone.hang_up()
    assert serving.ended == ["caller"]


@pytest.mark.parametrize("signals", [True, False])
async def test_stop_waits_for_calls_as_well(signals: bool):
    serving = Serving(drain=60.0, signals=signals)
    async with standing(serving) as (phone, running):
        serving.server.stop()
        await until(lambda: not is_listening(serving.server.port))
        assert not running.done()
        await phone.hang_up()
    assert serving.ended == ["caller"]


async def test_afterwards_signals_are_what_they_were():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    serving = Serving(drain=0.0)
    running = asyncio.create_task(serving.run())
    await serving.listens.wait()
    send(signal.SIGTERM)
    async with asyncio.timeout(10):
        await running
    after = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    assert after == before


def test_in_another_thread_it_runs_without_signals():
    server = CallServer(port=0)
    loop_of: list[asyncio.AbstractEventLoop] = []

    @server.twilio("/twilio")
    async def answer(call: Call) -> None:
        await call.ended()

    async def serve() -> None:
        loop_of.append(asyncio.get_running_loop())
        await server.serve(signals=True)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    while not (server.port and is_listening(server.port)):
        assert thread.is_alive()
    loop_of[0].call_soon_threadsafe(server.stop)
    thread.join(10)
    assert not thread.is_alive()


async def test_a_server_that_does_not_listen_cannot_be_waited_for():
    with pytest.raises(RuntimeError, match="does not listen"):
        await CallServer(port=0).until_stopped()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def test_a_server_that_cannot_have_one_of_its_ports_listens_on_none_and_may_begin_again():
    server = CallServer(port=0)

    @server.twilio("/twilio")
    async def answer(call: Call) -> None:
        await call.ended()

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        server.audiosocket(port=taken)(answer)
        with pytest.raises(OSError, match=f"port {taken}: .*another program has it"):
            async with server:
                pass
        await until(lambda: not is_listening(server.port))
    async with server:
        assert is_listening(server.port)
        assert server.ports == {"audiosocket": taken}


async def test_a_server_that_listens_is_left_as_it_is_by_another_start():
    server = CallServer(port=0)

    @server.twilio("/twilio")
    async def answer(call: Call) -> None:
        await call.ended()

    async with server:
        with pytest.raises(RuntimeError, match="the server listens already"):
            await server.__aenter__()
        assert is_listening(server.port)
