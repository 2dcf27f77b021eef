"""Development servers: one for the command line, and one inside a call."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from stapes.devserver import DevServer, Mind, Options, Rudeness, Voice
    from stapes.devserver.options import DialectName

MindName: TypeAlias = Literal["listening", "written", "scripted"]
VoiceName: TypeAlias = Literal["natural", "espeak", "tones"]


class ServerSetupError(Exception):
    """A development server cannot be made. The message says why and what to do."""


def make_mind(name: MindName, script: Path | None = None) -> Mind:
    """Return a mind.

    Raises:
        ServerSetupError: what it needs is not installed, or the script is missing or wrong.
    """
    if name == "scripted":
        return _scripted(script)
    if script is not None:
        raise ServerSetupError("a script is for the scripted mind: add --mind scripted")
    if name == "written":
        from stapes.cli.builtin import WrittenMind

        return WrittenMind()
    try:
        from stapes.devserver.listening import ListeningMind, RecognitionError
    except ImportError as error:
        raise ServerSetupError(f"the listening mind {_needs_speech(error)}") from None
    try:
        return ListeningMind()
    except RecognitionError as error:
        raise ServerSetupError(str(error)) from None


def best_mind(voice: VoiceName) -> tuple[MindName, Mind, Voice, str | None]:
    """Return the best mind and voice that are installed, and a note on what they cannot do.

    Raises:
        ServerSetupError: a voice is asked for by its name, and is not there.
    """
    try:
        # The voice first: a mind that listens has a process, which nobody would end.
        speaks = make_voice(voice)
        return "listening", make_mind("listening"), speaks, None
    except ServerSetupError:
        note = (
            "It understands what is written, and no speech: for that, "
            "pip install 'stapes[speech]' (CPython 3.11 to 3.13)."
        )
        return "written", make_mind("written"), best_voice(voice), note


def best_voice(name: VoiceName) -> Voice:
    """Return a voice; for `natural`, which is the default, the built-in one where no other is.

    Raises:
        ServerSetupError: another voice is asked for, and is not there.
    """
    try:
        return make_voice(name)
    except ServerSetupError:
        if name != "natural":
            raise
        from stapes.cli.builtin import BuiltinVoice

        return BuiltinVoice()


def make_voice(name: VoiceName) -> Voice:
    """Return a voice; `natural` is the best that is installed.

    Raises:
        ServerSetupError: there is no speech synthesiser.
    """
    from stapes.devserver import ToneVoice

    if name == "tones":
        return ToneVoice()
    try:
        from stapes.devserver.voices import offline_voice
        from stapes.devserver.voices.espeak import EspeakVoice
        from stapes.devserver.voices.espeak_ng import find_synthesiser
        from stapes.devserver.voices.sound import VoiceUnavailableError
    except ImportError as error:
        raise ServerSetupError(f"the voice {_needs_speech(error)}") from None
    try:
        voice = EspeakVoice() if name == "espeak" else offline_voice()
        if isinstance(voice, EspeakVoice):
            find_synthesiser()
    except VoiceUnavailableError as error:
        raise ServerSetupError(str(error)) from None
    return voice


def make_rudeness(
    *,
    session_seconds: float | None,
    drop: Iterable[str],
    refuse: int,
    refuse_with: str,
    retry_after: float | None,
    slow_ms: float,
) -> Rudeness:
    """Return what a server does wrong, from what the command line says.

    Raises:
        ServerSetupError: an option makes no sense; names it, and what it may be.
    """
    from stapes.devserver import Drop, Rudeness

    drops = []
    for text in drop:
        try:
            drops.append(Drop.parse(text))
        except ValueError as error:
            raise ServerSetupError(f"--drop {error}") from None
    if refuse_with != "reset" and not refuse_with.isdecimal():
        raise ServerSetupError(
            f"--refuse-with {refuse_with!r}: give an HTTP status from 400 to 599, or reset"
        )
    try:
        return Rudeness(
            session_seconds=session_seconds,
            drop=tuple(drops),
            refuse=refuse,
            refuse_with="reset" if refuse_with == "reset" else int(refuse_with),
            retry_after=retry_after,
            slow_ms=slow_ms,
        )
    except ValueError as error:
        name, _, rest = str(error).partition(" ")
        option = "slow" if name == "slow_ms" else name.replace("_", "-")
        raise ServerSetupError(f"--{option} {rest}") from None


def drop_help() -> str:
    """Return the points and the ways of `--drop`, a line each."""
    from stapes.devserver import POINTS, WAYS

    ways = {
        **WAYS,
        "1001, 1012, ...": "a close frame of this code",
        "503, ...": "an HTTP status that refuses the connection, at connecting",
    }
    return "\n".join(
        [
            "stapes dev-server --drop POINT[:WAY[:N]]",
            "",
            "POINT: where the connection is dropped.",
            *(f"  {name:<19} {meaning}" for name, meaning in POINTS.items()),
            "",
            "WAY: how it is dropped; without one, reset.",
            *(f"  {name:<19} {meaning}" for name, meaning in ways.items()),
            "",
            "N: which time the point is reached, over all connections; without it, the first.",
            "  2                   the second time",
            "  2+                  the second time, and every time from then on",
        ]
    )


def make_server(
    mind: Mind, voice: Voice, options: Options | None = None, *, records: bool = True
) -> DevServer:
    """Return a server for the running loop, on a free loopback port.

    With `records=False` it keeps nothing of its calls.

    Raises:
        ServerSetupError: the web server is not installed.
    """
    try:
        from stapes.devserver import DevServer, Options
    except ImportError as error:
        raise ServerSetupError(f"the development server {_needs_server(error)}") from None
    return DevServer(mind, voice, options or Options(), records=records)


def run_server(
    mind: Mind,
    voice: Voice,
    *,
    host: str,
    port: int,
    pace: float | None,
    dialect: DialectName = "ga",
    origins: Iterable[str] = (),
    hosts: Iterable[str] = (),
    rudeness: Rudeness | None = None,
    on_ready: Callable[[str], None],
    on_trouble: Callable[[str], None] | None = None,
) -> None:
    """Serve until interrupted; what goes wrong is logged on standard error.

    What `rudeness` brings about is told to `on_trouble`.

    Raises:
        ServerSetupError: the web server is not installed, or the address cannot be had.
    """
    try:
        from stapes.devserver import Options, serve
    except ImportError as error:
        raise ServerSetupError(f"the development server {_needs_server(error)}") from None
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    options = Options(
        dialect=dialect, pace=pace, origins=frozenset(origins), hosts=frozenset(hosts)
    )
    try:
        serve(
            mind,
            voice,
            options,
            rudeness=rudeness,
            host=host,
            port=port,
            on_ready=on_ready,
            on_trouble=on_trouble,
        )
    except OSError as error:
        raise ServerSetupError(
            f"cannot listen on {host} port {port}: {error.strerror or error}; "
            "choose another with --port, or 0 for any free one"
        ) from None


def _scripted(script: Path | None) -> Mind:
    from stapes.devserver import ScriptedMind, ScriptError

    if script is None:
        raise ServerSetupError("the scripted mind needs its script: add --script FILE.yaml")
    try:
        return ScriptedMind.from_yaml(script)
    except (OSError, ScriptError) as error:
        raise ServerSetupError(str(error)) from None
    except ImportError:
        raise ServerSetupError("reading a script needs PyYAML: pip install pyyaml") from None


def _needs_speech(error: ImportError) -> str:
    return f"needs {error.name}: pip install 'stapes[speech]'"


def _needs_server(error: ImportError) -> str:
    return f"needs {error.name}: pip install 'stapes[demo]'"
