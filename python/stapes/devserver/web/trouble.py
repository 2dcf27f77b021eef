"""The trouble that a server makes on purpose: what is armed, and what has become of it."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from starlette.responses import Response

from stapes.devserver.rudeness import Drop, Rudeness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["ArmedDrop", "Refusing", "Trouble"]


class ArmedDrop:
    """A drop that waits for its point, or has happened.

    Attributes:
        drop: what was asked for.
        reached: how often its point has been reached since it was armed.
        happened: for how many connections its time has come.
    """

    def __init__(self, drop: Drop) -> None:
        self.drop = drop
        self.reached = 0
        self.happened = 0
        self._happened = asyncio.Event()

    def __repr__(self) -> str:
        return f"<ArmedDrop {self.drop}, reached {self.reached}, happened {self.happened}>"

    async def wait(self, *, seconds: float = 5.0) -> None:
        """Wait until it has dropped a connection.

        Raises:
            TimeoutError: it did not in time; the message says how often its point was reached.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._happened.wait()
        except TimeoutError:
            raise TimeoutError(
                f"nothing was dropped at {self.drop} in {seconds:g} s: the point was reached "
                f"{self.reached} times"
            ) from None

    @property
    def is_over(self) -> bool:
        """Whether it will drop no connection any more."""
        return self.drop.times is not None and self.happened >= self.drop.times

    def reach(self) -> bool:
        """Count that the point is reached; return whether a connection is to be dropped now."""
        self.reached += 1
        return self.reached >= self.drop.nth and not self.is_over

    def has_happened(self) -> None:
        """Wake those who wait for it."""
        self._happened.set()


@dataclass(frozen=True, slots=True)
class Refusing:
    """What happens to a connection instead of being served.

    Attributes:
        way: an HTTP status, `reset`, or `hang` for no answer at all.
        body: of the HTTP response, as JSON text.
        retry_after: seconds, for the header of that name.
    """

    way: int | Literal["reset", "hang"]
    body: str = ""
    retry_after: float | None = None

    def response(self, status: int) -> Response:
        """Return the refusal over HTTP."""
        headers = {"content-type": "application/json"}
        if self.retry_after is not None:
            headers["retry-after"] = f"{self.retry_after:g}"
        return Response(self.body, status, headers)


@dataclass(slots=True)
class Trouble:
    """What a server does wrong, over all its connections.

    Attributes:
        rudeness: what was asked for last, as a whole.
        refusals: what the next connections meet, in order.
        tell: is told what happens, in words.
    """

    rudeness: Rudeness = field(default_factory=Rudeness)
    refusals: deque[Refusing] = field(default_factory=deque)
    tell: Callable[[str], None] | None = None
    _armed: list[ArmedDrop] = field(default_factory=list)

    def set(self, rudeness: Rudeness) -> tuple[ArmedDrop, ...]:
        """Be rude in this way from now on, and forget what was armed before."""
        self.rudeness = rudeness
        refusing = Refusing(rudeness.refuse_with, retry_after=rudeness.retry_after)
        self.refusals = deque([refusing] * rudeness.refuse)
        self._armed = []
        return tuple(self.arm(drop) for drop in rudeness.drops)

    def arm(self, drop: Drop) -> ArmedDrop:
        """Have connections dropped there, besides what is armed already."""
        armed = ArmedDrop(drop)
        self._armed.append(armed)
        return armed

    def waits_for(self, point: str) -> bool:
        """Whether a drop waits for this point."""
        return any(armed.drop.point == point for armed in self._armed)

    @property
    def is_armed(self) -> bool:
        """Whether any drop waits."""
        return bool(self._armed)

    def reach(self, points: Iterable[str]) -> ArmedDrop | None:
        """Count points that are reached; return what is to happen now, if anything is.

        Who makes it happen says so: `has_happened`.
        """
        due: ArmedDrop | None = None
        for point in points:
            for armed in self._armed:
                if armed.drop.point == point and armed.reach() and due is None:
                    due = armed
        if due is None:
            return None
        due.happened += 1
        self._armed = [armed for armed in self._armed if not armed.is_over]
        self.say(f"dropped a connection at {due.drop}")
        return due

    def next_refusal(self) -> Refusing | None:
        """Return what the connection that comes now meets, if it is not to be served."""
        if not self.refusals:
            return None
        refusing = self.refusals.popleft()
        self.say(f"refused a connection: {refusing.way}")
        return refusing

    def say(self, what: str) -> None:
        """Tell what happens."""
        if self.tell is not None:
            self.tell(what)
