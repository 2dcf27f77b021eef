"""What a carrier's webhook is answered with, so that it streams a call's sound to a WebSocket.

With `tokens`, each answer carries a token that is good once: without it anybody who knows the URL
could call. The token is a parameter named `stapes_token` and comes back where the carrier gives
parameters: Twilio and SignalWire in `start`, Vonage and jambonz in the first message, Telnyx and
Plivo in the query of the upgrade. Keep such queries out of your logs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeVar, get_args
from xml.sax.saxutils import escape, quoteattr

from stapes.calls.stream_urls import checked_stream_url, path_of, with_query

if TYPE_CHECKING:
    from collections.abc import Mapping
    from urllib.parse import SplitResult

    from stapes.calls.security import CallTokens

__all__ = [
    "TOKEN_PARAMETER",
    "jambonz_listen",
    "plivo_connect",
    "signalwire_connect",
    "telnyx_connect",
    "twiml_connect",
    "vonage_connect",
]

TOKEN_PARAMETER: Final = "stapes_token"
"""The name of the parameter that has the token."""

SignalWireCodec = Literal["PCMU@8000h", "L16@16000h", "L16@24000h"]
TelnyxCodec = Literal["PCMU", "PCMA", "G722", "OPUS", "AMR-WB", "L16"]
PlivoContentType = Literal[
    "audio/x-mulaw;rate=8000", "audio/x-l16;rate=8000", "audio/x-l16;rate=16000"
]
SampleRate = Literal[8000, 16000, 24000]

_TWILIO_PARAMETER_MAX = 500
_VONAGE_FIELDS = frozenset({"event", "content-type"})
_JAMBONZ_FIELDS = frozenset({"sampleRate", "mixType", "callSid", "from", "to"})
"""What the first messages have beside the parameters, which stand in them among the rest."""
_NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def twiml_connect(
    url: str,
    parameters: Mapping[str, str] | None = None,
    tokens: CallTokens | None = None,
    *,
    token_path: str | None = None,
) -> str:
    """Write the TwiML that streams a call both ways: `<Connect><Stream>`.

    Source: Twilio's "TwiML Voice: Stream": `wss` only, no query, and a parameter's name and value
    have less than 500 characters together.

    Args:
        url: the `wss://` URL of your server.
        parameters: what the call brings with it, in `start.customParameters`.
        tokens: makes the call's token.
        token_path: the path that your server sees, where a proxy changes the URL's.

    Raises:
        ValueError: the carrier would not accept `url` or one of the parameters.
        TypeError: a parameter is no string.
    """
    parts = checked_stream_url(url, may_have_query=False)
    known = _with_token(parameters, tokens, parts, token_path)
    for name, value in known.items():
        if len(name) + len(value) >= _TWILIO_PARAMETER_MAX:
            raise ValueError(
                f"parameters: {name!r} has {len(name) + len(value)} characters with its value: "
                f"Twilio takes less than {_TWILIO_PARAMETER_MAX}; pass an id and keep the rest"
            )
    return _connect_stream({"url": url}, known)


def signalwire_connect(
    url: str,
    parameters: Mapping[str, str] | None = None,
    tokens: CallTokens | None = None,
    *,
    codec: SignalWireCodec = "PCMU@8000h",
    auth_bearer_token: str | None = None,
    token_path: str | None = None,
) -> str:
    """Write the cXML that streams a call both ways: `<Connect><Stream>`.

    Source: SignalWire's "cXML: Stream".

    Args:
        url: the `wss://` URL of your server.
        parameters: what the call brings with it, in `start.customParameters`.
        tokens: makes the call's token.
        codec: the stream's format, both ways.
        auth_bearer_token: what the upgrade has in `Authorization`, after `Bearer`.
        token_path: the path that your server sees, where a proxy changes the URL's.

    Raises:
        ValueError: the carrier would not accept `url`, `codec` or one of the parameters.
        TypeError: a parameter is no string.
    """
    parts = checked_stream_url(url, may_have_query=True)
    attributes = {"url": url, "codec": _one_of(codec, SignalWireCodec, "codec")}
    if auth_bearer_token is not None:
        attributes["authBearerToken"] = auth_bearer_token
    return _connect_stream(attributes, _with_token(parameters, tokens, parts, token_path))


def telnyx_connect(
    url: str,
    parameters: Mapping[str, str] | None = None,
    tokens: CallTokens | None = None,
    *,
    codec: TelnyxCodec = "PCMU",
    sample_rate: SampleRate | None = None,
    token_path: str | None = None,
) -> str:
    """Write the TeXML that streams a call both ways: `<Connect><Stream>` in RTP mode.

    Source: Telnyx's "TeXML: Stream". Without RTP mode Telnyx plays nothing but MP3. `track` is left
    at its default, since others were seen to stop the caller's sound.

    Args:
        url: the `wss://` URL of your server.
        parameters: what the call brings with it, added to the URL's query.
        tokens: makes the call's token, which is added to the URL's query.
        codec: the format of what is played. PCMU and PCMA are asked for in the other direction,
            too; for others Telnyx sends the caller in the call's own format, which `start` names.
        sample_rate: samples per second of what is played, for L16; without it Telnyx takes 8000.
        token_path: the path that your server sees, where a proxy changes the URL's.

    Raises:
        ValueError: the carrier would not accept `url`, `codec`, `sample_rate` or one of the
            parameters.
        TypeError: a parameter is no string.
    """
    parts = checked_stream_url(url, may_have_query=True)
    known = _with_token(parameters, tokens, parts, token_path)
    attributes = {"url": with_query(parts, known)}
    if _one_of(codec, TelnyxCodec, "codec") in ("PCMU", "PCMA"):
        attributes["codec"] = codec
    attributes |= {"bidirectionalMode": "rtp", "bidirectionalCodec": codec}
    if sample_rate is not None:
        if codec != "L16":
            raise ValueError(f"sample_rate: {codec} has its own; give it with codec='L16' only")
        rate = _one_of(sample_rate, SampleRate, "sample_rate")
        attributes["bidirectionalSamplingRate"] = str(rate)
    return _connect_stream(attributes, {})


def plivo_connect(
    url: str,
    parameters: Mapping[str, str] | None = None,
    tokens: CallTokens | None = None,
    *,
    content_type: PlivoContentType = "audio/x-mulaw;rate=8000",
    token_path: str | None = None,
) -> str:
    """Write the Plivo XML that streams a call both ways: `<Stream bidirectional="true">`.

    Source: Plivo's "The AudioStream element". `keepCallAlive` keeps the call while the stream
    lasts.

    Args:
        url: the `wss://` URL of your server.
        parameters: what the call brings with it, added to the URL's query: `extraHeaders`, Plivo's
            own way, takes letters and digits only.
        tokens: makes the call's token, which is added to the URL's query.
        content_type: the format of the caller's sound.
        token_path: the path that your server sees, where a proxy changes the URL's.

    Raises:
        ValueError: the carrier would not accept `url`, `content_type` or one of the parameters.
        TypeError: a parameter is no string.
    """
    parts = checked_stream_url(url, may_have_query=True)
    known = _with_token(parameters, tokens, parts, token_path)
    attributes = _attributes(
        {
            "bidirectional": "true",
            "keepCallAlive": "true",
            "contentType": _one_of(content_type, PlivoContentType, "content_type"),
        }
    )
    return _document(f"<Stream{attributes}>{escape(with_query(parts, known))}</Stream>")


def vonage_connect(
    url: str,
    parameters: Mapping[str, str] | None = None,
    tokens: CallTokens | None = None,
    *,
    sample_rate: SampleRate = 16000,
    token_path: str | None = None,
) -> list[dict[str, object]]:
    """Give the NCCO that connects a call with a WebSocket; answer with it as JSON.

    Source: Vonage's "WebSockets in the Vonage Voice API" and "NCCO reference".

    Args:
        url: the `wss://` URL of your server.
        parameters: what the call brings with it, in the first message.
        tokens: makes the call's token.
        sample_rate: samples per second, both ways, of 16-bit PCM.
        token_path: the path that your server sees, where a proxy changes the URL's.

    Raises:
        ValueError: the carrier would not accept `url` or `sample_rate`, or one of the parameters
            has a name of the first message's own.
        TypeError: a parameter is no string.
    """
    parts = checked_stream_url(url, may_have_query=True)
    known = _with_token(parameters, tokens, parts, token_path)
    _check_names(known, _VONAGE_FIELDS)
    rate = _one_of(sample_rate, SampleRate, "sample_rate")
    endpoint: dict[str, object] = {
        "type": "websocket",
        "uri": url,
        "content-type": f"audio/l16;rate={rate}",
        "headers": known,
    }
    return [{"action": "connect", "endpoint": [endpoint]}]


def jambonz_listen(
    url: str,
    parameters: Mapping[str, str] | None = None,
    tokens: CallTokens | None = None,
    *,
    sample_rate: SampleRate = 16000,
    token_path: str | None = None,
) -> list[dict[str, object]]:
    """Give the verbs of jambonz that stream a call both ways; answer with them as JSON.

    Source: jambonz' schema of `listen`. Sound goes back as it is spoken (`streaming`), in the
    sample rate in which it comes.

    Args:
        url: the `wss://` URL of your server.
        parameters: what the call brings with it, in the first message.
        tokens: makes the call's token.
        sample_rate: samples per second, both ways, of 16-bit PCM.
        token_path: the path that your server sees, where a proxy changes the URL's.

    Raises:
        ValueError: jambonz would not accept `url` or `sample_rate`, or one of the parameters has a
            name of the first message's own.
        TypeError: a parameter is no string.
    """
    parts = checked_stream_url(url, may_have_query=True)
    known = _with_token(parameters, tokens, parts, token_path)
    _check_names(known, _JAMBONZ_FIELDS)
    rate = _one_of(sample_rate, SampleRate, "sample_rate")
    listen: dict[str, object] = {
        "verb": "listen",
        "url": url,
        "mixType": "mono",
        "sampleRate": rate,
        "bidirectionalAudio": {"enabled": True, "streaming": True, "sampleRate": rate},
        "passDtmf": True,
        "metadata": known,
    }
    return [listen]


def _with_token(
    parameters: Mapping[str, str] | None,
    tokens: CallTokens | None,
    parts: SplitResult,
    token_path: str | None,
) -> dict[str, str]:
    """Give the parameters with the call's token among them."""
    known = dict(parameters or {})
    for name, value in known.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise TypeError(f"parameters: {name!r} and its value must be strings")
    if TOKEN_PARAMETER in known:
        raise ValueError(f"parameters: {TOKEN_PARAMETER!r} is the token's own name (tokens=)")
    if tokens is not None:
        known[TOKEN_PARAMETER] = tokens.mint(path_of(parts) if token_path is None else token_path)
    return known


