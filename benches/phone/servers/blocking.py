"""Handlers that block, as no handler should: BLOCK=loop or gil."""

from __future__ import annotations

import asyncio
import ctypes
import os
import time

EVERY_S = 5.0

_blocking: list[asyncio.Task[None]] = []


def _block(what: str) -> None:
    if what == "loop":
        time.sleep(2)
    else:
        # Through PyDLL the GIL is held.
        ctypes.PyDLL(None).usleep(500_000)


async def _block_now_and_then(what: str) -> None:
    while True:
        await asyncio.sleep(EVERY_S)
        _block(what)


def block_if_asked() -> None:
    """Blocks the thread of all handlers every now and then from the first call on."""
    what = os.environ.get("BLOCK")
    if what and not _blocking:
        _blocking.append(asyncio.create_task(_block_now_and_then(what)))
