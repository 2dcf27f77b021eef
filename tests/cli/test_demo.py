"""The demo, with the real server, mind, voice and session."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from tests.sounds import correlation
from tests.webrtc.likeness import samples
from typer.testing import CliRunner

from stapes.audio import read_wav
from stapes.cli.app import DialectKind, app
from stapes.cli.demo.scenes import (
    AGENT,
    FRONT_DESK,
    RATE,
    RECORDINGS,
    SCRIPT,
    ScriptMissingError,
    find_script,
    read_scenes,
)

EXAMPLES = Path(__file__).parents[2] / "examples" / "front_desk"


@pytest.mark.real_time
@pytest.mark.parametrize(
    "way", ["--transport=webrtc", *(f"--dialect={kind.value}" for kind in DialectKind)]
)
def test_the_quick_demo_happens_as_it_should_and_leaves_its_files(tmp_path: Path, way: str) -> None:
    for module in ("matplotlib", "pocketsphinx", "espeakng_loader"):
        pytest.importorskip(module)

    options = ["--quick", way]
    ended = CliRunner().invoke(app, ["demo", *options, "--out", str(tmp_path / "out")])

    assert ended.exit_code == 0, ended.stdout
    assert 'weather(city="Paris")' in ended.stdout
    assert "barge-in" in ended.stdout
    assert 'weather(city="Lisbon")' in ended.stdout
    document = json.loads((tmp_path / "out" / "conversation.json").read_text("utf-8"))
    assert [outcome["failure"] for outcome in document["outcomes"]] == [None] * 9
    stereo, _ = read_wav(tmp_path / "out" / "conversation.wav")
    assert abs(len(stereo) / 24_000 - document["seconds"]) < 0.1
    assert stereo[:, 0].any()
    assert stereo[:, 1].any()
    assert (tmp_path / "out" / "timeline.png").exists()


def test_webrtc_is_spoken_in_no_other_dialect() -> None:
    ended = CliRunner().invoke(app, ["demo", "--dialect", "xai", "--transport", "webrtc"])

    assert ended.exit_code == 1
    assert "speaks xai over WebSocket alone" in ended.stderr


@pytest.mark.parametrize("folder", [EXAMPLES, FRONT_DESK], ids=["example", "package"])
def test_every_question_is_there_and_something_is_expected_of_each(folder: Path) -> None:
    script = tomllib.loads((EXAMPLES / "questions.toml").read_text("utf-8"))

    scenes = read_scenes(folder)

    assert [scene.text for scene in scenes] == [each["text"] for each in script["question"]]
    assert all(scene.expected for scene in scenes)
    assert all(len(scene.pcm) > 16_000 for scene in scenes)
    assert [scene.file for scene in scenes if scene.over is not None] == ["3-interrupt.wav"]


def test_the_package_has_what_the_example_has() -> None:
    """`scripts/pack_front_desk.py` copies it."""
    for name in (AGENT, SCRIPT):
        assert (FRONT_DESK / name).read_bytes() == (EXAMPLES / name).read_bytes()
    for packed, spoken in zip(read_scenes(FRONT_DESK), read_scenes(EXAMPLES), strict=True):
        assert abs(len(packed.pcm) - len(spoken.pcm)) < 2 * RATE // 10
        assert correlation(samples(spoken.pcm)[RATE // 10 : -RATE // 5], samples(packed.pcm)) > 0.9


def test_without_its_files_the_demo_says_where_they_should_be(tmp_path: Path) -> None:
    with pytest.raises(ScriptMissingError, match="--examples"):
        find_script(tmp_path)

    ended = CliRunner().invoke(app, ["demo", "--examples", str(tmp_path)])

    assert ended.exit_code == 1
    assert "--examples" in ended.stderr


def test_a_question_without_its_sound_is_named(tmp_path: Path) -> None:
    text = '[[question]]\nfile = "1-weather.wav"\ntext = "Hello?"\n'
    (tmp_path / "questions.toml").write_text(text, "utf-8")

    with pytest.raises(ScriptMissingError, match=r"1-weather\.wav cannot be read"):
        read_scenes(tmp_path)


@pytest.mark.parametrize("content", [b"[[question", b"\xff", b"[[question]]", b"question = 1"])
def test_a_damaged_script_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "questions.toml").write_bytes(content)

    with pytest.raises(ScriptMissingError, match=r"questions\.toml cannot be read: "):
        read_scenes(tmp_path)


@pytest.mark.parametrize("content", [b"\x01", b"\x01\x00a\x01\x00", b"\x01\x00\xff"])
def test_damaged_recordings_are_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / SCRIPT).write_text('[[question]]\nfile = "a"\ntext = "Hello?"\n', "utf-8")
    (tmp_path / RECORDINGS).write_bytes(content)

    with pytest.raises(ScriptMissingError, match=r"questions\.packets cannot be read: "):
        read_scenes(tmp_path)
