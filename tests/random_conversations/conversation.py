"""A conversation of random steps over a whole `RealtimeSession`, within the process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
from collections import deque
from dataclasses import dataclass
from typing import Any

from stapes import RealtimeTransport, ReconnectPolicy
from stapes.testing import VirtualClock, settle
from tests.random_conversations.model_server import ModelServer, Persona
from tests.random_conversations.record import Record
from tests.random_conversations.rest import check_rest
from tests.random_conversations.stage import AGENTS, CALLABLE, GUARDRAIL, OUTCOMES, Stage

KINDS = {
    "client_reads": 20,
    "server_reads": 16,
    "server_goes": 16,
    "server_hurries": 5,
    "speech": 3,
    "say": 6,
    "request": 2,
    "interrupt": 3,
    "release": 8,
    "decide": 4,
    "update_agent": 2,
    "clock": 6,
    "breathe": 8,
    "drop": 2,
    "close": 1,
    "connect": 3,
    "rest": 1,
}


class Wire(RealtimeTransport):
    """Carries the messages of one session to a model server, when the test says so."""

    def __init__(self, persona: Persona) -> None:
        self.persona = persona
        self.away = 0
        """How many attempts to connect fail."""
        self.ids = itertools.count(1)
        self.line: Any = None
        self.server = ModelServer(persona, self.ids, CALLABLE)
        self.up: deque[dict[str, Any]] = deque()

    async def connect(self, request: Any, line: Any) -> None:
        if self.away:
            self.away -= 1
            raise ConnectionError("the network is away")
        self.line = line
        self.up.clear()
        self.server = ModelServer(self.persona, self.ids, CALLABLE)
        line.opened()
        line.receive(json.dumps(self.server.down.popleft()))

    def send(self, message: str) -> None:
        self.up.append(json.loads(message))

    def close(self, code: int, reason: str) -> None:
        self.line = None


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happens; `seed` is for whatever is random in it."""

    kind: str
    seed: int


@dataclass(slots=True)
class Plan:
    """A conversation: all that happens in it follows from this."""

    seed: int
    steps: list[Step]

    @classmethod
    def drawn(cls, seed: int) -> Plan:
        rng = random.Random(seed)
        count = rng.randrange(10, 70)
        kinds = rng.choices(list(KINDS), weights=list(KINDS.values()), k=count)
        return cls(seed, [Step(kind, rng.getrandbits(16)) for kind in kinds])


