"""Whether a call brings the token that it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stapes.calls.answers import TOKEN_PARAMETER

if TYPE_CHECKING:
    from stapes.calls.call import Call
    from stapes.calls.security import CallTokens

__all__ = ["check_token"]


def check_token(call: Call, tokens: CallTokens, path: str) -> None:
    """Checks the token that a call has among its parameters.

    Raises:
        TokenError: it has none, or none that is good for `path`.
    """
    token = call.parameters.get(TOKEN_PARAMETER)
    tokens.check(token if isinstance(token, str) else "", path)
