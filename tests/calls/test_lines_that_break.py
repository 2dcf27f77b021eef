"""A call outlives its session's connections, and the line to its carrier."""

from __future__ import annotations

import asyncio
import socket
import struct
import uuid
from typing import Any

from tests.calls.test_twilio_calls import AGENT, answered, sound_of, speak, until, url_of
from tests.calls.twilio_phone import FRAME, TwilioPhone

from stapes import RealtimeSession, ReconnectPolicy
from stapes.calls import Call, CallInterrupted, CallResumed, CallServer
from stapes.testing import ScriptedServer

POLICY = ReconnectPolicy(base_delay=0.01, go_on=None)


async def test_a_session_that_connects_again_leaves_the_call_alone():
    restored: list[Any] = []
    async with ScriptedServer() as model:

        async def answer(call: Call) -> None:
            session = RealtimeSession(AGENT, call=call, api_key="test", reconnect=POLICY)
            session.on("session_restored", restored.append)
            await session.connect(url=model.url)
            await call.ended()
            await session.close()

        async with answered(answer) as server, TwilioPhone(url_of(server)) as phone:
            await phone.start()
            before = bytes([7]) * FRAME * 12
            await phone.say(before)
            await until(lambda: sound_of(model.received) == before)
            model.terminate()
            await until(lambda: restored)
            reached = len(model.received)
            after = bytes([9]) * FRAME * 12
            await phone.say(after)
            await until(lambda: sound_of(model.received[reached:]).endswith(after))
            await speak(model, b"\x11" * FRAME)
            await phone.until(lambda: len(phone.heard) == FRAME)
            assert (phone.close_code, phone.clears) == (None, 0)
            await phone.hang_up()


async def test_an_audiosocket_that_comes_back_with_its_id_goes_on_with_its_call():
    calls: list[Call] = []
    broken: list[Any] = []
    resumed: list[Any] = []
    server = CallServer()

    @server.audiosocket(port=0)
    async def answer(call: Call) -> None:
        call.on(CallInterrupted, broken.append)
        call.on(CallResumed, resumed.append)
        calls.append(call)
        await call.ended()

    name = struct.pack(">BH", 1, 16) + uuid.uuid4().bytes
    async with server:
        address = ("127.0.0.1", server.ports["audiosocket"])
        reader, writer = await asyncio.open_connection(*address)
        writer.write(name)
        await reader.readexactly(323)
        assert [call.is_over for call in calls] == [False]
        # A reset: an end without one is a caller who hangs up.
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()
        await until(lambda: broken)
        reader, writer = await asyncio.open_connection(*address)
        writer.write(name)
        await reader.readexactly(323)
        await until(lambda: resumed)
        assert [call.is_over for call in calls] == [False]
        writer.write(struct.pack(">BH", 0, 0))
        await until(lambda: calls[0].is_over)
        writer.close()
