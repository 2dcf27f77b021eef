"""The JavaScript SDK holds a conversation with the development server."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path

import pytest

from stapes.devserver import Call, ScriptedMind, ToneVoice, Turn

pytestmark = pytest.mark.far

ROOT = Path(__file__).parents[2]
PACKAGES = ROOT / "benches" / "load" / "javascript"
SECONDS = 60.0
DESK = ScriptedMind(
    [
        Turn(when="weather", say="Let me look.", call=Call("get_weather", {"city": "Oslo"})),
        Turn(after="get_weather", say="It is {output}."),
    ],
    hears=["how is the weather now"],
)


@pytest.fixture(scope="module")
def packages(cache: Path) -> Path:
    """A folder with the SDK, as the benchmarks have it."""
    folder = cache / "javascript"
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("no Node here")
    if not (folder / "node_modules" / "@openai").is_dir():
        folder.mkdir(exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(PACKAGES / name, folder)
        try:
            npm = ["npm", "ci", "--no-audit", "--no-fund", "--silent"]
            subprocess.run(npm, cwd=folder, check=True, timeout=300, capture_output=True)
        except (subprocess.SubprocessError, OSError) as error:
            pytest.skip(f"no @openai/agents-realtime here: {error}")
    return folder


async def test_the_javascript_sdk_holds_a_conversation_with_a_tool(packages, run, tmp_path):
    server = await run(DESK, pace=20.0)
    speech = (await ToneVoice().speak("How is the weather now?", voice="caller", speed=1.0)).pcm
    sound = tmp_path / "question.pcm"
    sound.write_bytes(speech[: len(speech) // 2 * 2] + bytes(48 * 900))
    process = await asyncio.create_subprocess_exec(
        *("node", str(ROOT / "tests" / "far" / "js_sdk.mjs"), str(packages), server.url),
        str(sound),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), SECONDS)
    assert process.returncode == 0, err.decode()
    told = json.loads(out.decode().splitlines()[-1])
    assert told["outputs"] == ["Let me look.", "It is sunny for Oslo."] * 2
    assert told["tools"] == ["sunny for Oslo"] * 2
    assert told["bytes"] > 48 * 1_000
    assert told["errors"] == []
