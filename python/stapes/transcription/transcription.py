"""`RealtimeTranscription`: speech is written down as it is spoken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from stapes.config import check_turn_detection, wire_format
from stapes.events import (
    ConnectionChanged,
    Error,
    Lagging,
    SessionRestored,
    TranscriptDelta,
    TranscriptionFailed,
    TransportEvent,
)
from stapes.providers.named import chosen
from stapes.session.dispatch.listeners import EventKinds
from stapes.session.reconnecting import ReconnectPolicy
from stapes.speech_events import (
    InputCommitted,
    SpeechStarted,
    SpeechStopped,
    Transcript,
    TranscriptSegment,
)
from stapes.transcription.models import TRANSCRIBES, check_transcription
from stapes.transcription.options import SpeechOptions, only_given
from stapes.transcription.session import SpeechSession
from stapes.transcription.urls import transcription_url
from stapes.transport import WebSocketTransport

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from stapes.config import AudioFormat, NoiseReduction
    from stapes.providers import ApiKey, Provider
    from stapes.session.audio_input import Samples
    from stapes.session.completion import Completion

__all__ = ["RealtimeTranscription", "TranscriptionEvent"]

TranscriptionEvent: TypeAlias = (
    ConnectionChanged
    | SessionRestored
    | SpeechStarted
    | SpeechStopped
    | InputCommitted
    | TranscriptDelta
    | TranscriptSegment
    | Transcript
    | TranscriptionFailed
    | Lagging
    | Error
)
"""What `async for event in transcription` gives."""

_RECONNECT = ReconnectPolicy()
_LOGPROBS = "item.input_audio_transcription.logprobs"


class RealtimeTranscription(SpeechSession[TranscriptionEvent]):
    """Speech is written down as it is spoken: sound in, words out, no agent.

        async with RealtimeTranscription(language="en") as transcription:
            transcription.send_audio(pcm, sample_rate=16_000)
            transcription.finish()
            async for event in transcription.events(Transcript):
                print(event.text)

    The words of each item come as `TranscriptDelta` events, and whole as a `Transcript`. An item
    ends where `commit()` is called, or where the provider detects the end of a turn, if
    `turn_detection` has it do so. A connection that is lost is made again; the sound that has no
    transcript is then sent again.

    Commands take effect when they are called, in order, and return an awaitable for their end; not
    awaiting one is fine, its failure is then an `error` event. Create and use it on one event loop;
    `send_audio` may be called from any thread.

    Args:
        model: the provider's model. Default: `gpt-live-transcribe`.
        language: what is spoken, as ISO 639-1 (`en`); it makes the words better, and quicker.
        languages: what may be spoken, by models that take several.
        prompt: a text that helps to understand what is said.
        keywords: words that may be said, by models that take them.
        delay: how long the model waits for more before it writes: `minimal`, `low`, `medium`,
            `high` or `xhigh`, by models that take it.
        turn_detection: the provider's, such as `{"type": "server_vad"}`. Default: none, you call
            `commit()`.
        noise_reduction: the provider's, such as `{"type": "near_field", "strength": 0.5}`.
        audio_format: of the sound on the wire: PCM at 24 kHz by default.
        logprobs: `Transcript` has how sure the model was of each token.
        transport: limits, proxy and TLS of the WebSocket.
        api_key: the provider's key, or a function that gets one. Default: the environment's.
        provider: the provider's name, or its profile: see `stapes.providers`. Default: OpenAI's.
        reconnect: how the session goes on when its connection is lost. `None`: it ends then.
        max_queued_events: events that may wait for a reader or callback: see `stapes.Lagging`.
        max_queued_bytes: bytes of words and raw events that may wait for one.

    Raises:
        ValueError, TypeError: names the argument that is wrong.
    """

    _KINDS = EventKinds(TranscriptionEvent | TransportEvent)

    def __init__(
        self,
        *,
        model: str = TRANSCRIBES,
        language: str | None = None,
        languages: Sequence[str] | None = None,
        prompt: str | None = None,
        keywords: Sequence[str] | None = None,
        delay: str | None = None,
        turn_detection: Mapping[str, Any] | None = None,
        noise_reduction: NoiseReduction | Mapping[str, Any] | None = None,
        audio_format: AudioFormat = "pcm16",
        logprobs: bool = False,
        transport: WebSocketTransport | None = None,
        api_key: ApiKey | None = None,
        provider: Provider | str = "openai",
        reconnect: ReconnectPolicy | None = _RECONNECT,
        max_queued_events: int = 10_000,
        max_queued_bytes: int = 8 * 1024 * 1024,
    ) -> None:
        profile = chosen(provider)
        for name, value in (("languages", languages), ("keywords", keywords)):
            if isinstance(value, str):
                raise TypeError(f"{name} is a str: give a list of them, [{value!r}]")
        settings = only_given(
            language=language,
            languages=None if languages is None else list(languages),
            prompt=prompt,
            keywords=None if keywords is None else list(keywords),
            delay=delay,
        )
        check_transcription(model, turn_detection, settings)
        check_turn_detection(turn_detection, "turn_detection")
        wire = wire_format(audio_format, "audio_format")
        self._input = {
            "format": dict(wire),
            "noise_reduction": None if noise_reduction is None else dict(noise_reduction),
            "transcription": {"model": model, **settings},
            "turn_detection": None if turn_detection is None else dict(turn_detection),
        }
        self._logprobs = logprobs
        options = SpeechOptions(
            purpose="transcription",
            model=model,
            input_format=(wire["type"], wire.get("rate")),
            output_sample_rate=None,
            transport=transport or WebSocketTransport(),
            api_key=api_key,
            provider=profile,
            reconnect=reconnect,
            max_queued_events=max_queued_events,
            max_queued_bytes=max_queued_bytes,
        )
        url = transcription_url(profile.url(profile.default_model, kind="websocket"))
        super().__init__(options, url)

    def configuration(self) -> dict[str, Any]:
        """The `session` of the `session.update` event that a connection begins with."""
        payload: dict[str, Any] = {"type": "transcription", "audio": {"input": self._input}}
        if self._logprobs:
            payload["include"] = [_LOGPROBS]
        return payload

    def send_audio(
        self, audio: Samples, *, sample_rate: int | None = None, commit: bool = False
    ) -> Completion[None]:
        """Sends sound; see `SpeechSession.send_audio`.

        Args:
            audio: as there.
            sample_rate: as there.
            commit: the item ends here.
        """
        return self._send(audio, sample_rate, commit=commit)

    def commit(self) -> Completion[None]:
        """Ends the item: what was sent since the last one is transcribed as a whole."""
        return self._send(b"", None, commit=True)

    def clear(self) -> Completion[None]:
        """Drops what was sent and is no item yet: it is not transcribed."""
        return self.send_event({"type": "input_audio_buffer.clear"})
