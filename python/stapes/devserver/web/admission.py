"""Who may connect, and how the others are told."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse

from stapes.devserver.session.errors import ProtocolError
from stapes.devserver.web.origins import refuse_strange_page

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection
    from starlette.websockets import WebSocket

    from stapes.devserver.options import Options
    from stapes.devserver.web.secrets import ClientSecrets

_KEY_PROTOCOL = "openai-insecure-api-key."


@dataclass(slots=True)
class Refusal(Exception):
    """A request that is not served: the HTTP status, the close code, and why."""

    status: int
    close_code: int
    error: ProtocolError

    def response(self) -> JSONResponse:
        """Return the answer over HTTP."""
        body = self.error.wire()
        del body["event_id"]
        return JSONResponse({"error": body}, self.status)

    @property
    def close_reason(self) -> str:
        """The reason that goes with the close code."""
        return ".".join(filter(None, (self.error.type, self.error.code)))


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who was let in: `settings` are those of the ephemeral key, if it is one."""

    settings: tuple[dict[str, Any], ...]
    ephemeral: bool


def admit(connection: HTTPConnection, options: Options, secrets: ClientSecrets) -> Admitted:
    """Check the page and the key of a request. No key is ever repeated.

    Raises:
        Refusal: a strange page makes it, or the key is missing or wrong.
    """
    try:
        refuse_strange_page(connection, options)
    except ProtocolError as error:
        raise Refusal(403, 4000, error) from None
    key = _key(connection)
    if key is None:
        missing = ProtocolError("Missing bearer or basic authentication in header")
        raise Refusal(401, 3000, missing)
    settings = secrets.settings_of(key)
    if settings is not None:
        return Admitted((settings,), ephemeral=True)
    if options.api_keys is not None and not _known(key, options.api_keys):
        raise Refusal(401, 3000, ProtocolError("Incorrect API key provided.", "invalid_api_key"))
    if secrets.has_expired(key):
        expired = ProtocolError("The ephemeral key has expired.", "token_expired")
        raise Refusal(401, 3000, expired)
    return Admitted((), ephemeral=False)


def admit_socket(websocket: WebSocket, options: Options, secrets: ClientSecrets) -> Admitted:
    """Check the shape and the key of a WebSocket connection.

    Raises:
        Refusal: it is not served.
    """
    if options.dialect == "ga" and "realtime=v1" in websocket.headers.get("openai-beta", ""):
        raise bad_request(
            "beta_api_shape_disabled",
            "The Realtime Beta API is no longer supported. Please use the GA shape: leave the "
            "OpenAI-Beta header out.",
        )
    return admit(websocket, options, secrets)


def require_model(model: str | None, options: Options) -> None:
    """Refuse a call of no model, or of one that is not served."""
    if model is None and options.default_model is None:
        raise bad_request(
            "missing_model",
            "You must provide a model parameter, for example /v1/realtime?model=gpt-realtime-2.1",
        )
    if model is not None and options.models is not None and model not in options.models:
        raise bad_request("invalid_model", f'Model "{model}" is not supported in realtime mode.')


def require_ga(options: Options, purpose: str) -> None:
    """Refuse what the server can do in the GA protocol alone, such as `to join a call`."""
    if options.dialect != "ga":
        raise bad_request(
            "unsupported_in_dialect",
            f"This server speaks the dialect {options.dialect!r} over WebSocket: {purpose}, start "
            "it with the dialect 'ga'.",
        )


def require_translation_model(model: str | None) -> None:
    """Refuse a translation of no model."""
    if model is None:
        raise bad_request(
            "missing_model",
            "You must provide a model parameter, for example "
            "/v1/realtime/translations?model=gpt-realtime-translate",
        )


def require_room(options: Options, calls: int) -> None:
    """Refuse a call when the server holds as many as it may."""
    if calls >= options.max_calls:
        busy = ProtocolError(
            f"This server holds {options.max_calls} calls already.", "rate_limit_exceeded"
        )
        raise Refusal(429, 4000, busy)


def bad_request(code: str | None, message: str, param: str | None = None) -> Refusal:
    """Return the refusal of a request that cannot be served as it is."""
    return Refusal(400, 4000, ProtocolError(message, code, param))


def unknown_call() -> Refusal:
    """Return the refusal to act on a call that is not there."""
    unknown = ProtocolError("No session of that call_id is under way.", "call_id_not_found")
    return Refusal(404, 4000, unknown)


def _key(connection: HTTPConnection) -> str | None:
    """Return the key of the `Authorization` header, or of a browser's subprotocols.

    Azure's clients have it in the header, or the query parameter, `api-key`.
    """
    scheme, _, key = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and key.strip():
        return key.strip()
    for protocol in connection.scope.get("subprotocols", ()):
        if protocol.startswith(_KEY_PROTOCOL) and protocol != _KEY_PROTOCOL:
            return str(protocol).removeprefix(_KEY_PROTOCOL)
    plain = connection.headers.get("api-key") or connection.query_params.get("api-key", "")
    return plain.strip() or None


def _known(key: str, keys: frozenset[str]) -> bool:
    return any(hmac.compare_digest(key.encode(), known.encode()) for known in keys)