class Conversation:
    """One conversation on its way.

    Args:
        plan: what happens in it.
    """

    def __init__(self, plan: Plan) -> None:
        rng = random.Random(plan.seed + 1)
        self._plan = plan
        self.persona = Persona.drawn(rng)
        self.stage = Stage(rng)
        self.wire = Wire(self.persona)
        self.survives = plan.seed % 2 == 1
        """Half of the conversations go on over another connection when one is lost."""
        self._time = VirtualClock()
        self.session = self._time.session(
            AGENTS[0],
            transport=self.wire,
            api_key="key",
            reconnect=ReconnectPolicy() if self.survives else None,
            context=self.stage,
            output_guardrails=[GUARDRAIL],
            output_guardrail_settings={"debounce_text_length": 12},
        )
        self.stage.session = self.session
        self.record = Record(self.session, self.stage)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Takes the steps, then lets all come to rest. What was wrong is in the record."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, about: self.record.unhandled(about))
        self.session.probe.tap_outgoing(self.record.sent)
        try:
            async with asyncio.timeout(20):
                await self._connect()
                for step in self._plan.steps:
                    self.record.note(step.kind)
                    await getattr(self, f"_{step.kind}")(random.Random(step.seed))
                await self._rest(random.Random(0))
                await self._finish()
        except TimeoutError:
            self.record.broken("rest", "the conversation hangs")
        finally:
            loop.set_exception_handler(None)

    def _start(self, work: Any, *, may_fail: bool = True) -> None:
        """Awaits what a command returned; on behalf of a user who handles its failure."""

        async def follow() -> None:
            try:
                await work
            except Exception as error:
                self.record.raised.append(repr(error))
                if not may_fail:
                    self.record.broken("commands", repr(error))

        task = asyncio.get_running_loop().create_task(follow())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def _connected(self) -> bool:
        return self.session.status == "connected" and self.wire.line is not None

    @property
    def _takes_commands(self) -> bool:
        return self._connected or self.session.status == "reconnecting"

    # The line

    def _deliver(self, count: int) -> bool:
        moved = False
        while count and self._connected and self.wire.server.down:
            event = self.wire.server.down.popleft()
            self.record.note(f"> {event['type']} {_about(event)}")
            self.wire.line.receive(json.dumps(event))
            count, moved = count - 1, True
        return moved

    def _hear(self, count: int, rng: random.Random) -> bool:
        moved = False
        while count and self.wire.line is not None and self.wire.up:
            self.wire.server.hear(self.wire.up.popleft(), rng)
            count, moved = count - 1, True
        return moved

    async def _client_reads(self, rng: random.Random) -> None:
        self._deliver(rng.randrange(1, 10))
        await self._breathe(rng)

    async def _server_reads(self, rng: random.Random) -> None:
        self._hear(rng.randrange(1, 4), rng)

    async def _server_goes(self, rng: random.Random) -> None:
        self.wire.server.go(rng.randrange(4), rng.randrange(1, 7))

    async def _server_hurries(self, rng: random.Random) -> None:
        self.wire.server.finish()

    async def _speech(self, rng: random.Random) -> None:
        if self.record.restorations:
            # The user's sound is sent after what a new connection is told.
            self._hear(10_000, rng)
        self.wire.server.speech(rng)

    async def _clock(self, rng: random.Random) -> None:
        self._time.advance(rng.choice([0.02, 0.1, 0.5, 4.0]) * rng.random())

    # The user

    async def _say(self, rng: random.Random) -> None:
        if self._takes_commands:
            self._start(self.session.send_message("Hello"))

    async def _request(self, rng: random.Random) -> None:
        if self._takes_commands:
            self._start(self.session.request_response())

    async def _interrupt(self, rng: random.Random) -> None:
        self.record.withdrawals += 1
        self._start(self.session.interrupt(), may_fail=False)

    async def _release(self, rng: random.Random) -> None:
        waiting = self.stage.waiting
        if waiting:
            rng.choice(waiting).gate.set_result(rng.choice(OUTCOMES))
        await self._breathe(rng)

    async def _decide(self, rng: random.Random) -> None:
        if not self.record.approvals:
            return
        approval = self.record.approvals.pop(rng.randrange(len(self.record.approvals)))
        decide = self.session.approve if rng.random() < 0.7 else self.session.reject
        self._start(decide(approval))

    async def _update_agent(self, rng: random.Random) -> None:
        agent = rng.choice(AGENTS)
        updated, before = self.session.update_agent(agent), self._line_state

        async def follow() -> None:
            await updated
            self.record.named(agent, before, self._line_state)

        self._start(follow(), may_fail=False)
        await self._breathe(rng)

    @property
    def _line_state(self) -> tuple[str, int]:
        return self.session.status, self.record.connection

    async def _breathe(self, rng: random.Random) -> None:
        for _ in range(rng.randrange(6)):
            await asyncio.sleep(0)

    # The connection

    async def _drop(self, rng: random.Random) -> None:
        if self._connected:
            line, self.wire.line = self.wire.line, None
            self.wire.up.clear()
            self.wire.away = rng.choice([0, 0, 1, 3]) if self.survives else 0
            line.ended("the network is gone")
            await self._breathe(rng)

    async def _close(self, rng: random.Random) -> None:
        if rng.random() < 0.3:
            await self._drop(rng)
        self.record.closing()
        await self.session.close()
        self.record.closed()
        await self._breathe(rng)

    async def _connect(self, rng: random.Random | None = None) -> None:
        if self.session.status != "disconnected":
            return
        self.wire.away = 0
        await settle(self.session)
        self.record.connecting()
        await self.session.connect()
        await settle(self.session)
        self.record.check_configuration()

    # The end

    async def _rest(self, rng: random.Random) -> None:
        """Lets everything under way come to its end, then checks that nothing is left."""
        self.wire.away = 0
        for _ in range(10):
            await settle(self.session)
            if self.session.status != "reconnecting":
                break
            self._time.advance(20)
        self.record.require(
            self.session.status != "reconnecting", "rest", "no connection is made again"
        )
        server = self.wire.server
        server.is_calm = self.stage.calm = True
        server.end_speech(rng)
        quiet = rounds = 0
        while quiet < 2:
            await settle(self.session)
            for run in self.stage.waiting:
                run.gate.set_result(rng.choice(OUTCOMES))
                rounds, quiet = rounds + 1, 0
            moved = self._hear(10_000, rng)
            moved |= self.wire.line is not None and server.finish()
            moved |= self._deliver(10_000)
            if moved:
                quiet, rounds = 0, rounds + 1
                if rounds > 300:
                    self.record.broken("rest", "there is no end of it")
                    return
                continue
            quiet += 1
            self._time.advance(20)
        await settle(self.session)
        server.is_calm = self.stage.calm = False
        check_rest(self.record, server, is_connected=self._connected)

    async def _finish(self) -> None:
        self.record.closing()
        await self.session.close()
        self.record.closed()
        await settle(self.session)
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self.session.probe.task_count:
            self.record.broken("rest", f"{self.session.probe.task_count} tasks are left")
        self.record.at_the_end()


def _about(event: dict[str, Any]) -> str:
    keys = ("response_id", "item_id", "previous_item_id")
    found = [f"{key}={event[key]}" for key in keys if key in event]
    for key in ("response", "item", "error"):
        inner = event.get(key) or {}
        found += [
            f"{name}={inner[name]}" for name in ("id", "name", "status", "code") if name in inner
        ]
    return " ".join(found)
