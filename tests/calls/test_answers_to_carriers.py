"""What carriers are answered with so that they stream a call."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit
from xml.etree import ElementTree as ET

import pytest

from stapes.calls import (
    TOKEN_PARAMETER,
    CallTokens,
    TokenPathError,
    jambonz_listen,
    plivo_connect,
    signalwire_connect,
    telnyx_connect,
    twiml_connect,
    vonage_connect,
)

if TYPE_CHECKING:
    from collections.abc import Callable

URL = "wss://example.com/media"
NASTY = {"caller": "Å <b> & \"quotes\" 'both'\n☎", 'a"<&': ""}
ANSWERS: list[Callable[..., Any]] = [
    twiml_connect,
    signalwire_connect,
    telnyx_connect,
    plivo_connect,
    vonage_connect,
    jambonz_listen,
]


def stream(answer: str) -> ET.Element:
    """The stream of an answer in XML."""
    root = ET.fromstring(answer)
    assert root.tag == "Response"
    found = root.find(".//Stream")
    assert found is not None
    return found


def query(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def parameters(answer: Any) -> dict[str, Any]:
    """What the call will bring with it, wherever the answer has it."""
    if isinstance(answer, list):
        [action] = json.loads(json.dumps(answer))
        found = action["metadata"] if "metadata" in action else action["endpoint"][0]["headers"]
        return dict(found)
    element = stream(answer)
    children = {child.get("name", ""): child.get("value", "") for child in element}
    return {**query(element.get("url") or element.text or ""), **children}


@pytest.mark.parametrize("connect", ANSWERS)
class TestAll:
    def test_parameters_of_any_text_arrive_as_they_are(self, connect: Callable[..., Any]):
        assert parameters(connect(URL, NASTY)) == NASTY

    def test_without_tokens_there_is_none(self, connect: Callable[..., Any]):
        assert parameters(connect(URL)) == {}

    def test_a_token_is_for_the_path_of_the_url(self, connect: Callable[..., Any]):
        tokens = CallTokens()
        found = parameters(connect(URL, {"a": "b"}, tokens))
        assert found.keys() == {"a", TOKEN_PARAMETER}
        tokens.check(found[TOKEN_PARAMETER], "/media")

    def test_each_answer_has_a_token_of_its_own(self, connect: Callable[..., Any]):
        tokens = CallTokens()
        one, other = (parameters(connect(URL, None, tokens)) for _ in range(2))
        assert one != other

    def test_a_url_without_a_path_has_the_root(self, connect: Callable[..., Any]):
        tokens = CallTokens()
        found = parameters(connect("wss://example.com", None, tokens))
        tokens.check(found[TOKEN_PARAMETER], "/")

    def test_the_servers_path_may_be_another(self, connect: Callable[..., Any]):
        tokens = CallTokens()
        found = parameters(connect(URL, None, tokens, token_path="/inner"))
        with pytest.raises(TokenPathError):
            tokens.check(found[TOKEN_PARAMETER], "/media")
        tokens.check(found[TOKEN_PARAMETER], "/inner")

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "/media",
            "https://example.com/media",
            "ws://example.com/media",
            "ws://10.0.0.1/media",
            "wss:///media",
            "wss://example.com/media#here",
            "wss://example.com/with space",
            "wss://example.com/é",
            "wss://example.com/\n",
        ],
    )
    def test_a_url_that_carriers_cannot_use_is_refused(self, connect: Callable[..., Any], url: str):
        with pytest.raises(ValueError, match="url"):
            connect(url)

    def test_a_secret_in_a_url_is_not_shown(self, connect: Callable[..., Any]):
        with pytest.raises(ValueError, match="url") as caught:
            connect("https://example.com/?stapes_token=hidden")
        assert "hidden" not in str(caught.value)

    @pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
    def test_tests_on_this_machine_need_no_tls(self, connect: Callable[..., Any], host: str):
        connect(f"ws://{host}:8080/media")

    def test_the_tokens_name_is_not_for_parameters(self, connect: Callable[..., Any]):
        with pytest.raises(ValueError, match=TOKEN_PARAMETER):
            connect(URL, {TOKEN_PARAMETER: "x"})

    def test_parameters_that_are_no_strings_are_named(self, connect: Callable[..., Any]):
        with pytest.raises(TypeError, match="'caller'"):
            connect(URL, {"caller": 5})


def test_twiml_streams_both_ways():
    assert twiml_connect(URL, {"a": "1", "b": "<2>"}) == (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Connect>'
        '<Stream url="wss://example.com/media"><Parameter name="a" value="1"/>'
        '<Parameter name="b" value="&lt;2&gt;"/></Stream></Connect></Response>'
    )


def test_twilio_allows_no_query():
    with pytest.raises(ValueError, match="parameters="):
        twiml_connect(f"{URL}?a=1")


def test_twilio_allows_short_parameters_only():
    twiml_connect(URL, {"a": "x" * 498})
    with pytest.raises(ValueError, match="500"):
        twiml_connect(URL, {"a": "x" * 499})


@pytest.mark.parametrize("connect", [twiml_connect, signalwire_connect])
def test_what_xml_cannot_have_is_refused(connect: Callable[..., str]):
    for character in "\0\x1b\ud800\ufffe":
        with pytest.raises(ValueError, match="XML"):
            connect(URL, {"a": character})


def test_signalwire_takes_a_codec_and_a_bearer_token():
    element = stream(signalwire_connect(URL, codec="L16@24000h", auth_bearer_token="<t>"))
    assert element.attrib == {"url": URL, "codec": "L16@24000h", "authBearerToken": "<t>"}
    assert stream(signalwire_connect(URL)).attrib == {"url": URL, "codec": "PCMU@8000h"}
    with pytest.raises(ValueError, match="codec is 'L16@8000h'"):
        signalwire_connect(URL, codec="L16@8000h")  # type: ignore[arg-type]


def test_telnyx_streams_in_rtp_mode():
    assert stream(telnyx_connect(URL)).attrib == {
        "url": URL,
        "codec": "PCMU",
        "bidirectionalMode": "rtp",
        "bidirectionalCodec": "PCMU",
    }
    assert stream(
        telnyx_connect(f"{URL}?a=1", {"b": "&"}, codec="L16", sample_rate=24000)
    ).attrib == {
        "url": f"{URL}?a=1&b=%26",
        "bidirectionalMode": "rtp",
        "bidirectionalCodec": "L16",
        "bidirectionalSamplingRate": "24000",
    }


def test_telnyx_has_sample_rates_for_l16_only():
    with pytest.raises(ValueError, match="sample_rate: PCMU"):
        telnyx_connect(URL, sample_rate=16000)
    with pytest.raises(ValueError, match="sample_rate is 44100"):
        telnyx_connect(URL, codec="L16", sample_rate=44100)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="codec is 'MP3'"):
        telnyx_connect(URL, codec="MP3")  # type: ignore[arg-type]


def test_plivo_streams_both_ways():
    assert plivo_connect(f"{URL}?a=1", {"b": "2"}) == (
        '<?xml version="1.0" encoding="UTF-8"?><Response>'
        '<Stream bidirectional="true" keepCallAlive="true" '
        'contentType="audio/x-mulaw;rate=8000">wss://example.com/media?a=1&amp;b=2</Stream>'
        "</Response>"
    )
    element = stream(plivo_connect(URL, content_type="audio/x-l16;rate=16000"))
    assert element.get("contentType") == "audio/x-l16;rate=16000"
    with pytest.raises(ValueError, match="content_type"):
        plivo_connect(URL, content_type="audio/x-l16;rate=24000")  # type: ignore[arg-type]


def test_vonage_connects_with_a_websocket():
    assert vonage_connect(URL, {"a": "b"}, sample_rate=24000) == [
        {
            "action": "connect",
            "endpoint": [
                {
                    "type": "websocket",
                    "uri": URL,
                    "content-type": "audio/l16;rate=24000",
                    "headers": {"a": "b"},
                }
            ],
        }
    ]
    with pytest.raises(ValueError, match="sample_rate is 48000"):
        vonage_connect(URL, sample_rate=48000)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("connect", "name"),
    [
        (vonage_connect, "event"),
        (vonage_connect, "content-type"),
        (jambonz_listen, "sampleRate"),
        (jambonz_listen, "from"),
    ],
)
def test_parameters_do_not_replace_what_the_carrier_says(connect: Callable[..., Any], name: str):
    with pytest.raises(ValueError, match=f"'{name}'"):
        connect(URL, {name: "x"})


def test_jambonz_streams_both_ways():
    assert jambonz_listen(URL, {"a": "b"}) == [
        {
            "verb": "listen",
            "url": URL,
            "mixType": "mono",
            "sampleRate": 16000,
            "bidirectionalAudio": {"enabled": True, "streaming": True, "sampleRate": 16000},
            "passDtmf": True,
            "metadata": {"a": "b"},
        }
    ]
