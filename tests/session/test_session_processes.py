"""Sessions and processes: forks, exits, loops that come and go, and what is left behind."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
from typing import Any

import pytest
from calling import SECONDS, Seen, eventually
from elsewhere import Elsewhere, open_files, say_hello, session_to, threads_of_loops
from interpreter import Done

from stapes import AgentEnd, ConnectionChanged, RealtimeSession
from stapes.devserver import ScriptedMind, Turn
from stapes.hub import LoopHub

TALK = ScriptedMind([Turn(say="Hello.")])
LONG = ScriptedMind([Turn(say="word " * 500)])


def test_a_forked_child_has_sessions_of_its_own_and_none_of_its_parents(interpreter):
    script = """
        def child(session, others):
            refused = 0
            for act in (
                lambda: session.send_message("hi"),
                lambda: session.send_audio(bytes(960)),
                lambda: session.interrupt(),
                lambda: session.mute(),
                lambda: session.close(),
                lambda: session.request_response(),
                lambda: session.transport.send_event({"type": "x"}),
                lambda: session.update_history([]),
                lambda: session.muted,
            ):
                try:
                    act()
                except RuntimeError as error:
                    assert "forked" in str(error), error
                    refused += 1
            assert refused == 9, refused
            assert session.status == "disconnected"
            assert "disconnected" in repr(session)
            assert asyncio.run(talk()) == "Hello."
            others.clear()
            del session

        async def main():
            async with new_session() as session:
                session.send_message("hi")
                reader = session.events(AgentEnd)
                await anext(reader)
                others = [session.events()]
                import warnings
                # From Python 3.12 on it warns of forks beside threads: that is what is tested.
                warnings.simplefilter("ignore", DeprecationWarning)
                pid = os.fork()
                if pid == 0:
                    status = 1
                    try:
                        child(session, others)
                        status = 0
                    finally:
                        sys.stderr.flush()
                        os._exit(status)
                _, status = await asyncio.to_thread(os.waitpid, pid, 0)
                assert status == 0, status
                session.send_message("hi again")
                print((await anext(reader)).output)

        asyncio.run(main())
    """
    with Elsewhere(TALK) as there:
        done = interpreter.run(script, there.url)
    assert done == Done(0, "Hello.\n", "")


@pytest.mark.parametrize("end", ["return", "sys.exit(3)", "raise KeyboardInterrupt", "stay"])
def test_the_interpreter_exits_quickly_and_silently_with_live_sessions(interpreter, end):
    script = f"""
        keep = []

        async def main():
            for _ in range(10):
                session = new_session()
                keep.append(session)
                await session.connect()
                session.on("audio", print if False else lambda event: None)
                session.send_message("talk")
            await anext(keep[0].events(Audio))
            print("talking", flush=True)
            {"return" if end == "stay" else end}

        if {end!r} == "stay":
            import warnings
            warnings.simplefilter("ignore", ResourceWarning)  # The loop is left open on purpose.
            asyncio.new_event_loop().run_until_complete(main())
        else:
            try:
                asyncio.run(main())
            except KeyboardInterrupt:
                pass
    """
    with Elsewhere(LONG, pace=2.0) as there:
        done = interpreter.run(script, there.url)
    assert done == Done(3 * 256 if "exit" in end else 0, "talking\n", "")


def test_the_interpreter_exits_quickly_and_silently_where_the_loop_watches_no_files(interpreter):
    script = """
        class Blind(asyncio.SelectorEventLoop):
            def add_reader(self, fd, callback, *args):
                raise NotImplementedError

        keep = []

        async def main():
            session = new_session()
            keep.append(session)
            await session.connect()
            session.send_message("talk")
            await anext(session.events(Audio))
            print("talking", flush=True)

        with asyncio.Runner(loop_factory=Blind) as runner:
            runner.run(main())
    """
    with Elsewhere(LONG, pace=2.0) as there:
        done = interpreter.run(script, there.url)
    assert done == Done(0, "talking\n", "")


def test_threads_of_sync_tools_leave_nothing_behind(interpreter):
    script = """
        from agents import function_tool

        @function_tool
        def weather(city: str) -> str:
            "Say how the weather is."
            return "sunny"

        async def main():
            agent = RealtimeAgent(name="front", tools=[weather])
            transport = WebSocketTransport(url=url)
            async with RealtimeSession(agent, api_key=key, transport=transport) as session:
                session.send_message("weather")
                print((await anext(session.events(AgentToolEnd))).result)

        asyncio.run(main())
    """
    from stapes.devserver import Call

    mind = ScriptedMind([Turn(when="weather", call=Call("weather", {"city": "Oslo"}))])
    with Elsewhere(mind) as there:
        done = interpreter.run(script, there.url)
    assert done == Done(0, "sunny\n", "")


async def test_a_session_that_nobody_holds_closes_its_connection(run):
    server = await run(LONG, pace=2.0)
    session = session_to(server.url)
    await session.connect()
    session.send_message("talk")
    call = await server.next_call()
    await call.sent.wait_for("response.output_audio.delta")
    del session
    gc.collect()
    await call.wait_closed()


def test_sessions_whose_loop_was_closed_under_them_close_when_they_are_collected():
    with Elsewhere(LONG, pace=5.0) as there:
        kept: list[Any] = []

        async def main() -> None:
            session = session_to(there.url)
            kept.append(session)
            await session.connect()
            session.send_message("talk")
            await anext(session.events())

        asyncio.run(main())
        (session,) = kept
        call = there.server.calls[0]
        # It still can be spoken to; what it says goes nowhere.
        session.send_message("still there?")
        session.interrupt()
        session.close()
        kept.clear()
        del session
        gc.collect()
        asyncio.run_coroutine_threadsafe(call.wait_closed(), there.loop).result(SECONDS)


def test_a_command_that_fails_after_its_loop_was_closed_is_silent(caplog):
    sessions = []

    async def main() -> None:
        sessions.append(session_to("ws://127.0.0.1:1"))

    asyncio.run(main())
    sessions[0].send_message("hi")
    gc.collect()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


def test_many_loops_one_after_another():
    with Elsewhere(TALK) as there:
        assert {asyncio.run(say_hello(there.url)) for _ in range(20)} == {"Hello."}


def test_many_loops_in_several_threads():
    said: list[str] = []

    def talk(url: str) -> None:
        for _ in range(5):
            said.append(asyncio.run(say_hello(url)))  # noqa: PERF401

    with Elsewhere(TALK) as there:
        threads = [threading.Thread(target=talk, args=(there.url,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert said == ["Hello."] * 20


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files in /proc")
def test_loops_leave_no_thread_and_no_open_file_behind():
    before, after = threads_of_loops(TALK, asyncio.run)
    assert after <= before


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="counts open files in /proc")
async def test_a_hundred_sessions_leave_no_thread_file_task_or_object_behind():
    def sessions() -> int:
        return sum(isinstance(thing, RealtimeSession) for thing in gc.get_objects())

    with Elsewhere(TALK) as there:
        await say_hello(there.url)
        gc.collect()
        before = sessions()
        files, threads = open_files(), threading.active_count()
        tasks = len(asyncio.all_tasks())
        hub = LoopHub.current()
        registered = len(hub.core)
        for _ in range(10):
            await asyncio.gather(*(say_hello(there.url) for _ in range(10)))

        gc.collect()
        await eventually(lambda: open_files() <= files)
        assert sessions() <= before
        assert threading.active_count() <= threads
        assert len(asyncio.all_tasks()) <= tasks
        assert len(hub.core) <= registered


def test_uvloop_works():
    uvloop = pytest.importorskip("uvloop")
    with Elsewhere(TALK) as there, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(say_hello(there.url)) == "Hello."
        assert runner.run(say_hello(there.url)) == "Hello."


async def test_a_session_runs_users_code_in_the_context_it_was_made_in(run):
    import contextvars

    request: contextvars.ContextVar[str] = contextvars.ContextVar("request", default="none")
    server = await run(TALK)
    seen: dict[str, str] = {}

    async def serve_request(name: str) -> None:
        request.set(name)
        session = session_to(server.url)

        @session.on("agent_end")
        async def ended(event: AgentEnd) -> None:
            seen[name] = request.get()

        async with session:
            ends = Seen(session, "agent_end")
            session.send_message("hi")
            await ends.until(AgentEnd)
            await eventually(lambda: name in seen)

    await asyncio.gather(*(asyncio.create_task(serve_request(f"r{n}")) for n in range(3)))
    assert seen == {"r0": "r0", "r1": "r1", "r2": "r2"}


async def test_a_session_says_connection_changed_in_order(run):
    server = await run(TALK)
    session = session_to(server.url)
    changes = session.events(ConnectionChanged)
    async with session:
        pass
    assert [change.status async for change in changes] == [
        "connecting",
        "connected",
        "disconnected",
    ]
