"""eSpeak NG, called in this process through its C interface (`speak_lib.h`) or as a program.

Library and voices come in the wheel of `espeakng-loader`. Where that wheel is not installed, the
program `espeak-ng` of the system is used instead. Both give the same sound.
"""

from __future__ import annotations

import ctypes
import io
import shutil
import subprocess
import threading
import wave
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from stapes.devserver.voices.sound import VoiceUnavailableError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_CHARACTERS_UTF8 = 1
_POSITION_CHARACTER = 1
_PHONEMES_IPA = 0x02
_RATE, _PITCH, _RANGE = 1, 3, 4
_SYNTHESIS_CHUNK_MS = 200
_PROGRAM_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Timbre:
    """How a voice sounds.

    Attributes:
        name: a language of eSpeak NG with one of its variants, such as `en-us+f2`.
        pace: words a minute.
        pitch: 0 to 100; 50 is the variant's own.
        intonation: 0 to 100, how far the pitch moves; 50 is usual. The program has no such option.
    """

    name: str
    pace: int = 160
    pitch: int = 50
    intonation: int = 50


class Synthesiser(Protocol):
    """Turns text into samples. Calls may come from any thread."""

    def synthesise(
        self, text: str, timbre: Timbre, *, limit_s: float
    ) -> tuple[NDArray[np.int16], int]:
        """Return mono samples and their rate; speech past `limit_s` seconds is left out."""
        ...


@cache
def find_synthesiser() -> Synthesiser:
    """Return the synthesiser of this process, loaded on the first call.

    Raises:
        VoiceUnavailableError: neither the wheel nor the program is there; says how to get one.
    """
    try:
        import espeakng_loader
    except ImportError:
        program = shutil.which("espeak-ng")
        if program is None:
            raise VoiceUnavailableError(
                "no offline voice: install the extra with `pip install 'stapes[speech]'`, "
                "or the system's espeak-ng"
            ) from None
        return Program(program)
    return Library(espeakng_loader.get_library_path(), espeakng_loader.get_data_path())


_OnSamples = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Library:
    """The shared library. Its state is global to the process, so one call runs at a time."""

    def __init__(self, library: str, data: str) -> None:
        """Load `library` with the voices in the directory `data`.

        Raises:
            VoiceUnavailableError: the library cannot be loaded or refuses its data.
        """
        try:
            self._library = ctypes.CDLL(library)
        except OSError as error:
            raise VoiceUnavailableError(f"cannot load eSpeak NG: {error}") from error
        self._lock = threading.Lock()
        self._heard = bytearray()
        self._byte_limit = 0
        self._on_samples = _OnSamples(self._collect)
        self._rate: int = self._library.espeak_Initialize(
            _AUDIO_OUTPUT_SYNCHRONOUS, _SYNTHESIS_CHUNK_MS, data.encode(), _INITIALIZE_DONT_EXIT
        )
        if self._rate <= 0:
            raise VoiceUnavailableError(f"eSpeak NG does not accept its data directory {data}")
        self._library.espeak_SetSynthCallback(self._on_samples)
        self._library.espeak_TextToPhonemes.restype = ctypes.c_char_p

    def _collect(self, samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            self._heard += ctypes.string_at(samples, 2 * count)
        return int(len(self._heard) >= self._byte_limit)

    def synthesise(
        self, text: str, timbre: Timbre, *, limit_s: float
    ) -> tuple[NDArray[np.int16], int]:
        """Return mono samples and their rate; see `Synthesiser`.

        Raises:
            VoiceUnavailableError: the library has no such voice, or fails.
        """
        spoken = text.replace("\0", " ").encode(errors="replace") + b"\0"
        with self._lock:
            self._check(self._library.espeak_SetVoiceByName(timbre.name.encode()), timbre)
            for parameter, value in (
                (_RATE, timbre.pace),
                (_PITCH, timbre.pitch),
                (_RANGE, timbre.intonation),
            ):
                self._check(self._library.espeak_SetParameter(parameter, value, 0), timbre)
            self._heard.clear()
            self._byte_limit = int(limit_s * self._rate) * 2
            self._check(
                self._library.espeak_Synth(
                    spoken,
                    ctypes.c_size_t(len(spoken)),
                    0,
                    _POSITION_CHARACTER,
                    0,
                    _CHARACTERS_UTF8,
                    None,
                    None,
                ),
                timbre,
            )
            heard = bytes(self._heard[: self._byte_limit])
        return np.frombuffer(heard, dtype="<i2").astype(np.int16), self._rate

    def phonemes(self, text: str, language: str) -> list[str]:
        """Return how `text` is read, as phonemes of the International Phonetic Alphabet.

        Raises:
            VoiceUnavailableError: the library does not know the language.
        """
        separated = _PHONEMES_IPA | ord("_") << 8
        rest = ctypes.c_char_p(text.encode(errors="replace"))
        with self._lock:
            self._check(self._library.espeak_SetVoiceByName(language.encode()), Timbre(language))
            read = self._library.espeak_TextToPhonemes(
                ctypes.byref(rest), _CHARACTERS_UTF8, separated
            )
        return (read or b"").decode().split("_")

    @staticmethod
    def _check(status: int, timbre: Timbre) -> None:
        if status != 0:
            raise VoiceUnavailableError(f"eSpeak NG failed ({status}) with voice {timbre.name!r}")


class Program:
    """The system's `espeak-ng`, started for each utterance."""

    def __init__(self, path: str) -> None:
        """Speak with the program at `path`."""
        self._path = path

    def synthesise(
        self, text: str, timbre: Timbre, *, limit_s: float
    ) -> tuple[NDArray[np.int16], int]:
        """Return mono samples and their rate; see `Synthesiser`.

        Raises:
            VoiceUnavailableError: the program fails or does not end.
        """
        options = ["-v", timbre.name, "-s", str(timbre.pace), "-p", str(timbre.pitch)]
        try:
            done = subprocess.run(
                [self._path, *options, "--stdin", "--stdout"],
                input=text.encode(errors="replace"),
                capture_output=True,
                check=True,
                timeout=_PROGRAM_TIMEOUT_S,
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise VoiceUnavailableError(f"espeak-ng failed: {error}") from error
        return _samples_of_wav(done.stdout, limit_s)


def _samples_of_wav(data: bytes, limit_s: float) -> tuple[NDArray[np.int16], int]:
    # Written to a pipe, the header's length is a placeholder: read what is there, not what it says.
    try:
        with wave.open(io.BytesIO(data)) as reader:
            rate = reader.getframerate()
            frames = reader.readframes(int(limit_s * rate))
    except (wave.Error, EOFError) as error:
        raise VoiceUnavailableError("espeak-ng gave no sound") from error
    return np.frombuffer(frames[: len(frames) & ~1], dtype="<i2").astype(np.int16), rate
