"""What the end of a provider's connection means."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Endings"]


@dataclass(frozen=True, slots=True)
class Endings:
    """What the ends of a provider's connections mean to a session that may connect again.

    A *loss* is replaced by another connection; a *refusal* ends the session, by name; anything else
    is a goodbye. Close code 1000, and an end without a code as a call over WebRTC has it, is a loss
    within a turn, and a goodbye between two.

    Attributes:
        loss_close_codes: WebSocket close codes of a loss.
        refusal_codes: codes of `error` events, or of an answer to the handshake, that refuse this
            client for good.
        expiry_codes: codes of `error` events that say that the session's time is over: a loss.
        retry_statuses: HTTP statuses of a handshake that is tried again. Any other one, such as 401
            and 403, is a refusal.
        single_use_key_prefixes: what keys begin with that are good for one connection.
    """

    loss_close_codes: frozenset[int] = frozenset({1001, 1006, 1011, 1012, 1013})
    refusal_codes: frozenset[str] = frozenset(
        {
            "account_deactivated",
            "billing_hard_limit_reached",
            "credit_balance_exhausted",
            "insufficient_quota",
            "invalid_api_key",
        }
    )
    expiry_codes: frozenset[str] = frozenset({"session_expired"})
    retry_statuses: frozenset[int] = frozenset({408, 425, 429, *range(500, 600)} - {501, 505})
    single_use_key_prefixes: tuple[str, ...] = ("ek_",)
