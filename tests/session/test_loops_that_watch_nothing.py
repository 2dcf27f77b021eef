"""Sessions, calls and servers on a loop that watches no file and handles no signal, as on Windows.

The whole suite runs on such a loop with `STAPES_LOOP=no-watching`.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from agents import function_tool
from calling import SECONDS, eventually
from elsewhere import Elsewhere, open_files, say_hello, session_to
from tests.calls.twilio_phone import TwilioPhone
from tests.loops.no_watching import NoWatchingLoop

from stapes import AgentEnd, AgentToolEnd, Audio, RealtimeAgent, RealtimeSession, WebSocketTransport
from stapes.calls import CallServer
from stapes.devserver import Call, ScriptedMind, Turn

if TYPE_CHECKING:
    from collections.abc import Coroutine

ROOT = Path(__file__).parents[2]
TALK = ScriptedMind([Turn(say="Hello.")])
LONG = ScriptedMind([Turn(say="word " * 100)])


def run(main: Coroutine[Any, Any, Any]) -> Any:
    async def in_time() -> Any:
        async with asyncio.timeout(2 * SECONDS):
            return await main

    with asyncio.Runner(loop_factory=NoWatchingLoop) as runner:
        return runner.run(in_time())


def wakers() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "stapes-hub"}


def test_the_loop_is_what_it_says():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        for refused in (loop.add_reader, loop.add_writer, loop.add_signal_handler):
            with pytest.raises(NotImplementedError):
                refused(0, print)  # type: ignore[operator]

    run(main())


def test_a_session_talks_and_leaves_no_thread_behind():
    with Elsewhere(TALK) as there, asyncio.Runner(loop_factory=NoWatchingLoop) as runner:
        before = wakers()
        assert runner.run(say_hello(there.url)) == "Hello."
        (waker,) = wakers() - before
        gc.collect()
        files = open_files()
        assert runner.run(say_hello(there.url)) == "Hello."
        assert wakers() - before == {waker}
        gc.collect()
        # The server is in this process, and may learn later that the line is closed.
        patience = time.monotonic() + SECONDS
        while open_files() > files and time.monotonic() < patience:
            time.sleep(0.05)
        assert open_files() <= files
    waker.join(SECONDS)
    assert not waker.is_alive()


def test_a_session_is_closed_with_its_loop():
    async def leave_open(url: str) -> Any:
        session = session_to(url)
        await session.connect()
        return session

    with Elsewhere(TALK) as there:
        assert run(leave_open(there.url)).status == "disconnected"


def test_all_of_an_answers_sound_comes():
    async def listen(url: str) -> int:
        async with session_to(url) as session:
            heard: list[bytes] = []
            session.on("audio", lambda event: heard.append(event.data))
            reader = session.events(Audio)
            session.send_message("talk")
            await anext(session.events(AgentEnd))
        assert [event.data async for event in reader] == heard
        return sum(map(len, heard))

    with Elsewhere(LONG) as there:
        assert run(listen(there.url)) == asyncio.run(listen(there.url)) > 100_000


def test_many_sessions_on_two_loops_at_once():
    said: list[str] = []

    async def main(url: str) -> None:
        said.extend(await asyncio.gather(*(say_hello(url) for _ in range(10))))

    with Elsewhere(TALK) as there:
        threads = [threading.Thread(target=lambda: run(main(there.url))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert said == ["Hello."] * 20


def test_a_tool_runs_in_its_thread():
    @function_tool
    def weather(city: str) -> str:
        return f"sunny in {city}"

    async def main(url: str) -> str:
        agent: Any = RealtimeAgent(name="front", tools=[weather])
        transport = WebSocketTransport(url=url)
        async with RealtimeSession(agent, api_key="none", transport=transport) as session:
            session.send_message("weather")
            return str((await anext(session.events(AgentToolEnd))).result)

    mind = ScriptedMind([Turn(when="weather", call=Call("weather", {"city": "Oslo"}))])
    with Elsewhere(mind) as there:
        assert run(main(there.url)) == "sunny in Oslo"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_with_a_call_stops_at_signals(number: signal.Signals):
    server = CallServer(port=0)
    ended: list[str] = []

    @server.twilio("/twilio")
    async def answer(call: Any) -> None:
        ended.append((await call.ended()).by)

    async def main() -> None:
        async with server:
            stopping = asyncio.create_task(server.until_stopped(drain=60.0, signals=True))
            async with TwilioPhone(f"ws://127.0.0.1:{server.port}/twilio") as phone:
                await phone.start()
                await eventually(lambda: server.standing)
                os.kill(os.getpid(), number)
                await eventually(lambda: not is_listening(server.port))
                await phone.hang_up()
            await stopping

    before = signal.getsignal(number)
    run(main())
    assert ended == ["caller"]
    assert signal.getsignal(number) == before


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


AGENT = """
from agents.realtime import RealtimeAgent
agent = RealtimeAgent(name="front", instructions="Answer.")
"""
SERVES = """
import asyncio, sys
from tests.loops.no_watching import NoWatchingLoop
asyncio.events.new_event_loop = NoWatchingLoop
from stapes.cli import main
sys.argv[1:] = ["serve", "agent.py", "--port", "0", "--ends-with-input"]
main()
"""


def test_stapes_serve_ends_with_its_input(tmp_path: Path):
    (tmp_path / "agent.py").write_text(AGENT)
    process = subprocess.Popen(
        [sys.executable, "-c", SERVES],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        begun = [process.stdout.readline()]
        assert "front" in begun[0], begun + process.stdout.readlines()
        assert process.poll() is None
        process.stdin.close()
        process.stdout.read()
        assert process.wait(20) == 0
    finally:
        process.kill()
