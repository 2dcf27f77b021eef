from __future__ import annotations

import asyncio

import pytest

from stapes.cli.call.virtual_device import VirtualDevice


async def run_until_said(pcm: list[bytes]) -> list[bytes]:
    """What the microphone gave until the last of it was said."""
    device = VirtualDevice(16_000)
    heard: list[bytes] = []

    def exchange(frame: bytes) -> bytes:
        heard.append(frame)
        return b""

    running = asyncio.create_task(device.run(exchange))
    async with asyncio.timeout(10):
        await asyncio.gather(*(device.say(piece) for piece in pcm))
    running.cancel()
    return heard


async def test_it_says_what_it_is_told_in_frames_of_20_ms() -> None:
    pcm = bytes(range(256)) * 5

    heard = await run_until_said([pcm])

    assert {len(frame) for frame in heard} == {640}
    assert pcm in b"".join(heard)


async def test_pieces_follow_each_other_without_a_gap() -> None:
    heard = await run_until_said([b"\1\0" * 200, b"\2\0" * 200])

    assert b"\1\0" * 200 + b"\2\0" * 200 in b"".join(heard)


async def test_a_failure_of_the_exchange_ends_it() -> None:
    def fail(_frame: bytes) -> bytes:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        await VirtualDevice(16_000).run(fail)
