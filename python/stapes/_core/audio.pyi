from types import GenericAlias
from typing import Any, Generic, Literal, TypeAlias, TypeVar, final, overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

__all__ = [
    "Level",
    "LevelMeter",
    "OpusDecoder",
    "OpusEncoder",
    "Recording",
    "Resampler",
    "alaw_decode",
    "alaw_encode",
    "base64_decode",
    "base64_encode",
    "level",
    "mulaw_decode",
    "mulaw_encode",
]

_Samples: TypeAlias = Buffer | NDArray[np.int16] | NDArray[np.float32]
_Out = TypeVar("_Out", bytes, NDArray[np.int16], NDArray[np.float32], covariant=True)

@final
class Recording:
    """Mono audio to stream, stored once in Rust for all sessions that stream it.

    Args:
        audio: Bytes-like 16-bit little-endian PCM, or an array of int16 or of float32 in
            -1.0..=1.0. It is copied.
        sample_rate: Samples per second, 4000 to 192000.

    Raises:
        ValueError: An odd number of bytes, or a rate out of range.
        TypeError: `audio` has another type.
    """

    def __new__(cls, audio: _Samples, *, sample_rate: int) -> Recording: ...
    @property
    def sample_rate(self) -> int:
        """Samples per second."""

    @property
    def duration(self) -> float:
        """The duration, in seconds."""

@final
class Resampler(Generic[_Out]):
    """Converts one stream of sound to another sample rate.

    The output does not depend on how the input is split into chunks, bit for bit. It is
    aligned with the input and, after `flush`, as long as the input; the output of the first
    chunk is therefore shorter than its input, by `delay` seconds. Use one object per stream;
    calls from several threads are serialised.

    Args:
        from_rate: Samples per second of the input, 4000 to 192000.
        to_rate: Samples per second of the output, 4000 to 192000.
        channels: 1, or 2 for interleaved stereo input, which is averaged. The output is mono.
        output: The output of `process` and `flush`: "bytes" (16-bit little-endian PCM), "int16"
            or "float32" (numpy arrays; floats in -1.0..=1.0). 16-bit output is rounded to
            nearest and saturates.

    Raises:
        ValueError: A rate is out of range, the two have too small a common divisor, or
            `channels` or `output` has another value.
    """

    @overload
    def __new__(
        cls, from_rate: int, to_rate: int, *, channels: int = 1, output: Literal["bytes"] = "bytes"
    ) -> Resampler[bytes]: ...
    @overload
    def __new__(
        cls, from_rate: int, to_rate: int, *, channels: int = 1, output: Literal["int16"]
    ) -> Resampler[NDArray[np.int16]]: ...
    @overload
    def __new__(
        cls, from_rate: int, to_rate: int, *, channels: int = 1, output: Literal["float32"]
    ) -> Resampler[NDArray[np.float32]]: ...
    @classmethod
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    def process(self, samples: _Samples) -> _Out:
        """Resamples a chunk of any length.

        Args:
            samples: Bytes-like 16-bit little-endian PCM, or an array of int16 or of float32 in
                -1.0..=1.0. Shape `(n,)`; with two channels interleaved `(2n,)` or `(n, 2)`.

        Returns:
            The samples that are complete, in the type chosen by `output`.

        Raises:
            TypeError: `samples` has another type.
            ValueError: It has an odd number of bytes, half a frame, another shape, NaN or
                infinity.
        """
    def flush(self) -> _Out:
        """Ends the stream and returns the samples held back. The next chunk begins a new stream."""
    def reset(self) -> None:
        """Drops the stream: the next chunk begins a new one."""
    @property
    def delay(self) -> float:
        """The duration of the sound that is held back until `flush`, in seconds."""
    @property
    def from_rate(self) -> int:
        """Samples per second of the input."""
    @property
    def to_rate(self) -> int:
        """Samples per second of the output."""

