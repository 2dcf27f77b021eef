"""Who may call: the signatures by which carriers prove that a request is theirs, and tokens.

Each `validate_*` returns if the request is the carrier's and raises otherwise. Take the values of
headers as they came (`None` where there is none), the body before it was read as JSON, and the URL
that the carrier has: behind a proxy that ends TLS or changes host or path, that is not the one that
the server sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes._core import calls as _core
from stapes._core.calls import MAX_AGE, CallTokens
from stapes.calls.form_fields import form_fields

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from stapes.calls.form_fields import FormParams

__all__ = [
    "CallTokens",
    "validate_plivo",
    "validate_signalwire",
    "validate_telnyx",
    "validate_twilio",
    "validate_vonage",
]


def validate_twilio(
    auth_token: str,
    url: str,
    signature: str | None,
    params: FormParams | None = None,
    *,
    body: Buffer | None = None,
) -> None:
    """Check that a webhook, or the upgrade to a WebSocket, is Twilio's.

    Source: Twilio's `request_validator`. The signature is base64 of the HMAC-SHA-1 of the URL and
    the sorted fields. A JSON body is signed by `bodySHA256` in the URL. An upgrade is signed over
    the `wss://` URL of the TwiML, without fields. The URL's port may be there or not.

    Args:
        auth_token: the account's.
        url: the public URL, as Twilio has it: scheme and query belong to it.
        signature: the header `X-Twilio-Signature`.
        params: the decoded fields of a form (`POST`).
        body: a body of another type, as it came, instead.

    Raises:
        SignatureError: the request is not accepted; `reason` and the message say why.
        ValueError: `auth_token` is empty, or `url` not absolute.
        TypeError: `params` has what is no string, or both `params` and `body` are there.
    """
    fields = None if params is None else form_fields(params)
    _core.validate_twilio(auth_token, url, signature, fields, body)


def validate_signalwire(
    signing_key: str,
    url: str,
    signature: str | None,
    params: FormParams | None = None,
    *,
    body: Buffer | None = None,
) -> None:
    """Check that a webhook is SignalWire's.

    Source: SignalWire's `webhook_validator`. Forms are signed as Twilio does, but that the values
    of a name that comes more than once stay in their order; other bodies in hexadecimal digits of
    the HMAC-SHA-1 of URL and body, or by `bodySHA256` in the URL. A stream's upgrade is not signed:
    give it a token, or an `auth_bearer_token` (`signalwire_connect`).

    Args:
        signing_key: the project's, from "API credentials"; it is not the API token.
        url: the public URL, as SignalWire has it: scheme and query belong to it.
        signature: the header `X-SignalWire-Signature` or `X-Twilio-Signature`, which are the same.
        params: the decoded fields of a form (`POST`).
        body: a body of another type, as it came, instead.

    Raises:
        SignatureError: the request is not accepted; `reason` and the message say why.
        ValueError: `signing_key` is empty, or `url` not absolute.
        TypeError: `params` has what is no string, or both `params` and `body` are there.
    """
    fields = None if params is None else form_fields(params)
    _core.validate_signalwire(signing_key, url, signature, fields, body)


def validate_telnyx(
    public_key: str,
    timestamp: str | None,
    signature: str | None,
    body: Buffer,
    max_age: float = MAX_AGE,
    *,
    now: float | None = None,
) -> None:
    """Check that a webhook is Telnyx's and is of now.

    Source: Telnyx's `webhook_verification`: Ed25519 over time, `|` and body. That a webhook of the
    last minutes came twice is not noticed here.

    Args:
        public_key: the account's, in base64, from "Keys & credentials".
        timestamp: the header `telnyx-timestamp`.
        signature: the header `telnyx-signature-ed25519`.
        body: the body as it came.
        max_age: how far `timestamp` may be from now, either way, in seconds.
        now: seconds since the Unix epoch; by default the system's clock.

    Raises:
        SignatureError: the request is not accepted; `reason` and the message say why.
        ValueError: `public_key` is not base64 of 32 bytes, or `max_age` or `now` is negative.
    """
    _core.validate_telnyx(public_key, timestamp, signature, body, max_age, now)


def validate_plivo(
    auth_token: str,
    method: str,
    url: str,
    signature: str | None,
    nonce: str | None,
    params: FormParams | None = None,
) -> None:
    """Check that a webhook, or the upgrade to a WebSocket, is Plivo's (signature version 3).

    Source: Plivo's `signature_v3`: base64 of the HMAC-SHA-256 of the URL with its sorted query, the
    sorted fields, and the nonce. The upgrade is signed as a `GET` of the `wss://` URL.

    Args:
        auth_token: the account's or the subaccount's.
        method: `"GET"` or `"POST"`.
        url: the public URL, as Plivo has it: scheme and query belong to it.
        signature: the header `X-Plivo-Signature-V3`, which may have several, separated by commas.
        nonce: the header `X-Plivo-Signature-V3-Nonce`.
        params: the decoded fields of a form (`POST`).

    Raises:
        SignatureError: the request is not accepted; `reason` and the message say why.
        ValueError: `auth_token` is empty, `url` not absolute, or `method` another.
        TypeError: `params` has what is no string.
    """
    fields = None if params is None else form_fields(params)
    _core.validate_plivo(auth_token, method, url, signature, nonce, fields)


def validate_vonage(
    signature_secret: str,
    authorization: str | None,
    body: Buffer | None = None,
    *,
    params: FormParams | None = None,
    api_key: str | None = None,
    application_id: str | None = None,
    max_age: float = MAX_AGE,
    now: float | None = None,
) -> None:
    """Check that a webhook is Vonage's and is of now.

    Source: Vonage's "Decoding signed webhooks": a JSON Web Token, signed with HS256, whose
    `payload_hash` is the SHA-256 of the body, or of a `GET`'s query as a JSON object. With neither
    `body` nor `params` only the token is checked. A stream's upgrade is not signed in this way:
    give it a token (`vonage_connect`).

    Args:
        signature_secret: the account's, from "Settings"; it is not the API secret.
        authorization: the header `Authorization`.
        body: the body of a `POST`, as it came.
        params: the decoded query of a `GET`, in its order, instead.
        api_key: accept webhooks for this account alone.
        application_id: accept webhooks for this application alone.
        max_age: how far the token's `iat` may be from now, either way, in seconds.
        now: seconds since the Unix epoch; by default the system's clock.

    Raises:
        SignatureError: the request is not accepted; `reason` and the message say why.
        ValueError: `signature_secret` is empty, or `max_age` or `now` is negative.
        TypeError: `params` has what is no string, or both `params` and `body` are there.
    """
    fields = None if params is None else form_fields(params)
    _core.validate_vonage(
        signature_secret, authorization, fields, body, api_key, application_id, max_age, now
    )
