"""WAV files."""

from __future__ import annotations

import wave
from os import PathLike, fspath
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Buffer

    File = str | PathLike[str] | IO[bytes]

# numpy is imported where it is used: it takes longer to load than all the rest of `stapes.audio`.


def read_wav(file: File) -> tuple[NDArray[np.int16], int]:
    """Read a WAV file of 8, 16, 24 or 32-bit linear PCM.

    Args:
        file: A path or a binary file open for reading.

    Returns:
        The samples, int16, of shape `(n,)` if the file is mono and `(n, channels)` if it is not,
        and the number of samples per second. 24 and 32-bit samples are rounded to nearest.

    Raises:
        ValueError: The file is no WAV file of linear PCM (a compressed or floating-point one, say).
        OSError: It cannot be read.
    """
    import numpy as np

    try:
        with wave.open(_openable(file), "rb") as reader:
            parameters = reader.getparams()
            data = reader.readframes(parameters.nframes)
    except (wave.Error, EOFError) as error:
        reason = str(error) or "it ends early"
        raise ValueError(f"{_name(file)} is not a WAV file of linear PCM: {reason}") from error

    match parameters.sampwidth:
        case 1:
            # Eight-bit WAV is unsigned.
            samples = (np.frombuffer(data, np.uint8).astype(np.int16) - 128) * np.int16(256)
        case 2:
            samples = np.frombuffer(data, "<i2").astype(np.int16)
        case 3 | 4 as width:
            wide = np.zeros((len(data) // width, 4), np.uint8)
            wide[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)
            halved = wide.view("<i4").reshape(-1).astype(np.int64) + (1 << 15) >> 16
            samples = np.minimum(halved, np.iinfo(np.int16).max).astype(np.int16)
        case width:
            raise ValueError(f"{_name(file)} has {8 * width}-bit samples: expected 8, 16, 24 or 32")
    if parameters.nchannels > 1:
        samples = samples.reshape(-1, parameters.nchannels)
    return samples, parameters.framerate


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
        ValueError: It has an odd number of bytes or another shape, contains NaN, or `sample_rate`
            is not positive.
        OSError: The file cannot be written.
    """
    pcm, channels = _pcm16(samples)
    if sample_rate < 1:
        raise ValueError(f"sample_rate is {sample_rate}: expected a positive number")
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


def _name(file: Any) -> str:
    return repr(file) if isinstance(file, (str, PathLike)) else "the file"
