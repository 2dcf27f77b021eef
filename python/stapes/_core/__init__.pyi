"""The extension module: it joins the core with asyncio, and converts between Rust and Python."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, Literal, SupportsIndex, final, overload

from typing_extensions import disjoint_base

from stapes._core import audio as audio
from stapes.events import SessionEvent
from stapes.items import HistoryItem
from stapes.transport import WebRTCTransport, WebSocketTransport

__all__ = [
    "AUDIO_TYPES",
    "HAS_WEBRTC",
    "INTEREST_AUDIO",
    "INTEREST_GUARDRAILS",
    "INTEREST_HISTORY",
    "INTEREST_OUTGOING",
    "INTEREST_PLAYBACK",
    "INTEREST_RAW",
    "INTEREST_RESPONSES",
    "INTEREST_TRANSCRIPT",
    "MESSAGES",
    "OPTION_DEFAULTS",
    "Acts",
    "AudioStream",
    "DispatchCursor",
    "EventQueue",
    "ExternalConnection",
    "History",
    "Hub",
    "LoopRuntime",
    "Probe",
    "Session",
    "WebRtcOptions",
    "WebSocketOptions",
    "__version__",
    "audio",
    "set_log_level",
]

__version__: Final[str]
AUDIO_TYPES: Final[tuple[str, ...]]
MESSAGES: Final[dict[str, dict[str, str]]]
OPTION_DEFAULTS: Final[dict[str, dict[str, object]]]
HAS_WEBRTC: Final[bool]
INTEREST_AUDIO: Final[int]
INTEREST_RAW: Final[int]
INTEREST_TRANSCRIPT: Final[int]
INTEREST_HISTORY: Final[int]
INTEREST_OUTGOING: Final[int]
INTEREST_GUARDRAILS: Final[int]
INTEREST_PLAYBACK: Final[int]
INTEREST_RESPONSES: Final[int]

def set_log_level(level: int) -> None: ...

@final
class Hub:
    def __new__(cls, fds: tuple[int, int] | None = None, own: LoopRuntime | None = None) -> Hub: ...
    def register(
        self, session_id: int, cursor: DispatchCursor, dispatcher: object, listeners: object
    ) -> None: ...
    def unregister(self, session_id: int) -> None: ...
    def __len__(self) -> int: ...
    def answer(self) -> None: ...
    def wait(self, seconds: float) -> bool: ...
    def is_idle(self) -> bool: ...

@final
class DispatchCursor: ...

@final
class EventQueue:
    def __new__(
        cls, max_events: int, max_bytes: int, *, lossy: bool = False, told: bool = True
    ) -> EventQueue: ...
    def __len__(self) -> int: ...
    @property
    def overflown(self) -> int: ...
    def put(self, event: SessionEvent) -> int | None: ...
    def get(self) -> SessionEvent | None: ...
    def waiting(self) -> list[SessionEvent]: ...

@final
class LoopRuntime:
    def __new__(cls, selector: int) -> LoopRuntime: ...
    def turn(self, timeout: float | None) -> tuple[bool, bool]: ...
    def close(self) -> None: ...

@final
class History(Sequence[HistoryItem]):
    def __len__(self) -> int: ...
    @overload
    def __getitem__(self, index: SupportsIndex, /) -> HistoryItem: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[HistoryItem]: ...
    def __reduce__(self) -> tuple[type[list[HistoryItem]], tuple[list[HistoryItem]]]: ...
    def __iter__(self) -> Iterator[HistoryItem]: ...
    def __eq__(self, other: object, /) -> bool: ...

@final
class WebSocketOptions:
    def __new__(cls, transport: WebSocketTransport) -> WebSocketOptions: ...

@final
class WebRtcOptions:
    def __new__(cls, transport: WebRTCTransport) -> WebRtcOptions: ...

@final
class AudioStream:
    def cancel(self) -> None: ...

@final
class ExternalConnection:
    @property
    def connection_id(self) -> int: ...
    def opened(self, session_update: str, tracing: str, agent_version: int) -> bool: ...
    def receive(self, frame: str) -> None: ...
    def receive_audio(self, audio: Any) -> None: ...
    def take_audio(self) -> list[bytes]: ...
    def take(self) -> list[str | tuple[int, str]]: ...
    def ended(self, reason: str) -> None: ...

@disjoint_base
class Acts:
    def local_event(self, token: int) -> None: ...
    def call_event(self, call_id: str, connection_id: int, token: int) -> bool: ...
    def await_approval(self, call_id: str, connection_id: int, token: int) -> bool: ...
    def resume_call(self, call_id: str, connection_id: int) -> bool: ...
    def tool_output(
        self, call_id: str, connection_id: int, output: str, respond: bool, tokens: Sequence[int]
    ) -> bool: ...
    def switch_agent(
        self,
        connection_id: int,
        agent_version: int,
        session_update: str | None,
        before: Sequence[int],
        after: Sequence[int],
    ) -> None: ...
    def hand_off(
        self,
        call_id: str,
        connection_id: int,
        agent_version: int,
        session_update: str,
        after: Sequence[int],
        output: str,
    ) -> bool: ...
    def answer_mcp_approval(
        self, connection_id: int, item_id: str, approve: bool, reason: str | None
    ) -> bool: ...
    def guardrail_tripped(
        self,
        connection_id: int,
        response_index: int,
        response_id: str | None,
        source: str,
        token: int,
        feedback: str,
    ) -> bool: ...

@final
class Session(Acts):
    def __new__(
        cls,
        hub: Hub,
        *,
        history_store_audio: bool,
        guardrail_debounce: int,
        speech_interrupts: bool,
        playback: str,
        respond_to_mcp_calls: bool,
        response_timeout: float,
        waiting_responses: int,
        answered_calls: int,
        high_water: int,
        max_outgoing_bytes: int,
        max_queued_events: int,
        max_queued_bytes: int,
        virtual_clock: bool = False,
    ) -> Session: ...
    @property
    def id(self) -> int: ...
    @property
    def status(self) -> Literal["disconnected", "connecting", "connected"]: ...
    @property
    def connection_id(self) -> int: ...
    @property
    def muted(self) -> bool: ...
    @property
    def has_spoken(self) -> bool: ...
    @property
    def cursor(self) -> DispatchCursor: ...
    @property
    def dispatched(self) -> int: ...
    @property
    def history(self) -> History: ...
    def set_interest(self, interest: int) -> None: ...
    def set_formats(
        self,
        wire_input: tuple[str, int | None],
        wire_output: tuple[str, int | None],
        output_sample_rate: int | None,
    ) -> int: ...
    def connect_websocket(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        options: WebSocketOptions,
        session_update: str,
        tracing: str,
        agent_version: int,
    ) -> int: ...
    def connect_webrtc(
        self,
        url: str,
        headers: Sequence[tuple[str, str]],
        options: WebRtcOptions,
        session_update: str,
        tracing: str,
        agent_version: int,
    ) -> int: ...
    def connect_external(self, media_track: bool, server_truncates: bool) -> ExternalConnection: ...
    def close(self, code: int, reason: str) -> None: ...
    def give_up_unread(self) -> None: ...
    def send_event(self, event: str) -> None: ...
    def send_message(self, event: str, respond: bool) -> None: ...
    def send_audio(self, audio: Any, sample_rate: int | None, commit: bool) -> bool: ...
    def stream_audio(
        self,
        audio: Any,
        sample_rate: int | None,
        commit: bool,
        interval: float,
        token: int,
    ) -> AudioStream: ...
    def is_congested(self) -> bool: ...
    def mute(self, muted: bool) -> None: ...
    def interrupt(self) -> None: ...
    def playback_reported(self, item_id: str, content_index: int, played_ms: float) -> None: ...
    def when_played(self, token: int) -> None: ...
    def forget_played(self, token: int) -> None: ...
    def request_response(self, response: str | None) -> None: ...
    def update_history(self, items: str, at_first: bool) -> list[str]: ...
    def sound_stats(self) -> tuple[int, int, int, int, float, float, float] | None: ...

@final
class Probe:
    def __new__(cls, session: Session) -> Probe: ...
    @property
    def sequence(self) -> int: ...
    def hold_reader(self, hold: bool) -> None: ...
    def advance_clock(self, seconds: float) -> None: ...
    def traffic(self) -> tuple[int, int, int, int]: ...
