"""One-time tokens of calls."""

from __future__ import annotations

import string
import threading
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stapes.calls import (
    CallTokens,
    TokenError,
    TokenExpiredError,
    TokenForgedError,
    TokenMalformedError,
    TokenPathError,
    TokenUsedError,
)
from stapes.errors import StapesError

NOW = 1_800_000_000.0


def test_a_token_is_good_once():
    tokens = CallTokens()
    token = tokens.mint("/twilio")
    tokens.check(token, "/twilio")
    with pytest.raises(TokenUsedError, match="used before"):
        tokens.check(token, "/twilio")


def test_a_token_is_good_for_its_lifetime():
    tokens = CallTokens(lifetime=2.5)
    first, second = (tokens.mint("/", now=NOW) for _ in range(2))
    tokens.check(first, "/", now=NOW + 2.4)
    with pytest.raises(TokenExpiredError, match=r"expired 1\.5 s ago"):
        tokens.check(second, "/", now=NOW + 4)


def test_a_token_is_for_one_path():
    tokens = CallTokens()
    token = tokens.mint("/a")
    with pytest.raises(TokenPathError, match="token_path="):
        tokens.check(token, "/b")
    tokens.check(token, "/a")


def test_workers_with_one_secret_accept_each_others_tokens():
    for secret in ("a secret of theirs", b"a secret of theirs"):
        token = CallTokens(secret).mint("/")
        CallTokens("a secret of theirs").check(token, "/")
        with pytest.raises(TokenForgedError, match="secret="):
            CallTokens("a secret of others").check(token, "/")
        with pytest.raises(TokenForgedError):
            CallTokens().check(token, "/")


@pytest.mark.parametrize("token", [None, "", "x", "A" * 76, "é" * 76, "AQ" * 38 + "\n"])
def test_what_is_no_token_is_malformed(token: str | None):
    with pytest.raises(TokenMalformedError, match="tokens="):
        CallTokens().check(token, "/")


def test_all_errors_of_tokens_can_be_caught_at_once():
    with pytest.raises(TokenError) as caught:
        CallTokens().check("x", "/")
    assert isinstance(caught.value, StapesError)


@given(path=st.text(max_size=40), other=st.text(max_size=40))
def test_tokens_may_stand_in_urls_and_belong_to_their_path(path: str, other: str):
    tokens = CallTokens()
    token = tokens.mint(path, now=NOW)
    assert quote(token, safe="") == token
    assert len(token) == 76
    if other != path:
        with pytest.raises(TokenPathError):
            tokens.check(token, other, now=NOW)
    tokens.check(token, path, now=NOW)


@given(position=st.integers(0, 75), character=st.sampled_from(string.ascii_letters + "-_"))
def test_a_token_with_any_character_changed_is_not_accepted(position: int, character: str):
    tokens = CallTokens()
    token = tokens.mint("/", now=NOW)
    changed = token[:position] + character + token[position + 1 :]
    if changed != token:
        with pytest.raises((TokenForgedError, TokenMalformedError)):
            tokens.check(changed, "/", now=NOW)
    tokens.check(token, "/", now=NOW)


def test_of_several_threads_one_may_use_a_token():
    tokens = CallTokens()
    token = tokens.mint("/")
    accepted: list[bool] = []
    begin = threading.Barrier(8)

    def use() -> None:
        begin.wait()
        try:
            tokens.check(token, "/")
        except TokenUsedError:
            accepted.append(False)
        else:
            accepted.append(True)

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(accepted) == [False] * 7 + [True]


def test_a_secret_is_not_shown():
    tokens = CallTokens("a secret of theirs", lifetime=5)
    assert repr(tokens) == "CallTokens(lifetime=5)"
    assert tokens.lifetime == 5.0
    with pytest.raises(ValueError, match="at least 16") as caught:
        CallTokens("short secret")
    assert "short secret" not in str(caught.value)


def test_what_cannot_be_is_refused():
    for lifetime in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match="lifetime"):
            CallTokens(lifetime=lifetime)
    with pytest.raises(TypeError, match="secret"):
        CallTokens(5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="now"):
        CallTokens().mint("/", now=-1)


def test_the_default_lifetime_is_a_minute():
    assert CallTokens().lifetime == 60.0
