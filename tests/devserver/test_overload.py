"""A mind that has no time to hear: the turn fails and says why, and is not taken for silence."""

from __future__ import annotations

import logging

import pytest
from wire_client import dial, spoken

from stapes.devserver import MindOverloadedError, ScriptedMind, Turn


class DeafMind(ScriptedMind):
    """Cannot hear its first turns, for this reason each."""

    def __init__(self, *problems: Exception) -> None:
        super().__init__([Turn(say="Hello.")], otherwise="I did not catch that.")
        self._problems = list(problems)

    def for_call(self) -> DeafMind:
        return self

    async def hear(self, pcm, **agent):
        if self._problems:
            raise self._problems.pop(0)
        return "hello"


async def say_aloud(client):
    await client.hear(await spoken("hello"))
    await client.send("input_audio_buffer.commit")
    await client.send("response.create")
    return (await client.until("response.done"))["response"]


@pytest.mark.parametrize(
    ("problem", "code", "message", "logged"),
    [
        (MindOverloadedError("it hears 65 calls"), "overloaded", "it hears 65 calls", "WARNING"),
        (TimeoutError(), "mind_failed", "could not hear: it took longer than", "ERROR"),
    ],
)
async def test_a_turn_that_is_not_heard_fails_with_the_reason(
    run, caplog, problem, code, message, logged
):
    server = await run(DeafMind(problem))
    client = await dial(server)
    off = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
    await client.send("session.update", session=off)
    with caplog.at_level(logging.WARNING, "stapes.devserver"):
        response = await say_aloud(client)
    assert response["status"] == "failed"
    assert response["status_details"]["error"]["code"] == code
    assert message in response["status_details"]["error"]["message"]
    assert response["output"] == []
    said = [record for record in caplog.records if record.name.startswith("stapes.")]
    assert [record.levelname for record in said] == [logged]
    # The next turn is heard, and answered.
    response = await say_aloud(client)
    assert response["status"] == "completed"
    await client.socket.close()
