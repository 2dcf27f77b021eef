"""Signatures by which carriers prove that a request is theirs.

The vectors are those of the carriers' own SDKs and documentation. What has none is signed here by a
second implementation, Python's own `hmac` and `cryptography`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stapes.calls import (
    SignatureError,
    validate_plivo,
    validate_signalwire,
    validate_telnyx,
    validate_twilio,
    validate_vonage,
)
from stapes.errors import StapesError

if TYPE_CHECKING:
    import random

URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
TOKEN = "12345"
SIGNATURE = "RSOYDt4T1cUTdK1PDd93/VVr8B8="
FORM = {
    "CallSid": "CA1234567890ABCDE",
    "Digits": "1234",
    "From": "+14158675309",
    "To": "+18005551212",
    "Caller": "+14158675309",
}
NOW = 1_800_000_000.0


def sha1(secret: str, message: str) -> str:
    tag = hmac.new(secret.encode(), message.encode(), hashlib.sha1).digest()
    return base64.b64encode(tag).decode()


def reason(call: Any, *args: Any, **options: Any) -> str | None:
    """Why a request is not accepted, or `None` if it is."""
    try:
        call(*args, **options)
    except SignatureError as error:
        return error.reason
    return None


class TestTwilio:
    def test_vectors_of_the_sdk_and_the_documentation_are_accepted(self):
        validate_twilio(TOKEN, URL, SIGNATURE, FORM)
        documented = {**FORM, "From": "+12349013030", "Caller": "+12349013030"}
        validate_twilio(TOKEN, URL, "0/KCTR6DLpKmkAf8muzZqo1nDgQ=", documented)

    @pytest.mark.parametrize(
        ("old", "new", "signature"),
        [
            (".com", ".com:1234", SIGNATURE),
            ("https://mycompany.com", "http://mycompany.com:1234", "Zmvh+3yNM1Phv2jhDCwEM3q5ebU="),
            ("", "", "kvajT1Ptam85bY51eRf/AJRuM3w="),
            ("https", "http", "0ZXoZLH/DfblKGATFgpif+LLRf4="),
        ],
    )
    def test_a_port_may_be_signed_or_not(self, old: str, new: str, signature: str):
        validate_twilio(TOKEN, URL.replace(old, new), signature, FORM)

    @pytest.mark.parametrize(
        ("url", "params"),
        [
            (URL, {**FORM, "Digits": "1235"}),
            (URL, {**FORM, "More": "1"}),
            (URL, {name: value for name, value in FORM.items() if name != "To"}),
            (URL, None),
            (URL.replace("https", "http"), FORM),
            (URL.replace("bar=2", "bar=3"), FORM),
            (URL.replace("foo=1&bar=2", "bar=2&foo=1"), FORM),
            ("https://internal:8000/myapp.php?foo=1&bar=2", FORM),
        ],
    )
    def test_what_was_changed_does_not_match(self, url: str, params: dict[str, str] | None):
        assert reason(validate_twilio, TOKEN, url, SIGNATURE, params) == "mismatch"

    def test_another_secret_does_not_match_and_none_is_shown(self):
        with pytest.raises(SignatureError, match="public_url=") as caught:
            validate_twilio("another secret", URL, SIGNATURE, FORM)
        shown = f"{caught.value!s} {caught.value!r}"
        assert "another secret" not in shown
        assert SIGNATURE not in shown

    def test_values_of_one_name_are_signed_sorted_and_once(self):
        pairs = [("Sid", "CA123"), ("SidAccount", "AC123")]
        digits = ["5678", "1234", "1234"]
        signature = "IK+Dwps556ElfBT0I3Rgjkr1wJU="
        listed = [*pairs, *(("Digits", digit) for digit in digits)]
        validate_twilio(TOKEN, URL, signature, listed)
        validate_twilio(TOKEN, URL, signature, {**dict(pairs), "Digits": digits})

    def test_forms_of_frameworks_give_all_values_of_a_name(self):
        pairs = [("Digits", "5678"), ("Digits", "1234")]
        signature = sha1(TOKEN, f"{URL}Digits1234Digits5678")

        class Starlette(dict[str, str]):
            def multi_items(self) -> list[tuple[str, str]]:
                return pairs

        class Django(dict[str, str]):
            def lists(self) -> list[tuple[str, list[str]]]:
                return [("Digits", [value for _, value in pairs])]

        for form in (Starlette(pairs), Django(pairs)):
            validate_twilio(TOKEN, URL, signature, form)

    def test_a_form_of_starlette_gives_all_values_of_a_name(self):
        datastructures = pytest.importorskip("starlette.datastructures")
        form = datastructures.FormData([("Digits", "5678"), ("Digits", "1234")])
        validate_twilio(TOKEN, URL, sha1(TOKEN, f"{URL}Digits1234Digits5678"), form)

    def test_names_and_values_of_all_languages_are_signed_as_utf8(self):
        form = {"Ünïcode": "naïve ☎ 電話", "Body": "\U0001f600", "Empty": ""}
        message = URL + "".join(name + form[name] for name in sorted(form))
        validate_twilio(TOKEN, URL, sha1(TOKEN, message), form)

    def test_a_json_body_is_signed_by_its_hash(self):
        body = b'{"property": "value", "boolean": true}'
        url = f"{URL}&bodySHA256={hashlib.sha256(body).hexdigest()}"
        signature = "a9nBmqA0ju/hNViExpshrM61xv4="
        for bytes_like in (body, bytearray(body), memoryview(body)):
            validate_twilio(TOKEN, url, signature, body=bytes_like)
        assert reason(validate_twilio, TOKEN, url, signature, body=body + b" ") == "body_changed"
        assert reason(validate_twilio, TOKEN, url, signature) == "body_changed"
        other = url.replace("bodySHA256=0a", "bodySHA256=0b")
        assert reason(validate_twilio, TOKEN, other, signature, body=body) == "mismatch"

    def test_a_body_that_nothing_signs_is_not_accepted(self):
        found = reason(validate_twilio, TOKEN, URL, sha1(TOKEN, URL), body=b"a=1")
        assert found == "body_not_signed"

    @pytest.mark.parametrize("url", ["wss://example.com/media", "wss://example.com:8443/media"])
    def test_an_upgrade_is_signed_over_the_url_of_the_twiml(self, url: str):
        validate_twilio(TOKEN, url, sha1(TOKEN, url))
        validate_twilio(TOKEN, url, sha1(TOKEN, "wss://example.com/media"))
        assert reason(validate_twilio, TOKEN, "https" + url[3:], sha1(TOKEN, url)) == "mismatch"

    @pytest.mark.parametrize("signature", ["", "AAAA", SIGNATURE[:-4], SIGNATURE.lower()])
    def test_a_cut_or_changed_signature_does_not_match(self, signature: str):
        assert reason(validate_twilio, TOKEN, URL, signature, FORM) in ("mismatch", "malformed")

    def test_a_missing_header_is_named(self):
        with pytest.raises(SignatureError, match="no X-Twilio-Signature") as caught:
            validate_twilio(TOKEN, URL, None, FORM)
        assert caught.value.reason == "missing"
        assert isinstance(caught.value, StapesError)

    def test_an_empty_secret_is_refused_though_everybody_could_sign_with_it(self):
        with pytest.raises(ValueError, match="auth_token"):
            validate_twilio("", URL, sha1("", URL))

    def test_a_url_that_is_not_absolute_is_refused(self):
        with pytest.raises(ValueError, match="url: it is not absolute"):
            validate_twilio(TOKEN, "/myapp.php", SIGNATURE, FORM)

    def test_params_that_are_no_strings_are_named(self):
        with pytest.raises(TypeError, match="'Digits' has a int"):
            validate_twilio(TOKEN, URL, SIGNATURE, {"Digits": 1})  # type: ignore[dict-item]

    def test_a_form_and_a_body_together_are_refused(self):
        with pytest.raises(TypeError, match="not both"):
            validate_twilio(TOKEN, URL, SIGNATURE, FORM, body=b"")


class TestSignalWire:
    KEY = "PSKtest1234567890abcdef"

    def test_a_form_is_signed_as_twilio_does(self):
        validate_signalwire(TOKEN, URL, SIGNATURE, FORM)
        changed = {**FORM, "Digits": "1"}
        assert reason(validate_signalwire, TOKEN, URL, SIGNATURE, changed) == "mismatch"

    def test_only_the_port_of_the_scheme_may_be_left_out(self):
        validate_signalwire(TOKEN, URL.replace(".com", ".com:443"), SIGNATURE, FORM)
        other = URL.replace(".com", ".com:444")
        assert reason(validate_signalwire, TOKEN, other, SIGNATURE, FORM) == "mismatch"

    def test_another_body_is_signed_in_hexadecimal_digits(self):
        url = "https://example.ngrok.io/webhook"
        body = b'{"event":"call.state","params":{"call_id":"abc-123","state":"answered"}}'
        signature = "c3c08c1fefaf9ee198a100d5906765a6f394bf0f"
        validate_signalwire(self.KEY, url, signature, body=body)
        found = reason(validate_signalwire, self.KEY, url, signature, body=body[:-1])
        assert found == "mismatch"

    def test_a_hash_in_the_url_signs_a_body_too(self):
        body = b'{"event":"call.state"}'
        digest = "69f3cbfc18e386ef8236cb7008cd5a54b7fed637a8cb3373b5a1591d7f0fd5f4"
        url = f"https://example.ngrok.io/webhook?bodySHA256={digest}"
        signature = "dfO9ek8mxyFtn2nMz24plPmPfIY="
        validate_signalwire(self.KEY, url, signature, body=body)
        found = reason(validate_signalwire, self.KEY, url, signature, body=b"{}")
        assert found == "body_changed"

    def test_a_signature_of_the_url_alone_signs_no_body(self):
        found = reason(validate_signalwire, TOKEN, URL, sha1(TOKEN, URL), body=b"{}")
        assert found == "body_not_signed"


@pytest.fixture(scope="module")
def key() -> Any:
    ed25519 = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ed25519")
    return ed25519.Ed25519PrivateKey.generate()


class TestTelnyx:
    BODY = b'{"data":{"event_type":"call.initiated"}}'

    @staticmethod
    def public(key: Any) -> str:
        return base64.b64encode(key.public_key().public_bytes_raw()).decode()

    @staticmethod
    def sign(key: Any, timestamp: str, body: bytes) -> str:
        return base64.b64encode(key.sign(timestamp.encode() + b"|" + body)).decode()

    def test_time_and_body_are_signed(self, key: Any):
        timestamp = str(int(time.time()))
        signature = self.sign(key, timestamp, self.BODY)
        validate_telnyx(self.public(key), timestamp, signature, self.BODY)
        found = reason(validate_telnyx, self.public(key), timestamp, signature, b"{}")
        assert found == "mismatch"
        later = str(int(timestamp) + 1)
        found = reason(validate_telnyx, self.public(key), later, signature, self.BODY)
        assert found == "mismatch"

    @pytest.mark.parametrize(
        ("ahead", "max_age", "expected"),
        [
            (0, 300, None),
            (-300, 300, None),
            (300, 300, None),
            (-301, 300, "too_old"),
            (301, 300, "from_the_future"),
            (-1, 0, "too_old"),
            (-3000, 3600, None),
        ],
    )
    def test_its_age_is_bounded_either_way(
        self, key: Any, ahead: int, max_age: float, expected: str | None
    ):
        timestamp = str(int(NOW) + ahead)
        signature = self.sign(key, timestamp, self.BODY)
        arguments = (self.public(key), timestamp, signature, self.BODY, max_age)
        assert reason(validate_telnyx, *arguments, now=NOW) == expected

    def test_a_replay_is_too_old(self, key: Any):
        signature = self.sign(key, "1800000000", self.BODY)
        with pytest.raises(SignatureError, match="600 s old and at most 300 s") as caught:
            validate_telnyx(self.public(key), "1800000000", signature, self.BODY, now=NOW + 600)
        assert caught.value.reason == "too_old"

    def test_swapped_headers_are_malformed(self, key: Any):
        signature = self.sign(key, "1800000000", self.BODY)
        found = reason(validate_telnyx, self.public(key), signature, "1800000000", self.BODY)
        assert found == "malformed"

    def test_missing_headers_are_named(self, key: Any):
        for timestamp, signature, header in [
            (None, "AAAA", "telnyx-timestamp"),
            ("1", None, "telnyx-signature-ed25519"),
        ]:
            with pytest.raises(SignatureError, match=f"no {header}"):
                validate_telnyx(self.public(key), timestamp, signature, self.BODY)

    @pytest.mark.parametrize("public_key", ["", "AAAA", "KEY0123456789", "a" * 64])
    def test_what_is_no_public_key_is_the_users_mistake(self, public_key: str):
        with pytest.raises(ValueError, match="public_key"):
            validate_telnyx(public_key, "1", "AAAA", self.BODY)

    @pytest.mark.parametrize("max_age", [-1.0, float("nan")])
    def test_a_bound_that_cannot_be_is_refused(self, key: Any, max_age: float):
        with pytest.raises(ValueError, match="max_age"):
            validate_telnyx(self.public(key), "1", "AAAA", self.BODY, max_age)


class TestPlivo:
    TOKEN = "Y2Q2ZDgxZmY5YWRiOTI5YmQ1Njg0MTAxZWIyOTc4"
    NONCE = "31627761595286130198"
    BARE = "https://plivobin.non-prod.plivops.com/api/v1/validate_signature03.xml"
    QUERY = f"{BARE}/?a=b&c=d"
    UUID = "3e82ae9d-2c78-4d85-b1a4-6eae7dbafb36"
    FORM: ClassVar = {
        "Direction": "outbound",
        "From": "19792014278",
        "ALegUUID": UUID,
        "CallStatus": "in-progress",
        "BillRate": "0.002",
        "ParentAuthID": "MANWVLYTK4ZWU1YTY4QA",
        "To": "sip:PlivoSignature382029104058171078704104@phone-qa.voice.plivodev.com",
        "ALegRequestUUID": UUID,
        "CallUUID": UUID,
        "RequestUUID": UUID,
        "SIP-H-To": "<sip:PlivoSignature382029104058171078704104@52.9.11.55;transport=udp>;tag=1",
        "SessionStart": "2020-04-08 11:34:33.238707",
        "Event": "StartApp",
    }
    VECTORS: ClassVar = [
        ("POST", QUERY, "k7Pusd4OxCIjR5IfA9iedDNu/h/gbdYqdzG/MiYtd1c="),
        ("GET", QUERY, "UBq8jAtd32wR8EK9VgxbBn4n5rpI/l1H9iN4WfSEHFQ="),
        ("POST", BARE, "iAjE5QqI37mbkYe4w3jTMudqEzbDufdqi7sYwTu64e0="),
        ("GET", BARE, "i/MQsaQSAd6fiKhOh2qeeeLHZ9faldADSb3/7+Akfbc="),
    ]

    @pytest.mark.parametrize(("method", "url", "signature"), VECTORS)
    def test_vectors_of_the_sdk_are_accepted_and_only_as_they_are(
        self, method: str, url: str, signature: str
    ):
        good = (self.TOKEN, method, url, signature, self.NONCE, self.FORM)
        validate_plivo(*good)
        validate_plivo(self.TOKEN, method.lower(), *good[2:])
        other_method = {"GET": "POST", "POST": "GET"}[method]
        for position, other in [
            (0, "other"),
            (1, other_method),
            (2, url.replace("api", "apj")),
            (3, signature.replace("=", "A=")[1:]),
            (4, self.NONCE[::-1]),
            (5, {**self.FORM, "From": "1"}),
            (5, None),
        ]:
            changed = [*good[:position], other, *good[position + 1 :]]
            assert reason(validate_plivo, *changed) in ("mismatch", "malformed"), position

    def sign(self, message: str) -> str:
        tag = hmac.new(self.TOKEN.encode(), f"{message}.n".encode(), hashlib.sha256).digest()
        return base64.b64encode(tag).decode()

    def test_one_of_several_signatures_suffices(self):
        url = "https://example.com/answer"
        listed = f"{self.sign('other')},{self.sign(url)}"
        validate_plivo(self.TOKEN, "GET", url, listed, "n")
        assert reason(validate_plivo, self.TOKEN, "GET", url, self.sign("x"), "n") == "mismatch"

    def test_an_upgrade_is_a_get_with_its_query_decoded(self):
        signature = self.sign("wss://example.com/media?a=é 1&stapes_token=x")
        url = "wss://example.com/media?stapes_token=x&a=%C3%A9+1"
        validate_plivo(self.TOKEN, "GET", url, signature, "n")

    def test_values_of_one_name_are_signed_sorted(self):
        signature = self.sign("https://example.com/?k1k2ü☎")
        form = [("ü", "☎"), ("k", "2"), ("k", "1")]
        validate_plivo(self.TOKEN, "POST", "https://example.com/", signature, "n", form)

    def test_missing_headers_are_named(self):
        for signature, nonce, header in [
            (None, "n", "X-Plivo-Signature-V3:"),
            ("AAAA", None, "X-Plivo-Signature-V3-Nonce"),
        ]:
            with pytest.raises(SignatureError, match=f"no {header}"):
                validate_plivo(self.TOKEN, "GET", "https://example.com/", signature, nonce)

    def test_another_method_is_refused(self):
        with pytest.raises(ValueError, match="PUT"):
            validate_plivo(self.TOKEN, "PUT", "https://example.com/", "AAAA", "n")


class TestVonage:
    SECRET = "my signature secret"
    BODY = b'{"from":"442079460000"}'

    def token(self, algorithm: str = "HS256", **claims: Any) -> str:
        known = {
            "iat": int(NOW),
            "jti": "c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5",
            "iss": "Vonage",
            "payload_hash": hashlib.sha256(self.BODY).hexdigest(),
            "api_key": "a1b2c3d",
            "application_id": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab",
            **claims,
        }
        parts = [{"alg": algorithm, "typ": "JWT"}, known]
        signed = ".".join(self.encode(json.dumps(part).encode()) for part in parts)
        tag = hmac.new(self.SECRET.encode(), signed.encode(), hashlib.sha256).digest()
        return f"Bearer {signed}.{self.encode(tag)}"

    @staticmethod
    def encode(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    def reason(self, token: str | None, *args: Any, **options: Any) -> str | None:
        return reason(validate_vonage, self.SECRET, token, *args, **{"now": NOW, **options})

    def test_token_and_body_are_accepted(self):
        assert self.reason(self.token(), self.BODY) is None
        assert self.reason(self.token()) is None
        assert self.reason(self.token(iat=int(time.time())), self.BODY, now=None) is None

    def test_another_body_is_not_the_signed_one(self):
        assert self.reason(self.token(), self.BODY + b"\n") == "body_changed"
        assert self.reason(self.token(payload_hash=None), self.BODY) == "body_not_signed"

    def test_a_query_is_hashed_as_json_in_its_order(self):
        query = {"to": "44", "from": 'é"'}
        text = json.dumps(query, separators=(",", ":"), ensure_ascii=False).encode()
        token = self.token(payload_hash=hashlib.sha256(text).hexdigest())
        assert self.reason(token, params=query) is None
        assert self.reason(token, params=dict(reversed(query.items()))) == "body_changed"

    def test_its_age_is_bounded_either_way(self):
        for ahead, expected in [(-301, "too_old"), (-300, None), (301, "from_the_future")]:
            assert self.reason(self.token(iat=int(NOW) + ahead)) == expected
        assert self.reason(self.token(iat=int(NOW) - 301), max_age=301) is None
        assert self.reason(self.token(exp=int(NOW) - 1)) == "expired"

    @pytest.mark.parametrize("algorithm", ["none", "HS512", "RS256"])
    def test_other_algorithms_are_not_accepted(self, algorithm: str):
        assert self.reason(self.token(algorithm)) == "algorithm"
        unsigned = self.token(algorithm).rpartition(".")[0] + "."
        assert self.reason(unsigned) == "algorithm"

    def test_another_account_is_named(self):
        assert self.reason(self.token(), api_key="a1b2c3d") is None
        assert self.reason(self.token(), api_key="other") == "other_account"
        with pytest.raises(SignatureError, match="application_id="):
            validate_vonage(self.SECRET, self.token(), application_id="other", now=NOW)

    def test_another_secret_does_not_match_and_none_is_shown(self):
        with pytest.raises(SignatureError, match="signature_secret=") as caught:
            validate_vonage("another secret", self.token(), self.BODY, now=NOW)
        assert "another secret" not in f"{caught.value!s} {caught.value!r}"
        assert caught.value.reason == "mismatch"

    def test_changed_claims_do_not_match(self):
        signed = self.token(api_key="x").rpartition(".")[0]
        signature = self.token().rpartition(".")[2]
        assert self.reason(f"{signed}.{signature}") == "mismatch"

    @pytest.mark.parametrize("token", ["", "Bearer", "Bearer x", "Bearer a.b.c", "Basic eA=="])
    def test_what_is_no_token_is_malformed(self, token: str):
        assert self.reason(token) == "malformed"

    def test_a_missing_header_is_named(self):
        with pytest.raises(SignatureError, match="no Authorization"):
            validate_vonage(self.SECRET, None)


TEXT = st.text(max_size=12)
FIELDS = st.lists(st.tuples(TEXT, TEXT), max_size=6)


@given(fields=FIELDS, shuffled=st.randoms())
def test_a_form_of_twilio_is_accepted_in_any_order_and_no_other(
    fields: list[tuple[str, str]], shuffled: random.Random
):
    message = "".join(name + value for name, value in sorted(set(fields)))
    signature = sha1(TOKEN, URL + message)
    again = [*fields, *fields]
    shuffled.shuffle(again)
    validate_twilio(TOKEN, URL, signature, again)
    assert reason(validate_twilio, TOKEN, URL, signature, [*fields, ("more", "x")]) == "mismatch"


@given(query=FIELDS, fields=FIELDS)
def test_a_form_of_plivo_is_signed_as_its_sdk_puts_it_together(
    query: list[tuple[str, str]], fields: list[tuple[str, str]]
):
    signed = "https://example.com/answer"
    if query or fields:
        signed += "?" + "&".join(f"{name}={value}" for name, value in sorted(query))
    if query and fields:
        signed += "."
    signed += "".join(name + value for name, value in sorted(fields))
    tag = hmac.new(b"secret", f"{signed}.n".encode(), hashlib.sha256).digest()
    url = "https://example.com/answer?" + urlencode(query)
    validate_plivo("secret", "POST", url, base64.b64encode(tag).decode(), "n", fields)


@given(url=TEXT | st.just(URL), header=TEXT, other=TEXT, fields=FIELDS, body=st.binary(max_size=9))
def test_nothing_that_comes_is_accepted_or_breaks_a_check(
    url: str, header: str, other: str, fields: list[tuple[str, str]], body: bytes
):
    public_key = base64.b64encode(bytes(32)).decode()
    for call in [
        lambda: validate_twilio(TOKEN, url, header, fields),
        lambda: validate_twilio(TOKEN, url, header, body=body),
        lambda: validate_signalwire(TOKEN, url, header, fields),
        lambda: validate_signalwire(TOKEN, url, header, body=body),
        lambda: validate_telnyx(public_key, other, header, body),
        lambda: validate_plivo(TOKEN, "POST", url, header, other, fields),
        lambda: validate_vonage(TOKEN, f"Bearer {header}", body),
        lambda: validate_vonage(TOKEN, header, body),
    ]:
        with pytest.raises((SignatureError, ValueError)) as caught:
            call()
        assert isinstance(caught.value, SignatureError) or url != URL
