"""Base64 against the standard library."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stapes.audio import base64_decode, base64_encode


@given(st.binary(max_size=3_000))
def test_it_is_the_standard_library_s_base64(data):
    text = base64.b64encode(data)
    assert base64_encode(data) == text
    assert base64_encode(bytearray(data)) == text
    assert base64_decode(text) == data
    assert base64_decode(text.decode()) == data
    assert base64_decode(memoryview(text)) == data
    assert base64_decode(text.rstrip(b"=")) == data


@given(st.text(max_size=50) | st.binary(max_size=50))
def test_any_text_is_decoded_or_refused_by_name(text):
    encoded = text.encode() if isinstance(text, str) else text
    try:
        expected = base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True)
    except ValueError:
        expected = None
    if expected is None or base64.b64encode(expected).rstrip(b"=") != encoded.rstrip(b"="):
        with pytest.raises(ValueError, match="text: "):
            base64_decode(text)
    else:
        assert base64_decode(text) == expected


def test_whitespace_is_refused():
    with pytest.raises(ValueError, match="text: audio is not valid base64"):
        base64_decode("AAAA\nAAAA")


def test_wrong_types_are_named():
    with pytest.raises(TypeError, match="data must be a bytes-like object, not str"):
        base64_encode("text")
    with pytest.raises(TypeError, match="text must be str or a bytes-like object, not int"):
        base64_decode(3)
