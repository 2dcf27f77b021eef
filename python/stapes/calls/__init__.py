"""Calls: the caller's end of a conversation.

Who may call is here: the signatures of the carriers, one-time tokens, and the answers that tell a
carrier where to stream a call's sound.
"""

from __future__ import annotations

from stapes.calls.answers import (
    TOKEN_PARAMETER,
    jambonz_listen,
    plivo_connect,
    signalwire_connect,
    telnyx_connect,
    twiml_connect,
    vonage_connect,
)
from stapes.calls.security import (
    CallTokens,
    validate_plivo,
    validate_signalwire,
    validate_telnyx,
    validate_twilio,
    validate_vonage,
)
from stapes.errors import (
    SignatureError,
    TokenError,
    TokenExpiredError,
    TokenForgedError,
    TokenMalformedError,
    TokenPathError,
    TokenUsedError,
    TooManyTokensError,
)

__all__ = [
    "TOKEN_PARAMETER",
    "CallTokens",
    "SignatureError",
    "TokenError",
    "TokenExpiredError",
    "TokenForgedError",
    "TokenMalformedError",
    "TokenPathError",
    "TokenUsedError",
    "TooManyTokensError",
    "jambonz_listen",
    "plivo_connect",
    "signalwire_connect",
    "telnyx_connect",
    "twiml_connect",
    "validate_plivo",
    "validate_signalwire",
    "validate_telnyx",
    "validate_twilio",
    "validate_vonage",
    "vonage_connect",
]
