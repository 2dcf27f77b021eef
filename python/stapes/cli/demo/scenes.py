"""The caller's part: what is said, when, and what must come of it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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

RATE: Final = 16_000
"""Samples per second of the caller's sound."""

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


def find_examples(directory: Path | None) -> Path:
    """Return the directory of the front desk: as given, here, or of the clone that this runs in.

    Raises:
        ScriptMissingError: they are in none of these places.
    """
    clone = Path(__file__).resolve().parents[4]
    roots = [directory] if directory is not None else [Path("examples"), clone / "examples"]
    places = [place for root in roots for place in (root / "front_desk", root)]
    for place in places:
        if (place / "questions.toml").is_file() and (place / "agent.py").is_file():
            return place
    raise ScriptMissingError(
        f"the demo's files (agent.py, questions.toml) are not in {places[0]}/. They come with the "
        "repository, not with the package: run it in a clone, or name their folder with "
        "--examples. `stapes serve AGENT.py` talks to an agent of yours"
    )


def read_scenes(examples: Path, *, quick: bool = False) -> list[Scene]:
    """Read the caller's part.

    Raises:
        ScriptMissingError: the script or a sound file is missing or cannot be read.
    """
    path = examples / "questions.toml"
    try:
        script = tomllib.loads(path.read_text("utf-8"))
        return [
            Scene(
                file=question["file"],
                text=question["text"],
                pcm=read_speech(examples / "questions" / question["file"], RATE),
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