@final
class OpusEncoder:
    """Encodes one stream of mono sound to Opus packets.

    The codec resamples internally: a peer that negotiated opus/48000 accepts packets of all
    five rates. Use one object per stream; calls from several threads are serialised.

    Args:
        sample_rate: Samples per second of the input: 8000, 12000, 16000, 24000 or 48000.
        application: The goal: "voip" (intelligible speech), "audio" (fidelity) or
            "lowdelay" (the lowest delay, without the speech modes).
        bitrate: Bits per second, 500 to 512000. None lets the codec choose.
        complexity: Effort, 0 to 10. None is the codec's default.
        fec: Whether packets carry a coarse copy of the previous packet, for
            `OpusDecoder.recover`. It requires an `expected_loss` above zero.
        expected_loss: The expected share of lost packets, 0 to 100 percent.
        dtx: Whether silence is sent as packets of a byte or two.

    Raises:
        ValueError: An argument has another value.
    """

    def __new__(
        cls,
        sample_rate: int,
        *,
        application: Literal["voip", "audio", "lowdelay"] = "voip",
        bitrate: int | None = None,
        complexity: int | None = None,
        fec: bool = False,
        expected_loss: int | None = None,
        dtx: bool = False,
    ) -> OpusEncoder: ...
    def encode(self, samples: _Samples) -> bytes:
        """Encodes a frame of 2.5, 5, 10, 20, 40 or 60 ms to one packet.

        Args:
            samples: Bytes-like 16-bit little-endian PCM, or an `(n,)` or `(n, 1)` array of int16 or
                of float32 in -1.0..=1.0.

        Returns:
            The packet, without any framing.

        Raises:
            TypeError: `samples` has another type.
            ValueError: It has another duration, an odd number of bytes, another shape, NaN or
                infinity.
        """
    @property
    def sample_rate(self) -> int:
        """Samples per second of the input."""
    @property
    def delay(self) -> float:
        """The delay of the codec, in seconds, in addition to the duration of a frame."""

@final
class OpusDecoder(Generic[_Out]):
    """Decodes one stream of Opus packets to mono sound.

    Packets of any rate and of one or two channels are decoded to mono at `sample_rate`. Use one
    object per stream; calls from several threads are serialised.

    Args:
        sample_rate: Samples per second of the output: 8000, 12000, 16000, 24000 or 48000.
        output: The output of the methods: "bytes" (16-bit little-endian PCM), "int16" or
            "float32" (numpy arrays; floats in -1.0..=1.0, which may overshoot).

    Raises:
        ValueError: An argument has another value.
    """

    @overload
    def __new__(
        cls, sample_rate: int, *, output: Literal["bytes"] = "bytes"
    ) -> OpusDecoder[bytes]: ...
    @overload
    def __new__(
        cls, sample_rate: int, *, output: Literal["int16"]
    ) -> OpusDecoder[NDArray[np.int16]]: ...
    @overload
    def __new__(
        cls, sample_rate: int, *, output: Literal["float32"]
    ) -> OpusDecoder[NDArray[np.float32]]: ...
    @classmethod
    def __class_getitem__(cls, key: Any) -> GenericAlias: ...
    def decode(self, packet: Buffer) -> _Out:
        """Decodes one packet.

        Args:
            packet: Bytes-like, without any framing.

        Returns:
            Its 2.5 to 120 ms of sound, in the type chosen by `output`.

        Raises:
            TypeError: `packet` is not bytes-like.
            ValueError: `packet` is not valid Opus. The stream continues with the next packet.
        """
    def conceal(self, duration: float | None = None) -> _Out:
        """Conceals a lost packet.

        Args:
            duration: Its duration, in seconds: 0.0025 to 0.12 in steps of 0.0025. None takes the
                duration of the previous packet.

        Raises:
            ValueError: `duration` has another value.
        """
    def recover(self, next_packet: Buffer, duration: float | None = None) -> _Out:
        """Decodes a lost packet from the copy in the next one, or conceals it without one.

        Args:
            next_packet: The packet after the lost one. Decode it afterwards as usual.
            duration: The duration of the lost packet, in seconds, as for `conceal`.

        Raises:
            TypeError: `next_packet` is not bytes-like.
            ValueError: `next_packet` is not valid Opus, or `duration` has another value.
        """
    @property
    def sample_rate(self) -> int:
        """Samples per second of the output."""

