"""The event loop whose thread carries its sessions."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Any

import pytest
from calling import SECONDS, Seen, eventually
from elsewhere import SPEECH, Elsewhere, RudeElsewhere, say_hello, session_to, threads_of_loops

import stapes
from stapes import AgentEnd, Audio, Error
from stapes.devserver import ScriptedMind, Turn

TALK = ScriptedMind([Turn(say="Hello.")])
LONG = ScriptedMind([Turn(say="word " * 100)])


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="counts what /proc shows")
def test_a_session_talks_and_no_thread_is_started_for_it(interpreter):
    script = """
        import threading
        async def talk():
            async with new_session() as session:
                session.send_message("hi")
                async for event in session.events(AgentEnd):
                    return event.output, os.listdir("/proc/self/task")
        said, tasks = run(talk())
        print(said, len(tasks))
    """
    with Elsewhere(TALK) as there:
        done = interpreter.run(script, there.url)
    assert done.err == ""
    assert done.out.split() == ["Hello.", "1"]


def test_all_of_an_answers_sound_comes_in_order():
    async def listen(url: str) -> tuple[list[bytes], Any]:
        async with asyncio.timeout(SECONDS), session_to(url) as session:
            heard: list[bytes] = []
            session.on("audio", lambda event: heard.append(event.data))
            reader = session.events(Audio)
            ends = Seen(session, "agent_end")
            session.send_message("talk")
            await ends.until(AgentEnd)
        assert [event.data async for event in reader] == heard
        return heard, session

    with Elsewhere(LONG) as there:
        heard, _ = stapes.run(listen(there.url))
        assert sum(map(len, heard)) > 100_000
        assert heard == asyncio.run(listen(there.url))[0]


def test_many_sessions_at_once():
    async def main(url: str) -> list[str]:
        return await asyncio.gather(*(say_hello(url) for _ in range(50)))

    with Elsewhere(TALK) as there:
        assert stapes.run(main(there.url)) == ["Hello."] * 50


def test_sockets_of_others_are_served_beside_sessions():
    """More than is read at once: what the loop has left unread is looked for again."""
    sent = os.urandom(3_000_000)

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def main(url: str) -> str:
        server = await asyncio.start_server(echo, "127.0.0.1")
        async with server, asyncio.timeout(4 * SECONDS), asyncio.TaskGroup() as tasks:
            said = tasks.create_task(say_hello(url))
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(sent)
            got = await reader.readexactly(len(sent))
            writer.close()
            await writer.wait_closed()
        assert got == sent
        return await said

    with Elsewhere(TALK) as there:
        assert stapes.run(main(there.url)) == "Hello."


def test_what_is_due_comes_neither_early_nor_out_of_order():
    async def main() -> tuple[list[int], float]:
        loop = asyncio.get_running_loop()
        begun, order = loop.time(), []
        for due in (30, 10, 20, 0):
            loop.call_later(due / 1000, order.append, due)
        await asyncio.sleep(0.05)
        return order, loop.time() - begun

    order, lasted = stapes.run(main())
    assert order == [0, 10, 20, 30]
    assert lasted >= 0.05


def test_other_threads_wake_it():
    async def main() -> None:
        loop = asyncio.get_running_loop()
        woken = asyncio.Event()
        threading.Timer(0.02, loop.call_soon_threadsafe, [woken.set]).start()
        async with asyncio.timeout(SECONDS):
            await woken.wait()
            assert await asyncio.to_thread(lambda: 7) == 7

    stapes.run(main())


def test_sound_is_taken_from_any_thread():
    async def main(there: Elsewhere) -> None:
        async with session_to(there.url) as session:
            await asyncio.to_thread(session.send_audio, bytes(4800))
            call = there.server.calls[0]
            await eventually(lambda: call.received.of("input_audio_buffer.append"))

    with Elsewhere(TALK) as there:
        stapes.run(main(there))


def test_a_callback_that_raises_hurts_neither_loop_nor_session():
    async def main(url: str) -> list[BaseException]:
        async with session_to(url) as session:

            @session.on("audio")
            def heard(event: Audio) -> None:
                raise ValueError("not this")

            seen = Seen(session)
            session.send_message("hi")
            await seen.until(AgentEnd)
            await seen.until(Error)
            return seen.errors

    with Elsewhere(TALK) as there:
        errors = stapes.run(main(there.url))
    assert "not this" in str(errors[0])


def test_a_loop_that_is_busy_does_not_keep_sessions_waiting():
    """There is always something ready, so that the loop never waits."""

    async def main(url: str) -> str:
        loop = asyncio.get_running_loop()

        def again() -> None:
            nonlocal handle
            handle = loop.call_soon(again)

        handle = loop.call_soon(again)
        said = await say_hello(url)
        handle.cancel()
        return said

    with Elsewhere(TALK) as there:
        assert stapes.run(main(there.url)) == "Hello."


def test_what_comes_all_at_once_is_heard_bit_by_bit():
    """A turn does not read more than may wait, however much there is."""

    async def main(there: RudeElsewhere) -> tuple[int, list[Any]]:
        session = session_to(there.url, max_queued_bytes=200_000)
        sound = Seen(session, "audio")
        lost: list[Any] = []
        session.on("lagging", lost.append)
        async with session:
            there.go()
            # Blocks the loop on purpose, until all of it can be read.
            there.said.wait(1.0)
            await sound.until(Audio, count=len(SPEECH) - 1)
        return sum(len(event.data) for event in sound.of(Audio)), lost

    with RudeElsewhere(SPEECH) as there:
        assert stapes.run(main(there)) == (480_000, [])


@pytest.mark.parametrize("handled", [False, True])
def test_a_signal_is_heard_while_nothing_happens(interpreter, handled):
    script = f"""
        import threading, time
        async def wait():
            if {handled}:
                loop = asyncio.get_running_loop()
                loop.add_signal_handler(signal.SIGINT, asyncio.current_task().cancel)
            threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
            await asyncio.Event().wait()
        try:
            run(wait())
        except KeyboardInterrupt:
            print("interrupted")
        except asyncio.CancelledError:
            print("cancelled")
    """
    done = interpreter.run(script)
    assert done.err == ""
    assert done.out == ("cancelled\n" if handled else "interrupted\n")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="counts what /proc shows")
def test_loops_leave_no_thread_and_no_open_file_behind():
    before, after = threads_of_loops(TALK, stapes.run)
    assert after == before


def test_a_session_whose_loop_was_closed_under_it_is_silent():
    async def leave(url: str) -> Any:
        session = session_to(url)
        await session.connect()
        return session

    with Elsewhere(TALK) as there:
        session = stapes.run(leave(there.url))
        session.send_audio(bytes(4800))
        session.interrupt()
        # Its connection went with its loop.
        over = there.server.calls[0].wait_closed(seconds=SECONDS)
        asyncio.run_coroutine_threadsafe(over, there.loop).result(2 * SECONDS)
        del session


def test_a_closed_loop_says_so():
    loop = stapes.EventLoop()
    loop.close()
    with pytest.raises(RuntimeError, match="closed"):
        loop.run_forever()
    with pytest.raises(RuntimeError, match="closed"):
        loop.runtime.turn(0)


def test_a_loop_runs_in_one_thread_at_a_time():
    loop = stapes.EventLoop()
    refused: list[str] = []

    def turn(together: threading.Barrier) -> None:
        together.wait(SECONDS)
        try:
            loop.runtime.turn(0.2)
        except RuntimeError as error:
            refused.append(str(error))

    # On a busy machine one may be done before the other begins.
    for _ in range(20):
        together = threading.Barrier(2)
        threads = [threading.Thread(target=turn, args=(together,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if refused:
            break
    loop.close()
    assert refused == ["another thread runs this event loop"]


def test_a_forked_child_runs_a_loop_of_its_own(interpreter):
    script = """
        async def fork():
            said, loop = await talk(), asyncio.get_running_loop()
            if (child := os.fork()) == 0:
                try:
                    loop.runtime.turn(0)
                except RuntimeError as error:
                    print("refused" if "forked" in str(error) else error)
                print(run(talk()), flush=True)
                os._exit(0)
            os.waitpid(child, 0)
            return said, await talk()

        print(*run(fork()))
    """
    with Elsewhere(TALK) as there:
        done = interpreter.run(script, there.url)
    assert done.out.split() == ["refused", "Hello.", "Hello.", "Hello."]


def test_a_child_process_is_waited_for():
    async def main() -> bytes:
        process = await asyncio.create_subprocess_exec(
            "echo", "hello", stdout=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return out

    assert stapes.run(main()) == b"hello\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