def _check_names(parameters: Mapping[str, str], taken: frozenset[str]) -> None:
    if names := sorted(parameters.keys() & taken):
        raise ValueError(
            f"parameters: the carrier's first message has a {names[0]!r} of its own; choose "
            "another name"
        )


_Choice = TypeVar("_Choice", str, int)


def _one_of(value: _Choice, choices: object, name: str) -> _Choice:
    if value not in get_args(choices):
        known = ", ".join(repr(choice) for choice in get_args(choices))
        raise ValueError(f"{name} is {value!r}: the carrier has {known}")
    return value


def _connect_stream(attributes: Mapping[str, str], parameters: Mapping[str, str]) -> str:
    """`<Connect><Stream>` as Twilio, SignalWire and Telnyx have it."""
    inner = "".join(
        f"<Parameter{_attributes({'name': name, 'value': value})}/>"
        for name, value in parameters.items()
    )
    stream = f"<Stream{_attributes(attributes)}>{inner}</Stream>"
    return _document(f"<Connect>{stream}</Connect>")


def _attributes(values: Mapping[str, str]) -> str:
    for name, value in values.items():
        if _NOT_IN_XML.search(value):
            raise ValueError(f"{name} is {value!r}: XML cannot have one of these characters")
    return "".join(f" {name}={quoteattr(value)}" for name, value in values.items())


def _document(content: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?><Response>{content}</Response>'
