"""A call: an agent's session on one side, a sound device on the other."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from stapes.cli.call.journal import EVENTS, Journal
from stapes.cli.call.line import Line
from stapes.cli.call.loudspeaker import Loudspeaker
from stapes.events import AnyEvent, ConnectionChanged, ToolApprovalRequested

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from agents.realtime import RealtimeAgent

    from stapes import RealtimeSession
    from stapes.approvals import ToolApproval
    from stapes.cli.call.approver import Approver
    from stapes.cli.call.device import SoundDevice
    from stapes.cli.call.recording import Recording

_REFRESH_S = 0.04
_LIVE_LEAD_S = 0.06
"""What waits of sound that comes as fast as it is played, since clocks differ."""


class CallEndedError(Exception):
    """The connection was lost before the call was over."""


class Display(Protocol):
    """Shows a call while it lasts."""

    def follow(self, journal: Journal, line: Line) -> None:
        """Show this call from now on."""
        ...

    def refresh(self) -> None:
        """Show the call as it stands."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What is called.

    Attributes:
        name: what it is, in words.
        url: of the WebSocket, or that calls are offered to; `None` for the provider's own.
        api_key: the key; `None` leaves it to the session to find one.
        model: `None` leaves it to the session.
        transport: how it is reached.
    """

    name: str
    url: str | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    model: str | None = None
    transport: Literal["websocket", "webrtc"] = "websocket"


@dataclass(frozen=True, slots=True)
class Call:
    """A call under way."""

    session: RealtimeSession
    journal: Journal
    line: Line


async def hold_call(
    agent: RealtimeAgent[Any],
    endpoint: Endpoint,
    device: SoundDevice,
    approver: Approver,
    display: Display,
    plot: Callable[[Call], Awaitable[None]],
    *,
    recording: Recording | None = None,
    half_duplex: bool = False,
    **options: Any,
) -> Call:
    """Connect, run the call as long as `plot` does, and hang up.

    Args:
        agent: who answers.
        endpoint: where the model is.
        device: the caller's microphone and loudspeaker.
        approver: decides on tools that need approval.
        display: shows the call.
        plot: what happens in the call; it is over when this returns.
        recording: keeps both voices.
        half_duplex: whether the microphone is off while the agent is heard.
        options: more options of the session.

    Returns:
        The call, as it was at its end.

    Raises:
        CallEndedError: the connection was lost.
        StapesError: no connection could be made.
        SoundDeviceError: the device does not work.
    """
    from stapes import PlaybackTracker, RealtimeSession

    tracker = PlaybackTracker()
    if endpoint.model is not None:
        options["model"] = endpoint.model
    session = RealtimeSession(
        agent,
        api_key=endpoint.api_key,
        playback=tracker,
        transport=endpoint.transport,
        **options,
    )
    live = endpoint.transport == "webrtc"
    loudspeaker = Loudspeaker(
        device.loudspeaker_rate, tracker.played_in_all, lead_s=_LIVE_LEAD_S if live else 0.0
    )
    rate = device.microphone_rate
    line = Line(
        device,
        loudspeaker,
        lambda pcm: session.send_audio(pcm, sample_rate=rate),
        recording=recording,
        half_duplex=half_duplex,
    )
    call = Call(session, Journal(line, agent.name, live=live), line)
    events = session.events(*EVENTS)
    try:
        await session.connect(url=endpoint.url)
        display.follow(call.journal, line)
        async with asyncio.TaskGroup() as group:
            around = [
                group.create_task(device.run(line.exchange)),
                group.create_task(_listen(call, events, approver, group)),
                group.create_task(_show(call.journal, display)),
            ]
            await plot(call)
            for task in around:
                task.cancel()
    except BaseExceptionGroup as several:
        raise _first(several) from several
    finally:
        await session.close()
    return call


async def _listen(
    call: Call, events: AsyncIterator[AnyEvent], approver: Approver, group: asyncio.TaskGroup
) -> None:
    async for event in events:
        call.journal.observe(event)
        match event:
            case ToolApprovalRequested(approval=wish):
                group.create_task(_decide(call, wish, approver))
            case ConnectionChanged(status="disconnected", reason=reason):
                raise CallEndedError(f"the connection was lost: {reason or 'no reason was given'}")
            case _:
                pass


async def _decide(call: Call, wish: ToolApproval, approver: Approver) -> None:
    approved = await approver.decide(wish)
    call.journal.decide(wish.call_id, approved=approved, by=approver.by)
    if approved:
        call.session.approve(wish)
    else:
        call.session.reject(wish)


async def _show(journal: Journal, display: Display) -> None:
    while True:
        journal.listen()
        display.refresh()
        await asyncio.sleep(_REFRESH_S)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first exception of a group that is none itself."""
    error = group.exceptions[0]
    return _first(error) if isinstance(error, BaseExceptionGroup) else error
