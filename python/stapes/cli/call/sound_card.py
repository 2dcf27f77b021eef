"""Microphone and loudspeaker of this machine, by PortAudio."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING, Any

from stapes.cli.call.device import Exchange, SoundDeviceError, frame_bytes

if TYPE_CHECKING:
    from types import ModuleType

_RATE = 24_000
_WITHOUT = (
    "or talk in a browser: `stapes serve AGENT.py`; or with files: --in question.wav "
    "--out answer.wav"
)


def load_sounddevice() -> ModuleType:
    """Import `sounddevice`.

    Raises:
        SoundDeviceError: it, or the PortAudio library that it needs, is not installed.
    """
    try:
        return import_module("sounddevice")
    except ImportError:
        raise SoundDeviceError(
            "microphone and loudspeaker need the extra 'audio': "
            f"pip install 'stapes[audio]' ({_WITHOUT})"
        ) from None
    except OSError:
        raise SoundDeviceError(
            "sounddevice is installed, but not the PortAudio library that it needs: "
            "on Debian or Ubuntu `apt install libportaudio2`, on macOS `brew install portaudio` "
            f"({_WITHOUT})"
        ) from None


class SoundCard:
    """A microphone and a loudspeaker, opened as one stream so that they keep one clock.

    Args:
        microphone: number or part of the name of the input device; `None` for the usual one.
        loudspeaker: the same for the output device.
        library: what has the interface of `sounddevice`.

    Raises:
        SoundDeviceError: there is no such device; the message lists those that there are.
    """

    microphone_rate = _RATE
    loudspeaker_rate = _RATE

    def __init__(
        self,
        microphone: int | str | None = None,
        loudspeaker: int | str | None = None,
        *,
        library: Any = None,
    ) -> None:
        self._library = library or load_sounddevice()
        self._devices = (
            self._find(microphone, "input", "microphone"),
            self._find(loudspeaker, "output", "loudspeaker"),
        )

    async def run(self, exchange: Exchange) -> None:
        """Call `exchange` in PortAudio's thread until cancelled."""
        lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()

        def fail(error: BaseException | None) -> None:
            if not lost.done():
                lost.set_exception(error or SoundDeviceError("the sound device stopped"))

        def callback(indata: Any, outdata: Any, _frames: int, _time: Any, _status: Any) -> None:
            try:
                outdata[:] = exchange(bytes(indata))
            except BaseException as error:
                loop.call_soon_threadsafe(fail, error)
                raise self._library.CallbackAbort from error

        def finished() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(fail, None)

        try:
            stream = self._library.RawStream(
                samplerate=_RATE,
                blocksize=frame_bytes(_RATE) // 2,
                device=self._devices,
                channels=1,
                dtype="int16",
                latency="low",
                callback=callback,
                finished_callback=finished,
            )
        except self._library.PortAudioError as error:
            raise SoundDeviceError(
                f"the sound device cannot be opened with {_RATE} Hz, 16 bit, mono: {error}"
            ) from error
        with stream:
            await lost

    def _find(self, wanted: int | str | None, kind: str, name: str) -> int:
        try:
            found = self._library.query_devices(wanted, kind)
            return int(found["index"])
        except (ValueError, self._library.PortAudioError) as error:
            present = describe_devices(self._library)
            which = f"no {name} like {wanted!r}" if wanted is not None else f"no {name}"
            raise SoundDeviceError(
                f"there is {which} on this machine ({error}); devices: {present}. "
                f"Without one: {_WITHOUT}"
            ) from error


def describe_devices(library: Any) -> str:
    """Return the names and numbers of all sound devices, in one line."""
    devices = [
        f"{device['index']} {device['name']} "
        f"({device['max_input_channels']} in, {device['max_output_channels']} out)"
        for device in library.query_devices()
    ]
    return "; ".join(devices) or "none"
