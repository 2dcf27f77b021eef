"""WAV files."""

from __future__ import annotations

import wave
from os import PathLike, fspath
from typing import IO, TYPE_CHECKING, Any

from stapes._core.audio import alaw_decode, mulaw_decode
from stapes.audio.riff import Encoding, NotWavError, WavSound, parse_wav

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Buffer

    File = str | PathLike[str] | IO[bytes]

# numpy is imported where it is used: it takes longer to load than all the rest of `stapes.audio`.

# A WAV file states its size, and that of a second of its sound, in 32 bits.
_MOST = 0xFFFF_FFFF
_HEADER = 44


def read_wav(file: File) -> tuple[NDArray[np.int16], int]:
    """Read a WAV file.

    Linear PCM of 8 to 32 bits, floating point of 32 or 64 bits (full scale is 1.0), G.711 mu-law
    and A-law; as plain WAV, WAVE_FORMAT_EXTENSIBLE or RF64. What a header claims beyond the end of
    the file does not count: a recording that was cut off or streamed is read as far as it goes.

    Args:
        file: A path or a binary file open for reading.

    Returns:
        The samples, int16, of shape `(n,)` if the file is mono and `(n, channels)` if it is not,
        and the number of samples per second. Wider samples are rounded to nearest and saturate.

    Raises:
        ValueError: The file is none of that; the message has its name.
        OSError: It cannot be read.
    """
    try:
        wav = parse_wav(_content(file))
    except NotWavError as error:
        raise ValueError(
            f"{_name(file)} is not a WAV file of linear PCM, floating-point or G.711 sound: {error}"
        ) from None
    samples = _samples(wav)
    if wav.channels > 1:
        samples = samples.reshape(-1, wav.channels)
    return samples, wav.sample_rate


def _samples(wav: WavSound) -> NDArray[np.int16]:
    import numpy as np

    match wav.encoding:
        case Encoding.MULAW:
            return mulaw_decode(wav.data, output="int16")
        case Encoding.ALAW:
            return alaw_decode(wav.data, output="int16")
        case Encoding.FLOAT:
            floats = np.frombuffer(wav.data, f"<f{wav.width}")
            scaled = np.nan_to_num(floats, nan=0.0, posinf=1.0, neginf=-1.0).clip(-1, 1) * 32768
            return _clipped(np.rint(scaled))
        case Encoding.PCM:
            return _pcm_samples(wav.data, wav.width)


def _pcm_samples(data: memoryview, width: int) -> NDArray[np.int16]:
    import numpy as np

    if width == 2:
        return np.frombuffer(data, "<i2").astype(np.int16)
    if width == 1:
        # Eight-bit WAV is unsigned.
        return _clipped((np.frombuffer(data, np.uint8).astype(np.int32) - 128) * 256)
    wide = np.zeros((len(data) // width, 4), np.uint8)
    wide[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
    return _clipped(wide.view("<i4").reshape(-1).astype(np.int64) + (1 << 15) >> 16)


def _clipped(samples: NDArray[Any]) -> NDArray[np.int16]:
    import numpy as np

    return samples.clip(-32768, 32767).astype(np.int16)


def write_wav(
    file: File,
    samples: Buffer | NDArray[np.int16] | NDArray[np.float32],
    sample_rate: int,
) -> None:
    """Write a WAV file of 16-bit linear PCM.

    Args:
        file: A path or a binary file open for writing.
        samples: Bytes-like 16-bit little-endian PCM (mono), or an array of int16 or of float32 in
            -1.0 to 1.0 of shape `(n,)` or `(n, channels)`. Floats are rounded to nearest and
            saturate.
        sample_rate: Samples per second.

    Raises:
        TypeError: `samples` is nothing of the above.
        ValueError: It has an odd number of bytes or another shape, contains NaN, or is more than a
            WAV file holds (4 GiB); or `sample_rate` is not positive, or more than one states.
        OSError: The file cannot be written.
    """
    pcm, channels = _pcm16(samples)
    if sample_rate < 1:
        raise ValueError(f"sample_rate is {sample_rate}: expected a positive number")
    if sample_rate * 2 * channels > _MOST:
        raise ValueError(f"sample_rate is {sample_rate}: a WAV file cannot state so high a rate")
    if len(pcm) > _MOST - _HEADER:
        raise ValueError(f"samples has {len(pcm)} bytes: a WAV file holds less than 4 GiB")
    with wave.open(_openable(file), "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(pcm)


def _pcm16(samples: Any) -> tuple[bytes, int]:
    """Give little-endian 16-bit PCM and the number of channels."""
    import numpy as np

    if not isinstance(samples, np.ndarray):
        try:
            view = memoryview(samples)
        except TypeError:
            raise TypeError(
                "samples must be bytes-like 16-bit PCM or an int16 or float32 array, "
                f"not {type(samples).__name__}"
            ) from None
        if view.format in ("B", "b", "c"):
            if view.nbytes % 2:
                raise ValueError(f"samples has {view.nbytes} bytes: 16-bit PCM has an even number")
            return view.tobytes(), 1
        samples = np.asarray(view)

    if samples.ndim not in (1, 2) or (samples.ndim == 2 and samples.shape[1] == 0):
        raise ValueError(f"samples has shape {samples.shape}: expected (n,) or (n, channels)")
    if samples.dtype == np.float32:
        if not np.isfinite(samples).all():
            raise ValueError("samples contains NaN or infinity")
        samples = np.clip(np.rint(samples * np.float32(32768)), -32768, 32767)
    elif samples.dtype != np.int16:
        raise TypeError(
            f"samples is an array of {samples.dtype}: convert it to int16, "
            "or to float32 in -1.0 to 1.0"
        )
    channels = samples.shape[1] if samples.ndim == 2 else 1
    return samples.astype("<i2").tobytes(), channels


def _openable(file: Any) -> Any:
    return fspath(file) if isinstance(file, PathLike) else file


def _content(file: Any) -> bytes:
    if isinstance(file, (str, bytes, PathLike)):
        with open(file, "rb") as opened:
            return opened.read()
    content: bytes = file.read()
    return content


def _name(file: Any) -> str:
    name = fspath(file) if isinstance(file, PathLike) else file
    if not isinstance(name, str):
        name = getattr(file, "name", None)
    return name if isinstance(name, str) else "the file"
