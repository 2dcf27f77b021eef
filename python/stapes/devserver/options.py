"""What can be set about a development server, with its defaults and limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

DialectName: TypeAlias = Literal["ga", "beta", "azure", "qwen", "xai"]
DIALECTS: tuple[DialectName, ...] = get_args(DialectName)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options of a development server. All times are real time: no `VirtualClock` moves them.

    Attributes:
        dialect: what is spoken over WebSocket: the GA protocol (`ga`), the beta before it, or
            that of a provider (`azure` is Voice Live). Calls over WebRTC, calls that are joined
            and ephemeral keys are served in `ga` alone.
        api_keys: the keys that are accepted; `None` accepts any key that is not empty.
        refusal: how a connection is refused. `http` answers the handshake with the HTTP status;
            `close` accepts it, sends an `error` event and closes (3000 for the key, 4000 for the
            rest), which is what the provider's own WebSocket endpoint has been seen to do.
        models: the models that are served; `None` serves any name.
        default_model: the model of a connection that names none; `None` refuses such connections.
        default_voice: the voice of a session that names none, in `ga`; the others have their
            provider's.
        pace: how many times faster than real time spoken audio is sent; `None` sends it at once.
        truncated_transcript: what clients get of the words of a truncated answer: those that were
            spoken (`cut`), or no transcript at all (`omit`), as the provider is documented to do.
            The mind sees the spoken words in both cases.
        audio_chunk_ms: how much sound one `response.output_audio.delta` holds.
        max_calls: connections served at the same time; further ones are refused with 429.
        connect_seconds: how long a peer may take from the answer to its offer until its data
            channel is open.
        max_session_seconds: a session ends with `session_expired` after this time.
        max_items: items in one conversation.
        max_input_seconds: sound that an input audio buffer holds before it must be committed.
        max_output_seconds: spoken sound that waits to be played over WebRTC, before the mind is
            asked to wait.
        max_waiting_events: server events that wait for a slow client before the call pauses.
        max_parallel_responses: responses under way at once, those outside the conversation counted.
        max_outputs: output items of one response.
        max_frame_bytes: the largest WebSocket message that is accepted.
        mind_seconds: how long the mind may take to hear a turn, or to make its next move.
        request_seconds: how long an HTTP request may take to arrive.
        origins: origins of web pages that may use the server, such as `https://app.test`, besides
            the pages of this machine and the server's own; `*` for all.
        hosts: names that the server answers to, besides `localhost` and addresses.
    """

    dialect: DialectName = "ga"
    api_keys: frozenset[str] | None = field(default=None, repr=False)
    refusal: Literal["http", "close"] = "http"
    models: frozenset[str] | None = None
    default_model: str | None = "gpt-realtime-2.1"
    default_voice: str = "marin"
    pace: float | None = 4.0
    truncated_transcript: Literal["cut", "omit"] = "cut"
    audio_chunk_ms: int = 100
    max_calls: int = 1_000
    connect_seconds: float = 30.0
    max_session_seconds: float = 3_600.0
    max_items: int = 10_000
    max_input_seconds: float = 900.0
    max_output_seconds: float = 120.0
    max_waiting_events: int = 256
    max_parallel_responses: int = 8
    max_outputs: int = 64
    max_frame_bytes: int = 16 * 1024 * 1024
    mind_seconds: float = 60.0
    request_seconds: float = 10.0
    origins: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse values that would make a server that cannot work.

        Raises:
            ValueError: an option is out of its range; the message names it.
        """
        if self.dialect not in DIALECTS:
            raise ValueError(f"dialect is {self.dialect!r}: give one of {', '.join(DIALECTS)}")
        if self.pace is not None and self.pace <= 0:
            raise ValueError(f"pace must be positive, or None to send at once, not {self.pace}")
        positive = (
            "audio_chunk_ms",
            "max_calls",
            "connect_seconds",
            "max_session_seconds",
            "max_items",
            "max_input_seconds",
            "max_output_seconds",
            "max_waiting_events",
            "max_parallel_responses",
            "max_outputs",
            "max_frame_bytes",
            "mind_seconds",
            "request_seconds",
        )
        for name in positive:
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.api_keys is not None and "" in self.api_keys:
            raise ValueError("api_keys must not contain an empty key")