@final
class Level:
    """A level: root mean square and largest magnitude, on the scale where 1.0 is full scale."""

    @property
    def rms(self) -> float:
        """Root mean square; a full-scale sine has 0.707."""
    @property
    def peak(self) -> float:
        """The largest magnitude."""
    @property
    def rms_dbfs(self) -> float:
        """`rms` in decibels relative to full scale; minus infinity for silence."""
    @property
    def peak_dbfs(self) -> float:
        """`peak` in decibels relative to full scale; minus infinity for silence."""
    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class LevelMeter:
    """Measures the level of a stream, like a level meter.

    The mean square is averaged over about `integration` seconds; the peak jumps up at once
    and falls by `fall` decibels per second. The levels do not depend on how the stream is
    split into chunks.

    Args:
        sample_rate: Samples per second.
        integration: Time constant of the mean, in seconds.
        fall: How fast the peak falls, in decibels per second.

    Raises:
        ValueError: `sample_rate` or `integration` is not positive, or `fall` is negative.
    """

    def __new__(
        cls, sample_rate: int, *, integration: float = 0.3, fall: float = 20.0
    ) -> LevelMeter: ...
    def process(self, samples: _Samples) -> Level:
        """Processes a mono chunk of any length and returns the level at its end.

        Raises:
            TypeError: `samples` is neither bytes-like nor an array of int16 or float32.
            ValueError: It has an odd number of bytes, another shape, NaN or infinity.
        """

def level(samples: _Samples) -> Level:
    """Measures the level of samples.

    Args:
        samples: Bytes-like 16-bit little-endian PCM, or an `(n,)` or `(n, 1)` array of int16 or
            of float32 in -1.0..=1.0. No samples count as silence.

    Raises:
        TypeError: `samples` has another type.
        ValueError: It has an odd number of bytes, another shape, NaN or infinity.
    """

def mulaw_encode(samples: _Samples) -> bytes:
    """Encodes sound to G.711 mu-law (`audio/pcmu`), one byte per sample.

    Args:
        samples: Bytes-like 16-bit little-endian PCM, or an `(n,)` or `(n, 1)` array of int16 or
            of float32 in -1.0..=1.0, at 8000 samples per second.

    Raises:
        TypeError: `samples` has another type.
        ValueError: It has an odd number of bytes, another shape, NaN or infinity.
    """

@overload
def mulaw_decode(data: Buffer, *, output: Literal["bytes"] = "bytes") -> bytes:
    """Decodes G.711 mu-law (`audio/pcmu`), one sample per byte.

    Args:
        data: Bytes-like. Every byte is a code.
        output: "bytes" (16-bit little-endian PCM), "int16" or "float32" (numpy arrays).

    Raises:
        TypeError: `data` is not bytes-like.
        ValueError: `output` is none of the above.
    """

@overload
def mulaw_decode(data: Buffer, *, output: Literal["int16"]) -> NDArray[np.int16]: ...
@overload
def mulaw_decode(data: Buffer, *, output: Literal["float32"]) -> NDArray[np.float32]: ...
def alaw_encode(samples: _Samples) -> bytes:
    """Encodes sound to G.711 A-law (`audio/pcma`), one byte per sample.

    Args:
        samples: Bytes-like 16-bit little-endian PCM, or an `(n,)` or `(n, 1)` array of int16 or
            of float32 in -1.0..=1.0, at 8000 samples per second.

    Raises:
        TypeError: `samples` has another type.
        ValueError: It has an odd number of bytes, another shape, NaN or infinity.
    """

@overload
def alaw_decode(data: Buffer, *, output: Literal["bytes"] = "bytes") -> bytes:
    """Decodes G.711 A-law (`audio/pcma`), one sample per byte.

    Args:
        data: Bytes-like. Every byte is a code.
        output: "bytes" (16-bit little-endian PCM), "int16" or "float32" (numpy arrays).

    Raises:
        TypeError: `data` is not bytes-like.
        ValueError: `output` is none of the above.
    """

@overload
def alaw_decode(data: Buffer, *, output: Literal["int16"]) -> NDArray[np.int16]: ...
@overload
def alaw_decode(data: Buffer, *, output: Literal["float32"]) -> NDArray[np.float32]: ...
def base64_encode(data: Buffer) -> bytes:
    """Encodes bytes to base64 (standard alphabet, padded), as audio is sent on the wire.

    Args:
        data: Bytes-like.

    Returns:
        ASCII `bytes`, as `base64.b64encode` does.

    Raises:
        TypeError: `data` is not bytes-like.
    """

def base64_decode(text: str | Buffer) -> bytes:
    """Decodes base64 (standard alphabet, padding optional).

    Args:
        text: `str` or bytes-like ASCII, without whitespace.

    Raises:
        TypeError: `text` has another type.
        ValueError: `text` is not valid base64.
    """
