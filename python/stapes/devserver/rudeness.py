"""How a development server misbehaves on purpose, so that clients can be tested against it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal, TypeAlias

__all__ = ["POINTS", "WAYS", "Drop", "DropWay", "Rudeness"]

DropWay: TypeAlias = Literal["reset", "fin", "half_open", "expired", "stall"] | int
"""A way to drop a connection: one of `WAYS`, a close code, or an HTTP status at `connecting`."""

POINTS: dict[str, str] = {
    "connecting": "the handshake has come and is not answered",
    "session_created": "session.created has been sent",
    "session_update": "a session.update has come and is not answered",
    "user_audio": "sound of the caller has come and is not heard",
    "speech_started": "speech_started has been sent: the caller speaks",
    "speech_stopped": "speech_stopped has been sent, response.created has not",
    "item_create": "an item of the client's has come and is not answered",
    "mid_message": "the first 16 KiB of one client message have come, the rest has not",
    "response_create": "a response.create has come and is not answered",
    "response_created": "response.created has been sent",
    "first_delta": "the first sound or text of an answer has been sent",
    "deltas": "a piece of sound or text has been sent",
    "function_arguments": "a piece of a function call's arguments has been sent",
    "function_call": "a whole function call has been sent: its tool is at work, or waits for an "
    "approval",
    "function_output": "the output of a function has come and is not answered",
    "audio_done": "all sound or text of a message has been sent, response.done has not",
    "response_done": "response.done has been sent",
    "truncate": "a conversation.item.truncate has come and is not answered",
    "item_delete": "a conversation.item.delete has come and is not answered",
}
"""The points of a turn at which a connection can be dropped, and what has happened there."""

WAYS: dict[str, str] = {
    "reset": "TCP RST",
    "fin": "TCP FIN, without a close frame",
    "half_open": "nothing is read or said any more, and the socket stays open",
    "expired": "an error session_expired, then close code 1001",
    "stall": "nothing is said for a while (10 s; stall=SECONDS), then all goes on",
}
"""The ways to drop a connection. A close code (1000 to 4999) is one as well; at `connecting`, an
HTTP status (400 to 599)."""

_NO_CODES = (1004, 1005, 1006, 1015)
"""Close codes that stand for something that no frame may say."""
_GRAMMAR = "POINT[:WAY[:N]], such as first_delta:reset, deltas:1012:2 or function_call:stall=3"


@dataclass(frozen=True, slots=True)
class Drop:
    """Drops a connection at a point of a turn.

    Points are counted from when the drop is armed, over all connections of the server.

    Attributes:
        point: where, one of `POINTS`.
        way: how, one of `WAYS`; or the close code that the connection ends with (1000 to 4999); or,
            at `connecting`, the HTTP status that refuses it (400 to 599).
        nth: which time that the point is reached, from 1.
        times: how often, from then on: 1 drops once, `None` every time.
        seconds: how long a `stall` lasts.
    """

    point: str
    way: DropWay = "reset"
    nth: int = 1
    times: int | None = 1
    seconds: float = 10.0

    def __post_init__(self) -> None:
        """Refuse a drop that cannot happen.

        Raises:
            ValueError, TypeError: names the argument that is wrong, and what it may be.
        """
        if self.point not in POINTS:
            raise ValueError(f"there is no point {self.point!r}{_instead(self.point, POINTS)}")
        self._check_way()
        _whole(self.nth, "nth")
        if self.times is not None:
            _whole(self.times, "times", "; None for every time")
        _seconds(self.seconds, "seconds")

    @classmethod
    def parse(cls, text: str) -> Drop:
        """Read a drop as the command line writes it: `POINT[:WAY[:N]]`.

        Without a way it is `reset`. `N` is the time that the point is reached, and `N+` every time
        from then on. `stall=3` is a stall of 3 seconds.

        Raises:
            ValueError: the text is no drop; says what is wrong and what it may be.
        """
        parts = [part.strip() for part in text.split(":")]
        if len(parts) > 3 or not all(parts):
            raise ValueError(f"{text!r} is no drop: write {_GRAMMAR}")
        point, way, nth = [*parts, *("reset", "1")[len(parts) - 1 :]]
        fields: dict[str, Any] = {}
        counted = re.fullmatch(r"([1-9]\d*)(\+?)", nth)
        if counted is None:
            raise ValueError(
                f"{nth!r} in {text!r} is no count: write 2 for the second time that {point} is "
                "reached, 2+ for every time from then on"
            )
        if (stall := re.fullmatch(r"stall=(\d+(?:\.\d+)?)", way)) is not None:
            way, fields["seconds"] = "stall", float(stall[1])
        try:
            return cls(
                point,
                int(way) if way.isdecimal() else way,  # type: ignore[arg-type]
                int(counted[1]),
                times=None if counted[2] else 1,
                **fields,
            )
        except ValueError as problem:
            raise ValueError(f"{text!r}: {problem}") from None

    def __str__(self) -> str:
        """As the command line writes it."""
        stalls = self.way == "stall" and self.seconds != 10.0
        way = f"stall={self.seconds:g}" if stalls else f"{self.way}"
        count = f"{self.nth}{'' if self.times == 1 else '+'}"
        return f"{self.point}:{way}" + ("" if count == "1" else f":{count}")

    def _check_way(self) -> None:
        if isinstance(self.way, bool) or not isinstance(self.way, int | str):
            raise TypeError(
                f"way must be a name or a close code, not {type(self.way).__name__}: "
                f"give one of {', '.join(WAYS)}, or a code such as 1011"
            )
        if isinstance(self.way, str):
            if self.way not in WAYS:
                raise ValueError(
                    f"there is no way {self.way!r}{_instead(self.way, WAYS)}, or a close code"
                )
            return
        if 400 <= self.way <= 599:
            if self.point != "connecting":
                raise ValueError(
                    f"an HTTP status ({self.way}) is for the point connecting: give {self.point} a "
                    "close code such as 1011"
                )
        elif self.way in _NO_CODES or not (1000 <= self.way <= 1014 or 3000 <= self.way <= 4999):
            raise ValueError(
                f"{self.way} is no close code that can be sent: give 1000 to 1014 (but 1004, 1005 "
                "and 1006), or 3000 to 4999; 'fin' closes without one"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rudeness:
    """What a development server does wrong on purpose. The default is a server that is polite.

    What is said of messages holds for WebSocket connections; calls over WebRTC can be refused, and
    their sessions expire.

    Attributes:
        session_seconds: how long a session lasts. `session.created` states its end as `expires_at`,
            and then it ends with an error `session_expired` and close code 1001. `None`: as the
            server's options say, an hour by default, as the provider's.
        drop: where connections are dropped, and how. A text is read as `Drop.parse` does, and one
            drop may stand alone.
        refuse: how many connections are refused, the next ones.
        refuse_with: how: an HTTP status (400 to 599), or `reset`.
        retry_after: seconds, for the `Retry-After` header of those refusals; `None`: no header.
        slow_ms: milliseconds that pass before each message is sent, and before a handshake is
            answered. This is real time, as the seconds of a stall and of `session_seconds` are: a
            `stapes.testing.VirtualClock` moves none of them.
    """

    session_seconds: float | None = None
    drop: Drop | str | tuple[Drop | str, ...] = ()
    refuse: int = 0
    refuse_with: int | Literal["reset"] = 503
    retry_after: float | None = None
    slow_ms: float = 0.0
    drops: tuple[Drop, ...] = field(init=False, repr=False)
    """`drop`, as `Drop`s."""

    def __post_init__(self) -> None:
        """Refuse what no server can do.

        Raises:
            ValueError, TypeError: names the argument that is wrong, and what it may be.
        """
        listed = self.drop if isinstance(self.drop, tuple | list) else (self.drop,)
        object.__setattr__(self, "drops", tuple(map(_as_drop, listed)))
        if self.session_seconds is not None:
            _seconds(self.session_seconds, "session_seconds")
            if self.session_seconds <= 0:
                raise ValueError(
                    "session_seconds is 0, no session lasts so long: give more, or None"
                )
        _whole(self.refuse, "refuse", at_least=0)
        refused_with = self.refuse_with
        if isinstance(refused_with, bool) or not (
            refused_with == "reset" or (isinstance(refused_with, int) and 400 <= refused_with < 600)
        ):
            raise ValueError(
                f"refuse_with is {refused_with!r}: give an HTTP status from 400 to 599, or 'reset'"
            )
        if self.retry_after is not None:
            _seconds(self.retry_after, "retry_after")
            if refused_with == "reset":
                raise ValueError(
                    "retry_after is said over HTTP: leave it out, or refuse with a status"
                )
        _seconds(self.slow_ms, "slow_ms")

    def __str__(self) -> str:
        """What it does wrong, in one line; empty for a polite server."""
        return ", ".join(self.acts)

    @property
    def acts(self) -> list[str]:
        """What it does wrong, for people."""
        told = []
        if self.session_seconds is not None:
            told.append(f"ends sessions after {self.session_seconds:g} s")
        told += [f"drops a connection at {drop}" for drop in self.drops]
        if self.refuse:
            after = "" if self.retry_after is None else f", retry after {self.retry_after:g} s"
            many = "connection" if self.refuse == 1 else f"{self.refuse} connections"
            told.append(f"refuses the next {many} ({self.refuse_with}{after})")
        if self.slow_ms:
            told.append(f"waits {self.slow_ms:g} ms before each message")
        return told


def _as_drop(given: Any) -> Drop:
    if isinstance(given, Drop):
        return given
    if isinstance(given, str):
        return Drop.parse(given)
    raise TypeError(
        f"drop must be a Drop or a text such as 'first_delta:reset', not {type(given).__name__}"
    )


def _instead(name: str, known: dict[str, str]) -> str:
    """Say what could have been meant."""
    close = get_close_matches(name, known, n=1)
    return (
        f" (did you mean {close[0]!r}?): give one of {', '.join(known)}"
        if close
        else (f": give one of {', '.join(known)}")
    )


def _whole(value: Any, name: str, instead: str = "", *, at_least: int = 1) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} must be a whole number, not {type(value).__name__}{instead}")
    if value < at_least:
        raise ValueError(f"{name} is {value}: give {at_least} or more{instead}")


def _seconds(value: Any, name: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, not {type(value).__name__}")
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{name} is {value}: give zero or more")
