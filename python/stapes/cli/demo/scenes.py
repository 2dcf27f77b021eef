"""The caller's part: what is said, when, and what must come of it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from stapes.cli.call.speech_file import SpeechFileError, read_speech
from stapes.cli.demo.expectations import (
    Answered,
    Approved,
    BargesIn,
    Blocked,
    Called,
    CutShort,
    Expectation,
    HandedOver,
)
from stapes.cli.packed_speech import decode, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

RATE: Final = 16_000
"""Samples per second of the caller's sound."""

FRONT_DESK: Final = Path(__file__).parent / "front_desk"
"""What the package has of `examples/front_desk`: `scripts/pack_front_desk.py` put it there."""

AGENT: Final = "agent.py"
SCRIPT: Final = "questions.toml"
RECORDINGS: Final = "questions.packets"
"""The package's recordings, as Opus. A folder of yours has WAV files in `questions/`."""

_EXPECTED: Final[dict[str, tuple[Expectation, ...]]] = {
    "1-weather.wav": (Called("weather", {"city": "Paris"}), Answered(holding="Paris")),
    "2-history.wav": (CutShort(),),
    "3-interrupt.wav": (
        BargesIn(),
        Called("weather", {"city": "Lisbon"}),
        Answered(holding="Lisbon"),
    ),
    "4-pool.wav": (Called("opening_hours", {"place": "pool"}), Answered(holding="seven to nine")),
    "5-door-code.wav": (Blocked("door code stays secret", unheard="4711"), Answered()),
    "6-billing.wav": (HandedOver("Front desk", "Billing"), Answered()),
    "7-refund.wav": (
        Approved("refund"),
        Called("refund", {"booking_id": "471", "amount": 40}),
        Answered(holding="forty|40"),
    ),
    "8-goodbye.wav": (Answered(),),
}
_QUICK: Final = ("1-weather.wav", "2-history.wav", "3-interrupt.wav")


class ScriptMissingError(Exception):
    """The files of the demo are not where they should be."""


@dataclass(frozen=True, slots=True)
class Scene:
    """One thing that the caller says.

    Attributes:
        text: the words.
        pcm: PCM16 mono at `RATE`.
        over: how many seconds of the answer before are heard when the caller begins to talk over
            it; `None` to wait for its end.
        expected: what must come of it.
    """

    file: str
    text: str
    pcm: bytes
    over: float | None
    expected: tuple[Expectation, ...]


def find_script(directory: Path | None) -> Path:
    """Return the folder of a demo's agent and questions: the one that is given, or the package's.

    Raises:
        ScriptMissingError: they are not there.
    """
    if directory is None:
        return FRONT_DESK
    places = [directory / "front_desk", directory]
    for place in places:
        if (place / SCRIPT).is_file() and (place / AGENT).is_file():
            return place
    raise ScriptMissingError(
        f"there is no {AGENT} with a {SCRIPT} in {directory}/ or in {places[0]}/: name their "
        "folder with --examples, or leave it out for the demo that comes with the package. "
        "`stapes serve AGENT.py` talks to an agent of yours"
    )


def read_scenes(folder: Path, *, quick: bool = False) -> list[Scene]:
    """Read the caller's part.

    Raises:
        ScriptMissingError: the script or a recording is missing or cannot be read.
    """
    path = folder / SCRIPT
    try:
        script = tomllib.loads(path.read_text("utf-8"))
        recorded = _recordings(folder / RECORDINGS)
        return [
            Scene(
                file=question["file"],
                text=question["text"],
                pcm=_speech(folder, question["file"], recorded),
                over=question.get("over"),
                expected=_EXPECTED.get(question["file"], (Answered(),)),
            )
            for question in script["question"]
            if not quick or question["file"] in _QUICK
        ]
    except SpeechFileError as error:
        raise ScriptMissingError(str(error)) from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ScriptMissingError(f"{path} cannot be read: {error!r}") from error


def _recordings(path: Path) -> dict[str, list[bytes]]:
    if not path.is_file():
        return {}
    try:
        return unpack(path.read_bytes())
    except ValueError as error:
        raise ScriptMissingError(f"{path} cannot be read: {error}") from error


def _speech(folder: Path, file: str, recorded: Mapping[str, Sequence[bytes]]) -> bytes:
    if (packets := recorded.get(file)) is not None:
        return decode(packets, RATE)
    return read_speech(folder / "questions" / file, RATE)
