"""Calls: the caller's end of a conversation.

- `CallServer`: a listener for carriers' media streams.
- `TwilioCall`, `BrowserCall`, `AsgiCall`: the same in an ASGI app.
- `WebRTCCall`: a web page over WebRTC, whose offer any web framework takes.
- `CallSummary`: what became of a call, in a line for a log.
- `Call`: the caller's end, which `RealtimeSession(agent, call=call)` is coupled with.
- Who may call: the signatures of the carriers, one-time tokens, and the answers that tell a carrier
  where to stream a call's sound.
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
from stapes.calls.asgi import (
    BROWSER_SUBPROTOCOL,
    AsgiCall,
    AsgiWebSocket,
    BrowserCall,
    TwilioCall,
)
from stapes.calls.call import Call, CallError
from stapes.calls.events import (
    CallEnded,
    CallEvent,
    CallFrameIgnored,
    CallHeld,
    CallIdle,
    CallInterrupted,
    CallMessage,
    CallResumed,
    Dtmf,
)
from stapes.calls.options import CallOptions, ListenOptions
from stapes.calls.page_events import PageEvents
from stapes.calls.security import (
    CallTokens,
    validate_plivo,
    validate_signalwire,
    validate_telnyx,
    validate_twilio,
    validate_vonage,
)
from stapes.calls.server import CallServer
from stapes.calls.summary import CallSummary
from stapes.calls.webrtc import WebRTCCall, WebRTCCallOptions
from stapes.errors import (
    OfferError,
    OriginError,
    SignatureError,
    TokenError,
    TokenExpiredError,
    TokenForgedError,
    TokenMalformedError,
    TokenPathError,
    TokenUsedError,
    TooManyOffersError,
    TooManyTokensError,
)

__all__ = [
    "BROWSER_SUBPROTOCOL",
    "TOKEN_PARAMETER",
    "AsgiCall",
    "AsgiWebSocket",
    "BrowserCall",
    "Call",
    "CallEnded",
    "CallError",
    "CallEvent",
    "CallFrameIgnored",
    "CallHeld",
    "CallIdle",
    "CallInterrupted",
    "CallMessage",
    "CallOptions",
    "CallResumed",
    "CallServer",
    "CallSummary",
    "CallTokens",
    "Dtmf",
    "ListenOptions",
    "OfferError",
    "OriginError",
    "PageEvents",
    "SignatureError",
    "TokenError",
    "TokenExpiredError",
    "TokenForgedError",
    "TokenMalformedError",
    "TokenPathError",
    "TokenUsedError",
    "TooManyOffersError",
    "TooManyTokensError",
    "TwilioCall",
    "WebRTCCall",
    "WebRTCCallOptions",
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
