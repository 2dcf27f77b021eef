"""Scripts in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from calling import KEY

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Done:
    status: int
    """As `os.waitpid` has it: 256 times the exit status, or the number of a signal."""
    out: str
    err: str


# Importing everything takes seconds: it is done once, and a child is forked for each script, before
# there is any thread. A child that hangs is ended by its alarm.
TEMPLATE = """
import asyncio, json, os, signal, sys
import agents
from stapes import *
for line in sys.stdin:
    task = json.loads(line)
    if (pid := os.fork()) == 0:
        signal.alarm(20)
        for fd, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(task[name], os.O_WRONLY | os.O_CREAT), fd)
        url, key = task["url"], task["key"]
        def new_session():
            agent = RealtimeAgent(name="front")
            return RealtimeSession(agent, api_key=key, transport=WebSocketTransport(url=url))
        async def talk():
            async with new_session() as session:
                session.send_message("hi")
                async for event in session.events(AgentEnd):
                    return event.output
        exec(task["script"])
        sys.exit()
    print(os.waitpid(pid, 0)[1], flush=True)
"""


class Interpreter:
    """Runs scripts, each in a process of its own that ends as scripts do."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, "-c", TEMPLATE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "PYTHONWARNINGS": "default"},
        )

    def run(self, script: str, url: str = "") -> Done:
        paths = {
            name: self._folder / f"{len(list(self._folder.iterdir()))}.{name}"
            for name in ("out", "err")
        }
        task = {name: str(path) for name, path in paths.items()}
        task |= {"script": textwrap.dedent(script), "url": url, "key": KEY}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        return Done(status, paths["out"].read_text(), paths["err"].read_text())

    def close(self) -> None:
        self._process.communicate()
