from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import pytest

from stapes.cli.call.device import SoundDeviceError
from stapes.cli.call.sound_card import SoundCard, load_sounddevice


class PortAudioError(Exception):
    pass


class CallbackAbort(Exception):
    pass


class FakeStream:
    """A stream whose callback runs in a thread, as PortAudio's does."""

    def __init__(self, frames: list[bytes], options: dict[str, Any]) -> None:
        self.options = options
        self.played: list[bytes] = []
        self._frames = frames
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        for frame in self._frames:
            out = bytearray(len(frame))
            try:
                self.options["callback"](frame, out, len(frame) // 2, None, None)
            except CallbackAbort:
                break
            self.played.append(bytes(out))
        self.options["finished_callback"]()

    def __enter__(self) -> FakeStream:
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._thread.join()


class FakeLibrary:
    """The part of `sounddevice` that is used."""

    PortAudioError = PortAudioError
    CallbackAbort = CallbackAbort

    def __init__(self, *, names: tuple[str, ...] = ("Built-in",), opens: bool = True) -> None:
        self._devices = [
            {"index": i, "name": name, "max_input_channels": 1, "max_output_channels": 2}
            for i, name in enumerate(names)
        ]
        self._opens = opens
        self.frames: list[bytes] = []
        self.stream: FakeStream | None = None

    def query_devices(self, wanted: int | str | None = None, kind: str | None = None) -> Any:
        if kind is None:
            return self._devices
        for device in self._devices:
            if wanted in (None, device["index"]) or str(wanted) in str(device["name"]):
                return device
        raise ValueError("no such device" if self._devices else "no default device")

    def RawStream(self, **options: Any) -> FakeStream:  # noqa: N802
        if not self._opens:
            raise PortAudioError("invalid sample rate")
        self.stream = FakeStream(self.frames, options)
        return self.stream


async def test_frames_go_to_and_fro_in_the_sound_card_s_thread() -> None:
    library = FakeLibrary()
    library.frames = [b"\1\0" * 480, b"\2\0" * 480]
    heard: list[bytes] = []

    def exchange(frame: bytes) -> bytes:
        heard.append(frame)
        return frame[::-1]

    with pytest.raises(SoundDeviceError, match="stopped"):
        await SoundCard(library=library).run(exchange)

    assert heard == library.frames
    assert library.stream is not None
    assert library.stream.played == [frame[::-1] for frame in library.frames]
    assert library.stream.options["blocksize"] == 480


async def test_a_failure_in_its_thread_reaches_the_caller() -> None:
    library = FakeLibrary()
    library.frames = [bytes(960)] * 3

    def exchange(_frame: bytes) -> bytes:
        raise RuntimeError("lost")

    with pytest.raises(RuntimeError, match="lost"):
        await SoundCard(library=library).run(exchange)


async def test_it_runs_until_it_is_cancelled() -> None:
    library = FakeLibrary()
    begun = asyncio.Event()
    ended = threading.Event()
    loop = asyncio.get_running_loop()

    class Waiting(FakeStream):
        def _run(self) -> None:
            loop.call_soon_threadsafe(begun.set)
            ended.wait()
            self.options["finished_callback"]()

        def __exit__(self, *problem: object) -> None:
            ended.set()
            super().__exit__()

    library.RawStream = lambda **options: Waiting([], options)  # type: ignore[method-assign]
    running = asyncio.create_task(SoundCard(library=library).run(lambda frame: frame))
    await begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


def test_without_a_device_the_message_says_what_to_do() -> None:
    with pytest.raises(SoundDeviceError, match=r"no microphone on this machine.*--in"):
        SoundCard(library=FakeLibrary(names=()))


def test_an_unknown_device_is_answered_with_those_there_are() -> None:
    library = FakeLibrary(names=("Headset", "Monitor"))
    with pytest.raises(SoundDeviceError, match=r"no loudspeaker like 'Radio'.*1 Monitor"):
        SoundCard("Headset", "Radio", library=library)


async def test_a_device_that_cannot_be_opened_is_named_as_the_cause() -> None:
    card = SoundCard(library=FakeLibrary(opens=False))
    with pytest.raises(SoundDeviceError, match="invalid sample rate"):
        await card.run(lambda frame: frame)


def test_without_the_library_the_message_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(SoundDeviceError, match=r"pip install 'stapes\[audio\]'"):
        load_sounddevice()
