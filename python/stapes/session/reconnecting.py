"""How a session goes on when its connection is lost, or about to expire."""

from __future__ import annotations

import inspect
import logging
import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from stapes import _core
from stapes.config import whole_number
from stapes.transport import RealtimeTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from stapes.items import HistoryItem
    from stapes.providers import ApiKey, Provider
    from stapes.transport import Transport

__all__ = [
    "GO_ON",
    "ReconnectPolicy",
    "reconnect_by",
    "redial_by",
    "retries_after",
    "summarise",
    "warn_of_unknown_words",
]

logger = logging.getLogger("stapes")

GO_ON = cast("str", _core.OPTION_DEFAULTS["ReconnectPolicy"]["go_on"])
"""What the model of a new connection is told when the conversation has been replayed to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconnectPolicy:
    """How a session goes on when its connection is lost, or about to expire.

    Times are in seconds, zero or more where nothing else is said.

    Attributes:
        attempts: to make a new connection, after each loss, 1 or more; when they are used up, the
            session is disconnected.
        max_reconnects: new connections of one session in all; `None`: as many as it takes.
        first_delay: time before the first attempt after a loss. 0: at once.
        base_delay: time before the second attempt, more than zero. It doubles with each further
            one.
        max_delay: what no time between two attempts exceeds, `base_delay` or more, unless the
            server asks for more (`Retry-After`).
        jitter: share of each delay that is random, from 0 (none of it) to 1 (all of it), so that
            sessions that were lost together do not come back together.
        max_handshakes: new connections that are being made at once, by the sessions of this process
            together, 1 or more; others wait for their turn.
        max_unsent_audio: the user's sound that is kept while there is no connection, in seconds.
            The oldest is dropped first.
        max_replayed_items: the last items of the history, at most, that a new connection begins
            with. 0: none.
        max_replayed_characters: of text in them, at most: the oldest items are left out first. A
            function call and its output go together.
        summarise: a function (sync or async) that is given the items that were left out and returns
            a text in their place, which the model gets as a system message before the others.
            `None`: nothing takes their place.
        go_on: what the model is told after the replayed items, as a system message. The default
            asks it to go on by voice and without a greeting; a session that answers in text wants
            words of its own. `None`: nothing.
        continue_answers: ask for the rest of an answer that was cut off by a loss. Otherwise it
            ends where it was heard to, as one that the user interrupted.
        max_session_duration: how long a connection lasts before it is replaced, more than zero; the
            provider's own limit holds where that is shorter. `None`: the provider's alone.
        rollover_margin: how long before the end of a connection a quiet moment is awaited for the
            one that replaces it; less than `max_session_duration`.
        should_retry: a function (sync or async) that decides whether there is another attempt,
            given the exception that ended the last one, or the connection. Where it raises, that is
            a failed attempt. `None`: where the exception's `retryable` is true and the provider has
            not refused by name.
    """

    attempts: int = 8
    max_reconnects: int | None = None
    first_delay: float = 0.0
    base_delay: float = 0.25
    max_delay: float = 8.0
    jitter: float = 0.5
    max_handshakes: int = 64
    max_unsent_audio: float = 15.0
    max_replayed_items: int = 200
    max_replayed_characters: int = 100_000
    summarise: Callable[[Sequence[HistoryItem]], str | Awaitable[str]] | None = None
    go_on: str | None = GO_ON
    continue_answers: bool = False
    max_session_duration: float | None = None
    rollover_margin: float = 120.0
    should_retry: Callable[[BaseException], bool | Awaitable[bool]] | None = None

    def __post_init__(self) -> None:
        """Refuses what no session can go by.

        Raises:
            ValueError, TypeError: names the argument that is wrong.
        """
        for name in ("attempts", "max_handshakes"):
            whole_number(getattr(self, name), name, at_least=1)
        for name in ("max_replayed_items", "max_replayed_characters"):
            whole_number(getattr(self, name), name, at_least=0)
        if self.max_reconnects is not None:
            whole_number(self.max_reconnects, "max_reconnects", at_least=0)
        for name in ("first_delay", "max_delay", "max_unsent_audio", "rollover_margin"):
            _seconds(getattr(self, name), name)
        _seconds(self.base_delay, "base_delay", above_zero=True)
        if self.max_delay < self.base_delay:
            raise ValueError(
                f"max_delay is {self.max_delay}, less than base_delay, {self.base_delay}: "
                "give max_delay as much at least"
            )
        if not 0 <= _number(self.jitter, "jitter") <= 1:
            raise ValueError(f"jitter is {self.jitter}: give the share that is random, 0 to 1")
        if self.max_session_duration is not None:
            _seconds(self.max_session_duration, "max_session_duration", above_zero=True)
            if self.rollover_margin >= self.max_session_duration:
                raise ValueError(
                    f"rollover_margin is {self.rollover_margin}, which leaves nothing of "
                    f"max_session_duration, {self.max_session_duration}: give rollover_margin less"
                )
        for name in ("summarise", "should_retry"):
            if not (getattr(self, name) is None or callable(getattr(self, name))):
                raise TypeError(
                    f"{name} must be a function or None, not {type(getattr(self, name)).__name__}"
                )
        if not isinstance(self.continue_answers, bool):
            raise TypeError(
                f"continue_answers must be a bool, not {type(self.continue_answers).__name__}"
            )
        if not (self.go_on is None or isinstance(self.go_on, str)):
            raise TypeError(f"go_on must be text or None, not {type(self.go_on).__name__}")
        if self.go_on is not None and not self.go_on.strip():
            raise ValueError("go_on is empty: give what the model is told, or None for nothing")


def reconnect_by(
    core: _core.Session, policy: ReconnectPolicy, provider: Provider, max_held_bytes: int
) -> None:
    """Has the core connect a session again.

    Args:
        core: the core's half of the session.
        policy: the session's.
        provider: its profile says what the ends of its connections mean, and how long they last.
        max_held_bytes: what may wait for a new connection.
    """
    ends = provider.endings
    endings = (
        sorted(ends.loss_close_codes),
        sorted(ends.refusal_codes),
        sorted(ends.expiry_codes),
        sorted(ends.retry_statuses),
    )
    if (most := provider.max_session_duration) is not None:
        # What the user says holds where it is shorter.
        most = min(most, policy.max_session_duration or most)
        policy = replace(policy, max_session_duration=most)
    core.reconnect_by(policy, endings, max_held_bytes)


def redial_by(
    core: _core.Session,
    policy: ReconnectPolicy,
    provider: Provider,
    api_key: ApiKey | None,
    transport: Transport,
) -> None:
    """Tells the core how the connection that begins may be replaced.

    Where the key is a function, or the transport or a part of the policy is the user's code, the
    session layer is asked for each attempt.
    """
    asks = (
        callable(api_key)
        or isinstance(transport, RealtimeTransport)
        or policy.summarise is not None
        or policy.should_retry is not None
    )
    once = provider.endings.single_use_key_prefixes
    core.redial_by(
        asks,
        overrides=policy.should_retry is not None,
        single_use=isinstance(api_key, str) and api_key.startswith(once),
    )


def warn_of_unknown_words(payload: Mapping[str, Any], *, stores_audio: bool) -> None:
    """Says, in the log, that a new connection cannot be told what the user says.

    Args:
        payload: the `session` of the configuration that is about to be sent.
        stores_audio: whether the history keeps the audio of messages.
    """
    heard = payload["audio"].get("input", {})
    if heard.get("transcription") is None and not stores_audio:
        logger.warning(
            "transcription is off and the history stores no audio: if the connection is lost, the "
            "next one cannot be told what the user has said, but for the newest turn. Set "
            "config.audio.input.transcription or history_store_audio=True, or reconnect=None"
        )


async def retries_after(policy: ReconnectPolicy, error: BaseException) -> bool:
    """Whether the user's function is for another attempt; the core has decided where there is none.

    Raises:
        BaseException: what the function raises.
    """
    if policy.should_retry is None:
        return True
    decision = policy.should_retry(error)
    return bool(await decision if inspect.isawaitable(decision) else decision)


async def summarise(core: _core.Session, policy: ReconnectPolicy) -> None:
    """Has the user's function say in short what a new connection is not told.

    Raises:
        BaseException: what the function raises.
    """
    if policy.summarise is None or not (left_out := list(core.left_out())):
        return
    summary = policy.summarise(left_out)
    core.summarise(await summary if inspect.isawaitable(summary) else summary)


def _number(value: Any, name: str) -> float:
    """The value, if it is a number.

    Raises:
        TypeError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    return value


def _seconds(value: Any, name: str, *, above_zero: bool = False) -> None:
    """Refuses a value that is no length of time.

    Raises:
        TypeError: it is no number.
        ValueError: it is negative, infinite or none, or 0 where that is no length.
    """
    least = "more than zero" if above_zero else "zero or more"
    if not (math.isfinite(_number(value, name)) and (value > 0 if above_zero else value >= 0)):
        raise ValueError(f"{name} is {value}: give it as seconds, {least}")
