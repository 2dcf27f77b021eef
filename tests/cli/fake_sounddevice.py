"""A stand-in for the library `sounddevice`: what it has of its interface is what stapes uses."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence


Microphone: TypeAlias = "Generator[bytes, bytes, None]"


class PortAudioError(Exception):
    pass


class CallbackAbort(Exception):
    pass


def saying(frames: Sequence[bytes]) -> Microphone:
    """A microphone that gives these frames, whatever is played."""
    for frame in frames:  # noqa: UP028 (a list cannot be sent what was played)
        yield frame


class FakeStream:
    """A stream whose callback runs in a thread, as PortAudio's does.

    Args:
        microphone: gives frames, and is sent what was played with each.
        options: what the stream was opened with.
    """

    def __init__(self, microphone: Microphone, options: dict[str, Any]) -> None:
        self.options = options
        self.played: list[bytes] = []
        self._microphone = microphone
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        frame = next(self._microphone, None)
        while frame is not None:
            out = bytearray(len(frame))
            try:
                self.options["callback"](frame, out, len(frame) // 2, None, None)
            except CallbackAbort:
                break
            self.played.append(bytes(out))
            try:
                frame = self._microphone.send(bytes(out))
            except StopIteration:
                break
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
        self.microphone: Microphone = saying([])
        self.stream: FakeStream | None = None

    def query_devices(self, wanted: int | str | None = None, kind: str | None = None) -> Any:
        if kind is None:
            return self._devices
        for device in self._devices:
            if wanted in (None, device["index"]) or str(wanted) in str(device["name"]):
                return device
        raise ValueError("no such device" if self._devices else "no default device")

    def RawStream(self, **options: Any) -> FakeStream:  # noqa: N802 (the library's name)
        if not self._opens:
            raise PortAudioError("invalid sample rate")
        self.stream = FakeStream(self.microphone, options)
        return self.stream
