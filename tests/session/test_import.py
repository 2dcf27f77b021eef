"""Importing `stapes` is quick: what is heavy is loaded when it is first used."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


def imported(statement: str) -> dict[str, object]:
    """Run a statement in a fresh interpreter; its CPU time and the heavy modules it loaded."""
    script = (
        "import sys, time, json; began = time.process_time()\n"
        f"{statement}\n"
        "print(json.dumps({'cpu': time.process_time() - began, 'heavy': sorted("
        "{'agents', 'openai', 'pydantic', 'numpy', 'uvicorn', 'starlette', 'httpx', 'typer'}"
        " & set(sys.modules))}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == ""
    result: dict[str, object] = json.loads(done.stdout)
    print(f"{statement}: {result['cpu']:.3f} s of CPU")
    return result


@pytest.mark.parametrize(
    "statement",
    [
        "import stapes",
        "from stapes import WebSocketTransport, Audio, StapesError; WebSocketTransport()",
    ],
)
def test_importing_loads_nothing_heavy(statement):
    assert imported(statement)["heavy"] == []


def test_an_unknown_name_is_an_attribute_error():
    import stapes

    with pytest.raises(AttributeError, match="module 'stapes' has no attribute 'RealtimeSesion'"):
        stapes.RealtimeSesion  # noqa: B018


def test_every_public_name_can_be_had():
    import stapes

    assert {name for name in stapes.__all__ if getattr(stapes, name) is None} == set()
    assert set(stapes.__all__) <= set(dir(stapes))
