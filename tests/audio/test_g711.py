"""G.711 against independent implementations, over everything there is."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stapes import audio

EVERY_CODE = bytes(range(256))
EVERY_SAMPLE = np.arange(-32_768, 32_768, dtype=np.int16)

LAWS = [
    pytest.param(audio.mulaw_encode, audio.mulaw_decode, id="mulaw"),
    pytest.param(audio.alaw_encode, audio.alaw_decode, id="alaw"),
]


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="audioop left the standard library")
@pytest.mark.filterwarnings("ignore:'audioop' is deprecated")
def test_the_standard_library_agrees_on_every_code_and_sample():
    import audioop

    assert audio.mulaw_decode(EVERY_CODE) == audioop.ulaw2lin(EVERY_CODE, 2)
    assert audio.alaw_decode(EVERY_CODE) == audioop.alaw2lin(EVERY_CODE, 2)

    pcm = EVERY_SAMPLE.tobytes()
    assert audio.alaw_encode(pcm) == audioop.lin2alaw(pcm, 2)
    # For negative samples audioop rounds the 14-bit magnitude up where ITU-T G.191 takes the ones'
    # complement, which shifts its intervals by three: shifted back, the two agree.
    positive = EVERY_SAMPLE[EVERY_SAMPLE >= 0]
    assert audio.mulaw_encode(positive) == audioop.lin2ulaw(positive.tobytes(), 2)
    negative = EVERY_SAMPLE[(EVERY_SAMPLE < 0) & (EVERY_SAMPLE < 32_764)]
    complement = (~negative).tobytes()
    expected = bytes(code ^ 0x80 for code in audioop.lin2ulaw(complement, 2))
    assert audio.mulaw_encode(negative) == expected


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_every_kind_of_input_and_output_agrees(encode, decode):
    codes = encode(EVERY_SAMPLE)
    assert isinstance(codes, bytes)
    assert encode(EVERY_SAMPLE.tobytes()) == codes
    assert encode(EVERY_SAMPLE.astype(np.float32) / 32_768) == codes

    pcm = decode(codes)
    assert decode(memoryview(codes)) == pcm
    integers = decode(codes, output="int16")
    assert integers.dtype == np.int16
    assert integers.tobytes() == pcm
    floats = decode(codes, output="float32")
    assert floats.dtype == np.float32
    assert np.array_equal(floats * 32_768, integers)


@pytest.mark.parametrize(("encode", "decode"), LAWS)
@given(codes=st.binary(max_size=500))
def test_any_bytes_decode_to_as_many_samples(encode, decode, codes):
    assert len(decode(codes)) == 2 * len(codes)
    assert decode(encode(decode(codes))) == decode(codes)


@pytest.mark.parametrize(("encode", "decode"), LAWS)
def test_bad_input_is_named(encode, decode):
    with pytest.raises(ValueError, match="samples has 1 bytes"):
        encode(b"x")
    with pytest.raises(ValueError, match="samples contains NaN"):
        encode(np.array([np.nan], np.float32))
    with pytest.raises(TypeError, match="samples must be"):
        encode(np.zeros(2, np.float64))
    with pytest.raises(TypeError, match="data must be a bytes-like object, not str"):
        decode("text")
    with pytest.raises(TypeError, match="data must be a bytes-like object"):
        decode(np.zeros(2, np.int16))
    with pytest.raises(ValueError, match='output is "int8"'):
        decode(b"x", output="int8")
